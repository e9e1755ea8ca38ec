/* The main job under a virtual clock: what the e2e of `tidemark run` shows must hold here too, for
 * the same stations, plan, witness and report are at work; and org time is exact, so that two runs
 * of one build leave the same report.json, byte for byte. */
#include "support_command.h"
#include <jansson.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char day_folder[64];
static json_t *day_report;
static int day_code = -1;
static char *day_stdout;

/* short.json with less of everything, and a view that looks for rows less often. */
static void day_scenario(char out[128])
{
    static const char *const beside[] = { "objects", "connectors", "batch" };
    char cwd[2048], from[2200], to[128];
    json_error_t error;
    json_t *scenario = json_load_file("fixtures/scenarios/short.json", 0, &error);
    assert_non_null(scenario);
    assert_non_null(getcwd(cwd, sizeof cwd));
    json_t *workload = json_object_get(scenario, "workload"),
           *stream = json_array_get(json_object_get(scenario, "pipelines"), 0);
    json_object_set_new(scenario, "hours", json_real(0.75));
    json_object_set_new(workload, "records", json_integer(400));
    json_object_set_new(workload, "changes", json_integer(1500));
    json_object_set_new(json_object_get(stream, "set"), "view",
                        json_pack("{s:i}", "poll.interval.ms", 200));
    for (size_t i = 0; i < 3; i++) {
        snprintf(from, sizeof from, "%s/fixtures/%s", cwd, beside[i]);
        snprintf(to, sizeof to, "%s/%s", day_folder, beside[i]);
        assert_int_equal(symlink(from, to), 0);
    }
    snprintf(out, 128, "%s/scenarios", day_folder);
    assert_int_equal(mkdir(out, 0777), 0);
    snprintf(out, 128, "%s/scenarios/small.json", day_folder);
    assert_int_equal(json_dump_file(scenario, out, JSON_INDENT(1)), 0);
    json_decref(scenario);
}

static int day_once(void **state)
{
    (void)state;
    char scenario[128], path[128];
    json_error_t error;
    snprintf(day_folder, sizeof day_folder, "%s", tm_test_folder());
    day_scenario(scenario);
    struct tm_test_output o =
        tm_test_command(300, "tidemark simulate %s --out %s/one", scenario, day_folder);
    day_code = o.code;
    day_stdout = strdup(o.out);
    snprintf(path, sizeof path, "%s/one/report.json", day_folder);
    day_report = json_load_file(path, 0, &error);
    if (day_report == NULL || o.code != 0)
        print_error("exit %d\n%s\n%s\n", o.code, o.err, o.out);
    tm_test_output_free(&o);
    return day_report == NULL ? -1 : 0;
}

static int day_forget(void **state)
{
    (void)state;
    json_decref(day_report);
    free(day_stdout);
    if (getenv("TIDEMARK_KEEP") == NULL)
        tm_test_folder_remove(day_folder);
    return 0;
}

static json_t *pipeline_of(const char *name)
{
    json_t *p;
    size_t i;
    json_array_foreach(json_object_get(day_report, "pipelines"), i, p)
    {
        if (strcmp(json_string_value(json_object_get(p, "name")), name) == 0)
            return p;
    }
    fail_msg("the report has no pipeline %s", name);
    return NULL;
}

static json_int_t number_of(const char *pipeline, const char *group, const char *key)
{
    json_t *value = json_object_get(json_object_get(pipeline_of(pipeline), group), key);
    if (!json_is_number(value))
        fail_msg("%s.%s.%s is not a number", pipeline, group, key);
    return (json_int_t)json_number_value(value);
}

static void the_day_passes_and_leaves_every_promised_file(void **state)
{
    static const char *const names[] = { "report.html", "report.md", "report.json", "junit.xml",
                                         "run.db",      "org.db",    "raw.db",      "view.db" };
    char path[128];
    (void)state;
    assert_int_equal(day_code, 0);
    assert_string_equal(json_string_value(json_object_get(day_report, "verdict")), "pass");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/one/%s", day_folder, names[i]);
        if (access(path, R_OK) != 0)
            fail_msg("%s is missing", path);
    }
}

