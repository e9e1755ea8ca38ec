/* run_work: the witness begins to read, the org's clock starts, the generator works its hours,
 * every pipeline drains. Drained = every batch pipeline has finished a poll on a grid point later
 * than the last commit plus V, and the streaming views have been quiet and free of dirt for a while
 * (or a bound passed: then the witness counts what is missing). */
#include "run/resume.h"
#include "run/run.h"
#include "base/log.h"
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* both options' snapshots are read whole so many times while the history grows, at least so many ms
 * apart */
#define WORK_SAMPLES 12
#define WORK_SAMPLE_MS 1000
#define WORK_WITNESS_MS 60000
#define WORK_TOLD_FIRST_S 5 /* into a phase: its first line of progress in the log; then every */
#define WORK_TOLD_S 30
#define WORK_SHOWN_S 1    /* between two on a terminal */
#define WORK_ASKS_MAX 100 /* of a busy org, 50 ms apart */
#define WORK_QUIET_S 2    /* streaming: no new row and no dirt for so long = drained */
/* the witness's last probe falls after the last commit of a pipeline, and after the org, which
 * writes the calls it counted once a second */
#define WORK_LAST_MS 1200
#define WORK_STUCK_S 120    /* wall: a generator that is late and commits nothing for so long */
#define WORK_CATCH_UP_S 180 /* wall: copies of every object, after an interruption */
/* history before the org's clock started, and as it stands */
#define WORK_FIRST "SELECT coalesce(max(pos),0) FROM history WHERE actual_ns IS NULL"
#define WORK_LAST "SELECT coalesce(max(pos),0) FROM history"
#define WORK_DRAIN_S_MAX 60 /* wall seconds beyond the last grid point before giving up */

static json_t *work_objects(const struct tm_run *run)
{
    json_t *objects = json_array();
    for (size_t i = 0; i < run->objects_count; i++)
        json_array_append_new(objects, json_string(run->objects[i]));
    return objects;
}

static void work_plan_external(const struct tm_run *run, const struct tm_run_pipeline *p,
                               json_t *list)
{
    json_t *objects = json_array();
    const char *object;
    json_t *spec;
    json_object_foreach(p->relations, object, spec)
        json_array_append_new(objects, json_string(object));
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I, s:O, s:o, s:O, s:s, s:s*, s:O*}",
                                          "name", p->name, "kind", "external", "database",
                                          p->database, "interval_ms", (json_int_t)p->interval_ms,
                                          "relations", p->relations, "objects", objects, "clients",
                                          p->clients, "map", run->scenario_path, "runs",
                                          p->command != NULL ? p->runs : NULL, "slo", p->slo));
}

static void work_plan_pipeline(const struct tm_run *run, const struct tm_run_pipeline *p,
                               json_t *list)
{
    char name[96];
    if (p->kind == TM_RUN_EXTERNAL) {
        work_plan_external(run, p, list);
        return;
    }
    if (p->kind == TM_RUN_BATCH) {
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I, s:O, s:o, s:O, s:O*}", "name",
                                              p->name, "kind", "batch", "database", p->database,
                                              "interval_ms", (json_int_t)p->interval_ms, "carries",
                                              p->carries, "objects", work_objects(run), "clients",
                                              p->clients, "slo", p->slo));
        return;
    }
    snprintf(name, sizeof name, "%s-view", p->name);
    json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:s, s:s, s:o, s:O, s:O*}", "name", name,
                                          "kind", "stream", "option", 2, "database", run->view_path,
                                          "raw", run->raw_path, "objects", work_objects(run),
                                          "clients", p->clients, "slo", p->slo));
    snprintf(name, sizeof name, "%s-sql", p->name);
    json_array_append_new(list,
                          json_pack("{s:s, s:s, s:i, s:s, s:o, s:O, s:O*}", "name", name, "kind",
                                    "stream", "option", 1, "database", run->raw_path, "objects",
                                    work_objects(run), "clients", p->clients, "slo", p->slo));
}

