/* support_source: one source station between a small org of the test's own, an in-memory broker and
 * the embedded registry's handler. Virtual time, no socket. The org: sign-in, describe, CometD with
 * replay; events are what the test puts. */
#ifndef TM_TESTS_SUPPORT_SOURCE_H
#define TM_TESTS_SUPPORT_SOURCE_H
#include "mocks/kafka/topic_mem.h"
#include "mocks/registry/registry.h"
#include "source/source.h"
#include "tests/support_port.h"

struct source_org {
    json_t *describe;        /* owned; change it in place */
    json_t *events;          /* deliveries' "data", in replay order */
    const char *id;          /* of the org, 15 or 18 characters */
    const char *entity;      /* channel is /data/<entity>ChangeEvent */
    int64_t low;             /* replay ids below are refused as expired */
    int64_t subscribed_from; /* of the last subscribe */
    int64_t position;
    bool live;
    unsigned subscribes, describes, handshakes, deliver_max;
    uint64_t held;
    bool eager; /* the first connect brings events already */
};
struct source_world {
    struct source_org org;
    struct tm_test_http http;
    struct tm_mock_registry *schemas;
    struct tm_mem_broker *broker;
    json_t *config_json;
    /* of one life of the process */
    struct tm_config *config;
    struct tm_source_settings settings;
    struct tm_sf_session *session;
    struct tm_registry *registry;
    struct tm_topic *producer, *checkpoints, *offsets;
    struct tm_aside *aside;
    struct tm_source *source;
    struct tm_now now;
    struct tm_err err;
};
/* object Opportunity, topics of 3 partitions */
void source_world_open(struct source_world *w);
/* before start */
void source_world_set(struct source_world *w, const char *key, const char *value);
/* a new process over what is durable */
void source_world_start(struct source_world *w);
void source_world_crash(struct source_world *w); /* its memory is gone */
void source_world_close(struct source_world *w);
/* Steps until nothing moves for a while; returns TM_OK, or the error that ended the station
 * (w->err). */
enum tm_code source_world_run(struct source_world *w);
/* taken; from support_change */
void source_world_event(struct source_world *w, json_t *data);
/* All records of a topic as objects by field name, with _key and _partition; owned by
 * the caller. */
json_t *source_world_records(struct source_world *w, const char *topic);
#endif
