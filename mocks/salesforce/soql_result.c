#include "mocks/salesforce/soql_impl.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* What a result holds in memory, beside where its rows begin; and what one call may add to it. */
#define RESULT_SPOOL_BYTES (4u << 20)
#define RESULT_CELLS_BYTES_MAX (256u << 20)

/* first: the number of the first value, 1, or 2 behind a parent's Id. */
static enum tm_code result_bind(sqlite3_stmt *stmt, const struct tm_soql_plan *plan, int first,
                                struct tm_err *err)
{
    for (size_t i = 0; i < plan->binds_count; i++) {
        const struct tm_org_value *v = &plan->binds[i];
        int at = (int)i + first, rc = SQLITE_OK;
        switch (v->kind) {
        case TM_ORG_NULL: rc = sqlite3_bind_null(stmt, at); break;
        case TM_ORG_INT: rc = sqlite3_bind_int64(stmt, at, v->i); break;
        case TM_ORG_REAL: rc = sqlite3_bind_double(stmt, at, v->d); break;
        case TM_ORG_TEXT: rc = sqlite3_bind_text(stmt, at, v->text, -1, SQLITE_TRANSIENT); break;
        }
        if (rc != SQLITE_OK)
            return tm_sql_fail(sqlite3_db_handle(stmt), err, "binding a query's values");
    }
    return TM_OK;
}

static void result_cell(struct tm_buf *cells, sqlite3_stmt *stmt, int column)
{
    int type = sqlite3_column_type(stmt, column);
    int64_t i;
    double d;
    uint32_t bytes;
    tm_buf_addc(cells, (char)type);
    switch (type) {
    case SQLITE_NULL: break;
    case SQLITE_INTEGER:
        i = sqlite3_column_int64(stmt, column);
        tm_buf_add(cells, &i, sizeof i);
        break;
    case SQLITE_FLOAT:
        d = sqlite3_column_double(stmt, column);
        tm_buf_add(cells, &d, sizeof d);
        break;
    default: {
        const void *text = sqlite3_column_text(stmt, column);
        bytes = (uint32_t)sqlite3_column_bytes(stmt, column);
        tm_buf_add(cells, &bytes, sizeof bytes);
        tm_buf_add(cells, text, bytes);
    }
    }
}

/* ---- child records ---- */

static void result_children_end(struct tm_soql_result *r)
{
    for (size_t i = 0; r->children != NULL && i < r->plan.children_count; i++)
        tm_sql_finalize(r->children[i]);
    free(r->children);
    r->children = NULL;
}

static enum tm_code result_children_begin(struct tm_soql_result *r, sqlite3 *db, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    result_children_end(r);
    if (r->plan.children_count == 0)
        return TM_OK;
    r->children = calloc(r->plan.children_count, sizeof *r->children);
    if (r->children == NULL)
        return tm_fail(err, TM_E_NOMEM, "a query's children");
    for (size_t i = 0; i < r->plan.children_count && rc == TM_OK; i++) {
        const struct tm_soql_plan *plan = &r->plan.children[i].plan;
        rc = tm_sql_prepare(&r->children[i], db, tm_buf_text(&plan->sql), err);
        if (rc == TM_OK)
            rc = result_bind(r->children[i], plan, 2, err);
    }
    return rc;
}

/* The children of the row that stmt stands on, behind its cells. */
static enum tm_code result_children(struct tm_soql_result *r, sqlite3_stmt *stmt,
                                    struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < r->plan.children_count && rc == TM_OK; i++) {
        sqlite3_stmt *s = r->children[i];
        size_t at = r->cells.bytes;
        uint32_t count = 0;
        bool row = true;
        tm_buf_add(&r->cells, &count, sizeof count);
        sqlite3_bind_text(s, 1, (const char *)sqlite3_column_text(stmt, 0), -1, SQLITE_TRANSIENT);
        while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row) {
            for (int k = 0; k < r->plan.children[i].plan.sql_columns; k++)
                result_cell(&r->cells, s, k);
            count++;
        }
        sqlite3_reset(s);
        if (rc == TM_OK)
            rc = tm_buf_check(&r->cells, "a query's result", err);
        if (rc == TM_OK)
            memcpy(r->cells.data + at, &count, sizeof count);
    }
    return rc;
}

static enum tm_code result_row(struct tm_soql_result *r, sqlite3_stmt *stmt, struct tm_err *err)
{
    if (r->rows_count == r->rows_cap) {
        size_t cap = r->rows_cap == 0 ? 256 : r->rows_cap * 2;
        size_t *grown = realloc(r->rows, cap * sizeof *grown);
        if (grown == NULL)
            return tm_fail(err, TM_E_NOMEM, "a query's result of %zu rows", cap);
        r->rows = grown;
        r->rows_cap = cap;
    }
    r->rows[r->rows_count++] = r->spool_bytes + r->cells.bytes;
    for (int i = 0; i < r->plan.sql_columns; i++)
        result_cell(&r->cells, stmt, i);
    enum tm_code rc = tm_buf_check(&r->cells, "a query's result", err);
    return rc == TM_OK ? result_children(r, stmt, err) : rc;
}

