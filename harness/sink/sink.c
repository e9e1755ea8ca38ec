#include "sink/sink.h"
#include "base/log.h"
#include "base/text.h"
#include "sink/offsets.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ask the topics again, whatever their descriptors say */
#define SINK_IDLE_NS (50 * TM_NS_PER_MS)
#define SINK_ASSIGNED_NS (5 * TM_NS_PER_S)
#define SINK_BUSY_NS TM_NS_PER_MS
#define SINK_SQL_BYTES_MAX (64u << 20)
#define SINK_WHY_BYTES 240
/* making views takes some hundreds; looked at so often */
#define SINK_VIEW_STEPS 10000000
#define SINK_VIEW_LOOKS 100

enum sink_phase { SINK_CLUSTER, SINK_VIEWS, SINK_FETCH, SINK_SCHEMA, SINK_WRITE };
struct sink_item {
    struct tm_record record;        /* borrowed from its consumer until that fetches again */
    size_t consumer, table, offset; /* indexes; table SIZE_MAX = none */
    struct tm_sink_schema schema;   /* NULL schema: tombstone, or undecodable when why is set */
    char *why;                      /* owned */
};
struct sink_topic {
    const char *name;
    size_t table;
    char object[128]; /* of raw topics, once seen */
};
struct sink_mark {
    const char *object;
    int64_t replay_id;
};
struct tm_sink {
    struct tm_sink_settings settings;
    struct tm_sink_ports ports;
    struct tm_topic *consumers[TM_SINK_TASKS_MAX];
    size_t consumers_count, consumer_first;
    enum sink_phase phase;
    bool stale_views;       /* columns changed in the transaction under way */
    bool stale_tables;      /* a transaction was rolled back */
    const char *cluster_id; /* borrowed from the topic */
    struct tm_sink_offsets offsets;
    struct sink_topic topics[TM_SINK_TOPICS_MAX];
    struct tm_sink_table tables[TM_SINK_TOPICS_MAX];
    size_t tables_count;
    struct sink_item *items;
    size_t items_count, items_ready;
    struct sink_mark *marks;
    size_t marks_count; /* written in the last transaction, to be traced in the next step */
    int64_t fetched_ns;
    bool assigned_moved; /* the group gave or took a partition */
    int64_t assigned_ns; /* when what was given is written down; 0: it is */
    struct tm_row row;
    sqlite3_stmt *aside;
    struct tm_sink_counts counts;
};

/* ---- open ---- */

static enum tm_code sink_topic_open(struct tm_sink *s, size_t i, struct tm_err *err)
{
    char name[TM_SINK_NAME_MAX];
    const char *topic = s->settings.topics[i],
               *table = s->settings.tables != NULL ? s->settings.tables[i] : NULL;
    if (strlen(topic) >= sizeof name)
        return tm_fail(err, TM_E_ARG, "topic name \"%.60s…\" is too long", topic);
    snprintf(name, sizeof name, "%s", table != NULL ? table : topic);
    if (table == NULL && s->settings.sanitize_topics)
        tm_name_sanitize(name, sizeof name, topic);
    s->topics[i].name = topic;
    for (size_t k = 0; k < s->tables_count; k++)
        /* two topics, one table: rows stay apart by _topic */
        if (strcmp(s->tables[k].name, name) == 0) {
            s->topics[i].table = k;
            return TM_OK;
        }
    s->topics[i].table = s->tables_count++;
    return tm_sink_table_open(&s->tables[s->topics[i].table], s->ports.db, name, err);
}

