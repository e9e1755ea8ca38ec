#include "check/compare_inner.h"
#include "check/vhash.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tm_compare_close(struct tm_compare *c)
{
    if (c == NULL)
        return;
    free(c->rows);
    free(c->values);
    free(c->names);
    free(c->kinds);
    free(c->fields);
    free(c);
}

enum tm_code compare_fields(struct tm_compare *c, const struct tm_relation *shown,
                            struct tm_err *err)
{
    size_t count = shown->fields_count;
    c->names = calloc(count + 1, sizeof *c->names);
    c->kinds = calloc(count + 1, sizeof *c->kinds);
    c->fields = calloc(count + 1, sizeof *c->fields);
    if (c->names == NULL || c->kinds == NULL || c->fields == NULL)
        return tm_fail(err, TM_E_NOMEM, "comparing %zu fields", count);
    c->fields_count = count;
    for (size_t i = 0; i < count; i++) {
        snprintf(c->names[i], sizeof c->names[i], "%.79s", shown->fields[i]);
        c->kinds[i] = shown->kinds[i];
    }
    return TM_OK;
}

static enum tm_code compare_room(void **array, size_t *cap, size_t count, size_t bytes,
                                 struct tm_err *err)
{
    size_t want = *cap + *cap / 2 + 64;
    if (count < *cap)
        return TM_OK;
    if (want >= TM_ROWS_NONE)
        return tm_fail(err, TM_E_LIMIT, "more than %zu rows differ", count);
    void *grown = realloc(*array, want * bytes);
    if (grown == NULL)
        return tm_fail(err, TM_E_NOMEM, "%zu rows that differ", want);
    *array = grown;
    *cap = want;
    return TM_OK;
}

/* values NULL: the row is missing. */
static enum tm_code compare_note(struct tm_compare *c, const char id[20], enum tm_compare_kind kind,
                                 bool dirty, const uint64_t *values, struct tm_err *err)
{
    size_t width = (c->fields_count + 1) * sizeof *c->values;
    enum tm_code rc =
        compare_room((void **)&c->rows, &c->rows_cap, c->rows_count, sizeof *c->rows, err);
    if (rc == TM_OK && values != NULL)
        rc = compare_room((void **)&c->values, &c->values_cap, c->values_count, width, err);
    if (rc != TM_OK)
        return rc;
    struct tm_compare_row *row = &c->rows[c->rows_count++];
    *row = (struct tm_compare_row){ .kind = (uint8_t)kind, .dirty = dirty };
    memcpy(row->id, id, 20);
    c->missing += kind == TM_COMPARE_MISSING;
    c->extra += kind == TM_COMPARE_EXTRA;
    c->differing += kind == TM_COMPARE_DIFFERS;
    if (values == NULL)
        return TM_OK;
    row->values = (uint32_t)c->values_count;
    memcpy(c->values + c->values_count++ * c->fields_count, values,
           c->fields_count * sizeof *values);
    return TM_OK;
}

/* One field that differs. */
static void compare_field(struct compare_range *r, size_t i, uint64_t held, uint64_t shown)
{
    struct tm_compare_field *f = &r->out->fields[i];
    enum tm_field_kind kind = r->out->kinds[i];
    double x, y;
    f->differing++;
    if (shown == TM_VHASH_NULL) {
        f->lost++;
    } else if (held == TM_VHASH_NULL) {
        f->extra++;
    } else if ((kind == TM_FIELD_DATETIME || kind == TM_FIELD_NUMBER || kind == TM_FIELD_INT) &&
               tm_vhash_number(&x, held) && tm_vhash_number(&y, shown) && isfinite(x) &&
               isfinite(y)) {
        f->near++;
        f->near_max = fmax(f->near_max, fabs(x - y));
    } else if (kind == TM_FIELD_TEXT && tm_relation_trimmed(r->shown, i) == held) {
        f->blanks++;
    } else {
        f->other++;
    }
}

static bool compare_values(struct compare_range *r, const uint64_t *held)
{
    bool same = true;
    if (r->from == NULL &&
        memcmp(held, r->values, r->shown->fields_count * sizeof *held) == 0) /* nearly always */
        return true;
    for (size_t i = 0; i < r->shown->fields_count; i++) {
        int at = r->from != NULL ? r->from[i] : (int)i;
        if (at < 0 || held[at] == r->values[i] ||
            tm_tolerance_same(&r->shown->tolerances[i], held[at], r->values[i]))
            continue;
        compare_field(r, i, held[at], r->values[i]);
        same = false;
    }
    return same;
}

