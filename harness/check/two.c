#include "check/two.h"
#include "base/config.h"
#include "check/after_inner.h"
#include <string.h>

struct two_work {
    const struct tm_two_args *args;
    json_t *map, *other, *objects, *examples, *reasons;
    uint64_t shown, differing, duplicates;
};

static enum tm_code two_side(struct tm_relation_spec *out, char path[AFTER_PATH_MAX],
                             const char *map, const char *object, const json_t *json,
                             const char *warehouse, struct tm_err *err)
{
    enum tm_code rc = tm_relation_spec(out, map, object, json, NULL, err);
    return rc == TM_OK ? after_path(path, out, map, warehouse, err) : rc;
}

static json_t *two_object(const struct tm_compare *c)
{
    json_t *names = json_array();
    for (size_t i = 0; i < c->fields_count; i++)
        json_array_append_new(names, json_string(c->names[i]));
    uint64_t equal = c->shown - c->extra - c->differing - c->duplicates;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:I, s:I}", "shown_rows",
                     (json_int_t)c->shown, "equal", (json_int_t)equal, "missing",
                     (json_int_t)c->missing, "extra", (json_int_t)c->extra, "differing",
                     (json_int_t)c->differing, "fields", after_fields(c), "compared", names,
                     "threads", (json_int_t)c->threads, "ranges", (json_int_t)c->ranges);
}

static void two_add(struct two_work *w, const char *object, const struct tm_compare *c)
{
    static const char *const kinds[] = { "missing", "extra", "differs" };
    json_object_set_new(w->objects, object, two_object(c));
    w->shown += c->shown + c->missing;
    w->differing += c->rows_count;
    w->duplicates += c->duplicates;
    for (size_t i = 0; i < c->rows_count && json_array_size(w->examples) < AFTER_EXAMPLES_MAX; i++)
        json_array_append_new(w->examples,
                              json_pack("{s:s, s:s, s:s}", "object", object, "id", c->rows[i].id,
                                        "class", kinds[c->rows[i].kind]));
    if (c->duplicates > 0)
        json_array_append_new(
            w->reasons, json_sprintf("%llu rows of %s have an Id that came before, the first is %s",
                                     (unsigned long long)c->duplicates, object, c->duplicate));
    if (c->fields_count == 0)
        json_array_append_new(w->reasons,
                              json_sprintf("no column of %s could be compared", object));
}

static enum tm_code two_relation(struct two_work *w, const char *object, const json_t *json,
                                 struct tm_err *err)
{
    struct tm_relation_spec shown_spec, held_spec;
    char shown_path[AFTER_PATH_MAX], held_path[AFTER_PATH_MAX];
    const struct tm_two_args *a = w->args;
    struct tm_compare *c = NULL;
    const char *map = a->against_relations != NULL ? a->against_relations : a->relations;
    const json_t *other = json_object_get(w->other, object);
    if (other == NULL)
        return tm_fail(err, TM_E_ARG, "%s: has no %.80s, as %s has", map, object, a->relations);
    enum tm_code rc =
        two_side(&shown_spec, shown_path, a->relations, object, json, a->warehouse, err);
    if (rc == TM_OK)
        rc = two_side(&held_spec, held_path, map, object, other, a->against, err);
    const struct tm_compare_side shown = { &shown_spec, shown_path },
                                 held = { &held_spec, held_path };
    const struct tm_compare_how how = { a->threads, a->steps_max };
    if (rc == TM_OK)
        rc = tm_compare_relations(&c, &held, &shown, &how, err);
    if (rc == TM_OK)
        two_add(w, object, c);
    tm_compare_close(c);
    return rc;
}

static void two_print(FILE *out, const json_t *report)
{
    static const char *const keys[] = { "shown_rows", "equal", "missing", "extra", "differing" };
    const char *name;
    json_t *one;
    size_t i;
    fprintf(out, "%-24s %9s %9s %9s %9s %9s\n", "object", "shown", "equal", "missing", "extra",
            "differing");
    json_object_foreach(json_object_get(report, "objects"), name, one)
    {
        fprintf(out, "%-24s", name);
        for (i = 0; i < 5; i++)
            fprintf(out, " %9lld", (long long)json_integer_value(json_object_get(one, keys[i])));
        fprintf(out, "\n");
    }
    json_array_foreach(json_object_get(report, "examples"), i, one)
        fprintf(out, "%s %s %s\n", json_string_value(json_object_get(one, "class")),
                json_string_value(json_object_get(one, "object")),
                json_string_value(json_object_get(one, "id")));
    after_print_fields(out, report);
    after_print_verdict(out, report);
}

static enum tm_code two_load(struct two_work *w, struct tm_err *err)
{
    const struct tm_two_args *a = w->args;
    enum tm_code rc = tm_json_load(&w->map, a->relations, err);
    if (rc == TM_OK && a->against_relations != NULL)
        rc = tm_json_load(&w->other, a->against_relations, err);
    if (rc == TM_OK && w->other == NULL)
        w->other = json_incref(w->map);
    if (rc == TM_OK && (!json_is_object(w->map) || json_object_size(w->map) == 0 ||
                        json_object_size(w->map) > TM_TRUTH_OBJECTS_MAX))
        rc = tm_fail(err, TM_E_ARG, "%s: must be an object of {object: {\"query\": …}}",
                     a->relations);
    return rc;
}

enum tm_code tm_two_check(const struct tm_two_args *args, FILE *out, int *out_exit,
                          struct tm_err *err)
{
    struct two_work w = {
        .args = args, .objects = json_object(), .examples = json_array(), .reasons = json_array()
    };
    const char *name;
    json_t *json;
    enum tm_code rc = two_load(&w, err);
    if (rc == TM_OK)
        json_object_foreach(w.map, name, json)
        {
            rc = two_relation(&w, name, json, err);
            if (rc != TM_OK)
                break;
        }
    if (rc == TM_OK) {
        bool blind = json_array_size(w.reasons) > 0 || w.shown == 0;
        if (w.differing > 0)
            json_array_append_new(
                w.reasons, json_sprintf("%llu rows differ", (unsigned long long)w.differing));
        if (w.shown == 0)
            json_array_append_new(w.reasons, json_string("neither side has a row"));
        *out_exit = w.differing > 0 || w.duplicates > 0 ? 1 : blind ? 2 : 0;
        json_t *report =
            json_pack("{s:s, s:s, s:O, s:O, s:O}", "tidemark", "1", "verdict",
                      *out_exit == 1   ? "fail"
                      : *out_exit == 2 ? "inconclusive"
                                       : "pass",
                      "reasons", w.reasons, "objects", w.objects, "examples", w.examples);
        if (args->json)
            json_dumpf(report, out, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
        else
            two_print(out, report);
        if (args->json)
            fputc('\n', out);
        json_decref(report);
    }
    json_decref(w.map);
    json_decref(w.other);
    json_decref(w.objects);
    json_decref(w.examples);
    json_decref(w.reasons);
    return rc;
}
