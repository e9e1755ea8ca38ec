#include "source/source_inner.h"
#include "source/aside.h"
#include "base/log.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* a step is bounded work */
#define SOURCE_EVENTS_A_STEP 200
#define SOURCE_RECORD_BYTES_MAX (16u << 20)
#define SOURCE_SCHEMA_BYTES_MAX (1u << 20)
/* a batch that Kafka lost is sent again so often */
#define SOURCE_DELIVERY_TRIES 5
#define SOURCE_DELIVERY_PAUSE_NS TM_NS_PER_S
/* a port that does not say when: look again */
#define SOURCE_LOOK_NS (20 * TM_NS_PER_MS)
/* no more often: a restart repeats that much */
#define SOURCE_CHECKPOINT_NS (50 * TM_NS_PER_MS)
/* commit times are whole seconds: closer is no proof */
#define SOURCE_BACKWARD_MS 1000

/* ---- opening and closing ---- */

enum tm_code tm_source_open(struct tm_source **out, const struct tm_source_settings *settings,
                            const struct tm_source_ports *ports, struct tm_err *err)
{
    struct tm_source *s = calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL || (s->dropped = json_object()) == NULL) {
        free(s);
        return tm_fail(err, TM_E_NOMEM, "source");
    }
    s->set = *settings;
    s->ports = *ports;
    s->at = (struct tm_checkpoint){ .replay_id = -1 };
    s->high = s->batch_high = -1;
    s->audit_next_ms = TM_NEVER;
    tm_buf_init(&s->schema_text, SOURCE_SCHEMA_BYTES_MAX);
    tm_buf_init(&s->record, SOURCE_RECORD_BYTES_MAX);
    tm_change_event_init(&s->event);
    s->event.convert_changed_fields = settings->convert_changed_fields;
    tm_checkpoint_reader_init(&s->reader, settings->object, settings->offsets_topic);
    tm_contract_topic_alerts(s->alerts_topic, settings->object);
    *out = s;
    return TM_OK;
}

void tm_source_close(struct tm_source *s)
{
    if (s == NULL)
        return;
    tm_cometd_close(s->cometd);
    tm_describe_close(s->describe);
    tm_avro_schema_close(s->raw);
    tm_avro_schema_close(s->alerts);
    tm_avro_schema_close(s->offsets);
    tm_buf_free(&s->schema_text);
    tm_buf_free(&s->record);
    tm_change_event_free(&s->event);
    tm_checkpoint_reader_free(&s->reader);
    json_decref(s->events);
    json_decref(s->dropped);
    free(s->values);
    free(s->columns);
    free(s->marks);
    free(s);
}

struct tm_topic_owner tm_source_offsets_owner(struct tm_source *s)
{
    return tm_checkpoint_reader_owner(&s->reader);
}
void tm_source_set_offsets(struct tm_source *s, struct tm_topic *offsets)
{
    s->reader.topic = offsets;
}
bool tm_source_needs_offsets(const struct tm_source *s)
{
    return s->state <= SOURCE_CHECKPOINT && s->cometd == NULL;
}
const struct tm_source_counts *tm_source_counts(const struct tm_source *s)
{
    return &s->counts;
}

int64_t tm_source_position(const struct tm_source *s)
{
    return s->at.replay_id;
}

bool tm_source_live(const struct tm_source *s)
{
    return s->cometd != NULL && tm_cometd_live(s->cometd) && s->at.copy_asked;
}

static void source_wake(struct tm_wake *wake, int64_t wall_ns)
{
    if (wall_ns < wake->wall_ns)
        wake->wall_ns = wall_ns;
}

static struct tm_checkpoint_home source_home(const struct tm_source *s)
{
    return (struct tm_checkpoint_home){ s->set.object, tm_sf_session_org(s->ports.session),
                                        s->set.topic_template };
}

