/* measure: from samples and curve steps to the figures of design section 7. Percentiles are exact:
 * the value at rank ceil(p * count) of the sorted samples, unseen ones counted as larger than any;
 * null = not reached. Pure. */
#ifndef TM_CHECK_MEASURE_H
#define TM_CHECK_MEASURE_H
#include "check/match.h"
#include <jansson.h>

struct tm_series {
    double *values;
    size_t count, cap;
    bool sorted;
};
enum tm_code tm_series_add(struct tm_series *s, double value, struct tm_err *err);
void tm_series_free(struct tm_series *s);
/* False: not reached, the rank falls on one that was never seen (or there is none). */
bool tm_series_at(struct tm_series *s, double share, size_t never, double *out);
double tm_series_mean(const struct tm_series *s);
/* {"count", "p50", "p90", "p99", "p99_9", "max", "mean"}; max and mean are of those seen. */
json_t *tm_series_json(struct tm_series *s, size_t never);
/* [[share, value], …]: the quantile curve, for a picture. */
json_t *tm_series_curve(struct tm_series *s, size_t never);

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
