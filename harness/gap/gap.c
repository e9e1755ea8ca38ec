#include "gap/gap.h"
#include "base/text.h"
#include "event/change.h"
#include "event/contract.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define GAP_VALUES 6 /* fields of an alert */
#define GAP_REASON_BYTES 400
#define GAP_BYTES_MAX (8u << 20)
#define GAP_TOLD_MAX 64

enum gap_state { GAP_FETCH, GAP_ROUTE, GAP_FLUSH };
struct gap_route {
    const char *object, *topic, *alerts;
    struct tm_avro_schema *schema;
    char *schema_text;
    int32_t schema_id, partitions; /* 0 = not known yet */
};
/* Overflow and conversion stand in every partition of the raw topic, once each: the first to come
 * is alerted. */
struct gap_told {
    const struct gap_route *route;
    int64_t epoch;
    char replay[24];
};
struct tm_gap {
    struct tm_topic *topic;
    struct tm_registry *registry;
    struct tm_inbox *inbox;
    struct gap_route *routes;
    size_t routes_count;
    enum gap_state state;
    const struct tm_record *record; /* being routed; NULL = take the next */
    const struct tm_row *row;
    json_t *header; /* of `record` when it asks for a read */
    const char *kind;
    char reason[GAP_REASON_BYTES];
    size_t ids_sent, ids_count;
    bool everywhere; /* alerts of `record` already produced, and how many there are */
    struct gap_told told[GAP_TOLD_MAX];
    size_t told_next;
    struct tm_buf value;
    unsigned attempts;
    int64_t retry_ns; /* 0 = now */
    struct tm_gap_counts counts;
};

/* The schema of a route, once the first event to alert has told how the object is spelled: topic
 * names do not. */
static enum tm_code gap_schema(struct gap_route *r, const char *object, struct tm_err *err)
{
    struct tm_describe only_name = { .object = object };
    struct tm_buf text;
    tm_buf_init(&text, 1u << 16);
    enum tm_code rc = tm_contract_schema_alerts(&text, &only_name, err);
    if (rc == TM_OK)
        rc = tm_avro_schema_parse(&r->schema, tm_buf_text(&text), text.bytes, err);
    if (rc == TM_OK && (r->schema_text = strdup(tm_buf_text(&text))) == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "gap: %s", object);
    tm_buf_free(&text);
    return rc;
}

static enum tm_code gap_register(struct tm_gap *g, struct gap_route *r, const struct tm_now *now,
                                 struct tm_err *err)
{
    const char *object = json_string_value(json_object_get(g->header, "entityName"));
    char subject[TM_TOPIC_NAME_MAX + 8];
    enum tm_code rc = TM_OK;
    if (r->schema_id != 0)
        return TM_OK;
    if (r->schema_text == NULL)
        rc = gap_schema(r, object != NULL ? object : r->object, err);
    snprintf(subject, sizeof subject, "%s-value", r->alerts);
    return rc == TM_OK
               ? tm_registry_register(g->registry, now, &r->schema_id, subject, r->schema_text, err)
               : rc;
}

enum tm_code tm_gap_open(struct tm_gap **out, const struct tm_gap_settings *settings,
                         struct tm_topic *topic, struct tm_registry *registry,
                         const char *aside_path, struct tm_err *err)
{
    struct tm_gap *g = calloc(1, sizeof *g);
    if (g == NULL)
        return tm_fail(err, TM_E_NOMEM, "gap: %zu bytes", sizeof *g);
    g->topic = topic;
    g->registry = registry;
    tm_buf_init(&g->value, GAP_BYTES_MAX);
    g->routes = calloc(settings->objects_count, sizeof *g->routes);
    enum tm_code rc = g->routes != NULL
                          ? tm_inbox_open(&g->inbox, topic, registry, aside_path, err)
                          : tm_fail(err, TM_E_NOMEM, "gap: %zu objects", settings->objects_count);
    for (size_t i = 0; rc == TM_OK && i < settings->objects_count; i++)
        g->routes[g->routes_count++] = (struct gap_route){ .object = settings->objects[i],
                                                           .topic = settings->topics[i],
                                                           .alerts = settings->alerts[i] };
    if (rc != TM_OK) {
        tm_gap_close(g);
        return rc;
    }
    *out = g;
    return TM_OK;
}

