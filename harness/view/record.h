/* record: what option 2 knows of one record, enough to apply evidence in any order and any number
 * of times. in: evidence with its position; out: current values, whether there is a row, whether it
 * is dirty. Pure: no I/O, clock. Every part only grows (a highest position, or the value that goes
 * with one), so order and repetition do not matter: life    the last full image or removal; what is
 * below it is forgotten (R4, R7, R9, R10, R11) set     per field the last update above life that
 * named it (R5, R6) gap, diff, no_base, unreadable    the highest of each; dirt while at or above
 * life (R8, R10, R11) update  the highest update; no_base by itself while above a life that is not
 * a full image (R7, R12) Values are copies (sqlite3_value_dup), owned by the record. */
#ifndef TM_VIEW_RECORD_H
#define TM_VIEW_RECORD_H
#include "base/buf.h"
#include <sqlite3.h>

#define TM_VIEW_READ_ID_MAX 128 /* bytes of a `_read_id`, with its end */

/* R1, R9: epoch, replay id or g, event before read, _read_seq, and where two reads got one number
 * the bytes of _read_id. */
struct tm_view_key {
    int64_t epoch, place, side, seq;
    const char
        *read; /* NULL: an event, or no text; borrowed, but a record keeps copies of its own */
};
#define TM_VIEW_NONE ((struct tm_view_key){ -1, -1, -1, -1, NULL })
int tm_view_key_compare(const struct tm_view_key *a, const struct tm_view_key *b);
bool tm_view_key_given(const struct tm_view_key *k);
struct tm_view_key tm_view_key_event(int64_t epoch, int64_t replay_id);
struct tm_view_key tm_view_key_answer(int64_t epoch, int64_t g, int64_t read_seq,
                                      const char *read_id);

enum tm_view_mark {
    TM_VIEW_GAP,
    TM_VIEW_DIFF,
    TM_VIEW_NO_BASE,
    TM_VIEW_UNREADABLE,
    TM_VIEW_UPDATE,
    TM_VIEW_ASKED,
    TM_VIEW_MARKS
};
struct tm_view_cell {
    sqlite3_value *value /* NULL = SQL NULL */;
    struct tm_view_key set /* none: of life */;
};
struct tm_view_record {
    char *id;
    int64_t row; /* of the state table; 0 = not stored yet */
    struct tm_view_key life;
    char *life_read,
        *unreadable_read; /* owned text of life.read and marks[TM_VIEW_UNREADABLE].read */
    bool full;            /* life none: nothing but updates, gaps, alerts */
    struct tm_view_key marks[TM_VIEW_MARKS];
    struct tm_view_cell *cells;
    size_t cells_count;                 /* in the shape's column order */
    int64_t update_commit_ms;           /* commitTimestamp of marks[TM_VIEW_UPDATE]; 0 = none */
    bool was_shown, was_dirty, changed; /* as stored; changed: a value moved since */
    bool touched;                       /* follow.c: to be stored at the end of the step */
};
enum tm_code tm_view_record_init(struct tm_view_record *r, const char *id, size_t cells_count,
                                 struct tm_err *err);
void tm_view_record_free(struct tm_view_record *r);
/* A full image (values[cells_count], NULL entries = null) or a removal (values NULL). */
enum tm_code tm_view_record_life(struct tm_view_record *r, const struct tm_view_key *key,
                                 sqlite3_value *const *values, struct tm_err *err);
/* An update: sets the cells[i] with named[i]. */
enum tm_code tm_view_record_update(struct tm_view_record *r, const struct tm_view_key *key,
                                   int64_t commit_ms, const bool *named,
                                   sqlite3_value *const *values, struct tm_err *err);
/* Of an event or an alert. */
void tm_view_record_mark(struct tm_view_record *r, enum tm_view_mark mark,
                         const struct tm_view_key *key);
enum tm_code tm_view_record_unreadable(struct tm_view_record *r, const struct tm_view_key *key,
                                       struct tm_err *err);

bool tm_view_record_shown(const struct tm_view_record *r);   /* has a row in X */
bool tm_view_record_partial(const struct tm_view_record *r); /* R12 */
bool tm_view_record_stands(const struct tm_view_record *r, enum tm_view_mark mark,
                           struct tm_view_key *out);
bool tm_view_record_dirty(const struct tm_view_record *r);
/* Needs a read, and nobody has asked for it since its last full image or removal. */
bool tm_view_record_needs_ask(const struct tm_view_record *r);
#endif
