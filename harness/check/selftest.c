#include "check/selftest.h"
#include "base/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* stamps are whole seconds: a commit this near a poll may fall either way */
#define SELFTEST_TIE_MS 1000
/* a poll's finished_ns is taken this little before or after its commit */
#define SELFTEST_STAMP_NS (5 * TM_NS_PER_MS)
/* and its commit may take this long on a busy disk */
#define SELFTEST_COMMIT_NS (5 * TM_NS_PER_S)

bool tm_selftest_failed(bool ok, enum tm_exercised exercised)
{
    return exercised == TM_NOTHING_TESTED || (exercised == TM_EXERCISED && !ok);
}

json_t *tm_selftest_json(const char *pipeline, const char *name, bool ok,
                         enum tm_exercised exercised, double expected, double measured,
                         const char *note)
{
    json_t *verdict = exercised == TM_NOTHING_TO_TEST
                          ? json_null()
                          : json_boolean(!tm_selftest_failed(ok, exercised));
    char full[160];
    snprintf(full, sizeof full, "%s: %s", pipeline, name);
    return json_pack("{s:s, s:s, s:s, s:o, s:b, s:f, s:f, s:s}", "name", full, "pipeline", pipeline,
                     "test", name, "ok", verdict, "exercised", exercised == TM_EXERCISED,
                     "expected", expected, "measured", measured, "note", note);
}

enum tm_code tm_selftest_area(struct tm_area *out, const struct tm_truth *truth,
                              const struct tm_match *m, const struct tm_timing *t,
                              struct tm_err *err)
{
    struct tm_area a = { .measured_us = m->behind_us, .first_wrong = TM_TRUTH_NONE };
    int64_t *by_record = calloc(truth->records_count + 1, sizeof *by_record);
    if (by_record == NULL)
        return tm_fail(err, TM_E_NOMEM, "selftest: %zu records", truth->records_count);
    for (size_t i = 0; i < m->samples_count; i++) {
        const struct tm_sample *s = &m->samples[i];
        int64_t commit_us = truth->versions[i].intended_ms * 1000, until_us = s->visible_us;
        if ((s->flags & TM_SAMPLE_OF) == 0)
            continue;
        if ((s->flags & TM_SAMPLE_UNORDERED) != 0) {
            a.unordered++;
            continue;
        }
        until_us = until_us > t->end_us ? t->end_us : until_us;
        commit_us = commit_us < t->start_us ? t->start_us : commit_us;
        if (until_us <= commit_us)
            continue;
        a.expected_us += until_us - commit_us;
        by_record[truth->versions[i].record] += until_us - commit_us;
    }
    for (uint32_t r = 0; r < truth->records_count && a.first_wrong == TM_TRUTH_NONE; r++)
        if (by_record[r] != m->record_behind_us[r])
            a.first_wrong = r;
    free(by_record);
    *out = a;
    return TM_OK;
}

const char *tm_poll_exclusion_name(enum tm_poll_exclusion e)
{
    static const char *const names[TM_POLL_EXCLUSIONS] = {
        "type not carried",
        "never seen",
        "coincident",
        "committed or changed again while a poll ran",
        "skipped grid point",
        "first shown by a full reload",
        "hidden by a change not carried",
        "made late by a planted fault"
    };
    return names[e];
}

struct polls_grid {
    int64_t grid_ms, from_ms, until_ms, finished_ns;
    int64_t until_ms_max; /* of this one and all before it */
    bool full;
};
struct polls_last { /* what the org held of a record when a poll asked */
    int64_t grid_ms;
    uint32_t version;
};
struct polls_work {
    const struct tm_truth *truth;
    const struct tm_match *m;
    const struct tm_timing *t;
    const struct tm_plan_pipeline *p;
    struct polls_last *lasts; /* by record, of the poll asked for last */
    struct polls_grid *grids;
    size_t grids_count; /* of the object at hand, by grid point */
    unsigned carries;
    int64_t lag_ms;
    struct tm_planted planted;
    bool incremental; /* the object has incremental polls */
};

