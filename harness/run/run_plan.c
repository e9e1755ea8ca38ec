/* run_plan: a scenario file to a checked plan. Every mistake is found here, before anything is
 * started. */
#include "run/run.h"
#include "base/config.h"
#include "base/text.h"
#include "batch/batch.h"
#include "mocks/salesforce/scenario.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* A path in a scenario is relative to the scenario's own folder. */
static enum tm_code plan_path(const struct tm_run *run, char out[TM_PATH_MAX], const char *path,
                              const char *what, struct tm_err *err)
{
    const char *slash = strrchr(run->scenario_path, '/');
    int folder = path[0] == '/' || slash == NULL ? 0 : (int)(slash - run->scenario_path) + 1;
    int n = snprintf(out, TM_PATH_MAX, "%.*s%s", folder, run->scenario_path, path);
    if (n >= TM_PATH_MAX)
        return tm_fail(err, TM_E_ARG, "%s: path of %s is too long", run->scenario_path, what);
    if (access(out, R_OK) != 0)
        return tm_fail(err, TM_E_ARG, "%s: %s names %s: %s", run->scenario_path, what, out,
                       strerror(errno));
    return TM_OK;
}

static enum tm_code plan_file(const struct tm_run *run, char out[TM_PATH_MAX],
                              const json_t *pipeline, const char *key, struct tm_err *err)
{
    const json_t *value = json_object_get(pipeline, key);
    char what[160];
    snprintf(what, sizeof what, "pipelines \"%s\" key \"%s\"",
             json_string_value(json_object_get(pipeline, "name")), key);
    if (!json_is_string(value))
        return tm_fail(err, TM_E_ARG, "%s: %s must be the path of a config file",
                       run->scenario_path, what);
    return plan_path(run, out, json_string_value(value), what, err);
}

static enum tm_code plan_keys(const struct tm_run *run, const json_t *pipeline,
                              const char *const *known, size_t count, struct tm_err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)pipeline, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < count && !found; i++)
            found = strcmp(key, known[i]) == 0;
        if (!found) {
            const char *near = tm_nearest(key, known, count);
            return tm_fail(err, TM_E_ARG, "%s: pipelines: unknown key \"%s\"%s%s%s",
                           run->scenario_path, key, near ? " (did you mean \"" : "",
                           near ? near : "", near ? "\"?)" : "");
        }
    }
    return TM_OK;
}

/* What a scenario or a pipeline promises: named limits, numbers from 0. `known` ends with NULL. */
static const char *const run_promises[] = { "lateness_ms_p99", "achieved", NULL };
static const char *const pipeline_promises[] = { "unseen", "differing", "dirty", NULL };

static enum tm_code plan_promises(const struct tm_run *run, const json_t *slo, const char *where,
                                  const char *const *known, struct tm_err *err)
{
    const char *key;
    json_t *value;
    size_t count = 0;
    while (known[count] != NULL)
        count++;
    if (slo == NULL)
        return TM_OK;
    if (!json_is_object(slo))
        return tm_fail(err, TM_E_ARG, "%s: %s must be an object of limits", run->scenario_path,
                       where);
    json_object_foreach((json_t *)(uintptr_t)slo, key, value)
    {
        size_t i = 0;
        while (i < count && strcmp(key, known[i]) != 0)
            i++;
        const char *near = i < count ? NULL : tm_nearest(key, known, count);
        if (i == count)
            return tm_fail(err, TM_E_ARG, "%s: %s: unknown key \"%.60s\"%s%s%s", run->scenario_path,
                           where, key, near ? " (did you mean \"" : "", near ? near : "",
                           near ? "\"?)" : "");
        bool good = known == pipeline_promises ? json_is_integer(value) : json_is_number(value);
        if (!good || json_number_value(value) < 0)
            return tm_fail(err, TM_E_ARG, "%s: %s: \"%s\" must be a %s from 0", run->scenario_path,
                           where, key, known == pipeline_promises ? "whole number" : "number");
    }
    return TM_OK;
}

/* No fault can be asked for yet: one that is named would be believed to have happened. */
static enum tm_code plan_faults(const struct tm_run *run, struct tm_err *err)
{
    const json_t *faults = json_object_get(run->scenario, "faults");
    void *first = json_object_iter((json_t *)(uintptr_t)faults);
    if (first == NULL)
        return TM_OK;
    return tm_fail(err, TM_E_ARG, "%s: faults: unknown key \"%.60s\"; leave \"faults\" empty",
                   run->scenario_path, json_object_iter_key(first));
}

