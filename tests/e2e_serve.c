/* `tidemark serve` as a user has it: the built program on a free port, spoken to by the real client
 * code over loopback. */
#include "salesforce/cometd.h"
#include "salesforce/query.h"
#include "tests/support_command.h"
#include <setjmp.h>
#include <sqlite3.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>
#include <cmocka.h>

#define WAIT_S_MAX 30

struct world {
    struct tm_test_server server;
    struct tm_http *http;
    struct tm_sf_settings settings;
    struct tm_sf_session *session;
    char folder[200];
};

static void world_serve(struct world *w, const char *more)
{
    w->server =
        tm_test_server_start("tidemark serve --port 0 --org %s/org.db --quiet %s", w->folder, more);
    assert_memory_equal(w->server.line, "http://127.0.0.1:", 17);
    w->settings.instance = w->server.line;
}

static void world_session(struct world *w)
{
    struct tm_err err = { 0 };
    tm_sf_session_close(w->session);
    assert_int_equal(tm_sf_session_open(&w->session, w->http, &w->settings, &err), TM_OK);
}

static int world_open(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    snprintf(w->folder, sizeof w->folder, "%s", tm_test_folder());
    tm_test_write_file(
        w->folder, "small.json",
        "{\"hours\":0.05,\"compress\":60,\"workload\":{\"changes\":60,\"records\":60,"
        "\"shape\":\"flat\",\"kinds\":{\"update\":1,\"create\":1}}}");
    w->settings = (struct tm_sf_settings){ .username = "integration@tidemark.example",
                                           .password = "tidemark",
                                           .password_token = "TOKEN",
                                           .consumer_key = "tidemark-consumer-key",
                                           .consumer_secret = "tidemark-consumer-secret",
                                           .grant = TM_SF_PASSWORD,
                                           .api_version = "latest",
                                           .request_retry_ns_max = 10 * TM_NS_PER_S,
                                           .auth_retry_ns_max = 10 * TM_NS_PER_S,
                                           .seed = 1 };
    assert_int_equal(tm_http_curl_open(&w->http, "tidemark-test/1", NULL, NULL), TM_OK);
    *state = w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;
    tm_sf_session_close(w->session);
    w->http->ops->close(w->http);
    if (w->server.pid > 0)
        tm_test_server_stop(&w->server);
    tm_test_folder_remove(w->folder);
    free(w);
    return 0;
}

static struct tm_now world_now(void)
{
    return tm_clock_now(NULL);
}

static bool world_wait(struct world *w, int64_t until_ns)
{
    struct tm_now now = world_now();
    assert_int_equal(tm_http_curl_wait(w->http, NULL, 0, 20 * TM_NS_PER_MS, NULL), TM_OK);
    return now.wall_ns < until_ns;
}

static enum tm_code world_sign_in(struct world *w, struct tm_err *err)
{
    int64_t until_ns = tm_clock_monotonic_ns() + WAIT_S_MAX * TM_NS_PER_S;
    for (;;) {
        struct tm_now now = world_now();
        enum tm_code rc = tm_sf_session_ready(w->session, &now, err);
        if (rc != TM_E_AGAIN)
            return rc;
        assert_true(world_wait(w, until_ns));
    }
}

/* Sends a request and waits for its answer. */
static json_t *world_post(struct world *w, const char *path, const char *body)
{
    char url[700];
    struct tm_http_call *call = NULL;
    struct tm_http_reply reply;
    struct tm_err err = { 0 };
    int64_t until_ns = tm_clock_monotonic_ns() + WAIT_S_MAX * TM_NS_PER_S;
    snprintf(url, sizeof url, "%s%s", w->server.line, path);
    struct tm_http_request r = { .method = body != NULL ? "POST" : "GET",
                                 .url = url,
                                 .body = body,
                                 .body_bytes = body != NULL ? strlen(body) : 0 };
    tm_http_reply_init(&reply);
    assert_int_equal(w->http->ops->start(w->http, &call, &r, &err), TM_OK);
    while (w->http->ops->poll(w->http, call, &reply, &err) == TM_E_AGAIN)
        assert_true(world_wait(w, until_ns));
    assert_int_equal(reply.status, 200);
    json_t *json = json_loads(tm_buf_text(&reply.body), 0, NULL);
    tm_http_reply_free(&reply);
    return json;
}