void tm_gap_close(struct tm_gap *g)
{
    if (g == NULL)
        return;
    for (size_t i = 0; i < g->routes_count; i++) {
        tm_avro_schema_close(g->routes[i].schema);
        free(g->routes[i].schema_text);
    }
    json_decref(g->header);
    tm_inbox_close(g->inbox);
    tm_buf_free(&g->value);
    free(g->routes);
    free(g);
}

const struct tm_gap_counts *tm_gap_counts(const struct tm_gap *g)
{
    return &g->counts;
}
uint64_t tm_gap_aside_count(const struct tm_gap *g)
{
    return tm_inbox_aside_count(g->inbox);
}

/* ---- what asks for a read ---- */

/* Cheap and never too narrow: most events ask for nothing, and their headers are not parsed. */
static bool gap_may_ask(const char *header, const char *diff)
{
    return strcasestr(header, "GAP") != NULL || strchr(header, '*') != NULL ||
           (diff != NULL && strcmp(diff, "[]") != 0);
}

static const char *gap_text(const struct tm_row *row, const char *name)
{
    const struct tm_value *v = tm_row_get(row, name);
    return v != NULL ? tm_value_text(v) : NULL;
}

/* NULL when the event asks for nothing. */
static const char *gap_kind(const char *change, const json_t *ids, const char *diff,
                            char reason[GAP_REASON_BYTES])
{
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        if (id != NULL && tm_change_id_is_wildcard(id)) {
            snprintf(reason, GAP_REASON_BYTES, "field conversion: recordIds hold %.20s", id);
            return "conversion";
        }
    }
    snprintf(reason, GAP_REASON_BYTES, "%.40s", change);
    if (tm_change_type_parse(change) == TM_CHANGE_GAP_OVERFLOW)
        return "overflow";
    if (tm_change_is_gap(change))
        return "gap";
    if (diff == NULL || strcmp(diff, "[]") == 0)
        return NULL;
    snprintf(reason, GAP_REASON_BYTES, "came as a difference: %.300s", diff);
    return "diff";
}

static bool gap_same_id(const char *a, const char *b)
{
    char a18[TM_ID_BYTES], b18[TM_ID_BYTES];
    if (strcmp(a, b) == 0)
        return true;
    return tm_id18(a18, a, NULL) == TM_OK && tm_id18(b18, b, NULL) == TM_OK &&
           strcmp(a18, b18) == 0;
}

/* Sets g->kind, or puts the record aside. */
static enum tm_code gap_look(struct tm_gap *g, struct tm_err *err)
{
    const char *id = gap_text(g->row, "Id"), *text = gap_text(g->row, "ChangeEventHeader");
    const char *diff = gap_text(g->row, "_DiffFields");
    const struct tm_value *replay = tm_row_get(g->row, "ReplayId"),
                          *epoch = tm_row_get(g->row, "_epoch");
    g->kind = NULL;
    if (id == NULL || text == NULL || replay == NULL || replay->kind != TM_V_TEXT || epoch == NULL)
        return tm_inbox_refuse(g->inbox,
                               "no Id, ReplayId, ChangeEventHeader or _epoch in the value", err);
    if (!gap_may_ask(text, diff))
        return TM_OK;
    g->header = json_loadb(text, strlen(text), 0, NULL);
    const json_t *ids = json_object_get(g->header, "recordIds");
    const char *change = json_string_value(json_object_get(g->header, "changeType"));
    const char *first = json_string_value(json_array_get(ids, 0));
    if (change == NULL)
        return tm_inbox_refuse(g->inbox, "ChangeEventHeader has no changeType", err);
    g->kind = gap_kind(change, ids, diff, g->reason);
    if (g->kind == NULL)
        return TM_OK;
    g->everywhere = strcmp(g->kind, "overflow") == 0 || strcmp(g->kind, "conversion") == 0;
    g->ids_sent = 0;
    g->ids_count = json_array_size(ids);
    if (!g->everywhere && first == NULL) {
        g->kind = NULL;
        return tm_inbox_refuse(g->inbox, "a gap event without recordIds names nothing to read",
                               err);
    }
    if (first != NULL &&
        !gap_same_id(id, first)) /* another id's record of a merged event (see gap.h) */
        g->kind = NULL;
    return TM_OK;
}

