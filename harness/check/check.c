#include "check/check.h"
#include "check/given.h"
#include "check/query.h"
#include "check/results.h"
#include <assert.h>
#include <stdlib.h>

#define CHECK_TAIL_ROWS_MAX 400 /* a few ms of parsing */
#define CHECK_TAIL_NS (50 * TM_NS_PER_MS)
#define CHECK_TAIL_VIRTUAL_NS (5 * TM_NS_PER_S) /* nobody waits while a step is long */
/* a warehouse that is not there yet is looked for this often */
#define CHECK_ABSENT_NS (20 * TM_NS_PER_MS)
/* full reads of the views take at most one part in so many of the time: they cost as much as a
 * user's query each time */
#define CHECK_SAMPLE_PART 20
/* of the last read: readers of a WAL wait for nobody but for its recovery after a crash */
#define CHECK_LAST_TRIES 50
/* of a full comparison, between two probes: some 0.3 ms */
#define CHECK_AUDIT_ROWS 100
#define CHECK_AUDIT_NS TM_NS_PER_S /* from then on it takes a slice with every step */

static enum tm_code check_target_open(struct tm_check *c, size_t index, struct tm_err *err)
{
    const struct tm_plan_pipeline *p = &c->plan->pipelines[index];
    struct tm_check_target *t = &c->targets[index];
    bool raw = p->kind == TM_PIPELINE_STREAM && p->option == 1;
    t->poll_ns = p->kind == TM_PIPELINE_STREAM ? c->plan->poll_ns : c->plan->poll_batch_ns;
    enum tm_code rc = tm_reader_open(&t->reader, p->database, raw, p->objects, p->objects_count,
                                     c->ports.wall_ns, err);
    if (rc == TM_OK && p->kind == TM_PIPELINE_EXTERNAL)
        rc = tm_given_attach(t->reader, p, &c->truth, err);
    if (rc == TM_OK)
        tm_reader_written(t->reader, c->ports.written, c->ports.written_self);
    if (rc == TM_OK && raw)
        rc = tm_sampler_open(&t->sampler, p->database, p->objects, p->objects_count,
                             c->ports.wall_ns, c->ports.virtual, err);
    if (rc == TM_OK && !raw && p->kind != TM_PIPELINE_EXTERNAL) /* each look of whose is full */
        rc = tm_audit_open(&t->audit, t->reader, err);
    if (rc == TM_OK)
        t->views = raw ? t->sampler->reader : t->reader;
    return rc == TM_OK ? TM_OK : tm_at(err, "pipeline %s", p->name);
}

/* Where option 2 keeps what option 1 computes, the sampler times both. */
static enum tm_code check_beside(struct tm_check *c, struct tm_err *err)
{
    const struct tm_plan_pipeline *all = c->plan->pipelines;
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < c->plan->pipelines_count; i++) {
        size_t k;
        struct tm_sampler *s = c->targets[i].sampler;
        if (s != NULL && tm_query_beside(c->plan, i, &k))
            rc = tm_sampler_beside(s, all[k].database, all[k].objects, all[k].objects_count, err);
    }
    return rc;
}

enum tm_code tm_check_on(struct tm_check **out, struct tm_plan *plan,
                         const struct tm_check_ports *ports, struct tm_err *err)
{
    struct tm_check *c = calloc(1, sizeof *c);
    if (c == NULL) {
        tm_plan_close(plan);
        return tm_fail(err, TM_E_NOMEM, "check");
    }
    enum tm_code rc = TM_OK;
    c->ports = *ports;
    c->plan = plan;
    c->truth_next_ns = plan->org[0] == '\0' ? TM_NEVER : 0;
    for (size_t i = 0; rc == TM_OK && i < c->plan->pipelines_count; i++)
        rc = check_target_open(c, i, err);
    if (rc == TM_OK && c->plan->journal[0] != '\0')
        rc = tm_journal_open(&c->journal, c->plan->journal, err);
    for (size_t i = 0; rc == TM_OK && c->journal != NULL && i < c->plan->pipelines_count; i++)
        rc = tm_journal_restore(c->journal, i, c->targets[i].reader, err);
    if (rc == TM_OK && !ports->virtual)
        rc = check_beside(c, err);
    if (rc == TM_OK) {
        *out = c;
        c = NULL;
    }
    tm_check_close(c);
    return rc;
}

enum tm_code tm_check_open(struct tm_check **out, const char *plan_path,
                           const struct tm_check_ports *ports, struct tm_err *err)
{
    struct tm_plan *plan = NULL;
    enum tm_code rc = tm_plan_load(&plan, plan_path, err);
    return rc == TM_OK ? tm_check_on(out, plan, ports, err) : rc;
}

