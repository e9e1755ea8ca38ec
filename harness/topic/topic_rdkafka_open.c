/* topic_rdkafka_open: handles of the librdkafka adapter: their properties, opening, closing. */
#include "topic/topic_rdkafka_inner.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RDK_LEAVE_MS 500 /* leaving a group takes no longer */
#define RDK_LEAVE_STEP_MS 20
#define RDK_REACH_PROPERTY "tidemark.reach.ms" /* these two are ours, not librdkafka's */
#define RDK_JOIN_PROPERTY "tidemark.join.ms"

void tm_rdk_on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    if (strcmp(facility, "CONFWARN") == 0 || strcmp(facility, "FAIL") == 0 ||
        strcmp(facility, "ERROR") == 0)
        return; /* told by error callback and probe in words of ours */
    tm_log(level <= 3 ? TM_LOG_WARN : TM_LOG_DEBUG, "librdkafka: %s: %s", facility, text);
}

static enum tm_code rdk_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                            struct tm_err *err)
{
    char why[200];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        return tm_fail(err, TM_E_ARG, "kafka property %s: %s", name, why);
    return TM_OK;
}

bool tm_rdk_own(const char *name)
{
    return strcmp(name, RDK_REACH_PROPERTY) == 0 || strcmp(name, RDK_JOIN_PROPERTY) == 0;
}

enum tm_code tm_rdk_own_ms(const char *name, const char *value, int *out, struct tm_err *err)
{
    char *end = NULL;
    long ms = strtol(value, &end, 10);
    if (*value == '\0' || *end != '\0' || ms < 1 || ms > 3600000)
        return tm_fail(err, TM_E_ARG, "%s: want 1 to 3600000 milliseconds, not \"%.40s\"", name,
                       value);
    *out = (int)ms;
    return TM_OK;
}

/* The user's "name=value" properties come last and win. */
enum tm_code tm_rdk_set_all(rd_kafka_conf_t *conf, const char *const *pairs, size_t pairs_count,
                            char *const *properties, size_t properties_count, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < pairs_count; i += 2)
        rc = rdk_set(conf, pairs[i], pairs[i + 1], err);
    for (size_t i = 0; rc == TM_OK && i < properties_count; i++) {
        const char *equals = strchr(properties[i], '=');
        char name[128];
        if (equals == NULL || equals == properties[i] ||
            (size_t)(equals - properties[i]) >= sizeof name)
            return tm_fail(err, TM_E_ARG, "kafka property \"%.60s\" is not name=value",
                           properties[i]);
        memcpy(name, properties[i], (size_t)(equals - properties[i]));
        name[equals - properties[i]] = '\0';
        if (tm_rdk_own(name))
            continue;
        rc = rdk_set(conf, name, equals + 1, err);
    }
    return rc;
}

static enum tm_code rdk_handle(struct rdk *k, rd_kafka_t **out, rd_kafka_type_t type,
                               rd_kafka_conf_t *conf, struct tm_err *err)
{
    const char *common[] = { "bootstrap.servers",
                             k->brokers,
                             "client.id",
                             k->client_id,
                             "log.connection.close",
                             "false",
                             "socket.nagle.disable",
                             "true",
                             "reconnect.backoff.max.ms",
                             "1000" };
    enum tm_code rc = tm_rdk_set_all(conf, common, sizeof common / sizeof common[0], k->properties,
                                     k->properties_count, err);
    char why[200];
    rd_kafka_conf_set_opaque(conf, k);
    rd_kafka_conf_set_error_cb(conf, tm_rdk_on_error);
    rd_kafka_conf_set_log_cb(conf, tm_rdk_on_log);
    if (rc == TM_OK && (*out = rd_kafka_new(type, conf, why, sizeof why)) == NULL)
        rc = tm_fail(err, TM_E_ARG, "kafka client: %s", why);
    if (rc != TM_OK)
        rd_kafka_conf_destroy(conf); /* rd_kafka_new takes it only when it succeeds */
    return rc;
}

