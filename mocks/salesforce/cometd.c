#include "mocks/salesforce/cometd_impl.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAYEUX_VERSION_FIRST 37 /* API versions this endpoint serves; /cometd/replay/ is older */
#define BAYEUX_MESSAGES_MAX 64  /* in one request */

/* ---- replies ---- */

void bayeux_reply(struct bayeux_turn *t, json_t *reply)
{
    char *text = reply != NULL ? json_dumps(reply, JSON_COMPACT) : NULL;
    if (t->replies++ > 0)
        tm_buf_addc(&t->out->body, ',');
    tm_buf_addz(&t->out->body, text != NULL ? text : "{}");
    free(text);
    json_decref(reply);
}

json_t *bayeux_message(const char *channel, const json_t *id, const char *error)
{
    json_t *reply = json_pack("{s:s,s:b}", "channel", channel, "successful", error == NULL);
    if (id != NULL)
        json_object_set_new(reply, "id", json_deep_copy(id));
    json_t *text = error != NULL ? json_string(error) : NULL;
    if (error != NULL && text == NULL) /* it names something and a letter of that was cut */
        text = json_sprintf("%.*s{}", (int)strcspn(error, "{"), error);
    if (text != NULL)
        json_object_set_new(reply, "error", text);
    return reply;
}

json_t *bayeux_advice(json_t *reply, const char *reconnect, int64_t timeout_ms)
{
    json_t *advice = json_pack("{s:s,s:i}", "reconnect", reconnect, "interval", 0);
    if (timeout_ms >= 0)
        json_object_set_new(advice, "timeout", json_integer(timeout_ms));
    json_object_set_new(reply, "advice", advice);
    return reply;
}

struct bayeux_client *bayeux_admit(struct tm_bayeux *b, struct bayeux_turn *t,
                                   const json_t *message, const char *channel)
{
    const char *id = json_string_value(json_object_get(message, "clientId"));
    const json_t *subscription = json_object_get(message, "subscription");
    const char *error = t->verdict == TM_OAUTH_BAD       ? "401::Authentication invalid"
                        : t->verdict == TM_OAUTH_MISSING ? "401::Request requires authentication"
                        : id != NULL                     ? "403::Unknown client"
                                     /* who names no client has not met the server yet */
                                     : "403::Client has not completed handshake";
    struct bayeux_client *c = bayeux_find(b, id);
    if (c != NULL && !tm_secret_same(c->session, t->session, sizeof c->session))
        c = NULL; /* somebody else's */
    if (c != NULL && t->verdict == TM_OAUTH_GOOD)
        return c;
    json_t *reply = bayeux_message(channel, json_object_get(message, "id"), error);
    if (json_is_string(subscription)) /* clients look for it in refusals too */
        json_object_set_new(reply, "subscription", json_deep_copy(subscription));
    if (id != NULL && t->verdict != TM_OAUTH_GOOD)
        json_object_set_new(reply, "clientId", json_string(id));
    bayeux_reply(t, bayeux_advice(reply, t->verdict == TM_OAUTH_GOOD ? "handshake" : "none", -1));
    if (c != NULL)
        bayeux_sign_out(b, c);
    return NULL;
}

/* ---- handshake ---- */

static size_t bayeux_clients_most(const struct tm_bayeux *b)
{
    const char *edition = tm_org_settings(b->org)->edition;
    if (b->settings.clients_max != 0)
        return b->settings.clients_max;
    if (edition != NULL && strcmp(edition, "developer") == 0)
        return 20;
    return edition != NULL && strcmp(edition, "enterprise") == 0 ? 1000 : TM_BAYEUX_CLIENTS_MAX;
}

static bool bayeux_offers_long_polling(const json_t *message)
{
    size_t i;
    json_t *type;
    json_array_foreach(json_object_get(message, "supportedConnectionTypes"), i,
                       type) if (json_is_string(type) &&
                                 strcmp(json_string_value(type), "long-polling") == 0) return true;
    return false;
}

static void bayeux_denied(struct bayeux_turn *t, const json_t *message, const char *error,
                          const char *reason)
{
    json_t *reply = bayeux_message("/meta/handshake", json_object_get(message, "id"), error);
    json_object_set_new(reply, "ext", json_pack("{s:{s:s}}", "sfdc", "failureReason", reason));
    json_object_set_new(reply, "advice", json_pack("{s:s}", "reconnect", "none"));
    bayeux_reply(t, reply);
}

