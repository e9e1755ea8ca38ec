#include "simulate/simulate.h"
#include "simulate/contract.h"
#include "simulate/history_schema.h"
#include "simulate/simulate_inner.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SIM_STEPS_MAX 400000
#define SIM_QUIET_NS                                                                               \
    (8 * TM_NS_PER_S)    /* longer than any window, lag or pause of a healthy road                 \
                          */
#define SIM_QUIET_MORE 5 /* times as long, each time something was found */
#define SIM_QUIET_LONG_NS (900 * TM_NS_PER_S)
#define SIM_ENDS_MAX 60
#define SIM_CONTRACT_EACH 3 /* seeds: it costs about as much as a small history */
#define SIM_CRASH_MOVED 6   /* times as often after a step that made something durable */
#define SIM_CRASH_NEWS 4    /* times as often after a step that was given an answer */
#define SIM_RESTART_NS (3 * TM_NS_PER_S) /* nobody commits while an org is moved */
#define SIM_TOLD_MAX 2 /* times that all that is told is judged after the last commit */
#define SIM_LIVE_WAIT_NS (20 * TM_NS_PER_S) /* for sources that should have all */
#define SIM_STATION_PAUSE_NS                                                                       \
    TM_NS_PER_MS /* a station that has nothing to do and does not say until when */

static void sim_found(struct tm_sim *s, const char *rule, const char *text)
{
    struct tm_sim_finding *f = &s->result->finding;
    if (f->found)
        return;
    f->found = true;
    snprintf(f->rule, sizeof f->rule, "%s", rule);
    snprintf(f->text, sizeof f->text, "%s", text);
}

/* ---- one step ---- */

static int64_t sim_wall_of(const struct tm_sim *s, int64_t org_ms)
{
    return org_ms == TM_NEVER ? TM_NEVER
                              : s->origin.wall_ns + (org_ms - s->origin.org_ms) * TM_NS_PER_MS;
}

static void sim_ended(struct tm_sim *s, size_t i, struct tm_err *err)
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
    tm_sim_crash(s, i, TM_NS_PER_S);
}

static uint64_t sim_durable(const struct tm_sim *s, const struct tm_sim_station *station)
{
    return tm_sim_world_records(&s->world) +
           (station->db != NULL ? (uint64_t)sqlite3_total_changes(station->db) * 1000003 : 0);
}

static void sim_step(struct tm_sim *s, size_t i, struct tm_err *err)
{
    struct tm_sim_station *station = &s->world.stations[i];
    struct tm_wake wake = { TM_NEVER, TM_NEVER };
    int64_t now_ns = s->world.now.wall_ns;
    station->seen = tm_sim_world_records(&s->world);
    uint64_t before = sim_durable(s, station);
    bool news = station->http.news;
    enum tm_code rc = tm_sim_station_step(station, &wake, err);
    s->result->steps++;
    tm_sim_digest(s, (uint64_t)now_ns ^ (i << 56) ^ ((uint64_t)rc << 48));
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
    /* Between what has just become durable and what was to follow it is where crashes hurt, and
     * between what has just been heard and what was to be made of it. */
    double crash = s->swarm.crash * (sim_durable(s, station) != before ? SIM_CRASH_MOVED
                                     : news                            ? SIM_CRASH_NEWS
                                                                       : 1);
    if (tm_sim_chance(s->choices, TM_SIM_AT_CRASH + i, crash) &&
        s->result->crashes < s->scale.crashes) {
        bool down = tm_sim_chance(s->choices, TM_SIM_AT_DOWN + i, 0.5);
        s->result->crashes++;
        tm_sim_count(s, TM_SIM_STAT_CRASH_SOURCE + station->kind, 1);
        tm_sim_crash(
            s, i, tm_sim_between(s->choices, TM_SIM_AT_DOWN + i, 0, down ? 20 * TM_NS_PER_S : 0));
    }
}

static bool sim_ready(const struct tm_sim *s, size_t i)
{
    const struct tm_sim_station *station = &s->world.stations[i];
    if (!station->up)
        return s->start_ns[i] <= s->world.now.wall_ns;
    return station->run_ns <= s->world.now.wall_ns || station->http.news ||
           station->seen != tm_sim_world_records(&s->world);
}

