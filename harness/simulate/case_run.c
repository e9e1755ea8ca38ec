#include "simulate/case_run.h"
#include "simulate/case_raw.h"
#include "sink/sink.h"
#include "view/follow.h"
#include "view/sql.h"
#include "view/view.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUN_VIEW_BYTES_MAX (1u << 20)
#define RUN_LOOK_STEPS 10000
#define RUN_ROUNDS_MAX 10000

/* ---- reading relations ---- */

static json_t *run_value(sqlite3_stmt *stmt, int column)
{
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER: return json_integer(sqlite3_column_int64(stmt, column));
    case SQLITE_FLOAT: return json_real(sqlite3_column_double(stmt, column));
    case SQLITE_NULL: return json_null();
    default: {
        json_t *text = json_stringn((const char *)sqlite3_column_text(stmt, column),
                                    (size_t)sqlite3_column_bytes(stmt, column));
        return text != NULL ? text : json_string("(not UTF-8)");
    }
    }
}

static enum tm_code run_read(json_t *out, sqlite3 *db, const char *relation, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    struct tm_buf sql;
    bool more = false;
    tm_buf_init(&sql, 4096);
    tm_buf_addz(&sql, "SELECT * FROM ");
    tm_sql_ident(&sql, relation);
    enum tm_code rc = tm_sql_prepare(&stmt, db, tm_buf_text(&sql), err);
    while (rc == TM_OK && (rc = tm_sql_step(stmt, &more, err)) == TM_OK && more) {
        json_t *row = json_object();
        for (int i = 0; i < sqlite3_column_count(stmt); i++)
            json_object_set_new(row, sqlite3_column_name(stmt, i), run_value(stmt, i));
        if (json_array_append_new(out, json_pack("{s:s, s:o}", "object", relation, "row", row)) !=
            0)
            rc = tm_fail(err, TM_E_NOMEM, "rows of %s", relation);
    }
    tm_sql_finalize(stmt);
    tm_buf_free(&sql);
    return rc;
}

static enum tm_code run_has(bool *out, sqlite3 *db, const char *relation, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    enum tm_code rc = tm_sql_prepare(&stmt, db,
                                     "SELECT 1 FROM sqlite_master WHERE type IN ('view','table') "
                                     "AND name = ?1 COLLATE NOCASE",
                                     err);
    if (rc == TM_OK) {
        sqlite3_bind_text(stmt, 1, relation, -1, SQLITE_STATIC);
        rc = tm_sql_step(stmt, out, err);
    }
    tm_sql_finalize(stmt);
    return rc;
}

