/* unit_org_events: what one commit leaves behind: current state, history, and the event that tells
 * of it. */
#include "tests/support_org.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define T0 ORG_ORIGIN_MS
static char text[65536];

static const json_t *payload(const json_t *event)
{
    return json_object_get(event, "payload");
}
static const json_t *header(const json_t *event)
{
    return json_object_get(payload(event), "ChangeEventHeader");
}
static const char *header_text(const json_t *event, const char *key)
{
    return json_string_value(json_object_get(header(event), key));
}
static size_t header_size(const json_t *event, const char *key)
{
    return json_array_size(json_object_get(header(event), key));
}
static const char *at(const json_t *event, const char *key, size_t i)
{
    return json_string_value(json_array_get(json_object_get(header(event), key), i));
}

static void create_event_carries_all_non_empty_fields_and_ten_header_keys(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES];
    org_make_account(f->org, id, "Acme", T0 + 1234);
    json_t *e = org_last_event(f->org, "Account");
    const json_t *p = payload(e);
    assert_int_equal(json_object_size(header(e)), 10);
    assert_string_equal(header_text(e, "changeType"), "CREATE");
    assert_string_equal(at(e, "recordIds", 0), id);
    assert_int_equal(header_size(e, "changedFields"), 0);
    assert_int_equal(json_integer_value(json_object_get(header(e), "commitTimestamp")), T0 + 1000);
    assert_string_equal(json_string_value(json_object_get(p, "CreatedDate")), "2026-03-02T08:00:01."
                                                                              "000Z");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(p, "BillingAddress"), "Street")), "1 Sea "
                                                                                            "Road");
    assert_int_equal(json_object_size(json_object_get(p, "BillingAddress")), 2);
    assert_true(json_is_false(json_object_get(p, "Active__c")));
    static const char *const never[] = {
        "Id", "IsDeleted", "SystemModstamp", "RevenuePerHead__c", "Phone", "BillingStreet"
    };
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        assert_null(json_object_get(p, never[i]));
    assert_int_equal(strlen(json_string_value(json_object_get(e, "schema"))), 22);
    json_decref(e);
}

static void update_event_names_only_what_changed_with_nulls_spelled_out(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES];
    org_make_account(f->org, id, "Acme", T0);
    struct tm_org_set sets[] = { { "Name", org_text("Acme") /* as it is: not a change */ },
                                 { "BillingStreet", org_null() },
                                 { "HQ__Latitude__s", org_real(51.5) },
                                 { "AnnualRevenue", org_int(12) },
                                 { NULL, org_null() } };
    assert_int_equal(org_one(f->org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", id, sets, T0 + 5500),
                     TM_OK);
    json_t *e = org_last_event(f->org, "Account");
    const json_t *p = payload(e), *address = json_object_get(p, "BillingAddress");
    assert_int_equal(json_object_size(p), 5);
    assert_int_equal(json_object_size(address), 1);
    assert_true(json_is_null(json_object_get(address, "Street")));
    assert_true(json_is_real(json_object_get(json_object_get(p, "HQ__c"), "Latitude")));
    assert_int_equal(header_size(e, "changedFields"), 4);
    assert_string_equal(at(e, "changedFields", 0), "BillingAddress.Street");
    assert_string_equal(at(e, "changedFields", 2), "LastModifiedDate");
    assert_string_equal(at(e, "changedFields", 3), "HQ__c.Latitude");
    assert_string_equal(org_ask(f->org, "SELECT changed FROM history WHERE pos=2", text),
                        "[\"BillingStreet\",\"AnnualRevenue\",\"LastModifiedDate\",\"HQ__Latitude__"
                        "s\"]");
    assert_string_equal(org_ask(f->org, "SELECT fields FROM history WHERE pos=2", text),
                        "{\"BillingStreet\":null,\"AnnualRevenue\":12.0,\"LastModifiedDate\":"
                        "1772438405000,"
                        "\"SystemModstamp\":1772438405000,\"HQ__Latitude__s\":51.5}");
    json_decref(e);
}