static size_t world_query(struct world *w, const char *soql)
{
    struct tm_sf_query *q = NULL;
    struct tm_err err = { 0 };
    size_t rows = 0;
    bool done = false;
    int64_t until_ns = tm_clock_monotonic_ns() + WAIT_S_MAX * TM_NS_PER_S;
    assert_int_equal(tm_sf_query_open(&q, w->session, soql, true, 200, &err), TM_OK);
    while (!done) {
        json_t *records = NULL;
        struct tm_now now = world_now();
        enum tm_code rc = tm_sf_query_next(q, &now, &records, &done, &err);
        if (rc == TM_E_AGAIN) {
            assert_true(world_wait(w, until_ns));
            continue;
        }
        if (rc != TM_OK)
            fail_msg("%s: %s", soql, err.msg);
        rows += json_array_size(records);
        json_decref(records);
    }
    tm_sf_query_close(q);
    return rows;
}

static void sign_in_query_subscribe_commit_and_receive(void **state)
{
    struct world *w = *state;
    struct tm_err err = { 0 };
    struct tm_cometd *c = NULL;
    bool committed = false;
    size_t events = 0;
    int64_t until_ns = tm_clock_monotonic_ns() + WAIT_S_MAX * TM_NS_PER_S;
    world_serve(w, "");
    world_session(w);
    assert_int_equal(world_sign_in(w, &err), TM_OK);
    assert_true(world_query(w, "SELECT Id, Name, Owner.Name FROM Account") > 2000);
    assert_int_equal(
        tm_cometd_open(&c, w->session, "/data/AccountChangeEvent", TM_REPLAY_NEW, 0, &err), TM_OK);
    while (events == 0) {
        struct tm_now now = world_now();
        json_t *list = NULL, *event;
        size_t i;
        enum tm_code rc = tm_cometd_next(c, &now, &list, &err);
        if (rc != TM_OK && rc != TM_E_AGAIN)
            fail_msg("cometd: %s", err.msg);
        json_array_foreach(list, i, event)
        {
            json_t *payload = json_object_get(json_object_get(event, "data"), "payload");
            assert_string_equal(json_string_value(json_object_get(payload, "Name")), "Tide Ltd");
            events++;
        }
        json_decref(list);
        if (tm_cometd_live(c) && !committed) {
            json_decref(world_post(w, "/tidemark/v1/commit",
                                   "{\"changes\":[{\"change\":\"create\",\"object\":\"Account\","
                                   "\"fields\":{\"Name\":\"Tide Ltd\"}}]}"));
            committed = true;
        }
        assert_true(world_wait(w, until_ns));
    }
    tm_cometd_close(c);
}

static void the_workload_runs_by_its_own_clock_and_says_when_it_is_done(void **state)
{
    struct world *w = *state;
    char more[300];
    int64_t changed = 0, until_ns = tm_clock_monotonic_ns() + WAIT_S_MAX * TM_NS_PER_S;
    snprintf(more, sizeof more, "--scenario %s/small.json", w->folder);
    world_serve(w, more);
    while (changed < 60) {
        json_t *json = world_post(w, "/tidemark/v1/clock", NULL);
        changed = json_integer_value(json_object_get(json, "pos_last")) - 60;
        json_decref(json);
        assert_true(world_wait(w, until_ns));
    }
}

