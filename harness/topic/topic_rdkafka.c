/* topic_rdkafka: the topic port over librdkafka 2.x, for the embedded broker and real ones. One consumer handle (when a
 * group is given), one idempotent producer handle (made when first needed), and one watcher thread for the questions
 * librdkafka only answers by blocking: partition counts, watermarks, committed offsets of the reading groups, and whether a
 * broker is there at all. The watcher never touches records. Traps of the embedded broker: facts/running-real-parts.md. */
#include "topic/topic.h"
#include "base/log.h"
#include "topic/backlog.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RDK_PARTS_MAX 1024                    /* partitions one adapter reads or writes      */
#define RDK_ASKS_MAX 256                      /* questions to the watcher, answers kept       */
#define RDK_NAME_MAX 250
#define RDK_UNREAD_BYTES_MAX (2u << 20)       /* embedded broker: it evicts at 5 MB           */
#define RDK_UNREAD_RECORDS_MAX 40000          /* embedded broker: it evicts at 100,000        */
#define RDK_REACH_MS 15000                    /* how long a broker may be out of reach        */
#define RDK_REACH_AGAIN_MS 60000              /* … once it was there: a real one may restart   */
#define RDK_REPLY_MS 10000                    /* one broker answer inside a rebalance         */
#define RDK_COMMIT_NS (5 * TM_NS_PER_MS)      /* offset commits are gathered for so long      */

enum rdk_kind { RDK_PARTITIONS, RDK_WATERMARKS };
enum rdk_state { RDK_FREE, RDK_ASKED, RDK_ANSWERED };
struct rdk_ask {
    enum rdk_kind kind; enum rdk_state state;
    char topic[RDK_NAME_MAX]; int32_t partition;
    int64_t low, high; int32_t count;
    struct tm_err err;
};
struct rdk_part {                             /* a partition read or written */
    char topic[RDK_NAME_MAX]; int32_t partition;
    bool owned, dirty;                        /* reader: assigned to us; a commit waits to be sent */
    int64_t position, commit_next;
    struct tm_backlog backlog;                /* writer */
    _Atomic int64_t committed;                /* lowest of the reading groups, by the watcher; -1 = none */
};
struct rdk {
    struct tm_topic topic;                    /* first: the port */
    rd_kafka_t *consumer, *producer;
    rd_kafka_t *any;                          /* the handle the watcher uses; borrowed */
    rd_kafka_queue_t *consumer_queue, *producer_queue;
    int pipe_fds[2];
    char *brokers, *client_id, *group;
    char **properties; size_t properties_count;
    char **readers; size_t readers_count;
    struct tm_topic_owner owner;
    bool embedded, closing, full;             /* full: the last fetch may have left records behind */
    struct rdk_part **parts; size_t parts_count, part_last;   /* appended by the main thread under `lock` */
    rd_kafka_message_t *held[TM_TOPIC_FETCH_MAX]; size_t held_count;
    struct tm_err failed;                     /* first delivery failure not yet told      */
    struct tm_err broken;                     /* what fetch or a callback cannot go past   */
    char cluster_id[128];
    uint32_t round_robin;
    unsigned commits_flying; int64_t commit_sent_ns;
    bool dirty;
    /* shared with the watcher */
    pthread_t watcher; bool watcher_runs;
    pthread_mutex_t lock; pthread_cond_t wake;
    struct rdk_ask asks[RDK_ASKS_MAX];
    atomic_bool stop;                         /* set under lock, peeked at without it */
    atomic_bool probe_wanted, lag_wanted;     /* likewise */
    bool was_reached;
    struct tm_err unreachable;                /* under lock */
    atomic_bool unreachable_set;
};

/* ---- small parts ---- */

static void rdk_poke(struct rdk *k)
{
    ssize_t wrote = write(k->pipe_fds[1], "!", 1);     /* a full pipe is readable already */
    (void)wrote;
}

static struct rdk_part *rdk_part(struct rdk *k, const char *topic, int32_t partition)
{
    for (size_t n = 0; n < k->parts_count; n++) {
        size_t i = (k->part_last + n) % k->parts_count;
        if (k->parts[i]->partition == partition && strcmp(k->parts[i]->topic, topic) == 0) {
            k->part_last = i;
            return k->parts[i];
        }
    }
    if (k->parts_count == RDK_PARTS_MAX || strlen(topic) >= RDK_NAME_MAX)
        return NULL;
    struct rdk_part *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    strcpy(p->topic, topic);
    p->partition = partition;
    p->committed = -1;
    tm_backlog_init(&p->backlog);
    pthread_mutex_lock(&k->lock);
    k->part_last = k->parts_count;
    k->parts[k->parts_count++] = p;
    pthread_mutex_unlock(&k->lock);
    return p;
}

/* ---- the watcher thread ---- */

static void rdk_answer_partitions(struct rdk *k, struct rdk_ask *a)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(k->any, a->topic, NULL);
    rd_kafka_resp_err_t e = rkt == NULL ? rd_kafka_last_error() : rd_kafka_metadata(k->any, 0, rkt, &md, RDK_REACH_MS);
    if (e == RD_KAFKA_RESP_ERR_NO_ERROR && md->topic_cnt == 1)
        e = md->topics[0].err;
    if (e == RD_KAFKA_RESP_ERR_NO_ERROR && md->topic_cnt == 1 && md->topics[0].partition_cnt > 0)
        a->count = md->topics[0].partition_cnt;
    else if (e == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || e == RD_KAFKA_RESP_ERR_NO_ERROR)
        (void)tm_fail(&a->err, TM_E_ARG, "topic %s does not exist at %s; create it first", a->topic, k->brokers);
    else
        (void)tm_fail_retry(&a->err, TM_E_IO, "topic %s at %s: %s", a->topic, k->brokers, rd_kafka_err2str(e));
    if (md != NULL)
        rd_kafka_metadata_destroy(md);
    if (rkt != NULL)
        rd_kafka_topic_destroy(rkt);
}

