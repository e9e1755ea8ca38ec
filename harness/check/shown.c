#include "check/shown.h"
#include "base/text.h"
#include "check/vhash.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum tm_code tm_shown_open(struct tm_shown **out, struct tm_err *err)
{
    struct tm_shown *s = calloc(1, sizeof *s);
    if (s == NULL)
        return tm_fail(err, TM_E_NOMEM, "shown: %zu bytes", sizeof *s);
    s->slots_cap = 1u << 12;
    s->slots = malloc(s->slots_cap * sizeof *s->slots);
    if (s->slots == NULL) {
        free(s);
        return tm_fail(err, TM_E_NOMEM, "shown: slots");
    }
    memset(s->slots, 0xff, s->slots_cap * sizeof *s->slots);
    *out = s;
    return TM_OK;
}

void tm_shown_close(struct tm_shown *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->objects_count; i++) {
        free(s->objects[i].columns);
        free(s->objects[i].names);
        free(s->objects[i].tolerances);
        free(s->objects[i].values);
    }
    free(s->rows);
    free(s->obs);
    free(s->deltas);
    free(s->stars);
    free(s->slots);
    free(s);
}

static enum tm_code shown_room(void **array, size_t *cap, size_t count, size_t bytes, size_t max,
                               struct tm_err *err)
{
    if (count < *cap)
        return TM_OK;
    size_t want = *cap == 0 ? 1024 : *cap + *cap / 2;
    if (want > max)
        want = max;
    if (count >= want)
        return tm_fail(err, TM_E_LIMIT, "shown: more than %zu elements", max);
    void *grown = realloc(*array, want * bytes);
    if (grown == NULL)
        return tm_fail(err, TM_E_NOMEM, "shown: %zu bytes", want * bytes);
    *array = grown;
    *cap = want;
    return TM_OK;
}

enum tm_code tm_shown_object(struct tm_shown *s, const char *name, int *out, struct tm_err *err)
{
    for (size_t i = 0; i < s->objects_count; i++)
        if (strcasecmp(s->objects[i].name, name) == 0) {
            *out = (int)i;
            return TM_OK;
        }
    if (s->objects_count == TM_SHOWN_OBJECTS_MAX || strlen(name) >= sizeof s->objects[0].name)
        return tm_fail(err, TM_E_LIMIT, "more than %d objects, or the name %.90s is too long",
                       TM_SHOWN_OBJECTS_MAX, name);
    strcpy(s->objects[s->objects_count].name, name);
    *out = (int)s->objects_count++;
    return TM_OK;
}

/* A wider or longer table of what is shown now; old columns and rows keep their values, new ones
 * are null. */
static enum tm_code shown_reshape(struct tm_shown_object *o, size_t width, size_t cap,
                                  struct tm_err *err)
{
    uint64_t *values = calloc(width * cap, sizeof *values);
    if (values == NULL)
        return tm_fail(err, TM_E_NOMEM, "shown: %zu rows of %s", cap, o->name);
    for (size_t r = 0; r < o->rows_count; r++)
        memcpy(values + r * width, o->values + r * o->width, o->columns_count * sizeof *values);
    free(o->values);
    o->values = values;
    o->width = width;
    o->rows_cap = cap;
    return TM_OK;
}

enum tm_code tm_shown_column(struct tm_shown *s, int object, const char *name, uint32_t *out,
                             struct tm_err *err)
{
    struct tm_shown_object *o = &s->objects[object];
    for (size_t i = 0; i < o->columns_count; i++)
        if (strcasecmp(o->columns[i], name) == 0) {
            *out = (uint32_t)i;
            return TM_OK;
        }
    if (o->columns_count == TM_SHOWN_COLUMNS_MAX || strlen(name) >= sizeof o->columns[0])
        return tm_fail(err, TM_E_LIMIT, "%s: too many columns, or the name %.90s is too long",
                       o->name, name);
    if (o->columns == NULL || o->columns_count == o->width) { /* rows may come before any column */
        size_t width = o->columns == NULL ? 32 : o->width + 16;
        void *columns = realloc(o->columns, width * sizeof *o->columns);
        if (columns == NULL)
            return tm_fail(err, TM_E_NOMEM, "shown: columns of %s", o->name);
        o->columns = columns;
        void *names = realloc(o->names, width * sizeof *o->names);
        if (names == NULL)
            return tm_fail(err, TM_E_NOMEM, "shown: columns of %s", o->name);
        o->names = names;
        enum tm_code rc = shown_reshape(o, width, o->rows_cap == 0 ? 256 : o->rows_cap, err);
        if (rc != TM_OK)
            return rc;
    }
    strcpy(o->columns[o->columns_count], name);
    o->names[o->columns_count] = tm_vhash_name(name);
    *out = (uint32_t)o->columns_count++;
    return TM_OK;
}

