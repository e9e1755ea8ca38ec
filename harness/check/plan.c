#include "check/plan.h"
#include "base/config.h"
#include "base/text.h"
#include "check/truth.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const plan_keys[] = {
    "org",           "run_db",  "out",       "scenario", "seed",   "compress", "publish_delay_ms",
    "index_lag_ms",  "traces",  "events",    "offered",  "broker", "cpus",     "poll_us",
    "poll_batch_us", "journal", "sample_ms", "audit_ms", "slo",    "pipelines"
};
static const char *const plan_pipeline_keys[] = { "name",    "kind",    "option",      "database",
                                                  "raw",     "objects", "interval_ms", "carries",
                                                  "clients", "slo",     "relations",   "map",
                                                  "runs" };
static const char *const plan_slo_keys[] = { "lateness_ms_p99", "achieved" };
static const char *const plan_promise_keys[] = { "unseen", "differing", "dirty", "failed" };
#define PLAN_COUNT(a) (sizeof(a) / sizeof(a)[0])

static enum tm_code plan_known(const json_t *object, const char *where, const char *const *keys,
                               size_t keys_count, struct tm_err *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return tm_fail(err, TM_E_ARG, "%s: not a JSON object", where);
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        size_t i = 0;
        while (i < keys_count && strcmp(keys[i], key) != 0)
            i++;
        if (i == keys_count) {
            const char *near = tm_nearest(key, keys, keys_count);
            return tm_fail(err, TM_E_ARG, "%s: unknown key \"%.60s\"%s%s%s", where, key,
                           near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
        }
    }
    return TM_OK;
}

static enum tm_code plan_text(const char **out, const json_t *object, const char *where,
                              const char *key, const char *missing, struct tm_err *err)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL && missing != NULL) {
        *out = missing;
        return TM_OK;
    }
    if (!json_is_string(value))
        return tm_fail(err, TM_E_ARG, "%s: \"%s\" must be a text", where, key);
    *out = json_string_value(value);
    return TM_OK;
}

static enum tm_code plan_int(int64_t *out, const json_t *object, const char *where, const char *key,
                             int64_t missing, int64_t first, struct tm_err *err)
{
    const json_t *value = json_object_get(object, key);
    *out = value == NULL ? missing : json_integer_value(value);
    if ((value != NULL && !json_is_integer(value)) || *out < first)
        return tm_fail(err, TM_E_ARG, "%s: \"%s\" must be a whole number of at least %lld", where,
                       key, (long long)first);
    return TM_OK;
}

static enum tm_code plan_names(const char **out, size_t *out_count, const json_t *object,
                               const char *where, const char *key, struct tm_err *err)
{
    const json_t *list = json_object_get(object, key), *item;
    size_t i;
    if (list == NULL)
        return TM_OK;
    if (!json_is_array(list) || json_array_size(list) > TM_PLAN_NAMES_MAX)
        return tm_fail(err, TM_E_ARG, "%s: \"%s\" must be a list of at most %d texts", where, key,
                       TM_PLAN_NAMES_MAX);
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item))
            return tm_fail(err, TM_E_ARG, "%s: \"%s\" must hold texts only", where, key);
        out[(*out_count)++] = json_string_value(item);
    }
    return TM_OK;
}

static enum tm_code plan_carries(struct tm_plan_pipeline *p, const json_t *object,
                                 const char *where, struct tm_err *err)
{
    const char *names[TM_PLAN_NAMES_MAX];
    size_t count = 0;
    enum tm_code rc = plan_names(names, &count, object, where, "carries", err);
    for (size_t i = 0; rc == TM_OK && i < count; i++) {
        uint8_t change = 0;
        while (change < TM_TRUTH_CHANGES && strcasecmp(names[i], tm_truth_change_name(change)) != 0)
            change++;
        if (change == TM_TRUTH_CHANGES)
            return tm_fail(err, TM_E_ARG, "%s: carries names the unknown change type \"%.40s\"",
                           where, names[i]);
        p->carries |= 1u << change;
    }
    return rc;
}

