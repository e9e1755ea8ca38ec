/* The mock's streaming endpoint under virtual time: handlers called in process, a tiny world in the
 * place of a server. */
#include "mocks/salesforce/cometd.h"
#include "tests/support_org.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define CHANNEL "/data/AccountChangeEvent"
#define WOKEN_MAX 16

struct poll {
    struct tm_mock_request request;
    struct tm_mock_response response;
    bool open;
}; /* one exchange under way */
struct world {
    struct org_fixture f;
    struct tm_oauth *oauth;
    struct tm_bayeux *bayeux;
    struct tm_now now;
    char authorization[200], client[64];
    uint64_t woken[WOKEN_MAX];
    size_t woken_count;
};

static void world_wake(void *data, uint64_t token)
{
    struct world *w = data;
    assert_true(w->woken_count < WOKEN_MAX);
    w->woken[w->woken_count++] = token;
}

static void world_sign_in(struct world *w)
{
    static const char form[] = "grant_type=client_credentials&client_id=tidemark-consumer-key&"
                               "client_secret=tidemark-consumer-secret";
    struct tm_mock_request r;
    struct tm_mock_response out;
    assert_int_equal(
        tm_mock_request_init(&r, "POST", "/services/oauth2/token", form, strlen(form), NULL),
        TM_OK);
    r.now = w->now;
    tm_mock_response_init(&out);
    tm_oauth_token(w->oauth, &r, "http://x", &out);
    json_t *json = json_loads(tm_buf_text(&out.body), 0, NULL);
    snprintf(w->authorization, sizeof w->authorization, "OAuth %s",
             json_string_value(json_object_get(json, "access_token")));
    json_decref(json);
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
}

static void world_open_bayeux(struct world *w, size_t clients_max)
{
    struct tm_bayeux_settings settings = { .clients_max = clients_max,
                                           .wake = world_wake,
                                           .wake_data = w };
    tm_bayeux_close(w->bayeux);
    assert_int_equal(tm_bayeux_open(&w->bayeux, w->f.org, w->oauth, &settings, NULL), TM_OK);
}

static int world_open(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct tm_oauth_settings settings = { .seeded = true, .seed = 5 };
    org_fixture_open(&w->f);
    w->now = (struct tm_now){ ORG_ORIGIN_MS + 3600000, TM_NS_PER_S };
    assert_int_equal(tm_oauth_open(&w->oauth, &settings, NULL), TM_OK);
    world_sign_in(w);
    world_open_bayeux(w, 0);
    *state = w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;
    tm_bayeux_close(w->bayeux);
    tm_oauth_close(w->oauth);
    org_fixture_close(&w->f);
    free(w);
    return 0;
}

/* ---- exchanges ---- */

static void poll_start(struct world *w, struct poll *p, const char *method, const char *path,
                       const char *body)
{
    assert_int_equal(tm_mock_request_init(&p->request, method, path, body, strlen(body), NULL),
                     TM_OK);
    if (w->authorization[0] != '\0')
        assert_int_equal(
            tm_mock_pairs_add(&p->request.headers, "Authorization", w->authorization, NULL), TM_OK);
    assert_int_equal(tm_mock_pairs_add(&p->request.headers, "User-Agent", "tester/1", NULL), TM_OK);
    tm_mock_response_init(&p->response);
    p->request.now = w->now;
    p->open = true;
    tm_bayeux_request(w->bayeux, &p->request, &p->response);
}

static void poll_resume(struct world *w, struct poll *p)
{
    uint64_t token = p->response.token;
    assert_int_equal(p->response.outcome, TM_MOCK_HOLD);
    tm_mock_response_reset(&p->response);
    p->request.now = w->now;
    tm_bayeux_resume(w->bayeux, &p->request, token, &p->response);
}

