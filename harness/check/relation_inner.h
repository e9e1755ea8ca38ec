/* relation_inner: what relation.c (queries) and relation_cut.c (ranges of them) share. Nobody else
 * includes it. */
#ifndef TM_CHECK_RELATION_INNER_H
#define TM_CHECK_RELATION_INNER_H
#include "check/relation.h"

struct relation_rows {      /* which of the query's rows; all NULL: all */
    const char *low, *high; /* low <= Id < high */
    const json_t *ids;
    bool explain; /* instead of rows: how SQLite would find those of a range */
};
enum tm_code relation_open(struct tm_relation **out, const struct tm_relation_spec *spec,
                           struct tm_warehouse *w, const struct relation_rows *rows,
                           struct tm_err *err);
#endif
