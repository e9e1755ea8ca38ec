#include "check/allocation.h"
#include "check/anomaly.h"
#include "check/causes.h"
#include "check/diff.h"
#include "check/drift.h"
#include "check/external.h"
#include "check/given.h"
#include "check/kept.h"
#include "check/legs.h"
#include "check/predict.h"
#include "check/results.h"
#include "check/selftest.h"
#include "check/slow.h"
#include "base/text.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIPELINE_EXAMPLES_MAX 20
#define PIPELINE_PHANTOMS_MAX 50
/* carried changes from which on some must have a closed form */
#define PIPELINE_TESTABLE_MIN 1000

struct pipeline_work { /* one pipeline while its results are made */
    struct tm_results *r;
    const struct tm_plan_pipeline *p;
    struct tm_check_target *target;
    struct tm_timing timing;
    struct tm_poll *polls;
    size_t polls_count;
    struct tm_runs runs;          /* external: starts of its command, whose polls are these */
    struct tm_predict *predict;   /* option 1 */
    const struct tm_shown *shown; /* what is matched: followed, or predicted */
    struct tm_match *m, *read;    /* read: option 1, by the full reads of the views */
    struct tm_curve *curve;
    int64_t query_ns[TM_SHOWN_OBJECTS_MAX];
    json_t *out, *reasons, *diff;
};

static int pipeline_ns_order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Median query time of each view over the full reads. */
static void pipeline_query_time(struct pipeline_work *w)
{
    const struct tm_sampler *s = w->target->sampler;
    for (size_t o = 0; o < w->p->objects_count; o++) {
        int64_t all[TM_SAMPLER_READS_MAX + 1];
        size_t count = 0;
        for (size_t i = 0; i < s->reads_count; i++)
            all[count++] = s->reads[i].query_ns[o];
        if (w->target->final.ok)
            all[count++] = w->target->final.query_ns[o];
        if (count == 0)
            continue;
        qsort(all, count, sizeof all[0], pipeline_ns_order);
        w->query_ns[o] = all[count / 2];
    }
}

/* Full reads of the views against what the raw rows predict at the same instants. */
static enum tm_code pipeline_predicted(struct pipeline_work *w, struct tm_err *err)
{
    struct tm_predict *again = NULL;
    struct tm_sampler *s = w->target->sampler;
    uint64_t rows = 0, equal = 0, left_out = 0, reads = 0;
    char note[240] = "";
    enum tm_code rc = tm_predict_open(&again, w->r->check->truth, w->target->reader, NULL,
                                      w->timing.wall_origin_ns, err);
    for (size_t i = 0; rc == TM_OK && i <= s->reads_count; i++) {
        const struct tm_full_read *read = i < s->reads_count ? &s->reads[i] : &w->target->final;
        struct tm_predict_result one;
        if (!read->ok)
            continue;
        rc = tm_predict_to(again, read->cut, err);
        if (rc == TM_OK)
            rc = tm_predict_compare(again, s->reader->shown, read, &one, err);
        if (rc != TM_OK)
            break;
        reads++;
        rows += one.rows + one.stars;
        equal += one.rows - one.differing + one.stars - one.stars_differing;
        left_out += one.left_out;
        if (one.differing + one.stars_differing > 0 && note[0] == '\0')
            snprintf(note, sizeof note, "read %zu: %s, first in %s; ", i + 1, one.example,
                     one.field);
    }
    tm_predict_close(again);
    if (rc != TM_OK)
        return rc;
    size_t used = strlen(note);
    const char *why = reads == 0  ? "not applicable, because the views were never read in full; "
                      : rows == 0 ? "not applicable, because no row had arrived; "
                                  : "";
    snprintf(note + used, sizeof note - used,
             "%s%llu full reads, %llu rows of records that are not predicted left out", why,
             (unsigned long long)reads, (unsigned long long)left_out);
    return tm_results_selftest(w->r, w->p->name, "predicted", equal == rows,
                               rows > 0 ? TM_EXERCISED : TM_NOTHING_TO_TEST, (double)rows,
                               (double)equal, note, err);
}

