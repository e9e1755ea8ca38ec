/* tidemark check, the program: a run of three seconds followed live, with an org and warehouses
 * written by hand while it watches; and the verdict on finished warehouses. */
#include "base/clock.h"
#include "tests/support_command.h"
#include "tests/support_history.h"
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <time.h>

enum { RECORDS = 12, CHANGES = 90, LIVE_MINUTES = 50, POLL_MINUTES = 10 };

struct live_row {
    char name[24];
    double amount;
    int64_t stamp;
    int alive, phantom;
};
struct live {
    sqlite3 *org, *view, *batch;
    struct live_row now[RECORDS], polled[RECORDS];
    int lose_change;   /* the stream loses this change (1-based); 0 none */
    double grid_shift; /* the batch lies about its grid points by so many minutes */
    int polls, deletes;
    char dir[200];
};

static void live_until(double minutes)
{
    int64_t ns = history_wall_ns(minutes);
    struct timespec at = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void live_put(sqlite3 *w, int n, const struct live_row *r)
{
    history_put(w, n, r->name, "open", r->amount, 0, r->stamp, 0);
}

static void live_poll(struct live *l, double grid)
{
    int64_t first = history_seq(l->batch) + 1;
    live_until(grid);
    for (int n = 0; n < RECORDS; n++) {
        /* `query` does not return deleted rows: the phantom stays */
        if (!l->now[n].alive) {
            l->polled[n].phantom = l->polled[n].alive;
            continue;
        }
        if (memcmp(&l->now[n], &l->polled[n], sizeof l->now[n]) != 0)
            live_put(l->batch, n, &l->now[n]);
        l->polled[n] = l->now[n];
    }
    double finished =
        (double)(tm_clock_monotonic_ns() - history_wall_ns(0)) * HISTORY_COMPRESS / 60e9;
    history_poll(l->batch, "incremental", grid + l->grid_shift, finished, first, 0);
    l->polls++;
}

static void live_change(struct live *l, int i, double minutes)
{
    int n = i % RECORDS;
    struct live_row *r = &l->now[n];
    char fields[120];
    live_until(minutes);
    if (i == 40 || i == 60) { /* an ordinary day: two deletes, one of them undone */
        history_commit(l->org, n, "DELETE", "", minutes, "{}");
        r->alive = 0;
        l->deletes++;
        history_remove(l->view, n);
        return;
    }
    if (!r->alive && i < 72)
        return;
    snprintf(r->name, sizeof r->name, "name %d", i);
    r->amount = i + 0.25;
    r->stamp = history_stamp(minutes);
    snprintf(fields, sizeof fields,
             "{\"Name\":\"%s\",\"Stage\":\"open\",\"Private\":0,\"Amount\":%.2f}", r->name,
             r->amount);
    if (r->alive) {
        snprintf(fields, sizeof fields, "{\"Name\":\"%s\",\"Amount\":%.2f}", r->name, r->amount);
        history_commit(l->org, n, "UPDATE", "", minutes, fields);
    } else if (n == 60 % RECORDS) {
        history_commit(l->org, n, "UNDELETE", "", minutes, fields);
        r->alive = 1;
    } else {
        return;
    }
    if (i + 1 != l->lose_change)
        live_put(l->view, n, r);
}

static void live_plan(struct live *l)
{
    FILE *f = fopen(history_path("plan.json"), "w");
    fprintf(f,
            "{\"org\":\"%s/org.db\",\"run_db\":\"%s/run.db\",\"out\":\"%s/"
            "measures.json\",\"scenario\":\"by hand\",\"seed\":7,"
            "\"compress\":%d,\"events\":[\"UPDATE\",\"DELETE\",\"UNDELETE\"],\"traces\":[\"%s/"
            "none.trace\"],\"pipelines\":["
            "{\"name\":\"stream-view\",\"kind\":\"stream\",\"database\":\"%s/"
            "view.db\",\"objects\":[\"Opportunity\"]},"
            "{\"name\":\"batch-naive\",\"kind\":\"batch\",\"database\":\"%s/"
            "batch.db\",\"objects\":[\"Opportunity\"],"
            "\"interval_ms\":%d,\"carries\":[\"CREATE\",\"UPDATE\",\"UNDELETE\"],\"clients\":["
            "\"tidemark-batch-naive\"]}]}",
            l->dir, l->dir, l->dir, HISTORY_COMPRESS, l->dir, l->dir, l->dir, POLL_MINUTES * 60000);
    fclose(f);
}

static void live_begin(struct live *l, const char *name)
{
    char command[300];
    snprintf(l->dir, sizeof l->dir, "%s", history_folder());
    (void)name;
    snprintf(command, sizeof command, "rm -f '%s'/*", l->dir);
    assert_int_equal(system(command), 0);
    l->org =
        history_org(history_path("org.db"), HISTORY_COMPRESS, tm_clock_monotonic_ns() + 1500000000);
    l->view = history_warehouse(history_path("view.db"));
    l->batch = history_warehouse(history_path("batch.db"));
    for (int n = 0; n < RECORDS; n++) {
        struct live_row *r = &l->now[n];
        char fields[120];
        *r = (struct live_row){ .amount = n, .stamp = history_stamp(-1), .alive = 1 };
        snprintf(r->name, sizeof r->name, "first %d", n);
        snprintf(fields, sizeof fields,
                 "{\"Name\":\"%s\",\"Stage\":\"open\",\"Private\":0,\"Amount\":%d}", r->name, n);
        history_commit(l->org, n, "CREATE", NULL, -1, fields);
        live_put(l->view, n, r);
        live_put(l->batch, n, r);
        l->polled[n] = *r;
    }
    history_exec(l->org,
                 "INSERT INTO usage VALUES('tidemark-batch-naive/1','query',11,100,2000,0),"
                 "('tidemark-batch-naive/1','login',1,10,10,0),('somebody/1','query',99,9,9,0)");
    live_plan(l);
}

/* Plays the run while the program follows it; returns its exit code, *out the measures. */
static int live_run(struct live *l, json_t **out)
{
    live_begin(l, "live");
    struct tm_test_server check =
        tm_test_server_start("tidemark check --live '%s'", history_path("plan.json"));
    assert_non_null(strstr(check.line, "following 2 pipelines"));
    for (int i = 0; i < CHANGES; i++) {
        double minutes = 0.5 + i * 0.5;
        if (minutes > (l->polls + 1) * POLL_MINUTES)
            live_poll(l, (l->polls + 1) * POLL_MINUTES);
        live_change(l, i, minutes + 0.05);
    }
    live_poll(l, (l->polls + 1) * POLL_MINUTES);
    live_until(LIVE_MINUTES + 4);
    int code = tm_test_server_stop(&check);
    *out = json_load_file(history_path("measures.json"), 0, NULL);
    sqlite3_close(l->org);
    sqlite3_close(l->view);
    sqlite3_close(l->batch);
    return code;
}

static json_t *pipeline_of(json_t *report, int i)
{
    return json_array_get(json_object_get(report, "pipelines"), (size_t)i);
}

static double number_of(const json_t *object, const char *a, const char *b)
{
    const json_t *v = json_object_get(json_object_get(object, a), b);
    assert_true(json_is_number(v));
    return json_number_value(v);
}

static const json_t *test_of(json_t *report, const char *name)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(report, "self_tests"), i,
                       one) if (strcmp(json_string_value(json_object_get(one, "name")), name) ==
                                0) return one;
    fail_msg("no self-test %s", name);
    return NULL;
}

