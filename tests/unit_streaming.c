/* PushTopics, platform events, generic streaming and custom channels, as a client meets them: REST
 * and Bayeux through the mock's own handler, under virtual time. */
#include "mocks/salesforce/routes.h"
#include "tests/support_org.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sqlite3.h>

#define DATA "/services/data/v59.0"
#define HOUR_MS 3600000LL

struct world {
    struct org_fixture f;
    struct tm_salesforce *salesforce;
    struct tm_mock_handler handler;
    struct tm_now now;
    char authorization[200], client[64];
    int status;
    json_t *got; /* the last answer */
};

static json_t *ask(struct world *w, const char *method, const char *target, const char *body)
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

static void serve(struct world *w)
{
    struct tm_salesforce_settings settings = { .oauth = { .seeded = true, .seed = 9 } };
    assert_int_equal(tm_salesforce_open(&w->salesforce, w->f.org, &settings, NULL), TM_OK);
    tm_salesforce_wired(w->salesforce, no_wake, NULL);
    w->handler = tm_salesforce_handler(w->salesforce);
    w->authorization[0] = '\0';
    json_t *json = ask(w, "POST", "/services/oauth2/token",
                       "grant_type=client_credentials&client_id=tidemark-consumer-key&"
                       "client_secret=tidemark-consumer-secret");
    snprintf(w->authorization, sizeof w->authorization, "Bearer %s",
             json_string_value(json_object_get(json, "access_token")));
}

/* The same org, served anew. */
static void restart(struct world *w)
{
    tm_salesforce_close(w->salesforce);
    org_fixture_reopen(&w->f);
    serve(w);
}

