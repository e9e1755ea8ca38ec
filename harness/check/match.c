#include "check/match.h"
#include "base/clock.h"
#include "check/vhash.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MATCH_ABSENT UINT64_C(1) /* the row hash of "no row" */
#define MATCH_BEFORE (-1)        /* the state before the create */
enum { SHOWS_WHOLE, SHOWS_MIXED, SHOWS_WRONG, SHOWS_PARTIAL };

struct match_obs { /* one observation of the record at hand */
    const struct tm_shown_obs *o;
    uint64_t hash;
    int64_t version,
        certain; /* newest and oldest version it equals; MATCH_BEFORE; only when WHOLE */
    size_t news_first, news_count; /* versions first shown by it: news[] */
    uint8_t shows;
};
struct match_event {
    int64_t us;
    int64_t version;
    size_t obs;
    uint8_t kind;
};                  /* of the display, see timeline */
struct match_star { /* `*` of the object at hand begins or ends */
    int64_t us;
    int by; /* 1, -1 */
};
struct match_work { /* scratch for one record, grown to the largest */
    const struct tm_truth *truth;
    const struct tm_shown *shown;
    const struct tm_timing *timing;
    struct tm_match *m;
    const struct tm_coverage *c;
    uint32_t *index;
    uint64_t *hash;
    int64_t *actual_ns, *lo, *hi;
    size_t *hi_obs;
    int64_t *commit_us;
    bool *coincident;
    size_t versions, versions_cap, first_counted; /* first_counted: first version of the workload */
    struct match_obs *obs;
    size_t obs_count, obs_cap;
    uint32_t *news;
    size_t news_count;
    struct match_event *events;
    size_t events_count, events_cap;
    struct match_star *stars; /* in order */
    size_t stars_count, stars_cap;
    uint32_t at[TM_TRUTH_COLUMNS_MAX]; /* delta in force per comparable column, at `now` */
    uint64_t values[TM_TRUTH_COLUMNS_MAX];
    int64_t held[TM_TRUTH_COLUMNS_MAX]; /* version index + 1 a shown value comes from, 0 null from
                                           the start, -1 never held */
    int64_t now;                        /* newest version committed, -1 none */
    int64_t frontier;                   /* newest version certainly shown by a whole row */
    uint64_t displayed;                 /* row hash of what is displayed */
    bool unordered; /* the record's displays had to be moved to stay in order: see M5 */
};

const char *tm_row_class_name(enum tm_row_class c)
{
    static const char *const names[TM_ROW_CLASSES] = { "equal", "missing", "phantom",
                                                       "stale", "mixed",   "wrong" };
    assert(c < TM_ROW_CLASSES);
    return names[c];
}

int64_t tm_timing_wall_ns(const struct tm_timing *t, int64_t org_ms)
{
    return t->wall_origin_ns + (org_ms - t->org_origin_ms) * TM_NS_PER_MS / t->compress;
}

int64_t tm_timing_org_us(const struct tm_timing *t, int64_t wall_ns)
{
    int64_t since_ns = wall_ns - t->wall_origin_ns;
    return t->org_origin_ms * 1000 + (since_ns < 0 ? 0 : since_ns / 1000 * t->compress);
}

static uint64_t match_mix(uint32_t column, uint64_t value)
{
    uint64_t x = value ^ ((uint64_t)column + 1) * UINT64_C(0x9e3779b97f4a7c15);
    if (value == TM_VHASH_NULL)
        return 0;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t match_named(uint64_t hash) /* a row's hash, never that of "no row" */
{
    return hash == MATCH_ABSENT ? 2 : hash;
}

static enum tm_code match_grow(void **array, size_t *cap, size_t need, size_t bytes,
                               struct tm_err *err)
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

static enum tm_code match_versions_room(struct match_work *w, size_t need, struct tm_err *err)
{
    struct {
        void **array;
        size_t bytes;
    } all[] = { { (void **)&w->index, sizeof *w->index },
                { (void **)&w->hash, sizeof *w->hash },
                { (void **)&w->actual_ns, sizeof *w->actual_ns },
                { (void **)&w->lo, sizeof *w->lo },
                { (void **)&w->hi, sizeof *w->hi },
                { (void **)&w->hi_obs, sizeof *w->hi_obs },
                { (void **)&w->commit_us, sizeof *w->commit_us },
                { (void **)&w->coincident, sizeof *w->coincident },
                { (void **)&w->news, sizeof *w->news } };
    size_t cap = w->versions_cap;
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < sizeof all / sizeof all[0]; i++) {
        cap = w->versions_cap;
        rc = match_grow(all[i].array, &cap, need, all[i].bytes, err);
    }
    w->versions_cap = rc == TM_OK ? cap : w->versions_cap;
    return rc;
}

