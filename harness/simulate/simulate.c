#include "simulate/simulate.h"
#include "base/text.h"
#include "simulate/contract.h"
#include "simulate/history.h"
#include "simulate/history_schema.h"
#include "simulate/script.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SIM_STEPS_MAX 400000
#define SIM_QUIET_NS                                                                               \
    (8 * TM_NS_PER_S)    /* longer than any window, lag or pause of a healthy road                 \
                          */
#define SIM_QUIET_MORE 5 /* times as long, each time something was found */
#define SIM_QUIET_LONG_NS (900 * TM_NS_PER_S)
#define SIM_CALM_NS_MAX (10 * TM_NS_PER_S)
#define SIM_CRASHES_MAX 40
#define SIM_ENDS_MAX 60
#define SIM_CONTRACT_EACH 3 /* seeds: it costs about as much as a small history */
#define SIM_CRASH_MOVED 6   /* times as often after a step that made something durable */
#define SIM_RESTART_NS (3 * TM_NS_PER_S) /* nobody commits while an org is moved */
#define SIM_EXPIRIES_MAX 3     /* a client gives up when fresh tokens are refused again and again */
#define SIM_INSTALLED_EACH 100 /* seeds whose sink installs the views themselves (reader.h) */
#define SIM_STATION_PAUSE_NS                                                                       \
    TM_NS_PER_MS /* a station that has nothing to do and does not say until when */

/* Which faults a seed has; each either off or at a rate of its own. */
struct sim_swarm {
    double crash, duplicate, refuse, swap, hold, hold_acks, expire, join, poison, read_only;
    unsigned expiries;
    double look; /* not a fault: of a warehouse that has just changed */
};
struct sim {
    struct tm_sim_world world;
    struct tm_sim_history history;
    struct tm_sim_script *script;
    struct tm_sim_choices *choices; /* of the script */
    struct sim_swarm swarm;
    struct tm_now origin;
    bool calm;
    size_t last; /* station that ran */
    bool look_always;
    int64_t line;        /* first replay id of the one in force */
    int64_t hold_offset; /* of the partition held; -1 = none */
    const char *hold_topic;
    int32_t hold_partition;
    int64_t lenient_ns; /* when somebody lets narrowed schemas in; TM_NEVER = nobody needs to */
    int64_t commit_ns, fault_ns, release_ns, moved_ns, calm_ns, start_ns[TM_SIM_STATIONS_MAX];
    uint64_t moved; /* what `moved_ns` last saw */
    int64_t quiet_ns;
    char last_end[300];
    struct tm_sim_result *result;
};

static double sim_rate(struct tm_rng *rng, double chance, double most)
{
    bool on = tm_rng_chance(rng, chance);
    double rate = tm_rng_unit(rng) * most;
    return on ? rate : 0;
}

