#include "view/record.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int record_order(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

int tm_view_key_compare(const struct tm_view_key *a, const struct tm_view_key *b)
{
    int c = record_order(a->epoch, b->epoch);
    if (c == 0)
        c = record_order(a->place, b->place);
    if (c == 0)
        c = record_order(a->side, b->side);
    if (c == 0)
        c = record_order(a->seq, b->seq);
    if (c == 0 && a->read != b->read)
        c = strcmp(a->read != NULL ? a->read : "", b->read != NULL ? b->read : "");
    return c;
}

bool tm_view_key_given(const struct tm_view_key *k)
{
    return k->epoch >= 0;
}

struct tm_view_key tm_view_key_event(int64_t epoch, int64_t replay_id)
{
    return (struct tm_view_key){ epoch < 0 ? 0 : epoch, replay_id, 0, 0, NULL };
}

struct tm_view_key tm_view_key_answer(int64_t epoch, int64_t g, int64_t read_seq,
                                      const char *read_id)
{
    return (struct tm_view_key){ epoch < 0 ? 0 : epoch, g, 1, read_seq, read_id };
}

enum tm_code tm_view_record_init(struct tm_view_record *r, const char *id, size_t cells_count,
                                 struct tm_err *err)
{
    memset(r, 0, sizeof *r);
    r->life = TM_VIEW_NONE;
    for (int m = 0; m < TM_VIEW_MARKS; m++)
        r->marks[m] = TM_VIEW_NONE;
    r->cells_count = cells_count;
    r->id = strdup(id);
    r->cells = calloc(cells_count > 0 ? cells_count : 1, sizeof *r->cells);
    if (r->id == NULL || r->cells == NULL) {
        tm_view_record_free(r);
        return tm_fail(err, TM_E_NOMEM, "record %.18s", id);
    }
    for (size_t i = 0; i < cells_count; i++)
        r->cells[i].set = TM_VIEW_NONE;
    return TM_OK;
}

void tm_view_record_free(struct tm_view_record *r)
{
    for (size_t i = 0; r->cells != NULL && i < r->cells_count; i++)
        sqlite3_value_free(r->cells[i].value);
    free(r->cells);
    free(r->id);
    free(r->life_read);
    free(r->unreadable_read);
    memset(r, 0, sizeof *r);
}

static enum tm_code record_put(struct tm_view_cell *cell, sqlite3_value *value, struct tm_err *err)
{
    sqlite3_value *copy = NULL;
    if (value != NULL && sqlite3_value_type(value) != SQLITE_NULL) {
        copy = sqlite3_value_dup(value);
        if (copy == NULL)
            return tm_fail(err, TM_E_NOMEM, "a field's value");
    }
    sqlite3_value_free(cell->value);
    cell->value = copy;
    return TM_OK;
}

/* *at becomes `key`, its text a copy that `*text` owns. */
static enum tm_code record_keep(struct tm_view_key *at, char **text, const struct tm_view_key *key,
                                struct tm_err *err)
{
    char *copy = key->read != NULL ? strdup(key->read) : NULL;
    if (key->read != NULL && copy == NULL)
        return tm_fail(err, TM_E_NOMEM, "the name of a read");
    free(*text);
    *text = copy;
    *at = *key;
    at->read = copy;
    return TM_OK;
}

enum tm_code tm_view_record_life(struct tm_view_record *r, const struct tm_view_key *key,
                                 sqlite3_value *const *values, struct tm_err *err)
{
    assert(tm_view_key_given(key));
    /* R2, R9: an older one is hidden by what is there. R16: an image of the very read that the record
     * was removed by, for want of an answer, is that answer: its partition came to this file later
     * than the read was in force here. */
    int order = tm_view_key_compare(key, &r->life);
    if (order < 0 || (order == 0 && (values == NULL || r->full)))
        return TM_OK;
    enum tm_code kept = record_keep(&r->life, &r->life_read, key, err);
    if (kept != TM_OK)
        return kept;
    r->full = values != NULL;
    r->changed = true;
    for (size_t i = 0; i < r->cells_count; i++) {
        struct tm_view_cell *cell = &r->cells[i];
        if (tm_view_key_compare(&cell->set, key) > 0) /* R9: every event beyond g stays on top */
            continue;
        enum tm_code rc = record_put(cell, values != NULL ? values[i] : NULL, err);
        if (rc != TM_OK)
            return rc;
        cell->set = TM_VIEW_NONE;
    }
    return TM_OK;
}

