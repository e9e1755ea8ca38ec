#include "tests/support_fault.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define FAULT_ROUNDS_MAX 5000

static unsigned fault_left;
static bool fault_happened;

static bool fault_now(void)
{
    if (fault_left == 0 || --fault_left > 0)
        return false;
    fault_happened = true;
    return true;
}

void fault_arm(unsigned number)
{
    fault_left = number;
    fault_happened = false;
}

bool fault_disarm(void)
{
    bool happened = fault_happened;
    fault_arm(0);
    return happened;
}

void fault_until_nothing_fails(fault_round *round, unsigned rounds_least)
{
    unsigned n = 1;
    while (n < FAULT_ROUNDS_MAX && round(n))
        n++;
    assert_in_range(n, rounds_least, FAULT_ROUNDS_MAX - 1);
}

/* Only where the linker wraps are the real ones there; elsewhere nobody calls these. */
void *__real_malloc(size_t bytes) __attribute__((weak));
void *__real_calloc(size_t count, size_t bytes) __attribute__((weak));
void *__real_realloc(void *old, size_t bytes) __attribute__((weak));
char *__real_strdup(const char *text) __attribute__((weak));
char *__real_strndup(const char *text, size_t bytes) __attribute__((weak));
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    return fault_now() ? NULL : __real_malloc(bytes);
}
void *__wrap_calloc(size_t count, size_t bytes)
{
    return fault_now() ? NULL : __real_calloc(count, bytes);
}
void *__wrap_realloc(void *old, size_t bytes)
{
    return fault_now() ? NULL : __real_realloc(old, bytes);
}
char *__wrap_strdup(const char *text)
{
    return fault_now() ? NULL : __real_strdup(text);
}
char *__wrap_strndup(const char *text, size_t bytes)
{
    return fault_now() ? NULL : __real_strndup(text, bytes);
}
