/* bulk_impl: what the files of the Bulk APIs share and nobody else sees.
 *
 *   bulk.c        jobs and their lives    bulk_run.c    one query: rows into the store
 *   bulk_query.c  API 2.0                 bulk_rows.c   one row as CSV, JSON, XML
 *   bulk_async.c  API 1.0                 bulk_store.c  written rows, by run and row
 *   bulk_words.c  1.0's requests taken apart, JSON and XML alike
 *   bulk_page.c   rows out of the store, a slice a call
 *   bulk_ingest.c records to write, of 1.0 batches and of bulk_load.c: 2.0 ingest jobs */
#ifndef TM_MOCKS_SALESFORCE_BULK_IMPL_H
#define TM_MOCKS_SALESFORCE_BULK_IMPL_H
#include "mocks/salesforce/bulk.h"
#include "mocks/salesforce/record.h"
#include "mocks/salesforce/soql.h"

#define BULK_CHUNK_ROWS 250   /* rows written together; every chunk but a run's last has so many */
#define BULK_SLICE_CHUNKS 2   /* copied in one call */
#define BULK_PAGE_CHUNKS 16   /* put into an answer in one call */
#define BULK_RUNNING_MAX 25   /* queries whose rows are being copied; the next one waits */
#define BULK_JOBS_MAX 20000   /* the oldest ended one goes first */
#define BULK_BATCHES_MAX 2000 /* of one 1.0 job */
#define BULK_FILES_MAX 15     /* result files of one query */
#define BULK_FILE_BYTES_MAX (128u << 20)
#define BULK_INGEST_ROWS_MAX 10000 /* of one 1.0 batch; a 2.0 job is bound by its bytes */
#define BULK_INGEST_SLICE 200      /* records written in one call */
#define BULK_UPLOAD_BYTES_MAX (32u << 20)
#define BULK_HELD_BYTES_MAX (512u << 20)  /* of what all ingest jobs hold in memory */
#define BULK_PAGES_MAX 64                 /* answers under way */
#define BULK_PAGES_BYTES_MAX (512u << 20) /* of what they hold: the oldest one may go on beyond */
#define BULK_IDLE_MS 3600000LL /* an open 1.0 job so long untouched may lose its results */
#define BULK_KEPT_MS (7 * 86400000LL)
#define BULK_HOURS 26 /* usage buckets, more than a day */
#define BULK_NAMESPACE "http://www.force.com/2009/06/asyncapi/dataload"

/* ---- bulk_store.c ---- */
struct bulk_store;
enum tm_code bulk_store_open(struct bulk_store **out, const char *org_path, struct tm_err *err);
void bulk_store_close(struct bulk_store *s); /* NULL-safe; the file goes */
/* ends[i]: where row i of the chunk ends in `text`. */
enum tm_code bulk_store_put(struct bulk_store *s, int64_t run, int64_t chunk,
                            const struct tm_buf *text, const uint32_t *ends, size_t ends_count,
                            struct tm_err *err);
/* Appends rows [row, row_end) of one chunk. */
enum tm_code bulk_store_get(struct bulk_store *s, int64_t run, int64_t chunk, size_t row,
                            size_t row_end, struct tm_buf *out, struct tm_err *err);
void bulk_store_drop(struct bulk_store *s, int64_t run); /* goes in later steps */
/* Removes a little of what was dropped; true = there is more. */
bool bulk_store_step(struct bulk_store *s);

/* ---- bulk_rows.c ---- */
enum bulk_format { BULK_CSV, BULK_JSON, BULK_XML };
struct bulk_form {
    enum bulk_format format;
    char delimiter;      /* CSV */
    bool crlf;           /* CSV */
    const char *version; /* JSON: of the records' URLs; the job's */
};
/* What stands before and after the rows of a file: CSV's header, brackets, the root element. */
void bulk_rows_head(struct tm_buf *out, const struct bulk_form *form,
                    const struct tm_soql_plan *plan);
const char *bulk_rows_tail(const struct bulk_form *form);
/* One row; JSON rows end with a comma, which the last one loses. */
void bulk_rows_add(struct tm_buf *out, const struct bulk_form *form,
                   const struct tm_soql_plan *plan, const struct tm_soql_cell *cells);