static enum tm_code plan_promise(struct tm_plan_pipeline *p, const json_t *object,
                                 const char *where, struct tm_err *err)
{
    const json_t *slo = json_object_get(object, "slo");
    int64_t missing = slo == NULL && p->kind == TM_PIPELINE_STREAM ? 0 : TM_PLAN_NO_LIMIT;
    p->unseen_max = p->differing_max = p->dirty_max = missing;
    p->failed_max = slo == NULL && p->kind == TM_PIPELINE_EXTERNAL ? 0 : TM_PLAN_NO_LIMIT;
    if (slo == NULL || json_is_null(slo))
        return TM_OK;
    enum tm_code rc = plan_known(slo, where, plan_promise_keys, PLAN_COUNT(plan_promise_keys), err);
    if (rc == TM_OK)
        rc = plan_int(&p->unseen_max, slo, where, "unseen", TM_PLAN_NO_LIMIT, 0, err);
    if (rc == TM_OK)
        rc = plan_int(&p->differing_max, slo, where, "differing", TM_PLAN_NO_LIMIT, 0, err);
    if (rc == TM_OK)
        rc = plan_int(&p->dirty_max, slo, where, "dirty", TM_PLAN_NO_LIMIT, 0, err);
    if (rc == TM_OK)
        rc = plan_int(&p->failed_max, slo, where, "failed",
                      p->kind == TM_PIPELINE_EXTERNAL ? 0 : TM_PLAN_NO_LIMIT, 0, err);
    return rc;
}

static const char *const plan_kinds[] = { "stream", "batch", "external" };

const char *tm_pipeline_kind_name(enum tm_pipeline_kind kind)
{
    return plan_kinds[kind];
}

static enum tm_code plan_kind(enum tm_pipeline_kind *out, const json_t *object, const char *where,
                              struct tm_err *err)
{
    const char *kind = NULL;
    int i = 0;
    enum tm_code rc = plan_text(&kind, object, where, "kind", NULL, err);
    if (rc != TM_OK)
        return rc;
    while (i < 3 && strcmp(kind, plan_kinds[i]) != 0)
        i++;
    *out = (enum tm_pipeline_kind)i;
    return i < 3 ? TM_OK
                 : tm_fail(err, TM_E_ARG,
                           "%s: \"kind\" is stream, batch or external, not \"%.40s\"", where, kind);
}

/* Of an external pipeline: every object's query. */
static enum tm_code plan_external(struct tm_plan_pipeline *p, const json_t *object,
                                  const char *where, struct tm_err *err)
{
    p->relations = json_object_get(object, "relations");
    if (p->kind != TM_PIPELINE_EXTERNAL)
        return TM_OK;
    enum tm_code rc = plan_text(&p->map, object, where, "map", where, err);
    if (rc == TM_OK && json_object_get(object, "runs") != NULL)
        rc = plan_text(&p->runs, object, where, "runs", NULL, err);
    for (size_t i = 0; rc == TM_OK && i < p->objects_count; i++)
        if (!json_is_object(json_object_get(p->relations, p->objects[i])))
            rc = tm_fail(err, TM_E_ARG, "%s: relations has no %.80s", where, p->objects[i]);
    return rc;
}

static enum tm_code plan_pipeline(struct tm_plan_pipeline *p, const json_t *object,
                                  const char *where, size_t index, struct tm_err *err)
{
    char at[200];
    int64_t option = 2;
    snprintf(at, sizeof at, "%.140s: pipelines[%zu]", where, index);
    enum tm_code rc =
        plan_known(object, at, plan_pipeline_keys, PLAN_COUNT(plan_pipeline_keys), err);
    if (rc == TM_OK)
        rc = plan_text(&p->name, object, at, "name", NULL, err);
    if (rc == TM_OK)
        rc = plan_text(&p->database, object, at, "database", NULL, err);
    if (rc == TM_OK)
        rc = plan_kind(&p->kind, object, at, err);
    if (rc != TM_OK)
        return rc;
    rc = plan_int(&option, object, at, "option", 2, 1, err);
    if (rc == TM_OK && option > 2)
        rc = tm_fail(err, TM_E_ARG, "%s: \"option\" is 1 (views) or 2 (kept rows)", at);
    p->option = (int)option;
    if (rc == TM_OK)
        rc = plan_text(&p->raw, object, at, "raw", option == 1 ? p->database : "", err);
    if (rc == TM_OK)
        rc = plan_int(&p->interval_ms, object, at, "interval_ms", 0, 0, err);
    if (rc == TM_OK && p->kind == TM_PIPELINE_BATCH && p->interval_ms == 0)
        rc = tm_fail(err, TM_E_ARG, "%s: a batch needs \"interval_ms\"", at);
    if (rc == TM_OK)
        rc = plan_names(p->objects, &p->objects_count, object, at, "objects", err);
    if (rc == TM_OK && p->objects_count == 0)
        rc = tm_fail(err, TM_E_ARG, "%s: \"objects\" names no object", at);
    if (rc == TM_OK)
        rc = plan_names(p->clients, &p->clients_count, object, at, "clients", err);
    if (rc == TM_OK)
        rc = plan_carries(p, object, at, err);
    if (rc == TM_OK)
        rc = plan_external(p, object, at, err);
    if (rc == TM_OK)
        rc = plan_promise(p, object, at, err);
    return rc;
}

