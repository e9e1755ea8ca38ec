#include "mocks/kafka/topic_mem.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct mem_stored {
    size_t key_bytes, value_bytes;
    int64_t timestamp_ms;
    bool has_key, has_value;
    char *data;
};
struct mem_partition {
    struct mem_stored *records;
    size_t records_count, records_cap; /* [0] is offset 0 for ever; evicted data is NULL */
    uint64_t *bytes_before;            /* [i] = bytes of records before offset i */
    uint64_t bytes;
    int64_t low, hold;            /* hold -1 = nothing held */
    int64_t read;                 /* records that some member has fetched */
    uint64_t last_by, last_flush; /* who appended the last record, after how many flushes */
};
struct mem_topic {
    char name[250];
    int32_t partitions_count;
    struct mem_partition *partitions;
};
struct topic_mem;
struct mem_claim {
    struct topic_mem *owner;
    int64_t committed, position;
};
struct mem_group {
    char name[128];
    struct topic_mem *members[TM_MEM_MEMBERS_MAX];
    size_t members_count;
    struct mem_claim *claims[TM_MEM_TOPICS_MAX]; /* per topic: [partitions]; NULL = none read */
};
struct tm_mem_broker {
    struct mem_topic topics[TM_MEM_TOPICS_MAX];
    size_t topics_count;
    struct mem_group groups[TM_MEM_GROUPS_MAX];
    size_t groups_count;
    int64_t time_ms;
    unsigned refuse, duplicate, swap;
    struct tm_mem_planted planted;
    bool acks_held, message_late;
    size_t message_bytes_max;
    size_t adapters;
    uint64_t serials;
    uint64_t appended, changes; /* records ever; of members, topics and owners */
};
struct topic_mem {
    struct tm_topic topic; /* first: the port */
    struct tm_mem_broker *broker;
    struct mem_group *group; /* NULL = producer only */
    bool *subscribed;        /* [TM_MEM_TOPICS_MAX] */
    char **wanted;
    size_t wanted_count; /* topic names of the subscription */
    struct mem_group *readers[TM_MEM_GROUPS_MAX];
    size_t readers_count;
    struct tm_topic_owner owner;
    struct tm_err failed; /* first delivery failure not yet told */
    bool embedded;
    uint32_t round_robin, turn;
    uint64_t serial;  /* from 1: addresses are used again, and must decide nothing */
    uint64_t flushes; /* that found all acknowledged */
    uint64_t settled; /* broker's `changes` at the last rebalance that left nothing to do */
};

enum tm_code tm_mem_broker_open(struct tm_mem_broker **out, struct tm_err *err)
{
    struct tm_mem_broker *b = calloc(1, sizeof *b);
    if (b == NULL)
        return tm_fail(err, TM_E_NOMEM, "in-memory broker: %zu bytes", sizeof *b);
    *out = b;
    return TM_OK;
}

void tm_mem_broker_close(struct tm_mem_broker *b)
{
    if (b == NULL)
        return;
    assert(b->adapters == 0);
    for (size_t t = 0; t < b->topics_count; t++) {
        for (int32_t p = 0; p < b->topics[t].partitions_count; p++) {
            struct mem_partition *part = &b->topics[t].partitions[p];
            for (size_t i = 0; i < part->records_count; i++)
                free(part->records[i].data);
            free(part->records);
            free(part->bytes_before);
        }
        free(b->topics[t].partitions);
    }
    for (size_t g = 0; g < b->groups_count; g++)
        for (size_t t = 0; t < TM_MEM_TOPICS_MAX; t++)
            free(b->groups[g].claims[t]);
    free(b);
}

static size_t mem_topic_index(const struct tm_mem_broker *b, const char *name)
{
    for (size_t t = 0; t < b->topics_count; t++)
        if (strcmp(b->topics[t].name, name) == 0)
            return t;
    return SIZE_MAX;
}