static void another_user_shows_in_last_modified_by(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES], user[TM_ID_BYTES];
    org_make_account(f->org, id, "Acme", T0);
    tm_org_id_of(f->org, user, "005", 9);
    struct tm_org_set set = { "Name", org_text("Acme 2") };
    struct tm_org_change change = {
        .kind = TM_ORG_UPDATE, .object = "Account", .sets = &set, .sets_count = 1
    };
    struct tm_org_txn txn = {
        .changes = &change, .changes_count = 1, .org_ms = T0, .user = user, .origin = "here"
    };
    memcpy(change.id, id, sizeof id);
    assert_int_equal(tm_org_commit(f->org, &txn, NULL), TM_OK);
    json_t *e = org_last_event(f->org, "Account");
    assert_string_equal(json_string_value(json_object_get(payload(e), "LastModifiedById")), user);
    assert_string_equal(header_text(e, "commitUser"), user);
    assert_string_equal(header_text(e, "changeOrigin"), "here");
    json_decref(e);
}

static void undelete_after_delete_restores_every_field(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES];
    org_make_account(f->org, id, "Acme", T0);
    json_t *before = org_last_event(f->org, "Account");
    assert_int_equal(org_one(f->org, TM_ORG_DELETE, TM_ORG_NORMAL, "Account", id, NULL, T0 + 60000),
                     TM_OK);
    json_t *gone = org_last_event(f->org, "Account");
    assert_string_equal(header_text(gone, "changeType"), "DELETE");
    assert_int_equal(json_object_size(payload(gone)), 1);
    assert_string_equal(org_ask(f->org, "SELECT change||fields FROM history WHERE pos=2", text),
                        "DELETE{\"IsDeleted\":1,\"LastModifiedDate\":1772438460000,"
                        "\"SystemModstamp\":1772438460000}");
    assert_int_equal(org_ask_int(f->org, "SELECT IsDeleted FROM cur_Account"), 1);
    assert_int_equal(org_one(f->org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", id, NULL, T0 + 61000),
                     TM_E_ARG);
    assert_string_equal(tm_org_error_code(f->org), "ENTITY_IS_DELETED");
    assert_int_equal(
        org_one(f->org, TM_ORG_UNDELETE, TM_ORG_NORMAL, "Account", id, NULL, T0 + 120000), TM_OK);
    json_t *after = org_last_event(f->org, "Account");
    assert_string_equal(header_text(after, "changeType"), "UNDELETE");
    json_object_del((json_t *)payload(before), "LastModifiedDate");
    json_object_del((json_t *)payload(after), "LastModifiedDate");
    json_object_del((json_t *)payload(before), "ChangeEventHeader");
    json_object_del((json_t *)payload(after), "ChangeEventHeader");
    assert_true(json_equal(payload(before), payload(after)));
    assert_int_equal(
        org_one(f->org, TM_ORG_UNDELETE, TM_ORG_NORMAL, "Account", id, NULL, T0 + 130000),
        TM_E_ARG);
    json_decref(before);
    json_decref(gone);
    json_decref(after);
}

static void hard_delete_is_told_only_when_the_record_was_live(void **state)
{
    struct org_fixture *f = *state;
    char a[TM_ID_BYTES], b[TM_ID_BYTES];
    org_make_account(f->org, a, "A", T0);
    org_make_account(f->org, b, "B", T0);
    assert_int_equal(
        org_one(f->org, TM_ORG_HARD_DELETE, TM_ORG_NORMAL, "Account", a, NULL, T0 + 1000), TM_OK);
    assert_string_equal(
        org_ask(f->org, "SELECT change||event||fields FROM history WHERE pos=3", text), "HARD_"
                                                                                        "DELETEDELE"
                                                                                        "TE{}");
    assert_int_equal(org_one(f->org, TM_ORG_DELETE, TM_ORG_NORMAL, "Account", b, NULL, T0 + 2000),
                     TM_OK);
    assert_int_equal(
        org_one(f->org, TM_ORG_HARD_DELETE, TM_ORG_NORMAL, "Account", b, NULL, T0 + 3000), TM_OK);
    assert_string_equal(org_ask(f->org,
                                "SELECT change||coalesce(event,' none')||version FROM history "
                                "WHERE pos=5",
                                text),
                        "HARD_DELETE none3");
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM cur_Account"), 0);
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM event WHERE change='DELETE'"), 2);
    enum tm_org_state s;
    assert_int_equal(tm_org_record_state(f->org, "Account", a, &s, NULL), TM_OK);
    assert_int_equal(s, TM_ORG_ABSENT);
}