static void rdk_answer_watermarks(struct rdk *k, struct rdk_ask *a)
{
    rd_kafka_resp_err_t e =
        rd_kafka_query_watermark_offsets(k->any, a->topic, a->partition, &a->low, &a->high, RDK_REPLY_MS);
    if (e == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || e == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        (void)tm_fail(&a->err, TM_E_ARG, "topic %s has no partition %" PRId32 " at %s", a->topic, a->partition, k->brokers);
    else if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
        (void)tm_fail_retry(&a->err, TM_E_IO, "watermarks of topic %s partition %" PRId32 " at %s: %s", a->topic,
                            a->partition, k->brokers, rd_kafka_err2str(e));
}

static void rdk_probe(struct rdk *k, bool was_reached)
{
    const struct rd_kafka_metadata *md = NULL;
    int limit_ms = was_reached && !k->embedded ? RDK_REACH_AGAIN_MS : RDK_REACH_MS;
    rd_kafka_resp_err_t e = RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (int waited = 0; waited < limit_ms && !k->stop; waited += 1000) {   /* in slices, so that close need not wait */
        e = rd_kafka_metadata(k->any, 0, NULL, &md, 1000);
        if (e == RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        if (e != RD_KAFKA_RESP_ERR__TIMED_OUT)
            usleep(1000 * 1000);
    }
    pthread_mutex_lock(&k->lock);
    if (e == RD_KAFKA_RESP_ERR_NO_ERROR) {
        k->was_reached = true;
    } else if (!k->stop) {
        (void)tm_fail_retry(&k->unreachable, TM_E_IO,
                            "no Kafka broker answers at %s (tried for %d s: %s); is it running, and is --brokers right?",
                            k->brokers, limit_ms / 1000, rd_kafka_err2str(e));
        k->unreachable_set = true;
    }
    pthread_mutex_unlock(&k->lock);
    if (md != NULL)
        rd_kafka_metadata_destroy(md);
}

/* Lowest committed offsets of one reading group into lows[]; false when the broker gave no answer. */
static bool rdk_group_lows(struct rdk *k, rd_kafka_queue_t *queue, const char *group, struct rdk_part *const *parts,
                           size_t parts_count, int64_t *lows)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)parts_count);
    for (size_t i = 0; i < parts_count; i++)
        rd_kafka_topic_partition_list_add(list, parts[i]->topic, parts[i]->partition);
    rd_kafka_ListConsumerGroupOffsets_t *ask = rd_kafka_ListConsumerGroupOffsets_new(group, list);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(k->any, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    bool ok = false;
    char why[128];
    rd_kafka_AdminOptions_set_request_timeout(options, 2000, why, sizeof why);
    rd_kafka_ListConsumerGroupOffsets(k->any, &ask, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 3000);
    const rd_kafka_ListConsumerGroupOffsets_result_t *result =
        event != NULL ? rd_kafka_event_ListConsumerGroupOffsets_result(event) : NULL;
    size_t groups_count = 0;
    const rd_kafka_group_result_t **groups =
        result != NULL ? rd_kafka_ListConsumerGroupOffsets_result_groups(result, &groups_count) : NULL;
    if (groups_count == 1 && rd_kafka_group_result_error(groups[0]) == NULL) {
        const rd_kafka_topic_partition_list_t *found = rd_kafka_group_result_partitions(groups[0]);
        for (size_t i = 0; found != NULL && i < parts_count; i++) {
            const rd_kafka_topic_partition_t *tp =
                rd_kafka_topic_partition_list_find((rd_kafka_topic_partition_list_t *)found, parts[i]->topic,
                                                   parts[i]->partition);
            int64_t next = tp != NULL && tp->err == RD_KAFKA_RESP_ERR_NO_ERROR && tp->offset >= 0 ? tp->offset : -1;
            if (next < lows[i])
                lows[i] = next;
        }
        ok = found != NULL;
    }
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(ask);
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

static void rdk_watch_lag(struct rdk *k, struct rdk_part *const *parts, size_t parts_count)
{
    int64_t *lows = malloc((parts_count + 1) * sizeof *lows);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(k->any);
    bool ok = lows != NULL;
    for (size_t i = 0; ok && i < parts_count; i++)
        lows[i] = INT64_MAX;
    for (size_t g = 0; ok && g < k->readers_count; g++)
        ok = rdk_group_lows(k, queue, k->readers[g], parts, parts_count, lows);
    for (size_t i = 0; ok && i < parts_count; i++)
        parts[i]->committed = lows[i];
    rd_kafka_queue_destroy(queue);
    free(lows);
}

static void *rdk_watcher(void *self)
{
    struct rdk *k = self;
    pthread_mutex_lock(&k->lock);
    while (!k->stop) {
        struct rdk_ask *ask = NULL;
        for (size_t i = 0; i < RDK_ASKS_MAX && ask == NULL; i++)
            if (k->asks[i].state == RDK_ASKED)
                ask = &k->asks[i];
        bool probe = k->probe_wanted, lag = k->lag_wanted;
        size_t parts_count = k->parts_count;       /* parts are only ever added, and stay where they are */
        if (ask == NULL && !probe && !lag) {
            pthread_cond_wait(&k->wake, &k->lock);
            continue;
        }
        k->probe_wanted = false;
        k->lag_wanted = k->lag_wanted && (probe || ask != NULL);
        bool reached = k->was_reached;
        pthread_mutex_unlock(&k->lock);
        if (probe)
            rdk_probe(k, reached);
        else if (ask != NULL && ask->kind == RDK_PARTITIONS)
            rdk_answer_partitions(k, ask);
        else if (ask != NULL)
            rdk_answer_watermarks(k, ask);
        else
            rdk_watch_lag(k, k->parts, parts_count);
        pthread_mutex_lock(&k->lock);
        if (!probe && ask != NULL)
            ask->state = RDK_ANSWERED;
        rdk_poke(k);
        if (!probe && ask == NULL) {               /* committed offsets: no more often than every 10 ms */
            pthread_mutex_unlock(&k->lock);
            usleep(10 * 1000);
            pthread_mutex_lock(&k->lock);
        }
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

/* An answered question is handed out once; `keep` leaves it for the next caller. */
static enum tm_code rdk_ask(struct rdk *k, enum rdk_kind kind, const char *topic, int32_t partition, bool keep,
                            struct rdk_ask *out, struct tm_err *err)
{
    enum tm_code rc = TM_E_AGAIN;
    struct rdk_ask *spare = NULL;
    if (strlen(topic) >= RDK_NAME_MAX)
        return tm_fail(err, TM_E_ARG, "topic name %.40s… is longer than %d", topic, RDK_NAME_MAX - 1);
    pthread_mutex_lock(&k->lock);
    for (size_t i = 0; i < RDK_ASKS_MAX; i++) {
        struct rdk_ask *a = &k->asks[i];
        if (a->state == RDK_FREE) {
            spare = spare != NULL ? spare : a;
        } else if (a->kind == kind && a->partition == partition && strcmp(a->topic, topic) == 0) {
            if (a->state == RDK_ANSWERED) {
                *out = *a;
                rc = TM_OK;
                if (!keep || a->err.code != TM_OK)
                    a->state = RDK_FREE;
            }
            pthread_mutex_unlock(&k->lock);
            goto done;
        }
    }
    if (spare != NULL) {
        *spare = (struct rdk_ask){ .kind = kind, .state = RDK_ASKED, .partition = partition };
        strcpy(spare->topic, topic);
        pthread_cond_signal(&k->wake);
    }
    pthread_mutex_unlock(&k->lock);
    if (spare == NULL)
        return tm_fail(err, TM_E_LIMIT, "kafka: %d questions about topics are open", RDK_ASKS_MAX);
done:
    if (rc == TM_OK && out->err.code != TM_OK) {
        if (err != NULL && err->code == TM_OK)
            *err = out->err;
        return out->err.code;
    }
    return rc;
}

static void rdk_want(struct rdk *k, atomic_bool *flag)
{
    pthread_mutex_lock(&k->lock);
    *flag = true;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
}

/* ---- callbacks, all on the main thread (served by poll) except the log ---- */

static void rdk_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct rdk *k = opaque;
    const char *topic = rd_kafka_topic_name(m->rkt);
    struct rdk_part *p = m->partition >= 0 ? rdk_part(k, topic, m->partition) : NULL;
    uint64_t bytes = m->len + m->key_len;
    (void)rk;
    if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (p != NULL)
            tm_backlog_delivered(&p->backlog, m->offset, bytes);
        return;
    }
    k->topic.counts.delivery_failed++;
    if (p != NULL)
        tm_backlog_failed(&p->backlog, bytes);
    (void)tm_fail_retry(&k->failed, TM_E_IO, "topic %s partition %" PRId32 " at %s: a record was not delivered: %s", topic,
                        m->partition, k->brokers, rd_kafka_err2str(m->err));
}

static void rdk_on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct rdk *k = opaque;
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        char why[200];
        rd_kafka_resp_err_t e = rd_kafka_fatal_error(rk, why, sizeof why);
        (void)tm_fail(&k->broken, TM_E_IO, "kafka client at %s: %s: %s", k->brokers, rd_kafka_err2name(e), why);
    } else if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        if (!k->closing)
            rdk_want(k, &k->probe_wanted);
    } else if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED) {
        (void)tm_fail(&k->broken, TM_E_ARG, "kafka at %s: sign-in failed: %s", k->brokers, reason);
    }
}

