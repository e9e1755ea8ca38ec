/* org: the Salesforce org behind the mock's APIs: current state, history, change events, schema,
 * usage. in: transactions of record changes with the instant they commit; out: rows of org.db
 * (harness/base/org_db.h), of which REST, Bulk and CometD are three readings. One commit feeds all
 * of them, in one SQLite transaction. Pure towards time and chance: every instant is handed in,
 * every id comes from counters kept in org.db and the seed. One thread at a time may be inside. The
 * owner of a struct tm_org is whoever opened it; strings handed out are borrowed. Facts:
 * salesforce-wire.md 2.5 (events), 3 and 4 (REST, deletes), 7 (ids, times), 8 (limits). */
#ifndef TM_MOCKS_SALESFORCE_ORG_H
#define TM_MOCKS_SALESFORCE_ORG_H
#include "base/buf.h"
#include "base/clock.h"
#include "base/describe.h"
#include "base/rng.h"
#include "base/sql.h"
#include "base/text.h"

#define TM_ORG_OBJECTS_MAX 64
/* of one object, removed ones included */
#define TM_ORG_FIELDS_MAX 800
/* in one transaction */
#define TM_ORG_CHANGES_MAX 200000
/* how long events can be replayed, org time */
#define TM_ORG_RETENTION_MS (72 * 3600000LL)
/* recycle bin and getDeleted, org time */
#define TM_ORG_RECYCLE_MS (15 * 86400000LL)

struct tm_org;
struct tm_org_settings {        /* strings are borrowed during open only */
    const char *path;           /* org.db; made when missing */
    const char *objects_dir;    /* every *.json in it is the describe of one object */
    const char *const *objects; /* NULL-terminated names to serve; NULL = all there */
    uint64_t seed;
    int64_t origin_ms, compress;               /* kept in meta for the witness */
    int64_t publish_delay_ms, index_lag_ms;    /* D and V, org time */
    int64_t events_per_day, api_calls_per_day; /* allocations of the edition; 0 = no limit */
    const char *edition, *scenario, *boot_id;  /* for meta; NULL = "", boot_id NULL = not kept */
    bool setup_objects; /* serve PushTopic and StreamingChannel too, which need no describe file */
};
/* A file made before must have the same seed (TM_E_MISMATCH); everything else about it goes on
 * where it stopped. */
enum tm_code tm_org_open(struct tm_org **out, const struct tm_org_settings *settings,
                         struct tm_err *err);
void tm_org_close(struct tm_org *org);           /* flushes usage; NULL-safe */
const char *tm_org_id(const struct tm_org *org); /* 00D…, 18 characters */
/* The id the org gives to the number-th record (1..) with this key prefix. */
void tm_org_id_of(const struct tm_org *org, char out[TM_ID_BYTES], const char *prefix,
                  int64_t number);
/* so far; the next CREATE gets one more */
int64_t tm_org_ids_given(const struct tm_org *org, const char *object);
const char *tm_org_user_id(const struct tm_org *org); /* the integration user: a User record */
/* numbers and copies of the texts */
const struct tm_org_settings *tm_org_settings(const struct tm_org *org);
enum tm_code tm_org_meta_set(struct tm_org *org, const char *key, const char *value,
                             struct tm_err *err);
/* Copies the value, "" when there is none. */
enum tm_code tm_org_meta_get(struct tm_org *org, const char *key, char *out, size_t out_bytes,
                             struct tm_err *err);

/* ---- schema ---- */
size_t tm_org_objects(const struct tm_org *org);
const char *tm_org_object_name(const struct tm_org *org, size_t index);
/* The describe in force now, as the integration user sees it; NULL when there is no such object.
 * Case-insensitive. Valid until the schema changes. */
const struct tm_describe *tm_org_describe(const struct tm_org *org, const char *object);
/* Whether its changes are told as change events: not where the describe says it is not
 * triggerable. */
bool tm_org_announced(const struct tm_org *org, const char *object);
/* With the fields that are hidden from that user. */
const struct tm_describe *tm_org_describe_whole(const struct tm_org *org, const char *object);
/* first 3 characters */
const struct tm_describe *tm_org_describe_by_prefix(const struct tm_org *org, const char *id);
/* grows with every schema change: a cache key */
uint64_t tm_org_schema_version(const struct tm_org *org);
/* 22 characters that change with the object's describe: "schema" of an event. "" for an unknown
 * object. */
const char *tm_org_schema_id(const struct tm_org *org, const char *object);
/* field: one describe field object (name and type at least; the rest is filled in). Records get
 * null: those that held something when the field was removed have a version of it in the history,
 * of `now` (NULL: before the clock started), with no event and no stamp. */