static enum tm_code commit_many(struct tm_org *org, struct tm_org_change *changes, size_t count,
                                int64_t org_ms)
{
    struct tm_org_txn txn = { .changes = changes, .changes_count = count, .org_ms = org_ms };
    return tm_org_commit(org, &txn, NULL);
}

static void equal_changes_of_one_transaction_become_one_event_with_many_ids(void **state)
{
    struct org_fixture *f = *state;
    struct tm_org_set same = { "Phone", org_text("+1 555") }, other = { "Phone", org_text("+1 "
                                                                                          "556") };
    struct tm_org_change c[4];
    for (int i = 0; i < 4; i++) {
        char name[16], id[TM_ID_BYTES];
        snprintf(name, sizeof name, "A%d", i);
        org_make_account(f->org, id, name, T0);
        c[i] = (struct tm_org_change){ .kind = TM_ORG_UPDATE,
                                       .announce = TM_ORG_MERGED,
                                       .object = "Account",
                                       .sets = i < 3 ? &same : &other,
                                       .sets_count = 1 };
        memcpy(c[i].id, id, sizeof id);
    }
    assert_int_equal(commit_many(f->org, c, 4, T0 + 1000), TM_OK);
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM event WHERE change='UPDATE'"), 2);
    assert_int_equal(org_ask_int(f->org, "SELECT count(DISTINCT replay_id) FROM history WHERE pos "
                                         "BETWEEN 5 AND 7"),
                     1);
    json_t *e = json_loads(org_ask(f->org, "SELECT body FROM event WHERE pos=5", text), 0, NULL);
    assert_int_equal(header_size(e, "recordIds"), 3);
    assert_string_equal(at(e, "recordIds", 2), c[2].id);
    assert_int_equal(json_integer_value(json_object_get(header(e), "sequenceNumber")), 1);
    json_decref(e);
    for (int i = 0; i < 4; i++)
        c[i].kind = TM_ORG_DELETE, c[i].sets_count = 0;
    assert_int_equal(commit_many(f->org, c, 4, T0 + 2000), TM_OK);
    e = org_last_event(f->org, "Account");
    assert_int_equal(header_size(e, "recordIds"), 4);
    json_decref(e);
}

static void a_transaction_shares_its_key_and_counts_over_all_objects(void **state)
{
    struct org_fixture *f = *state;
    char account[TM_ID_BYTES];
    tm_org_id_of(f->org, account, "001", 1);
    struct tm_org_set a[] = { { "Name", org_text("Acme") } };
    struct tm_org_set o[] = { { "Name", org_text("Deal") },
                              { "StageName", org_text("Prospecting") },
                              { "CloseDate", org_text("2026-05-01") },
                              { "AccountId", org_text(account) } };
    struct tm_org_change c[] = {
        { .kind = TM_ORG_CREATE, .object = "Account", .sets = a, .sets_count = 1 },
        { .kind = TM_ORG_CREATE, .object = "Opportunity", .sets = o, .sets_count = 4 }
    };
    assert_int_equal(commit_many(f->org, c, 2, T0), TM_OK);
    assert_int_equal(org_ask_int(f->org, "SELECT count(DISTINCT txn)*10+max(seq) FROM history"),
                     12);
    json_t *e = org_last_event(f->org, "Opportunity"), *e2 = org_last_event(f->org, "Account");
    assert_int_equal(json_integer_value(json_object_get(header(e), "sequenceNumber")), 2);
    assert_string_equal(header_text(e, "transactionKey"), header_text(e2, "transactionKey"));
    json_decref(e);
    json_decref(e2);
}

