/* Platform events, generic streaming and custom channels, as a client meets them. */
#include "tests/support_streaming.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sqlite3.h>

#define T(name) cmocka_unit_test_setup_teardown(name, stream_world_open, stream_world_close)

/* ---- platform events ---- */

static void a_platform_event_is_published_by_rest_and_delivered_with_its_uuid(void **state)
{
    struct stream_world *w = *state;
    assert_string_equal(stream_subscribe(w, "/event/Low_Ink__e", -1), "");
    stream_ask(w, "POST", DATA "/sobjects/Low_Ink__e/",
               "{\"Printer_Model__c\":\"XZO-5\",\"Ink_Percentage__c\":0.205}");
    assert_int_equal(w->status, 201);
    const json_t *error = json_array_get(json_object_get(w->got, "errors"), 0);
    char uuid[64], id[32];
    snprintf(id, sizeof id, "%s", stream_word(w->got, "id"));
    snprintf(uuid, sizeof uuid, "%s", stream_word(error, "message"));
    assert_true(json_is_true(json_object_get(w->got, "success")));
    assert_string_equal(stream_word(error, "statusCode"), "OPERATION_ENQUEUED");
    assert_true(tm_id_valid(id) && strncmp(id, "e00", 3) == 0 && strlen(uuid) == 36);
    json_t *list = stream_deliveries(w);
    const json_t *payload = stream_data_of(list, 0, "payload");
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(stream_word(stream_data_of(list, 0, "event"), "EventUuid"), uuid);
    assert_string_equal(stream_word(payload, "Printer_Model__c"), "XZO-5");
    assert_true(json_real_value(json_object_get(payload, "Ink_Percentage__c")) == 0.21);
    assert_true(json_is_null(json_object_get(payload, "Serial_Number__c")));
    assert_true(json_is_false(json_object_get(payload, "Replace__c")));
    assert_string_equal(stream_word(payload, "CreatedById"), tm_org_user_id(w->f.org));
    assert_int_equal(strlen(stream_word(payload, "CreatedDate")), 24);
    char target[100], schema[32];
    snprintf(schema, sizeof schema, "%s", json_string_value(stream_data_of(list, 0, "schema")));
    json_decref(list);
    snprintf(target, sizeof target, DATA "/event/eventSchema/%s", schema);
    stream_ask(w, "GET", target, NULL);
    assert_int_equal(w->status, 200);
    assert_string_equal(stream_word(w->got, "name"), "Low_Ink__e");
    assert_string_equal(stream_word(w->got, "uuid"), schema);
    stream_ask(w, "GET", DATA "/sobjects/Low_Ink__e/describe", NULL);
    assert_string_equal(stream_word(w->got, "keyPrefix"), "e00");
}

static void a_wrong_platform_event_is_refused_as_rest_refuses_a_record(void **state)
{
    static const struct {
        const char *body, *code;
    } all[] = { { "{}", "REQUIRED_FIELD_MISSING" },
                { "{\"Printer_Model__c\":\"x\",\"Nothing__c\":1}", "INVALID_FIELD" },
                { "{\"Printer_Model__c\":\"x\",\"ReplayId\":\"9\"}",
                  "INVALID_FIELD_FOR_INSERT_UPDATE" },
                { "{\"Printer_Model__c\":{}}", "JSON_PARSER_ERROR" },
                { "{\"Printer_Model__c\":\"012345678901234567890\"}", "STRING_TOO_LONG" },
                { "[1]", "JSON_PARSER_ERROR" },
                { "{", "JSON_PARSER_ERROR" } };
    struct stream_world *w = *state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        stream_ask(w, "POST", DATA "/sobjects/Low_Ink__e", all[i].body);
        assert_int_equal(w->status, 400);
        assert_string_equal(stream_word(stream_first(w), "errorCode"), all[i].code);
    }
    stream_ask(w, "POST", DATA "/sobjects/High_Ink__e", "{}");
    assert_int_equal(w->status, 404);
    stream_ask(w, "DELETE", DATA "/sobjects/Low_Ink__e", NULL);
    assert_int_equal(w->status, 405);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM stream"), 0);
    w->authorization[0] = '\0';
    stream_ask(w, "POST", DATA "/sobjects/Low_Ink__e", "{\"Printer_Model__c\":\"x\"}");
    assert_int_equal(w->status, 401);
}

