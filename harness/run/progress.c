#include "run/progress.h"
#include "base/clock.h"
#include "base/text.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define PROGRESS_LEAST_S 0.5 /* less is nothing to tell of an estimate */

void tm_progress_init(struct tm_progress *p, int64_t org_first_ms, int64_t org_last_ms,
                      int64_t offered, int64_t began_ns)
{
    assert(org_last_ms >= org_first_ms && offered >= 0);
    *p = (struct tm_progress){ .org_first_ms = org_first_ms,
                               .org_last_ms = org_last_ms,
                               .offered = offered,
                               .began_ns = began_ns,
                               .window_ns = began_ns,
                               .per_s = -1 };
}

void tm_progress_look(struct tm_progress *p, int64_t now_ns, int64_t changes)
{
    int64_t took_ns = now_ns - p->window_ns;
    if (changes < 0 || took_ns < TM_PROGRESS_WINDOW_MS * TM_NS_PER_MS)
        return;
    assert(changes >= p->window_changes); /* history only grows */
    p->per_s = (double)(changes - p->window_changes) / ((double)took_ns / 1e9);
    p->window_ns = now_ns;
    p->window_changes = changes;
}

/* Of org time, 0 to 1; -1 = unknown. */
static double progress_share(const struct tm_progress *p, int64_t org_ms)
{
    int64_t whole_ms = p->org_last_ms - p->org_first_ms, done_ms = org_ms - p->org_first_ms;
    if (whole_ms == 0)
        return -1;
    return done_ms <= 0 ? 0 : done_ms >= whole_ms ? 1 : (double)done_ms / (double)whole_ms;
}

double tm_progress_left_s(const struct tm_progress *p, int64_t now_ns, int64_t org_ms,
                          int64_t changes)
{
    double share = progress_share(p, org_ms), took_s = (double)(now_ns - p->began_ns) / 1e9;
    if (share > 0 && share < 1 && took_s > 0)
        return took_s * (1 - share) / share;
    if (share >= 1 && changes >= 0 && p->offered > changes && p->per_s > 0) /* it is late */
        return (double)(p->offered - changes) / p->per_s;
    return -1;
}

/* Whole units that a reader needs: 12 s, 3 min 20 s, 2 h 5 min. */
static void progress_time(char out[40], double seconds)
{
    int64_t s = (int64_t)(seconds + 0.5);
    if (s < 60)
        snprintf(out, 40, "%" PRId64 " s", s);
    else if (s < 3600)
        snprintf(out, 40, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else
        snprintf(out, 40, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
}

void tm_progress_line(char out[TM_PROGRESS_BYTES], const struct tm_progress *p, const char *phase,
                      int64_t now_ns, int64_t org_ms, int64_t changes, double bound_s)
{
    char when[TM_TIME_BYTES], share[32] = "", pace[48] = "", left[64] = "", words[40];
    double part = progress_share(p, org_ms);
    double left_s = bound_s >= 0 ? bound_s : tm_progress_left_s(p, now_ns, org_ms, changes);
    tm_time_z(when, org_ms);
    if (bound_s < 0 && part >= 0)
        snprintf(share, sizeof share, ", %.1f %% done", 100 * part);
    if (bound_s < 0 && p->per_s >= 0)
        snprintf(pace, sizeof pace, ", %.1f changes/s", p->per_s);
    if (bound_s >= 0 || left_s >= PROGRESS_LEAST_S) {
        progress_time(words, left_s);
        snprintf(left, sizeof left, ", %s %s left", bound_s >= 0 ? "at most" : "about", words);
    }
    snprintf(out, TM_PROGRESS_BYTES, "%.20s: org time %.10s %.8s%s%s, %" PRId64 " changes so far%s",
             phase, when, when + 11, share, left, changes > 0 ? changes : 0, pace);
}
