/* case_raw: the raw tables of a case in a database in memory, made as the sink makes them. in: a
 * case, describes; out: tables of every object, empty, and rows as they arrive. Owner: the caller
 * of open. */
#ifndef TM_SIMULATE_CASE_RAW_H
#define TM_SIMULATE_CASE_RAW_H
#include "simulate/case_run.h"

/* *out_widened: rows have columns that the describe does not. */
enum tm_code tm_case_raw_open(sqlite3 **out, bool *out_widened, const struct tm_case *c,
                              const char *objects_dir, struct tm_err *err);
/* Appends the case's row `index`. */
enum tm_code tm_case_raw_add(sqlite3 *db, const struct tm_case *c, size_t index,
                             struct tm_err *err);
#endif
