#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "event/contract.h"
#include "tests/support_event.h"

static void topics_are_named_in_lower_case(void **state)
{
    (void)state;
    char topic[TM_TOPIC_NAME_MAX];
    tm_contract_topic_raw(topic, "Opportunity");
    assert_string_equal(topic, "sfdc.cdc.opportunity_raw");
    tm_contract_topic_alerts(topic, "Opportunity");
    assert_string_equal(topic, "alerts.sfdc.opportunity_gap_events");
    tm_contract_topic_recon(topic, "Deal__c");
    assert_string_equal(topic, "sfdc.recon.deal__c");
}

static size_t field_index(const struct tm_avro_field *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, name) == 0)
            return i;
    return count;
}

static void raw_schema_has_the_contract_fields_in_order(void **state)
{
    (void)state;
    struct tm_err err = { .code = TM_OK };
    struct tm_describe *d = support_describe("Opportunity");
    struct tm_buf text;
    struct tm_avro_schema *s;
    const struct tm_avro_field *f;
    tm_buf_init(&text, 1 << 20);
    assert_int_equal(tm_contract_schema_raw(&text, d, &err), TM_OK);
    assert_int_equal(tm_avro_schema_parse(&s, text.data, text.bytes, &err), TM_OK);
    size_t n = tm_avro_schema_fields(s, &f);
    assert_string_equal(f[0].name, "Id");
    assert_string_equal(f[1].name, "ReplayId");
    assert_string_equal(f[2].name, "ChangeEventHeader");
    assert_int_equal(f[2].type, TM_AVRO_RECORD);
    assert_string_equal(f[3].name, "LastName");
    assert_string_equal(f[n - 4].name, "_ObjectType");
    assert_string_equal(f[n - 3].name, "_EventType");
    assert_string_equal(f[n - 2].name, "_DiffFields");
    assert_string_equal(f[n - 1].name, "_epoch");
    static const char *const not_carried[] = { "IsDeleted", "SystemModstamp", "Formula__c",
                                               "BillingAddress", "Name" };
    for (size_t i = 0; i < sizeof not_carried / sizeof not_carried[0]; i++)
        assert_int_equal(field_index(f, n, not_carried[i]), n);
    assert_int_equal(f[field_index(f, n, "CloseDate")].type, TM_AVRO_DATE);
    assert_int_equal(f[field_index(f, n, "CreatedDate")].type, TM_AVRO_TIMESTAMP);
    assert_int_equal(f[field_index(f, n, "Visits")].type, TM_AVRO_INT);
    assert_int_equal(f[field_index(f, n, "Amount")].type, TM_AVRO_DOUBLE);
    assert_int_equal(f[field_index(f, n, "IsWon")].type, TM_AVRO_BOOLEAN);
    assert_int_equal(f[field_index(f, n, "Meet__c")].type, TM_AVRO_STRING);
    tm_avro_schema_close(s);
    tm_buf_free(&text);
    tm_describe_close(d);
}

static void every_schema_field_has_a_default_and_the_text_is_repeatable(void **state)
{
    (void)state;
    struct tm_err err = { .code = TM_OK };
    struct tm_describe *d = support_describe("Account");
    enum tm_code (*const build[])(struct tm_buf *, const struct tm_describe *, struct tm_err *) = {
        tm_contract_schema_raw, tm_contract_schema_alerts, tm_contract_schema_recon
    };
    struct tm_buf text, again;
    tm_buf_init(&text, 1 << 20);
    tm_buf_init(&again, 1 << 20);
    for (size_t i = 0; i < 3; i++) {
        json_error_t where;
        const json_t *field;
        size_t at;
        struct tm_avro_schema *s;
        assert_int_equal(build[i](&text, d, &err), TM_OK);
        assert_int_equal(build[i](&again, d, &err), TM_OK);
        assert_string_equal(text.data, again.data);
        json_t *json = json_loadb(text.data, text.bytes, 0, &where);
        assert_non_null(json);
        json_array_foreach(json_object_get(json, "fields"), at, field)
            assert_non_null(json_object_get(field, "default"));
        json_decref(json);
        assert_int_equal(tm_avro_schema_parse(&s, text.data, text.bytes, &err), TM_OK);
        tm_avro_schema_close(s);
    }
    tm_buf_free(&text);
    tm_buf_free(&again);
    tm_describe_close(d);
}

