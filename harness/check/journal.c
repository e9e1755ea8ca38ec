#include "check/journal.h"
#include "check/plan.h"
#include "check/reader_inner.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
#define JOURNAL_SCHEMA \
    "CREATE TABLE IF NOT EXISTS state(pipeline INTEGER PRIMARY KEY, last_ns INTEGER NOT NULL);" \
    "CREATE TABLE IF NOT EXISTS shown_column(pipeline INTEGER, object INTEGER, number INTEGER," \
    " name TEXT NOT NULL, PRIMARY KEY(pipeline, object, number)) WITHOUT ROWID;" \
    /* deltas: struct tm_shown_delta, as many as changed */ \
    "CREATE TABLE IF NOT EXISTS obs(pipeline INTEGER, number INTEGER, object INTEGER," \
    " id TEXT NOT NULL, lo_ns INTEGER, hi_ns INTEGER, seq INTEGER, flags INTEGER," \
    " read INTEGER, deltas BLOB, PRIMARY KEY(pipeline, number)) WITHOUT ROWID;" \
    "CREATE TABLE IF NOT EXISTS star(pipeline INTEGER, number INTEGER, object INTEGER," \
    " from_ns INTEGER, until_ns INTEGER, PRIMARY KEY(pipeline, number)) WITHOUT ROWID;" \
    /* option 1: up to this row of the table (0 raw, 1 alerts, 2 recon) by one look */ \
    "CREATE TABLE IF NOT EXISTS arrival(pipeline INTEGER, number INTEGER, object INTEGER," \
    " of_table INTEGER, last_rowid INTEGER, lo_ns INTEGER, hi_ns INTEGER," \
    " PRIMARY KEY(pipeline, number)) WITHOUT ROWID;"
/* clang-format on */

struct tm_journal {
    sqlite3 *db;
    sqlite3_stmt *state, *column, *obs, *star, *arrival;
    struct tm_journal_saved saved[TM_PLAN_PIPELINES_MAX];
};

enum tm_code tm_journal_open(struct tm_journal **out, const char *path, struct tm_err *err)
{
    struct tm_journal *j = calloc(1, sizeof *j);
    if (j == NULL)
        return tm_fail(err, TM_E_NOMEM, "journal %s", path);
    enum tm_code rc = tm_sql_open(&j->db, path, TM_SQL_CREATE, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(j->db, JOURNAL_SCHEMA, err);
    struct {
        sqlite3_stmt **stmt;
        const char *sql;
    } all[] = { { &j->state, "INSERT OR REPLACE INTO state VALUES(?1,?2)" },
                { &j->column, "INSERT OR REPLACE INTO shown_column VALUES(?1,?2,?3,?4)" },
                { &j->obs, "INSERT INTO obs VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)" },
                { &j->star, "INSERT OR REPLACE INTO star VALUES(?1,?2,?3,?4,?5)" },
                { &j->arrival, "INSERT INTO arrival VALUES(?1,?2,?3,?4,?5,?6,?7)" } };
    for (size_t i = 0; rc == TM_OK && i < sizeof all / sizeof all[0]; i++)
        rc = tm_sql_prepare(all[i].stmt, j->db, all[i].sql, err);
    if (rc != TM_OK) {
        tm_journal_close(j);
        return tm_at(err, "the witness's journal");
    }
    *out = j;
    return TM_OK;
}

void tm_journal_close(struct tm_journal *j)
{
    if (j == NULL)
        return;
    sqlite3_stmt *all[] = { j->state, j->column, j->obs, j->star, j->arrival };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        sqlite3_finalize(all[i]);
    tm_sql_close(j->db);
    free(j);
}

/* ---- writing ---- */

static void journal_bind(sqlite3_stmt *s, const int64_t *values, int count)
{
    for (int i = 0; i < count; i++)
        sqlite3_bind_int64(s, i + 1, values[i]);
}

enum tm_code tm_journal_begin(struct tm_journal *j, struct tm_err *err)
{
    return tm_sql_exec(j->db, "BEGIN IMMEDIATE", err);
}

enum tm_code tm_journal_end(struct tm_journal *j, struct tm_err *err)
{
    return tm_sql_exec(j->db, "COMMIT", err);
}

static enum tm_code journal_columns(struct tm_journal *j, size_t index, const struct tm_shown *s,
                                    struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t o = 0; o < s->objects_count; o++) {
        size_t *saved = &j->saved[index].columns[o];
        for (; rc == TM_OK && *saved < s->objects[o].columns_count; *saved += rc == TM_OK) {
            journal_bind(j->column,
                         (const int64_t[]){ (int64_t)index, (int64_t)o, (int64_t)*saved }, 3);
            sqlite3_bind_text(j->column, 4, s->objects[o].columns[*saved], -1, SQLITE_STATIC);
            rc = tm_sql_run(j->column, err);
        }
    }
    return rc;
}

