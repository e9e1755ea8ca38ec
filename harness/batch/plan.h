/* plan: when a poll starts and what it asks. in: settings, instants, the place reached; out: grid
 * points, SOQL. Pure: no I/O, heap (but the buffer given), clock. Facts: salesforce-wire.md 4
 * (queries real pollers send), connectors.md 5.3 (#54, #58: ties at a page boundary). */
#ifndef TM_BATCH_PLAN_H
#define TM_BATCH_PLAN_H
#include "base/text.h"
#include "batch/batch.h"

#define TM_BATCH_DAY_MS 86400000LL

int64_t tm_plan_grid_floor(int64_t interval_ms, int64_t org_ms); /* last grid point <= org_ms */
int64_t tm_plan_grid_after(int64_t interval_ms, int64_t org_ms); /* first grid point > org_ms */
/* A daily mark (ms after midnight UTC) lies in (last_ms, grid_ms]. */
bool tm_plan_full_due(int64_t full_at_ms, int64_t last_ms, int64_t grid_ms);

struct tm_place {         /* how far a read has come */
    bool any;             /* a row of this range (or whole read) was stored */
    int64_t stamp_ms;     /* of the last row; ranges only */
    char id[TM_ID_BYTES]; /* of the last row */
};
struct tm_range {
    bool whole;
    int64_t from_ms;
    bool from_inclusive;
    int64_t until_ms /* exclusive; TM_NEVER = open */;
};
/* Is a field part of SELECT: not a compound, not base64, formulas as the settings say. */
bool tm_plan_selects(const struct tm_batch_settings *s, const struct tm_field *f);
enum tm_code tm_plan_soql(struct tm_buf *out, const struct tm_batch_settings *s,
                          const struct tm_describe *d, const struct tm_range *range,
                          const struct tm_place *place, struct tm_err *err);
/* Pages by LIMIT and a new query each (stamp, keyset) instead of by locator. */
bool tm_plan_pages_by_limit(const struct tm_batch_settings *s, const struct tm_range *range);
/* May a read be taken up at its place after a restart? Otherwise it begins again. */
bool tm_plan_resumes(const struct tm_batch_settings *s, const struct tm_range *range);
/* [from, until) cut into slices: the slice that begins at from_ms; false when nothing is left. */
bool tm_plan_slice(int64_t slice_ms, int64_t from_ms, int64_t until_ms, int64_t *out_until_ms);
#endif
