/* cometd in a tiny world, exhaustively: a server with six events, and every pair of faults at every
 * exchange. Whatever breaks, all events after the first standing subscription arrive; twice is
 * allowed, never not at all. */
#include "salesforce/cometd.h"
#include "base/log.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define EVENTS 6
#define CH "/data/LeadChangeEvent"

enum fault {
    LOST_REQUEST,
    LOST_REPLY,
    TORN,
    BUSY_503,
    REFUSED_401,
    UNKNOWN_CLIENT,
    TOKEN_GONE,
    SERVER_BUSY,
    EMPTY_ANSWER,
    OWNER_CRASH,
    FAULTS
};
struct plan {
    unsigned at;
    enum fault fault;
};

/* The server: one commit log, clients with positions, tokens by number. */
struct server {
    struct tm_http base;
    int64_t tip, position, promised_after; /* promised_after: -1 until a subscription stood */
    unsigned client, token, valid_token;
    unsigned exchanges; /* CometD exchanges so far */
    const struct plan *plans;
    size_t plans_count;
    bool crash;
    char reply[2048];
};
struct tm_http_call {
    int status;
    char body[2048];
    bool broken, held;
};

static bool server_fault(struct server *s, enum fault *out)
{
    for (size_t i = 0; i < s->plans_count; i++)
        if (s->plans[i].at == s->exchanges) {
            *out = s->plans[i].fault;
            return true;
        }
    return false;
}

static void server_connect(struct server *s, struct tm_http_call *call, bool first)
{
    size_t n = 0;
    if (!first && s->position == s->tip && s->tip < EVENTS)
        s->tip++; /* something new is committed while the poll is held */
    if (!first && s->position == s->tip) {
        call->held = true;
        return;
    }
    n += (size_t)snprintf(call->body + n, sizeof call->body - n, "[");
    for (; !first && s->position < s->tip; s->position++)
        n += (size_t)snprintf(call->body + n, sizeof call->body - n,
                              "{\"data\":{\"event\":{\"replayId\":%d}},\"channel\":\"" CH "\"},",
                              (int)s->position + 1);
    snprintf(call->body + n, sizeof call->body - n,
             "{\"channel\":\"/meta/connect\",\"successful\":true}]");
}

static void server_process(struct server *s, struct tm_http_call *call, const char *body,
                           bool reply_lost)
{
    const char *id = strstr(body, "\"clientId\":\"C"), *replay = strstr(body, "{\"" CH "\":");
    if (strstr(body, "/meta/handshake") != NULL) {
        snprintf(call->body, sizeof call->body,
                 "[{\"channel\":\"/meta/handshake\",\"clientId\":\"C%u\",\"successful\":true,"
                 "\"ext\":{\"replay\":true}}]",
                 ++s->client);
        s->position = INT64_MAX;
    } else if (id == NULL || (unsigned)atoi(id + 13) != s->client) {
        snprintf(call->body, sizeof call->body,
                 "[{\"channel\":\"%s\",\"error\":\"403::Unknown client\",\"successful\":false}]",
                 replay != NULL ? "/meta/subscribe" : "/meta/connect");
    } else if (replay != NULL) {
        int64_t from = atoll(replay + strlen("{\"" CH "\":"));
        s->position = from == TM_REPLAY_NEW ? s->tip : from == TM_REPLAY_ALL ? 0 : from;
        if (s->promised_after < 0 && !reply_lost)
            s->promised_after = s->position;
        snprintf(call->body, sizeof call->body,
                 "[{\"channel\":\"/meta/subscribe\",\"successful\":true}]");
    } else {
        assert_true(s->position != INT64_MAX);
        server_connect(s, call, strstr(body, "\"timeout\":0") != NULL);
    }
}

