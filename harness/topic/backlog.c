#include "topic/backlog.h"
#include <string.h>

void tm_backlog_init(struct tm_backlog *b)
{
    memset(b, 0, sizeof *b);
    b->offset_first = b->offset_next = -1;
}

void tm_backlog_enqueued(struct tm_backlog *b, uint64_t bytes)
{
    b->enqueued_bytes += bytes;
}
void tm_backlog_failed(struct tm_backlog *b, uint64_t bytes)
{
    b->failed_bytes += bytes;
}

void tm_backlog_delivered(struct tm_backlog *b, int64_t offset, uint64_t bytes)
{
    if (b->offset_first < 0)
        b->offset_first = offset;
    const uint32_t last = (b->marks_first + b->marks_count - 1) % TM_BACKLOG_MARKS_MAX;
    if (b->marks_count == 0 || b->delivered_bytes - b->marks[last].bytes >= TM_BACKLOG_STEP_BYTES) {
        /* A full ring forgets its newest mark: the answer then errs upwards, towards a pause. */
        uint32_t at = b->marks_count == TM_BACKLOG_MARKS_MAX
                          ? last
                          : (b->marks_first + b->marks_count++) % TM_BACKLOG_MARKS_MAX;
        b->marks[at].offset = offset;
        b->marks[at].bytes = b->delivered_bytes;
    }
    b->delivered_bytes += bytes;
    if (offset >= b->offset_next)
        b->offset_next = offset + 1;
}

uint64_t tm_backlog_unread_bytes(struct tm_backlog *b, int64_t committed)
{
    uint64_t flying = b->enqueued_bytes - b->failed_bytes - b->delivered_bytes;
    if (b->offset_next < 0)
        return flying;
    if (committed >= b->offset_next) {
        b->marks_count = 0;
        return flying;
    }
    while (b->marks_count > 1 &&
           b->marks[(b->marks_first + 1) % TM_BACKLOG_MARKS_MAX].offset <= committed) {
        b->marks_first = (b->marks_first + 1) % TM_BACKLOG_MARKS_MAX;
        b->marks_count--;
    }
    uint64_t read = b->marks_count > 0 ? b->marks[b->marks_first].bytes : b->delivered_bytes;
    return flying + b->delivered_bytes - read;
}

int64_t tm_backlog_unread_records(const struct tm_backlog *b, int64_t committed)
{
    if (b->offset_next < 0 || committed >= b->offset_next)
        return 0;
    return b->offset_next - (committed > b->offset_first ? committed : b->offset_first);
}