static int world_open(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    org_fixture_open(&w->f);
    w->f.settings.setup_objects = true;
    org_fixture_reopen(&w->f);
    w->now = (struct tm_now){ ORG_ORIGIN_MS + HOUR_MS, TM_NS_PER_S };
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

/* ---- what clients do ---- */

static const char *word(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "";
}

static const json_t *first(const struct world *w)
{
    return json_array_get(w->got, 0);
}

/* Subscribes a fresh client and returns the error, "" when it went well. */
static const char *subscribe(struct world *w, const char *channel, int64_t replay)
{
    static char error[300];
    char body[700], base[200];
    ask(w, "POST", "/cometd/59.0",
        "[{\"channel\":\"/meta/handshake\",\"supportedConnectionTypes\":[\"long-polling\"]}]");
    snprintf(w->client, sizeof w->client, "%s", word(first(w), "clientId"));
    snprintf(base, sizeof base, "%.*s", (int)strcspn(channel, "?"), channel);
    snprintf(body, sizeof body,
             "[{\"channel\":\"/meta/subscribe\",\"clientId\":\"%s\",\"subscription\":\"%s\","
             "\"ext\":{\"replay\":{\"%s\":%" PRId64 "}}}]",
             w->client, channel, base, replay);
    ask(w, "POST", "/cometd/59.0", body);
    snprintf(error, sizeof error, "%s", word(first(w), "error"));
    return error;
}

/* One connect that does not wait: the deliveries it brings, by themselves. */
static json_t *deliveries(struct world *w)
{
    char body[300];
    json_t *list = json_array(), *message;
    size_t i;
    snprintf(body, sizeof body,
             "[{\"channel\":\"/meta/connect\",\"clientId\":\"%s\",\"connectionType\":"
             "\"long-polling\",\"advice\":{\"timeout\":0}}]",
             w->client);
    ask(w, "POST", "/cometd/59.0/connect", body);
    json_array_foreach(w->got, i, message) if (json_object_get(message, "data") != NULL)
        json_array_append(list, message);
    return list;
}

static size_t brings(struct world *w)
{
    json_t *list = deliveries(w);
    size_t count = json_array_size(list);
    json_decref(list);
    return count;
}

static json_t *data_of(const json_t *list, size_t index, const char *part)
{
    return json_object_get(json_object_get(json_array_get(list, index), "data"), part);
}

static int64_t replay_of(const json_t *list, size_t index)
{
    const json_t *id = json_object_get(data_of(list, index, "event"), "replayId");
    assert_true(json_is_integer(id));
    return json_integer_value(id);
}

static void push_topic(struct world *w, const char *name, const char *query, const char *more)
{
    char body[900];
    snprintf(body, sizeof body, "{\"Name\":\"%s\",\"Query\":\"%s\",\"ApiVersion\":59.0%s}", name,
             query, more);
    ask(w, "POST", DATA "/sobjects/PushTopic", body);
}

static void a_push_topic(struct world *w, const char *query, const char *more)
{
    push_topic(w, "Deals", query, more);
    assert_int_equal(w->status, 201);
    w->now.org_ms += 1000;
}

static void refused_topic(struct world *w, const char *name, const char *query, const char *more,
                          const char *code)
{
    push_topic(w, name, query, more);
    if (w->status != 400 || strcmp(word(first(w), "errorCode"), code) != 0)
        fail_msg("%s: %d %s %s", query, w->status, word(first(w), "errorCode"),
                 word(first(w), "message"));
}

static void account(struct world *w, char id[TM_ID_BYTES], const char *name, const char *industry)
{
    const struct tm_org_set sets[] = { { "Name", org_text(name) },
                                       { "Industry", org_text(industry) },
                                       { NULL, org_null() } };
    id[0] = '\0';
    w->now.org_ms += 1000;
    assert_int_equal(
        org_one(w->f.org, TM_ORG_CREATE, TM_ORG_NORMAL, "Account", id, sets, w->now.org_ms), TM_OK);
}

static void change(struct world *w, enum tm_org_kind kind, char id[TM_ID_BYTES], const char *field,
                   const char *value)
{
    const struct tm_org_set sets[] = { { field, org_text(value) }, { NULL, org_null() } };
    w->now.org_ms += 1000;
    assert_int_equal(org_one(w->f.org, kind, TM_ORG_NORMAL, "Account", id,
                             field != NULL ? sets : NULL, w->now.org_ms),
                     TM_OK);
}

/* ---- PushTopics ---- */

static void a_push_topic_tells_of_create_update_delete_and_undelete(void **state)
{
    static const char *const types[] = { "created", "updated", "deleted", "undeleted" };
    struct world *w = *state;
    char id[TM_ID_BYTES];
    a_push_topic(w, "SELECT Id, Name, IsDeleted, LastModifiedDate FROM Account", "");
    assert_string_equal(subscribe(w, "/topic/Deals", -1), "");
    account(w, id, "Tide", "Energy");
    change(w, TM_ORG_UPDATE, id, "Name", "Ebb");
    change(w, TM_ORG_DELETE, id, NULL, NULL);
    change(w, TM_ORG_UNDELETE, id, NULL, NULL);
    json_t *list = deliveries(w);
    assert_int_equal(json_array_size(list), 4);
    int64_t last = 0;
    for (size_t i = 0; i < 4; i++) {
        const json_t *sobject = data_of(list, i, "sobject"), *event = data_of(list, i, "event");
        assert_string_equal(word(json_array_get(list, i), "channel"), "/topic/Deals");
        assert_string_equal(word(event, "type"), types[i]);
        assert_int_equal(strlen(word(event, "createdDate")), 24);
        assert_string_equal(word(sobject, "Id"), id);
        assert_int_equal(json_object_size(sobject), i == 2 ? 1 : 4);
        assert_true(replay_of(list, i) > last);
        last = replay_of(list, i);
    }
    assert_string_equal(word(data_of(list, 1, "sobject"), "Name"), "Ebb");
    assert_non_null(strstr(word(data_of(list, 1, "sobject"), "LastModifiedDate"), ".000Z"));
    json_decref(list);
}

static void only_asked_operations_are_told(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES];
    a_push_topic(w, "SELECT Id FROM Account",
                 ",\"NotifyForFields\":\"All\",\"NotifyForOperationCreate\":false,"
                 "\"NotifyForOperationUndelete\":false");
    assert_string_equal(subscribe(w, "/topic/Deals", -1), "");
    account(w, id, "Tide", "Energy");
    change(w, TM_ORG_UPDATE, id, "Name", "Ebb");
    change(w, TM_ORG_DELETE, id, NULL, NULL);
    change(w, TM_ORG_UNDELETE, id, NULL, NULL);
    json_t *list = deliveries(w);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(word(data_of(list, 0, "event"), "type"), "updated");
    assert_string_equal(word(data_of(list, 1, "event"), "type"), "deleted");
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
    struct world *w = *state;
    for (size_t i = 0; i < 4; i++) {
        char id[TM_ID_BYTES], more[64], name[16], channel[32];
        snprintf(name, sizeof name, "T%zu", i);
        snprintf(channel, sizeof channel, "/topic/T%zu", i);
        snprintf(more, sizeof more, ",\"NotifyForFields\":\"%s\"", all[i].fields);
        push_topic(w, name, "SELECT Id, Name FROM Account WHERE Industry != 'Banking'", more);
        assert_int_equal(w->status, 201);
        account(w, id, "Tide", "Energy");
        assert_string_equal(subscribe(w, channel, -1), "");
        change(w, TM_ORG_UPDATE, id, "Name", "Ebb");
        assert_int_equal(brings(w), all[i].name);
        change(w, TM_ORG_UPDATE, id, "Industry", "Media");
        assert_int_equal(brings(w), all[i].industry);
        change(w, TM_ORG_UPDATE, id, "Phone", "1");
        assert_int_equal(brings(w), all[i].phone);
        change(w, TM_ORG_UPDATE, id, "Industry", "Banking"); /* no longer meets WHERE */
        assert_int_equal(brings(w), 0);
    }
}