json_t *tm_run_witness_plan(const struct tm_run *run)
{
    char scenario[TM_PATH_MAX], run_db[TM_PATH_MAX], out[TM_PATH_MAX];
    json_t *pipelines = json_array();
    json_t *slo = json_copy(json_object_get(run->scenario, "slo")); /* NULL = none */
    const char *slash = strrchr(run->scenario_path, '/');
    snprintf(scenario, sizeof scenario, "%s", slash != NULL ? slash + 1 : run->scenario_path);
    scenario[strcspn(scenario, ".")] = '\0';
    snprintf(run_db, sizeof run_db, "%.800s/run.db", run->dir);
    snprintf(out, sizeof out, "%.800s/measures.json", run->dir);
    for (size_t i = 0; i < run->pipelines_count; i++)
        work_plan_pipeline(run, &run->pipelines[i], pipelines);
    json_object_del(slo, "compare"); /* is no promise of this run */
    return json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:s, s:I, s:o, s:O, s:o*, s:s, s:s}",
                     "scenario", scenario, "seed", (json_int_t)run->seed, "org", run->org_path,
                     "publish_delay_ms", (json_int_t)run->publish_delay_ms, "index_lag_ms",
                     (json_int_t)run->index_lag_ms, "compress", (json_int_t)run->compress,
                     "offered", (json_int_t)run->offered, "broker",
                     run->brokers_given != NULL ? "external" : "embedded", "cpus",
                     (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "pipelines", pipelines, "events",
                     run->events, "slo", slo, "run_db", run_db, "out", out);
}

static enum tm_code work_plan_witness(struct tm_run *run, const char *path, struct tm_err *err)
{
    char text[TM_PATH_MAX];
    json_t *plan = tm_run_witness_plan(run), *traces = json_array();
    for (size_t i = 0; i < run->kids.count; i++) {
        snprintf(text, sizeof text, "%.800s/trace/%s", run->dir, run->kids.items[i].name);
        if (access(text, R_OK) == 0)
            json_array_append_new(traces, json_string(text));
    }
    json_object_set_new(plan, "traces", traces);
    snprintf(text, sizeof text, "%.800s/witness.db", run->dir);
    json_object_set_new(plan, "journal", json_string(text));
    int64_t sample_ms = (int64_t)(run->hours * 3600e3 / (double)run->compress) / WORK_SAMPLES;
    json_object_set_new(plan, "sample_ms",
                        json_integer(sample_ms > WORK_SAMPLE_MS ? sample_ms : WORK_SAMPLE_MS));
    int failed = json_dump_file(plan, path, JSON_INDENT(1));
    json_decref(plan);
    return failed ? tm_fail(err, TM_E_IO, "cannot write %s", path) : TM_OK;
}

static enum tm_code work_witness(struct tm_run *run, struct tm_err *err)
{
    char plan[TM_PATH_MAX], line[256];
    snprintf(plan, sizeof plan, "%.800s/witness.json", run->dir);
    if (work_plan_witness(run, plan, err) != TM_OK)
        return err->code;
    const char *argv[] = { "check", "--live", plan, NULL };
    if (tm_child_start(&run->kids, &run->witness, "witness", false, argv, err) != TM_OK)
        return err->code;
    return tm_child_first_line(&run->kids, run->witness, WORK_WITNESS_MS, line, sizeof line, err);
}

static int64_t work_changes(const struct tm_run *run)
{
    int64_t changes = tm_run_ask(run->org_path, "SELECT max(pos) FROM history");
    return changes >= 0 ? changes - run->records_first : -1;
}

/* On a terminal with every call, otherwise in the log when `told`. bound_s as in tm_progress_line.
 */
static void work_progress(struct tm_run *run, const char *phase, double bound_s, bool told)
{
    char line[TM_PROGRESS_BYTES];
    struct tm_now now = tm_clock_now(run->clock);
    int64_t changes = work_changes(run);
    tm_progress_look(&run->progress, now.wall_ns, changes);
    tm_progress_line(line, &run->progress, phase, now.wall_ns, now.org_ms, changes, bound_s);
    if (told) {
        tm_log(TM_LOG_INFO, "%s", line);
    } else {
        char both[TM_PROGRESS_BYTES + sizeof run->copies.text];
        snprintf(both, sizeof both, "%s%s", line, tm_run_copies(&run->copies, run));
        tm_log_status(both);
    }
}

