#include "mocks/salesforce/rest_impl.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- reading: composite/sobjects/X?ids=&fields=, or the same as a body ---- */

struct collection_read {
    char (*ids)[TM_ID_BYTES]; /* in the order asked for; "" = not an id */
    size_t count;
};

static enum tm_code collection_id(struct collection_read *q, const char *text, struct tm_err *err)
{
    if (q->count == REST_RETRIEVE_MAX)
        return tm_fail(err, TM_E_ARG, "more than %d ids", REST_RETRIEVE_MAX);
    if (text == NULL || tm_id18(q->ids[q->count], text, NULL) != TM_OK)
        q->ids[q->count][0] = '\0';
    q->count++;
    return TM_OK;
}

/* Ids and fields from the query string of a GET or the body of a POST. */
static enum tm_code collection_asked(struct rest_call *c, const json_t *body,
                                     struct collection_read *q, struct tm_buf *fields,
                                     struct tm_err *err)
{
    const char *ids = tm_mock_query(c->request, "ids"),
               *names = tm_mock_query(c->request, "fields");
    enum tm_code rc = TM_OK;
    size_t i;
    json_t *item;
    if (body == NULL) {
        for (const char *at = ids != NULL ? ids : ""; *at != '\0' && rc == TM_OK;) {
            char id[TM_ID_BYTES + 1];
            size_t bytes = strcspn(at, ",");
            snprintf(id, sizeof id, "%.*s", (int)(bytes < sizeof id ? bytes : sizeof id), at);
            rc = collection_id(q, id, err);
            at += bytes + (at[bytes] == ',');
        }
        tm_buf_addz(fields, names != NULL ? names : "");
        return rc;
    }
    json_array_foreach(json_object_get(body, "ids"), i, item) if (rc == TM_OK) rc =
        collection_id(q, json_string_value(item), err);
    json_array_foreach(json_object_get(body, "fields"), i, item) tm_buf_addf(
        fields, "%s%s", i > 0 ? "," : "", json_is_string(item) ? json_string_value(item) : "?");
    return rc;
}

/* Records in the order of their ids, null for what is not there. */
static void collection_render(struct rest_call *c, const struct collection_read *q,
                              const struct tm_soql_result *result)
{
    struct tm_buf *body = &c->out->body;
    size_t rows = tm_soql_result_rows(result);
    struct tm_soql_cell *cells =
        calloc((size_t)tm_soql_result_plan(result)->sql_columns, sizeof *cells);
    char(*found)[TM_ID_BYTES] = calloc(rows + 1, sizeof *found);
    if (cells == NULL || found == NULL) {
        body->failed = TM_E_NOMEM;
        goto done;
    }
    for (size_t i = 0; i < rows; i++) {
        tm_soql_result_row(result, i, cells);
        snprintf(found[i], TM_ID_BYTES, "%.*s", (int)cells[0].bytes, cells[0].text);
    }
    tm_buf_addc(body, '[');
    for (size_t i = 0; i < q->count; i++) {
        size_t row = 0;
        while (row < rows && strcmp(found[row], q->ids[i]) != 0)
            row++;
        tm_buf_addz(body, i > 0 ? "," : "");
        if (row < rows)
            tm_soql_render(result, row, 1, c->version, body);
        else
            tm_buf_addz(body, "null");
    }
    tm_buf_addc(body, ']');
done:
    free(cells);
    free(found);
}

static void collection_retrieve(struct rest_call *c, const struct tm_describe *d)
{
    struct collection_read q = { calloc(REST_RETRIEVE_MAX, sizeof *q.ids), 0 };
    struct tm_buf fields, text;
    struct tm_err err = { 0 };
    struct tm_soql_result *result = NULL;
    json_t *body = NULL;
    tm_buf_init(&fields, TM_SOQL_BYTES_MAX);
    tm_buf_init(&text, TM_SOQL_BYTES_MAX);
    c->kind = "retrieve";
    if (strcmp(c->method, "POST") == 0 && (body = rest_body(c)) == NULL)
        goto done;
    enum tm_code rc = q.ids != NULL ? collection_asked(c, body, &q, &fields, &err)
                                    : tm_fail(&err, TM_E_NOMEM, "ids");
    if (rc == TM_OK && q.count == 0)
        rc = tm_fail(&err, TM_E_ARG, "ids are required");
    if (rc == TM_E_ARG)
        tm_rest_error(c->out, 400, "MALFORMED_QUERY", err.msg);
    else if (rc != TM_OK)
        tm_rest_broken(c->out, rc, &err);
    if (rc != TM_OK || !rest_field_list(c, tm_buf_text(&fields)))
        goto done;
    tm_buf_addf(&text, "SELECT %s FROM %s WHERE Id IN (null", tm_buf_text(&fields), d->object);
    for (size_t i = 0; i < q.count; i++)
        if (q.ids[i][0] != '\0')
            tm_buf_addf(&text, ",'%s'", q.ids[i]);
    tm_buf_addc(&text, ')');
    if ((result = rest_soql(c, tm_buf_text(&text))) != NULL) {
        tm_mock_answer(c->out, 200, "application/json;charset=UTF-8", "");
        collection_render(c, &q, result);
    }
done:
    tm_soql_result_close(result);
    tm_buf_free(&fields);
    tm_buf_free(&text);
    free(q.ids);
    json_decref(body);
}

