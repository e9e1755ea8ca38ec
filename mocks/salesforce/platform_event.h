/* platform_event: events people define and publish: /event/<X>__e. in: describes of event objects
 * (<objects folder>/events/<X>__e.json, in the form of GET …/sobjects/<X>__e/describe; keyPrefix
 * e00 and on), fields to publish; out: events in a stream, an id and an EventUuid. High-volume
 * ones (the describe says nothing else) are kept 72 h, standard-volume ones
 * ("tidemarkVolume":"standard") 24 h.
 *
 * An event: {"schema","payload":{"CreatedDate","CreatedById", every field},"event":{"EventUuid",
 * "replayId"}}. Facts: Platform Events guide, "Publish Event Messages with Salesforce APIs",
 * "Identify and Match Event Messages" (read 2026-11); wire sheet 2.5, 8. */
#ifndef TM_MOCKS_SALESFORCE_PLATFORM_EVENT_H
#define TM_MOCKS_SALESFORCE_PLATFORM_EVENT_H
#include "mocks/salesforce/stream.h"

#define TM_PLATFORM_EVENTS_MAX 100
#define TM_UUID_BYTES 37
struct tm_platform_events;
/* An org without such a folder has none. */
enum tm_code tm_platform_events_open(struct tm_platform_events **out, struct tm_org *org,
                                     struct tm_stream *stream, struct tm_err *err);
void tm_platform_events_close(struct tm_platform_events *p); /* NULL-safe */
/* Any case; NULL: there is none of this name. */
const struct tm_describe *tm_platform_event(const struct tm_platform_events *p, const char *name);
const struct tm_describe *tm_platform_event_at(const struct tm_platform_events *p, size_t index);
/* "schema" of its events; "" for an unknown name. */
const char *tm_platform_event_schema_id(const struct tm_platform_events *p, const char *name);
int64_t tm_platform_event_retention_ms(const struct tm_platform_events *p, const char *name);
struct tm_platform_event_result {
    char id[TM_ID_BYTES], uuid[TM_UUID_BYTES];
    int64_t replay_id;
};
/* fields: as REST writes them. TM_E_ARG: the user's mistake, see tm_org_error_code. user NULL = the
 * integration user. */
enum tm_code tm_platform_event_publish(struct tm_platform_events *p, const char *name,
                                       const json_t *fields, const char *user, int64_t now_org_ms,
                                       struct tm_platform_event_result *out, struct tm_err *err);
#endif
