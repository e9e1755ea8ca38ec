/* routes: the mock Salesforce as one HTTP handler: sign-in, REST, Bulk, CometD and its own control
 * API under /tidemark/v1/. in: requests; out: answers. Pure: a server (mocks/http/server.h) and a
 * simulation call the same handler. The org is lent; everything else here is owned.
 *
 *   GET  /                               what is served, as text
 *   POST /tidemark/v1/commit, schema     control.h
 *   GET  /tidemark/v1/history            control.h, parameters in the query string
 *   GET  /tidemark/v1/clock, usage       the org's instant; calls and events of the last day
 *   GET, POST /tidemark/v1/channels      custom channels of change events (custom_channel.h)
 *   POST /tidemark/v1/events             publishes a platform event (streaming.h)
 *   POST /tidemark/v1/clock              {"advance": "73h"}: org time goes on by that much at once
 *   POST, GET, DELETE /tidemark/v1/faults    what is planted (disturb.h)
 *
 * All of them with examples: README.md here. */
#ifndef TM_MOCKS_SALESFORCE_ROUTES_H
#define TM_MOCKS_SALESFORCE_ROUTES_H
#include "mocks/salesforce/cometd.h"
#include "mocks/salesforce/disturb.h"
#include "mocks/salesforce/rest.h"

struct tm_salesforce_settings {
    struct tm_oauth_settings oauth; /* org_id and user_id are filled in from the org */
    struct tm_bulk_settings bulk;
    struct tm_bayeux_settings bayeux; /* its wake is what tm_salesforce_wired is given */
    size_t page_max;                  /* rows of a page of a query, at most; 0 = as asked */
    const char *base_url; /* where a request has no Host header; NULL = http://127.0.0.1 */
    const char *names;    /* "a,b": by which the control API may be reached, beside those that no
                             stranger can own (addresses, localhost, …); NULL = none */
    const json_t *faults; /* rules that count from the org's origin (faults.h); NULL = none */
    /* POST clock: moves org time on, *now becomes the new instant. NULL = this clock is not ours.
     */
    enum tm_code (*advance)(void *data, int64_t ms, struct tm_now *now, struct tm_err *err);
    void *advance_data;
    /* GET clock: the instant at which it is answered, lest whoever compares clocks is told that of
     * the server's step, which may be older than the question. NULL = the step's. */
    struct tm_now (*instant)(void *data);
    void *instant_data;
};
struct tm_salesforce;
enum tm_code tm_salesforce_open(struct tm_salesforce **out, struct tm_org *org,
                                const struct tm_salesforce_settings *settings, struct tm_err *err);
void tm_salesforce_close(struct tm_salesforce *s);
struct tm_mock_handler tm_salesforce_handler(struct tm_salesforce *s);
/* How a held request is resumed: tm_mock_server_wake, or a simulation's own. */
void tm_salesforce_wired(struct tm_salesforce *s, void (*wake)(void *data, uint64_t token),
                         void *data);
/* What is to do beside answering: Bulk jobs under way, a slice a call. Sets *wake when there is
 * more. */
void tm_salesforce_step(struct tm_salesforce *s, const struct tm_now *now, struct tm_wake *wake);
/* What is due of planted faults and open transactions (disturb.h). TM_E_AGAIN: org.db is locked,
 * step again. */
enum tm_code tm_salesforce_due(struct tm_salesforce *s, const struct tm_now *now,
                               struct tm_wake *wake, struct tm_err *err);
struct tm_disturb *tm_salesforce_disturb(struct tm_salesforce *s);
/* after commits made outside the handler */
void tm_salesforce_news(struct tm_salesforce *s);
/* NULL where the org has no setup objects (org.h): change events alone are streamed. */
struct tm_streaming *tm_salesforce_streaming(struct tm_salesforce *s);
/* after tm_org_replay_restart */
void tm_salesforce_restarted(struct tm_salesforce *s);
struct tm_oauth *tm_salesforce_oauth(struct tm_salesforce *s);
#endif
