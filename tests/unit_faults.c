/* Planted faults through the mock's one handler, under virtual time: what each does to an answer,
 * to the org and to the log, and that wrong rules are refused by name. */
#include "mocks/salesforce/routes.h"
#include "tests/support_org.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define DATA "/services/data/v59.0"
#define RESUMES_MAX 100
#define SECOND 1000LL
#define MINUTE (60 * SECOND)

struct world {
    struct org_fixture f;
    struct tm_salesforce *salesforce;
    struct tm_mock_handler handler;
    struct tm_now now;
    char authorization[200], client[64];
    struct tm_mock_response out; /* of the last request */
    struct tm_mock_request request;
    json_t *json; /* its body, NULL when it is none */
    uint64_t woken;
};

static void world_wake(void *data, uint64_t token)
{
    ((struct world *)data)->woken = token;
}

static void world_step(struct world *w)
{
    struct tm_wake wake = { TM_NEVER, TM_NEVER };
    assert_int_equal(tm_salesforce_due(w->salesforce, &w->now, &wake, NULL), TM_OK);
}

static void world_pass(struct world *w, int64_t org_ms)
{
    w->now.org_ms += org_ms;
    w->now.wall_ns += org_ms * TM_NS_PER_MS;
    world_step(w);
}

static void world_forget(struct world *w)
{
    json_decref(w->json);
    w->json = NULL;
    tm_mock_request_free(&w->request);
    tm_mock_response_free(&w->out);
}

/* Until it is answered, dropped or held for somebody else; a slow one waits for its time. */
static void world_answered(struct world *w)
{
    for (int i = 0; w->out.outcome == TM_MOCK_HOLD && i < RESUMES_MAX; i++) {
        uint64_t token = w->out.token;
        if (token < TM_QUERY_TOKEN)
            break; /* a poll */
        if (w->out.until.wall_ns != TM_NEVER && w->out.until.wall_ns > w->now.wall_ns)
            w->now.wall_ns = w->out.until.wall_ns;
        w->request.now = w->now;
        tm_mock_response_reset(&w->out);
        w->handler.resume(w->handler.self, &w->request, token, &w->out);
    }
    w->json = json_loads(tm_buf_text(&w->out.body), 0, NULL);
}

static int send(struct world *w, const char *method, const char *target, const char *body)
{
    world_forget(w);
    assert_int_equal(tm_mock_request_init(&w->request, method, target, body,
                                          body != NULL ? strlen(body) : 0, NULL),
                     TM_OK);
    w->request.now = w->now;
    if (w->authorization[0] != '\0')
        tm_mock_pairs_add(&w->request.headers, "Authorization", w->authorization, NULL);
    tm_mock_pairs_add(&w->request.headers, "User-Agent", "etl/1", NULL);
    tm_mock_response_init(&w->out);
    w->handler.request(w->handler.self, &w->request, &w->out);
    world_answered(w);
    return w->out.outcome == TM_MOCK_ANSWER ? w->out.status : 0;
}

static int get(struct world *w, const char *target)
{
    return send(w, "GET", target, NULL);
}

static const char *error_code(const struct world *w)
{
    const char *code = json_string_value(json_object_get(json_array_get(w->json, 0), "errorCode"));
    return code != NULL ? code : "";
}

static void plant(struct world *w, const char *rules)
{
    if (send(w, "POST", "/tidemark/v1/faults", rules) != 200)
        fail_msg("%s: %s", rules, tm_buf_text(&w->out.body));
}

/* What the log says happened since the test began, as "what detail" of entry `index`. */
static size_t happened(struct world *w, const char *what)
{
    size_t i, count = 0;
    json_t *entry;
    assert_int_equal(get(w, "/tidemark/v1/faults?limit=2000"), 200);
    json_array_foreach(json_object_get(w->json, "happened"), i, entry) count +=
        strcmp(json_string_value(json_object_get(entry, "what")), what) == 0;
    return count;
}

static void world_serve(struct world *w, const char *rules)
{
    json_t *faults = json_loads(rules, 0, NULL);
    struct tm_salesforce_settings settings = { .oauth = { .seeded = true, .seed = 9 },
                                               .faults = faults };
    tm_salesforce_close(w->salesforce);
    assert_int_equal(tm_salesforce_open(&w->salesforce, w->f.org, &settings, NULL), TM_OK);
    json_decref(faults);
    tm_salesforce_wired(w->salesforce, world_wake, w);
    w->handler = tm_salesforce_handler(w->salesforce);
    w->authorization[0] = '\0';
    send(w, "POST", "/services/oauth2/token",
         "grant_type=client_credentials&client_id=tidemark-consumer-key&"
         "client_secret=tidemark-consumer-secret");
    snprintf(w->authorization, sizeof w->authorization, "Bearer %s",
             json_string_value(json_object_get(w->json, "access_token")));
}