/* Hands a checkpoint to Kafka; it counts when it is acknowledged. */
static enum tm_code source_put_checkpoint(struct tm_source *s, struct tm_err *err)
{
    struct tm_topic *t = s->ports.checkpoints;
    const struct tm_checkpoint_home home = source_home(s);
    enum tm_code rc =
        tm_checkpoint_encode(&s->record, s->offsets, s->offsets_id, &home, &s->at, err);
    if (rc == TM_OK)
        rc = t->ops->produce(t, s->set.offsets_topic, -1, s->set.object, strlen(s->set.object),
                             s->record.data, s->record.bytes, err);
    return rc;
}

/* The positions of the old line mean nothing on the new one: a new epoch, and a new first copy once
 * live. */
static void source_new_epoch(struct tm_source *s, const char *why)
{
    tm_log(TM_LOG_WARN, "%s: %s; epoch %" PRId32 " begins, with a new copy of the whole object",
           s->set.object, why, s->at.epoch + 1);
    s->at = (struct tm_checkpoint){ .replay_id = -1, .epoch = s->at.epoch + 1 };
    s->high = s->batch_high = -1;
    s->high_commit_ms = 0;
    s->high_dated = false;
    s->resumed = true;
    s->begun = s->begin_sent = false;
    s->audit_next_ms = TM_NEVER;
    s->counts.epochs++;
}

static enum tm_code source_checkpoint(struct tm_source *s, const struct tm_now *now,
                                      struct tm_err *err)
{
    bool found;
    const struct tm_checkpoint_home home = source_home(s);
    enum tm_code rc =
        tm_checkpoint_read(&s->reader, now, s->ports.registry, &home, &s->at, &found, err);
    if (rc != TM_OK)
        return rc;
    if (!found && s->set.lost) {
        s->at = (struct tm_checkpoint){ .replay_id = s->set.lost_replay_id,
                                        .epoch = s->set.lost_epoch };
        s->after_loss = found = true;
    }
    s->resumed = s->begun = found;
    s->high = s->at.replay_id;
    s->high_commit_ms = s->at.commit_ms;
    s->state = SOURCE_PARTITIONS;
    /* Nothing was received since that epoch began: all that is retained can be read, but whether
     * something has expired meanwhile nobody can tell (R15). */
    if (found && s->at.replay_id < 0)
        source_new_epoch(s, "it had received nothing before it stopped");
    else if (found)
        tm_log(TM_LOG_INFO, "%s: goes on after replay id %" PRId64 ", epoch %" PRId32,
               s->set.object, s->at.replay_id, s->at.epoch);
    return TM_OK;
}

static enum tm_code source_partitions(struct tm_source *s, struct tm_err *err)
{
    struct tm_topic *t = s->ports.topic;
    enum tm_code rc = TM_OK;
    if (s->raw_topic[0] != '\0')
        rc = t->ops->partitions(t, s->raw_topic, &s->raw_partitions, err);
    if (rc == TM_OK)
        rc = t->ops->partitions(t, s->alerts_topic, &s->alerts_partitions, err);
    if (rc == TM_OK)
        s->state = s->cometd != NULL ? SOURCE_STREAM : SOURCE_SUBSCRIBE;
    return rc;
}

/* Nothing received yet, but a copy was asked: what came since must not be missed, so everything
 * retained is read. */
static enum tm_code source_subscribe(struct tm_source *s, struct tm_err *err)
{
    int64_t from = s->at.replay_id >= 0             ? s->at.replay_id
                   : s->resumed || s->set.start_all ? TM_REPLAY_ALL
                                                    : TM_REPLAY_NEW;
    enum tm_code rc = tm_cometd_open(&s->cometd, s->ports.session, s->set.channel, from,
                                     s->set.message_bytes_max, err);
    if (rc == TM_OK)
        s->state = SOURCE_STREAM;
    return rc;
}

/* ---- the replay line (R15) ---- */

