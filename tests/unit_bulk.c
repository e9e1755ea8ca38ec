/* The mock's Bulk APIs, through the one handler a server and a simulation call. Virtual time. */
#include "mocks/salesforce/routes.h"
#include "tests/support_org.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define JOBS "/services/data/v59.0/jobs/query"
#define ASYNC "/services/async/59.0/job"
#define DAY_MS 86400000LL
#define JSON "Content-Type: application/json"
#define XML "Content-Type: application/xml"
#define RESUMES_MAX 10000

struct world {
    struct org_fixture f;
    struct tm_salesforce *salesforce;
    struct tm_mock_handler handler;
    struct tm_now now;
    char token[120];
    int status; /* of the last answer */
    char headers[1000], type[80];
    char *body;     /* owned */
    unsigned calls; /* of the handler, for the last answer */
};

static void header(struct world *w, const char *name, char *out, size_t bytes)
{
    const char *at = strstr(w->headers, name);
    out[0] = '\0';
    if (at != NULL)
        snprintf(out, bytes, "%.*s", (int)strcspn(at + strlen(name) + 2, "\n"),
                 at + strlen(name) + 2);
}

static void add_header(struct tm_mock_request *r, const char *line)
{
    char name[80];
    const char *colon = strchr(line, ':');
    snprintf(name, sizeof name, "%.*s", (int)(colon - line), line);
    assert_int_equal(tm_mock_pairs_add(&r->headers, name, colon + 2, NULL), TM_OK);
}

/* The body of the answer; headers: lines, NULL-terminated. */
static const char *send(struct world *w, const char *method, const char *target, const char *body,
                        const char *const *headers)
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    assert_int_equal(
        tm_mock_request_init(&r, method, target, body, body != NULL ? strlen(body) : 0, NULL),
        TM_OK);
    r.now = w->now;
    for (; headers != NULL && *headers != NULL; headers++)
        add_header(&r, *headers);
    tm_mock_response_init(&out);
    w->handler.request(w->handler.self, &r, &out);
    for (w->calls = 1; out.outcome == TM_MOCK_HOLD && w->calls < RESUMES_MAX; w->calls++) {
        uint64_t token = out.token;
        tm_mock_response_reset(&out);
        w->handler.resume(w->handler.self, &r, token, &out);
    }
    assert_int_equal(out.outcome, TM_MOCK_ANSWER);
    w->status = out.status;
    snprintf(w->headers, sizeof w->headers, "%s", tm_buf_text(&out.headers));
    header(w, "Content-Type", w->type, sizeof w->type);
    free(w->body);
    w->body = strdup(tm_buf_text(&out.body));
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
    return w->body;
}

static const char *ask(struct world *w, const char *method, const char *target, const char *body)
{
    char authorization[200];
    const char *const headers[] = { authorization, NULL };
    snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", w->token);
    return send(w, method, target, body, headers);
}

static const char *async(struct world *w, const char *method, const char *target, const char *body,
                         const char *more)
{
    char session[200];
    const char *const headers[] = { session, more, NULL };
    snprintf(session, sizeof session, "X-SFDC-Session: %s", w->token);
    return send(w, method, target, body, headers);
}

static json_t *told(struct world *w)
{
    json_t *json = json_loads(w->body, JSON_DECODE_ANY, NULL);
    if (json == NULL)
        fail_msg("not JSON: %s", w->body);
    return json;
}

static void expect(struct world *w, const char *body, int status, const char *code)
{
    if (w->status != status || strstr(body, code) == NULL)
        fail_msg("%d, not %d %s: %s", w->status, status, code, body);
}