static struct tm_sim_settings sim_settings(struct tm_sim_script *script,
                                           const struct tm_sim_options *options)
{
    struct tm_sim_choices *c = &script->choices;
    const size_t at = TM_SIM_AT_SETTING;
    struct tm_sim_settings s = { .seed = script->seed,
                                 .planted_from = options->planted_from,
                                 .planted_to = options->planted_to,
                                 .views_installed = options->views_installed ||
                                                    options->at_end != NULL ||
                                                    script->seed % SIM_INSTALLED_EACH == 0 };
    s.objects_count = tm_sim_chance(c, at, 0.25) ? 2 : 1;
    s.tasks = tm_sim_chance(c, at, 0.3) ? 2 : 1;
    s.partitions = (int32_t)tm_sim_between(c, at, 1, 3);
    s.keep_merged = tm_sim_chance(c, at, 0.4);
    s.overflow_range = tm_sim_chance(c, at, 0.4);
    s.convert_changed_fields = tm_sim_chance(c, at, 0.2);
    s.start_all = tm_sim_chance(c, at, 0.3);
    s.publish_delay_ms = tm_sim_between(c, at, 0, tm_sim_chance(c, at, 0.4) ? 3000 : 0);
    s.index_lag_ms = tm_sim_between(c, at, 0, tm_sim_chance(c, at, 0.3) ? 3000 : 0);
    s.window_ms = tm_sim_between(c, at, 10, 3000);
    s.idle_ms = tm_sim_between(c, at, 0, 500);
    bool few_ids = tm_sim_chance(c, at, 0.3), few_rows = tm_sim_chance(c, at, 0.4),
         audits = tm_sim_chance(c, at, 0.25);
    int64_t ids = tm_sim_between(c, at, 1, 4), rows = tm_sim_between(c, at, 1, 5),
            audit_ms = 60000 - tm_sim_between(c, at, 0, 55000);
    s.ids_max = few_ids ? ids : 2000;
    s.rows_max = few_rows ? rows : 2000;
    s.audit_ms = audits ? audit_ms : 0;
    s.view_poll_ms = 1500 - tm_sim_between(c, at, 0, 1300);
    bool bulk = tm_sim_chance(c, at, 0.4);
    int64_t bulk_rows = tm_sim_between(c, at, 1, 4);
    s.bulk_ms = tm_sim_between(c, at, 0, tm_sim_chance(c, at, 0.5) ? 4000 : 0);
    s.bulk_rows = bulk ? bulk_rows : 0;
    /* Somebody's own logic is asked at rest only, and with all doubt repaired. */
    s.sees_all = !tm_sim_chance(c, at, 0.06) || options->own != NULL;
    s.longest_ms = tm_sim_chance(c, at, 0.5) ? 2000 : 600000;
    s.page_max = tm_sim_chance(c, at, 0.3) ? (size_t)tm_sim_between(c, at, 1, 4) : 0;
    s.batch = (enum tm_sim_batch)tm_sim_between(c, at, 0, tm_sim_chance(c, at, 0.25) ? 2 : 0);
    s.batch_keyset = tm_sim_chance(c, at, 0.5);
    s.batch_query_all = tm_sim_chance(c, at, 0.5);
    s.batch_from_start = tm_sim_chance(c, at, 0.5);
    s.batch_ms = tm_sim_between(c, at, 3, 10) * 1000;
    return s;
}

/* Rates are the seed's own, given script or not: a decision can be given only where one could have
 * been drawn. */
static void sim_swarm(struct sim *s)
{
    struct tm_rng rates, *r = &rates;
    tm_rng_init(r, s->script->seed ^ 0x737761726d);
    s->swarm = (struct sim_swarm){ .crash = sim_rate(r, 0.5, 0.02),
                                   .duplicate = sim_rate(r, 0.5, 1),
                                   .refuse = sim_rate(r, 0.3, 1),
                                   .swap = sim_rate(r, 0.4, 1),
                                   .hold = sim_rate(r, 0.5, 1),
                                   .hold_acks = sim_rate(r, 0.3, 1),
                                   .expire = sim_rate(r, 0.3, 1),
                                   .join = sim_rate(r, 0.3, 1),
                                   .poison = sim_rate(r, 0.2, 0.5),
                                   .read_only = sim_rate(r, 0.15, 0.5),
                                   .expiries = SIM_EXPIRIES_MAX,
                                   .look = sim_rate(r, 0.8, 0.1) };
    s->world.faults = (struct tm_sim_faults){ .lose_request = sim_rate(r, 0.4, 0.15),
                                              .lose_answer = sim_rate(r, 0.4, 0.15),
                                              .repeat = sim_rate(r, 0.4, 0.15),
                                              .refuse = sim_rate(r, 0.4, 0.15),
                                              .slow = sim_rate(r, 0.4, 0.3),
                                              .hang = sim_rate(r, 0.2, 0.05),
                                              .tear = sim_rate(r, 0.3, 0.1) };
}

static void sim_count(struct sim *s, size_t stat, uint64_t times)
{
    s->result->stats.count[stat] += (uint32_t)times;
}

static void sim_digest(struct sim *s, uint64_t number)
{
    s->result->digest = tm_hash64(&number, sizeof number, s->result->digest);
}

static void sim_found(struct sim *s, const char *rule, const char *text)
{
    struct tm_sim_finding *f = &s->result->finding;
    if (f->found)
        return;
    f->found = true;
    snprintf(f->rule, sizeof f->rule, "%s", rule);
    snprintf(f->text, sizeof f->text, "%s", text);
}

