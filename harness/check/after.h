/* after: the verdict on a finished warehouse, any warehouse that was fed from the org (design
 * section 10). in: org.db, a SQLite file, a relations map: an object of the org to what
 * check/relation.h says. What the org holds comes from its commit log (check/fold.h); memory goes
 * by records, not by changes. out: a table or JSON on `out`:
 *   {"tidemark", "verdict", "reasons": [text], "changes": of the log, "objects": {object:
 * {"org_rows", "shown_rows", "equal", "missing", "phantom", "stale", "mixed", "wrong", "fields":
 * {field:
 *    {"differing", "lost", "extra", "near", "blanks", "other", "near_max" or "near_max_ms",
 *    "tolerance": that would cover it}}, "compared": [field], "left_out": [{"column", "why"}]}},
 *    "anomalies": {word: {"count" (null: one look at the end cannot tell), "when", "example"}},
 *    "causes": as in check/causes.h, of every differing row,
 *    "examples": [see check/diff.h, at most 20]}
 * exit 0 equal, 1 different, 2 nothing to compare (no object has a record on either side, or one
 * gives no field). A user's mistake is TM_E_ARG naming map, object and column. */
#ifndef TM_CHECK_AFTER_H
#define TM_CHECK_AFTER_H
#include "base/err.h"
#include <stdio.h>

struct tm_after_args {
    const char *org, *warehouse, *relations; /* warehouse NULL: each object names its own */
    bool json;
    int steps_max;  /* of SQLite's virtual machine for one query, in millions; 0 =
                       TM_RELATION_STEPS_MAX */
    size_t threads; /* that compare at a time, where an index finds ranges of ids; 0 = 1 */
};
enum tm_code tm_after_check(const struct tm_after_args *args, FILE *out, int *out_exit,
                            struct tm_err *err);
#endif
