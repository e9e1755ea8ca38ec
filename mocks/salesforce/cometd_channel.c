#include "mocks/salesforce/cometd_impl.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAYEUX_BAD_REPLAY                                                                          \
    "400::The replayId {%" PRId64                                                                  \
    "} you provided was invalid.  Please provide a valid ID, -2 to replay "                        \
    "all events, or -1 to replay only new events."

/* Where a subscription starts: ext.replay[channel], looked up without the filter; -1 when it says
 * nothing. */
static enum tm_code channel_position(struct tm_bayeux *b, const json_t *message,
                                     const struct tm_feed *feed, int64_t *out, char *error,
                                     size_t error_bytes, struct tm_err *err)
{
    const json_t *map = json_object_get(json_object_get(message, "ext"), "replay");
    const json_t *asked = json_object_get(map, feed->channel);
    int64_t from = json_is_integer(asked) ? json_integer_value(asked) : -1;
    bool valid = true;
    if (asked != NULL && !json_is_integer(asked)) {
        snprintf(error, error_bytes, "400::The replayId of %.80s must be an integer",
                 feed->channel);
        return TM_OK;
    }
    enum tm_code rc = tm_feed_start(feed, from, b->now_ms, out, &valid, err);
    if (rc == TM_OK && !valid)
        snprintf(error, error_bytes, BAYEUX_BAD_REPLAY, from);
    return rc;
}

static enum tm_code channel_add(struct tm_bayeux *b, struct bayeux_client *c, const char *name,
                                const struct tm_feed *feed, int64_t position)
{
    struct bayeux_channel *channel = bayeux_followed(c, name);
    if (channel == NULL && (channel = bayeux_follow(b, c, name, feed)) == NULL)
        return TM_E_NOMEM;
    channel->position = channel->handed = position;
    return TM_OK;
}

/* Names of channels that could be there; nobody can make others. */
static bool channel_may_be(const char *name)
{
    static const char *const kinds[] = { "/data/", "/topic/", "/event/", "/u/" };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(name, kinds[i], strlen(kinds[i])) == 0)
            return true;
    return false;
}

/* Checks a subscription and takes it; `error` stays empty when it is good. */
static void channel_take(struct tm_bayeux *b, struct bayeux_client *c, const json_t *message,
                         const char *subscription, char *error, size_t error_bytes)
{
    char name[TM_FEED_CHANNEL_BYTES];
    struct tm_feed feed;
    int64_t position = 0;
    if (subscription == NULL || *subscription == '\0') {
        snprintf(error, error_bytes, "400::Channel name not specified");
        return;
    }
    if (*subscription != '/') {
        snprintf(error, error_bytes, "400::Channel subscriptions must start with a leading '/'");
        return;
    }
    snprintf(name, sizeof name, "%.*s", (int)strcspn(subscription, "?"), subscription);
    if (strlen(subscription) >= BAYEUX_CHANNEL_BYTES ||
        !tm_feed_of(&feed, b->org, b->settings.streaming, name)) {
        snprintf(error, error_bytes,
                 channel_may_be(name)
                     ? "400::The channel you requested to subscribe to does not exist {%.120s}"
                     : "403::Cannot create channel {%.120s}",
                 subscription);
        return;
    }
    if (!bayeux_filter_valid(&feed, subscription)) {
        snprintf(error, error_bytes,
                 "400::The filter of {%.120s} names a field that the query does not select",
                 subscription);
        return;
    }
    if (bayeux_followed(c, subscription) == NULL && c->channels_count == TM_BAYEUX_CHANNELS_MAX) {
        snprintf(error, error_bytes, "403::Subscription limit exceeded for this topic");
        return;
    }
    enum tm_code rc = channel_position(b, message, &feed, &position, error, error_bytes, NULL);
    if (rc == TM_OK && *error == '\0')
        rc = channel_add(b, c, subscription, &feed, position);
    if (rc != TM_OK)
        snprintf(error, error_bytes,
                 "503::Server is too busy. Please try your request again later.");
}

void bayeux_subscribe(struct tm_bayeux *b, struct bayeux_turn *t, const json_t *message)
{
    char error[400] = "";
    const json_t *subscription = json_object_get(message, "subscription");
    struct bayeux_client *c = bayeux_admit(b, t, message, "/meta/subscribe");
    if (c == NULL)
        return;
    channel_take(b, c, message, json_string_value(subscription), error, sizeof error);
    json_t *reply = bayeux_message("/meta/subscribe", json_object_get(message, "id"),
                                   *error != '\0' ? error : NULL);
    json_object_set_new(reply, "clientId", json_string(c->id));
    if (json_is_string(subscription))
        json_object_set_new(reply, "subscription", json_deep_copy(subscription));
    if (strncmp(error, "503::", 5) == 0)
        json_object_set_new(reply, "ext", json_pack("{s:{s:s}}", "sfdc", "failureReason", error));
    bayeux_reply(t, reply);
    if (*error == '\0' && c->poll != NULL && c->poll->held)
        b->settings.wake(b->settings.wake_data, c->poll->token);
}

