/* truth: the org's history as the witness keeps it: who held what value from which commit on.
 * in: org.db (base/org_db.h), tailed a few rows at a time while the org writes it; out: records,
 * their versions in commit order, and per version the columns it changed. Values are kept as hashes
 * (check/vhash.h): about 70 bytes a version and 18 a changed column, so that ten million versions
 * fit. Reads org.db only. Owner: the caller of open; one thread. Not kept: Id, IsDeleted and
 * SystemModstamp, which are never compared. */
#ifndef TM_CHECK_TRUTH_H
#define TM_CHECK_TRUTH_H
#include "base/describe.h"
#include "base/sql.h"
#include <stdint.h>

#define TM_TRUTH_NONE UINT32_MAX
#define TM_TRUTH_OBJECTS_MAX 64
/* per object: Salesforce allows 800 fields and their compound parts */
#define TM_TRUTH_COLUMNS_MAX 1000
#define TM_TRUTH_VERSIONS_MAX 50000000u
#define TM_TRUTH_DELTAS_MAX 2000000000u

enum tm_truth_change {
    TM_TRUTH_CREATE,
    TM_TRUTH_UPDATE,
    TM_TRUTH_DELETE,
    TM_TRUTH_UNDELETE,
    TM_TRUTH_HARD_DELETE,
    TM_TRUTH_CHANGES
};
/* What subscribers were sent for it. */
enum tm_truth_event {
    TM_TRUTH_SILENT,
    TM_TRUTH_PLAIN,
    TM_TRUTH_GAP,
    TM_TRUTH_OVERFLOW,
    TM_TRUTH_EVENTS
};

struct tm_truth_version { /* index in `versions` = pos - 1 */
    int64_t org_ms,
        intended_ms; /* commit as it happened, and as the workload meant it; org clock */
    int64_t intended_ns,
        actual_ns;     /* wall; INT64_MIN: before the clock started (initial population) */
    int64_t replay_id; /* 0: none */
    uint64_t txn;      /* hash of transactionKey */
    uint32_t record, next, prev; /* versions of the same record; TM_TRUTH_NONE at the ends */
    uint32_t delta_first;
    uint16_t delta_count;
    uint8_t change, event; /* enum tm_truth_change, enum tm_truth_event */
};
struct tm_truth_delta {
    uint64_t hash;
    uint32_t prev /* delta of the same record and column before it */, version;
    uint32_t column;
    uint32_t unused;
};
struct tm_truth_again { /* an update named a column that kept its value */
    uint32_t version, column;
};
struct tm_truth_trimmed { /* a text with blanks before or behind */
    uint32_t delta, unused;
    uint64_t hash; /* without them */
};
struct tm_truth_record {
    char id[19];
    uint8_t object;
    uint32_t local, first, last, count;
};
struct tm_truth_describe {
    int64_t from_pos;
    struct tm_describe *describe;
};
struct tm_truth_object {
    char name[80];
    /* [columns_count]: every column any version ever named */
    char (*columns)[80];
    size_t columns_count;
    uint32_t *heads; /* [records_count][width]: last delta of record and column */
    size_t width, records_count, records_cap;
    struct tm_truth_describe *describes; /* by from_pos */
    size_t describes_count;
};
struct tm_truth {
    sqlite3 *db;
    bool borrowed; /* db */
    sqlite3_stmt *tail, *describes;
    struct tm_truth_object objects[TM_TRUTH_OBJECTS_MAX];
    size_t objects_count;
    struct tm_truth_record *records;
    size_t records_count, records_cap;
    struct tm_truth_version *versions;
    size_t versions_count, versions_cap;
    struct tm_truth_delta *deltas;
    size_t deltas_count, deltas_cap;
    struct tm_truth_again *again; /* by version */
    size_t again_count, again_cap;
    struct tm_truth_trimmed *trimmed; /* by delta */
    size_t trimmed_count, trimmed_cap;
    uint32_t *slots;
    size_t slots_cap; /* open addressing over records; power of two */
    int64_t describes_rowid;
    sqlite3_stmt *one;  /* tm_truth_read */
    int64_t *positions; /* [versions_count] where only some records are read; NULL: index + 1 */
    size_t positions_cap;
    uint64_t event_kinds; /* bits: which words of tm_truth_event_words were seen */
};
/* The changeType words an org can send, in the order of the bits of
 * `event_kinds`; NULL-terminated. */
extern const char *const tm_truth_event_words[];

/* TM_E_AGAIN when the file or its tables are not there yet. */
enum tm_code tm_truth_open(struct tm_truth **out, const char *path, struct tm_err *err);
/* The same over a connection of the caller's, which outlives it. */
enum tm_code tm_truth_on(struct tm_truth **out, sqlite3 *db, struct tm_err *err);
void tm_truth_close(struct tm_truth *t);
/* Reads at most rows_max more history rows in one transaction. *out_rows = 0: up to date.
 * TM_E_AGAIN: busy. */
enum tm_code tm_truth_tail(struct tm_truth *t, size_t rows_max, size_t *out_rows,
                           struct tm_err *err);
/* One record's whole history and no other's, instead of tm_truth_tail with rows: each record once.
 * Nothing where the log knows no such record. TM_E_AGAIN: busy. */
enum tm_code tm_truth_read(struct tm_truth *t, const char *object, const char *id,
                           struct tm_err *err);
/* Where in the log a version index stands. */
int64_t tm_truth_pos(const struct tm_truth *t, uint32_t version);
/* An object of the history, or -1. ASCII case is ignored. */
int tm_truth_object(const struct tm_truth *t, const char *name);
/* TM_TRUTH_NONE */
uint32_t tm_truth_record(const struct tm_truth *t, int object, const char *id);
/* -1; ASCII case ignored */
int tm_truth_column(const struct tm_truth_object *o, const char *name);
/* NULL when none */
const struct tm_describe *tm_truth_describe_last(const struct tm_truth_object *o);
/* again[*out_first ..][*out_count]: the columns version index `version` named without changing
 * them. */
void tm_truth_named_again(const struct tm_truth *t, uint32_t version, size_t *out_first,
                          size_t *out_count);
/* The hash of a delta's value, without outer blanks where it is a text. */
uint64_t tm_truth_trimmed(const struct tm_truth *t, uint32_t delta);
/* A number of table meta; `missing` when the key is not there. */
int64_t tm_truth_meta(struct tm_truth *t, const char *key, int64_t missing);
/* The value `column` of the record held after version index `version`, as org.db spells it. Caller
 * frees the reference. */
json_t *tm_truth_value(struct tm_truth *t, uint32_t version, const char *column);
/* the record is deleted after it */
bool tm_truth_is_gone(uint8_t change);
const char *tm_truth_change_name(uint8_t change);
#endif
