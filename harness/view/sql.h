/* sql: option 1: the snapshot of an object as views over its raw tables, computed at query time
 * from rules R1-R16 of the design. in: the shape of the raw tables; out: SQL text for stock
 * SQLite 3.40, any shell can run it. Pure.
 *
 * Everything known about a record is ordered by one text key (R1, R9): epoch, replay id or g, 0 =
 * event or 1 = answer of a read, _read_seq. `rank` is the key and the row, the first delivered
 * highest, so that max() takes the first (R2). x      each raw row                       e each
 * event, once per record it concerns (R3) reads  whole and range reads in force (R16)        gone
 * removals by whole reads (R16) life   per record the last full image or removal (R4, R7, R9, R11):
 * it hides all that is below it u      updates above it (R5)              m       per record and
 * field the last of them (R6) dirt   what stands at or above it (R8, R10, R11, R12) */
#ifndef TM_VIEW_SQL_H
#define TM_VIEW_SQL_H
#include "view/shape.h"

#define TM_VIEW_SQL_BYTES_MAX (8u << 20)
/* Appends "DROP VIEW IF EXISTS …; CREATE VIEW …;" for X and X_dirty. */
void tm_view_sql(const struct tm_view_shape *shape, struct tm_buf *out);
/* The same for `object` as it is in `db` now, appended to `out`. */
enum tm_code tm_view_sql_for(sqlite3 *db, const char *object, struct tm_buf *out,
                             struct tm_err *err);
#endif
