/* test_report: what `tidemark test` found, for people and for machines. in: results, one JSON
 * object a case: name, path, rows (how many), story, rules, bugs, ok, skipped (why, or null), ms
 * {by: number}, findings [{by, text, …}]; out: lines, JUnit XML, JSON. */
#ifndef TM_RUN_TEST_REPORT_H
#define TM_RUN_TEST_REPORT_H
#include "base/buf.h"
#include <jansson.h>
#include <stdio.h>

struct tm_test_totals {
    size_t cases, failed, skipped;
    double ms;
};
/* One line; when it failed, also what differs, the rules, and the story. */
void tm_test_print_case(FILE *out, const json_t *result);
/* The last lines: how many, how long, and which rules are broken in how many cases. */
void tm_test_print_totals(FILE *out, const json_t *results, const struct tm_test_totals *totals);
enum tm_code tm_test_junit(const char *path, const json_t *results,
                           const struct tm_test_totals *totals, struct tm_err *err);
void tm_test_json(FILE *out, json_t *results, const struct tm_test_totals *totals);
#endif