enum tm_code tm_mem_topic_create(struct tm_mem_broker *b, const char *topic, int32_t partitions,
                                 struct tm_err *err)
{
    struct mem_topic *t = &b->topics[b->topics_count];
    if (mem_topic_index(b, topic) != SIZE_MAX)
        return TM_OK;
    if (partitions < 1 || partitions > TM_MEM_PARTITIONS_MAX || strlen(topic) >= sizeof t->name)
        return tm_fail(err, TM_E_ARG, "topic %s: %" PRId32 " partitions, want 1 to %d", topic,
                       partitions, TM_MEM_PARTITIONS_MAX);
    if (b->topics_count == TM_MEM_TOPICS_MAX)
        return tm_fail(err, TM_E_LIMIT, "in-memory broker: %d topics are all it keeps",
                       TM_MEM_TOPICS_MAX);
    t->partitions = calloc((size_t)partitions, sizeof *t->partitions);
    if (t->partitions == NULL)
        return tm_fail(err, TM_E_NOMEM, "topic %s", topic);
    strcpy(t->name, topic);
    t->partitions_count = partitions;
    for (int32_t p = 0; p < partitions; p++)
        t->partitions[p].hold = -1;
    b->topics_count++;
    b->changes++;
    return TM_OK;
}

static struct mem_partition *mem_partition(const struct tm_mem_broker *b, const char *topic,
                                           int32_t partition)
{
    size_t t = mem_topic_index(b, topic);
    if (t == SIZE_MAX || partition < 0 || partition >= b->topics[t].partitions_count)
        return NULL;
    return &b->topics[t].partitions[partition];
}

static struct mem_group *mem_group(struct tm_mem_broker *b, const char *name, struct tm_err *err)
{
    for (size_t g = 0; g < b->groups_count; g++)
        if (strcmp(b->groups[g].name, name) == 0)
            return &b->groups[g];
    if (b->groups_count == TM_MEM_GROUPS_MAX || strlen(name) >= sizeof b->groups[0].name) {
        (void)tm_fail(err, TM_E_LIMIT,
                      "in-memory broker: group %s is one too many, or its name too long", name);
        return NULL;
    }
    struct mem_group *g = &b->groups[b->groups_count++];
    strcpy(g->name, name);
    return g;
}

static struct mem_claim *mem_claims(const struct tm_mem_broker *b, struct mem_group *g,
                                    size_t topic)
{
    int32_t count = b->topics[topic].partitions_count;
    if (g->claims[topic] == NULL) {
        g->claims[topic] = calloc((size_t)count, sizeof *g->claims[topic]);
        for (int32_t p = 0; g->claims[topic] != NULL && p < count; p++)
            g->claims[topic][p].committed = -1;
    }
    return g->claims[topic];
}

/* ---- appending ---- */

static enum tm_code mem_append(struct mem_partition *part, int64_t time_ms, const void *key,
                               size_t key_bytes, const void *value, size_t value_bytes,
                               struct tm_err *err)
{
    if (part->records_count == part->records_cap) {
        size_t cap = part->records_cap ? part->records_cap * 2 : 64;
        struct mem_stored *records = realloc(part->records, cap * sizeof *records);
        if (records != NULL)
            part->records = records;
        uint64_t *before = realloc(part->bytes_before, cap * sizeof *before);
        if (before != NULL)
            part->bytes_before = before;
        if (records == NULL || before == NULL)
            return tm_fail(err, TM_E_NOMEM, "in-memory topic: %zu records", cap);
        part->records_cap = cap;
    }
    struct mem_stored *s = &part->records[part->records_count];
    assert((key != NULL || key_bytes == 0) && (value != NULL || value_bytes == 0));
    *s = (struct mem_stored){ .key_bytes = key_bytes,
                              .value_bytes = value_bytes,
                              .timestamp_ms = time_ms,
                              .has_key = key != NULL,
                              .has_value = value != NULL };
    s->data = malloc(key_bytes + value_bytes + 1);
    if (s->data == NULL)
        return tm_fail(err, TM_E_NOMEM, "in-memory topic: %zu bytes", key_bytes + value_bytes);
    if (key_bytes > 0)
        memcpy(s->data, key, key_bytes);
    if (value_bytes > 0)
        memcpy(s->data + key_bytes, value, value_bytes);
    part->bytes_before[part->records_count++] = part->bytes;
    part->bytes += key_bytes + value_bytes;
    return TM_OK;
}