/* A look at the processes, when it is due: once the org's clock runs. */
static void work_usage(struct tm_run *run, int64_t now_ns)
{
    struct tm_clock_map map;
    tm_clock_file_read(run->clock, &map);
    if (map.wall_origin_ns == TM_NEVER || !tm_usage_due(&run->usage, now_ns))
        return;
    tm_usage_look(&run->usage, &run->kids, now_ns, tm_run_without_pauses(run, now_ns),
                  work_changes(run));
}

/* Waits until `done` says so; watches the children, prints progress. `bounded`: that it may end by
 * seconds_max is no mistake, and what is left is told by it. */
static enum tm_code work_until(struct tm_run *run, const char *phase, int seconds_max, bool bounded,
                               bool (*done)(struct tm_run *, void *), void *self,
                               struct tm_err *err)
{
    int64_t began_ns = tm_clock_monotonic_ns(), shown_ns = 0;
    const bool terminal = isatty(STDERR_FILENO);
    int64_t tell_ns = began_ns + WORK_TOLD_FIRST_S * TM_NS_PER_S;
    for (;;) {
        int64_t now_ns = tm_clock_monotonic_ns();
        tm_clock_file_alive(run->clock, now_ns);
        work_usage(run, now_ns);
        double left_s = seconds_max - (double)(now_ns - began_ns) / 1e9;
        if (tm_children_watch(&run->kids, err) != TM_OK)
            return err->code;
        tm_outages_look(run->outages);
        if (tm_run_interrupted(run, err) != TM_OK)
            return err->code;
        if (done(run, self))
            return TM_OK;
        if (left_s < 0)
            return TM_E_AGAIN;
        if (now_ns > tell_ns) {
            tell_ns = now_ns + WORK_TOLD_S * TM_NS_PER_S;
            work_progress(run, phase, bounded ? left_s : -1, true);
        }
        if (terminal && now_ns - shown_ns > WORK_SHOWN_S * TM_NS_PER_S) {
            shown_ns = now_ns;
            work_progress(run, phase, bounded ? left_s : -1, false);
        }
        tm_supervise_pause(100);
    }
}

struct work_moves { /* the generator: until when it was seen to do something */
    int64_t changes, since_ns;
    bool stuck;
};

/* Or it is late, and has done nothing for a while. */
static bool work_workload_done(struct tm_run *run, void *self)
{
    struct work_moves *m = self;
    struct tm_now now = tm_clock_now(run->clock);
    if (tm_run_ask(run->org_path,
                   "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'workload_done'") == 1)
        return true;
    int64_t changes = work_changes(run);
    if (changes != m->changes || now.org_ms < run->progress.org_last_ms) {
        m->changes = changes;
        m->since_ns = now.wall_ns;
    }
    m->stuck = now.wall_ns - m->since_ns > WORK_STUCK_S * TM_NS_PER_S;
    return m->stuck;
}

/* It has looked at every object after the last change could be seen. */
static bool work_polled(const struct tm_run *run, const struct tm_run_pipeline *p, int64_t last_ms)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT count(DISTINCT object) FROM _polls WHERE finished_ns IS NOT NULL AND mode "
             "IN ('incremental', "
             "'full') AND grid_org_ms > %" PRId64,
             last_ms + run->index_lag_ms);
    return tm_run_ask(p->database, sql) >= (int64_t)run->objects_count;
}

bool tm_run_batch_drained(const struct tm_run *run, int64_t last_ms)
{
    for (size_t i = 0; i < run->pipelines_count; i++)
        if (run->pipelines[i].kind == TM_RUN_BATCH &&
            !work_polled(run, &run->pipelines[i], last_ms))
            return false;
    return true;
}

struct work_last { /* the last change, and since when it is waited for */
    int64_t last_ms, since_ns;
};