static enum tm_code journal_shown(struct tm_journal *j, size_t index, const struct tm_shown *s,
                                  struct tm_err *err)
{
    struct tm_journal_saved *saved = &j->saved[index];
    enum tm_code rc = journal_columns(j, index, s, err);
    for (; rc == TM_OK && saved->obs < s->obs_count; saved->obs += rc == TM_OK) {
        const struct tm_shown_obs *o = &s->obs[saved->obs];
        const struct tm_shown_row *r = &s->rows[o->row];
        const int64_t values[] = {
            (int64_t)index, (int64_t)saved->obs, r->object, 0, o->lo_ns, o->hi_ns, o->seq, o->flags,
            o->read
        };
        journal_bind(j->obs, values, 9);
        sqlite3_bind_text(j->obs, 4, r->id, -1, SQLITE_STATIC);
        sqlite3_bind_blob(j->obs, 10, s->deltas + o->delta_first,
                          (int)(o->delta_count * sizeof *s->deltas), SQLITE_STATIC);
        rc = tm_sql_run(j->obs, err);
    }
    /* one that stood when it was written may have ended since: the last of each object */
    size_t from = saved->stars > TM_SHOWN_OBJECTS_MAX ? saved->stars - TM_SHOWN_OBJECTS_MAX : 0;
    for (size_t i = from; rc == TM_OK && i < s->stars_count; i++) {
        const struct tm_shown_star *star = &s->stars[i];
        journal_bind(j->star,
                     (const int64_t[]){ (int64_t)index, (int64_t)i, star->object, star->from_ns,
                                        star->until_ns },
                     5);
        rc = tm_sql_run(j->star, err);
    }
    saved->stars = s->stars_count;
    return rc;
}

static int journal_table(uint8_t kind)
{
    return kind <= TM_ARRIVAL_CONVERSION ? 0 : kind == TM_ARRIVAL_ALERT ? 1 : 2;
}

/* One entry for all rows of one table that one look met. */
static enum tm_code journal_arrivals(struct tm_journal *j, size_t index,
                                     const struct tm_reader *reader, struct tm_err *err)
{
    struct tm_journal_saved *saved = &j->saved[index];
    enum tm_code rc = TM_OK;
    for (size_t i = saved->arrivals; rc == TM_OK && i < reader->arrivals_count; i++) {
        const struct tm_arrival *a = &reader->arrivals[i], *next = a + 1;
        int table = journal_table(a->kind);
        if (i + 1 < reader->arrivals_count && next->hi_ns == a->hi_ns &&
            next->object == a->object && journal_table(next->kind) == table)
            continue;
        journal_bind(j->arrival,
                     (const int64_t[]){ (int64_t)index, saved->entries++, a->object, table,
                                        a->rowid, a->lo_ns, a->hi_ns },
                     7);
        rc = tm_sql_run(j->arrival, err);
    }
    saved->arrivals = reader->arrivals_count;
    return rc;
}

