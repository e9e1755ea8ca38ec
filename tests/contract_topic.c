/* The topic port: one suite over the in-memory broker, the embedded broker, and the brokers of
 * TIDEMARK_BROKERS when set. */
#include "mocks/kafka/embedded.h"
#include "mocks/kafka/topic_mem.h"
#include "support_kafka.h"
#include "topic/backlog.h"
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define PATIENCE_NS (60 * TM_NS_PER_S) /* how long a real broker may take */

static struct world {
    struct tm_mem_broker *mem;
    struct tm_embedded *embedded;
    const char *brokers; /* NULL = in memory */
    unsigned topics;
} world;

static const struct tm_kafka_access *access_here(void)
{
    static struct tm_kafka_access access;
    access = (struct tm_kafka_access){ .brokers = world.brokers, .timeout_ms = 15000 };
    return &access;
}

static enum tm_code make_topic(const char *name, int32_t partitions, struct tm_err *err)
{
    const char *topics[] = { name };
    const struct tm_topics_plan plan = {
        .topics = topics, .topics_count = 1, .partitions = partitions, .replication = 1
    };
    return tm_topic_kafka_ensure(access_here(), &plan, err);
}

static bool on_real(void)
{
    return world.mem == NULL && world.embedded == NULL;
}

static const char *name_topic(char out[100], const char *what)
{
    snprintf(out, 100, "contract.%s.%d.%u", what, (int)getpid(), world.topics++);
    return out;
}

static const char *fresh(char out[100], const char *what, int32_t partitions)
{
    struct tm_err err = { 0 };
    enum tm_code rc;
    name_topic(out, what);
    if (world.mem != NULL)
        rc = tm_mem_topic_create(world.mem, out, partitions, &err);
    else if (world.embedded != NULL)
        rc = tm_embedded_topic(world.embedded, out, partitions, &err);
    else
        rc = make_topic(out, partitions, &err);
    if (rc != TM_OK)
        fail_msg("%s", err.msg);
    return out;
}

static struct tm_topic *open_with(struct tm_kafka_options o)
{
    static const char *const soon[] = { "session.timeout.ms=4000" };
    struct tm_topic *t = NULL;
    struct tm_err err = { 0 };
    o.brokers = world.brokers;
    o.embedded = o.embedded || world.embedded != NULL;
    if (world.embedded != NULL && o.group != NULL) { /* the broker waits for members as long */
        o.properties = soon;
        o.properties_count = 1;
    }
    enum tm_code rc = world.mem != NULL ? tm_topic_mem_open(&t, world.mem, &o, &err)
                                        : tm_topic_kafka_open(&t, &o, &err);
    if (rc != TM_OK)
        fail_msg("%s", err.msg);
    return t;
}

static struct tm_topic *open_reader(const char *group, const char *topic,
                                    int64_t (*start)(void *, const char *, int32_t), void *self)
{
    const char *topics[] = { topic };
    return open_with((struct tm_kafka_options){
        .group = group, .topics = topics, .topics_count = 1, .owner = { start, NULL, self } });
}

static void wait_for(struct tm_topic *t)
{
    struct pollfd fd = { .fd = t->ops->event_fd(t), .events = POLLIN };
    if (fd.fd >= 0)
        poll(&fd, 1, 5);
}

static void flush_all(struct tm_topic *t)
{
    struct tm_err err = { 0 };
    enum tm_code rc;
    int64_t until = tm_clock_monotonic_ns() + PATIENCE_NS;
    while ((rc = t->ops->flush(t, &err)) == TM_E_AGAIN && tm_clock_monotonic_ns() < until)
        wait_for(t);
    if (rc != TM_OK)
        fail_msg("flush: %s %s", tm_code_name(rc), err.msg);
}

