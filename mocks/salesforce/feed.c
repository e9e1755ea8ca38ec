#include "mocks/salesforce/feed.h"
#include <stdio.h>
#include <string.h>

/* /data/OpportunityChangeEvent -> Opportunity, /data/X__ChangeEvent -> X__c, /data/ChangeEvents ->
 * "". */
static bool feed_object(const struct tm_org *org, const char *channel, char *out, size_t out_bytes)
{
    static const char prefix[] = "/data/", suffix[] = "ChangeEvent", custom[] = "__ChangeEvent";
    size_t bytes = strlen(channel), from = sizeof prefix - 1;
    if (strcmp(channel, "/data/ChangeEvents") == 0) {
        *out = '\0';
        return true;
    }
    if (strncmp(channel, prefix, from) != 0 || bytes <= from + sizeof suffix - 1 ||
        strcmp(channel + bytes - (sizeof suffix - 1), suffix) != 0)
        return false;
    bool is_custom = bytes > from + sizeof custom - 1 &&
                     strcmp(channel + bytes - (sizeof custom - 1), custom) == 0;
    size_t name_bytes = bytes - from - (is_custom ? sizeof custom - 1 : sizeof suffix - 1);
    if (name_bytes + 4 > out_bytes)
        return false;
    snprintf(out, out_bytes, "%.*s%s", (int)name_bytes, channel + from, is_custom ? "__c" : "");
    const struct tm_describe *d = tm_org_describe(org, out);
    return d != NULL && strcmp(d->object, out) == 0 && tm_org_announced(org, out);
}

static bool feed_ends(const char *text, const char *tail)
{
    size_t n = strlen(text), t = strlen(tail);
    return n > t && strcmp(text + n - t, tail) == 0;
}

/* How long events of a stream are kept; 0: there is no such stream. */
static int64_t feed_stream(struct tm_streaming *s, const char *channel)
{
    if (strncmp(channel, "/topic/", 7) == 0)
        return tm_pushtopics_has(s->pushtopics, channel + 7) ? TM_STREAM_DAY_MS : 0;
    if (strncmp(channel, "/event/", 7) == 0) {
        const struct tm_describe *d = tm_platform_event(s->events, channel + 7);
        return d != NULL && strcmp(d->object, channel + 7) == 0
                   ? tm_platform_event_retention_ms(s->events, d->object)
                   : 0;
    }
    return tm_streaming_generic(s, channel) ? TM_STREAM_DAY_MS : 0;
}

bool tm_feed_of(struct tm_feed *out, struct tm_org *org, struct tm_streaming *streaming,
                const char *channel)
{
    *out = (struct tm_feed){ .org = org, .streaming = streaming, .kind = TM_FEED_CHANGES };
    if (strlen(channel) >= sizeof out->channel)
        return false;
    snprintf(out->channel, sizeof out->channel, "%s", channel);
    if (feed_object(org, channel, out->object, sizeof out->object))
        return true;
    if (streaming == NULL)
        return false;
    if (strncmp(channel, "/data/", 6) == 0 && feed_ends(channel, "__chn")) {
        out->kind = TM_FEED_CUSTOM;
        return tm_custom_channel_objects(streaming->channels, channel + 6) != NULL;
    }
    out->kind = TM_FEED_STREAM;
    out->retention_ms = feed_stream(streaming, channel);
    return out->retention_ms > 0;
}

/* As tm_org_events takes them; a custom channel that is gone has none. */
static const char *feed_objects(const struct tm_feed *f)
{
    const char *objects = f->object[0] != '\0' ? f->object : NULL;
    if (f->kind == TM_FEED_CUSTOM &&
        (objects = tm_custom_channel_objects(f->streaming->channels, f->channel + 6)) == NULL)
        objects = ",";
    return objects;
}

int64_t tm_feed_last(const struct tm_feed *f)
{
    return f->kind == TM_FEED_STREAM ? tm_stream_last(f->streaming->stream, f->channel)
                                     : tm_org_replay_last(f->org, feed_objects(f));
}

static enum tm_code feed_tip(const struct tm_feed *f, int64_t now_org_ms, int64_t *out,
                             struct tm_err *err)
{
    return f->kind == TM_FEED_STREAM
               ? tm_stream_tip(f->streaming->stream, f->channel, now_org_ms, out, err)
               : tm_org_replay_tip(f->org, now_org_ms, out, err);
}

static enum tm_code feed_oldest(const struct tm_feed *f, int64_t now_org_ms, int64_t *out,
                                struct tm_err *err)
{
    return f->kind == TM_FEED_STREAM ? tm_stream_oldest(f->streaming->stream, f->channel,
                                                        f->retention_ms, now_org_ms, out, err)
                                     : tm_org_replay_oldest(f->org, now_org_ms, out, err);
}

enum tm_code tm_feed_start(const struct tm_feed *f, int64_t replay_from, int64_t now_org_ms,
                           int64_t *out, bool *out_valid, struct tm_err *err)
{
    int64_t tip = 0, oldest = 0;
    enum tm_code rc = feed_tip(f, now_org_ms, &tip, err);
    if (rc == TM_OK)
        rc = feed_oldest(f, now_org_ms, &oldest, err);
    *out = replay_from == -1 ? tip : replay_from == -2 ? oldest : replay_from;
    *out_valid = *out >= oldest && *out <= tip;
    return rc;
}

struct feed_custom {
    const struct tm_feed *feed;
    tm_org_event_row *row;
    void *data;
};

static bool feed_custom_event(void *data, const struct tm_org_event *event)
{
    const struct feed_custom *c = data;
    return tm_custom_channel_event(c->feed->streaming->channels, c->feed->channel + 6, event,
                                   c->row, c->data);
}

enum tm_code tm_feed_events(const struct tm_feed *f, int64_t replay_after, int64_t now_org_ms,
                            size_t count_max, tm_org_event_row *row, void *data, struct tm_err *err)
{
    struct feed_custom custom = { f, row, data };
    if (f->kind == TM_FEED_STREAM)
        return tm_stream_events(f->streaming->stream, f->channel, f->retention_ms, replay_after,
                                now_org_ms, count_max, row, data, err);
    if (f->kind == TM_FEED_CUSTOM)
        return tm_org_events(f->org, feed_objects(f), replay_after, now_org_ms, count_max,
                             feed_custom_event, &custom, err);
    return tm_org_events(f->org, feed_objects(f), replay_after, now_org_ms, count_max, row, data,
                         err);
}

enum tm_code tm_feed_next_ms(const struct tm_feed *f, int64_t replay_after, int64_t *out,
                             struct tm_err *err)
{
    return f->kind == TM_FEED_STREAM
               ? tm_stream_next_ms(f->streaming->stream, f->channel, replay_after, out, err)
               : tm_org_next_publish_ms(f->org, feed_objects(f), replay_after, out, err);
}
