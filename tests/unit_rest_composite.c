/* Many records or requests in one call: composite/sobjects, composite/batch, composite. */
#include "mocks/salesforce/record.h"
#include "tests/support_rest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MANY DATA "/composite/sobjects"

static int64_t accounts(struct rest_world *w)
{
    return org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account WHERE IsDeleted=0");
}

static int64_t events(struct rest_world *w)
{
    return org_ask_int(w->f.org, "SELECT count(*) FROM event");
}

/* The index-th answer: whether it went well, its first error's code ("" = none). */
static void expect_result(const json_t *list, size_t index, bool success, const char *code)
{
    const json_t *r = json_array_get(list, index);
    const char *got = json_string_value(
        json_object_get(json_array_get(json_object_get(r, "errors"), 0), "statusCode"));
    if (!json_is_boolean(json_object_get(r, "success")) ||
        json_is_true(json_object_get(r, "success")) != success ||
        strcmp(got != NULL ? got : "", code) != 0) {
        char *text = json_dumps(list, 0);
        fail_msg("result %zu: %s", index, text);
    }
}

static const char *id_of(const json_t *list, size_t index)
{
    const char *id = json_string_value(json_object_get(json_array_get(list, index), "id"));
    assert_non_null(id);
    return id;
}

static void good_records_are_written_beside_bad_ones_in_one_transaction(void **state)
{
    struct rest_world *w = *state;
    json_t *list =
        rest_ask(w, "POST", MANY,
                 "{\"records\":[{\"attributes\":{\"type\":\"Account\"},\"Name\":\"a\"},"
                 "{\"attributes\":{\"type\":\"Opportunity\"},\"Name\":\"b\"},"
                 "{\"attributes\":{\"type\":\"Nothing\"},\"Name\":\"c\"},{\"Name\":\"no type\"},"
                 "{\"attributes\":{\"type\":\"account\"},\"Name\":\"d\",\"ParentId\":"
                 "\"001000000000009AAA\"},"
                 "{\"attributes\":{\"type\":\"account\"},\"Name\":\"e\"}]}",
                 NULL);
    assert_int_equal(w->status, 200);
    expect_result(list, 0, true, "");
    expect_result(list, 1, false, "REQUIRED_FIELD_MISSING");
    expect_result(list, 2, false, "INVALID_TYPE");
    expect_result(list, 3, false, "INVALID_TYPE");
    expect_result(list, 4, false, "INVALID_CROSS_REFERENCE_KEY");
    expect_result(list, 5, true, "");
    assert_int_equal(accounts(w), 2);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(DISTINCT txn) FROM history"), 1);
    assert_int_equal(org_ask_int(w->f.org, "SELECT max(seq) FROM history"), 2);
    json_decref(list);
}

static void all_or_none_writes_none_when_one_is_bad(void **state)
{
    struct rest_world *w = *state;
    json_t *list =
        rest_ask(w, "POST", MANY,
                 "{\"allOrNone\":true,\"records\":[{\"attributes\":{\"type\":\"Account\"},\"Name\":"
                 "\"a\"},{\"attributes\":{\"type\":\"Account\"}}]}",
                 NULL);
    expect_result(list, 0, false, "ALL_OR_NONE_OPERATION_ROLLED_BACK");
    expect_result(list, 1, false, "REQUIRED_FIELD_MISSING");
    assert_null(json_object_get(json_array_get(list, 0), "id"));
    assert_int_equal(accounts(w), 0);
    assert_int_equal(events(w), 0);
    json_decref(list);
}

