#include "simulate/reader.h"
#include "base/text.h"
#include "event/contract.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READERS_MAX 256          /* that one history has */
#define READERS_KEPT 64          /* from histories before: some 2 MB each, and more hardly help */
#define READER_STATEMENTS_MAX 64 /* of one reader: of one history, and kept */
#define READER_SQL_BYTES_MAX (1u << 20)
#define READER_KEY_BYTES 17
static const char reader_none[] = "-- no such table\n";

struct reader_statement {
    uint64_t used; /* by this history last */
    char *text;
    sqlite3_stmt *stmt;
};
struct tm_sim_reader {
    uint64_t used;              /* by this history last */
    char key[READER_KEY_BYTES]; /* of text */
    char *text;                 /* the tables' SQL, then the views' */
    char object[TM_TOPIC_NAME_MAX];
    sqlite3 *db;
    char tables[TM_SIM_READER_TABLES][TM_TOPIC_NAME_MAX];
    char *wants[TM_SIM_READER_TABLES];         /* SQL on raw.db; NULL = no such table */
    sqlite3_stmt *put[TM_SIM_READER_TABLES];   /* one row */
    sqlite3_stmt *clear[TM_SIM_READER_TABLES]; /* all rows */
    int64_t copied[TM_SIM_READER_TABLES];      /* highest rowid it has of each */
    struct reader_statement statements[READER_STATEMENTS_MAX];
    size_t statements_count;
    struct tm_sim_flags flags;
};
static _Thread_local struct {
    struct tm_sim_reader *all[READERS_MAX];
    size_t count;
    uint64_t history; /* number of the one that runs */
} readers;

static void reader_close(struct tm_sim_reader *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->statements_count; i++)
        free(r->statements[i].text);
    for (size_t i = 0; i < TM_SIM_READER_TABLES; i++)
        free(r->wants[i]);
    tm_sql_close(r->db); /* and what was prepared */
    free(r->text);
    free(r);
}

static void reader_tables(char out[TM_SIM_READER_TABLES][TM_TOPIC_NAME_MAX], const char *object)
{
    static void (*const topics[TM_SIM_READER_TABLES])(char *, const char *) = {
        tm_contract_topic_raw, tm_contract_topic_alerts, tm_contract_topic_recon
    };
    for (size_t i = 0; i < TM_SIM_READER_TABLES; i++) {
        char topic[TM_TOPIC_NAME_MAX];
        topics[i](topic, object);
        tm_name_sanitize(out[i], TM_TOPIC_NAME_MAX, topic);
    }
}

static struct tm_sim_reader *reader_find(const char *key)
{
    for (size_t i = 0; i < readers.count; i++)
        if (strcmp(readers.all[i]->key, key) == 0) {
            readers.all[i]->used = readers.history;
            return readers.all[i];
        }
    return NULL;
}

/* Room for one more: of many, the one that was not used for longest goes, if not in this history.
 * So only a history that has too many itself finds none: NULL. */
static struct tm_sim_reader **reader_room(void)
{
    size_t oldest = 0;
    if (readers.count < READERS_KEPT)
        return &readers.all[readers.count];
    for (size_t i = 1; i < readers.count; i++)
        if (readers.all[i]->used < readers.all[oldest]->used)
            oldest = i;
    if (readers.all[oldest]->used < readers.history)
        return &readers.all[oldest];
    return readers.count < READERS_MAX ? &readers.all[readers.count] : NULL;
}

static void reader_put(struct tm_sim_reader **room, struct tm_sim_reader *r)
{
    if (*room == NULL)
        readers.count++;
    else
        reader_close(*room);
    *room = r;
}

/* The same for a statement of a reader's. */
static struct reader_statement *reader_statement_room(struct tm_sim_reader *r)
{
    struct reader_statement *oldest = &r->statements[0];
    if (r->statements_count < READER_STATEMENTS_MAX)
        return &r->statements[r->statements_count];
    for (size_t i = 1; i < r->statements_count; i++)
        if (r->statements[i].used < oldest->used)
            oldest = &r->statements[i];
    return oldest->used < readers.history ? oldest : NULL;
}

