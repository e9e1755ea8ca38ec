/* cause_inner: what cause.c (who is asked, polls) and cause_stream.c (the streaming road) share.
 * Nobody else includes it. */
#ifndef TM_CHECK_CAUSE_INNER_H
#define TM_CHECK_CAUSE_INNER_H
#include "check/cause.h"

/* Fills the answer in. `word` is one of cause.h's; rule NULL: none. */
void tm_cause_set(struct tm_cause *out, const char *word, const char *station, const char *rule,
                  const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void tm_cause_unknown(struct tm_cause *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* "UPDATE at position 31 (2026-03-02T08:10:00.000Z)" */
const char *tm_cause_version(char out[120], const struct tm_truth *t, uint32_t version);
/* Comparable columns in which the row differs; the one whose right value is the oldest, and the
 * version that set it. False: none differs. */
struct tm_cause_field {
    uint32_t column;  /* of truth */
    uint32_t version; /* that set the value the org holds; TM_TRUTH_NONE: none ever did */
    uint64_t should, is;
    const char *name;
};
bool tm_cause_field(struct tm_cause_field *out, const struct tm_truth *truth,
                    const struct tm_match *m, const struct tm_shown *shown,
                    const struct tm_difference *d);
void tm_cause_stream(struct tm_cause *out, const struct tm_cause_stand *s,
                     const struct tm_difference *d);
#endif
