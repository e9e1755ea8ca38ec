/* run_start: brings up broker, registry, org, stations, batch and witness, in that order, and waits
 * until every pipeline shows the org as it stood at its origin. The org's clock stands still all
 * the while. */
#include "run/resume.h"
#include "run/run.h"
#include "base/log.h"
#include "base/sql.h"
#include "base/text.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_SERVER_MS 60000 /* population of the org included */
#define START_COPY_MS 180000  /* first copies and initial loads */

static const char *start_path(const struct tm_run *run, char out[TM_PATH_MAX], const char *folder,
                              const char *name, const char *ending)
{
    snprintf(out, TM_PATH_MAX, "%.800s/%s/%s%s", run->dir, folder, name, ending);
    return out;
}

size_t tm_run_topics(const struct tm_run *run, char out[TM_RUN_TOPICS_MAX][TM_TOPIC_NAME_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < run->objects_count; i++) {
        tm_contract_topic_raw(out[n++], run->objects[i]);
        tm_contract_topic_alerts(out[n++], run->objects[i]);
        tm_contract_topic_recon(out[n++], run->objects[i]);
    }
    snprintf(out[n++], TM_TOPIC_NAME_MAX, "%s", TM_TOPIC_OFFSETS);
    return n;
}

static enum tm_code start_kafka(struct tm_run *run, struct tm_err *err)
{
    static char names[TM_RUN_TOPICS_MAX][TM_TOPIC_NAME_MAX];
    struct tm_buf topics;
    struct tm_child *child;
    enum tm_code rc;
    if (run->brokers_given != NULL) {
        snprintf(run->brokers, sizeof run->brokers, "%s", run->brokers_given);
        return TM_OK;
    }
    tm_buf_init(&topics, 1 << 16);
    size_t count = tm_run_topics(run, names);
    for (size_t i = 0; i + 1 < count; i++)
        tm_buf_addf(&topics, "%s:%d,", names[i], TM_RUN_PARTITIONS);
    tm_buf_addf(&topics, "%s:1", names[count - 1]);
    const char *argv[] = { "kafka", "--topics", tm_buf_text(&topics), NULL };
    rc = tm_child_start(&run->kids, &child, "kafka", false, argv, err);
    if (rc == TM_OK)
        rc = tm_child_first_line(&run->kids, child, START_SERVER_MS, run->brokers,
                                 sizeof run->brokers, err);
    tm_buf_free(&topics);
    return rc;
}

static enum tm_code start_registry(struct tm_run *run, struct tm_err *err)
{
    struct tm_child *child;
    char store[TM_PATH_MAX];
    snprintf(store, sizeof store, "%.800s/registry.db", run->dir);
    const char *argv[] = { "registry", "--port", "0", "--store", store, NULL };
    if (run->registry_given != NULL) {
        snprintf(run->registry, sizeof run->registry, "%s", run->registry_given);
        return TM_OK;
    }
    if (tm_child_start(&run->kids, &child, "registry", false, argv, err) != TM_OK)
        return err->code;
    enum tm_code rc = tm_child_first_line(&run->kids, child, START_SERVER_MS, run->registry,
                                          sizeof run->registry, err);
    return rc == TM_OK ? tm_child_restart_on(child, run->registry, err) : rc;
}

static enum tm_code start_org(struct tm_run *run, struct tm_err *err)
{
    struct tm_child *child;
    char seed[32];
    struct tm_buf users;
    tm_buf_init(&users, 1 << 12);
    tm_run_external_users(run, &users);
    snprintf(seed, sizeof seed, "%" PRId64, run->seed);
    /* clang-format off */
    const char *argv[] = { "serve", "--port", "0", "--quiet",
                           "--org", run->org_path,
                           "--objects", run->objects_dir,
                           "--scenario", run->scenario_path,
                           "--clock", run->clock_path,
                           "--seed", seed,
                           users.bytes > 0 ? "--users" : NULL, tm_buf_text(&users),
                           NULL };
    /* clang-format on */
    enum tm_code rc = tm_child_start(&run->kids, &child, "serve", false, argv, err);
    tm_buf_free(&users);
    if (rc == TM_OK)
        rc =
            tm_child_first_line(&run->kids, child, START_SERVER_MS, run->url, sizeof run->url, err);
    return rc == TM_OK ? tm_child_restart_on(child, run->url, err) : rc;
}