enum tm_code tm_sink_open(struct tm_sink **out, const struct tm_sink_settings *settings,
                          const struct tm_sink_ports *ports, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    if (settings->topics_count == 0 || settings->topics_count > TM_SINK_TOPICS_MAX)
        return tm_fail(err, TM_E_ARG, "topics: 1 to %d, not %zu", TM_SINK_TOPICS_MAX,
                       settings->topics_count);
    struct tm_sink *s = calloc(1, sizeof *s);
    if (s == NULL)
        return tm_fail(err, TM_E_NOMEM, "sink");
    s->settings = *settings;
    s->ports = *ports;
    tm_row_init(&s->row);
    s->items = calloc(TM_SINK_BATCH_MAX, sizeof *s->items);
    s->marks = calloc(TM_SINK_BATCH_MAX, sizeof *s->marks);
    if (s->items == NULL || s->marks == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "sink");
    if (rc == TM_OK)
        rc = tm_sql_exec(ports->db,
                         "CREATE TABLE IF NOT EXISTS _undecodable(topic TEXT NOT NULL,partition "
                         "INTEGER NOT NULL,"
                         "\"offset\" INTEGER NOT NULL,key BLOB,value BLOB,error TEXT NOT NULL,"
                         "written_ns INTEGER NOT NULL,PRIMARY KEY(topic,partition,\"offset\"))",
                         err);
    if (rc == TM_OK)
        rc = tm_sink_offsets_open(&s->offsets, ports->db, settings->broker_life, err);
    if (rc == TM_OK && settings->shared) /* the views ask for it */
        rc = tm_sink_assigned_open(ports->db, err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s->aside, ports->db,
                            "INSERT INTO _undecodable VALUES(?1,?2,?3,?4,?5,?6,?7)", err);
    for (size_t i = 0; i < settings->topics_count && rc == TM_OK; i++)
        rc = sink_topic_open(s, i, err);
    if (rc != TM_OK) {
        tm_sink_close(s);
        return rc == TM_E_AGAIN
                   ? tm_fail_retry(err, TM_E_IO, "the warehouse is locked by another process")
                   : rc;
    }
    *out = s;
    return TM_OK;
}

static void sink_items_clear(struct tm_sink *s)
{
    for (size_t i = 0; i < s->items_count; i++)
        free(s->items[i].why);
    s->items_count = s->items_ready = 0;
}

void tm_sink_close(struct tm_sink *s)
{
    if (s == NULL)
        return;
    if (s->items != NULL)
        sink_items_clear(s);
    for (size_t i = 0; i < s->tables_count; i++)
        tm_sink_table_close(&s->tables[i]);
    tm_sink_offsets_close(&s->offsets);
    tm_sql_finalize(s->aside);
    tm_row_free(&s->row);
    free(s->items);
    free(s->marks);
    free(s);
}

const struct tm_sink_counts *tm_sink_counted(const struct tm_sink *s)
{
    return &s->counts;
}

/* No row for a partition = nothing of it was written: the true beginning, whatever the group once
 * committed. */
static int64_t sink_start(void *self, const char *topic, int32_t partition)
{
    struct tm_sink *s = self;
    size_t i = tm_sink_offsets_find(&s->offsets, topic, partition);
    if (i == SIZE_MAX)
        return TM_OFFSET_BEGINNING;
    s->offsets.items[i].held = s->assigned_moved = true;
    return s->offsets.items[i].stored < 0 ? TM_OFFSET_BEGINNING : s->offsets.items[i].stored;
}

static void sink_revoked(void *self, const char *topic, int32_t partition)
{
    struct tm_sink *s = self;
    size_t i = tm_sink_offsets_find(&s->offsets, topic, partition);
    if (i != SIZE_MAX)
        s->offsets.items[i].held = false;
    s->assigned_moved = true;
}

struct tm_topic_owner tm_sink_owner(struct tm_sink *s)
{
    return (struct tm_topic_owner){ .start = sink_start, .revoked = sink_revoked, .self = s };
}

void tm_sink_consume(struct tm_sink *s, struct tm_topic *const *consumers, size_t consumers_count)
{
    assert(consumers_count >= 1 && consumers_count <= TM_SINK_TASKS_MAX && s->consumers_count == 0);
    memcpy(s->consumers, consumers, consumers_count * sizeof *consumers);
    s->consumers_count = consumers_count;
}

/* ---- fetch ---- */

static void sink_wake(struct tm_wake *wake, int64_t wall_ns)
{
    if (wall_ns < wake->wall_ns)
        wake->wall_ns = wall_ns;
}

static size_t sink_table_of(const struct tm_sink *s, const char *topic)
{
    for (size_t i = 0; i < s->settings.topics_count; i++)
        if (strcmp(s->topics[i].name, topic) == 0)
            return i;
    return SIZE_MAX;
}

