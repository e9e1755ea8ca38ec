#include "check/given.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void tm_given_close(struct tm_given *g)
{
    if (g == NULL)
        return;
    for (size_t i = 0; i < g->databases_count; i++)
        tm_warehouse_close(g->databases[i].warehouse);
    free(g);
}

static enum tm_code given_database(struct tm_given *g, const char *path, size_t *out,
                                   struct tm_err *err)
{
    for (size_t i = 0; i < g->databases_count; i++)
        if (strcmp(g->databases[i].path, path) == 0) {
            *out = i;
            return TM_OK;
        }
    struct tm_given_database *d = &g->databases[g->databases_count];
    if (g->databases_count == TM_GIVEN_DATABASES_MAX || strlen(path) >= sizeof d->path)
        return tm_fail(err, TM_E_LIMIT,
                       "%s: more than %d databases, or a path of more than %zu bytes", g->plan->map,
                       TM_GIVEN_DATABASES_MAX, sizeof d->path - 1);
    *d = (struct tm_given_database){ .version = -1 };
    strcpy(d->path, path);
    *out = g->databases_count++;
    return TM_OK;
}

enum tm_code tm_given_attach(struct tm_reader *r, const struct tm_plan_pipeline *p,
                             struct tm_truth *const *truth, struct tm_err *err)
{
    struct tm_given *g = calloc(1, sizeof *g);
    enum tm_code rc = TM_OK;
    if (g == NULL)
        return tm_fail(err, TM_E_NOMEM, "relations of %s", p->name);
    assert(p->objects_count == r->objects_count && p->objects_count <= TM_SHOWN_OBJECTS_MAX);
    g->plan = p;
    g->truth = truth;
    for (size_t i = 0; rc == TM_OK && i < p->objects_count; i++) {
        struct tm_given_object *o = &g->objects[g->objects_count++];
        o->name = p->objects[i];
        o->json = json_object_get(p->relations, o->name);
        const char *path = json_string_value(json_object_get(o->json, "database"));
        rc = given_database(g, path != NULL ? path : p->database, &o->database, err);
    }
    if (rc == TM_OK)
        r->given = g;
    else
        tm_given_close(g);
    return rc;
}

/* ---- has it changed? ---- */

static bool given_beside(const char *path, const char *suffix)
{
    char other[520];
    snprintf(other, sizeof other, "%s%s", path, suffix);
    return access(other, F_OK) == 0;
}

/* The file from outside: no lock is taken, and none lost, as opening and closing it would. */
static bool given_stat(struct tm_given_database *d, int64_t now_ns)
{
    struct stat st;
    if (stat(d->path, &st) != 0)
        return false;
    uint64_t stamp = (uint64_t)st.st_mtim.tv_sec * 1000003 + (uint64_t)st.st_mtim.tv_nsec * 31 +
                     (uint64_t)st.st_size + 1;
    if (d->warehouse != NULL && d->inode != (uint64_t)st.st_ino) { /* another took its place */
        tm_warehouse_close(d->warehouse);
        d->warehouse = NULL;
        d->wal = false;
        d->version = -1;
        d->stamp_seen = 0;
    }
    d->inode = (uint64_t)st.st_ino;
    if (stamp != d->stamp || given_beside(d->path, "-journal")) {
        d->stamp = stamp;
        d->stamp_ns = now_ns;
    }
    return true;
}

static enum tm_code given_open(struct tm_given_database *d)
{
    struct tm_err quiet = { 0 };
    sqlite3_stmt *mode = NULL;
    if (d->warehouse == NULL) {
        if (tm_warehouse_open(&d->warehouse, d->path, 0, &quiet) != TM_OK)
            return TM_E_AGAIN; /* not made yet, or being made */
        /* a mapped file would only count as the witness's memory */
        d->warehouse->own = true;
        sqlite3_exec(d->warehouse->db, "PRAGMA mmap_size=0", NULL, NULL, NULL);
        d->warehouse->own = false;
    }
    if (d->wal)
        return TM_OK;
    d->warehouse->own = true;
    if (sqlite3_prepare_v2(d->warehouse->db, "PRAGMA journal_mode", -1, &mode, NULL) == SQLITE_OK &&
        sqlite3_step(mode) == SQLITE_ROW)
        d->wal = strcmp((const char *)sqlite3_column_text(mode, 0), "wal") == 0;
    sqlite3_finalize(mode);
    d->warehouse->own = false;
    return TM_OK;
}

