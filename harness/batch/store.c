#include "batch/store_inner.h"
#include "base/text.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char store_schema[] =
    "CREATE TABLE IF NOT EXISTS _meta(key TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS _polls("
    " poll INTEGER PRIMARY KEY, object TEXT NOT NULL, mode TEXT NOT NULL, grid_org_ms INTEGER, "
    "skipped INTEGER NOT NULL,"
    " started_org_ms INTEGER, started_ns INTEGER, finished_ns INTEGER, seq_first INTEGER, seq_last "
    "INTEGER,"
    " calls INTEGER, rows INTEGER, bytes INTEGER);"
    "CREATE TABLE IF NOT EXISTS _failures("
    " failure INTEGER PRIMARY KEY, object TEXT NOT NULL, mode TEXT, grid_org_ms INTEGER, org_ms "
    "INTEGER, wall_ns INTEGER,"
    " why TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS _state("
    " object TEXT PRIMARY KEY, loaded INTEGER, cursor_ms INTEGER, deleted_until_ms INTEGER, "
    "done_grid_ms INTEGER,"
    " read INTEGER, grid_ms INTEGER, skipped INTEGER, started_org_ms INTEGER, started_ns INTEGER, "
    "calls INTEGER,"
    " bytes INTEGER, rows INTEGER, whole INTEGER, from_ms INTEGER, from_inclusive INTEGER, "
    "slice_until_ms INTEGER,"
    " until_ms INTEGER, place_any INTEGER, place_stamp_ms INTEGER, place_id TEXT, seen_ms INTEGER) "
    "WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS _jobs(object TEXT PRIMARY KEY, job TEXT NOT NULL, locator TEXT NOT "
    "NULL) WITHOUT ROWID;";

const char *tm_read_mode_name(enum tm_read_mode mode)
{
    static const char *const names[] = { "none", "initial", "incremental", "full", "deleted" };
    return names[mode];
}

/* How deletes are kept shapes the relations: a file goes on only as it began. */
static enum tm_code store_shape(struct tm_store *s, const char *path, struct tm_err *err)
{
    bool flag = s->settings->deletes == TM_BATCH_FLAG, row = false;
    const char *column = flag ? s->settings->flag_column : "";
    sqlite3_stmt *q = NULL;
    enum tm_code rc = tm_sql_execf(
        s->db, err, "INSERT OR IGNORE INTO _meta VALUES('seq', 0), ('flag', %Q)", column);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&q, s->db, "SELECT value FROM _meta WHERE key = 'flag'", err);
    if (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        const char *kept = (const char *)sqlite3_column_text(q, 0);
        if (strcmp(kept, column) != 0)
            rc = tm_fail(err, TM_E_MISMATCH,
                         "%s was begun with %s%s, these settings say %s%s: put the setting back or "
                         "take another file",
                         path, *kept ? "deletes=flag in " : "deleted rows gone", kept,
                         flag ? "deletes=flag in " : "deleted rows gone", column);
    }
    tm_sql_finalize(q);
    return rc;
}

enum tm_code tm_store_open(struct tm_store **out, const char *path,
                           const struct tm_batch_settings *settings, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    struct tm_store *s = calloc(1, sizeof *s);
    if (s == NULL)
        return tm_fail(err, TM_E_NOMEM, "batch: a store");
    s->settings = settings;
    tm_buf_init(&s->sql, STORE_SQL_BYTES_MAX);
    tm_buf_init(&s->arena, TM_HTTP_REPLY_BYTES_MAX);
    if ((rc = tm_sql_open(&s->db, path, TM_SQL_CREATE, err)) != TM_OK ||
        (settings->fleeting && (rc = tm_sql_fleeting(s->db, err)) != TM_OK) ||
        (rc = tm_sql_own(s->db, "_meta", err)) != TM_OK ||
        (rc = tm_sql_exec(s->db, store_schema, err)) != TM_OK ||
        (rc = store_shape(s, path, err)) != TM_OK)
        goto done;
    *out = s;
    s = NULL;
done:
    tm_store_close(s);
    if (rc == TM_E_AGAIN)
        rc = tm_fail(err, TM_E_IO,
                     "%s is in use by another writer; one preset has one database file", path);
    return rc;
}