static enum tm_code pipeline_match(struct pipeline_work *w, struct tm_err *err)
{
    struct tm_check *c = w->r->check;
    enum tm_code rc = TM_OK;
    w->shown = w->target->reader->shown;
    if (w->target->sampler != NULL) {
        pipeline_query_time(w);
        rc = tm_predict_open(&w->predict, c->truth, w->target->reader, w->query_ns,
                             w->timing.wall_origin_ns, err);
        if (rc == TM_OK)
            rc = tm_predict_to(w->predict, NULL, err);
        if (rc == TM_OK)
            w->shown = tm_predict_shown(w->predict);
    }
    if (rc == TM_OK)
        rc = tm_match_make(&w->m, c->truth, w->shown, &w->timing, w->p->objects,
                           w->p->objects_count, err);
    if (rc == TM_OK)
        rc = tm_curve_make(&w->curve, w->m, &w->timing, err);
    if (rc == TM_OK && w->target->sampler != NULL)
        rc = tm_match_make(&w->read, c->truth, w->target->views->shown, &w->timing, w->p->objects,
                           w->p->objects_count, err);
    return rc;
}

static enum tm_code pipeline_area(struct pipeline_work *w, struct tm_err *err)
{
    char note[200];
    struct tm_area a;
    enum tm_code rc = tm_selftest_area(&a, w->r->check->truth, w->m, &w->timing, err);
    if (rc != TM_OK)
        return rc;
    int used = snprintf(note, sizeof note,
                        "version-seconds; %llu changes of records shown out of order left out",
                        (unsigned long long)a.unordered);
    if (a.first_wrong != TM_TRUTH_NONE)
        snprintf(note + used, sizeof note - (size_t)used, "; first record that breaks it: %s",
                 w->r->check->truth->records[a.first_wrong].id);
    return tm_results_selftest(w->r, w->p->name, "area", a.first_wrong == TM_TRUTH_NONE,
                               a.expected_us != 0 || a.measured_us != 0 ? TM_EXERCISED
                                                                        : TM_NOTHING_TO_TEST,
                               (double)a.expected_us / 1e6, (double)a.measured_us / 1e6, note, err);
}

/* Full comparisons of the relations while the run went on. */
static enum tm_code pipeline_audits(struct pipeline_work *w, struct tm_err *err)
{
    const struct tm_audit *a = w->target->audit;
    const struct tm_audit_read *all = &a->total;
    json_t *at = json_array();
    char note[200], example[40] = "";
    double interval_s = (double)w->r->check->plan->audit_ns / 1e9;
    for (size_t i = 0; i < a->begun_count; i++)
        json_array_append_new(at,
                              json_integer(tm_timing_org_us(&w->timing, a->begun_ns[i]) / 1000));
    if (all->differing > 0)
        snprintf(example, sizeof example, "; one that differs: %s", all->example);
    json_object_set_new(w->out, "audits",
                        json_pack("{s:I, s:f, s:I, s:I, s:I, s:o}", "count",
                                  (json_int_t)a->total_count, "interval_s", interval_s, "rows",
                                  (json_int_t)all->rows, "left_out", (json_int_t)all->left_out,
                                  "differing", (json_int_t)all->differing, "org_ms", at));
    snprintf(note, sizeof note,
             "rows of %zu full comparisons, one every %.1f s of wall time; %llu that changed "
             "meanwhile left out%s",
             a->total_count, interval_s, (unsigned long long)all->left_out, example);
    return tm_results_selftest(w->r, w->p->name, "audit", all->differing == 0,
                               all->rows > all->left_out ? TM_EXERCISED : TM_NOTHING_TO_TEST,
                               (double)all->rows - (double)all->left_out,
                               (double)all->rows - (double)all->left_out - (double)all->differing,
                               note, err);
}

/* Equality before every commit, and the end of it held against what matching says. */
static enum tm_code pipeline_drift(struct pipeline_work *w, struct tm_err *err)
{
    struct tm_drift_run d;
    const struct tm_truth *t = w->r->check->truth;
    char note[300];
    enum tm_code rc = tm_drift_replay(&d, t, w->shown, w->m, &w->timing, err);
    double share = d.commits_count > 0 ? (double)d.equal / (double)d.commits_count : 0;
    json_object_set_new(
        w->out, "at_commits",
        json_pack("{s:I, s:I, s:f, s:I, s:I, s:f}", "commits", (json_int_t)d.commits_count, "equal",
                  (json_int_t)d.equal, "equal_share", share, "peak_rows", (json_int_t)d.peak_rows,
                  "peak_pos", (json_int_t)(d.peak == TM_TRUTH_NONE ? 0 : d.peak + 1),
                  "longest_unequal_s", (double)d.unequal_ns_max / 1e9));
    snprintf(
        note, sizeof note,
        "changes after which the hashes of both sets and the list of differing rows were asked "
        "and agreed; at the end %zu rows differ, by matching %zu",
        d.final_differing, w->m->differences_count);
    if (rc == TM_OK)
        rc =
            tm_results_selftest(w->r, w->p->name, "set_hash",
                                d.agreed == d.asked && d.final_differing == w->m->differences_count,
                                d.asked > 0 ? TM_EXERCISED : TM_NOTHING_TO_TEST, (double)d.asked,
                                (double)d.agreed, note, err);
    if (rc == TM_OK)
        rc = tm_run_db_drift(&w->r->db, w->p->name, &d, err);
    tm_drift_run_free(&d);
    return rc;
}

