/* cometd_impl: what the files of the streaming endpoint share. Owner of everything here: struct
 * tm_bayeux. Nothing here is looked for one by one among thousands: clients are found by id, polls
 * by token, subscriptions by the channel they follow, the longest silent client at the head of a
 * list. */
#ifndef TM_MOCKS_SALESFORCE_COMETD_IMPL_H
#define TM_MOCKS_SALESFORCE_COMETD_IMPL_H
#include "mocks/salesforce/cometd.h"

#define BAYEUX_ID_BYTES 29 /* 28 characters of [0-9a-z] */
#define BAYEUX_CHANNEL_BYTES 400
#define BAYEUX_BUCKETS 4096 /* a power of two; twice as many clients as an edition allows */

struct bayeux_client;
struct bayeux_topic { /* a channel that somebody follows */
    struct bayeux_topic *next;
    struct tm_feed feed;
    int64_t told;                     /* its last replay id when its followers were told */
    struct bayeux_channel *followers; /* by next_follower */
};
struct bayeux_channel { /* one subscription */
    struct bayeux_channel *next_follower, *previous_follower;
    struct bayeux_client *client;
    struct bayeux_topic *topic;
    char *name;       /* as subscribed to, ?filter included: what deliveries are addressed to */
    int64_t position; /* last replay id that reached a live peer, or that it is not to have */
    int64_t handed;   /* last one put into the answer under way; else = position */
};
enum bayeux_end {
    BAYEUX_WAIT,
    BAYEUX_REPLACED,
    BAYEUX_DISCONNECTED,
    BAYEUX_FORGOTTEN,
    BAYEUX_SIGNED_OUT
};
struct bayeux_poll {          /* a connect, from its request until its answer has left or is lost */
    struct bayeux_poll *next; /* of its bucket */
    uint64_t token;
    struct bayeux_client *client;    /* NULL: gone, or polls elsewhere */
    char client_id[BAYEUX_ID_BYTES]; /* outlives it */
    bool held;
    json_t *id; /* the message's id, to be echoed */
    int64_t until_ns;
    enum bayeux_end end;
};
struct bayeux_client {
    struct bayeux_client *next;            /* of its bucket */
    struct bayeux_client *before, *behind; /* while silent: in `silent` or `lost` */
    char id[BAYEUX_ID_BYTES], agent[96];
    uint8_t session[TM_DIGEST_BYTES]; /* digest of the token that shook hands */
    struct bayeux_channel **channels;
    size_t channels_count;
    bool connected;           /* a connect was answered: later ones may be held */
    bool lost;                /* stands in the list `lost` */
    struct bayeux_poll *poll; /* under way; NULL = silent */
    int64_t silent_since_ns;
    int64_t handed_events; /* in the answer under way */
    size_t first_channel;  /* which channel fills an answer first: they take turns */
};
struct bayeux_silence { /* clients without a poll, longest silent first */
    struct bayeux_client *first, *last;
};
struct tm_bayeux {
    struct tm_org *org;
    struct tm_oauth *oauth;
    struct tm_bayeux_settings settings;
    struct bayeux_client *clients[BAYEUX_BUCKETS];
    struct bayeux_poll *polls[BAYEUX_BUCKETS];
    struct bayeux_topic *topics;
    size_t clients_count;
    uint64_t
        ended_seen; /* tm_oauth_ended when the clients of ended sessions were last looked for */
    struct bayeux_silence silent;
    struct bayeux_silence lost; /* their polls broke: since when nobody told */
    uint64_t token_last;
    int64_t now_ns, now_ms; /* of the last call */
    const char *busy; /* channel that the request under way finds busy; "" = all; NULL = none */
};
struct bayeux_turn { /* one HTTP request */
    const struct tm_mock_request *request;
    struct tm_mock_response *out;
    enum tm_oauth_verdict verdict;
    uint8_t session[TM_DIGEST_BYTES]; /* digest of its token; zeros = none */
    int version;                      /* of the URI: 59; 0 = none */
    bool alone;                       /* its only message: a connect may be held */
    bool held;
    uint64_t token; /* the connect it answers, 0 = none */
    size_t replies; /* elements written to the body */
};

