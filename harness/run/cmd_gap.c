/* cmd_gap: `tidemark gap CONFIG.json`: raw topics to alerts topics, until SIGTERM. */
#include "base/log.h"
#include "gap/gap.h"
#include "run/topic_station.h"
#include <inttypes.h>
#include <stdio.h>

static enum tm_code gap_step(void *self, const struct tm_now *now, struct tm_wake *wake,
                             struct tm_err *err)
{
    return tm_gap_step(self, now, wake, err);
}

static void gap_summary(const struct tm_gap *gap)
{
    const struct tm_gap_counts *n = tm_gap_counts(gap);
    tm_log(TM_LOG_INFO,
           "%" PRIu64 " records, %" PRIu64 " alerts (events: %" PRIu64 " gaps, %" PRIu64
           " diffs, %" PRIu64 " overflows, %" PRIu64 " conversions), %" PRIu64 " kept aside",
           n->records, n->alerts, n->gaps, n->diffs, n->overflows, n->conversions,
           tm_gap_aside_count(gap));
}

static enum tm_code gap_run(struct tm_topic_station *s, const struct tm_gap_settings *set,
                            struct tm_err *err)
{
    struct tm_gap *gap = NULL;
    char aside[4096];
    const struct tm_kafka_options options = { .group = set->group,
                                              .topics = (const char *const *)set->topics,
                                              .topics_count = set->objects_count,
                                              .reading_groups = set->readers,
                                              .reading_groups_count = set->readers_count };
    enum tm_code rc = tm_topic_station_open(s, set->name, err);
    if (rc == TM_OK)
        rc = tm_topic_station_join(s, &options, (const char *const *)set->alerts,
                                   set->objects_count, err);
    if (rc != TM_OK)
        return rc;
    snprintf(aside, sizeof aside, "%s/%s-aside.db", s->folder, set->name);
    rc = tm_gap_open(&gap, set, s->topic, s->registry, aside, err);
    if (rc == TM_OK) {
        s->step = gap_step;
        s->self = gap;
        rc = tm_topic_station_drive(s, err);
        gap_summary(gap);
    }
    tm_gap_close(gap);
    return rc;
}

int tm_cmd_gap(int argc, char **argv)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_topic_station station = { .topic = NULL };
    struct tm_gap_settings settings = { 0 };
    enum tm_code rc = tm_topic_station_flags(&station, argc, argv, &err);
    if (rc == TM_OK)
        rc = tm_gap_settings_load(&settings, &station.config, station.flags.config_path, &err);
    if (rc == TM_OK)
        rc = gap_run(&station, &settings, &err);
    int code = rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("gap", &err);
    tm_topic_station_close(&station);
    tm_gap_settings_free(&settings);
    return code;
}
