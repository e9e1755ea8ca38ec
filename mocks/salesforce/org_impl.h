/* org_impl: what the files of the org share and nobody else sees. Owner of everything here: struct
 * tm_org. */
#ifndef TM_MOCKS_SALESFORCE_ORG_IMPL_H
#define TM_MOCKS_SALESFORCE_ORG_IMPL_H
#include "mocks/salesforce/org_quirk.h"

#define ORG_BODY_BYTES_MAX (4u << 20)
#define ORG_USAGE_MAX 1024 /* distinct client and kind pairs */
#define ORG_HOURS 32       /* usage buckets kept, more than a day */

struct org_column {   /* one stored column of cur_<object> */
    const char *name; /* borrowed from the describe */
    const struct tm_field *field;
    bool in_events;
    int group; /* compounds: same number = same nested object; -1 = on its own */
    bool reference, unique; /* has an index: a record it hangs on; what records are looked up by */
};
struct org_row { /* a record in canonical form; texts point into `arena` or outlive it */
    struct tm_org_value *values; /* [columns_count] */
    int64_t rowid, version;
};
struct org_object {
    struct tm_describe *describe; /* every field */
    struct tm_describe *shown;    /* without what the user may not see; NULL = sees all of it */
    char schema_id[24];
    struct org_column *columns; /* stored ones: no compounds, formulas, Id */
    size_t columns_count;
    int *of_field; /* [describe->fields_count] column of a field, -1 = none */
    int deleted, created, created_by, modified, modified_by, stamp, master,
        owner;             /* columns, -1 = none */
    char cur[96], lag[96]; /* table names */
    sqlite3_stmt *select, *insert, *update, *remove;
    sqlite3_stmt *touch; /* update of all columns but those with an index; NULL = not made yet */
    sqlite3_stmt *lagged[4]; /* the same over the lagged copy, when there is one */
    int64_t ids_given;       /* CREATEs so far: the next id's number */
    bool announced;          /* its changes are told */
    int64_t replay_last;
    /* while a transaction is open: the event that changes so marked share */
    int64_t overflow_replay, conversion_replay, overflow_pos, conversion_pos;
    int64_t overflow_seq, conversion_seq;
};
struct org_pending { /* the MERGED event that is being gathered */
    bool open;
    size_t object;
    const char *change;
    int64_t replay_id, pos, seq;
    struct tm_buf fields, changed, ids;
};
struct org_usage {
    char client[96], kind[24];
    struct tm_org_usage more;
};
struct org_hour {
    int64_t hour, calls, events, calls_new, events_new;
};
struct tm_org {
    struct tm_org_settings settings;
    char *texts[4]; /* copies the settings point to */
    int lock_fd;    /* holds the file against a second writer; -1 = in memory */
    bool made_file; /* it was not there before */
    sqlite3 *db;
    struct org_object objects[TM_ORG_OBJECTS_MAX];
    size_t objects_count;
    uint64_t schema_version;
    char id[TM_ID_BYTES], user_id[TM_ID_BYTES];
    int64_t pos_last, ms_last, replay_last, events_count, txn_count;
    int64_t forgotten;          /* events up to this replay id are no longer to be had */
    int64_t delete_log_from_ms; /* getDeleted knows nothing before */
    int64_t index_lag_own_ms;   /* V without quirks; settings has the one in force */
    struct tm_org_quirks quirks;
    struct org_lock { /* rows of open transactions */
        int64_t holder;
        char id[TM_ID_BYTES];
    } * locks;
    size_t locks_count, locks_cap;
    json_t *faults_waiting; /* entries of the log that org.db could not take yet; NULL = none */
    bool batch;             /* between begin and end */
    bool gathers;           /* tm_org_gather */
    int64_t txns_before;    /* txn_count when the batch began */
    sqlite3_stmt *events[3], *beyond; /* org_read.c: NULL while one is in use */
    struct org_published {            /* the tip, and the oldest retained: as last asked for */
        int64_t ms, id, next_ms;      /* asked at ms: id; the event after it comes at next_ms */
    } published[2];
    sqlite3_stmt *history, *event, *meta, *bin_add, *bin_drop, *version_last;
    struct tm_buf fields, changed, body, names; /* reused by every commit */
    struct tm_buf arena;                        /* texts made while one change is written */
    struct org_pending pending;
    unsigned char
        *mark; /* [TM_ORG_FIELDS_MAX] columns of the change under way that go into its event */
    struct tm_org_value *values; /* [TM_ORG_FIELDS_MAX] the record as it will be */
    struct tm_org_value *before; /* [TM_ORG_FIELDS_MAX] the record as it was */
    tm_org_watcher *watcher;
    void *watcher_self;
    struct tm_org_reader *readers;
    void (*leave)(void *self);
    void *leave_self;
    char error_code[48], error_field[96];
    int64_t lag_pos, lag_ms; /* history position the lag tables stand at; -1 = not made */
    struct org_usage *usage;
    size_t usage_count;
    struct org_hour hours[ORG_HOURS];
};

