/* push: events that are whole in themselves, PushTopic notifications and platform events, to a
 * topic, in the form of the connectors that are made for them. in: CometD deliveries; out: one
 * record an event, and a checkpoint after everything before it is acknowledged. No first copy, no
 * asks: what the org no longer keeps is lost, and told. Pure over its ports. Restart and reconnect
 * repeat events, never lose one that the org still keeps.
 *
 *   SIGN_IN → DESCRIBE → TOPIC (a PushTopic that is not there is made) → REGISTER → CHECKPOINT
 *   → STREAM: take a batch → produce it → all acknowledged → checkpoint, confirm → take the next
 *
 * 1. A checkpoint of the epoch is acknowledged before its first event is taken, so that whoever
 *    comes after a crash reads on from there.
 * 2. A replay id is confirmed, and put into the checkpoint, only when every record up to it is
 *    acknowledged.
 * 3. An event that cannot be read is kept aside and passed over.
 *
 * PushTopic: key = Id; value: Id, the object's fields in describe order without compounds,
 * _ObjectType (object), _EventType (created, updated, deleted, undeleted), then ours: _ReplayId,
 * _epoch. Platform event: key = its name, which keeps the order; value: ReplayId, CreatedDate,
 * CreatedById, EventUuid, its fields in describe order, _ObjectType, _EventType (schema id), then
 * ours: _epoch. Source: captured output of
 * io.confluent.salesforce.SalesforcePushTopicSourceConnector and
 * SalesforcePlatformEventSourceConnector in vdesabou/kafka-docker-playground (read 2026-11). */
#ifndef TM_SOURCE_PUSH_H
#define TM_SOURCE_PUSH_H
#include "source/source.h"

#define TM_PUSH_QUERY_BYTES_MAX 1300 /* of a PushTopic that is made here */
struct tm_push;
/* settings->kind is not TM_SOURCE_CHANGES. */
enum tm_code tm_push_open(struct tm_push **out, const struct tm_source_settings *settings,
                          const struct tm_source_ports *ports, struct tm_err *err);
void tm_push_close(struct tm_push *p); /* NULL-safe */
/* As of source.h. */
struct tm_topic_owner tm_push_offsets_owner(struct tm_push *p);
void tm_push_set_offsets(struct tm_push *p, struct tm_topic *offsets);
bool tm_push_needs_offsets(const struct tm_push *p);
enum tm_code tm_push_step(struct tm_push *p, const struct tm_now *now, struct tm_wake *wake,
                          struct tm_err *err);
bool tm_push_live(const struct tm_push *p);
/* The Avro schema of its records. */
enum tm_code tm_push_schema(struct tm_buf *out, const struct tm_source_settings *settings,
                            const struct tm_describe *d, struct tm_err *err);
/* The query of a PushTopic over the object: Id and as many fields as fit, in describe order.
 * *out_left: how many did not. */
enum tm_code tm_push_query(struct tm_buf *out, const struct tm_describe *d, size_t *out_left,
                           struct tm_err *err);
#endif
