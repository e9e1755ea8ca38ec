#include "mocks/salesforce/rest.h"
#include "mocks/salesforce/control.h"
#include "mocks/salesforce/soql.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REST_PARTS_MAX 8
#define REST_DAY_MS 86400000LL

struct rest_call { /* one request, taken apart */
    const struct tm_mock_request *request;
    struct tm_mock_response *out;
    char version[8]; /* "59.0" */
    char path[512];
    char *parts[REST_PARTS_MAX]; /* behind the version: sobjects, Account, … */
    size_t parts_count;
    const char *kind; /* of usage */
};

/* ---- answers ---- */

void tm_rest_error(struct tm_mock_response *out, int status, const char *code, const char *message)
{
    tm_buf_reset(&out->body);
    tm_mock_answer(out, status, "application/json;charset=UTF-8", "[{\"message\":");
    tm_buf_add_json_string(&out->body, message, strlen(message));
    tm_buf_addf(&out->body, ",\"errorCode\":\"%s\"}]", code);
}

void tm_rest_broken(struct tm_mock_response *out, enum tm_code rc, const struct tm_err *err)
{
    char text[700];
    if (rc == TM_E_AGAIN)
        tm_rest_error(out, 503, "SERVER_UNAVAILABLE", "the org is busy, try again");
    else
        tm_rest_error(out, 500, "UNKNOWN_EXCEPTION", tm_err_text(err, text, sizeof text));
}

void tm_rest_json(struct tm_mock_response *out, int status, json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    if (text != NULL)
        tm_mock_answer(out, status, "application/json;charset=UTF-8", text);
    else
        tm_rest_error(out, 500, "UNKNOWN_EXCEPTION", "out of memory");
    free(text);
    json_decref(json);
}

static void rest_not_found(struct rest_call *c)
{
    tm_rest_error(c->out, 404, "NOT_FOUND", "The requested resource does not exist");
}

static bool rest_method(struct rest_call *c, const char *method)
{
    if (strcmp(c->request->method, method) == 0)
        return true;
    char message[160];
    snprintf(message, sizeof message, "HTTP Method '%.20s' not allowed. Allowed are %s",
             c->request->method, method);
    tm_rest_error(c->out, 405, "METHOD_NOT_ALLOWED", message);
    return false;
}

static void rest_limit_info(struct tm_rest *rest, const struct tm_mock_request *r,
                            struct tm_mock_response *out)
{
    int64_t calls, events, most = tm_org_settings(rest->org)->api_calls_per_day;
    char text[64];
    tm_org_usage_day(rest->org, r->now.org_ms, &calls, &events);
    snprintf(text, sizeof text, "api-usage=%" PRId64 "/%" PRId64, calls,
             most > 0 ? most : TM_REST_NO_LIMIT);
    tm_mock_response_header(out, "Sforce-Limit-Info", text);
}

/* ---- the root and the lists ---- */

static void rest_versions(struct tm_mock_response *out)
{
    static const char *const seasons[] = { "Winter", "Spring", "Summer" };
    json_t *list = json_array();
    for (int v = TM_REST_VERSION_FIRST; v <= TM_REST_VERSION_LAST; v++) {
        char label[32], url[40], version[16];
        int since = v - 38 + 3; /* v38 is Winter '17 */
        snprintf(label, sizeof label, "%s '%02d", seasons[since % 3], 16 + since / 3);
        snprintf(version, sizeof version, "%d.0", v);
        snprintf(url, sizeof url, "/services/data/v%s", version);
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:s}", "label", label, "url", url, "version", version));
    }
    tm_rest_json(out, 200, list);
}

static void rest_resources(struct rest_call *c)
{
    static const char *const names[] = { "sobjects", "query", "queryAll", "limits", "jobs" };
    json_t *map = json_object();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        json_object_set_new(map, names[i],
                            json_sprintf("/services/data/v%s/%s", c->version, names[i]));
    tm_rest_json(c->out, 200, map);
}

static json_t *rest_urls(const struct rest_call *c, const char *object)
{
    json_t *urls = json_object();
    json_object_set_new(urls, "sobject",
                        json_sprintf("/services/data/v%s/sobjects/%s", c->version, object));
    json_object_set_new(
        urls, "describe",
        json_sprintf("/services/data/v%s/sobjects/%s/describe", c->version, object));
    json_object_set_new(urls, "rowTemplate",
                        json_sprintf("/services/data/v%s/sobjects/%s/{ID}", c->version, object));
    return urls;
}

