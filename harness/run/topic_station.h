/* topic_station: what `tidemark gap` and `tidemark reconcile` share: one member of a group that
 * reads topics and writes others, with a registry and HTTP, driven until SIGTERM. in: flags and
 * what the config says; out: the ports of a station. What the station does is its own. */
#ifndef TM_RUN_TOPIC_STATION_H
#define TM_RUN_TOPIC_STATION_H
#include "run/command.h"
#include "topic/registry.h"

struct tm_topic_station { /* zero-initialised; closed also after an error */
    struct tm_station_flags flags;
    struct tm_config *config; /* owned from when it is set */
    struct tm_properties properties;
    const char *folder; /* of durable state; borrowed */
    struct tm_clock_file *clock;
    struct tm_http *http;
    struct tm_registry *registry;
    struct tm_topic *topic;
    const char *name; /* of the config; borrowed */
    enum tm_code (*step)(void *self, const struct tm_now *now, struct tm_wake *wake,
                         struct tm_err *err);
    void *self; /* of step */
};
/* Flags; without a config or a registry TM_E_ARG says what to give. */
enum tm_code tm_topic_station_flags(struct tm_topic_station *s, int argc, char **argv,
                                    struct tm_err *err);
/* Properties, the folder of --state, clock, HTTP and registry. config is set, name given. */
enum tm_code tm_topic_station_open(struct tm_topic_station *s, const char *name,
                                   struct tm_err *err);
/* Makes sure of the topics of `options` and of those it writes, and joins the group; brokers, name
 * and properties are filled in here. */
enum tm_code tm_topic_station_join(struct tm_topic_station *s,
                                   const struct tm_kafka_options *options,
                                   const char *const *writes, size_t writes_count,
                                   struct tm_err *err);
/* step and self are set. */
enum tm_code tm_topic_station_drive(struct tm_topic_station *s, struct tm_err *err);
/* After the station over it is closed: a rebalance may still be told of here. */
void tm_topic_station_close(struct tm_topic_station *s);
#endif
