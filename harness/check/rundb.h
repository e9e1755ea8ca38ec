/* rundb: run.db, every sample of a run in SQL. Written once, at the end, in one transaction, beside
 * its place, and put there when it is whole: a kill leaves no run.db. Owner: the caller of open. Clocks: *_org_ms org clock, epoch ms UTC; *_ns CLOCK_MONOTONIC; work_ns wall,
 * never stretched. */
#ifndef TM_CHECK_RUNDB_H
#define TM_CHECK_RUNDB_H
#include "base/sql.h"
#include "check/breakdown.h"
#include "check/drift.h"
#include "check/measure.h"

/* clang-format off */
#define TM_RUN_DB_SCHEMA \
    /* scenario, verdict, plan (check/plan.h, as JSON); compress, org_origin_ms, wall_origin_ns, \
       end_ns, end_ms: the run's clocks */ \
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;" \
    "CREATE TABLE pipeline(name TEXT PRIMARY KEY, kind TEXT, option INTEGER, database TEXT," \
    " interval_ms INTEGER);" \
    "CREATE TABLE change(pos INTEGER PRIMARY KEY, object TEXT, id TEXT, change TEXT," \
    " event TEXT, org_ms INTEGER," \
    " intended_org_ms INTEGER, intended_ns INTEGER, actual_ns INTEGER, replay_id INTEGER);" \
    /* visible_lo_ns: last read without it; visible_ns: first read with it; NULL: never. \
       exact: its own state was shown, else \
       superseded by a later one. excluded from closed forms: coincident = its state was on \
       display when it was committed. */ \
    "CREATE TABLE sample(pipeline TEXT, pos INTEGER, wait_ms REAL, work_ns INTEGER," \
    " visible_lo_ns INTEGER," \
    " visible_ns INTEGER, visible_org_ms REAL, freshness_ms REAL, censored INTEGER," \
    " exact INTEGER, ambiguous INTEGER," \
    " coincident INTEGER, poll INTEGER, PRIMARY KEY(pipeline, pos)) WITHOUT ROWID;" \
    /* rows of a class, mean over the bin that begins at org_ms; class differing_max: the most \
       rows differing within it */ \
    "CREATE TABLE curve(pipeline TEXT, org_ms INTEGER, class TEXT, flagged INTEGER, rows REAL);" \
    "CREATE TABLE final_diff(pipeline TEXT, object TEXT, id TEXT, class TEXT, dirty INTEGER," \
    " field TEXT, expected TEXT," \
    " shown TEXT, first_pos INTEGER, first_org_ms INTEGER);" \
    /* why each of them differs: words of check/cause.h; known 0: the evidence does not tell */ \
    "CREATE TABLE cause(pipeline TEXT, object TEXT, id TEXT, class TEXT, first_pos INTEGER," \
    " cause TEXT, station TEXT, rule TEXT, known INTEGER, because TEXT);" \
    "CREATE TABLE selftest(pipeline TEXT, name TEXT, ok INTEGER, expected REAL, measured REAL," \
    " note TEXT);" \
    "CREATE TABLE breakdown(pipeline TEXT, segment TEXT, count INTEGER, mean_ms REAL," \
    " p50_ms REAL, p90_ms REAL," \
    " p99_ms REAL, p99_9_ms REAL, max_ms REAL);" \
    /* the instant before each commit of the workload, wall clock: rows of the pipeline that differ; \
       equal: by the set hashes. Beyond 200,000 commits every nth only. */ \
    "CREATE TABLE at_commit(pipeline TEXT, pos INTEGER, differing INTEGER, equal INTEGER," \
    " PRIMARY KEY(pipeline, pos)) WITHOUT ROWID;" \
    /* words of check/anomaly.h; count NULL: not measured */ \
    "CREATE TABLE anomaly(pipeline TEXT, anomaly TEXT, count INTEGER, at TEXT, object TEXT, id TEXT," \
    " pos INTEGER, PRIMARY KEY(pipeline, anomaly)) WITHOUT ROWID;" \
    /* what the reader saw of every record that changed, look by look. lo, visible: as in sample; \
       org_ms: of the org's clock then. shows: whole (pos: the version), gone, mixed, wrong, \
       partial; fields of what is not whole: {field: pos it comes from | null: never held}, those \
       that changed with this look. One before the clock started: what streaming and polls began \
       with. */ \
    "CREATE TABLE seen(pipeline TEXT, object TEXT, id TEXT, visible_lo_ns INTEGER," \
    " visible_ns INTEGER, org_ms INTEGER, shows TEXT, dirty INTEGER, pos INTEGER, fields TEXT);" \
    "CREATE TABLE full_read(pipeline TEXT, begun_ns INTEGER, object TEXT, query_ms REAL," \
    " rows INTEGER);"
/* clang-format on */

#define TM_RUN_DB_PART ".part" /* behind its name, until it is whole */
struct tm_run_db {
    sqlite3 *db;
    char path[600];
    sqlite3_stmt *sample, *curve, *diff, *selftest, *breakdown, *full, *at_commit, *anomaly, *cause,
        *seen;
};
/* Replaces what is at `path`. */
enum tm_code tm_run_db_open(struct tm_run_db *out, const char *path, struct tm_err *err);
enum tm_code tm_run_db_meta(struct tm_run_db *r, const char *key, const char *value,
                            struct tm_err *err);
enum tm_code tm_run_db_changes(struct tm_run_db *r, const struct tm_truth *t, struct tm_err *err);
enum tm_code tm_run_db_pipeline(struct tm_run_db *r, const struct tm_plan_pipeline *p,
                                struct tm_err *err);
enum tm_code tm_run_db_samples(struct tm_run_db *r, const char *pipeline, const struct tm_truth *t,
                               const struct tm_match *m, struct tm_err *err);
enum tm_code tm_run_db_curve(struct tm_run_db *r, const char *pipeline, const struct tm_curve *c,
                             struct tm_err *err);
enum tm_code tm_run_db_diff(struct tm_run_db *r, const char *pipeline, const json_t *diff,
                            struct tm_err *err);
enum tm_code tm_run_db_selftest(struct tm_run_db *r, const json_t *test, struct tm_err *err);
enum tm_code tm_run_db_breakdown(struct tm_run_db *r, const char *pipeline, struct tm_breakdown *b,
                                 struct tm_err *err);
enum tm_code tm_run_db_drift(struct tm_run_db *r, const char *pipeline,
                             const struct tm_drift_run *d, struct tm_err *err);
/* As tm_anomalies_json gives them. */
enum tm_code tm_run_db_anomalies(struct tm_run_db *r, const char *pipeline, const json_t *all,
                                 struct tm_err *err);
enum tm_code tm_run_db_seen(struct tm_run_db *r, const char *pipeline, const struct tm_truth *truth,
                            const struct tm_shown *shown, const struct tm_match *m,
                            const struct tm_timing *t, struct tm_err *err);
enum tm_code tm_run_db_full_read(struct tm_run_db *r, const char *pipeline, int64_t begun_ns,
                                 const char *object, double query_ms, int64_t rows,
                                 struct tm_err *err);
enum tm_code tm_run_db_close(struct tm_run_db *r, struct tm_err *err); /* commits; now it is there */
void tm_run_db_drop(struct tm_run_db *r); /* after an error: nothing is left; NULL-safe members */
#endif