static void pipeline_describe(const struct tm_truth *t, uint32_t v, char *out, size_t out_bytes)
{
    char at[TM_TIME_BYTES];
    if (v == TM_TRUTH_NONE) {
        out[0] = '\0';
        return;
    }
    const struct tm_truth_record *r = &t->records[t->versions[v].record];
    snprintf(out, out_bytes, "%s of %s %s at position %u, %s",
             tm_truth_change_name(t->versions[v].change), t->objects[r->object].name, r->id, v + 1,
             tm_time_z(at, t->versions[v].org_ms));
}

/* Polls on the grid, after a workload that was done, with changes they carry and could be held to:
 * then something was tested. */
static enum tm_exercised pipeline_exercised(const struct pipeline_work *w,
                                            const struct tm_poll_test *test, uint64_t tested)
{
    uint64_t changes = test->tested, carried;
    bool grid = false;
    for (int i = 0; i < TM_POLL_EXCLUSIONS; i++)
        changes += test->excluded[i];
    /* no fault of the harness, and no closed form of theirs: not carried, never shown, made late by
     * a planted fault, due in a poll that did not take place */
    carried = changes - test->excluded[TM_POLL_NOT_CARRIED] - test->excluded[TM_POLL_UNSEEN] -
              test->excluded[TM_POLL_PLANTED] - test->excluded[TM_POLL_SKIPPED];
    for (size_t i = 0; i < w->polls_count; i++)
        grid |= w->polls[i].grid_ms != INT64_MIN;
    bool done = tm_truth_meta(w->r->check->truth, "workload_done", 0) != 0;
    if (tested > 0)
        return TM_EXERCISED;
    return grid && done && carried >= PIPELINE_TESTABLE_MIN ? TM_NOTHING_TESTED
                                                            : TM_NOTHING_TO_TEST;
}

static enum tm_code pipeline_polls(struct pipeline_work *w, struct tm_err *err)
{
    struct tm_poll_test test;
    char note[600], example[160];
    enum tm_code rc = tm_selftest_polls(&test, w->r->check->truth, w->m, &w->timing, w->p,
                                        w->r->check->plan->index_lag_ms, err);
    if (rc != TM_OK)
        return rc;
    int used = snprintf(note, sizeof note, "changes; left out:");
    for (int i = 0; i < TM_POLL_EXCLUSIONS; i++)
        used +=
            snprintf(note + used, sizeof note - (size_t)used, " %s %llu%s",
                     tm_poll_exclusion_name((enum tm_poll_exclusion)i),
                     (unsigned long long)test.excluded[i], i + 1 < TM_POLL_EXCLUSIONS ? "," : "");
    if (test.off_grid > 0)
        used += snprintf(note + used, sizeof note - (size_t)used, "; %llu polls are off the grid",
                         (unsigned long long)test.off_grid);
    pipeline_describe(w->r->check->truth, test.first_wrong, example, sizeof example);
    if (example[0] != '\0')
        snprintf(note + used, sizeof note - (size_t)used, "; first that breaks it: %s", example);
    rc = tm_results_selftest(w->r, w->p->name, "poll_time",
                             test.held == test.tested && test.off_grid == 0,
                             pipeline_exercised(w, &test, test.tested + test.off_grid),
                             (double)test.tested, (double)test.held, note, err);
    pipeline_describe(w->r->check->truth, test.first_lost_wrong, example, sizeof example);
    snprintf(note, sizeof note, "of %llu versions with a closed form%s%s",
             (unsigned long long)test.lost_tested,
             example[0] != '\0' ? "; first that breaks it: " : "", example);
    if (rc == TM_OK)
        rc = tm_results_selftest(w->r, w->p->name, "lost_states", test.lost_wrong == 0,
                                 pipeline_exercised(w, &test, test.lost_tested),
                                 (double)test.lost_expected, (double)test.lost_measured, note, err);
    return rc;
}

