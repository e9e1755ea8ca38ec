/* cmd_run: `tidemark run [SCENARIO] [--out DIR] [--brokers HOST:PORT] [--registry URL]
 * [--seed N] [--baseline RUN]`, or `tidemark run --resume RUN`. */
#include "run/baseline.h"
#include "run/command.h"
#include "run/resume.h"
#include "run/run.h"
#include "base/config.h"
#include "base/log.h"
#include "base/text.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RUN_SCENARIO_PRESET "fixtures/scenarios/day.json"

/* `timeout`, make and a terminal may each pass on one and the same request: what comes so soon
 * after another is not a second one. */
#define RUN_SAME_NS TM_NS_PER_S

static volatile sig_atomic_t run_interrupts;
static int64_t run_interrupted_ns; /* of the handler alone */
static bool run_terminal;          /* set before the handler is */

enum tm_code tm_run_interrupted(const struct tm_run *run, struct tm_err *err)
{
    if (*run->kids.interrupts == 0)
        return TM_OK;
    return tm_fail(err, TM_E_IO, "interrupted");
}

static void run_on_signal(int number)
{
    static const char said[] = "interrupted: ending in order, a report on what was measured "
                               "follows; once more ends at once, without one\n";
    int saved = errno;
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    int64_t now_ns = (int64_t)ts.tv_sec * TM_NS_PER_S + ts.tv_nsec;
    (void)number;
    if (run_interrupts == 0) {
        run_interrupts = 1;
        bool below = run_terminal; /* the line of progress stands there */
        if ((below && write(STDERR_FILENO, "\n", 1) < 0) ||
            write(STDERR_FILENO, said, sizeof said - 1) < 0) { /* nobody reads: end all the same */
        }
    } else if (now_ns - run_interrupted_ns > RUN_SAME_NS) {
        run_interrupts = 2;
    }
    run_interrupted_ns = now_ns;
    errno = saved;
}

/* The handler keeps the others out while it works. */
static void run_catch(void)
{
    static const int caught[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = run_on_signal };
    run_terminal = isatty(STDERR_FILENO);
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
        sigaddset(&action.sa_mask, caught[i]);
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
        sigaction(caught[i], &action, NULL);
}

static void run_default_dir(struct tm_run *run)
{
    char when[32], stem[128];
    const char *slash = strrchr(run->scenario_path, '/');
    time_t now = (time_t)(tm_clock_realtime_ns() / TM_NS_PER_S);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y%m%d-%H%M%S", &tm);
    snprintf(stem, sizeof stem, "%.100s", slash != NULL ? slash + 1 : run->scenario_path);
    stem[strcspn(stem, ".")] = '\0';
    snprintf(run->dir, sizeof run->dir, "reports/out/%s-%s", stem, when);
}

/* What the run was started with holds for the rest of it. */
static enum tm_code run_resume_flags(struct tm_run *run, const struct tm_station_flags *flags,
                                     const char *const given[5], struct tm_err *err)
{
    static const char *const names[] = { "--out", "--seed", "--reset-topics" };
    const char *other = flags->config_path != NULL ? "the scenario" : NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        other = given[i] != NULL ? names[i] : other;
    if (other != NULL)
        return tm_fail(err, TM_E_ARG,
                       "--resume goes on as the run was started: leave %s out, or start a run anew",
                       other);
    size_t bytes = strlen(given[4]);
    while (bytes > 1 && given[4][bytes - 1] == '/')
        bytes--;
    if (bytes >= sizeof run->dir)
        return tm_fail(err, TM_E_ARG, "the path of --resume is longer than %d bytes",
                       TM_RUN_DIR_MAX);
    snprintf(run->dir, sizeof run->dir, "%.*s", (int)bytes, given[4]);
    run->resumes = true;
    return TM_OK;
}

enum tm_code tm_run_flags(struct tm_run *run, int argc, char **argv, struct tm_err *err)
{
    static const char *const extra[] = {
        "out", "seed", "reset-topics!", "baseline", "resume", NULL
    };
    static struct tm_baseline baseline;
    const char *given[5] = { NULL };
    struct tm_station_flags flags;
    if (tm_flags_parse(&flags, argc, argv, extra, given, err) != TM_OK)
        return err->code;
    run->seed = -1;
    run->json = flags.json;
    run->reset_topics = given[2] != NULL;
    run->brokers_given = flags.brokers;
    run->registry_given = flags.registry;
    run->kafka_properties = flags.kafka_properties;
    run->ca_path = flags.ca_path;
    if (given[4] != NULL && run_resume_flags(run, &flags, given, err) != TM_OK)
        return err->code;
    snprintf(run->scenario_path, sizeof run->scenario_path, "%s",
             flags.config_path != NULL ? flags.config_path : RUN_SCENARIO_PRESET);
    if (given[1] != NULL) {
        char *end;
        errno = 0;
        run->seed = strtoll(given[1], &end, 10);
        if (errno != 0 || *end != '\0' || end == given[1] || run->seed < 0)
            return tm_fail(err, TM_E_ARG, "--seed must be a whole number from 0, not \"%s\"",
                           given[1]);
    }
    if (given[0] != NULL && strlen(given[0]) >= sizeof run->dir)
        return tm_fail(err, TM_E_ARG, "the path of --out is longer than %d bytes", TM_RUN_DIR_MAX);
    if (strlen(flags.config_path != NULL ? flags.config_path : "") >= sizeof run->scenario_path)
        return tm_fail(err, TM_E_ARG, "the scenario's path is too long");
    if (given[0] != NULL)
        snprintf(run->dir, sizeof run->dir, "%s", given[0]);
    else if (!run->resumes)
        run_default_dir(run);
    if (run->kafka_properties != NULL) {
        struct tm_properties properties;
        if (tm_properties_load(&properties, run->kafka_properties, err) != TM_OK)
            return tm_at(err, "--kafka-properties");
        tm_properties_free(&properties);
    }
    if (given[3] != NULL) {
        run->baseline = &baseline;
        if (tm_baseline_load(&baseline, given[3], err) != TM_OK)
            return tm_at(err, "--baseline");
    }
    if (run->resumes)
        return tm_resume_load(run, err);
    if (run->brokers_given != NULL && run->registry_given == NULL)
        tm_log(TM_LOG_INFO, "--brokers without --registry: the embedded registry is used");
    return TM_OK;
}

