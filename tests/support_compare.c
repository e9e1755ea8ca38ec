#include "tests/support_compare.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOISE_FILE "tests/noise_runs.json"

static json_t *support_pipeline(const char *name, const char *kind)
{
    return json_pack("{s:s, s:s, s:{s:i, s:i, s:f}, s:{s:i, s:i, s:i}, s:{s:i}, s:{s:f}, "
                     "s:{s:i, s:f, s:f}, s:{s:{s:i}}}",
                     "name", name, "kind", kind, "freshness_s", "count", 1000, "never", 0, "p99",
                     3.5, "drift", "final_rows", 0, "dirty", 0, "wrong", 0, "lost_history",
                     "states", 12, "work_ms", "p50", 200.0, "cost", "api_calls", 321, "cpu_s", 4.0,
                     "query_ms", 10.0, "anomalies", "phantom", "count", 0);
}

json_t *compare_report(bool virtual)
{
    return json_pack("{s:s, s:s, s:i, s:s, s:[], s:{s:s*, s:i}, s:{s:i}, s:{s:i}, s:[o,o]}",
                     "tidemark", "1", "scenario", "made-up", "seed", 7, "verdict", "pass",
                     "reasons", "environment", "clock", virtual ? "virtual" : NULL, "cpus", 2,
                     "clock", "compress", 360, "offered", "changes", 1000, "pipelines",
                     support_pipeline("stream-view", "stream"),
                     support_pipeline("batch-best", "batch"));
}

void compare_set(json_t *report, const char *pipeline, const char *section, const char *key,
                 double value)
{
    json_t *p;
    size_t i;
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        if (strcmp(json_string_value(json_object_get(p, "name")), pipeline) == 0)
            json_object_set_new(json_object_get(p, section), key, json_real(value));
    }
}

void compare_noise_open(struct compare_noise *out)
{
    out->json = json_load_file(NOISE_FILE, 0, NULL);
    assert(out->json != NULL);
    out->figures = json_array_size(json_object_get(out->json, "figures"));
    out->runs = json_array_size(json_object_get(out->json, "runs"));
    assert(out->figures > 0 && out->runs > 0);
}

void compare_noise_close(struct compare_noise *n)
{
    json_decref(n->json);
}

json_t *compare_noise_run(const struct compare_noise *n, struct tm_rng *rng, double slow)
{
    const json_t *figures = json_object_get(n->json, "figures"), *figure;
    const json_t *run =
        json_array_get(json_object_get(n->json, "runs"), (size_t)tm_rng_below(rng, n->runs));
    json_t *pipelines = json_array(), *p = NULL;
    size_t i;
    const char *first = json_string_value(json_array_get(json_array_get(figures, 0), 0));
    json_array_foreach(figures, i, figure)
    {
        const char *name = json_string_value(json_array_get(figure, 0));
        const char *section = json_string_value(json_array_get(figure, 1));
        const char *key = json_string_value(json_array_get(figure, 2));
        double value = json_number_value(json_array_get(run, i));
        if (p == NULL || strcmp(json_string_value(json_object_get(p, "name")), name) != 0) {
            p = json_pack("{s:s, s:s, s:{}, s:{}}", "name", name, "kind", "batch", "freshness_s",
                          "drift");
            json_array_append_new(pipelines, p);
        }
        if (json_object_get(p, section) == NULL)
            json_object_set_new(p, section, json_object());
        json_object_set_new(json_object_get(p, section), key,
                            json_real(strcmp(name, first) == 0 ? value * slow : value));
    }
    return json_pack("{s:s, s:s, s:i, s:s, s:[], s:{s:i}, s:o}", "tidemark", "1", "scenario",
                     "noise", "seed", 7, "verdict", "pass", "reasons", "environment", "cpus", 2,
                     "pipelines", pipelines);
}

char compare_noise_job(const struct compare_noise *n, struct tm_rng *rng, size_t repeats,
                       double slow)
{
    json_t *runs[3][TM_COMPARE_RUNS_MAX], *result = NULL;
    struct tm_compare_side sides[3];
    struct tm_err err;
    tm_err_clear(&err);
    for (size_t i = 0; i < repeats; i++)
        for (size_t s = 0; s < 3; s++)
            runs[s][i] = compare_noise_run(n, rng, s == 1 ? slow : 1);
    for (size_t s = 0; s < 3; s++)
        sides[s] = (struct tm_compare_side){ (const json_t *const *)runs[s], repeats };
    enum tm_code rc = tm_compare(&result, sides[0], sides[1], sides[2], false, &err);
    assert(rc == TM_OK);
    char verdict = json_string_value(json_object_get(result, "verdict"))[0];
    json_decref(result);
    for (size_t i = 0; i < repeats; i++)
        for (size_t s = 0; s < 3; s++)
            json_decref(runs[s][i]);
    return verdict;
}
