#include "event/change.h"
#include "event/contract.h"
#include "event/row.h"
#include "base/text.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Salesforce's own cap is 1 MB; connection.max.message.size may allow more */
#define EVENT_BYTES_MAX (16u << 20)
/* "Compound__c.Part": Salesforce names end at 80 characters */
#define NAME_BYTES_MAX 256

enum tm_change_type tm_change_type_parse(const char *word)
{
    static const char *const words[] = { "CREATE",     "UPDATE",       "DELETE",
                                         "UNDELETE",   "GAP_CREATE",   "GAP_UPDATE",
                                         "GAP_DELETE", "GAP_UNDELETE", "GAP_OVERFLOW" };
    for (int i = 0; i < TM_CHANGE_UNKNOWN; i++)
        if (strcasecmp(word, words[i]) == 0)
            return (enum tm_change_type)i;
    return TM_CHANGE_UNKNOWN;
}

bool tm_change_is_gap(const char *word)
{
    return strncasecmp(word, "GAP", 3) == 0;
}

bool tm_change_id_is_wildcard(const char *id)
{
    size_t n = strlen(id);
    return n > 0 && id[n - 1] == '*';
}

void tm_change_event_init(struct tm_change_event *e)
{
    *e = (struct tm_change_event){ .type = TM_CHANGE_UNKNOWN };
    tm_buf_init(&e->header_text, EVENT_BYTES_MAX);
    tm_row_init(&e->fields);
}

void tm_change_event_free(struct tm_change_event *e)
{
    tm_buf_free(&e->header_text);
    tm_row_free(&e->fields);
    json_decref(e->diff_fields);
    json_decref(e->unknown_fields);
    free(e->ids);
    free(e->ids_text);
    tm_change_event_init(e);
}

static enum tm_code change_ids_reserve(struct tm_change_event *e, size_t count, struct tm_err *err)
{
    if (count <= e->ids_cap)
        return TM_OK;
    const char **ids = realloc(e->ids, count * sizeof *ids);
    if (ids != NULL)
        e->ids = ids;
    char(*text)[TM_CHANGE_ID_BYTES] = realloc(e->ids_text, count * sizeof *text);
    if (text != NULL)
        e->ids_text = text;
    if (ids == NULL || text == NULL)
        return tm_fail(err, TM_E_NOMEM, "change event of %zu record ids", count);
    e->ids_cap = count;
    return TM_OK;
}

static enum tm_code change_ids(struct tm_change_event *e, struct tm_err *err)
{
    const json_t *ids = json_object_get(e->header, "recordIds");
    size_t count = json_array_size(ids);
    bool bare_overflow =
        count == 0 && e->type == TM_CHANGE_GAP_OVERFLOW; /* older documents: no id at all */
    if (count == 0 && !bare_overflow)
        return tm_fail(err, TM_E_PROTO, "ChangeEventHeader.recordIds is missing or empty");
    enum tm_code rc = change_ids_reserve(e, bare_overflow ? 1 : count, err);
    if (rc != TM_OK)
        return rc;
    for (size_t i = 0; i < (bare_overflow ? 1 : count); i++) {
        const char *id = bare_overflow ? TM_ID_OVERFLOW : json_string_value(json_array_get(ids, i));
        char *text = e->ids_text[i];
        if (id == NULL)
            return tm_fail(err, TM_E_PROTO, "ChangeEventHeader.recordIds[%zu] is not text", i);
        if ((tm_change_id_is_wildcard(id) || strcmp(id, TM_ID_OVERFLOW) == 0) &&
            strlen(id) < TM_CHANGE_ID_BYTES)
            memcpy(text, id, strlen(id) + 1);
        else if (tm_id18(text, id, err) != TM_OK)
            return tm_at(err, "ChangeEventHeader.recordIds[%zu]", i);
        e->ids[i] = text;
        e->ids_count = i + 1;
    }
    return TM_OK;
}

/* "BillingAddress.Street" -> BillingStreet where the caller wants what the topic's columns are
 * called. */
static const char *change_field_name(const struct tm_change_event *e, const struct tm_describe *d,
                                     const char *name)
{
    const struct tm_field *f =
        e->convert_changed_fields ? tm_describe_by_event_name(d, name) : NULL;
    return f != NULL ? f->name : name;
}

