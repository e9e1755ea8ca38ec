#include "check/amounts.h"
#include "base/sql.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AMOUNTS_NONE TM_AMOUNTS_STAGES_MAX /* not open */
#define AMOUNTS_UNKNOWN (AMOUNTS_NONE + 1) /* a value that was never held */
#define AMOUNTS_SLOTS (AMOUNTS_NONE + 2)
#define AMOUNTS_CENT 0.005 /* sums of doubles are equal within it */

/* ---- what the org held ---- */

static uint8_t amounts_stage(struct tm_amounts *a, const char *name)
{
    size_t i = 0;
    if (name == NULL)
        name = "(no stage)";
    if (strncmp(name, "Closed", 6) == 0)
        return AMOUNTS_NONE;
    while (i < a->stages_count && strcmp(a->stages[i], name) != 0)
        i++;
    if (i == TM_AMOUNTS_STAGES_MAX)
        i--;
    if (i == a->stages_count) {
        bool last = i + 1 == TM_AMOUNTS_STAGES_MAX;
        sqlite3_snprintf(sizeof a->stages[i], a->stages[i], "%s", last ? "(others)" : name);
        a->stages_count++;
    }
    return (uint8_t)i;
}

static enum tm_code amounts_prepare(sqlite3_stmt **out, const struct tm_truth *truth,
                                    const char *object, const char *stage, const char *amount,
                                    struct tm_err *err)
{
    enum tm_code rc = tm_sql_prepare(
        out, truth->db,
        "SELECT pos,json_type(fields,?2),json_extract(fields,?2),json_type(fields,?3),"
        "json_extract(fields,?3) FROM history WHERE object=?1 ORDER BY pos",
        err);
    if (rc != TM_OK)
        return rc;
    char path[2][100];
    sqlite3_snprintf(sizeof path[0], path[0], "$.%s", stage);
    sqlite3_snprintf(sizeof path[1], path[1], "$.%s", amount);
    sqlite3_bind_text(*out, 1, object, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(*out, 2, path[0], -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(*out, 3, path[1], -1, SQLITE_TRANSIENT);
    return TM_OK;
}

/* One version: what it sets, the rest as before. A full image sets all. */
static void amounts_version(struct tm_amounts *a, const struct tm_truth *truth, uint32_t v,
                            sqlite3_stmt *q, uint8_t *held)
{
    const struct tm_truth_version *version = &truth->versions[v];
    bool image = version->change == TM_TRUTH_CREATE || version->change == TM_TRUTH_UNDELETE;
    bool before = !image && version->prev != TM_TRUTH_NONE;
    held[v] = before ? held[version->prev] : AMOUNTS_NONE;
    a->amount[v] = before ? a->amount[version->prev] : 0;
    if (image || sqlite3_column_type(q, 1) != SQLITE_NULL)
        held[v] = amounts_stage(a, (const char *)sqlite3_column_text(q, 2));
    if (image || sqlite3_column_type(q, 3) != SQLITE_NULL)
        a->amount[v] = sqlite3_column_double(q, 4);
    a->stage[v] = tm_truth_is_gone(version->change) ? AMOUNTS_NONE : held[v];
}

/* Stages in the order in which a describe lists them. */
static void amounts_listed(struct tm_amounts *a, const struct tm_truth *truth, const char *stage)
{
    for (size_t o = 0; o < truth->objects_count; o++) {
        const struct tm_truth_object *object = &truth->objects[o];
        if (strcmp(object->name, a->object) != 0 || object->describes_count == 0)
            continue;
        const struct tm_field *f = tm_describe_field(object->describes[0].describe, stage);
        const json_t *one, *all = f == NULL ? NULL : json_object_get(f->json, "picklistValues");
        size_t i;
        json_array_foreach(all, i, one)
            amounts_stage(a, json_string_value(json_object_get(one, "value")));
    }
}

enum tm_code tm_amounts_read(struct tm_amounts *out, const struct tm_truth *truth,
                             const char *object, const char *stage, const char *amount,
                             struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    uint8_t *held = calloc(truth->versions_count + 1, 1); /* a deleted record keeps its stage */
    *out = (struct tm_amounts){ .object = object };
    out->amount = calloc(truth->versions_count + 1, sizeof *out->amount);
    out->stage = calloc(truth->versions_count + 1, 1);
    enum tm_code rc = TM_OK;
    if (held == NULL || out->amount == NULL || out->stage == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "amounts: %zu versions", truth->versions_count);
    if (rc == TM_OK) {
        amounts_listed(out, truth, stage);
        rc = amounts_prepare(&q, truth, object, stage, amount, err);
    }
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        int64_t pos = sqlite3_column_int64(q, 0);
        if (pos >= 1 && (size_t)pos <= truth->versions_count)
            amounts_version(out, truth, (uint32_t)(pos - 1), q, held);
    }
    tm_sql_finalize(q);
    free(held);
    return rc;
}

void tm_amounts_free(struct tm_amounts *a)
{
    free(a->amount);
    free(a->stage);
    *a = (struct tm_amounts){ .object = NULL };
}

/* ---- two curves ---- */

struct amounts_step {
    int64_t us;
    double amount;      /* that much more */
    uint8_t slot, side; /* 0 the org, 1 shown */
};
struct amounts_work {
    const struct tm_amounts *a;
    const struct tm_truth *truth;
    const struct tm_shown *shown;
    const struct tm_match *m;
    const struct tm_timing *t;
    uint32_t columns[2]; /* comparable indexes of stage and amount */
    struct amounts_step *steps;
    size_t steps_count, steps_cap;
    double sums[2][AMOUNTS_SLOTS];
    json_t *ms, *org, *seen;
    double org_peak, peak, peak_share, peak_stage;
    int64_t peak_us, off_us;
    size_t peak_slot;
    int64_t unknown_max;
};

static enum tm_code amounts_add(struct amounts_work *w, int64_t us, int side, uint8_t slot,
                                double amount, struct tm_err *err)
{
    if (slot == AMOUNTS_NONE || amount == 0)
        return TM_OK;
    if (w->steps_count == w->steps_cap) {
        size_t cap = w->steps_cap * 2 + 1024;
        struct amounts_step *grown = realloc(w->steps, cap * sizeof *grown);
        if (grown == NULL)
            return tm_fail(err, TM_E_NOMEM, "amounts: %zu steps", cap);
        w->steps = grown;
        w->steps_cap = cap;
    }
    w->steps[w->steps_count++] = (struct amounts_step){ us, amount, slot, (uint8_t)side };
    return TM_OK;
}

static enum tm_code amounts_org(struct amounts_work *w, int object, struct tm_err *err)
{
    const struct tm_truth *t = w->truth;
    enum tm_code rc = TM_OK;
    for (uint32_t v = 0; rc == TM_OK && v < t->versions_count; v++) {
        const struct tm_truth_version *version = &t->versions[v];
        if (t->records[version->record].object != object)
            continue;
        int64_t us =
            version->intended_ns == INT64_MIN ? w->t->start_us : version->intended_ms * 1000;
        if (version->prev != TM_TRUTH_NONE)
            rc = amounts_add(w, us, 0, w->a->stage[version->prev], -w->a->amount[version->prev],
                             err);
        if (rc == TM_OK)
            rc = amounts_add(w, us, 0, w->a->stage[v], w->a->amount[v], err);
    }
    return rc;
}

/* Which versions the columns of a display that is no single version come from; what did not change
 * with it stays. Positions: 0 null, -1 never held. */
static void amounts_parts(const struct amounts_work *w, uint32_t obs, int64_t from[2])
{
    size_t first = 0, last = w->m->parts_count;
    while (first < last) {
        size_t middle = (first + last) / 2;
        if (w->m->parts[middle].obs < obs)
            first = middle + 1;
        else
            last = middle;
    }
    for (; first < w->m->parts_count && w->m->parts[first].obs == obs; first++)
        for (int c = 0; c < 2; c++)
            if (w->m->parts[first].column == w->columns[c])
                from[c] = w->m->parts[first].held;
}

static enum tm_code amounts_shown(struct amounts_work *w, struct tm_err *err)
{
    int64_t from[2] = { 0, 0 };
    uint32_t row = TM_SHOWN_NONE;
    uint8_t slot = AMOUNTS_NONE;
    double amount = 0;
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < w->m->displays_count; i++) {
        const struct tm_display *d = &w->m->displays[i];
        const struct tm_shown_obs *o = &w->shown->obs[d->obs];
        bool whole = w->m->seen[d->obs].as == TM_SEEN_WHOLE;
        if (o->row != row) {
            slot = AMOUNTS_NONE;
            from[0] = from[1] = 0;
        }
        row = o->row;
        rc = amounts_add(w, d->us, 1, slot, -amount, err);
        if (whole)
            from[0] = from[1] = d->version == TM_TRUTH_NONE ? 0 : (int64_t)d->version + 1;
        else
            amounts_parts(w, d->obs, from);
        slot = from[0] < 0 || from[1] < 0 ? AMOUNTS_UNKNOWN
               : from[0] == 0             ? AMOUNTS_NONE
                                          : w->a->stage[from[0] - 1];
        amount = slot == AMOUNTS_UNKNOWN ? 1 : from[1] > 0 ? w->a->amount[from[1] - 1] : 0;
        if (rc == TM_OK)
            rc = amounts_add(w, d->us, 1, slot, amount, err);
    }
    return rc;
}