/* Bytes that the slowest reading group has not committed. */
static uint64_t mem_unread(struct topic_mem *m, size_t topic, int32_t partition)
{
    const struct mem_partition *part = &m->broker->topics[topic].partitions[partition];
    uint64_t worst = 0;
    for (size_t i = 0; i < m->readers_count; i++) {
        struct mem_claim *claims = mem_claims(m->broker, m->readers[i], topic);
        int64_t next =
            claims != NULL && claims[partition].committed > 0 ? claims[partition].committed : 0;
        uint64_t unread =
            (size_t)next < part->records_count ? part->bytes - part->bytes_before[next] : 0;
        if (unread > worst)
            worst = unread;
    }
    return worst;
}

/* The record just appended may go before the one that it follows. */
static void mem_swap(struct topic_mem *m, struct mem_partition *part)
{
    struct tm_mem_broker *b = m->broker;
    bool pair = part->last_by == m->serial && part->last_flush == m->flushes &&
                part->records_count >= 2 && part->read < (int64_t)part->records_count - 1;
    part->last_by = m->serial;
    part->last_flush = m->flushes;
    if (!pair || b->swap == 0)
        return;
    struct mem_stored *later = &part->records[part->records_count - 1], *earlier = later - 1;
    const struct mem_stored kept = *earlier;
    *earlier = *later;
    *later = kept;
    part->bytes_before[part->records_count - 1] =
        part->bytes_before[part->records_count - 2] + earlier->key_bytes + earlier->value_bytes;
    b->swap--;
    b->planted.swapped++;
}

static enum tm_code mem_produce(struct tm_topic *topic, const char *name, int32_t partition,
                                const void *key, size_t key_bytes, const void *value,
                                size_t value_bytes, struct tm_err *err)
{
    struct topic_mem *m = (struct topic_mem *)topic;
    struct tm_mem_broker *b = m->broker;
    size_t t = mem_topic_index(b, name);
    if (t == SIZE_MAX)
        return tm_fail(err, TM_E_ARG, "topic %s does not exist", name);
    int32_t count = b->topics[t].partitions_count;
    if (partition < 0)
        partition = key != NULL ? tm_topic_partition(key, key_bytes, count)
                                : (int32_t)(m->round_robin++ % (uint32_t)count);
    if (partition >= count)
        return tm_fail(err, TM_E_ARG, "topic %s has %" PRId32 " partitions, not partition %" PRId32,
                       name, count, partition);
    if (m->embedded && mem_unread(m, t, partition) > TM_MEM_UNREAD_BYTES_MAX)
        return TM_E_AGAIN;
    if (b->refuse > 0) {
        b->refuse--;
        b->planted.refused++;
        topic->counts.delivery_failed++;
        (void)tm_fail_retry(&m->failed, TM_E_IO, "topic %s partition %" PRId32 ": delivery refused",
                            name, partition);
        return TM_OK;
    }
    if (b->message_bytes_max > 0 && key_bytes + value_bytes > b->message_bytes_max) {
        topic->counts.delivery_failed += b->message_late;
        enum tm_code rc = tm_fail(b->message_late ? &m->failed : err, TM_E_LIMIT,
                                  "topic %s: a record of %zu bytes is refused: too large", name,
                                  key_bytes + value_bytes);
        return b->message_late ? TM_OK : rc;
    }
    for (int copies = b->duplicate > 0 ? 2 : 1; copies > 0; copies--)
        if (mem_append(&b->topics[t].partitions[partition], b->time_ms, key, key_bytes, value,
                       value_bytes, err) != TM_OK)
            return err != NULL ? err->code : TM_E_NOMEM;
    if (b->duplicate > 0) {
        b->duplicate--;
        b->planted.duplicated++;
    }
    mem_swap(m, &b->topics[t].partitions[partition]);
    b->appended++;
    topic->counts.produced++;
    topic->counts.produced_bytes += key_bytes + value_bytes;
    return TM_OK;
}