/* The exchange is over, its answer received or lost. */
static json_t *poll_end(struct world *w, struct poll *p, bool sent)
{
    json_t *json = json_loads(tm_buf_text(&p->response.body), 0, NULL);
    if (p->response.token != 0)
        tm_bayeux_finished(w->bayeux, p->response.token, sent);
    tm_mock_response_free(&p->response);
    tm_mock_request_free(&p->request);
    p->open = false;
    return json;
}

static json_t *say(struct world *w, const char *body)
{
    struct poll p;
    poll_start(w, &p, "POST", "/cometd/59.0", body);
    assert_int_equal(p.response.outcome, TM_MOCK_ANSWER);
    assert_int_equal(p.response.status, 200);
    json_t *json = poll_end(w, &p, true);
    assert_true(json_is_array(json));
    return json;
}

static const char *text_of(const json_t *list, size_t index, const char *key)
{
    const char *text = json_string_value(json_object_get(json_array_get(list, index), key));
    return text != NULL ? text : "";
}

static void handshake(struct world *w)
{
    json_t *json =
        say(w, "[{\"channel\":\"/meta/"
               "handshake\",\"version\":\"1.0\",\"id\":\"1\",\"supportedConnectionTypes\":"
               "[\"websocket\",\"long-polling\"]}]");
    snprintf(w->client, sizeof w->client, "%s", text_of(json, 0, "clientId"));
    assert_true(strlen(w->client) >= 20 && strlen(w->client) <= 30);
    json_decref(json);
}

/* Subscribes from `replay`; the error text, "" when it went well (static). */
static const char *subscribe(struct world *w, const char *channel, int64_t replay)
{
    static char error[300];
    char body[600];
    snprintf(
        body, sizeof body,
        "{\"channel\":\"/meta/subscribe\",\"clientId\":\"%s\",\"id\":\"s\",\"subscription\":\"%s\","
        "\"ext\":{\"replay\":{\"%s\":%" PRId64 "}}}",
        w->client, channel, channel, replay);
    json_t *json = say(w, body);
    assert_string_equal(text_of(json, 0, "subscription"), channel);
    snprintf(error, sizeof error, "%s", text_of(json, 0, "error"));
    assert_int_equal(json_is_true(json_object_get(json_array_get(json, 0), "successful")),
                     error[0] == '\0');
    json_decref(json);
    return error;
}

static const char *connect_body(const struct world *w, const char *more)
{
    static char body[300];
    snprintf(body, sizeof body,
             "[{\"channel\":\"/meta/connect\",\"clientId\":\"%s\",\"id\":\"c\",\"connectionType\":"
             "\"long-polling\"%s}]",
             w->client, more);
    return body;
}

static void first_connect(struct world *w)
{
    json_t *json = say(w, connect_body(w, ""));
    json_t *advice = json_object_get(json_array_get(json, json_array_size(json) - 1), "advice");
    assert_int_equal(json_integer_value(json_object_get(advice, "timeout")), 110000);
    assert_string_equal(json_string_value(json_object_get(advice, "reconnect")), "retry");
    json_decref(json);
}

static void connect_held(struct world *w, struct poll *p)
{
    poll_start(w, p, "POST", "/cometd/59.0/connect", connect_body(w, ""));
    assert_int_equal(p->response.outcome, TM_MOCK_HOLD);
}

/* A client that follows the channel from `replay` on. */
static void follow(struct world *w, int64_t replay)
{
    handshake(w);
    assert_string_equal(subscribe(w, CHANNEL, replay), "");
}

/* A client that follows from now on and has had its first answer. */
static void follow_live(struct world *w)
{
    follow(w, -1);
    first_connect(w);
}

/* A live client whose connect is held. */
static void follow_held(struct world *w, struct poll *p)
{
    follow_live(w);
    connect_held(w, p);
}

static void commit(struct world *w, const char *name)
{
    char id[TM_ID_BYTES];
    org_make_account(w->f.org, id, name, w->now.org_ms);
    tm_bayeux_news(w->bayeux);
}