static enum tm_code source_refused(struct tm_source *s, struct tm_err *err)
{
    char why[700], text[640];
    if (s->set.invalid_replay == TM_SOURCE_FAIL)
        return tm_at(err,
                     "%s: events after replay id %" PRId64
                     " are lost; invalid.replay.id.behaviour=all or latest begins anew",
                     s->set.object, s->at.replay_id);
    snprintf(why, sizeof why, "replay id %" PRId64 " was refused (%s)", s->at.replay_id,
             tm_err_text(err, text, sizeof text));
    tm_err_clear(err);
    source_new_epoch(s, why);
    tm_cometd_resume(s->cometd,
                     s->set.invalid_replay == TM_SOURCE_ALL ? TM_REPLAY_ALL : TM_REPLAY_NEW);
    s->checkpoint_due = true;
    s->checkpoint_next_ns = 0;
    return TM_OK;
}

/* True when the event at hand belongs to another replay line than those before it. One position
 * with two commit times is two events; an event that comes again has its own. */
static bool source_went_back(const struct tm_source *s, int64_t commit_ms)
{
    bool not_beyond =
        s->event.replay_id < s->high || (s->event.replay_id == s->high && s->high_dated);
    return not_beyond && commit_ms > s->high_commit_ms + SOURCE_BACKWARD_MS;
}

static enum tm_code source_went_back_do(struct tm_source *s, struct tm_err *err)
{
    char why[160];
    snprintf(why, sizeof why,
             "replay ids went from %" PRId64 " to %" PRId64 " while commit times went on", s->high,
             s->event.replay_id);
    if (s->set.invalid_replay == TM_SOURCE_FAIL)
        return tm_fail(err, TM_E_GAP,
                       "%s: %s: the org was restored or moved, and events may be lost; "
                       "invalid.replay.id.behaviour=all or latest begins anew",
                       s->set.object, why);
    source_new_epoch(s, why);
    tm_cometd_forget(s->cometd);
    /* the rest of the batch comes again with all that is retained */
    if (s->set.invalid_replay == TM_SOURCE_ALL) {
        json_array_clear(s->events);
        s->event_at = 0;
        s->event_parsed = false;
        tm_cometd_resume(s->cometd, TM_REPLAY_ALL);
    }
    return TM_OK;
}

/* ---- one event ---- */

static enum tm_code source_mark(struct tm_source *s, int64_t replay_id, struct tm_err *err)
{
    if (s->marks_count == s->marks_cap) {
        size_t cap = s->marks_cap != 0 ? s->marks_cap * 2 : 256;
        int64_t *grown = realloc(s->marks, cap * sizeof *grown);
        if (grown == NULL)
            return tm_fail(err, TM_E_NOMEM, "batch of %zu events", cap);
        s->marks = grown;
        s->marks_cap = cap;
    }
    s->marks[s->marks_count++] = replay_id;
    return TM_OK;
}

/* commit_ms below 0: nobody could read it. */
static enum tm_code source_finish_event(struct tm_source *s, int64_t commit_ms, struct tm_err *err)
{
    int64_t replay_id = s->event.replay_id;
    bool dated = commit_ms >= 0;
    if (!dated)
        commit_ms = s->high_commit_ms;
    if (replay_id > s->high) {
        s->high = replay_id;
        s->high_commit_ms = commit_ms;
        s->high_dated = dated;
    }
    if (replay_id > s->batch_high) {
        s->batch_high = replay_id;
        s->batch_high_commit_ms = commit_ms;
    }
    s->event_parsed = s->renewed = s->event_aside = false;
    s->refusal[0] = '\0';
    s->event_at++;
    s->counts.events++;
    return replay_id >= 0 ? source_mark(s, replay_id, err) : TM_OK;
}

/* Before an epoch's first event is in Kafka it must be known that the epoch has begun. A successor
 * that found no checkpoint would listen to what is new only, and ask for its copy at a position
 * below events that are there already (R9, R14). */