enum tm_code tm_rdk_producer(struct rdk *k, struct tm_err *err)
{
    /* The embedded broker answers over sockets with Nagle's algorithm on: of several answers under
     * way to one client, the second waits for the delayed acknowledgement of the first. One request
     * at a time: 44 ms a batch became 1.6 ms. */
    const char *const pairs[] = { "max.in.flight",
                                  k->embedded ? "1" : "5",
                                  "enable.idempotence",
                                  "true",
                                  "acks",
                                  "all",
                                  "linger.ms",
                                  "1",
                                  "message.timeout.ms",
                                  "60000",
                                  "partitioner",
                                  "murmur2_random",
                                  "queue.buffering.max.kbytes",
                                  "65536",
                                  "message.max.bytes",
                                  "4000000" };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, tm_rdk_on_delivery);
    enum tm_code rc = tm_rdk_set_all(conf, pairs, sizeof pairs / sizeof pairs[0], NULL, 0, err);
    if (rc != TM_OK) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    rc = rdk_handle(k, &k->producer, RD_KAFKA_PRODUCER, conf, err);
    if (rc != TM_OK)
        return rc;
    k->producer_queue = rd_kafka_queue_get_main(k->producer);
    rd_kafka_queue_io_event_enable(k->producer_queue, k->pipe_fds[1], "p", 1);
    return TM_OK;
}