/* Replay ids of the deliveries in an answer, checked to grow. */
static size_t deliveries(const json_t *list, int64_t *out_last)
{
    size_t i, count = 0;
    json_t *message;
    int64_t last = 0;
    json_array_foreach(list, i, message)
    {
        json_t *event = json_object_get(json_object_get(message, "data"), "event");
        if (event == NULL)
            continue;
        assert_string_equal(json_string_value(json_object_get(message, "channel")), CHANNEL);
        assert_true(json_integer_value(json_object_get(event, "replayId")) > last);
        last = json_integer_value(json_object_get(event, "replayId"));
        count++;
    }
    if (out_last != NULL)
        *out_last = last;
    return count;
}

static void poll_brings(struct world *w, struct poll *p, bool sent, size_t events)
{
    json_t *json = poll_end(w, p, sent);
    assert_int_equal(deliveries(json, NULL), events);
    json_decref(json);
}

/* A connect answered at once brings so many events; the replay id of the last of them. */
static int64_t connect_brings(struct world *w, size_t events)
{
    int64_t last;
    json_t *json = say(w, connect_body(w, ""));
    assert_int_equal(deliveries(json, &last), events);
    json_decref(json);
    return last;
}

static const char *reconnect_advice(const json_t *list)
{
    const json_t *advice = json_object_get(json_array_get(list, 0), "advice");
    return json_string_value(json_object_get(advice, "reconnect"));
}

/* ---- tests ---- */

static void a_handshake_offers_replay_and_long_polling_only(void **state)
{
    struct poll p;
    poll_start(*state, &p, "POST", "/cometd/59.0/handshake",
               "{\"channel\":\"/meta/handshake\",\"id\":\"7\","
               "\"supportedConnectionTypes\":[\"long-polling\"]}");
    assert_non_null(strstr(tm_buf_text(&p.response.headers), "Set-Cookie: BAYEUX_BROWSER="));
    assert_null(strstr(tm_buf_text(&p.response.headers), "Secure"));
    json_t *json = poll_end(*state, &p, true), *reply = json_array_get(json, 0);
    assert_true(json_is_true(json_object_get(json_object_get(reply, "ext"), "replay")));
    assert_int_equal(json_array_size(json_object_get(reply, "supportedConnectionTypes")), 1);
    assert_string_equal(text_of(json, 0, "id"), "7");
    assert_null(json_object_get(reply, "advice"));
    json_decref(json);
}

static void a_handshake_without_a_good_token_is_denied_with_the_reason(void **state)
{
    struct world *w = *state;
    snprintf(w->authorization, sizeof w->authorization, "Bearer wrong");
    json_t *json = say(
        w, "[{\"channel\":\"/meta/handshake\",\"supportedConnectionTypes\":[\"long-polling\"]}]");
    assert_string_equal(text_of(json, 0, "error"), "403::Handshake denied");
    json_t *sfdc = json_object_get(json_object_get(json_array_get(json, 0), "ext"), "sfdc");
    assert_string_equal(json_string_value(json_object_get(sfdc, "failureReason")),
                        "401::Authentication invalid");
    json_decref(json);
    assert_int_equal(tm_bayeux_clients(w->bayeux), 0);
}

static void more_clients_than_allowed_are_refused(void **state)
{
    struct world *w = *state;
    world_open_bayeux(w, 1);
    handshake(w);
    json_t *json = say(
        w, "[{\"channel\":\"/meta/handshake\",\"supportedConnectionTypes\":[\"long-polling\"]}]");
    assert_string_equal(text_of(json, 0, "error"),
                        "403::Organization concurrent user limit exceeded");
    json_decref(json);
}