static enum tm_code pipeline_breakdown(struct pipeline_work *w, struct tm_err *err)
{
    struct tm_breakdown b;
    char note[160];
    enum tm_code rc = tm_breakdown_make(&b, w->r->check->truth, w->m, &w->timing, w->r->marks, err);
    json_t *out = json_object(), *legs = NULL;
    if (rc == TM_OK)
        rc = tm_legs_json(&legs, &b, err);
    for (int i = 0; rc == TM_OK && i < TM_SEGMENTS; i++)
        if (b.have[i])
            json_object_set_new(out, tm_segment_name((enum tm_segment)i),
                                tm_series_json(&b.segments[i]));
    json_object_set_new(w->out, "breakdown", out);
    json_object_set_new(w->out, "legs_by_rank", legs != NULL ? legs : json_null());
    if (rc == TM_OK) {
        double off = b.sum_ms - b.expected_ms;
        snprintf(note, sizeof note, "mean ms over %llu changes; %llu without all marks left out",
                 (unsigned long long)b.counted, (unsigned long long)b.left_out);
        rc = tm_run_db_breakdown(&w->r->db, w->p->name, &b, err);
        if (rc == TM_OK)
            rc = tm_results_selftest(w->r, w->p->name, "breakdown", off < 0.001 && off > -0.001,
                                     b.counted > 0 ? TM_EXERCISED : TM_NOTHING_TO_TEST,
                                     b.expected_ms, b.sum_ms, note, err);
    }
    tm_breakdown_free(&b);
    return rc;
}

/* Option 1: the last word on the end is the last full read; what left no row of its own was seen by
 * full reads only. */
static void pipeline_adopt(struct pipeline_work *w)
{
    struct tm_match *m = w->m, *read = w->read;
    void *differences = m->differences;
    size_t cap = m->differences_cap;
    if (read == NULL)
        return;
    memcpy(m->final, read->final, sizeof m->final);
    m->anomalies[TM_ANOMALY_UNREPAIRED] = read->anomalies[TM_ANOMALY_UNREPAIRED];
    m->differences = read->differences;
    m->differences_count = read->differences_count;
    m->differences_cap = read->differences_cap;
    read->differences = differences;
    read->differences_cap = cap;
    for (size_t i = 0; i < m->samples_count; i++)
        if ((m->samples[i].flags & TM_SAMPLE_SEEN) == 0 &&
            (read->samples[i].flags & TM_SAMPLE_SEEN) != 0)
            m->samples[i] = read->samples[i];
}

static void pipeline_phantoms(struct pipeline_work *w)
{
    json_t *list = json_array(), *one;
    size_t i;
    json_int_t count = 0;
    json_array_foreach(w->diff, i, one)
    {
        char at[TM_TIME_BYTES];
        if (strcmp(json_string_value(json_object_get(one, "class")), "phantom") != 0)
            continue;
        if (count++ >= PIPELINE_PHANTOMS_MAX)
            continue;
        json_int_t ms = json_integer_value(json_object_get(one, "first_org_ms"));
        const json_t *change = json_object_get(one, "first_change");
        json_array_append_new(
            list, json_pack("{s:O, s:O, s:I, s:s, s:I, s:s}", "object",
                            json_object_get(one, "object"), "id", json_object_get(one, "id"),
                            "deleted_org_ms", ms, "deleted", tm_time_z(at, ms), "pos",
                            json_integer_value(json_object_get(one, "first_pos")), "change",
                            change == NULL ? "never created" : json_string_value(change)));
    }
    json_object_set_new(w->out, "phantoms",
                        json_pack("{s:I, s:o}", "count", count, "examples", list));
}

/* Phantoms have a list of their own: they come last, lest they hide the others. */
static void pipeline_examples(struct pipeline_work *w)
{
    json_t *examples = json_array(), *one;
    size_t i;
    for (int phantoms = 0; phantoms < 2; phantoms++)
        json_array_foreach(w->diff, i, one)
        {
            const char *class = json_string_value(json_object_get(one, "class"));
            if ((strcmp(class, "phantom") == 0) == phantoms &&
                json_array_size(examples) < PIPELINE_EXAMPLES_MAX)
                json_array_append(examples, one);
        }
    json_object_set_new(w->out, "examples", examples);
}

static enum tm_code pipeline_diff(struct pipeline_work *w, struct tm_err *err)
{
    const struct tm_shown *shown = w->read != NULL ? w->target->views->shown : w->shown;
    struct tm_given *given = w->target->reader->given;
    json_t *values =
        given != NULL ? tm_given_values(w->target->reader, w->m, TM_DIFF_DETAILS_MAX) : NULL;
    enum tm_code rc = tm_diff_json(&w->diff, w->r->check->truth, w->m, shown,
                                   given != NULL ? NULL : w->target->views, values, err);
    json_decref(values);
    if (rc != TM_OK)
        return rc;
    rc = tm_causes_tell(w->out, w->diff, w->r, w->p, w->m, shown, &w->timing, w->target, err);
    if (rc != TM_OK)
        return rc;
    pipeline_examples(w);
    pipeline_phantoms(w);
    return tm_run_db_diff(&w->r->db, w->p->name, w->diff, err);
}