static int world_open(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    org_fixture_open(&w->f);
    w->now = (struct tm_now){ ORG_ORIGIN_MS + 3600 * SECOND, TM_NS_PER_S };
    world_serve(w, "{}");
    *state = w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;
    world_forget(w);
    tm_salesforce_close(w->salesforce);
    org_fixture_close(&w->f);
    free(w);
    return 0;
}

static void make(struct world *w, char id[TM_ID_BYTES], const char *name)
{
    id[0] = '\0';
    org_make_account(w->f.org, id, name, w->now.org_ms);
    tm_salesforce_news(w->salesforce);
}

/* Rows a query finds; -1 = it failed. */
static int rows(struct world *w, const char *query)
{
    char target[400];
    snprintf(target, sizeof target, DATA "/query?q=%s", query);
    return get(w, target) == 200 ? (int)json_integer_value(json_object_get(w->json, "totalSize"))
                                 : -1;
}
#define LATELY "SELECT+Id+FROM+Account+WHERE+SystemModstamp>2020-01-01T00:00:00Z"

/* ---- requests ---- */

static void a_burst_of_server_errors_ends_by_count(void **state)
{
    struct world *w = *state;
    plant(w, "{\"server_error\":{\"count\":2}}");
    assert_int_equal(get(w, DATA "/limits"), 503);
    assert_string_equal(error_code(w), "SERVER_UNAVAILABLE");
    assert_int_equal(send(w, "POST", "/cometd/59.0", "[]"), 503);
    assert_null(w->json); /* a page, as from what stands before the streaming server */
    assert_int_equal(get(w, DATA "/limits"), 200);
    assert_int_equal(happened(w, "server_error"), 2);
}

static void a_rule_strikes_only_whom_it_names(void **state)
{
    struct world *w = *state;
    plant(w, "{\"server_error\":[{\"class\":\"query\",\"status\":500},"
             "{\"path\":\"/services/data/*/limits*\",\"status\":502},"
             "{\"client\":\"other/*\"},{\"method\":\"PATCH\"}]}");
    assert_int_equal(rows(w, LATELY), -1);
    assert_int_equal(w->out.status, 500);
    assert_string_equal(error_code(w), "UNKNOWN_EXCEPTION");
    assert_int_equal(get(w, DATA "/limits/"), 502);
    assert_int_equal(get(w, DATA "/sobjects"), 200);
    assert_int_equal(get(w, "/tidemark/v1/clock"), 200);
}

static void classes_tell_requests_apart(void **state)
{
    static const struct {
        const char *method, *path, *body;
        enum tm_fault_class in[3], out;
    } all[] = {
        { "GET", DATA "/query", NULL, { TM_FAULT_REST, TM_FAULT_QUERY }, TM_FAULT_WRITE },
        { "GET", DATA "/queryAll/01g-2000", NULL, { TM_FAULT_QUERY }, TM_FAULT_DESCRIBE },
        { "GET", DATA "/sobjects/A/describe/", NULL, { TM_FAULT_DESCRIBE }, TM_FAULT_QUERY },
        { "PATCH", DATA "/sobjects/A/001", NULL, { TM_FAULT_WRITE }, TM_FAULT_BULK },
        { "POST", DATA "/composite/sobjects", NULL, { TM_FAULT_WRITE }, TM_FAULT_LOGIN },
        { "HEAD", DATA "/sobjects/A", NULL, { TM_FAULT_REST }, TM_FAULT_WRITE },
        { "POST", DATA "/jobs/query", NULL, { TM_FAULT_BULK }, TM_FAULT_REST },
        { "POST", "/services/async/59.0/job", NULL, { TM_FAULT_BULK }, TM_FAULT_REST },
        { "POST", "/services/Soap/u/59.0", NULL, { TM_FAULT_LOGIN }, TM_FAULT_REST },
        { "POST",
          "/cometd/59.0/x",
          "[{\"channel\":\"/meta/connect\"}]",
          { TM_FAULT_STREAMING, TM_FAULT_CONNECT },
          TM_FAULT_SUBSCRIBE },
        { "POST", "/cometdx", "/meta/connect", { TM_FAULT_ANY }, TM_FAULT_CONNECT },
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct tm_mock_request r;
        size_t bytes = all[i].body != NULL ? strlen(all[i].body) : 0;
        tm_mock_request_init(&r, all[i].method, all[i].path, all[i].body, bytes, NULL);
        for (int k = 0; k < 3; k++)
            assert_true(tm_fault_is_class(&r, all[i].in[k]));
        assert_false(tm_fault_is_class(&r, all[i].out));
        tm_mock_request_free(&r);
    }
}

