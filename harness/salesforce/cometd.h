/* cometd: a Bayeux long-polling subscriber with replay. in: channel and replay position; out:
 * deliveries in order. Keeps one subscription alive over expiry, unknown-client, dropped and torn
 * polls; after every new handshake it subscribes from the last position its owner confirmed, so
 * events may come twice, never not at all. A subscription to TM_REPLAY_NEW that stood once and of
 * which nothing was confirmed is renewed with TM_REPLAY_ALL, for the same reason. The next poll is
 * sent in the step that took the last answer; a slow owner is not overrun, it just asks later.
 * Waited out: transport errors, 5xx, 503::, unknown client, refused token (3 times), and without
 * end a used-up daily allowance. For good: TM_E_LIMIT (connection.max.message.size), TM_E_ARG
 * (channel, rights), told at every call.
 *
 *   IDLE ─handshake→ SHAKEN ─subscribe→ SUBSCRIBED ─connect→ LIVE ─┐ connect (held)
 *     ▲── back-off ◄── 401/403/transport ◄──────────────────────── ┘
 *
 * Facts: salesforce-wire.md 2 (messages, advice, error table). */
#ifndef TM_SALESFORCE_COMETD_H
#define TM_SALESFORCE_COMETD_H
#include "salesforce/session.h"

#define TM_REPLAY_NEW (-1)
#define TM_REPLAY_ALL (-2)
struct tm_cometd;
enum tm_code tm_cometd_open(struct tm_cometd **out, struct tm_sf_session *s, const char *channel,
                            int64_t replay_from,
                            size_t message_bytes_max /* connection.max.message.size; 0 = 4 MiB */,
                            struct tm_err *err);
void tm_cometd_close(struct tm_cometd *c);
/* TM_OK: *out_events is a JSON array of deliveries ({"data":…,"channel":…}), may be empty; caller
 * owns. TM_E_AGAIN: waiting. TM_E_GAP: the server refused the replay id (R15); tm_cometd_resume
 * with another one goes on. */
enum tm_code tm_cometd_next(struct tm_cometd *c, const struct tm_now *now, json_t **out_events,
                            struct tm_err *err);
/* Everything up to replay_id is durable at the owner: a new subscription starts after it. */
void tm_cometd_confirm(struct tm_cometd *c, int64_t replay_id);
void tm_cometd_resume(struct tm_cometd *c, int64_t replay_from);
/* What was confirmed is of a replay line that broke (R15). The subscription goes on; a renewed one
 * begins at what is confirmed from now on. */
void tm_cometd_forget(struct tm_cometd *c);
/* subscribed, at least one connect answered since */
bool tm_cometd_live(const struct tm_cometd *c);
int64_t tm_cometd_next_at(const struct tm_cometd *c); /* wall ns */
unsigned tm_cometd_handshakes(const struct tm_cometd *c);
/* what it is waiting out, also logged once; "" = nothing */
const char *tm_cometd_trouble(const struct tm_cometd *c);
#endif