/* The most that any one read returned twice. */
static void pipeline_duplicates(const struct pipeline_work *w, struct tm_anomaly_extra *extra)
{
    const struct tm_audit *a = w->target->audit;
    const struct tm_sampler *s = w->target->sampler;
    extra->duplicates = w->target->final.duplicates;
    extra->duplicate = w->target->final.duplicate;
    const struct tm_given *given = w->target->reader->given;
    if (given != NULL && given->duplicates > extra->duplicates) {
        extra->duplicates = given->duplicates;
        extra->duplicate = given->duplicate;
    }
    if (a != NULL && a->total.duplicates > extra->duplicates) {
        extra->duplicates = a->total.duplicates;
        extra->duplicate = a->total.duplicate;
    }
    for (size_t i = 0; s != NULL && i < s->reads_count; i++)
        if (s->reads[i].duplicates > extra->duplicates) {
            extra->duplicates = s->reads[i].duplicates;
            extra->duplicate = s->reads[i].duplicate;
        }
}

static enum tm_code pipeline_anomalies(struct pipeline_work *w, struct tm_err *err)
{
    struct tm_anomaly_extra extra = { 0 };
    const json_t *torn = json_object_get(w->out, "torn");
    extra.torn_measured = json_is_true(json_object_get(torn, "measured"));
    extra.torn = (uint64_t)json_integer_value(json_object_get(torn, "transactions"));
    extra.torn_version = (uint32_t)json_integer_value(json_object_get(torn, "example_pos")) - 1;
    for (size_t i = 0; i < w->target->views->objects_count; i++)
        extra.starred += w->target->views->objects[i].starred;
    pipeline_duplicates(w, &extra);
    const struct tm_shown *shown = w->read != NULL ? w->target->views->shown : w->shown;
    json_t *all = tm_anomalies_json(w->r->check->truth, shown, w->m, &extra);
    enum tm_code rc = all != NULL ? tm_run_db_anomalies(&w->r->db, w->p->name, all, err)
                                  : tm_fail(err, TM_E_NOMEM, "anomalies");
    json_object_set_new(w->out, "anomalies", all);
    return rc;
}

/* A reader of the raw tables behind option 2: of the pipeline that followed them, or *own. */
static enum tm_code pipeline_raw(const struct pipeline_work *w, const struct tm_reader **out,
                                 struct tm_reader **own, struct tm_err *err)
{
    struct tm_check *c = w->r->check;
    bool changed;
    *out = NULL;
    for (size_t i = 0; i < c->plan->pipelines_count && *out == NULL; i++)
        if (c->targets[i].sampler != NULL && strcmp(c->plan->pipelines[i].database, w->p->raw) == 0)
            *out = c->targets[i].reader;
    if (*out != NULL || w->p->raw[0] == '\0')
        return TM_OK;
    enum tm_code rc = tm_reader_open(own, w->p->raw, true, w->p->objects, w->p->objects_count,
                                     c->ports.wall_ns, err);
    if (rc == TM_OK)
        rc = tm_reader_probe(*own, c->stop_ns, &changed, err);
    *out = rc == TM_OK ? *own : NULL;
    return rc == TM_E_AGAIN ? TM_OK : rc; /* they never came */
}

/* The other kind of lost history. */
static enum tm_code pipeline_kept(struct pipeline_work *w, struct tm_err *err)
{
    struct tm_kept kept = { 0 };
    const struct tm_reader *raw = NULL;
    struct tm_reader *own = NULL;
    json_t *lost = json_object_get(w->out, "lost_history");
    bool stream = w->p->kind == TM_PIPELINE_STREAM;
    enum tm_code rc = stream ? pipeline_raw(w, &raw, &own, err) : TM_OK;
    if (rc == TM_OK)
        rc = tm_kept_count(&kept, w->r->check->truth, w->m, w->shown, raw,
                           stream ? NULL : w->target->reader->db, err);
    tm_reader_close(own);
    if (rc != TM_OK)
        return rc;
    json_object_set_new(lost, "unkept_states", json_integer((json_int_t)kept.lost));
    json_object_set_new(
        lost, "unkept_share",
        json_real(kept.states == 0 ? 0.0 : (double)kept.lost / (double)kept.states));
    json_object_set_new(lost, "unkept_pos",
                        kept.example == TM_TRUTH_NONE ? json_null()
                                                      : json_integer((json_int_t)kept.example + 1));
    return TM_OK;
}

