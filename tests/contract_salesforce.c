/* The Salesforce client (libcurl) against the mock Salesforce (libmicrohttpd) over loopback,
 * stepped in turn by one thread. Both are written from the same facts by different hands: what they
 * agree on here is the protocol. */
#include "base/log.h"
#include "mocks/http/server.h"
#include "mocks/salesforce/routes.h"
#include "salesforce/cometd.h"
#include "salesforce/query.h"
#include "tests/support_org.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROUNDS_MAX 20000
#define CHANNEL "/data/AccountChangeEvent"
#define EVENTS_MAX 64
#define REAL_MS_AT_ZERO 1772000000000LL

struct world {
    struct org_fixture org;
    struct tm_salesforce *mock;
    struct tm_secret_key *certificate;
    struct tm_mock_server *server;
    struct tm_http *http;
    struct tm_sf_session *session;
    struct tm_sf_settings set;
    int64_t org_ms; /* moved by the test: org time is not the point here */
    struct tm_cometd *cometd;
    int64_t ids[EVENTS_MAX];
    char names[EVENTS_MAX][40];
    size_t events_count;
    json_t *records;
    size_t pages;
};

static void world_wake(void *data, uint64_t token)
{
    tm_mock_server_wake(data, token);
}

static int world_open(void **state)
{
    static struct world w;
    struct tm_err err = { .code = TM_OK };
    w = (struct world){ .org_ms = ORG_ORIGIN_MS + 1000 };
    org_fixture_open(&w.org);
    if (tm_secret_certificate_load(&w.certificate, "tests/keys/jwt.crt", &err) != TM_OK)
        return -1;
    struct tm_salesforce_settings settings = { .bayeux = { .long_poll_ms = 200 },
                                               .oauth = { .certificate = w.certificate,
                                                          .real_ms_at_zero = REAL_MS_AT_ZERO } };
    if (tm_salesforce_open(&w.mock, w.org.org, &settings, &err) != TM_OK)
        return -1;
    struct tm_mock_handler handler = tm_salesforce_handler(w.mock);
    struct tm_mock_server_settings at = { .bind = "127.0.0.1" };
    if (tm_mock_server_open(&w.server, &at, &handler, &err) != TM_OK)
        return -1;
    tm_salesforce_wired(w.mock, world_wake, w.server);
    if (tm_http_curl_open(&w.http, "tidemark-contract/1", NULL, &err) != TM_OK)
        return -1;
    w.set = (struct tm_sf_settings){
        .instance = tm_mock_server_url(w.server),
        .username = "integration@tidemark.example",
        .password = "tidemark",
        .password_token = "TOKEN",
        .consumer_key = "tidemark-consumer-key",
        .consumer_secret = "tidemark-consumer-secret",
        .grant = TM_SF_PASSWORD,
        .api_version = "latest",
        .seed = 1,
        .request_retry_ns_max = 20 * TM_NS_PER_S,
    };
    *state = &w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;
    tm_cometd_close(w->cometd);
    tm_sf_session_close(w->session);
    w->http->ops->close(w->http);
    tm_mock_server_close(w->server);
    tm_salesforce_close(w->mock);
    tm_secret_key_free(w->certificate);
    org_fixture_close(&w->org);
    json_decref(w->records);
    return 0;
}

static void open_session(struct world *w)
{
    struct tm_err err = { .code = TM_OK };
    assert_int_equal(tm_sf_session_open(&w->session, w->http, &w->set, &err), TM_OK);
}

/* Steps mock and client in turn until `step` answers something else than TM_E_AGAIN. */
static enum tm_code in_turn(struct world *w,
                            enum tm_code (*step)(struct world *w, const struct tm_now *now,
                                                 struct tm_err *err),
                            struct tm_err *err)
{
    const int fds[] = { tm_mock_server_fd(w->server) };
    tm_err_clear(err);
    for (int i = 0; i < ROUNDS_MAX; i++) {
        struct tm_now now = { .org_ms = w->org_ms, .wall_ns = tm_clock_monotonic_ns() };
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        struct tm_err server_err = { .code = TM_OK };
        enum tm_code rc = tm_mock_server_step(w->server, &now, &wake, &server_err);
        assert_true(rc == TM_OK || rc == TM_E_AGAIN);
        rc = step(w, &now, err);
        if (rc != TM_E_AGAIN)
            return rc;
        bool soon = wake.wall_ns <= now.wall_ns || wake.org_ms <= now.org_ms;
        assert_int_equal(
            tm_http_curl_wait(w->http, fds, 1, soon ? 0 : 5 * TM_NS_PER_MS, &server_err), TM_OK);
    }
    fail_msg("nothing came of it");
    return TM_E_AGAIN;
}