enum tm_code tm_view_record_update(struct tm_view_record *r, const struct tm_view_key *key,
                                   int64_t commit_ms, const bool *named,
                                   sqlite3_value *const *values, struct tm_err *err)
{
    if (tm_view_key_compare(key, &r->life) <= 0)
        return TM_OK;
    if (!tm_view_key_given(&r->life) && !tm_view_key_given(&r->marks[TM_VIEW_UPDATE]))
        r->changed = true; /* R12: a row appears, even when it sets nothing */
    if (tm_view_key_compare(key, &r->marks[TM_VIEW_UPDATE]) > 0)
        r->update_commit_ms = commit_ms;
    tm_view_record_mark(r, TM_VIEW_UPDATE, key);
    for (size_t i = 0; i < r->cells_count; i++) {
        if (!named[i] || tm_view_key_compare(key, &r->cells[i].set) <= 0) /* R6; equal: R2 */
            continue;
        enum tm_code rc = record_put(&r->cells[i], values[i], err);
        if (rc != TM_OK)
            return rc;
        r->cells[i].set = *key;
        r->changed = true;
    }
    return TM_OK;
}

void tm_view_record_mark(struct tm_view_record *r, enum tm_view_mark mark,
                         const struct tm_view_key *key)
{
    assert(mark < TM_VIEW_MARKS && mark != TM_VIEW_UNREADABLE && key->read == NULL);
    if (tm_view_key_compare(key, &r->marks[mark]) > 0)
        r->marks[mark] = *key;
}

enum tm_code tm_view_record_unreadable(struct tm_view_record *r, const struct tm_view_key *key,
                                       struct tm_err *err)
{
    struct tm_view_key *at = &r->marks[TM_VIEW_UNREADABLE];
    return tm_view_key_compare(key, at) > 0 ? record_keep(at, &r->unreadable_read, key, err)
                                            : TM_OK;
}

bool tm_view_record_partial(const struct tm_view_record *r)
{
    return !tm_view_key_given(&r->life) && tm_view_key_given(&r->marks[TM_VIEW_UPDATE]);
}

bool tm_view_record_shown(const struct tm_view_record *r)
{
    return r->full || tm_view_record_partial(r);
}

static bool record_baseless(const struct tm_view_record *r)
{
    return !r->full && tm_view_key_given(&r->marks[TM_VIEW_UPDATE]) &&
           tm_view_key_compare(&r->marks[TM_VIEW_UPDATE], &r->life) > 0;
}

bool tm_view_record_stands(const struct tm_view_record *r, enum tm_view_mark mark,
                           struct tm_view_key *out)
{
    bool stands =
        tm_view_key_given(&r->marks[mark]) && tm_view_key_compare(&r->marks[mark], &r->life) >= 0;
    *out = r->marks[mark];
    if (mark == TM_VIEW_NO_BASE && record_baseless(r) &&
        (!stands || tm_view_key_compare(&r->marks[TM_VIEW_UPDATE], out) > 0)) {
        *out = r->marks[TM_VIEW_UPDATE]; /* R7, R12; a raised one stands by itself (R8) */
        stands = true;
    }
    return stands;
}

bool tm_view_record_dirty(const struct tm_view_record *r)
{
    struct tm_view_key key;
    for (int m = 0; m <= TM_VIEW_UNREADABLE; m++)
        if (tm_view_record_stands(r, (enum tm_view_mark)m, &key))
            return true;
    return false;
}

bool tm_view_record_needs_ask(const struct tm_view_record *r)
{
    return record_baseless(r) && tm_view_key_compare(&r->marks[TM_VIEW_ASKED], &r->life) <= 0 &&
           tm_view_key_compare(&r->marks[TM_VIEW_NO_BASE], &r->life) <= 0;
}
