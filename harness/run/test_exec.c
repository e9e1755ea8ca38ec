#include "run/test_exec.h"
#include "base/clock.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXEC_LOOK_MS 1
#define EXEC_SAID_BYTES 220
enum { EXEC_IN, EXEC_OUT, EXEC_ERR, EXEC_FILES };

static enum tm_code exec_files(int fds[EXEC_FILES], struct tm_err *err)
{
    static const char *const names[] = { "stdin", "stdout", "stderr" };
    for (int i = 0; i < EXEC_FILES; i++)
        if ((fds[i] = memfd_create(names[i], MFD_CLOEXEC)) < 0)
            return tm_fail(err, TM_E_IO, "a file in memory: %s", strerror(errno));
    return TM_OK;
}

/* Records and arrays as such, whichever way the case spells them. */
static json_t *exec_nested(const json_t *line)
{
    json_t *copy = json_deep_copy(line), *row = json_object_get(copy, "row"), *value;
    const char *name;
    void *next;
    json_object_foreach_safe(row, next, name, value)
    {
        const char *text = json_string_value(value);
        json_t *nested = text != NULL && (text[0] == '{' || text[0] == '[') &&
                                 (strcmp(name, "ChangeEventHeader") == 0 || name[0] == '_')
                             ? json_loads(text, 0, NULL)
                             : NULL;
        if (nested != NULL)
            json_object_set_new(row, name, nested);
    }
    return copy;
}

static enum tm_code exec_feed(int fd, const struct tm_case *c, struct tm_err *err)
{
    size_t at;
    json_t *line;
    bool ok = true;
    json_array_foreach(c->rows, at, line)
    {
        json_t *nested = exec_nested(line);
        ok = ok && nested != NULL &&
             json_dumpfd(nested, fd, JSON_COMPACT | JSON_REAL_PRECISION(15)) == 0 &&
             write(fd, "\n", 1) == 1;
        json_decref(nested);
    }
    if (!ok || lseek(fd, 0, SEEK_SET) != 0)
        return tm_fail(err, TM_E_IO, "cannot hand over the rows of %s", c->name);
    return TM_OK;
}

static void exec_child(const int fds[EXEC_FILES], const char *command)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < EXEC_FILES; i++)
        if (dup2(fds[i], i) < 0)
            _exit(127);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

/* It prints into memory: no more than anybody would read. */
static bool exec_floods(const int fds[EXEC_FILES])
{
    struct stat out, said;
    return fstat(fds[EXEC_OUT], &out) == 0 && fstat(fds[EXEC_ERR], &said) == 0 &&
           (out.st_size > TM_TEST_OUTPUT_BYTES_MAX || said.st_size > TM_TEST_OUTPUT_BYTES_MAX);
}

/* Until it has ended: *out_status as waitpid gives it. */
static enum tm_code exec_wait(pid_t pid, int limit_s, const int fds[EXEC_FILES], int *out_status,
                              struct tm_err *err)
{
    int64_t until_ns = tm_clock_monotonic_ns() + limit_s * TM_NS_PER_S;
    bool floods = false;
    while (!floods && tm_clock_monotonic_ns() < until_ns) {
        if (waitpid(pid, out_status, WNOHANG) == pid)
            return TM_OK;
        poll(NULL, 0, EXEC_LOOK_MS);
        floods = exec_floods(fds);
    }
    kill(-pid, SIGKILL);
    waitpid(pid, out_status, 0);
    if (floods)
        return tm_fail(err, TM_E_PROTO, "it was stopped: it printed more than %u bytes",
                       TM_TEST_OUTPUT_BYTES_MAX);
    return tm_fail(err, TM_E_PROTO, "it was stopped after %d s (--limit)", limit_s);
}

