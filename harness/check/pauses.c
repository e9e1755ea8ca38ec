#include "check/pauses.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum tm_code tm_pauses_parse(struct tm_pauses *out, const char *text, struct tm_err *err)
{
    int64_t last_ns = INT64_MIN;
    *out = (struct tm_pauses){ .count = 0 };
    for (const char *at = text; *at != '\0'; out->count++) {
        char *end;
        if (out->count == TM_CLOCK_PAUSES_MAX)
            return tm_fail(err, TM_E_PROTO, "org.db: more than %d pauses", TM_CLOCK_PAUSES_MAX);
        struct tm_clock_pause *p = &out->items[out->count];
        p->from_ns = strtoll(at, &end, 10);
        bool good = end != at && *end == ':';
        at = good ? end + 1 : at;
        p->until_ns = strtoll(at, &end, 10);
        if (!good || end == at || (*end != '\0' && *end != ',') || p->from_ns < last_ns ||
            p->until_ns < p->from_ns)
            return tm_fail(err, TM_E_PROTO, "org.db: meta \"pauses\" cannot be read: %.60s", text);
        last_ns = p->until_ns;
        at = end + (*end == ',');
    }
    return TM_OK;
}

enum tm_code tm_pauses_read(struct tm_pauses *out, struct tm_truth *t, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    *out = (struct tm_pauses){ .count = 0 };
    enum tm_code rc =
        tm_sql_prepare(&stmt, t->db, "SELECT value FROM meta WHERE key = 'pauses'", err);
    if (rc == TM_OK)
        rc = tm_sql_step(stmt, &row, err);
    const char *text = rc == TM_OK && row ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    if (text != NULL)
        rc = tm_pauses_parse(out, text, err);
    tm_sql_finalize(stmt);
    return rc;
}

int64_t tm_pauses_without(const struct tm_pauses *p, int64_t wall_ns)
{
    /* INT64_MIN, INT64_MAX: no instant at all */
    return wall_ns == INT64_MIN || wall_ns == INT64_MAX
               ? wall_ns
               : tm_clock_without(p->items, p->count, wall_ns);
}

int64_t tm_pauses_with(const struct tm_pauses *p, int64_t ns)
{
    for (size_t i = 0; i < p->count && ns != INT64_MAX && ns >= p->items[i].from_ns; i++)
        ns += p->items[i].until_ns - p->items[i].from_ns;
    return ns;
}

void tm_pauses_truth(const struct tm_pauses *p, struct tm_truth *t)
{
    const struct tm_clock_map first = { .org_origin_ms = tm_truth_meta(t, "org_origin_ms", 0),
                                        .wall_origin_ns =
                                            tm_truth_meta(t, "wall_origin_ns", TM_NEVER),
                                        .compress = tm_truth_meta(t, "compress", 1) };
    for (size_t i = 0; p->count > 0 && i < t->versions_count; i++) {
        struct tm_truth_version *v = &t->versions[i];
        if (v->intended_ns == INT64_MIN)
            continue;
        v->actual_ns = tm_pauses_without(p, v->actual_ns);
        v->intended_ns = tm_clock_wall_at(&first, v->intended_ms);
    }
}

static void pauses_shown(const struct tm_pauses *p, struct tm_shown *s)
{
    for (size_t i = 0; i < s->obs_count; i++) {
        s->obs[i].lo_ns = tm_pauses_without(p, s->obs[i].lo_ns);
        s->obs[i].hi_ns = tm_pauses_without(p, s->obs[i].hi_ns);
    }
    for (size_t i = 0; i < s->stars_count; i++) {
        s->stars[i].from_ns = tm_pauses_without(p, s->stars[i].from_ns);
        s->stars[i].until_ns = tm_pauses_without(p, s->stars[i].until_ns);
    }
}

void tm_pauses_target(const struct tm_pauses *p, struct tm_check_target *t)
{
    if (p->count == 0)
        return;
    pauses_shown(p, t->reader->shown);
    t->reader->last_ns = tm_pauses_without(p, t->reader->last_ns);
    for (size_t i = 0; i < t->reader->arrivals_count; i++) {
        struct tm_arrival *a = &t->reader->arrivals[i];
        a->lo_ns = tm_pauses_without(p, a->lo_ns);
        a->hi_ns = tm_pauses_without(p, a->hi_ns);
    }
    if (t->views != t->reader) {
        pauses_shown(p, t->views->shown);
        t->views->last_ns = tm_pauses_without(p, t->views->last_ns);
    }
    for (size_t i = 0; t->sampler != NULL && i < t->sampler->reads_count; i++)
        t->sampler->reads[i].begun_ns = tm_pauses_without(p, t->sampler->reads[i].begun_ns);
    for (size_t i = 0; t->audit != NULL && i < t->audit->begun_count; i++)
        t->audit->begun_ns[i] = tm_pauses_without(p, t->audit->begun_ns[i]);
    t->final.begun_ns = tm_pauses_without(p, t->final.begun_ns);
}

void tm_pauses_polls(const struct tm_pauses *p, struct tm_poll *polls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        polls[i].started_ns = tm_pauses_without(p, polls[i].started_ns);
        polls[i].finished_ns = tm_pauses_without(p, polls[i].finished_ns);
    }
}