static void bayeux_handshake(struct tm_bayeux *b, struct bayeux_turn *t, const json_t *message)
{
    char cookie[BAYEUX_ID_BYTES], header[128];
    struct bayeux_client *c;
    if (t->verdict != TM_OAUTH_GOOD) {
        bayeux_denied(t, message, "403::Handshake denied",
                      t->verdict == TM_OAUTH_BAD ? "401::Authentication invalid"
                                                 : "401::Request requires authentication");
        return;
    }
    if (!bayeux_offers_long_polling(message)) {
        bayeux_denied(t, message, "400::Invalid connection type {}",
                      "400::Invalid connection type {}");
        return;
    }
    if (b->clients_count >= bayeux_clients_most(b) || (c = bayeux_client_new(b, t)) == NULL) {
        bayeux_denied(t, message, "403::Organization concurrent user limit exceeded",
                      "403::Organization concurrent user limit exceeded");
        return;
    }
    tm_oauth_random(b->oauth, cookie, sizeof cookie);
    snprintf(header, sizeof header, "BAYEUX_BROWSER=%s; Path=/; HttpOnly", cookie);
    tm_mock_response_header(t->out, "Set-Cookie", header);
    json_t *reply = bayeux_message("/meta/handshake", json_object_get(message, "id"), NULL);
    json_object_update_new(reply, json_pack("{s:{s:b,s:b},s:s,s:s,s:s,s:[s]}", "ext", "replay", 1,
                                            "payload.format", 1, "version", "1.0", "minimumVersion",
                                            "1.0", "clientId", c->id, "supportedConnectionTypes",
                                            "long-polling"));
    bayeux_reply(t, reply);
}

/* ---- connect ---- */

/* The org cannot be read or the day's allocation is spent: an error reply instead of events. */
static bool bayeux_no_events(struct tm_bayeux *b, struct bayeux_client *c, struct bayeux_turn *t,
                             const json_t *id)
{
    int64_t calls, events, most = tm_org_settings(b->org)->events_per_day;
    tm_org_usage_day(b->org, b->now_ms, &calls, &events);
    if (most <= 0 || events < most)
        return false;
    json_t *reply =
        bayeux_message("/meta/connect", id, "403::Organization total events daily limit exceeded");
    json_object_set_new(reply, "clientId", json_string(c->id));
    bayeux_reply(t, bayeux_advice(reply, "none", -1));
    return true;
}

static void bayeux_connected(struct tm_bayeux *b, struct bayeux_client *c, struct bayeux_turn *t,
                             const json_t *id)
{
    json_t *reply = bayeux_message("/meta/connect", id, NULL);
    json_object_set_new(reply, "clientId", json_string(c->id));
    bayeux_reply(t, c->connected ? reply : bayeux_advice(reply, "retry", b->settings.long_poll_ms));
    c->connected = true;
}

/* Events it has not had are past retention. It must subscribe again, by its last replay id, and
 * will be refused: a subscription that went on at the oldest retained event would hide the loss. */
static void bayeux_left_behind(struct tm_bayeux *b, struct bayeux_client *c, struct bayeux_turn *t,
                               const json_t *id)
{
    bayeux_reply(t, bayeux_advice(bayeux_message("/meta/connect", id, "403::Unknown client"),
                                  "handshake", -1));
    bayeux_forget(b, c);
}

/* Events into the answer, or an error reply. True: there is something to answer with; `c` may be
 * gone then. */
static bool bayeux_gather(struct tm_bayeux *b, struct bayeux_client *c, struct bayeux_turn *t,
                          const json_t *id, int64_t *out_next_ms)
{
    *out_next_ms = TM_NEVER;
    if (bayeux_no_events(b, c, t, id))
        return true;
    enum tm_code rc = bayeux_events(b, c, t, out_next_ms, NULL);
    if (rc == TM_E_GAP) {
        bayeux_left_behind(b, c, t, id);
        return true;
    }
    if (rc != TM_OK) {
        const char *busy = "503::Server is too busy. Please try your request again later.";
        json_t *reply = bayeux_message("/meta/connect", id, "500::The org cannot be read");
        json_object_set_new(reply, "ext", json_pack("{s:{s:s}}", "sfdc", "failureReason", busy));
        json_object_set_new(reply, "clientId", json_string(c->id));
        bayeux_reply(t, bayeux_advice(reply, "retry", -1));
        return true;
    }
    if (c->handed_events == 0)
        return false;
    bayeux_connected(b, c, t, id);
    return true;
}

