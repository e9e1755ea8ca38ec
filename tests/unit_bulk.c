/* The mock's Bulk APIs as they are read: query jobs, and what is wrong with requests. */
#include "tests/support_bulk.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define JOBS "/services/data/v59.0/jobs/query"
#define DAY_MS 86400000LL

/* A 2.0 job; its path. */
static const char *job(struct bulk_world *w, char path[120], const char *body)
{
    bulk_expect(w, bulk_ask(w, "POST", JOBS, body), 200, "\"state\":\"UploadComplete\"");
    json_t *json = bulk_told(w);
    const char *id = json_string_value(json_object_get(json, "id"));
    assert_int_equal(strlen(id), 18);
    assert_memory_equal(id, "750", 3);
    snprintf(path, 120, JOBS "/%s", id);
    json_decref(json);
    return path;
}

static const char *query_job(struct bulk_world *w, char path[120], const char *soql)
{
    char body[600];
    snprintf(body, sizeof body, "{\"operation\":\"query\",\"query\":\"%s\"}", soql);
    return job(w, path, body);
}

static void deal(struct bulk_world *w)
{
    char account[TM_ID_BYTES], id[TM_ID_BYTES];
    org_make_account(w->f.org, account, "Acme & <Co>", ORG_ORIGIN_MS);
    org_make_opportunity(w->f.org, id, "deal", account, ORG_ORIGIN_MS);
}

/* ---- 2.0 ---- */

static void job_is_complete_at_the_first_poll_and_its_page_says_null(void **state)
{
    struct bulk_world *w = *state;
    char path[120], text[40];
    bulk_world_fill(w, 3);
    query_job(w, path, "SELECT Name FROM Account ORDER BY Name");
    bulk_expect(w, bulk_ask(w, "GET", path, NULL), 200, "\"state\":\"JobComplete\"");
    json_t *info = bulk_told(w);
    assert_string_equal(json_string_value(json_object_get(info, "object")), "Account");
    assert_string_equal(json_string_value(json_object_get(info, "jobType")), "V2Query");
    assert_int_equal(json_integer_value(json_object_get(info, "numberRecordsProcessed")), 3);
    assert_true(json_real_value(json_object_get(info, "apiVersion")) == 59.0);
    json_decref(info);
    assert_string_equal(bulk_ask(w, "GET", bulk_sub(path, "/results"), NULL),
                        "\"Name\"\n\"Acme 0\"\n\"Acme 1\"\n\"Acme 2\"\n");
    assert_int_equal(w->status, 200);
    assert_string_equal(w->type, "text/csv");
    bulk_header(w, "Sforce-NumberOfRecords", text, sizeof text);
    assert_string_equal(text, "3");
    bulk_header(w, "Sforce-Locator", text, sizeof text);
    assert_string_equal(text, "null");
    bulk_header(w, "Sforce-Limit-Info", text, sizeof text);
    assert_memory_equal(text, "api-usage=", 10);
}

static void csv_quotes_every_value_and_writes_null_as_nothing(void **state)
{
    struct bulk_world *w = *state;
    char path[120], id[TM_ID_BYTES], want[400];
    struct tm_org_set sets[] = { { "Name", org_text("a \"b\", c\nd") },
                                 { "AnnualRevenue", org_real(1200) },
                                 { NULL, org_null() } };
    org_one(w->f.org, TM_ORG_CREATE, TM_ORG_NORMAL, "Account", strcpy(id, ""), sets,
            ORG_ORIGIN_MS + 61000);
    query_job(w, path,
              "SELECT Id, Name, AnnualRevenue, Phone, IsDeleted, SystemModstamp, Owner.Name FROM "
              "Account");
    snprintf(want, sizeof want,
             "\"Id\",\"Name\",\"AnnualRevenue\",\"Phone\",\"IsDeleted\",\"SystemModstamp\","
             "\"Owner.Name\"\n\"%s\",\"a \"\"b\"\", c\nd\",\"1200.0\",\"\",\"false\","
             "\"2026-03-02T08:01:01.000Z\",\"\"\n",
             id);
    assert_string_equal(bulk_ask(w, "GET", bulk_sub(path, "/results"), NULL), want);
    job(w, path,
        "{\"operation\":\"query\",\"query\":\"SELECT Id, Phone FROM Account\",\"columnDelimiter\":"
        "\"TAB\",\"lineEnding\":\"CRLF\",\"contentType\":\"CSV\"}");
    snprintf(want, sizeof want, "\"Id\"\t\"Phone\"\r\n\"%s\"\t\"\"\r\n", id);
    assert_string_equal(bulk_ask(w, "GET", bulk_sub(path, "/results"), NULL), want);
    bulk_expect(w, bulk_ask(w, "GET", path, NULL), 200, "\"columnDelimiter\":\"TAB\"");
    deal(w);
    query_job(w, path, "SELECT Account.Name, Name, Account.Owner.Name FROM Opportunity");
    assert_string_equal(bulk_ask(w, "GET", bulk_sub(path, "/results"), NULL),
                        "\"Account.Name\",\"Name\",\"Account.Owner.Name\"\n\"Acme & "
                        "<Co>\",\"deal\",\"\"\n");
}

