#include "run/day.h"
#include "run/help.h"
#include "base/log.h"
#include "base/text.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define DAY_WALL_FIRST_NS (1000 * TM_NS_PER_S)
#define DAY_PAUSE_NS                                                                               \
    TM_NS_PER_MS                /* of a station that does not say until when it has nothing to do */
#define DAY_LOOK_NS TM_NS_PER_S /* between two looks at whether a phase is over */
#define DAY_START_NS_MAX (900 * TM_NS_PER_S)
#define DAY_QUIET_NS                                                                               \
    (2 * TM_NS_PER_S)                   /* streaming: no new row and no dirt for so long = drained \
                                         */
#define DAY_DRAIN_NS (60 * TM_NS_PER_S) /* beyond the last grid point before giving up */
#define DAY_LAST_NS                                                                                \
    (500 * TM_NS_PER_MS)              /* the witness's last probe falls after the last commit      \
                                       */
#define DAY_TOLD_NS (5 * TM_NS_PER_S) /* of our own time, between two lines of progress */
#define DAY_PROBE_US 200000           /* between two probes of one database */
#define DAY_PROBE_LONG_US 1000000     /* the same, of a day of more than DAY_LONG_HOURS */
#define DAY_LONG_HOURS 12
#define DAY_SAMPLES 2 /* full reads of option 1 over the hours, besides the last */

/* The witness's clock; it is asked in the middle of a step, when nothing moves. */
static const struct tm_now *day_now;

static int64_t day_wall_ns(void)
{
    return day_now->wall_ns;
}

/* Only its station writes a database: what it has done so far tells whether there can be anything
 * new in it. */
static uint64_t day_written(void *self, const char *database)
{
    const struct day *d = self;
    if (strcmp(database, d->run->raw_path) == 0)
        return d->sink->steps;
    if (strcmp(database, d->run->view_path) == 0)
        return d->view->steps;
    for (size_t i = 0; i < d->stations_count; i++)
        if (d->stations[i].kind == DAY_BATCH && strcmp(d->stations[i].database, database) == 0)
            return d->stations[i].steps;
    assert(false); /* a database that nobody writes */
    return 0;
}

/* ---- where the time goes ---- */

static int64_t day_cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * TM_NS_PER_S + ts.tv_nsec;
}

void day_charge(struct day *d, int64_t *whose)
{
    if (whose == d->meter)
        return;
    int64_t now_ns = tm_clock_monotonic_ns();
    *d->meter += now_ns - d->meter_ns;
    d->meter = whose;
    d->meter_ns = now_ns;
}

/* scale: CPU seconds a second. */
static void day_bill_line(const char *name, int64_t ns, int64_t total_ns, double scale)
{
    printf("  %-16s %8.2f s  %4.1f %%\n", name, (double)ns / 1e9 * scale,
           total_ns > 0 ? 100.0 * (double)ns / (double)total_ns : 0);
}

static void day_bill(struct day *d)
{
    static const char *const names[DAY_SLOTS] = { "org", "witness", "driver", "report" };
    struct rusage usage;
    int64_t total_ns = 0;
    for (size_t i = 0; i < d->stations_count; i++)
        total_ns += d->stations[i].cpu_ns;
    for (size_t i = 0; i < DAY_SLOTS; i++)
        total_ns += d->slots[i];
    int64_t wall_ns = tm_clock_monotonic_ns() - d->began_ns;
    double scale = wall_ns > 0 ? (double)(day_cpu_ns() - d->cpu_began_ns) / (double)wall_ns : 0;
    getrusage(RUSAGE_SELF, &usage);
    printf("CPU seconds, one core:\n");
    day_bill_line("org", d->slots[DAY_ORG], total_ns, scale);
    for (size_t i = 0; i < d->stations_count; i++)
        day_bill_line(d->stations[i].name, d->stations[i].cpu_ns, total_ns, scale);
    for (size_t i = DAY_WITNESS; i < DAY_SLOTS; i++)
        day_bill_line(names[i], d->slots[i], total_ns, scale);
    day_bill_line("all", total_ns, total_ns, scale);
    printf("in %.1f s; %" PRId64
           " changes over %.4g hours of org time; at most %.0f MB of memory\n",
           (double)wall_ns / 1e9, tm_workload_counts(d->workload)->changes, d->run->hours,
           (double)usage.ru_maxrss / 1024);
}