/* What the list of objects and the head of a describe say; what the describe file tells wins. */
static json_t *rest_basic(const struct rest_call *c, const struct tm_describe *d)
{
    static const char *const yes[] = { "createable",  "deletable",     "layoutable",   "mergeable",
                                       "queryable",   "replicateable", "retrieveable", "searchable",
                                       "triggerable", "undeletable",   "updateable" };
    static const char *const no[] = {
        "activateable", "custom",      "customSetting", "deepCloneable", "deprecatedAndHidden",
        "feedEnabled",  "hasSubtypes", "isInterface",   "isSubtype",     "mruEnabled"
    };
    static const char *const lists[] = { "fields", "childRelationships", "recordTypeInfos",
                                         "namedLayoutInfos", "actionOverrides" };
    json_t *info = json_object();
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        json_object_set_new(info, yes[i], json_true());
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        json_object_set_new(info, no[i], json_false());
    json_object_set_new(info, "labelPlural", json_sprintf("%ss", d->label));
    json_object_update(info, d->json);
    json_object_set_new(info, "name", json_string(d->object));
    json_object_set_new(info, "keyPrefix", json_string(d->key_prefix));
    json_object_set_new(info, "urls", rest_urls(c, d->object));
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        json_object_del(info, lists[i]);
    return info;
}

static void rest_sobjects(struct tm_rest *rest, struct rest_call *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < tm_org_objects(rest->org); i++)
        json_array_append_new(
            list, rest_basic(c, tm_org_describe(rest->org, tm_org_object_name(rest->org, i))));
    tm_rest_json(
        c->out, 200,
        json_pack("{s:s,s:i,s:o}", "encoding", "UTF-8", "maxBatchSize", 200, "sobjects", list));
}

static void rest_describe(struct rest_call *c, const struct tm_describe *d)
{
    static const char *const lists[] = { "childRelationships", "recordTypeInfos",
                                         "namedLayoutInfos", "actionOverrides" };
    json_t *info = rest_basic(c, d);
    json_object_set(info, "fields", json_object_get(d->json, "fields"));
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        json_t *told = json_object_get(d->json, lists[i]);
        json_object_set_new(info, lists[i], json_is_array(told) ? json_incref(told) : json_array());
    }
    c->kind = "describe";
    tm_rest_json(c->out, 200, info);
}

static void rest_limits(struct tm_rest *rest, struct rest_call *c)
{
    const struct tm_org_settings *s = tm_org_settings(rest->org);
    int64_t calls, events,
        calls_max = s->api_calls_per_day > 0 ? s->api_calls_per_day : TM_REST_NO_LIMIT;
    int64_t events_max = s->events_per_day > 0 ? s->events_per_day : TM_REST_NO_LIMIT;
    int64_t bulk_jobs, bulk_batches;
    tm_org_usage_day(rest->org, c->request->now.org_ms, &calls, &events);
    tm_bulk_usage_day(rest->bulk, c->request->now.org_ms, &bulk_jobs, &bulk_batches);
    struct {
        const char *name;
        int64_t max, used;
    } rows[] = {
        { "DailyApiRequests", calls_max, calls },
        { "DailyBulkApiBatches", TM_BULK_BATCHES_PER_DAY, bulk_batches },
        { "DailyBulkV2QueryJobs", TM_BULK_JOBS_PER_DAY, bulk_jobs },
        { "DailyBulkV2QueryFileStorageMB", 976562, 0 },
        { "DailyDeliveredPlatformEvents", events_max, events },
        { "HourlyPublishedPlatformEvents", 250000, 0 },
        { "DailyStreamingApiEvents", events_max, events },
        { "ConcurrentAsyncGetReportInstances", 200, 0 },
    };
    json_t *map = json_object();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        json_object_set_new(
            map, rows[i].name,
            json_pack("{s:I,s:I}", "Max", (json_int_t)rows[i].max, "Remaining",
                      (json_int_t)(rows[i].used < rows[i].max ? rows[i].max - rows[i].used : 0)));
    tm_rest_json(c->out, 200, map);
}

/* ---- getDeleted, getUpdated ---- */