static char *pipeline_value_text(const json_t *value, char *out, size_t out_bytes)
{
    char *text = json_dumps(value == NULL ? json_null() : value, JSON_ENCODE_ANY | JSON_COMPACT);
    snprintf(out, out_bytes, "%.60s", text == NULL ? "?" : text);
    free(text);
    return out;
}

static void pipeline_reason_differing(struct pipeline_work *w, int64_t differing)
{
    const json_t *one = json_array_get(w->diff, 0),
                 *field = json_array_get(json_object_get(one, "fields"), 0);
    char expected[64], shown[64], detail[300] = "", at[TM_TIME_BYTES];
    const char *name = json_string_value(json_object_get(field, "field"));
    if (name != NULL)
        snprintf(detail, sizeof detail, ", field %s: the org holds %s, shown is %s", name,
                 pipeline_value_text(json_object_get(field, "expected"), expected, sizeof expected),
                 pipeline_value_text(json_object_get(field, "shown"), shown, sizeof shown));
    tm_results_reason(
        w->r, w->reasons,
        "%s: %lld rows differ at the end, %lld allowed; for one %s %s is %s%s (since position "
        "%lld, %s)",
        w->p->name, (long long)differing, (long long)w->p->differing_max,
        json_string_value(json_object_get(one, "object")),
        json_string_value(json_object_get(one, "id")),
        json_string_value(json_object_get(one, "class")), detail,
        (long long)json_integer_value(json_object_get(one, "first_pos")),
        tm_time_z(at, json_integer_value(json_object_get(one, "first_org_ms"))));
}

/* Fail before inconclusive before pass, against this pipeline's own promises. */
static void pipeline_verdict(struct pipeline_work *w)
{
    const struct tm_plan_pipeline *p = w->p;
    int64_t never =
        json_integer_value(json_object_get(json_object_get(w->out, "freshness_s"), "never"));
    const json_t *drift = json_object_get(w->out, "drift");
    int64_t differing = json_integer_value(json_object_get(drift, "final_rows"));
    int64_t dirty = json_integer_value(json_object_get(drift, "dirty")) +
                    json_integer_value(json_object_get(drift, "starred"));
    bool promised = p->unseen_max != TM_PLAN_NO_LIMIT || p->differing_max != TM_PLAN_NO_LIMIT ||
                    p->dirty_max != TM_PLAN_NO_LIMIT || p->failed_max != TM_PLAN_NO_LIMIT;
    bool failed = false, missing = false;
    if (w->target->reader->given != NULL)
        failed = tm_external_failed(w->r, w->reasons, p, &w->runs, w->target->reader->given);
    if (never > p->unseen_max) {
        char example[160] = "";
        for (uint32_t v = 0; v < w->m->samples_count && example[0] == '\0'; v++)
            if ((w->m->samples[v].flags & (TM_SAMPLE_OF | TM_SAMPLE_SEEN)) == TM_SAMPLE_OF)
                pipeline_describe(w->r->check->truth, v, example, sizeof example);
        tm_results_reason(w->r, w->reasons,
                          "%s: %lld changes were never seen, %lld allowed; the first is the %s",
                          p->name, (long long)never, (long long)p->unseen_max, example);
        failed = true;
    }
    if (differing > p->differing_max) {
        pipeline_reason_differing(w, differing);
        failed = true;
    }
    if (dirty > p->dirty_max) {
        tm_results_reason(
            w->r, w->reasons,
            "%s: %lld rows or whole objects are still flagged dirty at the end, %lld allowed",
            p->name, (long long)dirty, (long long)p->dirty_max);
        failed = true;
    }
    for (size_t i = 0; i < w->target->views->objects_count; i++)
        if (!w->target->views->objects[i].found) {
            tm_results_reason(w->r, w->reasons,
                              "%s: %s has no relation %s: nothing could be compared", p->name,
                              p->database, w->target->views->objects[i].name);
            missing = true;
        }
    w->r->failed |= failed;
    w->r->inconclusive |= missing;
    json_object_set_new(w->out, "verdict",
                        json_string(failed     ? "fail"
                                    : missing  ? "inconclusive"
                                    : promised ? "pass"
                                               : "none"));
}

