/* pushtopic: PushTopics: SOQL queries whose records' changes are events of /topic/<Name>. in: the
 * org's PushTopic records (written like any record: REST, control API, scenario), each change of
 * the org in its transaction; out: events into a stream, in the same transaction, so that what is
 * committed is told and what is rolled back is not. A PushTopic that the org cannot serve is
 * refused when it is written.
 *
 * An event: {"event":{"createdDate","replayId","type"},"sobject":{selected fields}}; type is
 * created, updated, deleted or undeleted; a delete carries the Id alone (assumed). NotifyForFields
 * decides whether an update counts: All, Referenced (named in SELECT or WHERE), Select, Where. The
 * record must match WHERE as it is after the change. Changes that never went through the
 * application (silent ones, conversions) are not told; gaps and overflows of change events are a
 * matter of change events. Facts: Streaming API guide, PushTopic queries, notifications, filtered
 * subscriptions; Object Reference, PushTopic (read 2026-11). */
#ifndef TM_MOCKS_SALESFORCE_PUSHTOPIC_H
#define TM_MOCKS_SALESFORCE_PUSHTOPIC_H
#include "mocks/salesforce/stream.h"

#define TM_PUSHTOPICS_MAX 100 /* performance and unlimited edition */
#define TM_PUSHTOPIC_QUERY_BYTES_MAX 1300
#define TM_PUSHTOPIC_NAME_BYTES_MAX 25

struct tm_pushtopics;
/* An org without the object PushTopic has none, and that is fine. */
enum tm_code tm_pushtopics_open(struct tm_pushtopics **out, struct tm_org *org,
                                struct tm_stream *stream, struct tm_err *err);
void tm_pushtopics_close(struct tm_pushtopics *p); /* NULL-safe */
/* What the org's watcher is to call. */
enum tm_code tm_pushtopics_seen(struct tm_pushtopics *p, const struct tm_org_seen *seen,
                                struct tm_err *err);
/* Is there an active one of this name (case counts)? */
bool tm_pushtopics_has(struct tm_pushtopics *p, const char *name);
/* Whether its query selects the field, any case. */
bool tm_pushtopics_selects(struct tm_pushtopics *p, const char *name, const char *field);
#endif