static void rdk_on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    if (strcmp(facility, "CONFWARN") == 0 || strcmp(facility, "FAIL") == 0 || strcmp(facility, "ERROR") == 0)
        return;                       /* told by error callback and probe in words of ours */
    tm_log(level <= 3 ? TM_LOG_WARN : TM_LOG_DEBUG, "librdkafka: %s: %s", facility, text);
}

static void rdk_on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t e, rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
    struct rdk *k = opaque;
    (void)rk;
    if (k->commits_flying > 0)
        k->commits_flying--;
    bool gone = e == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION || e == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
                e == RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST || e == RD_KAFKA_RESP_ERR__NO_OFFSET || k->closing;
    for (int i = 0; !gone && offsets != NULL && i < offsets->cnt; i++) {
        const rd_kafka_topic_partition_t *tp = &offsets->elems[i];
        if (e == RD_KAFKA_RESP_ERR_NO_ERROR && tp->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        struct rdk_part *p = rdk_part(k, tp->topic, tp->partition);
        if (p != NULL && p->owned)    /* ours still: send it again with the next ones */
            p->dirty = k->dirty = true;
    }
}

static void rdk_send_commits(struct rdk *k)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    for (size_t i = 0; k->dirty && i < k->parts_count; i++) {
        struct rdk_part *p = k->parts[i];
        if (!p->dirty || !p->owned)
            continue;
        if (list == NULL)
            list = rd_kafka_topic_partition_list_new((int)k->parts_count);
        rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset = p->commit_next;
        p->dirty = false;
    }
    k->dirty = false;
    if (list == NULL)
        return;
    if (rd_kafka_commit(k->consumer, list, 1) == RD_KAFKA_RESP_ERR_NO_ERROR)
        k->commits_flying++;
    k->commit_sent_ns = tm_clock_monotonic_ns();
    rd_kafka_topic_partition_list_destroy(list);
}

