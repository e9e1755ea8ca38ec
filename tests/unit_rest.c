/* The REST API of the mock and its control API, through the one handler a server and a simulation
 * call. Virtual time. */
#include "mocks/salesforce/query.h"
#include "tests/support_rest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sqlite3.h>

/* ---- tests ---- */

static void versions_need_no_token_and_everything_else_does(void **state)
{
    struct rest_world *w = *state;
    w->authorization[0] = '\0';
    json_t *json = rest_get(w, "/services/data/");
    assert_int_equal(w->status, 200);
    json_t *last = json_array_get(json, json_array_size(json) - 1);
    assert_string_equal(json_string_value(json_object_get(last, "url")), "/services/data/v62.0");
    json_decref(json);
    rest_expect_error(w, "GET", DATA "/limits", NULL, 401, "INVALID_SESSION_ID");
    rest_expect_error(w, "GET", DATA "/query/?q=x", NULL, 401, "INVALID_SESSION_ID");
    snprintf(w->authorization, sizeof w->authorization, "Bearer nonsense");
    rest_expect_error(w, "GET", DATA "/sobjects", NULL, 401, "INVALID_SESSION_ID");
}

static void every_answer_says_how_much_of_the_day_is_used(void **state)
{
    struct rest_world *w = *state;
    json_decref(rest_get(w, DATA "/limits"));
    assert_non_null(strstr(w->answer.headers, "Sforce-Limit-Info: api-usage=1/5000000\n"));
    json_decref(rest_get(w, DATA "/query?q=nonsense"));
    assert_non_null(strstr(w->answer.headers, "Sforce-Limit-Info: api-usage=2/5000000\n"));
    rest_expect_error(w, "GET", DATA "/nothing", NULL, 404, "NOT_FOUND");
    assert_non_null(strstr(w->answer.headers, "Sforce-Limit-Info: api-usage=3/5000000\n"));
}

static void a_spent_allocation_refuses_calls_until_the_day_has_passed(void **state)
{
    struct rest_world *w = *state;
    w->f.settings.api_calls_per_day = 2;
    org_fixture_reopen(&w->f);
    rest_world_serve(w);
    json_decref(rest_get(w, DATA "/limits"));
    json_decref(rest_get(w, DATA "/limits"));
    assert_int_equal(w->status, 200);
    rest_expect_error(w, "GET", DATA "/limits", NULL, 403, "REQUEST_LIMIT_EXCEEDED");
    assert_non_null(strstr(w->answer.headers, "api-usage=2/2"));
    w->now.org_ms += 25 * 3600000LL;
    json_decref(rest_get(w, DATA "/limits"));
    assert_int_equal(w->status, 200);
}

static void objects_and_describes_come_from_the_org(void **state)
{
    struct rest_world *w = *state;
    json_t *json = rest_get(w, DATA "/sobjects/");
    assert_int_equal(json_array_size(json_object_get(json, "sobjects")), tm_org_objects(w->f.org));
    assert_null(json_object_get(json_array_get(json_object_get(json, "sobjects"), 0), "fields"));
    json_decref(json);
    json = rest_get(w, DATA "/sobjects/opportunity/describe/");
    assert_string_equal(json_string_value(json_object_get(json, "name")), "Opportunity");
    assert_int_equal(json_array_size(json_object_get(json, "fields")),
                     tm_org_describe(w->f.org, "Opportunity")->fields_count);
    json_decref(json);
    rest_expect_error(w, "GET", DATA "/sobjects/Nothing/describe", NULL, 404, "NOT_FOUND");
    rest_expect_error(w, "POST", DATA "/sobjects/Account/describe", NULL, 405,
                      "METHOD_NOT_ALLOWED");
}

