#include "check/match_inner.h"
#include "base/clock.h"

int64_t tm_timing_wall_ns(const struct tm_timing *t, int64_t org_ms)
{
    return t->wall_origin_ns + (org_ms - t->org_origin_ms) * TM_NS_PER_MS / t->compress;
}

int64_t tm_timing_org_us(const struct tm_timing *t, int64_t wall_ns)
{
    int64_t since_ns = wall_ns - t->wall_origin_ns;
    return t->org_origin_ms * 1000 + (since_ns < 0 ? 0 : since_ns / 1000 * t->compress);
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

/* External: the start that was under way when the row was read, or the last one before. */
static uint32_t match_start(const struct tm_timing *t, int64_t at_ns)
{
    size_t first = 0, last = t->polls_count;
    while (first < last) {
        size_t middle = (first + last) / 2;
        if (t->polls[middle].started_ns <= at_ns)
            first = middle + 1;
        else
            last = middle;
    }
    return first == 0 ? TM_TRUTH_NONE : (uint32_t)first - 1;
}

/* M4 of an external pipeline that nobody starts here: when it looks is not known. */
static void match_time_unknown(const struct match_work *w, size_t i, int64_t hi_ns,
                               struct tm_sample *s)
{
    const struct tm_truth_version *v = &w->truth->versions[w->index[i]];
    s->visible_us = tm_timing_org_us(w->timing, hi_ns);
    if (s->visible_us < v->intended_ms * 1000)
        s->visible_us = v->intended_ms * 1000;
    s->wait_us = s->visible_us - v->intended_ms * 1000;
    s->work_ns = 0;
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
    } else if (with > i && w->truth->versions[w->index[with]].intended_ns != INT64_MIN) {
        const struct tm_truth_version *c = &w->truth->versions[w->index[with]];
        int64_t start_ns = c->intended_ns + t->delay_ms * TM_NS_PER_MS / t->compress;
        s->work_ns = hi_ns - start_ns;
        s->visible_us = (c->intended_ms + t->delay_ms) * 1000 + s->work_ns / 1000;
    } else if (with < i && tm_match_sample(w, with)->visible_us != INT64_MAX) {
        s->visible_us = tm_match_sample(w, with)->visible_us;
    }
    if (s->visible_us < v->intended_ms * 1000)
        s->visible_us = v->intended_ms * 1000;
    s->wait_us = s->visible_us - v->intended_ms * 1000 - s->work_ns / 1000;
}

/* M3: visible with the commit that made it so, but not before what it rides on: behind a late
 * generator that commit was planned for before the display was there. */
static int64_t match_time_coincident(const struct match_work *w, size_t i)
{
    size_t with = SIZE_MAX - 1 - w->hi_obs[i]; /* see match_commit */
    return w->commit_us[with] < w->visible_us_max ? w->visible_us_max : w->commit_us[with];
}

