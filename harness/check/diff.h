/* diff: the final differences told with values: which field, what the org held, what was shown,
 * from which commit on. in: differences (check/match.h), the history, the warehouse's relations;
 * out: JSON rows, the first TM_DIFF_DETAILS_MAX with values, the others with their class only.
 * Reads org.db and the warehouse, read-only. */
#ifndef TM_CHECK_DIFF_H
#define TM_CHECK_DIFF_H
#include "check/match.h"
#include "check/reader.h"

/* differing records a pipeline told with their values; all are counted and listed */
#define TM_DIFF_DETAILS_MAX 200
/* [{"object", "id", "class", "flagged", "first_pos", "first_org_ms", "first_change", "fields":
 * [{"field", "expected", "shown"}]}]; shown values come from the relations of `views`, or from
 * `given` (id -> {field: value}); either may be NULL. */
enum tm_code tm_diff_json(json_t **out, struct tm_truth *truth, const struct tm_match *m,
                          const struct tm_shown *shown, struct tm_reader *views,
                          const json_t *given, struct tm_err *err);
#endif
