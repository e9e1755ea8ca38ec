/* trace: when a station touched an event, for the latency breakdown by station.
 * in: marks; out: an append-only file of fixed records (native byte order, read on the same host).
 * A trace is diagnostic: losing its tail in a crash loses breakdown samples, never data. NULL trace
 * = off. */
#ifndef TM_BASE_TRACE_H
#define TM_BASE_TRACE_H
#include "base/err.h"
#include <stdint.h>

enum tm_trace_kind {
    TM_TRACE_RECEIVED = 1, /* source: event arrived            key = replay id */
    TM_TRACE_PRODUCED,     /* source: acknowledged by Kafka    key = replay id */
    TM_TRACE_FETCHED,      /* sink: fetched from Kafka         key = replay id */
    TM_TRACE_WRITTEN       /* sink: its transaction committed  key = replay id */
};
struct tm_trace_mark {
    uint32_t kind;
    uint32_t object_hash;
    int64_t key;
    int64_t wall_ns;
}; /* 24 bytes on disk */
struct tm_trace;
/* appends */
enum tm_code tm_trace_open(struct tm_trace **out, const char *path, struct tm_err *err);
void tm_trace_add(struct tm_trace *t, enum tm_trace_kind kind, const char *object, int64_t key,
                  int64_t wall_ns);
void tm_trace_flush(struct tm_trace *t);
void tm_trace_close(struct tm_trace *t);
uint32_t tm_trace_object_hash(const char *object); /* of the lower-cased object name */
#endif