static void it_stops_on_a_signal_and_goes_on_from_the_same_file(void **state)
{
    struct world *w = *state;
    char more[300];
    struct tm_err err = { 0 };
    snprintf(more, sizeof more, "--username someone@else.example");
    world_serve(w, more);
    json_decref(world_post(w, "/tidemark/v1/commit",
                           "{\"changes\":[{\"change\":\"create\",\"object\":\"Account\","
                           "\"fields\":{\"Name\":\"kept over a restart\"}}]}"));
    assert_int_equal(tm_test_server_stop(&w->server), 0);
    w->server.pid = 0;
    world_serve(w, more);
    w->settings.username = "someone@else.example";
    world_session(w);
    assert_int_equal(world_sign_in(w, &err), TM_OK);
    assert_int_equal(world_query(w, "SELECT Id FROM Account WHERE Name = 'kept over a restart'"),
                     1);
    w->settings.password = "wrong";
    world_session(w);
    assert_int_equal(world_sign_in(w, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "authentication failure"));
}

static void bad_usage_is_refused_with_the_reason(void **state)
{
    struct world *w = *state;
    struct sockaddr_in to = { .sin_family = AF_INET };
    socklen_t bytes = sizeof to;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof to) | listen(fd, 1) |
                         getsockname(fd, (struct sockaddr *)&to, &bytes),
                     0);
    tm_test_refused(64, (const char *const[]){ "in use", NULL }, 20, "tidemark serve --port %d",
                    ntohs(to.sin_port));
    close(fd);
    tm_test_refused(64, (const char *const[]){ "--port", NULL }, 20, "tidemark serve --port 99999");
    tm_test_refused(64, (const char *const[]){ "did you mean --scenario", NULL }, 20,
                    "tidemark serve --scenaro x");
    tm_test_refused(64, (const char *const[]){ "none.json", NULL }, 20,
                    "tidemark serve --scenario %s/none.json", w->folder);
    tm_test_refused(64, (const char *const[]){ "did you mean --scenario", NULL }, 20,
                    "tidemark serve day.json");
    tm_test_refused(64, (const char *const[]){ "not an IP address", NULL }, 20,
                    "tidemark serve --bind nowhere");
}

static void sql(const char *path, const char *text)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_file_that_is_no_org_is_refused_and_left_as_it_is(void **state)
{
    struct world *w = *state;
    char path[260];
    tm_test_write_file(w->folder, "garbage.db",
                       "Not a database, but longer than its header would be, "
                       "so that it is read as one and then refused.......");
    tm_test_refused(64, (const char *const[]){ "garbage.db is not a SQLite database", NULL }, 20,
                    "tidemark serve --org %s/garbage.db", w->folder);
    snprintf(path, sizeof path, "%s/newer.db", w->folder);
    sql(path, "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT); CREATE TABLE history(other);"
              "INSERT INTO meta VALUES('format', '2')");
    tm_test_refused(64, (const char *const[]){ "newer.db has format 2", NULL }, 20,
                    "tidemark serve --org %s", path);
    snprintf(path, sizeof path, "%s/notes.db", w->folder);
    sql(path, "CREATE TABLE notes(text)");
    tm_test_refused(64, (const char *const[]){ "notes.db is a database of something else", NULL },
                    20, "tidemark serve --org %s", path);
    snprintf(path, sizeof path, "%s/short.db", w->folder);
    sql(path,
        "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT); CREATE TABLE b(x);"
        "INSERT INTO b SELECT randomblob(4000) FROM (SELECT 1 UNION SELECT 2 UNION SELECT 3)");
    assert_int_equal(truncate(path, 8192), 0);
    tm_test_refused(64, (const char *const[]){ "short.db is damaged or cut short", NULL }, 20,
                    "tidemark serve --org %s", path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
        T(sign_in_query_subscribe_commit_and_receive),
        T(the_workload_runs_by_its_own_clock_and_says_when_it_is_done),
        T(it_stops_on_a_signal_and_goes_on_from_the_same_file),
        T(bad_usage_is_refused_with_the_reason),
        T(a_file_that_is_no_org_is_refused_and_left_as_it_is),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
