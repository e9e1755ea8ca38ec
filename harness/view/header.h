/* header: the parts of a ChangeEventHeader that the rules need, read from its JSON text in place.
 * Pure. */
#ifndef TM_VIEW_HEADER_H
#define TM_VIEW_HEADER_H
#include "event/scan.h"

#define TM_VIEW_TYPE_BYTES 32
struct tm_view_header {
    char type[TM_VIEW_TYPE_BYTES]; /* upper case; "" when there is none */
    struct tm_scan ids, changed;   /* inside of the arrays, behind '['; p NULL = not there */
    int64_t commit_ms;
};
/* TM_E_PROTO when the text is not the JSON of a header. */
enum tm_code tm_view_header_read(struct tm_view_header *out, const char *text, size_t bytes,
                                 struct tm_err *err);
/* Next string of an array as raw text (ids and field names have no escapes); false at its end. */
bool tm_view_header_next(struct tm_scan *array, const char **out, size_t *out_bytes);
#endif