static void reader_statement_put(struct tm_sim_reader *r, struct reader_statement *room,
                                 const struct reader_statement *s)
{
    if (room == &r->statements[r->statements_count]) {
        r->statements_count++;
    } else {
        tm_sql_finalize(room->stmt);
        free(room->text);
    }
    *room = *s;
}

/* ---- one shape ---- */

/* The SQL of the tables as they are, and of the views over them. */
static enum tm_code reader_text(struct tm_buf *out, sqlite3 *raw, const char *object,
                                const char *sql, struct tm_err *err)
{
    char tables[TM_SIM_READER_TABLES][TM_TOPIC_NAME_MAX];
    sqlite3_stmt *s = NULL;
    reader_tables(tables, object);
    enum tm_code rc = tm_sql_prepare(
        &s, raw, "SELECT sql FROM sqlite_schema WHERE type='table' AND name=?1 COLLATE NOCASE",
        err);
    for (size_t i = 0; i < TM_SIM_READER_TABLES && rc == TM_OK; i++) {
        bool row = false;
        sqlite3_bind_text(s, 1, tables[i], -1, SQLITE_STATIC);
        rc = tm_sql_step(s, &row, err);
        if (rc == TM_OK && row) {
            tm_buf_addz(out, (const char *)sqlite3_column_text(s, 0));
            tm_buf_addz(out, ";\n");
        } else {
            tm_buf_addz(out, reader_none);
        }
        sqlite3_reset(s);
    }
    tm_sql_finalize(s);
    tm_buf_addz(out, sql);
    return rc == TM_OK ? tm_buf_check(out, "the SQL of a shape", err) : rc;
}

/* SELECT of a table's rows as raw.db has them, INSERT of one here; nothing where it is not. */
static enum tm_code reader_table(struct tm_sim_reader *r, size_t i, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    struct tm_buf columns, sql;
    size_t count = 0;
    bool row = false;
    tm_buf_init(&columns, READER_SQL_BYTES_MAX);
    tm_buf_init(&sql, READER_SQL_BYTES_MAX);
    enum tm_code rc = tm_sql_columns(&s, r->db, r->tables[i], err);
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row) {
        tm_buf_addc(&columns, ',');
        tm_sql_ident(&columns, (const char *)sqlite3_column_text(s, TM_SQL_COLUMN_NAME));
        count++;
    }
    tm_sql_finalize(s);
    if (rc != TM_OK || count == 0)
        goto done;
    tm_buf_addf(&sql, "SELECT rowid%s FROM ", tm_buf_text(&columns));
    tm_sql_ident(&sql, r->tables[i]);
    tm_buf_addz(&sql, " WHERE rowid>?1");
    rc = tm_buf_check(&sql, "SQL of a copy", err);
    if (rc == TM_OK && (r->wants[i] = strdup(tm_buf_text(&sql))) == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "SQL of a copy");
    tm_buf_reset(&sql);
    tm_buf_addz(&sql, "INSERT INTO ");
    tm_sql_ident(&sql, r->tables[i]);
    tm_buf_addf(&sql, "(rowid%s) VALUES(?", tm_buf_text(&columns));
    for (size_t k = 0; k < count; k++)
        tm_buf_addz(&sql, ",?");
    tm_buf_addc(&sql, ')');
    if (rc == TM_OK)
        rc = tm_sql_prepare(&r->put[i], r->db, tm_buf_text(&sql), err);
    tm_buf_reset(&sql);
    tm_buf_addz(&sql, "DELETE FROM ");
    tm_sql_ident(&sql, r->tables[i]);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&r->clear[i], r->db, tm_buf_text(&sql), err);
done:
    tm_buf_free(&columns);
    tm_buf_free(&sql);
    return rc;
}

