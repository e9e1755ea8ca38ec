/* merge_copy: copy.db beside the report: every relation as the parts showed it at their ends, each
 * row from the owner of its partition. For people, and for what a difference looks like. */
#include "check/merge_inner.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPY_SQL_BYTES_MAX (1u << 20)

/* Columns of the part's table that the copy's has not; `names` lists all of the part's. */
static enum tm_code copy_columns(sqlite3 *db, const char *name, const char *from,
                                 struct tm_buf *names, struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    struct tm_buf add;
    enum tm_code rc = tm_sql_prepare(
        &q, db,
        "SELECT f.name, (SELECT count(*) FROM pragma_table_info(?1,'main') t WHERE t.name=f.name "
        "COLLATE NOCASE) FROM pragma_table_info(?2,'part') f ORDER BY f.cid",
        err);
    tm_buf_init(&add, COPY_SQL_BYTES_MAX);
    if (rc == TM_OK) {
        sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 2, from, -1, SQLITE_STATIC);
    }
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        const char *column = (const char *)sqlite3_column_text(q, 0);
        if (names->bytes > 0)
            tm_buf_addc(names, ',');
        tm_sql_ident(names, column);
        if (sqlite3_column_int(q, 1) > 0)
            continue;
        tm_buf_addz(&add, "ALTER TABLE main.");
        tm_sql_ident(&add, name);
        tm_buf_addz(&add, " ADD COLUMN ");
        tm_sql_ident(&add, column);
        tm_buf_addc(&add, ';');
    }
    tm_sql_finalize(q);
    if (rc == TM_OK)
        rc = tm_buf_check(&add, "columns of a copy", err);
    if (rc == TM_OK && add.bytes > 0)
        rc = tm_sql_exec(db, tm_buf_text(&add), err);
    tm_buf_free(&add);
    return rc;
}

static enum tm_code copy_object(const struct merge_work *w, size_t part, size_t object, sqlite3 *db,
                                struct tm_err *err)
{
    const struct merge_owners *o = &w->owners[object];
    const char *name = w->parts[0].objects[object].name;
    char from[100];
    struct tm_buf names;
    int64_t there = 0;
    snprintf(from, sizeof from, "shown_%zu", object);
    tm_buf_init(&names, COPY_SQL_BYTES_MAX);
    enum tm_code rc = tm_sql_exec(db, "DELETE FROM temp.owned", err);
    for (int32_t i = 0; rc == TM_OK && i < o->count; i++)
        if (o->part[i] == part)
            rc = tm_sql_execf(db, err, "INSERT INTO temp.owned VALUES(%d)", (int)i);
    if (rc == TM_OK)
        rc = tm_sql_execf(db, err, "CREATE TABLE IF NOT EXISTS main.\"%w\"(Id TEXT PRIMARY KEY)",
                          name);
    if (rc == TM_OK) {
        char sql[160];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM part.sqlite_master WHERE name='%s'", from);
        rc = tm_sql_int64(&there, db, sql, err);
    }
    if (rc == TM_OK && there > 0)
        rc = copy_columns(db, name, from, &names, err);
    if (rc == TM_OK)
        rc = tm_buf_check(&names, "columns of a part", err);
    if (rc == TM_OK && there > 0)
        rc = tm_sql_execf(
            db, err,
            "INSERT OR IGNORE INTO main.\"%w\"(%s) SELECT %s FROM part.\"%w\" WHERE "
            "Id IN (SELECT id FROM part.place WHERE object=%d AND partition IN (SELECT "
            "n FROM temp.owned))",
            name, tm_buf_text(&names), tm_buf_text(&names), from, (int)object);
    tm_buf_free(&names);
    return rc;
}

enum tm_code merge_copy(const struct merge_work *w, const char *path, struct tm_err *err)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    char side[620];
    sqlite3 *db = NULL;
    for (size_t i = 0; i < 3; i++) {
        snprintf(side, sizeof side, "%.590s%s", path, suffixes[i]);
        if (unlink(side) != 0 && errno != ENOENT)
            return tm_fail(err, TM_E_IO, "cannot replace %s: %s", side, strerror(errno));
    }
    enum tm_code rc = tm_sql_open(&db, path, TM_SQL_CREATE, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(db,
                         "PRAGMA journal_mode=DELETE; PRAGMA synchronous=OFF;"
                         "CREATE TEMP TABLE owned(n INTEGER PRIMARY KEY)",
                         err);
    for (size_t i = 0; rc == TM_OK && i < w->parts_count; i++) {
        rc = tm_sql_execf(db, err, "ATTACH %Q AS part; BEGIN", w->parts[i].path);
        for (size_t o = 0; rc == TM_OK && o < w->parts[i].objects_count; o++)
            rc = copy_object(w, i, o, db, err);
        if (rc == TM_OK)
            rc = tm_sql_exec(db, "COMMIT; DETACH part", err);
    }
    tm_sql_close(db);
    return rc == TM_OK ? TM_OK : tm_at(err, "%s", path);
}
