/* topic_rdkafka_inner: what the files of the librdkafka adapter share. Not for anybody else.
 *   topic_rdkafka.c        the port: produce, fetch, commit, and their callbacks (main thread)
 *   topic_rdkafka_watch.c  the watcher thread: what librdkafka answers only by blocking
 *   topic_rdkafka_open.c   handles, opening, closing
 *   topic_rdkafka_topics.c what a cluster is; topics made, checked, deleted
 *   topic_rdkafka_properties.c  a file of the user's properties, checked */
#ifndef TM_TOPIC_TOPIC_RDKAFKA_INNER_H
#define TM_TOPIC_TOPIC_RDKAFKA_INNER_H
#include "topic/backlog.h"
#include "topic/topic.h"
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

#define RDK_PARTS_MAX 1024 /* partitions one adapter reads or writes */
#define RDK_ASKS_MAX 256   /* questions to the watcher, answers kept */
#define RDK_NAME_MAX 250
#define RDK_UNREAD_BYTES_MAX (2u << 20) /* embedded broker: it evicts at 5 MB */
#define RDK_UNREAD_RECORDS_MAX 40000    /* embedded broker: it evicts at 100,000 */
#define RDK_REACH_MS 15000              /* how long a broker may be out of reach: default */
#define RDK_REACH_AGAIN_MS 60000        /* … once it was there: a real one may restart */
#define RDK_REPLY_MS 10000              /* one broker answer inside a rebalance */
#define RDK_MARKS_US 100000             /* between two questions about offsets */
#define RDK_PAUSE_TOLD_NS (10 * TM_NS_PER_S)
/* Embedded broker: a join takes 3 to 15 s. One that stood still for a second meanwhile can lose a
 * join for good: it drops the member without an answer, and the member waits half an hour
 * (librdkafka 2.0.2). */
#define RDK_JOIN_MS 20000
#define RDK_COMMIT_NS (5 * TM_NS_PER_MS)         /* offset commits are gathered for so long */
#define RDK_COMMIT_AGAIN_NS (100 * TM_NS_PER_MS) /* … when some were refused */

enum rdk_kind { RDK_PARTITIONS, RDK_WATERMARKS };
enum rdk_state { RDK_FREE, RDK_ASKED, RDK_ANSWERED };
struct rdk_ask {
    enum rdk_kind kind;
    enum rdk_state state;
    char topic[RDK_NAME_MAX];
    int32_t partition;
    int64_t low, high;
    int32_t count;
    struct tm_err err;
};
struct rdk_part { /* a partition read or written */
    char topic[RDK_NAME_MAX];
    int32_t partition;
    bool owned, dirty; /* reader: assigned to us; a commit waits to be sent */
    int64_t position, commit_next;
    struct tm_backlog backlog; /* writer */
    int64_t paused_ns;         /* since when its readers are too far behind; 0 = they are not */
    _Atomic int64_t committed; /* lowest of the reading groups, by the watcher; -1 = none */
    _Atomic size_t slowest;    /* index of that group in readers */
};
struct rdk {
    struct tm_topic topic; /* first: the port */
    rd_kafka_t *consumer, *producer;
    rd_kafka_t *any; /* the handle the watcher uses; borrowed */
    rd_kafka_queue_t *consumer_queue, *producer_queue;
    int pipe_fds[2];
    char *brokers, *client_id, *group, *instance;
    char **properties;
    size_t properties_count;
    char **readers;
    size_t readers_count;
    char **wanted; /* topics of the subscription */
    size_t wanted_count;
    struct tm_topic_owner owner;
    bool embedded, together, closing, full; /* full: the last fetch may have left records behind */
    struct rdk_part **parts;
    size_t parts_count, part_last; /* appended by the main thread under `lock` */
    rd_kafka_message_t *held[TM_TOPIC_FETCH_MAX];
    size_t held_count;
    struct tm_err failed; /* first delivery failure not yet told */
    struct tm_err broken; /* what fetch or a callback cannot go past */
    char cluster_id[128];
    uint32_t round_robin;
    unsigned commits_flying;
    int64_t commit_sent_ns, commit_wait_ns; /* the next are sent so long after the last */
    bool dirty;
    bool joined;        /* the group gave us our partitions, maybe none */
    bool was_joined;    /* … ever */
    int64_t joining_ns; /* else: since when we wait for that */
    /* shared with the watcher */
    pthread_t watcher;
    bool watcher_runs;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct rdk_ask asks[RDK_ASKS_MAX];
    atomic_bool stop;                     /* set under lock, peeked at without it */
    atomic_bool probe_wanted, lag_wanted; /* likewise */
    bool was_reached;
    int reach_ms, join_ms;     /* constant after open */
    struct tm_err unreachable; /* under lock */
    atomic_bool unreachable_set;
};

/* topic_rdkafka.c */
extern const struct tm_topic_ops tm_rdk_ops;
struct rdk_part *tm_rdk_part(struct rdk *k, const char *topic,
                             int32_t partition); /* made when new; NULL = too many */
void tm_rdk_send_commits(struct rdk *k);
/* First and next offset, waited for, by any thread. A partition whose leader is not known yet (just
 * made, or its broker just started) is asked about again, for RDK_REPLY_MS; so is, where it is
 * known to exist, one that the broker does not know yet. */
rd_kafka_resp_err_t tm_rdk_marks(rd_kafka_t *rk, const char *topic, int32_t partition, bool exists,
                                 int64_t *low, int64_t *high);
void tm_rdk_release(struct rdk *k); /* the records of the last fetch */
void tm_rdk_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque);
void tm_rdk_on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque);
void tm_rdk_on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t e,
                      rd_kafka_topic_partition_list_t *offsets, void *opaque);
void tm_rdk_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *opaque);
/* topic_rdkafka_watch.c */
void *tm_rdk_watcher(void *self); /* thread main; ends when k->stop is set and k->wake signalled */
/* An answered question is handed out once; `keep` leaves it for the next caller. TM_E_AGAIN until
 * answered. */
enum tm_code tm_rdk_ask(struct rdk *k, enum rdk_kind kind, const char *topic, int32_t partition,
                        bool keep, struct rdk_ask *out, struct tm_err *err);
void tm_rdk_want(struct rdk *k, atomic_bool *flag); /* sets k->probe_wanted or k->lag_wanted */
/* topic_rdkafka_open.c */
void tm_rdk_on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text);
/* Name, value, name, value, …; the user's "name=value" properties come last and win. */
enum tm_code tm_rdk_set_all(rd_kafka_conf_t *conf, const char *const *pairs, size_t pairs_count,
                            char *const *properties, size_t properties_count, struct tm_err *err);
bool tm_rdk_own(const char *name); /* a property of ours, not of librdkafka */
enum tm_code tm_rdk_own_ms(const char *name, const char *value, int *out, struct tm_err *err);
enum tm_code tm_rdk_producer(struct rdk *k, struct tm_err *err);
void tm_rdk_close(struct tm_topic *t);
/* A join that got no answer for join_ms is given up, and a new consumer joins. */
enum tm_code tm_rdk_join_again(struct rdk *k, struct tm_err *err);
#endif
