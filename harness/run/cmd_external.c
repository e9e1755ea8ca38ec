/* cmd_external: `tidemark external CONFIG.json`: starts somebody's command at intended org
 * instants, the multiples of every.ms, and once before the org's clock starts. One at a time: what
 * comes due while one runs is passed over, counted. One that outlasts its limit is ended, it and
 * all it started. Every start that is over is a line of the runs file (check/runs.h). The config is
 * written by `tidemark run` (run_external.c). */
#include "run/command.h"
#include "base/buf.h"
#include "base/config.h"
#include "base/log.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXTERNAL_LOOK_NS (2 * TM_NS_PER_MS)    /* at a command that runs */
#define EXTERNAL_FROZEN_NS (20 * TM_NS_PER_MS) /* at a clock that stands still */
#define EXTERNAL_GRACE_NS TM_NS_PER_S          /* from SIGTERM to SIGKILL */
#define EXTERNAL_SAID_BYTES 200

static const struct tm_key external_keys[] = {
    { "name", TM_KEY_TEXT, TM_KEY_REQUIRED, NULL, 0, 0, NULL, "of the pipeline" },
    { "command", TM_KEY_TEXT, TM_KEY_REQUIRED, NULL, 0, 0, NULL, "a line for sh" },
    { "folder", TM_KEY_TEXT, TM_KEY_REQUIRED, NULL, 0, 0, NULL, "where it is started" },
    { "every.ms", TM_KEY_INT, TM_KEY_REQUIRED, NULL, 1, INT64_MAX, NULL, "org time" },
    { "limit.ms", TM_KEY_INT, TM_KEY_REQUIRED, NULL, 1, INT64_MAX, NULL, "wall time" },
    { "runs", TM_KEY_TEXT, TM_KEY_REQUIRED, NULL, 0, 0, NULL, "file of its starts" },
    { "log", TM_KEY_TEXT, TM_KEY_REQUIRED, NULL, 0, 0, NULL, "file of what it says" },
    { "environment", TM_KEY_JSON, 0, NULL, 0, 0, NULL, "NAME: value" },
};

struct external {
    const struct tm_config *config;
    struct tm_clock_file *clock;
    const char *name;
    int64_t every_ms, limit_ns;
    int log;
    FILE *runs;
};

static volatile sig_atomic_t external_stop;

static void external_on_signal(int number)
{
    (void)number;
    external_stop = 1;
}

static void external_pause(int64_t ns)
{
    struct timespec ts = { .tv_sec = (time_t)(ns / TM_NS_PER_S),
                           .tv_nsec = (long)(ns % TM_NS_PER_S) };
    nanosleep(&ts, NULL); /* a signal ends it early */
}

static void external_exec(const struct external *e, int64_t grid_ms, pid_t parent)
{
    char now[TM_TIME_BYTES];
    const char *name;
    json_t *value;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(70);
    setpgid(0, 0); /* so that it ends with all it starts */
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(e->log, 1);
    dup2(e->log, 2);
    json_object_foreach((json_t *)(uintptr_t)tm_config_json(e->config, "environment"), name, value)
        setenv(name, json_string_value(value), 1);
    if (grid_ms != INT64_MIN)
        setenv("TIDEMARK_ORG_NOW", tm_time_z(now, grid_ms), 1);
    else
        setenv("TIDEMARK_ORG_NOW", getenv("TIDEMARK_ORG_ORIGIN"), 1);
    setenv("TIDEMARK_FIRST", grid_ms == INT64_MIN ? "1" : "0", 1);
    if (chdir(tm_config_text(e->config, "folder")) == 0)
        execl("/bin/sh", "sh", "-c", tm_config_text(e->config, "command"), (char *)NULL);
    dprintf(2, "cannot start: %s\n", strerror(errno));
    _exit(127);
}

/* The last line it said since `from`, if any. */
static void external_said(const struct external *e, off_t from, char out[EXTERNAL_SAID_BYTES])
{
    char tail[2048];
    off_t end = lseek(e->log, 0, SEEK_END);
    off_t at = end - from > (off_t)sizeof tail - 1 ? end - (off_t)sizeof tail + 1 : from;
    ssize_t n = pread(e->log, tail, sizeof tail - 1, at);
    out[0] = '\0';
    while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == '\r'))
        n--;
    tail[n > 0 ? n : 0] = '\0';
    const char *line = strrchr(tail, '\n');
    snprintf(out, EXTERNAL_SAID_BYTES, "%.199s", line != NULL ? line + 1 : tail);
    tm_text_cut(out);
}

