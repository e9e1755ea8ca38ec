/* compare_inner: what compare.c (threads, ranges) and compare_rows.c (rows, fields) share. Nobody
 * else includes it. */
#ifndef TM_CHECK_COMPARE_INNER_H
#define TM_CHECK_COMPARE_INNER_H
#include "check/compare.h"

struct compare_range { /* one range of ids, by one thread */
    struct tm_rows *held;
    struct tm_relation *shown;
    struct tm_compare *out;
    /* two relations: index in the held one's values of each field of the shown one; -1: not there.
     * NULL: as the shown one's */
    const int *from;
    uint64_t values[TM_SHOWN_COLUMNS_MAX];
};
/* The fields of a comparison are those of the relation. */
enum tm_code compare_fields(struct tm_compare *c, const struct tm_relation *shown,
                            struct tm_err *err);
/* Every row of the range against those held. */
enum tm_code compare_shown(struct compare_range *r, struct tm_err *err);
/* What is held and was not seen. */
enum tm_code compare_missing(struct tm_compare *out, const struct tm_rows *held,
                             struct tm_err *err);
/* Adds another range's result. */
enum tm_code compare_add(struct tm_compare *to, const struct tm_compare *from, struct tm_err *err);
#endif
