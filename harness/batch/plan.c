#include "batch/plan.h"
#include "base/text.h"
#include <assert.h>
#include <string.h>
#include <strings.h>

#define PLAN_PAGE_ROWS 2000 /* LIMIT when the preset gives none: one server page */

int64_t tm_plan_grid_floor(int64_t interval_ms, int64_t org_ms)
{
    assert(interval_ms > 0);
    int64_t k = org_ms / interval_ms;
    if (org_ms % interval_ms < 0)
        k--;
    return k * interval_ms;
}

int64_t tm_plan_grid_after(int64_t interval_ms, int64_t org_ms)
{
    return tm_plan_grid_floor(interval_ms, org_ms) + interval_ms;
}

bool tm_plan_full_due(int64_t full_at_ms, int64_t last_ms, int64_t grid_ms)
{
    if (full_at_ms < 0)
        return false;
    assert(last_ms <= grid_ms);
    return tm_plan_grid_floor(TM_BATCH_DAY_MS, last_ms - full_at_ms) !=
           tm_plan_grid_floor(TM_BATCH_DAY_MS, grid_ms - full_at_ms);
}

bool tm_plan_selects(const struct tm_batch_settings *s, const struct tm_field *f)
{
    /* Bulk refuses both, and a query gives a link in place of base64 */
    if (f->kind == TM_FIELD_COMPOUND || strcasecmp(f->type, "base64") == 0)
        return false;
    return s->formulas || !f->calculated;
}

bool tm_plan_pages_by_limit(const struct tm_batch_settings *s, const struct tm_range *range)
{
    assert(!s->bulk || s->paging == TM_BATCH_LOCATOR);
    return s->paging == TM_BATCH_KEYSET || (s->paging == TM_BATCH_STAMP && !range->whole);
}

bool tm_plan_resumes(const struct tm_batch_settings *s, const struct tm_range *range)
{
    if (s->checkpoint == TM_BATCH_POLL)
        return false;
    if (s->checkpoint == TM_BATCH_SLICE)
        return s->slice_ms > 0 && !range->whole;
    return s->bulk || tm_plan_pages_by_limit(s, range) ||
           !range->whole; /* a range without LIMIT is ordered by stamp */
}

bool tm_plan_slice(int64_t slice_ms, int64_t from_ms, int64_t until_ms, int64_t *out_until_ms)
{
    assert(slice_ms > 0 && until_ms != TM_NEVER);
    if (from_ms >= until_ms)
        return false;
    *out_until_ms = until_ms - from_ms < slice_ms ? until_ms : from_ms + slice_ms;
    return true;
}

static void plan_stamp(struct tm_buf *out, const char *op, int64_t ms)
{
    char text[TM_TIME_BYTES];
    tm_buf_addf(out, "SystemModstamp %s %s", op, tm_time_z(text, ms));
}

/* The lower bound: where the last page ended, else where the range begins. */
static void plan_from(struct tm_buf *out, const struct tm_batch_settings *s,
                      const struct tm_range *range, const struct tm_place *place)
{
    char text[TM_TIME_BYTES];
    if (s->bulk) { /* the job itself knows how far it was read */
        plan_stamp(out, range->from_inclusive ? ">=" : ">", range->from_ms);
        return;
    }
    if (place->any && s->paging == TM_BATCH_KEYSET) {
        tm_time_z(text, place->stamp_ms);
        tm_buf_addf(out, "(SystemModstamp > %s OR (SystemModstamp = %s AND Id > '%s'))", text, text,
                    place->id);
        return;
    }
    /* #54, #58: `>` loses what shares the last stamp, `>=` reads it again. Only who pages by stamp
     * makes that mistake; going on after a lost locator or a crash is not to. */
    if (place->any)
        plan_stamp(out, s->inclusive || s->paging != TM_BATCH_STAMP ? ">=" : ">", place->stamp_ms);
    else
        plan_stamp(out, range->from_inclusive ? ">=" : ">", range->from_ms);
}

enum tm_code tm_plan_soql(struct tm_buf *out, const struct tm_batch_settings *s,
                          const struct tm_describe *d, const struct tm_range *range,
                          const struct tm_place *place, struct tm_err *err)
{
    bool limited = tm_plan_pages_by_limit(s, range);
    tm_buf_addz(out, "SELECT Id");
    for (size_t i = 0; i < d->fields_count; i++)
        if (d->fields[i].kind != TM_FIELD_COMPOUND && strcmp(d->fields[i].name, "Id") != 0 &&
            tm_plan_selects(s, &d->fields[i]))
            tm_buf_addf(out, ",%s", d->fields[i].name);
    tm_buf_addf(out, " FROM %s", d->object);
    if (range->whole) {
        if (limited && place->any)
            tm_buf_addf(out, " WHERE Id > '%s'", place->id);
        if (!s->bulk)
            tm_buf_addz(out, " ORDER BY Id ASC");
    } else {
        tm_buf_addz(out, " WHERE ");
        plan_from(out, s, range, place);
        if (range->until_ms != TM_NEVER) {
            tm_buf_addz(out, " AND ");
            plan_stamp(out, "<", range->until_ms);
        }
        if (!s->bulk) /* a job's rows need no order, and it is not free */
            tm_buf_addz(out, s->paging == TM_BATCH_KEYSET ? " ORDER BY SystemModstamp ASC, Id ASC"
                                                          : " ORDER BY SystemModstamp ASC");
    }
    if (limited)
        tm_buf_addf(out, " LIMIT %d", s->page_rows > 0 ? s->page_rows : PLAN_PAGE_ROWS);
    return tm_buf_check(out, "a polling query", err);
}
