/* compare: what the simulated world shows against what its org holds. in: a world; out: the first
 * difference, as text. Compares the comparable columns only: those of the describe in force that
 * events and answers can carry. */
#ifndef TM_SIMULATE_COMPARE_H
#define TM_SIMULATE_COMPARE_H
#include "simulate/world.h"

#define TM_SIM_TEXT_BYTES 600
struct tm_sim_finding {
    bool found;
    char rule[16];
    char text[TM_SIM_TEXT_BYTES];
};
/* R13: at rest both options show the org's undeleted rows, and no dirt. */
enum tm_code tm_sim_compare_rest(struct tm_sim_world *w, struct tm_sim_finding *out,
                                 struct tm_err *err);
/* In flight: no field shows a value that its record never held (R13), and where option 2 has
 * applied every raw row, both options show the same rows and the same dirt, and flag what must be
 * flagged (flags.h). */
enum tm_code tm_sim_compare_flight(struct tm_sim_world *w, struct tm_sim_finding *out,
                                   struct tm_err *err);
#endif
