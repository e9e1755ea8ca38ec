#include "check/measure.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

static enum tm_code series_push(double **array, size_t *count, size_t *cap, double value,
                                struct tm_err *err)
{
    if (*count == *cap) {
        size_t more = *cap == 0 ? 1024 : *cap * 2;
        double *grown = realloc(*array, more * sizeof *grown);
        if (grown == NULL)
            return tm_fail(err, TM_E_NOMEM, "measure: %zu samples", more);
        *array = grown;
        *cap = more;
    }
    (*array)[(*count)++] = value;
    return TM_OK;
}

enum tm_code tm_series_add(struct tm_series *s, double value, struct tm_err *err)
{
    assert(isfinite(value));
    s->sorted = false;
    return series_push(&s->values, &s->count, &s->cap, value, err);
}

enum tm_code tm_series_censor(struct tm_series *s, double wait, struct tm_err *err)
{
    assert(!isnan(wait));
    s->sorted = false;
    return series_push(&s->waits, &s->never, &s->waits_cap, wait, err);
}

void tm_series_free(struct tm_series *s)
{
    free(s->values);
    free(s->waits);
    free(s->survival);
    *s = (struct tm_series){ 0 };
}

static int series_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Kaplan-Meier: survival[i] = the share still unseen just after values[i]. Of equal times, seen
 * come before censored. */
static void series_survive(struct tm_series *s)
{
    double left = 1;
    size_t gone = 0; /* censored so far */
    for (size_t i = 0; i < s->count;) {
        double at = s->values[i];
        size_t first = i;
        while (gone < s->never && s->waits[gone] < at)
            gone++;
        size_t waiting = s->count - first + s->never - gone;
        while (i < s->count && s->values[i] <= at)
            i++;
        left *= 1 - (double)(i - first) / (double)waiting;
        for (size_t k = first; k < i; k++)
            s->survival[k] = left;
    }
}

/* Without memory for the estimate the censored count as longer than any, which is never too
 * favourable. */
static void series_sort(struct tm_series *s)
{
    if (s->sorted)
        return;
    if (s->count > 0)
        qsort(s->values, s->count, sizeof *s->values, series_order);
    if (s->never > 0)
        qsort(s->waits, s->never, sizeof *s->waits, series_order);
    free(s->survival);
    s->survival = NULL;
    if (s->never > 0 && s->count > 0 && s->waits[0] < s->values[s->count - 1] &&
        (s->survival = malloc(s->count * sizeof *s->survival)) != NULL)
        series_survive(s);
    s->sorted = true;
}

bool tm_series_at(struct tm_series *s, double share, double *out)
{
    assert(share >= 0 && share <= 1);
    series_sort(s);
    double rank = ceil(share * (double)(s->count + s->never) - 1e-9);
    size_t index = rank < 1 ? 0 : (size_t)rank - 1;
    if (s->survival != NULL) {
        size_t first = 0, last = s->count;
        while (first < last) {
            size_t middle = (first + last) / 2;
            if (1 - s->survival[middle] < share - 1e-12)
                first = middle + 1;
            else
                last = middle;
        }
        index = first;
    }
    if (index >= s->count)
        return false;
    *out = s->values[index];
    return true;
}

double tm_series_share(struct tm_series *s, double value)
{
    series_sort(s);
    size_t first = 0, last = s->count;
    while (first < last) { /* values up to `value` */
        size_t middle = (first + last) / 2;
        if (s->values[middle] <= value)
            first = middle + 1;
        else
            last = middle;
    }
    if (first == 0)
        return 0;
    return s->survival != NULL ? 1 - s->survival[first - 1]
                               : (double)first / (double)(s->count + s->never);
}

double tm_series_mean(const struct tm_series *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->count; i++)
        sum += s->values[i];
    return s->count == 0 ? 0 : sum / (double)s->count;
}

static json_t *series_point(struct tm_series *s, double share)
{
    double value;
    return tm_series_at(s, share, &value) ? json_real(value) : json_null();
}

json_t *tm_series_json(struct tm_series *s)
{
    series_sort(s);
    json_t *max = s->count > 0 ? json_real(s->values[s->count - 1]) : json_null();
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:f}", "count", (json_int_t)s->count, "p50",
                     series_point(s, 0.5), "p90", series_point(s, 0.9), "p99",
                     series_point(s, 0.99), "p99_9", series_point(s, 0.999), "max", max, "mean",
                     tm_series_mean(s));
}

json_t *tm_series_curve(struct tm_series *s)
{
    static const double shares[] = { 0,   .01,  .02,  .05,  .1,    .15,   .2,  .25, .3,
                                     .35, .4,   .45,  .5,   .55,   .6,    .65, .7,  .75,
                                     .8,  .85,  .9,   .925, .95,   .96,   .97, .98, .985,
                                     .99, .995, .998, .999, .9995, .9999, 1 };
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++)
        json_array_append_new(list, json_pack("[f, o]", shares[i], series_point(s, shares[i])));
    return list;
}

json_t *tm_series_visibility(struct tm_series *s)
{
    static const double seconds[] = { 0,    .01,  .02,  .05,   .1,    .2,    .5,    1,    2,
                                      5,    10,   20,   30,    60,    120,   300,   600,  1200,
                                      1800, 3600, 7200, 14400, 21600, 28800, 43200, 86400 };
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++)
        json_array_append_new(list,
                              json_pack("[f, f]", seconds[i], tm_series_share(s, seconds[i])));
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