static void streaming_ends_with_no_differing_row_and_no_dirt_in_both_options(void **state)
{
    static const char *const names[] = { "stream-view", "stream-sql" };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(number_of(names[i], "drift", "final_rows"), 0);
        assert_int_equal(number_of(names[i], "drift", "dirty"), 0);
        assert_int_equal(number_of(names[i], "freshness_s", "never"), 0);
        assert_true(number_of(names[i], "freshness_s", "count") > 1000);
    }
}

static void the_naive_script_keeps_its_phantoms_and_a_full_reload_ends_equal(void **state)
{
    (void)state;
    assert_true(number_of("batch-naive", "drift", "phantom") > 0);
    assert_int_equal(number_of("batch-full", "drift", "final_rows"), 0);
}

static void every_self_test_holds(void **state)
{
    json_t *test, *tests = json_object_get(day_report, "self_tests");
    size_t i;
    (void)state;
    assert_true(json_array_size(tests) >= 5);
    json_array_foreach(tests, i, test)
    {
        if (!json_is_true(json_object_get(test, "ok")))
            fail_msg("self-test does not hold: %s",
                     json_string_value(json_object_get(test, "name")));
    }
}

static void every_change_is_committed_at_its_intended_instant(void **state)
{
    (void)state;
    json_t *offered = json_object_get(day_report, "offered");
    assert_true(json_number_value(json_object_get(offered, "lateness_ms_max")) == 0);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(day_report, "environment"), "compress")),
        1);
}

static void what_only_a_real_clock_can_tell_is_null_and_the_seconds_are_printed(void **state)
{
    static const char *const stations[] = { "org", "source-1",  "sink",    "view",
                                            "gap", "reconcile", "witness", "batch-naive" };
    (void)state;
    json_t *cost = json_object_get(pipeline_of("stream-view"), "cost");
    assert_true(json_is_null(json_object_get(cost, "cpu_s")));
    assert_true(json_is_null(json_object_get(cost, "query_ms")));
    assert_true(json_integer_value(json_object_get(cost, "api_calls")) > 0);
    for (size_t i = 0; i < sizeof stations / sizeof stations[0]; i++)
        assert_non_null(strstr(day_stdout, stations[i]));
}

/* The sink fetches all that is produced; gap and reconciler some of it once more. */
static void what_goes_through_kafka_is_counted_for_who_uses_it(void **state)
{
    (void)state;
    const json_t *stream = json_object_get(pipeline_of("stream-view"), "cost"),
                 *batch = json_object_get(pipeline_of("batch-naive"), "cost");
    int64_t produced = json_integer_value(json_object_get(stream, "kafka_bytes_produced")),
            fetched = json_integer_value(json_object_get(stream, "kafka_bytes_fetched"));
    assert_true(produced > 0);
    assert_true(fetched > produced && fetched < 2 * produced);
    assert_int_equal(json_integer_value(json_object_get(stream, "kafka_bytes")),
                     produced + fetched);
    assert_int_equal(json_integer_value(json_object_get(batch, "kafka_bytes")), 0);
}

static void two_runs_leave_the_same_report_byte_for_byte(void **state)
{
    (void)state;
    char line[256];
    struct tm_test_output o = tm_test_command(
        300, "tidemark simulate %s/scenarios/small.json --out %s/two", day_folder, day_folder);
    assert_int_equal(o.code, 0);
    tm_test_output_free(&o);
    snprintf(line, sizeof line, "cmp %s/one/report.json %s/two/report.json", day_folder,
             day_folder);
    assert_int_equal(system(line), 0);
}

