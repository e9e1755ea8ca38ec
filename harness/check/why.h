/* why: the story of one cell, or of one row, of a finished run: what the org held, which event or
 * poll carried it, what each station did, what the reader saw, and when. in: a run's folder
 * (run.db, org.db, the warehouses and traces beside them), "Object/Id" or "Object/Id.Field", an
 * instant of the org's clock or none; out: the story as JSON, and as text. Reads only. Owner of
 * *out: the caller. A user's mistake is TM_E_ARG, and lists what there is.
 *
 * {run, scenario, object, id, field|null, at_ms|null, compress, clock {start_ms, end_ms},
 *  org: {versions, held_at {pos, value, there}, commits: [{pos, change, event|null, replay_id,
 *    org_ms, wall_s, fields: [{field, before, after}]}]},
 *  pipelines: [{name, kind, option|interval_s,
 *    commits: [{pos, steps: [{station, what, org_ms, wall_s}], shown: bool}],
 *    seen: [{org_ms, wall_s, shows, dirty, pos|null, value}], at: the last of them by then | null,
 *    equal_at: bool | null, cause: {class, cause, station, rule, known, because} | null}]}
 * wall_s: wall seconds since the org's clock started. */
#ifndef TM_CHECK_WHY_H
#define TM_CHECK_WHY_H
#include "base/err.h"
#include <jansson.h>
#include <stdio.h>

#define TM_WHY_LAST 10 /* commits told of without an instant */
#define TM_WHY_LAST_MAX 1000
struct tm_why_args {
    const char *run, *target;
    const char *at;       /* NULL: none. HH:MM, HH:MM:SS[.mmm] of the org's day, or ISO 8601 */
    const char *pipeline; /* NULL: all */
    int last;             /* commits without an instant; 0: TM_WHY_LAST */
};
enum tm_code tm_why(json_t **out, const struct tm_why_args *args, struct tm_err *err);
void tm_why_print(FILE *out, const json_t *story);
/* "14:05", "14:05:30.5" or ISO 8601 on a run's org clock: the first such instant from start_ms on.
 * TM_E_ARG names the run's own time when it lies outside it. */
enum tm_code tm_why_time(int64_t *out_ms, const char *text, int64_t start_ms, int64_t end_ms,
                         struct tm_err *err);
#endif
