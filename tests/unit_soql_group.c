/* SOQL beyond one object's rows: groups, semi-joins, child records, and results longer than memory
 * holds. */
#include "tests/support_soql.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void aggregates_stand_alone_or_by_group(void **state)
{
    struct soql_world *w = *state;
    soql_expect_row(w, "SELECT COUNT(Id), SUM(Amount) total, AVG(Probability) FROM Opportunity",
                    "{\"attributes\":{\"type\":\"AggregateResult\"},\"expr0\":2,\"total\":2401.0,"
                    "\"expr1\":50.0}");
    soql_expect_row(w,
                    "SELECT Account.Name, COUNT(Id) n FROM Opportunity GROUP BY Account.Name "
                    "ORDER BY Account.Name NULLS LAST",
                    "\"Name\":\"Acme\",\"n\":1}");
    soql_expect_row(w,
                    "SELECT COUNT(AccountId), COUNT_DISTINCT(StageName), MIN(CloseDate), MAX(Name) "
                    "FROM Opportunity",
                    "\"expr0\":1,\"expr1\":1,\"expr2\":\"2026-06-30\",\"expr3\":\"Two\"");
    soql_expect_row(
        w,
        "SELECT CALENDAR_YEAR(CloseDate), CALENDAR_QUARTER(CloseDate) q, COUNT(Id) FROM "
        "Opportunity GROUP BY CALENDAR_YEAR(CloseDate), CALENDAR_QUARTER(CloseDate)",
        "\"expr0\":2026,\"q\":2,\"expr1\":2}");
    assert_int_equal(
        soql_world_count(w, "SELECT Name FROM Opportunity GROUP BY Name HAVING COUNT(Id) > 1",
                         false, NOW_MS),
        0);
    assert_int_equal(
        soql_world_count(w,
                         "SELECT Name FROM Opportunity GROUP BY Name HAVING COUNT(Id) < "
                         "5 AND Name LIKE 't%'",
                         false, NOW_MS),
        1);
    /* no group when there is no row; one row when there is no group */
    assert_int_equal(soql_world_count(w, "SELECT Name FROM Account WHERE Name = 'x' GROUP BY Name",
                                      false, NOW_MS),
                     0);
    soql_expect_row(w, "SELECT COUNT(Id), SUM(AnnualRevenue) FROM Account WHERE Name = 'x'",
                    "\"expr0\":0,\"expr1\":null");
}

static void what_cannot_be_grouped_or_aggregated_is_refused(void **state)
{
    struct soql_world *w = *state;
    soql_expect_error(w, "SELECT Name, COUNT(Id) FROM Account", "MALFORMED_QUERY",
                      "Field must be grouped or aggregated: Name");
    soql_expect_error(w, "SELECT COUNT(Id) FROM Account GROUP BY CreatedDate", "INVALID_FIELD",
                      "field 'CreatedDate' can not be grouped in a query call");
    soql_expect_error(w, "SELECT COUNT(Id) FROM Account GROUP BY Nope", "INVALID_FIELD",
                      "No such column 'Nope'");
    soql_expect_error(w, "SELECT COUNT(Id) FROM Account GROUP BY COUNT(Id)", "MALFORMED_QUERY",
                      "Grouped field should not be aggregated: Id");
    soql_expect_error(w, "SELECT SUM(Name) FROM Account", "INVALID_FIELD",
                      "field Name does not support aggregate operator SUM");
    soql_expect_error(w, "SELECT Name n FROM Account", "MALFORMED_QUERY",
                      "only aggregate expressions use field aliasing");
    soql_expect_error(w, "SELECT COUNT(Id) FROM Account LIMIT 5", "MALFORMED_QUERY",
                      "cannot also use LIMIT");
    soql_expect_error(w, "SELECT COUNT(Id) a, SUM(AnnualRevenue) A FROM Account", "MALFORMED_QUERY",
                      "duplicate alias: A");
    soql_expect_error(w, "SELECT count() FROM Account GROUP BY Name", "MALFORMED_QUERY", "count()");
    soql_expect_error(w, "SELECT Name FROM Account GROUP BY ROLLUP(Name)", "MALFORMED_QUERY",
                      "ROLLUP");
    soql_expect_error(w, "SELECT Name FROM Account WHERE COUNT(Id) > 1", "MALFORMED_QUERY",
                      "HAVING");
    soql_expect_error(w, "SELECT Name FROM Account GROUP BY Name HAVING Industry = 'x'",
                      "MALFORMED_QUERY", "grouped or aggregated: Industry");
    soql_expect_error(w, "SELECT HOUR_IN_DAY(CloseDate) FROM Opportunity", "INVALID_FIELD",
                      "does not support this function");
    soql_expect_error(w, "SELECT FORMAT(Amount) FROM Opportunity", "MALFORMED_QUERY", "not served");
    soql_expect_error(w, "SELECT NOSUCH(Amount) FROM Opportunity", "MALFORMED_QUERY",
                      "unexpected token: '('");
}

