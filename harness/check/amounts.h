/* amounts: what a manager would have read off each copy: the open pipeline's amount by stage, over
 * the org day, beside what the org held. in: the history's values, one pipeline's match; out: both
 * curves and how far apart they were. A row counts in the stage and with the amount it shows; of a
 * row of no single version each comes from the version that held it; a value that no version ever
 * held is not known, its row counts nowhere and is counted apart. Open: a stage whose name does not
 * begin with "Closed". Amounts in the org's currency, org timeline of check/match.h. Reads org.db;
 * otherwise pure. */
#ifndef TM_CHECK_AMOUNTS_H
#define TM_CHECK_AMOUNTS_H
#include "check/match.h"

#define TM_AMOUNTS_STAGES_MAX 40 /* more of them are counted as one, the last */
#define TM_AMOUNTS_POINTS 121    /* of a curve, both ends among them */
#define TM_AMOUNTS_OFF 0.01      /* a stage is off by more than this share of what the org holds */

/* Salesforce's standard object, and who asks for it (results.c). */
#define TM_AMOUNTS_OBJECT "Opportunity"
#define TM_AMOUNTS_STAGE "StageName"
#define TM_AMOUNTS_AMOUNT "Amount"

struct tm_amounts { /* of the org: by version of truth */
    const char *object;
    char stages[TM_AMOUNTS_STAGES_MAX][80]; /* in the order of the describe, then as they come */
    size_t stages_count;
    double *amount; /* 0 where there is none */
    uint8_t *stage; /* its index; TM_AMOUNTS_STAGES_MAX: not open, or no record */
};
/* stage, amount: columns of the object. An org without them has no stages: stages_count 0. */
enum tm_code tm_amounts_read(struct tm_amounts *out, const struct tm_truth *truth,
                             const char *object, const char *stage, const char *amount,
                             struct tm_err *err);
void tm_amounts_free(struct tm_amounts *a);
/* {"object", "stages": [name], "org_ms": [], "org": [[by stage]], "shown": [[by stage]], and of the
 * whole window "org_peak", "peak_error" (of the total, absolute), "peak_error_share" (of what the
 * org held then), "peak_at_ms", "peak_stage", "peak_stage_error", "off_share" (of time: some stage
 * off by more than TM_AMOUNTS_OFF), "final_error", "unknown_rows" (the most at a time)}; NULL in
 * *out: the pipeline does not show both columns. */
enum tm_code tm_amounts_json(json_t **out, const struct tm_amounts *a, const struct tm_truth *truth,
                             const struct tm_shown *shown, const struct tm_match *m,
                             const struct tm_timing *t, const char *stage, const char *amount,
                             struct tm_err *err);
#endif
