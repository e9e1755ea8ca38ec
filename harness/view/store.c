#include "view/store.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define STORE_FORMAT "4"
#define STORE_SQL_BYTES_MAX (4u << 20)
#define STORE_NUMBERS 16 /* whole numbers of _objects, in order */
#define STORE_FIXED 9    /* bound before the fields: Id … _ask */

enum tm_code tm_view_store_create(sqlite3 *db, struct tm_err *err)
{
    int64_t ours = 0, any = 0;
    enum tm_code rc =
        tm_sql_int64(&ours, db, "SELECT count(*) FROM sqlite_master WHERE name='_view'", err);
    if (rc == TM_OK)
        rc = tm_sql_int64(&any, db, "SELECT count(*) FROM sqlite_master", err);
    if (rc != TM_OK)
        return rc;
    if (any > 0 && ours == 0)
        return tm_fail(err, TM_E_MISMATCH,
                       "%s is some other database: give the view a file of its own",
                       sqlite3_db_filename(db, "main"));
    if (ours > 0)
        rc = tm_sql_int64(
            &ours, db,
            "SELECT CAST(value AS TEXT)='" STORE_FORMAT "' FROM _view WHERE key='format'", err);
    if (rc == TM_OK && any > 0 && ours != 1)
        return tm_fail(
            err, TM_E_MISMATCH,
            "%s was written by another version of the view, in another format: remove it "
            "to start anew",
            sqlite3_db_filename(db, "main"));
    if (rc != TM_OK)
        return rc;
    rc = tm_sql_exec(
        db,
        "BEGIN IMMEDIATE;CREATE TABLE IF NOT EXISTS _view(key TEXT PRIMARY KEY, value) WITHOUT "
        "ROWID;"
        "INSERT OR IGNORE INTO _view VALUES('format'," STORE_FORMAT "),('seq',0);"
        "CREATE TABLE IF NOT EXISTS _objects(object TEXT PRIMARY KEY,raw_row INTEGER,alerts_row "
        "INTEGER,"
        "recon_row INTEGER,epoch INTEGER,overflow_epoch INTEGER,overflow INTEGER,conversion_epoch "
        "INTEGER,"
        "conversion INTEGER,whole_epoch INTEGER,whole INTEGER,range_epoch INTEGER,range INTEGER,"
        "key_epoch INTEGER,key_g INTEGER,key_seq INTEGER,copied_epoch INTEGER,raw_last TEXT,"
        "alerts_last TEXT,recon_last TEXT,key_read TEXT) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS _reads(object TEXT,read_id TEXT,PRIMARY KEY(object,read_id)) "
        "WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS _stars(object TEXT,position INTEGER,kind TEXT,epoch INTEGER,"
        "PRIMARY KEY(object,kind)) WITHOUT ROWID;COMMIT",
        err);
    if (rc != TM_OK && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

/* ---- shape ---- */

static void store_field_list(const struct tm_view_store *s, struct tm_buf *b, const char *each)
{
    for (size_t i = 0; i < s->shape->columns_count; i++) {
        tm_buf_addc(b, ',');
        tm_sql_ident(b, s->shape->columns[i].name);
        if (each != NULL)
            tm_buf_addf(b, each, i + STORE_FIXED + 1);
    }
}

static void store_view(const struct tm_view_store *s, struct tm_buf *b, const char *suffix)
{
    char name[TM_VIEW_NAME_MAX + 16];
    snprintf(name, sizeof name, "%s%s", s->shape->object, suffix);
    tm_buf_addz(b, "DROP VIEW IF EXISTS ");
    tm_sql_ident(b, name);
    tm_buf_addz(b, ";CREATE VIEW ");
    tm_sql_ident(b, name);
    tm_buf_addz(b, " AS ");
}

static enum tm_code store_relations(struct tm_view_store *s, struct tm_err *err)
{
    struct tm_buf b;
    tm_buf_init(&b, STORE_SQL_BYTES_MAX);
    store_view(s, &b, "");
    tm_buf_addz(&b, "SELECT \"Id\"");
    store_field_list(s, &b, NULL);
    tm_buf_addz(&b, ",\"_dirty\",\"_seq\" FROM ");
    tm_sql_ident(&b, s->table);
    tm_buf_addz(&b, " WHERE \"_shown\"=1;");
    store_view(s, &b, "_removed");
    tm_buf_addz(&b, "SELECT \"Id\",\"_seq\" FROM ");
    tm_sql_ident(&b, s->table);
    /* The plus keeps the index for whoever asks for what is new by _seq: of two lower bounds SQLite
     * takes one, and >0 is all of the table. */
    tm_buf_addz(&b, " WHERE \"_shown\"=0 AND +\"_seq\">0;");
    store_view(s, &b, "_dirty");
    tm_buf_addz(&b,
                "SELECT s.\"Id\" AS \"Id\",json_extract(d.value,'$[1]') AS "
                "position,json_extract(d.value,'$[0]') AS kind,"
                "s.\"_unknown\" AS \"_unknown\",json_extract(d.value,'$[2]') AS \"_epoch\" FROM ");
    tm_sql_ident(&b, s->table);
    tm_buf_addz(&b, " s,json_each(s.\"_dirt\") d WHERE s.\"_dirty\"=1 UNION ALL "
                    "SELECT '*',position,kind,NULL,epoch FROM _stars WHERE object=");
    tm_sql_literal(&b, s->shape->object);
    tm_buf_addc(&b, ';');
    enum tm_code rc = tm_buf_check(&b, "SQL", err);
    if (rc == TM_OK)
        rc = tm_sql_exec(s->db, tm_buf_text(&b), err);
    tm_buf_free(&b);
    return rc;
}

static enum tm_code store_prepare(struct tm_view_store *s, struct tm_err *err)
{
    struct tm_buf b;
    enum tm_code rc;
    tm_buf_init(&b, STORE_SQL_BYTES_MAX);
    tm_buf_addz(&b, "SELECT \"_row\",\"_shown\",\"_dirty\",\"_state\",\"_set\"");
    store_field_list(s, &b, NULL);
    tm_buf_addz(&b, " FROM ");
    tm_sql_ident(&b, s->table);
    tm_buf_addz(&b, " WHERE \"Id\"=?1");
    rc = tm_sql_prepare(&s->load, s->db, tm_buf_text(&b), err);
    tm_buf_reset(&b);
    tm_buf_addz(&b, "INSERT INTO ");
    tm_sql_ident(&b, s->table);
    tm_buf_addz(&b, "(\"Id\",\"_shown\",\"_dirty\",\"_seq\",\"_state\",\"_set\",\"_dirt\",\"_"
                    "unknown\",\"_ask\"");
    store_field_list(s, &b, NULL);
    tm_buf_addz(&b, ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9");
    for (size_t i = 0; i < s->shape->columns_count; i++)
        tm_buf_addf(&b, ",?%zu", i + STORE_FIXED + 1);
    tm_buf_addc(&b, ')');
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s->insert, s->db, tm_buf_text(&b), err);
    tm_buf_reset(&b);
    tm_buf_addz(&b, "UPDATE ");
    tm_sql_ident(&b, s->table);
    tm_buf_addz(&b, " SET "
                    "\"_shown\"=?2,\"_dirty\"=?3,\"_seq\"=coalesce(?4,\"_seq\"),\"_state\"=?5,\"_"
                    "set\"=?6,\"_dirt\"=?7,"
                    "\"_unknown\"=?8,\"_ask\"=?9");
    store_field_list(s, &b, "=?%zu");
    tm_buf_addz(&b, " WHERE \"_row\"=?1");
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s->update, s->db, tm_buf_text(&b), err);
    tm_buf_free(&b);
    return rc;
}

/* A new column is one more field that partial rows do not know (R12): their list of unknown fields
 * is written again. */
static enum tm_code store_refresh_partial(struct tm_view_store *s, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    struct tm_buf sql;
    tm_buf_init(&sql, STORE_SQL_BYTES_MAX);
    tm_buf_addz(&sql, "SELECT Id FROM ");
    tm_sql_ident(&sql, s->table);
    tm_buf_addz(&sql, " WHERE _dirty=1 AND _shown=1");
    rc = tm_sql_prepare(&stmt, s->db, tm_buf_text(&sql), err);
    tm_buf_free(&sql);
    while (rc == TM_OK && (rc = tm_sql_step(stmt, &row, err)) == TM_OK && row) {
        struct tm_view_record r;
        bool found;
        rc = tm_view_store_load(s, &r, &found, (const char *)sqlite3_column_text(stmt, 0), err);
        if (rc != TM_OK)
            break;
        rc = tm_view_store_save(s, &r, 0, err);
        tm_view_record_free(&r);
    }
    tm_sql_finalize(stmt);
    return rc;
}

/* Every statement that makes something has SQLite read the whole schema again: a table that is not
 * there yet is made with all its columns. */
static enum tm_code store_table(struct tm_view_store *s, struct tm_err *err)
{
    static const char *const indexes[][2] = { { "_seq", "(_seq)" },
                                              { "_dirty", "(_dirty) WHERE _dirty=1" },
                                              { "_ask", "(_ask) WHERE _ask=1" } };
    struct tm_buf b;
    tm_buf_init(&b, STORE_SQL_BYTES_MAX);
    tm_buf_addz(&b, "CREATE TABLE ");
    tm_sql_ident(&b, s->table);
    tm_buf_addz(&b, "(_row INTEGER PRIMARY KEY,Id TEXT NOT NULL UNIQUE,_shown INTEGER NOT "
                    "NULL,_dirty INTEGER NOT NULL,"
                    "_seq INTEGER NOT NULL,_state TEXT NOT NULL,_set TEXT,_dirt TEXT,_unknown "
                    "TEXT,_ask INTEGER");
    store_field_list(s, &b, NULL);
    tm_buf_addz(&b, ");");
    for (size_t i = 0; i < sizeof indexes / sizeof indexes[0]; i++) {
        char name[TM_VIEW_NAME_MAX + 32];
        snprintf(name, sizeof name, "%s%s", s->table, indexes[i][0]);
        tm_buf_addz(&b, "CREATE INDEX ");
        tm_sql_ident(&b, name);
        tm_buf_addz(&b, " ON ");
        tm_sql_ident(&b, s->table);
        tm_buf_addf(&b, "%s;", indexes[i][1]);
    }
    enum tm_code rc = tm_buf_check(&b, "SQL", err);
    if (rc == TM_OK)
        rc = tm_sql_exec(s->db, tm_buf_text(&b), err);
    tm_buf_free(&b);
    return rc;
}

/* Which columns of the shape the table has; `there`: it is there at all. */
static enum tm_code store_has(const struct tm_view_store *s, bool *has, bool *out_there,
                              struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_columns(&stmt, s->db, s->table, err);
    *out_there = false;
    while (rc == TM_OK && (rc = tm_sql_step(stmt, &row, err)) == TM_OK && row) {
        const char *name = (const char *)sqlite3_column_text(stmt, TM_SQL_COLUMN_NAME);
        *out_there = true;
        for (size_t i = 0; i < s->shape->columns_count; i++)
            has[i] |= strcasecmp(s->shape->columns[i].name, name) == 0;
    }
    tm_sql_finalize(stmt);
    return rc;
}

static enum tm_code store_add(const struct tm_view_store *s, const char *column, struct tm_err *err)
{
    struct tm_buf sql;
    tm_buf_init(&sql, STORE_SQL_BYTES_MAX);
    tm_buf_addz(&sql, "ALTER TABLE ");
    tm_sql_ident(&sql, s->table);
    tm_buf_addz(&sql, " ADD COLUMN ");
    tm_sql_ident(&sql, column);
    enum tm_code rc = tm_buf_check(&sql, "SQL", err);
    if (rc == TM_OK)
        rc = tm_sql_exec(s->db, tm_buf_text(&sql), err);
    tm_buf_free(&sql);
    return rc;
}

static bool store_all(const bool *has, size_t count)
{
    bool all = true;
    for (size_t i = 0; i < count; i++)
        all &= has[i];
    return all;
}

static enum tm_code store_drop_empty(const struct tm_view_store *s, bool *out_there,
                                     struct tm_err *err)
{
    struct tm_buf sql;
    int64_t rows = 0;
    tm_buf_init(&sql, STORE_SQL_BYTES_MAX);
    tm_buf_addz(&sql, "SELECT count(*) FROM (SELECT 1 FROM ");
    tm_sql_ident(&sql, s->table);
    tm_buf_addz(&sql, " LIMIT 1)");
    enum tm_code rc = tm_sql_int64(&rows, s->db, tm_buf_text(&sql), err);
    tm_buf_reset(&sql);
    tm_buf_addz(&sql, "DROP TABLE ");
    tm_sql_ident(&sql, s->table);
    if (rc == TM_OK && rows == 0)
        rc = tm_sql_exec(s->db, tm_buf_text(&sql), err);
    *out_there = rows > 0;
    tm_buf_free(&sql);
    return rc;
}

/* added: columns to a table that may have rows; changed: the relations must be made again. */
static enum tm_code store_columns(struct tm_view_store *s, bool *out_added, bool *out_changed,
                                  struct tm_err *err)
{
    size_t count = s->shape->columns_count;
    bool there = false, *has = calloc(count + 1, sizeof *has);
    if (has == NULL)
        return tm_fail(err, TM_E_NOMEM, "columns of %s", s->table);
    enum tm_code rc = store_has(s, has, &there, err);
    /* One without rows, as at the start, is made anew: columns come one statement each. */
    if (rc == TM_OK && there && !store_all(has, count))
        rc = store_drop_empty(s, &there, err);
    if (rc == TM_OK && !there)
        rc = store_table(s, err);
    for (size_t i = 0; i < count && rc == TM_OK && there; i++)
        if (!has[i]) {
            *out_added = true;
            rc = store_add(s, s->shape->columns[i].name, err);
        }
    *out_changed = !there || *out_added;
    free(has);
    return rc;
}

enum tm_code tm_view_store_shape(struct tm_view_store *s, sqlite3 *db,
                                 const struct tm_view_shape *shape, struct tm_err *err)
{
    bool added = false, changed = false;
    tm_view_store_close(s);
    s->db = db;
    s->shape = shape;
    snprintf(s->table, sizeof s->table, "_state_%s", shape->object);
    enum tm_code rc = store_columns(s, &added, &changed, err);
    if (rc == TM_OK && changed)
        rc = store_relations(s, err);
    if (rc == TM_OK)
        rc = store_prepare(s, err);
    if (rc == TM_OK && added)
        rc = store_refresh_partial(s, err);
    return rc;
}

void tm_view_store_close(struct tm_view_store *s)
{
    tm_sql_finalize(s->load);
    tm_sql_finalize(s->insert);
    tm_sql_finalize(s->update);
    memset(s, 0, sizeof *s);
}

/* ---- records ---- */

static void store_put_key(struct tm_buf *b, const struct tm_view_key *k)
{
    const int64_t numbers[] = { k->epoch, k->place, k->side, k->seq };
    for (size_t i = 0; tm_view_key_given(k) && i < sizeof numbers / sizeof numbers[0]; i++) {
        if (i > 0)
            tm_buf_addc(b, ' ');
        tm_buf_add_int(b, numbers[i]);
    }
    if (tm_view_key_given(k) && k->read != NULL) {
        tm_buf_addc(b, ' ');
        tm_buf_add_int(b, (int64_t)strlen(k->read));
        tm_buf_addc(b, ':');
        tm_buf_addz(b, k->read);
    }
    tm_buf_addc(b, ';');
}

/* Four numbers, and for an answer the length of its read's name and the name. `*read` is where that
 * goes, not terminated, NULL = none. */
static struct tm_view_key store_get_key(const char **p, const char **read, size_t *read_bytes)
{
    struct tm_view_key k = TM_VIEW_NONE;
    int64_t *const parts[] = { &k.epoch, &k.place, &k.side, &k.seq };
    for (size_t i = 0; i < 4 && **p != ';' && **p != '\0'; i++) {
        char *end;
        *parts[i] = strtoll(*p, &end, 10);
        *p = end;
    }
    *read = NULL;
    *read_bytes = 0;
    if (**p == ' ') {
        char *end;
        *read_bytes = (size_t)strtoull(*p, &end, 10);
        *read = end + (*end == ':');
        *read_bytes = strnlen(*read, *read_bytes);
        *p = *read + *read_bytes;
    }
    if (**p == ';')
        (*p)++;
    return k;
}

/* _state: life, full, the marks, commit time of the last update. */
static void store_state_text(struct tm_buf *b, const struct tm_view_record *r)
{
    store_put_key(b, &r->life);
    tm_buf_addc(b, r->full ? '1' : '0');
    for (int m = 0; m < TM_VIEW_MARKS; m++)
        store_put_key(b, &r->marks[m]);
    tm_buf_add_int(b, r->update_commit_ms);
}

static enum tm_code store_state_key(struct tm_view_key *key, char **owned, const char **p,
                                    struct tm_err *err)
{
    const char *read;
    size_t bytes;
    *key = store_get_key(p, &read, &bytes);
    if (read == NULL)
        return TM_OK;
    if (owned == NULL) /* an event's */
        return tm_fail(err, TM_E_MISMATCH, "_state holds a read's name where an event's place is");
    if ((*owned = strndup(read, bytes)) == NULL)
        return tm_fail(err, TM_E_NOMEM, "the name of a read");
    key->read = *owned;
    return TM_OK;
}

static enum tm_code store_state_read(struct tm_view_record *r, const char *p, struct tm_err *err)
{
    enum tm_code rc = store_state_key(&r->life, &r->life_read, &p, err);
    r->full = *p == '1';
    if (*p != '\0')
        p++;
    for (int m = 0; m < TM_VIEW_MARKS && rc == TM_OK; m++)
        rc = store_state_key(&r->marks[m], m == TM_VIEW_UNREADABLE ? &r->unreadable_read : NULL, &p,
                             err);
    r->update_commit_ms = strtoll(p, NULL, 10);
    return rc;
}

static void store_set_text(const struct tm_view_store *s, struct tm_buf *b,
                           const struct tm_view_record *r)
{
    for (size_t i = 0; i < r->cells_count; i++) {
        if (!tm_view_key_given(&r->cells[i].set))
            continue;
        tm_buf_addz(b, s->shape->columns[i].name);
        tm_buf_addc(b, '=');
        store_put_key(b, &r->cells[i].set);
    }
}

static void store_set_read(const struct tm_view_store *s, struct tm_view_record *r, const char *p)
{
    while (p != NULL && *p != '\0') {
        const char *read;
        size_t n = strcspn(p, "="), read_bytes;
        const char *name = p;
        p += n + (p[n] == '=');
        struct tm_view_key key = store_get_key(&p, &read, &read_bytes);
        for (size_t i = 0; i < r->cells_count; i++)
            if (strncmp(s->shape->columns[i].name, name, n) == 0 &&
                s->shape->columns[i].name[n] == '\0')
                r->cells[i].set = key;
    }
}

enum tm_code tm_view_store_load(struct tm_view_store *s, struct tm_view_record *out,
                                bool *out_found, const char *id, struct tm_err *err)
{
    bool row = false;
    enum tm_code rc = tm_view_record_init(out, id, s->shape->columns_count, err);
    if (rc != TM_OK)
        return rc;
    sqlite3_bind_text(s->load, 1, id, -1, SQLITE_STATIC);
    rc = tm_sql_step(s->load, &row, err);
    if (rc == TM_OK && row) {
        out->row = sqlite3_column_int64(s->load, 0);
        out->was_shown = sqlite3_column_int(s->load, 1) == 1;
        out->was_dirty = sqlite3_column_int(s->load, 2) == 1;
        rc = store_state_read(out, (const char *)sqlite3_column_text(s->load, 3), err);
        store_set_read(s, out, (const char *)sqlite3_column_text(s->load, 4));
        for (size_t i = 0; i < out->cells_count && rc == TM_OK; i++) {
            if (sqlite3_column_type(s->load, (int)i + 5) == SQLITE_NULL)
                continue;
            out->cells[i].value = sqlite3_value_dup(sqlite3_column_value(s->load, (int)i + 5));
            if (out->cells[i].value == NULL)
                rc = tm_fail(err, TM_E_NOMEM, "record %s", id);
        }
    }
    *out_found = row;
    sqlite3_reset(s->load);
    sqlite3_clear_bindings(s->load);
    if (rc != TM_OK)
        tm_view_record_free(out);
    return rc;
}

static const char *store_kind(enum tm_view_mark m)
{
    static const char *const kinds[] = { "gap", "diff", "no_base", "unreadable" };
    assert(m <= TM_VIEW_UNREADABLE);
    return kinds[m];
}

/* [["gap",17,0],…]: kind, position, epoch. */
static void store_dirt_text(struct tm_buf *b, const struct tm_view_record *r)
{
    for (int m = 0; m <= TM_VIEW_UNREADABLE; m++) {
        struct tm_view_key key;
        if (!tm_view_record_stands(r, (enum tm_view_mark)m, &key))
            continue;
        tm_buf_addf(b, "%s[\"%s\",%" PRId64 ",%" PRId64 "]", b->bytes > 0 ? "," : "[",
                    store_kind((enum tm_view_mark)m), key.place, key.epoch);
    }
    if (b->bytes > 0)
        tm_buf_addc(b, ']');
}

static void store_unknown_text(const struct tm_view_store *s, struct tm_buf *b,
                               const struct tm_view_record *r)
{
    if (!tm_view_record_partial(r))
        return;
    for (size_t i = 0; i < r->cells_count; i++) {
        if (tm_view_key_given(&r->cells[i].set))
            continue;
        tm_buf_addc(b, b->bytes > 0 ? ',' : '[');
        tm_buf_add_json_string(b, s->shape->columns[i].name, strlen(s->shape->columns[i].name));
    }
    if (b->bytes > 0)
        tm_buf_addc(b, ']');
}

static void store_bind_text(sqlite3_stmt *stmt, int index, const struct tm_buf *text)
{
    if (text->bytes > 0)
        sqlite3_bind_text(stmt, index, text->data, (int)text->bytes, SQLITE_STATIC);
    else
        sqlite3_bind_null(stmt, index);
}

enum tm_code tm_view_store_save(struct tm_view_store *s, struct tm_view_record *r, int64_t seq,
                                struct tm_err *err)
{
    struct tm_buf text[4];
    bool shown = tm_view_record_shown(r), dirty = tm_view_record_dirty(r);
    bool news = shown != r->was_shown || (shown && (r->changed || dirty != r->was_dirty));
    sqlite3_stmt *stmt = r->row != 0 ? s->update : s->insert;
    for (size_t i = 0; i < 4; i++)
        tm_buf_init(&text[i], STORE_SQL_BYTES_MAX);
    store_state_text(&text[0], r);
    store_set_text(s, &text[1], r);
    store_dirt_text(&text[2], r);
    store_unknown_text(s, &text[3], r);
    if (r->row != 0)
        sqlite3_bind_int64(stmt, 1, r->row);
    else
        sqlite3_bind_text(stmt, 1, r->id, -1, SQLITE_STATIC);
    sqlite3_bind_int(stmt, 2, shown);
    sqlite3_bind_int(stmt, 3, dirty);
    if (news && seq > 0)
        sqlite3_bind_int64(stmt, 4, seq);
    else if (r->row != 0)
        sqlite3_bind_null(stmt, 4);
    else
        sqlite3_bind_int64(stmt, 4, 0);
    for (int i = 0; i < 4; i++)
        store_bind_text(stmt, 5 + i, &text[i]);
    if (tm_view_record_needs_ask(r))
        sqlite3_bind_int(stmt, 9, 1);
    else
        sqlite3_bind_null(stmt, 9);
    for (size_t i = 0; i < r->cells_count; i++) {
        int at = (int)(i + STORE_FIXED + 1);
        if (r->cells[i].value != NULL)
            sqlite3_bind_value(stmt, at, r->cells[i].value);
        else
            sqlite3_bind_null(stmt, at);
    }
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < 4 && rc == TM_OK; i++)
        rc = tm_buf_check(&text[i], "a record's state", err);
    if (rc == TM_OK)
        rc = tm_sql_run(stmt, err);
    sqlite3_clear_bindings(stmt);
    if (rc == TM_OK) {
        r->row = r->row != 0 ? r->row : sqlite3_last_insert_rowid(s->db);
        r->was_shown = shown;
        r->was_dirty = dirty;
        r->changed = false;
    }
    for (size_t i = 0; i < 4; i++)
        tm_buf_free(&text[i]);
    return rc;
}