/* ---- faults ---- */

static void sim_release(struct sim *s)
{
    struct tm_sim_world *w = &s->world;
    if (s->hold_offset >= 0 &&
        tm_mem_high(w->broker, s->hold_topic, s->hold_partition) > s->hold_offset)
        sim_count(s, TM_SIM_STAT_HELD, 1);
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

static enum tm_code sim_fault(struct sim *s, struct tm_err *err)
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
    sim_count(s, TM_SIM_STAT_EXPIRED, expire);
    sim_count(s, TM_SIM_STAT_REBALANCE, join);
    sim_count(s, TM_SIM_STAT_POISON, poison);
    s->result->faults +=
        (uint64_t)duplicate + refuse + expire + hold + hold_acks + join + poison + swap + read_only;
    s->fault_ns = w->now.wall_ns + 5 * TM_NS_PER_S - tm_sim_between(c, at, 0, 4950 * TM_NS_PER_MS);
    return rc;
}

/* From here on the world is kind: what has broken must now heal. */
static void sim_calm(struct sim *s)
{
    s->calm = true;
    s->calm_ns = s->world.now.wall_ns;
    s->commit_ns = s->fault_ns = TM_NEVER;
    s->world.faults = (struct tm_sim_faults){ 0 };
    s->swarm = (struct sim_swarm){ .look = s->swarm.look };
    tm_mem_duplicate(s->world.broker, 0);
    tm_mem_refuse(s->world.broker, 0);
    tm_mem_swap(s->world.broker, 0);
    sim_release(s);
}

/* What its port has seen is kept beyond its life. */
static void sim_count_http(struct sim *s, const struct tm_sim_http *h)
{
    for (size_t f = TM_SIM_FATE_REQUEST_LOST; f < TM_SIM_FATES; f++) {
        sim_count(s, TM_SIM_STAT_REQUEST_LOST + f - TM_SIM_FATE_REQUEST_LOST, h->fates[f]);
        s->result->faults += h->fates[f];
    }
}

static void sim_crash(struct sim *s, size_t i, int64_t down_ns)
{
    sim_count_http(s, &s->world.stations[i].http);
    memset(s->world.stations[i].http.fates, 0, sizeof s->world.stations[i].http.fates);
    tm_sim_station_crash(&s->world.stations[i]);
    s->start_ns[i] = s->world.now.wall_ns + down_ns;
    sim_digest(s, 0xc4a5);
}

/* ---- one step ---- */

static int64_t sim_wall_of(const struct sim *s, int64_t org_ms)
{
    return org_ms == TM_NEVER ? TM_NEVER
                              : s->origin.wall_ns + (org_ms - s->origin.org_ms) * TM_NS_PER_MS;
}

static void sim_ended(struct sim *s, size_t i, struct tm_err *err)
{
    char text[700];
    struct tm_sim_station *station = &s->world.stations[i];
    tm_err_text(err, text, sizeof text);
    snprintf(s->last_end, sizeof s->last_end, "%s ended: %.250s", tm_sim_station_name(station),
             text);
    s->result->ended++;
    bool ours = err->code == TM_E_ARG || err->code == TM_E_LIMIT || err->code == TM_E_MISMATCH ||
                err->code == TM_E_GAP || err->code == TM_E_NOMEM;
    tm_err_clear(err);
    if (ours || s->result->ended > SIM_ENDS_MAX)
        sim_found(s, "end", s->last_end);
    sim_crash(s, i, TM_NS_PER_S);
}

static uint64_t sim_durable(const struct sim *s, const struct tm_sim_station *station)
{
    return tm_sim_world_records(&s->world) +
           (station->db != NULL ? (uint64_t)sqlite3_total_changes(station->db) * 1000003 : 0);
}

