/* day_stations: every station of a scenario, from the configs of its plan, as the cmd_*.c wire
 * them, with ports that need no socket. */
#include "run/day.h"
#include "event/contract.h"
#include "view/sql.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATIONS_ORG "http://org"
#define STATIONS_REGISTRY "http://registry"

/* ---- ports ---- */

static enum tm_code station_topic(struct day_station *s, struct tm_topic **out,
                                  const struct tm_kafka_options *options, struct tm_err *err)
{
    assert(s->topics_count < DAY_TOPICS_MAX);
    enum tm_code rc = tm_topic_mem_open(out, s->day->broker, options, err);
    if (rc == TM_OK)
        s->topics[s->topics_count++] = *out;
    return rc;
}

static enum tm_code station_ports(struct day_station *s, const struct tm_sf_settings *salesforce,
                                  struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    if (salesforce != NULL)
        rc = tm_sf_session_open(&s->session, &s->http.port, salesforce, err);
    if (rc == TM_OK && s->kind != DAY_BATCH)
        rc = tm_registry_open(&s->registry, &s->http.port, STATIONS_REGISTRY, err);
    return rc;
}

static enum tm_code station_trace(struct day_station *s, struct tm_err *err)
{
    char path[TM_PATH_MAX];
    snprintf(path, sizeof path, "%.800s/trace/%s", s->day->run->dir, s->name);
    return tm_trace_open(&s->trace, path, err);
}

static const char *station_state(const struct day_station *s, char out[TM_PATH_MAX],
                                 const char *name)
{
    snprintf(out, TM_PATH_MAX, "%.800s/state/%.100s", s->day->run->dir, name);
    return out;
}

/* ---- source, gap, reconcile ---- */

static enum tm_code open_source(struct day_station *s, const char *path, struct tm_err *err)
{
    const char *topics[1];
    char aside[TM_PATH_MAX], file[200];
    struct tm_topic *producer = NULL, *checkpoints = NULL;
    struct tm_source *source = NULL;
    struct tm_source_settings *set = &s->set.source;
    size_t keys_count;
    const struct tm_key *keys = tm_source_keys(&keys_count);
    enum tm_code rc = tm_config_load(&s->config, path, keys, keys_count, err);
    if (rc == TM_OK)
        rc = tm_source_settings_read(set, s->config, STATIONS_ORG, err);
    if (rc != TM_OK)
        return rc;
    tm_command_agent(s->agent, set->pipeline);
    topics[0] = set->offsets_topic;
    snprintf(file, sizeof file, "source-%s-aside.db", set->object);
    rc = tm_aside_open(&s->aside, station_state(s, aside, file), err);
    if (rc == TM_OK)
        rc = station_trace(s, err);
    if (rc == TM_OK)
        rc = station_ports(s, &set->session, err);
    const struct tm_kafka_options options = { .client_id = s->name };
    if (rc == TM_OK)
        rc = station_topic(s, &producer, &options, err);
    if (rc == TM_OK)
        rc = station_topic(s, &checkpoints, &options, err);
    if (rc == TM_OK)
        rc = tm_source_open(&source, set,
                            &(struct tm_source_ports){ s->session, producer, checkpoints,
                                                       s->registry, s->trace, s->aside },
                            err);
    s->self = source;
    if (rc == TM_OK)
        rc = tm_topic_mem_open(
            &s->offsets, s->day->broker,
            &(struct tm_kafka_options){ .client_id = s->name,
                                        .group = s->name,
                                        .topics = topics,
                                        .topics_count = 1,
                                        .owner = tm_source_offsets_owner(source) },
            err);
    if (rc == TM_OK)
        tm_source_set_offsets(source, s->offsets);
    return rc;
}

static enum tm_code open_gap(struct day_station *s, const char *path, struct tm_err *err)
{
    struct tm_gap_settings *set = &s->set.gap;
    char aside[TM_PATH_MAX];
    struct tm_topic *topic = NULL;
    struct tm_gap *gap = NULL;
    enum tm_code rc = tm_gap_settings_load(set, &s->config, path, err);
    if (rc == TM_OK)
        rc = station_ports(s, NULL, err);
    if (rc == TM_OK)
        rc = station_topic(s, &topic,
                           &(struct tm_kafka_options){ .client_id = s->name,
                                                       .group = set->group,
                                                       .topics = (const char *const *)set->topics,
                                                       .topics_count = set->objects_count },
                           err);
    if (rc == TM_OK)
        rc = tm_gap_open(&gap, set, topic, s->registry, station_state(s, aside, "gap-aside.db"),
                         err);
    s->self = gap;
    return rc;
}

