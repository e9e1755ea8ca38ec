/* words_faults: what befell a run, as people say it. */
#include "reports/words.h"
#include <string.h>

const char *tm_word_fault(const char *fault)
{
    static const struct {
        const char *fault, *words;
    } planted[] = { { "expire_tokens", "made to revoke every token" },
                    { "forget_clients", "made to forget its streaming clients" },
                    { "expire_events", "made to forget its events" },
                    { "reset_replay_ids", "made to start its replay ids over" } };
    for (size_t i = 0; i < sizeof planted / sizeof planted[0]; i++)
        if (strcmp(planted[i].fault, fault) == 0)
            return planted[i].words;
    return fault;
}

bool tm_word_faults_missed(struct tm_buf *b, const json_t *report)
{
    const json_t *missed = json_object_get(report, "faults_not_kept"), *count;
    const char *name;
    size_t told = 0;
    json_object_foreach((json_t *)(uintptr_t)missed, name, count) tm_buf_addf(
        b, "%s%lld more of %s", told++ > 0 ? ", " : "", (long long)json_integer_value(count), name);
    return told > 0;
}
