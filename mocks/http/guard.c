#include "mocks/http/guard.h"
#include <assert.h>

#define GUARD_LOOK_NS TM_NS_PER_S

void tm_guard_add(struct tm_guard *g, struct tm_guard_member *m, int fd, int64_t until_ns)
{
    *m = (struct tm_guard_member){ .next = g->first, .fd = fd, .until_ns = until_ns };
    if (m->next != NULL)
        m->next->previous = m;
    g->first = m;
    g->count++;
}

void tm_guard_remove(struct tm_guard *g, struct tm_guard_member *m)
{
    assert(g->count > 0);
    if (m->previous != NULL)
        m->previous->next = m->next;
    else
        g->first = m->next;
    if (m->next != NULL)
        m->next->previous = m->previous;
    g->count--;
}

void tm_guard_look(struct tm_guard *g, int64_t now_ns, void (*late)(struct tm_guard_member *m))
{
    if (now_ns < g->look_ns)
        return;
    g->look_ns = now_ns + GUARD_LOOK_NS;
    for (struct tm_guard_member *m = g->first, *next; m != NULL; m = next) {
        next = m->next;
        if (m->until_ns > now_ns)
            continue;
        m->until_ns = TM_NEVER;
        late(m);
    }
}

int64_t tm_guard_next_ns(const struct tm_guard *g)
{
    return g->count > 0 ? g->look_ns : TM_NEVER;
}
