/* The reconciler's large reads by Bulk jobs, against the mock Salesforce's own handlers. Virtual
 * time. */
#include "event/contract.h"
#include "mocks/salesforce/routes.h"
#include "reconcile/reconcile.h"
#include "tests/support_org.h"
#include "tests/support_port.h"
#include "tests/support_stand.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ALERTS "alerts.sfdc.account_gap_events"
#define RECON "sfdc.recon.account"
#define PARTITIONS 3
#define ACCOUNTS 25

struct world {
    struct org_fixture f;
    struct tm_salesforce *salesforce;
    struct tm_mock_handler inner;
    struct tm_test_http http;
    struct stand stand;
    struct tm_recon_settings set;
    struct tm_topic *topic;
    struct tm_sf_session *session;
    struct tm_recon *recon;
    char ids[ACCOUNTS][TM_ID_BYTES], alert_schema[1 << 15];
    unsigned lives, made, refuse, fail; /* jobs made; to be refused; to be said to have failed */
};

/* The mock, and what a test wants to go wrong. */
static void between(void *self, const struct tm_mock_request *r, struct tm_mock_response *out)
{
    struct world *w = self;
    bool jobs = strstr(r->path, "/jobs/query") != NULL, post = strcmp(r->method, "POST") == 0;
    if (jobs && post && w->refuse > 0) {
        w->refuse--;
        tm_mock_answer(out, 400, "application/json",
                       "[{\"errorCode\":\"LIMIT_EXCEEDED\",\"message\":\"used up\"}]");
        return;
    }
    w->made += jobs && post;
    if (jobs && !post && w->fail > 0) {
        w->fail--;
        tm_mock_answer(out, 200, "application/json",
                       "{\"state\":\"Failed\",\"errorMessage\":\"QUERY_TIMEOUT: too slow\"}");
        return;
    }
    w->inner.request(w->inner.self, r, out);
}

static void between_resume(void *self, const struct tm_mock_request *r, uint64_t token,
                           struct tm_mock_response *out)
{
    struct world *w = self;
    w->inner.resume(w->inner.self, r, token, out);
}

static void up(struct world *w)
{
    struct tm_err err = { .code = TM_OK };
    const char *topics[] = { ALERTS };
    char life[20];
    struct tm_kafka_options o = { .group = "g", .topics = topics, .topics_count = 1 };
    static const struct tm_sf_settings sf = { .instance = "http://org",
                                              .consumer_key = "tidemark-consumer-key",
                                              .consumer_secret = "tidemark-consumer-secret",
                                              .grant = TM_SF_CLIENT_CREDENTIALS,
                                              .api_version = "59.0",
                                              .request_retry_ns_max = TM_NS_PER_S,
                                              .auth_retry_ns_max = TM_NS_PER_S };
    assert_int_equal(tm_topic_mem_open(&w->topic, w->stand.broker, &o, &err), TM_OK);
    assert_int_equal(tm_sf_session_open(&w->session, &w->http.port, &sf, &err), TM_OK);
    struct tm_read_ports ports = { w->session, w->stand.registry, w->topic };
    snprintf(life, sizeof life, "life%u", w->lives++);
    if (tm_recon_open(&w->recon, &w->set, &ports, w->f.dir, life, 0, &err) != TM_OK)
        fail_msg("%s", err.msg);
}

static void down(struct world *w)
{
    tm_recon_close(w->recon);
    w->topic->ops->close(w->topic);
    tm_sf_session_close(w->session);
}

static void serve(struct world *w, int64_t job_ns)
{
    struct tm_salesforce_settings mock = { .base_url = "http://org",
                                           .oauth = { .seeded = true, .seed = 3 },
                                           .bulk = { .job_ns = job_ns } };
    tm_salesforce_close(w->salesforce);
    assert_int_equal(tm_salesforce_open(&w->salesforce, w->f.org, &mock, NULL), TM_OK);
    w->inner = tm_salesforce_handler(w->salesforce);
}