/* Writes one element of the answer; takes the reference. */
void bayeux_reply(struct bayeux_turn *t, json_t *reply);
/* A reply with channel, id, successful, and error when not NULL. */
json_t *bayeux_message(const char *channel, const json_t *id, const char *error);
json_t *bayeux_advice(json_t *reply, const char *reconnect, int64_t timeout_ms /* < 0 = none */);
/* Refused for lack of a good token or a client of it: replies and returns NULL. */
struct bayeux_client *bayeux_admit(struct tm_bayeux *b, struct bayeux_turn *t,
                                   const json_t *message, const char *channel);

/* ---- cometd_clients.c ---- */
struct bayeux_client *bayeux_find(const struct tm_bayeux *b, const char *id);
/* NULL: out of memory. */
struct bayeux_client *bayeux_client_new(struct tm_bayeux *b, const struct bayeux_turn *t);
void bayeux_forget(struct tm_bayeux *b, struct bayeux_client *c);
/* Ends it with its session; a held poll is told so. */
void bayeux_sign_out(struct tm_bayeux *b, struct bayeux_client *c);
/* Forgets who was silent for too long. */
void bayeux_expire(struct tm_bayeux *b);
/* A poll begins for the client, in the place of any other; NULL: out of memory. */
struct bayeux_poll *bayeux_poll_new(struct tm_bayeux *b, struct bayeux_client *c, const json_t *id);
struct bayeux_poll *bayeux_poll_of(const struct tm_bayeux *b, uint64_t token);
/* It is over. Its client, if any, is silent from now on, or (lost) from the next call on. */
void bayeux_poll_drop(struct tm_bayeux *b, struct bayeux_poll *p, bool lost);
/* The client's poll is over without having reached its peer: what it carried goes out again, and if
 * it is held it is told how it ended, and resumed. */
void bayeux_poll_end(struct tm_bayeux *b, struct bayeux_client *c, enum bayeux_end end);
void bayeux_unsend(struct bayeux_client *c);
/* A subscription of the client; NULL: out of memory. */
struct bayeux_channel *bayeux_follow(struct tm_bayeux *b, struct bayeux_client *c, const char *name,
                                     const struct tm_feed *feed);
struct bayeux_channel *bayeux_followed(const struct bayeux_client *c, const char *name);
void bayeux_unfollow(struct tm_bayeux *b, struct bayeux_channel *channel);

/* ---- cometd_fault.c ---- */
/* True: the message was answered by a server too busy. */
bool bayeux_is_busy(struct tm_bayeux *b, struct bayeux_turn *t, const json_t *message);

/* ---- cometd_filter.c: /topic/Deals?StageName=Won&Amount=5 ---- */
/* May this channel be subscribed to with this filter, if any? */
bool bayeux_filter_valid(const struct tm_feed *feed, const char *subscription);
/* True without a filter, or when any of its conditions holds. */
bool bayeux_filter_passes(const char *subscription, const struct tm_org_event *event);

/* ---- cometd_channel.c ---- */
void bayeux_subscribe(struct tm_bayeux *b, struct bayeux_turn *t, const json_t *message);
void bayeux_unsubscribe(struct tm_bayeux *b, struct bayeux_turn *t, const json_t *message);
/* Puts due events of the client's channels into the answer, counted in handed_events. *out_next_ms:
 * org instant of the next one. TM_E_GAP: one that it has not had is no longer retained. */
enum tm_code bayeux_events(struct tm_bayeux *b, struct bayeux_client *c, struct bayeux_turn *t,
                           int64_t *out_next_ms, struct tm_err *err);
#endif
