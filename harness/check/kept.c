#include "check/kept.h"
#include "base/buf.h"
#include "check/vhash.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_EVENT = 1, KEPT_STATE = 2 };
struct kept_work {
    const struct tm_truth *truth;
    const struct tm_match *m;
    const struct tm_shown *shown;
    const struct tm_reader *raw;
    uint8_t *have; /* by version: KEPT_EVENT: its own plain event; KEPT_STATE: the state as it is */
    uint32_t *by_replay; /* versions by replay id, then record; NULL without raw tables */
    uint32_t *by_state;  /* versions by record, then hash: a hot record is asked for often */
};

static const struct tm_coverage *kept_coverage(const struct kept_work *w, int truth_object)
{
    for (size_t i = 0; i < w->m->coverage_count; i++)
        if (w->m->coverage[i].truth == truth_object)
            return &w->m->coverage[i];
    return NULL;
}

struct kept_states {
    const struct tm_truth_version *versions;
    const uint64_t *hash; /* by version */
};

static int kept_state_order(const void *a, const void *b, void *data)
{
    const struct kept_states *of = data;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (of->versions[x].record != of->versions[y].record)
        return of->versions[x].record < of->versions[y].record ? -1 : 1;
    return (of->hash[x] > of->hash[y]) - (of->hash[x] < of->hash[y]);
}

static enum tm_code kept_states(struct kept_work *w, struct tm_err *err)
{
    size_t n = w->truth->versions_count;
    struct kept_states of = { w->truth->versions, w->m->version_hash };
    w->by_state = malloc((n + 1) * sizeof *w->by_state);
    if (w->by_state == NULL)
        return tm_fail(err, TM_E_NOMEM, "kept: %zu versions", n);
    for (size_t v = 0; v < n; v++)
        w->by_state[v] = (uint32_t)v;
    qsort_r(w->by_state, n, sizeof *w->by_state, kept_state_order, &of);
    return TM_OK;
}

/* Every version of the record that has this state. */
static void kept_state(struct kept_work *w, uint32_t record, uint64_t hash)
{
    const struct tm_truth_version *versions = w->truth->versions;
    size_t low = 0, high = w->truth->versions_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        uint32_t v = w->by_state[mid];
        if (versions[v].record < record ||
            (versions[v].record == record && w->m->version_hash[v] < hash))
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < w->truth->versions_count; low++) {
        uint32_t v = w->by_state[low];
        if (versions[v].record != record || w->m->version_hash[v] != hash)
            return;
        w->have[v] |= KEPT_STATE;
    }
}

/* ---- streams ---- */

/* By replay id, then record: a hot record has as many versions as events, each looked up once. */
static int kept_order(const void *a, const void *b, void *versions)
{
    const struct tm_truth_version
        *x = &((const struct tm_truth_version *)versions)[*(const uint32_t *)a],
        *y = &((const struct tm_truth_version *)versions)[*(const uint32_t *)b];
    if (x->replay_id != y->replay_id)
        return x->replay_id < y->replay_id ? -1 : 1;
    return x->record < y->record ? -1 : x->record > y->record;
}

static enum tm_code kept_index(struct kept_work *w, struct tm_err *err)
{
    size_t n = w->truth->versions_count;
    w->by_replay = malloc((n + 1) * sizeof *w->by_replay);
    if (w->by_replay == NULL)
        return tm_fail(err, TM_E_NOMEM, "kept: %zu versions", n);
    for (size_t v = 0; v < n; v++)
        w->by_replay[v] = (uint32_t)v;
    qsort_r(w->by_replay, n, sizeof *w->by_replay, kept_order, (void *)w->truth->versions);
    return TM_OK;
}