/* ---- objects ---- */

static int store_place_compare(const struct tm_view_place *a, const struct tm_view_place *b)
{
    if (a->epoch != b->epoch)
        return a->epoch > b->epoch ? 1 : -1;
    return (a->place > b->place) - (a->place < b->place);
}

void tm_view_object_whole(struct tm_view_object *o, const struct tm_view_key *key)
{
    snprintf(o->whole_read, sizeof o->whole_read, "%s", key->read != NULL ? key->read : "");
    o->whole_key = *key;
    o->whole_key.read = o->whole_read;
}

bool tm_view_object_copied(const struct tm_view_object *o)
{
    return o->copied.epoch >= 0 && o->copied.epoch >= o->epoch;
}

enum tm_code tm_view_store_object_load(sqlite3 *db, struct tm_view_object *out, const char *name,
                                       struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "%s", name);
    out->epoch = -1;
    out->overflow = out->conversion = out->whole = out->range = out->copied =
        (struct tm_view_place){ -1, -1 };
    out->whole_key = TM_VIEW_NONE;
    int64_t *const fields[STORE_NUMBERS] = { &out->rows_read[0],     &out->rows_read[1],
                                             &out->rows_read[2],     &out->epoch,
                                             &out->overflow.epoch,   &out->overflow.place,
                                             &out->conversion.epoch, &out->conversion.place,
                                             &out->whole.epoch,      &out->whole.place,
                                             &out->range.epoch,      &out->range.place,
                                             &out->whole_key.epoch,  &out->whole_key.place,
                                             &out->whole_key.seq,    &out->copied.epoch };
    enum tm_code rc =
        tm_sql_prepare(&stmt, db,
                       "SELECT raw_row,alerts_row,recon_row,epoch,overflow_epoch,overflow,"
                       "conversion_epoch,conversion,whole_epoch,whole,range_epoch,range,key_epoch,"
                       "key_g,key_seq,copied_epoch,raw_last,alerts_last,recon_last,key_read"
                       " FROM _objects WHERE object=?1",
                       err);
    if (rc == TM_OK) {
        sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
        rc = tm_sql_step(stmt, &row, err);
    }
    for (size_t i = 0; rc == TM_OK && row && i < STORE_NUMBERS; i++)
        *fields[i] = sqlite3_column_int64(stmt, (int)i);
    for (int t = 0; rc == TM_OK && row && t < TM_VIEW_TABLES; t++) {
        const char *last = (const char *)sqlite3_column_text(stmt, STORE_NUMBERS + t);
        snprintf(out->last[t], sizeof out->last[t], "%s", last != NULL ? last : "");
    }
    if (rc == TM_OK && row && tm_view_key_given(&out->whole_key)) {
        const struct tm_view_key key = tm_view_key_answer(
            out->whole_key.epoch, out->whole_key.place, out->whole_key.seq,
            (const char *)sqlite3_column_text(stmt, STORE_NUMBERS + TM_VIEW_TABLES));
        tm_view_object_whole(out, &key);
    }
    tm_sql_finalize(stmt);
    return rc;
}

