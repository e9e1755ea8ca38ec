/* after_class: what differs is few, and for it the whole history is read: which version a row
 * stands for, what it should be, since when it is not (check/match.h, check/diff.h). */
#include "check/after_inner.h"
#include "check/causes.h"
#include "check/diff.h"
#include <stdlib.h>
#include <string.h>

/* the one read of the warehouse: after every commit */
#define CLASS_READ_NS (INT64_MAX / 4)
/* of one batch: bounds its memory */
#define CLASS_RECORDS_MAX 20000
#define CLASS_VERSIONS_MAX 5000 /* about a kilobyte each, all told */

struct class_batch {
    struct tm_truth *truth;
    struct tm_shown *shown;
    struct tm_match *m;
    int object;
    size_t rows; /* taken in */
};

static void class_close(struct class_batch *b)
{
    tm_match_close(b->m);
    tm_shown_close(b->shown);
    tm_truth_close(b->truth);
    *b = (struct class_batch){ 0 };
}

static enum tm_code class_open(struct class_batch *b, const struct after_work *w,
                               const struct after_object *o, struct tm_err *err)
{
    size_t none;
    *b = (struct class_batch){ 0 };
    enum tm_code rc = tm_truth_open(&b->truth, w->args->org, err);
    if (rc == TM_OK)
        rc = tm_truth_tail(b->truth, 0, &none, err);
    if (rc == TM_OK)
        rc = tm_shown_open(&b->shown, err);
    if (rc == TM_OK)
        rc = tm_shown_object(b->shown, o->name, &b->object, err);
    for (size_t i = 0; rc == TM_OK && i < o->relation->fields_count; i++) {
        uint32_t column;
        rc = tm_shown_column(b->shown, b->object, o->relation->fields[i], &column, err);
        if (rc == TM_OK && !tm_tolerance_none(&o->relation->tolerances[i]))
            rc = tm_shown_tolerance(b->shown, b->object, column, &o->relation->tolerances[i], err);
    }
    return rc;
}

static enum tm_code class_row(struct class_batch *b, const struct after_object *o,
                              const struct tm_compare_row *row, struct tm_err *err)
{
    uint32_t at;
    const struct tm_compare *c = o->compare;
    enum tm_code rc = tm_truth_read(b->truth, o->fold.object, row->id, err);
    if (rc != TM_OK || row->kind == TM_COMPARE_MISSING)
        return rc;
    rc = tm_shown_row(b->shown, b->object, row->id, &at, err);
    if (rc == TM_OK)
        rc = tm_shown_set(b->shown, at, TM_SHOWN_PRESENT | (row->dirty ? TM_SHOWN_DIRTY : 0),
                          c->values + (size_t)row->values * c->fields_count, c->fields_count, 0,
                          CLASS_READ_NS, 0, NULL, err);
    return rc;
}

/* The values of differing rows, as the query gives them, for the examples. */
static enum tm_code class_given(json_t **out, const struct class_batch *b,
                                const struct after_object *o, struct tm_err *err)
{
    json_t *ids = json_array();
    struct tm_relation *r = NULL;
    struct tm_relation_row row;
    uint64_t values[TM_SHOWN_COLUMNS_MAX];
    bool more = false;
    *out = json_object();
    for (size_t i = 0; i < b->m->differences_count && i < AFTER_EXAMPLES_MAX; i++)
        if (b->m->differences[i].row != TM_SHOWN_NONE)
            json_array_append_new(ids, json_string(b->shown->rows[b->m->differences[i].row].id));
    enum tm_code rc = tm_relation_open_ids(&r, &o->spec, o->warehouse, ids, err);
    while (rc == TM_OK && (rc = tm_relation_step(r, &more, &row, values, NULL, err)) == TM_OK &&
           more) {
        json_t *one = json_object();
        for (size_t i = 0; i < r->fields_count; i++)
            json_object_set_new(one, r->fields[i], tm_relation_value(r, i));
        json_object_set_new(*out, row.id, one);
    }
    tm_relation_close(r);
    json_decref(ids);
    return rc;
}

