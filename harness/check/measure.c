#include "check/measure.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum tm_code tm_series_add(struct tm_series *s, double value, struct tm_err *err)
{
    if (s->count == s->cap) {
        size_t cap = s->cap == 0 ? 1024 : s->cap * 2;
        double *values = realloc(s->values, cap * sizeof *values);
        if (values == NULL)
            return tm_fail(err, TM_E_NOMEM, "measure: %zu samples", cap);
        s->values = values;
        s->cap = cap;
    }
    s->values[s->count++] = value;
    s->sorted = false;
    return TM_OK;
}

void tm_series_free(struct tm_series *s)
{
    free(s->values);
    *s = (struct tm_series){ 0 };
}

static int series_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bool tm_series_at(struct tm_series *s, double share, size_t never, double *out)
{
    double total = (double)(s->count + never), rank = ceil(share * total - 1e-9);
    assert(share >= 0 && share <= 1);
    if (!s->sorted && s->count > 0)
        qsort(s->values, s->count, sizeof *s->values, series_order);
    s->sorted = true;
    if (rank < 1)
        rank = 1;
    if (s->count == 0 || rank > (double)s->count)
        return false;
    *out = s->values[(size_t)rank - 1];
    return true;
}

double tm_series_mean(const struct tm_series *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->count; i++)
        sum += s->values[i];
    return s->count == 0 ? 0 : sum / (double)s->count;
}

static json_t *series_point(struct tm_series *s, double share, size_t never)
{
    double value;
    return tm_series_at(s, share, never, &value) ? json_real(value) : json_null();
}

json_t *tm_series_json(struct tm_series *s, size_t never)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:f}", "count", (json_int_t)s->count, "p50",
                     series_point(s, 0.5, never), "p90", series_point(s, 0.9, never), "p99",
                     series_point(s, 0.99, never), "p99_9", series_point(s, 0.999, never), "max",
                     series_point(s, 1, 0), "mean", tm_series_mean(s));
}

json_t *tm_series_curve(struct tm_series *s, size_t never)
{
    static const double shares[] = { 0,   .01,  .02,  .05,  .1,    .15,   .2,  .25, .3,
                                     .35, .4,   .45,  .5,   .55,   .6,    .65, .7,  .75,
                                     .8,  .85,  .9,   .925, .95,   .96,   .97, .98, .985,
                                     .99, .995, .998, .999, .9995, .9999, 1 };
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++)
        json_array_append_new(list,
                              json_pack("[f, o]", shares[i], series_point(s, shares[i], never)));
    return list;
}

static int curve_order(const void *a, const void *b)
{
    const struct tm_curve_step *x = a, *y = b;
    return (x->us > y->us) - (x->us < y->us);
}

static int64_t curve_differing(const int64_t *rows)
{
    int64_t differing = 0;
    for (int code = 1 + 2 * (TM_ROW_EQUAL + 1); code < TM_ROW_CODES; code++)
        differing += rows[code];
    return differing;
}

/* Adds the rows as they stand from `from` to `to` to every bin between. */
static void curve_spread(struct tm_curve *c, const int64_t *rows, int64_t from, int64_t to,
                         size_t *bin)
{
    int64_t differing = curve_differing(rows);
    while (*bin < TM_CURVE_BINS && from < to) {
        int64_t border = c->us[*bin + 1], until = border < to ? border : to;
        for (int code = 0; code < TM_ROW_CODES; code++) {
            c->mean[*bin][code] += (double)rows[code] * (double)(until - from);
            c->row_us[code] += (double)rows[code] * (double)(until - from);
        }
        if (until > from && (double)differing > c->max_differing[*bin])
            c->max_differing[*bin] = (double)differing;
        if (until > from && differing > c->peak_rows) {
            c->peak_rows = differing;
            c->peak_us = from;
        }
        from = until;
        if (from >= border)
            (*bin)++;
    }
}

enum tm_code tm_curve_make(struct tm_curve **out, struct tm_match *m, const struct tm_timing *t,
                           struct tm_err *err)
{
    int64_t rows[TM_ROW_CODES], span = t->end_us - t->start_us, at = t->start_us;
    size_t bin = 0;
    struct tm_curve *c = calloc(1, sizeof *c);
    if (c == NULL)
        return tm_fail(err, TM_E_NOMEM, "curve");
    if (m->steps_count > 0)
        qsort(m->steps, m->steps_count, sizeof *m->steps, curve_order);
    for (int code = 0; code < TM_ROW_CODES; code++)
        rows[code] = (int64_t)m->initial[code];
    for (size_t i = 0; i <= TM_CURVE_BINS; i++)
        c->us[i] = t->start_us + (int64_t)((double)span * (double)i / TM_CURVE_BINS);
    for (size_t i = 0; i < m->steps_count; i++) {
        curve_spread(c, rows, at, m->steps[i].us, &bin);
        at = m->steps[i].us;
        rows[m->steps[i].from]--;
        rows[m->steps[i].to]++;
    }
    curve_spread(c, rows, at, t->end_us, &bin);
    for (size_t i = 0; i < TM_CURVE_BINS; i++)
        for (int code = 0; code < TM_ROW_CODES; code++)
            if (c->us[i + 1] > c->us[i])
                c->mean[i][code] /= (double)(c->us[i + 1] - c->us[i]);
    *out = c;
    return TM_OK;
}
