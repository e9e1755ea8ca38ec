/* scan: walks JSON text in place, without building a tree. in: text; out: where values begin,
 * strings unescaped. For the small texts that records and arrays travel as; jansson reads
 * everything larger. Pure, bounded depth. */
#ifndef TM_EVENT_SCAN_H
#define TM_EVENT_SCAN_H
#include "base/buf.h"
#include <stdint.h>

#define TM_SCAN_DEPTH_MAX 16
struct tm_scan {
    const char *p, *end;
};

/* next character that is no white space; 0 at the end */
char tm_scan_peek(struct tm_scan *s);
/* consumes `c` if it is next */
bool tm_scan_take(struct tm_scan *s, char c);
/* true, false, null */
bool tm_scan_word(struct tm_scan *s, const char *word);
/* A string: *out and *out_bytes are its raw inside (escapes kept), *out_plain the bytes it has
 * unescaped. */
bool tm_scan_string(struct tm_scan *s, const char **out, size_t *out_bytes, size_t *out_plain);
void tm_scan_unescape(struct tm_buf *out, const char *raw, size_t raw_bytes);
bool tm_scan_int(struct tm_scan *s, int64_t *out); /* an integer; 1.0 and 1e3 are not */
bool tm_scan_double(struct tm_scan *s, double *out);
bool tm_scan_skip(struct tm_scan *s, int depth); /* any value */
#endif