/* Stations sign their HTTP calls with a name from their config: `tidemark-<name>/1`. Whose calls
 * the pipeline pays for. */
static enum tm_code plan_client(struct tm_run_pipeline *p, const char *path, const char *key,
                                struct tm_err *err)
{
    json_t *config = NULL;
    char agent[160];
    if (tm_json_load(&config, path, err) != TM_OK)
        return err->code;
    const json_t *inner = json_object_get(config, "config");
    const char *name = json_string_value(json_object_get(config, key));
    if (name == NULL)
        name = json_string_value(json_object_get(inner, key));
    snprintf(agent, sizeof agent, "tidemark-%.100s/1", name != NULL ? name : "source");
    json_array_append_new(p->clients, json_string(agent));
    json_decref(config);
    return TM_OK;
}

/* "set": keys of a config that this scenario changes. The changed config is written into the run's
 * folder as `stem`.json and `config` becomes its path. */
static enum tm_code plan_set(const struct tm_run *run, char config[TM_PATH_MAX], const char *stem,
                             const json_t *set, struct tm_err *err)
{
    json_t *json = NULL, *inner;
    char path[TM_PATH_MAX];
    if (set == NULL)
        return TM_OK;
    if (!json_is_object(set))
        return tm_fail(err, TM_E_ARG, "%s: pipelines: \"set\" must be an object of config keys",
                       run->scenario_path);
    if (tm_json_load(&json, config, err) != TM_OK)
        return err->code;
    inner = json_object_get(json, "config");
    json_object_update(json_is_object(inner) ? inner : json, (json_t *)(uintptr_t)set);
    snprintf(path, sizeof path, "%.800s/config/%.100s.json", run->dir, stem);
    if (json_dump_file(json, path, JSON_INDENT(1)) != 0)
        tm_fail(err, TM_E_IO, "cannot write %s", path);
    json_decref(json);
    memcpy(config, path, sizeof path);
    return err->code;
}

static enum tm_code plan_stream_set(const struct tm_run *run, struct tm_run_pipeline *p,
                                    const json_t *set, struct tm_err *err)
{
    static const char *const known[] = { "source", "gap", "reconcile", "sink", "view" };
    char stem[64];
    if (set == NULL)
        return TM_OK;
    if (plan_keys(run, set, known, sizeof known / sizeof known[0], err) != TM_OK)
        return err->code;
    for (size_t i = 0; i < p->sources_count; i++) {
        snprintf(stem, sizeof stem, "source-%zu", i + 1);
        if (plan_set(run, p->sources[i], stem, json_object_get(set, "source"), err) != TM_OK)
            return err->code;
    }
    if (plan_set(run, p->gap, "gap", json_object_get(set, "gap"), err) != TM_OK ||
        plan_set(run, p->reconcile, "reconcile", json_object_get(set, "reconcile"), err) != TM_OK ||
        plan_set(run, p->sink, "sink", json_object_get(set, "sink"), err) != TM_OK)
        return err->code;
    return plan_set(run, p->view, "view", json_object_get(set, "view"), err);
}

/* How long until a scheduled copy has looked at everything once more: what has no event is found by
 * nothing else. */
static enum tm_code plan_audit(struct tm_run_pipeline *p, const char *path, struct tm_err *err)
{
    json_t *json = NULL;
    if (tm_json_load(&json, path, err) != TM_OK)
        return err->code;
    const json_t *inner = json_object_get(json, "config");
    const json_t *value =
        json_object_get(inner != NULL ? inner : json, "tidemark.audit.interval.ms");
    int64_t ms = json_is_integer(value)  ? json_integer_value(value)
                 : json_is_string(value) ? strtoll(json_string_value(value), NULL, 10)
                                         : 0;
    if (ms > p->interval_ms)
        p->interval_ms = ms;
    json_decref(json);
    return TM_OK;
}

/* A range read that does not know how far the org's index is behind answers with what it has not
 * seen (R9). */