static enum tm_code exec_read(struct tm_buf *out, int fd, struct tm_err *err)
{
    char piece[8192];
    ssize_t n;
    if (lseek(fd, 0, SEEK_SET) != 0)
        return tm_fail(err, TM_E_IO, "what was printed: %s", strerror(errno));
    while ((n = read(fd, piece, sizeof piece)) > 0)
        tm_buf_add(out, piece, (size_t)n);
    return out->failed == TM_E_LIMIT
               ? tm_fail(err, TM_E_PROTO, "it printed more than %u bytes", TM_TEST_OUTPUT_BYTES_MAX)
               : tm_buf_check(out, "what was printed", err);
}

/* The end of what it said on stderr: that is where the reason stands. */
static void exec_said(char out[EXEC_SAID_BYTES], int fd)
{
    struct tm_buf text;
    struct tm_err ignored = { .code = TM_OK };
    tm_buf_init(&text, TM_TEST_OUTPUT_BYTES_MAX);
    exec_read(&text, fd, &ignored);
    const char *said = tm_buf_text(&text);
    size_t n = text.bytes;
    while (n > 0 && (said[n - 1] == '\n' || said[n - 1] == ' '))
        n--;
    size_t from = n > EXEC_SAID_BYTES - 1 ? n - (EXEC_SAID_BYTES - 1) : 0;
    snprintf(out, EXEC_SAID_BYTES, "%.*s", (int)(n - from), said + from);
    tm_buf_free(&text);
}

static enum tm_code exec_ended(int status, const int fds[EXEC_FILES], struct tm_err *err)
{
    char said[EXEC_SAID_BYTES];
    exec_said(said, fds[EXEC_ERR]);
    const char *what = said[0] != '\0' ? said : "(nothing on stderr)";
    if (WIFSIGNALED(status))
        return tm_fail(err, TM_E_PROTO, "it was ended by signal %d: %s", WTERMSIG(status), what);
    if (WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 126)
        return tm_fail(err, TM_E_ARG, "--exec: cannot be run: %s", what);
    if (WEXITSTATUS(status) != 0)
        return tm_fail(err, TM_E_PROTO, "it ended with exit code %d: %s", WEXITSTATUS(status),
                       what);
    return TM_OK;
}

enum tm_code tm_test_exec_check(const char *command, struct tm_err *err)
{
    return command[strspn(command, " \t\n")] != '\0'
               ? TM_OK
               : tm_fail(err, TM_E_ARG, "--exec is empty: it wants a command");
}

enum tm_code tm_test_exec(json_t **out, const struct tm_case *c, const struct tm_test_exec *how,
                          struct tm_err *err)
{
    int fds[EXEC_FILES] = { -1, -1, -1 }, status = 0;
    struct tm_buf text;
    *out = NULL;
    tm_buf_init(&text, TM_TEST_OUTPUT_BYTES_MAX);
    enum tm_code rc = exec_files(fds, err);
    if (rc == TM_OK)
        rc = exec_feed(fds[EXEC_IN], c, err);
    pid_t pid = rc == TM_OK ? fork() : -1;
    if (pid == 0)
        exec_child(fds, how->command);
    if (rc == TM_OK && pid < 0)
        rc = tm_fail(err, TM_E_IO, "fork: %s", strerror(errno));
    if (rc == TM_OK)
        rc = exec_wait(pid, how->limit_s, fds, &status, err);
    if (pid > 0)
        kill(-pid, SIGKILL); /* what it left behind */
    if (rc == TM_OK)
        rc = exec_ended(status, fds, err);
    if (rc == TM_OK)
        rc = exec_read(&text, fds[EXEC_OUT], err);
    if (rc == TM_OK && text.bytes > 0 && text.data[text.bytes - 1] != '\n')
        rc = tm_fail(err, TM_E_PROTO, "what it printed ends in the middle of a line");
    if (rc == TM_OK) {
        *out = json_array();
        rc = tm_case_lines(*out, tm_buf_text(&text), text.bytes, "object", "its output", err);
        if (rc == TM_E_ARG) /* not our usage: what the program says */
            err->code = rc = TM_E_PROTO;
    }
    if (rc != TM_OK) {
        json_decref(*out);
        *out = NULL;
    }
    tm_buf_free(&text);
    for (int i = 0; i < EXEC_FILES; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return rc;
}
