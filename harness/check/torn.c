#include "check/torn.h"
#include <stdlib.h>

struct torn_one {
    uint64_t txn;
    int64_t hi_ns;
    uint32_t version;
};

static int torn_order(const void *a, const void *b)
{
    const struct torn_one *x = a, *y = b;
    if (x->txn != y->txn)
        return x->txn < y->txn ? -1 : 1;
    return (x->hi_ns > y->hi_ns) - (x->hi_ns < y->hi_ns);
}

enum tm_code tm_torn_count(struct tm_torn *out, const struct tm_truth *truth,
                           const struct tm_match *m, int64_t end_ns, struct tm_err *err)
{
    size_t count = 0, smallest = SIZE_MAX;
    struct torn_one *list = calloc(m->samples_count + 1, sizeof *list);
    *out = (struct tm_torn){ .example = TM_TRUTH_NONE };
    if (list == NULL)
        return tm_fail(err, TM_E_NOMEM, "%zu transactions", m->samples_count);
    for (uint32_t i = 0; i < m->samples_count; i++) {
        bool seen = (m->samples[i].flags & TM_SAMPLE_SEEN) != 0;
        if ((m->samples[i].flags & TM_SAMPLE_OF) != 0 &&
            (m->samples[i].flags & TM_SAMPLE_COINCIDENT) == 0)
            list[count++] =
                (struct torn_one){ truth->versions[i].txn, seen ? m->samples[i].hi_ns : end_ns, i };
    }
    qsort(list, count, sizeof *list, torn_order);
    for (size_t first = 0, last; first < count; first = last + 1) {
        for (last = first; last + 1 < count && list[last + 1].txn == list[first].txn;)
            last++;
        int64_t span_ns = list[last].hi_ns - list[first].hi_ns;
        out->torn_ns += span_ns;
        out->transactions += span_ns > 0;
        if (span_ns > 0 && last - first < smallest) {
            smallest = last - first;
            out->example = list[last].version;
        }
    }
    free(list);
    return TM_OK;
}
