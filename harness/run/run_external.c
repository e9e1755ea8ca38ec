/* run_external: pipelines that are not ours: {"kind": "external", "name", "command", "every",
 * "limit", "database", "relations", "slo"}, or without command and every, but with "settle": a
 * program that runs already. Everything is checked before anything starts, the relations too,
 * against the describes. Each gets a user of its own, so that its API calls are counted as its own.
 */
#include "run/run.h"
#include "base/config.h"
#include "base/describe.h"
#include "base/log.h"
#include "base/text.h"
#include "check/relation.h"
#include "mocks/salesforce/scenario.h"
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXTERNAL_LIMIT_MS 60000 /* of one start, unless told */
#define EXTERNAL_SETTLE_MS 10000
#define EXTERNAL_READY_MS 120000 /* a running one: until it shows the org as it stands */
#define EXTERNAL_LINE_BYTES 4096

static enum tm_code external_duration(int64_t *out, const json_t *json, const char *key,
                                      int64_t missing, struct tm_err *err)
{
    const json_t *value = json_object_get(json, key);
    char where[40];
    snprintf(where, sizeof where, "\"%s\"", key);
    *out = missing;
    if (value == NULL)
        return TM_OK;
    enum tm_code rc = tm_duration_ms(out, value, where, err);
    if (rc == TM_OK && *out < 1)
        rc = tm_fail(err, TM_E_ARG, "%s must be longer than nothing", where);
    return rc;
}

/* Relative to the run's folder, where what it makes belongs; absolute from here on. */
static enum tm_code external_database(const struct tm_run *run, char out[TM_PATH_MAX],
                                      const char *path, struct tm_err *err)
{
    char dir[PATH_MAX];
    if (path[0] != '/' && realpath(run->dir, dir) == NULL)
        return tm_fail(err, TM_E_IO, "%s cannot be found again", run->dir);
    if (snprintf(out, TM_PATH_MAX, "%.900s%s%s", path[0] == '/' ? "" : dir,
                 path[0] == '/' ? "" : "/", path) >= TM_PATH_MAX)
        return tm_fail(err, TM_E_ARG, "the path of \"database\" is too long");
    return TM_OK;
}

