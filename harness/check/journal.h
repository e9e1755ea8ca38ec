/* journal: what the witness has seen so far, on disk, so that a run that was interrupted can be
 * judged as a whole. in: the readers of a live check; out: a database of its own, written a few
 * times a second, and readers that are filled from it again. Option 1: which raw rows a look met
 * (the rows are in raw.db); the others: every observation. What was seen after the last writing is
 * seen again by the resumed witness's first look, as between that writing and the look. Not kept:
 * full reads of option 1's views, and full comparisons; both begin anew. Wall clock throughout.
 * Owner: the caller of open. */
#ifndef TM_CHECK_JOURNAL_H
#define TM_CHECK_JOURNAL_H
#include "base/sql.h"
#include "check/reader.h"

#define TM_JOURNAL_NS (250 * TM_NS_PER_MS) /* between two writings */
struct tm_journal_saved {                  /* of one pipeline: so much is written */
    size_t obs, arrivals, stars, columns[TM_SHOWN_OBJECTS_MAX];
    int64_t entries;
};
struct tm_journal; /* a file and its statements */
/* Makes `path`, or opens the one an earlier witness of the same run left. */
enum tm_code tm_journal_open(struct tm_journal **out, const char *path, struct tm_err *err);
void tm_journal_close(struct tm_journal *j); /* NULL-safe */
/* Fills a reader that was just opened with what is written of pipeline `index`. TM_E_PROTO when it
 * cannot be of this pipeline. */
enum tm_code tm_journal_restore(struct tm_journal *j, size_t index, struct tm_reader *reader,
                                struct tm_err *err);
/* One transaction over all pipelines: begin, each of them, end. TM_E_AGAIN: busy, nothing is
 * written, ask again. */
enum tm_code tm_journal_begin(struct tm_journal *j, struct tm_err *err);
enum tm_code tm_journal_save(struct tm_journal *j, size_t index, const struct tm_reader *reader,
                             struct tm_err *err);
enum tm_code tm_journal_end(struct tm_journal *j, struct tm_err *err);
#endif
