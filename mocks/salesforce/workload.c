#include "mocks/salesforce/workload_impl.h"
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKLOAD_IMPORT_ROWS                                                                       \
    200 /* records of one transaction of an import: what the API takes at once */
#define WORKLOAD_BUSY_NS (1 * TM_NS_PER_MS)
#define WORKLOAD_HELD_MAX 4096 /* transactions open at a time; more of them are not held */

struct workload_held { /* written at step.at_ms, committed at due_ms */
    struct wl_step step;
    int64_t due_ms;
};
struct tm_workload {
    struct wl_maker maker;
    struct wl_step *steps;
    size_t steps_count, steps_cap, next;
    uint64_t seed;
    struct tm_clock_map clock;
    bool clock_known;
    bool resumed; /* the plan was possible when it began; its field may be gone by now */
    struct tm_workload_counts counts;
    int64_t changes_first; /* history position before the first step of this process */
    int64_t (*hold_ms)(void *data, uint64_t number, const struct tm_now *now); /* NULL = none */
    void *hold_data;
    struct workload_held *held; /* [held_count], in order of due_ms */
    size_t held_count;
};

/* ---- the plan ---- */
/* Traffic over a business day at u of it: quiet edges, a peak before noon and one after, a dip at
 * lunch. Highest value 1. */
static double workload_shape(double u)
{
    double morning = exp(-pow((u - 0.28) / 0.13, 2)), afternoon = exp(-pow((u - 0.66) / 0.15, 2));
    return (0.15 + 0.85 * (morning > afternoon ? morning : afternoon)) / 1.0;
}

static double workload_instant(struct tm_rng *rng, bool flat) /* 0..1, by rejection */
{
    for (;;) {
        double u = tm_rng_unit(rng);
        if (flat || tm_rng_unit(rng) < workload_shape(u))
            return u;
    }
}

static enum tm_code workload_plan_add(struct tm_workload *w, enum tm_workload_kind kind,
                                      int64_t at_ms, size_t size, struct tm_err *err)
{
    if (w->steps_count == w->steps_cap) {
        size_t cap = w->steps_cap * 2 + 1024;
        struct wl_step *steps = realloc(w->steps, cap * sizeof *steps);
        if (steps == NULL)
            return tm_fail(err, TM_E_NOMEM, "plan of %zu steps", cap);
        w->steps = steps;
        w->steps_cap = cap;
    }
    w->steps[w->steps_count] =
        (struct wl_step){ at_ms, (uint32_t)w->steps_count, (uint16_t)size, (uint8_t)kind };
    w->steps_count++;
    return TM_OK;
}

static size_t workload_size(struct tm_rng *rng, enum tm_workload_kind kind)
{
    if (kind == TM_WL_TRANSACTION)
        return 2 + (size_t)tm_rng_below(rng, 5);
    if (kind == TM_WL_MERGED_EVENT)
        return 2 + (size_t)tm_rng_below(rng, 11);
    return 0;
}

static size_t workload_size_planned(enum tm_workload_kind kind,
                                    size_t size) /* record changes to expect of a step */
{
    return size > 0 ? size : kind == TM_WL_MERGE ? 4 : kind == TM_WL_FIELD_REMOVE ? 0 : 1;
}

/* One sure occurrence of every kind asked for, in the middle of the day and in an order that makes
 * sense. */
static enum tm_code workload_plan_sure(struct tm_workload *w, const struct tm_scenario *s,
                                       struct tm_rng *rng, int64_t *left, struct tm_err *err)
{
    static const double when[TM_WL_KINDS] = {
        [TM_WL_CREATE] = 0.10,       [TM_WL_UPDATE] = 0.12,     [TM_WL_NULLS] = 0.15,
        [TM_WL_DELETE] = 0.20,       [TM_WL_UNDELETE] = 0.45,   [TM_WL_HARD_DELETE] = 0.30,
        [TM_WL_TRANSACTION] = 0.18,  [TM_WL_MERGE] = 0.35,      [TM_WL_MERGED_EVENT] = 0.32,
        [TM_WL_GAP_CREATE] = 0.25,   [TM_WL_GAP_UPDATE] = 0.27, [TM_WL_GAP_DELETE] = 0.38,
        [TM_WL_GAP_UNDELETE] = 0.55, [TM_WL_OVERFLOW] = 0.50,   [TM_WL_DIFF] = 0.33,
        [TM_WL_CONVERSION] = 0.60,   [TM_WL_FIELD_ADD] = 0.42,  [TM_WL_FIELD_REMOVE] = 0.65,
    };
    double span_ms = s->hours * 3600e3;
    enum tm_code rc = TM_OK;
    for (int k = 0; k < TM_WL_KINDS && rc == TM_OK; k++) {
        enum tm_workload_kind kind = (enum tm_workload_kind)k;
        double jitter = (tm_rng_unit(rng) - 0.5) *
                        0.02; /* drawn for all, so that kinds do not shift each other */
        size_t size = workload_size(rng, kind);
        if (kind == TM_WL_OVERFLOW)
            size = s->workload.changes / 50 < 150 ? (size_t)(s->workload.changes / 50 + 2) : 150;
        if (kind == TM_WL_HARD_DELETE)
            size = 1; /* of a live record: the one with an event */
        if (!s->workload.kinds[k] || kind == TM_WL_BURST)
            continue;
        rc = w->resumed ? TM_OK : wl_possible(&w->maker, kind, err);
        if (rc == TM_OK)
            rc = workload_plan_add(w, kind, s->origin_ms + (int64_t)((when[k] + jitter) * span_ms),
                                   size, err);
        *left -= (int64_t)workload_size_planned(kind, size);
    }
    return rc;
}

