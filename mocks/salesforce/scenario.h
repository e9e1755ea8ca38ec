/* scenario: what a run is made of, as fixtures/scenarios/<name>.json says it.
 * in: a JSON file; out: checked numbers, and `pipelines` and `slo` as they are for `tidemark run`.
 * Unknown keys are errors that suggest the nearest known one; every error names file and key. Pure
 * but for reading the file. Allocations by edition: salesforce-wire.md section 8. Owner: the caller
 * of load. */
#ifndef TM_MOCKS_SALESFORCE_SCENARIO_H
#define TM_MOCKS_SALESFORCE_SCENARIO_H
#include "base/clock.h"
#include <jansson.h>

#define TM_SCENARIO_OBJECTS_MAX 64
#define TM_SCENARIO_CHANGES_MAX 20000000
#define TM_SCENARIO_ORIGIN_MS 1772438400000LL
#define TM_SCENARIO_RECORDS_MAX 5000000

enum tm_workload_kind { /* what the workload can do; names below */
                        TM_WL_CREATE,
                        TM_WL_UPDATE,
                        TM_WL_NULLS,
                        TM_WL_DELETE,
                        TM_WL_UNDELETE,
                        TM_WL_HARD_DELETE,
                        TM_WL_TRANSACTION,
                        TM_WL_MERGE,
                        TM_WL_MERGED_EVENT,
                        TM_WL_BURST,
                        TM_WL_GAP_CREATE,
                        TM_WL_GAP_UPDATE,
                        TM_WL_GAP_DELETE,
                        TM_WL_GAP_UNDELETE,
                        TM_WL_OVERFLOW,
                        TM_WL_DIFF,
                        TM_WL_CONVERSION,
                        TM_WL_FIELD_ADD,
                        TM_WL_FIELD_REMOVE,
                        TM_WL_KINDS
};
/* create update nulls delete undelete hard_delete transaction merge merged_event burst gap_create …
 * overflow diff conversion field_add field_remove */
const char *tm_workload_kind_name(enum tm_workload_kind kind);

struct tm_scenario_workload {
    int64_t changes; /* record changes offered over `hours`, burst included */
    int64_t records; /* initial population over all objects */
    double zipf;     /* exponent of how hot the hot records are */
    char shape[16];  /* business_day, flat */
    double burst_at,
        burst_share;      /* import burst: when (0..1 of the hours), which share of the changes */
    double burst_minutes; /* how long it takes, org time */
    bool kinds[TM_WL_KINDS];    /* asked for: each happens at least once */
    double weight[TM_WL_KINDS]; /* share of the ordinary traffic, relative; 0 = once */
};
struct tm_scenario {
    char name[64];
    uint64_t seed;
    double hours; /* org time of the workload */
    int64_t compress;
    int64_t origin_ms; /* org instant the clock starts from: Monday 2026-03-02T08:00:00Z */
    int64_t publish_delay_ms,
        index_lag_ms; /* D, V: "2s", or {"assumed": "2s"} where no source tells */
    int64_t bulk_ms;  /* wall time a Bulk job takes at least: "bulk_time", in the same forms */
    char edition[16]; /* unlimited, enterprise, developer, or none (no limits) */
    int64_t events_per_day, api_calls_per_day; /* of the edition; 0 = no limit */
    const char **objects; /* NULL-terminated; NULL = all describes of the folder */
    struct tm_scenario_workload workload;
    const json_t *faults; /* a table of rules (faults.h), checked; never NULL, as those below */
    const json_t *pipelines, *slo; /* list, object; all borrowed from json */
    const json_t *streaming; /* PushTopics and custom channels, as tm_streaming_setup takes them */
    json_t *json;
};
enum tm_code tm_scenario_load(struct tm_scenario **out, const char *path, struct tm_err *err);
enum tm_code tm_scenario_parse(struct tm_scenario **out, const json_t *json, const char *where,
                               struct tm_err *err);
void tm_scenario_close(struct tm_scenario *scenario);
/* "90s", "15m", "4h", "250ms", or a number of seconds -> ms. */
enum tm_code tm_duration_ms(int64_t *out, const json_t *value, const char *where,
                            struct tm_err *err);
/* Per 24 h. TM_E_ARG for an unknown edition. */
enum tm_code tm_edition_allocations(const char *edition, int64_t *out_events,
                                    int64_t *out_api_calls, struct tm_err *err);
#endif