static enum tm_code put(struct tm_topic *t, const char *topic, int32_t partition, const char *key,
                        const void *value, size_t bytes)
{
    struct tm_err err = { 0 };
    enum tm_code rc;
    int64_t until = tm_clock_monotonic_ns() + PATIENCE_NS;
    while ((rc = t->ops->produce(t, topic, partition, key, key != NULL ? strlen(key) : 0, value,
                                 bytes, &err)) == TM_E_AGAIN &&
           tm_clock_monotonic_ns() < until) {
        (void)t->ops->flush(t, &err);
        wait_for(t);
    }
    if (rc != TM_OK)
        fail_msg("produce: %s", err.msg);
    return rc;
}

/* Fetches until *count records came; each goes to `seen`. Returns the first error instead, if one
 * comes. */
static enum tm_code take(struct tm_topic *t, size_t count,
                         void (*seen)(void *, const struct tm_record *), void *self,
                         struct tm_err *err)
{
    static struct tm_record records[TM_TOPIC_FETCH_MAX];
    int64_t until = tm_clock_monotonic_ns() + PATIENCE_NS;
    size_t got = 0;
    while (got < count && tm_clock_monotonic_ns() < until) {
        size_t n = 0, cap = count - got < TM_TOPIC_FETCH_MAX ? count - got : TM_TOPIC_FETCH_MAX;
        enum tm_code rc = t->ops->fetch(t, records, cap, &n, err);
        if (rc == TM_E_AGAIN)
            wait_for(t);
        else if (rc != TM_OK)
            return rc;
        for (size_t i = 0; i < n; i++)
            if (seen != NULL)
                seen(self, &records[i]);
        got += n;
    }
    if (got < count)
        fail_msg("%zu of %zu records came", got, count);
    return TM_OK;
}

/* ---- tests ---- */

#define MANY 600
struct ledger {
    int64_t next[8];
    int last[8];
    unsigned wrong, count;
    int values[MANY];
};

static void ledger_see(void *self, const struct tm_record *r)
{
    struct ledger *l = self;
    int value = 0;
    memcpy(&value, r->value, sizeof value);
    l->wrong += r->offset != l->next[r->partition];
    l->wrong += value <= l->last[r->partition];
    l->wrong += r->partition != tm_topic_partition(r->key, r->key_bytes, 6);
    l->next[r->partition] = r->offset + 1;
    l->last[r->partition] = value;
    l->values[value]++;
    l->count++;
}

static void fill(const char *topic)
{
    struct tm_topic *w = open_with((struct tm_kafka_options){ .client_id = "writer" });
    for (int i = 0; i < MANY; i++) {
        char key[20];
        snprintf(key, sizeof key, "006%015d", i % 37);
        put(w, topic, -1, key, &i, sizeof i);
    }
    flush_all(w);
    assert_int_equal(w->counts.produced, MANY);
    w->ops->close(w);
}

static void ledger_init(struct ledger *l)
{
    memset(l, 0, sizeof *l);
    for (int p = 0; p < 8; p++)
        l->last[p] = -1;
}

static void two_groups_each_see_every_record_in_order_in_the_partition_of_its_key(void **state)
{
    char topic[100], groups[2][40];
    struct ledger seen[2];
    struct tm_err err = { 0 };
    struct tm_topic *r[2];
    (void)state;
    fill(fresh(topic, "order", 6));
    for (int g = 0; g < 2; g++) { /* both join at once: joining takes seconds */
        snprintf(groups[g], sizeof groups[g], "order-%d-%d", (int)getpid(), g);
        ledger_init(&seen[g]);
        r[g] = open_reader(groups[g], topic, NULL, NULL);
    }
    for (int g = 0; g < 2; g++) {
        assert_int_equal(take(r[g], MANY, ledger_see, &seen[g], &err), TM_OK);
        assert_int_equal(seen[g].wrong, 0);
        for (int i = 0; i < MANY; i++)
            assert_int_equal(seen[g].values[i], 1);
        assert_int_equal(r[g]->counts.fetched, MANY);
    }
    r[0]->ops->close(r[0]);
    r[1]->ops->close(r[1]);
}

static void remember(void *self, const struct tm_record *r)
{
    *(int64_t *)self = r->offset;
}

