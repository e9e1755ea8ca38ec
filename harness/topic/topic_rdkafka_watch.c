/* topic_rdkafka_watch: the watcher thread of the librdkafka adapter. It asks what librdkafka
 * answers only by blocking, one question at a time, and wakes the main thread by the adapter's
 * pipe. It touches no record and no consumer state. */
#include "topic/topic_rdkafka_inner.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void rdk_poke(struct rdk *k)
{
    ssize_t wrote = write(k->pipe_fds[1], "!", 1); /* a full pipe is readable already */
    (void)wrote;
}

static void rdk_answer_partitions(struct rdk *k, struct rdk_ask *a)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(k->any, a->topic, NULL);
    rd_kafka_resp_err_t e =
        rkt == NULL ? rd_kafka_last_error() : rd_kafka_metadata(k->any, 0, rkt, &md, RDK_REACH_MS);
    if (e == RD_KAFKA_RESP_ERR_NO_ERROR && md->topic_cnt == 1)
        e = md->topics[0].err;
    if (e == RD_KAFKA_RESP_ERR_NO_ERROR && md->topic_cnt == 1 && md->topics[0].partition_cnt > 0)
        a->count = md->topics[0].partition_cnt;
    else if (e == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || e == RD_KAFKA_RESP_ERR_NO_ERROR)
        (void)tm_fail(&a->err, TM_E_ARG, "topic %s does not exist at %s; create it first", a->topic,
                      k->brokers);
    else
        (void)tm_fail_retry(&a->err, TM_E_IO, "topic %s at %s: %s", a->topic, k->brokers,
                            rd_kafka_err2str(e));
    if (md != NULL)
        rd_kafka_metadata_destroy(md);
    if (rkt != NULL)
        rd_kafka_topic_destroy(rkt);
}