static enum tm_code pipeline_cost(struct pipeline_work *w, struct tm_err *err)
{
    json_t *cost = NULL, *by_object = json_object();
    double total_ms = 0;
    enum tm_code rc = tm_cost_json(&cost, w->r->check->truth, w->p, w->polls, w->polls_count, err);
    const struct tm_sampler *s = w->target->sampler;
    for (size_t o = 0; rc == TM_OK && o < w->p->objects_count; o++) {
        double ms = (double)(s != NULL ? w->query_ns[o] : w->target->final.query_ns[o]) / 1e6;
        json_object_set_new(by_object, w->p->objects[o], json_real(ms));
        total_ms += ms;
        for (size_t i = 0; rc == TM_OK && s != NULL && i < s->reads_count; i++)
            rc = tm_run_db_full_read(&w->r->db, w->p->name, s->reads[i].begun_ns, w->p->objects[o],
                                     (double)s->reads[i].query_ns[o] / 1e6,
                                     (int64_t)s->reads[i].rows, err);
        if (rc == TM_OK && w->target->final.ok)
            rc = tm_run_db_full_read(&w->r->db, w->p->name, w->target->final.begun_ns,
                                     w->p->objects[o], (double)w->target->final.query_ns[o] / 1e6,
                                     (int64_t)w->target->final.rows, err);
    }
    json_object_set_new(
        cost, "daily",
        tm_allocation_json(json_number_value(json_object_get(cost, "api_calls")),
                           json_number_value(json_object_get(cost, "events")),
                           (double)(w->timing.end_us - w->timing.start_us) / 3.6e9));
    json_object_set_new(cost, "query_ms", json_real(total_ms));
    json_object_set_new(cost, "query_ms_by_object", by_object);
    if (w->target->reader->given != NULL)
        json_object_set_new(cost, "warehouse_bytes",
                            json_integer(tm_given_bytes(w->target->reader->given)));
    json_object_set_new(w->out, "cost", cost);
    return rc;
}

/* Is everything committed within reach of a poll that came after it? */
static void pipeline_drained(struct pipeline_work *w)
{
    const struct tm_truth *t = w->r->check->truth;
    int64_t last_ms = INT64_MIN, newest_ms = INT64_MIN;
    for (size_t i = 0; i < t->versions_count; i++)
        if (t->versions[i].intended_ns != INT64_MIN && t->versions[i].org_ms > last_ms)
            last_ms = t->versions[i].org_ms;
    for (size_t i = 0; i < w->polls_count; i++)
        if (w->polls[i].grid_ms != INT64_MIN && w->polls[i].started_org_ms > newest_ms)
            newest_ms = w->polls[i].started_org_ms;
    if (w->p->kind != TM_PIPELINE_BATCH || newest_ms >= last_ms + w->r->check->plan->index_lag_ms)
        return;
    tm_results_reason(w->r, w->reasons,
                      "%s: not drained: its last poll came before the last change", w->p->name);
    w->r->inconclusive = true;
}

static enum tm_code pipeline_selftests(struct pipeline_work *w, struct tm_err *err)
{
    enum tm_code rc = pipeline_area(w, err);
    if (rc == TM_OK)
        rc = pipeline_drift(w, err);
    if (rc == TM_OK && w->target->audit != NULL)
        rc = pipeline_audits(w, err);
    if (rc == TM_OK && w->p->kind == TM_PIPELINE_BATCH)
        rc = pipeline_polls(w, err);
    if (rc == TM_OK && w->target->sampler != NULL)
        rc = pipeline_predicted(w, err);
    if (rc == TM_OK && w->target->sampler == NULL && w->target->reader->given == NULL &&
        w->target->final.ok)
        rc = tm_results_selftest(w->r, w->p->name, "full_read", w->target->final.changed == 0,
                                 w->target->final.rows > 0 ? TM_EXERCISED : TM_NOTHING_TO_TEST,
                                 (double)w->target->final.rows,
                                 (double)w->target->final.rows - (double)w->target->final.changed,
                                 w->target->final.example, err);
    if (rc == TM_OK && w->p->kind == TM_PIPELINE_STREAM)
        rc = pipeline_breakdown(w, err);
    if (w->p->kind == TM_PIPELINE_STREAM)
        json_object_set(w->out, "query_by_history",
                        json_array_get(w->r->queries, (size_t)(w->target - w->r->check->targets)));
    return rc;
}