/* What only the org itself can refuse is laid at the right record's door. */
static void a_refusal_of_the_commit_is_the_right_records(void **state)
{
    struct rest_world *w = *state;
    char ids[3][TM_ID_BYTES], body[600];
    for (int i = 0; i < 3; i++)
        org_make_account(w->f.org, ids[i], "x", ORG_ORIGIN_MS + 1000);
    snprintf(body, sizeof body,
             "{\"records\":[{\"attributes\":{\"type\":\"Account\"},\"id\":\"%s\",\"Name\":\"y\"},"
             "{\"attributes\":{\"type\":\"Account\"},\"Id\":\"%s\",\"Name\":\"z\"},"
             "{\"attributes\":{\"type\":\"Account\"},\"Id\":\"%.15s\",\"Name\":\"twice\"},"
             "{\"attributes\":{\"type\":\"Account\"},\"Name\":\"no id\"},"
             "{\"attributes\":{\"type\":\"Account\"},\"Id\":\"%s\",\"BillingCity\":\"c\"}]}",
             ids[0], ids[1], ids[1], ids[2]);
    json_t *list = rest_ask(w, "PATCH", MANY, body, NULL);
    expect_result(list, 0, true, "");
    expect_result(list, 1, true, "");
    expect_result(list, 2, false, "DUPLICATE_VALUE");
    expect_result(list, 3, false, "MISSING_ARGUMENT");
    expect_result(list, 4, true, "");
    assert_string_equal(id_of(list, 4), ids[2]);
    json_decref(list);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM history WHERE change='UPDATE'"),
                     3);
}

static void deletes_name_their_ids_and_take_each_record_once(void **state)
{
    struct rest_world *w = *state;
    char account[TM_ID_BYTES], deal[TM_ID_BYTES], target[300];
    org_make_account(w->f.org, account, "x", ORG_ORIGIN_MS + 1000);
    org_make_opportunity(w->f.org, deal, "o", account, ORG_ORIGIN_MS + 1000);
    snprintf(target, sizeof target, MANY "?allOrNone=true&ids=%s,001000000000009AAA", account);
    json_t *list = rest_ask(w, "DELETE", target, NULL, NULL);
    expect_result(list, 0, false, "ALL_OR_NONE_OPERATION_ROLLED_BACK");
    assert_string_equal(id_of(list, 0), account);
    expect_result(list, 1, false, "INVALID_CROSS_REFERENCE_KEY");
    assert_null(json_object_get(json_array_get(list, 1), "id"));
    json_decref(list);
    snprintf(target, sizeof target, MANY "?ids=%s,%s,nonsense,", account, deal);
    list = rest_ask(w, "DELETE", target, NULL, NULL);
    assert_int_equal(json_array_size(list), 4);
    expect_result(list, 0, true, "");
    expect_result(list, 1, true, ""); /* went along with its account */
    expect_result(list, 2, false, "MALFORMED_ID");
    expect_result(list, 3, false, "MALFORMED_ID");
    json_decref(list);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM event WHERE change='DELETE'"), 2);
    rest_expect_error(w, "DELETE", MANY, NULL, 400, "MISSING_ARGUMENT");
    rest_expect_error(w, "PUT", MANY, "{}", 405, "METHOD_NOT_ALLOWED");
}

