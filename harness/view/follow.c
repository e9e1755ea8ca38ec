#include "view/follow.h"
#include "base/text.h"
#include "event/change.h"
#include "view/header.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLLOW_SQL_BYTES_MAX (4u << 20)
#define FOLLOW_ID_BYTES 64
/* Records kept from one step to the next: some 6 kB each, and the busy ones change all day. */
#define FOLLOW_KEPT_MAX 2048
enum { RAW_ROW, RAW_ID, RAW_REPLAY, RAW_EPOCH, RAW_HEADER, RAW_DIFF, RAW_FIELDS };
enum { ALERT_ROW, ALERT_ID, ALERT_REPLAY, ALERT_EPOCH, ALERT_KIND };
enum { RECON_ROW, RECON_ID, RECON_G, RECON_EPOCH, RECON_SEQ, RECON_KIND, RECON_READ, RECON_FIELDS };

/* ---- statements ---- */

static void follow_select(struct tm_view_follow *f, struct tm_buf *b, enum tm_view_table t)
{
    static const char *const position[] = { "\"ReplayId\"", "\"ReplayId\"", "\"_g\"" };
    tm_buf_addf(b, "SELECT r.rowid,r.\"Id\",CAST(r.%s AS INTEGER),", position[t]);
    tm_view_shape_epoch(&f->shape, b, t, "r");
    if (t == TM_VIEW_RAW)
        tm_buf_addf(b, ",r.\"ChangeEventHeader\",%s",
                    f->shape.has_diff ? "r.\"_DiffFields\"" : "NULL");
    else if (t == TM_VIEW_ALERTS)
        tm_buf_addz(b, ",r.\"_kind\"");
    else
        tm_buf_addz(b, ",CAST(r.\"_read_seq\" AS INTEGER),r.\"_kind\",r.\"_read_id\"");
    for (size_t i = 0; t != TM_VIEW_ALERTS && i < f->shape.columns_count; i++) {
        tm_buf_addc(b, ',');
        tm_view_shape_value(&f->shape, b, t, "r", i);
    }
    tm_buf_addz(b, " FROM ");
    tm_sql_ident(b, f->shape.tables[t]);
    tm_buf_addz(b, " r WHERE r.rowid>?1 ORDER BY r.rowid LIMIT ?2");
}

static void follow_select_name(struct tm_view_follow *f, struct tm_buf *b, enum tm_view_table t)
{
    tm_buf_addz(b, "SELECT ");
    tm_view_shape_place(&f->shape, b, t, "r");
    tm_buf_addz(b, " FROM ");
    tm_sql_ident(b, f->shape.tables[t]);
    tm_buf_addz(b, " r WHERE r.rowid=?1");
}

static void follow_finalize(struct tm_view_follow *f)
{
    for (int t = 0; t < TM_VIEW_TABLES; t++) {
        tm_sql_finalize(f->rows[t]);
        tm_sql_finalize(f->names[t]);
        f->rows[t] = f->names[t] = NULL;
    }
}

static enum tm_code follow_prepare(struct tm_view_follow *f, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    struct tm_buf b;
    follow_finalize(f);
    tm_buf_init(&b, FOLLOW_SQL_BYTES_MAX);
    for (int t = 0; t < TM_VIEW_TABLES && rc == TM_OK; t++) {
        if (!f->shape.there[t])
            continue;
        for (int which = 0; which < 2 && rc == TM_OK; which++) {
            tm_buf_reset(&b);
            (which == 0 ? follow_select : follow_select_name)(f, &b, (enum tm_view_table)t);
            rc = tm_buf_check(&b, "SQL", err);
            if (rc == TM_OK)
                rc = tm_sql_prepare(which == 0 ? &f->rows[t] : &f->names[t], f->raw,
                                    tm_buf_text(&b), err);
        }
    }
    tm_buf_free(&b);
    return rc;
}

