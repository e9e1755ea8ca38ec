/* html_data: what the page's script draws, as JSON: curves (curves.c), and what report.json holds
 * in lists. {"pipelines": [{name, kind, rank}], "freshness": {x, y}, "drift": {x, y}, "amount": {x,
 * stages, org, y} or null, "visibility": {x, y} or null, "classes": [{x, missing, …} or null],
 * "marks": [{x, until, kind, says}], "legs": [{legs, bands, ms, changes} or null], "query":
 * [[[rows, seconds], …] or null] or null}; x: seconds; y: by pipeline, null where there is none. */
#include "reports/html_inner.h"
#include "reports/report.h"
#include "reports/run_db.h"
#include "reports/words.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static json_t *data_seconds(const json_t *ms)
{
    json_t *out = json_array();
    const json_t *one;
    size_t i;
    json_array_foreach(ms, i, one)
        json_array_append_new(out, json_integer(llround(json_number_value(one) / 1000)));
    return out;
}

/* [[by stage] by point] as [[by point] by stage], rounded: a chart shows no cents. */
static json_t *data_by_stage(const json_t *points, size_t stages)
{
    json_t *out = json_array();
    const json_t *point;
    size_t i;
    for (size_t s = 0; s < stages; s++) {
        json_t *one = json_array();
        json_array_foreach(points, i, point) json_array_append_new(
            one, json_integer(llround(json_number_value(json_array_get(point, s)))));
        json_array_append_new(out, one);
    }
    return out;
}

static json_t *data_amount(const json_t *pipelines)
{
    json_t *out = NULL, *y = json_array();
    const json_t *p;
    size_t i;
    json_array_foreach(pipelines, i, p)
    {
        const json_t *one = json_object_get(p, "open_amount");
        json_t *stages = json_object_get(one, "stages");
        size_t count = json_array_size(stages);
        if (out == NULL && count > 0)
            out = json_pack("{s:o, s:O, s:o}", "x", data_seconds(json_object_get(one, "org_ms")),
                            "stages", stages, "org",
                            data_by_stage(json_object_get(one, "org"), count));
        json_array_append_new(y, count > 0 ? data_by_stage(json_object_get(one, "shown"), count)
                                           : json_null());
    }
    if (out != NULL)
        json_object_set(out, "y", y);
    json_decref(y);
    return out != NULL ? out : json_null();
}

static json_t *data_visibility(const json_t *pipelines)
{
    json_t *x = json_array(), *y = json_array();
    const json_t *p, *point;
    size_t i, k;
    json_array_foreach(pipelines, i, p)
    {
        json_t *one = json_array();
        json_array_foreach(json_object_get(p, "t_visibility"), k, point)
        {
            const json_t *at = json_array_get(point, 0);
            if (json_number_value(at) <= 0)
                continue; /* a logarithmic axis has no 0 */
            if (i == 0)
                json_array_append(x, (json_t *)(uintptr_t)at);
            json_array_append_new(one,
                                  json_real(100 * json_number_value(json_array_get(point, 1))));
        }
        json_array_append_new(y, one);
    }
    return json_pack("{s:o, s:o}", "x", x, "y", y);
}

static json_t *data_classes(const json_t *pipelines)
{
    static const char *const names[] = { "missing", "phantom", "stale", "mixed", "wrong" };
    json_t *out = json_array();
    const json_t *p;
    size_t i;
    json_array_foreach(pipelines, i, p)
    {
        const json_t *curve = json_object_get(p, "curve");
        json_t *one = json_pack("{s:o}", "x", data_seconds(json_object_get(curve, "org_ms")));
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
            if (json_object_get(curve, names[k]) != NULL)
                json_object_set(one, names[k], json_object_get(curve, names[k]));
        json_array_append_new(out, one);
    }
    return out;
}

/* {legs: [words], bands: [words], ms: [leg][band], changes: [by band]} or null. */
static json_t *data_legs(const json_t *p)
{
    const json_t *legs = json_object_get(p, "legs_by_rank"),
                 *bands = json_object_get(legs, "bands"), *one;
    size_t i, k;
    char word[60];
    if (json_array_size(bands) == 0)
        return json_null();
    json_t *names = json_array(), *shares = json_array(), *ms = json_array(),
           *changes = json_array();
    json_array_foreach(json_object_get(legs, "legs"), k, one)
    {
        json_array_append_new(names, json_string(tm_word_leg(json_string_value(one))));
        json_array_append_new(ms, json_array());
    }
    json_array_foreach(bands, i, one)
    {
        double from, to;
        if (!tm_word_number(one, "from", &from) || !tm_word_number(one, "to", &to))
            continue;
        snprintf(word, sizeof word, to < 1 ? "p%.4g–p%.4g" : "p%.4g–max", 100 * from, 100 * to);
        json_array_append_new(shares, json_string(word));
        json_array_append(changes, json_object_get(one, "changes"));
        for (k = 0; k < json_array_size(names); k++)
            json_array_append(json_array_get(ms, k), json_array_get(json_object_get(one, "ms"), k));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "legs", names, "bands", shares, "ms", ms, "changes",
                     changes);
}

