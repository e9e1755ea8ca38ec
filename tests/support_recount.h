/* support_recount: a second way to a report's figures, by plain SQL over what a run left: the org
 * and the warehouses. It shares nothing with harness/check. in: the run's folder; out: for each
 * figure the range it must lie in. Where the end of a poll, not the instant it looked, is on
 * record, the range is between "saw all until it ended" and "saw nothing after it began". */
#ifndef TM_TESTS_SUPPORT_RECOUNT_H
#define TM_TESTS_SUPPORT_RECOUNT_H
#include <jansson.h>
#include <stddef.h>

#define TM_TEST_FIGURES_MAX 128
struct tm_test_figure {
    char pipeline[32], group[24], key[24]; /* pipeline "": of the report itself */
    double lo, hi;                         /* -1 and -1: null, the percentile is not reached */
};
struct tm_test_recount {
    struct tm_test_figure figures[TM_TEST_FIGURES_MAX];
    size_t count;
};
/* `folder` holds org.db and the warehouses of the short scenario. The report is asked for its
 * slowest leg behind the raw tables only: no table says when a view was read. */
void tm_test_recount(struct tm_test_recount *out, const char *folder, const json_t *report);
/* Where the report keeps the figure under its key; NULL: nowhere. Borrowed. */
json_t *tm_test_recount_group(const json_t *report, const struct tm_test_figure *f);
/* How many figures lie outside; the first of them as a sentence in why. */
size_t tm_test_recount_differ(const struct tm_test_recount *r, const json_t *report, char *why,
                              size_t why_bytes);
#endif