static enum tm_code sink_take(struct tm_sink *s, size_t consumer, const struct tm_record *records,
                              size_t count, struct tm_err *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct tm_record *r = &records[i];
        size_t topic = sink_table_of(s, r->topic),
               at = tm_sink_offsets_find(&s->offsets, r->topic, r->partition);
        assert(topic != SIZE_MAX); /* the subscription is our list */
        if (at == SIZE_MAX)
            return tm_fail(err, TM_E_LIMIT, "more than %d partitions, or memory is short",
                           TM_SINK_PARTITIONS_MAX);
        s->offsets.items[at].moving = true;
        s->items[s->items_count++] =
            (struct sink_item){ .record = *r, .consumer = consumer, .table = topic, .offset = at };
    }
    return TM_OK;
}

/* One fetch from every consumer, the first of them taking turns; what is there now makes
 * the batch. */
static enum tm_code sink_fetch(struct tm_sink *s, const struct tm_now *now, struct tm_wake *wake,
                               struct tm_err *err)
{
    static struct tm_record records[TM_SINK_BATCH_MAX];
    for (size_t i = 0; i < s->consumers_count && s->items_count < TM_SINK_BATCH_MAX; i++) {
        size_t c = (s->consumer_first + i) % s->consumers_count, count = 0;
        enum tm_code rc = s->consumers[c]->ops->fetch(
            s->consumers[c], records, TM_SINK_BATCH_MAX - s->items_count, &count, err);
        if (rc == TM_OK)
            rc = sink_take(s, c, records, count, err);
        if (rc != TM_OK && rc != TM_E_AGAIN)
            return rc;
        sink_wake(wake, s->consumers[c]->ops->next_at(s->consumers[c]));
    }
    s->consumer_first = (s->consumer_first + 1) % s->consumers_count;
    s->fetched_ns = now->wall_ns;
    sink_wake(wake, now->wall_ns + SINK_IDLE_NS);
    if (s->items_count == 0)
        return TM_E_AGAIN;
    s->phase = SINK_SCHEMA;
    return TM_OK;
}

static enum tm_code sink_aside(struct sink_item *item, const struct tm_err *why, struct tm_err *err)
{
    char text[SINK_WHY_BYTES];
    item->schema.schema = NULL;
    item->why = strdup(tm_err_text(why, text, sizeof text));
    return item->why != NULL ? TM_OK : tm_fail(err, TM_E_NOMEM, "an undecodable record");
}

/* Finds every record's schema; the registry may have to be asked, one exchange a step. */
static enum tm_code sink_schemas(struct tm_sink *s, const struct tm_now *now, struct tm_wake *wake,
                                 struct tm_err *err)
{
    for (; s->items_ready < s->items_count; s->items_ready++) {
        struct sink_item *item = &s->items[s->items_ready];
        const struct sink_item *before = s->items_ready > 0 ? item - 1 : NULL;
        struct tm_err why;
        tm_err_clear(&why);
        if (item->record.value == NULL)
            continue;
        enum tm_code rc =
            tm_avro_frame_id(&item->schema.id, item->record.value, item->record.value_bytes, &why);
        if (rc == TM_OK && before != NULL && before->schema.schema != NULL &&
            before->schema.id == item->schema.id) {
            item->schema.schema = before->schema.schema;
            continue;
        }
        if (rc == TM_OK)
            rc = s->ports.schema(s->ports.schema_self, now, &item->schema.schema, item->schema.id,
                                 &why);
        if (rc == TM_E_AGAIN) {
            sink_wake(wake, s->ports.schema_next_at != NULL
                                ? s->ports.schema_next_at(s->ports.schema_self)
                                : now->wall_ns);
            sink_wake(wake, now->wall_ns + SINK_IDLE_NS);
            return rc;
        }
        if (rc == TM_E_PROTO)
            rc = sink_aside(item, &why, err);
        else if (rc != TM_OK && err != NULL && err->code == TM_OK)
            *err = why;
        if (rc != TM_OK)
            return rc;
    }
    s->phase = SINK_WRITE;
    return TM_OK;
}

/* ---- write ---- */

/* Schemas of the batch's records for one table, each once, in order of first use; *out_last: the
 * last record's. */