static void a_record_must_meet_where_as_it_is_after_the_change(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES], other[TM_ID_BYTES];
    a_push_topic(w, "SELECT Id, Name FROM Account WHERE Industry = 'Energy' AND Name LIKE 'T%'",
                 "");
    assert_string_equal(subscribe(w, "/topic/Deals", -1), "");
    account(w, id, "Tide", "Energy");
    account(w, other, "Tide", "Media");
    assert_int_equal(brings(w), 1);
    change(w, TM_ORG_UPDATE, other, "Industry", "Energy");
    assert_int_equal(brings(w), 1);
    change(w, TM_ORG_UPDATE, id, "Name", "Ebb");
    change(w, TM_ORG_DELETE, id, NULL, NULL);
    assert_int_equal(brings(w), 0);
    change(w, TM_ORG_DELETE, other, NULL, NULL);
    assert_int_equal(brings(w), 1);
}

static void a_filter_lets_through_what_meets_any_of_its_conditions(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES];
    a_push_topic(w, "SELECT Id, Name, Industry, NumberOfEmployees FROM Account", "");
    account(w, id, "Tide", "Energy");
    account(w, id, "Ebb", "Media");
    account(w, id, "Flood", "Media");
    assert_string_equal(subscribe(w, "/topic/Deals?Industry=Energy&Name='Flood'", -2), "");
    json_t *list = deliveries(w);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(word(data_of(list, 0, "sobject"), "Name"), "Tide");
    assert_string_equal(word(data_of(list, 1, "sobject"), "Name"), "Flood");
    assert_string_equal(word(json_array_get(list, 0), "channel"),
                        "/topic/Deals?Industry=Energy&Name='Flood'");
    json_decref(list);
    assert_string_equal(subscribe(w, "/topic/Deals?name=Eb%62", -2), "");
    assert_int_equal(brings(w), 1);
    assert_non_null(strstr(subscribe(w, "/topic/Deals?Phone=1", -1), "does not select"));
}

static void what_a_rolled_back_transaction_did_is_not_told(void **state)
{
    struct world *w = *state;
    struct tm_org_set sets[] = { { "Name", org_text("Tide") } };
    struct tm_org_change changes[] = {
        { .kind = TM_ORG_CREATE, .object = "Account", .sets = sets, .sets_count = 1 },
        { .kind = TM_ORG_UPDATE, .object = "Account", .id = "001000000000000AAA" },
    };
    struct tm_org_txn txn = { .changes = changes, .changes_count = 2, .org_ms = w->now.org_ms };
    a_push_topic(w, "SELECT Id FROM Account", "");
    assert_int_equal(tm_org_commit(w->f.org, &txn, NULL), TM_E_ARG);
    assert_string_equal(subscribe(w, "/topic/Deals", -2), "");
    assert_int_equal(brings(w), 0);
}

static void a_push_topic_of_a_rolled_back_transaction_is_none(void **state)
{
    struct world *w = *state;
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
    assert_non_null(strstr(subscribe(w, "/topic/Ghost", -1), "does not exist"));
    account(w, id, "Tide", "Energy");
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM stream"), 0);
}

