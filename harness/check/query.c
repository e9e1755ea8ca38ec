#include "check/query.h"
#include <string.h>

bool tm_query_beside(const struct tm_plan *plan, size_t index, size_t *out)
{
    const struct tm_plan_pipeline *p = &plan->pipelines[index];
    for (size_t i = 0; i < plan->pipelines_count; i++) {
        const struct tm_plan_pipeline *other = &plan->pipelines[i];
        if (p->kind == TM_PIPELINE_STREAM && other->kind == TM_PIPELINE_STREAM &&
            p->option != other->option && p->raw[0] != '\0' && strcmp(p->raw, other->raw) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* history: a read of option 1, whose cut says how long it was; timed: it, or option 2's. What is
 * not an object's is 0. */
static void query_point(json_t *rows, json_t *ms, const struct tm_full_read *history,
                        const struct tm_full_read *timed)
{
    int64_t count = 0, ns = 0;
    if (!history->ok || !timed->ok)
        return;
    for (size_t i = 0; i < TM_SHOWN_OBJECTS_MAX; i++) {
        count += history->cut[i].raw + history->cut[i].alerts + history->cut[i].recon;
        ns += timed->query_ns[i];
    }
    json_array_append_new(rows, json_integer(count));
    json_array_append_new(ms, json_real((double)ns / 1e6));
}

json_t *tm_query_history(const struct tm_check *c, size_t index)
{
    const struct tm_check_target *own = &c->targets[index];
    size_t other = index;
    if (c->ports.virtual || (own->sampler == NULL && !tm_query_beside(c->plan, index, &other)))
        return json_null();
    const struct tm_check_target *first = &c->targets[other];
    if (first->sampler == NULL || (first != own && first->sampler->beside == NULL))
        return json_null();
    json_t *rows = json_array(), *ms = json_array();
    const struct tm_sampler *s = first->sampler;
    for (size_t i = 0; i < s->reads_count; i++)
        query_point(rows, ms, &s->reads[i], first == own ? &s->reads[i] : &s->beside_reads[i]);
    query_point(rows, ms, &first->final, &own->final);
    return json_pack("{s:o, s:o}", "rows", rows, "ms", ms);
}