static void known_errors_come_as_each_api_spells_them(void **state)
{
    struct world *w = *state;
    plant(w, "{\"request_limit\":{\"count\":2},\"query_timeout\":{\"count\":1},"
             "\"row_lock\":{\"count\":1}}");
    assert_int_equal(get(w, DATA "/limits"), 403);
    assert_string_equal(error_code(w), "REQUEST_LIMIT_EXCEEDED");
    assert_int_equal(get(w, DATA "/limits"), 403);
    assert_int_equal(rows(w, LATELY), -1);
    assert_int_equal(w->out.status, 400);
    assert_string_equal(error_code(w), "QUERY_TIMEOUT");
    assert_int_equal(send(w, "POST", DATA "/sobjects/Account", "{\"Name\":\"x\"}"), 400);
    assert_string_equal(error_code(w), "UNABLE_TO_LOCK_ROW");
    assert_int_equal(send(w, "POST", DATA "/sobjects/Account", "{\"Name\":\"x\"}"), 201);
    plant(w, "{\"request_limit\":{\"class\":\"bulk\"}}");
    assert_int_equal(send(w, "POST", "/services/async/59.0/job", "<x/>"), 400);
    assert_non_null(strstr(tm_buf_text(&w->out.body), "<exceptionCode>ExceededQuota<"));
    assert_int_equal(get(w, DATA "/jobs/query/x"), 403);
    assert_string_equal(error_code(w), "REQUEST_LIMIT_EXCEEDED");
}

static void a_slow_request_is_served_when_its_time_has_come(void **state)
{
    struct world *w = *state;
    int64_t before_ns = w->now.wall_ns;
    plant(w, "{\"slow\":{\"class\":\"query\",\"delay\":\"5s\"}}");
    assert_int_equal(rows(w, LATELY), 0);
    assert_int_equal(w->now.wall_ns, before_ns + 5 * TM_NS_PER_S);
    assert_int_equal(happened(w, "slow"), 1);
}

static void a_slow_request_may_still_fail(void **state)
{
    struct world *w = *state;
    plant(w, "{\"slow\":{\"delay\":\"1s\"},\"server_error\":{}}");
    assert_int_equal(get(w, DATA "/limits"), 503);
}

static void a_dropped_request_did_nothing_a_dropped_answer_did(void **state)
{
    struct world *w = *state;
    plant(w, "{\"drop_request\":{\"class\":\"write\",\"count\":1}}");
    assert_int_equal(send(w, "POST", DATA "/sobjects/Account", "{\"Name\":\"x\"}"), 0);
    assert_int_equal(w->out.outcome, TM_MOCK_DROP);
    assert_int_equal(rows(w, LATELY), 0);
    plant(w, "{\"drop_answer\":{\"class\":\"write\",\"count\":1}}");
    assert_int_equal(send(w, "POST", DATA "/sobjects/Account", "{\"Name\":\"x\"}"), 0);
    assert_int_equal(w->out.outcome, TM_MOCK_DROP);
    assert_int_equal(rows(w, LATELY), 1);
}

static void a_truncated_answer_says_where_it_ends(void **state)
{
    struct world *w = *state;
    plant(w, "{\"truncate_answer\":[{\"bytes\":10,\"count\":1},{\"bytes\":100000,\"count\":1},"
             "{\"count\":1}]}");
    get(w, DATA "/limits");
    assert_true(w->out.cut);
    assert_int_equal(w->out.cut_bytes, 10);
    get(w, DATA "/limits");
    assert_int_equal(w->out.cut_bytes, w->out.body.bytes - 1);
    get(w, DATA "/limits");
    assert_int_equal(w->out.cut_bytes, w->out.body.bytes / 2);
    get(w, DATA "/limits");
    assert_false(w->out.cut);
}

static void chance_comes_from_the_seed_and_lies_near_what_was_asked(void **state)
{
    struct world *w = *state;
    char first[200], second[200];
    for (int round = 0; round < 2; round++) {
        char *pattern = round == 0 ? first : second;
        tm_salesforce_close(w->salesforce);
        w->salesforce = NULL;
        org_fixture_close(&w->f);
        org_fixture_open(&w->f);
        world_serve(w, "{\"server_error\":{\"class\":\"rest\",\"probability\":0.25}}");
        for (int i = 0; i < 199; i++)
            pattern[i] = get(w, DATA "/limits") == 503 ? 'x' : '.';
        pattern[199] = '\0';
    }
    size_t struck = 0;
    for (const char *p = first; *p != '\0'; p++)
        struck += *p == 'x';
    assert_string_equal(first, second);
    assert_in_range(struck, 30, 70);
}

