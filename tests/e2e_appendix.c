/* The acceptance list of the mock (salesforce-wire.md, Appendix A), line by line, with raw bytes
 * over loopback against the built server: each of these breaks at least one real client if it is
 * missing. Line 18 (TLS, names by SNI) is in e2e_signin.c, 19 is gRPC, of 20 the rest is in
 * e2e_faults.c. */
#include "tests/support_command.h"
#include "tests/support_wire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define DATA "/services/data/v59.0"
#define ASYNC "/services/async/59.0"
#define CHANNEL "/data/AccountChangeEvent"

static struct world {
    struct tm_test_server server;
    struct tm_wire wire;
    char folder[200], client[64];
} world;

static int world_serve(void **state)
{
    struct world *w = &world;
    (void)state;
    snprintf(w->folder, sizeof w->folder, "%s", tm_test_folder());
    w->server = tm_test_server_start(
        "tidemark serve --port 0 --quiet --long-poll-ms 1500 --org %s/org.db", w->folder);
    tm_wire_init(&w->wire, w->server.line);
    return 0;
}

static int world_stop(void **state)
{
    (void)state;
    tm_test_server_stop(&world.server);
    tm_wire_free(&world.wire);
    tm_test_folder_remove(world.folder);
    return 0;
}

static int world_begin(void **state)
{
    tm_wire_sign_in(&world.wire);
    *state = &world;
    return 0;
}

static int ask(struct world *w, const char *method, const char *target, const char *body)
{
    return tm_wire_ask(&w->wire, method, target, NULL, body);
}

static bool says(const struct world *w, const char *text)
{
    return strstr(w->wire.raw, text) != NULL;
}

static void expect(const struct world *w, const char *text)
{
    if (!says(w, text))
        fail_msg("no %s in: %.1500s", text, w->wire.raw);
}

/* ---- 1, 2: HTTP ---- */

static void chunked_bodies_empty_cookies_trailing_slashes_and_both_spaces(void **state)
{
    struct world *w = *state;
    char bytes[2000];
    w->wire.token[0] = '\0';
    assert_int_equal(
        tm_wire_bytes(&w->wire, "POST /services/oauth2/token HTTP/1.1\r\nHost: x\r\nCookie: \r\n"
                                "Content-Type: application/x-www-form-urlencoded\r\n"
                                "Transfer-Encoding: chunked\r\n\r\n"
                                "2a\r\ngrant_type=client_credentials&client_id=ti\r\n"
                                "4f\r\ndemark-consumer-key&client_secret=tidemark-consumer-secret"
                                "&format=json&x=123456\r\n0\r\n\r\n"),
        200);
    tm_wire_sign_in(&w->wire);
    assert_int_equal(ask(w, "GET", DATA "/limits/", NULL), 200);
    assert_int_equal(ask(w, "GET", DATA "/limits", NULL), 200);
    assert_int_equal(ask(w, "GET", DATA "/query/?q=SELECT+Id+FROM+Account+LIMIT+1", NULL), 200);
    assert_int_equal(ask(w, "GET", DATA "/query?q=SELECT%20Id%20FROM%20Account%20LIMIT%201", NULL),
                     200);
    snprintf(bytes, sizeof bytes,
             "GET " DATA "/limits HTTP/1.1\r\nhost: x\r\nauthorization: OAuth %s\r\n\r\n",
             w->wire.token);
    assert_int_equal(tm_wire_bytes(&w->wire, bytes), 200);
}

static void cometd_takes_message_types_in_its_path_and_refuses_get_at_once(void **state)
{
    static const char *const paths[] = { "/cometd/59.0", "/cometd/59.0/", "/cometd/43.0/handshake",
                                         "/cometd/59.0/anything" };
    struct world *w = *state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ask(w, "POST", paths[i],
                             "[{\"channel\":\"/meta/handshake\",\"version\":\"1.0\","
                             "\"supportedConnectionTypes\":[\"long-polling\"],\"id\":\"1\"}]"),
                         200);
        expect(w, "\"successful\":true");
    }
    assert_in_range(tm_wire_ask(&w->wire, "GET", "/cometd/59.0",
                                "Upgrade: websocket\r\nConnection: Upgrade\r\n", NULL),
                    400, 499);
}

