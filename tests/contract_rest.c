/* The REST API over real sockets, as any client without knowledge of its inside uses it: sign in,
 * discover, write, watch, page, delete. libcurl against libmicrohttpd, stepped in turn by one
 * thread. */
#include "base/http.h"
#include "mocks/http/server.h"
#include "mocks/salesforce/routes.h"
#include "tests/support_org.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROUNDS_MAX 20000
#define DATA "/services/data/v59.0"

struct world {
    struct org_fixture org;
    struct tm_salesforce *mock;
    struct tm_mock_server *server;
    struct tm_http *http;
    char authorization[300];
    int status;
};

static int world_open(void **state)
{
    static struct world w;
    struct tm_err err = { .code = TM_OK };
    w = (struct world){ .status = 0 };
    org_fixture_open(&w.org);
    struct tm_salesforce_settings settings = { .bayeux = { .long_poll_ms = 200 } };
    if (tm_salesforce_open(&w.mock, w.org.org, &settings, &err) != TM_OK)
        return -1;
    struct tm_mock_handler handler = tm_salesforce_handler(w.mock);
    struct tm_mock_server_settings at = { .bind = "127.0.0.1" };
    if (tm_mock_server_open(&w.server, &at, &handler, &err) != TM_OK)
        return -1;
    if (tm_http_curl_open(&w.http, "any-client/1", NULL, &err) != TM_OK)
        return -1;
    *state = &w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;
    w->http->ops->close(w->http);
    tm_mock_server_close(w->server);
    tm_salesforce_close(w->mock);
    org_fixture_close(&w->org);
    return 0;
}

/* One exchange; the answer as JSON, NULL when it had no body. The caller decrefs it. */
static json_t *ask(struct world *w, const char *method, const char *path, const char *body,
                   const char *type)
{
    char url[600], content[80];
    struct tm_err err = { .code = TM_OK };
    struct tm_http_call *call = NULL;
    struct tm_http_reply reply;
    const int fds[] = { tm_mock_server_fd(w->server) };
    snprintf(url, sizeof url, "%s%s", tm_mock_server_url(w->server), path);
    snprintf(content, sizeof content, "Content-Type: %s", type);
    struct tm_http_request request = {
        .method = method,
        .url = url,
        .headers = { content, w->authorization[0] != '\0' ? w->authorization : NULL },
        .body = body,
        .body_bytes = body != NULL ? strlen(body) : 0
    };
    tm_http_reply_init(&reply);
    assert_int_equal(w->http->ops->start(w->http, &call, &request, &err), TM_OK);
    enum tm_code rc = TM_E_AGAIN;
    for (int i = 0; rc == TM_E_AGAIN && i < ROUNDS_MAX; i++) {
        struct tm_now now = { ORG_ORIGIN_MS + 3600000, tm_clock_monotonic_ns() };
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        tm_mock_server_step(w->server, &now, &wake, NULL);
        rc = w->http->ops->poll(w->http, call, &reply, &err);
        if (rc == TM_E_AGAIN)
            tm_http_curl_wait(w->http, fds, 1, wake.wall_ns <= now.wall_ns ? 0 : TM_NS_PER_MS,
                              NULL);
    }
    if (rc != TM_OK)
        fail_msg("%s %s: %s", method, path, err.msg);
    w->status = reply.status;
    json_t *json = json_loads(tm_buf_text(&reply.body), JSON_DECODE_ANY, NULL);
    tm_http_reply_free(&reply);
    return json;
}

static json_t *call(struct world *w, const char *method, const char *path, const char *body)
{
    return ask(w, method, path, body, "application/json");
}

static void sign_in(struct world *w)
{
    json_t *json = ask(w, "POST", "/services/oauth2/token",
                       "grant_type=password&client_id=tidemark-consumer-key&client_secret="
                       "tidemark-consumer-secret&username=integration@tidemark.example&password="
                       "tidemarkTOKEN",
                       "application/x-www-form-urlencoded");
    assert_int_equal(w->status, 200);
    snprintf(w->authorization, sizeof w->authorization, "Authorization: Bearer %s",
             json_string_value(json_object_get(json, "access_token")));
    json_decref(json);
}