/* start and end of a replication call, cut to whole seconds; false: the error is written. */
static bool rest_window(struct rest_call *c, int days_max, int64_t *out_start_ms,
                        int64_t *out_end_ms)
{
    const char *start = tm_mock_query(c->request, "start"), *end = tm_mock_query(c->request, "end");
    const char *wrong = NULL;
    if (start == NULL || end == NULL)
        wrong = "start and end are required: ISO 8601 times, their '+' escaped as %2B";
    else if (tm_time_parse(out_start_ms, start, NULL) != TM_OK ||
             tm_time_parse(out_end_ms, end, NULL) != TM_OK)
        wrong = "start and end must be ISO 8601 times with a time zone, their '+' escaped as %2B";
    if (wrong != NULL) {
        tm_rest_error(c->out, 400, "MALFORMED_QUERY", wrong);
        return false;
    }
    *out_start_ms -= *out_start_ms % 1000;
    *out_end_ms -= *out_end_ms % 1000;
    if (*out_start_ms >= *out_end_ms)
        wrong = "startDate must be before endDate";
    else if (*out_start_ms < c->request->now.org_ms - days_max * REST_DAY_MS)
        wrong = "startDate is further back than the replication log reaches";
    if (wrong != NULL)
        tm_rest_error(c->out, 400, "INVALID_REPLICATION_DATE", wrong);
    return wrong == NULL;
}

struct rest_deleted {
    struct tm_buf *body;
    size_t count;
};

static void rest_deleted_row(void *data, const char *id, int64_t deleted_ms)
{
    struct rest_deleted *d = data;
    char when[TM_TIME_BYTES];
    tm_time_rest(when, deleted_ms - deleted_ms % 1000);
    tm_buf_addf(d->body, "%s{\"id\":\"%s\",\"deletedDate\":\"%s\"}", d->count++ > 0 ? "," : "", id,
                when);
}

static void rest_deleted(struct tm_rest *rest, struct rest_call *c, const char *object)
{
    int64_t start_ms, end_ms, now_ms = c->request->now.org_ms;
    int64_t seen_ms = now_ms - tm_org_settings(rest->org)->index_lag_ms;
    char covered[TM_TIME_BYTES], earliest[TM_TIME_BYTES];
    struct rest_deleted rows = { &c->out->body, 0 };
    struct tm_err err = { 0 };
    c->kind = "deleted";
    if (!rest_window(c, (int)(TM_ORG_RECYCLE_MS / REST_DAY_MS), &start_ms, &end_ms))
        return;
    tm_buf_addz(&c->out->body, "{\"deletedRecords\":[");
    enum tm_code rc =
        tm_org_deleted(rest->org, object, start_ms, end_ms, now_ms, rest_deleted_row, &rows, &err);
    if (rc != TM_OK || rows.count > TM_REST_DELETED_IDS_MAX) {
        tm_buf_reset(&c->out->body);
        if (rc != TM_OK)
            tm_rest_broken(c->out, rc, &err);
        else
            tm_rest_error(c->out, 400, "EXCEEDED_ID_LIMIT",
                          "more than 600000 records: ask for a shorter time");
        return;
    }
    if (end_ms > seen_ms)
        end_ms = seen_ms - seen_ms % 1000;
    tm_time_rest(covered, end_ms < start_ms ? start_ms : end_ms);
    tm_time_rest(earliest, tm_org_deletes_from_ms(rest->org, now_ms));
    tm_buf_addf(&c->out->body, "],\"earliestDateAvailable\":\"%s\",\"latestDateCovered\":\"%s\"}",
                earliest, covered);
    tm_mock_answer(c->out, 200, "application/json;charset=UTF-8", "");
}

/* Runs SOQL of our own making; NULL and an error answer when it cannot. */
static struct tm_soql_result *rest_soql(struct tm_rest *rest, struct rest_call *c, const char *text)
{
    struct tm_soql_error error = { 0 };
    struct tm_err err = { 0 };
    struct tm_soql *q = NULL;
    struct tm_soql_result *result = NULL;
    enum tm_code rc = tm_soql_parse(&q, text, &error, &err);
    if (rc == TM_OK)
        rc = tm_soql_run(&result, rest->org, q, false, c->request->now.org_ms, &error, &err);
    tm_soql_close(q);
    if (rc == TM_E_ARG)
        tm_rest_error(c->out, 400, error.code, error.message);
    else if (rc != TM_OK)
        tm_rest_broken(c->out, rc, &err);
    return result;
}