/* Every version's row hash, by going through the changes once. */
static enum tm_code match_load_versions(struct match_work *w, const struct tm_truth_record *r,
                                        struct tm_err *err)
{
    const struct tm_truth *t = w->truth;
    uint64_t hash = 0, values[TM_TRUTH_COLUMNS_MAX] = { 0 };
    enum tm_code rc = match_versions_room(w, r->count, err);
    if (rc != TM_OK)
        return rc;
    w->versions = 0;
    w->first_counted = r->count;
    for (uint32_t v = r->first; v != TM_TRUTH_NONE; v = t->versions[v].next) {
        const struct tm_truth_version *version = &t->versions[v];
        size_t i = w->versions++;
        for (uint32_t d = 0; d < version->delta_count; d++) {
            const struct tm_truth_delta *delta = &t->deltas[version->delta_first + d];
            uint32_t c = w->c->from_truth[delta->column];
            if (c == TM_TRUTH_NONE)
                continue;
            hash ^= match_mix(c, values[c]) ^ match_mix(c, delta->hash);
            values[c] = delta->hash;
        }
        w->index[i] = v;
        w->hash[i] = tm_truth_is_gone(version->change) ? MATCH_ABSENT : match_named(hash);
        w->actual_ns[i] = version->actual_ns;
        w->commit_us[i] =
            version->intended_ns == INT64_MIN ? INT64_MIN : version->intended_ms * 1000;
        if (i > 0 && w->actual_ns[i] < w->actual_ns[i - 1])
            w->actual_ns[i] = w->actual_ns[i - 1];
        if (i > 0 && w->commit_us[i] < w->commit_us[i - 1])
            w->commit_us[i] = w->commit_us[i - 1];
        w->lo[i] = w->hi[i] = INT64_MAX;
        w->hi_obs[i] = SIZE_MAX;
        w->coincident[i] = false;
        if (version->intended_ns != INT64_MIN && i < w->first_counted)
            w->first_counted = i;
    }
    return TM_OK;
}

static enum tm_code match_load_obs(struct match_work *w, uint32_t row, struct tm_err *err)
{
    w->obs_count = 0;
    if (row == TM_SHOWN_NONE)
        return TM_OK;
    for (uint32_t o = w->shown->rows[row].first; o != TM_SHOWN_NONE; o = w->shown->obs[o].next) {
        enum tm_code rc =
            match_grow((void **)&w->obs, &w->obs_cap, w->obs_count + 1, sizeof *w->obs, err);
        if (rc != TM_OK)
            return rc;
        w->obs[w->obs_count++] = (struct match_obs){ .o = &w->shown->obs[o],
                                                     .version = MATCH_BEFORE,
                                                     .certain = MATCH_BEFORE };
    }
    return TM_OK;
}

static struct tm_sample *match_sample(struct match_work *w, size_t i)
{
    return &w->m->samples[w->index[i]];
}

/* Versions up to `last` that no read had shown become shown by the observation. */
static void match_show_up_to(struct match_work *w, int64_t last, size_t obs, bool certain)
{
    const struct tm_shown_obs *o = w->obs[obs].o;
    for (int64_t i = w->frontier + 1; i <= last; i++) {
        if (w->lo[i] == INT64_MAX)
            w->lo[i] = o->lo_ns;
        if (!certain || w->hi[i] != INT64_MAX)
            continue;
        w->hi[i] = o->hi_ns;
        w->hi_obs[i] = obs;
        w->news[w->news_count++] = (uint32_t)i;
        w->obs[obs].news_count++;
    }
    if (certain && last > w->frontier)
        w->frontier = last;
}

