/* merge_shown: what the parts saw, on the org's clock, as one copy that was looked at. */
#include "check/merge_inner.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum tm_code merge_offset_at(const struct merge_work *w, struct merge_part *p,
                             struct tm_clock_offset *out, int64_t at_ns, struct tm_err *err)
{
    if (tm_clock_offset_at(out, p->clocks, p->clocks_count, at_ns, err) != TM_OK)
        return tm_at(err, "%s", p->folder);
    if (out->bound_ns > w->args->bound_ns_max)
        return tm_fail(err, TM_E_ARG,
                       "%s: how its clock stood to the org's is known to +-%.1f ms only, %.1f ms "
                       "are allowed: latencies would say nothing; a better network, or a larger "
                       "--clock-bound-ms",
                       p->folder, (double)out->bound_ns / 1e6, (double)w->args->bound_ns_max / 1e6);
    if (out->bound_ns > p->bound_ns_max)
        p->bound_ns_max = out->bound_ns;
    return TM_OK;
}

static bool shown_owned(const struct merge_work *w, size_t part, uint32_t row)
{
    const struct merge_part *p = &w->parts[part];
    return w->owners[p->reader->shown->rows[row].object].part[p->partitions[row]] == part;
}

/* The part's next observation of a record that is its own, from p->obs on, its interval widened by
 * what the clock leaves open. In the part's own order: a bound that shrinks must not turn it round.
 */
static enum tm_code shown_next(struct merge_work *w, size_t part, struct tm_err *err)
{
    struct merge_part *p = &w->parts[part];
    const struct tm_shown *s = p->reader->shown;
    struct tm_clock_offset lo, hi;
    while (p->obs < s->obs_count && !shown_owned(w, part, s->obs[p->obs].row))
        p->obs++;
    if (p->obs == s->obs_count)
        return TM_OK;
    const struct tm_shown_obs *o = &s->obs[p->obs];
    enum tm_code rc = merge_offset_at(w, p, &lo, o->lo_ns, err);
    if (rc == TM_OK)
        rc = merge_offset_at(w, p, &hi, o->hi_ns, err);
    if (rc != TM_OK)
        return rc;
    int64_t hi_ns = o->hi_ns + hi.offset_ns + hi.bound_ns;
    p->lo_ns = o->lo_ns + lo.offset_ns - lo.bound_ns;
    p->hi_ns = hi_ns > p->hi_ns ? hi_ns : p->hi_ns;
    return TM_OK;
}

/* Columns go by name. */
static enum tm_code shown_columns(struct merge_part *p, struct tm_shown *s, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t o = 0; rc == TM_OK && o < p->objects_count; o++) {
        const struct tm_shown_object *of = &p->reader->shown->objects[o];
        uint32_t *columns = calloc(of->columns_count + 1, sizeof *columns);
        if (columns == NULL)
            return tm_fail(err, TM_E_NOMEM, "columns of %s", of->name);
        p->objects[o].columns = columns;
        for (size_t c = 0; rc == TM_OK && c < of->columns_count; c++)
            rc = tm_shown_column(s, (int)o, of->columns[c], &columns[c], err);
    }
    return rc;
}

/* The part's observation at hand, as what the copy shows from then on. */
static enum tm_code shown_take(struct merge_part *p, struct tm_shown *s, struct tm_err *err)
{
    const struct tm_shown *from = p->reader->shown;
    const struct tm_shown_obs *o = &from->obs[p->obs];
    const struct tm_shown_row *r = &from->rows[o->row];
    uint64_t values[TM_SHOWN_COLUMNS_MAX] = { 0 };
    size_t columns = s->objects[r->object].columns_count;
    uint32_t row;
    enum tm_code rc = tm_shown_row(s, r->object, r->id, &row, err);
    if (rc != TM_OK)
        return rc;
    memcpy(values, tm_shown_values(s, row), columns * sizeof *values);
    for (size_t d = o->delta_first; d < (size_t)o->delta_first + o->delta_count; d++)
        values[p->objects[r->object].columns[from->deltas[d].column]] = from->deltas[d].hash;
    return tm_shown_set(s, row, o->flags, values, columns, p->lo_ns, p->hi_ns, o->seq, NULL, err);
}