/* ---- streaming ---- */

static json_t *say(struct world *w, const char *fmt, ...)
{
    char body[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(body, sizeof body, fmt, ap);
    va_end(ap);
    send(w, "POST", "/cometd/59.0", body);
    return json_array_get(w->json, json_array_size(w->json) - 1);
}

static void follow(struct world *w)
{
    const json_t *reply = say(w, "[{\"channel\":\"/meta/handshake\",\"version\":\"1.0\","
                                 "\"supportedConnectionTypes\":[\"long-polling\"]}]");
    snprintf(w->client, sizeof w->client, "%s",
             json_string_value(json_object_get(reply, "clientId")));
    say(w,
        "[{\"channel\":\"/meta/connect\",\"connectionType\":\"long-polling\",\"clientId\":\"%s\"}]",
        w->client);
    reply = say(w,
                "[{\"channel\":\"/meta/subscribe\",\"subscription\":\"/data/AccountChangeEvent\","
                "\"clientId\":\"%s\"}]",
                w->client);
    assert_true(json_is_true(json_object_get(reply, "successful")));
}

static const json_t *poll(struct world *w)
{
    return say(
        w,
        "[{\"channel\":\"/meta/connect\",\"connectionType\":\"long-polling\",\"clientId\":\"%s\"}]",
        w->client);
}

/* The server's part: how the exchange ended. */
static void arrived(struct world *w)
{
    w->handler.finished(w->handler.self, w->out.token,
                        w->out.outcome == TM_MOCK_ANSWER && !w->out.cut && !w->out.disowned);
}

static size_t events(const struct world *w)
{
    size_t i, count = 0;
    json_t *m;
    json_array_foreach(w->json, i, m) count += json_object_get(m, "data") != NULL;
    return count;
}

static void a_busy_streaming_server_says_so_in_the_failure_reason(void **state)
{
    struct world *w = *state;
    const json_t *reply;
    follow(w);
    plant(w, "{\"streaming_busy\":{\"count\":1}}");
    reply = say(w,
                "[{\"channel\":\"/meta/subscribe\",\"subscription\":\"/data/ChangeEvents\","
                "\"clientId\":\"%s\",\"id\":\"7\"}]",
                w->client);
    assert_false(json_is_true(json_object_get(reply, "successful")));
    assert_string_equal(json_string_value(json_object_get(reply, "id")), "7");
    assert_string_equal(json_string_value(json_object_get(reply, "subscription")),
                        "/data/ChangeEvents");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(json_object_get(reply, "ext"), "sfdc"),
                                          "failureReason")),
        "503::Server is too busy. Please try your request again later.");
    reply = say(w,
                "[{\"channel\":\"/meta/subscribe\",\"subscription\":\"/data/ChangeEvents\","
                "\"clientId\":\"%s\"}]",
                w->client);
    assert_true(json_is_true(json_object_get(reply, "successful")));
}

static void clients_forgotten_in_the_middle_of_a_poll_must_shake_hands_again(void **state)
{
    struct world *w = *state;
    follow(w);
    poll(w);
    assert_int_equal(w->out.outcome, TM_MOCK_HOLD);
    struct tm_mock_request held = w->request;
    uint64_t token = w->out.token;
    w->request = (struct tm_mock_request){ 0 };
    plant(w, "{\"forget_clients\":{}}");
    assert_int_equal(w->woken, token);
    tm_mock_response_reset(&w->out);
    w->handler.resume(w->handler.self, &held, token, &w->out);
    assert_non_null(strstr(tm_buf_text(&w->out.body), "\"error\":\"403::Unknown client\""));
    assert_non_null(strstr(tm_buf_text(&w->out.body), "\"reconnect\":\"handshake\""));
    assert_null(strstr(tm_buf_text(&w->out.body), "clientId"));
    tm_mock_request_free(&held);
    const json_t *reply = poll(w);
    assert_string_equal(json_string_value(json_object_get(reply, "error")), "403::Unknown client");
}

static void events_of_a_cut_or_disowned_poll_are_delivered_again(void **state)
{
    static const char *const kinds[] = { "drop_answer", "truncate_answer", "repeat_events" };
    struct world *w = *state;
    char id[TM_ID_BYTES], rule[80];
    follow(w);
    for (size_t i = 0; i < 3; i++) {
        snprintf(rule, sizeof rule, "{\"%s\":{\"class\":\"connect\",\"count\":1}}", kinds[i]);
        plant(w, rule);
        make(w, id, kinds[i]);
        poll(w);
        assert_int_equal(events(w), 1);
        arrived(w);
        poll(w);
        assert_int_equal(events(w), 1);
        arrived(w);
        assert_int_equal(happened(w, kinds[i]), 1);
    }
}