static int amounts_order(const void *a, const void *b)
{
    const struct amounts_step *x = a, *y = b;
    return (x->us > y->us) - (x->us < y->us);
}

static void amounts_point(struct amounts_work *w, int64_t us)
{
    json_t *both[2] = { json_array(), json_array() };
    for (int side = 0; side < 2; side++)
        for (size_t s = 0; s < w->a->stages_count; s++)
            json_array_append_new(both[side], json_real(round(w->sums[side][s] * 100) / 100 + 0.0));
    json_array_append_new(w->ms, json_integer(us / 1000));
    json_array_append_new(w->org, both[0]);
    json_array_append_new(w->seen, both[1]);
}

static double amounts_total(const struct amounts_work *w, int side)
{
    double sum = 0;
    for (size_t s = 0; s < w->a->stages_count; s++)
        sum += w->sums[side][s];
    return sum;
}

/* The state from `us` on, for `span` microseconds. */
static void amounts_judge(struct amounts_work *w, int64_t us, int64_t span)
{
    double org = amounts_total(w, 0), error = fabs(amounts_total(w, 1) - org);
    bool off = false;
    for (size_t s = 0; s < w->a->stages_count; s++) {
        double apart = fabs(w->sums[1][s] - w->sums[0][s]);
        off |= apart > AMOUNTS_CENT && apart > TM_AMOUNTS_OFF * fabs(w->sums[0][s]);
        if (apart > w->peak_stage + AMOUNTS_CENT) {
            w->peak_stage = apart;
            w->peak_slot = s;
        }
    }
    w->off_us += off ? span : 0;
    w->org_peak = org > w->org_peak ? org : w->org_peak;
    if (error > w->peak + AMOUNTS_CENT) {
        w->peak = error;
        w->peak_share = org > 0 ? error / org : 1;
        w->peak_us = us;
    }
    if ((int64_t)w->sums[1][AMOUNTS_UNKNOWN] > w->unknown_max)
        w->unknown_max = (int64_t)w->sums[1][AMOUNTS_UNKNOWN];
}