static void streams_wait_for_the_publish_delay_too(void **state)
{
    struct stream_world *w = *state;
    tm_salesforce_close(w->salesforce);
    w->f.settings.publish_delay_ms = 2000;
    org_fixture_reopen(&w->f);
    stream_serve(w);
    assert_string_equal(stream_subscribe(w, "/event/Low_Ink__e", -1), "");
    stream_ask(w, "POST", DATA "/sobjects/Low_Ink__e", "{\"Printer_Model__c\":\"x\"}");
    w->now.org_ms += 1999;
    assert_int_equal(stream_brings(w), 0);
    w->now.org_ms += 1;
    assert_int_equal(stream_brings(w), 1);
}

/* ---- generic streaming ---- */

static void a_streaming_channel_carries_what_is_pushed(void **state)
{
    struct stream_world *w = *state;
    char target[120];
    assert_non_null(strstr(stream_subscribe(w, "/u/notes", -1), "does not exist"));
    stream_ask(w, "POST", DATA "/sobjects/StreamingChannel", "{\"Name\":\"/u/notes\"}");
    assert_int_equal(w->status, 201);
    snprintf(target, sizeof target, DATA "/sobjects/StreamingChannel/%s/push",
             stream_word(w->got, "id"));
    stream_ask(w, "GET", target, NULL);
    assert_int_equal(json_array_size(json_object_get(w->got, "OnlineUserIds")), 0);
    assert_string_equal(stream_subscribe(w, "/u/notes", -1), "");
    stream_ask(w, "GET", target, NULL);
    assert_int_equal(json_array_size(json_object_get(w->got, "OnlineUserIds")), 1);
    stream_ask(w, "POST", target,
               "{\"pushEvents\":[{\"payload\":\"hello \\\"you\\\"\",\"userIds\":[]},"
               "{\"payload\":\"for nobody here\",\"userIds\":[\"005000000000001\"]}]}");
    assert_int_equal(w->status, 200);
    assert_int_equal(json_integer_value(json_object_get(stream_first(w), "fanoutCount")), -1);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(w->got, 1), "fanoutCount")),
                     0);
    json_t *list = stream_deliveries(w);
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(json_string_value(stream_data_of(list, 0, "payload")), "hello \"you\"");
    assert_int_equal(strlen(stream_word(stream_data_of(list, 0, "event"), "createdDate")), 24);
    json_decref(list);
    stream_ask(w, "POST", target, "{\"pushEvents\":[{\"payload\":5}]}");
    assert_int_equal(w->status, 400);
    stream_ask(w, "POST", DATA "/sobjects/StreamingChannel/0M6000000000001/push", "{}");
    assert_int_equal(w->status, 404);
}

/* ---- custom channels ---- */

static void a_custom_channel_carries_its_members_alone(void **state)
{
    struct stream_world *w = *state;
    char id[TM_ID_BYTES], deal[TM_ID_BYTES];
    stream_ask(w, "POST", "/tidemark/v1/channels",
               "{\"name\":\"Sales__chn\",\"members\":[\"User\",{\"object\":\"Account\"}]}");
    assert_int_equal(w->status, 200);
    assert_string_equal(stream_subscribe(w, "/data/Sales__chn", -1), "");
    stream_account(w, id, "Tide", "Energy");
    org_make_opportunity(w->f.org, deal, "deal", id, w->now.org_ms);
    stream_account(w, id, "Ebb", "Energy");
    json_t *list = stream_deliveries(w);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(stream_word(json_array_get(list, 0), "channel"), "/data/Sales__chn");
    assert_string_equal(stream_word(stream_data_of(list, 1, "payload"), "Name"), "Ebb");
    json_decref(list);
    stream_ask(w, "POST", "/tidemark/v1/channels", "{\"name\":\"Sales__chn\",\"members\":[]}");
    stream_account(w, id, "Flood", "Energy");
    assert_int_equal(stream_brings(w), 0);
    assert_non_null(strstr(stream_subscribe(w, "/data/Sales__chn", -1), "does not exist"));
}