/* ---- one instant ---- */

/* When it fetches what has come since it last ran. */
static int64_t day_fetch_next(const struct day *d, const struct day_station *s)
{
    bool consumes =
        s->kind == DAY_GAP || s->kind == DAY_RECONCILE || s->kind == DAY_SINK || s->offsets != NULL;
    return consumes && s->seen != tm_mem_appended(d->broker) ? s->fetch_ns : TM_NEVER;
}

static bool day_ready(const struct day *d, const struct day_station *s)
{
    return s->run_ns <= d->now.wall_ns || s->http.news || day_fetch_next(d, s) <= d->now.wall_ns;
}

/* A view that looks for rows when none have come does nothing else; of a sink without records the
 * same is true, and it is told of new ones (day_fetch_next). */
static void day_station_idle(struct day *d, struct day_station *s, const struct tm_wake *wake)
{
    int64_t after_ns = wake->wall_ns - d->now.wall_ns;
    if (s->kind == DAY_VIEW && d->sink != NULL && after_ns == s->set.view.poll_ns) {
        s->idle_ns = d->now.wall_ns;
        s->idle_sink = d->sink->steps;
        s->run_ns = TM_NEVER;
    }
    if (s->kind == DAY_SINK && s->seen == tm_mem_appended(d->broker) &&
        after_ns == tm_sink_idle_ns())
        s->run_ns = TM_NEVER;
}

/* The first look of its own grid at which there is something to see. */
static void day_station_rouse(struct day *d, struct day_station *s)
{
    if (s->idle_ns == 0 || s->idle_sink == d->sink->steps)
        return;
    int64_t poll_ns = s->set.view.poll_ns, gone_ns = d->now.wall_ns - s->idle_ns;
    s->run_ns = s->idle_ns + (gone_ns + poll_ns - 1) / poll_ns * poll_ns;
    s->idle_ns = 0;
}

/* Until it has nothing more to do now. */
static enum tm_code day_station_run(struct day *d, struct day_station *s, struct tm_err *err)
{
    struct tm_wake wake;
    enum tm_code rc;
    day_charge(d, &s->cpu_ns);
    s->http.now = d->now;
    do {
        s->seen = tm_mem_appended(d->broker);
        s->http.news = false;
        s->steps++;
        wake = (struct tm_wake){ TM_NEVER, TM_NEVER };
        rc = day_station_step(s, &wake, err);
    } while (rc == TM_OK);
    if (rc != TM_E_AGAIN)
        return tm_at(err, "%s", s->name);
    int64_t org_ns = tm_clock_wall_at(&d->clock, wake.org_ms);
    s->run_ns = wake.wall_ns < org_ns ? wake.wall_ns : org_ns;
    s->fetch_ns = d->now.wall_ns + DAY_FETCH_NS;
    if (s->run_ns <= d->now.wall_ns)
        s->run_ns = d->now.wall_ns + DAY_PAUSE_NS;
    s->idle_ns = 0;
    day_station_idle(d, s, &wake);
    return TM_OK;
}

static enum tm_code day_stations_run(struct day *d, struct tm_err *err)
{
    bool ran = true;
    while (ran) {
        ran = false;
        for (size_t i = 0; i < d->stations_count; i++) {
            struct day_station *s = &d->stations[i];
            if (s->http.calls != NULL) {
                day_charge(d, &d->slots[DAY_ORG]);
                tm_sim_http_pump(&s->http, &d->now);
            }
            day_station_rouse(d, s);
            if (!day_ready(d, s))
                continue;
            ran = true;
            if (day_station_run(d, s, err) != TM_OK)
                return err->code;
        }
    }
    return TM_OK;
}