static enum tm_code external_relation(const struct tm_run *run, struct tm_run_pipeline *p,
                                      const char *object, json_t *spec, struct tm_err *err)
{
    struct tm_relation_spec checked;
    struct tm_describe *d = NULL;
    const char *known[TM_RUN_OBJECTS_MAX] = { NULL };
    char path[2 * TM_PATH_MAX], database[TM_PATH_MAX];
    bool found = false;
    for (size_t i = 0; i < run->objects_count; i++) {
        known[i] = run->objects[i];
        found = found || strcmp(known[i], object) == 0;
    }
    const char *near = tm_nearest(object, known, run->objects_count);
    if (!found)
        return tm_fail(err, TM_E_ARG, "relations: this scenario's org has no object %.60s%s%s%s",
                       object, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    snprintf(path, sizeof path, "%s/%.100s.json", run->objects_dir, object);
    enum tm_code rc = tm_describe_load(&d, path, err);
    if (rc == TM_OK)
        rc = tm_relation_spec(&checked, "relations", object, spec, d, err);
    if (rc == TM_OK && checked.database == NULL && p->database[0] == '\0')
        rc = tm_fail(
            err, TM_E_ARG,
            "relations: %s names no \"database\", nor does the pipeline: where are its rows?",
            object);
    if (rc == TM_OK && checked.database != NULL)
        rc = external_database(run, database, checked.database, err);
    if (rc == TM_OK)
        json_object_set_new(spec, "database",
                            json_string(checked.database != NULL ? database : p->database));
    tm_describe_close(d);
    return rc;
}

static enum tm_code external_relations(const struct tm_run *run, struct tm_run_pipeline *p,
                                       const json_t *json, struct tm_err *err)
{
    const json_t *relations = json_object_get(json, "relations");
    const char *object;
    json_t *spec;
    if (!json_is_object(relations) || json_object_size(relations) == 0)
        return tm_fail(
            err, TM_E_ARG,
            "\"relations\" must be an object of {object: {\"query\": …}}, as for `tidemark "
            "check --relations`");
    p->relations = json_deep_copy(relations);
    if (p->relations == NULL)
        return tm_fail(err, TM_E_NOMEM, "relations");
    json_object_foreach(p->relations, object, spec)
    {
        if (external_relation(run, p, object, spec, err) != TM_OK)
            return err->code;
        if (p->database[0] == '\0')
            snprintf(p->database, TM_PATH_MAX, "%s",
                     json_string_value(json_object_get(spec, "database")));
    }
    return TM_OK;
}

static enum tm_code external_command(const struct tm_run *run, struct tm_run_pipeline *p,
                                     const json_t *json, struct tm_err *err)
{
    const json_t *command = json_object_get(json, "command");
    char folder[TM_PATH_MAX], whole[PATH_MAX];
    if (command == NULL &&
        (json_object_get(json, "every") != NULL || json_object_get(json, "limit") != NULL))
        return tm_fail(err, TM_E_ARG,
                       "\"every\" and \"limit\" are of a \"command\", and there is none");
    if (command != NULL && json_object_get(json, "settle") != NULL)
        return tm_fail(err, TM_E_ARG,
                       "\"settle\" is of a program that runs already, not of a \"command\"");
    enum tm_code rc = external_duration(&p->settle_ms, json, "settle", EXTERNAL_SETTLE_MS, err);
    if (rc != TM_OK || command == NULL)
        return rc;
    p->command = json_string_value(command);
    if (p->command == NULL || *p->command == '\0')
        return tm_fail(err, TM_E_ARG, "\"command\" must be a line for the shell");
    if (json_object_get(json, "every") == NULL)
        return tm_fail(
            err, TM_E_ARG,
            "a \"command\" needs \"every\": how often it is started, on the org's clock");
    rc = external_duration(&p->interval_ms, json, "every", 0, err);
    if (rc == TM_OK)
        rc = external_duration(&p->limit_ms, json, "limit", EXTERNAL_LIMIT_MS, err);
    if (rc == TM_OK)
        rc = tm_run_path(run, folder, ".", "the scenario's folder", err);
    if (rc == TM_OK && (realpath(folder, whole) == NULL || strlen(whole) >= TM_PATH_MAX))
        rc = tm_fail(err, TM_E_ARG, "the path of the scenario's folder is too long");
    if (rc == TM_OK)
        snprintf(p->folder, TM_PATH_MAX, "%.1000s", whole);
    return rc;
}

enum tm_code tm_run_plan_external(struct tm_run *run, struct tm_run_pipeline *p, const json_t *json,
                                  struct tm_err *err)
{
    static const char *const known[] = { "name",     "kind",      "command", "every",  "limit",
                                         "database", "relations", "slo",     "settle", NULL };
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const json_t *database = json_object_get(json, "database");
    enum tm_code rc = tm_run_keys(json, "", known, err);
    if (rc == TM_OK && run->simulated)
        rc =
            tm_fail(err, TM_E_ARG,
                    "an external pipeline is a real process and cannot live under a virtual clock; "
                    "`tidemark run` takes it");
    if (rc == TM_OK && (strspn(p->name, letters) != strlen(p->name) || strlen(p->name) > 60))
        rc = tm_fail(
            err, TM_E_ARG,
            "the name of an external pipeline is a user's too: letters, digits, - and _, at "
            "most 60 of them");
    if (rc == TM_OK && database != NULL && !json_is_string(database))
        rc = tm_fail(err, TM_E_ARG, "\"database\" must be the path of a SQLite file");
    if (rc == TM_OK && database != NULL)
        rc = external_database(run, p->database, json_string_value(database), err);
    p->common = database != NULL;
    if (rc == TM_OK)
        rc = external_command(run, p, json, err);
    if (rc == TM_OK)
        rc = external_relations(run, p, json, err);
    if (rc == TM_OK &&
        snprintf(p->runs, TM_PATH_MAX, "%.900s/state/%s.runs", run->dir, p->name) >= TM_PATH_MAX)
        rc = tm_fail(err, TM_E_ARG, "the output folder's path is too long");
    json_array_append_new(p->clients, json_sprintf("%s%s", p->name, "@tidemark.example"));
    return rc;
}

/* ---- what it is told ---- */

/* The environment of one, documented in README.md: NAME -> value. */
static json_t *external_environment(const struct tm_run *run, const struct tm_run_pipeline *p)
{
    char dir[PATH_MAX], compress[24], every[24], zone[TM_TIME_BYTES];
    snprintf(compress, sizeof compress, "%" PRId64, run->compress);
    snprintf(every, sizeof every, "%" PRId64, p->interval_ms / 1000);
    return json_pack(
        "{s:s, s:o, s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:s*, s:s, s:s*, s:s, s:s}",
        "TIDEMARK_SALESFORCE_URL", run->url, "TIDEMARK_SALESFORCE_USERNAME",
        json_sprintf("%s@tidemark.example", p->name), "TIDEMARK_SALESFORCE_PASSWORD", "tidemark",
        "TIDEMARK_SALESFORCE_TOKEN", "TOKEN", "TIDEMARK_SALESFORCE_CLIENT_ID",
        json_sprintf("tidemark-consumer-key.%s", p->name), "TIDEMARK_SALESFORCE_CLIENT_SECRET",
        "tidemark-consumer-secret", "TIDEMARK_BROKERS", run->brokers, "TIDEMARK_REGISTRY",
        run->registry, "TIDEMARK_OUT", realpath(run->dir, dir) != NULL ? dir : run->dir,
        "TIDEMARK_DATABASE", p->common ? p->database : NULL, "TIDEMARK_COMPRESS", compress,
        "TIDEMARK_EVERY_S", p->command != NULL ? every : NULL, "TIDEMARK_ORG_ORIGIN",
        tm_time_z(zone, run->org_origin_ms), "TIDEMARK_PIPELINE", p->name);
}

/* RUN/config/NAME.env, for a program that was started by somebody else: sh reads it. */
static enum tm_code external_env_file(const struct tm_run *run, const struct tm_run_pipeline *p,
                                      json_t *environment, struct tm_err *err)
{
    char path[TM_PATH_MAX], part[TM_PATH_MAX + 8];
    const char *name;
    json_t *value;
    snprintf(path, sizeof path, "%.800s/config/%.100s.env", run->dir, p->name);
    snprintf(part, sizeof part, "%s.part", path);
    FILE *f = fopen(part, "w");
    if (f == NULL)
        return tm_fail(err, TM_E_IO, "cannot write %s", part);
    json_object_foreach(environment, name, value)
    {
        fprintf(f, "export %s='", name);
        for (const char *c = json_string_value(value); *c != '\0'; c++)
            fputs(*c == '\'' ? "'\\''" : (const char[]){ *c, '\0' }, f);
        fputs("'\n", f);
    }
    /* whole or not at all: the other program may be waiting for it */
    bool bad = ferror(f) != 0;
    if (fclose(f) != 0 || bad || rename(part, path) != 0)
        return tm_fail(err, TM_E_IO, "cannot write %s", path);
    if (p->command == NULL)
        tm_log(TM_LOG_INFO,
               "%s: the org is at %s, what it needs to know is in %s; waiting for its rows",
               p->name, run->url, path);
    return TM_OK;
}

enum tm_code tm_run_external_config(const struct tm_run *run, const struct tm_run_pipeline *p,
                                    char out[TM_PATH_MAX], struct tm_err *err)
{
    char log[TM_PATH_MAX];
    json_t *environment = external_environment(run, p);
    if (environment == NULL)
        return tm_fail(err, TM_E_NOMEM, "environment of %s", p->name);
    enum tm_code rc = external_env_file(run, p, environment, err);
    snprintf(out, TM_PATH_MAX, "%.800s/config/%.100s.json", run->dir, p->name);
    snprintf(log, sizeof log, "%.800s/log/%.100s.command.log", run->dir, p->name);
    json_t *config =
        p->command == NULL
            ? json_object()
            : json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:O}", "name", p->name, "command",
                        p->command, "folder", p->folder, "every.ms", (json_int_t)p->interval_ms,
                        "limit.ms", (json_int_t)p->limit_ms, "runs", p->runs, "log", log,
                        "environment", environment);
    if (rc == TM_OK && (config == NULL || json_dump_file(config, out, JSON_INDENT(1)) != 0))
        rc = tm_fail(err, TM_E_IO, "cannot write %s", out);
    json_decref(config);
    json_decref(environment);
    return rc;
}

