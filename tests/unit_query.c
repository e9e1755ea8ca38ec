/* query pages and getDeleted against a scripted HTTP port. Virtual time. */
#include "salesforce/query.h"
#include "tests/support_fake_http.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SIGN_IN(token)                                                                             \
    {                                                                                              \
        .expect = "POST /services/oauth2/token", .status = 200,                                    \
        .body = "{\"access_token\":\"" token "\",\"instance_url\":\"https://na1.example\"}"        \
    }
#define PAGE(done, next, rows) "{\"totalSize\":3,\"done\":" done next ",\"records\":[" rows "]}"
#define NEXT(path) ",\"nextRecordsUrl\":\"" path "\""

struct world {
    struct fake_http f;
    struct tm_sf_session *s;
};

static void open_world(struct world *w, const struct fake_line *lines, size_t lines_count)
{
    static const struct tm_sf_settings set = {
        .instance = "https://login.example",
        .consumer_key = "k",
        .consumer_secret = "s",
        .grant = TM_SF_CLIENT_CREDENTIALS,
        .api_version = "59.0",
        .request_retry_ns_max = 10 * TM_NS_PER_S,
        .seed = 1,
    };
    struct tm_err err = { .code = TM_OK };
    fake_http_init(&w->f, lines, lines_count);
    assert_int_equal(tm_sf_session_open(&w->s, &w->f.base, &set, &err), TM_OK);
}
#define OPEN(w, lines) open_world(w, lines, sizeof(lines) / sizeof((lines)[0]))

static void close_world(struct world *w)
{
    tm_sf_session_close(w->s);
    fake_http_done(&w->f);
}

static struct tm_now step(struct world *w)
{
    int64_t next = tm_sf_session_next_at(w->s);
    w->f.now_ns = next != TM_NEVER && next > w->f.now_ns ? next : w->f.now_ns + TM_NS_PER_MS;
    return (struct tm_now){ .wall_ns = w->f.now_ns };
}

static enum tm_code next_page(struct world *w, struct tm_sf_query *q, json_t **records, bool *done,
                              struct tm_err *err)
{
    enum tm_code rc = TM_E_AGAIN;
    tm_err_clear(err);
    for (int i = 0; i < 1000 && rc == TM_E_AGAIN; i++) {
        struct tm_now now = step(w);
        rc = tm_sf_query_next(q, &now, records, done, err);
    }
    return rc;
}

static struct tm_sf_query *open_query(struct world *w, const char *soql, bool all, int page_rows)
{
    struct tm_sf_query *q = NULL;
    struct tm_err err = { .code = TM_OK };
    assert_int_equal(tm_sf_query_open(&q, w->s, soql, all, page_rows, &err), TM_OK);
    return q;
}

static void pages_follow_the_next_records_url_as_it_came(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        { .expect = "GET "
                    "https://na1.example/services/data/v59.0/"
                    "query?q=SELECT%20Id%20FROM%20Lead%20WHERE%20Name%20%3D%20%27a%2Bb%27",
          .expect_header = "Sforce-Query-Options: batchSize=200",
          .status = 200,
          .body = PAGE("false", NEXT("/services/data/v59.0/query/01gX-2000"),
                       "{\"Id\":\"1\"},{\"Id\":\"2\"}") },
        { .expect = "GET https://na1.example/services/data/v59.0/query/01gX-2000",
          .status = 200,
          .body = PAGE("true", "", "{\"Id\":\"3\"}") },
    };
    struct world w;
    struct tm_err err;
    json_t *records;
    bool done;
    (void)state;
    OPEN(&w, lines);
    struct tm_sf_query *q = open_query(&w, "SELECT Id FROM Lead WHERE Name = 'a+b'", false, 200);
    assert_int_equal(tm_sf_query_total(q), -1);
    assert_int_equal(next_page(&w, q, &records, &done, &err), TM_OK);
    assert_int_equal(json_array_size(records), 2);
    assert_false(done);
    assert_int_equal(tm_sf_query_total(q), 3);
    json_decref(records);
    assert_int_equal(next_page(&w, q, &records, &done, &err), TM_OK);
    assert_int_equal(json_array_size(records), 1);
    assert_true(done);
    json_decref(records);
    assert_int_equal(tm_sf_query_calls(q), 2);
    assert_int_equal(tm_sf_query_first_sent_ns(q), w.f.sent_ns[1]);
    /* after the end: still the end */
    assert_int_equal(next_page(&w, q, &records, &done, &err), TM_OK);
    assert_true(done);
    assert_int_equal(json_array_size(records), 0);
    json_decref(records);
    tm_sf_query_close(q);
    close_world(&w);
}

