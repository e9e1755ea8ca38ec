/* checkpoint: how far a source has come, kept on the topic tidemark.offsets: object -> (epoch,
 * replay id); the last record per key counts. in: a consumer of that topic; out: the checkpoint in
 * force, or none. Value: Avro in registry framing; it names the org and the topic it is about, and
 * is refused by a source of another org or topic, which would go on where it never was. */
#ifndef TM_SOURCE_CHECKPOINT_H
#define TM_SOURCE_CHECKPOINT_H
#include "event/value.h"
#include "topic/registry.h"
#include "topic/topic.h"

struct tm_checkpoint {
    int64_t replay_id; /* every event up to it is acknowledged; -1 = none yet */
    int64_t commit_ms; /* its commit time */
    int32_t epoch;
    bool copy_asked; /* of this epoch */
};
struct tm_checkpoint_home { /* borrowed texts */
    const char *object, *org /* 18 characters, "" = not known */,
        *topic /* kafka.topic, as given */;
};
extern const char tm_checkpoint_schema[]; /* Avro schema text */
enum tm_code tm_checkpoint_encode(struct tm_buf *out, const struct tm_avro_schema *schema,
                                  int32_t schema_id, const struct tm_checkpoint_home *home,
                                  const struct tm_checkpoint *c, struct tm_err *err);

/* Reads the partition that holds the object's key from its low watermark to where its end was at
 * the first step. */
struct tm_checkpoint_reader {
    char object[128], name[250]; /* name: of the topic */
    struct tm_topic *topic;      /* borrowed; NULL = nothing to read (not set yet) */
    int32_t partition;           /* -1 until the number of partitions is known */
    int64_t low, high, next;
    bool known, decoded; /* watermarks known; last is decoded */
    struct tm_buf last;  /* value of the last record of this key */
    int64_t last_offset;
};
void tm_checkpoint_reader_init(struct tm_checkpoint_reader *r, const char *object,
                               const char *name);
void tm_checkpoint_reader_free(struct tm_checkpoint_reader *r);
struct tm_topic_owner tm_checkpoint_reader_owner(struct tm_checkpoint_reader *r);
/* TM_OK: *out_found says whether *out was filled. TM_E_MISMATCH: what is there is of another home.
 * At most one outside effect a call. */
enum tm_code tm_checkpoint_read(struct tm_checkpoint_reader *r, const struct tm_now *now,
                                struct tm_registry *registry, const struct tm_checkpoint_home *home,
                                struct tm_checkpoint *out, bool *out_found, struct tm_err *err);
#endif
