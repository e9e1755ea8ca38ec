#include "source/push_inner.h"
#include "base/log.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUSH_EVENTS_A_STEP 200
#define PUSH_RECORD_BYTES_MAX (16u << 20)
#define PUSH_TEXT_BYTES_MAX (1u << 20)
#define PUSH_ARENA_BYTES_MAX (1u << 20)
#define PUSH_DELIVERY_TRIES 5
#define PUSH_PAUSE_NS TM_NS_PER_S
#define PUSH_LOOK_NS (20 * TM_NS_PER_MS)
/* no more often: a restart repeats that much */
#define PUSH_CHECKPOINT_NS (50 * TM_NS_PER_MS)

/* ---- opening and closing ---- */

enum tm_code tm_push_open(struct tm_push **out, const struct tm_source_settings *settings,
                          const struct tm_source_ports *ports, struct tm_err *err)
{
    struct tm_push *p = calloc(1, sizeof *p);
    assert(settings->kind != TM_SOURCE_CHANGES);
    *out = NULL;
    if (p == NULL || (p->dropped = json_object()) == NULL) {
        free(p);
        return tm_fail(err, TM_E_NOMEM, "source of %s", settings->channel);
    }
    p->set = *settings;
    p->ports = *ports;
    p->at = (struct tm_checkpoint){ .replay_id = -1, .copy_asked = true };
    p->batch_high = -1;
    tm_buf_init(&p->text, PUSH_TEXT_BYTES_MAX);
    tm_buf_init(&p->record, PUSH_RECORD_BYTES_MAX);
    tm_buf_init(&p->arena, PUSH_ARENA_BYTES_MAX);
    tm_checkpoint_reader_init(&p->reader, settings->channel, settings->offsets_topic);
    *out = p;
    return TM_OK;
}

void tm_push_close(struct tm_push *p)
{
    if (p == NULL)
        return;
    tm_cometd_close(p->cometd);
    tm_sf_call_close(p->call);
    tm_describe_close(p->describe);
    tm_avro_schema_close(p->raw);
    tm_avro_schema_close(p->offsets);
    tm_buf_free(&p->text);
    tm_buf_free(&p->record);
    tm_buf_free(&p->arena);
    tm_checkpoint_reader_free(&p->reader);
    json_decref(p->events);
    json_decref(p->dropped);
    free(p->values);
    free(p);
}

struct tm_topic_owner tm_push_offsets_owner(struct tm_push *p)
{
    return tm_checkpoint_reader_owner(&p->reader);
}
void tm_push_set_offsets(struct tm_push *p, struct tm_topic *offsets)
{
    p->reader.topic = offsets;
}
bool tm_push_needs_offsets(const struct tm_push *p)
{
    return p->state <= PUSH_CHECKPOINT && p->cometd == NULL;
}
bool tm_push_live(const struct tm_push *p)
{
    return p->cometd != NULL && tm_cometd_live(p->cometd);
}

static void push_wake(struct tm_wake *wake, int64_t wall_ns)
{
    if (wall_ns < wake->wall_ns)
        wake->wall_ns = wall_ns;
}

/* ---- before the stream ---- */

static enum tm_code push_describe(struct tm_push *p, const struct tm_now *now, struct tm_err *err)
{
    struct tm_describe *d;
    enum tm_code rc = tm_sf_describe(p->ports.session, now, &d, p->set.object, err);
    if (rc == TM_E_AGAIN)
        return rc;
    if (rc != TM_OK)
        return tm_at(err, "%s, which %s is about", p->set.object, p->set.channel);
    tm_describe_close(p->describe);
    p->describe = d;
    p->registered = 0;
    p->state =
        p->set.kind == TM_SOURCE_PUSH_TOPIC && p->cometd == NULL ? PUSH_TOPIC : PUSH_REGISTER;
    return TM_OK;
}

static const char *push_topic_name(const struct tm_push *p)
{
    return strrchr(p->set.channel, '/') + 1;
}

