/* bench_topic: the topic port over the embedded broker, one process. Prints records/s produced and
 * fetched (400-byte values, 6 partitions, reader committing), and the time from produce to fetch of
 * single records 2 ms apart. */
#include "mocks/kafka/embedded.h"
#include "topic/topic.h"
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BENCH_RECORDS 200000
#define BENCH_BYTES 400
#define BENCH_SINGLES 2000

static struct tm_topic *writer, *reader;
static struct tm_record records[TM_TOPIC_FETCH_MAX];
static int64_t next_offsets[6];

static void bench_wait(int timeout_ms)
{
    struct pollfd fds[2] = { { writer->ops->event_fd(writer), POLLIN, 0 },
                             { reader->ops->event_fd(reader), POLLIN, 0 } };
    poll(fds, 2, timeout_ms);
}

static void bench_die(const struct tm_err *err)
{
    fprintf(stderr, "bench_topic: %s\n", err->msg);
    exit(70);
}

static size_t bench_fetch(void)
{
    struct tm_err err = { .code = TM_OK };
    size_t count = 0;
    enum tm_code rc = reader->ops->fetch(reader, records, TM_TOPIC_FETCH_MAX, &count, &err);
    if (rc != TM_OK && rc != TM_E_AGAIN)
        bench_die(&err);
    for (size_t i = 0; i < count; i++)
        next_offsets[records[i].partition] = records[i].offset + 1;
    for (int32_t p = 0; count > 0 && p < 6; p++)
        (void)reader->ops->commit(reader, "bench", p, next_offsets[p], &err);
    return count;
}

static void bench_flow(void)
{
    struct tm_err err = { .code = TM_OK };
    char value[BENCH_BYTES], key[24];
    size_t sent = 0, got = 0, pauses = 0;
    memset(value, 'v', sizeof value);
    int64_t begun = tm_clock_monotonic_ns();
    while (got < BENCH_RECORDS) {
        enum tm_code rc = TM_OK;
        for (int burst = 0; sent < BENCH_RECORDS && burst < 500 && rc == TM_OK; burst++) {
            int n = snprintf(key, sizeof key, "006%015zu", sent % 20000);
            rc = writer->ops->produce(writer, "bench", -1, key, (size_t)n, value, sizeof value,
                                      &err);
            sent += rc == TM_OK;
        }
        pauses += rc == TM_E_AGAIN;
        if ((rc != TM_OK && rc != TM_E_AGAIN) ||
            ((rc = writer->ops->flush(writer, &err)) != TM_OK && rc != TM_E_AGAIN))
            bench_die(&err);
        size_t count = bench_fetch();
        got += count;
        if (count == 0)
            bench_wait(5);
    }
    double s = (double)(tm_clock_monotonic_ns() - begun) / 1e9;
    printf("%d records of %d bytes, produced, acknowledged, fetched and committed: %.0f records/s "
           "(%zu pauses)\n",
           BENCH_RECORDS, BENCH_BYTES, BENCH_RECORDS / s, pauses);
}

static int bench_order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void bench_latency(void)
{
    static int64_t took[BENCH_SINGLES];
    struct tm_err err = { .code = TM_OK };
    size_t got = 0, sent = 0;
    int64_t due = tm_clock_monotonic_ns();
    while (got < BENCH_SINGLES) {
        if (sent < BENCH_SINGLES && tm_clock_monotonic_ns() >= due) {
            if (writer->ops->produce(writer, "bench", -1, &due, sizeof due, &due, sizeof due,
                                     &err) == TM_OK)
                sent++;
            due += 2 * TM_NS_PER_MS;
        }
        (void)writer->ops->flush(writer, &err);
        size_t count = bench_fetch();
        for (size_t i = 0; i < count && got < BENCH_SINGLES; i++) {
            int64_t at;
            memcpy(&at, records[i].value, sizeof at);
            took[got++] = tm_clock_monotonic_ns() - at;
        }
        if (count == 0)
            bench_wait(1);
    }
    qsort(took, BENCH_SINGLES, sizeof took[0], bench_order);
    printf("produce to fetch, one record every 2 ms: p50 %.2f ms, p99 %.2f ms, max %.2f ms\n",
           (double)took[BENCH_SINGLES / 2] / 1e6, (double)took[BENCH_SINGLES * 99 / 100] / 1e6,
           (double)took[BENCH_SINGLES - 1] / 1e6);
}

int main(void)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_embedded *broker = NULL;
    const char *topics[] = { "bench" }, *readers[] = { "bench" };
    if (tm_embedded_open(&broker, &err) != TM_OK ||
        tm_embedded_topic(broker, "bench", 6, &err) != TM_OK)
        bench_die(&err);
    struct tm_kafka_options w = { .brokers = tm_embedded_bootstrap(broker),
                                  .reading_groups = readers,
                                  .reading_groups_count = 1,
                                  .embedded = true };
    struct tm_kafka_options r = { .brokers = w.brokers,
                                  .group = "bench",
                                  .topics = topics,
                                  .topics_count = 1,
                                  .embedded = true };
    if (tm_topic_kafka_open(&writer, &w, &err) != TM_OK ||
        tm_topic_kafka_open(&reader, &r, &err) != TM_OK)
        bench_die(&err);
    /* Joining the group takes seconds; a first record shows that it is over. */
    while (writer->ops->produce(writer, "bench", 0, NULL, 0, "x", 1, &err) == TM_E_AGAIN)
        bench_wait(5);
    while (bench_fetch() == 0)
        bench_wait(5);
    bench_flow();
    bench_latency();
    reader->ops->close(reader);
    writer->ops->close(writer);
    tm_embedded_close(broker);
    return 0;
}
