#include "simulate/stats.h"
#include <assert.h>

const char *tm_sim_stat_name(enum tm_sim_stat s)
{
    static const char *const names[] = {
        [TM_SIM_STAT_CREATE] = "create",
        [TM_SIM_STAT_UPDATE] = "update",
        [TM_SIM_STAT_DELETE] = "delete",
        [TM_SIM_STAT_UNDELETE] = "undelete",
        [TM_SIM_STAT_RECREATE] = "re-create",
        [TM_SIM_STAT_HARD_DELETE] = "hard delete",
        [TM_SIM_STAT_SAME_INSTANT] = "same instant",
        [TM_SIM_STAT_SAME_SECOND] = "same second",
        [TM_SIM_STAT_MERGED_SPLIT] = "merged event, split",
        [TM_SIM_STAT_MERGED_KEPT] = "merged event, kept",
        [TM_SIM_STAT_GAP_CREATE] = "gap create",
        [TM_SIM_STAT_GAP_UPDATE] = "gap update",
        [TM_SIM_STAT_GAP_DELETE] = "gap delete",
        [TM_SIM_STAT_GAP_UNDELETE] = "gap undelete",
        [TM_SIM_STAT_GAP_OVER_GAP] = "gap over gap",
        [TM_SIM_STAT_OVERFLOW] = "overflow",
        [TM_SIM_STAT_DIFF] = "long text as a diff",
        [TM_SIM_STAT_CONVERSION] = "type conversion",
        [TM_SIM_STAT_SILENT] = "change without an event",
        [TM_SIM_STAT_VANISH] = "gone under its gap",
        [TM_SIM_STAT_NULL] = "null",
        [TM_SIM_STAT_EMPTY_TEXT] = "empty text",
        [TM_SIM_STAT_COMPOUND_PART] = "compound part",
        [TM_SIM_STAT_LONG_TEXT] = "long text",
        [TM_SIM_STAT_MERGE] = "records merged",
        [TM_SIM_STAT_LEAD_CONVERSION] = "lead conversion",
        [TM_SIM_STAT_FIELD_ADD] = "field added",
        [TM_SIM_STAT_FIELD_REMOVE] = "field removed",
        [TM_SIM_STAT_FIELD_BACK] = "field back",
        [TM_SIM_STAT_FIELD_RETYPE] = "field retyped",
        [TM_SIM_STAT_FIELD_WIDEN] = "number widened",
        [TM_SIM_STAT_FIELD_NARROW] = "number narrowed",
        [TM_SIM_STAT_FIELD_TEXT] = "number to text",
        [TM_SIM_STAT_FIELD_NUMBER] = "text to number",
        [TM_SIM_STAT_FIELD_HIDE] = "field hidden",
        [TM_SIM_STAT_FIELD_SHOW] = "field shown again",
        [TM_SIM_STAT_HIDDEN_SET] = "hidden field changed",
        [TM_SIM_STAT_FORGET] = "retention expired",
        [TM_SIM_STAT_RESTART] = "replay ids went back",
        [TM_SIM_STAT_RESTART_LIVE] = "replay ids went back, live",
        [TM_SIM_STAT_EPOCH] = "new epoch",
        [TM_SIM_STAT_UNREADABLE] = "unreadable",
        [TM_SIM_STAT_REQUEST_LOST] = "request lost",
        [TM_SIM_STAT_HANG] = "never answered",
        [TM_SIM_STAT_REFUSED] = "503",
        [TM_SIM_STAT_REPEATED] = "request repeated",
        [TM_SIM_STAT_ANSWER_LOST_KNOWN] = "answer lost, server knows",
        [TM_SIM_STAT_ANSWER_LOST] = "answer lost",
        [TM_SIM_STAT_TORN] = "answer torn",
        [TM_SIM_STAT_SLOW] = "slow",
        [TM_SIM_STAT_EXPIRED] = "tokens expired",
        [TM_SIM_STAT_DUPLICATED] = "record duplicated",
        [TM_SIM_STAT_PRODUCE_REFUSED] = "produce refused",
        [TM_SIM_STAT_SWAPPED] = "records reordered",
        [TM_SIM_STAT_HELD] = "records delayed",
        [TM_SIM_STAT_ACKS_HELD] = "acknowledgements late",
        [TM_SIM_STAT_REBALANCE] = "rebalance",
        [TM_SIM_STAT_POISON] = "unreadable record",
        [TM_SIM_STAT_REGISTRY_REFUSED] = "registry refused",
        [TM_SIM_STAT_CRASH_SOURCE] = "source crashed",
        [TM_SIM_STAT_CRASH_GAP] = "gap crashed",
        [TM_SIM_STAT_CRASH_RECONCILE] = "reconcile crashed",
        [TM_SIM_STAT_CRASH_SINK] = "sink crashed",
        [TM_SIM_STAT_CRASH_VIEW] = "view crashed",
        [TM_SIM_STAT_CRASH_BATCH] = "batch crashed",
    };
    static_assert(sizeof names / sizeof names[0] == TM_SIM_STATS, "a name for every kind");
    assert(s < TM_SIM_STATS);
    return names[s];
}

void tm_sim_stats_add(struct tm_sim_stats *runs, const struct tm_sim_stats *run)
{
    for (size_t i = 0; i < TM_SIM_STATS; i++)
        runs->count[i] += run->count[i] > 0;
}