static void a_describe_and_the_limits_hold_what_typed_clients_map(void **state)
{
    struct rest_world *w = *state;
    json_t *json = rest_get(w, DATA "/sobjects/Account/describe");
    json_t *type = json_array_get(json_object_get(json, "recordTypeInfos"), 0),
           *field = json_array_get(json_object_get(json, "fields"), 4);
    assert_string_equal(json_string_value(json_object_get(type, "recordTypeId")),
                        "012000000000000AAA");
    assert_string_equal(
        json_string_value(json_object_get(
            json_array_get(json_object_get(json, "childRelationships"), 0), "childSObject")),
        "Opportunity");
    static const char *const keys[] = { /* what Camel's typed describe maps */
                                        "length",
                                        "name",
                                        "type",
                                        "defaultValue",
                                        "label",
                                        "updateable",
                                        "calculated",
                                        "caseSensitive",
                                        "controllerName",
                                        "unique",
                                        "nillable",
                                        "precision",
                                        "scale",
                                        "byteLength",
                                        "nameField",
                                        "sortable",
                                        "filterable",
                                        "externalId",
                                        "idLookup",
                                        "writeRequiresMasterRead",
                                        "inlineHelpText",
                                        "createable",
                                        "soapType",
                                        "autoNumber",
                                        "namePointing",
                                        "custom",
                                        "digits",
                                        "restrictedPicklist",
                                        "htmlFormatted",
                                        "referenceTo",
                                        "encrypted",
                                        "defaultedOnCreate",
                                        "picklistValues",
                                        "groupable",
                                        "mask",
                                        "deprecatedAndHidden",
                                        "relationshipName",
                                        "cascadeDelete",
                                        "permissionable",
                                        "defaultValueFormula",
                                        "restrictedDelete",
                                        "extraTypeInfo",
                                        "maskType",
                                        "calculatedFormula",
                                        "queryByDistance",
                                        "highScaleNumber",
                                        "relationshipOrder",
                                        "dependentPicklist",
                                        "displayLocationInDecimal",
                                        "filteredLookupInfo",
                                        "referenceTargetField"
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (json_object_get(field, keys[i]) == NULL)
            fail_msg("no %s", keys[i]);
    json_decref(json);
    json = rest_get(w, DATA "/limits");
    assert_non_null(json_object_get(json_object_get(json, "DailyBulkApiBatches"), "Remaining"));
    assert_true(json_object_size(json) > 20);
    json_decref(json);
}

static void a_schema_change_shows_in_the_next_describe(void **state)
{
    struct rest_world *w = *state;
    json_decref(rest_ask(
        w, "POST", "/tidemark/v1/schema",
        "{\"object\":\"Account\",\"add\":{\"name\":\"Tide__c\",\"type\":\"string\",\"length\":40}}",
        NULL));
    assert_int_equal(w->status, 200);
    json_t *json = rest_get(w, DATA "/query?q=SELECT+Tide__c+FROM+Account");
    assert_int_equal(w->status, 200);
    json_decref(json);
    json_decref(rest_ask(w, "POST", "/tidemark/v1/schema",
                         "{\"object\":\"Account\",\"remove\":\"Tide__c\"}", NULL));
    rest_expect_error(w, "GET", DATA "/query?q=SELECT%20Tide__c%20FROM%20Account", NULL, 400,
                      "INVALID_FIELD");
}

static void a_long_result_comes_in_pages_by_locator_each_row_once(void **state)
{
    struct rest_world *w = *state;
    char next[200];
    size_t rows = 0, pages = 0;
    rest_world_fill(w, 4500);
    json_t *json = rest_get(w, DATA "/query/?q=SELECT+Id,Name+FROM+Account+ORDER+BY+Name");
    assert_true(w->answer.calls > 1);
    for (;; pages++) {
        json_t *records = json_object_get(json, "records"), *row;
        size_t i;
        assert_int_equal(json_integer_value(json_object_get(json, "totalSize")), 4500);
        json_array_foreach(records, i, row)
        {
            char name[32];
            snprintf(name, sizeof name, "account %05zu", rows++);
            assert_string_equal(json_string_value(json_object_get(row, "Name")), name);
        }
        const char *url = json_string_value(json_object_get(json, "nextRecordsUrl"));
        assert_int_equal(json_is_true(json_object_get(json, "done")), url == NULL);
        if (url == NULL)
            break;
        snprintf(next, sizeof next, "%s?q=ignored", url);
        json_decref(json);
        json = rest_get(w, next);
        assert_int_equal(w->status, 200);
    }
    assert_int_equal(rows, 4500);
    assert_int_equal(pages, 2);
    json_decref(json);
}

static void errors_are_json_whatever_bytes_a_query_held(void **state)
{
    struct rest_world *w = *state;
    rest_expect_error(w, "GET", DATA "/query/?q=SELECT+Id+FROM+Acc%97ount", NULL, 400,
                      "MALFORMED_QUERY");
    rest_expect_error(w, "GET", DATA "/query/?q=SELECT+%C3(", NULL, 400, "MALFORMED_QUERY");
    rest_expect_error(w, "GET", DATA "/sobjects/Account/x%FF", NULL, 404, "NOT_FOUND");
    rest_expect_error(w, "GET", DATA "/sobjects/Account/001000000000001?fields=%FF", NULL, 400,
                      "INVALID_FIELD");
    rest_expect_error(w, "PU\xffT", DATA "/limits", NULL, 405, "METHOD_NOT_ALLOWED");
}

static void a_locator_is_valid_under_query_all_too_and_its_rows_do_not_change(void **state)
{
    struct rest_world *w = *state;
    char target[200];
    rest_world_fill(w, 300);
    json_t *json = rest_ask(w, "GET", DATA "/query?q=SELECT+Name+FROM+Account+ORDER+BY+Name", NULL,
                            "Sforce-Query-Options: batchSize=200");
    const char *url = json_string_value(json_object_get(json, "nextRecordsUrl"));
    assert_int_equal(json_array_size(json_object_get(json, "records")), 200);
    snprintf(target, sizeof target, DATA "/queryAll/%s", strrchr(url, '/') + 1);
    json_decref(json);
    json_decref(
        rest_ask(w, "POST", DATA "/sobjects/Account", "{\"Name\":\"account 00250b\"}", NULL));
    json = rest_get(w, target);
    assert_int_equal(json_array_size(json_object_get(json, "records")), 100);
    assert_true(json_is_true(json_object_get(json, "done")));
    json_decref(json);
    /* a page can be asked for again, when its answer was lost */
    json = rest_get(w, target);
    assert_int_equal(json_array_size(json_object_get(json, "records")), 100);
    json_decref(json);
}

/* Copying a long result is cut in slices, so that commits need not wait for it; what is committed
 * between two of them is not seen. */
/* commits: between any two slices. Returns the slices it took. */
static unsigned ask_beside_commits(struct rest_world *w, const char *target, bool commits)
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    unsigned slices = 0;
    assert_int_equal(tm_mock_request_init(&r, "GET", target, NULL, 0, NULL), TM_OK);
    assert_int_equal(tm_mock_pairs_add(&r.headers, "Authorization", w->authorization, NULL), TM_OK);
    r.now = w->now;
    tm_mock_response_init(&out);
    w->handler.request(w->handler.self, &r, &out);
    for (; out.outcome == TM_MOCK_HOLD && slices < 1000; slices++) {
        uint64_t token = out.token;
        if (commits)
            rest_world_fill(w, 10);
        tm_mock_response_reset(&out);
        w->handler.resume(w->handler.self, &r, token, &out);
    }
    assert_int_equal(out.status, 200);
    json_t *json = json_loads(tm_buf_text(&out.body), 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(json, "totalSize")), TM_QUERY_PAGE_PRESET);
    json_decref(json);
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
    return slices;
}

