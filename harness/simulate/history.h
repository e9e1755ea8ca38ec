/* history: what happens in the simulated org: a few records, changed through the org's own commit,
 * skewed to what hurts: same-second commits, delete and undelete, merged events, gaps, overflow,
 * conversion, nulls, diffs, merges, lead conversions, records that vanish under a gap, fields that
 * come, go, come back, change their type, are hidden and shown again, events that expire, replay
 * ids that go back. in: a script: one that is given, or one being drawn from a seed, which then
 * tells what was committed; out: commits. Which kinds a history has, and how often, is drawn once
 * (swarm). */
#ifndef TM_SIMULATE_HISTORY_H
#define TM_SIMULATE_HISTORY_H
#include "base/rng.h"
#include "simulate/script.h"
#include "simulate/stats.h"
#include "simulate/world.h"

#define TM_SIM_RECORDS_MAX 24
struct tm_sim_record {
    size_t object;
    enum tm_org_state state;
    char id[TM_ID_BYTES];
    char name[48];  /* to be created again by; "" = too long to tell */
    int64_t gap_ms; /* of its last gap; 0 = none */
};
/* What a history's changes of fields are about: most need two of them, one after the other. */
enum tm_sim_theme {
    TM_SIM_THEME_ANY,
    TM_SIM_THEME_BACK,   /* a field goes and comes back */
    TM_SIM_THEME_NUMBER, /* a number has decimals and loses them */
    TM_SIM_THEME_KIND    /* a number becomes text and one again */
};
struct tm_sim_history {
    struct tm_rng rng;
    struct tm_org *org;           /* borrowed */
    struct tm_sim_script *script; /* borrowed */
    size_t event;                 /* of a given script: the next */
    int64_t pause_ms;             /* before the next */
    const char *const *objects;
    size_t objects_count;
    struct tm_sim_record records[TM_SIM_RECORDS_MAX];
    size_t records_count;
    unsigned announce[7]; /* weight of each enum tm_org_announce */
    unsigned kinds[5];    /* weight of each enum tm_org_kind */
    double null, same_ms, same_second, schema, vanish, merge, forget, lead, hide, restart;
    double stick, revive; /* the record changed last is changed again; one in the bin comes back */
    enum tm_sim_theme theme; /* of the changes of fields */
    bool audited;            /* what no event tells is found all the same */
    unsigned schema_changes;
    bool again;         /* the next change is an update of last_record */
    bool stays;         /* this change is of last_record, if it can be */
    size_t last_record; /* changed last, and how that was announced; records_count = none */
    enum tm_org_announce last_announce;
    bool large;              /* script.h */
    size_t left;             /* being drawn: transactions still to come */
    size_t records_max;      /* being drawn: records that there ever are */
    uint64_t value, commits; /* number of the last value written; of transactions */
    unsigned fields_added;
    bool removed[TM_SIM_OBJECTS_MAX];                    /* Old__c is gone */
    char hidden[TM_SIM_OBJECTS_MAX][TM_SIM_FIELD_BYTES]; /* one field at most; "" = none */
    bool picklist;                                       /* Stage__c is one */
    bool decimals, textual;                              /* Seats__c may have some; is text */
    bool same_columns; /* no number changes its type, which gives it another column */
    unsigned restarts; /* how often replay ids went back */
    /* for the driver, which clears them: events have just expired; replay ids went back; a schema
     * is now one that the registry will refuse */
    bool forgot, restarted, restart_live, narrowed;
    struct tm_sim_stats *stats; /* borrowed */
    int64_t org_ms;             /* of the last commit */
};
enum tm_code tm_sim_history_init(struct tm_sim_history *h, struct tm_sim_script *script,
                                 struct tm_org *org, const char *const *objects,
                                 size_t objects_count, struct tm_sim_stats *stats,
                                 struct tm_err *err);
/* What a seed's settings allow. audited: whole reads are made now and then; sees_all: the user may
 * see every record. Before populate. */
void tm_sim_history_within(struct tm_sim_history *h, bool audited, bool sees_all);
/* Records that were there before anybody listened. */
enum tm_code tm_sim_history_populate(struct tm_sim_history *h, struct tm_err *err);
/* Org time from now until the next transaction. */
int64_t tm_sim_history_pause_ms(struct tm_sim_history *h);
bool tm_sim_history_more(const struct tm_sim_history *h);
/* The run has ended before its history, so the script ends with an empty event: that there was one
 * to come, and when, is part of the run. */
enum tm_code tm_sim_history_cut(struct tm_sim_history *h, int64_t now_org_ms, struct tm_err *err);
/* One transaction, or one change of an object's fields. */
enum tm_code tm_sim_history_next(struct tm_sim_history *h, int64_t now_org_ms, struct tm_err *err);
#endif
