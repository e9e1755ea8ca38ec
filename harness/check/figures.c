#include "check/results.h"
#include "base/text.h"
#include "check/torn.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIGURES_CURVE_POINTS 240
#define FIGURES_COPIES_MAX 5
_Static_assert(TM_CURVE_BINS % FIGURES_CURVE_POINTS == 0, "bins are gathered evenly");

struct figures_series {
    struct tm_series
        low_s; /* fresh_s, where two versions fit by the earlier of them: a lower bound */
    struct tm_series wait_s, work_ms, fresh_s, waited_s, reader_ms, by_change[TM_TRUTH_CHANGES];
    size_t of, superseded, ambiguous, coincident, lost, negative;
    size_t during; /* batch: committed while the poll that shows them ran */
};

static void figures_free(struct figures_series *f)
{
    tm_series_free(&f->wait_s);
    tm_series_free(&f->work_ms);
    tm_series_free(&f->fresh_s);
    tm_series_free(&f->low_s);
    tm_series_free(&f->waited_s);
    tm_series_free(&f->reader_ms);
    for (int i = 0; i < TM_TRUTH_CHANGES; i++)
        tm_series_free(&f->by_change[i]);
}

/* How long it had waited by the end, on the timeline of those that were seen (check/match.h, M4): a
 * stream waits for D in org time, and all beyond is work, which compression does not stretch. */
static double figures_waited_s(const struct tm_truth_version *v, const struct tm_plan_pipeline *p,
                               const struct tm_timing *t)
{
    double org_s = (double)(t->end_us - v->intended_ms * 1000) / 1e6;
    double delay_s = (double)t->delay_ms / 1e3;
    if (p->kind != TM_PIPELINE_STREAM || org_s <= delay_s)
        return org_s;
    return delay_s + (org_s - delay_s) / (double)t->compress;
}

/* Not seen by the end: it had waited so long. What a preset never carries would be waited for in
 * vain, and to count it as merely not seen yet would flatter the rest. */
static enum tm_code figures_unseen(struct figures_series *f, const struct tm_truth_version *v,
                                   const struct tm_plan_pipeline *p, const struct tm_timing *t,
                                   struct tm_err *err)
{
    bool carried = p->kind != TM_PIPELINE_BATCH || (p->carries & (1u << v->change)) != 0;
    double wait_s = carried ? figures_waited_s(v, p, t) : INFINITY;
    struct tm_series *all[] = { &f->fresh_s, &f->low_s, &f->waited_s, &f->by_change[v->change] };
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < sizeof all / sizeof all[0]; i++)
        rc = tm_series_censor(all[i], wait_s, err);
    return rc;
}

static enum tm_code figures_sample(struct figures_series *f, const struct tm_truth_version *v,
                                   const struct tm_sample *s, const struct tm_plan_pipeline *p,
                                   const struct tm_timing *t, struct tm_err *err)
{
    f->of++;
    f->lost += (s->flags & TM_SAMPLE_EXACT) == 0;
    if ((s->flags & TM_SAMPLE_SEEN) == 0)
        return figures_unseen(f, v, p, t, err);
    double fresh_s = (double)(s->visible_us - v->intended_ms * 1000) / 1e6;
    f->negative += fresh_s < 0;
    f->superseded += (s->flags & TM_SAMPLE_EXACT) == 0;
    f->ambiguous += (s->flags & TM_SAMPLE_AMBIGUOUS) != 0;
    double low_s = (double)(tm_timing_low_us(t, v, s) - v->intended_ms * 1000) / 1e6;
    enum tm_code rc = tm_series_add(&f->fresh_s, fresh_s, err);
    if (rc == TM_OK) /* the reader's own width is in reader_ms */
        rc = tm_series_add(&f->low_s, low_s, err);
    if (rc == TM_OK)
        rc = tm_series_add(&f->by_change[v->change], fresh_s, err);
    bool during =
        s->poll != TM_TRUTH_NONE && s->wait_us == 0 && (s->flags & TM_SAMPLE_COINCIDENT) == 0;
    f->during += during;
    if (rc == TM_OK && !during)
        rc = tm_series_add(&f->waited_s, fresh_s, err);
    if ((s->flags & TM_SAMPLE_COINCIDENT) != 0) { /* neither waited nor worked for */
        f->coincident++;
        return rc;
    }
    if (rc == TM_OK)
        rc = tm_series_add(&f->wait_s, (double)s->wait_us / 1e6, err);
    if (rc == TM_OK)
        rc = tm_series_add(&f->work_ms, (double)s->work_ns / 1e6, err);
    if (rc == TM_OK)
        rc = tm_series_add(&f->reader_ms, (double)(s->hi_ns - s->lo_ns) / 1e6, err);
    return rc;
}

