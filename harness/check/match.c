#include "check/match_inner.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *tm_row_class_name(enum tm_row_class c)
{
    static const char *const names[TM_ROW_CLASSES] = { "equal", "missing", "phantom",
                                                       "stale", "mixed",   "wrong" };
    assert(c < TM_ROW_CLASSES);
    return names[c];
}

enum tm_code tm_match_grow(void **array, size_t *cap, size_t need, size_t bytes, struct tm_err *err)
{
    if (need <= *cap)
        return TM_OK;
    size_t want = need + need / 2 + 64;
    void *grown = realloc(*array, want * bytes);
    if (grown == NULL)
        return tm_fail(err, TM_E_NOMEM, "match: %zu bytes", want * bytes);
    *array = grown;
    *cap = want;
    return TM_OK;
}

struct tm_sample *tm_match_sample(struct match_work *w, size_t i)
{
    return &w->m->samples[w->index[i]];
}

/* A row with fields never received equals no version, whatever it holds (M6). */
static void match_hashes(struct match_work *w)
{
    const uint64_t partial = UINT64_C(0x5bd1e995a7c15f39);
    for (size_t i = 0; i < w->versions; i++)
        w->m->version_hash[w->index[i]] = w->hash[i] == MATCH_ABSENT ? 0 : w->hash[i];
    for (size_t n = 0; n < w->obs_count; n++) {
        const struct match_obs *o = &w->obs[n];
        uint64_t hash = o->shows == SHOWS_PARTIAL ? o->hash ^ partial : o->hash;
        w->m->obs_hash[o->o - w->shown->obs] = o->hash == MATCH_ABSENT ? 0 : hash;
        w->m->seen[o->o - w->shown->obs] =
            (struct tm_seen){ .version = o->shows == SHOWS_WHOLE && o->version >= 0
                                             ? w->index[o->version]
                                             : TM_TRUTH_NONE,
                              .as = o->shows };
    }
}

static enum tm_code match_record(struct match_work *w, uint32_t record, uint32_t row,
                                 struct tm_err *err)
{
    struct match_area area;
    enum tm_code rc = TM_OK;
    w->versions = w->first_counted = 0;
    if (record != TM_TRUTH_NONE)
        rc = tm_match_load_versions(w, &w->truth->records[record], err);
    if (rc == TM_OK)
        rc = tm_match_load_obs(w, row, err);
    if (rc != TM_OK)
        return rc;
    w->m->observations += w->obs_count;
    rc = tm_match_walk(w, err);
    if (rc != TM_OK)
        return rc;
    match_hashes(w);
    tm_match_anomalies(w, record, row);
    tm_match_times(w);
    rc = tm_match_timeline(w, err);
    if (rc == TM_OK)
        rc = tm_match_sweep(w, &area, err);
    return rc == TM_OK ? tm_match_difference(w, &area, record, row, err) : rc;
}

static enum tm_code match_object(struct match_work *w, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (uint32_t r = 0; rc == TM_OK && r < w->truth->records_count; r++)
        if (w->truth->records[r].object == w->c->truth)
            rc = match_record(w, r, tm_shown_find(w->shown, w->c->shown, w->truth->records[r].id),
                              err);
    for (uint32_t r = 0; rc == TM_OK && r < w->shown->rows_count; r++)
        if (w->shown->rows[r].object == w->c->shown &&
            tm_truth_record(w->truth, w->c->truth, w->shown->rows[r].id) == TM_TRUTH_NONE) {
            w->m->unknown_ids++;
            rc = match_record(w, TM_TRUTH_NONE, r, err);
        }
    return rc;
}

static void match_work_free(struct match_work *w)
{
    void *all[] = { w->index,  w->hash,      w->actual_ns,  w->lo,         w->hi,
                    w->hi_obs, w->commit_us, w->coincident, w->news,       w->obs,
                    w->events, w->stars,     w->exact,      w->held_loose, w->named };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
    free(w);
}

static int match_part_order(const void *a, const void *b)
{
    const struct tm_seen_part *x = a, *y = b;
    return (x->obs > y->obs) - (x->obs < y->obs);
}

enum tm_code tm_match_make(struct tm_match **out, const struct tm_truth *truth,
                           const struct tm_shown *shown, const struct tm_timing *timing,
                           const char *const *objects, size_t objects_count, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    struct tm_match *m = calloc(1, sizeof *m);
    struct match_work *w = calloc(1, sizeof *w);
    if (m == NULL || w == NULL ||
        (m->samples = calloc(truth->versions_count + 1, sizeof *m->samples)) == NULL ||
        (m->record_behind_us = calloc(truth->records_count + 1, sizeof *m->record_behind_us)) ==
            NULL ||
        (m->version_hash = calloc(truth->versions_count + 1, sizeof *m->version_hash)) == NULL ||
        (m->obs_hash = calloc(shown->obs_count + 1, sizeof *m->obs_hash)) == NULL ||
        (m->seen = calloc(shown->obs_count + 1, sizeof *m->seen)) == NULL ||
        (m->coverage = calloc(objects_count, sizeof *m->coverage)) == NULL) {
        rc = tm_fail(err, TM_E_NOMEM, "match: %zu versions", truth->versions_count);
        goto done;
    }
    m->samples_count = truth->versions_count;
    *w = (struct match_work){ .truth = truth, .shown = shown, .timing = timing, .m = m };
    for (size_t i = 0; rc == TM_OK && i < objects_count; i++) {
        m->coverage_count = i + 1;
        w->c = &m->coverage[i];
        rc = tm_coverage_make(&m->coverage[i], truth, shown, objects[i], err);
        w->displays = rc == TM_OK && tm_coverage_column(w->c, TM_DISPLAYS_OF) != TM_TRUTH_NONE;
        if (rc == TM_OK)
            rc = tm_match_stars(w, err);
        if (rc == TM_OK)
            rc = match_object(w, err);
    }
    if (rc == TM_OK) {
        if (m->parts_count > 0)
            qsort(m->parts, m->parts_count, sizeof *m->parts, match_part_order);
        *out = m;
        m = NULL;
    }
done:
    if (w != NULL)
        match_work_free(w);
    tm_match_close(m);
    return rc;
}

void tm_match_close(struct tm_match *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; m->coverage != NULL && i < m->coverage_count; i++)
        tm_coverage_free(&m->coverage[i]);
    free(m->samples);
    free(m->version_hash);
    free(m->obs_hash);
    free(m->seen);
    free(m->parts);
    free(m->record_behind_us);
    free(m->coverage);
    free(m->steps);
    free(m->displays);
    free(m->differences);
    free(m);
}
