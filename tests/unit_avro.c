#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <avro.h>
#include <math.h>
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

/* ---- against libavro ---- */

static void set_union(avro_value_t *record, const char *name, int branch, avro_value_t *out)
{
    avro_value_t field;
    assert_int_equal(avro_value_get_by_name(record, name, &field, NULL), 0);
    assert_int_equal(avro_value_set_branch(&field, branch, out), 0);
}

static void libavro_fill(avro_value_t *record)
{
    avro_value_t v, header, item;
    assert_int_equal(avro_value_get_by_name(record, "Id", &v, NULL), 0);
    avro_value_set_string(&v, "006000000000001AAA");
    set_union(record, "Text", 1, &v);
    avro_value_set_string(&v, "line\none \"quoted\" \xC3\xA9");
    set_union(record, "Flag", 1, &v);
    avro_value_set_boolean(&v, 1);
    set_union(record, "Count", 1, &v);
    avro_value_set_int(&v, -7);
    set_union(record, "Big", 0, &v);
    avro_value_set_long(&v, INT64_MIN);
    set_union(record, "Amount", 1, &v);
    avro_value_set_double(&v, 1200.25);
    set_union(record, "Day", 1, &v);
    avro_value_set_int(&v, 18691);
    set_union(record, "At", 1, &v);
    avro_value_set_long(&v, 1614939330000);
    assert_int_equal(avro_value_get_by_name(record, "Header", &header, NULL), 0);
    set_union(&header, "kind", 1, &v);
    avro_value_set_string(&v, "GAP");
    set_union(&header, "ids", 1, &v);
    avro_value_append(&v, &item, NULL);
    avro_value_set_string(&item, "a\xC3\xA9");
    avro_value_append(&v, &item, NULL);
    avro_value_set_string(&item, "b\n");
    set_union(&header, "seq", 0, &v);
    assert_int_equal(avro_value_get_by_name(&header, "rate", &v, NULL), 0);
    avro_value_set_double(&v, 0.5);
    assert_int_equal(avro_value_get_by_name(&header, "ok", &v, NULL), 0);
    avro_value_set_boolean(&v, 0);
}

static void encoder_writes_what_libavro_reads(void **state)
{
    (void)state;
    struct tm_avro_schema *s = parse(schema_text);
    struct tm_value v[FIELDS];
    struct tm_buf out;
    avro_schema_t schema;
    avro_value_t mine, theirs;
    assert_int_equal(avro_schema_from_json_length(schema_text, sizeof schema_text - 1, &schema), 0);
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    avro_generic_value_new(iface, &mine);
    avro_generic_value_new(iface, &theirs);
    tm_buf_init(&out, 1 << 20);
    fill(v);
    encode(s, &out, v, FIELDS);
    avro_reader_t reader = avro_reader_memory(out.data + TM_AVRO_FRAME_BYTES,
                                              (int64_t)(out.bytes - TM_AVRO_FRAME_BYTES));
    assert_int_equal(avro_value_read(reader, &mine), 0);
    libavro_fill(&theirs);
    assert_true(avro_value_equal(&mine, &theirs));
    avro_reader_free(reader);
    avro_value_decref(&mine);
    avro_value_decref(&theirs);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    tm_buf_free(&out);
    tm_avro_schema_close(s);
}

static void decoder_reads_what_libavro_writes(void **state)
{
    (void)state;
    struct tm_avro_schema *s = parse(schema_text);
    struct tm_err err = { .code = TM_OK };
    struct tm_row row;
    char bytes[512] = { 0, 0, 0, 0, 77 };
    avro_schema_t schema;
    avro_value_t theirs;
    tm_row_init(&row);
    assert_int_equal(avro_schema_from_json_length(schema_text, sizeof schema_text - 1, &schema), 0);
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    avro_generic_value_new(iface, &theirs);
    libavro_fill(&theirs);
    avro_writer_t writer =
        avro_writer_memory(bytes + TM_AVRO_FRAME_BYTES, sizeof bytes - TM_AVRO_FRAME_BYTES);
    assert_int_equal(avro_value_write(writer, &theirs), 0);
    size_t count = (size_t)avro_writer_tell(writer) + TM_AVRO_FRAME_BYTES;
    assert_int_equal(tm_avro_decode(s, &row, bytes, count, &err), TM_OK);
    assert_string_equal(tm_value_text(tm_row_get(&row, "Day")), "2021-03-05");
    assert_true(tm_row_get(&row, "Big")->as.i == INT64_MIN);
    assert_string_equal(tm_value_text(tm_row_get(&row, "Header")),
                        "{\"kind\":\"GAP\",\"ids\":[\"a\xC3\xA9\",\"b\\n\"],\"seq\":null,\"rate\":"
                        "0.5,\"ok\":false}");
    avro_writer_free(writer);
    avro_value_decref(&theirs);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    tm_row_free(&row);
    tm_avro_schema_close(s);
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
    /* a sized block is legal */
    assert_int_equal(tm_avro_decode(s, &row, block, sizeof block, &err), TM_OK);
    assert_string_equal(tm_value_text(&row.cells[0].value), "[\"x\"]");
    assert_true(row.arena.cap < 4096);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_comes_back_as_it_went),
        cmocka_unit_test(null_fields_come_back_null),
        cmocka_unit_test(a_value_that_does_not_fit_names_its_field),
        cmocka_unit_test(encoder_writes_what_libavro_reads),
        cmocka_unit_test(decoder_reads_what_libavro_writes),
        cmocka_unit_test(every_cut_and_every_flipped_byte_is_survived),
        cmocka_unit_test(lengths_beyond_the_record_allocate_nothing),
        cmocka_unit_test(unframed_values_are_refused),
        cmocka_unit_test(schemas_beyond_our_types_are_refused_by_name),
        cmocka_unit_test(schema_text_is_kept_to_the_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