/* What names the last row applied; *out_there false when there is no such row. */
static enum tm_code follow_last(struct tm_view_follow *f, char out[TM_VIEW_LAST_BYTES],
                                bool *out_there, int t, struct tm_err *err)
{
    *out_there = false;
    *out = '\0';
    if (f->names[t] == NULL)
        return TM_OK;
    sqlite3_bind_int64(f->names[t], 1, f->object.rows_read[t]);
    enum tm_code rc = tm_sql_step(f->names[t], out_there, err);
    if (rc == TM_OK && *out_there)
        snprintf(out, TM_VIEW_LAST_BYTES, "%s", (const char *)sqlite3_column_text(f->names[t], 0));
    sqlite3_reset(f->names[t]);
    return rc;
}

/* The last row applied is no longer there, or is another: this is not the raw.db that was
 * followed, and what it has below that row was never read. */
static enum tm_code follow_same_file(struct tm_view_follow *f, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (int t = 0; t < TM_VIEW_TABLES && rc == TM_OK; t++) {
        char last[TM_VIEW_LAST_BYTES];
        bool there;
        if (f->object.rows_read[t] == 0)
            continue;
        rc = follow_last(f, last, &there, t, err);
        if (rc == TM_OK && (!there || strcmp(last, f->object.last[t]) != 0))
            rc = tm_fail(err, TM_E_MISMATCH,
                         "%s is another database now: row %lld of %s is not the one that was "
                         "applied to %s; remove that to start anew",
                         sqlite3_db_filename(f->raw, "main"), (long long)f->object.rows_read[t],
                         f->shape.tables[t], sqlite3_db_filename(f->db, "main"));
    }
    return rc;
}

static void follow_forget(struct tm_view_follow *f)
{
    f->work.touched_count = 0;
    for (size_t i = 0; i < f->work.cap; i++) {
        if (f->work.slots[i] == NULL)
            continue;
        tm_view_record_free(f->work.slots[i]);
        free(f->work.slots[i]);
        f->work.slots[i] = NULL;
    }
    f->work.count = 0;
}

enum tm_code tm_view_follow_shape(struct tm_view_follow *f, struct tm_err *err)
{
    struct tm_view_shape shape;
    enum tm_code rc = tm_view_shape_read(&shape, f->raw, f->object.name, err);
    if (rc != TM_OK)
        return rc;
    follow_forget(f); /* what is kept has the columns of before */
    tm_view_store_close(&f->store);
    tm_view_shape_free(&f->shape);
    f->shape = shape;
    free(f->values);
    free(f->named);
    size_t n = shape.columns_count + 1;
    f->values = calloc(n, sizeof *f->values);
    f->named = calloc(2 * n, sizeof *f->named);
    f->diff = f->named != NULL ? f->named + n : NULL;
    if (f->values == NULL || f->named == NULL)
        return tm_fail(err, TM_E_NOMEM, "columns of %s", f->object.name);
    rc = tm_view_store_shape(&f->store, f->db, &f->shape, err);
    if (rc == TM_OK)
        rc = tm_view_store_object_save(f->db, &f->object, err);
    if (rc == TM_OK)
        rc = follow_prepare(f, err);
    return rc == TM_OK ? follow_same_file(f, err) : rc;
}

void tm_view_follow_forget(struct tm_view_follow *f)
{
    follow_forget(f);
}

enum tm_code tm_view_follow_reload(struct tm_view_follow *f, struct tm_err *err)
{
    char name[TM_VIEW_NAME_MAX];
    memcpy(name, f->object.name, sizeof name);
    follow_forget(f);
    return tm_view_store_object_load(f->db, &f->object, name, err);
}

enum tm_code tm_view_follow_open(struct tm_view_follow *f, sqlite3 *raw, sqlite3 *db,
                                 const char *object, struct tm_view_counts *counts,
                                 struct tm_err *err)
{
    memset(f, 0, sizeof *f);
    f->raw = raw;
    f->db = db;
    f->counts = counts;
    return tm_view_store_object_load(db, &f->object, object, err);
}

void tm_view_follow_close(struct tm_view_follow *f)
{
    follow_forget(f);
    free(f->work.slots);
    free(f->work.touched);
    follow_finalize(f);
    tm_view_store_close(&f->store);
    tm_view_shape_free(&f->shape);
    free(f->values);
    free(f->named);
    memset(f, 0, sizeof *f);
}