/* There is one connection: rows are copied slice by slice as long as nothing is written. */
static void an_org_in_memory_pages_too_and_shows_no_commit_of_meanwhile(void **state)
{
    struct rest_world *w = *state;
    const unsigned copies = TM_QUERY_PAGE_PRESET / TM_QUERY_COPY_ROWS;
    w->f.settings.path = ":memory:";
    org_fixture_reopen(&w->f);
    rest_world_serve(w);
    rest_world_fill(w, TM_QUERY_PAGE_PRESET);
    unsigned quiet = ask_beside_commits(w, DATA "/query?q=SELECT+Name+FROM+Account", false);
    assert_true(quiet >= copies);
    assert_true(ask_beside_commits(w, DATA "/query?q=SELECT+Name+FROM+Account", true) > 0);
    json_t *json = rest_get(w, DATA "/query?q=SELECT+count()+FROM+Account");
    assert_true(json_integer_value(json_object_get(json, "totalSize")) > TM_QUERY_PAGE_PRESET);
    json_decref(json);
}

/* A field that goes while its rows are being read: they are as they were. */
static void a_schema_change_waits_for_rows_that_are_being_read_in_memory(void **state)
{
    struct rest_world *w = *state;
    struct tm_mock_request r;
    struct tm_mock_response out;
    w->f.settings.path = ":memory:";
    org_fixture_reopen(&w->f);
    rest_world_serve(w);
    rest_world_fill(w, TM_QUERY_PAGE_PRESET);
    assert_int_equal(tm_mock_request_init(&r, "GET",
                                          DATA "/query?q=SELECT+Name,Active__c+FROM+Account", NULL,
                                          0, NULL),
                     TM_OK);
    assert_int_equal(tm_mock_pairs_add(&r.headers, "Authorization", w->authorization, NULL), TM_OK);
    r.now = w->now;
    tm_mock_response_init(&out);
    w->handler.request(w->handler.self, &r, &out);
    assert_int_equal(out.outcome, TM_MOCK_HOLD);
    struct tm_err err = { 0 };
    if (tm_org_field_remove(w->f.org, "Account", "Active__c", &err) != TM_OK)
        fail_msg("%s", err.msg);
    while (out.outcome == TM_MOCK_HOLD) {
        uint64_t token = out.token;
        tm_mock_response_reset(&out);
        w->handler.resume(w->handler.self, &r, token, &out);
    }
    assert_int_equal(out.status, 200);
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
}