/* ---- alerts ---- */

static enum tm_code gap_produce(struct tm_gap *g, struct gap_route *r, const char *id,
                                int32_t partition, const char *key, struct tm_err *err)
{
    struct tm_value values[GAP_VALUES] = { tm_value_of_text(id),
                                           *tm_row_get(g->row, "ReplayId"),
                                           *tm_row_get(g->row, "ChangeEventHeader"),
                                           tm_value_of_text(g->kind),
                                           tm_value_of_text(g->reason),
                                           *tm_row_get(g->row, "_epoch") };
    tm_buf_reset(&g->value);
    enum tm_code rc = tm_avro_encode(r->schema, r->schema_id, &g->value, values, GAP_VALUES, err);
    if (rc != TM_OK)
        return rc;
    return g->topic->ops->produce(g->topic, r->alerts, partition, key, strlen(key), g->value.data,
                                  g->value.bytes, err);
}

/* Every alert of the record; TM_E_AGAIN keeps the place. */
static enum tm_code gap_alert(struct tm_gap *g, struct gap_route *r, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    const json_t *ids = json_object_get(g->header, "recordIds");
    if (g->everywhere && r->partitions == 0)
        rc = g->topic->ops->partitions(g->topic, r->alerts, &r->partitions, err);
    size_t count = g->everywhere ? (size_t)r->partitions : g->ids_count;
    while (rc == TM_OK && g->ids_sent < count) {
        if (g->everywhere) {
            const char *object = json_string_value(json_object_get(g->header, "entityName"));
            const char *id = gap_text(g->row, "Id");
            rc = gap_produce(g, r, id, (int32_t)g->ids_sent, object != NULL ? object : r->topic,
                             err);
        } else {
            const char *id = json_string_value(json_array_get(ids, g->ids_sent));
            char id18[TM_ID_BYTES];
            if (id == NULL || tm_id18(id18, id, NULL) != TM_OK) {
                g->kind = NULL;
                return tm_inbox_refuse(g->inbox, "recordIds hold something that is no record id",
                                       err);
            }
            rc = gap_produce(g, r, id18, -1, id18, err);
        }
        if (rc == TM_OK) {
            g->ids_sent++;
            g->counts.alerts++;
        }
    }
    return rc;
}

static void gap_count(struct tm_gap *g)
{
    switch (g->kind[0]) {
    case 'o': g->counts.overflows++; break;
    case 'c': g->counts.conversions++; break;
    case 'g': g->counts.gaps++; break;
    default: g->counts.diffs++; break;
    }
}

static struct gap_route *gap_route_of(struct tm_gap *g, const char *topic)
{
    for (size_t i = 0; i < g->routes_count; i++)
        if (strcmp(g->routes[i].topic, topic) == 0)
            return &g->routes[i];
    assert(0 && "fetched a topic that was not subscribed");
    return NULL;
}

static bool gap_is_told(const struct tm_gap *g, const struct gap_route *r)
{
    const char *replay = gap_text(g->row, "ReplayId");
    for (size_t i = 0; i < GAP_TOLD_MAX; i++)
        if (g->told[i].route == r && g->told[i].epoch == tm_row_get(g->row, "_epoch")->as.i &&
            strcmp(g->told[i].replay, replay) == 0)
            return true;
    return false;
}

static void gap_tell(struct tm_gap *g, const struct gap_route *r)
{
    struct gap_told *t = &g->told[g->told_next++ % GAP_TOLD_MAX];
    t->route = r;
    t->epoch = tm_row_get(g->row, "_epoch")->as.i;
    snprintf(t->replay, sizeof t->replay, "%s", gap_text(g->row, "ReplayId"));
}

