/* tolerance: how far a copy may be from the org before it counts as different, as its owner
 * declared it. in: "tolerances" of a relations map, one field's at a time; out: whether two values
 * are one.
 *
 *   "500ms", "1s", "2m", "1h", "1d"   datetimes: at most so far apart (a precision that was cut)
 *   0.01                              numbers: at most so far apart
 *   {"scale": 2}                      numbers: kept with so many decimals, rounded or cut
 *   "trim"                            texts: blanks before and behind do not count
 *   "empty"                           null, blank text, 0 and false are one value
 *
 * and a list of them. Empty text is null without being told to be. Values are
 * hashes (check/vhash.h); of "trim" and "empty" the caller hands in hashes of values so treated
 * (tm_tolerance_text, tm_tolerance_value). Pure. */
#ifndef TM_CHECK_TOLERANCE_H
#define TM_CHECK_TOLERANCE_H
#include "base/describe.h"
#include <stdint.h>

struct tm_tolerance {
    double near; /* ms, or the number's own unit; 0: exact */
    bool cut;    /* less than `near`, not as much */
    bool trim, empty;
};
/* kind: of the field. `where` and `field` name it in errors. */
enum tm_code tm_tolerance_parse(struct tm_tolerance *out, const json_t *json,
                                enum tm_field_kind kind, const char *where, const char *field,
                                struct tm_err *err);
bool tm_tolerance_none(const struct tm_tolerance *t);
/* A value's hash with "empty" done. */
uint64_t tm_tolerance_value(const struct tm_tolerance *t, uint64_t hash);
/* A text's hash with "trim" and "empty" done. */
uint64_t tm_tolerance_text(const struct tm_tolerance *t, const char *text, size_t bytes);
/* The hash a value of org.db has, so treated. */
uint64_t tm_tolerance_json(const struct tm_tolerance *t, const json_t *value);
bool tm_tolerance_same(const struct tm_tolerance *t, uint64_t a, uint64_t b);
#endif
