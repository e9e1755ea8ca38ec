/* topic_rdkafka: the topic port over librdkafka 2.x, for the embedded broker and real ones. One
 * consumer handle (when a group is given), one idempotent producer handle (made when first needed),
 * and one watcher thread for the questions librdkafka only answers by blocking: partition counts,
 * watermarks, committed offsets of the reading groups, and whether a broker is there at all. The
 * watcher never touches records. Traps of the embedded broker: facts/running-real-parts.md. */
#include "topic/topic_rdkafka_inner.h"
#include "base/log.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rdk_part *tm_rdk_part(struct rdk *k, const char *topic, int32_t partition)
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

/* ---- callbacks, all on the main thread (served by poll) except the log ---- */

/* Sending it again cannot help. */
static bool rdk_too_large(rd_kafka_resp_err_t e)
{
    return e == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           e == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
}

void tm_rdk_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct rdk *k = opaque;
    const char *topic = rd_kafka_topic_name(m->rkt);
    struct rdk_part *p = m->partition >= 0 ? tm_rdk_part(k, topic, m->partition) : NULL;
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
    if (rdk_too_large(m->err))
        (void)tm_fail(&k->failed, TM_E_LIMIT,
                      "topic %s partition %" PRId32 " at %s: a record of %" PRIu64
                      " bytes was refused: %s",
                      topic, m->partition, k->brokers, bytes, rd_kafka_err2str(m->err));
    else
        (void)tm_fail_retry(&k->failed, TM_E_IO,
                            "topic %s partition %" PRId32 " at %s: a record was not delivered: %s",
                            topic, m->partition, k->brokers, rd_kafka_err2str(m->err));
}

void tm_rdk_on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct rdk *k = opaque;
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        char why[200];
        rd_kafka_resp_err_t e = rd_kafka_fatal_error(rk, why, sizeof why);
        if (e == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
            (void)tm_fail(&k->broken, TM_E_ARG,
                          "group %s at %s: another process has joined as \"%s\"; every member "
                          "needs an --instance of its own",
                          k->group, k->brokers, k->instance);
        (void)tm_fail(&k->broken, TM_E_IO, "kafka client at %s: %s: %s", k->brokers,
                      rd_kafka_err2name(e), why);
    } else if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        if (!k->closing)
            tm_rdk_want(k, &k->probe_wanted);
    } else if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
               code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED) {
        (void)tm_fail(&k->broken, TM_E_ARG, "kafka at %s: sign-in failed: %s", k->brokers, reason);
    }
}

/* Whatever the broker says (a rebalance, an old generation, a member it does not know): what is
 * ours is committed again, until the rebalance that takes it away has been answered. */
static void rdk_commit_refused(struct rdk *k, const rd_kafka_topic_partition_t *tp,
                               rd_kafka_resp_err_t why)
{
    struct rdk_part *p = tm_rdk_part(k, tp->topic, tp->partition);
    if (p != NULL && p->owned && p->commit_next >= tp->offset) {
        p->dirty = k->dirty = true;
        k->commit_wait_ns = RDK_COMMIT_AGAIN_NS;
        return;
    }
    tm_log(TM_LOG_WARN,
           "group %s: offset %" PRId64 " of topic %s partition %" PRId32
           " could not be committed any more (%s): its next owner reads again what was done",
           k->group, tp->offset, tp->topic, tp->partition, rd_kafka_err2str(why));
}

void tm_rdk_on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t e,
                      rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
    struct rdk *k = opaque;
    (void)rk;
    if (k->commits_flying > 0)
        k->commits_flying--;
    if (e == RD_KAFKA_RESP_ERR__NO_OFFSET || k->closing)
        return;
    k->commit_wait_ns = RDK_COMMIT_NS;
    for (int i = 0; offsets != NULL && i < offsets->cnt; i++) {
        const rd_kafka_topic_partition_t *tp = &offsets->elems[i];
        rd_kafka_resp_err_t why = e != RD_KAFKA_RESP_ERR_NO_ERROR ? e : tp->err;
        if (why != RD_KAFKA_RESP_ERR_NO_ERROR)
            rdk_commit_refused(k, tp, why);
    }
}

