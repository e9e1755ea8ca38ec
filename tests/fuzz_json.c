/* fuzz_json: any bytes; the tree must be the one that jansson makes of them, members in the same
 * order, or none where jansson makes none. clang: -fsanitize=fuzzer with -DTM_LIBFUZZER; otherwise
 * a program that replays files, or a corpus of its own, each entry whole and cut short anywhere. */
#include "base/json.h"
#include "tests/support_fuzz.h"
#include <string.h>

static void fuzz_same(const char *text, size_t bytes)
{
    json_t *mine = tm_json_parse(text, bytes), *theirs = json_loadb(text, bytes, 0, NULL);
    if ((mine == NULL) != (theirs == NULL))
        abort();
    if (mine != NULL) {
        char *a = json_dumps(mine, JSON_REAL_PRECISION(17)),
             *b = json_dumps(theirs, JSON_REAL_PRECISION(17));
        if (a == NULL || b == NULL || strcmp(a, b) != 0 || !json_equal(mine, theirs))
            abort();
        free(a);
        free(b);
    }
    json_decref(mine);
    json_decref(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    fuzz_same((const char *)data, bytes);
    for (size_t cut = 0; cut < bytes && bytes <= 256; cut++)
        fuzz_same((const char *)data, cut);
    return 0;
}

static const char *const corpus[] = {
    "",
    "{}",
    " [ ] ",
    "[1,-2,0,-0,007]",
    "[0]x",
    "[123456789012345678,1234567890123456789,9223372036854775807]",
    "[99999999999999999999]",
    "[-9223372036854775808]",
    "[1.5,-0.25,0.1,12345.6789,-0.0]",
    "[1e3,1E-2,1.5e400,1.]",
    "[.5]",
    "[-]",
    "[1 2]",
    "[1,]",
    "{\"a\":1,\"b\":null,\"a\":true}",
    "{\"a\":{\"b\":[{\"c\":\"\"}]},\"d\":false}",
    "{\"a\" : \"x\\n\\t\\\"\\\\\\/\\b\\f\\r\"}",
    "{\"a\\u0041\":1}",
    "[\"\\u00e9\\u20AC\\u0000\"]",
    "[\"\\u00e9\\u20AC\\u0041\"]",
    "[\"\\ud83d\\ude00\",\"\\ud83d\"]",
    "[\"\\q\"]",
    "[\"\\u12g4\"]",
    "[\"\xc3\xa9\xe2\x82\xac\"]",
    "[\"\xc3\"]",
    "[\"\xff\"]",
    "{\"\xc3\xa9\":1}",
    "{\"\xff\":1}",
    "[\"\x01\"]",
    "[nul]",
    "[truefalse]",
    "null",
    "\"text\"",
    "{\"a\"}",
    "{\"a\":}",
    "{1:2}",
    "{,}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]"
    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "{\"totalSize\":1,\"done\":true,\"records\":[{\"attributes\":{\"type\":\"Account\",\"url\":"
    "\"/services/data/v64.0/sobjects/Account/001\"},\"Id\":\"001\",\"Name\":\"A \\u0026 B\","
    "\"AnnualRevenue\":1234.5,\"IsDeleted\":false,\"Phone\":null}]}",
};
FUZZ_PROGRAM(corpus)
