/* pool: SQLite connections of a simulated world, handed out again instead of opened and closed. To
 * open one, read its schema and prepare its statements costs more than what a small history does
 * with it, and a history opens a dozen.
 *
 *   open  ─ one of that path is at rest? ─ yes → that one; no → a new one
 *   close ─ rolled back, what its user left prepared finalised, what it had as temporary gone → at
 *           rest, with the statements that are kept (base/sql_kept.h), and its database in memory
 *           lives on: a station that crashes loses what it had not made durable, and no more
 *   the world ends ─ databases whose tables stations made as they went are closed, and gone. Those
 *           whose tables are made at the start are emptied for the next world: while their schema
 *           is what it was then; else they are closed as well
 *
 * So every world begins with databases as a new one has them: empty tables, or none. Of one thread;
 * what is at rest belongs to it, until it opens a world in another folder. */
#ifndef TM_SIMULATE_POOL_H
#define TM_SIMULATE_POOL_H
#include "base/sql.h"

/* Worlds in `dir` with the org's tables of `objects` objects: from here to the end tm_sql_open of a
 * path in it and tm_sql_close go through the pool. */
void tm_sim_pool_begin(const char *dir, size_t objects);
/* The next ":memory:" that is opened is the org's. */
void tm_sim_pool_org(void);
/* The org is ready: the tables it has now are those it starts with. */
enum tm_code tm_sim_pool_settled(sqlite3 *org, struct tm_err *err);
/* The world is taken down: what is closed from here on is at rest only where it lasts. */
void tm_sim_pool_closing(void);
/* Nobody uses any of them any more. */
void tm_sim_pool_end(void);
#endif
