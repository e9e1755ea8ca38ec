/* unit_workload: the generator under a virtual clock: same seed same history, every kind, and
 * history as the truth. */
#include "tests/support_org.h"
#include "mocks/salesforce/workload.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char text[65536];

static struct tm_scenario *scenario(const char *workload, double hours)
{
    struct tm_scenario *s = NULL;
    struct tm_err err = { 0 };
    json_t *json = json_pack("{s:i,s:f,s:o}", "seed", 7, "hours", hours, "workload",
                             json_loads(workload, 0, NULL));
    assert_int_equal(tm_scenario_parse(&s, json, "test.json", &err), TM_OK);
    json_decref(json);
    return s;
}

static struct tm_workload *open_workload(struct org_fixture *f, const struct tm_scenario *s)
{
    struct tm_workload *w = NULL;
    struct tm_err err = { 0 };
    if (tm_workload_populate(f->org, s, &err) != TM_OK ||
        tm_workload_open(&w, f->org, s, &err) != TM_OK)
        fail_msg("%s", err.msg);
    return w;
}

/* Steps until done or `steps_max` steps did something, waking exactly when asked to, `late_ms`
 * after. */
static int64_t run(struct tm_workload *w, int64_t from_ms, int64_t late_ms, int steps_max)
{
    struct tm_now now = { from_ms, 1000 };
    for (int done = 0; !tm_workload_done(w) && done < steps_max;) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        struct tm_err err = { 0 };
        enum tm_code rc = tm_workload_step(w, &now, &wake, &err);
        if (rc != TM_OK && rc != TM_E_AGAIN)
            fail_msg("%s", err.msg);
        done += rc == TM_OK;
        if (wake.org_ms != TM_NEVER && wake.org_ms > now.org_ms) {
            now.org_ms = wake.org_ms + late_ms;
            now.wall_ns = 1000 + (now.org_ms - from_ms) * 2778;
        }
    }
    return now.org_ms;
}

/* All rows of a table as one number. */
static uint64_t fingerprint(struct tm_org *org, const char *sql)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    uint64_t h = 1;
    assert_int_equal(tm_sql_prepare(&s, tm_org_db(org), sql, NULL), TM_OK);
    while (tm_sql_step(s, &row, NULL) == TM_OK && row)
        for (int i = 0; i < sqlite3_column_count(s); i++) {
            const unsigned char *t = sqlite3_column_text(s, i);
            h = tm_hash64(t != NULL ? (const char *)t : "-",
                          t != NULL ? (size_t)sqlite3_column_bytes(s, i) : 1, h);
        }
    sqlite3_finalize(s);
    return h;
}

static const char history_sql[] = "SELECT * FROM history ORDER BY pos";
static const char event_sql[] = "SELECT * FROM event ORDER BY replay_id";
static const char small[] = "{\"changes\":1500,\"records\":800}";

static void same_seed_same_history_byte_for_byte(void **state)
{
    (void)state;
    uint64_t history[2], event[2];
    for (int i = 0; i < 2; i++) {
        struct org_fixture f;
        org_fixture_open(&f);
        struct tm_scenario *s = scenario(small, 1);
        struct tm_workload *w = open_workload(&f, s);
        run(w, s->origin_ms, 0, 1 << 30);
        history[i] = fingerprint(f.org, history_sql);
        event[i] = fingerprint(f.org, event_sql);
        tm_workload_close(w);
        tm_scenario_close(s);
        org_fixture_close(&f);
    }
    assert_true(history[0] == history[1]);
    assert_true(event[0] == event[1]);
}

