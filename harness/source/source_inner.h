/* source_inner: what the source's own files share: its memory, and the schemas it writes with. */
#ifndef TM_SOURCE_SOURCE_INNER_H
#define TM_SOURCE_SOURCE_INNER_H
#include "event/change.h"
#include "event/contract.h"
#include "salesforce/cometd.h"
#include "source/checkpoint.h"
#include "source/seen.h"
#include "source/source.h"

enum source_state {
    SOURCE_SIGN_IN,
    SOURCE_DESCRIBE,
    SOURCE_REGISTER,
    SOURCE_CHECKPOINT,
    SOURCE_PARTITIONS,
    SOURCE_SUBSCRIBE,
    SOURCE_STREAM
};
enum source_phase { PHASE_TAKE, PHASE_PRODUCE, PHASE_ACK, PHASE_COPY, PHASE_COPY_ACK };

#define SOURCE_REASON_BYTES 700
struct tm_source {
    struct tm_source_settings set;
    struct tm_source_ports ports;
    struct tm_source_counts counts;
    enum source_state state;
    enum source_phase phase;
    struct tm_cometd *cometd;
    struct tm_describe *describe;
    /* schemas in force */
    char raw_topic[TM_TOPIC_NAME_MAX], alerts_topic[TM_TOPIC_NAME_MAX];
    int32_t raw_id, alerts_id, offsets_id, raw_partitions, alerts_partitions;
    unsigned registered;                        /* how many of the three are */
    char event_type[TM_SOURCE_SCHEMA_ID_BYTES]; /* event schema id the raw topic was named by; "" =
                                                   none yet */
    struct tm_avro_schema *raw, *alerts, *offsets;
    struct tm_buf schema_text, record;
    struct tm_value *values;
    size_t values_count;
    const char **columns;
    size_t columns_count; /* names of the describe; column i is schema field 3 + i */
    struct tm_source_seen schema_ids;
    json_t *dropped; /* fields that even a fresh describe does not know */
    bool renewed;    /* described again for the event at hand */
    /* where it stands */
    struct tm_checkpoint_reader reader;
    struct tm_checkpoint at;      /* acknowledged */
    bool after_loss;              /* of the broker's topics */
    bool resumed;                 /* a checkpoint was found, or a position is known */
    int64_t high, high_commit_ms; /* highest received in this epoch; -1 = none */
    bool high_dated;              /* and that is when it was committed, not an earlier one */
    bool checkpoint_due;
    bool begun, begin_sent; /* a checkpoint of this epoch is acknowledged; is under way */
    int64_t checkpoint_next_ns;
    int64_t audit_next_ms; /* org time; TM_NEVER = not scheduled */
    const char *copy_reason;
    bool copy_first;
    int64_t copy_g;
    /* the batch under way */
    json_t *events;
    size_t event_at, id_at;
    int32_t part_at;
    struct tm_change_event event;
    bool event_parsed;
    bool event_aside; /* it cannot be read or sent, and is kept aside already */
    bool one_by_one; /* Kafka refused one of the batch for good: each event is acknowledged alone */
    char refusal[SOURCE_REASON_BYTES]; /* why the event at hand cannot be sent; "" = it may */
    int64_t *marks;
    size_t marks_count, marks_cap;            /* replay ids to be traced when acknowledged */
    int64_t batch_high, batch_high_commit_ms; /* highest of the batch; -1 = nothing to confirm */
    unsigned delivery_failures;
    int64_t pause_until_ns;
};

/* send.c: the event at hand, parsed into s->event */
enum tm_code tm_source_parse(struct tm_source *s, struct tm_err *err);
bool tm_source_is_stale(struct tm_source *s); /* does it ask for a fresh describe? */
/* The record in s->record to a topic. partition -1 = by key. */
enum tm_code tm_source_send(struct tm_source *s, const char *topic, int32_t partition,
                            const char *key, struct tm_err *err);
enum tm_code tm_source_produce_event(struct tm_source *s, struct tm_err *err);
/* schema.c: one exchange a step; TM_OK moves s->state on */
enum tm_code tm_source_describe(struct tm_source *s, const struct tm_now *now, struct tm_err *err);
enum tm_code tm_source_register(struct tm_source *s, const struct tm_now *now, struct tm_err *err);
#endif