static size_t sink_batch_schemas(const struct tm_sink *s, size_t table,
                                 struct tm_sink_schema out[TM_SINK_WRITERS_MAX], size_t *out_last)
{
    size_t count = 0;
    *out_last = 0;
    for (size_t i = 0; i < s->items_count; i++) {
        const struct sink_item *item = &s->items[i];
        size_t k = *out_last;
        if (s->topics[item->table].table != table || item->schema.schema == NULL)
            continue;
        if (count == 0 || out[k].id != item->schema.id)
            for (k = 0; k < count && out[k].id != item->schema.id;)
                k++;
        if (k == TM_SINK_WRITERS_MAX)
            continue; /* told by tm_sink_table_writer */
        if (k == count)
            out[count++] = item->schema;
        *out_last = k;
    }
    return count;
}

static enum tm_code sink_fit(struct tm_sink *s, struct tm_err *err)
{
    struct tm_sink_schema schemas[TM_SINK_WRITERS_MAX];
    bool changed = false;
    enum tm_code rc = TM_OK;
    for (size_t t = 0; t < s->tables_count && rc == TM_OK; t++) {
        size_t last, count = sink_batch_schemas(s, t, schemas, &last);
        if (count > 0)
            rc = tm_sink_table_fit(&s->tables[t], s->ports.db, &s->settings.rules, schemas, count,
                                   last, &changed, err);
    }
    if (rc != TM_OK || !changed)
        return rc;
    s->stale_views = true;
    return TM_OK;
}

/* self: name of the view being dropped, which SQLite asks about once more as a DELETE from it. */
static int sink_authorize(void *self, int action, const char *a, const char *b, const char *c,
                          const char *d)
{
    char *dropped = self;
    (void)b, (void)c, (void)d;
    switch (action) {
    case SQLITE_DROP_VIEW: snprintf(dropped, TM_SINK_NAME_MAX, "%s", a); return SQLITE_OK;
    case SQLITE_CREATE_VIEW:
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_FUNCTION:
    case SQLITE_RECURSIVE: return SQLITE_OK;
    case SQLITE_INSERT:
    case SQLITE_DELETE:
    case SQLITE_UPDATE: /* how SQLite itself keeps a view */
        if (strcmp(a, "sqlite_master") == 0 || strcmp(a, "sqlite_schema") == 0 ||
            (action == SQLITE_DELETE && strcmp(a, dropped) == 0))
            return SQLITE_OK;
    }
    return SQLITE_DENY;
}

static int sink_too_long(void *self)
{
    int *left = self;
    return --*left <= 0;
}

enum tm_code tm_sink_views_run(sqlite3 *db, const char *sql, struct tm_err *err)
{
    char *why = NULL, dropped[TM_SINK_NAME_MAX] = "";
    int left = SINK_VIEW_LOOKS;
    sqlite3_set_authorizer(db, sink_authorize, dropped);
    sqlite3_progress_handler(db, SINK_VIEW_STEPS / SINK_VIEW_LOOKS, sink_too_long, &left);
    int code = sqlite3_exec(db, sql, NULL, NULL, &why);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    sqlite3_set_authorizer(db, NULL, NULL);
    enum tm_code rc = TM_OK;
    if ((code & 0xff) == SQLITE_INTERRUPT)
        rc = tm_fail(err, TM_E_ARG,
                     "view SQL ran for more than %d steps of SQLite; it may only DROP VIEW and "
                     "CREATE VIEW",
                     SINK_VIEW_STEPS);
    else if ((code & 0xff) == SQLITE_ERROR || (code & 0xff) == SQLITE_AUTH)
        rc = tm_fail(err, TM_E_ARG, "%s; view SQL may only DROP VIEW and CREATE VIEW",
                     why != NULL ? why : "refused");
    else if (code != SQLITE_OK)
        rc = tm_sql_fail(db, err, "making views");
    sqlite3_free(why);
    return rc;
}

static enum tm_code sink_views(struct tm_sink *s, struct tm_err *err)
{
    struct tm_buf sql;
    if (s->ports.views == NULL)
        return TM_OK;
    tm_buf_init(&sql, SINK_SQL_BYTES_MAX);
    enum tm_code rc = s->ports.views(s->ports.views_self, s->ports.db, &sql, err);
    if (rc == TM_OK)
        rc = tm_buf_check(&sql, "view SQL", err);
    if (rc == TM_OK && sql.bytes > 0)
        rc = tm_sink_views_run(s->ports.db, tm_buf_text(&sql), err);
    tm_buf_free(&sql);
    return rc;
}

