#include "reports/sweep.h"
#include "reports/html_inner.h"
#include "reports/page.h"
#include "reports/words.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWEEP_DAY_S 86400.0
#define SWEEP_POINTS_MAX 64

static double sweep_number(const json_t *object, const char *path)
{
    double v;
    return tm_word_number(object, path, &v) ? v : NAN;
}

static json_t *sweep_json(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static const json_t *sweep_pipeline(const json_t *report, const char *name)
{
    const json_t *p;
    size_t i;
    json_array_foreach(json_object_get(report, "pipelines"), i,
                       p) if (strcmp(tm_word_text(p, "name", ""), name) == 0) return p;
    return NULL;
}

static json_t *sweep_point(const json_t *p, const struct tm_sweep_setting *s, double hours,
                           double lag_s, double delay_s, size_t objects)
{
    double a_day = 24 / hours, t = s->interval_s;
    json_t *point = json_pack(
        "{s:s, s:s, s:f, s:o, s:o, s:o, s:o, s:o, s:o}", "pipeline", s->pipeline, "series",
        s->series, "interval_s", t, "p50_s", sweep_json(sweep_number(p, "freshness_s.p50")),
        "p99_s", sweep_json(sweep_number(p, "freshness_s.p99")), "never",
        sweep_json(sweep_number(p, "freshness_s.never")), "lost_share",
        sweep_json(sweep_number(p, "lost_history.share")), "calls",
        sweep_json(sweep_number(p, "cost.api_calls") * a_day), "bytes",
        sweep_json((sweep_number(p, "cost.bytes_in") + sweep_number(p, "cost.bytes_out")) * a_day));
    json_object_set_new(point, "cpu_s", sweep_json(s->cpu_s < 0 ? NAN : s->cpu_s * a_day));
    json_object_set_new(point, "floor",
                        json_pack("{s:f, s:f, s:f}", "p50_s", t > 0 ? t / 2 + lag_s : delay_s,
                                  "p99_s", t > 0 ? 0.99 * t + lag_s : delay_s, "calls",
                                  t > 0 ? (double)objects * SWEEP_DAY_S / t : 0.0));
    return point;
}

/* Where a series of polling points, by rising interval, crosses `level` of a measure; NAN: nowhere
 * between its ends. Linear in the logarithms of both. */
static double sweep_cross(const json_t *points, const char *series, const char *measure,
                          double level)
{
    const json_t *p;
    size_t i;
    double before_t = NAN, before = NAN;
    json_array_foreach(points, i, p)
    {
        double t = sweep_number(p, "interval_s"), v = sweep_number(p, measure);
        if (strcmp(tm_word_text(p, "series", ""), series) != 0 || !(t > 0) || !(v > 0))
            continue;
        if (isfinite(before) && before != v && (before - level) * (v - level) <= 0) {
            double part = log(level / before) / log(v / before);
            return before_t * pow(t / before_t, part);
        }
        before_t = t;
        before = v;
    }
    return NAN;
}

/* The ends of a series: how its measure compares with `level` all along. -1 below, 1 above. */
static int sweep_side(const json_t *points, const char *series, const char *measure, double level)
{
    const json_t *p;
    size_t i;
    json_array_foreach(points, i, p)
    {
        double v = sweep_number(p, measure);
        if (strcmp(tm_word_text(p, "series", ""), series) == 0 && isfinite(v))
            return v > level ? 1 : -1;
    }
    return 0;
}

static json_t *sweep_even(const json_t *points, const char *series, const json_t *stream)
{
    static const char *const measures[] = { "calls", "bytes", "cpu_s", "p50_s", "p99_s" };
    json_t *even =
        json_pack("{s:s, s:s}", "series", series, "against", tm_word_text(stream, "pipeline", ""));
    for (size_t i = 0; i < sizeof measures / sizeof measures[0]; i++) {
        double level = sweep_number(stream, measures[i]);
        double t = level > 0 ? sweep_cross(points, series, measures[i], level) : NAN;
        int side = level > 0 ? sweep_side(points, series, measures[i], level) : 0;
        json_object_set_new(even, measures[i],
                            json_pack("{s:o, s:s}", "interval_s", sweep_json(t), "otherwise",
                                      isfinite(t) ? ""
                                      : side > 0  ? "polling is above at every interval swept"
                                      : side < 0  ? "polling is below at every interval swept"
                                                  : "not known"));
    }
    return even;
}

enum tm_code tm_sweep(json_t **out, const json_t *report, const struct tm_sweep_setting *settings,
                      size_t count, double hours, size_t objects, struct tm_err *err)
{
    double lag_ms = 0, delay_ms = 0;
    json_t *points = json_array(), *evens = json_array();
    const json_t *stream = NULL;
    *out = NULL;
    tm_word_number(report, "clock.index_lag_ms", &lag_ms);
    tm_word_number(report, "clock.publish_delay_ms", &delay_ms);
    for (size_t i = 0; i < count && i < SWEEP_POINTS_MAX; i++) {
        const json_t *p = sweep_pipeline(report, settings[i].pipeline);
        if (p == NULL) {
            json_decref(points);
            json_decref(evens);
            return tm_fail(err, TM_E_ARG, "the sweep's report lacks pipeline \"%.60s\"",
                           settings[i].pipeline);
        }
        json_t *point =
            sweep_point(p, &settings[i], hours, lag_ms / 1000, delay_ms / 1000, objects);
        json_array_append_new(points, point);
        if (stream == NULL && !(settings[i].interval_s > 0))
            stream = point;
    }
    for (size_t i = 0; stream != NULL && i < count; i++) {
        bool first = settings[i].interval_s > 0;
        for (size_t k = 0; k < i && first; k++)
            first = strcmp(settings[k].series, settings[i].series) != 0;
        if (first)
            json_array_append_new(evens, sweep_even(points, settings[i].series, stream));
    }
    *out = json_pack("{s:s, s:s, s:s, s:O*, s:f, s:i, s:f, s:f, s:s, s:o, s:o}", "tidemark", "1",
                     "kind", "sweep", "scenario", tm_word_text(report, "scenario", ""), "seed",
                     json_object_get(report, "seed"), "hours", hours, "objects", (int)objects,
                     "index_lag_s", lag_ms / 1000, "publish_delay_s", delay_ms / 1000, "verdict",
                     tm_word_text(report, "verdict", "?"), "points", points, "break_even", evens);
    return *out != NULL ? TM_OK : tm_fail(err, TM_E_NOMEM, "the sweep");
}

/* ---- words ---- */

static const char *sweep_label(char out[WORD_BYTES], const json_t *p)
{
    double t = sweep_number(p, "interval_s");
    if (t > 0)
        return tm_word_span(out, t);
    snprintf(out, WORD_BYTES, "stream");
    return out;
}

/* "at 4.2 min", or where it lies. */
static void sweep_even_word(char out[100], const json_t *even, const char *measure)
{
    char word[WORD_BYTES];
    const json_t *one = json_object_get(even, measure);
    double t;
    if (tm_word_number(one, "interval_s", &t))
        snprintf(out, 100, "at an interval of %s", tm_word_span(word, t));
    else
        snprintf(out, 100, "nowhere: %s", tm_word_text(one, "otherwise", "not known"));
}

static void sweep_sentence(char out[600], const json_t *even)
{
    char calls[100], bytes[100], fresh[100];
    sweep_even_word(calls, even, "calls");
    sweep_even_word(bytes, even, "bytes");
    sweep_even_word(fresh, even, "p50_s");
    snprintf(out, 600,
             "Polling (%.80s) costs as many API calls as %.60s %s; as many bytes %s; it is as "
             "fresh (p50) %s.",
             tm_word_text(even, "series", "?"), tm_word_text(even, "against", "?"), calls, bytes,
             fresh);
}

void tm_sweep_words(struct tm_buf *out, const json_t *sweep)
{
    const json_t *p;
    size_t i;
    char text[600];
    tm_buf_addf(out, "%-28s %8s  %9s %9s %9s  %10s %10s %9s  %8s\n", "series", "interval", "p50",
                "(theory)", "p99", "calls/day", "(floor)", "bytes/day", "lost");
    json_array_foreach(json_object_get(sweep, "points"), i, p)
    {
        char w[8][WORD_BYTES];
        tm_buf_addf(out, "%-28s %8s  %9s %9s %9s  %10s %10s %9s  %8s\n",
                    tm_word_text(p, "series", "?"), sweep_label(w[0], p),
                    tm_word_at(w[1], p, "p50_s", tm_word_span, 1),
                    tm_word_at(w[2], p, "floor.p50_s", tm_word_span, 1),
                    tm_word_at(w[3], p, "p99_s", tm_word_span, 1),
                    tm_word_at(w[4], p, "calls", tm_word_count, 1),
                    tm_word_at(w[5], p, "floor.calls", tm_word_count, 1),
                    tm_word_at(w[6], p, "bytes", tm_word_bytes, 1),
                    tm_word_at(w[7], p, "lost_share", tm_word_share, 1));
    }
    json_array_foreach(json_object_get(sweep, "break_even"), i, p)
    {
        sweep_sentence(text, p);
        tm_buf_addf(out, "%s\n", text);
    }
}

/* ---- page ---- */

static void sweep_table(struct tm_buf *b, const json_t *sweep)
{
    static const struct {
        const char *path;
        const char *(*form)(char *, double);
    } columns[] = { { "p50_s", tm_word_span },       { "floor.p50_s", tm_word_span },
                    { "p99_s", tm_word_span },       { "floor.p99_s", tm_word_span },
                    { "calls", tm_word_count },      { "floor.calls", tm_word_count },
                    { "bytes", tm_word_bytes },      { "cpu_s", tm_word_span },
                    { "lost_share", tm_word_share }, { "never", tm_word_count } };
    const json_t *p;
    size_t i;
    tm_html_table(b, "<thead><tr><th>pipeline</th><th>interval</th><th>p50</th><th>theory</th>"
                     "<th>p99</th><th>theory</th><th>API calls a day</th><th>floor</th><th>bytes a "
                     "day</th><th>CPU a day</th><th>states lost</th><th>never shown</th></tr>"
                     "</thead>\n");
    json_array_foreach(json_object_get(sweep, "points"), i, p)
    {
        char word[WORD_BYTES];
        tm_buf_addz(b, "<tr><td>");
        tm_html_text(b, tm_word_text(p, "series", "?"));
        tm_buf_addf(b, "</td><td>%s</td>", sweep_label(word, p));
        for (size_t k = 0; k < sizeof columns / sizeof columns[0]; k++)
            tm_buf_addf(b, "<td>%s</td>", tm_word_at(word, p, columns[k].path, columns[k].form, 1));
        tm_buf_addz(b, "</tr>\n");
    }
    tm_html_table_end(b);
}

static void sweep_body(struct tm_buf *b, const json_t *sweep)
{
    char text[600], a[2][WORD_BYTES];
    const json_t *even;
    size_t i;
    tm_buf_addz(b, "<h1><b>tidemark</b> · sweep of ");
    tm_html_text(b, tm_word_text(sweep, "scenario", "?"));
    tm_buf_addz(b, "</h1>\n<p>What freshness costs: every point is a pipeline that worked on one "
                   "and the same history. Down is fresher, left is cheaper; both axes are "
                   "logarithmic.</p>\n<ul class=\"findings\">\n");
    json_array_foreach(json_object_get(sweep, "break_even"), i, even)
    {
        sweep_sentence(text, even);
        tm_buf_addz(b, "<li>");
        tm_html_text(b, text);
        tm_buf_addz(b, "</li>\n");
    }
    tm_buf_addz(
        b,
        "</ul>\n<fieldset><legend>Show</legend><label><input type=\"radio\" name=\"y\" "
        "value=\"p50_s\" checked> half of all changes readable (p50)</label> <label><input "
        "type=\"radio\" name=\"y\" value=\"p99_s\"> 99 of 100 (p99)</label> against <label>"
        "<input type=\"radio\" name=\"x\" value=\"calls\" checked> API calls a day</label> "
        "<label><input type=\"radio\" name=\"x\" value=\"bytes\"> bytes a day</label> <label>"
        "<input type=\"radio\" name=\"x\" value=\"cpu_s\"> CPU seconds a day</label></fieldset>\n"
        "<div class=\"chart\" id=\"sweep\"><p class=\"note\">This chart needs JavaScript; the "
        "table has its numbers.</p></div>\n");
    sweep_table(b, sweep);
    tm_buf_addf(b,
                "<p class=\"note\">Theory: of changes that come evenly, polling every T shows half "
                "T / 2 + V after the commit and 99 of 100 by 0.99 T + V, V = %s being the org's "
                "index lag; a poll is a little better where changes fall while it runs, or where "
                "its overlap reads a row again. It asks once an object and poll at least. "
                "Streaming cannot beat the org's publish delay of "
                "%s. Costs are a day's, from %.3g hours of org time, first load included. Measured "
                "under a virtual clock.</p>\n",
                tm_word_span(a[0], sweep_number(sweep, "index_lag_s")),
                tm_word_span(a[1], sweep_number(sweep, "publish_delay_s")),
                sweep_number(sweep, "hours"));
}

static bool sweep_mark(struct tm_buf *out, const char *mark, const void *sweep)
{
    if (strcmp(mark, "DATA") == 0)
        tm_html_json(out, sweep);
    else if (strcmp(mark, "BODY") == 0)
        sweep_body(out, sweep);
    else
        return false;
    return true;
}

enum tm_code tm_sweep_html(struct tm_buf *out, const json_t *sweep, struct tm_err *err)
{
    enum tm_code rc = tm_page_fill(out, tm_page_sweep, "sweep's page", sweep_mark, sweep, err);
    return rc != TM_OK ? rc : tm_buf_check(out, "sweep.html", err);
}