static void recon_schema_carries_answer_fields_then_columns(void **state)
{
    (void)state;
    static const char *const first[] = { "Id",          "_kind",     "_g",         "_epoch",
                                         "_read_id",    "_read_seq", "_read_kind", "_count",
                                         "_partitions", "LastName" };
    struct tm_err err = { .code = TM_OK };
    struct tm_describe *d = support_describe("Account");
    struct tm_buf text;
    struct tm_avro_schema *s;
    const struct tm_avro_field *f;
    tm_buf_init(&text, 1 << 20);
    assert_int_equal(tm_contract_schema_recon(&text, d, &err), TM_OK);
    assert_int_equal(tm_avro_schema_parse(&s, text.data, text.bytes, &err), TM_OK);
    assert_true(tm_avro_schema_fields(s, &f) > sizeof first / sizeof first[0]);
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        assert_string_equal(f[i].name, first[i]);
    tm_avro_schema_close(s);
    tm_buf_free(&text);
    tm_describe_close(d);
}

static struct tm_value value_of(const struct tm_describe *d, struct tm_buf *arena,
                                const char *field, json_t *json)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_value v;
    if (tm_contract_value(&v, arena, tm_describe_field(d, field), json, &err) != TM_OK)
        fail_msg("%s", err.msg);
    return v;
}

static void rest_values_become_canonical(void **state)
{
    (void)state;
    struct tm_describe *d = support_describe("Account");
    struct tm_buf arena;
    json_t *rest = json_string("2021-03-05T10:15:30.000+0000"),
           *zulu = json_string("2021-03-05T10:15:30.000Z");
    json_t *id15 = json_string("001M000000qfPyS"), *day = json_string("2021-03-05"),
           *empty = json_string("");
    json_t *money = json_real(12.5), *whole = json_integer(7), *number = json_real(7.0);
    tm_buf_init(&arena, 1 << 20);
    assert_true(value_of(d, &arena, "CreatedDate", rest).as.i == 1614939330000);
    assert_true(value_of(d, &arena, "CreatedDate", zulu).as.i == 1614939330000);
    struct tm_value first = value_of(d, &arena, "OwnerId", id15);
    for (int i = 0; i < 500; i++)
        value_of(d, &arena, "OwnerId", id15);
    /* the arena has not moved under it */
    assert_string_equal(tm_value_text(&first), "001M000000qfPySIAU");
    assert_string_equal(value_of(d, &arena, "CloseDate", day).as.t.text, "2021-03-05");
    assert_int_equal(value_of(d, &arena, "StageName", empty).kind, TM_V_NULL);
    assert_int_equal(value_of(d, &arena, "StageName", json_null()).kind, TM_V_NULL);
    assert_true(value_of(d, &arena, "Amount", money).as.d == 12.5);
    assert_true(value_of(d, &arena, "Amount", whole).as.d == 7.0);
    assert_int_equal(value_of(d, &arena, "Visits", number).as.i, 7);
    assert_int_equal(value_of(d, &arena, "IsWon", json_false()).kind, TM_V_BOOL);
    json_t *all[] = { rest, zulu, id15, day, empty, money, whole, number };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        json_decref(all[i]);
    tm_buf_free(&arena);
    tm_describe_close(d);
}

static void mistyped_rest_values_name_their_field(void **state)
{
    (void)state;
    static const struct {
        const char *field, *json;
    } bad[] = {
        { "Amount", "\"12\"" },
        { "IsWon", "1" },
        { "Visits", "1.5" },
        { "StageName", "5" },
        { "CloseDate", "\"5.3.2021\"" },
        { "CreatedDate", "\"2021-03-05 10:15\"" },
        { "OwnerId", "\"short\"" },
        { "BillingAddress", "{}" },
    };
    struct tm_describe *d = support_describe("Account");
    struct tm_buf arena;
    tm_buf_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tm_err err = { .code = TM_OK };
        struct tm_value v;
        char text[700];
        json_t *json = json_loads(bad[i].json, JSON_DECODE_ANY, NULL);
        assert_true(tm_contract_value(&v, &arena, tm_describe_field(d, bad[i].field), json, &err) !=
                    TM_OK);
        assert_non_null(strstr(tm_err_text(&err, text, sizeof text), bad[i].field));
        json_decref(json);
    }
    tm_buf_free(&arena);
    tm_describe_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_are_named_in_lower_case),
        cmocka_unit_test(raw_schema_has_the_contract_fields_in_order),
        cmocka_unit_test(every_schema_field_has_a_default_and_the_text_is_repeatable),
        cmocka_unit_test(recon_schema_carries_answer_fields_then_columns),
        cmocka_unit_test(rest_values_become_canonical),
        cmocka_unit_test(mistyped_rest_values_name_their_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