static void the_first_connect_is_answered_at_once_and_the_next_is_held_until_its_timeout(
    void **state)
{
    struct world *w = *state;
    struct poll p;
    follow_held(w, &p);
    assert_int_equal(p.response.until.wall_ns, w->now.wall_ns + 110 * TM_NS_PER_S);
    assert_int_equal(p.response.until.org_ms, TM_NEVER);
    w->now.wall_ns += 109 * TM_NS_PER_S;
    poll_resume(w, &p);
    assert_int_equal(p.response.outcome, TM_MOCK_HOLD);
    w->now.wall_ns += TM_NS_PER_S;
    poll_resume(w, &p);
    json_t *json = poll_end(w, &p, true);
    assert_int_equal(json_array_size(json), 1);
    assert_true(json_is_true(json_object_get(json_array_get(json, 0), "successful")));
    assert_null(json_object_get(json_array_get(json, 0), "advice"));
    json_decref(json);
}

static void a_connect_with_advice_timeout_zero_is_never_held(void **state)
{
    struct world *w = *state;
    handshake(w);
    first_connect(w);
    json_decref(say(w, connect_body(w, ",\"advice\":{\"timeout\":0}")));
}

static void a_commit_wakes_the_held_poll_and_its_event_comes_before_the_reply(void **state)
{
    struct world *w = *state;
    struct poll p;
    follow_held(w, &p);
    commit(w, "Acme");
    assert_int_equal(w->woken_count, 1);
    assert_int_equal(w->woken[0], p.response.token);
    poll_resume(w, &p);
    json_t *json = poll_end(w, &p, true);
    assert_int_equal(deliveries(json, NULL), 1);
    assert_int_equal(json_array_size(json), 2);
    json_t *payload = json_object_get(json_object_get(json_array_get(json, 0), "data"), "payload");
    assert_string_equal(json_string_value(json_object_get(payload, "Name")), "Acme");
    assert_string_equal(text_of(json, 1, "channel"), "/meta/connect");
    json_decref(json);
    connect_held(w, &p);
    json_decref(poll_end(w, &p, false));
}

static void a_commit_of_another_object_wakes_nobody(void **state)
{
    struct world *w = *state;
    struct poll p;
    char id[TM_ID_BYTES];
    follow_held(w, &p);
    org_make_opportunity(w->f.org, id, "o", NULL, w->now.org_ms);
    tm_bayeux_news(w->bayeux);
    assert_int_equal(w->woken_count, 0);
    json_decref(poll_end(w, &p, false));
}

static void an_event_becomes_deliverable_at_commit_plus_the_publish_delay(void **state)
{
    struct world *w = *state;
    struct poll p;
    w->f.settings.publish_delay_ms = 5000;
    org_fixture_reopen(&w->f);
    world_open_bayeux(w, 0);
    follow_held(w, &p);
    commit(w, "later");
    poll_resume(w, &p);
    assert_int_equal(p.response.outcome, TM_MOCK_HOLD);
    assert_int_equal(p.response.until.org_ms, w->now.org_ms + 5000);
    w->now.org_ms += 5000;
    poll_resume(w, &p);
    poll_brings(w, &p, true, 1);
}

static void events_handed_to_a_dead_poll_are_delivered_again(void **state)
{
    struct world *w = *state;
    struct poll p;
    int64_t calls, events;
    follow_held(w, &p);
    commit(w, "once");
    poll_resume(w, &p);
    poll_brings(w, &p, false, 1);
    tm_org_usage_day(w->f.org, w->now.org_ms, &calls, &events);
    assert_int_equal(events, 0);
    connect_brings(w, 1);
    tm_org_usage_day(w->f.org, w->now.org_ms, &calls, &events);
    assert_int_equal(events, 1);
    assert_int_equal(calls, 0);
}

static void a_new_connect_ends_the_held_one(void **state)
{
    struct world *w = *state;
    struct poll old, new;
    follow_held(w, &old);
    connect_held(w, &new);
    assert_int_equal(w->woken[0], old.response.token);
    poll_resume(w, &old);
    json_t *json = poll_end(w, &old, true);
    assert_int_equal(json_array_size(json), 1);
    assert_true(json_is_true(json_object_get(json_array_get(json, 0), "successful")));
    json_decref(json);
    commit(w, "to the new one");
    poll_resume(w, &new);
    poll_brings(w, &new, true, 1);
}

