#include "view/reads.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READS_ANSWERS "_kind IN ('image','removed','unreadable') AND _read_id=?1 AND rowid<=?2"
#define READS_SQL_BYTES_MAX 16384

void tm_view_ids_free(struct tm_view_ids *ids)
{
    for (size_t i = 0; i < ids->count; i++)
        free(ids->ids[i]);
    free(ids->ids);
    memset(ids, 0, sizeof *ids);
}

enum tm_code tm_view_ids_add(struct tm_view_ids *ids, const char *id, struct tm_err *err)
{
    if (ids->count > 0 && strcmp(ids->ids[ids->count - 1], id) == 0)
        return TM_OK;
    if (ids->count == ids->cap) {
        size_t cap = ids->cap == 0 ? 256 : ids->cap * 2;
        char **grown = realloc(ids->ids, cap * sizeof *grown);
        if (grown == NULL)
            return tm_fail(err, TM_E_NOMEM, "%zu ids of reads", ids->count);
        ids->ids = grown;
        ids->cap = cap;
    }
    ids->ids[ids->count] = strdup(id);
    if (ids->ids[ids->count] == NULL)
        return tm_fail(err, TM_E_NOMEM, "%zu ids of reads", ids->count);
    ids->count++;
    return TM_OK;
}

static enum tm_code reads_run(sqlite3 *db, const char *sql, const char *object, const char *read_id,
                              struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    enum tm_code rc = tm_sql_prepare(&stmt, db, sql, err);
    if (rc == TM_OK) {
        sqlite3_bind_text(stmt, 1, object, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, read_id, -1, SQLITE_STATIC);
        rc = tm_sql_run(stmt, err);
    }
    tm_sql_finalize(stmt);
    return rc;
}

enum tm_code tm_view_reads_pending(sqlite3 *db, const char *object, const char *read_id,
                                   struct tm_err *err)
{
    if (read_id == NULL || strlen(read_id) >= TM_VIEW_READ_ID_MAX)
        return tm_fail(err, TM_E_PROTO, "an end record of %s has no usable _read_id", object);
    return reads_run(db, "INSERT OR IGNORE INTO _reads VALUES(?1,?2)", object, read_id, err);
}

/* One row when enough ends have as many answers as they count: how many, how many there must be,
 * position, kind. */
static enum tm_code reads_check_prepare(sqlite3_stmt **out, sqlite3 *raw,
                                        const struct tm_view_shape *shape, struct tm_err *err)
{
    struct tm_buf b;
    tm_buf_init(&b, READS_SQL_BYTES_MAX);
    tm_buf_addz(&b, "SELECT count(*),");
    tm_view_shape_needed(shape, &b, "max(f.parts)");
    tm_buf_addz(&b, ",max(f.epoch),max(f.g),max(f.seq),max(f.whole) FROM"
                    " (SELECT _partition AS part,max(_count) AS n,max(_partitions) AS parts,max(");
    tm_view_shape_epoch(shape, &b, TM_VIEW_RECON, "r");
    tm_buf_addz(&b,
                ") AS epoch,max(CAST(_g AS INTEGER)) AS g,max(CAST(_read_seq AS INTEGER)) AS seq,"
                "max(_read_kind='whole') AS whole FROM ");
    tm_sql_ident(&b, shape->tables[TM_VIEW_RECON]);
    tm_buf_addz(&b, " r WHERE _kind='end' AND _read_id=?1 AND rowid<=?2");
    tm_view_shape_ours(shape, &b, "_partition");
    tm_buf_addz(&b, " GROUP BY 1) f LEFT JOIN"
                    " (SELECT _partition AS part,count(DISTINCT Id) AS n FROM ");
    tm_sql_ident(&b, shape->tables[TM_VIEW_RECON]);
    tm_buf_addz(&b, " WHERE " READS_ANSWERS
                    " GROUP BY 1) g ON g.part=f.part WHERE coalesce(g.n,0)>=coalesce(f.n,0)");
    enum tm_code rc = tm_sql_prepare(out, raw, tm_buf_text(&b), err);
    tm_buf_free(&b);
    return rc;
}