/* ---- 3 to 9: streaming ---- */

static const char *say(struct world *w, const char *fmt, ...)
{
    char body[1000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(body, sizeof body, fmt, ap);
    va_end(ap);
    assert_int_equal(ask(w, "POST", "/cometd/59.0", body), 200);
    return tm_wire_body(&w->wire);
}

static void shake(struct world *w, const char *types)
{
    say(w,
        "[{\"channel\":\"/meta/handshake\",\"version\":\"1.0\",\"supportedConnectionTypes\":%s,"
        "\"id\":\"1\"}]",
        types);
    json_t *list = tm_wire_json(&w->wire);
    snprintf(w->client, sizeof w->client, "%s",
             json_string_value(json_object_get(json_array_get(list, 0), "clientId")));
    json_decref(list);
}

static void a_handshake_offers_replay_and_long_polling_only_and_no_secure_cookie(void **state)
{
    struct world *w = *state;
    char cookie[512];
    shake(w, "[\"in-process\",\"websocket\",\"long-polling\"]");
    json_t *list = tm_wire_json(&w->wire), *reply = json_array_get(list, 0),
           *types = json_object_get(reply, "supportedConnectionTypes");
    assert_int_equal(json_array_size(list), 1);
    assert_true(json_is_true(json_object_get(json_object_get(reply, "ext"), "replay")));
    assert_int_equal(json_array_size(types), 1);
    assert_string_equal(json_string_value(json_array_get(types, 0)), "long-polling");
    assert_string_equal(json_string_value(json_object_get(reply, "id")), "1");
    assert_null(json_object_get(reply, "advice"));
    assert_in_range(strlen(w->client), 20, 30);
    assert_int_equal(strspn(w->client, "0123456789abcdefghijklmnopqrstuvwxyz"), strlen(w->client));
    tm_wire_header(&w->wire, "Set-Cookie", cookie);
    assert_int_equal(strncmp(cookie, "BAYEUX_BROWSER=", 15), 0);
    assert_null(strcasestr(cookie, "secure"));
    json_decref(list);
}

#define CONNECT_OF(id)                                                                             \
    "[{\"channel\":\"/meta/connect\",\"connectionType\":\"long-polling\",\"clientId\":\"%s\"," id  \
    "}]"
#define CONNECT CONNECT_OF("\"id\":\"2\"")

static void the_first_connect_is_answered_at_once_with_the_advice(void **state)
{
    struct world *w = *state;
    shake(w, "[\"long-polling\"]");
    say(w, CONNECT, w->client);
    expect(w, "\"timeout\":1500");
    expect(w, "\"interval\":0");
    expect(w, "\"reconnect\":\"retry\"");
    say(w, CONNECT_OF("\"id\":\"3\",\"advice\":{\"timeout\":0}"), w->client);
    expect(w, "\"successful\":true");
    say(w, CONNECT_OF("\"id\":\"4\""), w->client); /* held until its time is over */
    assert_false(says(w, "advice"));
}

static void subscribe(struct world *w, const char *more)
{
    say(w,
        "[{\"channel\":\"/meta/subscribe\",\"subscription\":\"" CHANNEL
        "\",\"clientId\":\"%s\",\"id\":\"7\"%s}]",
        w->client, more);
}

static void commit(struct world *w, const char *changes)
{
    char body[2000];
    snprintf(body, sizeof body, "{\"changes\":[%s]}", changes);
    if (ask(w, "POST", "/tidemark/v1/commit", body) != 200)
        fail_msg("%s: %s", changes, w->wire.raw);
}

static int64_t commit_named(struct world *w, const char *name)
{
    char change[300];
    snprintf(change, sizeof change,
             "{\"change\":\"create\",\"object\":\"Account\",\"fields\":{\"Name\":\"%s\"}}", name);
    commit(w, change);
    json_t *answer = tm_wire_json(&w->wire);
    int64_t last = json_integer_value(json_object_get(answer, "replay_last"));
    json_decref(answer);
    return last;
}

static void two_sockets_of_a_client_work_together_and_a_new_connect_ends_the_old(void **state)
{
    struct world *w = *state;
    char body[300];
    shake(w, "[\"long-polling\"]");
    subscribe(w, ""); /* before the first connect */
    expect(w, "\"successful\":true");
    say(w, CONNECT, w->client);
    snprintf(body, sizeof body, CONNECT_OF("\"id\":\"held\""), w->client);
    int held = tm_wire_send(&w->wire, "POST", "/cometd/59.0", NULL, body);
    subscribe(w, ""); /* while it is held; again, which succeeds */
    expect(w, "\"successful\":true");
    commit_named(w, "meanwhile");
    assert_int_equal(tm_wire_take(&w->wire, held), 200);
    expect(w, "\"Name\":\"meanwhile\"");
    expect(w, "\"id\":\"held\"");
    held = tm_wire_send(&w->wire, "POST", "/cometd/59.0", NULL, body);
    ask(w, "GET", "/tidemark/v1/clock", NULL); /* served behind it: it has arrived */
    snprintf(body, sizeof body, CONNECT_OF("\"id\":\"new\""), w->client);
    int newer = tm_wire_send(&w->wire, "POST", "/cometd/59.0", NULL, body);
    assert_int_equal(tm_wire_take(&w->wire, held), 200);
    expect(w, "\"id\":\"held\"");
    assert_int_equal(tm_wire_take(&w->wire, newer), 200);
    expect(w, "\"id\":\"new\"");
}

static void an_unknown_client_must_shake_hands_and_is_not_named(void **state)
{
    struct world *w = *state;
    say(w, CONNECT, "nobody00000000000000000000");
    expect(w, "\"error\":\"403::Unknown client\"");
    expect(w, "\"reconnect\":\"handshake\"");
    assert_false(says(w, "clientId"));
}

static int64_t first_replay(struct world *w, size_t *out_count)
{
    size_t i;
    json_t *m, *list = tm_wire_json(&w->wire);
    int64_t first = 0, last = 0;
    *out_count = 0;
    json_array_foreach(list, i, m)
    {
        json_t *id =
            json_object_get(json_object_get(json_object_get(m, "data"), "event"), "replayId");
        if (id == NULL)
            continue;
        assert_true(json_is_integer(id)); /* 8: a JSON integer that a double can hold, growing */
        assert_true(json_integer_value(id) > last && json_integer_value(id) < (1LL << 53));
        last = json_integer_value(id);
        first = first == 0 ? last : first;
        (*out_count)++;
    }
    json_decref(list);
    return first;
}

static void a_subscription_starts_where_its_replay_id_says(void **state)
{
    struct world *w = *state;
    char more[200];
    size_t count;
    int64_t one = commit_named(w, "one"), two = commit_named(w, "two");
    shake(w, "[\"long-polling\"]");
    snprintf(more, sizeof more, ",\"ext\":{\"replay\":{\"/other\":-2,\"" CHANNEL "\":%lld}}",
             (long long)one);
    subscribe(w, more);
    say(w, CONNECT, w->client);
    assert_int_equal(first_replay(w, &count), two); /* strictly after */
    assert_int_equal(count, 1);
    subscribe(w, ",\"ext\":{\"replay\":{\"" CHANNEL "\":-2}}");
    say(w, CONNECT, w->client);
    first_replay(w, &count);
    assert_true(count >= 2);
    subscribe(w, ",\"ext\":{\"replay\":{\"" CHANNEL "\":-1}}");
    int64_t three = commit_named(w, "three");
    say(w, CONNECT, w->client);
    assert_int_equal(first_replay(w, &count), three);
    assert_int_equal(count, 1);
    snprintf(more, sizeof more, ",\"ext\":{\"replay\":{\"" CHANNEL "\":%lld}}",
             (long long)three + 1000);
    subscribe(w, more);
    snprintf(more, sizeof more,
             "\"error\":\"400::The replayId {%lld} you provided was invalid.  Please provide a "
             "valid ID, -2 to replay all events, or -1 to replay only new events.\"",
             (long long)three + 1000);
    expect(w, more);
    expect(w, "\"subscription\":\"" CHANNEL "\"");
}

static json_t *last_event(struct world *w)
{
    say(w, CONNECT, w->client);
    json_t *list = tm_wire_json(&w->wire), *data = NULL;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_object_get(json_array_get(list, i), "data") != NULL)
            data = json_object_get(json_array_get(list, i), "data");
    assert_non_null(data);
    json_incref(data);
    json_decref(list);
    return data;
}

