#include "mocks/salesforce/scenario.h"
#include "base/config.h"
#include "base/text.h"
#include "mocks/salesforce/faults.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const kind_names[TM_WL_KINDS] = {
    "create",      "update",      "nulls",      "delete",       "undelete",
    "hard_delete", "transaction", "merge",      "merged_event", "burst",
    "gap_create",  "gap_update",  "gap_delete", "gap_undelete", "overflow",
    "diff",        "conversion",  "field_add",  "field_remove"
};
/* What a business day is made of when the scenario does not say; 0 = once. */
static const double kind_presets[TM_WL_KINDS] = { 8,   70,  5,   3,   1, 0.5, 6, 0.3, 1, 0,
                                                  0.2, 0.4, 0.2, 0.1, 0, 1,   0, 0,   0 };

const char *tm_workload_kind_name(enum tm_workload_kind kind)
{
    return (unsigned)kind < TM_WL_KINDS ? kind_names[kind] : "?";
}

/* Every key of `object` must be one of `known`. */
static enum tm_code scenario_keys(const json_t *object, const char *where, const char *const *known,
                                  size_t known_count, struct tm_err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        size_t i = 0;
        while (i < known_count && strcmp(known[i], key) != 0)
            i++;
        if (i < known_count)
            continue;
        const char *near = tm_nearest(key, known, known_count);
        return near != NULL
                   ? tm_fail(err, TM_E_ARG, "%s: unknown key \"%.60s\": did you mean \"%s\"?",
                             where, key, near)
                   : tm_fail(err, TM_E_ARG, "%s: unknown key \"%.60s\"", where, key);
    }
    return TM_OK;
}

static enum tm_code scenario_number(double *out, const json_t *object, const char *key,
                                    const char *where, double first, double last,
                                    struct tm_err *err)
{
    const json_t *v = json_object_get(object, key);
    if (v == NULL)
        return TM_OK;
    if (!json_is_number(v) || json_number_value(v) < first || json_number_value(v) > last)
        return tm_fail(err, TM_E_ARG, "%s: \"%s\" must be a number from %g to %g", where, key,
                       first, last);
    *out = json_number_value(v);
    return TM_OK;
}

static enum tm_code scenario_whole(int64_t *out, const json_t *object, const char *key,
                                   const char *where, int64_t first, int64_t last,
                                   struct tm_err *err)
{
    const json_t *v = json_object_get(object, key);
    if (v == NULL)
        return TM_OK;
    if (!json_is_integer(v) || json_integer_value(v) < first || json_integer_value(v) > last)
        return tm_fail(err, TM_E_ARG, "%s: \"%s\" must be a whole number from %lld to %lld", where,
                       key, (long long)first, (long long)last);
    *out = json_integer_value(v);
    return TM_OK;
}

enum tm_code tm_duration_ms(int64_t *out, const json_t *value, const char *where,
                            struct tm_err *err)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = { { "ms", 1 }, { "s", 1e3 }, { "m", 60e3 }, { "h", 3600e3 }, { "d", 86400e3 } };
    double n = json_number_value(value), scale = 1e3;
    if (json_is_string(value)) {
        char *end;
        size_t i = 0;
        n = strtod(json_string_value(value), &end);
        while (i < sizeof units / sizeof *units && strcmp(units[i].unit, end) != 0)
            i++;
        if (end == json_string_value(value) || i == sizeof units / sizeof *units)
            return tm_fail(err, TM_E_ARG,
                           "%s: \"%.40s\" is not a duration: write 250ms, 90s, 15m, 4h or 1d",
                           where, json_string_value(value));
        scale = units[i].ms;
    } else if (!json_is_number(value))
        return tm_fail(err, TM_E_ARG,
                       "%s must be a duration: a number of seconds, or text as 250ms, 90s, 15m, "
                       "4h, 1d",
                       where);
    if (!(n >= 0) || n * scale > 1e13)
        return tm_fail(err, TM_E_ARG, "%s is out of range", where);
    *out = llround(n * scale);
    return TM_OK;
}

