#include "view/ask.h"
#include "event/contract.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_TEXT_BYTES_MAX (1u << 20)
#define ASK_FIELDS_MAX 16

void tm_view_asker_init(struct tm_view_asker *a, struct tm_topic *topic,
                        struct tm_registry *registry)
{
    memset(a, 0, sizeof *a);
    a->topic = topic;
    a->registry = registry;
    tm_buf_init(&a->schema_text, ASK_TEXT_BYTES_MAX);
}

static void ask_clear(struct tm_view_asker *a)
{
    for (size_t i = 0; i < a->count; i++)
        free(a->asks[i].id);
    a->count = a->next = 0;
    tm_avro_schema_close(a->schema);
    a->schema = NULL;
    a->state = TM_VIEW_ASK_IDLE;
}

void tm_view_asker_free(struct tm_view_asker *a)
{
    ask_clear(a);
    free(a->asks);
    tm_buf_free(&a->schema_text);
    memset(a, 0, sizeof *a);
}

static enum tm_code ask_collect(struct tm_view_asker *a, struct tm_view_follow *f, size_t asks_max,
                                struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    struct tm_buf b;
    bool row = false;
    tm_buf_init(&b, 1024);
    tm_buf_addz(&b, "SELECT Id FROM ");
    tm_sql_ident(&b, f->store.table);
    tm_buf_addz(&b, " WHERE _ask=1 LIMIT ?1");
    enum tm_code rc = tm_sql_prepare(&stmt, f->db, tm_buf_text(&b), err);
    if (rc == TM_OK)
        sqlite3_bind_int64(stmt, 1, (int64_t)asks_max);
    while (rc == TM_OK && a->count < asks_max && (rc = tm_sql_step(stmt, &row, err)) == TM_OK &&
           row) {
        struct tm_view_record r;
        bool found;
        rc = tm_view_store_load(&f->store, &r, &found, (const char *)sqlite3_column_text(stmt, 0),
                                err);
        if (rc != TM_OK)
            break;
        assert(found);
        a->asks[a->count] =
            (struct tm_view_ask){ r.id, r.marks[TM_VIEW_UPDATE], r.update_commit_ms };
        r.id = NULL; /* handed over */
        a->count++;
        tm_view_record_free(&r);
    }
    tm_sql_finalize(stmt);
    tm_buf_free(&b);
    return rc;
}

enum tm_code tm_view_asker_begin(struct tm_view_asker *a, struct tm_view_follow *f,
                                 const struct tm_describe *describe, size_t asks_max, bool *out_any,
                                 struct tm_err *err)
{
    assert(a->state == TM_VIEW_ASK_IDLE && a->count == 0);
    *out_any = false;
    if (!tm_view_object_copied(&f->object)) /* R14 */
        return TM_OK;
    if (a->cap < asks_max) {
        struct tm_view_ask *asks = realloc(a->asks, asks_max * sizeof *asks);
        if (asks == NULL)
            return tm_fail(err, TM_E_NOMEM, "%zu asks", asks_max);
        a->asks = asks;
        a->cap = asks_max;
    }
    enum tm_code rc = ask_collect(a, f, asks_max, err);
    if (rc != TM_OK || a->count == 0) {
        ask_clear(a);
        return rc;
    }
    a->follow = f;
    a->describe = describe;
    tm_buf_reset(&a->schema_text);
    rc = tm_contract_schema_alerts(&a->schema_text, describe, err);
    if (rc == TM_OK)
        rc = tm_avro_schema_parse(&a->schema, tm_buf_text(&a->schema_text), a->schema_text.bytes,
                                  err);
    a->state = TM_VIEW_ASK_SCHEMA;
    *out_any = true;
    return rc;
}

