/* The source of PushTopics and platform events between the mock org's own handler, an in-memory
 * broker and the embedded registry's handler. Virtual time, no socket. */
#include "mocks/kafka/topic_mem.h"
#include "mocks/registry/registry.h"
#include "event/contract.h"
#include "mocks/salesforce/routes.h"
#include "source/push.h"
#include "tests/support_org.h"
#include "tests/support_port.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define HOUR_MS 3600000LL
#define TOPIC "sfdc.push"

struct world {
    struct org_fixture f;
    struct tm_salesforce *mock;
    struct tm_mock_registry *schemas;
    struct tm_test_http http;
    struct tm_mem_broker *broker;
    json_t *keys; /* the connector's config */
    /* of one life of the process */
    struct tm_config *config;
    struct tm_source_settings settings;
    struct tm_sf_session *session;
    struct tm_registry *registry;
    struct tm_topic *producer, *checkpoints, *offsets;
    struct tm_aside *aside;
    struct tm_push *push;
    struct tm_now now;
    struct tm_err err;
};

static void must(struct world *w, enum tm_code rc)
{
    char text[700];
    if (rc != TM_OK)
        fail_msg("%s", tm_err_text(&w->err, text, sizeof text));
}

static void no_wake(void *data, uint64_t token)
{
    (void)data;
    (void)token;
}

static int world_open(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct tm_salesforce_settings settings = { .oauth = { .seeded = true, .seed = 9 },
                                               .base_url = "http://org" };
    org_fixture_open(&w->f);
    w->f.settings.setup_objects = true;
    org_fixture_reopen(&w->f);
    w->now = (struct tm_now){ ORG_ORIGIN_MS + HOUR_MS, TM_NS_PER_S };
    must(w, tm_salesforce_open(&w->mock, w->f.org, &settings, &w->err));
    tm_salesforce_wired(w->mock, no_wake, NULL);
    must(w, tm_mock_registry_open(&w->schemas, &w->err));
    tm_test_http_init(&w->http);
    tm_test_http_route(&w->http, "http://registry", tm_mock_registry_handler(w->schemas));
    tm_test_http_route(&w->http, "http://org", tm_salesforce_handler(w->mock));
    must(w, tm_mem_broker_open(&w->broker, &w->err));
    must(w, tm_mem_topic_create(w->broker, TOPIC, 2, &w->err));
    must(w, tm_mem_topic_create(w->broker, TM_TOPIC_OFFSETS, 2, &w->err));
    w->keys =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "kafka.topic", TOPIC, "salesforce.instance",
                  "http://org", "salesforce.username", "integration@tidemark.example",
                  "salesforce.password", "tidemark", "salesforce.password.token", "TOKEN",
                  "salesforce.consumer.key", "tidemark-consumer-key", "salesforce.consumer.secret",
                  "tidemark-consumer-secret", "salesforce.version", "59.0");
    *state = w;
    return 0;
}

static void crash(struct world *w)
{
    if (w->push == NULL)
        return;
    tm_push_close(w->push);
    w->push = NULL;
    tm_aside_close(w->aside);
    w->producer->ops->close(w->producer);
    w->checkpoints->ops->close(w->checkpoints);
    w->offsets->ops->close(w->offsets);
    tm_registry_close(w->registry);
    tm_sf_session_close(w->session);
    tm_config_close(w->config);
    tm_err_clear(&w->err);
}

static int world_close(void **state)
{
    struct world *w = *state;
    crash(w);
    tm_mem_broker_close(w->broker);
    tm_mock_registry_close(w->schemas);
    tm_salesforce_close(w->mock);
    org_fixture_close(&w->f);
    json_decref(w->keys);
    free(w);
    return 0;
}

static void set(struct world *w, const char *key, const char *value)
{
    json_object_set_new(w->keys, key, json_string(value));
}

static void of_accounts(struct world *w)
{
    set(w, "salesforce.push.topic.name", "Accounts");
    set(w, "salesforce.object", "Account");
}

