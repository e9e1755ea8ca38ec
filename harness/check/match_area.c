#include "check/match_inner.h"
#include "base/clock.h"
#include <assert.h>
#include <stdlib.h>

static int match_star_order(const void *a, const void *b)
{
    const struct match_star *x = a, *y = b;
    return (x->us > y->us) - (x->us < y->us);
}

/* M8: where `*` begins: what brought it was an overflow, or a change that no event told of. */
static int64_t match_star_from(const struct match_work *w, int64_t from_ns)
{
    const struct tm_timing *t = w->timing;
    if (from_ns <= t->wall_origin_ns)
        return t->start_us;
    for (size_t v = w->truth->versions_count; v-- > 0;) {
        const struct tm_truth_version *version = &w->truth->versions[v];
        bool silent = version->event == TM_TRUTH_SILENT && version->change == TM_TRUTH_UPDATE;
        if (w->truth->records[version->record].object != w->c->truth ||
            version->intended_ns == INT64_MIN || (version->event != TM_TRUTH_OVERFLOW && !silent))
            continue;
        int64_t start_ns = version->intended_ns + t->delay_ms * TM_NS_PER_MS / t->compress;
        if (start_ns <= from_ns)
            return (version->intended_ms + t->delay_ms) * 1000 + (from_ns - start_ns) / 1000;
    }
    return tm_timing_org_us(t, from_ns);
}

enum tm_code tm_match_stars(struct match_work *w, struct tm_err *err)
{
    const struct tm_timing *t = w->timing;
    w->stars_count = 0;
    for (size_t i = 0; i < w->shown->stars_count; i++) {
        const struct tm_shown_star *s = &w->shown->stars[i];
        if (s->object != w->c->shown || s->until_ns <= t->wall_origin_ns)
            continue;
        enum tm_code rc = tm_match_grow((void **)&w->stars, &w->stars_cap, w->stars_count + 2,
                                        sizeof *w->stars, err);
        if (rc != TM_OK)
            return rc;
        int64_t from_us = match_star_from(w, s->from_ns);
        int64_t from_ns = s->from_ns < t->wall_origin_ns ? t->wall_origin_ns : s->from_ns;
        w->stars[w->stars_count++] = (struct match_star){ from_us, 1 };
        if (s->until_ns != INT64_MAX)
            w->stars[w->stars_count++] =
                (struct match_star){ from_us + (s->until_ns - from_ns) / 1000, -1 };
    }
    if (w->stars_count > 0)
        qsort(w->stars, w->stars_count, sizeof *w->stars, match_star_order);
    return TM_OK;
}

static uint8_t match_code(const struct match_work *w, const struct match_area *a)
{
    const struct match_event *e = a->display == SIZE_MAX ? NULL : &w->events[a->display];
    uint64_t truth = a->truth < 0 ? MATCH_ABSENT : w->hash[a->truth];
    uint64_t display = MATCH_ABSENT;
    const struct match_obs *o = e == NULL ? NULL : &w->obs[e->obs];
    enum tm_row_class class;
    if (e != NULL)
        display = o->shows != SHOWS_WHOLE ? o->hash
                  : e->version < 0        ? MATCH_ABSENT
                                          : w->hash[e->version];
    bool flagged = o != NULL && (o->o->flags & TM_SHOWN_DIRTY) != 0;
    if (truth == MATCH_ABSENT && display == MATCH_ABSENT)
        return 0;
    if (truth == MATCH_ABSENT)
        class = TM_ROW_PHANTOM;
    else if (display == MATCH_ABSENT || o->shows == SHOWS_PARTIAL)
        class = TM_ROW_MISSING;
    else if (display == truth || (o->shows == SHOWS_WHOLE && e->version > a->truth))
        class = TM_ROW_EQUAL; /* ahead of the timeline only by its rounding */
    else
        class = o->shows == SHOWS_WHOLE   ? TM_ROW_STALE
                : o->shows == SHOWS_MIXED ? TM_ROW_MIXED
                                          : TM_ROW_WRONG;
    return (uint8_t)(1 + 2 * class + ((flagged && display != MATCH_ABSENT) || a->stars > 0));
}