static int set_up(void **state)
{
    static char object[] = "Account", alerts[] = ALERTS, answers[] = RECON;
    struct tm_describe only_name = { .object = "Account" };
    struct tm_buf text;
    char name[20];
    struct world *w = calloc(1, sizeof *w);
    org_fixture_open(&w->f);
    for (int i = 0; i < ACCOUNTS; i++) {
        snprintf(name, sizeof name, "Acme %d", i);
        org_make_account(w->f.org, w->ids[i], name, ORG_ORIGIN_MS);
    }
    serve(w, 0);
    tm_test_http_init(&w->http);
    tm_test_http_route(&w->http, "http://org",
                       (struct tm_mock_handler){ w, between, between_resume, NULL });
    stand_open(&w->stand);
    w->set = (struct tm_recon_settings){ .name = "recon",
                                         .group = "g",
                                         .objects = { object },
                                         .alerts = { alerts },
                                         .recon = { answers },
                                         .objects_count = 1,
                                         .window_ms = 5000,
                                         .idle_ns = 500 * TM_NS_PER_MS,
                                         .ids_max = 2000,
                                         .sees_all = true,
                                         .bulk_rows_min = 10,
                                         .bulk_page_rows = 7,
                                         .attempts_max = 3,
                                         .backoff_ns = TM_NS_PER_S,
                                         .backoff_ns_max = 60 * TM_NS_PER_S };
    assert_int_equal(tm_mem_topic_create(w->stand.broker, ALERTS, PARTITIONS, NULL), TM_OK);
    assert_int_equal(tm_mem_topic_create(w->stand.broker, RECON, PARTITIONS, NULL), TM_OK);
    tm_mem_set_time(w->stand.broker, ORG_ORIGIN_MS);
    tm_buf_init(&text, sizeof w->alert_schema - 1);
    assert_int_equal(tm_contract_schema_alerts(&text, &only_name, NULL), TM_OK);
    strcpy(w->alert_schema, tm_buf_text(&text));
    tm_buf_free(&text);
    up(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    down(w);
    stand_close(&w->stand);
    tm_salesforce_close(w->salesforce);
    org_fixture_close(&w->f);
    free(w);
    return 0;
}
#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static bool until_job(const struct world *w)
{
    return w->made > 0;
}

/* Steps for so long in virtual time, or until something is so. */
static void run(struct world *w, int64_t ns, bool (*until)(const struct world *))
{
    struct tm_err err = { .code = TM_OK };
    int64_t end = w->stand.now.wall_ns + ns;
    for (int i = 0; i < 100000 && w->stand.now.wall_ns < end; i++) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        w->stand.now.org_ms = ORG_ORIGIN_MS + 60000;
        w->http.now = w->stand.now;
        enum tm_code rc = tm_recon_step(w->recon, &w->stand.now, &wake, &err);
        if (rc != TM_OK && rc != TM_E_AGAIN)
            fail_msg("%s: %s", err.ctx, err.msg);
        if (rc == TM_E_AGAIN)
            w->stand.now.wall_ns += 10 * TM_NS_PER_MS;
        if (until != NULL && until(w))
            return;
    }
}

static void ask_copy(struct world *w)
{
    for (int32_t p = 0; p < PARTITIONS; p++)
        stand_put(&w->stand, ALERTS, p, "Account", w->alert_schema,
                  json_pack("{s:s, s:s, s:{s:I}, s:s, s:s, s:i}", "Id", "Account", "ReplayId", "40",
                            "ChangeEventHeader", "commitTimestamp", (json_int_t)ORG_ORIGIN_MS,
                            "_kind", "copy", "_reason", "test", "_epoch", 1));
}

/* Images of the read that ended, each id once, as many as its `end` records count; its read id. */
static void expect_whole(struct world *w, size_t images, char read_id[80])
{
    json_t *all = stand_all(&w->stand, RECON), *row;
    size_t i, found = 0, ends = 0;
    int64_t counted = 0;
    read_id[0] = '\0';
    json_array_foreach(all, i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "_kind")), "end") != 0)
            continue;
        snprintf(read_id, 80, "%s", json_string_value(json_object_get(row, "_read_id")));
        counted += json_integer_value(json_object_get(row, "_count"));
        ends++;
        assert_int_equal(json_integer_value(json_object_get(row, "_g")), 40);
        assert_string_equal(json_string_value(json_object_get(row, "_read_kind")), "whole");
    }
    assert_int_equal(ends, PARTITIONS);
    assert_int_equal(counted, images);
    json_array_foreach(all, i, row)
    {
        const char *kind = json_string_value(json_object_get(row, "_kind"));
        if (strcmp(json_string_value(json_object_get(row, "_read_id")), read_id) != 0 ||
            strcmp(kind, "end") == 0)
            continue;
        assert_string_equal(kind, "image");
        assert_non_null(json_string_value(json_object_get(row, "Name")));
        assert_true(json_is_null(json_object_get(row, "Phone")));
        found++;
    }
    assert_int_equal(found, images);
    json_decref(all);
}

