/* ask: raises no_base (R7, R12, R14) for records that lack the full image below an update. in:
 * state rows marked _ask; out: alerts, one a record, and the mark that it was asked for, after the
 * broker has acknowledged. */
#ifndef TM_VIEW_ASK_H
#define TM_VIEW_ASK_H
#include "topic/registry.h"
#include "topic/topic.h"
#include "view/follow.h"

struct tm_view_ask {
    char *id;
    struct tm_view_key key;
    int64_t commit_ms;
};
struct tm_view_asker {
    struct tm_topic *topic;
    struct tm_registry *registry; /* borrowed */
    enum {
        TM_VIEW_ASK_IDLE,
        TM_VIEW_ASK_SCHEMA,
        TM_VIEW_ASK_PRODUCE,
        TM_VIEW_ASK_FLUSH,
        TM_VIEW_ASK_MARK
    } state;
    struct tm_view_follow *follow; /* whose records are being asked for; borrowed */
    const struct tm_describe *describe;
    struct tm_view_ask *asks;
    size_t count, cap, next; /* next: first not yet handed to the topic */
    struct tm_buf schema_text;
    struct tm_avro_schema *schema;
    int32_t schema_id;
};
void tm_view_asker_init(struct tm_view_asker *a, struct tm_topic *topic,
                        struct tm_registry *registry);
void tm_view_asker_free(struct tm_view_asker *a);
/* Starts when `f` has records to ask for (*out_any); R14: not before its first copy is in force. */
enum tm_code tm_view_asker_begin(struct tm_view_asker *a, struct tm_view_follow *f,
                                 const struct tm_describe *describe, size_t asks_max, bool *out_any,
                                 struct tm_err *err);
/* One effect further; TM_E_AGAIN while one is under way. `seq` is for the last step, a transaction
 * of the caller's. */
enum tm_code tm_view_asker_step(struct tm_view_asker *a, const struct tm_now *now,
                                struct tm_err *err);
#endif