static void a_push_topic_that_cannot_work_is_refused_and_leaves_nothing(void **state)
{
    struct world *w = *state;
    refused_topic(w, "T", "SELECT Name FROM Account", "", "INVALID_FIELD");
    refused_topic(w, "T", "SELECT Id, Nmae FROM Account", "", "INVALID_FIELD");
    refused_topic(w, "T", "SELECT Id FROM Account WHERE Nmae = 'x'", "", "INVALID_FIELD");
    refused_topic(w, "T", "SELECT Id, Owner.Name FROM Account", "", "INVALID_FIELD");
    refused_topic(w, "T", "SELECT Id FROM Accountt", "", "INVALID_TYPE");
    refused_topic(w, "T", "SELECT Id FROM Account ORDER BY Name", "", "MALFORMED_QUERY");
    refused_topic(w, "T", "SELECT Id FROM Account LIMIT 3", "", "MALFORMED_QUERY");
    refused_topic(w, "T", "SELECT COUNT() FROM Account", "", "MALFORMED_QUERY");
    refused_topic(w, "T", "SELECT FROM Account", "", "MALFORMED_QUERY");
    refused_topic(w, "T", "SELECT Id FROM Account WHERE Name > 5", "", "INVALID_FIELD");
    refused_topic(w, "a/b", "SELECT Id FROM Account", "", "INVALID_FIELD");
    refused_topic(w, "T", "SELECT Id FROM Account", ",\"NotifyForFields\":\"Some\"",
                  "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST");
    a_push_topic(w, "SELECT Id FROM Account", "");
    refused_topic(w, "Deals", "SELECT Id FROM Account", "", "DUPLICATE_VALUE");
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_PushTopic"), 1);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM event WHERE object='PushTopic'"),
                     0);
}

static void an_inactive_or_deleted_push_topic_tells_nothing_and_takes_no_subscriber(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES], target[100];
    a_push_topic(w, "SELECT Id, Name FROM Account", "");
    snprintf(target, sizeof target, DATA "/sobjects/PushTopic/%s", word(w->got, "id"));
    assert_string_equal(subscribe(w, "/topic/Deals", -1), "");
    ask(w, "PATCH", target, "{\"IsActive\":false}");
    assert_int_equal(w->status, 204);
    account(w, id, "Tide", "Energy");
    assert_int_equal(brings(w), 0);
    assert_non_null(strstr(subscribe(w, "/topic/Deals", -1), "does not exist"));
    ask(w, "PATCH", target, "{\"IsActive\":true,\"Query\":\"SELECT Id, Industry FROM Account\"}");
    assert_int_equal(w->status, 204);
    assert_string_equal(subscribe(w, "/topic/Deals", -1), "");
    account(w, id, "Ebb", "Media");
    json_t *list = deliveries(w);
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(word(data_of(list, 0, "sobject"), "Industry"), "Media");
    json_decref(list);
    ask(w, "DELETE", target, NULL);
    assert_int_equal(w->status, 204);
    assert_non_null(strstr(subscribe(w, "/topic/Deals", -1), "does not exist"));
}

static void push_topics_are_found_by_soql(void **state)
{
    struct world *w = *state;
    a_push_topic(w, "SELECT Id FROM Account", "");
    ask(w, "GET",
        DATA "/query?q=SELECT+Id,+Query,+NotifyForFields,+IsActive,+NotifyForOperationCreate+FROM+"
             "PushTopic+WHERE+Name+=+'Deals'",
        NULL);
    const json_t *row = json_array_get(json_object_get(w->got, "records"), 0);
    assert_string_equal(word(row, "Query"), "SELECT Id FROM Account");
    assert_string_equal(word(row, "NotifyForFields"), "Referenced");
    assert_true(json_is_true(json_object_get(row, "IsActive")));
    assert_true(json_is_true(json_object_get(row, "NotifyForOperationCreate")));
}

/* ---- replay ---- */

