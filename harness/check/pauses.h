/* pauses: a run that was interrupted and resumed has times in which nothing ran and the org's clock
 * stood still (org.db, meta "pauses", written by the org). in: what the witness gathered, by the
 * wall clock; out: the same by a wall clock that stands still whenever the org's does, so that no
 * figure knows of them and org time runs evenly from the org's origin on. Called once, when all is
 * gathered. Nothing happens where there was no pause. */
#ifndef TM_CHECK_PAUSES_H
#define TM_CHECK_PAUSES_H
#include "check/check.h"
#include "check/selftest.h"

struct tm_pauses {
    struct tm_clock_pause items[TM_CLOCK_PAUSES_MAX];
    size_t count;
};
/* TM_E_PROTO when what is there cannot be read. */
enum tm_code tm_pauses_parse(struct tm_pauses *out, const char *text, struct tm_err *err);
enum tm_code tm_pauses_read(struct tm_pauses *out, struct tm_truth *t, struct tm_err *err);
/* ns of the clock that stands still -> wall; of a pause: its end. */
int64_t tm_pauses_with(const struct tm_pauses *p, int64_t ns);
int64_t tm_pauses_without(const struct tm_pauses *p, int64_t wall_ns);
/* Commits. Where one was intended is known by the org's clock alone: one that was due before the
 * interruption and came after it was meant before it. */
void tm_pauses_truth(const struct tm_pauses *p, struct tm_truth *t);
void tm_pauses_target(const struct tm_pauses *p, struct tm_check_target *t);
void tm_pauses_polls(const struct tm_pauses *p, struct tm_poll *polls, size_t count);
#endif
