/* support_real: a real Kafka broker and a real registry (mocks/kafka/real.sh) that a test starts,
 * kills and starts again on the same folder and port; Kafka's version by KAFKA_VERSION. For
 * programs `real_…`, which run where TIDEMARK_BROKERS is set (make test-real). */
#ifndef TM_TESTS_SUPPORT_REAL_H
#define TM_TESTS_SUPPORT_REAL_H
#include <sys/types.h>

struct tm_test_broker {
    pid_t pid; /* of the JVM itself */
    int port;
    char dir[128], address[32];
    const char *properties; /* file of further server properties; NULL = none */
    const char *client;     /* file of client properties by which it is spoken to; NULL = none */
};
/* A free port, and a folder that the caller removes. Then started, as after a kill; returns when it
 * answers a request for metadata. */
void tm_test_broker_new(struct tm_test_broker *b, const char *dir);
void tm_test_broker_start(struct tm_test_broker *b);
void tm_test_broker_kill(struct tm_test_broker *b); /* -9; nothing when it does not run */

struct tm_test_registry {
    pid_t pid;
    int port;
    char dir[128], url[64];
};
/* The same of a real registry; what it knows stays in its folder. */
void tm_test_registry_new(struct tm_test_registry *r, const char *dir);
void tm_test_registry_start(struct tm_test_registry *r);
void tm_test_registry_kill(struct tm_test_registry *r);
#endif
