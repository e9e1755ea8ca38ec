#include "check/results.h"
#include "check/query.h"
#include "base/clock.h"
#include "check/control.h"
#include "check/happened.h"
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESULTS_PASS = 0, RESULTS_FAIL = 1, RESULTS_INCONCLUSIVE = 2, RESULTS_OURS = 70 };

void tm_results_reason(struct tm_results *r, json_t *own, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    json_t *text = json_vsprintf(fmt, ap);
    va_end(ap);
    if (text == NULL) /* not UTF-8, or no memory */
        text = json_string("a reason that could not be written");
    if (own != NULL)
        json_array_append(own, text);
    json_array_append_new(r->reasons, text);
}

enum tm_code tm_results_selftest(struct tm_results *r, const char *pipeline, const char *name,
                                 bool ok, enum tm_exercised exercised, double expected,
                                 double measured, const char *note, struct tm_err *err)
{
    json_t *test = tm_selftest_json(pipeline, name, ok, exercised, expected, measured, note);
    json_array_append_new(r->self_tests, test);
    if (tm_selftest_failed(ok, exercised)) {
        r->broken = true;
        tm_results_reason(
            r, NULL, "self-test \"%s: %s\" %s: expected %.10g, measured %.10g (%s)", pipeline, name,
            exercised == TM_EXERCISED ? "failed"
                                      : "tested nothing, though there was something to test",
            expected, measured, note);
    }
    return tm_run_db_selftest(&r->db, test, err);
}

static enum tm_code results_timing(struct tm_results *r, struct tm_err *err)
{
    struct tm_check *c = r->check;
    struct tm_timing *t = &r->timing;
    *t = (struct tm_timing){ .delay_ms = c->plan->publish_delay_ms };
    t->compress = tm_truth_meta(c->truth, "compress", c->plan->compress);
    t->org_origin_ms = tm_truth_meta(c->truth, "org_origin_ms", INT64_MIN);
    t->wall_origin_ns = tm_truth_meta(c->truth, "wall_origin_ns", INT64_MIN);
    if (t->compress < 1)
        return tm_fail(err, TM_E_PROTO, "%s: meta compress is %lld", c->plan->org,
                       (long long)t->compress);
    for (size_t i = 0; i < c->truth->versions_count; i++) {
        const struct tm_truth_version *v = &c->truth->versions[i];
        if (v->intended_ns == INT64_MIN)
            continue;
        if (t->org_origin_ms == INT64_MIN)
            t->org_origin_ms = v->intended_ms;
        /* the first change tells how the clocks stand to each other */
        if (t->wall_origin_ns == INT64_MIN)
            t->wall_origin_ns =
                v->intended_ns - (v->intended_ms - t->org_origin_ms) * TM_NS_PER_MS / t->compress;
        break;
    }
    if (t->org_origin_ms == INT64_MIN || t->wall_origin_ns == INT64_MIN)
        return tm_fail(err, TM_E_PROTO, "%s: the org's clock was never started and nothing changed",
                       c->plan->org);
    t->start_us = t->org_origin_ms * 1000;
    t->end_us = tm_timing_org_us(t, c->stop_ns);
    return TM_OK;
}

struct results_offered {
    struct tm_series lateness_ms;
    int64_t first_ns, last_ns, first_actual_ns, last_actual_ns;
};

static enum tm_code results_offered(struct tm_results *r, json_t **out, double *out_share,
                                    double *out_p99, struct tm_err *err)
{
    struct results_offered o = { .first_ns = INT64_MAX, .first_actual_ns = INT64_MAX };
    const struct tm_truth *t = r->check->truth;
    enum tm_code rc = TM_OK;
    double p[3] = { 0 };
    for (size_t i = 0; rc == TM_OK && i < t->versions_count; i++) {
        const struct tm_truth_version *v = &t->versions[i];
        if (v->intended_ns == INT64_MIN)
            continue;
        o.first_ns = v->intended_ns < o.first_ns ? v->intended_ns : o.first_ns;
        o.last_ns = v->intended_ns > o.last_ns ? v->intended_ns : o.last_ns;
        o.first_actual_ns = v->actual_ns < o.first_actual_ns ? v->actual_ns : o.first_actual_ns;
        o.last_actual_ns = v->actual_ns > o.last_actual_ns ? v->actual_ns : o.last_actual_ns;
        rc = tm_series_add(&o.lateness_ms, (double)(v->actual_ns - v->intended_ns) / 1e6, err);
    }
    double count = (double)o.lateness_ms.count, offered = (double)r->check->plan->offered;
    double span_s = count > 0 ? (double)(o.last_ns - o.first_ns) / 1e9 : 0;
    double actual_s = count > 0 ? (double)(o.last_actual_ns - o.first_actual_ns) / 1e9 : 0;
    offered = offered > count ? offered : count;
    *out_share = offered > 0 ? count / offered : 0;
    if (actual_s > span_s && actual_s > 0)
        *out_share *= span_s / actual_s;
    tm_series_at(&o.lateness_ms, 0.5, &p[0]);
    tm_series_at(&o.lateness_ms, 0.99, &p[1]);
    tm_series_at(&o.lateness_ms, 1, &p[2]);
    *out_p99 = p[1];
    *out =
        json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:b}", "changes", (json_int_t)offered,
                  "committed", (json_int_t)count, "per_second", span_s > 0 ? offered / span_s : 0.0,
                  "achieved_per_second", actual_s > 0 ? count / actual_s : 0.0, "achieved_share",
                  *out_share, "lateness_ms_p50", p[0], "lateness_ms_p99", p[1], "lateness_ms_max",
                  p[2], "workload_done", tm_truth_meta(r->check->truth, "workload_done", 1) != 0);
    tm_series_free(&o.lateness_ms);
    return rc;
}

