/* words_road: the legs of the streaming road as people say them, and what a read of the whole
 * snapshot took while the history behind it grew, by either option. */
#include "reports/words.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A history that grew less than this tells nothing of how the cost of a read grows. */
#define ROAD_GROWN_MIN 2.0
#define ROAD_GROWTH " How both grow to ten million events is measured by make growth."

const char *tm_word_leg(const char *leg)
{
    static const struct {
        const char *name, *says;
    } known[] = { { "generator lateness", "commit later than meant" },
                  { "published", "org → bus (assumed)" },
                  { "received", "bus → source" },
                  { "in Kafka", "source → Kafka" },
                  { "fetched", "Kafka → sink" },
                  { "written", "sink → raw tables" },
                  { "visible", "raw tables → reader" } };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(leg, known[i].name) == 0)
            return known[i].says;
    return leg;
}

struct road_query { /* of one option: its first and its last point */
    const json_t *rows, *ms;
    double first_rows, last_rows, first_ms, last_ms;
};

static bool road_query(struct road_query *out, const json_t *report, int option)
{
    const json_t *p;
    size_t i;
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        const json_t *query = json_object_get(p, "query_by_history");
        size_t n = json_array_size(json_object_get(query, "rows"));
        if (json_integer_value(json_object_get(p, "option")) != option || n == 0 ||
            json_array_size(json_object_get(query, "ms")) != n)
            continue;
        *out = (struct road_query){
            json_object_get(query, "rows"), json_object_get(query, "ms"), 0, 0, 0, 0
        };
        out->first_rows = json_number_value(json_array_get(out->rows, 0));
        out->last_rows = json_number_value(json_array_get(out->rows, n - 1));
        out->first_ms = json_number_value(json_array_get(out->ms, 0));
        out->last_ms = json_number_value(json_array_get(out->ms, n - 1));
        return out->last_ms > 0 && out->first_ms > 0 && out->first_rows > 0;
    }
    return false;
}

static bool road_asked(const json_t *report)
{
    const json_t *p;
    size_t i;
    bool asked = false;
    json_array_foreach(json_object_get(report, "pipelines"), i, p) asked |=
        json_object_get(p, "query_by_history") != NULL;
    return asked;
}

static size_t road_took(char *out, size_t out_bytes, const struct road_query *q, const char *of)
{
    char first[WORD_BYTES], last[WORD_BYTES];
    int n =
        snprintf(out, out_bytes, "%s took %s at the first look and %s at the last", of,
                 tm_word_span(first, q->first_ms / 1000), tm_word_span(last, q->last_ms / 1000));
    return n > 0 && (size_t)n < out_bytes ? (size_t)n : 0;
}

bool tm_word_query(char *out, size_t out_bytes, const json_t *report)
{
    struct road_query one, two;
    char from[WORD_BYTES], to[WORD_BYTES];
    bool has_one = road_query(&one, report, 1), has_two = road_query(&two, report, 2);
    size_t n = 0;
    if (!has_one && !has_two) {
        snprintf(out, out_bytes, "%s" ROAD_GROWTH,
                 strcmp(tm_word_text(report, "environment.clock", ""), "virtual") == 0
                     ? "Under the virtual clock no query has a duration: a run in real time "
                       "measures it."
                     : "No look at the whole snapshot was timed.");
        return road_asked(report);
    }
    const struct road_query *any = has_one ? &one : &two;
    double grown = any->last_rows / any->first_rows;
    if (has_one)
        n += road_took(out, out_bytes, &one, "Computed when asked (option 1), the snapshot");
    if (has_one && has_two)
        n += (size_t)snprintf(out + n, out_bytes - n, "; ");
    if (has_two)
        n += road_took(out + n, out_bytes - n, &two,
                       has_one ? "kept upstream (option 2), it"
                               : "Kept upstream (option 2), the snapshot");
    n += (size_t)snprintf(out + n, out_bytes - n, ", while the raw tables grew from %s rows to %s.",
                          tm_word_count(from, any->first_rows), tm_word_count(to, any->last_rows));
    if (has_one && has_two)
        n += (size_t)snprintf(out + n, out_bytes - n, " At the last, option %d was %.3g times %s.",
                              one.last_ms >= two.last_ms ? 2 : 1,
                              fmax(one.last_ms, two.last_ms) / fmin(one.last_ms, two.last_ms),
                              "faster");
    if (grown < ROAD_GROWN_MIN)
        n += (size_t)snprintf(out + n, out_bytes - n,
                              " That is %.2g times only: too short a history to tell how either "
                              "grows." ROAD_GROWTH,
                              grown);
    return true;
}
