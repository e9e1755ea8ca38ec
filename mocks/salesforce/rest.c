#include "mocks/salesforce/rest_impl.h"
#include "mocks/salesforce/streaming.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REST_VERSIONS_BYTES_MAX 8192

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

void rest_not_found(struct rest_call *c)
{
    tm_rest_error(c->out, 404, "NOT_FOUND", "The requested resource does not exist");
}

void rest_method_not(struct rest_call *c, const char *allowed)
{
    char message[160];
    snprintf(message, sizeof message, "HTTP Method '%.20s' not allowed. Allowed are %s", c->method,
             allowed);
    tm_rest_error(c->out, 405, "METHOD_NOT_ALLOWED", message);
}

bool rest_method(struct rest_call *c, const char *method)
{
    if (strcmp(c->method, method) != 0)
        rest_method_not(c, method);
    return strcmp(c->method, method) == 0;
}

json_t *rest_body(struct rest_call *c)
{
    const struct tm_mock_request *r = c->request;
    json_error_t wrong = { 0 };
    json_t *body = json_loadb(r->body != NULL ? r->body : "", r->body_bytes, 0, &wrong);
    char message[300];
    if (json_is_object(body))
        return body;
    if (body != NULL)
        snprintf(message, sizeof message, "the body must be a JSON object");
    else
        snprintf(message, sizeof message, "%.150s at [line:%d, column:%d]", wrong.text, wrong.line,
                 wrong.column);
    json_decref(body);
    tm_rest_error(c->out, 400, "JSON_PARSER_ERROR", message);
    return NULL;
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

/* Every client asks first of all: written, not built and dumped. */
static void rest_versions(struct tm_mock_response *out)
{
    static const char *const seasons[] = { "Winter", "Spring", "Summer" };
    struct tm_buf list;
    tm_buf_init(&list, REST_VERSIONS_BYTES_MAX);
    for (int v = TM_REST_VERSION_FIRST; v <= TM_REST_VERSION_LAST; v++) {
        int since = v - 38 + 3; /* v38 is Winter '17 */
        tm_buf_addf(
            &list,
            "%c{\"label\":\"%s '%02d\",\"url\":\"/services/data/v%d.0\",\"version\":\"%d.0\"}",
            v == TM_REST_VERSION_FIRST ? '[' : ',', seasons[since % 3], 16 + since / 3, v, v);
    }
    tm_buf_addc(&list, ']');
    if (tm_buf_check(&list, "the list of versions", NULL) == TM_OK)
        tm_mock_answer(out, 200, "application/json;charset=UTF-8", tm_buf_text(&list));
    else
        tm_rest_error(out, 500, "UNKNOWN_EXCEPTION", "out of memory");
    tm_buf_free(&list);
}

static void rest_resources(struct rest_call *c)
{
    static const char *const names[] = { "sobjects", "query",     "queryAll",
                                         "limits",   "composite", "jobs" };
    json_t *map = json_object();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        json_object_set_new(map, names[i],
                            json_sprintf("/services/data/v%s/%s", c->version, names[i]));
    tm_rest_json(c->out, 200, map);
}

/* Allocations of things this org does not have: none of them is ever used. Names as typed clients
 * map them, numbers of an Enterprise org. */
static const struct {
    const char *name;
    int64_t max;
} rest_untouched[] = {
    { "ConcurrentAsyncGetReportInstances", 200 },
    { "ConcurrentSyncReportRuns", 20 },
    { "DailyAsyncApexExecutions", 250000 },
    { "DailyWorkflowEmails", 1000 },
    { "DataStorageMB", 10240 },
    { "FileStorageMB", 10240 },
    { "HourlyAsyncReportRuns", 1200 },
    { "HourlyDashboardRefreshes", 200 },
    { "HourlyDashboardResults", 5000 },
    { "HourlyDashboardStatuses", 999999999 },
    { "HourlyODataCallout", 10000 },
    { "HourlySyncReportRuns", 500 },
    { "HourlyTimeBasedWorkflow", 1000 },
    { "MassEmail", 5000 },
    { "SingleEmail", 5000 },
};

static void rest_limit(json_t *map, const char *name, int64_t max, int64_t used)
{
    json_object_set_new(map, name,
                        json_pack("{s:I,s:I}", "Max", (json_int_t)max, "Remaining",
                                  (json_int_t)(used < max ? max - used : 0)));
}

/* Platform events of the last hour, generic ones of the last day; false: the refusal is written. */
static bool rest_published(struct rest_call *c, int64_t *out_platform, int64_t *out_generic)
{
    struct tm_stream *stream = c->rest->streaming != NULL ? c->rest->streaming->stream : NULL;
    int64_t now_ms = c->request->now.org_ms;
    struct tm_err err = { 0 };
    *out_platform = *out_generic = 0;
    if (stream == NULL)
        return true;
    enum tm_code rc = tm_stream_count(stream, "event", 3600000, now_ms, out_platform, &err);
    if (rc == TM_OK)
        rc = tm_stream_count(stream, "u", TM_STREAM_DAY_MS, now_ms, out_generic, &err);
    if (rc != TM_OK)
        tm_rest_broken(c->out, rc, &err);
    return rc == TM_OK;
}

static void rest_limits(struct rest_call *c)
{
    const struct tm_org_settings *s = tm_org_settings(c->rest->org);
    int64_t calls, events,
        calls_max = s->api_calls_per_day > 0 ? s->api_calls_per_day : TM_REST_NO_LIMIT;
    int64_t events_max = s->events_per_day > 0 ? s->events_per_day : TM_REST_NO_LIMIT;
    int64_t bulk_jobs, bulk_batches, published, generic;
    tm_org_usage_day(c->rest->org, c->request->now.org_ms, &calls, &events);
    tm_bulk_usage_day(c->rest->bulk, c->request->now.org_ms, &bulk_jobs, &bulk_batches);
    if (!rest_published(c, &published, &generic))
        return;
    struct {
        const char *name;
        int64_t max, used;
    } rows[] = {
        { "DailyApiRequests", calls_max, calls },
        { "DailyBulkApiBatches", TM_BULK_BATCHES_PER_DAY, bulk_batches },
        { "DailyBulkV2QueryJobs", TM_BULK_JOBS_PER_DAY, bulk_jobs },
        { "DailyBulkV2QueryFileStorageMB", 976562, 0 },
        { "DailyDeliveredPlatformEvents", events_max, events },
        { "DailyDurableGenericStreamingApiEvents", 10000, generic },
        { "DailyGenericStreamingApiEvents", 10000, generic },
        { "HourlyPublishedPlatformEvents", 250000, published },
        { "DailyStreamingApiEvents", events_max, events },
    };
    json_t *map = json_object();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        rest_limit(map, rows[i].name, rows[i].max, rows[i].used);
    for (size_t i = 0; i < sizeof rest_untouched / sizeof rest_untouched[0]; i++)
        rest_limit(map, rest_untouched[i].name, rest_untouched[i].max, 0);
    tm_rest_json(c->out, 200, map);
}

/* ---- routes ---- */

/* "/services/data/v59.0/sobjects/Account/" -> version "59.0", parts {sobjects, Account}. */
bool rest_split(struct rest_call *c)
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
        if (c->parts_count == 3 && strcmp(c->parts[0], "sobjects") == 0 && save != NULL)
            break;
    }
    size_t rest = part != NULL ? strlen(save) : 0; /* an external id's value may hold a slash */
    if (rest > 0 && save[rest - 1] == '/')
        save[--rest] = '\0';
    if (rest > 0)
        c->parts[c->parts_count++] = save;
    return true;
}

