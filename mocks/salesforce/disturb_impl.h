/* disturb_impl: what disturb.c and disturb_answer.c share. Owner of everything: struct
 * tm_disturb. */
#ifndef TM_MOCKS_SALESFORCE_DISTURB_IMPL_H
#define TM_MOCKS_SALESFORCE_DISTURB_IMPL_H
#include "mocks/salesforce/disturb.h"

struct disturb_held { /* one open transaction */
    int64_t number, written_ms, due_ms;
    json_t *request;
};
struct tm_disturb {
    struct tm_disturb_ports ports;
    struct tm_faults *faults;
    struct disturb_held held[TM_DISTURB_HELD_MAX]; /* [held_count], in no order */
    size_t held_count;
    int64_t held_last;
    int64_t edge_ms; /* until then nothing begins or ends; INT64_MIN = look at once */
    uint64_t token_last;
};
/* Writes the log. An entry that cannot be written is lost: the fault has struck all the same. */
void disturb_log(struct tm_disturb *d, const struct tm_fault_rule *rule, const struct tm_now *now,
                 int64_t until_ms, const struct tm_mock_request *r, const char *detail);
#endif