static int polls_order(const void *a, const void *b)
{
    const struct polls_grid *x = a, *y = b;
    return (x->grid_ms > y->grid_ms) - (x->grid_ms < y->grid_ms);
}

static void polls_grids(struct polls_work *w, int object, struct tm_poll_test *out)
{
    w->grids_count = 0;
    w->incremental = false;
    for (size_t i = 0; i < w->t->polls_count; i++) {
        const struct tm_poll *p = &w->t->polls[i];
        if (p->object != object)
            continue;
        w->incremental |= strcmp(p->mode, "incremental") == 0;
        if (p->grid_ms == INT64_MIN)
            continue;
        out->off_grid += p->grid_ms % w->p->interval_ms != 0;
        int64_t from = p->started_org_ms < p->grid_ms ? p->started_org_ms : p->grid_ms;
        w->grids[w->grids_count++] =
            (struct polls_grid){ .grid_ms = p->grid_ms,
                                 .from_ms = from - w->lag_ms - SELFTEST_TIE_MS,
                                 .until_ms = tm_timing_org_us(w->t, p->finished_ns) / 1000 + 1,
                                 .finished_ns = p->finished_ns,
                                 .full = strcmp(p->mode, "full") == 0 };
    }
    qsort(w->grids, w->grids_count, sizeof *w->grids, polls_order);
    for (size_t i = 0; i < w->grids_count; i++) {
        int64_t before_ms = i > 0 ? w->grids[i - 1].until_ms_max : INT64_MIN;
        w->grids[i].until_ms_max =
            w->grids[i].until_ms > before_ms ? w->grids[i].until_ms : before_ms;
    }
    w->carries = w->p->carries;
    if (w->incremental) /* only a reload can know of them */
        w->carries &= ~(1u << TM_TRUTH_HARD_DELETE);
}

static const struct polls_grid *polls_at(const struct polls_work *w, int64_t grid_ms)
{
    struct polls_grid key = { .grid_ms = grid_ms };
    if (w->grids_count == 0)
        return NULL;
    return bsearch(&key, w->grids, w->grids_count, sizeof *w->grids, polls_order);
}

