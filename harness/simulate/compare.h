/* compare: what the simulated world shows against what its org holds. in: a world; out: the first
 * difference. Compares the comparable columns only: those of the describe in force that events and
 * answers can carry. Rules are those of harness/view/README.md; "agree" is that both options are
 * the same relations. Statements are kept while columns stay as they are. */
#ifndef TM_SIMULATE_COMPARE_H
#define TM_SIMULATE_COMPARE_H
#include "simulate/world.h"

#define TM_SIM_TEXT_BYTES 600
#define TM_SIM_WORD_BYTES 64
enum tm_sim_about { /* what a finding is about, which its story must tell */
                    TM_SIM_ABOUT_ROWS,
                    TM_SIM_ABOUT_DIRT, /* X_dirty says something else than it should */
                    TM_SIM_ABOUT_FLAG  /* what should be flagged is not */
};
struct tm_sim_finding {
    bool found;
    enum tm_sim_about about;
    char rule[16];
    char where[32]; /* "option 1", "option 2, in flight" … */
    char object[41], id[TM_ID_BYTES], field[TM_SIM_FIELD_BYTES];
    char expected[TM_SIM_WORD_BYTES], shown[TM_SIM_WORD_BYTES];
    char text[TM_SIM_TEXT_BYTES]; /* all of it, as a sentence */
    uint64_t step;                /* of the driver, by which it was there */
};
/* R13: at rest both options show the org's undeleted rows; R10: and no dirt. "B": a polling
 * pipeline shows the same. */
enum tm_code tm_sim_compare_rest(struct tm_sim_world *w, struct tm_sim_finding *out,
                                 struct tm_err *err);
/* In flight: no field shows a value that its record never held (R13), and where option 2 has
 * applied every raw row, both options show the same rows and the same dirt, and flag what must be
 * flagged (flags.h). */
enum tm_code tm_sim_compare_flight(struct tm_sim_world *w, struct tm_sim_finding *out,
                                   struct tm_err *err);
/* R8, R13: while every event is in raw.db, and nothing has happened that no event tells of, a row
 * of option 1 that is not flagged is as the org's. Before any whole read could have mended it.
 * *out_asked: raw.db has all records. For who knows that sources have sent all. */
enum tm_code tm_sim_compare_told(struct tm_sim_world *w, struct tm_sim_finding *out,
                                 bool *out_asked, struct tm_err *err);
/* Before the org's database is closed. */
void tm_sim_compare_forget(struct tm_sim_world *w);
#endif
