/* feed: the events of one streaming channel, whatever they are and wherever they are kept. in: a
 * channel name; out: its positions and events in order of replay id. A value: nothing to close; the
 * org is borrowed. Pure towards time.
 *
 *   /data/AccountChangeEvent, /data/Deal__ChangeEvent   one object's change events
 *   /data/ChangeEvents                                  those of all objects
 *   /data/Sales__chn                                    a custom channel: those of its members
 *   /topic/Deals                                        a PushTopic
 *   /event/Low_Ink__e                                   a platform event
 *   /u/notifications                                    generic streaming
 *
 * Facts: salesforce-wire.md 2.3 (replay), 2.5 (channels). */
#ifndef TM_MOCKS_SALESFORCE_FEED_H
#define TM_MOCKS_SALESFORCE_FEED_H
#include "mocks/salesforce/streaming.h"

#define TM_FEED_CHANNEL_BYTES 160

enum tm_feed_kind { TM_FEED_CHANGES, TM_FEED_CUSTOM, TM_FEED_STREAM };
struct tm_feed {
    struct tm_org *org;
    struct tm_streaming *streaming;
    enum tm_feed_kind kind;
    char channel[TM_FEED_CHANNEL_BYTES];
    char object[96];      /* CHANGES: "" = all */
    int64_t retention_ms; /* STREAM */
};
/* streaming NULL: change events alone. False: there is no such channel. */
bool tm_feed_of(struct tm_feed *out, struct tm_org *org, struct tm_streaming *streaming,
                const char *channel);
/* Cheap: last replay id given out, published or not; 0 = none. */
int64_t tm_feed_last(const struct tm_feed *f);
/* Where a subscription stands that asked for replay_from: -1, -2 or an id. *out_valid false: an id
 * that is not retained, or beyond the tip. */
enum tm_code tm_feed_start(const struct tm_feed *f, int64_t replay_from, int64_t now_org_ms,
                           int64_t *out, bool *out_valid, struct tm_err *err);
/* As tm_org_events: published and retained events after a position; TM_E_GAP: some are gone. */
enum tm_code tm_feed_events(const struct tm_feed *f, int64_t replay_after, int64_t now_org_ms,
                            size_t count_max, tm_org_event_row *row, void *data,
                            struct tm_err *err);
/* Org instant at which the next event becomes deliverable; TM_NEVER. */
enum tm_code tm_feed_next_ms(const struct tm_feed *f, int64_t replay_after, int64_t *out,
                             struct tm_err *err);
#endif
