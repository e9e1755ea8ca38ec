/* registry: an embedded schema registry that speaks Confluent's REST API. in: HTTP requests; out:
 * answers. Keeps everything in memory (store.h: on a file); ids are dense, never reused, and equal
 * for equal schemas. Compatibility is checked by the rules of Avro's schema resolution
 * (avro_rules.c). Pure handler: no socket, so that a server and a simulation call it alike. Facts:
 * connectors.md 3.1. Not there: references, PROTOBUF and JSON schemas, modes, contexts. */
#ifndef TM_MOCKS_REGISTRY_REGISTRY_H
#define TM_MOCKS_REGISTRY_REGISTRY_H
#include "mocks/http/message.h"

#define TM_MOCK_SCHEMAS_MAX 10000
#define TM_MOCK_SUBJECTS_MAX 1000
#define TM_MOCK_VERSIONS_MAX 1000 /* per subject */
struct tm_mock_registry;
enum tm_code tm_mock_registry_open(struct tm_mock_registry **out, struct tm_err *err);
void tm_mock_registry_close(struct tm_mock_registry *r);
void tm_mock_registry_request(void *self, const struct tm_mock_request *request,
                              struct tm_mock_response *out);
/* While set, a schema that its subject does not have yet is refused (42205, as in mode READONLY);
 * what is known is answered as ever. */
void tm_mock_registry_read_only(struct tm_mock_registry *r, bool read_only);
/* Every subject's compatibility is NONE from now on, as after PUT /config and no subject's own. */
void tm_mock_registry_lenient(struct tm_mock_registry *r);
/* Grows whenever a request changes what the registry is: same requests, same registry. */
uint64_t tm_mock_registry_changes(const struct tm_mock_registry *r);
uint64_t tm_mock_registry_refused(const struct tm_mock_registry *r); /* registrations, ever */
struct tm_mock_handler tm_mock_registry_handler(struct tm_mock_registry *r);
#endif