enum tm_code tm_journal_save(struct tm_journal *j, size_t index, const struct tm_reader *reader,
                             struct tm_err *err)
{
    assert(index < TM_PLAN_PIPELINES_MAX);
    if (reader->last_ns == 0) /* no look yet */
        return TM_OK;
    enum tm_code rc = reader->raw ? journal_arrivals(j, index, reader, err)
                                  : journal_shown(j, index, reader->shown, err);
    if (rc == TM_OK) {
        journal_bind(j->state, (const int64_t[]){ (int64_t)index, reader->last_ns }, 2);
        rc = tm_sql_run(j->state, err);
    }
    return rc;
}

/* ---- reading ---- */

static enum tm_code journal_ask(struct tm_journal *j, sqlite3_stmt **out, const char *sql,
                                size_t index, struct tm_err *err)
{
    enum tm_code rc = tm_sql_prepare(out, j->db, sql, err);
    if (rc == TM_OK)
        sqlite3_bind_int64(*out, 1, (int64_t)index);
    return rc;
}

static enum tm_code journal_other(struct tm_err *err, const struct tm_reader *reader)
{
    return tm_fail(err, TM_E_PROTO, "it is not of %s", reader->path);
}

static enum tm_code restore_columns(struct tm_journal *j, size_t index, struct tm_reader *reader,
                                    struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    enum tm_code rc = journal_ask(j, &q,
                                  "SELECT object, number, name FROM shown_column WHERE pipeline=?1 "
                                  "ORDER BY object, number",
                                  index, err);
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        int object = sqlite3_column_int(q, 0);
        uint32_t number = 0;
        if (object < 0 || (size_t)object >= reader->shown->objects_count)
            rc = journal_other(err, reader);
        else
            rc = tm_shown_column(reader->shown, object, (const char *)sqlite3_column_text(q, 2),
                                 &number, err);
        if (rc == TM_OK && number != (uint32_t)sqlite3_column_int(q, 1))
            rc = journal_other(err, reader);
        if (rc == TM_OK)
            j->saved[index].columns[object] = number + 1;
    }
    tm_sql_finalize(q);
    return rc;
}

/* The row's values by then: those before, but for what differed. */
static enum tm_code restore_one(struct tm_reader *reader, sqlite3_stmt *q, struct tm_err *err)
{
    uint64_t values[TM_SHOWN_COLUMNS_MAX];
    struct tm_shown *s = reader->shown;
    int object = sqlite3_column_int(q, 0), bytes = sqlite3_column_bytes(q, 7);
    const char *id = (const char *)sqlite3_column_text(q, 1);
    const struct tm_shown_delta *deltas = sqlite3_column_blob(q, 7);
    uint32_t row = 0;
    int64_t lo_ns = sqlite3_column_int64(q, 2), hi_ns = sqlite3_column_int64(q, 3);
    if (object < 0 || (size_t)object >= s->objects_count || id == NULL || lo_ns > hi_ns ||
        bytes % (int)sizeof *deltas != 0)
        return journal_other(err, reader);
    enum tm_code rc = tm_shown_row(s, object, id, &row, err);
    if (rc != TM_OK)
        return rc;
    size_t columns = s->objects[object].columns_count;
    memcpy(values, tm_shown_values(s, row), columns * sizeof *values);
    for (int i = 0; i < bytes / (int)sizeof *deltas; i++) {
        struct tm_shown_delta d; /* a blob need not be aligned */
        memcpy(&d, deltas + i, sizeof d);
        if (d.column >= columns)
            return journal_other(err, reader);
        values[d.column] = d.hash;
    }
    s->reads = (uint32_t)sqlite3_column_int64(q, 6);
    return tm_shown_set(s, row, (unsigned)sqlite3_column_int(q, 5), values, columns, lo_ns, hi_ns,
                        sqlite3_column_int64(q, 4), NULL, err);
}