static void a_change_event_has_the_ten_header_keys_and_the_body_of_its_kind(void **state)
{
    static const char *const keys[] = { "commitNumber", "commitUser",     "sequenceNumber",
                                        "entityName",   "changeType",     "changedFields",
                                        "changeOrigin", "transactionKey", "commitTimestamp",
                                        "recordIds" };
    struct world *w = *state;
    char id[32], change[300];
    shake(w, "[\"long-polling\"]");
    subscribe(w, "");
    commit(w, "{\"change\":\"create\",\"object\":\"Account\",\"fields\":{\"Name\":\"n\","
              "\"BillingCity\":\"Hull\"}}");
    json_t *answer = tm_wire_json(&w->wire), *data = last_event(w),
           *payload = json_object_get(data, "payload"),
           *header = json_object_get(payload, "ChangeEventHeader");
    snprintf(id, sizeof id, "%s",
             json_string_value(json_array_get(json_object_get(answer, "ids"), 0)));
    assert_int_equal(json_object_size(header), 10);
    for (size_t i = 0; i < 10; i++)
        assert_non_null(json_object_get(header, keys[i]));
    assert_string_equal(json_string_value(json_object_get(payload, "CreatedDate")) + 19, ".000Z");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(payload, "BillingAddress"), "City")),
        "Hull");
    assert_null(json_object_get(payload, "Id"));
    assert_null(json_object_get(payload, "SystemModstamp"));
    json_decref(data);
    json_decref(answer);
    snprintf(change, sizeof change,
             "{\"change\":\"update\",\"object\":\"Account\",\"id\":\"%s\",\"fields\":"
             "{\"BillingCity\":null}}",
             id);
    commit(w, change);
    data = last_event(w);
    payload = json_object_get(data, "payload");
    assert_true(json_is_null(json_object_get(json_object_get(payload, "BillingAddress"), "City")));
    assert_null(json_object_get(payload, "Name"));
    assert_int_equal(json_array_size(json_object_get(json_object_get(payload, "ChangeEventHeader"),
                                                     "changedFields")),
                     2);
    json_decref(data);
    snprintf(change, sizeof change, "{\"change\":\"delete\",\"object\":\"Account\",\"id\":\"%s\"}",
             id);
    commit(w, change);
    data = last_event(w);
    assert_int_equal(json_object_size(json_object_get(data, "payload")), 1); /* the header */
    json_decref(data);
}

