/* topic_rdkafka_topics: what a Kafka cluster is, and its topics: made, checked, deleted. One admin
 * handle for the time of a call. The embedded broker knows none of these requests but metadata. */
#include "topic/topic_rdkafka_inner.h"
#include "base/log.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOPICS_SCRAM_VERSION 0x020601ff
#define TOPICS_STEP_US 50000 /* between two looks at what a broker knows */
#define TOPICS_SLICE_MS 1000 /* one of several tries */

struct topics {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue; /* of answers */
    const struct tm_kafka_access *access;
    const struct tm_topics_plan *plan;
    bool there[TM_TOPICS_MAX]; /* by the index of plan->topics */
    char refused[256];         /* what a broker or TLS had against us; "" = nothing */
};

/* Signing in again or trusting a certificate later helps no one: told at once, in the words of who
 * refused. */
static void topics_on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct topics *t = opaque;
    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL ||
        code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED)
        snprintf(t->refused, sizeof t->refused, "%s", reason);
}

static enum tm_code topics_open(struct topics *t, const struct tm_kafka_access *access,
                                struct tm_err *err)
{
    /* Errors of single connections are told by what is asked, in words of ours. */
    const char *pairs[] = { "bootstrap.servers",
                            access->brokers,
                            "client.id",
                            "tidemark-topics",
                            "log.connection.close",
                            "false",
                            "reconnect.backoff.max.ms",
                            "1000" };
    char why[200];
    if (access->brokers == NULL || *access->brokers == '\0')
        return tm_fail(err, TM_E_ARG,
                       "no Kafka broker given: say --brokers HOST:PORT or set TIDEMARK_BROKERS");
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum tm_code rc =
        tm_rdk_set_all(conf, pairs, sizeof pairs / sizeof pairs[0],
                       (char *const *)(uintptr_t)access->properties, access->properties_count, err);
    t->access = access;
    rd_kafka_conf_set_log_cb(conf, tm_rdk_on_log);
    rd_kafka_conf_set_error_cb(conf, topics_on_error);
    rd_kafka_conf_set_opaque(conf, t);
    if (rc == TM_OK && (t->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why)) == NULL)
        rc = tm_fail(err, TM_E_ARG, "kafka client: %s", why);
    if (t->rk == NULL)
        rd_kafka_conf_destroy(conf); /* rd_kafka_new takes it only when it succeeds */
    else
        t->queue = rd_kafka_queue_new(t->rk);
    return rc;
}

static void topics_close(struct topics *t)
{
    if (t->rk == NULL)
        return;
    rd_kafka_queue_destroy(t->queue);
    rd_kafka_destroy(t->rk);
}

/* A right password is refused by brokers from 4.0 on (seen with 4.1.2) when a librdkafka before
 * 2.6.1 signs in by SCRAM; 3.9.2 takes it. Fact: edenhill/kcat issue 462, read 2026-12-01. */
static enum tm_code topics_no_entry(const struct topics *t, struct tm_err *err)
{
    if (strstr(t->refused, "SCRAM") != NULL && rd_kafka_version() < TOPICS_SCRAM_VERSION)
        return tm_fail(
            err, TM_E_ARG,
            "kafka at %.60s: sign-in by SCRAM failed: wrong user or password, or brokers "
            "from 4.0 on: librdkafka 2.6.1 can, this is %.12s",
            t->access->brokers, rd_kafka_version_str());
    return tm_fail(err, TM_E_ARG, "kafka at %.80s: TLS or sign-in failed: %.200s",
                   t->access->brokers, t->refused);
}

/* All topics, not ours by name: asked for by name, a broker could make them with a count of its
 * own. */
