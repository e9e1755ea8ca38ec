/* why_inner: what why.c (what is asked for, the org's part) and why_pipeline.c (one pipeline's
 * part) share. Nobody else includes it. */
#ifndef TM_CHECK_WHY_INNER_H
#define TM_CHECK_WHY_INNER_H
#include "check/breakdown.h"
#include "check/plan.h"
#include "check/road.h"
#include "check/pauses.h"
#include "check/why.h"

#define WHY_PATH_BYTES 1024
struct why {
    const struct tm_why_args *args;
    struct tm_plan *plan;
    sqlite3 *run;
    struct tm_truth *truth;
    struct tm_timing timing;
    struct tm_marks *marks;
    struct tm_pauses pauses; /* in which nothing ran: run.db's instants do not know of them */
    int object;         /* of truth */
    uint32_t record;    /* of truth */
    char field[80];     /* "": the whole row */
    int64_t at_ms;      /* INT64_MIN: none */
    uint32_t *versions; /* [versions_count]: the commits told of, the oldest first */
    size_t versions_count;
    int64_t until_ns; /* when what comes after them was committed, wall; INT64_MAX: nothing */
};
/* Where a file of the plan is now: beside run.db, if it is there. */
void tm_why_path(char out[WHY_PATH_BYTES], const struct why *w, const char *planned);
/* "the value" of the field after version; null where there is no row. */
json_t *tm_why_value(struct why *w, uint32_t version);
double tm_why_wall_s(const struct why *w, int64_t wall_ns);
/* Appends one pipeline's part. */
enum tm_code tm_why_pipeline(json_t *out, struct why *w, const struct tm_plan_pipeline *p,
                             struct tm_err *err);
#endif
