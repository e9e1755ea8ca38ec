#include "check/control.h"
#include "base/clock.h"
#include "check/measure.h"
#include "check/selftest.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_TOLERANCE_S 2e-6     /* the timeline counts whole microseconds */
#define CONTROL_VERSIONS_MAX 1000000 /* shown; records beyond are left out: memory */

struct control_work {
    const struct tm_truth *truth;
    struct tm_timing timing;
    struct tm_shown *shown;
    bool *left_out; /* by version */
    uint64_t *values;
    uint32_t *columns; /* of the object at hand: column of truth -> of shown */
    size_t versions;   /* shown so far */
};

/* A record is of use when each of its versions was committed before it is to be shown. */
static bool control_usable(const struct control_work *w, const struct tm_truth_record *r)
{
    if (w->versions + r->count > CONTROL_VERSIONS_MAX)
        return false;
    for (uint32_t v = r->first; v != TM_TRUTH_NONE; v = w->truth->versions[v].next) {
        const struct tm_truth_version *version = &w->truth->versions[v];
        if (version->intended_ns != INT64_MIN &&
            version->actual_ns > version->intended_ns + TM_CONTROL_DELAY_NS)
            return false;
    }
    return true;
}

/* Shows every version of the record; what changes nothing makes no observation. */
static enum tm_code control_record(struct control_work *w, const struct tm_truth_record *r,
                                   int object, struct tm_err *err)
{
    const struct tm_truth *t = w->truth;
    size_t columns = t->objects[r->object].columns_count;
    uint32_t row = TM_SHOWN_NONE;
    int64_t last_ns = INT64_MIN;
    if (!control_usable(w, r)) {
        for (uint32_t v = r->first; v != TM_TRUTH_NONE; v = t->versions[v].next)
            w->left_out[v] = true;
        return TM_OK;
    }
    w->versions += r->count;
    enum tm_code rc = tm_shown_row(w->shown, object, r->id, &row, err);
    memset(w->values, 0, (columns + 1) * sizeof *w->values);
    for (uint32_t v = r->first; rc == TM_OK && v != TM_TRUTH_NONE; v = t->versions[v].next) {
        const struct tm_truth_version *version = &t->versions[v];
        bool gone = tm_truth_is_gone(version->change);
        for (uint32_t d = 0; d < version->delta_count; d++) {
            const struct tm_truth_delta *delta = &t->deltas[version->delta_first + d];
            w->values[w->columns[delta->column]] = delta->hash;
        }
        int64_t at_ns = version->intended_ns == INT64_MIN
                            ? w->timing.wall_origin_ns
                            : version->intended_ns + TM_CONTROL_DELAY_NS;
        last_ns = at_ns = at_ns > last_ns ? at_ns : last_ns;
        rc = tm_shown_set(w->shown, row, gone ? 0 : TM_SHOWN_PRESENT, w->values, gone ? 0 : columns,
                          at_ns, at_ns, (int64_t)v + 1, NULL, err);
    }
    return rc;
}

static enum tm_code control_object(struct control_work *w, const char *name, struct tm_err *err)
{
    const struct tm_truth *t = w->truth;
    int truth = tm_truth_object(t, name), object = -1;
    enum tm_code rc = TM_OK;
    if (truth < 0)
        return TM_OK;
    const struct tm_truth_object *o = &t->objects[truth];
    rc = tm_shown_object(w->shown, o->name, &object, err);
    for (uint32_t c = 0; rc == TM_OK && c < o->columns_count; c++)
        rc = tm_shown_column(w->shown, object, o->columns[c], &w->columns[c], err);
    for (size_t r = 0; rc == TM_OK && r < t->records_count; r++)
        if (t->records[r].object == truth)
            rc = control_record(w, &t->records[r], object, err);
    return rc;
}

/* Versions with the state of the one before: an update of nothing comparable, a purge of what was
 * deleted. They were shown with that one. */