static void a_reader_goes_on_where_its_group_committed(void **state)
{
    char topic[100], group[40];
    struct tm_err err = { 0 };
    int64_t last = -1;
    (void)state;
    snprintf(group, sizeof group, "resume-%d-%u", (int)getpid(), world.topics);
    fresh(topic, "resume", 1);
    struct tm_topic *w = open_with((struct tm_kafka_options){ 0 });
    for (int i = 0; i < 10; i++)
        put(w, topic, 0, "k", &i, sizeof i);
    flush_all(w);
    struct tm_topic *r = open_reader(group, topic, NULL, NULL);
    assert_int_equal(take(r, 10, remember, &last, &err), TM_OK);
    assert_int_equal(last, 9);
    assert_int_equal(r->ops->commit(r, topic, 0, 4, &err), TM_OK);
    r->ops->close(r);
    r = open_reader(group, topic, NULL, NULL);
    assert_int_equal(take(r, 1, remember, &last, &err), TM_OK);
    assert_int_equal(last, 4);
    /* … and seeks where it is told, back and forth. */
    assert_int_equal(r->ops->seek(r, topic, 0, 2, &err), TM_OK);
    assert_int_equal(take(r, 1, remember, &last, &err), TM_OK);
    assert_int_equal(last, 2);
    assert_int_equal(r->ops->seek(r, topic, 0, 8, &err), TM_OK);
    assert_int_equal(take(r, 1, remember, &last, &err), TM_OK);
    assert_int_equal(last, 8);
    assert_int_equal(r->ops->seek(r, topic, 0, 99, &err), TM_E_GAP);
    r->ops->close(r);
    w->ops->close(w);
}

static int64_t start_at_7(void *self, const char *topic, int32_t partition)
{
    (void)topic, (void)partition;
    ++*(int *)self;
    return 7;
}

static void the_owner_says_where_a_partition_begins(void **state)
{
    char topic[100], group[40];
    struct tm_err err = { 0 };
    int64_t last = -1;
    int asked = 0;
    (void)state;
    snprintf(group, sizeof group, "owner-%d-%u", (int)getpid(), world.topics);
    fresh(topic, "owner", 1);
    struct tm_topic *w = open_with((struct tm_kafka_options){ 0 });
    for (int i = 0; i < 10; i++)
        put(w, topic, 0, NULL, &i, sizeof i);
    flush_all(w);
    w->ops->close(w);
    struct tm_topic *r = open_reader(group, topic, start_at_7, &asked);
    assert_int_equal(take(r, 1, remember, &last, &err), TM_OK);
    assert_int_equal(last, 7);
    assert_int_equal(asked, 1);
    r->ops->close(r);
}

static int64_t start_at_10(void *self, const char *topic, int32_t partition)
{
    (void)self, (void)topic, (void)partition;
    return 10;
}

static int64_t committed_of(const char *group, const char *topic)
{
    return world.mem != NULL ? tm_mem_committed(world.mem, group, topic, 0)
                             : tm_test_kafka_committed(world.brokers, group, topic);
}

/* Its last commit was lost, with the process or with a rebalance; a producer may be waiting for it,
 * and nothing that could be read and committed comes before that producer goes on. */
static void what_an_owner_has_of_its_own_its_group_is_told(void **state)
{
    static struct tm_record records[10];
    char topic[100], group[40];
    struct tm_err err = { 0 };
    size_t n = 0;
    (void)state;
    snprintf(group, sizeof group, "told-%d-%u", (int)getpid(), world.topics);
    fresh(topic, "told", 1);
    struct tm_topic *w = open_with((struct tm_kafka_options){ 0 });
    for (int i = 0; i < 10; i++)
        put(w, topic, 0, NULL, &i, sizeof i);
    flush_all(w);
    w->ops->close(w);
    struct tm_topic *r = open_reader(group, topic, start_at_10, NULL);
    int64_t until = tm_clock_monotonic_ns() + PATIENCE_NS;
    do {
        for (int i = 0; i < 20; i++) {
            assert_int_equal(r->ops->fetch(r, records, 10, &n, &err), TM_E_AGAIN);
            wait_for(r);
        }
    } while (committed_of(group, topic) != 10 && tm_clock_monotonic_ns() < until);
    assert_int_equal(committed_of(group, topic), 10);
    r->ops->close(r);
    r = open_reader(group, topic, start_at_7, &(int){ 0 }); /* never told backwards */
    int64_t last = -1;
    assert_int_equal(take(r, 1, remember, &last, &err), TM_OK);
    assert_int_equal(last, 7);
    assert_int_equal(committed_of(group, topic), 10);
    r->ops->close(r);
}