enum tm_code tm_shown_tolerance(struct tm_shown *s, int object, uint32_t column,
                                const struct tm_tolerance *tolerance, struct tm_err *err)
{
    struct tm_shown_object *o = &s->objects[object];
    assert(column < o->columns_count);
    if (o->tolerances == NULL)
        o->tolerances = calloc(TM_SHOWN_COLUMNS_MAX, sizeof *o->tolerances);
    if (o->tolerances == NULL)
        return tm_fail(err, TM_E_NOMEM, "shown: tolerances of %s", o->name);
    o->tolerances[column] = *tolerance;
    return TM_OK;
}

static size_t shown_slot(const struct tm_shown *s, int object, const char *id)
{
    size_t mask = s->slots_cap - 1;
    size_t i = (size_t)tm_hash64(id, strlen(id), (uint64_t)object) & mask;
    while (s->slots[i] != TM_SHOWN_NONE) {
        const struct tm_shown_row *r = &s->rows[s->slots[i]];
        if (r->object == object && strcmp(r->id, id) == 0)
            break;
        i = (i + 1) & mask;
    }
    return i;
}

uint32_t tm_shown_find(const struct tm_shown *s, int object, const char *id)
{
    return object < 0 ? TM_SHOWN_NONE : s->slots[shown_slot(s, object, id)];
}

static enum tm_code shown_slots_grow(struct tm_shown *s, struct tm_err *err)
{
    if (s->rows_count * 10 < s->slots_cap * 7)
        return TM_OK;
    uint32_t *slots = malloc(2 * s->slots_cap * sizeof *slots);
    if (slots == NULL)
        return tm_fail(err, TM_E_NOMEM, "shown: %zu slots", 2 * s->slots_cap);
    free(s->slots);
    s->slots = slots;
    s->slots_cap *= 2;
    memset(slots, 0xff, s->slots_cap * sizeof *slots);
    for (size_t r = 0; r < s->rows_count; r++)
        slots[shown_slot(s, s->rows[r].object, s->rows[r].id)] = (uint32_t)r;
    return TM_OK;
}

enum tm_code tm_shown_row(struct tm_shown *s, int object, const char *id, uint32_t *out,
                          struct tm_err *err)
{
    struct tm_shown_object *o = &s->objects[object];
    *out = tm_shown_find(s, object, id);
    if (*out != TM_SHOWN_NONE)
        return TM_OK;
    if (strlen(id) > 18)
        return tm_fail(err, TM_E_PROTO, "%s: the id \"%.30s\" is longer than 18 characters",
                       o->name, id);
    enum tm_code rc = shown_slots_grow(s, err);
    if (rc == TM_OK)
        rc = shown_room((void **)&s->rows, &s->rows_cap, s->rows_count, sizeof *s->rows,
                        TM_SHOWN_NONE - 1, err);
    if (rc == TM_OK && o->width == 0)
        rc = shown_reshape(o, 1, 256, err);
    if (rc == TM_OK && o->rows_count == o->rows_cap)
        rc = shown_reshape(o, o->width, o->rows_cap * 2, err);
    if (rc != TM_OK)
        return rc;
    struct tm_shown_row *r = &s->rows[s->rows_count];
    *r = (struct tm_shown_row){ .object = (uint8_t)object,
                                .local = (uint32_t)o->rows_count++,
                                .first = TM_SHOWN_NONE,
                                .last = TM_SHOWN_NONE };
    strcpy(r->id, id);
    *out = (uint32_t)s->rows_count++;
    s->slots[shown_slot(s, object, id)] = *out;
    return TM_OK;
}

