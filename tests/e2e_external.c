/* Pipelines that are not ours, as a user has them: the shell ETL of the README in a run, wrong
 * twice over beside it, and judged after the fact; commands that fail and hang; one that runs
 * already. */
#include "support_command.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[64];
static json_t *shell_report, *odd_report;
static int shell_code, odd_code;

static json_t *report_of(const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s/report.json", folder, name);
    return json_load_file(path, 0, NULL);
}

static void odd_scenario(void)
{
    static const char relations[] =
        "\"relations\": {\"Opportunity\": {\"query\": \"SELECT * FROM opp\", \"columns\": "
        "{\"StageName\": \"stage\", \"CloseDate\": \"closes\", \"LastModifiedDate\": "
        "\"changed\"}}}";
    char text[4000], path[200];
    snprintf(
        text, sizeof text,
        "{\"seed\": 3, \"hours\": 0.1, \"compress\": 60, \"edition\": \"none\", \"objects\": "
        "[\"Opportunity\"], \"workload\": {\"changes\": 60, \"records\": 40, \"shape\": \"flat\", "
        "\"kinds\": {\"update\": 70, \"delete\": 5}}, \"pipelines\": ["
        "{\"name\": \"fails\", \"kind\": \"external\", \"command\": \"echo no such door >&2; exit "
        "3\", \"every\": \"2m\", \"database\": \"fails.db\", %s},"
        "{\"name\": \"hangs\", \"kind\": \"external\", \"command\": \"sleep 60 & sleep 60\", "
        "\"every\": \"1m\", \"limit\": \"500ms\", \"database\": \"hangs.db\", %s, \"slo\": "
        "{\"failed\": 1000}},"
        "{\"name\": \"running\", \"kind\": \"external\", \"settle\": \"4s\", \"database\": "
        "\"running.db\", %s, \"slo\": {\"differing\": 0}}]}",
        relations, relations, relations);
    snprintf(path, sizeof path, "%s/scenarios", folder);
    char command[400];
    snprintf(command, sizeof command, "mkdir -p %s && cp -r fixtures/objects %s/objects", path,
             folder);
    assert_int_equal(system(command), 0);
    tm_test_write_file(path, "odd.json", text);
}

/* What somebody else has started long ago: waits for the run to say where the org is, then looks
 * every half a second until it is told to stop, or the folder is gone. */
static void running_start(void)
{
    char command[900];
    snprintf(
        command, sizeof command,
        "( d=%s; env=$d/odd/config/running.env; on() { [ -d $d ] && [ ! -e $d/stop ]; }; "
        "while [ ! -e $env ] && on; do sleep 0.1; done; [ ! -e $env ] || . $env; "
        "while on; do sh fixtures/etl/opportunity.sh; sleep 0.5; done ) >%s/running.log 2>&1 &",
        folder, folder);
    assert_int_equal(system(command), 0);
}

static int run_both(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    struct tm_test_output o = tm_test_command(
        120, "tidemark run fixtures/scenarios/external.json --out %s/shell", folder);
    shell_code = o.code;
    shell_report = report_of("shell");
    if (shell_report == NULL || o.code != 0)
        print_error("exit %d\n%s\n%s\n", o.code, o.err, o.out);
    tm_test_output_free(&o);
    odd_scenario();
    running_start();
    o = tm_test_command(120, "tidemark run %s/scenarios/odd.json --out %s/odd", folder, folder);
    odd_code = o.code;
    tm_test_write_file(folder, "stop", "");
    odd_report = report_of("odd");
    if (odd_report == NULL)
        print_error("exit %d\n%s\n%s\n", o.code, o.err, o.out);
    tm_test_output_free(&o);
    return shell_report == NULL || odd_report == NULL ? -1 : 0;
}

static int forget_both(void **state)
{
    (void)state;
    json_decref(shell_report);
    json_decref(odd_report);
    if (getenv("TIDEMARK_KEEP") == NULL)
        tm_test_folder_remove(folder);
    return 0;
}