static enum tm_code plan_real(double *out, const json_t *object, const char *where, const char *key,
                              double missing, struct tm_err *err)
{
    const json_t *value = json_object_get(object, key);
    *out = value == NULL ? missing : json_number_value(value);
    if (value != NULL && !json_is_number(value))
        return tm_fail(err, TM_E_ARG, "%s: \"%s\" must be a number", where, key);
    return TM_OK;
}

static enum tm_code plan_top(struct tm_plan *p, const char *where, struct tm_err *err)
{
    const json_t *j = p->json, *slo = json_object_get(j, "slo");
    int64_t poll_us = 0, batch_us = 0, sample_ms = 0, audit_ms = 0;
    enum tm_code rc = plan_known(j, where, plan_keys, PLAN_COUNT(plan_keys), err);
    struct {
        const char **out;
        const char *key, *missing;
    } texts[] = { { &p->org, "org", NULL },         { &p->run_db, "run_db", NULL },
                  { &p->out, "out", NULL },         { &p->journal, "journal", "" },
                  { &p->scenario, "scenario", "" }, { &p->broker, "broker", "embedded" } };
    struct {
        int64_t *out;
        const char *key;
        int64_t missing, first;
    } numbers[] = { { &p->seed, "seed", 0, INT64_MIN },
                    { &p->compress, "compress", 1, 1 },
                    { &p->publish_delay_ms, "publish_delay_ms", 0, 0 },
                    { &p->index_lag_ms, "index_lag_ms", 0, 0 },
                    { &p->offered, "offered", 0, 0 },
                    { &p->cpus, "cpus", 0, 0 },
                    { &poll_us, "poll_us", 1500, 100 },
                    { &batch_us, "poll_batch_us", 5000, 100 },
                    { &sample_ms, "sample_ms", 12000, 1 },
                    { &audit_ms, "audit_ms", 12000, 1 } };
    for (size_t i = 0; rc == TM_OK && i < PLAN_COUNT(texts); i++)
        rc = plan_text(texts[i].out, j, where, texts[i].key, texts[i].missing, err);
    for (size_t i = 0; rc == TM_OK && i < PLAN_COUNT(numbers); i++)
        rc = plan_int(numbers[i].out, j, where, numbers[i].key, numbers[i].missing,
                      numbers[i].first, err);
    p->poll_ns = poll_us * 1000;
    p->poll_batch_ns = batch_us * 1000;
    p->sample_ns = sample_ms * 1000000;
    p->audit_ns = audit_ms * 1000000;
    if (rc == TM_OK)
        rc = plan_names(p->traces, &p->traces_count, j, where, "traces", err);
    if (rc == TM_OK)
        rc = plan_names(p->events, &p->events_count, j, where, "events", err);
    if (rc == TM_OK && slo != NULL && !json_is_null(slo))
        rc = plan_known(slo, where, plan_slo_keys, PLAN_COUNT(plan_slo_keys), err);
    if (rc == TM_OK)
        rc = plan_real(&p->lateness_ms_p99_max, slo, where, "lateness_ms_p99", 1000, err);
    if (rc == TM_OK)
        rc = plan_real(&p->achieved_min, slo, where, "achieved", 0.99, err);
    return rc;
}

enum tm_code tm_plan_from_json(struct tm_plan **out, json_t *json, const char *where,
                               struct tm_err *err)
{
    size_t i;
    json_t *one;
    struct tm_plan *p = calloc(1, sizeof *p);
    if (p == NULL)
        return tm_fail(err, TM_E_NOMEM, "plan");
    p->json = json_incref(json);
    enum tm_code rc = plan_top(p, where, err);
    const json_t *list = json_object_get(json, "pipelines");
    if (rc == TM_OK && (!json_is_array(list) || json_array_size(list) == 0 ||
                        json_array_size(list) > TM_PLAN_PIPELINES_MAX))
        rc = tm_fail(err, TM_E_ARG, "%s: \"pipelines\" must be a list of 1 to %d", where,
                     TM_PLAN_PIPELINES_MAX);
    if (rc == TM_OK)
        json_array_foreach(list, i, one)
        {
            rc = plan_pipeline(&p->pipelines[p->pipelines_count], one, where, i, err);
            if (rc != TM_OK)
                break;
            p->pipelines_count++;
        }
    if (rc != TM_OK) {
        tm_plan_close(p);
        return rc;
    }
    *out = p;
    return TM_OK;
}

enum tm_code tm_plan_load(struct tm_plan **out, const char *path, struct tm_err *err)
{
    json_t *json = NULL;
    enum tm_code rc = tm_json_load(&json, path, err);
    if (rc == TM_OK)
        rc = tm_plan_from_json(out, json, path, err);
    json_decref(json);
    return rc;
}

void tm_plan_close(struct tm_plan *p)
{
    if (p == NULL)
        return;
    json_decref(p->json);
    free(p);
}