/* [[rows of history, seconds], …] by pipeline, null where its reads were not timed; null: none's
 * were. */
static json_t *data_query(const json_t *pipelines)
{
    json_t *y = json_array();
    const json_t *p, *ms;
    size_t i, k;
    bool any = false;
    json_array_foreach(pipelines, i, p)
    {
        const json_t *query = json_object_get(p, "query_by_history"),
                     *rows = json_object_get(query, "rows");
        json_t *own = NULL;
        if (json_array_size(rows) > 0) {
            own = json_array();
            any = true;
            json_array_foreach(json_object_get(query, "ms"), k, ms) json_array_append_new(
                own, json_pack("[O, f]", json_array_get(rows, k), json_number_value(ms) / 1000));
        }
        json_array_append_new(y, own != NULL ? own : json_null());
    }
    if (any)
        return y;
    json_decref(y);
    return json_null();
}

static void data_mark(json_t *out, const char *kind, const json_t *ms, const json_t *until_ms,
                      const char *says)
{
    if (json_is_number(ms))
        json_array_append_new(
            out, json_pack("{s:f, s:o, s:s, s:s}", "x", json_number_value(ms) / 1000, "until",
                           json_is_number(until_ms) ? json_real(json_number_value(until_ms) / 1000)
                                                    : json_null(),
                           "kind", kind, "says", says != NULL ? says : ""));
}

static json_t *data_marks(const json_t *report)
{
    json_t *out = json_array();
    const json_t *one;
    char says[160];
    size_t i;
    json_array_foreach(json_object_get(report, "happened"), i, one)
        data_mark(out, tm_word_text(one, "kind", "fault"), json_object_get(one, "org_ms"),
                  json_object_get(one, "until_ms"), tm_word_text(one, "says", ""));
    json_array_foreach(json_object_get(report, "faults"), i, one)
    {
        snprintf(says, sizeof says, "%s: %s", tm_word_text(one, "process", "?"),
                 tm_word_fault(tm_word_text(one, "fault", "?")));
        data_mark(out, "fault", json_object_get(one, "org_ms"), NULL, says);
    }
    return out;
}

/* whole: of epoch seconds, whose digits a real would not keep. */
static json_t *data_numbers(const double *v, size_t count, bool whole)
{
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(out, !isfinite(v[i]) ? json_null()
                                   : whole         ? json_integer(llround(v[i]))
                                                   : json_real(v[i]));
    return out;
}

static json_t *data_curves(const double *x, const double (*y)[TM_CURVE_POINTS_MAX], size_t count,
                           size_t pipelines, bool whole)
{
    json_t *all = json_array();
    for (size_t i = 0; i < pipelines; i++)
        json_array_append_new(all, data_numbers(y[i], count, false));
    return json_pack("{s:o, s:o}", "x", data_numbers(x, count, whole), "y", all);
}

static json_t *data_pipelines(const json_t *pipelines)
{
    static const char *const kinds[] = { "stream", "batch", "external" };
    json_t *out = json_array();
    int ranks[3] = { 0 };
    const json_t *p;
    size_t i;
    json_array_foreach(pipelines, i, p)
    {
        const char *kind = tm_word_text(p, "kind", "");
        int k = strcmp(kind, kinds[0]) == 0 ? 0 : strcmp(kind, kinds[1]) == 0 ? 1 : 2;
        json_array_append_new(out,
                              json_pack("{s:s, s:s, s:i}", "name", tm_word_text(p, "name", "?"),
                                        "kind", kinds[k], "rank", ranks[k]++));
    }
    return out;
}

void tm_html_data(struct tm_buf *b, const json_t *report, const struct tm_curves *c)
{
    const json_t *pipelines = tm_html_pipelines(report);
    size_t count = json_array_size(pipelines);
    json_t *legs = json_array();
    const json_t *p;
    size_t i;
    json_array_foreach(pipelines, i, p) json_array_append_new(legs, data_legs(p));
    json_t *data =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "pipelines",
                  data_pipelines(pipelines), "freshness",
                  data_curves(c->freshness_x, (const double(*)[TM_CURVE_POINTS_MAX])c->freshness_y,
                              c->freshness_count, count, false),
                  "drift",
                  data_curves(c->drift_x, (const double(*)[TM_CURVE_POINTS_MAX])c->drift_y,
                              c->drift_count, count, true),
                  "amount", data_amount(pipelines), "visibility", data_visibility(pipelines),
                  "classes", data_classes(pipelines), "marks", data_marks(report), "legs", legs,
                  "query", data_query(pipelines));
    tm_html_json(b, data);
    json_decref(data);
}
