/* embedded: librdkafka's mock cluster as a broker of our own, in this process, one broker,
 * listening on loopback. in: topics with their partition counts; out: a bootstrap address. It keeps
 * at most 5 MB or 100,000 records a partition and evicts silently; everything is in memory. */
#ifndef TM_MOCKS_KAFKA_EMBEDDED_H
#define TM_MOCKS_KAFKA_EMBEDDED_H
#include "base/err.h"
#include <stdint.h>

#define TM_EMBEDDED_TOPICS_MAX 256
#define TM_EMBEDDED_PARTITIONS_MAX 256
struct tm_embedded;
enum tm_code tm_embedded_open(struct tm_embedded **out, struct tm_err *err);
void tm_embedded_close(struct tm_embedded *e); /* NULL-safe */
enum tm_code tm_embedded_topic(struct tm_embedded *e, const char *topic, int32_t partitions,
                               struct tm_err *err);
/* "a:6,b:1": TM_E_ARG names the part that is not NAME:PARTITIONS; no count means 6. */
enum tm_code tm_embedded_topics(struct tm_embedded *e, const char *list, struct tm_err *err);
const char *tm_embedded_bootstrap(const struct tm_embedded *e); /* host:port */
/* The next `count` produce requests are answered with a retriable (NOT_ENOUGH_REPLICAS) or a final
 * error. */
void tm_embedded_fail_produce(struct tm_embedded *e, unsigned count, bool retriable);
/* The next `count` offset commits are answered with a time-out, or as of an old generation: the
 * member must join its group again. */
void tm_embedded_fail_commit(struct tm_embedded *e, unsigned count, bool fenced);
#endif
