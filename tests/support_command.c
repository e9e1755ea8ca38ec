#include "support_command.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

const char *tm_test_binary(void)
{
    const char *path = getenv("TIDEMARK_BIN");
    return path != NULL ? path : "build/release/tidemark";
}

void tm_test_pause(int ms)
{
    struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000L };
    nanosleep(&ts, NULL);
}

static char *command_slurp(const char *path)
{
    char *text = calloc(1, TM_TEST_OUTPUT_MAX + 1);
    FILE *f = fopen(path, "r");
    if (f != NULL) {
        size_t n = fread(text, 1, TM_TEST_OUTPUT_MAX, f);
        text[n] = '\0';
        fclose(f);
    }
    return text;
}

/* "tidemark" as a word of the command becomes the program under test. */
static void command_shell(char *out, size_t out_bytes, int timeout_s, const char *text)
{
    const char *at = strstr(text, "tidemark ");
    while (at != NULL && at != text && at[-1] != ' ')
        at = strstr(at + 1, "tidemark ");
    assert_non_null(at);
    int head = (int)(at - text);
    if (timeout_s > 0)
        snprintf(out, out_bytes, "%.*s timeout -k 5 %d %s %s", head, text, timeout_s,
                 tm_test_binary(), at + 9);
    else
        snprintf(out, out_bytes, "%.*s exec %s %s", head, text, tm_test_binary(), at + 9);
}

static struct tm_test_output command_run(int timeout_s, const char *text)
{
    char shell[8192], line[9000], folder[] = "/tmp/tm-command-XXXXXX", path[64];
    struct tm_test_output o = { .code = -1 };
    assert_non_null(mkdtemp(folder));
    command_shell(shell, sizeof shell, timeout_s, text);
    snprintf(line, sizeof line, "%s >%s/out 2>%s/err </dev/null", shell, folder, folder);
    int status = system(line);
    o.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    snprintf(path, sizeof path, "%s/out", folder);
    o.out = command_slurp(path);
    snprintf(path, sizeof path, "%s/err", folder);
    o.err = command_slurp(path);
    tm_test_folder_remove(folder);
    return o;
}

struct tm_test_output tm_test_command(int timeout_s, const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return command_run(timeout_s, text);
}

void tm_test_output_free(struct tm_test_output *o)
{
    free(o->out);
    free(o->err);
    *o = (struct tm_test_output){ 0 };
}

void tm_test_refused(int code, const char *const *texts, int timeout_s, const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct tm_test_output o = command_run(timeout_s, text);
    bool good = o.code == code;
    for (; *texts != NULL; texts++) {
        if (strstr(o.err, *texts) == NULL) {
            print_error("stderr lacks: %s\n", *texts);
            good = false;
        }
    }
    if (!good)
        print_error("$ %s\nexit %d, expected %d\nstderr: %s\nstdout: %.2000s\n", text, o.code, code,
                    o.err, o.out);
    tm_test_output_free(&o);
    assert_true(good);
}

struct tm_test_server tm_test_server_start(const char *fmt, ...)
{
    struct tm_test_server s = { 0 };
    char text[4096], shell[8192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    command_shell(shell, sizeof shell, 0, text);
    snprintf(s.log_path, sizeof s.log_path, "/tmp/tm-server-XXXXXX");
    int fd = mkstemp(s.log_path);
    assert_true(fd >= 0);
    pid_t parent = getpid();
    s.pid = fork();
    if (s.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        dup2(fd, 1);
        execl("/bin/sh", "sh", "-c", shell, (char *)NULL);
        _exit(127);
    }
    close(fd);
    for (int i = 0; i < 1500; i++) {
        char *said = command_slurp(s.log_path);
        char *end = strchr(said, '\n');
        if (end != NULL) {
            *end = '\0';
            snprintf(s.line, sizeof s.line, "%s", said);
        }
        free(said);
        if (s.line[0] != '\0' || waitpid(s.pid, NULL, WNOHANG) == s.pid)
            break;
        tm_test_pause(20);
    }
    if (s.line[0] == '\0')
        fail_msg("%s did not say where it listens", text);
    return s;
}

int tm_test_server_stop(struct tm_test_server *s)
{
    int status = 0;
    if (s->pid <= 0)
        return -1;
    kill(s->pid, SIGTERM);
    waitpid(s->pid, &status, 0);
    unlink(s->log_path);
    s->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const char *tm_test_folder(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/tm-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

void tm_test_folder_remove(const char *path)
{
    char line[256];
    assert_int_equal(strncmp(path, "/tmp/tm-", 8), 0);
    snprintf(line, sizeof line, "rm -rf '%s'", path);
    if (system(line) != 0)
        print_error("could not remove %s\n", path);
}

void tm_test_write_file(const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}
