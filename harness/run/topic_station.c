#include "run/topic_station.h"
#include "base/log.h"
#include <assert.h>
#include <stdio.h>

enum tm_code tm_topic_station_flags(struct tm_topic_station *s, int argc, char **argv,
                                    struct tm_err *err)
{
    enum tm_code rc = tm_flags_parse(&s->flags, argc, argv, NULL, NULL, err);
    if (rc == TM_OK && s->flags.config_path == NULL)
        rc = tm_fail(err, TM_E_ARG,
                     "no config given; usage: tidemark %s CONFIG.json --brokers HOST:PORT "
                     "--registry URL --state DIR",
                     argv[0]);
    return rc == TM_OK ? tm_command_registry(&s->flags, err) : rc;
}

enum tm_code tm_topic_station_open(struct tm_topic_station *s, const char *name, struct tm_err *err)
{
    char agent[TM_AGENT_BYTES];
    s->name = name;
    tm_log_init(name, TM_LOG_INFO);
    enum tm_code rc = tm_command_properties(&s->properties, &s->flags, s->config, err);
    if (rc == TM_OK)
        rc = tm_command_folder(&s->folder, &s->flags, err);
    if (rc == TM_OK && s->flags.clock_path != NULL)
        rc = tm_clock_file_open(&s->clock, s->flags.clock_path, err);
    if (rc == TM_OK)
        rc = tm_http_curl_open(&s->http, tm_command_agent(agent, name), s->flags.ca_path, err);
    if (rc == TM_OK)
        rc = tm_registry_open(&s->registry, s->http, s->flags.registry, err);
    return rc;
}

enum tm_code tm_topic_station_join(struct tm_topic_station *s,
                                   const struct tm_kafka_options *options,
                                   const char *const *writes, size_t writes_count,
                                   struct tm_err *err)
{
    struct tm_kafka_options o = *options;
    const char *topics[TM_TOPICS_MAX];
    size_t count = 0;
    assert(options->topics_count + writes_count <= TM_TOPICS_MAX);
    for (size_t i = 0; i < options->topics_count; i++)
        topics[count++] = options->topics[i];
    for (size_t i = 0; i < writes_count; i++)
        topics[count++] = writes[i];
    if (tm_command_topics(&s->flags, &s->properties, s->config, topics, count, NULL, err) != TM_OK)
        return err->code;
    o.brokers = s->flags.brokers;
    o.client_id = s->name;
    o.instance = s->flags.instance;
    o.properties = (const char *const *)s->properties.items;
    o.properties_count = s->properties.count;
    o.embedded = s->flags.embedded;
    return tm_topic_kafka_open(&s->topic, &o, err);
}

static enum tm_code station_step(void *self, const struct tm_now *now, struct tm_wake *wake,
                                 struct tm_err *err)
{
    struct tm_topic_station *s = self;
    return s->step(s->self, now, wake, err);
}

static void station_second(void *self)
{
    struct tm_topic_station *s = self;
    tm_stats_write(s->flags.stats_path, s->name, s->http, &s->topic, 1);
}

enum tm_code tm_topic_station_drive(struct tm_topic_station *s, struct tm_err *err)
{
    int fd = s->topic->ops->event_fd(s->topic);
    struct tm_driven driven = { .step = station_step,
                                .self = s,
                                .http = s->http,
                                .fds = &fd,
                                .fds_count = 1,
                                .clock = s->clock,
                                .on_second = station_second };
    enum tm_code rc = tm_drive(&driven, err);
    station_second(s);
    return rc;
}

void tm_topic_station_close(struct tm_topic_station *s)
{
    if (s->topic != NULL)
        s->topic->ops->close(s->topic);
    tm_registry_close(s->registry);
    if (s->http != NULL)
        s->http->ops->close(s->http);
    tm_clock_file_close(s->clock);
    tm_properties_free(&s->properties);
    tm_config_close(s->config);
}