static void sim_step(struct sim *s, size_t i, struct tm_err *err)
{
    struct tm_sim_station *station = &s->world.stations[i];
    struct tm_wake wake = { TM_NEVER, TM_NEVER };
    int64_t now_ns = s->world.now.wall_ns;
    station->seen = tm_sim_world_records(&s->world);
    uint64_t before = sim_durable(s, station);
    enum tm_code rc = tm_sim_station_step(station, &wake, err);
    s->result->steps++;
    sim_digest(s, (uint64_t)now_ns ^ (i << 56) ^ ((uint64_t)rc << 48));
    if (rc == TM_OK) {
        station->run_ns = now_ns;
    } else if (rc == TM_E_AGAIN) {
        int64_t org_ns = sim_wall_of(s, wake.org_ms);
        station->run_ns = wake.wall_ns < org_ns ? wake.wall_ns : org_ns;
        if (station->run_ns <= now_ns)
            station->run_ns = now_ns + SIM_STATION_PAUSE_NS;
    } else {
        sim_ended(s, i, err);
        return;
    }
    /* Between what has just become durable and what was to follow it is where crashes hurt. */
    double crash = s->swarm.crash * (sim_durable(s, station) != before ? SIM_CRASH_MOVED : 1);
    if (tm_sim_chance(s->choices, TM_SIM_AT_CRASH + i, crash) &&
        s->result->crashes < SIM_CRASHES_MAX) {
        bool down = tm_sim_chance(s->choices, TM_SIM_AT_DOWN + i, 0.5);
        s->result->crashes++;
        sim_count(s, TM_SIM_STAT_CRASH_SOURCE + station->kind, 1);
        sim_crash(s, i,
                  tm_sim_between(s->choices, TM_SIM_AT_DOWN + i, 0, down ? 20 * TM_NS_PER_S : 0));
    }
}

static bool sim_ready(const struct sim *s, size_t i)
{
    const struct tm_sim_station *station = &s->world.stations[i];
    if (!station->up)
        return s->start_ns[i] <= s->world.now.wall_ns;
    return station->run_ns <= s->world.now.wall_ns || station->http.news ||
           station->seen != tm_sim_world_records(&s->world);
}

/* Something that lasts has changed: records, or rows of a warehouse. */
static void sim_watch(struct sim *s)
{
    uint64_t seen = tm_sim_world_records(&s->world) + s->history.commits * 1000003;
    for (size_t i = 0; i < s->world.stations_count; i++)
        if (s->world.stations[i].db != NULL)
            seen = seen * 31 + (uint64_t)sqlite3_total_changes(s->world.stations[i].db) +
                   s->world.stations[i].lives * 7919;
    if (seen != s->moved)
        s->moved_ns = s->world.now.wall_ns;
    s->moved = seen;
}

/* When to compare. Audits go on for ever, so where there are any it is a time after the
 * last fault. */
static int64_t sim_rest_ns(const struct sim *s)
{
    return (s->world.set.audit_ms > 0 && s->calm ? s->calm_ns + s->quiet_ns : s->moved_ns) +
           s->quiet_ns;
}

static int64_t sim_earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void sim_advance(struct sim *s)
{
    struct tm_sim_world *w = &s->world;
    int64_t next = sim_earlier(sim_earlier(s->commit_ns, s->fault_ns),
                               sim_earlier(s->release_ns, s->lenient_ns));
    if (!s->calm)
        next = sim_earlier(next, s->calm_ns);
    if (s->calm && sim_rest_ns(s) > w->now.wall_ns)
        next = sim_earlier(next, sim_rest_ns(s));
    for (size_t i = 0; i < w->stations_count; i++) {
        struct tm_sim_station *station = &w->stations[i];
        next = sim_earlier(next, station->up ? station->run_ns : s->start_ns[i]);
        next = sim_earlier(next, tm_sim_http_next(&station->http, &s->origin));
    }
    if (next <= w->now.wall_ns)
        next = w->now.wall_ns + 1;
    w->now.wall_ns = next;
    w->now.org_ms = s->origin.org_ms + (next - s->origin.wall_ns) / TM_NS_PER_MS;
    tm_mem_set_time(w->broker, w->now.org_ms);
}