static void recon_revoked(void *self, const char *topic, int32_t partition)
{
    struct day_station *s = self;
    if (s->self != NULL)
        tm_recon_revoked(s->self, topic, partition);
}

static enum tm_code open_recon(struct day_station *s, const char *path, struct tm_err *err)
{
    struct tm_recon_settings *set = &s->set.reconcile;
    char state[TM_PATH_MAX];
    struct tm_topic *topic = NULL;
    struct tm_recon *recon = NULL;
    enum tm_code rc = tm_recon_settings_load(set, &s->config, path, STATIONS_ORG, err);
    if (rc != TM_OK)
        return rc;
    tm_command_agent(s->agent, set->name);
    rc = station_ports(s, &set->salesforce, err);
    if (rc == TM_OK)
        rc = station_topic(
            s, &topic,
            &(struct tm_kafka_options){ .client_id = s->name,
                                        .group = set->group,
                                        .topics = (const char *const *)set->alerts,
                                        .topics_count = set->objects_count,
                                        .owner = { .revoked = recon_revoked, .self = s } },
            err);
    if (rc == TM_OK)
        rc = tm_recon_open(&recon, set, &(struct tm_read_ports){ s->session, s->registry, topic },
                           station_state(s, state, "."), "day", 0, err);
    s->self = recon;
    return rc;
}

/* ---- sink, view, batch ---- */

static enum tm_code sink_schema(void *self, const struct tm_now *now,
                                const struct tm_avro_schema **out, int32_t id, struct tm_err *err)
{
    return tm_registry_schema(((struct day_station *)self)->registry, now, out, id, err);
}

static int64_t sink_schema_next(void *self)
{
    return tm_registry_next_at(((struct day_station *)self)->registry);
}

static enum tm_code sink_views(void *self, sqlite3 *db, struct tm_buf *out, struct tm_err *err)
{
    const struct tm_run *run = ((struct day_station *)self)->day->run;
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < run->objects_count && rc == TM_OK; i++)
        rc = tm_view_sql_for(db, run->objects[i], out, err);
    return rc;
}

static enum tm_code station_db(struct day_station *s, const char *path, struct tm_err *err)
{
    enum tm_code rc = tm_sql_open(&s->db, path, TM_SQL_CREATE, err);
    return rc == TM_OK ? tm_sql_fleeting(s->db, err) : rc;
}

static enum tm_code open_sink(struct day_station *s, const char *path, struct tm_err *err)
{
    struct tm_sink_plan *plan = &s->set.sink;
    struct tm_sink *sink = NULL;
    enum tm_code rc = tm_sink_plan_load(plan, path, err);
    if (rc == TM_OK)
        rc = station_trace(s, err);
    if (rc == TM_OK)
        rc = station_ports(s, NULL, err);
    if (rc == TM_OK)
        rc = station_db(s, s->day->run->raw_path, err);
    if (rc == TM_OK)
        rc = tm_sink_open(&sink, &plan->settings,
                          &(struct tm_sink_ports){ .db = s->db,
                                                   .schema = sink_schema,
                                                   .schema_next_at = sink_schema_next,
                                                   .schema_self = s,
                                                   .views = sink_views,
                                                   .views_self = s,
                                                   .trace = s->trace },
                          err);
    s->self = sink;
    for (int64_t i = 0; rc == TM_OK && i < tm_config_int(plan->config, "tasks.max"); i++) {
        struct tm_topic *topic = NULL;
        const char *group = tm_config_text(plan->config, "group.id");
        rc = station_topic(s, &topic,
                           &(struct tm_kafka_options){ .client_id = s->name,
                                                       .group = group,
                                                       .topics = plan->settings.topics,
                                                       .topics_count = plan->settings.topics_count,
                                                       .owner = tm_sink_owner(sink) },
                           err);
    }
    if (rc == TM_OK)
        tm_sink_consume(sink, s->topics, s->topics_count);
    return rc;
}

static const struct day_station *station_sink(const struct day *d)
{
    for (size_t i = 0; i < d->stations_count; i++)
        if (d->stations[i].kind == DAY_SINK && d->stations[i].db != NULL)
            return &d->stations[i];
    return NULL;
}

