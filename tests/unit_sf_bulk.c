/* The client side of Bulk 2.0 query jobs, against a scripted HTTP port, and its CSV. Virtual
 * time. */
#include "salesforce/bulk.h"
#include "base/csv.h"
#include "tests/support_fake_http.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define JOB "750000000000001AAA"
#define JOBS "https://na1.example/services/data/v59.0/jobs/query"
#define SIGN_IN                                                                                    \
    {                                                                                              \
        .expect = "POST /services/oauth2/token", .status = 200,                                    \
        .body = "{\"access_token\":\"T\",\"instance_url\":\"https://na1.example\"}"                \
    }
#define MADE                                                                                       \
    {                                                                                              \
        .expect = "POST " JOBS, .status = 200,                                                     \
        .body = "{\"id\":\"" JOB "\",\"state\":\"UploadComplete\"}"                                \
    }
#define STATE(word)                                                                                \
    {                                                                                              \
        .expect = "GET " JOBS "/" JOB, .status = 200,                                              \
        .body = "{\"id\":\"" JOB "\",\"state\":\"" word "\"}"                                      \
    }
#define PAGE(parameters, rows, locator, csv)                                                       \
    {                                                                                              \
        .expect = "GET " JOBS "/" JOB "/results?maxRecords=2" parameters,                          \
        .expect_header = "Accept: text/csv", .status = 200,                                        \
        .headers = "Content-Type: text/csv\r\nSforce-NumberOfRecords: " rows                       \
                   "\r\nSforce-Locator: " locator "\r\n",                                          \
        .body = csv                                                                                \
    }
#define DELETED                                                                                    \
    {                                                                                              \
        .expect = "DELETE " JOBS "/" JOB, .status = 204, .body = ""                                \
    }

struct world {
    struct fake_http f;
    struct tm_sf_session *s;
    struct tm_describe *d;
    struct tm_sf_bulk *b;
    json_t *records;
    bool done;
    struct tm_err err;
};

static void open_world(struct world *w, const struct fake_line *lines, size_t lines_count,
                       const struct tm_sf_bulk_place *from)
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
    memset(w, 0, sizeof *w);
    fake_http_init(&w->f, lines, lines_count);
    assert_int_equal(tm_sf_session_open(&w->s, &w->f.base, &set, &w->err), TM_OK);
    assert_int_equal(tm_describe_load(&w->d, "fixtures/objects/Opportunity.json", &w->err), TM_OK);
    assert_int_equal(
        tm_sf_bulk_open(&w->b, w->s, "SELECT \"x\" FROM Opportunity", true, 2, w->d, from, &w->err),
        TM_OK);
}
#define OPEN(w, lines, from) open_world(w, lines, sizeof(lines) / sizeof((lines)[0]), from)

static void close_world(struct world *w)
{
    json_decref(w->records);
    tm_sf_bulk_close(w->b);
    tm_sf_session_close(w->s);
    tm_describe_close(w->d);
    fake_http_done(&w->f);
}

static enum tm_code next(struct world *w)
{
    enum tm_code rc = TM_E_AGAIN;
    json_decref(w->records);
    w->records = NULL;
    tm_err_clear(&w->err);
    for (int i = 0; i < 1000 && rc == TM_E_AGAIN; i++) {
        int64_t at = tm_sf_session_next_at(w->s), own = tm_sf_bulk_next_at(w->b);
        at = own < at ? own : at;
        w->f.now_ns = at != TM_NEVER && at > w->f.now_ns ? at : w->f.now_ns + TM_NS_PER_MS;
        struct tm_now now = { .wall_ns = w->f.now_ns };
        rc = tm_sf_bulk_next(w->b, &now, &w->records, &w->done, &w->err);
    }
    return rc;
}

static void expect_rows(struct world *w, size_t rows, bool done)
{
    if (next(w) != TM_OK)
        fail_msg("%s", w->err.msg);
    assert_int_equal(json_array_size(w->records), rows);
    assert_int_equal(w->done, done);
}

