/* buf: a growing byte buffer that must be told its largest size. in: bytes; out: one terminated run
 * of bytes. The first failure sticks: later appends do nothing, so a writer checks once at the end
 * (tm_buf_check). Owner: whoever called init; tm_buf_free is safe on a zeroed struct. */
#ifndef TM_BASE_BUF_H
#define TM_BASE_BUF_H
#include "base/err.h"
#include <stdint.h>

struct tm_buf {
    char *data; /* [0, bytes) valid, data[bytes] == 0; NULL when nothing was appended */
    size_t bytes, cap, max;
    enum tm_code failed; /* TM_OK, TM_E_NOMEM or TM_E_LIMIT */
};
void tm_buf_init(struct tm_buf *b, size_t max);
void tm_buf_free(struct tm_buf *b);
void tm_buf_reset(struct tm_buf *b); /* keeps the memory, clears failure */
void tm_buf_add(struct tm_buf *b, const void *data, size_t bytes);
/* Room for `bytes` more, counted as appended; the caller fills it. NULL when there is none. */
char *tm_buf_extend(struct tm_buf *b, size_t bytes);
void tm_buf_addz(struct tm_buf *b, const char *text);
void tm_buf_addc(struct tm_buf *b, char c);
void tm_buf_add_int(struct tm_buf *b, int64_t i); /* decimal */
void tm_buf_addf(struct tm_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As application/x-www-form-urlencoded wants it: everything but [A-Za-z0-9-._~] as %XX. */
void tm_buf_add_urlencoded(struct tm_buf *b, const char *text);
/* With quotes. What is not UTF-8, also the rest of a letter that was cut, becomes U+FFFD. */
void tm_buf_add_json_string(struct tm_buf *b, const char *text, size_t bytes);
const char *tm_buf_text(const struct tm_buf *b); /* "" when empty; never NULL */
enum tm_code tm_buf_check(const struct tm_buf *b, const char *what, struct tm_err *err);
#endif
