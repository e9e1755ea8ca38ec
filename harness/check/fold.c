#include "check/fold.h"
#include "check/compare.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum tm_code tm_fold_open(struct tm_fold *out, const char *object,
                          const struct tm_describe *describe, const struct tm_relation *relation,
                          struct tm_err *err)
{
    size_t fields = describe->fields_count;
    *out = (struct tm_fold){ .object = object, .describe = describe, .relation = relation };
    tm_rows_init(&out->rows, relation->fields_count);
    out->valued = calloc(fields + 1, sizeof *out->valued);
    out->column = calloc(fields + 1, sizeof *out->column);
    if (out->valued == NULL || out->column == NULL)
        return tm_fail(err, TM_E_NOMEM, "%zu fields of %s", fields, object);
    for (size_t i = 0; i < fields; i++) {
        out->column[i] = -1;
        for (size_t k = 0; k < relation->fields_count; k++)
            if (strcasecmp(relation->fields[k], describe->fields[i].name) == 0)
                out->column[i] = (int)k;
    }
    return TM_OK;
}

void tm_fold_free(struct tm_fold *f)
{
    tm_rows_free(&f->rows);
    free(f->valued);
    free(f->column);
    *f = (struct tm_fold){ 0 };
}

/* A field by the name the log spells it with; the fields of one row come in the describe's order.
 */
static size_t fold_field(const struct tm_fold *f, const char *name, size_t hint)
{
    size_t count = f->describe->fields_count;
    for (size_t i = 0; i < count; i++) {
        size_t at = hint + i < count ? hint + i : hint + i - count;
        if (strcmp(f->describe->fields[at].name, name) == 0)
            return at;
    }
    return count;
}

static enum tm_code fold_row(struct tm_fold *f, const char *id, const char *change,
                             const char *fields, struct tm_err *err)
{
    char key[20] = "";
    uint32_t row;
    const char *name;
    json_t *value;
    size_t hint = 0;
    strncpy(key, id, 18);
    enum tm_code rc = tm_rows_of(&f->rows, key, &row, err);
    if (rc != TM_OK)
        return rc;
    uint64_t *values = tm_rows_values(&f->rows, row);
    bool gone = strcmp(change, "DELETE") == 0 || strcmp(change, "HARD_DELETE") == 0;
    f->rows.flags[row] = gone ? TM_COMPARE_GONE : 0;
    if (strcmp(change, "UNDELETE") == 0) /* a full image: what it does not name is null */
        memset(values, 0, f->rows.width * sizeof *values);
    if (strcmp(fields, "{}") == 0)
        return TM_OK;
    json_t *all = json_loads(fields, 0, NULL);
    if (!json_is_object(all)) {
        json_decref(all);
        return tm_fail(err, TM_E_PROTO, "org.db: fields of %s %s are no JSON object", f->object,
                       id);
    }
    json_object_foreach(all, name, value)
    {
        size_t at = fold_field(f, name, hint);
        if (at == f->describe->fields_count)
            continue; /* removed from the object since */
        hint = at + 1;
        f->valued[at] = f->valued[at] || !json_is_null(value);
        int c = f->column[at];
        if (c >= 0)
            values[c] = tm_tolerance_json(&f->relation->tolerances[c], value);
    }
    json_decref(all);
    return TM_OK;
}

static const char *fold_text(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text == NULL ? "" : text;
}

enum tm_code tm_fold_history(struct tm_fold *all, size_t count, sqlite3 *org, uint64_t *out_changes,
                             struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    int64_t next = 1;
    enum tm_code rc = tm_sql_prepare(
        &stmt, org, "SELECT pos, object, id, change, fields FROM history ORDER BY pos", err);
    while (rc == TM_OK && (rc = tm_sql_step(stmt, &row, err)) == TM_OK && row) {
        const char *object = fold_text(stmt, 1);
        size_t i = 0;
        if (sqlite3_column_int64(stmt, 0) != next++)
            rc = tm_fail(err, TM_E_GAP, "org.db: history goes from position %lld to %lld",
                         (long long)next - 2, (long long)sqlite3_column_int64(stmt, 0));
        while (i < count && strcasecmp(all[i].object, object) != 0)
            i++;
        if (rc == TM_OK && i < count)
            rc = fold_row(&all[i], fold_text(stmt, 2), fold_text(stmt, 3), fold_text(stmt, 4), err);
    }
    tm_sql_finalize(stmt);
    *out_changes = (uint64_t)(next - 1);
    return rc;
}