/* Where a partition just given begins, as a plain offset that the log still holds. */
static enum tm_code rdk_begin(struct rdk *k, rd_kafka_topic_partition_t *tp, int64_t committed, struct tm_err *err)
{
    int64_t start = TM_OFFSET_COMMITTED, low = 0, high = 0;
    if (k->owner.start != NULL)
        start = k->owner.start(k->owner.self, tp->topic, tp->partition);
    if (start == TM_OFFSET_COMMITTED)
        start = committed >= 0 ? committed : TM_OFFSET_BEGINNING;
    rd_kafka_resp_err_t e =
        rd_kafka_query_watermark_offsets(k->consumer, tp->topic, tp->partition, &low, &high, RDK_REPLY_MS);
    if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
        return tm_fail_retry(err, TM_E_IO, "watermarks of topic %s partition %" PRId32 " at %s: %s", tp->topic,
                             tp->partition, k->brokers, rd_kafka_err2str(e));
    start = start == TM_OFFSET_END ? high : start == TM_OFFSET_BEGINNING ? 0 : start;
    if (start < low || start > high)
        return tm_fail(err, TM_E_GAP, "topic %s partition %" PRId32 ": reading should go on at offset %" PRId64
                       ", but the log holds %" PRId64 " to %" PRId64 ": %s", tp->topic, tp->partition, start, low, high,
                       start < low ? "records were evicted before they were read" : "the stored offset is of another log");
    struct rdk_part *p = rdk_part(k, tp->topic, tp->partition);
    if (p == NULL)
        return tm_fail(err, TM_E_LIMIT, "kafka: more than %d partitions", RDK_PARTS_MAX);
    p->owned = true;
    p->dirty = false;
    p->position = tp->offset = start;
    return TM_OK;
}

static void rdk_on_assign(struct rdk *k, rd_kafka_topic_partition_list_t *list, bool cooperative)
{
    rd_kafka_topic_partition_list_t *committed = rd_kafka_topic_partition_list_copy(list);
    rd_kafka_resp_err_t e = list->cnt > 0 ? rd_kafka_committed(k->consumer, committed, RDK_REPLY_MS) : 0;
    if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
        (void)tm_fail_retry(&k->broken, TM_E_IO, "committed offsets of group %s at %s: %s", k->group, k->brokers,
                            rd_kafka_err2str(e));
    for (int i = 0; k->broken.code == TM_OK && i < list->cnt; i++)
        (void)rdk_begin(k, &list->elems[i], committed->elems[i].offset, &k->broken);
    rd_kafka_topic_partition_list_destroy(committed);
    if (k->broken.code != TM_OK) {                 /* fetch tells it; nothing is read past it */
        if (!cooperative)
            rd_kafka_assign(k->consumer, NULL);
        return;
    }
    if (cooperative)
        rd_kafka_error_destroy(rd_kafka_incremental_assign(k->consumer, list));
    else
        rd_kafka_assign(k->consumer, list);
}

static void rdk_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                             void *opaque)
{
    struct rdk *k = opaque;
    const char *protocol = rd_kafka_rebalance_protocol(rk);
    bool cooperative = protocol != NULL && strcmp(protocol, "COOPERATIVE") == 0;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        rdk_on_assign(k, list, cooperative);
        return;
    }
    rdk_send_commits(k);
    for (int i = 0; i < list->cnt; i++) {
        struct rdk_part *p = rdk_part(k, list->elems[i].topic, list->elems[i].partition);
        if (p == NULL || !p->owned)
            continue;
        p->owned = p->dirty = false;
        if (!k->closing && k->owner.revoked != NULL)
            k->owner.revoked(k->owner.self, p->topic, p->partition);
    }
    if (cooperative)
        rd_kafka_error_destroy(rd_kafka_incremental_unassign(rk, list));
    else
        rd_kafka_assign(rk, NULL);
}

/* ---- the port ---- */

static enum tm_code rdk_health(struct rdk *k, struct tm_err *err)
{
    const struct tm_err *cause = NULL;
    if (k->unreachable_set)
        cause = &k->unreachable;      /* written once, before the flag */
    else if (k->broken.code != TM_OK)
        cause = &k->broken;
    if (cause == NULL)
        return TM_OK;
    if (err != NULL && err->code == TM_OK)
        *err = *cause;
    return cause->code;
}

static enum tm_code rdk_serve(struct rdk *k, struct tm_err *err)
{
    char drained[64];
    while (read(k->pipe_fds[0], drained, sizeof drained) > 0)
        ;
    if (k->producer != NULL)
        rd_kafka_poll(k->producer, 0);
    if (k->dirty && k->commits_flying == 0 && tm_clock_monotonic_ns() - k->commit_sent_ns >= RDK_COMMIT_NS)
        rdk_send_commits(k);
    return rdk_health(k, err);
}

static enum tm_code rdk_producer(struct rdk *k, struct tm_err *err);

/* Embedded broker: is there room for more in the partition before its readers catch up? */
static bool rdk_has_room(struct rdk *k, struct rdk_part *p)
{
    if (!k->embedded || k->readers_count == 0)
        return true;
    int64_t committed = p->committed;
    uint64_t unread_bytes = tm_backlog_unread_bytes(&p->backlog, committed);
    int64_t unread_records = tm_backlog_unread_records(&p->backlog, committed);
    if ((unread_bytes > RDK_UNREAD_BYTES_MAX / 4 || unread_records > RDK_UNREAD_RECORDS_MAX / 4) && !k->lag_wanted)
        rdk_want(k, &k->lag_wanted);
    return unread_bytes <= RDK_UNREAD_BYTES_MAX && unread_records <= RDK_UNREAD_RECORDS_MAX;
}

