#include "check/reader.h"
#include "check/vhash.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

/* Statement columns that are not field values. */
enum { MAP_SKIP = 0xfffffff0u, MAP_ID, MAP_DIRTY, MAP_SEQ, MAP_KIND, MAP_G, MAP_EPOCH, MAP_ROWID };

enum tm_code tm_reader_open(struct tm_reader **out, const char *path, bool raw,
                            const char *const *objects, size_t objects_count, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    struct tm_reader *r = calloc(1, sizeof *r);
    if (r == NULL || (r->objects = calloc(objects_count, sizeof *r->objects)) == NULL) {
        rc = tm_fail(err, TM_E_NOMEM, "reader of %s", path);
        goto done;
    }
    if (strlen(path) >= sizeof r->path) {
        rc = tm_fail(err, TM_E_ARG, "the path %.200s… is too long", path);
        goto done;
    }
    strcpy(r->path, path);
    r->raw = raw;
    rc = tm_shown_open(&r->shown, err);
    for (size_t i = 0; rc == TM_OK && i < objects_count; i++) {
        rc = tm_shown_object(r->shown, objects[i], &r->objects[i].shown, err);
        if (rc == TM_OK)
            strcpy(r->objects[i].name, objects[i]);
        r->objects_count = i + 1;
    }
    if (rc == TM_OK) {
        *out = r;
        r = NULL;
    }
done:
    tm_reader_close(r);
    return rc;
}

void tm_reader_close(struct tm_reader *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; r->objects != NULL && i < r->objects_count; i++)
        free(r->objects[i].map);
    tm_sql_close(r->db);
    tm_shown_close(r->shown);
    free(r->objects);
    free(r->arrivals);
    free(r->values);
    free(r->images);
    free(r);
}

/* Prepares when the relation is there; leaves *stmt NULL when it is not yet. */
static void reader_prepare(struct tm_reader *r, sqlite3_stmt **stmt, const char *prefix,
                           const char *name, const char *suffix, const char *rest)
{
    struct tm_buf sql, table;
    if (*stmt != NULL)
        return;
    tm_buf_init(&sql, 4096);
    tm_buf_init(&table, 512);
    tm_buf_addf(&table, "%s%s", name, suffix);
    tm_buf_addz(&sql, prefix);
    tm_sql_ident(&sql, tm_buf_text(&table));
    tm_buf_addz(&sql, rest);
    if (sqlite3_prepare_v3(r->db, tm_buf_text(&sql), -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL) !=
        SQLITE_OK)
        *stmt = NULL;
    tm_buf_free(&sql);
    tm_buf_free(&table);
}

