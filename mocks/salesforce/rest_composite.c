#include "mocks/salesforce/rest_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COMPOSITE_DEPTH_MAX 64 /* of values a reference is looked for in */
#define COMPOSITE_TEXT_BYTES_MAX (1u << 20)

/* Answers one subrequest at once: *out_body is what it said as JSON, null when it said nothing. */
static int composite_ask(struct rest_call *c, const char *method, const char *url, char *body_text,
                         json_t **out_body, json_t **out_headers)
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    char target[TM_REST_URI_BYTES_MAX + 32];
    const char *base = strncmp(url, "/services/data", 14) == 0 ? "" : "/services/data/";
    *out_body = *out_headers = NULL;
    snprintf(target, sizeof target, "%s%s", base, *base != '\0' && *url == '/' ? url + 1 : url);
    if (strlen(url) > TM_REST_URI_BYTES_MAX ||
        tm_mock_request_init(&r, method, target, body_text,
                             body_text != NULL ? strlen(body_text) : 0, NULL) != TM_OK) {
        *out_body = json_pack("[{s:s,s:s}]", "message", "not a URL", "errorCode", "NOT_FOUND");
        return 404;
    }
    r.now = c->request->now;
    const char *options = tm_mock_header(c->request, "Sforce-Call-Options");
    if (options != NULL)
        tm_mock_pairs_add(&r.headers, "Sforce-Call-Options", options, NULL);
    tm_mock_response_init(&out);
    struct rest_call sub = {
        .rest = c->rest, .request = &r, .out = &out, .method = r.method, .within = true
    };
    if (rest_split(&sub) && sub.version[0] != '\0')
        rest_dispatch(&sub);
    else
        rest_not_found(&sub);
    while (out.outcome == TM_MOCK_HOLD) { /* only queries are, and each step brings them on */
        uint64_t token = out.token;
        tm_mock_response_reset(&out);
        tm_query_resume(c->rest->query, token, &out);
    }
    int status = out.status;
    *out_body = out.body.bytes > 0
                    ? json_loadb(tm_buf_text(&out.body), out.body.bytes, JSON_DECODE_ANY, NULL)
                    : NULL;
    const char *location = strstr(tm_buf_text(&out.headers), "Location: ");
    *out_headers = json_object();
    if (location != NULL)
        json_object_set_new(*out_headers, "Location",
                            json_stringn(location + 10, strcspn(location + 10, "\n")));
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
    if (*out_body == NULL)
        *out_body = json_null();
    return status;
}

static char *composite_text(const json_t *body)
{
    return body != NULL ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
}

/* ---- composite/batch ---- */

static json_t *batch_halted(void)
{
    return json_pack("{s:i,s:[{s:s,s:s}]}", "statusCode", 412, "result", "errorCode",
                     "BATCH_PROCESSING_HALTED", "message", "Batch processing halted per request");
}

static json_t *batch_one(struct rest_call *c, const json_t *sub, bool *out_failed)
{
    const char *method = json_string_value(json_object_get(sub, "method"));
    const char *url = json_string_value(json_object_get(sub, "url"));
    char *text = composite_text(json_object_get(sub, "richInput"));
    json_t *body = NULL, *headers = NULL;
    int status = 400;
    if (method != NULL && url != NULL)
        status = composite_ask(c, method, url, text, &body, &headers);
    else
        body = json_pack("[{s:s,s:s}]", "message", "a batch request has a method and a url",
                         "errorCode", "JSON_PARSER_ERROR");
    free(text);
    json_decref(headers);
    *out_failed = status >= 400;
    return json_pack("{s:i,s:o}", "statusCode", status, "result", body);
}

static void composite_batch(struct rest_call *c)
{
    json_t *body = rest_body(c), *list = json_object_get(body, "batchRequests"), *sub;
    json_t *results = json_array();
    bool failed = false, any = false, halt = json_is_true(json_object_get(body, "haltOnError"));
    size_t i, count = json_array_size(list);
    if (body != NULL && (count == 0 || count > REST_SUBREQUESTS_MAX)) {
        tm_rest_error(c->out, 400, count == 0 ? "MISSING_ARGUMENT" : "LIMIT_EXCEEDED",
                      "batchRequests must be a list of 1 to 25 requests");
    } else if (body != NULL) {
        c->kind = "composite";
        c->calls = (int64_t)count;
        json_array_foreach(list, i, sub)
        {
            json_array_append_new(results,
                                  any && halt ? batch_halted() : batch_one(c, sub, &failed));
            any |= failed;
        }
        tm_rest_json(c->out, 200, json_pack("{s:b,s:O}", "hasErrors", any, "results", results));
    }
    json_decref(results);
    json_decref(body);
}