/* ---- the org ---- */

static void tokens_expire_on_a_schedule(void **state)
{
    struct world *w = *state;
    plant(w, "{\"expire_tokens\":{\"at\":\"1m\"}}");
    assert_int_equal(get(w, DATA "/limits"), 200);
    world_pass(w, MINUTE);
    assert_int_equal(get(w, DATA "/limits"), 401);
    assert_string_equal(error_code(w), "INVALID_SESSION_ID");
}

static void a_schedule_repeats_and_ends(void **state)
{
    struct world *w = *state;
    plant(w, "{\"expire_tokens\":{\"at\":\"1m\",\"every\":\"1m\",\"for\":\"150s\"}}");
    for (int i = 0; i < 10; i++)
        world_pass(w, 30 * SECOND);
    assert_int_equal(happened(w, "expire_tokens"), 3);
}

static void purging_the_bin_removes_rows_and_the_delete_log_keeps_them(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES], deleted[300];
    make(w, id, "gone");
    org_one(w->f.org, TM_ORG_DELETE, TM_ORG_NORMAL, "Account", id, NULL, w->now.org_ms);
    assert_int_equal(get(w, DATA "/queryAll?q=SELECT+Id+FROM+Account"), 200);
    assert_int_equal(json_integer_value(json_object_get(w->json, "totalSize")), 1);
    world_pass(w, 2 * MINUTE);
    plant(w, "{\"purge_bin\":{\"older\":\"5m\"}}");
    get(w, DATA "/queryAll?q=SELECT+Id+FROM+Account");
    assert_int_equal(json_integer_value(json_object_get(w->json, "totalSize")), 1);
    plant(w, "{\"purge_bin\":{}}");
    get(w, DATA "/queryAll?q=SELECT+Id+FROM+Account");
    assert_int_equal(json_integer_value(json_object_get(w->json, "totalSize")), 0);
    snprintf(deleted, sizeof deleted,
             DATA "/sobjects/Account/deleted?start=2026-03-02T08:00:00Z&end=2026-03-02T09:01:00Z");
    assert_int_equal(get(w, deleted), 200);
    assert_int_equal(json_array_size(json_object_get(w->json, "deletedRecords")), 1);
    plant(w, "{\"purge_delete_log\":{}}");
    assert_int_equal(get(w, deleted), 200);
    assert_int_equal(json_array_size(json_object_get(w->json, "deletedRecords")), 0);
    assert_string_equal(json_string_value(json_object_get(w->json, "earliestDateAvailable")),
                        "2026-03-02T09:02:00.000+0000");
}

static int64_t subscribe_code(struct world *w, int64_t replay)
{
    const json_t *reply =
        say(w,
            "[{\"channel\":\"/meta/subscribe\",\"subscription\":"
            "\"/data/AccountChangeEvent\",\"clientId\":\"%s\",\"ext\":{\"replay\":"
            "{\"/data/AccountChangeEvent\":%lld}}}]",
            w->client, (long long)replay);
    return strtoll(json_is_true(json_object_get(reply, "successful"))
                       ? "200"
                       : json_string_value(json_object_get(reply, "error")),
                   NULL, 10);
}

static void expired_events_refuse_their_replay_ids_also_after_a_restart(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES];
    make(w, id, "one");
    int64_t first = tm_org_replay_last(w->f.org, NULL);
    make(w, id, "two");
    follow(w);
    assert_int_equal(subscribe_code(w, first), 200);
    plant(w, "{\"expire_events\":{}}");
    assert_int_equal(subscribe_code(w, first), 400);
    tm_salesforce_close(w->salesforce);
    w->salesforce = NULL;
    org_fixture_reopen(&w->f);
    world_serve(w, "{}");
    follow(w);
    assert_int_equal(subscribe_code(w, first), 400);
}

static void after_a_reset_replay_ids_start_over_and_old_ones_are_refused(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES];
    for (int i = 0; i < 20; i++)
        make(w, id, "before");
    int64_t old = tm_org_replay_last(w->f.org, NULL);
    follow(w);
    plant(w, "{\"reset_replay_ids\":{}}");
    assert_string_equal(json_string_value(json_object_get(poll(w), "error")),
                        "403::Unknown client");
    follow(w);
    assert_int_equal(subscribe_code(w, old), 400);
    make(w, id, "after");
    assert_true(tm_org_replay_last(w->f.org, NULL) < old);
    assert_int_equal(subscribe_code(w, -2), 200);
    poll(w);
    assert_int_equal(events(w), 1);
}