void tm_store_close(struct tm_store *s)
{
    if (s == NULL)
        return;
    tm_sql_finalize(s->insert);
    tm_sql_close(s->db);
    tm_buf_free(&s->sql);
    tm_buf_free(&s->arena);
    free(s);
}

enum tm_code tm_store_exec_built(struct tm_store *s, struct tm_err *err)
{
    enum tm_code rc = tm_buf_check(&s->sql, "an SQL statement", err);
    if (rc == TM_OK)
        rc = tm_sql_exec(s->db, tm_buf_text(&s->sql), err);
    tm_buf_reset(&s->sql);
    return rc;
}

void tm_store_name(struct tm_buf *out, const char *prefix, const char *object, const char *suffix)
{
    char name[STORE_NAME_BYTES];
    sqlite3_snprintf(sizeof name, name, "%s%s%s", prefix, object, suffix);
    tm_sql_ident(out, name);
}

bool tm_store_is_own(const char *column)
{
    return strcmp(column, "Id") == 0 || strcmp(column, "_gone") == 0;
}

void tm_store_base(struct tm_buf *out, const struct tm_store *s, const char *object)
{
    tm_store_name(out, s->settings->deletes == TM_BATCH_FLAG ? "_all_" : "", object, "");
}

enum tm_code tm_store_end(struct tm_store *s, enum tm_code rc, struct tm_err *err)
{
    if (rc == TM_OK)
        rc = tm_sql_exec(s->db, "COMMIT", err);
    if (rc != TM_OK && !sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

static int64_t state_int(sqlite3_stmt *q, int column, int64_t absent)
{
    return sqlite3_column_type(q, column) == SQLITE_NULL ? absent : sqlite3_column_int64(q, column);
}

static void state_read(sqlite3_stmt *q, struct tm_batch_state *out)
{
    const unsigned char *id = sqlite3_column_text(q, 19);
    out->loaded = state_int(q, 0, 0) != 0;
    out->cursor_ms = state_int(q, 1, INT64_MIN);
    out->deleted_until_ms = state_int(q, 2, INT64_MIN);
    out->done_grid_ms = state_int(q, 3, INT64_MIN);
    out->read = (enum tm_read_mode)state_int(q, 4, TM_READ_NONE);
    out->grid_ms = state_int(q, 5, 0);
    out->skipped = state_int(q, 6, 0);
    out->started_org_ms = state_int(q, 7, 0);
    out->started_ns = state_int(q, 8, 0);
    out->calls = state_int(q, 9, 0);
    out->bytes = state_int(q, 10, 0);
    out->rows = state_int(q, 11, 0);
    out->range.whole = state_int(q, 12, 0) != 0;
    out->range.from_ms = state_int(q, 13, 0);
    out->range.from_inclusive = state_int(q, 14, 0) != 0;
    out->range.until_ms = state_int(q, 15, TM_NEVER);
    out->until_ms = state_int(q, 16, TM_NEVER);
    out->place.any = state_int(q, 17, 0) != 0;
    out->place.stamp_ms = state_int(q, 18, 0);
    if (id != NULL)
        sqlite3_snprintf(sizeof out->place.id, out->place.id, "%s", (const char *)id);
    out->seen_ms = state_int(q, 20, INT64_MIN);
}

static enum tm_code state_job(struct tm_store *s, const char *object, struct tm_sf_bulk_place *out,
                              struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    enum tm_code rc =
        tm_sql_prepare(&q, s->db, "SELECT job, locator FROM _jobs WHERE object = ?", err);
    if (rc == TM_OK) {
        sqlite3_bind_text(q, 1, object, -1, SQLITE_STATIC);
        rc = tm_sql_step(q, &row, err);
    }
    if (rc == TM_OK && row) {
        sqlite3_snprintf(sizeof out->job, out->job, "%s", sqlite3_column_text(q, 0));
        sqlite3_snprintf(sizeof out->locator, out->locator, "%s", sqlite3_column_text(q, 1));
    }
    tm_sql_finalize(q);
    return rc;
}

enum tm_code tm_store_state(struct tm_store *s, const char *object, struct tm_batch_state *out,
                            struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    *out = (struct tm_batch_state){ .cursor_ms = INT64_MIN,
                                    .deleted_until_ms = INT64_MIN,
                                    .done_grid_ms = INT64_MIN,
                                    .seen_ms = INT64_MIN,
                                    .until_ms = TM_NEVER };
    enum tm_code rc = tm_sql_prepare(&q, s->db,
                                     "SELECT loaded, cursor_ms, deleted_until_ms, done_grid_ms, "
                                     "read, grid_ms, skipped, started_org_ms, started_ns,"
                                     " calls, bytes, rows, whole, from_ms, from_inclusive, "
                                     "slice_until_ms, until_ms, place_any, place_stamp_ms,"
                                     " place_id, seen_ms FROM _state WHERE object = ?",
                                     err);
    if (rc == TM_OK) {
        sqlite3_bind_text(q, 1, object, -1, SQLITE_STATIC);
        rc = tm_sql_step(q, &row, err);
    }
    if (rc == TM_OK && row)
        state_read(q, out);
    tm_sql_finalize(q);
    return rc == TM_OK && s->settings->bulk ? state_job(s, object, &out->job, err) : rc;
}

static void state_bind(sqlite3_stmt *q, int column, int64_t value, int64_t absent)
{
    if (value == absent)
        sqlite3_bind_null(q, column);
    else
        sqlite3_bind_int64(q, column, value);
}

static enum tm_code state_keep_job(struct tm_store *s, const char *object,
                                   const struct tm_sf_bulk_place *place, struct tm_err *err)
{
    return tm_sql_execf(s->db, err, "INSERT OR REPLACE INTO _jobs VALUES(%Q, %Q, %Q)", object,
                        place->job, place->locator);
}

enum tm_code tm_store_job(struct tm_store *s, const char *object,
                          const struct tm_batch_state *state, struct tm_err *err)
{
    return state_keep_job(s, object, &state->job, err);
}

enum tm_code tm_store_keep(struct tm_store *s, const char *object,
                           const struct tm_batch_state *state, struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    enum tm_code rc = tm_sql_prepare(&q, s->db,
                                     "INSERT OR REPLACE INTO _state(object, loaded, cursor_ms, "
                                     "deleted_until_ms, done_grid_ms, read, grid_ms, skipped,"
                                     " started_org_ms, started_ns, calls, bytes, rows, whole, "
                                     "from_ms, from_inclusive, slice_until_ms, until_ms,"
                                     " place_any, place_stamp_ms, place_id, seen_ms) "
                                     "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                                     err);
    if (rc != TM_OK)
        return rc;
    sqlite3_bind_text(q, 1, object, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, state->loaded);
    state_bind(q, 3, state->cursor_ms, INT64_MIN);
    state_bind(q, 4, state->deleted_until_ms, INT64_MIN);
    state_bind(q, 5, state->done_grid_ms, INT64_MIN);
    sqlite3_bind_int64(q, 6, state->read);
    sqlite3_bind_int64(q, 7, state->grid_ms);
    sqlite3_bind_int64(q, 8, state->skipped);
    sqlite3_bind_int64(q, 9, state->started_org_ms);
    sqlite3_bind_int64(q, 10, state->started_ns);
    sqlite3_bind_int64(q, 11, state->calls);
    sqlite3_bind_int64(q, 12, state->bytes);
    sqlite3_bind_int64(q, 13, state->rows);
    sqlite3_bind_int64(q, 14, state->range.whole);
    sqlite3_bind_int64(q, 15, state->range.from_ms);
    sqlite3_bind_int64(q, 16, state->range.from_inclusive);
    state_bind(q, 17, state->range.until_ms, TM_NEVER);
    state_bind(q, 18, state->until_ms, TM_NEVER);
    sqlite3_bind_int64(q, 19, state->place.any);
    sqlite3_bind_int64(q, 20, state->place.stamp_ms);
    sqlite3_bind_text(q, 21, state->place.id, -1, SQLITE_STATIC);
    state_bind(q, 22, state->seen_ms, INT64_MIN);
    rc = tm_sql_run(q, err);
    tm_sql_finalize(q);
    return rc == TM_OK && s->settings->bulk ? state_keep_job(s, object, &state->job, err) : rc;
}

enum tm_code tm_store_meta(struct tm_store *s, const char *key, int64_t value, struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    enum tm_code rc = tm_sql_prepare(&q, s->db, "INSERT OR REPLACE INTO _meta VALUES(?, ?)", err);
    if (rc == TM_OK) {
        sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 2, value);
        rc = tm_sql_run(q, err);
    }
    tm_sql_finalize(q);
    return rc;
}

enum tm_code tm_store_last_grid(struct tm_store *s, bool *out_any, int64_t *out_ms,
                                struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    *out_any = false;
    enum tm_code rc =
        tm_sql_prepare(&q, s->db, "SELECT value FROM _meta WHERE key = 'last_grid'", err);
    if (rc == TM_OK)
        rc = tm_sql_step(q, out_any, err);
    if (rc == TM_OK && *out_any)
        *out_ms = sqlite3_column_int64(q, 0);
    tm_sql_finalize(q);
    return rc;
}

enum tm_code tm_store_last_whole(struct tm_store *s, const char *object, int64_t *out_ms,
                                 struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    *out_ms = INT64_MIN;
    enum tm_code rc = tm_sql_prepare(&q, s->db,
                                     "SELECT max(grid_org_ms) FROM _polls WHERE object = ? AND "
                                     "mode IN ('initial', 'full')",
                                     err);
    if (rc == TM_OK) {
        sqlite3_bind_text(q, 1, object, -1, SQLITE_STATIC);
        rc = tm_sql_step(q, &row, err);
    }
    if (rc == TM_OK && row)
        *out_ms = state_int(q, 0, INT64_MIN);
    tm_sql_finalize(q);
    return rc;
}

enum tm_code tm_store_log_poll(struct tm_store *s, const char *object, enum tm_read_mode mode,
                               const struct tm_batch_state *state, const struct tm_now *now,
                               int64_t seq_first, int64_t seq_last, struct tm_err *err)
{
    const int64_t numbers[] = { state->grid_ms,    state->skipped, state->started_org_ms,
                                state->started_ns, now->wall_ns,   seq_first,
                                seq_last,          state->calls,   state->rows,
                                state->bytes };
    sqlite3_stmt *q = NULL;
    enum tm_code rc = tm_sql_prepare(
        &q, s->db,
        "INSERT INTO _polls(object, mode, grid_org_ms, skipped, started_org_ms, started_ns, "
        "finished_ns, seq_first, seq_last, calls, rows, bytes) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
        err);
    if (rc == TM_OK) {
        sqlite3_bind_text(q, 1, object, -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 2, tm_read_mode_name(mode), -1, SQLITE_STATIC);
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
            sqlite3_bind_int64(q, (int)i + 3, numbers[i]);
        rc = tm_sql_run(q, err);
    }
    tm_sql_finalize(q);
    return rc == TM_OK ? tm_store_meta(s, "seq", seq_last, err) : rc;
}

enum tm_code tm_store_give_up(struct tm_store *s, const char *object,
                              const struct tm_batch_state *state, bool keep_read,
                              const struct tm_now *now, const char *why, struct tm_err *err)
{
    struct tm_batch_state next = *state;
    if (!keep_read)
        next.read = TM_READ_NONE;
    next.done_grid_ms = state->grid_ms;
    enum tm_code rc = tm_sql_exec(s->db, "BEGIN IMMEDIATE", err);
    if (rc != TM_OK)
        return rc;
    tm_buf_addz(&s->sql,
                "INSERT INTO _failures(object, mode, grid_org_ms, org_ms, wall_ns, why) VALUES(");
    tm_sql_literal(&s->sql, object);
    tm_buf_addf(&s->sql, ", '%s', %lld, %lld, %lld, ", tm_read_mode_name(state->read),
                (long long)state->grid_ms, (long long)now->org_ms, (long long)now->wall_ns);
    tm_sql_literal(&s->sql, why);
    tm_buf_addz(&s->sql, ")");
    rc = tm_store_exec_built(s, err);
    if (rc == TM_OK)
        rc = tm_store_keep(s, object, &next, err);
    return tm_store_end(s, rc, err);
}