static enum tm_code ask_watermarks(struct tm_topic *t, const char *topic, int64_t *low,
                                   int64_t *high, struct tm_err *err)
{
    enum tm_code rc;
    while ((rc = t->ops->watermarks(t, topic, 0, low, high, err)) == TM_E_AGAIN)
        wait_for(t);
    return rc;
}

static void watermarks_partitions_and_cluster_are_told(void **state)
{
    char topic[100];
    struct tm_err err = { 0 };
    int64_t low = -1, high = -1;
    int32_t count = 0;
    const char *cluster = NULL;
    enum tm_code rc;
    (void)state;
    fresh(topic, "marks", 3);
    struct tm_topic *w = open_with((struct tm_kafka_options){ 0 });
    for (int i = 0; i < 5; i++)
        put(w, topic, 0, NULL, "x", 1);
    flush_all(w);
    assert_int_equal(ask_watermarks(w, topic, &low, &high, &err), TM_OK);
    assert_int_equal(low, 0);
    assert_int_equal(high, 5);
    while ((rc = w->ops->partitions(w, topic, &count, &err)) == TM_E_AGAIN)
        wait_for(w);
    assert_int_equal(rc, TM_OK);
    assert_int_equal(count, 3);
    while ((rc = w->ops->cluster_id(w, &cluster, &err)) == TM_E_AGAIN)
        wait_for(w);
    assert_int_equal(rc, TM_OK);
    assert_true(strlen(cluster) > 0);
    assert_int_equal(w->ops->produce(w, topic, 3, NULL, 0, "x", 1, &err), TM_E_ARG);
    w->ops->close(w);
}

static void what_was_evicted_unread_is_an_error_never_a_jump(void **state)
{
    char topic[100], group[40];
    struct tm_err err = { 0 };
    (void)state;
    snprintf(group, sizeof group, "evicted-%d-%u", (int)getpid(), world.topics);
    fresh(topic, "evicted", 1);
    struct tm_topic *w = open_with((struct tm_kafka_options){ 0 });
    static char block[100000];
    int count = world.embedded != NULL ? 80 : 10; /* 8 MB; the embedded broker keeps 5 */
    for (int i = 0; i < count; i++)
        put(w, topic, 0, "k", block, sizeof block);
    flush_all(w);
    if (world.mem != NULL)
        tm_mem_evict(world.mem, topic, 0, 3);
    else if (on_real())
        tm_test_kafka_delete_records(world.brokers, topic, 3);
    int64_t low = 0, high = 0;
    assert_int_equal(ask_watermarks(w, topic, &low, &high, &err), TM_OK);
    assert_true(low > 0);
    w->ops->close(w);
    struct tm_topic *r = open_reader(group, topic, NULL, NULL);
    assert_int_equal(take(r, 1, NULL, NULL, &err), TM_E_GAP);
    assert_non_null(strstr(err.msg, topic));
    r->ops->close(r);
}

static void flush_tells_of_a_record_that_was_not_delivered(void **state)
{
    char topic[100];
    struct tm_err err = { 0 };
    enum tm_code rc;
    (void)state;
    if (on_real())
        tm_test_kafka_topic(world.brokers, name_topic(topic, "refused"), 1, "max.message.bytes",
                            "1000");
    else
        fresh(topic, "refused", 1);
    struct tm_topic *w = open_with((struct tm_kafka_options){ 0 });
    put(w, topic, 0, "k", "fine", 4);
    flush_all(w);
    static const char lost[5000];
    if (world.mem != NULL)
        tm_mem_refuse(world.mem, 1);
    else if (world.embedded != NULL)
        tm_embedded_fail_produce(world.embedded, 1, false);
    put(w, topic, 0, "k", lost, sizeof lost);
    while ((rc = w->ops->flush(w, &err)) == TM_E_AGAIN)
        wait_for(w);
    assert_int_equal(rc, on_real() ? TM_E_LIMIT : TM_E_IO); /* there it is too large, for good */
    assert_non_null(strstr(err.msg, topic));
    assert_int_equal(w->counts.delivery_failed, 1);
    w->ops->close(w);
}

