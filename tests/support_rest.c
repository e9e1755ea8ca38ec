#include "tests/support_rest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

json_t *rest_ask(struct rest_world *w, const char *method, const char *target, const char *body,
                 const char *option)
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    assert_int_equal(
        tm_mock_request_init(&r, method, target, body, body != NULL ? strlen(body) : 0, NULL),
        TM_OK);
    r.now = w->now;
    if (w->authorization[0] != '\0')
        assert_int_equal(tm_mock_pairs_add(&r.headers, "Authorization", w->authorization, NULL),
                         TM_OK);
    if (option != NULL) {
        const char *colon = strchr(option, ':');
        char name[64];
        assert_non_null(colon);
        snprintf(name, sizeof name, "%.*s", (int)(colon - option), option);
        assert_int_equal(tm_mock_pairs_add(&r.headers, name, colon + 2, NULL), TM_OK);
    }
    tm_mock_response_init(&out);
    w->handler.request(w->handler.self, &r, &out);
    for (w->slices = 1; out.outcome == TM_MOCK_HOLD && w->slices < RESUMES_MAX; w->slices++) {
        uint64_t token = out.token;
        tm_mock_response_reset(&out);
        w->handler.resume(w->handler.self, &r, token, &out);
    }
    assert_int_equal(out.outcome, TM_MOCK_ANSWER);
    w->status = out.status;
    snprintf(w->headers, sizeof w->headers, "%s", tm_buf_text(&out.headers));
    json_t *json = json_loads(tm_buf_text(&out.body), 0, NULL);
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
    return json;
}

json_t *rest_get(struct rest_world *w, const char *target)
{
    return rest_ask(w, "GET", target, NULL, NULL);
}

void rest_expect_error(struct rest_world *w, const char *method, const char *target,
                       const char *body, int status, const char *code)
{
    json_t *json = rest_ask(w, method, target, body, NULL), *first = json_array_get(json, 0);
    const char *got = json_string_value(json_object_get(first, "errorCode"));
    if (w->status != status || got == NULL || strcmp(got, code) != 0 ||
        json_object_get(first, "message") == NULL)
        fail_msg("%s %s: %d %s", method, target, w->status, got != NULL ? got : "(no errorCode)");
    json_decref(json);
}

void rest_world_serve(struct rest_world *w)
{
    struct tm_salesforce_settings settings = { .oauth = { .seeded = true, .seed = 9 } };
    tm_salesforce_close(w->salesforce);
    assert_int_equal(tm_salesforce_open(&w->salesforce, w->f.org, &settings, NULL), TM_OK);
    w->handler = tm_salesforce_handler(w->salesforce);
    w->authorization[0] = '\0';
    json_t *json = rest_ask(w, "POST", "/services/oauth2/token",
                            "grant_type=client_credentials&client_id=tidemark-consumer-key&"
                            "client_secret=tidemark-consumer-secret",
                            NULL);
    snprintf(w->authorization, sizeof w->authorization, "Bearer %s",
             json_string_value(json_object_get(json, "access_token")));
    json_decref(json);
}

int rest_world_open(void **state)
{
    struct rest_world *w = calloc(1, sizeof *w);
    org_fixture_open(&w->f);
    w->now = (struct tm_now){ ORG_ORIGIN_MS + 3600000, TM_NS_PER_S };
    rest_world_serve(w);
    *state = w;
    return 0;
}

int rest_world_close(void **state)
{
    struct rest_world *w = *state;
    tm_salesforce_close(w->salesforce);
    org_fixture_close(&w->f);
    free(w);
    return 0;
}

void rest_world_fill(struct rest_world *w, int accounts)
{
    char id[TM_ID_BYTES], name[32];
    assert_int_equal(tm_org_begin(w->f.org, NULL), TM_OK);
    for (int i = 0; i < accounts; i++) {
        snprintf(name, sizeof name, "account %05d", i);
        org_make_account(w->f.org, id, name, ORG_ORIGIN_MS + 1000 + i);
    }
    assert_int_equal(tm_org_end(w->f.org, NULL), TM_OK);
}
