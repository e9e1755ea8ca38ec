#include "simulate/world.h"
#include "base/text.h"
#include "event/contract.h"
#include "simulate/compare.h"
#include "simulate/pool.h"
#include "simulate/reader.h"
#include "view/sql.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORLD_PARTITIONS_MAX 16

const char *tm_sim_station_name(const struct tm_sim_station *s)
{
    static const char *const names[] = { "source", "gap", "reconcile", "sink", "view", "batch" };
    return names[s->kind];
}

uint64_t tm_sim_world_records(const struct tm_sim_world *w)
{
    return tm_mem_appended(w->broker);
}

/* ---- ports of one station ---- */

static enum tm_code world_topic(struct tm_sim_station *s, struct tm_topic **out,
                                const struct tm_kafka_options *options, struct tm_err *err)
{
    assert(s->topics_count < sizeof s->topics / sizeof s->topics[0]);
    enum tm_code rc = tm_topic_mem_open(out, s->world->broker, options, err);
    if (rc == TM_OK)
        s->topics[s->topics_count++] = *out;
    return rc;
}

static enum tm_code world_ports(struct tm_sim_station *s, const struct tm_sf_settings *salesforce,
                                struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    tm_sim_http_init(&s->http, s->world->hosts, &s->world->faults, s->world->choices,
                     (size_t)(s - s->world->stations));
    s->http.now = s->world->now;
    if (salesforce != NULL)
        rc = tm_sf_session_open(&s->session, &s->http.port, salesforce, err);
    if (rc == TM_OK)
        rc = tm_registry_open(&s->registry, &s->http.port, "http://registry", err);
    return rc;
}

/* ---- source ---- */

static enum tm_code world_source_settings(struct tm_sim_station *s, struct tm_err *err)
{
    const struct tm_sim_world *w = s->world;
    char channel[160];
    size_t keys_count;
    const struct tm_key *keys = tm_source_keys(&keys_count);
    snprintf(channel, sizeof channel, "%sChangeEvent", w->objects[s->object]);
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:I}", "kafka.topic",
        w->raw[s->object], "salesforce.instance", "http://org", "salesforce.username",
        "integration@tidemark.example", "salesforce.password", "tidemark",
        "salesforce.password.token", "TOKEN", "salesforce.consumer.key", "tidemark-consumer-key",
        "salesforce.consumer.secret", "tidemark-consumer-secret", "salesforce.cdc.name", channel,
        "tidemark.merged.events", w->set.keep_merged ? "keep" : "explode",
        "salesforce.initial.start", w->set.start_all ? "all" : "latest",
        "invalid.replay.id.behaviour", w->set.seed % 3 == 0 ? "latest" : "all",
        "convert.changed.fields", w->set.convert_changed_fields, "tidemark.audit.interval.ms",
        (json_int_t)w->set.audit_ms);
    enum tm_code rc = tm_config_from_json(&s->config, json, "source", keys, keys_count, err);
    json_decref(json);
    return rc == TM_OK ? tm_source_settings_read(&s->source_settings, s->config, NULL, err) : rc;
}

static enum tm_code world_source(struct tm_sim_station *s, struct tm_err *err)
{
    static const char *const topics[] = { TM_TOPIC_OFFSETS };
    char group[64], aside[TM_SIM_PATH_BYTES + 32];
    struct tm_topic *producer = NULL, *checkpoints = NULL, *offsets = NULL;
    struct tm_source *source = NULL;
    snprintf(group, sizeof group, "source-%zu", s->object);
    snprintf(aside, sizeof aside, "%s/source-aside-%zu.db", s->world->dir, s->object);
    enum tm_code rc = world_source_settings(s, err);
    if (rc == TM_OK)
        rc = tm_aside_open(&s->aside, aside, err);
    if (rc == TM_OK)
        rc = world_ports(s, &s->source_settings.session, err);
    if (rc == TM_OK)
        rc = world_topic(s, &producer, &(struct tm_kafka_options){ .client_id = "source" }, err);
    if (rc == TM_OK)
        rc = world_topic(s, &checkpoints, &(struct tm_kafka_options){ .client_id = "source" }, err);
    if (rc == TM_OK)
        rc = tm_source_open(&source, &s->source_settings,
                            &(struct tm_source_ports){ s->session, producer, checkpoints,
                                                       s->registry, NULL, s->aside },
                            err);
    if (rc != TM_OK)
        return rc;
    s->self = source;
    rc = world_topic(s, &offsets,
                     &(struct tm_kafka_options){ .client_id = "source",
                                                 .group = group,
                                                 .topics = topics,
                                                 .topics_count = 1,
                                                 .owner = tm_source_offsets_owner(source) },
                     err);
    if (rc == TM_OK)
        tm_source_set_offsets(source, offsets);
    return rc;
}

