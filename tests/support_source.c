#include "tests/support_source.h"
#include "event/contract.h"
#include "tests/support_event.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the org ---- */

static int64_t org_replay_id(const json_t *data)
{
    return json_integer_value(json_object_get(json_object_get(data, "event"), "replayId"));
}

static void org_answer(struct tm_mock_response *out, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);
    tm_mock_answer(out, 200, "application/json", text);
    free(text);
    json_decref(body);
}

static void org_subscribe(struct source_org *o, const json_t *message, struct tm_mock_response *out)
{
    const json_t *replay = json_object_get(json_object_get(message, "ext"), "replay");
    const char *channel = json_string_value(json_object_get(message, "subscription"));
    int64_t from = json_integer_value(json_object_get(replay, channel)), tip = o->low - 1;
    size_t count = json_array_size(o->events);
    if (count > 0)
        tip = org_replay_id(json_array_get(o->events, count - 1));
    o->subscribes++;
    o->subscribed_from = from;
    if (from >= 0 && (from < o->low || from > tip)) {
        char error[200];
        snprintf(error, sizeof error,
                 "400::The replayId {%" PRId64
                 "} you provided was invalid.  Please provide a valid ID, -2 "
                 "to replay all events, or -1 to replay only new events.",
                 from);
        org_answer(out, json_pack("[{s:s, s:s, s:s, s:b}]", "channel", "/meta/subscribe",
                                  "subscription", channel, "error", error, "successful", 0));
        return;
    }
    o->position = from == -1 ? tip : from == -2 ? -1 : from;
    o->live = false;
    org_answer(out, json_pack("[{s:s, s:s, s:b}]", "channel", "/meta/subscribe", "subscription",
                              channel, "successful", 1));
}

static void org_connect(struct source_org *o, struct tm_mock_response *out)
{
    json_t *answer = json_array(), *data;
    char channel[200];
    size_t i;
    snprintf(channel, sizeof channel, "/data/%sChangeEvent", o->entity);
    json_array_foreach(o->events, i, data)
    {
        if (org_replay_id(data) <= o->position || org_replay_id(data) < o->low ||
            (!o->live && !o->eager) ||
            (o->deliver_max > 0 && json_array_size(answer) >= o->deliver_max))
            continue;
        json_array_append_new(answer, json_pack("{s:O, s:s}", "data", data, "channel", channel));
    }
    if (o->live && json_array_size(answer) == 0) {
        json_decref(answer);
        tm_mock_hold(out, ++o->held, (struct tm_wake){ TM_NEVER, TM_NEVER });
        return;
    }
    if (json_array_size(answer) > 0)
        o->position = org_replay_id(
            json_object_get(json_array_get(answer, json_array_size(answer) - 1), "data"));
    o->live = true;
    json_array_append_new(answer, json_pack("{s:s, s:b, s:{s:i, s:i, s:s}}", "channel",
                                            "/meta/connect", "successful", 1, "advice", "interval",
                                            0, "timeout", 110000, "reconnect", "retry"));
    org_answer(out, answer);
}

static void org_resume(void *self, const struct tm_mock_request *request, uint64_t token,
                       struct tm_mock_response *out)
{
    (void)request;
    (void)token;
    org_connect(self, out);
}

static void org_request(void *self, const struct tm_mock_request *request,
                        struct tm_mock_response *out)
{
    struct source_org *o = self;
    if (strcmp(request->path, "/services/oauth2/token") == 0) {
        char id[80];
        snprintf(id, sizeof id, "http://org/id/%s/005000000000001AAA", o->id);
        org_answer(out, json_pack("{s:s, s:s, s:s, s:s}", "access_token", "T", "instance_url",
                                  "http://org", "token_type", "Bearer", "id", id));
    } else if (strstr(request->path, "/describe") != NULL) {
        o->describes++;
        org_answer(out, json_incref(o->describe));
    } else if (strncmp(request->path, "/cometd/", 8) == 0) {
        json_t *messages = json_loadb(request->body, request->body_bytes, 0, NULL);
        const json_t *message = json_array_get(messages, 0);
        const char *channel = json_string_value(json_object_get(message, "channel"));
        assert_non_null(channel);
        if (strcmp(channel, "/meta/handshake") == 0) {
            o->handshakes++;
            org_answer(out, json_pack("[{s:s, s:b, s:s, s:{s:b}}]", "channel", channel,
                                      "successful", 1, "clientId", "c1", "ext", "replay", 1));
        } else if (strcmp(channel, "/meta/subscribe") == 0) {
            org_subscribe(o, message, out);
        } else {
            org_connect(o, out);
        }
        json_decref(messages);
    } else {
        tm_mock_answer(out, 404, "application/json",
                       "[{\"errorCode\":\"NOT_FOUND\",\"message\":\"no such thing\"}]");
    }
}