static enum tm_code ask_encode(struct tm_view_asker *a, struct tm_buf *out,
                               const struct tm_view_ask *ask, struct tm_err *err)
{
    struct tm_value values[ASK_FIELDS_MAX] = { { .kind = TM_V_NULL } };
    const struct tm_avro_field *fields;
    size_t count = tm_avro_schema_fields(a->schema, &fields);
    char replay[32];
    struct tm_buf header;
    if (count > ASK_FIELDS_MAX)
        return tm_fail(err, TM_E_LIMIT, "the alerts schema has %zu fields", count);
    snprintf(replay, sizeof replay, "%" PRId64, ask->key.place);
    tm_buf_init(&header, ASK_TEXT_BYTES_MAX);
    tm_buf_addz(&header, "{\"entityName\":");
    tm_buf_add_json_string(&header, a->follow->object.name, strlen(a->follow->object.name));
    tm_buf_addz(&header, ",\"recordIds\":[");
    tm_buf_add_json_string(&header, ask->id, strlen(ask->id));
    tm_buf_addf(&header,
                "],\"changeType\":\"UPDATE\",\"changedFields\":[],\"commitTimestamp\":%" PRId64 "}",
                ask->commit_ms);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields[i].name, "Id") == 0)
            values[i] = tm_value_of_text(ask->id);
        else if (strcmp(fields[i].name, "ReplayId") == 0)
            values[i] = tm_value_of_text(replay);
        else if (strcmp(fields[i].name, "ChangeEventHeader") == 0)
            values[i] = tm_value_of_json(tm_buf_text(&header));
        else if (strcmp(fields[i].name, "_kind") == 0)
            values[i] = tm_value_of_text("no_base");
        else if (strcmp(fields[i].name, "_reason") == 0)
            values[i] = tm_value_of_text("an update without a full image before it");
        else if (strcmp(fields[i].name, "_epoch") == 0)
            values[i] = tm_value_of_int(ask->key.epoch);
    }
    enum tm_code rc = tm_buf_check(&header, "header", err);
    if (rc == TM_OK)
        rc = tm_avro_encode(a->schema, a->schema_id, out, values, count, err);
    tm_buf_free(&header);
    return rc;
}

static enum tm_code ask_produce(struct tm_view_asker *a, struct tm_err *err)
{
    char topic[TM_TOPIC_NAME_MAX];
    struct tm_buf value;
    enum tm_code rc = TM_OK;
    tm_contract_topic_alerts(topic, a->follow->object.name);
    tm_buf_init(&value, ASK_TEXT_BYTES_MAX);
    while (a->next < a->count && rc == TM_OK) {
        const struct tm_view_ask *ask = &a->asks[a->next];
        tm_buf_reset(&value);
        rc = ask_encode(a, &value, ask, err);
        if (rc == TM_OK)
            rc = a->topic->ops->produce(a->topic, topic, -1, ask->id, strlen(ask->id), value.data,
                                        value.bytes, err);
        if (rc == TM_OK)
            a->next++;
    }
    tm_buf_free(&value);
    return rc;
}

/* In the caller's transaction: who was asked for is not asked for again until answered. */
static enum tm_code ask_mark(struct tm_view_asker *a, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < a->count && rc == TM_OK; i++) {
        struct tm_view_record r;
        bool found;
        rc = tm_view_store_load(&a->follow->store, &r, &found, a->asks[i].id, err);
        if (rc != TM_OK)
            break;
        tm_view_record_mark(&r, TM_VIEW_ASKED, &a->asks[i].key);
        rc = tm_view_store_save(&a->follow->store, &r, 0, err);
        tm_view_record_free(&r);
    }
    return rc;
}

enum tm_code tm_view_asker_step(struct tm_view_asker *a, const struct tm_now *now,
                                struct tm_err *err)
{
    char subject[TM_TOPIC_NAME_MAX + 8];
    enum tm_code rc = TM_OK;
    switch (a->state) {
    case TM_VIEW_ASK_SCHEMA:
        tm_contract_topic_alerts(subject, a->follow->object.name);
        strcat(subject, "-value");
        rc = tm_registry_register(a->registry, now, &a->schema_id, subject,
                                  tm_buf_text(&a->schema_text), err);
        if (rc == TM_OK)
            a->state = TM_VIEW_ASK_PRODUCE;
        return rc;
    case TM_VIEW_ASK_PRODUCE:
        rc = ask_produce(a, err);
        /* queue full: let it drain, go on from `next` */
        if (rc == TM_E_AGAIN)
            a->topic->ops->flush(a->topic, err);
        if (rc == TM_OK)
            a->state = TM_VIEW_ASK_FLUSH;
        return rc;
    case TM_VIEW_ASK_FLUSH:
        rc = a->topic->ops->flush(a->topic, err);
        if (rc == TM_OK)
            a->state = TM_VIEW_ASK_MARK;
        return rc;
    case TM_VIEW_ASK_MARK:
        rc = tm_sql_exec(a->follow->db, "BEGIN IMMEDIATE", err);
        if (rc != TM_OK)
            return rc;
        rc = ask_mark(a, err);
        if (rc == TM_OK)
            rc = tm_sql_exec(a->follow->db, "COMMIT", err);
        if (rc != TM_OK) {
            sqlite3_exec(a->follow->db, "ROLLBACK", NULL, NULL, NULL);
            return rc;
        }
        tm_view_follow_forget(a->follow);
        a->follow->counts->asks += a->count;
        ask_clear(a);
        return TM_OK;
    case TM_VIEW_ASK_IDLE: break;
    }
    return TM_OK;
}