static void show(json_t *report)
{
    char *text = json_dumps(report, JSON_INDENT(1));
    fprintf(stderr, "%s\n", text);
    free(text);
}

static void a_run_followed_live_passes_and_names_the_phantoms_of_the_script(void **state)
{
    (void)state;
    struct live l = { 0 };
    json_t *report, *stream, *batch;
    int code = live_run(&l, &report);
    assert_non_null(report);
    if (code != 0)
        show(report);
    assert_int_equal(code, 0);
    stream = pipeline_of(report, 0);
    batch = pipeline_of(report, 1);
    assert_string_equal(json_string_value(json_object_get(report, "verdict")), "pass");
    assert_true(number_of(stream, "freshness_s", "never") < 0.5);
    assert_true(number_of(stream, "drift", "final_rows") < 0.5);
    assert_true(number_of(stream, "freshness_s", "count") > 80);
    assert_true(number_of(stream, "freshness_s", "p50") > 0 &&
                number_of(stream, "freshness_s", "p50") < 1);
    /* minutes, where the stream takes milliseconds */
    assert_true(number_of(batch, "freshness_s", "p50") > 60);
    assert_true(number_of(batch, "drift", "phantom") > 0.5 &&
                number_of(batch, "drift", "phantom") < 1.5);
    assert_true(number_of(batch, "phantoms", "count") > 0.5);
    const json_t *phantom =
        json_array_get(json_object_get(json_object_get(batch, "phantoms"), "examples"), 0);
    char id[19];
    history_id(id, 40 % RECORDS);
    assert_string_equal(json_string_value(json_object_get(phantom, "id")), id);
    assert_string_equal(json_string_value(json_object_get(phantom, "change")), "DELETE");
    assert_true(number_of(batch, "lost_history", "states") > 1);
    assert_true(number_of(batch, "cost", "api_calls") > 10 &&
                number_of(batch, "cost", "api_calls") < 12);
    assert_true(json_is_true(json_object_get(test_of(report, "batch-naive: poll_time"), "ok")));
    assert_true(json_number_value(
                    json_object_get(test_of(report, "batch-naive: poll_time"), "measured")) > 20);
    assert_true(json_is_true(json_object_get(test_of(report, "batch-naive: lost_states"), "ok")));
    assert_true(json_is_true(json_object_get(test_of(report, "stream-view: area"), "ok")));
    json_decref(report);
}

