/* plan: what a live check is told: where the org and the warehouses are, and what each pipeline
 * promises. in: PLAN.json; out: the plan, checked. Unknown keys are errors with the nearest known
 * key. Pure but for reading the file. Keys of the plan (defaults in brackets): org, run_db, out:
 * paths. scenario [""], seed [0], compress [1], publish_delay_ms [0] (D), index_lag_ms [0] (V),
 *   traces: [paths of trace files], events: [changeType words the scenario declares; each must be
 * seen], offered [0]: changes the workload means to make, 0 = those of the history; broker
 * ["embedded"], cpus [0], poll_us [1500], poll_batch_us [5000]: wall time between two probes of a
 * stream's or batch's database, audit_ms [12000]: wall time between two full comparisons of a
 * followed relation (check/audit.h), sample_ms [12000]: wall time between two full reads of option
 * 1's views, slo: {lateness_ms_p99 [1000], achieved [0.99]}, pipelines: [{name, kind: stream |
 * batch, option [2], database, raw [option 1: database; else ""]: the sink's tables behind it,
 * where a cause is looked for, objects, interval_ms, carries: [change types], clients:
 * [User-Agents], slo: {unseen, differing, dirty}}]. A number left out of a pipeline's slo is not
 * asked for; without slo a stream must end with nothing unseen, no differing row and no dirt, a
 * batch need not, an external must not
 * have a start that failed. */
#ifndef TM_CHECK_PLAN_H
#define TM_CHECK_PLAN_H
#include "base/err.h"
#include <jansson.h>
#include <stdint.h>

#define TM_PLAN_PIPELINES_MAX 64
#define TM_PLAN_NAMES_MAX 64
#define TM_PLAN_NO_LIMIT INT64_MAX

enum tm_pipeline_kind {
    TM_PIPELINE_STREAM,
    TM_PIPELINE_BATCH,
    TM_PIPELINE_EXTERNAL /* somebody else's: a program of which only its tables are known */
};
struct tm_plan_pipeline {
    const char *name, *database; /* borrowed from the plan's JSON, as all text here */
    const char *raw;             /* stream: the raw tables; "" not told */
    enum tm_pipeline_kind kind;
    int option;          /* stream: 1 = views over raw tables, 2 = kept relations */
    int64_t interval_ms; /* batch: T, org clock */
    const char *objects[TM_PLAN_NAMES_MAX];
    size_t objects_count;
    const char *clients[TM_PLAN_NAMES_MAX];
    size_t clients_count;
    const json_t *relations; /* external: of each object (check/relation.h) */
    const char *map,
        *runs;        /* external: who gave the relations; starts of its command, NULL: none */
    unsigned carries; /* bits by enum tm_truth_change */
    int64_t unseen_max, differing_max, dirty_max, /* TM_PLAN_NO_LIMIT: not asked for */
        failed_max;                               /* external: starts that failed */
};
struct tm_plan {
    json_t *json; /* owned */
    const char *org, *run_db, *out, *scenario, *broker;
    const char *journal; /* check/journal.h; "": none */
    int64_t seed, compress, publish_delay_ms, index_lag_ms, offered, cpus;
    int64_t poll_ns, poll_batch_ns, sample_ns, audit_ns;
    double lateness_ms_p99_max, achieved_min;
    const char *traces[TM_PLAN_NAMES_MAX];
    size_t traces_count;
    const char *events[TM_PLAN_NAMES_MAX];
    size_t events_count;
    struct tm_plan_pipeline pipelines[TM_PLAN_PIPELINES_MAX];
    size_t pipelines_count;
};
const char *tm_pipeline_kind_name(enum tm_pipeline_kind kind);
enum tm_code tm_plan_load(struct tm_plan **out, const char *path, struct tm_err *err);
/* Takes a reference to `json`; `where` names it in errors. */
enum tm_code tm_plan_from_json(struct tm_plan **out, json_t *json, const char *where,
                               struct tm_err *err);
void tm_plan_close(struct tm_plan *p);
#endif