static enum tm_code sink_keep_aside(struct tm_sink *s, const struct sink_item *item,
                                    const struct tm_now *now, struct tm_err *err)
{
    const struct tm_record *r = &item->record;
    sqlite3_bind_text(s->aside, 1, r->topic, -1, SQLITE_STATIC);
    sqlite3_bind_int(s->aside, 2, s->offsets.base + r->partition);
    sqlite3_bind_int64(s->aside, 3, r->offset);
    sqlite3_bind_blob64(s->aside, 4, r->key, r->key_bytes, SQLITE_STATIC);
    sqlite3_bind_blob64(s->aside, 5, r->value, r->value_bytes, SQLITE_STATIC);
    sqlite3_bind_text(s->aside, 6, item->why, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s->aside, 7, now->wall_ns);
    return tm_sql_run(s->aside, err);
}

/* OpportunityChangeEvent -> Opportunity, Foo__ChangeEvent -> Foo__c, as the source names it in its
 * marks. */
static void sink_object(char *out, size_t out_bytes, const char *type)
{
    size_t n = strlen(type), cut = strlen("ChangeEvent");
    bool event = n > cut && strcmp(type + n - cut, "ChangeEvent") == 0;
    snprintf(out, out_bytes, "%.*s%s", (int)(event ? n - cut : n), type,
             event && n > cut + 2 && strncmp(type + n - cut - 2, "__", 2) == 0 ? "c" : "");
}

static void sink_mark(struct tm_sink *s, struct sink_topic *topic, const struct tm_sink_writer *w)
{
    if (s->ports.trace == NULL || w->replay_id < 0 || w->object_type < 0)
        return; /* only raw topics have both */
    const char *replay = tm_value_text(&s->row.cells[w->replay_id].value);
    const char *type = tm_value_text(&s->row.cells[w->object_type].value);
    if (replay == NULL || type == NULL)
        return;
    if (topic->object[0] == '\0')
        sink_object(topic->object, sizeof topic->object, type);
    s->marks[s->marks_count++] = (struct sink_mark){ topic->object, strtoll(replay, NULL, 10) };
}

static enum tm_code sink_row(struct tm_sink *s, struct sink_item *item, const struct tm_now *now,
                             struct tm_err *err)
{
    struct sink_topic *topic = &s->topics[item->table];
    struct tm_sink_writer *w = NULL;
    struct tm_err why;
    tm_err_clear(&why);
    enum tm_code rc = tm_avro_decode(item->schema.schema, &s->row, item->record.value,
                                     item->record.value_bytes, &why);
    if (rc == TM_E_NOMEM)
        return tm_fail(err, rc, "%s", why.msg);
    if (rc != TM_OK) {
        rc = sink_aside(item, &why, err);
        return rc == TM_OK ? sink_keep_aside(s, item, now, err) : rc;
    }
    rc = tm_sink_table_writer(&s->tables[topic->table], &w, s->ports.db, &s->settings.rules,
                              &item->schema, err);
    if (rc == TM_OK)
        rc = tm_sink_writer_add(w, item->record.topic, s->offsets.base + item->record.partition,
                                item->record.offset, now->wall_ns, &s->row, err);
    if (rc == TM_OK)
        sink_mark(s, topic, w);
    return rc;
}

static enum tm_code sink_rows(struct tm_sink *s, const struct tm_now *now,
                              struct tm_sink_counts *counts, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < s->items_count && rc == TM_OK; i++) {
        struct sink_item *item = &s->items[i];
        struct tm_sink_partition *p = &s->offsets.items[item->offset];
        /* written before: a rebalance handed it out again */
        if (item->record.offset < p->next) {
            counts->repeated++;
            continue;
        }
        if (item->why != NULL)
            rc = sink_keep_aside(s, item, now, err);
        else if (item->schema.schema != NULL)
            rc = sink_row(s, item, now, err);
        if (rc != TM_OK)
            break;
        counts->undecodable += item->why != NULL;
        counts->rows += item->why == NULL && item->schema.schema != NULL;
        counts->tombstones += item->why == NULL && item->schema.schema == NULL;
        p->next = item->record.offset + 1;
    }
    return rc;
}

