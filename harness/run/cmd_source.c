/* tidemark source CONFIG.json: change events of one Salesforce object, or a PushTopic's or platform
 * event's, to Kafka, from its connector config. */
#include "base/log.h"
#include "event/contract.h"
#include "run/command.h"
#include "source/push.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cmd_source {
    struct tm_station_flags flags;
    struct tm_config *config;
    struct tm_properties properties;
    struct tm_source_settings settings;
    struct tm_clock_file *clock;
    struct tm_http *http;
    struct tm_sf_session *session;
    struct tm_registry *registry;
    struct tm_topic *producer, *checkpoints, *offsets;
    struct tm_trace *trace;
    struct tm_aside *aside;
    struct tm_source *source; /* of change events, or */
    struct tm_push *push;     /* of anything else */
    int fds[3];               /* producer, offsets, checkpoints */
};

static enum tm_code cmd_source_step(void *self, const struct tm_now *now, struct tm_wake *wake,
                                    struct tm_err *err)
{
    struct cmd_source *c = self;
    enum tm_code rc = c->push != NULL ? tm_push_step(c->push, now, wake, err)
                                      : tm_source_step(c->source, now, wake, err);
    if (c->offsets != NULL &&
        !(c->push != NULL ? tm_push_needs_offsets(c->push) : tm_source_needs_offsets(c->source))) {
        if (c->push != NULL)
            tm_push_set_offsets(c->push, NULL);
        else
            tm_source_set_offsets(c->source, NULL);
        c->offsets->ops->close(c->offsets);
        c->offsets = NULL;
        c->fds[1] = -1;
    }
    return rc;
}

static void cmd_source_second(void *self)
{
    struct cmd_source *c = self;
    tm_stats_write(c->flags.stats_path, "source", c->http, &c->producer, 1);
}

/* EPOCH:REPLAYID */
static enum tm_code cmd_source_lost(struct cmd_source *c, const char *text, struct tm_err *err)
{
    char *end;
    long epoch = strtol(text, &end, 10);
    bool good = end != text && *end == ':' && epoch >= 0 && epoch < INT32_MAX;
    const char *replay = good ? end + 1 : text;
    c->settings.lost_replay_id = strtoll(replay, &end, 10);
    if (!good || end == replay || *end != '\0' || c->settings.lost_replay_id < -1)
        return tm_fail(err, TM_E_ARG,
                       "--broker-lost-after %.60s: EPOCH:REPLAYID is wanted, replay id -1 for none",
                       text);
    c->settings.lost = true;
    c->settings.lost_epoch = (int32_t)epoch;
    return TM_OK;
}

static enum tm_code cmd_source_config(struct cmd_source *c, struct tm_err *err)
{
    size_t keys_count;
    const struct tm_key *keys = tm_source_keys(&keys_count);
    if (c->flags.config_path == NULL)
        return tm_fail(err, TM_E_ARG, "which connector? usage: tidemark source CONFIG.json");
    if (tm_config_load(&c->config, c->flags.config_path, keys, keys_count, err) != TM_OK)
        return err->code;
    enum tm_code rc =
        tm_source_settings_read(&c->settings, c->config, c->flags.salesforce_url, err);
    if (rc == TM_OK)
        rc = tm_command_properties(&c->properties, &c->flags, c->config, err);
    if (rc == TM_OK && c->flags.brokers == NULL)
        rc = tm_fail(err, TM_E_ARG, "no Kafka: give --brokers HOST:PORT or set TIDEMARK_BROKERS");
    return rc == TM_OK ? tm_command_registry(&c->flags, err) : rc;
}

/* On the embedded broker topics are made in its own process; elsewhere they are made here when they
 * are not there yet. */
static enum tm_code cmd_source_topics(struct cmd_source *c, struct tm_err *err)
{
    char raw[TM_TOPIC_NAME_MAX], alerts[TM_TOPIC_NAME_MAX];
    const struct tm_source_settings *set = &c->settings;
    if (tm_source_topic(raw, set, NULL, err) != TM_OK)
        return err->code;
    tm_contract_topic_alerts(alerts, set->object);
    const char *const topics[] = { raw, set->kind == TM_SOURCE_CHANGES ? alerts : NULL,
                                   set->offsets_topic };
    return tm_command_topics(&c->flags, &c->properties, c->config, topics, 3, set->offsets_topic,
                             err);
}

static enum tm_code cmd_source_offsets(struct cmd_source *c, struct tm_err *err)
{
    char client[160], group[192];
    const char *topics[] = { c->settings.offsets_topic };
    snprintf(client, sizeof client, "tidemark-source-%.135s", c->settings.name);
    /* A group of this process alone: nothing is committed, and a killed predecessor's membership
     * need not expire first. */
    snprintf(group, sizeof group, "tidemark-source-%.135s-%ld-%" PRIx64, c->settings.name,
             (long)getpid(), (uint64_t)tm_clock_realtime_ns());
    const struct tm_kafka_options consumer = { .brokers = c->flags.brokers,
                                               .client_id = client,
                                               .group = group,
                                               .topics = topics,
                                               .topics_count = 1,
                                               .owner = c->push != NULL
                                                            ? tm_push_offsets_owner(c->push)
                                                            : tm_source_offsets_owner(c->source),
                                               .properties =
                                                   (const char *const *)c->properties.items,
                                               .properties_count = c->properties.count,
                                               .embedded = c->flags.embedded };
    enum tm_code rc = tm_topic_kafka_open(&c->offsets, &consumer, err);
    if (rc == TM_OK && c->push != NULL)
        tm_push_set_offsets(c->push, c->offsets);
    else if (rc == TM_OK)
        tm_source_set_offsets(c->source, c->offsets);
    return rc;
}

