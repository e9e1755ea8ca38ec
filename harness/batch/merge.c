/* merge: a finished read becomes visible, all of it in one transaction. Part of store. */
#include "batch/store_inner.h"
#include "base/text.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MERGE_COLUMNS_MAX 2000 /* SQLite's own limit of a table */

struct merge {
    struct tm_store *s;
    const char *object;
    bool flagged, missing_are_gone;
    char *columns[MERGE_COLUMNS_MAX]; /* of the load table, without Id and _gone; owned */
    size_t columns_count;
    bool flag_is_field, stamped; /* the flag column is one of them; SystemModstamp is */
    int64_t seq;
};

static void merge_free(struct merge *m)
{
    for (size_t i = 0; i < m->columns_count; i++)
        free(m->columns[i]);
    m->columns_count = 0;
}

static enum tm_code merge_columns(struct merge *m, struct tm_err *err)
{
    char table[STORE_NAME_BYTES];
    sqlite3_stmt *q = NULL;
    bool row = false;
    sqlite3_snprintf(sizeof table, table, "_load_%s", m->object);
    enum tm_code rc = tm_sql_columns(&q, m->s->db, table, err);
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        const char *name = (const char *)sqlite3_column_text(q, TM_SQL_COLUMN_NAME);
        if (tm_store_is_own(name))
            continue;
        assert(m->columns_count < MERGE_COLUMNS_MAX);
        if ((m->columns[m->columns_count] = strdup(name)) == NULL)
            rc = tm_fail(err, TM_E_NOMEM, "batch: a column name");
        else
            m->columns_count++;
        m->flag_is_field |= m->flagged && strcasecmp(name, m->s->settings->flag_column) == 0;
        m->stamped |= strcmp(name, "SystemModstamp") == 0;
    }
    tm_sql_finalize(q);
    return rc;
}

static void merge_load(struct merge *m)
{
    tm_store_name(&m->s->sql, "_load_", m->object, "");
}
static void merge_base(struct merge *m)
{
    tm_store_base(&m->s->sql, m->s, m->object);
}
static void merge_removed(struct merge *m)
{
    tm_store_name(&m->s->sql, "", m->object, "_removed");
}

static void merge_visible(struct merge *m, const char *alias)
{
    if (!m->flagged)
        return;
    tm_buf_addf(&m->s->sql, " AND %s.", alias);
    tm_sql_ident(&m->s->sql, m->s->settings->flag_column);
    tm_buf_addz(&m->s->sql, " IS NOT 1");
}

/* B5: l is not older than b. */
static void merge_not_older(struct merge *m)
{
    if (m->stamped)
        tm_buf_addz(&m->s->sql,
                    " AND (b.SystemModstamp IS NULL OR l.SystemModstamp >= b.SystemModstamp)");
}

/* The statement built, `seq` its ?1: the same text poll after poll, so that it is prepared once. */
static enum tm_code merge_exec(struct merge *m, int64_t seq, uint64_t *out_changes,
                               struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    enum tm_code rc = tm_buf_check(&m->s->sql, "an SQL statement", err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&q, m->s->db, tm_buf_text(&m->s->sql), err);
    tm_buf_reset(&m->s->sql);
    if (rc == TM_OK && sqlite3_bind_parameter_count(q) > 0)
        sqlite3_bind_int64(q, 1, seq);
    if (rc == TM_OK)
        rc = tm_sql_run(q, err);
    tm_sql_finalize(q);
    if (rc == TM_OK && out_changes != NULL)
        *out_changes = (uint64_t)sqlite3_changes64(m->s->db);
    return rc;
}

