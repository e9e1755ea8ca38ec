#include "run/supervise.h"
#include "base/clock.h"
#include "base/log.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void tm_supervise_pause(int ms)
{
    struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000L };
    nanosleep(&ts, NULL);
}

/* This program by its path, so that `ps` shows its name; by /proc when another file has taken its
 * place since. */
static const char *child_program(char out[TM_PATH_MAX])
{
    static const char self[] = "/proc/self/exe";
    struct stat here, there;
    ssize_t n = readlink(self, out, TM_PATH_MAX - 1);
    if (n <= 0)
        return self;
    out[n] = '\0';
    bool same = stat(self, &here) == 0 && stat(out, &there) == 0 && here.st_dev == there.st_dev &&
                here.st_ino == there.st_ino;
    return same ? out : self;
}

static void child_exec(const struct tm_child *child, pid_t parent)
{
    char program[TM_PATH_MAX];
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a polite end may wait for a broker that is gone as well */
    if (getppid() != parent)
        _exit(70);
    setpgid(0, 0); /* Ctrl-C is the supervisor's to handle: it ends its children in order */
    signal(SIGTERM,
           SIG_DFL); /* the supervisor's own handlers would swallow an early request to end */
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int out = open(child->out_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    int log = open(child->log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    int null = open("/dev/null", O_RDONLY);
    if (out < 0 || log < 0 || null < 0)
        _exit(70);
    dup2(null, 0);
    dup2(out, 1);
    dup2(log, 2);
    execv(child_program(program), child->argv);
    fprintf(stderr, "cannot start: %s\n", strerror(errno));
    _exit(70);
}

static enum tm_code child_spawn(struct tm_child *child, struct tm_err *err)
{
    sigset_t every, before;
    sigfillset(&every);
    sigprocmask(SIG_SETMASK, &every, &before); /* until the child has its own answer to them */
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        child_exec(child, parent);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        return tm_fail(err, TM_E_IO, "cannot start %s: %s", child->name, strerror(errno));
    child->pid = pid;
    child->exit_code = -1;
    return TM_OK;
}

enum tm_code tm_child_start(struct tm_children *all, struct tm_child **out, const char *name,
                            bool restartable, const char *const *argv, struct tm_err *err)
{
    if (all->count == TM_CHILDREN_MAX)
        return tm_fail(err, TM_E_LIMIT, "more than %d processes in one run", TM_CHILDREN_MAX);
    struct tm_child *child = &all->items[all->count];
    *child = (struct tm_child){ .restartable = restartable, .exit_code = -1 };
    snprintf(child->name, sizeof child->name, "%s", name);
    char dir[TM_PATH_MAX]; /* a copy: child is part of *all */
    memcpy(dir, all->dir, sizeof dir);
    if (snprintf(child->out_path, TM_PATH_MAX, "%.900s/log/%.60s.out", dir, name) >= TM_PATH_MAX ||
        snprintf(child->log_path, TM_PATH_MAX, "%.900s/log/%.60s.log", dir, name) >= TM_PATH_MAX)
        return tm_fail(err, TM_E_ARG, "the output folder's path is too long");
    all->count++; /* from here on its arguments are freed with the list */
    for (size_t i = 0; i == 0 || argv[i - 1] != NULL; i++) {
        assert(i < TM_CHILD_ARGS_MAX);
        child->argv[i] = strdup(i == 0 ? "tidemark" : argv[i - 1]);
        if (child->argv[i] == NULL)
            return tm_fail(err, TM_E_NOMEM, "starting %s", name);
    }
    *out = child;
    return child_spawn(child, err);
}

static void child_account(struct tm_child *child, int status, const struct rusage *usage)
{
    child->pid = 0;
    child->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    child->cpu_s += (double)usage->ru_utime.tv_sec + (double)usage->ru_utime.tv_usec / 1e6 +
                    (double)usage->ru_stime.tv_sec + (double)usage->ru_stime.tv_usec / 1e6;
    if (usage->ru_maxrss * 1024 > child->rss_peak_bytes)
        child->rss_peak_bytes = usage->ru_maxrss * 1024;
}

static int child_interrupts(const struct tm_children *all)
{
    return all->interrupts != NULL ? (int)*all->interrupts : 0;
}

/* true when the child has ended (now or before) */
static bool child_reap(struct tm_child *child)
{
    struct rusage usage;
    int status;
    if (child->pid == 0)
        return true;
    if (wait4(child->pid, &status, WNOHANG, &usage) != child->pid)
        return false;
    child_account(child, status, &usage);
    return true;
}

/* Where in a log's tail its last message begins: the last line that a command says in its own name
 * (a hint may follow it), else the last line. */
static const char *child_last_message(const char *tail)
{
    const char *last = tail, *said = NULL;
    for (const char *line = tail; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        last = line;
        if (strncmp(line, "tidemark ", 9) == 0)
            said = line;
    }
    return said != NULL ? said : last;
}

/* The last thing the child said in its log: usually its error. */
static void child_last_words(const struct tm_child *child, char out[256])
{
    char tail[2048];
    struct statvfs disk;
    bool full = statvfs(child->log_path, &disk) == 0 && disk.f_bavail == 0;
    snprintf(out, 256, "(it left no message%s%.120s)",
             full ? ": no space is left on the disk of " : "", full ? child->log_path : "");
    int fd = open(child->log_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    off_t end = lseek(fd, 0, SEEK_END);
    off_t from = end > (off_t)sizeof tail - 1 ? end - (off_t)sizeof tail + 1 : 0;
    ssize_t n = pread(fd, tail, sizeof tail - 1, from);
    close(fd);
    if (n <= 0)
        return;
    tail[n] = '\0';
    while (n > 0 && tail[n - 1] == '\n')
        tail[--n] = '\0';
    const char *said = child_last_message(tail);
    int bytes = (int)strcspn(said, "\n");
    if (n > 0)
        snprintf(out, 256, "%.*s", bytes < 255 ? bytes : 255, said);
}

enum tm_code tm_child_told(const struct tm_child *child, struct tm_err *err)
{
    char words[256];
    child_last_words(child, words);
    enum tm_code code = child->exit_code == 64 ? TM_E_ARG : TM_E_IO;
    if (child->exit_code >= 128)
        return tm_fail(err, code, "%s was killed by signal %d: %s", child->name,
                       child->exit_code - 128, words);
    return tm_fail(err, code, "%s ended with exit code %d: %s", child->name, child->exit_code,
                   words);
}

static bool child_read_line(const struct tm_child *child, char *out, size_t out_bytes)
{
    FILE *f = fopen(child->out_path, "r");
    bool whole = false;
    if (f == NULL)
        return false;
    if (fgets(out, (int)out_bytes, f) != NULL) {
        size_t n = strlen(out);
        whole = n > 0 && out[n - 1] == '\n';
        out[strcspn(out, "\r\n")] = '\0';
    }
    fclose(f);
    return whole;
}

enum tm_code tm_child_first_line(struct tm_children *all, struct tm_child *child, int timeout_ms,
                                 char *out, size_t out_bytes, struct tm_err *err)
{
    for (int waited_ms = 0; waited_ms <= timeout_ms; waited_ms += 10) {
        if (child_read_line(child, out, out_bytes))
            return TM_OK;
        if (child_reap(child))
            return tm_child_told(child, err);
        if (child_interrupts(all) > 0)
            return tm_fail(err, TM_E_IO, "interrupted while waiting for %s", child->name);
        tm_supervise_pause(10);
    }
    return tm_fail(err, TM_E_IO, "%s did not come up within %d s; see %s", child->name,
                   timeout_ms / 1000, child->log_path);
}

enum tm_code tm_child_restart_on(struct tm_child *child, const char *url, struct tm_err *err)
{
    const char *colon = strrchr(url, ':');
    size_t i = 1;
    while (child->argv[i] != NULL && strcmp(child->argv[i], "--port") != 0)
        i++;
    assert(child->argv[i] != NULL && child->argv[i + 1] != NULL);
    char *port = colon != NULL ? strndup(colon + 1, strspn(colon + 1, "0123456789")) : NULL;
    if (port == NULL || port[0] == '\0') {
        free(port);
        return tm_fail(err, TM_E_PROTO, "%s: \"%.200s\" is no address with a port", child->name,
                       url);
    }
    free(child->argv[i + 1]);
    child->argv[i + 1] = port;
    child->restartable = child->server = true;
    return TM_OK;
}

struct tm_fault_seen *tm_befallen_add(struct tm_befallen *b, int signal, int64_t at_ns)
{
    if (b->count == TM_BEFALLEN_MAX) {
        b->missed++;
        return NULL;
    }
    struct tm_fault_seen *f = &b->faults[b->count++];
    *f = (struct tm_fault_seen){ .at_ns = at_ns, .signal = signal };
    return f;
}

struct tm_fault_seen *tm_befallen_standing(struct tm_befallen *b)
{
    struct tm_fault_seen *last = b->count > 0 ? &b->faults[b->count - 1] : NULL;
    return last != NULL && last->until_ns == 0 ? last : NULL;
}

/* Stopped or continued since the last look; who was killed meanwhile is left to child_reap. */
static void child_look(struct tm_child *c)
{
    siginfo_t seen = { 0 };
    if (waitid(P_PID, (id_t)c->pid, &seen, WSTOPPED | WCONTINUED | WNOHANG) != 0 ||
        seen.si_pid != c->pid)
        return;
    struct tm_fault_seen *last = tm_befallen_standing(&c->befell);
    bool stands = last != NULL && last->signal == SIGSTOP;
    if (seen.si_code == CLD_STOPPED && !stands) {
        (void)tm_befallen_add(&c->befell, SIGSTOP, tm_clock_monotonic_ns());
        tm_log(TM_LOG_WARN, "%s was stopped", c->name);
    } else if (seen.si_code == CLD_CONTINUED && stands) {
        last->until_ns = tm_clock_monotonic_ns();
        tm_log(TM_LOG_WARN, "%s goes on, after %.1f s", c->name,
               (double)(last->until_ns - last->at_ns) / 1e9);
    }
}

enum tm_code tm_children_watch(struct tm_children *all, struct tm_err *err)
{
    for (size_t i = 0; i < all->count; i++) {
        struct tm_child *c = &all->items[i];
        if (c->pid != 0)
            child_look(c);
        if (c->pid == 0 || !child_reap(c) || c->stopping)
            continue;
        bool shut = c->server && c->exit_code == 0;
        if (!c->restartable || (c->exit_code < 128 && !shut) ||
            c->restarts == TM_CHILD_RESTARTS_MAX)
            return tm_child_told(c, err);
        c->restarts++;
        struct tm_fault_seen *fault = tm_befallen_add(
            &c->befell, shut ? SIGTERM : c->exit_code - 128, tm_clock_monotonic_ns());
        char how[40] = "shut down";
        if (!shut)
            snprintf(how, sizeof how, "killed by signal %d", c->exit_code - 128);
        tm_log(TM_LOG_WARN, "%s was %s; starting it again (%d of %d)", c->name, how, c->restarts,
               TM_CHILD_RESTARTS_MAX);
        if (child_spawn(c, err) != TM_OK)
            return err->code;
        if (fault != NULL)
            fault->until_ns = tm_clock_monotonic_ns();
    }
    return TM_OK;
}

int tm_child_stop(struct tm_children *all, struct tm_child *child, int timeout_ms)
{
    if (child->pid == 0)
        return child->exit_code;
    child->stopping = true;
    kill(child->pid, SIGTERM);
    for (int waited_ms = 0; waited_ms < timeout_ms && child_interrupts(all) < 2; waited_ms += 5) {
        if (child_reap(child))
            return child->exit_code;
        tm_supervise_pause(5);
    }
    if (child_interrupts(all) < 2)
        tm_log(TM_LOG_WARN, "%s did not end within %d s and is killed", child->name,
               timeout_ms / 1000);
    kill(child->pid, SIGKILL);
    while (!child_reap(child))
        tm_supervise_pause(5);
    return child->exit_code;
}

void tm_children_stop(struct tm_children *all, int timeout_ms)
{
    for (size_t i = all->count; i-- > 0;) {
        tm_child_stop(all, &all->items[i], timeout_ms);
        for (char **a = all->items[i].argv; *a != NULL; a++) {
            free(*a);
            *a = NULL;
        }
    }
}
