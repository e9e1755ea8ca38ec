#include "mocks/salesforce/soql_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DATE_DAY_MS 86400000LL
#define DATE_YEAR_FIRST 1700 /* the years Salesforce knows */
#define DATE_YEAR_LAST 4000

/* The units [first, past) from the current one; a counted word moves first, past or both by its n.
 * Fact: SOQL Reference, "Date Formats and Date Literals": LAST_N_DAYS and LAST_90_DAYS take in
 * today, the other LAST_N end before the current unit, NEXT_N begins behind it. */
struct soql_date_word {
    const char *word;
    enum tm_soql_unit unit;
    enum { DATE_FIXED, DATE_LAST, DATE_NEXT, DATE_AGO } how;
    int32_t first, past;
};
static const struct soql_date_word date_words[] = {
    { "YESTERDAY", TM_SOQL_DAY, DATE_FIXED, -1, 0 },
    { "TODAY", TM_SOQL_DAY, DATE_FIXED, 0, 1 },
    { "TOMORROW", TM_SOQL_DAY, DATE_FIXED, 1, 2 },
    { "LAST_90_DAYS", TM_SOQL_DAY, DATE_FIXED, -90, 1 },
    { "NEXT_90_DAYS", TM_SOQL_DAY, DATE_FIXED, 1, 91 },
    { "LAST_WEEK", TM_SOQL_WEEK, DATE_FIXED, -1, 0 },
    { "THIS_WEEK", TM_SOQL_WEEK, DATE_FIXED, 0, 1 },
    { "NEXT_WEEK", TM_SOQL_WEEK, DATE_FIXED, 1, 2 },
    { "LAST_MONTH", TM_SOQL_MONTH, DATE_FIXED, -1, 0 },
    { "THIS_MONTH", TM_SOQL_MONTH, DATE_FIXED, 0, 1 },
    { "NEXT_MONTH", TM_SOQL_MONTH, DATE_FIXED, 1, 2 },
    { "LAST_QUARTER", TM_SOQL_QUARTER, DATE_FIXED, -1, 0 },
    { "THIS_QUARTER", TM_SOQL_QUARTER, DATE_FIXED, 0, 1 },
    { "NEXT_QUARTER", TM_SOQL_QUARTER, DATE_FIXED, 1, 2 },
    { "LAST_YEAR", TM_SOQL_YEAR, DATE_FIXED, -1, 0 },
    { "THIS_YEAR", TM_SOQL_YEAR, DATE_FIXED, 0, 1 },
    { "NEXT_YEAR", TM_SOQL_YEAR, DATE_FIXED, 1, 2 },
    { "LAST_FISCAL_QUARTER", TM_SOQL_QUARTER, DATE_FIXED, -1, 0 },
    { "THIS_FISCAL_QUARTER", TM_SOQL_QUARTER, DATE_FIXED, 0, 1 },
    { "NEXT_FISCAL_QUARTER", TM_SOQL_QUARTER, DATE_FIXED, 1, 2 },
    { "LAST_FISCAL_YEAR", TM_SOQL_YEAR, DATE_FIXED, -1, 0 },
    { "THIS_FISCAL_YEAR", TM_SOQL_YEAR, DATE_FIXED, 0, 1 },
    { "NEXT_FISCAL_YEAR", TM_SOQL_YEAR, DATE_FIXED, 1, 2 },
    { "LAST_N_DAYS", TM_SOQL_DAY, DATE_LAST, 0, 1 },
    { "NEXT_N_DAYS", TM_SOQL_DAY, DATE_NEXT, 1, 1 },
    { "N_DAYS_AGO", TM_SOQL_DAY, DATE_AGO, 0, 1 },
    { "LAST_N_WEEKS", TM_SOQL_WEEK, DATE_LAST, 0, 0 },
    { "NEXT_N_WEEKS", TM_SOQL_WEEK, DATE_NEXT, 1, 1 },
    { "N_WEEKS_AGO", TM_SOQL_WEEK, DATE_AGO, 0, 1 },
    { "LAST_N_MONTHS", TM_SOQL_MONTH, DATE_LAST, 0, 0 },
    { "NEXT_N_MONTHS", TM_SOQL_MONTH, DATE_NEXT, 1, 1 },
    { "N_MONTHS_AGO", TM_SOQL_MONTH, DATE_AGO, 0, 1 },
    { "LAST_N_QUARTERS", TM_SOQL_QUARTER, DATE_LAST, 0, 0 },
    { "NEXT_N_QUARTERS", TM_SOQL_QUARTER, DATE_NEXT, 1, 1 },
    { "N_QUARTERS_AGO", TM_SOQL_QUARTER, DATE_AGO, 0, 1 },
    { "LAST_N_YEARS", TM_SOQL_YEAR, DATE_LAST, 0, 0 },
    { "NEXT_N_YEARS", TM_SOQL_YEAR, DATE_NEXT, 1, 1 },
    { "N_YEARS_AGO", TM_SOQL_YEAR, DATE_AGO, 0, 1 },
    { "LAST_N_FISCAL_QUARTERS", TM_SOQL_QUARTER, DATE_LAST, 0, 0 },
    { "NEXT_N_FISCAL_QUARTERS", TM_SOQL_QUARTER, DATE_NEXT, 1, 1 },
    { "N_FISCAL_QUARTERS_AGO", TM_SOQL_QUARTER, DATE_AGO, 0, 1 },
    { "LAST_N_FISCAL_YEARS", TM_SOQL_YEAR, DATE_LAST, 0, 0 },
    { "NEXT_N_FISCAL_YEARS", TM_SOQL_YEAR, DATE_NEXT, 1, 1 },
    { "N_FISCAL_YEARS_AGO", TM_SOQL_YEAR, DATE_AGO, 0, 1 },
};

