/* happened: what befell the org besides changes of records, for the charts' time axis. in: org.db's
 * describes and planted faults; out: [{"kind": "schema" | "fault", "org_ms", "until_ms" (null: an
 * instant), "count", "says"}] in time order: fields that came, went or changed their type, and each
 * planted fault from its first to its last stroke. Org clock. Reads org.db only. */
#ifndef TM_CHECK_HAPPENED_H
#define TM_CHECK_HAPPENED_H
#include "check/truth.h"
#include <jansson.h>

#define TM_HAPPENED_MAX 100 /* the first ones */
enum tm_code tm_happened_json(json_t **out, const struct tm_truth *truth, struct tm_err *err);
#endif
