#include "check/cause.h"
#include <string.h>

/* Had another change of v's second been committed by until_ms, when the poll was done looking? */
static bool cause_tie(const struct tm_truth *truth, uint32_t v, int64_t until_ms)
{
    const struct tm_truth_version *last = &truth->versions[v];
    int64_t second_ms = last->org_ms - last->org_ms % 1000;
    uint8_t object = truth->records[last->record].object;
    for (uint32_t i = v; i-- > 0 && truth->versions[i].org_ms >= second_ms;) {
        const struct tm_truth_version *older = &truth->versions[i];
        if (older->org_ms < last->org_ms && older->org_ms <= until_ms &&
            truth->records[older->record].object == object)
            return true;
    }
    return false;
}

const char *tm_cause_of(const struct tm_truth *truth, const struct tm_match *m,
                        const struct tm_timing *t, const struct tm_plan_pipeline *p,
                        int64_t index_lag_ms, uint32_t record)
{
    int object = -1;
    bool looked = false, tie = false;
    if (p->kind != TM_PIPELINE_BATCH || record == TM_TRUTH_NONE)
        return NULL;
    uint32_t v = truth->records[record].last;
    const struct tm_truth_version *last = &truth->versions[v];
    bool gone = tm_truth_is_gone(last->change);
    if (gone && (p->carries & (1u << last->change)) == 0)
        return "delete_not_carried";
    for (size_t i = 0; i < m->coverage_count; i++)
        if (m->coverage[i].truth == truth->records[record].object)
            object = m->coverage[i].shown;
    for (size_t i = 0; i < t->polls_count; i++) {
        const struct tm_poll *poll = &t->polls[i];
        int64_t from_ms = poll->started_org_ms - index_lag_ms,
                until_ms = tm_timing_org_us(t, poll->finished_ns) / 1000 - index_lag_ms;
        /* getDeleted tells of no row that is there */
        if (poll->object != object || poll->grid_ms == INT64_MIN ||
            (!gone && strcmp(poll->mode, "deleted") == 0))
            continue;
        looked |= from_ms >= last->org_ms;
        tie |= !gone && from_ms < last->org_ms && cause_tie(truth, v, until_ms);
    }
    if (tie)
        return "same_second";
    return looked ? "not_explained" : "after_last_poll";
}
