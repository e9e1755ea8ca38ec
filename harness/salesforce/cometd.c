#include "salesforce/cometd.h"
#include "base/log.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* when connection.max.message.size is not set */
#define COMETD_MESSAGE_BYTES (4u << 20)
/* more is 413 Maximum Request Size Exceeded */
#define COMETD_REQUEST_BYTES_MAX 32768
/* handshake, subscribe, first connect: connection.timeout */
#define COMETD_TIMEOUT_NS (30 * TM_NS_PER_S)
/* a connect is held that long unless advice says otherwise */
#define COMETD_HOLD_NS (110 * TM_NS_PER_S)
/* on top of the hold before a poll counts as dropped */
#define COMETD_NETWORK_NS (20 * TM_NS_PER_S)
/* an allowance is used up: next try */
#define COMETD_ALLOWANCE_NS (60 * TM_NS_PER_S)
/* fresh tokens refused in a row */
#define COMETD_REFUSALS_MAX 3

enum cometd_state { COMETD_IDLE, COMETD_SHAKEN, COMETD_SUBSCRIBED, COMETD_GAP, COMETD_STUCK };
/* What a refused message asks for. */
enum cometd_cure {
    CURE_SIGN_IN,
    CURE_HANDSHAKE,
    CURE_BACK_OFF,
    CURE_ALLOWANCE,
    CURE_REPLAY,
    CURE_NONE
};

struct tm_cometd {
    struct tm_sf_session *s;           /* borrowed */
    char *channel, *token, *client_id; /* token: the one this client id was made with */
    enum cometd_state state;
    struct tm_http_call *call; /* the exchange of `state`, under way, or NULL */
    int64_t replay_from;       /* TM_REPLAY_*, or last confirmed id */
    bool subscribed_once;      /* a subscription from replay_from stood before */
    bool live, waits_for_session;
    size_t bytes_max;
    int64_t hold_ns, interval_ns; /* advice */
    int64_t at_ns;                /* next message not before */
    int64_t first_failed_ns;
    unsigned failures, refusals, handshakes;
    uint64_t message_number;
    struct tm_err stuck; /* told again at every call */
    char trouble[200];   /* what is being waited out */
};

enum tm_code tm_cometd_open(struct tm_cometd **out, struct tm_sf_session *s, const char *channel,
                            int64_t replay_from, size_t message_bytes_max, struct tm_err *err)
{
    if (channel[0] != '/')
        return tm_fail(err, TM_E_ARG,
                       "channel \"%.80s\" must begin with '/', as /data/OpportunityChangeEvent",
                       channel);
    if (strlen(channel) > 400 || replay_from < TM_REPLAY_ALL)
        return tm_fail(err, TM_E_ARG, "channel %.80s cannot be replayed from %" PRId64, channel,
                       replay_from);
    struct tm_cometd *c = calloc(1, sizeof *c);
    if (c == NULL || (c->channel = strdup(channel)) == NULL) {
        free(c);
        return tm_fail(err, TM_E_NOMEM, "CometD client");
    }
    c->s = s;
    c->replay_from = replay_from;
    c->bytes_max = message_bytes_max != 0 ? message_bytes_max : COMETD_MESSAGE_BYTES;
    c->hold_ns = COMETD_HOLD_NS;
    *out = c;
    return TM_OK;
}

static void cometd_cancel(struct tm_cometd *c)
{
    struct tm_http *http = tm_sf_session_http(c->s);
    http->ops->cancel(http, c->call);
    c->call = NULL;
}

void tm_cometd_close(struct tm_cometd *c)
{
    if (c == NULL)
        return;
    cometd_cancel(c);
    free(c->channel);
    free(c->token);
    free(c->client_id);
    free(c);
}

void tm_cometd_confirm(struct tm_cometd *c, int64_t replay_id)
{
    assert(replay_id >= 0);
    if (replay_id > c->replay_from)
        c->replay_from = replay_id;
}