/* ---- org_schema.c ---- */
/* What a describe says about a field when nobody says otherwise. */
void org_schema_fill(json_t *field);
/* 22 characters that change with the text. */
void org_schema_id_make(char out[24], const json_t *describe);
/* any case; NULL */
struct org_object *org_find(const struct tm_org *org, const char *object);
/* any case; -1 */
int org_column_index(const struct org_object *o, const char *name);
/* tables, columns, statements */
enum tm_code org_object_open(struct tm_org *org, json_t *describe, struct tm_err *err);
/* Rows of the org are about to change: who reads them over several calls is told. */
void org_changes(struct tm_org *org);
void org_object_close(struct org_object *o);
/* Puts `describe` in force for the object from the next position on, or leaves all as it was. */
enum tm_code org_schema_replace(struct tm_org *org, struct org_object *o, json_t *describe,
                                struct tm_err *err);
enum tm_code org_schema_load(struct tm_org *org, struct tm_err *err);
/* Shared with org_schema_change.c: what they say stands over each in org_schema.c. */
enum tm_code org_schema_attach(struct org_object *o, json_t *describe, struct tm_err *err);
enum tm_code org_schema_describe_store(struct tm_org *org, const char *object, int64_t from_pos,
                                       const json_t *describe, struct tm_err *err);
enum tm_code org_schema_column(struct tm_buf *out, const struct tm_describe *d,
                               const struct tm_field *f, bool *out_any, struct tm_err *err);
const char *org_schema_affinity(const struct tm_field *f);
enum tm_code org_table_create(struct tm_org *org, const struct org_object *o, const char *table,
                              bool temporary, struct tm_err *err);
/* o->touch */
enum tm_code org_statement_touch(struct tm_org *org, struct org_object *o, struct tm_err *err);
enum tm_code org_statements(struct tm_org *org, const struct org_object *o, const char *table,
                            sqlite3_stmt *out[4],
                            struct tm_err *err); /* select insert update remove */

/* ---- org_setup.c ---- */
/* The describe of the index-th object that every org has; NULL beyond the last. Caller decrefs. */
json_t *org_setup_describe(size_t index);
/* ---- org_access.c ---- */
/* `d` as the user sees it; NULL when that is all of it. */
enum tm_code org_access_shown(struct tm_describe **out, const struct tm_describe *d,
                              struct tm_err *err);

/* ---- org_render.c: values as the wire and the history spell them ---- */
void org_render_number(struct tm_buf *out, double value, int scale);
void org_render_canonical(struct tm_buf *out, const struct tm_field *field,
                          const struct tm_org_value *value);
void org_render_wire(struct tm_buf *out, const struct tm_field *field,
                     const struct tm_org_value *value);
/* The marked columns as members of an object, nested by compound: `"A":1,"B":{"C":2}`. diff: texts
 * before, or NULL. */
void org_render_body(struct tm_buf *out, const struct org_object *o, const unsigned char *mark,
                     const struct tm_org_value *values, const struct tm_org_value *diff_before);
struct org_header {
    const char *entity, *change, *user, *origin, *txn;
    int64_t commit_number, commit_ms, seq;
    const char *changed; /* JSON array text */
    const char *ids;     /* JSON strings, comma separated, no brackets */
};
void org_render_event(struct tm_buf *out, const char *schema_id, const char *fields,
                      const struct org_header *header);
/* Unified diff of two texts as CometD carries it: "--- \n+++ <sha256 of after>\n@@ … @@\n…". */
void org_render_diff(struct tm_buf *out, const char *before, const char *after);
void org_sha256_hex(char out[65], const void *data, size_t bytes);
bool org_long_text(const struct tm_org_value *value); /* over 1,000 bytes */

/* ---- org_value.c ---- */
bool org_value_equal(const struct tm_org_value *a, const struct tm_org_value *b);
/* text borrowed from stmt */
/* A member of history.fields; text is borrowed from it. */
void org_value_of_history(struct tm_org_value *out, const struct tm_field *f, const json_t *json);
void org_value_read(struct tm_org_value *out, sqlite3_stmt *stmt, int column);
void org_value_bind(sqlite3_stmt *stmt, int parameter, const struct tm_org_value *value);
/* Checks against the describe and brings into canonical form (scale, empty text = null). Sets
 * org->error_*. */
enum tm_code org_value_check(struct tm_org *org, struct tm_org_value *out,
                             const struct org_column *column, const struct tm_org_value *in,
                             struct tm_err *err);
#define org_refuse tm_org_refuse

/* ---- org_quirk.c ---- */
/* How the changes of a transaction are announced while quirks are in force. */
/* The key of the next transaction; counts it. */
void org_txn_key(struct tm_org *org, char out[40]);
void org_quirk_announce(struct tm_org *org, struct tm_org_txn *txn);
bool org_locked(const struct tm_org *org, const char *id18);
enum tm_code org_quirks_load(struct tm_org *org, struct tm_err *err);

/* ---- org.c ---- */
enum tm_code org_counters_load(struct tm_org *org, struct tm_err *err);
enum tm_code org_usage_load(struct tm_org *org, struct tm_err *err); /* org_read.c */
void org_id_make(char out[TM_ID_BYTES], const char *prefix, uint64_t seed, int64_t number);
#endif