static void reader_raw_table(char out[160], const char *prefix, const char *object,
                             const char *suffix)
{
    char lower[80];
    size_t i = 0;
    for (; object[i] != '\0' && i + 1 < sizeof lower; i++) {
        char c = object[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    lower[i] = '\0';
    snprintf(out, 160, "%s%s%s", prefix, lower, suffix);
}

static enum tm_code reader_statements(struct tm_reader *r, struct tm_err *err)
{
    for (size_t i = 0; i < r->objects_count; i++) {
        struct tm_reader_object *o = &r->objects[i];
        if (r->raw) {
            char raw[160], recon[160];
            reader_raw_table(raw, "sfdc_cdc_", o->name, "_raw");
            reader_raw_table(recon, "sfdc_recon_", o->name, "");
            reader_prepare(r, &o->raw, "SELECT rowid, Id, ReplayId, _DiffFields, _epoch FROM ", raw,
                           "", " WHERE rowid > ?1 ORDER BY rowid");
            reader_prepare(r, &o->recon, "SELECT rowid AS _rowid_, * FROM ", recon, "",
                           " WHERE rowid > ?1 ORDER BY rowid");
            o->found = o->raw != NULL;
            continue;
        }
        sqlite3_stmt *any = NULL;
        reader_prepare(r, &any, "SELECT 1 FROM ", o->name, "", " LIMIT 0");
        if (any == NULL)
            continue;
        sqlite3_finalize(any);
        reader_prepare(r, &o->rows, "SELECT * FROM ", o->name, "",
                       " WHERE _seq > ?1 ORDER BY _seq");
        if (o->rows == NULL)
            return tm_fail(err, TM_E_ARG,
                           "%s: relation \"%s\" has no _seq, so a live run cannot follow it; "
                           "add it, or check the finished warehouse with --relations",
                           r->path, o->name);
        reader_prepare(r, &o->removed, "SELECT Id, _seq FROM ", o->name, "_removed",
                       " WHERE _seq > ?1 ORDER BY _seq");
        reader_prepare(r, &o->star, "SELECT 1 FROM ", o->name, "_dirty", " WHERE Id = '*' LIMIT 1");
        reader_prepare(
            r, &o->unknown, "SELECT 1 FROM ", o->name, "_dirty",
            " WHERE Id = ?1 AND _unknown IS NOT NULL AND _unknown NOT IN ('', '[]', 0) LIMIT 1");
        o->found = true;
    }
    return TM_OK;
}

static unsigned reader_special(const char *name)
{
    static const struct {
        const char *name;
        unsigned code;
    } special[] = {
        { "Id", MAP_ID }, { "_dirty", MAP_DIRTY }, { "_seq", MAP_SEQ },      { "_kind", MAP_KIND },
        { "_g", MAP_G },  { "_epoch", MAP_EPOCH }, { "_rowid_", MAP_ROWID },
    };
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
        if (strcasecmp(name, special[i].name) == 0)
            return special[i].code;
    return name[0] == '_' ? MAP_SKIP : 0;
}

/* Which statement column is which field; made again whenever the relation grew a column. After the
 * first step. */
static enum tm_code reader_map(struct tm_reader *r, struct tm_reader_object *o, sqlite3_stmt *stmt,
                               struct tm_err *err)
{
    int count = sqlite3_column_count(stmt);
    int reprepared = sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_REPREPARE, 0);
    if (o->map != NULL && count == o->map_count && reprepared == o->map_reprepared)
        return TM_OK;
    uint32_t *map = realloc(o->map, (size_t)count * sizeof *map);
    if (map == NULL)
        return tm_fail(err, TM_E_NOMEM, "reader: columns of %s", o->name);
    o->map = map;
    o->map_count = count;
    o->map_reprepared = reprepared;
    for (int c = 0; c < count; c++) {
        const char *name = sqlite3_column_name(stmt, c);
        map[c] = reader_special(name);
        if (map[c] != 0)
            continue;
        enum tm_code rc = tm_shown_column(r->shown, o->shown, name, &map[c], err);
        if (rc != TM_OK)
            return rc;
    }
    return TM_OK;
}

struct reader_row {
    const char *id;
    const char *kind;
    bool dirty;
    int64_t seq, g, epoch, rowid;
};

static void reader_take(const struct tm_reader_object *o, sqlite3_stmt *stmt,
                        struct reader_row *out, uint64_t *values)
{
    *out = (struct reader_row){ .id = "", .kind = "" };
    for (int c = 0; c < o->map_count; c++)
        switch (o->map[c]) {
        case MAP_SKIP: break;
        case MAP_ID: out->id = (const char *)sqlite3_column_text(stmt, c); break;
        case MAP_KIND: out->kind = (const char *)sqlite3_column_text(stmt, c); break;
        case MAP_DIRTY: out->dirty = sqlite3_column_int(stmt, c) != 0; break;
        case MAP_SEQ: out->seq = sqlite3_column_int64(stmt, c); break;
        case MAP_G: out->g = sqlite3_column_int64(stmt, c); break;
        case MAP_EPOCH: out->epoch = sqlite3_column_int64(stmt, c); break;
        case MAP_ROWID: out->rowid = sqlite3_column_int64(stmt, c); break;
        default: values[o->map[c]] = tm_vhash_column(stmt, c); break;
        }
    if (out->id == NULL)
        out->id = "";
    if (out->kind == NULL)
        out->kind = "";
}

static unsigned reader_flags(struct tm_reader_object *o, const struct reader_row *row)
{
    unsigned flags = TM_SHOWN_PRESENT;
    if (!row->dirty)
        return flags;
    flags |= TM_SHOWN_DIRTY;
    if (o->unknown != NULL) {
        sqlite3_bind_text(o->unknown, 1, row->id, -1, SQLITE_TRANSIENT);
        if (sqlite3_step(o->unknown) == SQLITE_ROW)
            flags |= TM_SHOWN_PARTIAL;
        sqlite3_reset(o->unknown);
    }
    return flags;
}

static enum tm_code reader_removed(struct tm_reader *r, struct tm_reader_object *o, int64_t now_ns,
                                   bool *changed, int64_t *out_newest, struct tm_err *err)
{
    enum tm_code rc;
    bool more = false;
    if (o->removed == NULL)
        return TM_OK;
    int64_t newest = o->seq;
    sqlite3_bind_int64(o->removed, 1, o->seq);
    while ((rc = tm_sql_step(o->removed, &more, err)) == TM_OK && more) {
        uint32_t row;
        bool one = false;
        const char *id = (const char *)sqlite3_column_text(o->removed, 0);
        int64_t seq = sqlite3_column_int64(o->removed, 1);
        newest = seq > newest ? seq : newest;
        rc = tm_shown_row(r->shown, o->shown, id == NULL ? "" : id, &row, err);
        if (rc == TM_OK && r->shown->rows[row].seq < seq)
            rc = tm_shown_set(r->shown, row, 0, NULL, 0, r->last_ns, now_ns, seq, &one, err);
        if (rc != TM_OK)
            break;
        *changed |= one;
    }
    sqlite3_reset(o->removed);
    *out_newest = newest > *out_newest ? newest : *out_newest;
    return rc;
}

static enum tm_code reader_relation(struct tm_reader *r, struct tm_reader_object *o, int64_t now_ns,
                                    bool *changed, struct tm_err *err)
{
    enum tm_code rc;
    bool more = false;
    uint64_t values[TM_SHOWN_COLUMNS_MAX];
    int64_t newest = o->seq;
    sqlite3_bind_int64(o->rows, 1, o->seq);
    while ((rc = tm_sql_step(o->rows, &more, err)) == TM_OK && more) {
        struct reader_row row;
        uint32_t index;
        bool one = false;
        rc = reader_map(r, o, o->rows, err);
        if (rc != TM_OK)
            break;
        size_t columns = r->shown->objects[o->shown].columns_count;
        memset(values, 0, columns * sizeof *values);
        reader_take(o, o->rows, &row, values);
        newest = row.seq > newest ? row.seq : newest;
        rc = tm_shown_row(r->shown, o->shown, row.id, &index, err);
        if (rc == TM_OK)
            rc = tm_shown_set(r->shown, index, reader_flags(o, &row), values, columns, r->last_ns,
                              now_ns, row.seq, &one, err);
        if (rc != TM_OK)
            break;
        *changed |= one;
    }
    sqlite3_reset(o->rows);
    if (rc == TM_OK)
        rc = reader_removed(r, o, now_ns, changed, &newest, err);
    if (rc == TM_OK)
        o->seq = newest; /* an interrupted read is read again from where it began */
    if (rc == TM_OK && o->star != NULL) {
        bool star = sqlite3_step(o->star) == SQLITE_ROW;
        sqlite3_reset(o->star);
        if (star && !o->starred)
            o->star_since_ns = now_ns;
        if (!star && o->starred)
            o->star_ns += now_ns - o->star_since_ns;
        o->star_reads += star;
        o->starred = star;
    }
    return rc;
}

/* Copies bring the same image again and again: *out is where equal values are kept already, or
 * where new ones go. */
static enum tm_code reader_image(struct tm_reader *r, uint32_t row, const struct tm_arrival *a,
                                 const uint64_t *values, size_t *out, struct tm_err *err)
{
    if (row >= r->images_cap) {
        size_t cap = ((size_t)row + 1024) * 2;
        uint32_t *grown = realloc(r->images, cap * sizeof *grown);
        if (grown == NULL)
            return tm_fail(err, TM_E_NOMEM, "reader: images of %zu rows", cap);
        memset(grown + r->images_cap, 0, (cap - r->images_cap) * sizeof *grown);
        r->images = grown;
        r->images_cap = cap;
    }
    const struct tm_arrival *last = r->images[row] == 0 ? NULL : &r->arrivals[r->images[row] - 1];
    *out = r->values_count;
    if (last != NULL && last->values_count == a->values_count &&
        memcmp(r->values + last->values_first, values, a->values_count * sizeof *values) == 0)
        *out = last->values_first;
    r->images[row] = (uint32_t)r->arrivals_count + 1;
    return TM_OK;
}

static enum tm_code reader_arrival(struct tm_reader *r, struct tm_reader_object *o, const char *id,
                                   const struct tm_arrival *a, const uint64_t *values,
                                   struct tm_err *err)
{
    uint32_t row;
    enum tm_code rc = tm_shown_row(r->shown, o->shown, id, &row, err);
    if (rc != TM_OK)
        return rc;
    if (r->arrivals_count == r->arrivals_cap) {
        size_t cap = r->arrivals_cap == 0 ? 4096 : r->arrivals_cap * 2;
        void *grown = realloc(r->arrivals, cap * sizeof *r->arrivals);
        if (grown == NULL)
            return tm_fail(err, TM_E_NOMEM, "reader: %zu raw rows", cap);
        r->arrivals = grown;
        r->arrivals_cap = cap;
    }
    size_t first = r->values_count;
    if (a->values_count > 0 && (rc = reader_image(r, row, a, values, &first, err)) != TM_OK)
        return rc;
    bool store = a->values_count > 0 && first == r->values_count;
    if (store && r->values_count + a->values_count > r->values_cap) {
        size_t cap = (r->values_cap + a->values_count) * 2;
        void *grown = cap > UINT32_MAX ? NULL : realloc(r->values, cap * sizeof *r->values);
        if (grown == NULL)
            return tm_fail(err, TM_E_NOMEM, "reader: %zu values of images", cap);
        r->values = grown;
        r->values_cap = cap;
    }
    struct tm_arrival *mine = &r->arrivals[r->arrivals_count++];
    *mine = *a;
    mine->row = row;
    mine->values_first = (uint32_t)first;
    if (store) {
        memcpy(r->values + r->values_count, values, a->values_count * sizeof *values);
        r->values_count += a->values_count;
    }
    return TM_OK;
}

static enum tm_code reader_raw_rows(struct tm_reader *r, struct tm_reader_object *o, int64_t now_ns,
                                    bool *changed, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool more = false;
    if (o->raw == NULL)
        return TM_OK;
    sqlite3_bind_int64(o->raw, 1, o->raw_rowid);
    while ((rc = tm_sql_step(o->raw, &more, err)) == TM_OK && more) {
        const char *id = (const char *)sqlite3_column_text(o->raw, 1);
        const char *diff = (const char *)sqlite3_column_text(o->raw, 3);
        bool diffs = diff != NULL && diff[0] != '\0' && strcmp(diff, "[]") != 0;
        o->raw_rowid = sqlite3_column_int64(o->raw, 0);
        r->epoch_moved |= sqlite3_column_int64(o->raw, 4) > 0;
        if (id == NULL || strlen(id) != 18)
            continue; /* overflow and conversion name no record (R3) */
        struct tm_arrival a = { .lo_ns = r->last_ns,
                                .hi_ns = now_ns,
                                .rowid = o->raw_rowid,
                                .position = 2 * sqlite3_column_int64(o->raw, 2),
                                .kind = diffs ? TM_ARRIVAL_DIFF : TM_ARRIVAL_EVENT };
        rc = reader_arrival(r, o, id, &a, NULL, err);
        if (rc != TM_OK)
            break;
        *changed = true;
    }
    sqlite3_reset(o->raw);
    return rc;
}

static enum tm_code reader_recon_rows(struct tm_reader *r, struct tm_reader_object *o,
                                      int64_t now_ns, bool *changed, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool more = false;
    uint64_t values[TM_SHOWN_COLUMNS_MAX];
    if (o->recon == NULL)
        return TM_OK;
    sqlite3_bind_int64(o->recon, 1, o->recon_rowid);
    while ((rc = tm_sql_step(o->recon, &more, err)) == TM_OK && more) {
        struct reader_row row;
        rc = reader_map(r, o, o->recon, err);
        if (rc != TM_OK)
            break;
        size_t columns = r->shown->objects[o->shown].columns_count;
        memset(values, 0, columns * sizeof *values);
        reader_take(o, o->recon, &row, values);
        o->recon_rowid = row.rowid;
        r->epoch_moved |= row.epoch > 0;
        bool image = strcmp(row.kind, "image") == 0;
        if (strcmp(row.kind, "end") == 0 || strlen(row.id) != 18)
            continue;
        struct tm_arrival a = { .lo_ns = r->last_ns,
                                .hi_ns = now_ns,
                                .rowid = row.rowid,
                                .position = 2 * row.g + 1,
                                .values_count = image ? (uint16_t)columns : 0,
                                .kind = image ? TM_ARRIVAL_IMAGE
                                        : strcmp(row.kind, "removed") == 0
                                            ? TM_ARRIVAL_REMOVED
                                            : TM_ARRIVAL_UNREADABLE };
        rc = reader_arrival(r, o, row.id, &a, values, err);
        if (rc != TM_OK)
            break;
        *changed = true;
    }
    sqlite3_reset(o->recon);
    return rc;
}

static enum tm_code reader_connect(struct tm_reader *r, int64_t now_ns, struct tm_err *err)
{
    struct tm_err quiet = { 0 };
    if (r->db == NULL) {
        if (access(r->path, R_OK) != 0 ||
            tm_sql_open(&r->db, r->path, TM_SQL_READ, &quiet) != TM_OK) {
            r->last_ns = now_ns;
            return TM_E_AGAIN;
        }
        r->version_seen = -1;
    }
    if (r->data_version == NULL)
        return tm_sql_prepare(&r->data_version, r->db, "PRAGMA data_version", err);
    return TM_OK;
}

enum tm_code tm_reader_probe(struct tm_reader *r, int64_t now_ns, bool *out_changed,
                             struct tm_err *err)
{
    bool row = false;
    int64_t version = 0;
    *out_changed = false;
    enum tm_code rc = reader_connect(r, now_ns, err);
    if (rc != TM_OK)
        return rc;
    r->probes++;
    if (r->last_ns == 0)
        r->last_ns = now_ns;
    rc = tm_sql_step(r->data_version, &row, err);
    if (rc == TM_OK && row)
        version = sqlite3_column_int64(r->data_version, 0);
    sqlite3_reset(r->data_version);
    if (rc == TM_OK && version == r->version_seen) {
        r->last_ns = now_ns;
        return TM_OK;
    }
    if (rc == TM_OK)
        rc = tm_sql_exec(r->db, "BEGIN", err);
    if (rc == TM_OK) {
        rc = reader_statements(r, err);
        r->shown->reads++;
        for (size_t i = 0; rc == TM_OK && i < r->objects_count; i++) {
            struct tm_reader_object *o = &r->objects[i];
            if (r->raw) {
                rc = reader_raw_rows(r, o, now_ns, out_changed, err);
                if (rc == TM_OK)
                    rc = reader_recon_rows(r, o, now_ns, out_changed, err);
            } else if (o->rows != NULL) {
                rc = reader_relation(r, o, now_ns, out_changed, err);
            }
        }
        sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL);
    }
    r->reads++;
    if (rc == TM_E_AGAIN)
        r->busy++;
    if (rc == TM_OK) {
        r->version_seen = version;
        r->last_ns = now_ns;
    }
    return rc;
}

