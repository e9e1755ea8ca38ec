/* cmd_sink: `tidemark sink CONFIG.json`: the append-only warehouse sink, from the config of the
 * original. Installs the views of option 1 over the tables it fills: the built-in ones, or a team's
 * own from --views DIR (<Object>.sql). */
#include "run/command.h"
#include "base/config.h"
#include "base/log.h"
#include "base/text.h"
#include "sink/offsets.h"
#include "sink/sink.h"
#include "topic/registry.h"
#include "view/sql.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define SINK_VIEW_BYTES_MAX (1u << 20)
#define SINK_TOPIC_BYTES 250
#define SINK_PATH_BYTES 1280

/* Spellings of the managed connector, then those of the connector one runs oneself (v1 and v2).
 * Both mean the same. */
static const struct tm_key sink_keys[] = {
    { "name", TM_KEY_TEXT, 0, "sink", 0, 0, NULL, "of this station" },
    { "topics", TM_KEY_LIST, TM_KEY_REQUIRED, NULL, 0, 0, NULL, "topics to write, one table each" },
    { "input.data.format", TM_KEY_TEXT, 0, "AVRO", 0, 0, "AVRO", "format of the values" },
    { "input.key.format", TM_KEY_TEXT, 0, "STRING", 0, 0, "STRING|BYTES",
      "format of the keys, which are not written" },
    { "tasks.max", TM_KEY_INT, 0, "1", 1, TM_SINK_TASKS_MAX - 4, NULL,
      "consumers of the group in this process" },
    { "group.id", TM_KEY_TEXT, 0, "tidemark-sink", 0, 0, NULL, "consumer group" },
    TM_PROPERTIES_ENTRY,
    TM_TOPICS_ENTRIES,
    { "auto.create.tables", TM_KEY_BOOL, 0, "true", 0, 0, NULL, "create missing tables" },
    { "auto.update.schemas", TM_KEY_BOOL, 0, "false", 0, 0, NULL, "add columns for new fields" },
    { "sanitize.topics", TM_KEY_BOOL, 0, "false", 0, 0, NULL,
      "table name: what is not A-Za-z0-9_ becomes _" },
    { "sanitize.field.names", TM_KEY_BOOL, 0, "false", 0, 0, NULL, "the same for columns" },
    { "allow.schema.unionization", TM_KEY_BOOL, 0, "false", 0, 0, NULL,
      "union of the table's and all records' schemas" },
    { "topic2table.map", TM_KEY_LIST, 0, NULL, 0, 0, NULL,
      "topic:table, …; unmapped topics keep their raw name" },
    { "autoCreateTables", TM_KEY_BOOL, 0, NULL, 0, 0, NULL, "as auto.create.tables" },
    { "autoUpdateSchemas", TM_KEY_BOOL, 0, NULL, 0, 0, NULL, "as auto.update.schemas (v1)" },
    { "allowNewBigQueryFields", TM_KEY_BOOL, 0, NULL, 0, 0, NULL, "as auto.update.schemas (v2)" },
    { "sanitizeTopics", TM_KEY_BOOL, 0, NULL, 0, 0, NULL, "as sanitize.topics" },
    { "sanitizeFieldNames", TM_KEY_BOOL, 0, NULL, 0, 0, NULL, "as sanitize.field.names" },
    { "allowSchemaUnionization", TM_KEY_BOOL, 0, NULL, 0, 0, NULL, "as allow.schema.unionization" },
    { "topic2TableMap", TM_KEY_LIST, 0, NULL, 0, 0, NULL, "as topic2table.map" },
    TM_PROPERTIES_CLOUD_ENTRIES,
    TM_KEY_ACCEPTED("project"),
    TM_KEY_ACCEPTED("datasets"),
    TM_KEY_ACCEPTED("defaultDataset"),
    TM_KEY_ACCEPTED_SECRET("keyfile"),
    TM_KEY_ACCEPTED("keySource"),
    TM_KEY_ACCEPTED("partitioning.type"),
    TM_KEY_ACCEPTED("allowBigQueryRequiredFieldRelaxation"),
    TM_KEY_ACCEPTED("allBQFieldsNullable"),
    TM_KEY_ACCEPTED("threadPoolSize"),
    TM_KEY_ACCEPTED("queueSize"),
    TM_KEY_ACCEPTED("bigQueryRetry"),
    TM_KEY_ACCEPTED("bigQueryRetryWait"),
    TM_KEY_ACCEPTED("max.retries"),
    TM_KEY_ACCEPTED("key.converter"),
    TM_KEY_ACCEPTED("value.converter"),
    TM_KEY_ACCEPTED("value.converter.schema.registry.url"),
};
#define SINK_KEYS (sizeof sink_keys / sizeof sink_keys[0])

