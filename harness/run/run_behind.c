/* run_behind: whether the sink still has to read some of what its topics hold. A sink that joins
 * its group again, after a crash or on a busy machine, reads nothing for seconds: that it writes
 * nothing does not mean that there is nothing to write. */
#include "run/run.h"
#include "run/command.h"
#include "base/log.h"
#include "sink/offsets.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEHIND_ASKS_MAX 64 /* under way at a time */

struct behind_part {
    size_t topic;
    int32_t partition;
    int64_t low, high; /* high -1 = not answered in this round */
};
struct tm_run_behind {
    const char *raw_path; /* borrowed */
    int32_t base;         /* the warehouse's number of partition 0 */
    struct tm_config *config;
    struct tm_properties properties;
    struct tm_topic *kafka;
    const char *const *topics;
    size_t topics_count, topics_known; /* how many partitions is known of [0, topics_known) */
    struct behind_part *parts;
    size_t parts_count;
    bool told; /* that the broker refuses to say */
};

enum tm_code tm_run_behind_open(struct tm_run_behind **out, const struct tm_run *run,
                                const struct tm_run_pipeline *p, struct tm_err *err)
{
    const struct tm_station_flags flags = { .kafka_properties = run->kafka_properties };
    struct tm_run_behind *b = calloc(1, sizeof *b);
    if (b == NULL)
        return tm_fail(err, TM_E_NOMEM, "draining");
    b->raw_path = run->raw_path;
    b->base = run->broker_life * TM_SINK_LIFE_PARTITIONS;
    enum tm_code rc = tm_sink_config(&b->config, p->sink, err);
    if (rc == TM_OK)
        rc = tm_command_properties(&b->properties, &flags, b->config, err);
    if (rc == TM_OK) {
        const struct tm_kafka_options options = { .brokers = run->brokers,
                                                  .client_id = "tidemark-run",
                                                  .properties =
                                                      (const char *const *)b->properties.items,
                                                  .properties_count = b->properties.count,
                                                  .embedded = run->brokers_given == NULL };
        b->topics_count = tm_config_list(b->config, "topics", &b->topics);
        rc = tm_topic_kafka_open(&b->kafka, &options, err);
    }
    if (rc != TM_OK)
        tm_run_behind_close(b);
    else
        *out = b;
    return rc;
}

void tm_run_behind_close(struct tm_run_behind *b)
{
    if (b == NULL)
        return;
    if (b->kafka != NULL)
        b->kafka->ops->close(b->kafka);
    tm_properties_free(&b->properties);
    tm_config_close(b->config);
    free(b->parts);
    free(b);
}

/* The next topic's partitions; TM_E_AGAIN until the broker says. */
static enum tm_code behind_topic(struct tm_run_behind *b, struct tm_err *err)
{
    int32_t count = 0;
    enum tm_code rc = b->kafka->ops->partitions(b->kafka, b->topics[b->topics_known], &count, err);
    if (rc != TM_OK)
        return rc;
    struct behind_part *parts =
        realloc(b->parts, (b->parts_count + (size_t)count + 1) * sizeof *parts);
    if (parts == NULL)
        return tm_fail(err, TM_E_NOMEM, "draining");
    b->parts = parts;
    for (int32_t i = 0; i < count; i++)
        b->parts[b->parts_count++] = (struct behind_part){ b->topics_known, i, 0, -1 };
    b->topics_known++;
    return TM_OK;
}

/* What every partition holds, by now; TM_E_AGAIN until all are answered. */
static enum tm_code behind_ask(struct tm_run_behind *b, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    size_t asked = 0;
    while (b->topics_known < b->topics_count && rc == TM_OK)
        rc = behind_topic(b, err);
    for (size_t i = 0; i < b->parts_count && rc == TM_OK && asked < BEHIND_ASKS_MAX; i++) {
        struct behind_part *p = &b->parts[i];
        if (p->high >= 0)
            continue;
        rc = b->kafka->ops->watermarks(b->kafka, b->topics[p->topic], p->partition, &p->low,
                                       &p->high, err);
        if (rc == TM_E_AGAIN) {
            asked++;
            rc = TM_OK;
        }
    }
    return rc == TM_OK && asked > 0 ? TM_E_AGAIN : rc;
}

bool tm_run_behind(struct tm_run_behind *b)
{
    struct tm_err err = { .code = TM_OK };
    bool behind = false;
    enum tm_code rc = behind_ask(b, &err);
    if (rc != TM_OK && rc != TM_E_AGAIN && !b->told) {
        char text[700];
        b->told = true;
        tm_log(TM_LOG_WARN, "draining: cannot tell whether the sink has read all: %s",
               tm_err_text(&err, text, sizeof text));
    }
    if (rc != TM_OK)
        return true;
    for (size_t i = 0; i < b->parts_count; i++) {
        struct behind_part *p = &b->parts[i];
        char sql[400];
        snprintf(sql, sizeof sql,
                 "SELECT next_offset FROM _offsets WHERE topic = '%.250s' AND partition = %" PRId32,
                 b->topics[p->topic], b->base + p->partition);
        behind = behind || (p->high > p->low && tm_run_ask(b->raw_path, sql) < p->high);
        p->high = -1; /* asked anew in the next round */
    }
    return behind;
}
