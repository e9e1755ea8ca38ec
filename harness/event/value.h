/* value: one field's value while it travels, and a row of named values. Canonical form of design
 * section 5: datetime = integer ms UTC; date = text; boolean 0/1; ids 18 characters. Text is
 * borrowed from the row's arena (decode) or from the caller (encode) and lives as long as that. */
#ifndef TM_EVENT_VALUE_H
#define TM_EVENT_VALUE_H
#include "base/buf.h"
#include <jansson.h>

enum tm_value_kind {
    TM_V_NULL,
    TM_V_BOOL,
    TM_V_INT,
    TM_V_DOUBLE,
    TM_V_TEXT,
    TM_V_JSON /* a record or array, as compact JSON text */
};
struct tm_value {
    enum tm_value_kind kind;
    union {
        bool b;
        int64_t i;
        double d;
        struct {
            const char *text;
            size_t bytes;
        } t;
    } as;
};
struct tm_cell {
    const char *name;
    struct tm_value value;
}; /* name borrowed from the schema */
/* A decoded record. Reuse it: decode resets it, keeps the memory. */
struct tm_row {
    struct tm_cell *cells;
    size_t cells_count, cells_cap;
    struct tm_buf arena; /* text of the cells */
};
void tm_row_init(struct tm_row *row);
void tm_row_free(struct tm_row *row);
/* NULL when absent */
const struct tm_value *tm_row_get(const struct tm_row *row, const char *name);
/* Text of a TEXT or JSON value, NULL otherwise; terminated. */
const char *tm_value_text(const struct tm_value *value);
struct tm_value tm_value_of_text(const char *text); /* NULL text -> TM_V_NULL; borrows */
struct tm_value tm_value_of_json(const char *json_text);
struct tm_value tm_value_of_int(int64_t i);
struct tm_value tm_value_of_double(double d);
struct tm_value tm_value_of_bool(bool b);
#endif
