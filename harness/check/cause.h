/* cause: why a row of a polled copy is wrong at the end, as far as history and polls tell. in:
 * history, polls, what the preset carries; out: one word a record:
 *   delete_not_carried   its last change is a delete, and the preset hears of none
 *   same_second          its last change was committed within the same whole second as an older
 *                        one, while a poll looked: SystemModstamp does not tell them apart, and
 *                        who goes on with `>` behind the newest stamp never asks again (the defect
 *                        of airbytehq/airbyte#17148)
 *   after_last_poll      no poll began after it could be seen
 *   not_explained        none of these: look at it
 * Pure. */
#ifndef TM_CHECK_CAUSE_H
#define TM_CHECK_CAUSE_H
#include "check/match.h"

/* NULL: no batch pipeline, or no record of the history. */
const char *tm_cause_of(const struct tm_truth *truth, const struct tm_match *m,
                        const struct tm_timing *t, const struct tm_plan_pipeline *p,
                        int64_t index_lag_ms, uint32_t record);
#endif