static void replay_starts_at_the_tip_the_oldest_or_after_an_id(void **state)
{
    struct world *w = *state;
    commit(w, "a");
    commit(w, "b");
    commit(w, "c");
    follow(w, -2);
    int64_t last = connect_brings(w, 3);
    follow(w, last - 1);
    connect_brings(w, 1);
    follow(w, -1);
    connect_brings(w, 0);
    assert_string_equal(subscribe(w, CHANNEL, last), "");
}

static void a_replay_id_that_is_not_retained_gets_the_documented_text(void **state)
{
    struct world *w = *state;
    static const char text[] = "400::The replayId {%s} you provided was invalid.  Please provide a "
                               "valid ID, -2 to replay all "
                               "events, or -1 to replay only new events.";
    char wanted[300];
    commit(w, "a");
    handshake(w);
    snprintf(wanted, sizeof wanted, text, "99999999");
    assert_string_equal(subscribe(w, CHANNEL, 99999999), wanted);
    snprintf(wanted, sizeof wanted, text, "-7");
    assert_string_equal(subscribe(w, CHANNEL, -7), wanted);
    int64_t old = tm_org_replay_last(w->f.org, "Account") - 1;
    w->now.org_ms += TM_ORG_RETENTION_MS + 1000;
    commit(w, "much later");
    snprintf(wanted, sizeof wanted, text, "1");
    if (old >= 1)
        assert_string_equal(subscribe(w, CHANNEL, 1), wanted);
}

static void a_live_subscription_that_fell_behind_retention_is_ended_not_skipped(void **state)
{
    struct world *w = *state;
    commit(w, "a");
    follow(w, -2);
    int64_t last = connect_brings(w, 1);
    commit(w, "missed");
    w->now.org_ms += TM_ORG_RETENTION_MS + 1000;
    commit(w, "much later");
    json_t *json = say(w, connect_body(w, ""));
    assert_int_equal(deliveries(json, NULL), 0);
    assert_string_equal(text_of(json, 0, "error"), "403::Unknown client");
    assert_string_equal(reconnect_advice(json), "handshake");
    json_decref(json);
    assert_int_equal(tm_bayeux_clients(w->bayeux), 0);
    handshake(w);
    assert_non_null(strstr(subscribe(w, CHANNEL, last), "you provided was invalid"));
}

static void a_quiet_channel_does_not_fall_behind_while_others_expire(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES];
    follow_live(w);
    org_make_opportunity(w->f.org, id, "of another channel", NULL, w->now.org_ms);
    w->now.org_ms += TM_ORG_RETENTION_MS + 1000;
    commit(w, "the first of its own");
    connect_brings(w, 1);
}

static void channels_that_do_not_exist_are_refused(void **state)
{
    struct world *w = *state;
    handshake(w);
    assert_non_null(strstr(subscribe(w, "/data/NothingChangeEvent", -1),
                           "400::The channel you requested to subscribe to does not exist"));
    static const char *const none[] = { "/topic/x", "/event/X__e", "/u/x",   "/data/Nobody__chn",
                                        "/data/",   "/topic/",     "/event/" };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_non_null(strstr(subscribe(w, none[i], -1), "does not exist"));
    assert_string_equal(subscribe(w, "/chat/room", -1), "403::Cannot create channel {/chat/room}");
    assert_non_null(strstr(subscribe(w, "data/AccountChangeEvent", -1),
                           "400::Channel subscriptions must start with a leading '/'"));
    char letters[140] = "/u/"; /* the 120th byte of the name is in the middle of a letter */
    for (size_t i = 3; i + 2 < sizeof letters; i += 2)
        memcpy(letters + i, "\xc3\xa9", 3);
    assert_non_null(strstr(subscribe(w, letters, -1), "does not exist"));
    json_t *json = say(
        w, "{\"channel\":\"/meta/subscribe\",\"clientId\":\"nobody\",\"subscription\":\"" CHANNEL
           "\"}");
    assert_string_equal(text_of(json, 0, "error"), "403::Unknown client");
    json_decref(json);
}

