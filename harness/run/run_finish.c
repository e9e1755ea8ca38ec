/* run_finish: ends everything in order (witness first: it takes its last look while all stands
 * still), adds what the supervisor knows to the witness's measures, writes report.json, renders the
 * report, decides the exit code. */
#include "run/run.h"
#include "run/command.h"
#include "base/config.h"
#include "base/log.h"
#include "base/sql.h"
#include "reports/report.h"
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

/* the witness measures at the end: some 60 us a change and pipeline on a quiet machine */
#define FINISH_WITNESS_MS 180000
#define FINISH_WITNESS_US_A_CHANGE 1000
#define FINISH_LONG_CHANGES 200000 /* from then on the wait is announced */
#define FINISH_CHILD_MS 20000
/* where something ended on its own: others may wait for it in vain */
#define FINISH_BROKEN_MS 2000

/* Which broker and which registry it was. What starts a real one says its name and version, which
 * none of their protocols tells. */
static void finish_served(const struct tm_run *run, json_t *environment)
{
    const char *broker = getenv("TIDEMARK_BROKERS_NAME"),
               *registry = getenv("TIDEMARK_REGISTRY_NAME");
    char text[700], url[256];
    if (run->brokers_given != NULL)
        snprintf(text, sizeof text, "%.80s at %.200s, cluster %.100s, %d broker%s",
                 broker != NULL ? broker : "Kafka", run->brokers_given, run->cluster.id,
                 run->cluster.brokers, run->cluster.brokers == 1 ? "" : "s");
    else
        snprintf(text, sizeof text, "embedded in librdkafka %s", tm_topic_kafka_client());
    json_object_set_new(environment, "broker", json_string(text));
    if (run->registry_given != NULL)
        snprintf(text, sizeof text, "%.80s at %.250s",
                 registry != NULL ? registry : "Confluent-style registry",
                 tm_run_no_secret(url, run->registry_given));
    else
        snprintf(text, sizeof text, "embedded");
    json_object_set_new(environment, "schema_registry", json_string(text));
}

static json_t *finish_environment(const struct tm_run *run)
{
    struct utsname name;
    uname(&name);
    json_t *environment =
        json_pack("{s:I, s:s, s:s, s:I, s:s+, s:s, s:f, s:f}", "cpus",
                  (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "kafka",
                  run->brokers_given != NULL ? "external" : "embedded", "registry",
                  run->registry_given != NULL ? "external" : "embedded", "compress",
                  (json_int_t)run->compress, "system", name.sysname, name.release, "sqlite",
                  sqlite3_libversion(), "started_up_s", run->started_up_s, "took_s", run->took_s);
    finish_served(run, environment);
    return environment;
}

static bool finish_is(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strncmp(name, *names, strlen(*names)) == 0)
            return true;
    return false;
}

bool tm_run_is_option1(const char *name)
{
    size_t n = name != NULL ? strlen(name) : 0;
    return n > 4 && strcmp(name + n - 4, "-sql") == 0;
}

/* Adds what the station counted of Kafka, over all its lives; false: it left no counters. */
static bool finish_kafka(const struct tm_run *run, const char *station, int64_t bytes[2])
{
    char path[TM_PATH_MAX];
    json_t *stats = NULL;
    struct tm_err quiet = { .code = TM_OK };
    snprintf(path, sizeof path, "%.800s/stats/%.60s.json", run->dir, station);
    bool there = tm_json_load(&stats, path, &quiet) == TM_OK;
    bytes[0] += json_integer_value(json_object_get(stats, "produced_bytes"));
    bytes[1] += json_integer_value(json_object_get(stats, "fetched_bytes"));
    json_decref(stats);
    return there;
}

void tm_run_kafka_cost(json_t *cost, bool known, int64_t produced, int64_t fetched)
{
    json_object_set_new(cost, "kafka_bytes",
                        known ? json_integer(produced + fetched) : json_null());
    json_object_set_new(cost, "kafka_bytes_produced", known ? json_integer(produced) : json_null());
    json_object_set_new(cost, "kafka_bytes_fetched", known ? json_integer(fetched) : json_null());
}