static void upserts_create_or_change_by_external_id(void **state)
{
    struct rest_world *w = *state;
    char id[TM_ID_BYTES];
    struct tm_org_set sets[] = { { "Name", org_text("old") },
                                 { "LegacyId__c", org_text("L-1") },
                                 { NULL, org_null() } };
    id[0] = '\0';
    assert_int_equal(
        org_one(w->f.org, TM_ORG_CREATE, TM_ORG_NORMAL, "Account", id, sets, ORG_ORIGIN_MS + 1000),
        TM_OK);
    json_t *list = rest_ask(
        w, "PATCH", MANY "/Account/LegacyId__c",
        "{\"records\":[{\"attributes\":{\"type\":\"Account\"},\"LegacyId__c\":\"L-1\",\"Name\":"
        "\"new\"},{\"attributes\":{\"type\":\"Account\"},\"legacyid__c\":\"L-2\",\"Name\":\"two\"},"
        "{\"attributes\":{\"type\":\"Account\"},\"Name\":\"none\"},"
        "{\"attributes\":{\"type\":\"User\"},\"LegacyId__c\":\"L-3\"}]}",
        NULL);
    expect_result(list, 0, true, "");
    assert_string_equal(id_of(list, 0), id);
    assert_true(json_is_false(json_object_get(json_array_get(list, 0), "created")));
    expect_result(list, 1, true, "");
    assert_true(json_is_true(json_object_get(json_array_get(list, 1), "created")));
    expect_result(list, 2, false, "MISSING_ARGUMENT");
    expect_result(list, 3, false, "INVALID_FIELD");
    json_decref(list);
    assert_int_equal(
        org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account WHERE LegacyId__c='L-2'"), 1);
}

static void reads_keep_the_order_of_their_ids_and_say_null(void **state)
{
    struct rest_world *w = *state;
    char ids[2][TM_ID_BYTES], target[300], body[300];
    org_make_account(w->f.org, ids[0], "first", ORG_ORIGIN_MS + 1000);
    org_make_account(w->f.org, ids[1], "second", ORG_ORIGIN_MS + 1000);
    snprintf(target, sizeof target,
             MANY "/Account?ids=%.15s,001000000000009AAA,nonsense,%s,%s&fields=Name", ids[1],
             ids[0], ids[1]);
    json_t *list = rest_get(w, target);
    static const char *const names[] = { "second", NULL, NULL, "first", "second" };
    assert_int_equal(json_array_size(list), 5);
    for (size_t i = 0; i < 5; i++) {
        const char *name = json_string_value(json_object_get(json_array_get(list, i), "Name"));
        if (names[i] != NULL)
            assert_string_equal(name, names[i]);
        else
            assert_true(json_is_null(json_array_get(list, i)));
    }
    json_decref(list);
    snprintf(body, sizeof body, "{\"ids\":[\"%s\"],\"fields\":[\"Id\",\"Owner.Name\"]}", ids[0]);
    list = rest_ask(w, "POST", MANY "/Account", body, NULL);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "Id")), ids[0]);
    json_decref(list);
    snprintf(body, sizeof body, "{\"ids\":[\"%s\"],\"fields\":[\"Nope\"]}", ids[0]);
    rest_expect_error(w, "POST", MANY "/Account", body, 400, "INVALID_FIELD");
    snprintf(body, sizeof body, "{\"ids\":[\"%s\"]}", ids[0]);
    rest_expect_error(w, "POST", MANY "/Account", body, 400, "INVALID_FIELD");
    rest_expect_error(w, "POST", MANY "/Account",
                      "{\"ids\":[5,\"') OR (Name != 'x\"],"
                      "\"fields\":[\"Name) FROM Account\"]}",
                      400, "INVALID_FIELD");
    rest_expect_error(w, "POST", MANY "/Account", "{\"fields\":[\"Id\"]}", 400, "MALFORMED_QUERY");
    rest_expect_error(w, "GET", MANY "/Nothing?ids=x&fields=Id", NULL, 404, "NOT_FOUND");
}

static void a_call_takes_two_hundred_records_and_not_one_more(void **state)
{
    struct rest_world *w = *state;
    struct tm_buf body;
    tm_buf_init(&body, 1u << 20);
    tm_buf_addz(&body, "{\"records\":[");
    for (int i = 0; i < 201; i++) {
        tm_buf_addf(&body, "%s{\"attributes\":{\"type\":\"Account\"},\"Name\":\"n%d\"}",
                    i > 0 ? "," : "", i);
        if (i == 199) {
            tm_buf_addz(&body, "]}");
            json_t *list = rest_ask(w, "POST", MANY, tm_buf_text(&body), NULL);
            assert_int_equal(json_array_size(list), 200);
            expect_result(list, 199, true, "");
            json_decref(list);
            assert_int_equal(accounts(w), 200);
            body.bytes -= 2;
        }
    }
    tm_buf_addz(&body, "]}");
    rest_expect_error(w, "POST", MANY, tm_buf_text(&body), 400, "EXCEEDED_ID_LIMIT");
    rest_expect_error(w, "POST", MANY, "{}", 400, "MISSING_ARGUMENT");
    tm_buf_free(&body);
}

static const json_t *batch_result(const json_t *json, size_t index)
{
    return json_array_get(json_object_get(json, "results"), index);
}

