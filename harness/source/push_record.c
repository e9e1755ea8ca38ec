/* push_record: what a PushTopic's or platform event's record looks like: its schema, and one
 * delivery brought into it. */
#include "source/push_inner.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool push_system(const char *field)
{
    static const char *const kept[] = { "ReplayId", "CreatedDate", "CreatedById", "EventUuid",
                                        "Id" };
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (strcasecmp(kept[i], field) == 0)
            return true;
    return false;
}

bool tm_push_column(enum tm_source_kind kind, const struct tm_field *f)
{
    return f->kind != TM_FIELD_COMPOUND && strcasecmp(f->name, "Id") != 0 &&
           (kind == TM_SOURCE_PUSH_TOPIC || !push_system(f->name));
}

static void push_field(struct tm_buf *out, const char *name, const char *type)
{
    tm_buf_addf(out, "%s{\"name\":\"%s\",\"type\":[\"null\",%s],\"default\":null}",
                out->data[out->bytes - 1] == '[' ? "" : ",", name, type);
}

enum tm_code tm_push_schema(struct tm_buf *out, const struct tm_source_settings *settings,
                            const struct tm_describe *d, struct tm_err *err)
{
    bool topic = settings->kind == TM_SOURCE_PUSH_TOPIC;
    tm_buf_reset(out);
    tm_buf_addf(out,
                "{\"type\":\"record\",\"name\":\"%s\",\"namespace\":\"io.confluent.salesforce\","
                "\"fields\":[",
                d->object);
    if (tm_buf_check(out, d->object, err) != TM_OK)
        return TM_E_LIMIT;
    if (topic) {
        tm_buf_addz(out, "{\"name\":\"Id\",\"type\":\"string\",\"default\":\"\"}");
    } else {
        push_field(out, "ReplayId", "\"string\"");
        push_field(out, "CreatedDate", "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}");
        push_field(out, "CreatedById", "\"string\"");
        push_field(out, "EventUuid", "\"string\"");
    }
    for (size_t i = 0; i < d->fields_count; i++)
        if (tm_push_column(settings->kind, &d->fields[i]))
            push_field(out, d->fields[i].name, tm_contract_type(&d->fields[i]));
    push_field(out, "_ObjectType", "\"string\"");
    push_field(out, "_EventType", "\"string\"");
    if (topic)
        push_field(out, "_ReplayId", "\"string\"");
    tm_buf_addz(out, ",{\"name\":\"_epoch\",\"type\":\"int\",\"default\":0}]}");
    return tm_buf_check(out, d->object, err);
}

enum tm_code tm_push_query(struct tm_buf *out, const struct tm_describe *d, size_t *out_left,
                           struct tm_err *err)
{
    size_t room = TM_PUSH_QUERY_BYTES_MAX - strlen(" FROM ") - strlen(d->object);
    *out_left = 0;
    tm_buf_reset(out);
    tm_buf_addz(out, "SELECT Id");
    for (size_t i = 0; i < d->fields_count; i++) {
        const struct tm_field *f = &d->fields[i];
        if (!tm_push_column(TM_SOURCE_PUSH_TOPIC, f) || *out_left > 0) {
            *out_left += tm_push_column(TM_SOURCE_PUSH_TOPIC, f);
            continue;
        }
        if (out->bytes + strlen(f->name) + 2 > room)
            ++*out_left;
        else
            tm_buf_addf(out, ", %s", f->name);
    }
    tm_buf_addf(out, " FROM %s", d->object);
    return tm_buf_check(out, "a PushTopic's query", err);
}

/* ---- one delivery ---- */

/* The position of an event, its body, and what kind it is. TM_E_PROTO: it has none. */
enum tm_code tm_push_parse(struct tm_push *p, const json_t *delivery, struct push_event *out,
                           struct tm_err *err)
{
    bool topic = p->set.kind == TM_SOURCE_PUSH_TOPIC;
    const json_t *data = json_object_get(delivery, "data"), *event = json_object_get(data, "event"),
                 *replay = json_object_get(event, "replayId");
    *out = (struct push_event){ .replay_id = -1 };
    if (!json_is_integer(replay) || json_integer_value(replay) < 0)
        return tm_fail(err, TM_E_PROTO, "an event without event.replayId, a whole number");
    out->replay_id = json_integer_value(replay);
    out->body = json_object_get(data, topic ? "sobject" : "payload");
    out->type =
        json_string_value(topic ? json_object_get(event, "type") : json_object_get(data, "schema"));
    out->uuid = json_string_value(json_object_get(event, "EventUuid"));
    if (!json_is_object(out->body))
        return tm_fail(err, TM_E_PROTO, "event %" PRId64 " without %s", out->replay_id,
                       topic ? "sobject" : "payload");
    out->id = json_string_value(json_object_get(out->body, "Id"));
    if (topic && tm_id18(out->id18, out->id != NULL ? out->id : "", err) != TM_OK)
        return tm_fail(err, TM_E_PROTO, "event %" PRId64 " without a record's Id", out->replay_id);
    return TM_OK;
}

const char *tm_push_unknown(const struct tm_push *p, const struct push_event *event)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)event->body, key,
                        value) if (strcmp(key, "attributes") != 0 && !push_system(key) &&
                                   tm_describe_field(p->describe, key) == NULL) return key;
    return NULL;
}

static enum tm_code push_columns(struct tm_push *p, const struct push_event *event,
                                 struct tm_value *v, struct tm_err *err)
{
    size_t n = 0;
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < p->describe->fields_count && rc == TM_OK; i++) {
        const struct tm_field *f = &p->describe->fields[i];
        if (tm_push_column(p->set.kind, f))
            rc = tm_contract_value(&v[n++], &p->arena, f, json_object_get(event->body, f->name),
                                   err);
    }
    return rc;
}

enum tm_code tm_push_encode(struct tm_push *p, const struct push_event *event, struct tm_err *err)
{
    bool topic = p->set.kind == TM_SOURCE_PUSH_TOPIC;
    struct tm_value *v = p->values;
    size_t n = p->values_count, first = topic ? 1 : 4;
    char replay[24];
    const char *created = json_string_value(json_object_get(event->body, "CreatedDate"));
    snprintf(replay, sizeof replay, "%" PRId64, event->replay_id);
    tm_buf_reset(&p->arena);
    for (size_t i = 0; i < n; i++)
        v[i].kind = TM_V_NULL;
    if (topic) {
        v[0] = tm_value_of_text(event->id18);
        v[n - 2] = tm_value_of_text(replay);
    } else {
        v[0] = tm_value_of_text(replay);
        if (created != NULL) {
            v[1].kind = TM_V_INT;
            if (tm_time_parse(&v[1].as.i, created, err) != TM_OK)
                return tm_at(err, "CreatedDate");
        }
        v[2] = tm_value_of_text(json_string_value(json_object_get(event->body, "CreatedById")));
        v[3] = tm_value_of_text(event->uuid);
    }
    enum tm_code rc = push_columns(p, event, v + first, err);
    v[n - (topic ? 4 : 3)] = tm_value_of_text(p->set.object_type);
    v[n - (topic ? 3 : 2)] = tm_value_of_text(event->type);
    v[n - 1] = tm_value_of_int(p->at.epoch);
    tm_buf_reset(&p->record);
    if (rc == TM_OK)
        rc = tm_avro_encode(p->raw, p->raw_id, &p->record, v, n, err);
    return rc == TM_OK ? rc : tm_at(err, "event %" PRId64, event->replay_id);
}
