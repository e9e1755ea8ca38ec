/* run_stations: the station configs that a scenario's pipelines name, read by the stations' own
 * readers, so that a mistake is told before anything is started, with the file, the key and the
 * pipeline. Also: "set", and whether every object of the org comes through every station. */
#include "run/run.h"
#include "run/command.h"
#include "base/config.h"
#include "batch/batch.h"
#include "event/contract.h"
#include "gap/gap.h"
#include "reconcile/reconcile.h"
#include "source/source.h"
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* no HTTP call is made while planning; the org has no address yet */
#define STATIONS_URL "http://127.0.0.1"

/* A path in a scenario is relative to the scenario's own folder. */
enum tm_code tm_run_path(const struct tm_run *run, char out[TM_PATH_MAX], const char *path,
                         const char *what, struct tm_err *err)
{
    const char *slash = strrchr(run->scenario_path, '/');
    int folder = path[0] == '/' || slash == NULL ? 0 : (int)(slash - run->scenario_path) + 1;
    int n = snprintf(out, TM_PATH_MAX, "%.*s%s", folder, run->scenario_path, path);
    if (n >= TM_PATH_MAX)
        return tm_fail(err, TM_E_ARG, "path of %s is too long", what);
    if (access(out, R_OK) != 0)
        return tm_fail(err, TM_E_ARG, "%s names %s: %s", what, out, strerror(errno));
    return TM_OK;
}

static enum tm_code stations_file(const struct tm_run *run, char out[TM_PATH_MAX],
                                  const json_t *pipeline, const char *key, struct tm_err *err)
{
    const json_t *value = json_object_get(pipeline, key);
    char what[80];
    snprintf(what, sizeof what, "key \"%s\"", key);
    if (!json_is_string(value))
        return tm_fail(err, TM_E_ARG, "%s must be the path of a config file", what);
    return tm_run_path(run, out, json_string_value(value), what, err);
}

/* "set": keys of a config that this scenario changes. The changed config is written into the run's
 * folder as `stem`.json and `config` becomes its path. */
