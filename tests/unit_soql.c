/* SOQL: what parses, what it means, what is refused and how the refusal points at the place. */
#include "mocks/salesforce/soql.h"
#include "tests/support_org.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NOW_MS (ORG_ORIGIN_MS + 3600000)

struct world {
    struct org_fixture f;
    char account[TM_ID_BYTES], beta[TM_ID_BYTES], one[TM_ID_BYTES], two[TM_ID_BYTES],
        gone[TM_ID_BYTES];
};

static void world_account(struct world *w)
{
    struct tm_org_set beta[] = { { "Name", org_text("Beta 50%_off") },
                                 { "AnnualRevenue", org_real(1000) },
                                 { "NumberOfEmployees", org_int(7) },
                                 { "Active__c", org_int(1) },
                                 { "ContractEnd__c", org_text("2026-05-01") },
                                 { "OpensAt__c", org_text("08:30:00.000Z") },
                                 { NULL, org_null() } };
    org_make_account(w->f.org, w->account, "Acme", ORG_ORIGIN_MS + 1000);
    assert_int_equal(org_one(w->f.org, TM_ORG_CREATE, TM_ORG_NORMAL, "Account", w->beta, beta,
                             ORG_ORIGIN_MS + 2000),
                     TM_OK);
}

static int world_open(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    org_fixture_open(&w->f);
    world_account(w);
    org_make_opportunity(w->f.org, w->one, "one", w->account, ORG_ORIGIN_MS + 10000);
    org_make_opportunity(w->f.org, w->two, "Two", NULL, ORG_ORIGIN_MS + 20000);
    org_make_opportunity(w->f.org, w->gone, "gone", w->beta, ORG_ORIGIN_MS + 30000);
    assert_int_equal(org_one(w->f.org, TM_ORG_DELETE, TM_ORG_NORMAL, "Opportunity", w->gone, NULL,
                             ORG_ORIGIN_MS + 40000),
                     TM_OK);
    *state = w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;
    org_fixture_close(&w->f);
    free(w);
    return 0;
}

static enum tm_code world_run(struct world *w, const char *text, bool all, int64_t now_ms,
                              struct tm_soql_result **out, struct tm_soql_error *error)
{
    struct tm_soql *q = NULL;
    struct tm_err err = { 0 };
    memset(error, 0, sizeof *error);
    enum tm_code rc = tm_soql_parse(&q, text, error, &err);
    if (rc == TM_OK)
        rc = tm_soql_run(out, w->f.org, q, all, now_ms, error, &err);
    tm_soql_close(q);
    if (rc != TM_OK && rc != TM_E_ARG)
        fail_msg("%s: %s", text, err.msg);
    return rc;
}

static json_t *world_rows(struct world *w, const char *text, bool all)
{
    struct tm_soql_result *r = NULL;
    struct tm_soql_error error;
    struct tm_buf body;
    if (world_run(w, text, all, NOW_MS, &r, &error) != TM_OK)
        fail_msg("%s: %s %s", text, error.code, error.message);
    tm_buf_init(&body, 1u << 20);
    tm_buf_addc(&body, '[');
    tm_soql_render(r, 0, tm_soql_result_rows(r), "59.0", &body);
    tm_buf_addc(&body, ']');
    json_t *rows = json_loads(tm_buf_text(&body), 0, NULL);
    assert_non_null(rows);
    assert_int_equal(json_array_size(rows), tm_soql_result_rows(r));
    tm_buf_free(&body);
    tm_soql_result_close(r);
    return rows;
}

/* The Names of the rows with commas between them. */
static void expect_names(struct world *w, const char *text, const char *names)
{
    json_t *rows = world_rows(w, text, false), *row;
    char got[256] = "";
    size_t i;
    json_array_foreach(rows, i, row)
    {
        strncat(got, i > 0 ? "," : "", sizeof got - strlen(got) - 1);
        strncat(got, json_string_value(json_object_get(row, "Name")), sizeof got - strlen(got) - 1);
    }
    json_decref(rows);
    if (strcmp(got, names) != 0)
        fail_msg("%s: got %s, wanted %s", text, got, names);
}

static void expect_error(struct world *w, const char *text, const char *code, const char *part)
{
    struct tm_soql_result *r = NULL;
    struct tm_soql_error error;
    assert_int_equal(world_run(w, text, false, NOW_MS, &r, &error), TM_E_ARG);
    assert_null(r);
    if (strcmp(error.code, code) != 0 || strstr(error.message, part) == NULL)
        fail_msg("%s: got %s: %s", text, error.code, error.message);
}

static int64_t world_count(struct world *w, const char *text, bool all, int64_t now_ms)
{
    struct tm_soql_result *r = NULL;
    struct tm_soql_error error;
    if (world_run(w, text, all, now_ms, &r, &error) != TM_OK)
        fail_msg("%s: %s", text, error.message);
    int64_t total = tm_soql_result_total(r);
    tm_soql_result_close(r);
    return total;
}