/* Ids that stop being visible, listed before the rows themselves change. */
static enum tm_code merge_list_removed(struct merge *m, uint64_t *out_removed, struct tm_err *err)
{
    struct tm_buf *q = &m->s->sql;
    uint64_t gone = 0, missing = 0;
    tm_buf_addz(q, "INSERT OR REPLACE INTO ");
    merge_removed(m);
    tm_buf_addz(q, "(Id, _seq) SELECT l.Id, ?1 + row_number() OVER (ORDER BY l.rowid) FROM ");
    merge_load(m);
    tm_buf_addz(q, " l JOIN ");
    merge_base(m);
    tm_buf_addz(q, " b ON b.Id = l.Id WHERE l._gone = 1");
    merge_visible(m, "b");
    merge_not_older(m);
    enum tm_code rc = merge_exec(m, m->seq, &gone, err);
    m->seq += (int64_t)gone;
    if (rc == TM_OK && m->missing_are_gone) {
        tm_buf_addz(q, "INSERT OR REPLACE INTO ");
        merge_removed(m);
        tm_buf_addz(q, "(Id, _seq) SELECT b.Id, ?1 + row_number() OVER (ORDER BY b.Id) FROM ");
        merge_base(m);
        tm_buf_addz(q, " b WHERE NOT EXISTS (SELECT 1 FROM ");
        merge_load(m);
        tm_buf_addz(q, " l WHERE l.Id = b.Id)");
        merge_visible(m, "b");
        rc = merge_exec(m, m->seq, &missing, err);
        m->seq += (int64_t)missing;
    }
    *out_removed = gone + missing;
    return rc;
}

static void merge_list(struct merge *m, const char *prefix)
{
    for (size_t i = 0; i < m->columns_count; i++) {
        bool flag = m->flag_is_field && strcasecmp(m->columns[i], m->s->settings->flag_column) == 0;
        tm_buf_addf(&m->s->sql, ", %s", flag && strcmp(prefix, "l.") == 0 ? "" : prefix);
        if (flag && strcmp(prefix, "l.") == 0)
            tm_buf_addz(&m->s->sql, "l._gone");
        else
            tm_sql_ident(&m->s->sql, m->columns[i]);
    }
}

/* b differs from l in a column this read has. */
static void merge_differs(struct merge *m)
{
    struct tm_buf *q = &m->s->sql;
    tm_buf_addz(q, "b.Id IS NULL");
    for (size_t i = 0; i < m->columns_count; i++) {
        tm_buf_addz(q, " OR b.");
        tm_sql_ident(q, m->columns[i]);
        tm_buf_addz(q, " IS NOT l.");
        tm_sql_ident(q, m->columns[i]);
    }
    if (m->flagged && !m->flag_is_field) {
        tm_buf_addz(q, " OR b.");
        tm_sql_ident(q, m->s->settings->flag_column);
        tm_buf_addz(q, " IS NOT l._gone");
    }
}

static enum tm_code merge_rows(struct merge *m, uint64_t *out_changed, struct tm_err *err)
{
    struct tm_buf *q = &m->s->sql;
    bool extra = m->flagged && !m->flag_is_field;
    tm_buf_addz(q, "INSERT INTO ");
    merge_base(m);
    tm_buf_addz(q, "(Id, _dirty, _seq");
    merge_list(m, "");
    if (extra) {
        tm_buf_addz(q, ", ");
        tm_sql_ident(q, m->s->settings->flag_column);
    }
    tm_buf_addz(q, ") SELECT l.Id, 0, ?1 + row_number() OVER (ORDER BY l.rowid)");
    merge_list(m, "l.");
    if (extra)
        tm_buf_addz(q, ", l._gone");
    tm_buf_addz(q, " FROM ");
    merge_load(m);
    tm_buf_addz(q, " l LEFT JOIN ");
    merge_base(m);
    tm_buf_addz(q, m->flagged ? " b ON b.Id = l.Id WHERE ("
                              : " b ON b.Id = l.Id WHERE l._gone = 0 AND (");
    merge_differs(m);
    tm_buf_addz(q, ")");
    merge_not_older(m);
    tm_buf_addz(q, " ON CONFLICT(Id) DO UPDATE SET _seq = excluded._seq");
    for (size_t i = 0; i < m->columns_count; i++) {
        tm_buf_addz(q, ", ");
        tm_sql_ident(q, m->columns[i]);
        tm_buf_addz(q, " = excluded.");
        tm_sql_ident(q, m->columns[i]);
    }
    if (extra) {
        tm_buf_addz(q, ", ");
        tm_sql_ident(q, m->s->settings->flag_column);
        tm_buf_addz(q, " = excluded.");
        tm_sql_ident(q, m->s->settings->flag_column);
    }
    enum tm_code rc = merge_exec(m, m->seq, out_changed, err);
    m->seq += (int64_t)*out_changed;
    return rc;
}

