#include "check/causes.h"
#include "check/cause.h"
#include <stdlib.h>
#include <string.h>

static bool causes_same(const json_t *one, const char *key, const char *text)
{
    const char *other = json_string_value(json_object_get(one, key));
    return other == NULL || text == NULL ? other == text : strcmp(other, text) == 0;
}

void tm_causes_count(json_t *list, const json_t *row, const struct tm_cause *c)
{
    json_t *one;
    size_t i;
    json_array_foreach(list, i, one)
    {
        if (!causes_same(one, "cause", c->word) || !causes_same(one, "station", c->station) ||
            !causes_same(one, "rule", c->rule) || !causes_same(one, "hint", c->hint))
            continue;
        json_int_t rows = json_integer_value(json_object_get(one, "rows"));
        json_object_set_new(one, "rows", json_integer(rows + 1));
        return;
    }
    json_t *pos =
        c->version == TM_TRUTH_NONE ? json_null() : json_integer((json_int_t)c->version + 1);
    json_array_append_new(
        list, json_pack("{s:s, s:s?, s:s?, s:s?, s:b, s:i, s:{s:O, s:O, s:o, s:O*, s:s}}", "cause",
                        c->word, "station", c->station, "rule", c->rule, "hint", c->hint, "known",
                        c->known, "rows", 1, "example", "object", json_object_get(row, "object"),
                        "id", json_object_get(row, "id"), "pos", pos, "org_ms",
                        json_object_get(row, "first_org_ms"), "because", c->says));
}

json_t *tm_causes_by_rows(json_t *list)
{
    json_t *sorted = json_array(), *one;
    size_t i;
    while (json_array_size(list) > 0) {
        size_t most = 0;
        json_array_foreach(list, i, one)
        {
            if (json_integer_value(json_object_get(one, "rows")) >
                json_integer_value(json_object_get(json_array_get(list, most), "rows")))
                most = i;
        }
        json_array_append(sorted, json_array_get(list, most));
        json_array_remove(list, most);
    }
    json_decref(list);
    return sorted;
}

/* The raw tables' rows of the records that differ. Too much of it, or no file: none. */
static enum tm_code causes_road(struct tm_road **out, const struct tm_truth *truth,
                                const struct tm_match *m, const struct tm_plan_pipeline *p,
                                struct tm_err *err)
{
    struct tm_err quiet = { 0 };
    *out = NULL;
    if (p->kind != TM_PIPELINE_STREAM || p->raw[0] == '\0')
        return TM_OK;
    bool *wanted = calloc(truth->records_count + 1, sizeof *wanted);
    if (wanted == NULL)
        return tm_fail(err, TM_E_NOMEM, "causes: %zu records", truth->records_count);
    for (size_t i = 0; i < m->differences_count; i++)
        if (m->differences[i].record != TM_TRUTH_NONE)
            wanted[m->differences[i].record] = true;
    enum tm_code rc = tm_road_load(out, truth, p->raw, wanted, &quiet);
    free(wanted);
    if (rc == TM_E_NOMEM)
        return tm_fail(err, rc, "causes: the rows of %zu records", m->differences_count);
    return TM_OK; /* what could not be read is told with every row: evidence missing */
}

enum tm_code tm_causes_tell(json_t *out, json_t *diff, const struct tm_results *r,
                            const struct tm_plan_pipeline *p, const struct tm_match *m,
                            const struct tm_shown *shown, const struct tm_timing *timing,
                            const struct tm_check_target *target, struct tm_err *err)
{
    struct tm_planted planted = { 0 };
    struct tm_road *road = NULL;
    json_t *list = json_array(), *one;
    size_t i;
    enum tm_code rc = TM_OK;
    if (m->differences_count > 0)
        rc = tm_planted_read(&planted, r->check->truth->db, err);
    if (rc == TM_OK && m->differences_count > 0)
        rc = causes_road(&road, r->check->truth, m, p, err);
    struct tm_cause_stand stand = { .truth = r->check->truth,
                                    .m = m,
                                    .shown = shown,
                                    .timing = timing,
                                    .plan = p,
                                    .index_lag_ms = r->check->plan->index_lag_ms,
                                    .road = road,
                                    .marks = r->check->plan->traces_count > 0 ? r->marks : NULL,
                                    .planted = &planted,
                                    .database = target->reader->db };
    if (rc == TM_OK)
        json_array_foreach(diff, i, one)
        {
            struct tm_cause cause;
            tm_cause_of(&cause, &stand, &m->differences[i]);
            tm_cause_json(one, &cause);
            tm_causes_count(list, one, &cause);
        }
    json_object_set_new(out, "causes", tm_causes_by_rows(list));
    tm_road_close(road);
    tm_planted_free(&planted);
    return rc;
}