static void each_stream_replays_by_itself_for_its_own_time(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES], body[200];
    a_push_topic(w, "SELECT Id, Name FROM Account", "");
    int64_t began = w->now.org_ms;
    for (int i = 0; i < 5; i++) {
        account(w, id, "Tide", "Energy");
        snprintf(body, sizeof body, "{\"Printer_Model__c\":\"m%d\"}", i);
        ask(w, "POST", DATA "/sobjects/Low_Ink__e", body);
        assert_int_equal(w->status, 201);
    }
    assert_string_equal(subscribe(w, "/topic/Deals", -2), "");
    json_t *list = deliveries(w);
    assert_int_equal(json_array_size(list), 5);
    int64_t third = replay_of(list, 2), last = replay_of(list, 4);
    json_decref(list);
    assert_string_equal(subscribe(w, "/topic/Deals", third), "");
    assert_int_equal(brings(w), 2);
    assert_string_equal(subscribe(w, "/topic/Deals", last), "");
    assert_int_equal(brings(w), 0);
    assert_non_null(strstr(subscribe(w, "/topic/Deals", last + 1), "400::The replayId {"));
    w->now.org_ms = began + 24 * HOUR_MS + 2500; /* two of the five are older than a day */
    assert_string_equal(subscribe(w, "/topic/Deals", -2), "");
    assert_int_equal(brings(w), 3);
    assert_non_null(strstr(subscribe(w, "/topic/Deals", 0), "was invalid.  Please"));
    assert_string_equal(subscribe(w, "/event/Low_Ink__e", -2), "");
    assert_int_equal(brings(w), 5);
    w->now.org_ms = began + 73 * HOUR_MS;
    assert_string_equal(subscribe(w, "/event/Low_Ink__e", -2), "");
    assert_int_equal(brings(w), 0);
    assert_non_null(strstr(subscribe(w, "/event/Low_Ink__e", 0), "400::The replayId {0}"));
}

static void positions_and_ids_go_on_after_a_restart(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES];
    a_push_topic(w, "SELECT Id, Name FROM Account", "");
    ask(w, "POST", "/tidemark/v1/channels", "{\"name\":\"Sales__chn\",\"members\":[\"Account\"]}");
    account(w, id, "One", "Energy");
    ask(w, "POST", DATA "/sobjects/Low_Ink__e", "{\"Printer_Model__c\":\"one\"}");
    int64_t topic = org_ask_int(w->f.org, "SELECT max(replay_id) FROM stream WHERE channel LIKE "
                                          "'/topic/%'"),
            event = org_ask_int(w->f.org, "SELECT max(replay_id) FROM stream WHERE channel LIKE "
                                          "'/event/%'"),
            cdc = org_ask_int(w->f.org, "SELECT max(replay_id) FROM event");
    restart(w);
    account(w, id, "Two", "Energy");
    ask(w, "POST", DATA "/sobjects/Low_Ink__e", "{\"Printer_Model__c\":\"two\"}");
    const struct {
        const char *channel;
        int64_t from;
    } all[] = { { "/topic/Deals", topic },
                { "/event/Low_Ink__e", event },
                { "/data/Sales__chn", cdc } };
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(subscribe(w, all[i].channel, all[i].from), "");
        json_t *list = deliveries(w);
        assert_int_equal(json_array_size(list), 1);
        assert_true(replay_of(list, 0) > all[i].from);
        json_decref(list);
    }
}

static void planted_expiry_and_reset_reach_every_stream(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES];
    a_push_topic(w, "SELECT Id, Name FROM Account", "");
    account(w, id, "One", "Energy");
    assert_string_equal(subscribe(w, "/topic/Deals", 0), "");
    json_t *list = deliveries(w);
    int64_t first_id = replay_of(list, 0);
    json_decref(list);
    ask(w, "POST", "/tidemark/v1/faults", "{\"expire_events\":{}}");
    assert_non_null(strstr(subscribe(w, "/topic/Deals", 0), "400::The replayId {0}"));
    ask(w, "POST", "/tidemark/v1/faults", "{\"reset_replay_ids\":{}}");
    assert_non_null(strstr(subscribe(w, "/topic/Deals", first_id), "400::The replayId {"));
}

static void a_subscriber_that_falls_behind_a_day_is_told(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES], body[300];
    a_push_topic(w, "SELECT Id FROM Account", "");
    assert_string_equal(subscribe(w, "/topic/Deals", -1), "");
    account(w, id, "Tide", "Energy");
    w->now.org_ms += 25 * HOUR_MS;
    snprintf(body, sizeof body,
             "[{\"channel\":\"/meta/connect\",\"clientId\":\"%s\",\"connectionType\":"
             "\"long-polling\"}]",
             w->client);
    ask(w, "POST", "/cometd/59.0", body);
    assert_string_equal(word(first(w), "error"), "403::Unknown client");
}

/* ---- platform events ---- */