void tm_rdk_send_commits(struct rdk *k)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    rd_kafka_resp_err_t e;
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
    if ((e = rd_kafka_commit(k->consumer, list, 1)) == RD_KAFKA_RESP_ERR_NO_ERROR)
        k->commits_flying++;
    for (int i = 0; e != RD_KAFKA_RESP_ERR_NO_ERROR && !k->closing && i < list->cnt; i++)
        rdk_commit_refused(k, &list->elems[i], e);
    k->commit_sent_ns = tm_clock_monotonic_ns();
    rd_kafka_topic_partition_list_destroy(list);
}

rd_kafka_resp_err_t tm_rdk_marks(rd_kafka_t *rk, const char *topic, int32_t partition, bool exists,
                                 int64_t *low, int64_t *high)
{
    int64_t until_ns = tm_clock_monotonic_ns() + RDK_REPLY_MS * TM_NS_PER_MS;
    for (;;) {
        rd_kafka_resp_err_t e =
            rd_kafka_query_watermark_offsets(rk, topic, partition, low, high, RDK_REPLY_MS);
        bool settles = e == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
                       e == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
                       e == RD_KAFKA_RESP_ERR__TRANSPORT ||
                       (exists && (e == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                                   e == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION));
        if (!settles || tm_clock_monotonic_ns() >= until_ns)
            return e;
        usleep(RDK_MARKS_US);
    }
}

/* Where a partition just given begins, as a plain offset that the log still holds. */
static enum tm_code rdk_begin(struct rdk *k, rd_kafka_topic_partition_t *tp, int64_t committed,
                              struct tm_err *err)
{
    int64_t start = TM_OFFSET_COMMITTED, low = 0, high = 0;
    if (k->owner.start != NULL)
        start = k->owner.start(k->owner.self, tp->topic, tp->partition);
    bool done = start > 0 && start > committed; /* and the group was not told, or it was lost */
    if (start == TM_OFFSET_COMMITTED)
        start = committed >= 0 ? committed : TM_OFFSET_BEGINNING;
    rd_kafka_resp_err_t e = tm_rdk_marks(k->consumer, tp->topic, tp->partition, true, &low, &high);
    if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
        return tm_fail_retry(err, TM_E_IO, "watermarks of topic %s partition %" PRId32 " at %s: %s",
                             tp->topic, tp->partition, k->brokers, rd_kafka_err2str(e));
    start = start == TM_OFFSET_END ? high : start == TM_OFFSET_BEGINNING ? 0 : start;
    if (start < low || start > high)
        return tm_fail(err, TM_E_GAP,
                       "topic %s partition %" PRId32 ": reading should go on at offset %" PRId64
                       ", but the log holds %" PRId64 " to %" PRId64 ": %s",
                       tp->topic, tp->partition, start, low, high,
                       start < low ? "records were evicted before they were read"
                                   : "the stored offset is of another log");
    struct rdk_part *p = tm_rdk_part(k, tp->topic, tp->partition);
    if (p == NULL)
        return tm_fail(err, TM_E_LIMIT, "kafka: more than %d partitions", RDK_PARTS_MAX);
    p->owned = true;
    /* what an earlier assignment left unsent must never be sent in this one */
    p->commit_next = done ? start : -1;
    p->dirty = done;
    k->dirty |= done;
    p->position = tp->offset = start;
    return TM_OK;
}

