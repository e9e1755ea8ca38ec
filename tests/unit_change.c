#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "event/change.h"
#include "tests/support_event.h"

struct fixture {
    struct tm_describe *d;
    struct tm_change_event e;
    json_t *data;
};

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){ .d = support_describe("Opportunity") };
    tm_change_event_init(&f.e);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tm_change_event_free(&f->e);
    tm_describe_close(f->d);
    json_decref(f->data);
    return 0;
}

static void parse(struct fixture *f, json_t *data)
{
    struct tm_err err = { .code = TM_OK };
    char text[700];
    json_decref(f->data);
    f->data = data;
    if (tm_change_event_parse(&f->e, data, f->d, &err) != TM_OK)
        fail_msg("%s", tm_err_text(&err, text, sizeof text));
}

static void create_sets_scalars_in_canonical_form(void **state)
{
    struct fixture *f = *state;
    parse(f, support_change(
                 "Opportunity", "CREATE", 41, "[\"001M000000qfPyS\"]", "[]",
                 "{\"StageName\":\"Won\",\"Amount\":5,\"CloseDate\":\"2021-03-05\",\"IsWon\":true,"
                 "\"CreatedDate\":\"2021-03-05T10:15:30.000Z\",\"Visits\":3}"));
    assert_int_equal(f->e.type, TM_CHANGE_CREATE);
    assert_true(f->e.replay_id == 41);
    assert_int_equal(f->e.ids_count, 1);
    assert_string_equal(f->e.ids[0], "001M000000qfPySIAU");
    /* the list of a merged event is read by who knows 18 characters only */
    assert_non_null(
        strstr(tm_buf_text(&f->e.header_text), "\"recordIds\":[\"001M000000qfPySIAU\"]"));
    assert_string_equal(f->e.schema_id, "I8b-dYxvxs5wOtCBr4qsew");
    assert_int_equal(f->e.fields.cells_count, 6);
    assert_true(tm_row_get(&f->e.fields, "CreatedDate")->as.i == 1614939330000);
    assert_true(tm_row_get(&f->e.fields, "Amount")->as.d == 5.0);
    assert_true(tm_row_get(&f->e.fields, "IsWon")->as.b);
    assert_int_equal(json_array_size(f->e.unknown_fields), 0);
}

static void compound_parts_become_columns(void **state)
{
    struct fixture *f = *state;
    parse(f, support_change(
                 "Opportunity", "UPDATE", 1, "[\"006000000000001AAA\"]",
                 "[\"BillingAddress.Street\",\"Name.LastName\",\"BillingAddress.City\"]",
                 "{\"BillingAddress\":{\"Street\":\"1 Way\",\"City\":null,\"Latitude\":1.5},"
                 "\"Name\":{\"LastName\":\"Smith\"}}"));
    assert_string_equal(tm_value_text(tm_row_get(&f->e.fields, "BillingStreet")), "1 Way");
    assert_int_equal(tm_row_get(&f->e.fields, "BillingCity")->kind, TM_V_NULL);
    assert_true(tm_row_get(&f->e.fields, "BillingLatitude")->as.d == 1.5);
    assert_string_equal(tm_value_text(tm_row_get(&f->e.fields, "LastName")), "Smith");
    assert_null(tm_row_get(&f->e.fields, "FirstName"));
    assert_non_null(strstr(f->e.header_text.data, "\"BillingAddress.Street\""));
}

static void compound_null_clears_all_its_parts(void **state)
{
    struct fixture *f = *state;
    parse(f, support_change("Opportunity", "UPDATE", 1, "[\"006000000000001AAA\"]",
                            "[\"BillingAddress\"]", "{\"BillingAddress\":null}"));
    assert_int_equal(f->e.fields.cells_count, 3);
    assert_int_equal(tm_row_get(&f->e.fields, "BillingStreet")->kind, TM_V_NULL);
}

static void changed_fields_are_converted_only_when_asked(void **state)
{
    struct fixture *f = *state;
    f->e.convert_changed_fields = true;
    parse(f, support_change("Opportunity", "UPDATE", 1, "[\"006000000000001AAA\"]",
                            "[\"BillingAddress.Street\",\"Amount\",\"Gone__c\"]", "{}"));
    assert_non_null(strstr(f->e.header_text.data,
                           "\"changedFields\":[\"BillingStreet\",\"Amount\",\"Gone__c\"]"));
}

static void header_text_has_ten_keys_in_the_connectors_order(void **state)
{
    struct fixture *f = *state;
    parse(f, support_change("Opportunity", "UPDATE", 2, "[\"006000000000001AAA\"]", "[\"Amount\"]",
                            "{\"Amount\":null}"));
    assert_string_equal(
        f->e.header_text.data,
        "{\"entityName\":\"Opportunity\",\"recordIds\":[\"006000000000001AAA\"],\"changeType\":"
        "\"UPDATE\","
        "\"changedFields\":[\"Amount\"],\"changeOrigin\":\"com/salesforce/api/rest/60.0\","
        "\"transactionKey\":\"00026831-c8e1-13c6-e65f-c3b849d556ee\",\"sequenceNumber\":1,"
        "\"commitTimestamp\":1655997706000,\"commitUser\":\"005000000000001AAA\","
        "\"commitNumber\":286001238096}");
}