/* GET for a PushTopic of the name, or POST for one that is to be. */
static enum tm_code push_topic_call(struct tm_push *p, struct tm_err *err)
{
    size_t left = 0;
    struct tm_buf path;
    if (!p->asked) {
        tm_buf_init(&path, 1024);
        tm_buf_addz(&path, "/services/data/v*/query?q=");
        tm_buf_add_urlencoded(&path, "SELECT Id, IsActive FROM PushTopic WHERE Name = '");
        tm_buf_add_urlencoded(&path, push_topic_name(p));
        tm_buf_add_urlencoded(&path, "'");
        enum tm_code rc = tm_buf_check(&path, "a query", err);
        if (rc == TM_OK)
            rc = tm_sf_call_start(&p->call, p->ports.session, "GET", tm_buf_text(&path), NULL, err);
        tm_buf_free(&path);
        return rc;
    }
    enum tm_code rc = tm_push_query(&p->text, p->describe, &left, err);
    if (rc != TM_OK)
        return rc;
    if (left > 0)
        tm_log(TM_LOG_WARN,
               "%s: a PushTopic's query has at most %d characters: the last %zu fields of %s are "
               "left out of it",
               p->set.channel, TM_PUSH_QUERY_BYTES_MAX, left, p->set.object);
    json_t *body = json_pack(
        "{s:s,s:s,s:f,s:s,s:b,s:b,s:b,s:b}", "Name", push_topic_name(p), "Query",
        tm_buf_text(&p->text), "ApiVersion", strtod(tm_sf_session_version(p->ports.session), NULL),
        "NotifyForFields", "All", "NotifyForOperationCreate", p->set.push_topic_notify[0],
        "NotifyForOperationUpdate", p->set.push_topic_notify[1], "NotifyForOperationDelete",
        p->set.push_topic_notify[2], "NotifyForOperationUndelete", p->set.push_topic_notify[3]);
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    rc = text != NULL ? tm_sf_call_start(&p->call, p->ports.session, "POST",
                                         "/services/data/v*/sobjects/PushTopic", text, err)
                      : tm_fail(err, TM_E_NOMEM, "a PushTopic");
    free(text);
    json_decref(body);
    return rc;
}

/* The PushTopic is there, or is made. */
static enum tm_code push_topic(struct tm_push *p, const struct tm_now *now, struct tm_err *err)
{
    json_t *answer = NULL;
    enum tm_code rc = p->call == NULL ? push_topic_call(p, err) : TM_OK;
    if (rc == TM_OK)
        rc = tm_sf_call_poll(p->call, now, &answer, err);
    if (rc == TM_E_AGAIN)
        return rc;
    tm_sf_call_close(p->call);
    p->call = NULL;
    if (rc != TM_OK)
        return tm_at(err, "PushTopic %s", push_topic_name(p));
    const json_t *records = json_object_get(answer, "records");
    const json_t *active = json_object_get(json_array_get(records, 0), "IsActive");
    bool there = json_array_size(records) > 0;
    if (!p->asked && there && json_is_false(active))
        rc = tm_fail(err, TM_E_ARG, "the PushTopic %s is not active: activate it, or name another",
                     push_topic_name(p));
    else if (!p->asked && !there && !p->set.push_topic_create)
        rc = tm_fail(err, TM_E_ARG,
                     "there is no PushTopic %s: make it, or let salesforce.push.topic.create be "
                     "true",
                     push_topic_name(p));
    else if (!p->asked && !there)
        p->asked = true;
    else {
        if (p->asked)
            tm_log(TM_LOG_INFO, "%s: the PushTopic was made", p->set.channel);
        p->state = PUSH_REGISTER;
    }
    json_decref(answer);
    return rc;
}