static enum tm_code mem_flush(struct tm_topic *topic, struct tm_err *err)
{
    struct topic_mem *m = (struct topic_mem *)topic;
    if (m->broker->acks_held) {
        m->broker->planted.acks_held++;
        return TM_E_AGAIN;
    }
    m->flushes++;
    if (m->failed.code != TM_OK) {
        struct tm_err failed = m->failed;
        tm_err_clear(&m->failed);
        if (err != NULL && err->code == TM_OK)
            *err = failed;
        return failed.code;
    }
    return TM_OK;
}

/* ---- reading ---- */

/* Who should own a partition: members that want the topic, in joining order, dealt round by
 * partition. */
static struct topic_mem *mem_target(const struct mem_group *g, size_t topic, int32_t partition)
{
    size_t want = 0;
    for (size_t i = 0; i < g->members_count; i++)
        want += g->members[i]->subscribed[topic];
    if (want == 0)
        return NULL;
    size_t nth = (size_t)partition % want;
    for (size_t i = 0; i < g->members_count; i++)
        if (g->members[i]->subscribed[topic] && nth-- == 0)
            return g->members[i];
    return NULL;
}

static enum tm_code mem_place(struct topic_mem *m, size_t topic, int32_t partition,
                              struct tm_err *err)
{
    struct tm_mem_broker *b = m->broker;
    struct mem_claim *claim = &m->group->claims[topic][partition];
    const struct mem_topic *t = &b->topics[topic];
    const struct mem_partition *part = &t->partitions[partition];
    int64_t start = TM_OFFSET_COMMITTED;
    claim->owner = m;
    if (m->owner.start != NULL)
        start = m->owner.start(m->owner.self, t->name, partition);
    if (start == TM_OFFSET_COMMITTED)
        start = claim->committed >= 0 ? claim->committed : TM_OFFSET_BEGINNING;
    claim->position = start == TM_OFFSET_END         ? (int64_t)part->records_count
                      : start == TM_OFFSET_BEGINNING ? 0
                                                     : start;
    if (claim->position > (int64_t)part->records_count)
        return tm_fail(err, TM_E_GAP,
                       "topic %s partition %" PRId32 ": offset %" PRId64
                       " is beyond the log's end %zu",
                       t->name, partition, claim->position, part->records_count);
    if (start > 0 && start > claim->committed)
        claim->committed = start;
    return TM_OK;
}

static enum tm_code mem_rebalance(struct topic_mem *m, struct tm_err *err)
{
    struct tm_mem_broker *b = m->broker;
    enum tm_code rc = TM_OK;
    uint64_t changes = b->changes;
    if (m->settled == changes)
        return TM_OK;
    for (size_t i = 0; i < m->wanted_count; i++) {
        size_t t = mem_topic_index(b, m->wanted[i]);
        if (t == SIZE_MAX || m->subscribed[t])
            continue; /* a topic may be created after its reader came */
        m->subscribed[t] = true;
        b->changes++; /* those who hold its partitions must look again */
    }
    for (size_t t = 0; t < b->topics_count; t++) {
        struct mem_claim *claims = mem_claims(b, m->group, t);
        if (claims == NULL)
            return tm_fail(err, TM_E_NOMEM, "in-memory broker: group %s", m->group->name);
        for (int32_t p = 0; p < b->topics[t].partitions_count; p++) {
            struct topic_mem *target = mem_target(m->group, t, p);
            if (claims[p].owner == m && target != m) {
                claims[p].owner = NULL;
                b->changes++;
                if (m->owner.revoked != NULL)
                    m->owner.revoked(m->owner.self, b->topics[t].name, p);
            } else if (claims[p].owner == NULL && target == m && rc == TM_OK) {
                b->changes++;
                rc = mem_place(m, t, p, err);
            }
        }
    }
    if (rc == TM_OK && b->changes == changes)
        m->settled = changes;
    return rc;
}

