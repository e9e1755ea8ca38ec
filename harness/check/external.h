/* external: what the report says of a pipeline that is not ours: the starts of its command, how it
 * was looked at, and in plain words what cannot be measured of it. in: its plan, its starts, its
 * reader; out: JSON for report.json: "runs" (check/runs.h; null: nobody starts it here), "looks"
 * (check/given.h), "not_measured": [text]. Pure. */
#ifndef TM_CHECK_EXTERNAL_H
#define TM_CHECK_EXTERNAL_H
#include "check/results.h"
#include "check/runs.h"

void tm_external_json(json_t *out, const struct tm_plan_pipeline *p, const struct tm_runs *runs,
                      const struct tm_given *given, int64_t compress);
/* Starts and queries that failed, as reasons; true: more than the pipeline promised. */
bool tm_external_failed(struct tm_results *r, json_t *reasons, const struct tm_plan_pipeline *p,
                        const struct tm_runs *runs, const struct tm_given *given);
#endif
