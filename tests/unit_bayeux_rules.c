/* The streaming endpoint rule by rule: the error table of the Streaming API guide (wire sheet 2.4)
 * and what breaks a real client when it is missed (its Appendix A, lines 1 to 9). Requests go
 * through the mock's own handler, under virtual time. */
#include "mocks/salesforce/routes.h"
#include "tests/support_org.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define CHANNEL "/data/AccountChangeEvent"
#define SHAKE "{\"channel\":\"/meta/handshake\",\"supportedConnectionTypes\":[\"long-polling\"]}"

struct world {
    struct org_fixture f;
    struct tm_salesforce *salesforce;
    struct tm_mock_handler handler;
    struct tm_now now;
    char token[200], client[64], headers[1000];
    int status;
    enum tm_mock_outcome outcome;
    json_t *got;
};

static void no_wake(void *data, uint64_t token)
{
    (void)data;
    (void)token;
}

/* One request; %C in the body stands for the client's id. A held one is asked again at its end. */
static json_t *ask(struct world *w, const char *method, const char *target, const char *body)
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    char text[40000] = "", bearer[240];
    size_t n = 0;
    for (const char *p = body != NULL ? body : ""; *p != '\0' && n + 80 < sizeof text; p++)
        if (strncmp(p, "%C", 2) == 0) {
            n += (size_t)snprintf(text + n, sizeof text - n, "%s", w->client);
            p++;
        } else
            text[n++] = *p;
    assert_int_equal(tm_mock_request_init(&r, method, target, text, n, NULL), TM_OK);
    snprintf(bearer, sizeof bearer, "%s", w->token); /* as EMP-Connector: no scheme */
    if (w->token[0] != '\0')
        tm_mock_pairs_add(&r.headers, "Authorization", bearer, NULL);
    tm_mock_pairs_add(&r.headers, "Cookie", "", NULL);
    r.now = w->now;
    tm_mock_response_init(&out);
    w->handler.request(w->handler.self, &r, &out);
    w->outcome = out.outcome;
    if (out.outcome == TM_MOCK_HOLD) {
        uint64_t token = out.token;
        tm_mock_response_reset(&out);
        r.now = w->now =
            (struct tm_now){ w->now.org_ms + 110000, w->now.wall_ns + 110 * TM_NS_PER_S };
        w->handler.resume(w->handler.self, &r, token, &out);
    }
    w->status = out.status;
    snprintf(w->headers, sizeof w->headers, "%s", tm_buf_text(&out.headers));
    if (out.token != 0)
        w->handler.finished(w->handler.self, out.token, true);
    json_decref(w->got);
    w->got = json_loadb(tm_buf_text(&out.body), out.body.bytes, JSON_DECODE_ANY, NULL);
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
    return w->got;
}

static const char *word(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "";
}

static const json_t *say(struct world *w, const char *body)
{
    return json_array_get(ask(w, "POST", "/cometd/59.0", body), 0);
}

static void handshake(struct world *w)
{
    snprintf(w->client, sizeof w->client, "%s", word(say(w, SHAKE), "clientId"));
}

static void serve(struct world *w)
{
    struct tm_salesforce_settings settings = { .oauth = { .seeded = true, .seed = 9 } };
    tm_salesforce_close(w->salesforce);
    assert_int_equal(tm_salesforce_open(&w->salesforce, w->f.org, &settings, NULL), TM_OK);
    tm_salesforce_wired(w->salesforce, no_wake, NULL);
    w->handler = tm_salesforce_handler(w->salesforce);
    w->token[0] = '\0';
    json_t *json = ask(w, "POST", "/services/oauth2/token",
                       "grant_type=client_credentials&client_id=tidemark-consumer-key&"
                       "client_secret=tidemark-consumer-secret");
    snprintf(w->token, sizeof w->token, "%s", word(json, "access_token"));
    handshake(w);
}

static int world_open(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    org_fixture_open(&w->f);
    w->now = (struct tm_now){ ORG_ORIGIN_MS + 3600000, TM_NS_PER_S };
    serve(w);
    *state = w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;
    json_decref(w->got);
    tm_salesforce_close(w->salesforce);
    org_fixture_close(&w->f);
    free(w);
    return 0;
}

/* ---- the error table ---- */

