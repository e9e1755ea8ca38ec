#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "event/avro.h"

static const char schema_text[] =
    "{\"type\":\"record\",\"name\":\"T\",\"fields\":["
    "{\"name\":\"Id\",\"type\":\"string\"},"
    "{\"name\":\"Text\",\"type\":[\"null\",\"string\"],\"default\":null},"
    "{\"name\":\"Flag\",\"type\":[\"null\",\"boolean\"],\"default\":null},"
    "{\"name\":\"Count\",\"type\":[\"null\",\"int\"],\"default\":null},"
    "{\"name\":\"Big\",\"type\":[\"long\",\"null\"]},"
    "{\"name\":\"Amount\",\"type\":[\"null\",\"double\"],\"default\":null},"
    "{\"name\":\"Day\",\"type\":[\"null\",{\"type\":\"int\",\"logicalType\":\"date\"}],\"default\":"
    "null},"
    "{\"name\":\"At\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}],"
    "\"default\":null},"
    "{\"name\":\"Header\",\"type\":{\"type\":\"record\",\"name\":\"H\",\"fields\":["
    "{\"name\":\"kind\",\"type\":[\"null\",\"string\"]},{\"name\":\"ids\",\"type\":[\"null\",{"
    "\"type\":\"array\",\"items\":\"string\"}]},"
    "{\"name\":\"seq\",\"type\":[\"null\",\"long\"]},{\"name\":\"rate\",\"type\":\"double\"},{"
    "\"name\":\"ok\",\"type\":\"boolean\"}]}},"
    "{\"name\":\"List\",\"type\":{\"type\":\"array\",\"items\":\"string\"},\"default\":[]}]}";
enum { FIELDS = 10 };

static struct tm_avro_schema *parse(const char *text)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_avro_schema *s;
    if (tm_avro_schema_parse(&s, text, strlen(text), &err) != TM_OK)
        fail_msg("%s", err.msg);
    return s;
}

static void fill(struct tm_value v[FIELDS])
{
    v[0] = tm_value_of_text("006000000000001AAA");
    v[1] = tm_value_of_text("line\none \"quoted\" \xC3\xA9");
    v[2] = tm_value_of_bool(true);
    v[3] = tm_value_of_int(-7);
    v[4] = tm_value_of_int(INT64_MIN);
    v[5] = tm_value_of_double(1200.25);
    v[6] = tm_value_of_text("2021-03-05");
    v[7] = tm_value_of_int(1614939330000);
    v[8] = tm_value_of_json(
        "{ \"ids\" : [\"a\\u00e9\",\"b\\n\"], \"kind\":\"GAP\", \"ok\":false,\"rate\":0.5 }");
    v[9] = tm_value_of_json("[]");
}

static void encode(const struct tm_avro_schema *s, struct tm_buf *out, const struct tm_value *v,
                   size_t count)
{
    struct tm_err err = { .code = TM_OK };
    tm_buf_reset(out);
    if (tm_avro_encode(s, 77, out, v, count, &err) != TM_OK)
        fail_msg("%s", err.msg);
}

