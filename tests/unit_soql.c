/* SOQL: what parses, what it means, what is refused and how the refusal points at the place. */
#include "tests/support_soql.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void comparisons_follow_the_type_of_the_field(void **state)
{
    struct soql_world *w = *state;
    soql_expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue >= 1000 ORDER BY Name",
                      "Beta 50%_off");
    soql_expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue > 1.0e3", "");
    soql_expect_names(w, "select name from account where numberofemployees < 8", "Beta 50%_off");
    soql_expect_names(w, "SELECT Name FROM Account WHERE Active__c = TRUE", "Beta 50%_off");
    soql_expect_names(w, "SELECT Name FROM Account WHERE ContractEnd__c < 2026-05-02",
                      "Beta 50%_off");
    soql_expect_names(w, "SELECT Name FROM Account WHERE OpensAt__c = 08:30:00.000Z",
                      "Beta 50%_off");
    soql_expect_names(w, "SELECT Name FROM Account WHERE BillingCity = 'TIDE'", "Acme");
    soql_expect_names(w, "SELECT Name FROM Opportunity WHERE CloseDate = 2026-06-30 ORDER BY Name",
                      "one,Two");
}

static void null_is_equal_to_null_and_different_from_every_value(void **state)
{
    struct soql_world *w = *state;
    soql_expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue = null", "Acme");
    soql_expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue != NULL", "Beta 50%_off");
    soql_expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue != 5 ORDER BY Name",
                      "Acme,Beta 50%_off");
    soql_expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue < 5", "");
    soql_expect_names(w, "SELECT Name FROM Account WHERE NOT AnnualRevenue < 5 ORDER BY Name",
                      "Acme,Beta 50%_off");
    soql_expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue NOT IN (1000)", "Acme");
    soql_expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue IN (null, 5)", "Acme");
    soql_expect_names(w, "SELECT Name FROM Account WHERE AnnualRevenue NOT IN (null, 5)",
                      "Beta 50%_off");
    soql_expect_names(w, "SELECT Name FROM Account WHERE BillingCity = ''", "Beta 50%_off");
}

static void and_or_not_and_parentheses_bind_as_written(void **state)
{
    struct soql_world *w = *state;
    soql_expect_names(
        w,
        "SELECT Name FROM Account WHERE (Name = 'Acme' OR Name LIKE 'Beta%') AND Active__c = true",
        "Beta 50%_off");
    soql_expect_names(w,
                      "SELECT Name FROM Account WHERE NOT (Name = 'acme' AND BillingCity = 'Tide')",
                      "Beta 50%_off");
    soql_expect_names(w, "SELECT Name FROM Account WHERE NOT NOT Name = 'acme'", "Acme");
    soql_expect_error(w, "SELECT Name FROM Account WHERE Name = 'a' OR Name = 'b' AND Name = 'c'",
                      "MALFORMED_QUERY", "unexpected token: 'AND'");
}

static void like_matches_patterns_and_escaped_wildcards(void **state)
{
    struct soql_world *w = *state;
    soql_expect_names(w, "SELECT Name FROM Account WHERE Name LIKE 'b%'", "Beta 50%_off");
    soql_expect_names(w, "SELECT Name FROM Account WHERE Name LIKE '%50\\%\\_off'", "Beta 50%_off");
    soql_expect_names(w, "SELECT Name FROM Account WHERE Name LIKE 'A_me'", "Acme");
    soql_expect_names(w, "SELECT Name FROM Account WHERE Name LIKE 'A\\_me'", "");
    soql_expect_error(w, "SELECT Name FROM Account WHERE AnnualRevenue LIKE '1%'",
                      "INVALID_QUERY_FILTER_OPERATOR", "invalid operator");
}

static void fifteen_and_eighteen_character_ids_are_equal(void **state)
{
    struct soql_world *w = *state;
    char text[200];
    snprintf(text, sizeof text, "SELECT Name FROM Account WHERE Id = '%.15s'", w->account);
    soql_expect_names(w, text, "Acme");
    snprintf(text, sizeof text,
             "SELECT Name FROM Account WHERE Id IN ('%s','%.15s') ORDER BY Name DESC", w->account,
             w->beta);
    soql_expect_names(w, text, "Beta 50%_off,Acme");
    soql_expect_error(w, "SELECT Name FROM Account WHERE Id = 'nonsense'",
                      "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field");
}