/* Sets d->changed. */
static enum tm_code given_look(struct tm_given_database *d, int64_t now_ns, struct tm_err *err)
{
    int64_t version;
    d->changed = false;
    if (!given_stat(d, now_ns))
        return TM_E_AGAIN;
    if (d->warehouse == NULL || !d->wal) {
        bool still = d->stamp != d->stamp_seen && now_ns - d->stamp_ns >= TM_GIVEN_STILL_NS;
        if (!still && !(d->warehouse == NULL && given_beside(d->path, "-wal")))
            return d->warehouse == NULL ? TM_E_AGAIN : TM_OK;
        d->changed = true;
        return given_open(d);
    }
    enum tm_code rc = tm_warehouse_version(d->warehouse, &version, err);
    if (rc == TM_OK)
        d->changed = version != d->version;
    return rc;
}

static enum tm_code given_begin(struct tm_given *g, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    size_t begun = 0;
    for (size_t i = 0; rc == TM_OK && i < g->databases_count; i++) {
        struct tm_given_database *d = &g->databases[i];
        rc = given_stat(d, 0) ? given_open(d) : TM_E_AGAIN;
        d->stamp_seen = d->stamp;
        if (rc == TM_OK)
            rc = tm_warehouse_version(d->warehouse, &d->version, err);
        if (rc == TM_OK && (rc = tm_warehouse_begin(d->warehouse, err)) == TM_OK)
            begun++;
    }
    for (size_t i = 0; rc != TM_OK && i < begun; i++)
        tm_warehouse_end(g->databases[i].warehouse);
    for (size_t i = 0; rc != TM_OK && i < g->databases_count; i++) {
        g->databases[i].version = -1; /* as if it had never been looked at */
        g->databases[i].stamp_seen = 0;
    }
    return rc;
}

/* ---- one look ---- */

static void given_failed(struct tm_given *g, const struct tm_err *err)
{
    g->failed++;
    tm_err_text(err, g->error, sizeof g->error);
}

static enum tm_code given_columns(struct tm_shown *s, int object, const struct tm_relation *q,
                                  uint32_t map[TM_SHOWN_COLUMNS_MAX], struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < q->fields_count; i++) {
        rc = tm_shown_column(s, object, q->fields[i], &map[i], err);
        if (rc == TM_OK && !tm_tolerance_none(&q->tolerances[i]))
            rc = tm_shown_tolerance(s, object, map[i], &q->tolerances[i], err);
    }
    return rc;
}

static enum tm_code given_row(struct tm_reader *r, const struct tm_reader_object *o,
                              const struct tm_relation_row *row, const uint64_t *values,
                              struct tm_full_read *out, struct tm_err *err)
{
    struct tm_shown *s = r->shown;
    uint32_t index;
    bool one = false;
    enum tm_code rc = tm_shown_row(s, o->shown, row->id, &index, err);
    if (rc != TM_OK)
        return rc;
    if (s->rows[index].mark == s->reads) {
        if (out->duplicates++ == 0)
            snprintf(out->duplicate, sizeof out->duplicate, "%.18s", row->id);
        return TM_OK; /* the first one counts, or the two would look like changes */
    }
    rc = tm_shown_set(s, index, TM_SHOWN_PRESENT | (row->dirty ? TM_SHOWN_DIRTY : 0), values,
                      s->objects[o->shown].columns_count, r->last_ns, out->begun_ns, 0, &one, err);
    s->rows[index].mark = s->reads;
    out->rows++;
    out->changed += one;
    return rc;
}