static void a_platform_event_is_published_by_rest_and_delivered_with_its_uuid(void **state)
{
    struct world *w = *state;
    assert_string_equal(subscribe(w, "/event/Low_Ink__e", -1), "");
    ask(w, "POST", DATA "/sobjects/Low_Ink__e/",
        "{\"Printer_Model__c\":\"XZO-5\",\"Ink_Percentage__c\":0.205}");
    assert_int_equal(w->status, 201);
    const json_t *error = json_array_get(json_object_get(w->got, "errors"), 0);
    char uuid[64], id[32];
    snprintf(id, sizeof id, "%s", word(w->got, "id"));
    snprintf(uuid, sizeof uuid, "%s", word(error, "message"));
    assert_true(json_is_true(json_object_get(w->got, "success")));
    assert_string_equal(word(error, "statusCode"), "OPERATION_ENQUEUED");
    assert_true(tm_id_valid(id) && strncmp(id, "e00", 3) == 0 && strlen(uuid) == 36);
    json_t *list = deliveries(w);
    const json_t *payload = data_of(list, 0, "payload");
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(word(data_of(list, 0, "event"), "EventUuid"), uuid);
    assert_string_equal(word(payload, "Printer_Model__c"), "XZO-5");
    assert_true(json_real_value(json_object_get(payload, "Ink_Percentage__c")) == 0.21);
    assert_true(json_is_null(json_object_get(payload, "Serial_Number__c")));
    assert_true(json_is_false(json_object_get(payload, "Replace__c")));
    assert_string_equal(word(payload, "CreatedById"), tm_org_user_id(w->f.org));
    assert_int_equal(strlen(word(payload, "CreatedDate")), 24);
    char target[100], schema[32];
    snprintf(schema, sizeof schema, "%s", json_string_value(data_of(list, 0, "schema")));
    json_decref(list);
    snprintf(target, sizeof target, DATA "/event/eventSchema/%s", schema);
    ask(w, "GET", target, NULL);
    assert_int_equal(w->status, 200);
    assert_string_equal(word(w->got, "name"), "Low_Ink__e");
    assert_string_equal(word(w->got, "uuid"), schema);
    ask(w, "GET", DATA "/sobjects/Low_Ink__e/describe", NULL);
    assert_string_equal(word(w->got, "keyPrefix"), "e00");
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
    struct world *w = *state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ask(w, "POST", DATA "/sobjects/Low_Ink__e", all[i].body);
        assert_int_equal(w->status, 400);
        assert_string_equal(word(first(w), "errorCode"), all[i].code);
    }
    ask(w, "POST", DATA "/sobjects/High_Ink__e", "{}");
    assert_int_equal(w->status, 404);
    ask(w, "DELETE", DATA "/sobjects/Low_Ink__e", NULL);
    assert_int_equal(w->status, 405);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM stream"), 0);
    w->authorization[0] = '\0';
    ask(w, "POST", DATA "/sobjects/Low_Ink__e", "{\"Printer_Model__c\":\"x\"}");
    assert_int_equal(w->status, 401);
}

static void streams_wait_for_the_publish_delay_too(void **state)
{
    struct world *w = *state;
    tm_salesforce_close(w->salesforce);
    w->f.settings.publish_delay_ms = 2000;
    org_fixture_reopen(&w->f);
    serve(w);
    assert_string_equal(subscribe(w, "/event/Low_Ink__e", -1), "");
    ask(w, "POST", DATA "/sobjects/Low_Ink__e", "{\"Printer_Model__c\":\"x\"}");
    w->now.org_ms += 1999;
    assert_int_equal(brings(w), 0);
    w->now.org_ms += 1;
    assert_int_equal(brings(w), 1);
}

/* ---- generic streaming ---- */

