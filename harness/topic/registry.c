#include "topic/registry.h"
#include "base/json_kept.h"
#include "base/log.h"
#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* schemas and registrations one process ever sees */
#define REGISTRY_CACHE_MAX 4096
#define REGISTRY_REPLY_BYTES_MAX (4u << 20)
/* a registry that is away for longer is an error */
#define REGISTRY_TRY_NS_MAX (60 * TM_NS_PER_S)
#define REGISTRY_BACKOFF_NS (100 * TM_NS_PER_MS)
#define REGISTRY_BACKOFF_NS_MAX (5 * TM_NS_PER_S)
#define REGISTRY_TELL_NS (16 * REGISTRY_BACKOFF_NS) /* away since 1.5 s: a line in the log */
#define MEDIA_TYPE "application/vnd.schemaregistry.v1+json"

struct registered {
    char *subject, *text;
    int32_t id;
};
struct known {
    int32_t id;
    struct tm_avro_schema *schema;
};
/* The one exchange under way: a registration (subject and text) or a lookup (id). */
struct asked {
    bool active;
    char *subject, *text; /* owned; NULL for a lookup */
    int32_t id;
    struct tm_http_call *call; /* NULL while waiting for next_ns */
    int64_t first_ns, next_ns, backoff_ns;
};
struct tm_registry {
    struct tm_http *http;
    char *base, *auth; /* URL without credentials; header or NULL */
    struct registered *registered;
    size_t registered_count;
    struct known *known;
    size_t known_count;
    struct asked asked;
    struct tm_http_reply reply;
};

static void registry_base64(struct tm_buf *out, const char *text, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes; i += 3) {
        uint32_t three = 0;
        for (size_t k = 0; k < 3; k++)
            three = three << 8 | (i + k < bytes ? (unsigned char)text[i + k] : 0U);
        for (size_t k = 0; k < 4; k++)
            tm_buf_addc(out, i + k > bytes ? '=' : digits[three >> (18 - 6 * k) & 63]);
    }
}

/* http://user:password@host:port/path/ -> base without the last slash, and a header. */
static enum tm_code registry_url(struct tm_registry *r, const char *url, struct tm_err *err)
{
    const char *host = strstr(url, "://");
    if (host == NULL || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) ||
        host[3] == '\0')
        return tm_fail(err, TM_E_ARG,
                       "schema registry address is not http://HOST:PORT or https://HOST:PORT");
    host += 3;
    const char *slash = strchr(host, '/'), *at = NULL;
    for (const char *p = host; *p != '\0' && (slash == NULL || p < slash); p++)
        if (*p == '@')
            at = p;
    struct tm_buf text;
    tm_buf_init(&text, 4096);
    if (at != NULL) {
        tm_buf_addz(&text, "Authorization: Basic ");
        registry_base64(&text, host, (size_t)(at - host));
        r->auth = strdup(tm_buf_text(&text));
        tm_buf_reset(&text);
    }
    tm_buf_add(&text, url, (size_t)(host - url));
    tm_buf_addz(&text, at != NULL ? at + 1 : host);
    while (text.bytes > 0 && text.data[text.bytes - 1] == '/')
        text.data[--text.bytes] = '\0';
    r->base = strdup(tm_buf_text(&text));
    enum tm_code rc = tm_buf_check(&text, "schema registry address", err);
    tm_buf_free(&text);
    if (rc == TM_OK && (r->base == NULL || (at != NULL && r->auth == NULL)))
        rc = tm_fail(err, TM_E_NOMEM, "schema registry client");
    return rc;
}

enum tm_code tm_registry_open(struct tm_registry **out, struct tm_http *http, const char *url,
                              struct tm_err *err)
{
    struct tm_registry *r = calloc(1, sizeof *r);
    *out = NULL;
    if (r == NULL)
        return tm_fail(err, TM_E_NOMEM, "schema registry client");
    r->http = http;
    tm_http_reply_init(&r->reply);
    enum tm_code rc = registry_url(r, url, err);
    if (rc != TM_OK) {
        tm_registry_close(r);
        return rc;
    }
    *out = r;
    return TM_OK;
}

