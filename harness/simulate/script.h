/* script: one simulated run in full: what happens in the org, one event after the other, and every
 * unusual decision about the rest. in: a seed, which draws it while it runs, or a script, which may
 * lose any event, change, field or decision and is still a run: what no longer fits (an update of a
 * record that was never created) is left out. So a script can be shrunk. Owner: whoever made it. */
#ifndef TM_SIMULATE_SCRIPT_H
#define TM_SIMULATE_SCRIPT_H
#include "mocks/salesforce/org.h"
#include "simulate/choice.h"

#define TM_SIM_FIELD_BYTES 48
enum tm_sim_event_kind {
    TM_SIM_TXN,
    TM_SIM_FIELD_ADD,
    TM_SIM_FIELD_REMOVE,
    TM_SIM_FIELD_RETYPE, /* text to picklist or back */
    TM_SIM_FIELD_WIDEN,  /* whole numbers to numbers with decimals: values stay, no event */
    TM_SIM_FIELD_NARROW, /* and back: decimals are cut off, a conversion event, and a schema that
                            the registry refuses until somebody lets it in */
    TM_SIM_FIELD_TEXT,   /* whole numbers to text, and */
    TM_SIM_FIELD_NUMBER, /* text to whole numbers, or null: as above, and a column of its own */
    TM_SIM_FIELD_HIDE,   /* field-level security: the user no longer sees it */
    TM_SIM_FIELD_SHOW,
    TM_SIM_FORGET,      /* the sources were away for days: what is published can no longer be
                           replayed (R15) */
    TM_SIM_RESTART,     /* the org was restored or moved, the sources away: replay ids go back */
    TM_SIM_RESTART_LIVE /* the same, their subscriptions going on: the next event tells (R15) */
};
struct tm_sim_set {
    char field[TM_SIM_FIELD_BYTES];
    struct tm_org_value value; /* text owned */
};
struct tm_sim_change {
    enum tm_org_kind kind;
    enum tm_org_announce announce;
    size_t record;        /* slot in the history's list of records */
    char id[TM_ID_BYTES]; /* once it has happened */
    size_t object;
    struct tm_sim_set *sets;
    size_t sets_count;
};
struct tm_sim_event {
    enum tm_sim_event_kind kind;
    bool before;      /* there before anybody listened */
    bool vanish;      /* at the same instant its records go for good, and no event says so */
    int64_t pause_ms; /* org time after the event before it */
    int64_t org_ms;   /* when it happened */
    size_t object;    /* of a field */
    char field[TM_SIM_FIELD_BYTES];
    struct tm_sim_change *changes;
    size_t changes_count;
};
struct tm_sim_script {
    uint64_t seed;
    struct tm_sim_choices choices;
    struct tm_sim_event *events;
    size_t events_count, events_cap;
};
void tm_sim_script_draw(struct tm_sim_script *s, uint64_t seed);
/* Most seeds are small: a handful of transactions on a few records, with little time between them.
 * A history of that size finds most of what a large one does at a fraction of the cost; every
 * TM_SIM_LARGE_EACH-th, as chance has it, is large, for what needs many. */
#define TM_SIM_LARGE_EACH 8
bool tm_sim_script_large(const struct tm_sim_script *s);
/* A script of its own that says the same, its decisions given. */
enum tm_code tm_sim_script_copy(struct tm_sim_script *out, const struct tm_sim_script *from,
                                struct tm_err *err);
void tm_sim_script_free(struct tm_sim_script *s);
/* An empty event at the end; NULL = out of memory. */
struct tm_sim_event *tm_sim_script_event(struct tm_sim_script *s);
/* Copies `sets`. */
enum tm_code tm_sim_event_change(struct tm_sim_event *e, const struct tm_org_change *change,
                                 size_t object, size_t record, struct tm_err *err);
/* For shrinking: the script without some of its parts. */
void tm_sim_script_drop_event(struct tm_sim_script *s, size_t event);
void tm_sim_event_drop_change(struct tm_sim_event *e, size_t change);
void tm_sim_change_drop_set(struct tm_sim_change *c, size_t set);
#endif