static void every_type_comes_back_as_it_went(void **state)
{
    (void)state;
    struct tm_avro_schema *s = parse(schema_text);
    struct tm_value v[FIELDS];
    struct tm_err err = { .code = TM_OK };
    struct tm_buf out;
    struct tm_row row;
    int32_t id;
    tm_buf_init(&out, 1 << 20);
    tm_row_init(&row);
    fill(v);
    for (int round = 0; round < 2; round++) { /* the second reuses the row's memory */
        encode(s, &out, v, FIELDS);
        assert_int_equal(tm_avro_frame_id(&id, out.data, out.bytes, &err), TM_OK);
        assert_int_equal(id, 77);
        assert_int_equal(tm_avro_decode(s, &row, out.data, out.bytes, &err), TM_OK);
        assert_int_equal(row.cells_count, FIELDS);
        assert_string_equal(tm_value_text(tm_row_get(&row, "Id")), "006000000000001AAA");
        assert_string_equal(tm_value_text(tm_row_get(&row, "Text")), v[1].as.t.text);
        assert_true(tm_row_get(&row, "Flag")->as.b);
        assert_int_equal(tm_row_get(&row, "Count")->as.i, -7);
        assert_true(tm_row_get(&row, "Big")->as.i == INT64_MIN);
        assert_true(tm_row_get(&row, "Amount")->as.d == 1200.25);
        assert_string_equal(tm_value_text(tm_row_get(&row, "Day")), "2021-03-05");
        assert_true(tm_row_get(&row, "At")->as.i == 1614939330000);
        assert_string_equal(tm_value_text(tm_row_get(&row, "Header")),
                            "{\"kind\":\"GAP\",\"ids\":[\"a\xC3\xA9\",\"b\\n\"],\"seq\":null,"
                            "\"rate\":0.5,\"ok\":false}");
        assert_string_equal(tm_value_text(tm_row_get(&row, "List")), "[]");
        assert_null(tm_row_get(&row, "Nobody"));
    }
    tm_row_free(&row);
    tm_buf_free(&out);
    tm_avro_schema_close(s);
}

static void null_fields_come_back_null(void **state)
{
    (void)state;
    struct tm_avro_schema *s = parse(schema_text);
    struct tm_value v[FIELDS];
    struct tm_err err = { .code = TM_OK };
    struct tm_buf out;
    struct tm_row row;
    tm_buf_init(&out, 1 << 20);
    tm_row_init(&row);
    fill(v);
    for (int i = 1; i < 8; i++)
        v[i] = tm_value_of_text(NULL);
    encode(s, &out, v, FIELDS);
    assert_int_equal(tm_avro_decode(s, &row, out.data, out.bytes, &err), TM_OK);
    for (int i = 1; i < 8; i++)
        assert_int_equal(row.cells[i].value.kind, TM_V_NULL);
    v[0] = tm_value_of_text(NULL);
    assert_int_equal(tm_avro_encode(s, 1, &out, v, FIELDS, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "Id"));
    tm_row_free(&row);
    tm_buf_free(&out);
    tm_avro_schema_close(s);
}

static void a_value_that_does_not_fit_names_its_field(void **state)
{
    (void)state;
    struct tm_avro_schema *s = parse(schema_text);
    const struct {
        int index;
        struct tm_value value;
        const char *name;
    } bad[] = {
        { 1, tm_value_of_int(3), "Text" },
        { 2, tm_value_of_text("yes"), "Flag" },
        { 3, tm_value_of_int(1LL << 40), "Count" },
        { 3, tm_value_of_double(1.5), "Count" },
        { 5, tm_value_of_text("12"), "Amount" },
        { 6, tm_value_of_text("2021-13-05"), "Day" },
        { 8, tm_value_of_json("[]"), "Header" },
        { 8, tm_value_of_json("{\"kind\":3}"), "kind" },
        { 8, tm_value_of_json("{\"kind\":\"x\""), "Header" },
        { 8, tm_value_of_json("{\"other\":1}"), "other" },
        { 8, tm_value_of_json("{\"rate\":1,\"ok\":1}"), "ok" },
        { 9, tm_value_of_json("[1]"), "item" },
        { 9, tm_value_of_json("[\"a\""), "List" },
        { 8, tm_value_of_json("{\"kind\":\"\\u12\"}"), "kind" },
        { 8, tm_value_of_json("{\"seq\":1.5,\"rate\":1,\"ok\":true}"), "seq" },
    };
    struct tm_buf out;
    tm_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tm_value v[FIELDS];
        struct tm_err err = { .code = TM_OK };
        fill(v);
        v[bad[i].index] = bad[i].value;
        tm_buf_reset(&out);
        assert_int_equal(tm_avro_encode(s, 1, &out, v, FIELDS, &err), TM_E_ARG);
        if (strstr(err.msg, bad[i].name) == NULL)
            fail_msg("case %zu: \"%s\" does not name %s", i, err.msg, bad[i].name);
    }
    tm_buf_free(&out);
    tm_avro_schema_close(s);
}