/* The next commit happened: M3, its state may be on display already. */
static void match_commit(struct match_work *w)
{
    const struct tm_truth *t = w->truth;
    int64_t i = ++w->now;
    const struct tm_truth_version *v = &t->versions[w->index[i]];
    for (uint32_t d = 0; d < v->delta_count; d++) {
        uint32_t c = w->c->from_truth[t->deltas[v->delta_first + d].column];
        if (c != TM_TRUTH_NONE)
            w->at[c] = v->delta_first + d;
    }
    if (w->hash[i] != w->displayed)
        return;
    match_sample(w, (size_t)i)->flags |= TM_SAMPLE_EXACT;
    for (int64_t k = w->frontier + 1; k <= i; k++)
        if (w->hi[k] == INT64_MAX) {
            w->coincident[k] = true;
            w->hi[k] = w->lo[k] = w->actual_ns[i];
            w->hi_obs[k] = SIZE_MAX - 1 - (size_t)i; /* visible at the commit of version i */
        }
    w->frontier = i;
}

/* Finds the versions whose row hash is `hash`: newest and, not before the frontier, oldest. */
static bool match_find(struct match_work *w, uint64_t hash, int64_t *out_newest,
                       int64_t *out_oldest)
{
    int64_t newest = -2, oldest = -2;
    for (int64_t i = w->now; i > MATCH_BEFORE; i--) {
        if (w->hash[i] == hash) {
            newest = newest == -2 ? i : newest;
            oldest = i;
        }
        if (newest != -2 && i <= w->frontier)
            break;
    }
    if (hash == MATCH_ABSENT && newest == -2)
        newest = oldest = MATCH_BEFORE;
    for (int64_t i = w->now + 1; newest == -2 && i < (int64_t)w->versions; i++)
        if (w->hash[i] == hash)
            newest = oldest = i; /* shown before its stamped commit: a negative sample */
    if (newest == -2)
        return false;
    while (oldest >= 0 && oldest < w->now && w->hash[oldest + 1] == hash)
        oldest++; /* versions that changed nothing comparable */
    *out_newest = newest;
    *out_oldest = oldest < newest ? oldest : newest;
    return true;
}

/* Where each shown value comes from: the newest version that set it. Returns SHOWS_WRONG when one
 * was never held. */
static uint8_t match_held(struct match_work *w)
{
    uint8_t shows = SHOWS_MIXED;
    for (size_t c = 0; c < w->c->count; c++) {
        uint32_t d = w->at[c], oldest = TM_TRUTH_NONE;
        for (; d != TM_TRUTH_NONE && w->truth->deltas[d].hash != w->values[c];
             d = w->truth->deltas[d].prev)
            oldest = d;
        /* no version set it to null: it was null from the create on, if the create did not
         * set it */
        bool null = w->values[c] == TM_VHASH_NULL && w->versions > 0 &&
                    (oldest == TM_TRUTH_NONE || w->truth->deltas[oldest].version != w->index[0]);
        w->held[c] = d != TM_TRUTH_NONE ? (int64_t)w->truth->deltas[d].version + 1 : null ? 0 : -1;
        if (w->held[c] < 0)
            shows = SHOWS_WRONG;
    }
    return shows;
}

/* M2 by columns: every column the version changed has its value or a later one. */
static bool match_shown_by_columns(struct match_work *w, size_t i)
{
    const struct tm_truth_version *v = &w->truth->versions[w->index[i]];
    size_t compared = 0;
    if (tm_truth_is_gone(v->change))
        return false;
    for (uint32_t d = 0; d < v->delta_count; d++) {
        uint32_t c = w->c->from_truth[w->truth->deltas[v->delta_first + d].column];
        if (c == TM_TRUTH_NONE)
            continue;
        compared++;
        if (w->held[c] < (int64_t)w->index[i] + 1)
            return false;
    }
    return compared > 0;
}

static void match_mixed(struct match_work *w, size_t obs)
{
    struct match_obs *o = &w->obs[obs];
    int64_t image = MATCH_BEFORE; /* newest full image that is shown: what is older is superseded */
    o->shows = match_held(w);
    for (int64_t i = w->now; i > w->frontier; i--) {
        uint8_t change = w->truth->versions[w->index[i]].change;
        bool full = change == TM_TRUTH_CREATE || change == TM_TRUTH_UNDELETE;
        bool shown = match_shown_by_columns(w, (size_t)i);
        if (shown && full && image == MATCH_BEFORE)
            image = i;
        if (!(shown || i < image) || w->hi[i] != INT64_MAX)
            continue;
        w->lo[i] = w->lo[i] == INT64_MAX ? o->o->lo_ns : w->lo[i];
        w->hi[i] = o->o->hi_ns;
        w->hi_obs[i] = obs;
    }
    for (int64_t i = w->frontier + 1; i <= w->now; i++) /* in commit order */
        if (w->hi_obs[i] == obs) {
            w->news[w->news_count++] = (uint32_t)i;
            o->news_count++;
        }
}