/* ---- the world ---- */

static void world_must(enum tm_code rc, const struct tm_err *err)
{
    char text[700];
    if (rc != TM_OK)
        fail_msg("%s", tm_err_text(err, text, sizeof text));
}

void source_world_open(struct source_world *w)
{
    static const char *const topics[] = { "sfdc.cdc.opportunity_raw",
                                          "alerts.sfdc.opportunity_gap_events", TM_TOPIC_OFFSETS,
                                          "other.raw", "other.offsets" };
    memset(w, 0, sizeof *w);
    w->org = (struct source_org){ .describe = support_describe_json("Opportunity"),
                                  .events = json_array(),
                                  .entity = "Opportunity",
                                  .id = "00D000000000001EAA",
                                  .low = 1 };
    w->now = (struct tm_now){ .org_ms = 1772438400000LL, .wall_ns = TM_NS_PER_S };
    tm_test_http_init(&w->http);
    world_must(tm_mock_registry_open(&w->schemas, &w->err), &w->err);
    tm_test_http_route(&w->http, "http://registry", tm_mock_registry_handler(w->schemas));
    tm_test_http_route(&w->http, "http://org",
                       (struct tm_mock_handler){ &w->org, org_request, org_resume, NULL });
    world_must(tm_mem_broker_open(&w->broker, &w->err), &w->err);
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++)
        world_must(tm_mem_topic_create(w->broker, topics[i], 3, &w->err), &w->err);
    w->config_json = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "connector.class",
        "SalesforceCdcSource", "kafka.topic", "sfdc.cdc.opportunity_raw", "salesforce.instance",
        "http://org", "salesforce.username", "u", "salesforce.password", "p",
        "salesforce.consumer.key", "k", "salesforce.consumer.secret", "s", "salesforce.cdc.name",
        "OpportunityChangeEvent", "output.data.format", "AVRO", "salesforce.version", "59.0");
    assert_non_null(w->config_json);
}

void source_world_set(struct source_world *w, const char *key, const char *value)
{
    json_object_set_new(w->config_json, key, json_string(value));
}

void source_world_start(struct source_world *w)
{
    struct tm_kafka_options producer = { .client_id = "t" };
    size_t keys_count;
    const struct tm_key *keys = tm_source_keys(&keys_count);
    world_must(tm_config_from_json(&w->config, w->config_json, "test", keys, keys_count, &w->err),
               &w->err);
    world_must(tm_source_settings_read(&w->settings, w->config, NULL, &w->err), &w->err);
    const char *const offsets_topic[] = { w->settings.offsets_topic };
    world_must(tm_sf_session_open(&w->session, &w->http.port, &w->settings.session, &w->err),
               &w->err);
    world_must(tm_registry_open(&w->registry, &w->http.port, "http://registry", &w->err), &w->err);
    world_must(tm_topic_mem_open(&w->producer, w->broker, &producer, &w->err), &w->err);
    world_must(tm_topic_mem_open(&w->checkpoints, w->broker, &producer, &w->err), &w->err);
    world_must(tm_aside_open(&w->aside, ":memory:", &w->err), &w->err);
    struct tm_source_ports ports = { w->session,  w->producer, w->checkpoints,
                                     w->registry, NULL,        w->aside };
    world_must(tm_source_open(&w->source, &w->settings, &ports, &w->err), &w->err);
    struct tm_kafka_options consumer = { .client_id = "t",
                                         .group = "offsets",
                                         .topics = offsets_topic,
                                         .topics_count = 1,
                                         .owner = tm_source_offsets_owner(w->source) };
    world_must(tm_topic_mem_open(&w->offsets, w->broker, &consumer, &w->err), &w->err);
    tm_source_set_offsets(w->source, w->offsets);
}

