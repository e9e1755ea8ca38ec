#include "check/runs.h"
#include "base/text.h"
#include "check/measure.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_FAILURES_MAX 10
#define RUNS_LINE_BYTES 4096

static int64_t runs_int(const json_t *json, const char *key, int64_t missing)
{
    const json_t *value = json_object_get(json, key);
    return json_is_integer(value) ? json_integer_value(value) : missing;
}

static enum tm_code runs_one(struct tm_runs *r, const json_t *line, json_t *failures,
                             struct tm_series *took_s, size_t *cap, struct tm_err *err)
{
    char at[TM_TIME_BYTES];
    if (r->count == *cap) {
        size_t want = *cap == 0 ? 256 : *cap * 2;
        void *grown = want > TM_RUNS_MAX ? NULL : realloc(r->polls, want * sizeof *r->polls);
        if (grown == NULL)
            return tm_fail(err, TM_E_NOMEM, "%zu starts of a command", want);
        r->polls = grown;
        *cap = want;
    }
    struct tm_poll *p = &r->polls[r->count++];
    *p = (struct tm_poll){ .object = -1,
                           .grid_ms = runs_int(line, "grid_org_ms", INT64_MIN),
                           .skipped = runs_int(line, "skipped", 0),
                           .started_org_ms = runs_int(line, "org_ms", 0),
                           .started_ns = runs_int(line, "started_ns", 0),
                           .finished_ns = runs_int(line, "finished_ns", 0) };
    snprintf(p->mode, sizeof p->mode, "%s", p->grid_ms == INT64_MIN ? "initial" : "command");
    int64_t exit_code = runs_int(line, "exit_code", -1);
    bool killed = json_is_true(json_object_get(line, "killed"));
    r->failed += exit_code != 0;
    r->killed += killed;
    r->skipped += (uint64_t)p->skipped;
    if (exit_code != 0 && json_array_size(failures) < RUNS_FAILURES_MAX)
        json_array_append_new(failures, json_pack("{s:s, s:I, s:b, s:O*}", "at",
                                                  tm_time_z(at, p->started_org_ms), "exit_code",
                                                  (json_int_t)exit_code, "killed", killed, "said",
                                                  json_object_get(line, "said")));
    return tm_series_add(took_s, (double)(p->finished_ns - p->started_ns) / 1e9, err);
}

enum tm_code tm_runs_load(struct tm_runs *out, const char *path, struct tm_err *err)
{
    char text[RUNS_LINE_BYTES];
    struct tm_series took_s = { 0 };
    json_t *failures = json_array();
    size_t cap = 0;
    enum tm_code rc = TM_OK;
    FILE *f = fopen(path, "r");
    *out = (struct tm_runs){ 0 };
    if (f == NULL && errno != ENOENT)
        rc = tm_fail(err, TM_E_IO, "cannot read %s: %s", path, strerror(errno));
    while (rc == TM_OK && f != NULL && fgets(text, sizeof text, f) != NULL) {
        json_t *line = json_loads(text, 0, NULL);
        rc = json_is_object(line)
                 ? runs_one(out, line, failures, &took_s, &cap, err)
                 : tm_fail(err, TM_E_PROTO, "%s: line %zu is no JSON object", path, out->count + 1);
        json_decref(line);
    }
    if (f != NULL)
        fclose(f);
    out->json = json_pack("{s:I, s:I, s:I, s:I, s:o, s:O}", "started", (json_int_t)out->count,
                          "failed", (json_int_t)out->failed, "killed", (json_int_t)out->killed,
                          "skipped", (json_int_t)out->skipped, "took_s", tm_series_json(&took_s),
                          "failures", failures);
    json_decref(failures);
    tm_series_free(&took_s);
    if (rc != TM_OK)
        tm_runs_free(out);
    return rc;
}

void tm_runs_free(struct tm_runs *r)
{
    free(r->polls);
    json_decref(r->json);
    *r = (struct tm_runs){ 0 };
}
