/* cmd_sweep: `tidemark sweep [SCENARIO] [--intervals LIST] [--page-rows LIST] [--modes LIST]`. One
 * simulated run holds every pipeline of the sweep, so that all have the same history. */
#include "run/command.h"
#include "run/day.h"
#include "run/run.h"
#include "base/config.h"
#include "base/log.h"
#include "mocks/salesforce/scenario.h"
#include "reports/sweep.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SWEEP_SCENARIO "fixtures/scenarios/sweep.json"
#define SWEEP_PRESET "../batch/best.json" /* beside the scenario's folder */
#define SWEEP_LIST_MAX 16
#define SWEEP_HTML_MAX (8u << 20)
#define SWEEP_INTERVAL_S_MAX (7 * 86400)

struct sweep_list {
    int64_t numbers[SWEEP_LIST_MAX];
    size_t count;
};
struct sweep {
    struct sweep_list intervals_s, page_rows;
    bool incremental, full;
    json_t *pipelines; /* of the run; owned */
    struct tm_sweep_setting settings[TM_RUN_PIPELINES_MAX + 1];
    char names[TM_RUN_PIPELINES_MAX + 1][64], series[TM_RUN_PIPELINES_MAX + 1][80];
    size_t count;
};

/* ---- what was asked ---- */

/* "90", "90s", "5m", "1h" (durations: seconds) or plain numbers, with commas between. */
static enum tm_code sweep_list(struct sweep_list *out, const char *text, const char *flag,
                               bool durations, int64_t first, int64_t last, struct tm_err *err)
{
    out->count = 0;
    for (const char *at = text;; at++) {
        char *end;
        errno = 0;
        int64_t n = strtoll(at, &end, 10), unit = 1;
        if (durations && end > at && strchr("smh", *end) != NULL && *end != '\0')
            unit = *end == 'h' ? 3600 : *end == 'm' ? 60 : 1, end++;
        if (end == at || errno != 0 || (*end != ',' && *end != '\0') || n < 1 || n > last / unit ||
            n * unit < first)
            return tm_fail(err, TM_E_ARG, "%s \"%.60s\": a list of %s from %lld to %lld%s", flag,
                           text, durations ? "durations such as 90s,5m,1h" : "numbers",
                           (long long)first, (long long)last, durations ? " seconds" : "");
        if (out->count == SWEEP_LIST_MAX)
            return tm_fail(err, TM_E_ARG, "%s has more than %d entries", flag, SWEEP_LIST_MAX);
        for (size_t i = 0; i < out->count; i++)
            if (out->numbers[i] == n * unit)
                return tm_fail(err, TM_E_ARG, "%s \"%.60s\" says the same twice", flag, text);
        out->numbers[out->count++] = n * unit;
        if (*end == '\0')
            return TM_OK;
        at = end;
    }
}

static enum tm_code sweep_modes(struct sweep *s, const char *text, struct tm_err *err)
{
    for (const char *at = text;; at++) {
        size_t n = strcspn(at, ",");
        if (n == strlen("incremental") && strncmp(at, "incremental", n) == 0)
            s->incremental = true;
        else if (n == strlen("full") && strncmp(at, "full", n) == 0)
            s->full = true;
        else
            return tm_fail(err, TM_E_ARG, "--modes \"%.60s\": a list of incremental and full",
                           text);
        at += n;
        if (*at == '\0')
            return TM_OK;
    }
}

static int sweep_order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* ---- pipelines ---- */

static enum tm_code sweep_add(struct sweep *s, const char *name, const char *series,
                              int64_t interval_s, struct tm_err *err)
{
    if (s->count == sizeof s->settings / sizeof s->settings[0])
        return tm_fail(err, TM_E_ARG,
                       "more than %d pipelines; sweep fewer intervals, page sizes or modes",
                       TM_RUN_PIPELINES_MAX);
    snprintf(s->names[s->count], sizeof s->names[0], "%s", name);
    snprintf(s->series[s->count], sizeof s->series[0], "%s", series);
    s->settings[s->count] = (struct tm_sweep_setting){ s->names[s->count], s->series[s->count],
                                                       (double)interval_s, -1 };
    s->count++;
    return TM_OK;
}

