/* history: the figures of many runs in one SQLite file, and a page of their trends with the places
 * where they moved (changes.h). in: reports; out: tables `run` and `figure` of the file, which are
 * anybody's to query, and the page. A run is kept once, by the digest of its report; runs are in
 * the order they were added. Comparable runs are a group: same scenario, seed and clock. */
#ifndef TM_REPORTS_HISTORY_H
#define TM_REPORTS_HISTORY_H
#include "base/sql.h"
#include <jansson.h>

/* The last so many runs of a group are drawn (changes.h has room for that many). */
#define TM_HISTORY_RUNS_MAX 1024

enum tm_code tm_history_open(sqlite3 **out, const char *path, struct tm_err *err);
/* label: what people call the run. *out_new: it was not there yet. */
enum tm_code tm_history_add(sqlite3 *db, const json_t *report, const char *label, bool *out_new,
                            struct tm_err *err);
/* {"groups": [{"name", "labels", "figures": [{"name", "unit", "series": [{"pipeline", "values",
 * "changes": [{"at", "before", "after"}]}]}]}]}; the caller owns *out. */
enum tm_code tm_history_trends(json_t **out, sqlite3 *db, struct tm_err *err);
enum tm_code tm_history_html(struct tm_buf *out, const json_t *trends, struct tm_err *err);
/* For a terminal: what moved. */
void tm_history_words(struct tm_buf *out, const json_t *trends);
#endif