static void registry_ask_end(struct tm_registry *r)
{
    if (r->asked.call != NULL)
        r->http->ops->cancel(r->http, r->asked.call);
    free(r->asked.subject);
    free(r->asked.text);
    r->asked = (struct asked){ .active = false };
}

void tm_registry_close(struct tm_registry *r)
{
    if (r == NULL)
        return;
    registry_ask_end(r);
    for (size_t i = 0; i < r->registered_count; i++) {
        free(r->registered[i].subject);
        free(r->registered[i].text);
    }
    for (size_t i = 0; i < r->known_count; i++)
        tm_avro_schema_close(r->known[i].schema);
    free(r->registered);
    free(r->known);
    tm_http_reply_free(&r->reply);
    free(r->base);
    free(r->auth);
    free(r);
}

int64_t tm_registry_next_at(const struct tm_registry *r)
{
    return r->asked.active && r->asked.call == NULL ? r->asked.next_ns : TM_NEVER;
}

static enum tm_code registry_start(struct tm_registry *r, struct tm_err *err)
{
    struct asked *a = &r->asked;
    struct tm_buf url, body;
    struct tm_http_request request = { .method = a->subject != NULL ? "POST" : "GET",
                                       .headers = { "Accept: " MEDIA_TYPE,
                                                    "Content-Type: " MEDIA_TYPE, r->auth },
                                       .reply_bytes_max = REGISTRY_REPLY_BYTES_MAX };
    tm_buf_init(&url, 8192);
    tm_buf_init(&body, 4u << 20);
    tm_buf_addz(&url, r->base);
    if (a->subject != NULL) {
        tm_buf_addz(&url, "/subjects/");
        tm_buf_add_urlencoded(&url, a->subject);
        tm_buf_addz(&url, "/versions");
        tm_buf_addz(&body, "{\"schema\":");
        tm_buf_add_json_string(&body, a->text, strlen(a->text));
        tm_buf_addc(&body, '}');
        request.body = tm_buf_text(&body);
        request.body_bytes = body.bytes;
    } else {
        tm_buf_addf(&url, "/schemas/ids/%d", a->id);
    }
    request.url = tm_buf_text(&url);
    enum tm_code rc = tm_buf_check(&url, "registry request", err);
    if (rc == TM_OK)
        rc = tm_buf_check(&body, "registry request", err);
    if (rc == TM_OK)
        rc = r->http->ops->start(r->http, &a->call, &request, err);
    tm_buf_free(&url);
    tm_buf_free(&body);
    return rc;
}

static enum tm_code registry_grow(void **items, size_t count, size_t item_bytes, struct tm_err *err)
{
    if (count >= REGISTRY_CACHE_MAX)
        return tm_fail(err, TM_E_LIMIT, "more than %d schemas in one process", REGISTRY_CACHE_MAX);
    void *grown = realloc(*items, (count + 1) * item_bytes);
    if (grown == NULL)
        return tm_fail(err, TM_E_NOMEM, "schema cache");
    *items = grown;
    return TM_OK;
}

static enum tm_code registry_keep(struct tm_registry *r, const json_t *body, struct tm_err *err)
{
    struct asked *a = &r->asked;
    enum tm_code rc;
    if (a->subject != NULL) {
        const json_t *id = json_object_get(body, "id");
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > INT32_MAX)
            return tm_fail(err, TM_E_PROTO,
                           "registry %s answered the registration of %s without an id", r->base,
                           a->subject);
        if ((rc = registry_grow((void **)&r->registered, r->registered_count, sizeof *r->registered,
                                err)) != TM_OK)
            return rc;
        r->registered[r->registered_count++] =
            (struct registered){ a->subject, a->text, (int32_t)json_integer_value(id) };
        a->subject = a->text = NULL; /* the cache owns them now */
        return TM_OK;
    }
    const json_t *text = json_object_get(body, "schema");
    struct tm_avro_schema *schema;
    if (!json_is_string(text))
        return tm_fail(err, TM_E_PROTO, "registry %s answered schema id %d without a schema",
                       r->base, a->id);
    if ((rc = registry_grow((void **)&r->known, r->known_count, sizeof *r->known, err)) != TM_OK)
        return rc;
    if ((rc = tm_avro_schema_parse(&schema, json_string_value(text), json_string_length(text),
                                   err)) != TM_OK)
        return err != NULL ? tm_at(err, "schema id %d of registry %s", a->id, r->base) : rc;
    r->known[r->known_count++] = (struct known){ a->id, schema };
    return TM_OK;
}