struct cmd_sink {
    struct tm_station_flags flags;
    struct tm_config *config;
    struct tm_properties properties;
    const char *views_dir; /* NULL = built in */
    const char *tables[TM_SINK_TOPICS_MAX];
    char objects[TM_SINK_TOPICS_MAX][SINK_TOPIC_BYTES];
    size_t objects_count;
    struct tm_sink_settings settings;
    struct tm_sink *sink;
    sqlite3 *db;
    struct tm_http *http;
    struct tm_registry *registry;
    struct tm_trace *trace;
    struct tm_clock_file *clock;
    struct tm_topic *consumers[TM_SINK_TASKS_MAX];
    size_t consumers_count;
    int fds[TM_SINK_TASKS_MAX];
};

/* ---- settings ---- */

static bool sink_either(const struct tm_config *c, const char *key, const char *other,
                        const char *third)
{
    if (third != NULL && tm_config_has(c, third))
        return tm_config_bool(c, third);
    return tm_config_bool(c, tm_config_has(c, other) ? other : key);
}

static enum tm_code sink_map(struct cmd_sink *c, const char *key, struct tm_err *err)
{
    const char *const *items;
    size_t count = tm_config_list(c->config, key, &items);
    for (size_t i = 0; i < count; i++) {
        const char *colon = strchr(items[i], ':');
        size_t t = 0, n = colon != NULL ? (size_t)(colon - items[i]) : 0;
        while (t < c->settings.topics_count && (strlen(c->settings.topics[t]) != n ||
                                                strncmp(c->settings.topics[t], items[i], n) != 0))
            t++;
        if (colon == NULL || colon[1] == '\0' || t == c->settings.topics_count)
            return tm_fail(err, TM_E_ARG,
                           "%s: %s: \"%s\" is not topic:table with a topic of \"topics\"",
                           c->flags.config_path, key, items[i]);
        c->tables[t] = colon + 1;
        c->settings.sanitize_topics = false; /* as in the original: the map replaces sanitising */
    }
    return TM_OK;
}

/* sfdc.cdc.opportunity_raw -> Opportunity: the relation over it. SQL does not tell cases apart. */
static void sink_objects(struct cmd_sink *c)
{
    static const char before[] = "sfdc.cdc.", after[] = "_raw";
    for (size_t i = 0; i < c->settings.topics_count; i++) {
        const char *t = c->settings.topics[i];
        size_t n = strlen(t), fixed = sizeof before - 1 + sizeof after - 1;
        if (n <= fixed || n - fixed >= SINK_TOPIC_BYTES ||
            strncmp(t, before, sizeof before - 1) != 0 ||
            strcmp(t + n - (sizeof after - 1), after) != 0)
            continue;
        char *object = c->objects[c->objects_count++];
        snprintf(object, SINK_TOPIC_BYTES, "%.*s", (int)(n - fixed), t + sizeof before - 1);
        if (object[0] >= 'a' && object[0] <= 'z')
            object[0] = (char)(object[0] - 32);
    }
}