static enum tm_code topics_metadata(struct topics *t, const struct rd_kafka_metadata **out,
                                    struct tm_err *err)
{
    const struct tm_kafka_access *a = t->access;
    int64_t until_ns = tm_clock_monotonic_ns() + a->timeout_ms * TM_NS_PER_MS;
    rd_kafka_resp_err_t e;
    do {
        int64_t left_ms = (until_ns - tm_clock_monotonic_ns()) / TM_NS_PER_MS;
        e = rd_kafka_metadata(t->rk, 1, NULL, out,
                              left_ms < 1                 ? 1
                              : left_ms < TOPICS_SLICE_MS ? (int)left_ms
                                                          : TOPICS_SLICE_MS);
        if (e == RD_KAFKA_RESP_ERR_NO_ERROR)
            return TM_OK;
        rd_kafka_poll(t->rk, 0); /* errors of the connections */
        if (t->refused[0] != '\0')
            return topics_no_entry(t, err);
        usleep(TOPICS_STEP_US); /* refused at once while a broker starts: ask again */
    } while (tm_clock_monotonic_ns() < until_ns);
    return tm_fail_retry(err, TM_E_IO,
                         "no Kafka broker answers at %s (tried for %d ms: %s); is it running, and "
                         "are --brokers and --kafka-properties right?",
                         a->brokers, a->timeout_ms, rd_kafka_err2str(e));
}

enum tm_code tm_topic_kafka_cluster(struct tm_kafka_cluster *out,
                                    const struct tm_kafka_access *access, struct tm_err *err)
{
    struct topics t = { .rk = NULL };
    const struct rd_kafka_metadata *md = NULL;
    enum tm_code rc = topics_open(&t, access, err);
    if (rc == TM_OK)
        rc = topics_metadata(&t, &md, err);
    if (rc == TM_OK) {
        char *id = rd_kafka_clusterid(t.rk, access->timeout_ms);
        snprintf(out->id, sizeof out->id, "%s", id != NULL ? id : "");
        out->brokers = md->broker_cnt;
        if (id != NULL)
            rd_kafka_mem_free(t.rk, id);
        rd_kafka_metadata_destroy(md);
    }
    topics_close(&t);
    return rc;
}

const char *tm_topic_kafka_client(void)
{
    return rd_kafka_version_str();
}

/* The answer of an admin request; NULL after the time-out. The caller destroys it. */
static rd_kafka_event_t *topics_answer(const struct topics *t)
{
    return rd_kafka_queue_poll(t->queue, t->access->timeout_ms + 1000);
}

static rd_kafka_AdminOptions_t *topics_options(const struct topics *t, rd_kafka_admin_op_t op)
{
    char why[200];
    rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(t->rk, op);
    (void)rd_kafka_AdminOptions_set_request_timeout(o, t->access->timeout_ms, why, sizeof why);
    if (op == RD_KAFKA_ADMIN_OP_CREATETOPICS || op == RD_KAFKA_ADMIN_OP_DELETETOPICS)
        (void)rd_kafka_AdminOptions_set_operation_timeout(o, t->access->timeout_ms, why,
                                                          sizeof why);
    return o;
}

/* What the brokers said to one topic, in a sentence that says what to do. */
static enum tm_code topics_refused(const struct topics *t, const char *verb, const char *topic,
                                   rd_kafka_resp_err_t e, const char *said, struct tm_err *err)
{
    const char *where = t->access->brokers;
    if (said == NULL)
        said = rd_kafka_err2str(e);
    switch ((int)e) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return tm_fail(err, TM_E_ARG,
                       "this Kafka user may not %s topic %.80s at %.80s (or may not see that it is "
                       "there): have it done, and grant DESCRIBE, READ and WRITE",
                       verb, topic, where);
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
        return tm_fail(err, TM_E_ARG,
                       "topic %.80s at %.60s: %.120s Set tidemark.replication.factor to no more "
                       "than there are brokers",
                       topic, where, said);
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_DELETION_DISABLED:
        return tm_fail(err, TM_E_ARG, "cannot %s topic %.80s at %.60s: %.160s", verb, topic, where,
                       said);
    default:
        return tm_fail_retry(err, TM_E_IO, "cannot %s topic %.80s at %.60s: %.160s%s", verb, topic,
                             where, said,
                             e == RD_KAFKA_RESP_ERR__TIMED_OUT
                                 ? "; the embedded broker makes topics when it starts: tidemark "
                                   "kafka --topics NAME:N,…"
                                 : "");
    }
}