/* What seemed visible at its commit, because an older state was not shown yet, was not: now that
 * older state is shown. */
static void match_not_coincident(struct match_work *w, int64_t shown)
{
    int64_t k;
    for (k = w->frontier; k > shown; k--)
        if (!w->coincident[k])
            return; /* really shown before: the row goes back in time */
    for (k = w->frontier; k >= 0 && w->coincident[k] && SIZE_MAX - 1 - w->hi_obs[k] > (size_t)shown;
         k--) {
        w->coincident[k] = false;
        w->lo[k] = w->hi[k] = INT64_MAX;
        w->hi_obs[k] = SIZE_MAX;
        match_sample(w, (size_t)k)->flags &= (uint8_t)~TM_SAMPLE_EXACT;
    }
    w->frontier = k;
}

static void match_observe(struct match_work *w, size_t obs)
{
    struct match_obs *o = &w->obs[obs];
    uint64_t hash = 0;
    int64_t newest, oldest;
    for (uint32_t d = 0; d < o->o->delta_count; d++) {
        const struct tm_shown_delta *delta = &w->shown->deltas[o->o->delta_first + d];
        uint32_t c = w->c->from_shown[delta->column];
        if (c != TM_TRUTH_NONE)
            w->values[c] = delta->hash;
    }
    for (uint32_t c = 0; c < w->c->count; c++)
        hash ^= match_mix(c, w->values[c]);
    o->hash = (o->o->flags & TM_SHOWN_PRESENT) != 0 ? match_named(hash) : MATCH_ABSENT;
    o->news_first = w->news_count;
    w->displayed = o->hash;
    if ((o->o->flags & TM_SHOWN_PARTIAL) != 0)
        o->shows = SHOWS_PARTIAL;
    if (o->shows == SHOWS_PARTIAL || !match_find(w, o->hash, &newest, &oldest)) {
        match_mixed(w, obs);
        if ((o->o->flags & TM_SHOWN_PARTIAL) != 0)
            o->shows = SHOWS_PARTIAL;
        return;
    }
    if (newest >= 0 && newest < w->frontier)
        match_not_coincident(w, newest);
    o->version = newest;
    o->certain = oldest;
    if (newest < w->frontier)
        w->m->time_travels++;
    if (newest != oldest)
        w->m->ambiguous_reads++;
    for (int64_t i = newest; i >= 0 && (i >= oldest || w->hash[i] == o->hash); i--)
        if (w->hash[i] == o->hash)
            match_sample(w, (size_t)i)->flags |= TM_SAMPLE_EXACT;
    match_show_up_to(w, newest, obs, false);
    match_show_up_to(w, oldest, obs, true);
}

/* Pass over commits and reads in wall order. */
static void match_walk(struct match_work *w)
{
    memset(w->at, 0xff, w->c->count * sizeof *w->at);
    memset(w->values, 0, w->c->count * sizeof *w->values);
    w->now = w->frontier = MATCH_BEFORE;
    w->displayed = MATCH_ABSENT;
    w->news_count = 0;
    for (size_t o = 0; o < w->obs_count; o++) {
        while (w->now + 1 < (int64_t)w->versions && w->actual_ns[w->now + 1] <= w->obs[o].o->hi_ns)
            match_commit(w);
        match_observe(w, o);
    }
    while (w->now + 1 < (int64_t)w->versions)
        match_commit(w);
}

static uint32_t match_poll(const struct match_work *w, const struct tm_shown_obs *o)
{
    const struct tm_timing *t = w->timing;
    int object = w->c->shown;
    size_t first = 0, last = t->polls_count;
    /* polls are sorted by object, then _seq */
    while (first < last) {
        size_t middle = (first + last) / 2;
        const struct tm_poll *p = &t->polls[middle];
        if (p->object < object || (p->object == object && p->seq_last < o->seq))
            first = middle + 1;
        else
            last = middle;
    }
    if (first < t->polls_count && t->polls[first].object == object &&
        t->polls[first].seq_first <= o->seq)
        return (uint32_t)first;
    return TM_TRUTH_NONE;
}