/* A look in flight, now and then when a warehouse has just changed. */
static enum tm_code sim_look(struct sim *s, size_t ran, struct tm_err *err)
{
    const struct tm_sim_world *w = &s->world;
    const struct tm_sim_station *sink = &w->stations[w->stations_count - 2],
                                *view = &w->stations[w->stations_count - 1];
    if (ran < w->stations_count - 2 || s->moved_ns != w->now.wall_ns || sink->db == NULL ||
        view->db == NULL || view->self == NULL || sink->self == NULL)
        return TM_OK;
    if (!tm_sim_chance(s->choices, TM_SIM_AT_LOOK, s->swarm.look) && !s->look_always)
        return TM_OK;
    s->result->looks++;
    enum tm_code rc = tm_sim_compare_flight(&s->world, &s->result->finding, err);
    return rc == TM_OK ? rc : tm_at(err, "looking in flight");
}

static void sim_away(struct sim *s)
{
    for (size_t i = 0; i < s->world.set.objects_count; i++)
        sim_crash(s, i, tm_sim_between(s->choices, TM_SIM_AT_DOWN + i, 0, 5 * TM_NS_PER_S));
}

/* Everything that the org has said is in Kafka. */
static bool sim_has_all(const struct sim *s)
{
    const struct tm_sim_world *w = &s->world;
    for (size_t i = 0; i < w->set.objects_count; i++) {
        const struct tm_sim_station *source = &w->stations[i];
        int64_t last = tm_org_replay_last(w->org, w->objects[i]);
        if (!source->up || source->self == NULL || !tm_source_live(source->self) ||
            (tm_source_position(source->self) != last && last >= s->line))
            return false;
    }
    return true;
}

/* Replay ids go back. Who listens on hears of it with the next event, which makes up for nothing
 * that it had not received: so only those do who have all. */
static enum tm_code sim_restart(struct sim *s, struct tm_err *err)
{
    bool live = s->history.restart_live && sim_has_all(s);
    s->line = tm_sim_history_line(&s->history);
    sim_count(s, live ? TM_SIM_STAT_RESTART_LIVE : TM_SIM_STAT_RESTART, 1);
    if (!live)
        sim_away(s);
    enum tm_code rc = tm_org_replay_restart(s->world.org, s->line, err);
    tm_salesforce_restarted(s->world.salesforce);
    return rc;
}

static enum tm_code sim_commit(struct sim *s, struct tm_err *err)
{
    struct tm_sim_history *h = &s->history;
    int64_t moved_ns = 0;
    enum tm_code rc = tm_sim_history_next(h, s->world.now.org_ms, err);
    tm_salesforce_news(s->world.salesforce);
    /* Events expire after days: whoever listens has had them, so that it concerns those who are
     * away. */
    if (rc == TM_OK && h->forgot)
        sim_away(s);
    if (rc == TM_OK && h->restarted) {
        rc = sim_restart(s, err);
        moved_ns = SIM_RESTART_NS;
    }
    if (h->narrowed && s->lenient_ns == TM_NEVER)
        s->lenient_ns = s->world.now.wall_ns +
                        tm_sim_between(s->choices, TM_SIM_AT_BROKER, 0, 12 * TM_NS_PER_S);
    h->forgot = h->restarted = h->narrowed = false;
    if (tm_sim_history_more(h)) {
        s->commit_ns = s->world.now.wall_ns + moved_ns + tm_sim_history_pause_ms(h) * TM_NS_PER_MS;
    } else {
        s->commit_ns = TM_NEVER;
        s->calm_ns =
            s->world.now.wall_ns + tm_sim_between(s->choices, TM_SIM_AT_CALM, 0, SIM_CALM_NS_MAX);
    }
    sim_digest(s, (uint64_t)tm_org_pos_last(s->world.org));
    return rc;
}

/* Somebody has read the error and sets the compatibility to NONE, as it says. */
static void sim_let_in(struct sim *s)
{
    tm_mock_registry_lenient(s->world.schemas);
    s->lenient_ns = TM_NEVER;
}

