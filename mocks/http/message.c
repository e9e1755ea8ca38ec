#include "mocks/http/message.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MESSAGE_HEADERS_BYTES_MAX 65536u

enum tm_code tm_mock_pairs_add(struct tm_mock_pairs *p, const char *name, const char *value,
                               struct tm_err *err)
{
    assert(p->count <= p->cap);
    if (p->count == TM_MOCK_PAIRS_MAX)
        return tm_fail(err, TM_E_LIMIT, "more than %d parameters, headers or cookies in a request",
                       TM_MOCK_PAIRS_MAX);
    if (p->count == p->cap) {
        size_t cap = p->cap == 0 ? 8 : p->cap * 2;
        struct tm_mock_pair *items = realloc(p->items, cap * sizeof *items);
        if (items == NULL)
            return tm_fail(err, TM_E_NOMEM, "a request's parameters");
        p->items = items;
        p->cap = cap;
    }
    struct tm_mock_pair pair = { strdup(name), strdup(value) };
    if (pair.name == NULL || pair.value == NULL) {
        free(pair.name);
        free(pair.value);
        return tm_fail(err, TM_E_NOMEM, "a request's parameters");
    }
    p->items[p->count++] = pair;
    return TM_OK;
}

static int message_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decodes [text, text + bytes) into a new string; NULL on a bad escape, an escaped NUL or no
 * memory. */
static char *message_decode(const char *text, size_t bytes, bool plus_is_space)
{
    char *out = malloc(bytes + 1), *to = out;
    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        if (c == '+' && plus_is_space) {
            c = ' ';
        } else if (c == '%') {
            int high = i + 1 < bytes ? message_hex(text[i + 1]) : -1;
            int low = i + 2 < bytes ? message_hex(text[i + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0) {
                free(out);
                return NULL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0') {
            free(out);
            return NULL;
        }
        *to++ = c;
    }
    *to = '\0';
    return out;
}

enum tm_code tm_mock_pairs_parse(struct tm_mock_pairs *p, const char *text, size_t bytes,
                                 struct tm_err *err)
{
    const char *end = text + bytes;
    for (const char *at = text; at < end;) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        const char *equals = memchr(at, '=', (size_t)(stop - at));
        const char *name_end = equals != NULL ? equals : stop;
        const char *value = equals != NULL ? equals + 1 : stop;
        if (stop > at) {
            char *n = message_decode(at, (size_t)(name_end - at), true);
            char *v = message_decode(value, (size_t)(stop - value), true);
            enum tm_code rc =
                n != NULL && v != NULL
                    ? tm_mock_pairs_add(p, n, v, err)
                    : tm_fail(err, TM_E_ARG, "bad %%-escape in a query string or form");
            free(n);
            free(v);
            if (rc != TM_OK)
                return rc;
        }
        at = stop < end ? stop + 1 : end;
    }
    return TM_OK;
}

const char *tm_mock_pairs_get(const struct tm_mock_pairs *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->items[i].name, name) == 0)
            return p->items[i].value;
    return NULL;
}

const char *tm_mock_pairs_get_nocase(const struct tm_mock_pairs *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcasecmp(p->items[i].name, name) == 0)
            return p->items[i].value;
    return NULL;
}

void tm_mock_pairs_free(struct tm_mock_pairs *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->items[i].name);
        free(p->items[i].value);
    }
    free(p->items);
    *p = (struct tm_mock_pairs){ 0 };
}

enum tm_code tm_mock_request_init(struct tm_mock_request *r, const char *method, const char *target,
                                  const void *body, size_t body_bytes, struct tm_err *err)
{
    const char *question = strchr(target, '?');
    size_t path_bytes = question != NULL ? (size_t)(question - target) : strlen(target);
    enum tm_code rc = TM_OK;
    *r = (struct tm_mock_request){ .uri_bytes = strlen(target) };
    r->method = strdup(method);
    r->path = message_decode(target, path_bytes, false);
    if (body_bytes > 0 && (r->body = malloc(body_bytes + 1)) != NULL) {
        memcpy(r->body, body, body_bytes);
        r->body[body_bytes] = '\0';
        r->body_bytes = body_bytes;
    }
    if (r->method == NULL || (body_bytes > 0 && r->body == NULL))
        rc = tm_fail(err, TM_E_NOMEM, "a request of %zu bytes", body_bytes);
    else if (r->path == NULL || r->path[0] != '/')
        rc = tm_fail(err, TM_E_ARG, "a request path must begin with '/' and have whole %%-escapes");
    else if (question != NULL)
        rc = tm_mock_pairs_parse(&r->query, question + 1, strlen(question + 1), err);
    if (rc != TM_OK)
        tm_mock_request_free(r);
    return rc;
}