static json_t *pipeline_of(const json_t *report, const char *name)
{
    json_t *p;
    size_t i;
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        if (strcmp(json_string_value(json_object_get(p, "name")), name) == 0)
            return p;
    }
    fail_msg("the report has no pipeline %s", name);
    return NULL;
}

static json_int_t number_of(const json_t *p, const char *group, const char *key)
{
    const json_t *value = json_object_get(json_object_get(p, group), key);
    if (!json_is_number(value))
        fail_msg("%s.%s is not a number", group, key);
    return (json_int_t)json_number_value(value);
}

/* The anomalies that are counted, by name; a column the script does not copy is no news. */
static const char *anomalies_of(const json_t *all)
{
    static char text[300];
    const char *name;
    json_t *one;
    text[0] = '\0';
    json_object_foreach((json_t *)(uintptr_t)all, name, one)
    {
        if (json_integer_value(json_object_get(one, "count")) > 0 &&
            strcmp(name, "schema_loss") != 0)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s",
                     text[0] != '\0' ? " " : "", name);
    }
    return text;
}

static void the_shell_etl_is_measured_like_every_other_pipeline(void **state)
{
    const json_t *p = pipeline_of(shell_report, "shell");
    (void)state;
    assert_int_equal(shell_code, 0);
    assert_string_equal(json_string_value(json_object_get(p, "kind")), "external");
    assert_string_equal(json_string_value(json_object_get(p, "verdict")), "pass");
    assert_int_equal(number_of(p, "drift", "final_rows"), 0);
    assert_int_equal(number_of(p, "freshness_s", "never"), 0);
    assert_true(number_of(p, "freshness_s", "count") > 200);
    assert_true(number_of(p, "drift", "peak_rows") > 0);
    assert_true(number_of(p, "lost_history", "states") > 0);
    assert_true(number_of(p, "runs", "started") >= 3);
    assert_int_equal(number_of(p, "runs", "failed"), 0);
    assert_true(json_real_value(json_object_get(json_object_get(p, "cost"), "cpu_s")) > 0);
    assert_string_equal(anomalies_of(json_object_get(p, "anomalies")), "");
}

/* Each script calls with the same User-Agent: whose calls are whose goes by their users. */
static void calls_are_counted_by_the_user_of_each(void **state)
{
    static const char *const names[] = { "shell", "shell-forgets", "shell-minutes" };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const json_t *p = pipeline_of(shell_report, names[i]);
        json_int_t calls = number_of(p, "cost", "api_calls"),
                   starts = number_of(p, "runs", "started");
        if (calls < starts - 2 || calls > starts + 2) /* one page each; the last may be under way */
            fail_msg("%s: %d calls in %d starts", names[i], (int)calls, (int)starts);
    }
}

static void a_script_that_forgets_deletes_shows_phantoms_and_nothing_else(void **state)
{
    const json_t *p = pipeline_of(shell_report, "shell-forgets");
    (void)state;
    assert_string_equal(anomalies_of(json_object_get(p, "anomalies")), "phantom");
    assert_int_equal(number_of(p, "drift", "final_rows"), number_of(p, "drift", "phantom"));
    assert_true(number_of(p, "phantoms", "count") > 0);
}

static void cut_times_are_equal_within_the_tolerance_that_is_declared(void **state)
{
    const json_t *p = pipeline_of(shell_report, "shell-minutes");
    (void)state;
    assert_int_equal(number_of(p, "drift", "final_rows"), 0);
    assert_int_equal(number_of(p, "freshness_s", "never"), 0);
    assert_string_equal(anomalies_of(json_object_get(p, "anomalies")), "");
}

