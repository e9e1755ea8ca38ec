#include "mocks/salesforce/soql_impl.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RENDER_PAGE_BYTES 65536u /* a multiple of any machine's pages */

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

const char *soql_cells(const char *at, const struct tm_soql_plan *plan, struct tm_soql_cell *cells)
{
    for (int k = 0; k < plan->sql_columns; k++)
        at = result_read(at, &cells[k]);
    return at;
}

const char *soql_result_at(const struct tm_soql_result *r, size_t row)
{
    assert(row < r->rows_count && (r->spool == NULL || r->map != NULL));
    return (r->map != NULL ? r->map : r->cells.data) + r->rows[row];
}

void tm_soql_result_row(const struct tm_soql_result *r, size_t row, struct tm_soql_cell *cells)
{
    soql_cells(soql_result_at(r, row), &r->plan, cells);
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
        if ((related ? c->parent : c->relation) != relation)
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

/* The children of one row, from where its own cells end. */
static void result_children(const struct tm_soql_plan *plan, const char *at,
                            struct tm_soql_cell *values, const char *version, struct tm_buf *out)
{
    for (size_t i = 0; i < plan->children_count; i++) {
        const struct tm_soql_plan *child = &plan->children[i].plan;
        uint32_t count;
        memcpy(&count, at, sizeof count);
        at += sizeof count;
        tm_buf_addc(out, ',');
        tm_buf_addz(out, plan->children[i].key);
        if (count == 0)
            tm_buf_addz(out, "null");
        else
            tm_buf_addf(out, "{\"totalSize\":%" PRIu32 ",\"done\":true,\"records\":[", count);
        for (uint32_t k = 0; k < count; k++) {
            at = soql_cells(at, child, values);
            tm_buf_addz(out, k > 0 ? "," : "");
            result_attributes(out, child->object, version, &values[0]);
            result_columns(child, -1, values, version, out);
            tm_buf_addc(out, '}');
        }
        tm_buf_addz(out, count > 0 ? "]}" : "");
    }
}

size_t soql_result_width(const struct tm_soql_plan *plan)
{
    int most = plan->sql_columns;
    for (size_t i = 0; i < plan->children_count; i++)
        if (plan->children[i].plan.sql_columns > most)
            most = plan->children[i].plan.sql_columns;
    return (size_t)most;
}

void tm_soql_render(const struct tm_soql_result *r, size_t row, size_t rows, const char *version,
                    struct tm_buf *out)
{
    struct tm_soql_cell *values = calloc(soql_result_width(&r->plan), sizeof *values);
    assert(row + rows <= r->rows_count);
    if (values == NULL) {
        out->failed = TM_E_NOMEM;
        return;
    }
    for (size_t i = row; i < row + rows; i++) {
        const char *behind = soql_cells(soql_result_at(r, i), &r->plan, values);
        if (i > row)
            tm_buf_addc(out, ',');
        if (r->plan.grouped)
            tm_buf_addz(out, "{\"attributes\":{\"type\":\"AggregateResult\"}");
        else
            result_attributes(out, r->plan.object, version, &values[0]);
        result_columns(&r->plan, -1, values, version, out);
        result_children(&r->plan, behind, values, version, out);
        tm_buf_addc(out, '}');
    }
    free(values);
    if (r->map != NULL && rows > 0) { /* read once, as a rule: they need not stay in memory */
        size_t from = r->rows[row] / RENDER_PAGE_BYTES * RENDER_PAGE_BYTES;
        madvise(r->map + from, r->rows[row + rows - 1] - from, MADV_DONTNEED);
    }
}