static void enriched_fields_come_as_they_were_at_the_commit(void **state)
{
    struct stream_world *w = *state;
    char id[TM_ID_BYTES];
    stream_ask(
        w, "POST", "/tidemark/v1/channels",
        "{\"name\":\"Rich__chn\",\"members\":[{\"object\":\"Account\",\"enriched\":[\"Industry\","
        "\"Phone\",\"Name\"]}]}");
    assert_int_equal(w->status, 200);
    stream_account(w, id, "Tide", "Energy");
    stream_change(w, TM_ORG_UPDATE, id, "Name", "Ebb");
    stream_change(w, TM_ORG_UPDATE, id, "Industry", "Media");
    stream_change(w, TM_ORG_DELETE, id, NULL, NULL);
    assert_string_equal(stream_subscribe(w, "/data/Rich__chn", -2), "");
    json_t *list = stream_deliveries(w);
    assert_int_equal(json_array_size(list), 4);
    assert_null(json_object_get(stream_data_of(list, 0, "payload"), "Phone"));
    assert_string_equal(stream_word(stream_data_of(list, 0, "payload"), "Industry"), "Energy");
    assert_string_equal(stream_word(stream_data_of(list, 1, "payload"), "Name"), "Ebb");
    assert_string_equal(stream_word(stream_data_of(list, 1, "payload"), "Industry"),
                        "Energy"); /* Media later */
    assert_null(json_object_get(stream_data_of(list, 1, "payload"), "Phone"));
    assert_string_equal(stream_word(stream_data_of(list, 2, "payload"), "Name"), "Ebb");
    assert_string_equal(stream_word(stream_data_of(list, 3, "payload"), "Name"),
                        "Ebb"); /* of a delete */
    json_decref(list);
    assert_string_equal(stream_subscribe(w, "/data/AccountChangeEvent", -2), "");
    list = stream_deliveries(w);
    assert_null(json_object_get(stream_data_of(list, 1, "payload"), "Industry"));
    json_decref(list);
}

static void a_merged_event_that_is_enriched_comes_once_a_record_with_one_replay_id(void **state)
{
    struct stream_world *w = *state;
    char a[TM_ID_BYTES], b[TM_ID_BYTES];
    struct tm_org_set sets[] = { { "Phone", org_text("7") } };
    stream_ask(
        w, "POST", "/tidemark/v1/channels",
        "{\"name\":\"Rich__chn\",\"members\":[{\"object\":\"Account\",\"enriched\":[\"Name\"]}]}");
    stream_account(w, a, "Tide", "Energy");
    stream_account(w, b, "Ebb", "Energy");
    struct tm_org_change changes[2] = {
        { TM_ORG_UPDATE, TM_ORG_MERGED, "Account", "", sets, 1, 0 },
        { TM_ORG_UPDATE, TM_ORG_MERGED, "Account", "", sets, 1, 0 },
    };
    memcpy(changes[0].id, a, sizeof a);
    memcpy(changes[1].id, b, sizeof b);
    struct tm_org_txn txn = { .changes = changes,
                              .changes_count = 2,
                              .org_ms = w->now.org_ms + 1000 };
    w->now.org_ms += 1000;
    assert_string_equal(stream_subscribe(w, "/data/Rich__chn", -1), "");
    assert_int_equal(tm_org_commit(w->f.org, &txn, NULL), TM_OK);
    json_t *list = stream_deliveries(w);
    assert_int_equal(json_array_size(list), 2);
    assert_int_equal(stream_replay_of(list, 0), stream_replay_of(list, 1));
    for (size_t i = 0; i < 2; i++) {
        const json_t *payload = stream_data_of(list, i, "payload");
        const json_t *ids =
            json_object_get(json_object_get(payload, "ChangeEventHeader"), "recordIds");
        assert_int_equal(json_array_size(ids), 1);
        assert_string_equal(json_string_value(json_array_get(ids, 0)), i == 0 ? a : b);
        assert_string_equal(stream_word(payload, "Name"), i == 0 ? "Tide" : "Ebb");
    }
    json_decref(list);
    assert_string_equal(stream_subscribe(w, "/data/AccountChangeEvent", -2), "");
    assert_int_equal(stream_brings(w), 3);
}

static void a_wrong_channel_is_refused_and_changes_nothing(void **state)
{
    static const char *const all[] = {
        "{\"name\":\"Sales\",\"members\":[\"Account\"]}",
        "{\"name\":\"Sa/les__chn\",\"members\":[\"Account\"]}",
        "{\"name\":\"Sales__chn\",\"members\":[\"Nobody\"]}",
        "{\"name\":\"Sales__chn\",\"members\":[\"PushTopic\"]}",
        "{\"name\":\"Sales__chn\",\"members\":[{\"object\":\"Account\",\"enriched\":[\"Nmae\"]}]}",
        "{\"name\":\"Sales__chn\",\"members\":[{\"object\":\"Account\",\"enrich\":[]}]}",
        ("{\"name\":\"Sales__chn\",\"members\":[{\"object\":\"Account\",\"enriched\":"
         "[\"BillingAddress\"]}]}"),
        "{\"name\":\"Sales__chn\",\"members\":{}}",
        "{\"name\":\"Sales__chn\",\"members\":[5]}",
        "{\"name\":\"Sales__chn\"}"
    };
    struct stream_world *w = *state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        stream_ask(w, "POST", "/tidemark/v1/channels", all[i]);
        assert_int_equal(w->status, 400);
    }
    stream_ask(w, "GET", "/tidemark/v1/channels", NULL);
    assert_int_equal(json_array_size(json_object_get(w->got, "channels")), 0);
}

