/* trends: the figures of a run in the forms that trend tools read: Bencher's metric format (one
 * benchmark a pipeline, one measure a figure) and github-action-benchmark's customSmallerIsBetter
 * (one flat list). In all of these less is better.
 * Sources: bencher.dev/docs/reference/bencher-metric-format;
 * benchmark-action/github-action-benchmark, README, "custom benchmarks"; both read 2026-11. */
#include "reports/report.h"
#include "reports/words.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Measures are Bencher slugs: lower case, digits, dashes; at most 64 characters. */
static const struct tm_trend trends[] = {
    { "freshness_s.p50", "freshness-p50", "s" },
    { "freshness_s.p99", "freshness-p99", "s" },
    { "freshness_s.never", "never-shown", "changes" },
    { "work_ms.p50", "work-p50", "ms" },
    { "work_ms.p99", "work-p99", "ms" },
    { "drift.final_rows", "rows-wrong-at-the-end", "rows" },
    { "drift.peak_rows", "rows-wrong-peak", "rows" },
    { "drift.row_seconds", "rows-wrong-seconds", "row-seconds" },
    { "lost_history.states", "lost-states", "states" },
    { "cost.api_calls", "api-calls", "calls" },
    { "cost.bytes", "bytes", "bytes" },
    { "cost.cpu_s", "cpu", "s" },
    { "cost.query_ms", "query", "ms" },
};
#define TRENDS (sizeof trends / sizeof trends[0])

const struct tm_trend *tm_trend_at(size_t index)
{
    return index < TRENDS ? &trends[index] : NULL;
}

static enum tm_code trends_dump(struct tm_buf *out, json_t *json, const char *name,
                                struct tm_err *err)
{
    char *text = json != NULL ? json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(json);
    if (text == NULL)
        return tm_fail(err, TM_E_NOMEM, "%s", name);
    tm_buf_addz(out, text);
    tm_buf_addc(out, '\n');
    free(text);
    return tm_buf_check(out, name, err);
}

enum tm_code tm_report_bencher(struct tm_buf *out, const json_t *report, struct tm_err *err)
{
    json_t *all = json_object();
    const json_t *p;
    char name[160];
    double v;
    size_t i;
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        json_t *measures = json_object();
        for (size_t k = 0; k < TRENDS; k++)
            if (tm_word_number(p, trends[k].path, &v) && isfinite(v))
                json_object_set_new(measures, trends[k].measure, json_pack("{s:f}", "value", v));
        snprintf(name, sizeof name, "%.60s/%.80s", tm_word_text(report, "scenario", "run"),
                 tm_word_text(p, "name", "?"));
        if (json_object_size(measures) > 0)
            json_object_set(all, name, measures);
        json_decref(measures);
    }
    return trends_dump(out, all, "bencher.json", err);
}

enum tm_code tm_report_benchmark_action(struct tm_buf *out, const json_t *report,
                                        struct tm_err *err)
{
    json_t *all = json_array();
    const json_t *p;
    char name[240], extra[120];
    double v;
    size_t i;
    snprintf(extra, sizeof extra, "verdict of the run: %.40s",
             tm_word_text(report, "verdict", "none"));
    json_array_foreach(json_object_get(report, "pipelines"), i, p) for (size_t k = 0; k < TRENDS;
                                                                        k++)
    {
        if (!tm_word_number(p, trends[k].path, &v) || !isfinite(v))
            continue;
        snprintf(name, sizeof name, "%.60s/%.80s/%s", tm_word_text(report, "scenario", "run"),
                 tm_word_text(p, "name", "?"), trends[k].measure);
        json_array_append_new(all, json_pack("{s:s, s:s, s:f, s:s}", "name", name, "unit",
                                             trends[k].unit, "value", v, "extra", extra));
    }
    return trends_dump(out, all, "benchmark.json", err);
}
