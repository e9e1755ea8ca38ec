/* contract_batch: every preset of fixtures/batch against the mock org's own handlers, in process: a
 * day with creates, updates, deletes, undeletes, a hard delete, a field that comes and one that
 * goes; what each preset ends with. */
#include "batch/batch.h"
#include "batch/plan.h"
#include "base/sql.h"
#include "mocks/salesforce/routes.h"
#include "support_org.h"
#include "support_port.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS 40
#define MINUTE_MS 60000LL

struct day {
    struct org_fixture org;
    struct tm_salesforce *salesforce;
    struct tm_test_http http;
    struct tm_batch_settings settings;
    struct tm_config *config;
    struct tm_sf_session *session;
    struct tm_batch *batch;
    struct tm_err err;
    char database[160], notes[2000];
    char account[TM_ID_BYTES], ids[RECORDS][TM_ID_BYTES];
    sqlite3 *db;
    unsigned steps, crash_at; /* of the station; 0 = it never crashes */
};

static void day_note(void *data, const char *text)
{
    struct day *d = data;
    size_t n = strlen(d->notes);
    snprintf(d->notes + n, sizeof d->notes - n, "%s\n", text);
}

static int day_credentials(void **state)
{
    (void)state;
    setenv("TIDEMARK_SALESFORCE_URL", "http://org", 1);
    setenv("TIDEMARK_SALESFORCE_USERNAME", "integration@tidemark.example", 1);
    setenv("TIDEMARK_SALESFORCE_PASSWORD", "tidemark", 1);
    setenv("TIDEMARK_SALESFORCE_TOKEN", "TOKEN", 1);
    setenv("TIDEMARK_SALESFORCE_CLIENT_ID", "tidemark-consumer-key", 1);
    setenv("TIDEMARK_SALESFORCE_CLIENT_SECRET", "tidemark-consumer-secret", 1);
    return 0;
}

static void day_start(struct day *d)
{
    assert_int_equal(
        tm_sf_session_open(&d->session, &d->http.port, &d->settings.salesforce, &d->err), TM_OK);
    assert_int_equal(tm_batch_open(&d->batch, &d->settings, d->session, &d->http.port, d->database,
                                   day_note, d, &d->err),
                     TM_OK);
}

/* All that the station had in memory is gone; what it made durable is found again. */
static void day_crash(struct day *d)
{
    tm_batch_close(d->batch);
    tm_sf_session_close(d->session);
    day_start(d);
}

static void day_open(struct day *d, const char *preset, int64_t index_lag_ms)
{
    char path[120], name[40];
    memset(d, 0, sizeof *d);
    org_fixture_open(&d->org);
    if (index_lag_ms > 0) {
        d->org.settings.index_lag_ms = index_lag_ms;
        org_fixture_reopen(&d->org);
    }
    org_make_account(d->org.org, d->account, "Acme", ORG_ORIGIN_MS - 90000);
    for (int i = 0; i < RECORDS; i++) {
        snprintf(name, sizeof name, "deal %d", i);
        org_make_opportunity(d->org.org, d->ids[i], name, d->account,
                             ORG_ORIGIN_MS - 80000 + i * 100);
    }
    struct tm_salesforce_settings mock = { .base_url = "http://org", .oauth = { .seeded = true } };
    assert_int_equal(tm_salesforce_open(&d->salesforce, d->org.org, &mock, &d->err), TM_OK);
    tm_test_http_init(&d->http);
    tm_test_http_route(&d->http, "http://org", tm_salesforce_handler(d->salesforce));
    d->http.now = (struct tm_now){ ORG_ORIGIN_MS, TM_NS_PER_S };
    snprintf(path, sizeof path, "fixtures/batch/%s.json", preset);
    if (tm_batch_settings_load(&d->settings, &d->config, path, NULL, &d->err) != TM_OK)
        fail_msg("%s %s", d->err.ctx, d->err.msg);
    snprintf(d->database, sizeof d->database, "%s/batch.db", d->org.dir);
    day_start(d);
}