/* When a held poll is looked at again: for an event, its timeout, or the end of its session. */
static void bayeux_hold(const struct tm_bayeux *b, struct bayeux_turn *t,
                        const struct bayeux_poll *p, int64_t next_ms)
{
    int64_t session_ns = tm_oauth_until(b->oauth, p->client->session);
    tm_mock_hold(t->out, p->token,
                 (struct tm_wake){ next_ms, session_ns < p->until_ns ? session_ns : p->until_ns });
}

static void bayeux_connect(struct tm_bayeux *b, struct bayeux_turn *t, const json_t *message)
{
    const json_t *id = json_object_get(message, "id");
    const char *type = json_string_value(json_object_get(message, "connectionType"));
    const json_t *timeout = json_object_get(json_object_get(message, "advice"), "timeout");
    struct bayeux_client *c = bayeux_admit(b, t, message, "/meta/connect");
    int64_t next_ms, wait_ms = b->settings.long_poll_ms;
    if (c == NULL)
        return;
    if (type == NULL || strcmp(type, "long-polling") != 0) {
        char error[120];
        snprintf(error, sizeof error, "400::Invalid connection type {%.60s}",
                 type != NULL ? type : "");
        bayeux_reply(t, bayeux_message("/meta/connect", id, error));
        return;
    }
    struct bayeux_poll *poll = bayeux_poll_new(b, c, id);
    if (poll == NULL) {
        bayeux_reply(t, bayeux_message("/meta/connect", id, "500::out of memory"));
        return;
    }
    t->token = poll->token;
    if (bayeux_gather(b, c, t, id, &next_ms))
        return;
    if (json_is_integer(timeout) && json_integer_value(timeout) < wait_ms)
        wait_ms = json_integer_value(timeout);
    if (!c->connected || !t->alone || wait_ms <= 0) {
        bayeux_connected(b, c, t, id);
        return;
    }
    poll->held = t->held = true;
    poll->until_ns = b->now_ns + wait_ms * TM_NS_PER_MS;
    bayeux_hold(b, t, poll, next_ms);
}

static void bayeux_disconnect(struct tm_bayeux *b, struct bayeux_turn *t, const json_t *message)
{
    struct bayeux_client *c = bayeux_admit(b, t, message, "/meta/disconnect");
    if (c == NULL)
        return;
    json_t *reply = bayeux_message("/meta/disconnect", json_object_get(message, "id"), NULL);
    json_object_set_new(reply, "clientId", json_string(c->id));
    bayeux_reply(t, reply);
    bayeux_poll_end(b, c, BAYEUX_DISCONNECTED);
    bayeux_forget(b, c);
}

/* ---- a request ---- */

static void bayeux_dispatch(struct tm_bayeux *b, struct bayeux_turn *t, const json_t *message)
{
    const char *channel = json_string_value(json_object_get(message, "channel"));
    const json_t *id = json_object_get(message, "id");
    if (bayeux_is_busy(b, t, message))
        return;
    if (t->version == 0)
        bayeux_reply(
            t,
            bayeux_message(channel != NULL ? channel : "", id,
                           "400::API version in the URI is mandatory. URI format: '/cometd/NN.0'"));
    else if (t->version < BAYEUX_VERSION_FIRST)
        bayeux_reply(
            t,
            bayeux_message(
                channel != NULL ? channel : "", id,
                "400::Unsupported API version. Only API versions '37.0' and later are supported"));
    else if (channel == NULL)
        bayeux_reply(t, bayeux_message("", id, "400::Channel name not specified"));
    else if (strcmp(channel, "/meta/handshake") == 0)
        bayeux_handshake(b, t, message);
    else if (strcmp(channel, "/meta/connect") == 0)
        bayeux_connect(b, t, message);
    else if (strcmp(channel, "/meta/subscribe") == 0)
        bayeux_subscribe(b, t, message);
    else if (strcmp(channel, "/meta/unsubscribe") == 0)
        bayeux_unsubscribe(b, t, message);
    else if (strcmp(channel, "/meta/disconnect") == 0)
        bayeux_disconnect(b, t, message);
    else
        bayeux_reply(t, bayeux_message(channel, id, "403::Restricted channel"));
}