/* A duration, or {"assumed": duration}: a setting no source tells. */
static enum tm_code scenario_delay(int64_t *out, const json_t *json, const char *key,
                                   const char *where, struct tm_err *err)
{
    static const char *const known[] = { "assumed" };
    char path[300];
    const json_t *v = json_object_get(json, key);
    if (v == NULL)
        return TM_OK;
    snprintf(path, sizeof path, "%s: %s", where, key);
    if (!json_is_object(v))
        return tm_duration_ms(out, v, path, err);
    enum tm_code rc = scenario_keys(v, path, known, 1, err);
    return rc == TM_OK ? tm_duration_ms(out, json_object_get(v, "assumed"), path, err) : rc;
}

enum tm_code tm_edition_allocations(const char *edition, int64_t *out_events,
                                    int64_t *out_api_calls, struct tm_err *err)
{
    static const struct {
        const char *name;
        int64_t events, calls;
    } all[] = { { "unlimited", 50000, 100000 },
                { "enterprise", 25000, 100000 },
                { "developer", 10000, 15000 },
                { "none", 0, 0 } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcasecmp(all[i].name, edition) == 0) {
            *out_events = all[i].events;
            *out_api_calls = all[i].calls;
            return TM_OK;
        }
    return tm_fail(err, TM_E_ARG,
                   "unknown edition \"%.40s\": unlimited, enterprise, developer, or none for no "
                   "limits",
                   edition);
}

static enum tm_code scenario_kinds(struct tm_scenario_workload *w, const json_t *kinds,
                                   const char *where, struct tm_err *err)
{
    const char *key;
    json_t *value;
    for (int i = 0; i < TM_WL_KINDS; i++) {
        w->kinds[i] = kinds == NULL;
        w->weight[i] = kinds == NULL ? kind_presets[i] : 0;
    }
    if (kinds == NULL)
        return TM_OK;
    if (!json_is_object(kinds))
        return tm_fail(err, TM_E_ARG, "%s: \"kinds\" must be an object {kind: weight or \"once\"}",
                       where);
    enum tm_code rc = scenario_keys(kinds, where, kind_names, TM_WL_KINDS, err);
    if (rc != TM_OK)
        return rc;
    json_object_foreach((json_t *)kinds, key, value)
    {
        int kind = 0;
        while (strcmp(kind_names[kind], key) != 0)
            kind++;
        bool once = json_is_string(value) && strcmp(json_string_value(value), "once") == 0;
        bool single = kind == TM_WL_BURST || kind == TM_WL_OVERFLOW || kind == TM_WL_CONVERSION ||
                      kind == TM_WL_FIELD_ADD || kind == TM_WL_FIELD_REMOVE;
        if (!once && (!json_is_number(value) || json_number_value(value) < 0 ||
                      json_number_value(value) > 1e6))
            return tm_fail(err, TM_E_ARG,
                           "%s: kind \"%s\" needs a weight (0 to 1,000,000) or \"once\"", where,
                           key);
        if (!once && single && json_number_value(value) != 0)
            return tm_fail(err, TM_E_ARG,
                           "%s: \"%s\" happens once: write \"once\", or 0 for not at all", where,
                           key);
        w->kinds[kind] = once || json_number_value(value) > 0;
        w->weight[kind] = once ? 0 : json_number_value(value);
    }
    return TM_OK;
}

static enum tm_code scenario_burst(struct tm_scenario_workload *w, const json_t *burst,
                                   const char *where, struct tm_err *err)
{
    static const char *const known[] = { "at", "share", "minutes" };
    if (burst == NULL)
        return TM_OK;
    if (!json_is_object(burst))
        return tm_fail(err, TM_E_ARG, "%s must be an object", where);
    enum tm_code rc = scenario_keys(burst, where, known, 3, err);
    if (rc == TM_OK)
        rc = scenario_number(&w->burst_at, burst, "at", where, 0, 1, err);
    if (rc == TM_OK)
        rc = scenario_number(&w->burst_share, burst, "share", where, 0, 0.9, err);
    if (rc == TM_OK)
        rc = scenario_number(&w->burst_minutes, burst, "minutes", where, 0.01, 1440, err);
    return rc;
}

