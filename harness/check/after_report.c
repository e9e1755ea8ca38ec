#include "check/after_inner.h"
#include "check/causes.h"
#include <stdlib.h>
#include <string.h>

json_t *after_fields(const struct tm_compare *c)
{
    json_t *fields = json_object();
    for (size_t i = 0; i < c->fields_count; i++)
        if (c->fields[i].differing > 0)
            json_object_set_new(fields, c->names[i], tm_compare_field_json(c, i));
    return fields;
}

static json_t *report_object(const struct after_object *o)
{
    json_t *one = json_object(), *names = json_array();
    json_object_set_new(one, "org_rows", json_integer(o->org_rows));
    json_object_set_new(one, "shown_rows", json_integer((json_int_t)o->compare->shown));
    for (int k = 0; k < TM_ROW_CLASSES; k++)
        json_object_set_new(one, tm_row_class_name((enum tm_row_class)k), json_integer(o->rows[k]));
    for (size_t k = 0; k < o->coverage.count; k++)
        json_array_append_new(names, json_string(o->coverage.names[k]));
    json_object_set_new(one, "fields", after_fields(o->compare));
    json_object_set_new(one, "compared", names);
    json_object_set(one, "left_out", o->coverage.left_out);
    return one;
}

/* What was not looked at, in words. True when that leaves no verdict: an object without a column,
 * or nothing at all; one empty object among others is only told. */
static bool report_unseen(const struct after_work *w, json_t *reasons)
{
    size_t empty = 0, blind = 0;
    for (size_t i = 0; i < w->objects_count; i++) {
        const struct after_object *o = &w->objects[i];
        if (o->compare->shown == 0 && o->fold.rows.count == 0) {
            empty++;
            json_array_append_new(
                reasons, json_sprintf("nothing to compare of %s: the org never held a record and "
                                      "the query returned none",
                                      o->name));
        } else if (o->coverage.count == 0) {
            blind++;
            json_array_append_new(
                reasons,
                json_sprintf("no column of %s could be compared: let the query give fields "
                             "of the object, or name them under \"columns\"",
                             o->name));
        }
    }
    return blind > 0 || empty == w->objects_count;
}

/* Where a declared tolerance would make a field's differences none. */
static void report_tolerances(const struct after_work *w, json_t *reasons)
{
    for (size_t i = 0; i < w->objects_count; i++) {
        const struct tm_compare *c = w->objects[i].compare;
        for (size_t f = 0; f < c->fields_count; f++) {
            json_t *one = tm_compare_field_json(c, f),
                   *tolerance = json_object_get(one, "tolerance");
            char *text = tolerance == NULL ? NULL : json_dumps(tolerance, JSON_ENCODE_ANY);
            if (text != NULL)
                json_array_append_new(
                    reasons, json_sprintf("%s.%s differs in %llu rows by no more than the "
                                          "tolerance %s would allow, if that is meant",
                                          w->objects[i].name, c->names[f],
                                          (unsigned long long)c->fields[f].differing, text));
            free(text);
            json_decref(one);
        }
    }
}

json_t *after_report(const struct after_work *w, int *out_exit)
{
    json_t *objects = json_object(), *reasons = json_array();
    uint64_t differing = 0, duplicates = 0;
    const char *duplicate = "";
    for (size_t i = 0; i < w->objects_count; i++) {
        const struct after_object *o = &w->objects[i];
        json_object_set_new(objects, o->name, report_object(o));
        differing += o->compare->rows_count;
        if (duplicates == 0 && o->compare->duplicates > 0)
            duplicate = o->compare->duplicate;
        duplicates += o->compare->duplicates;
    }
    if (differing > 0)
        json_array_append_new(reasons,
                              json_sprintf("%llu rows differ", (unsigned long long)differing));
    if (duplicates > 0)
        json_array_append_new(reasons,
                              json_sprintf("%llu rows have an Id that came before, the first is %s",
                                           (unsigned long long)duplicates, duplicate));
    report_tolerances(w, reasons);
    bool unseen = report_unseen(w, reasons);
    *out_exit = differing > 0 || duplicates > 0 ? 1 : unseen ? 2 : 0;
    return json_pack("{s:s, s:s, s:o, s:o, s:O, s:o, s:I, s:O}", "tidemark", "1", "verdict",
                     *out_exit == 1   ? "fail"
                     : *out_exit == 2 ? "inconclusive"
                                      : "pass",
                     "reasons", reasons, "objects", objects, "anomalies", w->anomalies, "causes",
                     tm_causes_by_rows(json_incref(w->causes)), "changes", (json_int_t)w->changes,
                     "examples", w->examples);
}

/* ---- for people ---- */

static void print_value(FILE *out, const json_t *value)
{
    char *text = json_dumps(value == NULL ? json_null() : value, JSON_ENCODE_ANY | JSON_COMPACT);
    fprintf(out, "%.60s", text == NULL ? "?" : text);
    free(text);
}