static enum tm_code reads_check(struct tm_view_read *out, bool *out_in_force, sqlite3_stmt *check,
                                const char *id, int64_t row_last, struct tm_err *err)
{
    bool row = false;
    sqlite3_bind_text(check, 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(check, 2, row_last);
    enum tm_code rc = tm_sql_step(check, &row, err);
    *out_in_force = rc == TM_OK && row && sqlite3_column_int64(check, 0) > 0 &&
                    sqlite3_column_int64(check, 0) >= sqlite3_column_int64(check, 1);
    if (*out_in_force) {
        snprintf(out->id, sizeof out->id, "%s", id);
        out->key =
            tm_view_key_answer(sqlite3_column_int64(check, 2), sqlite3_column_int64(check, 3),
                               sqlite3_column_int64(check, 4), out->id);
        out->whole = sqlite3_column_int(check, 5) == 1;
    }
    sqlite3_reset(check);
    return rc;
}

static bool reads_has(const struct tm_view_ids *ids, const char *id)
{
    for (size_t i = 0; i < ids->count; i++)
        if (strcmp(ids->ids[i], id) == 0)
            return true;
    return false;
}

enum tm_code tm_view_reads_in_force(struct tm_view_read *out, size_t out_cap, size_t *out_count,
                                    const struct tm_view_ids *touched, sqlite3 *raw,
                                    const struct tm_view_shape *shape, sqlite3 *db,
                                    int64_t row_last, struct tm_err *err)
{
    sqlite3_stmt *pending = NULL, *check = NULL;
    bool row = false;
    *out_count = 0;
    enum tm_code rc =
        tm_sql_prepare(&pending, db, "SELECT read_id FROM _reads WHERE object=?1", err);
    if (rc == TM_OK)
        sqlite3_bind_text(pending, 1, shape->object, -1, SQLITE_STATIC);
    while (rc == TM_OK && *out_count < out_cap && (rc = tm_sql_step(pending, &row, err)) == TM_OK &&
           row) {
        bool in_force = false;
        const char *id = (const char *)sqlite3_column_text(pending, 0);
        if (!shape->shared && !reads_has(touched, id))
            continue; /* shared: what is needed may have changed instead */
        if (check == NULL && (rc = reads_check_prepare(&check, raw, shape, err)) != TM_OK)
            break;
        rc = reads_check(&out[*out_count], &in_force, check, id, row_last, err);
        *out_count += in_force;
    }
    tm_sql_finalize(pending);
    tm_sql_finalize(check);
    for (size_t i = 0; i < *out_count && rc == TM_OK; i++)
        rc = reads_run(db, "DELETE FROM _reads WHERE object=?1 AND read_id=?2", shape->object,
                       out[i].id, err);
    return rc;
}

static enum tm_code reads_answered(sqlite3_stmt **out, sqlite3 *raw, const char *recon_table,
                                   const char *read_id, int64_t row_last, struct tm_err *err)
{
    struct tm_buf b;
    tm_buf_init(&b, READS_SQL_BYTES_MAX);
    tm_buf_addz(&b, "SELECT DISTINCT Id FROM ");
    tm_sql_ident(&b, recon_table);
    tm_buf_addz(&b, " WHERE " READS_ANSWERS " ORDER BY Id COLLATE BINARY");
    enum tm_code rc = tm_sql_prepare(out, raw, tm_buf_text(&b), err);
    tm_buf_free(&b);
    if (rc == TM_OK) {
        sqlite3_bind_text(*out, 1, read_id, -1, SQLITE_TRANSIENT);
        sqlite3_bind_int64(*out, 2, row_last);
    }
    return rc;
}

/* Both lists in binary order, walked side by side. */
enum tm_code tm_view_reads_unanswered(struct tm_view_ids *out, sqlite3 *raw,
                                      const char *recon_table, sqlite3 *db, const char *state_table,
                                      const char *read_id, int64_t row_last, struct tm_err *err)
{
    sqlite3_stmt *answered = NULL, *known = NULL;
    struct tm_buf b;
    bool have = false, row = false;
    memset(out, 0, sizeof *out);
    tm_buf_init(&b, READS_SQL_BYTES_MAX);
    tm_buf_addz(&b, "SELECT Id FROM ");
    tm_sql_ident(&b, state_table);
    tm_buf_addz(&b, " ORDER BY Id");
    enum tm_code rc = reads_answered(&answered, raw, recon_table, read_id, row_last, err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&known, db, tm_buf_text(&b), err);
    if (rc == TM_OK)
        rc = tm_sql_step(answered, &have, err);
    while (rc == TM_OK && (rc = tm_sql_step(known, &row, err)) == TM_OK && row) {
        const char *id = (const char *)sqlite3_column_text(known, 0);
        int order = -1;
        while (rc == TM_OK && have &&
               (order = strcmp((const char *)sqlite3_column_text(answered, 0), id)) < 0)
            rc = tm_sql_step(answered, &have, err);
        if (rc == TM_OK && (!have || order != 0))
            rc = tm_view_ids_add(out, id, err);
    }
    tm_sql_finalize(answered);
    tm_sql_finalize(known);
    tm_buf_free(&b);
    return rc;
}
