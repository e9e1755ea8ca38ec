/* load: relations and columns as the describe has them, and pages into the load table. Part of
 * store. */
#include "batch/store_inner.h"
#include "base/text.h"
#include "event/contract.h"
#include <assert.h>
#include <string.h>
#include <strings.h>

#define LOAD_NEAR 3 /* members looked at before a member is asked for by name */

static bool load_is_id(const char *name)
{
    return strcasecmp(name, "Id") == 0;
}

/* The columns of SELECT behind Id, each called with `each`. */
static void load_columns(struct tm_buf *out, const struct tm_store *s, const struct tm_describe *d,
                         const char *between)
{
    for (size_t i = 0; i < d->fields_count; i++)
        if (!load_is_id(d->fields[i].name) && tm_plan_selects(s->settings, &d->fields[i])) {
            tm_buf_addz(out, between);
            tm_sql_ident(out, d->fields[i].name);
        }
}

/* The names of a table's columns, each and a line end; empty = no such table. */
static enum tm_code load_known(struct tm_buf *out, struct tm_store *s, const char *table,
                               struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_columns(&q, s->db, table, err);
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row)
        tm_buf_addf(out, "%s\n", (const char *)sqlite3_column_text(q, TM_SQL_COLUMN_NAME));
    tm_sql_finalize(q);
    return rc == TM_OK ? tm_buf_check(out, "the columns of a table", err) : rc;
}

static bool load_is_known(const struct tm_buf *known, const char *column)
{
    size_t bytes = strlen(column);
    const char *at = tm_buf_text(known);
    for (; *at != '\0'; at = strchr(at, '\n') + 1)
        if (sqlite3_strnicmp(at, column, (int)bytes) == 0 && at[bytes] == '\n')
            return true;
    return false;
}

/* A column more, where the table has none of that name: in its CREATE TABLE, which is being built,
 * or by a statement of its own, for which SQLite reads the table's schema again. */
static enum tm_code load_add_column(struct tm_store *s, const char *object, bool fresh,
                                    struct tm_buf *known, const char *column, uint64_t *added,
                                    struct tm_err *err)
{
    if (load_is_known(known, column))
        return TM_OK;
    tm_buf_addf(known, "%s\n", column);
    (*added)++;
    if (fresh) {
        tm_buf_addz(&s->sql, ", ");
        tm_sql_ident(&s->sql, column);
        return TM_OK;
    }
    tm_buf_addz(&s->sql, "ALTER TABLE ");
    tm_store_base(&s->sql, s, object);
    tm_buf_addz(&s->sql, " ADD COLUMN ");
    tm_sql_ident(&s->sql, column);
    return tm_store_exec_built(s, err);
}

/* deletes=flag: the relation is a view, made again when a column came. */
static enum tm_code load_view(struct tm_store *s, const char *object, struct tm_err *err)
{
    tm_buf_addz(&s->sql, "DROP VIEW IF EXISTS ");
    tm_sql_ident(&s->sql, object);
    tm_buf_addz(&s->sql, "; CREATE VIEW ");
    tm_sql_ident(&s->sql, object);
    tm_buf_addz(&s->sql, " AS SELECT * FROM ");
    tm_store_base(&s->sql, s, object);
    tm_buf_addz(&s->sql, " WHERE ");
    tm_sql_ident(&s->sql, s->settings->flag_column);
    tm_buf_addz(&s->sql, " IS NOT 1");
    return tm_store_exec_built(s, err);
}

static void load_table_begin(struct tm_store *s, const char *object, struct tm_buf *known)
{
    tm_buf_addz(known, "Id\n_dirty\n_seq\n");
    tm_buf_addz(&s->sql, "CREATE TABLE ");
    tm_store_base(&s->sql, s, object);
    tm_buf_addz(
        &s->sql,
        "(Id TEXT PRIMARY KEY NOT NULL, _dirty INTEGER NOT NULL DEFAULT 0, _seq INTEGER NOT NULL");
}