static enum tm_code rdk_produce(struct tm_topic *t, const char *topic, int32_t partition, const void *key,
                                size_t key_bytes, const void *value, size_t value_bytes, struct tm_err *err)
{
    struct rdk *k = (struct rdk *)t;
    struct rdk_ask known;
    enum tm_code rc = k->producer != NULL ? TM_OK : rdk_producer(k, err);
    if (rc == TM_OK)
        rc = rdk_health(k, err);
    if (rc == TM_OK)
        rc = rdk_ask(k, RDK_PARTITIONS, topic, -1, true, &known, err);
    if (rc != TM_OK)
        return rc;
    if (partition < 0)
        partition = key != NULL ? tm_topic_partition(key, key_bytes, known.count)
                                : (int32_t)(k->round_robin++ % (uint32_t)known.count);
    if (partition >= known.count)
        return tm_fail(err, TM_E_ARG, "topic %s has %" PRId32 " partitions, not partition %" PRId32, topic, known.count,
                       partition);
    struct rdk_part *p = rdk_part(k, topic, partition);
    if (p == NULL)
        return tm_fail(err, TM_E_LIMIT, "kafka: more than %d partitions", RDK_PARTS_MAX);
    if (!rdk_has_room(k, p))
        return TM_E_AGAIN;
    rd_kafka_resp_err_t e = rd_kafka_producev(
        k->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY((void *)(uintptr_t)key, key_bytes), RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value_bytes),
        RD_KAFKA_V_END);
    if (e == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return TM_E_AGAIN;
    if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
        return tm_fail(err, TM_E_IO, "topic %s: record of %zu bytes refused: %s", topic, value_bytes, rd_kafka_err2str(e));
    tm_backlog_enqueued(&p->backlog, key_bytes + value_bytes);
    t->counts.produced++;
    t->counts.produced_bytes += key_bytes + value_bytes;
    return TM_OK;
}

static enum tm_code rdk_flush(struct tm_topic *t, struct tm_err *err)
{
    struct rdk *k = (struct rdk *)t;
    enum tm_code rc = rdk_serve(k, err);
    if (rc != TM_OK)
        return rc;
    if (k->failed.code != TM_OK) {
        if (err != NULL && err->code == TM_OK)
            *err = k->failed;
        rc = k->failed.code;
        tm_err_clear(&k->failed);
        return rc;
    }
    return k->producer == NULL || rd_kafka_outq_len(k->producer) == 0 ? TM_OK : TM_E_AGAIN;
}

/* An error in place of a record: what ends the reading, and what is only news. */
static enum tm_code rdk_fetch_error(struct rdk *k, const rd_kafka_message_t *m, struct tm_err *err)
{
    const char *topic = m->rkt != NULL ? rd_kafka_topic_name(m->rkt) : "?";
    switch ((int)m->err) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return tm_fail(err, TM_E_GAP, "topic %s partition %" PRId32 ": the log at %s no longer holds the position to read: %s",
                       topic, m->partition, k->brokers, rd_kafka_message_errstr(m));
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        return tm_fail(err, TM_E_ARG, "topic %s does not exist at %s; create it first", topic, k->brokers);
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        return tm_fail(err, TM_E_ARG, "group %s, topic %s at %s: %s", k->group, topic, k->brokers, rd_kafka_err2str(m->err));
    default:
        tm_log(TM_LOG_WARN, "group %s, topic %s: %s", k->group, topic, rd_kafka_message_errstr(m));
        return TM_OK;
    }
}

static void rdk_release(struct rdk *k)
{
    for (size_t i = 0; i < k->held_count; i++)
        rd_kafka_message_destroy(k->held[i]);
    k->held_count = 0;
}

static enum tm_code rdk_take(struct rdk *k, rd_kafka_message_t *m, struct tm_record *out, struct tm_err *err)
{
    const char *topic = rd_kafka_topic_name(m->rkt);
    struct rdk_part *p = rdk_part(k, topic, m->partition);
    rd_kafka_timestamp_type_t kind;
    if (p == NULL)
        return tm_fail(err, TM_E_LIMIT, "kafka: more than %d partitions", RDK_PARTS_MAX);
    /* Dense on the embedded broker: no compaction, no transactions. Elsewhere offsets may have honest holes. */
    if (k->embedded && p->owned && m->offset != p->position)
        return tm_fail(err, TM_E_GAP, "topic %s partition %" PRId32 ": offset %" PRId64 " came where %" PRId64
                       " was due; records were evicted before they were read", topic, m->partition, m->offset, p->position);
    p->position = m->offset + 1;
    *out = (struct tm_record){ .topic = topic, .partition = m->partition, .offset = m->offset, .key = m->key,
                               .key_bytes = m->key_len, .value = m->payload, .value_bytes = m->len,
                               .timestamp_ms = rd_kafka_message_timestamp(m, &kind) };
    k->topic.counts.fetched++;
    k->topic.counts.fetched_bytes += m->key_len + m->len;
    return TM_OK;
}

static enum tm_code rdk_fetch(struct tm_topic *t, struct tm_record *out, size_t out_cap, size_t *out_count,
                              struct tm_err *err)
{
    struct rdk *k = (struct rdk *)t;
    *out_count = 0;
    assert(k->consumer != NULL);
    rdk_release(k);
    enum tm_code rc = rdk_serve(k, err);
    if (out_cap > TM_TOPIC_FETCH_MAX)
        out_cap = TM_TOPIC_FETCH_MAX;
    k->full = true;
    while (rc == TM_OK && *out_count < out_cap) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(k->consumer, 0);
        if (m == NULL) {
            k->full = false;
            break;
        }
        k->held[k->held_count++] = m;
        if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            rc = rdk_take(k, m, &out[*out_count], err);
            *out_count += rc == TM_OK;
        } else {
            rc = rdk_fetch_error(k, m, err);
            rd_kafka_message_destroy(k->held[--k->held_count]);
        }
    }
    if (rc == TM_OK)
        rc = rdk_health(k, err);
    if (rc != TM_OK)
        return rc;
    return *out_count > 0 ? TM_OK : TM_E_AGAIN;
}