static void gap_events_carry_a_header_and_nothing_else(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES] = "";
    struct tm_org_set sets[] = { { "Name", org_text("Gap") }, { NULL, org_null() } };
    struct tm_org_set more[] = { { "Phone", org_text("1") }, { NULL, org_null() } };
    static const char *const words[] = { "GAP_CREATE", "GAP_UPDATE", "GAP_DELETE", "GAP_UNDELETE" };
    for (int k = 0; k < 4; k++) {
        assert_int_equal(org_one(f->org, (enum tm_org_kind)k, TM_ORG_GAP, "Account", id,
                                 k == 0   ? sets
                                 : k == 1 ? more
                                          : NULL,
                                 T0 + k * 1000),
                         TM_OK);
        json_t *e = org_last_event(f->org, "Account");
        assert_string_equal(header_text(e, "changeType"), words[k]);
        assert_int_equal(json_object_size(payload(e)), 1);
        assert_int_equal(header_size(e, "changedFields"), 0);
        json_decref(e);
    }
    assert_string_equal(org_ask(f->org, "SELECT change||' '||event FROM history WHERE pos=2", text),
                        "UPDATE GAP_UPDATE");
    assert_string_equal(org_ask(f->org, "SELECT Phone FROM cur_Account", text), "1");
}

static void overflow_is_one_event_without_a_record_for_all_its_changes(void **state)
{
    struct org_fixture *f = *state;
    struct tm_org_change c[3];
    struct tm_org_set set = { "Phone", org_text("2") };
    for (int i = 0; i < 3; i++) {
        char id[TM_ID_BYTES];
        org_make_account(f->org, id, "A", T0);
        c[i] = (struct tm_org_change){ .kind = TM_ORG_UPDATE,
                                       .announce = i == 0 ? TM_ORG_NORMAL : TM_ORG_OVERFLOW,
                                       .object = "Account",
                                       .sets = &set,
                                       .sets_count = 1 };
        memcpy(c[i].id, id, sizeof id);
    }
    assert_int_equal(commit_many(f->org, c, 3, T0), TM_OK);
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM event WHERE change='GAP_OVERFLOW'"),
                     1);
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM history WHERE event='GAP_OVERFLOW' "
                                         "AND replay_id=(SELECT "
                                         "max(replay_id) FROM event)"),
                     2);
    json_t *e = org_last_event(f->org, "Account");
    assert_string_equal(at(e, "recordIds", 0), "000000000000000AAA");
    assert_int_equal(json_object_size(payload(e)), 1);
    json_decref(e);
}