/* Rows of the ids in X_removed go, or get their flag; ids that came back leave X_removed. */
static enum tm_code merge_removals(struct merge *m, int64_t seq_before, struct tm_err *err)
{
    struct tm_buf *q = &m->s->sql;
    if (m->flagged) {
        tm_buf_addz(q, "UPDATE ");
        merge_base(m);
        tm_buf_addz(q, " SET ");
        tm_sql_ident(q, m->s->settings->flag_column);
        tm_buf_addz(q, " = 1 WHERE Id IN (SELECT Id FROM ");
    } else {
        tm_buf_addz(q, "DELETE FROM ");
        merge_base(m);
        tm_buf_addz(q, " WHERE Id IN (SELECT Id FROM ");
    }
    merge_removed(m);
    tm_buf_addz(q, " WHERE _seq > ?1)");
    return merge_exec(m, seq_before, NULL, err);
}

static enum tm_code merge_returned(struct merge *m, struct tm_err *err)
{
    struct tm_buf *q = &m->s->sql;
    tm_buf_addz(q, "DELETE FROM ");
    merge_removed(m);
    tm_buf_addz(q, " WHERE EXISTS (SELECT 1 FROM ");
    merge_base(m);
    tm_buf_addz(q, " b WHERE b.Id = ");
    merge_removed(m);
    tm_buf_addz(q, ".Id");
    merge_visible(m, "b");
    tm_buf_addz(q, ")");
    enum tm_code rc = merge_exec(m, 0, NULL, err);
    if (rc != TM_OK)
        return rc;
    tm_buf_addz(q, "DELETE FROM ");
    merge_load(m);
    return merge_exec(m, 0, NULL, err);
}

/* Where the cursor stands after the read (B3, B4). */
static void merge_cursor(const struct tm_batch_settings *settings, struct tm_batch_state *state)
{
    int64_t start_ms =
        state->started_org_ms - state->started_org_ms % 1000; /* stamps are whole seconds */
    if (state->range.whole) {
        state->cursor_ms =
            state->seen_ms != INT64_MIN && state->seen_ms < start_ms ? state->seen_ms : start_ms;
        state->deleted_until_ms = start_ms;
    } else if (settings->advance == TM_BATCH_POLL_START) {
        state->cursor_ms = start_ms;
    } else if (state->seen_ms > state->cursor_ms) {
        state->cursor_ms = state->seen_ms;
    }
    if (state->cursor_ms == INT64_MIN)
        state->cursor_ms = settings->start_ms;
    if (state->deleted_until_ms == INT64_MIN)
        state->deleted_until_ms = start_ms;
    state->loaded = true;
    state->done_grid_ms = state->grid_ms;
    state->read = TM_READ_NONE;
    state->job = (struct tm_sf_bulk_place){ .job = "" };
}

enum tm_code tm_store_merge(struct tm_store *s, const char *object, struct tm_batch_state *state,
                            const struct tm_now *now, uint64_t *out_changed, uint64_t *out_removed,
                            struct tm_err *err)
{
    struct merge *m = calloc(1, sizeof *m);
    struct tm_batch_state next = *state;
    int64_t seq_before = 0;
    if (m == NULL)
        return tm_fail(err, TM_E_NOMEM, "batch: a merge");
    m->s = s;
    m->object = object;
    m->flagged = s->settings->deletes == TM_BATCH_FLAG;
    m->missing_are_gone = state->range.whole;
    tm_sql_finalize(s->insert);
    s->insert = NULL;
    enum tm_code rc = tm_sql_exec(s->db, "BEGIN IMMEDIATE", err);
    if (rc != TM_OK)
        goto done;
    if ((rc = merge_columns(m, err)) == TM_OK)
        rc = tm_sql_int64(&seq_before, s->db, "SELECT value FROM _meta WHERE key = 'seq'", err);
    m->seq = seq_before;
    if (rc == TM_OK && (s->settings->deletes != TM_BATCH_IGNORE || m->missing_are_gone))
        rc = merge_list_removed(m, out_removed, err);
    int64_t seq_removed = m->seq;
    if (rc == TM_OK)
        rc = merge_rows(m, out_changed, err);
    if (rc == TM_OK && seq_removed > seq_before)
        rc = merge_removals(m, seq_before, err);
    if (rc == TM_OK)
        rc = merge_returned(m, err);
    merge_cursor(s->settings, &next);
    if (rc == TM_OK)
        rc = tm_store_log_poll(s, object, state->read, state, now, seq_before + 1, m->seq, err);
    if (rc == TM_OK)
        rc = tm_store_keep(s, object, &next, err);
    rc = tm_store_end(s, rc, err);
    if (rc == TM_OK)
        *state = next;
done:
    merge_free(m);
    free(m);
    return rc;
}