enum tm_code tm_org_field_add(struct tm_org *org, const char *object, json_t *field,
                              const struct tm_now *now, struct tm_err *err);
/* The field leaves describe and events; the column stays in cur_<object>, unreachable. System and
 * required fields refuse. */
enum tm_code tm_org_field_remove(struct tm_org *org, const char *object, const char *field,
                                 struct tm_err *err);
/* Another type for a field: keys of `patch` replace the field's. Values stay where they are of the
 * same kind (string -> picklist) or numbers (int <-> double). Between text and numbers records get
 * null, as when a field is added again. What becomes of values that did not stay, or were made
 * narrower, whoever does it commits. */
enum tm_code tm_org_field_retype(struct tm_org *org, const char *object, const char *field,
                                 json_t *patch, const struct tm_now *now, struct tm_err *err);

/* Field-level security: the integration user no longer sees the field, or sees it again. Hidden, it
 * is in no describe, no event and no changedFields, and SOQL refuses its name (INVALID_FIELD); it
 * still changes. That it was hidden or shown no event tells, nor does the schema id of later ones.
 * System, required and compound fields refuse. */
enum tm_code tm_org_field_hide(struct tm_org *org, const char *object, const char *field,
                               bool hidden, struct tm_err *err);

/* ---- changes ---- */
enum tm_org_kind {
    TM_ORG_CREATE,
    TM_ORG_UPDATE,
    TM_ORG_DELETE,
    TM_ORG_UNDELETE,
    TM_ORG_HARD_DELETE
};
enum tm_org_announce {
    TM_ORG_NORMAL, /* one event; hard delete of a record in the bin: none, as it was told before */
    TM_ORG_MERGED, /* joins the event of the MERGED change before it in the transaction, if that has
                      the same object, kind and values */
    TM_ORG_GAP,    /* GAP_CREATE, GAP_UPDATE, GAP_DELETE, GAP_UNDELETE by kind: header only */
    TM_ORG_OVERFLOW, /* one GAP_OVERFLOW per object for all changes of the transaction so marked */
    TM_ORG_DIFF,     /* UPDATE whose long texts (over 1,000 characters) travel as a unified diff */
    TM_ORG_CONVERSION, /* one UPDATE for "006*" with no body, for all changes of the object so
                          marked; such writes move SystemModstamp only */
    TM_ORG_SILENT      /* no event at all */
};
enum tm_org_value_kind {
    TM_ORG_NULL,
    TM_ORG_INT /* booleans, ints, datetimes */,
    TM_ORG_REAL,
    TM_ORG_TEXT
};
struct tm_org_value { /* canonical form (README, "Your own pipeline") */
    enum tm_org_value_kind kind;
    int64_t i;
    double d;
    const char *text; /* borrowed for the commit */
};
struct tm_org_set {
    const char *field;
    struct tm_org_value value;
}; /* column name: BillingStreet, not BillingAddress */
struct tm_org_change {
    enum tm_org_kind kind;
    enum tm_org_announce announce;
    const char *object;
    char id[TM_ID_BYTES]; /* CREATE: "" = the org gives one, written back */
    const struct tm_org_set *sets;
    size_t sets_count; /* CREATE, UPDATE; DELETE: MasterRecordId of a merge's loser */
    int64_t out_pos;   /* history position it got */
};
struct tm_org_txn {
    struct tm_org_change *changes; /* a quirk in force may change `announce` (org_quirk.h) */
    size_t changes_count;          /* a record at most once */
    int64_t org_ms;                /* commit instant; raised to the last one if before it */
    int64_t written_ms; /* when its rows were written, which is what their stamps say: a transaction
                           that stayed open; 0 = at the commit */
    int64_t intended_ms;            /* 0 = org_ms */
    int64_t intended_ns, actual_ns; /* 0 = the clock has not started: NULL in history */
    const char *user;               /* User id; NULL = the integration user */
    const char *origin;             /* changeOrigin; NULL = "" */
    bool before_origin;             /* initial population: no events */
};
/* Commits one transaction: validates all of it, then writes; TM_E_ARG (user's mistake) leaves the
 * org as it was. Its own SQLite transaction, unless inside tm_org_begin … tm_org_end, which make
 * one of many. TM_E_AGAIN: org.db is locked by another process, nothing was written, try again. Any
 * other error: the open batch is rolled back. */
