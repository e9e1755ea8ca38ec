/* merge: one verdict and one set of measures from the parts of a sink group (check/part.h): what
 * each host's witness saw of its own view.db, put together on the org's clock and judged by the
 * org's history as one copy. in: org.db, folders with a part.db each; out: run.db and
 * measures.json, as a live check leaves them (check/results.h), copy.db: the relations put
 * together, and what became of each part.
 *
 *   of a record     its partition's owner alone counts: the part that has all of that partition, of
 *                   every topic of the object, that anybody has. What other files still hold of it,
 *                   from before a rebalance, is left out and counted
 *   of an instant   [last read without, first read with] of a host becomes, on the org's clock,
 *                   [lo + offset - bound, hi + offset + bound]: the truth lies within, so a latency
 *                   is too long by at most twice the bound, and never too short
 *
 * Refused (TM_E_ARG, naming the folder): parts of different clusters, orgs or boots of the org's
 * host, or of different objects; partitions that no folder has, that all who held some say
 * they lost, or that none has whole; records that do not lie in one partition; clocks known less well than bound_ns_max.  */
#ifndef TM_CHECK_MERGE_H
#define TM_CHECK_MERGE_H
#include "check/part.h"

#define TM_MERGE_COPY "copy.db"
#define TM_MERGE_PARTS_MAX 64
#define TM_MERGE_PARTITIONS_MAX 4096 /* of a topic */
struct tm_merge_args {
    const char *org, *out; /* org.db; folder of what is left, which exists */
    const char *const *folders;
    size_t folders_count;
    int64_t bound_ns_max;
    int64_t (*wall_ns)(void); /* of the driver */
    int cpus;
};
/* *out_parts, owned by the caller: [{"folder", "host", "warehouse", "records", "partitions":
 * {object: [numbers]}, "left_out": {object: [numbers] also here, but whole elsewhere},
 * "clock_ahead_ms" (the org's, when it ended), "clock_bound_ms" (the worst of all instants used),
 * "comparisons"}]. */
enum tm_code tm_merge_parts(const struct tm_merge_args *args, json_t **out_parts, int *out_exit,
                            struct tm_err *err);
#endif
