/* The Nth allocation fails. Every program fault_*.c is linked so that our own malloc, calloc,
 * realloc, strdup and strndup pass through here. Allocations inside libraries are not touched. */
#ifndef TM_TESTS_SUPPORT_FAULT_H
#define TM_TESTS_SUPPORT_FAULT_H
#include <stdbool.h>

void fault_arm(unsigned number); /* the number-th allocation from now fails, 1-based; 0 = none */
bool fault_disarm(void);         /* whether it came to that; nothing fails afterwards */
#endif