/* Runs `sql` once with one text and some integers bound. */
static enum tm_code store_run(sqlite3 *db, const char *sql, const char *object,
                              const int64_t *numbers, size_t numbers_count, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    enum tm_code rc = tm_sql_prepare(&stmt, db, sql, err);
    if (rc == TM_OK) {
        sqlite3_bind_text(stmt, 1, object, -1, SQLITE_STATIC);
        for (size_t i = 0; i < numbers_count; i++)
            sqlite3_bind_int64(stmt, (int)i + 2, numbers[i]);
        rc = tm_sql_run(stmt, err);
    }
    tm_sql_finalize(stmt);
    return rc;
}

/* Position and epoch of one `*` row; epoch below 0 for a copy that nothing was seen of yet. */
#define STORE_STAR(kind)                                                                           \
    {                                                                                              \
        "INSERT OR REPLACE INTO _stars(object,position,kind,epoch) VALUES(?1,?2,'" kind            \
        "',max(?3,0))",                                                                            \
            "DELETE FROM _stars WHERE object=?1 AND kind='" kind "'"                               \
    }
enum { STORE_OVERFLOW, STORE_CONVERSION, STORE_COPY };
static const char *const store_stars[][2] = { STORE_STAR("overflow"), STORE_STAR("conversion"),
                                              STORE_STAR("copy") };

