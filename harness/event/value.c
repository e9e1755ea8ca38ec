#include "event/row.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* text of one record: Salesforce caps events at 1 MB, rows at far less */
#define ROW_BYTES_MAX (32u << 20)

void tm_row_init(struct tm_row *row)
{
    *row = (struct tm_row){ .cells = NULL };
    tm_buf_init(&row->arena, ROW_BYTES_MAX);
}

void tm_row_free(struct tm_row *row)
{
    free(row->cells);
    row->cells = NULL;
    row->cells_count = row->cells_cap = 0;
    tm_buf_free(&row->arena);
}

const struct tm_value *tm_row_get(const struct tm_row *row, const char *name)
{
    assert(row->cells_count <= row->cells_cap);
    for (size_t i = 0; i < row->cells_count; i++)
        if (strcmp(row->cells[i].name, name) == 0)
            return &row->cells[i].value;
    return NULL;
}

const char *tm_value_text(const struct tm_value *value)
{
    return value->kind == TM_V_TEXT || value->kind == TM_V_JSON ? value->as.t.text : NULL;
}

static struct tm_value value_of(enum tm_value_kind kind, const char *text)
{
    struct tm_value v = { .kind = TM_V_NULL };
    if (text != NULL) {
        v.kind = kind;
        v.as.t.text = text;
        v.as.t.bytes = strlen(text);
    }
    return v;
}

struct tm_value tm_value_of_text(const char *text)
{
    return value_of(TM_V_TEXT, text);
}
struct tm_value tm_value_of_json(const char *json_text)
{
    return value_of(TM_V_JSON, json_text);
}
struct tm_value tm_value_of_int(int64_t i)
{
    return (struct tm_value){ .kind = TM_V_INT, .as.i = i };
}
struct tm_value tm_value_of_double(double d)
{
    return (struct tm_value){ .kind = TM_V_DOUBLE, .as.d = d };
}
struct tm_value tm_value_of_bool(bool b)
{
    return (struct tm_value){ .kind = TM_V_BOOL, .as.b = b };
}

void tm_row_reset(struct tm_row *row)
{
    row->cells_count = 0;
    tm_buf_reset(&row->arena);
}

enum tm_code tm_row_reserve(struct tm_row *row, size_t cells, struct tm_err *err)
{
    if (cells <= row->cells_cap)
        return TM_OK;
    struct tm_cell *grown = realloc(row->cells, cells * sizeof *grown);
    if (grown == NULL)
        return tm_fail(err, TM_E_NOMEM, "row: %zu cells", cells);
    row->cells = grown;
    row->cells_cap = cells;
    return TM_OK;
}

struct tm_value *tm_row_add(struct tm_row *row, const char *name)
{
    assert(row->cells_count < row->cells_cap);
    struct tm_cell *cell = &row->cells[row->cells_count++];
    cell->name = name;
    cell->value.kind = TM_V_NULL;
    return &cell->value;
}

void tm_row_text(struct tm_row *row, struct tm_value *value, enum tm_value_kind kind, size_t from)
{
    assert(kind == TM_V_TEXT || kind == TM_V_JSON);
    assert(from <= row->arena.bytes);
    value->kind = kind;
    value->as.t.text = (const char *)(uintptr_t)from; /* an offset until tm_row_settle */
    value->as.t.bytes = row->arena.bytes - from;
    tm_buf_addc(&row->arena, '\0');
}

enum tm_code tm_row_settle(struct tm_row *row, const char *what, struct tm_err *err)
{
    enum tm_code rc = tm_buf_check(&row->arena, what, err);
    if (rc != TM_OK) {
        row->cells_count = 0;
        return rc;
    }
    for (size_t i = 0; i < row->cells_count; i++) {
        struct tm_value *v = &row->cells[i].value;
        if (v->kind == TM_V_TEXT || v->kind == TM_V_JSON)
            v->as.t.text = row->arena.data + (uintptr_t)v->as.t.text;
    }
    return TM_OK;
}
