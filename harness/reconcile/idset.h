/* idset: a set of 18-character record ids that numbers its members 0, 1, 2 … in the order they
 * came. Pure; grows on the heap up to the maximum it was told. The caller owns the struct; zeroed
 * and free are safe. */
#ifndef TM_RECONCILE_IDSET_H
#define TM_RECONCILE_IDSET_H
#include "base/text.h"
#include <stddef.h>

struct tm_idset {
    char (*ids)[TM_ID_BYTES];
    size_t count, cap, max;
    uint32_t *slots;
    size_t slots_count; /* index + 1; 0 = free; a power of two */
};
void tm_idset_init(struct tm_idset *s, size_t max);
void tm_idset_free(struct tm_idset *s);
/* `id` has 18 characters. *out_index = its number, *out_new = it was not there. TM_E_LIMIT when
 * full: set unchanged. */
enum tm_code tm_idset_add(struct tm_idset *s, const char *id, size_t *out_index, bool *out_new,
                          struct tm_err *err);
bool tm_idset_find(const struct tm_idset *s, const char *id, size_t *out_index);
#endif
