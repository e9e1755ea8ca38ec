#include "check/audit.h"
#include "check/reader_inner.h"
#include "check/vhash.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AUDIT_PRESENT = 1,
    AUDIT_DIRTY = 2,
    AUDIT_LEFT_OUT = 4,
    AUDIT_SEEN = 8,
    AUDIT_DIFFERS = 16,
    AUDIT_TWICE = 32 /* which of the two was followed is not asked */
};

enum tm_code tm_audit_open(struct tm_audit **out, struct tm_reader *followed, struct tm_err *err)
{
    const char *objects[TM_SHOWN_OBJECTS_MAX];
    struct tm_audit *a = calloc(1, sizeof *a);
    assert(!followed->raw && followed->objects_count <= TM_SHOWN_OBJECTS_MAX);
    if (a == NULL)
        return tm_fail(err, TM_E_NOMEM, "audit of %s", followed->path);
    for (size_t i = 0; i < followed->objects_count; i++)
        objects[i] = followed->objects[i].name;
    enum tm_code rc = tm_reader_open(&a->own, followed->path, false, objects,
                                     followed->objects_count, followed->wall_ns, err);
    a->followed = followed;
    if (rc == TM_OK)
        *out = a;
    else
        tm_audit_close(a);
    return rc;
}

static void audit_end(struct tm_audit *a)
{
    tm_sql_finalize(a->all);
    a->all = NULL;
    if (a->open)
        sqlite3_exec(a->own->db, "COMMIT", NULL, NULL, NULL);
    a->open = false;
}

void tm_audit_close(struct tm_audit *a)
{
    if (a == NULL)
        return;
    audit_end(a);
    tm_reader_close(a->own);
    free(a->hash);
    free(a->state);
    free(a);
}

/* The newest _seq that the snapshot holds of one object; -1: the relation is not there. */
static int64_t audit_newest(struct tm_audit *a, const char *name)
{
    static const char *const suffixes[] = { "", "_removed" };
    int64_t newest = -1;
    for (int i = 0; i < 2; i++) {
        sqlite3_stmt *max = NULL;
        tm_reader_prepare(a->own, &max, "SELECT coalesce(max(_seq), 0) FROM ", name, suffixes[i],
                          "");
        if (max != NULL && sqlite3_step(max) == SQLITE_ROW && sqlite3_column_int64(max, 0) > newest)
            newest = sqlite3_column_int64(max, 0);
        tm_sql_finalize(max);
        if (newest < 0)
            return -1;
    }
    return newest;
}

static enum tm_code audit_freeze(struct tm_audit *a, uint32_t obs_first,
                                 const int64_t newest[TM_SHOWN_OBJECTS_MAX], struct tm_err *err)
{
    const struct tm_shown *s = a->followed->shown;
    if (s->rows_count > a->rows_cap) {
        size_t cap = s->rows_count + s->rows_count / 2;
        void *hash = realloc(a->hash, cap * sizeof *a->hash);
        a->hash = hash != NULL ? hash : a->hash;
        void *state = realloc(a->state, cap * sizeof *a->state);
        a->state = state != NULL ? state : a->state;
        if (hash == NULL || state == NULL)
            return tm_fail(err, TM_E_NOMEM, "audit: %zu rows", cap);
        a->rows_cap = cap;
    }
    a->rows_count = s->rows_count;
    for (size_t r = 0; r < s->rows_count; r++) {
        bool present = (s->rows[r].flags & TM_SHOWN_PRESENT) != 0;
        bool dirty = (s->rows[r].flags & TM_SHOWN_DIRTY) != 0;
        a->hash[r] = s->rows[r].hash;
        a->state[r] = (uint8_t)((present ? AUDIT_PRESENT : 0) | (dirty ? AUDIT_DIRTY : 0));
    }
    for (size_t o = obs_first; o < s->obs_count; o++)
        if (s->obs[o].seq > newest[s->rows[s->obs[o].row].object])
            a->state[s->obs[o].row] |= AUDIT_LEFT_OUT;
    return TM_OK;
}

enum tm_code tm_audit_begin(struct tm_audit *a, int64_t now_ns, struct tm_err *err)
{
    int64_t newest[TM_SHOWN_OBJECTS_MAX] = { 0 };
    bool changed;
    assert(!a->open);
    enum tm_code rc = tm_reader_connect(a->own, now_ns, err);
    if (rc == TM_OK)
        rc = tm_reader_begin(a->own, &a->now.begun_ns, err);
    if (rc != TM_OK)
        return rc;
    a->open = true;
    a->object = 0;
    a->now = (struct tm_audit_read){ .begun_ns = a->now.begun_ns };
    for (size_t i = 0; rc == TM_OK && i < a->own->objects_count; i++) {
        struct tm_reader_object *o = &a->own->objects[i];
        newest[o->shown] = audit_newest(a, o->name);
        rc = newest[o->shown] < 0 ? TM_E_AGAIN : TM_OK;
    }
    uint32_t obs_first = (uint32_t)a->followed->shown->obs_count;
    if (rc == TM_OK)
        rc = tm_reader_probe(a->followed, now_ns, &changed, err);
    if (rc == TM_OK)
        rc = audit_freeze(a, obs_first, newest, err);
    if (rc != TM_OK)
        audit_end(a);
    return rc;
}

