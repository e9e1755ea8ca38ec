#include "check/match_inner.h"
#include "check/vhash.h"
#include <stdlib.h>
#include <string.h>

static uint64_t match_named(uint64_t hash) /* a row's hash, never that of "no row" */
{
    return hash <= MATCH_ABSENT ? 2 : hash; /* nor 0, which says so too: tm_match.version_hash */
}

static enum tm_code match_versions_room(struct match_work *w, size_t need, struct tm_err *err)
{
    struct {
        void **array;
        size_t bytes;
    } all[] = { { (void **)&w->index, sizeof *w->index },
                { (void **)&w->hash, sizeof *w->hash },
                { (void **)&w->exact, sizeof *w->exact },
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
        rc = tm_match_grow(all[i].array, &cap, need, all[i].bytes, err);
    }
    w->versions_cap = rc == TM_OK ? cap : w->versions_cap;
    if (rc == TM_OK)
        rc = tm_match_grow((void **)&w->held_loose, &w->held_loose_cap, need * w->c->loose_count,
                           sizeof *w->held_loose, err);
    if (rc == TM_OK)
        rc = tm_match_grow((void **)&w->named, &w->named_cap, need * w->c->loose_count,
                           sizeof *w->named, err);
    return rc;
}

static bool match_is_loose(const struct match_work *w, uint32_t c)
{
    return w->c->loose_count > 0 && !tm_tolerance_none(&w->c->tolerances[c]);
}

/* M9: what version i's values with a tolerance add to its hash. */
static uint64_t match_name(struct match_work *w, size_t i, const uint64_t *values)
{
    size_t count = w->c->loose_count;
    uint64_t hash = 0;
    for (size_t k = 0; k < count; k++) {
        uint32_t c = w->c->loose[k];
        uint64_t *named = &w->named[i * count + k];
        w->held_loose[i * count + k] = *named = values[c];
        if (i > 0 && tm_tolerance_same(&w->c->tolerances[c], values[c], *(named - count)))
            *named = *(named - count);
        hash ^= tm_vhash_mix(c, *named);
    }
    return hash;
}

/* M9: the newest version that the values on display equal, of those committed, else of those to
 * come; what they add to the row's hash by it, or by themselves. */
static uint64_t match_named_by(const struct match_work *w, uint64_t exact)
{
    size_t count = w->c->loose_count;
    uint64_t hash = 0;
    for (size_t n = 0; n < w->versions; n++) {
        int64_t i = (int64_t)n <= w->now ? w->now - (int64_t)n : (int64_t)n;
        size_t k = 0;
        if (w->exact[i] != exact || w->hash[i] == MATCH_ABSENT)
            continue;
        while (k < count &&
               tm_tolerance_same(&w->c->tolerances[w->c->loose[k]],
                                 w->held_loose[(size_t)i * count + k], w->values[w->c->loose[k]]))
            k++;
        if (k < count)
            continue;
        for (k = 0; k < count; k++)
            hash ^= tm_vhash_mix(w->c->loose[k], w->named[(size_t)i * count + k]);
        return hash;
    }
    for (size_t k = 0; k < count; k++)
        hash ^= tm_vhash_mix(w->c->loose[k], w->values[w->c->loose[k]]);
    return hash;
}

/* Every version's row hash, by going through the changes once. */
enum tm_code tm_match_load_versions(struct match_work *w, const struct tm_truth_record *r,
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
            bool loose = match_is_loose(w, c);
            uint64_t value =
                loose ? tm_coverage_value(w->c, t, c, version->delta_first + d) : delta->hash;
            if (!loose)
                hash ^= tm_vhash_mix(c, values[c]) ^ tm_vhash_mix(c, value);
            values[c] = value;
        }
        w->index[i] = v;
        w->exact[i] = hash;
        uint64_t named = hash ^ match_name(w, i, values);
        w->hash[i] = tm_truth_is_gone(version->change) ? MATCH_ABSENT : match_named(named);
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