/* ---- against another implementation: fixtures/avro ---- */

static size_t unhex(char *out, size_t out_bytes, const char *hex)
{
    size_t bytes = strlen(hex) / 2;
    assert_true(bytes <= out_bytes);
    for (size_t i = 0; i < bytes; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (char)byte;
    }
    return bytes;
}

/* Records and arrays as JSON text, which the caller frees through `text`. */
static struct tm_value vector_value(const json_t *v, char **text)
{
    if (json_is_object(v) || json_is_array(v))
        return tm_value_of_json(*text = json_dumps(v, JSON_COMPACT));
    if (json_is_real(v))
        return tm_value_of_double(json_real_value(v));
    if (json_is_integer(v))
        return tm_value_of_int(json_integer_value(v));
    if (json_is_boolean(v))
        return tm_value_of_bool(json_is_true(v));
    return tm_value_of_text(json_string_value(v)); /* also null */
}

static void assert_cell(const char *name, const struct tm_value *v, json_t *wanted)
{
    struct tm_value w = { .kind = TM_V_NULL };
    char *text = NULL;
    w = vector_value(wanted, &text);
    if (v->kind != w.kind)
        fail_msg("%s is of kind %d, not %d", name, (int)v->kind, (int)w.kind);
    if (v->kind == TM_V_JSON) {
        json_t *got = json_loads(v->as.t.text, 0, NULL);
        if (!json_equal(got, wanted))
            fail_msg("%s is %s", name, v->as.t.text);
        json_decref(got);
    } else if (v->kind == TM_V_TEXT) {
        assert_string_equal(v->as.t.text, w.as.t.text);
    } else if (v->kind == TM_V_DOUBLE) {
        assert_memory_equal(&v->as.d, &w.as.d, sizeof v->as.d);
    } else if (v->kind == TM_V_INT) {
        assert_true(v->as.i == w.as.i);
    } else if (v->kind == TM_V_BOOL) {
        assert_int_equal(v->as.b, w.as.b);
    }
    free(text);
}

static void vector_both_ways(const struct tm_avro_schema *s, json_t *vector)
{
    static char framed[1 << 16];
    const struct tm_avro_field *fields;
    struct tm_err err = { .code = TM_OK };
    struct tm_buf out;
    struct tm_row row;
    struct tm_value v[16];
    char *texts[16] = { NULL };
    json_t *wanted = json_object_get(vector, "row");
    size_t count = tm_avro_schema_fields(s, &fields);
    tm_buf_init(&out, 1 << 20);
    tm_row_init(&row);
    memcpy(framed, "\0\0\0\0\x4d", TM_AVRO_FRAME_BYTES);
    size_t bytes = TM_AVRO_FRAME_BYTES + unhex(framed + TM_AVRO_FRAME_BYTES, sizeof framed - 5,
                                               json_string_value(json_object_get(vector, "bytes")));
    if (tm_avro_decode(s, &row, framed, bytes, &err) != TM_OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < count; i++) {
        assert_cell(fields[i].name, &row.cells[i].value, json_object_get(wanted, fields[i].name));
        v[i] = vector_value(json_object_get(wanted, fields[i].name), &texts[i]);
    }
    encode(s, &out, v, count);
    assert_int_equal(out.bytes, bytes);
    assert_memory_equal(out.data, framed, bytes);
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    tm_row_free(&row);
    tm_buf_free(&out);
}

static void bytes_are_those_of_another_implementation(void **state)
{
    (void)state;
    json_error_t where;
    json_t *file = json_load_file("fixtures/avro/vectors.json", 0, &where), *vector;
    size_t i;
    if (file == NULL)
        fail_msg("fixtures/avro/vectors.json: %s", where.text);
    char *text = json_dumps(json_object_get(file, "schema"), JSON_COMPACT);
    struct tm_avro_schema *s = parse(text);
    assert_int_equal(json_array_size(json_object_get(file, "vectors")), 4);
    /* twice: libavro's record is filled again and again */
    for (int round = 0; round < 2; round++)
        json_array_foreach(json_object_get(file, "vectors"), i, vector) vector_both_ways(s, vector);
    tm_avro_schema_close(s);
    free(text);
    json_decref(file);
}

