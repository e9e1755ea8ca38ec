#include "reconcile/idset.h"
#include <stdlib.h>
#include <string.h>

void tm_idset_init(struct tm_idset *s, size_t max)
{
    memset(s, 0, sizeof *s);
    s->max = max;
}

void tm_idset_free(struct tm_idset *s)
{
    free(s->ids);
    free(s->slots);
    tm_idset_init(s, s->max);
}

/* The slot of `id`: where it is, or where it would go. */
static size_t idset_slot(const struct tm_idset *s, const char *id)
{
    size_t at = (size_t)tm_hash64(id, TM_ID_BYTES - 1, 17) & (s->slots_count - 1);
    while (s->slots[at] != 0 && memcmp(s->ids[s->slots[at] - 1], id, TM_ID_BYTES - 1) != 0)
        at = (at + 1) & (s->slots_count - 1);
    return at;
}

static enum tm_code idset_grow(struct tm_idset *s, struct tm_err *err)
{
    size_t cap = s->cap > 0 ? s->cap * 2 : 64;
    char(*ids)[TM_ID_BYTES] = realloc(s->ids, cap * sizeof *ids);
    if (ids != NULL)
        s->ids = ids;
    uint32_t *slots = calloc(cap * 2, sizeof *slots);
    if (ids == NULL || slots == NULL) {
        free(slots);
        return tm_fail(err, TM_E_NOMEM, "set of %zu ids", cap);
    }
    free(s->slots);
    s->slots = slots;
    s->slots_count = cap * 2;
    s->cap = cap;
    for (size_t i = 0; i < s->count; i++)
        s->slots[idset_slot(s, s->ids[i])] = (uint32_t)i + 1;
    return TM_OK;
}

bool tm_idset_find(const struct tm_idset *s, const char *id, size_t *out_index)
{
    if (s->slots_count == 0 || strlen(id) != TM_ID_BYTES - 1)
        return false;
    size_t at = idset_slot(s, id);
    if (s->slots[at] == 0)
        return false;
    *out_index = s->slots[at] - 1;
    return true;
}

enum tm_code tm_idset_add(struct tm_idset *s, const char *id, size_t *out_index, bool *out_new,
                          struct tm_err *err)
{
    *out_new = !tm_idset_find(s, id, out_index);
    if (!*out_new)
        return TM_OK;
    if (s->count >= s->max)
        return tm_fail(err, TM_E_LIMIT, "more than %zu record ids at once", s->max);
    if (s->count == s->cap && idset_grow(s, err) != TM_OK)
        return TM_E_NOMEM;
    memcpy(s->ids[s->count], id, TM_ID_BYTES - 1);
    s->ids[s->count][TM_ID_BYTES - 1] = '\0';
    s->slots[idset_slot(s, id)] = (uint32_t)s->count + 1;
    *out_index = s->count++;
    return TM_OK;
}
