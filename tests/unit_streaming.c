/* PushTopics, and the replay of every kind of stream. */
#include "tests/support_streaming.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define T(name) cmocka_unit_test_setup_teardown(name, stream_world_open, stream_world_close)

/* ---- PushTopics ---- */

static void a_push_topic_tells_of_create_update_delete_and_undelete(void **state)
{
    static const char *const types[] = { "created", "updated", "deleted", "undeleted" };
    struct stream_world *w = *state;
    char id[TM_ID_BYTES];
    stream_good_topic(w, "SELECT Id, Name, IsDeleted, LastModifiedDate FROM Account", "");
    assert_string_equal(stream_subscribe(w, "/topic/Deals", -1), "");
    stream_account(w, id, "Tide", "Energy");
    stream_change(w, TM_ORG_UPDATE, id, "Name", "Ebb");
    stream_change(w, TM_ORG_DELETE, id, NULL, NULL);
    stream_change(w, TM_ORG_UNDELETE, id, NULL, NULL);
    json_t *list = stream_deliveries(w);
    assert_int_equal(json_array_size(list), 4);
    int64_t last = 0;
    for (size_t i = 0; i < 4; i++) {
        const json_t *sobject = stream_data_of(list, i, "sobject"),
                     *event = stream_data_of(list, i, "event");
        assert_string_equal(stream_word(json_array_get(list, i), "channel"), "/topic/Deals");
        assert_string_equal(stream_word(event, "type"), types[i]);
        assert_int_equal(strlen(stream_word(event, "createdDate")), 24);
        assert_string_equal(stream_word(sobject, "Id"), id);
        assert_int_equal(json_object_size(sobject), i == 2 ? 1 : 4);
        assert_true(stream_replay_of(list, i) > last);
        last = stream_replay_of(list, i);
    }
    assert_string_equal(stream_word(stream_data_of(list, 1, "sobject"), "Name"), "Ebb");
    assert_non_null(
        strstr(stream_word(stream_data_of(list, 1, "sobject"), "LastModifiedDate"), ".000Z"));
    json_decref(list);
}

static void only_asked_operations_are_told(void **state)
{
    struct stream_world *w = *state;
    char id[TM_ID_BYTES];
    stream_good_topic(w, "SELECT Id FROM Account",
                      ",\"NotifyForFields\":\"All\",\"NotifyForOperationCreate\":false,"
                      "\"NotifyForOperationUndelete\":false");
    assert_string_equal(stream_subscribe(w, "/topic/Deals", -1), "");
    stream_account(w, id, "Tide", "Energy");
    stream_change(w, TM_ORG_UPDATE, id, "Name", "Ebb");
    stream_change(w, TM_ORG_DELETE, id, NULL, NULL);
    stream_change(w, TM_ORG_UNDELETE, id, NULL, NULL);
    json_t *list = stream_deliveries(w);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(stream_word(stream_data_of(list, 0, "event"), "type"), "updated");
    assert_string_equal(stream_word(stream_data_of(list, 1, "event"), "type"), "deleted");
    json_decref(list);
}

/* Name is selected, Industry is compared, Phone is neither. */
static void notify_for_fields_decides_which_updates_count(void **state)
{
    static const struct {
        const char *fields;
        size_t name, industry, phone;
    } all[] = {
        { "All", 1, 1, 1 }, { "Referenced", 1, 1, 0 }, { "Select", 1, 0, 0 }, { "Where", 0, 1, 0 }
    };
    struct stream_world *w = *state;
    for (size_t i = 0; i < 4; i++) {
        char id[TM_ID_BYTES], more[64], name[16], channel[32];
        snprintf(name, sizeof name, "T%zu", i);
        snprintf(channel, sizeof channel, "/topic/T%zu", i);
        snprintf(more, sizeof more, ",\"NotifyForFields\":\"%s\"", all[i].fields);
        stream_push_topic(w, name, "SELECT Id, Name FROM Account WHERE Industry != 'Banking'",
                          more);
        assert_int_equal(w->status, 201);
        stream_account(w, id, "Tide", "Energy");
        assert_string_equal(stream_subscribe(w, channel, -1), "");
        stream_change(w, TM_ORG_UPDATE, id, "Name", "Ebb");
        assert_int_equal(stream_brings(w), all[i].name);
        stream_change(w, TM_ORG_UPDATE, id, "Industry", "Media");
        assert_int_equal(stream_brings(w), all[i].industry);
        stream_change(w, TM_ORG_UPDATE, id, "Phone", "1");
        assert_int_equal(stream_brings(w), all[i].phone);
        stream_change(w, TM_ORG_UPDATE, id, "Industry", "Banking"); /* no longer meets WHERE */
        assert_int_equal(stream_brings(w), 0);
    }
}