static enum tm_code source_begin(struct tm_source *s, struct tm_err *err)
{
    struct tm_topic *t = s->ports.checkpoints;
    enum tm_code rc = TM_OK;
    if (!s->begin_sent) {
        rc = source_put_checkpoint(s, err);
        s->begin_sent = rc == TM_OK;
    }
    if (rc == TM_OK)
        rc = t->ops->flush(t, err);
    if (rc != TM_OK && rc != TM_E_AGAIN) { /* lost: sent again */
        tm_err_clear(err);
        s->begin_sent = false;
        return TM_E_AGAIN;
    }
    s->begun = rc == TM_OK;
    s->counts.checkpoints += s->begun;
    return rc;
}

/* ---- an event that cannot be read, or sent ---- */

/* "*" goes to every partition. TM_E_AGAIN: called again, s->part_at keeps the place. */
static enum tm_code source_alert(struct tm_source *s, const char *id, int64_t g, const char *kind,
                                 const char *reason, struct tm_err *err)
{
    char replay[24];
    snprintf(replay, sizeof replay, "%" PRId64, g);
    const struct tm_value values[] = { tm_value_of_text(id),     tm_value_of_text(replay),
                                       tm_value_of_json(NULL),   tm_value_of_text(kind),
                                       tm_value_of_text(reason), tm_value_of_int(s->at.epoch) };
    tm_buf_reset(&s->record);
    enum tm_code rc = tm_avro_encode(s->alerts, s->alerts_id, &s->record, values,
                                     sizeof values / sizeof values[0], err);
    if (strcmp(id, "*") != 0)
        return rc == TM_OK ? tm_source_send(s, s->alerts_topic, -1, id, err) : rc;
    for (; rc == TM_OK && s->part_at < s->alerts_partitions; s->part_at += rc == TM_OK)
        rc = tm_source_send(s, s->alerts_topic, s->part_at, s->set.object, err);
    return rc;
}

/* It is never applied, so that its records are read instead: those it names, or the whole object.
 * A `diff` makes the rows dirty until they are answered. TM_E_AGAIN: called again. */
static enum tm_code source_keep_aside(struct tm_source *s, const char *reason, struct tm_err *err)
{
    const json_t *delivery = json_array_get(s->events, s->event_at), *ids = tm_aside_ids(delivery);
    char id18[TM_ID_BYTES];
    enum tm_code rc = TM_OK;
    if (!s->event_aside && s->counts.aside >= TM_ASIDE_EVENTS_MAX)
        return tm_fail(err, TM_E_LIMIT,
                       "%s: more than %d events had to be kept aside; the last: %s", s->set.object,
                       TM_ASIDE_EVENTS_MAX, reason);
    /* its answer stands at a position like an event's */
    if (!s->begun && (rc = source_begin(s, err)) != TM_OK)
        return rc;
    if (!s->event_aside) {
        if ((rc = tm_aside_put(s->ports.aside, s->set.channel, delivery, reason, err)) != TM_OK)
            return rc;
        tm_log(TM_LOG_WARN, "%s: %s; kept aside in %s, %s is read instead", s->set.object, reason,
               tm_aside_path(s->ports.aside), ids != NULL ? "what it names" : "the whole object");
        s->event_aside = true;
        s->id_at = 0;
        s->part_at = 0;
        s->counts.aside++;
    }
    s->event.replay_id = tm_aside_replay_id(delivery);
    int64_t g = s->event.replay_id > s->high ? s->event.replay_id : s->high > 0 ? s->high : 0;
    for (; rc == TM_OK && s->id_at < json_array_size(ids); s->id_at += rc == TM_OK) {
        rc = tm_id18(id18, json_string_value(json_array_get(ids, s->id_at)), err);
        if (rc == TM_OK)
            rc = source_alert(s, id18, s->event.replay_id >= 0 ? s->event.replay_id : g, "diff",
                              reason, err);
    }
    if (rc == TM_OK && ids == NULL)
        rc = source_alert(s, "*", g, "copy", reason, err);
    return rc == TM_OK ? source_finish_event(s, -1, err) : rc;
}