static enum tm_code step_ready(struct world *w, const struct tm_now *now, struct tm_err *err)
{
    return tm_sf_session_ready(w->session, now, err);
}

static void make_accounts(struct world *w, int first, int count)
{
    for (int i = 0; i < count; i++) {
        char id[TM_ID_BYTES] = "", name[40];
        snprintf(name, sizeof name, "Account %d", first + i);
        org_make_account(w->org.org, id, name, w->org_ms);
    }
    tm_salesforce_news(w->mock);
}

static void signing_in_by_password_finds_the_instance_and_the_latest_version(void **state)
{
    struct world *w = *state;
    struct tm_err err;
    open_session(w);
    assert_int_equal(in_turn(w, step_ready, &err), TM_OK);
    assert_string_equal(tm_sf_session_url(w->session), tm_mock_server_url(w->server));
    assert_true(strtod(tm_sf_session_version(w->session), NULL) >= 37);
}

static void signing_in_by_client_credentials_works_too(void **state)
{
    struct world *w = *state;
    struct tm_err err;
    w->set.grant = TM_SF_CLIENT_CREDENTIALS;
    open_session(w);
    assert_int_equal(in_turn(w, step_ready, &err), TM_OK);
}

static void signing_in_by_jwt_bearer_works_where_the_certificate_fits(void **state)
{
    struct world *w = *state;
    struct tm_err err;
    w->set.grant = TM_SF_JWT_BEARER;
    w->set.password = w->set.password_token = w->set.consumer_secret = NULL;
    w->set.keystore_path = "tests/keys/jwt.p12";
    w->set.keystore_password = "changeit";
    w->set.real_ms_at_zero = REAL_MS_AT_ZERO + 1000; /* its clock is a second ahead */
    open_session(w);
    assert_int_equal(in_turn(w, step_ready, &err), TM_OK);
    tm_sf_session_close(w->session);
    w->set.real_ms_at_zero = REAL_MS_AT_ZERO - 181000;
    open_session(w);
    assert_int_equal(in_turn(w, step_ready, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "expired authorization code"));
    tm_sf_session_close(w->session);
    w->set.real_ms_at_zero = REAL_MS_AT_ZERO;
    w->set.username = "somebody@else.example";
    open_session(w);
    assert_int_equal(in_turn(w, step_ready, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "user hasn't approved this consumer"));
}

static void wrong_password_is_refused_for_good(void **state)
{
    struct world *w = *state;
    struct tm_err err;
    w->set.password = "wrong";
    open_session(w);
    assert_int_equal(in_turn(w, step_ready, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "invalid_grant"));
    assert_int_equal(w->http->counts.calls, 1);
}

static struct tm_describe *described;
static const char *described_object;
static enum tm_code step_describe(struct world *w, const struct tm_now *now, struct tm_err *err)
{
    return tm_sf_describe(w->session, now, &described, described_object, err);
}

static void describe_is_what_the_org_has_and_an_unknown_object_is_named(void **state)
{
    struct world *w = *state;
    struct tm_err err;
    open_session(w);
    described_object = "Account";
    assert_int_equal(in_turn(w, step_describe, &err), TM_OK);
    const struct tm_describe *own = tm_org_describe(w->org.org, "Account");
    assert_int_equal(described->fields_count, own->fields_count);
    for (size_t i = 0; i < own->fields_count; i++) {
        assert_string_equal(described->fields[i].name, own->fields[i].name);
        assert_int_equal(described->fields[i].kind, own->fields[i].kind);
        assert_string_equal(described->fields[i].event_name, own->fields[i].event_name);
    }
    tm_describe_close(described);
    described_object = "Acount";
    assert_int_equal(in_turn(w, step_describe, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "\"Acount\""));
}

