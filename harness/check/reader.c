#include "check/reader_inner.h"
#include "check/given.h"
#include "check/vhash.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

/* Statement columns that are not field values. */
enum {
    MAP_SKIP = 0xffffff00u,
    MAP_ID,
    MAP_DIRTY,
    MAP_SEQ,
    MAP_KIND,
    MAP_G,
    MAP_EPOCH,
    MAP_ROWID,
    MAP_READ_ID,
    MAP_READ_SEQ,
    MAP_READ_KIND,
    MAP_PARTITION,
    MAP_PARTITIONS,
    MAP_COUNT
};

enum tm_code tm_reader_open(struct tm_reader **out, const char *path, bool raw,
                            const char *const *objects, size_t objects_count,
                            int64_t (*wall_ns)(void), struct tm_err *err)
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
    r->wall_ns = wall_ns;
    rc = tm_shown_open(&r->shown, err);
    for (size_t i = 0; rc == TM_OK && i < objects_count; i++) {
        rc = tm_shown_object(r->shown, objects[i], &r->objects[i].shown, err);
        if (rc == TM_OK)
            strcpy(r->objects[i].name, objects[i]);
        r->objects[i].until = (struct tm_arrival_cut){ INT64_MAX, INT64_MAX, INT64_MAX };
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

void tm_reader_written(struct tm_reader *r, uint64_t (*written)(void *self, const char *database),
                       void *self)
{
    r->written = written;
    r->written_self = self;
}

void tm_reader_close(struct tm_reader *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; r->objects != NULL && i < r->objects_count; i++)
        free(r->objects[i].map);
    tm_given_close(r->given);
    tm_sql_close(r->db);
    tm_shown_close(r->shown);
    free(r->objects);
    free(r->arrivals);
    free(r->reads_made);
    free(r->ends);
    free(r->values);
    free(r->images);
    free(r);
}

void tm_reader_prepare(struct tm_reader *r, sqlite3_stmt **stmt, const char *sql_head,
                       const char *name, const char *suffix, const char *sql_tail)
{
    struct tm_buf sql, table;
    if (*stmt != NULL)
        return;
    tm_buf_init(&sql, 4096);
    tm_buf_init(&table, 512);
    tm_buf_addf(&table, "%s%s", name, suffix);
    tm_buf_addz(&sql, sql_head);
    tm_sql_ident(&sql, tm_buf_text(&table));
    tm_buf_addz(&sql, sql_tail);
    if (sqlite3_prepare_v3(r->db, tm_buf_text(&sql), -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL) !=
        SQLITE_OK)
        *stmt = NULL;
    tm_buf_free(&sql);
    tm_buf_free(&table);
}