enum tm_code tm_match_load_obs(struct match_work *w, uint32_t row, struct tm_err *err)
{
    w->obs_count = 0;
    if (row == TM_SHOWN_NONE)
        return TM_OK;
    for (uint32_t o = w->shown->rows[row].first; o != TM_SHOWN_NONE; o = w->shown->obs[o].next) {
        enum tm_code rc =
            tm_match_grow((void **)&w->obs, &w->obs_cap, w->obs_count + 1, sizeof *w->obs, err);
        if (rc != TM_OK)
            return rc;
        w->obs[w->obs_count++] = (struct match_obs){ .o = &w->shown->obs[o],
                                                     .version = MATCH_BEFORE,
                                                     .certain = MATCH_BEFORE };
    }
    return TM_OK;
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

/* The next commit happened: M3, its state may be on display already. `next`: the look to come. */
static void match_commit(struct match_work *w, size_t next)
{
    const struct tm_truth *t = w->truth;
    int64_t i = ++w->now, slowest = (int64_t)w->versions - 1, fastest = slowest;
    const struct tm_truth_version *v = &t->versions[w->index[i]];
    for (uint32_t d = 0; d < v->delta_count; d++) {
        uint32_t c = w->c->from_truth[t->deltas[v->delta_first + d].column];
        if (c != TM_TRUTH_NONE)
            w->at[c] = v->delta_first + d;
    }
    if (w->hash[i] != w->displayed)
        return;
    while (next < w->obs_count && (w->obs[next].shows != SHOWS_WHOLE || w->obs[next].back))
        next++;
    if (next < w->obs_count) {
        slowest = w->obs[next].certain;
        fastest = w->obs[next].version;
    }
    if (i > fastest)
        return; /* an older state is yet to be shown: what is on display is older still */
    tm_match_sample(w, (size_t)i)->flags |= TM_SAMPLE_EXACT;
    for (int64_t k = w->frontier + 1; k <= i; k++) {
        if (w->lo[k] == INT64_MAX)
            w->lo[k] = w->actual_ns[i];
        if (i > slowest || w->hi[k] != INT64_MAX)
            continue;
        w->coincident[k] = true;
        w->hi[k] = w->lo[k] = w->actual_ns[i];
        w->hi_obs[k] = SIZE_MAX - 1 - (size_t)i; /* visible at the commit of version i */
    }
    w->frontier = i <= slowest && i > w->frontier ? i : w->frontier;
}

/* ---- which versions a look can have shown ---- */

static uint64_t match_state(const struct match_work *w, int64_t i)
{
    return i < 0 ? MATCH_ABSENT : w->hash[i];
}

/* With it, those that changed nothing comparable. */
static int64_t match_run(const struct match_work *w, int64_t i)
{
    while (i < w->now && w->hash[i + 1] == match_state(w, i))
        i++;
    return i;
}

/* The oldest version that the look can have shown, when all before it showed the oldest they can:
 * not before the frontier, else one gone back to, else one shown before its stamped commit (a
 * negative sample). False: none. */
static bool match_oldest(struct match_work *w, struct match_obs *o)
{
    int64_t i = w->frontier;
    while (i <= w->now && match_state(w, i) != o->hash)
        i++;
    if (i <= w->now || match_state(w, w->frontier) == o->hash) {
        o->certain = match_run(w, i);
        return true;
    }
    for (i = w->frontier - 1; i >= MATCH_BEFORE; i--)
        if (match_state(w, i) == o->hash) {
            o->certain = i;
            o->back = true;
            return true;
        }
    for (i = w->now + 1; i < (int64_t)w->versions; i++)
        if (w->hash[i] == o->hash) {
            o->certain = i;
            return true;
        }
    return false;
}

/* The newest, when all after it showed the newest they can. */
static int64_t match_newest(const struct match_work *w, const struct match_obs *o, int64_t most)
{
    int64_t i = w->now < most ? w->now : most;
    while (i > o->certain && match_state(w, i) != o->hash)
        i--;
    return i > o->certain ? i : o->certain;
}

static void match_values(struct match_work *w, const struct tm_shown_obs *o)
{
    for (uint32_t d = 0; d < o->delta_count; d++) {
        const struct tm_shown_delta *delta = &w->shown->deltas[o->delta_first + d];
        uint32_t c = w->c->from_shown[delta->column];
        if (c != TM_TRUTH_NONE)
            w->values[c] = delta->hash;
    }
}

static uint64_t match_row(const struct match_work *w, const struct tm_shown_obs *o)
{
    uint64_t hash = 0;
    if ((o->flags & TM_SHOWN_PRESENT) == 0)
        return MATCH_ABSENT;
    for (uint32_t c = 0; c < w->c->count; c++)
        hash ^= match_is_loose(w, c) ? 0 : tm_vhash_mix(c, w->values[c]);
    if (w->c->loose_count > 0)
        hash ^= match_named_by(w, hash);
    return match_named(hash);
}

/* Every look's oldest version going forward, then its newest going backward. */
static void match_explain(struct match_work *w)
{
    int64_t most = (int64_t)w->versions - 1;
    w->now = w->frontier = MATCH_BEFORE;
    memset(w->values, 0, w->c->count * sizeof *w->values);
    for (size_t n = 0; n < w->obs_count; n++) {
        struct match_obs *o = &w->obs[n];
        while (w->now + 1 < (int64_t)w->versions && w->actual_ns[w->now + 1] <= o->o->hi_ns)
            w->now++;
        match_values(w, o->o);
        o->hash = match_row(w, o->o);
        o->shows = SHOWS_WHOLE;
        if ((o->o->flags & TM_SHOWN_PARTIAL) != 0)
            o->shows = SHOWS_PARTIAL;
        else if (!match_oldest(w, o))
            o->shows = SHOWS_MIXED; /* or wrong: match_mixed */
        else if (!o->back)
            w->frontier = o->certain;
        o->now = w->now;
    }
    for (size_t n = w->obs_count; n-- > 0;) {
        struct match_obs *o = &w->obs[n];
        if (o->shows != SHOWS_WHOLE)
            continue;
        w->now = o->now;
        o->version = o->back ? o->certain : match_newest(w, o, most);
        most = o->back ? most : o->version;
    }
}

/* Column c on display is what the delta set. */
static bool match_is_value(const struct match_work *w, uint32_t c, uint32_t delta)
{
    if (!match_is_loose(w, c))
        return w->truth->deltas[delta].hash == w->values[c];
    return tm_tolerance_same(&w->c->tolerances[c], tm_coverage_value(w->c, w->truth, c, delta),
                             w->values[c]);
}

/* Where each shown value comes from: the newest version that set it. Returns SHOWS_WRONG when one
 * was never held. */
static uint8_t match_held(struct match_work *w)
{
    uint8_t shows = SHOWS_MIXED;
    for (uint32_t c = 0; c < w->c->count; c++) {
        uint32_t d = w->at[c], oldest = TM_TRUTH_NONE;
        for (; d != TM_TRUTH_NONE && !match_is_value(w, c, d); d = w->truth->deltas[d].prev)
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

/* Which versions the values come from that changed with an observation of no single version. */
static enum tm_code match_parts(struct match_work *w, const struct match_obs *o, struct tm_err *err)
{
    struct tm_match *m = w->m;
    for (uint32_t d = 0; d < o->o->delta_count; d++) {
        uint32_t c = w->c->from_shown[w->shown->deltas[o->o->delta_first + d].column];
        if (c == TM_TRUTH_NONE)
            continue;
        enum tm_code rc = tm_match_grow((void **)&m->parts, &m->parts_cap, m->parts_count + 1,
                                        sizeof *m->parts, err);
        if (rc != TM_OK)
            return rc;
        m->parts[m->parts_count++] =
            (struct tm_seen_part){ (uint32_t)(o->o - w->shown->obs), c, w->held[c] };
    }
    return TM_OK;
}

static void match_whole(struct match_work *w, size_t obs)
{
    const struct match_obs *o = &w->obs[obs];
    if (o->back)
        w->m->time_travels++;
    if (o->version != o->certain)
        w->m->ambiguous_reads++;
    for (int64_t i = o->version; i >= 0 && (i >= o->certain || w->hash[i] == o->hash); i--)
        if (w->hash[i] == o->hash)
            tm_match_sample(w, (size_t)i)->flags |= TM_SAMPLE_EXACT;
    match_show_up_to(w, o->version, obs, false);
    match_show_up_to(w, o->certain, obs, true);
}

/* The last look shows the state in which the record ended: by then that was shown, whichever of the
 * versions with that state the look was of. */
static void match_end(struct match_work *w, size_t obs)
{
    struct match_obs *o = &w->obs[obs];
    int64_t last = (int64_t)w->versions - 1;
    if (obs + 1 != w->obs_count || last != w->now || last < 0 || w->hash[last] != o->hash)
        return;
    o->certain = last;
    match_show_up_to(w, last, obs, true);
}

static enum tm_code match_observe(struct match_work *w, size_t obs, struct tm_err *err)
{
    struct match_obs *o = &w->obs[obs];
    uint8_t shows = o->shows;
    match_values(w, o->o);
    o->news_first = w->news_count;
    w->displayed = o->hash;
    if (shows == SHOWS_WHOLE) {
        match_whole(w, obs);
        if (!o->back)
            match_end(w, obs);
        return TM_OK;
    }
    match_mixed(w, obs);
    if (shows == SHOWS_PARTIAL)
        o->shows = SHOWS_PARTIAL;
    return match_parts(w, o, err);
}

/* Pass over commits and reads in wall order. */
enum tm_code tm_match_walk(struct match_work *w, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    match_explain(w);
    memset(w->at, 0xff, w->c->count * sizeof *w->at);
    memset(w->values, 0, w->c->count * sizeof *w->values);
    w->now = w->frontier = MATCH_BEFORE;
    w->displayed = MATCH_ABSENT;
    w->news_count = 0;
    for (size_t o = 0; rc == TM_OK && o < w->obs_count; o++) {
        while (w->now < w->obs[o].now)
            match_commit(w, o);
        rc = match_observe(w, o, err);
    }
    while (w->now + 1 < (int64_t)w->versions)
        match_commit(w, w->obs_count);
    return rc;
}
