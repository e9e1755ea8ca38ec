#include "check/diff.h"
#include "check/cause.h"
#include "check/vhash.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static json_t *diff_column(sqlite3_stmt *stmt, int column)
{
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_NULL: return json_null();
    case SQLITE_INTEGER: return json_integer(sqlite3_column_int64(stmt, column));
    case SQLITE_FLOAT: return json_real(sqlite3_column_double(stmt, column));
    default: break;
    }
    json_t *text = json_string((const char *)sqlite3_column_text(stmt, column));
    return text == NULL ? json_string("(not UTF-8)") : text;
}

/* One query an object for all rows told in detail: a view of option 1 costs as much for one row as
 * for all. */
static enum tm_code diff_rows(json_t *out, struct tm_reader *views, const char *object,
                              const json_t *ids, struct tm_err *err)
{
    struct tm_buf sql;
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    size_t i;
    json_t *id;
    if (views->db == NULL || json_array_size(ids) == 0)
        return TM_OK;
    tm_buf_init(&sql, 1 << 20);
    tm_buf_addz(&sql, "SELECT * FROM ");
    tm_sql_ident(&sql, object);
    tm_buf_addz(&sql, " WHERE Id IN (");
    json_array_foreach(ids, i, id)
    {
        if (i > 0)
            tm_buf_addc(&sql, ',');
        tm_sql_literal(&sql, json_string_value(id));
    }
    tm_buf_addc(&sql, ')');
    struct tm_err quiet = { 0 };
    enum tm_code rc = tm_buf_check(&sql, "query of differing rows", err);
    if (rc == TM_OK && tm_sql_prepare(&stmt, views->db, tm_buf_text(&sql), &quiet) != TM_OK)
        stmt = NULL; /* the relation never came: nothing was shown */
    while (rc == TM_OK && stmt != NULL && (rc = tm_sql_step(stmt, &row, err)) == TM_OK && row) {
        json_t *values = json_object();
        for (int c = 0; c < sqlite3_column_count(stmt); c++)
            json_object_set_new(values, sqlite3_column_name(stmt, c), diff_column(stmt, c));
        json_object_set_new(out, json_string_value(json_object_get(values, "Id")), values);
    }
    tm_sql_finalize(stmt);
    tm_buf_free(&sql);
    return rc == TM_E_AGAIN ? TM_OK : rc;
}

static const struct tm_coverage *diff_coverage(const struct tm_match *m, int truth_object)
{
    for (size_t i = 0; i < m->coverage_count; i++)
        if (m->coverage[i].truth == truth_object)
            return &m->coverage[i];
    return NULL;
}

static const json_t *diff_get(const json_t *values, const char *name)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)values, key,
                        value) if (strcasecmp(key, name) == 0) return value;
    return NULL;
}

static json_t *diff_fields(struct tm_truth *t, const struct tm_match *m,
                           const struct tm_shown *shown, const struct tm_difference *d,
                           const json_t *values)
{
    const struct tm_truth_record *r = &t->records[d->record];
    const struct tm_truth_object *o = &t->objects[r->object];
    const struct tm_coverage *c = diff_coverage(m, r->object);
    const uint64_t *now = tm_shown_values(shown, d->row);
    json_t *fields = json_array();
    for (size_t i = 0; c != NULL && i < c->count; i++) {
        uint64_t is = now[c->shown_column[i]], should = TM_VHASH_NULL;
        const struct tm_tolerance *tolerance = &c->tolerances[i];
        uint32_t head = TM_TRUTH_NONE;
        if (c->truth_column[i] >= 0)
            head = o->heads[(size_t)r->local * o->width + (size_t)c->truth_column[i]];
        if (head != TM_TRUTH_NONE)
            should = tm_coverage_value(c, t, (uint32_t)i, head);
        if (tm_tolerance_same(tolerance, is, should))
            continue;
        json_t *expected = head == TM_TRUTH_NONE
                               ? json_null()
                               : tm_truth_value(t, t->deltas[head].version, c->names[i]);
        const json_t *is_value = diff_get(values, c->names[i]);
        json_array_append_new(
            fields, json_pack("{s:s, s:o, s:o}", "field", c->names[i], "expected", expected,
                              "shown", is_value == NULL ? json_null() : json_deep_copy(is_value)));
    }
    return fields;
}

static json_t *diff_one(struct tm_truth *t, const struct tm_match *m, const struct tm_shown *shown,
                        const struct tm_difference *d, const json_t *rows, bool detailed)
{
    enum tm_row_class class = (enum tm_row_class)((d->code - 1) / 2);
    bool known = d->record != TM_TRUTH_NONE;
    const char *id = known ? t->records[d->record].id : shown->rows[d->row].id;
    const char *object = known ? t->objects[t->records[d->record].object].name
                               : shown->objects[shown->rows[d->row].object].name;
    json_t *one = json_pack("{s:s, s:s, s:s, s:b}", "object", object, "id", id, "class",
                            tm_row_class_name(class), "flagged", (d->code - 1) % 2);
    if (!known)
        return one;
    uint32_t first = tm_cause_first(t, m, shown, d);
    json_t *fields = NULL;
    if (detailed && class != TM_ROW_PHANTOM && class != TM_ROW_MISSING && d->row != TM_SHOWN_NONE)
        fields = diff_fields(t, m, shown, d, json_object_get(rows, id));
    json_object_set_new(one, "first_pos", json_integer(tm_truth_pos(t, first)));
    json_object_set_new(one, "first_org_ms", json_integer(t->versions[first].org_ms));
    json_object_set_new(one, "first_change",
                        json_string(tm_truth_change_name(t->versions[first].change)));
    json_object_set_new(one, "fields", fields == NULL ? json_array() : fields);
    return one;
}

enum tm_code tm_diff_json(json_t **out, struct tm_truth *truth, const struct tm_match *m,
                          const struct tm_shown *shown, struct tm_reader *views,
                          const json_t *given, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    json_t *list = json_array(),
           *rows = given != NULL ? json_incref((json_t *)(uintptr_t)given) : json_object();
    for (size_t c = 0; rc == TM_OK && views != NULL && c < m->coverage_count; c++) {
        json_t *ids = json_array();
        for (size_t i = 0; i < m->differences_count && i < TM_DIFF_DETAILS_MAX; i++) {
            const struct tm_difference *d = &m->differences[i];
            if (d->record != TM_TRUTH_NONE &&
                truth->records[d->record].object == m->coverage[c].truth)
                json_array_append_new(ids, json_string(truth->records[d->record].id));
        }
        rc = diff_rows(rows, views, truth->objects[m->coverage[c].truth].name, ids, err);
        json_decref(ids);
    }
    for (size_t i = 0; rc == TM_OK && i < m->differences_count; i++)
        json_array_append_new(
            list, diff_one(truth, m, shown, &m->differences[i], rows, i < TM_DIFF_DETAILS_MAX));
    json_decref(rows);
    if (rc == TM_OK)
        *out = list;
    else
        json_decref(list);
    return rc;
}