enum tm_code tm_org_commit(struct tm_org *org, struct tm_org_txn *txn, struct tm_err *err);
enum tm_code tm_org_begin(struct tm_org *org, struct tm_err *err);
enum tm_code tm_org_end(struct tm_org *org, struct tm_err *err);
/* Instead of end: nothing since begin has happened. */
enum tm_code tm_org_cancel(struct tm_org *org, struct tm_err *err);
/* From here on changes are in org.db, for other connections to see, only at tm_org_settle: one
 * SQLite transaction takes what was committed since the last one. For a driver that knows when
 * somebody looks; what the process ends without settling is lost. Between begin and end settling
 * waits. */
void tm_org_gather(struct tm_org *org);
enum tm_code tm_org_settle(struct tm_org *org, struct tm_err *err);
/* errorCode of the last TM_E_ARG of a commit as REST spells it: REQUIRED_FIELD_MISSING,
 * ENTITY_IS_DELETED, NOT_FOUND, INVALID_FIELD, … and the field it is about or "". */
const char *tm_org_error_code(const struct tm_org *org);
const char *tm_org_error_field(const struct tm_org *org);
/* A JSON value as REST writes it (datetime text, true/false, numbers) -> canonical. Text borrowed
 * from json or scratch. */
enum tm_code tm_org_value_of_json(struct tm_org_value *out, char scratch[TM_TIME_BYTES],
                                  const struct tm_field *field, const json_t *json,
                                  struct tm_err *err);
int64_t tm_org_pos_last(const struct tm_org *org);
int64_t tm_org_ms_last(const struct tm_org *org); /* org time of the last commit */

/* What a watcher is told of a change, inside its transaction, when it is written. Borrowed for the
 * call. */
struct tm_org_seen {
    const char *object, *id;
    enum tm_org_kind kind;
    enum tm_org_announce announce;
    bool was_live;
    int64_t org_ms;
};
/* TM_E_ARG with tm_org_refuse refuses the transaction, any other error breaks it. */
typedef enum tm_code tm_org_watcher(void *self, const struct tm_org_seen *seen, struct tm_err *err);
/* One watcher; NULL ends it. It may read, and write through tm_stream_put, nothing else. */
void tm_org_watch(struct tm_org *org, tm_org_watcher *watcher, void *self);
/* One guest that is told before the org closes, to let go of what it prepared; NULL ends it. */
void tm_org_on_close(struct tm_org *org, void (*leave)(void *self), void *self);
/* Who reads rows of cur_<object>, or of a lagged copy, over several calls by the org's own
 * connection: told before any of them changes, and off then. The caller's memory, zeroed at first.
 */
struct tm_org_reader {
    void (*before_change)(struct tm_org_reader *self);
    struct tm_org_reader *next, **at; /* the org's; at NULL = off */
};
void tm_org_reader_on(struct tm_org *org, struct tm_org_reader *reader);
void tm_org_reader_off(struct tm_org_reader *reader); /* also when it is off */
/* Inside the watcher: whether the change gives the field another value. */
bool tm_org_seen_changed(const struct tm_org *org, const struct tm_org_seen *seen,
                         const char *field);