void tm_run_print(const struct tm_run *run, int code)
{
    static const char *const words[] = { "pass", "fail", "inconclusive" };
    char path[TM_PATH_MAX];
    json_t *report = NULL, *reason;
    struct tm_err err;
    size_t i;
    tm_err_clear(&err);
    snprintf(path, sizeof path, "%.800s/report.json", run->dir);
    if (tm_json_load(&report, path, &err) != TM_OK)
        return;
    if (run->json) {
        json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
        putchar('\n');
    } else {
        printf("verdict: %s\n", code >= 0 && code <= 2
                                    ? words[code]
                                    : "the harness contradicts itself (self-test failed)");
        json_array_foreach(json_object_get(report, "reasons"), i, reason)
            printf("  - %s\n", json_string_value(reason));
        printf("report: %.800s/report.html\n", run->dir);
    }
    json_decref(report);
}

int tm_run_against(const struct tm_run *run, int code)
{
    struct tm_baseline new = { .count = 0 };
    struct tm_err err;
    int compared = TM_EXIT_OURS;
    if (run->baseline == NULL)
        return code;
    tm_err_clear(&err);
    if (!run->json)
        printf("against the baseline (counters alone: one run tells nothing of wall-clock "
               "figures):\n");
    enum tm_code rc = tm_baseline_load(&new, run->dir, &err);
    if (rc == TM_OK)
        rc = tm_baseline_judge(&compared, run->baseline, &new, NULL, true, run->json, &err);
    tm_baseline_free(&new);
    if (rc != TM_OK)
        compared = tm_command_fail("run: --baseline", &err);
    static const int order[] = { TM_EXIT_OURS, TM_EXIT_USAGE, TM_EXIT_FAIL, TM_EXIT_INCONCLUSIVE };
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        if (code == order[i] || compared == order[i])
            return order[i];
    return TM_EXIT_PASS;
}

void tm_run_free(struct tm_run *run)
{
    if (run->baseline != NULL)
        tm_baseline_free(run->baseline);
    tm_usage_close(&run->usage);
    tm_outages_close(run->outages);
    tm_clock_file_close(run->clock);
    json_decref(run->kept);
    json_decref(run->scenario);
    json_decref(run->events);
    for (size_t i = 0; i < run->pipelines_count; i++) {
        json_decref(run->pipelines[i].carries);
        json_decref(run->pipelines[i].clients);
        json_decref(run->pipelines[i].relations);
    }
    free(run->pipelines);
}

/* The folder is ours, and says what runs in it, or goes on. */
static enum tm_code run_folder(struct tm_run *run, struct tm_err *err)
{
    char path[TM_PATH_MAX];
    if (run->resumes && tm_resume_begin(run, err) != TM_OK)
        return tm_at(err, "--resume");
    if (!run->resumes && (tm_resume_lock(run, err) != TM_OK || tm_resume_save(run, err) != TM_OK))
        return err->code;
    snprintf(path, sizeof path, "%.900s/usage.csv", run->dir);
    return tm_usage_open(&run->usage, path, err);
}

int tm_cmd_run(int argc, char **argv)
{
    struct tm_err err, why;
    static struct tm_run run; /* large: the child table is inside */
    int64_t began_ns = tm_clock_monotonic_ns();
    int code;
    tm_err_clear(&err);
    tm_err_clear(&why);
    tm_log_init("run", TM_LOG_INFO);
    run_catch();
    run.kids.interrupts = &run_interrupts;
    if (tm_run_flags(&run, argc, argv, &err) != TM_OK || tm_run_plan(&run, &err) != TM_OK ||
        run_folder(&run, &err) != TM_OK)
        return tm_command_fail("run", &err);
    enum tm_code rc = tm_run_start(&run, &why);
    run.started_up_s = (double)(tm_clock_monotonic_ns() - began_ns) / 1e9;
    if (rc == TM_OK)
        rc = tm_run_work(&run, &why);
    run.took_s = (double)(tm_clock_monotonic_ns() - began_ns) / 1e9;
    code = tm_run_finish(&run, rc == TM_OK ? NULL : &why, &err);
    if (err.code != TM_OK) {
        char text[700];
        fprintf(stderr, "tidemark run: %s\nno report; the logs are in %s/log\n",
                tm_err_text(&err, text, sizeof text), run.dir);
    } else {
        tm_run_print(&run, code);
        code = tm_run_against(&run, code);
    }
    tm_run_free(&run);
    return code;
}
