/* unit_org: what can be read from an org and when, what it counts and lists, and what outlives a
 * stop. */
#include "tests/support_org.h"
#include "mocks/salesforce/control.h"
#include "mocks/salesforce/record.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define T0 ORG_ORIGIN_MS
static char text[65536];

static void stop_and_start_goes_on_where_the_org_stopped(void **state)
{
    struct org_fixture *f = *state;
    char a[TM_ID_BYTES], b[TM_ID_BYTES];
    org_make_account(f->org, a, "A", T0);
    int64_t replay = tm_org_replay_last(f->org, "Account");
    org_fixture_reopen(f);
    assert_int_equal(tm_org_pos_last(f->org), 1);
    assert_int_equal(tm_org_replay_last(f->org, "Account"), replay);
    org_make_account(f->org, b, "B", T0 - 5000);
    assert_string_not_equal(a, b);
    assert_true(tm_org_replay_last(f->org, "Account") > replay);
    assert_int_equal(org_ask_int(f->org, "SELECT count(DISTINCT txn) FROM history"), 2);
    assert_int_equal(tm_org_ms_last(f->org), T0); /* org time never goes back */
    struct tm_org_settings other = f->settings;
    struct tm_org *wrong = NULL;
    struct tm_err err = { 0 };
    other.seed = 8;
    tm_org_close(f->org);
    f->org = NULL;
    assert_int_equal(tm_org_open(&wrong, &other, &err), TM_E_MISMATCH);
    assert_non_null(strstr(err.msg, "seed"));
}

/* What another connection to org.db counts. */
static int64_t seen_by_others(struct org_fixture *f)
{
    sqlite3 *db = NULL;
    int64_t count = -1;
    assert_int_equal(tm_sql_open(&db, f->path, TM_SQL_READ, NULL), TM_OK);
    assert_int_equal(tm_sql_int64(&count, db, "SELECT count(*) FROM history", NULL), TM_OK);
    tm_sql_close(db);
    return count;
}

static void gathered_changes_are_seen_by_others_once_settled(void **state)
{
    struct org_fixture *f = *state;
    char a[TM_ID_BYTES], b[TM_ID_BYTES] = "001000000000000AAA";
    tm_org_gather(f->org);
    org_make_account(f->org, a, "A", T0);
    assert_int_equal(seen_by_others(f), 0);
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM history"), 1);
    /* one that is refused takes nothing along */
    assert_int_equal(org_one(f->org, TM_ORG_DELETE, TM_ORG_NORMAL, "Account", b, NULL, T0),
                     TM_E_ARG);
    assert_int_equal(tm_org_settle(f->org, NULL), TM_OK);
    assert_int_equal(seen_by_others(f), 1);
    assert_int_equal(tm_org_settle(f->org, NULL), TM_OK); /* nothing to do */
    org_make_account(f->org, a, "C", T0);
    org_fixture_reopen(f); /* closing settles */
    assert_int_equal(tm_org_pos_last(f->org), 2);
    org_make_account(f->org, a, "D", T0);
    assert_int_equal(org_ask_int(f->org, "SELECT count(DISTINCT txn) FROM history"), 3);
}

static void a_cancelled_batch_leaves_what_was_gathered_before_it(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES];
    tm_org_gather(f->org);
    org_make_account(f->org, id, "A", T0);
    assert_int_equal(tm_org_begin(f->org, NULL), TM_OK);
    org_make_account(f->org, id, "B", T0);
    assert_int_equal(tm_org_settle(f->org, NULL), TM_OK); /* waits */
    assert_int_equal(seen_by_others(f), 0);
    assert_int_equal(tm_org_cancel(f->org, NULL), TM_OK);
    assert_int_equal(tm_org_pos_last(f->org), 1);
    org_make_account(f->org, id, "C", T0);
    assert_int_equal(tm_org_settle(f->org, NULL), TM_OK);
    assert_int_equal(seen_by_others(f), 2);
    assert_int_equal(org_ask_int(f->org, "SELECT count(DISTINCT txn) FROM history"), 2);
    assert_string_equal(org_ask(f->org, "SELECT value FROM meta WHERE key='txn_count'", text), "2");
}

