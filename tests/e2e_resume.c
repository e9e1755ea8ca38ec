/* A run that is interrupted or killed as a whole, and resumed: it ends as if nothing had been. Its
 * org's history, the records at the end and the verdict are those of an undisturbed run of the same
 * seed; the report says when it stood still, for how long, and what was under way. What cannot be
 * resumed is refused with the reason. */
#include "support_command.h"
#include "support_run.h"
#include "base/sql.h"
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[64], scenario[128];
static char undisturbed[40]; /* digest of the history of a run that nobody disturbed */

static int64_t number(const struct tm_test_run *run, const char *file, const char *sql)
{
    struct tm_err err = { .code = TM_OK };
    sqlite3 *db = NULL;
    int64_t n = -1;
    char path[160];
    snprintf(path, sizeof path, "%s/run/%s", run->folder, file);
    assert_int_equal(tm_sql_open(&db, path, TM_SQL_READ, &err), TM_OK);
    assert_int_equal(tm_sql_int64(&n, db, sql, &err), TM_OK);
    tm_sql_close(db);
    return n;
}

/* What happened to every record, in order, without when: lateness is the machine's. */
static void history(const struct tm_test_run *run, char out[40])
{
    char line[400], found[64] = "";
    snprintf(line, sizeof line,
             "sqlite3 %s/run/org.db \"SELECT object,id,version,change,event,seq,changed,"
             "intended_ms FROM history ORDER BY object,id,version\" | sha1sum",
             run->folder);
    FILE *f = popen(line, "r");
    assert_non_null(f);
    assert_non_null(fgets(found, sizeof found, f));
    assert_int_equal(pclose(f), 0);
    snprintf(out, 40, "%.39s", found);
}

/* Half an hour of org time: five seconds. */
static void shorter(void)
{
    json_error_t error;
    json_t *json = json_load_file(scenario, 0, &error);
    assert_non_null(json);
    json_object_set_new(json, "hours", json_real(0.5));
    assert_int_equal(json_dump_file(json, scenario, JSON_INDENT(1)), 0);
    json_decref(json);
}

static int prepare(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_run_tiny(folder, scenario);
    shorter();
    struct tm_test_run run = tm_test_run_start(scenario);
    assert_int_equal(tm_test_run_wait(&run), 0);
    history(&run, undisturbed);
    tm_test_run_forget(&run);
    return 0;
}

static int forget(void **state)
{
    (void)state;
    tm_test_folder_remove(folder);
    return 0;
}

static void killed(struct tm_test_run *run, int signal, int exit_code)
{
    tm_test_run_look(run);
    assert_int_equal(kill(run->pid, signal), 0);
    assert_int_equal(tm_test_run_wait(run), exit_code);
    assert_true(tm_test_run_all_gone(run));
}

static const json_t *fault(const json_t *report, size_t index, const char *how)
{
    const json_t *one = json_array_get(json_object_get(report, "faults"), index), *p;
    size_t i;
    assert_string_equal(json_string_value(json_object_get(one, "process")), "the whole run");
    assert_string_equal(json_string_value(json_object_get(one, "fault")), how);
    assert_true(json_is_true(json_object_get(one, "resumed")));
    assert_true(json_is_true(json_object_get(one, "topics_lost")));
    assert_true(json_real_value(json_object_get(one, "lasted_s")) > 0.5);
    assert_int_equal(json_array_size(json_object_get(one, "pipelines")), 2);
    json_array_foreach(json_object_get(one, "pipelines"), i, p)
    {
        assert_true(json_is_number(json_object_get(p, "shown_again_s")));
        assert_int_equal(json_integer_value(json_object_get(p, "never_shown")), 0);
    }
    return one;
}

/* It was shut down in order under running stations, and started again on what it had. */
static void org_came_back(const json_t *report)
{
    const json_t *faults = json_object_get(report, "faults"), *org = json_array_get(faults, 2), *p;
    size_t i;
    assert_int_equal(json_array_size(faults), 3);
    assert_string_equal(json_string_value(json_object_get(org, "process")), "serve");
    assert_string_equal(json_string_value(json_object_get(org, "fault")), "shut down");
    assert_true(json_is_real(json_object_get(org, "lasted_s")));
    json_array_foreach(json_object_get(org, "pipelines"), i, p)
        assert_int_equal(json_integer_value(json_object_get(p, "never_shown")), 0);
}