/* sobjects/X/ID and the resources an object has beside its records. */
static void rest_of_object(struct rest_call *c, const struct tm_describe *d)
{
    const char *what = c->parts[2];
    char id[TM_ID_BYTES];
    if (strcmp(what, "describe") == 0) {
        if (rest_method(c, "GET"))
            rest_describe(c, d);
    } else if (strcmp(what, "deleted") == 0) {
        if (rest_method(c, "GET"))
            rest_deleted(c, d->object);
    } else if (strcmp(what, "updated") == 0) {
        if (rest_method(c, "GET"))
            rest_updated(c, d);
    } else if (strcasecmp(what, "Id") == 0) { /* upsert by an Id there is none of yet */
        if (rest_method(c, "POST"))
            rest_create(c, d, true);
    } else if (tm_id18(id, what, NULL) == TM_OK) {
        rest_by_id(c, d, id);
    } else {
        rest_not_found(c);
    }
}

static void rest_sobject(struct rest_call *c)
{
    const struct tm_describe *d = tm_org_describe(c->rest->org, c->parts[1]);
    if (d == NULL || c->parts_count > 4)
        rest_not_found(c);
    else if (c->parts_count == 4)
        rest_by_external(c, d);
    else if (c->parts_count == 3)
        rest_of_object(c, d);
    else if (strcmp(c->method, "POST") == 0)
        rest_create(c, d, false);
    else if (strcmp(c->method, "GET") == 0)
        rest_object_info(c, d);
    else
        rest_method_not(c, "GET,POST");
}