void tm_mock_request_free(struct tm_mock_request *r)
{
    tm_mock_pairs_free(&r->query);
    tm_mock_pairs_free(&r->headers);
    tm_mock_pairs_free(&r->cookies);
    free(r->method);
    free(r->path);
    free(r->body);
    *r = (struct tm_mock_request){ 0 };
}

const char *tm_mock_query(const struct tm_mock_request *r, const char *name)
{
    return tm_mock_pairs_get(&r->query, name);
}

const char *tm_mock_header(const struct tm_mock_request *r, const char *name)
{
    return tm_mock_pairs_get_nocase(&r->headers, name);
}

const char *tm_mock_cookie(const struct tm_mock_request *r, const char *name)
{
    return tm_mock_pairs_get(&r->cookies, name);
}

const char *tm_mock_user_agent(const struct tm_mock_request *r)
{
    const char *agent = tm_mock_header(r, "User-Agent");
    return agent != NULL ? agent : "";
}

static enum tm_code message_cookie(struct tm_mock_request *r, const char *text, size_t bytes,
                                   struct tm_err *err)
{
    while (bytes > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        bytes--;
    }
    while (bytes > 0 && (text[bytes - 1] == ' ' || text[bytes - 1] == '\t'))
        bytes--;
    const char *equals = memchr(text, '=', bytes);
    if (equals == NULL)
        return TM_OK;
    char *name = strndup(text, (size_t)(equals - text));
    char *value = strndup(equals + 1, bytes - (size_t)(equals + 1 - text));
    enum tm_code rc = name != NULL && value != NULL
                          ? tm_mock_pairs_add(&r->cookies, name, value, err)
                          : tm_fail(err, TM_E_NOMEM, "a cookie");
    free(name);
    free(value);
    return rc;
}

enum tm_code tm_mock_request_cookies(struct tm_mock_request *r, struct tm_err *err)
{
    const char *at = tm_mock_header(r, "Cookie");
    while (at != NULL && *at) {
        size_t bytes = strcspn(at, ";");
        enum tm_code rc = message_cookie(r, at, bytes, err);
        if (rc != TM_OK)
            return rc;
        at += bytes + (at[bytes] == ';');
    }
    return TM_OK;
}

void tm_mock_response_init(struct tm_mock_response *r)
{
    *r = (struct tm_mock_response){ .status = 200, .until = { TM_NEVER, TM_NEVER } };
    tm_buf_init(&r->headers, MESSAGE_HEADERS_BYTES_MAX);
    tm_buf_init(&r->body, TM_MOCK_BODY_BYTES_MAX);
}

void tm_mock_response_free(struct tm_mock_response *r)
{
    tm_buf_free(&r->headers);
    tm_buf_free(&r->body);
}

void tm_mock_response_reset(struct tm_mock_response *r)
{
    tm_buf_reset(&r->headers);
    tm_buf_reset(&r->body);
    r->outcome = TM_MOCK_ANSWER;
    r->status = 200;
    r->token = 0;
    r->cut = r->disowned = false;
    r->until = (struct tm_wake){ TM_NEVER, TM_NEVER };
}

void tm_mock_response_header(struct tm_mock_response *r, const char *name, const char *value)
{
    assert(strpbrk(name, ":\r\n") == NULL && strpbrk(value, "\r\n") == NULL);
    tm_buf_addf(&r->headers, "%s: %s\n", name, value);
}

void tm_mock_answer(struct tm_mock_response *r, int status, const char *content_type,
                    const char *body)
{
    assert(status >= 100 && status <= 599);
    r->outcome = TM_MOCK_ANSWER;
    r->status = status;
    if (content_type != NULL)
        tm_mock_response_header(r, "Content-Type", content_type);
    tm_buf_addz(&r->body, body);
}

void tm_mock_hold(struct tm_mock_response *r, uint64_t token, struct tm_wake until)
{
    r->outcome = TM_MOCK_HOLD;
    r->token = token;
    r->until = until;
}