static void match_area_to(struct match_work *w, struct match_area *a, int64_t us)
{
    struct tm_match *m = w->m;
    int64_t first =
        a->shown + 1 > (int64_t)w->first_counted ? a->shown + 1 : (int64_t)w->first_counted;
    int64_t behind = a->truth >= first ? a->truth - first + 1 - a->extra : 0, span = us - a->at_us;
    assert(span >= 0);
    if (span == 0)
        return;
    if (behind > 0) {
        double from = (double)(a->at_us - w->commit_us[first]),
               to = (double)(us - w->commit_us[first]);
        a->age_us2 += (to * to - from * from) / 2;
        a->stale_us += span;
        m->age_max_us = (int64_t)to > m->age_max_us ? (int64_t)to : m->age_max_us;
    }
    a->behind_us += behind * span;
    m->behind_time_us[behind < TM_BEHIND_BUCKETS - 1 ? behind : TM_BEHIND_BUCKETS - 1] += span;
    m->record_us += span;
    a->at_us = us;
}

static enum tm_code match_area_step(struct match_work *w, struct match_area *a, struct tm_err *err)
{
    struct tm_match *m = w->m;
    uint8_t code = match_code(w, a);
    if (code == a->code)
        return TM_OK;
    enum tm_code rc =
        tm_match_grow((void **)&m->steps, &m->steps_cap, m->steps_count + 1, sizeof *m->steps, err);
    if (rc == TM_OK)
        m->steps[m->steps_count++] = (struct tm_curve_step){ a->at_us, a->code, code };
    a->code = code;
    return rc;
}

/* A whole row is on display: what is older is shown. `n`: events so far. */
static void match_area_shown(struct match_work *w, struct match_area *a, int64_t version, size_t n)
{
    if (version <= a->shown)
        return;
    a->shown = version;
    a->extra = 0;
    /* marks are rare: only rows that were mixed have any */
    for (size_t k = 0; k < n; k++)
        a->extra += w->events[k].kind == EVENT_MARK && w->events[k].version > a->shown;
}

static enum tm_code match_display(struct match_work *w, const struct match_event *e,
                                  struct tm_err *err)
{
    struct tm_match *m = w->m;
    const struct match_obs *o = &w->obs[e->obs];
    if (!w->displays || e->kind != EVENT_STATE)
        return TM_OK;
    enum tm_code rc = tm_match_grow((void **)&m->displays, &m->displays_cap, m->displays_count + 1,
                                    sizeof *m->displays, err);
    bool one = o->shows == SHOWS_WHOLE && e->version >= 0;
    if (rc == TM_OK)
        m->displays[m->displays_count++] =
            (struct tm_display){ e->us, (uint32_t)(o->o - w->shown->obs),
                                 one ? w->index[e->version] : TM_TRUTH_NONE };
    return rc;
}

static void match_area_display(struct match_work *w, struct match_area *a, size_t n)
{
    const struct match_event *e = &w->events[n];
    if (e->kind == EVENT_MARK) {
        a->extra += e->version > a->shown && e->version >= (int64_t)w->first_counted;
        return;
    }
    const struct match_obs *o = &w->obs[e->obs];
    a->display = n;
    if (o->shows == SHOWS_WHOLE)
        match_area_shown(w, a, e->version < o->certain ? e->version : o->certain, n);
}

/* Displays that were moved to stay in order would make the record look older than any change was:
 * take its ages from the changes themselves (each on its own, an upper bound of the integral). */
static void match_unordered(struct match_work *w, struct match_area *a, int64_t age_max_us)
{
    struct tm_match *m = w->m;
    a->age_us2 = 0;
    m->age_max_us = age_max_us;
    for (size_t i = 0; i < w->versions; i++) {
        struct tm_sample *s = tm_match_sample(w, i);
        int64_t until_us = s->visible_us < w->timing->end_us ? s->visible_us : w->timing->end_us;
        int64_t age_us = i < w->first_counted ? 0 : until_us - w->commit_us[i];
        s->flags |= TM_SAMPLE_UNORDERED;
        if (age_us <= 0)
            continue;
        a->age_us2 += (double)age_us * (double)age_us / 2;
        m->age_max_us = age_us > m->age_max_us ? age_us : m->age_max_us;
    }
}

/* Adds the record's integrals to those of all records: each alike, and by its changes. */
static void match_weigh(struct match_work *w, const struct match_area *a)
{
    struct tm_match *m = w->m;
    double changes = (double)(w->versions - w->first_counted);
    m->age_us2 += a->age_us2;
    m->read_age_us2 += changes * a->age_us2;
    m->read_stale_us += changes * (double)a->stale_us;
    m->read_us += changes * (double)(w->timing->end_us - w->timing->start_us);
}

