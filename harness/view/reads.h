/* reads: whole-object and range reads, from their `end` records to the ids they did not answer
 * (R16). in: recon rows of raw.db up to the last one applied; out: reads that came into force, ids
 * to remove. */
#ifndef TM_VIEW_READS_H
#define TM_VIEW_READS_H
#include "view/record.h"
#include "view/shape.h"

/* given at once; the caller asks again while it gets as many */
#define TM_VIEW_READS_MAX 16
struct tm_view_read {
    char id[TM_VIEW_READ_ID_MAX];
    struct tm_view_key key; /* its text is `id` */
    bool whole;
};
struct tm_view_ids {
    char **ids;
    size_t count, cap;
};
void tm_view_ids_free(struct tm_view_ids *ids);
/* An `end` was seen. */
enum tm_code tm_view_reads_pending(sqlite3 *db, const char *object, const char *read_id,
                                   struct tm_err *err);
/* Adds an id behind the last one, unless it is that one. */
enum tm_code tm_view_ids_add(struct tm_view_ids *ids, const char *id, struct tm_err *err);
/* Pending reads among `touched` whose ends and answers are all there by now; they are pending no
 * more. Only a row of its own brings a read into force: one that broke off is never looked at
 * again, and costs nothing. */
enum tm_code tm_view_reads_in_force(struct tm_view_read *out, size_t out_cap, size_t *out_count,
                                    const struct tm_view_ids *touched, sqlite3 *raw,
                                    const struct tm_view_shape *shape, sqlite3 *db,
                                    int64_t row_last, struct tm_err *err);
/* Ids of `state_table` in db that read `read_id` has no answer for in `recon_table` of raw. *out is
 * always freeable. */
enum tm_code tm_view_reads_unanswered(struct tm_view_ids *out, sqlite3 *raw,
                                      const char *recon_table, sqlite3 *db, const char *state_table,
                                      const char *read_id, int64_t row_last, struct tm_err *err);
#endif