static void comparisons_follow_the_type_of_the_field(void **state)
{
    struct world *w = *state;
    expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue >= 1000 ORDER BY Name",
                 "Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue > 1.0e3", "");
    expect_names(w, "select name from account where numberofemployees < 8", "Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account WHERE Active__c = TRUE", "Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account WHERE ContractEnd__c < 2026-05-02", "Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account WHERE OpensAt__c = 08:30:00.000Z", "Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account WHERE BillingCity = 'TIDE'", "Acme");
    expect_names(w, "SELECT Name FROM Opportunity WHERE CloseDate = 2026-06-30 ORDER BY Name",
                 "one,Two");
}

static void null_is_equal_to_null_and_different_from_every_value(void **state)
{
    struct world *w = *state;
    expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue = null", "Acme");
    expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue != NULL", "Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue != 5 ORDER BY Name",
                 "Acme,Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue < 5", "");
    expect_names(w, "SELECT Name FROM Account WHERE NOT AnnualRevenue < 5 ORDER BY Name",
                 "Acme,Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue NOT IN (1000)", "Acme");
    expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue IN (null, 5)", "Acme");
    expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue NOT IN (null, 5)",
                 "Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account WHERE BillingCity = ''", "Beta 50%_off");
}

static void and_or_not_and_parentheses_bind_as_written(void **state)
{
    struct world *w = *state;
    expect_names(
        w,
        "SELECT Name FROM Account WHERE (Name = 'Acme' OR Name LIKE 'Beta%') AND Active__c = true",
        "Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account WHERE NOT (Name = 'acme' AND BillingCity = 'Tide')",
                 "Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account WHERE NOT NOT Name = 'acme'", "Acme");
    expect_error(w, "SELECT Name FROM Account WHERE Name = 'a' OR Name = 'b' AND Name = 'c'",
                 "MALFORMED_QUERY", "unexpected token: 'AND'");
}

static void like_matches_patterns_and_escaped_wildcards(void **state)
{
    struct world *w = *state;
    expect_names(w, "SELECT Name FROM Account WHERE Name LIKE 'b%'", "Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account WHERE Name LIKE '%50\\%\\_off'", "Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account WHERE Name LIKE 'A_me'", "Acme");
    expect_names(w, "SELECT Name FROM Account WHERE Name LIKE 'A\\_me'", "");
    expect_error(w, "SELECT Name FROM Account WHERE AnnualRevenue LIKE '1%'",
                 "INVALID_QUERY_FILTER_OPERATOR", "invalid operator");
}

static void fifteen_and_eighteen_character_ids_are_equal(void **state)
{
    struct world *w = *state;
    char text[200];
    snprintf(text, sizeof text, "SELECT Name FROM Account WHERE Id = '%.15s'", w->account);
    expect_names(w, text, "Acme");
    snprintf(text, sizeof text,
             "SELECT Name FROM Account WHERE Id IN ('%s','%.15s') ORDER BY Name DESC", w->account,
             w->beta);
    expect_names(w, text, "Beta 50%_off,Acme");
    expect_error(w, "SELECT Name FROM Account WHERE Id = 'nonsense'",
                 "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field");
}

static void datetimes_are_read_in_every_form_clients_send(void **state)
{
    struct world *w = *state;
    expect_names(w, "SELECT Name FROM Opportunity WHERE SystemModstamp >= 2026-03-02T08:00:20Z",
                 "Two");
    expect_names(
        w, "SELECT Name FROM Opportunity WHERE SystemModstamp >= 2026-03-02T10:00:20.000+02:00",
        "Two");
    expect_names(
        w, "SELECT Name FROM Opportunity WHERE SystemModstamp >= 2026-03-02T08:00:20.123456+00:00 ",
        "");
    expect_names(w,
                 "SELECT Name FROM Opportunity WHERE SystemModstamp >= 2021-01-01T00:00:00+00:00  "
                 "AND SystemModstamp < "
                 "2026-03-02T08:00:20.000Z ORDER BY SystemModstamp ASC",
                 "one");
    expect_error(w,
                 "SELECT Name FROM Opportunity WHERE SystemModstamp >= 2021-01-01T00:00:00 00:00",
                 "MALFORMED_QUERY", "unexpected");
    expect_error(w, "SELECT Name FROM Opportunity WHERE SystemModstamp >= '2021-01-01T00:00:00Z'",
                 "INVALID_FIELD", "must be of type dateTime and should not be enclosed in quotes");
}

