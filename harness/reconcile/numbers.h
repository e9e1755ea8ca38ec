/* numbers: read numbers that grow for ever: across restarts and crashes, and from one member of a
 * group to the next, whose state folder may be on another host. in: real time, a SQLite file, a
 * word no other life has; out: numbers made of the time, in 1/64 ms, and 6 bits of the word. A
 * member's clock may be behind another's by less than a rebalance takes. The file holds what is
 * used up, so that a clock set back repeats nothing: time is reserved durably before it is used.
 * Below 2^53 until 2039: whoever reads JSON with doubles can tell them apart. Two members may still
 * give one number (the same 1/64 ms and the same 6 bits): snapshots then go by the reads' names. */
#ifndef TM_RECONCILE_NUMBERS_H
#define TM_RECONCILE_NUMBERS_H
#include "base/err.h"
#include <stdint.h>

#define TM_NUMBERS_TICK_NS 15625    /* 1/64 ms */
#define TM_NUMBERS_BLOCK_TICKS 6400 /* reserved at once: 100 ms, one write of the file */
#define TM_NUMBERS_MEMBERS 64
struct tm_numbers;
enum tm_code tm_numbers_open(struct tm_numbers **out, const char *path, const char *life,
                             struct tm_err *err);
void tm_numbers_close(struct tm_numbers *n); /* NULL-safe */
/* real_ns: since 1970. TM_E_AGAIN while the file is busy. */
enum tm_code tm_numbers_next(struct tm_numbers *n, int64_t real_ns, int64_t *out,
                             struct tm_err *err);
#endif