static void a_retriable_refusal_is_cured_without_loss_or_doubling(void **state)
{
    char topic[100];
    struct tm_err err = { 0 };
    int64_t low = 0, high = 0;
    (void)state;
    if (world.embedded == NULL)
        skip(); /* in memory for good only; and nothing makes one real broker refuse just once */
    fresh(topic, "retried", 1);
    struct tm_topic *w = open_with((struct tm_kafka_options){ 0 });
    put(w, topic, 0, "k", "one", 3);
    flush_all(w);
    tm_embedded_fail_produce(world.embedded, 3, true);
    put(w, topic, 0, "k", "two", 3);
    flush_all(w);
    assert_int_equal(ask_watermarks(w, topic, &low, &high, &err), TM_OK);
    assert_int_equal(high, 2);
    w->ops->close(w);
}

static void a_producer_pauses_before_its_readers_lose_records(void **state)
{
    char topic[100], group[40];
    const char *readers[] = { group };
    struct tm_err err = { 0 };
    enum tm_code rc = TM_OK;
    static char block[50000];
    int accepted = 0;
    (void)state;
    if (on_real())
        skip(); /* keeps what nobody has read */
    snprintf(group, sizeof group, "slow-%d-%u", (int)getpid(), world.topics);
    fresh(topic, "pause", 1);
    struct tm_topic *w = open_with((struct tm_kafka_options){
        .reading_groups = readers, .reading_groups_count = 1, .embedded = true });
    put(w, topic, 0, "k", block, sizeof block);
    while (accepted < 500 &&
           (rc = w->ops->produce(w, topic, 0, "k", 1, block, sizeof block, &err)) == TM_OK)
        accepted++;
    assert_int_equal(rc, TM_E_AGAIN);
    assert_in_range(accepted, 30, 50); /* 2 MB of 50 kB records, and one step more */
    flush_all(w);
    /* The reader catches up and commits: the producer goes on, and nothing was lost. */
    struct tm_topic *r = open_reader(group, topic, NULL, NULL);
    assert_int_equal(take(r, (size_t)accepted + 1, NULL, NULL, &err), TM_OK);
    assert_int_equal(r->ops->commit(r, topic, 0, accepted + 1, &err), TM_OK);
    int64_t until = tm_clock_monotonic_ns() + PATIENCE_NS;
    do {
        static struct tm_record none[1];
        size_t n;
        (void)r->ops->fetch(r, none, 1, &n, &err); /* where commits are sent */
        wait_for(w);
        rc = w->ops->produce(w, topic, 0, "k", 1, block, sizeof block, &err);
    } while (rc == TM_E_AGAIN && tm_clock_monotonic_ns() < until);
    assert_int_equal(rc, TM_OK);
    flush_all(w);
    r->ops->close(r);
    w->ops->close(w);
}

/* Serves the reader until its group has committed `offset`; what is fetched again is committed
 * again. Returns how many records came. */
static size_t commit_until(struct tm_topic *r, const char *group, const char *topic, int64_t offset)
{
    static struct tm_record records[10];
    struct tm_err err = { 0 };
    size_t n = 0, came = 0;
    int64_t until = tm_clock_monotonic_ns() + PATIENCE_NS;
    while (tm_test_kafka_committed(world.brokers, group, topic) != offset &&
           tm_clock_monotonic_ns() < until)
        for (int i = 0; i < 20; i++) {
            enum tm_code rc = r->ops->fetch(r, records, 10, &n, &err); /* where commits are sent */
            assert_true(rc == TM_OK || rc == TM_E_AGAIN);
            if (n > 0)
                r->ops->commit(r, topic, 0, records[n - 1].offset + 1, &err);
            came += n;
            wait_for(r);
        }
    assert_int_equal(tm_test_kafka_committed(world.brokers, group, topic), offset);
    return came;
}