/* CPU, memory and Kafka traffic of the processes a report pipeline is made of. The broker and the
 * registry are shared: listed apart. */
static void finish_pipeline_cost(struct tm_run *run, json_t *pipeline)
{
    static const char *const option1[] = { "source", "gap", "reconcile", "sink", NULL };
    static const char *const option2[] = { "source", "gap", "reconcile", "sink", "view", NULL };
    const char *name = json_string_value(json_object_get(pipeline, "name"));
    const char *kind = json_string_value(json_object_get(pipeline, "kind"));
    json_t *cost = json_object_get(pipeline, "cost");
    double cpu_s = 0;
    int64_t rss = 0, kafka[2] = { 0, 0 };
    bool known = true, stream = kind != NULL && strcmp(kind, "stream") == 0;
    const char *const *names = tm_run_is_option1(name) ? option1 : option2;
    for (size_t i = 0; i < run->kids.count; i++) {
        const struct tm_child *c = &run->kids.items[i];
        if (stream ? finish_is(c->name, names) : name != NULL && strcmp(c->name, name) == 0) {
            cpu_s += c->cpu_s;
            rss += c->rss_peak_bytes;
            known = finish_kafka(run, c->name, kafka) && known;
        }
    }
    if (cost == NULL)
        json_object_set_new(pipeline, "cost", cost = json_object());
    json_object_set_new(cost, "cpu_s", json_real(cpu_s));
    json_object_set_new(cost, "rss_peak_bytes", json_integer(rss));
    if (kind == NULL || strcmp(kind, "external") != 0) /* nobody counts what those read */
        tm_run_kafka_cost(cost, known, kafka[0], kafka[1]);
}

static json_t *finish_processes(const struct tm_run *run)
{
    char path[TM_PATH_MAX];
    struct tm_err none = { .code = TM_OK };
    json_t *list = json_array(), *memory;
    snprintf(path, sizeof path, "%.900s/usage.csv", run->dir);
    memory = tm_usage_json(path, &none); /* NULL: no memory for it, and no figures */
    for (size_t i = 0; i < run->kids.count; i++) {
        const struct tm_child *c = &run->kids.items[i];
        json_array_append_new(
            list, json_pack("{s:s, s:f, s:I, s:i, s:O*}", "name", c->name, "cpu_s", c->cpu_s,
                            "rss_peak_bytes", (json_int_t)c->rss_peak_bytes, "restarts",
                            c->restarts, "memory", json_object_get(memory, c->name)));
    }
    json_decref(memory);
    return list;
}

/* A run that did not come to its end has measures of a part only. What was not shown may have been
 * on its way, and nothing was drained: no witness against a pipeline, nor, by a self-test that
 * presumes the drain, against ourselves. It is inconclusive for this one reason; measures.json
 * keeps the rest. */
static void finish_verdict(json_t *report, const char *why)
{
    char text[1024];
    json_t *pipeline;
    size_t i;
    if (why == NULL)
        return;
    json_array_foreach(json_object_get(report, "pipelines"), i, pipeline)
    {
        json_object_set_new(pipeline, "verdict", json_string("inconclusive"));
        json_object_set_new(pipeline, "reasons", json_array());
    }
    snprintf(text, sizeof text,
             "The run did not come to its end: %.900s. The figures cover a part only.", why);
    json_object_set_new(report, "reasons", json_pack("[s]", text));
    json_object_set_new(report, "self_tests", json_array());
    json_object_set_new(report, "partial", json_true());
    json_object_set_new(report, "verdict", json_string("inconclusive"));
    json_object_set_new(report, "exit_code", json_integer(TM_EXIT_INCONCLUSIVE));
    json_object_del(report, "harness_ok");
}

