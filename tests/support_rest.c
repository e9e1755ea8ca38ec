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
    char authorization[220];
    const char *headers[3] = { NULL };
    size_t count = 0;
    snprintf(authorization, sizeof authorization, "Authorization: %s", w->authorization);
    if (w->authorization[0] != '\0')
        headers[count++] = authorization;
    headers[count] = option;
    handler_ask(&w->handler, &w->now, method, target, body, headers, &w->answer);
    w->status = w->answer.status;
    return json_loads(w->answer.body, 0, NULL);
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
    handler_answer_free(&w->answer);
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
