/* run_plan: a scenario file to a checked plan. Every mistake is found here, before anything is
 * started. */
#include "run/run.h"
#include "reports/compare.h"
#include "base/text.h"
#include "mocks/salesforce/scenario.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* `key` is one of `known`, which ends with NULL; else the nearest is told. */
static enum tm_code plan_known(const char *key, const char *where, const char *const *known,
                               struct tm_err *err)
{
    size_t count = 0;
    for (; known[count] != NULL; count++)
        if (strcmp(key, known[count]) == 0)
            return TM_OK;
    const char *near = tm_nearest(key, known, count);
    return tm_fail(err, TM_E_ARG, "%sunknown key \"%.60s\"%s%s%s", where, key,
                   near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
}

enum tm_code tm_run_keys(const json_t *object, const char *where, const char *const *known,
                         struct tm_err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (plan_known(key, where, known, err) != TM_OK)
            return err->code;
    }
    return TM_OK;
}

/* What a scenario or a pipeline promises: named limits, numbers from 0. `known` ends with NULL. */
static const char *const run_promises[] = { "lateness_ms_p99", "achieved", "compare", NULL };
static const char *const pipeline_promises[] = { "unseen", "differing", "dirty", NULL };
static const char *const external_promises[] = { "unseen", "differing", "dirty", "failed", NULL };

static enum tm_code plan_promises(const json_t *slo, const char *const *known, struct tm_err *err)
{
    const char *key;
    json_t *value;
    if (slo == NULL)
        return TM_OK;
    if (!json_is_object(slo))
        return tm_fail(err, TM_E_ARG, "slo must be an object of limits");
    json_object_foreach((json_t *)(uintptr_t)slo, key, value)
    {
        bool whole = known != run_promises;
        bool good = whole ? json_is_integer(value) : json_is_number(value);
        if (plan_known(key, "slo: ", known, err) != TM_OK)
            return err->code;
        if (strcmp(key, "compare") == 0) {
            struct tm_compare_rules rules;
            if (tm_compare_rules_read(&rules, value, err) != TM_OK)
                return err->code;
            continue;
        }
        if (!good || json_number_value(value) < 0)
            return tm_fail(err, TM_E_ARG, "slo: \"%s\" must be a %s from 0", key,
                           whole ? "whole number" : "number");
    }
    return TM_OK;
}

/* Section 4: every polling interval must last half a wall second at least. */
static enum tm_code plan_interval(const struct tm_run *run, const struct tm_run_pipeline *p,
                                  struct tm_err *err)
{
    bool paced = p->kind == TM_RUN_BATCH || p->command != NULL;
    if (!paced || p->interval_ms >= run->compress * 500)
        return TM_OK;
    return tm_fail(err, TM_E_ARG,
                   "compress %" PRId64 " leaves less than half a second between polls; at most "
                   "%" PRId64,
                   run->compress, p->interval_ms / 500);
}

static enum tm_code plan_kind(struct tm_run *run, struct tm_run_pipeline *p, const json_t *json,
                              struct tm_err *err)
{
    const char *kind = json_string_value(json_object_get(json, "kind"));
    bool external = kind != NULL && strcmp(kind, "external") == 0;
    if (plan_promises(p->slo, external ? external_promises : pipeline_promises, err) != TM_OK)
        return err->code;
    if (external) {
        p->kind = TM_RUN_EXTERNAL;
        return tm_run_plan_external(run, p, json, err);
    }
    if (kind != NULL && strcmp(kind, "stream") == 0) {
        for (size_t i = 0; i + 1 < run->pipelines_count; i++)
            if (run->pipelines[i].kind == TM_RUN_STREAM)
                return tm_fail(err, TM_E_ARG,
                               "a run has one pipeline of kind \"stream\", this is the second");
        p->kind = TM_RUN_STREAM;
        return tm_run_plan_stream(run, p, json, err);
    }
    if (kind != NULL && strcmp(kind, "batch") == 0) {
        p->kind = TM_RUN_BATCH;
        return tm_run_plan_batch(run, p, json, err);
    }
    return tm_fail(err, TM_E_ARG,
                   "\"kind\" must be \"stream\", \"batch\" or \"external\", not \"%.40s\"",
                   kind != NULL ? kind : "");
}

static enum tm_code plan_pipeline(struct tm_run *run, const json_t *json, struct tm_err *err)
{
    struct tm_run_pipeline *p = &run->pipelines[run->pipelines_count];
    p->name = json_string_value(json_object_get(json, "name"));
    p->slo = json_object_get(json, "slo");
    if (p->name == NULL || *p->name == '\0' || strpbrk(p->name, "/ .") != NULL)
        return tm_fail(err, TM_E_ARG,
                       "%s: every pipeline needs a \"name\" without blanks, dots or slashes",
                       run->scenario_path);
    for (size_t i = 0; i < run->pipelines_count; i++)
        if (strcmp(run->pipelines[i].name, p->name) == 0)
            return tm_fail(err, TM_E_ARG, "%s: two pipelines are named \"%s\"", run->scenario_path,
                           p->name);
    run->pipelines_count++; /* from here on its owner frees what it holds */
    p->clients = json_array();
    enum tm_code rc = plan_kind(run, p, json, err);
    if (rc == TM_OK)
        rc = plan_interval(run, p, err);
    return rc == TM_OK ? TM_OK : tm_at(err, "%s: pipelines \"%.60s\"", run->scenario_path, p->name);
}