static enum tm_code world_source_step(struct tm_sim_station *s, struct tm_wake *wake,
                                      struct tm_err *err)
{
    enum tm_code rc = tm_source_step(s->self, &s->world->now, wake, err);
    if (s->topics_count == 3 && !tm_source_needs_offsets(s->self)) {
        tm_source_set_offsets(s->self, NULL);
        s->topics[--s->topics_count]->ops->close(s->topics[2]);
    }
    return rc;
}

/* ---- gap, reconcile ---- */

static enum tm_code world_gap(struct tm_sim_station *s, struct tm_err *err)
{
    struct tm_sim_world *w = s->world;
    char aside[TM_SIM_PATH_BYTES + 16];
    struct tm_topic *topic = NULL;
    struct tm_gap *gap = NULL;
    snprintf(aside, sizeof aside, "%s/gap-aside.db", w->dir);
    enum tm_code rc = world_ports(s, NULL, err);
    if (rc == TM_OK)
        rc = world_topic(s, &topic,
                         &(struct tm_kafka_options){ .client_id = "gap",
                                                     .group = w->gap.group,
                                                     .topics = w->raw_topics,
                                                     .topics_count = w->set.objects_count },
                         err);
    if (rc == TM_OK)
        rc = tm_gap_open(&gap, &w->gap, topic, s->registry, aside, err);
    s->self = gap;
    return rc;
}

static void world_recon_revoked(void *self, const char *topic, int32_t partition)
{
    struct tm_sim_station *s = self;
    if (s->self != NULL)
        tm_recon_revoked(s->self, topic, partition);
}

static enum tm_code world_recon(struct tm_sim_station *s, struct tm_err *err)
{
    struct tm_sim_world *w = s->world;
    char life[32];
    struct tm_topic *topic = NULL;
    struct tm_recon *recon = NULL;
    snprintf(life, sizeof life, "life%" PRIu64, s->lives);
    enum tm_code rc = world_ports(s, &w->recon_settings.salesforce, err);
    if (rc == TM_OK)
        rc = world_topic(
            s, &topic,
            &(struct tm_kafka_options){ .client_id = "reconcile",
                                        .group = w->recon_settings.group,
                                        .topics = w->alerts_topics,
                                        .topics_count = w->set.objects_count,
                                        .owner = { .revoked = world_recon_revoked, .self = s } },
            err);
    if (rc == TM_OK)
        rc = tm_recon_open(&recon, &w->recon_settings,
                           &(struct tm_read_ports){ s->session, s->registry, topic }, w->dir, life,
                           0, err);
    s->self = recon;
    return rc;
}

/* ---- sink, view ---- */

static enum tm_code world_schema(void *self, const struct tm_now *now,
                                 const struct tm_avro_schema **out, int32_t id, struct tm_err *err)
{
    return tm_registry_schema(((struct tm_sim_station *)self)->registry, now, out, id, err);
}

static int64_t world_schema_next(void *self)
{
    return tm_registry_next_at(((struct tm_sim_station *)self)->registry);
}

/* Every `from` in the SQL becomes `to`. */
static enum tm_code world_plant(const struct tm_sim_settings *set, struct tm_buf *sql,
                                struct tm_err *err)
{
    size_t from_bytes = strlen(set->planted_from);
    struct tm_buf out;
    tm_buf_init(&out, sql->max);
    for (const char *p = tm_buf_text(sql), *hit; *p != '\0'; p = hit) {
        hit = strstr(p, set->planted_from);
        tm_buf_add(&out, p, hit != NULL ? (size_t)(hit - p) : strlen(p));
        hit = hit != NULL ? hit : p + strlen(p);
        if (*hit != '\0') {
            tm_buf_addz(&out, set->planted_to);
            hit += from_bytes;
        }
    }
    enum tm_code rc = tm_buf_check(&out, "planted SQL", err);
    tm_buf_reset(sql);
    tm_buf_addz(sql, tm_buf_text(&out));
    tm_buf_free(&out);
    return rc;
}

