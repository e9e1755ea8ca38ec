/* support_streaming: the mock as a client of its streams meets it, REST and Bayeux through its own
 * handler, under virtual time. */
#ifndef TM_TESTS_SUPPORT_STREAMING_H
#define TM_TESTS_SUPPORT_STREAMING_H
#include "mocks/salesforce/routes.h"
#include "tests/support_org.h"

#define DATA "/services/data/v59.0"
#define HOUR_MS 3600000LL

struct stream_world {
    struct org_fixture f;
    struct tm_salesforce *salesforce;
    struct tm_mock_handler handler;
    struct tm_now now;
    char authorization[200], client[64];
    int status;
    json_t *got; /* the last answer */
};
json_t *stream_ask(struct stream_world *w, const char *method, const char *target,
                   const char *body);
void stream_serve(struct stream_world *w);
/* The same org, served anew. */
void stream_restart(struct stream_world *w);
int stream_world_open(void **state);
int stream_world_close(void **state);
const char *stream_word(const json_t *json, const char *key);
const json_t *stream_first(const struct stream_world *w);
/* Subscribes a fresh client and returns the error, "" when it went well. */
const char *stream_subscribe(struct stream_world *w, const char *channel, int64_t replay);
/* One connect that does not wait: the deliveries it brings, by themselves. */
json_t *stream_deliveries(struct stream_world *w);
size_t stream_brings(struct stream_world *w);
json_t *stream_data_of(const json_t *list, size_t index, const char *part);
int64_t stream_replay_of(const json_t *list, size_t index);
void stream_push_topic(struct stream_world *w, const char *name, const char *query,
                       const char *more);
void stream_good_topic(struct stream_world *w, const char *query, const char *more);
void stream_refused_topic(struct stream_world *w, const char *name, const char *query,
                          const char *more, const char *code);
void stream_account(struct stream_world *w, char id[TM_ID_BYTES], const char *name,
                    const char *industry);
void stream_change(struct stream_world *w, enum tm_org_kind kind, char id[TM_ID_BYTES],
                   const char *field, const char *value);
#endif
