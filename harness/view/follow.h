/* follow: option 2's reading of one object's raw tables. in: rows of raw.db beyond the last ones
 * applied, by rowid; out: records and object state in view.db, all within the caller's transaction
 * on it. A read of raw.db happens inside the caller's read transaction, so that all tables are seen
 * at one instant. Owner: the caller of open. Rules cited by number are in harness/view/README.md.
 */
#ifndef TM_VIEW_FOLLOW_H
#define TM_VIEW_FOLLOW_H
#include "view/reads.h"
#include "view/store.h"

struct tm_view_work {
    struct tm_view_record **slots;
    size_t cap, count;
    struct tm_view_record **touched; /* [touched_count]: in this step, in order */
    size_t touched_count, touched_cap;
}; /* records at hand, by id */
struct tm_view_counts {
    uint64_t rows, events, records, reads, asks;
};
struct tm_view_follow {
    sqlite3 *raw, *db; /* borrowed */
    struct tm_view_shape shape;
    struct tm_view_store store;
    struct tm_view_object object;
    /* on raw; NULL where the table is not there yet: the next rows, and what names one of them */
    sqlite3_stmt *rows[TM_VIEW_TABLES], *names[TM_VIEW_TABLES];
    struct tm_view_work work;
    struct tm_view_ids touched; /* reads that got a row in this step */
    sqlite3_value **values;
    bool *named, *diff;            /* [shape.columns_count]: of the row at hand */
    struct tm_view_counts *counts; /* borrowed */
};
enum tm_code tm_view_follow_open(struct tm_view_follow *f, sqlite3 *raw, sqlite3 *db,
                                 const char *object, struct tm_view_counts *counts,
                                 struct tm_err *err);
/* The raw tables' columns may have changed: reads them again, widens the state, writes the
 * relations anew. */
enum tm_code tm_view_follow_shape(struct tm_view_follow *f, struct tm_err *err);
/* After a rollback: what was read is forgotten. */
enum tm_code tm_view_follow_reload(struct tm_view_follow *f, struct tm_err *err);
/* Somebody else wrote the state of records that may be at hand. */
void tm_view_follow_forget(struct tm_view_follow *f);
void tm_view_follow_close(struct tm_view_follow *f);
/* Applies up to rows_max rows of each table; *out_rows says how many there were. `seq` marks what
 * changes. */
enum tm_code tm_view_follow_apply(struct tm_view_follow *f, size_t rows_max, int64_t seq,
                                  size_t *out_rows, struct tm_err *err);
#endif