static enum tm_code class_examples(struct after_work *w, const struct class_batch *b,
                                   const struct after_object *o, struct tm_err *err)
{
    json_t *given = NULL, *diff = NULL;
    enum tm_code rc = TM_OK;
    if (json_array_size(w->examples) >= AFTER_EXAMPLES_MAX || b->m->differences_count == 0)
        return TM_OK;
    rc = class_given(&given, b, o, err);
    if (rc == TM_OK)
        rc = tm_diff_json(&diff, b->truth, b->m, b->shown, NULL, given, err);
    const struct tm_cause_stand stand = { .truth = b->truth, .m = b->m, .shown = b->shown };
    for (size_t i = 0; rc == TM_OK && i < json_array_size(diff) &&
                       json_array_size(w->examples) < AFTER_EXAMPLES_MAX;
         i++) {
        struct tm_cause cause;
        tm_cause_of(&cause, &stand, &b->m->differences[i]);
        tm_cause_json(json_array_get(diff, i), &cause);
        json_array_append(w->examples, json_array_get(diff, i));
    }
    json_decref(given);
    json_decref(diff);
    return rc;
}

/* Every differing row counts, not the examples alone. */
static void class_causes(struct after_work *w, const struct class_batch *b,
                         const struct after_object *o)
{
    const struct tm_cause_stand stand = { .truth = b->truth, .m = b->m, .shown = b->shown };
    for (size_t i = 0; i < b->m->differences_count; i++) {
        const struct tm_difference *d = &b->m->differences[i];
        const char *id = d->record != TM_TRUTH_NONE ? b->truth->records[d->record].id
                                                    : b->shown->rows[d->row].id;
        json_t *row = json_pack("{s:s, s:s}", "object", o->name, "id", id);
        struct tm_cause cause;
        tm_cause_of(&cause, &stand, d);
        tm_causes_count(w->causes, row, &cause);
        json_decref(row);
    }
}

static void class_add(json_t *sums, const json_t *all)
{
    const char *name;
    json_t *one;
    json_object_foreach((json_t *)(uintptr_t)all, name, one)
    {
        json_t *sum = json_object_get(sums, name), *example = json_object_get(one, "example");
        json_int_t count = json_integer_value(json_object_get(one, "count"));
        if (sum == NULL)
            json_object_set_new(sums, name, sum = json_deep_copy(one));
        else
            json_object_set_new(
                sum, "count",
                json_integer(count + json_integer_value(json_object_get(sum, "count"))));
        if (!json_is_object(json_object_get(sum, "example")))
            json_object_set(sum, "example", example);
    }
}

static enum tm_code class_finish(struct after_work *w, struct class_batch *b,
                                 struct after_object *o, struct tm_err *err)
{
    struct tm_timing timing = { .kind = TM_PIPELINE_STREAM, .compress = 1 };
    const struct tm_anomaly_extra extra = { .duplicate = "" };
    for (size_t i = 0; i < b->truth->versions_count; i++)
        timing.end_us = b->truth->versions[i].intended_ms * 1000 > timing.end_us
                            ? b->truth->versions[i].intended_ms * 1000
                            : timing.end_us;
    timing.end_us += 1000000;
    timing.start_us = timing.end_us - 1;
    enum tm_code rc = tm_match_make(&b->m, b->truth, b->shown, &timing, &o->name, 1, err);
    if (rc == TM_OK && b->m->differences_count != b->rows)
        return tm_fail(err, TM_E_MISMATCH,
                       "%s: by the last state of each record %zu rows differ, by their history "
                       "%zu: one of the two is wrong, please report it",
                       o->name, b->rows, b->m->differences_count);
    for (size_t i = 0; rc == TM_OK && i < b->m->differences_count; i++)
        o->rows[(b->m->differences[i].code - 1) / 2]++;
    if (rc == TM_OK)
        rc = class_examples(w, b, o, err);
    if (rc == TM_OK)
        class_causes(w, b, o);
    json_t *all = rc == TM_OK ? tm_anomalies_json(b->truth, b->shown, b->m, &extra) : NULL;
    if (rc == TM_OK && all == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "anomalies");
    if (rc == TM_OK)
        class_add(w->anomalies, all);
    json_decref(all);
    return rc;
}