static void query_all_asks_for_deleted_rows_and_takes_absolute_urls(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        { .expect = "GET /services/data/v59.0/queryAll?q=SELECT",
          .status = 200,
          .body = PAGE("false", NEXT("https://na1.example/services/data/v59.0/query/01gX-1"), "") },
        { .expect = "GET https://na1.example/services/data/v59.0/query/01gX-1",
          .status = 200,
          .body = PAGE("true", "", "") },
    };
    struct world w;
    struct tm_err err;
    json_t *records;
    bool done = false;
    (void)state;
    OPEN(&w, lines);
    struct tm_sf_query *q = open_query(&w, "SELECT Id FROM Lead", true, 0);
    while (!done) {
        assert_int_equal(next_page(&w, q, &records, &done, &err), TM_OK);
        json_decref(records);
    }
    tm_sf_query_close(q);
    close_world(&w);
}

static void expired_token_between_pages_repeats_the_same_page(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("A"),
        { .expect = "GET /query?q=",
          .status = 200,
          .body = PAGE("false", NEXT("/services/data/v59.0/query/L-2"), "{}") },
        { .expect = "GET /query/L-2",
          .status = 401,
          .body = "[{\"errorCode\":\"INVALID_SESSION_ID\",\"message\":\"x\"}]" },
        SIGN_IN("B"),
        { .expect = "GET /query/L-2", .expect_header = "Authorization: Bearer B", .status = 503 },
        { .expect = "GET /query/L-2", .status = 200, .body = PAGE("true", "", "{}") },
    };
    struct world w;
    struct tm_err err;
    json_t *records;
    bool done = false;
    int rows = 0;
    (void)state;
    OPEN(&w, lines);
    struct tm_sf_query *q = open_query(&w, "SELECT Id FROM Lead", false, 0);
    while (!done) {
        assert_int_equal(next_page(&w, q, &records, &done, &err), TM_OK);
        rows += (int)json_array_size(records);
        json_decref(records);
    }
    assert_int_equal(rows, 2); /* no page twice */
    assert_int_equal(tm_sf_query_calls(q), 4);
    tm_sf_query_close(q);
    close_world(&w);
}

static void lost_locator_and_bad_fields_are_surfaced_with_their_code(void **state)
{
    static const char *const codes[] = { "INVALID_QUERY_LOCATOR", "INVALID_FIELD" };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char body[200];
        snprintf(body, sizeof body,
                 "[{\"errorCode\":\"%s\",\"message\":\"\\nSELECT X\\n ^\\nno\"}]", codes[i]);
        const struct fake_line lines[] = {
            SIGN_IN("T"), { .expect = "GET /query?q=", .status = 400, .body = body }
        };
        struct world w;
        struct tm_err err;
        json_t *records;
        bool done;
        OPEN(&w, lines);
        struct tm_sf_query *q = open_query(&w, "SELECT X FROM Lead", false, 0);
        assert_int_equal(next_page(&w, q, &records, &done, &err), TM_E_PROTO);
        assert_string_equal(tm_sf_query_error(q), codes[i]);
        assert_null(strchr(err.msg, '\n'));
        tm_sf_query_close(q);
        close_world(&w);
    }
}

static void answers_that_are_no_page_are_protocol_errors(void **state)
{
    static const char *const bodies[] = { "{}", "{\"records\":[]}",
                                          "{\"records\":[],\"done\":false}", "[]",
                                          ("{\"records\":[],\"done\":false,"
                                           "\"nextRecordsUrl\":\"/a b HTTP/1.0\"}") };
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        const struct fake_line lines[] = {
            SIGN_IN("T"), { .expect = "GET /query?q=", .status = 200, .body = bodies[i] }
        };
        struct world w;
        struct tm_err err;
        json_t *records;
        bool done;
        OPEN(&w, lines);
        struct tm_sf_query *q = open_query(&w, "SELECT Id FROM Lead", false, 0);
        assert_int_equal(next_page(&w, q, &records, &done, &err), TM_E_PROTO);
        tm_sf_query_close(q);
        close_world(&w);
    }
}

