/* csv: RFC 4180 text, record by record. in: one buffer, changed in place; out: fields as
 * terminated texts inside it. Quoted and bare fields, LF and CRLF. Pure: no I/O, heap. The caller
 * owns the buffer, which outlives the fields. */
#ifndef TM_BASE_CSV_H
#define TM_BASE_CSV_H
#include "base/err.h"
#include <stddef.h>

struct tm_csv {
    char *at, *end; /* *end is a NUL of the buffer's own */
    char delimiter;
};
struct tm_csv_field {
    const char *text; /* text[bytes] == 0 */
    size_t bytes;
};
void tm_csv_init(struct tm_csv *c, char *text, size_t bytes /* text[bytes] == 0 */, char delimiter);
/* The next record's fields; *out_count 0 = there is none. TM_E_PROTO: a quote that does not end, or
 * ends inside a field, or a NUL (a text cut short); TM_E_LIMIT: more than fields_cap. */
enum tm_code tm_csv_record(struct tm_csv *c, struct tm_csv_field *fields, size_t fields_cap,
                           size_t *out_count, struct tm_err *err);
#endif