struct taken {
    int64_t ids[64];
    size_t count;
};
static bool take(void *data, const struct tm_org_event *e)
{
    struct taken *t = data;
    t->ids[t->count++] = e->replay_id;
    return true;
}

static void events_wait_for_the_publish_delay(void **state)
{
    struct org_fixture *f = *state;
    struct taken t = { .count = 0 };
    char id[TM_ID_BYTES];
    int64_t due, tip;
    bool valid;
    f->settings.publish_delay_ms = 2000;
    org_fixture_reopen(f);
    org_make_account(f->org, id, "A", T0);
    org_make_account(f->org, id, "B", T0 + 1000);
    assert_int_equal(tm_org_events(f->org, NULL, 0, T0 + 1999, 10, take, &t, NULL), TM_OK);
    assert_int_equal(t.count, 0);
    assert_int_equal(tm_org_next_publish_ms(f->org, "Account", 0, &due, NULL), TM_OK);
    assert_int_equal(due, T0 + 2000);
    assert_int_equal(tm_org_events(f->org, "Account", 0, T0 + 2000, 10, take, &t, NULL), TM_OK);
    assert_int_equal(t.count, 1);
    assert_int_equal(tm_org_replay_tip(f->org, T0 + 2500, &tip, NULL), TM_OK);
    assert_int_equal(tip, t.ids[0]);
    assert_int_equal(
        tm_org_replay_valid(f->org, tm_org_replay_last(f->org, NULL), T0 + 2500, &valid, NULL),
        TM_OK);
    assert_false(valid); /* beyond the tip */
    assert_int_equal(tm_org_events(f->org, "Account", t.ids[0], T0 + 3000, 10, take, &t, NULL),
                     TM_OK);
    assert_int_equal(t.count, 2);
    assert_int_equal(tm_org_next_publish_ms(f->org, "Opportunity", 0, &due, NULL), TM_OK);
    assert_true(due == TM_NEVER);
}

static void events_are_kept_for_72_hours_and_older_positions_refused(void **state)
{
    struct org_fixture *f = *state;
    struct taken t = { .count = 0 };
    int64_t oldest, hour = 3600000;
    bool valid;
    char id[TM_ID_BYTES];
    for (int i = 0; i < 10; i++)
        org_make_account(f->org, id, "A", T0 + i * 10 * hour);
    int64_t now = T0 + 95 * hour; /* events at 0, 10, 20 h are gone, the one at 30 h is not */
    assert_int_equal(tm_org_replay_oldest(f->org, now, &oldest, NULL), TM_OK);
    assert_int_equal(tm_org_events(f->org, NULL, 0, now, 64, take, &t, NULL), TM_E_GAP);
    assert_int_equal(t.count, 0);
    assert_int_equal(tm_org_events(f->org, NULL, oldest, now, 64, take, &t, NULL), TM_OK);
    assert_int_equal(t.count, 7);
    assert_true(t.ids[0] > oldest);
    assert_int_equal(org_ask_int(f->org, "SELECT replay_id FROM event ORDER BY replay_id LIMIT 1 "
                                         "OFFSET 2"),
                     oldest);
    assert_int_equal(tm_org_replay_valid(f->org, oldest, now, &valid, NULL), TM_OK);
    assert_true(valid);
    assert_int_equal(tm_org_replay_valid(f->org, oldest - 1, now, &valid, NULL), TM_OK);
    assert_false(valid);
    assert_int_equal(tm_org_replay_valid(f->org, 0, T0 + 71 * hour, &valid, NULL), TM_OK);
    assert_true(valid);
}