static enum tm_code change_header_list(struct tm_change_event *e, const struct tm_describe *d,
                                       const char *key, const json_t *list, struct tm_err *err)
{
    bool names = strcmp(key, "changedFields") == 0, ids = strcmp(key, "recordIds") == 0;
    if (!json_is_array(list))
        return tm_fail(err, TM_E_PROTO, "ChangeEventHeader.%s is not a list", key);
    tm_buf_addc(&e->header_text, '[');
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *text = json_string_value(item);
        size_t bytes = json_string_length(item);
        if (text == NULL)
            return tm_fail(err, TM_E_PROTO, "ChangeEventHeader.%s[%zu] is not text", key, i);
        if (names && e->convert_changed_fields)
            text = change_field_name(e, d, text);
        if (ids) /* as in Id: who reads the list must find the record's own id in it */
            text = e->ids[i];
        if (ids || (names && e->convert_changed_fields))
            bytes = strlen(text);
        if (i > 0)
            tm_buf_addc(&e->header_text, ',');
        tm_buf_add_json_string(&e->header_text, text, bytes);
    }
    tm_buf_addc(&e->header_text, ']');
    return TM_OK;
}

/* Order and types as the connector's header struct has them: facts/connectors.md 1.2. */
static enum tm_code change_header(struct tm_change_event *e, const struct tm_describe *d,
                                  struct tm_err *err)
{
    static const struct {
        const char *key;
        char type;
    } keys[] = {
        { "entityName", 's' },     { "recordIds", 'l' },       { "changeType", 's' },
        { "changedFields", 'l' },  { "changeOrigin", 's' },    { "transactionKey", 's' },
        { "sequenceNumber", 'n' }, { "commitTimestamp", 'n' }, { "commitUser", 's' },
        { "commitNumber", 'n' },
    };
    tm_buf_reset(&e->header_text);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *value = json_object_get(e->header, keys[i].key);
        tm_buf_addc(&e->header_text, i == 0 ? '{' : ',');
        tm_buf_add_json_string(&e->header_text, keys[i].key, strlen(keys[i].key));
        tm_buf_addc(&e->header_text, ':');
        if (value == NULL || json_is_null(value)) {
            tm_buf_addz(&e->header_text, "null");
        } else if (keys[i].type == 'l') {
            enum tm_code rc = change_header_list(e, d, keys[i].key, value, err);
            if (rc != TM_OK)
                return rc;
        } else if (keys[i].type == 's' && json_is_string(value)) {
            tm_buf_add_json_string(&e->header_text, json_string_value(value),
                                   json_string_length(value));
        } else if (keys[i].type == 'n' && json_is_integer(value)) {
            tm_buf_addf(&e->header_text, "%" PRId64, (int64_t)json_integer_value(value));
        } else {
            return tm_fail(err, TM_E_PROTO, "ChangeEventHeader.%s is not %s", keys[i].key,
                           keys[i].type == 's' ? "text" : "a whole number");
        }
    }
    tm_buf_addc(&e->header_text, '}');
    return tm_buf_check(&e->header_text, "ChangeEventHeader", err);
}

/* Payloads come in describe order, so the next field is usually the one behind the last hit. */
static const struct tm_field *change_find(const struct tm_describe *d, const char *event_name,
                                          size_t *hint)
{
    for (size_t i = *hint; i < d->fields_count; i++) {
        if (strcmp(d->fields[i].event_name, event_name) == 0) {
            *hint = i + 1;
            return &d->fields[i];
        }
    }
    return tm_describe_by_event_name(d, event_name);
}

static enum tm_code change_unknown(struct tm_change_event *e, const char *name, struct tm_err *err)
{
    if (json_array_append_new(e->unknown_fields, json_string(name)) != 0)
        return tm_fail(err, TM_E_NOMEM, "unknown field %.60s", name);
    return TM_OK;
}

static enum tm_code change_value(struct tm_change_event *e, const struct tm_field *f,
                                 const json_t *value, struct tm_err *err)
{
    if (!tm_field_in_events(f))
        return TM_OK; /* a formula some orgs do send: no column of the topic */
    if (json_is_string(json_object_get(value, "diff"))) {
        if (json_array_append_new(e->diff_fields, json_string(f->name)) != 0)
            return tm_fail(err, TM_E_NOMEM, "diff field %s", f->name);
        return TM_OK;
    }
    if (e->fields.cells_count == e->fields.cells_cap)
        return tm_fail(err, TM_E_PROTO, "payload names more fields than the object has (%zu)",
                       e->fields.cells_cap);
    enum tm_code rc =
        tm_contract_value(tm_row_add(&e->fields, f->name), &e->fields.arena, f, value, err);
    if (rc == TM_E_ARG && err != NULL)
        err->code = rc = TM_E_PROTO; /* a peer's mistake, not the user's */
    return rc;
}

static const struct tm_field *change_compound(const struct tm_describe *d, const char *name)
{
    for (size_t i = 0; i < d->fields_count; i++)
        if (d->fields[i].kind == TM_FIELD_COMPOUND && strcasecmp(d->fields[i].name, name) == 0)
            return &d->fields[i];
    return NULL;
}

