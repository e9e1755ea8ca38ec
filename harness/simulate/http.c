#include "simulate/http.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HTTP_TIMEOUT_NS (30 * TM_NS_PER_S)
#define HTTP_HOP_NS_MAX (60 * TM_NS_PER_MS)
#define HTTP_SLOW_NS_MAX (8 * TM_NS_PER_S)

enum http_state { HTTP_SENT, HTTP_HELD, HTTP_COMING, HTTP_THERE };
struct tm_http_call {
    struct tm_http_call *next;
    enum http_state state;
    const struct tm_sim_host *host;
    struct tm_mock_request request;
    struct tm_mock_response response;
    uint64_t token;
    bool woken, broken, refused, repeat;
    bool lose_answer, server_knows; /* else the server believes that it arrived */
    int64_t cut;                    /* thousandths of the body that arrive; 0 = all of it */
    int64_t sent_ns, due_ns, deadline_ns;
};

static int64_t http_hop(struct tm_sim_http *h, double slow)
{
    size_t at = TM_SIM_AT_HOP + h->station;
    int64_t ns = tm_sim_between(h->choices, at, 1, HTTP_HOP_NS_MAX);
    bool is_slow = tm_sim_chance(h->choices, at, slow);
    int64_t more_ns = tm_sim_between(h->choices, at, 0, is_slow ? HTTP_SLOW_NS_MAX : 0);
    h->fates[TM_SIM_FATE_SLOW] += is_slow;
    return h->hop_ns + ns + more_ns;
}

static enum tm_code http_headers(struct tm_mock_request *out, const struct tm_http_request *q,
                                 struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < TM_HTTP_HEADERS_MAX && q->headers[i] != NULL && rc == TM_OK; i++) {
        char name[128];
        const char *colon = strchr(q->headers[i], ':');
        assert(colon != NULL && (size_t)(colon - q->headers[i]) < sizeof name);
        snprintf(name, sizeof name, "%.*s", (int)(colon - q->headers[i]), q->headers[i]);
        rc = tm_mock_pairs_add(&out->headers, name, colon + 1 + strspn(colon + 1, " "), err);
    }
    return rc;
}

/* What will go wrong with it is drawn when it is sent, so that the draw does not depend on what it
 * finds. */
static void http_fate(struct tm_sim_http *h, struct tm_http_call *c)
{
    const struct tm_sim_faults *f = h->faults;
    const double chances[] = {
        f->lose_request,    f->hang, f->refuse, f->repeat, f->lose_answer / 2,
        f->lose_answer / 2, f->tear
    };
    size_t fate = tm_sim_fate(h->choices, TM_SIM_AT_FATE + h->station, chances,
                              sizeof chances / sizeof chances[0]);
    h->fates[fate]++;
    switch (fate) {
    case TM_SIM_FATE_REQUEST_LOST:
    case TM_SIM_FATE_HANG:
        c->state = HTTP_COMING;
        c->broken = true;
        if (fate == TM_SIM_FATE_HANG)
            c->due_ns = TM_NEVER;
        break;
    case TM_SIM_FATE_REFUSED: c->refused = true; break;
    case TM_SIM_FATE_REPEATED: c->repeat = true; break;
    case TM_SIM_FATE_ANSWER_LOST_KNOWN: c->server_knows = true; /* fall through */
    case TM_SIM_FATE_ANSWER_LOST: c->lose_answer = true; break;
    case TM_SIM_FATE_TORN:
        c->cut = tm_sim_between(h->choices, TM_SIM_AT_FATE + h->station, 1, 999);
        break;
    default: break;
    }
}

static void http_drop(struct tm_sim_http *h, struct tm_http_call *c)
{
    struct tm_http_call **at = &h->calls;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    tm_mock_request_free(&c->request);
    tm_mock_response_free(&c->response);
    free(c);
}