static void datetimes_are_read_in_every_form_clients_send(void **state)
{
    struct soql_world *w = *state;
    soql_expect_names(
        w, "SELECT Name FROM Opportunity WHERE SystemModstamp >= 2026-03-02T08:00:20Z", "Two");
    soql_expect_names(
        w, "SELECT Name FROM Opportunity WHERE SystemModstamp >= 2026-03-02T10:00:20.000+02:00",
        "Two");
    soql_expect_names(
        w, "SELECT Name FROM Opportunity WHERE SystemModstamp >= 2026-03-02T08:00:20.123456+00:00 ",
        "");
    soql_expect_names(
        w,
        "SELECT Name FROM Opportunity WHERE SystemModstamp >= 2021-01-01T00:00:00+00:00  "
        "AND SystemModstamp < "
        "2026-03-02T08:00:20.000Z ORDER BY SystemModstamp ASC",
        "one");
    soql_expect_error(
        w, "SELECT Name FROM Opportunity WHERE SystemModstamp >= 2021-01-01T00:00:00 00:00",
        "MALFORMED_QUERY", "unexpected");
    soql_expect_error(
        w, "SELECT Name FROM Opportunity WHERE SystemModstamp >= '2021-01-01T00:00:00Z'",
        "INVALID_FIELD", "must be of type dateTime and should not be enclosed in quotes");
}