static void range_reads_see_the_org_as_it_was_v_ago(void **state)
{
    struct org_fixture *f = *state;
    char a[TM_ID_BYTES], b[TM_ID_BYTES];
    const char *relation;
    f->settings.index_lag_ms = 10000;
    org_fixture_reopen(f);
    org_make_account(f->org, a, "A", T0);
    struct tm_org_set sets[] = { { "Phone", org_text("new") }, { NULL, org_null() } };
    assert_int_equal(tm_org_relation(f->org, "Account", false, T0, &relation, NULL), TM_OK);
    assert_string_equal(relation, "cur_Account");
    assert_int_equal(tm_org_relation(f->org, "Account", true, T0 + 9999, &relation, NULL), TM_OK);
    assert_string_equal(relation, "lag_Account");
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM lag_Account"), 0);
    assert_int_equal(org_one(f->org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", a, sets, T0 + 5000),
                     TM_OK);
    assert_int_equal(tm_org_relation(f->org, "Account", true, T0 + 14999, &relation, NULL), TM_OK);
    assert_string_equal(
        org_ask(f->org, "SELECT Name||coalesce(Phone,' none') FROM lag_Account", text), "A none");
    json_t *field = json_pack("{s:s,s:s,s:i}", "name", "New__c", "type", "string", "length", 20);
    assert_int_equal(tm_org_field_add(f->org, "Account", field, NULL, NULL), TM_OK);
    json_decref(field);
    struct tm_org_set with[] = { { "Name", org_text("B") },
                                 { "New__c", org_text("n") },
                                 { NULL, org_null() } };
    b[0] = 0;
    assert_int_equal(org_one(f->org, TM_ORG_CREATE, TM_ORG_NORMAL, "Account", b, with, T0 + 16000),
                     TM_OK);
    assert_int_equal(
        org_one(f->org, TM_ORG_HARD_DELETE, TM_ORG_NORMAL, "Account", a, NULL, T0 + 17000), TM_OK);
    assert_int_equal(tm_org_relation(f->org, "Account", true, T0 + 26500, &relation, NULL), TM_OK);
    assert_string_equal(
        org_ask(f->org, "SELECT group_concat(Name||coalesce(Phone,New__c)) FROM lag_Account", text),
        "Anew,Bn");
    assert_int_equal(tm_org_relation(f->org, "Account", true, T0 + 27000, &relation, NULL), TM_OK);
    assert_string_equal(org_ask(f->org, "SELECT group_concat(Name) FROM lag_Account", text), "B");
    org_fixture_reopen(f); /* rebuilt from history when it must be */
    assert_int_equal(tm_org_relation(f->org, "Account", true, T0 + 15000, &relation, NULL), TM_OK);
    assert_string_equal(org_ask(f->org, "SELECT group_concat(Name||Phone) FROM lag_Account", text),
                        "Anew");
}

/* A copy made while the field had decimals keeps numbers as reals, whatever is put in. */
static void a_number_made_narrower_is_whole_for_range_reads_as_well(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES];
    const char *relation;
    json_t *field = json_pack("{s:s,s:s,s:i}", "name", "Depth__c", "type", "double", "scale", 2),
           *narrow = json_pack("{s:s,s:i}", "type", "int", "scale", 0);
    f->settings.index_lag_ms = 10000;
    org_fixture_reopen(f);
    assert_int_equal(tm_org_field_add(f->org, "Account", field, NULL, NULL), TM_OK);
    org_make_account(f->org, id, "A", T0);
    struct tm_org_set sets[] = { { "Depth__c", org_real(62) }, { NULL, org_null() } };
    assert_int_equal(org_one(f->org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", id, sets, T0 + 1000),
                     TM_OK);
    assert_int_equal(tm_org_relation(f->org, "Account", true, T0 + 20000, &relation, NULL), TM_OK);
    assert_int_equal(tm_org_field_retype(f->org, "Account", "Depth__c", narrow, NULL, NULL), TM_OK);
    assert_int_equal(tm_org_relation(f->org, "Account", true, T0 + 21000, &relation, NULL), TM_OK);
    assert_string_equal(
        org_ask(f->org, "SELECT typeof(Depth__c)||' '||Depth__c FROM lag_Account", text),
        "integer 62");
    json_decref(field);
    json_decref(narrow);
}

/* Another kind of value: records get null, and the history says so; range reads as well, whatever
 * the history holds of the kind before. */
static void a_number_that_becomes_text_and_a_number_again_is_empty_each_time(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES];
    const char *relation;
    struct tm_err err = { .code = TM_OK };
    const struct tm_now now = { T0 + 2000, 77 };
    json_t *field = json_pack("{s:s,s:s,s:i}", "name", "Depth__c", "type", "int", "length", 0),
           *words = json_pack("{s:s,s:i}", "type", "string", "length", 20),
           *number = json_pack("{s:s,s:i}", "type", "double", "scale", 1),
           *yes = json_pack("{s:s}", "type", "boolean");
    f->settings.index_lag_ms = 10000;
    org_fixture_reopen(f);
    assert_int_equal(tm_org_field_add(f->org, "Account", field, NULL, NULL), TM_OK);
    org_make_account(f->org, id, "A", T0);
    struct tm_org_set sets[] = { { "Depth__c", org_int(62) }, { NULL, org_null() } };
    assert_int_equal(org_one(f->org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", id, sets, T0 + 1000),
                     TM_OK);
    assert_int_equal(tm_org_field_retype(f->org, "Account", "Depth__c", words, &now, &err), TM_OK);
    assert_string_equal(org_ask(f->org, "SELECT ifnull(Depth__c,'none') FROM cur_Account", text),
                        "none");
    assert_string_equal(
        org_ask(f->org, "SELECT changed||fields FROM history ORDER BY pos DESC LIMIT 1", text),
        "[\"Depth__c\"]{\"Depth__c\":null}");
    struct tm_org_set later[] = { { "Depth__c", org_text("deep") }, { NULL, org_null() } };
    assert_int_equal(
        org_one(f->org, TM_ORG_UPDATE, TM_ORG_CONVERSION, "Account", id, later, T0 + 3000), TM_OK);
    /* as it was while it was a number: the text column has nothing of it */
    assert_int_equal(tm_org_relation(f->org, "Account", true, T0 + 11500, &relation, NULL), TM_OK);
    assert_string_equal(org_ask(f->org, "SELECT ifnull(Depth__c,'none') FROM lag_Account", text),
                        "none");
    assert_int_equal(tm_org_field_retype(f->org, "Account", "Depth__c", number, &now, &err), TM_OK);
    assert_int_equal(tm_org_relation(f->org, "Account", true, T0 + 14000, &relation, NULL), TM_OK);
    assert_string_equal(org_ask(f->org, "SELECT ifnull(Depth__c,'none') FROM lag_Account", text),
                        "none");
    assert_int_equal(tm_org_field_retype(f->org, "Account", "Depth__c", yes, &now, &err), TM_E_ARG);
    json_decref(field);
    json_decref(words);
    json_decref(number);
    json_decref(yes);
}

/* A copy made while the field was not there has no column for it. */
static void a_field_that_comes_back_is_there_for_range_reads_as_well(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES];
    const char *relation;
    const struct tm_now now = { T0 + 21000, 77 };
    json_t *field = json_pack("{s:s,s:s,s:i}", "name", "Old__c", "type", "string", "length", 20);
    f->settings.index_lag_ms = 10000;
    org_fixture_reopen(f);
    assert_int_equal(tm_org_field_add(f->org, "Account", field, NULL, NULL), TM_OK);
    org_make_account(f->org, id, "A", T0);
    struct tm_org_set sets[] = { { "Old__c", org_text("x") }, { NULL, org_null() } };
    assert_int_equal(org_one(f->org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", id, sets, T0 + 1000),
                     TM_OK);
    assert_int_equal(tm_org_field_remove(f->org, "Account", "Old__c", NULL), TM_OK);
    assert_int_equal(tm_org_relation(f->org, "Account", true, T0 + 20000, &relation, NULL), TM_OK);
    assert_int_equal(tm_org_field_add(f->org, "Account", field, &now, NULL), TM_OK);
    assert_int_equal(tm_org_relation(f->org, "Account", true, T0 + 40000, &relation, NULL), TM_OK);
    assert_string_equal(org_ask(f->org, "SELECT coalesce(Old__c,'empty') FROM lag_Account", text),
                        "empty");
    json_decref(field);
}

static void lagged_copies_taken_over_bit_by_bit_are_what_a_range_read_sees(void **state)
{
    struct org_fixture *f = *state;
    char id[TM_ID_BYTES];
    const char *relation;
    f->settings.index_lag_ms = 10000;
    org_fixture_reopen(f);
    for (int i = 0; i < 10; i++)
        org_make_account(f->org, id, "A", T0 + 2000 * i);
    assert_int_equal(tm_org_lag_step(f->org, T0 + 19000, 3, NULL), TM_OK);
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM lag_Account"), 3);
    assert_int_equal(tm_org_lag_step(f->org, T0 + 19000, 1, NULL), TM_OK);
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM lag_Account"), 4);
    assert_int_equal(tm_org_relation(f->org, "Account", true, T0 + 19000, &relation, NULL), TM_OK);
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM lag_Account"), 5); /* up to T0+9 s */
    assert_int_equal(tm_org_lag_step(f->org, T0 + 19999, INT64_MAX, NULL), TM_OK);
    assert_int_equal(tm_org_lag_step(f->org, T0 + 21999, INT64_MAX, NULL), TM_OK);
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM lag_Account"), 6);
    assert_int_equal(tm_org_lag_step(f->org, T0 + 90000, INT64_MAX, NULL), TM_OK);
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM lag_Account"), 10);
}

static void note_deleted(void *data, const char *id, int64_t deleted_ms)
{
    (void)deleted_ms;
    strcat(data, id);
}

static void deleted_records_are_listed_for_15_days_hard_ones_too(void **state)
{
    struct org_fixture *f = *state;
    char a[TM_ID_BYTES], b[TM_ID_BYTES], c[TM_ID_BYTES], got[256] = "", want[64];
    org_make_account(f->org, a, "A", T0);
    org_make_account(f->org, b, "B", T0);
    org_make_account(f->org, c, "C", T0);
    org_one(f->org, TM_ORG_DELETE, TM_ORG_NORMAL, "Account", a, NULL, T0 + 1000);
    org_one(f->org, TM_ORG_HARD_DELETE, TM_ORG_NORMAL, "Account", b, NULL, T0 + 2000);
    org_one(f->org, TM_ORG_DELETE, TM_ORG_NORMAL, "Account", c, NULL, T0 + 3000);
    org_one(f->org, TM_ORG_UNDELETE, TM_ORG_NORMAL, "Account", c, NULL, T0 + 4000);
    snprintf(want, sizeof want, "%s%s", a, b);
    assert_int_equal(
        tm_org_deleted(f->org, "account", T0, T0 + 60000, T0 + 60000, note_deleted, got, NULL),
        TM_OK);
    assert_string_equal(got, want);
    got[0] = 0;
    assert_int_equal(
        tm_org_deleted(f->org, "Account", T0, T0 + 2000, T0 + 60000, note_deleted, got, NULL),
        TM_OK);
    assert_string_equal(got, a); /* the end is not included */
    got[0] = 0;
    struct tm_now later = { T0 + 16 * 86400000LL, 1 };
    assert_int_equal(tm_org_purge(f->org, &later, NULL), TM_OK);
    assert_int_equal(
        tm_org_deleted(f->org, "Account", T0, later.org_ms, later.org_ms, note_deleted, got, NULL),
        TM_OK);
    assert_string_equal(got, "");
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM cur_Account"), 1);
    assert_string_equal(org_ask(f->org,
                                "SELECT change||coalesce(event,'-') FROM history ORDER BY pos DESC "
                                "LIMIT 1",
                                text),
                        "HARD_DELETE-");
}

static void usage_is_counted_by_client_and_day(void **state)
{
    struct org_fixture *f = *state;
    struct tm_org_usage one = { 1, 10, 100, 0 }, poll = { 1, 5, 50, 7 };
    int64_t calls, events;
    for (int i = 0; i < 3; i++)
        tm_org_usage_add(f->org, "tidemark-batch/1", "query", &one, T0);
    tm_org_usage_add(f->org, "tidemark-source/1", "cometd", &poll, T0);
    tm_org_usage_day(f->org, T0, &calls, &events);
    assert_int_equal(calls, 3);
    assert_int_equal(events, 7);
    assert_int_equal(tm_org_usage_flush(f->org, NULL), TM_OK);
    tm_org_usage_add(f->org, "tidemark-batch/1", "query", &one, T0 + 3600000);
    org_fixture_reopen(f); /* close flushes */
    assert_string_equal(org_ask(f->org,
                                "SELECT calls||' '||bytes_in||' '||bytes_out FROM usage WHERE "
                                "client='tidemark-batch/1'",
                                text),
                        "4 40 400");
    tm_org_usage_day(f->org, T0 + 3600000, &calls, &events);
    assert_int_equal(calls, 4);
    tm_org_usage_day(f->org, T0 + 24 * 3600000LL, &calls, &events);
    assert_int_equal(calls, 1);
}

static void control_commits_reads_history_and_cascades_deletes(void **state)
{
    struct org_fixture *f = *state;
    struct tm_now now = { T0 + 1000, 77 };
    json_t *out = NULL, *q = json_loads("{\"changes\":[{\"change\":\"create\",\"object\":"
                                        "\"Account\",\"fields\":{\"Name\":\"Acme\","
                                        "\"LastAudit__c\":\"2026-01-02T03:04:05.000Z\",\"Active__"
                                        "c\":true,\"ContractEnd__c\":\"2027-01-31\"}}]}",
                                        0, NULL);
    assert_int_equal(tm_control_commit(f->org, q, &now, 0, &out, NULL), TM_OK);
    char account[TM_ID_BYTES], id[TM_ID_BYTES];
    snprintf(account, sizeof account, "%s",
             json_string_value(json_array_get(json_object_get(out, "ids"), 0)));
    json_decref(out);
    json_decref(q);
    assert_string_equal(org_ask(f->org,
                                "SELECT LastAudit__c||' '||Active__c||' '||ContractEnd__c FROM "
                                "cur_Account",
                                text),
                        "1767323045000 1 2027-01-31");
    org_make_opportunity(f->org, id, "O", account, T0 + 2000);
    struct tm_record gone = { .kind = TM_ORG_DELETE, .object = "Account" };
    struct tm_record_who who = { &now, NULL, "rest" };
    snprintf(gone.id, sizeof gone.id, "%s", account);
    assert_int_equal(tm_record_write(f->org, &gone, 1, true, &who, NULL), TM_OK);
    assert_string_equal(gone.code, "");
    assert_int_equal(org_ask_int(f->org, "SELECT sum(IsDeleted) FROM (SELECT IsDeleted FROM "
                                         "cur_Account UNION ALL SELECT IsDeleted "
                                         "FROM cur_Opportunity)"),
                     2);
    q = json_pack("{s:s,s:s}", "id", id, "limit", "1");
    assert_int_equal(tm_control_history(f->org, q, &out, NULL), TM_OK);
    assert_int_equal(json_array_size(json_object_get(out, "entries")), 1);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(json_object_get(out, "entries"), 0), "chan"
                                                                                              "g"
                                                                                              "e")),
        "CREATE");
    json_decref(out);
    json_decref(q);
    struct tm_err err = { 0 };
    q = json_loads("{\"changes\":[{\"change\":\"create\",\"object\":\"Account\",\"feilds\":{}}]}",
                   0, NULL);
    assert_int_equal(tm_control_commit(f->org, q, &now, 0, &out, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "feilds"));
    json_decref(q);
}

