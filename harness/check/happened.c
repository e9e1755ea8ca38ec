#include "check/happened.h"
#include "base/sql.h"
#include <stdlib.h>
#include <string.h>

/* A describe is in force from the commit that comes next on; without one it told nobody anything.
 */
static void happened_field(json_t *out, const struct tm_truth *truth, int64_t from_pos,
                           const char *object, const char *field, const char *what)
{
    if (from_pos < 1 || (size_t)from_pos > truth->versions_count)
        return;
    json_array_append_new(out, json_pack("{s:s, s:I, s:n, s:i, s:o}", "kind", "schema", "org_ms",
                                         (json_int_t)truth->versions[from_pos - 1].org_ms,
                                         "until_ms", "count", 1, "says",
                                         json_sprintf("%s.%s %s", object, field, what)));
}

static void happened_schema(json_t *out, const struct tm_truth *truth,
                            const struct tm_truth_object *o)
{
    for (size_t i = 1; i < o->describes_count; i++) {
        const struct tm_describe *was = o->describes[i - 1].describe,
                                 *is = o->describes[i].describe;
        int64_t pos = o->describes[i].from_pos;
        for (size_t f = 0; f < is->fields_count; f++) {
            const struct tm_field *before = tm_describe_field(was, is->fields[f].name);
            if (before == NULL)
                happened_field(out, truth, pos, o->name, is->fields[f].name, "added");
            else if (strcmp(before->type, is->fields[f].type) != 0)
                happened_field(out, truth, pos, o->name, is->fields[f].name, "retyped");
        }
        for (size_t f = 0; f < was->fields_count; f++)
            if (tm_describe_field(is, was->fields[f].name) == NULL)
                happened_field(out, truth, pos, o->name, was->fields[f].name, "removed");
    }
}

static enum tm_code happened_faults(json_t *out, const struct tm_truth *truth, struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_prepare(&q, truth->db,
                                     "SELECT what, min(org_ms), max(coalesce(until_ms, org_ms)), "
                                     "count(*) FROM fault GROUP BY rule, what",
                                     err);
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        int64_t from = sqlite3_column_int64(q, 1), until = sqlite3_column_int64(q, 2);
        json_array_append_new(
            out, json_pack("{s:s, s:I, s:o, s:I, s:s}", "kind", "fault", "org_ms", (json_int_t)from,
                           "until_ms", until > from ? json_integer((json_int_t)until) : json_null(),
                           "count", (json_int_t)sqlite3_column_int64(q, 3), "says",
                           (const char *)sqlite3_column_text(q, 0)));
    }
    tm_sql_finalize(q);
    return rc;
}

static int happened_order(const void *a, const void *b)
{
    json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "org_ms")),
               y = json_integer_value(json_object_get(*(json_t *const *)b, "org_ms"));
    return (x > y) - (x < y);
}

enum tm_code tm_happened_json(json_t **out, const struct tm_truth *truth, struct tm_err *err)
{
    json_t *all = json_array();
    for (size_t o = 0; o < truth->objects_count; o++)
        happened_schema(all, truth, &truth->objects[o]);
    enum tm_code rc = happened_faults(all, truth, err);
    size_t count = json_array_size(all);
    json_t **list = calloc(count + 1, sizeof *list);
    *out = json_array();
    if (rc == TM_OK && (list == NULL || all == NULL || *out == NULL))
        rc = tm_fail(err, TM_E_NOMEM, "what happened: %zu", count);
    for (size_t i = 0; rc == TM_OK && i < count; i++)
        list[i] = json_array_get(all, i);
    if (rc == TM_OK)
        qsort(list, count, sizeof *list, happened_order);
    for (size_t i = 0; rc == TM_OK && i < count && i < TM_HAPPENED_MAX; i++)
        json_array_append(*out, list[i]);
    free(list);
    json_decref(all);
    return rc;
}