/* How many of the polls had begun by then: polls begin in the order of their grid points. */
static size_t polls_begun(const struct polls_work *w, int64_t org_ms)
{
    size_t low = 0, high = w->grids_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->grids[middle].from_ms <= org_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool polls_running(const struct polls_work *w, int64_t org_ms)
{
    size_t begun = polls_begun(w, org_ms);
    return begun > 0 && org_ms <= w->grids[begun - 1].until_ms_max;
}

/* Deleted, restored, deleted again between two polls: the row is gone at the poll, for which of the
 * two no read can tell. `last` is what the org holds when the poll asks. */
static bool polls_gone_twice(const struct polls_work *w, uint32_t last, int64_t grid_ms)
{
    const struct tm_truth_version *versions = w->truth->versions;
    if (!tm_truth_is_gone(versions[last].change))
        return false;
    for (uint32_t u = versions[last].prev;
         u != TM_TRUTH_NONE && versions[u].org_ms + w->lag_ms > grid_ms - w->p->interval_ms;
         u = versions[u].prev)
        if (tm_truth_is_gone(versions[u].change))
            return true;
    return false;
}

static bool polls_planted(const struct polls_work *w, uint32_t v)
{
    const struct tm_truth_version *version = &w->truth->versions[v];
    return tm_planted_strikes(&w->planted, version->org_ms, version->intended_ms, w->lag_ms);
}

/* The newest version of v's record that the poll may know of: the same for all before it, and a hot
 * record has thousands between two polls. */
static uint32_t polls_last(const struct polls_work *w, uint32_t v, int64_t grid_ms)
{
    const struct tm_truth_version *versions = w->truth->versions;
    struct polls_last *l = &w->lasts[versions[v].record];
    if (l->version != TM_TRUTH_NONE && l->grid_ms == grid_ms && l->version >= v)
        return l->version;
    *l = (struct polls_last){ grid_ms, v };
    while (versions[l->version].next != TM_TRUTH_NONE &&
           versions[versions[l->version].next].org_ms + w->lag_ms <= grid_ms)
        l->version = versions[l->version].next;
    return l->version;
}

/* The grid point whose poll must show version v, or why none can be named. */
static int polls_expected(const struct polls_work *w, uint32_t v, int64_t *out_grid_ms)
{
    const struct tm_truth_version *version = &w->truth->versions[v];
    const struct tm_sample *s = &w->m->samples[v];
    int64_t T = w->p->interval_ms, org_ms = version->org_ms;
    *out_grid_ms = (org_ms + w->lag_ms + T - 1) / T * T;
    if ((w->carries & (1u << version->change)) == 0)
        return TM_POLL_NOT_CARRIED;
    if ((s->flags & TM_SAMPLE_SEEN) == 0)
        return TM_POLL_UNSEEN;
    bool same = version->delta_count == 0 && !tm_truth_is_gone(version->change);
    if (tm_truth_is_gone(version->change) && version->prev != TM_TRUTH_NONE)
        same = tm_truth_is_gone(w->truth->versions[version->prev].change);
    /* the state of the version before: no read can tell them apart */
    if ((s->flags & TM_SAMPLE_COINCIDENT) != 0 || same)
        return TM_POLL_COINCIDENT;
    if (polls_running(w, org_ms))
        return TM_POLL_RUNNING;
    if (polls_at(w, *out_grid_ms) == NULL)
        return TM_POLL_SKIPPED;
    if (polls_planted(w, v))
        return TM_POLL_PLANTED;
    uint32_t last = polls_last(w, v, *out_grid_ms);
    if (polls_planted(w, last)) /* it hides v, and is itself not shown in time */
        return TM_POLL_PLANTED;
    if ((w->carries & (1u << w->truth->versions[last].change)) == 0)
        return TM_POLL_HIDDEN;
    if (polls_gone_twice(w, last, *out_grid_ms))
        return TM_POLL_COINCIDENT;
    /* A poll with an upper bound (slices end at its start) does not return a record that moves
     * beyond it meanwhile. */
    uint32_t next = w->truth->versions[last].next;
    if (next != TM_TRUTH_NONE &&
        w->truth->versions[next].org_ms <= polls_at(w, *out_grid_ms)->until_ms)
        return TM_POLL_RUNNING;
    return -1;
}

static bool polls_keeps(const struct polls_work *w, const struct tm_sample *s, int64_t grid_ms)
{
    if (s->poll == TM_TRUTH_NONE || w->t->polls[s->poll].grid_ms != grid_ms)
        return false;
    int64_t finished_ns = w->t->polls[s->poll].finished_ns;
    return s->hi_ns >= finished_ns - SELFTEST_STAMP_NS &&
           s->lo_ns <= finished_ns + SELFTEST_COMMIT_NS;
}

/* Until a poll at this grid point ended, was version `next` there? */
static bool polls_reaches(const struct polls_work *w, uint32_t next, int64_t grid_ms)
{
    const struct polls_grid *g = polls_at(w, grid_ms);
    const struct polls_grid *end = w->grids + w->grids_count;
    while (g != NULL && g > w->grids && g[-1].grid_ms == grid_ms)
        g--;
    for (; g != NULL && g < end && g->grid_ms == grid_ms; g++)
        if (w->truth->versions[next].org_ms <= g->until_ms)
            return true;
    return false;
}

/* A version behind v, up to the poll, is the same to a read: what differs is compared no more (a
 * field that was removed later), or went back to what it was. */
static bool polls_same_again(const struct polls_work *w, uint32_t v, int64_t grid_ms)
{
    const struct tm_truth_version *versions = w->truth->versions;
    for (uint32_t u = versions[v].next;
         u != TM_TRUTH_NONE && versions[u].org_ms + w->lag_ms <= grid_ms; u = versions[u].next)
        if (w->m->version_hash[u] == w->m->version_hash[v])
            return true;
    return false;
}

static void polls_lost(struct polls_work *w, uint32_t v, int64_t grid_ms, struct tm_poll_test *out)
{
    uint32_t next = w->truth->versions[v].next;
    int64_t next_grid_ms = 0;
    bool expected = false, measured = (w->m->samples[v].flags & TM_SAMPLE_EXACT) == 0;
    if (next != TM_TRUTH_NONE) {
        int why = polls_expected(w, next, &next_grid_ms);
        if (why == TM_POLL_PLANTED)
            return; /* whether the next one was in time is not known */
        if (why >= 0 && polls_reaches(w, next, grid_ms))
            return; /* whether the next one was in time is not known */
        expected = next_grid_ms == grid_ms;
        if (expected &&
            (w->truth->versions[next].delta_count == 0 || polls_same_again(w, v, grid_ms)))
            return; /* the same state under two versions */
    }
    out->lost_tested++;
    out->lost_expected += expected;
    out->lost_measured += measured;
    if (expected != measured && out->lost_wrong++ == 0)
        out->first_lost_wrong = v;
}

static void polls_version(struct polls_work *w, uint32_t v, struct tm_poll_test *out)
{
    int64_t grid_ms;
    const struct tm_sample *s = &w->m->samples[v];
    int why = polls_expected(w, v, &grid_ms);
    if (why < 0 && w->incremental && s->poll != TM_TRUTH_NONE &&
        strcmp(w->t->polls[s->poll].mode, "full") == 0)
        why = TM_POLL_RELOAD;
    if (why >= 0) {
        out->excluded[why]++;
        return;
    }
    out->tested++;
    if (polls_keeps(w, s, grid_ms))
        out->held++;
    else if (out->first_wrong == TM_TRUTH_NONE)
        out->first_wrong = v;
    polls_lost(w, v, grid_ms, out);
}

enum tm_code tm_selftest_polls(struct tm_poll_test *out, const struct tm_truth *truth,
                               const struct tm_match *m, const struct tm_timing *t,
                               const struct tm_plan_pipeline *p, int64_t index_lag_ms,
                               struct tm_err *err)
{
    struct polls_work w = { .truth = truth, .m = m, .t = t, .p = p, .lag_ms = index_lag_ms };
    *out = (struct tm_poll_test){ .first_wrong = TM_TRUTH_NONE, .first_lost_wrong = TM_TRUTH_NONE };
    w.grids = calloc(t->polls_count + 1, sizeof *w.grids);
    w.lasts = calloc(truth->records_count + 1, sizeof *w.lasts);
    for (size_t r = 0; w.lasts != NULL && r < truth->records_count; r++)
        w.lasts[r].version = TM_TRUTH_NONE;
    enum tm_code rc = w.grids == NULL || w.lasts == NULL
                          ? tm_fail(err, TM_E_NOMEM, "selftest: %zu polls", t->polls_count)
                          : tm_planted_read(&w.planted, truth->db, err);
    for (size_t i = 0; rc == TM_OK && i < m->coverage_count; i++) {
        polls_grids(&w, m->coverage[i].shown, out);
        for (uint32_t v = 0; v < truth->versions_count; v++)
            if ((m->samples[v].flags & TM_SAMPLE_OF) != 0 &&
                truth->records[truth->versions[v].record].object == m->coverage[i].truth)
                polls_version(&w, v, out);
    }
    tm_planted_free(&w.planted);
    free(w.grids);
    free(w.lasts);
    return rc;
}