static enum tm_code push_register_one(struct tm_push *p, const struct tm_now *now,
                                      const char *topic, int32_t *out_id,
                                      struct tm_avro_schema **out, struct tm_err *err)
{
    char subject[TM_TOPIC_NAME_MAX + 8];
    snprintf(subject, sizeof subject, "%s-value", topic);
    enum tm_code rc =
        tm_registry_register(p->ports.registry, now, out_id, subject, tm_buf_text(&p->text), err);
    if (rc != TM_OK)
        return rc;
    tm_avro_schema_close(*out);
    *out = NULL;
    return tm_avro_schema_parse(out, tm_buf_text(&p->text), p->text.bytes, err);
}

static enum tm_code push_values(struct tm_push *p, struct tm_err *err)
{
    const struct tm_avro_field *fields;
    p->values_count = tm_avro_schema_fields(p->raw, &fields);
    struct tm_value *values = realloc(p->values, p->values_count * sizeof *values);
    if (values == NULL)
        return tm_fail(err, TM_E_NOMEM, "schema of %zu fields", p->values_count);
    p->values = values;
    return TM_OK;
}

static enum tm_code push_register(struct tm_push *p, const struct tm_now *now, struct tm_err *err)
{
    enum tm_code rc;
    if (p->registered == 0) {
        if ((rc = tm_push_schema(&p->text, &p->set, p->describe, err)) == TM_OK &&
            (rc = tm_source_topic(p->topic, &p->set, NULL, err)) == TM_OK)
            rc = push_register_one(p, now, p->topic, &p->raw_id, &p->raw, err);
        if (rc == TM_OK)
            rc = push_values(p, err);
    } else {
        tm_buf_reset(&p->text);
        tm_buf_addz(&p->text, tm_checkpoint_schema);
        rc = push_register_one(p, now, p->set.offsets_topic, &p->offsets_id, &p->offsets, err);
    }
    if (rc == TM_OK && ++p->registered == 2)
        p->state = p->cometd != NULL ? PUSH_STREAM : PUSH_CHECKPOINT;
    return rc;
}

/* ---- checkpoints ---- */

static struct tm_checkpoint_home push_home(const struct tm_push *p)
{
    return (struct tm_checkpoint_home){ p->set.channel, tm_sf_session_org(p->ports.session),
                                        p->set.topic_template };
}

static enum tm_code push_put_checkpoint(struct tm_push *p, struct tm_err *err)
{
    struct tm_topic *t = p->ports.checkpoints;
    const struct tm_checkpoint_home home = push_home(p);
    enum tm_code rc =
        tm_checkpoint_encode(&p->record, p->offsets, p->offsets_id, &home, &p->at, err);
    if (rc == TM_OK)
        rc = t->ops->produce(t, p->set.offsets_topic, -1, p->set.channel, strlen(p->set.channel),
                             p->record.data, p->record.bytes, err);
    return rc;
}

static enum tm_code push_checkpoint(struct tm_push *p, const struct tm_now *now, struct tm_err *err)
{
    const struct tm_checkpoint_home home = push_home(p);
    enum tm_code rc =
        tm_checkpoint_read(&p->reader, now, p->ports.registry, &home, &p->at, &p->found, err);
    if (rc != TM_OK)
        return rc;
    if (p->found)
        tm_log(TM_LOG_INFO, "%s: goes on after replay id %" PRId64, p->set.channel,
               p->at.replay_id);
    p->state = PUSH_BEGIN;
    return TM_OK;
}

/* Nothing received yet, but begun before: what came since must not be missed. */
static enum tm_code push_begin(struct tm_push *p, struct tm_err *err)
{
    int64_t from = p->at.replay_id >= 0           ? p->at.replay_id
                   : p->found || p->set.start_all ? TM_REPLAY_ALL
                                                  : TM_REPLAY_NEW;
    enum tm_code rc = tm_cometd_open(&p->cometd, p->ports.session, p->set.channel, from,
                                     p->set.message_bytes_max, err);
    if (rc == TM_OK)
        p->state = PUSH_STREAM;
    return rc;
}