/* The cause in a refusal's message, without the sentence every refusal begins with. */
static const char *registry_reason(const char *message)
{
    static const char *const marks[] = { "errorType:", "for this subject: ", "details: " };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        const char *at = strstr(message, marks[i]);
        if (at != NULL)
            return at + strlen(marks[i]);
    }
    return message;
}

/* ", field X" when the message points to one by its path, as Confluent's and Apicurio's do; else
 * "". */
static const char *registry_field(char out[80], const char *text, const char *message)
{
    const char *path = strstr(message, "/fields/");
    char *end = NULL;
    out[0] = '\0';
    unsigned long at = path != NULL ? strtoul(path + strlen("/fields/"), &end, 10) : 0;
    if (path == NULL || end == path + strlen("/fields/"))
        return out;
    json_t *schema = json_loads(text, 0, NULL);
    const char *name = json_string_value(
        json_object_get(json_array_get(json_object_get(schema, "fields"), at), "name"));
    if (name != NULL)
        snprintf(out, 80, ", field %.60s", name);
    json_decref(schema);
    return out;
}

static enum tm_code registry_refused(struct tm_registry *r, const json_t *body, struct tm_err *err)
{
    const struct asked *a = &r->asked;
    const char *message = json_string_value(json_object_get(body, "message"));
    if (json_object_get(body, "error_code") == NULL && r->reply.status == 404)
        return tm_fail(err, TM_E_ARG,
                       "%s answers HTTP 404 and not as a schema registry; is --registry right?",
                       r->base);
    if (message == NULL)
        message = "no reason given";
    if (r->reply.status == 401 || r->reply.status == 403)
        return tm_fail(err, TM_E_ARG,
                       "registry %s refuses these credentials (HTTP %d); give them as "
                       "http://user:password@host",
                       r->base, r->reply.status);
    if (a->subject != NULL && r->reply.status == 409) {
        char field[80];
        return tm_fail(
            err, TM_E_PROTO,
            "registry refuses the schema of subject %.80s (HTTP 409)%s: %.90s; set the subject's "
            "compatibility to NONE to let it in, or give it a new topic",
            a->subject, registry_field(field, a->text, message), registry_reason(message));
    }
    if (a->subject != NULL)
        return tm_fail(err, TM_E_PROTO,
                       "registry refuses the schema of subject %.80s: %.150s (HTTP %d)", a->subject,
                       message, r->reply.status);
    return tm_fail(err, TM_E_PROTO, "registry %s does not know schema id %d: %.120s (HTTP %d)",
                   r->base, a->id, message, r->reply.status);
}

