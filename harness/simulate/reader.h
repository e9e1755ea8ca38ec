/* reader: what option 1's views show, without SQLite reading their SQL anew in every history. A few
 * dozen shapes of raw tables come back in seed after seed, and to make and prepare the views of one
 * costs more than all else that a small history does. in: a raw.db, and the view SQL that is to be
 * installed in it; out: an installed view that only names the SQL, kept here with a database of the
 * same tables and the real views, prepared once; asked, that database takes the rows of raw.db as
 * they are and answers with that very SQL. Which SQL a raw.db has, since when, and whether that
 * outlives a crash is decided by what is installed in it, as ever.
 * Kept for the life of the thread; a cache of things that are a function of their text: no answer
 * depends on what was asked before. Owner: this file; what it
 * lends ends with the history. */
#ifndef TM_SIMULATE_READER_H
#define TM_SIMULATE_READER_H
#include "base/describe.h"
#include "simulate/flags.h"

#define TM_SIM_READER_TABLES 3 /* raw, alerts, recon */
struct tm_sim_reader;
/* In place of `sql`, the views of `object` over the tables of `raw`: one that names it. Says what
 * SQLite says when the SQL is wrong. */
enum tm_code tm_sim_reader_keep(struct tm_buf *out, sqlite3 *raw, const char *object,
                                const char *sql, struct tm_err *err);
/* The reader that raw's views of `object` name; NULL while there are none. */
enum tm_code tm_sim_reader_of(struct tm_sim_reader **out, sqlite3 *raw, const char *object,
                              struct tm_err *err);
/* Of raw: the rows a reader wants, table by table; NULL where there is no such table. */
enum tm_code tm_sim_reader_wants(sqlite3_stmt *out[TM_SIM_READER_TABLES],
                                 const struct tm_sim_reader *r, sqlite3 *raw, struct tm_err *err);
/* Takes these rows: anew, in place of what it has; else those that came since, for raw tables only
 * grow. */
enum tm_code tm_sim_reader_fill(struct tm_sim_reader *r, sqlite3_stmt *const rows[], bool anew,
                                struct tm_err *err);
sqlite3 *tm_sim_reader_db(const struct tm_sim_reader *r);
/* Statements of the reader's, prepared at most once. `text`: the SQL. */
enum tm_code tm_sim_reader_prepare(sqlite3_stmt **out, struct tm_sim_reader *r, const char *text,
                                   struct tm_err *err);
/* The questions of flags.h; known: as there. */
enum tm_code tm_sim_reader_flags(struct tm_sim_flags *out, struct tm_sim_reader *r, sqlite3 *org,
                                 sqlite3_stmt *known, struct tm_err *err);
/* Between two histories: what the last one used may go when another needs the room. */
void tm_sim_reader_done(void);
#endif
