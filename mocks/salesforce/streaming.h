/* streaming: what an org streams beside change events: PushTopics, platform events, generic
 * streaming, and the custom channels of change events; their part of REST and of the control API.
 * in: the org, requests; out: streams (stream.h), answers. Pure towards time. The org is borrowed;
 * while this is open it is the org's watcher.
 *
 *   POST sobjects/<X>__e                     publishes a platform event
 *   GET  sobjects/<X>__e[/describe]          its describe
 *   GET  sobjects/<X>__e/eventSchema, event/eventSchema/<id>   its Avro schema
 *   GET, POST sobjects/StreamingChannel/<id>/push              generic streaming
 *
 * PushTopic and StreamingChannel are records like any other. Facts: Streaming API guide, "Streaming
 * Channel Push REST API"; Platform Events guide (read 2026-11). */
#ifndef TM_MOCKS_SALESFORCE_STREAMING_H
#define TM_MOCKS_SALESFORCE_STREAMING_H
#include "mocks/http/message.h"
#include "mocks/salesforce/custom_channel.h"
#include "mocks/salesforce/platform_event.h"
#include "mocks/salesforce/pushtopic.h"

#define TM_PUSH_EVENTS_MAX 100 /* of one push */
#define TM_PUSH_PAYLOAD_BYTES_MAX 3000
struct tm_streaming {
    struct tm_org *org;
    struct tm_stream *stream;
    struct tm_pushtopics *pushtopics;
    struct tm_platform_events *events;
    struct tm_custom_channels *channels;
    bool (*follows)(void *self, const char *channel); /* is anybody there? NULL = not known: no */
    void *follows_self;
};
enum tm_code tm_streaming_open(struct tm_streaming **out, struct tm_org *org, struct tm_err *err);
void tm_streaming_close(struct tm_streaming *s); /* NULL-safe */
/* A request under /services/data/vNN.0/ that is admitted already; parts behind the version. False:
 * not one of the above. */
bool tm_streaming_rest(struct tm_streaming *s, const struct tm_mock_request *r, char *const *parts,
                       size_t parts_count, struct tm_mock_response *out);
/* The control API: POST channels (custom_channel.h), POST events {"object":"X__e","fields":{…}}.
 * *out: the answer, caller decrefs. */
enum tm_code tm_streaming_channels(struct tm_streaming *s, const json_t *request, json_t **out,
                                   struct tm_err *err);
enum tm_code tm_streaming_publish(struct tm_streaming *s, const json_t *request,
                                  const struct tm_now *now, json_t **out, struct tm_err *err);
/* Is there a StreamingChannel of this name ("/u/…")? */
bool tm_streaming_generic(struct tm_streaming *s, const char *channel);
/* A scenario's "streaming": {"push_topics":[{"Name":…,"Query":…}],"channels":[…]}. What is there
 * already, from an earlier start on the same file, is left as it is. */
enum tm_code tm_streaming_setup(struct tm_streaming *s, const json_t *setup, int64_t org_ms,
                                struct tm_err *err);
#endif
