/* shrink: a failing run made small. in: a script whose run breaks a rule; out: a script that breaks
 * the same rule in the same place of the road with as few events, changes, fields, faults and
 * unusual turns as it could find: everything is tried without parts of everything else, in halves,
 * quarters and so on down to single ones, until nothing more can go or the runs are used up. */
#ifndef TM_SIMULATE_SHRINK_H
#define TM_SIMULATE_SHRINK_H
#include "simulate/simulate.h"

#define TM_SIM_SHRINK_RUNS_MAX 1500
struct tm_sim_shrunk {
    struct tm_sim_script script; /* owned */
    struct tm_sim_result result; /* of its run */
    struct tm_sim_options options;
    uint64_t runs;
    char rules[160]; /* that it breaks; by the story */
};
/* `found` is the result of `script`'s run. Owner of *out: the caller, tm_sim_script_free. */
enum tm_code tm_sim_shrink(struct tm_sim_shrunk *out, const struct tm_sim_script *script,
                           const struct tm_sim_result *found, const struct tm_sim_options *options,
                           struct tm_err *err);
#endif