static enum tm_code day_witness_run(struct day *d, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    day_charge(d, &d->slots[DAY_WITNESS]);
    while (rc == TM_OK && d->witness_ns <= d->now.wall_ns) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        rc = tm_check_step(d->witness, &d->now, &wake, err);
        d->witness_ns = wake.wall_ns;
    }
    return rc == TM_OK ? rc : tm_at(err, "witness");
}

static void day_advance(struct day *d, int64_t until_ns)
{
    struct tm_now origin = { d->clock.org_origin_ms, d->clock.wall_origin_ns };
    int64_t next_ns = until_ns, org_ns = day_org_next(d);
    if (origin.wall_ns == TM_NEVER)
        origin = d->now;
    next_ns = org_ns < next_ns ? org_ns : next_ns;
    if (d->witness != NULL && d->witness_ns < next_ns)
        next_ns = d->witness_ns;
    for (size_t i = 0; i < d->stations_count; i++) {
        const struct day_station *s = &d->stations[i];
        int64_t http_ns = s->http.calls == NULL ? TM_NEVER : tm_sim_http_next(&s->http, &origin);
        int64_t fetch_ns = day_fetch_next(d, s);
        next_ns = s->run_ns < next_ns ? s->run_ns : next_ns;
        next_ns = fetch_ns < next_ns ? fetch_ns : next_ns;
        next_ns = http_ns < next_ns ? http_ns : next_ns;
    }
    assert(next_ns != TM_NEVER);
    if (next_ns <= d->now.wall_ns) /* held back by something that has just been tried */
        next_ns = d->now.wall_ns + DAY_PAUSE_NS;
    d->now.wall_ns = next_ns;
    d->now.org_ms = tm_clock_org_at(&d->clock, next_ns);
    tm_mem_set_time(d->broker, d->now.org_ms);
}

static void day_progress(struct day *d, const char *phase)
{
    char line[TM_PROGRESS_BYTES];
    int64_t now_ns = tm_clock_monotonic_ns(), changes = tm_workload_counts(d->workload)->changes;
    if (now_ns - d->told_ns < DAY_TOLD_NS)
        return;
    d->told_ns = now_ns;
    tm_progress_look(&d->progress, now_ns, changes);
    tm_progress_line(line, &d->progress, phase, now_ns, d->now.org_ms, changes, -1);
    tm_log(TM_LOG_INFO, "%s", line);
}

/* ---- phases ---- */

/* Goes on until `done` says so, asked every look_ns, or until_ns; TM_E_AGAIN: that came first. */
static enum tm_code day_until(struct day *d, const char *phase, int64_t until_ns, int64_t look_ns,
                              bool (*done)(struct day *, void *), void *self, struct tm_err *err)
{
    int64_t next_look_ns = d->now.wall_ns;
    for (;;) {
        day_charge(d, &d->slots[DAY_ORG]);
        if (day_org_step(d, err) != TM_OK || day_stations_run(d, err) != TM_OK)
            return err->code;
        if (d->witness != NULL && day_witness_run(d, err) != TM_OK)
            return err->code;
        day_charge(d, &d->slots[DAY_DRIVER]);
        if (d->now.wall_ns >= next_look_ns) {
            next_look_ns = d->now.wall_ns + look_ns;
            if (done(d, self))
                return TM_OK;
            day_progress(d, phase);
        }
        if (d->now.wall_ns >= until_ns)
            return TM_E_AGAIN;
        day_advance(d, next_look_ns < until_ns ? next_look_ns : until_ns);
    }
}