static enum tm_code sink_settings(struct cmd_sink *c, struct tm_err *err)
{
    struct tm_sink_settings *s = &c->settings;
    enum tm_code rc = tm_config_load(&c->config, c->flags.config_path, sink_keys, SINK_KEYS, err);
    if (rc != TM_OK)
        return rc;
    s->topics_count = tm_config_list(c->config, "topics", &s->topics);
    if (s->topics_count == 0 || s->topics_count > TM_SINK_TOPICS_MAX)
        return tm_fail(err, TM_E_ARG, "%s: topics: 1 to %d names, not %zu", c->flags.config_path,
                       TM_SINK_TOPICS_MAX, s->topics_count);
    s->tables = c->tables;
    s->sanitize_topics = sink_either(c->config, "sanitize.topics", "sanitizeTopics", NULL);
    s->rules.create_tables = sink_either(c->config, "auto.create.tables", "autoCreateTables", NULL);
    s->rules.update_schemas = sink_either(c->config, "auto.update.schemas", "autoUpdateSchemas",
                                          "allowNewBigQueryFields");
    s->rules.sanitize_fields =
        sink_either(c->config, "sanitize.field.names", "sanitizeFieldNames", NULL);
    s->rules.unionization =
        sink_either(c->config, "allow.schema.unionization", "allowSchemaUnionization", NULL);
    rc = sink_map(c, "topic2table.map", err);
    if (rc == TM_OK)
        rc = sink_map(c, "topic2TableMap", err);
    sink_objects(c);
    return rc;
}

enum tm_code tm_sink_plan_load(struct tm_sink_plan *out, const char *path, struct tm_err *err)
{
    struct cmd_sink *c = calloc(1, sizeof *c);
    memset(out, 0, sizeof *out);
    if (c == NULL)
        return tm_fail(err, TM_E_NOMEM, "reading %s", path);
    c->flags.config_path = path;
    enum tm_code rc = sink_settings(c, err);
    out->config = c->config;
    out->settings = c->settings;
    memcpy(out->tables, c->tables, sizeof out->tables);
    out->settings.tables = out->tables;
    free(c);
    return rc;
}

enum tm_code tm_sink_config(struct tm_config **out, const char *path, struct tm_err *err)
{
    struct tm_sink_plan plan;
    enum tm_code rc = tm_sink_plan_load(&plan, path, err);
    *out = plan.config;
    return rc;
}

static enum tm_code sink_life(struct cmd_sink *c, const char *text, struct tm_err *err)
{
    char *end;
    long life = strtol(text, &end, 10);
    if (end == text || *end != '\0' || life < 0 || life >= TM_SINK_LIVES_MAX)
        return tm_fail(err, TM_E_ARG, "--broker-life %.40s: a whole number from 0 to %d is wanted",
                       text, TM_SINK_LIVES_MAX - 1);
    c->settings.broker_life = (int)life;
    return TM_OK;
}

/* ---- views ---- */

/* DIR/<Object>.sql, in whatever case it is written: topics are in lower case, objects are not. */
static void sink_view_path(const struct cmd_sink *c, char out[SINK_PATH_BYTES], const char *object)
{
    char name[SINK_TOPIC_BYTES + 8];
    snprintf(name, sizeof name, "%s.sql", object);
    snprintf(out, SINK_PATH_BYTES, "%s/%s", c->views_dir, name);
    DIR *dir = access(out, F_OK) != 0 ? opendir(c->views_dir) : NULL;
    for (struct dirent *e = NULL; dir != NULL && (e = readdir(dir)) != NULL;)
        if (strcasecmp(e->d_name, name) == 0)
            snprintf(out, SINK_PATH_BYTES, "%s/%s", c->views_dir, e->d_name);
    if (dir != NULL)
        closedir(dir);
}

