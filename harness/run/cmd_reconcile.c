/* cmd_reconcile: `tidemark reconcile CONFIG.json`: alerts topics to recon topics, by SOQL, until
 * SIGTERM. */
#include "base/log.h"
#include "reconcile/reconcile.h"
#include "run/command.h"
#include <inttypes.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct cmd_reconcile {
    struct tm_recon *recon;
    struct tm_http *http;
    struct tm_topic *topic;
    const char *stats_path, *name;
};

static enum tm_code reconcile_step(void *self, const struct tm_now *now, struct tm_wake *wake,
                                   struct tm_err *err)
{
    return tm_recon_step(((struct cmd_reconcile *)self)->recon, now, wake, err);
}

static void reconcile_second(void *self)
{
    struct cmd_reconcile *c = self;
    tm_stats_write(c->stats_path, c->name, c->http, &c->topic, 1);
}

static void reconcile_revoked(void *self, const char *topic, int32_t partition)
{
    struct cmd_reconcile *c = self;
    if (c->recon != NULL)
        tm_recon_revoked(c->recon, topic, partition);
}

static void reconcile_summary(const struct cmd_reconcile *c)
{
    const struct tm_recon_counts *n = tm_recon_counts(c->recon);
    tm_log(
        TM_LOG_INFO,
        "%" PRIu64 " alerts in %" PRIu64 " windows; %" PRIu64 " reads (%" PRIu64
        " attempts failed, %" PRIu64 " given up) of %" PRIu64 " ids by %" PRIu64 " calls: %" PRIu64
        " images, %" PRIu64 " removed, %" PRIu64 " unreadable; %" PRIu64 " kept aside",
        n->alerts, n->windows, n->reads, n->reads_retried, n->reads_failed, n->ids, n->read.calls,
        n->read.images, n->read.removed, n->read.unreadable, tm_recon_aside_count(c->recon));
}

static enum tm_code reconcile_run(const struct tm_station_flags *flags,
                                  const struct tm_recon_settings *s,
                                  const struct tm_properties *properties, struct tm_err *err)
{
    struct cmd_reconcile c = { .stats_path = flags->stats_path, .name = s->name };
    struct tm_registry *registry = NULL;
    struct tm_sf_session *session = NULL;
    struct tm_clock_file *clock = NULL;
    char agent[128], life[48];
    struct tm_kafka_options options = { .brokers = flags->brokers,
                                        .client_id = s->name,
                                        .group = s->group,
                                        .topics = (const char *const *)s->alerts,
                                        .topics_count = s->objects_count,
                                        .owner = { .revoked = reconcile_revoked, .self = &c },
                                        .reading_groups = s->readers,
                                        .reading_groups_count = s->readers_count,
                                        .properties = (const char *const *)properties->items,
                                        .properties_count = properties->count,
                                        .embedded = flags->embedded };
    snprintf(agent, sizeof agent, "tidemark-%.100s/1", s->name);
    snprintf(life, sizeof life, "%" PRIx64 "-%x", (uint64_t)tm_clock_realtime_ns(),
             (unsigned)getpid());
    enum tm_code rc = TM_OK;
    if (flags->state_dir != NULL && mkdir(flags->state_dir, 0777) != 0 && errno != EEXIST)
        return tm_fail(err, TM_E_ARG, "cannot make the folder --state %s: %s", flags->state_dir,
                       strerror(errno));
    if (flags->clock_path != NULL &&
        (rc = tm_clock_file_open(&clock, flags->clock_path, err)) != TM_OK)
        goto done;
    if ((rc = tm_http_curl_open(&c.http, agent, NULL, err)) != TM_OK ||
        (rc = tm_registry_open(&registry, c.http, flags->registry, err)) != TM_OK ||
        (rc = tm_sf_session_open(&session, c.http, &s->salesforce, err)) != TM_OK ||
        (rc = tm_topic_kafka_open(&c.topic, &options, err)) != TM_OK)
        goto done;
    struct tm_read_ports ports = { session, registry, c.topic };
    rc = tm_recon_open(&c.recon, s, &ports, flags->state_dir != NULL ? flags->state_dir : ".", life,
                       tm_clock_realtime_ns() - tm_clock_monotonic_ns(), err);
    if (rc != TM_OK)
        goto done;
    int fd = c.topic->ops->event_fd(c.topic);
    struct tm_driven driven = { .step = reconcile_step,
                                .self = &c,
                                .http = c.http,
                                .fds = &fd,
                                .fds_count = 1,
                                .clock = clock,
                                .on_second = reconcile_second };
    rc = tm_drive(&driven, err);
    reconcile_second(&c);
    reconcile_summary(&c);
done:
    tm_recon_close(c.recon);
    c.recon = NULL;
    if (c.topic != NULL)
        c.topic->ops->close(c.topic);
    tm_sf_session_close(session);
    tm_registry_close(registry);
    if (c.http != NULL)
        c.http->ops->close(c.http);
    tm_clock_file_close(clock);
    return rc;
}

int tm_cmd_reconcile(int argc, char **argv)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_station_flags flags;
    struct tm_recon_settings settings = { 0 };
    struct tm_config *config = NULL;
    struct tm_properties properties = { NULL, 0 };
    enum tm_code rc = tm_flags_parse(&flags, argc, argv, NULL, NULL, &err);
    if (rc == TM_OK && flags.config_path == NULL)
        rc = tm_fail(&err, TM_E_ARG,
                     "no config given; usage: tidemark reconcile CONFIG.json --brokers HOST:PORT "
                     "--registry URL --state DIR");
    if (rc == TM_OK && flags.registry == NULL)
        rc = tm_fail(&err, TM_E_ARG,
                     "no schema registry given: say --registry URL or set TIDEMARK_REGISTRY");
    if (rc == TM_OK)
        rc = tm_recon_settings_load(&settings, &config, flags.config_path, flags.salesforce_url,
                                    &err);
    if (rc == TM_OK)
        rc = tm_command_properties(&properties, &flags, config, &err);
    if (rc == TM_OK) {
        tm_log_init(settings.name, TM_LOG_INFO);
        rc = reconcile_run(&flags, &settings, &properties, &err);
    }
    int code = rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("reconcile", &err);
    tm_properties_free(&properties);
    tm_recon_settings_free(&settings);
    tm_config_close(config);
    return code;
}