/* ---- 10 to 13: sign-in, expiry, limits ---- */

#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"

static void a_token_answer_has_its_six_fields_and_an_error_its_two(void **state)
{
    static const char *const keys[] = { "access_token", "instance_url", "id",
                                        "token_type",   "issued_at",    "signature" };
    struct world *w = *state;
    w->wire.token[0] = '\0';
    assert_int_equal(tm_wire_ask(&w->wire, "POST", "/services/oauth2/token", FORM,
                                 "grant_type=password&client_id=tidemark-consumer-key&"
                                 "client_secret=tidemark-consumer-secret&username=integration%40"
                                 "tidemark.example&password=tidemarkTOKEN"),
                     200);
    json_t *json = tm_wire_json(&w->wire);
    for (size_t i = 0; i < 6; i++)
        assert_true(json_is_string(json_object_get(json, keys[i])));
    const char *id = strstr(json_string_value(json_object_get(json, "id")), "id/");
    assert_int_equal(strcspn(id + 3, "/"), 18);
    assert_int_equal(strlen(strchr(id + 3, '/') + 1), 18);
    json_decref(json);
    assert_int_equal(tm_wire_ask(&w->wire, "POST", "/services/oauth2/token", FORM,
                                 "grant_type=password&client_id=tidemark-consumer-key&"
                                 "client_secret=tidemark-consumer-secret&username=x&password=y"),
                     400);
    expect(w, "\"error\":\"invalid_grant\"");
    expect(w, "\"error_description\":\"authentication failure\"");
}