static enum tm_code sink_view_file(struct cmd_sink *c, const char *object, struct tm_buf *out,
                                   struct tm_err *err)
{
    char path[SINK_PATH_BYTES];
    size_t n = 0;
    sink_view_path(c, path, object);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return tm_fail(err, TM_E_ARG, "--views: %s: %s", path, strerror(errno));
    char *text = malloc(SINK_VIEW_BYTES_MAX + 1);
    if (text != NULL)
        n = fread(text, 1, SINK_VIEW_BYTES_MAX + 1, f);
    bool broken = ferror(f) != 0 || (text != NULL && memchr(text, '\0', n) != NULL);
    fclose(f);
    if (text == NULL || broken || n > SINK_VIEW_BYTES_MAX) {
        enum tm_code rc = text == NULL ? tm_fail(err, TM_E_NOMEM, "--views: %s", path)
                          : broken
                              ? tm_fail(err, TM_E_ARG, "--views: %s cannot be read as text", path)
                              : tm_fail(err, TM_E_LIMIT, "--views: %s is larger than %u bytes",
                                        path, SINK_VIEW_BYTES_MAX);
        free(text);
        return rc;
    }
    tm_buf_add(out, text, n);
    tm_buf_addz(out, "\n;\n");
    free(text);
    return TM_OK;
}

static enum tm_code sink_views(void *self, sqlite3 *db, struct tm_buf *out, struct tm_err *err)
{
    struct cmd_sink *c = self;
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < c->objects_count && rc == TM_OK; i++) {
        if (c->views_dir == NULL) {
            rc = tm_view_sql_for(db, c->objects[i], out, err);
            continue;
        }
        for (int k = 0; k < 2; k++) {
            char name[SINK_TOPIC_BYTES + 16];
            snprintf(name, sizeof name, "%s%s", c->objects[i], k == 0 ? "" : "_dirty");
            tm_buf_addz(out, "DROP VIEW IF EXISTS ");
            tm_sql_ident(out, name);
            tm_buf_addc(out, ';');
        }
        rc = sink_view_file(c, c->objects[i], out, err);
    }
    return rc;
}

/* Does every object have the view that its file is named after? */
static enum tm_code sink_views_named(struct cmd_sink *c, sqlite3 *db, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    enum tm_code rc = tm_sql_prepare(
        &stmt, db, "SELECT 1 FROM sqlite_master WHERE type='view' AND name=?1 COLLATE NOCASE", err);
    for (size_t i = 0; i < c->objects_count && rc == TM_OK; i++) {
        char path[SINK_PATH_BYTES];
        bool row = false;
        sqlite3_bind_text(stmt, 1, c->objects[i], -1, SQLITE_STATIC);
        rc = tm_sql_step(stmt, &row, err);
        sqlite3_reset(stmt);
        sink_view_path(c, path, c->objects[i]);
        if (rc == TM_OK && !row)
            rc = tm_fail(err, TM_E_ARG, "%s has no CREATE VIEW %s", path, c->objects[i]);
    }
    tm_sql_finalize(stmt);
    return rc;
}

/* A team's SQL runs before anything else, on an empty database, so that a mistake is told at the
 * start. */
static enum tm_code sink_views_try(struct cmd_sink *c, struct tm_err *err)
{
    sqlite3 *scratch = NULL;
    struct tm_buf sql;
    tm_buf_init(&sql, 64u << 20);
    enum tm_code rc = tm_sql_open(&scratch, ":memory:", TM_SQL_CREATE, err);
    if (rc == TM_OK)
        rc = sink_views(c, scratch, &sql, err);
    if (rc == TM_OK && (rc = tm_sink_views_run(scratch, tm_buf_text(&sql), err)) == TM_OK)
        rc = sink_views_named(c, scratch, err);
    if (rc != TM_OK)
        tm_at(err, "--views %s", c->views_dir);
    tm_sql_close(scratch);
    tm_buf_free(&sql);
    return rc;
}