static enum tm_code world_views(void *self, sqlite3 *db, struct tm_buf *out, struct tm_err *err)
{
    const struct tm_sim_world *w = ((struct tm_sim_station *)self)->world;
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < w->set.objects_count && rc == TM_OK; i++) {
        struct tm_buf sql;
        tm_buf_init(&sql, out->max);
        rc = tm_view_sql_for(db, w->objects[i], &sql, err);
        if (rc == TM_OK && w->set.planted_from != NULL)
            rc = world_plant(&w->set, &sql, err);
        if (rc == TM_OK && w->set.views_installed)
            tm_buf_addz(out, tm_buf_text(&sql));
        else if (rc == TM_OK)
            rc = tm_sim_reader_keep(out, db, w->objects[i], tm_buf_text(&sql), err);
        tm_buf_free(&sql);
    }
    return rc;
}

static enum tm_code world_db(struct tm_sim_station *s, const char *path, struct tm_err *err)
{
    enum tm_code rc = tm_sql_open(&s->db, path, TM_SQL_CREATE, err);
    return rc == TM_OK ? tm_sql_exec(s->db, "PRAGMA synchronous=OFF", err) : rc;
}

static enum tm_code world_sink(struct tm_sim_station *s, struct tm_err *err)
{
    struct tm_sim_world *w = s->world;
    const struct tm_sink_settings settings = {
        .topics = w->sink_topics,
        .topics_count = w->set.objects_count * 3,
        .sanitize_topics = true,
        .rules = { .create_tables = true, .update_schemas = true, .unionization = true }
    };
    struct tm_sink *sink = NULL;
    enum tm_code rc = world_ports(s, NULL, err);
    if (rc == TM_OK)
        rc = world_db(s, w->raw_path, err);
    w->raw_made |= rc == TM_OK;
    if (rc == TM_OK)
        rc = tm_sink_open(&sink, &settings,
                          &(struct tm_sink_ports){ .db = s->db,
                                                   .schema = world_schema,
                                                   .schema_next_at = world_schema_next,
                                                   .schema_self = s,
                                                   .views = world_views,
                                                   .views_self = s },
                          err);
    s->self = sink;
    for (size_t i = 0; i < w->set.tasks && rc == TM_OK; i++) {
        struct tm_topic *consumer = NULL;
        rc = world_topic(s, &consumer,
                         &(struct tm_kafka_options){ .client_id = "sink",
                                                     .group = "tidemark-sink",
                                                     .topics = settings.topics,
                                                     .topics_count = settings.topics_count,
                                                     .owner = tm_sink_owner(sink) },
                         err);
    }
    if (rc == TM_OK)
        tm_sink_consume(sink, s->topics, s->topics_count);
    return rc;
}

static enum tm_code world_view(struct tm_sim_station *s, struct tm_err *err)
{
    struct tm_sim_world *w = s->world;
    const struct tm_view_settings settings = { .raw_path = w->raw_path,
                                               .raw_there = &w->raw_made,
                                               .objects = w->objects,
                                               .objects_count = w->set.objects_count,
                                               .raise_no_base = true,
                                               .poll_ns = w->set.view_poll_ms * TM_NS_PER_MS,
                                               .rows_max = (size_t)w->set.rows_max };
    struct tm_view *view = NULL;
    struct tm_topic *topic = NULL;
    enum tm_code rc = world_ports(s, NULL, err);
    if (rc == TM_OK)
        rc = world_topic(s, &topic, &(struct tm_kafka_options){ .client_id = "view" }, err);
    if (rc == TM_OK)
        rc = world_db(s, w->view_path, err);
    const struct tm_view_ports ports = { .db = s->db,
                                         .topic = topic,
                                         .registry = s->registry,
                                         .describes =
                                             (const struct tm_describe *const *)w->describes };
    if (rc == TM_OK)
        rc = tm_view_open(&view, &settings, &ports, err);
    s->self = view;
    return rc;
}

