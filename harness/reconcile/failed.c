#include "reconcile/failed.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILED_VALUES_MAX 64

struct tm_failed {
    struct tm_registry *registry;
    struct tm_topic *topic;
    const char *object, *alerts;
    struct tm_buf value;
};

enum tm_code tm_failed_open(struct tm_failed **out, struct tm_registry *registry,
                            struct tm_topic *topic, const char *object, const char *alerts_topic,
                            struct tm_err *err)
{
    struct tm_failed *f = calloc(1, sizeof *f);
    if (f == NULL)
        return tm_fail(err, TM_E_NOMEM, "failed alerts of %s", object);
    *f = (struct tm_failed){
        .registry = registry, .topic = topic, .object = object, .alerts = alerts_topic
    };
    tm_buf_init(&f->value, 1u << 16);
    *out = f;
    return TM_OK;
}

void tm_failed_close(struct tm_failed *f)
{
    if (f == NULL)
        return;
    tm_buf_free(&f->value);
    free(f);
}

static struct tm_value failed_value(const char *field, const char *id, const char *replay,
                                    const char *why, const struct tm_position *at)
{
    if (strcmp(field, "Id") == 0)
        return tm_value_of_text(id);
    if (strcmp(field, "ReplayId") == 0)
        return tm_value_of_text(replay);
    if (strcmp(field, "_kind") == 0)
        return tm_value_of_text("failed");
    if (strcmp(field, "_reason") == 0)
        return tm_value_of_text(why);
    if (strcmp(field, "_epoch") == 0)
        return tm_value_of_int(at->epoch);
    return (struct tm_value){ .kind = TM_V_NULL };
}

static enum tm_code failed_produce(struct tm_failed *f, const struct tm_avro_schema *schema,
                                   int32_t schema_id, const char *id, const struct tm_position *at,
                                   const char *why, struct tm_err *err)
{
    struct tm_value values[FAILED_VALUES_MAX];
    const struct tm_avro_field *fields;
    char replay[24];
    size_t count = tm_avro_schema_fields(schema, &fields);
    if (count > FAILED_VALUES_MAX)
        return tm_fail(err, TM_E_LIMIT, "alerts of %s have %zu fields", f->object, count);
    snprintf(replay, sizeof replay, "%" PRId64, at->g);
    for (size_t i = 0; i < count; i++)
        values[i] = failed_value(fields[i].name, id, replay, why, at);
    tm_buf_reset(&f->value);
    enum tm_code rc = tm_avro_encode(schema, schema_id, &f->value, values, count, err);
    if (rc != TM_OK)
        return rc;
    return f->topic->ops->produce(f->topic, f->alerts, -1, id, strlen(id), f->value.data,
                                  f->value.bytes, err);
}

enum tm_code tm_failed_step(struct tm_failed *f, int32_t schema_id, struct tm_failed_flight *flight,
                            const struct tm_now *now, const struct tm_window *w, bool all,
                            const char *why, struct tm_err *err)
{
    const struct tm_avro_schema *schema = NULL;
    enum tm_code rc = tm_registry_schema(f->registry, now, &schema, schema_id, err);
    size_t count = all ? 1 : w->ids.count;
    while (rc == TM_OK && flight->at < count) {
        rc = failed_produce(f, schema, schema_id, all ? f->object : w->ids.ids[flight->at],
                            all ? &w->at : &w->positions[flight->at], why, err);
        flight->at += rc == TM_OK;
    }
    if (rc == TM_OK || rc == TM_E_AGAIN) {
        enum tm_code flushed = f->topic->ops->flush(f->topic, err);
        rc = flushed != TM_OK ? flushed : rc;
    }
    return rc;
}