/* Of a request for several topics: the first refusal but `pardoned`. */
static enum tm_code topics_results(const struct topics *t, const char *verb,
                                   rd_kafka_event_t *event, const char *first,
                                   rd_kafka_resp_err_t pardoned,
                                   const rd_kafka_topic_result_t **results, size_t count,
                                   struct tm_err *err)
{
    rd_kafka_resp_err_t e =
        event == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(event);
    enum tm_code rc = TM_OK;
    if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
        return topics_refused(t, verb, first, e,
                              event != NULL ? rd_kafka_event_error_string(event) : NULL, err);
    for (size_t i = 0; i < count && rc == TM_OK; i++) {
        e = rd_kafka_topic_result_error(results[i]);
        if (e != RD_KAFKA_RESP_ERR_NO_ERROR && e != pardoned)
            rc = topics_refused(t, verb, rd_kafka_topic_result_name(results[i]), e,
                                rd_kafka_topic_result_error_string(results[i]), err);
    }
    return rc;
}

static bool topics_compacted(const struct topics *t, const char *topic)
{
    return t->plan->compacted != NULL && strcmp(t->plan->compacted, topic) == 0;
}

/* The topic at `i` is asked for, and not by an earlier name already. */
static bool topics_is_asked(const struct tm_topics_plan *plan, size_t i)
{
    const char *name = plan->topics[i];
    if (name == NULL || *name == '\0')
        return false;
    for (size_t k = 0; k < i; k++)
        if (plan->topics[k] != NULL && strcmp(plan->topics[k], name) == 0)
            return false;
    return true;
}

static enum tm_code topics_create(struct topics *t, struct tm_err *err)
{
    const struct tm_topics_plan *plan = t->plan;
    rd_kafka_NewTopic_t *wanted[TM_TOPICS_MAX];
    const char *first = NULL;
    size_t count = 0;
    char why[200];
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < plan->topics_count && rc == TM_OK; i++) {
        if (t->there[i] || !topics_is_asked(plan, i))
            continue;
        wanted[count] = rd_kafka_NewTopic_new(plan->topics[i], plan->partitions, plan->replication,
                                              why, sizeof why);
        if (wanted[count] == NULL) {
            rc = tm_fail(err, TM_E_ARG, "topic %.80s: %s", plan->topics[i], why);
            break;
        }
        if (topics_compacted(t, plan->topics[i]))
            (void)rd_kafka_NewTopic_set_config(wanted[count], "cleanup.policy", "compact");
        first = first != NULL ? first : plan->topics[i];
        count++;
    }
    if (rc == TM_OK && count > 0) {
        rd_kafka_AdminOptions_t *options = topics_options(t, RD_KAFKA_ADMIN_OP_CREATETOPICS);
        rd_kafka_CreateTopics(t->rk, wanted, count, options, t->queue);
        rd_kafka_event_t *event = topics_answer(t);
        const rd_kafka_CreateTopics_result_t *result =
            event != NULL ? rd_kafka_event_CreateTopics_result(event) : NULL;
        size_t results_count = 0;
        const rd_kafka_topic_result_t **results =
            result != NULL ? rd_kafka_CreateTopics_result_topics(result, &results_count) : NULL;
        /* another station may have been quicker */
        rc = topics_results(t, "create", event, first, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS,
                            results, results_count, err);
        if (rc == TM_OK)
            tm_log(TM_LOG_INFO, "%s%s: created with %" PRId32 " partitions", first,
                   count > 1 ? " and others" : "", plan->partitions);
        if (event != NULL)
            rd_kafka_event_destroy(event);
        rd_kafka_AdminOptions_destroy(options);
    }
    for (size_t i = 0; i < count; i++)
        rd_kafka_NewTopic_destroy(wanted[i]);
    return rc;
}

static enum tm_code topics_delete(struct topics *t, const char *name, struct tm_err *err)
{
    rd_kafka_DeleteTopic_t *gone = rd_kafka_DeleteTopic_new(name);
    rd_kafka_AdminOptions_t *options = topics_options(t, RD_KAFKA_ADMIN_OP_DELETETOPICS);
    rd_kafka_DeleteTopics(t->rk, &gone, 1, options, t->queue);
    rd_kafka_event_t *event = topics_answer(t);
    const rd_kafka_DeleteTopics_result_t *result =
        event != NULL ? rd_kafka_event_DeleteTopics_result(event) : NULL;
    size_t results_count = 0;
    const rd_kafka_topic_result_t **results =
        result != NULL ? rd_kafka_DeleteTopics_result_topics(result, &results_count) : NULL;
    enum tm_code rc =
        topics_results(t, "delete", event, name, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, results,
                       results_count, err);
    if (rc == TM_OK)
        tm_log(TM_LOG_INFO, "topic %s and its records deleted, as asked", name);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_DeleteTopic_destroy(gone);
    return rc;
}

