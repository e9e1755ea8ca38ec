/* query: how long one read of the whole snapshot takes as the history behind it grows, option 1
 * (computed when asked) and option 2 (kept) at the same lengths. in: the timed full reads of a live
 * check (check/sampler.h) and its last one; out: points in the order they were read. Reads nothing
 * itself. */
#ifndef TM_CHECK_QUERY_H
#define TM_CHECK_QUERY_H
#include "check/check.h"
#include <jansson.h>

/* The pipeline of the other option over the same raw tables; false: there is none. */
bool tm_query_beside(const struct tm_plan *plan, size_t index, size_t *out);
/* {"rows": [of the raw, alert and answer tables at that read], "ms": [wall]}; null where nothing
 * tells how long the history was, or no read has a duration (virtual clock). The caller owns it. */
json_t *tm_query_history(const struct tm_check *c, size_t index);
#endif
