/* inbox: one batch of fetched records, decoded one by one with their writers' schemas. in: a topic
 * port, a registry client; out: rows. A record that cannot be decoded is kept aside: topic,
 * partition, offset, reason, key and value (base64) go to a SQLite file, once, before the next
 * record is handed out, and are counted; it is never skipped silently. Ports are borrowed. Never
 * waits: TM_E_AGAIN while a schema is being asked for or the file is busy. */
#ifndef TM_TOPIC_INBOX_H
#define TM_TOPIC_INBOX_H
#include "topic/registry.h"
#include "topic/topic.h"

struct tm_inbox;
/* aside_path: the SQLite file, made when first needed; table aside(topic, partition, offset,
 * reason, key, value). */
enum tm_code tm_inbox_open(struct tm_inbox **out, struct tm_topic *topic,
                           struct tm_registry *registry, const char *aside_path,
                           struct tm_err *err);
void tm_inbox_close(struct tm_inbox *in); /* NULL-safe */
/* The next batch; the one before must have been taken whole. TM_E_AGAIN when there is nothing. */
enum tm_code tm_inbox_fetch(struct tm_inbox *in, struct tm_err *err);
/* Next record of the batch and its row, both borrowed until the next take or fetch; *out_record
 * NULL = all taken. */
enum tm_code tm_inbox_take(struct tm_inbox *in, const struct tm_now *now,
                           const struct tm_record **out_record, const struct tm_row **out_row,
                           struct tm_err *err);
/* Puts a record just taken aside after all, for `reason`: its row lacks what its topic promises. */
enum tm_code tm_inbox_refuse(struct tm_inbox *in, const char *reason, struct tm_err *err);
void tm_inbox_rewind(struct tm_inbox *in); /* the batch again, from its first record */
/* Commits the batch: for each partition, the offset behind its last record. */
enum tm_code tm_inbox_commit(struct tm_inbox *in, struct tm_err *err);
uint64_t tm_inbox_aside_count(const struct tm_inbox *in); /* records kept aside since open */
#endif