static void each_mistake_has_its_row_of_the_error_table(void **state)
{
    static const struct {
        const char *target, *body, *error;
    } all[] = {
        { "/cometd", SHAKE,
          "400::API version in the URI is mandatory. URI format: '/cometd/NN.0'" },
        { "/cometd/x", SHAKE,
          "400::API version in the URI is mandatory. URI format: '/cometd/NN.0'" },
        { "/cometd/36.0", SHAKE,
          "400::Unsupported API version. Only API versions '37.0' and later are supported" },
        { "/cometd/59.0",
          "{\"channel\":\"/meta/connect\",\"clientId\":\"%C\",\"connectionType\":\"websocket\"}",
          "400::Invalid connection type {websocket}" },
        { "/cometd/59.0",
          "{\"channel\":\"/meta/subscribe\",\"clientId\":\"%C\",\"subscription\":\"/data/"
          "XChangeEvent\"}",
          "400::The channel you requested to subscribe to does not exist {/data/XChangeEvent}" },
        { "/cometd/59.0", "{\"channel\":\"/meta/subscribe\",\"clientId\":\"%C\"}",
          "400::Channel name not specified" },
        { "/cometd/59.0", "{\"clientId\":\"%C\"}", "400::Channel name not specified" },
        { "/cometd/59.0",
          "{\"channel\":\"/meta/subscribe\",\"clientId\":\"%C\",\"subscription\":\"data/x\"}",
          "400::Channel subscriptions must start with a leading '/'" },
        { "/cometd/59.0",
          "{\"channel\":\"/meta/subscribe\",\"clientId\":\"%C\",\"subscription\":\"" CHANNEL
          "\",\"ext\":{\"replay\":{\"" CHANNEL "\":77}}}",
          "400::The replayId {77} you provided was invalid.  Please provide a valid ID, -2 to "
          "replay all events, or -1 to replay only new events." },
        { "/cometd/59.0",
          "{\"channel\":\"/meta/subscribe\",\"clientId\":\"%C\",\"subscription\":\"/chat\"}",
          "403::Cannot create channel {/chat}" },
        { "/cometd/59.0", "{\"channel\":\"/meta/connect\",\"connectionType\":\"long-polling\"}",
          "403::Client has not completed handshake" },
        { "/cometd/59.0", "{\"channel\":\"/meta/subscribe\",\"subscription\":\"" CHANNEL "\"}",
          "403::Client has not completed handshake" },
        { "/cometd/59.0", "{\"channel\":\"/meta/connect\",\"clientId\":\"gone\"}",
          "403::Unknown client" },
        { "/cometd/59.0", "{\"channel\":\"/data/x\",\"clientId\":\"%C\",\"data\":{}}",
          "403::Restricted channel" },
        { "/cometd/59.0", "{\"channel\":\"/meta/nothing\",\"clientId\":\"%C\"}",
          "403::Restricted channel" },
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const json_t *reply = json_array_get(ask(w, "POST", all[i].target, all[i].body), 0);
        assert_int_equal(w->status, 200);
        assert_true(json_is_false(json_object_get(reply, "successful")));
        assert_string_equal(word(reply, "error"), all[i].error);
    }
}

static void a_token_that_is_none_is_told_apart_from_no_token(void **state)
{
    struct world *w = *state;
    const char *connect = "{\"channel\":\"/meta/connect\",\"clientId\":\"%C\",\"connectionType\":"
                          "\"long-polling\"}";
    snprintf(w->token, sizeof w->token, "00Dbad");
    assert_string_equal(word(say(w, connect), "error"), "401::Authentication invalid");
    assert_string_equal(word(json_object_get(json_array_get(w->got, 0), "advice"), "reconnect"),
                        "none");
    const json_t *sfdc = json_object_get(json_object_get(say(w, SHAKE), "ext"), "sfdc");
    assert_string_equal(word(json_array_get(w->got, 0), "error"), "403::Handshake denied");
    assert_string_equal(word(sfdc, "failureReason"), "401::Authentication invalid");
    w->token[0] = '\0';
    assert_string_equal(word(say(w, connect), "error"), "401::Request requires authentication");
    sfdc = json_object_get(json_object_get(say(w, SHAKE), "ext"), "sfdc");
    assert_string_equal(word(sfdc, "failureReason"), "401::Request requires authentication");
}

static void more_than_a_hundred_subscriptions_of_a_client_are_refused(void **state)
{
    struct world *w = *state;
    char body[300];
    for (int i = 0; i <= TM_BAYEUX_CHANNELS_MAX;
         i++) { /* ?n makes each a subscription of its own */
        snprintf(body, sizeof body,
                 "{\"channel\":\"/meta/subscribe\",\"clientId\":\"%%C\",\"subscription\":\"" CHANNEL
                 "?%d\"}",
                 i);
        const char *error = word(say(w, body), "error");
        assert_string_equal(error, i < TM_BAYEUX_CHANNELS_MAX
                                       ? ""
                                       : "403::Subscription limit exceeded for this topic");
    }
}