static const struct rd_kafka_metadata_topic *topics_find(const struct rd_kafka_metadata *md,
                                                         const char *name)
{
    for (int i = 0; i < md->topic_cnt; i++)
        if (strcmp(md->topics[i].topic, name) == 0)
            return md->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR ? &md->topics[i] : NULL;
    return NULL;
}

/* Every partition has a leader: before that a reader is told that the topic is unknown. */
static bool topics_is_up(const struct rd_kafka_metadata_topic *topic)
{
    for (int i = 0; topic != NULL && i < topic->partition_cnt; i++)
        if (topic->partitions[i].err != RD_KAFKA_RESP_ERR_NO_ERROR ||
            topic->partitions[i].leader < 0)
            return false;
    return topic != NULL && topic->partition_cnt > 0;
}

/* Until all that is asked for is up (or, `gone`, until nothing that is not `there` is known). */
static enum tm_code topics_settle(struct topics *t, bool gone, struct tm_err *err)
{
    const struct tm_topics_plan *plan = t->plan;
    int64_t until_ns = tm_clock_monotonic_ns() + t->access->timeout_ms * TM_NS_PER_MS;
    for (;;) {
        const struct rd_kafka_metadata *md = NULL;
        const char *late = NULL;
        if (topics_metadata(t, &md, err) != TM_OK)
            return err->code;
        for (size_t i = 0; i < plan->topics_count && late == NULL; i++)
            if (topics_is_asked(plan, i) &&
                (gone ? !t->there[i] && topics_find(md, plan->topics[i]) != NULL
                      : !topics_is_up(topics_find(md, plan->topics[i]))))
                late = plan->topics[i];
        rd_kafka_metadata_destroy(md);
        if (late == NULL)
            return TM_OK;
        if (tm_clock_monotonic_ns() >= until_ns)
            return tm_fail_retry(err, TM_E_IO, "topic %.80s at %.80s is %s after %d ms", late,
                                 t->access->brokers,
                                 gone ? "deleted and still there" : "there and has no leader",
                                 t->access->timeout_ms);
        usleep(TOPICS_STEP_US);
    }
}

/* Has the topic held records? Its logs begin anew only where it does. */
static enum tm_code topics_used(const struct topics *t, const char *name, int partitions,
                                int64_t *out_records, struct tm_err *err)
{
    *out_records = 0;
    for (int32_t p = 0; p < partitions; p++) {
        int64_t low = 0, high = 0;
        rd_kafka_resp_err_t e = tm_rdk_marks(t->rk, name, p, true, &low, &high);
        if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
            return tm_fail_retry(err, TM_E_IO,
                                 "watermarks of topic %.80s partition %" PRId32 ": %s", name, p,
                                 rd_kafka_err2str(e));
        *out_records += high;
    }
    return TM_OK;
}

static enum tm_code topics_look(struct topics *t, size_t i,
                                const struct rd_kafka_metadata_topic *found, struct tm_err *err)
{
    const struct tm_topics_plan *plan = t->plan;
    const char *name = plan->topics[i];
    int64_t records = 0;
    if (plan->partitions_must && !topics_compacted(t, name) &&
        found->partition_cnt != plan->partitions)
        return tm_fail(err, TM_E_ARG,
                       "topic %.80s at %.60s has %d partitions, tidemark.partitions says %" PRId32
                       ": leave the key out to use the topic as it is, or name another topic",
                       name, t->access->brokers, found->partition_cnt, plan->partitions);
    if (!plan->fresh)
        return TM_OK;
    if (topics_used(t, name, found->partition_cnt, &records, err) != TM_OK || records == 0)
        return err->code;
    if (!plan->reset)
        return tm_fail(err, TM_E_ARG,
                       "topic %.80s at %.60s has held %" PRId64
                       " records, maybe an earlier run's, which would be taken for this one's: "
                       "delete the topics, or have it done by --reset-topics",
                       name, t->access->brokers, records);
    t->there[i] = false;
    return topics_delete(t, name, err);
}

