#include "mocks/http/held.h"
#include <assert.h>
#include <stdlib.h>

enum held_clock { HELD_ORG, HELD_WALL };

static void held_put(struct tm_held *h, int clock, size_t at, struct tm_held_member *m)
{
    h->heaps[clock][at] = m;
    m->at[clock] = at;
}

static void held_up(struct tm_held *h, int clock, size_t at)
{
    struct tm_held_member *m = h->heaps[clock][at];
    while (at > 0 && h->heaps[clock][(at - 1) / 2]->due[clock] > m->due[clock]) {
        held_put(h, clock, at, h->heaps[clock][(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    held_put(h, clock, at, m);
}

static void held_down(struct tm_held *h, int clock, size_t at)
{
    struct tm_held_member *m = h->heaps[clock][at];
    for (size_t child = 2 * at + 1; child < h->count; child = 2 * at + 1) {
        if (child + 1 < h->count &&
            h->heaps[clock][child + 1]->due[clock] < h->heaps[clock][child]->due[clock])
            child++;
        if (h->heaps[clock][child]->due[clock] >= m->due[clock])
            break;
        held_put(h, clock, at, h->heaps[clock][child]);
        at = child;
    }
    held_put(h, clock, at, m);
}

static struct tm_held_member **held_bucket(struct tm_held *h, uint64_t token)
{
    return &h->buckets[token & (TM_HELD_BUCKETS - 1)];
}

bool tm_held_add(struct tm_held *h, struct tm_held_member *m, uint64_t token, struct tm_wake until)
{
    if (h->count == h->cap) {
        size_t cap = h->cap != 0 ? h->cap * 2 : 64;
        for (int clock = 0; clock < 2; clock++) {
            struct tm_held_member **grown =
                realloc(h->heaps[clock], cap * sizeof(struct tm_held_member *));
            if (grown == NULL)
                return false;
            h->heaps[clock] = grown;
        }
        h->cap = cap;
    }
    *m = (struct tm_held_member){ .token = token, .due = { until.org_ms, until.wall_ns } };
    m->next = *held_bucket(h, token);
    if (m->next != NULL)
        m->next->previous = m;
    *held_bucket(h, token) = m;
    h->count++;
    for (int clock = 0; clock < 2; clock++) {
        held_put(h, clock, h->count - 1, m);
        held_up(h, clock, h->count - 1);
    }
    return true;
}

void tm_held_remove(struct tm_held *h, struct tm_held_member *m)
{
    assert(h->count > 0 && h->heaps[0][m->at[0]] == m && h->heaps[1][m->at[1]] == m);
    if (m->previous != NULL)
        m->previous->next = m->next;
    else
        *held_bucket(h, m->token) = m->next;
    if (m->next != NULL)
        m->next->previous = m->previous;
    h->count--;
    for (int clock = 0; clock < 2; clock++) {
        size_t at = m->at[clock];
        struct tm_held_member *last = h->heaps[clock][h->count];
        if (last == m)
            continue;
        held_put(h, clock, at, last);
        held_up(h, clock, at);
        held_down(h, clock, last->at[clock]);
    }
}

struct tm_held_member *tm_held_find(const struct tm_held *h, uint64_t token)
{
    struct tm_held_member *m = h->buckets[token & (TM_HELD_BUCKETS - 1)];
    while (m != NULL && m->token != token)
        m = m->next;
    return m;
}

struct tm_held_member *tm_held_due(const struct tm_held *h, const struct tm_now *now)
{
    if (h->count > 0 && h->heaps[HELD_ORG][0]->due[HELD_ORG] <= now->org_ms)
        return h->heaps[HELD_ORG][0];
    if (h->count > 0 && h->heaps[HELD_WALL][0]->due[HELD_WALL] <= now->wall_ns)
        return h->heaps[HELD_WALL][0];
    return NULL;
}

struct tm_held_member *tm_held_any(const struct tm_held *h)
{
    return h->count > 0 ? h->heaps[HELD_ORG][0] : NULL;
}

void tm_held_wake(const struct tm_held *h, struct tm_wake *wake)
{
    if (h->count == 0)
        return;
    if (h->heaps[HELD_ORG][0]->due[HELD_ORG] < wake->org_ms)
        wake->org_ms = h->heaps[HELD_ORG][0]->due[HELD_ORG];
    if (h->heaps[HELD_WALL][0]->due[HELD_WALL] < wake->wall_ns)
        wake->wall_ns = h->heaps[HELD_WALL][0]->due[HELD_WALL];
}

void tm_held_free(struct tm_held *h)
{
    assert(h->count == 0);
    free(h->heaps[0]);
    free(h->heaps[1]);
}