static bool day_streams(const struct day *d)
{
    for (size_t i = 0; i < d->run->pipelines_count; i++)
        if (d->run->pipelines[i].kind == TM_RUN_STREAM)
            return true;
    return false;
}

static int64_t day_dirt(const struct day *d)
{
    char sql[256];
    int64_t dirty = 0;
    for (size_t i = 0; i < d->run->objects_count; i++) {
        snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s_dirty\"", d->run->objects[i]);
        int64_t n = tm_run_ask(d->run->view_path, sql);
        if (n < 0)
            return -1;
        dirty += n;
    }
    return dirty;
}

/* Every batch pipeline has its initial load; option 2 shows every record, none of them in doubt. */
static bool day_at_origin(struct day *d, void *self)
{
    char sql[400];
    (void)self;
    for (size_t i = 0; i < d->stations_count; i++)
        if (d->stations[i].kind == DAY_BATCH && !tm_batch_loaded(d->stations[i].self))
            return false;
    if (!day_streams(d))
        return true;
    if (day_dirt(d) != 0)
        return false;
    for (size_t i = 0; i < d->run->objects_count; i++) {
        const char *name = d->run->objects[i];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s\"", name);
        int64_t shown = tm_run_ask(d->run->view_path, sql);
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM history WHERE object = '%s' AND event IS NULL AND "
                 "change = 'CREATE'",
                 name);
        if (shown < tm_run_ask(d->run->org_path, sql))
            return false;
    }
    return true;
}

static bool day_witness_ready(struct day *d, void *self)
{
    (void)self;
    return tm_check_ready(d->witness);
}

static bool day_worked(struct day *d, void *self)
{
    (void)self;
    return tm_workload_done(d->workload);
}

static bool day_never(struct day *d, void *self)
{
    (void)d;
    (void)self;
    return false;
}

struct day_drain {
    int64_t last_ms, not_before_ms, since_ns;
    uint64_t rows;
    bool batch_done;
};

/* As a run drains: a poll of every batch pipeline after the last change; then streaming at rest,
 * after a scheduled copy. */
static bool day_drained(struct day *d, void *self)
{
    struct day_drain *q = self;
    uint64_t rows = tm_mem_appended(d->broker);
    if (!q->batch_done)
        q->batch_done = tm_run_batch_drained(d->run, q->last_ms);
    if (!q->batch_done || !day_streams(d))
        return q->batch_done;
    if (rows != q->rows || q->since_ns == 0) {
        q->rows = rows;
        q->since_ns = d->now.wall_ns;
    }
    if (d->now.org_ms < q->not_before_ms || d->now.wall_ns - q->since_ns < DAY_QUIET_NS)
        return false;
    return day_dirt(d) == 0;
}

static enum tm_code day_witness_open(struct day *d, struct tm_err *err)
{
    const struct tm_check_ports ports = {
        .wall_ns = day_wall_ns, .virtual = true, .written = day_written, .written_self = d
    };
    char path[TM_PATH_MAX], text[TM_PATH_MAX];
    json_t *plan = tm_run_witness_plan(d->run), *traces = json_array();
    int64_t sample_ms = (int64_t)(d->run->hours * 3600e3) / DAY_SAMPLES;
    int64_t probe_us = d->run->hours > DAY_LONG_HOURS ? DAY_PROBE_LONG_US : DAY_PROBE_US;
    for (size_t i = 0; i < d->stations_count; i++)
        if (d->stations[i].trace != NULL) {
            snprintf(text, sizeof text, "%.800s/trace/%s", d->run->dir, d->stations[i].name);
            json_array_append_new(traces, json_string(text));
        }
    json_object_set_new(plan, "traces", traces);
    json_object_set_new(plan, "sample_ms", json_integer(sample_ms > 1000 ? sample_ms : 1000));
    json_object_set_new(plan, "audit_ms", json_integer(sample_ms > 1000 ? sample_ms : 1000));
    json_object_set_new(plan, "poll_us", json_integer(probe_us));
    json_object_set_new(plan, "poll_batch_us", json_integer(probe_us));
    snprintf(path, sizeof path, "%.800s/witness.json", d->run->dir);
    int failed = json_dump_file(plan, path, JSON_INDENT(1));
    json_decref(plan);
    if (failed)
        return tm_fail(err, TM_E_IO, "cannot write %s", path);
    d->witness_ns = d->now.wall_ns;
    return tm_check_open(&d->witness, path, &ports, err);
}