void bayeux_unsubscribe(struct tm_bayeux *b, struct bayeux_turn *t, const json_t *message)
{
    const char *subscription = json_string_value(json_object_get(message, "subscription"));
    struct bayeux_client *c = bayeux_admit(b, t, message, "/meta/unsubscribe");
    if (c == NULL)
        return;
    struct bayeux_channel *channel = subscription != NULL ? bayeux_followed(c, subscription) : NULL;
    if (channel != NULL)
        bayeux_unfollow(b, channel);
    json_t *reply = bayeux_message("/meta/unsubscribe", json_object_get(message, "id"), NULL);
    json_object_set_new(reply, "clientId", json_string(c->id));
    if (subscription != NULL)
        json_object_set_new(reply, "subscription", json_string(subscription));
    bayeux_reply(t, reply);
}

/* ---- events ---- */

struct channel_fill {
    struct bayeux_turn *turn;
    struct bayeux_channel *channel;
    int64_t count;
};

/* Events that a filter holds back are done with as soon as nothing before them is under way. */
static void channel_pass_over(struct bayeux_channel *channel, int64_t replay_id)
{
    if (channel->position == channel->handed)
        channel->position = replay_id;
    channel->handed = replay_id;
}

static bool channel_event(void *data, const struct tm_org_event *e)
{
    struct channel_fill *fill = data;
    struct tm_buf *body = &fill->turn->out->body;
    if (!bayeux_filter_passes(fill->channel->name, e)) {
        channel_pass_over(fill->channel, e->replay_id);
        return true;
    }
    /* several deliveries of one replay id go together or not at all */
    if (fill->turn->replies > 0 && e->replay_id != fill->channel->handed &&
        body->bytes + e->body_bytes > TM_BAYEUX_POLL_BYTES_MAX)
        return false;
    tm_buf_addz(body, fill->turn->replies++ > 0 ? ",{\"data\":" : "{\"data\":");
    tm_buf_add(body, e->body, e->body_bytes - 1); /* without its last brace: "event" goes inside */
    tm_buf_addf(body, ",\"event\":{%s\"replayId\":%" PRId64 "}},\"channel\":",
                e->event != NULL ? e->event : "", e->replay_id);
    tm_buf_add_json_string(body, fill->channel->name, strlen(fill->channel->name));
    tm_buf_addc(body, '}');
    fill->channel->handed = e->replay_id;
    fill->count++;
    return true;
}

static int64_t channel_allowance(const struct tm_bayeux *b)
{
    int64_t calls, events, most = tm_org_settings(b->org)->events_per_day;
    if (most <= 0)
        return TM_BAYEUX_POLL_EVENTS_MAX;
    tm_org_usage_day(b->org, b->now_ms, &calls, &events);
    int64_t left = most > events ? most - events : 0;
    return left < TM_BAYEUX_POLL_EVENTS_MAX ? left : TM_BAYEUX_POLL_EVENTS_MAX;
}

enum tm_code bayeux_events(struct tm_bayeux *b, struct bayeux_client *c, struct bayeux_turn *t,
                           int64_t *out_next_ms, struct tm_err *err)
{
    int64_t room = channel_allowance(b);
    enum tm_code rc = TM_OK;
    *out_next_ms = TM_NEVER;
    for (size_t i = 0; i < c->channels_count && rc == TM_OK; i++) {
        struct bayeux_channel *channel = c->channels[(c->first_channel + i) % c->channels_count];
        const struct tm_feed *feed = &channel->topic->feed;
        struct channel_fill fill = { t, channel, 0 };
        int64_t next_ms = TM_NEVER;
        if (room > 0)
            rc = tm_feed_events(feed, channel->handed, b->now_ms, (size_t)room, channel_event,
                                &fill, err);
        room -= fill.count;
        c->handed_events += fill.count;
        if (rc == TM_OK && c->handed_events == 0) /* asked only where the poll may be held */
            rc = tm_feed_next_ms(feed, channel->handed, &next_ms, err);
        if (next_ms < *out_next_ms)
            *out_next_ms = next_ms;
    }
    if (c->channels_count > 0)
        c->first_channel = (c->first_channel + 1) % c->channels_count;
    return rc;
}