static enum tm_code http_start(struct tm_http *http, struct tm_http_call **out,
                               const struct tm_http_request *q, struct tm_err *err)
{
    struct tm_sim_http *h = (struct tm_sim_http *)http;
    const struct tm_sim_host *host = NULL;
    for (size_t i = 0; i < TM_SIM_HOSTS_MAX && host == NULL; i++)
        if (strncmp(q->url, h->hosts[i].prefix, strlen(h->hosts[i].prefix)) == 0)
            host = &h->hosts[i];
    if (host == NULL)
        return tm_fail(err, TM_E_IO, "no such host: %.200s", q->url);
    struct tm_http_call *c = calloc(1, sizeof *c), **at = &h->calls;
    if (c == NULL)
        return tm_fail(err, TM_E_NOMEM, "an HTTP exchange");
    while (*at != NULL)
        at = &(*at)->next;
    *at = c;
    c->host = host;
    c->sent_ns = h->now.wall_ns;
    c->deadline_ns = h->now.wall_ns + (q->timeout_ns > 0 ? q->timeout_ns : HTTP_TIMEOUT_NS);
    c->due_ns = h->now.wall_ns + http_hop(h, h->faults->slow);
    tm_mock_response_init(&c->response);
    enum tm_code rc = tm_mock_request_init(&c->request, q->method, q->url + strlen(host->prefix),
                                           q->body, q->body_bytes, err);
    if (rc == TM_OK)
        rc = http_headers(&c->request, q, err);
    if (rc == TM_OK && h->agent != NULL)
        rc = tm_mock_pairs_add(&c->request.headers, "User-Agent", h->agent, err);
    if (rc != TM_OK) {
        http_drop(h, c);
        return rc;
    }
    http_fate(h, c);
    http->counts.calls++;
    http->counts.bytes_out += q->body_bytes;
    *out = c;
    return TM_OK;
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
    struct tm_sim_http *h = (struct tm_sim_http *)http;
    if (c->state != HTTP_THERE)
        return TM_E_AGAIN;
    bool broken = c->broken;
    if (!broken) {
        http_copy(reply, &c->response);
        http->counts.bytes_in += reply->body.bytes;
    }
    reply->started_ns = c->sent_ns;
    reply->done_ns = h->now.wall_ns;
    http_drop(h, c);
    return broken ? tm_fail_retry(err, TM_E_IO, "the connection broke") : TM_OK;
}

static void http_cancel(struct tm_http *http, struct tm_http_call *c)
{
    struct tm_sim_http *h = (struct tm_sim_http *)http;
    if (c == NULL)
        return;
    if (c->state == HTTP_HELD && c->host->handler.finished != NULL)
        c->host->handler.finished(c->host->handler.self, c->token, false);
    http_drop(h, c);
}

static void http_close(struct tm_http *http)
{
    (void)http;
}

/* A proxy ends the answer early, and nothing else tells that it is not whole: a length that does
 * not fit, or a last chunk that is missing, is a lost answer to every client. Half a table would
 * look whole, so that only JSON arrives like that. */
static void http_tear(struct tm_http_call *c)
{
    struct tm_buf *body = &c->response.body;
    size_t keep = body->bytes * (size_t)c->cut / 1000;
    if (strstr(tm_buf_text(&c->response.headers), "application/") == NULL ||
        strstr(tm_buf_text(&c->response.headers), "json") == NULL || keep == 0) {
        c->broken = true;
        return;
    }
    body->bytes = keep;
    body->data[keep] = '\0';
}

/* The handler has spoken: held, or on its way back. */
static void http_spoke(struct tm_sim_http *h, struct tm_http_call *c)
{
    struct tm_mock_response *r = &c->response;
    if (r->outcome == TM_MOCK_HOLD) {
        c->state = HTTP_HELD;
        c->token = r->token;
        return;
    }
    bool cut = r->outcome == TM_MOCK_DROP || r->cut;
    c->broken = cut || c->lose_answer;
    bool sent = !cut && !r->disowned && !(c->lose_answer && c->server_knows);
    if (r->token != 0 && c->host->handler.finished != NULL)
        c->host->handler.finished(c->host->handler.self, r->token, sent);
    if (c->cut > 0 && !c->broken)
        http_tear(c);
    c->state = HTTP_COMING;
    c->due_ns = h->now.wall_ns + http_hop(h, h->faults->slow);
}