static void day_close(struct day *d)
{
    tm_sql_close(d->db);
    tm_batch_close(d->batch);
    tm_sf_session_close(d->session);
    tm_salesforce_close(d->salesforce);
    tm_config_close(d->config);
    org_fixture_close(&d->org);
}

static void day_settle(struct day *d)
{
    for (int i = 0; i < 100000; i++) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        enum tm_code rc = tm_batch_step(d->batch, &d->http.now, &wake, &d->err);
        d->http.now.wall_ns += TM_NS_PER_MS;
        if (rc == TM_E_AGAIN && wake.org_ms != TM_NEVER)
            return;
        if (rc != TM_OK && rc != TM_E_AGAIN)
            fail_msg("%s %s", d->err.ctx, d->err.msg);
        if (++d->steps == d->crash_at)
            day_crash(d);
    }
    fail_msg("the station does not come to rest");
}

/* Every grid point up to the minute, as the clock would pass it. */
static void day_until(struct day *d, int64_t minute)
{
    int64_t until_ms = ORG_ORIGIN_MS + minute * MINUTE_MS;
    while (d->http.now.org_ms < until_ms) {
        int64_t next = tm_plan_grid_after(d->settings.interval_ms, d->http.now.org_ms);
        d->http.now.org_ms = next < until_ms ? next : until_ms;
        day_settle(d);
    }
}

static void day_change(struct day *d, enum tm_org_kind kind, int record, const char *name,
                       int64_t minute)
{
    const struct tm_org_set sets[] = { { "Name", org_text(name) }, { NULL, org_null() } };
    assert_int_equal(org_one(d->org.org, kind, TM_ORG_NORMAL, "Opportunity", d->ids[record],
                             kind == TM_ORG_UPDATE ? sets : NULL,
                             ORG_ORIGIN_MS + minute * MINUTE_MS + 1500),
                     TM_OK);
}

static void day_columns(struct tm_buf *b, struct day *d)
{
    const struct tm_describe *o = tm_org_describe(d->org.org, "Opportunity");
    tm_buf_addz(b, "Id");
    for (size_t i = 0; i < o->fields_count; i++)
        if (tm_field_in_events(&o->fields[i]) && strcmp(o->fields[i].name, "Id") != 0) {
            tm_buf_addz(b, ", ");
            tm_sql_ident(b, o->fields[i].name);
        }
}

static int64_t day_ask(struct day *d, const char *sql)
{
    int64_t n = -1;
    if (tm_sql_int64(&n, d->db, sql, &d->err) != TM_OK)
        fail_msg("%s: %s", sql, d->err.msg);
    return n;
}

/* Rows the relation has and the org has not in just that form, and the other way round. */
static void day_compare(struct day *d, int64_t *out_extra, int64_t *out_missing)
{
    struct tm_buf columns, sql;
    tm_buf_init(&columns, 1u << 16);
    tm_buf_init(&sql, 1u << 18);
    day_columns(&columns, d);
    if (d->db == NULL) {
        assert_int_equal(tm_sql_open(&d->db, d->database, TM_SQL_WRITE, &d->err), TM_OK);
        assert_int_equal(tm_sql_execf(d->db, &d->err, "ATTACH '%s' AS org", d->org.path), TM_OK);
    }
    tm_buf_addf(&sql,
                "SELECT count(*) FROM (SELECT %s FROM main.Opportunity EXCEPT SELECT %s FROM "
                "org.cur_Opportunity"
                " WHERE IsDeleted = 0)",
                tm_buf_text(&columns), tm_buf_text(&columns));
    *out_extra = day_ask(d, tm_buf_text(&sql));
    tm_buf_reset(&sql);
    tm_buf_addf(&sql,
                "SELECT count(*) FROM (SELECT %s FROM org.cur_Opportunity WHERE IsDeleted = 0 "
                "EXCEPT SELECT %s FROM"
                " main.Opportunity)",
                tm_buf_text(&columns), tm_buf_text(&columns));
    *out_missing = day_ask(d, tm_buf_text(&sql));
    tm_buf_free(&columns);
    tm_buf_free(&sql);
}