static void print_objects(FILE *out, const json_t *report)
{
    static const char *const keys[] = { "org_rows", "shown_rows", "equal", "missing",
                                        "phantom",  "stale",      "mixed", "wrong" };
    const char *name;
    json_t *one;
    fprintf(out, "%-24s %9s %9s %9s %8s %8s %8s %8s %8s\n", "object", "org", "shown", "equal",
            "missing", "phantom", "stale", "mixed", "wrong");
    json_object_foreach(json_object_get(report, "objects"), name, one)
    {
        fprintf(out, "%-24s", name);
        for (int i = 0; i < 8; i++)
            fprintf(out, i < 3 ? " %9lld" : " %8lld",
                    (long long)json_integer_value(json_object_get(one, keys[i])));
        fprintf(out, "\n");
    }
}

static void print_anomalies(FILE *out, const json_t *report)
{
    const char *name, *comma = "anomalies: ";
    json_t *one;
    json_object_foreach(json_object_get(report, "anomalies"), name, one)
    {
        json_int_t count = json_integer_value(json_object_get(one, "count"));
        if (count > 0)
            fprintf(out, "%s%s %lld", comma, name, (long long)count);
        comma = count > 0 ? ", " : comma;
    }
    if (comma[0] == ',')
        fprintf(out, "\n");
}

/* Why, in how many rows. */
static void print_causes(FILE *out, const json_t *report)
{
    json_t *one;
    size_t i;
    json_array_foreach(json_object_get(report, "causes"), i, one)
    {
        const char *rule = json_string_value(json_object_get(one, "rule")),
                   *hint = json_string_value(json_object_get(one, "hint"));
        json_int_t rows = json_integer_value(json_object_get(one, "rows"));
        fprintf(out, "%s%s%s%s: %lld row%s%s%s\n", json_string_value(json_object_get(one, "cause")),
                rule != NULL ? " (" : "", rule != NULL ? rule : "", rule != NULL ? ")" : "",
                (long long)rows, rows == 1 ? "" : "s",
                hint != NULL ? "; the org's log says of the first commit it does not show: " : "",
                hint != NULL ? hint : "");
    }
}

void after_print_fields(FILE *out, const json_t *report)
{
    static const char *const ways[] = { "lost", "extra", "near", "blanks", "other" };
    const char *object, *name;
    json_t *one, *field;
    json_object_foreach(json_object_get(report, "objects"), object, one)
    {
        json_object_foreach(json_object_get(one, "fields"), name, field)
        {
            fprintf(out, "%s.%s differs in %lld rows:", object, name,
                    (long long)json_integer_value(json_object_get(field, "differing")));
            for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
                json_int_t rows = json_integer_value(json_object_get(field, ways[i]));
                if (rows > 0)
                    fprintf(out, " %s %lld", ways[i], (long long)rows);
            }
            const json_t *ms = json_object_get(field, "near_max_ms"),
                         *most = json_object_get(field, "near_max");
            if (ms != NULL || most != NULL)
                fprintf(out, " (at most %g%s)", json_number_value(ms != NULL ? ms : most),
                        ms != NULL ? " ms" : "");
            fprintf(out, "\n");
        }
    }
}

static void print_example(FILE *out, const json_t *one)
{
    json_t *field;
    size_t k;
    fprintf(out, "%s %s %s", json_string_value(json_object_get(one, "class")),
            json_string_value(json_object_get(one, "object")),
            json_string_value(json_object_get(one, "id")));
    if (json_object_get(one, "first_pos") == NULL)
        fprintf(out, ": the org never had it");
    else
        fprintf(out, ": since the %s at position %lld",
                json_string_value(json_object_get(one, "first_change")),
                (long long)json_integer_value(json_object_get(one, "first_pos")));
    json_array_foreach(json_object_get(one, "fields"), k, field)
    {
        fprintf(out, "%s %s: the org holds ", k == 0 ? ";" : ",",
                json_string_value(json_object_get(field, "field")));
        print_value(out, json_object_get(field, "expected"));
        fprintf(out, ", shown is ");
        print_value(out, json_object_get(field, "shown"));
    }
    const char *because = json_string_value(json_object_get(one, "because"));
    if (because != NULL)
        fprintf(out, ". Cause: %s: %s", json_string_value(json_object_get(one, "cause")), because);
    fprintf(out, "\n");
}

void after_print(FILE *out, const json_t *report)
{
    json_t *one;
    size_t i;
    print_objects(out, report);
    json_array_foreach(json_object_get(report, "examples"), i, one) print_example(out, one);
    after_print_fields(out, report);
    print_anomalies(out, report);
    print_causes(out, report);
    after_print_verdict(out, report);
}

void after_print_verdict(FILE *out, const json_t *report)
{
    json_t *one;
    size_t i;
    fprintf(out, "%s", json_string_value(json_object_get(report, "verdict")));
    json_array_foreach(json_object_get(report, "reasons"), i, one)
        fprintf(out, "%s %s", i == 0 ? ":" : ";", json_string_value(one));
    fprintf(out, "\n");
}