static void requests_beyond_32_kilobytes_get_413(void **state)
{
    struct world *w = *state;
    static char body[TM_BAYEUX_REQUEST_BYTES_MAX + 200];
    memset(body, ' ', sizeof body - 1);
    memcpy(body, SHAKE, strlen(SHAKE));
    body[TM_BAYEUX_REQUEST_BYTES_MAX] = '\0';
    ask(w, "POST", "/cometd/59.0", body);
    assert_int_equal(w->status, 200);
    memset(body, ' ', sizeof body - 1);
    memcpy(body, SHAKE, strlen(SHAKE));
    body[TM_BAYEUX_REQUEST_BYTES_MAX + 1] = '\0';
    ask(w, "POST", "/cometd/59.0", body);
    assert_int_equal(w->status, 413);
}

/* ---- Appendix A, lines 2 to 9; line 1 is the HTTP server's (unit_http_server) ---- */

static void every_form_of_the_path_is_the_same_handler_and_a_get_is_answered_at_once(void **state)
{
    static const char *const paths[] = { "/cometd/43.0", "/cometd/43.0/", "/cometd/43.0/handshake",
                                         "/cometd/43.0/anything", "/cometd/replay/36.0" };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const json_t *reply = json_array_get(ask(w, "POST", paths[i], SHAKE), 0);
        assert_true(json_is_true(json_object_get(reply, "successful")));
        ask(w, "GET", paths[i], NULL);
        assert_int_equal(w->outcome, TM_MOCK_ANSWER);
        assert_in_range(w->status, 400, 499);
    }
}

static void a_handshake_is_what_all_clients_can_live_with(void **state)
{
    struct world *w = *state;
    const json_t *reply = say(w, SHAKE), *types;
    size_t n = strlen(word(reply, "clientId"));
    types = json_object_get(reply, "supportedConnectionTypes");
    assert_true(json_is_true(json_object_get(json_object_get(reply, "ext"), "replay")));
    assert_int_equal(json_array_size(types), 1);
    assert_string_equal(json_string_value(json_array_get(types, 0)), "long-polling");
    assert_in_range(n, 20, 30);
    assert_int_equal(strspn(word(reply, "clientId"), "0123456789abcdefghijklmnopqrstuvwxyz"), n);
    assert_null(json_object_get(reply, "advice"));
    assert_non_null(strstr(w->headers, "Set-Cookie: BAYEUX_BROWSER="));
    assert_null(strstr(w->headers, "Secure"));
}

static void the_first_connect_carries_the_advice_and_later_ones_do_not(void **state)
{
    struct world *w = *state;
    const char *connect = "[{\"channel\":\"/meta/connect\",\"clientId\":\"%C\",\"id\":7,"
                          "\"connectionType\":\"long-polling\"}]";
    const json_t *reply = say(w, connect), *advice = json_object_get(reply, "advice");
    assert_int_equal(w->outcome, TM_MOCK_ANSWER);
    assert_int_equal(json_integer_value(json_object_get(advice, "interval")), 0);
    assert_int_equal(json_integer_value(json_object_get(advice, "timeout")), 110000);
    assert_string_equal(word(advice, "reconnect"), "retry");
    assert_int_equal(json_integer_value(json_object_get(reply, "id")), 7); /* verbatim */
    reply = say(w, connect);
    assert_int_equal(w->outcome, TM_MOCK_HOLD);
    assert_null(json_object_get(reply, "advice"));
    assert_true(json_is_true(json_object_get(reply, "successful")));
}