static void a_late_run_makes_the_same_choices_at_later_instants(void **state)
{
    (void)state;
    uint64_t chosen[2], intended[2];
    for (int i = 0; i < 2; i++) {
        struct org_fixture f;
        org_fixture_open(&f);
        struct tm_scenario *s = scenario(small, 1);
        struct tm_workload *w = open_workload(&f, s);
        run(w, s->origin_ms, i * 4321, 1 << 30);
        chosen[i] = fingerprint(f.org, "SELECT "
                                       "pos,object,id,version,txn,change,event,replay_id,changed "
                                       "FROM history ORDER BY pos");
        intended[i] = fingerprint(f.org, "SELECT intended_ms FROM history WHERE "
                                         "intended_ms>=1772438400000 ORDER BY pos");
        assert_true(tm_workload_counts(w)->late_ms_max >= i * 4321);
        tm_workload_close(w);
        tm_scenario_close(s);
        org_fixture_close(&f);
    }
    assert_true(chosen[0] == chosen[1]);
    assert_true(intended[0] == intended[1]);
}

static void stop_and_start_in_the_middle_ends_in_the_same_history(void **state)
{
    (void)state;
    uint64_t whole = 0;
    for (int i = 0; i < 2; i++) {
        struct org_fixture f;
        org_fixture_open(&f);
        struct tm_scenario *s = scenario(small, 1);
        struct tm_workload *w = open_workload(&f, s);
        int64_t at = s->origin_ms;
        for (int stop = 0; i == 1 && stop < 8; stop++) {
            at = run(w, at, 0, 120);
            tm_workload_close(w);
            org_fixture_reopen(&f);
            w = open_workload(&f, s);
        }
        run(w, at, 0, 1 << 30);
        assert_string_equal(
            org_ask(f.org, "SELECT value FROM meta WHERE key='workload_done'", text), "1");
        uint64_t h = fingerprint(f.org, "SELECT "
                                        "pos,object,id,version,txn,change,event,replay_id,changed,"
                                        "intended_ms FROM history "
                                        "ORDER BY pos");
        if (i == 0)
            whole = h;
        else
            assert_true(h == whole);
        tm_workload_close(w);
        tm_scenario_close(s);
        org_fixture_close(&f);
    }
}

