/* case: one small history and what a right snapshot of it shows: a folder whose name is a sentence.
 *   rows.jsonl      raw rows in arrival order, {"table": "sfdc_cdc_opportunity_raw", "row": {…}}
 *   expected.jsonl  {"object": "Opportunity", "row": {"Id": …, "_dirty": 0, …}}
 *   README.md       the story, with the lines "Rules: R6, R10" and "Bugs: 33" (or "none")
 * in: a folder; out: its rows, what is expected, and how that differs from what was shown. Columns
 * an expected row does not name are not compared; a row that is not expected must not be shown.
 * X_dirty is compared, whole, where the case names it; {"object": "X_dirty"} without a row says
 * that it is empty. Owner: the caller of load. */
#ifndef TM_SIMULATE_CASE_H
#define TM_SIMULATE_CASE_H
#include "base/buf.h"
#include <jansson.h>

#define TM_CASE_OBJECTS_MAX 8
#define TM_CASE_NAME_BYTES 160
#define TM_CASE_PATH_BYTES 1024
#define TM_CASE_ROWS_MAX 5000
struct tm_case {
    char name[TM_CASE_NAME_BYTES], path[TM_CASE_PATH_BYTES];
    json_t *rows;     /* [{"table", "row"}], arrival order; owned */
    json_t *expected; /* [{"object", "row"}]; owned */
    char *story;      /* README.md without the two lines below; owned */
    char rules[160], bugs[160];
    char objects[TM_CASE_OBJECTS_MAX][TM_CASE_NAME_BYTES]; /* that have a raw table */
    size_t objects_count;
};
/* TM_E_ARG names file and line, and what to do. */
enum tm_code tm_case_load(struct tm_case *out, const char *path, struct tm_err *err);
void tm_case_free(struct tm_case *c); /* safe on a zeroed struct */
/* One JSON value a line, in a form of the two above: `of` is "table" or "object". `where` names
 * the text in errors. Lines are appended to `out`. */
enum tm_code tm_case_lines(json_t *out, const char *text, size_t bytes, const char *of,
                           const char *where, struct tm_err *err);
/* Fills objects from rows, spelled as `expected` does. */
enum tm_code tm_case_objects(struct tm_case *c, struct tm_err *err);
/* rows.jsonl, expected.jsonl and README.md in folder c->path, which is made. */
enum tm_code tm_case_write(const struct tm_case *c, struct tm_err *err);

/* Appends one finding, an object of text (for a person), object, id, field, expected and shown, for
 * every way in which `shown` ([{"object", "row"}]) is not what the case expects. */
enum tm_code tm_case_compare(json_t *findings, const struct tm_case *c, const json_t *shown,
                             struct tm_err *err);
#endif
