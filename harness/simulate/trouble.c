/* trouble: what befalls the broker, the registry, the sign-in and the stations, and its end. What
 * befalls single exchanges is http's. */
#include "simulate/simulate_inner.h"
#include <string.h>

void tm_sim_release(struct tm_sim *s)
{
    struct tm_sim_world *w = &s->world;
    if (s->hold_offset >= 0 &&
        tm_mem_high(w->broker, s->hold_topic, s->hold_partition) > s->hold_offset)
        tm_sim_count(s, TM_SIM_STAT_HELD, 1);
    s->hold_offset = -1;
    tm_mock_registry_read_only(w->schemas, false);
    for (size_t i = 0; i < w->set.objects_count * 3; i++)
        for (int32_t p = 0; p < w->set.partitions; p++)
            tm_mem_hold(w->broker, w->sink_topics[i], p, -1);
    tm_mem_hold_acks(w->broker, false);
    tm_sim_world_leave(w);
    for (size_t i = 0; i < w->stations_count; i++) /* their descriptors would become readable */
        w->stations[i].run_ns = w->now.wall_ns;
    s->release_ns = TM_NEVER;
}

enum tm_code tm_sim_fault(struct tm_sim *s, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    struct tm_sim_world *w = &s->world;
    struct tm_sim_choices *c = s->choices;
    const size_t at = TM_SIM_AT_BROKER;
    size_t topics_count = w->set.objects_count * 3;
    const char *topic = w->sink_topics[tm_sim_between(c, at, 0, (int64_t)topics_count - 1)];
    int32_t partition = (int32_t)tm_sim_between(c, at, 0, w->set.partitions - 1);
    unsigned count = (unsigned)tm_sim_between(c, at, 1, 4);
    int64_t until_ns = w->now.wall_ns + tm_sim_between(c, at, 0, 12 * TM_NS_PER_S);
    bool duplicate = tm_sim_chance(c, at, s->swarm.duplicate),
         refuse = tm_sim_chance(c, at, s->swarm.refuse),
         expire = tm_sim_chance(c, at, s->swarm.expire) && s->swarm.expiries > 0,
         hold = tm_sim_chance(c, at, s->swarm.hold) && s->release_ns == TM_NEVER,
         hold_acks = tm_sim_chance(c, at, s->swarm.hold_acks) && s->release_ns == TM_NEVER,
         join = tm_sim_chance(c, at, s->swarm.join) && s->release_ns == TM_NEVER,
         poison = tm_sim_chance(c, at, s->swarm.poison), swap = tm_sim_chance(c, at, s->swarm.swap),
         read_only = tm_sim_chance(c, at, s->swarm.read_only) && s->release_ns == TM_NEVER;
    if (duplicate)
        tm_mem_duplicate(w->broker, count);
    if (refuse)
        tm_mem_refuse(w->broker, count);
    if (expire) {
        s->swarm.expiries--;
        tm_oauth_expire_all(tm_salesforce_oauth(w->salesforce));
    }
    if (swap)
        tm_mem_swap(w->broker, count);
    if (read_only)
        tm_mock_registry_read_only(w->schemas, true);
    if (hold) {
        s->hold_topic = topic;
        s->hold_partition = partition;
        s->hold_offset = tm_mem_high(w->broker, topic, partition);
        tm_mem_hold(w->broker, topic, partition, s->hold_offset);
    }
    if (hold_acks)
        tm_mem_hold_acks(w->broker, true);
    if (join && rc == TM_OK)
        rc = tm_sim_world_join(w, TM_SIM_GAP + (enum tm_sim_kind)tm_sim_between(c, at, 0, 2), err);
    if (poison && rc == TM_OK)
        rc = tm_sim_world_poison(w, topic, partition, count, err);
    if (hold || hold_acks || join || read_only)
        s->release_ns = until_ns;
    tm_sim_count(s, TM_SIM_STAT_EXPIRED, expire);
    tm_sim_count(s, TM_SIM_STAT_REBALANCE, join);
    tm_sim_count(s, TM_SIM_STAT_POISON, poison);
    s->result->faults +=
        (uint64_t)duplicate + refuse + expire + hold + hold_acks + join + poison + swap + read_only;
    s->fault_ns = w->now.wall_ns + 5 * TM_NS_PER_S - tm_sim_between(c, at, 0, 4950 * TM_NS_PER_MS);
    return rc;
}

/* From here on the world is kind: what has broken must now heal. */
void tm_sim_calm(struct tm_sim *s)
{
    s->calm = true;
    s->calm_ns = s->world.now.wall_ns;
    s->commit_ns = s->fault_ns = TM_NEVER;
    s->world.faults = (struct tm_sim_faults){ 0 };
    s->swarm = (struct tm_sim_swarm){ .look = s->swarm.look };
    tm_mem_duplicate(s->world.broker, 0);
    tm_mem_refuse(s->world.broker, 0);
    tm_mem_swap(s->world.broker, 0);
    tm_sim_release(s);
}

void tm_sim_crash(struct tm_sim *s, size_t i, int64_t down_ns)
{
    tm_sim_count_http(s, &s->world.stations[i].http);
    memset(s->world.stations[i].http.fates, 0, sizeof s->world.stations[i].http.fates);
    tm_sim_station_crash(&s->world.stations[i]);
    s->start_ns[i] = s->world.now.wall_ns + down_ns;
    tm_sim_digest(s, 0xc4a5);
}