/* Something that lasts has changed: records, or rows of a warehouse. */
static void sim_watch(struct tm_sim *s)
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
static int64_t sim_rest_ns(const struct tm_sim *s)
{
    return (s->world.set.audit_ms > 0 && s->calm ? s->calm_ns + s->quiet_ns : s->moved_ns) +
           s->quiet_ns;
}

static int64_t sim_earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void sim_advance(struct tm_sim *s)
{
    struct tm_sim_world *w = &s->world;
    int64_t next = sim_earlier(sim_earlier(s->commit_ns, s->fault_ns),
                               sim_earlier(s->release_ns, s->lenient_ns));
    next = sim_earlier(next, s->live_ns);
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
static enum tm_code sim_look(struct tm_sim *s, size_t ran, struct tm_err *err)
{
    const struct tm_sim_world *w = &s->world;
    const struct tm_sim_station *sink = &w->stations[w->stations_count - 2],
                                *view = &w->stations[w->stations_count - 1];
    if (ran < w->stations_count - 2 || s->moved_ns != w->now.wall_ns || sink->db == NULL ||
        view->db == NULL || view->self == NULL || sink->self == NULL)
        return TM_OK;
    bool may = s->result->looks < s->scale.looks;
    bool looks =
        (may && tm_sim_chance(s->choices, TM_SIM_AT_LOOK, s->swarm.look)) || s->look_always;
    if (!looks || s->look_never)
        return TM_OK;
    s->result->looks++;
    enum tm_code rc = tm_sim_compare_flight(&s->world, &s->result->finding, err);
    return rc == TM_OK ? rc : tm_at(err, "looking in flight");
}

static void sim_away(struct tm_sim *s)
{
    for (size_t i = 0; i < s->world.set.objects_count; i++)
        tm_sim_crash(s, i, tm_sim_between(s->choices, TM_SIM_AT_DOWN + i, 0, 5 * TM_NS_PER_S));
}

/* Everything that the org has said is in Kafka. */
static bool sim_has_all(const struct tm_sim *s)
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
 * that it had not received: so only those do who have all, and nobody commits until they have. */
static enum tm_code sim_restart(struct tm_sim *s, struct tm_err *err)
{
    bool live = s->history.restart_live && sim_has_all(s);
    s->live_ns = TM_NEVER;
    s->line = tm_sim_history_line(&s->history);
    tm_sim_count(s, live ? TM_SIM_STAT_RESTART_LIVE : TM_SIM_STAT_RESTART, 1);
    if (!live)
        sim_away(s);
    enum tm_code rc = tm_org_replay_restart(s->world.org, s->line, err);
    tm_salesforce_restarted(s->world.salesforce);
    return rc;
}

static void sim_schedule(struct tm_sim *s, int64_t moved_ns)
{
    if (tm_sim_history_more(&s->history)) {
        s->commit_ns =
            s->world.now.wall_ns + moved_ns + tm_sim_history_pause_ms(&s->history) * TM_NS_PER_MS;
    } else {
        s->commit_ns = TM_NEVER;
        s->calm_ns =
            s->world.now.wall_ns + tm_sim_between(s->choices, TM_SIM_AT_CALM, 0, s->scale.calm_ns);
    }
}

/* Nothing has happened that only a whole read could find: then gaps must be repaired without one.
 */
static bool sim_all_told(const struct tm_sim *s)
{
    struct tm_sim_settings set = s->world.set;
    set.audit_ms = 0;
    size_t happened = s->choices->given ? s->history.event : s->script->events_count;
    return set.sees_all && tm_sim_fair(s->script, happened, &set);
}

/* What is shown as certain is judged before the next commit, and at the end before whole reads. */
static enum tm_code sim_told(struct tm_sim *s, bool *out_asked, struct tm_err *err)
{
    const struct tm_sim_station *sink = &s->world.stations[s->world.stations_count - 2];
    const uint32_t *had = s->result->stats.count;
    *out_asked = false;
    if (had[TM_SIM_STAT_CRASH_RECONCILE] > 0 || had[TM_SIM_STAT_REBALANCE] > 0)
        return TM_OK; /* one ask may have been read twice: nobody can count them */
    if (s->look_never || sink->self == NULL || !sink->up || !sim_all_told(s) || !sim_has_all(s))
        return TM_OK;
    return tm_sim_compare_told(&s->world, &s->result->finding, out_asked, err);
}

static enum tm_code sim_commit(struct tm_sim *s, struct tm_err *err)
{
    struct tm_sim_history *h = &s->history;
    int64_t moved_ns = 0;
    bool asked = false;
    enum tm_code rc = tm_sim_witness_look(&s->witness, &s->world, err);
    if (rc == TM_OK)
        rc = sim_told(s, &asked, err);
    s->result->told += asked;
    if (rc != TM_OK || s->result->finding.found)
        return rc;
    if (rc == TM_OK)
        rc = tm_sim_history_next(h, s->world.now.org_ms, err);
    tm_salesforce_news(s->world.salesforce);
    /* Events expire after days: whoever listens has had them, so that it concerns those who are
     * away. */
    if (rc == TM_OK && h->forgot)
        sim_away(s);
    bool waits = h->restarted && h->restart_live && !sim_has_all(s);
    if (rc == TM_OK && h->restarted && !waits) {
        rc = sim_restart(s, err);
        moved_ns = SIM_RESTART_NS;
    }
    if (h->narrowed && s->lenient_ns == TM_NEVER)
        s->lenient_ns = s->world.now.wall_ns +
                        tm_sim_between(s->choices, TM_SIM_AT_BROKER, 0, 12 * TM_NS_PER_S);
    h->forgot = h->restarted = h->narrowed = false;
    if (waits) {
        s->commit_ns = TM_NEVER;
        s->live_ns = s->world.now.wall_ns + SIM_LIVE_WAIT_NS;
    } else {
        sim_schedule(s, moved_ns);
    }
    tm_sim_digest(s, (uint64_t)tm_org_pos_last(s->world.org));
    return rc;
}

static enum tm_code sim_restart_late(struct tm_sim *s, struct tm_err *err)
{
    enum tm_code rc = sim_restart(s, err);
    sim_schedule(s, SIM_RESTART_NS);
    return rc;
}

/* Somebody has read the error and sets the compatibility to NONE, as it says. */
static void sim_let_in(struct tm_sim *s)
{
    tm_mock_registry_lenient(s->world.schemas);
    s->lenient_ns = TM_NEVER;
}

/* What is due at this instant before any station runs; true when something was. */
static enum tm_code sim_outside(struct tm_sim *s, bool *out_any, struct tm_err *err)
{
    struct tm_sim_world *w = &s->world;
    enum tm_code rc = TM_OK;
    *out_any = true;
    if (s->release_ns <= w->now.wall_ns)
        tm_sim_release(s);
    else if (s->lenient_ns <= w->now.wall_ns)
        sim_let_in(s);
    else if (s->live_ns != TM_NEVER && (s->live_ns <= w->now.wall_ns || sim_has_all(s)))
        rc = sim_restart_late(s, err);
    else if (!s->calm && s->calm_ns <= w->now.wall_ns)
        tm_sim_calm(s);
    else if (s->commit_ns <= w->now.wall_ns && !tm_sim_chance(s->choices, TM_SIM_AT_COMMIT, 0.5))
        rc = sim_commit(s, err);
    else if (s->fault_ns <= w->now.wall_ns)
        rc = tm_sim_fault(s, err);
    else
        *out_any = false;
    return rc;
}

static enum tm_code sim_turn(struct tm_sim *s, struct tm_err *err)
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
    bool asked = false;
    if (s->calm && s->told < SIM_TOLD_MAX && s->moved_ns == w->now.wall_ns)
        rc = sim_told(s, &asked, err);
    s->told += asked;
    s->result->told += asked;
    return rc == TM_OK && !s->result->finding.found ? sim_look(s, at, err) : rc;
}