/* And what goes with it. */
static enum tm_code load_table_end(struct tm_store *s, const char *object, struct tm_err *err)
{
    struct tm_buf *q = &s->sql;
    tm_buf_addz(q, "); CREATE INDEX IF NOT EXISTS ");
    tm_store_name(q, "_seq_", object, "");
    tm_buf_addz(q, " ON ");
    tm_store_base(q, s, object);
    tm_buf_addz(q, "(_seq); CREATE TABLE IF NOT EXISTS ");
    tm_store_name(q, "", object, "_removed");
    tm_buf_addz(
        q, "(Id TEXT PRIMARY KEY NOT NULL, _seq INTEGER NOT NULL); CREATE INDEX IF NOT EXISTS ");
    tm_store_name(q, "_seq_", object, "_removed");
    tm_buf_addz(q, " ON ");
    tm_store_name(q, "", object, "_removed");
    tm_buf_addz(q, "(_seq); CREATE VIEW IF NOT EXISTS ");
    tm_store_name(q, "", object, "_dirty");
    tm_buf_addz(q,
                " AS SELECT NULL AS Id, NULL AS position, NULL AS kind, NULL AS _unknown WHERE 0");
    return tm_store_exec_built(s, err);
}

/* All of it comes in one transaction: where the table is, the rest is. */
static enum tm_code load_relations(struct tm_store *s, const struct tm_describe *d, uint64_t *added,
                                   struct tm_err *err)
{
    bool flagged = s->settings->deletes == TM_BATCH_FLAG;
    char table[STORE_NAME_BYTES];
    struct tm_buf known;
    uint64_t before = *added;
    tm_buf_init(&known, STORE_SQL_BYTES_MAX);
    sqlite3_snprintf(sizeof table, table, "%s%s", flagged ? "_all_" : "", d->object);
    enum tm_code rc = load_known(&known, s, table, err);
    bool fresh = rc == TM_OK && known.bytes == 0;
    if (fresh)
        load_table_begin(s, d->object, &known);
    for (size_t i = 0; i < d->fields_count && rc == TM_OK; i++)
        if (!load_is_id(d->fields[i].name) && tm_plan_selects(s->settings, &d->fields[i]))
            rc = load_add_column(s, d->object, fresh, &known, d->fields[i].name, added, err);
    if (rc == TM_OK && flagged)
        rc = load_add_column(s, d->object, fresh, &known, s->settings->flag_column, added, err);
    if (rc == TM_OK && fresh)
        rc = load_table_end(s, d->object, err);
    if (rc == TM_OK && flagged && *added > before)
        rc = load_view(s, d->object, err);
    tm_buf_free(&known);
    return rc;
}

/* Would the load table of before take this describe's rows? */
static enum tm_code load_fits(struct tm_store *s, const struct tm_describe *d, bool *out,
                              struct tm_err *err)
{
    char table[STORE_NAME_BYTES];
    sqlite3_stmt *q = NULL;
    bool row = false;
    struct tm_buf want, has;
    tm_buf_init(&want, STORE_SQL_BYTES_MAX);
    tm_buf_init(&has, STORE_SQL_BYTES_MAX);
    load_columns(&want, s, d, "\n");
    sqlite3_snprintf(sizeof table, table, "_load_%s", d->object);
    enum tm_code rc = tm_sql_columns(&q, s->db, table, err);
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        const char *name = (const char *)sqlite3_column_text(q, TM_SQL_COLUMN_NAME);
        if (tm_store_is_own(name))
            continue;
        tm_buf_addc(&has, '\n');
        tm_sql_ident(&has, name);
    }
    tm_sql_finalize(q);
    if (rc == TM_OK)
        rc = tm_buf_check(&has, "the columns of a table", err);
    *out = rc == TM_OK && has.bytes > 0 && strcmp(tm_buf_text(&has), tm_buf_text(&want)) == 0;
    tm_buf_free(&has);
    tm_buf_free(&want);
    return rc;
}