/* A query that fails is told, not taken for an empty relation. */
static enum tm_code given_object(struct tm_reader *r, size_t n, struct tm_full_read *out,
                                 struct tm_err *err)
{
    struct tm_given *g = r->given;
    struct tm_reader_object *o = &r->objects[n];
    struct tm_shown *s = r->shown;
    struct tm_relation *q = NULL;
    struct tm_relation_row row;
    struct tm_err why = { 0 };
    uint64_t given[TM_SHOWN_COLUMNS_MAX], values[TM_SHOWN_COLUMNS_MAX] = { 0 };
    uint32_t map[TM_SHOWN_COLUMNS_MAX];
    bool more = false, one;
    enum tm_code rc = tm_relation_open(
        &q, &g->objects[n].spec, g->databases[g->objects[n].database].warehouse, NULL, NULL, &why);
    if (rc == TM_OK)
        rc = given_columns(s, o->shown, q, map, &why);
    while (rc == TM_OK && (rc = tm_relation_step(q, &more, &row, given, NULL, &why)) == TM_OK &&
           more) {
        for (size_t i = 0; i < q->fields_count; i++)
            values[map[i]] = given[i];
        rc = given_row(r, o, &row, values, out, &why);
    }
    tm_relation_close(q);
    if (rc == TM_E_ARG) {
        if (o->found)
            given_failed(g, &why);
        else /* its tables are not there yet; said at the end, should they never come */
            tm_err_text(&why, g->error, sizeof g->error);
        return TM_OK;
    }
    if (rc != TM_OK) {
        *err = why;
        return rc;
    }
    if (!o->found)
        g->error[0] = '\0';
    o->found = true;
    for (uint32_t i = 0; rc == TM_OK && i < s->rows_count; i++)
        if (s->rows[i].object == o->shown && s->rows[i].mark != s->reads &&
            (s->rows[i].flags & TM_SHOWN_PRESENT) != 0) {
            rc = tm_shown_set(s, i, 0, NULL, 0, r->last_ns, out->begun_ns, 0, &one, err);
            out->changed++;
        }
    return rc;
}

/* The describes come with the history. */
static enum tm_code given_specs(struct tm_given *g, struct tm_err *err)
{
    if (*g->truth == NULL)
        return TM_E_AGAIN;
    for (size_t i = 0; i < g->objects_count; i++) {
        struct tm_given_object *o = &g->objects[i];
        int object = tm_truth_object(*g->truth, o->name);
        const struct tm_describe *d =
            object < 0 ? NULL : tm_truth_describe_last(&(*g->truth)->objects[object]);
        if (d == NULL)
            return TM_E_AGAIN;
        if (o->spec.describe != d &&
            tm_relation_spec(&o->spec, g->plan->map, o->name, o->json, d, err) != TM_OK)
            return err->code;
    }
    return TM_OK;
}

static enum tm_code given_read(struct tm_reader *r, struct tm_full_read *out, struct tm_err *err)
{
    struct tm_given *g = r->given;
    int64_t before_ns = r->wall_ns();
    *out = (struct tm_full_read){ .begun_ns = before_ns };
    enum tm_code rc = given_specs(g, err);
    if (rc == TM_OK)
        rc = given_begin(g, err);
    if (rc != TM_OK)
        return rc;
    out->begun_ns = r->wall_ns();
    if (r->last_ns == 0)
        r->last_ns = before_ns;
    r->shown->reads++;
    for (size_t i = 0; rc == TM_OK && i < r->objects_count; i++) {
        int64_t query_ns = r->wall_ns();
        rc = given_object(r, i, out, err);
        out->query_ns[i] = r->wall_ns() - query_ns;
    }
    for (size_t i = 0; i < g->databases_count; i++) {
        tm_warehouse_end(g->databases[i].warehouse);
        g->rollback |= !g->databases[i].wal;
    }
    int64_t took_ns = r->wall_ns() - before_ns;
    g->next_ns = before_ns + TM_GIVEN_PART * took_ns;
    g->took_ns_max = took_ns > g->took_ns_max ? took_ns : g->took_ns_max;
    g->looks++;
    if (out->duplicates > g->duplicates) {
        g->duplicates = out->duplicates;
        memcpy(g->duplicate, out->duplicate, sizeof g->duplicate);
    }
    if (rc == TM_OK)
        r->last_ns = before_ns;
    out->obs_last = (uint32_t)r->shown->obs_count;
    out->ok = rc == TM_OK;
    return rc;
}