static void serve(struct world *w, int64_t job_ns)
{
    struct tm_salesforce_settings settings = { .oauth = { .seeded = true, .seed = 9 },
                                               .bulk = { .job_ns = job_ns } };
    tm_salesforce_close(w->salesforce);
    assert_int_equal(tm_salesforce_open(&w->salesforce, w->f.org, &settings, NULL), TM_OK);
    w->handler = tm_salesforce_handler(w->salesforce);
    send(w, "POST", "/services/oauth2/token",
         "grant_type=client_credentials&client_id=tidemark-consumer-key&"
         "client_secret=tidemark-consumer-secret",
         NULL);
    json_t *json = told(w);
    snprintf(w->token, sizeof w->token, "%s",
             json_string_value(json_object_get(json, "access_token")));
    json_decref(json);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    org_fixture_open(&w->f);
    w->now = (struct tm_now){ ORG_ORIGIN_MS + 3600000, TM_NS_PER_S };
    serve(w, 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    tm_salesforce_close(w->salesforce);
    org_fixture_close(&w->f);
    free(w->body);
    free(w);
    return 0;
}
#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static void fill(struct world *w, int accounts)
{
    char id[TM_ID_BYTES], name[32];
    for (int i = 0; i < accounts; i++) {
        snprintf(name, sizeof name, "Acme %d", i);
        org_make_account(w->f.org, id, name, ORG_ORIGIN_MS);
    }
}

/* Steps until nothing is to do. */
static unsigned settle(struct world *w)
{
    unsigned steps = 0;
    for (struct tm_wake wake = { TM_NEVER, 0 }; wake.wall_ns != TM_NEVER; steps++) {
        wake.wall_ns = TM_NEVER;
        tm_salesforce_step(w->salesforce, &w->now, &wake);
        assert_true(steps < RESUMES_MAX);
    }
    return steps;
}

/* A 2.0 job; its path. */
static const char *job(struct world *w, char path[120], const char *body)
{
    expect(w, ask(w, "POST", JOBS, body), 200, "\"state\":\"UploadComplete\"");
    json_t *json = told(w);
    const char *id = json_string_value(json_object_get(json, "id"));
    assert_int_equal(strlen(id), 18);
    assert_memory_equal(id, "750", 3);
    snprintf(path, 120, JOBS "/%s", id);
    json_decref(json);
    return path;
}

static const char *query_job(struct world *w, char path[120], const char *soql)
{
    char body[600];
    snprintf(body, sizeof body, "{\"operation\":\"query\",\"query\":\"%s\"}", soql);
    return job(w, path, body);
}

/* Eight at a time. */
static const char *sub(const char *path, const char *rest)
{
    static char *text[8];
    static unsigned at;
    struct tm_buf made;
    tm_buf_init(&made, 1000);
    tm_buf_addz(&made, path);
    tm_buf_addz(&made, rest);
    free(text[++at % 8]);
    return text[at % 8] = made.data;
}

static void deal(struct world *w)
{
    char account[TM_ID_BYTES], id[TM_ID_BYTES];
    org_make_account(w->f.org, account, "Acme & <Co>", ORG_ORIGIN_MS);
    org_make_opportunity(w->f.org, id, "deal", account, ORG_ORIGIN_MS);
}

/* ---- 2.0 ---- */

static void job_is_complete_at_the_first_poll_and_its_page_says_null(void **state)
{
    struct world *w = *state;
    char path[120], text[40];
    fill(w, 3);
    query_job(w, path, "SELECT Name FROM Account ORDER BY Name");
    expect(w, ask(w, "GET", path, NULL), 200, "\"state\":\"JobComplete\"");
    json_t *info = told(w);
    assert_string_equal(json_string_value(json_object_get(info, "object")), "Account");
    assert_string_equal(json_string_value(json_object_get(info, "jobType")), "V2Query");
    assert_int_equal(json_integer_value(json_object_get(info, "numberRecordsProcessed")), 3);
    assert_true(json_real_value(json_object_get(info, "apiVersion")) == 59.0);
    json_decref(info);
    assert_string_equal(ask(w, "GET", sub(path, "/results"), NULL),
                        "\"Name\"\n\"Acme 0\"\n\"Acme 1\"\n\"Acme 2\"\n");
    assert_int_equal(w->status, 200);
    assert_string_equal(w->type, "text/csv");
    header(w, "Sforce-NumberOfRecords", text, sizeof text);
    assert_string_equal(text, "3");
    header(w, "Sforce-Locator", text, sizeof text);
    assert_string_equal(text, "null");
    header(w, "Sforce-Limit-Info", text, sizeof text);
    assert_memory_equal(text, "api-usage=", 10);
}

static void csv_quotes_every_value_and_writes_null_as_nothing(void **state)
{
    struct world *w = *state;
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
    assert_string_equal(ask(w, "GET", sub(path, "/results"), NULL), want);
    job(w, path,
        "{\"operation\":\"query\",\"query\":\"SELECT Id, Phone FROM Account\",\"columnDelimiter\":"
        "\"TAB\",\"lineEnding\":\"CRLF\",\"contentType\":\"CSV\"}");
    snprintf(want, sizeof want, "\"Id\"\t\"Phone\"\r\n\"%s\"\t\"\"\r\n", id);
    assert_string_equal(ask(w, "GET", sub(path, "/results"), NULL), want);
    expect(w, ask(w, "GET", path, NULL), 200, "\"columnDelimiter\":\"TAB\"");
    deal(w);
    query_job(w, path, "SELECT Account.Name, Name, Account.Owner.Name FROM Opportunity");
    assert_string_equal(ask(w, "GET", sub(path, "/results"), NULL),
                        "\"Account.Name\",\"Name\",\"Account.Owner.Name\"\n\"Acme & "
                        "<Co>\",\"deal\",\"\"\n");
}

static void job_of_no_rows_has_a_header_and_nothing_else(void **state)
{
    struct world *w = *state;
    char path[120], text[40];
    query_job(w, path, "SELECT Id FROM Account");
    assert_string_equal(ask(w, "GET", sub(path, "/results?maxRecords=5"), NULL), "\"Id\"\n");
    header(w, "Sforce-NumberOfRecords", text, sizeof text);
    assert_string_equal(text, "0");
    header(w, "Sforce-Locator", text, sizeof text);
    assert_string_equal(text, "null");
}

static void pages_follow_each_other_by_locator_across_chunks(void **state)
{
    struct world *w = *state;
    char path[120], target[240], locator[40] = "";
    unsigned rows = 0, pages = 0;
    fill(w, 1203);
    query_job(w, path, "SELECT Id, Name FROM Account ORDER BY Id");
    assert_true(settle(w) > 1);
    do {
        snprintf(target, sizeof target, "%s/results?maxRecords=333%s%s", path,
                 *locator != '\0' ? "&locator=" : "", locator);
        const char *body = ask(w, "GET", target, NULL);
        assert_memory_equal(body, "\"Id\",\"Name\"\n", 12);
        for (const char *at = strchr(body, '\n') + 1; *at != '\0'; at = strchr(at, '\n') + 1) {
            char want[40];
            snprintf(want, sizeof want, "\"Acme %u\"\n", rows++);
            assert_memory_equal(strchr(at, ',') + 1, want, strlen(want));
        }
        header(w, "Sforce-Locator", locator, sizeof locator);
        pages++;
        assert_true(pages < 10);
    } while (strcmp(locator, "null") != 0);
    assert_int_equal(rows, 1203);
    assert_int_equal(pages, 4);
    ask(w, "GET", sub(path, "/results?maxRecords=10"), NULL);
    header(w, "Sforce-Locator", locator, sizeof locator);
    assert_string_equal(locator, "MTA"); /* base64 of "10" */
    assert_non_null(
        strstr(ask(w, "GET", sub(path, "/results?locator=MTA&maxRecords=1"), NULL), "\"Acme 10\""));
}

static void result_pages_can_be_read_at_the_same_time(void **state)
{
    struct world *w = *state;
    char path[120];
    fill(w, 2);
    query_job(w, path, "SELECT Id FROM Account");
    expect(w, ask(w, "GET", sub(path, "/resultPages"), NULL), 200, "\"done\":true");
    json_t *json = told(w), *pages = json_object_get(json, "resultPages");
    assert_int_equal(json_array_size(pages), 1);
    char *url = strdup(json_string_value(json_object_get(json_array_get(pages, 0), "resultUrl")));
    json_decref(json);
    assert_int_equal(strncmp(ask(w, "GET", url, NULL), "\"Id\"\n", 5), 0);
    assert_int_equal(w->status, 200);
    free(url);
}

/* A long job is copied step by step, and shows the org as it was when it was made. */
static void rows_are_those_of_the_moment_the_job_was_made(void **state)
{
    struct world *w = *state;
    char path[120], id[TM_ID_BYTES], name[40];
    fill(w, 2000);
    query_job(w, path, "SELECT Name FROM Account ORDER BY Id");
    expect(w, ask(w, "GET", path, NULL), 200, "\"state\":\"InProgress\"");
    ask(w, "GET", sub(path, "/results"), NULL);
    assert_int_equal(w->status, 204);
    snprintf(id, sizeof id, "%s",
             org_ask(w->f.org, "SELECT Id FROM cur_Account ORDER BY Id DESC LIMIT 1",
                     (char[65536]){ "" }));
    struct tm_org_set sets[] = { { "Name", org_text("changed meanwhile") }, { NULL, org_null() } };
    assert_int_equal(
        org_one(w->f.org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", id, sets, ORG_ORIGIN_MS + 9000),
        TM_OK);
    org_make_account(w->f.org, strcpy(name, ""), "made meanwhile", ORG_ORIGIN_MS + 9000);
    settle(w);
    const char *body = ask(w, "GET", sub(path, "/results"), NULL);
    assert_null(strstr(body, "meanwhile"));
    assert_non_null(strstr(body, "\"Acme 1999\""));
    assert_true(w->calls > 0);
}

static void job_takes_the_time_the_scenario_says(void **state)
{
    struct world *w = *state;
    char path[120];
    serve(w, 5 * TM_NS_PER_S);
    query_job(w, path, "SELECT Id FROM Account");
    w->now.wall_ns += 4 * TM_NS_PER_S;
    expect(w, ask(w, "GET", path, NULL), 200, "\"state\":\"InProgress\"");
    expect(w, ask(w, "DELETE", path, NULL), 400, "INVALIDJOBSTATE");
    w->now.wall_ns += TM_NS_PER_S;
    expect(w, ask(w, "GET", path, NULL), 200, "\"totalProcessingTime\":5000");
}

static void aborted_job_has_no_results_and_can_be_deleted(void **state)
{
    struct world *w = *state;
    char path[120];
    fill(w, 2000);
    query_job(w, path, "SELECT Id FROM Account");
    expect(w, ask(w, "PATCH", path, "{\"state\":\"Closed\"}"), 400, "API_ERROR");
    expect(w, ask(w, "PATCH", path, "{\"state\":\"Aborted\"}"), 200, "\"state\":\"Aborted\"");
    settle(w);
    expect(w, ask(w, "GET", sub(path, "/results"), NULL), 400, "INVALIDJOBSTATE");
    expect(w, ask(w, "PATCH", path, "{\"state\":\"Aborted\"}"), 400, "INVALIDJOBSTATE");
    ask(w, "DELETE", path, NULL);
    assert_int_equal(w->status, 204);
    expect(w, ask(w, "GET", path, NULL), 404, "NOT_FOUND");
}

static void query_all_shows_deleted_rows(void **state)
{
    struct world *w = *state;
    char path[120], id[TM_ID_BYTES];
    org_make_account(w->f.org, id, "gone", ORG_ORIGIN_MS);
    org_one(w->f.org, TM_ORG_DELETE, TM_ORG_NORMAL, "Account", id, NULL, ORG_ORIGIN_MS + 1000);
    query_job(w, path, "SELECT Name, IsDeleted FROM Account");
    assert_string_equal(ask(w, "GET", sub(path, "/results"), NULL), "\"Name\",\"IsDeleted\"\n");
    job(w, path, "{\"operation\":\"queryAll\",\"query\":\"SELECT Name, IsDeleted FROM Account\"}");
    assert_string_equal(ask(w, "GET", sub(path, "/results"), NULL),
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
    struct world *w = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        expect(w, ask(w, "POST", JOBS, wrong[i].body), 400, wrong[i].code);
    expect(w, ask(w, "GET", JOBS, NULL), 200, "\"records\":[]"); /* none of them left a job */
    expect(w, ask(w, "PUT", JOBS, ""), 405, "METHOD_NOT_ALLOWED");
    expect(w, ask(w, "GET", JOBS "/750000000000001AAA", NULL), 404, "NOT_FOUND");
    expect(w, ask(w, "GET", JOBS "/x", NULL), 404, "NOT_FOUND");
    expect(w, ask(w, "GET", "/services/data/v59.0/jobs/nope", NULL), 404, "NOT_FOUND");
}

static void wrong_pages_are_refused(void **state)
{
    struct world *w = *state;
    char path[120], other[160];
    fill(w, 5);
    query_job(w, path, "SELECT Id FROM Account");
    static const char *const wrong[] = { "locator=x", "locator=NQ", "locator=NTA", "locator=MA",
                                         "locator=LTE" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        expect(w, ask(w, "GET", sub(sub(path, "/results?"), wrong[i]), NULL), 400,
               "INVALID_LOCATOR");
    expect(w, ask(w, "GET", sub(path, "/results?maxRecords=0"), NULL), 400, "maxRecords");
    expect(w, ask(w, "GET", sub(path, "/results?maxRecords=1x"), NULL), 400, "maxRecords");
    snprintf(other, sizeof other, "/services/data/v60.0%s/results", strstr(path, "/jobs"));
    expect(w, ask(w, "GET", other, NULL), 409, "API version");
}

static void jobs_are_listed_and_forgotten_after_seven_days(void **state)
{
    struct world *w = *state;
    char path[120];
    query_job(w, path, "SELECT Id FROM Account");
    query_job(w, path, "SELECT Id FROM User");
    expect(w, ask(w, "GET", JOBS, NULL), 200, "\"done\":true");
    json_t *list = told(w);
    assert_int_equal(json_array_size(json_object_get(list, "records")), 2);
    json_decref(list);
    w->now.org_ms += 7 * DAY_MS;
    expect(w, ask(w, "GET", path, NULL), 200, "JobComplete");
    w->now.org_ms += 1;
    expect(w, ask(w, "GET", path, NULL), 404, "NOT_FOUND");
    expect(w, ask(w, "GET", JOBS, NULL), 200, "\"records\":[]");
}

static void limits_count_the_jobs_and_batches_of_a_day(void **state)
{
    struct world *w = *state;
    char path[120];
    query_job(w, path, "SELECT Id FROM Account");
    expect(w, ask(w, "GET", "/services/data/v59.0/limits", NULL), 200,
           "\"DailyBulkV2QueryJobs\":{\"Max\":10000,\"Remaining\":9999}");
    expect(w, w->body, 200, "\"DailyBulkApiBatches\":{\"Max\":15000,\"Remaining\":15000}");
    w->now.org_ms += DAY_MS;
    expect(w, ask(w, "GET", "/services/data/v59.0/limits", NULL), 200,
           "\"DailyBulkV2QueryJobs\":{\"Max\":10000,\"Remaining\":10000}");
}

/* More jobs than run at a time wait, and all of them end. */
static void jobs_beyond_those_that_run_wait_their_turn(void **state)
{
    struct world *w = *state;
    char paths[40][120];
    fill(w, 1100);
    for (int i = 0; i < 40; i++)
        query_job(w, paths[i], "SELECT Id FROM Account");
    expect(w, ask(w, "GET", paths[39], NULL), 200, "\"state\":\"UploadComplete\"");
    expect(w, ask(w, "DELETE", paths[39], NULL), 400, "INVALIDJOBSTATE");
    expect(w, ask(w, "PATCH", paths[38], "{\"state\":\"Aborted\"}"), 200, "Aborted");
    settle(w);
    for (int i = 0; i < 40; i++)
        expect(w, ask(w, "GET", paths[i], NULL), 200, i == 38 ? "Aborted" : "JobComplete");
    json_t *info = told(w);
    assert_int_equal(json_integer_value(json_object_get(info, "numberRecordsProcessed")), 1100);
    json_decref(info);
}

/* ---- 1.0 ---- */

static void id_of(struct world *w, char out[TM_ID_BYTES], const char *before)
{
    const char *at = strstr(w->body, before);
    if (at == NULL)
        fail_msg("no %s: %s", before, w->body);
    snprintf(out, TM_ID_BYTES, "%.18s", at + strlen(before));
}

static void tap_reads_a_csv_job_by_json_and_its_batches_by_xml(void **state)
{
    struct world *w = *state;
    char jid[TM_ID_BYTES], bid[TM_ID_BYTES], rid[TM_ID_BYTES], target[200];
    fill(w, 2);
    async(w, "POST", ASYNC,
          "{\"operation\":\"queryAll\",\"object\":\"Account\",\"contentType\":\"CSV\"}", JSON);
    expect(w, w->body, 201, "\"state\":\"Open\"");
    assert_string_equal(w->type, "application/json");
    id_of(w, jid, "\"id\":\"");
    snprintf(target, sizeof target, ASYNC "/%s/batch", jid);
    async(w, "POST", target, "SELECT Name FROM Account ORDER BY Name", "Content-Type: text/csv");
    expect(w, w->body, 201, "<batchInfo xmlns=\"http://www.force.com/2009/06/asyncapi/dataload\">");
    id_of(w, bid, "<id>");
    async(w, "POST", sub(ASYNC "/", jid), "{\"state\":\"Closed\"}", JSON);
    expect(w, w->body, 200, "\"state\":\"Closed\"");
    snprintf(target, sizeof target, ASYNC "/%s/batch/%s", jid, bid);
    expect(w, async(w, "GET", target, NULL, JSON), 200, "<state>Completed</state>");
    expect(w, async(w, "GET", sub(target, "/result"), NULL, JSON), 200, "<result-list xmlns=");
    id_of(w, rid, "<result>");
    assert_memory_equal(rid, "752", 3);
    assert_string_equal(async(w, "GET", sub(sub(target, "/result/"), rid), NULL, JSON),
                        "\"Name\"\n\"Acme 0\"\n\"Acme 1\"\n");
    assert_string_equal(async(w, "GET", sub(target, "/request"), NULL, NULL),
                        "SELECT Name FROM Account ORDER BY Name");
    expect(w, async(w, "GET", sub(ASYNC "/", jid), NULL, JSON), 200,
           "\"numberBatchesCompleted\":1");
    expect(w, ask(w, "GET", "/services/data/v59.0/limits", NULL), 200,
           "\"DailyBulkApiBatches\":{\"Max\":15000,\"Remaining\":14999}");
    snprintf(target, sizeof target, ASYNC "/%s/batch", jid);
    expect(w, async(w, "POST", target, "SELECT Id FROM Account", NULL), 400, "InvalidJobState");
}

static void json_job_answers_in_json_with_times_as_numbers(void **state)
{
    struct world *w = *state;
    char jid[TM_ID_BYTES], bid[TM_ID_BYTES], target[200], rid[TM_ID_BYTES];
    deal(w);
    async(w, "POST", ASYNC,
          "{\"operation\":\"query\",\"object\":\"Opportunity\",\"contentType\":\"JSON\"}", JSON);
    id_of(w, jid, "\"id\":\"");
    snprintf(target, sizeof target, ASYNC "/%s/batch", jid);
    async(w, "POST", target,
          "SELECT Name, SystemModstamp, Description, Account.Name, CloseDate FROM Opportunity",
          JSON);
    id_of(w, bid, "\"id\":\"");
    snprintf(target, sizeof target, ASYNC "/%s/batch/%s", jid, bid);
    expect(w, async(w, "GET", target, NULL, NULL), 200, "\"state\":\"Completed\"");
    expect(w, async(w, "GET", sub(target, "/result"), NULL, NULL), 200, "[\"752");
    id_of(w, rid, "[\"");
    async(w, "GET", sub(sub(target, "/result/"), rid), NULL, NULL);
    json_t *rows = told(w), *row = json_array_get(rows, 0);
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
    struct world *w = *state;
    char jid[TM_ID_BYTES], bid[TM_ID_BYTES], target[200], rid[TM_ID_BYTES];
    deal(w);
    async(w, "POST", ASYNC,
          "<?xml version=\"1.0\"?><jobInfo><operation>query</operation>"
          "<object>Opportunity</object><contentType>XML</contentType></jobInfo>",
          XML);
    expect(w, w->body, 201, "<state>Open</state>");
    id_of(w, jid, "<id>");
    snprintf(target, sizeof target, ASYNC "/%s/batch", jid);
    async(w, "POST", target, "SELECT Name, Description, Account.Name FROM Opportunity", XML);
    id_of(w, bid, "<id>");
    expect(w, async(w, "GET", target, NULL, NULL), 200, "<batchInfoList xmlns=");
    snprintf(target, sizeof target, ASYNC "/%s/batch/%s/result", jid, bid);
    async(w, "GET", target, NULL, NULL);
    id_of(w, rid, "<result>");
    expect(w, async(w, "GET", sub(sub(target, "/"), rid), NULL, NULL), 200,
           "<records xsi:type=\"sObject\"><type>Opportunity</type><Name>deal</Name><Description "
           "xsi:nil=\"true\"/><Account xsi:type=\"sObject\"><type>Account</type><Name>Acme &amp; "
           "&lt;Co&gt;</Name></Account></records></queryResult>");
}

static void pk_chunking_makes_a_batch_a_chunk_and_leaves_the_first_out(void **state)
{
    struct world *w = *state;
    char jid[TM_ID_BYTES], session[200], target[240], rid[TM_ID_BYTES];
    const char *const headers[] = { session, JSON,
                                    "Sforce-Enable-PKChunking: chunkSize=4; parent=Account", NULL };
    unsigned batches = 0, rows = 0;
    snprintf(session, sizeof session, "X-SFDC-Session: %s", w->token);
    fill(w, 10);
    send(w, "POST", ASYNC,
         "{\"operation\":\"query\",\"object\":\"Account\",\"contentType\":\"CSV\"}", headers);
    id_of(w, jid, "\"id\":\"");
    snprintf(target, sizeof target, ASYNC "/%s/batch", jid);
    async(w, "POST", target, "SELECT Id FROM Account where Name != 'a WHERE b'", NULL);
    expect(w, w->body, 201, "<state>NotProcessed</state>");
    char *list = strdup(async(w, "GET", target, NULL, NULL));
    for (const char *at = list; (at = strstr(at, "<batchInfo><id>")) != NULL; at++, batches++) {
        if (batches == 0)
            continue;
        snprintf(target, sizeof target, ASYNC "/%s/batch/%.18s/result", jid,
                 at + strlen("<batchInfo><id>"));
        async(w, "GET", target, NULL, NULL);
        id_of(w, rid, "<result>");
        const char *body = async(w, "GET", sub(sub(target, "/"), rid), NULL, NULL);
        for (const char *line = body; (line = strchr(line, '\n')) != NULL; line++)
            rows++;
        rows--; /* the header */
    }
    free(list);
    assert_int_equal(batches, 1 + 3);
    assert_int_equal(rows, 10);
    snprintf(target, sizeof target, ASYNC "/%s/batch", jid);
    async(w, "POST", target, "SELECT Id FROM Account LIMIT 3", NULL);
    expect(w, w->body, 201, "PK chunking takes queries with no clause behind WHERE");
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
    struct world *w = *state;
    char jid[TM_ID_BYTES], bid[TM_ID_BYTES], target[200];
    async(w, "POST", ASYNC,
          "{\"operation\":\"query\",\"object\":\"account\",\"contentType\":\"CSV\"}", JSON);
    expect(w, w->body, 201, "\"object\":\"Account\"");
    id_of(w, jid, "\"id\":\"");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(target, sizeof target, ASYNC "/%s/batch", jid);
        async(w, "POST", target, wrong[i].soql, NULL);
        id_of(w, bid, "<id>");
        snprintf(target, sizeof target, ASYNC "/%s/batch/%s", jid, bid);
        expect(w, async(w, "GET", target, NULL, NULL), 200, "<state>Failed</state>");
        expect(w, w->body, 200, wrong[i].why);
        expect(w, async(w, "GET", sub(target, "/result"), NULL, NULL), 400, "InvalidBatch");
    }
    async(w, "POST", sub(ASYNC "/", jid), "{\"state\":\"Aborted\"}", JSON);
    expect(w, w->body, 200, "\"state\":\"Aborted\"");
    async(w, "POST", sub(ASYNC "/", jid), "{\"state\":\"Closed\"}", JSON);
    expect(w, w->body, 400, "InvalidJobState");
}

/* ---- records that are written ---- */

/* A closed 1.0 job with one batch of data; the batch's path. */
static void load(struct world *w, char path[200], const char *info, const char *data)
{
    char jid[TM_ID_BYTES], bid[TM_ID_BYTES];
    async(w, "POST", ASYNC, info, JSON);
    expect(w, w->body, 201, "\"state\":\"Open\"");
    id_of(w, jid, "\"id\":\"");
    snprintf(path, 200, ASYNC "/%s/batch", jid);
    async(w, "POST", path, data, NULL);
    id_of(w, bid, strstr(w->body, "<id>") != NULL ? "<id>" : "\"id\":\"");
    snprintf(path, 200, ASYNC "/%s/batch/%s", jid, bid);
}

static void json_batch_writes_its_records_and_tells_of_each(void **state)
{
    struct world *w = *state;
    char path[200], id[TM_ID_BYTES];
    load(w, path, "{\"operation\":\"insert\",\"object\":\"Account\",\"contentType\":\"JSON\"}",
         "[{\"Name\":\"one\",\"AnnualRevenue\":5.5},{\"Phone\":\"no name\"},{\"Name\":\"two\"}]");
    expect(w, async(w, "GET", path, NULL, JSON), 200, "\"state\":\"Completed\"");
    expect(w, w->body, 200, "\"numberRecordsFailed\":1");
    async(w, "GET", sub(path, "/result"), NULL, JSON);
    json_t *told_of = told(w), *first = json_array_get(told_of, 0);
    assert_int_equal(json_array_size(told_of), 3);
    assert_true(json_is_true(json_object_get(first, "success")));
    assert_true(json_is_true(json_object_get(first, "created")));
    snprintf(id, sizeof id, "%s", json_string_value(json_object_get(first, "id")));
    assert_true(json_is_false(json_object_get(json_array_get(told_of, 1), "success")));
    assert_non_null(strstr(w->body, "\"statusCode\":\"REQUIRED_FIELD_MISSING\""));
    json_decref(told_of);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account"), 2);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM history WHERE change='CREATE'"),
                     2);
    json_t *event = org_last_event(w->f.org, "Account");
    assert_non_null(event); /* change events come out of it */
    json_decref(event);
    load(w, path, "{\"operation\":\"delete\",\"object\":\"Account\",\"contentType\":\"JSON\"}",
         "[{\"Id\":\"001000000000001AAA\"},{\"Id\":\"x\"},{}]");
    expect(w, async(w, "GET", path, NULL, JSON), 200, "\"numberRecordsFailed\":3");
    char one[80];
    snprintf(one, sizeof one, "[{\"Id\":\"%s\"}]", id);
    load(w, path, "{\"operation\":\"delete\",\"object\":\"Account\",\"contentType\":\"JSON\"}",
         one);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account WHERE IsDeleted=1"),
                     1);
}

