/* own: somebody's own way of rebuilding, on random histories. in: describes of their objects, and
 * how to ask them for a snapshot of raw rows; out: a finding when, at rest, it is not what the org
 * holds. The simulated objects (Deal, Person) are given the names of theirs, and each simulated
 * field that of one of theirs of the same kind, so that SQL written for Opportunity meets
 * histories of Opportunity. Fields that have no counterpart, and those that were added later, are
 * left out of the rows: SQL written before cannot name them. Which object stands for which is the
 * seed's. */
#ifndef TM_SIMULATE_OWN_H
#define TM_SIMULATE_OWN_H
#include "simulate/case.h"
#include "simulate/simulate.h"

#define TM_SIM_OWN_OBJECTS_MAX 32
#define TM_SIM_OWN_FIELDS_MAX 64 /* of a simulated object */
struct tm_sim_own {
    struct tm_describe *objects[TM_SIM_OWN_OBJECTS_MAX]; /* owned */
    size_t objects_count;
    const char *where; /* "views", "exec" */
    /* What is shown for the case's rows, [{"object", "row"}]. TM_E_PROTO: it failed, which is a
     * finding. */
    enum tm_code (*show)(void *self, json_t **out, const struct tm_case *c, struct tm_err *err);
    void *show_self;
};
/* The describe `dir`/<object>.json is one of the objects. */
enum tm_code tm_sim_own_add(struct tm_sim_own *o, const char *dir, const char *object,
                            struct tm_err *err);
void tm_sim_own_free(struct tm_sim_own *o);
/* For struct tm_sim_options; self: struct tm_sim_own. */
enum tm_code tm_sim_own_end(void *self, struct tm_sim_world *w, struct tm_sim_result *r,
                            struct tm_err *err);
/* What the world's things are called. */
struct tm_sim_naming {
    const struct tm_describe *ours[TM_SIM_OBJECTS_MAX], /* as they were at first; borrowed */
        *theirs[TM_SIM_OBJECTS_MAX];                    /* borrowed; NULL = nothing stands for it */
    const struct tm_field
        *fields[TM_SIM_OBJECTS_MAX][TM_SIM_OWN_FIELDS_MAX]; /* theirs, by our index; NULL = none */
};
void tm_sim_own_naming(struct tm_sim_naming *out, const struct tm_sim_own *o,
                       const struct tm_sim_world *w);
/* Of the world's object; NULL = nothing stands for it. */
const char *tm_sim_own_object(const struct tm_sim_naming *n, size_t object);
const struct tm_field *tm_sim_own_field(const struct tm_sim_naming *n, size_t object,
                                        const char *field);
/* Gives the rows of a case, and what is expected of them, these names. */
enum tm_code tm_sim_own_rename(const struct tm_sim_naming *n, struct tm_case *c,
                               struct tm_err *err);
#endif