void tm_cometd_resume(struct tm_cometd *c, int64_t replay_from)
{
    assert(replay_from >= TM_REPLAY_ALL);
    c->replay_from = replay_from;
    c->subscribed_once = c->live = false;
    if (c->state == COMETD_STUCK)
        return;
    /* A poll under way may bring events of the old position: a new client id cannot. */
    c->state = c->call == NULL && c->state == COMETD_GAP ? COMETD_SHAKEN : COMETD_IDLE;
    cometd_cancel(c);
    c->at_ns = 0;
}

void tm_cometd_forget(struct tm_cometd *c)
{
    c->replay_from = TM_REPLAY_NEW;
}

bool tm_cometd_live(const struct tm_cometd *c)
{
    return c->live;
}
unsigned tm_cometd_handshakes(const struct tm_cometd *c)
{
    return c->handshakes;
}
const char *tm_cometd_trouble(const struct tm_cometd *c)
{
    return c->trouble;
}

int64_t tm_cometd_next_at(const struct tm_cometd *c)
{
    if (c->call != NULL || c->state == COMETD_GAP || c->state == COMETD_STUCK)
        return TM_NEVER;
    return c->waits_for_session ? tm_sf_session_next_at(c->s) : c->at_ns;
}

/* ---- failing ---- */

static void cometd_note(struct tm_cometd *c, const char *cause)
{
    if (strcmp(c->trouble, cause) == 0)
        return;
    snprintf(c->trouble, sizeof c->trouble, "%s", cause);
    if (*cause != '\0')
        tm_log(TM_LOG_WARN, "%s: %s", c->channel, cause);
}

static enum tm_code cometd_stick(struct tm_cometd *c, enum tm_code code, const char *text,
                                 struct tm_err *err)
{
    tm_err_clear(&c->stuck);
    tm_fail(&c->stuck, code, "%s", text);
    c->live = false;
    return tm_fail(err, code, "%s", text);
}

/* Starts over with a new handshake. What the old client id may have been sent and lost is asked for
 * again. */
static enum tm_code cometd_start_over(struct tm_cometd *c, const struct tm_now *now, bool at_once,
                                      const char *cause, struct tm_err *err)
{
    c->state = COMETD_IDLE;
    c->live = false;
    cometd_note(c, cause);
    if (c->failures++ == 0)
        c->first_failed_ns = now->wall_ns;
    c->at_ns = at_once && c->failures == 1
                   ? 0
                   : now->wall_ns + tm_sf_session_backoff_ns(c->s, c->failures);
    if (c->at_ns - c->first_failed_ns <= tm_sf_session_settings(c->s)->request_retry_ns_max)
        return TM_E_AGAIN;
    unsigned failures = c->failures;
    c->failures = 0;
    return tm_fail_retry(err, TM_E_IO, "%.80s: %u attempts in %" PRId64 " ms failed: %s",
                         c->channel, failures,
                         (int64_t)((now->wall_ns - c->first_failed_ns) / TM_NS_PER_MS), cause);
}

static enum tm_code cometd_allowance(struct tm_cometd *c, const struct tm_now *now,
                                     const char *cause)
{
    cometd_note(c, cause);
    c->state = COMETD_IDLE;
    c->live = false;
    c->failures = 0; /* hours may pass: this is not what the retry budget is for */
    c->at_ns = now->wall_ns + COMETD_ALLOWANCE_NS + tm_sf_session_backoff_ns(c->s, 8);
    return TM_E_AGAIN;
}