#define SOAP(password)                                                                             \
    "<?xml version=\"1.0\"?><env:Envelope "                                                        \
    "xmlns:env=\"http://schemas.xmlsoap.org/soap/envelope/\">"                                     \
    "<env:Body><n1:login xmlns:n1=\"urn:partner.soap.sforce.com\"><n1:username>integration@"       \
    "tidemark.example</n1:username><n1:password>" password                                         \
    "</n1:password></n1:login></env:Body></env:Envelope>"

static void soap_results_have_no_prefix_and_faults_have_theirs(void **state)
{
    struct world *w = *state;
    char url[100];
    w->wire.token[0] = '\0';
    assert_int_equal(tm_wire_ask(&w->wire, "POST", "/services/Soap/u/59.0/",
                                 "Content-Type: text/xml\r\nSOAPAction: ''\r\n",
                                 SOAP("tidemarkTOKEN")),
                     200);
    snprintf(url, sizeof url, "<serverUrl>http://127.0.0.1:%d/services/Soap/u/59.0/", w->wire.port);
    expect(w, url);
    expect(w, "<sessionId>");
    expect(w, "<userId>005");
    expect(w, "<organizationId>00D");
    expect(w, "<passwordExpired>false</passwordExpired>");
    assert_int_equal(tm_wire_ask(&w->wire, "POST", "/services/Soap/u/59.0",
                                 "Content-Type: text/xml\r\nSOAPAction: login\r\n", SOAP("wrong")),
                     500);
    expect(w, "<sf:exceptionCode>INVALID_LOGIN</sf:exceptionCode>");
    expect(w, "<sf:exceptionMessage>");
    expect(w, "<faultstring>INVALID_LOGIN: ");
}

static void an_expired_token_is_refused_in_each_apis_own_words(void **state)
{
    struct world *w = *state;
    char session[300], body[300];
    shake(w, "[\"long-polling\"]");
    assert_int_equal(ask(w, "POST", "/tidemark/v1/faults", "{\"expire_tokens\":{}}"), 200);
    assert_int_equal(ask(w, "GET", DATA "/limits", NULL), 401);
    expect(w, "[{");
    expect(w, "\"message\":\"Session expired or invalid\"");
    expect(w, "\"errorCode\":\"INVALID_SESSION_ID\"");
    snprintf(session, sizeof session, "X-SFDC-Session: %s\r\nContent-Type: application/xml\r\n",
             w->wire.token);
    assert_int_equal(tm_wire_ask(&w->wire, "GET", ASYNC "/job/750000000000001", session, NULL),
                     400);
    expect(w, "<exceptionCode>InvalidSessionId</exceptionCode>");
    say(w, CONNECT, w->client);
    expect(w, "\"error\":\"401::Authentication invalid\"");
    expect(w, "\"reconnect\":\"none\"");
    snprintf(body, sizeof body,
             "[{\"channel\":\"/meta/handshake\",\"version\":\"1.0\",\"supportedConnectionTypes\":"
             "[\"long-polling\"]}]");
    say(w, "%s", body);
    expect(w, "\"error\":\"403::Handshake denied\"");
    expect(w, "\"failureReason\":\"401::Authentication invalid\"");
    expect(w, "\"reconnect\":\"none\"");
}

static void the_limits_header_is_exactly_used_over_limit(void **state)
{
    struct world *w = *state;
    char value[512], *end;
    assert_int_equal(ask(w, "GET", DATA "/limits", NULL), 200);
    tm_wire_header(&w->wire, "Sforce-Limit-Info", value);
    assert_int_equal(strncmp(value, "api-usage=", 10), 0);
    double used = strtod(value + 10, &end);
    assert_int_equal(*end, '/');
    double most = strtod(end + 1, &end);
    assert_int_equal(*end, '\0');
    assert_true(used / most < 0.1);
    json_t *json = tm_wire_json(&w->wire), *batches = json_object_get(json, "DailyBulkApiBatches");
    assert_true(json_integer_value(json_object_get(batches, "Max")) > 0);
    assert_true(json_is_integer(json_object_get(batches, "Remaining")));
    json_decref(json);
}

