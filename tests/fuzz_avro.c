/* fuzz_avro: hostile bytes into the Avro decoder and the schema parser. First byte picks which.
 * clang: -fsanitize=fuzzer with -DTM_LIBFUZZER; otherwise a program that replays files, or a small
 * corpus of its own. */
#include "event/avro.h"
#include "tests/support_fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char schema_text[] =
    "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"Id\",\"type\":\"string\"},"
    "{\"name\":\"H\",\"type\":{\"type\":\"record\",\"name\":\"H\",\"fields\":[{\"name\":\"ids\","
    "\"type\":[\"null\","
    "{\"type\":\"array\",\"items\":\"string\"}]},{\"name\":\"n\",\"type\":[\"null\",\"long\"]}]}},"
    "{\"name\":\"D\",\"type\":[\"null\",{\"type\":\"int\",\"logicalType\":\"date\"}]},"
    "{\"name\":\"F\",\"type\":[\"null\",\"double\"]},{\"name\":\"B\",\"type\":[\"null\","
    "\"boolean\"]}]}";

/* What decodes must encode again, and decode to the same. */
static void fuzz_round(const struct tm_avro_schema *s, const struct tm_row *row)
{
    struct tm_value values[16];
    struct tm_buf out;
    struct tm_row again;
    tm_buf_init(&out, 64u << 20);
    tm_row_init(&again);
    for (size_t i = 0; i < row->cells_count; i++)
        values[i] = row->cells[i].value;
    if (tm_avro_encode(s, 1, &out, values, row->cells_count, NULL) == TM_OK) {
        if (tm_avro_decode(s, &again, out.data, out.bytes, NULL) != TM_OK ||
            again.cells_count != row->cells_count)
            abort();
    }
    tm_row_free(&again);
    tm_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct tm_avro_schema *s = NULL;
    if (bytes == 0)
        return 0;
    if (data[0] == '{') {
        if (tm_avro_schema_parse(&s, (const char *)data, bytes, NULL) == TM_OK)
            tm_avro_schema_close(s);
        return 0;
    }
    struct tm_row row;
    tm_row_init(&row);
    if (tm_avro_schema_parse(&s, schema_text, sizeof schema_text - 1, NULL) != TM_OK)
        abort();
    if (tm_avro_decode(s, &row, data, bytes, NULL) == TM_OK)
        fuzz_round(s, &row);
    tm_row_free(&row);
    tm_avro_schema_close(s);
    return 0;
}

#ifndef TM_LIBFUZZER
int main(int argc, char **argv)
{
    static const uint8_t corpus[][24] = {
        { 0, 0, 0, 0, 1, 2, 'a', 2, 2, 2, 'b', 0, 2, 4, 2, 6, 0, 2, 1 },
        { 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0 },
        { 0, 0, 0, 0, 1, 0, 2, 1, 2, 2, 'x', 0 },
        { 0, 0, 0, 0, 1, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F },
    };
    for (size_t i = 0; argc < 2 && i < sizeof corpus / sizeof corpus[0]; i++)
        for (size_t bytes = 0; bytes <= sizeof corpus[i]; bytes++)
            LLVMFuzzerTestOneInput(corpus[i], bytes);
    LLVMFuzzerTestOneInput((const uint8_t *)schema_text, sizeof schema_text - 1);
    return fuzz_files(argc, argv);
}
#endif