static void figures_latency(json_t *out, struct figures_series *f, const struct tm_plan_pipeline *p)
{
    json_t *fresh = tm_series_json(&f->fresh_s), *changes = json_object();
    json_int_t never = (json_int_t)f->fresh_s.never;
    json_object_set_new(fresh, "count", json_integer((json_int_t)f->of));
    json_object_set_new(fresh, "never", json_integer(never));
    json_object_set_new(fresh, "unseen", json_integer(never));
    json_object_set_new(fresh, "negative", json_integer((json_int_t)f->negative));
    json_object_set_new(fresh, "superseded", json_integer((json_int_t)f->superseded));
    json_object_set_new(fresh, "ambiguous", json_integer((json_int_t)f->ambiguous));
    json_object_set_new(fresh, "coincident", json_integer((json_int_t)f->coincident));
    if (p->kind == TM_PIPELINE_BATCH || p->runs != NULL) {
        json_t *during = tm_series_json(&f->waited_s);
        json_object_set_new(during, "changes", json_integer((json_int_t)f->during));
        json_object_set_new(fresh, "during_poll", during);
    }
    for (uint8_t i = 0; i < TM_TRUTH_CHANGES; i++) {
        struct tm_series *series = &f->by_change[i];
        if (series->count + series->never == 0)
            continue;
        json_t *one = tm_series_json(series);
        json_object_set_new(one, "count",
                            json_integer((json_int_t)(series->count + series->never)));
        json_object_set_new(one, "never", json_integer((json_int_t)series->never));
        json_object_set_new(changes, tm_truth_change_name(i), one);
    }
    json_object_set_new(out, "wait_s", tm_series_json(&f->wait_s));
    json_object_set_new(out, "work_ms", tm_series_json(&f->work_ms));
    json_object_set_new(out, "freshness_s", fresh);
    json_object_set_new(out, "freshness_low_s", tm_series_json(&f->low_s));
    json_object_set_new(out, "freshness_curve", tm_series_curve(&f->fresh_s));
    json_object_set_new(out, "t_visibility", tm_series_visibility(&f->fresh_s));
    json_object_set_new(out, "freshness_by_change", changes);
    json_object_set_new(out, "reader_ms", tm_series_json(&f->reader_ms));
}

static int64_t figures_rows(const uint64_t *rows, enum tm_row_class class)
{
    return (int64_t)(rows[1 + 2 * class] + rows[2 + 2 * class]);
}

static json_t *figures_share(double part, double whole)
{
    return whole > 0 ? json_real(part / whole) : json_null();
}

static void figures_drift(json_t *out, const struct tm_match *m, const struct tm_curve *curve,
                          const struct tm_reader *reader)
{
    json_t *drift = json_object(), *by_class = json_object();
    int64_t differing = 0, dirty = 0, starred = 0;
    double row_us = 0, flagged_us = 0, hit_us = 0;
    for (int class = TM_ROW_EQUAL; class < TM_ROW_CLASSES; class ++) {
        const char *name = tm_row_class_name((enum tm_row_class) class);
        double us = curve->row_us[1 + 2 * class] + curve->row_us[2 + 2 * class];
        dirty += (int64_t)m->final[2 + 2 * class];
        flagged_us += curve->row_us[2 + 2 * class];
        if (class == TM_ROW_EQUAL) {
            json_object_set_new(drift, "equal", json_integer(figures_rows(m->final, TM_ROW_EQUAL)));
            continue;
        }
        hit_us += curve->row_us[2 + 2 * class];
        differing += figures_rows(m->final, (enum tm_row_class) class);
        row_us += us;
        json_object_set_new(drift, name,
                            json_integer(figures_rows(m->final, (enum tm_row_class) class)));
        json_object_set_new(by_class, name, json_real(us / 1e6));
    }
    for (size_t i = 0; i < reader->objects_count; i++)
        starred += reader->objects[i].starred;
    json_object_set_new(drift, "final_rows", json_integer(differing));
    json_object_set_new(drift, "final_differing", json_integer(differing));
    json_object_set_new(drift, "peak_rows", json_integer(curve->peak_rows));
    json_object_set_new(drift, "peak_at_ms", json_integer(curve->peak_us / 1000));
    json_object_set_new(drift, "row_seconds", json_real(row_us / 1e6));
    json_object_set_new(drift, "row_seconds_by_class", by_class);
    json_object_set_new(drift, "dirty", json_integer(dirty));
    json_object_set_new(drift, "starred", json_integer(starred));
    json_object_set_new(drift, "flag",
                        json_pack("{s:o, s:o}", "precision", figures_share(hit_us, flagged_us),
                                  "recall", figures_share(hit_us, row_us)));
    json_object_set_new(out, "drift", drift);
}