/* "/cometd/59.0", "/cometd/59.0/connect", "/cometd/replay/36.0" -> 59, 59, 37 (as good as). */
static int bayeux_version(const char *path)
{
    const char *at = path + strlen("/cometd");
    bool replay = strncmp(at, "/replay/", 8) == 0;
    char *end;
    if (replay)
        at += 7;
    long version = *at == '/' ? strtol(at + 1, &end, 10) : 0;
    if (version <= 0 || version > 1000 || strncmp(end, ".0", 2) != 0 ||
        (end[2] != '\0' && end[2] != '/'))
        return 0;
    return replay ? BAYEUX_VERSION_FIRST : (int)version;
}

static void bayeux_now(struct tm_bayeux *b, const struct tm_mock_request *r)
{
    b->now_ns = r->now.wall_ns;
    b->now_ms = r->now.org_ms;
}

static void bayeux_session(struct bayeux_turn *t)
{
    const char *token = tm_oauth_token_of(t->request);
    if (token != NULL)
        tm_secret_digest(t->session, token, strlen(token));
}

static void bayeux_used(struct tm_bayeux *b, const struct tm_mock_request *r,
                        const struct tm_mock_response *out)
{
    char client[TM_OAUTH_CLIENT_BYTES];
    struct tm_org_usage more = { .calls = 1,
                                 .bytes_in = (int64_t)r->body_bytes,
                                 .bytes_out = (int64_t)out->body.bytes };
    tm_org_usage_add(b->org, tm_oauth_client(b->oauth, r, client), "cometd", &more, b->now_ms);
}

static void bayeux_finish(struct tm_bayeux *b, struct bayeux_turn *t)
{
    tm_buf_addc(&t->out->body, ']');
    tm_mock_response_header(t->out, "Content-Type", "application/json;charset=UTF-8");
    tm_mock_response_header(t->out, "Cache-Control", "no-cache, no-store");
    t->out->outcome = TM_MOCK_ANSWER;
    t->out->token = t->token;
    bayeux_used(b, t->request, t->out);
}

static void bayeux_messages(struct tm_bayeux *b, struct bayeux_turn *t, const json_t *json)
{
    size_t i;
    json_t *message;
    t->alone = json_is_object(json) || json_array_size(json) == 1;
    tm_buf_addc(&t->out->body, '[');
    if (json_is_object(json))
        bayeux_dispatch(b, t, json);
    json_array_foreach(json, i, message) bayeux_dispatch(b, t, message);
    if (!t->held)
        bayeux_finish(b, t);
}

void tm_bayeux_request(struct tm_bayeux *b, const struct tm_mock_request *r,
                       struct tm_mock_response *out)
{
    struct bayeux_turn t = { .request = r,
                             .out = out,
                             .verdict = tm_oauth_check(b->oauth, r),
                             .version = bayeux_version(r->path) };
    bayeux_session(&t);
    bayeux_now(b, r);
    bayeux_expire(b);
    if (strcmp(r->method, "POST") != 0) {
        tm_mock_answer(out, 400, "text/plain;charset=UTF-8",
                       "Bayeux messages come by POST; websockets are not served\n");
        return;
    }
    if (r->body_bytes > TM_BAYEUX_REQUEST_BYTES_MAX) {
        tm_mock_answer(out, 413, "text/plain;charset=UTF-8", "Maximum Request Size Exceeded\n");
        return;
    }
    json_t *json = r->body != NULL ? json_loadb(r->body, r->body_bytes, 0, NULL) : NULL;
    size_t i, bad = json_array_size(json) > BAYEUX_MESSAGES_MAX;
    json_t *message;
    json_array_foreach(json, i, message) bad += !json_is_object(message);
    if (json == NULL || bad > 0 || (json_is_array(json) && json_array_size(json) == 0))
        tm_mock_answer(out, 400, "text/plain;charset=UTF-8",
                       "the body must be a Bayeux message or an array of them\n");
    else
        bayeux_messages(b, &t, json);
    json_decref(json);
}

