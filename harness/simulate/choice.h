/* choice: every decision of a simulated run that is not the org's history: what a seed is made of,
 * who runs next, what is delayed, lost or refused, where a station crashes. in: a seed, or a list;
 * out: the same decisions, and the list of those that were unusual. A decision's usual outcome is
 * 0, false or `first`, and always harmless: no fault, no delay, the first that is ready. So a list
 * may lose any entry and is still a run, which is what shrinking needs. Decisions are numbered per
 * place, so that dropping one in one place leaves the others where they are. */
#ifndef TM_SIMULATE_CHOICE_H
#define TM_SIMULATE_CHOICE_H
#include "base/err.h"
#include "base/rng.h"

#define TM_SIM_PLACES_EACH 8          /* places of a kind that every station has one of */
enum tm_sim_place {                   /* in the order in which shrinking tries to do without them */
                    TM_SIM_AT_LOOK,   /* when somebody looks */
                    TM_SIM_AT_BROKER, /* duplicates, refusals, holds, expired tokens */
                    TM_SIM_AT_BEGIN,  /* when each station first starts */
                    TM_SIM_AT_CALM,
                    TM_SIM_AT_COMMIT, /* what goes before a commit that is due */
                    TM_SIM_AT_PICK,   /* who runs, of those that are ready */
                    TM_SIM_AT_SETTING,
                    TM_SIM_AT_HOP, /* + station: how long a request or answer takes */
                    TM_SIM_AT_FATE = TM_SIM_AT_HOP +
                                     TM_SIM_PLACES_EACH, /* + station: what befalls an exchange */
                    TM_SIM_AT_CRASH = TM_SIM_AT_FATE + TM_SIM_PLACES_EACH, /* + station */
                    TM_SIM_AT_DOWN = TM_SIM_AT_CRASH +
                                     TM_SIM_PLACES_EACH, /* + station: how long it stays down */
                    TM_SIM_PLACES = TM_SIM_AT_DOWN + TM_SIM_PLACES_EACH
};
struct tm_sim_choice {
    uint32_t place, number; /* the number-th decision there, from 0 */
    int64_t value;          /* never 0 */
};
struct tm_sim_choices {
    bool given; /* decisions come from `list` instead of chance */
    bool full;  /* out of memory: the list is not the run */
    struct tm_rng rng;
    uint32_t next[TM_SIM_PLACES];
    size_t cursor[TM_SIM_PLACES]; /* given: where to look in `list` */
    struct tm_sim_choice *list;   /* owned; given: by place and number */
    size_t count, cap;
};
void tm_sim_choices_draw(struct tm_sim_choices *c, uint64_t seed);
/* Copies the list. */
enum tm_code tm_sim_choices_give(struct tm_sim_choices *c, const struct tm_sim_choice *list,
                                 size_t count, struct tm_err *err);
/* A given list, some of which may have been taken out since, from its beginning. */
void tm_sim_choices_rewind(struct tm_sim_choices *c);
void tm_sim_choices_free(struct tm_sim_choices *c);
/* Never true where p is 0. */
bool tm_sim_chance(struct tm_sim_choices *c, size_t place, double p);
/* Which of `count` things befalls it, from 1, each with a chance of its own; 0 = none. */
size_t tm_sim_fate(struct tm_sim_choices *c, size_t place, const double *chances, size_t count);
/* first .. last, inclusive. */
int64_t tm_sim_between(struct tm_sim_choices *c, size_t place, int64_t first, int64_t last);
#endif
