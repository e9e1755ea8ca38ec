/* control: a pipeline whose every latency is known, put through the same measuring as the real
 * ones: each version of the run's own history is shown a fixed time after its intended commit. Then
 * every freshness must be that time, the t-visibility curve must step from 0 to 1 there, and
 * versions behind must integrate to changes * time. in: the history, the run's timing; out: what
 * came of it. Left out, counted: versions that changed nothing comparable (no read can tell them
 * from the one before), and records of which some version was committed later than it was to be
 * shown. Pure. */
#ifndef TM_CHECK_CONTROL_H
#define TM_CHECK_CONTROL_H
#include "check/match.h"

#define TM_CONTROL_DELAY_NS 3000007000LL /* an odd number of microseconds */
struct tm_control {
    uint64_t tested, held, left_out; /* changes; held: shown after exactly the delay */
    double before, at;               /* t-visibility just before the delay, and at it */
    int64_t area_expected_us, area_measured_us;
    uint32_t first_wrong; /* version; TM_TRUTH_NONE */
    bool ok;              /* nothing tested is ok too */
};
enum tm_code tm_control_test(struct tm_control *out, const struct tm_truth *truth,
                             const struct tm_timing *timing, const char *const *objects,
                             size_t objects_count, struct tm_err *err);
#endif