/* Nothing of the transaction stays, and what memory has of the tables may not be what the file has:
 * they are read again before the next. */
static void sink_undo(struct tm_sink *s)
{
    if (!sqlite3_get_autocommit(s->ports.db))
        sqlite3_exec(s->ports.db, "ROLLBACK", NULL, NULL, NULL);
    tm_sink_offsets_undo(&s->offsets);
    s->stale_tables = true;
    s->stale_views = false;
    s->marks_count = 0;
}

static enum tm_code sink_tables(struct tm_sink *s, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t t = 0; s->stale_tables && t < s->tables_count && rc == TM_OK; t++) {
        char name[TM_SINK_NAME_MAX];
        memcpy(name, s->tables[t].name, sizeof name);
        rc = tm_sink_table_open(&s->tables[t], s->ports.db, name, err);
    }
    s->stale_tables &= rc != TM_OK;
    return rc;
}

/* When it is durable, so that each is told once. */
static void sink_tell_aside(const struct sink_item *item)
{
    const struct tm_record *r = &item->record;
    tm_log(TM_LOG_WARN,
           "[UNDECODABLE] %s/%d offset %" PRId64 " (%zu bytes) kept in _undecodable: %s", r->topic,
           (int)r->partition, r->offset, r->value_bytes, item->why);
}

static void sink_committed(struct tm_sink *s)
{
    struct tm_err ignored; /* the rows are safe; the next commit says more */
    tm_err_clear(&ignored);
    tm_sink_offsets_saved(&s->offsets);
    for (size_t i = 0; i < s->marks_count; i++)
        tm_trace_add(s->ports.trace, TM_TRACE_FETCHED, s->marks[i].object, s->marks[i].replay_id,
                     s->fetched_ns);
    /* The group's commits only show progress to producers: one a partition, of its last record. */
    for (size_t i = 0; i < s->items_count; i++) {
        const struct sink_item *item = &s->items[i];
        bool last = true;
        if (item->why != NULL)
            sink_tell_aside(item);
        for (size_t k = i + 1; k < s->items_count && last; k++)
            last = s->items[k].offset != item->offset;
        if (last)
            s->consumers[item->consumer]->ops->commit(
                s->consumers[item->consumer], item->record.topic, item->record.partition,
                s->offsets.items[item->offset].next, &ignored);
    }
}

int64_t tm_sink_idle_ns(void)
{
    return SINK_IDLE_NS;
}

/* One transaction: columns, rows, rows kept aside, offsets, views. */
static enum tm_code sink_write(struct tm_sink *s, const struct tm_now *now, struct tm_wake *wake,
                               struct tm_err *err)
{
    struct tm_sink_counts counts = s->counts;
    sink_wake(wake, now->wall_ns);
    enum tm_code rc = tm_sql_exec(s->ports.db, "BEGIN IMMEDIATE", err);
    if (rc == TM_OK) {
        rc = tm_sink_offsets_compare(&s->offsets, s->ports.db, s->cluster_id, err);
        if (rc == TM_OK)
            rc = sink_tables(s, err);
        if (rc == TM_OK)
            rc = sink_fit(s, err);
        if (rc == TM_OK)
            rc = sink_rows(s, now, &counts, err);
        if (rc == TM_OK)
            rc = tm_sink_offsets_save(&s->offsets, s->ports.db, s->cluster_id, err);
        if (rc == TM_OK && s->stale_views)
            rc = sink_views(s, err);
        if (rc == TM_OK)
            rc = tm_sql_exec(s->ports.db, "COMMIT", err);
        if (rc != TM_OK)
            sink_undo(s);
    }
    if (rc != TM_OK) { /* the batch is kept: busy is tried again */
        wake->wall_ns = now->wall_ns + SINK_BUSY_NS;
        return rc;
    }
    counts.schema_updates += s->stale_views;
    counts.transactions++;
    s->counts = counts;
    s->stale_views = false;
    sink_committed(s);
    sink_items_clear(s);
    s->phase = SINK_FETCH;
    return TM_OK;
}

/* ---- step ---- */