static void figures_curve(json_t *out, const struct tm_curve *c)
{
    size_t gather = TM_CURVE_BINS / FIGURES_CURVE_POINTS;
    json_t *list[TM_ROW_CLASSES], *at = json_array(), *max = json_array(), *flagged = json_array(),
                                  *curve = json_object();
    for (int class = 1; class < TM_ROW_CLASSES; class ++)
        list[class] = json_array();
    for (size_t i = 0; i < TM_CURVE_BINS; i += gather) {
        double rows[TM_ROW_CLASSES] = { 0 }, most = 0, dirty = 0;
        for (size_t k = i; k < i + gather; k++) {
            most = c->max_differing[k] > most ? c->max_differing[k] : most;
            for (int class = 0; class < TM_ROW_CLASSES; class ++) {
                rows[class] +=
                    (c->mean[k][1 + 2 * class] + c->mean[k][2 + 2 * class]) / (double)gather;
                dirty += c->mean[k][2 + 2 * class] / (double)gather;
            }
        }
        json_array_append_new(at, json_integer(c->us[i] / 1000));
        json_array_append_new(max, json_real(most));
        json_array_append_new(flagged, json_real(dirty));
        for (int class = 1; class < TM_ROW_CLASSES; class ++)
            json_array_append_new(list[class], json_real(rows[class]));
    }
    json_object_set_new(curve, "org_ms", at);
    json_object_set_new(curve, "differing_max", max);
    json_object_set_new(curve, "flagged", flagged);
    for (int class = 1; class < TM_ROW_CLASSES; class ++)
        json_object_set_new(curve, tm_row_class_name((enum tm_row_class) class), list[class]);
    json_object_set_new(out, "curve", curve);
}

static void figures_staleness(json_t *out, const struct tm_match *m)
{
    double all = (double)m->record_us, behind = 0;
    json_t *shares = json_object();
    for (int i = 0; i < TM_BEHIND_BUCKETS; i++) {
        char name[16];
        snprintf(name, sizeof name, i + 1 < TM_BEHIND_BUCKETS ? "%d" : "%d+", i);
        json_object_set_new(shares, name, figures_share((double)m->behind_time_us[i], all));
        behind += (double)i * (double)m->behind_time_us[i];
    }
    json_object_set_new(
        out, "behind",
        json_pack("{s:o, s:o}", "mean", figures_share(behind, all), "share", shares));
    json_object_set_new(out, "read_weighted",
                        json_pack("{s:o, s:o}", "age_s",
                                  figures_share(m->read_age_us2 / 1e6, m->read_us), "stale",
                                  figures_share(m->read_stale_us, m->read_us)));
    json_object_set_new(out, "age_s",
                        json_pack("{s:o, s:f}", "mean", figures_share(m->age_us2 / 1e6, all), "max",
                                  (double)m->age_max_us / 1e6));
}

static void figures_coverage(json_t *out, const struct tm_truth *truth, const struct tm_match *m)
{
    json_t *compared = json_array(), *left = json_array();
    for (size_t i = 0; i < m->coverage_count; i++) {
        const struct tm_coverage *c = &m->coverage[i];
        const char *object = truth->objects[c->truth].name;
        for (size_t k = 0; k < c->count; k++)
            json_array_append_new(compared, json_sprintf("%s.%s", object, c->names[k]));
        for (size_t k = 0; k < json_array_size(c->left_out); k++) {
            const json_t *one = json_array_get(c->left_out, k);
            json_array_append_new(
                left, json_pack("{s:o, s:O}", "column",
                                json_sprintf("%s.%s", object,
                                             json_string_value(json_object_get(one, "column"))),
                                "why", json_object_get(one, "why")));
        }
    }
    json_object_set_new(out, "coverage",
                        json_pack("{s:o, s:o}", "compared", compared, "left_out", left));
}