static void more_groups_than_one_answer_holds_are_refused(void **state)
{
    struct soql_world *w = *state;
    char id[TM_ID_BYTES], name[32];
    assert_int_equal(tm_org_begin(w->f.org, NULL), TM_OK);
    for (int i = 0; i < TM_SOQL_GROUPS_MAX; i++) {
        snprintf(name, sizeof name, "many %d", i);
        org_make_account(w->f.org, id, name, ORG_ORIGIN_MS + 50000);
    }
    assert_int_equal(tm_org_end(w->f.org, NULL), TM_OK);
    soql_expect_error(w, "SELECT Name FROM Account GROUP BY Name", "EXCEEDED_ID_LIMIT",
                      "queryMore()");
    assert_int_equal(
        soql_world_count(w, "SELECT Name FROM Account GROUP BY Name LIMIT 2000", false, NOW_MS),
        2000);
}

static void semijoins_find_records_by_what_points_to_them(void **state)
{
    struct soql_world *w = *state;
    soql_expect_names(w, "SELECT Name FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity)",
                      "Acme");
    soql_expect_names(w,
                      "SELECT Name FROM Account WHERE Id NOT IN (SELECT AccountId FROM Opportunity "
                      "WHERE Name = 'one')",
                      "Beta 50%_off");
    /* a deleted opportunity points at Beta */
    soql_expect_names(w,
                      "SELECT Name FROM Account WHERE Name LIKE 'b%' AND Id IN (SELECT AccountId "
                      "FROM Opportunity)",
                      "");
    soql_expect_names(
        w,
        "SELECT Name FROM Opportunity WHERE AccountId IN (SELECT Id FROM Account WHERE "
        "Name = 'Acme') AND Amount > 1",
        "one");
    soql_expect_names(
        w, "SELECT Name FROM Opportunity WHERE AccountId NOT IN (SELECT Id FROM Account)", "Two");
    soql_expect_error(w, "SELECT Name FROM Account WHERE Name IN (SELECT Name FROM Account)",
                      "MALFORMED_QUERY", "should be an id field, cannot use: 'Name'");
    soql_expect_error(w, "SELECT Name FROM Account WHERE Id IN (SELECT OwnerId FROM Opportunity)",
                      "INVALID_FIELD", "should point to the same object type");
    soql_expect_error(w,
                      "SELECT Name FROM Account WHERE Name = 'x' OR Id IN (SELECT AccountId FROM "
                      "Opportunity)",
                      "MALFORMED_QUERY", "only allowed at the top level");
    soql_expect_error(
        w,
        "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity WHERE Id "
        "IN (SELECT Id FROM Opportunity))",
        "MALFORMED_QUERY", "Nesting of semi join");
    soql_expect_error(
        w, "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity LIMIT 1)",
        "MALFORMED_QUERY", "one field and no GROUP BY");
    soql_expect_error(w, "SELECT Id FROM Account WHERE Id IN (SELECT Nope FROM Opportunity)",
                      "INVALID_FIELD", "No such column 'Nope' on entity 'Opportunity'");
    soql_expect_error(
        w,
        "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity) AND Id "
        "IN (SELECT AccountId FROM Opportunity) AND Id IN (SELECT Id FROM Account)",
        "EXCEEDED_MAX_SEMIJOIN_SUBSELECTS", "Maximum 2");
}

