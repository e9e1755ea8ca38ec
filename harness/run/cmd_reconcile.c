/* cmd_reconcile: `tidemark reconcile CONFIG.json`: alerts topics to recon topics, by SOQL, until
 * SIGTERM. */
#include "base/log.h"
#include "reconcile/reconcile.h"
#include "run/topic_station.h"
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

struct cmd_reconcile {
    struct tm_topic_station station;
    struct tm_sf_session *session;
    struct tm_recon *recon;
};

static enum tm_code reconcile_step(void *self, const struct tm_now *now, struct tm_wake *wake,
                                   struct tm_err *err)
{
    struct cmd_reconcile *c = self;
    tm_recon_real_time(c->recon, tm_clock_realtime_ns() - tm_clock_monotonic_ns());
    return tm_recon_step(c->recon, now, wake, err);
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
    tm_log(TM_LOG_INFO,
           "%" PRIu64 " alerts in %" PRIu64 " windows; %" PRIu64 " reads (%" PRIu64
           " attempts failed, %" PRIu64 " given up) of %" PRIu64 " ids by %" PRIu64
           " calls (%" PRIu64 " Bulk jobs): %" PRIu64 " images, %" PRIu64 " removed, %" PRIu64
           " unreadable; %" PRIu64 " kept aside",
           n->alerts, n->windows, n->reads, n->reads_retried, n->reads_failed, n->ids,
           n->read.calls, n->read.jobs, n->read.images, n->read.removed, n->read.unreadable,
           tm_recon_aside_count(c->recon));
}

static enum tm_code reconcile_open(struct cmd_reconcile *c, const struct tm_recon_settings *set,
                                   struct tm_err *err)
{
    struct tm_topic_station *s = &c->station;
    struct tm_sf_settings salesforce = set->salesforce;
    char life[48];
    const struct tm_kafka_options options = { .group = set->group,
                                              .topics = (const char *const *)set->alerts,
                                              .topics_count = set->objects_count,
                                              .owner = { .revoked = reconcile_revoked, .self = c },
                                              .reading_groups = set->readers,
                                              .reading_groups_count = set->readers_count };
    salesforce.real_ms_at_zero = tm_clock_real_ms_at_zero();
    enum tm_code rc = tm_topic_station_open(s, set->name, err);
    if (rc == TM_OK)
        rc = tm_sf_session_open(&c->session, s->http, &salesforce, err);
    if (rc == TM_OK)
        rc = tm_topic_station_join(s, &options, (const char *const *)set->recon, set->objects_count,
                                   err);
    if (rc != TM_OK)
        return rc;
    const struct tm_read_ports ports = { c->session, s->registry, s->topic };
    int64_t real_ns = tm_clock_realtime_ns();
    snprintf(life, sizeof life, "%" PRIx64 "-%x", (uint64_t)real_ns, (unsigned)getpid());
    return tm_recon_open(&c->recon, set, &ports, s->folder, life, real_ns - tm_clock_monotonic_ns(),
                         err);
}

static enum tm_code reconcile_run(struct cmd_reconcile *c, const struct tm_recon_settings *set,
                                  struct tm_err *err)
{
    enum tm_code rc = reconcile_open(c, set, err);
    if (rc == TM_OK) {
        c->station.step = reconcile_step;
        c->station.self = c;
        rc = tm_topic_station_drive(&c->station, err);
        reconcile_summary(c);
    }
    tm_recon_close(c->recon);
    c->recon = NULL; /* the group is left later, and tells of it */
    tm_sf_session_close(c->session);
    return rc;
}

int tm_cmd_reconcile(int argc, char **argv)
{
    struct tm_err err = { .code = TM_OK };
    struct cmd_reconcile c = { .recon = NULL };
    struct tm_recon_settings settings = { 0 };
    enum tm_code rc = tm_topic_station_flags(&c.station, argc, argv, &err);
    if (rc == TM_OK)
        rc = tm_recon_settings_load(&settings, &c.station.config, c.station.flags.config_path,
                                    c.station.flags.salesforce_url, &err);
    if (rc == TM_OK)
        rc = reconcile_run(&c, &settings, &err);
    int code = rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("reconcile", &err);
    tm_topic_station_close(&c.station);
    tm_recon_settings_free(&settings);
    return code;
}
