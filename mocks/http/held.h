/* held: requests that wait for an instant or a call, found by token and by which is due first, so
 * that thousands cost no more than a few. in: members, owned by the caller, with a token and two
 * instants; out: the one of a token, those that are due, the next instant. Pure. */
#ifndef TM_MOCK_HTTP_HELD_H
#define TM_MOCK_HTTP_HELD_H
#include "base/clock.h"

#define TM_HELD_BUCKETS 8192u /* a power of two, above the connections a server has */

struct tm_held_member {
    struct tm_held_member *next, *previous; /* of its bucket */
    size_t at[2];                           /* its places in the two heaps */
    uint64_t token;
    int64_t due[2]; /* org ms, wall ns */
};
struct tm_held {
    struct tm_held_member *buckets[TM_HELD_BUCKETS];
    struct tm_held_member **heaps[2]; /* [count]; earliest first */
    size_t count, cap;
};
void tm_held_free(struct tm_held *h); /* the members are not its own */
/* False: out of memory, nothing changed. */
bool tm_held_add(struct tm_held *h, struct tm_held_member *m, uint64_t token, struct tm_wake until);
void tm_held_remove(struct tm_held *h, struct tm_held_member *m);
struct tm_held_member *tm_held_find(const struct tm_held *h, uint64_t token); /* NULL */
/* One that is due by now; NULL when none is. */
struct tm_held_member *tm_held_due(const struct tm_held *h, const struct tm_now *now);
struct tm_held_member *tm_held_any(const struct tm_held *h); /* NULL */
/* Moves the instants of *wake forward to the first one of any member. */
void tm_held_wake(const struct tm_held *h, struct tm_wake *wake);
#endif