/* Records by their owners, and each in one partition wherever it stands. */
static enum tm_code shown_rows(struct merge_work *w, size_t part, struct tm_shown *s,
                               struct tm_err *err)
{
    struct merge_part *p = &w->parts[part];
    enum tm_code rc = TM_OK;
    for (uint32_t n = 0; rc == TM_OK && n < p->reader->shown->rows_count; n++) {
        const struct tm_shown_row *r = &p->reader->shown->rows[n];
        int32_t partition = p->partitions[n];
        uint32_t row;
        if (partition < 0 || partition >= w->owners[r->object].count)
            return tm_fail(err, TM_E_ARG,
                           "%s: %s %s %s: partitions say nothing of it. Topics whose records are "
                           "not keyed by their id, or hold several ids (merged.events=keep), "
                           "cannot be shared out",
                           p->folder, p->objects[r->object].name, r->id,
                           partition == MERGE_NOWHERE   ? "has no raw row of its own"
                           : partition == MERGE_SEVERAL ? "lies in several partitions"
                                                        : "lies in a partition that is not");
        if (!shown_owned(w, part, n))
            continue;
        if (tm_shown_find(s, r->object, r->id) != TM_SHOWN_NONE)
            return tm_fail(err, TM_E_ARG,
                           "%s: %s %s lies in partition %d here, and in another one in a folder "
                           "before it",
                           p->folder, p->objects[r->object].name, r->id, (int)partition);
        rc = tm_shown_row(s, r->object, r->id, &row, err);
        p->records++;
    }
    return rc;
}

/* ---- whole objects in doubt ---- */

struct shown_star {
    int64_t at_ns;
    int object, by; /* +1: one more part says so, -1: one less */
};

static int shown_star_order(const void *a, const void *b)
{
    const struct shown_star *x = a, *y = b;
    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    return y->by - x->by;
}

static bool shown_owns(const struct merge_work *w, size_t part, int object)
{
    for (int32_t i = 0; i < w->owners[object].count; i++)
        if (w->owners[object].part[i] == part)
            return true;
    return false;
}

static enum tm_code shown_stars_of(struct merge_work *w, size_t part, struct shown_star **all,
                                   size_t *count, struct tm_err *err)
{
    struct merge_part *p = &w->parts[part];
    const struct tm_shown *s = p->reader->shown;
    enum tm_code rc = TM_OK;
    struct shown_star *more = realloc(*all, (*count + 2 * s->stars_count + 1) * sizeof **all);
    if (more == NULL)
        return tm_fail(err, TM_E_NOMEM, "%s: stars", p->folder);
    *all = more;
    for (size_t i = 0; i < s->stars_count; i++) {
        const int64_t at_ns[] = { s->stars[i].from_ns, s->stars[i].until_ns };
        if (!shown_owns(w, part, s->stars[i].object))
            continue;
        for (int k = 0; rc == TM_OK && k < 2 && at_ns[k] != INT64_MAX; k++) {
            struct tm_clock_offset offset;
            rc = merge_offset_at(w, p, &offset, at_ns[k], err);
            if (rc == TM_OK)
                (*all)[(*count)++] =
                    (struct shown_star){ at_ns[k] + offset.offset_ns + offset.bound_ns,
                                         s->stars[i].object, k == 0 ? 1 : -1 };
        }
    }
    return rc;
}

static enum tm_code shown_stars(struct merge_work *w, struct tm_shown *s, struct tm_err *err)
{
    struct shown_star *all = NULL;
    size_t count = 0;
    int standing[TM_SHOWN_OBJECTS_MAX] = { 0 };
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < w->parts_count; i++)
        rc = shown_stars_of(w, i, &all, &count, err);
    if (rc == TM_OK && count > 0)
        qsort(all, count, sizeof *all, shown_star_order);
    for (size_t i = 0; rc == TM_OK && i < count; i++) {
        standing[all[i].object] += all[i].by;
        rc = tm_shown_star(s, all[i].object, standing[all[i].object] > 0, all[i].at_ns, err);
    }
    free(all);
    return rc;
}

enum tm_code merge_shown(struct merge_work *w, struct tm_shown *s, struct tm_err *err)
{
    size_t last = SIZE_MAX;
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < w->parts_count; i++)
        rc = shown_columns(&w->parts[i], s, err);
    for (size_t i = 0; rc == TM_OK && i < w->parts_count; i++) {
        w->parts[i].hi_ns = INT64_MIN;
        rc = shown_rows(w, i, s, err);
        if (rc == TM_OK)
            rc = shown_next(w, i, err);
    }
    while (rc == TM_OK) {
        size_t first = SIZE_MAX;
        for (size_t i = 0; i < w->parts_count; i++)
            if (w->parts[i].obs < w->parts[i].reader->shown->obs_count &&
                (first == SIZE_MAX || w->parts[i].hi_ns < w->parts[first].hi_ns))
                first = i;
        if (first == SIZE_MAX)
            break;
        struct merge_part *p = &w->parts[first];
        uint32_t read = p->reader->shown->obs[p->obs].read;
        if (first != last || read != p->read_before)
            s->reads++; /* two hosts are never read by one transaction */
        last = first;
        p->read_before = read;
        rc = shown_take(p, s, err);
        p->obs++;
        if (rc == TM_OK)
            rc = shown_next(w, first, err);
    }
    return rc == TM_OK ? shown_stars(w, s, err) : rc;
}