static enum tm_code plan_index_lag(const struct tm_run *run, struct tm_run_pipeline *p,
                                   struct tm_err *err)
{
    json_t *json = NULL;
    if (run->index_lag_ms == 0 || tm_json_load(&json, p->reconcile, err) != TM_OK)
        return err->code;
    const json_t *inner = json_object_get(json, "config");
    const json_t *config = json_is_object(inner) ? inner : json;
    const char *how = json_string_value(json_object_get(config, "overflow.read"));
    bool wanted = how != NULL && strcasecmp(how, "range") == 0 &&
                  json_object_get(config, "index.lag.ms") == NULL;
    json_decref(json);
    if (!wanted)
        return TM_OK;
    json_t *set = json_pack("{s:I}", "index.lag.ms", (json_int_t)run->index_lag_ms);
    enum tm_code rc = plan_set(run, p->reconcile, "reconcile", set, err);
    json_decref(set);
    return rc;
}

static enum tm_code plan_stream(struct tm_run *run, struct tm_run_pipeline *p, const json_t *json,
                                struct tm_err *err)
{
    static const char *const known[] = { "name", "kind", "sources", "gap", "reconcile",
                                         "sink", "view", "set",     "slo" };
    const json_t *sources = json_object_get(json, "sources"), *source;
    size_t i;
    if (plan_keys(run, json, known, sizeof known / sizeof known[0], err) != TM_OK)
        return err->code;
    if (!json_is_array(sources) || json_array_size(sources) == 0 ||
        json_array_size(sources) > TM_RUN_SOURCES_MAX)
        return tm_fail(err, TM_E_ARG,
                       "%s: pipelines \"%s\": \"sources\" must list 1 to %d config files",
                       run->scenario_path, p->name, TM_RUN_SOURCES_MAX);
    json_array_foreach(sources, i, source)
    {
        if (!json_is_string(source))
            return tm_fail(err, TM_E_ARG, "%s: pipelines \"%s\": \"sources\" must be paths",
                           run->scenario_path, p->name);
        if (plan_path(run, p->sources[i], json_string_value(source), "sources", err) != TM_OK)
            return err->code;
        p->sources_count++;
    }
    if (plan_file(run, p->gap, json, "gap", err) != TM_OK ||
        plan_file(run, p->reconcile, json, "reconcile", err) != TM_OK ||
        plan_file(run, p->sink, json, "sink", err) != TM_OK ||
        plan_file(run, p->view, json, "view", err) != TM_OK ||
        plan_stream_set(run, p, json_object_get(json, "set"), err) != TM_OK ||
        plan_index_lag(run, p, err) != TM_OK || plan_client(p, p->reconcile, "name", err) != TM_OK)
        return err->code;
    for (i = 0; i < p->sources_count; i++)
        if (plan_client(p, p->sources[i], "tidemark.pipeline", err) != TM_OK ||
            plan_audit(p, p->sources[i], err) != TM_OK)
            return err->code;
    return TM_OK;
}

static enum tm_code plan_batch(struct tm_run *run, struct tm_run_pipeline *p, const json_t *json,
                               struct tm_err *err)
{
    static const char *const known[] = { "name", "kind", "config", "set", "slo" };
    struct tm_batch_settings settings;
    struct tm_config *config = NULL;
    if (plan_keys(run, json, known, sizeof known / sizeof known[0], err) != TM_OK ||
        plan_file(run, p->config, json, "config", err) != TM_OK ||
        plan_set(run, p->config, p->name, json_object_get(json, "set"), err) != TM_OK)
        return err->code;
    if (snprintf(p->database, TM_PATH_MAX, "%.900s/%s.db", run->dir, p->name) >= TM_PATH_MAX)
        return tm_fail(err, TM_E_ARG, "the output folder's path is too long");
    if (tm_batch_settings_load(&settings, &config, p->config, "http://127.0.0.1", err) != TM_OK)
        return err->code;
    p->interval_ms = settings.interval_ms;
    p->overlap_ms = settings.overlap_ms;
    p->full_at_ms = settings.full_at_ms;
    p->carries = json_array();
    const char *const *items;
    size_t items_count = tm_config_list(config, "carries", &items);
    for (size_t i = 0; i < items_count; i++)
        json_array_append_new(p->carries, json_string(items[i]));
    tm_config_close(config);
    return plan_client(p, p->config, "name", err);
}