/* page_rows 0: a full reload by Bulk jobs. */
static enum tm_code sweep_polling(struct sweep *s, int64_t interval_s, int64_t page_rows,
                                  struct tm_err *err)
{
    char name[64], series[80];
    snprintf(name, sizeof name, page_rows > 0 ? "poll-%llds-%lld" : "full-%llds",
             (long long)interval_s, (long long)page_rows);
    snprintf(series, sizeof series,
             page_rows > 0 ? "incremental, %lld rows a page" : "full reload, Bulk",
             (long long)page_rows);
    if (json_array_size(s->pipelines) == TM_RUN_PIPELINES_MAX)
        return tm_fail(err, TM_E_ARG,
                       "more than %d pipelines; sweep fewer intervals, page sizes or modes",
                       TM_RUN_PIPELINES_MAX);
    json_t *set =
        json_pack("{s:s, s:I}", "name", name, "interval.ms", (json_int_t)interval_s * 1000);
    if (page_rows > 0)
        json_object_set_new(set, "page.rows", json_integer((json_int_t)page_rows));
    else
        json_object_update_new(set, json_pack("{s:s, s:s, s:s, s:b}", "mode", "full", "api", "bulk",
                                              "paging", "locator", "get.deleted", 0));
    json_array_append_new(s->pipelines, json_pack("{s:s, s:s, s:s, s:o}", "name", name, "kind",
                                                  "batch", "config", SWEEP_PRESET, "set", set));
    return sweep_add(s, name, series, interval_s, err);
}

static enum tm_code sweep_pipelines(struct sweep *s, const char *scenario, struct tm_err *err)
{
    struct tm_scenario *asked = NULL;
    const json_t *p;
    size_t i;
    enum tm_code rc = tm_scenario_load(&asked, scenario, err);
    s->pipelines = json_array();
    if (rc == TM_OK)
        json_array_foreach(json_object_get(asked->json, "pipelines"), i, p)
        {
            const char *kind = json_string_value(json_object_get(p, "kind"));
            const char *name = json_string_value(json_object_get(p, "name"));
            char view[64];
            if (kind == NULL || strcmp(kind, "stream") != 0 || name == NULL)
                continue;
            json_array_append_new(s->pipelines, json_deep_copy(p));
            snprintf(view, sizeof view, "%.50s-view", name);
            rc = sweep_add(s, view, "streaming", 0, err);
        }
    tm_scenario_close(asked);
    if (rc == TM_OK && s->count == 0)
        rc = tm_fail(err, TM_E_ARG, "%s has no streaming pipeline to compare polling with",
                     scenario);
    for (size_t k = 0; rc == TM_OK && s->incremental && k < s->page_rows.count; k++)
        for (i = 0; rc == TM_OK && i < s->intervals_s.count; i++)
            rc = sweep_polling(s, s->intervals_s.numbers[i], s->page_rows.numbers[k], err);
    for (i = 0; rc == TM_OK && s->full && i < s->intervals_s.count; i++)
        rc = sweep_polling(s, s->intervals_s.numbers[i], 0, err);
    return rc;
}

/* ---- results ---- */

/* A stream's stations have names of their own; a batch station has its pipeline's. */
static void sweep_cpu(struct sweep *s, json_t *cpu)
{
    static const char *const road[] = { "source", "gap", "reconcile", "sink", "view" };
    const char *station;
    json_t *seconds;
    for (size_t i = 0; i < s->count; i++) {
        double sum = 0;
        json_object_foreach(cpu, station, seconds)
        {
            bool own = strcmp(station, s->names[i]) == 0;
            for (size_t k = 0; s->settings[i].interval_s <= 0 && k < sizeof road / sizeof road[0];
                 k++)
                own |= strncmp(station, road[k], strlen(road[k])) == 0;
            sum += own ? json_number_value(seconds) : 0;
        }
        s->settings[i].cpu_s = sum;
    }
}

static enum tm_code sweep_write(const struct tm_run *run, const char *name, const char *text,
                                size_t bytes, struct tm_err *err)
{
    char path[TM_PATH_MAX];
    snprintf(path, sizeof path, "%.800s/%s", run->dir, name);
    FILE *f = fopen(path, "w");
    bool ok = f != NULL && fwrite(text, 1, bytes, f) == bytes;
    if (f != NULL)
        ok = fclose(f) == 0 && ok;
    return ok ? TM_OK : tm_fail(err, TM_E_IO, "cannot write %s: %s", path, strerror(errno));
}

