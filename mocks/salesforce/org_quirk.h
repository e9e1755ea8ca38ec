/* org_quirk: what may be done to an org from outside, as faults (faults.h) do it: how the org
 * behaves for a time, what happens to it at an instant, and the log of all that. in: settings and
 * instants; out: rows of org.db. Pure as org.h. The log is table `fault` (harness/base/org_db.h),
 * so that the report's charts can mark what was planted. */
#ifndef TM_MOCKS_SALESFORCE_ORG_QUIRK_H
#define TM_MOCKS_SALESFORCE_ORG_QUIRK_H
#include "mocks/salesforce/org.h"

#define TM_ORG_LOCKED_MAX 20000 /* rows of transactions that are open */

struct tm_org_quirk {
    double probability; /* 0 = not */
    char object[96];    /* "" = any */
};
struct tm_org_quirks {    /* all zero = none: an org as it is */
    int64_t index_lag_ms; /* V, where it is longer than the org's own */
    bool millisecond_stamps;
    /* how ordinary changes are announced; MERGED and OVERFLOW are drawn for a whole transaction */
    struct tm_org_quirk announce[TM_ORG_SILENT + 1];
};
/* From now on. A longer V does not hide rows that are visible already: the index stops, and goes on
 * that much later. */
enum tm_code tm_org_quirks_set(struct tm_org *org, const struct tm_org_quirks *quirks,
                               int64_t now_org_ms, struct tm_err *err);
/* Hard-deletes what has been in the recycle bin for longer than older_ms. The delete log keeps
 * it. */
enum tm_code tm_org_purge_bin(struct tm_org *org, const struct tm_now *now, int64_t older_ms,
                              int64_t *out_count, struct tm_err *err);
/* getDeleted knows nothing of what was deleted before now, and says so (earliestDateAvailable). */
enum tm_code tm_org_purge_delete_log(struct tm_org *org, int64_t now_org_ms, struct tm_err *err);
/* Rows of an open transaction: whoever writes them gets UNABLE_TO_LOCK_ROW. TM_E_ARG when one is
 * locked already, TM_E_LIMIT when there are too many. */
enum tm_code tm_org_lock(struct tm_org *org, int64_t holder, const char *id, struct tm_err *err);
void tm_org_unlock(struct tm_org *org, int64_t holder);

struct tm_org_fault { /* one entry of the log */
    int64_t rule;
    const char *what;
    int64_t org_ms, wall_ns;
    int64_t until_ms;                      /* 0 = it took no time */
    const char *request, *client, *detail; /* "" = does not apply */
};
/* Kept in memory while org.db is locked, and written with the next. */
enum tm_code tm_org_fault_add(struct tm_org *org, const struct tm_org_fault *fault,
                              struct tm_err *err);
/* {"n", "rule", "what", "org_ms", "org_time", "wall_ns", "until_ms", "request", "client", "detail"}
 * of entries beyond after, oldest first. */
enum tm_code tm_org_faults(struct tm_org *org, int64_t after, int64_t limit, json_t **out,
                           struct tm_err *err);
/* What each rule did in this org so far, also in earlier lives of the server. */
typedef void tm_org_fault_rule(void *data, int64_t rule, int64_t happened, int64_t last_ms);
enum tm_code tm_org_fault_rules(struct tm_org *org, tm_org_fault_rule *row, void *data,
                                struct tm_err *err);
#endif