void tm_check_forget(struct tm_check_target *t)
{
    tm_audit_close(t->audit);
    tm_reader_close(t->reader);
    tm_sampler_close(t->sampler);
    t->audit = NULL;
    t->reader = t->views = NULL;
    t->sampler = NULL;
}

void tm_check_close(struct tm_check *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < TM_PLAN_PIPELINES_MAX; i++)
        tm_check_forget(&c->targets[i]);
    tm_journal_close(c->journal);
    tm_truth_close(c->truth);
    tm_plan_close(c->plan);
    free(c);
}

static enum tm_code check_tail(struct tm_check *c, size_t *out_rows, struct tm_err *err)
{
    *out_rows = 0;
    if (c->truth == NULL) {
        enum tm_code rc = tm_truth_open(&c->truth, c->plan->org, err);
        if (rc != TM_OK)
            return rc;
    }
    return tm_truth_tail(c->truth, CHECK_TAIL_ROWS_MAX, out_rows, err);
}

/* The warehouse could be opened. */
static bool check_there(const struct tm_reader *r)
{
    return r->given != NULL ? r->reads > 0 : r->db != NULL;
}

/* A full comparison is due: it begins with a probe. The first one a whole interval after the
 * relations appeared. Time stands still under a virtual clock, so there it ends where it begins. */
static enum tm_code check_audit(struct tm_check *c, struct tm_check_target *t, int64_t now_ns,
                                struct tm_err *err)
{
    bool first = t->audit_ns == 0, changed;
    t->audit_ns = now_ns + c->plan->audit_ns;
    if (first)
        return tm_reader_probe(t->reader, now_ns, &changed, err);
    enum tm_code rc = tm_audit_begin(t->audit, now_ns, err);
    while (rc == TM_OK && c->ports.virtual && t->audit->open)
        rc = tm_audit_slice(t->audit, CHECK_AUDIT_ROWS, err);
    return rc;
}

static enum tm_code check_probe(struct tm_check *c, size_t index, int64_t now_ns,
                                struct tm_err *err)
{
    struct tm_check_target *t = &c->targets[index];
    bool changed = false;
    bool audit =
        t->audit != NULL && !t->audit->open && t->reader->reads > 0 && now_ns >= t->audit_ns;
    enum tm_code rc =
        audit ? check_audit(c, t, now_ns, err) : tm_reader_probe(t->reader, now_ns, &changed, err);
    t->next_ns = now_ns + (!check_there(t->reader) ? CHECK_ABSENT_NS : t->poll_ns);
    if (t->sampler != NULL && t->reader->db != NULL && now_ns >= t->sample_ns) {
        /* the first one a whole interval after the file appeared */
        if (t->sample_ns != 0)
            tm_sampler_ask(t->sampler);
        int64_t rest_ns = CHECK_SAMPLE_PART * tm_sampler_took_ns(t->sampler);
        t->sample_ns = now_ns + (rest_ns > c->plan->sample_ns ? rest_ns : c->plan->sample_ns);
    }
    if (rc != TM_OK && rc != TM_E_AGAIN)
        return tm_at(err, "pipeline %s", c->plan->pipelines[index].name);
    return TM_OK;
}

/* Nothing is due: full comparisons go on, a slice at a time. */
static enum tm_code check_idle(struct tm_check *c, int64_t now_ns, struct tm_wake *wake,
                               struct tm_err *err)
{
    for (size_t i = 0; i < c->plan->pipelines_count; i++) {
        struct tm_audit *a = c->targets[i].audit;
        if (a == NULL || !a->open)
            continue;
        enum tm_code rc = tm_audit_slice(a, CHECK_AUDIT_ROWS, err);
        wake->wall_ns = now_ns;
        return rc == TM_OK || rc == TM_E_AGAIN
                   ? TM_OK
                   : tm_at(err, "pipeline %s", c->plan->pipelines[i].name);
    }
    return TM_OK;
}

static enum tm_code check_journal(struct tm_check *c, int64_t now_ns, struct tm_err *err)
{
    c->journal_ns = now_ns + TM_JOURNAL_NS;
    enum tm_code rc = tm_journal_begin(c->journal, err);
    for (size_t i = 0; rc == TM_OK && i < c->plan->pipelines_count; i++)
        rc = tm_journal_save(c->journal, i, c->targets[i].reader, err);
    if (rc == TM_OK)
        rc = tm_journal_end(c->journal, err);
    return rc == TM_OK ? TM_OK : tm_at(err, "the witness's journal");
}

/* A snapshot stands so long that its writer's log would grow: it goes on even between busy probes.
 */
static bool check_overdue(const struct tm_check *c, int64_t now_ns)
{
    for (size_t i = 0; i < c->plan->pipelines_count; i++) {
        const struct tm_audit *a = c->targets[i].audit;
        if (a != NULL && a->open && now_ns - a->now.begun_ns > CHECK_AUDIT_NS)
            return true;
    }
    return false;
}