enum tm_code after_class(struct after_work *w, struct after_object *o, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    size_t i = 0;
    do { /* once at least, so that every anomaly is listed */
        struct class_batch b;
        rc = class_open(&b, w, o, err);
        for (; rc == TM_OK && i < o->compare->rows_count && b.rows < CLASS_RECORDS_MAX &&
               b.truth->versions_count < CLASS_VERSIONS_MAX;
             i++, b.rows++)
            rc = class_row(&b, o, &o->compare->rows[i], err);
        if (rc == TM_OK)
            rc = class_finish(w, &b, o, err);
        class_close(&b);
    } while (rc == TM_OK && i < o->compare->rows_count);
    return rc;
}

/* A field with values in the org and no column in the copy. */
static void class_schema(const struct after_object *o, json_t *sum)
{
    json_int_t count = json_integer_value(json_object_get(sum, "count"));
    const json_t *one;
    size_t i;
    json_array_foreach(o->coverage.left_out, i, one)
    {
        const struct tm_describe *d = o->fold.describe;
        const char *column = json_string_value(json_object_get(one, "column"));
        const struct tm_field *f = tm_describe_field(d, column);
        if (strcmp(json_string_value(json_object_get(one, "why")), TM_COVERAGE_NOT_THERE) != 0 ||
            f == NULL || !o->fold.valued[f - d->fields])
            continue;
        if (count++ == 0)
            json_object_set_new(sum, "example",
                                json_pack("{s:s, s:s}", "object", o->name, "field", column));
    }
    json_object_set_new(sum, "count", json_integer(count));
}

enum tm_code after_anomalies(struct after_work *w, struct tm_err *err)
{
    /* one look at the end does not see what happens between two */
    static const enum tm_anomaly_kind unseen[] = { TM_ANOMALY_RESURRECTED, TM_ANOMALY_TIME_TRAVEL,
                                                   TM_ANOMALY_TORN, TM_ANOMALY_FALSE_DELETE };
    json_t *duplicate = json_object_get(w->anomalies, tm_anomaly_name(TM_ANOMALY_DUPLICATE)),
           *dirty = json_object_get(w->anomalies, tm_anomaly_name(TM_ANOMALY_UNREPAIRED)),
           *schema = json_object_get(w->anomalies, tm_anomaly_name(TM_ANOMALY_SCHEMA));
    json_int_t twice = 0, flagged = 0;
    if (duplicate == NULL || dirty == NULL || schema == NULL)
        return tm_fail(err, TM_E_NOMEM, "anomalies");
    json_object_set_new(schema, "count", json_integer(0));
    json_object_set_new(schema, "example", json_null());
    for (size_t i = 0; i < w->objects_count; i++) {
        const struct after_object *o = &w->objects[i];
        if (twice == 0 && o->compare->duplicates > 0)
            json_object_set_new(
                duplicate, "example",
                json_pack("{s:s, s:s}", "object", o->name, "id", o->compare->duplicate));
        twice += (json_int_t)o->compare->duplicates;
        flagged += (json_int_t)o->compare->dirty;
        class_schema(o, schema);
    }
    json_object_set_new(duplicate, "count", json_integer(twice));
    json_object_set_new(dirty, "count", json_integer(flagged));
    for (size_t i = 0; i < sizeof unseen / sizeof unseen[0]; i++)
        json_object_set_new(json_object_get(w->anomalies, tm_anomaly_name(unseen[i])), "count",
                            json_null());
    return TM_OK;
}