/* The built-in views read tables that are named after their topics; others are written, and never
 * looked at. */
static void sink_views_warn(const struct cmd_sink *c)
{
    for (size_t i = 0; c->objects_count > 0 && i < c->settings.topics_count; i++) {
        const char *topic = c->settings.topics[i], *table = c->tables[i];
        char named[TM_SINK_NAME_MAX];
        tm_name_sanitize(named, sizeof named, topic);
        if (table == NULL)
            table = c->settings.sanitize_topics ? named : topic;
        if (strcmp(table, named) != 0)
            tm_log(TM_LOG_WARN,
                   "topic %s goes to table \"%s\", the snapshots read \"%s\" and will not see it; "
                   "set sanitize.topics=true, or give views of your own (--views)",
                   topic, table, named);
    }
}

/* ---- wiring ---- */

static enum tm_code sink_schema(void *self, const struct tm_now *now,
                                const struct tm_avro_schema **out, int32_t id, struct tm_err *err)
{
    return tm_registry_schema(((struct cmd_sink *)self)->registry, now, out, id, err);
}

static int64_t sink_schema_next_at(void *self)
{
    return tm_registry_next_at(((struct cmd_sink *)self)->registry);
}

static enum tm_code sink_consumers(struct cmd_sink *c, struct tm_err *err)
{
    size_t tasks = (size_t)tm_config_int(c->config, "tasks.max");
    for (size_t i = 0; i < tasks; i++) {
        char client[64], instance[240];
        snprintf(client, sizeof client, "tidemark-sink-%zu", i);
        /* Partitions are dealt out in the order of names: by turns to the processes, not all to
         * the tasks of the first. */
        snprintf(instance, sizeof instance, "%zu-%.200s", i,
                 c->flags.instance != NULL ? c->flags.instance : "");
        const struct tm_kafka_options options = { .brokers = c->flags.brokers,
                                                  .client_id = client,
                                                  .instance =
                                                      c->flags.instance != NULL ? instance : NULL,
                                                  .group = tm_config_text(c->config, "group.id"),
                                                  .topics = c->settings.topics,
                                                  .topics_count = c->settings.topics_count,
                                                  .together = true,
                                                  .owner = tm_sink_owner(c->sink),
                                                  .properties =
                                                      (const char *const *)c->properties.items,
                                                  .properties_count = c->properties.count,
                                                  .embedded = c->flags.embedded };
        enum tm_code rc = tm_topic_kafka_open(&c->consumers[i], &options, err);
        if (rc != TM_OK)
            return rc;
        c->consumers_count = i + 1;
        c->fds[i] = c->consumers[i]->ops->event_fd(c->consumers[i]);
    }
    tm_sink_consume(c->sink, c->consumers, c->consumers_count);
    return TM_OK;
}

static enum tm_code sink_open(struct cmd_sink *c, struct tm_err *err)
{
    struct tm_sink_ports ports = { .schema = sink_schema,
                                   .schema_next_at = sink_schema_next_at,
                                   .schema_self = c,
                                   .views = sink_views,
                                   .views_self = c };
    enum tm_code rc = TM_OK;
    if (c->views_dir != NULL)
        rc = sink_views_try(c, err);
    else
        sink_views_warn(c);
    if (rc == TM_OK && c->flags.clock_path != NULL)
        rc = tm_clock_file_open(&c->clock, c->flags.clock_path, err);
    if (rc == TM_OK && c->flags.trace_path != NULL)
        rc = tm_trace_open(&c->trace, c->flags.trace_path, err);
    if (rc == TM_OK)
        rc = tm_sql_open(&c->db, c->flags.warehouse, TM_SQL_CREATE, err);
    if (rc == TM_OK)
        rc = tm_http_curl_open(&c->http, "tidemark-sink/1", c->flags.ca_path, err);
    if (rc == TM_OK)
        rc = tm_registry_open(&c->registry, c->http, c->flags.registry, err);
    ports.db = c->db;
    ports.trace = c->trace;
    if (rc == TM_OK)
        rc = tm_sink_open(&c->sink, &c->settings, &ports, err);
    if (rc == TM_OK)
        rc = tm_command_topics(&c->flags, &c->properties, c->config, c->settings.topics,
                               c->settings.topics_count, NULL, err);
    return rc == TM_OK ? sink_consumers(c, err) : rc;
}

