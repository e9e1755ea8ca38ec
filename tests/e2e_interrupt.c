/* A run that is told to end before its time: Ctrl-C, twice, from a script, or a supervisor that is
 * killed. No process stays behind, and what is left says truthfully how much it is worth. */
#include "support_run.h"
#include "support_command.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const reports[] = { "report.json", "report.html", "report.md", "junit.xml" };
#define REPORTS (sizeof reports / sizeof reports[0])

static struct tm_test_run run;
static char folder[64];

static int start(void **state)
{
    char scenario[128];
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_run_tiny(folder, scenario);
    run = tm_test_run_start(scenario);
    return 0;
}

static int forget(void **state)
{
    (void)state;
    tm_test_run_forget(&run);
    tm_test_folder_remove(folder);
    return 0;
}

static void in_the_middle(void)
{
    tm_test_run_wait_changes(&run, 200);
    tm_test_run_look(&run);
}

static void says(const char *words)
{
    char *text = tm_test_run_said(&run);
    if (strstr(text, words) == NULL)
        fail_msg("it does not say \"%s\":\n%s", words, text);
    free(text);
}

/* Nothing looks whole that is not: no report, and no file on its way to be one. */
static void no_report(void)
{
    char line[200];
    for (size_t i = 0; i < REPORTS; i++)
        assert_false(tm_test_run_left(&run, reports[i]));
    snprintf(line, sizeof line, "! ls %s/run | grep -E '\\.(part|tmp)$'", run.folder);
    assert_int_equal(system(line), 0);
}

static void partial_report(void)
{
    char line[200];
    json_t *report = tm_test_run_report(&run);
    const char *reason = json_string_value(json_array_get(json_object_get(report, "reasons"), 0));
    assert_string_equal(json_string_value(json_object_get(report, "verdict")), "inconclusive");
    assert_int_equal(json_integer_value(json_object_get(report, "exit_code")), 2);
    assert_true(json_is_true(json_object_get(report, "partial")));
    assert_non_null(reason);
    assert_int_equal(json_array_size(json_object_get(report, "reasons")), 1);
    assert_non_null(strstr(reason, "did not come to its end: interrupted"));
    json_decref(report);
    for (size_t i = 0; i < REPORTS; i++) {
        assert_true(tm_test_run_left(&run, reports[i]));
        snprintf(line, sizeof line, "grep -q 'did not come to its end' %s/run/%s", run.folder,
                 reports[i]);
        if (system(line) != 0)
            fail_msg("%s does not say that it is partial", reports[i]);
    }
    assert_false(tm_test_run_left(&run, "run.db-wal"));
    says("verdict: inconclusive");
    snprintf(line, sizeof line, "! grep -qE '<failure|harness is wrong' %s/run/junit.xml",
             run.folder);
    assert_int_equal(system(line), 0); /* nobody is accused on half the evidence */
}

static void ctrl_c_in_the_middle_leaves_a_partial_report_and_no_process(void **state)
{
    (void)state;
    in_the_middle();
    assert_int_equal(kill(run.pid, SIGINT), 0);
    assert_int_equal(tm_test_run_wait(&run), 2);
    assert_true(tm_test_run_all_gone(&run));
    partial_report();
}

/* `timeout` tells its child, then its group: twice within microseconds. */
static void the_same_request_passed_on_twice_is_one(void **state)
{
    (void)state;
    in_the_middle();
    assert_int_equal(kill(run.pid, SIGTERM), 0);
    tm_test_run_wait_for(&run, "interrupted:");
    assert_int_equal(kill(run.pid, SIGTERM), 0);
    assert_int_equal(tm_test_run_wait(&run), 2);
    assert_true(tm_test_run_all_gone(&run));
    partial_report();
}

/* The witness is stopped so that the first request cannot be done with before the second comes. */
static void ctrl_c_twice_ends_at_once_without_a_report(void **state)
{
    (void)state;
    in_the_middle();
    pid_t witness = tm_test_run_child(&run, "check");
    assert_true(witness > 0);
    assert_int_equal(kill(witness, SIGSTOP), 0);
    assert_int_equal(kill(run.pid, SIGINT), 0);
    tm_test_run_wait_for(&run, "interrupted:");
    tm_test_pause(1100); /* what comes within a second is the same request */
    assert_int_equal(kill(run.pid, SIGINT), 0);
    assert_int_equal(tm_test_run_wait(&run), 2);
    assert_true(tm_test_run_all_gone(&run));
    no_report();
    says("tidemark run: interrupted");
    says("no report");
}

static void ctrl_c_while_starting_up_ends_it_without_a_report(void **state)
{
    (void)state;
    tm_test_run_wait_for(&run, "org at");
    tm_test_run_look(&run);
    assert_int_equal(kill(run.pid, SIGINT), 0);
    assert_int_equal(tm_test_run_wait(&run), 2);
    assert_true(tm_test_run_all_gone(&run));
    no_report();
    says("starting up: interrupted");
}

static void a_killed_supervisor_takes_its_processes_with_it(void **state)
{
    (void)state;
    in_the_middle();
    assert_int_equal(kill(run.pid, SIGKILL), 0);
    assert_int_equal(tm_test_run_wait(&run), 128 + SIGKILL);
    assert_true(tm_test_run_all_gone(&run));
    no_report();
}

#define RUN_TEST(f) cmocka_unit_test_setup_teardown(f, start, forget)
int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_TEST(ctrl_c_in_the_middle_leaves_a_partial_report_and_no_process),
        RUN_TEST(the_same_request_passed_on_twice_is_one),
        RUN_TEST(ctrl_c_twice_ends_at_once_without_a_report),
        RUN_TEST(ctrl_c_while_starting_up_ends_it_without_a_report),
        RUN_TEST(a_killed_supervisor_takes_its_processes_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