static void diff_objects_are_listed_and_carry_no_value(void **state)
{
    struct fixture *f = *state;
    parse(f, support_change("Opportunity", "UPDATE", 2, "[\"006000000000001AAA\"]",
                            "[\"Description\"]",
                            "{\"Description\":{\"diff\":\"--- \\n+++ abc\\n@@\"}}"));
    assert_int_equal(json_array_size(f->e.diff_fields), 1);
    assert_string_equal(json_string_value(json_array_get(f->e.diff_fields, 0)), "Description");
    assert_null(tm_row_get(&f->e.fields, "Description"));
}

static void unknown_fields_are_collected_and_formulas_are_not(void **state)
{
    struct fixture *f = *state;
    parse(f, support_change("Opportunity", "UPDATE", 2, "[\"006000000000001AAA\"]", "[]",
                            "{\"New__c\":1,\"BillingAddress\":{\"County\":\"x\"},\"Formula__c\":3,"
                            "\"Other__c\":null}"));
    assert_int_equal(json_array_size(f->e.unknown_fields), 3);
    assert_string_equal(json_string_value(json_array_get(f->e.unknown_fields, 1)),
                        "BillingAddress.County");
    assert_int_equal(f->e.fields.cells_count, 0);
}

static void merged_overflow_and_wildcard_ids_are_kept_apart(void **state)
{
    struct fixture *f = *state;
    parse(f, support_change("Opportunity", "DELETE", 2,
                            "[\"006000000000001AAA\",\"006000000000002AAA\"]", "[]", "{}"));
    assert_int_equal(f->e.ids_count, 2);
    parse(f, support_change("Opportunity", "UPDATE", 3, "[\"001*\"]", "[]", "{}"));
    assert_true(tm_change_id_is_wildcard(f->e.ids[0]));
    parse(f,
          support_change("Opportunity", "GAP_OVERFLOW", 4, "[\"000000000000000AAA\"]", "[]", "{}"));
    assert_string_equal(f->e.ids[0], TM_ID_OVERFLOW);
    parse(f, support_change("Opportunity", "GAP_OVERFLOW", 5, "[]", "[]", "{}"));
    assert_string_equal(f->e.ids[0], TM_ID_OVERFLOW);
    assert_true(tm_change_is_gap("gap_update"));
    assert_false(tm_change_is_gap("UPDATE"));
    assert_int_equal(tm_change_type_parse("Gap_Undelete"), TM_CHANGE_GAP_UNDELETE);
    assert_int_equal(tm_change_type_parse("SNAPSHOT"), TM_CHANGE_UNKNOWN);
}

static void broken_events_say_what_is_wrong(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *json, *word;
    } bad[] = {
        { "{}", "payload" },
        { "{\"payload\":{}}", "replayId" },
        { "{\"payload\":{},\"event\":{\"replayId\":\"7\"}}", "replayId" },
        { "{\"payload\":{},\"event\":{\"replayId\":7}}", "changeType" },
        { "{\"payload\":{\"ChangeEventHeader\":{\"changeType\":\"UPDATE\"}},\"event\":{"
          "\"replayId\":7}}",
          "recordIds" },
        { "{\"payload\":{\"ChangeEventHeader\":{\"changeType\":\"UPDATE\",\"recordIds\":[\"bad\"]}}"
          ",\"event\":{\"replayId\":7}}",
          "recordIds[0]" },
        { "{\"payload\":{\"Amount\":\"x\",\"ChangeEventHeader\":{\"changeType\":\"UPDATE\","
          "\"recordIds\":[\"006000000000001AAA\"]}},"
          "\"event\":{\"replayId\":7}}",
          "Amount" },
        { "{\"payload\":{\"ChangeEventHeader\":{\"changeType\":\"UPDATE\",\"recordIds\":["
          "\"006000000000001AAA\"],"
          "\"commitNumber\":\"x\"}},\"event\":{\"replayId\":7}}",
          "commitNumber" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tm_err err = { .code = TM_OK };
        char text[700];
        json_t *data = json_loads(bad[i].json, 0, NULL);
        assert_non_null(data);
        assert_int_equal(tm_change_event_parse(&f->e, data, f->d, &err), TM_E_PROTO);
        if (strstr(tm_err_text(&err, text, sizeof text), bad[i].word) == NULL)
            fail_msg("case %zu: \"%s\" does not name %s", i, text, bad[i].word);
        json_decref(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(create_sets_scalars_in_canonical_form, setup, teardown),
        cmocka_unit_test_setup_teardown(compound_parts_become_columns, setup, teardown),
        cmocka_unit_test_setup_teardown(compound_null_clears_all_its_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(changed_fields_are_converted_only_when_asked, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(header_text_has_ten_keys_in_the_connectors_order, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(diff_objects_are_listed_and_carry_no_value, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(unknown_fields_are_collected_and_formulas_are_not, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(merged_overflow_and_wildcard_ids_are_kept_apart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(broken_events_say_what_is_wrong, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
