#include "check/drift.h"
#include <assert.h>
#include <stdlib.h>

/* What a row adds to its set's hash; "no row" adds nothing. Two mixers (splitmix64, murmur3's
 * finalizer) over row and hash. */
static void drift_terms(uint32_t row, uint64_t hash, uint64_t out[2])
{
    uint64_t a = hash + ((uint64_t)row + 1) * UINT64_C(0x9e3779b97f4a7c15),
             b = (hash << 32 | hash >> 32) ^ ((uint64_t)row + 1) * UINT64_C(0xd6e8feb86659fd93);
    out[0] = out[1] = 0;
    if (hash == TM_DRIFT_ABSENT)
        return;
    a = (a ^ a >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    a = (a ^ a >> 27) * UINT64_C(0x94d049bb133111eb);
    b = (b ^ b >> 33) * UINT64_C(0xff51afd7ed558ccd);
    b = (b ^ b >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    out[0] = a ^ a >> 31;
    out[1] = b ^ b >> 33;
}

enum tm_code tm_drift_open(struct tm_drift **out, size_t rows_count, struct tm_err *err)
{
    struct tm_drift *d = calloc(1, sizeof *d);
    assert(rows_count < TM_DRIFT_NONE);
    if (d == NULL || (d->rows = calloc(rows_count + 1, sizeof *d->rows)) == NULL) {
        free(d);
        return tm_fail(err, TM_E_NOMEM, "drift: %zu rows", rows_count);
    }
    d->rows_count = rows_count;
    d->first = TM_DRIFT_NONE;
    *out = d;
    return TM_OK;
}

void tm_drift_close(struct tm_drift *d)
{
    if (d == NULL)
        return;
    free(d->rows);
    free(d);
}

static void drift_link(struct tm_drift *d, uint32_t row, bool differed)
{
    struct tm_drift_row *r = &d->rows[row];
    bool differs = r->truth != r->shown;
    if (differs == differed)
        return;
    if (differs) {
        r->prev = TM_DRIFT_NONE;
        r->next = d->first;
        if (d->first != TM_DRIFT_NONE)
            d->rows[d->first].prev = row;
        d->first = row;
        d->differing++;
        return;
    }
    if (r->next != TM_DRIFT_NONE)
        d->rows[r->next].prev = r->prev;
    if (r->prev != TM_DRIFT_NONE)
        d->rows[r->prev].next = r->next;
    else
        d->first = r->next;
    d->differing--;
}

static void drift_set(struct tm_drift *d, uint32_t row, uint64_t *side, uint64_t set[2],
                      uint64_t hash)
{
    uint64_t before[2], after[2];
    bool differed = d->rows[row].truth != d->rows[row].shown;
    drift_terms(row, *side, before);
    drift_terms(row, hash, after);
    for (int i = 0; i < 2; i++)
        set[i] += after[i] - before[i];
    *side = hash;
    drift_link(d, row, differed);
}

void tm_drift_truth(struct tm_drift *d, uint32_t row, uint64_t hash)
{
    assert(row < d->rows_count);
    drift_set(d, row, &d->rows[row].truth, d->truth, hash);
}

void tm_drift_shown(struct tm_drift *d, uint32_t row, uint64_t hash)
{
    assert(row < d->rows_count);
    drift_set(d, row, &d->rows[row].shown, d->shown, hash);
}

bool tm_drift_equal(const struct tm_drift *d)
{
    return d->truth[0] == d->shown[0] && d->truth[1] == d->shown[1];
}

/* ---- a whole run ---- */

struct drift_work {
    const struct tm_truth *truth;
    const struct tm_shown *shown;
    const struct tm_match *m;
    struct tm_drift *d;
    uint32_t *rows; /* row of shown -> row here; TM_DRIFT_NONE: not of a compared object */
    bool of[TM_TRUTH_OBJECTS_MAX];
    uint32_t *order;          /* observations by time */
    int64_t unequal_since_ns; /* INT64_MIN: nothing differs */
    struct tm_drift_run *out;
};

/* Records keep their number; ids the org never had come behind them. */
static enum tm_code drift_rows(struct drift_work *w, size_t *out_count, struct tm_err *err)
{
    size_t count = w->truth->records_count;
    int to_truth[TM_SHOWN_OBJECTS_MAX];
    w->rows = malloc((w->shown->rows_count + 1) * sizeof *w->rows);
    if (w->rows == NULL)
        return tm_fail(err, TM_E_NOMEM, "drift: %zu rows", w->shown->rows_count);
    for (size_t i = 0; i < TM_SHOWN_OBJECTS_MAX; i++)
        to_truth[i] = -1;
    for (size_t i = 0; i < w->m->coverage_count; i++)
        if (w->m->coverage[i].truth >= 0) {
            w->of[w->m->coverage[i].truth] = true;
            if (w->m->coverage[i].shown >= 0)
                to_truth[w->m->coverage[i].shown] = w->m->coverage[i].truth;
        }
    for (size_t r = 0; r < w->shown->rows_count; r++) {
        const struct tm_shown_row *row = &w->shown->rows[r];
        int object = to_truth[row->object];
        w->rows[r] = object < 0 ? TM_DRIFT_NONE : tm_truth_record(w->truth, object, row->id);
        if (object >= 0 && w->rows[r] == TM_TRUTH_NONE)
            w->rows[r] = (uint32_t)count++;
    }
    *out_count = count;
    return TM_OK;
}

struct drift_at {
    int64_t ns;
    uint32_t obs;
};
static int drift_at_order(const void *a, const void *b)
{
    const struct drift_at *x = a, *y = b;
    if (x->ns != y->ns)
        return x->ns < y->ns ? -1 : 1;
    return (x->obs > y->obs) - (x->obs < y->obs);
}

/* A reader's observations come in order; predicted ones of several views need not. */
static enum tm_code drift_order(struct drift_work *w, struct tm_err *err)
{
    size_t count = w->shown->obs_count;
    struct drift_at *all = malloc((count + 1) * sizeof *all);
    w->order = malloc((count + 1) * sizeof *w->order);
    if (all == NULL || w->order == NULL) {
        free(all);
        return tm_fail(err, TM_E_NOMEM, "drift: %zu observations", count);
    }
    bool sorted = true;
    for (size_t i = 0; i < count; i++) {
        all[i] = (struct drift_at){ w->shown->obs[i].hi_ns, (uint32_t)i };
        sorted = sorted && (i == 0 || all[i - 1].ns <= all[i].ns);
    }
    if (!sorted)
        qsort(all, count, sizeof *all, drift_at_order);
    for (size_t i = 0; i < count; i++)
        w->order[i] = all[i].obs;
    free(all);
    return TM_OK;
}

/* After every change: the list and the hashes must say the same. */
static void drift_ask(struct drift_work *w, int64_t now_ns)
{
    bool equal = tm_drift_equal(w->d);
    w->out->asked++;
    w->out->agreed += equal == (w->d->differing == 0);
    if (!equal && w->unequal_since_ns == INT64_MIN)
        w->unequal_since_ns = now_ns;
    if (equal && w->unequal_since_ns != INT64_MIN) {
        int64_t span_ns = now_ns - w->unequal_since_ns;
        w->out->unequal_ns_max =
            span_ns > w->out->unequal_ns_max ? span_ns : w->out->unequal_ns_max;
        w->unequal_since_ns = INT64_MIN;
    }
}

static void drift_commit(struct drift_work *w, uint32_t version)
{
    const struct tm_truth_version *v = &w->truth->versions[version];
    struct tm_drift_run *out = w->out;
    uint32_t differing = (uint32_t)w->d->differing;
    if (!w->of[w->truth->records[v->record].object])
        return;
    if (v->intended_ns != INT64_MIN) {
        bool equal = tm_drift_equal(w->d);
        out->commits[out->commits_count++] = (struct tm_drift_commit){ version, differing, equal };
        out->equal += equal;
        if (differing > out->peak_rows) {
            out->peak_rows = differing;
            out->peak = version;
        }
    }
    tm_drift_truth(w->d, v->record, w->m->version_hash[version]);
}

static void drift_merge(struct drift_work *w, const struct tm_timing *t)
{
    size_t v = 0, o = 0;
    int64_t last_ns = INT64_MIN;
    while (v < w->truth->versions_count || o < w->shown->obs_count) {
        int64_t at_ns = INT64_MAX, obs_ns = INT64_MAX;
        if (v < w->truth->versions_count)
            at_ns = w->truth->versions[v].actual_ns > last_ns ? w->truth->versions[v].actual_ns
                                                              : last_ns;
        if (o < w->shown->obs_count)
            obs_ns = w->shown->obs[w->order[o]].hi_ns;
        if (v < w->truth->versions_count && at_ns <= obs_ns) {
            drift_commit(w, (uint32_t)v++);
            last_ns = at_ns;
        } else {
            uint32_t obs = w->order[o++], row = w->rows[w->shown->obs[obs].row];
            at_ns = obs_ns;
            if (row != TM_DRIFT_NONE)
                tm_drift_shown(w->d, row, w->m->obs_hash[obs]);
        }
        if (at_ns >= t->wall_origin_ns)
            drift_ask(w, at_ns);
    }
}

/* What still differs has done so up to the end of the run. */
static void drift_end(struct drift_work *w, const struct tm_timing *t)
{
    if (w->unequal_since_ns == INT64_MIN)
        return;
    int64_t span_ns = tm_timing_wall_ns(t, t->end_us / 1000) - w->unequal_since_ns;
    if (span_ns > w->out->unequal_ns_max)
        w->out->unequal_ns_max = span_ns;
}

enum tm_code tm_drift_replay(struct tm_drift_run *out, const struct tm_truth *truth,
                             const struct tm_shown *shown, const struct tm_match *m,
                             const struct tm_timing *t, struct tm_err *err)
{
    struct drift_work w = {
        .truth = truth, .shown = shown, .m = m, .unequal_since_ns = INT64_MIN, .out = out
    };
    size_t rows = 0;
    *out = (struct tm_drift_run){ .peak = TM_TRUTH_NONE };
    out->commits = malloc((truth->versions_count + 1) * sizeof *out->commits);
    enum tm_code rc = out->commits != NULL
                          ? drift_rows(&w, &rows, err)
                          : tm_fail(err, TM_E_NOMEM, "drift: %zu commits", truth->versions_count);
    if (rc == TM_OK)
        rc = drift_order(&w, err);
    if (rc == TM_OK)
        rc = tm_drift_open(&w.d, rows, err);
    if (rc == TM_OK) {
        drift_merge(&w, t);
        drift_end(&w, t);
        out->final_differing = w.d->differing;
    }
    tm_drift_close(w.d);
    free(w.rows);
    free(w.order);
    return rc;
}

void tm_drift_run_free(struct tm_drift_run *r)
{
    free(r->commits);
    *r = (struct tm_drift_run){ 0 };
}