static void job_of_no_rows_has_a_header_and_nothing_else(void **state)
{
    struct bulk_world *w = *state;
    char path[120], text[40];
    query_job(w, path, "SELECT Id FROM Account");
    assert_string_equal(bulk_ask(w, "GET", bulk_sub(path, "/results?maxRecords=5"), NULL),
                        "\"Id\"\n");
    bulk_header(w, "Sforce-NumberOfRecords", text, sizeof text);
    assert_string_equal(text, "0");
    bulk_header(w, "Sforce-Locator", text, sizeof text);
    assert_string_equal(text, "null");
}

/* The handler's first word on a GET of results; the response is the caller's. */
static void begin(struct bulk_world *w, struct tm_mock_request *r, struct tm_mock_response *out,
                  const char *target)
{
    char authorization[200];
    snprintf(authorization, sizeof authorization, "Bearer %s", w->token);
    assert_int_equal(tm_mock_request_init(r, "GET", target, NULL, 0, NULL), TM_OK);
    assert_int_equal(tm_mock_pairs_add(&r->headers, "Authorization", authorization, NULL), TM_OK);
    r->now = w->now;
    tm_mock_response_init(out);
    w->handler.request(w->handler.self, r, out);
}

static void results_that_many_read_at_once_are_bounded_and_the_first_reader_has_them(void **state)
{
    struct bulk_world *w = *state;
    struct tm_mock_request first, second;
    struct tm_mock_response one, two;
    char path[120];
    bulk_world_serve(w, (struct tm_bulk_settings){ .pages_bytes_max = 100000 });
    bulk_world_fill(w, 9000);
    query_job(w, path, "SELECT Id, Name FROM Account");
    bulk_world_settle(w);
    begin(w, &first, &one, bulk_sub(path, "/results"));
    assert_int_equal(one.outcome, TM_MOCK_HOLD);
    begin(w, &second, &two, bulk_sub(path, "/results"));
    assert_int_equal(two.outcome, TM_MOCK_ANSWER);
    assert_int_equal(two.status, 503);
    while (one.outcome == TM_MOCK_HOLD) {
        uint64_t token = one.token;
        tm_mock_response_reset(&one);
        w->handler.resume(w->handler.self, &first, token, &one);
    }
    assert_int_equal(one.status, 200);
    tm_mock_response_free(&one);
    tm_mock_response_free(&two);
    tm_mock_request_free(&first);
    tm_mock_request_free(&second);
}

static void pages_follow_each_other_by_locator_across_chunks(void **state)
{
    struct bulk_world *w = *state;
    char path[120], target[240], locator[40] = "";
    unsigned rows = 0, pages = 0;
    bulk_world_fill(w, 1203);
    query_job(w, path, "SELECT Id, Name FROM Account ORDER BY Id");
    assert_true(bulk_world_settle(w) > 1);
    do {
        snprintf(target, sizeof target, "%s/results?maxRecords=333%s%s", path,
                 *locator != '\0' ? "&locator=" : "", locator);
        const char *body = bulk_ask(w, "GET", target, NULL);
        assert_memory_equal(body, "\"Id\",\"Name\"\n", 12);
        for (const char *at = strchr(body, '\n') + 1; *at != '\0'; at = strchr(at, '\n') + 1) {
            char want[40];
            snprintf(want, sizeof want, "\"Acme %u\"\n", rows++);
            assert_memory_equal(strchr(at, ',') + 1, want, strlen(want));
        }
        bulk_header(w, "Sforce-Locator", locator, sizeof locator);
        pages++;
        assert_true(pages < 10);
    } while (strcmp(locator, "null") != 0);
    assert_int_equal(rows, 1203);
    assert_int_equal(pages, 4);
    bulk_ask(w, "GET", bulk_sub(path, "/results?maxRecords=10"), NULL);
    bulk_header(w, "Sforce-Locator", locator, sizeof locator);
    assert_string_equal(locator, "MTA"); /* base64 of "10" */
    assert_non_null(
        strstr(bulk_ask(w, "GET", bulk_sub(path, "/results?locator=MTA&maxRecords=1"), NULL),
               "\"Acme 10\""));
}