/* ---- 14 to 17: reading ---- */

static void a_locator_pages_under_query_and_query_all_whatever_q_says(void **state)
{
    struct world *w = *state;
    char target[300];
    char id[32];
    commit(w, "{\"change\":\"create\",\"object\":\"Account\",\"fields\":{\"Name\":\"binned\"}}");
    json_t *json = tm_wire_json(&w->wire);
    snprintf(id, sizeof id, "%s",
             json_string_value(json_array_get(json_object_get(json, "ids"), 0)));
    json_decref(json);
    snprintf(target, sizeof target, DATA "/sobjects/Account/%s", id);
    assert_int_equal(ask(w, "DELETE", target, NULL), 204);
    assert_int_equal(ask(w, "GET", DATA "/query?q=SELECT+Id+FROM+Account", NULL), 200);
    json = tm_wire_json(&w->wire);
    assert_true(json_is_false(json_object_get(json, "done")));
    const char *next = json_string_value(json_object_get(json, "nextRecordsUrl"));
    const char *locator = strrchr(next, '/') + 1;
    assert_int_equal(ask(w, "GET", next, NULL), 200);
    snprintf(target, sizeof target, DATA "/queryAll/%s?q=SELECT+Id+FROM+Account", locator);
    assert_int_equal(ask(w, "GET", target, NULL), 200);
    json_t *page = tm_wire_json(&w->wire);
    assert_int_equal(json_array_size(json_object_get(page, "records")), 2000);
    assert_string_not_equal(json_string_value(json_object_get(
                                json_array_get(json_object_get(page, "records"), 0), "Id")),
                            json_string_value(json_object_get(
                                json_array_get(json_object_get(json, "records"), 0), "Id")));
    json_decref(page);
    json_decref(json);
    snprintf(target, sizeof target,
             DATA "/queryAll?q=SELECT+Id,IsDeleted+FROM+Account+WHERE+Id='%s'", id);
    assert_int_equal(ask(w, "GET", target, NULL), 200);
    expect(w, "\"IsDeleted\":true");
}

/* Asked again until it says so, or too often. */
static void until(struct world *w, const char *target, const char *more, const char *word)
{
    for (int i = 0; i < 200; i++) {
        assert_int_equal(tm_wire_ask(&w->wire, "GET", target, more, NULL), 200);
        if (says(w, word))
            return;
        tm_test_pause(20);
    }
    fail_msg("%s never said %s: %s", target, word, w->wire.raw);
}

static void bulk_2_counts_rows_and_says_null_on_the_last_page(void **state)
{
    struct world *w = *state;
    char path[200], value[512];
    assert_int_equal(ask(w, "POST", DATA "/jobs/query",
                         "{\"operation\":\"query\",\"query\":\"SELECT Id, Name FROM Account\"}"),
                     200);
    json_t *json = tm_wire_json(&w->wire);
    snprintf(path, sizeof path, DATA "/jobs/query/%s",
             json_string_value(json_object_get(json, "id")));
    json_decref(json);
    until(w, path, NULL, "\"JobComplete\"");
    strcat(path, "/results");
    assert_int_equal(ask(w, "GET", path, NULL), 200); /* no maxRecords: all of it in one page */
    tm_wire_header(&w->wire, "Sforce-NumberOfRecords", value);
    assert_true(atoi(value) > 2000);
    assert_string_equal(tm_wire_header(&w->wire, "Sforce-Locator", value), "null");
    assert_int_equal(strncmp(tm_wire_header(&w->wire, "Content-Type", value), "text/csv", 8), 0);
    assert_int_equal(strncmp(tm_wire_body(&w->wire), "\"Id\",\"Name\"\n", 12), 0);
    strcat(path, "?maxRecords=1000");
    assert_int_equal(ask(w, "GET", path, NULL), 200);
    assert_string_equal(tm_wire_header(&w->wire, "Sforce-NumberOfRecords", value), "1000");
    assert_string_not_equal(tm_wire_header(&w->wire, "Sforce-Locator", value), "null");
}

