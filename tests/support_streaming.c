#include "tests/support_streaming.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

json_t *stream_ask(struct stream_world *w, const char *method, const char *target, const char *body)
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    assert_int_equal(
        tm_mock_request_init(&r, method, target, body, body != NULL ? strlen(body) : 0, NULL),
        TM_OK);
    if (w->authorization[0] != '\0')
        tm_mock_pairs_add(&r.headers, "Authorization", w->authorization, NULL);
    r.now = w->now;
    tm_mock_response_init(&out);
    w->handler.request(w->handler.self, &r, &out);
    assert_int_equal(out.outcome, TM_MOCK_ANSWER);
    w->status = out.status;
    if (out.token != 0)
        w->handler.finished(w->handler.self, out.token, true);
    json_decref(w->got);
    w->got = json_loadb(tm_buf_text(&out.body), out.body.bytes, JSON_DECODE_ANY, NULL);
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
    return w->got;
}

static void no_wake(void *data, uint64_t token)
{
    (void)data;
    (void)token;
}

void stream_serve(struct stream_world *w)
{
    struct tm_salesforce_settings settings = { .oauth = { .seeded = true, .seed = 9 } };
    assert_int_equal(tm_salesforce_open(&w->salesforce, w->f.org, &settings, NULL), TM_OK);
    tm_salesforce_wired(w->salesforce, no_wake, NULL);
    w->handler = tm_salesforce_handler(w->salesforce);
    w->authorization[0] = '\0';
    json_t *json = stream_ask(w, "POST", "/services/oauth2/token",
                              "grant_type=client_credentials&client_id=tidemark-consumer-key&"
                              "client_secret=tidemark-consumer-secret");
    snprintf(w->authorization, sizeof w->authorization, "Bearer %s",
             json_string_value(json_object_get(json, "access_token")));
}

void stream_restart(struct stream_world *w)
{
    tm_salesforce_close(w->salesforce);
    org_fixture_reopen(&w->f);
    stream_serve(w);
}

int stream_world_open(void **state)
{
    struct stream_world *w = calloc(1, sizeof *w);
    org_fixture_open(&w->f);
    w->f.settings.setup_objects = true;
    org_fixture_reopen(&w->f);
    w->now = (struct tm_now){ ORG_ORIGIN_MS + HOUR_MS, TM_NS_PER_S };
    stream_serve(w);
    *state = w;
    return 0;
}

int stream_world_close(void **state)
{
    struct stream_world *w = *state;
    json_decref(w->got);
    tm_salesforce_close(w->salesforce);
    org_fixture_close(&w->f);
    free(w);
    return 0;
}

/* ---- what clients do ---- */

const char *stream_word(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "";
}

const json_t *stream_first(const struct stream_world *w)
{
    return json_array_get(w->got, 0);
}

const char *stream_subscribe(struct stream_world *w, const char *channel, int64_t replay)
{
    static char error[300];
    char body[700], base[200];
    stream_ask(
        w, "POST", "/cometd/59.0",
        "[{\"channel\":\"/meta/handshake\",\"supportedConnectionTypes\":[\"long-polling\"]}]");
    snprintf(w->client, sizeof w->client, "%s", stream_word(stream_first(w), "clientId"));
    snprintf(base, sizeof base, "%.*s", (int)strcspn(channel, "?"), channel);
    snprintf(body, sizeof body,
             "[{\"channel\":\"/meta/subscribe\",\"clientId\":\"%s\",\"subscription\":\"%s\","
             "\"ext\":{\"replay\":{\"%s\":%" PRId64 "}}}]",
             w->client, channel, base, replay);
    stream_ask(w, "POST", "/cometd/59.0", body);
    snprintf(error, sizeof error, "%s", stream_word(stream_first(w), "error"));
    return error;
}

json_t *stream_deliveries(struct stream_world *w)
{
    char body[300];
    json_t *list = json_array(), *message;
    size_t i;
    snprintf(body, sizeof body,
             "[{\"channel\":\"/meta/connect\",\"clientId\":\"%s\",\"connectionType\":"
             "\"long-polling\",\"advice\":{\"timeout\":0}}]",
             w->client);
    stream_ask(w, "POST", "/cometd/59.0/connect", body);
    json_array_foreach(w->got, i, message) if (json_object_get(message, "data") != NULL)
        json_array_append(list, message);
    return list;
}

size_t stream_brings(struct stream_world *w)
{
    json_t *list = stream_deliveries(w);
    size_t count = json_array_size(list);
    json_decref(list);
    return count;
}

json_t *stream_data_of(const json_t *list, size_t index, const char *part)
{
    return json_object_get(json_object_get(json_array_get(list, index), "data"), part);
}

int64_t stream_replay_of(const json_t *list, size_t index)
{
    const json_t *id = json_object_get(stream_data_of(list, index, "event"), "replayId");
    assert_true(json_is_integer(id));
    return json_integer_value(id);
}

void stream_push_topic(struct stream_world *w, const char *name, const char *query,
                       const char *more)
{
    char body[900];
    snprintf(body, sizeof body, "{\"Name\":\"%s\",\"Query\":\"%s\",\"ApiVersion\":59.0%s}", name,
             query, more);
    stream_ask(w, "POST", DATA "/sobjects/PushTopic", body);
}

void stream_good_topic(struct stream_world *w, const char *query, const char *more)
{
    stream_push_topic(w, "Deals", query, more);
    assert_int_equal(w->status, 201);
    w->now.org_ms += 1000;
}

void stream_refused_topic(struct stream_world *w, const char *name, const char *query,
                          const char *more, const char *code)
{
    stream_push_topic(w, name, query, more);
    if (w->status != 400 || strcmp(stream_word(stream_first(w), "errorCode"), code) != 0)
        fail_msg("%s: %d %s %s", query, w->status, stream_word(stream_first(w), "errorCode"),
                 stream_word(stream_first(w), "message"));
}

void stream_account(struct stream_world *w, char id[TM_ID_BYTES], const char *name,
                    const char *industry)
{
    const struct tm_org_set sets[] = { { "Name", org_text(name) },
                                       { "Industry", org_text(industry) },
                                       { NULL, org_null() } };
    id[0] = '\0';
    w->now.org_ms += 1000;
    assert_int_equal(
        org_one(w->f.org, TM_ORG_CREATE, TM_ORG_NORMAL, "Account", id, sets, w->now.org_ms), TM_OK);
}

void stream_change(struct stream_world *w, enum tm_org_kind kind, char id[TM_ID_BYTES],
                   const char *field, const char *value)
{
    const struct tm_org_set sets[] = { { field, org_text(value) }, { NULL, org_null() } };
    w->now.org_ms += 1000;
    assert_int_equal(org_one(w->f.org, kind, TM_ORG_NORMAL, "Account", id,
                             field != NULL ? sets : NULL, w->now.org_ms),
                     TM_OK);
}
