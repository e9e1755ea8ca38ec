/* PushTopics and platform events as their users run them: real processes, the connector configs of
 * fixtures/connectors, the sink's raw tables. Sources and then the org itself are killed with -9 in
 * the middle of the stream and started again: no event is lost, and a subscriber that resumes from
 * its replay id gets none twice. */
#include "base/http.h"
#include "base/sql.h"
#include "tests/support_command.h"
#include "tests/support_http.h"
#include <inttypes.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define LIMIT_NS (60 * TM_NS_PER_S)
#define EACH 15 /* of both kinds in one round */
#define TOPICS "sfdc.topic.accounts:2,sfdc.event.low_ink:2,tidemark.offsets:2"

struct world {
    char folder[200], token[300], client[64];
    struct tm_test_server org, registry, broker;
    int port, published;
    pid_t sources[2], sink;
    struct tm_http *http;
    json_t *got;
};

static void serve(struct world *w)
{
    w->org = tm_test_server_start("tidemark serve --port %d --org %s/org.db --quiet", w->port,
                                  w->folder);
}

static json_t *ask(struct world *w, const char *method, const char *path, const char *body)
{
    char url[800], bearer[340];
    struct tm_http_reply reply;
    struct tm_http_call *call = NULL;
    struct tm_err err;
    enum tm_code rc = TM_E_AGAIN;
    snprintf(url, sizeof url, "%s%s", w->org.line, path);
    snprintf(bearer, sizeof bearer, "Authorization: OAuth %s", w->token);
    const struct tm_http_request request = { .method = method,
                                             .url = url,
                                             .headers = { bearer },
                                             .body = body,
                                             .body_bytes = body != NULL ? strlen(body) : 0 };
    tm_err_clear(&err);
    tm_http_reply_init(&reply);
    assert_int_equal(w->http->ops->start(w->http, &call, &request, &err), TM_OK);
    while ((rc = w->http->ops->poll(w->http, call, &reply, &err)) == TM_E_AGAIN)
        assert_int_equal(tm_http_curl_wait(w->http, NULL, 0, 20 * TM_NS_PER_MS, NULL), TM_OK);
    assert_int_equal(rc, TM_OK);
    json_decref(w->got);
    w->got = json_loadb(tm_buf_text(&reply.body), reply.body.bytes, JSON_DECODE_ANY, NULL);
    tm_http_reply_free(&reply);
    return w->got;
}

static const char *word(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "";
}

static void sign_in(struct world *w)
{
    json_t *json = ask(w, "POST", "/services/oauth2/token",
                       "grant_type=client_credentials&client_id=tidemark-consumer-key&"
                       "client_secret=tidemark-consumer-secret");
    snprintf(w->token, sizeof w->token, "%s", word(json, "access_token"));
}

static int world_open(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->port = support_closed_port();
    snprintf(w->folder, sizeof w->folder, "%s", tm_test_folder());
    w->registry = tm_test_server_start("tidemark registry");
    w->broker = tm_test_server_start("tidemark kafka --topics " TOPICS);
    serve(w);
    assert_int_equal(tm_http_curl_open(&w->http, "tidemark-test/1", NULL, NULL), TM_OK);
    sign_in(w);
    setenv("TIDEMARK_SALESFORCE_URL", w->org.line, 1);
    setenv("TIDEMARK_SALESFORCE_USERNAME", "integration@tidemark.example", 1);
    setenv("TIDEMARK_SALESFORCE_PASSWORD", "tidemark", 1);
    setenv("TIDEMARK_SALESFORCE_TOKEN", "TOKEN", 1);
    setenv("TIDEMARK_SALESFORCE_CLIENT_ID", "tidemark-consumer-key", 1);
    setenv("TIDEMARK_SALESFORCE_CLIENT_SECRET", "tidemark-consumer-secret", 1);
    *state = w;
    return 0;
}

static void end(pid_t *pid, int how)
{
    int status;
    if (*pid <= 0)
        return;
    kill(*pid, how);
    waitpid(*pid, &status, 0);
    *pid = 0;
}

static int world_close(void **state)
{
    struct world *w = *state;
    end(&w->sources[0], SIGTERM);
    end(&w->sources[1], SIGTERM);
    end(&w->sink, SIGTERM);
    w->http->ops->close(w->http);
    tm_test_server_stop(&w->org);
    tm_test_server_stop(&w->broker);
    tm_test_server_stop(&w->registry);
    json_decref(w->got);
    tm_test_folder_remove(w->folder);
    free(w);
    return 0;
}