static enum tm_code store_star(sqlite3 *db, const char *object, int kind, bool stands,
                               int64_t epoch, int64_t position, struct tm_err *err)
{
    const int64_t numbers[] = { position, epoch };
    return store_run(db, store_stars[kind][stands ? 0 : 1], object, numbers, stands ? 2 : 0, err);
}

/* The row of _objects: numbers in the order of its columns, then what was read last. */
static enum tm_code store_object_put(sqlite3 *db, const struct tm_view_object *o,
                                     struct tm_err *err)
{
    const int64_t numbers[STORE_NUMBERS] = {
        o->rows_read[0],    o->rows_read[1],    o->rows_read[2],     o->epoch,
        o->overflow.epoch,  o->overflow.place,  o->conversion.epoch, o->conversion.place,
        o->whole.epoch,     o->whole.place,     o->range.epoch,      o->range.place,
        o->whole_key.epoch, o->whole_key.place, o->whole_key.seq,    o->copied.epoch
    };
    sqlite3_stmt *stmt = NULL;
    enum tm_code rc =
        tm_sql_prepare(&stmt, db,
                       "INSERT OR REPLACE INTO _objects VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,"
                       "?12,?13,?14,?15,?16,?17,?18,?19,?20,?21)",
                       err);
    if (rc == TM_OK) {
        sqlite3_bind_text(stmt, 1, o->name, -1, SQLITE_STATIC);
        for (int i = 0; i < STORE_NUMBERS; i++)
            sqlite3_bind_int64(stmt, i + 2, numbers[i]);
        for (int t = 0; t < TM_VIEW_TABLES; t++)
            sqlite3_bind_text(stmt, STORE_NUMBERS + 2 + t, o->last[t], -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, STORE_NUMBERS + 2 + TM_VIEW_TABLES, o->whole_key.read, -1,
                          SQLITE_STATIC);
        rc = tm_sql_run(stmt, err);
    }
    tm_sql_finalize(stmt);
    return rc;
}