static enum tm_code rdk_seek(struct tm_topic *t, const char *topic, int32_t partition, int64_t offset, struct tm_err *err)
{
    struct rdk *k = (struct rdk *)t;
    struct rdk_part *p = rdk_part(k, topic, partition);
    int64_t low = 0, high = 0;
    if (p == NULL || !p->owned)
        return tm_fail(err, TM_E_ARG, "seek: topic %s partition %" PRId32 " is not ours", topic, partition);
    rd_kafka_resp_err_t e = rd_kafka_query_watermark_offsets(k->consumer, topic, partition, &low, &high, RDK_REPLY_MS);
    if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
        return tm_fail_retry(err, TM_E_IO, "seek: topic %s partition %" PRId32 ": %s", topic, partition, rd_kafka_err2str(e));
    offset = offset == TM_OFFSET_BEGINNING ? 0 : offset == TM_OFFSET_END ? high : offset;
    if (offset < low || offset > high)
        return tm_fail(err, TM_E_GAP, "seek: topic %s partition %" PRId32 " holds offsets %" PRId64 " to %" PRId64 ", not %"
                       PRId64, topic, partition, low, high, offset);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    rd_kafka_error_t *bad = rd_kafka_seek_partitions(k->consumer, list, RDK_REPLY_MS);
    enum tm_code rc = TM_OK;
    if (bad != NULL || list->elems[0].err != RD_KAFKA_RESP_ERR_NO_ERROR)
        rc = tm_fail_retry(err, TM_E_IO, "seek: topic %s partition %" PRId32 ": %s", topic, partition,
                           bad != NULL ? rd_kafka_error_string(bad) : rd_kafka_err2str(list->elems[0].err));
    else
        p->position = offset;
    rd_kafka_error_destroy(bad);
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

static enum tm_code rdk_commit(struct tm_topic *t, const char *topic, int32_t partition, int64_t offset_next,
                               struct tm_err *err)
{
    struct rdk *k = (struct rdk *)t;
    if (k->consumer == NULL)
        return tm_fail(err, TM_E_ARG, "commit: no group was given");
    struct rdk_part *p = rdk_part(k, topic, partition);
    if (p == NULL)
        return tm_fail(err, TM_E_LIMIT, "kafka: more than %d partitions", RDK_PARTS_MAX);
    if (!p->owned)                    /* went away meanwhile: its next owner reads on from what is committed */
        return TM_OK;
    p->commit_next = offset_next;
    p->dirty = k->dirty = true;
    return TM_OK;
}

static enum tm_code rdk_watermarks(struct tm_topic *t, const char *topic, int32_t partition, int64_t *out_low,
                                   int64_t *out_high, struct tm_err *err)
{
    struct rdk *k = (struct rdk *)t;
    struct rdk_ask known;
    enum tm_code rc = rdk_health(k, err);
    if (rc == TM_OK)
        rc = rdk_ask(k, RDK_WATERMARKS, topic, partition, false, &known, err);
    if (rc == TM_OK) {
        *out_low = known.low;
        *out_high = known.high;
    }
    return rc;
}

static enum tm_code rdk_partitions(struct tm_topic *t, const char *topic, int32_t *out_count, struct tm_err *err)
{
    struct rdk *k = (struct rdk *)t;
    struct rdk_ask known;
    enum tm_code rc = rdk_health(k, err);
    if (rc == TM_OK)
        rc = rdk_ask(k, RDK_PARTITIONS, topic, -1, true, &known, err);
    if (rc == TM_OK)
        *out_count = known.count;
    return rc;
}

static enum tm_code rdk_cluster_id(struct tm_topic *t, const char **out, struct tm_err *err)
{
    struct rdk *k = (struct rdk *)t;
    enum tm_code rc = rdk_health(k, err);
    if (rc != TM_OK)
        return rc;
    if (k->cluster_id[0] == '\0') {
        char *id = rd_kafka_clusterid(k->any, 0);
        if (id == NULL)
            return TM_E_AGAIN;
        snprintf(k->cluster_id, sizeof k->cluster_id, "%s", id);
        rd_kafka_mem_free(k->any, id);
    }
    *out = k->cluster_id;
    return TM_OK;
}

static int64_t rdk_next_at(struct tm_topic *t)
{
    struct rdk *k = (struct rdk *)t;
    if (k->full || k->unreachable_set || k->broken.code != TM_OK || k->failed.code != TM_OK)
        return 0;
    if (k->dirty && k->commits_flying == 0)
        return k->commit_sent_ns + RDK_COMMIT_NS;
    return tm_clock_monotonic_ns() + TM_NS_PER_S;      /* librdkafka wants to be polled now and then */
}

static int rdk_event_fd(struct tm_topic *t) { return ((struct rdk *)t)->pipe_fds[0]; }

/* ---- opening and closing ---- */

static enum tm_code rdk_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct tm_err *err)
{
    char why[200];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        return tm_fail(err, TM_E_ARG, "kafka property %s: %s", name, why);
    return TM_OK;
}

/* The user's "name=value" properties come last and win. */
static enum tm_code rdk_set_all(rd_kafka_conf_t *conf, const char *const *pairs, size_t pairs_count,
                                char *const *properties, size_t properties_count, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < pairs_count; i += 2)
        rc = rdk_set(conf, pairs[i], pairs[i + 1], err);
    for (size_t i = 0; rc == TM_OK && i < properties_count; i++) {
        const char *equals = strchr(properties[i], '=');
        char name[128];
        if (equals == NULL || equals == properties[i] || (size_t)(equals - properties[i]) >= sizeof name)
            return tm_fail(err, TM_E_ARG, "kafka property \"%.60s\" is not name=value", properties[i]);
        memcpy(name, properties[i], (size_t)(equals - properties[i]));
        name[equals - properties[i]] = '\0';
        rc = rdk_set(conf, name, equals + 1, err);
    }
    return rc;
}

