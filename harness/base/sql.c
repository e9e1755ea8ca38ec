#include "base/sql.h"
#include "base/sql_kept.h"
#include <assert.h>
#include <stdarg.h>
#include <string.h>

#define SQL_COLUMNS_BYTES_MAX 4096
#define SQL_SHORT_BYTES 24

enum tm_code tm_sql_fail(sqlite3 *db, struct tm_err *err, const char *doing)
{
    int code = sqlite3_errcode(db) & 0xff;
    const char *path = sqlite3_db_filename(db, "main");
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return TM_E_AGAIN;
    if (code == SQLITE_NOTADB)
        return tm_fail(
            err, TM_E_ARG,
            "%s is not a SQLite database; name another file, or one that is not there yet", path);
    if (code == SQLITE_CORRUPT)
        return tm_fail(err, TM_E_ARG,
                       "%s is damaged or cut short (%s); remove it, or name another file", path,
                       sqlite3_errmsg(db));
    return tm_fail(err, code == SQLITE_NOMEM ? TM_E_NOMEM : TM_E_IO, "%s: %s: %s",
                   path != NULL && *path ? path : "in-memory database", doing, sqlite3_errmsg(db));
}

static enum tm_code sql_pragmas(sqlite3 *db, enum tm_sql_mode mode, struct tm_err *err)
{
    if (mode == TM_SQL_READ)
        return tm_sql_exec(db, "PRAGMA query_only=1; PRAGMA mmap_size=268435456", err);
    return tm_sql_exec(db,
                       "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=0;"
                       "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-32768",
                       err);
}

/* Where a new file is to be written is the user's choice; one that should be there, and a disk that
 * fails, are the world's. */
static enum tm_code sql_cannot_open(sqlite3 *db, const char *path, enum tm_sql_mode mode,
                                    struct tm_err *err)
{
    int code = db != NULL ? sqlite3_errcode(db) & 0xff : SQLITE_NOMEM;
    bool choice = mode == TM_SQL_CREATE && (code == SQLITE_CANTOPEN || code == SQLITE_READONLY);
    if (code == SQLITE_NOMEM)
        return tm_fail(err, TM_E_NOMEM, "cannot open %s: out of memory", path);
    return tm_fail(err, choice ? TM_E_ARG : TM_E_IO,
                   "cannot open %s: %s (does the folder exist, and may you write there?)", path,
                   sqlite3_errmsg(db));
}

static _Thread_local const struct tm_sql_lender *sql_lender;

void tm_sql_lend(const struct tm_sql_lender *lender)
{
    sql_lender = lender;
}

enum tm_code tm_sql_open(sqlite3 **out, const char *path, enum tm_sql_mode mode, struct tm_err *err)
{
    return sql_lender != NULL ? sql_lender->open(out, path, mode, err)
                              : tm_sql_open_really(out, path, mode, err);
}

enum tm_code tm_sql_fleeting(sqlite3 *db, struct tm_err *err)
{
    return tm_sql_exec(db, "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY", err);
}

void tm_sql_close(sqlite3 *db)
{
    if (db != NULL && sql_lender != NULL)
        sql_lender->close(db);
    else
        tm_sql_close_really(db);
}

enum tm_code tm_sql_open_really(sqlite3 **out, const char *path, enum tm_sql_mode mode,
                                struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    sqlite3 *db = NULL;
    struct tm_err why = { .code = TM_OK };
    int flags = mode == TM_SQL_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (mode == TM_SQL_CREATE)
        flags |= SQLITE_OPEN_CREATE;
    if (sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        rc = sql_cannot_open(db, path, mode, err);
        goto done;
    }
    sqlite3_extended_result_codes(db, 1);
    /* The very first open of a file by two processes may meet a lock; waiting here is bounded and
     * once. */
    sqlite3_busy_timeout(db, 5000);
    rc = sql_pragmas(db, mode, &why);
    if (rc != TM_OK) {
        int code = sqlite3_errcode(db) & 0xff;
        if (code == SQLITE_CANTOPEN || code == SQLITE_READONLY)
            rc = sql_cannot_open(db, path, mode, err);
        else if (err != NULL && rc != TM_E_AGAIN)
            *err = why;
        if (rc == TM_E_AGAIN)
            rc = tm_fail_retry(err, TM_E_IO, "%s is locked by another process", path);
        goto done;
    }
    sqlite3_busy_timeout(db, 0);
    tm_sql_kept_open(db);
    *out = db;
    db = NULL;
done:
    if (db != NULL)
        sqlite3_close(db);
    return rc;
}

void tm_sql_close_really(sqlite3 *db)
{
    sqlite3_stmt *stmt;
    if (db == NULL)
        return;
    tm_sql_kept_close(db);
    while ((stmt = sqlite3_next_stmt(db, NULL)) != NULL)
        sqlite3_finalize(stmt);
    sqlite3_close(db);
}