/* A new process over what is durable. */
static void start(struct world *w)
{
    const struct tm_kafka_options producer = { .client_id = "t" };
    const char *const offsets[] = { TM_TOPIC_OFFSETS };
    size_t count;
    const struct tm_key *keys = tm_source_keys(&count);
    must(w, tm_config_from_json(&w->config, w->keys, "c.json", keys, count, &w->err));
    must(w, tm_source_settings_read(&w->settings, w->config, NULL, &w->err));
    must(w, tm_sf_session_open(&w->session, &w->http.port, &w->settings.session, &w->err));
    must(w, tm_registry_open(&w->registry, &w->http.port, "http://registry", &w->err));
    must(w, tm_topic_mem_open(&w->producer, w->broker, &producer, &w->err));
    must(w, tm_topic_mem_open(&w->checkpoints, w->broker, &producer, &w->err));
    must(w, tm_aside_open(&w->aside, ":memory:", &w->err));
    const struct tm_source_ports ports = { w->session,  w->producer, w->checkpoints,
                                           w->registry, NULL,        w->aside };
    must(w, tm_push_open(&w->push, &w->settings, &ports, &w->err));
    const struct tm_kafka_options consumer = { .client_id = "t",
                                               .group = "offsets",
                                               .topics = offsets,
                                               .topics_count = 1,
                                               .owner = tm_push_offsets_owner(w->push) };
    must(w, tm_topic_mem_open(&w->offsets, w->broker, &consumer, &w->err));
    tm_push_set_offsets(w->push, w->offsets);
}

/* Steps until nothing moves for a while, or the station ends. */
static enum tm_code run(struct world *w)
{
    for (unsigned idle = 0, steps = 0; idle < 300 && steps < 20000; steps++) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        w->http.now = w->now;
        enum tm_code rc = tm_push_step(w->push, &w->now, &wake, &w->err);
        if (rc != TM_OK && rc != TM_E_AGAIN)
            return rc;
        idle = rc == TM_OK ? 0 : idle + 1;
        if (rc == TM_E_AGAIN)
            w->now.wall_ns += 10 * TM_NS_PER_MS;
    }
    return TM_OK;
}

/* ---- what is in the topic ---- */

static int64_t beginning(void *self, const char *topic, int32_t partition)
{
    (void)self;
    (void)topic;
    (void)partition;
    return TM_OFFSET_BEGINNING;
}

static json_t *value_of(const struct tm_value *v)
{
    switch (v->kind) {
    case TM_V_BOOL: return json_boolean(v->as.b);
    case TM_V_INT: return json_integer(v->as.i);
    case TM_V_DOUBLE: return json_real(v->as.d);
    case TM_V_TEXT: return json_string(v->as.t.text);
    default: return json_null();
    }
}

static json_t *record_of(struct world *w, const struct tm_record *record)
{
    const struct tm_avro_schema *schema;
    struct tm_row row;
    int32_t id;
    enum tm_code rc = TM_E_AGAIN;
    json_t *out = json_object();
    tm_row_init(&row);
    must(w, tm_avro_frame_id(&id, record->value, record->value_bytes, &w->err));
    for (int i = 0; i < 10 && rc == TM_E_AGAIN; i++)
        rc = tm_registry_schema(w->registry, &w->now, &schema, id, &w->err);
    must(w, rc);
    must(w, tm_avro_decode(schema, &row, record->value, record->value_bytes, &w->err));
    for (size_t i = 0; i < row.cells_count; i++)
        json_object_set_new(out, row.cells[i].name, value_of(&row.cells[i].value));
    json_object_set_new(out, "_key", json_stringn(record->key, record->key_bytes));
    tm_row_free(&row);
    return out;
}

static json_t *records(struct world *w)
{
    const char *const topics[] = { TOPIC };
    struct tm_kafka_options options = { .client_id = "r",
                                        .group = "reader",
                                        .topics = topics,
                                        .topics_count = 1,
                                        .owner = { .start = beginning } };
    struct tm_topic *reader;
    struct tm_record got[100];
    size_t count;
    json_t *list = json_array();
    must(w, tm_topic_mem_open(&reader, w->broker, &options, &w->err));
    for (int quiet = 0; quiet < 10;) {
        enum tm_code rc = reader->ops->fetch(reader, got, 100, &count, &w->err);
        quiet = rc == TM_OK && count > 0 ? 0 : quiet + 1;
        for (size_t i = 0; rc == TM_OK && i < count; i++)
            json_array_append_new(list, record_of(w, &got[i]));
    }
    reader->ops->close(reader);
    return list;
}

static size_t count(struct world *w)
{
    json_t *list = records(w);
    size_t n = json_array_size(list);
    json_decref(list);
    return n;
}

static const char *word(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "";
}

