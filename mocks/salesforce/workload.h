/* workload: what the users of the org do, all of it fixed by the seed. in: a scenario, an org, the
 * time; out: commits. Open loop: every intended instant is an offset from the org's origin drawn
 * from the seed alone; a late step commits late and says so (history: intended_ms, intended_ns,
 * actual_ns), it never shifts what comes after. Pure: no clock or chance of its own. Stop and
 * start: steps already in org.db are skipped (meta workload_step). */
#ifndef TM_MOCKS_SALESFORCE_WORKLOAD_H
#define TM_MOCKS_SALESFORCE_WORKLOAD_H
#include "mocks/salesforce/org.h"
#include "mocks/salesforce/scenario.h"

/* record changes one step commits at most, unless one transaction is larger */
#define TM_WORKLOAD_BATCH_MAX 128
struct tm_workload;
/* Writes the initial population (stamps before the origin, no events) unless the org already has
 * it. Runs to the end: before anything is served. About a second for 20,000 records. */
enum tm_code tm_workload_populate(struct tm_org *org, const struct tm_scenario *scenario,
                                  struct tm_err *err);
/* Lays out the plan. Writes workload_first_ms, workload_last_ms and workload_done = 0 to meta. */
enum tm_code tm_workload_open(struct tm_workload **out, struct tm_org *org,
                              const struct tm_scenario *scenario, struct tm_err *err);
void tm_workload_close(struct tm_workload *w);
/* The clock has started (or will): how intended org instants map to wall instants. Before this
 * intended_ns is NULL. */
void tm_workload_clock(struct tm_workload *w, const struct tm_clock_map *map);
/* Commits what is due, at most one SQLite transaction, and lowers *wake to the next due instant.
 * TM_E_AGAIN: nothing due, or org.db is busy (then *wake is soon). After the last step meta
 * workload_done is 1. */
enum tm_code tm_workload_step(struct tm_workload *w, const struct tm_now *now, struct tm_wake *wake,
                              struct tm_err *err);
/* Transactions that stay open (faults.h, held_transactions): asked for each step that is due how
 * long it does, 0 = not at all. What is open when the workload is closed is rolled back. */
void tm_workload_holds(struct tm_workload *w,
                       int64_t (*hold_ms)(void *data, uint64_t number, const struct tm_now *now),
                       void *data);
bool tm_workload_done(const struct tm_workload *w);
struct tm_workload_counts {
    int64_t steps, changes, late_ms_max, refused /* others had changed the record meanwhile */;
    int64_t kinds[TM_WL_KINDS];
};
const struct tm_workload_counts *tm_workload_counts(const struct tm_workload *w);
#endif