static enum tm_code reader_statements(struct tm_reader *r, struct tm_err *err)
{
    for (size_t i = 0; i < r->objects_count; i++) {
        struct tm_reader_object *o = &r->objects[i];
        if (r->raw) {
            tm_arrivals_prepare(r, o);
            continue;
        }
        if (o->found)
            continue;
        sqlite3_stmt *any = NULL;
        tm_reader_prepare(r, &any, "SELECT 1 FROM ", o->name, "", " LIMIT 0");
        if (any == NULL)
            continue;
        sqlite3_finalize(any);
        tm_reader_prepare(r, &o->rows, "SELECT * FROM ", o->name, "",
                          " WHERE _seq > ?1 ORDER BY _seq");
        if (o->rows == NULL)
            return tm_fail(err, TM_E_ARG,
                           "%s: relation \"%s\" has no _seq, so a live run cannot follow it; "
                           "add it, or check the finished warehouse with --relations",
                           r->path, o->name);
        tm_reader_prepare(r, &o->removed, "SELECT Id, _seq FROM ", o->name, "_removed",
                          " WHERE _seq > ?1 ORDER BY _seq");
        tm_reader_prepare(r, &o->star, "SELECT 1 FROM ", o->name, "_dirty",
                          " WHERE Id = '*' LIMIT 1");
        tm_reader_prepare(
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
        { "Id", MAP_ID },
        { "_dirty", MAP_DIRTY },
        { "_seq", MAP_SEQ },
        { "_kind", MAP_KIND },
        { "_g", MAP_G },
        { "_epoch", MAP_EPOCH },
        { "_rowid_", MAP_ROWID },
        { "_read_id", MAP_READ_ID },
        { "_read_seq", MAP_READ_SEQ },
        { "_read_kind", MAP_READ_KIND },
        { "_partition", MAP_PARTITION },
        { "_partitions", MAP_PARTITIONS },
        { "_count", MAP_COUNT },
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

static const char *reader_text(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text == NULL ? "" : text;
}

enum tm_code tm_reader_take(struct tm_reader *r, struct tm_reader_object *o, sqlite3_stmt *stmt,
                            struct tm_reader_row *out, uint64_t values[TM_SHOWN_COLUMNS_MAX],
                            size_t *out_count, struct tm_err *err)
{
    enum tm_code rc = reader_map(r, o, stmt, err);
    if (rc != TM_OK)
        return rc;
    *out_count = r->shown->objects[o->shown].columns_count;
    memset(values, 0, *out_count * sizeof *values);
    *out = (struct tm_reader_row){ .id = "", .kind = "", .read_id = "", .read_kind = "" };
    for (int c = 0; c < o->map_count; c++)
        switch (o->map[c]) {
        case MAP_SKIP: break;
        case MAP_ID: out->id = reader_text(stmt, c); break;
        case MAP_KIND: out->kind = reader_text(stmt, c); break;
        case MAP_READ_ID: out->read_id = reader_text(stmt, c); break;
        case MAP_READ_KIND: out->read_kind = reader_text(stmt, c); break;
        case MAP_DIRTY: out->dirty = sqlite3_column_int(stmt, c) != 0; break;
        case MAP_SEQ: out->seq = sqlite3_column_int64(stmt, c); break;
        case MAP_G: out->g = sqlite3_column_int64(stmt, c); break;
        case MAP_EPOCH: out->epoch = sqlite3_column_int64(stmt, c); break;
        case MAP_ROWID: out->rowid = sqlite3_column_int64(stmt, c); break;
        case MAP_READ_SEQ: out->read_seq = sqlite3_column_int64(stmt, c); break;
        case MAP_PARTITION: out->partition = sqlite3_column_int64(stmt, c); break;
        case MAP_PARTITIONS: out->partitions = sqlite3_column_int64(stmt, c); break;
        case MAP_COUNT: out->count = sqlite3_column_int64(stmt, c); break;
        default: values[o->map[c]] = tm_vhash_column(stmt, c); break;
        }
    return TM_OK;
}

static unsigned reader_flags(struct tm_reader_object *o, const struct tm_reader_row *row)
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
        struct tm_reader_row row;
        uint32_t index;
        size_t columns;
        bool one = false;
        rc = tm_reader_take(r, o, o->rows, &row, values, &columns, err);
        if (rc != TM_OK)
            break;
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
        o->starred = sqlite3_step(o->star) == SQLITE_ROW;
        sqlite3_reset(o->star);
        rc = tm_shown_star(r->shown, o->shown, o->starred, now_ns, err);
    }
    return rc;
}

enum tm_code tm_reader_connect(struct tm_reader *r, int64_t now_ns, struct tm_err *err)
{
    struct tm_err quiet = { 0 };
    if (r->db == NULL) {
        if (tm_sql_open(&r->db, r->path, TM_SQL_READ, &quiet) != TM_OK) {
            r->last_ns = now_ns;
            return TM_E_AGAIN;
        }
        r->version_seen = -1;
        /* a mapped file would only count as the witness's memory */
        sqlite3_exec(r->db, "PRAGMA mmap_size=0", NULL, NULL, NULL);
    }
    if (r->data_version == NULL)
        return tm_sql_prepare(&r->data_version, r->db, "PRAGMA data_version", err);
    return TM_OK;
}

enum tm_code tm_reader_begin(struct tm_reader *r, int64_t *out_ns, struct tm_err *err)
{
    bool row;
    enum tm_code rc = TM_OK;
    if (r->snapshot == NULL)
        rc = tm_sql_prepare(&r->snapshot, r->db, "SELECT 1 FROM sqlite_schema LIMIT 1", err);
    if (rc == TM_OK)
        rc = tm_sql_exec(r->db, "BEGIN", err);
    if (rc != TM_OK)
        return rc;
    rc = tm_sql_step(r->snapshot, &row, err);
    sqlite3_reset(r->snapshot);
    if (rc != TM_OK)
        sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL);
    *out_ns = r->wall_ns();
    return rc;
}

