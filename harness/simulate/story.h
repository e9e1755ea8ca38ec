/* story: a failing run as a case that people can follow and programs can repeat. in: a script, most
 * often a shrunk one; out: a folder with rows.jsonl (the raw rows, in the order in which they were
 * written), expected.jsonl (what the rules demand of them) and README.md (what the org did, what
 * went wrong on the way, what the snapshot shows, which rule that breaks). */
#ifndef TM_SIMULATE_STORY_H
#define TM_SIMULATE_STORY_H
#include "simulate/case.h"
#include "simulate/shrink.h"

/* The raw rows of a world at rest, in the order in which they were written, and the org's rows,
 * appended to `out`. */
enum tm_code tm_sim_story_case(struct tm_case *out, struct tm_sim_world *w, struct tm_err *err);
/* Runs the script once more. shrunk->rules are filled. TM_E_MISMATCH when it no longer breaks its
 * rule. */
enum tm_code tm_sim_story_write(struct tm_sim_shrunk *shrunk, const char *path, struct tm_err *err);
#endif