static void start_environment(const struct tm_run *run)
{
    setenv("TIDEMARK_SALESFORCE_URL", run->url, 1);
    setenv("TIDEMARK_BROKERS", run->brokers, 1);
    setenv("TIDEMARK_REGISTRY", run->registry, 1);
    setenv("TIDEMARK_OUT", run->dir, 1);
    setenv("TIDEMARK_OBJECTS", run->objects_dir, 1);
    if (run->kafka_properties != NULL)
        setenv("TIDEMARK_KAFKA_PROPERTIES", run->kafka_properties, 1);
    if (run->ca_path != NULL)
        setenv("TIDEMARK_CA_FILE", run->ca_path, 1);
    if (run->brokers_given == NULL)
        setenv("TIDEMARK_EMBEDDED", "1", 1);
}

struct start_more { /* of one station alone; NULL: nothing */
    const char *flag, *value;
};

static enum tm_code start_station_with(struct tm_run *run, const char *command, const char *name,
                                       const char *config, const char *warehouse,
                                       struct start_more more, struct tm_err *err)
{
    char state[TM_PATH_MAX], trace[TM_PATH_MAX], stats[TM_PATH_MAX];
    struct tm_child *child;
    /* clang-format off */
    const char *argv[] = { command, config,
                           "--clock", run->clock_path,
                           "--state", start_path(run, state, "state", name, ""),
                           "--trace", start_path(run, trace, "trace", name, ""),
                           "--stats", start_path(run, stats, "stats", name, ".json"),
                           "--objects", run->objects_dir,
                           "--brokers", run->brokers[0] ? run->brokers : "none",
                           "--registry", run->registry[0] ? run->registry : "none",
                           "--salesforce-url", run->url,
                           "--instance", name,
                           NULL, NULL, NULL, NULL, NULL };
    /* clang-format on */
    size_t n = sizeof argv / sizeof argv[0] - 5;
    if (warehouse != NULL) {
        argv[n++] = "--warehouse";
        argv[n++] = warehouse;
    }
    argv[n++] = more.flag;
    argv[n++] = more.value;
    return tm_child_start(&run->kids, &child, name, true, argv, err);
}

static enum tm_code start_station(struct tm_run *run, const char *command, const char *name,
                                  const char *config, const char *warehouse, struct tm_err *err)
{
    return start_station_with(run, command, name, config, warehouse,
                              (struct start_more){ NULL, NULL }, err);
}

static enum tm_code start_stream(struct tm_run *run, const struct tm_run_pipeline *p,
                                 struct tm_err *err)
{
    char name[64], life[16], after[48];
    snprintf(life, sizeof life, "%d", run->broker_life);
    if (start_station_with(
            run, "sink", "sink", p->sink, run->raw_path,
            (struct start_more){ run->broker_life > 0 ? "--broker-life" : NULL, life },
            err) != TM_OK ||
        start_station(run, "view", "view", p->view, run->view_path, err) != TM_OK ||
        start_station(run, "gap", "gap", p->gap, NULL, err) != TM_OK ||
        start_station(run, "reconcile", "reconcile", p->reconcile, NULL, err) != TM_OK)
        return err->code;
    for (size_t i = 0; i < p->sources_count; i++) {
        snprintf(name, sizeof name, "source-%zu", i + 1);
        bool lost = run->broker_life > 0 && tm_resume_after(run, p->reads[i], after);
        if (start_station_with(run, "source", name, p->sources[i], NULL,
                               (struct start_more){ lost ? "--broker-lost-after" : NULL, after },
                               err) != TM_OK)
            return err->code;
    }
    return TM_OK;
}

int64_t tm_run_ask(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    struct tm_err err;
    int64_t n = -1;
    tm_err_clear(&err);
    if (tm_sql_open(&db, path, TM_SQL_READ, &err) != TM_OK ||
        tm_sql_int64(&n, db, sql, &err) != TM_OK)
        n = -1;
    tm_sql_close(db);
    return n;
}

static enum tm_code start_wait(struct tm_run *run, const char *path, const char *sql,
                               int64_t at_least, const char *what, struct tm_err *err)
{
    int64_t n = -1;
    for (int waited_ms = 0; waited_ms < START_COPY_MS; waited_ms += 50) {
        if (tm_children_watch(&run->kids, err) != TM_OK)
            return err->code;
        if (tm_run_interrupted(run, err) != TM_OK)
            return err->code;
        n = tm_run_ask(path, sql);
        if (n >= at_least)
            return TM_OK;
        tm_supervise_pause(50);
    }
    return tm_fail(err, TM_E_IO,
                   "%s is not there after %d s (%" PRId64 " of %" PRId64
                   "); the logs are in %s/log",
                   what, START_COPY_MS / 1000, n, at_least, run->dir);
}