static void rdk_answer_watermarks(struct rdk *k, struct rdk_ask *a)
{
    rd_kafka_resp_err_t e = tm_rdk_marks(k->any, a->topic, a->partition, false, &a->low, &a->high);
    if (e == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || e == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        (void)tm_fail(&a->err, TM_E_ARG, "topic %s has no partition %" PRId32 " at %s", a->topic,
                      a->partition, k->brokers);
    else if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
        (void)tm_fail_retry(&a->err, TM_E_IO,
                            "watermarks of topic %s partition %" PRId32 " at %s: %s", a->topic,
                            a->partition, k->brokers, rd_kafka_err2str(e));
}

static void rdk_probe(struct rdk *k, bool was_reached)
{
    const struct rd_kafka_metadata *md = NULL;
    int limit_ms = was_reached && !k->embedded ? RDK_REACH_AGAIN_MS : k->reach_ms;
    int64_t until_ns = tm_clock_monotonic_ns() + limit_ms * TM_NS_PER_MS;
    rd_kafka_resp_err_t e;
    do { /* in slices, so that close need not wait */
        e = rd_kafka_metadata(k->any, 0, NULL, &md, 500);
        if (e != RD_KAFKA_RESP_ERR_NO_ERROR && e != RD_KAFKA_RESP_ERR__TIMED_OUT)
            usleep(100 * 1000);
    } while (e != RD_KAFKA_RESP_ERR_NO_ERROR && tm_clock_monotonic_ns() < until_ns && !k->stop);
    pthread_mutex_lock(&k->lock);
    if (e == RD_KAFKA_RESP_ERR_NO_ERROR) {
        k->was_reached = true;
    } else if (!k->stop) {
        (void)tm_fail_retry(&k->unreachable, TM_E_IO,
                            "no Kafka broker answers at %s (tried for %d ms: %s); is it running, "
                            "and is --brokers right?",
                            k->brokers, limit_ms, rd_kafka_err2str(e));
        k->unreachable_set = true;
    }
    pthread_mutex_unlock(&k->lock);
    if (md != NULL)
        rd_kafka_metadata_destroy(md);
}

/* Lowest committed offsets of one reading group into lows[]; false when the broker gave
 * no answer. */
static bool rdk_group_lows(struct rdk *k, rd_kafka_queue_t *queue, const char *group,
                           struct rdk_part *const *parts, size_t parts_count, int64_t *lows,
                           size_t *slowest, size_t group_index)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)parts_count);
    for (size_t i = 0; i < parts_count; i++)
        rd_kafka_topic_partition_list_add(list, parts[i]->topic, parts[i]->partition);
    rd_kafka_ListConsumerGroupOffsets_t *ask = rd_kafka_ListConsumerGroupOffsets_new(group, list);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(k->any, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    bool ok = false;
    char why[128];
    rd_kafka_AdminOptions_set_request_timeout(options, 2000, why, sizeof why);
    rd_kafka_ListConsumerGroupOffsets(k->any, &ask, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 3000);
    const rd_kafka_ListConsumerGroupOffsets_result_t *result =
        event != NULL ? rd_kafka_event_ListConsumerGroupOffsets_result(event) : NULL;
    size_t groups_count = 0;
    const rd_kafka_group_result_t **groups =
        result != NULL ? rd_kafka_ListConsumerGroupOffsets_result_groups(result, &groups_count)
                       : NULL;
    if (groups_count == 1 && rd_kafka_group_result_error(groups[0]) == NULL) {
        const rd_kafka_topic_partition_list_t *found = rd_kafka_group_result_partitions(groups[0]);
        for (size_t i = 0; found != NULL && i < parts_count; i++) {
            const rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_find(
                (rd_kafka_topic_partition_list_t *)found, parts[i]->topic, parts[i]->partition);
            int64_t next = tp != NULL && tp->err == RD_KAFKA_RESP_ERR_NO_ERROR && tp->offset >= 0
                               ? tp->offset
                               : -1;
            if (next < lows[i]) {
                lows[i] = next;
                slowest[i] = group_index;
            }
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
    size_t *slowest = calloc(parts_count + 1, sizeof *slowest);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(k->any);
    bool ok = lows != NULL && slowest != NULL;
    for (size_t i = 0; ok && i < parts_count; i++)
        lows[i] = INT64_MAX;
    for (size_t g = 0; ok && g < k->readers_count; g++)
        ok = rdk_group_lows(k, queue, k->readers[g], parts, parts_count, lows, slowest, g);
    for (size_t i = 0; ok && i < parts_count; i++) {
        parts[i]->slowest = slowest[i];
        parts[i]->committed = lows[i];
    }
    rd_kafka_queue_destroy(queue);
    free(lows);
    free(slowest);
}

void *tm_rdk_watcher(void *self)
{
    struct rdk *k = self;
    pthread_mutex_lock(&k->lock);
    while (!k->stop) {
        struct rdk_ask *ask = NULL;
        for (size_t i = 0; i < RDK_ASKS_MAX && ask == NULL; i++)
            if (k->asks[i].state == RDK_ASKED)
                ask = &k->asks[i];
        bool probe = k->probe_wanted, lag = k->lag_wanted;
        size_t parts_count =
            k->parts_count; /* parts are only ever added, and stay where they are */
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
        if (!probe && ask == NULL) { /* committed offsets: no more often than every 10 ms */
            pthread_mutex_unlock(&k->lock);
            usleep(10 * 1000);
            pthread_mutex_lock(&k->lock);
        }
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

/* An answered question is handed out once; `keep` leaves it for the next caller. */
enum tm_code tm_rdk_ask(struct rdk *k, enum rdk_kind kind, const char *topic, int32_t partition,
                        bool keep, struct rdk_ask *out, struct tm_err *err)
{
    enum tm_code rc = TM_E_AGAIN;
    struct rdk_ask *spare = NULL;
    if (strlen(topic) >= RDK_NAME_MAX)
        return tm_fail(err, TM_E_ARG, "topic name %.40s… is longer than %d", topic,
                       RDK_NAME_MAX - 1);
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

void tm_rdk_want(struct rdk *k, atomic_bool *flag)
{
    pthread_mutex_lock(&k->lock);
    *flag = true;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
}