/* ---- batch ---- */

/* A preset that carries everything a poll can see. */
static enum tm_code world_batch_preset(const struct tm_sim_world *w, const char *path,
                                       struct tm_err *err)
{
    bool reload = w->set.batch == TM_SIM_RELOAD;
    json_t *objects = json_array();
    for (size_t i = 0; i < w->set.objects_count; i++)
        json_array_append_new(objects, json_string(w->objects[i]));
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:s, s:s, s:b, s:s, s:I, s:s, s:b}", "name",
        "batch", "salesforce.instance", "http://org", "salesforce.username",
        "integration@tidemark.example", "salesforce.password", "tidemark",
        "salesforce.password.token", "TOKEN", "salesforce.consumer.key", "tidemark-consumer-key",
        "salesforce.consumer.secret", "tidemark-consumer-secret", "objects", objects, "interval.ms",
        (json_int_t)w->set.batch_ms, "mode", reload ? "full" : "incremental", "paging",
        w->set.batch_keyset ? "keyset" : "locator", "query.all", w->set.batch_query_all && !reload,
        "cursor.advance", w->set.batch_from_start ? "poll_start" : "max_seen", "overlap.ms",
        (json_int_t)(w->set.batch_from_start ? w->set.index_lag_ms + 2000 : 0), "deletes", "remove",
        "get.deleted", !reload);
    if (json != NULL && w->set.batch_keyset && w->set.page_max > 0)
        json_object_set_new(json, "page.rows", json_integer((json_int_t)w->set.page_max));
    bool written = json != NULL && json_dump_file(json, path, JSON_COMPACT) == 0;
    json_decref(json);
    return written ? TM_OK : tm_fail(err, TM_E_IO, "cannot write %s", path);
}

static enum tm_code world_batch(struct tm_sim_station *s, struct tm_err *err)
{
    struct tm_sim_world *w = s->world;
    char path[TM_SIM_PATH_BYTES + 32];
    struct tm_batch *batch = NULL;
    snprintf(path, sizeof path, "%s/batch.json", w->dir);
    enum tm_code rc = world_batch_preset(w, path, err);
    if (rc == TM_OK)
        rc = tm_batch_settings_load(&s->batch, &s->config, path, NULL, err);
    if (rc == TM_OK)
        rc = world_ports(s, &s->batch.salesforce, err);
    if (rc == TM_OK)
        rc = tm_batch_open(&batch, &s->batch, s->session, &s->http.port, w->batch_path, NULL, NULL,
                           err);
    s->self = batch;
    return rc;
}

/* ---- a station ---- */

enum tm_code tm_sim_station_start(struct tm_sim_station *s, struct tm_err *err)
{
    static enum tm_code (*const open[])(struct tm_sim_station *, struct tm_err *) = {
        world_source, world_gap, world_recon, world_sink, world_view, world_batch
    };
    s->up = true;
    s->lives++;
    s->run_ns = s->world->now.wall_ns;
    enum tm_code rc = open[s->kind](s, err);
    return rc == TM_OK ? rc : tm_at(err, "%s", tm_sim_station_name(s));
}

void tm_sim_station_crash(struct tm_sim_station *s)
{
    if (!s->up)
        return;
    if (s->self != NULL) {
        switch (s->kind) {
        case TM_SIM_SOURCE: tm_source_close(s->self); break;
        case TM_SIM_GAP: tm_gap_close(s->self); break;
        case TM_SIM_RECONCILE: tm_recon_close(s->self); break;
        case TM_SIM_SINK: tm_sink_close(s->self); break;
        case TM_SIM_VIEW: tm_view_close(s->self); break;
        case TM_SIM_BATCH: tm_batch_close(s->self); break;
        }
    }
    s->self = NULL;
    while (s->topics_count > 0) {
        struct tm_topic *t = s->topics[--s->topics_count];
        t->ops->close(t);
    }
    tm_aside_close(s->aside);
    tm_registry_close(s->registry);
    tm_sf_session_close(s->session);
    tm_sql_close(s->db);
    tm_config_close(s->config);
    s->aside = NULL;
    s->registry = NULL;
    s->session = NULL;
    s->db = NULL;
    s->config = NULL;
    s->up = false;
}