/* All records of the object are shown, none of them in doubt. */
static enum tm_code start_wait_copy(struct tm_run *run, const char *object, struct tm_err *err)
{
    char sql[512], what[128];
    snprintf(
        sql, sizeof sql,
        "SELECT count(*) FROM history WHERE object = '%s' AND event IS NULL AND change = 'CREATE'",
        object);
    int64_t records = tm_run_ask(run->org_path, sql);
    snprintf(sql, sizeof sql,
             "SELECT CASE WHEN (SELECT count(*) FROM \"%s_dirty\") = 0 THEN (SELECT count(*) FROM "
             "\"%s\") ELSE 0 END",
             object, object);
    snprintf(what, sizeof what, "the first copy of %s", object);
    return start_wait(run, run->view_path, sql, records, what, err);
}

static enum tm_code start_batch(struct tm_run *run, struct tm_err *err)
{
    for (size_t i = 0; i < run->pipelines_count; i++) {
        const struct tm_run_pipeline *p = &run->pipelines[i];
        if (p->kind == TM_RUN_BATCH &&
            start_station(run, "batch", p->name, p->config, p->database, err) != TM_OK)
            return err->code;
    }
    for (size_t i = 0; i < run->pipelines_count; i++) {
        const struct tm_run_pipeline *p = &run->pipelines[i];
        char what[160];
        snprintf(what, sizeof what, "the initial load of %s", p->name);
        if (p->kind == TM_RUN_BATCH &&
            start_wait(run, p->database,
                       "SELECT count(DISTINCT object) FROM _polls WHERE mode = 'initial' AND "
                       "finished_ns IS NOT NULL",
                       (int64_t)run->objects_count, what, err) != TM_OK)
            return err->code;
    }
    return TM_OK;
}

static enum tm_code start_external(struct tm_run *run, struct tm_err *err)
{
    char config[TM_PATH_MAX];
    for (size_t i = 0; i < run->pipelines_count; i++) {
        const struct tm_run_pipeline *p = &run->pipelines[i];
        if (p->kind != TM_RUN_EXTERNAL)
            continue;
        if (tm_run_external_config(run, p, config, err) != TM_OK)
            return err->code;
        if (p->command != NULL &&
            start_station(run, "external", p->name, config, NULL, err) != TM_OK)
            return err->code;
    }
    for (size_t i = 0; i < run->pipelines_count; i++)
        if (run->pipelines[i].kind == TM_RUN_EXTERNAL &&
            tm_run_external_wait(run, &run->pipelines[i], err) != TM_OK)
            return err->code;
    return TM_OK;
}

enum tm_code tm_run_start(struct tm_run *run, struct tm_err *err)
{
    const struct tm_run_pipeline *stream = NULL;
    if (!run->resumes && tm_clock_file_create(&run->clock, run->clock_path, run->org_origin_ms,
                                              run->compress, err) != TM_OK)
        return err->code;
    for (size_t i = 0; i < run->pipelines_count; i++)
        if (run->pipelines[i].kind == TM_RUN_STREAM)
            stream = &run->pipelines[i];
    if (stream != NULL && (start_kafka(run, err) != TM_OK || start_registry(run, err) != TM_OK))
        return tm_at(err, "starting up");
    if (start_org(run, err) != TM_OK)
        return tm_at(err, "starting up");
    start_environment(run);
    char registry[256];
    if (stream != NULL)
        tm_log(TM_LOG_INFO, "org at %s, broker at %s, registry at %s", run->url, run->brokers,
               tm_run_no_secret(registry, run->registry));
    else
        tm_log(TM_LOG_INFO, "org at %s", run->url);
    if (stream != NULL && start_stream(run, stream, err) != TM_OK)
        return tm_at(err, "starting up");
    if (start_batch(run, err) != TM_OK || start_external(run, err) != TM_OK)
        return tm_at(err, "starting up");
    if (stream != NULL && run->resumes)
        return tm_run_catch_up(run, err) == TM_OK ? TM_OK : tm_at(err, "starting up");
    for (size_t i = 0; stream != NULL && i < run->objects_count; i++)
        if (start_wait_copy(run, run->objects[i], err) != TM_OK)
            return tm_at(err, "starting up");
    return TM_OK;
}
