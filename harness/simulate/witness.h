/* witness: the checker of real runs (harness/check) at every simulated one: it follows option 2 and
 * the polled copy by `_seq`, looks before every commit, and at rest says how the copies stood to
 * the org at each of them. in: a world; out: the first thing it finds wrong, and at how many
 * commits a copy was as the org. Found wrong: "_seq" (what following it showed is not what the
 * relation shows), "drift" (rows differ for the checker that the comparison of compare.h found
 * equal, or the set hashes and the list of differing rows disagree). Never changes what stations
 * see: it reads between steps. Owner: the caller; closed before the world. */
#ifndef TM_SIMULATE_WITNESS_H
#define TM_SIMULATE_WITNESS_H
#include "check/reader.h"
#include "simulate/compare.h"

#define TM_SIM_WITNESS_COPIES 2
struct tm_sim_witness {
    struct tm_reader *followed[TM_SIM_WITNESS_COPIES]; /* option 2, the polled copy; NULL: none */
    struct tm_sim_finding told;                        /* what following by _seq missed */
    uint64_t commits, equal; /* of all copies: commits looked at, and those at which it was equal */
};
/* Before a commit, or any other time. */
enum tm_code tm_sim_witness_look(struct tm_sim_witness *s, const struct tm_sim_world *w,
                                 struct tm_err *err);
/* At rest, when compare.h has found nothing. */
enum tm_code tm_sim_witness_judge(struct tm_sim_witness *s, struct tm_sim_world *w,
                                  struct tm_sim_finding *out, struct tm_err *err);
void tm_sim_witness_close(struct tm_sim_witness *s);
#endif