static void a_client_silent_for_forty_seconds_is_unknown(void **state)
{
    struct world *w = *state;
    handshake(w);
    first_connect(w);
    w->now.wall_ns += 39 * TM_NS_PER_S;
    json_decref(say(w, connect_body(w, ",\"advice\":{\"timeout\":0}")));
    w->now.wall_ns += 41 * TM_NS_PER_S;
    json_t *json = say(w, connect_body(w, "")), *reply = json_array_get(json, 0);
    assert_string_equal(text_of(json, 0, "error"), "403::Unknown client");
    assert_string_equal(reconnect_advice(json), "handshake");
    assert_null(json_object_get(reply, "clientId"));
    json_decref(json);
}

static void a_client_whose_held_poll_broke_late_is_still_known(void **state)
{
    struct world *w = *state;
    struct poll p;
    handshake(w);
    first_connect(w);
    connect_held(w, &p);
    w->now.wall_ns += 100 * TM_NS_PER_S;
    json_decref(poll_end(w, &p, false));
    json_t *json = say(w, connect_body(w, ",\"advice\":{\"timeout\":0}"));
    assert_string_equal(text_of(json, 0, "error"), "");
    json_decref(json);
}

static void a_held_poll_with_an_expired_token_ends_in_401(void **state)
{
    struct world *w = *state;
    struct poll p;
    handshake(w);
    first_connect(w);
    connect_held(w, &p);
    tm_oauth_expire_all(w->oauth);
    poll_resume(w, &p);
    json_t *json = poll_end(w, &p, true);
    assert_string_equal(text_of(json, 0, "error"), "401::Authentication invalid");
    json_decref(json);
    json = say(w, connect_body(w, ""));
    assert_string_equal(text_of(json, 0, "error"), "401::Authentication invalid");
    assert_string_equal(reconnect_advice(json), "none");
    json_decref(json);
}

static void a_client_id_belongs_to_the_session_that_shook_hands(void **state)
{
    struct world *w = *state;
    char own[200];
    follow_live(w);
    snprintf(own, sizeof own, "%s", w->authorization);
    world_sign_in(w); /* anew, and the client id is kept */
    json_t *json = say(w, connect_body(w, ""));
    assert_string_equal(text_of(json, 0, "error"), "403::Unknown client");
    assert_string_equal(reconnect_advice(json), "handshake");
    assert_null(json_object_get(json_array_get(json, 0), "clientId"));
    json_decref(json);
    assert_string_equal(subscribe(w, CHANNEL, -1), "403::Unknown client");
    commit(w, "for its own");
    snprintf(w->authorization, sizeof w->authorization, "Bearer nobody's");
    json = say(w, connect_body(w, ""));
    assert_string_equal(text_of(json, 0, "error"), "401::Authentication invalid");
    json_decref(json);
    snprintf(w->authorization, sizeof w->authorization, "%s", own);
    connect_brings(w, 1); /* nobody ended it */
}

static void a_session_that_is_ended_ends_its_held_poll_at_once_and_no_other(void **state)
{
    struct world *w = *state;
    struct poll first, second;
    char gone[200];
    follow_held(w, &first);
    snprintf(gone, sizeof gone, "%s", w->authorization + strlen("OAuth "));
    world_sign_in(w);
    follow_held(w, &second);
    assert_true(tm_oauth_forget(w->oauth, gone));
    tm_bayeux_news(w->bayeux);
    assert_int_equal(w->woken_count, 1);
    assert_int_equal(w->woken[0], first.response.token);
    assert_int_equal(tm_bayeux_clients(w->bayeux), 1);
    poll_resume(w, &first);
    json_t *json = poll_end(w, &first, true);
    assert_string_equal(text_of(json, 0, "error"), "401::Authentication invalid");
    assert_string_equal(reconnect_advice(json), "none");
    assert_int_equal(strlen(text_of(json, 0, "clientId")), strlen(w->client));
    json_decref(json);
    commit(w, "for the other");
    poll_resume(w, &second);
    poll_brings(w, &second, true, 1);
}

