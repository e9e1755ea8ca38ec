/* stats: what a simulated run was made of: how often each kind of event happened in the org, and
 * each kind of fault struck. in: counts, as they happen; out: over many runs, how many had each
 * kind. A kind that no run has is a hole in the simulation (tests/unit_simulate.c). Pure. */
#ifndef TM_SIMULATE_STATS_H
#define TM_SIMULATE_STATS_H
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

enum tm_sim_stat {
    /* events of the history */
    TM_SIM_STAT_CREATE,
    TM_SIM_STAT_UPDATE,
    TM_SIM_STAT_DELETE,
    TM_SIM_STAT_UNDELETE,
    TM_SIM_STAT_RECREATE, /* a new record under the name of one that was deleted */
    TM_SIM_STAT_HARD_DELETE,
    TM_SIM_STAT_SAME_INSTANT,
    TM_SIM_STAT_SAME_SECOND,
    TM_SIM_STAT_MERGED_SPLIT, /* an event of several records; the source makes one row a record */
    TM_SIM_STAT_MERGED_KEPT,  /* the same as one row */
    TM_SIM_STAT_GAP_CREATE,
    TM_SIM_STAT_GAP_UPDATE,
    TM_SIM_STAT_GAP_DELETE,
    TM_SIM_STAT_GAP_UNDELETE,
    TM_SIM_STAT_GAP_OVER_GAP, /* within SIM_GAPS_MS of the one before, of the same record */
    TM_SIM_STAT_OVERFLOW,
    TM_SIM_STAT_DIFF,
    TM_SIM_STAT_CONVERSION,
    TM_SIM_STAT_SILENT,
    TM_SIM_STAT_VANISH,
    TM_SIM_STAT_NULL,
    TM_SIM_STAT_EMPTY_TEXT,
    TM_SIM_STAT_COMPOUND_PART,
    TM_SIM_STAT_LONG_TEXT,
    TM_SIM_STAT_MERGE,
    TM_SIM_STAT_LEAD_CONVERSION,
    TM_SIM_STAT_FIELD_ADD,
    TM_SIM_STAT_FIELD_REMOVE,
    TM_SIM_STAT_FIELD_BACK, /* one that was removed before */
    TM_SIM_STAT_FIELD_RETYPE,
    TM_SIM_STAT_FIELD_WIDEN,
    TM_SIM_STAT_FIELD_NARROW,
    TM_SIM_STAT_FIELD_TEXT, /* incompatible: a column of its own */
    TM_SIM_STAT_FIELD_NUMBER,
    TM_SIM_STAT_FIELD_HIDE,
    TM_SIM_STAT_FIELD_SHOW,
    TM_SIM_STAT_HIDDEN_SET, /* a change of a hidden field */
    TM_SIM_STAT_FORGET,
    TM_SIM_STAT_RESTART,
    TM_SIM_STAT_RESTART_LIVE,
    TM_SIM_STAT_EPOCH, /* a source began one: R15 was met */
    TM_SIM_STAT_UNREADABLE,
    /* faults that struck */
    TM_SIM_STAT_REQUEST_LOST,
    TM_SIM_STAT_HANG,
    TM_SIM_STAT_REFUSED,
    TM_SIM_STAT_REPEATED,
    TM_SIM_STAT_ANSWER_LOST_KNOWN,
    TM_SIM_STAT_ANSWER_LOST,
    TM_SIM_STAT_TORN,
    TM_SIM_STAT_SLOW,
    TM_SIM_STAT_EXPIRED,
    TM_SIM_STAT_DUPLICATED,
    TM_SIM_STAT_PRODUCE_REFUSED,
    TM_SIM_STAT_SWAPPED,
    TM_SIM_STAT_HELD,
    TM_SIM_STAT_ACKS_HELD,
    TM_SIM_STAT_REBALANCE,
    TM_SIM_STAT_POISON,
    TM_SIM_STAT_REGISTRY_REFUSED,
    TM_SIM_STAT_CRASH_SOURCE, /* in the order of enum tm_sim_kind */
    TM_SIM_STAT_CRASH_GAP,
    TM_SIM_STAT_CRASH_RECONCILE,
    TM_SIM_STAT_CRASH_SINK,
    TM_SIM_STAT_CRASH_VIEW,
    TM_SIM_STAT_CRASH_BATCH,
    TM_SIM_STATS
};
#define TM_SIM_STAT_FIRST_FAULT TM_SIM_STAT_REQUEST_LOST
#define TM_SIM_STAT_SEEDS 10000 /* as many runs have every kind, or the simulation is at fault */
struct tm_sim_stats {
    uint32_t count[TM_SIM_STATS]; /* of one run: how often; of many: how many runs had it */
};
/* One more run. */
void tm_sim_stats_add(struct tm_sim_stats *runs, const struct tm_sim_stats *run);
/* As a person says it: "gap over gap". */
const char *tm_sim_stat_name(enum tm_sim_stat s);
#endif