static void a_related_record_is_one_level_away_and_nested(void **state)
{
    struct world *w = *state;
    json_t *rows = world_rows(
        w, "SELECT Id, Account.Name, Account.BillingAddress FROM Opportunity o ORDER BY o.Name",
        false);
    json_t *account = json_object_get(json_array_get(rows, 0), "Account");
    assert_string_equal(json_string_value(json_object_get(account, "Name")), "Acme");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(account, "attributes"), "type")),
        "Account");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(account, "BillingAddress"), "city")),
        "Tide");
    assert_true(json_is_null(json_object_get(json_array_get(rows, 1), "Account")));
    json_decref(rows);
    expect_names(w, "SELECT Name FROM Opportunity WHERE Account.Name = 'acme'", "one");
    expect_names(w, "SELECT Name FROM Opportunity WHERE Opportunity.Name = 'two'", "Two");
    expect_error(w, "SELECT Foo.Name FROM Opportunity", "INVALID_FIELD",
                 "Didn't understand relationship 'Foo'");
}

/* The first row as text, to look for parts in it; the caller frees it. */
static char *first_row(struct world *w, const char *text)
{
    json_t *rows = world_rows(w, text, false);
    char *row = json_dumps(json_array_get(rows, 0), JSON_COMPACT);
    assert_non_null(row);
    json_decref(rows);
    return row;
}

static void expect_row(struct world *w, const char *text, const char *part)
{
    char *row = first_row(w, text);
    if (strstr(row, part) == NULL)
        fail_msg("%s: %s is not in %s", text, part, row);
    free(row);
}

