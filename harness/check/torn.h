/* torn: transactions of which a reader saw some records before the others. One read transaction
 * covers all relations, so one is torn when its records were first shown by different reads, or
 * some of them never. in: one pipeline's samples, the instant of the last read; out: how many, and
 * for how long (wall). Counted as it was only at compress 1: the caller asks there only. Pure. */
#ifndef TM_CHECK_TORN_H
#define TM_CHECK_TORN_H
#include "check/match.h"

struct tm_torn {
    uint64_t transactions;
    int64_t torn_ns;  /* sum over them: from the first record shown to the last */
    uint32_t example; /* a version that came late, of the smallest of them; TM_TRUTH_NONE */
};
enum tm_code tm_torn_count(struct tm_torn *out, const struct tm_truth *truth,
                           const struct tm_match *m, int64_t end_ns, struct tm_err *err);
#endif
