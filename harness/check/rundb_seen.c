/* rundb_seen: table `seen` of run.db: what the reader saw of a record, look by look. */
#include "check/rundb.h"
#include <stdlib.h>

struct seen_work {
    struct tm_run_db *r;
    const struct tm_truth *truth;
    const struct tm_shown *shown;
    const struct tm_match *m;
    const struct tm_timing *t;
};

static const char *seen_shows(const struct seen_work *w, uint32_t obs)
{
    static const char *const names[] = { "whole", "mixed", "wrong", "partial" };
    bool present = (w->shown->obs[obs].flags & TM_SHOWN_PRESENT) != 0;
    return w->m->seen[obs].as == TM_SEEN_WHOLE && !present ? "gone" : names[w->m->seen[obs].as];
}

static int seen_part_order(const void *a, const void *b)
{
    const struct tm_seen_part *x = a, *y = b;
    return (x->obs > y->obs) - (x->obs < y->obs);
}

/* {field: position | null} of an observation; NULL: none of its columns is compared. */
static json_t *seen_fields(const struct seen_work *w, uint32_t obs, const struct tm_coverage *c)
{
    struct tm_seen_part key = { .obs = obs };
    const struct tm_seen_part *end = w->m->parts + w->m->parts_count, *p;
    if (w->m->parts_count == 0 ||
        (p = bsearch(&key, w->m->parts, w->m->parts_count, sizeof key, seen_part_order)) == NULL)
        return NULL;
    while (p > w->m->parts && p[-1].obs == obs)
        p--;
    json_t *fields = json_object();
    for (; p < end && p->obs == obs; p++)
        json_object_set_new(fields, c->names[p->column],
                            p->held < 0 ? json_null() : json_integer((json_int_t)p->held));
    return fields;
}

static enum tm_code seen_one(struct seen_work *w, uint32_t obs, const struct tm_coverage *c,
                             struct tm_err *err)
{
    const struct tm_shown_obs *o = &w->shown->obs[obs];
    const struct tm_shown_row *row = &w->shown->rows[o->row];
    sqlite3_stmt *q = w->r->seen;
    json_t *fields = w->m->seen[obs].as == TM_SEEN_WHOLE ? NULL : seen_fields(w, obs, c);
    char *text = fields == NULL ? NULL : json_dumps(fields, JSON_COMPACT);
    sqlite3_bind_text(q, 2, w->shown->objects[row->object].name, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 3, row->id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 4, o->lo_ns);
    sqlite3_bind_int64(q, 5, o->hi_ns);
    sqlite3_bind_int64(q, 6, tm_timing_org_us(w->t, o->hi_ns) / 1000);
    sqlite3_bind_text(q, 7, seen_shows(w, obs), -1, SQLITE_STATIC);
    sqlite3_bind_int(q, 8, (o->flags & TM_SHOWN_DIRTY) != 0);
    if (w->m->seen[obs].version != TM_TRUTH_NONE)
        sqlite3_bind_int64(q, 9, (int64_t)w->m->seen[obs].version + 1);
    else
        sqlite3_bind_null(q, 9);
    if (text != NULL)
        sqlite3_bind_text(q, 10, text, -1, SQLITE_TRANSIENT);
    else
        sqlite3_bind_null(q, 10);
    enum tm_code rc = tm_sql_run(q, err);
    free(text);
    json_decref(fields);
    return rc;
}

/* A row worth telling of: its record changed, or it did not simply stand as it was at first. */
static bool seen_worth(const struct seen_work *w, const struct tm_coverage *c, uint32_t row)
{
    const struct tm_shown_row *r = &w->shown->rows[row];
    uint32_t record = tm_truth_record(w->truth, c->truth, r->id);
    if (record == TM_TRUTH_NONE || r->first != r->last)
        return true;
    uint32_t last = w->truth->records[record].last;
    return w->truth->versions[last].intended_ns != INT64_MIN || r->first == TM_SHOWN_NONE ||
           w->m->seen[r->first].as != TM_SEEN_WHOLE || w->m->seen[r->first].version != last;
}

enum tm_code tm_run_db_seen(struct tm_run_db *r, const char *pipeline, const struct tm_truth *truth,
                            const struct tm_shown *shown, const struct tm_match *m,
                            const struct tm_timing *t, struct tm_err *err)
{
    struct seen_work w = { .r = r, .truth = truth, .shown = shown, .m = m, .t = t };
    enum tm_code rc = TM_OK;
    sqlite3_bind_text(r->seen, 1, pipeline, -1, SQLITE_TRANSIENT);
    for (size_t i = 0; rc == TM_OK && i < m->coverage_count; i++) {
        const struct tm_coverage *c = &m->coverage[i];
        for (uint32_t row = 0; rc == TM_OK && c->shown >= 0 && row < shown->rows_count; row++) {
            if (shown->rows[row].object != c->shown || !seen_worth(&w, c, row))
                continue;
            for (uint32_t o = shown->rows[row].first; rc == TM_OK && o != TM_SHOWN_NONE;
                 o = shown->obs[o].next)
                rc = seen_one(&w, o, c, err);
        }
    }
    return rc;
}
