/* curves: what the charts draw. Part of report. */
#include "reports/run_db.h"
#include "reports/words.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CURVE_PER_DECADE 40
#define CURVE_FIRST_S 1e-4 /* faster than that is drawn at the left edge */

void tm_report_curves_free(struct tm_curves *c)
{
    free(c->freshness_y);
    free(c->drift_y);
    c->freshness_y = NULL;
    c->drift_y = NULL;
}

#define CURVE_KNOWN_MAX 64 /* points of a distribution a report may hold */
struct curve_point {
    double x, y;
}; /* seconds, percent */

static size_t curves_add(struct curve_point *out, size_t n, double s, double percent)
{
    double x = s > CURVE_FIRST_S ? s : CURVE_FIRST_S;
    if (n == CURVE_KNOWN_MAX || !isfinite(s))
        return n;
    if (n > 0 && x <= out[n - 1].x) { /* several shares within one instant */
        out[n - 1].y = percent;
        return n;
    }
    out[n] = (struct curve_point){ x, percent };
    return n + 1;
}

/* What the report tells of a pipeline's distribution, as points of it; ranks count changes never
 * shown as the slowest. */
static size_t curves_points(const json_t *p, struct curve_point out[CURVE_KNOWN_MAX])
{
    static const struct {
        const char *path;
        double y;
    } known[] = { { "freshness_s.p50", 50 },
                  { "freshness_s.p90", 90 },
                  { "freshness_s.p99", 99 },
                  { "freshness_s.p99_9", 99.9 } };
    double never = 0, count = 0, s;
    size_t n = 0, i;
    const json_t *point;
    json_array_foreach(json_object_get(p, "freshness_curve"), i,
                       point) if (json_is_number(json_array_get(point, 0)) &&
                                  json_is_number(json_array_get(point, 1))) n =
        curves_add(out, n, json_number_value(json_array_get(point, 1)),
                   100 * json_number_value(json_array_get(point, 0)));
    for (i = 0; n == 0 && i < sizeof known / sizeof known[0]; i++)
        if (tm_word_number(p, known[i].path, &s))
            n = curves_add(out, n, s, known[i].y);
    tm_word_number(p, "freshness_s.never", &never);
    tm_word_number(p, "freshness_s.count", &count);
    if (tm_word_number(p, "freshness_s.max", &s))
        n = curves_add(out, n, s, count > 0 ? 100 * (count - never) / count : 100);
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
    double first =
        floor(log10(first_s > CURVE_FIRST_S ? first_s : CURVE_FIRST_S) * CURVE_PER_DECADE);
    double last = ceil(log10(last_s > first_s ? last_s : first_s * 10) * CURVE_PER_DECADE);
    c->freshness_count = 0;
    for (double k = first; k <= last && c->freshness_count < TM_CURVE_POINTS_MAX; k++)
        c->freshness_x[c->freshness_count++] = pow(10, k / CURVE_PER_DECADE);
}

static void curves_from_report(struct tm_curves *c, const json_t *pipelines)
{
    struct curve_point points[CURVE_KNOWN_MAX];
    const json_t *p;
    double first = INFINITY, last = 0;
    size_t i;
    json_array_foreach(pipelines, i, p)
    {
        size_t n = curves_points(p, points);
        if (n > 0 && points[0].x < first)
            first = points[0].x;
        if (n > 0 && points[n - 1].x > last)
            last = points[n - 1].x;
    }
    if (last <= 0)
        return;
    tm_curves_axis(c, first, last);
    json_array_foreach(pipelines, i, p)
    {
        size_t n = curves_points(p, points);
        for (size_t k = 0; k < c->freshness_count; k++)
            c->freshness_y[i][k] = curves_between(points, n, c->freshness_x[k]);
    }
}

/* The report's own drift curves, all on one axis: that of the first pipeline that has one. */
static void curves_drift(struct tm_curves *c, const json_t *pipelines)
{
    const json_t *p;
    size_t i, k;
    json_array_foreach(pipelines, i, p)
    {
        const json_t *at = json_object_get(json_object_get(p, "curve"), "org_ms");
        const json_t *rows = json_object_get(json_object_get(p, "curve"), "differing_max");
        size_t n =
            json_array_size(at) < TM_CURVE_POINTS_MAX ? json_array_size(at) : TM_CURVE_POINTS_MAX;
        if (c->drift_count == 0)
            for (k = 0; k < n; k++)
                c->drift_x[c->drift_count++] = json_number_value(json_array_get(at, k)) / 1000;
        for (k = 0; k < c->drift_count; k++)
            c->drift_y[i][k] = k < n && json_is_number(json_array_get(rows, k))
                                   ? json_number_value(json_array_get(rows, k))
                                   : NAN;
    }
}

enum tm_code tm_report_curves(struct tm_curves *out, const json_t *report, const char *run_db,
                              struct tm_err *err)
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
    if (rc == TM_OK && out->drift_count == 0)
        curves_drift(out, pipelines);
    return rc;
}