static enum tm_code cometd_sign_in(struct tm_cometd *c, const struct tm_now *now, const char *cause,
                                   struct tm_err *err)
{
    char text[320];
    const char *token = tm_sf_session_token(c->s);
    if (++c->refusals > COMETD_REFUSALS_MAX) {
        snprintf(text, sizeof text,
                 "%.80s: %u fresh tokens were refused: %s (may the user use the Streaming API?)",
                 c->channel, c->refusals, cause);
        c->state = COMETD_STUCK;
        return cometd_stick(c, TM_E_ARG, text, err);
    }
    if (token != NULL && c->token != NULL && strcmp(token, c->token) == 0)
        tm_sf_session_expired(c->s); /* else somebody else has already signed in again */
    return cometd_start_over(c, now, true, cause, err);
}

/* Facts: salesforce-wire.md 2.4. `said` is the Bayeux error, `reason` Salesforce's
 * ext.sfdc.failureReason. */
static enum cometd_cure cometd_cure(const char *said, const char *reason, const char *reconnect)
{
    static const struct {
        const char *words;
        enum cometd_cure cure;
    } table[] = {
        { "daily limit exceeded", CURE_ALLOWANCE },
        { "concurrent user limit exceeded", CURE_ALLOWANCE },
        { "400::The replayId", CURE_REPLAY },
        { "Unknown client", CURE_HANDSHAKE },
        { "has not completed handshake", CURE_HANDSHAKE },
        { "cookie present", CURE_HANDSHAKE },
        { "does not match the session", CURE_HANDSHAKE },
        { "401::", CURE_SIGN_IN },
        { "503::", CURE_BACK_OFF },
        { "500::", CURE_BACK_OFF },
        { "Handshake denied", CURE_SIGN_IN },
        { "400::", CURE_NONE },
        { "403::", CURE_NONE },
        { "404::", CURE_NONE },
        { "413::", CURE_NONE },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strstr(reason, table[i].words) != NULL || strstr(said, table[i].words) != NULL)
            return table[i].cure;
    if (strcmp(reconnect, "none") == 0)
        return CURE_NONE;
    return strcmp(reconnect, "handshake") == 0 ? CURE_HANDSHAKE : CURE_BACK_OFF;
}

static const char *cometd_text(const json_t *v)
{
    return json_is_string(v) ? json_string_value(v) : "";
}

static enum tm_code cometd_refused(struct tm_cometd *c, const struct tm_now *now,
                                   const json_t *message, struct tm_err *err)
{
    char cause[200], text[320];
    const char *said = cometd_text(json_object_get(message, "error"));
    const char *reason = cometd_text(
        json_object_get(json_object_get(json_object_get(message, "ext"), "sfdc"), "failureReason"));
    const char *reconnect =
        cometd_text(json_object_get(json_object_get(message, "advice"), "reconnect"));
    snprintf(cause, sizeof cause, "%s%s%s", *said != '\0' ? said : "refused without a word",
             *reason != '\0' ? "; " : "", reason);
    switch (cometd_cure(said, reason, reconnect)) {
    case CURE_SIGN_IN: return cometd_sign_in(c, now, cause, err);
    case CURE_HANDSHAKE: return cometd_start_over(c, now, true, cause, err);
    case CURE_BACK_OFF: return cometd_start_over(c, now, false, cause, err);
    case CURE_ALLOWANCE: return cometd_allowance(c, now, cause);
    case CURE_REPLAY: c->state = COMETD_GAP; return cometd_stick(c, TM_E_GAP, cause, err);
    case CURE_NONE: break;
    }
    snprintf(text, sizeof text, "channel %.100s refused: %s", c->channel, cause);
    c->state = COMETD_STUCK;
    return cometd_stick(c, TM_E_ARG, text, err);
}

/* ---- what is sent ---- */

