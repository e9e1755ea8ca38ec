/* run: the main job: one org, every pipeline of a scenario side by side, one verdict.
 * in: a scenario file and flags; out: a run folder (README, "Reading a report") and an exit code.
 *
 *   START kafka registry serve ─► stations ─► first copies ─► batch ─► initial loads ─► witness
 *   ─► org clock starts ─► WORK (the generator's hours) ─► DRAIN (T + V + P) ─► witness ends ─►
 * REPORT
 *
 * The org's clock stands still until every pipeline shows the org as it was at its origin, so that
 * start-up costs nobody freshness. Anything that ends on its own makes the run inconclusive;
 * nothing partial looks whole. */
#ifndef TM_RUN_RUN_H
#define TM_RUN_RUN_H
#include "base/buf.h"
#include "base/clock.h"
#include "event/contract.h"
#include "run/outages.h"
#include "run/progress.h"
#include "run/supervise.h"
#include "run/usage.h"
#include "topic/topic.h"
#include <jansson.h>

#define TM_RUN_OBJECTS_MAX 32
#define TM_RUN_PIPELINES_MAX 24
#define TM_RUN_SOURCES_MAX 32
#define TM_RUN_PARTITIONS 6
#define TM_RUN_DIR_MAX 700 /* bytes; the files of a run have longer paths */

struct tm_baseline; /* run/baseline.h */
enum tm_run_kind { TM_RUN_STREAM, TM_RUN_BATCH, TM_RUN_EXTERNAL };
struct tm_run_pipeline {
    const char *name; /* borrowed from the scenario */
    enum tm_run_kind kind;
    char sources[TM_RUN_SOURCES_MAX][TM_PATH_MAX];
    char reads[TM_RUN_SOURCES_MAX][128]; /* object of each source */
    size_t sources_count;
    char gap[TM_PATH_MAX], reconcile[TM_PATH_MAX], sink[TM_PATH_MAX], view[TM_PATH_MAX];
    char config[TM_PATH_MAX];   /* batch */
    int64_t interval_ms;        /* org clock; batch: T; stream: between scheduled copies, 0: none */
    const json_t *slo;          /* of the scenario; NULL = the kind's default */
    json_t *clients;            /* User-Agents whose API calls are its; owned */
    json_t *carries;            /* batch: change types it can ever show; owned */
    char database[TM_PATH_MAX]; /* batch, external: its file */
    /* external (run_external.c) */
    const char *command; /* borrowed from the scenario; NULL: it runs already */
    char folder[TM_PATH_MAX], runs[TM_PATH_MAX]; /* where it is started; file of its starts */
    int64_t limit_ms, settle_ms;                 /* wall */
    bool common;       /* `database` is of all objects, as the scenario says */
    json_t *relations; /* by object, each with its database; owned */
};
struct tm_run_copies { /* zero-initialised */
    int64_t next_ns;
    char text[240];
};
struct tm_run {
    /* what was asked */
    char scenario_path[TM_PATH_MAX], dir[TM_PATH_MAX];
    const char *brokers_given, *registry_given; /* NULL = embedded */
    const char *kafka_properties;               /* for every station; NULL = as its config says */
    const char *ca_path;     /* PEM, who signs https servers; NULL = the system's */
    int64_t seed;            /* -1 = the scenario's */
    json_t *pipelines_given; /* instead of the scenario's; borrowed; NULL = as the scenario says */
    struct tm_baseline *baseline; /* what to compare with, read before the run; NULL = nothing */
    bool json;
    bool reset_topics; /* on the user's broker: those of an earlier run are deleted */
    bool simulated;    /* under a virtual clock */
    bool dir_made;     /* the folder was not there before */
    bool resumes;      /* an interrupted run of `dir` (run/resume.h) */
    json_t *kept;      /* its run.json; owned; NULL: none is kept */
    int broker_life;   /* how often the embedded broker's topics were lost */
    /* the scenario */
    json_t *scenario; /* owned */
    char objects[TM_RUN_OBJECTS_MAX][128];
    size_t objects_count;
    struct tm_run_pipeline *pipelines;
    size_t pipelines_count;
    double hours;
    json_t *events;  /* changeTypes the workload promises; owned */
    int64_t offered; /* record changes */
    int64_t compress, publish_delay_ms, index_lag_ms, org_origin_ms;
    char objects_dir[TM_PATH_MAX];
    /* what runs */
    struct tm_children kids;
    struct tm_child *witness;
    struct tm_outages
        *outages; /* of what the user gave; while the run works. NULL = nothing given */
    struct tm_clock_file *clock;
    struct tm_progress progress;
    int64_t records_first; /* in the org's history before the org's clock starts */
    char clock_path[TM_PATH_MAX], org_path[TM_PATH_MAX], raw_path[TM_PATH_MAX],
        view_path[TM_PATH_MAX];
    struct tm_kafka_cluster cluster; /* of --brokers, as it answered */
    char brokers[256], registry[512], url[256];
    char undrained[300]; /* names of pipelines that the drain's bound was too short for */
    double started_up_s; /* wall seconds from start to the org clock's start */
    double took_s;
    struct tm_run_copies copies;
    struct tm_usage usage;
};

