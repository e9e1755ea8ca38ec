/* legs: the legs of the streaming road (check/breakdown.h) by how late the change was. in: a
 * breakdown none of whose series has been asked for a quantile (that sorts it; here the values of
 * one change must stand at one index). out: changes in the order of their time from intended commit
 * to visible, in bands of ranks, each with the mean of every leg: so, unlike medians, the legs of a
 * band add up to its whole. wall ms; negative legs as they are. Pure. */
#ifndef TM_CHECK_LEGS_H
#define TM_CHECK_LEGS_H
#include "check/breakdown.h"
#include <jansson.h>

/* {"legs": [name, …], "changes": n, "bands": [{"from", "to" (shares of the changes), "changes",
 * "total_ms", "ms": [mean by leg]}, …]}, fastest first; a band without a change is left out. The
 * caller owns *out. */
enum tm_code tm_legs_json(json_t **out, const struct tm_breakdown *b, struct tm_err *err);
#endif