static void kept_event(struct kept_work *w, uint32_t record, const struct tm_arrival *a)
{
    const struct tm_truth_version *all = w->truth->versions;
    int64_t replay_id = a->position / 2;
    size_t low = 0, high = w->truth->versions_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct tm_truth_version *v = &all[w->by_replay[mid]];
        if (v->replay_id < replay_id || (v->replay_id == replay_id && v->record < record))
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < w->truth->versions_count; low++) {
        const struct tm_truth_version *version = &all[w->by_replay[low]];
        if (version->replay_id != replay_id || version->record != record)
            return;
        bool gone = tm_truth_is_gone(version->change);
        if ((a->txn == 0 || a->txn == version->txn) && version->event != TM_TRUTH_SILENT &&
            (version->event == TM_TRUTH_PLAIN || gone))
            w->have[w->by_replay[low]] |= KEPT_EVENT;
    }
}

static void kept_image(struct kept_work *w, uint32_t record, const struct tm_arrival *a)
{
    const struct tm_shown_object *theirs = &w->raw->shown->objects[a->object];
    int object = w->truth->records[record].object;
    const struct tm_coverage *c = kept_coverage(w, object);
    uint64_t hash = 0;
    for (uint32_t k = 0; k < a->values_count; k++) {
        int column = tm_truth_column(&w->truth->objects[object], theirs->columns[k]);
        uint32_t at = column < 0 ? TM_TRUTH_NONE : c->from_truth[column];
        if (at != TM_TRUTH_NONE)
            hash ^= tm_vhash_mix(at, w->raw->values[a->values_first + k]);
    }
    kept_state(w, record, hash <= 1 ? 2 : hash); /* as matching names a row */
}

static void kept_arrivals(struct kept_work *w)
{
    for (size_t i = 0; i < w->raw->arrivals_count; i++) {
        const struct tm_arrival *a = &w->raw->arrivals[i];
        if (a->row == TM_SHOWN_NONE)
            continue;
        const struct tm_shown_row *row = &w->raw->shown->rows[a->row];
        int object = tm_truth_object(w->truth, w->raw->shown->objects[row->object].name);
        uint32_t record = tm_truth_record(w->truth, object, row->id);
        if (record == TM_TRUTH_NONE || kept_coverage(w, object) == NULL)
            continue;
        if (a->kind == TM_ARRIVAL_EVENT)
            kept_event(w, record, a);
        else if (a->kind == TM_ARRIVAL_IMAGE)
            kept_image(w, record, a);
        else if (a->kind == TM_ARRIVAL_REMOVED)
            kept_state(w, record, 0);
    }
}

/* ---- polled copies ---- */

/* The row as it stood before the deletes its record ended with, which moved stamps of their own. */
static uint64_t kept_before(const struct kept_work *w, const struct tm_coverage *c, uint32_t record,
                            uint64_t *values)
{
    uint64_t hash = 0;
    uint32_t v = w->truth->records[record].last;
    for (; v != TM_TRUTH_NONE && tm_truth_is_gone(w->truth->versions[v].change);
         v = w->truth->versions[v].prev)
        for (uint32_t d = 0; d < w->truth->versions[v].delta_count; d++) {
            const struct tm_truth_delta *delta =
                &w->truth->deltas[w->truth->versions[v].delta_first + d];
            if (c->from_truth[delta->column] != TM_TRUTH_NONE)
                values[c->from_truth[delta->column]] =
                    delta->prev == TM_TRUTH_NONE ? 0 : w->truth->deltas[delta->prev].hash;
        }
    for (uint32_t k = 0; k < c->count; k++)
        hash ^= tm_vhash_mix(k, values[k]);
    return hash <= 1 ? 2 : hash; /* as matching names a row */
}