/* ---- bulk_run.c ---- */
enum bulk_state {
    BULK_QUEUED,
    BULK_RUNNING,
    BULK_DONE,
    BULK_FAILED,
    BULK_ABORTED,
    BULK_NOT_PROCESSED
};
enum bulk_op { BULK_QUERY, BULK_INSERT, BULK_UPDATE, BULK_UPSERT, BULK_DELETE };
struct bulk_job;
struct bulk_run {         /* one query, or records to write: a 2.0 job, or a batch of a 1.0 job */
    char id[TM_ID_BYTES]; /* 751…; of a 2.0 job the job's */
    struct bulk_job *job;
    enum bulk_state state;
    char *soql;
    struct tm_soql *query;         /* until it has begun */
    struct tm_soql_result *result; /* while it is under way */
    struct tm_soql_cell *cells;
    int64_t number;                    /* in the store */
    int64_t rows;                      /* written so far */
    char *head;                        /* bulk_rows_head */
    int64_t file_from[BULK_FILES_MAX]; /* first row of each result file */
    char file_id[BULK_FILES_MAX][TM_ID_BYTES];
    size_t files, file_bytes;
    int64_t made_ms, changed_ms;         /* org time */
    int64_t made_ns, ended_ns, ready_ns; /* wall; shown as done from ready_ns on */
    char why[1300];
    struct bulk_run *before, *behind; /* while it is queued */
    json_t *data;      /* ingest: the records, until all are written; of 2.0 also what is left */
    size_t data_bytes; /* about what they take in memory */
    size_t held_bytes; /* its part of tm_bulk.held_bytes */
    struct tm_buf told[2]; /* ingest: a result each; of 2.0 the good ones, and the failed ones */
    int64_t failed;
};
struct bulk_job {
    char id[TM_ID_BYTES];
    int api; /* 1, 2, or 3: ingest of 2.0 */
    enum bulk_op op;
    bool all;             /* queryAll */
    char key[96];         /* upsert: the external id field */
    json_t *columns;      /* ingest of CSV: the names of its header, as they came, */
    json_t *fields;       /* and as the object spells them */
    struct tm_buf upload; /* 2.0 ingest: its data, until it is complete */
    size_t held_bytes;    /* of the upload: its part of tm_bulk.held_bytes */
    char object[96];
    struct bulk_form form;
    char version[8];
    enum { BULK_OPEN, BULK_CLOSED, BULK_JOB_ABORTED } state; /* 1.0, ingest */
    int64_t pk_rows;                                         /* PK chunking; 0 = none */
    char pk_from[TM_ID_BYTES], pk_parent[96];
    int64_t made_ms, changed_ms;
    struct bulk_run **runs; /* 2.0: one */
    size_t runs_count;
    struct bulk_job *next; /* newest first */
};
struct bulk_page;
struct tm_bulk {
    struct tm_org *org;
    struct tm_oauth *oauth;
    struct tm_bulk_settings settings;
    struct bulk_store *store;
    struct bulk_job *jobs;
    size_t jobs_count;
    size_t held_bytes; /* of all jobs: uploads, records to write, results of ingest */
    struct bulk_run *running[BULK_RUNNING_MAX]; /* oldest first */
    size_t running_count, queued_count;
    struct bulk_run *queue_first, *queue_last; /* those that wait, the longest first */
    int64_t run_last;                          /* number of the last run */
    struct bulk_page *pages[BULK_PAGES_MAX];
    size_t pages_count;
    uint64_t token_last;
    struct {
        int64_t hour, jobs, batches;
    } used[BULK_HOURS];
    struct tm_buf text; /* rows of the chunk being written */
    uint32_t ends[BULK_CHUNK_ROWS];
};
/* Parses and plans: TM_E_ARG fills *error with what the API says of a query that is wrong, or that
 * Bulk cannot do. */
enum tm_code bulk_run_check(struct tm_bulk *b, const struct bulk_job *job, const char *soql,
                            int64_t now_org_ms, struct tm_soql **out, struct tm_soql_error *error,
                            struct tm_err *err);
/* A checked query joins the job and begins if it may; takes `query`. */
enum tm_code bulk_run_make(struct tm_bulk *b, struct bulk_job *job, const char *soql,
                           struct tm_soql *query, const struct tm_now *now, struct bulk_run **out,
                           struct tm_err *err);
/* A batch that never runs: Failed with a reason, or NotProcessed. */
enum tm_code bulk_run_make_ended(struct tm_bulk *b, struct bulk_job *job, const char *soql,
                                 enum bulk_state state, const char *why, const struct tm_now *now,
                                 struct bulk_run **out, struct tm_err *err);
/* Records to write; takes `data`, of which data_bytes is about its memory. */
enum tm_code bulk_run_make_ingest(struct tm_bulk *b, struct bulk_job *job, json_t *data,
                                  size_t data_bytes, const struct tm_now *now,
                                  struct bulk_run **out, struct tm_err *err);
/* A slice is over: failed, done, or to go on. */
void bulk_run_over(struct tm_bulk *b, struct bulk_run *run, enum tm_code rc,
                   const struct tm_err *err, bool done, const struct tm_now *now);
void bulk_run_slice(struct tm_bulk *b, struct bulk_run *run, const struct tm_now *now);
void bulk_run_begin(struct tm_bulk *b, struct bulk_run *run, const struct tm_now *now);
void bulk_run_abort(struct tm_bulk *b, struct bulk_run *run, const struct tm_now *now);
void bulk_run_free(struct tm_bulk *b, struct bulk_run *run);
enum bulk_state bulk_run_state(const struct bulk_run *run, const struct tm_now *now);
/* First row behind result file `file`. */
int64_t bulk_run_file_end(const struct bulk_run *run, size_t file);