/* The day. Seven records are deleted, one of them comes back; one more is purged without having
 * been in the bin. */
static void day_run(struct day *d)
{
    char born[TM_ID_BYTES] = "";
    day_settle(d);
    for (int i = 0; i < 10; i++)
        day_change(d, TM_ORG_UPDATE, i, "renamed", 10 + i);
    for (int i = 10; i < 17; i++)
        day_change(d, TM_ORG_DELETE, i, NULL, 50 + i);
    day_until(d, 300);
    day_change(d, TM_ORG_UNDELETE, 10, NULL, 301);
    day_change(d, TM_ORG_HARD_DELETE, 20, NULL, 302);
    org_make_opportunity(d->org.org, born, "new", d->account, ORG_ORIGIN_MS + 303 * MINUTE_MS);
    json_t *field = json_pack("{s:s, s:s, s:b}", "name", "Later__c", "type", "string", "custom", 1);
    assert_int_equal(tm_org_field_add(d->org.org, "Opportunity", field, NULL, &d->err), TM_OK);
    json_decref(field);
    const struct tm_org_set later[] = { { "Later__c", org_text("came late") },
                                        { NULL, org_null() } };
    assert_int_equal(org_one(d->org.org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Opportunity", d->ids[1],
                             later, ORG_ORIGIN_MS + 400 * MINUTE_MS),
                     TM_OK);
    day_until(d, 900);
    day_until(d, 1441);
}

static void preset_ends_with(const char *preset, int64_t extra, int64_t missing)
{
    struct day d;
    int64_t got_extra, got_missing;
    day_open(&d, preset, 0);
    day_run(&d);
    day_compare(&d, &got_extra, &got_missing);
    if (got_extra != extra || got_missing != missing)
        fail_msg("%s ends with %lld rows too many or different, %lld missing; notes: %s", preset,
                 (long long)got_extra, (long long)got_missing, d.notes);
    assert_int_equal(tm_batch_counts(d.batch)->polls_failed, 0);
    assert_int_equal(tm_batch_counts(d.batch)->grid_skipped, 0);
    assert_int_equal(day_ask(&d, "SELECT count(*) FROM Opportunity WHERE Later__c = 'came late'"),
                     1);
    assert_int_equal(day_ask(&d, "SELECT count(*) FROM Opportunity WHERE _dirty <> 0"), 0);
    assert_int_equal(
        day_ask(&d, "SELECT count(DISTINCT object) FROM _polls WHERE mode = 'initial'"), 3);
    /* every shown row belongs to exactly one poll */
    assert_int_equal(day_ask(&d,
                             "SELECT count(*) FROM Opportunity o WHERE (SELECT count(*) FROM "
                             "_polls p WHERE p.object ="
                             " 'Opportunity' AND o._seq BETWEEN p.seq_first AND p.seq_last) <> 1"),
                     0);
    day_close(&d);
}

static void naive_keeps_the_six_deleted_and_the_purged_record(void **state)
{
    (void)state;
    preset_ends_with("naive", 7, 0);
}

static void stitch_like_keeps_only_the_purged_record(void **state)
{
    (void)state;
    preset_ends_with("stitch-like", 1, 0);
}

static void bulk_like_keeps_only_the_purged_record(void **state)
{
    (void)state;
    preset_ends_with("bulk-like", 1, 0);
}

static void fivetran_like_keeps_only_the_purged_record(void **state)
{
    (void)state;
    preset_ends_with("fivetran-like", 1, 0);
}

static void airbyte_like_keeps_only_the_purged_record(void **state)
{
    (void)state;
    preset_ends_with("airbyte-like", 1, 0);
}

static void best_ends_equal(void **state)
{
    (void)state;
    preset_ends_with("best", 0, 0);
}