static void http_arrive(struct tm_sim_http *h, struct tm_http_call *c)
{
    struct tm_mock_handler *to = (struct tm_mock_handler *)&c->host->handler;
    if (c->refused) {
        tm_mock_answer(&c->response, 503, "text/plain", "planted");
        http_spoke(h, c);
        return;
    }
    to->request(to->self, &c->request, &c->response);
    if (c->repeat && c->response.outcome == TM_MOCK_ANSWER) {
        if (c->response.token != 0 && to->finished != NULL)
            to->finished(to->self, c->response.token, false);
        tm_mock_response_reset(&c->response);
        to->request(to->self, &c->request, &c->response);
    }
    http_spoke(h, c);
}

static void http_move(struct tm_sim_http *h, struct tm_http_call *c)
{
    struct tm_mock_handler *to = (struct tm_mock_handler *)&c->host->handler;
    c->request.now = h->now;
    if (c->state == HTTP_SENT && c->due_ns <= h->now.wall_ns)
        http_arrive(h, c);
    if (c->state == HTTP_HELD && (c->woken || c->response.until.wall_ns <= h->now.wall_ns ||
                                  c->response.until.org_ms <= h->now.org_ms)) {
        c->woken = false;
        tm_mock_response_reset(&c->response);
        to->resume(to->self, &c->request, c->token, &c->response);
        http_spoke(h, c);
    }
    if (c->state == HTTP_COMING && c->due_ns <= h->now.wall_ns)
        c->state = HTTP_THERE;
    if (c->state != HTTP_THERE && c->deadline_ns <= h->now.wall_ns) {
        if (c->state == HTTP_HELD && to->finished != NULL)
            to->finished(to->self, c->token, false);
        c->state = HTTP_THERE;
        c->broken = true;
    }
}

void tm_sim_http_pump(struct tm_sim_http *h, const struct tm_now *now)
{
    h->now = *now;
    for (struct tm_http_call *c = h->calls; c != NULL; c = c->next) {
        enum http_state before = c->state;
        if (before != HTTP_THERE)
            http_move(h, c);
        h->news |= before != HTTP_THERE && c->state == HTTP_THERE;
    }
}

static int64_t http_earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t tm_sim_http_next(const struct tm_sim_http *h, const struct tm_now *origin)
{
    int64_t next = TM_NEVER;
    for (const struct tm_http_call *c = h->calls; c != NULL; c = c->next) {
        if (c->state == HTTP_THERE)
            continue;
        next = http_earlier(next, c->deadline_ns);
        if (c->state != HTTP_HELD) {
            next = http_earlier(next, c->due_ns);
            continue;
        }
        next = http_earlier(next, c->woken ? h->now.wall_ns : c->response.until.wall_ns);
        if (c->response.until.org_ms < TM_NEVER)
            next = http_earlier(
                next, origin->wall_ns + (c->response.until.org_ms - origin->org_ms) * TM_NS_PER_MS);
    }
    return next;
}

void tm_sim_http_woken(struct tm_sim_http *h, uint64_t token)
{
    for (struct tm_http_call *c = h->calls; c != NULL; c = c->next)
        if (c->state == HTTP_HELD && c->token == token)
            c->woken = true;
}

void tm_sim_http_init(struct tm_sim_http *h, const struct tm_sim_host *hosts,
                      const struct tm_sim_faults *faults, struct tm_sim_choices *choices,
                      size_t station)
{
    static const struct tm_http_ops ops = { http_start, http_poll, http_cancel, http_close };
    *h = (struct tm_sim_http){ .port = { .ops = &ops },
                               .hosts = hosts,
                               .faults = faults,
                               .choices = choices,
                               .station = station };
}