/* What is new, within a read transaction. */
static enum tm_code reader_follow(struct tm_reader *r, int64_t hi_ns, bool *changed,
                                  struct tm_err *err)
{
    enum tm_code rc = reader_statements(r, err);
    r->shown->reads++;
    for (size_t i = 0; rc == TM_OK && i < r->objects_count; i++) {
        struct tm_reader_object *o = &r->objects[i];
        if (r->raw)
            rc = tm_arrivals_read(r, o, hi_ns, changed, err);
        else if (o->rows != NULL)
            rc = reader_relation(r, o, hi_ns, changed, err);
    }
    return rc;
}

enum tm_code tm_reader_probe(struct tm_reader *r, int64_t now_ns, bool *out_changed,
                             struct tm_err *err)
{
    bool row = false;
    int64_t version = 0, hi_ns;
    if (r->given != NULL)
        return tm_given_probe(r, now_ns, out_changed, err);
    *out_changed = false;
    enum tm_code rc = tm_reader_connect(r, now_ns, err);
    if (rc != TM_OK)
        return rc;
    r->probes++;
    if (r->last_ns == 0)
        r->last_ns = now_ns;
    uint64_t written = r->written != NULL ? r->written(r->written_self, r->path) : 0;
    if (r->written != NULL && written == r->written_seen && r->version_seen != -1) {
        r->last_ns = now_ns;
        return TM_OK;
    }
    rc = tm_sql_step(r->data_version, &row, err);
    if (rc == TM_OK && row)
        version = sqlite3_column_int64(r->data_version, 0);
    sqlite3_reset(r->data_version);
    if (rc == TM_OK && version == r->version_seen) {
        r->written_seen = written;
        r->last_ns = now_ns;
        return TM_OK;
    }
    if (rc == TM_OK)
        rc = tm_reader_begin(r, &hi_ns, err);
    if (rc == TM_OK) {
        rc = reader_follow(r, hi_ns, out_changed, err);
        sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL);
    }
    r->reads++;
    if (rc == TM_E_AGAIN)
        r->busy++;
    if (rc == TM_OK) {
        r->version_seen = version;
        r->written_seen = written;
        r->last_ns = now_ns;
    }
    return rc;
}

enum tm_code tm_reader_again(struct tm_reader *r, size_t object, const struct tm_arrival_cut *until,
                             int64_t lo_ns, int64_t hi_ns, struct tm_err *err)
{
    struct tm_reader_object *o = &r->objects[object];
    bool ignored;
    assert(r->raw && object < r->objects_count);
    enum tm_code rc = tm_reader_connect(r, hi_ns, err);
    if (rc == TM_E_AGAIN)
        return tm_fail(err, TM_E_IO, "%s cannot be opened", r->path);
    if (rc != TM_OK)
        return rc;
    tm_arrivals_prepare(r, o);
    o->until = (struct tm_arrival_cut){
        until->raw > o->read.raw ? until->raw : o->read.raw,
        until->alerts > o->read.alerts ? until->alerts : o->read.alerts,
        until->recon > o->read.recon ? until->recon : o->read.recon,
    };
    r->last_ns = lo_ns;
    rc = tm_arrivals_read(r, o, hi_ns, &ignored, err);
    o->until = (struct tm_arrival_cut){ INT64_MAX, INT64_MAX, INT64_MAX };
    return rc;
}

/* Option 1: who is partial, and `*`, by one query; a view of X_dirty costs as much for one row as
 * for all. */