/* ---- how far it is ---- */

/* The last start that is over, and how many are; NULL: none. Caller owns. */
static json_t *external_last(const char *path, size_t *out_count)
{
    char text[EXTERNAL_LINE_BYTES];
    json_t *last = NULL;
    FILE *f = fopen(path, "r");
    *out_count = 0;
    while (f != NULL && fgets(text, sizeof text, f) != NULL) {
        json_t *line = strchr(text, '\n') != NULL ? json_loads(text, 0, NULL) : NULL;
        if (line == NULL)
            break; /* being written */
        json_decref(last);
        last = line;
        (*out_count)++;
    }
    if (f != NULL)
        fclose(f);
    return last;
}

static int64_t external_rows(const json_t *spec, const char *object)
{
    struct tm_err quiet = { 0 };
    struct tm_relation_spec checked;
    struct tm_warehouse *w = NULL;
    struct tm_relation *r = NULL;
    struct tm_relation_row row;
    uint64_t values[TM_SHOWN_COLUMNS_MAX];
    const char *path = json_string_value(json_object_get(spec, "database"));
    bool more = false;
    int64_t rows = -1;
    if (access(path, R_OK) == 0 &&
        tm_relation_spec(&checked, "relations", object, spec, NULL, &quiet) == TM_OK &&
        tm_warehouse_open(&w, path, 0, &quiet) == TM_OK &&
        tm_relation_open(&r, &checked, w, NULL, NULL, &quiet) == TM_OK)
        for (rows = 0; tm_relation_step(r, &more, &row, values, NULL, &quiet) == TM_OK && more;)
            rows++;
    tm_relation_close(r);
    tm_warehouse_close(w);
    return rows;
}