static void a_person_discovers_writes_reads_and_deletes(void **state)
{
    struct world *w = *state;
    char path[300];
    sign_in(w);
    json_t *json = call(w, "GET", DATA "/sobjects", NULL);
    assert_true(json_array_size(json_object_get(json, "sobjects")) >= 3);
    json_decref(json);
    json =
        call(w, "POST", DATA "/composite/batch",
             "{\"batchRequests\":[{\"method\":\"GET\",\"url\":\"v59.0/sobjects/Account/describe\"}"
             ",{\"method\":\"GET\",\"url\":\"v59.0/limits\"}]}");
    assert_true(json_is_false(json_object_get(json, "hasErrors")));
    json_decref(json);
    json =
        call(w, "POST", DATA "/sobjects/Account/", "{\"Name\":\"Tide\",\"LegacyId__c\":\"L/1\"}");
    assert_int_equal(w->status, 201);
    snprintf(path, sizeof path, DATA "/sobjects/Account/%s",
             json_string_value(json_object_get(json, "id")));
    json_decref(json);
    json_decref(call(w, "PATCH", path, "{\"Phone\":\"+1\"}"));
    assert_int_equal(w->status, 204);
    json = call(w, "GET", path, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "Phone")), "+1");
    json_decref(json);
    json_t *event = org_last_event(w->org.org, "Account");
    assert_string_equal(
        json_string_value(json_object_get(
            json_object_get(json_object_get(event, "payload"), "ChangeEventHeader"), "changeType")),
        "UPDATE");
    json_decref(event);
    json = call(w, "PATCH", path, "{\"Nmae\":\"x\"}");
    assert_int_equal(w->status, 400);
    assert_string_equal(json_string_value(json_object_get(json_array_get(json, 0), "errorCode")),
                        "INVALID_FIELD");
    json_decref(json);
    json_decref(call(w, "DELETE", path, NULL));
    assert_int_equal(w->status, 204);
    json_decref(call(w, "GET", path, NULL));
    assert_int_equal(w->status, 404);
}

static void pages_follow_their_locator_over_one_connection(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES], name[32], path[300];
    size_t rows = 0;
    assert_int_equal(tm_org_begin(w->org.org, NULL), TM_OK);
    for (int i = 0; i < 4100; i++) {
        snprintf(name, sizeof name, "account %d", i);
        org_make_account(w->org.org, id, name, ORG_ORIGIN_MS + 1000);
    }
    assert_int_equal(tm_org_end(w->org.org, NULL), TM_OK);
    sign_in(w);
    snprintf(path, sizeof path, "%s", DATA "/queryAll/?q=SELECT+Id,Name,Owner.Name+FROM+Account");
    for (int pages = 1;; pages++) {
        json_t *json = call(w, "GET", path, NULL);
        assert_int_equal(w->status, 200);
        assert_int_equal(json_integer_value(json_object_get(json, "totalSize")), 4100);
        rows += json_array_size(json_object_get(json, "records"));
        const char *next = json_string_value(json_object_get(json, "nextRecordsUrl"));
        snprintf(path, sizeof path, "%s", next != NULL ? next : "");
        assert_int_equal(json_is_true(json_object_get(json, "done")), next == NULL);
        json_decref(json);
        if (*path == '\0') {
            assert_int_equal(pages, 3);
            break;
        }
    }
    assert_int_equal(rows, 4100);
    json_t *json = call(w, "GET", DATA "/query/01g000000000000AAA-2000", NULL);
    assert_int_equal(w->status, 400);
    assert_string_equal(json_string_value(json_object_get(json_array_get(json, 0), "errorCode")),
                        "INVALID_QUERY_LOCATOR");
    json_decref(json);
    json = call(w, "GET",
                DATA "/query?q=SELECT+COUNT(Id)+n,Owner.Name+FROM+Account+GROUP+BY+"
                     "Owner.Name+HAVING+COUNT(Id)%3E4000",
                NULL);
    assert_int_equal(json_integer_value(
                         json_object_get(json_array_get(json_object_get(json, "records"), 0), "n")),
                     4100);
    json_decref(json);
}

static void two_hundred_records_go_in_and_come_out_in_one_call_each(void **state)
{
    struct world *w = *state;
    struct tm_buf body;
    size_t i;
    json_t *row;
    sign_in(w);
    tm_buf_init(&body, 1u << 20);
    tm_buf_addz(&body, "{\"allOrNone\":true,\"records\":[");
    for (i = 0; i < 200; i++)
        tm_buf_addf(&body, "%s{\"attributes\":{\"type\":\"Account\"},\"Name\":\"n%zu\"}",
                    i > 0 ? "," : "", i);
    tm_buf_addz(&body, "]}");
    json_t *made = call(w, "POST", DATA "/composite/sobjects", tm_buf_text(&body));
    assert_int_equal(json_array_size(made), 200);
    tm_buf_reset(&body);
    tm_buf_addz(&body, "{\"fields\":[\"Name\"],\"ids\":[");
    json_array_foreach(made, i, row) tm_buf_addf(&body, "%s\"%s\"", i > 0 ? "," : "",
                                                 json_string_value(json_object_get(row, "id")));
    tm_buf_addz(&body, "]}");
    json_t *read = call(w, "POST", DATA "/composite/sobjects/Account", tm_buf_text(&body));
    json_array_foreach(read, i, row)
    {
        char name[32];
        snprintf(name, sizeof name, "n%zu", i);
        assert_string_equal(json_string_value(json_object_get(row, "Name")), name);
    }
    assert_int_equal(i, 200);
    json_decref(made);
    json_decref(read);
    tm_buf_free(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
        T(a_person_discovers_writes_reads_and_deletes),
        T(pages_follow_their_locator_over_one_connection),
        T(two_hundred_records_go_in_and_come_out_in_one_call_each),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
