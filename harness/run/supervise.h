/* supervise: child processes of a run. in: a name, an argument list; out: a process with its own
 * log files, its first line of stdout, its exit, its CPU seconds and peak memory. A child never
 * outlives its supervisor. Waits are bounded and polled; nothing here knows what the
 * children do. */
#ifndef TM_RUN_SUPERVISE_H
#define TM_RUN_SUPERVISE_H
#include "base/err.h"
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#define TM_CHILDREN_MAX 64
#define TM_CHILD_ARGS_MAX 48
#define TM_CHILD_RESTARTS_MAX 5 /* a station that crashes more often than this ends the run */
#define TM_PATH_MAX 1024

#define TM_BEFALLEN_MAX                                                                            \
    16 /* of one process that are remembered: the first ones; all are counted                      \
        */
/* What befell a process from outside: killed and started again, shut down in order
 * (SIGTERM) and started again, stopped (SIGSTOP) and continued, or gone, where it is not ours
 * (run/outages.h). Monotonic clock, as seen by who looks. */
struct tm_fault_seen {
    int64_t at_ns, until_ns; /* 0 = not over */
    int signal;              /* 0 = gone */
};
struct tm_befallen { /* zero-initialised */
    struct tm_fault_seen faults[TM_BEFALLEN_MAX];
    size_t count, missed; /* missed: beyond those kept */
};
/* One that began at at_ns; NULL: there is no room, it is counted alone. */
struct tm_fault_seen *tm_befallen_add(struct tm_befallen *b, int signal, int64_t at_ns);
/* The last one, where it is not over; else NULL. */
struct tm_fault_seen *tm_befallen_standing(struct tm_befallen *b);
struct tm_child {
    char name[64];
    char *argv[TM_CHILD_ARGS_MAX + 1]; /* owned copies, argv[0] = this program */
    char out_path[TM_PATH_MAX], log_path[TM_PATH_MAX];
    pid_t pid;               /* 0 = not running */
    bool restartable;        /* a crash (death by signal) starts it again */
    bool server;             /* so does an end in order that nobody here asked for: maintenance */
    bool stopping;           /* we asked it to end */
    int restarts, exit_code; /* exit_code: 128 + signal when killed; -1 = never ended */
    double cpu_s;            /* user + system of all its lives so far */
    int64_t rss_peak_bytes;
    struct tm_befallen befell;
};
struct tm_children {
    char dir[TM_PATH_MAX]; /* logs go to dir/log/ */
    struct tm_child items[TM_CHILDREN_MAX];
    size_t count;
    /* How often the user asked to end; NULL = nobody can. From 1 on no start is waited for, from 2
     * on no end: what does not end at once is killed. */
    const volatile sig_atomic_t *interrupts;
};
/* Starts `tidemark argv[0] argv[1] …` (argv NULL-terminated). The child stays in the list
 * for good. */
enum tm_code tm_child_start(struct tm_children *all, struct tm_child **out, const char *name,
                            bool restartable, const char *const *argv, struct tm_err *err);
/* Waits until the child printed its first stdout line. TM_E_IO with the tail of its log when it
 * ends or is silent, and when the user interrupts. */
enum tm_code tm_child_first_line(struct tm_children *all, struct tm_child *child, int timeout_ms,
                                 char *out, size_t out_bytes, struct tm_err *err);
/* A server that printed the URL it listens on: from now on a crash, or being shut down by somebody
 * else, starts it again, on the same address. It was started with `--port 0` among its arguments.
 */
enum tm_code tm_child_restart_on(struct tm_child *child, const char *url, struct tm_err *err);
/* Collects what ended, restarts what crashed, and keeps both, and standstills, as faults. An error
 * names the child that ended on its own and the end of its log. */
enum tm_code tm_children_watch(struct tm_children *all, struct tm_err *err);
/* "NAME ended with exit code N: its last words"; returns TM_E_ARG when the child blamed its user.
 */
enum tm_code tm_child_told(const struct tm_child *child, struct tm_err *err);
/* SIGTERM, wait, SIGKILL after timeout_ms. Returns its exit code. */
int tm_child_stop(struct tm_children *all, struct tm_child *child, int timeout_ms);
/* all, newest first; then frees argv copies */
void tm_children_stop(struct tm_children *all, int timeout_ms);
void tm_supervise_pause(int ms); /* between two looks; a signal ends it early */
#endif