enum tm_code tm_run_undecodable(json_t *report, const char *raw_path, struct tm_err *err)
{
    int64_t count = 0;
    sqlite3 *raw = NULL;
    enum tm_code rc = TM_OK;
    char text[1200];
    if (access(raw_path, F_OK) == 0) {
        rc = tm_sql_open(&raw, raw_path, TM_SQL_READ, err);
        if (rc == TM_OK)
            rc = tm_sql_int64(&count, raw,
                              "SELECT count(*) FROM sqlite_master WHERE name='_undecodable'", err);
        if (rc == TM_OK && count > 0)
            rc = tm_sql_int64(&count, raw, "SELECT count(*) FROM _undecodable", err);
        tm_sql_close(raw);
    }
    if (rc != TM_OK)
        return rc;
    json_object_set_new(report, "undecodable_records", json_integer(count));
    if (count == 0)
        return TM_OK;
    snprintf(text, sizeof text,
             "%lld records could not be decoded and are in no snapshot: table _undecodable of "
             "%.900s has them, with topic, partition, offset and why.",
             (long long)count, raw_path);
    json_array_append_new(json_object_get(report, "reasons"), json_string(text));
    const char *verdict = json_string_value(json_object_get(report, "verdict"));
    if (verdict != NULL && strcmp(verdict, "pass") == 0) {
        json_object_set_new(report, "verdict", json_string("fail"));
        json_object_set_new(report, "exit_code", json_integer(TM_EXIT_FAIL));
    }
    return TM_OK;
}

void tm_run_undrained(json_t *report, const char *which)
{
    char text[600];
    const char *verdict = json_string_value(json_object_get(report, "verdict"));
    if (which[0] == '\0')
        return;
    snprintf(
        text, sizeof text,
        "The wait for pipelines to take in the last change ended without %s: what they did not "
        "show may still have come.",
        which);
    json_array_append_new(json_object_get(report, "reasons"), json_string(text));
    if (verdict != NULL && strcmp(verdict, "pass") == 0) {
        json_object_set_new(report, "verdict", json_string("inconclusive"));
        json_object_set_new(report, "exit_code", json_integer(TM_EXIT_INCONCLUSIVE));
    }
}

/* run.db becomes one file that opens anywhere, also where nobody may write beside it. */
static void finish_run_db(const struct tm_run *run)
{
    char path[TM_PATH_MAX];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%.800s/run.db", run->dir);
    if (tm_sql_open(&db, path, TM_SQL_WRITE, NULL) == TM_OK)
        (void)tm_sql_exec(db, "PRAGMA journal_mode=DELETE", NULL);
    tm_sql_close(db);
}

enum tm_code tm_run_report(const struct tm_run *run, json_t *report, struct tm_err *err)
{
    char path[TM_PATH_MAX], temporary[TM_PATH_MAX + 8];
    json_t *slo = json_object_get(run->scenario, "slo");
    if (json_object_size(slo) > 0)
        json_object_set(report, "slo", slo);
    snprintf(path, sizeof path, "%.800s/report.json", run->dir);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    if (json_dump_file(report, temporary, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) != 0 ||
        rename(temporary, path) != 0)
        return tm_fail(err, TM_E_IO, "cannot write %s", path);
    finish_run_db(run);
    return tm_report_render(run->dir, err);
}

static enum tm_code finish_report(struct tm_run *run, const char *why, json_t **out,
                                  struct tm_err *err)
{
    char path[TM_PATH_MAX];
    json_t *report = NULL, *pipeline;
    size_t i;
    snprintf(path, sizeof path, "%.800s/measures.json", run->dir);
    if (tm_json_load(&report, path, err) != TM_OK)
        return tm_at(err, "the witness left no measures");
    json_object_set_new(report, "environment", finish_environment(run));
    json_object_set_new(report, "processes", finish_processes(run));
    json_array_foreach(json_object_get(report, "pipelines"), i, pipeline)
        finish_pipeline_cost(run, pipeline);
    if (tm_run_faults(report, run, err) != TM_OK) {
        json_decref(report);
        return tm_at(err, "faults of the run");
    }
    finish_verdict(report, why);
    if (why == NULL)
        tm_run_undrained(report, run->undrained);
    if (tm_run_undecodable(report, run->raw_path, err) != TM_OK) {
        json_decref(report);
        return tm_at(err, "counting undecodable records");
    }
    enum tm_code rc = tm_run_report(run, report, err);
    if (rc == TM_OK)
        *out = report;
    else
        json_decref(report);
    return rc;
}