static json_t *check(const char *database, const char *tolerances, int code)
{
    char map[700];
    snprintf(map, sizeof map,
             "{\"Opportunity\": {\"query\": \"SELECT * FROM opp\", \"columns\": {\"StageName\": "
             "\"stage\", \"CloseDate\": \"closes\", \"LastModifiedDate\": \"changed\"}%s}}",
             tolerances);
    tm_test_write_file(folder, "map.json", map);
    struct tm_test_output o =
        tm_test_command(30,
                        "tidemark check --org %s/shell/org.db --warehouse %s/shell/%s.db "
                        "--relations %s/map.json --json",
                        folder, folder, database, folder);
    if (o.code != code)
        print_error("%s%s", o.out, o.err);
    assert_int_equal(o.code, code);
    json_t *report = json_loads(o.out, 0, NULL);
    assert_non_null(report);
    tm_test_output_free(&o);
    return report;
}

/* The same relations, the same words, without a run. */
static void the_same_is_found_after_the_fact(void **state)
{
    (void)state;
    json_decref(check("shell", "", 0));
    json_t *report = check("shell-forgets", "", 1);
    assert_string_equal(anomalies_of(json_object_get(report, "anomalies")), "phantom");
    assert_int_equal(number_of(json_object_get(report, "objects"), "Opportunity", "phantom"),
                     number_of(pipeline_of(shell_report, "shell-forgets"), "drift", "phantom"));
    json_decref(report);
    json_decref(check("shell-minutes", ", \"tolerances\": {\"LastModifiedDate\": \"1m\"}", 0));
}

static void a_tolerance_that_was_not_declared_is_named(void **state)
{
    json_t *report = check("shell-minutes", "", 1), *field;
    (void)state;
    field = json_object_get(
        json_object_get(json_object_get(json_object_get(report, "objects"), "Opportunity"),
                        "fields"),
        "LastModifiedDate");
    assert_string_equal(json_string_value(json_object_get(field, "tolerance")), "1m");
    assert_int_equal(json_integer_value(json_object_get(field, "near")),
                     json_integer_value(json_object_get(field, "differing")));
    char *reasons = json_dumps(json_object_get(report, "reasons"), 0);
    assert_non_null(strstr(reasons, "Opportunity.LastModifiedDate"));
    free(reasons);
    json_decref(report);
}

static void a_command_that_fails_fails_its_pipeline_with_its_last_words(void **state)
{
    const json_t *p = pipeline_of(odd_report, "fails");
    (void)state;
    assert_int_equal(odd_code, 1);
    assert_string_equal(json_string_value(json_object_get(p, "verdict")), "fail");
    assert_int_equal(number_of(p, "runs", "failed"), number_of(p, "runs", "started"));
    char *reasons = json_dumps(json_object_get(p, "reasons"), 0);
    assert_non_null(strstr(reasons, "exit code 3: no such door"));
    free(reasons);
}

/* Its slo allows it, so it is told and not held against it; nothing it started is left. */
static void a_command_that_hangs_is_killed_with_all_it_started(void **state)
{
    const json_t *p = pipeline_of(odd_report, "hangs");
    (void)state;
    assert_true(number_of(p, "runs", "killed") >= 2);
    assert_true(number_of(p, "runs", "skipped") >= 0);
    assert_string_equal(json_string_value(json_object_get(p, "verdict")), "inconclusive");
    char *reasons = json_dumps(json_object_get(p, "reasons"), 0);
    assert_non_null(strstr(reasons, "as its slo allows"));
    assert_non_null(strstr(reasons, "killed over its limit"));
    free(reasons);
}

static void one_that_runs_already_is_followed_and_its_limits_are_said(void **state)
{
    const json_t *p = pipeline_of(odd_report, "running");
    (void)state;
    assert_string_equal(json_string_value(json_object_get(p, "verdict")), "pass");
    assert_int_equal(number_of(p, "drift", "final_rows"), 0);
    assert_true(number_of(p, "cost", "api_calls") > 3);
    assert_true(json_is_null(json_object_get(p, "runs")));
    char *said = json_dumps(json_object_get(p, "not_measured"), 0);
    assert_non_null(strstr(said, "Wait and work"));
    assert_non_null(strstr(said, "at compress 1 both are one"));
    free(said);
}