static enum tm_code workload_plan_burst(struct tm_workload *w, const struct tm_scenario *s,
                                        struct tm_rng *rng, int64_t *left, struct tm_err *err)
{
    double span_ms = s->hours * 3600e3, minutes_ms = s->workload.burst_minutes * 60e3;
    int64_t rows = s->workload.kinds[TM_WL_BURST]
                       ? (int64_t)((double)s->workload.changes * s->workload.burst_share)
                       : 0;
    double begin_ms = s->workload.burst_at * span_ms;
    enum tm_code rc = TM_OK;
    if (begin_ms + minutes_ms > span_ms)
        begin_ms = span_ms > minutes_ms ? span_ms - minutes_ms : 0;
    minutes_ms = minutes_ms > span_ms ? span_ms : minutes_ms;
    if (s->workload.kinds[TM_WL_BURST] && rows < 2)
        rows = 2;
    *left -= rows;
    while (rows > 0 && rc == TM_OK) {
        int64_t size = rows > WORKLOAD_IMPORT_ROWS ? WORKLOAD_IMPORT_ROWS : rows;
        rc = workload_plan_add(w, TM_WL_BURST,
                               s->origin_ms + (int64_t)(begin_ms + tm_rng_unit(rng) * minutes_ms),
                               (size_t)size, err);
        rows -= size;
    }
    return rc;
}

static enum tm_code workload_plan_ordinary(struct tm_workload *w, const struct tm_scenario *s,
                                           struct tm_rng *rng, int64_t left, struct tm_err *err)
{
    double total = 0, span_ms = s->hours * 3600e3;
    bool flat = strcmp(s->workload.shape, "flat") == 0;
    enum tm_code rc = TM_OK;
    for (int k = 0; k < TM_WL_KINDS; k++)
        total += s->workload.weight[k];
    while (left > 0 && total > 0 && rc == TM_OK) {
        double at = tm_rng_unit(rng) * total;
        int k = 0;
        while (k + 1 < TM_WL_KINDS && at >= s->workload.weight[k])
            at -= s->workload.weight[k++];
        enum tm_workload_kind kind = (enum tm_workload_kind)k;
        size_t size = workload_size(rng, kind);
        rc = workload_plan_add(
            w, kind, s->origin_ms + (int64_t)(workload_instant(rng, flat) * span_ms), size, err);
        left -= (int64_t)workload_size_planned(kind, size);
    }
    return rc;
}

static int workload_by_time(const void *a, const void *b)
{
    const struct wl_step *x = a, *y = b;
    return x->at_ms != y->at_ms    ? (x->at_ms < y->at_ms ? -1 : 1)
           : x->number < y->number ? -1
                                   : x->number > y->number;
}

static enum tm_code workload_plan(struct tm_workload *w, const struct tm_scenario *s,
                                  struct tm_err *err)
{
    struct tm_rng root, rng;
    int64_t left = s->workload.changes;
    tm_rng_init(&root, s->seed);
    tm_rng_fork(&root, &rng, "sure");
    enum tm_code rc = workload_plan_sure(w, s, &rng, &left, err);
    tm_rng_fork(&root, &rng, "burst");
    if (rc == TM_OK)
        rc = workload_plan_burst(w, s, &rng, &left, err);
    tm_rng_fork(&root, &rng, "ordinary");
    if (rc == TM_OK)
        rc = workload_plan_ordinary(w, s, &rng, left, err);
    if (rc == TM_OK)
        qsort(w->steps, w->steps_count, sizeof *w->steps, workload_by_time);
    return rc;
}