static enum tm_code mem_fetch_partition(struct topic_mem *m, size_t topic, int32_t partition,
                                        struct tm_record *out, size_t out_cap, size_t *out_count,
                                        struct tm_err *err)
{
    struct mem_claim *claim = &m->group->claims[topic][partition];
    const struct mem_topic *t = &m->broker->topics[topic];
    struct mem_partition *part = &t->partitions[partition];
    if (claim->owner != m)
        return TM_OK;
    if (claim->position < part->low)
        return tm_fail(err, TM_E_GAP,
                       "topic %s partition %" PRId32 ": offset %" PRId64
                       " is gone, the log begins at %" PRId64
                       "; records were lost before they were read",
                       t->name, partition, claim->position, part->low);
    int64_t end = (int64_t)part->records_count;
    if (part->hold >= 0 && part->hold < end)
        end = part->hold;
    while (*out_count < out_cap && claim->position < end) {
        const struct mem_stored *s = &part->records[claim->position];
        out[(*out_count)++] =
            (struct tm_record){ .topic = t->name,
                                .partition = partition,
                                .offset = claim->position,
                                .key = s->has_key ? s->data : NULL,
                                .key_bytes = s->key_bytes,
                                .value = s->has_value ? s->data + s->key_bytes : NULL,
                                .value_bytes = s->value_bytes,
                                .timestamp_ms = s->timestamp_ms };
        m->topic.counts.fetched++;
        m->topic.counts.fetched_bytes += s->key_bytes + s->value_bytes;
        claim->position++;
    }
    if (claim->position > part->read)
        part->read = claim->position;
    return TM_OK;
}

static enum tm_code mem_fetch(struct tm_topic *topic, struct tm_record *out, size_t out_cap,
                              size_t *out_count, struct tm_err *err)
{
    struct topic_mem *m = (struct topic_mem *)topic;
    struct tm_mem_broker *b = m->broker;
    *out_count = 0;
    assert(m->group != NULL);
    if (out_cap > TM_TOPIC_FETCH_MAX)
        out_cap = TM_TOPIC_FETCH_MAX;
    enum tm_code rc = mem_rebalance(m, err);
    /* Every fetch begins at another topic, so that a busy one does not starve the rest. */
    for (size_t i = 0; rc == TM_OK && i < b->topics_count; i++) {
        size_t t = (i + m->turn) % b->topics_count;
        for (int32_t p = 0; rc == TM_OK && p < b->topics[t].partitions_count; p++)
            rc = mem_fetch_partition(m, t, p, out, out_cap, out_count, err);
    }
    m->turn++;
    if (rc != TM_OK)
        return rc;
    return *out_count > 0 ? TM_OK : TM_E_AGAIN;
}

static struct mem_claim *mem_claim(struct topic_mem *m, const char *topic, int32_t partition)
{
    size_t t = mem_topic_index(m->broker, topic);
    if (m->group == NULL || t == SIZE_MAX || partition < 0 ||
        partition >= m->broker->topics[t].partitions_count)
        return NULL;
    struct mem_claim *claims = mem_claims(m->broker, m->group, t);
    return claims != NULL ? &claims[partition] : NULL;
}

static enum tm_code mem_seek(struct tm_topic *topic, const char *name, int32_t partition,
                             int64_t offset, struct tm_err *err)
{
    struct mem_claim *claim = mem_claim((struct topic_mem *)topic, name, partition);
    const struct mem_partition *part =
        mem_partition(((struct topic_mem *)topic)->broker, name, partition);
    if (claim == NULL || claim->owner != (struct topic_mem *)topic)
        return tm_fail(err, TM_E_ARG, "seek: topic %s partition %" PRId32 " is not ours", name,
                       partition);
    claim->position = offset == TM_OFFSET_BEGINNING ? 0
                      : offset == TM_OFFSET_END     ? (int64_t)part->records_count
                                                    : offset;
    if (claim->position < part->low || claim->position > (int64_t)part->records_count)
        return tm_fail(err, TM_E_GAP,
                       "seek: topic %s partition %" PRId32 " holds offsets %" PRId64
                       " to %zu, not %" PRId64,
                       name, partition, part->low, part->records_count, claim->position);
    return TM_OK;
}

