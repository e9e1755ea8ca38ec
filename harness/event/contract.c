#include "event/contract.h"
#include "base/text.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NAMESPACE "io.confluent.salesforce"
/* 18-character ids of one record: 800 fields of 19 bytes fit twice */
#define ARENA_BYTES 32768u

static void contract_topic(char out[TM_TOPIC_NAME_MAX], const char *before, const char *object,
                           const char *after)
{
    char lower[TM_TOPIC_NAME_MAX];
    tm_name_lower(lower, sizeof lower, object);
    int n = snprintf(out, TM_TOPIC_NAME_MAX, "%s%.200s%s", before, lower, after);
    assert(n > 0 && n < TM_TOPIC_NAME_MAX);
    (void)n;
}

void tm_contract_topic_raw(char out[TM_TOPIC_NAME_MAX], const char *object)
{
    contract_topic(out, "sfdc.cdc.", object, "_raw");
}

void tm_contract_topic_alerts(char out[TM_TOPIC_NAME_MAX], const char *object)
{
    contract_topic(out, "alerts.sfdc.", object, "_gap_events");
}

void tm_contract_topic_recon(char out[TM_TOPIC_NAME_MAX], const char *object)
{
    contract_topic(out, "sfdc.recon.", object, "");
}

bool tm_contract_column(const struct tm_field *field)
{
    return tm_field_in_events(field);
}

/* The header of facts/connectors.md 1.2: all parts optional, plain long times. */
#define OPTIONAL_STRING "\"type\":[\"null\",\"string\"],\"default\":null}"
#define OPTIONAL_LONG "\"type\":[\"null\",\"long\"],\"default\":null}"
#define OPTIONAL_STRINGS                                                                           \
    "\"type\":[\"null\",{\"type\":\"array\",\"items\":\"string\"}],\"default\":null}"
static const char contract_header[] =
    "{\"type\":\"record\",\"name\":\"ChangeEventHeader\",\"fields\":["
    "{\"name\":\"entityName\"," OPTIONAL_STRING ",{\"name\":\"recordIds\"," OPTIONAL_STRINGS
    ",{\"name\":\"changeType\"," OPTIONAL_STRING ",{\"name\":\"changedFields\"," OPTIONAL_STRINGS
    ",{\"name\":\"changeOrigin\"," OPTIONAL_STRING ",{\"name\":\"transactionKey\"," OPTIONAL_STRING
    ",{\"name\":\"sequenceNumber\"," OPTIONAL_LONG ",{\"name\":\"commitTimestamp\"," OPTIONAL_LONG
    ",{\"name\":\"commitUser\"," OPTIONAL_STRING ",{\"name\":\"commitNumber\"," OPTIONAL_LONG "]}";
static const char contract_header_none[] =
    "{\"entityName\":null,\"recordIds\":null,\"changeType\":null,\"changedFields\":null,"
    "\"changeOrigin\":null,"
    "\"transactionKey\":null,\"sequenceNumber\":null,\"commitTimestamp\":null,\"commitUser\":null,"
    "\"commitNumber\":null}";

static void contract_begin(struct tm_buf *out, const char *object, const char *name)
{
    tm_buf_addf(
        out, "{\"type\":\"record\",\"name\":\"%s%s\",\"namespace\":\"" NAMESPACE "\",\"fields\":[",
        object, name);
}

static void contract_optional(struct tm_buf *out, const char *name, const char *type)
{
    tm_buf_addf(out, ",{\"name\":\"%s\",\"type\":[\"null\",%s],\"default\":null}", name, type);
}

static void contract_plain(struct tm_buf *out, const char *name, const char *type,
                           const char *preset)
{
    tm_buf_addf(out, "%s{\"name\":\"%s\",\"type\":%s,\"default\":%s}",
                out->data[out->bytes - 1] == '[' ? "" : ",", name, type, preset);
}