/* cmd_run.c: SCENARIO, --out, --seed, --json, --brokers, --registry; the verdict in words; and what
 * a run holds. */
enum tm_code tm_run_flags(struct tm_run *run, int argc, char **argv, struct tm_err *err);
void tm_run_print(const struct tm_run *run, int code);
/* The comparison with run->baseline, if any, printed behind it; the exit code of both: fail before
 * inconclusive before pass, 70 before all. */
int tm_run_against(const struct tm_run *run, int code);
void tm_run_free(struct tm_run *run);
/* reads and checks everything first */
enum tm_code tm_run_plan(struct tm_run *run, struct tm_err *err);
/* run_stations.c: the configs of one pipeline; errors lack the pipeline's name. */
enum tm_code tm_run_plan_stream(struct tm_run *run, struct tm_run_pipeline *p, const json_t *json,
                                struct tm_err *err);
enum tm_code tm_run_plan_batch(struct tm_run *run, struct tm_run_pipeline *p, const json_t *json,
                               struct tm_err *err);
/* run_external.c: the pipelines that are not ours. The config its starter is given, and the
 * environment beside it as a file that sh reads. */
enum tm_code tm_run_plan_external(struct tm_run *run, struct tm_run_pipeline *p, const json_t *json,
                                  struct tm_err *err);
enum tm_code tm_run_external_config(const struct tm_run *run, const struct tm_run_pipeline *p,
                                    char out[TM_PATH_MAX], struct tm_err *err);
/* Until its first start is over, or it shows the org; what it lacks after a bound is told and
 * counted. */
enum tm_code tm_run_external_wait(struct tm_run *run, const struct tm_run_pipeline *p,
                                  struct tm_err *err);
/* It has looked after the last change could be seen; a running one: had its time since since_ns. */
bool tm_run_external_drained(const struct tm_run *run, const struct tm_run_pipeline *p,
                             int64_t last_ms, int64_t since_ns);
/* Their users, with commas between. */
void tm_run_external_users(const struct tm_run *run, struct tm_buf *out);
enum tm_code tm_run_path(const struct tm_run *run, char out[TM_PATH_MAX], const char *path,
                         const char *what, struct tm_err *err);
/* All keys of `object` (NULL: none) are among `known`, which ends with NULL. */
enum tm_code tm_run_keys(const json_t *object, const char *where, const char *const *known,
                         struct tm_err *err);
/* run_reach.c: the broker and the registry that the user named answer; on the broker, the run's
 * topics are there and its own. */