static enum tm_code plan_pipeline(struct tm_run *run, const json_t *json, struct tm_err *err)
{
    struct tm_run_pipeline *p = &run->pipelines[run->pipelines_count];
    const char *kind = json_string_value(json_object_get(json, "kind"));
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
    char where[160];
    snprintf(where, sizeof where, "pipelines \"%.100s\" slo", p->name);
    if (plan_promises(run, p->slo, where, pipeline_promises, err) != TM_OK)
        return err->code;
    if (kind != NULL && strcmp(kind, "stream") == 0) {
        for (size_t i = 0; i + 1 < run->pipelines_count; i++)
            if (run->pipelines[i].kind == TM_RUN_STREAM)
                return tm_fail(err, TM_E_ARG,
                               "%s: one pipeline of kind \"stream\" a run, \"%s\" is the second",
                               run->scenario_path, p->name);
        p->kind = TM_RUN_STREAM;
        return plan_stream(run, p, json, err);
    }
    if (kind != NULL && strcmp(kind, "batch") == 0) {
        p->kind = TM_RUN_BATCH;
        return plan_batch(run, p, json, err);
    }
    return tm_fail(err, TM_E_ARG, "%s: pipelines \"%s\": \"kind\" must be \"stream\" or \"batch\"",
                   run->scenario_path, p->name);
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
        /* Section 4: every polling interval must last half a wall second at least. */
        const struct tm_run_pipeline *p = &run->pipelines[i];
        if (p->kind == TM_RUN_BATCH && p->interval_ms < run->compress * 500)
            return tm_fail(err, TM_E_ARG,
                           "%s: compress %lld leaves \"%s\" less than half a second between polls; "
                           "at most %lld",
                           run->scenario_path, (long long)run->compress, p->name,
                           (long long)(p->interval_ms / 500));
    }
    return TM_OK;
}

static enum tm_code plan_folder(struct tm_run *run, struct tm_err *err)
{
    char path[TM_PATH_MAX + 16];
    static const char *const folders[] = { "", "/log", "/state", "/trace", "/stats", "/config" };
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
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, sizeof path, "%s%s", run->dir, folders[i]);
        if (mkdir(path, 0755) != 0 && (i > 0 || errno != EEXIST || access(path, W_OK) != 0))
            return tm_fail(err, TM_E_ARG,
                           "cannot write to %s: %s; choose another folder with --out", path,
                           errno == EEXIST ? "an earlier run is in it" : strerror(errno));
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
    static const char *const folders[] = { "/log", "/state", "/trace", "/stats", "/config" };
    char path[TM_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/config", run->dir);
    DIR *config = opendir(path);
    const struct dirent *entry;
    while (config != NULL && (entry = readdir(config)) != NULL)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(config), entry->d_name, 0);
    if (config != NULL)
        closedir(config);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, sizeof path, "%s%s", run->dir, folders[i]);
        rmdir(path);
    }
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

/* The scenario's objects, or every describe of the folder. */
static enum tm_code plan_objects(struct tm_run *run, const char *const *named, struct tm_err *err)
{
    DIR *folder;
    const struct dirent *entry;
    for (size_t i = 0; named != NULL && named[i] != NULL; i++)
        if (plan_object(run, named[i], strlen(named[i]), err) != TM_OK)
            return err->code;
    if (named != NULL)
        return TM_OK;
    if ((folder = opendir(run->objects_dir)) == NULL)
        return tm_fail(err, TM_E_IO, "%s: %s", run->objects_dir, strerror(errno));
    while ((entry = readdir(folder)) != NULL && err->code == TM_OK) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && strcmp(dot, ".json") == 0)
            plan_object(run, entry->d_name, (size_t)(dot - entry->d_name), err);
    }
    closedir(folder);
    qsort(run->objects, run->objects_count, sizeof run->objects[0], plan_by_name);
    return err->code;
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
    rc = plan_path(run, run->objects_dir, "../objects", "the objects folder", err);
    if (rc == TM_OK)
        rc = plan_objects(run, s->objects, err);
    tm_scenario_close(s);
    if (rc == TM_OK)
        rc = plan_promises(run, json_object_get(run->scenario, "slo"), "slo", run_promises, err);
    if (rc == TM_OK)
        rc = plan_faults(run, err);
    if (rc != TM_OK || (rc = plan_folder(run, err)) != TM_OK)
        return rc;
    rc = plan_pipelines(run, json_object_get(run->scenario, "pipelines"), err);
    if (rc != TM_OK)
        plan_folder_undo(run);
    return rc;
}
