/* road: what the streaming stations left behind of some records: the events, asks and answers in
 * the sink's tables, as they stand there. in: raw.db (the sink's tables), which records
 * are wanted; out: their rows, the oldest position first, with values as hashes (check/vhash.h). It
 * is evidence, not reconstruction: nothing is put together from it here (check/cause.h weighs it).
 * Reads each table once, read-only. Owner: the caller of load. Missing tables are told, not guessed
 * at. */
#ifndef TM_CHECK_ROAD_H
#define TM_CHECK_ROAD_H
#include "check/truth.h"

#define TM_ROAD_ROWS_MAX 2000000
#define TM_ROAD_NONE UINT32_MAX

enum tm_road_kind { TM_ROAD_EVENT, TM_ROAD_ASK, TM_ROAD_ANSWER };
enum tm_road_table { TM_ROAD_RAW, TM_ROAD_ALERTS, TM_ROAD_RECON, TM_ROAD_TABLES };
struct tm_road_row {
    uint32_t record; /* of truth; TM_TRUTH_NONE: of the whole object (overflow, conversion, copy) */
    uint8_t kind, object;           /* enum tm_road_kind; of truth */
    bool merged;                    /* event: its row stands under the id of another record (R3) */
    bool diff;                      /* event: gives some field as a diff only (R5) */
    char word[24];                  /* event: its changeType; ask, answer: their _kind */
    char reason[80];                /* ask */
    char place[120];                /* topic/partition@offset; "" where the table does not say */
    int64_t rowid, epoch, position; /* position: replay id; answer: g */
    int64_t written_ns;             /* by the sink, wall; 0: not said */
    uint64_t txn;                   /* event: hash of its transactionKey; 0: not said */
    uint32_t read;                  /* answer: index of reads */
    size_t set_first;               /* in set[], values[]: by column of truth's object */
    size_t columns;                 /* 0: it carries no values */
};
struct tm_road_read { /* one read of the reconciler that has answers or ends */
    char id[128];
    uint8_t object; /* of truth */
    bool whole, in_force;
    int64_t epoch, g, seq;
    int64_t first_ns, last_ns; /* its rows, as written; 0: not said */
};
struct tm_road {
    struct tm_road_row *rows; /* by record, epoch, position, events before answers */
    size_t rows_count, rows_cap;
    bool *set; /* the row sets the column */
    uint64_t *values;
    size_t values_count, values_cap, set_cap;
    struct tm_road_read *reads;
    size_t reads_count, reads_cap;
    bool there[TM_TRUTH_OBJECTS_MAX][TM_ROAD_TABLES]; /* by object of truth */
    /* newest replay id that any of an object's events has, by the newest epoch */
    int64_t epoch_last[TM_TRUTH_OBJECTS_MAX], replay_last[TM_TRUTH_OBJECTS_MAX];
    int64_t undecodable; /* records the sink could not read, of any topic; -1: not said */
};
/* wanted[record of truth]. TM_E_AGAIN: no such file, or busy. */
enum tm_code tm_road_load(struct tm_road **out, const struct tm_truth *truth, const char *path,
                          const bool *wanted, struct tm_err *err);
void tm_road_close(struct tm_road *road); /* NULL-safe */
/* rows[*out_first ..][*out_count] of one record; TM_TRUTH_NONE: of whole objects. */
void tm_road_of(const struct tm_road *road, uint32_t record, size_t *out_first, size_t *out_count);
/* The event row of a version; the replay id alone does not name it after the bus began anew. NULL:
 * there is none. */
const struct tm_road_row *tm_road_event(const struct tm_road *road, const struct tm_truth *truth,
                                        uint32_t version);
/* (epoch, position, event before answer, _read_seq, _read_id): R1, R9. */
int tm_road_order(const struct tm_road *road, const struct tm_road_row *a,
                  const struct tm_road_row *b);
#endif