static enum tm_code reader_open(struct tm_sim_reader **out, const char *key, const char *text,
                                const char *object, struct tm_err *err)
{
    struct tm_sim_reader *r = calloc(1, sizeof *r);
    enum tm_code rc = TM_OK;
    if (r == NULL || (r->text = strdup(text)) == NULL) {
        free(r);
        return tm_fail(err, TM_E_NOMEM, "a reader");
    }
    r->used = readers.history;
    memcpy(r->key, key, sizeof r->key);
    snprintf(r->object, sizeof r->object, "%s", object);
    reader_tables(r->tables, object);
    rc = tm_sql_open(&r->db, ":memory:", TM_SQL_CREATE, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(r->db, "PRAGMA journal_mode=OFF; PRAGMA secure_delete=0", err);
    if (rc == TM_OK && sqlite3_exec(r->db, text, NULL, NULL, NULL) != SQLITE_OK)
        rc = tm_fail(err, TM_E_ARG, "%s", sqlite3_errmsg(r->db));
    for (size_t i = 0; i < TM_SIM_READER_TABLES && rc == TM_OK; i++)
        rc = reader_table(r, i, err);
    if (rc != TM_OK) {
        reader_close(r);
        return rc;
    }
    *out = r;
    return TM_OK;
}

/* Eight bytes at a time: texts are long, and hashed whenever a table has come. */
static uint64_t reader_hash(const char *text, size_t bytes)
{
    uint64_t h = bytes, word = 0;
    for (size_t i = 0; i < bytes; i += sizeof word) {
        word = 0;
        memcpy(&word, text + i, bytes - i < sizeof word ? bytes - i : sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
        h ^= h >> 31;
    }
    return h;
}

enum tm_code tm_sim_reader_keep(struct tm_buf *out, sqlite3 *raw, const char *object,
                                const char *sql, struct tm_err *err)
{
    char key[READER_KEY_BYTES];
    struct tm_buf text;
    tm_buf_init(&text, READER_SQL_BYTES_MAX);
    enum tm_code rc = reader_text(&text, raw, object, sql, err);
    if (rc != TM_OK)
        goto done;
    snprintf(key, sizeof key, "%016" PRIx64, reader_hash(tm_buf_text(&text), text.bytes));
    struct tm_sim_reader *r = reader_find(key);
    assert(r == NULL || strcmp(r->text, tm_buf_text(&text)) == 0);
    struct tm_sim_reader **room = r == NULL ? reader_room() : NULL;
    if (r == NULL && room == NULL)
        rc = tm_fail(err, TM_E_LIMIT, "%d shapes of raw tables in one history", READERS_MAX);
    if (rc == TM_OK && r == NULL &&
        (rc = reader_open(&r, key, tm_buf_text(&text), object, err)) == TM_OK)
        reader_put(room, r);
    tm_buf_addz(out, "DROP VIEW IF EXISTS ");
    tm_sql_ident(out, object);
    tm_buf_addz(out, ";\nCREATE VIEW ");
    tm_sql_ident(out, object);
    tm_buf_addf(out, " AS SELECT '%s' AS kept;\n", key);
done:
    tm_buf_free(&text);
    return rc;
}

/* ---- asking ---- */

enum tm_code tm_sim_reader_of(struct tm_sim_reader **out, sqlite3 *raw, const char *object,
                              struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    struct tm_buf sql;
    bool row = false;
    *out = NULL;
    enum tm_code rc =
        tm_sql_prepare(&s, raw, "SELECT 1 FROM sqlite_schema WHERE type='view' AND name=?1", err);
    if (rc == TM_OK) {
        sqlite3_bind_text(s, 1, object, -1, SQLITE_STATIC);
        rc = tm_sql_step(s, &row, err);
    }
    tm_sql_finalize(s);
    if (rc != TM_OK || !row)
        return rc;
    s = NULL;
    tm_buf_init(&sql, READER_SQL_BYTES_MAX);
    tm_buf_addz(&sql, "SELECT kept FROM ");
    tm_sql_ident(&sql, object);
    rc = tm_sql_prepare(&s, raw, tm_buf_text(&sql), err);
    tm_buf_free(&sql);
    if (rc == TM_OK)
        rc = tm_sql_step(s, &row, err);
    if (rc == TM_OK && row)
        *out = reader_find((const char *)sqlite3_column_text(s, 0));
    tm_sql_finalize(s);
    assert(rc != TM_OK || *out != NULL);
    return rc;
}

enum tm_code tm_sim_reader_wants(sqlite3_stmt *out[TM_SIM_READER_TABLES],
                                 const struct tm_sim_reader *r, sqlite3 *raw, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < TM_SIM_READER_TABLES && rc == TM_OK; i++) {
        out[i] = NULL;
        if (r->wants[i] != NULL)
            rc = tm_sql_prepare(&out[i], raw, r->wants[i], err);
    }
    return rc;
}

/* Rows beyond the last one copied; from the first on where it is `anew`. */
static enum tm_code reader_copy(struct tm_sim_reader *r, size_t i, sqlite3_stmt *from, bool anew,
                                struct tm_err *err)
{
    bool row = false;
    enum tm_code rc = anew ? tm_sql_run(r->clear[i], err) : TM_OK;
    if (anew)
        r->copied[i] = 0;
    sqlite3_bind_int64(from, 1, r->copied[i]);
    while (rc == TM_OK && (rc = tm_sql_step(from, &row, err)) == TM_OK && row) {
        r->copied[i] = sqlite3_column_int64(from, 0);
        for (int k = 0; k < sqlite3_column_count(from); k++)
            sqlite3_bind_value(r->put[i], k + 1, sqlite3_column_value(from, k));
        rc = tm_sql_run(r->put[i], err);
    }
    sqlite3_reset(from);
    return rc;
}

enum tm_code tm_sim_reader_fill(struct tm_sim_reader *r, sqlite3_stmt *const rows[], bool anew,
                                struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < TM_SIM_READER_TABLES && rc == TM_OK; i++)
        if (rows[i] != NULL)
            rc = reader_copy(r, i, rows[i], anew, err);
    return rc == TM_OK ? rc : tm_at(err, "copying rows of %s", r->object);
}

