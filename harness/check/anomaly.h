/* clang-format off */
/* anomaly: what went wrong with a copy, by name. in: one pipeline's match, its samples, the final
 * differences; out: a count and the smallest example for each word of a fixed vocabulary. At the
 * end = rows as they stand when the run ends; during = times it was seen happening.
 *
 *   lost_update          end     an update never shown; the row stands as an older whole version
 *   resurrected_row      during  a row shown as gone comes back, though nobody restored its record
 *   phantom              end     a row of a record that is gone, or that the org never had
 *   missing_row          end     a record without a row (or with one that was never whole)
 *   stale_field          end     a row with newer and older values of its record side by side
 *   never_existed_value  during  a value its record never held
 *   time_travel          during  a row that is there goes back to an older version than was shown
 *   torn_transaction     during  some records of a transaction are shown, others not yet or never
 *   duplicate            during  a relation returns one id twice in one read
 *   unrepaired_gap       end     rows and whole objects still in doubt
 *   false_delete         during  a row disappears though its record was not deleted
 *   schema_loss          end     a field with values in the org and no column in the copy
 *
 * One thing gone wrong has one name: updates of a phantom or a missing row are not lost besides.
 * The smallest example is that of the record with the fewest versions, the oldest of those. Pure. */
/* clang-format on */
#ifndef TM_CHECK_ANOMALY_H
#define TM_CHECK_ANOMALY_H
#include "check/match.h"
#include <jansson.h>

struct tm_anomaly_extra { /* what matching does not know */
    uint64_t duplicates;
    const char *duplicate; /* id of one; "" */
    bool torn_measured;
    uint64_t torn;
    uint32_t torn_version; /* of an example */
    uint64_t starred;      /* objects in doubt as a whole */
};
/* "lost_update", … */
const char *tm_anomaly_name(enum tm_anomaly_kind kind);
/* NULL: out of memory. {"lost_update": {"count": n | null, "when": "end" | "during", "example":
 * {"object", "id", "pos", "org_ms", "at", "change"} | null}, …}; count null: not measured. */
json_t *tm_anomalies_json(const struct tm_truth *truth, const struct tm_shown *shown,
                          const struct tm_match *m, const struct tm_anomaly_extra *extra);
#endif