/* ---- long results: the file ---- */

/* What cells hold moves to the file. */
static enum tm_code result_spool(struct tm_soql_result *r, struct tm_err *err)
{
    if (r->cells.bytes == 0)
        return TM_OK;
    if (r->spool == NULL && (r->spool = tmpfile()) == NULL)
        return tm_fail(err, TM_E_IO, "a query's result: no temporary file: %s", strerror(errno));
    if (fwrite(r->cells.data, 1, r->cells.bytes, r->spool) != r->cells.bytes)
        return tm_fail(err, TM_E_IO, "a query's result: writing a temporary file: %s",
                       strerror(errno));
    r->spool_bytes += r->cells.bytes;
    tm_buf_reset(&r->cells);
    return r->spool_bytes <= TM_SOQL_RESULT_BYTES_MAX
               ? TM_OK
               : tm_fail(err, TM_E_LIMIT, "a query's result of more than %llu bytes",
                         (unsigned long long)TM_SOQL_RESULT_BYTES_MAX);
}

static enum tm_code result_map(struct tm_soql_result *r, struct tm_err *err)
{
    enum tm_code rc = result_spool(r, err);
    if (rc == TM_OK && fflush(r->spool) != 0)
        rc = tm_fail(err, TM_E_IO, "a query's result: writing a temporary file: %s",
                     strerror(errno));
    if (rc != TM_OK)
        return rc;
    void *map = mmap(NULL, r->spool_bytes, PROT_READ, MAP_PRIVATE, fileno(r->spool), 0);
    if (map == MAP_FAILED)
        return tm_fail(err, TM_E_NOMEM, "a query's result of %zu bytes", r->spool_bytes);
    r->map = map;
    tm_buf_free(&r->cells);
    tm_buf_init(&r->cells, RESULT_CELLS_BYTES_MAX);
    return TM_OK;
}

static void result_unspool(struct tm_soql_result *r)
{
    if (r->map != NULL)
        munmap(r->map, r->spool_bytes);
    if (r->spool != NULL)
        fclose(r->spool);
    r->map = NULL;
    r->spool = NULL;
    r->spool_bytes = 0;
}

/* The last row is here, or nobody wants more. */
static void result_end(struct tm_soql_result *r)
{
    tm_org_reader_off(&r->reader);
    tm_sql_finalize(r->stmt);
    result_children_end(r);
    tm_sql_close(r->own);
    r->stmt = NULL;
    r->own = NULL;
}

bool tm_soql_result_whole(const struct tm_soql_result *r)
{
    return r->stmt == NULL && r->rc == TM_OK;
}

enum tm_code tm_soql_copy(struct tm_soql_result *r, size_t rows_max, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool row = true;
    assert(!r->plan.count_only);
    if (r->rc != TM_OK) {
        if (err != NULL)
            *err = r->why;
        return r->rc;
    }
    if (r->stmt == NULL) /* the org had to change meanwhile: all rows have come */
        return TM_OK;
    if (r->cells.bytes > RESULT_SPOOL_BYTES) /* of earlier calls: this one's stay at hand */
        rc = result_spool(r, err);
    for (size_t i = 0; rc == TM_OK && row && i < rows_max; i++) {
        rc = tm_sql_step(r->stmt, &row, err);
        if (rc == TM_OK && row)
            rc = result_row(r, r->stmt, err);
        if (rc == TM_OK && rows_max == SIZE_MAX && r->cells.bytes > RESULT_SPOOL_BYTES)
            rc = result_spool(r, err);
    }
    if (rc == TM_OK && !row && r->spool != NULL)
        rc = result_map(r, err);
    if (rc != TM_OK || !row)
        result_end(r);
    r->total = (int64_t)r->rows_count;
    return rc;
}

static enum tm_code result_count(struct tm_soql_result *r, struct tm_err *err)
{
    bool row = false;
    enum tm_code rc = tm_sql_step(r->stmt, &row, err);
    if (rc == TM_OK) {
        assert(row);
        r->total = sqlite3_column_int64(r->stmt, 0);
    }
    result_end(r);
    return rc;
}

/* The org is about to change: what is not copied yet is copied as it still is. */
static void result_before_change(struct tm_org_reader *reader)
{
    struct tm_soql_result *r = (struct tm_soql_result *)reader;
    r->rc = tm_soql_copy(r, SIZE_MAX, &r->why);
}

/* A connection of its own sees the org as it is now however long the copying takes. There is none
 * for an org in memory, none that sees what a transaction of the org's has written so far, and none
 * that sees the lagged copies, which are temporary tables. */
static bool result_connect(struct tm_soql_result *r, struct tm_org *org, sqlite3_stmt **stmt)
{
    const char *path = sqlite3_db_filename(tm_org_db(org), "main");
    if (path == NULL || path[0] == '\0' || tm_org_settle(org, NULL) != TM_OK ||
        !sqlite3_get_autocommit(tm_org_db(org)) ||
        tm_sql_open(&r->own, path, TM_SQL_READ, NULL) != TM_OK)
        return false;
    if (tm_sql_exec(r->own, "BEGIN", NULL) == TM_OK &&
        tm_sql_prepare(stmt, r->own, tm_buf_text(&r->plan.sql), NULL) == TM_OK)
        return true;
    tm_sql_close(r->own);
    r->own = NULL;
    return false;
}