/* M7: the version is silent. False: a copy brought it. Else it is shown with version *out. */
static bool match_carrier(const struct match_work *w, size_t i, size_t *out)
{
    const struct match_obs *o = &w->obs[w->hi_obs[i]];
    if (i > w->first_counted && w->hash[i] == w->hash[i - 1]) {
        *out = i - 1;
        return true;
    }
    if ((w->m->samples[w->index[i]].flags & TM_SAMPLE_EXACT) != 0)
        return false;
    for (size_t k = o->news_count; k-- > 0;) {
        uint32_t j = w->news[o->news_first + k];
        if (j > i && w->truth->versions[w->index[j]].event != TM_TRUTH_SILENT) {
            *out = j;
            return true;
        }
    }
    return false;
}

static void match_time_silent(struct match_work *w, size_t i, struct tm_sample *s)
{
    const struct tm_timing *t = w->timing;
    const struct tm_truth_version *v = &w->truth->versions[w->index[i]];
    int64_t hi_ns = w->obs[w->hi_obs[i]].o->hi_ns;
    size_t with = i;
    s->work_ns = 0;
    s->visible_us = tm_timing_org_us(t, hi_ns);
    if (!match_carrier(w, i, &with)) {
        s->flags |= TM_SAMPLE_COPY;
    } else if (with > i) {
        const struct tm_truth_version *c = &w->truth->versions[w->index[with]];
        int64_t start_ns = c->intended_ns + t->delay_ms * TM_NS_PER_MS / t->compress;
        s->work_ns = hi_ns - start_ns;
        s->visible_us = (c->intended_ms + t->delay_ms) * 1000 + s->work_ns / 1000;
    } else if (match_sample(w, with)->visible_us != INT64_MAX) {
        s->visible_us = match_sample(w, with)->visible_us;
    }
    if (s->visible_us < v->intended_ms * 1000)
        s->visible_us = v->intended_ms * 1000;
    s->wait_us = s->visible_us - v->intended_ms * 1000 - s->work_ns / 1000;
}

/* M4 for one version. */
static void match_time(struct match_work *w, size_t i)
{
    const struct tm_timing *t = w->timing;
    const struct tm_truth_version *v = &w->truth->versions[w->index[i]];
    struct tm_sample *s = match_sample(w, i);
    s->lo_ns = w->lo[i];
    s->hi_ns = w->hi[i];
    s->visible_us = INT64_MAX;
    s->poll = TM_TRUTH_NONE;
    if (v->intended_ns == INT64_MIN)
        return;
    s->flags |= TM_SAMPLE_OF;
    if (w->hi[i] == INT64_MAX)
        return;
    s->flags |= TM_SAMPLE_SEEN;
    if (w->coincident[i]) {
        size_t with = SIZE_MAX - 1 - w->hi_obs[i]; /* see match_commit */
        s->flags |= TM_SAMPLE_COINCIDENT;
        s->visible_us = w->commit_us[with];
        return;
    }
    const struct tm_shown_obs *o = w->obs[w->hi_obs[i]].o;
    int64_t start_ms = v->intended_ms, start_ns = v->intended_ns;
    s->read = o->read;
    if (w->lo[i] < o->lo_ns)
        s->flags |= TM_SAMPLE_AMBIGUOUS;
    if (t->kind == TM_PIPELINE_STREAM) {
        start_ms += t->delay_ms;
        start_ns += t->delay_ms * TM_NS_PER_MS / t->compress;
    } else {
        s->poll = match_poll(w, o);
        if (s->poll == TM_TRUTH_NONE)
            s->flags |= TM_SAMPLE_NO_POLL;
        else if (t->polls[s->poll].grid_ms > v->intended_ms) {
            start_ms = t->polls[s->poll].grid_ms;
            start_ns = tm_timing_wall_ns(t, start_ms);
        }
    }
    if (t->kind == TM_PIPELINE_STREAM && v->event == TM_TRUTH_SILENT) {
        match_time_silent(w, i, s);
        return;
    }
    s->wait_us = (start_ms - v->intended_ms) * 1000;
    s->work_ns = o->hi_ns - start_ns;
    s->visible_us = start_ms * 1000 + s->work_ns / 1000;
}