/* ---- composite: later requests name what earlier ones answered ---- */

struct composite {
    json_t *bodies;  /* referenceId -> what it answered */
    char wrong[420]; /* why a reference could not be followed; "" = none yet */
};

/* "id", "records[0].Account.Id" inside a value; NULL: there is none. */
static const json_t *composite_follow(const json_t *value, const char *path)
{
    char name[128];
    while (value != NULL && *path != '\0') {
        size_t bytes = strcspn(path, ".[");
        if (bytes >= sizeof name)
            return NULL;
        if (bytes > 0) {
            snprintf(name, sizeof name, "%.*s", (int)bytes, path);
            value = json_object_get(value, name);
        }
        path += bytes;
        if (*path == '[') {
            value = json_array_get(value, (size_t)strtoul(path + 1, NULL, 10));
            path += strcspn(path, "]");
            path += *path == ']';
        }
        path += *path == '.';
    }
    return value;
}

/* Appends what the reference at "@{…}" stands for; returns its end, NULL when it stands for
 * nothing. */
static const char *composite_reference(struct composite *m, const char *at, struct tm_buf *out)
{
    char path[256], name[128];
    const char *end = strchr(at, '}');
    if (end == NULL || (size_t)(end - at) - 2 >= sizeof path)
        return NULL;
    snprintf(path, sizeof path, "%.*s", (int)(end - at - 2), at + 2);
    size_t bytes = strcspn(path, ".[");
    snprintf(name, sizeof name, "%.*s", (int)(bytes < 127 ? bytes : 127), path);
    const json_t *value =
        composite_follow(json_object_get(m->bodies, name), path + bytes + (path[bytes] == '.'));
    if (json_is_string(value)) {
        tm_buf_addz(out, json_string_value(value));
    } else if (json_is_number(value) || json_is_boolean(value)) {
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        tm_buf_addz(out, text != NULL ? text : "");
        free(text);
    } else {
        snprintf(m->wrong, sizeof m->wrong,
                 "Invalid reference specified. No value for %.255s found in %.100s", path, name);
        tm_text_cut(m->wrong);
        return NULL;
    }
    return end + 1;
}

/* The text with its references replaced; NULL when one cannot be, or memory is out. The caller
 * frees it. */
static char *composite_replace(struct composite *m, const char *text)
{
    struct tm_buf out;
    char *copy = NULL;
    if (text == NULL)
        return NULL;
    tm_buf_init(&out, COMPOSITE_TEXT_BYTES_MAX);
    while (text != NULL && *text != '\0') {
        const char *at = strstr(text, "@{");
        tm_buf_add(&out, text, at != NULL ? (size_t)(at - text) : strlen(text));
        text = at != NULL ? composite_reference(m, at, &out) : "";
    }
    if (text != NULL && out.failed == TM_OK)
        copy = strdup(tm_buf_text(&out));
    if (copy == NULL && m->wrong[0] == '\0')
        snprintf(m->wrong, sizeof m->wrong, "Invalid reference specified.");
    tm_buf_free(&out);
    return copy;
}

/* A copy of a body with references replaced in its texts; NULL as above. */
static json_t *composite_body(struct composite *m, const json_t *body, int depth)
{
    json_t *copy = NULL, *value;
    const char *key;
    size_t i;
    if (depth > COMPOSITE_DEPTH_MAX)
        return NULL;
    if (json_is_string(body)) {
        char *text = composite_replace(m, json_string_value(body));
        copy = text != NULL ? json_string(text) : NULL;
        free(text);
        return copy;
    }
    if (json_is_object(body)) {
        copy = json_object();
        json_object_foreach((json_t *)(uintptr_t)body, key, value)
        {
            json_t *inner = composite_body(m, value, depth + 1);
            if (inner == NULL || json_object_set_new(copy, key, inner) != 0) {
                json_decref(copy);
                return NULL;
            }
        }
        return copy;
    }
    if (!json_is_array(body))
        return json_deep_copy(body);
    copy = json_array();
    json_array_foreach(body, i, value)
    {
        json_t *inner = composite_body(m, value, depth + 1);
        if (inner == NULL || json_array_append_new(copy, inner) != 0) {
            json_decref(copy);
            return NULL;
        }
    }
    return copy;
}

static json_t *composite_halted(const char *reference, const char *message)
{
    return json_pack("{s:[{s:s,s:s}],s:{},s:i,s:s}", "body", "errorCode", "PROCESSING_HALTED",
                     "message", message, "httpHeaders", "httpStatusCode", 400, "referenceId",
                     reference);
}