/* Read again by a fresh describe first; then kept aside. */
static enum tm_code source_unreadable(struct tm_source *s, struct tm_err *err)
{
    char why[sizeof err->msg + sizeof err->ctx + 4], reason[sizeof why + 40];
    snprintf(reason, sizeof reason, "an event could not be read: %s",
             tm_err_text(err, why, sizeof why));
    tm_err_clear(err);
    if (s->renewed)
        return source_keep_aside(s, reason, err);
    s->renewed = true;
    s->state = SOURCE_DESCRIBE;
    return TM_OK;
}

/* Kafka will never take the event at hand; sending it again cannot help. */
static void source_refuse_event(struct tm_source *s, struct tm_err *err)
{
    char why[sizeof err->msg + sizeof err->ctx + 4];
    snprintf(s->refusal, sizeof s->refusal, "event %" PRId64 " could not be sent: %.640s",
             s->event.replay_id, tm_err_text(err, why, sizeof why));
    tm_err_clear(err);
}

/* The event's records to Kafka; in the careful mode acknowledged as well. */
static enum tm_code source_send_event(struct tm_source *s, struct tm_err *err)
{
    struct tm_topic *t = s->ports.topic;
    enum tm_code rc = s->begun ? TM_OK : source_begin(s, err);
    if (rc == TM_OK)
        rc = tm_source_produce_event(s, err);
    if (rc == TM_OK && s->one_by_one)
        rc = t->ops->flush(t, err);
    if (rc == TM_OK)
        return source_finish_event(
            s, json_integer_value(json_object_get(s->event.header, "commitTimestamp")), err);
    if (rc != TM_E_LIMIT || s->ports.aside == NULL)
        return rc;
    source_refuse_event(s, err);
    return source_keep_aside(s, s->refusal, err);
}

/* TM_OK: the event is done, or something else has to be done first (then the phase, state or batch
 * has changed). */
static enum tm_code source_event(struct tm_source *s, struct tm_err *err)
{
    if (s->refusal[0] != '\0')
        return source_keep_aside(s, s->refusal, err);
    if (!s->event_parsed) {
        enum tm_code rc = tm_source_parse(s, err);
        if ((rc == TM_E_PROTO || rc == TM_E_LIMIT) && s->ports.aside != NULL)
            return source_unreadable(s, err);
        if (rc != TM_OK)
            return rc;
        int64_t commit_ms = json_integer_value(json_object_get(s->event.header, "commitTimestamp"));
        if (source_went_back(s, commit_ms)) {
            rc = source_went_back_do(s, err);
            if (rc != TM_OK || !s->event_parsed)
                return rc;
        }
        if (tm_source_is_stale(s)) {
            s->event_parsed = false;
            s->renewed = true;
            s->state = SOURCE_DESCRIBE;
            return TM_OK;
        }
        if (s->event.type == TM_CHANGE_UNKNOWN)
            tm_log(TM_LOG_WARN,
                   "%s: event %" PRId64 " has a change type nobody knows; it is passed on as it is",
                   s->set.object, s->event.replay_id);
    }
    return source_send_event(s, err);
}

/* ---- batches ---- */

static enum tm_code source_lost(struct tm_source *s, const struct tm_now *now, struct tm_wake *wake,
                                struct tm_err *err);

/* The producer is full: room comes with acknowledgements. */
static enum tm_code source_room(struct tm_source *s, const struct tm_now *now, struct tm_wake *wake,
                                struct tm_err *err)
{
    struct tm_topic *t = s->ports.topic;
    enum tm_code rc = t->ops->flush(t, err);
    return rc == TM_OK || rc == TM_E_AGAIN ? TM_E_AGAIN : source_lost(s, now, wake, err);
}