/* M5: where on the org timeline a read belongs that shows nothing for the first time. */
static int64_t match_place(struct match_work *w, const struct tm_shown_obs *o)
{
    const struct tm_timing *t = w->timing;
    int64_t place = INT64_MIN;
    if (o->hi_ns <= t->wall_origin_ns)
        return t->start_us;
    if (t->kind == TM_PIPELINE_BATCH) {
        uint32_t poll = match_poll(w, o);
        if (poll != TM_TRUTH_NONE && t->polls[poll].grid_ms != INT64_MIN)
            return t->polls[poll].grid_ms * 1000 +
                   (o->hi_ns - tm_timing_wall_ns(t, t->polls[poll].grid_ms)) / 1000;
    }
    for (size_t i = w->first_counted; i < w->versions; i++) {
        const struct tm_truth_version *v = &w->truth->versions[w->index[i]];
        int64_t start_ns = v->intended_ns + t->delay_ms * TM_NS_PER_MS / t->compress;
        if (start_ns > o->hi_ns)
            break;
        place = (v->intended_ms + t->delay_ms) * 1000 + (o->hi_ns - start_ns) / 1000;
        if (w->hi[i] > o->hi_ns)
            break; /* the oldest change not shown by then */
    }
    return place != INT64_MIN ? place : tm_timing_org_us(t, o->hi_ns);
}

/* M5, and not before what it shows was visible: a poll may return a row whose create and delete
 * were coincident when it began. */
static int64_t match_place_after(struct match_work *w, const struct match_obs *o)
{
    int64_t us = match_place(w, o->o);
    for (int64_t i = (int64_t)w->first_counted; o->shows == SHOWS_WHOLE && i <= o->certain; i++) {
        const struct tm_sample *s = match_sample(w, (size_t)i);
        if ((s->flags & TM_SAMPLE_SEEN) == 0 || s->visible_us <= us)
            continue;
        us = s->visible_us;
        w->unordered = true;
    }
    return us;
}

enum {
    EVENT_STATE,
    EVENT_MARK
}; /* the display changes; or only: a version is shown (by columns) */

static enum tm_code match_event(struct match_work *w, int64_t us, int64_t version, size_t obs,
                                uint8_t kind, struct tm_err *err)
{
    enum tm_code rc = match_grow((void **)&w->events, &w->events_cap, w->events_count + 1,
                                 sizeof *w->events, err);
    if (rc != TM_OK)
        return rc;
    int64_t last = w->events_count == 0 ? w->timing->start_us : w->events[w->events_count - 1].us;
    w->unordered |= us < last;
    us = us < last ? last : us;
    us = us > w->timing->end_us ? w->timing->end_us : us;
    w->events[w->events_count++] = (struct match_event){ us, version, obs, kind };
    return TM_OK;
}

/* What is displayed from when on, on the org timeline. */
static enum tm_code match_timeline(struct match_work *w, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    w->events_count = 0;
    w->unordered = false;
    for (size_t n = 0; rc == TM_OK && n < w->obs_count; n++) {
        const struct match_obs *o = &w->obs[n];
        int64_t newest = MATCH_BEFORE - 1, us = INT64_MIN;
        for (size_t k = 0; rc == TM_OK && k < o->news_count; k++) {
            uint32_t i = w->news[o->news_first + k];
            const struct tm_sample *s = match_sample(w, i);
            newest = i;
            us = s->visible_us == INT64_MAX ? match_place(w, o->o) : s->visible_us;
            rc = match_event(w, us, i, n, o->shows == SHOWS_WHOLE ? EVENT_STATE : EVENT_MARK, err);
        }
        if (rc == TM_OK && us == INT64_MIN)
            us = match_place_after(w, o);
        if (rc == TM_OK && (o->shows != SHOWS_WHOLE || newest != o->version))
            rc = match_event(w, us, o->version, n, EVENT_STATE, err);
    }
    return rc;
}

struct match_area {              /* running state of the sweep of one record */
    int64_t at_us, truth, shown; /* newest committed; newest shown by a whole row */
    int64_t extra;               /* shown by columns, beyond `shown` */
    size_t display;              /* event on display, SIZE_MAX: nothing yet */
    int64_t behind_us;
    int stars; /* that stand */
    uint8_t code;
};

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

