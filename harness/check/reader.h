/* reader: watches one pipeline's warehouse and notes what its snapshot relations show, and when.
 * in: a SQLite file with the relations of design section 5; out: observations (check/shown.h), and
 * for option 1 the raw rows and reconciled images as they arrive. One probe: PRAGMA data_version;
 * when it moved, one read transaction over all objects. A row first returned by the read begun at
 * `hi` was not yet there at `lo`, the probe before it. The file and its tables may appear late;
 * busy is "probe again". Never writes. Owner: the caller of open. The sampler uses one of its own
 * per thread. */
#ifndef TM_CHECK_READER_H
#define TM_CHECK_READER_H
#include "base/clock.h"
#include "base/sql.h"
#include "check/shown.h"

enum tm_arrival_kind {
    TM_ARRIVAL_EVENT,
    TM_ARRIVAL_DIFF /* event with fields it only gives a diff of */,
    TM_ARRIVAL_IMAGE,
    TM_ARRIVAL_REMOVED,
    TM_ARRIVAL_UNREADABLE
};
struct tm_arrival { /* option 1: one raw or reconciled row */
    int64_t lo_ns, hi_ns;
    int64_t position; /* 2 * replay id of an event, 2 * g + 1 of an answer: an image stands just
                         after g (R9) */
    int64_t rowid;
    uint32_t row; /* in `shown` */
    uint32_t
        values_first; /* image: values[values_first ..][values_count] by column of the object */
    uint16_t values_count;
    uint8_t kind;
};
struct tm_reader_object {
    char name[80];
    int shown; /* object index in `shown` */
    sqlite3_stmt *rows, *removed, *star, *unknown, *raw, *recon;
    uint32_t *map;
    int map_count;
    int map_reprepared; /* statement column -> column of shown, or a MAP_ code */
    int64_t seq, raw_rowid, recon_rowid;
    bool starred, found;
    uint64_t star_reads;
    int64_t star_since_ns, star_ns;
};
struct tm_reader {
    char path[512];
    bool raw; /* option 1: follow the raw tables instead of the relations */
    sqlite3 *db;
    sqlite3_stmt *data_version;
    struct tm_shown *shown;
    struct tm_reader_object *objects;
    size_t objects_count;
    struct tm_arrival *arrivals;
    size_t arrivals_count, arrivals_cap;
    uint64_t *values;
    size_t values_count, values_cap;
    uint32_t *images;
    size_t images_cap; /* by row of shown: arrival of its last image + 1, whose values an equal one
                          shares */
    int64_t version_seen, last_ns;
    uint64_t probes, reads, busy;
    bool epoch_moved; /* an epoch above 0 was seen: predictions of option 1 are not claimed */
};
enum tm_code tm_reader_open(struct tm_reader **out, const char *path, bool raw,
                            const char *const *objects, size_t objects_count, struct tm_err *err);
void tm_reader_close(struct tm_reader *r);
/* One probe begun at now_ns. *out_changed: something new was seen. TM_E_AGAIN: no file yet, or
 * busy. */
enum tm_code tm_reader_probe(struct tm_reader *r, int64_t now_ns, bool *out_changed,
                             struct tm_err *err);

/* A full read of the relations, whatever data_version says, in one read transaction; each row
 * becomes what `shown` shows, rows not returned become absent. wall_ns(): asked before and after
 * each object's query. */
struct tm_full_read {
    int64_t begun_ns;
    int64_t query_ns[TM_SHOWN_OBJECTS_MAX];
    int64_t raw_rowid[TM_SHOWN_OBJECTS_MAX],
        recon_rowid[TM_SHOWN_OBJECTS_MAX]; /* option 1: newest rows it could see */
    uint64_t rows, changed;                /* changed: rows that differ from what `shown` had */
    uint32_t obs_last;                     /* observations made up to and with this read */
    char example[20];                      /* id of one that changed */
    bool ok;
};
enum tm_code tm_reader_full(struct tm_reader *r, int64_t (*wall_ns)(void), struct tm_full_read *out,
                            struct tm_err *err);
/* Is `*` (the whole object is dirty) in force now? Sets objects[].starred; for relations that
 * probes do not follow. */
void tm_reader_stars(struct tm_reader *r);
/* Rows shown now without a flag of their own, of objects that `*` flags as a whole. */
int64_t tm_reader_starred_rows(const struct tm_reader *r);
#endif