static enum tm_code plan_pipelines(struct tm_run *run, const json_t *list, struct tm_err *err)
{
    const json_t *item;
    size_t i;
    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > TM_RUN_PIPELINES_MAX)
        return tm_fail(err, TM_E_ARG, "%s: \"pipelines\" must list 1 to %d pipelines",
                       run->scenario_path, TM_RUN_PIPELINES_MAX);
    run->pipelines = calloc(json_array_size(list), sizeof *run->pipelines);
    if (run->pipelines == NULL)
        return tm_fail(err, TM_E_NOMEM, "reading %s", run->scenario_path);
    json_array_foreach(list, i, item)
    {
        if (plan_pipeline(run, item, err) != TM_OK)
            return err->code;
    }
    return TM_OK;
}

static const char *const plan_folders[] = { "/log", "/state", "/trace", "/stats", "/config" };

static bool plan_empty(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry = NULL;
    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            break;
    bool empty = folder != NULL && entry == NULL;
    if (folder != NULL)
        closedir(folder);
    return empty;
}

static enum tm_code plan_folder(struct tm_run *run, struct tm_err *err)
{
    char path[TM_PATH_MAX + 16];
    if (strlen(run->dir) > TM_RUN_DIR_MAX)
        return tm_fail(
            err, TM_E_ARG,
            "the path of the run's folder is longer than %d bytes: %.60s…; choose another "
            "with --out",
            TM_RUN_DIR_MAX, run->dir);
    for (char *slash = strchr(run->dir + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int made = mkdir(run->dir, 0755);
        bool bad = made != 0 && errno != EEXIST;
        *slash = '/';
        if (bad)
            return tm_fail(err, TM_E_ARG,
                           "cannot make the folder of %s: %s; choose another with --out", run->dir,
                           strerror(errno));
    }
    run->dir_made = !run->resumes && mkdir(run->dir, 0755) == 0;
    if (!run->resumes && !run->dir_made && errno != EEXIST)
        return tm_fail(err, TM_E_ARG, "cannot make %s: %s; choose another folder with --out",
                       run->dir, strerror(errno));
    if (!run->resumes && !run->dir_made && !plan_empty(run->dir))
        return tm_fail(err, TM_E_ARG,
                       "%s is no empty folder: what is in it, maybe an earlier run, would be mixed "
                       "with this one; choose another with --out",
                       run->dir);
    for (size_t i = 0; i < sizeof plan_folders / sizeof plan_folders[0]; i++) {
        snprintf(path, sizeof path, "%s%s", run->dir, plan_folders[i]);
        if (mkdir(path, 0755) != 0 && !(run->resumes && errno == EEXIST))
            return tm_fail(err, TM_E_ARG,
                           "cannot write to %s: %s; choose another folder with --out", run->dir,
                           strerror(errno));
    }
    snprintf(run->clock_path, TM_PATH_MAX, "%.900s/clock", run->dir);
    snprintf(run->org_path, TM_PATH_MAX, "%.900s/org.db", run->dir);
    snprintf(run->raw_path, TM_PATH_MAX, "%.900s/raw.db", run->dir);
    snprintf(run->view_path, TM_PATH_MAX, "%.900s/view.db", run->dir);
    snprintf(run->kids.dir, sizeof run->kids.dir, "%s", run->dir);
    return TM_OK;
}

/* After a mistake: takes away what plan_folder made and plan_set wrote, so that the same --out
 * serves the next try. */
static void plan_folder_undo(const struct tm_run *run)
{
    char path[TM_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/config", run->dir);
    DIR *config = opendir(path);
    const struct dirent *entry;
    while (config != NULL && (entry = readdir(config)) != NULL)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(config), entry->d_name, 0);
    if (config != NULL)
        closedir(config);
    for (size_t i = 0; i < sizeof plan_folders / sizeof plan_folders[0]; i++) {
        snprintf(path, sizeof path, "%s%s", run->dir, plan_folders[i]);
        rmdir(path);
    }
    if (run->dir_made)
        rmdir(run->dir);
}

static enum tm_code plan_object(struct tm_run *run, const char *name, size_t bytes,
                                struct tm_err *err)
{
    if (run->objects_count == TM_RUN_OBJECTS_MAX)
        return tm_fail(err, TM_E_LIMIT, "%s: more than %d objects", run->scenario_path,
                       TM_RUN_OBJECTS_MAX);
    snprintf(run->objects[run->objects_count++], sizeof run->objects[0], "%.*s", (int)bytes, name);
    return TM_OK;
}

static int plan_by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Every describe of the folder. */
static enum tm_code plan_described(struct tm_run *run, struct tm_err *err)
{
    const struct dirent *entry;
    DIR *folder = opendir(run->objects_dir);
    if (folder == NULL)
        return tm_fail(err, TM_E_ARG, "%s: %s", run->objects_dir, strerror(errno));
    while ((entry = readdir(folder)) != NULL && err->code == TM_OK) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && strcmp(dot, ".json") == 0)
            plan_object(run, entry->d_name, (size_t)(dot - entry->d_name), err);
    }
    closedir(folder);
    qsort(run->objects, run->objects_count, sizeof run->objects[0], plan_by_name);
    return err->code;
}

