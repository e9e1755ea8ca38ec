/* clock_ask: compares this host's monotonic clock with that of the org's host, by exchanges with
 * the mock's control API. in: an HTTP client, the org's address; out: offset and bound
 * (base/clock.h), and which org on which boot it was. Waits for every answer. */
#ifndef TM_RUN_CLOCK_ASK_H
#define TM_RUN_CLOCK_ASK_H
#include "base/clock.h"
#include "base/http.h"

struct tm_clock_answer {
    struct tm_clock_offset offset; /* of the quickest exchange */
    char org_id[32], boot_id[64];
};
/* TM_E_ARG: what answers there is no org of ours. */
enum tm_code tm_clock_ask(struct tm_clock_answer *out, struct tm_http *http,
                          const char *salesforce_url, int exchanges, int timeout_ms,
                          struct tm_err *err);
#endif