static void job_is_made_asked_read_and_deleted(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN,
        { .expect = "POST " JOBS,
          .expect_body = "\"operation\":\"queryAll\",\"query\":\"SELECT \\\"x\\\" FROM "
                         "Opportunity\",\"contentType\":\"CSV\"",
          .status = 200,
          .body = "{\"id\":\"" JOB "\"}" },
        STATE("UploadComplete"),
        STATE("InProgress"),
        STATE("JobComplete"),
        PAGE("", "2", "MTA",
             "\"Id\",\"Name\",\"Amount\",\"IsDeleted\",\"CloseDate\",\"Owner.Name\"\n"
             "\"006000000000001AAA\",\"a \"\"b\"\",\nc\",\"1200.50\",\"false\",\"2026-03-01\","
             "\"x\"\n"
             "\"006000000000002AAA\",\"\",\"\",\"true\",\"\",\"\"\n"),
        PAGE("&locator=MTA", "1", "null", "\"Id\"\r\n\"006000000000003AAA\"\r\n"),
        DELETED,
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, NULL);
    expect_rows(&w, 2, false);
    const json_t *row = json_array_get(w.records, 0);
    assert_string_equal(json_string_value(json_object_get(row, "Name")), "a \"b\",\nc");
    assert_true(json_real_value(json_object_get(row, "Amount")) == 1200.5);
    assert_true(json_is_false(json_object_get(row, "IsDeleted")));
    assert_string_equal(json_string_value(json_object_get(row, "CloseDate")), "2026-03-01");
    assert_string_equal(json_string_value(json_object_get(row, "Owner.Name")), "x");
    row = json_array_get(w.records, 1);
    assert_true(json_is_null(json_object_get(row, "Name")));
    assert_true(json_is_null(json_object_get(row, "Amount")));
    assert_true(json_is_true(json_object_get(row, "IsDeleted")));
    assert_string_equal(tm_sf_bulk_place(w.b)->job, JOB);
    assert_string_equal(tm_sf_bulk_place(w.b)->locator, "MTA");
    expect_rows(&w, 1, false);
    expect_rows(&w, 0, true);
    expect_rows(&w, 0, true); /* after the end: still the end */
    assert_int_equal(tm_sf_bulk_calls(w.b), 7);
    assert_true(tm_sf_bulk_first_sent_ns(w.b) == w.f.sent_ns[1]);
    assert_true(w.f.sent_ns[4] - w.f.sent_ns[3] >= w.f.sent_ns[3] - w.f.sent_ns[2]);
    close_world(&w);
}

static void read_goes_on_with_its_job_and_locator(void **state)
{
    static const struct tm_sf_bulk_place from = { JOB, "NQ" };
    static const struct fake_line lines[] = {
        SIGN_IN,
        STATE("JobComplete"),
        PAGE("&locator=NQ", "1", "null", "\"Id\"\n\"006000000000003AAA\"\n"),
        { .expect = "DELETE " JOBS, .status = 500, .body = "" }, /* nothing comes of it */
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, &from);
    expect_rows(&w, 1, false);
    expect_rows(&w, 0, true);
    close_world(&w);
}

static void job_the_org_forgot_is_lost(void **state)
{
    static const struct tm_sf_bulk_place from = { JOB, "NQ" };
    static const struct fake_line lines[] = {
        SIGN_IN,
        { .expect = "GET " JOBS, .status = 404, .body = "[{\"errorCode\":\"NOT_FOUND\"}]" },
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, &from);
    assert_int_equal(next(&w), TM_E_PROTO);
    assert_true(tm_sf_bulk_lost(w.b));
    close_world(&w);
}

static void page_cut_short_is_asked_for_again_and_then_given_up(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN,
        MADE,
        STATE("JobComplete"),
        PAGE("", "2", "null", "\"Id\",\"Name\"\n\"006000000000003AAA\",\"abc"),
        PAGE("", "2", "null", "\"Id\",\"Name\"\n\"006000000000003AAA\",\"abc\"\n"),
        PAGE("", "1", "MQ", "\"Id\",\"Name\"\n\"006000000000003AAA\",\"abc\"\n"),
        PAGE("&locator=MQ", "1", "null", ""),
        PAGE("&locator=MQ", "1", "null", "\"Id\",\"Amount\"\n\"006000000000003AAA\",\"abc\"\n"),
        PAGE("&locator=MQ", "1", "null", "\"Id\",\"Name\"\n\"006000000000003AAA\"\n"),
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, NULL);
    expect_rows(&w, 1, false);
    assert_int_equal(next(&w), TM_E_PROTO);
    assert_true(w.err.retriable);
    assert_non_null(strstr(w.err.msg, "a row of 1 values below 2 columns"));
    close_world(&w);
}

static void page_without_a_locator_is_no_last_page(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN,
        MADE,
        STATE("JobComplete"),
        { .expect = "GET " JOBS, .status = 200, .body = "\"Id\"\n" },
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, NULL);
    assert_int_equal(next(&w), TM_E_PROTO);
    assert_non_null(strstr(w.err.msg, "Sforce-Locator"));
    close_world(&w);
}

static void pages_that_lead_to_themselves_are_refused(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN,
        MADE,
        STATE("JobComplete"),
        PAGE("", "1", "MQ", "\"Id\"\n\"006000000000003AAA\"\n"),
        PAGE("&locator=MQ", "1", "MQ", "\"Id\"\n\"006000000000003AAA\"\n"),
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, NULL);
    expect_rows(&w, 1, false);
    assert_int_equal(next(&w), TM_E_PROTO);
    assert_non_null(strstr(w.err.msg, "do not come to an end"));
    close_world(&w);
}