static void account(struct world *w, char id[TM_ID_BYTES], const char *name)
{
    id[0] = '\0';
    w->now.org_ms += 1000;
    org_make_account(w->f.org, id, name, w->now.org_ms);
    tm_salesforce_news(w->mock);
}

static void low_ink(struct world *w, const char *model)
{
    struct tm_platform_event_result done;
    json_t *fields = json_pack("{s:s,s:f}", "Printer_Model__c", model, "Ink_Percentage__c", 0.25);
    must(w, tm_platform_event_publish(tm_salesforce_streaming(w->mock)->events, "Low_Ink__e",
                                      fields, NULL, w->now.org_ms, &done, &w->err));
    tm_salesforce_news(w->mock);
    json_decref(fields);
}

/* ---- tests ---- */

static void a_push_topic_is_made_and_its_records_have_the_connectors_shape(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES];
    of_accounts(w);
    set(w, "salesforce.push.topic.notify.delete", "false");
    start(w);
    must(w, run(w));
    assert_true(tm_push_live(w->push));
    account(w, id, "Tide");
    assert_int_equal(
        org_one(w->f.org, TM_ORG_DELETE, TM_ORG_NORMAL, "Account", id, NULL, w->now.org_ms), TM_OK);
    must(w, run(w));
    json_t *list = records(w), *one = json_array_get(list, 0);
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(word(one, "_key"), id);
    assert_string_equal(word(one, "Id"), id);
    assert_string_equal(word(one, "Name"), "Tide");
    assert_string_equal(word(one, "_ObjectType"), "Account");
    assert_string_equal(word(one, "_EventType"), "created");
    assert_true(json_is_false(json_object_get(one, "IsDeleted")));
    assert_int_equal(json_integer_value(json_object_get(one, "CreatedDate")) % 1000, 0);
    assert_true(strtoll(word(one, "_ReplayId"), NULL, 10) > 0);
    assert_int_equal(json_integer_value(json_object_get(one, "_epoch")), 0);
    assert_true(json_is_null(json_object_get(one, "Phone")));
    json_decref(list);
    assert_int_equal(org_ask_int(w->f.org, "SELECT length(Query)<=1300 AND "
                                           "NotifyForOperationDelete=0 FROM cur_PushTopic"),
                     1);
}

static void a_platform_events_record_has_the_connectors_shape(void **state)
{
    struct world *w = *state;
    set(w, "salesforce.platform.event.name", "Low_Ink__e");
    start(w);
    must(w, run(w));
    low_ink(w, "XZO-5");
    must(w, run(w));
    json_t *list = records(w), *one = json_array_get(list, 0);
    static const char *const order[] = {
        "ReplayId",         "CreatedDate",      "CreatedById",       "EventUuid",
        "Printer_Model__c", "Serial_Number__c", "Ink_Percentage__c", "Replace__c",
        "Measured__c",      "_ObjectType",      "_EventType",        "_epoch"
    };
    size_t i = 0;
    const char *key;
    json_t *value;
    assert_int_equal(json_array_size(list), 1);
    json_object_foreach(one, key, value) if (i < sizeof order / sizeof *order)
        assert_string_equal(key, order[i++]);
    assert_string_equal(word(one, "Printer_Model__c"), "XZO-5");
    assert_int_equal(strlen(word(one, "EventUuid")), 36);
    assert_int_equal(strlen(word(one, "_EventType")), 22);
    assert_string_equal(word(one, "_ObjectType"), "Low_Ink__e");
    assert_int_equal(json_integer_value(json_object_get(one, "CreatedDate")), w->now.org_ms);
    json_decref(list);
}

static void a_restart_goes_on_after_the_checkpoint_and_loses_nothing(void **state)
{
    struct world *w = *state;
    set(w, "salesforce.platform.event.name", "Low_Ink__e");
    start(w);
    must(w, run(w));
    low_ink(w, "one");
    must(w, run(w));
    crash(w);
    low_ink(w, "two");
    start(w);
    must(w, run(w));
    low_ink(w, "three");
    must(w, run(w));
    assert_int_equal(count(w), 3);
}

/* It had received nothing before it crashed: what came meanwhile is read all the same. */
static void a_crash_before_the_first_event_misses_none(void **state)
{
    struct world *w = *state;
    set(w, "salesforce.platform.event.name", "Low_Ink__e");
    low_ink(w, "before");
    start(w);
    must(w, run(w));
    assert_int_equal(count(w), 0); /* salesforce.initial.start=latest */
    crash(w);
    low_ink(w, "meanwhile");
    start(w);
    must(w, run(w));
    assert_in_range(count(w), 1, 2);
}