static enum tm_code source_produce(struct tm_source *s, const struct tm_now *now,
                                   struct tm_wake *wake, struct tm_err *err)
{
    for (int n = 0; n < SOURCE_EVENTS_A_STEP && s->state == SOURCE_STREAM; n++) {
        if (s->event_at >= json_array_size(s->events)) {
            s->phase = PHASE_ACK;
            return TM_OK;
        }
        enum tm_code rc = source_event(s, err);
        if (rc == TM_E_AGAIN)
            return source_room(s, now, wake, err);
        if (rc != TM_OK)
            return s->one_by_one && err->retriable ? source_lost(s, now, wake, err) : rc;
    }
    return TM_OK;
}

/* A checkpoint that is not taken, or lost, only means more repeated events after a restart: the
 * next one makes up for it. */
static enum tm_code source_write_checkpoint(struct tm_source *s, const struct tm_now *now,
                                            struct tm_err *err)
{
    s->checkpoint_next_ns = now->wall_ns + SOURCE_CHECKPOINT_NS;
    enum tm_code rc = source_put_checkpoint(s, err);
    if (rc == TM_OK) {
        s->checkpoint_due = false;
        s->counts.checkpoints++;
    }
    return rc == TM_E_AGAIN ? TM_OK : rc; /* full: tried again when the time has come */
}

static void source_batch_done(struct tm_source *s, const struct tm_now *now)
{
    if (s->batch_high > s->at.replay_id) {
        s->at.replay_id = s->batch_high;
        s->at.commit_ms = s->batch_high_commit_ms;
        s->checkpoint_due = true;
    }
    if (s->batch_high >= 0)
        tm_cometd_confirm(s->cometd, s->batch_high);
    for (size_t i = 0; s->ports.trace != NULL && i < s->marks_count; i++)
        tm_trace_add(s->ports.trace, TM_TRACE_PRODUCED, s->set.object, s->marks[i], now->wall_ns);
    if (s->ports.trace != NULL)
        tm_trace_flush(s->ports.trace);
    json_decref(s->events);
    s->events = NULL;
    s->event_at = 0;
    s->marks_count = 0;
    s->batch_high = -1;
    s->delivery_failures = 0;
    s->one_by_one = false;
    s->phase = PHASE_TAKE;
}

/* Kafka lost something of the batch: all of it is sent again, which readers must not mind (R2).
 * What it refused for good is found by sending one event at a time. */
static enum tm_code source_lost(struct tm_source *s, const struct tm_now *now, struct tm_wake *wake,
                                struct tm_err *err)
{
    char text[700];
    bool copying = s->phase == PHASE_COPY || s->phase == PHASE_COPY_ACK;
    bool too_large = err->code == TM_E_LIMIT && s->ports.aside != NULL && !copying;
    if (too_large && s->one_by_one && s->event_parsed && s->refusal[0] == '\0') {
        source_refuse_event(s, err); /* all before it are acknowledged: it is this one */
        return TM_OK;
    }
    s->one_by_one = s->one_by_one || too_large;
    if (++s->delivery_failures >= SOURCE_DELIVERY_TRIES)
        return tm_at(err, "%s: a batch was refused %d times", s->set.object, SOURCE_DELIVERY_TRIES);
    tm_log(TM_LOG_WARN, "%s: Kafka did not take a batch (%s); sent again", s->set.object,
           tm_err_text(err, text, sizeof text));
    tm_err_clear(err);
    if (s->phase != PHASE_TAKE)
        s->phase = copying ? PHASE_COPY : PHASE_PRODUCE;
    s->event_at = 0;
    s->part_at = 0;
    s->event_parsed = s->renewed = s->event_aside = false;
    s->refusal[0] = '\0';
    s->marks_count = 0;
    s->pause_until_ns = now->wall_ns + SOURCE_DELIVERY_PAUSE_NS;
    source_wake(wake, s->pause_until_ns);
    return TM_E_AGAIN;
}