static void a_held_poll_ends_when_the_time_of_its_session_is_over(void **state)
{
    struct world *w = *state;
    struct poll p;
    int64_t over_ns = w->now.wall_ns + 7200 * TM_NS_PER_S;
    w->now.wall_ns = over_ns - 50 * TM_NS_PER_S;
    follow_held(w, &p);
    assert_int_equal(p.response.until.wall_ns, over_ns);
    w->now.wall_ns = over_ns;
    poll_resume(w, &p);
    json_t *json = poll_end(w, &p, true);
    assert_string_equal(text_of(json, 0, "error"), "401::Authentication invalid");
    json_decref(json);
    assert_int_equal(tm_bayeux_clients(w->bayeux), 0);
}

static void the_daily_allocation_of_events_stops_delivery(void **state)
{
    struct world *w = *state;
    w->f.settings.events_per_day = 2;
    org_fixture_reopen(&w->f);
    world_open_bayeux(w, 0);
    for (int i = 0; i < 4; i++)
        commit(w, "x");
    follow(w, -2);
    connect_brings(w, 2);
    json_t *json = say(w, connect_body(w, ""));
    assert_string_equal(text_of(json, 0, "error"),
                        "403::Organization total events daily limit exceeded");
    json_decref(json);
}

static void one_answer_carries_at_most_a_megabyte_and_the_rest_comes_next(void **state)
{
    struct world *w = *state;
    size_t got = 0, answers = 0, most = 0;
    int64_t last = 0, answer_last;
    for (int i = 0; i < 3000; i++)
        commit(w, "many");
    follow(w, -2);
    while (got < 3000 && answers++ < 100) {
        struct poll p;
        poll_start(w, &p, "POST", "/cometd/59.0", connect_body(w, ""));
        if (p.response.body.bytes > most)
            most = p.response.body.bytes;
        json_t *json = poll_end(w, &p, true);
        got += deliveries(json, &answer_last);
        assert_true(answer_last > last);
        last = answer_last;
        json_decref(json);
    }
    assert_int_equal(got, 3000);
    assert_true(answers > 1);
    assert_true(most <= TM_BAYEUX_POLL_BYTES_MAX + 1024);
}

static void connect_and_subscribe_in_one_request_are_both_answered_at_once(void **state)
{
    struct world *w = *state;
    char body[600];
    handshake(w);
    first_connect(w);
    snprintf(body, sizeof body,
             "[{\"channel\":\"/meta/"
             "connect\",\"clientId\":\"%s\",\"id\":\"1\",\"connectionType\":\"long-polling\"},"
             "{\"channel\":\"/meta/"
             "subscribe\",\"clientId\":\"%s\",\"id\":\"2\",\"subscription\":\"" CHANNEL "\"}]",
             w->client, w->client);
    json_t *json = say(w, body);
    assert_int_equal(json_array_size(json), 2);
    assert_string_equal(text_of(json, 0, "id"), "1");
    assert_string_equal(text_of(json, 1, "id"), "2");
    json_decref(json);
}

static void a_subscription_wakes_the_connect_its_own_client_holds(void **state)
{
    struct world *w = *state;
    struct poll p;
    commit(w, "before");
    handshake(w);
    first_connect(w);
    connect_held(w, &p);
    assert_string_equal(subscribe(w, CHANNEL, -2), "");
    assert_int_equal(w->woken_count, 1);
    poll_resume(w, &p);
    poll_brings(w, &p, true, 1);
}

