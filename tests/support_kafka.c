#include "support_kafka.h"
#include <librdkafka/rdkafka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define KAFKA_MS 15000

struct admin {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_AdminOptions_t *options;
    rd_kafka_event_t *event;
};

static rd_kafka_t *kafka_client(const char *brokers, const char *group)
{
    char why[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why);
    if (group != NULL)
        rd_kafka_conf_set(conf, "group.id", group, why, sizeof why);
    rd_kafka_t *rk =
        rd_kafka_new(group != NULL ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (rk == NULL)
        fail_msg("%s", why);
    return rk;
}

static struct admin admin_open(const char *brokers, rd_kafka_admin_op_t op)
{
    char why[200];
    struct admin a = { .rk = kafka_client(brokers, NULL) };
    a.queue = rd_kafka_queue_new(a.rk);
    a.options = rd_kafka_AdminOptions_new(a.rk, op);
    rd_kafka_AdminOptions_set_request_timeout(a.options, KAFKA_MS, why, sizeof why);
    return a;
}

static rd_kafka_event_t *admin_answer(struct admin *a)
{
    a->event = rd_kafka_queue_poll(a->queue, KAFKA_MS);
    assert_non_null(a->event);
    if (rd_kafka_event_error(a->event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail_msg("%s", rd_kafka_event_error_string(a->event));
    return a->event;
}

static void admin_close(struct admin *a)
{
    rd_kafka_event_destroy(a->event);
    rd_kafka_AdminOptions_destroy(a->options);
    rd_kafka_queue_destroy(a->queue);
    rd_kafka_destroy(a->rk);
}

void tm_test_kafka_topic(const char *brokers, const char *topic, int32_t partitions,
                         const char *setting, const char *value)
{
    char why[200];
    size_t count;
    struct admin a = admin_open(brokers, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, partitions, 1, why, sizeof why);
    if (setting != NULL)
        rd_kafka_NewTopic_set_config(wanted, setting, value);
    rd_kafka_CreateTopics(a.rk, &wanted, 1, a.options, a.queue);
    const rd_kafka_topic_result_t **topics = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(admin_answer(&a)), &count);
    assert_int_equal(count, 1);
    if (rd_kafka_topic_result_error(topics[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail_msg("%s: %s", topic, rd_kafka_topic_result_error_string(topics[0]));
    rd_kafka_NewTopic_destroy(wanted);
    admin_close(&a);
}

void tm_test_kafka_delete_records(const char *brokers, const char *topic, int64_t offset)
{
    struct admin a = admin_open(brokers, RD_KAFKA_ADMIN_OP_DELETERECORDS);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = offset;
    rd_kafka_DeleteRecords_t *below = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(a.rk, &below, 1, a.options, a.queue);
    const rd_kafka_topic_partition_list_t *done = rd_kafka_DeleteRecords_result_offsets(
        rd_kafka_event_DeleteRecords_result(admin_answer(&a)));
    assert_int_equal(done->cnt, 1);
    assert_int_equal(done->elems[0].err, RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_DeleteRecords_destroy(below);
    rd_kafka_topic_partition_list_destroy(list);
    admin_close(&a);
}

int64_t tm_test_kafka_committed(const char *brokers, const char *group, const char *topic)
{
    rd_kafka_t *rk = kafka_client(brokers, group);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0);
    assert_int_equal(rd_kafka_committed(rk, list, KAFKA_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return offset >= 0 ? offset : -1;
}