static void child_records_come_with_their_parent(void **state)
{
    struct soql_world *w = *state;
    static const char text[] =
        "SELECT Name, (SELECT Name, Account.Name, CloseDate FROM Opportunities WHERE Amount > 1 "
        "AND "
        "CloseDate > TODAY ORDER BY Name LIMIT 5), (SELECT Id FROM ChildAccounts) FROM Account "
        "WHERE Name != 'x' ORDER BY Name";
    char id[TM_ID_BYTES];
    org_make_opportunity(w->f.org, id, "another", w->account, NOW_MS - 2);
    json_t *rows = soql_world_rows(w, text, false), *acme = json_array_get(rows, 0);
    json_t *deals = json_object_get(acme, "Opportunities"),
           *deal = json_array_get(json_object_get(deals, "records"), 0);
    assert_int_equal(json_integer_value(json_object_get(deals, "totalSize")), 2);
    assert_true(json_is_true(json_object_get(deals, "done")));
    assert_string_equal(json_string_value(json_object_get(deal, "Name")), "another");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(deal, "Account"), "Name")), "Acme");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(deal, "attributes"), "type")),
        "Opportunity");
    assert_true(json_is_null(json_object_get(acme, "ChildAccounts")));
    /* Beta's only opportunity is in the bin: queryAll shows it */
    assert_true(json_is_null(json_object_get(json_array_get(rows, 1), "Opportunities")));
    json_decref(rows);
    rows = soql_world_rows(w, text, true);
    assert_int_equal(json_array_size(json_object_get(
                         json_object_get(json_array_get(rows, 1), "Opportunities"), "records")),
                     1);
    json_decref(rows);
    soql_expect_error(w, "SELECT (SELECT Id FROM Opportunity) FROM Account", "INVALID_TYPE",
                      "Didn't understand relationship 'Opportunity' in FROM part of query call");
    soql_expect_error(w, "SELECT (SELECT Nope FROM Opportunities) FROM Account", "INVALID_FIELD",
                      "No such column 'Nope' on entity 'Opportunity'");
    soql_expect_error(w, "SELECT (SELECT count() FROM Opportunities) FROM Account",
                      "MALFORMED_QUERY", "fields only");
    soql_expect_error(w, "SELECT (SELECT Id, (SELECT Id FROM X) FROM Opportunities) FROM Account",
                      "MALFORMED_QUERY", "none within");
    soql_expect_error(w, "SELECT (SELECT Id FROM Opportunities FROM Account", "MALFORMED_QUERY",
                      "unexpected token: 'FROM'");
    soql_expect_error(w, "SELECT Name, (SELECT Id FROM Opportunities) FROM Account GROUP BY Name",
                      "MALFORMED_QUERY", "cannot be grouped");
}

/* The copy goes on in slices on a connection of its own: children are of the same moment. */
static void child_records_are_of_the_moment_of_the_query_too(void **state)
{
    struct soql_world *w = *state;
    struct tm_soql *q = NULL;
    struct tm_soql_result *r = NULL;
    struct tm_soql_error error = { 0 };
    struct tm_buf body;
    char account[TM_ID_BYTES], id[TM_ID_BYTES];
    assert_int_equal(tm_org_begin(w->f.org, NULL), TM_OK);
    for (int i = 0; i < 1200; i++) {
        org_make_account(w->f.org, account, "parent", ORG_ORIGIN_MS + 50000);
        org_make_opportunity(w->f.org, id, "child", account, ORG_ORIGIN_MS + 50000);
    }
    assert_int_equal(tm_org_end(w->f.org, NULL), TM_OK);
    assert_int_equal(tm_soql_parse(&q,
                                   "SELECT Name, (SELECT Name FROM Opportunities WHERE Name LIKE "
                                   "'c%') FROM Account WHERE Name = 'parent'",
                                   &error, NULL),
                     TM_OK);
    assert_int_equal(tm_soql_begin(&r, w->f.org, q, false, NOW_MS, 100, &error, NULL), TM_OK);
    tm_soql_close(q);
    for (int i = 0; !tm_soql_result_whole(r); i++) {
        org_make_opportunity(w->f.org, id, "child too late", account, NOW_MS);
        assert_int_equal(tm_soql_copy(r, 100, NULL), TM_OK);
        assert_true(i < 100);
    }
    assert_int_equal(tm_soql_result_rows(r), 1200);
    tm_buf_init(&body, 4u << 20);
    tm_soql_render(r, 0, 1200, "59.0", &body);
    assert_null(strstr(tm_buf_text(&body), "too late"));
    size_t children = 0;
    for (const char *at = tm_buf_text(&body); (at = strstr(at, "\"Name\":\"child\"")) != NULL; at++)
        children++;
    assert_int_equal(children, 1200);
    tm_buf_free(&body);
    tm_soql_result_close(r);
}