/* The first rows; when they are not all, the others either wait for tm_soql_copy or come now. */
static enum tm_code result_fetch(struct tm_soql_result *r, struct tm_org *org, size_t rows_max,
                                 struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    enum tm_code rc = tm_sql_prepare(&r->stmt, tm_org_db(org), tm_buf_text(&r->plan.sql), err);
    if (rc == TM_OK)
        rc = result_bind(r->stmt, &r->plan, 1, err);
    if (rc != TM_OK)
        return rc;
    if (r->plan.count_only)
        return result_count(r, err);
    rc = result_children_begin(r, tm_org_db(org), err);
    if (rc != TM_OK)
        return rc;
    rc = tm_soql_copy(r, r->plan.grouped ? SIZE_MAX : rows_max, err);
    if (rc != TM_OK || r->stmt == NULL)
        return rc;
    if (!result_connect(r, org, &stmt)) {
        if (!sqlite3_get_autocommit(
                tm_org_db(org))) /* what the transaction writes next must not show */
            return tm_soql_copy(r, SIZE_MAX, err);
        r->reader.before_change = result_before_change;
        tm_org_reader_on(org, &r->reader);
        return TM_OK;
    }
    tm_sql_finalize(r->stmt); /* again from the first row, which fixes what r->own sees */
    r->stmt = stmt;
    tm_buf_reset(&r->cells);
    r->rows_count = 0;
    rc = result_bind(r->stmt, &r->plan, 1, err);
    if (rc == TM_OK)
        rc = result_children_begin(r, r->own, err);
    return rc == TM_OK ? tm_soql_copy(r, rows_max, err) : rc;
}

enum tm_code tm_soql_run(struct tm_soql_result **out, struct tm_org *org, const struct tm_soql *q,
                         bool deleted_too, int64_t now_org_ms, struct tm_soql_error *error,
                         struct tm_err *err)
{
    return tm_soql_begin(out, org, q, deleted_too, now_org_ms, SIZE_MAX, error, err);
}

enum tm_code tm_soql_begin(struct tm_soql_result **out, struct tm_org *org, const struct tm_soql *q,
                           bool deleted_too, int64_t now_org_ms, size_t rows_max,
                           struct tm_soql_error *error, struct tm_err *err)
{
    const char *relation = "";
    enum tm_code rc = TM_OK;
    struct tm_soql_result *r = calloc(1, sizeof *r);
    if (r == NULL)
        return tm_fail(err, TM_E_NOMEM, "a query's result");
    tm_buf_init(&r->cells, RESULT_CELLS_BYTES_MAX);
    if (tm_org_describe(org, q->object) != NULL) /* else the plan says what is wrong */
        rc = tm_org_relation(org, q->object, tm_soql_range_read(q), now_org_ms, &relation, err);
    if (rc == TM_OK)
        rc = tm_soql_plan(&r->plan, org, q, deleted_too, relation, now_org_ms, error, err);
    if (rc == TM_OK)
        rc = result_fetch(r, org, rows_max, err);
    if (rc == TM_OK && r->plan.grouped && r->rows_count > TM_SOQL_GROUPS_MAX) {
        snprintf(error->code, sizeof error->code, "EXCEEDED_ID_LIMIT");
        snprintf(error->message, sizeof error->message,
                 "Aggregate query does not support queryMore(), use LIMIT to restrict the results "
                 "to a single batch");
        rc = tm_fail(err, TM_E_ARG, "%s", error->message);
    }
    if (rc != TM_OK) {
        tm_soql_result_close(r);
        return rc;
    }
    free(r->plan.binds); /* they point into q; the statement has copies */
    r->plan.binds = NULL;
    r->plan.binds_count = 0;
    *out = r;
    return TM_OK;
}

void tm_soql_result_close(struct tm_soql_result *r)
{
    if (r == NULL)
        return;
    result_end(r);
    tm_soql_plan_free(&r->plan);
    result_unspool(r);
    tm_buf_free(&r->cells);
    free(r->rows);
    free(r);
}

int64_t tm_soql_result_total(const struct tm_soql_result *r)
{
    return r->total;
}
size_t tm_soql_result_rows(const struct tm_soql_result *r)
{
    return r->rows_count;
}
size_t tm_soql_result_bytes(const struct tm_soql_result *r)
{
    return r->cells.cap + r->rows_cap * sizeof *r->rows;
}

const struct tm_soql_plan *tm_soql_result_plan(const struct tm_soql_result *r)
{
    return &r->plan;
}

void tm_soql_result_forget(struct tm_soql_result *r)
{
    result_unspool(r);
    tm_buf_reset(&r->cells);
    r->rows_count = 0;
}