static void csv_batch_leaves_empty_values_alone_and_sets_null_by_a_word(void **state)
{
    struct world *w = *state;
    char path[200], id[TM_ID_BYTES], data[300], want[100];
    struct tm_org_set sets[] = { { "Name", org_text("Acme") },
                                 { "Phone", org_text("1") },
                                 { "AnnualRevenue", org_real(2) },
                                 { NULL, org_null() } };
    org_one(w->f.org, TM_ORG_CREATE, TM_ORG_NORMAL, "Account", strcpy(id, ""), sets,
            ORG_ORIGIN_MS + 1000);
    snprintf(data, sizeof data, "Id,Name,Phone,AnnualRevenue\n%s,\"new \"\"name\"\"\",,#N/A\n", id);
    load(w, path, "{\"operation\":\"update\",\"object\":\"Account\",\"contentType\":\"CSV\"}",
         data);
    snprintf(want, sizeof want,
             "\"Id\",\"Success\",\"Created\",\"Error\"\n\"%s\",\"true\",\"false\",\"\"\n", id);
    assert_string_equal(async(w, "GET", sub(path, "/result"), NULL, JSON), want);
    char text[65536];
    assert_string_equal(
        org_ask(w->f.org,
                "SELECT Name || '|' || Phone || '|' || (AnnualRevenue IS NULL) FROM "
                "cur_Account",
                text),
        "new \"name\"|1|1");
    load(w, path,
         "{\"operation\":\"upsert\",\"object\":\"Account\",\"contentType\":\"CSV\","
         "\"externalIdFieldName\":\"Id\"}",
         "Id,Name\n,made by upsert\n");
    assert_non_null(strstr(async(w, "GET", sub(path, "/result"), NULL, JSON), "\"true\",\"true\""));
    for (int i = 0; i < 2; i++) { /* made, then found */
        load(w, path,
             "{\"operation\":\"upsert\",\"object\":\"Account\",\"contentType\":\"CSV\","
             "\"externalIdFieldName\":\"LegacyId__c\"}",
             "Name,LegacyId__c\ntwice,k1\ntwice,k1\n");
        async(w, "GET", sub(path, "/result"), NULL, JSON);
        assert_int_equal(strstr(w->body, "\"true\",\"true\"") != NULL, i == 0);
        assert_int_equal(
            org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account WHERE LegacyId__c='k1'"), 1);
    }
    load(w, path, "{\"operation\":\"insert\",\"object\":\"Account\",\"contentType\":\"CSV\"}",
         "Name,Phone\nonly one\n");
    expect(w, async(w, "GET", path, NULL, JSON), 200, "<state>Failed</state>");
    expect(w, w->body, 200, "row 1 has 1 values, the header 2");
}

static void many_records_are_written_a_slice_a_step(void **state)
{
    struct world *w = *state;
    char path[200], line[40];
    struct tm_buf data;
    tm_buf_init(&data, 1u << 20);
    tm_buf_addz(&data, "Name\n");
    for (int i = 0; i < 500; i++) {
        snprintf(line, sizeof line, "loaded %d\n", i);
        tm_buf_addz(&data, line);
    }
    load(w, path, "{\"operation\":\"insert\",\"object\":\"Account\",\"contentType\":\"CSV\"}",
         tm_buf_text(&data));
    expect(w, async(w, "GET", path, NULL, JSON), 200, "<state>InProgress</state>");
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account"), 200);
    settle(w);
    expect(w, async(w, "GET", path, NULL, JSON), 200, "<state>Completed</state>");
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account"), 500);
    tm_buf_free(&data);
}

static void ingest_job_of_2_0_runs_when_its_upload_is_complete(void **state)
{
    static const char ingest[] = "/services/data/v59.0/jobs/ingest";
    struct world *w = *state;
    char path[120], id[TM_ID_BYTES];
    ask(w, "POST", ingest,
        "{\"operation\":\"insert\",\"object\":\"account\",\"lineEnding\":\"LF\"}");
    expect(w, w->body, 200, "\"state\":\"Open\"");
    expect(w, w->body, 200, "\"object\":\"Account\"");
    id_of(w, id, "\"id\":\"");
    snprintf(path, sizeof path, "%s/%s", ingest, id);
    expect(w, ask(w, "GET", sub(path, "/successfulResults"), NULL), 400, "INVALIDJOBSTATE");
    ask(w, "PUT", sub(path, "/batches"), "Name,Phone\ngood,1\n,2\n");
    assert_int_equal(w->status, 201);
    expect(w, ask(w, "PUT", sub(path, "/batches"), "Name\nx\n"), 400, "INVALIDJOBSTATE");
    expect(w, ask(w, "PATCH", path, "{\"state\":\"UploadComplete\"}"), 200, id);
    expect(w, ask(w, "GET", path, NULL), 200, "\"state\":\"JobComplete\"");
    expect(w, w->body, 200, "\"numberRecordsProcessed\":2,\"numberRecordsFailed\":1");
    ask(w, "GET", sub(path, "/successfulResults"), NULL);
    expect(w, w->body, 200, "\"sf__Id\",\"sf__Created\",\"Name\",\"Phone\"\n\"001");
    expect(w, ask(w, "GET", sub(path, "/failedResults"), NULL), 200,
           "\"sf__Id\",\"sf__Error\",\"Name\",\"Phone\"\n\"\",\"REQUIRED_FIELD_MISSING:");
    expect(w, ask(w, "GET", sub(path, "/unprocessedrecords"), NULL), 200, "sf__Error");
    expect(w, ask(w, "GET", ingest, NULL), 200, "\"done\":true");
    ask(w, "DELETE", path, NULL);
    assert_int_equal(w->status, 204);
    expect(w, ask(w, "POST", ingest, "{\"operation\":\"query\",\"object\":\"Account\"}"), 400,
           "API_ERROR");
    expect(w, ask(w, "POST", ingest, "{\"operation\":\"upsert\",\"object\":\"Account\"}"), 400,
           "externalIdFieldName");
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
          "entity declarations are refused" },
        { "", NULL, "InvalidXML" },
    };
    struct world *w = *state;
    const char *const nobody[] = { "X-SFDC-Session: no", NULL };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        expect(w, async(w, "POST", ASYNC, wrong[i].body, wrong[i].type), 400, wrong[i].code);
    send(w, "GET", ASYNC "/x", NULL, nobody);
    expect(w, w->body, 400, "<exceptionCode>InvalidSessionId</exceptionCode>");
    async(w, "GET", ASYNC "/750000000000001AAA", NULL, JSON);
    expect(w, w->body, 400, "\"exceptionCode\":\"InvalidJob\"");
    assert_string_equal(w->type, "application/json");
    expect(w, async(w, "GET", "/services/async/59.0/nope", NULL, NULL), 400, "InvalidUrl");
    expect(w, async(w, "GET", "/services/async/1.0/job", NULL, NULL), 400, "InvalidUrl");
    expect(w, async(w, "DELETE", ASYNC, NULL, NULL), 405, "InvalidOperation");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(job_is_complete_at_the_first_poll_and_its_page_says_null),
        IN_A_WORLD(csv_quotes_every_value_and_writes_null_as_nothing),
        IN_A_WORLD(job_of_no_rows_has_a_header_and_nothing_else),
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
        IN_A_WORLD(query_that_is_wrong_fails_its_batch),
        IN_A_WORLD(json_batch_writes_its_records_and_tells_of_each),
        IN_A_WORLD(csv_batch_leaves_empty_values_alone_and_sets_null_by_a_word),
        IN_A_WORLD(many_records_are_written_a_slice_a_step),
        IN_A_WORLD(ingest_job_of_2_0_runs_when_its_upload_is_complete),
        IN_A_WORLD(wrong_requests_of_1_0_get_its_error_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
