/* match_anomaly: what one record's observations show happening that should not: see
 * check/anomaly.h.
 */
#include "check/match_inner.h"

/* Newest version committed when the observation was read, -1: none. */
static int64_t anomaly_committed(const struct match_work *w, const struct match_obs *o,
                                 int64_t from)
{
    while (from + 1 < (int64_t)w->versions && w->actual_ns[from + 1] <= o->o->hi_ns)
        from++;
    return from;
}

/* The newest version in (after, upto] that deleted the record; -1: none. */
static int64_t anomaly_gone(const struct match_work *w, int64_t after, int64_t upto)
{
    for (int64_t i = upto; i > after && i >= 0; i--)
        if (w->hash[i] == MATCH_ABSENT)
            return i;
    return MATCH_BEFORE;
}

static bool anomaly_live(const struct match_work *w, int64_t after, int64_t upto)
{
    for (int64_t i = upto; i > after && i >= 0; i--)
        if (w->hash[i] != MATCH_ABSENT)
            return true;
    return false;
}

static void anomaly_seen(struct match_work *w, enum tm_anomaly_kind kind, uint32_t record,
                         uint32_t row, int64_t version)
{
    uint32_t v = version >= 0 && record != TM_TRUTH_NONE ? w->index[version] : TM_TRUTH_NONE;
    tm_anomaly_seen(&w->m->anomalies[kind], w->truth, record, row, v);
}

void tm_match_anomalies(struct match_work *w, uint32_t record, uint32_t row)
{
    bool present = false;
    int64_t now = MATCH_BEFORE, gone = MATCH_BEFORE; /* gone: deletes up to it were shown */
    int64_t whole = MATCH_BEFORE; /* versions up to it were shown, the last as a whole row */
    for (size_t n = 0; n < w->obs_count; n++) {
        const struct match_obs *o = &w->obs[n];
        bool here = (o->o->flags & TM_SHOWN_PRESENT) != 0;
        now = anomaly_committed(w, o, now);
        /* a live version since the delete that was shown: the row may be that one, late */
        bool live = anomaly_live(w, gone, now);
        bool dead = now < 0 || w->hash[now] == MATCH_ABSENT; /* the org does not have it now */
        bool resurrected = here && !present && n > 0 && gone >= 0 && dead && !live;
        if (resurrected)
            anomaly_seen(w, TM_ANOMALY_RESURRECTED, record, row, now);
        if (here && o->back && !resurrected)
            anomaly_seen(w, TM_ANOMALY_TIME_TRAVEL, record, row, o->version);
        if (here && o->shows == SHOWS_WRONG && record != TM_TRUTH_NONE)
            anomaly_seen(w, TM_ANOMALY_NEVER_EXISTED, record, row, now);
        if (!here && present && !dead && anomaly_gone(w, whole, now) == MATCH_BEFORE)
            anomaly_seen(w, TM_ANOMALY_FALSE_DELETE, record, row, now);
        if (!here && o->shows == SHOWS_WHOLE && o->certain > gone)
            gone = o->certain;
        if (here && o->shows == SHOWS_WHOLE && o->certain > whole)
            whole = o->certain;
        present = here;
    }
}
