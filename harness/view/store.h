/* store: what option 2 keeps in view.db. in: records and objects as they change; out: the same
 * after a restart, and the relations X, X_removed and X_dirty (batch/batch.h has them too), which
 * are views over the kept state. All writes happen inside the caller's transaction. One writer.
 * Owner: the caller of open. _view(key, value)                      format, and the last _seq given
 *   _objects(object, …)                    how far each raw table was read and which row that was,
 * epoch, what makes the object `*`, reads in force _reads(object, read_id)                reads
 * with an `end` that are not in force yet _stars(object, position, kind, epoch)  rows of X_dirty
 * for the whole object _state_<X>                             one row a record, shown or not;
 * fields have the relation's names */
#ifndef TM_VIEW_STORE_H
#define TM_VIEW_STORE_H
#include "view/record.h"
#include "view/shape.h"

struct tm_view_place {
    int64_t epoch, place;
};                             /* epoch -1 = none */
#define TM_VIEW_LAST_BYTES 320 /* a topic's name and three numbers */
struct tm_view_object {
    char name[TM_VIEW_NAME_MAX];
    int64_t rows_read[TM_VIEW_TABLES];             /* rowid of the last raw row applied */
    char last[TM_VIEW_TABLES][TM_VIEW_LAST_BYTES]; /* what it was: tm_view_shape_place */
    int64_t epoch;                                 /* highest seen; -1 = nothing seen */
    struct tm_view_place overflow, conversion;     /* highest of each */
    struct tm_view_place whole, range;             /* highest (epoch, g) of such a read in force */
    struct tm_view_key whole_key;                  /* of the highest whole read in force */
    char whole_read[TM_VIEW_READ_ID_MAX];          /* text of whole_key.read */
    struct tm_view_place copied;                   /* highest epoch with a whole read in force */
};
struct tm_view_store {
    sqlite3 *db;                       /* borrowed */
    const struct tm_view_shape *shape; /* borrowed; NULL until tm_view_store_shape */
    char table[TM_VIEW_NAME_MAX + 16];
    sqlite3_stmt *load, *insert, *update;
};
/* Common tables. TM_E_MISMATCH when the file is something else. */
enum tm_code tm_view_store_create(sqlite3 *db, struct tm_err *err);
/* State table, columns and relations of shape->object as `shape` has them; prepares
 * the statements. */
enum tm_code tm_view_store_shape(struct tm_view_store *s, sqlite3 *db,
                                 const struct tm_view_shape *shape, struct tm_err *err);
void tm_view_store_close(struct tm_view_store *s);
enum tm_code tm_view_store_load(struct tm_view_store *s, struct tm_view_record *out,
                                bool *out_found, const char *id, struct tm_err *err);
/* `seq` marks the row when what X shows of it changed. The record then knows that it is stored. */
enum tm_code tm_view_store_save(struct tm_view_store *s, struct tm_view_record *r, int64_t seq,
                                struct tm_err *err);
enum tm_code tm_view_store_object_load(sqlite3 *db, struct tm_view_object *out, const char *name,
                                       struct tm_err *err);
/* With the object's `*` rows. */
enum tm_code tm_view_store_object_save(sqlite3 *db, const struct tm_view_object *o,
                                       struct tm_err *err);
/* counts up by one */
enum tm_code tm_view_store_seq(sqlite3 *db, int64_t *out_next, struct tm_err *err);
/* Sets whole_key, with a copy of its text. The object may not be moved after that. */
void tm_view_object_whole(struct tm_view_object *o, const struct tm_view_key *key);
/* R14: the newest epoch's whole read is in force */
bool tm_view_object_copied(const struct tm_view_object *o);
#endif