static enum tm_code restore_shown(struct tm_journal *j, size_t index, struct tm_reader *reader,
                                  struct tm_err *err)
{
    struct tm_journal_saved *saved = &j->saved[index];
    sqlite3_stmt *q = NULL, *stars = NULL;
    bool row = false;
    enum tm_code rc = restore_columns(j, index, reader, err);
    if (rc == TM_OK)
        rc = journal_ask(j, &q,
                         "SELECT object, id, lo_ns, hi_ns, seq, flags, read, deltas FROM obs "
                         "WHERE pipeline=?1 ORDER BY number",
                         index, err);
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        rc = restore_one(reader, q, err);
        if (rc == TM_OK && ++saved->obs != reader->shown->obs_count)
            rc = journal_other(err, reader);
    }
    tm_sql_finalize(q);
    if (rc == TM_OK)
        rc = journal_ask(j, &stars,
                         "SELECT object, from_ns, until_ns FROM star WHERE pipeline=?1 "
                         "ORDER BY number",
                         index, err);
    while (rc == TM_OK && (rc = tm_sql_step(stars, &row, err)) == TM_OK && row) {
        int object = sqlite3_column_int(stars, 0);
        if (object < 0 || (size_t)object >= reader->shown->objects_count)
            rc = journal_other(err, reader);
        if (rc == TM_OK)
            rc = tm_shown_star(reader->shown, object, true, sqlite3_column_int64(stars, 1), err);
        if (rc == TM_OK && sqlite3_column_int64(stars, 2) != INT64_MAX)
            rc = tm_shown_star(reader->shown, object, false, sqlite3_column_int64(stars, 2), err);
    }
    tm_sql_finalize(stars);
    saved->stars = reader->shown->stars_count;
    return rc;
}

/* The raw rows are read again, each look's with its own instants. */
static enum tm_code restore_arrivals(struct tm_journal *j, size_t index, struct tm_reader *reader,
                                     struct tm_err *err)
{
    struct tm_journal_saved *saved = &j->saved[index];
    sqlite3_stmt *q = NULL;
    bool row = false;
    enum tm_code rc = journal_ask(j, &q,
                                  "SELECT object, of_table, last_rowid, lo_ns, hi_ns FROM arrival "
                                  "WHERE pipeline=?1 ORDER BY number",
                                  index, err);
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        int table = sqlite3_column_int(q, 1);
        int64_t last = sqlite3_column_int64(q, 2);
        const struct tm_arrival_cut until = { table == 0 ? last : 0, table == 1 ? last : 0,
                                              table == 2 ? last : 0 };
        int object = sqlite3_column_int(q, 0);
        if (object < 0 || (size_t)object >= reader->objects_count || table < 0 || table > 2)
            rc = journal_other(err, reader);
        else
            rc = tm_reader_again(reader, (size_t)object, &until, sqlite3_column_int64(q, 3),
                                 sqlite3_column_int64(q, 4), err);
        saved->entries++;
    }
    tm_sql_finalize(q);
    saved->arrivals = reader->arrivals_count;
    return rc;
}

enum tm_code tm_journal_restore(struct tm_journal *j, size_t index, struct tm_reader *reader,
                                struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    assert(index < TM_PLAN_PIPELINES_MAX && j->saved[index].obs == 0);
    enum tm_code rc = journal_ask(j, &q, "SELECT last_ns FROM state WHERE pipeline=?1", index, err);
    if (rc == TM_OK)
        rc = tm_sql_step(q, &row, err);
    int64_t last_ns = rc == TM_OK && row ? sqlite3_column_int64(q, 0) : 0;
    tm_sql_finalize(q);
    if (rc == TM_OK && row)
        rc = reader->raw ? restore_arrivals(j, index, reader, err)
                         : restore_shown(j, index, reader, err);
    if (rc == TM_OK && row)
        reader->last_ns = last_ns; /* what is new was not there then */
    return rc == TM_OK ? TM_OK : tm_at(err, "the witness's journal");
}