/* ---- the records at hand ---- */

static enum tm_code follow_grow(struct tm_view_work *w, struct tm_err *err)
{
    size_t cap = w->cap == 0 ? 1024 : w->cap * 2;
    struct tm_view_record **slots = calloc(cap, sizeof *slots);
    if (slots == NULL)
        return tm_fail(err, TM_E_NOMEM, "%zu records at hand", w->count);
    for (size_t i = 0; i < w->cap; i++) {
        if (w->slots[i] == NULL)
            continue;
        size_t at = tm_hash64(w->slots[i]->id, strlen(w->slots[i]->id), 0) & (cap - 1);
        while (slots[at] != NULL)
            at = (at + 1) & (cap - 1);
        slots[at] = w->slots[i];
    }
    free(w->slots);
    w->slots = slots;
    w->cap = cap;
    return TM_OK;
}

static enum tm_code follow_touch(struct tm_view_work *w, struct tm_view_record *r,
                                 struct tm_err *err)
{
    if (r->touched)
        return TM_OK;
    if (w->touched_count == w->touched_cap) {
        size_t cap = w->touched_cap == 0 ? 256 : w->touched_cap * 2;
        struct tm_view_record **touched = realloc(w->touched, cap * sizeof *touched);
        if (touched == NULL)
            return tm_fail(err, TM_E_NOMEM, "%zu records at hand", cap);
        w->touched = touched;
        w->touched_cap = cap;
    }
    w->touched[w->touched_count++] = r;
    r->touched = true;
    return TM_OK;
}

/* The record `id` as it is now: at hand since this step or one before, stored, or new. */
static enum tm_code follow_record(struct tm_view_follow *f, struct tm_view_record **out,
                                  const char *id, struct tm_err *err)
{
    struct tm_view_work *w = &f->work;
    bool found = false;
    enum tm_code rc = TM_OK;
    if (w->count * 2 >= w->cap && (rc = follow_grow(w, err)) != TM_OK)
        return rc;
    size_t at = tm_hash64(id, strlen(id), 0) & (w->cap - 1);
    for (; w->slots[at] != NULL; at = (at + 1) & (w->cap - 1))
        if (strcmp(w->slots[at]->id, id) == 0) {
            *out = w->slots[at];
            return follow_touch(w, *out, err);
        }
    struct tm_view_record *r = calloc(1, sizeof *r);
    if (r == NULL)
        return tm_fail(err, TM_E_NOMEM, "record %s", id);
    rc = tm_view_store_load(&f->store, r, &found, id, err);
    if (rc != TM_OK) {
        free(r);
        return rc;
    }
    w->slots[at] = r;
    w->count++;
    *out = r;
    rc = follow_touch(w, r, err);
    /* R16: no answer in a whole read is a removal */
    if (rc == TM_OK && !found && tm_view_key_given(&f->object.whole_key))
        rc = tm_view_record_life(r, &f->object.whole_key, NULL, err);
    return rc;
}

static enum tm_code follow_save(struct tm_view_follow *f, int64_t seq, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    struct tm_view_work *w = &f->work;
    for (size_t i = 0; i < w->touched_count && rc == TM_OK; i++) {
        rc = tm_view_store_save(&f->store, w->touched[i], seq, err);
        w->touched[i]->touched = false;
        f->counts->records++;
    }
    w->touched_count = 0;
    if (rc != TM_OK || w->count > FOLLOW_KEPT_MAX)
        follow_forget(f);
    return rc;
}

/* ---- raw rows ---- */

static void follow_place(struct tm_view_place *highest, const struct tm_view_key *key)
{
    if (key->epoch > highest->epoch ||
        (key->epoch == highest->epoch && key->place > highest->place))
        *highest = (struct tm_view_place){ key->epoch, key->place };
}

static bool follow_not_a_record(const char *id)
{
    return strcmp(id, TM_ID_OVERFLOW) == 0 || strchr(id, '*') != NULL;
}