/* Waits for its end; *out_killed: by us. -1: the run itself ends. */
static int external_wait(const struct external *e, pid_t pid, int64_t began_ns, bool *out_killed)
{
    int64_t asked_ns = 0;
    int status = 0;
    *out_killed = false;
    for (;;) {
        pid_t ended = waitpid(pid, &status, WNOHANG);
        int64_t now_ns = tm_clock_monotonic_ns();
        if (ended == pid || (ended < 0 && errno != EINTR))
            break;
        bool over = now_ns - began_ns > e->limit_ns || external_stop;
        if (over && asked_ns == 0) {
            *out_killed = true;
            asked_ns = now_ns;
            kill(-pid, SIGTERM);
        } else if (over && now_ns - asked_ns > EXTERNAL_GRACE_NS) {
            kill(-pid, SIGKILL);
        }
        external_pause(EXTERNAL_LOOK_NS);
    }
    if (*out_killed)
        kill(-pid, SIGKILL); /* what the shell had left behind */
    if (external_stop)
        return -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* One start, to its end. grid_ms INT64_MIN: the first. False: the run ends. */
static bool external_start(struct external *e, int64_t grid_ms, int64_t skipped, struct tm_err *err)
{
    struct tm_now now = tm_clock_now(e->clock);
    off_t from = lseek(e->log, 0, SEEK_END);
    char said[EXTERNAL_SAID_BYTES];
    bool killed;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        external_exec(e, grid_ms, parent);
    if (pid < 0) {
        tm_fail(err, TM_E_IO, "cannot start %s: %s", e->name, strerror(errno));
        return false;
    }
    setpgid(pid, pid); /* whoever comes first */
    int code = external_wait(e, pid, now.wall_ns, &killed);
    if (code < 0)
        return false;
    external_said(e, from, said);
    json_t *line = json_pack("{s:o, s:I, s:I, s:I, s:i, s:b, s:I, s:s}", "grid_org_ms",
                             grid_ms == INT64_MIN ? json_null() : json_integer(grid_ms), "org_ms",
                             (json_int_t)now.org_ms, "started_ns", (json_int_t)now.wall_ns,
                             "finished_ns", (json_int_t)tm_clock_monotonic_ns(), "exit_code", code,
                             "killed", killed, "skipped", (json_int_t)skipped, "said", said);
    if (line == NULL || json_dumpf(line, e->runs, JSON_COMPACT) != 0 ||
        fputc('\n', e->runs) == EOF || fflush(e->runs) != 0)
        tm_fail(err, TM_E_IO, "cannot write the starts of %s", e->name);
    json_decref(line);
    if (code != 0)
        tm_log(TM_LOG_WARN, "%s: %s, exit code %d: %s", e->name,
               killed ? "killed over its limit" : "its command failed", code, said);
    return err->code == TM_OK;
}

static enum tm_code external_run(struct external *e, struct tm_err *err)
{
    struct tm_clock_map map;
    int64_t grid_ms = INT64_MIN, skipped = 0;
    bool more = external_start(e, INT64_MIN, 0, err);
    while (more && !external_stop) {
        tm_clock_file_read(e->clock, &map);
        struct tm_now now = tm_clock_now(e->clock);
        int64_t next_ms = (now.org_ms / e->every_ms + 1) * e->every_ms;
        if (grid_ms == INT64_MIN)
            grid_ms = (map.org_origin_ms / e->every_ms + 1) * e->every_ms;
        int64_t at_ns = tm_clock_wall_at(&map, grid_ms);
        if (at_ns == TM_NEVER || at_ns > now.wall_ns) {
            int64_t left_ns = at_ns == TM_NEVER ? EXTERNAL_FROZEN_NS : at_ns - now.wall_ns;
            external_pause(left_ns < EXTERNAL_FROZEN_NS ? left_ns : EXTERNAL_FROZEN_NS);
            continue;
        }
        /* what came due while the one before ran is passed over, but for the newest */
        skipped = (next_ms - e->every_ms - grid_ms) / e->every_ms;
        grid_ms = next_ms - e->every_ms;
        more = external_start(e, grid_ms, skipped, err);
        grid_ms += e->every_ms;
    }
    return err->code;
}

static enum tm_code external_open(struct external *e, const char *clock_path, struct tm_err *err)
{
    e->name = tm_config_text(e->config, "name");
    e->every_ms = tm_config_int(e->config, "every.ms");
    e->limit_ns = tm_config_int(e->config, "limit.ms") * TM_NS_PER_MS;
    const char *log = tm_config_text(e->config, "log"), *runs = tm_config_text(e->config, "runs");
    if (clock_path == NULL)
        return tm_fail(err, TM_E_ARG, "no --clock given: the org's clock, whose instants it keeps");
    enum tm_code rc = tm_clock_file_open(&e->clock, clock_path, err);
    if (rc == TM_OK && (e->log = open(log, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) < 0)
        rc = tm_fail(err, TM_E_IO, "cannot write %s: %s", log, strerror(errno));
    if (rc == TM_OK && (e->runs = fopen(runs, "ae")) == NULL)
        rc = tm_fail(err, TM_E_IO, "cannot write %s: %s", runs, strerror(errno));
    return rc;
}

int tm_cmd_external(int argc, char **argv)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_station_flags flags;
    struct tm_config *config = NULL;
    struct external e = { .log = -1 };
    struct sigaction on = { .sa_handler = external_on_signal };
    sigaction(SIGTERM, &on, NULL);
    sigaction(SIGINT, &on, NULL);
    enum tm_code rc = tm_flags_parse(&flags, argc, argv, NULL, NULL, &err);
    if (rc == TM_OK && flags.config_path == NULL)
        rc = tm_fail(&err, TM_E_ARG,
                     "no config given; `tidemark run` writes one for each external "
                     "pipeline of a scenario");
    if (rc == TM_OK)
        rc = tm_config_load(&config, flags.config_path, external_keys,
                            sizeof external_keys / sizeof external_keys[0], &err);
    e.config = config;
    if (rc == TM_OK)
        rc = external_open(&e, flags.clock_path, &err);
    if (rc == TM_OK) {
        tm_log_init(e.name, TM_LOG_INFO);
        rc = external_run(&e, &err);
    }
    int exit_code = rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("external", &err);
    if (e.runs != NULL)
        fclose(e.runs);
    if (e.log >= 0)
        close(e.log);
    tm_clock_file_close(e.clock);
    tm_config_close(config);
    return exit_code;
}
