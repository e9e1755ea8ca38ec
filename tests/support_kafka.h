/* support_kafka: what a test asks of a real broker beside the code under test, by librdkafka's
 * admin requests. Every failure fails the test. */
#ifndef TM_TESTS_SUPPORT_KAFKA_H
#define TM_TESTS_SUPPORT_KAFKA_H
#include <stddef.h>
#include <stdint.h>

/* A topic of one replica with one setting of its own: NULL = none. */
void tm_test_kafka_topic(const char *brokers, const char *topic, int32_t partitions,
                         const char *setting, const char *value);
/* Deletes the records of partition 0 below `offset`. */
void tm_test_kafka_delete_records(const char *brokers, const char *topic, int64_t offset);
/* What the group has committed in partition 0; -1 = nothing. */
int64_t tm_test_kafka_committed(const char *brokers, const char *group, const char *topic);
#endif
