/* report: what a run found, told to people and to machines. in: a run's folder with report.json
 * and, if there, run.db (curves); out: report.html (one file, opens offline), report.md,
 * junit.xml, bencher.json and benchmark.json beside it. Reads and writes files of that folder only.
 * Nothing is computed anew: words and pictures of what check measured. */
#ifndef TM_REPORTS_REPORT_H
#define TM_REPORTS_REPORT_H
#include "base/buf.h"
#include <jansson.h>

#define TM_REPORT_BYTES_MAX (32u << 20)
#define TM_REPORT_PIPELINES_MAX 64

/* TM_E_ARG names the file and the missing or wrong key. */
enum tm_code tm_report_render(const char *run_dir, struct tm_err *err);
enum tm_code tm_report_check(const json_t *report, const char *where, struct tm_err *err);

/* Curves for the charts. Axes are common to all pipelines; y[pipeline][point], NAN = nothing to
 * show. */
#define TM_CURVE_POINTS_MAX 512
struct tm_curves {
    double freshness_x[TM_CURVE_POINTS_MAX];
    size_t freshness_count; /* seconds, log-spaced */
    double drift_x[TM_CURVE_POINTS_MAX];
    size_t drift_count;                         /* org time, epoch seconds */
    double (*freshness_y)[TM_CURVE_POINTS_MAX]; /* percent of all changes visible within x */
    double (*drift_y)[TM_CURVE_POINTS_MAX];     /* rows that differ */
};
/* From run.db, or, where it has no samples, from the percentiles in `report`. run_db NULL = no
 * file. */
enum tm_code tm_report_curves(struct tm_curves *out, const json_t *report, const char *run_db,
                              struct tm_err *err);
void tm_report_curves_free(struct tm_curves *c);

enum tm_code tm_report_html(struct tm_buf *out, const json_t *report,
                            const struct tm_curves *curves, struct tm_err *err);
enum tm_code tm_report_markdown(struct tm_buf *out, const json_t *report, struct tm_err *err);
enum tm_code tm_report_junit(struct tm_buf *out, const json_t *report, struct tm_err *err);
/* trends.c: the figures of a pipeline that are followed over time; less is better in all of them.
 */
struct tm_trend {
    const char *path, *measure, *unit; /* in the report; a slug; of the value */
};
const struct tm_trend *tm_trend_at(size_t index); /* NULL = no more */
/* For Bencher (`--adapter json`) and for github-action-benchmark
 * (`tool: customSmallerIsBetter`). */
enum tm_code tm_report_bencher(struct tm_buf *out, const json_t *report, struct tm_err *err);
enum tm_code tm_report_benchmark_action(struct tm_buf *out, const json_t *report,
                                        struct tm_err *err);
#endif