static enum tm_code suspects_one(struct merge *m, sqlite3_stmt *q, const json_t *record,
                                 json_t *out, struct tm_err *err)
{
    const char *id = json_string_value(json_object_get(record, "id"));
    const char *when = json_string_value(json_object_get(record, "deletedDate"));
    char id18[TM_ID_BYTES];
    int64_t deleted_ms;
    bool row = false;
    struct tm_err why = { .code = TM_OK };
    if (id == NULL || when == NULL || tm_id18(id18, id, &why) != TM_OK ||
        tm_time_parse(&deleted_ms, when, &why) != TM_OK)
        return tm_fail(err, TM_E_PROTO,
                       "getDeleted of %s: an entry without a usable id and deletedDate%s%s",
                       m->object, why.code ? ": " : "", why.code ? why.msg : "");
    sqlite3_bind_text(q, 1, id18, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(q, 2, deleted_ms);
    enum tm_code rc = tm_sql_step(q, &row, err);
    if (rc == TM_OK && row && json_array_append_new(out, json_string(id18)) != 0)
        rc = tm_fail(err, TM_E_NOMEM, "batch: deleted ids");
    sqlite3_reset(q);
    return rc;
}

enum tm_code tm_store_suspects(struct tm_store *s, const char *object, const json_t *records,
                               json_t **out, struct tm_err *err)
{
    struct merge m = { .s = s, .object = object, .flagged = s->settings->deletes == TM_BATCH_FLAG };
    sqlite3_stmt *q = NULL;
    const json_t *record;
    size_t i;
    json_t *found = json_array();
    tm_buf_addz(&s->sql, "SELECT 1 FROM ");
    merge_base(&m);
    tm_buf_addz(&s->sql,
                " b WHERE b.Id = ? AND (b.SystemModstamp IS NULL OR b.SystemModstamp <= ?)");
    merge_visible(&m, "b");
    enum tm_code rc = tm_sql_prepare(&q, s->db, tm_buf_text(&s->sql), err);
    tm_buf_reset(&s->sql);
    json_array_foreach(records, i, record)
    {
        if (rc != TM_OK)
            break;
        rc = suspects_one(&m, q, record, found, err);
    }
    tm_sql_finalize(q);
    if (rc == TM_OK) {
        *out = found;
        found = NULL;
    }
    json_decref(found);
    return rc;
}

enum tm_code tm_store_remove(struct tm_store *s, const char *object, const json_t *ids,
                             struct tm_batch_state *state, const struct tm_now *now,
                             uint64_t *out_removed, struct tm_err *err)
{
    struct merge *m = calloc(1, sizeof *m);
    int64_t before = 0;
    const json_t *id;
    size_t i;
    if (m == NULL)
        return tm_fail(err, TM_E_NOMEM, "batch: a removal");
    m->s = s;
    m->object = object;
    m->flagged = s->settings->deletes == TM_BATCH_FLAG;
    enum tm_code rc = tm_sql_exec(s->db, "BEGIN IMMEDIATE", err);
    if (rc != TM_OK)
        goto done;
    rc = tm_sql_int64(&before, s->db, "SELECT value FROM _meta WHERE key = 'seq'", err);
    m->seq = before;
    json_array_foreach(ids, i, id)
    {
        if (rc != TM_OK)
            break;
        tm_buf_addz(&s->sql, "INSERT OR REPLACE INTO ");
        merge_removed(m);
        tm_buf_addz(&s->sql, "(Id, _seq) VALUES(");
        tm_sql_literal(&s->sql, json_string_value(id));
        tm_buf_addz(&s->sql, ", ?1)");
        rc = merge_exec(m, ++m->seq, NULL, err);
    }
    if (rc == TM_OK)
        rc = merge_removals(m, before, err);
    if (rc == TM_OK)
        rc = tm_store_log_poll(s, object, TM_READ_DELETED, state, now, before + 1, m->seq, err);
    if (rc == TM_OK)
        rc = tm_store_keep(s, object, state, err);
    rc = tm_store_end(s, rc, err);
    if (rc == TM_OK)
        *out_removed = (uint64_t)(m->seq - before);
done:
    free(m);
    return rc;
}