enum tm_code tm_check_step(struct tm_check *c, const struct tm_now *now, struct tm_wake *wake,
                           struct tm_err *err)
{
    size_t due = c->plan->pipelines_count; /* that many = the history */
    int64_t due_ns = c->truth_next_ns;
    enum tm_code rc = TM_OK;
    c->steps++;
    for (size_t i = 0; i < c->plan->pipelines_count; i++)
        if (c->targets[i].next_ns < due_ns) {
            due = i;
            due_ns = c->targets[i].next_ns;
        }
    if (due_ns <= now->wall_ns && due < c->plan->pipelines_count) {
        rc = check_probe(c, due, now->wall_ns, err);
    } else if (due_ns <= now->wall_ns) {
        size_t rows = 0;
        rc = check_tail(c, &rows, err);
        rc = rc == TM_E_AGAIN ? TM_OK : rc;
        int64_t tail_ns = c->ports.virtual ? CHECK_TAIL_VIRTUAL_NS : CHECK_TAIL_NS;
        c->truth_next_ns = now->wall_ns + (rows == CHECK_TAIL_ROWS_MAX ? tail_ns / 10 : tail_ns);
    }
    if (rc == TM_OK && c->journal != NULL && now->wall_ns >= c->journal_ns)
        rc = check_journal(c, now->wall_ns, err);
    if (rc == TM_OK && (due_ns > now->wall_ns || check_overdue(c, now->wall_ns)))
        rc = check_idle(c, now->wall_ns, wake, err);
    int64_t next_ns = c->truth_next_ns;
    for (size_t i = 0; i < c->plan->pipelines_count; i++)
        next_ns = c->targets[i].next_ns < next_ns ? c->targets[i].next_ns : next_ns;
    wake->wall_ns = next_ns < wake->wall_ns ? next_ns : wake->wall_ns;
    return rc;
}

bool tm_check_ready(const struct tm_check *c)
{
    for (size_t i = 0; i < c->plan->pipelines_count; i++)
        if (c->targets[i].reader->reads == 0 && check_there(c->targets[i].reader))
            return false;
    return (c->truth != NULL || c->truth_next_ns == TM_NEVER) &&
           c->steps > 2 * c->plan->pipelines_count;
}

/* The last read of one pipeline, in full; option 1: then of the raw rows, so that all the views
 * could show is known, also where a writer is still at work. */
static enum tm_code check_last_of(struct tm_check *c, size_t index, struct tm_err *err)
{
    struct tm_check_target *t = &c->targets[index];
    bool changed;
    enum tm_code rc = TM_OK;
    if (t->sampler != NULL)
        tm_sampler_stop(t->sampler);
    if (t->audit != NULL && t->audit->open)
        rc = tm_audit_slice(t->audit, SIZE_MAX, err);
    if (rc != TM_OK && rc != TM_E_AGAIN)
        return rc;
    rc = TM_E_AGAIN;
    for (int i = 0; rc == TM_E_AGAIN && i < CHECK_LAST_TRIES; i++)
        rc = tm_reader_full(t->views, true, &t->final, err);
    if ((rc == TM_OK || rc == TM_E_AGAIN) && t->sampler != NULL) {
        rc = TM_E_AGAIN;
        for (int i = 0; rc == TM_E_AGAIN && i < CHECK_LAST_TRIES; i++)
            rc = tm_reader_probe(t->reader, c->ports.wall_ns(), &changed, err);
    }
    return rc == TM_E_AGAIN ? TM_OK : rc; /* a warehouse that never came is told by the verdict */
}

enum tm_code tm_check_last(struct tm_check *c, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < c->plan->pipelines_count; i++)
        rc = check_last_of(c, i, err);
    c->stop_ns = c->ports.wall_ns();
    if (rc == TM_OK && c->journal != NULL)
        rc = check_journal(c, c->stop_ns, err);
    return rc;
}

enum tm_code tm_check_history(struct tm_check *c, struct tm_err *err)
{
    enum tm_code rc;
    size_t rows;
    do
        rc = check_tail(c, &rows, err);
    while (rc == TM_OK && rows > 0);
    if (rc == TM_E_AGAIN)
        return tm_fail(err, TM_E_IO, "%s: no history to compare with (was the org ever started?)",
                       c->plan->org);
    return rc;
}

enum tm_code tm_check_finish(struct tm_check *c, int *out_exit, struct tm_err *err)
{
    enum tm_code rc = tm_check_last(c, err);
    if (rc == TM_OK)
        rc = tm_check_history(c, err);
    return rc == TM_OK ? tm_results_make(c, out_exit, err) : rc;
}