static void whole_read_of_many_rows_goes_by_one_job(void **state)
{
    struct world *w = *state;
    char id[80];
    ask_copy(w);
    run(w, 5 * TM_NS_PER_S, NULL);
    expect_whole(w, ACCOUNTS, id);
    assert_int_equal(w->made, 1);
    assert_int_equal(tm_recon_counts(w->recon)->read.jobs, 1);
    assert_int_equal(tm_recon_counts(w->recon)->reads_retried, 0);
    for (int32_t p = 0; p < PARTITIONS; p++)
        assert_int_equal(tm_mem_committed(w->stand.broker, "g", ALERTS, p),
                         tm_mem_high(w->stand.broker, ALERTS, p));
}

static void whole_read_of_few_rows_makes_no_job(void **state)
{
    struct world *w = *state;
    char id[80];
    w->set.bulk_rows_min = ACCOUNTS + 1;
    ask_copy(w);
    run(w, 5 * TM_NS_PER_S, NULL);
    expect_whole(w, ACCOUNTS, id);
    assert_int_equal(w->made, 0);
}

static void never_means_never(void **state)
{
    struct world *w = *state;
    char id[80];
    w->set.bulk_rows_min = 0;
    ask_copy(w);
    run(w, 5 * TM_NS_PER_S, NULL);
    expect_whole(w, ACCOUNTS, id);
    assert_int_equal(w->made, 0);
}

static void org_that_makes_no_job_is_read_page_by_page(void **state)
{
    struct world *w = *state;
    char id[80];
    w->refuse = 100;
    ask_copy(w);
    run(w, 5 * TM_NS_PER_S, NULL);
    expect_whole(w, ACCOUNTS, id);
    assert_int_equal(w->refuse, 99); /* asked once */
    assert_int_equal(tm_recon_counts(w->recon)->reads_retried, 0);
}

static void failed_job_is_another_attempt_with_another_read_id(void **state)
{
    struct world *w = *state;
    char id[80];
    w->fail = 1;
    ask_copy(w);
    run(w, 10 * TM_NS_PER_S, NULL);
    expect_whole(w, ACCOUNTS, id);
    assert_int_equal(w->made, 2);
    assert_int_equal(tm_recon_counts(w->recon)->reads_retried, 1);
    assert_int_equal(tm_recon_counts(w->recon)->reads_failed, 0);
}

static void job_that_fails_each_time_is_given_up_and_told(void **state)
{
    struct world *w = *state;
    w->fail = 100;
    ask_copy(w);
    run(w, 30 * TM_NS_PER_S, NULL);
    json_t *all = stand_all(&w->stand, RECON);
    assert_int_equal(json_array_size(all), 0);
    json_decref(all);
    assert_int_equal(w->made, 3);
    assert_int_equal(tm_recon_counts(w->recon)->reads_failed, 1);
}

/* Killed while its job is under way: asked again by the alerts it had not committed, and answered
 * by a read, and a job, of its own. */
static void killed_in_the_middle_of_a_job_reads_again(void **state)
{
    struct world *w = *state;
    char id[80];
    serve(w, 3 * TM_NS_PER_S);
    ask_copy(w);
    run(w, 5 * TM_NS_PER_S, until_job);
    run(w, TM_NS_PER_S, NULL);
    assert_int_equal(w->made, 1);
    down(w);
    org_make_account(w->f.org, strcpy(id, ""), "born meanwhile", ORG_ORIGIN_MS + 30000);
    up(w);
    run(w, 10 * TM_NS_PER_S, NULL);
    expect_whole(w, ACCOUNTS + 1, id);
    assert_non_null(strstr(id, "life1"));
    assert_int_equal(w->made, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(whole_read_of_many_rows_goes_by_one_job),
        IN_A_WORLD(whole_read_of_few_rows_makes_no_job),
        IN_A_WORLD(never_means_never),
        IN_A_WORLD(org_that_makes_no_job_is_read_page_by_page),
        IN_A_WORLD(failed_job_is_another_attempt_with_another_read_id),
        IN_A_WORLD(job_that_fails_each_time_is_given_up_and_told),
        IN_A_WORLD(killed_in_the_middle_of_a_job_reads_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
