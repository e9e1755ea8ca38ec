/* A stand for stations between topics: an in-memory broker, and an HTTP port that is a schema
 * registry for some URLs and asks a function of the test for all others. Virtual time: stand.now,
 * moved by the test. */
#ifndef TM_TESTS_SUPPORT_STAND_H
#define TM_TESTS_SUPPORT_STAND_H
#include "base/http.h"
#include "mocks/kafka/topic_mem.h"
#include "topic/registry.h"
#include <jansson.h>

#define STAND_SCHEMAS_MAX 64
struct stand {
    struct tm_http http;
    struct tm_mem_broker *broker;
    struct tm_topic *writer; /* the test's own producer */
    struct tm_registry *registry;
    struct tm_now now;
    char *schemas[STAND_SCHEMAS_MAX];
    size_t schemas_count; /* id = index + 1 */
    struct tm_avro_schema *parsed[STAND_SCHEMAS_MAX];
    /* Answers what the registry does not: HTTP status, body appended to `reply`; 0 = the connection
     * breaks. */
    int (*answer)(void *self, const char *method, const char *url, const char *body,
                  struct tm_buf *reply);
    void *self;
    unsigned calls;
};
void stand_open(struct stand *s);
void stand_close(struct stand *s);
/* One record: `values` (stolen) by field name, encoded with `schema_text` (text, int, double, null;
 * objects and arrays as JSON). partition -1 = by key. Returns nothing; the test fails when it
 * cannot. */
void stand_put(struct stand *s, const char *topic, int32_t partition, const char *key,
               const char *schema_text, json_t *values);
void stand_put_raw(struct stand *s, const char *topic, int32_t partition, const char *key,
                   const char *bytes, size_t count);
/* A record as a JSON object by field name, with "_key" and "_partition" added; NULL when there is
 * none. Caller frees. */
json_t *stand_get(struct stand *s, const char *topic, int32_t partition, int64_t offset);
/* All records of a topic, partition by partition. Caller frees. */
json_t *stand_all(struct stand *s, const char *topic);
#endif