static void bulk_1_speaks_json_of_jobs_and_xml_of_csv_batches(void **state)
{
    struct world *w = *state;
    char session[400], job[32], path[200], batch[32] = "", csv[500];
    snprintf(session, sizeof session, "X-SFDC-Session: %s\r\nContent-Type: application/json\r\n",
             w->wire.token);
    snprintf(csv, sizeof csv, "X-SFDC-Session: %s\r\nContent-Type: text/csv\r\n", w->wire.token);
    assert_int_equal(tm_wire_ask(&w->wire, "POST", ASYNC "/job", session,
                                 "{\"operation\":\"queryAll\",\"object\":\"Account\","
                                 "\"contentType\":\"CSV\"}"),
                     201);
    json_t *json = tm_wire_json(&w->wire);
    snprintf(job, sizeof job, "%s", json_string_value(json_object_get(json, "id")));
    assert_string_equal(json_string_value(json_object_get(json, "state")), "Open");
    json_decref(json);
    snprintf(path, sizeof path, ASYNC "/job/%s/batch", job);
    assert_int_equal(tm_wire_ask(&w->wire, "POST", path, csv, "SELECT Id FROM Account LIMIT 5"),
                     201);
    expect(w, "<batchInfo");
    sscanf(strstr(w->wire.raw, "<id>") + 4, "%18[0-9A-Za-z]", batch);
    snprintf(path, sizeof path, ASYNC "/job/%s", job);
    assert_int_equal(tm_wire_ask(&w->wire, "POST", path, session, "{\"state\":\"Closed\"}"), 200);
    json = tm_wire_json(&w->wire);
    assert_string_equal(json_string_value(json_object_get(json, "state")), "Closed");
    json_decref(json);
    snprintf(path, sizeof path, ASYNC "/job/%s/batch/%s", job, batch);
    until(w, path, session, "<state>Completed</state>"); /* XML, though asked as JSON */
    strcat(path, "/result");
    assert_int_equal(tm_wire_ask(&w->wire, "GET", path, session, NULL), 200);
    expect(w, "<result-list");
    char result[32] = "";
    sscanf(strstr(w->wire.raw, "<result>") + 8, "%18[0-9A-Za-z]", result);
    snprintf(path, sizeof path, ASYNC "/job/%s/batch/%s/result/%s", job, batch, result);
    assert_int_equal(tm_wire_ask(&w->wire, "GET", path, session, NULL), 200);
    assert_int_equal(strncmp(tm_wire_body(&w->wire), "\"Id\"\n", 5), 0);
}

static void composite_batch_describes_twenty_five_in_order(void **state)
{
    static const char *const names[] = { "Account", "Opportunity", "User" };
    struct world *w = *state;
    char body[6000];
    size_t at = 0;
    at += (size_t)snprintf(body, sizeof body, "{\"haltOnError\":true,\"batchRequests\":[");
    for (size_t i = 0; i < 25; i++)
        at += (size_t)snprintf(body + at, sizeof body - at,
                               "%s{\"method\":\"GET\",\"url\":\"%s%s/sobjects/%s/describe\"}",
                               i > 0 ? "," : "", i % 2 == 0 ? "" : "/services/data/", "v59.0",
                               names[i % 3]);
    snprintf(body + at, sizeof body - at, "]}");
    assert_int_equal(ask(w, "POST", DATA "/composite/batch", body), 200);
    json_t *json = tm_wire_json(&w->wire), *results = json_object_get(json, "results");
    assert_true(json_is_false(json_object_get(json, "hasErrors")));
    assert_int_equal(json_array_size(results), 25);
    for (size_t i = 0; i < 25; i++) {
        json_t *one = json_array_get(results, i);
        assert_int_equal(json_integer_value(json_object_get(one, "statusCode")), 200);
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(one, "result"), "name")),
            names[i % 3]);
    }
    json_decref(json);
}

