#include "check/match.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int coverage_shown(const struct tm_shown_object *o, const char *name)
{
    for (size_t i = 0; o != NULL && i < o->columns_count; i++)
        if (strcasecmp(o->columns[i], name) == 0)
            return (int)i;
    return -1;
}

const char *tm_coverage_never(const struct tm_field *f)
{
    if (f->kind == TM_FIELD_COMPOUND)
        return "compound: its parts are compared";
    if (f->calculated)
        return "formula: in no event";
    if (f->hidden)
        return "hidden from the user by field-level security";
    if (strcasecmp(f->name, "SystemModstamp") == 0 || strcasecmp(f->name, "IsDeleted") == 0)
        return "system field that change events do not carry";
    return NULL;
}

static const char *coverage_why_not(const struct tm_field *f, int shown)
{
    const char *never = tm_coverage_never(f);
    return never != NULL ? never : shown < 0 ? TM_COVERAGE_NOT_THERE : NULL;
}

uint32_t tm_coverage_column(const struct tm_coverage *c, const char *name)
{
    for (uint32_t k = 0; k < c->count; k++)
        if (strcmp(c->names[k], name) == 0)
            return k;
    return TM_TRUTH_NONE;
}

void tm_coverage_free(struct tm_coverage *c)
{
    free(c->from_truth);
    free(c->from_shown);
    free(c->truth_column);
    free(c->shown_column);
    free(c->names);
    free(c->tolerances);
    free(c->loose);
    json_decref(c->left_out);
    *c = (struct tm_coverage){ 0 };
}

static enum tm_code coverage_room(struct tm_coverage *c, size_t fields, size_t truth_columns,
                                  size_t shown_columns, struct tm_err *err)
{
    c->from_truth = malloc((truth_columns + 1) * sizeof *c->from_truth);
    c->from_shown = malloc((shown_columns + 1) * sizeof *c->from_shown);
    c->truth_column = calloc(fields + 1, sizeof *c->truth_column);
    c->shown_column = calloc(fields + 1, sizeof *c->shown_column);
    c->names = calloc(fields + 1, sizeof *c->names);
    c->tolerances = calloc(fields + 1, sizeof *c->tolerances);
    c->loose = calloc(fields + 1, sizeof *c->loose);
    c->left_out = json_array();
    if (c->from_truth == NULL || c->from_shown == NULL || c->truth_column == NULL ||
        c->shown_column == NULL || c->names == NULL || c->tolerances == NULL || c->loose == NULL ||
        c->left_out == NULL)
        return tm_fail(err, TM_E_NOMEM, "coverage of %zu fields", fields);
    memset(c->from_truth, 0xff, (truth_columns + 1) * sizeof *c->from_truth);
    memset(c->from_shown, 0xff, (shown_columns + 1) * sizeof *c->from_shown);
    return TM_OK;
}

enum tm_code tm_coverage_make(struct tm_coverage *out, const struct tm_truth *truth,
                              const struct tm_shown *shown, const char *object, struct tm_err *err)
{
    *out = (struct tm_coverage){ .truth = tm_truth_object(truth, object), .shown = -1 };
    for (size_t i = 0; i < shown->objects_count; i++)
        if (strcasecmp(shown->objects[i].name, object) == 0)
            out->shown = (int)i;
    if (out->truth < 0)
        return tm_fail(err, TM_E_ARG, "the org has no object %s", object);
    const struct tm_truth_object *to = &truth->objects[out->truth];
    const struct tm_shown_object *so = out->shown < 0 ? NULL : &shown->objects[out->shown];
    const struct tm_describe *d = tm_truth_describe_last(to);
    if (d == NULL)
        return tm_fail(err, TM_E_PROTO, "org.db: no describe of %s", object);
    enum tm_code rc = coverage_room(out, d->fields_count, to->columns_count,
                                    so == NULL ? 0 : so->columns_count, err);
    for (size_t i = 0; rc == TM_OK && i < d->fields_count; i++) {
        const struct tm_field *f = &d->fields[i];
        if (strcasecmp(f->name, "Id") == 0)
            continue;
        int shown_column = coverage_shown(so, f->name), truth_column = tm_truth_column(to, f->name);
        const char *why = coverage_why_not(f, shown_column);
        if (why != NULL) {
            json_array_append_new(out->left_out,
                                  json_pack("{s:s, s:s}", "column", f->name, "why", why));
            continue;
        }
        if (truth_column >= 0)
            out->from_truth[truth_column] = (uint32_t)out->count;
        out->from_shown[shown_column] = (uint32_t)out->count;
        out->truth_column[out->count] = truth_column;
        out->shown_column[out->count] = shown_column;
        if (so->tolerances != NULL)
            out->tolerances[out->count] = so->tolerances[shown_column];
        if (!tm_tolerance_none(&out->tolerances[out->count]))
            out->loose[out->loose_count++] = (uint32_t)out->count;
        out->names[out->count++] = f->name;
    }
    return rc;
}

uint64_t tm_coverage_value(const struct tm_coverage *c, const struct tm_truth *truth,
                           uint32_t column, uint32_t delta)
{
    const struct tm_tolerance *t = &c->tolerances[column];
    uint64_t hash = truth->deltas[delta].hash;
    if (t->trim || t->empty) {
        uint64_t trimmed = tm_truth_trimmed(truth, delta);
        hash = t->trim || trimmed == 0 ? trimmed : hash; /* 0: null, it is all blanks */
    }
    return tm_tolerance_value(t, hash);
}