static void relationships_are_followed_through_up_to_five_levels(void **state)
{
    struct world *w = *state;
    struct tm_org_set sets[] = { { "ParentId", org_text(w->beta) }, { NULL, org_null() } };
    assert_int_equal(
        org_one(w->f.org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", w->account, sets, NOW_MS - 1),
        TM_OK);
    expect_row(w, "SELECT o.Account.Parent.Name FROM Opportunity o WHERE Name = 'one'",
               "\"Account\":{\"attributes\":{\"type\":\"Account\",");
    expect_row(w, "SELECT Account.Parent.Name, Account.Name FROM Opportunity WHERE Name = 'one'",
               "\"Name\":\"Beta 50%_off\"},\"Name\":\"Acme\"}");
    expect_names(w, "SELECT Name FROM Opportunity WHERE Account.Parent.Name LIKE 'beta%'", "one");
    expect_names(w, "SELECT Name FROM Opportunity ORDER BY Account.Parent.Name NULLS LAST, Name",
                 "one,Two");
    expect_error(w, "SELECT Account.Foo.Name FROM Opportunity", "INVALID_FIELD",
                 "Didn't understand relationship 'Foo'");
    expect_error(w, "SELECT a.b.c.d.e.f.g.h FROM Opportunity", "MALFORMED_QUERY", "five");
}

static void aggregates_stand_alone_or_by_group(void **state)
{
    struct world *w = *state;
    expect_row(w, "SELECT COUNT(Id), SUM(Amount) total, AVG(Probability) FROM Opportunity",
               "{\"attributes\":{\"type\":\"AggregateResult\"},\"expr0\":2,\"total\":2401.0,"
               "\"expr1\":50.0}");
    expect_row(w,
               "SELECT Account.Name, COUNT(Id) n FROM Opportunity GROUP BY Account.Name "
               "ORDER BY Account.Name NULLS LAST",
               "\"Name\":\"Acme\",\"n\":1}");
    expect_row(w,
               "SELECT COUNT(AccountId), COUNT_DISTINCT(StageName), MIN(CloseDate), MAX(Name) "
               "FROM Opportunity",
               "\"expr0\":1,\"expr1\":1,\"expr2\":\"2026-06-30\",\"expr3\":\"Two\"");
    expect_row(w,
               "SELECT CALENDAR_YEAR(CloseDate), CALENDAR_QUARTER(CloseDate) q, COUNT(Id) FROM "
               "Opportunity GROUP BY CALENDAR_YEAR(CloseDate), CALENDAR_QUARTER(CloseDate)",
               "\"expr0\":2026,\"q\":2,\"expr1\":2}");
    assert_int_equal(world_count(w,
                                 "SELECT Name FROM Opportunity GROUP BY Name HAVING COUNT(Id) > 1",
                                 false, NOW_MS),
                     0);
    assert_int_equal(world_count(w,
                                 "SELECT Name FROM Opportunity GROUP BY Name HAVING COUNT(Id) < "
                                 "5 AND Name LIKE 't%'",
                                 false, NOW_MS),
                     1);
    /* no group when there is no row; one row when there is no group */
    assert_int_equal(
        world_count(w, "SELECT Name FROM Account WHERE Name = 'x' GROUP BY Name", false, NOW_MS),
        0);
    expect_row(w, "SELECT COUNT(Id), SUM(AnnualRevenue) FROM Account WHERE Name = 'x'",
               "\"expr0\":0,\"expr1\":null");
}

static void what_cannot_be_grouped_or_aggregated_is_refused(void **state)
{
    struct world *w = *state;
    expect_error(w, "SELECT Name, COUNT(Id) FROM Account", "MALFORMED_QUERY",
                 "Field must be grouped or aggregated: Name");
    expect_error(w, "SELECT COUNT(Id) FROM Account GROUP BY CreatedDate", "INVALID_FIELD",
                 "field 'CreatedDate' can not be grouped in a query call");
    expect_error(w, "SELECT COUNT(Id) FROM Account GROUP BY Nope", "INVALID_FIELD",
                 "No such column 'Nope'");
    expect_error(w, "SELECT COUNT(Id) FROM Account GROUP BY COUNT(Id)", "MALFORMED_QUERY",
                 "Grouped field should not be aggregated: Id");
    expect_error(w, "SELECT SUM(Name) FROM Account", "INVALID_FIELD",
                 "field Name does not support aggregate operator SUM");
    expect_error(w, "SELECT Name n FROM Account", "MALFORMED_QUERY",
                 "only aggregate expressions use field aliasing");
    expect_error(w, "SELECT COUNT(Id) FROM Account LIMIT 5", "MALFORMED_QUERY",
                 "cannot also use LIMIT");
    expect_error(w, "SELECT COUNT(Id) a, SUM(AnnualRevenue) A FROM Account", "MALFORMED_QUERY",
                 "duplicate alias: A");
    expect_error(w, "SELECT count() FROM Account GROUP BY Name", "MALFORMED_QUERY", "count()");
    expect_error(w, "SELECT Name FROM Account GROUP BY ROLLUP(Name)", "MALFORMED_QUERY", "ROLLUP");
    expect_error(w, "SELECT Name FROM Account WHERE COUNT(Id) > 1", "MALFORMED_QUERY", "HAVING");
    expect_error(w, "SELECT Name FROM Account GROUP BY Name HAVING Industry = 'x'",
                 "MALFORMED_QUERY", "grouped or aggregated: Industry");
    expect_error(w, "SELECT HOUR_IN_DAY(CloseDate) FROM Opportunity", "INVALID_FIELD",
                 "does not support this function");
    expect_error(w, "SELECT FORMAT(Amount) FROM Opportunity", "MALFORMED_QUERY", "not served");
    expect_error(w, "SELECT NOSUCH(Amount) FROM Opportunity", "MALFORMED_QUERY",
                 "unexpected token: '('");
}

static void more_groups_than_one_answer_holds_are_refused(void **state)
{
    struct world *w = *state;
    char id[TM_ID_BYTES], name[32];
    assert_int_equal(tm_org_begin(w->f.org, NULL), TM_OK);
    for (int i = 0; i < TM_SOQL_GROUPS_MAX; i++) {
        snprintf(name, sizeof name, "many %d", i);
        org_make_account(w->f.org, id, name, ORG_ORIGIN_MS + 50000);
    }
    assert_int_equal(tm_org_end(w->f.org, NULL), TM_OK);
    expect_error(w, "SELECT Name FROM Account GROUP BY Name", "EXCEEDED_ID_LIMIT", "queryMore()");
    assert_int_equal(
        world_count(w, "SELECT Name FROM Account GROUP BY Name LIMIT 2000", false, NOW_MS), 2000);
}

static void semijoins_find_records_by_what_points_to_them(void **state)
{
    struct world *w = *state;
    expect_names(w, "SELECT Name FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity)",
                 "Acme");
    expect_names(w,
                 "SELECT Name FROM Account WHERE Id NOT IN (SELECT AccountId FROM Opportunity "
                 "WHERE Name = 'one')",
                 "Beta 50%_off");
    /* a deleted opportunity points at Beta */
    expect_names(w,
                 "SELECT Name FROM Account WHERE Name LIKE 'b%' AND Id IN (SELECT AccountId "
                 "FROM Opportunity)",
                 "");
    expect_names(w,
                 "SELECT Name FROM Opportunity WHERE AccountId IN (SELECT Id FROM Account WHERE "
                 "Name = 'Acme') AND Amount > 1",
                 "one");
    expect_names(w, "SELECT Name FROM Opportunity WHERE AccountId NOT IN (SELECT Id FROM Account)",
                 "Two");
    expect_error(w, "SELECT Name FROM Account WHERE Name IN (SELECT Name FROM Account)",
                 "MALFORMED_QUERY", "should be an id field, cannot use: 'Name'");
    expect_error(w, "SELECT Name FROM Account WHERE Id IN (SELECT OwnerId FROM Opportunity)",
                 "INVALID_FIELD", "should point to the same object type");
    expect_error(w,
                 "SELECT Name FROM Account WHERE Name = 'x' OR Id IN (SELECT AccountId FROM "
                 "Opportunity)",
                 "MALFORMED_QUERY", "only allowed at the top level");
    expect_error(w,
                 "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity WHERE Id "
                 "IN (SELECT Id FROM Opportunity))",
                 "MALFORMED_QUERY", "Nesting of semi join");
    expect_error(w,
                 "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity LIMIT 1)",
                 "MALFORMED_QUERY", "one field and no GROUP BY");
    expect_error(w, "SELECT Id FROM Account WHERE Id IN (SELECT Nope FROM Opportunity)",
                 "INVALID_FIELD", "No such column 'Nope' on entity 'Opportunity'");
    expect_error(w,
                 "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity) AND Id "
                 "IN (SELECT AccountId FROM Opportunity) AND Id IN (SELECT Id FROM Account)",
                 "EXCEEDED_MAX_SEMIJOIN_SUBSELECTS", "Maximum 2");
}

static void multipicklists_are_searched_by_their_parts(void **state)
{
    struct world *w = *state;
    struct tm_org_set sets[] = { { "Regions__c", org_text("EMEA;APAC") }, { NULL, org_null() } };
    assert_int_equal(
        org_one(w->f.org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", w->account, sets, NOW_MS - 1),
        TM_OK);
    expect_names(w, "SELECT Name FROM Account WHERE Regions__c INCLUDES ('apac')", "Acme");
    expect_names(w, "SELECT Name FROM Account WHERE Regions__c INCLUDES ('APAC;EMEA','x')", "Acme");
    expect_names(w, "SELECT Name FROM Account WHERE Regions__c INCLUDES ('APAC;Americas')", "");
    expect_names(w, "SELECT Name FROM Account WHERE Regions__c INCLUDES ('EME')", "");
    expect_names(w, "SELECT Name FROM Account WHERE Regions__c EXCLUDES ('EMEA')", "Beta 50%_off");
    expect_error(w, "SELECT Name FROM Account WHERE Name INCLUDES ('a')",
                 "INVALID_QUERY_FILTER_OPERATOR", "invalid operator");
    expect_error(w, "SELECT Name FROM Account WHERE Regions__c INCLUDES (5)", "MALFORMED_QUERY",
                 "strings");
}

static void parts_of_dates_are_compared_as_numbers(void **state)
{
    struct world *w = *state; /* Beta's contract ends on Friday 2026-05-01 */
    static const char *const true_of_beta[] = {
        "CALENDAR_YEAR(ContractEnd__c) = 2026", "CALENDAR_MONTH(ContractEnd__c) = 5",
        "CALENDAR_QUARTER(ContractEnd__c) = 2", "DAY_IN_MONTH(ContractEnd__c) = 1",
        "DAY_IN_WEEK(ContractEnd__c) = 6",      "DAY_IN_YEAR(ContractEnd__c) = 121",
        "WEEK_IN_MONTH(ContractEnd__c) = 1",    "WEEK_IN_YEAR(ContractEnd__c) = 18",
        "FISCAL_YEAR(ContractEnd__c) = 2026",   "FISCAL_QUARTER(ContractEnd__c) = 2",
        "FISCAL_MONTH(ContractEnd__c) = 5",     "DAY_ONLY(CreatedDate) = 2026-03-02",
        "HOUR_IN_DAY(CreatedDate) = 8",         "DAY_ONLY(convertTimezone(CreatedDate)) = TODAY",
    };
    for (size_t i = 0; i < sizeof true_of_beta / sizeof true_of_beta[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "SELECT Name FROM Account WHERE Name LIKE 'b%%' AND %s",
                 true_of_beta[i]);
        expect_names(w, text, "Beta 50%_off");
    }
    expect_error(w, "SELECT Name FROM Account WHERE CALENDAR_YEAR(CreatedDate) = '2026'",
                 "INVALID_FIELD", "must be of type int");
}

static void clauses_that_change_nothing_are_taken_and_others_refused(void **state)
{
    struct world *w = *state;
    expect_names(w, "SELECT Name FROM Account WITH SECURITY_ENFORCED LIMIT 1 FOR VIEW", "Acme");
    expect_names(w, "SELECT Name FROM Account USING SCOPE everything ORDER BY Name",
                 "Acme,Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account USING SCOPE mine WHERE Name = 'acme' FOR REFERENCE",
                 "Acme");
    expect_error(w, "SELECT Name FROM Account ALL ROWS", "MALFORMED_QUERY",
                 "ALL ROWS not allowed in this context");
    expect_error(w, "SELECT Name FROM Account FOR UPDATE", "MALFORMED_QUERY", "FOR UPDATE");
    expect_error(w, "SELECT Name FROM Account USING SCOPE team", "MALFORMED_QUERY", "SCOPE");
    expect_error(w, "SELECT Name FROM Account WITH DATA CATEGORY x AT y", "MALFORMED_QUERY",
                 "WITH");
    expect_error(w, "SELECT Id, (SELECT Id FROM Opportunities) FROM Account", "MALFORMED_QUERY",
                 "not served");
    expect_error(w, "SELECT TYPEOF Owner WHEN User THEN Id END FROM Account", "MALFORMED_QUERY",
                 "TYPEOF");
    expect_error(w, "SELECT Name FROM Account LIMIT 1 WHERE Name = 'x'", "MALFORMED_QUERY",
                 "unexpected token: 'WHERE'");
}

static void values_are_rendered_as_rest_writes_them(void **state)
{
    struct world *w = *state;
    json_t *
        rows = world_rows(
           w,
           "SELECT Id, IsDeleted, Amount, Probability, Description, SystemModstamp, CloseDate FROM "
           "Opportunity WHERE Name = 'one'",
           false),
       *row = json_array_get(rows, 0);
    char *text = json_dumps(row, JSON_COMPACT);
    assert_non_null(strstr(text, "\"IsDeleted\":false"));
    assert_non_null(strstr(text, "\"Amount\":1200.5"));
    assert_non_null(strstr(text, "\"Probability\":50.0"));
    assert_non_null(strstr(text, "\"Description\":null"));
    assert_non_null(strstr(text, "\"SystemModstamp\":\"2026-03-02T08:00:10.000+0000\""));
    assert_non_null(strstr(text, "\"CloseDate\":\"2026-06-30\""));
    assert_non_null(strstr(text, "\"url\":\"/services/data/v59.0/sobjects/Opportunity/"));
    free(text);
    json_decref(rows);
    rows = world_rows(
        w, "SELECT Name, BillingAddress, ShippingAddress FROM Account WHERE Name = 'Acme'", false);
    row = json_array_get(rows, 0);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(row, "BillingAddress"), "street")),
        "1 Sea Road");
    assert_true(json_is_null(json_object_get(json_object_get(row, "BillingAddress"), "latitude")));
    assert_true(json_is_null(json_object_get(row, "ShippingAddress")));
    json_decref(rows);
}