/* Before the first batch it must be known that this epoch has begun (1). TM_E_AGAIN: not yet. */
static enum tm_code push_begun(struct tm_push *p, struct tm_err *err)
{
    struct tm_topic *t = p->ports.checkpoints;
    enum tm_code rc = p->begin_sent ? TM_OK : push_put_checkpoint(p, err);
    p->begin_sent = p->begin_sent || rc == TM_OK;
    if (rc == TM_OK)
        rc = t->ops->flush(t, err);
    if (rc != TM_OK && rc != TM_E_AGAIN) { /* lost: sent again */
        tm_err_clear(err);
        p->begin_sent = false;
        return TM_E_AGAIN;
    }
    p->found = p->found || rc == TM_OK;
    return rc;
}

/* ---- events ---- */

static enum tm_code push_aside(struct tm_push *p, int64_t replay_id, struct tm_err *err)
{
    char why[sizeof err->msg + sizeof err->ctx + 4], reason[sizeof why + 40];
    struct tm_aside *aside = p->ports.aside;
    if (aside == NULL || p->aside_count >= TM_ASIDE_EVENTS_MAX)
        return tm_at(err, "%s: no more events are kept aside", p->set.channel);
    snprintf(reason, sizeof reason, "an event could not be read: %s",
             tm_err_text(err, why, sizeof why));
    tm_err_clear(err);
    enum tm_code rc =
        tm_aside_put(aside, p->set.channel, json_array_get(p->events, p->event_at), reason, err);
    if (rc != TM_OK)
        return rc;
    tm_log(TM_LOG_WARN, "%s: %s; kept aside in %s, and passed over", p->set.channel, reason,
           tm_aside_path(aside));
    p->aside_count++;
    if (replay_id > p->batch_high)
        p->batch_high = replay_id;
    p->event_at++;
    return TM_OK;
}

/* True: described again first. A name that even a fresh describe does not know is left out. */
static bool push_is_stale(struct tm_push *p, const struct push_event *event)
{
    const char *unknown = tm_push_unknown(p, event);
    if (unknown == NULL || json_object_get(p->dropped, unknown) != NULL)
        return false;
    if (!p->renewed) {
        p->renewed = true;
        p->state = PUSH_DESCRIBE;
        return true;
    }
    json_object_set_new(p->dropped, unknown, json_true());
    tm_log(TM_LOG_WARN, "%s: events name the field %s, which %s does not have; it is left out",
           p->set.channel, unknown, p->set.object);
    return false;
}

static enum tm_code push_event(struct tm_push *p, struct tm_err *err)
{
    struct tm_topic *t = p->ports.topic;
    struct push_event event;
    const json_t *delivery = json_array_get(p->events, p->event_at);
    enum tm_code rc = tm_push_parse(p, delivery, &event, err);
    if (rc == TM_OK && push_is_stale(p, &event))
        return TM_OK;
    if (rc == TM_OK)
        rc = tm_push_encode(p, &event, err);
    if (rc == TM_E_PROTO || rc == TM_E_LIMIT || rc == TM_E_ARG)
        return push_aside(p, event.replay_id, err);
    if (rc != TM_OK)
        return rc;
    const char *key = p->set.kind == TM_SOURCE_PUSH_TOPIC ? event.id18 : p->set.object;
    rc = t->ops->produce(t, p->topic, -1, key, strlen(key), p->record.data, p->record.bytes, err);
    if (rc != TM_OK)
        return rc;
    if (event.replay_id > p->batch_high)
        p->batch_high = event.replay_id;
    p->event_at++;
    p->renewed = false;
    return TM_OK;
}

/* What the org no longer has is lost, whatever is done (R15). */
static enum tm_code push_refused(struct tm_push *p, struct tm_err *err)
{
    char text[640];
    if (p->set.invalid_replay == TM_SOURCE_FAIL)
        return tm_at(err,
                     "%s: events after replay id %" PRId64
                     " are lost; invalid.replay.id.behaviour=all or latest goes on without them",
                     p->set.channel, p->at.replay_id);
    tm_log(TM_LOG_WARN,
           "%s: replay id %" PRId64 " was refused (%s): events are lost; epoch %" PRId32 " begins",
           p->set.channel, p->at.replay_id, tm_err_text(err, text, sizeof text), p->at.epoch + 1);
    tm_err_clear(err);
    p->at = (struct tm_checkpoint){ .replay_id = -1, .epoch = p->at.epoch + 1, .copy_asked = true };
    p->found = p->begin_sent = false;
    tm_cometd_resume(p->cometd,
                     p->set.invalid_replay == TM_SOURCE_ALL ? TM_REPLAY_ALL : TM_REPLAY_NEW);
    return TM_OK;
}

