/* stream: events that are not change events (PushTopics, platform events, generic streaming), each
 * channel a replay line of its own, kept in org.db and so there after a restart. in: what is
 * published, with its commit instant; out: events after a position, positions. Replay ids grow and
 * leave gaps. What is older than its channel's retention is not given out any more. Pure towards
 * time. The org is borrowed and outlives it; one thread. Facts: salesforce-wire.md 2.3, 8; the
 * Streaming API guide, "Message Durability" (read 2026-11): 24 h for PushTopics and generic events,
 * 72 h for high-volume platform events. */
#ifndef TM_MOCKS_SALESFORCE_STREAM_H
#define TM_MOCKS_SALESFORCE_STREAM_H
#include "mocks/salesforce/org.h"

#define TM_STREAM_DAY_MS 86400000LL

struct tm_stream;
enum tm_code tm_stream_open(struct tm_stream **out, struct tm_org *org, struct tm_err *err);
void tm_stream_close(struct tm_stream *s); /* NULL-safe */
/* One event: the members of "data" beside "event" (`{"sobject":{…}}`), and members of "event"
 * beside replayId, each followed by a comma (`"type":"created",`). Deliverable at commit_ms and the
 * org's publish delay. Joins a transaction that is open, else is one of its own. */
enum tm_code tm_stream_put(struct tm_stream *s, const char *channel, int64_t commit_ms,
                           const char *body, const char *event, int64_t *out_replay_id,
                           struct tm_err *err);
/* 0 = nothing was ever published. */
int64_t tm_stream_last(struct tm_stream *s, const char *channel);
/* Last published one at now, and the position just before the oldest retained. */
enum tm_code tm_stream_tip(struct tm_stream *s, const char *channel, int64_t now_org_ms,
                           int64_t *out, struct tm_err *err);
enum tm_code tm_stream_oldest(struct tm_stream *s, const char *channel, int64_t retention_ms,
                              int64_t now_org_ms, int64_t *out, struct tm_err *err);
/* As tm_org_events, of one channel. */
enum tm_code tm_stream_events(struct tm_stream *s, const char *channel, int64_t retention_ms,
                              int64_t replay_after, int64_t now_org_ms, size_t count_max,
                              tm_org_event_row *row, void *data, struct tm_err *err);
enum tm_code tm_stream_next_ms(struct tm_stream *s, const char *channel, int64_t replay_after,
                               int64_t *out, struct tm_err *err);
/* Events of the channels /kind/... put in the last span_ms, those that are no longer given out
 * included as long as they are there. */
enum tm_code tm_stream_count(struct tm_stream *s, const char *kind, int64_t span_ms,
                             int64_t now_org_ms, int64_t *out, struct tm_err *err);
/* Planted faults: what is published by now is past every retention; every line begins anew. */
enum tm_code tm_stream_forget(struct tm_stream *s, int64_t now_org_ms, struct tm_err *err);
enum tm_code tm_stream_reset(struct tm_stream *s, struct tm_err *err);
#endif
