/* fold: what the org holds now, from its commit log alone: every record's last state, and nothing
 * of the way there, so that memory goes by records and not by changes. in: org.db (base/org_db.h);
 * which objects and which of their fields, with the tolerances that are declared for them; out:
 * rows (check/rows.h) of those fields, flagged TM_COMPARE_GONE where the record is deleted. Values
 * have "trim" and "empty" done. Reads org.db only. */
#ifndef TM_CHECK_FOLD_H
#define TM_CHECK_FOLD_H
#include "check/relation.h"
#include "check/rows.h"
#include "check/truth.h"

struct tm_fold { /* one object */
    const char *object;
    const struct tm_describe *describe;
    const struct tm_relation *relation; /* its fields are those of `rows` */
    struct tm_rows rows;
    bool *valued; /* by field of the describe: some version gave it a value */
    int *column;  /* by field of the describe: in rows; -1 */
};
/* Sets up one; the rest is borrowed. tm_fold_free is safe on a zeroed struct. */
enum tm_code tm_fold_open(struct tm_fold *out, const char *object,
                          const struct tm_describe *describe, const struct tm_relation *relation,
                          struct tm_err *err);
void tm_fold_free(struct tm_fold *f);
/* One pass over the log for all of them. TM_E_AGAIN: busy. */
enum tm_code tm_fold_history(struct tm_fold *all, size_t count, sqlite3 *org, uint64_t *out_changes,
                             struct tm_err *err);
#endif
