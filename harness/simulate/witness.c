#include "simulate/witness.h"
#include "check/drift.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define WITNESS_TAIL_ROWS 1000000

static const char *const witness_names[TM_SIM_WITNESS_COPIES] = { "option 2", "the polled copy" };
static _Thread_local int64_t witness_ns; /* readers ask for the time without saying who they are */

static int64_t witness_now_ns(void)
{
    return witness_ns;
}

static const char *witness_path(const struct tm_sim_world *w, size_t copy)
{
    if (copy == 0)
        return w->view_path;
    return w->set.batch != TM_SIM_NO_BATCH ? w->batch_path : NULL;
}

enum tm_code tm_sim_witness_look(struct tm_sim_witness *s, const struct tm_sim_world *w,
                                 struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    witness_ns = w->now.wall_ns;
    for (size_t i = 0; rc == TM_OK && i < TM_SIM_WITNESS_COPIES; i++) {
        const char *path = witness_path(w, i);
        bool changed;
        if (path == NULL)
            continue;
        if (s->followed[i] == NULL)
            rc = tm_reader_open(&s->followed[i], path, false, w->objects, w->set.objects_count,
                                witness_now_ns, err);
        if (rc == TM_OK)
            rc = tm_reader_probe(s->followed[i], w->now.wall_ns, &changed, err);
        rc = rc == TM_E_AGAIN ? TM_OK : rc; /* not there yet */
    }
    return rc == TM_OK ? rc : tm_at(err, "the witness");
}

static void witness_found(struct tm_sim_finding *out, const char *rule, size_t copy, const char *id,
                          const char *what)
{
    if (out->found)
        return;
    out->found = true;
    snprintf(out->rule, sizeof out->rule, "%s", rule);
    snprintf(out->where, sizeof out->where, "%s", witness_names[copy]);
    snprintf(out->id, sizeof out->id, "%.18s", id);
    snprintf(out->text, sizeof out->text, "%s: %.18s: %.400s", witness_names[copy], id, what);
}

/* Rows that a whole read shows otherwise than following did. */
static enum tm_code witness_full(struct tm_sim_witness *s, size_t copy, struct tm_sim_finding *out,
                                 struct tm_err *err)
{
    struct tm_full_read full;
    enum tm_code rc = tm_reader_full(s->followed[copy], true, &full, err);
    if (rc != TM_OK || !full.ok)
        return rc == TM_E_AGAIN ? TM_OK : rc;
    if (full.changed > 0)
        witness_found(&s->told, "_seq", copy, full.example,
                      "what following _seq showed is not what the relation shows");
    if (full.duplicates > 0)
        witness_found(&s->told, "_seq", copy, full.duplicate, "the relation returns it twice");
    if (s->told.found)
        *out = s->told; /* no waiting mends it, and the whole read has shown what was missed */
    return TM_OK;
}

static void witness_drift(struct tm_sim_witness *s, size_t copy, const struct tm_truth *truth,
                          const struct tm_match *m, const struct tm_drift_run *d, bool promised,
                          struct tm_sim_finding *out)
{
    char text[300];
    s->commits += d->commits_count;
    s->equal += d->equal;
    if (d->agreed != d->asked || d->final_differing != m->differences_count) {
        snprintf(text, sizeof text,
                 "hashes and list agreed %llu times of %llu; %zu rows differ by following, %zu by "
                 "matching",
                 (unsigned long long)d->agreed, (unsigned long long)d->asked, d->final_differing,
                 m->differences_count);
        witness_found(out, "drift", copy, "", text);
    }
    size_t i = 0; /* what nobody may read stays in doubt, and may stay as it was (R11, compare.h) */
    while (i < m->differences_count && (m->differences[i].code - 1) % 2 == 1)
        i++;
    if (!promised || i == m->differences_count)
        return;
    const struct tm_difference *one = &m->differences[i];
    const char *id = one->record != TM_TRUTH_NONE ? truth->records[one->record].id
                                                  : s->followed[copy]->shown->rows[one->row].id;
    snprintf(text, sizeof text, "a row differs for the checker and is not in doubt: it is %s",
             tm_row_class_name((enum tm_row_class)((one->code - 1) / 2)));
    witness_found(out, "drift", copy, id, text);
}

static enum tm_code witness_copy(struct tm_sim_witness *s, struct tm_sim_world *w, size_t copy,
                                 const struct tm_truth *truth, struct tm_sim_finding *out,
                                 struct tm_err *err)
{
    struct tm_match *m = NULL;
    struct tm_drift_run d = { 0 };
    const struct tm_timing t = { .kind = TM_PIPELINE_BATCH, /* no publish delay is counted here */
                                 .compress = 1,
                                 .org_origin_ms = TM_SIM_ORIGIN_MS,
                                 .wall_origin_ns = TM_SIM_ORIGIN_NS,
                                 .start_us = TM_SIM_ORIGIN_MS * 1000,
                                 .end_us = w->now.org_ms * 1000 + 1 };
    enum tm_code rc = witness_full(s, copy, out, err);
    if (rc == TM_OK)
        rc = tm_match_make(&m, truth, s->followed[copy]->shown, &t, w->objects,
                           w->set.objects_count, err);
    if (rc == TM_OK)
        rc = tm_drift_replay(&d, truth, s->followed[copy]->shown, m, &t, err);
    if (rc == TM_OK)
        witness_drift(s, copy, truth, m, &d, copy == 0 || w->batch_promises, out);
    tm_drift_run_free(&d);
    tm_match_close(m);
    return rc;
}

enum tm_code tm_sim_witness_judge(struct tm_sim_witness *s, struct tm_sim_world *w,
                                  struct tm_sim_finding *out, struct tm_err *err)
{
    struct tm_truth *truth = NULL;
    size_t rows = 0;
    enum tm_code rc = tm_sim_witness_look(s, w, err);
    if (rc == TM_OK)
        rc = tm_truth_on(&truth, tm_org_db(w->org), err);
    if (rc == TM_OK)
        rc = tm_truth_tail(truth, WITNESS_TAIL_ROWS, &rows, err);
    assert(rc != TM_OK || rows < WITNESS_TAIL_ROWS);
    s->commits = s->equal = 0;
    for (size_t i = 0; rc == TM_OK && i < TM_SIM_WITNESS_COPIES; i++)
        if (s->followed[i] != NULL)
            rc = witness_copy(s, w, i, truth, out, err);
    tm_truth_close(truth);
    return rc == TM_OK ? rc : tm_at(err, "the witness");
}

void tm_sim_witness_close(struct tm_sim_witness *s)
{
    for (size_t i = 0; i < TM_SIM_WITNESS_COPIES; i++) {
        tm_reader_close(s->followed[i]);
        s->followed[i] = NULL;
    }
}