/* The scenario's objects, each with its describe; or every describe of the folder. */
static enum tm_code plan_objects(struct tm_run *run, const char *const *named, struct tm_err *err)
{
    const char *described[TM_RUN_OBJECTS_MAX];
    char path[TM_PATH_MAX + 160];
    if (plan_described(run, err) != TM_OK || named == NULL)
        return err->code;
    for (size_t i = 0; i < run->objects_count; i++)
        described[i] = run->objects[i];
    for (size_t i = 0; named[i] != NULL; i++) {
        const char *near = tm_nearest(named[i], described, run->objects_count);
        snprintf(path, sizeof path, "%s/%.100s.json", run->objects_dir, named[i]);
        if (access(path, R_OK) != 0)
            return tm_fail(err, TM_E_ARG, "%s: objects: there is no %s%s%s%s", run->scenario_path,
                           path, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    run->objects_count = 0;
    for (size_t i = 0; named[i] != NULL; i++)
        if (plan_object(run, named[i], strlen(named[i]), err) != TM_OK)
            return err->code;
    return TM_OK;
}

/* Event types that this workload must produce: a run that never saw one has not tested it. */
static json_t *plan_events(const struct tm_scenario_workload *w)
{
    static const struct {
        enum tm_workload_kind kind;
        const char *event;
    } map[] = { { TM_WL_CREATE, "CREATE" },         { TM_WL_UPDATE, "UPDATE" },
                { TM_WL_DELETE, "DELETE" },         { TM_WL_UNDELETE, "UNDELETE" },
                { TM_WL_GAP_CREATE, "GAP_CREATE" }, { TM_WL_GAP_UPDATE, "GAP_UPDATE" },
                { TM_WL_GAP_DELETE, "GAP_DELETE" }, { TM_WL_GAP_UNDELETE, "GAP_UNDELETE" },
                { TM_WL_OVERFLOW, "GAP_OVERFLOW" } };
    json_t *events = json_array();
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
        if (w->kinds[map[i].kind])
            json_array_append_new(events, json_string(map[i].event));
    return events;
}

/* Credentials of the mock for `${env:…}` in the connector configs; a user's own values in the
 * environment win. */
static void plan_credentials(void)
{
    setenv("TIDEMARK_SALESFORCE_USERNAME", "integration@tidemark.example", 0);
    setenv("TIDEMARK_SALESFORCE_PASSWORD", "tidemark", 0);
    setenv("TIDEMARK_SALESFORCE_TOKEN", "TOKEN", 0);
    setenv("TIDEMARK_SALESFORCE_CLIENT_ID", "tidemark-consumer-key", 0);
    setenv("TIDEMARK_SALESFORCE_CLIENT_SECRET", "tidemark-consumer-secret", 0);
    setenv("TIDEMARK_SALESFORCE_URL", "http://127.0.0.1", 0);
}

enum tm_code tm_run_plan(struct tm_run *run, struct tm_err *err)
{
    struct tm_scenario *s = NULL;
    plan_credentials();
    enum tm_code rc = tm_scenario_load(&s, run->scenario_path, err);
    if (rc != TM_OK)
        return rc;
    run->hours = s->hours;
    run->compress = s->compress;
    run->publish_delay_ms = s->publish_delay_ms;
    run->index_lag_ms = s->index_lag_ms;
    run->org_origin_ms = s->origin_ms;
    if (run->seed < 0)
        run->seed = (int64_t)s->seed;
    run->offered = s->workload.changes;
    run->events = plan_events(&s->workload);
    run->scenario = json_incref(s->json);
    if (run->pipelines_given != NULL) {
        json_object_set(run->scenario, "pipelines", run->pipelines_given);
        run->compress = 1; /* is simulated */
    }
    rc = tm_run_path(run, run->objects_dir, "../objects", "objects folder", err);
    if (rc == TM_OK)
        rc = plan_objects(run, s->objects, err);
    tm_scenario_close(s);
    if (rc == TM_OK)
        rc = plan_promises(json_object_get(run->scenario, "slo"), run_promises, err);
    if (rc != TM_OK && err->ctx[0] == '\0' && strstr(err->msg, run->scenario_path) == NULL)
        tm_at(err, "%s", run->scenario_path);
    if (rc != TM_OK || (rc = plan_folder(run, err)) != TM_OK)
        return rc;
    rc = plan_pipelines(run, json_object_get(run->scenario, "pipelines"), err);
    if (rc == TM_OK)
        rc = tm_run_reach(run, err);
    if (rc != TM_OK && !run->resumes)
        plan_folder_undo(run);
    return rc;
}