static void an_index_that_lags_delays_the_best_preset_and_loses_nothing(void **state)
{
    (void)state;
    struct day d;
    int64_t extra, missing;
    day_open(&d, "best", 7 * MINUTE_MS);
    day_settle(&d);
    day_change(&d, TM_ORG_UPDATE, 3, "hidden for a while", 8);
    day_until(&d, 10);
    day_compare(&d, &extra, &missing);
    assert_int_equal(missing, 1);
    day_until(&d, 20);
    day_compare(&d, &extra, &missing);
    assert_int_equal(missing + extra, 0);
    day_close(&d);
}

static void an_expired_token_costs_a_sign_in_and_nothing_else(void **state)
{
    (void)state;
    struct day d;
    int64_t extra, missing;
    day_open(&d, "stitch-like", 0);
    day_settle(&d);
    day_change(&d, TM_ORG_UPDATE, 3, "after the token expired", 8);
    tm_oauth_expire_all(tm_salesforce_oauth(d.salesforce));
    day_until(&d, 30);
    day_compare(&d, &extra, &missing);
    assert_int_equal(missing + extra, 0);
    assert_int_equal(tm_batch_counts(d.batch)->polls_failed, 0);
    day_close(&d);
}

/* ---- killed at every step ---- */

static void crash_until(struct day *d, int64_t minute)
{
    d->http.now.org_ms = ORG_ORIGIN_MS + minute * MINUTE_MS;
    day_settle(d);
}

static void crash_accounts(struct day *d, int count, int64_t org_ms)
{
    char id[TM_ID_BYTES], name[40];
    assert_int_equal(tm_org_begin(d->org.org, NULL), TM_OK);
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "more %d", i);
        org_make_account(d->org.org, id, name, org_ms);
    }
    assert_int_equal(tm_org_end(d->org.org, NULL), TM_OK);
}

/* A first load, a poll with all kinds of changes, one more; where there is a nightly reload (02:00
 * is minute 1080), that is the one. */
static void crash_day(struct day *d, const char *preset, unsigned crash_at, int rows)
{
    day_open(d, preset, 0);
    d->crash_at = crash_at;
    d->settings.objects_count = 2; /* Account and Opportunity: there are no users to copy */
    day_crash(d);                  /* the station takes that up */
    d->settings.page_rows = d->settings.bulk                        ? 7
                            : d->settings.paging == TM_BATCH_KEYSET ? 15
                                                                    : 200; /* a server's least */
    day_settle(d);
    for (int i = 0; i < 20; i++) /* all in one second */
        day_change(d, TM_ORG_UPDATE, i, "renamed", 2);
    for (int i = 20; i < 25; i++)
        day_change(d, TM_ORG_DELETE, i, NULL, 3);
    crash_accounts(d, rows, ORG_ORIGIN_MS + 4 * MINUTE_MS);
    crash_until(d, 370);
    day_change(d, TM_ORG_UNDELETE, 20, NULL, 371);
    day_change(d, TM_ORG_HARD_DELETE, 30, NULL, 372);
    day_change(d, TM_ORG_UPDATE, 31, "again", 373);
    crash_until(d, d->settings.full_at_ms >= 0 ? 1085 : 615);
}

static void killed_at_every_step(const char *preset, int rows)
{
    struct day d;
    static const char reloads[] = "SELECT count(*) FROM _polls WHERE mode = 'full'";
    int64_t extra, missing, accounts, full;
    crash_day(&d, preset, 0, rows);
    day_compare(&d, &extra, &missing);
    accounts = day_ask(&d, "SELECT count(*) FROM Account");
    full = day_ask(&d, reloads);
    unsigned steps = d.steps;
    day_close(&d);
    assert_in_range(steps, 25, 300);
    assert_int_equal(accounts, 1 + rows);
    for (unsigned k = 1; k < steps; k++) {
        int64_t got_extra, got_missing;
        crash_day(&d, preset, k, rows);
        day_compare(&d, &got_extra, &got_missing);
        bool doubled = day_ask(&d, "SELECT count(*) FROM Opportunity o WHERE (SELECT count(*) FROM "
                                   "_polls p WHERE p.object = 'Opportunity' AND o._seq BETWEEN "
                                   "p.seq_first AND p.seq_last) <> 1") != 0;
        if (got_extra != extra || got_missing != missing || doubled ||
            day_ask(&d, reloads) != full ||
            accounts != day_ask(&d, "SELECT count(*) FROM Account") ||
            day_ask(&d, "SELECT count(*) FROM _failures") != 0)
            fail_msg("%s, killed after step %u of %u: %lld rows too many or different (%lld "
                     "without), %lld missing (%lld); notes: %s",
                     preset, k, steps, (long long)got_extra, (long long)extra,
                     (long long)got_missing, (long long)missing, d.notes);
        day_close(&d);
    }
}