static bool control_same(const struct control_work *w, const struct tm_match *m, uint32_t v)
{
    const struct tm_truth_version *version = &w->truth->versions[v];
    const struct tm_truth_record *r = &w->truth->records[version->record];
    bool gone = tm_truth_is_gone(version->change);
    bool was = version->prev == TM_TRUTH_NONE ||
               tm_truth_is_gone(w->truth->versions[version->prev].change);
    if (gone || was)
        return gone && was;
    for (size_t i = 0; i < m->coverage_count; i++)
        for (uint32_t d = 0; m->coverage[i].truth == r->object && d < version->delta_count; d++) {
            const struct tm_truth_delta *delta = &w->truth->deltas[version->delta_first + d];
            uint64_t before = delta->prev == TM_TRUTH_NONE ? 0 : w->truth->deltas[delta->prev].hash;
            if (m->coverage[i].from_truth[delta->column] != TM_TRUTH_NONE && before != delta->hash)
                return false;
        }
    return true;
}

static enum tm_code control_judge(struct tm_control *out, struct control_work *w,
                                  const struct tm_match *m, struct tm_err *err)
{
    const double delay_s = (double)(TM_CONTROL_DELAY_NS / 1000) / 1e6;
    struct tm_series fresh_s = { 0 };
    enum tm_code rc = TM_OK;
    for (uint32_t v = 0; rc == TM_OK && v < m->samples_count; v++) {
        const struct tm_sample *s = &m->samples[v];
        if ((s->flags & TM_SAMPLE_OF) == 0)
            continue;
        if (w->left_out[v] || control_same(w, m, v)) {
            out->left_out++;
            continue;
        }
        int64_t commit_us = w->truth->versions[v].intended_ms * 1000;
        bool seen = (s->flags & TM_SAMPLE_SEEN) != 0;
        double measured_s = seen ? (double)(s->visible_us - commit_us) / 1e6 : INFINITY;
        bool held = fabs(measured_s - delay_s) <= CONTROL_TOLERANCE_S;
        out->tested++;
        out->held += held;
        if (!held && out->first_wrong == TM_TRUTH_NONE)
            out->first_wrong = v;
        rc = seen ? tm_series_add(&fresh_s, measured_s, err)
                  : tm_series_censor(&fresh_s, measured_s, err);
    }
    out->before = tm_series_share(&fresh_s, delay_s - 2 * CONTROL_TOLERANCE_S);
    out->at = tm_series_share(&fresh_s, delay_s + CONTROL_TOLERANCE_S);
    tm_series_free(&fresh_s);
    return rc;
}

static enum tm_code control_measure(struct tm_control *out, struct control_work *w,
                                    const char *const *objects, size_t objects_count,
                                    struct tm_err *err)
{
    struct tm_match *m = NULL;
    struct tm_area area = { 0 };
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < objects_count; i++)
        rc = control_object(w, objects[i], err);
    if (rc == TM_OK)
        rc = tm_match_make(&m, w->truth, w->shown, &w->timing, objects, objects_count, err);
    if (rc == TM_OK)
        rc = control_judge(out, w, m, err);
    if (rc == TM_OK)
        rc = tm_selftest_area(&area, w->truth, m, &w->timing, err);
    out->area_expected_us = area.expected_us;
    out->area_measured_us = area.measured_us;
    out->ok = out->held == out->tested && out->area_expected_us == out->area_measured_us &&
              (out->tested == 0 || (!(out->before > 0) && !(out->at < 1)));
    tm_match_close(m);
    return rc;
}

enum tm_code tm_control_test(struct tm_control *out, const struct tm_truth *truth,
                             const struct tm_timing *timing, const char *const *objects,
                             size_t objects_count, struct tm_err *err)
{
    struct control_work w = { .truth = truth, .timing = *timing };
    *out = (struct tm_control){ .first_wrong = TM_TRUTH_NONE };
    w.timing.kind = TM_PIPELINE_BATCH; /* no publish delay, and here no poll to wait for */
    w.timing.delay_ms = 0;
    w.timing.polls = NULL;
    w.timing.polls_count = 0;
    w.left_out = calloc(truth->versions_count + 1, sizeof *w.left_out);
    w.values = calloc(TM_TRUTH_COLUMNS_MAX + 1, sizeof *w.values);
    w.columns = calloc(TM_TRUTH_COLUMNS_MAX + 1, sizeof *w.columns);
    enum tm_code rc =
        w.left_out != NULL && w.values != NULL && w.columns != NULL
            ? tm_shown_open(&w.shown, err)
            : tm_fail(err, TM_E_NOMEM, "control: %zu versions", truth->versions_count);
    if (rc == TM_OK)
        rc = control_measure(out, &w, objects, objects_count, err);
    tm_shown_close(w.shown);
    free(w.left_out);
    free(w.values);
    free(w.columns);
    return rc;
}