/* ---- batches ---- */

static enum tm_code push_lost(struct tm_push *p, const struct tm_now *now, struct tm_wake *wake,
                              struct tm_err *err)
{
    char text[700];
    if (++p->delivery_failures >= PUSH_DELIVERY_TRIES)
        return tm_at(err, "%s: a batch was refused %d times", p->set.channel, PUSH_DELIVERY_TRIES);
    tm_log(TM_LOG_WARN, "%s: Kafka did not take a batch (%s); sent again", p->set.channel,
           tm_err_text(err, text, sizeof text));
    tm_err_clear(err);
    p->phase = PUSH_PRODUCE;
    p->event_at = 0;
    p->pause_until_ns = now->wall_ns + PUSH_PAUSE_NS;
    push_wake(wake, p->pause_until_ns);
    return TM_E_AGAIN;
}

static enum tm_code push_take(struct tm_push *p, const struct tm_now *now, struct tm_wake *wake,
                              struct tm_err *err)
{
    if (p->checkpoint_due && now->wall_ns >= p->checkpoint_next_ns) {
        p->checkpoint_next_ns = now->wall_ns + PUSH_CHECKPOINT_NS;
        enum tm_code rc = push_put_checkpoint(p, err);
        p->checkpoint_due = rc != TM_OK;
        return rc == TM_E_AGAIN ? TM_OK : rc;
    }
    if (p->checkpoint_due)
        push_wake(wake, p->checkpoint_next_ns);
    if (!p->found && tm_cometd_live(p->cometd)) {
        enum tm_code rc = push_begun(p, err);
        if (rc != TM_OK)
            return rc;
    }
    enum tm_code rc = tm_cometd_next(p->cometd, now, &p->events, err);
    if (rc == TM_E_GAP)
        return push_refused(p, err);
    if (rc != TM_OK) {
        p->events = NULL;
        return rc;
    }
    p->event_at = 0;
    p->batch_high = -1;
    if (json_array_size(p->events) > 0) {
        p->phase = PUSH_PRODUCE;
        return TM_OK;
    }
    json_decref(p->events);
    p->events = NULL;
    return TM_OK;
}

static enum tm_code push_produce(struct tm_push *p, const struct tm_now *now, struct tm_wake *wake,
                                 struct tm_err *err)
{
    struct tm_topic *t = p->ports.topic;
    if (!p->found) { /* a first answer can bring events together with being live */
        enum tm_code rc = push_begun(p, err);
        if (rc != TM_OK)
            return rc;
    }
    for (int n = 0; n < PUSH_EVENTS_A_STEP && p->state == PUSH_STREAM; n++) {
        if (p->event_at >= json_array_size(p->events)) {
            p->phase = PUSH_ACK;
            return TM_OK;
        }
        enum tm_code rc = push_event(p, err);
        if (rc == TM_E_AGAIN) { /* full: room comes with acknowledgements */
            rc = t->ops->flush(t, err);
            return rc == TM_OK || rc == TM_E_AGAIN ? TM_E_AGAIN : push_lost(p, now, wake, err);
        }
        if (rc != TM_OK)
            return rc;
    }
    return TM_OK;
}

