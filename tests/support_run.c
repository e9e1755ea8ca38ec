#include "support_run.h"
#include "support_command.h"
#include "base/sql.h"
#include <dirent.h>
#include <fcntl.h>
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
#include <unistd.h>
#include <cmocka.h>

/* a run under valgrind or on a busy machine; about 30 s otherwise */
#define RUN_MS_MAX 200000
#define RUN_LOOK_MS 50

struct tm_test_run tm_test_run_start(const char *scenario)
{
    return tm_test_run_start_with(scenario, NULL);
}

/* argv: behind "tidemark run". */
static void run_spawn(struct tm_test_run *run, char *const argv[])
{
    pid_t parent = getpid();
    (void)unlink(run->log); /* an earlier life's words are not this one's */
    run->pid = fork();
    assert_true(run->pid >= 0);
    if (run->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(1);
        int fd = open(run->log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        dup2(fd, 1);
        dup2(fd, 2);
        execv(tm_test_binary(), argv);
        _exit(127);
    }
}

struct tm_test_run tm_test_run_start_with(const char *scenario, const char *flag)
{
    struct tm_test_run run = { .pid = -1 };
    char out[96];
    snprintf(run.folder, sizeof run.folder, "%s", tm_test_folder());
    snprintf(run.log, sizeof run.log, "%s/stderr", run.folder);
    snprintf(out, sizeof out, "%s/run", run.folder);
    run_spawn(&run, (char *[]){ "tidemark", "run", (char *)(uintptr_t)scenario, "--out", out,
                                (char *)(uintptr_t)flag, NULL });
    return run;
}

void tm_test_run_resume(struct tm_test_run *run)
{
    char out[96];
    snprintf(out, sizeof out, "%s/run", run->folder);
    run_spawn(run, (char *[]){ "tidemark", "run", "--resume", out, NULL });
}

char *tm_test_run_said(const struct tm_test_run *run)
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

int tm_test_run_wait(struct tm_test_run *run)
{
    int status = 0;
    for (int ms = 0; ms < RUN_MS_MAX; ms += RUN_LOOK_MS) {
        if (waitpid(run->pid, &status, WNOHANG) == run->pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        tm_test_pause(RUN_LOOK_MS);
    }
    kill(run->pid, SIGTERM);
    waitpid(run->pid, &status, 0);
    return 124;
}

/* One look at a time, until `there` is true. */
static void run_until(struct tm_test_run *run, const char *what,
                      bool (*there)(const struct tm_test_run *run, const void *self),
                      const void *self)
{
    for (int ms = 0; ms < RUN_MS_MAX; ms += RUN_LOOK_MS) {
        int status;
        if (there(run, self))
            return;
        if (waitpid(run->pid, &status, WNOHANG) == run->pid)
            fail_msg("the run ended before %s:\n%s", what, tm_test_run_said(run));
        tm_test_pause(RUN_LOOK_MS);
    }
    fail_msg("no %s within %d s:\n%s", what, RUN_MS_MAX / 1000, tm_test_run_said(run));
}

static bool run_says(const struct tm_test_run *run, const void *words)
{
    char *text = tm_test_run_said(run);
    bool said = strstr(text, words) != NULL;
    free(text);
    return said;
}

void tm_test_run_wait_for(struct tm_test_run *run, const char *words)
{
    run_until(run, words, run_says, words);
}

static bool run_committed(const struct tm_test_run *run, const void *count)
{
    struct tm_err err = { .code = TM_OK };
    sqlite3 *db = NULL;
    int64_t n = 0;
    char path[128];
    snprintf(path, sizeof path, "%s/run/org.db", run->folder);
    if (tm_sql_open(&db, path, TM_SQL_READ, &err) == TM_OK)
        (void)tm_sql_int64(&n, db, "SELECT count(*) FROM history WHERE actual_ns IS NOT NULL",
                           &err);
    tm_sql_close(db);
    return n >= *(const int *)count;
}

void tm_test_run_wait_changes(struct tm_test_run *run, int count)
{
    char what[40];
    snprintf(what, sizeof what, "%d changes", count);
    run_until(run, what, run_committed, &count);
}

/* The process's parent by /proc; -1 when it is gone or only waits to be collected. */
static long run_parent(const char *pid)
{
    char path[300], line[512] = "", state = 'X';
    long parent = -1;
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return -1;
    if (fgets(line, sizeof line, f) != NULL && strrchr(line, ')') != NULL)
        (void)sscanf(strrchr(line, ')'), ") %c %ld", &state, &parent);
    fclose(f);
    return state == 'Z' || state == 'X' ? -1 : parent;
}

/* The process's arguments, each behind the zero byte of the one before; 0 when it is gone. */
static size_t run_arguments(const char *pid, char *out, size_t out_bytes)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return 0;
    size_t n = fread(out, 1, out_bytes - 1, f);
    fclose(f);
    out[n] = '\0';
    return n;
}

/* Its first argument is `command`; NULL = any. */
static bool run_is(const char *pid, const char *command)
{
    char line[512];
    if (command == NULL)
        return true;
    size_t n = run_arguments(pid, line, sizeof line), head = n > 0 ? strlen(line) + 1 : 0;
    return head < n && strcmp(line + head, command) == 0;
}

/* Of a station, by the last part of its --state. */
static void run_name(pid_t pid, char out[64])
{
    char id[16], line[4096];
    snprintf(id, sizeof id, "%ld", (long)pid);
    size_t n = run_arguments(id, line, sizeof line);
    for (size_t at = 0; at < n; at += strlen(line + at) + 1) {
        const char *next = line + at + strlen(line + at) + 1;
        if (strcmp(line + at, "--state") != 0 || next >= line + n)
            continue;
        const char *slash = strrchr(next, '/');
        snprintf(out, 64, "%.60s", slash != NULL ? slash + 1 : next);
        return;
    }
    fail_msg("process %ld has no --state", (long)pid);
}

static size_t run_children(const struct tm_test_run *run, const char *command, pid_t *out,
                           size_t out_cap)
{
    size_t count = 0;
    struct dirent *entry;
    DIR *proc = opendir("/proc");
    assert_non_null(proc);
    while (count < out_cap && (entry = readdir(proc)) != NULL)
        if (strspn(entry->d_name, "0123456789") > 0 && run_parent(entry->d_name) == run->pid &&
            run_is(entry->d_name, command))
            out[count++] = (pid_t)atol(entry->d_name);
    closedir(proc);
    return count;
}

pid_t tm_test_run_child(const struct tm_test_run *run, const char *command)
{
    pid_t found;
    return run_children(run, command, &found, 1) == 1 ? found : -1;
}

void tm_test_run_kill(const struct tm_test_run *run, const char *command, char out[64])
{
    pid_t pid = tm_test_run_child(run, command);
    if (pid < 0)
        fail_msg("the run has no process %s:\n%s", command, tm_test_run_said(run));
    if (out != NULL)
        run_name(pid, out);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

void tm_test_run_look(struct tm_test_run *run)
{
    run->children_count = run_children(run, NULL, run->children, TM_TEST_RUN_CHILDREN_MAX);
    assert_true(run->children_count > 0);
}

bool tm_test_run_all_gone(const struct tm_test_run *run)
{
    size_t left = run->children_count;
    for (int ms = 0; ms < RUN_MS_MAX && left > 0; ms += RUN_LOOK_MS) {
        left = 0;
        for (size_t i = 0; i < run->children_count; i++) {
            char pid[16];
            snprintf(pid, sizeof pid, "%ld", (long)run->children[i]);
            left += run_parent(pid) >= 0;
        }
        if (left > 0)
            tm_test_pause(RUN_LOOK_MS);
    }
    return left == 0;
}

void tm_test_run_forget(struct tm_test_run *run)
{
    if (getenv("TIDEMARK_KEEP") == NULL)
        tm_test_folder_remove(run->folder);
    else
        print_message("kept: %s\n", run->folder);
}

bool tm_test_run_left(const struct tm_test_run *run, const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%s/run/%s", run->folder, name);
    return access(path, F_OK) == 0;
}

json_t *tm_test_run_report(const struct tm_test_run *run)
{
    char path[128];
    json_error_t error;
    snprintf(path, sizeof path, "%s/run/report.json", run->folder);
    json_t *report = json_load_file(path, 0, &error);
    if (report == NULL)
        fail_msg("%s: %s\n%s", path, error.text, tm_test_run_said(run));
    return report;
}

void tm_test_run_tiny(const char *folder, char out[128])
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

void tm_test_run_tell_org(const struct tm_test_run *run, const char *path, const char *body)
{
    char command[600];
    snprintf(command, sizeof command,
             "curl -sSf -o /dev/null -d '%s' \"$(head -n 1 %s/run/log/serve.out)/tidemark/v1/%s\"",
             body, run->folder, path);
    assert_int_equal(system(command), 0);
}

const json_t *tm_test_run_fault(const json_t *report, const char *process, const char *fault)
{
    const json_t *list = json_object_get(report, "faults"), *one, *p;
    size_t i, k;
    json_array_foreach(list, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "process"));
        if (strncmp(name, process, strlen(process)) != 0 ||
            strcmp(json_string_value(json_object_get(one, "fault")), fault) != 0)
            continue;
        assert_true(json_array_size(json_object_get(one, "pipelines")) > 0);
        json_array_foreach(json_object_get(one, "pipelines"), k, p)
            assert_int_equal(json_integer_value(json_object_get(p, "never_shown")), 0);
        return one;
    }
    char *text = json_dumps(list, JSON_INDENT(1) | JSON_ENCODE_ANY);
    fail_msg("no \"%s\" that was \"%s\" in the report: %s", process, fault,
             text != NULL ? text : "no faults");
    return NULL;
}

void tm_test_run_recovered(const json_t *fault)
{
    const json_t *p;
    size_t i;
    json_array_foreach(json_object_get(fault, "pipelines"), i, p)
    {
        double again_s = json_number_value(json_object_get(p, "shown_again_s"));
        if (again_s <= 0 || again_s > 120)
            fail_msg("%s: shown again after %g s",
                     json_string_value(json_object_get(fault, "process")), again_s);
    }
}
