/* store: the SQLite side of the polling baseline. in: records as JSON, one page a transaction; out:
 * snapshot relations, `_polls`, `_state`. Every function is one transaction, or none; TM_E_AGAIN =
 * busy, nothing happened.
 *
 *   "X"          relation: table, or a view over "_all_X" where deletes are flagged;
 *                Id, fields, _dirty = 0, _seq
 *   "X_removed"  (Id, _seq): ids the relation no longer returns
 *   "X_dirty"    always empty: polling knows no dirt
 *   "_load_X"    the read under way
 *   "_failures"  polls that were given up
 * Owner: the station; the database file has no other writer. */
#ifndef TM_BATCH_STORE_H
#define TM_BATCH_STORE_H
#include "base/sql.h"
#include "batch/plan.h"
#include "salesforce/bulk.h"

enum tm_read_mode {
    TM_READ_NONE,
    TM_READ_INITIAL,
    TM_READ_INCREMENTAL,
    TM_READ_FULL,
    TM_READ_DELETED
};
const char *tm_read_mode_name(enum tm_read_mode mode); /* as `_polls.mode` spells it */

/* What is kept of an object between polls, and of its read under way. */
struct tm_batch_state {
    bool loaded;              /* the first load is complete */
    int64_t cursor_ms;        /* highest SystemModstamp taken over (B3) */
    int64_t deleted_until_ms; /* getDeleted is known up to here */
    int64_t done_grid_ms;     /* last grid point whose poll ended, well or not */
    enum tm_read_mode read;   /* NONE: no read under way */
    int64_t grid_ms, skipped; /* of the read's poll */
    int64_t started_org_ms, started_ns;
    int64_t calls, bytes, rows;  /* so far */
    struct tm_range range;       /* the slice being read */
    int64_t until_ms;            /* end of the last slice; TM_NEVER = one open range */
    struct tm_place place;       /* B2 */
    struct tm_sf_bulk_place job; /* B2, by Bulk */
    int64_t seen_ms;             /* highest stamp of the read; INT64_MIN = none */
};
struct tm_store;
enum tm_code tm_store_open(struct tm_store **out, const char *path,
                           const struct tm_batch_settings *settings, struct tm_err *err);
void tm_store_close(struct tm_store *s);
enum tm_code tm_store_state(struct tm_store *s, const char *object, struct tm_batch_state *out,
                            struct tm_err *err);
enum tm_code tm_store_last_grid(struct tm_store *s, bool *out_any, int64_t *out_ms,
                                struct tm_err *err);
/* Grid point of the object's last first load or full reload, INT64_MIN = none. */
enum tm_code tm_store_last_whole(struct tm_store *s, const char *object, int64_t *out_ms,
                                 struct tm_err *err);
/* Relations and columns for `d` exist; an empty load table, or the one of before when `resume` and
 * it has the same columns (*out_resumed). Keeps state and the poll's grid point. */
enum tm_code tm_store_begin(struct tm_store *s, const struct tm_describe *d,
                            const struct tm_batch_state *state, bool resume, bool *out_resumed,
                            uint64_t *out_columns_added, struct tm_err *err);
/* By Bulk: the read's job has been made. */
enum tm_code tm_store_job(struct tm_store *s, const char *object,
                          const struct tm_batch_state *state, struct tm_err *err);
/* A page of records into the load table; state with the new place in the same transaction.
 * state->place, seen_ms and rows are moved only when it succeeds. */
enum tm_code tm_store_page(struct tm_store *s, const struct tm_describe *d, const json_t *records,
                           struct tm_batch_state *state, struct tm_err *err);
/* The load becomes visible: changed rows, removals, `_polls`, cursor. state is updated to "no read
 * under way". */
enum tm_code tm_store_merge(struct tm_store *s, const char *object, struct tm_batch_state *state,
                            const struct tm_now *now, uint64_t *out_changed, uint64_t *out_removed,
                            struct tm_err *err);
/* Of `records` (getDeleted's array) those the relation still shows, not touched after their
 * deletion: new array in *out. */
enum tm_code tm_store_suspects(struct tm_store *s, const char *object, const json_t *records,
                               json_t **out, struct tm_err *err);
/* ids (array of text) leave the relation; `_polls` row of mode deleted. */
enum tm_code tm_store_remove(struct tm_store *s, const char *object, const json_t *ids,
                             struct tm_batch_state *state, const struct tm_now *now,
                             uint64_t *out_removed, struct tm_err *err);
/* The read is forgotten (or kept, to go on with later), what was visible stays; `_failures` says
 * why. */
enum tm_code tm_store_give_up(struct tm_store *s, const char *object,
                              const struct tm_batch_state *state, bool keep_read,
                              const struct tm_now *now, const char *why, struct tm_err *err);
#endif
