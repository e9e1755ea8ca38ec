/* cmd_gap: `tidemark gap CONFIG.json`: raw topics to alerts topics, until SIGTERM. */
#include "base/log.h"
#include "gap/gap.h"
#include "run/command.h"
#include <inttypes.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct cmd_gap {
    struct tm_gap *gap;
    struct tm_http *http;
    struct tm_topic *topic;
    const char *stats_path, *name;
};

static enum tm_code cmd_gap_step(void *self, const struct tm_now *now, struct tm_wake *wake,
                                 struct tm_err *err)
{
    return tm_gap_step(((struct cmd_gap *)self)->gap, now, wake, err);
}

static void cmd_gap_second(void *self)
{
    struct cmd_gap *c = self;
    tm_stats_write(c->stats_path, c->name, c->http, &c->topic, 1);
}

static enum tm_code cmd_gap_run(const struct tm_station_flags *flags,
                                const struct tm_gap_settings *s,
                                const struct tm_properties *properties, struct tm_err *err)
{
    struct cmd_gap c = { .stats_path = flags->stats_path, .name = s->name };
    struct tm_registry *registry = NULL;
    struct tm_clock_file *clock = NULL;
    char agent[128], aside[4096];
    struct tm_kafka_options options = { .brokers = flags->brokers,
                                        .client_id = s->name,
                                        .group = s->group,
                                        .topics = (const char *const *)s->topics,
                                        .topics_count = s->objects_count,
                                        .reading_groups = s->readers,
                                        .reading_groups_count = s->readers_count,
                                        .properties = (const char *const *)properties->items,
                                        .properties_count = properties->count,
                                        .embedded = flags->embedded };
    snprintf(agent, sizeof agent, "tidemark-%.100s/1", s->name);
    snprintf(aside, sizeof aside, "%s/%s-aside.db",
             flags->state_dir != NULL ? flags->state_dir : ".", s->name);
    enum tm_code rc = TM_OK;
    if (flags->state_dir != NULL && mkdir(flags->state_dir, 0777) != 0 && errno != EEXIST)
        return tm_fail(err, TM_E_ARG, "cannot make the folder --state %s: %s", flags->state_dir,
                       strerror(errno));
    if (flags->clock_path != NULL &&
        (rc = tm_clock_file_open(&clock, flags->clock_path, err)) != TM_OK)
        goto done;
    if ((rc = tm_http_curl_open(&c.http, agent, NULL, err)) != TM_OK ||
        (rc = tm_registry_open(&registry, c.http, flags->registry, err)) != TM_OK ||
        (rc = tm_topic_kafka_open(&c.topic, &options, err)) != TM_OK ||
        (rc = tm_gap_open(&c.gap, s, c.topic, registry, aside, err)) != TM_OK)
        goto done;
    int fd = c.topic->ops->event_fd(c.topic);
    struct tm_driven driven = { .step = cmd_gap_step,
                                .self = &c,
                                .http = c.http,
                                .fds = &fd,
                                .fds_count = 1,
                                .clock = clock,
                                .on_second = cmd_gap_second };
    rc = tm_drive(&driven, err);
    cmd_gap_second(&c);
    const struct tm_gap_counts *n = tm_gap_counts(c.gap);
    tm_log(TM_LOG_INFO,
           "%" PRIu64 " records, %" PRIu64 " alerts (events: %" PRIu64 " gaps, %" PRIu64
           " diffs, %" PRIu64 " overflows, %" PRIu64 " conversions), %" PRIu64 " kept aside",
           n->records, n->alerts, n->gaps, n->diffs, n->overflows, n->conversions,
           tm_gap_aside_count(c.gap));
done:
    tm_gap_close(c.gap);
    if (c.topic != NULL)
        c.topic->ops->close(c.topic);
    tm_registry_close(registry);
    if (c.http != NULL)
        c.http->ops->close(c.http);
    tm_clock_file_close(clock);
    return rc;
}

int tm_cmd_gap(int argc, char **argv)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_station_flags flags;
    struct tm_gap_settings settings = { 0 };
    struct tm_config *config = NULL;
    struct tm_properties properties = { NULL, 0 };
    enum tm_code rc = tm_flags_parse(&flags, argc, argv, NULL, NULL, &err);
    if (rc == TM_OK && flags.config_path == NULL)
        rc = tm_fail(
            &err, TM_E_ARG,
            "no config given; usage: tidemark gap CONFIG.json --brokers HOST:PORT --registry URL");
    if (rc == TM_OK && flags.registry == NULL)
        rc = tm_fail(&err, TM_E_ARG,
                     "no schema registry given: say --registry URL or set TIDEMARK_REGISTRY");
    if (rc == TM_OK)
        rc = tm_gap_settings_load(&settings, &config, flags.config_path, &err);
    if (rc == TM_OK)
        rc = tm_command_properties(&properties, &flags, config, &err);
    if (rc == TM_OK) {
        tm_log_init(settings.name, TM_LOG_INFO);
        rc = cmd_gap_run(&flags, &settings, &properties, &err);
    }
    int code = rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("gap", &err);
    tm_properties_free(&properties);
    tm_gap_settings_free(&settings);
    tm_config_close(config);
    return code;
}