/* A running one shows as many rows as the org holds. */
static bool external_shows(const struct tm_run *run, const struct tm_run_pipeline *p,
                           char what[160])
{
    const char *object;
    json_t *spec;
    json_object_foreach(p->relations, object, spec)
    {
        char sql[300];
        snprintf(
            sql, sizeof sql,
            "SELECT count(*) FROM history WHERE object = '%.100s' AND event IS NULL AND change = "
            "'CREATE'",
            object);
        int64_t org = tm_run_ask(run->org_path, sql), rows = external_rows(spec, object);
        snprintf(what, 160, "%s: %" PRId64 " of %" PRId64 " rows of %.80s", p->name,
                 rows < 0 ? 0 : rows, org, object);
        if (rows < org || org < 0)
            return false;
    }
    return true;
}

/* The first start is over, or a running one shows the org; what is wrong is told, and the run goes
 * on: it is for measuring that. */
static bool external_ready(const struct tm_run *run, const struct tm_run_pipeline *p,
                           char what[160])
{
    size_t count;
    if (p->command == NULL)
        return external_shows(run, p, what);
    json_t *last = external_last(p->runs, &count);
    int64_t code = json_integer_value(json_object_get(last, "exit_code"));
    const char *said = json_string_value(json_object_get(last, "said"));
    if (last != NULL && code != 0)
        tm_log(TM_LOG_WARN, "%s: the first start of its command failed, exit code %" PRId64 ": %s",
               p->name, code, said != NULL ? said : "(it said nothing)");
    json_decref(last);
    snprintf(what, 160, "%s: its first start is not over", p->name);
    return count > 0;
}

enum tm_code tm_run_external_wait(struct tm_run *run, const struct tm_run_pipeline *p,
                                  struct tm_err *err)
{
    char what[160] = "";
    int64_t bound_ms = p->command != NULL ? p->limit_ms + 10000 : EXTERNAL_READY_MS;
    for (int64_t waited_ms = 0; waited_ms < bound_ms; waited_ms += 50) {
        if (tm_children_watch(&run->kids, err) != TM_OK || tm_run_interrupted(run, err) != TM_OK)
            return err->code;
        if (external_ready(run, p, what))
            return TM_OK;
        tm_supervise_pause(50);
    }
    tm_log(TM_LOG_WARN, "%s after %" PRId64 " s; the run goes on, what is missing is counted", what,
           bound_ms / 1000);
    return TM_OK;
}

bool tm_run_external_drained(const struct tm_run *run, const struct tm_run_pipeline *p,
                             int64_t last_ms, int64_t since_ns)
{
    size_t count;
    if (p->command == NULL)
        return tm_clock_monotonic_ns() - since_ns > p->settle_ms * TM_NS_PER_MS;
    json_t *last = external_last(p->runs, &count);
    const json_t *grid = json_object_get(last, "grid_org_ms");
    bool done = json_is_integer(grid) && json_integer_value(grid) > last_ms + run->index_lag_ms;
    json_decref(last);
    return done;
}

void tm_run_external_users(const struct tm_run *run, struct tm_buf *out)
{
    for (size_t i = 0; i < run->pipelines_count; i++)
        if (run->pipelines[i].kind == TM_RUN_EXTERNAL)
            tm_buf_addf(out, "%s%s", out->bytes > 0 ? "," : "", run->pipelines[i].name);
}