static struct tm_sf_query *query;
static enum tm_code step_query(struct world *w, const struct tm_now *now, struct tm_err *err)
{
    json_t *page = NULL;
    bool done = false;
    enum tm_code rc = tm_sf_query_next(query, now, &page, &done, err);
    if (rc != TM_OK)
        return rc;
    json_array_extend(w->records, page);
    json_decref(page);
    w->pages++;
    return done ? TM_OK : TM_E_AGAIN;
}

static enum tm_code read_soql(struct world *w, const char *soql, bool all, struct tm_err *err)
{
    tm_err_clear(err);
    json_decref(w->records);
    w->records = json_array();
    w->pages = 0;
    assert_int_equal(tm_sf_query_open(&query, w->session, soql, all, 200, err), TM_OK);
    return in_turn(w, step_query, err);
}

static void query_gives_every_row_once_over_all_pages(void **state)
{
    struct world *w = *state;
    struct tm_err err;
    int64_t used, limit;
    make_accounts(w, 0, 450);
    open_session(w);
    assert_int_equal(read_soql(w, "SELECT Id, Name FROM Account ORDER BY Id", false, &err), TM_OK);
    assert_int_equal(tm_sf_query_total(query), 450);
    assert_int_equal(json_array_size(w->records), 450);
    assert_int_equal(w->pages, 3);
    assert_int_equal(tm_sf_query_calls(query), 3);
    assert_true(tm_sf_query_first_sent_ns(query) > 0);
    for (size_t i = 1; i < 450; i++)
        assert_true(
            strcmp(json_string_value(json_object_get(json_array_get(w->records, i - 1), "Id")),
                   json_string_value(json_object_get(json_array_get(w->records, i), "Id"))) < 0);
    assert_true(tm_sf_session_usage(w->session, &used, &limit));
    assert_true(used >= 3);
    tm_sf_query_close(query);
}

static void bad_soql_is_told_with_the_errorcode_of_the_server(void **state)
{
    struct world *w = *state;
    struct tm_err err;
    open_session(w);
    assert_int_equal(read_soql(w, "SELECT Nonsense FROM Account", false, &err), TM_E_PROTO);
    assert_string_equal(tm_sf_query_error(query), "INVALID_FIELD");
    tm_sf_query_close(query);
    assert_int_equal(read_soql(w, "SELECT FROM", false, &err), TM_E_PROTO);
    assert_string_equal(tm_sf_query_error(query), "MALFORMED_QUERY");
    tm_sf_query_close(query);
}

static void deleted_rows_show_in_query_all_and_get_deleted_only(void **state)
{
    struct world *w = *state;
    struct tm_err err;
    char id[TM_ID_BYTES] = "";
    org_make_account(w->org.org, id, "gone", w->org_ms);
    assert_int_equal(
        org_one(w->org.org, TM_ORG_DELETE, TM_ORG_NORMAL, "Account", id, NULL, w->org_ms + 60000),
        TM_OK);
    w->org_ms += 300000;
    open_session(w);
    assert_int_equal(read_soql(w, "SELECT Id, IsDeleted FROM Account", false, &err), TM_OK);
    assert_int_equal(json_array_size(w->records), 0);
    tm_sf_query_close(query);
    assert_int_equal(read_soql(w, "SELECT Id, IsDeleted FROM Account", true, &err), TM_OK);
    assert_int_equal(json_array_size(w->records), 1);
    assert_true(json_is_true(json_object_get(json_array_get(w->records, 0), "IsDeleted")));
    tm_sf_query_close(query);
}

static struct tm_sf_call *deleted_call;
static struct tm_sf_deleted deleted;
static enum tm_code step_deleted(struct world *w, const struct tm_now *now, struct tm_err *err)
{
    (void)w;
    return tm_sf_deleted_poll(deleted_call, now, &deleted, err);
}

