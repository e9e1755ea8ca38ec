/* The embedded broker stands still while a member waits to be let into its group, as on a machine
 * that is short of processor time. It may drop the member without an answer (librdkafka 2.0.2): the
 * member must notice and join anew, or its station reads nothing for the rest of a run. */
#include "support_command.h"
#include "topic/topic.h"
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PARTITIONS 6
#define SETTLED_MS 1000    /* a join is under way */
#define STANDSTILL_MS 7000 /* longer than the broker waits for a sign of life */
#define BOUND_MS 30000

static int given; /* partitions that are ours */

static int64_t begin(void *self, const char *topic, int32_t partition)
{
    (void)self;
    (void)topic;
    (void)partition;
    given++;
    return TM_OFFSET_BEGINNING;
}

static struct tm_topic *join(const char *brokers)
{
    static const char *const topics[] = { "tide" };
    static const char *const properties[] = { "tidemark.join.ms=9000" };
    struct tm_topic *t = NULL;
    struct tm_err err = { .code = TM_OK };
    const struct tm_kafka_options options = { .brokers = brokers,
                                              .group = "watchers",
                                              .topics = topics,
                                              .topics_count = 1,
                                              .owner = { .start = begin },
                                              .properties = properties,
                                              .properties_count = 1,
                                              .embedded = true };
    if (tm_topic_kafka_open(&t, &options, &err) != TM_OK)
        fail_msg("%s", err.msg);
    return t;
}

/* Reads until all partitions are ours or the time is over; nothing is on the topic. */
static void read_until(struct tm_topic *t, int ms_max)
{
    struct tm_record record;
    struct tm_err err = { .code = TM_OK };
    int64_t until_ns = tm_clock_monotonic_ns() + ms_max * TM_NS_PER_MS;
    while (given < PARTITIONS && tm_clock_monotonic_ns() < until_ns) {
        struct pollfd readable = { .fd = t->ops->event_fd(t), .events = POLLIN };
        size_t count = 0;
        if (t->ops->fetch(t, &record, 1, &count, &err) != TM_E_AGAIN)
            fail_msg("fetch: %s", err.msg);
        poll(&readable, 1, 100);
    }
}

static void a_join_that_the_broker_forgot_is_made_anew(void **state)
{
    (void)state;
    struct tm_test_server broker = tm_test_server_start("tidemark kafka --topics tide:6");
    struct tm_topic *t = join(broker.line);
    given = 0;
    read_until(t, SETTLED_MS);
    assert_int_equal(given, 0);
    assert_int_equal(kill(broker.pid, SIGSTOP), 0);
    read_until(t, STANDSTILL_MS);
    assert_int_equal(kill(broker.pid, SIGCONT), 0);
    assert_int_equal(given, 0);
    read_until(t, BOUND_MS);
    assert_int_equal(given, PARTITIONS);
    t->ops->close(t);
    assert_int_equal(tm_test_server_stop(&broker), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_join_that_the_broker_forgot_is_made_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