static void a_refused_commit_is_sent_again(void **state)
{
    char topic[100], group[40];
    struct tm_err err = { 0 };
    (void)state;
    if (world.embedded == NULL)
        skip(); /* no other can be told to refuse one */
    snprintf(group, sizeof group, "refused-%d", (int)getpid());
    fresh(topic, "commit", 1);
    struct tm_topic *w = open_with((struct tm_kafka_options){ 0 });
    for (int i = 0; i < 3; i++)
        put(w, topic, 0, "k", "v", 1);
    flush_all(w);
    struct tm_topic *r = open_reader(group, topic, NULL, NULL);
    assert_int_equal(take(r, 3, NULL, NULL, &err), TM_OK);
    tm_embedded_fail_commit(world.embedded, 3, false);
    assert_int_equal(r->ops->commit(r, topic, 0, 2, &err), TM_OK);
    assert_int_equal(commit_until(r, group, topic, 2), 0);
    /* Its member is not known any more: the rebalance gives what was not committed again. */
    tm_embedded_fail_commit(world.embedded, 1, true);
    assert_int_equal(r->ops->commit(r, topic, 0, 3, &err), TM_OK);
    assert_int_equal(commit_until(r, group, topic, 3), 1);
    r->ops->close(r);
    w->ops->close(w);
}

static void revoked_count(void *self, const char *topic, int32_t partition)
{
    (void)topic, (void)partition;
    ++*(int *)self;
}

static void members_of_a_group_share_the_partitions(void **state)
{
    char topic[100], group[40];
    const char *topics[] = { topic };
    struct tm_err err = { 0 };
    static struct tm_record records[TM_TOPIC_FETCH_MAX];
    struct ledger seen;
    int revoked = 0;
    (void)state;
    snprintf(group, sizeof group, "share-%d-%u", (int)getpid(), world.topics);
    fill(fresh(topic, "share", 6));
    struct tm_topic *m[2];
    for (int i = 0; i < 2; i++)
        m[i] = open_with((struct tm_kafka_options){ .group = group,
                                                    .topics = topics,
                                                    .topics_count = 1,
                                                    .owner = { NULL, revoked_count, &revoked } });
    ledger_init(&seen);
    int64_t until = tm_clock_monotonic_ns() + PATIENCE_NS;
    unsigned distinct = 0;
    while ((distinct < MANY || m[0]->counts.fetched == 0 || m[1]->counts.fetched == 0) &&
           tm_clock_monotonic_ns() < until)
        for (int i = 0; i < 2; i++) {
            size_t n = 0;
            enum tm_code rc = m[i]->ops->fetch(m[i], records, TM_TOPIC_FETCH_MAX, &n, &err);
            assert_true(rc == TM_OK || rc == TM_E_AGAIN);
            for (size_t k = 0; k < n; k++) {
                int value;
                memcpy(&value, records[k].value, sizeof value);
                distinct += seen.values[value]++ == 0;
            }
            wait_for(m[i]);
        }
    assert_int_equal(distinct, MANY);
    assert_true(m[0]->counts.fetched > 0 && m[1]->counts.fetched > 0);
    m[0]->ops->close(m[0]);
    m[1]->ops->close(m[1]);
}

static void an_unknown_topic_is_named(void **state)
{
    struct tm_err err = { 0 };
    enum tm_code rc;
    (void)state;
    if (world.embedded != NULL)
        skip(); /* it makes every topic up */
    struct tm_topic *w = open_with((struct tm_kafka_options){ 0 });
    while ((rc = w->ops->produce(w, "contract.nowhere", -1, "k", 1, "v", 1, &err)) == TM_E_AGAIN)
        wait_for(w);
    assert_int_equal(rc, TM_E_ARG);
    assert_non_null(strstr(err.msg, "contract.nowhere"));
    w->ops->close(w);
}

/* ---- once, without a broker ---- */