/* ---- opening ---- */
static enum tm_code workload_meta(struct tm_workload *w, const char *key, int64_t value,
                                  struct tm_err *err)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    return tm_org_meta_set(w->maker.org, key, text, err);
}

static enum tm_code workload_progress(struct tm_workload *w, struct tm_err *err)
{
    enum tm_code rc = workload_meta(w, "workload_step", (int64_t)w->next, err);
    if (rc == TM_OK)
        rc = workload_meta(w, "workload_serial", w->maker.serial, err);
    return rc == TM_OK ? workload_meta(w, "workload_done", tm_workload_done(w), err) : rc;
}

enum tm_code tm_workload_open(struct tm_workload **out, struct tm_org *org,
                              const struct tm_scenario *scenario, struct tm_err *err)
{
    char text[32];
    struct tm_workload *w = calloc(1, sizeof *w);
    if (w == NULL)
        return tm_fail(err, TM_E_NOMEM, "workload");
    w->seed = scenario->seed;
    enum tm_code rc = wl_maker_open(&w->maker, org, scenario->seed, scenario->workload.zipf, err);
    if (rc == TM_OK)
        rc = tm_org_meta_get(org, "workload_step", text, sizeof text, err);
    if (rc == TM_OK) {
        w->resumed = strtoull(text, NULL, 10) > 0;
        w->next = (size_t)strtoull(text, NULL, 10);
        rc = workload_plan(w, scenario, err);
    }
    if (rc == TM_OK && w->next > w->steps_count)
        rc = tm_fail(err, TM_E_MISMATCH,
                     "org.db is %zu steps into its workload, the scenario has only %zu: it is "
                     "another scenario",
                     w->next, w->steps_count);
    if (rc == TM_OK && w->steps_count > 0)
        rc = workload_meta(w, "workload_first_ms", w->steps[0].at_ms, err);
    if (rc == TM_OK && w->steps_count > 0)
        rc = workload_meta(w, "workload_last_ms", w->steps[w->steps_count - 1].at_ms, err);
    if (rc == TM_OK)
        rc = workload_progress(w, err);
    if (rc == TM_E_AGAIN)
        rc = tm_fail_retry(err, TM_E_IO, "org.db is locked by another process");
    w->changes_first = tm_org_pos_last(org);
    if (rc != TM_OK) {
        tm_workload_close(w);
        return rc;
    }
    *out = w;
    return TM_OK;
}

void tm_workload_close(struct tm_workload *w)
{
    if (w == NULL)
        return;
    wl_maker_close(&w->maker);
    free(w->steps);
    free(w->held);
    free(w);
}

void tm_workload_clock(struct tm_workload *w, const struct tm_clock_map *map)
{
    w->clock = *map;
    w->clock_known = map->wall_origin_ns != TM_NEVER;
}

/* ---- stepping ---- */
/* due_ms: of a transaction that stayed open until then, else the step's own instant. */
static enum tm_code workload_one(struct tm_workload *w, const struct wl_step *step, int64_t due_ms,
                                 const struct tm_now *now, struct tm_err *err)
{
    struct tm_org_txn when = { .org_ms = now->org_ms,
                               .written_ms = due_ms != step->at_ms ? step->at_ms : 0,
                               .intended_ms = due_ms };
    struct tm_err mine = { 0 };
    bool happened = false;
    uint64_t name[2] = { w->seed, step->number };
    if (w->clock_known) {
        when.intended_ns = tm_clock_wall_at(&w->clock, due_ms);
        when.actual_ns = now->wall_ns;
    }
    if (w->maker.schema_version != tm_org_schema_version(w->maker.org) &&
        wl_fields(&w->maker, err) != TM_OK)
        return TM_E_NOMEM;
    tm_rng_init(&w->maker.rng, tm_hash64(name, sizeof name, 0x776c));
    enum tm_code rc = wl_run(&w->maker, step, &when, &happened, &mine);
    if (rc == TM_E_ARG) { /* somebody else changed the record: counted, and looked at afresh */
        w->counts.refused++;
        return wl_refresh(&w->maker, err);
    }
    if (rc != TM_OK) {
        if (err != NULL)
            *err = mine;
        return rc;
    }
    if (happened)
        w->counts.kinds[step->kind]++;
    if (now->org_ms - due_ms > w->counts.late_ms_max)
        w->counts.late_ms_max = now->org_ms - due_ms;
    w->counts.steps++;
    return TM_OK;
}

