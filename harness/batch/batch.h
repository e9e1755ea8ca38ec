/* batch: the polling baseline: one preset, one process, one database file.
 * in: a Salesforce session and a preset (REST queries or Bulk jobs); out: snapshot relations X,
 * X_removed, X_dirty and `_polls`. A read lands page by page in a load table
 * nobody else looks at; one transaction then merges it, so a reader sees a poll whole or not at
 * all, and a failed poll changes nothing. Only rows that differ get a new `_seq`.
 *
 *   IDLE ─grid─► DESCRIBE ─► BEGIN ─► QUERY ⇄ STORE ─► MERGE ─► DELETED ─► VERIFY ─► REMOVE
 *     ▲             ▲                 (page by page)     │     (getDeleted presets only) │
 *     │             └────────── next object ◄────────────┴───────────────────────────────┤
 *     └─────────────────────── last object ◄─────────────────────────────────────────────┘
 *
 * B1. Polls start on the grid k*T of org time; a poll that overruns skips grid points, counted,
 *     and one that fell due while the station was down starts at once.
 * B2. The place a read has reached is kept in the transaction that stores its page; a crash goes on
 *     from there. By Bulk the place is the job, kept when it is made, and the locator of its next
 *     page; a job the org no longer knows is made anew, and its read begins again.
 * B3. The cursor moves only in the merging transaction.
 * B4. After a whole read the cursor is never later than the instant the read began.
 * B5. A read never replaces a row by one with an older SystemModstamp (range reads lag, whole reads
 *     do not).
 * Pure over its ports: no clock, sleep or log; what is worth telling goes to `note`.
 * Facts: salesforce-wire.md 3, 4, 8; connectors.md 5.3 (what real pollers get wrong). */
#ifndef TM_BATCH_BATCH_H
#define TM_BATCH_BATCH_H
#include "base/config.h"
#include "salesforce/query.h"

#define TM_BATCH_OBJECTS_MAX 64
#define TM_BATCH_PAGES_MAX 100000 /* pages of one read of one object */
#define TM_BATCH_VERIFY_IDS_MAX                                                                    \
    400 /* ids in one verifying query: stays below TM_SOQL_GET_BYTES_MAX */
#define TM_BATCH_DELETED_DAYS_MAX 15 /* getDeleted reaches back so far */

enum tm_batch_mode { TM_BATCH_INCREMENTAL, TM_BATCH_FULL };
enum tm_batch_paging {
    TM_BATCH_LOCATOR, /* nextRecordsUrl of one query */
    TM_BATCH_STAMP,   /* LIMIT, next page from the last stamp */
    TM_BATCH_KEYSET   /* LIMIT, next page from (stamp, Id); Id alone whole */
};
enum tm_batch_advance { TM_BATCH_MAX_SEEN, TM_BATCH_POLL_START };
enum tm_batch_deletes { TM_BATCH_IGNORE, TM_BATCH_REMOVE, TM_BATCH_FLAG };
enum tm_batch_checkpoint { TM_BATCH_PAGE, TM_BATCH_SLICE, TM_BATCH_POLL };

struct tm_batch_settings { /* text is borrowed from the config */
    const char *name;
    const char *const *objects;
    size_t objects_count;
    int64_t interval_ms; /* T, org time */
    enum tm_batch_mode mode;
    enum tm_batch_paging paging;
    int page_rows; /* LIMIT, maxRecords, or Sforce-Query-Options; 0 = the server's default */
    bool bulk;     /* Bulk 2.0 jobs; page_rows is maxRecords */
    bool query_all, inclusive /* cursor >= instead of > */;
    enum tm_batch_advance advance;
    int64_t overlap_ms; /* read again behind the cursor */
    int64_t slice_ms;   /* range of one query; 0 = one range */
    int64_t start_ms;   /* rows with older stamps are never read; INT64_MIN = none */
    enum tm_batch_deletes deletes;
    const char *flag_column; /* TM_BATCH_FLAG */
    bool get_deleted, describe_each_poll, formulas;
    int64_t full_at_ms; /* ms after midnight UTC, org time; -1 = no nightly full reload */
    enum tm_batch_checkpoint checkpoint;
    bool fleeting; /* the driver's: no crash has to be survived (base/sql.h) */
    struct tm_sf_settings salesforce;
};
/* The preset file. `url` overrides salesforce.instance when not NULL. Owner of *out_config: the
 * caller, longer than *out. */
enum tm_code tm_batch_settings_load(struct tm_batch_settings *out, struct tm_config **out_config,
                                    const char *path, const char *url, struct tm_err *err);

struct tm_batch_counts {
    uint64_t polls, polls_failed, grid_skipped, pages, rows_read, rows_changed, rows_removed,
        columns_added;
};
typedef void tm_batch_note(void *data, const char *text); /* one line, no newline; never a secret */
struct tm_batch;
/* settings, session and http are borrowed; http only for its counters. note may be NULL. */
enum tm_code tm_batch_open(struct tm_batch **out, const struct tm_batch_settings *settings,
                           struct tm_sf_session *session, const struct tm_http *http,
                           const char *database, tm_batch_note *note, void *note_data,
                           struct tm_err *err);
void tm_batch_close(struct tm_batch *b);
/* TM_OK: did something, step again. TM_E_AGAIN: nothing now, *wake says when. A poll that fails is
 * counted, noted and kept in `_failures`, and is not an error here; wrong credentials, a failed
 * first load that trying again cannot cure, and database errors are. */
enum tm_code tm_batch_step(struct tm_batch *b, const struct tm_now *now, struct tm_wake *wake,
                           struct tm_err *err);
const struct tm_batch_counts *tm_batch_counts(const struct tm_batch *b);
bool tm_batch_loaded(const struct tm_batch *b); /* every object had its first load */
#endif