/* What is due at this instant before any station runs; true when something was. */
static enum tm_code sim_outside(struct sim *s, bool *out_any, struct tm_err *err)
{
    struct tm_sim_world *w = &s->world;
    enum tm_code rc = TM_OK;
    *out_any = true;
    if (s->release_ns <= w->now.wall_ns)
        sim_release(s);
    else if (s->lenient_ns <= w->now.wall_ns)
        sim_let_in(s);
    else if (!s->calm && s->calm_ns <= w->now.wall_ns)
        sim_calm(s);
    else if (s->commit_ns <= w->now.wall_ns && !tm_sim_chance(s->choices, TM_SIM_AT_COMMIT, 0.5))
        rc = sim_commit(s, err);
    else if (s->fault_ns <= w->now.wall_ns)
        rc = sim_fault(s, err);
    else
        *out_any = false;
    return rc;
}

static enum tm_code sim_turn(struct sim *s, struct tm_err *err)
{
    struct tm_sim_world *w = &s->world;
    size_t ready[TM_SIM_STATIONS_MAX], count = 0;
    bool any = false;
    for (size_t i = 0; i < w->stations_count; i++)
        tm_sim_http_pump(&w->stations[i].http, &w->now);
    enum tm_code rc = sim_outside(s, &any, err);
    if (rc != TM_OK || any)
        return rc;
    for (size_t i = 1; i <= w->stations_count; i++)
        if (sim_ready(s, (s->last + i) % w->stations_count)) /* usually in turn */
            ready[count++] = (s->last + i) % w->stations_count;
    if (count == 0) {
        sim_advance(s);
        return TM_OK;
    }
    size_t at = ready[tm_sim_between(s->choices, TM_SIM_AT_PICK, 0, (int64_t)count - 1)];
    s->last = at;
    if (w->stations[at].up)
        sim_step(s, at, err);
    else if (tm_sim_station_start(&w->stations[at], err) != TM_OK)
        sim_ended(s, at, err);
    sim_watch(s);
    return sim_look(s, at, err);
}

/* Quiet long enough: compare. A difference counts only when the longest timer could not mend it. */
static enum tm_code sim_rest(struct sim *s, bool *out_done, struct tm_err *err)
{
    struct tm_sim_finding f = { .found = false };
    enum tm_code rc = TM_OK;
    *out_done = false;
    for (size_t i = 0; i < s->world.stations_count; i++)
        if (!s->world.stations[i].up)
            return TM_OK;
    /* Fields that come back with other values than they went with, or none, move no stamp. */
    s->world.batch_promises = s->world.set.batch == TM_SIM_RELOAD ||
                              s->result->stats.count[TM_SIM_STAT_FIELD_BACK] +
                                      s->result->stats.count[TM_SIM_STAT_FIELD_SHOW] ==
                                  0;
    rc = tm_sim_compare_rest(&s->world, &f, err);
    if (rc == TM_OK && !f.found && s->script->seed % SIM_CONTRACT_EACH == 0)
        rc = tm_sim_contract_check(&s->world, &f, err);
    if (rc != TM_OK)
        return tm_at(err, "comparing");
    *out_done = !f.found || s->quiet_ns == SIM_QUIET_LONG_NS;
    if (f.found && *out_done)
        s->result->finding = f;
    s->quiet_ns = sim_earlier(s->quiet_ns * SIM_QUIET_MORE, SIM_QUIET_LONG_NS);
    return TM_OK;
}

static void sim_digest_topics(struct sim *s)
{
    struct tm_sim_world *w = &s->world;
    for (size_t i = 0; i < w->set.objects_count * 3; i++)
        for (int32_t p = 0; p < w->set.partitions; p++) {
            struct tm_record r;
            for (int64_t o = 0; tm_mem_record(w->broker, w->sink_topics[i], p, o, &r); o++)
                s->result->digest = tm_hash64(r.value, r.value_bytes, s->result->digest);
        }
}

static enum tm_code sim_run(struct sim *s, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool done = false;
    while (rc == TM_OK && !done && !s->result->finding.found) {
        if (s->result->steps >= SIM_STEPS_MAX) {
            sim_found(s, "rest", s->last_end[0] != '\0' ? s->last_end : "never comes to rest");
            break;
        }
        rc = sim_turn(s, err);
        if (rc == TM_OK && s->calm && s->world.now.wall_ns >= sim_rest_ns(s))
            rc = sim_rest(s, &done, err);
    }
    s->result->finding.step = s->result->finding.found ? s->result->steps : 0;
    return rc;
}

