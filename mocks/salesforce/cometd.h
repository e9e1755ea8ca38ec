/* cometd: the streaming endpoint of the mock: Bayeux over long polling, with replay.
 * in: POSTed Bayeux messages, the org's published events, the instant; out: replies, or a held
 * poll. Pure: no socket, clock or chance of its own; a server and a simulation call the same
 * functions.
 *
 *   handshake ─► client id ─► subscribe (a position per channel) ─► connect ─► answered: first one,
 * or events └─ held ─► events, timeout, replaced or gone Invariants: 1. A position moves only when
 * `finished` says that the answer left for a live peer; events handed to a dead poll are sent
 * again. 2. One outstanding connect a client: a new one ends the old. 3. A client without a connect
 * for 40 s is forgotten (403::Unknown client).
 *   4. A subscription never skips: when events it has not had pass their 72 h, its client is
 * forgotten too, and its last replay id is refused when it subscribes again (assumed: no source
 * tells what a live subscription gets).
 *   5. A client belongs to the session (token) that shook hands: to any other session it is unknown
 * (403::Unknown client: shake hands anew), and it ends with its session: a held poll with
 * 401::Authentication invalid, at once. Facts: salesforce-wire.md section 2, appendix A 6. */
#ifndef TM_MOCKS_SALESFORCE_COMETD_H
#define TM_MOCKS_SALESFORCE_COMETD_H
#include "mocks/salesforce/feed.h"
#include "mocks/salesforce/oauth.h"

#define TM_BAYEUX_REQUEST_BYTES_MAX 32768u  /* 413 beyond */
#define TM_BAYEUX_CLIENTS_MAX 2000          /* performance and unlimited edition */
#define TM_BAYEUX_CHANNELS_MAX 100          /* subscriptions of one client */
#define TM_BAYEUX_POLL_BYTES_MAX (1u << 20) /* of events in one answer; the rest waits */
#define TM_BAYEUX_POLL_EVENTS_MAX 2000
struct tm_bayeux_settings {
    int64_t long_poll_ms;           /* 0 = 110,000 */
    int64_t client_ms_max;          /* life without a connect; 0 = 40,000 */
    size_t clients_max;             /* 0 = by the org's edition */
    struct tm_streaming *streaming; /* borrowed; NULL = change events alone */
    void (*wake)(void *data, uint64_t token);
    void *wake_data; /* a held poll must be resumed */
};
struct tm_bayeux;
enum tm_code tm_bayeux_open(struct tm_bayeux **out, struct tm_org *org, struct tm_oauth *oauth,
                            const struct tm_bayeux_settings *settings, struct tm_err *err);
void tm_bayeux_close(struct tm_bayeux *b);
/* The handler of struct tm_mock_handler for /cometd/…: tokens are 1.. below 2^62. */
void tm_bayeux_request(struct tm_bayeux *b, const struct tm_mock_request *r,
                       struct tm_mock_response *out);
void tm_bayeux_resume(struct tm_bayeux *b, const struct tm_mock_request *r, uint64_t token,
                      struct tm_mock_response *out);
void tm_bayeux_finished(struct tm_bayeux *b, uint64_t token, bool sent);
/* Call after commits and after requests that may have ended sessions: wakes the held polls that
 * new events concern, and ends the clients whose sessions have ended. */
void tm_bayeux_news(struct tm_bayeux *b);
/* After tm_org_replay_restart: who is subscribed goes on with the new line, from its beginning. */
void tm_bayeux_restarted(struct tm_bayeux *b);
size_t tm_bayeux_clients(const struct tm_bayeux *b);
/* Does any client follow the channel, with or without a filter? */
bool tm_bayeux_follows(const struct tm_bayeux *b, const char *channel);
/* Planted faults. The next request's messages on `channel` ("" = all of them) find the server too
 * busy. */
void tm_bayeux_busy(struct tm_bayeux *b, const char *channel);
/* Every client is unknown from now on, also those that wait. */
void tm_bayeux_forget_all(struct tm_bayeux *b);
#endif