void tm_sql_leave(sqlite3 *db)
{
    sqlite3_stmt *stmt = sqlite3_next_stmt(db, NULL), *next;
    for (; stmt != NULL; stmt = next) {
        next = sqlite3_next_stmt(db, stmt);
        if (!tm_sql_kept_has(stmt))
            sqlite3_finalize(stmt);
    }
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

/* One short statement; BEGIN, COMMIT and the like come round and round. */
static int sql_exec_short(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = tm_sql_kept_take(db, sql);
    int rc = SQLITE_OK;
    if (stmt == NULL)
        rc = sqlite3_prepare_v3(db, sql, -1, 0, &stmt, NULL);
    if (rc == SQLITE_OK)
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
            ;
    if (rc != SQLITE_DONE)
        return sqlite3_finalize(stmt) == SQLITE_OK ? rc : sqlite3_errcode(db);
    tm_sql_finalize(stmt);
    return SQLITE_OK;
}

enum tm_code tm_sql_exec(sqlite3 *db, const char *sql, struct tm_err *err)
{
    bool is_short = strlen(sql) <= SQL_SHORT_BYTES && strchr(sql, ';') == NULL;
    int done = is_short ? sql_exec_short(db, sql) : sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (done == SQLITE_OK)
        return TM_OK;
    char doing[80];
    sqlite3_snprintf(sizeof doing, doing, "%.70s", sql);
    return tm_sql_fail(db, err, doing);
}

enum tm_code tm_sql_columns(sqlite3_stmt **out, sqlite3 *db, const char *table, struct tm_err *err)
{
    struct tm_buf sql;
    tm_buf_init(&sql, SQL_COLUMNS_BYTES_MAX);
    tm_buf_addz(&sql, "PRAGMA table_info(");
    tm_sql_ident(&sql, table);
    tm_buf_addc(&sql, ')');
    enum tm_code rc = tm_buf_check(&sql, "a table's name", err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(out, db, tm_buf_text(&sql), err);
    tm_buf_free(&sql);
    return rc;
}

enum tm_code tm_sql_own(sqlite3 *db, const char *table, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_prepare(
        &s, db, "SELECT count(*), coalesce(sum(name = ?), 0) FROM sqlite_master", err);
    if (rc == TM_OK) {
        sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
        rc = tm_sql_step(s, &row, err);
    }
    bool foreign =
        rc == TM_OK && row && sqlite3_column_int(s, 0) > 0 && sqlite3_column_int(s, 1) == 0;
    tm_sql_finalize(s);
    return !foreign ? rc
                    : tm_fail(err, TM_E_ARG,
                              "%s is a database of something else (it has tables, but no %s); "
                              "name another file, or one that is not there yet",
                              sqlite3_db_filename(db, "main"), table);
}

enum tm_code tm_sql_execf(sqlite3 *db, struct tm_err *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *sql = sqlite3_vmprintf(fmt, ap);
    va_end(ap);
    if (sql == NULL)
        return tm_fail(err, TM_E_NOMEM, "formatting SQL");
    enum tm_code rc = tm_sql_exec(db, sql, err);
    sqlite3_free(sql);
    return rc;
}

enum tm_code tm_sql_prepare(sqlite3_stmt **out, sqlite3 *db, const char *sql, struct tm_err *err)
{
    char doing[80];
    if ((*out = tm_sql_kept_take(db, sql)) != NULL)
        return TM_OK;
    /* Not SQLITE_PREPARE_PERSISTENT: that turns the connection's own allocator off while parsing.
     */
    if (sqlite3_prepare_v3(db, sql, -1, 0, out, NULL) == SQLITE_OK)
        return TM_OK;
    sqlite3_snprintf(sizeof doing, doing, "%.70s", sql);
    return tm_sql_fail(db, err, doing);
}

void tm_sql_finalize(sqlite3_stmt *stmt)
{
    if (!tm_sql_kept_give(stmt))
        sqlite3_finalize(stmt);
}

enum tm_code tm_sql_step(sqlite3_stmt *stmt, bool *out_row, struct tm_err *err)
{
    int rc = sqlite3_step(stmt);
    *out_row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return TM_OK;
    char doing[80];
    sqlite3_snprintf(sizeof doing, doing, "%.70s", sqlite3_sql(stmt));
    enum tm_code code = tm_sql_fail(sqlite3_db_handle(stmt), err, doing);
    sqlite3_reset(stmt);
    return code;
}

enum tm_code tm_sql_run(sqlite3_stmt *stmt, struct tm_err *err)
{
    bool row;
    enum tm_code rc = tm_sql_step(stmt, &row, err);
    assert(!row);
    sqlite3_reset(stmt);
    return rc;
}

enum tm_code tm_sql_int64(int64_t *out, sqlite3 *db, const char *sql, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    *out = 0;
    enum tm_code rc = tm_sql_prepare(&stmt, db, sql, err);
    if (rc == TM_OK)
        rc = tm_sql_step(stmt, &row, err);
    if (rc == TM_OK && row)
        *out = sqlite3_column_int64(stmt, 0);
    tm_sql_finalize(stmt);
    return rc;
}

static void sql_quoted(struct tm_buf *out, const char *text, char quote)
{
    tm_buf_addc(out, quote);
    for (const char *at; (at = strchr(text, quote)) != NULL; text = at + 1) {
        tm_buf_add(out, text, (size_t)(at - text) + 1);
        tm_buf_addc(out, quote);
    }
    tm_buf_addz(out, text);
    tm_buf_addc(out, quote);
}

void tm_sql_ident(struct tm_buf *out, const char *name)
{
    sql_quoted(out, name, '"');
}
void tm_sql_literal(struct tm_buf *out, const char *text)
{
    sql_quoted(out, text, '\'');
}