static void the_name_of_a_person_is_a_string(void **state)
{
    struct world *w = *state;
    struct tm_org_set sets[] = { { "FirstName", org_text("Ada") },
                                 { "LastName", org_text("Byron") },
                                 { "Username", org_text("ada@x.example") },
                                 { "Alias", org_text("ada") },
                                 { "Email", org_text("ada@x.example") },
                                 { "TimeZoneSidKey", org_text("GMT") },
                                 { "LocaleSidKey", org_text("en_US") },
                                 { "LanguageLocaleKey", org_text("en_US") },
                                 { NULL, org_null() } };
    char id[TM_ID_BYTES] = "";
    assert_int_equal(
        org_one(w->f.org, TM_ORG_CREATE, TM_ORG_NORMAL, "User", id, sets, ORG_ORIGIN_MS + 50000),
        TM_OK);
    expect_names(w, "SELECT Name FROM User WHERE Name = 'ada byron'", "Ada Byron");
}

static void order_limit_and_offset_cut_the_result(void **state)
{
    struct world *w = *state;
    expect_names(w, "SELECT Name FROM Account ORDER BY AnnualRevenue, Name", "Acme,Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account ORDER BY AnnualRevenue DESC", "Acme,Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account ORDER BY AnnualRevenue NULLS LAST",
                 "Beta 50%_off,Acme");
    expect_names(w, "SELECT Name FROM Account ORDER BY Name LIMIT 1", "Acme");
    expect_names(w, "SELECT Name FROM Account ORDER BY Name LIMIT 1 OFFSET 1", "Beta 50%_off");
    expect_names(w, "SELECT Name FROM Account ORDER BY Name OFFSET 1", "Beta 50%_off");
    expect_error(w, "SELECT Name FROM Account LIMIT -1", "MALFORMED_QUERY",
                 "unexpected token: '-1'");
    expect_error(w, "SELECT Name FROM Account OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "2000");
    expect_error(w, "SELECT Name FROM Account ORDER BY BillingAddress", "INVALID_FIELD",
                 "can not be sorted");
}

static void deleted_rows_are_hidden_from_query_and_shown_to_query_all(void **state)
{
    struct world *w = *state;
    json_t *rows =
        world_rows(w, "SELECT Id, Name, IsDeleted FROM Opportunity WHERE IsDeleted = true", true);
    assert_int_equal(json_array_size(rows), 1);
    assert_true(json_is_true(json_object_get(json_array_get(rows, 0), "IsDeleted")));
    json_decref(rows);
    expect_names(w, "SELECT Name FROM Opportunity WHERE IsDeleted = true", "");
    assert_int_equal(world_count(w, "SELECT count() FROM Opportunity", false, NOW_MS), 2);
    assert_int_equal(world_count(w, "SELECT Count ( ) FROM Opportunity", true, NOW_MS), 3);
    assert_int_equal(world_count(w, "SELECT count() FROM Opportunity LIMIT 1", true, NOW_MS), 1);
}

static void fields_stands_for_the_describe_and_needs_a_limit(void **state)
{
    struct world *w = *state;
    json_t *rows = world_rows(w, "SELECT FIELDS(ALL) FROM Opportunity LIMIT 200", false);
    assert_int_equal(json_object_size(json_array_get(rows, 0)),
                     1 + tm_org_describe(w->f.org, "Opportunity")->fields_count);
    json_decref(rows);
    rows = world_rows(w, "SELECT FIELDS(STANDARD) FROM Opportunity", false);
    assert_null(json_object_get(json_array_get(rows, 0), "Notes__c"));
    json_decref(rows);
    rows = world_rows(w, "SELECT Id, FIELDS(CUSTOM) FROM Opportunity LIMIT 1", false);
    assert_non_null(json_object_get(json_array_get(rows, 0), "Notes__c"));
    assert_null(json_object_get(json_array_get(rows, 0), "Amount"));
    json_decref(rows);
    expect_error(w, "SELECT FIELDS(ALL) FROM Opportunity", "MALFORMED_QUERY",
                 "LIMIT of at most 200");
    expect_error(w, "SELECT FIELDS(CUSTOM) FROM Opportunity LIMIT 201", "MALFORMED_QUERY",
                 "LIMIT of at most 200");
}

static void errors_point_at_row_and_column(void **state)
{
    struct world *w = *state;
    expect_error(w, "SELECT Id, Nope FROM Account", "INVALID_FIELD",
                 "ERROR at Row:1:Column:12\nNo such column 'Nope' on entity 'Account'");
    expect_error(w, "SELECT Id\nFROM Nothing", "INVALID_TYPE",
                 "ERROR at Row:2:Column:6\nsObject type 'Nothing' is not supported");
    expect_error(w, "SELECT FROM Account", "MALFORMED_QUERY", "Row:1");
    expect_error(w, "SELECT Id FROM Account WHERE", "MALFORMED_QUERY", "unexpected token: <EOF>");
    expect_error(w, "SELECT Id FROM Account WHERE Name = 'x", "MALFORMED_QUERY", "unclosed string");
    expect_error(w, "SELECT Id FROM Account WHERE Name = 'a\\q'", "MALFORMED_QUERY", "escape");
    expect_error(w, "SELECT Id FROM Account GARBAGE MORE", "MALFORMED_QUERY",
                 "unexpected token: 'MORE'");
    expect_error(w, "DELETE FROM Account", "MALFORMED_QUERY", "unexpected token: 'DELETE'");
    expect_error(w, "", "MALFORMED_QUERY", "<EOF>");
    expect_error(w, "SELECT Id, id FROM Account", "INVALID_FIELD", "duplicate field selected");
    expect_error(w, "SELECT count(), Id FROM Account", "MALFORMED_QUERY", "alone");
    expect_error(w, "SELECT Id FROM Account WHERE Active__c = 'true'", "INVALID_FIELD",
                 "must be of type boolean");
    expect_error(w, "SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD",
                 "should be enclosed in quotes");
    expect_error(w, "SELECT Id FROM Account WHERE BillingAddress = 'x'", "INVALID_FIELD",
                 "can not be filtered");
}

static void hostile_text_stays_text(void **state)
{
    struct world *w = *state;
    expect_names(w, "SELECT Name FROM Account WHERE Name = '\\'; DROP TABLE cur_Account; --'", "");
    expect_names(w, "SELECT Name FROM Account WHERE Name = '\\u0041cme'", "Acme");
    expect_error(w, "SELECT \"Name\" FROM Account", "MALFORMED_QUERY", "unexpected token");
    expect_error(w, "SELECT Name FROM sqlite_master", "INVALID_TYPE", "not supported");
    expect_error(w, "SELECT _row FROM Account", "INVALID_FIELD", "No such column '_row'");
    expect_names(w, "SELECT Name FROM Account ORDER BY Name", "Acme,Beta 50%_off");
}

static void nesting_and_length_are_bounded_and_long_chains_are_not_deep(void **state)
{
    struct world *w = *state;
    struct tm_buf text;
    tm_buf_init(&text, 1u << 20);
    tm_buf_addz(&text, "SELECT Id FROM Account WHERE ");
    for (int i = 0; i < 70; i++)
        tm_buf_addc(&text, '(');
    expect_error(w, tm_buf_text(&text), "MALFORMED_QUERY", "nested more than 64");
    tm_buf_reset(&text);
    tm_buf_addz(&text, "SELECT Name FROM Account WHERE Name = 'acme'");
    for (int i = 0; i < 3000; i++)
        tm_buf_addf(&text, " OR Name = 'x%d'", i);
    expect_names(w, tm_buf_text(&text), "Acme");
    tm_buf_reset(&text);
    tm_buf_addz(&text, "SELECT Name FROM Account WHERE Name IN ('acme'");
    for (int i = 0; i < 5000; i++)
        tm_buf_addf(&text, ",'x%d'", i);
    tm_buf_addc(&text, ')');
    expect_names(w, tm_buf_text(&text), "Acme");
    while (text.bytes <= TM_SOQL_BYTES_MAX)
        tm_buf_addc(&text, ' ');
    expect_error(w, tm_buf_text(&text), "QUERY_TOO_COMPLICATED", "100000");
    tm_buf_free(&text);
}

static void range_reads_see_the_org_as_it_was_a_lag_ago_and_id_reads_as_it_is(void **state)
{
    struct world *w = *state;
    char text[200];
    w->f.settings.index_lag_ms = 15000;
    org_fixture_reopen(&w->f);
    const char *range =
        "SELECT count() FROM Opportunity WHERE SystemModstamp >= 2026-01-01T00:00:00Z";
    assert_int_equal(world_count(w, range, true, ORG_ORIGIN_MS + 24000), 0);
    assert_int_equal(world_count(w, range, true, ORG_ORIGIN_MS + 26000), 1);
    assert_int_equal(world_count(w, range, true, ORG_ORIGIN_MS + 36000), 2);
    /* its delete is younger than the lag */
    assert_int_equal(world_count(w, range, false, ORG_ORIGIN_MS + 46000), 3);
    assert_int_equal(world_count(w, range, false, ORG_ORIGIN_MS + 56000), 2);
    assert_int_equal(world_count(w, "SELECT count() FROM Opportunity", true, ORG_ORIGIN_MS + 56000),
                     3);
    snprintf(text, sizeof text, "SELECT count() FROM Opportunity WHERE Id = '%s'", w->two);
    assert_int_equal(world_count(w, text, false, ORG_ORIGIN_MS + 20000), 1);
}

static void a_result_keeps_the_rows_of_the_moment_it_was_made(void **state)
{
    struct world *w = *state;
    struct tm_soql_result *r = NULL;
    struct tm_soql_error error;
    struct tm_buf body;
    struct tm_org_set sets[] = { { "Name", org_text("renamed") }, { NULL, org_null() } };
    assert_int_equal(
        world_run(w, "SELECT Name FROM Opportunity ORDER BY Name", false, NOW_MS, &r, &error),
        TM_OK);
    assert_int_equal(
        org_one(w->f.org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Opportunity", w->one, sets, NOW_MS),
        TM_OK);
    assert_int_equal(
        org_one(w->f.org, TM_ORG_DELETE, TM_ORG_NORMAL, "Opportunity", w->two, NULL, NOW_MS),
        TM_OK);
    tm_buf_init(&body, 4096);
    tm_soql_render(r, 0, 1, "59.0", &body);
    assert_non_null(strstr(tm_buf_text(&body), "\"Name\":\"one\""));
    tm_buf_reset(&body);
    tm_soql_render(r, 1, 1, "59.0", &body);
    assert_non_null(strstr(tm_buf_text(&body), "\"Name\":\"Two\""));
    tm_buf_free(&body);
    tm_soql_result_close(r);
    expect_names(w, "SELECT Name FROM Opportunity", "renamed");
}

/* Long results stand in a file: every row is read back as it was copied, whatever is committed in
 * between. */
static void a_result_beyond_memory_gives_every_row_back(void **state)
{
    struct world *w = *state;
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
        tm_soql_result_close(r);
        r = NULL;
    }
    tm_soql_close(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
        T(comparisons_follow_the_type_of_the_field),
        T(null_is_equal_to_null_and_different_from_every_value),
        T(and_or_not_and_parentheses_bind_as_written),
        T(like_matches_patterns_and_escaped_wildcards),
        T(fifteen_and_eighteen_character_ids_are_equal),
        T(datetimes_are_read_in_every_form_clients_send),
        T(a_related_record_is_one_level_away_and_nested),
        T(relationships_are_followed_through_up_to_five_levels),
        T(aggregates_stand_alone_or_by_group),
        T(what_cannot_be_grouped_or_aggregated_is_refused),
        T(more_groups_than_one_answer_holds_are_refused),
        T(semijoins_find_records_by_what_points_to_them),
        T(multipicklists_are_searched_by_their_parts),
        T(parts_of_dates_are_compared_as_numbers),
        T(clauses_that_change_nothing_are_taken_and_others_refused),
        T(values_are_rendered_as_rest_writes_them),
        T(the_name_of_a_person_is_a_string),
        T(order_limit_and_offset_cut_the_result),
        T(deleted_rows_are_hidden_from_query_and_shown_to_query_all),
        T(fields_stands_for_the_describe_and_needs_a_limit),
        T(errors_point_at_row_and_column),
        T(hostile_text_stays_text),
        T(nesting_and_length_are_bounded_and_long_chains_are_not_deep),
        T(range_reads_see_the_org_as_it_was_a_lag_ago_and_id_reads_as_it_is),
        T(a_result_keeps_the_rows_of_the_moment_it_was_made),
        T(a_result_beyond_memory_gives_every_row_back),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
