/* The main job under a virtual clock: what the e2e of `tidemark run` shows must hold here too, for
 * the same stations, plan, witness and report are at work; and org time is exact, so that two runs
 * of one build leave the same report.json, byte for byte. */
#include "support_command.h"
#include <jansson.h>
#include <setjmp.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_day_passes_and_leaves_every_promised_file),
        cmocka_unit_test(streaming_ends_with_no_differing_row_and_no_dirt_in_both_options),
        cmocka_unit_test(the_naive_script_keeps_its_phantoms_and_a_full_reload_ends_equal),
        cmocka_unit_test(every_self_test_holds),
        cmocka_unit_test(every_change_is_committed_at_its_intended_instant),
        cmocka_unit_test(what_only_a_real_clock_can_tell_is_null_and_the_seconds_are_printed),
        cmocka_unit_test(two_runs_leave_the_same_report_byte_for_byte),
        cmocka_unit_test(a_broker_of_the_users_own_is_refused_before_anything_is_made),
    };
    return cmocka_run_group_tests(tests, day_once, day_forget);
}