static void a_long_result_lets_commits_through_and_shows_none_of_them(void **state)
{
    struct rest_world *w = *state;
    struct tm_mock_request r;
    struct tm_mock_response out;
    rest_world_fill(w, TM_QUERY_PAGE_PRESET);
    assert_true(ask_beside_commits(w, DATA "/query?q=SELECT+Name+FROM+Account", true) >=
                TM_QUERY_PAGE_PRESET / TM_QUERY_COPY_ROWS +
                    TM_QUERY_PAGE_PRESET / TM_QUERY_SLICE_ROWS);
    assert_int_equal(
        tm_mock_request_init(&r, "GET", DATA "/query?q=SELECT+Name+FROM+Account", NULL, 0, NULL),
        TM_OK);
    assert_int_equal(tm_mock_pairs_add(&r.headers, "Authorization", w->authorization, NULL), TM_OK);
    r.now = w->now;
    tm_mock_response_init(&out);
    w->handler.request(w->handler.self, &r, &out); /* its peer goes away while rows are copied */
    assert_int_equal(out.outcome, TM_MOCK_HOLD);
    w->handler.finished(w->handler.self, out.token, false);
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
}

/* Its rows are in a copy of the org that only the org itself sees. */
static void a_long_range_read_behind_an_index_lag_is_answered_too(void **state)
{
    struct rest_world *w = *state;
    w->f.settings.index_lag_ms = 1000;
    org_fixture_reopen(&w->f);
    rest_world_serve(w);
    rest_world_fill(w, TM_QUERY_PAGE_PRESET);
    w->now.org_ms += 60000;
    static const char target[] = DATA "/query?q=SELECT+Name+FROM+Account+WHERE+SystemModstamp+%3E+"
                                      "2001-01-01T00:00:00Z";
    assert_true(ask_beside_commits(w, target, false) >= TM_QUERY_PAGE_PRESET / TM_QUERY_COPY_ROWS);
    ask_beside_commits(w, target, true);
}

static void locators_end_after_fifteen_idle_minutes_and_beyond_ten(void **state)
{
    struct rest_world *w = *state;
    char first[100], second[100];
    rest_world_fill(w, 250);
    for (int i = 0; i < 12; i++) {
        w->now.wall_ns += TM_NS_PER_S;
        json_t *json = rest_ask(w, "GET", DATA "/query?q=SELECT+Id+FROM+Account", NULL,
                                "Sforce-Query-Options: batchSize=1");
        if (i == 0 || i == 11)
            snprintf(i == 0 ? first : second, sizeof first, "%s",
                     json_string_value(json_object_get(json, "nextRecordsUrl")));
        json_decref(json);
    }
    rest_expect_error(w, "GET", first, NULL, 400, "INVALID_QUERY_LOCATOR");
    json_decref(rest_get(w, second));
    assert_int_equal(w->status, 200);
    w->now.wall_ns += TM_QUERY_IDLE_NS + 1;
    rest_expect_error(w, "GET", second, NULL, 400, "INVALID_QUERY_LOCATOR");
    rest_expect_error(w, "GET", DATA "/query/01gnonsense-2000", NULL, 400, "INVALID_QUERY_LOCATOR");
    rest_expect_error(w, "GET", DATA "/query/01g-x", NULL, 400, "INVALID_QUERY_LOCATOR");
}