static enum tm_code sweep_results(struct sweep *s, const struct tm_run *run, bool json,
                                  struct tm_err *err)
{
    char path[TM_PATH_MAX];
    json_t *report = NULL, *sweep = NULL;
    struct tm_buf html, words;
    char *text = NULL;
    tm_buf_init(&html, SWEEP_HTML_MAX);
    tm_buf_init(&words, SWEEP_HTML_MAX);
    snprintf(path, sizeof path, "%.800s/report.json", run->dir);
    enum tm_code rc = tm_json_load(&report, path, err);
    const json_t *clock = json_object_get(report, "clock");
    double hours = (json_number_value(json_object_get(clock, "end_ms")) -
                    json_number_value(json_object_get(clock, "start_ms"))) /
                   3600e3;
    if (rc == TM_OK && !(hours > 0))
        rc = tm_fail(err, TM_E_ARG, "%s does not say how long it took", path);
    if (rc == TM_OK)
        rc = tm_sweep(&sweep, report, s->settings, s->count, hours, run->objects_count, err);
    if (rc == TM_OK)
        rc = tm_sweep_html(&html, sweep, err);
    if (rc == TM_OK)
        rc = sweep_write(run, "sweep.html", tm_buf_text(&html), html.bytes, err);
    text = rc == TM_OK ? json_dumps(sweep, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) : NULL;
    if (text != NULL)
        rc = sweep_write(run, "sweep.json", text, strlen(text), err);
    if (rc == TM_OK) {
        tm_sweep_words(&words, sweep);
        printf("%s%s", json ? text : tm_buf_text(&words), json ? "\n" : "");
        if (!json)
            printf("chart: %.800s/sweep.html\n", run->dir);
        rc = tm_buf_check(&words, "the sweep's table", err);
    }
    free(text);
    tm_buf_free(&html);
    tm_buf_free(&words);
    json_decref(sweep);
    json_decref(report);
    return rc;
}

static enum tm_code sweep_asked(struct sweep *s, struct tm_run *run, int argc, char **argv,
                                struct tm_err *err)
{
    static const char *const extra[] = { "out", "seed", "intervals", "page-rows", "modes", NULL };
    const char *given[5] = { NULL };
    static char out[64];
    struct tm_station_flags flags;
    enum tm_code rc = tm_flags_parse(&flags, argc, argv, extra, given, err);
    const char *scenario = flags.config_path != NULL ? flags.config_path : SWEEP_SCENARIO;
    time_t now = (time_t)(tm_clock_realtime_ns() / TM_NS_PER_S);
    struct tm tm;
    strftime(out, sizeof out, "reports/out/sweep-%Y%m%d-%H%M%S", gmtime_r(&now, &tm));
    if (rc == TM_OK)
        rc = sweep_list(&s->intervals_s, given[2] != NULL ? given[2] : "1m,5m,15m,30m,1h",
                        "--intervals", true, 1, SWEEP_INTERVAL_S_MAX, err);
    if (rc == TM_OK)
        rc = sweep_list(&s->page_rows, given[3] != NULL ? given[3] : "2000,200", "--page-rows",
                        false, 1, 2000, err);
    if (rc == TM_OK)
        rc = sweep_modes(s, given[4] != NULL ? given[4] : "incremental,full", err);
    if (rc == TM_OK) {
        qsort(s->intervals_s.numbers, s->intervals_s.count, sizeof(int64_t), sweep_order);
        rc = sweep_pipelines(s, scenario, err);
    }
    char *for_run[] = { argv[0],
                        (char *)(uintptr_t)scenario,
                        (char *)(uintptr_t) "--out",
                        (char *)(uintptr_t)(given[0] != NULL ? given[0] : out),
                        (char *)(uintptr_t) "--seed",
                        (char *)(uintptr_t)given[1] };
    if (rc == TM_OK)
        rc = tm_run_flags(run, given[1] != NULL ? 6 : 4, for_run, err);
    run->brokers_given = run->registry_given = NULL; /* of the environment: it has its own */
    run->json = flags.json;
    run->pipelines_given = s->pipelines;
    return rc == TM_OK ? tm_run_plan(run, err) : rc;
}

int tm_cmd_sweep(int argc, char **argv)
{
    static struct tm_run run; /* large: the child table is inside */
    static struct sweep s;
    struct tm_err err;
    json_t *cpu = NULL;
    int code = TM_EXIT_OURS;
    tm_err_clear(&err);
    tm_log_init("sweep", TM_LOG_ERROR);
    enum tm_code rc = sweep_asked(&s, &run, argc, argv, &err);
    if (rc == TM_OK)
        rc = tm_day_go(&run, &cpu, &code, &err);
    if (rc == TM_OK)
        sweep_cpu(&s, cpu);
    if (rc == TM_OK)
        rc = sweep_results(&s, &run, run.json, &err);
    if (rc == TM_OK && code == TM_EXIT_OURS)
        fprintf(stderr, "tidemark sweep: the run contradicts itself: see %.800s/report.html\n",
                run.dir);
    json_decref(cpu);
    json_decref(s.pipelines);
    tm_run_free(&run);
    if (rc != TM_OK)
        return tm_command_fail("sweep", &err);
    return code == TM_EXIT_OURS ? TM_EXIT_OURS : TM_EXIT_PASS;
}