static enum tm_code day_start(struct day *d, struct tm_err *err)
{
    enum tm_code rc = day_until(d, "starting up", d->now.wall_ns + DAY_START_NS_MAX, DAY_LOOK_NS,
                                day_at_origin, NULL, err);
    if (rc == TM_E_AGAIN)
        rc = tm_fail(err, TM_E_IO,
                     "not every pipeline shows the org as it stands after %lld simulated seconds",
                     DAY_START_NS_MAX / TM_NS_PER_S);
    if (rc == TM_OK)
        rc = day_witness_open(d, err);
    if (rc == TM_OK)
        rc = day_until(d, "starting up", TM_NEVER, DAY_LOOK_NS, day_witness_ready, NULL, err);
    if (rc != TM_OK)
        return rc;
    d->clock.wall_origin_ns = d->now.wall_ns + 100 * TM_NS_PER_MS;
    tm_progress_init(&d->progress, d->run->org_origin_ms,
                     d->run->org_origin_ms + (int64_t)(d->run->hours * 3600e3), d->run->offered,
                     tm_clock_monotonic_ns());
    for (size_t i = 0; i < d->stations_count; i++) /* org instants are known from now on */
        d->stations[i].run_ns = d->clock.wall_origin_ns;
    return day_org_started(d, err);
}

static enum tm_code day_drain(struct day *d, struct tm_err *err)
{
    struct day_drain q = { 0 };
    int64_t longest_ms = 0;
    enum tm_code rc = tm_org_settle(d->org, err);
    if (rc != TM_OK)
        return rc;
    q.last_ms = tm_run_ask(d->run->org_path, "SELECT max(intended_ms) FROM history");
    for (size_t i = 0; i < d->run->pipelines_count; i++) {
        const struct tm_run_pipeline *p = &d->run->pipelines[i];
        longest_ms = p->interval_ms > longest_ms ? p->interval_ms : longest_ms;
        if (p->kind == TM_RUN_STREAM)
            q.not_before_ms = q.last_ms + p->interval_ms;
    }
    /* Looking means asking databases: not every second of hours. */
    int64_t look_ns = longest_ms * TM_NS_PER_MS / 200,
            until_ns = d->now.wall_ns + DAY_DRAIN_NS +
                       (2 * longest_ms + d->run->index_lag_ms) * TM_NS_PER_MS;
    rc = day_until(d, "draining", until_ns, look_ns > DAY_LOOK_NS ? look_ns : DAY_LOOK_NS,
                   day_drained, &q, err);
    if (rc == TM_E_AGAIN)
        tm_log(TM_LOG_WARN, "not everything drained in time; what is missing is counted as unseen");
    if (rc == TM_OK || rc == TM_E_AGAIN)
        rc = day_until(d, "draining", d->now.wall_ns + DAY_LAST_NS, DAY_LOOK_NS, day_never, NULL,
                       err);
    return rc == TM_E_AGAIN ? TM_OK : rc;
}

static enum tm_code day_live(struct day *d, struct tm_err *err)
{
    tm_progress_init(&d->progress, 0, 0, 0, tm_clock_monotonic_ns()); /* how far: not known yet */
    enum tm_code rc = day_org_open(d, err);
    if (rc == TM_OK)
        rc = day_stations_open(d, err);
    if (rc == TM_OK)
        rc = day_start(d, err);
    if (rc != TM_OK)
        return tm_at(err, "starting up");
    tm_log(TM_LOG_INFO, "every pipeline shows the org as it stands; %.4g hours begin",
           d->run->hours);
    rc = day_until(d, "working", TM_NEVER, DAY_LOOK_NS, day_worked, NULL, err);
    return rc == TM_OK ? day_drain(d, err) : rc;
}