static void a_streaming_channel_carries_what_is_pushed(void **state)
{
    struct world *w = *state;
    char target[120];
    assert_non_null(strstr(subscribe(w, "/u/notes", -1), "does not exist"));
    ask(w, "POST", DATA "/sobjects/StreamingChannel", "{\"Name\":\"/u/notes\"}");
    assert_int_equal(w->status, 201);
    snprintf(target, sizeof target, DATA "/sobjects/StreamingChannel/%s/push", word(w->got, "id"));
    ask(w, "GET", target, NULL);
    assert_int_equal(json_array_size(json_object_get(w->got, "OnlineUserIds")), 0);
    assert_string_equal(subscribe(w, "/u/notes", -1), "");
    ask(w, "GET", target, NULL);
    assert_int_equal(json_array_size(json_object_get(w->got, "OnlineUserIds")), 1);
    ask(w, "POST", target,
        "{\"pushEvents\":[{\"payload\":\"hello \\\"you\\\"\",\"userIds\":[]},"
        "{\"payload\":\"for nobody here\",\"userIds\":[\"005000000000001\"]}]}");
    assert_int_equal(w->status, 200);
    assert_int_equal(json_integer_value(json_object_get(first(w), "fanoutCount")), -1);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(w->got, 1), "fanoutCount")),
                     0);
    json_t *list = deliveries(w);
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(json_string_value(data_of(list, 0, "payload")), "hello \"you\"");
    assert_int_equal(strlen(word(data_of(list, 0, "event"), "createdDate")), 24);
    json_decref(list);
    ask(w, "POST", target, "{\"pushEvents\":[{\"payload\":5}]}");
    assert_int_equal(w->status, 400);
    ask(w, "POST", DATA "/sobjects/StreamingChannel/0M6000000000001/push", "{}");
    assert_int_equal(w->status, 404);
}

/* ---- custom channels ---- */

static void a_custom_channel_carries_its_members_alone(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES], deal[TM_ID_BYTES];
    ask(w, "POST", "/tidemark/v1/channels",
        "{\"name\":\"Sales__chn\",\"members\":[\"User\",{\"object\":\"Account\"}]}");
    assert_int_equal(w->status, 200);
    assert_string_equal(subscribe(w, "/data/Sales__chn", -1), "");
    account(w, id, "Tide", "Energy");
    org_make_opportunity(w->f.org, deal, "deal", id, w->now.org_ms);
    account(w, id, "Ebb", "Energy");
    json_t *list = deliveries(w);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(word(json_array_get(list, 0), "channel"), "/data/Sales__chn");
    assert_string_equal(word(data_of(list, 1, "payload"), "Name"), "Ebb");
    json_decref(list);
    ask(w, "POST", "/tidemark/v1/channels", "{\"name\":\"Sales__chn\",\"members\":[]}");
    account(w, id, "Flood", "Energy");
    assert_int_equal(brings(w), 0);
    assert_non_null(strstr(subscribe(w, "/data/Sales__chn", -1), "does not exist"));
}

static void enriched_fields_come_as_they_were_at_the_commit(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES];
    ask(w, "POST", "/tidemark/v1/channels",
        "{\"name\":\"Rich__chn\",\"members\":[{\"object\":\"Account\",\"enriched\":[\"Industry\","
        "\"Phone\",\"Name\"]}]}");
    assert_int_equal(w->status, 200);
    account(w, id, "Tide", "Energy");
    change(w, TM_ORG_UPDATE, id, "Name", "Ebb");
    change(w, TM_ORG_UPDATE, id, "Industry", "Media");
    change(w, TM_ORG_DELETE, id, NULL, NULL);
    assert_string_equal(subscribe(w, "/data/Rich__chn", -2), "");
    json_t *list = deliveries(w);
    assert_int_equal(json_array_size(list), 4);
    assert_null(json_object_get(data_of(list, 0, "payload"), "Phone"));
    assert_string_equal(word(data_of(list, 0, "payload"), "Industry"), "Energy");
    assert_string_equal(word(data_of(list, 1, "payload"), "Name"), "Ebb");
    assert_string_equal(word(data_of(list, 1, "payload"), "Industry"), "Energy"); /* Media later */
    assert_null(json_object_get(data_of(list, 1, "payload"), "Phone"));
    assert_string_equal(word(data_of(list, 2, "payload"), "Name"), "Ebb");
    assert_string_equal(word(data_of(list, 3, "payload"), "Name"), "Ebb"); /* of a delete */
    json_decref(list);
    assert_string_equal(subscribe(w, "/data/AccountChangeEvent", -2), "");
    list = deliveries(w);
    assert_null(json_object_get(data_of(list, 1, "payload"), "Industry"));
    json_decref(list);
}