/* Rows of what is gone, kept with a flag: the last state before. */
static enum tm_code kept_flagged(struct kept_work *w, const struct tm_coverage *c, sqlite3 *db,
                                 struct tm_err *err)
{
    char name[100];
    struct tm_buf sql;
    sqlite3_stmt *q = NULL;
    bool row = false;
    const struct tm_truth_object *o = &w->truth->objects[c->truth];
    snprintf(name, sizeof name, "_all_%s", o->name);
    enum tm_code rc =
        tm_sql_prepare(&q, db, "SELECT 1 FROM sqlite_master WHERE type='table' AND name=?1", err);
    if (rc == TM_OK) {
        sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
        rc = tm_sql_step(q, &row, err);
    }
    sqlite3_finalize(q);
    if (rc != TM_OK || !row)
        return rc;
    tm_buf_init(&sql, 1024);
    tm_buf_addz(&sql, "SELECT * FROM ");
    tm_sql_ident(&sql, name);
    tm_buf_addz(&sql, " WHERE IsDeleted=1");
    q = NULL;
    rc = tm_sql_prepare(&q, db, tm_buf_text(&sql), err);
    tm_buf_free(&sql);
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        uint64_t values[TM_TRUTH_COLUMNS_MAX] = { 0 };
        uint32_t record = TM_TRUTH_NONE;
        for (int k = 0; k < sqlite3_column_count(q); k++) {
            const char *column = sqlite3_column_name(q, k);
            int at = tm_truth_column(o, column);
            if (strcmp(column, "Id") == 0 && sqlite3_column_text(q, k) != NULL)
                record =
                    tm_truth_record(w->truth, c->truth, (const char *)sqlite3_column_text(q, k));
            else if (at >= 0 && c->from_truth[at] != TM_TRUTH_NONE)
                values[c->from_truth[at]] = tm_vhash_column(q, k);
        }
        if (record != TM_TRUTH_NONE)
            kept_state(w, record, kept_before(w, c, record, values));
    }
    sqlite3_finalize(q);
    return rc;
}

/* ---- all ---- */

/* The rows as they stand: the newest version each equals. */
static void kept_standing(struct kept_work *w)
{
    for (uint32_t r = 0; r < w->shown->rows_count; r++) {
        const struct tm_shown_row *row = &w->shown->rows[r];
        int object = tm_truth_object(w->truth, w->shown->objects[row->object].name);
        if (row->last == TM_SHOWN_NONE || kept_coverage(w, object) == NULL)
            continue;
        const struct tm_seen *seen = &w->m->seen[row->last];
        if (seen->as == TM_SEEN_WHOLE && seen->version != TM_TRUTH_NONE)
            w->have[seen->version] |= KEPT_STATE;
    }
}

static bool kept_back(const struct kept_work *w, uint32_t v)
{
    const struct tm_truth_version *version = &w->truth->versions[v];
    uint32_t prev = version->prev;
    bool before = prev != TM_TRUTH_NONE && (w->have[prev] & KEPT_STATE) != 0;
    if ((w->have[v] & KEPT_STATE) != 0)
        return true;
    if (before && w->m->version_hash[prev] == w->m->version_hash[v])
        return true;
    return (w->have[v] & KEPT_EVENT) != 0 && (version->change != TM_TRUTH_UPDATE || before);
}

enum tm_code tm_kept_count(struct tm_kept *out, const struct tm_truth *truth,
                           const struct tm_match *m, const struct tm_shown *shown,
                           const struct tm_reader *raw, sqlite3 *database, struct tm_err *err)
{
    struct kept_work w = { .truth = truth, .m = m, .shown = shown, .raw = raw };
    enum tm_code rc = TM_OK;
    *out = (struct tm_kept){ .example = TM_TRUTH_NONE };
    w.have = calloc(truth->versions_count + 1, 1);
    if (w.have == NULL)
        return tm_fail(err, TM_E_NOMEM, "kept: %zu versions", truth->versions_count);
    kept_standing(&w);
    if (raw != NULL || database != NULL)
        rc = kept_states(&w, err);
    if (raw != NULL && rc == TM_OK)
        rc = kept_index(&w, err);
    if (raw != NULL && rc == TM_OK)
        kept_arrivals(&w);
    for (size_t i = 0; rc == TM_OK && database != NULL && i < m->coverage_count; i++)
        rc = kept_flagged(&w, &m->coverage[i], database, err);
    for (uint32_t v = 0; rc == TM_OK && v < m->samples_count; v++) { /* a record's in order */
        bool back = kept_back(&w, v);
        w.have[v] |= back ? KEPT_STATE : 0;
        if ((m->samples[v].flags & TM_SAMPLE_OF) == 0)
            continue;
        out->states++;
        out->lost += !back;
        if (!back && out->example == TM_TRUTH_NONE)
            out->example = v;
    }
    free(w.have);
    free(w.by_replay);
    free(w.by_state);
    return rc;
}
