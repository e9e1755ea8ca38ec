/* words_cost: what a day costs of what an org grants, and what polling every five minutes would
 * change. Grants a day, before add-ons: 25,000 change events delivered with Enterprise Edition,
 * 50,000 with Unlimited (Salesforce, Change Data Capture Developer Guide, allocations); 100,000 API
 * calls and more for each licence (API Request Limits and Allocations). */
#include "reports/words.h"
#include <stdio.h>
#include <string.h>

#define COST_EVENTS_ENTERPRISE 25000.0
#define COST_EVENTS_UNLIMITED 50000.0
#define COST_CALLS 100000.0
#define COST_POLL_S 300.0

bool tm_word_cost(char *out, size_t out_bytes, const json_t *report)
{
    const json_t *p, *stream = NULL;
    double first = 0, last = 0, calls, events, lag_ms = 0, half;
    char w[9][WORD_BYTES];
    size_t i;
    json_array_foreach(json_object_get(report, "pipelines"), i,
                       p) if (stream == NULL && strcmp(tm_word_text(p, "kind", ""), "stream") == 0)
        stream = p;
    if (stream == NULL || !tm_word_number(report, "clock.start_ms", &first) ||
        !tm_word_number(report, "clock.end_ms", &last) || last <= first ||
        !tm_word_number(stream, "cost.api_calls", &calls) ||
        !tm_word_number(stream, "cost.events", &events) ||
        !tm_word_number(stream, "freshness_s.p50", &half))
        return false;
    tm_word_number(report, "clock.index_lag_ms", &lag_ms);
    double a_day = 86400e3 / (last - first), polls = 86400 / COST_POLL_S,
           objects = (double)json_array_size(json_object_get(stream, "objects"));
    calls *= a_day;
    events *= a_day;
    int n = snprintf(out, out_bytes,
                     "A whole day at this rate costs streaming %s API calls (%s of the %s that an "
                     "org is granted before licences) and %s delivered events (%s of Unlimited "
                     "Edition's daily allocation, %s of Enterprise's).",
                     tm_word_count(w[0], calls), tm_word_share(w[1], calls / COST_CALLS),
                     tm_word_count(w[2], COST_CALLS), tm_word_count(w[3], events),
                     tm_word_share(w[4], events / COST_EVENTS_UNLIMITED),
                     tm_word_share(w[5], events / COST_EVENTS_ENTERPRISE));
    if (objects > 0 && n > 0 && (size_t)n < out_bytes)
        snprintf(
            out + n, out_bytes - (size_t)n,
            " A poll every 5 minutes would cost no events and %s calls at least, and show half "
            "of all changes after %s instead of %s.",
            tm_word_count(w[6], polls * objects),
            tm_word_span(w[7], COST_POLL_S / 2 + lag_ms / 1000), tm_word_span(w[8], half));
    return true;
}
