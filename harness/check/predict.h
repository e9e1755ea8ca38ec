/* predict: what option 1's views show, from the raw rows and reconciled images that have arrived.
 * in: arrivals (check/reader.h) and the history, which gives an event its values; out: observations
 * as if the views had been read at every arrival. It is a second, small reading of rules R4-R11:
 * full images and updates by position, an answer just after its g, gaps and diffs dirty until
 * answered; an event of many records shows for all with its first row (R3). Not predicted, and left
 * out of the comparison, counted: records touched by what leaves no row of their own (silent
 * changes, overflow), answers that are `unreadable`, and runs with more than one epoch. Pure.
 * Owner: the caller of open. */
#ifndef TM_CHECK_PREDICT_H
#define TM_CHECK_PREDICT_H
#include "check/match.h"
#include "check/reader.h"

struct tm_predict;
/* Columns of `out` are those of the history. query_ns[object index of the reader]: added to when a
 * row counts as visible, but for what was there before the clock started at clock_ns. */
enum tm_code tm_predict_open(struct tm_predict **out, const struct tm_truth *truth,
                             const struct tm_reader *reader, const int64_t *query_ns,
                             int64_t clock_ns, struct tm_err *err);
/* Takes in all arrivals whose rowid is at most the cut of their object's table; cuts only grow.
 * NULL: all. */
enum tm_code tm_predict_to(struct tm_predict *p, const int64_t *raw_rowid,
                           const int64_t *recon_rowid, struct tm_err *err);
const struct tm_shown *tm_predict_shown(const struct tm_predict *p);
/* Rows of the views as `views` showed them after its first obs_count observations against the
 * prediction as it stands. */
struct tm_predict_result {
    uint64_t rows, differing, left_out;
    char example[20];
    char field[80];
};
enum tm_code tm_predict_compare(struct tm_predict *p, const struct tm_shown *views,
                                uint32_t obs_last, struct tm_predict_result *out,
                                struct tm_err *err);
void tm_predict_close(struct tm_predict *p);
#endif
