/* topic_mem: an in-memory broker and its adapter of the topic port, for simulation and tests. in:
 * produced records; out: the same records, in offset order, to every group. Deterministic: no
 * thread, no clock, no chance; a rebalance is answered in the next fetch of the member concerned,
 * and a partition is never owned by two members at once. The broker owns records, groups and
 * commits: they outlive every adapter, as a broker's do. Timestamps of records are what
 * tm_mem_set_time said last. Hooks plant what a real broker does on a bad day; each is explicit and
 * counted down. */
#ifndef TM_MOCKS_KAFKA_TOPIC_MEM_H
#define TM_MOCKS_KAFKA_TOPIC_MEM_H
#include "topic/topic.h"

#define TM_MEM_TOPICS_MAX 64
#define TM_MEM_PARTITIONS_MAX 64
#define TM_MEM_GROUPS_MAX 32
#define TM_MEM_MEMBERS_MAX 32 /* per group */
#define TM_MEM_UNREAD_BYTES_MAX                                                                    \
    (2u << 20) /* a partition's bytes that some reading group has not committed */
struct tm_mem_broker;
enum tm_code tm_mem_broker_open(struct tm_mem_broker **out, struct tm_err *err);
void tm_mem_broker_close(struct tm_mem_broker *b); /* after all its adapters */
enum tm_code tm_mem_topic_create(struct tm_mem_broker *b, const char *topic, int32_t partitions,
                                 struct tm_err *err);
/* options->brokers, client_id and properties have no meaning here. Unread bytes are bounded when
 * options->embedded. */
enum tm_code tm_topic_mem_open(struct tm_topic **out, struct tm_mem_broker *b,
                               const struct tm_kafka_options *options, struct tm_err *err);

void tm_mem_set_time(struct tm_mem_broker *b, int64_t epoch_ms);
/* The log now begins at offset_low: what was before it is gone, as after retention. */
void tm_mem_evict(struct tm_mem_broker *b, const char *topic, int32_t partition,
                  int64_t offset_low);
/* The next `count` produced records are accepted and then fail their delivery. */
void tm_mem_refuse(struct tm_mem_broker *b, unsigned count);
/* Records of more bytes, key and value, are refused with TM_E_LIMIT: by produce, as a client does
 * over its message.max.bytes, or at their delivery, as a topic over its max.message.bytes. 0 = any
 * size. */
void tm_mem_set_message_max(struct tm_mem_broker *b, size_t bytes, bool at_delivery);
/* The next `count` produced records are appended twice. */
void tm_mem_duplicate(struct tm_mem_broker *b, unsigned count);
/* The next `count` records that find one of the same producer before them in their partition, not
 * yet acknowledged and not yet read, go before it: what a producer with several requests under way
 * and no idempotence gives. */
void tm_mem_swap(struct tm_mem_broker *b, unsigned count);
/* Records at or beyond offset_first stay invisible to fetch until held with another offset; -1 =
 * nothing held. */
void tm_mem_hold(struct tm_mem_broker *b, const char *topic, int32_t partition,
                 int64_t offset_first);
/* While set, flush answers TM_E_AGAIN: nothing is acknowledged yet. */
void tm_mem_hold_acks(struct tm_mem_broker *b, bool held);

/* What was planted and has struck, so far. */
struct tm_mem_planted {
    uint64_t refused, duplicated, swapped, acks_held /* flushes that had to wait */;
};
const struct tm_mem_planted *tm_mem_planted(const struct tm_mem_broker *b);

/* For assertions: committed offset of a group, -1 when none; a record by offset, false when not
 * there. */
int64_t tm_mem_committed(const struct tm_mem_broker *b, const char *group, const char *topic,
                         int32_t partition);
bool tm_mem_record(const struct tm_mem_broker *b, const char *topic, int32_t partition,
                   int64_t offset, struct tm_record *out);
uint64_t tm_mem_appended(const struct tm_mem_broker *b); /* to any topic, ever */
int64_t tm_mem_high(const struct tm_mem_broker *b, const char *topic, int32_t partition);
#endif