static enum tm_code stations_set(const struct tm_run *run, char config[TM_PATH_MAX],
                                 const char *stem, const json_t *set, struct tm_err *err)
{
    json_t *json = NULL, *inner;
    char path[TM_PATH_MAX];
    if (set == NULL)
        return TM_OK;
    if (!json_is_object(set))
        return tm_fail(err, TM_E_ARG, "\"set\" must be an object of config keys");
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

static enum tm_code stations_stream_set(const struct tm_run *run, struct tm_run_pipeline *p,
                                        const json_t *set, struct tm_err *err)
{
    static const char *const known[] = { "source", "gap", "reconcile", "sink", "view", NULL };
    char *const configs[] = { p->gap, p->reconcile, p->sink, p->view };
    char stem[64];
    enum tm_code rc = tm_run_keys(set, "set: ", known, err);
    for (size_t i = 0; i < p->sources_count && rc == TM_OK; i++) {
        snprintf(stem, sizeof stem, "source-%zu", i + 1);
        rc = stations_set(run, p->sources[i], stem, json_object_get(set, "source"), err);
    }
    for (size_t i = 1; known[i] != NULL && rc == TM_OK; i++)
        rc = stations_set(run, configs[i - 1], known[i], json_object_get(set, known[i]), err);
    return rc;
}

/* Stations sign their HTTP calls with a name from their config: whose calls the pipeline pays. */
static void stations_client(struct tm_run_pipeline *p, const char *name)
{
    char agent[TM_AGENT_BYTES];
    json_array_append_new(p->clients, json_string(tm_command_agent(agent, name)));
}

/* ---- every object of the org, in every station ---- */

static bool stations_has(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

/* What the station reads is in the org, and all of the org is read. `file` and `key` say where. */
static enum tm_code stations_cover(const struct tm_run *run, const char *const *names, size_t count,
                                   const char *file, const char *key, struct tm_err *err)
{
    const char *org[TM_RUN_OBJECTS_MAX];
    for (size_t i = 0; i < run->objects_count; i++)
        org[i] = run->objects[i];
    for (size_t i = 0; i < count; i++)
        if (!stations_has(org, run->objects_count, names[i])) {
            const char *near = tm_nearest(names[i], org, run->objects_count);
            return tm_fail(err, TM_E_ARG, "%s: %s: this scenario's org has no object %.60s%s%s%s",
                           file, key, names[i], near ? "; did you mean " : "", near ? near : "",
                           near ? "?" : "");
        }
    for (size_t i = 0; i < run->objects_count; i++)
        if (!stations_has(names, count, org[i]))
            return tm_fail(err, TM_E_ARG,
                           "%s: %s leaves out %s; add it, or take it out of the scenario's "
                           "\"objects\"",
                           file, key, org[i]);
    return TM_OK;
}

/* The Kafka properties that the station would be given are good. */
static enum tm_code stations_properties(const struct tm_run *run, const struct tm_config *config,
                                        const char *file, struct tm_err *err)
{
    struct tm_properties properties;
    const struct tm_station_flags flags = { .kafka_properties = run->kafka_properties };
    if (tm_command_properties(&properties, &flags, config, err) != TM_OK)
        return tm_at(err, "%s", file);
    tm_properties_free(&properties);
    return TM_OK;
}

/* ---- station by station ---- */

struct stations_read { /* by the sources */
    char objects[TM_RUN_SOURCES_MAX][128], topics[TM_RUN_SOURCES_MAX][TM_TOPIC_NAME_MAX];
};

static enum tm_code stations_source(const struct tm_run *run, struct tm_run_pipeline *p, size_t at,
                                    struct stations_read *out, struct tm_err *err)
{
    struct tm_source_settings settings;
    struct tm_config *config = NULL;
    size_t keys_count;
    const struct tm_key *keys = tm_source_keys(&keys_count);
    enum tm_code rc = tm_config_load(&config, p->sources[at], keys, keys_count, err);
    if (rc == TM_OK && tm_source_settings_read(&settings, config, NULL, err) != TM_OK)
        rc = tm_at(err, "%s", p->sources[at]);
    if (rc == TM_OK) {
        snprintf(out->objects[at], sizeof out->objects[at], "%s", settings.object);
        stations_client(p, settings.pipeline);
        if (settings.audit_ms > p->interval_ms)
            p->interval_ms = settings.audit_ms;
        rc = tm_source_topic(out->topics[at], &settings, NULL, err);
    }
    if (rc == TM_OK)
        rc = stations_properties(run, config, p->sources[at], err);
    tm_config_close(config);
    return rc;
}

static enum tm_code stations_sources(struct tm_run *run, struct tm_run_pipeline *p,
                                     const json_t *json, struct stations_read *out,
                                     struct tm_err *err)
{
    const json_t *set = json_object_get(json, "set");
    const char *objects[TM_RUN_SOURCES_MAX];
    for (size_t i = 0; i < p->sources_count; i++) {
        if (stations_source(run, p, i, out, err) != TM_OK)
            return err->code;
        objects[i] = out->objects[i];
        memcpy(p->reads[i], out->objects[i], sizeof p->reads[i]);
        if (stations_has(objects, i, objects[i]))
            return tm_fail(err, TM_E_ARG, "sources: %s reads %s, as one before it does%s",
                           p->sources[i], objects[i],
                           json_object_get(json_object_get(set, "source"), "salesforce.cdc.name")
                               ? "; \"set\" applies to every source"
                               : "");
    }
    return stations_cover(run, objects, p->sources_count, run->scenario_path, "sources", err);
}

/* A range read that does not know how far the org's index is behind answers with what it has not
 * seen (R9). */
static enum tm_code stations_reconcile(struct tm_run *run, struct tm_run_pipeline *p,
                                       struct tm_err *err)
{
    struct tm_recon_settings settings = { 0 };
    struct tm_config *config = NULL;
    enum tm_code rc = tm_recon_settings_load(&settings, &config, p->reconcile, STATIONS_URL, err);
    if (rc == TM_OK)
        rc = stations_cover(run, (const char *const *)settings.objects, settings.objects_count,
                            p->reconcile, "topics", err);
    if (rc == TM_OK)
        rc = stations_properties(run, config, p->reconcile, err);
    if (rc == TM_OK) {
        stations_client(p, settings.name);
        if (settings.overflow_range && run->index_lag_ms > 0 &&
            !tm_config_has(config, "index.lag.ms")) {
            json_t *set = json_pack("{s:I}", "index.lag.ms", (json_int_t)run->index_lag_ms);
            rc = stations_set(run, p->reconcile, "reconcile", set, err);
            json_decref(set);
        }
    }
    tm_recon_settings_free(&settings);
    tm_config_close(config);
    return rc;
}

static enum tm_code stations_gap(struct tm_run *run, struct tm_run_pipeline *p, struct tm_err *err)
{
    struct tm_gap_settings settings = { 0 };
    struct tm_config *config = NULL;
    enum tm_code rc = tm_gap_settings_load(&settings, &config, p->gap, err);
    if (rc == TM_OK)
        rc = stations_cover(run, (const char *const *)settings.objects, settings.objects_count,
                            p->gap, "topics", err);
    if (rc == TM_OK)
        rc = stations_properties(run, config, p->gap, err);
    tm_gap_settings_free(&settings);
    tm_config_close(config);
    return rc;
}

static enum tm_code stations_sink(const struct tm_run *run, const struct tm_run_pipeline *p,
                                  const struct stations_read *read, struct tm_err *err)
{
    struct tm_config *config = NULL;
    const char *const *topics;
    enum tm_code rc = tm_sink_config(&config, p->sink, err);
    size_t count = rc == TM_OK ? tm_config_list(config, "topics", &topics) : 0;
    for (size_t i = 0; i < p->sources_count && rc == TM_OK; i++)
        if (read->topics[i][0] != '\0' && !stations_has(topics, count, read->topics[i]))
            rc = tm_fail(err, TM_E_ARG, "%s: topics leaves out %s, to which %s writes", p->sink,
                         read->topics[i], p->sources[i]);
    if (rc == TM_OK)
        rc = stations_properties(run, config, p->sink, err);
    tm_config_close(config);
    return rc;
}

static enum tm_code stations_view(struct tm_run *run, struct tm_run_pipeline *p, struct tm_err *err)
{
    struct tm_config *config = NULL;
    const char *const *objects;
    enum tm_code rc = tm_view_config(&config, p->view, err);
    if (rc == TM_OK) {
        size_t count = tm_config_list(config, "objects", &objects);
        rc = stations_cover(run, objects, count, p->view, "objects", err);
    }
    if (rc == TM_OK)
        rc = stations_properties(run, config, p->view, err);
    tm_config_close(config);
    return rc;
}

static enum tm_code stations_files(struct tm_run *run, struct tm_run_pipeline *p,
                                   const json_t *json, struct tm_err *err)
{
    static const char *const keys[] = { "gap", "reconcile", "sink", "view" };
    char *const configs[] = { p->gap, p->reconcile, p->sink, p->view };
    const json_t *sources = json_object_get(json, "sources"), *source;
    enum tm_code rc = TM_OK;
    size_t i;
    if (!json_is_array(sources) || json_array_size(sources) == 0 ||
        json_array_size(sources) > TM_RUN_SOURCES_MAX)
        return tm_fail(err, TM_E_ARG, "\"sources\" must list 1 to %d config files",
                       TM_RUN_SOURCES_MAX);
    json_array_foreach(sources, i, source)
    {
        if (!json_is_string(source))
            return tm_fail(err, TM_E_ARG, "\"sources\" must be paths");
        if (tm_run_path(run, p->sources[i], json_string_value(source), "sources", err) != TM_OK)
            return err->code;
        p->sources_count++;
    }
    for (i = 0; i < sizeof keys / sizeof keys[0] && rc == TM_OK; i++)
        rc = stations_file(run, configs[i], json, keys[i], err);
    return rc;
}

enum tm_code tm_run_plan_stream(struct tm_run *run, struct tm_run_pipeline *p, const json_t *json,
                                struct tm_err *err)
{
    static const char *const known[] = { "name", "kind", "sources", "gap", "reconcile",
                                         "sink", "view", "set",     "slo", NULL };
    struct stations_read read;
    enum tm_code rc = tm_run_keys(json, "", known, err);
    if (rc == TM_OK)
        rc = stations_files(run, p, json, err);
    if (rc == TM_OK)
        rc = stations_stream_set(run, p, json_object_get(json, "set"), err);
    if (rc == TM_OK)
        rc = stations_reconcile(run, p, err);
    if (rc == TM_OK)
        rc = stations_sources(run, p, json, &read, err);
    if (rc == TM_OK)
        rc = stations_gap(run, p, err);
    if (rc == TM_OK)
        rc = stations_sink(run, p, &read, err);
    return rc == TM_OK ? stations_view(run, p, err) : rc;
}

enum tm_code tm_run_plan_batch(struct tm_run *run, struct tm_run_pipeline *p, const json_t *json,
                               struct tm_err *err)
{
    static const char *const known[] = { "name", "kind", "config", "set", "slo", NULL };
    struct tm_batch_settings settings;
    struct tm_config *config = NULL;
    const char *const *items;
    if (tm_run_keys(json, "", known, err) != TM_OK ||
        stations_file(run, p->config, json, "config", err) != TM_OK ||
        stations_set(run, p->config, p->name, json_object_get(json, "set"), err) != TM_OK)
        return err->code;
    if (snprintf(p->database, TM_PATH_MAX, "%.900s/%s.db", run->dir, p->name) >= TM_PATH_MAX)
        return tm_fail(err, TM_E_ARG, "the output folder's path is too long");
    enum tm_code rc = tm_batch_settings_load(&settings, &config, p->config, STATIONS_URL, err);
    if (rc == TM_OK)
        rc = stations_cover(run, settings.objects, settings.objects_count, p->config, "objects",
                            err);
    if (rc == TM_OK) {
        p->interval_ms = settings.interval_ms;
        p->carries = json_array();
        size_t items_count = tm_config_list(config, "carries", &items);
        for (size_t i = 0; i < items_count; i++)
            json_array_append_new(p->carries, json_string(items[i]));
        stations_client(p, settings.name);
    }
    tm_config_close(config);
    return rc;
}
