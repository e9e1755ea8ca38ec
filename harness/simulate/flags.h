/* flags: what must be flagged dirty, and which rows there must not be, asked of the delivered raw
 * rows by one plain question each. A witness of its own: it shares no code with either option, and
 * asks only what is certain (evidence that might clear dirt counts as clearing it). in: raw.db,
 * and the database that shows an object's relations; out: the first row that breaks a rule. */
#ifndef TM_SIMULATE_FLAGS_H
#define TM_SIMULATE_FLAGS_H
#include "simulate/compare.h"

/* R3: only the org's records have rows. R8: what nothing has answered is flagged, the whole object
 * too (R14). R12: a row without a full image is flagged. `shown` has applied every row of `raw`. */
enum tm_code tm_sim_flags_check(struct tm_sim_finding *out, sqlite3 *raw, sqlite3 *shown,
                                sqlite3 *org, const char *where, const char *object,
                                struct tm_err *err);
#endif
