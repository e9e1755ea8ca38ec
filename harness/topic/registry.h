/* registry: client of a Confluent-style schema registry. in: schema texts or ids; out: ids or
 * parsed schemas, cached for ever (ids are immutable). Each call does at most one HTTP exchange and
 * answers TM_E_AGAIN while it is under way: call again in a later step with the same arguments.
 * Source: facts/connectors.md 3.1. */
#ifndef TM_TOPIC_REGISTRY_H
#define TM_TOPIC_REGISTRY_H
#include "base/http.h"
#include "event/avro.h"

struct tm_registry;
/* `http` is borrowed. url: http://host:port[/path], with or without user:password@. */
enum tm_code tm_registry_open(struct tm_registry **out, struct tm_http *http, const char *url,
                              struct tm_err *err);
void tm_registry_close(struct tm_registry *r);
/* Registers `schema_text` under subject (<topic>-value). Refused (409, 422): TM_E_PROTO, message
 * says subject and why. Unreachable, 5xx: retried with back-off for up to 60 s of wall time, then
 * TM_E_IO. */
enum tm_code tm_registry_register(struct tm_registry *r, const struct tm_now *now, int32_t *out_id,
                                  const char *subject, const char *schema_text, struct tm_err *err);
/* The parsed writer's schema of an id; owned by the registry. Unknown id: TM_E_PROTO. */
enum tm_code tm_registry_schema(struct tm_registry *r, const struct tm_now *now,
                                const struct tm_avro_schema **out, int32_t id, struct tm_err *err);
/* wall ns of the next retry; TM_NEVER */
int64_t tm_registry_next_at(const struct tm_registry *r);
#endif
