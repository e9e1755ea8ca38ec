/* disturb: does to the mock what the rules of faults.h say, keeps the log of it, and holds
 * transactions open. in: requests on their way through the handler, the instant; out: answers other
 * than the right ones, acts on org, tokens and streaming clients. Pure: no socket, clock, chance of
 * its own.
 *
 *   request ─ arrived? ─ slow: held ─┐
 *              │ └──────────◄────────┘
 *              ├ served?   an error, or dropped, instead of being served
 *              └ handler ─ answered?   dropped, cut short, or disowned (message.h)
 *
 * Errors carry the bodies that real clients know (salesforce-wire.md 2.4, 3, 5). The control API
 * (/tidemark/v1/) is never struck. Owner: routes. */
#ifndef TM_MOCKS_SALESFORCE_DISTURB_H
#define TM_MOCKS_SALESFORCE_DISTURB_H
#include "mocks/salesforce/cometd.h"
#include "mocks/salesforce/faults.h"
#include "mocks/salesforce/org_quirk.h"
#include "mocks/salesforce/stream.h"

#define TM_DISTURB_TOKEN (UINT64_C(1) << 63) /* tokens of slow requests begin here */
#define TM_DISTURB_HELD_MAX 64               /* transactions open by POST commit */
#define TM_DISTURB_HOLD_MS_MAX (10 * 60000LL)

struct tm_disturb_ports { /* all lent */
    struct tm_org *org;
    struct tm_oauth *oauth;
    struct tm_bayeux *bayeux;
    struct tm_stream *stream; /* NULL: change events alone are streamed */
};
struct tm_disturb;
/* rules: the scenario's `faults`, NULL = none; their instants count from origin_ms. What the org's
 * log says they did before is not done again. */
enum tm_code tm_disturb_open(struct tm_disturb **out, const struct tm_disturb_ports *ports,
                             const json_t *rules, int64_t origin_ms, uint64_t seed,
                             struct tm_err *err);
void tm_disturb_close(struct tm_disturb *d); /* what is held is rolled back; NULL-safe */
/* Does what is due. Sets *wake to an earlier instant where there is more to come. TM_E_AGAIN:
 * org.db is locked, step again. */
enum tm_code tm_disturb_step(struct tm_disturb *d, const struct tm_now *now, struct tm_wake *wake,
                             struct tm_err *err);
/* held_transactions: how long the workload's transaction of that number stays open; 0 = not. Writes
 * the log. */
int64_t tm_disturb_hold_ms(struct tm_disturb *d, uint64_t number, const struct tm_now *now);

/* True: `out` has the answer, a hold included, and nothing else is to be done. resumed: it was held
 * here before. */
bool tm_disturb_request(struct tm_disturb *d, const struct tm_mock_request *r, bool resumed,
                        struct tm_mock_response *out);
/* The handler's answer is in `out`; a hold is left alone. */
void tm_disturb_answer(struct tm_disturb *d, const struct tm_mock_request *r,
                       struct tm_mock_response *out);

/* ---- control API ---- */
/* POST faults: rules from now on; GET faults ?after=N&limit=N; DELETE faults ?rule=N, without it
 * all. */
enum tm_code tm_disturb_rules_add(struct tm_disturb *d, const json_t *body,
                                  const struct tm_now *now, json_t **out, struct tm_err *err);
enum tm_code tm_disturb_rules_list(struct tm_disturb *d, const json_t *parameters,
                                   const struct tm_now *now, json_t **out, struct tm_err *err);
enum tm_code tm_disturb_rules_remove(struct tm_disturb *d, const json_t *parameters,
                                     const struct tm_now *now, json_t **out, struct tm_err *err);
/* POST commit; with "hold": "5m" it is written now and committed then. */
enum tm_code tm_disturb_commit(struct tm_disturb *d, const json_t *body, const struct tm_now *now,
                               json_t **out, struct tm_err *err);
#endif
