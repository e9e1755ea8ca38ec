#include "reconcile/failed.h"
#include "event/contract.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILED_VALUES 6

struct tm_failed {
    struct tm_registry *registry;
    struct tm_topic *topic;
    const char *object, *alerts;
    struct tm_avro_schema *schema; int32_t schema_id;
    struct tm_buf text, value;
    char subject[TM_TOPIC_NAME_MAX + 8];
};

enum tm_code tm_failed_open(struct tm_failed **out, struct tm_registry *registry, struct tm_topic *topic, const char *object,
                            const char *alerts_topic, struct tm_err *err)
{
    struct tm_describe only_name = { .object = object };
    struct tm_failed *f = calloc(1, sizeof *f);
    if (f == NULL)
        return tm_fail(err, TM_E_NOMEM, "failed alerts of %s", object);
    f->registry = registry;
    f->topic = topic;
    f->object = object;
    f->alerts = alerts_topic;
    tm_buf_init(&f->text, 1u << 16);
    tm_buf_init(&f->value, 1u << 16);
    snprintf(f->subject, sizeof f->subject, "%s-value", alerts_topic);
    enum tm_code rc = tm_contract_schema_alerts(&f->text, &only_name, err);
    if (rc == TM_OK)
        rc = tm_avro_schema_parse(&f->schema, tm_buf_text(&f->text), f->text.bytes, err);
    if (rc != TM_OK) {
        tm_failed_close(f);
        return rc;
    }
    *out = f;
    return TM_OK;
}

void tm_failed_close(struct tm_failed *f)
{
    if (f == NULL)
        return;
    tm_avro_schema_close(f->schema);
    tm_buf_free(&f->text);
    tm_buf_free(&f->value);
    free(f);
}

static enum tm_code failed_produce(struct tm_failed *f, const char *id, const struct tm_position *at, const char *why,
                                   struct tm_err *err)
{
    char replay[24];
    snprintf(replay, sizeof replay, "%" PRId64, at->g);
    struct tm_value values[FAILED_VALUES] = { tm_value_of_text(id), tm_value_of_text(replay), { .kind = TM_V_NULL },
                                              tm_value_of_text("failed"), tm_value_of_text(why),
                                              tm_value_of_int(at->epoch) };
    tm_buf_reset(&f->value);
    enum tm_code rc = tm_avro_encode(f->schema, f->schema_id, &f->value, values, FAILED_VALUES, err);
    if (rc != TM_OK)
        return rc;
    return f->topic->ops->produce(f->topic, f->alerts, -1, id, strlen(id), f->value.data, f->value.bytes, err);
}

enum tm_code tm_failed_step(struct tm_failed *f, struct tm_failed_flight *flight, const struct tm_now *now,
                            const struct tm_window *w, bool all, const char *why, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    if (f->schema_id == 0)
        rc = tm_registry_register(f->registry, now, &f->schema_id, f->subject, tm_buf_text(&f->text), err);
    size_t count = all ? 1 : w->ids.count;
    while (rc == TM_OK && flight->at < count) {
        rc = failed_produce(f, all ? f->object : w->ids.ids[flight->at], all ? &w->at : &w->positions[flight->at], why, err);
        flight->at += rc == TM_OK;
    }
    if (rc == TM_OK || rc == TM_E_AGAIN) {
        enum tm_code flushed = f->topic->ops->flush(f->topic, err);
        rc = flushed != TM_OK ? flushed : rc;
    }
    return rc;
}