static void rows_come_late_for_a_time_and_none_is_unseen_again(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES], by_id[200];
    make(w, id, "before");
    world_pass(w, MINUTE);
    plant(w, "{\"late_rows\":{\"lag\":\"5m\",\"for\":\"20m\"}}");
    make(w, id, "late");
    world_pass(w, 4 * MINUTE);
    assert_int_equal(rows(w, LATELY), 1); /* what was visible stays so */
    snprintf(by_id, sizeof by_id, "SELECT+Id+FROM+Account+WHERE+Id='%s'", id);
    assert_int_equal(rows(w, by_id), 1); /* an index over time is late, not the record */
    world_pass(w, 2 * MINUTE);
    assert_int_equal(rows(w, LATELY), 2);
    make(w, id, "later");
    assert_int_equal(rows(w, LATELY), 2);
    world_pass(w, 15 * MINUTE);
    assert_int_equal(rows(w, LATELY), 3);
    make(w, id, "at once");
    assert_int_equal(rows(w, LATELY), 4);
    assert_int_equal(happened(w, "late_rows"), 1);
}

static void a_held_commit_is_stamped_when_written_and_seen_when_committed(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES], body[300], stamp[64];
    make(w, id, "before");
    world_pass(w, 10 * SECOND);
    follow(w);
    snprintf(body, sizeof body,
             "{\"changes\":[{\"change\":\"update\",\"object\":\"Account\",\"id\":\"%s\","
             "\"fields\":{\"Name\":\"after\"}}],\"hold\":\"5m\"}",
             id);
    assert_int_equal(send(w, "POST", "/tidemark/v1/commit", body), 200);
    world_pass(w, 4 * MINUTE);
    assert_int_equal(rows(w, "SELECT+Id+FROM+Account+WHERE+Name='before'"), 1);
    /* its row is locked meanwhile */
    snprintf(body, sizeof body, DATA "/sobjects/Account/%s", id);
    assert_int_equal(send(w, "PATCH", body, "{\"Name\":\"other\"}"), 400);
    assert_string_equal(error_code(w), "UNABLE_TO_LOCK_ROW");
    poll(w);
    assert_int_equal(events(w), 0);
    arrived(w);
    world_pass(w, MINUTE);
    rows(w, "SELECT+Id,SystemModstamp,LastModifiedDate+FROM+Account+WHERE+Name='after'");
    snprintf(stamp, sizeof stamp, "%s",
             json_string_value(json_object_get(
                 json_array_get(json_object_get(w->json, "records"), 0), "SystemModstamp")));
    assert_string_equal(stamp, "2026-03-02T09:00:10.000+0000");
    tm_salesforce_news(w->salesforce);
    poll(w);
    assert_int_equal(events(w), 1);
    assert_int_equal(
        json_integer_value(json_object_get(
            json_object_get(
                json_object_get(json_object_get(json_array_get(w->json, 0), "data"), "payload"),
                "ChangeEventHeader"),
            "commitTimestamp")),
        ORG_ORIGIN_MS + 3600 * SECOND + 5 * MINUTE + 10 * SECOND);
    assert_int_equal(happened(w, "held_transactions"), 1);
    assert_int_equal(send(w, "PATCH", body, "{\"Name\":\"other\"}"), 204);
}

static void announcements_follow_the_rule_in_force(void **state)
{
    static const struct {
        const char *rule, *event;
    } all[] = { { "{\"gap_events\":{\"object\":\"Account\",\"for\":\"1m\"}}", "GAP_CREATE" },
                { "{\"overflow_events\":{\"for\":\"1m\"}}", "GAP_OVERFLOW" },
                { "{\"silent_changes\":{\"for\":\"1m\"}}", NULL },
                { "{\"gap_events\":{\"object\":\"Opportunity\",\"for\":\"1m\"}}", "CREATE" } };
    struct world *w = *state;
    char id[TM_ID_BYTES], got[65536];
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        plant(w, all[i].rule);
        make(w, id, "x");
        org_ask(w->f.org, "SELECT event FROM history ORDER BY pos DESC LIMIT 1", got);
        assert_string_equal(got, all[i].event != NULL ? all[i].event : "(null)");
        world_pass(w, MINUTE);
    }
    make(w, id, "x");
    org_ask(w->f.org, "SELECT event FROM history ORDER BY pos DESC LIMIT 1", got);
    assert_string_equal(got, "CREATE");
}

static void equal_changes_of_a_transaction_become_one_event(void **state)
{
    struct world *w = *state;
    plant(w, "{\"merged_events\":{}}");
    assert_int_equal(
        send(w, "POST", "/tidemark/v1/commit",
             "{\"changes\":[{\"change\":\"create\",\"object\":\"Account\",\"fields\":{\"Name\":"
             "\"same\"}},{\"change\":\"create\",\"object\":\"Account\",\"fields\":{\"Name\":"
             "\"same\"}}]}"),
        200);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM event"), 1);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM history"), 2);
}

