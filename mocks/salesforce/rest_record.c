#include "mocks/salesforce/rest_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define REST_CHOICES_MAX 200 /* records named when an external id fits several */

/* ---- reading ---- */

struct tm_soql_result *rest_soql(struct rest_call *c, const char *text)
{
    struct tm_soql_error error = { 0 };
    struct tm_err err = { 0 };
    struct tm_soql *q = NULL;
    struct tm_soql_result *result = NULL;
    enum tm_code rc = tm_soql_parse(&q, text, &error, &err);
    if (rc == TM_OK)
        rc = tm_soql_run(&result, c->rest->org, q, false, c->request->now.org_ms, &error, &err);
    tm_soql_close(q);
    if (rc == TM_E_ARG)
        tm_rest_error(c->out, 400, error.code, error.message);
    else if (rc != TM_OK)
        tm_rest_broken(c->out, rc, &err);
    return result;
}

bool rest_field_list(struct rest_call *c, const char *fields)
{
    if (*fields != '\0' &&
        strspn(fields, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_., ") ==
            strlen(fields))
        return true;
    tm_rest_error(c->out, 400, "INVALID_FIELD", "fields must be names with commas between them");
    return false;
}

static void rest_no_record(struct rest_call *c, const char *object, const char *id)
{
    enum tm_org_state state = TM_ORG_ABSENT;
    char message[160];
    if (tm_org_record_state(c->rest->org, object, id, &state, NULL) == TM_OK &&
        state == TM_ORG_IN_BIN) {
        tm_rest_error(c->out, 404, "ENTITY_IS_DELETED", "entity is deleted");
        return;
    }
    snprintf(message, sizeof message,
             "Provided external ID field does not exist or is not accessible: %s", id);
    tm_rest_error(c->out, 404, "NOT_FOUND", message);
}

/* "Mon, 02 Mar 2026 08:00:00 GMT" as ms; false: the header is absent or no such date, which HTTP
 * says to pass over. */
static bool rest_condition(const struct rest_call *c, const char *header, int64_t *out_ms)
{
    const char *text = tm_mock_header(c->request, header);
    struct tm tm = { 0 };
    const char *end = text != NULL ? strptime(text, "%a, %d %b %Y %H:%M:%S", &tm) : NULL;
    if (end == NULL)
        return false;
    *out_ms = (int64_t)timegm(&tm) * 1000;
    return true;
}

/* If-Modified-Since and If-Unmodified-Since, against LastModifiedDate. True: it is answered. */
static bool rest_unconditional(struct rest_call *c, const char *object, const char *id)
{
    int64_t since_ms = 0, modified_ms = 0;
    bool newer = rest_condition(c, "If-Modified-Since", &since_ms);
    bool older = !newer && rest_condition(c, "If-Unmodified-Since", &since_ms);
    char text[160];
    struct tm_soql_cell cells[2] = { 0 };
    if (!newer && !older)
        return false;
    snprintf(text, sizeof text, "SELECT LastModifiedDate FROM %.80s WHERE Id = '%s'", object, id);
    struct tm_soql_result *result = rest_soql(c, text);
    if (result == NULL)
        return true;
    if (tm_soql_result_rows(result) == 1) {
        tm_soql_result_row(result, 0, cells);
        modified_ms = cells[1].i;
    }
    tm_soql_result_close(result);
    if (modified_ms == 0 || (newer ? modified_ms > since_ms : modified_ms <= since_ms))
        return false;
    if (newer)
        tm_mock_answer(c->out, 304, NULL, "");
    else
        tm_rest_error(c->out, 412, "PRECONDITION_FAILED", "the record was modified since");
    return true;
}

static void rest_retrieve(struct rest_call *c, const char *object, const char *id)
{
    const char *fields = tm_mock_query(c->request, "fields");
    struct tm_buf text;
    c->kind = "retrieve";
    if (fields != NULL && !rest_field_list(c, fields))
        return;
    tm_buf_init(&text, TM_SOQL_BYTES_MAX);
    tm_buf_addf(&text, "SELECT %s FROM %s WHERE Id = '%s' LIMIT 1",
                fields != NULL ? fields : "FIELDS(ALL)", object, id);
    struct tm_soql_result *result = rest_soql(c, tm_buf_text(&text));
    tm_buf_free(&text);
    if (result == NULL)
        return;
    if (tm_soql_result_rows(result) == 0) {
        rest_no_record(c, object, id);
    } else {
        tm_mock_answer(c->out, 200, "application/json;charset=UTF-8", "");
        tm_soql_render(result, 0, 1, c->version, &c->out->body);
    }
    tm_soql_result_close(result);
}

/* ---- writing ---- */

json_t *rest_reasons(const struct tm_record *r, const char *code_key)
{
    json_t *reason = json_pack("{s:s,s:s}", "message", r->message, code_key, r->code);
    json_t *fields = json_array();
    bool parsed =
        strcmp(r->code, "JSON_PARSER_ERROR") != 0 && strcmp(r->code, "INVALID_FIELD") != 0;
    for (const char *at = r->about; *at != '\0';) {
        size_t bytes = strcspn(at, ",");
        json_array_append_new(fields, json_stringn(at, bytes));
        at += bytes + (at[bytes] == ',');
    }
    /* what the parser refuses has no list of fields in single requests */
    if (parsed || strcmp(code_key, "statusCode") == 0)
        json_object_set(reason, "fields", fields);
    json_decref(fields);
    return json_pack("[o]", reason);
}

const char *rest_origin(const struct rest_call *c, char *out, size_t out_bytes)
{
    const char *options = tm_mock_header(c->request, "Sforce-Call-Options");
    const char *client = options != NULL ? strcasestr(options, "client=") : NULL;
    size_t bytes = client != NULL ? strcspn(client + 7, ",; \t") : 0;
    snprintf(out, out_bytes, "com/salesforce/api/rest/%s%s%.*s", c->version,
             bytes > 0 ? ";client=" : "", (int)(bytes < 60 ? bytes : 60),
             bytes > 0 ? client + 7 : "");
    tm_text_cut(out); /* a header is any bytes */
    return out;
}

/* One record; false: the refusal is written. */
static bool rest_write(struct rest_call *c, struct tm_record *r)
{
    char origin[128];
    struct tm_record_who who = { &c->request->now, NULL, rest_origin(c, origin, sizeof origin) };
    struct tm_err err = { 0 };
    c->kind = "write";
    enum tm_code rc = tm_record_write(c->rest->org, r, 1, true, &who, &err);
    if (rc != TM_OK)
        tm_rest_broken(c->out, rc, &err);
    else if (r->code[0] != '\0')
        tm_rest_json(c->out, 400, rest_reasons(r, "errorCode"));
    return rc == TM_OK && r->code[0] == '\0';
}

static json_t *rest_done(const char *id)
{
    return json_pack("{s:s,s:b,s:[]}", "id", id, "success", 1, "errors");
}

static void rest_created(struct rest_call *c, const struct tm_describe *d, const char *id,
                         bool upsert)
{
    char location[200];
    json_t *done = rest_done(id);
    if (upsert)
        json_object_set_new(done, "created", json_true());
    snprintf(location, sizeof location, "/services/data/v%s/sobjects/%s/%s", c->version, d->object,
             id);
    tm_rest_json(c->out, 201, done);
    tm_mock_response_header(c->out, "Location", location);
}

void rest_create(struct rest_call *c, const struct tm_describe *d, bool upsert)
{
    json_t *fields = rest_body(c);
    struct tm_record r = { .kind = TM_ORG_CREATE, .object = d->object, .fields = fields };
    if (fields != NULL && rest_write(c, &r))
        rest_created(c, d, r.id, upsert);
    json_decref(fields);
}

static bool rest_live(struct rest_call *c, const char *object, const char *id)
{
    enum tm_org_state state = TM_ORG_ABSENT;
    struct tm_err err = { 0 };
    enum tm_code rc = tm_org_record_state(c->rest->org, object, id, &state, &err);
    if (rc != TM_OK)
        tm_rest_broken(c->out, rc, &err);
    else if (state != TM_ORG_LIVE)
        rest_no_record(c, object, id);
    return rc == TM_OK && state == TM_ORG_LIVE;
}

/* PATCH and DELETE. A PATCH that found its record by an external id says more since v46. */
static void rest_change(struct rest_call *c, const struct tm_describe *d, const char *id,
                        enum tm_org_kind kind, const json_t *fields, bool upsert)
{
    struct tm_record r = { .kind = kind, .object = d->object, .fields = fields };
    snprintf(r.id, sizeof r.id, "%s", id);
    if (!rest_live(c, d->object, id) || rest_unconditional(c, d->object, id) || !rest_write(c, &r))
        return;
    if (upsert && strtol(c->version, NULL, 10) >= 46) {
        json_t *done = rest_done(r.id);
        json_object_set_new(done, "created", json_false());
        tm_rest_json(c->out, 200, done);
    } else {
        tm_mock_answer(c->out, 204, NULL, "");
    }
}

void rest_by_id(struct rest_call *c, const struct tm_describe *d, const char *id18)
{
    json_t *fields = NULL;
    if (strcmp(c->method, "GET") == 0) {
        if (!rest_unconditional(c, d->object, id18))
            rest_retrieve(c, d->object, id18);
    } else if (strcmp(c->method, "DELETE") == 0 &&
               !json_is_false(json_object_get(d->json, "deletable"))) {
        rest_change(c, d, id18, TM_ORG_DELETE, NULL, false);
    } else if (strcmp(c->method, "PATCH") == 0) {
        if ((fields = rest_body(c)) != NULL)
            rest_change(c, d, id18, TM_ORG_UPDATE, fields, false);
    } else {
        rest_method_not(c, json_is_false(json_object_get(d->json, "deletable"))
                               ? "GET,PATCH"
                               : "DELETE,GET,PATCH");
    }
    json_decref(fields);
}

/* ---- by external id ---- */

static void rest_choices(struct rest_call *c, const struct tm_describe *d, const json_t *ids)
{
    json_t *urls = json_array(), *id;
    size_t i;
    json_array_foreach(ids, i, id)
        json_array_append_new(urls, json_sprintf("/services/data/v%s/sobjects/%s/%s", c->version,
                                                 d->object, json_string_value(id)));
    tm_rest_json(c->out, 300, urls);
}

/* PATCH sobjects/X/Field/value: the field is in the URL and not in the body. */
static void rest_upsert(struct rest_call *c, const struct tm_describe *d, const char *id)
{
    const char *field = tm_describe_field(d, c->parts[2])->name,
               *only = tm_mock_query(c->request, "updateOnly");
    json_t *fields = rest_body(c);
    const char *key;
    json_t *value;
    struct tm_record r = { .kind = TM_ORG_CREATE, .object = d->object, .fields = fields };
    if (fields == NULL)
        return;
    json_object_foreach(fields, key, value) if (strcasecmp(key, field) == 0)
    {
        tm_record_refuse(&r, "INVALID_FIELD", field,
                         "The %s field should not be specified in the sobject data.", field);
        tm_rest_json(c->out, 400, rest_reasons(&r, "errorCode"));
        json_decref(fields);
        return;
    }
    if (id != NULL) {
        rest_change(c, d, id, TM_ORG_UPDATE, fields, true);
    } else if (strcasecmp(field, "Id") == 0 || (only != NULL && strcasecmp(only, "true") == 0)) {
        rest_not_found(c);
    } else {
        json_object_set_new(fields, field, json_string(c->parts[3]));
        if (rest_write(c, &r))
            rest_created(c, d, r.id, true);
    }
    json_decref(fields);
}

void rest_by_external(struct rest_call *c, const struct tm_describe *d)
{
    struct tm_err err = { 0 };
    json_t *ids = NULL, *value = json_string(c->parts[3]);
    enum tm_code rc = value != NULL ? tm_record_find(c->rest->org, d->object, c->parts[2], value,
                                                     REST_CHOICES_MAX, &ids, &err)
                                    : tm_fail(&err, TM_E_NOMEM, "a value");
    const char *id = json_string_value(json_array_get(ids, 0)), *method = c->method;
    if (rc == TM_E_ARG)
        tm_rest_error(c->out, 404, "NOT_FOUND", err.msg);
    else if (rc != TM_OK)
        tm_rest_broken(c->out, rc, &err);
    else if (json_array_size(ids) > 1)
        rest_choices(c, d, ids);
    else if (strcmp(method, "PATCH") == 0)
        rest_upsert(c, d, id);
    else if (strcmp(method, "GET") != 0 && strcmp(method, "DELETE") != 0)
        rest_method_not(c, "DELETE,GET,PATCH");
    else if (id == NULL)
        rest_not_found(c);
    else
        rest_by_id(c, d, id);
    json_decref(ids);
    json_decref(value);
}