static void rdk_on_assign(struct rdk *k, rd_kafka_topic_partition_list_t *list, bool cooperative)
{
    rd_kafka_topic_partition_list_t *committed = rd_kafka_topic_partition_list_copy(list);
    rd_kafka_resp_err_t e =
        list->cnt > 0 ? rd_kafka_committed(k->consumer, committed, RDK_REPLY_MS) : 0;
    if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
        (void)tm_fail_retry(&k->broken, TM_E_IO, "committed offsets of group %s at %s: %s",
                            k->group, k->brokers, rd_kafka_err2str(e));
    for (int i = 0; k->broken.code == TM_OK && i < list->cnt; i++)
        (void)rdk_begin(k, &list->elems[i], committed->elems[i].offset, &k->broken);
    rd_kafka_topic_partition_list_destroy(committed);
    if (k->broken.code != TM_OK) { /* fetch tells it; nothing is read past it */
        if (!cooperative)
            rd_kafka_assign(k->consumer, NULL);
        return;
    }
    if (cooperative)
        rd_kafka_error_destroy(rd_kafka_incremental_assign(k->consumer, list));
    else
        rd_kafka_assign(k->consumer, list);
}

void tm_rdk_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct rdk *k = opaque;
    const char *protocol = rd_kafka_rebalance_protocol(rk);
    bool cooperative = protocol != NULL && strcmp(protocol, "COOPERATIVE") == 0;
    k->joined = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    k->joining_ns = tm_clock_monotonic_ns();
    k->was_joined = k->was_joined || k->joined;
    if (k->joined) {
        rdk_on_assign(k, list, cooperative);
        return;
    }
    tm_rdk_send_commits(k);
    for (int i = 0; i < list->cnt; i++) {
        struct rdk_part *p = tm_rdk_part(k, list->elems[i].topic, list->elems[i].partition);
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
        cause = &k->unreachable; /* written once, before the flag */
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
    if (k->dirty && k->commits_flying == 0 &&
        tm_clock_monotonic_ns() - k->commit_sent_ns >= k->commit_wait_ns)
        tm_rdk_send_commits(k);
    return rdk_health(k, err);
}

/* Embedded broker: is there room for more in the partition before its readers catch up? */
static bool rdk_has_room(struct rdk *k, struct rdk_part *p)
{
    if (!k->embedded || k->readers_count == 0)
        return true;
    int64_t committed = p->committed;
    uint64_t unread_bytes = tm_backlog_unread_bytes(&p->backlog, committed);
    int64_t unread_records = tm_backlog_unread_records(&p->backlog, committed);
    if ((unread_bytes > RDK_UNREAD_BYTES_MAX / 4 || unread_records > RDK_UNREAD_RECORDS_MAX / 4) &&
        !k->lag_wanted)
        tm_rdk_want(k, &k->lag_wanted);
    if (unread_bytes <= RDK_UNREAD_BYTES_MAX && unread_records <= RDK_UNREAD_RECORDS_MAX) {
        p->paused_ns = 0;
        return true;
    }
    int64_t now_ns = tm_clock_monotonic_ns();
    if (p->paused_ns == 0) {
        p->paused_ns = now_ns;
    } else if (now_ns - p->paused_ns > RDK_PAUSE_TOLD_NS) {
        p->paused_ns = now_ns; /* told again after as long again */
        tm_log(TM_LOG_WARN,
               "topic %s partition %" PRId32 ": writing is paused: %" PRIu64 " bytes wait for the "
               "reading group %s, which has committed %" PRId64 " of %" PRId64 " records; is it "
               "running? A group that does not read this topic must not be listed",
               p->topic, p->partition, unread_bytes, k->readers[p->slowest],
               committed > 0 ? committed : 0, p->backlog.offset_next);
    }
    return false;
}