enum tm_code tm_sim_station_step(struct tm_sim_station *s, struct tm_wake *wake, struct tm_err *err)
{
    const struct tm_now *now = &s->world->now;
    s->http.news = false;
    switch (s->kind) {
    case TM_SIM_SOURCE: return world_source_step(s, wake, err);
    case TM_SIM_GAP: return tm_gap_step(s->self, now, wake, err);
    case TM_SIM_RECONCILE: return tm_recon_step(s->self, now, wake, err);
    case TM_SIM_SINK: return tm_sink_step(s->self, now, wake, err);
    case TM_SIM_VIEW: return tm_view_step(s->self, now, wake, err);
    case TM_SIM_BATCH: return tm_batch_step(s->self, now, wake, err);
    }
    return tm_fail(err, TM_E_ARG, "no such station");
}

/* ---- the world ---- */

static void world_wake(void *data, uint64_t token)
{
    struct tm_sim_world *w = data;
    for (size_t i = 0; i < w->stations_count; i++)
        tm_sim_http_woken(&w->stations[i].http, token);
}

/* ---- databases ---- */

#define WORLD_VFS "memdb"
/* Databases in memory; connections to them, and so they themselves, are the pool's. */
static enum tm_code world_memory(struct tm_sim_world *w, struct tm_err *err)
{
    sqlite3_vfs *memory = sqlite3_vfs_find(WORLD_VFS);
    w->files = sqlite3_vfs_find(NULL);
    if (memory == NULL || sqlite3_vfs_register(memory, 1) != SQLITE_OK)
        return tm_fail(err, TM_E_ARG, "this SQLite (%s) cannot keep databases in memory by name",
                       sqlite3_libversion());
    tm_sim_pool_begin(w->dir, w->set.objects_count);
    return TM_OK;
}

static void world_memory_close(struct tm_sim_world *w)
{
    tm_sim_pool_end();
    if (w->files != NULL)
        sqlite3_vfs_register(w->files, 1);
}

static enum tm_code world_topics(struct tm_sim_world *w, struct tm_err *err)
{
    enum tm_code rc = tm_mem_broker_open(&w->broker, err);
    size_t n = 0;
    assert(w->set.partitions >= 1 && w->set.partitions <= WORLD_PARTITIONS_MAX);
    for (size_t i = 0; i < w->set.objects_count; i++) {
        w->objects[i] = tm_sim_objects[i];
        tm_contract_topic_raw(w->raw[i], w->objects[i]);
        tm_contract_topic_alerts(w->alerts[i], w->objects[i]);
        tm_contract_topic_recon(w->recon[i], w->objects[i]);
        w->sink_topics[n++] = w->raw_topics[i] = w->raw[i];
        w->sink_topics[n++] = w->alerts_topics[i] = w->alerts[i];
        w->sink_topics[n++] = w->recon[i];
    }
    for (size_t i = 0; i < n && rc == TM_OK; i++)
        rc = tm_mem_topic_create(w->broker, w->sink_topics[i], w->set.partitions, err);
    if (rc == TM_OK)
        rc = tm_mem_topic_create(w->broker, TM_TOPIC_OFFSETS, 1, err);
    return rc;
}