static void audit_differs(struct tm_audit *a, const char *id)
{
    if (a->now.differing++ == 0)
        snprintf(a->now.example, sizeof a->now.example, "%.18s", id);
}

static enum tm_code audit_row(struct tm_audit *a, struct tm_reader_object *o, struct tm_err *err)
{
    struct tm_reader_row row;
    uint64_t values[TM_SHOWN_COLUMNS_MAX], hash = 0;
    size_t columns;
    enum tm_code rc = tm_reader_take(a->own, o, a->all, &row, values, &columns, err);
    if (rc != TM_OK)
        return rc;
    for (size_t c = 0; c < columns; c++)
        hash ^= tm_vhash_mix(a->own->shown->objects[o->shown].names[c], values[c]);
    uint32_t r = tm_shown_find(a->followed->shown, o->shown, row.id);
    a->now.rows++;
    if (r == TM_SHOWN_NONE || r >= a->rows_count) {
        audit_differs(a, row.id); /* the follower had read up to this snapshot, and never saw it */
        return TM_OK;
    }
    uint8_t state = a->state[r];
    a->state[r] |= AUDIT_SEEN;
    if ((state & AUDIT_SEEN) != 0) {
        a->now.rows--;
        a->state[r] |= AUDIT_TWICE;
        if (a->now.duplicates++ == 0)
            snprintf(a->now.duplicate, sizeof a->now.duplicate, "%.18s", row.id);
    } else if ((state & AUDIT_LEFT_OUT) != 0) {
        a->now.left_out++;
    } else if ((state & AUDIT_PRESENT) == 0 || a->hash[r] != hash ||
               ((state & AUDIT_DIRTY) != 0) != row.dirty) {
        a->state[r] |= AUDIT_DIFFERS;
    }
    return TM_OK;
}

static void audit_add(struct tm_audit *a)
{
    struct tm_audit_read *t = &a->total;
    if (a->begun_count < TM_AUDIT_READS_MAX)
        a->begun_ns[a->begun_count++] = a->now.begun_ns;
    a->total_count++;
    t->begun_ns = a->now.begun_ns;
    t->rows += a->now.rows;
    t->left_out += a->now.left_out;
    if (t->differing == 0)
        memcpy(t->example, a->now.example, sizeof t->example);
    t->differing += a->now.differing;
    if (a->now.duplicates > t->duplicates) {
        t->duplicates = a->now.duplicates;
        memcpy(t->duplicate, a->now.duplicate, sizeof t->duplicate);
    }
}

/* The end of one: what differs, and what was not returned. */
static void audit_absent(struct tm_audit *a)
{
    const struct tm_shown *s = a->followed->shown;
    for (size_t r = 0; r < a->rows_count; r++) {
        unsigned absent = a->state[r] & (AUDIT_PRESENT | AUDIT_SEEN | AUDIT_LEFT_OUT);
        if (absent == AUDIT_PRESENT ||
            (a->state[r] & (AUDIT_DIFFERS | AUDIT_TWICE)) == AUDIT_DIFFERS)
            audit_differs(a, s->rows[r].id);
    }
    audit_add(a);
    audit_end(a);
}

enum tm_code tm_audit_slice(struct tm_audit *a, size_t rows_max, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t n = 0; rc == TM_OK && a->open && n < rows_max;) {
        bool more = false;
        if (a->object == a->own->objects_count) {
            audit_absent(a);
            break;
        }
        struct tm_reader_object *o = &a->own->objects[a->object];
        if (a->all == NULL) {
            free(o->map); /* made anew for each statement */
            o->map = NULL;
            tm_reader_prepare(a->own, &a->all, "SELECT * FROM ", o->name, "", "");
            if (a->all == NULL)
                rc = tm_fail(err, TM_E_IO, "%s: %s cannot be read: %s", a->own->path, o->name,
                             sqlite3_errmsg(a->own->db));
        }
        if (rc == TM_OK)
            rc = tm_sql_step(a->all, &more, err);
        if (rc == TM_OK && more) {
            rc = audit_row(a, o, err);
            n++;
        } else if (rc == TM_OK) {
            tm_sql_finalize(a->all);
            a->all = NULL;
            a->object++;
        }
    }
    if (rc != TM_OK)
        audit_end(a); /* busy or broken: this one does not count */
    return rc;
}