static enum tm_code figures_torn(json_t *out, const struct tm_truth *truth,
                                 const struct tm_match *m, const struct tm_timing *t,
                                 struct tm_err *err)
{
    struct tm_torn torn = { 0 };
    if (t->compress != 1) {
        json_object_set_new(out, "torn",
                            json_pack("{s:n, s:n, s:b}", "transactions", "seconds", "measured", 0));
        return TM_OK;
    }
    enum tm_code rc = tm_torn_count(&torn, truth, m, tm_timing_wall_ns(t, t->end_us / 1000), err);
    json_object_set_new(out, "torn",
                        json_pack("{s:I, s:f, s:b, s:I}", "transactions",
                                  (json_int_t)torn.transactions, "seconds",
                                  (double)torn.torn_ns / 1e9, "measured", 1, "example_pos",
                                  (json_int_t)torn.example + 1));
    return rc;
}

/* What had no event and came with a scheduled copy (design R16); and what no copy has
 * brought yet. */
static void figures_copies(json_t *out, const struct tm_truth *truth, const struct tm_match *m)
{
    json_t *list = json_array();
    json_int_t count = 0, never = 0;
    int64_t max_us = 0;
    for (size_t i = 0; i < m->samples_count; i++) {
        const struct tm_truth_version *v = &truth->versions[i];
        const struct tm_sample *s = &m->samples[i];
        char at[TM_TIME_BYTES];
        never += (s->flags & (TM_SAMPLE_OF | TM_SAMPLE_SEEN)) == TM_SAMPLE_OF &&
                 v->event == TM_TRUTH_SILENT;
        if ((s->flags & TM_SAMPLE_COPY) == 0)
            continue;
        max_us = s->wait_us > max_us ? s->wait_us : max_us;
        if (count++ >= FIGURES_COPIES_MAX)
            continue;
        const struct tm_truth_record *r = &truth->records[v->record];
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:I, s:s, s:f}", "object",
                            truth->objects[r->object].name, "id", r->id, "change",
                            tm_truth_change_name(v->change), "pos", (json_int_t)i + 1, "committed",
                            tm_time_z(at, v->org_ms), "wait_s", (double)s->wait_us / 1e6));
    }
    json_object_set_new(out, "only_copies",
                        json_pack("{s:I, s:f, s:I, s:o}", "count", count, "max_wait_s",
                                  (double)max_us / 1e6, "never", never, "examples", list));
}

static json_t *figures_lost(const struct figures_series *f, const struct tm_plan_pipeline *p,
                            const struct tm_timing *t)
{
    bool paced = p->kind == TM_PIPELINE_BATCH || p->runs != NULL; /* by the org's clock */
    if (!paced && t->compress > 1)
        return json_pack("{s:n, s:n, s:b, s:s}", "states", "share", "measured", 0, "why",
                         "compressed org time would distort it; run at compress 1");
    return json_pack("{s:I, s:f, s:b}", "states", (json_int_t)f->lost, "share",
                     f->of == 0 ? 0.0 : (double)f->lost / (double)f->of, "measured", 1);
}

enum tm_code tm_figures_json(json_t *out, const struct tm_results *r,
                             const struct tm_plan_pipeline *p, const struct tm_match *m,
                             const struct tm_timing *t, const struct tm_curve *curve,
                             const struct tm_reader *reader, struct tm_err *err)
{
    struct figures_series f = { 0 };
    const struct tm_truth *truth = r->check->truth;
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < m->samples_count; i++)
        if ((m->samples[i].flags & TM_SAMPLE_OF) != 0)
            rc = figures_sample(&f, &truth->versions[i], &m->samples[i], p, t, err);
    if (rc == TM_OK) {
        figures_latency(out, &f, p);
        figures_drift(out, m, curve, reader);
        figures_curve(out, curve);
        json_object_set_new(out, "lost_history", figures_lost(&f, p, t));
        figures_staleness(out, m);
        figures_coverage(out, truth, m);
        if (p->kind == TM_PIPELINE_STREAM)
            figures_copies(out, truth, m);
        rc = figures_torn(out, truth, m, t, err);
    }
    figures_free(&f);
    return rc;
}