static enum tm_code scenario_workload(struct tm_scenario_workload *w, const json_t *json,
                                      const char *where, struct tm_err *err)
{
    static const char *const known[] = { "changes", "records", "zipf", "shape", "burst", "kinds" };
    char path[300];
    *w = (struct tm_scenario_workload){ .changes = 10000,
                                        .records = 20000,
                                        .zipf = 1.1,
                                        .burst_at = 0.4,
                                        .burst_share = 0.1,
                                        .burst_minutes = 10,
                                        .shape = "business_day" };
    snprintf(path, sizeof path, "%s: workload", where);
    if (json != NULL && !json_is_object(json))
        return tm_fail(err, TM_E_ARG, "%s must be an object", path);
    enum tm_code rc = scenario_keys(json, path, known, sizeof known / sizeof *known, err);
    const json_t *shape = json_object_get(json, "shape");
    if (rc == TM_OK)
        rc = scenario_whole(&w->changes, json, "changes", path, 1, TM_SCENARIO_CHANGES_MAX, err);
    if (rc == TM_OK)
        rc = scenario_whole(&w->records, json, "records", path, 20, TM_SCENARIO_RECORDS_MAX, err);
    if (rc == TM_OK)
        rc = scenario_number(&w->zipf, json, "zipf", path, 0.01, 5, err);
    if (rc == TM_OK && shape != NULL) {
        const char *s = json_string_value(shape);
        if (s == NULL || (strcmp(s, "business_day") != 0 && strcmp(s, "flat") != 0))
            return tm_fail(err, TM_E_ARG, "%s: \"shape\" must be business_day or flat", path);
        snprintf(w->shape, sizeof w->shape, "%s", s);
    }
    if (rc == TM_OK)
        rc = scenario_kinds(w, json_object_get(json, "kinds"), path, err);
    snprintf(path, sizeof path, "%s: workload: burst", where);
    return rc == TM_OK ? scenario_burst(w, json_object_get(json, "burst"), path, err) : rc;
}

static enum tm_code scenario_objects(struct tm_scenario *s, const char *where, struct tm_err *err)
{
    const json_t *list = json_object_get(s->json, "objects");
    size_t i, count = json_array_size(list);
    json_t *name;
    if (list == NULL)
        return TM_OK;
    if (!json_is_array(list) || count == 0 || count > TM_SCENARIO_OBJECTS_MAX)
        return tm_fail(err, TM_E_ARG, "%s: \"objects\" must be a list of 1 to %d object names",
                       where, TM_SCENARIO_OBJECTS_MAX);
    s->objects = calloc(count + 1, sizeof *s->objects);
    if (s->objects == NULL)
        return tm_fail(err, TM_E_NOMEM, "%s", where);
    json_array_foreach(list, i, name)
    {
        if (!json_is_string(name))
            return tm_fail(err, TM_E_ARG, "%s: \"objects\" must be a list of object names", where);
        s->objects[i] = json_string_value(name);
    }
    return TM_OK;
}

static enum tm_code scenario_object_of(const json_t **out, json_t *json, const char *key,
                                       const char *where, struct tm_err *err)
{
    if (json_object_get(json, key) == NULL)
        json_object_set_new(json, key, json_object());
    *out = json_object_get(json, key);
    return json_is_object(*out)
               ? TM_OK
               : tm_fail(err, TM_E_ARG, "%s: \"%s\" must be an object", where, key);
}

/* `pipelines` is a list, read by `tidemark run`; absent or an empty object means none. */
static enum tm_code scenario_list_of(const json_t **out, json_t *json, const char *key,
                                     const char *where, struct tm_err *err)
{
    const json_t *value = json_object_get(json, key);
    if (value == NULL || (json_is_object(value) && json_object_size(value) == 0)) {
        json_object_set_new(json, key, json_array());
        value = json_object_get(json, key);
    }
    *out = value;
    return json_is_array(value) ? TM_OK
                                : tm_fail(err, TM_E_ARG, "%s: \"%s\" must be a list", where, key);
}

