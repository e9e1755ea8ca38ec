/* flags: what must be flagged dirty, and which rows there must not be, asked of the delivered raw
 * rows by one plain question each. A witness of its own: it shares no code with either option, and
 * asks only what is certain (evidence that might clear dirt counts as clearing it). in: raw.db,
 * and queries of an object's relations; out: the first row that breaks a rule. */
#ifndef TM_SIMULATE_FLAGS_H
#define TM_SIMULATE_FLAGS_H
#include "simulate/compare.h"

/* The org's own question, for every object. */
enum tm_code tm_sim_flags_known(sqlite3_stmt **out, sqlite3 *org, struct tm_err *err);
/* Prepares the questions; those to raw.db end with its connection, `known` with the org's. */
enum tm_code tm_sim_flags_prepare(struct tm_sim_flags *q, sqlite3 *raw, sqlite3 *org,
                                  const char *object, struct tm_err *err);
/* R3: only the org's records have rows. R8: what nothing has answered is flagged, the whole object
 * too (R14). R12: a row without a full image is flagged. rows: Id, _dirty, … of X; dirt: Id, … of
 * X_dirty; both have applied every row of raw.db. */
enum tm_code tm_sim_flags_check(struct tm_sim_finding *out, const struct tm_sim_flags *q,
                                sqlite3_stmt *rows, sqlite3_stmt *dirt, const char *where,
                                const char *object, struct tm_err *err);
#endif