static void follow_names(const struct tm_view_follow *f, bool *flags, struct tm_scan *array)
{
    const char *name;
    size_t bytes;
    while (tm_view_header_next(array, &name, &bytes)) {
        int column = tm_view_shape_find(&f->shape, name, bytes);
        /* else no column of the relation: a formula, say */
        if (column >= 0)
            flags[column] = true;
    }
}

struct follow_event {
    struct tm_view_header header;
    struct tm_view_key key;
    bool has_diff;
};

static enum tm_code follow_event(struct tm_view_follow *f, const struct follow_event *e,
                                 const char *id, struct tm_err *err)
{
    struct tm_view_record *r;
    const char *type = e->header.type;
    enum tm_code rc = follow_record(f, &r, id, err);
    if (rc != TM_OK)
        return rc;
    f->counts->events++;
    bool full = strcmp(type, "CREATE") == 0 || strcmp(type, "UNDELETE") == 0,
         update = strcmp(type, "UPDATE") == 0;
    if (full) /* R4 */
        rc = tm_view_record_life(r, &e->key, f->values, err);
    else if (update) /* R5, R6, R12 */
        rc = tm_view_record_update(r, &e->key, e->header.commit_ms, f->named, f->values, err);
    else if (strcmp(type, "DELETE") == 0 || strcmp(type, "GAP_DELETE") == 0) /* R7 */
        rc = tm_view_record_life(r, &e->key, NULL, err);
    else /* R8 */
        tm_view_record_mark(r, TM_VIEW_GAP, &e->key);
    if (e->has_diff && (full || update)) /* R5 */
        tm_view_record_mark(r, TM_VIEW_DIFF, &e->key);
    return rc;
}

/* R3; see sql_events in sql.c for why only the row of recordIds[0] speaks for the others. */
static enum tm_code follow_ids(struct tm_view_follow *f, struct follow_event *e, const char *own,
                               struct tm_err *err)
{
    const char *id;
    size_t bytes;
    bool head = tm_view_header_next(&e->header.ids, &id, &bytes) && strlen(own) == bytes &&
                memcmp(own, id, bytes) == 0;
    enum tm_code rc = follow_not_a_record(own) ? TM_OK : follow_event(f, e, own, err);
    while (rc == TM_OK && head && tm_view_header_next(&e->header.ids, &id, &bytes)) {
        char other[FOLLOW_ID_BYTES];
        if (bytes >= sizeof other)
            return tm_fail(err, TM_E_PROTO, "%s: a record id of %zu characters", f->object.name,
                           bytes);
        memcpy(other, id, bytes);
        other[bytes] = '\0';
        if (strcmp(other, own) != 0 && !follow_not_a_record(other))
            rc = follow_event(f, e, other, err);
    }
    return rc;
}

static enum tm_code follow_raw(struct tm_view_follow *f, sqlite3_stmt *row, struct tm_err *err)
{
    struct follow_event e = { .key = tm_view_key_event(sqlite3_column_int64(row, RAW_EPOCH),
                                                       sqlite3_column_int64(row, RAW_REPLAY)) };
    const char *id = (const char *)sqlite3_column_text(row, RAW_ID);
    const char *header = (const char *)sqlite3_column_text(row, RAW_HEADER);
    const char *diff = (const char *)sqlite3_column_text(row, RAW_DIFF);
    size_t n = f->shape.columns_count;
    if (e.key.epoch > f->object.epoch)
        f->object.epoch = e.key.epoch;
    if (id == NULL || header == NULL)
        return TM_OK; /* not a change event: nothing it could concern */
    enum tm_code rc =
        tm_view_header_read(&e.header, header, (size_t)sqlite3_column_bytes(row, RAW_HEADER), err);
    if (rc != TM_OK)
        return tm_at(err, "%s row %lld", f->shape.tables[TM_VIEW_RAW],
                     (long long)sqlite3_column_int64(row, RAW_ROW));
    if (strcmp(e.header.type, "GAP_OVERFLOW") == 0 || strcmp(id, TM_ID_OVERFLOW) == 0) {
        follow_place(&f->object.overflow, &e.key); /* R8 */
        return TM_OK;
    }
    if (strchr(id, '*') != NULL)
        follow_place(&f->object.conversion, &e.key); /* R8 */
    memset(f->named, 0, 2 * (n + 1) * sizeof *f->named);
    follow_names(f, f->named, &e.header.changed);
    if (diff != NULL && strcmp(diff, "[]") != 0) {
        struct tm_scan list = { diff, diff + strlen(diff) };
        e.has_diff = true;
        if (tm_scan_take(&list, '['))
            follow_names(f, f->diff, &list);
    }
    for (size_t i = 0; i < n; i++) {
        f->named[i] = f->named[i] && !f->diff[i];
        f->values[i] = sqlite3_column_value(row, RAW_FIELDS + (int)i);
    }
    return follow_ids(f, &e, id, err);
}

