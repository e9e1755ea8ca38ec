/* support_raw: the raw tables of Opportunity (tests/support_history.h) as a sink would have left
 * them, row by row as a test says. in: an open database; out: rows. Positions are replay ids;
 * transaction keys are those history_commit gives. */
#ifndef TM_TESTS_SUPPORT_RAW_H
#define TM_TESTS_SUPPORT_RAW_H
#include <sqlite3.h>
#include <stdint.h>

void raw_tables(sqlite3 *raw);
/* Runs and frees it. */
void raw_run(sqlite3 *db, char *sql);
/* An event of record n: its changeType, changedFields as JSON, Stage; the other fields as
 * history_show has them. under: the record whose id the row has, 0 = its own (R3); diff:
 * _DiffFields, or NULL. */
void raw_event_full(sqlite3 *raw, int n, int under, int64_t replay, const char *word,
                    const char *changed, const char *stage, double stamp, const char *diff,
                    int epoch);
/* changedFields: Stage and LastModifiedDate. */
void raw_event(sqlite3 *raw, int n, int64_t replay, const char *word, const char *stage,
               double stamp);
void raw_ask(sqlite3 *raw, int n, int64_t replay, const char *kind);
/* An answer of read number `read` to position g; stage NULL: removed. */
void raw_answer(sqlite3 *raw, int read, int n, int64_t g, const char *read_kind, const char *stage,
                double stamp);
/* The end of a whole read that counts `count` answers. */
void raw_end(sqlite3 *raw, int read, int64_t g, int count);
#endif