static void a_batch_describes_many_objects_in_order(void **state)
{
    struct rest_world *w = *state;
    struct tm_buf body;
    static const char *const objects[] = { "Opportunity", "User", "Account" };
    tm_buf_init(&body, 1u << 16);
    tm_buf_addz(&body, "{\"haltOnError\":true,\"batchRequests\":[");
    for (int i = 0; i < 25; i++)
        tm_buf_addf(&body, "%s{\"method\":\"GET\",\"url\":\"%sv59.0/sobjects/%s/describe\"}",
                    i > 0 ? "," : "", i % 2 ? "/services/data/" : "", objects[i % 3]);
    tm_buf_addz(&body, "]}");
    json_t *json = rest_ask(w, "POST", DATA "/composite/batch", tm_buf_text(&body), NULL);
    assert_int_equal(w->status, 200);
    assert_true(json_is_false(json_object_get(json, "hasErrors")));
    for (size_t i = 0; i < 25; i++) {
        assert_int_equal(json_integer_value(json_object_get(batch_result(json, i), "statusCode")),
                         200);
        assert_string_equal(json_string_value(json_object_get(
                                json_object_get(batch_result(json, i), "result"), "name")),
                            objects[i % 3]);
    }
    json_decref(json);
    assert_non_null(strstr(w->answer.headers, "api-usage=25/")); /* each counts */
    body.bytes -= 2;
    tm_buf_addz(&body, ",{\"method\":\"GET\",\"url\":\"v59.0/limits\"}]}");
    rest_expect_error(w, "POST", DATA "/composite/batch", tm_buf_text(&body), 400,
                      "LIMIT_EXCEEDED");
    tm_buf_free(&body);
}

static void a_batch_goes_on_or_halts_behind_an_error(void **state)
{
    struct rest_world *w = *state;
    static const char requests[] =
        "\"batchRequests\":[{\"method\":\"POST\",\"url\":\"v59.0/sobjects/Account\",\"richInput\":"
        "{\"Name\":\"a\"}},{\"method\":\"PATCH\",\"url\":\"v59.0/sobjects/Account\"},"
        "{\"method\":\"GET\",\"url\":\"v59.0/query?q=SELECT+Name+FROM+Account\"},"
        "{\"method\":\"POST\",\"url\":\"v59.0/composite/batch\",\"richInput\":{}},"
        "{\"url\":\"v59.0/limits\"}]}";
    char body[1000];
    snprintf(body, sizeof body, "{%s", requests);
    json_t *json = rest_ask(w, "POST", DATA "/composite/batch", body, NULL);
    static const int statuses[] = { 201, 405, 200, 404, 400 };
    assert_true(json_is_true(json_object_get(json, "hasErrors")));
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(json_integer_value(json_object_get(batch_result(json, i), "statusCode")),
                         statuses[i]);
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(batch_result(json, 2), "result"), "totalSize")),
                     1);
    json_decref(json);
    snprintf(body, sizeof body, "{\"haltOnError\":true,%s", requests);
    json = rest_ask(w, "POST", DATA "/composite/batch", body, NULL);
    assert_int_equal(json_integer_value(json_object_get(batch_result(json, 2), "statusCode")), 412);
    assert_string_equal(
        json_string_value(json_object_get(
            json_array_get(json_object_get(batch_result(json, 4), "result"), 0), "errorCode")),
        "BATCH_PROCESSING_HALTED");
    json_decref(json);
}

static const json_t *answer_of(const json_t *json, size_t index)
{
    return json_array_get(json_object_get(json, "compositeResponse"), index);
}

