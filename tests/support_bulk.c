#include "tests/support_bulk.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define STEPS_MAX 10000

void bulk_header(struct bulk_world *w, const char *name, char *out, size_t bytes)
{
    handler_header(&w->answer, name, out, bytes);
}

/* The body of the answer; headers: lines, NULL-terminated. */
const char *bulk_send(struct bulk_world *w, const char *method, const char *target,
                      const char *body, const char *const *headers)
{
    handler_ask(&w->handler, &w->now, method, target, body, headers, &w->answer);
    bulk_header(w, "Content-Type", w->type, sizeof w->type);
    w->status = w->answer.status;
    w->body = w->answer.body;
    return w->body;
}

const char *bulk_ask(struct bulk_world *w, const char *method, const char *target, const char *body)
{
    char authorization[200];
    const char *const headers[] = { authorization, NULL };
    snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", w->token);
    return bulk_send(w, method, target, body, headers);
}

const char *bulk_async(struct bulk_world *w, const char *method, const char *target,
                       const char *body, const char *more)
{
    char session[200];
    const char *const headers[] = { session, more, NULL };
    snprintf(session, sizeof session, "X-SFDC-Session: %s", w->token);
    return bulk_send(w, method, target, body, headers);
}

json_t *bulk_told(struct bulk_world *w)
{
    json_t *json = json_loads(w->body, JSON_DECODE_ANY, NULL);
    if (json == NULL)
        fail_msg("not JSON: %s", w->body);
    return json;
}

void bulk_expect(struct bulk_world *w, const char *body, int status, const char *code)
{
    if (w->status != status || strstr(body, code) == NULL)
        fail_msg("%d, not %d %s: %s", w->status, status, code, body);
}

void bulk_world_serve(struct bulk_world *w, struct tm_bulk_settings bulk)
{
    struct tm_salesforce_settings settings = { .oauth = { .seeded = true, .seed = 9 },
                                               .bulk = bulk };
    tm_salesforce_close(w->salesforce);
    assert_int_equal(tm_salesforce_open(&w->salesforce, w->f.org, &settings, NULL), TM_OK);
    w->handler = tm_salesforce_handler(w->salesforce);
    bulk_send(w, "POST", "/services/oauth2/token",
              "grant_type=client_credentials&client_id=tidemark-consumer-key&"
              "client_secret=tidemark-consumer-secret",
              NULL);
    json_t *json = bulk_told(w);
    snprintf(w->token, sizeof w->token, "%s",
             json_string_value(json_object_get(json, "access_token")));
    json_decref(json);
}

int bulk_world_open(void **state)
{
    struct bulk_world *w = calloc(1, sizeof *w);
    org_fixture_open(&w->f);
    w->now = (struct tm_now){ ORG_ORIGIN_MS + 3600000, TM_NS_PER_S };
    bulk_world_serve(w, (struct tm_bulk_settings){ 0 });
    *state = w;
    return 0;
}

int bulk_world_close(void **state)
{
    struct bulk_world *w = *state;
    tm_salesforce_close(w->salesforce);
    org_fixture_close(&w->f);
    handler_answer_free(&w->answer);
    free(w);
    return 0;
}
void bulk_world_fill(struct bulk_world *w, int accounts)
{
    char id[TM_ID_BYTES], name[32];
    for (int i = 0; i < accounts; i++) {
        snprintf(name, sizeof name, "Acme %d", i);
        org_make_account(w->f.org, id, name, ORG_ORIGIN_MS);
    }
}

/* Steps until nothing is to do. */
unsigned bulk_world_settle(struct bulk_world *w)
{
    unsigned steps = 0;
    for (struct tm_wake wake = { TM_NEVER, 0 }; wake.wall_ns != TM_NEVER; steps++) {
        wake.wall_ns = TM_NEVER;
        tm_salesforce_step(w->salesforce, &w->now, &wake);
        assert_true(steps < STEPS_MAX);
    }
    return steps;
}

/* Eight at a time. */
const char *bulk_sub(const char *path, const char *rest)
{
    static char *text[8];
    static unsigned at;
    struct tm_buf made;
    tm_buf_init(&made, 1000);
    tm_buf_addz(&made, path);
    tm_buf_addz(&made, rest);
    free(text[++at % 8]);
    return text[at % 8] = made.data;
}

void bulk_id_of(struct bulk_world *w, char out[TM_ID_BYTES], const char *before)
{
    const char *at = strstr(w->body, before);
    if (at == NULL)
        fail_msg("no %s: %s", before, w->body);
    snprintf(out, TM_ID_BYTES, "%.18s", at + strlen(before));
}
