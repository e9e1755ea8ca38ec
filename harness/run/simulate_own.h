/* simulate_own: somebody's own views or program for `tidemark simulate`. in: the flags; out: how
 * the simulation asks them (simulate/own.h). */
#ifndef TM_RUN_SIMULATE_OWN_H
#define TM_RUN_SIMULATE_OWN_H
#include "run/test_exec.h"
#include "simulate/own.h"

struct tm_simulate_own {
    const char *views_dir, *objects_dir; /* --views, --objects; NULL = not given */
    struct tm_test_exec exec;            /* --exec; command NULL = not given */
    struct tm_sim_own own;
};
/* Which objects: those that --views has SQL for, or all of --objects. TM_E_ARG names the folder. */
enum tm_code tm_simulate_own_open(struct tm_simulate_own *o, struct tm_err *err);
void tm_simulate_own_close(struct tm_simulate_own *o);
/* Fills at_end, or does nothing without --views and --exec. */
void tm_simulate_own_options(struct tm_simulate_own *o, struct tm_sim_options *options);
#endif
