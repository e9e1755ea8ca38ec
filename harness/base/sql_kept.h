/* sql_kept: statements that a connection has done with, kept to be handed out again: to prepare one
 * costs several times what running it does, and stations ask the same few things at every step.
 * in: a statement that its user finalises; out: the same one, reset and without bindings, for who
 * prepares that text next on that connection. Nothing is kept beyond the connection. A statement
 * older than the schema is compiled anew when it is stepped, by SQLite itself. Used by sql.c alone;
 * safe from any thread, as its connection is. */
#ifndef TM_BASE_SQL_KEPT_H
#define TM_BASE_SQL_KEPT_H
#include <sqlite3.h>
#include <stdbool.h>

#define TM_SQL_KEPT_MAX 96 /* of one connection; the oldest goes */
/* Without memory for it nothing is kept, which is no error. */
void tm_sql_kept_open(sqlite3 *db);
/* Finalises what is kept. */
void tm_sql_kept_close(sqlite3 *db);
/* NULL = none with this text. */
sqlite3_stmt *tm_sql_kept_take(sqlite3 *db, const char *text);
/* False: not kept, the caller finalises it. */
bool tm_sql_kept_give(sqlite3_stmt *stmt);
bool tm_sql_kept_has(const sqlite3_stmt *stmt);
#endif
