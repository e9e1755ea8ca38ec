/* json_kept: JSON that comes again and again byte for byte (describes, schemas) is parsed once.
 * in: bytes; out: what they say, shared, for reading only: whoever changes it copies it first. A
 * function of the bytes alone, so it may outlive whoever asked. Safe from any thread. */
#ifndef TM_BASE_JSON_KEPT_H
#define TM_BASE_JSON_KEPT_H
#include <jansson.h>

#define TM_JSON_KEPT_MAX 128       /* texts; the oldest goes */
#define TM_JSON_KEPT_BYTES_MIN 256 /* shorter ones are parsed faster than found */
#define TM_JSON_KEPT_BYTES_MAX 65536
/* As json_loadb; the caller decrefs. */
json_t *tm_json_kept(const char *text, size_t bytes, size_t flags, json_error_t *error);
#endif