static enum tm_code compare_one(struct compare_range *r, const struct tm_relation_row *row,
                                uint32_t *hint, struct tm_err *err)
{
    struct tm_compare *c = r->out;
    uint32_t at = tm_rows_find(r->held, row->id, *hint);
    c->shown++;
    c->dirty += row->dirty;
    if (at == TM_ROWS_NONE)
        return compare_note(c, row->id, TM_COMPARE_EXTRA, row->dirty, r->values, err);
    *hint = at + 1;
    if ((r->held->flags[at] & TM_COMPARE_SEEN) != 0) {
        if (c->duplicates++ == 0)
            memcpy(c->duplicate, row->id, 20);
        return TM_OK;
    }
    r->held->flags[at] |= TM_COMPARE_SEEN;
    if ((r->held->flags[at] & TM_COMPARE_GONE) != 0)
        return compare_note(c, row->id, TM_COMPARE_EXTRA, row->dirty, r->values, err);
    if (compare_values(r, tm_rows_values(r->held, at)))
        return TM_OK;
    return compare_note(c, row->id, TM_COMPARE_DIFFERS, row->dirty, r->values, err);
}

enum tm_code compare_shown(struct compare_range *r, struct tm_err *err)
{
    struct tm_relation_row row;
    enum tm_code rc;
    bool more = false;
    uint32_t hint = 0;
    do {
        const char *expected = hint < r->held->count ? r->held->ids[hint] : NULL;
        rc = tm_relation_step(r->shown, &more, &row, r->values, expected, err);
        if (rc == TM_OK && more)
            rc = compare_one(r, &row, &hint, err);
    } while (rc == TM_OK && more);
    return rc;
}

enum tm_code compare_missing(struct tm_compare *out, const struct tm_rows *held, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < held->count; i++)
        if ((held->flags[i] & (TM_COMPARE_SEEN | TM_COMPARE_GONE)) == 0)
            rc = compare_note(out, held->ids[i], TM_COMPARE_MISSING, false, NULL, err);
    return rc;
}

enum tm_code compare_add(struct tm_compare *to, const struct tm_compare *from, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    assert(to->fields_count == from->fields_count);
    for (size_t i = 0; rc == TM_OK && i < from->rows_count; i++) {
        const struct tm_compare_row *row = &from->rows[i];
        const uint64_t *values = row->kind == TM_COMPARE_MISSING
                                     ? NULL
                                     : from->values + (size_t)row->values * from->fields_count;
        rc = compare_note(to, row->id, (enum tm_compare_kind)row->kind, row->dirty, values, err);
    }
    for (size_t i = 0; i < from->fields_count; i++) {
        struct tm_compare_field *a = &to->fields[i];
        const struct tm_compare_field *b = &from->fields[i];
        a->differing += b->differing;
        a->lost += b->lost;
        a->extra += b->extra;
        a->near += b->near;
        a->blanks += b->blanks;
        a->other += b->other;
        a->near_max = fmax(a->near_max, b->near_max);
    }
    to->shown += from->shown;
    to->dirty += from->dirty;
    if (to->duplicates == 0)
        memcpy(to->duplicate, from->duplicate, sizeof to->duplicate);
    to->duplicates += from->duplicates;
    return rc;
}

/* Where one kind of difference is all of it, and small: what would cover it. */
static json_t *compare_suggest(const struct tm_compare_field *f, enum tm_field_kind kind)
{
    static const struct {
        double ms;
        const char *word;
    } times[] = { { 1, "1ms" }, { 1e3, "1s" }, { 6e4, "1m" } };
    if (f->differing > 0 && f->blanks == f->differing)
        return json_string("trim");
    if (f->differing == 0 || f->near != f->differing)
        return NULL;
    for (size_t i = 0; kind == TM_FIELD_DATETIME && i < sizeof times / sizeof times[0]; i++)
        if (f->near_max <= times[i].ms)
            return json_string(times[i].word);
    for (int scale = 8; kind == TM_FIELD_NUMBER && scale >= 0; scale--)
        if (f->near_max < pow(10, -scale) * (1 - 1e-9))
            return json_pack("{s:i}", "scale", scale);
    return NULL;
}

json_t *tm_compare_field_json(const struct tm_compare *c, size_t field)
{
    const struct tm_compare_field *f = &c->fields[field];
    json_t *out =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "differing", (json_int_t)f->differing, "lost",
                  (json_int_t)f->lost, "extra", (json_int_t)f->extra, "near", (json_int_t)f->near,
                  "blanks", (json_int_t)f->blanks, "other", (json_int_t)f->other);
    if (f->near > 0)
        json_object_set_new(out, c->kinds[field] == TM_FIELD_DATETIME ? "near_max_ms" : "near_max",
                            json_real(f->near_max));
    json_t *tolerance = compare_suggest(f, c->kinds[field]);
    if (tolerance != NULL)
        json_object_set_new(out, "tolerance", tolerance);
    return out;
}