static void a_related_record_is_one_level_away_and_nested(void **state)
{
    struct soql_world *w = *state;
    json_t *rows = soql_world_rows(
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
    soql_expect_names(w, "SELECT Name FROM Opportunity WHERE Account.Name = 'acme'", "one");
    soql_expect_names(w, "SELECT Name FROM Opportunity WHERE Opportunity.Name = 'two'", "Two");
    soql_expect_error(w, "SELECT Foo.Name FROM Opportunity", "INVALID_FIELD",
                      "Didn't understand relationship 'Foo'");
}

static void relationships_are_followed_through_up_to_five_levels(void **state)
{
    struct soql_world *w = *state;
    struct tm_org_set sets[] = { { "ParentId", org_text(w->beta) }, { NULL, org_null() } };
    assert_int_equal(
        org_one(w->f.org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", w->account, sets, NOW_MS - 1),
        TM_OK);
    soql_expect_row(w, "SELECT o.Account.Parent.Name FROM Opportunity o WHERE Name = 'one'",
                    "\"Account\":{\"attributes\":{\"type\":\"Account\",");
    soql_expect_row(w,
                    "SELECT Account.Parent.Name, Account.Name FROM Opportunity WHERE Name = 'one'",
                    "\"Name\":\"Beta 50%_off\"},\"Name\":\"Acme\"}");
    soql_expect_names(w, "SELECT Name FROM Opportunity WHERE Account.Parent.Name LIKE 'beta%'",
                      "one");
    soql_expect_names(
        w, "SELECT Name FROM Opportunity ORDER BY Account.Parent.Name NULLS LAST, Name", "one,Two");
    soql_expect_error(w, "SELECT Account.Foo.Name FROM Opportunity", "INVALID_FIELD",
                      "Didn't understand relationship 'Foo'");
    soql_expect_error(w, "SELECT a.b.c.d.e.f.g.h FROM Opportunity", "MALFORMED_QUERY", "five");
}

static void multipicklists_are_searched_by_their_parts(void **state)
{
    struct soql_world *w = *state;
    struct tm_org_set sets[] = { { "Regions__c", org_text("EMEA;APAC") }, { NULL, org_null() } };
    assert_int_equal(
        org_one(w->f.org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", w->account, sets, NOW_MS - 1),
        TM_OK);
    soql_expect_names(w, "SELECT Name FROM Account WHERE Regions__c INCLUDES ('apac')", "Acme");
    soql_expect_names(w, "SELECT Name FROM Account WHERE Regions__c INCLUDES ('APAC;EMEA','x')",
                      "Acme");
    soql_expect_names(w, "SELECT Name FROM Account WHERE Regions__c INCLUDES ('APAC;Americas')",
                      "");
    soql_expect_names(w, "SELECT Name FROM Account WHERE Regions__c INCLUDES ('EME')", "");
    soql_expect_names(w, "SELECT Name FROM Account WHERE Regions__c EXCLUDES ('EMEA')",
                      "Beta 50%_off");
    soql_expect_error(w, "SELECT Name FROM Account WHERE Name INCLUDES ('a')",
                      "INVALID_QUERY_FILTER_OPERATOR", "invalid operator");
    soql_expect_error(w, "SELECT Name FROM Account WHERE Regions__c INCLUDES (5)",
                      "MALFORMED_QUERY", "strings");
}

static void parts_of_dates_are_compared_as_numbers(void **state)
{
    struct soql_world *w = *state; /* Beta's contract ends on Friday 2026-05-01 */
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
        soql_expect_names(w, text, "Beta 50%_off");
    }
    soql_expect_error(w, "SELECT Name FROM Account WHERE CALENDAR_YEAR(CreatedDate) = '2026'",
                      "INVALID_FIELD", "must be of type int");
}

static void clauses_that_change_nothing_are_taken_and_others_refused(void **state)
{
    struct soql_world *w = *state;
    soql_expect_names(w, "SELECT Name FROM Account WITH SECURITY_ENFORCED LIMIT 1 FOR VIEW",
                      "Acme");
    soql_expect_names(w, "SELECT Name FROM Account USING SCOPE everything ORDER BY Name",
                      "Acme,Beta 50%_off");
    soql_expect_names(
        w, "SELECT Name FROM Account USING SCOPE mine WHERE Name = 'acme' FOR REFERENCE", "Acme");
    soql_expect_error(w, "SELECT Name FROM Account ALL ROWS", "MALFORMED_QUERY",
                      "ALL ROWS not allowed in this context");
    soql_expect_error(w, "SELECT Name FROM Account FOR UPDATE", "MALFORMED_QUERY", "FOR UPDATE");
    soql_expect_error(w, "SELECT Name FROM Account USING SCOPE team", "MALFORMED_QUERY", "SCOPE");
    soql_expect_error(w, "SELECT Name FROM Account WITH DATA CATEGORY x AT y", "MALFORMED_QUERY",
                      "WITH");
    soql_expect_error(w, "SELECT TYPEOF Owner WHEN User THEN Id END FROM Account",
                      "MALFORMED_QUERY", "TYPEOF");
    soql_expect_error(w, "SELECT Name FROM Account LIMIT 1 WHERE Name = 'x'", "MALFORMED_QUERY",
                      "unexpected token: 'WHERE'");
}

static void values_are_rendered_as_rest_writes_them(void **state)
{
    struct soql_world *w = *state;
    json_t *
        rows = soql_world_rows(
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
    rows = soql_world_rows(
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
    struct soql_world *w = *state;
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
    soql_expect_names(w, "SELECT Name FROM User WHERE Name = 'ada byron'", "Ada Byron");
}

static void order_limit_and_offset_cut_the_result(void **state)
{
    struct soql_world *w = *state;
    soql_expect_names(w, "SELECT Name FROM Account ORDER BY AnnualRevenue, Name",
                      "Acme,Beta 50%_off");
    soql_expect_names(w, "SELECT Name FROM Account ORDER BY AnnualRevenue DESC",
                      "Acme,Beta 50%_off");
    soql_expect_names(w, "SELECT Name FROM Account ORDER BY AnnualRevenue NULLS LAST",
                      "Beta 50%_off,Acme");
    soql_expect_names(w, "SELECT Name FROM Account ORDER BY Name LIMIT 1", "Acme");
    soql_expect_names(w, "SELECT Name FROM Account ORDER BY Name LIMIT 1 OFFSET 1", "Beta 50%_off");
    soql_expect_names(w, "SELECT Name FROM Account ORDER BY Name OFFSET 1", "Beta 50%_off");
    soql_expect_error(w, "SELECT Name FROM Account LIMIT -1", "MALFORMED_QUERY",
                      "unexpected token: '-1'");
    soql_expect_error(w, "SELECT Name FROM Account OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE",
                      "2000");
    soql_expect_error(w, "SELECT Name FROM Account ORDER BY BillingAddress", "INVALID_FIELD",
                      "can not be sorted");
}

static void deleted_rows_are_hidden_from_query_and_shown_to_query_all(void **state)
{
    struct soql_world *w = *state;
    json_t *rows = soql_world_rows(
        w, "SELECT Id, Name, IsDeleted FROM Opportunity WHERE IsDeleted = true", true);
    assert_int_equal(json_array_size(rows), 1);
    assert_true(json_is_true(json_object_get(json_array_get(rows, 0), "IsDeleted")));
    json_decref(rows);
    soql_expect_names(w, "SELECT Name FROM Opportunity WHERE IsDeleted = true", "");
    assert_int_equal(soql_world_count(w, "SELECT count() FROM Opportunity", false, NOW_MS), 2);
    assert_int_equal(soql_world_count(w, "SELECT Count ( ) FROM Opportunity", true, NOW_MS), 3);
    assert_int_equal(soql_world_count(w, "SELECT count() FROM Opportunity LIMIT 1", true, NOW_MS),
                     1);
}

static void fields_stands_for_the_describe_and_needs_a_limit(void **state)
{
    struct soql_world *w = *state;
    json_t *rows = soql_world_rows(w, "SELECT FIELDS(ALL) FROM Opportunity LIMIT 200", false);
    assert_int_equal(json_object_size(json_array_get(rows, 0)),
                     1 + tm_org_describe(w->f.org, "Opportunity")->fields_count);
    json_decref(rows);
    rows = soql_world_rows(w, "SELECT FIELDS(STANDARD) FROM Opportunity", false);
    assert_null(json_object_get(json_array_get(rows, 0), "Notes__c"));
    json_decref(rows);
    rows = soql_world_rows(w, "SELECT Id, FIELDS(CUSTOM) FROM Opportunity LIMIT 1", false);
    assert_non_null(json_object_get(json_array_get(rows, 0), "Notes__c"));
    assert_null(json_object_get(json_array_get(rows, 0), "Amount"));
    json_decref(rows);
    soql_expect_error(w, "SELECT FIELDS(ALL) FROM Opportunity", "MALFORMED_QUERY",
                      "LIMIT of at most 200");
    soql_expect_error(w, "SELECT FIELDS(CUSTOM) FROM Opportunity LIMIT 201", "MALFORMED_QUERY",
                      "LIMIT of at most 200");
}

static void errors_point_at_row_and_column(void **state)
{
    struct soql_world *w = *state;
    soql_expect_error(w, "SELECT Id, Nope FROM Account", "INVALID_FIELD",
                      "ERROR at Row:1:Column:12\nNo such column 'Nope' on entity 'Account'");
    soql_expect_error(w, "SELECT Id\nFROM Nothing", "INVALID_TYPE",
                      "ERROR at Row:2:Column:6\nsObject type 'Nothing' is not supported");
    soql_expect_error(w, "SELECT FROM Account", "MALFORMED_QUERY", "Row:1");
    soql_expect_error(w, "SELECT Id FROM Account WHERE", "MALFORMED_QUERY",
                      "unexpected token: <EOF>");
    soql_expect_error(w, "SELECT Id FROM Account WHERE Name = 'x", "MALFORMED_QUERY",
                      "unclosed string");
    soql_expect_error(w, "SELECT Id FROM Account WHERE Name = 'a\\q'", "MALFORMED_QUERY", "escape");
    soql_expect_error(w, "SELECT Id FROM Account GARBAGE MORE", "MALFORMED_QUERY",
                      "unexpected token: 'MORE'");
    soql_expect_error(w, "DELETE FROM Account", "MALFORMED_QUERY", "unexpected token: 'DELETE'");
    soql_expect_error(w, "", "MALFORMED_QUERY", "<EOF>");
    soql_expect_error(w, "SELECT Id, id FROM Account", "INVALID_FIELD", "duplicate field selected");
    soql_expect_error(w, "SELECT count(), Id FROM Account", "MALFORMED_QUERY", "alone");
    soql_expect_error(w, "SELECT Id FROM Account WHERE Active__c = 'true'", "INVALID_FIELD",
                      "must be of type boolean");
    soql_expect_error(w, "SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD",
                      "should be enclosed in quotes");
    soql_expect_error(w, "SELECT Id FROM Account WHERE BillingAddress = 'x'", "INVALID_FIELD",
                      "can not be filtered");
}

static void hostile_text_stays_text(void **state)
{
    struct soql_world *w = *state;
    soql_expect_names(w, "SELECT Name FROM Account WHERE Name = '\\'; DROP TABLE cur_Account; --'",
                      "");
    soql_expect_names(w, "SELECT Name FROM Account WHERE Name = '\\u0041cme'", "Acme");
    soql_expect_error(w, "SELECT \"Name\" FROM Account", "MALFORMED_QUERY", "unexpected token");
    soql_expect_error(w, "SELECT Name FROM sqlite_master", "INVALID_TYPE", "not supported");
    soql_expect_error(w, "SELECT _row FROM Account", "INVALID_FIELD", "No such column '_row'");
    soql_expect_names(w, "SELECT Name FROM Account ORDER BY Name", "Acme,Beta 50%_off");
}

static void nesting_and_length_are_bounded_and_long_chains_are_not_deep(void **state)
{
    struct soql_world *w = *state;
    struct tm_buf text;
    tm_buf_init(&text, 1u << 20);
    tm_buf_addz(&text, "SELECT Id FROM Account WHERE ");
    for (int i = 0; i < 70; i++)
        tm_buf_addc(&text, '(');
    soql_expect_error(w, tm_buf_text(&text), "MALFORMED_QUERY", "nested more than 64");
    tm_buf_reset(&text);
    tm_buf_addz(&text, "SELECT Name FROM Account WHERE Name = 'acme'");
    for (int i = 0; i < 3000; i++)
        tm_buf_addf(&text, " OR Name = 'x%d'", i);
    soql_expect_names(w, tm_buf_text(&text), "Acme");
    tm_buf_reset(&text);
    tm_buf_addz(&text, "SELECT Name FROM Account WHERE Name IN ('acme'");
    for (int i = 0; i < 5000; i++)
        tm_buf_addf(&text, ",'x%d'", i);
    tm_buf_addc(&text, ')');
    soql_expect_names(w, tm_buf_text(&text), "Acme");
    while (text.bytes <= TM_SOQL_CHARACTERS_MAX)
        tm_buf_addc(&text, ' ');
    soql_expect_error(w, tm_buf_text(&text), "MALFORMED_QUERY",
                      "SOQL statements can not be longer than 100000 characters");
    tm_buf_reset(&text);
    tm_buf_addz(&text, "SELECT Name FROM Account WHERE Name = '");
    for (int i = 0; i < 4000; i++)
        tm_buf_addz(&text, "\xc3\xa9"); /* characters count, not bytes */
    tm_buf_addc(&text, '\'');
    soql_expect_names(w, tm_buf_text(&text), "");
    text.data[--text.bytes] = '\0';
    tm_buf_addz(&text, "x'");
    soql_expect_error(w, tm_buf_text(&text), "MALFORMED_QUERY", "longer than 4000 characters");
    tm_buf_free(&text);
}

static void range_reads_see_the_org_as_it_was_a_lag_ago_and_id_reads_as_it_is(void **state)
{
    struct soql_world *w = *state;
    char text[200];
    w->f.settings.index_lag_ms = 15000;
    org_fixture_reopen(&w->f);
    const char *range =
        "SELECT count() FROM Opportunity WHERE SystemModstamp >= 2026-01-01T00:00:00Z";
    assert_int_equal(soql_world_count(w, range, true, ORG_ORIGIN_MS + 24000), 0);
    assert_int_equal(soql_world_count(w, range, true, ORG_ORIGIN_MS + 26000), 1);
    assert_int_equal(soql_world_count(w, range, true, ORG_ORIGIN_MS + 36000), 2);
    /* its delete is younger than the lag */
    assert_int_equal(soql_world_count(w, range, false, ORG_ORIGIN_MS + 46000), 3);
    assert_int_equal(soql_world_count(w, range, false, ORG_ORIGIN_MS + 56000), 2);
    assert_int_equal(
        soql_world_count(w, "SELECT count() FROM Opportunity", true, ORG_ORIGIN_MS + 56000), 3);
    snprintf(text, sizeof text, "SELECT count() FROM Opportunity WHERE Id = '%s'", w->two);
    assert_int_equal(soql_world_count(w, text, false, ORG_ORIGIN_MS + 20000), 1);
}

static void a_result_keeps_the_rows_of_the_moment_it_was_made(void **state)
{
    struct soql_world *w = *state;
    struct tm_soql_result *r = NULL;
    struct tm_soql_error error;
    struct tm_buf body;
    struct tm_org_set sets[] = { { "Name", org_text("renamed") }, { NULL, org_null() } };
    assert_int_equal(
        soql_world_run(w, "SELECT Name FROM Opportunity ORDER BY Name", false, NOW_MS, &r, &error),
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
    soql_expect_names(w, "SELECT Name FROM Opportunity", "renamed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, soql_world_open, soql_world_close)
        T(comparisons_follow_the_type_of_the_field),
        T(null_is_equal_to_null_and_different_from_every_value),
        T(and_or_not_and_parentheses_bind_as_written),
        T(like_matches_patterns_and_escaped_wildcards),
        T(fifteen_and_eighteen_character_ids_are_equal),
        T(datetimes_are_read_in_every_form_clients_send),
        T(a_related_record_is_one_level_away_and_nested),
        T(relationships_are_followed_through_up_to_five_levels),
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
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
