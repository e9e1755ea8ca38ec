/* two: the verdict on two copies, neither of which is the org: the old pipeline's warehouse against
 * the new one's. in: two SQLite files, a relations map for both (or one each; check/relation.h,
 * without a describe: columns go by their names, values by SQLite's types); out: on `out` a table
 * or JSON: {"tidemark", "verdict", "reasons", "objects": {object: {"shown_rows", "equal",
 * "missing", "extra", "differing", "fields": as in check/after.h, "compared": [field], "threads",
 * "ranges"}}, "examples": [{"object", "id", "class"}]}. missing: only the other one has it. exit 0
 * equal, 1 different, 2 nothing to compare. */
#ifndef TM_CHECK_TWO_H
#define TM_CHECK_TWO_H
#include "base/err.h"
#include <stdio.h>

struct tm_two_args {
    const char *against, *warehouse;
    const char *relations, *against_relations; /* the latter NULL: the same */
    bool json;
    int steps_max;
    size_t threads;
};
enum tm_code tm_two_check(const struct tm_two_args *args, FILE *out, int *out_exit,
                          struct tm_err *err);
#endif