static enum tm_code rdk_consumer(struct rdk *k, struct tm_err *err)
{
    const char *pairs[] = { "group.id",
                            k->group,
                            "enable.auto.commit",
                            "false",
                            "enable.auto.offset.store",
                            "false",
                            "auto.offset.reset",
                            "error",
                            "max.poll.interval.ms",
                            "1800000",
                            "queued.max.messages.kbytes",
                            "32768",
                            "fetch.wait.max.ms",
                            k->embedded ? "5" : "50",
                            "fetch.error.backoff.ms",
                            "50",
                            "session.timeout.ms",
                            k->embedded ? "6000" : "15000",
                            "heartbeat.interval.ms",
                            k->embedded ? "300" : "1000",
                            "partition.assignment.strategy",
                            k->together   ? "range"
                            : k->embedded ? "range,roundrobin"
                                          : "cooperative-sticky" };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_rebalance_cb(conf, tm_rdk_on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, tm_rdk_on_commit);
    enum tm_code rc = tm_rdk_set_all(conf, pairs, sizeof pairs / sizeof pairs[0], NULL, 0, err);
    if (rc == TM_OK && k->instance != NULL && !k->embedded)
        rc = rdk_set(conf, "group.instance.id", k->instance, err);
    if (rc != TM_OK) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    rc = rdk_handle(k, &k->consumer, RD_KAFKA_CONSUMER, conf, err);
    if (rc != TM_OK)
        return rc;
    rd_kafka_poll_set_consumer(k->consumer);
    k->consumer_queue = rd_kafka_queue_get_consumer(k->consumer);
    rd_kafka_queue_io_event_enable(k->consumer_queue, k->pipe_fds[1], "c", 1);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)k->wanted_count);
    for (size_t i = 0; i < k->wanted_count; i++)
        rd_kafka_topic_partition_list_add(list, k->wanted[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t e = rd_kafka_subscribe(k->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
        return tm_fail(err, TM_E_ARG, "group %s cannot subscribe: %s", k->group,
                       rd_kafka_err2str(e));
    k->joined = false;
    k->joining_ns = tm_clock_monotonic_ns();
    return TM_OK;
}

static enum tm_code rdk_watch_start(struct rdk *k, struct tm_err *err)
{
    k->any = k->consumer != NULL ? k->consumer : k->producer;
    k->stop = false;
    if (pthread_create(&k->watcher, NULL, tm_rdk_watcher, k) != 0)
        return tm_fail(err, TM_E_IO, "kafka client: cannot start a thread");
    k->watcher_runs = true;
    return TM_OK;
}

static void rdk_watch_stop(struct rdk *k)
{
    if (!k->watcher_runs)
        return;
    pthread_mutex_lock(&k->lock);
    k->stop = true;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
    pthread_join(k->watcher, NULL);
    k->watcher_runs = false;
}

enum tm_code tm_rdk_join_again(struct rdk *k, struct tm_err *err)
{
    tm_log(TM_LOG_WARN, "group %s: the broker did not answer a join for %d ms; joining anew",
           k->group, k->join_ms);
    rdk_watch_stop(k);
    rd_kafka_queue_io_event_enable(k->consumer_queue, -1, NULL, 0);
    rd_kafka_queue_destroy(k->consumer_queue);
    rd_kafka_destroy_flags(k->consumer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    k->consumer_queue = NULL;
    k->consumer = NULL;
    k->commits_flying = 0; /* their answers went with the handle; nothing is owned */
    enum tm_code rc = rdk_consumer(k, err);
    return rc == TM_OK ? rdk_watch_start(k, err) : rc;
}

/* Leaves the group and waits for the commits under way, but not for ever: a member that is told to
 * end while its group is rejoining would wait in rd_kafka_consumer_close without a bound
 * (librdkafka 2.0.2, embedded broker). rd_kafka_consume_queue and not rd_kafka_queue_poll_callback:
 * records still arrive on this queue, and the latter aborts the process on the first of them. */
static void rdk_leave(struct rdk *k)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(k->consumer);
    rd_kafka_error_t *refused = rd_kafka_consumer_close_queue(k->consumer, queue);
    int64_t until_ns = tm_clock_monotonic_ns() + RDK_LEAVE_MS * TM_NS_PER_MS;
    while (refused == NULL && !rd_kafka_consumer_closed(k->consumer) &&
           tm_clock_monotonic_ns() < until_ns) {
        rd_kafka_message_t *unread = rd_kafka_consume_queue(queue, RDK_LEAVE_STEP_MS);
        if (unread != NULL) /* fetched before the stop and never taken: not committed either */
            rd_kafka_message_destroy(unread);
    }
    bool left = rd_kafka_consumer_closed(k->consumer) != 0;
    if (refused != NULL)
        rd_kafka_error_destroy(refused);
    rd_kafka_queue_destroy(queue);
    /* A cooperative member that was never given partitions must not be destroyed either: librdkafka
     * before 2.3.0 aborts the process on it (its issue 4312). */
    if (left && (k->was_joined || k->embedded))
        rd_kafka_destroy(k->consumer);
    /* else: destroying it would wait just as long. What it holds goes with the process; its group
     * forgets it by time-out. */
}

void tm_rdk_close(struct tm_topic *t)
{
    struct rdk *k = (struct rdk *)t;
    if (k == NULL)
        return;
    k->closing = true;
    tm_rdk_release(k);
    rdk_watch_stop(k);
    if (k->consumer != NULL) {
        if (!k->unreachable_set)
            tm_rdk_send_commits(k);
        rd_kafka_queue_io_event_enable(k->consumer_queue, -1, NULL, 0);
        rd_kafka_queue_destroy(k->consumer_queue);
        rdk_leave(k);
    }
    if (k->producer != NULL) {
        rd_kafka_queue_io_event_enable(k->producer_queue, -1, NULL, 0);
        rd_kafka_queue_destroy(k->producer_queue);
        rd_kafka_flush(k->producer, k->unreachable_set ? 0 : 1000);
        rd_kafka_purge(k->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(k->producer);
    }
    for (size_t i = 0; i < k->parts_count; i++)
        free(k->parts[i]);
    for (size_t i = 0; i < k->properties_count; i++)
        free(k->properties[i]);
    for (size_t i = 0; i < k->readers_count; i++)
        free(k->readers[i]);
    for (size_t i = 0; i < k->wanted_count; i++)
        free(k->wanted[i]);
    if (k->pipe_fds[0] >= 0) {
        close(k->pipe_fds[0]);
        close(k->pipe_fds[1]);
    }
    pthread_mutex_destroy(&k->lock);
    pthread_cond_destroy(&k->wake);
    free(k->parts);
    free(k->properties);
    free(k->readers);
    free(k->wanted);
    free(k->brokers);
    free(k->client_id);
    free(k->group);
    free(k->instance);
    free(k);
}

static bool rdk_copy_list(char ***out, size_t *out_count, const char *const *items,
                          size_t items_count)
{
    *out = calloc(items_count + 1, sizeof **out);
    for (size_t i = 0; *out != NULL && i < items_count; i++)
        if (((*out)[i] = strdup(items[i])) != NULL)
            (*out_count)++;
    return *out != NULL && *out_count == items_count;
}

static enum tm_code rdk_own_ms(const struct rdk *k, const char *name, int preset, int *out,
                               struct tm_err *err)
{
    size_t bytes = strlen(name);
    enum tm_code rc = TM_OK;
    *out = preset;
    for (size_t i = 0; i < k->properties_count && rc == TM_OK; i++)
        if (strncmp(k->properties[i], name, bytes) == 0 && k->properties[i][bytes] == '=')
            rc = tm_rdk_own_ms(name, k->properties[i] + bytes + 1, out, err);
    return rc;
}

static enum tm_code rdk_start(struct rdk *k, struct tm_err *err)
{
    enum tm_code rc = rdk_own_ms(k, RDK_REACH_PROPERTY, RDK_REACH_MS, &k->reach_ms, err);
    if (rc == TM_OK)
        rc = rdk_own_ms(k, RDK_JOIN_PROPERTY, RDK_JOIN_MS, &k->join_ms, err);
    if (rc != TM_OK)
        return rc;
    if (pipe2(k->pipe_fds, O_NONBLOCK | O_CLOEXEC) != 0) {
        k->pipe_fds[0] = -1;
        return tm_fail(err, TM_E_IO, "kafka client: pipe: %s", strerror(errno));
    }
    rc = k->group != NULL ? rdk_consumer(k, err) : tm_rdk_producer(k, err);
    if (rc != TM_OK)
        return rc;
    k->probe_wanted = true;
    return rdk_watch_start(k, err);
}

enum tm_code tm_topic_kafka_open(struct tm_topic **out, const struct tm_kafka_options *options,
                                 struct tm_err *err)
{
    if (options->brokers == NULL || *options->brokers == '\0')
        return tm_fail(err, TM_E_ARG,
                       "no Kafka broker given: say --brokers HOST:PORT or set TIDEMARK_BROKERS");
    struct rdk *k = calloc(1, sizeof *k);
    if (k == NULL)
        return tm_fail(err, TM_E_NOMEM, "kafka client: %zu bytes", sizeof *k);
    k->topic.ops = &tm_rdk_ops;
    k->pipe_fds[0] = k->pipe_fds[1] = -1;
    k->owner = options->owner;
    k->embedded = options->embedded;
    k->together = options->together;
    k->commit_wait_ns = RDK_COMMIT_NS;
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->wake, NULL);
    k->brokers = strdup(options->brokers);
    k->client_id = strdup(options->client_id != NULL ? options->client_id : "tidemark");
    k->group = options->group != NULL ? strdup(options->group) : NULL;
    k->instance = options->instance != NULL ? strdup(options->instance) : NULL;
    k->parts = calloc(RDK_PARTS_MAX, sizeof *k->parts); /* never moves: the watcher reads it */
    bool ok = k->brokers != NULL && k->client_id != NULL && k->parts != NULL &&
              (options->group == NULL || k->group != NULL) &&
              (options->instance == NULL || k->instance != NULL) &&
              rdk_copy_list(&k->properties, &k->properties_count, options->properties,
                            options->properties_count) &&
              rdk_copy_list(&k->readers, &k->readers_count, options->reading_groups,
                            options->reading_groups_count) &&
              rdk_copy_list(&k->wanted, &k->wanted_count, options->topics, options->topics_count);
    enum tm_code rc = ok ? rdk_start(k, err) : tm_fail(err, TM_E_NOMEM, "kafka client");
    if (rc != TM_OK) {
        tm_rdk_close(&k->topic);
        return rc;
    }
    *out = &k->topic;
    return TM_OK;
}
