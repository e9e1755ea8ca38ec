#include "mocks/salesforce/soql.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A cell: one type byte (SQLite's), then an int64, a double, or a length and the text. */
struct tm_soql_result {
    struct tm_soql_plan plan;
    struct tm_buf cells;
    size_t *rows;
    size_t rows_count, rows_cap; /* where each row begins in cells */
    int64_t total;
    sqlite3_stmt *stmt; /* rows still to be copied; NULL = all are here */
    sqlite3 *own;       /* what stmt reads by when it outlives a call: the org as it was then */
};

static enum tm_code result_bind(sqlite3_stmt *stmt, const struct tm_soql_plan *plan,
                                struct tm_err *err)
{
    for (size_t i = 0; i < plan->binds_count; i++) {
        const struct tm_org_value *v = &plan->binds[i];
        int at = (int)i + 1, rc = SQLITE_OK;
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
    r->rows[r->rows_count++] = r->cells.bytes;
    for (int i = 0; i < r->plan.sql_columns; i++)
        result_cell(&r->cells, stmt, i);
    return tm_buf_check(&r->cells, "a query's result", err);
}

/* The last row is here, or nobody wants more. */
static void result_end(struct tm_soql_result *r)
{
    sqlite3_finalize(r->stmt);
    tm_sql_close(r->own);
    r->stmt = NULL;
    r->own = NULL;
}

bool tm_soql_result_whole(const struct tm_soql_result *r)
{
    return r->stmt == NULL;
}

enum tm_code tm_soql_copy(struct tm_soql_result *r, size_t rows_max, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool row = true;
    assert(r->stmt != NULL && !r->plan.count_only);
    for (size_t i = 0; rc == TM_OK && row && i < rows_max; i++) {
        rc = tm_sql_step(r->stmt, &row, err);
        if (rc == TM_OK && row)
            rc = result_row(r, r->stmt, err);
    }
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

/* A connection of its own sees the org as it is now however long the copying takes. There is none
 * for an org in memory, none that sees what a transaction of the org's has written so far, and none
 * that sees the lagged copies, which are temporary tables. */
static bool result_connect(struct tm_soql_result *r, sqlite3 *org, sqlite3_stmt **stmt)
{
    const char *path = sqlite3_db_filename(org, "main");
    if (path == NULL || path[0] == '\0' || !sqlite3_get_autocommit(org) ||
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
static enum tm_code result_fetch(struct tm_soql_result *r, sqlite3 *org, size_t rows_max,
                                 struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    enum tm_code rc = tm_sql_prepare(&r->stmt, org, tm_buf_text(&r->plan.sql), err);
    if (rc == TM_OK)
        rc = result_bind(r->stmt, &r->plan, err);
    if (rc != TM_OK)
        return rc;
    if (r->plan.count_only)
        return result_count(r, err);
    rc = tm_soql_copy(r, rows_max, err);
    if (rc != TM_OK || r->stmt == NULL)
        return rc;
    if (!result_connect(r, org, &stmt))
        return tm_soql_copy(r, SIZE_MAX, err);
    sqlite3_finalize(r->stmt); /* again from the first row, which fixes what r->own sees */
    r->stmt = stmt;
    tm_buf_reset(&r->cells);
    r->rows_count = 0;
    rc = result_bind(r->stmt, &r->plan, err);
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
    tm_buf_init(&r->cells, TM_SOQL_RESULT_BYTES_MAX);
    if (tm_org_describe(org, q->object) != NULL) /* else the plan says what is wrong */
        rc = tm_org_relation(org, q->object, tm_soql_range_read(q), now_org_ms, &relation, err);
    if (rc == TM_OK)
        rc = tm_soql_plan(&r->plan, org, q, deleted_too, relation, error, err);
    if (rc == TM_OK)
        rc = result_fetch(r, tm_org_db(org), rows_max, err);
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
    tm_buf_reset(&r->cells);
    r->rows_count = 0;
}

/* ---- rendering ---- */

static const char *result_read(const char *at, struct tm_soql_cell *out)
{
    out->type = (unsigned char)*at++;
    switch (out->type) {
    case SQLITE_NULL: return at;
    case SQLITE_INTEGER: memcpy(&out->i, at, sizeof out->i); return at + sizeof out->i;
    case SQLITE_FLOAT: memcpy(&out->d, at, sizeof out->d); return at + sizeof out->d;
    default:
        memcpy(&out->bytes, at, sizeof out->bytes);
        out->text = at + sizeof out->bytes;
        return out->text + out->bytes;
    }
}

void tm_soql_double(struct tm_buf *out, double d)
{
    char text[40];
    snprintf(text, sizeof text, "%.15g", d);
    if (strtod(text, NULL) != d)
        snprintf(text, sizeof text, "%.17g", d);
    if (strpbrk(text, ".eni") == NULL)
        strcat(text, ".0");
    tm_buf_addz(out, text);
}

static void result_two(char *to, unsigned n)
{
    to[0] = (char)('0' + n / 10);
    to[1] = (char)('0' + n % 10);
}

void tm_soql_result_row(const struct tm_soql_result *r, size_t row, struct tm_soql_cell *cells)
{
    assert(row < r->rows_count);
    const char *at = r->cells.data + r->rows[row];
    for (int k = 0; k < r->plan.sql_columns; k++)
        at = result_read(at, &cells[k]);
}

/* "2021-03-05T10:15:30.000+0000"; only the date is worth a general routine, and it repeats. */
static void result_datetime(struct tm_buf *out, int64_t ms)
{
    char text[TM_TIME_BYTES];
    int64_t rest = ms % 86400000;
    if (ms < 0) {
        tm_time_rest(text, ms);
    } else {
        tm_date_text(text, (int32_t)(ms / 86400000));
        memcpy(text + 10, "T00:00:00.000+0000", 19);
        result_two(text + 11, (unsigned)(rest / 3600000));
        result_two(text + 14, (unsigned)(rest / 60000 % 60));
        result_two(text + 17, (unsigned)(rest / 1000 % 60));
        text[20] = (char)('0' + rest / 100 % 10);
        result_two(text + 21, (unsigned)(rest % 100));
    }
    tm_buf_addc(out, '"');
    tm_buf_addz(out, text);
    tm_buf_addc(out, '"');
}

static void result_render(struct tm_buf *out, enum tm_field_kind kind, const struct tm_soql_cell *v)
{
    char number[24];
    if (v->type == SQLITE_NULL) {
        tm_buf_add(out, "null", 4);
    } else if (v->type == SQLITE_TEXT || v->type == SQLITE_BLOB) {
        tm_buf_add_json_string(out, v->text, v->bytes);
    } else if (kind == TM_FIELD_BOOLEAN) {
        tm_buf_addz(out, (v->type == SQLITE_INTEGER ? v->i != 0 : v->d != 0) ? "true" : "false");
    } else if (kind == TM_FIELD_DATETIME && v->type == SQLITE_INTEGER) {
        result_datetime(out, v->i);
    } else if (kind == TM_FIELD_NUMBER) {
        tm_soql_double(out, v->type == SQLITE_INTEGER ? (double)v->i : v->d);
    } else if (v->type == SQLITE_INTEGER) {
        snprintf(number, sizeof number, "%" PRId64, v->i);
        tm_buf_addz(out, number);
    } else {
        tm_soql_double(out, v->d);
    }
}

static void result_attributes(struct tm_buf *out, const char *object, const char *version,
                              const struct tm_soql_cell *id)
{
    tm_buf_addz(out, "{\"attributes\":{\"type\":\"");
    tm_buf_addz(out, object);
    tm_buf_addz(out, "\",\"url\":\"/services/data/v");
    tm_buf_addz(out, version);
    tm_buf_addz(out, "/sobjects/");
    tm_buf_addz(out, object);
    tm_buf_addc(out, '/');
    tm_buf_add(out, id->text, id->bytes);
    tm_buf_addz(out, "\"}");
}

static void result_compound(const struct tm_soql_column *whole, const struct tm_soql_cell *values,
                            struct tm_buf *out)
{
    bool any = false;
    for (size_t i = 1; i <= whole->parts; i++)
        any |= values[whole[i].sql_column].type != SQLITE_NULL;
    if (!any) {
        tm_buf_addz(out, "null");
        return;
    }
    for (size_t i = 1; i <= whole->parts; i++) {
        tm_buf_addc(out, i == 1 ? '{' : ',');
        tm_buf_addz(out, whole[i].key);
        result_render(out, whole[i].kind, &values[whole[i].sql_column]);
    }
    tm_buf_addc(out, '}');
}

/* The columns of the object itself (relation -1) or of one related record. */
static void result_columns(const struct tm_soql_plan *plan, int relation,
                           const struct tm_soql_cell *values, const char *version,
                           struct tm_buf *out)
{
    for (size_t i = 0; i < plan->columns_count; i += 1 + plan->columns[i].parts) {
        const struct tm_soql_column *c = &plan->columns[i];
        bool related = c->shape == TM_SOQL_RELATED;
        if ((related ? -1 : c->relation) != relation)
            continue;
        tm_buf_addc(out, ',');
        tm_buf_addz(out, c->key);
        if (c->shape == TM_SOQL_COMPOUND) {
            result_compound(c, values, out);
        } else if (related && values[c->sql_column].type != SQLITE_NULL) {
            result_attributes(out, c->object, version, &values[c->sql_column]);
            result_columns(plan, c->relation, values, version, out);
            tm_buf_addc(out, '}');
        } else {
            result_render(out, c->kind, &values[c->sql_column]);
        }
    }
}

void tm_soql_render(const struct tm_soql_result *r, size_t row, size_t rows, const char *version,
                    struct tm_buf *out)
{
    struct tm_soql_cell *values = calloc((size_t)r->plan.sql_columns, sizeof *values);
    assert(row + rows <= r->rows_count);
    if (values == NULL) {
        out->failed = TM_E_NOMEM;
        return;
    }
    for (size_t i = row; i < row + rows; i++) {
        tm_soql_result_row(r, i, values);
        if (i > row)
            tm_buf_addc(out, ',');
        result_attributes(out, r->plan.object, version, &values[0]);
        result_columns(&r->plan, -1, values, version, out);
        tm_buf_addc(out, '}');
    }
    free(values);
}