/* ---- writing ---- */

struct collection_write {
    struct tm_record *records;
    json_t **fields; /* [count] copies without what is not a field; NULL in deletes */
    bool *created;   /* [count] upserts */
    size_t count;
    bool all_or_none, upsert;
};

static bool collection_open(struct rest_call *c, struct collection_write *w, size_t count)
{
    char message[120];
    if (count == 0 || count > REST_RECORDS_MAX) {
        snprintf(message, sizeof message,
                 count == 0 ? "no records: a call takes 1 to %d"
                            : "record limit reached. cannot submit more than %d records into this "
                              "call",
                 REST_RECORDS_MAX);
        tm_rest_error(c->out, 400, count == 0 ? "MISSING_ARGUMENT" : "EXCEEDED_ID_LIMIT", message);
        return false;
    }
    w->records = calloc(count, sizeof *w->records);
    w->fields = calloc(count, sizeof *w->fields);
    w->created = calloc(count, sizeof *w->created);
    w->count = count;
    if (w->records != NULL && w->fields != NULL && w->created != NULL)
        return true;
    tm_rest_error(c->out, 503, "SERVER_UNAVAILABLE", "out of memory");
    return false;
}

static void collection_close(struct collection_write *w)
{
    for (size_t i = 0; i < w->count && w->fields != NULL; i++)
        json_decref(w->fields[i]);
    free(w->records);
    free(w->fields);
    free(w->created);
}

static json_t *collection_result(const struct collection_write *w, size_t i)
{
    const struct tm_record *r = &w->records[i];
    bool known = r->id[0] != '\0' && strcmp(r->code, "INVALID_CROSS_REFERENCE_KEY") != 0 &&
                 strcmp(r->code, "MALFORMED_ID") != 0 && strcmp(r->code, "NOT_FOUND") != 0;
    json_t *result = json_object();
    if (known)
        json_object_set_new(result, "id", json_string(r->id));
    json_object_set_new(result, "success", json_boolean(r->code[0] == '\0'));
    json_object_set_new(result, "errors",
                        r->code[0] != '\0' ? rest_reasons(r, "statusCode") : json_array());
    if (w->upsert)
        json_object_set_new(result, "created", json_boolean(r->code[0] == '\0' && w->created[i]));
    return result;
}