static enum tm_code source_ack(struct tm_source *s, const struct tm_now *now, struct tm_wake *wake,
                               struct tm_err *err)
{
    struct tm_topic *t = s->ports.topic;
    enum tm_code rc = t->ops->flush(t, err);
    if (rc == TM_E_AGAIN)
        return rc;
    if (rc != TM_OK)
        return source_lost(s, now, wake, err);
    if (s->phase == PHASE_ACK) {
        source_batch_done(s, now);
    } else {
        s->at.copy_asked = true;
        s->checkpoint_due = true;
        s->checkpoint_next_ns = 0;
        s->delivery_failures = 0;
        s->phase = PHASE_TAKE;
        s->counts.copies++;
    }
    return TM_OK;
}

/* ---- asking for a copy (R14, audit) ---- */

static bool source_copy_is_due(struct tm_source *s, const struct tm_now *now)
{
    if (!tm_cometd_live(s->cometd))
        return false;
    if (!s->at.copy_asked) {
        s->copy_reason = s->after_loss      ? "the broker lost its topics"
                         : s->at.epoch == 0 ? "first copy"
                                            : "first copy of a new epoch";
        return true;
    }
    if (s->set.audit_ms <= 0)
        return false;
    if (s->audit_next_ms == TM_NEVER)
        s->audit_next_ms = (now->org_ms / s->set.audit_ms + 1) * s->set.audit_ms;
    if (now->org_ms < s->audit_next_ms)
        return false;
    s->audit_next_ms = TM_NEVER;
    s->copy_reason = "audit";
    return true;
}

static enum tm_code source_copy(struct tm_source *s, const struct tm_now *now, struct tm_wake *wake,
                                struct tm_err *err)
{
    enum tm_code rc = source_alert(s, "*", s->copy_g, "copy", s->copy_reason, err);
    if (rc == TM_E_AGAIN)
        return source_room(s, now, wake, err);
    if (rc != TM_OK)
        return rc;
    s->part_at = 0;
    s->phase = PHASE_COPY_ACK;
    tm_log(TM_LOG_INFO, "%s: asks for a whole copy (%s) at replay id %" PRId64 ", epoch %" PRId32,
           s->set.object, s->copy_reason, s->copy_g, s->at.epoch);
    return TM_OK;
}

/* ---- streaming ---- */

static enum tm_code source_take(struct tm_source *s, const struct tm_now *now, struct tm_wake *wake,
                                struct tm_err *err)
{
    if (s->checkpoint_due && now->wall_ns >= s->checkpoint_next_ns)
        return source_write_checkpoint(s, now, err);
    if (s->checkpoint_due)
        source_wake(wake, s->checkpoint_next_ns);
    if (source_copy_is_due(s, now)) {
        s->copy_g = s->high > 0 ? s->high : 0;
        s->part_at = 0;
        s->phase = PHASE_COPY;
        return TM_OK;
    }
    if (s->audit_next_ms < wake->org_ms)
        wake->org_ms = s->audit_next_ms;
    enum tm_code rc = tm_cometd_next(s->cometd, now, &s->events, err);
    if (rc == TM_E_GAP)
        return source_refused(s, err);
    if (rc != TM_OK) {
        s->events = NULL;
        return rc;
    }
    s->event_at = 0;
    s->batch_high = -1;
    s->phase = json_array_size(s->events) > 0 ? PHASE_PRODUCE : PHASE_TAKE;
    if (s->phase == PHASE_TAKE) {
        json_decref(s->events);
        s->events = NULL;
    }
    for (size_t i = 0; s->ports.trace != NULL && i < json_array_size(s->events); i++) {
        const json_t *data = json_object_get(json_array_get(s->events, i), "data");
        const json_t *replay = json_object_get(json_object_get(data, "event"), "replayId");
        tm_trace_add(s->ports.trace, TM_TRACE_RECEIVED, s->set.object, json_integer_value(replay),
                     now->wall_ns);
    }
    return TM_OK;
}