/* ---- hostile bytes ---- */

static void every_cut_and_every_flipped_byte_is_survived(void **state)
{
    (void)state;
    struct tm_avro_schema *s = parse(schema_text);
    struct tm_value v[FIELDS];
    struct tm_buf out;
    struct tm_row row;
    struct tm_rng rng;
    tm_rng_init(&rng, 1);
    tm_buf_init(&out, 1 << 20);
    tm_row_init(&row);
    fill(v);
    encode(s, &out, v, FIELDS);
    for (size_t cut = 0; cut < out.bytes; cut++) {
        struct tm_err err = { .code = TM_OK };
        assert_int_equal(tm_avro_decode(s, &row, out.data, cut, &err), TM_E_PROTO);
        assert_int_equal(row.cells_count, 0);
    }
    for (int i = 0; i < 20000; i++) {
        struct tm_err err = { .code = TM_OK };
        size_t at = TM_AVRO_FRAME_BYTES + tm_rng_below(&rng, out.bytes - TM_AVRO_FRAME_BYTES);
        char kept = out.data[at];
        out.data[at] = (char)tm_rng_below(&rng, 256);
        enum tm_code rc = tm_avro_decode(s, &row, out.data, out.bytes, &err);
        assert_true(rc == TM_OK || rc == TM_E_PROTO);
        out.data[at] = kept;
    }
    tm_row_free(&row);
    tm_buf_free(&out);
    tm_avro_schema_close(s);
}

static void lengths_beyond_the_record_allocate_nothing(void **state)
{
    (void)state;
    struct tm_avro_schema *s =
        parse("{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"A\",\"type\":"
              "{\"type\":\"array\",\"items\":\"string\"}}]}");
    static const unsigned char huge[] = { 0,    0,    0,    0,    1,    0xFE, 0xFF, 0xFF,
                                          0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01 };
    static const unsigned char endless[] = { 0,    0,    0,    0,    1,    0xFF, 0xFF, 0xFF,
                                             0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };
    static const unsigned char minus[] = { 0, 0, 0, 0, 1, 0x01, 0x02, 0x01 };
    static const unsigned char block[] = { 0, 0, 0, 0, 1, 0x01, 0x04, 0x02, 'x', 0x00 };
    static const unsigned char after[] = { 0, 0, 0, 0, 1, 0x00, 0x00 };
    /* block counts that are 0 in 32 bits: a list that has ended goes on */
    static const unsigned char least[] = { 0,    0,    0,    0,    1,    0xFF, 0xFF,
                                           0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                           0x01, 0x00, 0x02, 0x02, 'x',  0x00 };
    static const unsigned char wide[] = { 0,    0,    0,    0,    1,   0x80, 0x80,
                                          0x80, 0x80, 0x20, 0x02, 'x', 0x00 };
    static const unsigned char longer[] = { 0, 0, 0, 0, 1, 0x02, 0x40, 'x', 0x00 };
    struct tm_row row;
    struct tm_err err = { .code = TM_OK };
    tm_row_init(&row);
    assert_int_equal(tm_avro_decode(s, &row, huge, sizeof huge, &err), TM_E_PROTO);
    tm_err_clear(&err);
    assert_int_equal(tm_avro_decode(s, &row, endless, sizeof endless, &err), TM_E_PROTO);
    tm_err_clear(&err);
    assert_int_equal(tm_avro_decode(s, &row, minus, sizeof minus, &err), TM_E_PROTO);
    tm_err_clear(&err);
    assert_int_equal(tm_avro_decode(s, &row, after, sizeof after, &err), TM_E_PROTO);
    tm_err_clear(&err);
    assert_int_equal(tm_avro_decode(s, &row, least, sizeof least, &err), TM_E_PROTO);
    tm_err_clear(&err);
    assert_int_equal(tm_avro_decode(s, &row, wide, sizeof wide, &err), TM_E_PROTO);
    tm_err_clear(&err);
    assert_int_equal(tm_avro_decode(s, &row, longer, sizeof longer, &err), TM_E_PROTO);
    assert_non_null(strstr(err.msg, "string is longer than the record"));
    tm_err_clear(&err);
    /* a sized block is legal */
    assert_int_equal(tm_avro_decode(s, &row, block, sizeof block, &err), TM_OK);
    assert_string_equal(tm_value_text(&row.cells[0].value), "[\"x\"]");
    assert_true(row.arena.cap < 4096);
    tm_row_free(&row);
    tm_avro_schema_close(s);
}

