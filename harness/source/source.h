/* source: change events of one Salesforce object to its raw topic, in the connector's form
 * (facts/connectors.md 1). in: CometD deliveries; out: one record per event and record id (or the
 * connector's single one), keyed by it; overflow and conversion to every partition; the first-copy
 * ask (R14); a checkpoint after everything before it is acknowledged. Pure over its ports: session,
 * topics, registry. Restart and reconnect repeat events, never lose one.
 *
 *   SIGN_IN → DESCRIBE → REGISTER → CHECKPOINT → PARTITIONS → SUBSCRIBE → STREAM ─┐ new event
 * schema or unknown field: ▲                                                               │
 * describe and register again, then
 *                 └───────────────────────────────────────────────────────────────┘ go on with the
 * event that showed it STREAM: take a batch → produce it → all acknowledged → checkpoint, confirm →
 * take the next
 *
 * 1. A replay id is confirmed to CometD, and put into the checkpoint, only when every record of
 * every event up to it is acknowledged. 2. A position is (epoch, replay id); the epoch grows
 * exactly when the replay line broke (R15), and each epoch asks for its own first copy. 3. No event
 * is produced under a schema that does not know all its fields, unless the object itself no longer
 * has them. 4. An epoch's first event is produced only when a checkpoint of that epoch is
 *    acknowledged: whoever comes after a crash reads on, and does not begin anew above a hole. 5.
 * An event that cannot be read, or that Kafka refuses for good (too large), is kept aside, asked
 * for and passed over. */
#ifndef TM_SOURCE_SOURCE_H
#define TM_SOURCE_SOURCE_H
#include "base/config.h"
#include "base/trace.h"
#include "salesforce/session.h"
#include "source/aside.h"
#include "topic/registry.h"
#include "topic/topic.h"

/* which connector: change events, a PushTopic's, a platform event's (push.h) */
enum tm_source_kind { TM_SOURCE_CHANGES, TM_SOURCE_PUSH_TOPIC, TM_SOURCE_PLATFORM_EVENT };
enum tm_source_invalid { TM_SOURCE_ALL, TM_SOURCE_LATEST, TM_SOURCE_FAIL };
struct tm_source_settings { /* strings are borrowed from the config */
    struct tm_sf_settings session;
    enum tm_source_kind kind;
    char name[136]; /* of files and clients: "Opportunity", "topic-Deals", "event-Low_Ink__e" */
    bool push_topic_create, push_topic_notify[4]; /* create, update, delete, undelete */
    char object[128], channel[160]; /* "Opportunity", "/data/OpportunityChangeEvent" */
    char object_type[140];          /* "OpportunityChangeEvent": _ObjectType */
    const char *topic_template, *pipeline;
    const char *offsets_topic; /* of checkpoints */
    bool topic_lowercase, start_all, convert_changed_fields, keep_merged;
    enum tm_source_invalid invalid_replay;
    size_t message_bytes_max;
    int64_t audit_ms;   /* org time; 0 = never */
    const char *const *reading_groups;
    size_t reading_groups_count; /* who consumes what is produced */
    /* The broker lost its topics, checkpoints among them: where to go on instead of a first start,
     * with a copy for what was lost on its way. */
    bool lost;
    int32_t lost_epoch;
    int64_t lost_replay_id; /* -1: nothing was received */
};
const struct tm_key *tm_source_keys(size_t *out_count);
/* Borrows from `config`. salesforce_url NULL = the config's salesforce.instance. */
enum tm_code tm_source_settings_read(struct tm_source_settings *out, const struct tm_config *config,
                                     const char *salesforce_url, struct tm_err *err);
/* Topic a record of this event schema goes to ("" before the first event, when the template asks
 * for _EventType). */
enum tm_code tm_source_topic(char out[250], const struct tm_source_settings *settings,
                             const char *event_type, struct tm_err *err);

struct tm_source_ports { /* borrowed */
    struct tm_sf_session *session;
    struct tm_topic *topic; /* producer of events and asks */
    struct tm_topic
        *checkpoints; /* producer of checkpoints, which no reading group ever consumes */
    struct tm_registry *registry;
    struct tm_trace *trace; /* may be NULL */
    struct tm_aside
        *aside; /* of events that cannot be read or sent; NULL: such an event ends the station */
};
struct tm_source_counts {
    uint64_t events, records, copies, epochs, describes, checkpoints, unknown_fields, aside;
};
struct tm_source;
enum tm_code tm_source_open(struct tm_source **out, const struct tm_source_settings *settings,
                            const struct tm_source_ports *ports, struct tm_err *err);
void tm_source_close(struct tm_source *s);
/* A consumer of offsets_topic, opened with this owner: borrowed until tm_source_needs_offsets
 * says no. */
struct tm_topic_owner tm_source_offsets_owner(struct tm_source *s);
void tm_source_set_offsets(struct tm_source *s, struct tm_topic *offsets);
bool tm_source_needs_offsets(const struct tm_source *s);
enum tm_code tm_source_step(struct tm_source *s, const struct tm_now *now, struct tm_wake *wake,
                            struct tm_err *err);
const struct tm_source_counts *tm_source_counts(const struct tm_source *s);
/* Replay id up to which everything is in Kafka; -1 = nothing was received. */
int64_t tm_source_position(const struct tm_source *s);
/* subscribed, the first copy asked and acknowledged */
bool tm_source_live(const struct tm_source *s);
#endif