static void amounts_sweep(struct amounts_work *w)
{
    int64_t start = w->t->start_us, end = w->t->end_us, span = end - start;
    size_t i = 0, point = 0;
    qsort(w->steps, w->steps_count, sizeof *w->steps, amounts_order);
    while (i < w->steps_count || point < TM_AMOUNTS_POINTS) {
        int64_t us = i < w->steps_count && w->steps[i].us < end ? w->steps[i].us : end;
        us = us < start ? start : us;
        for (; i < w->steps_count && (w->steps[i].us <= us || us == end); i++)
            w->sums[w->steps[i].side][w->steps[i].slot] += w->steps[i].amount;
        int64_t next = i < w->steps_count && w->steps[i].us < end ? w->steps[i].us : end;
        amounts_judge(w, us, next - us);
        while (point < TM_AMOUNTS_POINTS) {
            int64_t at = start + span * (int64_t)point / (TM_AMOUNTS_POINTS - 1);
            if (at >= next && us != end)
                break;
            amounts_point(w, at);
            point++;
        }
        if (us == end)
            break;
    }
}

static json_t *amounts_tell(const struct amounts_work *w)
{
    const struct tm_amounts *a = w->a;
    json_t *stages = json_array();
    int64_t span = w->t->end_us - w->t->start_us;
    for (size_t s = 0; s < a->stages_count; s++)
        json_array_append_new(stages, json_string(a->stages[s]));
    return json_pack("{s:s, s:o, s:O, s:O, s:O, s:f, s:f, s:f, s:o, s:s?, s:f, s:f, s:f, s:I}",
                     "object", a->object, "stages", stages, "org_ms", w->ms, "org", w->org, "shown",
                     w->seen, "org_peak", w->org_peak, "peak_error", w->peak, "peak_error_share",
                     w->peak_share, "peak_at_ms",
                     w->peak > 0 ? json_integer(w->peak_us / 1000) : json_null(), "peak_stage",
                     w->peak_stage > 0 ? a->stages[w->peak_slot] : NULL, "peak_stage_error",
                     w->peak_stage, "off_share", span > 0 ? (double)w->off_us / (double)span : 0.0,
                     "final_error", fabs(amounts_total(w, 1) - amounts_total(w, 0)), "unknown_rows",
                     (json_int_t)w->unknown_max);
}

