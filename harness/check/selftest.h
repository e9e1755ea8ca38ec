/* selftest: is the harness right? Closed forms against what was measured, in every run (design
 * section 7). in: history, samples, polls; out: {name, ok, expected, measured, note}. A failed one
 * makes the verdict exit 70. area        integral of versions behind, from the states the reader
 * saw = sum of latencies, from the samples poll_time   per change: visible at ceil((t + V) / T) * T
 * + P, P = the poll's own time from its grid point to its commit lost_states the versions that are
 * not the last of their polling interval are those that were never shown full_read   at the end a
 * full read shows what following _seq had shown predicted   option 1: full reads of the views show
 * what the raw rows predicted breakdown   segments add up to work + publish delay poll_time and
 * lost_states leave out, counted: types the preset does not carry, changes never seen, those
 * committed while a poll ran (or whose record changed again meanwhile), on skipped grid points,
 * first shown by a full reload of an otherwise incremental preset, coincident ones, and those
 * hidden at their poll by a change the preset does not carry. Pure. */
#ifndef TM_CHECK_SELFTEST_H
#define TM_CHECK_SELFTEST_H
#include "check/planted.h"
#include "check/match.h"
#include <jansson.h>

/* What was compared: a test of nothing is no pass ("ok" null, "exercised" false), and failed where
 * the plan calls for it. */
enum tm_exercised {
    TM_EXERCISED,
    TM_NOTHING_TO_TEST,
    TM_NOTHING_TESTED /* though there should have been */
};
bool tm_selftest_failed(bool ok, enum tm_exercised exercised);
json_t *tm_selftest_json(const char *pipeline, const char *name, bool ok,
                         enum tm_exercised exercised, double expected, double measured,
                         const char *note);
struct tm_area {
    int64_t expected_us, measured_us;
    uint64_t unordered;
    uint32_t first_wrong; /* record */
};
/* expected: sum over the samples. */
enum tm_code tm_selftest_area(struct tm_area *out, const struct tm_truth *truth,
                              const struct tm_match *m, const struct tm_timing *t,
                              struct tm_err *err);
enum tm_poll_exclusion {
    TM_POLL_NOT_CARRIED,
    TM_POLL_UNSEEN,
    TM_POLL_COINCIDENT,
    TM_POLL_RUNNING,
    TM_POLL_SKIPPED,
    TM_POLL_RELOAD,
    TM_POLL_HIDDEN,
    TM_POLL_PLANTED,
    TM_POLL_EXCLUSIONS
};
struct tm_poll_test {
    uint64_t tested, held; /* changes with a closed form; those that keep it */
    uint64_t off_grid;     /* polls whose grid point is no multiple of T */
    uint64_t lost_tested, lost_expected, lost_measured, lost_wrong;
    uint64_t excluded[TM_POLL_EXCLUSIONS];
    uint32_t first_wrong, first_lost_wrong; /* version index or TM_TRUTH_NONE */
};
const char *tm_poll_exclusion_name(enum tm_poll_exclusion e);
enum tm_code tm_selftest_polls(struct tm_poll_test *out, const struct tm_truth *truth,
                               const struct tm_match *m, const struct tm_timing *t,
                               const struct tm_plan_pipeline *p, int64_t index_lag_ms,
                               struct tm_err *err);
#endif