/* A held connect is looked at again; true when it has an answer. */
static bool bayeux_again(struct tm_bayeux *b, struct bayeux_turn *t, const struct bayeux_poll *p,
                         int64_t *out_next_ms)
{
    *out_next_ms = TM_NEVER;
    if (p->client != NULL && t->verdict != TM_OAUTH_GOOD)
        bayeux_forget(b, p->client);
    if (t->verdict != TM_OAUTH_GOOD || p->end == BAYEUX_SIGNED_OUT) {
        json_t *reply = bayeux_message("/meta/connect", p->id, "401::Authentication invalid");
        json_object_set_new(reply, "clientId", json_string(p->client_id));
        bayeux_reply(t, bayeux_advice(reply, "none", -1));
        return true;
    }
    if (p->end == BAYEUX_FORGOTTEN) {
        bayeux_reply(t, bayeux_advice(bayeux_message("/meta/connect", p->id, "403::Unknown client"),
                                      "handshake", -1));
        return true;
    }
    if (p->client == NULL) { /* gone, or it polls elsewhere */
        json_t *reply = bayeux_message("/meta/connect", p->id, NULL);
        json_object_set_new(reply, "clientId", json_string(p->client_id));
        bayeux_reply(t, p->end == BAYEUX_REPLACED ? reply : bayeux_advice(reply, "none", -1));
        return true;
    }
    if (bayeux_gather(b, p->client, t, p->id, out_next_ms))
        return true;
    if (b->now_ns < p->until_ns)
        return false;
    bayeux_connected(b, p->client, t, p->id);
    return true;
}

void tm_bayeux_resume(struct tm_bayeux *b, const struct tm_mock_request *r, uint64_t token,
                      struct tm_mock_response *out)
{
    struct bayeux_turn t = {
        .request = r, .out = out, .verdict = tm_oauth_check(b->oauth, r), .token = token
    };
    struct bayeux_poll *p = bayeux_poll_of(b, token);
    bool ended = p != NULL && p->client == NULL;
    int64_t next_ms;
    assert(p != NULL && p->held);
    bayeux_now(b, r);
    tm_buf_addc(&out->body, '[');
    if (!bayeux_again(b, &t, p, &next_ms)) {
        tm_buf_reset(&out->body);
        bayeux_hold(b, &t, p, next_ms);
        return;
    }
    p->held = false;
    if (ended) { /* nobody waits to be told how it went */
        bayeux_poll_drop(b, p, false);
        t.token = 0;
    }
    bayeux_finish(b, &t);
}

void tm_bayeux_finished(struct tm_bayeux *b, uint64_t token, bool sent)
{
    struct bayeux_poll *p = bayeux_poll_of(b, token);
    struct bayeux_client *c = p != NULL ? p->client : NULL;
    if (p == NULL)
        return;
    if (c != NULL && sent) {
        struct tm_org_usage more = { .events = c->handed_events };
        for (size_t i = 0; i < c->channels_count; i++)
            c->channels[i]->position = c->channels[i]->handed;
        if (c->handed_events > 0)
            tm_org_usage_add(b->org, c->agent, "cometd", &more, b->now_ms);
    }
    if (c != NULL)
        bayeux_unsend(c);
    bayeux_poll_drop(b, p, !sent);
}

enum tm_code tm_bayeux_open(struct tm_bayeux **out, struct tm_org *org, struct tm_oauth *oauth,
                            const struct tm_bayeux_settings *settings, struct tm_err *err)
{
    struct tm_bayeux *b = calloc(1, sizeof *b);
    assert(settings->wake != NULL);
    if (b == NULL)
        return tm_fail(err, TM_E_NOMEM, "the streaming endpoint");
    b->org = org;
    b->oauth = oauth;
    b->settings = *settings;
    if (b->settings.long_poll_ms == 0)
        b->settings.long_poll_ms = 110000;
    if (b->settings.client_ms_max == 0)
        b->settings.client_ms_max = 40000;
    *out = b;
    return TM_OK;
}

void tm_bayeux_close(struct tm_bayeux *b)
{
    if (b == NULL)
        return;
    for (size_t i = 0; i < BAYEUX_BUCKETS; i++) {
        while (b->clients[i] != NULL)
            bayeux_forget(b, b->clients[i]);
        while (b->polls[i] != NULL)
            bayeux_poll_drop(b, b->polls[i], false);
    }
    free(b);
}