/* R8: a raised no_base or diff is dirt by itself. Asks of other kinds say nothing that raw rows do
 * not. */
static enum tm_code follow_alert(struct tm_view_follow *f, sqlite3_stmt *row, struct tm_err *err)
{
    struct tm_view_record *r;
    struct tm_view_key key = tm_view_key_event(sqlite3_column_int64(row, ALERT_EPOCH),
                                               sqlite3_column_int64(row, ALERT_REPLAY));
    const char *id = (const char *)sqlite3_column_text(row, ALERT_ID);
    const char *kind = (const char *)sqlite3_column_text(row, ALERT_KIND);
    if (key.epoch > f->object.epoch)
        f->object.epoch = key.epoch;
    if (id == NULL || kind == NULL || (strcmp(kind, "no_base") != 0 && strcmp(kind, "diff") != 0))
        return TM_OK;
    enum tm_code rc = follow_record(f, &r, id, err);
    if (rc == TM_OK)
        tm_view_record_mark(r, strcmp(kind, "diff") == 0 ? TM_VIEW_DIFF : TM_VIEW_NO_BASE, &key);
    return rc;
}

static enum tm_code follow_recon(struct tm_view_follow *f, sqlite3_stmt *row, struct tm_err *err)
{
    struct tm_view_record *r;
    const char *read_id = (const char *)sqlite3_column_text(row, RECON_READ);
    struct tm_view_key key = tm_view_key_answer(sqlite3_column_int64(row, RECON_EPOCH),
                                                sqlite3_column_int64(row, RECON_G),
                                                sqlite3_column_int64(row, RECON_SEQ), read_id);
    const char *id = (const char *)sqlite3_column_text(row, RECON_ID);
    const char *kind = (const char *)sqlite3_column_text(row, RECON_KIND);
    enum tm_code rc = TM_OK;
    if (key.epoch > f->object.epoch)
        f->object.epoch = key.epoch;
    if (read_id != NULL && (rc = tm_view_ids_add(&f->touched, read_id, err)) != TM_OK)
        return rc;
    if (kind == NULL)
        return TM_OK;
    if (strcmp(kind, "end") == 0)
        return tm_view_reads_pending(f->db, f->object.name, read_id, err);
    bool image = strcmp(kind, "image") == 0, unreadable = strcmp(kind, "unreadable") == 0;
    if (id == NULL || (!image && !unreadable && strcmp(kind, "removed") != 0))
        return TM_OK;
    rc = follow_record(f, &r, id, err);
    for (size_t i = 0; image && i < f->shape.columns_count; i++)
        f->values[i] = sqlite3_column_value(row, RECON_FIELDS + (int)i);
    if (rc == TM_OK && unreadable) /* R11 */
        rc = tm_view_record_unreadable(r, &key, err);
    else if (rc == TM_OK) /* R9, R11 */
        rc = tm_view_record_life(r, &key, image ? f->values : NULL, err);
    return rc;
}

