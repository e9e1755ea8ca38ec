/* after: the verdict on a finished warehouse, any warehouse that was fed from the org (design
 * section 10). in: org.db, a SQLite file, a relations map
 *     {"Opportunity": {"query": "SELECT …", "columns": {"Amount": "amount_usd"}, "tolerances":
 * {"LastModifiedDate": "1s"}}} query: one row a record; must give Id (or the column `columns` maps
 * it to), may give _dirty. columns: field -> column of the query, where they differ. tolerances:
 * "500ms", "1s", "2m", "1h", "1d" for datetimes, a number for numbers. Values may come as text:
 * datetimes as ISO 8601 or epoch ms, booleans as true/false, ids with 15 characters. out: a table
 * or JSON on `out`; exit 0 equal, 1 different, 2 nothing to compare
 * (no object has a record on either side, or one gives no field). User SQL runs read-only under
 * an authorizer with a progress limit. A user's mistake is TM_E_ARG naming map, object
 * and column. */
#ifndef TM_CHECK_AFTER_H
#define TM_CHECK_AFTER_H
#include "base/err.h"
#include <stdio.h>

struct tm_after_args {
    const char *org, *warehouse, *relations;
    bool json;
    int steps_max; /* of SQLite's virtual machine for all queries, in millions; 0 =
                      TM_AFTER_STEPS_MAX */
};
#define TM_AFTER_STEPS_MAX 5000 /* about a minute of one core */
enum tm_code tm_after_check(const struct tm_after_args *args, FILE *out, int *out_exit,
                            struct tm_err *err);
#endif
