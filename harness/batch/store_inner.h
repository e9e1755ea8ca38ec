/* store_inner: what the files of the store share. Not for the station. */
#ifndef TM_BATCH_STORE_INNER_H
#define TM_BATCH_STORE_INNER_H
#include "batch/store.h"

#define STORE_SQL_BYTES_MAX (4u << 20)
#define STORE_NAME_BYTES 256

struct tm_store {
    sqlite3 *db;
    const struct tm_batch_settings *settings;
    struct tm_buf sql, arena;
    sqlite3_stmt *insert; /* into the load table of the read under way */
};
enum tm_code tm_store_exec_built(struct tm_store *s, struct tm_err *err); /* s->sql, then emptied */
void tm_store_name(struct tm_buf *out, const char *prefix, const char *object, const char *suffix);
bool tm_store_is_own(const char *column); /* of the load table, and no field's */
void tm_store_base(struct tm_buf *out, const struct tm_store *s,
                   const char *object); /* the table behind the relation */
enum tm_code tm_store_end(struct tm_store *s, enum tm_code rc,
                          struct tm_err *err); /* COMMIT, or ROLLBACK if rc */
enum tm_code tm_store_keep(struct tm_store *s, const char *object,
                           const struct tm_batch_state *state, struct tm_err *err);
enum tm_code tm_store_meta(struct tm_store *s, const char *key, int64_t value, struct tm_err *err);
enum tm_code tm_store_log_poll(struct tm_store *s, const char *object, enum tm_read_mode mode,
                               const struct tm_batch_state *state, const struct tm_now *now,
                               int64_t seq_first, int64_t seq_last, struct tm_err *err);
#endif
