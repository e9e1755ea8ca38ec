/* topic: the append-only log port. in: records for named topics; out: records of assigned
 * partitions, in offset order. Adapters: topic_rdkafka.c (embedded and real brokers) and mocks/…
 * topic_mem (simulation); one contract suite, both. Nothing here waits. The sender learns of loss:
 * flush reports the first failed delivery, fetch reports TM_E_GAP when the log no longer holds the
 * position asked for. Embedded broker: mocks/kafka/embedded.h. */
#ifndef TM_TOPIC_TOPIC_H
#define TM_TOPIC_TOPIC_H
#include "base/clock.h"

#define TM_TOPIC_FETCH_MAX 2000 /* records one fetch hands out at most */
struct tm_record {
    const char *topic;
    int32_t partition;
    int64_t offset;
    const void *key;
    size_t key_bytes; /* key NULL = none; value NULL = tombstone */
    const void *value;
    size_t value_bytes;
    int64_t timestamp_ms; /* broker or producer time, epoch ms */
};                        /* borrowed until the next fetch or close */

/* Where a consumer begins in a partition it was just given. */
/* the group's committed offset; beginning when none */
#define TM_OFFSET_COMMITTED (-1000)
/* must be the true beginning: TM_E_GAP when already evicted */
#define TM_OFFSET_BEGINNING (-2)
#define TM_OFFSET_END (-1)
struct tm_topic_owner { /* how the station answers a rebalance; called inside fetch */
    /* Next offset to read, >= 0, or one of TM_OFFSET_*. NULL function = TM_OFFSET_COMMITTED. What
     * is beyond the group's committed offset is done, and committed for it: producers may wait for
     * a commit that was lost with a process or a rebalance. */
    int64_t (*start)(void *self, const char *topic, int32_t partition);
    /* Partitions go away: finish nothing, forget what is not durable. May be NULL. */
    void (*revoked)(void *self, const char *topic, int32_t partition);
    void *self;
};
struct tm_topic_counts {
    uint64_t produced, produced_bytes, fetched, fetched_bytes, delivery_failed;
};
struct tm_topic;
struct tm_topic_ops {
    /* Enqueues one record. TM_E_LIMIT, here or from flush: too large, never to be taken. partition
     * -1 = by key (tm_topic_partition), else that one. TM_E_AGAIN: queue full or a reader lags too
     * far; flush, then try again. */
    enum tm_code (*produce)(struct tm_topic *t, const char *topic, int32_t partition,
                            const void *key, size_t key_bytes, const void *value,
                            size_t value_bytes, struct tm_err *err);
    /* TM_OK: all that was produced is acknowledged. TM_E_AGAIN: some still in flight. Else first
     * delivery failure. */
    enum tm_code (*flush)(struct tm_topic *t, struct tm_err *err);
    /* Up to out_cap records that are there now; TM_E_AGAIN when none. Also where rebalances are
     * answered. */
    enum tm_code (*fetch)(struct tm_topic *t, struct tm_record *out, size_t out_cap,
                          size_t *out_count, struct tm_err *err);
    enum tm_code (*seek)(struct tm_topic *t, const char *topic, int32_t partition, int64_t offset,
                         struct tm_err *err);
    /* Marks offset_next as the next to read for the group; TM_OK when handed
     * over (asynchronous). */
    enum tm_code (*commit)(struct tm_topic *t, const char *topic, int32_t partition,
                           int64_t offset_next, struct tm_err *err);
    /* First and next offset the log holds. TM_E_AGAIN until known. */
    enum tm_code (*watermarks)(struct tm_topic *t, const char *topic, int32_t partition,
                               int64_t *out_low, int64_t *out_high, struct tm_err *err);
    enum tm_code (*partitions)(struct tm_topic *t, const char *topic, int32_t *out_count,
                               struct tm_err *err);
    /* "cluster id", kept with stored offsets: a mismatch is an error, never a jump. TM_E_AGAIN
     * until known. */
    enum tm_code (*cluster_id)(struct tm_topic *t, const char **out, struct tm_err *err);
    /* wall ns by which the adapter wants to be called again */
    int64_t (*next_at)(struct tm_topic *t);
    /* readable when fetch or flush has news; -1 = none */
    int (*event_fd)(struct tm_topic *t);
    void (*close)(struct tm_topic *t);
};
struct tm_topic {
    const struct tm_topic_ops *ops;
    struct tm_topic_counts counts;
};

struct tm_kafka_options {
    const char *brokers; /* host:port,… */
    const char *client_id;
    const char *group; /* NULL = no consumer */
    /* The member's own name in the group: back within the session's time-out (15 s), under the same
     * name, it gets the same partitions at once, and the others are not disturbed. NULL = none;
     * nothing on the embedded broker. */
    const char *instance;
    const char *const *topics;
    size_t topics_count; /* subscribed, when group is set */
    /* Partition n of every subscribed topic goes to the same member (range): for who keeps what
     * several topics say of one key. Else cooperative, each partition on its own. */
    bool together;
    struct tm_topic_owner owner;
    const char *const *reading_groups;
    size_t reading_groups_count; /* producer: who reads what I write, so that it
               can pause before the embedded broker evicts (2 MB a partition) */
    const char *const *properties;
    size_t properties_count; /* "name=value" of librdkafka (topic/properties.h); two
                   are ours: tidemark.reach.ms [15000], when no broker answers, and, with the
                   embedded one, tidemark.join.ms [20000], when it does not answer a join */
    bool embedded;           /* the embedded broker's traps apply (eager assignor, eviction) */
};
enum tm_code tm_topic_kafka_open(struct tm_topic **out, const struct tm_kafka_options *options,
                                 struct tm_err *err);
/* Equal in all adapters and to Kafka's default partitioner (murmur2): which partition a key goes
 * to. */
int32_t tm_topic_partition(const void *key, size_t key_bytes, int32_t partitions);
/* A topic's name from a template: the first "${object}" becomes the object's lower-case name.
 * Caller frees; NULL = no memory. */
char *tm_topic_name(const char *template, const char *object);

/* ---- clusters and topics, for commands at start-up: these wait ---- */

struct tm_kafka_cluster {
    char id[128];
    int brokers;
};
struct tm_kafka_access {
    const char *brokers;
    const char *const *properties; /* as in tm_kafka_options */
    size_t properties_count;
    int timeout_ms; /* of each question */
};
/* Until a broker answers what it is asked, at most timeout_ms. */
enum tm_code tm_topic_kafka_cluster(struct tm_kafka_cluster *out,
                                    const struct tm_kafka_access *access, struct tm_err *err);

/* The client library's version. */
const char *tm_topic_kafka_client(void);

#define TM_TOPICS_MAX 512
struct tm_topics_plan {
    const char *const *topics; /* names; NULL and "" stand for none */
    size_t topics_count;
    const char *compacted; /* the one of which the last record per key is enough; NULL = none */
    int32_t partitions;    /* of those that are made */
    int16_t replication;   /* likewise; -1 = as the brokers are set */
    bool partitions_must;  /* an existing topic with another number is an error */
    bool fresh;            /* an existing topic that has held records is an error … */
    bool reset;            /* … or, with this too, is deleted and made anew */
};
/* Makes what is missing, and waits until every broker asked knows it. What is there is used as it
 * is, and looked at: a compacted topic would lose changes. TM_E_ARG names the topic and what to do:
 * missing rights, a replication beyond the brokers there are, a number of partitions. */
enum tm_code tm_topic_kafka_ensure(const struct tm_kafka_access *access,
                                   const struct tm_topics_plan *plan, struct tm_err *err);
#endif
