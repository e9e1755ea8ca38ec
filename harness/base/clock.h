/* clock: the two clocks, org time and wall time, and the port through which a driver waits.
 * in: a shared clock file (many processes, one org time) or a virtual schedule; out: one instant a
 * step. Stations never ask for time: they are handed `struct tm_now` and answer with `struct
 * tm_wake`. The clock file is mapped by every process of a run; only `tidemark run` (or serve
 * alone) writes it. */
#ifndef TM_BASE_CLOCK_H
#define TM_BASE_CLOCK_H
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

#define TM_NEVER INT64_MAX
#define TM_NS_PER_MS 1000000LL
#define TM_NS_PER_S 1000000000LL

struct tm_now {
    int64_t org_ms;  /* org clock: epoch milliseconds UTC of the org's own day */
    int64_t wall_ns; /* CLOCK_MONOTONIC nanoseconds (virtual in a simulation) */
};
/* When a station wants to run next: whichever comes first. TM_NEVER = only when a descriptor is
 * ready. */
struct tm_wake {
    int64_t org_ms;
    int64_t wall_ns;
};
/* Org time stands still at org_origin_ms until wall_origin_ns, then runs `compress` times
 * as fast. */
struct tm_clock_map {
    int64_t org_origin_ms;
    int64_t wall_origin_ns; /* TM_NEVER: not started, org time stands still */
    int64_t compress;       /* org seconds per wall second, >= 1 */
};
int64_t tm_clock_org_at(const struct tm_clock_map *map, int64_t wall_ns);
/* First wall instant at which org time is >= org_ms; TM_NEVER while the clock stands still before
 * it. */
int64_t tm_clock_wall_at(const struct tm_clock_map *map, int64_t org_ms);

/* The org's clock stood still although it had been started: nothing ran. [from_ns, until_ns) */
struct tm_clock_pause {
    int64_t from_ns, until_ns; /* until_ns TM_NEVER: it lasts */
};
#define TM_CLOCK_PAUSES_MAX 16 /* a run can be resumed so often */
/* wall_ns on a wall clock that stands still whenever the org's does: all instants of a pause are
 * its first. By it org time runs evenly from the org's origin on. Pure. */
int64_t tm_clock_without(const struct tm_clock_pause *pauses, size_t count, int64_t wall_ns);

/* How far another host's monotonic clock is ahead of ours, by exchanges that ask it for its time.
 * Its answer was made between our sending and our receiving: the truth is within bound_ns of
 * offset_ns, whatever the way there and back took. Of several exchanges the quickest tells most.
 * Pure. */
struct tm_clock_offset {
    int64_t offset_ns, bound_ns; /* bound_ns < 0: nothing asked yet */
};
void tm_clock_compare(struct tm_clock_offset *best, int64_t sent_ns, int64_t received_ns,
                      int64_t theirs_ns);

/* Two clocks drift apart between comparisons, by no more than this while both are steered as the
 * kernel allows (adjtimex(2): a frequency is off by at most 500 ppm). */
#define TM_CLOCK_DRIFT_PPM 500
struct tm_clock_seen { /* one comparison */
    int64_t at_ns;     /* of our clock */
    struct tm_clock_offset offset;
};
/* The offset at an instant of our clock, from the comparisons before and after it (all[count], by
 * at_ns, each with a bound): within bound_ns of offset_ns as far as the drift keeps its limit.
 * TM_E_ARG where two comparisons contradict that: a clock jumped. Pure. */
enum tm_code tm_clock_offset_at(struct tm_clock_offset *out, const struct tm_clock_seen *all,
                                size_t count, int64_t at_ns, struct tm_err *err);

/* adapters and drivers only; `make layering` keeps stations off it */
int64_t tm_clock_monotonic_ns(void);
/* likewise; for manifests and log lines */
int64_t tm_clock_realtime_ns(void);
/* Epoch ms when the monotonic clock showed 0: what other machines' clocks say of a wall instant. */
int64_t tm_clock_real_ms_at_zero(void);

struct tm_clock_file; /* a mapped clock file */
/* Creates (or truncates) `path`; the clock stands still at org_origin_ms
 * until tm_clock_file_start. */
enum tm_code tm_clock_file_create(struct tm_clock_file **out, const char *path,
                                  int64_t org_origin_ms, int64_t compress, struct tm_err *err);
/* Maps an existing file. TM_E_MISMATCH when it was made on another boot of the machine (instants
 * would lie). */
enum tm_code tm_clock_file_open(struct tm_clock_file **out, const char *path, struct tm_err *err);
void tm_clock_file_start(struct tm_clock_file *file, int64_t wall_origin_ns);
/* The run was interrupted and goes on: org time stands still where it was when it last gave a sign
 * of life (tm_clock_file_alive), or at last_ns if that was later, until tm_clock_file_start.
 * TM_E_MISMATCH on another boot of the machine; TM_E_ARG when the clock had never started;
 * TM_E_LIMIT after TM_CLOCK_PAUSES_MAX times. */
enum tm_code tm_clock_file_resume(struct tm_clock_file **out, const char *path, int64_t last_ns,
                                  struct tm_err *err);
/* Creator only: org time stands still from now_ns on, until the run is resumed. Nothing where it has
 * not started, stands still already, or has done so TM_CLOCK_PAUSES_MAX times. */
void tm_clock_file_stop(struct tm_clock_file *file, int64_t now_ns);
/* Creator only, now and then. */
void tm_clock_file_alive(struct tm_clock_file *file, int64_t wall_ns);
/* The clock as it was first started, and when it stood still since; returns how many pauses. */
size_t tm_clock_file_history(const struct tm_clock_file *file, struct tm_clock_map *out_first,
                             struct tm_clock_pause out[TM_CLOCK_PAUSES_MAX]);
/* Org time jumps by ms >= 0, for everybody who has mapped the file. Creator only. */
void tm_clock_file_advance(struct tm_clock_file *file, int64_t ms);
void tm_clock_file_read(const struct tm_clock_file *file, struct tm_clock_map *out);
void tm_clock_file_close(struct tm_clock_file *file);
/* The instant now by the file's mapping; `file` NULL = real time, compress 1. */
struct tm_now tm_clock_now(const struct tm_clock_file *file);
#endif
