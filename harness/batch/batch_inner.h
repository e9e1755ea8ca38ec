/* batch_inner: what the files of the station share: batch.c (polls and reads) and deleted.c (what
 * getDeleted said, verified). Not for anyone else. */
#ifndef TM_BATCH_BATCH_INNER_H
#define TM_BATCH_BATCH_INNER_H
#include "batch/batch.h"
#include "batch/fetch.h"
#include "batch/store.h"

#define BATCH_SOQL_BYTES_MAX (100u << 10) /* SOQL's own limit: 100,000 characters */

enum batch_phase {
    PHASE_IDLE,
    PHASE_DESCRIBE,
    PHASE_BEGIN,
    PHASE_QUERY,
    PHASE_JOB,
    PHASE_STORE,
    PHASE_MERGE,
    PHASE_DELETED,
    PHASE_VERIFY,
    PHASE_REMOVE
};
struct batch_object {
    const char *name;
    struct tm_describe *describe; /* of the last poll that asked; owned */
    struct tm_batch_state state;
    int64_t whole_ms; /* grid point of the last whole read that ended well; INT64_MIN = none */
    bool gap;         /* getDeleted could not reach back far enough: the next read is a whole one */
};
struct tm_batch {
    const struct tm_batch_settings *settings;
    struct tm_sf_session *session;
    const struct tm_http *http;
    struct tm_store *store;
    tm_batch_note *note;
    void *note_data;
    struct tm_batch_counts counts;
    struct batch_object objects[TM_BATCH_OBJECTS_MAX];
    size_t objects_count;

    bool started;             /* the grid and the stored state are known */
    bool polling, first;      /* a poll is under way; it is the first load */
    int64_t last_grid_ms;     /* of the last poll that was on the grid */
    int64_t next_ms;          /* grid point of the next */
    int64_t grid_ms, skipped; /* of the poll under way */
    int64_t retry_ns;         /* TM_NEVER, or when a first load is tried again */
    size_t at;                /* object of the poll */

    enum batch_phase phase;              /* of that object */
    bool described_again;                /* after INVALID_FIELD, once a poll and object */
    unsigned locators_lost;              /* of this poll and object */
    uint64_t calls_before, bytes_before; /* HTTP counters when the object's read began */
    int64_t calls_kept, bytes_kept;      /* of the same read before a restart */
    struct tm_fetch *fetch;
    struct tm_sf_query *query; /* verifying what getDeleted said */
    struct tm_sf_call *call;
    json_t *page;       /* fetched, not stored yet */
    bool page_last;     /* the query has no page behind it */
    int64_t query_rows; /* rows of this query so far: a full LIMIT means another query */
    uint64_t read_pages;
    json_t *suspects, *alive; /* getDeleted: ids to verify; of those the ones that answered */
    size_t suspects_asked;
    int64_t deleted_until_ms;
};

void batch_tell(struct tm_batch *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct batch_object *batch_object(struct tm_batch *b); /* of the poll */
void batch_count_http(struct tm_batch *b);             /* into the object's state */
void batch_object_done(struct tm_batch *b);
/* Phases of a poll with get.deleted: TM_E_AGAIN = not yet. */
enum tm_code batch_deleted(struct tm_batch *b, const struct tm_now *now, struct tm_err *err);
enum tm_code batch_verify(struct tm_batch *b, const struct tm_now *now, struct tm_err *err);
enum tm_code batch_remove(struct tm_batch *b, const struct tm_now *now, struct tm_err *err);
#endif
