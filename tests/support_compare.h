/* support_compare: reports made up around the figures of measured runs, for tests and the bench of
 * comparisons. tests/noise_runs.json holds what real repetitions of one program measured. */
#ifndef TM_TESTS_SUPPORT_COMPARE_H
#define TM_TESTS_SUPPORT_COMPARE_H
#include "base/rng.h"
#include "reports/compare.h"

/* A report of one stream and one batch pipeline; virtual: under the virtual clock. The caller
 * owns it. */
json_t *compare_report(bool virtual);
void compare_set(json_t *report, const char *pipeline, const char *section, const char *key,
                 double value);

struct compare_noise {
    json_t *json;
    size_t runs, figures;
};
void compare_noise_open(struct compare_noise *out);
void compare_noise_close(struct compare_noise *n);
/* A repetition drawn from the measured ones, whole, so that figures that move together still do;
 * each figure of the first pipeline times `slow`. The caller owns it. */
json_t *compare_noise_run(const struct compare_noise *n, struct tm_rng *rng, double slow);
/* One job of `repeats` in turns: BASE, NEW (slowed) and a control; its verdict's first letter. */
char compare_noise_job(const struct compare_noise *n, struct tm_rng *rng, size_t repeats,
                       double slow);
#endif