/* ---- the report ---- */

/* What the stations of a pipeline produced and fetched; a batch pipeline has none that do. */
static void day_kafka(const struct day *d, const json_t *pipeline, json_t *cost)
{
    int64_t produced = 0, fetched = 0;
    const char *name = json_string_value(json_object_get(pipeline, "name"));
    const char *kind = json_string_value(json_object_get(pipeline, "kind"));
    bool stream = kind != NULL && strcmp(kind, "stream") == 0;
    bool option1 = tm_run_is_option1(name);
    for (size_t i = 0; stream && i < d->stations_count; i++) {
        const struct day_station *s = &d->stations[i];
        for (size_t t = 0; t < s->topics_count && !(option1 && s->kind == DAY_VIEW); t++) {
            produced += (int64_t)s->topics[t]->counts.produced_bytes;
            fetched += (int64_t)s->topics[t]->counts.fetched_bytes;
        }
    }
    tm_run_kafka_cost(cost, true, produced, fetched);
}

/* What only a real clock can tell is null, not 0. */
static void day_virtual(const struct day *d, json_t *report)
{
    static const char *const unknown[] = { "cpu_s", "rss_peak_bytes", "query_ms",
                                           "query_ms_by_object" };
    json_t *pipeline;
    size_t i;
    json_object_set_new(report, "environment",
                        json_pack("{s:s, s:s, s:s, s:i, s:f, s:f, s:s}", "clock", "virtual",
                                  "kafka", "in memory", "registry", "in memory", "compress", 1,
                                  "network_ms_each_way", (double)DAY_HOP_NS / 1e6, "fetch_ms",
                                  (double)DAY_FETCH_NS / 1e6, "sqlite", sqlite3_libversion()));
    json_array_foreach(json_object_get(report, "pipelines"), i, pipeline)
    {
        json_t *cost = json_object_get(pipeline, "cost");
        for (size_t k = 0; k < sizeof unknown / sizeof unknown[0]; k++)
            json_object_set_new(cost, unknown[k], json_null());
        day_kafka(d, pipeline, cost);
    }
}

static enum tm_code day_report(struct day *d, int *out_exit, struct tm_err *err)
{
    char path[TM_PATH_MAX];
    int witness_exit = TM_EXIT_OURS;
    json_t *report = NULL;
    enum tm_code rc = tm_org_settle(d->org, err);
    if (rc == TM_OK)
        rc = tm_org_usage_flush(d->org, err);
    if (rc == TM_OK)
        rc = tm_check_finish(d->witness, &witness_exit, err);
    day_charge(d, &d->slots[DAY_REPORT]);
    snprintf(path, sizeof path, "%.800s/measures.json", d->run->dir);
    if (rc == TM_OK)
        rc = tm_json_load(&report, path, err);
    if (rc != TM_OK)
        return tm_at(err, "measuring");
    day_virtual(d, report);
    rc = tm_run_undecodable(report, d->run->raw_path, err);
    if (rc == TM_OK)
        rc = tm_run_report(d->run, report, err);
    *out_exit = tm_run_exit(report, witness_exit);
    json_decref(report);
    return rc;
}