static void results_conditions(struct tm_results *r, double share, double lateness_ms_p99)
{
    const struct tm_plan *plan = r->check->plan;
    const struct tm_truth *t = r->check->truth;
    size_t before = json_array_size(r->reasons);
    if (share < plan->achieved_min)
        tm_results_reason(r, NULL,
                          "the load was not kept: %.2f %% of what was offered, %.2f %% asked for",
                          share * 100, plan->achieved_min * 100);
    if (lateness_ms_p99 > plan->lateness_ms_p99_max)
        tm_results_reason(r, NULL, "the load came late: p99 %.1f ms, %.1f ms allowed",
                          lateness_ms_p99, plan->lateness_ms_p99_max);
    if (tm_truth_meta(r->check->truth, "workload_done", 1) == 0)
        tm_results_reason(r, NULL, "the run ended before the workload did");
    for (size_t i = 0; i < plan->events_count; i++) {
        bool seen = false;
        for (size_t k = 0; tm_truth_event_words[k] != NULL; k++)
            seen |= strcmp(tm_truth_event_words[k], plan->events[i]) == 0 &&
                    (t->event_kinds >> k & 1) != 0;
        if (!seen)
            tm_results_reason(r, NULL, "the declared kind of event %s never happened",
                              plan->events[i]);
    }
    r->inconclusive |= json_array_size(r->reasons) > before;
}

/* The measuring itself, on the run's own history and a delay that is known. */
static enum tm_code results_control(struct tm_results *r, struct tm_err *err)
{
    const struct tm_truth *t = r->check->truth;
    const char *objects[TM_TRUTH_OBJECTS_MAX];
    struct tm_control c;
    char note[300], wrong[80] = "";
    for (size_t i = 0; i < t->objects_count; i++)
        objects[i] = t->objects[i].name;
    enum tm_code rc = tm_control_test(&c, t, &r->timing, objects, t->objects_count, err);
    if (rc != TM_OK)
        return tm_at(err, "the known delay");
    if (c.first_wrong != TM_TRUTH_NONE)
        snprintf(wrong, sizeof wrong, "; first that breaks it: position %u", c.first_wrong + 1);
    snprintf(note, sizeof note,
             "changes shown %.6f s after their commit by a made-up pipeline; visible %.9g just "
             "before, %.9g at that age; version-seconds %.10g of %.10g; %llu left out%s",
             (double)TM_CONTROL_DELAY_NS / 1e9, c.before, c.at, (double)c.area_measured_us / 1e6,
             (double)c.area_expected_us / 1e6, (unsigned long long)c.left_out, wrong);
    return tm_results_selftest(r, "witness", "known_delay", c.ok,
                               c.tested > 0 ? TM_EXERCISED : TM_NOTHING_TO_TEST, (double)c.tested,
                               (double)c.held, note, err);
}

static enum tm_code results_write(const json_t *report, const char *path, struct tm_err *err)
{
    char partial[600];
    snprintf(partial, sizeof partial, "%.590s.part", path);
    if (json_dump_file(report, partial, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) != 0 ||
        rename(partial, path) != 0)
        return tm_fail(err, TM_E_IO, "cannot write %s: %s", path, strerror(errno));
    return TM_OK;
}

/* What whoever reads run.db needs to go on from there: the plan, and how the clocks stand. */
static enum tm_code results_clock(struct tm_results *r, struct tm_err *err)
{
    const struct tm_timing *t = &r->timing;
    const struct {
        const char *key;
        int64_t value;
    } all[] = { { "compress", t->compress },
                { "org_origin_ms", t->org_origin_ms },
                { "wall_origin_ns", t->wall_origin_ns },
                { "end_ns", r->check->stop_ns },
                { "end_ms", t->end_us / 1000 } };
    char text[32];
    char *plan = json_dumps(r->check->plan->json, JSON_COMPACT);
    enum tm_code rc = plan == NULL ? tm_fail(err, TM_E_NOMEM, "the plan")
                                   : tm_run_db_meta(&r->db, "plan", plan, err);
    free(plan);
    for (size_t i = 0; rc == TM_OK && i < sizeof all / sizeof all[0]; i++) {
        snprintf(text, sizeof text, "%lld", (long long)all[i].value);
        rc = tm_run_db_meta(&r->db, all[i].key, text, err);
    }
    return rc;
}