/* The schema stays as it is where it can: readers need not prepare their statements again. */
static enum tm_code load_empty(struct tm_store *s, const struct tm_describe *d, bool fits,
                               struct tm_err *err)
{
    if (fits) {
        tm_buf_addz(&s->sql, "DELETE FROM ");
        tm_store_name(&s->sql, "_load_", d->object, "");
        return tm_store_exec_built(s, err);
    }
    tm_buf_addz(&s->sql, "DROP TABLE IF EXISTS ");
    tm_store_name(&s->sql, "_load_", d->object, "");
    tm_buf_addz(&s->sql, "; CREATE TABLE ");
    tm_store_name(&s->sql, "_load_", d->object, "");
    tm_buf_addz(&s->sql, "(Id TEXT PRIMARY KEY NOT NULL, _gone INTEGER NOT NULL");
    load_columns(&s->sql, s, d, ", ");
    tm_buf_addz(&s->sql, ")");
    return tm_store_exec_built(s, err);
}

enum tm_code tm_store_begin(struct tm_store *s, const struct tm_describe *d,
                            const struct tm_batch_state *state, bool resume, bool *out_resumed,
                            uint64_t *out_columns_added, struct tm_err *err)
{
    uint64_t added = 0;
    bool fits = false;
    *out_resumed = false;
    tm_sql_finalize(s->insert);
    s->insert = NULL;
    enum tm_code rc = tm_sql_exec(s->db, "BEGIN IMMEDIATE", err);
    if (rc != TM_OK)
        return rc;
    rc = load_relations(s, d, &added, err);
    if (rc == TM_OK)
        rc = load_fits(s, d, &fits, err);
    *out_resumed = fits && resume;
    if (rc == TM_OK && !*out_resumed)
        rc = load_empty(s, d, fits, err);
    if (rc == TM_OK && !*out_resumed)
        rc = tm_store_keep(s, d->object, state, err);
    if (rc == TM_OK)
        rc = tm_store_meta(s, "last_grid", state->grid_ms, err);
    rc = tm_store_end(s, rc, err);
    if (rc == TM_OK)
        *out_columns_added += added;
    return rc;
}

static enum tm_code load_prepare(struct tm_store *s, const struct tm_describe *d,
                                 struct tm_err *err)
{
    struct tm_buf *q = &s->sql;
    if (s->insert != NULL)
        return TM_OK;
    tm_buf_addz(q, "INSERT OR REPLACE INTO ");
    tm_store_name(q, "_load_", d->object, "");
    tm_buf_addz(q, "(Id, _gone");
    load_columns(q, s, d, ", ");
    tm_buf_addz(q, ") VALUES(?, ?");
    for (size_t i = 0; i < d->fields_count; i++)
        if (!load_is_id(d->fields[i].name) && tm_plan_selects(s->settings, &d->fields[i]))
            tm_buf_addz(q, ", ?");
    tm_buf_addz(q, ")");
    enum tm_code rc = tm_buf_check(q, "an SQL statement", err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s->insert, s->db, tm_buf_text(q), err);
    tm_buf_reset(q);
    return rc;
}

static void load_bind(sqlite3_stmt *q, int index, const struct tm_value *v)
{
    switch (v->kind) {
    case TM_V_NULL: sqlite3_bind_null(q, index); break;
    case TM_V_BOOL: sqlite3_bind_int64(q, index, v->as.b); break;
    case TM_V_INT: sqlite3_bind_int64(q, index, v->as.i); break;
    case TM_V_DOUBLE: sqlite3_bind_double(q, index, v->as.d); break;
    case TM_V_TEXT:
    case TM_V_JSON:
        sqlite3_bind_text(q, index, v->as.t.text, (int)v->as.t.bytes, SQLITE_TRANSIENT);
        break;
    }
}