const struct soql_date_word *soql_date_word(const char *word, size_t bytes)
{
    for (size_t i = 0; i < sizeof date_words / sizeof date_words[0]; i++)
        if (strlen(date_words[i].word) == bytes &&
            strncasecmp(date_words[i].word, word, bytes) == 0)
            return &date_words[i];
    return NULL;
}

bool soql_date_counted(const struct soql_date_word *w)
{
    return w->how != DATE_FIXED;
}

struct tm_soql_relative soql_date_relative(const struct soql_date_word *w, int32_t n)
{
    int32_t first = w->how == DATE_LAST || w->how == DATE_AGO ? w->first - n : w->first;
    int32_t past = w->how == DATE_NEXT ? w->past + n : w->how == DATE_AGO ? w->past - n : w->past;
    return (struct tm_soql_relative){ w->unit, first, past };
}

/* The first day of the month that is `months` after January of year 0. */
static bool date_of_months(int32_t months, int32_t *out_days)
{
    char text[TM_TIME_BYTES];
    int32_t year = months / 12;
    if (months < 0 || year < DATE_YEAR_FIRST || year > DATE_YEAR_LAST)
        return false;
    snprintf(text, sizeof text, "%04d-%02d-01", year, months % 12 + 1);
    return tm_date_parse(out_days, text, NULL) == TM_OK;
}

/* The first day of the unit that is `offset` units from the one `today` is in. */
static bool date_unit_begin(enum tm_soql_unit unit, int32_t offset, int32_t today, int32_t *out)
{
    char text[TM_TIME_BYTES];
    int32_t length = unit == TM_SOQL_MONTH ? 1 : unit == TM_SOQL_QUARTER ? 3 : 12;
    if (unit == TM_SOQL_DAY || unit == TM_SOQL_WEEK) {
        int32_t days = unit == TM_SOQL_DAY ? 1 : 7;
        int32_t of_week = ((today + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday; 0 = Sunday */
        *out = today - (unit == TM_SOQL_WEEK ? of_week : 0) + offset * days;
        int32_t first, last;
        return date_of_months(DATE_YEAR_FIRST * 12, &first) &&
               date_of_months(DATE_YEAR_LAST * 12 + 11, &last) && *out >= first && *out <= last;
    }
    tm_date_text(text, today);
    int32_t month = (int32_t)strtol(text, NULL, 10) * 12 + (int32_t)strtol(text + 5, NULL, 10) - 1;
    return date_of_months((month / length + offset) * length, out);
}

bool tm_soql_days(const struct tm_soql_relative *r, int64_t now_org_ms, int32_t *out_first,
                  int32_t *out_past)
{
    int64_t today = now_org_ms / DATE_DAY_MS - (now_org_ms % DATE_DAY_MS < 0);
    return date_unit_begin(r->unit, r->first, (int32_t)today, out_first) &&
           date_unit_begin(r->unit, r->past, (int32_t)today, out_past);
}