static json_t *pipeline_head(const struct pipeline_work *w)
{
    json_t *objects = json_array();
    const struct tm_reader *reader = w->target->reader;
    for (size_t i = 0; i < w->p->objects_count; i++)
        json_array_append_new(objects, json_string(w->p->objects[i]));
    json_t *out = json_pack(
        "{s:s, s:s, s:o, s:o}", "name", w->p->name, "kind", tm_pipeline_kind_name(w->p->kind),
        "objects", objects, "reads",
        json_pack("{s:I, s:I, s:I, s:I, s:I}", "probes", (json_int_t)reader->probes, "reads",
                  (json_int_t)reader->reads, "busy", (json_int_t)reader->busy, "observations",
                  (json_int_t)w->shown->obs_count, "time_travels", (json_int_t)w->m->time_travels));
    if (w->p->kind == TM_PIPELINE_STREAM)
        json_object_set_new(out, "option", json_integer(w->p->option));
    else if (w->p->interval_ms > 0)
        json_object_set_new(out, "interval_s", json_real((double)w->p->interval_ms / 1000));
    return out;
}

static enum tm_code pipeline_amounts(struct pipeline_work *w, struct tm_err *err)
{
    json_t *amounts = NULL;
    enum tm_code rc = tm_amounts_json(&amounts, &w->r->amounts, w->r->check->truth, w->shown, w->m,
                                      &w->timing, TM_AMOUNTS_STAGE, TM_AMOUNTS_AMOUNT, err);
    json_object_set_new(w->out, "open_amount", amounts != NULL ? amounts : json_null());
    return rc;
}

static enum tm_code pipeline_make(struct pipeline_work *w, struct tm_err *err)
{
    enum tm_code rc = pipeline_match(w, err);
    if (rc != TM_OK)
        return rc;
    w->out = pipeline_head(w);
    rc = pipeline_selftests(w, err);
    pipeline_adopt(w);
    if (rc == TM_OK)
        rc = tm_figures_json(w->out, w->r, w->p, w->m, &w->timing, w->curve, w->target->views, err);
    if (rc == TM_OK)
        rc = pipeline_amounts(w, err);
    if (rc == TM_OK)
        rc = pipeline_kept(w, err);
    if (rc == TM_OK)
        rc = pipeline_anomalies(w, err);
    if (rc == TM_OK)
        rc = pipeline_diff(w, err);
    json_object_set_new(w->out, "slowest",
                        tm_slow_json(w->r->check->truth, w->m, &w->timing, w->r->marks));
    if (rc == TM_OK)
        rc = pipeline_cost(w, err);
    if (rc == TM_OK)
        rc = tm_run_db_pipeline(&w->r->db, w->p, err);
    if (rc == TM_OK)
        rc = tm_run_db_samples(&w->r->db, w->p->name, w->r->check->truth, w->m, err);
    if (rc == TM_OK)
        rc = tm_run_db_curve(&w->r->db, w->p->name, w->curve, err);
    if (rc == TM_OK)
        rc = tm_run_db_seen(&w->r->db, w->p->name, w->r->check->truth, w->shown, w->m, &w->timing,
                            err);
    if (rc != TM_OK)
        return rc;
    if (w->target->reader->given != NULL)
        tm_external_json(w->out, w->p, &w->runs, w->target->reader->given, w->timing.compress);
    pipeline_verdict(w);
    pipeline_drained(w);
    json_object_set(w->out, "reasons", w->reasons);
    json_array_append(w->r->pipelines, w->out);
    return TM_OK;
}

enum tm_code tm_results_pipeline(struct tm_results *r, size_t index, struct tm_err *err)
{
    struct pipeline_work w = { .r = r,
                               .p = &r->check->plan->pipelines[index],
                               .target = &r->check->targets[index],
                               .timing = r->timing,
                               .reasons = json_array() };
    enum tm_code rc = TM_OK;
    w.timing.kind = w.p->kind;
    if (w.p->kind == TM_PIPELINE_BATCH)
        rc = tm_polls_load(&w.polls, &w.polls_count, w.target->reader, err);
    tm_pauses_polls(&r->pauses, w.polls, w.polls_count);
    if (w.p->runs != NULL)
        rc = tm_runs_load(&w.runs, w.p->runs, err);
    w.timing.polls = w.p->runs != NULL ? w.runs.polls : w.polls;
    w.timing.polls_count = w.p->runs != NULL ? w.runs.count : w.polls_count;
    if (w.p->kind != TM_PIPELINE_STREAM)
        w.timing.delay_ms = 0;
    if (rc == TM_OK)
        rc = pipeline_make(&w, err);
    if (rc != TM_OK)
        rc = tm_at(err, "pipeline %s", w.p->name);
    tm_match_close(w.m);
    tm_match_close(w.read);
    tm_predict_close(w.predict);
    free(w.curve);
    free(w.polls);
    tm_runs_free(&w.runs);
    json_decref(w.out);
    json_decref(w.reasons);
    json_decref(w.diff);
    return rc;
}