static void what_libavro_finds_wrong_is_said_once_and_names_the_field(void **state)
{
    (void)state;
    struct tm_avro_schema *s =
        parse("{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"A\",\"type\":\"int\"},"
              "{\"name\":\"B\",\"type\":\"boolean\"}]}");
    static const unsigned char two[] = { 0, 0, 0, 0, 1, 0x02, 0x01 };
    struct tm_row row;
    tm_row_init(&row);
    for (int i = 0; i < 3; i++) {
        struct tm_err err = { .code = TM_OK };
        assert_int_equal(tm_avro_decode(s, &row, "\0\0\0\0\1", 5, &err), TM_E_PROTO);
        assert_string_equal(err.msg, "Avro record: field A: Cannot read int value: Cannot read 1 "
                                     "bytes from memory buffer");
        tm_err_clear(&err);
        assert_int_equal(tm_avro_decode(s, &row, "\0\0\0\0\1\2", 6, &err), TM_E_PROTO);
        assert_non_null(strstr(err.msg, "field B: Cannot read boolean"));
        tm_err_clear(&err);
        assert_int_equal(tm_avro_decode(s, &row, two, sizeof two, &err), TM_OK);
    }
    static const unsigned char neither[] = { 0, 0, 0, 0, 1, 0x02, 0x03 };
    struct tm_err err = { .code = TM_OK };
    assert_int_equal(tm_avro_decode(s, &row, neither, sizeof neither, &err), TM_E_PROTO);
    assert_non_null(strstr(err.msg, "boolean is neither 0 nor 1"));
    tm_row_free(&row);
    tm_avro_schema_close(s);
}

static void unframed_values_are_refused(void **state)
{
    (void)state;
    struct tm_err err = { .code = TM_OK };
    int32_t id;
    assert_int_equal(tm_avro_frame_id(&id, "\0\0\0", 3, &err), TM_E_PROTO);
    tm_err_clear(&err);
    assert_int_equal(tm_avro_frame_id(&id, "{\"a\":1}", 7, &err), TM_E_PROTO);
    tm_err_clear(&err);
    assert_int_equal(tm_avro_frame_id(&id, "\0\xFF\0\0\0\0", 6, &err), TM_E_PROTO);
}

static void schemas_beyond_our_types_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "\"string\"",
        "{\"type\":\"record\",\"name\":\"T\",\"fields\":[]}",
        "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"F\",\"type\":\"bytes\"}]}",
        "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"F\"}]}",
        "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"type\":\"int\"}]}",
        "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"a name\",\"type\":\"int\"}]}",
        "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"F\",\"type\":[\"string\","
        "\"int\"]}]}",
        "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"F\",\"type\":[\"null\",["
        "\"null\",\"int\"]]}]}",
        "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"F\",\"type\":\"int\"},{"
        "\"name\":\"F\",\"type\":\"int\"}]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tm_err err = { .code = TM_OK };
        struct tm_avro_schema *s;
        assert_int_equal(tm_avro_schema_parse(&s, bad[i], strlen(bad[i]), &err), TM_E_PROTO);
        assert_null(s);
    }
    char deep[4096] = "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"F\",\"type\":";
    for (int i = 0; i < 20; i++)
        strcat(deep, "{\"type\":\"array\",\"items\":");
    struct tm_err err = { .code = TM_OK };
    struct tm_avro_schema *s;
    strcat(deep, "\"int\"}}}}}}}}}}}}}}}}}}}}}]}");
    assert_int_equal(tm_avro_schema_parse(&s, deep, strlen(deep), &err), TM_E_LIMIT);
}

