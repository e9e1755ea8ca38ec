/* breakdown: where a change spent its time on the streaming road: commit -> published -> received
 * -> in Kafka -> fetched -> written -> visible. in: trace files (base/trace.h), samples; out: one
 * series a segment, wall ms. Segments are differences of consecutive instants, negative ones shown
 * as they are; for every change they add up to visible - intended commit. Only plain events with
 * all marks count; the rest are counted as left out. Pure but for reading the files. */
#ifndef TM_CHECK_BREAKDOWN_H
#define TM_CHECK_BREAKDOWN_H
#include "base/clock.h"
#include "check/measure.h"

enum tm_segment {
    TM_SEGMENT_LATENESS /* intended -> actual commit: the generator's own */,
    TM_SEGMENT_PUBLISHED,
    TM_SEGMENT_RECEIVED,
    TM_SEGMENT_IN_KAFKA,
    TM_SEGMENT_FETCHED,
    TM_SEGMENT_WRITTEN,
    TM_SEGMENT_VISIBLE,
    TM_SEGMENTS
};
const char *tm_segment_name(enum tm_segment s);
struct tm_marks; /* earliest mark by (object, replay id, kind) */
enum tm_code tm_marks_load(struct tm_marks **out, const char *const *paths, size_t paths_count,
                           struct tm_err *err);
void tm_marks_close(struct tm_marks *m);
/* By a wall clock that stands still in the pauses (base/clock.h). */
void tm_marks_without(struct tm_marks *m, const struct tm_clock_pause *pauses, size_t count);
/* The earliest mark of one event; kind: base/trace.h. False: there is none. */
bool tm_marks_at(const struct tm_marks *m, const char *object, int64_t replay_id, int kind,
                 int64_t *out_ns);
/* Some trace has marks of the kind. */
bool tm_marks_any(const struct tm_marks *m, int kind);
struct tm_breakdown {
    struct tm_series segments[TM_SEGMENTS];
    bool have[TM_SEGMENTS]; /* false: no trace marks its end, it is part of the next */
    uint64_t counted, left_out;
    double sum_ms,
        expected_ms; /* means: of the sum of segments; of work + publish delay from the samples */
};
enum tm_code tm_breakdown_make(struct tm_breakdown *out, const struct tm_truth *truth,
                               const struct tm_match *m, const struct tm_timing *t,
                               const struct tm_marks *marks, struct tm_err *err);
void tm_breakdown_free(struct tm_breakdown *b);
#endif