static void a_record_must_meet_where_as_it_is_after_the_change(void **state)
{
    struct stream_world *w = *state;
    char id[TM_ID_BYTES], other[TM_ID_BYTES];
    stream_good_topic(
        w, "SELECT Id, Name FROM Account WHERE Industry = 'Energy' AND Name LIKE 'T%'", "");
    assert_string_equal(stream_subscribe(w, "/topic/Deals", -1), "");
    stream_account(w, id, "Tide", "Energy");
    stream_account(w, other, "Tide", "Media");
    assert_int_equal(stream_brings(w), 1);
    stream_change(w, TM_ORG_UPDATE, other, "Industry", "Energy");
    assert_int_equal(stream_brings(w), 1);
    stream_change(w, TM_ORG_UPDATE, id, "Name", "Ebb");
    stream_change(w, TM_ORG_DELETE, id, NULL, NULL);
    assert_int_equal(stream_brings(w), 0);
    stream_change(w, TM_ORG_DELETE, other, NULL, NULL);
    assert_int_equal(stream_brings(w), 1);
}

static void a_filter_lets_through_what_meets_any_of_its_conditions(void **state)
{
    struct stream_world *w = *state;
    char id[TM_ID_BYTES];
    stream_good_topic(w, "SELECT Id, Name, Industry, NumberOfEmployees FROM Account", "");
    stream_account(w, id, "Tide", "Energy");
    stream_account(w, id, "Ebb", "Media");
    stream_account(w, id, "Flood", "Media");
    assert_string_equal(stream_subscribe(w, "/topic/Deals?Industry=Energy&Name='Flood'", -2), "");
    json_t *list = stream_deliveries(w);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(stream_word(stream_data_of(list, 0, "sobject"), "Name"), "Tide");
    assert_string_equal(stream_word(stream_data_of(list, 1, "sobject"), "Name"), "Flood");
    assert_string_equal(stream_word(json_array_get(list, 0), "channel"),
                        "/topic/Deals?Industry=Energy&Name='Flood'");
    json_decref(list);
    assert_string_equal(stream_subscribe(w, "/topic/Deals?name=Eb%62", -2), "");
    assert_int_equal(stream_brings(w), 1);
    assert_non_null(strstr(stream_subscribe(w, "/topic/Deals?Phone=1", -1), "does not select"));
}

static void what_a_rolled_back_transaction_did_is_not_told(void **state)
{
    struct stream_world *w = *state;
    struct tm_org_set sets[] = { { "Name", org_text("Tide") } };
    struct tm_org_change changes[] = {
        { .kind = TM_ORG_CREATE, .object = "Account", .sets = sets, .sets_count = 1 },
        { .kind = TM_ORG_UPDATE, .object = "Account", .id = "001000000000000AAA" },
    };
    struct tm_org_txn txn = { .changes = changes, .changes_count = 2, .org_ms = w->now.org_ms };
    stream_good_topic(w, "SELECT Id FROM Account", "");
    assert_int_equal(tm_org_commit(w->f.org, &txn, NULL), TM_E_ARG);
    assert_string_equal(stream_subscribe(w, "/topic/Deals", -2), "");
    assert_int_equal(stream_brings(w), 0);
}

