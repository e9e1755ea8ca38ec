#include "reconcile/window.h"
#include <stdlib.h>

struct tm_window *tm_window_open(size_t object, size_t ids_max, int64_t slot, int64_t now_ns)
{
    struct tm_window *w = calloc(1, sizeof *w);
    if (w == NULL)
        return NULL;
    w->object = object;
    w->slot = slot;
    w->opened_ns = w->last_ns = now_ns;
    tm_idset_init(&w->ids, ids_max);
    return w;
}

void tm_window_close(struct tm_window *w)
{
    if (w == NULL)
        return;
    tm_idset_free(&w->ids);
    free(w->positions);
    free(w);
}

enum tm_code tm_window_ask_id(struct tm_window *w, const char *id, const struct tm_position *at,
                              struct tm_err *err)
{
    size_t index = 0;
    bool fresh = false;
    if (w->ids.count == w->positions_cap) {
        size_t cap = w->positions_cap > 0 ? w->positions_cap * 2 : 64;
        struct tm_position *positions = realloc(w->positions, cap * sizeof *positions);
        if (positions == NULL)
            return tm_fail(err, TM_E_NOMEM, "window of %zu ids", cap);
        w->positions = positions;
        w->positions_cap = cap;
    }
    enum tm_code rc = tm_idset_add(&w->ids, id, &index, &fresh, err);
    if (rc == TM_OK && (fresh || tm_position_compare(at, &w->positions[index]) > 0))
        w->positions[index] = *at;
    return rc;
}

void tm_window_ask_all(struct tm_window *w, const struct tm_position *at, int64_t commit_ms,
                       bool whole)
{
    if (!w->all || tm_position_compare(at, &w->at) > 0)
        w->at = *at;
    w->all_whole = w->all_whole || whole || commit_ms < 0;
    if (!w->all || commit_ms < w->commit_first_ms)
        w->commit_first_ms = commit_ms;
    if (!w->all || commit_ms > w->commit_last_ms)
        w->commit_last_ms = commit_ms;
    w->all = true;
}

enum tm_code tm_window_came(struct tm_window *w, int32_t partition, int64_t offset, int64_t now_ns,
                            struct tm_err *err)
{
    size_t i = 0;
    while (i < w->offsets_count && w->offsets[i].partition != partition)
        i++;
    if (i == TM_WINDOW_PARTITIONS_MAX)
        return tm_fail(err, TM_E_LIMIT, "alerts come from more than %d partitions",
                       TM_WINDOW_PARTITIONS_MAX);
    if (i == w->offsets_count)
        w->offsets_count++;
    w->offsets[i].partition = partition;
    w->offsets[i].next = offset + 1;
    w->last_ns = now_ns;
    return TM_OK;
}

void tm_window_forget(struct tm_window *w, int32_t partition)
{
    for (size_t i = 0; i < w->offsets_count; i++)
        if (w->offsets[i].partition == partition) {
            w->offsets[i] = w->offsets[--w->offsets_count];
            return;
        }
}

bool tm_window_full(const struct tm_window *w)
{
    return w->ids.count >= w->ids.max;
}

int64_t tm_window_closes_at(const struct tm_window *w, int64_t size_ns, int64_t idle_ns)
{
    int64_t by_idle = w->last_ns + idle_ns, by_age = w->opened_ns + size_ns;
    return by_idle < by_age ? by_idle : by_age;
}
