/* Crashes of real processes in the middle of a run, by kill -9. A station comes back from what it
 * had made durable, and the run ends as if nothing had been: streaming equal and clean. So
 * do the registry and the org, on the same address. The embedded broker lives in memory: without it
 * the run ends inconclusive and names it. */
#include "support_run.h"
#include "support_command.h"
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static json_t *entry_of(const json_t *list, const char *name)
{
    json_t *entry;
    size_t i;
    json_array_foreach(list, i, entry) if (strcmp(json_string_value(json_object_get(entry, "name")),
                                                  name) == 0) return entry;
    fail_msg("the report lacks %s", name);
    return NULL;
}

static json_int_t drift_of(const json_t *pipeline, const char *key)
{
    json_t *value = json_object_get(json_object_get(pipeline, "drift"), key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

/* Every process that was killed came back once, and no other had to come back at all. */
static void restarted_only(const json_t *processes, char killed[][64], size_t killed_count,
                           const char *said)
{
    const json_t *process;
    size_t at, seen = 0;
    json_array_foreach(processes, at, process)
    {
        const char *name = json_string_value(json_object_get(process, "name"));
        const json_t *restarts = json_object_get(process, "restarts");
        json_int_t expected = 0;
        assert_true(json_is_integer(restarts));
        for (size_t i = 0; i < killed_count; i++)
            expected += strcmp(killed[i], name) == 0;
        seen += (size_t)expected;
        if (json_integer_value(restarts) != expected)
            fail_msg("%s was restarted %lld times, %lld expected:\n%s", name,
                     (long long)json_integer_value(restarts), (long long)expected, said);
    }
    assert_int_equal(seen, killed_count);
}

/* The report tells of every killed process when that was and how long both ways of rebuilding
 * needed to show something newer; until then nothing was lost. */
static void told_in_the_report(const json_t *report, char killed[][64], size_t killed_count)
{
    const json_t *faults = json_object_get(report, "faults"), *fault, *p;
    size_t at, k, seen = 0;
    json_array_foreach(faults, at, fault)
    {
        const char *name = json_string_value(json_object_get(fault, "process"));
        for (size_t i = 0; i < killed_count; i++)
            seen += strcmp(killed[i], name) == 0;
        assert_string_equal(json_string_value(json_object_get(fault, "fault")), "killed");
        assert_true(json_is_real(json_object_get(fault, "lasted_s")));
        assert_int_equal(json_array_size(json_object_get(fault, "pipelines")), 2);
        json_array_foreach(json_object_get(fault, "pipelines"), k, p)
        {
            double again_s = json_number_value(json_object_get(p, "shown_again_s"));
            if (again_s <= 0 || again_s > 60)
                fail_msg("%s: shown again after %g s", name, again_s);
            assert_int_equal(json_integer_value(json_object_get(p, "never_shown")), 0);
            assert_true(json_is_integer(json_object_get(p, "under_way")));
        }
    }
    assert_int_equal(json_array_size(faults), killed_count);
    assert_int_equal(seen, killed_count);
}

static void every_station_killed_once_and_streaming_still_ends_equal_and_clean(void **state)
{
    static const char *const stations[] = { "source", "sink", "reconcile", "view", "gap" };
    static const char *const pipelines[] = { "stream-view", "stream-sql" };
    char killed[5][64];
    (void)state;
    struct tm_test_run run = tm_test_run_start("fixtures/scenarios/short.json");
    /* of about 4,000 changes: before, in and after the burst */
    for (size_t i = 0; i < 5; i++) {
        tm_test_run_wait_changes(&run, 400 + 700 * (int)i);
        tm_test_run_kill(&run, stations[i], killed[i]);
    }
    int code = tm_test_run_wait(&run);
    char *said = tm_test_run_said(&run);
    if (code != 0)
        print_error("%s\n", said);
    assert_int_equal(code, 0);
    json_t *report = tm_test_run_report(&run);
    assert_string_equal(json_string_value(json_object_get(report, "verdict")), "pass");
    restarted_only(json_object_get(report, "processes"), killed, 5, said);
    told_in_the_report(report, killed, 5);
    for (size_t i = 0; i < 5; i++) {
        char words[160];
        snprintf(words, sizeof words, "%.60s was killed by signal 9; starting it again (1 of ",
                 killed[i]);
        assert_non_null(strstr(said, words));
    }
    for (size_t i = 0; i < 2; i++) {
        json_t *p = entry_of(json_object_get(report, "pipelines"), pipelines[i]);
        assert_string_equal(json_string_value(json_object_get(p, "verdict")), "pass");
        assert_int_equal(drift_of(p, "final_rows"), 0);
        assert_int_equal(drift_of(p, "dirty"), 0);
    }
    free(said);
    json_decref(report);
    tm_test_run_forget(&run);
}

/* Nothing that puts a row in doubt: doubt alone would keep a run from ending. */
static void without_gaps(const char *path)
{
    static const char *const kinds[] = { "gap_create",   "gap_update", "gap_delete",
                                         "gap_undelete", "diff",       "overflow",
                                         "conversion",   "field_add",  "field_remove" };
    json_error_t error;
    json_t *scenario = json_load_file(path, 0, &error);
    assert_non_null(scenario);
    json_t *known = json_object_get(json_object_get(scenario, "workload"), "kinds");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        assert_int_equal(json_object_del(known, kinds[i]), 0);
    assert_int_equal(json_dump_file(scenario, path, 0), 0);
    json_decref(scenario);
}

/* A sink that stands still writes nothing, nor does one that joins its group again: the run must
 * not take it for done. */
static void a_sink_that_stands_still_is_waited_for(void **state)
{
    char folder[64], scenario[128];
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_run_tiny(folder, scenario);
    without_gaps(scenario);
    struct tm_test_run run = tm_test_run_start(scenario);
    tm_test_run_wait_changes(&run, 600);
    pid_t sink = tm_test_run_child(&run, "sink");
    assert_true(sink > 0);
    assert_int_equal(kill(sink, SIGSTOP), 0);
    tm_test_run_tell_org(&run, "faults", "{\"expire_tokens\": {}}");
    tm_test_run_wait_for(&run, "draining: org time");
    assert_int_equal(kill(sink, SIGCONT), 0);
    (void)tm_test_run_wait(&run);
    json_t *report = tm_test_run_report(&run);
    json_t *p = entry_of(json_object_get(report, "pipelines"), "stream-view");
    char *said = tm_test_run_said(&run);
    if (drift_of(p, "final_rows") != 0 || drift_of(p, "dirty") != 0)
        fail_msg("not drained:\n%s", said);
    const json_t *fault = json_array_get(json_object_get(report, "faults"), 0);
    assert_string_equal(json_string_value(json_object_get(fault, "process")), "sink");
    assert_string_equal(json_string_value(json_object_get(fault, "fault")), "stopped");
    assert_true(json_number_value(json_object_get(fault, "lasted_s")) > 1);
    tm_test_run_recovered(tm_test_run_fault(report, "org", "expire_tokens"));
    free(said);
    json_decref(report);
    tm_test_run_forget(&run);
    tm_test_folder_remove(folder);
}

static void a_run_whose_broker_is_killed_ends_inconclusive_and_names_kafka(void **state)
{
    static const char words[] = "kafka was killed by signal 9";
    char folder[64], scenario[128];
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_run_tiny(folder, scenario);
    struct tm_test_run run = tm_test_run_start(scenario);
    tm_test_run_wait_changes(&run, 50);
    tm_test_run_kill(&run, "kafka", NULL);
    int code = tm_test_run_wait(&run);
    char *said = tm_test_run_said(&run);
    if (code != 2 || strstr(said, words) == NULL)
        fail_msg("exit %d, 2 expected, with \"%s\":\n%s", code, words, said);
    free(said);
    json_t *report = tm_test_run_report(&run);
    assert_string_equal(json_string_value(json_object_get(report, "verdict")), "inconclusive");
    const char *reason = json_string_value(json_array_get(json_object_get(report, "reasons"), 0));
    assert_non_null(reason);
    assert_non_null(strstr(reason, words));
    json_decref(report);
    tm_test_run_forget(&run);
    tm_test_folder_remove(folder);
}

/* What the registry gave ids to must be had from it again: the sink, which comes back with nothing
 * in memory, asks. The org is killed in the middle of its users' work and of held polls. */
static void registry_and_org_killed_and_streaming_still_ends_equal_and_clean(void **state)
{
    static const char *const commands[] = { "registry", "sink", "serve" };
    static const char *const pipelines[] = { "stream-view", "stream-sql" };
    char killed[3][64] = { "registry", "", "serve" }, folder[64], scenario[128];
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_run_tiny(folder, scenario);
    struct tm_test_run run = tm_test_run_start(scenario);
    for (int i = 0; i < 3; i++) {
        tm_test_run_wait_changes(&run, 50 + 150 * i);
        tm_test_run_kill(&run, commands[i], i == 1 ? killed[i] : NULL);
    }
    int code = tm_test_run_wait(&run);
    char *said = tm_test_run_said(&run);
    json_t *report = tm_test_run_report(&run);
    if (code != 0)
        fail_msg("exit %d:\n%s", code, said);
    restarted_only(json_object_get(report, "processes"), killed, 3, said);
    told_in_the_report(report, killed, 3);
    for (size_t i = 0; i < 2; i++) {
        json_t *p = entry_of(json_object_get(report, "pipelines"), pipelines[i]);
        assert_int_equal(drift_of(p, "final_rows"), 0);
        assert_int_equal(drift_of(p, "dirty"), 0);
    }
    free(said);
    json_decref(report);
    tm_test_run_forget(&run);
    tm_test_folder_remove(folder);
}

/* R9: a range read must not begin before the index shows what it answers; the scenario knows by how
 * much. */
static void a_range_read_is_told_how_far_the_orgs_index_is_behind(void **state)
{
    char folder[64], scenario[128], path[128];
    json_error_t error;
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_run_tiny(folder, scenario);
    struct tm_test_run run = tm_test_run_start(scenario);
    tm_test_run_wait_for(&run, "org at");
    kill(run.pid, SIGTERM);
    (void)tm_test_run_wait(&run);
    snprintf(path, sizeof path, "%s/run/config/reconcile.json", run.folder);
    json_t *config = json_load_file(path, 0, &error);
    if (config == NULL)
        fail_msg("%s: %s", path, error.text);
    assert_int_equal(json_integer_value(json_object_get(config, "index.lag.ms")), 5000);
    json_decref(config);
    tm_test_run_forget(&run);
    tm_test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_station_killed_once_and_streaming_still_ends_equal_and_clean),
        cmocka_unit_test(a_sink_that_stands_still_is_waited_for),
        cmocka_unit_test(a_range_read_is_told_how_far_the_orgs_index_is_behind),
        cmocka_unit_test(a_run_whose_broker_is_killed_ends_inconclusive_and_names_kafka),
        cmocka_unit_test(registry_and_org_killed_and_streaming_still_ends_equal_and_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