static void a_push_topic_of_a_rolled_back_transaction_is_none(void **state)
{
    struct stream_world *w = *state;
    char id[TM_ID_BYTES] = "";
    struct tm_org_set topic[] = { { "Name", org_text("Ghost") },
                                  { "Query", org_text("SELECT Id FROM Account") },
                                  { "ApiVersion", org_real(59) } };
    struct tm_org_set sets[] = { { "Name", org_text("Tide") } };
    struct tm_org_change changes[] = {
        { .kind = TM_ORG_CREATE, .object = "PushTopic", .sets = topic, .sets_count = 3 },
        { .kind = TM_ORG_CREATE, .object = "Account", .sets = sets, .sets_count = 1 },
        { .kind = TM_ORG_UPDATE, .object = "Account", .id = "001000000000000AAA" },
    };
    struct tm_org_txn txn = { .changes = changes, .changes_count = 3, .org_ms = w->now.org_ms };
    assert_int_equal(tm_org_commit(w->f.org, &txn, NULL), TM_E_ARG);
    assert_non_null(strstr(stream_subscribe(w, "/topic/Ghost", -1), "does not exist"));
    stream_account(w, id, "Tide", "Energy");
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM stream"), 0);
}

static void a_push_topic_that_cannot_work_is_refused_and_leaves_nothing(void **state)
{
    struct stream_world *w = *state;
    stream_refused_topic(w, "T", "SELECT Name FROM Account", "", "INVALID_FIELD");
    stream_refused_topic(w, "T", "SELECT Id, Nmae FROM Account", "", "INVALID_FIELD");
    stream_refused_topic(w, "T", "SELECT Id FROM Account WHERE Nmae = 'x'", "", "INVALID_FIELD");
    stream_refused_topic(w, "T", "SELECT Id, Owner.Name FROM Account", "", "INVALID_FIELD");
    stream_refused_topic(w, "T", "SELECT Id FROM Accountt", "", "INVALID_TYPE");
    stream_refused_topic(w, "T", "SELECT Id FROM Account ORDER BY Name", "", "MALFORMED_QUERY");
    stream_refused_topic(w, "T", "SELECT Id FROM Account LIMIT 3", "", "MALFORMED_QUERY");
    stream_refused_topic(w, "T", "SELECT COUNT() FROM Account", "", "MALFORMED_QUERY");
    stream_refused_topic(w, "T", "SELECT FROM Account", "", "MALFORMED_QUERY");
    stream_refused_topic(w, "T", "SELECT Id FROM Account WHERE Name > 5", "", "INVALID_FIELD");
    stream_refused_topic(w, "a/b", "SELECT Id FROM Account", "", "INVALID_FIELD");
    stream_refused_topic(w, "T", "SELECT Id FROM Account", ",\"NotifyForFields\":\"Some\"",
                         "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST");
    stream_good_topic(w, "SELECT Id FROM Account", "");
    stream_refused_topic(w, "Deals", "SELECT Id FROM Account", "", "DUPLICATE_VALUE");
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_PushTopic"), 1);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM event WHERE object='PushTopic'"),
                     0);
}

static void an_inactive_or_deleted_push_topic_tells_nothing_and_takes_no_subscriber(void **state)
{
    struct stream_world *w = *state;
    char id[TM_ID_BYTES], target[100];
    stream_good_topic(w, "SELECT Id, Name FROM Account", "");
    snprintf(target, sizeof target, DATA "/sobjects/PushTopic/%s", stream_word(w->got, "id"));
    assert_string_equal(stream_subscribe(w, "/topic/Deals", -1), "");
    stream_ask(w, "PATCH", target, "{\"IsActive\":false}");
    assert_int_equal(w->status, 204);
    stream_account(w, id, "Tide", "Energy");
    assert_int_equal(stream_brings(w), 0);
    assert_non_null(strstr(stream_subscribe(w, "/topic/Deals", -1), "does not exist"));
    stream_ask(w, "PATCH", target,
               "{\"IsActive\":true,\"Query\":\"SELECT Id, Industry FROM Account\"}");
    assert_int_equal(w->status, 204);
    assert_string_equal(stream_subscribe(w, "/topic/Deals", -1), "");
    stream_account(w, id, "Ebb", "Media");
    json_t *list = stream_deliveries(w);
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(stream_word(stream_data_of(list, 0, "sobject"), "Industry"), "Media");
    json_decref(list);
    stream_ask(w, "DELETE", target, NULL);
    assert_int_equal(w->status, 204);
    assert_non_null(strstr(stream_subscribe(w, "/topic/Deals", -1), "does not exist"));
}