static void soql_beyond_the_uri_limit_and_odd_page_sizes_are_refused_before_sending(void **state)
{
    static const struct fake_line none[1] = { { .expect = "" } };
    static char soql[8000];
    struct world w;
    struct tm_sf_query *q = NULL;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    open_world(&w, none, 0);
    memset(soql, '\'', sizeof soql - 1); /* three bytes each once escaped */
    assert_int_equal(tm_sf_query_open(&q, w.s, soql, false, 0, &err), TM_E_LIMIT);
    tm_err_clear(&err);
    assert_int_equal(tm_sf_query_open(&q, w.s, "SELECT Id FROM Lead", false, 100, &err), TM_E_ARG);
    assert_null(q);
    close_world(&w);
}

static enum tm_code poll_deleted(struct world *w, struct tm_sf_call *c, struct tm_sf_deleted *out,
                                 struct tm_err *err)
{
    enum tm_code rc = TM_E_AGAIN;
    for (int i = 0; i < 1000 && rc == TM_E_AGAIN; i++) {
        struct tm_now now = step(w);
        rc = tm_sf_deleted_poll(c, &now, out, err);
    }
    return rc;
}

static void get_deleted_cuts_seconds_and_reads_the_covered_date(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        { .expect =
              "GET "
              "/sobjects/Lead/deleted/"
              "?start=2013-05-05T10%3A15%3A00%2B00%3A00&end=2013-05-05T10%3A20%3A00%2B00%3A00",
          .status = 200,
          .body = "{\"deletedRecords\":[{\"id\":\"a\",\"deletedDate\":\"2013-05-05T10:16:00.000+"
                  "0000\"}],"
                  "\"earliestDateAvailable\":\"2013-04-01T00:00:00.000+0000\","
                  "\"latestDateCovered\":\"2013-05-05T10:19:00.000+0000\"}" },
        { .expect =
              "GET start=2013-05-05T10%3A14%3A00%2B00%3A00&end=2013-05-05T10%3A15%3A00%2B00%3A00",
          .status = 200,
          .body = "{\"deletedRecords\":[]}" },
    };
    const int64_t minute = 60000, base_ms = 1367748900000; /* 2013-05-05T10:15:00Z */
    struct world w;
    struct tm_sf_call *c;
    struct tm_sf_deleted out;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    OPEN(&w, lines);
    assert_int_equal(
        tm_sf_deleted_start(&c, w.s, "Lead", base_ms + 7123, base_ms + 5 * minute + 59999, &err),
        TM_OK);
    assert_int_equal(poll_deleted(&w, c, &out, &err), TM_OK);
    assert_int_equal(json_array_size(out.records), 1);
    assert_int_equal(out.latest_covered_ms, base_ms + 4 * minute);
    assert_true(out.earliest_available_ms < base_ms);
    json_decref(out.records);
    tm_sf_call_close(c);
    /* A window inside one minute would be empty for the server: it is widened backwards. */
    assert_int_equal(tm_sf_deleted_start(&c, w.s, "Lead", base_ms + 1, base_ms + 2, &err), TM_OK);
    assert_int_equal(poll_deleted(&w, c, &out, &err), TM_E_PROTO);
    assert_null(out.records);
    tm_sf_call_close(c);
    tm_err_clear(&err);
    assert_int_equal(tm_sf_deleted_start(&c, w.s, "Lead", base_ms, base_ms - minute, &err),
                     TM_E_ARG);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_follow_the_next_records_url_as_it_came),
        cmocka_unit_test(query_all_asks_for_deleted_rows_and_takes_absolute_urls),
        cmocka_unit_test(expired_token_between_pages_repeats_the_same_page),
        cmocka_unit_test(lost_locator_and_bad_fields_are_surfaced_with_their_code),
        cmocka_unit_test(answers_that_are_no_page_are_protocol_errors),
        cmocka_unit_test(soql_beyond_the_uri_limit_and_odd_page_sizes_are_refused_before_sending),
        cmocka_unit_test(get_deleted_cuts_seconds_and_reads_the_covered_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