static void a_broker_of_the_users_own_is_refused_before_anything_is_made(void **state)
{
    static const char *const said[] = { "--brokers", "tidemark run", NULL };
    char path[128];
    (void)state;
    tm_test_refused(
        64, said, 20,
        "tidemark simulate %s/scenarios/small.json --brokers localhost:1 --out %s/three",
        day_folder, day_folder);
    snprintf(path, sizeof path, "%s/three", day_folder);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* ---- tidemark why ---- */

static json_t *day_story(const char *arguments)
{
    struct tm_test_output o =
        tm_test_command(60, "tidemark why %s/one %s --json", day_folder, arguments);
    json_t *story = json_loads(o.out, 0, NULL);
    if (o.code != 0 || story == NULL)
        fail_msg("why %s: exit %d\n%s", arguments, o.code, o.err);
    tm_test_output_free(&o);
    return story;
}

static char *day_fact(const char *database, const char *sql)
{
    char path[160];
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    snprintf(path, sizeof path, "%s/one/%s", day_folder, database);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    char *text = strdup((const char *)sqlite3_column_text(q, 0));
    sqlite3_finalize(q);
    sqlite3_close(db);
    return text;
}

/* The pipeline's step of the last commit told of, by station. */
static const char *day_step(const json_t *story, size_t pipeline, const char *station)
{
    const json_t *commits = json_object_get(
                     json_array_get(json_object_get(story, "pipelines"), pipeline), "commits"),
                 *step;
    const json_t *last = json_array_get(commits, json_array_size(commits) - 1);
    size_t i;
    json_array_foreach(json_object_get(last, "steps"), i, step)
    {
        if (strcmp(json_string_value(json_object_get(step, "station")), station) == 0)
            return json_string_value(json_object_get(step, "what"));
    }
    fail_msg("no step of %s", station);
    return NULL;
}

static void the_story_of_a_phantom_says_what_the_naive_poll_cannot_hear(void **state)
{
    (void)state;
    char *target = day_fact("run.db", "SELECT object||'/'||id FROM cause WHERE "
                                      "cause='delete_not_carried' ORDER BY first_pos LIMIT 1");
    json_t *story = day_story(target), *p;
    size_t i, naive = SIZE_MAX, view = SIZE_MAX;
    json_array_foreach(json_object_get(story, "pipelines"), i, p)
    {
        const char *name = json_string_value(json_object_get(p, "name"));
        naive = strcmp(name, "batch-naive") == 0 ? i : naive;
        view = strcmp(name, "stream-view") == 0 ? i : view;
    }
    p = json_array_get(json_object_get(story, "pipelines"), naive);
    assert_true(json_is_false(json_object_get(p, "equal_at")));
    assert_string_equal(json_string_value(json_object_get(json_object_get(p, "cause"), "station")),
                        "batch poll");
    assert_string_equal(day_step(story, naive, "batch poll"), "its polls do not return a DELETE");
    p = json_array_get(json_object_get(story, "pipelines"), view);
    assert_true(json_is_true(json_object_get(p, "equal_at")));
    assert_true(json_is_null(json_object_get(p, "cause")));
    assert_string_equal(day_step(story, view, "source"), "received");
    json_decref(story);
    free(target);
}

/* The record with a gap that a read repaired; what is told agrees with the org's own log. */
static void the_story_of_a_gap_names_the_ask_the_answer_and_both_values(void **state)
{
    (void)state;
    static const char from[] =
        " FROM history h, json_each(h.fields) f WHERE h.event='GAP_UPDATE' AND f.key NOT IN "
        "('SystemModstamp','LastModifiedDate','LastModifiedById') AND f.value IS NOT NULL "
        "AND NOT EXISTS(SELECT 1 FROM history l WHERE l.id=h.id AND l.version>h.version) "
        "ORDER BY h.pos LIMIT 1";
    char sql[500], arguments[200];
    snprintf(sql, sizeof sql, "SELECT h.object||'/'||h.id||'.'||f.key%s", from);
    char *target = day_fact("org.db", sql);
    snprintf(sql, sizeof sql, "SELECT f.value%s", from);
    char *value = day_fact("org.db", sql);
    snprintf(sql, sizeof sql, "SELECT strftime('%%H:%%M:%%S', h.org_ms/1000+60, 'unixepoch')%s",
             from);
    char *at = day_fact("org.db", sql);
    snprintf(arguments, sizeof arguments, "%s %s --pipeline stream-view", target, at);
    json_t *story = day_story(arguments);
    assert_int_equal(json_array_size(json_object_get(story, "pipelines")), 1);
    const json_t *held = json_object_get(json_object_get(json_object_get(story, "org"), "held_at"),
                                         "value"),
                 *p = json_array_get(json_object_get(story, "pipelines"), 0);
    char text[200];
    if (json_is_string(held))
        snprintf(text, sizeof text, "%s", json_string_value(held));
    else
        snprintf(text, sizeof text, json_is_integer(held) ? "%.0f" : "%.15g",
                 json_number_value(held));
    if (!json_is_real(held)) /* SQLite and JSON spell reals in their own ways */
        assert_string_equal(text, value);
    assert_true(json_equal(held, json_object_get(json_object_get(p, "at"), "value")));
    assert_non_null(strstr(day_step(story, 0, "gap"), "asked for it (gap"));
    assert_non_null(strstr(day_step(story, 0, "reconcile"), "answered with an image"));
    assert_non_null(strstr(day_step(story, 0, "reader"), "shown"));
    json_decref(story);
    free(target);
    free(value);
    free(at);
}

static void what_why_does_not_find_it_answers_with_what_there_is(void **state)
{
    (void)state;
    char *id = day_fact("org.db", "SELECT id FROM history WHERE object='Account' LIMIT 1");
    tm_test_refused(64, (const char *[]){ "no run folder", "one", NULL }, 60,
                    "tidemark why %s/three Account/%s", day_folder, id);
    tm_test_refused(64, (const char *[]){ "no run.db", NULL }, 60, "tidemark why %s Account/%s",
                    day_folder, id);
    tm_test_refused(64, (const char *[]){ "Acount", "did you mean Account", "Opportunity", NULL },
                    60, "tidemark why %s/one Acount/%s", day_folder, id);
    tm_test_refused(64, (const char *[]){ "was never in the org", "001", NULL }, 60,
                    "tidemark why %s/one Account/001000000000001AAA", day_folder);
    tm_test_refused(64, (const char *[]){ "Nam", "did you mean Name", "BillingStreet", NULL }, 60,
                    "tidemark why %s/one Account/%s.Nam", day_folder, id);
    tm_test_refused(64, (const char *[]){ "outside the run", "2026-03-02T08:00:00.000Z", NULL }, 60,
                    "tidemark why %s/one Account/%s 07:59", day_folder, id);
    tm_test_refused(64, (const char *[]){ "is no time", NULL }, 60,
                    "tidemark why %s/one Account/%s 8h", day_folder, id);
    tm_test_refused(64, (const char *[]){ "batch-naive", "no pipeline batch-nave", NULL }, 60,
                    "tidemark why %s/one Account/%s --pipeline batch-nave", day_folder, id);
    free(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_day_passes_and_leaves_every_promised_file),
        cmocka_unit_test(streaming_ends_with_no_differing_row_and_no_dirt_in_both_options),
        cmocka_unit_test(the_naive_script_keeps_its_phantoms_and_a_full_reload_ends_equal),
        cmocka_unit_test(every_self_test_holds),
        cmocka_unit_test(every_change_is_committed_at_its_intended_instant),
        cmocka_unit_test(what_only_a_real_clock_can_tell_is_null_and_the_seconds_are_printed),
        cmocka_unit_test(what_goes_through_kafka_is_counted_for_who_uses_it),
        cmocka_unit_test(two_runs_leave_the_same_report_byte_for_byte),
        cmocka_unit_test(the_story_of_a_phantom_says_what_the_naive_poll_cannot_hear),
        cmocka_unit_test(the_story_of_a_gap_names_the_ask_the_answer_and_both_values),
        cmocka_unit_test(what_why_does_not_find_it_answers_with_what_there_is),
        cmocka_unit_test(a_broker_of_the_users_own_is_refused_before_anything_is_made),
    };
    return cmocka_run_group_tests(tests, day_once, day_forget);
}