static void result_pages_can_be_read_at_the_same_time(void **state)
{
    struct bulk_world *w = *state;
    char path[120];
    bulk_world_fill(w, 2);
    query_job(w, path, "SELECT Id FROM Account");
    bulk_expect(w, bulk_ask(w, "GET", bulk_sub(path, "/resultPages"), NULL), 200, "\"done\":true");
    json_t *json = bulk_told(w), *pages = json_object_get(json, "resultPages");
    assert_int_equal(json_array_size(pages), 1);
    char *url = strdup(json_string_value(json_object_get(json_array_get(pages, 0), "resultUrl")));
    json_decref(json);
    assert_int_equal(strncmp(bulk_ask(w, "GET", url, NULL), "\"Id\"\n", 5), 0);
    assert_int_equal(w->status, 200);
    free(url);
}

/* A long job is copied step by step, and shows the org as it was when it was made. */
static void rows_are_those_of_the_moment_the_job_was_made(void **state)
{
    struct bulk_world *w = *state;
    char path[120], id[TM_ID_BYTES], name[40];
    bulk_world_fill(w, 2000);
    query_job(w, path, "SELECT Name FROM Account ORDER BY Id");
    bulk_expect(w, bulk_ask(w, "GET", path, NULL), 200, "\"state\":\"InProgress\"");
    bulk_ask(w, "GET", bulk_sub(path, "/results"), NULL);
    assert_int_equal(w->status, 204);
    snprintf(id, sizeof id, "%s",
             org_ask(w->f.org, "SELECT Id FROM cur_Account ORDER BY Id DESC LIMIT 1",
                     (char[65536]){ "" }));
    struct tm_org_set sets[] = { { "Name", org_text("changed meanwhile") }, { NULL, org_null() } };
    assert_int_equal(
        org_one(w->f.org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", id, sets, ORG_ORIGIN_MS + 9000),
        TM_OK);
    org_make_account(w->f.org, strcpy(name, ""), "made meanwhile", ORG_ORIGIN_MS + 9000);
    bulk_world_settle(w);
    const char *body = bulk_ask(w, "GET", bulk_sub(path, "/results"), NULL);
    assert_null(strstr(body, "meanwhile"));
    assert_non_null(strstr(body, "\"Acme 1999\""));
    assert_true(w->answer.calls > 0);
}

static void job_takes_the_time_the_scenario_says(void **state)
{
    struct bulk_world *w = *state;
    char path[120];
    bulk_world_serve(w, (struct tm_bulk_settings){ .job_ns = 5 * TM_NS_PER_S });
    query_job(w, path, "SELECT Id FROM Account");
    w->now.wall_ns += 4 * TM_NS_PER_S;
    bulk_expect(w, bulk_ask(w, "GET", path, NULL), 200, "\"state\":\"InProgress\"");
    bulk_expect(w, bulk_ask(w, "DELETE", path, NULL), 400, "INVALIDJOBSTATE");
    w->now.wall_ns += TM_NS_PER_S;
    bulk_expect(w, bulk_ask(w, "GET", path, NULL), 200, "\"totalProcessingTime\":5000");
}

static void aborted_job_has_no_results_and_can_be_deleted(void **state)
{
    struct bulk_world *w = *state;
    char path[120];
    bulk_world_fill(w, 2000);
    query_job(w, path, "SELECT Id FROM Account");
    bulk_expect(w, bulk_ask(w, "PATCH", path, "{\"state\":\"Closed\"}"), 400, "API_ERROR");
    bulk_expect(w, bulk_ask(w, "PATCH", path, "{\"state\":\"Aborted\"}"), 200,
                "\"state\":\"Aborted\"");
    bulk_world_settle(w);
    bulk_expect(w, bulk_ask(w, "GET", bulk_sub(path, "/results"), NULL), 400, "INVALIDJOBSTATE");
    bulk_expect(w, bulk_ask(w, "PATCH", path, "{\"state\":\"Aborted\"}"), 400, "INVALIDJOBSTATE");
    bulk_ask(w, "DELETE", path, NULL);
    assert_int_equal(w->status, 204);
    bulk_expect(w, bulk_ask(w, "GET", path, NULL), 404, "NOT_FOUND");
}

static void query_all_shows_deleted_rows(void **state)
{
    struct bulk_world *w = *state;
    char path[120], id[TM_ID_BYTES];
    org_make_account(w->f.org, id, "gone", ORG_ORIGIN_MS);
    org_one(w->f.org, TM_ORG_DELETE, TM_ORG_NORMAL, "Account", id, NULL, ORG_ORIGIN_MS + 1000);
    query_job(w, path, "SELECT Name, IsDeleted FROM Account");
    assert_string_equal(bulk_ask(w, "GET", bulk_sub(path, "/results"), NULL),
                        "\"Name\",\"IsDeleted\"\n");
    job(w, path, "{\"operation\":\"queryAll\",\"query\":\"SELECT Name, IsDeleted FROM Account\"}");
    assert_string_equal(bulk_ask(w, "GET", bulk_sub(path, "/results"), NULL),
                        "\"Name\",\"IsDeleted\"\n\"gone\",\"true\"\n");
}

static void wrong_jobs_are_refused_with_their_reason(void **state)
{
    static const struct {
        const char *body, *code;
    } wrong[] = {
        { "x", "JSON_PARSER_ERROR" },
        { "[]", "JSON_PARSER_ERROR" },
        { "{\"operation\":\"query\"}", "API_ERROR" },
        { "{\"operation\":\"insert\",\"query\":\"SELECT Id FROM Account\"}", "API_ERROR" },
        { "{\"operation\":\"query\",\"query\":\"SELECT Id FROM Account\",\"queri\":1}",
          "JSON_PARSER_ERROR" },
        { "{\"operation\":\"query\",\"query\":\"SELECT Id FROM Account\",\"contentType\":"
          "\"JSON\"}",
          "API_ERROR" },
        { "{\"operation\":\"query\",\"query\":\"SELECT Id FROM Account\",\"columnDelimiter\":"
          "\"DOT\"}",
          "API_ERROR" },
        { "{\"operation\":\"query\",\"query\":\"SELECT Nope FROM Account\"}", "INVALID_FIELD" },
        { "{\"operation\":\"query\",\"query\":\"SELECT Id FROM Nope\"}", "INVALID_TYPE" },
        { "{\"operation\":\"query\",\"query\":\"SELEC\"}", "MALFORMED_QUERY" },
        { "{\"operation\":\"query\",\"query\":\"SELECT COUNT() FROM Account\"}",
          "Aggregate Relationships not supported in Bulk V2 Query with CSV content type" },
        { "{\"operation\":\"query\",\"query\":\"SELECT BillingAddress FROM Account\"}",
          "\"message\":\"Selecting compound data not supported in Bulk Query\"" },
        { "{\"operation\":\"query\",\"query\":\"SELECT Id FROM Account LIMIT 5 OFFSET 2\"}",
          "Implementation restriction" },
        { "{\"operation\":\"query\",\"query\":\"SELECT Name, COUNT(Id) FROM Account GROUP BY "
          "Name\"}",
          "Aggregate Relationships not supported" },
        { "{\"operation\":\"query\",\"query\":\"SELECT FIELDS(STANDARD) FROM Account\"}",
          "Implementation restriction" },
    };
    struct bulk_world *w = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        bulk_expect(w, bulk_ask(w, "POST", JOBS, wrong[i].body), 400, wrong[i].code);
    bulk_expect(w, bulk_ask(w, "GET", JOBS, NULL), 200,
                "\"records\":[]"); /* none of them left a job */
    bulk_expect(w, bulk_ask(w, "PUT", JOBS, ""), 405, "METHOD_NOT_ALLOWED");
    bulk_expect(w, bulk_ask(w, "GET", JOBS "/750000000000001AAA", NULL), 404, "NOT_FOUND");
    bulk_expect(w, bulk_ask(w, "GET", JOBS "/x", NULL), 404, "NOT_FOUND");
    bulk_expect(w, bulk_ask(w, "GET", "/services/data/v59.0/jobs/nope", NULL), 404, "NOT_FOUND");
}

static void wrong_pages_are_refused(void **state)
{
    struct bulk_world *w = *state;
    char path[120], other[160];
    bulk_world_fill(w, 5);
    query_job(w, path, "SELECT Id FROM Account");
    static const char *const wrong[] = { "locator=x", "locator=NQ", "locator=NTA", "locator=MA",
                                         "locator=LTE" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        bulk_expect(w, bulk_ask(w, "GET", bulk_sub(bulk_sub(path, "/results?"), wrong[i]), NULL),
                    400, "INVALID_LOCATOR");
    bulk_expect(w, bulk_ask(w, "GET", bulk_sub(path, "/results?maxRecords=0"), NULL), 400,
                "maxRecords");
    bulk_expect(w, bulk_ask(w, "GET", bulk_sub(path, "/results?maxRecords=1x"), NULL), 400,
                "maxRecords");
    snprintf(other, sizeof other, "/services/data/v60.0%s/results", strstr(path, "/jobs"));
    bulk_expect(w, bulk_ask(w, "GET", other, NULL), 409, "API version");
}

static void jobs_are_listed_and_forgotten_after_seven_days(void **state)
{
    struct bulk_world *w = *state;
    char path[120];
    query_job(w, path, "SELECT Id FROM Account");
    query_job(w, path, "SELECT Id FROM User");
    bulk_expect(w, bulk_ask(w, "GET", JOBS, NULL), 200, "\"done\":true");
    json_t *list = bulk_told(w);
    assert_int_equal(json_array_size(json_object_get(list, "records")), 2);
    json_decref(list);
    w->now.org_ms += 7 * DAY_MS;
    bulk_expect(w, bulk_ask(w, "GET", path, NULL), 200, "JobComplete");
    w->now.org_ms += 1;
    bulk_expect(w, bulk_ask(w, "GET", path, NULL), 404, "NOT_FOUND");
    bulk_expect(w, bulk_ask(w, "GET", JOBS, NULL), 200, "\"records\":[]");
}

static void limits_count_the_jobs_and_batches_of_a_day(void **state)
{
    struct bulk_world *w = *state;
    char path[120];
    query_job(w, path, "SELECT Id FROM Account");
    bulk_expect(w, bulk_ask(w, "GET", "/services/data/v59.0/limits", NULL), 200,
                "\"DailyBulkV2QueryJobs\":{\"Max\":10000,\"Remaining\":9999}");
    bulk_expect(w, w->body, 200, "\"DailyBulkApiBatches\":{\"Max\":15000,\"Remaining\":15000}");
    w->now.org_ms += DAY_MS;
    bulk_expect(w, bulk_ask(w, "GET", "/services/data/v59.0/limits", NULL), 200,
                "\"DailyBulkV2QueryJobs\":{\"Max\":10000,\"Remaining\":10000}");
}

/* More jobs than run at a time wait, and all of them end. */
static void jobs_beyond_those_that_run_wait_their_turn(void **state)
{
    struct bulk_world *w = *state;
    char paths[40][120];
    bulk_world_fill(w, 1100);
    for (int i = 0; i < 40; i++)
        query_job(w, paths[i], "SELECT Id FROM Account");
    bulk_expect(w, bulk_ask(w, "GET", paths[39], NULL), 200, "\"state\":\"UploadComplete\"");
    bulk_expect(w, bulk_ask(w, "DELETE", paths[39], NULL), 400, "INVALIDJOBSTATE");
    bulk_expect(w, bulk_ask(w, "PATCH", paths[38], "{\"state\":\"Aborted\"}"), 200, "Aborted");
    bulk_world_settle(w);
    for (int i = 0; i < 40; i++)
        bulk_expect(w, bulk_ask(w, "GET", paths[i], NULL), 200,
                    i == 38 ? "Aborted" : "JobComplete");
    json_t *info = bulk_told(w);
    assert_int_equal(json_integer_value(json_object_get(info, "numberRecordsProcessed")), 1100);
    json_decref(info);
}

/* ---- 1.0 ---- */

static void tap_reads_a_csv_job_by_json_and_its_batches_by_xml(void **state)
{
    struct bulk_world *w = *state;
    char jid[TM_ID_BYTES], bid[TM_ID_BYTES], rid[TM_ID_BYTES], target[200];
    bulk_world_fill(w, 2);
    bulk_async(w, "POST", ASYNC,
               "{\"operation\":\"queryAll\",\"object\":\"Account\",\"contentType\":\"CSV\"}", JSON);
    bulk_expect(w, w->body, 201, "\"state\":\"Open\"");
    assert_string_equal(w->type, "application/json");
    bulk_id_of(w, jid, "\"id\":\"");
    snprintf(target, sizeof target, ASYNC "/%s/batch", jid);
    bulk_async(w, "POST", target, "SELECT Name FROM Account ORDER BY Name",
               "Content-Type: text/csv");
    bulk_expect(w, w->body, 201,
                "<batchInfo xmlns=\"http://www.force.com/2009/06/asyncapi/dataload\">");
    bulk_id_of(w, bid, "<id>");
    bulk_async(w, "POST", bulk_sub(ASYNC "/", jid), "{\"state\":\"Closed\"}", JSON);
    bulk_expect(w, w->body, 200, "\"state\":\"Closed\"");
    snprintf(target, sizeof target, ASYNC "/%s/batch/%s", jid, bid);
    bulk_expect(w, bulk_async(w, "GET", target, NULL, JSON), 200, "<state>Completed</state>");
    bulk_expect(w, bulk_async(w, "GET", bulk_sub(target, "/result"), NULL, JSON), 200,
                "<result-list xmlns=");
    bulk_id_of(w, rid, "<result>");
    assert_memory_equal(rid, "752", 3);
    assert_string_equal(
        bulk_async(w, "GET", bulk_sub(bulk_sub(target, "/result/"), rid), NULL, JSON),
        "\"Name\"\n\"Acme 0\"\n\"Acme 1\"\n");
    assert_string_equal(bulk_async(w, "GET", bulk_sub(target, "/request"), NULL, NULL),
                        "SELECT Name FROM Account ORDER BY Name");
    bulk_expect(w, bulk_async(w, "GET", bulk_sub(ASYNC "/", jid), NULL, JSON), 200,
                "\"numberBatchesCompleted\":1");
    bulk_expect(w, bulk_ask(w, "GET", "/services/data/v59.0/limits", NULL), 200,
                "\"DailyBulkApiBatches\":{\"Max\":15000,\"Remaining\":14999}");
    snprintf(target, sizeof target, ASYNC "/%s/batch", jid);
    bulk_expect(w, bulk_async(w, "POST", target, "SELECT Id FROM Account", NULL), 400,
                "InvalidJobState");
}

static void json_job_answers_in_json_with_times_as_numbers(void **state)
{
    struct bulk_world *w = *state;
    char jid[TM_ID_BYTES], bid[TM_ID_BYTES], target[200], rid[TM_ID_BYTES];
    deal(w);
    bulk_async(w, "POST", ASYNC,
               "{\"operation\":\"query\",\"object\":\"Opportunity\",\"contentType\":\"JSON\"}",
               JSON);
    bulk_id_of(w, jid, "\"id\":\"");
    snprintf(target, sizeof target, ASYNC "/%s/batch", jid);
    bulk_async(w, "POST", target,
               "SELECT Name, SystemModstamp, Description, Account.Name, CloseDate FROM Opportunity",
               JSON);
    bulk_id_of(w, bid, "\"id\":\"");
    snprintf(target, sizeof target, ASYNC "/%s/batch/%s", jid, bid);
    bulk_expect(w, bulk_async(w, "GET", target, NULL, NULL), 200, "\"state\":\"Completed\"");
    bulk_expect(w, bulk_async(w, "GET", bulk_sub(target, "/result"), NULL, NULL), 200, "[\"752");
    bulk_id_of(w, rid, "[\"");
    bulk_async(w, "GET", bulk_sub(bulk_sub(target, "/result/"), rid), NULL, NULL);
    json_t *rows = bulk_told(w), *row = json_array_get(rows, 0);
    assert_int_equal(json_array_size(rows), 1);
    assert_int_equal(json_integer_value(json_object_get(row, "SystemModstamp")), ORG_ORIGIN_MS);
    assert_memory_equal(
        json_string_value(json_object_get(json_object_get(row, "attributes"), "url")),
        "/services/data/v59.0/sobjects/Opportunity/006", 45);
    assert_true(json_is_null(json_object_get(row, "Description")));
    assert_string_equal(json_string_value(json_object_get(json_object_get(row, "Account"), "Name")),
                        "Acme & <Co>");
    assert_int_equal(json_integer_value(json_object_get(row, "CloseDate")) % DAY_MS, 0);
    json_decref(rows);
}

static void xml_job_answers_in_xml(void **state)
{
    struct bulk_world *w = *state;
    char jid[TM_ID_BYTES], bid[TM_ID_BYTES], target[200], rid[TM_ID_BYTES];
    deal(w);
    bulk_async(w, "POST", ASYNC,
               "<?xml version=\"1.0\"?><jobInfo><operation>query</operation>"
               "<object>Opportunity</object><contentType>XML</contentType></jobInfo>",
               XML);
    bulk_expect(w, w->body, 201, "<state>Open</state>");
    bulk_id_of(w, jid, "<id>");
    snprintf(target, sizeof target, ASYNC "/%s/batch", jid);
    bulk_async(w, "POST", target, "SELECT Name, Description, Account.Name FROM Opportunity", XML);
    bulk_id_of(w, bid, "<id>");
    bulk_expect(w, bulk_async(w, "GET", target, NULL, NULL), 200, "<batchInfoList xmlns=");
    snprintf(target, sizeof target, ASYNC "/%s/batch/%s/result", jid, bid);
    bulk_async(w, "GET", target, NULL, NULL);
    bulk_id_of(w, rid, "<result>");
    bulk_expect(
        w, bulk_async(w, "GET", bulk_sub(bulk_sub(target, "/"), rid), NULL, NULL), 200,
        "<records xsi:type=\"sObject\"><type>Opportunity</type><Name>deal</Name><Description "
        "xsi:nil=\"true\"/><Account xsi:type=\"sObject\"><type>Account</type><Name>Acme &amp; "
        "&lt;Co&gt;</Name></Account></records></queryResult>");
}

static void pk_chunking_makes_a_batch_a_chunk_and_leaves_the_first_out(void **state)
{
    struct bulk_world *w = *state;
    char jid[TM_ID_BYTES], session[200], target[240], rid[TM_ID_BYTES];
    const char *const headers[] = { session, JSON,
                                    "Sforce-Enable-PKChunking: chunkSize=4; parent=Account", NULL };
    unsigned batches = 0, rows = 0;
    snprintf(session, sizeof session, "X-SFDC-Session: %s", w->token);
    bulk_world_fill(w, 10);
    bulk_send(w, "POST", ASYNC,
              "{\"operation\":\"query\",\"object\":\"Account\",\"contentType\":\"CSV\"}", headers);
    bulk_id_of(w, jid, "\"id\":\"");
    snprintf(target, sizeof target, ASYNC "/%s/batch", jid);
    bulk_async(w, "POST", target, "SELECT Id FROM Account where Name != 'a WHERE b'", NULL);
    bulk_expect(w, w->body, 201, "<state>NotProcessed</state>");
    char *list = strdup(bulk_async(w, "GET", target, NULL, NULL));
    for (const char *at = list; (at = strstr(at, "<batchInfo><id>")) != NULL; at++, batches++) {
        if (batches == 0)
            continue;
        snprintf(target, sizeof target, ASYNC "/%s/batch/%.18s/result", jid,
                 at + strlen("<batchInfo><id>"));
        bulk_async(w, "GET", target, NULL, NULL);
        bulk_id_of(w, rid, "<result>");
        const char *body = bulk_async(w, "GET", bulk_sub(bulk_sub(target, "/"), rid), NULL, NULL);
        for (const char *line = body; (line = strchr(line, '\n')) != NULL; line++)
            rows++;
        rows--; /* the header */
    }
    free(list);
    assert_int_equal(batches, 1 + 3);
    assert_int_equal(rows, 10);
    snprintf(target, sizeof target, ASYNC "/%s/batch", jid);
    bulk_async(w, "POST", target, "SELECT Id FROM Account LIMIT 3", NULL);
    bulk_expect(w, w->body, 201, "PK chunking takes queries with no clause behind WHERE");
}

/* A job's info, chunked by chunkSize; the path of its batches. */
static void chunked(struct bulk_world *w, char target[200], const char *size)
{
    char jid[TM_ID_BYTES], session[200];
    const char *const headers[] = { session, JSON, size, NULL };
    snprintf(session, sizeof session, "X-SFDC-Session: %s", w->token);
    bulk_send(w, "POST", ASYNC,
              "{\"operation\":\"query\",\"object\":\"Account\",\"contentType\":\"CSV\"}", headers);
    bulk_id_of(w, jid, "\"id\":\"");
    snprintf(target, 200, ASYNC "/%s/batch", jid);
}

/* All chunks, or none: of 2,000 batches a job, and of those of a day. */
static void chunks_beyond_a_limit_are_refused_before_any_is_queued(void **state)
{
    struct bulk_world *w = *state;
    char target[200];
    bulk_world_fill(w, 2000);
    chunked(w, target, "Sforce-Enable-PKChunking: chunkSize=1");
    bulk_expect(w, bulk_async(w, "POST", target, "SELECT Id FROM Account", NULL), 400,
                "ExceededQuota");
    bulk_expect(w, w->body, 400, "take a larger chunkSize");
    assert_null(strstr(bulk_async(w, "GET", target, NULL, NULL), "<batchInfo>"));
    bulk_expect(w, bulk_ask(w, "GET", "/services/data/v59.0/limits", NULL), 200,
                "\"DailyBulkApiBatches\":{\"Max\":15000,\"Remaining\":15000}");
    for (int i = 0; i < 14; i++) { /* 1,001 batches each */
        chunked(w, target, "Sforce-Enable-PKChunking: chunkSize=2");
        bulk_expect(w, bulk_async(w, "POST", target, "SELECT Id FROM Account", NULL), 201,
                    "NotProcessed");
    }
    chunked(w, target, "Sforce-Enable-PKChunking: chunkSize=2");
    bulk_expect(w, bulk_async(w, "POST", target, "SELECT Id FROM Account", NULL), 400,
                "ApiBatchItems Limit exceeded.");
    assert_null(strstr(bulk_async(w, "GET", target, NULL, NULL), "<batchInfo>"));
}

static void query_that_is_wrong_fails_its_batch(void **state)
{
    static const struct {
        const char *soql, *why;
    } wrong[] = {
        { "SELECT Nope FROM Account", "InvalidBatch : Failed to process query: INVALID_FIELD: " },
        { "SELECT Id FROM User", "INVALID_TYPE" },
        { "", "MALFORMED_QUERY" },
        { "SELECT BillingAddress FROM Account",
          "InvalidBatch : Failed to process query: FUNCTIONALITY_NOT_ENABLED: Selecting compound "
          "data not supported in Bulk Query" },
    };
    struct bulk_world *w = *state;
    char jid[TM_ID_BYTES], bid[TM_ID_BYTES], target[200];
    bulk_async(w, "POST", ASYNC,
               "{\"operation\":\"query\",\"object\":\"account\",\"contentType\":\"CSV\"}", JSON);
    bulk_expect(w, w->body, 201, "\"object\":\"Account\"");
    bulk_id_of(w, jid, "\"id\":\"");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(target, sizeof target, ASYNC "/%s/batch", jid);
        bulk_async(w, "POST", target, wrong[i].soql, NULL);
        bulk_id_of(w, bid, "<id>");
        snprintf(target, sizeof target, ASYNC "/%s/batch/%s", jid, bid);
        bulk_expect(w, bulk_async(w, "GET", target, NULL, NULL), 200, "<state>Failed</state>");
        bulk_expect(w, w->body, 200, wrong[i].why);
        bulk_expect(w, bulk_async(w, "GET", bulk_sub(target, "/result"), NULL, NULL), 400,
                    "InvalidBatch");
    }
    bulk_async(w, "POST", bulk_sub(ASYNC "/", jid), "{\"state\":\"Aborted\"}", JSON);
    bulk_expect(w, w->body, 200, "\"state\":\"Aborted\"");
    bulk_async(w, "POST", bulk_sub(ASYNC "/", jid), "{\"state\":\"Closed\"}", JSON);
    bulk_expect(w, w->body, 400, "InvalidJobState");
}

static void wrong_requests_of_1_0_get_its_error_codes(void **state)
{
    static const struct {
        const char *body, *type, *code;
    } wrong[] = {
        { "{", JSON, "{\"exceptionCode\":\"ClientInputError\"" },
        { "{\"operation\":\"query\",\"object\":\"Nope\",\"contentType\":\"CSV\"}", JSON,
          "InvalidEntity" },
        { "{\"operation\":\"query\",\"object\":\"Account\",\"contentType\":\"ZIP_CSV\"}", JSON,
          "InvalidJob" },
        { "{\"operation\":\"hardDelete\",\"object\":\"Account\",\"contentType\":\"CSV\"}", JSON,
          "FeatureNotEnabled" },
        { "{\"operation\":[],\"object\":\"Account\"}", JSON, "ClientInputError" },
        { "<jobInfo", XML, "<exceptionCode>InvalidXML</exceptionCode>" },
        { "<other/>", XML, "InvalidXML" },
        { "<jobInfo><a><b/></a></jobInfo>", XML, "InvalidXML" },
        { "<!DOCTYPE j [<!ENTITY x \"y\">]><jobInfo><operation>&x;</operation></jobInfo>", XML,
          "DOCTYPE is not allowed" },
        { "", NULL, "InvalidXML" },
    };
    struct bulk_world *w = *state;
    const char *const nobody[] = { "X-SFDC-Session: no", NULL };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        bulk_expect(w, bulk_async(w, "POST", ASYNC, wrong[i].body, wrong[i].type), 400,
                    wrong[i].code);
    bulk_send(w, "GET", ASYNC "/x", NULL, nobody);
    bulk_expect(w, w->body, 400, "<exceptionCode>InvalidSessionId</exceptionCode>");
    bulk_async(w, "GET", ASYNC "/750000000000001AAA", NULL, JSON);
    bulk_expect(w, w->body, 400, "\"exceptionCode\":\"InvalidJob\"");
    assert_string_equal(w->type, "application/json");
    bulk_expect(w, bulk_async(w, "GET", "/services/async/59.0/nope", NULL, NULL), 400,
                "InvalidUrl");
    bulk_expect(w, bulk_async(w, "GET", "/services/async/1.0/job", NULL, NULL), 400, "InvalidUrl");
    bulk_expect(w, bulk_async(w, "DELETE", ASYNC, NULL, NULL), 405, "InvalidOperation");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(job_is_complete_at_the_first_poll_and_its_page_says_null),
        IN_A_WORLD(csv_quotes_every_value_and_writes_null_as_nothing),
        IN_A_WORLD(job_of_no_rows_has_a_header_and_nothing_else),
        IN_A_WORLD(results_that_many_read_at_once_are_bounded_and_the_first_reader_has_them),
        IN_A_WORLD(pages_follow_each_other_by_locator_across_chunks),
        IN_A_WORLD(result_pages_can_be_read_at_the_same_time),
        IN_A_WORLD(rows_are_those_of_the_moment_the_job_was_made),
        IN_A_WORLD(job_takes_the_time_the_scenario_says),
        IN_A_WORLD(aborted_job_has_no_results_and_can_be_deleted),
        IN_A_WORLD(query_all_shows_deleted_rows),
        IN_A_WORLD(wrong_jobs_are_refused_with_their_reason),
        IN_A_WORLD(wrong_pages_are_refused),
        IN_A_WORLD(jobs_are_listed_and_forgotten_after_seven_days),
        IN_A_WORLD(limits_count_the_jobs_and_batches_of_a_day),
        IN_A_WORLD(jobs_beyond_those_that_run_wait_their_turn),
        IN_A_WORLD(tap_reads_a_csv_job_by_json_and_its_batches_by_xml),
        IN_A_WORLD(json_job_answers_in_json_with_times_as_numbers),
        IN_A_WORLD(xml_job_answers_in_xml),
        IN_A_WORLD(pk_chunking_makes_a_batch_a_chunk_and_leaves_the_first_out),
        IN_A_WORLD(chunks_beyond_a_limit_are_refused_before_any_is_queued),
        IN_A_WORLD(query_that_is_wrong_fails_its_batch),
        IN_A_WORLD(wrong_requests_of_1_0_get_its_error_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
