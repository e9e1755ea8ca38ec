#include "check/after_inner.h"
#include "base/config.h"
#include "base/text.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where an object's rows are: in its own database, beside the map, or in the common one. */
enum tm_code after_path(char out[AFTER_PATH_MAX], const struct tm_relation_spec *spec,
                        const char *map, const char *common, struct tm_err *err)
{
    const char *slash = strrchr(map, '/');
    if (spec->database == NULL && common == NULL)
        return tm_fail(err, TM_E_ARG,
                       "%s: names no \"database\"; give one, or --warehouse for all objects",
                       spec->where);
    const char *path = spec->database != NULL ? spec->database : common;
    int folder =
        spec->database == NULL || path[0] == '/' || slash == NULL ? 0 : (int)(slash - map) + 1;
    if (snprintf(out, AFTER_PATH_MAX, "%.*s%s", folder, map, path) >= AFTER_PATH_MAX)
        return tm_fail(err, TM_E_ARG, "%s: the path of its database is too long", spec->where);
    return TM_OK;
}

static enum tm_code after_describe(const struct tm_describe **out, struct after_work *w,
                                   const char *name, const char **out_name, struct tm_err *err)
{
    int object = tm_truth_object(w->truth, name);
    if (object >= 0)
        *out = tm_truth_describe_last(&w->truth->objects[object]);
    if (object >= 0 && *out != NULL) {
        *out_name = w->truth->objects[object].name;
        return TM_OK;
    }
    const char *known[TM_TRUTH_OBJECTS_MAX];
    for (size_t i = 0; i < w->truth->objects_count; i++)
        known[i] = w->truth->objects[i].name;
    const char *near = tm_nearest(name, known, w->truth->objects_count);
    return tm_fail(err, TM_E_ARG, "%s: %.80s: the org has no such object%s%s%s", w->args->relations,
                   name, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

/* The relation's query, its fields, and what of the object can be compared. */
static enum tm_code after_object(struct after_work *w, const char *name, const json_t *json,
                                 struct tm_err *err)
{
    struct after_object *o = &w->objects[w->objects_count++];
    const struct tm_describe *d = NULL;
    const char *org_name = name;
    int object;
    o->name = name;
    enum tm_code rc = after_describe(&d, w, name, &org_name, err);
    if (rc == TM_OK)
        rc = tm_relation_spec(&o->spec, w->args->relations, name, json, d, err);
    if (rc == TM_OK)
        rc = after_path(o->path, &o->spec, w->args->relations, w->args->warehouse, err);
    if (rc == TM_OK)
        rc = tm_warehouse_open(&o->warehouse, o->path, w->args->steps_max, err);
    if (rc == TM_OK)
        rc = tm_relation_open(&o->relation, &o->spec, o->warehouse, NULL, NULL, err);
    if (rc == TM_OK)
        rc = tm_fold_open(&o->fold, org_name, d, o->relation, err);
    if (rc == TM_OK)
        rc = tm_shown_object(w->shown, name, &object, err);
    for (size_t i = 0; rc == TM_OK && i < o->relation->fields_count; i++) {
        uint32_t ignored;
        rc = tm_shown_column(w->shown, object, o->relation->fields[i], &ignored, err);
    }
    return rc == TM_OK ? tm_coverage_make(&o->coverage, w->truth, w->shown, name, err) : rc;
}

/* Fields that no path carries (formulas, system fields) are in the relation and not compared: they
 * are equal to the org's by being taken from the same place. */
static enum tm_code after_load(struct after_work *w, struct tm_err *err)
{
    size_t none;
    const char *name;
    json_t *spec;
    if (access(w->args->org, R_OK) != 0)
        return tm_fail(err, TM_E_ARG,
                       "cannot read %s: is it the org.db that `tidemark serve` or `run` wrote?",
                       w->args->org);
    enum tm_code rc = tm_json_load(&w->map, w->args->relations, err);
    if (rc == TM_OK && (!json_is_object(w->map) || json_object_size(w->map) == 0 ||
                        json_object_size(w->map) > TM_TRUTH_OBJECTS_MAX))
        rc = tm_fail(err, TM_E_ARG, "%s: must be an object of {object: {\"query\": …}}",
                     w->args->relations);
    if (rc == TM_OK)
        rc = tm_truth_open(&w->truth, w->args->org, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(w->truth->db, "BEGIN", err); /* one state of it for all that follows */
    if (rc == TM_OK)
        rc = tm_truth_tail(w->truth, 0, &none, err);
    if (rc == TM_E_AGAIN)
        rc = tm_fail(err, TM_E_ARG, "%s is no org database (or another process is changing it)",
                     w->args->org);
    if (rc == TM_OK)
        rc = tm_shown_open(&w->shown, err);
    if (rc != TM_OK)
        return rc;
    json_object_foreach(w->map, name, spec)
    {
        rc = after_object(w, name, spec, err);
        if (rc != TM_OK)
            break;
    }
    return rc == TM_E_AGAIN ? tm_fail_retry(err, TM_E_IO, "the warehouse is locked") : rc;
}

static enum tm_code after_fold(struct after_work *w, struct tm_err *err)
{
    struct tm_fold all[TM_TRUTH_OBJECTS_MAX]; /* moved there and back: they are one array */
    for (size_t i = 0; i < w->objects_count; i++)
        all[i] = w->objects[i].fold;
    enum tm_code rc = tm_fold_history(all, w->objects_count, w->truth->db, &w->changes, err);
    for (size_t i = 0; i < w->objects_count; i++)
        w->objects[i].fold = all[i];
    return rc == TM_E_AGAIN ? tm_fail_retry(err, TM_E_IO, "%s is locked", w->args->org) : rc;
}

static enum tm_code after_compare(struct after_work *w, struct after_object *o, struct tm_err *err)
{
    const struct tm_compare_side shown = { &o->spec, o->path };
    const struct tm_compare_how how = { w->args->threads, w->args->steps_max };
    enum tm_code rc = tm_compare_rows(&o->compare, &o->fold.rows, &shown, &how, err);
    for (size_t i = 0; i < o->fold.rows.count; i++)
        o->org_rows += (o->fold.rows.flags[i] & TM_COMPARE_GONE) == 0;
    if (rc == TM_OK)
        rc = after_class(w, o, err);
    o->rows[TM_ROW_EQUAL] = o->org_rows - o->rows[TM_ROW_MISSING] - o->rows[TM_ROW_STALE] -
                            o->rows[TM_ROW_MIXED] - o->rows[TM_ROW_WRONG];
    return rc == TM_E_AGAIN ? tm_fail_retry(err, TM_E_IO, "%s is locked", w->args->org) : rc;
}

static void after_free(struct after_work *w)
{
    for (size_t i = 0; i < w->objects_count; i++) {
        struct after_object *o = &w->objects[i];
        tm_compare_close(o->compare);
        tm_coverage_free(&o->coverage);
        tm_fold_free(&o->fold);
        tm_relation_close(o->relation);
        tm_warehouse_close(o->warehouse);
    }
    json_decref(w->map);
    json_decref(w->examples);
    json_decref(w->causes);
    json_decref(w->anomalies);
    tm_shown_close(w->shown);
    tm_truth_close(w->truth);
    free(w);
}

enum tm_code tm_after_check(const struct tm_after_args *args, FILE *out, int *out_exit,
                            struct tm_err *err)
{
    struct after_work *w = calloc(1, sizeof *w);
    if (w == NULL)
        return tm_fail(err, TM_E_NOMEM, "check");
    w->args = args;
    w->examples = json_array();
    w->causes = json_array();
    w->anomalies = json_object();
    enum tm_code rc = after_load(w, err);
    if (rc == TM_OK)
        rc = after_fold(w, err);
    for (size_t i = 0; rc == TM_OK && i < w->objects_count; i++)
        rc = after_compare(w, &w->objects[i], err);
    if (rc == TM_OK)
        rc = after_anomalies(w, err);
    if (rc == TM_OK) {
        json_t *report = after_report(w, out_exit);
        if (args->json) {
            json_dumpf(report, out, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
            fputc('\n', out);
        } else {
            after_print(out, report);
        }
        json_decref(report);
    }
    after_free(w);
    return rc;
}
