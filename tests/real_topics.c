/* Topics on a real broker: made as the config says, used as they are where they exist, and looked
 * at: what would lose changes or cannot be is told with the topic's name and what to do. */
#include "base/buf.h"
#include "support_command.h"
#include "support_kafka.h"
#include "topic/topic.h"
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
static char folder[64];
static unsigned topics_made;

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tm_test_folder_remove(folder);
    return 0;
}

static const char *fresh(char out[80])
{
    snprintf(out, 80, "real.topics.%d.%u", (int)getpid(), topics_made++);
    return out;
}

static enum tm_code ensure(const char *const *topics, size_t count, struct tm_topics_plan plan,
                           struct tm_err *err)
{
    const struct tm_kafka_access access = { .brokers = getenv("TIDEMARK_BROKERS"),
                                            .timeout_ms = 15000 };
    tm_err_clear(err);
    plan.topics = topics;
    plan.topics_count = count;
    return tm_topic_kafka_ensure(&access, &plan, err);
}

static int32_t partitions_of(const char *topic)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_topic *t = NULL;
    const struct tm_kafka_options options = { .brokers = getenv("TIDEMARK_BROKERS") };
    int32_t count = -1;
    enum tm_code rc;
    assert_int_equal(tm_topic_kafka_open(&t, &options, &err), TM_OK);
    while ((rc = t->ops->partitions(t, topic, &count, &err)) == TM_E_AGAIN) {
        struct pollfd fd = { .fd = t->ops->event_fd(t), .events = POLLIN };
        poll(&fd, 1, 5);
    }
    t->ops->close(t);
    return rc == TM_OK ? count : -1;
}

static void put_one(const char *topic)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_topic *t = NULL;
    const struct tm_kafka_options options = { .brokers = getenv("TIDEMARK_BROKERS") };
    enum tm_code rc;
    assert_int_equal(tm_topic_kafka_open(&t, &options, &err), TM_OK);
    while ((rc = t->ops->produce(t, topic, 0, "k", 1, "v", 1, &err)) == TM_E_AGAIN ||
           (rc == TM_OK && t->ops->flush(t, &err) == TM_E_AGAIN)) {
        struct pollfd fd = { .fd = t->ops->event_fd(t), .events = POLLIN };
        if (rc == TM_OK)
            break;
        poll(&fd, 1, 5);
    }
    assert_int_equal(rc, TM_OK);
    while ((rc = t->ops->flush(t, &err)) == TM_E_AGAIN) {
        struct pollfd fd = { .fd = t->ops->event_fd(t), .events = POLLIN };
        poll(&fd, 1, 5);
    }
    assert_int_equal(rc, TM_OK);
    t->ops->close(t);
}

static void missing_topics_are_made_and_those_that_exist_are_used_as_they_are(void **state)
{
    char old[80], made[80];
    struct tm_err err;
    (void)state;
    tm_test_kafka_topic(getenv("TIDEMARK_BROKERS"), fresh(old), 2, NULL, NULL);
    const char *const topics[] = { old, NULL, fresh(made), "", made };
    for (int twice = 0; twice < 2; twice++)
        assert_int_equal(
            ensure(topics, 5, (struct tm_topics_plan){ .partitions = 3, .replication = -1 }, &err),
            TM_OK);
    assert_int_equal(partitions_of(old), 2);
    assert_int_equal(partitions_of(made), 3);
}

static void a_number_of_partitions_that_must_be_is_not_overlooked(void **state)
{
    char old[80];
    struct tm_err err;
    (void)state;
    tm_test_kafka_topic(getenv("TIDEMARK_BROKERS"), fresh(old), 2, NULL, NULL);
    const char *const topics[] = { old };
    const struct tm_topics_plan plan = { .partitions = 3,
                                         .replication = 1,
                                         .partitions_must = true };
    assert_int_equal(ensure(topics, 1, plan, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, old));
    assert_non_null(strstr(err.msg, "has 2 partitions, tidemark.partitions says 3"));
}