static void later_requests_use_what_earlier_ones_answered(void **state)
{
    struct rest_world *w = *state;
    json_t *json = rest_ask(
        w, "POST", DATA "/composite",
        "{\"allOrNone\":true,\"compositeRequest\":[{\"method\":\"POST\",\"referenceId\":\"acc\","
        "\"url\":\"" DATA "/sobjects/Account\",\"body\":{\"Name\":\"Tide\"}},"
        "{\"method\":\"GET\",\"referenceId\":\"q\",\"url\":\"" DATA
        "/query?q=SELECT+Id,Name+FROM+Account\"},"
        "{\"method\":\"POST\",\"referenceId\":\"opp\",\"url\":\"" DATA
        "/sobjects/Opportunity\",\"body\":{\"Name\":\"of "
        "@{q.records[0].Name}\",\"StageName\":\"P\","
        "\"CloseDate\":\"2026-06-30\",\"AccountId\":\"@{acc.id}\"}},"
        "{\"method\":\"GET\",\"referenceId\":\"back\",\"url\":\"" DATA
        "/sobjects/Opportunity/@{opp.id}?fields=Name,Account.Name\"}]}",
        NULL);
    assert_int_equal(w->status, 200);
    const json_t *back = json_object_get(answer_of(json, 3), "body");
    assert_int_equal(json_integer_value(json_object_get(answer_of(json, 0), "httpStatusCode")),
                     201);
    assert_non_null(
        json_object_get(json_object_get(answer_of(json, 0), "httpHeaders"), "Location"));
    assert_string_equal(json_string_value(json_object_get(answer_of(json, 3), "referenceId")),
                        "back");
    assert_string_equal(json_string_value(json_object_get(back, "Name")), "of Tide");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(back, "Account"), "Name")), "Tide");
    json_decref(json);
    assert_int_equal(accounts(w), 1);
}

static void all_or_none_takes_back_what_came_before_the_failure(void **state)
{
    struct rest_world *w = *state;
    static const char requests[] =
        "\"compositeRequest\":[{\"method\":\"POST\",\"referenceId\":\"a\",\"url\":\"" DATA
        "/sobjects/Account\",\"body\":{\"Name\":\"Tide\"}},{\"method\":\"POST\",\"referenceId\":"
        "\"b\",\"url\":\"" DATA "/sobjects/Account\",\"body\":{}},{\"method\":\"GET\","
        "\"referenceId\":\"c\",\"url\":\"" DATA "/sobjects/Account/@{b.id}\"}]}";
    char body[1000];
    int64_t replay = tm_org_replay_last(w->f.org, NULL);
    snprintf(body, sizeof body, "{\"allOrNone\":true,%s", requests);
    json_t *json = rest_ask(w, "POST", DATA "/composite", body, NULL);
    static const char *const codes[] = { "PROCESSING_HALTED", "REQUIRED_FIELD_MISSING",
                                         "PROCESSING_HALTED" };
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(
            json_string_value(json_object_get(
                json_array_get(json_object_get(answer_of(json, i), "body"), 0), "errorCode")),
            codes[i]);
    json_decref(json);
    assert_int_equal(accounts(w), 0);
    assert_int_equal(events(w), 0);
    assert_int_equal(tm_org_replay_last(w->f.org, NULL), replay);
    snprintf(body, sizeof body, "{%s", requests);
    json = rest_ask(w, "POST", DATA "/composite", body, NULL);
    assert_int_equal(json_integer_value(json_object_get(answer_of(json, 0), "httpStatusCode")),
                     201);
    assert_non_null(
        strstr(json_string_value(json_object_get(
                   json_array_get(json_object_get(answer_of(json, 2), "body"), 0), "message")),
               "Invalid reference specified. No value for b.id found in b"));
    json_decref(json);
    json = rest_ask(w, "POST", DATA "/composite", "{\"compositeRequest\":[5]}", NULL);
    assert_non_null(
        strstr(json_string_value(json_object_get(
                   json_array_get(json_object_get(answer_of(json, 0), "body"), 0), "message")),
               "a request has a method"));
    json_decref(json);
    assert_int_equal(accounts(w), 1); /* the org goes on as before */
    assert_int_equal(events(w), 1);
}