const uint64_t *tm_shown_values(const struct tm_shown *s, uint32_t row)
{
    const struct tm_shown_row *r = &s->rows[row];
    const struct tm_shown_object *o = &s->objects[r->object];
    return o->values + (size_t)r->local * o->width;
}

static enum tm_code shown_deltas(struct tm_shown *s, struct tm_shown_row *r, const uint64_t *values,
                                 size_t count, uint16_t *out_count, struct tm_err *err)
{
    struct tm_shown_object *o = &s->objects[r->object];
    uint64_t *now = o->values + (size_t)r->local * o->width;
    assert(count <= o->columns_count);
    for (size_t c = 0; c < count; c++) {
        if (now[c] == values[c])
            continue;
        enum tm_code rc = shown_room((void **)&s->deltas, &s->deltas_cap, s->deltas_count,
                                     sizeof *s->deltas, TM_SHOWN_NONE - 1, err);
        if (rc != TM_OK)
            return rc;
        s->deltas[s->deltas_count++] =
            (struct tm_shown_delta){ .hash = values[c], .column = (uint32_t)c };
        r->hash ^= tm_vhash_mix(o->names[c], now[c]) ^ tm_vhash_mix(o->names[c], values[c]);
        now[c] = values[c];
        (*out_count)++;
    }
    return TM_OK;
}

enum tm_code tm_shown_set(struct tm_shown *s, uint32_t row, unsigned flags, const uint64_t *values,
                          size_t values_count, int64_t lo_ns, int64_t hi_ns, int64_t seq,
                          bool *out_changed, struct tm_err *err)
{
    struct tm_shown_row *r = &s->rows[row];
    size_t first = s->deltas_count;
    uint16_t count = 0;
    assert(lo_ns <= hi_ns && row < s->rows_count);
    if (out_changed != NULL)
        *out_changed = false;
    if ((flags & TM_SHOWN_PRESENT) != 0) {
        enum tm_code rc = shown_deltas(s, r, values, values_count, &count, err);
        if (rc != TM_OK)
            return rc;
    }
    r->seq = seq > r->seq ? seq : r->seq;
    if (count == 0 && r->flags == flags)
        return TM_OK;
    enum tm_code rc = shown_room((void **)&s->obs, &s->obs_cap, s->obs_count, sizeof *s->obs,
                                 TM_SHOWN_OBS_MAX, err);
    if (rc != TM_OK)
        return rc;
    s->obs[s->obs_count] = (struct tm_shown_obs){ .lo_ns = lo_ns,
                                                  .hi_ns = hi_ns,
                                                  .seq = seq,
                                                  .row = row,
                                                  .next = TM_SHOWN_NONE,
                                                  .delta_first = (uint32_t)first,
                                                  .read = s->reads,
                                                  .delta_count = count,
                                                  .flags = (uint8_t)flags };
    if (r->last == TM_SHOWN_NONE)
        r->first = (uint32_t)s->obs_count;
    else
        s->obs[r->last].next = (uint32_t)s->obs_count;
    r->last = (uint32_t)s->obs_count++;
    r->flags = (uint8_t)flags;
    if (out_changed != NULL)
        *out_changed = true;
    return TM_OK;
}

enum tm_code tm_shown_star(struct tm_shown *s, int object, bool stands, int64_t now_ns,
                           struct tm_err *err)
{
    size_t i = s->stars_count;
    while (i > 0 && (s->stars[i - 1].object != object || s->stars[i - 1].until_ns != INT64_MAX))
        i--;
    if (stands == (i > 0))
        return TM_OK;
    if (!stands) {
        s->stars[i - 1].until_ns = now_ns;
        return TM_OK;
    }
    enum tm_code rc = shown_room((void **)&s->stars, &s->stars_cap, s->stars_count,
                                 sizeof *s->stars, TM_SHOWN_OBS_MAX, err);
    if (rc == TM_OK)
        s->stars[s->stars_count++] = (struct tm_shown_star){ now_ns, INT64_MAX, object };
    return rc;
}