static void every_kind_asked_for_happens_even_in_a_tiny_scenario(void **state)
{
    (void)state;
    struct org_fixture f;
    org_fixture_open(&f);
    struct tm_scenario *s = scenario("{\"changes\":120,\"records\":60,\"kinds\":{\"create\":"
                                     "\"once\",\"update\":1,\"nulls\":\"once\","
                                     "\"delete\":\"once\",\"undelete\":\"once\",\"hard_delete\":"
                                     "\"once\",\"transaction\":\"once\",\"merge\":\"once\","
                                     "\"merged_event\":\"once\",\"burst\":\"once\",\"gap_create\":"
                                     "\"once\",\"gap_update\":\"once\",\"gap_delete\":\"once\","
                                     "\"gap_undelete\":\"once\",\"overflow\":\"once\",\"diff\":"
                                     "\"once\",\"conversion\":\"once\",\"field_add\":\"once\","
                                     "\"field_remove\":\"once\"}}",
                                     0.5);
    struct tm_workload *w = open_workload(&f, s);
    run(w, s->origin_ms, 0, 1 << 30);
    for (int k = 0; k < TM_WL_KINDS; k++)
        if (tm_workload_counts(w)->kinds[k] < 1)
            fail_msg("%s never happened", tm_workload_kind_name((enum tm_workload_kind)k));
    static const char *const asked[] = {
        "SELECT count(*) FROM event WHERE change='GAP_CREATE'",
        "SELECT count(*) FROM event WHERE change='GAP_UPDATE'",
        "SELECT count(*) FROM event WHERE change='GAP_DELETE'",
        "SELECT count(*) FROM event WHERE change='GAP_UNDELETE'",
        "SELECT count(*) FROM event WHERE change='GAP_OVERFLOW'",
        "SELECT count(*) FROM event WHERE change='UNDELETE'",
        "SELECT count(*) FROM event WHERE body LIKE '%\"diff\":%'",
        "SELECT count(*) FROM event WHERE body LIKE '%[\"006*\"]%'",
        "SELECT count(*) FROM history WHERE change='HARD_DELETE' AND event='DELETE'",
        "SELECT count(*) FROM cur_Account WHERE IsDeleted AND MasterRecordId IS NOT NULL",
        "SELECT count(*) FROM describe WHERE json LIKE '%Tide_Level__c%'",
        "SELECT count(*) FROM describe WHERE object='Opportunity' AND json NOT LIKE '%Sunset__c%'",
        "SELECT count(*) FROM (SELECT 1 FROM history WHERE event IN ('UPDATE','DELETE') GROUP BY "
        "replay_id HAVING count(*)>1)",
        "SELECT count(*) FROM (SELECT 1 FROM history WHERE intended_ms>=1772438400000 GROUP BY txn "
        "HAVING count(DISTINCT object)>1)",
        "SELECT count(*) FROM event WHERE change='UPDATE' AND body LIKE '%:null%'",
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        if (org_ask_int(f.org, asked[i]) < 1)
            fail_msg("none: %s", asked[i]);
    tm_workload_close(w);
    tm_scenario_close(s);
    org_fixture_close(&f);
}

/* ---- truth ---- */
/* Records rebuilt from nothing but history, as the witness does: id -> {column: value}. */
static json_t *rebuild(struct tm_org *org, const char *object)
{
    json_t *all = json_object();
    sqlite3_stmt *s = NULL;
    bool row = true;
    assert_int_equal(tm_sql_prepare(&s, tm_org_db(org),
                                    "SELECT id,change,fields,version FROM history WHERE object=? "
                                    "ORDER BY pos",
                                    NULL),
                     TM_OK);
    sqlite3_bind_text(s, 1, object, -1, SQLITE_STATIC);
    while (tm_sql_step(s, &row, NULL) == TM_OK && row) {
        const char *id = (const char *)sqlite3_column_text(s, 0),
                   *change = (const char *)sqlite3_column_text(s, 1);
        json_t *fields = json_loads((const char *)sqlite3_column_text(s, 2), 0, NULL),
               *record = json_object_get(all, id);
        assert_non_null(fields);
        assert_int_equal(record == NULL, sqlite3_column_int(s, 3) == 1);
        if (strcmp(change, "HARD_DELETE") == 0)
            json_object_del(all, id);
        else if (record == NULL || strcmp(change, "UNDELETE") == 0)
            json_object_set(all, id, fields);
        else
            json_object_update(record, fields);
        json_decref(fields);
    }
    sqlite3_finalize(s);
    return all;
}

static void compare_record(sqlite3_stmt *s, const json_t *record, const struct tm_describe *d)
{
    const char *id = (const char *)sqlite3_column_text(s, 0);
    for (int i = 1; i < sqlite3_column_count(s); i++) {
        const char *name = sqlite3_column_name(s, i);
        const json_t *v = json_object_get(record, name);
        bool same =
            sqlite3_column_type(s, i) == SQLITE_NULL ? v == NULL || json_is_null(v)
            : sqlite3_column_type(s, i) == SQLITE_TEXT
                ? v != NULL && json_is_string(v) &&
                      strcmp(json_string_value(v), (const char *)sqlite3_column_text(s, i)) == 0
                : v != NULL && json_is_number(v) &&
                      json_number_value(v) == sqlite3_column_double(s, i);
        if (!same)
            fail_msg("%s %s.%s: current %s, history %s", d->object, id, name,
                     (const char *)sqlite3_column_text(s, i),
                     json_is_string(v) ? json_string_value(v) : "other");
    }
}

static void truth_rebuilt_from_history_equals_the_current_tables(void **state)
{
    (void)state;
    struct org_fixture f;
    org_fixture_open(&f);
    struct tm_scenario *s = scenario("{\"changes\":3000,\"records\":1000}", 2);
    struct tm_workload *w = open_workload(&f, s);
    run(w, s->origin_ms, 0, 1 << 30);
    for (size_t k = 0; k < tm_org_objects(f.org); k++) {
        const struct tm_describe *d = tm_org_describe(f.org, tm_org_object_name(f.org, k));
        json_t *all = rebuild(f.org, d->object);
        struct tm_buf sql;
        sqlite3_stmt *q = NULL;
        bool row = true;
        size_t count = 0;
        tm_buf_init(&sql, 1 << 16);
        tm_buf_addz(&sql, "SELECT \"Id\"");
        for (size_t i = 0; i < d->fields_count; i++)
            if (d->fields[i].kind != TM_FIELD_COMPOUND && !d->fields[i].calculated &&
                strcmp(d->fields[i].name, "Id") != 0)
                tm_buf_addf(&sql, ",\"%s\"", d->fields[i].name);
        tm_buf_addf(&sql, " FROM \"cur_%s\"", d->object);
        assert_int_equal(tm_sql_prepare(&q, tm_org_db(f.org), tm_buf_text(&sql), NULL), TM_OK);
        while (tm_sql_step(q, &row, NULL) == TM_OK && row) {
            const json_t *record = json_object_get(all, (const char *)sqlite3_column_text(q, 0));
            assert_non_null(record);
            compare_record(q, record, d);
            count++;
        }
        assert_int_equal(count, json_object_size(all));
        sqlite3_finalize(q);
        tm_buf_free(&sql);
        json_decref(all);
    }
    tm_workload_close(w);
    tm_scenario_close(s);
    org_fixture_close(&f);
}

static void references_are_kept_and_merges_move_opportunities(void **state)
{
    (void)state;
    struct org_fixture f;
    org_fixture_open(&f);
    struct tm_scenario *s = scenario("{\"changes\":2500,\"records\":700,\"kinds\":{\"update\":10,"
                                     "\"create\":3,\"merge\":3,\"delete\":3,"
                                     "\"undelete\":2,\"hard_delete\":1,\"transaction\":2}}",
                                     1);
    struct tm_workload *w = open_workload(&f, s);
    run(w, s->origin_ms, 0, 1 << 30);
    assert_true(org_ask_int(f.org, "SELECT count(*) FROM cur_Account WHERE MasterRecordId IS NOT "
                                   "NULL") > 5);
    assert_int_equal(org_ask_int(f.org, "SELECT count(*) FROM cur_Opportunity o JOIN cur_Account a "
                                        "ON a.Id=o.AccountId WHERE "
                                        "NOT o.IsDeleted AND a.MasterRecordId IS NOT NULL"),
                     0);
    assert_int_equal(org_ask_int(f.org, "SELECT count(*) FROM cur_Opportunity o LEFT JOIN "
                                        "cur_Account a ON a.Id=o.AccountId WHERE "
                                        "NOT o.IsDeleted AND o.AccountId IS NOT NULL AND (a.Id IS "
                                        "NULL OR a.IsDeleted)"),
                     0);
    assert_int_equal(org_ask_int(f.org, "SELECT count(*) FROM cur_Opportunity o LEFT JOIN cur_User "
                                        "u ON u.Id=o.OwnerId WHERE "
                                        "u.Id IS NULL"),
                     0);
    assert_int_equal(tm_workload_counts(w)->refused, 0);
    tm_workload_close(w);
    tm_scenario_close(s);
    org_fixture_close(&f);
}

static void offered_load_is_what_the_scenario_says(void **state)
{
    (void)state;
    struct org_fixture f;
    org_fixture_open(&f);
    struct tm_scenario *s = scenario("{\"changes\":4000,\"records\":1000,\"burst\":{\"at\":0.4,"
                                     "\"share\":0.2,\"minutes\":3}}",
                                     2);
    struct tm_workload *w = open_workload(&f, s);
    int64_t end_ms = s->origin_ms + 2 * 3600000, made;
    run(w, s->origin_ms, 0, 1 << 30);
    made = org_ask_int(f.org, "SELECT count(*) FROM history WHERE intended_ms>=1772438400000");
    assert_int_equal(made, tm_workload_counts(w)->changes);
    assert_in_range(made, 4000 * 99 / 100, 4000 * 110 / 100);
    assert_int_equal(org_ask_int(f.org, "SELECT count(*) FROM history WHERE event IS NOT NULL AND "
                                        "org_ms<intended_ms"),
                     0);
    snprintf(text, 256, "SELECT count(*) FROM history WHERE intended_ms>%lld", (long long)end_ms);
    assert_int_equal(org_ask_int(f.org, text), 0);
    /* the burst: a fifth of the changes in three minutes */
    snprintf(text, 256, "SELECT count(*) FROM history WHERE intended_ms BETWEEN %lld AND %lld",
             (long long)(s->origin_ms + 2880000), (long long)(s->origin_ms + 2880000 + 180000));
    assert_true(org_ask_int(f.org, text) >= 800);
    assert_int_equal(org_ask_int(f.org, "SELECT count(*) FROM history WHERE "
                                        "intended_ms<1772438400000 AND event IS NOT NULL"),
                     0);
    assert_int_equal(org_ask_int(f.org, "SELECT count(*) FROM history WHERE "
                                        "intended_ms<1772438400000"),
                     1000);
    tm_workload_close(w);
    tm_scenario_close(s);
    org_fixture_close(&f);
}

static void instants_follow_the_clock_once_it_is_known(void **state)
{
    (void)state;
    struct org_fixture f;
    org_fixture_open(&f);
    struct tm_scenario *s = scenario("{\"changes\":50,\"records\":40,\"kinds\":{\"update\":1}}", 1);
    struct tm_workload *w = open_workload(&f, s);
    struct tm_clock_map map = { s->origin_ms, 5 * TM_NS_PER_S, 360 };
    tm_workload_clock(w, &map);
    run(w, s->origin_ms, 0, 1 << 30);
    assert_int_equal(org_ask_int(f.org, "SELECT count(*) FROM history WHERE intended_ns IS NOT "
                                        "NULL AND actual_ns IS NOT NULL"),
                     tm_workload_counts(w)->changes);
    assert_int_equal(org_ask_int(f.org, "SELECT count(*) FROM history WHERE intended_ns IS NULL"),
                     40);
    assert_int_equal(org_ask_int(f.org, "SELECT count(*) FROM history WHERE "
                                        "abs(intended_ns-5000000000-(intended_ms-1772438400000)"
                                        "*1000000/360)>1000000"),
                     0);
    tm_workload_close(w);
    tm_scenario_close(s);
    org_fixture_close(&f);
}

static void hot_records_take_most_of_the_updates(void **state)
{
    (void)state;
    struct org_fixture f;
    org_fixture_open(&f);
    struct tm_scenario *s =
        scenario("{\"changes\":3000,\"records\":1000,\"zipf\":1.1,\"kinds\":{\"update\":1}}", 1);
    struct tm_workload *w = open_workload(&f, s);
    run(w, s->origin_ms, 0, 1 << 30);
    int64_t top = org_ask_int(f.org, "SELECT sum(n) FROM (SELECT count(*) n FROM history WHERE "
                                     "change='UPDATE' GROUP BY id ORDER BY n "
                                     "DESC LIMIT 100)");
    int64_t distinct = org_ask_int(f.org, "SELECT count(DISTINCT id) FROM history WHERE "
                                          "change='UPDATE'");
    assert_true(top > 1500);
    assert_true(distinct > 150);
    tm_workload_close(w);
    tm_scenario_close(s);
    org_fixture_close(&f);
}

static void text_and_number_values_name_their_write(void **state)
{
    (void)state;
    struct org_fixture f;
    org_fixture_open(&f);
    struct tm_scenario *s =
        scenario("{\"changes\":2000,\"records\":600,\"kinds\":{\"update\":5,\"create\":1}}", 1);
    struct tm_workload *w = open_workload(&f, s);
    run(w, s->origin_ms, 0, 1 << 30);
    static const char *const unique[] = {
        "Name",         "Amount",      "NextStep",        "SeatCount__c",
        "RiskScore__c", "SignedAt__c", "ContactPhone__c", "CallTime__c"
    };
    for (size_t i = 0; i < sizeof unique / sizeof *unique; i++) {
        snprintf(text, 512,
                 "SELECT count(*)-count(DISTINCT v) FROM (SELECT json_extract(fields,'$.%s') v "
                 "FROM history WHERE "
                 "object='Opportunity') WHERE v IS NOT NULL",
                 unique[i]);
        if (org_ask_int(f.org, text) != 0)
            fail_msg("%s repeats", unique[i]);
    }
    tm_workload_close(w);
    tm_scenario_close(s);
    org_fixture_close(&f);
}

static void a_record_changed_by_somebody_else_does_not_stop_the_workload(void **state)
{
    (void)state;
    struct org_fixture f;
    char id[TM_ID_BYTES];
    org_fixture_open(&f);
    struct tm_scenario *s =
        scenario("{\"changes\":400,\"records\":30,\"kinds\":{\"update\":1}}", 1);
    struct tm_workload *w = open_workload(&f, s);
    int64_t at = run(w, s->origin_ms, 0, 50);
    for (int n = 1; n < 15; n++) {
        tm_org_id_of(f.org, id, "006", n);
        assert_int_equal(org_one(f.org, TM_ORG_DELETE, TM_ORG_NORMAL, "Opportunity", id, NULL, at),
                         TM_OK);
    }
    run(w, at, 0, 1 << 30);
    assert_true(tm_workload_done(w));
    assert_true(tm_workload_counts(w)->refused > 0);
    assert_true(tm_workload_counts(w)->refused <
                20); /* each time the states are looked at afresh */
    tm_workload_close(w);
    tm_scenario_close(s);
    org_fixture_close(&f);
}

static void impossible_kinds_are_refused_before_anything_starts(void **state)
{
    (void)state;
    const char *names[] = { "User", NULL };
    struct tm_org_settings settings = { .path = ":memory:",
                                        .objects_dir = "fixtures/objects",
                                        .seed = 7,
                                        .objects = names,
                                        .origin_ms = ORG_ORIGIN_MS,
                                        .compress = 1 };
    struct tm_org *org = NULL;
    struct tm_workload *w = NULL;
    struct tm_err err = { 0 };
    struct tm_scenario *s =
        scenario("{\"changes\":10,\"records\":20,\"kinds\":{\"update\":1,\"merge\":\"once\"}}", 1);
    assert_int_equal(tm_org_open(&org, &settings, &err), TM_OK);
    assert_int_equal(tm_workload_populate(org, s, &err), TM_OK);
    assert_int_equal(tm_workload_open(&w, org, s, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "merge"));
    assert_non_null(strstr(err.msg, "Account"));
    tm_scenario_close(s);
    tm_org_close(org);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_history_byte_for_byte),
        cmocka_unit_test(a_late_run_makes_the_same_choices_at_later_instants),
        cmocka_unit_test(stop_and_start_in_the_middle_ends_in_the_same_history),
        cmocka_unit_test(every_kind_asked_for_happens_even_in_a_tiny_scenario),
        cmocka_unit_test(truth_rebuilt_from_history_equals_the_current_tables),
        cmocka_unit_test(references_are_kept_and_merges_move_opportunities),
        cmocka_unit_test(offered_load_is_what_the_scenario_says),
        cmocka_unit_test(instants_follow_the_clock_once_it_is_known),
        cmocka_unit_test(hot_records_take_most_of_the_updates),
        cmocka_unit_test(text_and_number_values_name_their_write),
        cmocka_unit_test(a_record_changed_by_somebody_else_does_not_stop_the_workload),
        cmocka_unit_test(impossible_kinds_are_refused_before_anything_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