static enum tm_code match_stars(struct match_work *w, struct tm_err *err)
{
    const struct tm_timing *t = w->timing;
    w->stars_count = 0;
    for (size_t i = 0; i < w->shown->stars_count; i++) {
        const struct tm_shown_star *s = &w->shown->stars[i];
        if (s->object != w->c->shown || s->until_ns <= t->wall_origin_ns)
            continue;
        enum tm_code rc = match_grow((void **)&w->stars, &w->stars_cap, w->stars_count + 2,
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
        m->age_us2 += (to * to - from * from) / 2;
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
        match_grow((void **)&m->steps, &m->steps_cap, m->steps_count + 1, sizeof *m->steps, err);
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
static void match_unordered(struct match_work *w, double age_us2, int64_t age_max_us)
{
    struct tm_match *m = w->m;
    m->age_us2 = age_us2;
    m->age_max_us = age_max_us;
    for (size_t i = 0; i < w->versions; i++) {
        struct tm_sample *s = match_sample(w, i);
        int64_t until_us = s->visible_us < w->timing->end_us ? s->visible_us : w->timing->end_us;
        int64_t age_us = i < w->first_counted ? 0 : until_us - w->commit_us[i];
        s->flags |= TM_SAMPLE_UNORDERED;
        if (age_us <= 0)
            continue;
        m->age_us2 += (double)age_us * (double)age_us / 2;
        m->age_max_us = age_us > m->age_max_us ? age_us : m->age_max_us;
    }
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
static enum tm_code match_sweep(struct match_work *w, struct match_area *a, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    int64_t start = w->timing->start_us, end = w->timing->end_us;
    size_t v = 0, n = 0, s = 0;
    double age_us2 = w->m->age_us2;
    int64_t age_max_us = w->m->age_max_us;
    *a = (struct match_area){
        .at_us = start, .truth = MATCH_BEFORE, .shown = MATCH_BEFORE, .display = SIZE_MAX
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
            if (w->coincident[v] && match_sample(w, v)->visible_us <= w->commit_us[v])
                match_area_shown(w, a, (int64_t)v, n);
            v++;
        } else {
            match_area_display(w, a, n++);
        }
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
        match_unordered(w, age_us2, age_max_us);
    return rc;
}

static enum tm_code match_difference(struct match_work *w, const struct match_area *a,
                                     uint32_t record, uint32_t row, struct tm_err *err)
{
    struct tm_match *m = w->m;
    const struct match_event *e = a->display == SIZE_MAX ? NULL : &w->events[a->display];
    m->final[a->code]++;
    if (a->code == 0 || (a->code - 1) / 2 == TM_ROW_EQUAL)
        return TM_OK;
    enum tm_code rc = match_grow((void **)&m->differences, &m->differences_cap,
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

static enum tm_code match_record(struct match_work *w, uint32_t record, uint32_t row,
                                 struct tm_err *err)
{
    struct match_area area;
    enum tm_code rc = TM_OK;
    w->versions = w->first_counted = 0;
    if (record != TM_TRUTH_NONE)
        rc = match_load_versions(w, &w->truth->records[record], err);
    if (rc == TM_OK)
        rc = match_load_obs(w, row, err);
    if (rc != TM_OK)
        return rc;
    w->m->observations += w->obs_count;
    match_walk(w);
    for (size_t i = 0; i < w->versions; i++)
        match_time(w, i);
    rc = match_timeline(w, err);
    if (rc == TM_OK)
        rc = match_sweep(w, &area, err);
    return rc == TM_OK ? match_difference(w, &area, record, row, err) : rc;
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
    void *all[] = { w->index,     w->hash,       w->actual_ns, w->lo,  w->hi,     w->hi_obs,
                    w->commit_us, w->coincident, w->news,      w->obs, w->events, w->stars };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
    free(w);
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
        if (rc == TM_OK)
            rc = match_stars(w, err);
        if (rc == TM_OK)
            rc = match_object(w, err);
    }
    if (rc == TM_OK) {
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
    for (size_t i = 0; m->coverage != NULL && i < m->coverage_count; i++) {
        struct tm_coverage *c = &m->coverage[i];
        free(c->from_truth);
        free(c->from_shown);
        free(c->truth_column);
        free(c->shown_column);
        free(c->names);
        json_decref(c->left_out);
    }
    free(m->samples);
    free(m->record_behind_us);
    free(m->coverage);
    free(m->steps);
    free(m->differences);
    free(m);
}
