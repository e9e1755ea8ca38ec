/* backlog: how many bytes of one partition its slowest reader has not committed yet. in: what was
 * enqueued, what was delivered at which offset, which offset the readers committed; out: unread
 * bytes and records. Pure: no I/O, heap, clock. A ring of (offset, bytes before it) checkpoints,
 * one every TM_BACKLOG_STEP_BYTES delivered; between two of them the answer errs upwards by at most
 * one step. What another producer wrote is not seen. */
#ifndef TM_TOPIC_BACKLOG_H
#define TM_TOPIC_BACKLOG_H
#include <stdint.h>

#define TM_BACKLOG_MARKS_MAX 256
#define TM_BACKLOG_STEP_BYTES (32u << 10)
struct tm_backlog {
    uint64_t enqueued_bytes, delivered_bytes, failed_bytes;
    int64_t offset_first, offset_next; /* of what this producer delivered; -1 = nothing yet */
    struct {
        int64_t offset;
        uint64_t bytes;
    } marks[TM_BACKLOG_MARKS_MAX];
    uint32_t marks_first, marks_count;
};
void tm_backlog_init(struct tm_backlog *b);
void tm_backlog_enqueued(struct tm_backlog *b, uint64_t bytes);
void tm_backlog_delivered(struct tm_backlog *b, int64_t offset, uint64_t bytes);
void tm_backlog_failed(struct tm_backlog *b, uint64_t bytes);
/* committed: the lowest next offset of all readers; -1 = one of them has committed nothing. Forgets
 * what was read. */
uint64_t tm_backlog_unread_bytes(struct tm_backlog *b, int64_t committed);
int64_t tm_backlog_unread_records(const struct tm_backlog *b, int64_t committed);
#endif
