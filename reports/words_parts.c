/* words_parts: the hosts a merged report is of (check/merge.h), one line each, for page and text.
 */
#include "reports/words.h"

#define PARTS_BYTES_MAX (1u << 20) /* of a cell */

static void parts_partitions(struct tm_buf *b, const json_t *by_object, const char *none)
{
    const char *object;
    const json_t *list, *n;
    size_t i, told = 0;
    json_object_foreach((json_t *)(uintptr_t)by_object, object, list)
    {
        if (json_array_size(list) == 0)
            continue;
        tm_buf_addf(b, "%s%s ", told++ > 0 ? "; " : "", object);
        json_array_foreach(list, i, n)
            tm_buf_addf(b, "%s%lld", i > 0 ? ", " : "", (long long)json_integer_value(n));
    }
    if (told == 0)
        tm_buf_addz(b, none);
}

void tm_word_part(struct tm_part_words *out, const json_t *part)
{
    struct tm_buf *const all[] = { &out->partitions, &out->left_out, &out->clock };
    for (int i = 0; i < 3; i++)
        tm_buf_init(all[i], PARTS_BYTES_MAX);
    parts_partitions(&out->partitions, json_object_get(part, "partitions"), "none");
    parts_partitions(&out->left_out, json_object_get(part, "left_out"), "");
    tm_buf_addf(&out->clock, "%+.3f ms, ±%.3f ms (%lld comparisons)",
                json_number_value(json_object_get(part, "clock_ahead_ms")),
                json_number_value(json_object_get(part, "clock_bound_ms")),
                (long long)json_integer_value(json_object_get(part, "comparisons")));
}

void tm_word_part_free(struct tm_part_words *words)
{
    tm_buf_free(&words->partitions);
    tm_buf_free(&words->left_out);
    tm_buf_free(&words->clock);
}

void tm_word_parts(struct tm_buf *b, const json_t *report)
{
    const json_t *p, *list = json_object_get(report, "parts");
    double bound_ms = 0;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)list, i, p)
    {
        double ms = json_number_value(json_object_get(p, "clock_bound_ms"));
        bound_ms = ms > bound_ms ? ms : bound_ms;
    }
    tm_buf_addf(b,
                "The sinks of one group on several hosts, each judged for the partitions it has. "
                "Instants of each are set to the org's clock; every interval in which a change "
                "became visible is widened by what is not known of that clock. So a latency here "
                "is too long by up to %.3f ms, and never too short.",
                2 * bound_ms);
}