static void stamps_in_milliseconds_are_for_the_asking(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES];
    w->now.org_ms += 123;
    make(w, id, "whole");
    assert_int_equal(org_ask_int(w->f.org, "SELECT max(SystemModstamp)%1000 FROM cur_Account"), 0);
    plant(w, "{\"millisecond_stamps\":{}}");
    make(w, id, "fine");
    assert_int_equal(org_ask_int(w->f.org, "SELECT max(SystemModstamp)%1000 FROM cur_Account"),
                     123);
}

/* ---- the table of rules ---- */

static void rules_are_listed_and_removed(void **state)
{
    struct world *w = *state;
    plant(w, "{\"server_error\":[{},{\"class\":\"query\"}],\"late_rows\":{\"lag\":\"90s\"}}");
    assert_int_equal(get(w, "/tidemark/v1/faults"), 200);
    json_t *list = json_object_get(w->json, "rules");
    assert_int_equal(json_array_size(list), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 2), "lag")), "90s");
    assert_int_equal(send(w, "DELETE", "/tidemark/v1/faults?rule=1", NULL), 200);
    assert_int_equal(get(w, DATA "/limits"), 200);
    assert_int_equal(send(w, "DELETE", "/tidemark/v1/faults?rule=1", NULL), 400);
    assert_int_equal(send(w, "DELETE", "/tidemark/v1/faults", NULL), 200);
    assert_int_equal(json_integer_value(json_object_get(w->json, "removed")), 2);
    plant(w, "{\"server_error\":{\"at\":\"1h\"}}");
    assert_int_equal(json_integer_value(json_object_get(
                         json_array_get(json_object_get(w->json, "rules"), 0), "rule")),
                     4);
}

static void wrong_rules_are_refused_whole_and_by_name(void **state)
{
    static const char *const all[][2] = {
        { "{\"server_eror\":{}}", "did you mean \\\"server_error\\\"" },
        { "{\"server_error\":{\"cuont\":1}}", "did you mean \\\"count\\\"" },
        { "{\"server_error\":{\"lag\":1}}", "unknown key \\\"lag\\\"" },
        { "{\"server_error\":{\"class\":\"querry\"}}", "did you mean \\\"query\\\"" },
        { "{\"server_error\":{\"class\":7}}", "unknown class" },
        { "{\"server_error\":{\"status\":404}}", "\\\"status\\\" must be" },
        { "{\"server_error\":{\"probability\":0}}", "\\\"probability\\\"" },
        { "{\"server_error\":{\"probability\":1.5}}", "\\\"probability\\\"" },
        { "{\"server_error\":{\"count\":0}}", "\\\"count\\\"" },
        { "{\"server_error\":{\"at\":\"soon\"}}", "not a duration" },
        { "{\"server_error\":{\"for\":0}}", "\\\"for\\\"" },
        { "{\"server_error\":3}", "must be a rule" },
        { "{\"slow\":{}}", "needs \\\"delay\\\"" },
        { "{\"late_rows\":{\"lag\":\"1m\",\"class\":\"query\"}}", "unknown key \\\"class\\\"" },
        { "{\"held_transactions\":{\"hold\":\"11m\"}}", "10m at most" },
        { "{\"purge_bin\":{\"every\":0}}", "\\\"every\\\"" },
        { "{\"gap_events\":{\"object\":\"Acount\"}}", "no object \\\"Acount\\\"" },
        { "{}", "give {kind: rule}" },
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_int_equal(send(w, "POST", "/tidemark/v1/faults", all[i][0]), 400);
        if (strstr(tm_buf_text(&w->out.body), all[i][1]) == NULL)
            fail_msg("%s: %s", all[i][0], tm_buf_text(&w->out.body));
    }
    send(w, "POST", "/tidemark/v1/faults", "{\"server_error\":[{},{\"x\":1}]}");
    get(w, "/tidemark/v1/faults");
    assert_int_equal(json_array_size(json_object_get(w->json, "rules")), 0);
}

static void there_are_no_more_rules_than_the_table_holds(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < TM_FAULT_RULES_MAX; i++)
        plant(w, "{\"server_error\":{\"at\":\"1h\"}}");
    assert_int_equal(send(w, "POST", "/tidemark/v1/faults", "{\"slow\":{\"delay\":1}}"), 400);
    assert_non_null(strstr(tm_buf_text(&w->out.body), "more than 256"));
}