static enum tm_code mem_commit(struct tm_topic *topic, const char *name, int32_t partition,
                               int64_t offset_next, struct tm_err *err)
{
    struct mem_claim *claim = mem_claim((struct topic_mem *)topic, name, partition);
    if (claim == NULL)
        return tm_fail(err, TM_E_ARG, "commit: no partition %" PRId32 " of topic %s, or no group",
                       partition, name);
    if (claim->owner ==
        (struct topic_mem *)topic) /* a zombie's commit is refused, as by a broker */
        claim->committed = offset_next;
    return TM_OK;
}

static enum tm_code mem_watermarks(struct tm_topic *topic, const char *name, int32_t partition,
                                   int64_t *out_low, int64_t *out_high, struct tm_err *err)
{
    const struct mem_partition *part =
        mem_partition(((struct topic_mem *)topic)->broker, name, partition);
    if (part == NULL)
        return tm_fail(err, TM_E_ARG, "watermarks: no partition %" PRId32 " of topic %s", partition,
                       name);
    *out_low = part->low;
    *out_high = (int64_t)part->records_count;
    return TM_OK;
}

static enum tm_code mem_partitions(struct tm_topic *topic, const char *name, int32_t *out_count,
                                   struct tm_err *err)
{
    const struct tm_mem_broker *b = ((struct topic_mem *)topic)->broker;
    size_t t = mem_topic_index(b, name);
    if (t == SIZE_MAX)
        return tm_fail(err, TM_E_ARG, "topic %s does not exist", name);
    *out_count = b->topics[t].partitions_count;
    return TM_OK;
}

static enum tm_code mem_cluster_id(struct tm_topic *topic, const char **out, struct tm_err *err)
{
    (void)topic, (void)err;
    *out = "memory";
    return TM_OK;
}

static int64_t mem_next_at(struct tm_topic *topic)
{
    (void)topic;
    return TM_NEVER;
}

static int mem_event_fd(struct tm_topic *topic)
{
    (void)topic;
    return -1;
}

static void mem_close(struct tm_topic *topic)
{
    struct topic_mem *m = (struct topic_mem *)topic;
    if (m == NULL)
        return;
    if (m->group != NULL) {
        struct mem_group *g = m->group;
        for (size_t i = 0; i < g->members_count; i++)
            if (g->members[i] == m) {
                memmove(&g->members[i], &g->members[i + 1],
                        (g->members_count - i - 1) * sizeof g->members[0]);
                g->members_count--;
                break;
            }
        for (size_t t = 0; t < m->broker->topics_count; t++)
            for (int32_t p = 0; g->claims[t] != NULL && p < m->broker->topics[t].partitions_count;
                 p++)
                if (g->claims[t][p].owner == m)
                    g->claims[t][p].owner = NULL;
    }
    for (size_t i = 0; i < m->wanted_count; i++)
        free(m->wanted[i]);
    m->broker->adapters--;
    m->broker->changes++;
    free(m->wanted);
    free(m->subscribed);
    free(m);
}

enum tm_code tm_topic_mem_open(struct tm_topic **out, struct tm_mem_broker *b,
                               const struct tm_kafka_options *options, struct tm_err *err)
{
    static const struct tm_topic_ops ops = { mem_produce,    mem_flush,      mem_fetch,
                                             mem_seek,       mem_commit,     mem_watermarks,
                                             mem_partitions, mem_cluster_id, mem_next_at,
                                             mem_event_fd,   mem_close };
    struct topic_mem *m = calloc(1, sizeof *m);
    if (m == NULL)
        return tm_fail(err, TM_E_NOMEM, "in-memory topic: %zu bytes", sizeof *m);
    m->topic.ops = &ops;
    m->broker = b;
    b->adapters++;
    m->serial = ++b->serials;
    b->changes++;
    m->settled = UINT64_MAX;
    m->owner = options->owner;
    m->embedded = options->embedded;
    m->subscribed = calloc(TM_MEM_TOPICS_MAX, sizeof *m->subscribed);
    m->wanted = calloc(options->topics_count + 1, sizeof *m->wanted);
    bool ok = m->subscribed != NULL && m->wanted != NULL;
    for (size_t i = 0; ok && i < options->topics_count; i++)
        ok = (m->wanted[m->wanted_count++] = strdup(options->topics[i])) != NULL;
    for (size_t i = 0; ok && i < options->reading_groups_count; i++)
        ok = m->readers_count < TM_MEM_GROUPS_MAX &&
             (m->readers[m->readers_count++] = mem_group(b, options->reading_groups[i], err)) !=
                 NULL;
    struct mem_group *g = ok && options->group != NULL ? mem_group(b, options->group, err) : NULL;
    if (!ok || (options->group != NULL && (g == NULL || g->members_count == TM_MEM_MEMBERS_MAX))) {
        mem_close(&m->topic);
        return tm_fail(err, TM_E_LIMIT, "in-memory topic: out of memory, groups or members");
    }
    if (g != NULL)
        g->members[g->members_count++] = m;
    m->group = g;
    *out = &m->topic;
    return TM_OK;
}