static enum tm_code sink_cluster(struct tm_sink *s, const struct tm_now *now, struct tm_wake *wake,
                                 struct tm_err *err)
{
    enum tm_code rc = s->consumers[0]->ops->cluster_id(s->consumers[0], &s->cluster_id, err);
    sink_wake(wake, now->wall_ns + SINK_IDLE_NS);
    if (rc == TM_OK)
        rc = tm_sink_offsets_check(&s->offsets, s->ports.db, s->cluster_id, err);
    if (rc == TM_OK)
        s->phase = SINK_VIEWS;
    return rc;
}

/* At the start: what is there already, under today's views. */
static enum tm_code sink_first_views(struct tm_sink *s, const struct tm_now *now,
                                     struct tm_wake *wake, struct tm_err *err)
{
    enum tm_code rc = tm_sql_exec(s->ports.db, "BEGIN IMMEDIATE", err);
    if (rc == TM_OK)
        rc = sink_views(s, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(s->ports.db, "COMMIT", err);
    if (rc != TM_OK && !sqlite3_get_autocommit(s->ports.db))
        sqlite3_exec(s->ports.db, "ROLLBACK", NULL, NULL, NULL);
    if (rc == TM_OK)
        s->phase = SINK_FETCH;
    sink_wake(wake, rc == TM_E_AGAIN ? now->wall_ns + SINK_BUSY_NS : now->wall_ns);
    return rc;
}

/* The consumers of one process are given their partitions one by one, and in a rebalance lose them
 * all for a while: what has stood for some time is what the process has. Nothing is no answer. */
static bool sink_assigned_due(struct tm_sink *s, const struct tm_now *now, struct tm_wake *wake)
{
    bool any = false;
    if (s->assigned_moved)
        s->assigned_ns = now->wall_ns + SINK_ASSIGNED_NS;
    s->assigned_moved = false;
    if (s->assigned_ns == 0)
        return false;
    sink_wake(wake, s->assigned_ns);
    if (now->wall_ns < s->assigned_ns)
        return false;
    for (size_t i = 0; i < s->offsets.count; i++)
        any |= s->offsets.items[i].held;
    s->assigned_ns = any ? s->assigned_ns : 0;
    return any;
}

static const char *sink_assigned_name(const void *self, const char *topic)
{
    const struct tm_sink *s = self;
    size_t i = sink_table_of(s, topic);
    return i == SIZE_MAX ? topic : s->tables[s->topics[i].table].name;
}

static enum tm_code sink_assigned(struct tm_sink *s, const struct tm_now *now, struct tm_wake *wake,
                                  struct tm_err *err)
{
    enum tm_code rc = tm_sink_assigned_save(&s->offsets, s->ports.db, sink_assigned_name, s, err);
    if (rc == TM_OK)
        s->assigned_ns = 0;
    sink_wake(wake, rc == TM_E_AGAIN ? now->wall_ns + SINK_BUSY_NS : now->wall_ns);
    return rc;
}

enum tm_code tm_sink_step(struct tm_sink *s, const struct tm_now *now, struct tm_wake *wake,
                          struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    assert(s->consumers_count > 0);
    /* The transaction of the step before ended between then and now: now is the instant that can be
     * vouched for. */
    for (size_t i = 0; s->phase != SINK_WRITE && i < s->marks_count; i++)
        tm_trace_add(s->ports.trace, TM_TRACE_WRITTEN, s->marks[i].object, s->marks[i].replay_id,
                     now->wall_ns);
    if (s->marks_count > 0 && s->phase != SINK_WRITE) {
        tm_trace_flush(s->ports.trace);
        s->marks_count = 0;
    }
    if (s->phase == SINK_CLUSTER)
        return sink_cluster(s, now, wake, err);
    if (s->phase == SINK_VIEWS)
        return sink_first_views(s, now, wake, err);
    if (s->phase == SINK_FETCH && s->settings.shared && sink_assigned_due(s, now, wake))
        return sink_assigned(s, now, wake, err);
    if (s->phase == SINK_FETCH) {
        rc = sink_fetch(s, now, wake, err);
        if (rc != TM_OK)
            return rc;
    }
    if (s->phase == SINK_SCHEMA) {
        rc = sink_schemas(s, now, wake, err);
        if (rc != TM_OK)
            return rc;
    }
    return sink_write(s, now, wake, err);
}