void source_world_crash(struct source_world *w)
{
    if (w->source == NULL)
        return;
    tm_source_close(w->source);
    w->source = NULL;
    tm_aside_close(w->aside);
    w->producer->ops->close(w->producer);
    w->checkpoints->ops->close(w->checkpoints);
    w->offsets->ops->close(w->offsets);
    tm_registry_close(w->registry);
    tm_sf_session_close(w->session);
    tm_config_close(w->config);
    tm_err_clear(&w->err);
}

void source_world_close(struct source_world *w)
{
    source_world_crash(w);
    tm_mem_broker_close(w->broker);
    tm_mock_registry_close(w->schemas);
    json_decref(w->org.describe);
    json_decref(w->org.events);
    json_decref(w->config_json);
}

enum tm_code source_world_run(struct source_world *w)
{
    for (unsigned idle = 0, steps = 0; idle < 400 && steps < 20000; steps++) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        w->http.now = w->now;
        enum tm_code rc = tm_source_step(w->source, &w->now, &wake, &w->err);
        if (rc != TM_OK && rc != TM_E_AGAIN)
            return rc;
        idle = rc == TM_OK ? 0 : idle + 1;
        if (rc == TM_E_AGAIN)
            w->now.wall_ns += 10 * TM_NS_PER_MS;
        if (rc == TM_E_AGAIN && wake.org_ms < TM_NEVER && wake.org_ms > w->now.org_ms)
            w->now.org_ms = w->now.org_ms + 1000 < wake.org_ms ? w->now.org_ms + 1000 : wake.org_ms;
    }
    return TM_OK;
}

void source_world_event(struct source_world *w, json_t *data)
{
    json_array_append_new(w->org.events, data);
}

static json_t *world_value(const struct tm_value *v)
{
    switch (v->kind) {
    case TM_V_BOOL: return json_boolean(v->as.b);
    case TM_V_INT: return json_integer(v->as.i);
    case TM_V_DOUBLE: return json_real(v->as.d);
    case TM_V_TEXT: return json_string(v->as.t.text);
    case TM_V_JSON: return json_loads(v->as.t.text, JSON_DECODE_ANY, NULL);
    case TM_V_NULL: break;
    }
    return json_null();
}

static json_t *world_record(struct source_world *w, const struct tm_record *record)
{
    const struct tm_avro_schema *schema;
    struct tm_row row;
    int32_t id;
    enum tm_code rc = TM_E_AGAIN;
    json_t *out = json_object();
    tm_row_init(&row);
    world_must(tm_avro_frame_id(&id, record->value, record->value_bytes, &w->err), &w->err);
    for (int i = 0; i < 10 && rc == TM_E_AGAIN; i++)
        rc = tm_registry_schema(w->registry, &w->now, &schema, id, &w->err);
    world_must(rc, &w->err);
    world_must(tm_avro_decode(schema, &row, record->value, record->value_bytes, &w->err), &w->err);
    for (size_t i = 0; i < row.cells_count; i++)
        json_object_set_new(out, row.cells[i].name, world_value(&row.cells[i].value));
    json_object_set_new(out, "_key", json_stringn(record->key, record->key_bytes));
    json_object_set_new(out, "_partition", json_integer(record->partition));
    tm_row_free(&row);
    return out;
}

json_t *source_world_records(struct source_world *w, const char *topic)
{
    json_t *all = json_array();
    for (int32_t partition = 0; partition < 3; partition++) {
        struct tm_record record;
        for (int64_t offset = 0; offset < tm_mem_high(w->broker, topic, partition); offset++)
            if (tm_mem_record(w->broker, topic, partition, offset, &record))
                json_array_append_new(all, world_record(w, &record));
    }
    return all;
}
