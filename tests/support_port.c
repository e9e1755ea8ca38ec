#include "tests/support_port.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct tm_http_call {
    struct tm_mock_request request;
    struct tm_mock_handler *handler;
    uint64_t token; /* of a hold; 0 = not asked yet */
    bool held;
    unsigned polls;
};

static enum tm_code http_start(struct tm_http *http, struct tm_http_call **out,
                               const struct tm_http_request *request, struct tm_err *err)
{
    struct tm_test_http *h = (struct tm_test_http *)http;
    struct tm_http_call *c = calloc(1, sizeof *c);
    assert(c != NULL);
    h->authorization[0] = '\0';
    snprintf(h->seen[h->seen_count++ % 8], sizeof h->seen[0], "%s %s", request->method,
             request->url);
    for (size_t i = 0; i < h->routes_count && c->handler == NULL; i++) {
        size_t n = strlen(h->routes[i].prefix);
        if (strncmp(request->url, h->routes[i].prefix, n) != 0)
            continue;
        c->handler = &h->routes[i].handler;
        if (tm_mock_request_init(&c->request, request->method, request->url + n, request->body,
                                 request->body_bytes, err) != TM_OK)
            abort();
    }
    if (c->handler == NULL) {
        free(c);
        return tm_fail_retry(err, TM_E_IO, "no such host: %s", request->url);
    }
    for (size_t i = 0; request->headers[i] != NULL; i++) {
        char name[128];
        const char *colon = strchr(request->headers[i], ':');
        assert(colon != NULL && (size_t)(colon - request->headers[i]) < sizeof name);
        snprintf(name, sizeof name, "%.*s", (int)(colon - request->headers[i]),
                 request->headers[i]);
        const char *value = colon + 1 + strspn(colon + 1, " ");
        tm_mock_pairs_add(&c->request.headers, name, value, NULL);
        if (strcasecmp(name, "Authorization") == 0)
            snprintf(h->authorization, sizeof h->authorization, "%s", value);
    }
    http->counts.calls++;
    *out = c;
    return TM_OK;
}

static void http_drop(struct tm_http_call *c)
{
    tm_mock_request_free(&c->request);
    free(c);
}

static void http_copy(struct tm_http_reply *reply, const struct tm_mock_response *from)
{
    tm_buf_reset(&reply->headers);
    tm_buf_reset(&reply->body);
    reply->status = from->status;
    for (const char *p = tm_buf_text(&from->headers); *p != '\0'; p++) {
        if (*p == '\n')
            tm_buf_addc(&reply->headers, '\r');
        tm_buf_addc(&reply->headers, *p);
    }
    tm_buf_add(&reply->body, tm_buf_text(&from->body), from->body.bytes);
}

static enum tm_code http_poll(struct tm_http *http, struct tm_http_call *c,
                              struct tm_http_reply *reply, struct tm_err *err)
{
    struct tm_test_http *h = (struct tm_test_http *)http;
    struct tm_mock_response response;
    if (c->polls++ < h->polls_before_answer)
        return TM_E_AGAIN;
    if (h->fail_next > 0) {
        h->fail_next--;
        http_drop(c);
        return tm_fail_retry(err, TM_E_IO, "connection refused");
    }
    tm_mock_response_init(&response);
    c->request.now = h->now;
    if (h->status_next > 0) {
        h->status_next--;
        tm_mock_answer(&response, h->status, "text/plain", "planted");
    } else if (c->held) {
        c->handler->resume(c->handler->self, &c->request, c->token, &response);
    } else {
        c->handler->request(c->handler->self, &c->request, &response);
    }
    if (response.outcome == TM_MOCK_HOLD) {
        c->held = true;
        c->token = response.token;
        tm_mock_response_free(&response);
        return TM_E_AGAIN;
    }
    http_copy(reply, &response);
    bool dropped = response.outcome == TM_MOCK_DROP;
    if (response.token != 0 && c->handler->finished != NULL)
        c->handler->finished(c->handler->self, response.token, !dropped);
    tm_mock_response_free(&response);
    http_drop(c);
    return dropped ? tm_fail_retry(err, TM_E_IO, "connection was closed") : TM_OK;
}

static void http_cancel(struct tm_http *http, struct tm_http_call *c)
{
    (void)http;
    if (c == NULL)
        return;
    if (c->held && c->handler->finished != NULL)
        c->handler->finished(c->handler->self, c->token, false);
    http_drop(c);
}

static void http_close(struct tm_http *http)
{
    (void)http;
}

void tm_test_http_init(struct tm_test_http *h)
{
    static const struct tm_http_ops ops = { http_start, http_poll, http_cancel, http_close };
    memset(h, 0, sizeof *h);
    h->port.ops = &ops;
}

void tm_test_http_route(struct tm_test_http *h, const char *prefix, struct tm_mock_handler handler)
{
    assert(h->routes_count < TM_TEST_ROUTES_MAX);
    h->routes[h->routes_count].prefix = prefix;
    h->routes[h->routes_count++].handler = handler;
}
