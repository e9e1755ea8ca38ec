/* case_run: puts a case through a way of rebuilding: option 1 (the shipped views), option 2 (the
 * shipped state, row by row in arrival order, opened again from its database after every row), or
 * somebody's own view SQL. in: a case, describes for the columns of its raw tables; out: what the
 * relations show, [{"object", "row"}], and one {"object": "X_dirty"} without a row where there is
 * such a relation. All databases are in memory. User SQL may make views and read, nothing else, and
 * is stopped after a number of steps. */
#ifndef TM_SIMULATE_CASE_RUN_H
#define TM_SIMULATE_CASE_RUN_H
#include "simulate/case.h"
#include <sqlite3.h>

/* of SQLite's machine, a case: a second or two */
#define TM_CASE_SQL_STEPS_MAX 50000000
struct tm_case_options {
    const char *objects_dir; /* describe files <Object>.json; an object without one has the columns
                                that its rows name */
    const char *views_dir;   /* <Object>.sql; for tm_case_by_sql */
};
enum tm_code tm_case_by_views(json_t **out, const struct tm_case *c,
                              const struct tm_case_options *options, struct tm_err *err);
enum tm_code tm_case_by_state(json_t **out, const struct tm_case *c,
                              const struct tm_case_options *options, struct tm_err *err);
/* *out_skipped says why fixed SQL cannot be put through this case; NULL = it was. */
enum tm_code tm_case_by_sql(json_t **out, const char **out_skipped, const struct tm_case *c,
                            const struct tm_case_options *options, struct tm_err *err);
#endif