static void our_partitioner_is_kafkas(void **state)
{
    char why[200], key[32];
    (void)state;
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, "x", NULL);
    for (int i = 0; i < 2000; i++) {
        size_t bytes = (size_t)snprintf(key, sizeof key, "%.*s%d", i % 7, "abcdefg", i * 7919);
        int32_t partitions = 1 + i % 97;
        assert_int_equal(tm_topic_partition(key, bytes, partitions),
                         rd_kafka_msg_partitioner_murmur2(rkt, key, bytes, partitions, NULL, NULL));
    }
    rd_kafka_topic_destroy(rkt);
    rd_kafka_destroy(rk);
}

static void the_backlog_never_says_too_little(void **state)
{
    static struct tm_backlog b;
    (void)state;
    tm_backlog_init(&b);
    for (int64_t i = 0; i < 100000; i++) {
        tm_backlog_enqueued(&b, 100);
        tm_backlog_delivered(&b, 50 + i, 100);
        int64_t committed = 50 + (i > 20000 ? i - 20000 : 0);
        if (i % 500 == 0) {
            uint64_t truth = (uint64_t)(50 + i + 1 - committed) * 100;
            uint64_t told = tm_backlog_unread_bytes(&b, committed);
            assert_true(told >= truth);
            assert_true(told <= truth + 2 * TM_BACKLOG_STEP_BYTES);
        }
    }
    assert_int_equal(tm_backlog_unread_bytes(&b, 100050), 0);
    assert_int_equal(tm_backlog_unread_records(&b, 100040), 10);
    tm_backlog_enqueued(&b, 7);
    assert_int_equal(tm_backlog_unread_bytes(&b, 100050), 7);
    tm_backlog_failed(&b, 7);
    assert_int_equal(tm_backlog_unread_bytes(&b, 100050), 0);
}

static void a_bad_topic_list_is_refused(void **state)
{
    struct tm_err err = { 0 };
    struct tm_embedded *e = NULL;
    (void)state;
    assert_int_equal(tm_embedded_open(&e, &err), TM_OK);
    assert_int_equal(tm_embedded_topics(e, "a:6,b,c:1", &err), TM_OK);
    assert_int_equal(tm_embedded_topics(e, "d:0", &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "d:0"));
    tm_err_clear(&err);
    assert_int_equal(tm_embedded_topics(e, "e:many", &err), TM_E_ARG);
    tm_err_clear(&err);
    assert_int_equal(tm_embedded_topics(e, ",", &err), TM_E_ARG);
    tm_embedded_close(e);
}

static void no_broker_address_is_an_argument_error(void **state)
{
    struct tm_err err = { 0 };
    struct tm_topic *t = NULL;
    struct tm_kafka_options o = { .brokers = "" };
    (void)state;
    assert_int_equal(tm_topic_kafka_open(&t, &o, &err), TM_E_ARG);
    const char *bad[] = { "no.such.property=1" };
    struct tm_kafka_options p = { .brokers = "127.0.0.1:1",
                                  .properties = bad,
                                  .properties_count = 1 };
    tm_err_clear(&err);
    assert_int_equal(tm_topic_kafka_open(&t, &p, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "no.such.property"));
}

/* Whether a broker is there is known within a bounded time, and the error names its address. */
static void a_broker_out_of_reach_is_named(void **state)
{
    struct tm_err err = { 0 };
    struct tm_topic *t = NULL;
    const char *soon[] = { "tidemark.reach.ms=500" };
    struct tm_kafka_options o = { .brokers = "127.0.0.1:1",
                                  .properties = soon,
                                  .properties_count = 1 };
    enum tm_code rc;
    (void)state;
    assert_int_equal(tm_topic_kafka_open(&t, &o, &err), TM_OK);
    while ((rc = t->ops->flush(t, &err)) == TM_OK || rc == TM_E_AGAIN)
        wait_for(t);
    assert_int_equal(rc, TM_E_IO);
    assert_true(err.retriable);
    assert_non_null(strstr(err.msg, "127.0.0.1:1"));
    t->ops->close(t);
}