static enum tm_code push_ack(struct tm_push *p, const struct tm_now *now, struct tm_wake *wake,
                             struct tm_err *err)
{
    struct tm_topic *t = p->ports.topic;
    enum tm_code rc = t->ops->flush(t, err);
    if (rc == TM_E_AGAIN)
        return rc;
    if (rc != TM_OK)
        return push_lost(p, now, wake, err);
    if (p->batch_high > p->at.replay_id) {
        p->at.replay_id = p->batch_high;
        p->at.commit_ms = now->org_ms;
        p->checkpoint_due = true;
    }
    if (p->batch_high >= 0)
        tm_cometd_confirm(p->cometd, p->batch_high);
    json_decref(p->events);
    p->events = NULL;
    p->delivery_failures = 0;
    p->phase = PUSH_TAKE;
    return TM_OK;
}

static enum tm_code push_stream(struct tm_push *p, const struct tm_now *now, struct tm_wake *wake,
                                struct tm_err *err)
{
    if (now->wall_ns < p->pause_until_ns) {
        push_wake(wake, p->pause_until_ns);
        return TM_E_AGAIN;
    }
    switch (p->phase) {
    case PUSH_TAKE: return push_take(p, now, wake, err);
    case PUSH_PRODUCE: return push_produce(p, now, wake, err);
    case PUSH_ACK: break;
    }
    return push_ack(p, now, wake, err);
}

/* ---- the step ---- */

/* Ports want to be called now and then, and their descriptors stay readable until they are. */
static enum tm_code push_serve(struct tm_push *p, struct tm_err *err)
{
    struct tm_err lost = { .code = TM_OK };
    enum tm_code rc = TM_E_AGAIN;
    if (tm_push_needs_offsets(p) && p->reader.topic != NULL)
        rc = p->reader.topic->ops->flush(p->reader.topic, err);
    if ((rc == TM_OK || rc == TM_E_AGAIN) && p->phase == PUSH_TAKE)
        rc = p->ports.topic->ops->flush(p->ports.topic, err);
    if (rc != TM_OK && rc != TM_E_AGAIN)
        return rc;
    rc = p->ports.checkpoints->ops->flush(p->ports.checkpoints, &lost);
    if (rc != TM_OK && rc != TM_E_AGAIN) {
        tm_log(TM_LOG_WARN, "%s: a checkpoint was not written: %s", p->set.channel, lost.msg);
        p->checkpoint_due = p->cometd != NULL;
        p->begin_sent = false;
    }
    return TM_E_AGAIN;
}

static void push_wake_ports(const struct tm_push *p, const struct tm_now *now, struct tm_wake *wake)
{
    struct tm_topic *t = p->ports.topic;
    push_wake(wake, tm_sf_session_next_at(p->ports.session));
    push_wake(wake, tm_registry_next_at(p->ports.registry));
    push_wake(wake, t->ops->next_at(t));
    if (p->cometd != NULL && p->state == PUSH_STREAM && p->phase == PUSH_TAKE)
        push_wake(wake, tm_cometd_next_at(p->cometd));
    if (p->state == PUSH_CHECKPOINT || p->phase == PUSH_PRODUCE ||
        (p->state == PUSH_STREAM && !p->found && tm_cometd_live(p->cometd)))
        push_wake(wake, now->wall_ns + PUSH_LOOK_NS);
}

enum tm_code tm_push_step(struct tm_push *p, const struct tm_now *now, struct tm_wake *wake,
                          struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    switch (p->state) {
    case PUSH_SIGN_IN:
        rc = tm_sf_session_ready(p->ports.session, now, err);
        if (rc == TM_OK)
            p->state = PUSH_DESCRIBE;
        break;
    case PUSH_DESCRIBE: rc = push_describe(p, now, err); break;
    case PUSH_TOPIC: rc = push_topic(p, now, err); break;
    case PUSH_REGISTER: rc = push_register(p, now, err); break;
    case PUSH_CHECKPOINT: rc = push_checkpoint(p, now, err); break;
    case PUSH_BEGIN: rc = push_begin(p, err); break;
    case PUSH_STREAM: rc = push_stream(p, now, wake, err); break;
    }
    if (rc != TM_E_AGAIN)
        return rc;
    rc = push_serve(p, err);
    push_wake_ports(p, now, wake);
    return rc;
}