static void queries_answer_errors_as_documented(void **state)
{
    struct rest_world *w = *state;
    rest_expect_error(w, "GET", DATA "/query", NULL, 400, "MALFORMED_QUERY");
    rest_expect_error(w, "GET", DATA "/query?q=SELECT", NULL, 400, "MALFORMED_QUERY");
    rest_expect_error(w, "GET", DATA "/query?q=SELECT+Nope+FROM+Account", NULL, 400,
                      "INVALID_FIELD");
    rest_expect_error(w, "GET", DATA "/queryAll/?q=SELECT+Id+FROM+Nope", NULL, 400, "INVALID_TYPE");
    rest_expect_error(w, "POST", DATA "/query", "x", 405, "METHOD_NOT_ALLOWED");
    rest_expect_error(w, "GET", "/services/data/v12.0/limits", NULL, 404, "NOT_FOUND");
    rest_expect_error(w, "GET", "/elsewhere", NULL, 404, "NOT_FOUND");
    json_t *json = rest_get(w, DATA "/query?q=SELECT+count()+FROM+Account");
    assert_int_equal(json_integer_value(json_object_get(json, "totalSize")), 0);
    assert_true(json_is_true(json_object_get(json, "done")));
    assert_int_equal(json_array_size(json_object_get(json, "records")), 0);
    json_decref(json);
}

static void a_uri_beyond_sixteen_kilobytes_is_too_long(void **state)
{
    struct rest_world *w = *state;
    static char target[17000];
    int n = snprintf(target, sizeof target, DATA "/query?q=SELECT+Id+FROM+Account+WHERE+Name='");
    memset(target + n, 'x', sizeof target - (size_t)n - 1);
    rest_expect_error(w, "GET", target, NULL, 414, "URI_TOO_LONG");
}

static void a_record_lives_and_dies_by_rest(void **state)
{
    struct rest_world *w = *state;
    char target[200];
    json_t *json = rest_ask(w, "POST", DATA "/sobjects/Account/",
                            "{\"Name\":\"Tide\",\"AnnualRevenue\":5}", NULL);
    assert_int_equal(w->status, 201);
    snprintf(target, sizeof target, DATA "/sobjects/Account/%s",
             json_string_value(json_object_get(json, "id")));
    json_decref(json);
    json_decref(rest_ask(w, "PATCH", target, "{\"Name\":\"Ebb\"}", NULL));
    assert_int_equal(w->status, 204);
    json = rest_get(w, target);
    assert_string_equal(json_string_value(json_object_get(json, "Name")), "Ebb");
    assert_true(json_real_value(json_object_get(json, "AnnualRevenue")) == 5.0);
    json_decref(json);
    json_decref(rest_ask(w, "DELETE", target, NULL, NULL));
    assert_int_equal(w->status, 204);
    rest_expect_error(w, "GET", target, NULL, 404, "ENTITY_IS_DELETED");
    rest_expect_error(w, "GET", DATA "/sobjects/Account/001000000000009AAA", NULL, 404,
                      "NOT_FOUND");
    rest_expect_error(w, "POST", DATA "/sobjects/Opportunity", "{\"Name\":\"x\"}", 400,
                      "REQUIRED_FIELD_MISSING");
    rest_expect_error(w, "POST", DATA "/sobjects/Account", "not json", 400, "JSON_PARSER_ERROR");
}

