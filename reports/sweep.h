/* sweep: freshness against cost. in: the report of one simulated run in which streaming and polling
 * at several intervals, page sizes and modes worked on one history, and how each pipeline was set;
 * out: a JSON object, words, and a page with the chart. Pure. Costs are a day's: what the hours
 * took times 24 / hours, first load included.
 *
 * Theory of polling every T seconds, with index lag V: p50 = T / 2 + V and p99 = 0.99 T + V for
 * changes that come evenly (a poll is a little better where changes fall while it runs, or its
 * overlap reads a row again); a call per object and poll at least. Streaming's: the publish delay,
 * no call.
 * Break-even: where the line through polling's points (log-log) meets streaming's cost or
 * freshness; nothing is said beyond the points' ends but that it lies there. */
#ifndef TM_REPORTS_SWEEP_H
#define TM_REPORTS_SWEEP_H
#include "base/buf.h"
#include <jansson.h>

struct tm_sweep_setting {
    const char *pipeline; /* as in the report */
    const char *series;   /* what it is drawn with: "incremental, 2,000 rows a page" */
    double interval_s;    /* 0: streaming */
    double cpu_s;         /* of its stations, over the hours; < 0: not known */
};
/* hours: org time the costs cover. The caller owns *out. */
enum tm_code tm_sweep(json_t **out, const json_t *report, const struct tm_sweep_setting *settings,
                      size_t count, double hours, size_t objects, struct tm_err *err);
void tm_sweep_words(struct tm_buf *out, const json_t *sweep);
enum tm_code tm_sweep_html(struct tm_buf *out, const json_t *sweep, struct tm_err *err);
#endif