sqlite3 *tm_sim_reader_db(const struct tm_sim_reader *r)
{
    return r->db;
}

enum tm_code tm_sim_reader_prepare(sqlite3_stmt **out, struct tm_sim_reader *r, const char *text,
                                   struct tm_err *err)
{
    for (size_t i = 0; i < r->statements_count; i++)
        if (strcmp(r->statements[i].text, text) == 0) {
            r->statements[i].used = readers.history;
            *out = r->statements[i].stmt;
            return TM_OK;
        }
    struct reader_statement *room = reader_statement_room(r), fresh = { .used = readers.history };
    if (room == NULL)
        return tm_fail(err, TM_E_LIMIT, "%d questions to one shape in one history",
                       READER_STATEMENTS_MAX);
    enum tm_code rc = tm_sql_prepare(&fresh.stmt, r->db, text, err);
    if (rc != TM_OK)
        return rc;
    fresh.text = strdup(text);
    if (fresh.text == NULL) {
        tm_sql_finalize(fresh.stmt);
        return tm_fail(err, TM_E_NOMEM, "a question");
    }
    *out = fresh.stmt;
    reader_statement_put(r, room, &fresh);
    return TM_OK;
}

enum tm_code tm_sim_reader_flags(struct tm_sim_flags *out, struct tm_sim_reader *r, sqlite3 *org,
                                 sqlite3_stmt *known, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    r->flags.known = known;
    if (r->flags.asked == NULL)
        rc = tm_sim_flags_prepare(&r->flags, r->db, org, r->object, err);
    else if (known == NULL)
        rc = tm_sim_flags_known(&r->flags.known, org, err);
    *out = r->flags;
    return rc;
}

void tm_sim_reader_done(void)
{
    readers.history++;
}
