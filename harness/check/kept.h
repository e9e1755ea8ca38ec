/* kept: the other kind of lost history: committed states that no table kept by a pipeline can give
 * back, whoever asks and whenever. in: the history, one pipeline's match; of a stream also what
 * arrived in its raw tables, which keep every event and image; a polled copy keeps its rows as they
 * stand, and, where it flags deletes, the last state of what is gone; out: how many states, and how
 * many of them are lost. A state is given back by the row as it stands at the end, by an image
 * equal to it, by a full event, or by an update on top of a state that is given back; where nothing
 * comparable changed it is the state before. Clock: none, it is about the end. Reads the tables of
 * flagged deletes; otherwise pure. */
#ifndef TM_CHECK_KEPT_H
#define TM_CHECK_KEPT_H
#include "check/match.h"
#include "check/reader.h"

struct tm_kept {
    uint64_t states, lost; /* of the workload */
    uint32_t example;      /* a version that is lost; TM_TRUTH_NONE */
};
/* shown: what m was made from. raw: a reader of the raw tables (reader.h), NULL: a pipeline that
 * has none. database: a polled copy's own; may be NULL. */
enum tm_code tm_kept_count(struct tm_kept *out, const struct tm_truth *truth,
                           const struct tm_match *m, const struct tm_shown *shown,
                           const struct tm_reader *raw, sqlite3 *database, struct tm_err *err);
#endif