/* ---- hooks ---- */

void tm_mem_set_time(struct tm_mem_broker *b, int64_t epoch_ms)
{
    b->time_ms = epoch_ms;
}
void tm_mem_refuse(struct tm_mem_broker *b, unsigned count)
{
    b->refuse = count;
}
void tm_mem_set_message_max(struct tm_mem_broker *b, size_t bytes, bool at_delivery)
{
    b->message_bytes_max = bytes;
    b->message_late = at_delivery;
}
void tm_mem_duplicate(struct tm_mem_broker *b, unsigned count)
{
    b->duplicate = count;
}
void tm_mem_swap(struct tm_mem_broker *b, unsigned count)
{
    b->swap = count;
}
const struct tm_mem_planted *tm_mem_planted(const struct tm_mem_broker *b)
{
    return &b->planted;
}
void tm_mem_hold_acks(struct tm_mem_broker *b, bool held)
{
    b->acks_held = held;
}

void tm_mem_evict(struct tm_mem_broker *b, const char *topic, int32_t partition, int64_t offset_low)
{
    struct mem_partition *part = mem_partition(b, topic, partition);
    assert(part != NULL && offset_low >= part->low && offset_low <= (int64_t)part->records_count);
    for (int64_t i = part->low; i < offset_low; i++) {
        free(part->records[i].data);
        part->records[i].data = NULL;
    }
    part->low = offset_low;
}

void tm_mem_hold(struct tm_mem_broker *b, const char *topic, int32_t partition,
                 int64_t offset_first)
{
    struct mem_partition *part = mem_partition(b, topic, partition);
    assert(part != NULL);
    part->hold = offset_first;
}

int64_t tm_mem_committed(const struct tm_mem_broker *b, const char *group, const char *topic,
                         int32_t partition)
{
    size_t t = mem_topic_index(b, topic);
    for (size_t g = 0; t != SIZE_MAX && g < b->groups_count; g++)
        if (strcmp(b->groups[g].name, group) == 0 && b->groups[g].claims[t] != NULL)
            return b->groups[g].claims[t][partition].committed;
    return -1;
}

bool tm_mem_record(const struct tm_mem_broker *b, const char *topic, int32_t partition,
                   int64_t offset, struct tm_record *out)
{
    const struct mem_partition *part = mem_partition(b, topic, partition);
    if (part == NULL || offset < part->low || offset >= (int64_t)part->records_count)
        return false;
    const struct mem_stored *s = &part->records[offset];
    *out = (struct tm_record){ .topic = topic,
                               .partition = partition,
                               .offset = offset,
                               .key = s->has_key ? s->data : NULL,
                               .key_bytes = s->key_bytes,
                               .value = s->has_value ? s->data + s->key_bytes : NULL,
                               .value_bytes = s->value_bytes,
                               .timestamp_ms = s->timestamp_ms };
    return true;
}

uint64_t tm_mem_appended(const struct tm_mem_broker *b)
{
    return b->appended;
}

int64_t tm_mem_high(const struct tm_mem_broker *b, const char *topic, int32_t partition)
{
    const struct mem_partition *part = mem_partition(b, topic, partition);
    return part != NULL ? (int64_t)part->records_count : -1;
}