/* Both columns compared: the object's index of truth, else -1. */
static int amounts_columns(struct amounts_work *w, const char *stage, const char *amount)
{
    for (size_t i = 0; i < w->m->coverage_count; i++) {
        const struct tm_coverage *c = &w->m->coverage[i];
        if (c->truth < 0 || c->shown < 0 ||
            strcmp(w->truth->objects[c->truth].name, w->a->object) != 0)
            continue;
        w->columns[0] = tm_coverage_column(c, stage);
        w->columns[1] = tm_coverage_column(c, amount);
        bool both = w->columns[0] != TM_TRUTH_NONE && w->columns[1] != TM_TRUTH_NONE;
        return both ? c->truth : -1;
    }
    return -1;
}

enum tm_code tm_amounts_json(json_t **out, const struct tm_amounts *a, const struct tm_truth *truth,
                             const struct tm_shown *shown, const struct tm_match *m,
                             const struct tm_timing *t, const char *stage, const char *amount,
                             struct tm_err *err)
{
    struct amounts_work w = { .a = a, .truth = truth, .shown = shown, .m = m, .t = t };
    int object = amounts_columns(&w, stage, amount);
    *out = NULL;
    if (object < 0 || a->stages_count == 0)
        return TM_OK;
    w.ms = json_array();
    w.org = json_array();
    w.seen = json_array();
    enum tm_code rc = amounts_org(&w, object, err);
    if (rc == TM_OK)
        rc = amounts_shown(&w, err);
    if (rc == TM_OK) {
        amounts_sweep(&w);
        *out = amounts_tell(&w);
    }
    json_decref(w.ms);
    json_decref(w.org);
    json_decref(w.seen);
    free(w.steps);
    return rc == TM_OK && *out == NULL ? tm_fail(err, TM_E_NOMEM, "amounts") : rc;
}