/* ---- bulk_ingest.c ---- */
const char *bulk_op_word(enum bulk_op op);
enum bulk_op bulk_op_of(const char *word); /* BULK_QUERY when it is none that writes */
/* The records of a batch in the job's format, and about what they take in memory. TM_E_PROTO: what
 * is wrong with the whole of it; TM_E_LIMIT: there is no room for them (bulk_room). */
enum tm_code bulk_ingest_read(struct tm_bulk *b, struct bulk_job *job, const char *data,
                              size_t bytes, const struct tm_now *now, json_t **out,
                              size_t *out_bytes, struct tm_err *err);
void bulk_ingest_open(struct tm_bulk *b, struct bulk_run *run, json_t *data, size_t data_bytes);
void bulk_ingest_slice(struct tm_bulk *b, struct bulk_run *run, const struct tm_now *now);
/* 2.0: the header of the good or failed results; the records that were not written. */
void bulk_ingest_head(struct tm_buf *out, const struct bulk_job *job, bool good);
void bulk_ingest_left(const struct bulk_run *run, struct tm_buf *out);
/* The run ended: its data goes, but for what a 2.0 job left unwritten. */
void bulk_ingest_end(struct tm_bulk *b, struct bulk_run *run);
void bulk_ingest_free(struct tm_bulk *b, struct bulk_run *run);

/* ---- bulk_load.c ---- */
void bulk_load_request(struct tm_bulk *b, const struct tm_mock_request *r, const char *version,
                       char *const *parts, size_t parts_count, struct tm_mock_response *out);

/* ---- bulk_query.c ---- */
const char *bulk_delimiter_word(char delimiter);
/* lineEnding and columnDelimiter of a job. NULL = fine, else what is wrong. */
const char *bulk_form_of(struct bulk_form *out, const json_t *body);

/* ---- bulk_async.c ---- */
void bulk_async_error(struct tm_mock_response *out, bool json, int status, const char *code,
                      const char *message);
/* A whole answer of 1.0 counts as a call; a held one when it is whole. */
void bulk_async_count(struct tm_bulk *b, const struct tm_mock_request *r,
                      const struct tm_mock_response *out);

/* ---- bulk_page.c ---- */
/* Answers with rows [row, row_end) of the run, now or in slices. out has the headers already. */
void bulk_page_answer(struct tm_bulk *b, struct bulk_run *run, int64_t row, int64_t row_end,
                      struct tm_mock_response *out);
void bulk_pages_forget(struct tm_bulk *b, const struct bulk_run *run);
void bulk_pages_close(struct tm_bulk *b);

/* ---- bulk.c ---- */
void bulk_id(struct tm_bulk *b, char out[TM_ID_BYTES], const char *prefix);
/* A new job, first in the list; NULL = no memory, or BULK_JOBS_MAX are not ended. */
struct bulk_job *bulk_job_make(struct tm_bulk *b, int api, const struct tm_now *now);
struct bulk_job *bulk_job_find(struct tm_bulk *b, int api, const char *id,
                               const struct tm_now *now);
void bulk_job_remove(struct tm_bulk *b, struct bulk_job *job);
/* An item now holds `bytes`; *held is what it held. */
void bulk_hold(struct tm_bulk *b, size_t *held, size_t bytes);
/* Whether ingest jobs may hold so many bytes more; the oldest ones go that have ended,
 * or were left open and idle. */
bool bulk_room(struct tm_bulk *b, size_t bytes, int64_t now_org_ms);
void bulk_use(struct tm_bulk *b, int64_t now_org_ms, int64_t jobs, int64_t batches);

/* ---- bulk_words.c ---- */
#define BULK_WORDS_MAX 16
struct bulk_words { /* the members of a jobInfo */
    struct {
        char name[40], value[256];
    } items[BULK_WORDS_MAX];
    size_t count;
};
/* TM_E_ARG: not JSON, not XML, or something else than a flat jobInfo. */
enum tm_code bulk_words_json(struct bulk_words *out, const char *text, size_t bytes,
                             struct tm_err *err);
enum tm_code bulk_words_xml(struct bulk_words *out, const char *text, size_t bytes,
                            struct tm_err *err);
const char *bulk_words_get(const struct bulk_words *w, const char *name); /* NULL when absent */
/* "chunkSize=100000; startRow=001…; parent=Account", "true" or "false"; rows 0 = no chunking. */
enum tm_code bulk_words_chunking(const char *text, int64_t *out_rows, char from[TM_ID_BYTES],
                                 char parent[96], struct tm_err *err);
#endif