static void everything_retained_is_read_first_where_asked(void **state)
{
    struct world *w = *state;
    set(w, "salesforce.platform.event.name", "Low_Ink__e");
    set(w, "salesforce.initial.start", "all");
    low_ink(w, "one");
    low_ink(w, "two");
    start(w);
    must(w, run(w));
    assert_int_equal(count(w), 2);
}

static void a_refused_replay_id_ends_it_or_begins_an_epoch(void **state)
{
    struct world *w = *state;
    set(w, "salesforce.platform.event.name", "Low_Ink__e");
    set(w, "invalid.replay.id.behaviour", "fail");
    start(w);
    must(w, run(w));
    low_ink(w, "one");
    must(w, run(w));
    crash(w);
    low_ink(w, "lost");
    w->now.org_ms += 73 * HOUR_MS;
    low_ink(w, "kept");
    start(w);
    assert_int_equal(run(w), TM_E_GAP);
    crash(w);
    set(w, "invalid.replay.id.behaviour", "all");
    start(w);
    must(w, run(w));
    json_t *list = records(w);
    bool kept = false;
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one) kept =
        kept || (strcmp(word(one, "Printer_Model__c"), "kept") == 0 &&
                 json_integer_value(json_object_get(one, "_epoch")) == 1);
    assert_int_equal(json_array_size(list), 2);
    assert_true(kept);
    json_decref(list);
}

static void a_push_topic_that_is_not_there_and_not_to_be_made_ends_it(void **state)
{
    char text[700];
    struct world *w = *state;
    of_accounts(w);
    set(w, "salesforce.push.topic.create", "false");
    start(w);
    assert_int_equal(run(w), TM_E_ARG);
    assert_non_null(
        strstr(tm_err_text(&w->err, text, sizeof text), "salesforce.push.topic.create"));
}

static void configs_that_name_no_one_channel_are_refused(void **state)
{
    static const struct {
        const char *key, *value, *other, *more, *named;
    } all[] = {
        { "salesforce.push.topic.name", "T", NULL, NULL, "salesforce.object" },
        { "salesforce.push.topic.name", "T", "salesforce.platform.event.name", "X__e", "one" },
        { "salesforce.push.topic.name", "T", "salesforce.cdc.name", "AccountChangeEvent", "one" },
        { "salesforce.platform.event.name", "Low_Ink", NULL, NULL, "__e" },
        { "salesforce.push.topic.name", "a/b", "salesforce.object", "Account", "a/b" },
        { "salesforce.platform.event.name", "X__e", "kafka.topic", "t.${_EventType}",
          "_EventType" },
        { "salesforce.push.topic.nam", "T", NULL, NULL, "salesforce.push.topic.name" },
    };
    struct world *w = *state;
    size_t keys_count;
    const struct tm_key *keys = tm_source_keys(&keys_count);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char text[700];
        json_t *json = json_deep_copy(w->keys);
        struct tm_config *config = NULL;
        json_object_set_new(json, all[i].key, json_string(all[i].value));
        if (all[i].other != NULL)
            json_object_set_new(json, all[i].other, json_string(all[i].more));
        tm_err_clear(&w->err);
        enum tm_code rc = tm_config_from_json(&config, json, "c.json", keys, keys_count, &w->err);
        if (rc == TM_OK)
            rc = tm_source_settings_read(&w->settings, config, NULL, &w->err);
        assert_int_equal(rc, TM_E_ARG);
        if (strstr(tm_err_text(&w->err, text, sizeof text), all[i].named) == NULL)
            fail_msg("%zu: %s", i, text);
        tm_config_close(config);
        json_decref(json);
    }
    tm_err_clear(&w->err);
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_push_topic_is_made_and_its_records_have_the_connectors_shape),
        T(a_platform_events_record_has_the_connectors_shape),
        T(a_restart_goes_on_after_the_checkpoint_and_loses_nothing),
        T(a_crash_before_the_first_event_misses_none),
        T(everything_retained_is_read_first_where_asked),
        T(a_refused_replay_id_ends_it_or_begins_an_epoch),
        T(a_push_topic_that_is_not_there_and_not_to_be_made_ends_it),
        T(configs_that_name_no_one_channel_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
