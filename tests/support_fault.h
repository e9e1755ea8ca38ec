/* The Nth allocation fails. Every program fault_*.c is linked so that our own malloc, calloc,
 * realloc, strdup and strndup pass through here. Allocations inside libraries are not touched. */
#ifndef TM_TESTS_SUPPORT_FAULT_H
#define TM_TESTS_SUPPORT_FAULT_H
#include <stdbool.h>

void fault_arm(unsigned number); /* the number-th allocation from now fails, 1-based; 0 = none */
bool fault_disarm(void);         /* whether it came to that; nothing fails afterwards */

/* One round: all of it armed, `number` = which allocation fails. Returns whether one did. */
typedef bool fault_round(unsigned number);
/* Rounds 1, 2, 3 ... until one needs no allocation more; at least `rounds_least` of them. */
void fault_until_nothing_fails(fault_round *round, unsigned rounds_least);
#endif