static void failed_job_tells_why(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN,
        MADE,
        { .expect = "GET " JOBS,
          .status = 200,
          .body = "{\"state\":\"Failed\",\"errorMessage\":\"INVALID_FIELD: no such column\"}" },
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, NULL);
    assert_int_equal(next(&w), TM_E_PROTO);
    assert_true(w.err.retriable);
    assert_non_null(strstr(w.err.msg, "no such column"));
    assert_string_equal(tm_sf_bulk_error(w.b), "INVALID_FIELD");
    assert_false(tm_sf_bulk_lost(w.b));
    close_world(&w);
}

static void refused_query_tells_its_code(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN,
        { .expect = "POST " JOBS,
          .status = 400,
          .body = "[{\"errorCode\":\"INVALID_FIELD\",\"message\":\"No such column\"}]" },
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, NULL);
    assert_int_equal(next(&w), TM_E_PROTO);
    assert_string_equal(tm_sf_bulk_error(w.b), "INVALID_FIELD");
    assert_false(tm_sf_bulk_lost(w.b));
    close_world(&w);
}

static void results_not_there_yet_are_waited_for(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN,
        MADE,
        STATE("JobComplete"),
        { .expect = "GET " JOBS, .status = 204, .body = "" },
        STATE("JobComplete"),
        PAGE("", "0", "null", "\"Id\"\n"),
        DELETED,
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, NULL);
    expect_rows(&w, 0, false);
    expect_rows(&w, 0, true);
    close_world(&w);
}

static void job_that_never_ends_is_given_up(void **state)
{
    struct fake_line lines[] = { SIGN_IN, MADE, STATE("InProgress"), STATE("InProgress") };
    struct world w;
    (void)state;
    OPEN(&w, lines, NULL);
    for (int i = 0; w.f.lines_used < 3 || w.f.under_way > 0; i++) {
        struct tm_now now = { .wall_ns = ++w.f.now_ns };
        assert_true(i < 100);
        assert_int_equal(tm_sf_bulk_next(w.b, &now, &w.records, &w.done, &w.err), TM_E_AGAIN);
    }
    w.f.now_ns += TM_SF_BULK_WAIT_NS_MAX + 1;
    assert_int_equal(next(&w), TM_E_IO);
    assert_true(w.err.retriable);
    close_world(&w);
}

/* ---- CSV ---- */

static void expect_csv(const char *text, const char *want)
{
    char copy[200], got[400] = "";
    struct tm_csv c;
    struct tm_csv_field fields[4];
    size_t count = 1;
    enum tm_code rc = TM_OK;
    snprintf(copy, sizeof copy, "%s", text);
    tm_csv_init(&c, copy, strlen(copy), ',');
    while (rc == TM_OK && count > 0) {
        rc = tm_csv_record(&c, fields, 4, &count, NULL);
        for (size_t i = 0; rc == TM_OK && i < count; i++) {
            assert_int_equal(strlen(fields[i].text), fields[i].bytes);
            strcat(strcat(strcat(got, "["), fields[i].text), "]");
        }
        strcat(got, rc != TM_OK ? "!" : count > 0 ? ";" : "");
    }
    assert_string_equal(got, want);
}

static void csv_is_read_as_rfc_4180_says(void **state)
{
    (void)state;
    expect_csv("", "");
    expect_csv("a", "[a];");
    expect_csv("a,b\nc,d\n", "[a][b];[c][d];");
    expect_csv("\"a\",\"b\"\r\n\"c\",\"d\"", "[a][b];[c][d];");
    expect_csv("\"a\"\"b\"\"\",\"\"\n", "[a\"b\"][];");
    expect_csv("\"a\nb\",\"c,d\"\n", "[a\nb][c,d];");
    expect_csv(",\n,", "[][];[][];");
    expect_csv("\n\n", "[];[];");
    expect_csv("a\rb,c", "[a\rb][c];");
    expect_csv("\"\"\"\"", "[\"];");
    expect_csv("\"a", "!");
    expect_csv("\"a\"b", "!");
    expect_csv("\"a\"\"", "!");
    expect_csv("a\n\"", "[a];!");
    expect_csv("1,2,3,4,5", "!");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(job_is_made_asked_read_and_deleted),
        cmocka_unit_test(read_goes_on_with_its_job_and_locator),
        cmocka_unit_test(job_the_org_forgot_is_lost),
        cmocka_unit_test(page_cut_short_is_asked_for_again_and_then_given_up),
        cmocka_unit_test(page_without_a_locator_is_no_last_page),
        cmocka_unit_test(pages_that_lead_to_themselves_are_refused),
        cmocka_unit_test(failed_job_tells_why),
        cmocka_unit_test(refused_query_tells_its_code),
        cmocka_unit_test(results_not_there_yet_are_waited_for),
        cmocka_unit_test(job_that_never_ends_is_given_up),
        cmocka_unit_test(csv_is_read_as_rfc_4180_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