/* As an undisturbed run would have ended, and not later for having stood still. */
static json_t *ended_well(struct tm_test_run *run)
{
    char digest[40];
    size_t i;
    int code = tm_test_run_wait(run);
    if (code != 0)
        fail_msg("exit %d:\n%s", code, tm_test_run_said(run));
    json_t *report = tm_test_run_report(run), *p, *test;
    history(run, digest);
    assert_string_equal(digest, undisturbed);
    json_array_foreach(json_object_get(report, "self_tests"), i, test)
        assert_false(json_is_false(json_object_get(test, "ok")));
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        const json_t *drift = json_object_get(p, "drift"),
                     *fresh = json_object_get(p, "freshness_s");
        assert_int_equal(json_integer_value(json_object_get(fresh, "never")), 0);
        assert_int_equal(json_integer_value(json_object_get(drift, "final_rows")), 0);
        assert_int_equal(json_integer_value(json_object_get(drift, "dirty")), 0);
    }
    const json_t *offered = json_object_get(report, "offered");
    assert_true(json_number_value(json_object_get(offered, "achieved_share")) > 0.99);
    assert_int_equal(
        json_integer_value(json_object_get(offered, "committed")),
        number(run, "org.db", "SELECT count(*) FROM history WHERE actual_ns NOT NULL"));
    /* the cost is of all its lives: the stations' first ones worked as well */
    assert_true(number(run, "run.db", "SELECT count(*) FROM change") > 1000);
    return report;
}

/* ---- what is refused ---- */

static void refused(const struct tm_test_run *run, const char *more, const char *words)
{
    const char *const texts[] = { words, NULL };
    tm_test_refused(64, texts, 60, "tidemark run --resume %s/run %s", run->folder, more);
}

static void changed(const char *command, const struct tm_test_run *run)
{
    char line[700];
    snprintf(line, sizeof line, "S=%s R=%s/run/run.json; %s", scenario, run->folder, command);
    assert_int_equal(system(line), 0);
}

static void what_cannot_be_resumed_is_refused(const struct tm_test_run *run)
{
    struct tm_test_run none = { .pid = -1 };
    snprintf(none.folder, sizeof none.folder, "%s", folder);
    refused(&none, "", "is no run that can be resumed");
    refused(run, scenario, "leave the scenario out");
    refused(run, "--seed 3", "leave --seed out");
    refused(run, "--out x", "leave --out out");
    refused(run, "--brokers 127.0.0.1:1", "started on the embedded one");
    changed("cp $S $S.was && sed -i 's/1200/1201/' $S", run);
    refused(run, "", "has changed since the run was started");
    changed("mv $S.was $S; sed -i.was 's/\"program\": \"../\"program\": \"zz/' $R", run);
    refused(run, "", "another build of tidemark");
    changed("echo '{' >$R", run);
    refused(run, "", "is damaged");
    changed("mv $R.was $R", run);
}

static void a_run_without_an_org_at_work_cannot_be_resumed(void **state)
{
    (void)state;
    struct tm_test_run run = tm_test_run_start(scenario);
    tm_test_run_wait_for(&run, "org at");
    refused(&run, "", "a run is still at work in this folder");
    killed(&run, SIGKILL, 128 + SIGKILL);
    refused(&run, "", "had not come so far");
    tm_test_run_forget(&run);
}

static void told_in_the_report(const struct tm_test_run *run, const char *file, const char *words)
{
    char line[300];
    snprintf(line, sizeof line, "grep -q \"%s\" %s/run/%s", words, run->folder, file);
    if (system(line) != 0)
        fail_msg("%s does not say \"%s\"", file, words);
}

/* kill -9 at some moment, which takes everything with it; then, of the second life, Ctrl-C. */
static void killed_and_then_interrupted_it_ends_as_if_nothing_had_been(void **state)
{
    (void)state;
    struct tm_test_run run = tm_test_run_start(scenario);
    int moment = 150 + (int)(getpid() % 400);
    print_message("killed after %d changes\n", moment);
    tm_test_run_wait_changes(&run, moment);
    killed(&run, SIGKILL, 128 + SIGKILL);
    assert_false(tm_test_run_left(&run, "report.json"));
    what_cannot_be_resumed_is_refused(&run);
    tm_test_run_resume(&run);
    tm_test_run_wait_changes(&run, moment + 200);
    killed(&run, SIGINT, 2);
    assert_true(tm_test_run_left(&run, "report.json"));
    tm_test_run_resume(&run);
    tm_test_run_wait_for(&run, "org at");
    assert_false(tm_test_run_left(&run, "report.json")); /* nothing looks whole that is not */
    tm_test_run_wait_changes(&run, moment + 300);
    assert_int_equal(kill(tm_test_run_child(&run, "serve"), SIGTERM), 0);
    json_t *report = ended_well(&run);
    (void)fault(report, 0, "killed");
    (void)fault(report, 1, "interrupted");
    org_came_back(report);
    json_decref(report);
    told_in_the_report(&run, "report.md", "the whole run was killed, and resumed");
    told_in_the_report(&run, "report.html", "topics were lost");
    refused(&run, "", "has come to its end");
    tm_test_run_forget(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_without_an_org_at_work_cannot_be_resumed),
        cmocka_unit_test(killed_and_then_interrupted_it_ends_as_if_nothing_had_been),
    };
    return cmocka_run_group_tests(tests, prepare, forget);
}
