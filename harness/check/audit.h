/* audit: full comparisons of the real relations, at stated instants, with what following them had
 * shown: they keep the incremental reader honest. One audit is one read transaction over all
 * relations of a pipeline, gone through a slice of rows a step, so that probes go on meanwhile. in:
 * a reader that follows the same database; out: rows that were not as it had shown them.
 *
 *   begin: the snapshot stands ─► the follower reads up to it, or beyond ─► its rows are frozen
 *   slice: rows of the snapshot against the frozen ones ─► … ─► the end: frozen ones not returned
 *
 * Rows that changed between the snapshot and the freeze (their _seq is beyond the snapshot's) are
 * left out, counted. Never writes. Owner: the caller of open. */
#ifndef TM_CHECK_AUDIT_H
#define TM_CHECK_AUDIT_H
#include "check/reader.h"

#define TM_AUDIT_READS_MAX 512 /* whose instants are kept; all are counted */
struct tm_audit_read {
    int64_t begun_ns; /* its snapshot stood */
    uint64_t rows, left_out, differing;
    uint64_t duplicates;             /* rows with an id returned before: no fault of following */
    char example[20], duplicate[20]; /* id of one that differs; of one twice */
};
struct tm_audit {
    struct tm_reader *own;      /* a connection for the snapshot */
    struct tm_reader *followed; /* borrowed */
    sqlite3_stmt *all;
    bool open; /* a snapshot stands */
    size_t object;
    uint64_t *hash; /* frozen, by row of followed->shown */
    uint8_t *state;
    size_t rows_count, rows_cap;
    struct tm_audit_read now, total; /* total: of all; duplicates: the most of one */
    size_t total_count;
    int64_t begun_ns[TM_AUDIT_READS_MAX]; /* of the first so many */
    size_t begun_count;
};
enum tm_code tm_audit_open(struct tm_audit **out, struct tm_reader *followed, struct tm_err *err);
void tm_audit_close(struct tm_audit *a); /* NULL-safe */
/* Probes the follower as well. TM_E_AGAIN: the relations are not there yet, or busy; nothing was
 * begun. */
enum tm_code tm_audit_begin(struct tm_audit *a, int64_t now_ns, struct tm_err *err);
/* At most rows_max rows more; closes itself at the end. */
enum tm_code tm_audit_slice(struct tm_audit *a, size_t rows_max, struct tm_err *err);
#endif