/* Long results stand in a file: every row is read back as it was copied, whatever is committed in
 * between. */
static void a_result_beyond_memory_gives_every_row_back(void **state)
{
    struct soql_world *w = *state;
    struct tm_soql *q = NULL;
    struct tm_soql_result *r = NULL;
    struct tm_soql_error error = { 0 };
    struct tm_buf body;
    char id[TM_ID_BYTES], name[32], text[80];
    static char filler[3000];
    memset(filler, 'f', sizeof filler - 1);
    assert_int_equal(tm_org_begin(w->f.org, NULL), TM_OK);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "long %04d", i);
        struct tm_org_set sets[] = { { "Name", org_text(name) },
                                     { "Description", org_text(filler) },
                                     { NULL, org_null() } };
        id[0] = '\0';
        assert_int_equal(org_one(w->f.org, TM_ORG_CREATE, TM_ORG_NORMAL, "Account", id, sets,
                                 ORG_ORIGIN_MS + 50000),
                         TM_OK);
    }
    assert_int_equal(tm_org_end(w->f.org, NULL), TM_OK);
    assert_int_equal(tm_soql_parse(&q,
                                   "SELECT Name, Description FROM Account WHERE Name LIKE "
                                   "'long%' ORDER BY Name",
                                   &error, NULL),
                     TM_OK);
    for (int slices = 0; slices < 2; slices++) { /* copied in slices, and in one go */
        assert_int_equal(
            tm_soql_begin(&r, w->f.org, q, false, NOW_MS, slices ? 500 : SIZE_MAX, &error, NULL),
            TM_OK);
        while (!tm_soql_result_whole(r)) {
            org_make_account(w->f.org, id, "long and new", NOW_MS);
            assert_int_equal(tm_soql_copy(r, 500, NULL), TM_OK);
        }
        assert_int_equal(tm_soql_result_rows(r), 3000);
        assert_true(tm_soql_result_bytes(r) < 8u << 20);
        for (size_t i = 0; i < 3000; i += 7) {
            tm_buf_init(&body, 1u << 20);
            tm_soql_render(r, i, 1, "59.0", &body);
            snprintf(text, sizeof text, "\"Name\":\"long %04zu\",\"Description\":\"fff", i);
            assert_non_null(strstr(tm_buf_text(&body), text));
            tm_buf_free(&body);
        }
        tm_soql_result_forget(r); /* as who wrote the rows elsewhere does */
        assert_int_equal(tm_soql_result_rows(r), 0);
        tm_soql_result_close(r);
        r = NULL;
    }
    tm_soql_close(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, soql_world_open, soql_world_close)
        T(aggregates_stand_alone_or_by_group),
        T(what_cannot_be_grouped_or_aggregated_is_refused),
        T(more_groups_than_one_answer_holds_are_refused),
        T(semijoins_find_records_by_what_points_to_them),
        T(child_records_come_with_their_parent),
        T(child_records_are_of_the_moment_of_the_query_too),
        T(a_result_beyond_memory_gives_every_row_back),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