int tm_run_exit(const json_t *report, int witness_exit)
{
    const char *verdict = json_string_value(json_object_get(report, "verdict"));
    if (witness_exit == TM_EXIT_OURS && !json_is_true(json_object_get(report, "partial")))
        return TM_EXIT_OURS;
    if (verdict != NULL && strcmp(verdict, "pass") == 0)
        return TM_EXIT_PASS;
    return verdict != NULL && strcmp(verdict, "fail") == 0 ? TM_EXIT_FAIL : TM_EXIT_INCONCLUSIVE;
}

/* The witness left something to report: it came up, was not killed, and wrote its measures. */
static bool finish_measured(const struct tm_run *run, int witness_exit)
{
    char path[TM_PATH_MAX];
    if (run->witness == NULL || witness_exit < 0 || witness_exit >= 128)
        return false;
    snprintf(path, sizeof path, "%.800s/measures.json", run->dir);
    return access(path, R_OK) == 0;
}

/* Nothing to report: says why. */
static int finish_without(struct tm_run *run, int witness_exit, const struct tm_err *why,
                          struct tm_err *err)
{
    if (why != NULL) {
        *err = *why;
        return why->code == TM_E_ARG ? TM_EXIT_USAGE : TM_EXIT_INCONCLUSIVE;
    }
    if (tm_run_interrupted(run, err) != TM_OK) {
        tm_at(err, "measuring");
        return TM_EXIT_INCONCLUSIVE;
    }
    tm_child_told(run->witness, err);
    tm_at(err, "no measures, no report");
    return witness_exit == TM_EXIT_OURS ? TM_EXIT_OURS : TM_EXIT_INCONCLUSIVE;
}

static int finish_witness_ms(const struct tm_run *run)
{
    int64_t changes = tm_run_ask(run->org_path, "SELECT max(pos) FROM history");
    int64_t ms = FINISH_WITNESS_MS, each_us = FINISH_WITNESS_US_A_CHANGE;
    changes = changes > 0 ? changes * (int64_t)run->pipelines_count : 0;
    ms += changes * each_us / 1000;
    if (changes >= FINISH_LONG_CHANGES)
        tm_log(TM_LOG_INFO,
               "measuring %" PRId64 " changes of %zu pipelines: minutes; given up after %" PRId64
               " min",
               changes / (int64_t)run->pipelines_count, run->pipelines_count, ms / 60000);
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

int tm_run_finish(struct tm_run *run, const struct tm_err *why, struct tm_err *err)
{
    char why_text[700];
    json_t *report = NULL;
    int witness_exit = -1, code;
    if (why != NULL && run->clock != NULL) /* what is not done yet is for --resume */
        tm_clock_file_stop(run->clock, tm_clock_monotonic_ns());
    if (run->witness != NULL)
        witness_exit = tm_child_stop(&run->kids, run->witness, finish_witness_ms(run));
    tm_children_stop(&run->kids, why != NULL ? FINISH_BROKEN_MS : FINISH_CHILD_MS);
    tm_usage_add(&run->usage, &run->kids);
    if (why != NULL)
        tm_err_text(why, why_text, sizeof why_text);
    if (!finish_measured(run, witness_exit))
        return finish_without(run, witness_exit, why, err);
    if (finish_report(run, why != NULL ? why_text : NULL, &report, err) == TM_OK)
        code = tm_run_exit(report, witness_exit);
    else
        code = why != NULL || err->code == TM_E_IO ? TM_EXIT_INCONCLUSIVE : TM_EXIT_OURS;
    json_decref(report);
    return code;
}