static void rest_query(struct rest_call *c)
{
    const char *options = tm_mock_header(c->request, "Sforce-Query-Options"),
               *explain = tm_mock_query(c->request, "explain");
    const char *batch = options != NULL ? strcasestr(options, "batchSize=") : NULL;
    long rows = batch != NULL ? strtol(batch + strlen("batchSize="), NULL, 10) : 0;
    struct tm_query_ask ask = {
        .form = &tm_query_json,
        .version = c->version,
        .text = c->parts_count == 2 ? c->parts[1] : tm_mock_query(c->request, "q"),
        .all = strcasecmp(c->parts[0], "queryAll") == 0,
        .page_rows = batch == NULL ? 0
                     : rows > 0    ? (size_t)rows
                                   : 1,
    };
    c->kind = "query";
    if (c->parts_count > 2)
        rest_not_found(c);
    else if (!rest_method(c, "GET"))
        return;
    else if (c->parts_count == 1 && !ask.all && ask.text == NULL && explain != NULL)
        rest_explain(c, explain);
    else if (c->parts_count == 2)
        tm_query_more(c->rest->query, &c->request->now, &ask, c->out);
    else
        tm_query_start(c->rest->query, &c->request->now, &ask, c->out);
}

void rest_dispatch(struct rest_call *c)
{
    const char *first = c->parts_count > 0 ? c->parts[0] : "";
    if (c->rest->streaming != NULL &&
        tm_streaming_rest(c->rest->streaming, c->request, c->parts, c->parts_count, c->out))
        c->kind = "event";
    else if (c->parts_count == 0 && rest_method(c, "GET"))
        rest_resources(c);
    else if (c->parts_count == 0)
        return;
    else if (strcmp(first, "sobjects") == 0 && c->parts_count == 1) {
        if (rest_method(c, "GET"))
            rest_sobjects(c);
    } else if (strcmp(first, "sobjects") == 0)
        rest_sobject(c);
    else if (strcmp(first, "query") == 0 || strcasecmp(first, "queryAll") == 0)
        rest_query(c);
    else if (strcmp(first, "composite") == 0)
        rest_composite(c);
    else if (strcmp(first, "limits") == 0 && c->parts_count == 1) {
        if (rest_method(c, "GET"))
            rest_limits(c);
    } else if (strcmp(first, "jobs") == 0 && !c->within) {
        c->kind = "bulk";
        tm_bulk2_request(c->rest->bulk, c->request, c->version, c->parts, c->parts_count, c->out);
    } else
        rest_not_found(c);
}

/* Counts the call and says what is left; a held answer is counted when it is whole. */
static void rest_count(struct tm_rest *rest, const struct tm_mock_request *r, const char *kind,
                       int64_t calls, struct tm_mock_response *out)
{
    char client[TM_OAUTH_CLIENT_BYTES];
    struct tm_org_usage more = { .calls = calls,
                                 .bytes_in = (int64_t)r->body_bytes,
                                 .bytes_out = (int64_t)out->body.bytes };
    if (out->outcome != TM_MOCK_ANSWER)
        return;
    tm_org_usage_add(rest->org, tm_oauth_client(rest->oauth, r, client), kind, &more,
                     r->now.org_ms);
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
    struct rest_call c = { .rest = rest, .request = r, .out = out, .kind = "other", .calls = 1 };
    const char *instead = tm_mock_query(r, "_HttpMethod");
    /* for clients whose HTTP has no PATCH */
    c.method = strcmp(r->method, "POST") == 0 && instead != NULL ? instead : r->method;
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
        rest_dispatch(&c);
    else
        rest_not_found(&c);
    rest_count(rest, r, c.kind, c.calls, out);
}

void tm_rest_resume(struct tm_rest *rest, const struct tm_mock_request *r, uint64_t token,
                    struct tm_mock_response *out)
{
    if (token >= TM_BULK_TOKEN) {
        tm_bulk_resume(rest->bulk, r, token, out);
        if (strncmp(r->path, "/services/data", 14) == 0) /* 1.0 counts its own */
            rest_count(rest, r, "bulk", 1, out);
        return;
    }
    tm_query_resume(rest->query, token, out);
    rest_count(rest, r, "query", 1, out);
}