static void push_topics_are_found_by_soql(void **state)
{
    struct stream_world *w = *state;
    stream_good_topic(w, "SELECT Id FROM Account", "");
    stream_ask(
        w, "GET",
        DATA "/query?q=SELECT+Id,+Query,+NotifyForFields,+IsActive,+NotifyForOperationCreate+FROM+"
             "PushTopic+WHERE+Name+=+'Deals'",
        NULL);
    const json_t *row = json_array_get(json_object_get(w->got, "records"), 0);
    assert_string_equal(stream_word(row, "Query"), "SELECT Id FROM Account");
    assert_string_equal(stream_word(row, "NotifyForFields"), "Referenced");
    assert_true(json_is_true(json_object_get(row, "IsActive")));
    assert_true(json_is_true(json_object_get(row, "NotifyForOperationCreate")));
}

/* ---- replay ---- */

static void each_stream_replays_by_itself_for_its_own_time(void **state)
{
    struct stream_world *w = *state;
    char id[TM_ID_BYTES], body[200];
    stream_good_topic(w, "SELECT Id, Name FROM Account", "");
    int64_t began = w->now.org_ms;
    for (int i = 0; i < 5; i++) {
        stream_account(w, id, "Tide", "Energy");
        snprintf(body, sizeof body, "{\"Printer_Model__c\":\"m%d\"}", i);
        stream_ask(w, "POST", DATA "/sobjects/Low_Ink__e", body);
        assert_int_equal(w->status, 201);
    }
    assert_string_equal(stream_subscribe(w, "/topic/Deals", -2), "");
    json_t *list = stream_deliveries(w);
    assert_int_equal(json_array_size(list), 5);
    int64_t third = stream_replay_of(list, 2), last = stream_replay_of(list, 4);
    json_decref(list);
    assert_string_equal(stream_subscribe(w, "/topic/Deals", third), "");
    assert_int_equal(stream_brings(w), 2);
    assert_string_equal(stream_subscribe(w, "/topic/Deals", last), "");
    assert_int_equal(stream_brings(w), 0);
    assert_non_null(strstr(stream_subscribe(w, "/topic/Deals", last + 1), "400::The replayId {"));
    w->now.org_ms = began + 24 * HOUR_MS + 2500; /* two of the five are older than a day */
    assert_string_equal(stream_subscribe(w, "/topic/Deals", -2), "");
    assert_int_equal(stream_brings(w), 3);
    assert_non_null(strstr(stream_subscribe(w, "/topic/Deals", 0), "was invalid.  Please"));
    assert_string_equal(stream_subscribe(w, "/event/Low_Ink__e", -2), "");
    assert_int_equal(stream_brings(w), 5);
    w->now.org_ms = began + 73 * HOUR_MS;
    assert_string_equal(stream_subscribe(w, "/event/Low_Ink__e", -2), "");
    assert_int_equal(stream_brings(w), 0);
    assert_non_null(strstr(stream_subscribe(w, "/event/Low_Ink__e", 0), "400::The replayId {0}"));
}