static enum tm_code rdk_produce(struct tm_topic *t, const char *topic, int32_t partition,
                                const void *key, size_t key_bytes, const void *value,
                                size_t value_bytes, struct tm_err *err)
{
    struct rdk *k = (struct rdk *)t;
    struct rdk_ask known;
    enum tm_code rc = k->producer != NULL ? TM_OK : tm_rdk_producer(k, err);
    if (rc == TM_OK)
        rc = rdk_health(k, err);
    if (rc == TM_OK)
        rc = tm_rdk_ask(k, RDK_PARTITIONS, topic, -1, true, &known, err);
    if (rc != TM_OK)
        return rc;
    if (partition < 0)
        partition = key != NULL ? tm_topic_partition(key, key_bytes, known.count)
                                : (int32_t)(k->round_robin++ % (uint32_t)known.count);
    if (partition >= known.count)
        return tm_fail(err, TM_E_ARG, "topic %s has %" PRId32 " partitions, not partition %" PRId32,
                       topic, known.count, partition);
    struct rdk_part *p = tm_rdk_part(k, topic, partition);
    if (p == NULL)
        return tm_fail(err, TM_E_LIMIT, "kafka: more than %d partitions", RDK_PARTS_MAX);
    if (!rdk_has_room(k, p))
        return TM_E_AGAIN;
    rd_kafka_resp_err_t e = rd_kafka_producev(
        k->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY((void *)(uintptr_t)key, key_bytes),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value_bytes), RD_KAFKA_V_END);
    if (e == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return TM_E_AGAIN;
    if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
        return tm_fail(err, rdk_too_large(e) ? TM_E_LIMIT : TM_E_IO,
                       "topic %s: record of %zu bytes refused: %s", topic, key_bytes + value_bytes,
                       rd_kafka_err2str(e));
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
        return tm_fail(err, TM_E_GAP,
                       "topic %s partition %" PRId32
                       ": the log at %s no longer holds the position to read: %s",
                       topic, m->partition, k->brokers, rd_kafka_message_errstr(m));
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        return tm_fail(err, TM_E_ARG, "topic %s does not exist at %s; create it first", topic,
                       k->brokers);
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        return tm_fail(err, TM_E_ARG, "group %s, topic %s at %s: %s", k->group, topic, k->brokers,
                       rd_kafka_err2str(m->err));
    default:
        tm_log(TM_LOG_WARN, "group %s, topic %s: %s", k->group, topic, rd_kafka_message_errstr(m));
        return TM_OK;
    }
}

void tm_rdk_release(struct rdk *k)
{
    for (size_t i = 0; i < k->held_count; i++)
        rd_kafka_message_destroy(k->held[i]);
    k->held_count = 0;
}

static enum tm_code rdk_take(struct rdk *k, rd_kafka_message_t *m, struct tm_record *out,
                             struct tm_err *err)
{
    const char *topic = rd_kafka_topic_name(m->rkt);
    struct rdk_part *p = tm_rdk_part(k, topic, m->partition);
    rd_kafka_timestamp_type_t kind;
    if (p == NULL)
        return tm_fail(err, TM_E_LIMIT, "kafka: more than %d partitions", RDK_PARTS_MAX);
    /* Dense on the embedded broker: no compaction, no transactions. Elsewhere offsets may have
     * honest holes. */
    if (k->embedded && p->owned && m->offset != p->position)
        return tm_fail(err, TM_E_GAP,
                       "topic %s partition %" PRId32 ": offset %" PRId64 " came where %" PRId64
                       " was due; records were evicted before they were read",
                       topic, m->partition, m->offset, p->position);
    p->position = m->offset + 1;
    *out = (struct tm_record){ .topic = topic,
                               .partition = m->partition,
                               .offset = m->offset,
                               .key = m->key,
                               .key_bytes = m->key_len,
                               .value = m->payload,
                               .value_bytes = m->len,
                               .timestamp_ms = rd_kafka_message_timestamp(m, &kind) };
    k->topic.counts.fetched++;
    k->topic.counts.fetched_bytes += m->key_len + m->len;
    return TM_OK;
}