static void a_tree_creates_records_with_those_that_hang_on_them(void **state)
{
    struct rest_world *w = *state;
    json_t *json = rest_ask(
        w, "POST", DATA "/composite/tree/Account/",
        "{\"records\":[{\"attributes\":{\"type\":\"Account\",\"referenceId\":\"r1\"},\"Name\":"
        "\"top\",\"ChildAccounts\":{\"records\":[{\"attributes\":{\"type\":\"account\","
        "\"referenceId\":\"r2\"},\"Name\":\"below\",\"Opportunities\":{\"records\":[{"
        "\"attributes\":{\"type\":\"Opportunity\",\"referenceId\":\"r3\"},\"Name\":\"deal\","
        "\"StageName\":\"Prospecting\",\"CloseDate\":\"2026-04-01\"}]}}]}},{\"attributes\":{"
        "\"type\":\"Account\",\"referenceId\":\"r4\"},\"Name\":\"beside\"}]}",
        NULL);
    char text[600];
    assert_int_equal(w->status, 201);
    assert_true(json_is_false(json_object_get(json, "hasErrors")));
    json_t *results = json_object_get(json, "results");
    assert_int_equal(json_array_size(results), 4);
    snprintf(text, sizeof text,
             "SELECT count(*) FROM cur_Opportunity o JOIN cur_Account b ON o.AccountId=b.Id JOIN "
             "cur_Account a ON b.ParentId=a.Id WHERE a.Id='%s' AND b.Id='%s' AND o.Id='%s'",
             id_of(results, 0), id_of(results, 1), id_of(results, 2));
    assert_int_equal(org_ask_int(w->f.org, text), 1);
    json_decref(json);
}

static void a_tree_with_one_bad_record_creates_nothing_and_names_it(void **state)
{
    struct rest_world *w = *state;
#define ROOT(reference, more)                                                                      \
    "{\"records\":[{\"attributes\":{\"type\":\"Account\",\"referenceId\":\"" reference             \
    "\"},\"Name\":\"top\"" more "}]}"
    static const char *const wrong[][2] = {
        { ROOT("r1", ",\"Opportunities\":{\"records\":[{\"attributes\":{\"type\":\"Opportunity\","
                     "\"referenceId\":\"r2\"},\"Name\":\"deal\"}]}"),
          "r2" },
        { ROOT("r1", ",\"Opportunities\":{\"records\":[{\"attributes\":{\"type\":\"Opportunity\","
                     "\"referenceId\":\"r1\"},\"Name\":\"deal\"}]}"),
          "r1" },
        { ROOT("r7", ",\"Nothings\":{\"records\":[]}"), "r7" },
        { ROOT("", ""), "" },
        { "{\"records\":[{\"attributes\":{\"type\":\"User\",\"referenceId\":\"r5\"}},7]}", "r5" },
    };
#undef ROOT
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        json_t *json = rest_ask(w, "POST", DATA "/composite/tree/Account", wrong[i][0], NULL);
        const json_t *first = json_array_get(json_object_get(json, "results"), 0);
        const json_t *errors = json_object_get(first, "errors");
        assert_int_equal(w->status, 400);
        assert_true(json_is_true(json_object_get(json, "hasErrors")));
        assert_string_equal(json_string_value(json_object_get(first, "referenceId")), wrong[i][1]);
        assert_non_null(json_object_get(json_array_get(errors, 0), "statusCode"));
        json_decref(json);
    }
    rest_expect_error(w, "POST", DATA "/composite/tree/Account", "{\"records\":[]}", 400,
                      "INVALID_INPUT");
    rest_expect_error(w, "POST", DATA "/composite/tree/Nope", "{\"records\":[]}", 404, "NOT_FOUND");
    assert_int_equal(accounts(w), 0);
    assert_int_equal(events(w), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, rest_world_open, rest_world_close)
        T(good_records_are_written_beside_bad_ones_in_one_transaction),
        T(all_or_none_writes_none_when_one_is_bad),
        T(a_refusal_of_the_commit_is_the_right_records),
        T(deletes_name_their_ids_and_take_each_record_once),
        T(upserts_create_or_change_by_external_id),
        T(reads_keep_the_order_of_their_ids_and_say_null),
        T(a_call_takes_two_hundred_records_and_not_one_more),
        T(a_batch_describes_many_objects_in_order),
        T(a_batch_goes_on_or_halts_behind_an_error),
        T(later_requests_use_what_earlier_ones_answered),
        T(all_or_none_takes_back_what_came_before_the_failure),
        T(a_tree_creates_records_with_those_that_hang_on_them),
        T(a_tree_with_one_bad_record_creates_nothing_and_names_it),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