static void schema_text_is_kept_to_the_byte(void **state)
{
    (void)state;
    struct tm_avro_schema *s = parse(schema_text);
    const struct tm_avro_field *fields;
    assert_string_equal(tm_avro_schema_text(s), schema_text);
    assert_int_equal(tm_avro_schema_fields(s, &fields), FIELDS);
    assert_int_equal(fields[6].type, TM_AVRO_DATE);
    assert_true(fields[6].nullable);
    assert_int_equal(fields[7].type, TM_AVRO_TIMESTAMP);
    assert_int_equal(fields[8].type, TM_AVRO_RECORD);
    assert_false(fields[8].nullable);
    tm_avro_schema_close(s);
    tm_avro_schema_close(NULL);
}

/* Two users of one text: neither sees what the other leaves in it, and it outlives the first. The
 * last test: what is kept stays kept. */
static void schemas_that_are_kept_are_one_and_no_user_sees_the_other(void **state)
{
    struct tm_value v[FIELDS];
    struct tm_err err = { .code = TM_OK };
    struct tm_buf out;
    struct tm_row mine, theirs;
    (void)state;
    tm_avro_schemas_keep();
    struct tm_avro_schema *a = parse(schema_text), *b = parse(schema_text);
    assert_ptr_equal(a, b);
    tm_buf_init(&out, 1 << 20);
    tm_row_init(&mine);
    tm_row_init(&theirs);
    fill(v);
    encode(a, &out, v, FIELDS);
    assert_int_equal(tm_avro_decode(a, &mine, out.data, out.bytes, &err), TM_OK);
    v[0] = tm_value_of_text("006000000000002AAA");
    v[1] = tm_value_of_text(NULL);
    encode(b, &out, v, FIELDS);
    assert_int_equal(tm_avro_decode(b, &theirs, out.data, out.bytes, &err), TM_OK);
    assert_string_equal(mine.cells[0].value.as.t.text, "006000000000001AAA");
    assert_string_equal(mine.cells[1].value.as.t.text, "line\none \"quoted\" \xC3\xA9");
    assert_string_equal(theirs.cells[0].value.as.t.text, "006000000000002AAA");
    assert_int_equal(theirs.cells[1].value.kind, TM_V_NULL);
    tm_avro_schema_close(a);
    encode(b, &out, v, FIELDS);
    tm_avro_schema_close(b);
    for (int i = 0; i <= TM_AVRO_KEPT_MAX; i++) { /* the oldest goes, its users stay whole */
        char text[120];
        snprintf(text, sizeof text,
                 "{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"a\",\"type\":"
                 "\"string\"}]}",
                 i);
        a = parse(text);
        assert_string_equal(tm_avro_schema_text(a), text);
        tm_avro_schema_close(a);
    }
    tm_row_free(&mine);
    tm_row_free(&theirs);
    tm_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_comes_back_as_it_went),
        cmocka_unit_test(null_fields_come_back_null),
        cmocka_unit_test(a_value_that_does_not_fit_names_its_field),
        cmocka_unit_test(bytes_are_those_of_another_implementation),
        cmocka_unit_test(every_cut_and_every_flipped_byte_is_survived),
        cmocka_unit_test(lengths_beyond_the_record_allocate_nothing),
        cmocka_unit_test(what_libavro_finds_wrong_is_said_once_and_names_the_field),
        cmocka_unit_test(unframed_values_are_refused),
        cmocka_unit_test(schemas_beyond_our_types_are_refused_by_name),
        cmocka_unit_test(schema_text_is_kept_to_the_byte),
        cmocka_unit_test(schemas_that_are_kept_are_one_and_no_user_sees_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