static enum tm_code scenario_fill(struct tm_scenario *s, const char *where, struct tm_err *err)
{
    static const char *const known[] = { "seed",      "hours",     "compress", "publish_delay",
                                         "index_lag", "edition",   "objects",  "workload",
                                         "faults",    "pipelines", "slo",      "bulk_time",
                                         "streaming" };
    const json_t *edition = json_object_get(s->json, "edition");
    int64_t seed = 1;
    char path[300];
    enum tm_code rc = scenario_keys(s->json, where, known, sizeof known / sizeof *known, err);
    s->hours = 1;
    s->compress = 360;
    s->origin_ms = TM_SCENARIO_ORIGIN_MS;
    if (rc == TM_OK)
        rc = scenario_whole(&seed, s->json, "seed", where, 0, INT64_MAX, err);
    s->seed = (uint64_t)seed;
    if (rc == TM_OK)
        rc = scenario_number(&s->hours, s->json, "hours", where, 0.001, 24 * 60, err);
    if (rc == TM_OK)
        rc = scenario_whole(&s->compress, s->json, "compress", where, 1, 100000, err);
    if (rc == TM_OK)
        rc = scenario_delay(&s->publish_delay_ms, s->json, "publish_delay", where, err);
    if (rc == TM_OK)
        rc = scenario_delay(&s->index_lag_ms, s->json, "index_lag", where, err);
    if (rc == TM_OK)
        rc = scenario_delay(&s->bulk_ms, s->json, "bulk_time", where, err);
    if (rc == TM_OK && edition != NULL && !json_is_string(edition))
        rc = tm_fail(err, TM_E_ARG, "%s: \"edition\" must be text", where);
    snprintf(s->edition, sizeof s->edition, "%.15s",
             edition != NULL ? json_string_value(edition) : "none");
    if (rc == TM_OK && (rc = tm_edition_allocations(s->edition, &s->events_per_day,
                                                    &s->api_calls_per_day, err)) != TM_OK)
        tm_at(err, "%s", where);
    if (rc == TM_OK)
        rc = scenario_objects(s, where, err);
    if (rc == TM_OK)
        rc = scenario_workload(&s->workload, json_object_get(s->json, "workload"), where, err);
    if (rc == TM_OK)
        rc = scenario_object_of(&s->faults, s->json, "faults", where, err);
    snprintf(path, sizeof path, "%.280s: faults", where);
    if (rc == TM_OK)
        rc = tm_faults_check(s->faults, path, err);
    if (rc == TM_OK)
        rc = scenario_object_of(&s->streaming, s->json, "streaming", where, err);
    if (rc == TM_OK)
        rc = scenario_list_of(&s->pipelines, s->json, "pipelines", where, err);
    if (rc == TM_OK)
        rc = scenario_object_of(&s->slo, s->json, "slo", where, err);
    return rc;
}

enum tm_code tm_scenario_parse(struct tm_scenario **out, const json_t *json, const char *where,
                               struct tm_err *err)
{
    if (!json_is_object(json))
        return tm_fail(err, TM_E_ARG, "%s: a scenario is a JSON object", where);
    struct tm_scenario *s = calloc(1, sizeof *s);
    if (s == NULL || (s->json = json_deep_copy(json)) == NULL) {
        free(s);
        return tm_fail(err, TM_E_NOMEM, "%s", where);
    }
    const char *slash = strrchr(where, '/'), *stem = slash != NULL ? slash + 1 : where,
               *dot = strchr(stem, '.');
    snprintf(s->name, sizeof s->name, "%.*s", (int)(dot != NULL ? dot - stem : (long)strlen(stem)),
             stem);
    enum tm_code rc = scenario_fill(s, where, err);
    if (rc == TM_OK)
        *out = s;
    else
        tm_scenario_close(s);
    return rc;
}

enum tm_code tm_scenario_load(struct tm_scenario **out, const char *path, struct tm_err *err)
{
    json_t *json = NULL;
    enum tm_code rc = tm_json_load(&json, path, err);
    if (rc == TM_OK)
        rc = tm_scenario_parse(out, json, path, err);
    json_decref(json);
    return rc;
}

void tm_scenario_close(struct tm_scenario *s)
{
    if (s == NULL)
        return;
    json_decref(s->json);
    free(s->objects);
    free(s);
}