static void cometd_compose(struct tm_cometd *c, struct tm_buf *b)
{
    int64_t from = c->replay_from;
    tm_buf_addf(b, "[{\"id\":\"%" PRIu64 "\",", ++c->message_number);
    if (c->state == COMETD_IDLE) {
        tm_buf_addz(
            b, "\"channel\":\"/meta/handshake\",\"version\":\"1.0\",\"minimumVersion\":\"1.0\","
               "\"supportedConnectionTypes\":[\"long-polling\"],\"ext\":{\"replay\":true}}]");
        return;
    }
    tm_buf_addz(b, "\"clientId\":");
    tm_buf_add_json_string(b, c->client_id, strlen(c->client_id));
    if (c->state == COMETD_SHAKEN) {
        /* "Only new" a second time would skip what came in between; everything retained is at worst
         * twice. */
        if (from == TM_REPLAY_NEW && c->subscribed_once)
            from = TM_REPLAY_ALL;
        tm_buf_addz(b, ",\"channel\":\"/meta/subscribe\",\"subscription\":");
        tm_buf_add_json_string(b, c->channel, strlen(c->channel));
        tm_buf_addz(b, ",\"ext\":{\"replay\":{");
        tm_buf_add_json_string(b, c->channel, strlen(c->channel));
        tm_buf_addf(b, ":%" PRId64 "}}}]", from);
    } else {
        tm_buf_addf(b, ",\"channel\":\"/meta/connect\",\"connectionType\":\"long-polling\"%s}]",
                    c->live ? "" : ",\"advice\":{\"timeout\":0}");
    }
}

static enum tm_code cometd_post(struct tm_cometd *c, struct tm_err *err)
{
    struct tm_http *http = tm_sf_session_http(c->s);
    struct tm_buf url, auth, body;
    tm_buf_init(&url, 4096);
    tm_buf_init(&auth, COMETD_REQUEST_BYTES_MAX);
    tm_buf_init(&body, COMETD_REQUEST_BYTES_MAX);
    tm_buf_addf(&url, "%s/cometd/%s", tm_sf_session_url(c->s), tm_sf_session_version(c->s));
    tm_buf_addf(&auth, "Authorization: Bearer %s", c->token);
    cometd_compose(c, &body);
    enum tm_code rc = tm_buf_check(&body, "CometD message", err);
    if (rc == TM_OK)
        rc = tm_buf_check(&url, "CometD URL", err);
    if (rc == TM_OK)
        rc = tm_buf_check(&auth, "access token", err);
    struct tm_http_request request = {
        .method = "POST",
        .url = tm_buf_text(&url),
        .body = tm_buf_text(&body),
        .body_bytes = body.bytes,
        .headers = { tm_buf_text(&auth), "Content-Type: application/json;charset=UTF-8",
                     "Accept: application/json" },
        .timeout_ns = c->state == COMETD_SUBSCRIBED && c->live ? c->hold_ns + COMETD_NETWORK_NS
                                                               : COMETD_TIMEOUT_NS,
        .reply_bytes_max = c->bytes_max,
    };
    if (rc == TM_OK)
        rc = http->ops->start(http, &c->call, &request, err);
    tm_buf_free(&url);
    tm_buf_free(&auth);
    tm_buf_free(&body);
    return rc;
}

/* Sends what `state` asks for. TM_E_AGAIN: sent, or not its time yet. */
static enum tm_code cometd_send(struct tm_cometd *c, const struct tm_now *now, struct tm_err *err)
{
    if (now->wall_ns < c->at_ns)
        return TM_E_AGAIN;
    enum tm_code rc = tm_sf_session_ready(c->s, now, err);
    c->waits_for_session = rc == TM_E_AGAIN;
    if (rc != TM_OK)
        return rc;
    if (c->state == COMETD_IDLE) {
        free(c->token);
        c->token = strdup(tm_sf_session_token(c->s));
        if (c->token == NULL)
            return tm_fail(err, TM_E_NOMEM, "CometD client");
    }
    rc = cometd_post(c, err);
    return rc == TM_OK ? TM_E_AGAIN : rc;
}

/* ---- what is answered ---- */

