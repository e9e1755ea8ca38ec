/* baseline: runs read back from where they were left, and NEW judged against BASE
 * (reports/compare.h). in: paths; out: report.json of each, a verdict in words or JSON on stdout.
 * Reads only. */
#ifndef TM_RUN_BASELINE_H
#define TM_RUN_BASELINE_H
#include "base/err.h"
#include "reports/compare.h"

struct tm_baseline {
    json_t *runs[TM_COMPARE_RUNS_MAX]; /* owned */
    size_t count;
};
/* where: a run's folder, its report.json, a folder of such folders (by name), or several of these
 * with commas between. Appends; TM_E_ARG says what is not there. The caller frees, also after an
 * error. */
enum tm_code tm_baseline_load(struct tm_baseline *out, const char *where, struct tm_err *err);
void tm_baseline_free(struct tm_baseline *b);
/* Prints the comparison; *out_exit: 0 pass, 1 fail, 2 inconclusive. control may be NULL. */
enum tm_code tm_baseline_judge(int *out_exit, const struct tm_baseline *base,
                               const struct tm_baseline *new, const struct tm_baseline *control,
                               bool exact, bool json, struct tm_err *err);
#endif
