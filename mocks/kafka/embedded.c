#include "mocks/kafka/embedded.h"
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>
#include <string.h>

#define EMBEDDED_API_PRODUCE 0
#define EMBEDDED_API_COMMIT 8 /* ApiKey of the Kafka protocol */
struct tm_embedded {
    rd_kafka_t *handle;
    rd_kafka_mock_cluster_t *cluster;
    size_t topics_count;
};

enum tm_code tm_embedded_open(struct tm_embedded **out, struct tm_err *err)
{
    char why[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    struct tm_embedded *e = calloc(1, sizeof *e);
    if (e == NULL) {
        rd_kafka_conf_destroy(conf);
        return tm_fail(err, TM_E_NOMEM, "embedded broker");
    }
    (void)rd_kafka_conf_set(conf, "client.id", "tidemark-broker", why, sizeof why);
    (void)rd_kafka_conf_set(conf, "log_level", "3", why, sizeof why);
    e->handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (e->handle == NULL) {
        rd_kafka_conf_destroy(conf);
        free(e);
        return tm_fail(err, TM_E_IO, "embedded broker: %s", why);
    }
    e->cluster = rd_kafka_mock_cluster_new(e->handle, 1);
    if (e->cluster == NULL) {
        tm_embedded_close(e);
        return tm_fail(err, TM_E_IO, "embedded broker: no listening socket on loopback");
    }
    *out = e;
    return TM_OK;
}

void tm_embedded_close(struct tm_embedded *e)
{
    if (e == NULL)
        return;
    if (e->cluster != NULL)
        rd_kafka_mock_cluster_destroy(e->cluster);
    rd_kafka_destroy(e->handle);
    free(e);
}

enum tm_code tm_embedded_topic(struct tm_embedded *e, const char *topic, int32_t partitions,
                               struct tm_err *err)
{
    if (partitions < 1 || partitions > TM_EMBEDDED_PARTITIONS_MAX)
        return tm_fail(err, TM_E_ARG, "topic %s: %" PRId32 " partitions, want 1 to %d", topic,
                       partitions, TM_EMBEDDED_PARTITIONS_MAX);
    if (e->topics_count == TM_EMBEDDED_TOPICS_MAX)
        return tm_fail(err, TM_E_LIMIT, "embedded broker: more than %d topics",
                       TM_EMBEDDED_TOPICS_MAX);
    rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(e->cluster, topic, partitions, 1);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return tm_fail(err, TM_E_ARG, "topic %s: %s", topic, rd_kafka_err2str(code));
    e->topics_count++;
    return TM_OK;
}

enum tm_code tm_embedded_topics(struct tm_embedded *e, const char *list, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    while (rc == TM_OK && *list != '\0') {
        size_t bytes = strcspn(list, ",");
        char name[250];
        if (bytes == 0 || bytes >= sizeof name)
            return tm_fail(err, TM_E_ARG, "topics: \"%.60s\" is not NAME:PARTITIONS,…", list);
        memcpy(name, list, bytes);
        name[bytes] = '\0';
        long partitions = 6;
        char *colon = strrchr(name, ':');
        if (colon != NULL) {
            char *end;
            partitions = strtol(colon + 1, &end, 10);
            if (*end != '\0' || end == colon + 1 || partitions < 1 ||
                partitions > TM_EMBEDDED_PARTITIONS_MAX)
                return tm_fail(err, TM_E_ARG,
                               "topics: \"%.60s\" is not NAME:PARTITIONS with 1 to %d partitions",
                               name, TM_EMBEDDED_PARTITIONS_MAX);
            *colon = '\0';
        }
        rc = tm_embedded_topic(e, name, (int32_t)partitions, err);
        list += bytes + (list[bytes] == ',');
    }
    return rc;
}

const char *tm_embedded_bootstrap(const struct tm_embedded *e)
{
    return rd_kafka_mock_cluster_bootstraps(e->cluster);
}

void tm_embedded_fail_produce(struct tm_embedded *e, unsigned count, bool retriable)
{
    rd_kafka_resp_err_t code = retriable ? RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS
                                         : RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    for (unsigned i = 0; i < count; i++)
        rd_kafka_mock_push_request_errors(e->cluster, EMBEDDED_API_PRODUCE, 1, code);
}

void tm_embedded_fail_commit(struct tm_embedded *e, unsigned count, bool fenced)
{
    rd_kafka_resp_err_t code =
        fenced ? RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION : RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT;
    for (unsigned i = 0; i < count; i++)
        rd_kafka_mock_push_request_errors(e->cluster, EMBEDDED_API_COMMIT, 1, code);
}