/* A coincident version is shown with its commit, or with the display that it rides on. */
static void match_area_riding(struct match_work *w, struct match_area *a, size_t n)
{
    if (a->riding <= a->shown || tm_match_sample(w, (size_t)a->riding)->visible_us > a->at_us)
        return;
    match_area_shown(w, a, a->riding, n);
}

static int64_t match_next_us(const struct match_work *w, size_t version, size_t event, size_t star)
{
    int64_t next = version < w->versions ? w->commit_us[version] : INT64_MAX;
    if (event < w->events_count && w->events[event].us < next)
        next = w->events[event].us;
    if (star < w->stars_count && w->stars[star].us < next)
        next = w->stars[star].us;
    return next;
}

/* Commits, displays and stars in order of the org timeline: class, versions behind and age at every
 * instant. */
enum tm_code tm_match_sweep(struct match_work *w, struct match_area *a, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    int64_t start = w->timing->start_us, end = w->timing->end_us;
    size_t v = 0, n = 0, s = 0;
    int64_t age_max_us = w->m->age_max_us;
    for (size_t i = 0; rc == TM_OK && i < w->events_count; i++)
        rc = match_display(w, &w->events[i], err);
    if (rc != TM_OK)
        return rc;
    *a = (struct match_area){
        .at_us = start,
        .truth = MATCH_BEFORE,
        .shown = MATCH_BEFORE,
        .riding = MATCH_BEFORE,
        .display = SIZE_MAX,
    };
    while (v < w->versions && w->commit_us[v] <= start)
        a->truth = (int64_t)v++;
    while (n < w->events_count && w->events[n].us <= start)
        match_area_display(w, a, n++);
    while (s < w->stars_count && w->stars[s].us <= start)
        a->stars += w->stars[s++].by;
    a->code = match_code(w, a);
    w->m->initial[a->code]++;
    while (rc == TM_OK && (v < w->versions || n < w->events_count || s < w->stars_count)) {
        int64_t commit_us = v < w->versions ? w->commit_us[v] : INT64_MAX,
                display_us = n < w->events_count ? w->events[n].us : INT64_MAX,
                star_us = s < w->stars_count ? w->stars[s].us : INT64_MAX;
        int64_t us = commit_us < display_us ? commit_us : display_us;
        us = star_us < us ? star_us : us;
        us = us > end ? end : us < a->at_us ? a->at_us : us;
        match_area_to(w, a, us);
        if (star_us < commit_us && star_us < display_us) {
            a->stars += w->stars[s++].by;
        } else if (commit_us <= display_us) {
            a->truth = (int64_t)v;
            a->riding = w->coincident[v] ? (int64_t)v : a->riding;
            v++;
        } else {
            match_area_display(w, a, n++);
        }
        match_area_riding(w, a, n);
        if (match_next_us(w, v, n, s) > us) /* several at one instant are one step of the curve */
            rc = match_area_step(w, a, err);
    }
    if (rc == TM_OK) {
        match_area_to(w, a, end);
        rc = match_area_step(w, a, err);
    }
    if (!w->unordered)
        w->m->behind_us += a->behind_us;
    if (!w->unordered && w->versions > 0)
        w->m->record_behind_us[w->truth->versions[w->index[0]].record] = a->behind_us;
    if (w->unordered)
        match_unordered(w, a, age_max_us);
    match_weigh(w, a);
    return rc;
}

enum tm_code tm_match_difference(struct match_work *w, const struct match_area *a, uint32_t record,
                                 uint32_t row, struct tm_err *err)
{
    struct tm_match *m = w->m;
    const struct match_event *e = a->display == SIZE_MAX ? NULL : &w->events[a->display];
    m->final[a->code]++;
    if (a->code != 0 && (a->code - 1) % 2 != 0 && a->stars == 0)
        tm_anomaly_seen(&m->anomalies[TM_ANOMALY_UNREPAIRED], w->truth, record, row, TM_TRUTH_NONE);
    if (a->code == 0 || (a->code - 1) / 2 == TM_ROW_EQUAL)
        return TM_OK;
    enum tm_code rc = tm_match_grow((void **)&m->differences, &m->differences_cap,
                                    m->differences_count + 1, sizeof *m->differences, err);
    bool whole = e != NULL && w->obs[e->obs].shows == SHOWS_WHOLE && e->version >= 0;
    if (rc == TM_OK)
        m->differences[m->differences_count++] =
            (struct tm_difference){ .record = record,
                                    .row = row,
                                    .code = a->code,
                                    .version = whole ? w->index[e->version] : TM_TRUTH_NONE };
    return rc;
}
