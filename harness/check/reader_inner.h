/* reader_inner: what reader.c (snapshot relations), arrivals.c (the raw tables behind option 1) and
 * audit.c (full comparisons) share. Nobody else includes it. */
#ifndef TM_CHECK_READER_INNER_H
#define TM_CHECK_READER_INNER_H
#include "check/reader.h"

struct tm_reader_row { /* one row of a relation or table, but for its field values */
    const char *id, *kind, *read_id, *read_kind; /* never NULL; until the next step */
    bool dirty;
    int64_t seq, g, epoch, rowid, read_seq, partition, partitions, count;
};
/* Prepares "<sql_head><"name" + suffix><sql_tail>" when the relation is there; leaves *stmt NULL
 * when it is not yet. */
void tm_reader_prepare(struct tm_reader *r, sqlite3_stmt **stmt, const char *sql_head,
                       const char *name, const char *suffix, const char *sql_tail);
/* The row `stmt` stands on; values by column of `shown`, of which *out_count are set. */
enum tm_code tm_reader_take(struct tm_reader *r, struct tm_reader_object *o, sqlite3_stmt *stmt,
                            struct tm_reader_row *out, uint64_t values[TM_SHOWN_COLUMNS_MAX],
                            size_t *out_count, struct tm_err *err);

/* TM_E_AGAIN: no file yet. */
enum tm_code tm_reader_connect(struct tm_reader *r, int64_t now_ns, struct tm_err *err);
/* A read transaction whose snapshot stands: no commit after *out_ns is in it. The caller ends it.
 */
enum tm_code tm_reader_begin(struct tm_reader *r, int64_t *out_ns, struct tm_err *err);

void tm_arrivals_prepare(struct tm_reader *r, struct tm_reader_object *o);
/* New rows of the raw, alerts and recon tables, within the caller's read transaction. */
enum tm_code tm_arrivals_read(struct tm_reader *r, struct tm_reader_object *o, int64_t now_ns,
                              bool *changed, struct tm_err *err);
/* Option 1: the rows up to `until` of one object's tables, as the look of that time met them. A
 * table whose `until` is not beyond what is read already is left alone. */
enum tm_code tm_reader_again(struct tm_reader *r, size_t object, const struct tm_arrival_cut *until,
                             int64_t lo_ns, int64_t hi_ns, struct tm_err *err);
/* Newest rows there are: what a view can see in this read transaction. */
void tm_arrivals_cut(struct tm_reader *r, const char *object, struct tm_arrival_cut *out);
#endif
