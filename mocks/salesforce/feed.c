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
    return d != NULL && strcmp(d->object, out) == 0;
}

bool tm_feed_of(struct tm_feed *out, struct tm_org *org, const char *channel)
{
    *out = (struct tm_feed){ .org = org, .kind = TM_FEED_CHANGES };
    if (strlen(channel) >= sizeof out->channel)
        return false;
    snprintf(out->channel, sizeof out->channel, "%s", channel);
    return feed_object(org, channel, out->object, sizeof out->object);
}

static const char *feed_objects(const struct tm_feed *f)
{
    return f->object[0] != '\0' ? f->object : NULL;
}

int64_t tm_feed_last(const struct tm_feed *f)
{
    return tm_org_replay_last(f->org, feed_objects(f));
}

enum tm_code tm_feed_start(const struct tm_feed *f, int64_t replay_from, int64_t now_org_ms,
                           int64_t *out, bool *out_valid, struct tm_err *err)
{
    *out = replay_from;
    *out_valid = true;
    if (replay_from == -1)
        return tm_org_replay_tip(f->org, now_org_ms, out, err);
    if (replay_from == -2)
        return tm_org_replay_oldest(f->org, now_org_ms, out, err);
    *out_valid = false;
    return replay_from < 0 ? TM_OK
                           : tm_org_replay_valid(f->org, replay_from, now_org_ms, out_valid, err);
}

enum tm_code tm_feed_events(const struct tm_feed *f, int64_t replay_after, int64_t now_org_ms,
                            size_t count_max, tm_org_event_row *row, void *data, struct tm_err *err)
{
    return tm_org_events(f->org, feed_objects(f), replay_after, now_org_ms, count_max, row, data,
                         err);
}

enum tm_code tm_feed_next_ms(const struct tm_feed *f, int64_t replay_after, int64_t *out,
                             struct tm_err *err)
{
    return tm_org_next_publish_ms(f->org, feed_objects(f), replay_after, out, err);
}