static void collection_commit(struct rest_call *c, struct collection_write *w)
{
    char origin[128];
    struct tm_record_who who = { &c->request->now, NULL, rest_origin(c, origin, sizeof origin) };
    struct tm_err err = { 0 };
    c->kind = "write";
    enum tm_code rc =
        tm_record_write(c->rest->org, w->records, w->count, w->all_or_none, &who, &err);
    if (rc != TM_OK) {
        tm_rest_broken(c->out, rc, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < w->count; i++)
        json_array_append_new(list, collection_result(w, i));
    tm_rest_json(c->out, 200, list);
}

static void collection_delete(struct rest_call *c)
{
    const char *ids = tm_mock_query(c->request, "ids"),
               *all = tm_mock_query(c->request, "allOrNone");
    struct collection_write w = { .all_or_none = all != NULL && strcasecmp(all, "true") == 0 };
    size_t count = ids != NULL && *ids != '\0' ? 1 : 0, i = 0;
    for (const char *at = ids; count > 0 && at != NULL && *at != '\0'; at++)
        count += *at == ',';
    if (collection_open(c, &w, count)) {
        for (const char *at = ids; i < count; i++) {
            size_t bytes = strcspn(at, ",");
            struct tm_record *r = &w.records[i];
            r->kind = TM_ORG_DELETE;
            snprintf(r->id, sizeof r->id, "%.*s", (int)(bytes < 18 ? bytes : 18), at);
            const struct tm_describe *d = tm_org_describe_by_prefix(c->rest->org, r->id);
            r->object = d != NULL ? d->object : "";
            if (d == NULL || bytes > 18 || !tm_id_valid(r->id))
                tm_record_refuse(r, "MALFORMED_ID", "", "malformed id %.*s",
                                 (int)(bytes < 40 ? bytes : 40), at);
            at += bytes + (at[bytes] == ',');
        }
        collection_commit(c, &w);
    }
    collection_close(&w);
}

/* The record of an upsert: the one with its external id, else a new one. */
static enum tm_code collection_upserted(struct rest_call *c, struct collection_write *w, size_t i,
                                        const char *field, struct tm_err *err)
{
    struct tm_record *r = &w->records[i];
    struct tm_err why = { 0 };
    const json_t *value = json_object_get(w->fields[i], field);
    json_t *ids = NULL;
    enum tm_code rc = TM_OK;
    bool given = value != NULL && !json_is_null(value), by_id = strcasecmp(field, "Id") == 0;
    if (given)
        rc = tm_record_find(c->rest->org, r->object, field, value, 2, &ids, &why);
    if (rc != TM_OK && rc != TM_E_ARG) {
        if (err != NULL)
            *err = why;
        return rc;
    }
    w->created[i] = json_array_size(ids) == 0;
    if (rc != TM_OK)
        tm_record_refuse(r, "INVALID_FIELD", field, "%s", why.msg);
    else if (!given && !by_id)
        tm_record_refuse(r, "MISSING_ARGUMENT", "", "%.80s not specified", field);
    else if (json_array_size(ids) > 1)
        tm_record_refuse(r, "DUPLICATE_EXTERNAL_ID", field,
                         "%.80s: more than one record found for external id field", field);
    else if (given && by_id && json_array_size(ids) == 0)
        tm_record_refuse(r, "INVALID_CROSS_REFERENCE_KEY", "", "invalid cross reference id");
    r->kind = w->created[i] ? TM_ORG_CREATE : TM_ORG_UPDATE;
    if (json_array_size(ids) == 1)
        snprintf(r->id, sizeof r->id, "%s", json_string_value(json_array_get(ids, 0)));
    if (!w->created[i] || by_id)
        json_object_del(w->fields[i], field);
    json_decref(ids);
    return TM_OK;
}

/* One object of "records": its type from attributes, its Id out of the fields. */
static enum tm_code collection_take(struct rest_call *c, struct collection_write *w, size_t i,
                                    const json_t *json, enum tm_org_kind kind,
                                    const char *upsert_field, struct tm_err *err)
{
    struct tm_record *r = &w->records[i];
    const char *key,
        *type = json_string_value(json_object_get(json_object_get(json, "attributes"), "type"));
    json_t *value;
    const struct tm_describe *d = type != NULL ? tm_org_describe(c->rest->org, type) : NULL;
    w->fields[i] = json_object();
    r->kind = kind;
    r->fields = w->fields[i];
    r->object = d != NULL ? d->object : "";
    if (d == NULL)
        tm_record_refuse(r, "INVALID_TYPE", "", "sObject type '%.80s' is not supported.",
                         type != NULL ? type : "(attributes.type is missing)");
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        bool id = strcasecmp(key, "Id") == 0 && kind == TM_ORG_UPDATE;
        if (id)
            snprintf(r->id, sizeof r->id, "%.18s",
                     json_is_string(value) ? json_string_value(value) : "");
        else if (upsert_field != NULL && strcasecmp(key, upsert_field) == 0)
            json_object_set(w->fields[i], upsert_field, value);
        else
            json_object_set(w->fields[i], key, value);
    }
    if (d != NULL && kind == TM_ORG_UPDATE && r->id[0] == '\0')
        tm_record_refuse(r, "MISSING_ARGUMENT", "", "Id not specified in an update call");
    return d != NULL && upsert_field != NULL ? collection_upserted(c, w, i, upsert_field, err)
                                             : TM_OK;
}

static void collection_write(struct rest_call *c, enum tm_org_kind kind, const char *upsert_object,
                             const char *upsert_field)
{
    struct collection_write w = { .upsert = upsert_field != NULL };
    json_t *body = rest_body(c), *list = json_object_get(body, "records"), *item;
    struct tm_err err = { 0 };
    enum tm_code rc = TM_OK;
    size_t i;
    if (body == NULL)
        return;
    w.all_or_none = json_is_true(json_object_get(body, "allOrNone"));
    if (collection_open(c, &w, json_array_size(list))) {
        json_array_foreach(list, i, item)
        {
            rc = collection_take(c, &w, i, item, kind, upsert_field, &err);
            if (rc != TM_OK)
                break;
            if (upsert_object != NULL && w.records[i].code[0] == '\0' &&
                strcasecmp(w.records[i].object, upsert_object) != 0)
                tm_record_refuse(&w.records[i], "INVALID_TYPE", "",
                                 "records of %s only, as the URL says", upsert_object);
        }
        if (rc == TM_OK)
            collection_commit(c, &w);
        else
            tm_rest_broken(c->out, rc, &err);
    }
    collection_close(&w);
    json_decref(body);
}

void rest_collection(struct rest_call *c)
{
    const struct tm_describe *d =
        c->parts_count > 2 ? tm_org_describe(c->rest->org, c->parts[2]) : NULL;
    if ((c->parts_count > 2 && d == NULL) || c->parts_count > 4) {
        rest_not_found(c);
    } else if (c->parts_count == 4) {
        if (rest_method(c, "PATCH"))
            collection_write(c, TM_ORG_CREATE, d->object, c->parts[3]);
    } else if (c->parts_count == 3) {
        if (strcmp(c->method, "POST") == 0 || rest_method(c, "GET"))
            collection_retrieve(c, d);
    } else if (strcmp(c->method, "POST") == 0) {
        collection_write(c, TM_ORG_CREATE, NULL, NULL);
    } else if (strcmp(c->method, "PATCH") == 0) {
        collection_write(c, TM_ORG_UPDATE, NULL, NULL);
    } else if (strcmp(c->method, "DELETE") == 0) {
        collection_delete(c);
    } else {
        rest_method_not(c, "DELETE,PATCH,POST");
    }
}