static enum tm_code reader_full_dirty(struct tm_reader *r, struct tm_reader_object *o,
                                      struct tm_full_read *out, struct tm_err *err)
{
    static const char *const partial =
        " WHERE Id = '*' OR (_unknown IS NOT NULL AND _unknown NOT IN ('', '[]', 0))";
    enum tm_code rc;
    bool more = false;
    sqlite3_stmt *dirty = NULL;
    tm_reader_prepare(r, &dirty, "SELECT Id FROM ", o->name, "_dirty", partial);
    if (dirty == NULL) /* without _unknown */
        tm_reader_prepare(r, &dirty, "SELECT Id FROM ", o->name, "_dirty", " WHERE Id = '*'");
    if (dirty == NULL)
        return TM_OK;
    o->starred = false;
    while ((rc = tm_sql_step(dirty, &more, err)) == TM_OK && more) {
        uint32_t row;
        const char *id = reader_text(dirty, 0);
        o->starred |= strcmp(id, "*") == 0;
        if (strlen(id) != 18)
            continue;
        rc = tm_shown_row(r->shown, o->shown, id, &row, err);
        if (rc != TM_OK)
            break;
        r->shown->rows[row].partial = r->shown->reads;
    }
    sqlite3_finalize(dirty);
    if (rc == TM_OK)
        rc = tm_shown_star(r->shown, o->shown, o->starred, out->begun_ns, err);
    out->starred[o->shown] = o->starred;
    out->dirty_known[o->shown] = rc == TM_OK;
    return rc;
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
    tm_reader_prepare(r, &all, "SELECT * FROM ", o->name, "", "");
    if (all == NULL)
        return TM_E_AGAIN;
    o->found = true;
    free(o->map);
    o->map = NULL;
    while ((rc = tm_sql_step(all, &more, err)) == TM_OK && more) {
        struct tm_reader_row row;
        uint32_t index;
        size_t columns;
        rc = tm_reader_take(r, o, all, &row, values, &columns, err);
        if (rc != TM_OK)
            break;
        rc = tm_shown_row(s, o->shown, row.id, &index, err);
        if (rc != TM_OK)
            break;
        if (s->rows[index].mark == mark) {
            if (out->duplicates++ == 0)
                snprintf(out->duplicate, sizeof out->duplicate, "%.18s", row.id);
            continue; /* the first one counts, or the two would look like changes */
        }
        unsigned flags = reader_flags(o, &row);
        if (r->raw && row.dirty && s->rows[index].partial == mark)
            flags |= TM_SHOWN_PARTIAL;
        rc = tm_shown_set(s, index, flags, values, columns, r->last_ns, out->begun_ns, row.seq,
                          &one, err);
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
        rc = tm_shown_set(s, i, 0, NULL, 0, r->last_ns, out->begun_ns, 0, &one, err);
        if (out->changed++ == 0)
            snprintf(out->example, sizeof out->example, "%.18s", s->rows[i].id);
    }
    return rc;
}

/* A full read of some relations only would be no snapshot: not before all are there. */
static enum tm_code reader_there(struct tm_reader *r)
{
    for (size_t i = 0; i < r->objects_count; i++) {
        sqlite3_stmt *any = NULL;
        tm_reader_prepare(r, &any, "SELECT 1 FROM ", r->objects[i].name, "", " LIMIT 0");
        if (any == NULL)
            return TM_E_AGAIN;
        sqlite3_finalize(any);
    }
    return TM_OK;
}

enum tm_code tm_reader_full(struct tm_reader *r, bool dirty_too, struct tm_full_read *out,
                            struct tm_err *err)
{
    int64_t before_ns = r->wall_ns();
    bool ignored;
    if (r->given != NULL)
        return tm_given_full(r, out, err);
    *out = (struct tm_full_read){ .begun_ns = before_ns };
    enum tm_code rc = tm_reader_connect(r, before_ns, err);
    if (r->last_ns == 0)
        r->last_ns = before_ns;
    if (rc == TM_OK)
        rc = tm_reader_begin(r, &out->begun_ns, err);
    if (rc != TM_OK)
        return rc;
    if (!r->raw)
        rc = reader_follow(r, out->begun_ns, &ignored, err);
    if (rc == TM_OK)
        rc = reader_there(r);
    r->shown->reads++;
    for (size_t i = 0; rc == TM_OK && i < r->objects_count; i++) {
        struct tm_reader_object *o = &r->objects[i];
        if (r->raw)
            tm_arrivals_cut(r, o->name, &out->cut[i]);
        if (r->raw && dirty_too)
            rc = reader_full_dirty(r, o, out, err);
        int64_t query_ns = r->wall_ns();
        if (rc == TM_OK)
            rc = reader_full_object(r, o, out, err);
        out->query_ns[i] = r->wall_ns() - query_ns;
        out->columns[i] = r->shown->objects[o->shown].columns_count;
    }
    sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL);
    if (rc == TM_OK)
        r->last_ns = before_ns;
    out->obs_last = (uint32_t)r->shown->obs_count;
    out->ok = rc == TM_OK;
    return rc;
}