static enum tm_code change_parts(struct tm_change_event *e, const struct tm_describe *d,
                                 const char *compound, const json_t *parts, size_t *hint,
                                 struct tm_err *err)
{
    const char *part;
    json_t *value;
    enum tm_code rc = TM_OK;
    json_object_foreach((json_t *)parts, part, value)
    {
        char name[NAME_BYTES_MAX];
        if (strlen(compound) + strlen(part) + 2 > sizeof name)
            return tm_fail(err, TM_E_PROTO, "field name %.40s.%.40s… is too long", compound, part);
        strcpy(name, compound);
        strcat(strcat(name, "."), part);
        const struct tm_field *f = change_find(d, name, hint);
        rc = f != NULL ? change_value(e, f, value, err) : change_unknown(e, name, err);
        if (rc != TM_OK)
            return rc;
    }
    return rc;
}

/* A compound that is null as a whole clears its parts. */
static enum tm_code change_parts_null(struct tm_change_event *e, const struct tm_describe *d,
                                      const char *compound, struct tm_err *err)
{
    for (size_t i = 0; i < d->fields_count; i++) {
        const struct tm_field *f = &d->fields[i];
        if (f->compound == NULL || strcasecmp(f->compound, compound) != 0 ||
            f->kind == TM_FIELD_COMPOUND)
            continue;
        enum tm_code rc = change_value(e, f, json_null(), err);
        if (rc != TM_OK)
            return rc;
    }
    return TM_OK;
}

static enum tm_code change_fields(struct tm_change_event *e, const json_t *payload,
                                  const struct tm_describe *d, struct tm_err *err)
{
    const char *name;
    json_t *value;
    size_t hint = 0;
    enum tm_code rc = tm_row_reserve(&e->fields, d->fields_count + 1, err);
    json_array_clear(e->diff_fields);
    json_array_clear(e->unknown_fields);
    if (rc != TM_OK)
        return rc;
    json_object_foreach((json_t *)payload, name, value)
    {
        if (strcmp(name, "ChangeEventHeader") == 0)
            continue;
        bool object = json_is_object(value) && json_object_get(value, "diff") == NULL;
        const struct tm_field *compound =
            object || json_is_null(value) ? change_compound(d, name) : NULL;
        const struct tm_field *f = object || compound != NULL ? NULL : change_find(d, name, &hint);
        if (compound != NULL && !object)
            rc = change_parts_null(e, d, compound->name, err);
        else if (object)
            rc = change_parts(e, d, name, value, &hint, err);
        else
            rc = f != NULL ? change_value(e, f, value, err) : change_unknown(e, name, err);
        if (rc != TM_OK)
            return rc;
    }
    return TM_OK;
}

static void change_reset(struct tm_change_event *e)
{
    e->header = NULL;
    e->schema_id = NULL;
    e->ids_count = 0;
    e->replay_id = 0;
    e->type = TM_CHANGE_UNKNOWN;
    tm_row_reset(&e->fields);
    tm_buf_reset(&e->header_text);
}

enum tm_code tm_change_event_parse(struct tm_change_event *e, const json_t *data,
                                   const struct tm_describe *describe, struct tm_err *err)
{
    const json_t *payload = json_object_get(data, "payload");
    const json_t *replay = json_object_get(json_object_get(data, "event"), "replayId");
    change_reset(e);
    if (e->diff_fields == NULL)
        e->diff_fields = json_array();
    if (e->unknown_fields == NULL)
        e->unknown_fields = json_array();
    if (e->diff_fields == NULL || e->unknown_fields == NULL)
        return tm_fail(err, TM_E_NOMEM, "change event");
    if (!json_is_object(payload))
        return tm_fail(err, TM_E_PROTO, "change event without payload");
    if (!json_is_integer(replay) || json_integer_value(replay) < 0)
        return tm_fail(err, TM_E_PROTO, "change event without event.replayId, a whole number");
    e->replay_id = json_integer_value(replay);
    e->schema_id = json_string_value(json_object_get(data, "schema"));
    e->header = json_object_get(payload, "ChangeEventHeader");
    const char *type = json_string_value(json_object_get(e->header, "changeType"));
    if (type == NULL)
        return tm_fail(err, TM_E_PROTO,
                       "change event %" PRId64 " without ChangeEventHeader.changeType",
                       e->replay_id);
    e->type = tm_change_type_parse(type);
    enum tm_code rc = change_ids(e, err);
    if (rc == TM_OK)
        rc = change_header(e, describe, err);
    if (rc == TM_OK)
        rc = change_fields(e, payload, describe, err);
    if (rc == TM_E_ARG && err != NULL)
        err->code = rc = TM_E_PROTO;
    if (rc != TM_OK && err != NULL && rc != TM_E_NOMEM)
        return tm_at(err, "change event %" PRId64, e->replay_id);
    return rc;
}
