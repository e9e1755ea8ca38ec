/* predict: what option 1's views show, from the raw rows, alerts and answers that have arrived.
 * in: arrivals (check/reader.h) and the history, which gives an event its values; out: observations
 * as if the views had been read at every arrival. It is a second, small reading of rules R2-R12 and
 * R16: nothing depends on the order of arrival, so it holds also where a killed station sends again
 * what came before, where events never came, and before the first copy is complete. Not predicted,
 * and left out of the comparison, counted: records the history or its events do not know, events
 * that give only a diff of a field, answers that are `unreadable`. Pure. Owner: the caller of open.
 */
#ifndef TM_CHECK_PREDICT_H
#define TM_CHECK_PREDICT_H
#include "check/match.h"
#include "check/reader.h"

struct tm_predict;
/* Columns of `out` are those of the history. query_ns[object index of the reader]: added to when a
 * row counts as visible, but for what was there before the clock started at clock_ns. NULL: it is
 * only held against full reads, no observations are kept. */
enum tm_code tm_predict_open(struct tm_predict **out, const struct tm_truth *truth,
                             const struct tm_reader *reader, const int64_t *query_ns,
                             int64_t clock_ns, struct tm_err *err);
/* Takes in all arrivals whose rowid is at most cut[their object] of their table; cuts only grow.
 * NULL: all. */
enum tm_code tm_predict_to(struct tm_predict *p, const struct tm_arrival_cut *cut,
                           struct tm_err *err);
const struct tm_shown *tm_predict_shown(const struct tm_predict *p);
/* Rows of the views as `views` showed them with the full read `read`, and `*`, against the
 * prediction as it stands. Reads are compared in the order they were made. */
struct tm_predict_result {
    uint64_t rows, differing, left_out;
    uint64_t stars, stars_differing; /* objects whose `*` was looked for */
    char example[20];
    char field[80];
};
enum tm_code tm_predict_compare(struct tm_predict *p, const struct tm_shown *views,
                                const struct tm_full_read *read, struct tm_predict_result *out,
                                struct tm_err *err);
void tm_predict_close(struct tm_predict *p);
#endif
