/* What the integration user may see of the org, numbers that change their type, and replay ids that
 * begin anew. */
#include "tests/support_org.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define T0 ORG_ORIGIN_MS
static char text[65536];

static const json_t *header_of(const json_t *event)
{
    return json_object_get(json_object_get(event, "payload"), "ChangeEventHeader");
}

static void a_hidden_field_is_in_no_describe_and_no_event_and_goes_on_changing(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES], schema[24];
    org_make_account(f->org, id, "A", T0);
    snprintf(schema, sizeof schema, "%s", tm_org_schema_id(f->org, "Account"));
    uint64_t version = tm_org_schema_version(f->org);
    assert_int_equal(tm_org_field_hide(f->org, "Account", "phone", true, NULL), TM_OK);
    assert_null(tm_describe_field(tm_org_describe(f->org, "Account"), "Phone"));
    assert_true(tm_describe_field(tm_org_describe_whole(f->org, "Account"), "Phone")->hidden);
    assert_string_equal(schema, tm_org_schema_id(f->org, "Account")); /* of the org, not the user */
    assert_true(tm_org_schema_version(f->org) > version);
    struct tm_org_set sets[] = { { "Phone", org_text("555") },
                                 { "Name", org_text("B") },
                                 { NULL, org_null() } };
    assert_int_equal(org_one(f->org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", id, sets, T0 + 1000),
                     TM_OK);
    json_t *e = org_last_event(f->org, "Account");
    const json_t *changed = json_object_get(header_of(e), "changedFields");
    assert_null(json_object_get(json_object_get(e, "payload"), "Phone"));
    assert_int_equal(json_array_size(changed), 2); /* Name, LastModifiedDate */
    json_decref(e);
    assert_string_equal(org_ask(f->org, "SELECT Phone FROM cur_Account", text), "555");
    org_fixture_reopen(f);
    assert_null(tm_describe_field(tm_org_describe(f->org, "Account"), "Phone"));
    assert_int_equal(tm_org_field_hide(f->org, "Account", "Phone", false, NULL), TM_OK);
    assert_non_null(tm_describe_field(tm_org_describe(f->org, "Account"), "Phone"));
    assert_string_equal(schema, tm_org_schema_id(f->org, "Account"));
    assert_int_equal(org_one(f->org, TM_ORG_DELETE, TM_ORG_NORMAL, "Account", id, NULL, T0 + 2000),
                     TM_OK);
    assert_int_equal(
        org_one(f->org, TM_ORG_UNDELETE, TM_ORG_NORMAL, "Account", id, NULL, T0 + 3000), TM_OK);
    e = org_last_event(f->org, "Account");
    assert_string_equal(json_string_value(json_object_get(json_object_get(e, "payload"), "Phone")),
                        "555");
    json_decref(e);
}

static void required_system_and_compound_fields_are_never_hidden(void **state)
{
    struct org_fixture *f = *state;
    static const char *const never[] = { "Name",           "Id",
                                         "IsDeleted",      "SystemModstamp",
                                         "BillingAddress", "NoSuch__c" };
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        assert_int_equal(tm_org_field_hide(f->org, "Account", never[i], true, NULL), TM_E_ARG);
    assert_int_equal(tm_org_field_hide(f->org, "NoSuch", "Name", true, NULL), TM_E_ARG);
    assert_int_equal(tm_org_field_hide(f->org, "Account", "BillingCity", true, NULL), TM_OK);
}

static void a_number_made_narrower_loses_its_decimals_in_the_recycle_bin_too(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES];
    json_t *field = json_pack("{s:s,s:s}", "name", "Depth__c", "type", "int"),
           *wide = json_pack("{s:s,s:i}", "type", "double", "scale", 2),
           *narrow = json_pack("{s:s,s:i}", "type", "int", "scale", 0);
    assert_int_equal(tm_org_field_add(f->org, "Account", field, NULL, NULL), TM_OK);
    assert_int_equal(tm_org_field_retype(f->org, "Account", "Depth__c", wide, NULL, NULL), TM_OK);
    org_make_account(f->org, id, "A", T0);
    struct tm_org_set sets[] = { { "Depth__c", org_real(3.75) }, { NULL, org_null() } };
    assert_int_equal(org_one(f->org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", id, sets, T0 + 1000),
                     TM_OK);
    assert_int_equal(org_one(f->org, TM_ORG_DELETE, TM_ORG_NORMAL, "Account", id, NULL, T0 + 2000),
                     TM_OK);
    assert_int_equal(tm_org_field_retype(f->org, "Account", "Depth__c", narrow, NULL, NULL), TM_OK);
    assert_int_equal(
        org_one(f->org, TM_ORG_UNDELETE, TM_ORG_NORMAL, "Account", id, NULL, T0 + 3000), TM_OK);
    json_t *e = org_last_event(f->org, "Account");
    const json_t *depth = json_object_get(json_object_get(e, "payload"), "Depth__c");
    assert_true(json_is_integer(depth));
    assert_int_equal(json_integer_value(depth), 3);
    json_decref(e);
    json_decref(field);
    json_decref(wide);
    json_decref(narrow);
}

static void replay_ids_that_begin_anew_are_lower_and_refuse_those_of_before(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES];
    int64_t tip = 0, oldest = 0, later = T0 + 100000;
    bool valid = true;
    assert_int_equal(tm_org_replay_restart(f->org, 1001, NULL), TM_OK);
    org_make_account(f->org, id, "A", T0);
    int64_t old = tm_org_replay_last(f->org, "Account");
    assert_true(old >= 1001);
    assert_int_equal(tm_org_replay_restart(f->org, 11, NULL), TM_OK);
    assert_int_equal(tm_org_replay_valid(f->org, old, later, &valid, NULL), TM_OK);
    assert_false(valid);
    assert_int_equal(tm_org_replay_tip(f->org, later, &tip, NULL), TM_OK);
    assert_int_equal(tm_org_replay_oldest(f->org, later, &oldest, NULL), TM_OK);
    assert_int_equal(tip, 10);
    assert_int_equal(oldest, 10);
    org_fixture_reopen(f); /* it stays so */
    org_make_account(f->org, id, "B", T0 + 5000);
    assert_in_range(tm_org_replay_last(f->org, "Account"), 11, 60);
    assert_int_equal(tm_org_replay_valid(f->org, 10, later, &valid, NULL), TM_OK);
    assert_true(valid);
    assert_int_equal(tm_org_replay_valid(f->org, 9, later, &valid, NULL), TM_OK);
    assert_false(valid);
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM history"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_AN_ORG(a_hidden_field_is_in_no_describe_and_no_event_and_goes_on_changing),
        ON_AN_ORG(required_system_and_compound_fields_are_never_hidden),
        ON_AN_ORG(a_number_made_narrower_loses_its_decimals_in_the_recycle_bin_too),
        ON_AN_ORG(replay_ids_that_begin_anew_are_lower_and_refuse_those_of_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
