/* numbers: read numbers that grow for ever, also across restarts and crashes. in: a SQLite file;
 * out: 1, 2, 3 … A block is reserved durably before its first number is used, so that a crash skips
 * numbers but never repeats one. */
#ifndef TM_RECONCILE_NUMBERS_H
#define TM_RECONCILE_NUMBERS_H
#include "base/err.h"
#include <stdint.h>

#define TM_NUMBERS_BLOCK 100
struct tm_numbers;
enum tm_code tm_numbers_open(struct tm_numbers **out, const char *path, struct tm_err *err);
void tm_numbers_close(struct tm_numbers *n); /* NULL-safe */
/* TM_E_AGAIN while the file is busy. */
enum tm_code tm_numbers_next(struct tm_numbers *n, int64_t *out, struct tm_err *err);
#endif