/* ---- single records ---- */

static void rest_no_record(struct tm_rest *rest, struct rest_call *c, const char *object,
                           const char *id)
{
    enum tm_org_state state = TM_ORG_ABSENT;
    char message[160];
    if (tm_org_record_state(rest->org, object, id, &state, NULL) == TM_OK &&
        state == TM_ORG_IN_BIN) {
        tm_rest_error(c->out, 404, "ENTITY_IS_DELETED", "entity is deleted");
        return;
    }
    snprintf(message, sizeof message,
             "Provided external ID field does not exist or is not accessible: %s", id);
    tm_rest_error(c->out, 404, "NOT_FOUND", message);
}

static void rest_retrieve(struct tm_rest *rest, struct rest_call *c, const char *object,
                          const char *id)
{
    const char *fields = tm_mock_query(c->request, "fields");
    struct tm_buf text;
    c->kind = "retrieve";
    if (fields != NULL &&
        strspn(fields, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_., ") !=
            strlen(fields)) {
        tm_rest_error(c->out, 400, "INVALID_FIELD",
                      "fields must be names with commas between them");
        return;
    }
    tm_buf_init(&text, TM_SOQL_BYTES_MAX);
    tm_buf_addf(&text, "SELECT %s FROM %s WHERE Id = '%s' LIMIT 1",
                fields != NULL ? fields : "FIELDS(ALL)", object, id);
    struct tm_soql_result *result = rest_soql(rest, c, tm_buf_text(&text));
    tm_buf_free(&text);
    if (result == NULL)
        return;
    if (tm_soql_result_rows(result) == 0) {
        rest_no_record(rest, c, object, id);
    } else {
        tm_mock_answer(c->out, 200, "application/json;charset=UTF-8", "");
        tm_soql_render(result, 0, 1, c->version, &c->out->body);
    }
    tm_soql_result_close(result);
}

/* Create, update, delete as one user of the REST API does. */
static void rest_write(struct tm_rest *rest, struct rest_call *c, enum tm_org_kind kind,
                       const char *object, const char *id)
{
    const struct tm_mock_request *r = c->request;
    char id18[TM_ID_BYTES] = "", origin[64];
    struct tm_err err = { 0 };
    json_t *fields = r->body != NULL ? json_loadb(r->body, r->body_bytes, 0, NULL) : NULL;
    c->kind = "write";
    if (kind != TM_ORG_DELETE && !json_is_object(fields)) {
        tm_rest_error(c->out, 400, "JSON_PARSER_ERROR", "the body must be a JSON object of fields");
        json_decref(fields);
        return;
    }
    if (id != NULL)
        snprintf(id18, sizeof id18, "%s", id);
    json_object_del(fields, "attributes");
    snprintf(origin, sizeof origin, "com/salesforce/api/rest/%s", c->version);
    enum tm_code rc =
        tm_control_write(rest->org, kind, object, id18, fields, &r->now, origin, &err);
    json_decref(fields);
    if (rc == TM_E_ARG) {
        const char *code = tm_org_error_code(rest->org);
        bool gone = strcmp(code, "NOT_FOUND") == 0 || strcmp(code, "ENTITY_IS_DELETED") == 0;
        tm_rest_error(c->out, gone ? 404 : 400, *code != '\0' ? code : "INVALID_FIELD", err.msg);
    } else if (rc != TM_OK) {
        tm_rest_broken(c->out, rc, &err);
    } else if (kind == TM_ORG_CREATE) {
        tm_rest_json(c->out, 201, json_pack("{s:s,s:b,s:[]}", "id", id18, "success", 1, "errors"));
    } else {
        tm_mock_answer(c->out, 204, NULL, "");
    }
}

static void rest_record(struct tm_rest *rest, struct rest_call *c, const struct tm_describe *d)
{
    const char *method = c->request->method;
    char id[TM_ID_BYTES];
    if (tm_id18(id, c->parts[2], NULL) != TM_OK) {
        rest_not_found(c);
        return;
    }
    if (strcmp(method, "GET") == 0)
        rest_retrieve(rest, c, d->object, id);
    else if (strcmp(method, "PATCH") == 0)
        rest_write(rest, c, TM_ORG_UPDATE, d->object, id);
    else if (strcmp(method, "DELETE") == 0)
        rest_write(rest, c, TM_ORG_DELETE, d->object, id);
    else
        rest_method(c, "GET,PATCH,DELETE");
}

static void rest_updated(struct tm_rest *rest, struct rest_call *c, const struct tm_describe *d)
{
    int64_t start_ms, end_ms,
        seen_ms = c->request->now.org_ms - tm_org_settings(rest->org)->index_lag_ms;
    char from[TM_TIME_BYTES], to[TM_TIME_BYTES], text[256];
    struct tm_buf rows;
    json_t *ids = json_array(), *list, *row;
    size_t i;
    c->kind = "updated";
    struct tm_soql_result *result = NULL;
    if (rest_window(c, 30, &start_ms, &end_ms)) {
        snprintf(text, sizeof text,
                 "SELECT Id FROM %.80s WHERE SystemModstamp >= %s AND SystemModstamp < %s",
                 d->object, tm_time_z(from, start_ms), tm_time_z(to, end_ms));
        result = rest_soql(rest, c, text);
    }
    if (result == NULL) {
        json_decref(ids);
        return;
    }
    tm_buf_init(&rows, TM_MOCK_BODY_BYTES_MAX);
    tm_buf_addc(&rows, '[');
    tm_soql_render(result, 0, tm_soql_result_rows(result), c->version, &rows);
    tm_buf_addc(&rows, ']');
    tm_soql_result_close(result);
    list = json_loads(tm_buf_text(&rows), 0, NULL);
    json_array_foreach(list, i, row) json_array_append(ids, json_object_get(row, "Id"));
    json_decref(list);
    tm_buf_free(&rows);
    tm_time_rest(to, end_ms < seen_ms ? end_ms : seen_ms - seen_ms % 1000);
    tm_rest_json(c->out, 200, json_pack("{s:o,s:s}", "ids", ids, "latestDateCovered", to));
}

static void rest_sobject(struct tm_rest *rest, struct rest_call *c)
{
    const struct tm_describe *d = tm_org_describe(rest->org, c->parts[1]);
    const char *what = c->parts_count > 2 ? c->parts[2] : "";
    if (d == NULL || c->parts_count > 3)
        rest_not_found(c);
    else if (c->parts_count == 2 && strcmp(c->request->method, "POST") == 0)
        rest_write(rest, c, TM_ORG_CREATE, d->object, NULL);
    else if (c->parts_count == 2 && rest_method(c, "GET"))
        tm_rest_json(c->out, 200,
                     json_pack("{s:o,s:[]}", "objectDescribe", rest_basic(c, d), "recentItems"));
    else if (c->parts_count == 2)
        return;
    else if (strcmp(what, "describe") == 0) {
        if (rest_method(c, "GET"))
            rest_describe(c, d);
    } else if (strcmp(what, "deleted") == 0) {
        if (rest_method(c, "GET"))
            rest_deleted(rest, c, d->object);
    } else if (strcmp(what, "updated") == 0) {
        if (rest_method(c, "GET"))
            rest_updated(rest, c, d);
    } else
        rest_record(rest, c, d);
}

/* ---- routes ---- */

/* "/services/data/v59.0/sobjects/Account/" -> version "59.0", parts {sobjects, Account}. False: no
 * such resource. */
static bool rest_split(struct rest_call *c)
{
    char *save = NULL, *part;
    if (strlen(c->request->path) >= sizeof c->path)
        return false;
    snprintf(c->path, sizeof c->path, "%s", c->request->path + strlen("/services/data"));
    part = strtok_r(c->path, "/", &save);
    if (part == NULL)
        return true;
    char *end = NULL;
    long version = part[0] == 'v' ? strtol(part + 1, &end, 10) : 0;
    if (version < TM_REST_VERSION_FIRST || version > TM_REST_VERSION_LAST || strcmp(end, ".0") != 0)
        return false;
    snprintf(c->version, sizeof c->version, "%ld.0", version);
    while ((part = strtok_r(NULL, "/", &save)) != NULL) {
        if (c->parts_count == REST_PARTS_MAX)
            return false;
        c->parts[c->parts_count++] = part;
    }
    return true;
}

static void rest_query(struct tm_rest *rest, struct rest_call *c)
{
    bool all = strcasecmp(c->parts[0], "queryAll") == 0;
    c->kind = "query";
    if (c->parts_count > 2)
        rest_not_found(c);
    else if (!rest_method(c, "GET"))
        return;
    else if (c->parts_count == 2)
        tm_query_more(rest->query, c->request, c->version, c->parts[1], c->out);
    else
        tm_query_start(rest->query, c->request, c->version, all, c->out);
}

static void rest_dispatch(struct tm_rest *rest, struct rest_call *c)
{
    const char *first = c->parts_count > 0 ? c->parts[0] : "";
    if (c->parts_count == 0 && rest_method(c, "GET"))
        rest_resources(c);
    else if (c->parts_count == 0)
        return;
    else if (strcmp(first, "sobjects") == 0 && c->parts_count == 1) {
        if (rest_method(c, "GET"))
            rest_sobjects(rest, c);
    } else if (strcmp(first, "sobjects") == 0)
        rest_sobject(rest, c);
    else if (strcmp(first, "query") == 0 || strcasecmp(first, "queryAll") == 0)
        rest_query(rest, c);
    else if (strcmp(first, "limits") == 0 && c->parts_count == 1) {
        if (rest_method(c, "GET"))
            rest_limits(rest, c);
    } else if (strcmp(first, "jobs") == 0) {
        c->kind = "bulk";
        tm_bulk2_request(rest->bulk, c->request, c->version, c->parts, c->parts_count, c->out);
    } else
        rest_not_found(c);
}

/* Counts the call and says what is left; a held answer is counted when it is whole. */
static void rest_count(struct tm_rest *rest, const struct tm_mock_request *r, const char *kind,
                       struct tm_mock_response *out)
{
    struct tm_org_usage more = { .calls = 1,
                                 .bytes_in = (int64_t)r->body_bytes,
                                 .bytes_out = (int64_t)out->body.bytes };
    if (out->outcome != TM_MOCK_ANSWER)
        return;
    tm_org_usage_add(rest->org, tm_mock_user_agent(r), kind, &more, r->now.org_ms);
    rest_limit_info(rest, r, out);
}

static bool rest_admit(struct tm_rest *rest, struct rest_call *c)
{
    int64_t calls, events, most = tm_org_settings(rest->org)->api_calls_per_day;
    tm_org_usage_day(rest->org, c->request->now.org_ms, &calls, &events);
    if (tm_oauth_check(rest->oauth, c->request) != TM_OAUTH_GOOD) {
        tm_mock_response_header(c->out, "WWW-Authenticate", "Token");
        tm_rest_error(c->out, 401, "INVALID_SESSION_ID", "Session expired or invalid");
        return false;
    }
    if (most > 0 && calls >= most) {
        tm_rest_error(c->out, 403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
        rest_limit_info(rest, c->request, c->out);
        return false;
    }
    return true;
}

void tm_rest_request(struct tm_rest *rest, const struct tm_mock_request *r,
                     struct tm_mock_response *out)
{
    struct rest_call c = { .request = r, .out = out, .kind = "other" };
    bool there = rest_split(&c);
    if (r->uri_bytes > TM_REST_URI_BYTES_MAX) {
        tm_rest_error(out, 414, "URI_TOO_LONG", "The URI is longer than 16384 bytes");
        return;
    }
    if (there && c.version[0] == '\0') { /* the only resource that needs no token */
        if (rest_method(&c, "GET"))
            rest_versions(out);
        return;
    }
    if (!rest_admit(rest, &c))
        return;
    if (there)
        rest_dispatch(rest, &c);
    else
        rest_not_found(&c);
    rest_count(rest, r, c.kind, out);
}

void tm_rest_resume(struct tm_rest *rest, const struct tm_mock_request *r, uint64_t token,
                    struct tm_mock_response *out)
{
    if (token >= TM_BULK_TOKEN) {
        tm_bulk_resume(rest->bulk, r, token, out);
        if (strncmp(r->path, "/services/data", 14) == 0) /* 1.0 counts its own */
            rest_count(rest, r, "bulk", out);
        return;
    }
    tm_query_resume(rest->query, token, out);
    rest_count(rest, r, "query", out);
}