static void server_break(struct server *s, struct tm_http_call *call, const char *body,
                         enum fault fault)
{
    static const char *const errors[FAULTS] = {
        [UNKNOWN_CLIENT] = "403::Unknown client",
        [TOKEN_GONE] = "401::Authentication invalid",
        [SERVER_BUSY] = "503::Server is too busy. Please try your request again later.",
    };
    const char *meta = strstr(body, "/meta/");
    switch (fault) {
    case LOST_REPLY:
    case TORN:
        server_process(s, call, body, true);
        call->broken = fault == LOST_REPLY;
        call->body[strlen(call->body) / 2] = '\0';
        call->held = false;
        return;
    case LOST_REQUEST: call->broken = true; return;
    case BUSY_503: call->status = 503; return;
    case REFUSED_401:
        call->status = 401;
        s->valid_token = s->token + 1;
        return;
    case EMPTY_ANSWER:
        server_process(s, call, body, true);
        strcpy(call->body, "[]");
        call->held = false;
        return;
    case OWNER_CRASH:
        server_process(s, call, body, true);
        s->crash = true;
        return;
    case UNKNOWN_CLIENT: s->client++; break;
    case TOKEN_GONE: s->valid_token = s->token + 1; break;
    default: break;
    }
    snprintf(call->body, sizeof call->body,
             "[{\"channel\":\"%.*s\",\"error\":\"%s\",\"successful\":false}]",
             (int)strcspn(meta, "\""), meta, errors[fault]);
}

static enum tm_code server_start(struct tm_http *http, struct tm_http_call **out,
                                 const struct tm_http_request *request, struct tm_err *err)
{
    struct server *s = (struct server *)http;
    struct tm_http_call *call = calloc(1, sizeof *call);
    enum fault fault;
    if (call == NULL)
        return tm_fail(err, TM_E_NOMEM, "call");
    call->status = 200;
    if (strstr(request->url, "/oauth2/token") != NULL) {
        s->token++;
        snprintf(call->body, sizeof call->body,
                 "{\"access_token\":\"%u\",\"instance_url\":\"http://o\"}", s->token);
    } else {
        char body[2048];
        snprintf(body, sizeof body, "%.*s", (int)request->body_bytes, (const char *)request->body);
        if (server_fault(s, &fault))
            server_break(s, call, body, fault);
        else
            server_process(s, call, body, false);
        s->exchanges++;
    }
    *out = call;
    return TM_OK;
}

static enum tm_code server_poll(struct tm_http *http, struct tm_http_call *call,
                                struct tm_http_reply *reply, struct tm_err *err)
{
    (void)http;
    if (call->held)
        return TM_E_AGAIN;
    bool broken = call->broken;
    reply->status = call->status;
    tm_buf_addz(&reply->body, call->body);
    free(call);
    return broken ? tm_fail_retry(err, TM_E_IO, "broken") : TM_OK;
}

static void server_cancel(struct tm_http *http, struct tm_http_call *call)
{
    (void)http;
    free(call);
}
static void server_close(struct tm_http *http)
{
    (void)http;
}

/* The owner: takes events, makes them durable at once or one answer late, starts over from there
 * when it crashes. */
struct owner {
    struct tm_sf_session *session;
    struct tm_cometd *cometd;
    int64_t from, durable, pending; /* durable: what it would find again after a crash */
    bool late, seen[EVENTS + 1];
};

static void owner_open(struct owner *o, struct server *s)
{
    static const struct tm_sf_settings set = {
        .instance = "http://o",
        .consumer_key = "k",
        .consumer_secret = "s",
        .grant = TM_SF_CLIENT_CREDENTIALS,
        .api_version = "59.0",
        .seed = 1,
    };
    struct tm_err err = { .code = TM_OK };
    assert_int_equal(tm_sf_session_open(&o->session, &s->base, &set, &err), TM_OK);
    assert_int_equal(tm_cometd_open(&o->cometd, o->session, CH, o->durable, 0, &err), TM_OK);
}

static void owner_close(struct owner *o)
{
    tm_cometd_close(o->cometd);
    tm_sf_session_close(o->session);
}