static void a_replication_beyond_the_brokers_is_told(void **state)
{
    char name[80];
    struct tm_err err;
    (void)state;
    const char *const topics[] = { fresh(name) };
    assert_int_equal(
        ensure(topics, 1, (struct tm_topics_plan){ .partitions = 1, .replication = 3 }, &err),
        TM_E_ARG);
    assert_non_null(strstr(err.msg, name));
    assert_non_null(strstr(err.msg, "tidemark.replication.factor"));
}

static void a_compacted_topic_is_refused_but_for_checkpoints(void **state)
{
    char old[80], made[80];
    struct tm_err err;
    (void)state;
    tm_test_kafka_topic(getenv("TIDEMARK_BROKERS"), fresh(old), 1, "cleanup.policy", "compact");
    const char *const topics[] = { old };
    struct tm_topics_plan plan = { .partitions = 1, .replication = 1 };
    assert_int_equal(ensure(topics, 1, plan, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, old));
    assert_non_null(strstr(err.msg, "compacted"));
    plan.compacted = old;
    assert_int_equal(ensure(topics, 1, plan, &err), TM_OK);
    /* What is made for checkpoints is compacted, and so no place for anything else. */
    const char *const checkpoints[] = { fresh(made) };
    plan.compacted = made;
    assert_int_equal(ensure(checkpoints, 1, plan, &err), TM_OK);
    plan.compacted = NULL;
    assert_int_equal(ensure(checkpoints, 1, plan, &err), TM_E_ARG);
}

static void a_run_wants_topics_without_a_past_or_leave_to_make_them_anew(void **state)
{
    char name[80];
    struct tm_err err;
    (void)state;
    const char *const topics[] = { fresh(name) };
    struct tm_topics_plan plan = { .partitions = 2, .replication = 1, .fresh = true };
    assert_int_equal(ensure(topics, 1, plan, &err), TM_OK);
    assert_int_equal(ensure(topics, 1, plan, &err), TM_OK); /* nothing was written */
    put_one(name);
    assert_int_equal(ensure(topics, 1, plan, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, name));
    assert_non_null(strstr(err.msg, "has held 1 record"));
    assert_non_null(strstr(err.msg, "--reset-topics"));
    plan.reset = true;
    plan.partitions = 3;
    assert_int_equal(ensure(topics, 1, plan, &err), TM_OK);
    assert_int_equal(partitions_of(name), 3);
    plan.reset = false;
    assert_int_equal(ensure(topics, 1, plan, &err), TM_OK);
}

/* The same through a station's config, as its user meets it. */
static void a_station_says_what_is_wrong_with_its_topics(void **state)
{
    char old[80], config[300];
    (void)state;
    tm_test_kafka_topic(getenv("TIDEMARK_BROKERS"), fresh(old), 2, NULL, NULL);
    snprintf(config, sizeof config, "{\"topics\": \"%s\", \"tidemark.partitions\": 4}", old);
    tm_test_write_file(folder, "sink.json", config);
    tm_test_refused(64, WORDS(old, "2 partitions", "says 4"), 60,
                    "tidemark sink %s/sink.json --warehouse %s/raw.db", folder, folder);
    snprintf(config, sizeof config, "{\"topics\": \"%s.new\", \"tidemark.replication.factor\": 2}",
             old);
    tm_test_write_file(folder, "sink.json", config);
    tm_test_refused(64, WORDS(old, "tidemark.replication.factor"), 60,
                    "tidemark sink %s/sink.json --warehouse %s/raw.db", folder, folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_topics_are_made_and_those_that_exist_are_used_as_they_are),
        cmocka_unit_test(a_number_of_partitions_that_must_be_is_not_overlooked),
        cmocka_unit_test(a_replication_beyond_the_brokers_is_told),
        cmocka_unit_test(a_compacted_topic_is_refused_but_for_checkpoints),
        cmocka_unit_test(a_run_wants_topics_without_a_past_or_leave_to_make_them_anew),
        cmocka_unit_test(a_station_says_what_is_wrong_with_its_topics),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