static void world_settings(struct tm_sim_world *w)
{
    struct tm_gap_settings *g = &w->gap;
    struct tm_recon_settings *r = &w->recon_settings;
    *g = (struct tm_gap_settings){ .name = "gap",
                                   .group = "tidemark-gap",
                                   .objects_count = w->set.objects_count };
    *r = (struct tm_recon_settings){ .name = "reconcile",
                                     .group = "tidemark-reconcile",
                                     .objects_count = w->set.objects_count,
                                     .window_ms = w->set.window_ms,
                                     .idle_ns = w->set.idle_ms * TM_NS_PER_MS,
                                     .ids_max = w->set.ids_max,
                                     .sees_all = w->set.sees_all,
                                     .overflow_range = w->set.overflow_range,
                                     .longest_ms = w->set.longest_ms,
                                     .lag_ms = w->set.index_lag_ms,
                                     .bulk_rows_min = w->set.bulk_rows > 0,
                                     .bulk_page_rows = (int)w->set.bulk_rows,
                                     .attempts_max = 1000,
                                     .backoff_ns = 100 * TM_NS_PER_MS,
                                     .backoff_ns_max = 2 * TM_NS_PER_S };
    for (size_t i = 0; i < w->set.objects_count; i++) {
        g->objects[i] = r->objects[i] = (char *)w->objects[i];
        g->topics[i] = w->raw[i];
        g->alerts[i] = r->alerts[i] = w->alerts[i];
        r->recon[i] = w->recon[i];
    }
    r->salesforce = (struct tm_sf_settings){ .instance = "http://org",
                                             .username = "integration@tidemark.example",
                                             .password = "tidemark",
                                             .password_token = "TOKEN",
                                             .consumer_key = "tidemark-consumer-key",
                                             .consumer_secret = "tidemark-consumer-secret",
                                             .grant = TM_SF_PASSWORD,
                                             .api_version = "latest",
                                             .request_retry_ns_max = 30 * TM_NS_PER_S,
                                             .auth_retry_ns_max = 30 * TM_NS_PER_S,
                                             .seed = w->set.seed };
}

static enum tm_code world_org(struct tm_sim_world *w, struct tm_err *err)
{
    char objects[TM_SIM_PATH_BYTES + 16];
    const char *names[TM_SIM_OBJECTS_MAX + 1] = { NULL };
    snprintf(objects, sizeof objects, "%s/objects", w->dir);
    for (size_t i = 0; i < w->set.objects_count; i++)
        names[i] = w->objects[i];
    const struct tm_org_settings org = { .path = ":memory:",
                                         .objects_dir = objects,
                                         .objects = names,
                                         .seed = w->set.seed,
                                         .origin_ms = TM_SIM_ORIGIN_MS,
                                         .compress = 1,
                                         .publish_delay_ms = w->set.publish_delay_ms,
                                         .index_lag_ms = w->set.index_lag_ms,
                                         .edition = "none" };
    const struct tm_salesforce_settings mock = { .base_url = "http://org",
                                                 .page_max = w->set.page_max,
                                                 .oauth = { .seed = w->set.seed, .seeded = true },
                                                 .bulk = { .job_ns =
                                                               w->set.bulk_ms * TM_NS_PER_MS } };
    tm_sim_pool_org();
    enum tm_code rc = tm_org_open(&w->org, &org, err);
    if (rc == TM_OK)
        rc = tm_salesforce_open(&w->salesforce, w->org, &mock, err);
    if (rc == TM_OK)
        rc = tm_sim_pool_settled(tm_org_db(w->org), err);
    if (rc == TM_OK)
        rc = tm_mock_registry_open(&w->schemas, err);
    if (rc != TM_OK)
        return rc;
    tm_salesforce_wired(w->salesforce, world_wake, w);
    w->hosts[0] = (struct tm_sim_host){ "http://org", tm_salesforce_handler(w->salesforce) };
    w->hosts[1] = (struct tm_sim_host){ "http://registry", tm_mock_registry_handler(w->schemas) };
    for (size_t i = 0; i < w->set.objects_count && rc == TM_OK; i++)
        rc = tm_describe_parse(&w->describes[i], tm_org_describe(w->org, w->objects[i])->json, err);
    return rc;
}

static void world_station(struct tm_sim_world *w, enum tm_sim_kind kind, size_t object)
{
    struct tm_sim_station *s = &w->stations[w->stations_count];
    s->world = w;
    s->kind = kind;
    s->object = object;
    tm_sim_http_init(&s->http, w->hosts, &w->faults, w->choices, w->stations_count++);
}

