/* custom_channel: channels that an org makes for itself, /data/<Name>__chn: change events of chosen
 * objects, each perhaps enriched with fields that did not change. in: definitions (control API,
 * scenario), kept in org.db; out: who is a member, and an event as the channel delivers it. Pure
 * towards time.
 *
 * Enriched fields stand in the events of updates and deletes, with the value they had when the
 * event was committed (also on replay: the history has it), unless that was empty, or they are
 * among the changed ones. A merged
 * event of an enriched object is delivered as one event a record, each with the same replay id.
 * Facts: Change Data Capture guide, "Enrich Change Events with Extra Fields", "Event Enrichment
 * Considerations" (read 2026-11); wire sheet 2.5. */
#ifndef TM_MOCKS_SALESFORCE_CUSTOM_CHANNEL_H
#define TM_MOCKS_SALESFORCE_CUSTOM_CHANNEL_H
#include "mocks/salesforce/org.h"

#define TM_CUSTOM_CHANNELS_MAX 100
#define TM_CUSTOM_MEMBERS_MAX TM_ORG_OBJECTS_MAX
#define TM_ENRICHED_FIELDS_MAX 10 /* of one member */

struct tm_custom_channels;
enum tm_code tm_custom_channels_open(struct tm_custom_channels **out, struct tm_org *org,
                                     struct tm_err *err);
void tm_custom_channels_close(struct tm_custom_channels *c); /* NULL-safe */
/* {"name":"Sales__chn","members":[{"object":"Account","enriched":["Name"]},"Opportunity"]}; no
 * members: the channel is gone. TM_E_ARG changes nothing. */
enum tm_code tm_custom_channel_set(struct tm_custom_channels *c, const json_t *definition,
                                   struct tm_err *err);
/* All definitions, in that form. Caller decrefs. */
json_t *tm_custom_channels_list(const struct tm_custom_channels *c);
/* ",Account,Opportunity," for tm_org_events; NULL: there is no such channel. Valid until the next
 * set. */
const char *tm_custom_channel_objects(const struct tm_custom_channels *c, const char *name);
/* One event as this channel delivers it: one call of `row`, or one for each record of a merged
 * event that is enriched. False: `row` stopped at the first. */
bool tm_custom_channel_event(struct tm_custom_channels *c, const char *name,
                             const struct tm_org_event *event, tm_org_event_row *row, void *data);
#endif