static enum tm_code sink_step(void *self, const struct tm_now *now, struct tm_wake *wake,
                              struct tm_err *err)
{
    return tm_sink_step(((struct cmd_sink *)self)->sink, now, wake, err);
}

static void sink_second(void *self)
{
    struct cmd_sink *c = self;
    tm_stats_write(c->flags.stats_path, "sink", c->http, c->consumers, c->consumers_count);
}

static void sink_close(struct cmd_sink *c)
{
    for (size_t i = 0; i < c->consumers_count; i++)
        c->consumers[i]->ops->close(c->consumers[i]);
    tm_sink_close(c->sink);
    tm_registry_close(c->registry);
    if (c->http != NULL)
        c->http->ops->close(c->http);
    tm_sql_close(c->db);
    tm_trace_close(c->trace);
    tm_clock_file_close(c->clock);
    tm_properties_free(&c->properties);
    tm_config_close(c->config);
}

int tm_cmd_sink(int argc, char **argv)
{
    static const char *const extra_names[] = { "views", "shared!", "broker-life", NULL };
    static struct cmd_sink c;
    const char *extra[3] = { NULL, NULL, NULL };
    struct tm_err err;
    tm_err_clear(&err);
    tm_log_init("sink", TM_LOG_INFO);
    enum tm_code rc = tm_flags_parse(&c.flags, argc, argv, extra_names, extra, &err);
    c.views_dir = extra[0];
    if (rc == TM_OK && c.flags.config_path == NULL)
        rc = tm_fail(&err, TM_E_ARG,
                     "no config given; usage: tidemark sink CONFIG.json --warehouse raw.db");
    if (rc == TM_OK)
        rc = sink_settings(&c, &err);
    c.settings.shared = extra[1] != NULL;
    if (rc == TM_OK && extra[2] != NULL)
        rc = sink_life(&c, extra[2], &err);
    if (rc == TM_OK)
        rc = tm_command_properties(&c.properties, &c.flags, c.config, &err);
    if (rc == TM_OK &&
        (c.flags.brokers == NULL || c.flags.registry == NULL || c.flags.warehouse == NULL))
        rc = tm_fail(&err, TM_E_ARG,
                     "the sink wants --brokers, --registry and --warehouse (or TIDEMARK_BROKERS, "
                     "TIDEMARK_REGISTRY, TIDEMARK_WAREHOUSE)");
    if (rc == TM_OK)
        rc = sink_open(&c, &err);
    if (rc == TM_OK) {
        const struct tm_driven driven = { .step = sink_step,
                                          .self = &c,
                                          .http = c.http,
                                          .fds = c.fds,
                                          .fds_count = c.consumers_count,
                                          .clock = c.clock,
                                          .on_second = sink_second };
        rc = tm_drive(&driven, &err);
        sink_second(&c);
        const struct tm_sink_counts *n = tm_sink_counted(c.sink);
        tm_log(n->undecodable > 0 ? TM_LOG_WARN : TM_LOG_INFO,
               "%llu rows in %llu transactions, %llu undecodable, %llu "
               "without a value, %llu handed out again, %llu schema updates",
               (unsigned long long)n->rows, (unsigned long long)n->transactions,
               (unsigned long long)n->undecodable, (unsigned long long)n->tombstones,
               (unsigned long long)n->repeated, (unsigned long long)n->schema_updates);
    }
    sink_close(&c);
    return rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("sink", &err);
}