static bool work_drained(const struct tm_run *run, const struct tm_run_pipeline *p,
                         const struct work_last *last)
{
    return p->kind == TM_RUN_BATCH
               ? work_polled(run, p, last->last_ms)
               : p->kind != TM_RUN_EXTERNAL ||
                     tm_run_external_drained(run, p, last->last_ms, last->since_ns);
}

static bool work_batch_done(struct tm_run *run, void *self)
{
    for (size_t i = 0; i < run->pipelines_count; i++)
        if (!work_drained(run, &run->pipelines[i], self))
            return false;
    return true;
}

struct work_quiet {
    int64_t raw_rows, since_ns, not_before_ms;
    struct tm_run_behind *behind;
};

/* Streaming is at rest: nothing was written and nothing was dirty for WORK_QUIET_S, a scheduled
 * copy came by, and the sink has read all that its topics hold. */
static bool work_stream_quiet(struct tm_run *run, void *self)
{
    struct work_quiet *q = self;
    int64_t rows = tm_run_ask(run->raw_path, "SELECT sum(next_offset) FROM _offsets"), dirty = 0;
    int64_t now_ns = tm_clock_monotonic_ns();
    for (size_t i = 0; i < run->objects_count; i++) {
        char sql[256];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s_dirty\"", run->objects[i]);
        dirty += tm_run_ask(run->view_path, sql);
    }
    if (rows != q->raw_rows || dirty != 0 || q->since_ns == 0) {
        q->raw_rows = rows;
        q->since_ns = now_ns;
    }
    return now_ns - q->since_ns > WORK_QUIET_S * TM_NS_PER_S &&
           tm_clock_now(run->clock).org_ms >= q->not_before_ms && !tm_run_behind(q->behind);
}

/* Batch pipelines that did not come by again, or streaming that did not come to rest. */
static void work_undrained(struct tm_run *run, const struct work_last *last, bool streaming)
{
    size_t used = 0;
    for (size_t i = 0; i < run->pipelines_count; i++) {
        const struct tm_run_pipeline *p = &run->pipelines[i];
        if (p->kind == TM_RUN_STREAM ? !streaming : work_drained(run, p, last))
            continue;
        int n = snprintf(run->undrained + used, sizeof run->undrained - used, "%s%s",
                         used > 0 ? ", " : "", p->name);
        if (n < 0 || used + (size_t)n >= sizeof run->undrained)
            break;
        used += (size_t)n;
    }
    tm_log(TM_LOG_WARN, "not drained in time: %s; what they lack is counted as never shown",
           run->undrained);
}

static enum tm_code work_drain(struct tm_run *run, struct tm_err *err)
{
    struct work_last last = { tm_run_ask(run->org_path, "SELECT max(intended_ms) FROM history"),
                              tm_clock_monotonic_ns() };
    int64_t longest_ms = 0, bound_ms = WORK_DRAIN_S_MAX * 1000;
    struct work_quiet quiet = { .raw_rows = -1 };
    const struct tm_run_pipeline *stream = NULL;
    for (size_t i = 0; i < run->pipelines_count; i++) {
        if (run->pipelines[i].interval_ms > longest_ms)
            longest_ms = run->pipelines[i].interval_ms;
        if (run->pipelines[i].kind == TM_RUN_EXTERNAL)
            bound_ms += run->pipelines[i].limit_ms + run->pipelines[i].settle_ms;
        if (run->pipelines[i].kind == TM_RUN_STREAM) {
            stream = &run->pipelines[i];
            quiet.not_before_ms = last.last_ms + run->pipelines[i].interval_ms;
        }
    }
    int bound_s =
        (int)((longest_ms + run->index_lag_ms) / 1000 / run->compress) + (int)(bound_ms / 1000);
    enum tm_code rc = work_until(run, "draining", bound_s, true, work_batch_done, &last, err);
    if (rc == TM_OK && stream != NULL)
        rc = tm_run_behind_open(&quiet.behind, run, stream, err);
    if (rc == TM_OK && stream != NULL)
        rc = work_until(run, "draining", bound_s, true, work_stream_quiet, &quiet, err);
    tm_run_behind_close(quiet.behind);
    if (rc == TM_E_AGAIN) {
        work_undrained(run, &last, quiet.since_ns != 0);
        rc = TM_OK;
    }
    if (rc == TM_OK)
        tm_supervise_pause(WORK_LAST_MS);
    return rc;
}