static void conversion_is_one_event_for_the_object_and_moves_the_system_stamp_only(void **state)
{
    struct org_fixture *f = *state;
    char account[TM_ID_BYTES], id[TM_ID_BYTES];
    org_make_account(f->org, account, "A", T0);
    org_make_opportunity(f->org, id, "O", account, T0);
    struct tm_org_set sets[] = { { "LegacyCode__c", org_null() }, { NULL, org_null() } };
    struct tm_org_set first[] = { { "LegacyCode__c", org_text("x") }, { NULL, org_null() } };
    assert_int_equal(
        org_one(f->org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Opportunity", id, first, T0 + 1000), TM_OK);
    json_t *patch = json_pack("{s:s}", "type", "picklist"),
           *other = json_pack("{s:s}", "type", "boolean");
    assert_int_equal(tm_org_field_retype(f->org, "Opportunity", "LegacyCode__c", other, NULL, NULL),
                     TM_E_ARG);
    assert_int_equal(tm_org_field_retype(f->org, "Opportunity", "LegacyCode__c", patch, NULL, NULL),
                     TM_OK);
    json_decref(patch);
    json_decref(other);
    assert_string_equal(
        tm_describe_field(tm_org_describe(f->org, "Opportunity"), "LegacyCode__c")->type, "picklis"
                                                                                          "t");
    assert_int_equal(
        org_one(f->org, TM_ORG_UPDATE, TM_ORG_CONVERSION, "Opportunity", id, sets, T0 + 60000),
        TM_OK);
    json_t *e = org_last_event(f->org, "Opportunity");
    assert_string_equal(at(e, "recordIds", 0), "006*");
    assert_string_equal(header_text(e, "changeType"), "UPDATE");
    assert_int_equal(json_object_size(payload(e)), 1);
    assert_int_equal(org_ask_int(f->org, "SELECT SystemModstamp-LastModifiedDate FROM "
                                         "cur_Opportunity"),
                     59000);
    assert_string_equal(org_ask(f->org, "SELECT fields FROM history WHERE pos=4", text),
                        "{\"SystemModstamp\":1772438460000,\"LegacyCode__c\":null}");
    json_decref(e);
}

static void long_text_travels_as_a_diff_and_history_keeps_it_whole(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES], one[1600] = "", two[1600];
    org_make_account(f->org, id, "A", T0);
    for (int i = 0; i < 20; i++)
        snprintf(one + strlen(one), sizeof one - strlen(one),
                 "line %d of a text that is long enough to be told as a difference\n", i);
    memcpy(two, one, sizeof one);
    memcpy(strstr(two, "line 7"), "LINE", 4);
    struct tm_org_set first[] = { { "Description", org_text(one) }, { NULL, org_null() } };
    struct tm_org_set second[] = { { "Description", org_text(two) }, { NULL, org_null() } };
    assert_int_equal(org_one(f->org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", id, first, T0 + 1000),
                     TM_OK);
    assert_int_equal(org_one(f->org, TM_ORG_UPDATE, TM_ORG_DIFF, "Account", id, second, T0 + 2000),
                     TM_OK);
    json_t *e = org_last_event(f->org, "Account");
    const char *diff =
        json_string_value(json_object_get(json_object_get(payload(e), "Description"), "diff"));
    assert_non_null(diff);
    assert_int_equal(strncmp(diff, "--- \n+++ ", 9), 0);
    assert_non_null(strstr(diff, "@@ -8,1 +8,1 @@\n-line 7 of a text"));
    assert_non_null(strstr(diff, "\n+LINE 7 of a text"));
    assert_string_equal(at(e, "changedFields", 0), "Description");
    assert_string_equal(
        org_ask(f->org, "SELECT fields->>'Description' FROM history WHERE pos=3", text), two);
    json_decref(e);
}

static void silent_change_has_history_but_no_event(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES];
    org_make_account(f->org, id, "A", T0);
    int64_t before = tm_org_replay_last(f->org, NULL);
    struct tm_org_set sets[] = { { "Phone", org_text("3") }, { NULL, org_null() } };
    assert_int_equal(org_one(f->org, TM_ORG_UPDATE, TM_ORG_SILENT, "Account", id, sets, T0 + 1000),
                     TM_OK);
    assert_int_equal(tm_org_replay_last(f->org, NULL), before);
    assert_string_equal(
        org_ask(f->org, "SELECT coalesce(event,'none') FROM history WHERE pos=2", text), "none");
}

static void refused_transaction_leaves_the_org_as_it_was(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES];
    org_make_account(f->org, id, "A", T0);
    int64_t replay = tm_org_replay_last(f->org, NULL);
    struct tm_org_set good = { "Name", org_text("B") }, bad = { "Nonsense", org_text("x") };
    struct tm_org_change c[] = {
        { .kind = TM_ORG_CREATE, .object = "Account", .sets = &good, .sets_count = 1 },
        { .kind = TM_ORG_CREATE, .object = "Account", .sets = &bad, .sets_count = 1 }
    };
    assert_int_equal(commit_many(f->org, c, 2, T0 + 1000), TM_E_ARG);
    assert_string_equal(tm_org_error_code(f->org), "INVALID_FIELD");
    assert_string_equal(tm_org_error_field(f->org), "Nonsense");
    assert_int_equal(tm_org_pos_last(f->org), 1);
    assert_int_equal(tm_org_replay_last(f->org, NULL), replay);
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM cur_Account"), 1);
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM event"), 1);
    struct tm_org_set none[] = { { NULL, org_null() } };
    char empty[TM_ID_BYTES] = "";
    assert_int_equal(org_one(f->org, TM_ORG_CREATE, TM_ORG_NORMAL, "Account", empty, none, T0),
                     TM_E_ARG);
    assert_string_equal(tm_org_error_code(f->org), "REQUIRED_FIELD_MISSING");
    org_make_account(f->org, id, "C", T0 + 2000);
    assert_int_equal(tm_org_pos_last(f->org), 2);
}