/* ---- worlds ---- */

static int world_mem(void **state)
{
    struct tm_err err = { 0 };
    (void)state;
    memset(&world, 0, sizeof world);
    return tm_mem_broker_open(&world.mem, &err) == TM_OK ? 0 : -1;
}

static int world_embedded(void **state)
{
    struct tm_err err = { 0 };
    (void)state;
    memset(&world, 0, sizeof world);
    if (tm_embedded_open(&world.embedded, &err) != TM_OK)
        return -1;
    world.brokers = tm_embedded_bootstrap(world.embedded);
    return 0;
}

static int world_external(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.brokers = getenv("TIDEMARK_BROKERS");
    return 0;
}

static int world_end(void **state)
{
    (void)state;
    tm_mem_broker_close(world.mem);
    tm_embedded_close(world.embedded);
    return 0;
}

/* Every group's first join takes the embedded broker three seconds: its cases are dealt to
 * two processes, each with a broker of its own. What the second says is shown when it has ended.
 */
static int in_two_processes(int (*first)(void), int (*second)(void))
{
    char line[512];
    int status = -1;
    FILE *said = tmpfile();
    pid_t child = said != NULL ? fork() : -1;
    if (child == 0) {
        dup2(fileno(said), STDOUT_FILENO);
        dup2(fileno(said), STDERR_FILENO);
        status = second();
        fflush(NULL);
        _exit(status != 0);
    }
    int failed = first();
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        failed++;
    for (rewind(said); fgets(line, sizeof line, said) != NULL;)
        fputs(line, stdout);
    fclose(said);
    return failed;
}

#define FIRST_CASES                                                                                \
    cmocka_unit_test(two_groups_each_see_every_record_in_order_in_the_partition_of_its_key),       \
        cmocka_unit_test(the_owner_says_where_a_partition_begins),                                 \
        cmocka_unit_test(what_an_owner_has_of_its_own_its_group_is_told),                          \
        cmocka_unit_test(watermarks_partitions_and_cluster_are_told),                              \
        cmocka_unit_test(what_was_evicted_unread_is_an_error_never_a_jump),                        \
        cmocka_unit_test(flush_tells_of_a_record_that_was_not_delivered),                          \
        cmocka_unit_test(a_retriable_refusal_is_cured_without_loss_or_doubling),                   \
        cmocka_unit_test(members_of_a_group_share_the_partitions),                                 \
        cmocka_unit_test(an_unknown_topic_is_named)
#define SECOND_CASES                                                                               \
    cmocka_unit_test(a_reader_goes_on_where_its_group_committed),                                  \
        cmocka_unit_test(a_producer_pauses_before_its_readers_lose_records),                       \
        cmocka_unit_test(a_refused_commit_is_sent_again)

static int embedded_first(void)
{
    const struct CMUnitTest cases[] = { FIRST_CASES };
    return cmocka_run_group_tests_name("embedded broker", cases, world_embedded, world_end);
}

static int embedded_second(void)
{
    const struct CMUnitTest cases[] = { SECOND_CASES };
    return cmocka_run_group_tests_name("embedded broker, second half", cases, world_embedded,
                                       world_end);
}

int main(void)
{
    const struct CMUnitTest once[] = {
        cmocka_unit_test(our_partitioner_is_kafkas),
        cmocka_unit_test(the_backlog_never_says_too_little),
        cmocka_unit_test(a_bad_topic_list_is_refused),
        cmocka_unit_test(no_broker_address_is_an_argument_error),
        cmocka_unit_test(a_broker_out_of_reach_is_named),
    };
    const struct CMUnitTest contract[] = { FIRST_CASES, SECOND_CASES };
    int failed = in_two_processes(embedded_first, embedded_second);
    failed += cmocka_run_group_tests_name("once", once, NULL, NULL);
    failed += cmocka_run_group_tests_name("in memory", contract, world_mem, world_end);
    if (getenv("TIDEMARK_BROKERS") != NULL)
        failed += cmocka_run_group_tests_name("real broker", contract, world_external, world_end);
    return failed;
}