static enum tm_code results_finish(struct tm_results *r, int *out_exit, struct tm_err *err)
{
    const struct tm_plan *plan = r->check->plan;
    json_t *offered = NULL, *happened = NULL;
    double share = 0, lateness_ms_p99 = 0;
    enum tm_code rc = results_offered(r, &offered, &share, &lateness_ms_p99, err);
    results_conditions(r, share, lateness_ms_p99);
    *out_exit = r->broken         ? RESULTS_OURS
                : r->failed       ? RESULTS_FAIL
                : r->inconclusive ? RESULTS_INCONCLUSIVE
                                  : RESULTS_PASS;
    const char *verdict = r->broken         ? "inconclusive"
                          : r->failed       ? "fail"
                          : r->inconclusive ? "inconclusive"
                                            : "pass";
    json_t *report = json_pack(
        "{s:s, s:s, s:I, s:s, s:b, s:i, s:O, s:{s:I, s:s, s:I}, s:{s:I, s:I, s:I, s:I, s:I}, s:o, "
        "s:O, s:O}",
        "tidemark", "1", "scenario", plan->scenario, "seed", (json_int_t)plan->seed, "verdict",
        verdict, "harness_ok", !r->broken, "exit_code", *out_exit, "reasons", r->reasons,
        "environment", "cpus", (json_int_t)plan->cpus, "kafka", plan->broker, "compress",
        (json_int_t)r->timing.compress, "clock", "compress", (json_int_t)r->timing.compress,
        "publish_delay_ms", (json_int_t)plan->publish_delay_ms, "index_lag_ms",
        (json_int_t)plan->index_lag_ms, "start_ms", (json_int_t)(r->timing.start_us / 1000),
        "end_ms", (json_int_t)(r->timing.end_us / 1000), "offered", offered, "self_tests",
        r->self_tests, "pipelines", r->pipelines);
    if (rc == TM_OK && report == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "the report");
    if (rc == TM_OK)
        rc = tm_happened_json(&happened, r->check->truth, err);
    if (rc == TM_OK)
        json_object_set(report, "happened", happened);
    json_decref(happened);
    if (rc == TM_OK)
        rc = results_clock(r, err);
    if (rc == TM_OK)
        rc = tm_run_db_meta(&r->db, "scenario", plan->scenario, err);
    if (rc == TM_OK)
        rc = tm_run_db_meta(&r->db, "verdict", verdict, err);
    if (rc == TM_OK)
        rc = tm_run_db_close(&r->db, err);
    if (rc == TM_OK)
        rc = results_write(report, plan->out, err);
    json_decref(report);
    return rc;
}

static enum tm_code results_pauses(struct tm_results *r, struct tm_err *err)
{
    struct tm_check *c = r->check;
    enum tm_code rc = tm_pauses_read(&r->pauses, c->truth, err);
    if (rc != TM_OK)
        return rc;
    tm_pauses_truth(&r->pauses, c->truth);
    for (size_t i = 0; i < c->plan->pipelines_count; i++)
        tm_pauses_target(&r->pauses, &c->targets[i]);
    c->stop_ns = tm_pauses_without(&r->pauses, c->stop_ns);
    return TM_OK;
}

enum tm_code tm_results_make(struct tm_check *c, int *out_exit, struct tm_err *err)
{
    struct tm_results r = { .check = c,
                            .self_tests = json_array(),
                            .pipelines = json_array(),
                            .reasons = json_array(),
                            .queries = json_array() };
    for (size_t i = 0; i < c->plan->pipelines_count; i++)
        json_array_append_new(r.queries, tm_query_history(c, i));
    enum tm_code rc = results_pauses(&r, err);
    if (rc == TM_OK)
        rc = results_timing(&r, err);
    if (rc == TM_OK)
        rc = tm_run_db_open(&r.db, c->plan->run_db, err);
    if (rc == TM_OK)
        rc = tm_run_db_changes(&r.db, c->truth, err);
    if (rc == TM_OK)
        rc = tm_marks_load(&r.marks, c->plan->traces, c->plan->traces_count, err);
    if (rc == TM_OK)
        tm_marks_without(r.marks, r.pauses.items, r.pauses.count);
    if (rc == TM_OK)
        rc = tm_amounts_read(&r.amounts, c->truth, TM_AMOUNTS_OBJECT, TM_AMOUNTS_STAGE,
                             TM_AMOUNTS_AMOUNT, err);
    for (size_t i = 0; rc == TM_OK && i < c->plan->pipelines_count; i++) {
        rc = tm_results_pipeline(&r, i, err);
        tm_check_forget(&c->targets[i]);
    }
    if (rc == TM_OK)
        rc = results_control(&r, err);
    if (rc == TM_OK)
        rc = results_finish(&r, out_exit, err);
    tm_run_db_drop(&r.db);
    tm_marks_close(r.marks);
    tm_amounts_free(&r.amounts);
    json_decref(r.self_tests);
    json_decref(r.pipelines);
    json_decref(r.reasons);
    json_decref(r.queries);
    return rc;
}
