/* measure: from samples and curve steps to the figures of a report. Percentiles are exact:
 * no buckets. A change that was not seen is right-censored: it waited at least so long (INFINITY:
 * the pipeline can never show it), and the percentiles are those of the Kaplan-Meier estimate
 * (Kaplan and Meier 1958, doi 10.1080/01621459.1958.10501452): share of changes visible within t =
 * 1 - product over the waits x <= t of (1 - seen at x / waiting at x). Where every censored wait is
 * as long as the longest seen one, this is the value at rank ceil(p * count). null = not reached.
 * Pure. */
#ifndef TM_CHECK_MEASURE_H
#define TM_CHECK_MEASURE_H
#include "check/match.h"
#include <jansson.h>

struct tm_series {
    double *values; /* seen */
    size_t count, cap;
    double *waits; /* not seen: censored after waiting so long */
    size_t never, waits_cap;
    double *survival; /* of values[], when some wait is shorter than the longest seen; else NULL */
    bool sorted;
};
enum tm_code tm_series_add(struct tm_series *s, double value, struct tm_err *err);
/* One that was never seen; `wait` may be INFINITY. */
enum tm_code tm_series_censor(struct tm_series *s, double wait, struct tm_err *err);
void tm_series_free(struct tm_series *s);
/* The smallest value by which `share` of all are seen. False: not reached (or there is none). */
bool tm_series_at(struct tm_series *s, double share, double *out);
/* The share seen by `value`; 0 of nothing. */
double tm_series_share(struct tm_series *s, double value);
double tm_series_mean(const struct tm_series *s);
/* {"count", "p50", "p90", "p99", "p99_9", "max", "mean"}; max and mean are of those seen. */
json_t *tm_series_json(struct tm_series *s);
/* [[share, value], …]: the quantile curve, for a picture. */
json_t *tm_series_curve(struct tm_series *s);
/* [[seconds, share], …] for a series in seconds: t-visibility, P(readable | t after the commit). */
json_t *tm_series_visibility(struct tm_series *s);

#define TM_CURVE_BINS 720
struct tm_curve {                  /* rows by class on an even grid of the org timeline */
    int64_t us[TM_CURVE_BINS + 1]; /* borders of the bins */
    double mean[TM_CURVE_BINS][TM_ROW_CODES], max_differing[TM_CURVE_BINS];
    double row_us[TM_ROW_CODES]; /* integral over the window */
    int64_t peak_rows, peak_us;
};
/* Sorts m->steps. */
enum tm_code tm_curve_make(struct tm_curve **out, struct tm_match *m, const struct tm_timing *t,
                           struct tm_err *err);
#endif
