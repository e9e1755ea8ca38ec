/* rows: records by id, each with the hashes of its values: one side of a full comparison, some
 * 30 bytes a record and 8 a value. in: ids of 18 characters and hashes (check/vhash.h), in any
 * order, an id once or again; out: the row of an id. Pure. Owner: the caller; once tm_rows_index is
 * done, any number of threads may find at a time. */
#ifndef TM_CHECK_ROWS_H
#define TM_CHECK_ROWS_H
#include "base/err.h"
#include <stdint.h>

#define TM_ROWS_NONE UINT32_MAX
struct tm_rows {
    size_t width, count, cap;
    char (*ids)[20];  /* zeros behind the 18 */
    uint64_t *values; /* [count][width], row-major */
    uint8_t *flags;   /* [count], the owner's */
    uint32_t *slots;  /* NULL: not indexed */
    size_t slots_cap;
    bool sorted; /* ids grow: found without an index */
};
void tm_rows_init(struct tm_rows *r, size_t width);
void tm_rows_free(struct tm_rows *r);
/* One row more, of nulls; whether the id was there before is not looked at. */
enum tm_code tm_rows_add(struct tm_rows *r, const char id[20], uint32_t *out, struct tm_err *err);
/* The row of the id, or one more; keeps an index from the first call on. */
enum tm_code tm_rows_of(struct tm_rows *r, const char id[20], uint32_t *out, struct tm_err *err);
/* So that tm_rows_find may be asked; after the last tm_rows_add. */
enum tm_code tm_rows_index(struct tm_rows *r, struct tm_err *err);
/* hint: where it may be. TM_ROWS_NONE: no such id. Of several rows with the id, any. */
uint32_t tm_rows_find(const struct tm_rows *r, const char id[20], uint32_t hint);
uint64_t *tm_rows_values(const struct tm_rows *r, uint32_t row);
#endif