enum tm_code tm_given_probe(struct tm_reader *r, int64_t now_ns, bool *out_changed,
                            struct tm_err *err)
{
    struct tm_given *g = r->given;
    struct tm_full_read read;
    bool changed = false, settled = true;
    enum tm_code rc = TM_OK;
    *out_changed = false;
    r->probes++;
    if (r->last_ns == 0)
        r->last_ns = now_ns;
    for (size_t i = 0; rc == TM_OK && i < g->databases_count; i++) {
        struct tm_given_database *d = &g->databases[i];
        rc = given_look(d, now_ns, err);
        changed |= d->changed;
        settled &= d->wal || d->stamp == d->stamp_seen;
    }
    if (rc == TM_E_AGAIN && r->reads == 0)
        r->last_ns = now_ns; /* nothing is there that could show anything */
    if (rc != TM_OK)
        return rc;
    if (!changed || now_ns < g->next_ns) {
        if (!changed && settled) /* else what is there now was not looked at */
            r->last_ns = now_ns;
        return TM_OK;
    }
    rc = given_read(r, &read, err);
    r->reads += rc == TM_OK;
    r->busy += rc == TM_E_AGAIN;
    *out_changed = rc == TM_OK && read.changed > 0;
    return rc;
}

enum tm_code tm_given_full(struct tm_reader *r, struct tm_full_read *out, struct tm_err *err)
{
    enum tm_code rc = given_read(r, out, err);
    r->reads += rc == TM_OK;
    return rc;
}

json_t *tm_given_json(const struct tm_given *g)
{
    return json_pack("{s:I, s:I, s:s, s:f, s:s}", "looks", (json_int_t)g->looks, "failed",
                     (json_int_t)g->failed, "error", g->error, "longest_ms",
                     (double)g->took_ns_max / 1e6, "journal", g->rollback ? "rollback" : "wal");
}

/* ---- for the report ---- */

/* Of one object's rows that differ, by id; `wanted` of them at most. */
static enum tm_code given_values(json_t *out, struct tm_reader *r, size_t n, const json_t *ids,
                                 struct tm_err *err)
{
    struct tm_given *g = r->given;
    struct tm_relation *q = NULL;
    struct tm_relation_row row;
    struct tm_warehouse *w = g->databases[g->objects[n].database].warehouse;
    uint64_t values[TM_SHOWN_COLUMNS_MAX];
    bool more = false;
    if (w == NULL || json_array_size(ids) == 0)
        return TM_OK;
    enum tm_code rc = tm_relation_open_ids(&q, &g->objects[n].spec, w, ids, err);
    while (rc == TM_OK && (rc = tm_relation_step(q, &more, &row, values, NULL, err)) == TM_OK &&
           more) {
        json_t *one = json_object();
        for (size_t i = 0; i < q->fields_count; i++)
            json_object_set_new(one, q->fields[i], tm_relation_value(q, i));
        json_object_set_new(out, row.id, one);
    }
    tm_relation_close(q);
    return rc;
}

json_t *tm_given_values(struct tm_reader *r, const struct tm_match *m, size_t count)
{
    json_t *out = json_object();
    for (size_t n = 0; n < r->objects_count; n++) {
        json_t *ids = json_array();
        struct tm_err quiet = { 0 };
        for (size_t i = 0; i < m->differences_count && i < count; i++) {
            uint32_t row = m->differences[i].row;
            if (row != TM_SHOWN_NONE && r->shown->rows[row].object == r->objects[n].shown)
                json_array_append_new(ids, json_string(r->shown->rows[row].id));
        }
        if (given_values(out, r, n, ids, &quiet) != TM_OK) /* told without what is shown */
            json_object_clear(out);
        json_decref(ids);
    }
    return out;
}

int64_t tm_given_bytes(const struct tm_given *g)
{
    static const char *const suffixes[] = { "", "-wal" };
    int64_t bytes = 0;
    for (size_t i = 0; i < g->databases_count; i++)
        for (int k = 0; k < 2; k++) {
            char path[520];
            struct stat st;
            snprintf(path, sizeof path, "%s%s", g->databases[i].path, suffixes[k]);
            bytes += stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
        }
    return bytes;
}