static void a_scenarios_instants_are_not_met_twice_after_a_restart(void **state)
{
    static const char rules[] = "{\"purge_bin\":{\"at\":\"61m\",\"every\":\"1h\"}}";
    struct world *w = *state;
    world_serve(w, rules);
    world_pass(w, 5 * MINUTE);
    assert_int_equal(happened(w, "purge_bin"), 1);
    world_serve(w, rules);
    world_pass(w, MINUTE);
    assert_int_equal(happened(w, "purge_bin"), 1);
    world_pass(w, 60 * MINUTE);
    assert_int_equal(happened(w, "purge_bin"), 2);
}

/* Which of so many requests are struck, from the first on; `restart`: the server is started again
 * after that stroke. */
static uint64_t struck(struct world *w, const char *rules, int restart)
{
    uint64_t out = 0;
    int strokes = 0;
    world_serve(w, rules);
    for (int i = 0; i < 40; i++) {
        bool hit = get(w, DATA "/limits") != 200;
        out |= (uint64_t)hit << i;
        strokes += hit;
        if (hit && strokes == restart)
            world_serve(w, rules);
    }
    return out;
}

static void a_scenarios_chances_and_counts_go_on_after_a_restart(void **state)
{
    static const char rules[] = "{\"server_error\":{\"path\":\"*/limits\",\"probability\":0.3,"
                                "\"count\":9}}";
    uint64_t whole = struck(*state, rules, 0);
    assert_int_equal(__builtin_popcountll(whole), 9);
    world_close(state);
    world_open(state);
    assert_int_equal(struck(*state, rules, 4), whole);
}

static void a_scenarios_rule_must_name_an_object_of_the_org(void **state)
{
    struct world *w = *state;
    struct tm_salesforce *s = NULL;
    struct tm_err err = { 0 };
    json_t *faults = json_loads("{\"gap_events\":{\"object\":\"Acount\"}}", 0, NULL);
    struct tm_salesforce_settings settings = { .faults = faults };
    assert_int_equal(tm_salesforce_open(&s, w->f.org, &settings, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "no object \"Acount\""));
    json_decref(faults);
}

static void the_log_says_whom_it_struck_and_when(void **state)
{
    struct world *w = *state;
    plant(w, "{\"server_error\":{\"class\":\"query\"}}");
    rows(w, LATELY);
    get(w, "/tidemark/v1/faults");
    const json_t *entry = json_array_get(json_object_get(w->json, "happened"), 0);
    assert_string_equal(json_string_value(json_object_get(entry, "request")), "GET " DATA "/query");
    assert_string_equal(json_string_value(json_object_get(entry, "client")), "etl/1");
    assert_string_equal(json_string_value(json_object_get(entry, "org_time")),
                        "2026-03-02T09:00:00.000Z");
    assert_int_equal(json_integer_value(json_object_get(entry, "rule")), 1);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM fault WHERE what="
                                           "'server_error' AND until_ms IS NULL"),
                     1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_burst_of_server_errors_ends_by_count),
        TEST(a_rule_strikes_only_whom_it_names),
        cmocka_unit_test(classes_tell_requests_apart),
        TEST(known_errors_come_as_each_api_spells_them),
        TEST(a_slow_request_is_served_when_its_time_has_come),
        TEST(a_slow_request_may_still_fail),
        TEST(a_dropped_request_did_nothing_a_dropped_answer_did),
        TEST(a_truncated_answer_says_where_it_ends),
        TEST(chance_comes_from_the_seed_and_lies_near_what_was_asked),
        TEST(a_busy_streaming_server_says_so_in_the_failure_reason),
        TEST(clients_forgotten_in_the_middle_of_a_poll_must_shake_hands_again),
        TEST(events_of_a_cut_or_disowned_poll_are_delivered_again),
        TEST(tokens_expire_on_a_schedule),
        TEST(a_schedule_repeats_and_ends),
        TEST(purging_the_bin_removes_rows_and_the_delete_log_keeps_them),
        TEST(expired_events_refuse_their_replay_ids_also_after_a_restart),
        TEST(after_a_reset_replay_ids_start_over_and_old_ones_are_refused),
        TEST(rows_come_late_for_a_time_and_none_is_unseen_again),
        TEST(a_held_commit_is_stamped_when_written_and_seen_when_committed),
        TEST(announcements_follow_the_rule_in_force),
        TEST(equal_changes_of_a_transaction_become_one_event),
        TEST(stamps_in_milliseconds_are_for_the_asking),
        TEST(rules_are_listed_and_removed),
        TEST(wrong_rules_are_refused_whole_and_by_name),
        TEST(there_are_no_more_rules_than_the_table_holds),
        TEST(a_scenarios_instants_are_not_met_twice_after_a_restart),
        TEST(a_scenarios_chances_and_counts_go_on_after_a_restart),
        TEST(a_scenarios_rule_must_name_an_object_of_the_org),
        TEST(the_log_says_whom_it_struck_and_when),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