static enum tm_code follow_table(struct tm_view_follow *f, enum tm_view_table t, size_t rows_max,
                                 size_t *out_rows, struct tm_err *err)
{
    sqlite3_stmt *stmt = f->rows[t];
    enum tm_code rc = TM_OK;
    bool row = false;
    *out_rows = 0;
    if (stmt == NULL)
        return TM_OK;
    sqlite3_bind_int64(stmt, 1, f->object.rows_read[t]);
    sqlite3_bind_int64(stmt, 2, (int64_t)rows_max);
    while (rc == TM_OK && (rc = tm_sql_step(stmt, &row, err)) == TM_OK && row) {
        rc = t == TM_VIEW_RAW      ? follow_raw(f, stmt, err)
             : t == TM_VIEW_ALERTS ? follow_alert(f, stmt, err)
                                   : follow_recon(f, stmt, err);
        f->object.rows_read[t] = sqlite3_column_int64(stmt, 0);
        (*out_rows)++;
    }
    sqlite3_reset(stmt);
    f->counts->rows += *out_rows;
    return rc == TM_OK && *out_rows > 0 ? follow_last(f, f->object.last[t], &row, (int)t, err) : rc;
}

/* R16: ids without an answer in a whole read are removed at its g. */
static enum tm_code follow_gone(struct tm_view_follow *f, const struct tm_view_read *read,
                                struct tm_err *err)
{
    struct tm_view_ids gone;
    enum tm_code rc =
        tm_view_reads_unanswered(&gone, f->raw, f->shape.tables[TM_VIEW_RECON], f->db,
                                 f->store.table, read->id, f->object.rows_read[TM_VIEW_RECON], err);
    for (size_t i = 0; rc == TM_OK && i < gone.count; i++) {
        struct tm_view_record *r;
        rc = follow_record(f, &r, gone.ids[i], err);
        if (rc == TM_OK)
            rc = tm_view_record_life(r, &read->key, NULL, err);
    }
    tm_view_ids_free(&gone);
    return rc;
}

static enum tm_code follow_read_ended(struct tm_view_follow *f, const struct tm_view_read *read,
                                      int64_t seq, struct tm_err *err)
{
    f->counts->reads++;
    follow_place(read->whole ? &f->object.whole : &f->object.range, &read->key);
    if (!read->whole)
        return TM_OK;
    if (tm_view_key_compare(&read->key, &f->object.whole_key) > 0)
        tm_view_object_whole(&f->object, &read->key);
    if (read->key.epoch > f->object.copied.epoch)
        f->object.copied.epoch = read->key.epoch;
    enum tm_code rc = follow_save(f, seq, err); /* the merge below reads what is stored */
    return rc == TM_OK ? follow_gone(f, read, err) : rc;
}

/* All that are in force by now: there may be no further answer to look again for. */
static enum tm_code follow_reads(struct tm_view_follow *f, int64_t seq, struct tm_err *err)
{
    struct tm_view_read reads[TM_VIEW_READS_MAX];
    size_t count = TM_VIEW_READS_MAX;
    enum tm_code rc = TM_OK;
    while (rc == TM_OK && count == TM_VIEW_READS_MAX) {
        rc = tm_view_reads_in_force(reads, TM_VIEW_READS_MAX, &count, &f->touched, f->raw,
                                    &f->shape, f->db, f->object.rows_read[TM_VIEW_RECON], err);
        for (size_t i = 0; i < count && rc == TM_OK; i++)
            rc = follow_read_ended(f, &reads[i], seq, err);
    }
    return rc;
}

enum tm_code tm_view_follow_apply(struct tm_view_follow *f, size_t rows_max, int64_t seq,
                                  size_t *out_rows, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    size_t rows[TM_VIEW_TABLES] = { 0 };
    *out_rows = 0;
    for (int t = 0; t < TM_VIEW_TABLES && rc == TM_OK; t++) {
        rc = follow_table(f, (enum tm_view_table)t, rows_max, &rows[t], err);
        *out_rows += rows[t];
    }
    uint64_t reads = f->counts->reads;
    if (rc == TM_OK && (rows[TM_VIEW_RECON] > 0 || f->shape.shared))
        rc = follow_reads(f, seq, err);
    tm_view_ids_free(&f->touched);
    if (rc == TM_OK)
        rc = follow_save(f, seq, err);
    if (rc == TM_OK && (*out_rows > 0 || f->counts->reads > reads))
        rc = tm_view_store_object_save(f->db, &f->object, err);
    return rc;
}
