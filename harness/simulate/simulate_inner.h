/* The driver's own state, and its parts: draw.c decides once, trouble.c lets things go wrong,
 * tally.c counts, simulate.c steps. Nobody else includes this. */
#ifndef TM_SIMULATE_SIMULATE_INNER_H
#define TM_SIMULATE_SIMULATE_INNER_H
#include "simulate/history.h"
#include "simulate/simulate.h"
#include "simulate/witness.h"

/* Which faults a seed has; each either off or at a rate of its own. */
struct tm_sim_swarm {
    double crash, duplicate, refuse, swap, hold, hold_acks, expire, join, poison, read_only;
    unsigned expiries;
    double look; /* not a fault: of a warehouse that has just changed */
};
/* What a seed may have at most, by its size (tm_sim_script_large). */
struct tm_sim_scale {
    int64_t begin_ns, calm_ns; /* before the first commit; between the last one and the calm */
    uint64_t crashes, looks;
    double two_objects, batch; /* chances */
};
struct tm_sim {
    struct tm_sim_world world;
    struct tm_sim_scale scale;
    struct tm_sim_history history;
    struct tm_sim_witness witness;
    struct tm_sim_script *script;
    struct tm_sim_choices *choices; /* of the script */
    struct tm_sim_swarm swarm;
    struct tm_now origin;
    bool calm;
    size_t last; /* station that ran */
    bool look_always, look_never;
    uint64_t steps_max;
    int64_t line;        /* first replay id of the one in force */
    int64_t hold_offset; /* of the partition held; -1 = none */
    const char *hold_topic;
    int32_t hold_partition;
    int64_t lenient_ns; /* when somebody lets narrowed schemas in; TM_NEVER = nobody needs to */
    int64_t live_ns;    /* replay ids go back at last, sources listening or not; TM_NEVER */
    int64_t commit_ns, fault_ns, release_ns, moved_ns, calm_ns, start_ns[TM_SIM_STATIONS_MAX];
    uint64_t moved; /* what `moved_ns` last saw */
    int64_t quiet_ns;
    unsigned told; /* times that it was judged since the calm */
    char last_end[300];
    struct tm_sim_result *result;
};
/* ---- draw ---- */
struct tm_sim_settings tm_sim_draw_settings(struct tm_sim_script *script,
                                            const struct tm_sim_options *options);
struct tm_sim_scale tm_sim_draw_scale(const struct tm_sim_script *script);
void tm_sim_draw_swarm(struct tm_sim *s);
/* Of its first events_count events. */
bool tm_sim_fair(const struct tm_sim_script *script, size_t events_count,
                 const struct tm_sim_settings *set);
/* ---- trouble ---- */
/* Draws what goes wrong now, and when the next time is. */
enum tm_code tm_sim_fault(struct tm_sim *s, struct tm_err *err);
/* What is held back goes on. */
void tm_sim_release(struct tm_sim *s);
void tm_sim_calm(struct tm_sim *s);
void tm_sim_crash(struct tm_sim *s, size_t station, int64_t down_ns);
/* ---- tally ---- */
void tm_sim_count(struct tm_sim *s, size_t stat, uint64_t times);
void tm_sim_count_http(struct tm_sim *s, const struct tm_sim_http *h);
/* What is known at the end only. */
enum tm_code tm_sim_count_end(struct tm_sim *s, struct tm_err *err);
void tm_sim_digest(struct tm_sim *s, uint64_t number);
void tm_sim_digest_topics(struct tm_sim *s);
#endif