static void best_killed_at_every_step_ends_as_if_it_had_not_been(void **state)
{
    (void)state;
    killed_at_every_step("best", 16);
}

static void stitch_like_killed_at_every_step_ends_as_if_it_had_not_been(void **state)
{
    (void)state;
    killed_at_every_step("stitch-like", 210);
}

static void bulk_like_killed_at_every_step_ends_as_if_it_had_not_been(void **state)
{
    (void)state;
    killed_at_every_step("bulk-like", 16);
}

/* One page of Opportunity is stored, then the mock forgets all jobs, as after seven days: another
 * job sees another moment, so that the read begins again. */
static void a_job_the_org_forgot_is_made_anew_and_its_read_begins_again(void **state)
{
    static const char stored[] = "SELECT count(*) FROM _jobs WHERE object = 'Opportunity' AND "
                                 "locator <> ''";
    struct day d;
    int64_t extra, missing, pages = 0;
    (void)state;
    day_open(&d, "bulk-like", 0);
    d.settings.objects_count = 2;
    d.settings.page_rows = 7;
    day_crash(&d);
    assert_int_equal(tm_sql_open(&d.db, d.database, TM_SQL_WRITE, &d.err), TM_OK);
    for (int i = 0; i < 1000 && pages == 0; i++) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        enum tm_code rc = tm_batch_step(d.batch, &d.http.now, &wake, &d.err);
        assert_true(rc == TM_OK || rc == TM_E_AGAIN);
        d.http.now.wall_ns += TM_NS_PER_MS;
        pages = day_ask(&d, stored);
    }
    assert_int_equal(pages, 1);
    tm_sql_close(d.db);
    d.db = NULL;
    day_change(&d, TM_ORG_HARD_DELETE, 0, NULL, 1); /* it stands in the load table */
    d.http.now.org_ms += 8 * 1440 * MINUTE_MS;
    day_settle(&d);
    assert_non_null(strstr(d.notes, "no longer knows the Bulk job of Opportunity"));
    day_compare(&d, &extra, &missing);
    assert_int_equal(extra, 0);
    assert_int_equal(missing, 0);
    assert_int_equal(tm_batch_counts(d.batch)->polls_failed, 0);
    day_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(naive_keeps_the_six_deleted_and_the_purged_record),
        cmocka_unit_test(stitch_like_keeps_only_the_purged_record),
        cmocka_unit_test(bulk_like_keeps_only_the_purged_record),
        cmocka_unit_test(fivetran_like_keeps_only_the_purged_record),
        cmocka_unit_test(airbyte_like_keeps_only_the_purged_record),
        cmocka_unit_test(best_ends_equal),
        cmocka_unit_test(an_index_that_lags_delays_the_best_preset_and_loses_nothing),
        cmocka_unit_test(an_expired_token_costs_a_sign_in_and_nothing_else),
        cmocka_unit_test(best_killed_at_every_step_ends_as_if_it_had_not_been),
        cmocka_unit_test(stitch_like_killed_at_every_step_ends_as_if_it_had_not_been),
        cmocka_unit_test(bulk_like_killed_at_every_step_ends_as_if_it_had_not_been),
        cmocka_unit_test(a_job_the_org_forgot_is_made_anew_and_its_read_begins_again),
    };
    return cmocka_run_group_tests(tests, day_credentials, NULL);
}
