/* guard: connections, and until when each may take over what it does: send a request's head, its
 * body, take an answer. Who sends a byte now and then is not idle, and would stay for ever. in:
 * members owned by the caller, instants; out: those that overstayed, each once. Pure. */
#ifndef TM_MOCK_HTTP_GUARD_H
#define TM_MOCK_HTTP_GUARD_H
#include "base/clock.h"
#include <stddef.h>

struct tm_guard_member {
    struct tm_guard_member *next, *previous;
    int fd;
    int64_t until_ns; /* TM_NEVER = it is our turn, not the peer's */
};
struct tm_guard {
    struct tm_guard_member *first;
    size_t count;
    int64_t look_ns; /* not before: a look goes over all members */
};
void tm_guard_add(struct tm_guard *g, struct tm_guard_member *m, int fd, int64_t until_ns);
void tm_guard_remove(struct tm_guard *g, struct tm_guard_member *m);
/* Calls `late` for every member whose time is over, and no more for that member until it is given
 * another instant; does nothing before a second has passed since the last look. */
void tm_guard_look(struct tm_guard *g, int64_t now_ns, void (*late)(struct tm_guard_member *m));
/* TM_NEVER when nobody is watched */
int64_t tm_guard_next_ns(const struct tm_guard *g);
#endif
