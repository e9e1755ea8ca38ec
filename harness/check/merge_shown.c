/* merge_shown: what the parts saw, on the org's clock, as one copy that was looked at. */
#include "check/merge_inner.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_DELTA_BYTES 12

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

static const struct merge_owners *shown_owners(const struct merge_work *w,
                                               const struct merge_row *r)
{
    return &w->owners[r->object];
}

static enum tm_code shown_broken(const struct merge_part *p, const char *what, struct tm_err *err)
{
    return tm_fail(err, TM_E_ARG, "%s: %s", p->path, what);
}

/* The part's next observation of a record that is its own, its interval widened by what the clock
 * leaves open. In the part's own order: a bound that shrinks must not turn it round. */
static enum tm_code shown_next(struct merge_work *w, size_t part, struct tm_err *err)
{
    struct merge_part *p = &w->parts[part];
    enum tm_code rc;
    while ((rc = tm_sql_step(p->obs, &p->more, err)) == TM_OK && p->more) {
        int64_t n[6];
        for (int k = 0; k < 6; k++)
            n[k] = sqlite3_column_int64(p->obs, k);
        if (n[0] < 0 || n[0] >= (int64_t)p->rows_count || n[1] > n[2] || n[1] < 0 || n[4] < 0 ||
            n[4] > UINT32_MAX - 1 || n[5] < 0 || n[5] > 7)
            return shown_broken(p, "an observation that none can be", err);
        const struct merge_row *r = &p->rows[n[0]];
        if (shown_owners(w, r)->part[r->partition] != part)
            continue;
        struct tm_clock_offset lo, hi;
        rc = merge_offset_at(w, p, &lo, n[1], err);
        if (rc == TM_OK)
            rc = merge_offset_at(w, p, &hi, n[2], err);
        if (rc != TM_OK)
            return rc;
        int64_t hi_ns = n[2] + hi.offset_ns + hi.bound_ns;
        p->row = (uint32_t)n[0];
        p->lo_ns = n[1] + lo.offset_ns - lo.bound_ns;
        p->hi_ns = hi_ns > p->hi_ns ? hi_ns : p->hi_ns;
        p->seq = n[3];
        p->read = (uint32_t)n[4];
        p->flags = (unsigned)n[5];
        return TM_OK;
    }
    return rc;
}

/* Columns go by name. */
static enum tm_code shown_columns(struct merge_work *w, struct tm_shown *s, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < w->parts_count; i++) {
        struct merge_part *p = &w->parts[i];
        sqlite3_stmt *q = NULL;
        bool row = false;
        rc = tm_sql_prepare(&q, p->db, "SELECT object,n,name FROM col ORDER BY object,n", err);
        while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
            int64_t object = sqlite3_column_int64(q, 0);
            const char *name = (const char *)sqlite3_column_text(q, 2);
            struct merge_object *o =
                object >= 0 && object < (int64_t)p->objects_count ? &p->objects[object] : NULL;
            if (o == NULL || name == NULL ||
                sqlite3_column_int64(q, 1) != (int64_t)o->columns_count ||
                o->columns_count == TM_SHOWN_COLUMNS_MAX)
                rc = shown_broken(p, "a column that none can be", err);
            if (rc == TM_OK && o->columns == NULL &&
                (o->columns = calloc(TM_SHOWN_COLUMNS_MAX, sizeof *o->columns)) == NULL)
                rc = tm_fail(err, TM_E_NOMEM, "columns of %s", o->name);
            if (rc == TM_OK)
                rc = tm_shown_column(s, (int)object, name, &o->columns[o->columns_count++], err);
        }
        tm_sql_finalize(q);
    }
    return rc;
}

/* The part's observation at hand, as what the copy shows from then on. */
static enum tm_code shown_take(struct merge_part *p, struct tm_shown *s, struct tm_err *err)
{
    const struct merge_row *r = &p->rows[p->row];
    const struct merge_object *o = &p->objects[r->object];
    const unsigned char *bytes = sqlite3_column_blob(p->obs, 6);
    size_t count = (size_t)sqlite3_column_bytes(p->obs, 6);
    uint64_t values[TM_SHOWN_COLUMNS_MAX] = { 0 };
    size_t columns = s->objects[r->object].columns_count;
    uint32_t row;
    enum tm_code rc = tm_shown_row(s, r->object, r->id, &row, err);
    if (rc != TM_OK)
        return rc;
    memcpy(values, tm_shown_values(s, row), columns * sizeof *values);
    if (count % SHOWN_DELTA_BYTES != 0)
        return shown_broken(p, "an observation that was cut", err);
    for (size_t at = 0; at < count; at += SHOWN_DELTA_BYTES) {
        uint64_t hash = 0;
        uint32_t column = 0;
        for (int i = 3; i >= 0; i--)
            column = column << 8 | bytes[at + (size_t)i];
        for (int i = SHOWN_DELTA_BYTES - 1; i >= 4; i--)
            hash = hash << 8 | bytes[at + (size_t)i];
        if (column >= o->columns_count)
            return shown_broken(p, "an observation of a column that is not there", err);
        values[o->columns[column]] = hash;
    }
    return tm_shown_set(s, row, p->flags, values, columns, p->lo_ns, p->hi_ns, p->seq, NULL, err);
}