static enum tm_code rdk_handle(struct rdk *k, rd_kafka_t **out, rd_kafka_type_t type, rd_kafka_conf_t *conf,
                               struct tm_err *err)
{
    const char *common[] = { "bootstrap.servers", k->brokers, "client.id", k->client_id, "log.connection.close", "false",
                             "socket.nagle.disable", "true", "reconnect.backoff.max.ms", "1000" };
    enum tm_code rc = rdk_set_all(conf, common, sizeof common / sizeof common[0], k->properties, k->properties_count, err);
    char why[200];
    rd_kafka_conf_set_opaque(conf, k);
    rd_kafka_conf_set_error_cb(conf, rdk_on_error);
    rd_kafka_conf_set_log_cb(conf, rdk_on_log);
    if (rc == TM_OK && (*out = rd_kafka_new(type, conf, why, sizeof why)) == NULL)
        rc = tm_fail(err, TM_E_ARG, "kafka client: %s", why);
    if (rc != TM_OK)
        rd_kafka_conf_destroy(conf);                  /* rd_kafka_new takes it only when it succeeds */
    return rc;
}

static enum tm_code rdk_producer(struct rdk *k, struct tm_err *err)
{
    static const char *const pairs[] = {
        "enable.idempotence", "true", "acks", "all", "linger.ms", "1", "message.timeout.ms", "60000",
        "partitioner", "murmur2_random", "queue.buffering.max.kbytes", "65536", "message.max.bytes", "4000000" };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, rdk_on_delivery);
    enum tm_code rc = rdk_set_all(conf, pairs, sizeof pairs / sizeof pairs[0], NULL, 0, err);
    if (rc != TM_OK) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    rc = rdk_handle(k, &k->producer, RD_KAFKA_PRODUCER, conf, err);
    if (rc != TM_OK)
        return rc;
    k->producer_queue = rd_kafka_queue_get_main(k->producer);
    rd_kafka_queue_io_event_enable(k->producer_queue, k->pipe_fds[1], "p", 1);
    return TM_OK;
}