static pid_t start(const struct world *w, const char *station, const char *config)
{
    char warehouse[300], path[200];
    snprintf(warehouse, sizeof warehouse, "%s/raw.db", w->folder);
    snprintf(path, sizeof path, "fixtures/connectors/%s", config);
    pid_t pid = fork();
    if (pid == 0) {
        execl(tm_test_binary(), "tidemark", station, path, "--embedded", "--brokers",
              w->broker.line, "--registry", w->registry.line, "--warehouse", warehouse,
              (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

static void start_sources(struct world *w)
{
    w->sources[0] = start(w, "source", "source-push-topic.json");
    w->sources[1] = start(w, "source", "source-platform-event.json");
}

/* ---- what happens in the org ---- */

static void publish(struct world *w)
{
    char body[200];
    for (int i = 0; i < EACH; i++, w->published++) {
        snprintf(body, sizeof body, "{\"Name\":\"account %d\"}", w->published);
        ask(w, "POST", "/services/data/v59.0/sobjects/Account", body);
        assert_true(json_is_true(json_object_get(w->got, "success")));
        snprintf(body, sizeof body, "{\"Printer_Model__c\":\"model %d\"}", w->published);
        ask(w, "POST", "/services/data/v59.0/sobjects/Low_Ink__e", body);
        assert_true(json_is_true(json_object_get(w->got, "success")));
    }
}

/* ---- what arrived ---- */

static int64_t raw(const struct world *w, const char *sql)
{
    char path[300];
    sqlite3 *db = NULL;
    int64_t n = -1;
    snprintf(path, sizeof path, "%s/raw.db", w->folder);
    if (tm_sql_open(&db, path, TM_SQL_READ, NULL) == TM_OK &&
        tm_sql_int64(&n, db, sql, NULL) != TM_OK)
        n = -1;
    tm_sql_close(db);
    return n;
}

static const char *const arrived[] = {
    "SELECT count(DISTINCT Name) FROM sfdc_topic_accounts WHERE _EventType='created' AND "
    "_ObjectType='Account' AND Id<>''",
    "SELECT count(DISTINCT Printer_Model__c) FROM sfdc_event_low_ink WHERE EventUuid<>'' AND "
    "_ObjectType='Low_Ink__e' AND CreatedDate>0 AND ReplayId<>''"
};

static void wait_for_all(const struct world *w)
{
    int64_t until = tm_clock_monotonic_ns() + LIMIT_NS;
    while (raw(w, arrived[0]) < w->published || raw(w, arrived[1]) < w->published) {
        if (tm_clock_monotonic_ns() > until)
            fail_msg("%d published; %" PRId64 " and %" PRId64 " arrived", w->published,
                     raw(w, arrived[0]), raw(w, arrived[1]));
        tm_test_pause(100);
    }
}

static void killed_sources_and_a_killed_org_lose_nothing(void **state)
{
    struct world *w = *state;
    w->sink = start(w, "sink", "sink-push.json");
    start_sources(w);
    /* the source makes its PushTopic: what is changed before is not told of */
    int64_t until = tm_clock_monotonic_ns() + LIMIT_NS;
    do {
        assert_true(tm_clock_monotonic_ns() < until);
        tm_test_pause(50);
        ask(w, "GET",
            "/services/data/v59.0/query?q=SELECT+Id+FROM+PushTopic+WHERE+Name='AllAccounts'", NULL);
    } while (json_integer_value(json_object_get(w->got, "totalSize")) != 1);
    publish(w);
    end(&w->sources[0], SIGKILL);
    end(&w->sources[1], SIGKILL);
    publish(w);
    start_sources(w);
    publish(w);
    end(&w->org.pid, SIGKILL);
    serve(w);
    sign_in(w);
    publish(w);
    wait_for_all(w);
    assert_int_equal(raw(w, "SELECT count(*) FROM sfdc_topic_accounts WHERE _epoch<>0"), 0);
    assert_int_equal(raw(w, "SELECT count(*) FROM sfdc_event_low_ink WHERE _epoch<>0"), 0);
}

/* ---- a subscriber that resumes ---- */

static void subscribe(struct world *w, const char *channel, int64_t replay)
{
    char body[500];
    ask(w, "POST", "/cometd/59.0",
        "[{\"channel\":\"/meta/handshake\",\"supportedConnectionTypes\":[\"long-polling\"]}]");
    snprintf(w->client, sizeof w->client, "%s", word(json_array_get(w->got, 0), "clientId"));
    snprintf(body, sizeof body,
             "[{\"channel\":\"/meta/subscribe\",\"clientId\":\"%s\",\"subscription\":\"%s\","
             "\"ext\":{\"replay\":{\"%s\":%" PRId64 "}}}]",
             w->client, channel, channel, replay);
    ask(w, "POST", "/cometd/59.0", body);
    assert_true(json_is_true(json_object_get(json_array_get(w->got, 0), "successful")));
}

/* Deliveries of connects that do not wait, until one brings none; the last replay id. */
static int received(struct world *w, int64_t *last)
{
    char body[300];
    int count = 0, before = -1;
    while (count != before) {
        size_t i;
        json_t *message;
        before = count;
        snprintf(body, sizeof body,
                 "[{\"channel\":\"/meta/connect\",\"clientId\":\"%s\",\"connectionType\":"
                 "\"long-polling\",\"advice\":{\"timeout\":0}}]",
                 w->client);
        ask(w, "POST", "/cometd/59.0/connect", body);
        json_array_foreach(w->got, i, message)
        {
            json_t *event = json_object_get(json_object_get(message, "data"), "event");
            int64_t id = json_integer_value(json_object_get(event, "replayId"));
            if (event == NULL)
                continue;
            assert_true(id > *last);
            *last = id;
            count++;
        }
    }
    return count;
}

static void a_subscriber_resumes_over_the_death_of_the_org(void **state)
{
    static const char *const channels[] = { "/data/AccountChangeEvent", "/topic/Mine",
                                            "/event/Low_Ink__e" };
    struct world *w = *state;
    int64_t last[3] = { 0, 0, 0 };
    ask(w, "POST", "/services/data/v59.0/sobjects/PushTopic",
        "{\"Name\":\"Mine\",\"Query\":\"SELECT Id, Name FROM Account\",\"ApiVersion\":59.0}");
    for (int life = 0; life < 3; life++) {
        publish(w);
        for (int i = 0; i < 3; i++) {
            subscribe(w, channels[i], life == 0 ? -2 : last[i]);
            assert_int_equal(received(w, &last[i]), life == 0 ? EACH : 2 * EACH);
        }
        publish(w);
        end(&w->org.pid, SIGKILL);
        serve(w);
        sign_in(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_sources_and_a_killed_org_lose_nothing, world_open,
                                        world_close),
        cmocka_unit_test_setup_teardown(a_subscriber_resumes_over_the_death_of_the_org, world_open,
                                        world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