static void match_time_one(struct match_work *w, size_t i)
{
    const struct tm_timing *t = w->timing;
    const struct tm_truth_version *v = &w->truth->versions[w->index[i]];
    struct tm_sample *s = tm_match_sample(w, i);
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
        s->flags |= TM_SAMPLE_COINCIDENT;
        s->visible_us = match_time_coincident(w, i);
        return;
    }
    const struct tm_shown_obs *o = w->obs[w->hi_obs[i]].o;
    int64_t start_ms = v->intended_ms, start_ns = v->intended_ns;
    s->read = o->read;
    if (w->lo[i] < o->lo_ns)
        s->flags |= TM_SAMPLE_AMBIGUOUS;
    if (t->kind == TM_PIPELINE_EXTERNAL && t->polls_count == 0) {
        match_time_unknown(w, i, o->hi_ns, s);
        return;
    }
    if (t->kind == TM_PIPELINE_STREAM) {
        start_ms += t->delay_ms;
        start_ns += t->delay_ms * TM_NS_PER_MS / t->compress;
    } else {
        s->poll = t->kind == TM_PIPELINE_BATCH ? match_poll(w, o) : match_start(t, o->hi_ns);
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

void tm_match_times(struct match_work *w)
{
    w->visible_us_max = INT64_MIN;
    for (size_t i = 0; i < w->versions; i++) {
        match_time_one(w, i);
        int64_t us = tm_match_sample(w, i)->visible_us;
        if (us != INT64_MAX && us > w->visible_us_max)
            w->visible_us_max = us;
    }
}

/* The grid point of the newest poll of the same object that was due by `at_ns`; INT64_MIN: none. */
static int64_t match_grid_before(const struct tm_timing *t, uint32_t poll, int64_t at_ns)
{
    for (uint32_t i = poll + 1; i-- > 0;) {
        const struct tm_poll *p = &t->polls[i];
        if (t->kind == TM_PIPELINE_BATCH && p->object != t->polls[poll].object)
            break;
        if (p->grid_ms != INT64_MIN && tm_timing_wall_ns(t, p->grid_ms) <= at_ns)
            return p->grid_ms;
    }
    return INT64_MIN;
}

int64_t tm_timing_low_us(const struct tm_timing *t, const struct tm_truth_version *v,
                         const struct tm_sample *s)
{
    int64_t commit_us = v->intended_ms * 1000, low_us;
    if ((s->flags & TM_SAMPLE_AMBIGUOUS) == 0)
        return s->visible_us;
    if (t->kind == TM_PIPELINE_STREAM)
        return s->visible_us - (s->hi_ns - s->lo_ns) / 1000;
    int64_t grid_ms =
        s->poll == TM_TRUTH_NONE ? INT64_MIN : match_grid_before(t, s->poll, s->lo_ns);
    if (grid_ms > v->intended_ms)
        low_us = grid_ms * 1000 + (s->lo_ns - tm_timing_wall_ns(t, grid_ms)) / 1000;
    else /* the commit of an equal state, which was on display already */
        low_us = tm_timing_org_us(t, s->lo_ns);
    low_us = low_us < commit_us ? commit_us : low_us;
    return low_us < s->visible_us ? low_us : s->visible_us;
}

/* M5: where on the org timeline a read belongs that shows nothing for the first time. */
static int64_t match_place(struct match_work *w, const struct tm_shown_obs *o)
{
    const struct tm_timing *t = w->timing;
    int64_t place = INT64_MIN;
    if (o->hi_ns <= t->wall_origin_ns)
        return t->start_us;
    if (t->kind == TM_PIPELINE_EXTERNAL && t->polls_count == 0)
        return tm_timing_org_us(t, o->hi_ns);
    if (t->kind != TM_PIPELINE_STREAM) {
        uint32_t poll = t->kind == TM_PIPELINE_BATCH ? match_poll(w, o) : match_start(t, o->hi_ns);
        if (poll != TM_TRUTH_NONE && t->polls[poll].grid_ms != INT64_MIN)
            return t->polls[poll].grid_ms * 1000 +
                   (o->hi_ns - tm_timing_wall_ns(t, t->polls[poll].grid_ms)) / 1000;
    }
    for (size_t i = w->first_counted; i < w->versions; i++) {
        const struct tm_truth_version *v = &w->truth->versions[w->index[i]];
        if (v->intended_ns == INT64_MIN)
            continue; /* nobody planned it */
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
        const struct tm_sample *s = tm_match_sample(w, (size_t)i);
        if ((s->flags & TM_SAMPLE_SEEN) == 0 || s->visible_us <= us)
            continue;
        us = s->visible_us;
        w->unordered = true;
    }
    return us;
}

static enum tm_code match_event(struct match_work *w, int64_t us, int64_t version, size_t obs,
                                uint8_t kind, struct tm_err *err)
{
    enum tm_code rc = tm_match_grow((void **)&w->events, &w->events_cap, w->events_count + 1,
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
enum tm_code tm_match_timeline(struct match_work *w, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    w->events_count = 0;
    w->unordered = false;
    for (size_t n = 0; rc == TM_OK && n < w->obs_count; n++) {
        const struct match_obs *o = &w->obs[n];
        int64_t newest = MATCH_BEFORE - 1, us = INT64_MIN;
        for (size_t k = 0; rc == TM_OK && k < o->news_count; k++) {
            uint32_t i = w->news[o->news_first + k];
            const struct tm_sample *s = tm_match_sample(w, i);
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
