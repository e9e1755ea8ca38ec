/* simulate: the second driver of the stations, beside `tidemark run`: every streaming station and
 * the mock Salesforce in one thread under a virtual clock. A seeded scheduler picks who runs next;
 * faults are drawn per seed: lost and repeated HTTP answers, 5xx, slow and hanging exchanges, torn
 * answers, expired tokens, duplicated, delayed, reordered, refused and unreadable records, late
 * acknowledgements, rebalances, a registry that refuses, crashes at any step. in: a seed; out: what
 * happened, and the first broken rule. Same seed and build: the same result, byte for byte.
 *
 *   RUN: commits, faults, looks in flight ─last commit→ CALM: no more faults
 *        whenever all events are in raw.db: what is not flagged is as the org, unless
 *        something happened that no event tells
 *        CALM ─nothing moves for QUIET→ compared (R13, no dirt); a difference counts only when it
 * is still there after QUIET_LONG, when the longest timer has run out
 *
 * Not simulated: SQLite errors (fault suites have those). */
#ifndef TM_SIMULATE_SIMULATE_H
#define TM_SIMULATE_SIMULATE_H
#include "simulate/compare.h"
#include "simulate/script.h"
#include "simulate/stats.h"

struct tm_sim_result {
    uint64_t seed, digest /* of every step and record */, steps, commits, records, faults, crashes,
        ended, looks, told /* times that all events were there, and what they tell was judged */,
        at_commits, at_commits_equal; /* see witness.h */
    int64_t virtual_ms;
    struct tm_sim_stats stats;
    struct tm_sim_finding finding;
};
struct tm_sim_own;
struct tm_sim_options {
    /* Called before the world is taken down, while all its databases can be read; may find
     * something; may be NULL. */
    enum tm_code (*at_end)(void *self, struct tm_sim_world *w, struct tm_sim_result *r,
                           struct tm_err *err);
    void *at_end_self;
    const struct tm_sim_own *own; /* at_end_self, where it is this; borrowed; NULL = none */
    const char *
        dir; /* a scratch folder of this process's own; its databases are made anew for each seed */
    bool look_always;     /* in flight, whenever a warehouse has changed */
    bool look_never;      /* only at rest */
    uint64_t steps_max;   /* who has found nothing by then finds nothing; 0 = as many as it takes */
    bool views_installed; /* as in struct tm_sim_settings; so they are wherever at_end is given */
    const char *planted_from, *planted_to; /* as in struct tm_sim_settings */
};
/* An error is our own fault; a broken rule is in out->finding. The script is run if it is given,
 * else drawn while it runs, and then tells the run. */
enum tm_code tm_simulate_script(struct tm_sim_result *out, struct tm_sim_script *script,
                                const struct tm_sim_options *options, struct tm_err *err);
/* The run that the seed draws. */
enum tm_code tm_simulate(struct tm_sim_result *out, uint64_t seed,
                         const struct tm_sim_options *options, struct tm_err *err);
#endif