enum tm_code tm_run_reach(struct tm_run *run, struct tm_err *err);
#define TM_RUN_TOPICS_MAX (3 * TM_RUN_OBJECTS_MAX + 1)
/* Every topic of the contract for the run's objects, checkpoints last; returns how many. */
size_t tm_run_topics(const struct tm_run *run, char out[TM_RUN_TOPICS_MAX][TM_TOPIC_NAME_MAX]);
/* The URL for a log line: without user:password@. */
const char *tm_run_no_secret(char out[256], const char *url);
/* until all pipelines stand at the origin */
enum tm_code tm_run_start(struct tm_run *run, struct tm_err *err);
/* run_work.c: what the witness is told, but for "traces"; the caller owns it. Whether every batch
 * pipeline has finished a poll on a grid point after last_ms + V. */
json_t *tm_run_witness_plan(const struct tm_run *run);
bool tm_run_batch_drained(const struct tm_run *run, int64_t last_ms);
/* A pipeline of the report is option 1: its views, without the station that keeps rows. */
bool tm_run_is_option1(const char *name);
/* kafka_bytes, kafka_bytes_produced and kafka_bytes_fetched of a pipeline's cost: of keys and
 * values, by all its stations; null when a station left no counters. */
void tm_run_kafka_cost(json_t *cost, bool known, int64_t produced, int64_t fetched);
/* run_finish.c: report.json, run.db as one file, report.html, report.md, junit.xml. The exit code
 * that goes with the report, given the witness's own. */
/* Adds the scenario's promises (slo) to the report. */
enum tm_code tm_run_report(const struct tm_run *run, json_t *report, struct tm_err *err);
int tm_run_exit(const json_t *report, int witness_exit);
/* clock, workload, drain */
enum tm_code tm_run_work(struct tm_run *run, struct tm_err *err);
/* run_copies.c: "; rows not as in the org: stream 3, batch-best 128", looked for rarely enough not
 * to be a load of its own; "" while nothing can be told. */
const char *tm_run_copies(struct tm_run_copies *c, const struct tm_run *run);
/* run_behind.c: does the sink still have to read some of what its topics hold? True as well until
 * the broker has said; each answer takes a few looks, and is of the time of asking. */
struct tm_run_behind;
enum tm_code tm_run_behind_open(struct tm_run_behind **out, const struct tm_run *run,
                                const struct tm_run_pipeline *p, struct tm_err *err);
void tm_run_behind_close(struct tm_run_behind *b); /* NULL-safe */
bool tm_run_behind(struct tm_run_behind *b);
/* Ends everything in order, merges the witness's measures with costs into report.json, renders.
 * Exit code of section 8. */
int tm_run_finish(struct tm_run *run, const struct tm_err *why, struct tm_err *err);
/* One number out of a database that another process writes; -1 while it is not there yet or
 * busy. */
int64_t tm_run_ask(const char *path, const char *sql);
/* A wall instant on the run's clock, which stands still when the org's does: as in run.db. */
int64_t tm_run_without_pauses(const struct tm_run *run, int64_t wall_ns);
/* Streaming brings back what was under way when the run was interrupted; the org's clock stands
 * still meanwhile. (run_work.c) */
enum tm_code tm_run_catch_up(struct tm_run *run, struct tm_err *err);
/* The user asked to end: TM_E_IO says so. */
enum tm_code tm_run_interrupted(const struct tm_run *run, struct tm_err *err);
/* Records the sink could not decode and kept aside in `raw_path` (no such file: none): counted in
 * the report, and no run with any of them passes. */
enum tm_code tm_run_undecodable(json_t *report, const char *raw_path, struct tm_err *err);
/* run_faults.c: "faults" of the report: what befell the run's processes, its brokers and registry
 * where they are the user's ("gone"), its org (planted: "expire_tokens", …), and, as
 * "faults_not_kept": {process: number}, how many more than are kept; when, for how long, and for
 * each streaming pipeline what was under way, when it showed a later change again and what it never
 * showed. Nothing when nothing did. */
enum tm_code tm_run_faults(json_t *report, const struct tm_run *run, struct tm_err *err);
/* A run with pipelines in `which` (names; "" = none) says so and does not pass. */
void tm_run_undrained(json_t *report, const char *which);
#endif