/* Looks after the exchange under way. TM_OK: none is, or it has ended well and is in the cache. */
static enum tm_code registry_progress(struct tm_registry *r, const struct tm_now *now,
                                      struct tm_err *err)
{
    struct asked *a = &r->asked;
    struct tm_err cause = { .code = TM_OK };
    enum tm_code rc;
    if (!a->active)
        return TM_OK;
    if (a->call == NULL) {
        if (now->wall_ns < a->next_ns)
            return TM_E_AGAIN;
        rc = registry_start(r, &cause);
        if (rc == TM_OK)
            return TM_E_AGAIN;
    } else {
        rc = r->http->ops->poll(r->http, a->call, &r->reply, &cause);
        if (rc == TM_E_AGAIN)
            return TM_E_AGAIN;
        a->call = NULL;
    }
    bool good = rc == TM_OK && r->reply.status / 100 == 2;
    json_t *body = rc == TM_OK
                       ? tm_json_kept(tm_buf_text(&r->reply.body), r->reply.body.bytes, 0, NULL)
                       : NULL;
    /* By a proxy, say: nothing was answered. A page that never meant to be JSON is an answer. */
    bool cut = rc == TM_OK && body == NULL &&
               (good || strstr(tm_buf_text(&r->reply.headers), "json") != NULL);
    bool away = rc != TM_OK || r->reply.status >= 500 || r->reply.status == 429 || cut;
    if (away && now->wall_ns - a->first_ns < REGISTRY_TRY_NS_MAX) {
        if (a->backoff_ns == REGISTRY_TELL_NS)
            tm_log(TM_LOG_WARN, "registry %s: %s%.200s; it is tried for %d s", r->base,
                   rc != TM_OK ? "" : "answers with an error", rc != TM_OK ? cause.msg : "",
                   (int)(REGISTRY_TRY_NS_MAX / TM_NS_PER_S));
        a->next_ns = now->wall_ns + a->backoff_ns;
        a->backoff_ns = a->backoff_ns * 2 < REGISTRY_BACKOFF_NS_MAX ? a->backoff_ns * 2
                                                                    : REGISTRY_BACKOFF_NS_MAX;
        json_decref(body);
        return TM_E_AGAIN;
    }
    if (rc != TM_OK) {
        rc = tm_fail_retry(err, TM_E_IO,
                           "registry %s is not reachable: %.150s; is --registry right?", r->base,
                           cause.msg);
    } else if (cut) {
        rc = tm_fail_retry(err, TM_E_IO, "registry %s gives answers that are no JSON, for %d s",
                           r->base, (int)(REGISTRY_TRY_NS_MAX / TM_NS_PER_S));
    } else if (away) {
        rc = tm_fail(err, TM_E_IO, "registry %s answers HTTP %d for %d s", r->base, r->reply.status,
                     (int)(REGISTRY_TRY_NS_MAX / TM_NS_PER_S));
    } else {
        rc = good ? registry_keep(r, body, err) : registry_refused(r, body, err);
    }
    json_decref(body);
    registry_ask_end(r);
    return rc;
}

static bool registry_is_asked(const struct tm_registry *r, const char *subject, const char *text,
                              int32_t id)
{
    const struct asked *a = &r->asked;
    if (!a->active || (a->subject == NULL) != (subject == NULL))
        return false;
    return subject != NULL ? strcmp(a->subject, subject) == 0 && strcmp(a->text, text) == 0
                           : a->id == id;
}

static enum tm_code registry_ask(struct tm_registry *r, const struct tm_now *now,
                                 const char *subject, const char *text, int32_t id,
                                 struct tm_err *err)
{
    bool mine = registry_is_asked(r, subject, text, id);
    enum tm_code rc = registry_progress(r, now, mine ? err : NULL);
    if (rc == TM_E_AGAIN || mine)
        return rc; /* another asker's failure is found again when it asks again */
    r->asked = (struct asked){ .active = true,
                               .id = id,
                               .first_ns = now->wall_ns,
                               .next_ns = now->wall_ns,
                               .backoff_ns = REGISTRY_BACKOFF_NS };
    if (subject != NULL) {
        r->asked.subject = strdup(subject);
        r->asked.text = strdup(text);
        if (r->asked.subject == NULL || r->asked.text == NULL) {
            registry_ask_end(r);
            return tm_fail(err, TM_E_NOMEM, "registration of %s", subject);
        }
    }
    return registry_progress(r, now, err);
}

enum tm_code tm_registry_register(struct tm_registry *r, const struct tm_now *now, int32_t *out_id,
                                  const char *subject, const char *schema_text, struct tm_err *err)
{
    assert(subject != NULL && schema_text != NULL);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < r->registered_count; i++)
            if (strcmp(r->registered[i].subject, subject) == 0 &&
                strcmp(r->registered[i].text, schema_text) == 0) {
                *out_id = r->registered[i].id;
                return TM_OK;
            }
        enum tm_code rc = registry_ask(r, now, subject, schema_text, 0, err);
        if (rc != TM_OK)
            return rc;
    }
    return TM_E_AGAIN;
}

enum tm_code tm_registry_schema(struct tm_registry *r, const struct tm_now *now,
                                const struct tm_avro_schema **out, int32_t id, struct tm_err *err)
{
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < r->known_count; i++)
            if (r->known[i].id == id) {
                *out = r->known[i].schema;
                return TM_OK;
            }
        enum tm_code rc = registry_ask(r, now, NULL, NULL, id, err);
        if (rc != TM_OK)
            return rc;
    }
    return TM_E_AGAIN;
}
