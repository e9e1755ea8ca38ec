/* send: one event, from its delivery to the records that carry it. */
#include "source/source_inner.h"
#include "base/log.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Does the event at hand ask for a fresh describe? Unknown names that survive one are dropped, with
 * a line that says so. */
bool tm_source_is_stale(struct tm_source *s)
{
    const struct tm_change_event *e = &s->event;
    bool stale = false;
    size_t i;
    const json_t *name;
    if (e->schema_id != NULL && !tm_source_seen_has(&s->schema_ids, e->schema_id)) {
        stale =
            s->schema_ids.count > 0; /* the describe of the start is newer than the first event */
        tm_source_seen_add(&s->schema_ids, e->schema_id);
    }
    if (e->schema_id != NULL && strstr(s->set.topic_template, "${_EventType}") != NULL &&
        strncmp(s->event_type, e->schema_id, sizeof s->event_type - 1) != 0) {
        snprintf(s->event_type, sizeof s->event_type, "%s", e->schema_id);
        stale = true; /* another topic */
        s->renewed = false;
    }
    json_array_foreach(e->unknown_fields, i, name)
    {
        const char *word = json_string_value(name);
        if (json_object_get(s->dropped, word) != NULL)
            continue;
        if (!s->renewed) {
            stale = true;
        } else {
            json_object_set_new(s->dropped, word, json_true());
            s->counts.unknown_fields++;
            tm_log(TM_LOG_WARN,
                   "%s: events name the field %s, which the object no longer has; its values are "
                   "left out",
                   s->set.object, word);
        }
    }
    return stale && !s->renewed;
}

enum tm_code tm_source_parse(struct tm_source *s, struct tm_err *err)
{
    const json_t *delivery = json_array_get(s->events, s->event_at);
    enum tm_code rc =
        tm_change_event_parse(&s->event, json_object_get(delivery, "data"), s->describe, err);
    if (rc != TM_OK)
        return tm_at(err, "channel %s", s->set.channel);
    const char *entity = json_string_value(json_object_get(s->event.header, "entityName"));
    /* a wrong channel, not a bad event */
    if (entity != NULL && strcasecmp(entity, s->set.object) != 0)
        return tm_fail(err, TM_E_ARG, "channel %s brought an event of %.60s", s->set.channel,
                       entity);
    s->event_parsed = true;
    s->id_at = 0;
    s->part_at = 0;
    return TM_OK;
}

static struct tm_value source_json(char **out_text, const json_t *json)
{
    *out_text = json_array_size(json) > 0 ? json_dumps(json, JSON_COMPACT) : NULL;
    return tm_value_of_json(*out_text != NULL ? *out_text : "[]");
}

static enum tm_code source_encode(struct tm_source *s, const char *id, struct tm_err *err)
{
    const struct tm_change_event *e = &s->event;
    struct tm_value *v = s->values;
    char replay[24], *diff;
    size_t n = s->values_count, hint = 0;
    for (size_t i = 0; i < n; i++)
        v[i].kind = TM_V_NULL;
    snprintf(replay, sizeof replay, "%" PRId64, e->replay_id);
    v[0] = tm_value_of_text(id);
    v[1] = tm_value_of_text(replay);
    v[2] = (struct tm_value){ .kind = TM_V_JSON,
                              .as.t = { tm_buf_text(&e->header_text), e->header_text.bytes } };
    for (size_t i = 0; i < e->fields.cells_count; i++) {
        const struct tm_cell *cell = &e->fields.cells[i];
        for (size_t k = 0; k < s->columns_count; k++) { /* cells mostly come in column order */
            size_t at = hint + k < s->columns_count ? hint + k : hint + k - s->columns_count;
            if (s->columns[at] == cell->name) {
                v[3 + at] = cell->value;
                hint = at + 1 < s->columns_count ? at + 1 : 0;
                break;
            }
        }
    }
    v[n - 4] = tm_value_of_text(s->set.object_type);
    v[n - 3] = tm_value_of_text(e->schema_id);
    v[n - 2] = source_json(&diff, e->diff_fields);
    v[n - 1] = tm_value_of_int(s->at.epoch);
    tm_buf_reset(&s->record);
    enum tm_code rc = tm_avro_encode(s->raw, s->raw_id, &s->record, v, n, err);
    free(diff);
    return rc != TM_OK ? tm_at(err, "event %" PRId64 " of %s", e->replay_id, s->set.object) : TM_OK;
}

enum tm_code tm_source_send(struct tm_source *s, const char *topic, int32_t partition,
                            const char *key, struct tm_err *err)
{
    struct tm_topic *t = s->ports.topic;
    enum tm_code rc = t->ops->produce(t, topic, partition, key, strlen(key), s->record.data,
                                      s->record.bytes, err);
    if (rc == TM_OK)
        s->counts.records++;
    return rc;
}

/* One record per id; overflow and conversion concern the whole object and so every partition.
 * TM_E_AGAIN: called again. */
enum tm_code tm_source_produce_event(struct tm_source *s, struct tm_err *err)
{
    const struct tm_change_event *e = &s->event;
    size_t ids = s->set.keep_merged ? 1 : e->ids_count;
    for (; s->id_at < ids; s->id_at++) {
        const char *id = e->ids[s->id_at];
        bool whole = tm_change_id_is_wildcard(id) || strcmp(id, TM_ID_OVERFLOW) == 0;
        enum tm_code rc = source_encode(s, id, err);
        if (rc != TM_OK)
            return rc;
        for (; whole && s->part_at < s->raw_partitions; s->part_at++)
            if ((rc = tm_source_send(s, s->raw_topic, s->part_at, s->set.object, err)) != TM_OK)
                return rc;
        if (!whole && (rc = tm_source_send(s, s->raw_topic, -1, id, err)) != TM_OK)
            return rc;
        s->part_at = 0;
    }
    return TM_OK;
}