enum tm_code tm_view_store_object_save(sqlite3 *db, const struct tm_view_object *o,
                                       struct tm_err *err)
{
    const struct tm_view_place *ends =
        store_place_compare(&o->whole, &o->range) >= 0 ? &o->whole : &o->range;
    enum tm_code rc = store_object_put(db, o, err);
    if (rc == TM_OK) /* R16: a range read repairs overflow, a whole read everything */
        rc = store_star(db, o->name, STORE_OVERFLOW,
                        o->overflow.epoch >= 0 && store_place_compare(&o->overflow, ends) > 0,
                        o->overflow.epoch, o->overflow.place, err);
    if (rc == TM_OK)
        rc = store_star(db, o->name, STORE_CONVERSION,
                        o->conversion.epoch >= 0 &&
                            store_place_compare(&o->conversion, &o->whole) > 0,
                        o->conversion.epoch, o->conversion.place, err);
    if (rc == TM_OK) /* R14 */
        rc = store_star(db, o->name, STORE_COPY, !tm_view_object_copied(o), o->epoch, 0, err);
    return rc;
}

enum tm_code tm_view_store_seq(sqlite3 *db, int64_t *out_next, struct tm_err *err)
{
    return tm_sql_int64(out_next, db,
                        "UPDATE _view SET value=value+1 WHERE key='seq' RETURNING value", err);
}