static enum tm_code cmd_source_aside(struct cmd_source *c, struct tm_err *err)
{
    char path[4096];
    const char *folder = NULL;
    enum tm_code rc = tm_command_folder(&folder, &c->flags, err);
    if (rc != TM_OK)
        return rc;
    snprintf(path, sizeof path, "%.3800s/source-%s-aside.db", folder, c->settings.name);
    return tm_aside_open(&c->aside, path, err);
}

static enum tm_code cmd_source_open(struct cmd_source *c, struct tm_err *err)
{
    char agent[TM_AGENT_BYTES], client[160];
    enum tm_code rc = TM_OK;
    snprintf(client, sizeof client, "tidemark-source-%.135s", c->settings.name);
    struct tm_kafka_options producer = { .brokers = c->flags.brokers,
                                         .client_id = client,
                                         .properties = (const char *const *)c->properties.items,
                                         .properties_count = c->properties.count,
                                         .embedded = c->flags.embedded };
    if (c->flags.clock_path != NULL)
        rc = tm_clock_file_open(&c->clock, c->flags.clock_path, err);
    if (rc == TM_OK && c->flags.trace_path != NULL)
        rc = tm_trace_open(&c->trace, c->flags.trace_path, err);
    if (rc == TM_OK)
        rc = cmd_source_aside(c, err);
    if (rc == TM_OK)
        rc = tm_http_curl_open(&c->http, tm_command_agent(agent, c->settings.pipeline),
                               c->flags.ca_path, err);
    c->settings.session.real_ms_at_zero = tm_clock_real_ms_at_zero();
    if (rc == TM_OK)
        rc = tm_sf_session_open(&c->session, c->http, &c->settings.session, err);
    if (rc == TM_OK)
        rc = tm_registry_open(&c->registry, c->http, c->flags.registry, err);
    if (rc == TM_OK)
        rc = cmd_source_topics(c, err);
    if (rc == TM_OK)
        rc = tm_topic_kafka_open(&c->checkpoints, &producer, err);
    producer.reading_groups = c->settings.reading_groups;
    producer.reading_groups_count = c->settings.reading_groups_count;
    if (rc == TM_OK)
        rc = tm_topic_kafka_open(&c->producer, &producer, err);
    if (rc != TM_OK)
        return rc;
    const struct tm_source_ports ports = { c->session,  c->producer, c->checkpoints,
                                           c->registry, c->trace,    c->aside };
    rc = c->settings.kind != TM_SOURCE_CHANGES
             ? tm_push_open(&c->push, &c->settings, &ports, err)
             : tm_source_open(&c->source, &c->settings, &ports, err);
    return rc == TM_OK ? cmd_source_offsets(c, err) : rc;
}

static void cmd_source_close(struct cmd_source *c)
{
    tm_source_close(c->source);
    tm_push_close(c->push);
    tm_aside_close(c->aside);
    if (c->offsets != NULL)
        c->offsets->ops->close(c->offsets);
    if (c->producer != NULL)
        c->producer->ops->close(c->producer);
    if (c->checkpoints != NULL)
        c->checkpoints->ops->close(c->checkpoints);
    tm_registry_close(c->registry);
    tm_sf_session_close(c->session);
    if (c->http != NULL)
        c->http->ops->close(c->http);
    tm_trace_close(c->trace);
    tm_clock_file_close(c->clock);
    tm_properties_free(&c->properties);
    tm_config_close(c->config);
}

int tm_cmd_source(int argc, char **argv)
{
    static const char *const names[] = { "broker-lost-after", NULL };
    const char *extra[1] = { NULL };
    struct cmd_source c = { .fds = { -1, -1, -1 } };
    struct tm_err err;
    tm_log_init("source", TM_LOG_INFO);
    tm_err_clear(&err);
    enum tm_code rc = tm_flags_parse(&c.flags, argc, argv, names, extra, &err);
    if (rc == TM_OK)
        rc = cmd_source_config(&c, &err);
    if (rc == TM_OK && extra[0] != NULL)
        rc = cmd_source_lost(&c, extra[0], &err);
    if (rc == TM_OK)
        rc = cmd_source_open(&c, &err);
    if (rc == TM_OK) {
        c.fds[0] = c.producer->ops->event_fd(c.producer);
        c.fds[1] = c.offsets->ops->event_fd(c.offsets);
        c.fds[2] = c.checkpoints->ops->event_fd(c.checkpoints);
        const struct tm_driven driven = { .step = cmd_source_step,
                                          .self = &c,
                                          .http = c.http,
                                          .fds = c.fds,
                                          .fds_count = 3,
                                          .clock = c.clock,
                                          .on_second = cmd_source_second };
        rc = tm_drive(&driven, &err);
        cmd_source_second(&c);
    }
    cmd_source_close(&c);
    return rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("source", &err);
}