static void a_virtual_clock_has_no_place_for_real_processes(void **state)
{
    (void)state;
    tm_test_refused(64, (const char *[]){ "shell", "virtual clock", "tidemark run", NULL }, 20,
                    "tidemark simulate fixtures/scenarios/external.json --out %s/never", folder);
}

#define REL                                                                                        \
    "\"relations\":{\"Opportunity\":{\"query\":\"SELECT * FROM opp\",\"columns\":{\"StageName\":"  \
    "\"stage\"}}}"

/* Before anything is started, each in its own words. */
static void mistakes_in_an_external_pipeline_are_named(void **state)
{
    static const struct {
        const char *pipeline, *a, *b;
    } all[] = {
        { "\"comand\":\"x\"", "unknown key \"comand\"", "did you mean \"command\"" },
        { "\"command\":\"x\",\"database\":\"x.db\"," REL, "\"every\"", "org's clock" },
        { "\"command\":\"x\",\"every\":\"soon\",\"database\":\"x.db\"," REL, "soon",
          "not a duration" },
        { "\"command\":\"x\",\"every\":\"5s\",\"database\":\"x.db\"," REL, "compress",
          "half a second" },
        { "\"every\":\"5m\",\"database\":\"x.db\"," REL, "\"command\"", "there is none" },
        { "\"command\":\"x\",\"every\":\"5m\",\"settle\":\"5s\",\"database\":\"x.db\"," REL,
          "\"settle\"", "runs already" },
        { "\"command\":\"x\",\"every\":\"5m\"," REL, "Opportunity", "\"database\"" },
        { "\"command\":\"x\",\"every\":\"5m\",\"database\":\"x.db\"", "\"relations\"", "query" },
        { "\"database\":\"x.db\",\"relations\":{\"Oportunity\":{\"query\":\"SELECT 1\"}}",
          "Oportunity", "did you mean Opportunity" },
        { "\"database\":\"x.db\",\"relations\":{\"Opportunity\":{\"query\":\"SELECT 1\","
          "\"tolerances\":{\"Amount\":\"1s\"}}}",
          "tolerance of Amount", "scale" },
        { "\"database\":\"x.db\",\"slo\":{\"faild\":1}," REL, "faild", "did you mean \"failed\"" },
    };
    char path[100], text[1500];
    (void)state;
    snprintf(path, sizeof path, "%s/scenarios", folder);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        snprintf(text, sizeof text,
                 "{\"compress\":60,\"objects\":[\"Opportunity\"],\"pipelines\":[{\"name\":\"mine\","
                 "\"kind\":\"external\",%s}]}",
                 all[i].pipeline);
        tm_test_write_file(path, "wrong.json", text);
        tm_test_refused(64, (const char *[]){ all[i].a, all[i].b, "mine", NULL }, 20,
                        "tidemark run %s/wrong.json --out %s/wrong", path, folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shell_etl_is_measured_like_every_other_pipeline),
        cmocka_unit_test(calls_are_counted_by_the_user_of_each),
        cmocka_unit_test(a_script_that_forgets_deletes_shows_phantoms_and_nothing_else),
        cmocka_unit_test(cut_times_are_equal_within_the_tolerance_that_is_declared),
        cmocka_unit_test(the_same_is_found_after_the_fact),
        cmocka_unit_test(a_tolerance_that_was_not_declared_is_named),
        cmocka_unit_test(a_command_that_fails_fails_its_pipeline_with_its_last_words),
        cmocka_unit_test(a_command_that_hangs_is_killed_with_all_it_started),
        cmocka_unit_test(one_that_runs_already_is_followed_and_its_limits_are_said),
        cmocka_unit_test(mistakes_in_an_external_pipeline_are_named),
        cmocka_unit_test(a_virtual_clock_has_no_place_for_real_processes),
    };
    return cmocka_run_group_tests(tests, run_both, forget_both);
}