/* ---- 20: what pipelines must live with ---- */

static void gaps_overflows_and_merged_events_come_as_real_ones_do(void **state)
{
    struct world *w = *state;
    shake(w, "[\"long-polling\"]");
    subscribe(w, "");
    commit(w, "{\"change\":\"create\",\"object\":\"Account\",\"fields\":{\"Name\":\"a\"},"
              "\"announce\":\"gap\"}");
    json_t *data = last_event(w),
           *header = json_object_get(json_object_get(data, "payload"), "ChangeEventHeader");
    assert_string_equal(json_string_value(json_object_get(header, "changeType")), "GAP_CREATE");
    assert_int_equal(json_object_size(json_object_get(data, "payload")), 1);
    json_decref(data);
    commit(w, "{\"change\":\"create\",\"object\":\"Account\",\"fields\":{\"Name\":\"a\"},"
              "\"announce\":\"overflow\"}");
    data = last_event(w);
    header = json_object_get(json_object_get(data, "payload"), "ChangeEventHeader");
    assert_string_equal(json_string_value(json_object_get(header, "changeType")), "GAP_OVERFLOW");
    assert_string_equal(json_string_value(json_array_get(json_object_get(header, "recordIds"), 0)),
                        "000000000000000AAA");
    json_decref(data);
    commit(w, "{\"change\":\"create\",\"object\":\"Account\",\"fields\":{\"Name\":\"m\"},"
              "\"announce\":\"merged\"},{\"change\":\"create\",\"object\":\"Account\",\"fields\":"
              "{\"Name\":\"m\"},\"announce\":\"merged\"}");
    data = last_event(w);
    header = json_object_get(json_object_get(data, "payload"), "ChangeEventHeader");
    assert_int_equal(json_array_size(json_object_get(header, "recordIds")), 2);
    json_decref(data);
}

static void events_past_their_seventy_two_hours_are_refused(void **state)
{
    struct world *w = *state;
    char more[120];
    int64_t old = commit_named(w, "old");
    commit_named(w, "old too");
    assert_int_equal(ask(w, "POST", "/tidemark/v1/clock", "{\"advance\":\"73h\"}"), 200);
    shake(w, "[\"long-polling\"]");
    snprintf(more, sizeof more, ",\"ext\":{\"replay\":{\"" CHANNEL "\":%lld}}", (long long)old);
    subscribe(w, more);
    expect(w, "400::The replayId {");
}

#define TEST(f) cmocka_unit_test_setup(f, world_begin)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(chunked_bodies_empty_cookies_trailing_slashes_and_both_spaces),
        TEST(cometd_takes_message_types_in_its_path_and_refuses_get_at_once),
        TEST(a_handshake_offers_replay_and_long_polling_only_and_no_secure_cookie),
        TEST(the_first_connect_is_answered_at_once_with_the_advice),
        TEST(two_sockets_of_a_client_work_together_and_a_new_connect_ends_the_old),
        TEST(an_unknown_client_must_shake_hands_and_is_not_named),
        TEST(a_subscription_starts_where_its_replay_id_says),
        TEST(a_change_event_has_the_ten_header_keys_and_the_body_of_its_kind),
        TEST(a_token_answer_has_its_six_fields_and_an_error_its_two),
        TEST(soap_results_have_no_prefix_and_faults_have_theirs),
        TEST(an_expired_token_is_refused_in_each_apis_own_words),
        TEST(the_limits_header_is_exactly_used_over_limit),
        TEST(a_locator_pages_under_query_and_query_all_whatever_q_says),
        TEST(bulk_2_counts_rows_and_says_null_on_the_last_page),
        TEST(bulk_1_speaks_json_of_jobs_and_xml_of_csv_batches),
        TEST(composite_batch_describes_twenty_five_in_order),
        TEST(gaps_overflows_and_merged_events_come_as_real_ones_do),
        TEST(events_past_their_seventy_two_hours_are_refused),
    };
    return cmocka_run_group_tests(tests, world_serve, world_stop);
}