/* A schema change is no transaction of rows and is never held. */
static bool workload_can_hold(const struct tm_workload *w, const struct wl_step *step)
{
    return w->hold_ms != NULL && w->held_count < WORKLOAD_HELD_MAX &&
           step->kind != TM_WL_FIELD_ADD && step->kind != TM_WL_FIELD_REMOVE &&
           step->kind != TM_WL_CONVERSION;
}

static enum tm_code workload_hold(struct tm_workload *w, const struct wl_step *step,
                                  int64_t hold_ms, struct tm_err *err)
{
    struct workload_held h = { *step, step->at_ms + hold_ms };
    size_t at = w->held_count;
    if (w->held == NULL && (w->held = calloc(WORKLOAD_HELD_MAX, sizeof *w->held)) == NULL)
        return tm_fail(err, TM_E_NOMEM, "open transactions");
    for (; at > 0 && w->held[at - 1].due_ms > h.due_ms; at--)
        w->held[at] = w->held[at - 1];
    w->held[at] = h;
    w->held_count++;
    return w->steps[w->steps_count - 1].at_ms < h.due_ms
               ? workload_meta(w, "workload_last_ms", h.due_ms, err)
               : TM_OK;
}

/* What is next: a transaction to be committed or a step of the plan, by time. INT64_MAX: nothing.
 */
static int64_t workload_next_ms(const struct tm_workload *w, bool *out_held)
{
    int64_t step_ms = w->next < w->steps_count ? w->steps[w->next].at_ms : INT64_MAX;
    int64_t held_ms = w->held_count > 0 ? w->held[0].due_ms : INT64_MAX;
    *out_held = held_ms <= step_ms && w->held_count > 0;
    return *out_held ? held_ms : step_ms;
}

static enum tm_code workload_next(struct tm_workload *w, bool held, const struct tm_now *now,
                                  struct tm_err *err)
{
    if (held) {
        struct workload_held h = w->held[0];
        memmove(w->held, w->held + 1, --w->held_count * sizeof *w->held);
        return workload_one(w, &h.step, h.due_ms, now, err);
    }
    const struct wl_step *step = &w->steps[w->next++];
    const struct tm_now then = { step->at_ms, now->wall_ns };
    int64_t hold_ms =
        workload_can_hold(w, step) ? w->hold_ms(w->hold_data, step->number, &then) : 0;
    return hold_ms > 0 ? workload_hold(w, step, hold_ms, err)
                       : workload_one(w, step, step->at_ms, now, err);
}

enum tm_code tm_workload_step(struct tm_workload *w, const struct tm_now *now, struct tm_wake *wake,
                              struct tm_err *err)
{
    struct tm_org *org = w->maker.org;
    bool held;
    int64_t next_ms = workload_next_ms(w, &held);
    if (next_ms == INT64_MAX)
        return TM_E_AGAIN;
    if (next_ms > now->org_ms) {
        if (next_ms < wake->org_ms)
            wake->org_ms = next_ms;
        return TM_E_AGAIN;
    }
    enum tm_code rc = tm_org_begin(org, err);
    if (rc == TM_E_AGAIN && now->wall_ns + WORKLOAD_BUSY_NS < wake->wall_ns)
        wake->wall_ns = now->wall_ns + WORKLOAD_BUSY_NS;
    if (rc != TM_OK)
        return rc;
    int64_t pos = tm_org_pos_last(org);
    while (rc == TM_OK && next_ms <= now->org_ms &&
           tm_org_pos_last(org) - pos < TM_WORKLOAD_BATCH_MAX) {
        rc = workload_next(w, held, now, err);
        next_ms = workload_next_ms(w, &held);
    }
    if (rc == TM_OK)
        rc = workload_progress(w, err);
    if (rc == TM_OK)
        rc = tm_org_end(org, err);
    w->counts.changes = tm_org_pos_last(org) - w->changes_first;
    if (next_ms < wake->org_ms)
        wake->org_ms = next_ms;
    return rc;
}

void tm_workload_holds(struct tm_workload *w,
                       int64_t (*hold_ms)(void *data, uint64_t number, const struct tm_now *now),
                       void *data)
{
    w->hold_ms = hold_ms;
    w->hold_data = data;
}

bool tm_workload_done(const struct tm_workload *w)
{
    return w->next == w->steps_count && w->held_count == 0;
}
const struct tm_workload_counts *tm_workload_counts(const struct tm_workload *w)
{
    return &w->counts;
}