static enum tm_code rdk_fetch(struct tm_topic *t, struct tm_record *out, size_t out_cap,
                              size_t *out_count, struct tm_err *err)
{
    struct rdk *k = (struct rdk *)t;
    *out_count = 0;
    assert(k->consumer != NULL);
    tm_rdk_release(k);
    enum tm_code rc = rdk_serve(k, err);
    if (rc == TM_OK && k->embedded && !k->joined &&
        tm_clock_monotonic_ns() - k->joining_ns > k->join_ms * TM_NS_PER_MS)
        rc = tm_rdk_join_again(k, err);
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

static enum tm_code rdk_seek(struct tm_topic *t, const char *topic, int32_t partition,
                             int64_t offset, struct tm_err *err)
{
    struct rdk *k = (struct rdk *)t;
    struct rdk_part *p = tm_rdk_part(k, topic, partition);
    int64_t low = 0, high = 0;
    if (p == NULL || !p->owned)
        return tm_fail(err, TM_E_ARG, "seek: topic %s partition %" PRId32 " is not ours", topic,
                       partition);
    rd_kafka_resp_err_t e = tm_rdk_marks(k->consumer, topic, partition, true, &low, &high);
    if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
        return tm_fail_retry(err, TM_E_IO, "seek: topic %s partition %" PRId32 ": %s", topic,
                             partition, rd_kafka_err2str(e));
    offset = offset == TM_OFFSET_BEGINNING ? 0 : offset == TM_OFFSET_END ? high : offset;
    if (offset < low || offset > high)
        return tm_fail(err, TM_E_GAP,
                       "seek: topic %s partition %" PRId32 " holds offsets %" PRId64 " to %" PRId64
                       ", not %" PRId64,
                       topic, partition, low, high, offset);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    rd_kafka_error_t *bad = rd_kafka_seek_partitions(k->consumer, list, RDK_REPLY_MS);
    enum tm_code rc = TM_OK;
    if (bad != NULL || list->elems[0].err != RD_KAFKA_RESP_ERR_NO_ERROR)
        rc = tm_fail_retry(
            err, TM_E_IO, "seek: topic %s partition %" PRId32 ": %s", topic, partition,
            bad != NULL ? rd_kafka_error_string(bad) : rd_kafka_err2str(list->elems[0].err));
    else
        p->position = offset;
    rd_kafka_error_destroy(bad);
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

static enum tm_code rdk_commit(struct tm_topic *t, const char *topic, int32_t partition,
                               int64_t offset_next, struct tm_err *err)
{
    struct rdk *k = (struct rdk *)t;
    if (k->consumer == NULL)
        return tm_fail(err, TM_E_ARG, "commit: no group was given");
    struct rdk_part *p = tm_rdk_part(k, topic, partition);
    if (p == NULL)
        return tm_fail(err, TM_E_LIMIT, "kafka: more than %d partitions", RDK_PARTS_MAX);
    if (!p->owned) /* went away meanwhile: its next owner reads on from what is committed */
        return TM_OK;
    p->commit_next = offset_next;
    p->dirty = k->dirty = true;
    return TM_OK;
}

static enum tm_code rdk_watermarks(struct tm_topic *t, const char *topic, int32_t partition,
                                   int64_t *out_low, int64_t *out_high, struct tm_err *err)
{
    struct rdk *k = (struct rdk *)t;
    struct rdk_ask known;
    enum tm_code rc = rdk_health(k, err);
    if (rc == TM_OK)
        rc = tm_rdk_ask(k, RDK_WATERMARKS, topic, partition, false, &known, err);
    if (rc == TM_OK) {
        *out_low = known.low;
        *out_high = known.high;
    }
    return rc;
}

static enum tm_code rdk_partitions(struct tm_topic *t, const char *topic, int32_t *out_count,
                                   struct tm_err *err)
{
    struct rdk *k = (struct rdk *)t;
    struct rdk_ask known;
    enum tm_code rc = rdk_health(k, err);
    if (rc == TM_OK)
        rc = tm_rdk_ask(k, RDK_PARTITIONS, topic, -1, true, &known, err);
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
        return k->commit_sent_ns + k->commit_wait_ns;
    return tm_clock_monotonic_ns() + TM_NS_PER_S; /* librdkafka wants to be polled now and then */
}

static int rdk_event_fd(struct tm_topic *t)
{
    return ((struct rdk *)t)->pipe_fds[0];
}

const struct tm_topic_ops tm_rdk_ops = { rdk_produce,    rdk_flush,      rdk_fetch,
                                         rdk_seek,       rdk_commit,     rdk_watermarks,
                                         rdk_partitions, rdk_cluster_id, rdk_next_at,
                                         rdk_event_fd,   tm_rdk_close };
