/* cometd_impl: what the files of the streaming endpoint share. Owner of everything here: struct
 * tm_bayeux. */
#ifndef TM_MOCKS_SALESFORCE_COMETD_IMPL_H
#define TM_MOCKS_SALESFORCE_COMETD_IMPL_H
#include "mocks/salesforce/cometd.h"

#define BAYEUX_ID_BYTES 29 /* 28 characters of [0-9a-z] */
#define BAYEUX_CHANNEL_BYTES 160

struct bayeux_channel {
    char name[BAYEUX_CHANNEL_BYTES], object[96]; /* object "" = /data/ChangeEvents, all of them */
    int64_t position;                            /* last replay id that reached a live peer */
    int64_t handed; /* last one put into the answer under way; else = position */
};
struct bayeux_client {
    char id[BAYEUX_ID_BYTES], agent[96];
    struct bayeux_channel *channels;
    size_t channels_count;
    bool connected;        /* a connect was answered: later ones may be held */
    bool held;             /* `token` is waiting */
    uint64_t token;        /* of the connect under way, 0 = none */
    int64_t idle_since_ns; /* while token is 0 */
    int64_t replay_seen;   /* the org's last replay id when news were looked at */
    int64_t handed_events; /* in the answer under way */
    size_t first_channel;  /* which channel fills an answer first: they take turns */
};
enum bayeux_end { BAYEUX_WAIT, BAYEUX_REPLACED, BAYEUX_DISCONNECTED };
struct bayeux_hold { /* a connect that waits for events */
    uint64_t token;
    char client[BAYEUX_ID_BYTES];
    json_t *id; /* the message's id, to be echoed */
    int64_t until_ns;
    enum bayeux_end end;
};
struct tm_bayeux {
    struct tm_org *org;
    struct tm_oauth *oauth;
    struct tm_bayeux_settings settings;
    struct bayeux_client **clients;
    size_t clients_count;
    struct bayeux_hold *holds;
    size_t holds_count, holds_cap;
    uint64_t token_last;
    int64_t now_ns, now_ms; /* of the last call */
};
struct bayeux_turn { /* one HTTP request */
    const struct tm_mock_request *request;
    struct tm_mock_response *out;
    enum tm_oauth_verdict verdict;
    int version; /* of the URI: 59; 0 = none */
    bool alone;  /* its only message: a connect may be held */
    bool held;
    uint64_t token; /* the connect it answers, 0 = none */
    size_t replies; /* elements written to the body */
};

struct bayeux_client *bayeux_find(const struct tm_bayeux *b, const char *id);
/* Writes one element of the answer; takes the reference. */
void bayeux_reply(struct bayeux_turn *t, json_t *reply);
/* A reply with channel, id, successful, and error when not NULL. */
json_t *bayeux_message(const char *channel, const json_t *id, const char *error);
json_t *bayeux_advice(json_t *reply, const char *reconnect, int64_t timeout_ms /* < 0 = none */);
/* Refused for lack of a good token or client: replies and returns NULL. */
struct bayeux_client *bayeux_admit(struct tm_bayeux *b, struct bayeux_turn *t,
                                   const json_t *message, const char *channel);
void bayeux_forget(struct tm_bayeux *b, struct bayeux_client *c);
/* The connect under way is over without having reached its peer: what it carried goes out again. */
void bayeux_unsend(struct bayeux_client *c);
/* The client's held connect, if any, is told how it ended and resumed. */
void bayeux_end_hold(struct tm_bayeux *b, struct bayeux_client *c, enum bayeux_end end);

/* ---- cometd_channel.c ---- */
void bayeux_subscribe(struct tm_bayeux *b, struct bayeux_turn *t, const json_t *message);
void bayeux_unsubscribe(struct tm_bayeux *b, struct bayeux_turn *t, const json_t *message);
/* Puts due events of the client's channels into the answer, counted in handed_events. *out_next_ms:
 * org instant of the next one. TM_E_GAP: one that it has not had is no longer retained. */
enum tm_code bayeux_events(struct tm_bayeux *b, struct bayeux_client *c, struct bayeux_turn *t,
                           int64_t *out_next_ms, struct tm_err *err);
#endif