static json_t *composite_one(struct rest_call *c, struct composite *m, const json_t *sub,
                             const char *reference, bool *out_failed)
{
    const char *method = json_string_value(json_object_get(sub, "method"));
    const json_t *given = json_object_get(sub, "body");
    json_t *body = NULL, *headers = NULL, *filled = NULL;
    char *url, *text = NULL;
    m->wrong[0] = '\0';
    *out_failed = true;
    url = composite_replace(m, json_string_value(json_object_get(sub, "url")));
    if (url != NULL && given != NULL)
        filled = composite_body(m, given, 0);
    if (url == NULL || method == NULL || (given != NULL && filled == NULL)) {
        json_t *halted = composite_halted(
            reference, m->wrong[0] != '\0' ? m->wrong : "a request has a method, a url and a body");
        free(url);
        json_decref(filled);
        return halted;
    }
    text = composite_text(filled);
    int status = composite_ask(c, method, url, text, &body, &headers);
    *out_failed = status >= 400;
    json_object_set(m->bodies, reference, body);
    free(url);
    free(text);
    json_decref(filled);
    return json_pack("{s:o,s:o,s:i,s:s}", "body", body, "httpHeaders", headers, "httpStatusCode",
                     status, "referenceId", reference);
}

/* The answers when nothing may stay: the one that failed says why, the others that they went back.
 */
static void composite_rolled_back(json_t *answers, size_t failed)
{
    json_t *answer;
    size_t i;
    json_array_foreach(answers, i, answer) if (i != failed) json_array_set_new(
        answers, i,
        composite_halted(json_string_value(json_object_get(answer, "referenceId")),
                         "The transaction was rolled back since another operation in the same "
                         "transaction failed."));
}

static enum tm_code composite_run(struct rest_call *c, const json_t *list, bool all_or_none,
                                  json_t *answers, struct tm_err *err)
{
    struct composite m = { .bodies = json_object() };
    bool failed = false;
    size_t i, first_failed = SIZE_MAX;
    json_t *sub;
    enum tm_code rc = all_or_none ? tm_org_begin(c->rest->org, err) : TM_OK;
    json_array_foreach(list, i, sub)
    {
        const char *reference = json_string_value(json_object_get(sub, "referenceId"));
        char preset[32];
        snprintf(preset, sizeof preset, "request%zu", i);
        if (rc != TM_OK)
            break;
        reference = reference != NULL ? reference : preset;
        json_array_append_new(answers, all_or_none && first_failed != SIZE_MAX
                                           ? composite_halted(reference, "")
                                           : composite_one(c, &m, sub, reference, &failed));
        if (failed && first_failed == SIZE_MAX)
            first_failed = i;
    }
    json_decref(m.bodies);
    if (rc != TM_OK || !all_or_none)
        return rc;
    if (first_failed == SIZE_MAX)
        return tm_org_end(c->rest->org, err);
    composite_rolled_back(answers, first_failed);
    return tm_org_cancel(c->rest->org, err);
}

static void composite_all(struct rest_call *c)
{
    json_t *body = rest_body(c), *list = json_object_get(body, "compositeRequest");
    json_t *answers = json_array();
    struct tm_err err = { 0 };
    size_t count = json_array_size(list);
    if (body != NULL && (count == 0 || count > REST_SUBREQUESTS_MAX)) {
        tm_rest_error(c->out, 400, count == 0 ? "MISSING_ARGUMENT" : "LIMIT_EXCEEDED",
                      "compositeRequest must be a list of 1 to 25 requests");
    } else if (body != NULL) {
        c->kind = "composite";
        enum tm_code rc =
            composite_run(c, list, json_is_true(json_object_get(body, "allOrNone")), answers, &err);
        if (rc != TM_OK)
            tm_rest_broken(c->out, rc, &err);
        else
            tm_rest_json(c->out, 200, json_pack("{s:O}", "compositeResponse", answers));
    }
    json_decref(answers);
    json_decref(body);
}

void rest_composite(struct rest_call *c)
{
    const char *what = c->parts_count > 1 ? c->parts[1] : "";
    const struct tm_describe *d =
        c->parts_count > 2 ? tm_org_describe(c->rest->org, c->parts[2]) : NULL;
    if (c->parts_count > 1 && strcmp(what, "sobjects") == 0)
        rest_collection(c);
    else if (!c->within && c->parts_count == 3 && strcmp(what, "tree") == 0 && d != NULL) {
        if (rest_method(c, "POST"))
            rest_tree(c, d);
    } else if (c->within || c->parts_count > 2) /* a composite request holds none */
        rest_not_found(c);
    else if (c->parts_count == 1 && rest_method(c, "POST"))
        composite_all(c);
    else if (c->parts_count == 2 && strcmp(what, "batch") != 0)
        rest_not_found(c);
    else if (c->parts_count == 2 && rest_method(c, "POST"))
        composite_batch(c);
}