static int day_run(struct day *d, struct tm_err *err)
{
    int code = TM_EXIT_OURS;
    enum tm_code rc;
    d->now = (struct tm_now){ d->run->org_origin_ms, DAY_WALL_FIRST_NS };
    d->clock = (struct tm_clock_map){ d->run->org_origin_ms, TM_NEVER, 1 };
    d->org_ns = d->fault_ns = TM_NEVER;
    d->house_ns = d->now.wall_ns;
    d->meter = &d->slots[DAY_ORG];
    d->began_ns = d->meter_ns = tm_clock_monotonic_ns();
    d->cpu_began_ns = day_cpu_ns();
    d->told_ns = tm_clock_monotonic_ns();
    day_now = &d->now;
    rc = tm_sim_choices_give(&d->choices, NULL, 0, err);
    if (rc == TM_OK)
        rc = day_live(d, err);
    day_charge(d, &d->slots[DAY_WITNESS]);
    if (rc == TM_OK)
        rc = day_report(d, &code, err);
    day_charge(d, &d->slots[DAY_DRIVER]);
    if (rc == TM_OK && !d->run->json)
        day_bill(d);
    return rc == TM_OK ? code : tm_err_exit(err);
}

static void day_close(struct day *d)
{
    tm_check_close(d->witness);
    day_stations_close(d);
    day_org_close(d);
    tm_sim_choices_free(&d->choices);
}

static json_t *day_cpu(const struct day *d)
{
    int64_t wall_ns = tm_clock_monotonic_ns() - d->began_ns;
    double scale = wall_ns > 0 ? (double)(day_cpu_ns() - d->cpu_began_ns) / (double)wall_ns : 0;
    json_t *cpu = json_object();
    for (size_t i = 0; i < d->stations_count; i++)
        json_object_set_new(cpu, d->stations[i].name,
                            json_real((double)d->stations[i].cpu_ns / 1e9 * scale));
    return cpu;
}

enum tm_code tm_day_go(struct tm_run *run, json_t **out_cpu, int *out_exit, struct tm_err *err)
{
    struct day day = { .run = run };
    bool json = run->json;
    run->compress = 1;
    run->json = true; /* no bill */
    *out_exit = day_run(&day, err);
    run->json = json;
    *out_cpu = err->code == TM_OK ? day_cpu(&day) : NULL;
    day_close(&day);
    return err->code;
}

static enum tm_code day_arguments(struct tm_run *run, int argc, char **argv, struct tm_err *err)
{
    if (tm_run_flags(run, argc, argv, err) != TM_OK)
        return err->code;
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "--brokers", 9) == 0 || strncmp(argv[i], "--registry", 10) == 0)
            return tm_fail(err, TM_E_ARG,
                           "%.10s: a simulation has its own broker and registry, in memory; leave "
                           "the flag out, or use `tidemark run`",
                           argv[i]);
    run->brokers_given = run->registry_given = NULL; /* of the environment */
    return TM_OK;
}

bool tm_day_wanted(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--seeds") == 0 || strncmp(argv[i], "--seeds=", 8) == 0)
            return false;
    for (int i = 2; i < argc; i++) { /* behind flags too */
        size_t n = strlen(argv[i]);
        if (argv[i][0] != '-' && n > 5 && strcmp(argv[i] + n - 5, ".json") == 0)
            return true;
    }
    return argc > 1 && argv[1][0] != '-';
}

int tm_day_main(int argc, char **argv)
{
    static struct tm_run run; /* large: the child table is inside */
    struct day day = { .run = &run };
    struct tm_err err;
    run.simulated = true;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            tm_help_command(stdout, tm_help_of("simulate"));
            return TM_EXIT_PASS;
        }
    tm_err_clear(&err);
    tm_log_init("simulate", TM_LOG_INFO);
    if (day_arguments(&run, argc, argv, &err) != TM_OK || tm_run_plan(&run, &err) != TM_OK) {
        tm_run_free(&run);
        return tm_command_fail("simulate", &err);
    }
    run.compress = 1;
    int code = day_run(&day, &err);
    if (err.code == TM_OK) {
        tm_run_print(&run, code);
        code = tm_run_against(&run, code);
    } else
        code = tm_command_fail("simulate", &err);
    day_close(&day);
    tm_run_free(&run);
    return code;
}