static void unsubscribe_and_disconnect_end_what_they_name(void **state)
{
    struct world *w = *state;
    struct poll p;
    char body[300];
    follow_live(w);
    snprintf(body, sizeof body,
             "{\"channel\":\"/meta/unsubscribe\",\"clientId\":\"%s\",\"subscription\":\"" CHANNEL
             "\"}",
             w->client);
    json_decref(say(w, body));
    connect_held(w, &p);
    commit(w, "unheard");
    assert_int_equal(w->woken_count, 0);
    snprintf(body, sizeof body, "{\"channel\":\"/meta/disconnect\",\"clientId\":\"%s\"}",
             w->client);
    json_decref(say(w, body));
    assert_int_equal(w->woken_count, 1);
    poll_resume(w, &p);
    json_decref(poll_end(w, &p, true));
    assert_int_equal(tm_bayeux_clients(w->bayeux), 0);
}

static void bad_requests_get_an_immediate_4xx(void **state)
{
    struct world *w = *state;
    struct poll p;
    static char big[TM_BAYEUX_REQUEST_BYTES_MAX + 2];
    memset(big, ' ', sizeof big - 1);
    const struct {
        const char *method, *body;
        int status;
    } bad[] = {
        { "GET", "", 400 },    { "POST", "", 400 },    { "POST", "not json", 400 },
        { "POST", "[]", 400 }, { "POST", "[1]", 400 }, { "POST", big, 413 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        poll_start(w, &p, bad[i].method, "/cometd/59.0", bad[i].body);
        assert_int_equal(p.response.outcome, TM_MOCK_ANSWER);
        assert_int_equal(p.response.status, bad[i].status);
        json_decref(poll_end(w, &p, true));
    }
    poll_start(w, &p, "POST", "/cometd", "{\"channel\":\"/meta/handshake\"}");
    assert_non_null(
        strstr(tm_buf_text(&p.response.body), "400::API version in the URI is mandatory"));
    json_decref(poll_end(w, &p, true));
    poll_start(w, &p, "POST", "/cometd/22.0", "{\"channel\":\"/meta/handshake\"}");
    assert_non_null(strstr(tm_buf_text(&p.response.body), "400::Unsupported API version"));
    json_decref(poll_end(w, &p, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
        T(a_handshake_offers_replay_and_long_polling_only),
        T(a_handshake_without_a_good_token_is_denied_with_the_reason),
        T(more_clients_than_allowed_are_refused),
        T(the_first_connect_is_answered_at_once_and_the_next_is_held_until_its_timeout),
        T(a_connect_with_advice_timeout_zero_is_never_held),
        T(a_commit_wakes_the_held_poll_and_its_event_comes_before_the_reply),
        T(a_commit_of_another_object_wakes_nobody),
        T(an_event_becomes_deliverable_at_commit_plus_the_publish_delay),
        T(events_handed_to_a_dead_poll_are_delivered_again),
        T(a_new_connect_ends_the_held_one),
        T(replay_starts_at_the_tip_the_oldest_or_after_an_id),
        T(a_replay_id_that_is_not_retained_gets_the_documented_text),
        T(a_live_subscription_that_fell_behind_retention_is_ended_not_skipped),
        T(a_quiet_channel_does_not_fall_behind_while_others_expire),
        T(channels_that_do_not_exist_are_refused),
        T(a_client_silent_for_forty_seconds_is_unknown),
        T(a_client_whose_held_poll_broke_late_is_still_known),
        T(a_held_poll_with_an_expired_token_ends_in_401),
        T(a_client_id_belongs_to_the_session_that_shook_hands),
        T(a_session_that_is_ended_ends_its_held_poll_at_once_and_no_other),
        T(a_held_poll_ends_when_the_time_of_its_session_is_over),
        T(the_daily_allocation_of_events_stops_delivery),
        T(one_answer_carries_at_most_a_megabyte_and_the_rest_comes_next),
        T(connect_and_subscribe_in_one_request_are_both_answered_at_once),
        T(a_subscription_wakes_the_connect_its_own_client_holds),
        T(unsubscribe_and_disconnect_end_what_they_name),
        T(bad_requests_get_an_immediate_4xx),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
