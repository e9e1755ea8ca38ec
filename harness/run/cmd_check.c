/* cmd_check: `tidemark check`: the independent witness. --live PLAN.json follows a run until
 * SIGTERM, then measures;
 * --org, --warehouse and --relations judge a finished warehouse. Results on stdout, progress on
 * stderr. */
#include "run/check_parts.h"
#include "run/command.h"
#include "base/log.h"
#include "check/after.h"
#include "check/check.h"
#include "check/compare.h"
#include "check/two.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHECK_THREADS 4 /* of a comparison, unless told */
#define CHECK_STEPS_MAX 1000000

static volatile sig_atomic_t check_stop;

static void check_on_signal(int signal_number)
{
    (void)signal_number;
    check_stop = 1;
}

static void check_sleep_until(int64_t wall_ns)
{
    struct timespec at = { .tv_sec = (time_t)(wall_ns / TM_NS_PER_S),
                           .tv_nsec = (long)(wall_ns % TM_NS_PER_S) };
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL); /* a signal ends it early */
}

/* A probe is timed by the instant its step begins, so this loop sleeps to the nanosecond instead of
 * polling in ms. */
enum tm_code tm_check_follow(struct tm_check *c, const struct tm_follow_also *also,
                             struct tm_err *err)
{
    struct sigaction on = { .sa_handler = check_on_signal };
    enum tm_code rc = TM_OK;
    bool told = false;
    int64_t also_ns = also != NULL ? tm_clock_monotonic_ns() + also->every_ns : TM_NEVER;
    sigemptyset(&on.sa_mask);
    sigaction(SIGTERM, &on, NULL);
    sigaction(SIGINT, &on, NULL);
    while (rc == TM_OK && !check_stop) {
        struct tm_now now = { .wall_ns = tm_clock_monotonic_ns() };
        if (now.wall_ns >= also_ns) {
            also->what(also->self);
            now.wall_ns = tm_clock_monotonic_ns();
            also_ns = now.wall_ns + also->every_ns;
        }
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        rc = tm_check_step(c, &now, &wake, err);
        if (!told && tm_check_ready(c)) { /* whoever started the witness may now start the clock */
            told = true;
            printf("following %zu pipelines\n", c->plan->pipelines_count);
            fflush(stdout);
        }
        if (rc == TM_OK && wake.wall_ns > tm_clock_monotonic_ns())
            check_sleep_until(wake.wall_ns);
    }
    return rc;
}

static int check_live(const char *plan_path)
{
    struct tm_err err = { 0 };
    struct tm_check *c = NULL;
    struct tm_check_ports ports = { .wall_ns = tm_clock_monotonic_ns };
    int exit_code = TM_EXIT_OURS;
    tm_log_init("check", TM_LOG_INFO);
    enum tm_code rc = tm_check_open(&c, plan_path, &ports, &err);
    if (rc == TM_OK) {
        rc = tm_check_follow(c, NULL, &err);
    }
    if (rc == TM_OK) {
        tm_log(TM_LOG_INFO, "measuring");
        rc = tm_check_finish(c, &exit_code, &err);
    }
    if (rc == TM_OK)
        printf("%s\n", c->plan->out);
    tm_check_close(c);
    return rc == TM_OK ? exit_code : tm_command_fail("check", &err);
}

/* A flag's whole number from 1; as it was where the flag is not given. */
static enum tm_code check_number(int *out, const char *flag, const char *text, long last,
                                 struct tm_err *err)
{
    char *end = NULL;
    long number = text == NULL ? 1 : strtol(text, &end, 10);
    if (text == NULL)
        return TM_OK;
    if (end == text || *end != '\0' || number < 1 || number > last)
        return tm_fail(err, TM_E_ARG, "%s must be a whole number from 1 to %ld, not \"%.40s\"",
                       flag, last, text);
    *out = (int)number;
    return TM_OK;
}

int tm_cmd_check(int argc, char **argv)
{
    static const char *const names[] = {
        "live", "org", "relations", "steps-max", "threads",        "against", "against-relations",
        "part", "raw", "merge!",    "out",       "clock-bound-ms", "...",     NULL
    };
    const char *extra[12] = { NULL };
    struct tm_station_flags flags = { 0 };
    struct tm_err err = { 0 };
    int exit_code = TM_EXIT_OURS;
    if (tm_flags_parse(&flags, argc, argv, names, extra, &err) != TM_OK)
        return tm_command_fail("check", &err);
    const struct tm_check_parts parts = {
        &flags, extra[7], extra[8], extra[1], extra[10], extra[11]
    };
    if (extra[7] != NULL || extra[9] != NULL)
        return extra[7] != NULL ? tm_check_part(&parts) : tm_check_merge(&parts);
    if (flags.config_path != NULL) {
        tm_fail(&err, TM_E_ARG, "\"%.80s\": files are named by flags; --help lists them",
                flags.config_path);
        return tm_command_fail("check", &err);
    }
    if (extra[0] != NULL && (extra[1] != NULL || extra[2] != NULL)) {
        tm_fail(&err, TM_E_ARG,
                "--live PLAN.json names everything itself; leave --org and --relations out");
        return tm_command_fail("check", &err);
    }
    if (extra[0] != NULL)
        return check_live(extra[0]);
    if ((extra[1] == NULL) == (extra[5] == NULL) || extra[2] == NULL ||
        (extra[6] != NULL && extra[5] == NULL)) {
        tm_fail(&err, TM_E_ARG,
                "give --org org.db --warehouse W.db --relations MAP.json, or --against OTHER.db in "
                "place of --org, or --live PLAN.json");
        return tm_command_fail("check", &err);
    }
    int steps_max = 0, threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    threads = threads > CHECK_THREADS ? CHECK_THREADS : threads;
    if (check_number(&steps_max, "--steps-max", extra[3], CHECK_STEPS_MAX, &err) != TM_OK ||
        check_number(&threads, "--threads", extra[4], TM_COMPARE_THREADS_MAX, &err) != TM_OK)
        return tm_command_fail("check", &err);
    struct tm_two_args two = { .against = extra[5],
                               .warehouse = flags.warehouse,
                               .relations = extra[2],
                               .against_relations = extra[6],
                               .json = flags.json,
                               .steps_max = steps_max,
                               .threads = (size_t)threads };
    if (two.against != NULL)
        return tm_two_check(&two, stdout, &exit_code, &err) == TM_OK
                   ? exit_code
                   : tm_command_fail("check", &err);
    struct tm_after_args args = { .org = extra[1],
                                  .warehouse = flags.warehouse,
                                  .relations = extra[2],
                                  .json = flags.json,
                                  .steps_max = steps_max,
                                  .threads = (size_t)threads };
    if (tm_after_check(&args, stdout, &exit_code, &err) != TM_OK)
        return tm_command_fail("check", &err);
    return exit_code;
}