/* Quiet long enough: compare. A difference counts only when the longest timer could not mend it. */
static enum tm_code sim_rest(struct tm_sim *s, bool *out_done, struct tm_err *err)
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
    if (rc == TM_OK && !f.found)
        rc = tm_sim_witness_judge(&s->witness, &s->world, &f, err);
    if (rc != TM_OK)
        return tm_at(err, "comparing");
    *out_done = !f.found || s->quiet_ns == SIM_QUIET_LONG_NS;
    if (f.found && *out_done)
        s->result->finding = f;
    s->quiet_ns = sim_earlier(s->quiet_ns * SIM_QUIET_MORE, SIM_QUIET_LONG_NS);
    return TM_OK;
}

static enum tm_code sim_run(struct tm_sim *s, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool done = false;
    while (rc == TM_OK && !done && !s->result->finding.found) {
        if (s->steps_max > 0 && s->result->steps >= s->steps_max)
            break;
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

static enum tm_code sim_begin(struct tm_sim *s, struct tm_err *err)
{
    int64_t now_ns = s->world.now.wall_ns;
    struct tm_sim_choices *c = s->choices;
    s->commit_ns = now_ns + tm_sim_between(c, TM_SIM_AT_BEGIN, 0, s->scale.begin_ns);
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

static enum tm_code sim_open(struct tm_sim *s, const struct tm_sim_options *options,
                             struct tm_err *err)
{
    const struct tm_sim_settings set = tm_sim_draw_settings(s->script, options);
    enum tm_code rc = tm_sim_world_open(&s->world, options->dir, &set, s->choices, err);
    if (rc != TM_OK)
        return rc;
    s->origin = s->world.now;
    s->quiet_ns =
        SIM_QUIET_NS * (tm_sim_chance(s->choices, TM_SIM_AT_CALM, 0.1) ? SIM_QUIET_MORE : 1);
    s->release_ns = s->calm_ns = s->lenient_ns = s->live_ns = TM_NEVER;
    s->hold_offset = -1;
    s->moved_ns = s->world.now.wall_ns;
    tm_sim_draw_swarm(s);
    tm_mem_set_time(s->world.broker, s->world.now.org_ms);
    struct tm_sim_history *h = &s->history;
    rc = tm_sim_history_init(h, s->script, s->world.org, s->world.objects, set.objects_count,
                             &s->result->stats, err);
    s->line = tm_sim_history_line(h);
    h->same_columns = options->own != NULL; /* SQL written before knows no others (own.h) */
    tm_sim_history_within(h, set.audit_ms > 0, set.sees_all);
    return rc == TM_OK ? sim_begin(s, err) : rc;
}

enum tm_code tm_simulate_script(struct tm_sim_result *out, struct tm_sim_script *script,
                                const struct tm_sim_options *options, struct tm_err *err)
{
    static _Thread_local struct tm_sim s;
    memset(&s, 0, sizeof s);
    memset(out, 0, sizeof *out);
    out->seed = out->digest = script->seed;
    s.result = out;
    s.script = script;
    s.choices = &script->choices;
    s.look_always = options->look_always;
    s.look_never = options->look_never;
    s.steps_max = options->steps_max;
    s.scale = tm_sim_draw_scale(script);
    if (s.choices->given)
        tm_sim_choices_rewind(s.choices);
    enum tm_code rc = sim_open(&s, options, err);
    if (rc == TM_OK &&
        (!s.choices->given || tm_sim_fair(script, script->events_count, &s.world.set)))
        rc = sim_run(&s, err);
    if (rc == TM_OK && out->finding.found && !s.choices->given && tm_sim_history_more(&s.history))
        rc = tm_sim_history_cut(&s.history, s.world.now.org_ms, err);
    if (rc == TM_OK) {
        out->virtual_ms = s.world.now.org_ms - s.origin.org_ms;
        out->commits = s.history.commits;
        out->records = tm_sim_world_records(&s.world);
        rc = tm_sim_count_end(&s, err);
        tm_sim_digest_topics(&s);
    }
    if (rc == TM_OK && options->at_end != NULL)
        rc = options->at_end(options->at_end_self, &s.world, out, err);
    out->at_commits = s.witness.commits;
    out->at_commits_equal = s.witness.equal;
    tm_sim_witness_close(&s.witness);
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