/* TM_E_ARG with the errorCode and field that REST answers with. */
enum tm_code tm_org_refuse(struct tm_org *org, const char *code, const char *field,
                           struct tm_err *err, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* ---- reading (SOQL, retrieve) ----
 * Table cur_<Object>: Id TEXT, then one column per field that has a value of its own (compound
 * parts, not compounds), formulas and a person's Name computed, canonical form; IsDeleted rows
 * included. Index on Id and on (SystemModstamp, Id). Column names are the describe's, ASCII
 * case-insensitive. Removed fields keep a column: select only what the describe names. */
/* for prepared SELECTs between steps; never write through it */
sqlite3 *tm_org_db(struct tm_org *org);
/* Name of the relation to read, to be quoted: "cur_X", or for a range read under index lag "lag_X",
 * brought to the state of now - V first. Only ranges over SystemModstamp, LastModifiedDate,
 * CreatedDate are lagged; the caller knows. */
enum tm_code tm_org_relation(struct tm_org *org, const char *object, bool range_read,
                             int64_t now_org_ms, const char **out_name, struct tm_err *err);
/* Under index lag: makes the copies that range reads see, if there are none yet, and takes at most
 * changes_max entries of history over to them, so that a range read has little left to do. Nothing
 * depends on it but time. */
enum tm_code tm_org_lag_step(struct tm_org *org, int64_t now_org_ms, int64_t changes_max,
                             struct tm_err *err);
enum tm_org_state { TM_ORG_ABSENT, TM_ORG_LIVE, TM_ORG_IN_BIN };
enum tm_code tm_org_record_state(struct tm_org *org, const char *object, const char *id18,
                                 enum tm_org_state *out, struct tm_err *err);
/* getDeleted: deletes in [start_ms, end_ms) of the last 15 days, undeleted ones left out,
 * hard-deleted ones in. Also index- lagged. Calls back in order of time. */
typedef void tm_org_deleted_row(void *data, const char *id, int64_t deleted_ms);
enum tm_code tm_org_deleted(struct tm_org *org, const char *object, int64_t start_ms,
                            int64_t end_ms, int64_t now_org_ms, tm_org_deleted_row *row, void *data,
                            struct tm_err *err);
/* How far back getDeleted reaches: 15 days, or less where the delete log was purged. */
int64_t tm_org_deletes_from_ms(const struct tm_org *org, int64_t now_org_ms);
/* Live records that go when this one is deleted (childRelationships with cascadeDelete),
 * by object; back: those in the bin that went with it, in one transaction, and come back with it.
 */
typedef void tm_org_child_row(void *data, const char *object, const char *id);
enum tm_code tm_org_cascade(struct tm_org *org, const char *object, const char *id18, bool back,
                            tm_org_child_row *row, void *data, struct tm_err *err);
/* Empties what is older than 15 days from the recycle bin (hard deletes with no event). Call now
 * and then. */
enum tm_code tm_org_purge(struct tm_org *org, const struct tm_now *now, struct tm_err *err);

/* ---- events ---- */
struct tm_org_event {
    int64_t replay_id, publish_ms;
    const char *object;
    const char *body;
    size_t
        body_bytes; /* {"schema":…,"payload":{…}}: "data" without "event"; borrowed for the call */
    const char *event; /* members of "event" beside replayId, each with its comma; NULL = none */
};
/* Return false to stop before this event is counted as taken. */
typedef bool tm_org_event_row(void *data, const struct tm_org_event *event);
/* Events after replay_after, oldest first, published (commit + D <= now) and retained; object NULL
 * = all objects, ",Account,Contact," = these, here and below. At most count_max. TM_E_GAP: an event
 * beyond replay_after is past its 72 h, so the rest would look whole and is not. */
enum tm_code tm_org_events(struct tm_org *org, const char *object, int64_t replay_after,
                           int64_t now_org_ms, size_t count_max, tm_org_event_row *row, void *data,
                           struct tm_err *err);
/* Cheap, from memory: last replay id given out for the object (NULL: any), published or not; 0 =
 * none. */
int64_t tm_org_replay_last(const struct tm_org *org, const char *object);
/* Last published one at now (-1 subscriptions start here), and the position just before the oldest
 * retained (-2). */
enum tm_code tm_org_replay_tip(struct tm_org *org, int64_t now_org_ms, int64_t *out,
                               struct tm_err *err);
enum tm_code tm_org_replay_oldest(struct tm_org *org, int64_t now_org_ms, int64_t *out,
                                  struct tm_err *err);
/* What is published by now can no longer be replayed, as if 72 h had passed. */
enum tm_code tm_org_forget(struct tm_org *org, int64_t now_org_ms, struct tm_err *err);
/* The org was restored or moved: its bus is empty, and replay ids go on at `first`, which is below
 * those of before. Commit times, records and their history go on. */
enum tm_code tm_org_replay_restart(struct tm_org *org, int64_t first, struct tm_err *err);
/* May a subscriber ask for events after this id? Not when older than retention or
 * beyond the tip; 0 only while nothing has expired. */
enum tm_code tm_org_replay_valid(struct tm_org *org, int64_t replay_id, int64_t now_org_ms,
                                 bool *out, struct tm_err *err);
/* Org instant at which the next event after replay_after becomes deliverable; TM_NEVER when there
 * is none. */
enum tm_code tm_org_next_publish_ms(struct tm_org *org, const char *object, int64_t replay_after,
                                    int64_t *out, struct tm_err *err);

/* ---- usage: counted in memory, written to org.db's usage by flush (call about once a second, and
 * close does) ---- */
struct tm_org_usage {
    int64_t calls, bytes_in, bytes_out, events;
};
void tm_org_usage_add(struct tm_org *org, const char *client, const char *kind,
                      const struct tm_org_usage *more, int64_t now_org_ms);
enum tm_code tm_org_usage_flush(struct tm_org *org, struct tm_err *err);
/* API calls and delivered events of the last 24 h of org time (whole hours), all clients. */
void tm_org_usage_day(const struct tm_org *org, int64_t now_org_ms, int64_t *out_calls,
                      int64_t *out_events);
#endif