static void a_scenario_sets_up_push_topics_and_channels_once(void **state)
{
    struct stream_world *w = *state;
    json_t *setup = json_loads("{\"push_topics\":[{\"Name\":\"Deals\",\"Query\":\"SELECT Id FROM "
                               "Account\"}],\"channels\":[{\"name\":\"Sales__chn\",\"members\":"
                               "[\"Account\"]}]}",
                               0, NULL);
    struct tm_streaming *s = tm_salesforce_streaming(w->salesforce);
    assert_int_equal(tm_streaming_setup(s, setup, w->now.org_ms, NULL), TM_OK);
    assert_int_equal(tm_streaming_setup(s, setup, w->now.org_ms, NULL), TM_OK);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_PushTopic"), 1);
    assert_string_equal(stream_subscribe(w, "/topic/Deals", -1), "");
    assert_string_equal(stream_subscribe(w, "/data/Sales__chn", -1), "");
    json_object_set_new(setup, "chanels", json_array());
    assert_int_equal(tm_streaming_setup(s, setup, w->now.org_ms, NULL), TM_E_ARG);
    json_decref(setup);
}

static void while_the_org_is_locked_nothing_is_published_and_the_answer_is_try_again(void **state)
{
    struct stream_world *w = *state;
    static const char *const asks[][2] = {
        { "/tidemark/v1/events",
          "{\"object\":\"Low_Ink__e\",\"fields\":{\"Printer_Model__c\":\"x\"}}" },
        { "/tidemark/v1/channels", "{\"name\":\"Sales__chn\",\"members\":[\"Account\"]}" },
    };
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(w->f.path, &other), SQLITE_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        stream_ask(w, "POST", asks[i][0], asks[i][1]);
        assert_int_equal(w->status, 503);
        assert_string_equal(stream_word(json_array_get(w->got, 0), "errorCode"),
                            "SERVER_UNAVAILABLE");
        assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
        stream_ask(w, "POST", asks[i][0], asks[i][1]);
        assert_int_equal(w->status, 200);
    }
    sqlite3_close(other);
}

static int64_t remaining(struct stream_world *w, const char *limit)
{
    stream_ask(w, "GET", DATA "/limits", NULL);
    return json_integer_value(json_object_get(json_object_get(w->got, limit), "Remaining"));
}

static void limits_count_what_was_published_in_the_last_hour_and_day(void **state)
{
    struct stream_world *w = *state;
    static const char publish[] =
        "{\"object\":\"Low_Ink__e\",\"fields\":{\"Printer_Model__c\":\"x\"}}";
    assert_int_equal(remaining(w, "HourlyPublishedPlatformEvents"), 250000);
    stream_ask(w, "POST", "/tidemark/v1/events", publish);
    stream_ask(w, "POST", "/tidemark/v1/events", publish);
    assert_int_equal(remaining(w, "HourlyPublishedPlatformEvents"), 249998);
    assert_int_equal(remaining(w, "DailyGenericStreamingApiEvents"), 10000);
    w->now.org_ms += HOUR_MS - 1;
    assert_int_equal(remaining(w, "HourlyPublishedPlatformEvents"), 249998);
    w->now.org_ms += 1;
    assert_int_equal(remaining(w, "HourlyPublishedPlatformEvents"), 250000);
    assert_int_equal(tm_stream_put(tm_salesforce_streaming(w->salesforce)->stream, "/u/tide",
                                   w->now.org_ms, "", "", &(int64_t){ 0 }, NULL),
                     TM_OK);
    assert_int_equal(remaining(w, "DailyGenericStreamingApiEvents"), 9999);
    assert_int_equal(remaining(w, "DailyDurableGenericStreamingApiEvents"), 9999);
    assert_int_equal(remaining(w, "HourlyPublishedPlatformEvents"), 250000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_platform_event_is_published_by_rest_and_delivered_with_its_uuid),
        T(a_wrong_platform_event_is_refused_as_rest_refuses_a_record),
        T(streams_wait_for_the_publish_delay_too),
        T(a_streaming_channel_carries_what_is_pushed),
        T(a_custom_channel_carries_its_members_alone),
        T(enriched_fields_come_as_they_were_at_the_commit),
        T(a_merged_event_that_is_enriched_comes_once_a_record_with_one_replay_id),
        T(a_wrong_channel_is_refused_and_changes_nothing),
        T(while_the_org_is_locked_nothing_is_published_and_the_answer_is_try_again),
        T(limits_count_what_was_published_in_the_last_hour_and_day),
        T(a_scenario_sets_up_push_topics_and_channels_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