/* Compaction keeps the last record of a key: right for checkpoints, a silent loss elsewhere. */
static enum tm_code topics_policy(const struct topics *t, const char *name, const char *policy,
                                  struct tm_err *err)
{
    bool compacts = strstr(policy, "compact") != NULL;
    if (compacts && !topics_compacted(t, name))
        return tm_fail(err, TM_E_ARG,
                       "topic %.80s at %.60s is compacted (cleanup.policy=%.30s): it would forget "
                       "all changes of a record but the last; set cleanup.policy=delete, or name "
                       "another topic",
                       name, t->access->brokers, policy);
    if (!compacts && topics_compacted(t, name))
        tm_log(TM_LOG_WARN,
               "topic %s: cleanup.policy=%s forgets checkpoints that stand for longer than its "
               "retention; set it to compact",
               name, policy);
    return TM_OK;
}

static enum tm_code topics_config(const struct topics *t, const rd_kafka_ConfigResource_t *r,
                                  struct tm_err *err)
{
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(r, &count);
    for (size_t i = 0; i < count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "cleanup.policy") == 0 && value != NULL)
            return topics_policy(t, rd_kafka_ConfigResource_name(r), value, err);
    }
    return TM_OK; /* hidden from this user: used as it is */
}

/* How the topics that were there are set; whoever may not ask uses them as they are. */
static enum tm_code topics_configs(const struct topics *t, struct tm_err *err)
{
    rd_kafka_ConfigResource_t *asked[TM_TOPICS_MAX];
    size_t count = 0, results_count = 0;
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < t->plan->topics_count; i++)
        if (t->there[i])
            asked[count++] =
                rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, t->plan->topics[i]);
    if (count == 0)
        return TM_OK;
    rd_kafka_AdminOptions_t *options = topics_options(t, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(t->rk, asked, count, options, t->queue);
    rd_kafka_event_t *event = topics_answer(t);
    const rd_kafka_DescribeConfigs_result_t *result =
        event != NULL ? rd_kafka_event_DescribeConfigs_result(event) : NULL;
    const rd_kafka_ConfigResource_t **results =
        result != NULL ? rd_kafka_DescribeConfigs_result_resources(result, &results_count) : NULL;
    for (size_t i = 0; i < results_count && rc == TM_OK; i++)
        rc = topics_config(t, results[i], err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy_array(asked, count);
    return rc;
}

static enum tm_code topics_existing(struct topics *t, bool *out_deleted, struct tm_err *err)
{
    const struct tm_topics_plan *plan = t->plan;
    const struct rd_kafka_metadata *md = NULL;
    enum tm_code rc = topics_metadata(t, &md, err);
    if (rc != TM_OK)
        return rc;
    for (size_t i = 0; i < plan->topics_count && rc == TM_OK; i++) {
        const struct rd_kafka_metadata_topic *found =
            topics_is_asked(plan, i) ? topics_find(md, plan->topics[i]) : NULL;
        if (found == NULL)
            continue;
        t->there[i] = true;
        rc = topics_look(t, i, found, err);
        *out_deleted = *out_deleted || !t->there[i];
    }
    rd_kafka_metadata_destroy(md);
    return rc;
}

enum tm_code tm_topic_kafka_ensure(const struct tm_kafka_access *access,
                                   const struct tm_topics_plan *plan, struct tm_err *err)
{
    struct topics t = { .plan = plan };
    bool deleted = false;
    assert(err != NULL && plan->topics_count <= TM_TOPICS_MAX);
    enum tm_code rc = topics_open(&t, access, err);
    if (rc == TM_OK)
        rc = topics_existing(&t, &deleted, err);
    if (rc == TM_OK)
        rc = topics_configs(&t, err);
    if (rc == TM_OK && deleted)
        rc = topics_settle(&t, true, err);
    if (rc == TM_OK)
        rc = topics_create(&t, err);
    if (rc == TM_OK)
        rc = topics_settle(&t, false, err);
    topics_close(&t);
    return rc;
}