/* aiocometd after a new handshake, faye at the end: one answer for each message, in order. */
static void a_batch_is_answered_message_by_message(void **state)
{
    struct world *w = *state;
    ask(w, "POST", "/cometd/59.0",
        "[{\"channel\":\"/meta/connect\",\"clientId\":\"%C\",\"id\":\"1\",\"connectionType\":"
        "\"long-polling\"},{\"channel\":\"/meta/subscribe\",\"clientId\":\"%C\",\"id\":\"2\","
        "\"subscription\":\"" CHANNEL "\"},{\"channel\":\"/meta/subscribe\",\"clientId\":\"%C\","
        "\"id\":\"3\",\"subscription\":\"/data/ChangeEvents\"}]");
    assert_int_equal(json_array_size(w->got), 3);
    for (size_t i = 0; i < 3; i++) {
        char id[2] = { (char)('1' + i), '\0' };
        assert_string_equal(word(json_array_get(w->got, i), "id"), id);
        assert_true(json_is_true(json_object_get(json_array_get(w->got, i), "successful")));
    }
    ask(w, "POST", "/cometd/59.0",
        "[{\"channel\":\"/meta/disconnect\",\"clientId\":\"%C\",\"id\":\"4\"},{\"channel\":"
        "\"/meta/unsubscribe\",\"clientId\":\"%C\",\"id\":\"5\",\"subscription\":\"" CHANNEL
        "\"}]");
    assert_int_equal(json_array_size(w->got), 2);
    assert_true(json_is_true(json_object_get(json_array_get(w->got, 0), "successful")));
    assert_string_equal(word(json_array_get(w->got, 1), "error"), "403::Unknown client");
}

static void a_client_silent_for_forty_seconds_is_unknown_and_gets_no_id_back(void **state)
{
    struct world *w = *state;
    w->now.wall_ns += 41 * TM_NS_PER_S;
    const json_t *reply = say(w, "{\"channel\":\"/meta/connect\",\"clientId\":\"%C\","
                                 "\"connectionType\":\"long-polling\"}");
    assert_string_equal(word(reply, "error"), "403::Unknown client");
    assert_string_equal(word(json_object_get(reply, "advice"), "reconnect"), "handshake");
    assert_null(json_object_get(reply, "clientId"));
}

/* EMP-Connector and camel send the map of all their channels, without ?filters, each time. */
static void the_replay_map_is_asked_for_the_channel_alone(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES];
    org_make_account(w->f.org, id, "one", w->now.org_ms);
    const json_t *reply =
        say(w, "{\"channel\":\"/meta/subscribe\",\"clientId\":\"%C\",\"subscription\":\"" CHANNEL
               "?a=b\",\"ext\":{\"replay\":{\"/data/ChangeEvents\":99999,\"" CHANNEL "\":-2}}}");
    assert_string_equal(word(reply, "error"), "");
    ask(w, "POST", "/cometd/59.0",
        "{\"channel\":\"/meta/connect\",\"clientId\":\"%C\",\"connectionType\":\"long-polling\"}");
    assert_int_equal(json_array_size(w->got), 2);
    assert_string_equal(word(json_array_get(w->got, 0), "channel"), CHANNEL "?a=b");
}

static void replay_ids_are_integers_that_grow_and_header_keys_are_ten(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES];
    int64_t last = 0;
    size_t i;
    json_t *message;
    for (int k = 0; k < 20; k++)
        org_make_account(w->f.org, id, "one", w->now.org_ms + k);
    w->now.org_ms += 100;
    say(w, "{\"channel\":\"/meta/subscribe\",\"clientId\":\"%C\",\"subscription\":\"" CHANNEL
           "\",\"ext\":{\"replay\":{\"" CHANNEL "\":-2}}}");
    ask(w, "POST", "/cometd/59.0",
        "{\"channel\":\"/meta/connect\",\"clientId\":\"%C\",\"connectionType\":\"long-polling\"}");
    assert_int_equal(json_array_size(w->got), 21);
    json_array_foreach(w->got, i, message)
    {
        const json_t *data = json_object_get(message, "data");
        const json_t *replay = json_object_get(json_object_get(data, "event"), "replayId");
        if (data == NULL)
            continue;
        assert_true(json_is_integer(replay) && json_integer_value(replay) > last &&
                    json_integer_value(replay) < 9007199254740992);
        last = json_integer_value(replay);
        assert_int_equal(json_object_size(json_object_get(json_object_get(data, "payload"),
                                                          "ChangeEventHeader")),
                         10);
    }
    assert_true(last > 20); /* with gaps */
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_mistake_has_its_row_of_the_error_table),
        T(a_token_that_is_none_is_told_apart_from_no_token),
        T(more_than_a_hundred_subscriptions_of_a_client_are_refused),
        T(requests_beyond_32_kilobytes_get_413),
        T(every_form_of_the_path_is_the_same_handler_and_a_get_is_answered_at_once),
        T(a_handshake_is_what_all_clients_can_live_with),
        T(the_first_connect_carries_the_advice_and_later_ones_do_not),
        T(a_batch_is_answered_message_by_message),
        T(a_client_silent_for_forty_seconds_is_unknown_and_gets_no_id_back),
        T(the_replay_map_is_asked_for_the_channel_alone),
        T(replay_ids_are_integers_that_grow_and_header_keys_are_ten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