static void a_field_comes_and_goes_with_describe_and_events(void **state)
{
    struct org_fixture *f = *state;
    char account[TM_ID_BYTES], id[TM_ID_BYTES];
    org_make_account(f->org, account, "A", T0);
    org_make_opportunity(f->org, id, "O", account, T0);
    char schema[24];
    snprintf(schema, sizeof schema, "%s", tm_org_schema_id(f->org, "Opportunity"));
    json_t *field = json_pack("{s:s,s:s,s:i,s:i}", "name", "Depth__c", "type", "double",
                              "precision", 18, "scale", 2);
    assert_int_equal(tm_org_field_add(f->org, "Opportunity", field, NULL, NULL), TM_OK);
    assert_int_equal(tm_org_field_add(f->org, "Opportunity", field, NULL, NULL), TM_E_ARG);
    assert_string_not_equal(schema, tm_org_schema_id(f->org, "Opportunity"));
    struct tm_org_set sets[] = { { "Depth__c", org_real(3.456) }, { NULL, org_null() } };
    assert_int_equal(
        org_one(f->org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Opportunity", id, sets, T0 + 1000), TM_OK);
    json_t *e = org_last_event(f->org, "Opportunity");
    assert_true(json_real_value(json_object_get(payload(e), "Depth__c")) == 3.46);
    json_decref(e);
    assert_int_equal(tm_org_field_remove(f->org, "Opportunity", "depth__c", NULL), TM_OK);
    assert_null(tm_describe_field(tm_org_describe(f->org, "Opportunity"), "Depth__c"));
    assert_int_equal(
        org_one(f->org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Opportunity", id, sets, T0 + 2000),
        TM_E_ARG);
    assert_int_equal(
        org_one(f->org, TM_ORG_DELETE, TM_ORG_NORMAL, "Opportunity", id, NULL, T0 + 3000), TM_OK);
    assert_int_equal(
        org_one(f->org, TM_ORG_UNDELETE, TM_ORG_NORMAL, "Opportunity", id, NULL, T0 + 4000), TM_OK);
    e = org_last_event(f->org, "Opportunity");
    assert_null(json_object_get(payload(e), "Depth__c"));
    json_decref(e);
    assert_string_equal(org_ask(f->org,
                                "SELECT group_concat(from_pos) FROM describe WHERE "
                                "object='Opportunity'",
                                text),
                        "0,3,4");
    assert_int_equal(tm_org_field_remove(f->org, "Opportunity", "StageName", NULL), TM_E_ARG);
    const struct tm_now now = { T0 + 5000, 77 };
    assert_int_equal(tm_org_field_add(f->org, "Opportunity", field, &now, NULL),
                     TM_OK); /* back, and empty */
    assert_string_equal(org_ask(f->org, "SELECT Depth__c FROM cur_Opportunity", text), "(null)");
    assert_string_equal(
        org_ask(f->org,
                "SELECT h.version=c._version AND h.id=c.Id AND h.org_ms=1772438405000 AND "
                "h.event IS NULL AND h.actual_ns=77 FROM cur_Opportunity c, history h WHERE "
                "h.pos=(SELECT max(pos) FROM history) AND h.fields='{\"Depth__c\":null}'",
                text),
        "1");
    assert_int_equal(tm_org_pos_last(f->org), 6);
    json_decref(field);
    org_fixture_reopen(f);
    assert_non_null(tm_describe_field(tm_org_describe(f->org, "Opportunity"), "Depth__c"));
}

static void formulas_and_the_name_of_a_person_are_computed(void **state)
{
    struct org_fixture *f = *state;
    char account[TM_ID_BYTES], id[TM_ID_BYTES], user[TM_ID_BYTES] = "";
    org_make_account(f->org, account, "A", T0);
    org_make_opportunity(f->org, id, "O", account, T0);
    assert_string_equal(org_ask(f->org,
                                "SELECT ExpectedRevenue__c||' '||IsClosed||' '||IsWon FROM "
                                "cur_Opportunity",
                                text),
                        "600.25 0 0");
    struct tm_org_set won[] = { { "StageName", org_text("Closed Won") }, { NULL, org_null() } };
    assert_int_equal(org_one(f->org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Opportunity", id, won, T0),
                     TM_OK);
    assert_string_equal(org_ask(f->org, "SELECT IsClosed||' '||IsWon FROM cur_Opportunity", text),
                        "1 1");
    struct tm_org_set sets[] = { { "FirstName", org_text("Ada") },
                                 { "LastName", org_text("Quay") },
                                 { "Username", org_text("a@b.c") },
                                 { "Email", org_text("a@b.c") },
                                 { "Alias", org_text("aq") },
                                 { "TimeZoneSidKey", org_text("Europe/London") },
                                 { "LocaleSidKey", org_text("en_GB") },
                                 { "LanguageLocaleKey", org_text("en_US") },
                                 { "Title", org_text("Pilot") },
                                 { "Department", org_text("Harbour") },
                                 { NULL, org_null() } };
    assert_int_equal(org_one(f->org, TM_ORG_CREATE, TM_ORG_NORMAL, "User", user, sets, T0), TM_OK);
    assert_string_equal(org_ask(f->org, "SELECT Name||'/'||FullTitle__c FROM cur_User", text),
                        "Ada Quay/Pilot, Harbour");
    json_t *e = org_last_event(f->org, "User");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(payload(e), "Name"), "LastName")), "Qua"
                                                                                             "y");
    json_decref(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_AN_ORG(create_event_carries_all_non_empty_fields_and_ten_header_keys),
        ON_AN_ORG(update_event_names_only_what_changed_with_nulls_spelled_out),
        ON_AN_ORG(another_user_shows_in_last_modified_by),
        ON_AN_ORG(undelete_after_delete_restores_every_field),
        ON_AN_ORG(hard_delete_is_told_only_when_the_record_was_live),
        ON_AN_ORG(equal_changes_of_one_transaction_become_one_event_with_many_ids),
        ON_AN_ORG(a_transaction_shares_its_key_and_counts_over_all_objects),
        ON_AN_ORG(gap_events_carry_a_header_and_nothing_else),
        ON_AN_ORG(overflow_is_one_event_without_a_record_for_all_its_changes),
        ON_AN_ORG(conversion_is_one_event_for_the_object_and_moves_the_system_stamp_only),
        ON_AN_ORG(long_text_travels_as_a_diff_and_history_keeps_it_whole),
        ON_AN_ORG(silent_change_has_history_but_no_event),
        ON_AN_ORG(refused_transaction_leaves_the_org_as_it_was),
        ON_AN_ORG(a_field_comes_and_goes_with_describe_and_events),
        ON_AN_ORG(formulas_and_the_name_of_a_person_are_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