static enum tm_code source_stream(struct tm_source *s, const struct tm_now *now,
                                  struct tm_wake *wake, struct tm_err *err)
{
    if (now->wall_ns < s->pause_until_ns) {
        source_wake(wake, s->pause_until_ns);
        return TM_E_AGAIN;
    }
    switch (s->phase) {
    case PHASE_TAKE: return source_take(s, now, wake, err);
    case PHASE_PRODUCE: return source_produce(s, now, wake, err);
    case PHASE_COPY: return source_copy(s, now, wake, err);
    case PHASE_ACK:
    case PHASE_COPY_ACK: return source_ack(s, now, wake, err);
    }
    assert(0 && "a phase");
    return TM_OK;
}

static void source_wake_ports(const struct tm_source *s, const struct tm_now *now,
                              struct tm_wake *wake)
{
    struct tm_topic *t = s->ports.topic;
    source_wake(wake, tm_sf_session_next_at(s->ports.session));
    source_wake(wake, tm_registry_next_at(s->ports.registry));
    source_wake(wake, t->ops->next_at(t));
    if (s->cometd != NULL && s->state == SOURCE_STREAM && s->phase == PHASE_TAKE)
        source_wake(wake, tm_cometd_next_at(s->cometd));
    if (s->state == SOURCE_CHECKPOINT || s->state == SOURCE_PARTITIONS ||
        s->phase == PHASE_PRODUCE || s->phase == PHASE_COPY)
        source_wake(wake, now->wall_ns + SOURCE_LOOK_NS);
}

/* Ports want to be called now and then, and their descriptors stay readable until they are. */
static enum tm_code source_serve(struct tm_source *s, struct tm_err *err)
{
    struct tm_err lost = { .code = TM_OK };
    char text[700];
    enum tm_code rc = TM_E_AGAIN;
    if (tm_source_needs_offsets(s) && s->reader.topic != NULL)
        rc = s->reader.topic->ops->flush(s->reader.topic, err);
    /* the other phases flush by themselves */
    if ((rc == TM_OK || rc == TM_E_AGAIN) && s->phase == PHASE_TAKE)
        rc = s->ports.topic->ops->flush(s->ports.topic, err);
    if (rc != TM_OK && rc != TM_E_AGAIN)
        return rc;
    rc = s->ports.checkpoints->ops->flush(s->ports.checkpoints, &lost);
    if (rc != TM_OK && rc != TM_E_AGAIN) {
        tm_log(TM_LOG_WARN, "%s: a checkpoint was not written: %s", s->set.object,
               tm_err_text(&lost, text, sizeof text));
        s->checkpoint_due = s->cometd != NULL;
        s->begin_sent = false;
    }
    return TM_E_AGAIN;
}

enum tm_code tm_source_step(struct tm_source *s, const struct tm_now *now, struct tm_wake *wake,
                            struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    switch (s->state) {
    case SOURCE_SIGN_IN:
        rc = tm_sf_session_ready(s->ports.session, now, err);
        if (rc == TM_OK)
            s->state = SOURCE_DESCRIBE;
        break;
    case SOURCE_DESCRIBE: rc = tm_source_describe(s, now, err); break;
    case SOURCE_REGISTER: rc = tm_source_register(s, now, err); break;
    case SOURCE_CHECKPOINT: rc = source_checkpoint(s, now, err); break;
    case SOURCE_PARTITIONS: rc = source_partitions(s, err); break;
    case SOURCE_SUBSCRIBE: rc = source_subscribe(s, err); break;
    case SOURCE_STREAM: rc = source_stream(s, now, wake, err); break;
    }
    if (rc != TM_E_AGAIN)
        return rc;
    rc = source_serve(s, err);
    source_wake_ports(s, now, wake);
    return rc;
}
