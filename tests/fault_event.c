/* Out of memory at allocation 1, 2, 3 … while schemas, records and change events are taken apart
 * and put together: every run ends well or says TM_E_NOMEM, and nothing half-made is taken for an
 * answer. */
#include "event/change.h"
#include "event/contract.h"
#include "tests/support_event.h"
#include "tests/support_fault.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char schema_text[] =
    "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"Id\",\"type\":\"string\"},"
    "{\"name\":\"L\",\"type\":[\"null\",{\"type\":\"array\",\"items\":\"string\"}]}]}";

static bool schema_round(unsigned n)
{
    struct tm_avro_schema *s = NULL;
    struct tm_err err = { .code = TM_OK };
    const struct tm_avro_field *fields;
    fault_arm(n);
    enum tm_code rc = tm_avro_schema_parse(&s, schema_text, sizeof schema_text - 1, &err);
    bool hit = fault_disarm();
    if (rc == TM_OK)
        assert_int_equal(tm_avro_schema_fields(s, &fields), 2);
    else
        assert_true(hit && s == NULL);
    tm_avro_schema_close(s);
    return hit;
}

static bool codec_round(unsigned n)
{
    const struct tm_value values[] = {
        tm_value_of_text("a long enough text to make the buffers grow more than once, and then "
                         "some more of it, until the second allocation is needed"),
        tm_value_of_json("[\"x\",\"y\"]")
    };
    struct tm_avro_schema *s = NULL;
    struct tm_err err = { .code = TM_OK };
    struct tm_buf out;
    struct tm_row row;
    assert_int_equal(tm_avro_schema_parse(&s, schema_text, sizeof schema_text - 1, &err), TM_OK);
    tm_buf_init(&out, 1 << 16);
    tm_row_init(&row);
    fault_arm(n);
    enum tm_code rc = tm_avro_encode(s, 1, &out, values, 2, &err);
    if (rc == TM_OK)
        rc = tm_avro_decode(s, &row, out.data, out.bytes, &err);
    bool hit = fault_disarm();
    if (rc == TM_OK) {
        assert_string_equal(tm_value_text(tm_row_get(&row, "Id")), values[0].as.t.text);
        assert_string_equal(tm_value_text(tm_row_get(&row, "L")), "[\"x\",\"y\"]");
    } else {
        assert_true(hit && rc == TM_E_NOMEM && row.cells_count == 0);
    }
    tm_row_free(&row);
    tm_buf_free(&out);
    tm_avro_schema_close(s);
    return hit;
}

static bool change_round(unsigned n)
{
    struct tm_describe *d = support_describe("Opportunity");
    struct tm_change_event e;
    struct tm_err err = { .code = TM_OK };
    json_t *data = support_change("Opportunity", "UPDATE", 7,
                                  "[\"006000000000001\",\"006000000000002AAA\"]", "[\"Amount\"]",
                                  "{\"OwnerId\":\"005000000000001\",\"Amount\":1,\"Description\":{"
                                  "\"diff\":\"x\"},\"New__c\":1}");
    tm_change_event_init(&e);
    fault_arm(n);
    enum tm_code rc = tm_change_event_parse(&e, data, d, &err);
    bool hit = fault_disarm();
    if (rc == TM_OK) {
        assert_int_equal(e.ids_count, 2);
        assert_int_equal(json_array_size(e.diff_fields), 1);
        assert_int_equal(json_array_size(e.unknown_fields), 1);
        assert_string_equal(tm_value_text(tm_row_get(&e.fields, "OwnerId")), "005000000000001AAA");
    } else {
        assert_true(hit && rc == TM_E_NOMEM);
    }
    tm_change_event_free(&e);
    json_decref(data);
    tm_describe_close(d);
    return hit;
}

static bool contract_round(unsigned n)
{
    struct tm_describe *d = support_describe("Opportunity");
    struct tm_buf text;
    struct tm_err err = { .code = TM_OK };
    tm_buf_init(&text, 1 << 20);
    fault_arm(n);
    enum tm_code rc = tm_contract_schema_raw(&text, d, &err);
    bool hit = fault_disarm();
    if (rc == TM_OK)
        assert_int_equal(text.data[text.bytes - 1], '}');
    else
        assert_true(hit && rc == TM_E_NOMEM);
    tm_buf_free(&text);
    tm_describe_close(d);
    return hit;
}

static void a_schema_without_memory_is_no_schema(void **state)
{
    (void)state;
    fault_until_nothing_fails(schema_round, 5);
}

static void a_record_without_memory_is_no_record(void **state)
{
    (void)state;
    fault_until_nothing_fails(codec_round, 4);
}

static void a_change_event_without_memory_says_so(void **state)
{
    (void)state;
    fault_until_nothing_fails(change_round, 5);
}

static void a_topic_schema_without_memory_says_so(void **state)
{
    (void)state;
    fault_until_nothing_fails(contract_round, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_schema_without_memory_is_no_schema),
        cmocka_unit_test(a_record_without_memory_is_no_record),
        cmocka_unit_test(a_change_event_without_memory_says_so),
        cmocka_unit_test(a_topic_schema_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