static int64_t reader_rowid_last(struct tm_reader *r, const char *prefix, const char *object,
                                 const char *suffix)
{
    char table[160];
    int64_t last = 0;
    sqlite3_stmt *stmt = NULL;
    reader_raw_table(table, prefix, object, suffix);
    reader_prepare(r, &stmt, "SELECT max(rowid) FROM ", table, "", "");
    if (stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW)
        last = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return last;
}

/* One object of a full read: its rows, then the absence of what was not returned. */
static enum tm_code reader_full_object(struct tm_reader *r, struct tm_reader_object *o,
                                       struct tm_full_read *out, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool more = false, one = false;
    uint64_t values[TM_SHOWN_COLUMNS_MAX];
    struct tm_shown *s = r->shown;
    sqlite3_stmt *all = NULL;
    uint64_t mark = s->reads;
    int64_t lo_ns = r->last_ns != 0 && r->last_ns < out->begun_ns ? r->last_ns : out->begun_ns;
    reader_prepare(r, &all, "SELECT * FROM ", o->name, "", "");
    if (all == NULL)
        return TM_E_AGAIN;
    o->found = true;
    free(o->map);
    o->map = NULL;
    while ((rc = tm_sql_step(all, &more, err)) == TM_OK && more) {
        struct reader_row row;
        uint32_t index;
        rc = reader_map(r, o, all, err);
        if (rc != TM_OK)
            break;
        size_t columns = s->objects[o->shown].columns_count;
        memset(values, 0, columns * sizeof *values);
        reader_take(o, all, &row, values);
        rc = tm_shown_row(s, o->shown, row.id, &index, err);
        unsigned flags =
            r->raw ? TM_SHOWN_PRESENT | (row.dirty ? TM_SHOWN_DIRTY : 0u) : reader_flags(o, &row);
        if (rc == TM_OK)
            rc = tm_shown_set(s, index, flags, values, columns, lo_ns, out->begun_ns, row.seq, &one,
                              err);
        if (rc != TM_OK)
            break;
        s->rows[index].mark = mark;
        out->rows++;
        if (one && out->changed++ == 0)
            snprintf(out->example, sizeof out->example, "%.18s", row.id);
    }
    sqlite3_finalize(all);
    free(o->map);
    o->map = NULL;
    for (uint32_t i = 0; rc == TM_OK && i < s->rows_count; i++) {
        if (s->rows[i].object != o->shown || s->rows[i].mark == mark ||
            (s->rows[i].flags & TM_SHOWN_PRESENT) == 0)
            continue;
        rc = tm_shown_set(s, i, 0, NULL, 0, lo_ns, out->begun_ns, 0, &one, err);
        if (out->changed++ == 0)
            snprintf(out->example, sizeof out->example, "%.18s", s->rows[i].id);
    }
    return rc;
}