/* has_dirty[i]: X_dirty of object i is there. *out_at: the object that was read last. */
static enum tm_code run_show_at(json_t **out, size_t *out_at, sqlite3 *db, const struct tm_case *c,
                                const bool *has_dirty, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    *out = json_array();
    for (size_t i = 0; i < c->objects_count && rc == TM_OK; i++) {
        *out_at = i;
        char doubt[TM_CASE_NAME_BYTES + 8];
        snprintf(doubt, sizeof doubt, "%s_dirty", c->objects[i]);
        rc = run_read(*out, db, c->objects[i], err);
        if (rc != TM_OK || !has_dirty[i])
            continue;
        json_array_append_new(*out, json_pack("{s:s}", "object", doubt));
        rc = run_read(*out, db, doubt, err);
    }
    if (rc != TM_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return rc;
}

static enum tm_code run_show(json_t **out, sqlite3 *db, const struct tm_case *c,
                             const bool *has_dirty, struct tm_err *err)
{
    size_t at;
    return run_show_at(out, &at, db, c, has_dirty, err);
}

/* ---- option 1 ---- */

static enum tm_code run_raw(sqlite3 **out, bool *out_widened, const struct tm_case *c,
                            const struct tm_case_options *options, struct tm_err *err)
{
    enum tm_code rc = tm_case_raw_open(out, out_widened, c, options->objects_dir, err);
    for (size_t i = 0; rc == TM_OK && i < json_array_size(c->rows); i++)
        rc = tm_case_raw_add(*out, c, i, err);
    return rc;
}

enum tm_code tm_case_by_views(json_t **out, const struct tm_case *c,
                              const struct tm_case_options *options, struct tm_err *err)
{
    static const bool both[TM_CASE_OBJECTS_MAX] = {
        true, true, true, true, true, true, true, true
    };
    sqlite3 *db = NULL;
    bool widened;
    struct tm_buf sql;
    tm_buf_init(&sql, TM_CASE_OBJECTS_MAX * TM_VIEW_SQL_BYTES_MAX);
    enum tm_code rc = run_raw(&db, &widened, c, options, err);
    for (size_t i = 0; i < c->objects_count && rc == TM_OK; i++)
        rc = tm_view_sql_for(db, c->objects[i], &sql, err);
    if (rc == TM_OK)
        rc = tm_sink_views_run(db, tm_buf_text(&sql), err);
    if (rc == TM_OK)
        rc = run_show(out, db, c, both, err);
    tm_sql_close(db);
    tm_buf_free(&sql);
    return rc;
}

/* ---- option 2 ---- */

/* One life of `tidemark view`: opens what is stored, applies what is new, ends. */
static enum tm_code run_life(sqlite3 *raw, sqlite3 *db, const char *object, struct tm_err *err)
{
    struct tm_view_follow f;
    struct tm_view_counts counts = { 0 };
    size_t rows = 1;
    int64_t seq = 0;
    enum tm_code rc = tm_view_follow_open(&f, raw, db, object, &counts, err);
    if (rc == TM_OK)
        rc = tm_view_follow_shape(&f, err);
    for (int round = 0; rc == TM_OK && rows > 0; round++) {
        assert(round < RUN_ROUNDS_MAX);
        rc = tm_view_store_seq(db, &seq, err);
        if (rc == TM_OK)
            rc = tm_view_follow_apply(&f, TM_VIEW_ROWS_MAX, seq, &rows, err);
    }
    tm_view_follow_close(&f);
    return rc;
}

enum tm_code tm_case_by_state(json_t **out, const struct tm_case *c,
                              const struct tm_case_options *options, struct tm_err *err)
{
    static const bool both[TM_CASE_OBJECTS_MAX] = {
        true, true, true, true, true, true, true, true
    };
    sqlite3 *raw = NULL, *db = NULL;
    bool widened;
    enum tm_code rc = tm_case_raw_open(&raw, &widened, c, options->objects_dir, err);
    if (rc == TM_OK)
        rc = tm_sql_open(&db, ":memory:", TM_SQL_CREATE, err);
    if (rc == TM_OK)
        rc = tm_view_store_create(db, err);
    for (size_t i = 0; rc == TM_OK && i < json_array_size(c->rows); i++) {
        rc = tm_case_raw_add(raw, c, i, err);
        for (size_t k = 0; k < c->objects_count && rc == TM_OK; k++)
            rc = run_life(raw, db, c->objects[k], err);
    }
    if (rc == TM_OK)
        rc = run_show(out, db, c, both, err);
    tm_sql_close(db);
    tm_sql_close(raw);
    return rc;
}

/* ---- somebody's SQL ---- */

static int run_authorize(void *self, int action, const char *a, const char *b, const char *db,
                         const char *trigger)
{
    (void)self, (void)a, (void)db, (void)trigger;
    if (action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_RECURSIVE)
        return SQLITE_OK;
    if (action == SQLITE_FUNCTION && b != NULL && sqlite3_stricmp(b, "load_extension") != 0)
        return SQLITE_OK;
    return SQLITE_DENY;
}

static int run_progress(void *self)
{
    int64_t *steps = self;
    *steps += RUN_LOOK_STEPS;
    return *steps > TM_CASE_SQL_STEPS_MAX;
}

static enum tm_code run_file(struct tm_buf *out, const char *path, struct tm_err *err)
{
    char piece[8192];
    size_t n;
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return tm_fail(err, TM_E_ARG, "%s: %s", path, strerror(errno));
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        tm_buf_add(out, piece, n);
    int why = ferror(f) ? errno : 0;
    fclose(f);
    if (why != 0) /* a folder, for one */
        return tm_fail(err, TM_E_ARG, "%s: %s", path, strerror(why));
    return tm_buf_check(out, path, err);
}

/* Installs <Object>.sql of every object; *out_dirty[i]: it defines X_dirty too. */
static enum tm_code run_install(sqlite3 *db, bool *out_dirty, const struct tm_case *c,
                                const char *dir, struct tm_err *err)
{
    for (size_t i = 0; i < c->objects_count; i++) {
        char path[TM_CASE_PATH_BYTES + TM_CASE_NAME_BYTES], doubt[TM_CASE_NAME_BYTES + 8];
        bool there = false;
        struct tm_buf sql;
        tm_buf_init(&sql, RUN_VIEW_BYTES_MAX);
        snprintf(path, sizeof path, "%s/%s.sql", dir, c->objects[i]);
        snprintf(doubt, sizeof doubt, "%s_dirty", c->objects[i]);
        enum tm_code rc = run_file(&sql, path, err);
        if (rc == TM_OK && tm_sink_views_run(db, tm_buf_text(&sql), err) != TM_OK)
            rc = tm_at(err, "%s", path);
        tm_buf_free(&sql);
        if (rc == TM_OK)
            rc = run_has(&there, db, c->objects[i], err);
        if (rc == TM_OK && !there)
            rc = tm_fail(err, TM_E_ARG, "%s: defines no view \"%s\"", path, c->objects[i]);
        if (rc == TM_OK)
            rc = run_has(&out_dirty[i], db, doubt, err);
        if (rc != TM_OK)
            return rc;
    }
    return TM_OK;
}

static enum tm_code run_guarded(json_t **out, sqlite3 *db, const struct tm_case *c,
                                const bool *has_dirty, const char *dir, struct tm_err *err)
{
    int64_t steps = 0;
    sqlite3_set_authorizer(db, run_authorize, NULL);
    sqlite3_progress_handler(db, RUN_LOOK_STEPS, run_progress, &steps);
    struct tm_err why;
    size_t at = 0;
    tm_err_clear(&why);
    enum tm_code rc = run_show_at(out, &at, db, c, has_dirty, &why);
    if (rc == TM_OK)
        return rc;
    if (steps > TM_CASE_SQL_STEPS_MAX)
        return tm_fail(
            err, TM_E_ARG,
            "%s/%s.sql: stopped on case %s after %d steps; a recursive query without an end?", dir,
            c->objects[at], c->name, TM_CASE_SQL_STEPS_MAX);
    bool sql = sqlite3_errcode(db) != SQLITE_OK && sqlite3_errcode(db) < SQLITE_ROW;
    return tm_fail(err, rc == TM_E_NOMEM ? rc : TM_E_ARG, "%s/%s.sql: case %s: %s", dir,
                   c->objects[at], c->name, sql ? sqlite3_errmsg(db) : why.msg);
}

enum tm_code tm_case_by_sql(json_t **out, const char **out_skipped, const struct tm_case *c,
                            const struct tm_case_options *options, struct tm_err *err)
{
    sqlite3 *db = NULL;
    bool widened = false, has_dirty[TM_CASE_OBJECTS_MAX] = { false };
    *out = NULL;
    *out_skipped = NULL;
    for (size_t i = 0; i < c->objects_count; i++) {
        char path[TM_CASE_PATH_BYTES + TM_CASE_NAME_BYTES];
        snprintf(path, sizeof path, "%s/%s.sql", options->views_dir, c->objects[i]);
        if (access(path, F_OK) != 0) {
            *out_skipped = "there are no views of its object";
            return TM_OK;
        }
    }
    enum tm_code rc = run_raw(&db, &widened, c, options, err);
    if (rc == TM_OK && widened)
        *out_skipped = "its tables gain columns that SQL written before cannot name";
    if (rc == TM_OK && !widened)
        rc = run_install(db, has_dirty, c, options->views_dir, err);
    if (rc == TM_OK && !widened)
        rc = run_guarded(out, db, c, has_dirty, options->views_dir, err);
    tm_sql_close(db);
    return rc;
}