static void a_file_has_one_writer(void **state)
{
    struct org_fixture *f = *state;
    struct tm_org *second = NULL;
    struct tm_err err = { 0 };
    char id[TM_ID_BYTES];
    assert_int_equal(tm_org_open(&second, &f->settings, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, f->path));
    assert_non_null(strstr(err.msg, "in use"));
    org_make_account(f->org, id, "still the first one's", T0);
    org_fixture_reopen(f); /* closing lets go of it */
    assert_int_equal(org_ask_int(f->org, "SELECT count(*) FROM history"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_AN_ORG(stop_and_start_goes_on_where_the_org_stopped),
        ON_AN_ORG(gathered_changes_are_seen_by_others_once_settled),
        ON_AN_ORG(a_cancelled_batch_leaves_what_was_gathered_before_it),
        ON_AN_ORG(events_wait_for_the_publish_delay),
        ON_AN_ORG(events_are_kept_for_72_hours_and_older_positions_refused),
        ON_AN_ORG(range_reads_see_the_org_as_it_was_v_ago),
        ON_AN_ORG(a_number_made_narrower_is_whole_for_range_reads_as_well),
        ON_AN_ORG(a_number_that_becomes_text_and_a_number_again_is_empty_each_time),
        ON_AN_ORG(a_field_that_comes_back_is_there_for_range_reads_as_well),
        ON_AN_ORG(lagged_copies_taken_over_bit_by_bit_are_what_a_range_read_sees),
        ON_AN_ORG(deleted_records_are_listed_for_15_days_hard_ones_too),
        ON_AN_ORG(usage_is_counted_by_client_and_day),
        ON_AN_ORG(control_commits_reads_history_and_cascades_deletes),
        ON_AN_ORG(a_file_has_one_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
