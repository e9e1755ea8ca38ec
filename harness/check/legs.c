#include "check/legs.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

static const double legs_borders[] = { 0,   0.1, 0.2, 0.3,  0.4,  0.5,   0.6,
                                       0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1 };
#define LEGS_BANDS (sizeof legs_borders / sizeof legs_borders[0] - 1)

struct legs_change {
    double total_ms;
    size_t index; /* in every series */
};

static int legs_order(const void *a, const void *b)
{
    const struct legs_change *x = a, *y = b;
    if (x->total_ms != y->total_ms)
        return x->total_ms < y->total_ms ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static enum tm_code legs_changes(struct legs_change **out, const struct tm_breakdown *b,
                                 struct tm_err *err)
{
    size_t count = (size_t)b->counted;
    struct legs_change *all = calloc(count + 1, sizeof *all);
    if (all == NULL)
        return tm_fail(err, TM_E_NOMEM, "legs of %zu changes", count);
    for (size_t i = 0; i < count; i++)
        all[i].index = i;
    for (int s = 0; s < TM_SEGMENTS; s++) {
        const struct tm_series *series = &b->segments[s];
        if (!b->have[s])
            continue;
        assert(series->count == count && !series->sorted);
        for (size_t i = 0; i < count; i++)
            all[i].total_ms += series->values[i];
    }
    qsort(all, count, sizeof *all, legs_order);
    *out = all;
    return TM_OK;
}

/* The first change whose place in the middle of its rank is not below `share`. */
static size_t legs_first(size_t count, double share)
{
    double at = ceil(share * (double)count - 0.5);
    return at <= 0 ? 0 : at >= (double)count ? count : (size_t)at;
}

static void legs_band(json_t *bands, const struct tm_breakdown *b, const struct legs_change *all,
                      size_t band)
{
    size_t first = legs_first((size_t)b->counted, legs_borders[band]),
           end = legs_first((size_t)b->counted, legs_borders[band + 1]);
    json_t *ms = json_array();
    double n = (double)(end - first), total_ms = 0;
    for (int s = 0; s < TM_SEGMENTS && end > first; s++) {
        double sum = 0;
        if (!b->have[s])
            continue;
        for (size_t i = first; i < end; i++)
            sum += b->segments[s].values[all[i].index];
        json_array_append_new(ms, json_real(sum / n));
        total_ms += sum / n;
    }
    if (end > first)
        json_array_append_new(bands,
                              json_pack("{s:f, s:f, s:I, s:f, s:O}", "from", legs_borders[band],
                                        "to", legs_borders[band + 1], "changes",
                                        (json_int_t)(end - first), "total_ms", total_ms, "ms", ms));
    json_decref(ms);
}

enum tm_code tm_legs_json(json_t **out, const struct tm_breakdown *b, struct tm_err *err)
{
    struct legs_change *all = NULL;
    json_t *names = json_array(), *bands = json_array();
    enum tm_code rc = legs_changes(&all, b, err);
    for (int s = 0; rc == TM_OK && s < TM_SEGMENTS; s++)
        if (b->have[s])
            json_array_append_new(names, json_string(tm_segment_name((enum tm_segment)s)));
    for (size_t i = 0; rc == TM_OK && i < LEGS_BANDS; i++)
        legs_band(bands, b, all, i);
    if (rc == TM_OK)
        *out = json_pack("{s:O, s:I, s:O}", "legs", names, "changes", (json_int_t)b->counted,
                         "bands", bands);
    json_decref(names);
    json_decref(bands);
    free(all);
    return rc != TM_OK || *out != NULL ? rc : tm_fail(err, TM_E_NOMEM, "legs");
}