/* What no event tells is found by audits only: no rule says otherwise. Nor is a row that is gone
 * for good told from one that the user may not see, where he may not see all. */
static bool sim_fair(const struct tm_sim_script *script, const struct tm_sim_settings *set)
{
    for (size_t i = 0; i < script->events_count; i++) {
        const struct tm_sim_event *e = &script->events[i];
        bool untold = e->kind == TM_SIM_FIELD_SHOW ||
                      (e->kind == TM_SIM_FIELD_ADD && strcmp(e->field, "Old__c") == 0);
        bool epoch =
            e->kind == TM_SIM_FORGET || e->kind == TM_SIM_RESTART || e->kind == TM_SIM_RESTART_LIVE;
        if ((untold && set->audit_ms == 0) || (epoch && !set->sees_all))
            return false;
        for (size_t k = 0; k < e->changes_count; k++) {
            const struct tm_sim_change *c = &e->changes[k];
            bool gone = c->kind == TM_ORG_HARD_DELETE;
            if ((c->announce == TM_ORG_SILENT && (set->audit_ms == 0 || !set->sees_all)) ||
                (gone && ((set->overflow_range && set->audit_ms == 0) || !set->sees_all)))
                return false;
        }
    }
    return true;
}

static enum tm_code sim_begin(struct sim *s, struct tm_err *err)
{
    int64_t now_ns = s->world.now.wall_ns;
    struct tm_sim_choices *c = s->choices;
    s->commit_ns = now_ns + tm_sim_between(c, TM_SIM_AT_BEGIN, 0, 15 * TM_NS_PER_S);
    s->fault_ns = now_ns + tm_sim_between(c, TM_SIM_AT_BROKER, 0, 3 * TM_NS_PER_S);
    for (size_t i = 0; i < s->world.stations_count; i++)
        s->start_ns[i] = now_ns + tm_sim_between(c, TM_SIM_AT_BEGIN, 0, 3 * TM_NS_PER_S);
    enum tm_code rc = tm_sim_history_populate(&s->history, err);
    if (rc == TM_OK && !tm_sim_history_more(&s->history)) {
        s->commit_ns = TM_NEVER;
        s->calm_ns = now_ns;
    }
    return rc;
}

static enum tm_code sim_open(struct sim *s, const struct tm_sim_options *options,
                             struct tm_err *err)
{
    const struct tm_sim_settings set = sim_settings(s->script, options);
    enum tm_code rc = tm_sim_world_open(&s->world, options->dir, &set, s->choices, err);
    if (rc != TM_OK)
        return rc;
    s->origin = s->world.now;
    s->quiet_ns =
        SIM_QUIET_NS * (tm_sim_chance(s->choices, TM_SIM_AT_CALM, 0.1) ? SIM_QUIET_MORE : 1);
    s->release_ns = s->calm_ns = s->lenient_ns = TM_NEVER;
    s->hold_offset = -1;
    s->moved_ns = s->world.now.wall_ns;
    sim_swarm(s);
    tm_mem_set_time(s->world.broker, s->world.now.org_ms);
    struct tm_sim_history *h = &s->history;
    rc = tm_sim_history_init(h, s->script, s->world.org, s->world.objects, set.objects_count,
                             &s->result->stats, err);
    s->line = tm_sim_history_line(h);
    h->same_columns = options->own != NULL; /* SQL written before knows no others (own.h) */
    if (set.audit_ms > 0)
        h->announce[TM_ORG_SILENT] = (unsigned)tm_rng_between(&h->rng, 0, 3);
    if (!set.sees_all) { /* see sim_fair */
        h->announce[TM_ORG_SILENT] = h->kinds[TM_ORG_HARD_DELETE] = 0;
        h->forget = h->restart = 0;
    }
    return rc == TM_OK ? sim_begin(s, err) : rc;
}