static enum tm_code rdk_consumer(struct rdk *k, const struct tm_kafka_options *options, struct tm_err *err)
{
    const char *pairs[] = { "group.id", options->group, "enable.auto.commit", "false", "enable.auto.offset.store", "false",
                            "auto.offset.reset", "error", "max.poll.interval.ms", "1800000",
                            "queued.max.messages.kbytes", "32768",
                            "fetch.wait.max.ms", k->embedded ? "5" : "50", "fetch.error.backoff.ms", "50",
                            "session.timeout.ms", k->embedded ? "6000" : "15000",
                            "heartbeat.interval.ms", k->embedded ? "300" : "1000",
                            "partition.assignment.strategy", k->embedded ? "range,roundrobin" : "cooperative-sticky" };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_rebalance_cb(conf, rdk_on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, rdk_on_commit);
    enum tm_code rc = rdk_set_all(conf, pairs, sizeof pairs / sizeof pairs[0], NULL, 0, err);
    if (rc != TM_OK) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    rc = rdk_handle(k, &k->consumer, RD_KAFKA_CONSUMER, conf, err);
    if (rc != TM_OK)
        return rc;
    rd_kafka_poll_set_consumer(k->consumer);
    k->consumer_queue = rd_kafka_queue_get_consumer(k->consumer);
    rd_kafka_queue_io_event_enable(k->consumer_queue, k->pipe_fds[1], "c", 1);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)options->topics_count);
    for (size_t i = 0; i < options->topics_count; i++)
        rd_kafka_topic_partition_list_add(list, options->topics[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t e = rd_kafka_subscribe(k->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
        return tm_fail(err, TM_E_ARG, "group %s cannot subscribe: %s", options->group, rd_kafka_err2str(e));
    return TM_OK;
}

static void rdk_close(struct tm_topic *t)
{
    struct rdk *k = (struct rdk *)t;
    if (k == NULL)
        return;
    k->closing = true;
    rdk_release(k);
    if (k->watcher_runs) {
        pthread_mutex_lock(&k->lock);
        k->stop = true;
        pthread_cond_signal(&k->wake);
        pthread_mutex_unlock(&k->lock);
        pthread_join(k->watcher, NULL);
    }
    if (k->consumer != NULL) {
        if (!k->unreachable_set)
            rdk_send_commits(k);
        rd_kafka_queue_io_event_enable(k->consumer_queue, -1, NULL, 0);
        rd_kafka_queue_destroy(k->consumer_queue);
        rd_kafka_consumer_close(k->consumer);      /* waits for the commits under way */
        rd_kafka_destroy(k->consumer);
    }
    if (k->producer != NULL) {
        rd_kafka_queue_io_event_enable(k->producer_queue, -1, NULL, 0);
        rd_kafka_queue_destroy(k->producer_queue);
        rd_kafka_flush(k->producer, k->unreachable_set ? 0 : 1000);
        rd_kafka_purge(k->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(k->producer);
    }
    for (size_t i = 0; i < k->parts_count; i++)
        free(k->parts[i]);
    for (size_t i = 0; i < k->properties_count; i++)
        free(k->properties[i]);
    for (size_t i = 0; i < k->readers_count; i++)
        free(k->readers[i]);
    if (k->pipe_fds[0] >= 0) {
        close(k->pipe_fds[0]);
        close(k->pipe_fds[1]);
    }
    pthread_mutex_destroy(&k->lock);
    pthread_cond_destroy(&k->wake);
    free(k->parts);
    free(k->properties);
    free(k->readers);
    free(k->brokers);
    free(k->client_id);
    free(k->group);
    free(k);
}

static bool rdk_copy_list(char ***out, size_t *out_count, const char *const *items, size_t items_count)
{
    *out = calloc(items_count + 1, sizeof **out);
    for (size_t i = 0; *out != NULL && i < items_count; i++)
        if (((*out)[i] = strdup(items[i])) != NULL)
            (*out_count)++;
    return *out != NULL && *out_count == items_count;
}

static enum tm_code rdk_start(struct rdk *k, const struct tm_kafka_options *options, struct tm_err *err)
{
    enum tm_code rc;
    if (pipe2(k->pipe_fds, O_NONBLOCK | O_CLOEXEC) != 0) {
        k->pipe_fds[0] = -1;
        return tm_fail(err, TM_E_IO, "kafka client: pipe: %s", strerror(errno));
    }
    rc = options->group != NULL ? rdk_consumer(k, options, err) : rdk_producer(k, err);
    if (rc != TM_OK)
        return rc;
    k->any = k->consumer != NULL ? k->consumer : k->producer;
    k->probe_wanted = true;
    if (pthread_create(&k->watcher, NULL, rdk_watcher, k) != 0)
        return tm_fail(err, TM_E_IO, "kafka client: cannot start a thread");
    k->watcher_runs = true;
    return TM_OK;
}

enum tm_code tm_topic_kafka_open(struct tm_topic **out, const struct tm_kafka_options *options, struct tm_err *err)
{
    static const struct tm_topic_ops ops = { rdk_produce, rdk_flush, rdk_fetch, rdk_seek, rdk_commit, rdk_watermarks,
                                             rdk_partitions, rdk_cluster_id, rdk_next_at, rdk_event_fd, rdk_close };
    if (options->brokers == NULL || *options->brokers == '\0')
        return tm_fail(err, TM_E_ARG, "no Kafka broker given: say --brokers HOST:PORT or set TIDEMARK_BROKERS");
    struct rdk *k = calloc(1, sizeof *k);
    if (k == NULL)
        return tm_fail(err, TM_E_NOMEM, "kafka client: %zu bytes", sizeof *k);
    k->topic.ops = &ops;
    k->pipe_fds[0] = k->pipe_fds[1] = -1;
    k->owner = options->owner;
    k->embedded = options->embedded;
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->wake, NULL);
    k->brokers = strdup(options->brokers);
    k->client_id = strdup(options->client_id != NULL ? options->client_id : "tidemark");
    k->group = options->group != NULL ? strdup(options->group) : NULL;
    k->parts = calloc(RDK_PARTS_MAX, sizeof *k->parts);   /* never moves: the watcher reads it */
    bool ok = k->brokers != NULL && k->client_id != NULL && k->parts != NULL &&
              (options->group == NULL || k->group != NULL) &&
              rdk_copy_list(&k->properties, &k->properties_count, options->properties, options->properties_count) &&
              rdk_copy_list(&k->readers, &k->readers_count, options->reading_groups, options->reading_groups_count);
    enum tm_code rc = ok ? rdk_start(k, options, err) : tm_fail(err, TM_E_NOMEM, "kafka client");
    if (rc != TM_OK) {
        rdk_close(&k->topic);
        return rc;
    }
    *out = &k->topic;
    return TM_OK;
}

static enum tm_code rdk_create(rd_kafka_t *rk, const char *brokers, const char *topic, int32_t partitions,
                               int16_t replication, int timeout_ms, struct tm_err *err)
{
    char why[200];
    enum tm_code rc = TM_OK;
    rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, partitions, replication, why, sizeof why);
    if (wanted == NULL)
        return tm_fail(err, TM_E_ARG, "topic %s: %s", topic, why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, why, sizeof why);
    rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, why, sizeof why);
    rd_kafka_CreateTopics(rk, &wanted, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
    const rd_kafka_CreateTopics_result_t *result = event != NULL ? rd_kafka_event_CreateTopics_result(event) : NULL;
    size_t count = 0;
    const rd_kafka_topic_result_t **topics = result != NULL ? rd_kafka_CreateTopics_result_topics(result, &count) : NULL;
    rd_kafka_resp_err_t e = event == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(event);
    if (e == RD_KAFKA_RESP_ERR_NO_ERROR && count == 1)
        e = rd_kafka_topic_result_error(topics[0]);
    if (e != RD_KAFKA_RESP_ERR_NO_ERROR && e != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        rc = tm_fail_retry(err, TM_E_IO, "cannot create topic %s at %s: %s", topic, brokers, rd_kafka_err2str(e));
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(wanted);
    return rc;
}

enum tm_code tm_topic_kafka_create(const char *brokers, const char *topic, int32_t partitions, int16_t replication,
                                   const char *const *properties, size_t properties_count, int timeout_ms,
                                   struct tm_err *err)
{
    const char *pairs[] = { "bootstrap.servers", brokers, "client.id", "tidemark-create", "log.connection.close", "false" };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_t *rk = NULL;
    char why[200];
    enum tm_code rc = rdk_set_all(conf, pairs, 6, (char *const *)(uintptr_t)properties, properties_count, err);
    rd_kafka_conf_set_log_cb(conf, rdk_on_log);
    if (rc == TM_OK && (rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why)) == NULL)
        rc = tm_fail(err, TM_E_ARG, "kafka client: %s", why);
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    /* All topics, not this one: asking for it by name could make the broker create it with a count of its own. */
    rd_kafka_resp_err_t e = rd_kafka_metadata(rk, 1, NULL, &md, timeout_ms);
    if (e != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rc = tm_fail_retry(err, TM_E_IO, "no Kafka broker answers at %s (tried for %d ms: %s); is it running?", brokers,
                           timeout_ms, rd_kafka_err2str(e));
    } else {
        bool there = false;
        for (int i = 0; i < md->topic_cnt; i++)
            there = there || strcmp(md->topics[i].topic, topic) == 0;
        rd_kafka_metadata_destroy(md);
        if (!there)
            rc = rdk_create(rk, brokers, topic, partitions, replication, timeout_ms, err);
    }
    rd_kafka_destroy(rk);
    return rc;
}
