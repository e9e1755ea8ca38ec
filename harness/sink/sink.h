/* sink: topics to append-only tables of one SQLite warehouse. in: records of subscribed topics,
 * their writers' schemas; out: one row a record, one table a topic, and in the same transaction the
 * offsets reached, compared and set. So a crash or a second process after a rebalance neither loses
 * nor doubles a row. A record that cannot be decoded is kept aside in `_undecodable`, never
 * skipped. Never waits; at most one transaction a step.
 *
 *   CLUSTER ─id agrees with what is stored→ FETCH ─records→ SCHEMA ─all known→ WRITE ─committed→
 * FETCH Invariants: 1 a fetched batch is written whole or not at all, before anything else is
 * fetched; 2 the next offset of a partition moves only in the transaction that wrote the rows below
 * it; 3 groups' commits follow, they lead nothing. Facts: facts/connectors.md section 2; where the
 * original loses rows (equal offsets of two topics, retyped fields) this one does not. */
#ifndef TM_SINK_SINK_H
#define TM_SINK_SINK_H
#include "base/trace.h"
#include "sink/table.h"
#include "topic/topic.h"

#define TM_SINK_TOPICS_MAX 64
#define TM_SINK_TASKS_MAX 16
#define TM_SINK_BATCH_MAX TM_TOPIC_FETCH_MAX
#define TM_SINK_PARTITIONS_MAX 4096

struct tm_sink_settings { /* strings borrowed for the sink's life */
    const char *const *topics;
    size_t topics_count;
    const char *const
        *tables; /* [topics_count]: table of each topic, NULL entry = from its name; may be NULL */
    bool sanitize_topics;
    int broker_life; /* how often the broker lost its topics before (sink/offsets.h) */
    bool shared; /* the group has other processes: `_assigned` says which partitions are this one's
                  */
    struct tm_sink_rules rules;
};
struct tm_sink_ports { /* all borrowed */
    sqlite3 *db;       /* raw.db, writable */
    /* The writer's schema of an id, as tm_registry_schema: TM_E_AGAIN while asked for, TM_E_PROTO
     * when unknown. */
    enum tm_code (*schema)(void *self, const struct tm_now *now, const struct tm_avro_schema **out,
                           int32_t id, struct tm_err *err);
    int64_t (*schema_next_at)(void *self); /* wall ns of a retry; may be NULL */
    void *schema_self;
    /* Appends SQL that makes the views anew; run in the transaction that changed columns, and once
     * at the start. */
    /* may be NULL */
    enum tm_code (*views)(void *self, sqlite3 *db, struct tm_buf *out, struct tm_err *err);
    void *views_self;
    struct tm_trace *trace; /* may be NULL */
};
/* Runs SQL that may make and drop views and nothing else, whoever wrote it. */
enum tm_code tm_sink_views_run(sqlite3 *db, const char *sql, struct tm_err *err);
struct tm_sink_counts {
    uint64_t rows, undecodable, tombstones, repeated, transactions, schema_updates;
};
struct tm_sink;
enum tm_code tm_sink_open(struct tm_sink **out, const struct tm_sink_settings *settings,
                          const struct tm_sink_ports *ports, struct tm_err *err);
/* For the consumers' options: they start where the warehouse says. */
struct tm_topic_owner tm_sink_owner(struct tm_sink *s);
/* tasks.max consumers of one group; borrowed. Before the first step. */
void tm_sink_consume(struct tm_sink *s, struct tm_topic *const *consumers, size_t consumers_count);
/* When nothing has come it looks again so much later, and does nothing else meanwhile. */
int64_t tm_sink_idle_ns(void);
/* After an error nothing of the batch is written and all of it is kept: it may be stepped again. */
enum tm_code tm_sink_step(struct tm_sink *s, const struct tm_now *now, struct tm_wake *wake,
                          struct tm_err *err);
void tm_sink_close(struct tm_sink *s);
const struct tm_sink_counts *tm_sink_counted(const struct tm_sink *s);
#endif
