/* compare: is NEW worse than BASE? in: report.json of one run or of several repetitions on each
 * side, and, if there are any, of a control: repetitions of BASE's own program made in the same
 * job. out: one JSON object, and words. Pure: no I/O, clock.
 *
 * Two kinds of figures, judged in two ways:
 *  counters   what may not change at all. Under the virtual clock everything that the report counts
 *             is one (rows differing, states lost, API calls, latencies by the schedule): a run is
 *             the same bytes each time, so that any difference is the program's. In real time only
 *             what is promised whatever the machine does (nothing unseen, no row differing, …).
 *  wall clock what a machine takes: shift.h, on repetitions that took turns (base, new, base, new
 * …). A figure fails when it is larger beyond doubt and by effect_min at least; it passes when a
 * growth of effect_seen is excluded; else it is inconclusive. So it is when the control, which
 * should not move, moves by effect_seen: then the job cannot tell. The chance that any figure of a
 * job fails by chance is alpha at most (Bonferroni). Each wall-clock figure says the smallest
 * growth that could have been seen. */
#ifndef TM_REPORTS_COMPARE_H
#define TM_REPORTS_COMPARE_H
#include "base/buf.h"
#include <jansson.h>

#define TM_COMPARE_RUNS_MAX 32 /* repetitions on a side */

/* `slo.compare` of the scenario, which each report repeats. */
struct tm_compare_rules {
    double effect_min;  /* 0.10: growth below that never fails */
    double effect_seen; /* 0.20: growth from that on must be excluded, or it is no pass */
    double alpha;       /* 0.002: chance of a false fail, all figures together */
    unsigned must;      /* a bit each: figures without which there is no pass; ["cpu"] */
};
enum { TM_COMPARE_WORK = 1, TM_COMPARE_CPU = 2, TM_COMPARE_QUERY = 4 };
/* compare NULL: presets. TM_E_ARG names the key. */
enum tm_code tm_compare_rules_read(struct tm_compare_rules *out, const json_t *compare,
                                   struct tm_err *err);

struct tm_compare_side {
    const json_t *const *runs; /* borrowed, in the order they were made */
    size_t count;              /* 1 to TM_COMPARE_RUNS_MAX; a control may have none */
};
/* exact: counters alone. TM_E_ARG: these are not repetitions of one experiment (another scenario,
 * seed, format, clock, set of pipelines …), in words. The caller owns *out. */
enum tm_code tm_compare(json_t **out, struct tm_compare_side base, struct tm_compare_side new,
                        struct tm_compare_side control, bool exact, struct tm_err *err);
/* What it says, for a terminal. */
void tm_compare_words(struct tm_buf *out, const json_t *result);
#endif
