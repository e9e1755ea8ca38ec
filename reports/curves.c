/* curves: what the charts draw. Part of report. */
#include "reports/run_db.h"
#include "reports/words.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CURVE_PER_DECADE 40
#define CURVE_FIRST_S 1e-4          /* faster than that is drawn at the left edge */

void tm_report_curves_free(struct tm_curves *c)
{
    free(c->freshness_y);
    free(c->drift_y);
    c->freshness_y = NULL;
    c->drift_y = NULL;
}

struct curve_point { double x, y; };     /* seconds, percent */

/* The percentiles a pipeline's report has, as points of its distribution; how many. */
static size_t curves_points(const json_t *p, struct curve_point out[8])
{
    static const struct { const char *path; double y; } known[] = {
        { "freshness_s.p50", 50 }, { "freshness_s.p90", 90 }, { "freshness_s.p99", 99 }, { "freshness_s.p99_9", 99.9 },
        { "freshness_s.max", 100 } };
    double never = 0, count = 0, share = 1, s;
    size_t n = 0;
    tm_word_number(p, "freshness_s.never", &never);
    if (tm_word_number(p, "freshness_s.count", &count) && count + never > 0)
        share = count / (count + never);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (tm_word_number(p, known[i].path, &s) && isfinite(s)) {
            out[n].x = s > CURVE_FIRST_S ? s : CURVE_FIRST_S;
            out[n++].y = known[i].y * share;
        }
    return n;
}

static double curves_between(const struct curve_point *points, size_t count, double x)
{
    if (count == 0 || x < points[0].x)
        return NAN;
    for (size_t i = 1; i < count; i++)
        if (x < points[i].x) {
            double part = log(x / points[i - 1].x) / log(points[i].x / points[i - 1].x);
            return points[i - 1].y + part * (points[i].y - points[i - 1].y);
        }
    return points[count - 1].y;
}

void tm_curves_axis(struct tm_curves *c, double first_s, double last_s)
{
    double first = floor(log10(first_s > CURVE_FIRST_S ? first_s : CURVE_FIRST_S) * CURVE_PER_DECADE);
    double last = ceil(log10(last_s > first_s ? last_s : first_s * 10) * CURVE_PER_DECADE);
    c->freshness_count = 0;
    for (double k = first; k <= last && c->freshness_count < TM_CURVE_POINTS_MAX; k++)
        c->freshness_x[c->freshness_count++] = pow(10, k / CURVE_PER_DECADE);
}

static void curves_from_report(struct tm_curves *c, const json_t *pipelines)
{
    struct curve_point points[8];
    const json_t *p;
    double first = INFINITY, last = 0;
    size_t i;
    json_array_foreach(pipelines, i, p) {
        size_t n = curves_points(p, points);
        if (n > 0 && points[0].x < first)
            first = points[0].x;
        if (n > 0 && points[n - 1].x > last)
            last = points[n - 1].x;
    }
    if (last <= 0)
        return;
    tm_curves_axis(c, first, last);
    json_array_foreach(pipelines, i, p) {
        size_t n = curves_points(p, points);
        for (size_t k = 0; k < c->freshness_count; k++)
            c->freshness_y[i][k] = curves_between(points, n, c->freshness_x[k]);
    }
}

enum tm_code tm_report_curves(struct tm_curves *out, json_t *report, const char *run_db, struct tm_err *err)
{
    const json_t *pipelines = json_object_get(report, "pipelines");
    size_t count = json_array_size(pipelines);
    memset(out, 0, sizeof *out);
    out->freshness_y = calloc(count + 1, sizeof *out->freshness_y);
    out->drift_y = calloc(count + 1, sizeof *out->drift_y);
    if (out->freshness_y == NULL || out->drift_y == NULL)
        return tm_fail(err, TM_E_NOMEM, "report: curves of %zu pipelines", count);
    enum tm_code rc = run_db != NULL ? tm_run_db_read(out, report, run_db, err) : TM_OK;
    if (rc == TM_OK && out->freshness_count == 0)
        curves_from_report(out, pipelines);
    return rc;
}
