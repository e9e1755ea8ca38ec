/* compare: two keyed copies of any size, row by row and field by field: which rows one side lacks,
 * which fields differ, and how. in: a user's relation (check/relation.h) against rows in memory
 * (what the org holds: check/fold.h), or against another relation; out: every row that differs with
 * the hashes it shows, and per field a tally of how they differ:
 *
 *   lost     null, where the other side has a value      extra   a value, where the other has null
 *   near     two numbers or two instants; the greatest distance is kept
 *   blanks   texts that are one but for blanks before and behind
 *   other    anything else
 *
 * Values are compared within the relation's declared tolerances. Each side is read once, in one
 * read transaction; where an index finds ranges of ids, several threads take a range at a time,
 * each on a connection of its own, all of one and the same snapshot. Memory: by records, not by
 * changes; of two relations, by the records of a range. Reads only. Owner of the result: the
 * caller. */
#ifndef TM_CHECK_COMPARE_H
#define TM_CHECK_COMPARE_H
#include "check/relation.h"
#include "check/rows.h"

#define TM_COMPARE_THREADS_MAX 16
enum {                      /* flags of rows in memory */
       TM_COMPARE_GONE = 1, /* deleted: there should be no row */
       TM_COMPARE_SEEN = 2  /* set here: the relation returned it */
};
enum tm_compare_kind { TM_COMPARE_MISSING, TM_COMPARE_EXTRA, TM_COMPARE_DIFFERS };
struct tm_compare_field {
    uint64_t differing, lost, extra, near, blanks, other;
    double near_max; /* ms of instants */
};
struct tm_compare_row {
    char id[20];
    uint8_t kind; /* enum tm_compare_kind */
    bool dirty;
    uint32_t values; /* of what is shown: index in `values`, in rows; unless missing */
};
struct tm_compare {
    struct tm_compare_row *rows; /* those that differ */
    size_t rows_count, rows_cap;
    uint64_t *values; /* [values_count][fields_count] */
    size_t values_count, values_cap;
    char (*names)[80]; /* of the fields compared, as the relation orders them */
    enum tm_field_kind *kinds;
    struct tm_compare_field *fields; /* [fields_count] */
    size_t fields_count;
    uint64_t shown, dirty,
        duplicates; /* rows of the relation; flagged; with an id that came before */
    uint64_t missing, extra, differing;
    char duplicate[20];
    size_t threads, ranges; /* that were used */
};
struct tm_compare_side { /* a relation and where it is */
    const struct tm_relation_spec *spec;
    const char *path;
};
struct tm_compare_how {
    size_t threads; /* at most; 0 = 1 */
    int steps_max;  /* tm_warehouse_open */
};
/* `held`: in the order of the relation's own fields (tm_relation.fields); its flags are changed. */
enum tm_code tm_compare_rows(struct tm_compare **out, struct tm_rows *held,
                             const struct tm_compare_side *shown, const struct tm_compare_how *how,
                             struct tm_err *err);
/* Fields that only one of the two gives are not compared. */
enum tm_code tm_compare_relations(struct tm_compare **out, const struct tm_compare_side *held,
                                  const struct tm_compare_side *shown,
                                  const struct tm_compare_how *how, struct tm_err *err);
void tm_compare_close(struct tm_compare *c); /* NULL-safe */
/* "lost" …, with a suggestion where a declared tolerance would cover all of it; caller owns. */
json_t *tm_compare_field_json(const struct tm_compare *c, size_t field);
#endif