static int64_t cometd_ms(const json_t *advice, const char *key, int64_t preset_ns)
{
    const json_t *v = json_object_get(advice, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return preset_ns;
    return json_integer_value(v) > 600000 ? 600 * TM_NS_PER_S
                                          : json_integer_value(v) * TM_NS_PER_MS;
}

static enum tm_code cometd_shaken(struct tm_cometd *c, const json_t *message, struct tm_err *err)
{
    char text[200];
    const char *client_id = json_string_value(json_object_get(message, "clientId"));
    bool replay = json_is_true(json_object_get(json_object_get(message, "ext"), "replay"));
    if (client_id == NULL || !replay) {
        snprintf(text, sizeof text, "%.80s: the handshake %s", c->channel,
                 client_id == NULL ? "was answered without a clientId"
                                   : "does not offer replay: events would be lost");
        c->state = COMETD_STUCK;
        return cometd_stick(c, TM_E_PROTO, text, err);
    }
    free(c->client_id);
    c->client_id = strdup(client_id);
    if (c->client_id == NULL)
        return tm_fail(err, TM_E_NOMEM, "CometD client");
    c->handshakes++;
    c->state = COMETD_SHAKEN;
    return TM_OK;
}

static void cometd_went_well(struct tm_cometd *c)
{
    if (c->state == COMETD_SHAKEN) {
        c->state = COMETD_SUBSCRIBED;
        c->subscribed_once = true;
        return;
    }
    c->live = true;
    c->failures = c->refusals = 0;
    if (c->trouble[0] != '\0')
        tm_log(TM_LOG_INFO, "%s: live again, from replay id %" PRId64, c->channel, c->replay_from);
    cometd_note(c, "");
}

/* Takes one array of messages apart: deliveries to `events`, the meta answer decides the state. */
static enum tm_code cometd_messages(struct tm_cometd *c, const struct tm_now *now,
                                    const json_t *messages, json_t *events, struct tm_err *err)
{
    static const char *const expected[] = { [COMETD_IDLE] = "/meta/handshake",
                                            [COMETD_SHAKEN] = "/meta/subscribe",
                                            [COMETD_SUBSCRIBED] = "/meta/connect" };
    const json_t *answer = NULL;
    json_t *message;
    size_t i;
    json_array_foreach(messages, i, message)
    {
        if (json_is_object(json_object_get(message, "data"))) {
            if (json_array_append(events, message) != 0) {
                (void)cometd_start_over(c, now, true, "out of memory while taking events", NULL);
                return tm_fail(err, TM_E_NOMEM, "%.80s: %zu events", c->channel,
                               json_array_size(messages));
            }
        } else if (strcmp(cometd_text(json_object_get(message, "channel")), expected[c->state]) ==
                   0)
            answer = message;
    }
    if (answer == NULL && (json_array_size(events) == 0 || c->state != COMETD_SUBSCRIBED))
        return cometd_start_over(c, now, false, "the answer lacks a reply to what was sent", err);
    const json_t *advice = json_object_get(answer, "advice");
    c->hold_ns = cometd_ms(advice, "timeout", c->hold_ns);
    c->interval_ns = cometd_ms(advice, "interval", c->interval_ns);
    if (answer != NULL && !json_is_true(json_object_get(answer, "successful")))
        return cometd_refused(c, now, answer, err);
    if (c->state == COMETD_IDLE)
        return cometd_shaken(c, answer, err);
    cometd_went_well(c);
    c->at_ns = c->live && c->interval_ns > 0 ? now->wall_ns + c->interval_ns : 0;
    if (strcmp(cometd_text(json_object_get(advice, "reconnect")), "handshake") == 0) {
        c->state = COMETD_IDLE;
        c->live = false;
    }
    return TM_OK;
}

static enum tm_code cometd_status(struct tm_cometd *c, const struct tm_now *now, int status,
                                  struct tm_err *err)
{
    char text[200];
    snprintf(text, sizeof text, "HTTP %d from /cometd", status);
    if (status == 401)
        return cometd_sign_in(c, now, text, err);
    if (status == 420 || status == 429 || status >= 500 || status == 408)
        return cometd_start_over(c, now, false, text, err);
    snprintf(
        text, sizeof text,
        "%.80s: HTTP %d from %.60s/cometd/%s: is that a Salesforce instance, and the API version "
        "right?",
        c->channel, status, tm_sf_session_url(c->s) ? tm_sf_session_url(c->s) : "",
        tm_sf_session_version(c->s));
    c->state = COMETD_STUCK;
    return cometd_stick(c, TM_E_PROTO, text, err);
}

static enum tm_code cometd_answer(struct tm_cometd *c, const struct tm_now *now,
                                  const struct tm_http_reply *reply, json_t *events,
                                  struct tm_err *err)
{
    if (reply->status < 200 || reply->status >= 300)
        return cometd_status(c, now, reply->status, err);
    json_t *json = json_loadb(tm_buf_text(&reply->body), reply->body.bytes, 0, NULL),
           *messages = json;
    if (json == NULL)
        return cometd_start_over(c, now, false, "the answer is not JSON, or was cut short", err);
    /* a single message outside an array is allowed by Bayeux */
    if (json_is_object(json)) {
        messages = json_pack("[o]", json);
        if (messages == NULL)
            return tm_fail(err, TM_E_NOMEM, "CometD answer");
    }
    enum tm_code rc = cometd_messages(c, now, messages, events, err);
    json_decref(messages);
    return rc;
}

static enum tm_code cometd_broken(struct tm_cometd *c, const struct tm_now *now,
                                  const struct tm_err *cause, struct tm_err *err)
{
    char text[200];
    if (cause->code == TM_E_LIMIT) {
        snprintf(
            text, sizeof text,
            "%.80s: one delivery is larger than connection.max.message.size (%zu bytes): raise it",
            c->channel, c->bytes_max);
        c->state = COMETD_STUCK;
        return cometd_stick(c, TM_E_LIMIT, text, err);
    }
    if (cause->retriable) {
        snprintf(text, sizeof text, "%.199s", cause->msg);
        return cometd_start_over(c, now, false, text, err);
    }
    c->state = COMETD_STUCK;
    return cometd_stick(c, cause->code, cause->msg, err);
}

enum tm_code tm_cometd_next(struct tm_cometd *c, const struct tm_now *now, json_t **out_events,
                            struct tm_err *err)
{
    struct tm_http *http = tm_sf_session_http(c->s);
    struct tm_http_reply reply;
    struct tm_err cause = { .code = TM_OK };
    enum tm_code rc;
    if (c->state == COMETD_GAP || c->state == COMETD_STUCK)
        return tm_fail(err, c->stuck.code, "%s", c->stuck.msg);
    if (c->call == NULL)
        return cometd_send(c, now, err);
    tm_http_reply_init(&reply);
    json_t *events = json_array();
    rc = events == NULL ? tm_fail(err, TM_E_NOMEM, "CometD client")
                        : http->ops->poll(http, c->call, &reply, &cause);
    if (events == NULL || rc == TM_E_AGAIN)
        goto done;
    c->call = NULL;
    if (rc == TM_OK)
        rc = cometd_answer(c, now, &reply, events, err);
    else
        rc = cometd_broken(c, now, &cause, err);
    if (rc != TM_OK)
        goto done; /* events beside a refusal come again: nobody confirmed them */
    bool connected = c->live;
    /* The next message leaves at once: the server's hold, not the owner's work, sets the pace. */
    struct tm_err later = { .code = TM_OK };
    (void)cometd_send(c, now, &later); /* a failure to send shows again at the next call */
    if (connected || json_array_size(events) > 0) {
        *out_events = events;
        events = NULL;
        rc = TM_OK;
    } else {
        rc = TM_E_AGAIN;
    }
done:
    json_decref(events);
    tm_http_reply_free(&reply);
    return rc;
}