static enum tm_code open_view(struct day_station *s, const char *path, struct tm_err *err)
{
    struct tm_view_settings *set = &s->set.view;
    char file[TM_PATH_MAX + 200];
    struct tm_view *view = NULL;
    struct tm_topic *topic = NULL;
    enum tm_code rc = tm_view_config(&s->config, path, err);
    if (rc == TM_OK)
        rc = tm_view_settings_read(set, s->config, err);
    if (rc != TM_OK)
        return rc;
    set->raw_path = s->day->run->raw_path;
    for (size_t i = 0; set->raise_no_base && i < set->objects_count && rc == TM_OK; i++) {
        snprintf(file, sizeof file, "%s/%.150s.json", s->day->run->objects_dir, set->objects[i]);
        rc = tm_describe_load(&s->describes[i], file, err);
    }
    if (rc == TM_OK)
        rc = station_ports(s, NULL, err);
    if (rc == TM_OK)
        rc = station_topic(s, &topic, &(struct tm_kafka_options){ .client_id = s->name }, err);
    if (rc == TM_OK)
        rc = station_db(s, s->day->run->view_path, err);
    const struct day_station *sink = station_sink(s->day);
    const struct tm_view_ports ports = { .db = s->db,
                                         .topic = topic,
                                         .registry = s->registry,
                                         .describes =
                                             (const struct tm_describe *const *)s->describes,
                                         .raw = sink != NULL ? sink->db : NULL };
    if (rc == TM_OK)
        rc = tm_view_open(&view, set, &ports, err);
    s->self = view;
    return rc;
}

static enum tm_code open_batch(struct day_station *s, const char *path, struct tm_err *err)
{
    struct tm_batch *batch = NULL;
    const struct tm_run *run = s->day->run;
    const char *database = NULL;
    for (size_t i = 0; i < run->pipelines_count; i++)
        if (strcmp(run->pipelines[i].name, s->name) == 0)
            database = run->pipelines[i].database;
    assert(database != NULL);
    s->database = database;
    enum tm_code rc = tm_batch_settings_load(&s->set.batch, &s->config, path, STATIONS_ORG, err);
    if (rc != TM_OK)
        return rc;
    tm_command_agent(s->agent, s->set.batch.name);
    s->set.batch.fleeting = true;
    rc = station_ports(s, &s->set.batch.salesforce, err);
    if (rc == TM_OK)
        rc = tm_batch_open(&batch, &s->set.batch, s->session, &s->http.port, database, NULL, NULL,
                           err);
    s->self = batch;
    return rc;
}

/* ---- all of them ---- */

static enum tm_code station_open(struct day *d, enum day_kind kind, const char *name,
                                 const char *path, struct tm_err *err)
{
    static enum tm_code (*const open[])(struct day_station *, const char *,
                                        struct tm_err *) = { open_source, open_gap,  open_recon,
                                                             open_sink,   open_view, open_batch };
    assert(d->stations_count < DAY_STATIONS_MAX);
    struct day_station *s = &d->stations[d->stations_count++];
    s->day = d;
    s->kind = kind;
    snprintf(s->name, sizeof s->name, "%s", name);
    tm_command_agent(s->agent, name);
    tm_sim_http_init(&s->http, d->hosts, &d->faults, &d->choices, 0);
    s->http.agent = s->agent;
    s->http.hop_ns = DAY_HOP_NS;
    s->http.now = d->now;
    s->run_ns = d->now.wall_ns;
    d->sink = kind == DAY_SINK ? s : d->sink;
    d->view = kind == DAY_VIEW ? s : d->view;
    enum tm_code rc = open[kind](s, path, err);
    return rc == TM_OK ? rc : tm_at(err, "%s", name);
}

static enum tm_code stations_stream(struct day *d, const struct tm_run_pipeline *p,
                                    struct tm_err *err)
{
    char name[64];
    enum tm_code rc = station_open(d, DAY_SINK, "sink", p->sink, err);
    if (rc == TM_OK)
        rc = station_open(d, DAY_VIEW, "view", p->view, err);
    if (rc == TM_OK)
        rc = station_open(d, DAY_GAP, "gap", p->gap, err);
    if (rc == TM_OK)
        rc = station_open(d, DAY_RECONCILE, "reconcile", p->reconcile, err);
    for (size_t i = 0; i < p->sources_count && rc == TM_OK; i++) {
        snprintf(name, sizeof name, "source-%zu", i + 1);
        rc = station_open(d, DAY_SOURCE, name, p->sources[i], err);
    }
    return rc;
}

enum tm_code day_stations_open(struct day *d, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    d->stations = calloc(DAY_STATIONS_MAX, sizeof *d->stations);
    if (d->stations == NULL)
        return tm_fail(err, TM_E_NOMEM, "stations");
    for (size_t i = 0; i < d->run->pipelines_count && rc == TM_OK; i++) {
        const struct tm_run_pipeline *p = &d->run->pipelines[i];
        rc = p->kind == TM_RUN_STREAM ? stations_stream(d, p, err)
                                      : station_open(d, DAY_BATCH, p->name, p->config, err);
    }
    return rc;
}

