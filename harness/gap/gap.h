/* gap: routes every change event that asks for a read to the alerts topic of its object.
 * in: sfdc.cdc.<object>_raw; out: alerts.sfdc.<object>_gap_events, value as event/contract.h's
 * alerts schema. What asks for a read (rules R3, R5, R7, R8):
 *   GAP_OVERFLOW                      _kind overflow    to every partition, once, however many
 *                                                       raw partitions hold it
 *   recordIds with "001*", any type   _kind conversion  likewise
 *   GAP_ anything else, in any case   _kind gap         one alert per id, key = id
 *   _DiffFields not empty             _kind diff        one alert per id, key = id
 * A merged event comes as one record per id, or as one record with Id = recordIds[0]; in both forms
 * it is the record whose Id is recordIds[0] that makes the alerts, so each id is alerted once.
 * Offsets are committed only after the alerts of the batch are acknowledged: at least once.
 * Never waits; one fetch, one produced batch or one commit a step. Ports are borrowed. */
#ifndef TM_GAP_GAP_H
#define TM_GAP_GAP_H
#include "base/config.h"
#include "topic/inbox.h"

#define TM_GAP_OBJECTS_MAX 256
#define TM_GAP_ATTEMPTS_MAX 5 /* of one batch that the broker refuses, 1 s to 16 s apart */
struct tm_gap_settings {      /* strings are owned by `config` or by the settings */
    const char *name, *group;
    char *objects[TM_GAP_OBJECTS_MAX];
    size_t objects_count;
    char *topics[TM_GAP_OBJECTS_MAX]; /* raw topic of objects[i] */
    char *alerts[TM_GAP_OBJECTS_MAX]; /* alerts topic of objects[i] */
    const char *const *readers;
    size_t readers_count; /* groups that read the alerts topics */
};
/* Keys: objects (list) and/or topics (list of raw topics; objects are then taken from their names),
 * group.id [tidemark-gap], alerts.topic ["alerts.sfdc.${object}_gap_events"], reading.groups
 * (list), kafka.properties (a file, topic/properties.h); input.data.format,
 * output.data.format [AVRO, nothing else]; accepted without effect: tasks.max and what places the
 * original in its cloud (topic/properties.h). */
enum tm_code tm_gap_settings_load(struct tm_gap_settings *out, struct tm_config **out_config,
                                  const char *path, struct tm_err *err);
void tm_gap_settings_free(struct tm_gap_settings *s);

struct tm_gap_counts {
    uint64_t records, alerts, gaps, overflows, conversions, diffs, batches_retried;
};
struct tm_gap;
enum tm_code tm_gap_open(struct tm_gap **out, const struct tm_gap_settings *settings,
                         struct tm_topic *topic, struct tm_registry *registry,
                         const char *aside_path, struct tm_err *err);
void tm_gap_close(struct tm_gap *g); /* NULL-safe */
enum tm_code tm_gap_step(struct tm_gap *g, const struct tm_now *now, struct tm_wake *wake,
                         struct tm_err *err);
const struct tm_gap_counts *tm_gap_counts(const struct tm_gap *g);
uint64_t tm_gap_aside_count(const struct tm_gap *g);
#endif