static void positions_and_ids_go_on_after_a_restart(void **state)
{
    struct stream_world *w = *state;
    char id[TM_ID_BYTES];
    stream_good_topic(w, "SELECT Id, Name FROM Account", "");
    stream_ask(w, "POST", "/tidemark/v1/channels",
               "{\"name\":\"Sales__chn\",\"members\":[\"Account\"]}");
    stream_account(w, id, "One", "Energy");
    stream_ask(w, "POST", DATA "/sobjects/Low_Ink__e", "{\"Printer_Model__c\":\"one\"}");
    int64_t topic = org_ask_int(w->f.org, "SELECT max(replay_id) FROM stream WHERE channel LIKE "
                                          "'/topic/%'"),
            event = org_ask_int(w->f.org, "SELECT max(replay_id) FROM stream WHERE channel LIKE "
                                          "'/event/%'"),
            cdc = org_ask_int(w->f.org, "SELECT max(replay_id) FROM event");
    stream_restart(w);
    stream_account(w, id, "Two", "Energy");
    stream_ask(w, "POST", DATA "/sobjects/Low_Ink__e", "{\"Printer_Model__c\":\"two\"}");
    const struct {
        const char *channel;
        int64_t from;
    } all[] = { { "/topic/Deals", topic },
                { "/event/Low_Ink__e", event },
                { "/data/Sales__chn", cdc } };
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(stream_subscribe(w, all[i].channel, all[i].from), "");
        json_t *list = stream_deliveries(w);
        assert_int_equal(json_array_size(list), 1);
        assert_true(stream_replay_of(list, 0) > all[i].from);
        json_decref(list);
    }
}

static void planted_expiry_and_reset_reach_every_stream(void **state)
{
    struct stream_world *w = *state;
    char id[TM_ID_BYTES];
    stream_good_topic(w, "SELECT Id, Name FROM Account", "");
    stream_account(w, id, "One", "Energy");
    assert_string_equal(stream_subscribe(w, "/topic/Deals", 0), "");
    json_t *list = stream_deliveries(w);
    int64_t first_id = stream_replay_of(list, 0);
    json_decref(list);
    stream_ask(w, "POST", "/tidemark/v1/faults", "{\"expire_events\":{}}");
    assert_non_null(strstr(stream_subscribe(w, "/topic/Deals", 0), "400::The replayId {0}"));
    stream_ask(w, "POST", "/tidemark/v1/faults", "{\"reset_replay_ids\":{}}");
    assert_non_null(strstr(stream_subscribe(w, "/topic/Deals", first_id), "400::The replayId {"));
}

static void a_subscriber_that_falls_behind_a_day_is_told(void **state)
{
    struct stream_world *w = *state;
    char id[TM_ID_BYTES], body[300];
    stream_good_topic(w, "SELECT Id FROM Account", "");
    assert_string_equal(stream_subscribe(w, "/topic/Deals", -1), "");
    stream_account(w, id, "Tide", "Energy");
    w->now.org_ms += 25 * HOUR_MS;
    snprintf(body, sizeof body,
             "[{\"channel\":\"/meta/connect\",\"clientId\":\"%s\",\"connectionType\":"
             "\"long-polling\"}]",
             w->client);
    stream_ask(w, "POST", "/cometd/59.0", body);
    assert_string_equal(stream_word(stream_first(w), "error"), "403::Unknown client");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_push_topic_tells_of_create_update_delete_and_undelete),
        T(only_asked_operations_are_told),
        T(notify_for_fields_decides_which_updates_count),
        T(a_record_must_meet_where_as_it_is_after_the_change),
        T(a_filter_lets_through_what_meets_any_of_its_conditions),
        T(what_a_rolled_back_transaction_did_is_not_told),
        T(a_push_topic_of_a_rolled_back_transaction_is_none),
        T(a_push_topic_that_cannot_work_is_refused_and_leaves_nothing),
        T(an_inactive_or_deleted_push_topic_tells_nothing_and_takes_no_subscriber),
        T(push_topics_are_found_by_soql),
        T(each_stream_replays_by_itself_for_its_own_time),
        T(positions_and_ids_go_on_after_a_restart),
        T(planted_expiry_and_reset_reach_every_stream),
        T(a_subscriber_that_falls_behind_a_day_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
