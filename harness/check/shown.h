/* shown: what one pipeline's snapshot relations showed, and when: every change of every row as the
 * reader saw it. in: whole rows (hashes by column) with the interval [last read without, first read
 * with] in wall ns; out: observations, oldest first, each holding only what differs from the row's
 * observation before it. Pure: no I/O, clock. Knows nothing of the org: rows are named by object
 * and id. Owner: the caller of open; one thread at a time. */
#ifndef TM_CHECK_SHOWN_H
#define TM_CHECK_SHOWN_H
#include "check/tolerance.h"

#define TM_SHOWN_NONE UINT32_MAX
#define TM_SHOWN_OBJECTS_MAX 64
#define TM_SHOWN_COLUMNS_MAX 1000
#define TM_SHOWN_OBS_MAX 200000000u

enum {
    TM_SHOWN_PRESENT = 1,
    TM_SHOWN_DIRTY = 2,
    TM_SHOWN_PARTIAL = 4 /* dirty, with fields never received (R12) */
};
struct tm_shown_obs {
    int64_t lo_ns, hi_ns; /* last read without it, first read with it */
    int64_t seq;          /* the relation's _seq, or rowid of the raw row; 0 when it has none */
    uint32_t row, next;   /* next observation of the same row */
    uint32_t delta_first, read; /* read: number of the read transaction */
    uint16_t delta_count;
    uint8_t flags;
};
struct tm_shown_delta {
    uint64_t hash;
    uint32_t column;
    uint32_t unused;
};
struct tm_shown_star {         /* the whole object was in doubt: `*` in X_dirty */
    int64_t from_ns, until_ns; /* first read with it, first read without; INT64_MAX: it stands */
    int object;
};
struct tm_shown_row {
    char id[20];
    uint8_t object, flags;
    uint32_t local, first, last; /* observations */
    int64_t seq;
    uint64_t hash; /* of all its values, by column name (check/vhash.h); kept while it is absent */
    uint64_t mark, partial; /* the last full read that returned it; that called it partial (R12) */
};
struct tm_shown_object {
    char name[80];
    char (*columns)[80];
    uint64_t *names;                 /* tm_vhash_name of each */
    struct tm_tolerance *tolerances; /* of each, as the copy's owner declared them; NULL: exact */
    size_t columns_count;
    uint64_t *values;
    size_t width, rows_count, rows_cap; /* [rows_count][width]: what is shown now */
};
struct tm_shown {
    struct tm_shown_object objects[TM_SHOWN_OBJECTS_MAX];
    size_t objects_count;
    struct tm_shown_row *rows;
    size_t rows_count, rows_cap;
    struct tm_shown_obs *obs;
    size_t obs_count, obs_cap;
    struct tm_shown_delta *deltas;
    size_t deltas_count, deltas_cap;
    struct tm_shown_star *stars; /* of one object: one after the other */
    size_t stars_count, stars_cap;
    uint32_t *slots;
    size_t slots_cap;
    uint32_t reads;
};
enum tm_code tm_shown_open(struct tm_shown **out, struct tm_err *err);
void tm_shown_close(struct tm_shown *s);
/* finds or adds */
enum tm_code tm_shown_object(struct tm_shown *s, const char *name, int *out, struct tm_err *err);
enum tm_code tm_shown_column(struct tm_shown *s, int object, const char *name, uint32_t *out,
                             struct tm_err *err);
/* How far the column may be from the org; its values have "trim" and "empty" done. */
enum tm_code tm_shown_tolerance(struct tm_shown *s, int object, uint32_t column,
                                const struct tm_tolerance *tolerance, struct tm_err *err);
/* An id longer than 18 characters is refused: no record can have it. */
enum tm_code tm_shown_row(struct tm_shown *s, int object, const char *id, uint32_t *out,
                          struct tm_err *err);
uint32_t tm_shown_find(const struct tm_shown *s, int object, const char *id);
const uint64_t *tm_shown_values(const struct tm_shown *s, uint32_t row);
/* The row as a read shows it: `values[values_count]` by column index, the columns behind them as
 * they were. Absent rows give no values. Adds an observation when anything differs; *out_changed
 * may be NULL. */
enum tm_code tm_shown_set(struct tm_shown *s, uint32_t row, unsigned flags, const uint64_t *values,
                          size_t values_count, int64_t lo_ns, int64_t hi_ns, int64_t seq,
                          bool *out_changed, struct tm_err *err);
/* A read at now_ns shows the object with or without `*`. */
enum tm_code tm_shown_star(struct tm_shown *s, int object, bool stands, int64_t now_ns,
                           struct tm_err *err);
#endif