enum tm_code tm_sim_world_open(struct tm_sim_world *w, const char *dir,
                               const struct tm_sim_settings *set, struct tm_sim_choices *choices,
                               struct tm_err *err)
{
    tm_avro_schemas_keep();
    memset(w, 0, sizeof *w);
    w->set = *set;
    w->now = (struct tm_now){ .org_ms = TM_SIM_ORIGIN_MS, .wall_ns = TM_SIM_ORIGIN_NS };
    w->choices = choices;
    snprintf(w->dir, sizeof w->dir, "%s", dir);
    snprintf(w->raw_path, sizeof w->raw_path, "%s/raw.db", dir);
    snprintf(w->view_path, sizeof w->view_path, "%s/view.db", dir);
    snprintf(w->batch_path, sizeof w->batch_path, "%s/batch.db", dir);
    enum tm_code rc = world_memory(w, err);
    if (rc == TM_OK)
        rc = world_topics(w, err);
    if (rc == TM_OK)
        rc = world_org(w, err);
    if (rc != TM_OK)
        return rc;
    world_settings(w);
    for (size_t i = 0; i < set->objects_count; i++)
        world_station(w, TM_SIM_SOURCE, i);
    if (set->batch != TM_SIM_NO_BATCH)
        world_station(w, TM_SIM_BATCH, 0);
    for (enum tm_sim_kind kind = TM_SIM_GAP; kind <= TM_SIM_VIEW; kind++)
        world_station(w, kind, 0); /* sink and view last: compare.h */
    return TM_OK;
}

void tm_sim_world_leave(struct tm_sim_world *w)
{
    if (w->stranger != NULL)
        w->stranger->ops->close(w->stranger);
    w->stranger = NULL;
}

enum tm_code tm_sim_world_join(struct tm_sim_world *w, enum tm_sim_kind kind, struct tm_err *err)
{
    struct tm_kafka_options o = { .client_id = "stranger" };
    tm_sim_world_leave(w);
    o.group = kind == TM_SIM_GAP         ? w->gap.group
              : kind == TM_SIM_RECONCILE ? w->recon_settings.group
                                         : "tidemark-sink";
    o.topics = kind == TM_SIM_GAP         ? w->raw_topics
               : kind == TM_SIM_RECONCILE ? w->alerts_topics
                                          : w->sink_topics;
    o.topics_count = w->set.objects_count * (kind == TM_SIM_SINK ? 3 : 1);
    return tm_topic_mem_open(&w->stranger, w->broker, &o, err);
}

enum tm_code tm_sim_world_poison(struct tm_sim_world *w, const char *topic, int32_t partition,
                                 unsigned sort, struct tm_err *err)
{
    /* No frame; a schema that nobody registered; a frame and nothing in it; no value at all. */
    static const struct {
        const char *value;
        size_t bytes;
    } sorts[] = { { "{\"Id\":1}", 8 }, { "\0\0\1\1\1abc", 8 }, { "\0\0\0\0\1", 5 }, { NULL, 0 } };
    struct tm_topic *t = NULL;
    enum tm_code rc = tm_topic_mem_open(&t, w->broker,
                                        &(struct tm_kafka_options){ .client_id = "stranger" }, err);
    if (rc != TM_OK)
        return rc;
    sort %= sizeof sorts / sizeof sorts[0];
    rc = t->ops->produce(t, topic, partition, "poison", 6, sorts[sort].value, sorts[sort].bytes,
                         err);
    t->ops->close(t);
    return rc == TM_E_AGAIN ? TM_OK : rc;
}

void tm_sim_world_close(struct tm_sim_world *w)
{
    tm_sim_pool_closing();
    tm_sim_world_leave(w);
    tm_sim_compare_forget(w);
    tm_sim_reader_done();
    for (size_t i = 0; i < w->stations_count; i++)
        tm_sim_station_crash(&w->stations[i]);
    if (w->broker != NULL)
        tm_mem_broker_close(w->broker);
    tm_mock_registry_close(w->schemas);
    tm_salesforce_close(w->salesforce);
    tm_org_close(w->org);
    for (size_t i = 0; i < TM_SIM_OBJECTS_MAX; i++)
        tm_describe_close(w->describes[i]);
    world_memory_close(w);
    if (w->set.batch != TM_SIM_NO_BATCH) {
        char path[TM_SIM_PATH_BYTES + 32];
        snprintf(path, sizeof path, "%s/batch.json", w->dir);
        unlink(path);
    }
}
