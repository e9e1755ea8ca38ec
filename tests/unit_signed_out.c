/* Every way in which a session ends, through the mock's one handler: its held poll is woken at once
 * and answered with 401. */
#include "mocks/salesforce/routes.h"
#include "tests/support_org.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SIGN_IN                                                                                    \
    "grant_type=refresh_token&refresh_token=tidemark-refresh-token&"                               \
    "client_id=tidemark-consumer-key&client_secret=tidemark-consumer-secret"
#define LOGOUT                                                                                     \
    "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Header>"                 \
    "<SessionHeader xmlns=\"urn:partner.soap.sforce.com\"><sessionId>%s</sessionId>"               \
    "</SessionHeader></e:Header><e:Body><logout xmlns=\"urn:partner.soap.sforce.com\"/>"           \
    "</e:Body></e:Envelope>"

struct world {
    struct org_fixture f;
    struct tm_salesforce *salesforce;
    struct tm_mock_handler handler;
    struct tm_now now;
    char token[TM_OAUTH_TOKEN_BYTES];
    uint64_t woken;
};
struct exchange {
    struct tm_mock_request request;
    struct tm_mock_response out;
};

static void world_wake(void *data, uint64_t token)
{
    ((struct world *)data)->woken = token;
}

static int world_open(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct tm_salesforce_settings settings = { .oauth = { .seeded = true, .seed = 4 } };
    org_fixture_open(&w->f);
    w->now = (struct tm_now){ ORG_ORIGIN_MS + 3600000, TM_NS_PER_S };
    assert_int_equal(tm_salesforce_open(&w->salesforce, w->f.org, &settings, NULL), TM_OK);
    tm_salesforce_wired(w->salesforce, world_wake, w);
    w->handler = tm_salesforce_handler(w->salesforce);
    *state = w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;
    tm_salesforce_close(w->salesforce);
    org_fixture_close(&w->f);
    free(w);
    return 0;
}

static void ask(struct world *w, struct exchange *x, const char *method, const char *target,
                const char *body)
{
    char header[TM_OAUTH_TOKEN_BYTES + 8];
    assert_int_equal(tm_mock_request_init(&x->request, method, target, body, strlen(body), NULL),
                     TM_OK);
    x->request.now = w->now;
    snprintf(header, sizeof header, "Bearer %s", w->token);
    tm_mock_pairs_add(&x->request.headers, "Authorization", header, NULL);
    tm_mock_response_init(&x->out);
    w->handler.request(w->handler.self, &x->request, &x->out);
}

/* The answer has left; a text of its first object (static). */
static const char *over(struct world *w, struct exchange *x, const char *key)
{
    static char text[200];
    json_t *json = json_loads(tm_buf_text(&x->out.body), 0, NULL);
    const json_t *object = json_is_array(json) ? json_array_get(json, 0) : json;
    const char *value = json_string_value(json_object_get(object, key));
    snprintf(text, sizeof text, "%s", value != NULL ? value : "");
    json_decref(json);
    if (x->out.token != 0)
        w->handler.finished(w->handler.self, x->out.token, true);
    tm_mock_response_free(&x->out);
    tm_mock_request_free(&x->request);
    return text;
}

/* Signs in, shakes hands, connects twice: the second is held. */
static void held(struct world *w, struct exchange *poll)
{
    struct exchange x;
    char connect[200];
    ask(w, &x, "POST", "/services/oauth2/token", SIGN_IN);
    snprintf(w->token, sizeof w->token, "%s", over(w, &x, "access_token"));
    ask(w, &x, "POST", "/cometd/59.0",
        "{\"channel\":\"/meta/handshake\",\"supportedConnectionTypes\":[\"long-polling\"]}");
    snprintf(connect, sizeof connect,
             "{\"channel\":\"/meta/connect\",\"clientId\":\"%s\",\"connectionType\":"
             "\"long-polling\"}",
             over(w, &x, "clientId"));
    ask(w, &x, "POST", "/cometd/59.0", connect);
    assert_string_equal(over(w, &x, "error"), "");
    ask(w, poll, "POST", "/cometd/59.0", connect);
    assert_int_equal(poll->out.outcome, TM_MOCK_HOLD);
    w->woken = 0;
}

static void ends_in_401(struct world *w, struct exchange *poll)
{
    uint64_t token = poll->out.token;
    assert_int_equal(w->woken, token);
    tm_mock_response_reset(&poll->out);
    w->handler.resume(w->handler.self, &poll->request, token, &poll->out);
    assert_int_equal(poll->out.outcome, TM_MOCK_ANSWER);
    assert_string_equal(over(w, poll, "error"), "401::Authentication invalid");
}

static void a_revoked_token_ends_its_held_poll(void **state)
{
    static const char *const methods[] = { "GET", "POST" };
    struct world *w = *state;
    struct exchange poll, x;
    char target[300];
    for (size_t i = 0; i < 2; i++) {
        held(w, &poll);
        snprintf(target, sizeof target, "/services/oauth2/revoke?token=%s", w->token);
        ask(w, &x, methods[i], target, "");
        assert_int_equal(x.out.status, 200);
        over(w, &x, "");
        ends_in_401(w, &poll);
    }
}

static void a_revoked_refresh_token_ends_the_held_polls_of_what_it_had_given(void **state)
{
    struct world *w = *state;
    struct exchange poll, x;
    held(w, &poll);
    ask(w, &x, "GET", "/services/oauth2/revoke?token=tidemark-refresh-token", "");
    over(w, &x, "");
    ends_in_401(w, &poll);
}

static void a_soap_logout_ends_the_held_poll(void **state)
{
    struct world *w = *state;
    struct exchange poll, x;
    char body[700];
    held(w, &poll);
    snprintf(body, sizeof body, LOGOUT, w->token);
    ask(w, &x, "POST", "/services/Soap/u/59.0", body);
    assert_int_equal(x.out.status, 200);
    over(w, &x, "");
    ends_in_401(w, &poll);
}

static void expiring_all_tokens_ends_held_polls_now_and_on_a_schedule(void **state)
{
    struct world *w = *state;
    struct exchange poll, x;
    struct tm_wake wake = { TM_NEVER, TM_NEVER };
    held(w, &poll);
    ask(w, &x, "POST", "/tidemark/v1/faults", "{\"expire_tokens\":{}}");
    over(w, &x, "");
    ends_in_401(w, &poll);
    ask(w, &x, "POST", "/tidemark/v1/faults", "{\"expire_tokens\":{\"at\":\"1m\"}}");
    over(w, &x, "");
    held(w, &poll);
    w->now.org_ms += 60000;
    assert_int_equal(tm_salesforce_due(w->salesforce, &w->now, &wake, NULL), TM_OK);
    ends_in_401(w, &poll);
}

static void signing_in_once_more_leaves_a_held_poll_alone(void **state)
{
    struct world *w = *state;
    struct exchange poll, x;
    held(w, &poll);
    ask(w, &x, "POST", "/services/oauth2/token", SIGN_IN);
    over(w, &x, "");
    assert_int_equal(w->woken, 0);
    over(w, &poll, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
        T(a_revoked_token_ends_its_held_poll),
        T(a_revoked_refresh_token_ends_the_held_polls_of_what_it_had_given),
        T(a_soap_logout_ends_the_held_poll),
        T(expiring_all_tokens_ends_held_polls_now_and_on_a_schedule),
        T(signing_in_once_more_leaves_a_held_poll_alone),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