/* What the history holds from before the org's clock started. */
static enum tm_code work_records(struct tm_run *run, struct tm_err *err)
{
    run->records_first = -1;
    for (int i = 0; i < WORK_ASKS_MAX && run->records_first < 0; i++, tm_supervise_pause(50))
        run->records_first = tm_run_ask(run->org_path, run->resumes ? WORK_FIRST : WORK_LAST);
    if (run->records_first < 0)
        return tm_fail(err, TM_E_IO, "cannot read the history of %s", run->org_path);
    return TM_OK;
}

static bool work_caught_up(struct tm_run *run, void *self)
{
    return tm_resume_copied(run) && work_stream_quiet(run, self);
}

enum tm_code tm_run_catch_up(struct tm_run *run, struct tm_err *err)
{
    struct work_quiet quiet = { .raw_rows = -1, .not_before_ms = INT64_MIN };
    const struct tm_run_pipeline *stream = run->pipelines;
    while (stream->kind != TM_RUN_STREAM)
        stream++;
    enum tm_code rc = work_records(run, err);
    if (rc == TM_OK)
        rc = tm_run_behind_open(&quiet.behind, run, stream, err);
    if (rc == TM_OK)
        rc = work_until(run, "catching up", WORK_CATCH_UP_S, true, work_caught_up, &quiet, err);
    tm_run_behind_close(quiet.behind);
    if (rc == TM_E_AGAIN)
        return tm_fail(err, TM_E_IO,
                       "what was under way when the run was interrupted is not back after %d s; "
                       "the logs are in %s/log",
                       WORK_CATCH_UP_S, run->dir);
    return rc;
}

/* Of the org's clock, as if it had never stood still. */
static void work_progress_init(struct tm_run *run, int64_t starts_ns)
{
    struct tm_clock_map first;
    struct tm_clock_pause pauses[TM_CLOCK_PAUSES_MAX];
    size_t count = tm_clock_file_history(run->clock, &first, pauses);
    if (count > 0) /* how long it had worked by then, before the start that is now */
        starts_ns -= tm_run_without_pauses(run, starts_ns) - first.wall_origin_ns;
    tm_progress_init(&run->progress, run->org_origin_ms,
                     run->org_origin_ms + (int64_t)(run->hours * 3600e3), run->offered, starts_ns);
}

enum tm_code tm_run_work(struct tm_run *run, struct tm_err *err)
{
    int hours_s = (int)(run->hours * 3600 / (double)run->compress);
    if (work_witness(run, err) != TM_OK)
        return tm_at(err, "starting the witness");
    if (work_records(run, err) != TM_OK)
        return err->code;
    if ((run->brokers_given != NULL || run->registry_given != NULL) &&
        tm_outages_open(&run->outages, run->brokers_given, run->registry_given, err) != TM_OK)
        return err->code;
    int64_t starts_ns = tm_clock_monotonic_ns() + 100 * TM_NS_PER_MS;
    tm_clock_file_start(run->clock, starts_ns);
    work_progress_init(run, starts_ns);
    if (run->resumes)
        tm_log(TM_LOG_INFO, "what was under way is back; the org's clock goes on");
    else
        tm_log(TM_LOG_INFO,
               "every pipeline shows the org as it stands; the org's clock starts: %.4g hours in "
               "%d s",
               run->hours, hours_s);
    struct work_moves moves = { -1, starts_ns, false };
    enum tm_code rc = work_until(run, "working", INT_MAX, false, work_workload_done, &moves, err);
    if (rc != TM_OK)
        tm_log_status("");
    if (rc == TM_OK && moves.stuck)
        return tm_fail(err, TM_E_IO, "the workload is not done, and nothing was committed for %d s",
                       WORK_STUCK_S);
    if (rc != TM_OK)
        return rc;
    work_progress(run, "workload done", -1, true);
    rc = work_drain(run, err);
    tm_log_status("");
    return rc;
}
