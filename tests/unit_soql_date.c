/* Relative dates of SOQL: which days each word means. The org's week begins on Sunday, its fiscal
 * year in January, its day at midnight UTC. */
#include "mocks/salesforce/soql.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define THURSDAY_MS 1772755199999LL /* 2026-03-05T23:59:59.999Z */

/* first..last day of the literal, both included, as two dates. */
static void expect_days_at(int64_t now_ms, const char *literal, const char *days)
{
    char text[128], got[2 * TM_TIME_BYTES + 4], a[TM_TIME_BYTES], b[TM_TIME_BYTES];
    struct tm_soql *q = NULL;
    struct tm_soql_error error = { 0 };
    int32_t first = 0, past = 0;
    snprintf(text, sizeof text, "SELECT Id FROM X WHERE d = %s", literal);
    if (tm_soql_parse(&q, text, &error, NULL) != TM_OK)
        fail_msg("%s: %s", literal, error.message);
    assert_int_equal(q->literals[0].kind, TM_SOQL_RELATIVE);
    if (!tm_soql_days(&q->literals[0].relative, now_ms, &first, &past))
        fail_msg("%s: out of all years", literal);
    snprintf(got, sizeof got, "%s %s", tm_date_text(a, first), tm_date_text(b, past - 1));
    if (strcmp(got, days) != 0)
        fail_msg("%s: got %s, wanted %s", literal, got, days);
    tm_soql_close(q);
}

static void expect_days(const char *literal, const char *days)
{
    expect_days_at(THURSDAY_MS, literal, days);
}

static void days_and_weeks_are_counted_from_today(void **state)
{
    (void)state;
    expect_days("TODAY", "2026-03-05 2026-03-05");
    expect_days("yesterday", "2026-03-04 2026-03-04");
    expect_days("TOMORROW", "2026-03-06 2026-03-06");
    expect_days("LAST_90_DAYS", "2025-12-05 2026-03-05");
    expect_days("NEXT_90_DAYS", "2026-03-06 2026-06-03");
    expect_days("LAST_N_DAYS:1", "2026-03-04 2026-03-05");
    expect_days("NEXT_N_DAYS:1", "2026-03-06 2026-03-06");
    expect_days("N_DAYS_AGO:10", "2026-02-23 2026-02-23");
    expect_days("THIS_WEEK", "2026-03-01 2026-03-07");
    expect_days("LAST_WEEK", "2026-02-22 2026-02-28");
    expect_days("NEXT_WEEK", "2026-03-08 2026-03-14");
    expect_days("LAST_N_WEEKS:2", "2026-02-15 2026-02-28");
    expect_days("NEXT_N_WEEKS:2", "2026-03-08 2026-03-21");
    expect_days("N_WEEKS_AGO:2", "2026-02-15 2026-02-21");
    expect_days_at(THURSDAY_MS + 1, "TODAY", "2026-03-06 2026-03-06");
    expect_days_at(-1, "TODAY", "1969-12-31 1969-12-31");
    expect_days_at(-1, "THIS_WEEK", "1969-12-28 1970-01-03");
}

static void months_quarters_and_years_are_whole(void **state)
{
    (void)state;
    expect_days("THIS_MONTH", "2026-03-01 2026-03-31");
    expect_days("LAST_MONTH", "2026-02-01 2026-02-28");
    expect_days("NEXT_MONTH", "2026-04-01 2026-04-30");
    expect_days("LAST_N_MONTHS:3", "2025-12-01 2026-02-28");
    expect_days("NEXT_N_MONTHS:10", "2026-04-01 2027-01-31");
    expect_days("N_MONTHS_AGO:25", "2024-02-01 2024-02-29");
    expect_days("THIS_QUARTER", "2026-01-01 2026-03-31");
    expect_days("LAST_QUARTER", "2025-10-01 2025-12-31");
    expect_days("NEXT_QUARTER", "2026-04-01 2026-06-30");
    expect_days("LAST_N_QUARTERS:5", "2024-10-01 2025-12-31");
    expect_days("NEXT_N_QUARTERS:2", "2026-04-01 2026-09-30");
    expect_days("N_QUARTERS_AGO:4", "2025-01-01 2025-03-31");
    expect_days("THIS_YEAR", "2026-01-01 2026-12-31");
    expect_days("LAST_YEAR", "2025-01-01 2025-12-31");
    expect_days("NEXT_YEAR", "2027-01-01 2027-12-31");
    expect_days("LAST_N_YEARS:2", "2024-01-01 2025-12-31");
    expect_days("NEXT_N_YEARS:2", "2027-01-01 2028-12-31");
    expect_days("N_YEARS_AGO:6", "2020-01-01 2020-12-31");
    expect_days("THIS_FISCAL_QUARTER", "2026-01-01 2026-03-31");
    expect_days("LAST_FISCAL_YEAR", "2025-01-01 2025-12-31");
    expect_days("NEXT_N_FISCAL_QUARTERS:1", "2026-04-01 2026-06-30");
    expect_days("LAST_N_FISCAL_YEARS:1", "2025-01-01 2025-12-31");
    expect_days("N_FISCAL_QUARTERS_AGO:1", "2025-10-01 2025-12-31");
    expect_days("N_FISCAL_YEARS_AGO:1", "2025-01-01 2025-12-31");
}

static void a_literal_beyond_the_years_or_misspelt_is_refused(void **state)
{
    static const char *const wrong[] = { "LAST_N_DAYS",       "LAST_N_DAYS:", "LAST_N_DAYS:x",
                                         "LAST_N_DAYS:-1",    "TODAY:1",      "LAST_FORTNIGHT",
                                         "LAST_N_DAYS:1.5",   "N_DAYS_AGO",   "NEXT_N_DAY:1",
                                         "LAST_N_DAYS:999999" };
    struct tm_soql_relative far = { TM_SOQL_YEAR, -400, 0 };
    int32_t first, past;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[128];
        struct tm_soql *q = NULL;
        struct tm_soql_error error = { 0 };
        snprintf(text, sizeof text, "SELECT Id FROM X WHERE d = %s", wrong[i]);
        if (tm_soql_parse(&q, text, &error, NULL) != TM_E_ARG)
            fail_msg("%s was taken", wrong[i]);
        assert_string_equal(error.code, "MALFORMED_QUERY");
    }
    assert_false(tm_soql_days(&far, THURSDAY_MS, &first, &past));
    far = (struct tm_soql_relative){ TM_SOQL_DAY, 1, 800000 };
    assert_false(tm_soql_days(&far, THURSDAY_MS, &first, &past));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_and_weeks_are_counted_from_today),
        cmocka_unit_test(months_quarters_and_years_are_whole),
        cmocka_unit_test(a_literal_beyond_the_years_or_misspelt_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
