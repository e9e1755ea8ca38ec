#include "check/rows.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define ROWS_SLOTS_FIRST 1024u

void tm_rows_init(struct tm_rows *r, size_t width)
{
    *r = (struct tm_rows){ .width = width, .sorted = true };
}

void tm_rows_free(struct tm_rows *r)
{
    free(r->ids);
    free(r->values);
    free(r->flags);
    free(r->slots);
    tm_rows_init(r, r->width);
}

uint64_t *tm_rows_values(const struct tm_rows *r, uint32_t row)
{
    assert(row < r->count);
    return r->values + (size_t)row * r->width;
}

static enum tm_code rows_grow(struct tm_rows *r, struct tm_err *err)
{
    size_t cap = r->cap == 0 ? 1024 : r->cap + r->cap / 2;
    if (r->count < r->cap)
        return TM_OK;
    if (cap >= TM_ROWS_NONE)
        return tm_fail(err, TM_E_LIMIT, "more than %zu records", r->count);
    void *ids = realloc(r->ids, cap * sizeof *r->ids);
    r->ids = ids != NULL ? ids : r->ids;
    void *values = realloc(r->values, cap * (r->width + 1) * sizeof *r->values);
    r->values = values != NULL ? values : r->values;
    void *flags = realloc(r->flags, cap);
    r->flags = flags != NULL ? flags : r->flags;
    if (ids == NULL || values == NULL || flags == NULL)
        return tm_fail(err, TM_E_NOMEM, "%zu records", cap);
    r->cap = cap;
    return TM_OK;
}

enum tm_code tm_rows_add(struct tm_rows *r, const char id[20], uint32_t *out, struct tm_err *err)
{
    enum tm_code rc = rows_grow(r, err);
    if (rc != TM_OK)
        return rc;
    r->sorted = r->sorted && (r->count == 0 || memcmp(r->ids[r->count - 1], id, 20) < 0);
    *out = (uint32_t)r->count++;
    memcpy(r->ids[*out], id, 20);
    memset(tm_rows_values(r, *out), 0, r->width * sizeof *r->values);
    r->flags[*out] = 0;
    return TM_OK;
}

/* Where the id is, or the free slot where it would be. */
static size_t rows_slot(const struct tm_rows *r, const char id[20])
{
    size_t mask = r->slots_cap - 1, i = (size_t)XXH3_64bits(id, 20) & mask;
    while (r->slots[i] != TM_ROWS_NONE && memcmp(r->ids[r->slots[i]], id, 20) != 0)
        i = (i + 1) & mask;
    return i;
}

static enum tm_code rows_slots(struct tm_rows *r, struct tm_err *err)
{
    size_t cap = r->slots_cap == 0 ? ROWS_SLOTS_FIRST : r->slots_cap;
    if (r->slots != NULL && (r->count + 1) * 10 < r->slots_cap * 7)
        return TM_OK;
    while ((r->count + 1) * 10 >= cap * 7)
        cap *= 2;
    uint32_t *slots = malloc(cap * sizeof *slots);
    if (slots == NULL)
        return tm_fail(err, TM_E_NOMEM, "an index of %zu records", r->count);
    free(r->slots);
    r->slots = slots;
    r->slots_cap = cap;
    memset(slots, 0xff, cap * sizeof *slots);
    for (size_t i = 0; i < r->count; i++)
        slots[rows_slot(r, r->ids[i])] = (uint32_t)i;
    return TM_OK;
}

enum tm_code tm_rows_of(struct tm_rows *r, const char id[20], uint32_t *out, struct tm_err *err)
{
    enum tm_code rc = rows_slots(r, err);
    if (rc != TM_OK)
        return rc;
    size_t slot = rows_slot(r, id);
    *out = r->slots[slot];
    if (*out != TM_ROWS_NONE)
        return TM_OK;
    rc = tm_rows_add(r, id, out, err);
    if (rc == TM_OK)
        r->slots[slot] = *out;
    return rc;
}

enum tm_code tm_rows_index(struct tm_rows *r, struct tm_err *err)
{
    return r->sorted ? TM_OK : rows_slots(r, err);
}

uint32_t tm_rows_find(const struct tm_rows *r, const char id[20], uint32_t hint)
{
    size_t first = 0, end = r->count;
    if (hint < r->count && memcmp(r->ids[hint], id, 20) == 0)
        return hint;
    if (r->slots != NULL)
        return r->count == 0 ? TM_ROWS_NONE : r->slots[rows_slot(r, id)];
    assert(r->sorted);
    while (first < end) {
        size_t middle = (first + end) / 2;
        int order = memcmp(r->ids[middle], id, 20);
        if (order == 0)
            return (uint32_t)middle;
        if (order < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return TM_ROWS_NONE;
}
