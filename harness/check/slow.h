/* slow: the changes of one pipeline that took longest to be shown, each with what it waited for.
 * in: samples, the history, polls or traces; out: [{object, id, pos, change, org_ms, freshness_s,
 * rule | null, because}], the slowest first; one a record. Pure. freshness_s: org timeline
 * (check/match.h, M4). */
#ifndef TM_CHECK_SLOW_H
#define TM_CHECK_SLOW_H
#include "check/breakdown.h"

#define TM_SLOW_MAX 5
json_t *tm_slow_json(const struct tm_truth *truth, const struct tm_match *m,
                     const struct tm_timing *t, const struct tm_marks *marks);
#endif