static void a_merged_event_that_is_enriched_comes_once_a_record_with_one_replay_id(void **state)
{
    struct world *w = *state;
    char a[TM_ID_BYTES], b[TM_ID_BYTES];
    struct tm_org_set sets[] = { { "Phone", org_text("7") } };
    ask(w, "POST", "/tidemark/v1/channels",
        "{\"name\":\"Rich__chn\",\"members\":[{\"object\":\"Account\",\"enriched\":[\"Name\"]}]}");
    account(w, a, "Tide", "Energy");
    account(w, b, "Ebb", "Energy");
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
    assert_string_equal(subscribe(w, "/data/Rich__chn", -1), "");
    assert_int_equal(tm_org_commit(w->f.org, &txn, NULL), TM_OK);
    json_t *list = deliveries(w);
    assert_int_equal(json_array_size(list), 2);
    assert_int_equal(replay_of(list, 0), replay_of(list, 1));
    for (size_t i = 0; i < 2; i++) {
        const json_t *payload = data_of(list, i, "payload");
        const json_t *ids =
            json_object_get(json_object_get(payload, "ChangeEventHeader"), "recordIds");
        assert_int_equal(json_array_size(ids), 1);
        assert_string_equal(json_string_value(json_array_get(ids, 0)), i == 0 ? a : b);
        assert_string_equal(word(payload, "Name"), i == 0 ? "Tide" : "Ebb");
    }
    json_decref(list);
    assert_string_equal(subscribe(w, "/data/AccountChangeEvent", -2), "");
    assert_int_equal(brings(w), 3);
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
        "{\"name\":\"Sales__chn\",\"members\":[{\"object\":\"Account\",\"enriched\":"
        "[\"BillingAddress\"]}]}",
        "{\"name\":\"Sales__chn\",\"members\":{}}",
        "{\"name\":\"Sales__chn\",\"members\":[5]}",
        "{\"name\":\"Sales__chn\"}"
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ask(w, "POST", "/tidemark/v1/channels", all[i]);
        assert_int_equal(w->status, 400);
    }
    ask(w, "GET", "/tidemark/v1/channels", NULL);
    assert_int_equal(json_array_size(json_object_get(w->got, "channels")), 0);
}

static void a_scenario_sets_up_push_topics_and_channels_once(void **state)
{
    struct world *w = *state;
    json_t *setup = json_loads("{\"push_topics\":[{\"Name\":\"Deals\",\"Query\":\"SELECT Id FROM "
                               "Account\"}],\"channels\":[{\"name\":\"Sales__chn\",\"members\":"
                               "[\"Account\"]}]}",
                               0, NULL);
    struct tm_streaming *s = tm_salesforce_streaming(w->salesforce);
    assert_int_equal(tm_streaming_setup(s, setup, w->now.org_ms, NULL), TM_OK);
    assert_int_equal(tm_streaming_setup(s, setup, w->now.org_ms, NULL), TM_OK);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_PushTopic"), 1);
    assert_string_equal(subscribe(w, "/topic/Deals", -1), "");
    assert_string_equal(subscribe(w, "/data/Sales__chn", -1), "");
    json_object_set_new(setup, "chanels", json_array());
    assert_int_equal(tm_streaming_setup(s, setup, w->now.org_ms, NULL), TM_E_ARG);
    json_decref(setup);
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
static void while_the_org_is_locked_nothing_is_published_and_the_answer_is_try_again(void **state)
{
    struct world *w = *state;
    static const char *const asks[][2] = {
        { "/tidemark/v1/events",
          "{\"object\":\"Low_Ink__e\",\"fields\":{\"Printer_Model__c\":\"x\"}}" },
        { "/tidemark/v1/channels", "{\"name\":\"Sales__chn\",\"members\":[\"Account\"]}" },
    };
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(w->f.path, &other), SQLITE_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        ask(w, "POST", asks[i][0], asks[i][1]);
        assert_int_equal(w->status, 503);
        assert_string_equal(word(json_array_get(w->got, 0), "errorCode"), "SERVER_UNAVAILABLE");
        assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
        ask(w, "POST", asks[i][0], asks[i][1]);
        assert_int_equal(w->status, 200);
    }
    sqlite3_close(other);
}

static int64_t remaining(struct world *w, const char *limit)
{
    ask(w, "GET", DATA "/limits", NULL);
    return json_integer_value(json_object_get(json_object_get(w->got, limit), "Remaining"));
}

static void limits_count_what_was_published_in_the_last_hour_and_day(void **state)
{
    struct world *w = *state;
    static const char publish[] =
        "{\"object\":\"Low_Ink__e\",\"fields\":{\"Printer_Model__c\":\"x\"}}";
    assert_int_equal(remaining(w, "HourlyPublishedPlatformEvents"), 250000);
    ask(w, "POST", "/tidemark/v1/events", publish);
    ask(w, "POST", "/tidemark/v1/events", publish);
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