static void get_deleted_lists_the_deletes_of_its_window(void **state)
{
    struct rest_world *w = *state;
    char id[TM_ID_BYTES];
    org_make_account(w->f.org, id, "gone", ORG_ORIGIN_MS + 1000);
    assert_int_equal(
        org_one(w->f.org, TM_ORG_DELETE, TM_ORG_NORMAL, "Account", id, NULL, ORG_ORIGIN_MS + 60000),
        TM_OK);
    json_t *json = rest_get(
        w, DATA
        "/sobjects/Account/deleted/?start=2026-03-02T08:00:00%2B00:00&end=2026-03-02T08:30:00Z");
    json_t *row = json_array_get(json_object_get(json, "deletedRecords"), 0);
    assert_string_equal(json_string_value(json_object_get(row, "id")), id);
    assert_string_equal(json_string_value(json_object_get(row, "deletedDate")),
                        "2026-03-02T08:01:00.000+0000");
    assert_string_equal(json_string_value(json_object_get(json, "latestDateCovered")),
                        "2026-03-02T08:30:00.000+0000");
    json_decref(json);
    json = rest_get(
        w, DATA "/sobjects/Account/deleted?start=2026-03-02T08:01:01Z&end=2026-03-02T20:30:00Z");
    assert_int_equal(json_array_size(json_object_get(json, "deletedRecords")), 0);
    assert_string_equal(json_string_value(json_object_get(json, "latestDateCovered")),
                        "2026-03-02T09:00:00.000+0000");
    json_decref(json);
    rest_expect_error(
        w, "GET",
        DATA "/sobjects/Account/deleted?start=2026-03-02T09:00:00Z&end=2026-03-02T08:00:00Z", NULL,
        400, "INVALID_REPLICATION_DATE");
    rest_expect_error(
        w, "GET",
        DATA "/sobjects/Account/deleted?start=2026-01-02T09:00:00Z&end=2026-03-02T08:00:00Z", NULL,
        400, "INVALID_REPLICATION_DATE");
    rest_expect_error(w, "GET", DATA "/sobjects/Account/deleted?start=yesterday&end=today", NULL,
                      400, "MALFORMED_QUERY");
}

static void the_control_api_commits_and_tells_history(void **state)
{
    struct rest_world *w = *state;
    json_t *json =
        rest_ask(w, "POST", "/tidemark/v1/commit",
                 "{\"changes\":[{\"change\":\"create\",\"object\":\"Account\",\"fields\":{"
                 "\"Name\":\"Tide\"}}]}",
                 NULL);
    assert_int_equal(w->status, 200);
    assert_int_equal(json_array_size(json_object_get(json, "ids")), 1);
    json_decref(json);
    json = rest_get(w, "/tidemark/v1/history?limit=1");
    assert_int_equal(json_array_size(json_object_get(json, "entries")), 1);
    json_decref(json);
    json = rest_get(w, "/tidemark/v1/clock");
    assert_int_equal(json_integer_value(json_object_get(json, "org_ms")), w->now.org_ms);
    json_decref(json);
    rest_expect_error(w, "POST", "/tidemark/v1/commit", "{}", 400, "BAD_REQUEST");
    rest_expect_error(w, "POST", "/tidemark/v1/commit", "x", 400, "BAD_REQUEST");
    rest_expect_error(w, "GET", "/tidemark/v1/nothing", NULL, 400, "BAD_REQUEST");
    json_decref(rest_ask(w, "POST", "/tidemark/v1/faults", "{\"expire_tokens\":{}}", NULL));
    rest_expect_error(w, "GET", DATA "/limits", NULL, 401, "INVALID_SESSION_ID");
}