static void run_db_holds_every_sample(void **state)
{
    (void)state;
    sqlite3 *db;
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_open(history_path("run.db"), &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(
            db,
            "SELECT (SELECT count(*) FROM change) * 2 - (SELECT count(*) FROM sample),"
            " (SELECT count(*) FROM sample WHERE censored AND pipeline = 'stream-view'), (SELECT "
            "count(*) FROM curve),"
            " (SELECT count(*) FROM selftest WHERE NOT ok), (SELECT class FROM final_diff)",
            -1, &q, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(q, 0), 0);
    assert_int_equal(sqlite3_column_int(q, 1), 0);
    assert_true(sqlite3_column_int(q, 2) > 1000);
    assert_int_equal(sqlite3_column_int(q, 3), 0);
    assert_string_equal((const char *)sqlite3_column_text(q, 4), "phantom");
    sqlite3_finalize(q);
    sqlite3_close(db);
}

static void a_stream_that_loses_its_last_change_of_a_record_fails_with_the_witness(void **state)
{
    (void)state;
    struct live l = { .lose_change = CHANGES };
    json_t *report;
    char id[19];
    int code = live_run(&l, &report);
    assert_non_null(report);
    if (code != 1)
        show(report);
    assert_int_equal(code, 1);
    char *reasons = json_dumps(json_object_get(report, "reasons"), 0);
    history_id(id, (CHANGES - 1) % RECORDS);
    assert_non_null(strstr(reasons, "stream-view"));
    assert_non_null(strstr(reasons, id));
    assert_non_null(strstr(reasons, "the org holds"));
    free(reasons);
    json_decref(report);
}

static void a_batch_that_lies_about_its_grid_is_our_own_fault(void **state)
{
    (void)state;
    struct live l = { .grid_shift = -5 };
    json_t *report;
    int code = live_run(&l, &report);
    assert_int_equal(code, 70);
    json_decref(report);
}

/* ---- after the fact ---- */

static void after_world(const char *map)
{
    char sql[300], id[19];
    sqlite3 *org = history_org(history_path("after-org.db"), 1, HISTORY_WALL_NS);
    history_commit(org, 1, "CREATE", NULL, -1,
                   "{\"Name\":\"a\",\"Stage\":\"new\",\"Amount\":1.5,\"Private\":1}");
    history_commit(org, 2, "CREATE", "", 1,
                   "{\"Name\":\"b\",\"Stage\":\"new\",\"Amount\":2,\"Private\":0}");
    history_commit(org, 2, "UPDATE", "", 2, "{\"Amount\":3}");
    history_commit(org, 3, "CREATE", "", 3, "{\"Name\":\"c\",\"Amount\":4,\"Private\":0}");
    history_commit(org, 3, "DELETE", "", 4, "{}");
    sqlite3_close(org);
    sqlite3 *w = NULL;
    remove(history_path("after-w.db"));
    assert_int_equal(sqlite3_open(history_path("after-w.db"), &w), SQLITE_OK);
    history_exec(
        w, "CREATE TABLE opp(sfid TEXT, name TEXT, stage TEXT, usd TEXT, priv TEXT, changed TEXT)");
    history_id(id, 1);
    snprintf(sql, sizeof sql,
             "INSERT INTO opp VALUES('%.15s','a','new','1.50','true','2026-03-02T07:59:00.400Z')",
             id);
    history_exec(w, sql);
    history_id(id, 2);
    snprintf(sql, sizeof sql,
             "INSERT INTO opp VALUES('%s','b','new','3','false','2026-03-02T08:02:00Z')", id);
    history_exec(w, sql);
    sqlite3_close(w);
    FILE *f = fopen(history_path("map.json"), "w");
    fputs(map, f);
    fclose(f);
}

#define AFTER_MAP                                                                                  \
    "{\"Opportunity\":{\"query\":\"SELECT * FROM "                                                 \
    "opp\",\"columns\":{\"Id\":\"sfid\",\"Amount\":\"usd\","                                       \
    "\"Private\":\"priv\",\"LastModifiedDate\":\"changed\"},\"tolerances\":{\"LastModifiedDate\":" \
    "\"1s\"}}}"

static struct tm_test_output after_run(const char *flags)
{
    char org[200], w[200], map[200];
    snprintf(org, sizeof org, "%s", history_path("after-org.db"));
    snprintf(w, sizeof w, "%s", history_path("after-w.db"));
    snprintf(map, sizeof map, "%s", history_path("map.json"));
    return tm_test_command(20, "tidemark check --org %s --warehouse %s --relations %s %s", org, w,
                           map, flags);
}

static void a_warehouse_in_its_own_words_is_found_equal(void **state)
{
    (void)state;
    after_world(AFTER_MAP);
    struct tm_test_output o = after_run("");
    if (o.code != 0)
        fprintf(stderr, "%s%s", o.out, o.err);
    assert_int_equal(o.code, 0);
    assert_non_null(strstr(o.out, "pass"));
    tm_test_output_free(&o);
}

/* No row on either side differs, and nothing was shown to be right. */
static void an_empty_warehouse_of_an_empty_org_is_no_pass(void **state)
{
    (void)state;
    sqlite3 *w;
    after_world(AFTER_MAP);
    sqlite3_close(history_org(history_path("after-org.db"), 1, HISTORY_WALL_NS));
    assert_int_equal(sqlite3_open(history_path("after-w.db"), &w), SQLITE_OK);
    history_exec(w, "DELETE FROM opp");
    sqlite3_close(w);
    struct tm_test_output o = after_run("");
    assert_int_equal(o.code, 2);
    assert_non_null(strstr(o.out, "inconclusive"));
    assert_non_null(strstr(o.out, "Opportunity"));
    assert_non_null(strstr(o.out, "nothing to compare"));
    tm_test_output_free(&o);
    o = after_run("--json");
    assert_int_equal(o.code, 2);
    assert_non_null(strstr(o.out, "\"verdict\": \"inconclusive\""));
    tm_test_output_free(&o);
}

/* Every record was deleted: an empty warehouse is the right one, and a phantom would be seen. */
static void an_empty_warehouse_of_an_org_that_deleted_all_passes(void **state)
{
    (void)state;
    sqlite3 *w, *org;
    after_world(AFTER_MAP);
    org = history_org(history_path("after-org.db"), 1, HISTORY_WALL_NS);
    history_commit(org, 1, "CREATE", NULL, -1, "{\"Name\":\"a\",\"Amount\":1.5,\"Private\":1}");
    history_commit(org, 1, "DELETE", "", 4, "{}");
    sqlite3_close(org);
    assert_int_equal(sqlite3_open(history_path("after-w.db"), &w), SQLITE_OK);
    history_exec(w, "DELETE FROM opp");
    sqlite3_close(w);
    struct tm_test_output o = after_run("");
    assert_int_equal(o.code, 0);
    tm_test_output_free(&o);
}

/* Ids alone are found; what the records hold is not looked at. */
static void a_query_that_gives_no_field_is_no_pass(void **state)
{
    (void)state;
    after_world("{\"Opportunity\":{\"query\":\"SELECT sfid AS Id FROM opp\"}}");
    struct tm_test_output o = after_run("");
    assert_int_equal(o.code, 2);
    assert_non_null(strstr(o.out, "no column of Opportunity"));
    tm_test_output_free(&o);
}

/* Beyond what is listed as an example too: 40 deletes that nobody carried, one wrong value. */
static void every_differing_row_of_a_warehouse_is_counted_by_what_the_log_says_of_it(void **state)
{
    (void)state;
    sqlite3 *w, *org;
    char sql[200], id[19];
    json_t *one;
    size_t i;
    json_int_t deletes = 0, others = 0;
    after_world(AFTER_MAP);
    org = history_org(history_path("after-org.db"), 1, HISTORY_WALL_NS);
    assert_int_equal(sqlite3_open(history_path("after-w.db"), &w), SQLITE_OK);
    history_exec(w, "DELETE FROM opp");
    for (int n = 1; n <= 41; n++) {
        history_commit(org, n, "CREATE", NULL, -1, "{\"Name\":\"a\",\"Amount\":1,\"Private\":1}");
        if (n > 1)
            history_commit(org, n, "DELETE", "", 4, "{}");
        history_id(id, n);
        snprintf(sql, sizeof sql,
                 "INSERT INTO opp VALUES('%s','a',NULL,'%d','true','2026-03-02T07:59:00Z')", id,
                 n == 1 ? 2 : 1);
        history_exec(w, sql);
    }
    sqlite3_close(org);
    sqlite3_close(w);
    struct tm_test_output o = after_run("--json");
    json_t *report = json_loads(o.out, 0, NULL);
    json_array_foreach(json_object_get(report, "causes"), i, one)
    {
        const char *hint = json_string_value(json_object_get(one, "hint"));
        json_int_t rows = json_integer_value(json_object_get(one, "rows"));
        if (hint != NULL && strstr(hint, "it is a delete") != NULL)
            deletes += rows;
        else
            others += rows;
    }
    assert_int_equal(deletes, 40);
    assert_int_equal(others, 1);
    json_decref(report);
    tm_test_output_free(&o);
    o = after_run("");
    assert_non_null(strstr(o.out, "not_known: 40 rows; the org's log says"));
    tm_test_output_free(&o);
}

static void a_warehouse_that_differs_is_told_row_by_row(void **state)
{
    (void)state;
    sqlite3 *w;
    char sql[200], id[19];
    after_world(AFTER_MAP);
    assert_int_equal(sqlite3_open(history_path("after-w.db"), &w), SQLITE_OK);
    history_id(id, 3);
    snprintf(sql, sizeof sql,
             "INSERT INTO opp VALUES('%s','c',NULL,'4','false','2026-03-02T08:03:00Z')", id);
    history_exec(w, sql);
    history_exec(w, "UPDATE opp SET usd = '99' WHERE name = 'b'");
    history_exec(w, "DELETE FROM opp WHERE name = 'a'");
    sqlite3_close(w);
    struct tm_test_output o = after_run("--json");
    assert_int_equal(o.code, 1);
    json_t *report = json_loads(o.out, 0, NULL),
           *one = json_object_get(json_object_get(report, "objects"), "Opportunity");
    assert_int_equal(json_integer_value(json_object_get(one, "missing")), 1);
    assert_int_equal(json_integer_value(json_object_get(one, "phantom")), 1);
    assert_int_equal(json_integer_value(json_object_get(one, "wrong")), 1);
    assert_non_null(strstr(o.out, "\"shown\": \"99\""));
    /* a copy filled out of sight: no station is guessed, but what the org's log says is told */
    assert_non_null(strstr(o.out, "\"cause\": \"not_known\""));
    assert_non_null(strstr(o.out, "evidence missing. Of the CREATE at position "));
    assert_null(strstr(o.out, "\"station\": \""));
    json_decref(report);
    tm_test_output_free(&o);
}

static void refused(const char *map, const char *a, const char *b)
{
    after_world(map);
    struct tm_test_output o = after_run("--steps-max 20");
    if (o.code != 64 || strstr(o.err, a) == NULL || strstr(o.err, b) == NULL)
        fprintf(stderr, "%d: %s", o.code, o.err);
    assert_int_equal(o.code, 64);
    assert_non_null(strstr(o.err, a));
    assert_non_null(strstr(o.err, b));
    tm_test_output_free(&o);
}

static void mistakes_in_the_map_are_named(void **state)
{
    (void)state;
    refused("{\"Oportunity\":{\"query\":\"SELECT 1\"}}", "Oportunity", "did you mean Opportunity");
    refused("{\"Opportunity\":{\"querry\":\"SELECT 1\"}}", "querry", "did you mean");
    refused("{\"Opportunity\":{\"query\":\"SELECT nothing FROM opp\"}}", "Opportunity", "nothing");
    refused("{\"Opportunity\":{\"query\":\"SELECT name FROM opp\"}}", "Opportunity", "Id");
    refused("{\"Opportunity\":{\"query\":\"DELETE FROM opp\"}}", "Opportunity", "only read");
    refused("{\"Opportunity\":{\"query\":\"SELECT sfid AS Id FROM opp; DROP TABLE opp\"}}",
            "Opportunity", "one SELECT");
    refused("{\"Opportunity\":{\"query\":\"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 "
            "FROM n) SELECT i AS Id "
            "FROM n WHERE i < 0\"}}",
            "Opportunity", "limit");
    refused("{\"Opportunity\":{\"query\":\"SELECT * FROM "
            "opp\",\"columns\":{\"Id\":\"sfid\",\"Amount\":\"eur\"}}}",
            "eur", "does not give");
    refused("{\"Opportunity\":{\"query\":\"SELECT * FROM "
            "opp\",\"columns\":{\"Id\":\"sfid\"},\"tolerances\":{\"Amount\":"
            "\"a lot\"}}}",
            "tolerance", "Amount");
    refused("not json", "map.json", "1");
}

static void usage_mistakes_are_64(void **state)
{
    (void)state;
    tm_test_refused(64, (const char *[]){ "--relations", NULL }, 10, "tidemark check --org x.db");
    tm_test_refused(64, (const char *[]){ "nowhere.json", NULL }, 10,
                    "tidemark check --live nowhere.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_followed_live_passes_and_names_the_phantoms_of_the_script),
        cmocka_unit_test(run_db_holds_every_sample),
        cmocka_unit_test(a_stream_that_loses_its_last_change_of_a_record_fails_with_the_witness),
        cmocka_unit_test(a_batch_that_lies_about_its_grid_is_our_own_fault),
        cmocka_unit_test(a_warehouse_in_its_own_words_is_found_equal),
        cmocka_unit_test(an_empty_warehouse_of_an_empty_org_is_no_pass),
        cmocka_unit_test(an_empty_warehouse_of_an_org_that_deleted_all_passes),
        cmocka_unit_test(a_query_that_gives_no_field_is_no_pass),
        cmocka_unit_test(every_differing_row_of_a_warehouse_is_counted_by_what_the_log_says_of_it),
        cmocka_unit_test(a_warehouse_that_differs_is_told_row_by_row),
        cmocka_unit_test(mistakes_in_the_map_are_named),
        cmocka_unit_test(usage_mistakes_are_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
