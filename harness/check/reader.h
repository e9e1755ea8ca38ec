/* reader: watches one pipeline's warehouse and notes what its snapshot relations show, and when.
 * in: a SQLite file with relations X, X_removed, X_dirty; out: observations (check/shown.h), and
 * for option 1 the raw rows and reconciled images as they arrive. One probe: PRAGMA data_version;
 * when it moved, one read transaction over all objects. What it shows was there at `hi`: in WAL the
 * first SELECT, not BEGIN, fixes what a transaction sees, so `hi` is asked for once that has
 * returned; a commit that falls before it and is not seen would be too late, one that is seen never
 * too early. What it shows first was not there at `lo`, an instant before the first SELECT (or the
 * PRAGMA) of the probe before it. The file and its tables may appear late;
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
    TM_ARRIVAL_OVERFLOW /* of the whole object; names no row */,
    TM_ARRIVAL_CONVERSION /* the same */,
    TM_ARRIVAL_ALERT /* an ask that is dirt of its own: no_base, diff; naming no row: the first of
                        an epoch */
    ,
    TM_ARRIVAL_IMAGE,
    TM_ARRIVAL_REMOVED,
    TM_ARRIVAL_UNREADABLE,
    TM_ARRIVAL_END /* of a whole or range read, in one partition; names no row */
};
struct tm_arrival { /* option 1: what one raw or reconciled row says of one record */
    int64_t lo_ns, hi_ns;
    int64_t position; /* 2 * replay id of an event or alert, 2 * g + 1 of an answer: an image stands
                         just after g (R9) */
    uint64_t txn;     /* event: hash of its transactionKey, as the history has it; 0: not told */
    int64_t epoch, rowid;
    uint32_t row;          /* in `shown`; TM_SHOWN_NONE where it names none */
    uint32_t values_first; /* image: values[values_first ..][values_count] by column of the object;
                              END: index in `ends` */
    uint32_t read;         /* answer, END: index in `reads_made` */
    uint16_t values_count;
    uint8_t kind, object; /* object: of `shown` */
};
#define TM_ARRIVAL_READ_ID_MAX 128 /* the rest of a longer one is not compared */
struct tm_arrival_read {           /* one read of the reconciler */
    uint64_t name;                 /* hash of its id */
    int64_t seq; /* orders reads that answer the same position; where equal, the id does */
    char id[TM_ARRIVAL_READ_ID_MAX];
    bool whole;
};
struct tm_arrival_end {
    int64_t partition, partitions, count; /* count: distinct ids answered in the partition */
};
struct tm_arrival_cut { /* newest rowid of each table that a view could see */
    int64_t raw, alerts, recon;
};
struct tm_reader_object {
    char name[80];
    int shown; /* object index in `shown` */
    sqlite3_stmt *rows, *removed, *star, *unknown, *raw, *alerts, *recon;
    uint32_t *map;
    int map_count;
    int map_reprepared; /* statement column -> column of shown, or a MAP_ code */
    int64_t seq;
    struct tm_arrival_cut read;  /* newest rows read */
    struct tm_arrival_cut until; /* newest to read; all but in tm_reader_again: INT64_MAX */
    int64_t alert_epoch;        /* newest of any alert */
    bool starred, found;
};
struct tm_given;
struct tm_reader {
    struct tm_given
        *given; /* of an external pipeline: its owner's queries (check/given.h); owned */
    char path[512];
    int64_t (*wall_ns)(void);
    bool raw; /* option 1: follow the raw tables instead of the relations */
    sqlite3 *db;
    sqlite3_stmt *data_version, *snapshot;
    struct tm_shown *shown;
    struct tm_reader_object *objects;
    size_t objects_count;
    struct tm_arrival *arrivals;
    size_t arrivals_count, arrivals_cap;
    struct tm_arrival_read *reads_made; /* by number of a read */
    size_t reads_made_count, reads_made_cap;
    struct tm_arrival_end *ends;
    size_t ends_count, ends_cap;
    uint64_t *values;
    size_t values_count, values_cap;
    uint32_t *images;
    size_t images_cap; /* by row of shown: arrival of its last image + 1, whose values an equal one
                          shares */
    int64_t version_seen, last_ns;
    /* Lent by tm_reader_written; what it said before the last read that was done. */
    uint64_t (*written)(void *self, const char *database), written_seen;
    void *written_self;
    uint64_t probes, reads, busy;
};
/* wall_ns(): CLOCK_MONOTONIC, the clock of every now_ns. */
enum tm_code tm_reader_open(struct tm_reader **out, const char *path, bool raw,
                            const char *const *objects, size_t objects_count,
                            int64_t (*wall_ns)(void), struct tm_err *err);
void tm_reader_close(struct tm_reader *r);
/* Where the driver knows that nobody has written since, a probe need not ask the database. */
void tm_reader_written(struct tm_reader *r, uint64_t (*written)(void *self, const char *database),
                       void *self);
/* One probe begun at now_ns. *out_changed: something new was seen. TM_E_AGAIN: no file yet, or
 * busy. */
enum tm_code tm_reader_probe(struct tm_reader *r, int64_t now_ns, bool *out_changed,
                             struct tm_err *err);

/* A full read of the relations, whatever data_version says, in one read transaction; each row
 * becomes what `shown` shows, rows not returned become absent. Where the relations have _seq, the
 * same transaction first reads what is new by it: what the full read then still changes is not the
 * writer's doing. */
struct tm_full_read {
    int64_t begun_ns; /* its snapshot stood */
    int64_t query_ns[TM_SHOWN_OBJECTS_MAX];
    struct tm_arrival_cut cut[TM_SHOWN_OBJECTS_MAX]; /* option 1: newest rows it could see */
    size_t columns[TM_SHOWN_OBJECTS_MAX];            /* of `shown`, that the relation had by then */
    /* `*` stood; where there is an X_dirty */
    bool starred[TM_SHOWN_OBJECTS_MAX], dirty_known[TM_SHOWN_OBJECTS_MAX];
    uint64_t rows, changed; /* changed: rows that differ from what `shown` had */
    uint32_t obs_last;      /* observations made up to and with this read */
    char example[20];       /* id of one that changed */
    uint64_t duplicates;    /* rows with an id that the same relation had returned before */
    char duplicate[20];     /* one such id */
    bool ok;
};
/* dirty_too: option 1: also who is partial, and `*`, which costs about as much again. */
enum tm_code tm_reader_full(struct tm_reader *r, bool dirty_too, struct tm_full_read *out,
                            struct tm_err *err);
#endif
