/* window: the asks of one object gathered between two reads, and the offsets they came from. Pure;
 * heap for ids only. in: asks, offsets, instants; out: when it should close. */
#ifndef TM_RECONCILE_WINDOW_H
#define TM_RECONCILE_WINDOW_H
#include "reconcile/read.h"

#define TM_WINDOW_PARTITIONS_MAX 256
struct tm_window {
    size_t object; /* index in the settings */
    struct tm_idset ids;
    struct tm_position *positions;
    size_t positions_cap;
    bool all;                                /* overflow, conversion or copy was asked … */
    bool all_whole;                          /* … and a range cannot answer it */
    struct tm_position at;                   /* highest of those asks */
    int64_t commit_first_ms, commit_last_ms; /* org time of their commits */
    struct {
        int32_t partition;
        int64_t next;
    } offsets[TM_WINDOW_PARTITIONS_MAX];
    size_t offsets_count;
    int64_t slot; /* event time / window size; the first record's */
    int64_t opened_ns, last_ns;
};
struct tm_window *tm_window_open(size_t object, size_t ids_max, int64_t slot,
                                 int64_t now_ns); /* NULL = no memory */
void tm_window_close(struct tm_window *w);        /* NULL-safe */
enum tm_code tm_window_ask_id(struct tm_window *w, const char *id, const struct tm_position *at,
                              struct tm_err *err);
/* commit_ms < 0: not known, so that only a whole read will do. */
void tm_window_ask_all(struct tm_window *w, const struct tm_position *at, int64_t commit_ms,
                       bool whole);
/* TM_E_LIMIT: more partitions than a window keeps. */
enum tm_code tm_window_came(struct tm_window *w, int32_t partition, int64_t offset, int64_t now_ns,
                            struct tm_err *err);
void tm_window_forget(struct tm_window *w, int32_t partition);
bool tm_window_full(const struct tm_window *w);
int64_t tm_window_closes_at(const struct tm_window *w, int64_t size_ns,
                            int64_t idle_ns); /* wall ns */
#endif