/* Records by their owners, and each in one partition wherever it stands. */
static enum tm_code shown_rows(struct merge_work *w, struct tm_shown *s, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < w->parts_count; i++) {
        struct merge_part *p = &w->parts[i];
        for (size_t n = 0; rc == TM_OK && n < p->rows_count; n++) {
            const struct merge_row *r = &p->rows[n];
            const struct merge_owners *o = shown_owners(w, r);
            uint32_t row;
            if (r->partition < 0 || r->partition >= o->count)
                return tm_fail(err, TM_E_ARG,
                               "%s: %s %s %s: partitions say nothing of it. Topics whose records "
                               "are not keyed by their id, or hold several ids (merged.events="
                               "keep), cannot be shared out",
                               p->folder, p->objects[r->object].name, r->id,
                               r->partition == MERGE_NOWHERE   ? "has no raw row of its own"
                               : r->partition == MERGE_SEVERAL ? "lies in several partitions"
                                                               : "lies in a partition that is not");
            if (o->part[r->partition] != i)
                continue;
            if (tm_shown_find(s, r->object, r->id) != TM_SHOWN_NONE)
                return tm_fail(err, TM_E_ARG,
                               "%s: %s %s lies in partition %d here, and in another one in a "
                               "folder before it",
                               p->folder, p->objects[r->object].name, r->id, (int)r->partition);
            rc = tm_shown_row(s, r->object, r->id, &row, err);
            p->records++;
        }
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
    sqlite3_stmt *q = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_prepare(&q, p->db, "SELECT object,from_ns,until_ns FROM star", err);
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        struct tm_clock_offset offset;
        int64_t object = sqlite3_column_int64(q, 0);
        if (object < 0 || object >= (int64_t)p->objects_count)
            rc = shown_broken(p, "a doubt about an object that is not there", err);
        if (rc == TM_OK && !shown_owns(w, part, (int)object))
            continue;
        for (int k = 0; rc == TM_OK && k < 2; k++) {
            int64_t at_ns = sqlite3_column_int64(q, 1 + k);
            if (sqlite3_column_type(q, 1 + k) == SQLITE_NULL)
                break;
            rc = merge_offset_at(w, p, &offset, at_ns, err);
            struct shown_star *more =
                rc == TM_OK ? realloc(*all, (*count + 1) * sizeof **all) : NULL;
            if (rc == TM_OK && more == NULL)
                rc = tm_fail(err, TM_E_NOMEM, "%s: stars", p->folder);
            if (rc != TM_OK)
                break;
            *all = more;
            (*all)[(*count)++] = (struct shown_star){ at_ns + offset.offset_ns + offset.bound_ns,
                                                      (int)object, k == 0 ? 1 : -1 };
        }
    }
    tm_sql_finalize(q);
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
    enum tm_code rc = shown_columns(w, s, err);
    if (rc == TM_OK)
        rc = shown_rows(w, s, err);
    for (size_t i = 0; rc == TM_OK && i < w->parts_count; i++) {
        rc =
            tm_sql_prepare(&w->parts[i].obs, w->parts[i].db,
                           "SELECT row,lo_ns,hi_ns,seq,read,flags,deltas FROM obs ORDER BY n", err);
        w->parts[i].hi_ns = INT64_MIN;
        if (rc == TM_OK)
            rc = shown_next(w, i, err);
    }
    while (rc == TM_OK) {
        size_t first = SIZE_MAX;
        for (size_t i = 0; i < w->parts_count; i++)
            if (w->parts[i].more &&
                (first == SIZE_MAX || w->parts[i].hi_ns < w->parts[first].hi_ns))
                first = i;
        if (first == SIZE_MAX)
            break;
        struct merge_part *p = &w->parts[first];
        if (first != last || p->read != p->read_before)
            s->reads++; /* two hosts are never read by one transaction */
        last = first;
        p->read_before = p->read;
        rc = shown_take(p, s, err);
        if (rc == TM_OK)
            rc = shown_next(w, first, err);
    }
    return rc == TM_OK ? shown_stars(w, s, err) : rc;
}