static void while_the_org_is_locked_by_another_program_the_answer_is_try_again(void **state)
{
    struct rest_world *w = *state;
    static const char commit[] = "{\"changes\":[{\"change\":\"create\",\"object\":\"Account\","
                                 "\"fields\":{\"Name\":\"T\"}}]}";
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(w->f.path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    rest_expect_error(w, "POST", "/tidemark/v1/commit", commit, 503, "SERVER_UNAVAILABLE");
    rest_expect_error(w, "POST", DATA "/sobjects/Account", "{\"Name\":\"x\"}", 503,
                      "SERVER_UNAVAILABLE");
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    json_decref(rest_ask(w, "POST", "/tidemark/v1/commit", commit, NULL));
    assert_int_equal(w->status, 200);
    rest_expect_error(w, "PUT", "/tidemark/v1/commit", "{}", 400, "BAD_REQUEST");
    rest_expect_error(w, "POST", "/tidemark/v1/nothing", "{}", 400, "BAD_REQUEST");
}

static enum tm_code move_clock(void *data, int64_t ms, struct tm_now *now, struct tm_err *err)
{
    struct rest_world *w = data;
    (void)err;
    w->now.org_ms += ms;
    *now = w->now;
    return TM_OK;
}

static void a_clock_that_moved_says_so_although_the_org_is_locked(void **state)
{
    struct rest_world *w = *state;
    const struct tm_salesforce_settings settings = { .oauth = { .seeded = true, .seed = 9 },
                                                     .advance = move_clock,
                                                     .advance_data = w };
    int64_t before = w->now.org_ms;
    sqlite3 *other = NULL;
    char target[200];
    json_t *made = rest_ask(w, "POST", DATA "/sobjects/Account", "{\"Name\":\"x\"}", NULL);
    snprintf(target, sizeof target, DATA "/sobjects/Account/%s",
             json_string_value(json_object_get(made, "id")));
    json_decref(made);
    json_decref(rest_ask(w, "DELETE", target, NULL, NULL)); /* to be purged on the way */
    assert_int_equal(w->status, 204);
    tm_salesforce_close(w->salesforce);
    assert_int_equal(tm_salesforce_open(&w->salesforce, w->f.org, &settings, NULL), TM_OK);
    w->handler = tm_salesforce_handler(w->salesforce);
    assert_int_equal(sqlite3_open(w->f.path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    json_t *json = rest_ask(w, "POST", "/tidemark/v1/clock", "{\"advance\":\"20d\"}", NULL);
    assert_int_equal(w->status, 200);
    assert_int_equal(json_integer_value(json_object_get(json, "org_ms")), before + 20 * 86400000LL);
    json_decref(json);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
}

static struct tm_now later(void *data)
{
    struct tm_now now = *(const struct tm_now *)data;
    return (struct tm_now){ now.org_ms + 7, now.wall_ns + 7 * TM_NS_PER_MS };
}

/* A step began before the question came: its instant would break the bound of who compares. */
static void the_clock_is_told_as_it_is_when_the_answer_is_made(void **state)
{
    struct rest_world *w = *state;
    const struct tm_salesforce_settings settings = { .oauth = { .seeded = true, .seed = 9 },
                                                     .instant = later,
                                                     .instant_data = &w->now };
    tm_salesforce_close(w->salesforce);
    assert_int_equal(tm_salesforce_open(&w->salesforce, w->f.org, &settings, NULL), TM_OK);
    w->handler = tm_salesforce_handler(w->salesforce);
    json_t *json = rest_get(w, "/tidemark/v1/clock");
    assert_int_equal(json_integer_value(json_object_get(json, "org_ms")), w->now.org_ms + 7);
    assert_int_equal(json_integer_value(json_object_get(json, "wall_ns")),
                     w->now.wall_ns + 7 * TM_NS_PER_MS);
    json_decref(json);
}

/* Nobody but the mock holds or breaks anything here: the rows are those of a lookup that fails. */
static void a_lookup_that_cannot_be_made_is_no_fault_of_the_record(void **state)
{
    struct rest_world *w = *state;
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(w->f.path, &other), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(other, "ALTER TABLE cur_Account RENAME TO away", NULL, NULL, NULL), SQLITE_OK);
    rest_expect_error(w, "PATCH", DATA "/composite/sobjects/Account/LegacyId__c",
                      "{\"records\":[{\"attributes\":{\"type\":\"Account\"},\"LegacyId__c\":\"1\","
                      "\"Name\":\"x\"}]}",
                      500, "UNKNOWN_EXCEPTION");
    sqlite3_close(other);
}

static void the_control_api_refuses_pages_of_other_sites(void **state)
{
    struct rest_world *w = *state;
    static const struct {
        const char *host, *origin;
        int status;
    } rows[] = {
        { NULL, NULL, 200 },
        { "127.0.0.1:8080", NULL, 200 },
        { "127.0.0.1:8080", "http://127.0.0.1:8080", 200 },
        { "LocalHost:8080", "http://localhost:8080", 200 },
        { "127.0.0.1:8080", "http://127.0.0.1:9090", 403 },
        { "127.0.0.1:8080", "https://evil.example", 403 },
        { "127.0.0.1:8080", "http://127.0.0.1:8080.evil.example", 403 },
        { "127.0.0.1:8080", "null", 403 },
        { NULL, "https://evil.example", 403 },
        { "[::1]:8080", NULL, 200 },
        { "mock:8080", NULL, 200 },
        { "host.docker.internal", NULL, 200 },
        { "org.my.salesforce.com", NULL, 200 },
        { "rebound.attacker.com:8080", NULL, 403 }, /* a name that leads here, no Origin told */
        { "rebound.attacker.com:8080", "http://rebound.attacker.com:8080", 403 },
        { "127.0.0.1.attacker.com", NULL, 403 },
        { "salesforce.com.attacker.org", NULL, 403 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tm_mock_request r;
        struct tm_mock_response out;
        assert_int_equal(tm_mock_request_init(&r, "GET", "/tidemark/v1/clock", NULL, 0, NULL),
                         TM_OK);
        r.now = w->now;
        if (rows[i].host != NULL)
            tm_mock_pairs_add(&r.headers, "Host", rows[i].host, NULL);
        if (rows[i].origin != NULL)
            tm_mock_pairs_add(&r.headers, "Origin", rows[i].origin, NULL);
        tm_mock_response_init(&out);
        w->handler.request(w->handler.self, &r, &out);
        if (out.status != rows[i].status)
            fail_msg("row %zu: %d", i, out.status);
        if (out.status == 403)
            assert_non_null(strstr(tm_buf_text(&out.body),
                                   rows[i].host != NULL && strstr(rows[i].host, "attacker") != NULL
                                       ? "Host header is no name"
                                       : "Origin"));
        tm_mock_response_free(&out);
        tm_mock_request_free(&r);
    }
}

static void an_explained_query_says_whether_an_index_leads_and_what_it_leaves(void **state)
{
    struct rest_world *w = *state;
    rest_world_fill(w, 30);
    json_t *json = rest_get(w, DATA "/query/?explain=SELECT+Name+FROM+account+WHERE+Name+LIKE+"
                                    "'account+0001%25'+AND+CreatedDate+%3E+2020-01-01T00:00:00Z");
    const json_t *plans = json_object_get(json, "plans"), *plan = json_array_get(plans, 0);
    assert_int_equal(w->status, 200);
    assert_int_equal(json_array_size(plans), 2);
    assert_string_equal(json_string_value(json_object_get(plan, "leadingOperationType")), "Index");
    assert_string_equal(json_string_value(json_array_get(json_object_get(plan, "fields"), 0)),
                        "CreatedDate");
    assert_string_equal(json_string_value(json_object_get(plan, "sobjectType")), "Account");
    assert_int_equal(json_integer_value(json_object_get(plan, "cardinality")), 10);
    assert_int_equal(json_integer_value(json_object_get(plan, "sobjectCardinality")), 30);
    json_decref(json);
    json = rest_get(w, DATA "/query?explain=SELECT+COUNT(Id),Name+FROM+Account+GROUP+BY+Name");
    plan = json_array_get(json_object_get(json, "plans"), 0);
    assert_string_equal(json_string_value(json_object_get(plan, "leadingOperationType")),
                        "TableScan");
    json_decref(json);
    rest_expect_error(w, "GET", DATA "/query?explain=SELECT+Nmae+FROM+Account", NULL, 400,
                      "INVALID_FIELD");
    rest_expect_error(w, "GET", DATA "/query?explain=nonsense", NULL, 400, "MALFORMED_QUERY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, rest_world_open, rest_world_close)
        T(versions_need_no_token_and_everything_else_does),
        T(every_answer_says_how_much_of_the_day_is_used),
        T(a_spent_allocation_refuses_calls_until_the_day_has_passed),
        T(objects_and_describes_come_from_the_org),
        T(a_describe_and_the_limits_hold_what_typed_clients_map),
        T(a_schema_change_shows_in_the_next_describe),
        T(a_long_result_comes_in_pages_by_locator_each_row_once),
        T(errors_are_json_whatever_bytes_a_query_held),
        T(a_locator_is_valid_under_query_all_too_and_its_rows_do_not_change),
        T(a_long_result_lets_commits_through_and_shows_none_of_them),
        T(a_long_range_read_behind_an_index_lag_is_answered_too),
        T(an_org_in_memory_pages_too_and_shows_no_commit_of_meanwhile),
        T(a_schema_change_waits_for_rows_that_are_being_read_in_memory),
        T(locators_end_after_fifteen_idle_minutes_and_beyond_ten),
        T(queries_answer_errors_as_documented),
        T(a_uri_beyond_sixteen_kilobytes_is_too_long),
        T(a_record_lives_and_dies_by_rest),
        T(get_deleted_lists_the_deletes_of_its_window),
        T(the_control_api_commits_and_tells_history),
        T(while_the_org_is_locked_by_another_program_the_answer_is_try_again),
        T(a_clock_that_moved_says_so_although_the_org_is_locked),
        T(the_clock_is_told_as_it_is_when_the_answer_is_made),
        T(a_lookup_that_cannot_be_made_is_no_fault_of_the_record),
        T(the_control_api_refuses_pages_of_other_sites),
        T(an_explained_query_says_whether_an_index_leads_and_what_it_leaves),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