enum tm_code day_station_step(struct day_station *s, struct tm_wake *wake, struct tm_err *err)
{
    const struct tm_now *now = &s->day->now;
    enum tm_code rc = TM_OK;
    switch (s->kind) {
    case DAY_SOURCE:
        rc = tm_source_step(s->self, now, wake, err);
        if (s->offsets != NULL && !tm_source_needs_offsets(s->self)) {
            tm_source_set_offsets(s->self, NULL);
            s->offsets->ops->close(s->offsets);
            s->offsets = NULL;
        }
        return rc;
    case DAY_GAP: return tm_gap_step(s->self, now, wake, err);
    case DAY_RECONCILE: return tm_recon_step(s->self, now, wake, err);
    case DAY_SINK: return tm_sink_step(s->self, now, wake, err);
    case DAY_VIEW: return tm_view_step(s->self, now, wake, err);
    case DAY_BATCH: return tm_batch_step(s->self, now, wake, err);
    }
    return tm_fail(err, TM_E_ARG, "no such station");
}

static void station_close(struct day_station *s)
{
    switch (s->kind) {
    case DAY_SOURCE: tm_source_close(s->self); break;
    case DAY_GAP: tm_gap_close(s->self); break;
    case DAY_RECONCILE: tm_recon_close(s->self); break;
    case DAY_SINK: tm_sink_close(s->self); break;
    case DAY_VIEW: tm_view_close(s->self); break;
    case DAY_BATCH: tm_batch_close(s->self); break;
    }
    s->self = NULL;
    while (s->topics_count > 0) {
        struct tm_topic *t = s->topics[--s->topics_count];
        t->ops->close(t);
    }
    if (s->offsets != NULL)
        s->offsets->ops->close(s->offsets);
    tm_registry_close(s->registry);
    tm_sf_session_close(s->session);
    for (size_t i = 0; i < TM_VIEW_OBJECTS_MAX; i++)
        tm_describe_close(s->describes[i]);
    tm_sql_close(s->db);
    tm_trace_close(s->trace);
    tm_aside_close(s->aside);
    if (s->kind == DAY_GAP)
        tm_gap_settings_free(&s->set.gap);
    if (s->kind == DAY_RECONCILE)
        tm_recon_settings_free(&s->set.reconcile);
    tm_config_close(s->kind == DAY_SINK ? s->set.sink.config : s->config);
}

void day_stations_close(struct day *d)
{
    for (size_t i = d->stations_count; i-- > 0;) /* the view reads what the sink has open */
        station_close(&d->stations[i]);
    free(d->stations);
    d->stations = NULL;
    d->stations_count = 0;
}

/* ---- the broker's retention ---- */

/* Lowest offset that some reader of the topic has not committed. */
static int64_t forget_before(const struct day *d, const char *topic, const char *const *groups,
                             size_t groups_count, int32_t partition)
{
    int64_t low = tm_mem_high(d->broker, topic, partition);
    for (size_t g = 0; g < groups_count; g++) {
        int64_t committed = tm_mem_committed(d->broker, groups[g], topic, partition);
        low = committed < low ? committed : low;
    }
    return low > 0 ? low : 0;
}

void day_stations_forget(struct day *d)
{
    const char *gap = NULL, *recon = NULL, *sink = NULL;
    for (size_t i = 0; i < d->stations_count; i++) {
        const struct day_station *s = &d->stations[i];
        gap = s->kind == DAY_GAP ? s->set.gap.group : gap;
        recon = s->kind == DAY_RECONCILE ? s->set.reconcile.group : recon;
        sink = s->kind == DAY_SINK ? tm_config_text(s->set.sink.config, "group.id") : sink;
    }
    if (sink == NULL)
        return;
    bool resuming = false; /* checkpoints are read when a source begins, and never again */
    for (size_t i = 0; i < d->stations_count; i++)
        resuming |= d->stations[i].offsets != NULL;
    if (!resuming)
        tm_mem_evict(d->broker, TM_TOPIC_OFFSETS, 0, tm_mem_high(d->broker, TM_TOPIC_OFFSETS, 0));
    for (size_t o = 0; o < d->run->objects_count; o++) {
        char names[3][TM_TOPIC_NAME_MAX];
        const char *const groups[3][2] = { { sink, gap }, { sink, recon }, { sink, sink } };
        tm_contract_topic_raw(names[0], d->run->objects[o]);
        tm_contract_topic_alerts(names[1], d->run->objects[o]);
        tm_contract_topic_recon(names[2], d->run->objects[o]);
        for (size_t k = 0; k < 3; k++)
            for (int32_t p = 0; p < TM_RUN_PARTITIONS; p++)
                tm_mem_evict(d->broker, names[k], p, forget_before(d, names[k], groups[k], 2, p));
    }
}
