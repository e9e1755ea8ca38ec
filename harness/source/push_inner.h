/* push_inner: what the files of the push source share: its memory, and one event taken apart. */
#ifndef TM_SOURCE_PUSH_INNER_H
#define TM_SOURCE_PUSH_INNER_H
#include "base/text.h"
#include "event/contract.h"
#include "salesforce/cometd.h"
#include "source/checkpoint.h"
#include "source/push.h"

enum push_state {
    PUSH_SIGN_IN,
    PUSH_DESCRIBE,
    PUSH_TOPIC,
    PUSH_REGISTER,
    PUSH_CHECKPOINT,
    PUSH_BEGIN,
    PUSH_STREAM
};
enum push_phase { PUSH_TAKE, PUSH_PRODUCE, PUSH_ACK };

struct push_event { /* borrowed from its delivery */
    int64_t replay_id;
    const json_t *body; /* sobject, payload */
    const char *type, *uuid, *id;
    char id18[TM_ID_BYTES];
};
struct tm_push {
    struct tm_source_settings set;
    struct tm_source_ports ports;
    uint64_t aside_count; /* events that could not be read */
    enum push_state state;
    enum push_phase phase;
    struct tm_cometd *cometd;
    struct tm_describe *describe;
    struct tm_sf_call *call; /* of PUSH_TOPIC */
    bool asked;              /* the PushTopic was looked for and is not there */
    char topic[TM_TOPIC_NAME_MAX];
    int32_t raw_id, offsets_id;
    unsigned registered; /* how many of the two are */
    struct tm_avro_schema *raw, *offsets;
    struct tm_buf text, record, arena;
    struct tm_value *values;
    size_t values_count;
    json_t *dropped; /* fields that even a fresh describe does not know */
    bool renewed;    /* described again for the event at hand */
    struct tm_checkpoint_reader reader;
    struct tm_checkpoint at; /* acknowledged */
    bool found, checkpoint_due, begin_sent;
    int64_t checkpoint_next_ns, pause_until_ns;
    json_t *events; /* the batch under way */
    size_t event_at;
    int64_t batch_high;
    unsigned delivery_failures;
};

/* ---- push_record.c ---- */
bool tm_push_column(enum tm_source_kind kind, const struct tm_field *f);
enum tm_code tm_push_parse(struct tm_push *p, const json_t *delivery, struct push_event *out,
                           struct tm_err *err);
/* A field of the event that the describe does not know; NULL = all known. */
const char *tm_push_unknown(const struct tm_push *p, const struct push_event *event);
enum tm_code tm_push_encode(struct tm_push *p, const struct push_event *event, struct tm_err *err);
#endif
