/* avro_rules: is a text an Avro schema, and can a reader with one schema read what another wrote.
 * in: schema JSON; out: yes, or no and why. Pure. Source: Avro 1.11 specification, "Schema
 * Resolution"; facts/connectors.md 3.1. */
#ifndef TM_MOCKS_REGISTRY_AVRO_RULES_H
#define TM_MOCKS_REGISTRY_AVRO_RULES_H
#include "base/buf.h"
#include <jansson.h>

/* False puts the reason into `why`. */
bool tm_mock_avro_valid(const json_t *schema, struct tm_buf *why);
bool tm_mock_avro_can_read(const json_t *reader, const json_t *writer, struct tm_buf *why);
#endif