static void get_deleted_lists_the_delete_and_how_far_it_looked(void **state)
{
    struct world *w = *state;
    struct tm_err err = { .code = TM_OK };
    char id[TM_ID_BYTES] = "";
    org_make_account(w->org.org, id, "gone", w->org_ms);
    assert_int_equal(
        org_one(w->org.org, TM_ORG_DELETE, TM_ORG_NORMAL, "Account", id, NULL, w->org_ms + 60000),
        TM_OK);
    int64_t from_ms = w->org_ms - 60000;
    w->org_ms += 600000;
    open_session(w);
    assert_int_equal(
        tm_sf_deleted_start(&deleted_call, w->session, "Account", from_ms, w->org_ms, &err), TM_OK);
    assert_int_equal(in_turn(w, step_deleted, &err), TM_OK);
    assert_int_equal(json_array_size(deleted.records), 1);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(deleted.records, 0), "id")), id);
    assert_true(deleted.latest_covered_ms > from_ms && deleted.latest_covered_ms <= w->org_ms);
    json_decref(deleted.records);
    tm_sf_call_close(deleted_call);
}

/* ---- streaming ---- */

static size_t events_wanted;
static enum tm_code step_events(struct world *w, const struct tm_now *now, struct tm_err *err)
{
    json_t *events = NULL, *e;
    size_t i;
    enum tm_code rc = tm_cometd_next(w->cometd, now, &events, err);
    if (rc != TM_OK)
        return rc;
    json_array_foreach(events, i, e)
    {
        const json_t *data = json_object_get(e, "data");
        const char *name =
            json_string_value(json_object_get(json_object_get(data, "payload"), "Name"));
        assert_in_range(w->events_count, 0, EVENTS_MAX - 1);
        w->ids[w->events_count] =
            json_integer_value(json_object_get(json_object_get(data, "event"), "replayId"));
        snprintf(w->names[w->events_count++], sizeof w->names[0], "%s", name != NULL ? name : "");
    }
    json_decref(events);
    bool enough = events_wanted == 0 ? tm_cometd_live(w->cometd) : w->events_count >= events_wanted;
    return enough ? TM_OK : TM_E_AGAIN;
}

/* Until so many events are there; 0 = until the subscription is live. */
static enum tm_code stream(struct world *w, size_t wanted, struct tm_err *err)
{
    events_wanted = wanted;
    return in_turn(w, step_events, err);
}

static void subscribe(struct world *w, int64_t from)
{
    struct tm_err err = { .code = TM_OK };
    tm_cometd_close(w->cometd);
    w->cometd = NULL;
    assert_int_equal(tm_cometd_open(&w->cometd, w->session, CHANNEL, from, 0, &err), TM_OK);
}

static void assert_in_order(const struct world *w, size_t first, size_t count, int first_name)
{
    for (size_t i = first; i < first + count; i++) {
        char name[40];
        snprintf(name, sizeof name, "Account %d", first_name + (int)(i - first));
        assert_string_equal(w->names[i], name);
        if (i > first)
            assert_true(w->ids[i] > w->ids[i - 1]);
    }
}

static void only_new_events_come_while_live_and_wake_a_held_poll(void **state)
{
    struct world *w = *state;
    struct tm_err err;
    make_accounts(w, 0, 3);
    open_session(w);
    subscribe(w, TM_REPLAY_NEW);
    assert_int_equal(stream(w, 0, &err), TM_OK);
    assert_int_equal(w->events_count, 0);
    for (int i = 0; i < 5; i++) {
        make_accounts(w, 3 + 2 * i, 2);
        assert_int_equal(stream(w, 2 * (size_t)(i + 1), &err), TM_OK);
    }
    assert_in_order(w, 0, 10, 3);
    assert_int_equal(tm_cometd_handshakes(w->cometd), 1);
}

static void replay_gives_all_then_what_follows_an_id(void **state)
{
    struct world *w = *state;
    struct tm_err err;
    make_accounts(w, 0, 5);
    open_session(w);
    subscribe(w, TM_REPLAY_ALL);
    assert_int_equal(stream(w, 5, &err), TM_OK);
    assert_in_order(w, 0, 5, 0);
    w->events_count = 0;
    int64_t second = w->ids[1];
    subscribe(w, second); /* a restart that had made two events durable */
    assert_int_equal(stream(w, 3, &err), TM_OK);
    assert_in_order(w, 0, 3, 2);
}