/* TM_OK: the whole batch is produced. */
static enum tm_code gap_batch(struct tm_gap *g, const struct tm_now *now, struct tm_err *err)
{
    for (;;) {
        enum tm_code rc = TM_OK;
        if (g->record == NULL) {
            rc = tm_inbox_take(g->inbox, now, &g->record, &g->row, err);
            if (rc != TM_OK || g->record == NULL)
                return rc;
            g->counts.records++;
            rc = gap_look(g, err);
        }
        struct gap_route *r = gap_route_of(g, g->record->topic);
        if (rc == TM_OK && g->kind != NULL && !(g->everywhere && gap_is_told(g, r))) {
            rc = gap_register(g, r, now, err);
            if (rc == TM_OK)
                rc = gap_alert(g, r, err);
            if (rc == TM_OK && g->kind != NULL)
                gap_count(g);
            if (rc == TM_OK && g->kind != NULL && g->everywhere)
                gap_tell(g, r);
        }
        if (rc != TM_OK)
            return rc;
        json_decref(g->header);
        g->header = NULL;
        g->record = NULL;
    }
}

/* The broker refused an alert: the whole batch is produced again, a few times, ever later. */
static enum tm_code gap_retry(struct tm_gap *g, const struct tm_now *now, struct tm_err *err)
{
    if (!err->retriable || ++g->attempts >= TM_GAP_ATTEMPTS_MAX)
        return tm_at(err, "alerts were not delivered in %u attempts", g->attempts);
    tm_err_clear(err);
    g->counts.batches_retried++;
    tm_inbox_rewind(g->inbox);
    memset(g->told, 0, sizeof g->told);
    json_decref(g->header);
    g->header = NULL;
    g->record = NULL;
    g->retry_ns = now->wall_ns + (TM_NS_PER_S << (g->attempts - 1));
    g->state = GAP_ROUTE;
    return TM_OK;
}

static enum tm_code gap_flush(struct tm_gap *g, const struct tm_now *now, struct tm_err *err)
{
    enum tm_code rc = g->topic->ops->flush(g->topic, err);
    if (rc == TM_E_AGAIN)
        return rc;
    if (rc != TM_OK)
        return gap_retry(g, now, err);
    g->attempts = 0;
    g->state = GAP_FETCH;
    return tm_inbox_commit(g->inbox, err);
}

static void gap_wake(const struct tm_gap *g, struct tm_wake *wake)
{
    int64_t at[] = { g->topic->ops->next_at(g->topic), tm_registry_next_at(g->registry),
                     g->retry_ns > 0 ? g->retry_ns : TM_NEVER };
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++)
        if (at[i] < wake->wall_ns)
            wake->wall_ns = at[i];
}

enum tm_code tm_gap_step(struct tm_gap *g, const struct tm_now *now, struct tm_wake *wake,
                         struct tm_err *err)
{
    enum tm_code rc = TM_E_AGAIN;
    if (g->retry_ns > now->wall_ns) {
        gap_wake(g, wake);
        return TM_E_AGAIN;
    }
    g->retry_ns = 0;
    switch (g->state) {
    case GAP_FETCH:
        rc = tm_inbox_fetch(g->inbox, err);
        if (rc == TM_OK)
            g->state = GAP_ROUTE;
        break;
    case GAP_ROUTE:
        rc = gap_batch(g, now, err);
        if (rc == TM_OK)
            g->state = GAP_FLUSH;
        else if (rc == TM_E_AGAIN) {
            /* Room may come only when deliveries are served; a failure then is that of
             * this batch. */
            enum tm_code flushed = g->topic->ops->flush(g->topic, err);
            if (flushed != TM_OK && flushed != TM_E_AGAIN)
                rc = gap_retry(g, now, err);
        }
        break;
    case GAP_FLUSH: rc = gap_flush(g, now, err); break;
    }
    gap_wake(g, wake);
    if (rc == TM_OK)
        wake->wall_ns = now->wall_ns;
    return rc;
}
