/* sql: the one way to open and speak to SQLite. in: a path, SQL; out: prepared statements, errors
 * that name the file. Databases are WAL, busy_timeout 0: busy is TM_E_AGAIN, "step me again".
 * Owner of statements: the caller, until tm_sql_finalize, which may keep one for who prepares the
 * same text on the same connection (sql_kept.h); tm_sql_close finalises what is left.
 * Identifiers are quoted by one function. */
#ifndef TM_BASE_SQL_H
#define TM_BASE_SQL_H
#include "base/buf.h"
#include <sqlite3.h>

enum tm_sql_mode { TM_SQL_CREATE, TM_SQL_WRITE /* must exist */, TM_SQL_READ };
/* WAL and synchronous=NORMAL for writers. Errors name `path` and what to do. ":memory:"
 * is allowed. */
enum tm_code tm_sql_open(sqlite3 **out, const char *path, enum tm_sql_mode mode,
                         struct tm_err *err);
/* For a file that no crash has to survive (a simulated day, measures not in their place yet): rolls
 * back as ever, from memory, but waits for no disk and writes every page once, where WAL writes it twice
 * and sums it. Right after tm_sql_open. Readers are shut out while a transaction is written, so: no
 * reader beside the writer that stays within a transaction. */
enum tm_code tm_sql_fleeting(sqlite3 *db, struct tm_err *err);
/* TM_E_ARG when the file holds tables, but not this one: it is somebody else's. */
enum tm_code tm_sql_own(sqlite3 *db, const char *table, struct tm_err *err);
void tm_sql_close(sqlite3 *db); /* NULL-safe */
/* The simulation's seam: who opens and closes instead, in this thread, until another is set; NULL =
 * nobody. It does so by the two functions behind it, and tm_sql_leave makes of a connection what a
 * new one is: no transaction, nothing prepared but what is kept. */
struct tm_sql_lender {
    enum tm_code (*open)(sqlite3 **out, const char *path, enum tm_sql_mode mode,
                         struct tm_err *err);
    void (*close)(sqlite3 *db);
};
void tm_sql_lend(const struct tm_sql_lender *lender); /* borrowed */
enum tm_code tm_sql_open_really(sqlite3 **out, const char *path, enum tm_sql_mode mode,
                                struct tm_err *err);
void tm_sql_close_really(sqlite3 *db);
void tm_sql_leave(sqlite3 *db);
enum tm_code tm_sql_exec(sqlite3 *db, const char *sql, struct tm_err *err);
/* sqlite3_mprintf formats, %Q and %w among them: no compiler knows those, so none checks the
 * arguments. */
enum tm_code tm_sql_execf(sqlite3 *db, struct tm_err *err, const char *fmt, ...);
enum tm_code tm_sql_prepare(sqlite3_stmt **out, sqlite3 *db, const char *sql, struct tm_err *err);
void tm_sql_finalize(sqlite3_stmt *stmt); /* NULL-safe */
/* One row: *out_row true; done: false. BUSY/LOCKED -> TM_E_AGAIN (statement reset). */
enum tm_code tm_sql_step(sqlite3_stmt *stmt, bool *out_row, struct tm_err *err);
/* Runs a statement that returns no row, then resets it. */
enum tm_code tm_sql_run(sqlite3_stmt *stmt, struct tm_err *err);
/* first column, 0 if no row */
enum tm_code tm_sql_int64(int64_t *out, sqlite3 *db, const char *sql, struct tm_err *err);
/* A row for each column of a table or view, in order, TM_SQL_COLUMN_…; none where there is none.
 * The pragma itself: as a table-valued function it is parsed and made anew for every statement. */
enum { TM_SQL_COLUMN_NAME = 1, TM_SQL_COLUMN_TYPE };
enum tm_code tm_sql_columns(sqlite3_stmt **out, sqlite3 *db, const char *table, struct tm_err *err);
/* records sqlite3_errmsg; busy -> AGAIN */
enum tm_code tm_sql_fail(sqlite3 *db, struct tm_err *err, const char *doing);
/* `"name"` with inner quotes doubled: the only quoting of identifiers in the program. */
void tm_sql_ident(struct tm_buf *out, const char *name);
void tm_sql_literal(struct tm_buf *out, const char *text); /* 'text' with quotes doubled */
#endif
