/* progress: how far a run is, in words. in: org time, changes and wall instants as the run goes;
 * out: one line: share done, what is left by the pace so far, changes/s of the last while.
 * Pure: no I/O, no clock, no heap. What is left is an estimate, and said to be one ("about"), or a
 * bound ("at most"); where nothing can be said yet, nothing is. */
#ifndef TM_RUN_PROGRESS_H
#define TM_RUN_PROGRESS_H
#include <stddef.h>
#include <stdint.h>

#define TM_PROGRESS_BYTES 256
#define TM_PROGRESS_WINDOW_MS 5000 /* the least that changes/s are taken over */

struct tm_progress {
    int64_t org_first_ms, org_last_ms; /* org time the generator works in; equal: unknown */
    int64_t offered;                   /* record changes it is to make; 0 = unknown */
    int64_t began_ns;                  /* wall, when org time left org_first_ms */
    /* the window: where it began, and the pace of the one before it */
    int64_t window_ns, window_changes;
    double per_s; /* < 0: not known yet */
};
void tm_progress_init(struct tm_progress *p, int64_t org_first_ms, int64_t org_last_ms,
                      int64_t offered, int64_t began_ns);
/* Once a look; keeps the pace. changes < 0: not known at this look. */
void tm_progress_look(struct tm_progress *p, int64_t now_ns, int64_t changes);
/* Wall seconds until the generator is done, by the pace so far; -1 = cannot be said. */
double tm_progress_left_s(const struct tm_progress *p, int64_t now_ns, int64_t org_ms,
                          int64_t changes);
/* bound_s >= 0: the phase ends after so many seconds at the latest, and that is said instead. */
void tm_progress_line(char out[TM_PROGRESS_BYTES], const struct tm_progress *p, const char *phase,
                      int64_t now_ns, int64_t org_ms, int64_t changes, double bound_s);
#endif