static enum tm_code sim_count_rows(struct sim *s, enum tm_sim_stat stat, const char *topic,
                                   const char *where, struct tm_err *err)
{
    char table[TM_TOPIC_NAME_MAX], sql[512];
    const struct tm_sim_station *sink = &s->world.stations[s->world.stations_count - 2];
    int64_t there = 0, count = 0;
    if (sink->db == NULL)
        return TM_OK;
    tm_name_sanitize(table, sizeof table, topic);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM sqlite_master WHERE name='%.200s'", table);
    enum tm_code rc = tm_sql_int64(&there, sink->db, sql, err);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%.200s\" WHERE %s", table, where);
    if (rc == TM_OK && there > 0)
        rc = tm_sql_int64(&count, sink->db, sql, err);
    sim_count(s, stat, (uint64_t)count);
    return rc;
}

/* What is known at the end only. */
static enum tm_code sim_count_end(struct sim *s, struct tm_err *err)
{
    const struct tm_sim_world *w = &s->world;
    const struct tm_mem_planted *p = tm_mem_planted(w->broker);
    uint32_t *merged = &s->result->stats.count[TM_SIM_STAT_MERGED_SPLIT];
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < w->stations_count; i++)
        sim_count_http(s, &w->stations[i].http);
    sim_count(s, TM_SIM_STAT_DUPLICATED, p->duplicated);
    sim_count(s, TM_SIM_STAT_PRODUCE_REFUSED, p->refused);
    sim_count(s, TM_SIM_STAT_SWAPPED, p->swapped);
    sim_count(s, TM_SIM_STAT_ACKS_HELD, p->acks_held);
    sim_count(s, TM_SIM_STAT_REGISTRY_REFUSED, tm_mock_registry_refused(w->schemas));
    if (w->set.keep_merged) {
        sim_count(s, TM_SIM_STAT_MERGED_KEPT, *merged);
        *merged = 0;
    }
    for (size_t i = 0; i < w->set.objects_count && rc == TM_OK; i++) {
        rc = sim_count_rows(s, TM_SIM_STAT_EPOCH, w->alerts[i], "_kind='copy' AND _epoch>0", err);
        if (rc == TM_OK)
            rc = sim_count_rows(s, TM_SIM_STAT_UNREADABLE, w->recon[i], "_kind='unreadable'", err);
    }
    return rc;
}

enum tm_code tm_simulate_script(struct tm_sim_result *out, struct tm_sim_script *script,
                                const struct tm_sim_options *options, struct tm_err *err)
{
    static _Thread_local struct sim s;
    memset(&s, 0, sizeof s);
    memset(out, 0, sizeof *out);
    out->seed = out->digest = script->seed;
    s.result = out;
    s.script = script;
    s.choices = &script->choices;
    s.look_always = options->look_always;
    if (s.choices->given)
        tm_sim_choices_rewind(s.choices);
    enum tm_code rc = sim_open(&s, options, err);
    if (rc == TM_OK && (!s.choices->given || sim_fair(script, &s.world.set)))
        rc = sim_run(&s, err);
    if (rc == TM_OK && out->finding.found && !s.choices->given && tm_sim_history_more(&s.history))
        rc = tm_sim_history_cut(&s.history, s.world.now.org_ms, err);
    if (rc == TM_OK) {
        out->virtual_ms = s.world.now.org_ms - s.origin.org_ms;
        out->commits = s.history.commits;
        out->records = tm_sim_world_records(&s.world);
        rc = sim_count_end(&s, err);
        sim_digest_topics(&s);
    }
    if (rc == TM_OK && options->at_end != NULL)
        rc = options->at_end(options->at_end_self, &s.world, out, err);
    tm_sim_world_close(&s.world);
    return rc == TM_OK ? rc : tm_at(err, "seed %" PRIu64, script->seed);
}

enum tm_code tm_simulate(struct tm_sim_result *out, uint64_t seed,
                         const struct tm_sim_options *options, struct tm_err *err)
{
    struct tm_sim_script script;
    tm_sim_script_draw(&script, seed);
    enum tm_code rc = tm_simulate_script(out, &script, options, err);
    tm_sim_script_free(&script);
    return rc;
}
