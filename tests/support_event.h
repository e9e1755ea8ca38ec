/* support_event: small objects and change events for tests. */
#ifndef TM_TESTS_SUPPORT_EVENT_H
#define TM_TESTS_SUPPORT_EVENT_H
#include "base/describe.h"

/* An object "Lead__c"-sized describe with every kind of field, a compound address and a compound
 * Name; caller closes. */
struct tm_describe *support_describe(const char *object);
json_t *support_describe_json(const char *object);
/* The "data" object of a delivery. `ids` and `changed` are JSON arrays, `fields` a JSON object
 * without the header. */
json_t *support_change(const char *object, const char *type, long long replay_id, const char *ids,
                       const char *changed, const char *fields);
#endif