static void owner_take(struct owner *o, json_t *events)
{
    size_t i;
    json_t *e;
    if (o->pending > 0) {
        tm_cometd_confirm(o->cometd, o->pending);
        o->durable = o->pending;
    }
    json_array_foreach(events, i, e)
    {
        o->pending = json_integer_value(
            json_object_get(json_object_get(json_object_get(e, "data"), "event"), "replayId"));
        o->seen[o->pending] = true;
        if (!o->late) {
            tm_cometd_confirm(o->cometd, o->pending);
            o->durable = o->pending;
        }
    }
    json_decref(events);
}

static bool owner_has_all(const struct owner *o, const struct server *s)
{
    if (s->promised_after < 0 || s->tip < EVENTS)
        return false;
    for (int64_t id = s->promised_after + 1; id <= EVENTS; id++)
        if (!o->seen[id])
            return false;
    return true;
}

static void run_world(int64_t from, bool late, const struct plan *plans, size_t plans_count)
{
    static const struct tm_http_ops ops = { server_start, server_poll, server_cancel,
                                            server_close };
    struct server s = { .base = { .ops = &ops },
                        .tip = 2,
                        .promised_after = -1,
                        .plans = plans,
                        .plans_count = plans_count };
    struct owner o = { .durable = from, .late = late };
    struct tm_now now = { .wall_ns = TM_NS_PER_S };
    int i;
    owner_open(&o, &s);
    for (i = 0; i < 500 && !owner_has_all(&o, &s); i++) {
        struct tm_err err = { .code = TM_OK };
        json_t *events = NULL;
        enum tm_code rc = tm_cometd_next(o.cometd, &now, &events, &err);
        if (rc == TM_OK)
            owner_take(&o, events);
        else if (rc != TM_E_AGAIN)
            fail_msg("the subscription gave up: %s", err.msg);
        if (s.crash) {
            s.crash = false;
            if (o.durable == TM_REPLAY_NEW && s.promised_after >= 0)
                o.durable = TM_REPLAY_ALL; /* what an owner does that remembers having been live
                                              (first copy) */
            owner_close(&o);
            o.pending = 0;
            owner_open(&o, &s);
        }
        int64_t next = tm_cometd_next_at(o.cometd);
        if (next != TM_NEVER && next > now.wall_ns)
            now.wall_ns = next;
    }
    if (!owner_has_all(&o, &s))
        fail_msg("lost events: from %d, late %d, fault %d at %u, fault %d at %u", (int)from, late,
                 plans[0].fault, plans[0].at, plans_count > 1 ? (int)plans[1].fault : -1,
                 plans_count > 1 ? plans[1].at : 0);
    owner_close(&o);
}

static void no_single_fault_at_any_exchange_loses_an_event(void **state)
{
    static const int64_t froms[] = { TM_REPLAY_NEW, TM_REPLAY_ALL, 1 };
    (void)state;
    for (size_t f = 0; f < 3; f++)
        for (unsigned at = 0; at < 12; at++)
            for (int fault = 0; fault < FAULTS; fault++)
                for (int late = 0; late < 2; late++) {
                    struct plan plan = { at, (enum fault)fault };
                    run_world(froms[f], late, &plan, 1);
                }
}

static void no_pair_of_faults_loses_an_event(void **state)
{
    static const int64_t froms[] = { TM_REPLAY_NEW, TM_REPLAY_ALL, 1 };
    (void)state;
    for (size_t f = 0; f < 3; f++)
        for (unsigned a = 0; a < 10; a++)
            for (unsigned b = a + 1; b < 12; b++)
                for (int fault = 0; fault < FAULTS * FAULTS; fault++) {
                    struct plan plans[2] = { { a, (enum fault)(fault / FAULTS) },
                                             { b, (enum fault)(fault % FAULTS) } };
                    run_world(froms[f], fault & 1, plans, 2);
                }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_single_fault_at_any_exchange_loses_an_event),
        cmocka_unit_test(no_pair_of_faults_loses_an_event),
    };
    tm_log_init("fault_cometd", TM_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
