/* drift: which rows of a copy differ from the org, known after every single change of either, at a
 * cost that does not grow with the table. in: one row's hash at a time, of the org's history or of
 * what the reader saw; out: how many differ, which, and whether the two sets are equal. Two
 * witnesses that must agree: a list of the rows that differ, and on each side an order-independent
 * hash of the whole set (a sum of row hashes, the old one taken out when the new one comes in; 128
 * bits, so that two different sets being taken for equal is not to be expected in any run). Pure.
 * Owner: the caller of open. */
#ifndef TM_CHECK_DRIFT_H
#define TM_CHECK_DRIFT_H
#include "check/match.h"

#define TM_DRIFT_NONE UINT32_MAX
#define TM_DRIFT_ABSENT UINT64_C(0) /* the row hash of "no row" */
struct tm_drift_row {
    uint64_t truth, shown; /* row hashes */
    uint32_t prev, next;   /* of the list of those that differ */
};
struct tm_drift {
    struct tm_drift_row *rows; /* [rows_count] */
    size_t rows_count;
    uint64_t truth[2], shown[2]; /* hashes of the two sets */
    uint32_t first;              /* a row that differs: follow `next`; TM_DRIFT_NONE */
    size_t differing;
};
/* rows_count rows, absent on both sides. */
enum tm_code tm_drift_open(struct tm_drift **out, size_t rows_count, struct tm_err *err);
void tm_drift_close(struct tm_drift *d); /* NULL-safe */
void tm_drift_truth(struct tm_drift *d, uint32_t row, uint64_t hash);
void tm_drift_shown(struct tm_drift *d, uint32_t row, uint64_t hash);
/* By the set hashes alone. */
bool tm_drift_equal(const struct tm_drift *d);

/* A whole run: the commits of the history and the reads of one pipeline, in the order they happened
 * on the wall clock. */
struct tm_drift_commit { /* the instant before a commit of the workload */
    uint32_t version, differing;
    bool equal;
};
struct tm_drift_run {
    struct tm_drift_commit *commits; /* owned; [commits_count], in commit order */
    size_t commits_count;
    uint64_t equal;           /* commits before which nothing differed */
    uint32_t peak_rows, peak; /* most rows differing, before this version, the first so */
    int64_t unequal_ns_max;   /* longest time on end that something differed, wall */
    uint64_t asked, agreed;   /* list and set hashes, after every change */
    size_t final_differing;
};
/* m: with version_hash and obs_hash, as tm_match_make fills them. */
enum tm_code tm_drift_replay(struct tm_drift_run *out, const struct tm_truth *truth,
                             const struct tm_shown *shown, const struct tm_match *m,
                             const struct tm_timing *t, struct tm_err *err);
void tm_drift_run_free(struct tm_drift_run *r);
#endif