static void expired_token_in_the_middle_of_a_held_poll_loses_nothing(void **state)
{
    struct world *w = *state;
    struct tm_err err;
    open_session(w);
    subscribe(w, TM_REPLAY_NEW);
    assert_int_equal(stream(w, 0, &err), TM_OK);
    make_accounts(w, 0, 2);
    assert_int_equal(stream(w, 2, &err), TM_OK);
    tm_cometd_confirm(w->cometd, w->ids[1]);
    tm_oauth_expire_all(tm_salesforce_oauth(w->mock));
    make_accounts(w, 2, 3);
    assert_int_equal(stream(w, 5, &err), TM_OK);
    assert_in_order(w, 0, 5, 0);
    assert_int_equal(read_soql(w, "SELECT Id FROM Account", false, &err), TM_OK);
    assert_int_equal(json_array_size(w->records), 5);
    tm_sf_query_close(query);
}

static void expired_token_in_a_query_is_renewed(void **state)
{
    struct world *w = *state;
    struct tm_err err;
    make_accounts(w, 0, 3);
    open_session(w);
    assert_int_equal(in_turn(w, step_ready, &err), TM_OK);
    tm_oauth_expire_all(tm_salesforce_oauth(w->mock));
    assert_int_equal(read_soql(w, "SELECT Id FROM Account", false, &err), TM_OK);
    assert_int_equal(json_array_size(w->records), 3);
    assert_int_equal(tm_sf_query_calls(query), 2);
    tm_sf_query_close(query);
}

static void replay_id_beyond_the_tip_is_a_gap_that_resuming_mends(void **state)
{
    struct world *w = *state;
    struct tm_err err;
    make_accounts(w, 0, 2);
    open_session(w);
    subscribe(w, 999999999);
    assert_int_equal(stream(w, 1, &err), TM_E_GAP);
    assert_non_null(strstr(err.msg, "999999999"));
    tm_cometd_resume(w->cometd, TM_REPLAY_ALL);
    assert_int_equal(stream(w, 2, &err), TM_OK);
    assert_in_order(w, 0, 2, 0);
}

static void channel_of_no_object_is_refused_for_good(void **state)
{
    struct world *w = *state;
    struct tm_err err = { .code = TM_OK };
    open_session(w);
    assert_int_equal(
        tm_cometd_open(&w->cometd, w->session, "/data/AcountChangeEvent", TM_REPLAY_NEW, 0, &err),
        TM_OK);
    assert_int_equal(stream(w, 0, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "AcountChangeEvent"));
}

static void delivery_larger_than_the_setting_is_told(void **state)
{
    struct world *w = *state;
    struct tm_err err = { .code = TM_OK };
    make_accounts(w, 0, 20);
    open_session(w);
    assert_int_equal(tm_cometd_open(&w->cometd, w->session, CHANNEL, TM_REPLAY_ALL, 2000, &err),
                     TM_OK);
    assert_int_equal(stream(w, 20, &err), TM_E_LIMIT);
    assert_non_null(strstr(err.msg, "connection.max.message.size"));
}

int main(void)
{
#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)
    const struct CMUnitTest tests[] = {
        IN_WORLD(signing_in_by_password_finds_the_instance_and_the_latest_version),
        IN_WORLD(signing_in_by_client_credentials_works_too),
        IN_WORLD(signing_in_by_jwt_bearer_works_where_the_certificate_fits),
        IN_WORLD(wrong_password_is_refused_for_good),
        IN_WORLD(describe_is_what_the_org_has_and_an_unknown_object_is_named),
        IN_WORLD(query_gives_every_row_once_over_all_pages),
        IN_WORLD(bad_soql_is_told_with_the_errorcode_of_the_server),
        IN_WORLD(deleted_rows_show_in_query_all_and_get_deleted_only),
        IN_WORLD(get_deleted_lists_the_delete_and_how_far_it_looked),
        IN_WORLD(only_new_events_come_while_live_and_wake_a_held_poll),
        IN_WORLD(replay_gives_all_then_what_follows_an_id),
        IN_WORLD(expired_token_in_the_middle_of_a_held_poll_loses_nothing),
        IN_WORLD(expired_token_in_a_query_is_renewed),
        IN_WORLD(replay_id_beyond_the_tip_is_a_gap_that_resuming_mends),
        IN_WORLD(channel_of_no_object_is_refused_for_good),
        IN_WORLD(delivery_larger_than_the_setting_is_told),
    };
    tm_log_init("contract_salesforce", TM_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
