#include "support_sink.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char *const ss_topics[] = { "a.b", "a_b" };

static void ss_ok(enum tm_code rc, const struct tm_err *err)
{
    char text[700];
    if (rc != TM_OK)
        fail_msg("%s: %s", tm_code_name(rc), tm_err_text(err, text, sizeof text));
}

static enum tm_code ss_lookup(void *self, const struct tm_now *now,
                              const struct tm_avro_schema **out, int32_t id, struct tm_err *err)
{
    struct ss_world *w = self;
    (void)now;
    if (w->schema_again > 0) {
        w->schema_again--;
        return TM_E_AGAIN;
    }
    if (id < 0 || id >= SS_SCHEMAS_MAX || w->schemas[id] == NULL)
        return tm_fail(err, TM_E_PROTO, "no schema %d", (int)id);
    *out = w->schemas[id];
    return TM_OK;
}

static enum tm_code ss_views(void *self, sqlite3 *db, struct tm_buf *out, struct tm_err *err)
{
    struct ss_world *w = self;
    (void)db, (void)err;
    w->views_made++;
    tm_buf_addf(out, "DROP VIEW IF EXISTS made; CREATE VIEW made AS SELECT %u AS times;",
                w->views_made);
    return TM_OK;
}

void ss_open(struct ss_world *w)
{
    struct tm_err err = { .code = TM_OK };
    memset(w, 0, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "%s/ss_XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof w->path, "%s/raw.db", w->dir);
    ss_ok(tm_mem_broker_open(&w->broker, &err), &err);
    for (int i = 0; i < 2; i++)
        ss_ok(tm_mem_topic_create(w->broker, ss_topics[i], 2, &err), &err);
    ss_ok(tm_topic_mem_open(&w->producer, w->broker, &(struct tm_kafka_options){ .client_id = "p" },
                            &err),
          &err);
    w->tasks = 1;
    w->settings = (struct tm_sink_settings){ .topics = ss_topics,
                                             .topics_count = 2,
                                             .rules = { true, true, false, true } };
}

enum tm_code ss_start(struct ss_world *w, struct tm_err *err)
{
    enum tm_code rc = tm_sql_open(&w->db, w->path, TM_SQL_CREATE, err);
    const struct tm_sink_ports ports = { .db = w->db,
                                         .schema = ss_lookup,
                                         .schema_self = w,
                                         .views = ss_views,
                                         .views_self = w,
                                         .trace = w->trace };
    if (rc == TM_OK)
        rc = tm_sink_open(&w->sink, &w->settings, &ports, err);
    for (size_t i = 0; i < w->tasks && rc == TM_OK; i++)
        rc = tm_topic_mem_open(&w->consumers[i], w->broker,
                               &(struct tm_kafka_options){ .client_id = "c",
                                                           .group = "sink",
                                                           .topics = w->settings.topics,
                                                           .topics_count = w->settings.topics_count,
                                                           .owner = tm_sink_owner(w->sink) },
                               err);
    if (rc == TM_OK)
        tm_sink_consume(w->sink, w->consumers, w->tasks);
    return rc;
}

void ss_stop(struct ss_world *w)
{
    for (size_t i = 0; i < w->tasks; i++) {
        if (w->consumers[i] != NULL)
            w->consumers[i]->ops->close(w->consumers[i]);
        w->consumers[i] = NULL;
    }
    tm_sink_close(w->sink);
    w->sink = NULL;
    tm_sql_close(w->db);
    w->db = NULL;
}

void ss_close(struct ss_world *w)
{
    static const char *const files[] = { "raw.db", "raw.db-wal", "raw.db-shm", "raw.db-journal",
                                         "trace" };
    char path[160];
    ss_stop(w);
    w->producer->ops->close(w->producer);
    tm_mem_broker_close(w->broker);
    tm_trace_close(w->trace);
    for (size_t i = 0; i < SS_SCHEMAS_MAX; i++)
        tm_avro_schema_close(w->schemas[i]);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", w->dir, files[i]);
        unlink(path);
    }
    rmdir(w->dir);
}

static const char *ss_type(const char *word)
{
    if (strcmp(word, "timestamp") == 0)
        return "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}";
    if (strcmp(word, "date") == 0)
        return "{\"type\":\"int\",\"logicalType\":\"date\"}";
    if (strcmp(word, "array") == 0)
        return "{\"type\":\"array\",\"items\":\"string\"}";
    if (strcmp(word, "record") == 0)
        return "{\"type\":\"record\",\"name\":\"N\",\"fields\":[{\"name\":\"x\",\"type\":[\"null\","
               "\"string\"],\"default\":null}]}";
    return NULL;
}

