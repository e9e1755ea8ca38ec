/* schema: the describe in force, and the three schemas a source writes with, registered. */
#include "source/source_inner.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum tm_code tm_source_describe(struct tm_source *s, const struct tm_now *now, struct tm_err *err)
{
    struct tm_describe *d;
    enum tm_code rc = tm_sf_describe(s->ports.session, now, &d, s->set.object, err);
    if (rc == TM_E_AGAIN)
        return rc;
    if (rc != TM_OK)
        return tm_at(err, "object %s of salesforce.cdc.name", s->set.object);
    s->event_parsed = false; /* its names point into the old one */
    tm_describe_close(s->describe);
    s->describe = d;
    s->counts.describes++;
    s->registered = 0;
    s->state = SOURCE_REGISTER;
    return TM_OK;
}

static enum tm_code schema_columns(struct tm_source *s, struct tm_err *err)
{
    const struct tm_avro_field *fields;
    size_t count = tm_avro_schema_fields(s->raw, &fields);
    struct tm_value *values = realloc(s->values, count * sizeof *values);
    if (values != NULL)
        s->values = values;
    const char **columns = realloc(s->columns, count * sizeof *columns);
    if (columns != NULL)
        s->columns = columns;
    if (values == NULL || columns == NULL)
        return tm_fail(err, TM_E_NOMEM, "schema of %zu fields", count);
    s->values_count = count;
    s->columns_count = 0;
    for (size_t i = 0; i < s->describe->fields_count; i++)
        if (tm_contract_column(&s->describe->fields[i]))
            s->columns[s->columns_count++] = s->describe->fields[i].name;
    /* Id ReplayId ChangeEventHeader … _ObjectType _EventType _DiffFields _epoch */
    assert(s->columns_count + 7 == count);
    return TM_OK;
}

static enum tm_code schema_register(struct tm_source *s, const struct tm_now *now,
                                    const char *topic, int32_t *out_id, struct tm_avro_schema **out,
                                    struct tm_err *err)
{
    char subject[TM_TOPIC_NAME_MAX + 8];
    snprintf(subject, sizeof subject, "%s-value", topic);
    enum tm_code rc = tm_registry_register(s->ports.registry, now, out_id, subject,
                                           tm_buf_text(&s->schema_text), err);
    if (rc != TM_OK)
        return rc;
    tm_avro_schema_close(*out);
    *out = NULL;
    return tm_avro_schema_parse(out, tm_buf_text(&s->schema_text), s->schema_text.bytes, err);
}

/* One registration a step: raw, alerts, offsets. */
enum tm_code tm_source_register(struct tm_source *s, const struct tm_now *now, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    const char *event_type = s->event_type[0] != '\0' ? s->event_type : NULL;
    switch (s->registered) {
    case 0:
        if ((rc = tm_contract_schema_raw(&s->schema_text, s->describe, err)) != TM_OK ||
            (rc = tm_source_topic(s->raw_topic, &s->set, event_type, err)) != TM_OK)
            return rc;
        if (s->raw_topic[0] != '\0') /* else its name waits for the first event */
            rc = schema_register(s, now, s->raw_topic, &s->raw_id, &s->raw, err);
        if (rc == TM_OK && s->raw != NULL)
            rc = schema_columns(s, err);
        break;
    case 1:
        if ((rc = tm_contract_schema_alerts(&s->schema_text, s->describe, err)) == TM_OK)
            rc = schema_register(s, now, s->alerts_topic, &s->alerts_id, &s->alerts, err);
        break;
    default:
        tm_buf_reset(&s->schema_text);
        tm_buf_addz(&s->schema_text, tm_checkpoint_schema);
        rc = schema_register(s, now, s->set.offsets_topic, &s->offsets_id, &s->offsets, err);
        break;
    }
    if (rc == TM_OK && ++s->registered == 3)
        s->state = s->cometd != NULL ? SOURCE_PARTITIONS : SOURCE_CHECKPOINT;
    return rc;
}