const char *tm_contract_type(const struct tm_field *f)
{
    switch (f->kind) {
    case TM_FIELD_BOOLEAN: return "\"boolean\"";
    case TM_FIELD_INT: return strcmp(f->type, "long") == 0 ? "\"long\"" : "\"int\"";
    case TM_FIELD_NUMBER: return "\"double\"";
    case TM_FIELD_DATE: return "{\"type\":\"int\",\"logicalType\":\"date\"}";
    case TM_FIELD_DATETIME: return "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}";
    case TM_FIELD_TEXT:
    case TM_FIELD_ID:
    case TM_FIELD_TIME: return "\"string\"";
    case TM_FIELD_COMPOUND: break;
    }
    assert(0 && "a compound is no column");
    return NULL;
}

static void contract_columns(struct tm_buf *out, const struct tm_describe *d)
{
    for (size_t i = 0; i < d->fields_count; i++)
        if (tm_contract_column(&d->fields[i]))
            contract_optional(out, d->fields[i].name, tm_contract_type(&d->fields[i]));
}

static enum tm_code contract_end(struct tm_buf *out, const struct tm_describe *d,
                                 struct tm_err *err)
{
    tm_buf_addz(out, "]}");
    return tm_buf_check(out, d->object, err);
}

enum tm_code tm_contract_schema_raw(struct tm_buf *out, const struct tm_describe *d,
                                    struct tm_err *err)
{
    tm_buf_reset(out);
    contract_begin(out, d->object, "ChangeEvent");
    if (tm_buf_check(out, d->object, err) != TM_OK)
        return err != NULL ? err->code : TM_E_LIMIT;
    contract_plain(out, "Id", "\"string\"", "\"\"");
    contract_optional(out, "ReplayId", "\"string\"");
    contract_plain(out, "ChangeEventHeader", contract_header, contract_header_none);
    contract_columns(out, d);
    contract_optional(out, "_ObjectType", "\"string\"");
    contract_optional(out, "_EventType", "\"string\"");
    contract_plain(out, "_DiffFields", "{\"type\":\"array\",\"items\":\"string\"}", "[]");
    contract_plain(out, "_epoch", "\"int\"", "0");
    return contract_end(out, d, err);
}

/* The same for every object: producers that know an object by its topic only must write the very
 * same schema. */
enum tm_code tm_contract_schema_alerts(struct tm_buf *out, const struct tm_describe *d,
                                       struct tm_err *err)
{
    tm_buf_reset(out);
    contract_begin(out, "", "GapEvent");
    if (tm_buf_check(out, d->object, err) != TM_OK)
        return err != NULL ? err->code : TM_E_LIMIT;
    contract_plain(out, "Id", "\"string\"", "\"\"");
    contract_optional(out, "ReplayId", "\"string\"");
    contract_optional(out, "ChangeEventHeader", contract_header);
    contract_plain(out, "_kind", "\"string\"", "\"\"");
    contract_optional(out, "_reason", "\"string\"");
    contract_plain(out, "_epoch", "\"int\"", "0");
    return contract_end(out, d, err);
}

enum tm_code tm_contract_schema_recon(struct tm_buf *out, const struct tm_describe *d,
                                      struct tm_err *err)
{
    tm_buf_reset(out);
    contract_begin(out, d->object, "Recon");
    if (tm_buf_check(out, d->object, err) != TM_OK)
        return err != NULL ? err->code : TM_E_LIMIT;
    contract_plain(out, "Id", "\"string\"", "\"\"");
    contract_plain(out, "_kind", "\"string\"", "\"\"");
    contract_plain(out, "_g", "\"long\"", "0");
    contract_plain(out, "_epoch", "\"int\"", "0");
    contract_plain(out, "_read_id", "\"string\"", "\"\"");
    contract_plain(out, "_read_seq", "\"long\"", "0");
    contract_plain(out, "_read_kind", "\"string\"", "\"\"");
    contract_optional(out, "_count", "\"long\"");
    contract_optional(out, "_partitions", "\"int\"");
    contract_columns(out, d);
    return contract_end(out, d, err);
}