void ss_schema(struct ss_world *w, int id, const char *fields)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_buf b;
    char list[4096], *save = NULL;
    tm_buf_init(&b, 65536);
    tm_buf_addz(&b, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[");
    snprintf(list, sizeof list, "%s", fields);
    for (char *f = strtok_r(list, ",", &save), *first = f; f != NULL;
         f = strtok_r(NULL, ",", &save)) {
        char *type = strchr(f, ':');
        *type++ = '\0';
        tm_buf_addf(&b, "%s{\"name\":\"%s\",\"type\":[\"null\",", f == first ? "" : ",", f);
        if (ss_type(type) != NULL)
            tm_buf_addz(&b, ss_type(type));
        else
            tm_buf_addf(&b, "\"%s\"", type);
        tm_buf_addz(&b, "],\"default\":null}");
    }
    tm_buf_addz(&b, "]}");
    tm_avro_schema_close(w->schemas[id]);
    ss_ok(tm_avro_schema_parse(&w->schemas[id], tm_buf_text(&b), b.bytes, &err), &err);
    tm_buf_free(&b);
}

static struct tm_value ss_value(enum tm_avro_type type, const char *text)
{
    if (text == NULL || strcmp(text, "-") == 0)
        return (struct tm_value){ .kind = TM_V_NULL };
    switch (type) {
    case TM_AVRO_BOOLEAN: return tm_value_of_bool(strcmp(text, "true") == 0);
    case TM_AVRO_INT:
    case TM_AVRO_LONG:
    case TM_AVRO_TIMESTAMP: return tm_value_of_int(strtoll(text, NULL, 10));
    case TM_AVRO_DOUBLE: return tm_value_of_double(strtod(text, NULL));
    case TM_AVRO_RECORD:
    case TM_AVRO_ARRAY: return tm_value_of_json(text);
    default: return tm_value_of_text(text);
    }
}

void ss_produce_bytes(struct ss_world *w, const char *topic, int partition, const void *bytes,
                      size_t count)
{
    struct tm_err err = { .code = TM_OK };
    ss_ok(w->producer->ops->produce(w->producer, topic, partition, "key", 3, bytes, count, &err),
          &err);
    ss_ok(w->producer->ops->flush(w->producer, &err), &err);
}

void ss_produce(struct ss_world *w, const char *topic, int partition, int schema_id,
                const char *const *values)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_value v[32];
    const struct tm_avro_field *fields;
    struct tm_buf b;
    size_t n = tm_avro_schema_fields(w->schemas[schema_id], &fields);
    tm_buf_init(&b, 16u << 20);
    for (size_t i = 0; i < n; i++)
        v[i] = ss_value(fields[i].type, values[i]);
    ss_ok(tm_avro_encode(w->schemas[schema_id], schema_id, &b, v, n, &err), &err);
    ss_produce_bytes(w, topic, partition, b.data, b.bytes);
    tm_buf_free(&b);
}

enum tm_code ss_run(struct ss_world *w, struct tm_err *err)
{
    for (int idle = 0, steps = 0; steps < 100000; steps++) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        w->wall_ns += TM_NS_PER_MS;
        enum tm_code rc = tm_sink_step(w->sink, &(struct tm_now){ 0, w->wall_ns }, &wake, err);
        if (rc != TM_OK && rc != TM_E_AGAIN)
            return rc;
        idle = rc == TM_OK ? 0 : idle + 1;
        if (idle > 20)
            return TM_OK;
    }
    fail_msg("the sink never comes to rest");
    return TM_E_LIMIT;
}

void ss_run_ok(struct ss_world *w)
{
    struct tm_err err = { .code = TM_OK };
    ss_ok(ss_run(w, &err), &err);
}

int64_t ss_int(struct ss_world *w, const char *sql)
{
    struct tm_err err = { .code = TM_OK };
    int64_t n = 0;
    ss_ok(tm_sql_int64(&n, w->db, sql, &err), &err);
    return n;
}

void ss_text(struct ss_world *w, char *out, size_t out_bytes, const char *sql)
{
    struct tm_err err = { .code = TM_OK };
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    ss_ok(tm_sql_prepare(&stmt, w->db, sql, &err), &err);
    ss_ok(tm_sql_step(stmt, &row, &err), &err);
    const char *text = row ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    snprintf(out, out_bytes, "%s", text != NULL ? text : "-");
    sqlite3_finalize(stmt);
}