static enum tm_code load_id(char out[TM_ID_BYTES], const struct tm_describe *d,
                            const json_t *record, struct tm_err *err)
{
    const char *id = json_string_value(json_object_get(record, "Id"));
    if (id == NULL)
        return tm_fail(err, TM_E_PROTO, "a record of %s came without Id", d->object);
    struct tm_err why = { .code = TM_OK };
    if (tm_id18(out, id, &why) != TM_OK)
        return tm_fail(err, TM_E_PROTO, "a record of %s: %s", d->object, why.msg);
    return TM_OK;
}

/* A member by name; they mostly come in the order in which they were selected, so that it is the
 * one at *at, or near. */
static const json_t *load_member(const json_t *record, void **at, const char *name)
{
    for (int near = 0; *at != NULL && near < LOAD_NEAR; near++) {
        const json_t *value = json_object_iter_value(*at);
        bool found = strcmp(json_object_iter_key(*at), name) == 0;
        *at = json_object_iter_next((json_t *)record, *at);
        if (found)
            return value;
    }
    return json_object_get(record, name);
}

/* One record; *place and *seen move on. Absent columns are NULL: SOQL names every selected field,
 * null or not. */
static enum tm_code load_record(struct tm_store *s, const struct tm_describe *d,
                                const json_t *record, struct tm_place *place, int64_t *seen_ms,
                                struct tm_err *err)
{
    int column = 3;
    void *at = json_object_iter((json_t *)record); /* read only: jansson's const stops here */
    enum tm_code rc = load_id(place->id, d, record, err);
    tm_buf_reset(&s->arena);
    for (size_t i = 0; i < d->fields_count && rc == TM_OK; i++) {
        const struct tm_field *f = &d->fields[i];
        struct tm_value value = { .kind = TM_V_NULL };
        if (load_is_id(f->name) || !tm_plan_selects(s->settings, f))
            continue;
        const json_t *json = load_member(record, &at, f->name);
        if (json == NULL)
            rc = tm_fail(err, TM_E_PROTO, "record %s of %s came without its selected field %s",
                         place->id, d->object, f->name);
        else if (!json_is_null(json) && tm_contract_value(&value, &s->arena, f, json, err) != TM_OK)
            rc = tm_at(err, "record %s of %s", place->id, d->object);
        if (rc == TM_OK && strcmp(f->name, "SystemModstamp") == 0 && value.kind == TM_V_INT) {
            place->stamp_ms = value.as.i;
            *seen_ms = value.as.i > *seen_ms ? value.as.i : *seen_ms;
        }
        load_bind(s->insert, column++, &value);
    }
    if (rc != TM_OK)
        return rc;
    sqlite3_bind_text(s->insert, 1, place->id, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(s->insert, 2, json_is_true(json_object_get(record, "IsDeleted")));
    place->any = true;
    return tm_sql_run(s->insert, err);
}

enum tm_code tm_store_page(struct tm_store *s, const struct tm_describe *d, const json_t *records,
                           struct tm_batch_state *state, struct tm_err *err)
{
    struct tm_batch_state next = *state;
    const json_t *record;
    size_t i;
    assert(state->read != TM_READ_NONE && json_is_array(records));
    enum tm_code rc = tm_sql_exec(s->db, "BEGIN IMMEDIATE", err);
    if (rc != TM_OK)
        return rc;
    rc = load_prepare(s, d, err);
    json_array_foreach(records, i, record)
    {
        if (rc != TM_OK)
            break;
        rc = load_record(s, d, record, &next.place, &next.seen_ms, err);
    }
    next.rows += (int64_t)json_array_size(records);
    if (rc == TM_OK)
        rc = tm_store_keep(s, d->object, &next, err);
    rc = tm_store_end(s, rc, err);
    if (rc == TM_OK)
        *state = next;
    return rc;
}