static enum tm_code contract_unfit(const struct tm_field *field, const char *want,
                                   struct tm_err *err)
{
    return tm_fail(err, TM_E_PROTO, "field %s (%s) came as something other than %s", field->name,
                   field->type, want);
}

/* Text of an arena must not move under values handed out before: room for a whole record is taken
 * at once. */
static enum tm_code contract_id(struct tm_value *out, struct tm_buf *arena,
                                const struct tm_field *field, const char *text, struct tm_err *err)
{
    static const char room[ARENA_BYTES];
    char id[TM_ID_BYTES];
    if (tm_id18(id, text, err) != TM_OK)
        return tm_at(err, "field %s", field->name);
    if (strcmp(id, text) == 0) {
        *out = tm_value_of_text(text);
        return TM_OK;
    }
    if (arena->data == NULL) {
        tm_buf_add(arena, room, sizeof room);
        tm_buf_reset(arena);
    }
    if (arena->data == NULL)
        return tm_fail(err, TM_E_NOMEM, "field %s", field->name);
    if (arena->cap - arena->bytes <= sizeof id)
        return tm_fail(err, TM_E_LIMIT,
                       "field %s: the arena has no room for an id; reset it for each record",
                       field->name);
    size_t from = arena->bytes;
    tm_buf_add(arena, id, sizeof id);
    *out = (struct tm_value){ .kind = TM_V_TEXT, .as.t = { arena->data + from, sizeof id - 1 } };
    return TM_OK;
}

static enum tm_code contract_text(struct tm_value *out, struct tm_buf *arena,
                                  const struct tm_field *field, const json_t *json,
                                  struct tm_err *err)
{
    const char *text = json_string_value(json);
    int32_t days;
    if (text == NULL)
        return contract_unfit(field, "text", err);
    if (*text == '\0')
        return TM_OK; /* empty text = NULL */
    if (field->kind == TM_FIELD_ID)
        return contract_id(out, arena, field, text, err);
    if (field->kind == TM_FIELD_DATE && tm_date_parse(&days, text, err) != TM_OK)
        return tm_at(err, "field %s", field->name);
    if (field->kind == TM_FIELD_DATETIME) {
        out->kind = TM_V_INT;
        return tm_time_parse(&out->as.i, text, err) == TM_OK ? TM_OK
                                                             : tm_at(err, "field %s", field->name);
    }
    *out = (struct tm_value){ .kind = TM_V_TEXT, .as.t = { text, json_string_length(json) } };
    return TM_OK;
}

enum tm_code tm_contract_value(struct tm_value *out, struct tm_buf *arena,
                               const struct tm_field *field, const json_t *json, struct tm_err *err)
{
    out->kind = TM_V_NULL;
    if (json == NULL || json_is_null(json))
        return TM_OK;
    switch (field->kind) {
    case TM_FIELD_BOOLEAN:
        if (!json_is_boolean(json))
            return contract_unfit(field, "true or false", err);
        *out = tm_value_of_bool(json_is_true(json));
        return TM_OK;
    case TM_FIELD_INT:
        if (json_is_real(json) && trunc(json_real_value(json)) == json_real_value(json) &&
            fabs(json_real_value(json)) < 9007199254740992.0)
            *out = tm_value_of_int((int64_t)json_real_value(json));
        else if (json_is_integer(json))
            *out = tm_value_of_int(json_integer_value(json));
        else
            return contract_unfit(field, "a whole number", err);
        return TM_OK;
    case TM_FIELD_NUMBER:
        if (!json_is_number(json))
            return contract_unfit(field, "a number", err);
        *out = tm_value_of_double(json_number_value(json));
        return TM_OK;
    case TM_FIELD_TEXT:
    case TM_FIELD_ID:
    case TM_FIELD_DATE:
    case TM_FIELD_DATETIME:
    case TM_FIELD_TIME: return contract_text(out, arena, field, json, err);
    case TM_FIELD_COMPOUND: break;
    }
    return tm_fail(err, TM_E_PROTO, "field %s (%s) is no column: its parts are", field->name,
                   field->type);
}