enum tm_code tm_reader_full(struct tm_reader *r, int64_t (*wall_ns)(void), struct tm_full_read *out,
                            struct tm_err *err)
{
    *out = (struct tm_full_read){ .begun_ns = wall_ns() };
    enum tm_code rc = reader_connect(r, out->begun_ns, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(r->db, "BEGIN", err);
    if (rc != TM_OK)
        return rc;
    out->begun_ns = wall_ns();
    r->shown->reads++;
    for (size_t i = 0; rc == TM_OK && i < r->objects_count; i++) {
        struct tm_reader_object *o = &r->objects[i];
        if (r->raw) {
            out->raw_rowid[i] = reader_rowid_last(r, "sfdc_cdc_", o->name, "_raw");
            out->recon_rowid[i] = reader_rowid_last(r, "sfdc_recon_", o->name, "");
        }
        int64_t before = wall_ns();
        rc = reader_full_object(r, o, out, err);
        out->query_ns[i] = wall_ns() - before;
    }
    sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL);
    out->obs_last = (uint32_t)r->shown->obs_count;
    out->ok = rc == TM_OK;
    return rc;
}

void tm_reader_stars(struct tm_reader *r)
{
    for (size_t i = 0; r->db != NULL && i < r->objects_count; i++) {
        struct tm_reader_object *o = &r->objects[i];
        sqlite3_stmt *star = NULL;
        reader_prepare(r, &star, "SELECT 1 FROM ", o->name, "_dirty", " WHERE Id = '*' LIMIT 1");
        o->starred = star != NULL && sqlite3_step(star) == SQLITE_ROW;
        sqlite3_finalize(star);
    }
}

int64_t tm_reader_starred_rows(const struct tm_reader *r)
{
    int64_t rows = 0;
    for (size_t i = 0; i < r->objects_count; i++)
        for (size_t k = 0; r->objects[i].starred && k < r->shown->rows_count; k++) {
            const struct tm_shown_row *row = &r->shown->rows[k];
            rows += row->object == r->objects[i].shown &&
                    (row->flags & (TM_SHOWN_PRESENT | TM_SHOWN_DIRTY)) == TM_SHOWN_PRESENT;
        }
    return rows;
}
