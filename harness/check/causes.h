/* causes: the cause of every differing row of one pipeline, looked for in what its stations left.
 * in: its final differences and their JSON (check/diff.h), the run's plan and traces, its database
 * and raw tables; out: the keys of check/cause.h in every row's JSON, and `causes` in `out`:
 * [{cause, station, rule, hint, known, rows, example {object, id, pos, because}}], most rows first.
 * Nothing is read where nothing differs. Reads databases, writes none. */
#ifndef TM_CHECK_CAUSES_H
#define TM_CHECK_CAUSES_H
#include "check/cause.h"
#include "check/results.h"

enum tm_code tm_causes_tell(json_t *out, json_t *diff, const struct tm_results *r,
                            const struct tm_plan_pipeline *p, const struct tm_match *m,
                            const struct tm_shown *shown, const struct tm_timing *timing,
                            const struct tm_check_target *target, struct tm_err *err);
/* One more row in such a list; `row` names it: object, id, first_org_ms if it is known. */
void tm_causes_count(json_t *list, const json_t *row, const struct tm_cause *c);
/* Takes the list; most rows first. */
json_t *tm_causes_by_rows(json_t *list);
#endif
