#include "check/compare_inner.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COMPARE_RANGES_MAX 128
#define COMPARE_RANGES_A_THREAD 8 /* so that uneven ones even out */
/* of threads' snapshots that a commit came between */
#define COMPARE_SNAPSHOT_TRIES 20

struct compare_job {                            /* all threads' */
    const struct tm_compare_side *held, *shown; /* held NULL: rows */
    struct tm_rows *rows;
    const struct tm_compare_how *how;
    const int *from;
    struct tm_relation_range ranges[COMPARE_RANGES_MAX];
    struct tm_compare *done[COMPARE_RANGES_MAX];
    size_t ranges_count;
    atomic_size_t next;
};
struct compare_worker {
    struct compare_job *job;
    struct tm_warehouse *held, *shown; /* each in a read transaction */
    pthread_t thread;
    struct tm_err err;
    enum tm_code rc;
};

/* The held relation's rows of one range, in memory. */
static enum tm_code compare_load(struct tm_rows *rows, struct compare_worker *w, const char *low,
                                 const char *high, struct tm_err *err)
{
    struct tm_relation *r = NULL;
    struct tm_relation_row row;
    uint64_t values[TM_SHOWN_COLUMNS_MAX];
    bool more = false;
    enum tm_code rc = tm_relation_open(&r, w->job->held->spec, w->held, low, high, err);
    tm_rows_init(rows, rc == TM_OK ? r->fields_count : 0);
    while (rc == TM_OK && (rc = tm_relation_step(r, &more, &row, values, NULL, err)) == TM_OK &&
           more) {
        uint32_t at;
        rc = tm_rows_add(rows, row.id, &at, err);
        if (rc == TM_OK && r->fields_count > 0)
            memcpy(tm_rows_values(rows, at), values, r->fields_count * sizeof *values);
    }
    tm_relation_close(r);
    return rc == TM_OK ? tm_rows_index(rows, err) : rc;
}

static enum tm_code compare_range(struct compare_worker *w, size_t n, struct tm_err *err)
{
    struct compare_job *job = w->job;
    const char *low = job->ranges[n].low[0] != '\0' ? job->ranges[n].low : NULL;
    const char *high = job->ranges[n].high[0] != '\0' ? job->ranges[n].high : NULL;
    struct tm_rows own = { 0 };
    struct compare_range *r = calloc(1, sizeof *r);
    struct tm_compare *out = calloc(1, sizeof *out);
    enum tm_code rc = TM_OK;
    if (r == NULL || out == NULL) {
        rc = tm_fail(err, TM_E_NOMEM, "comparing");
        goto done;
    }
    *r = (struct compare_range){ .held = job->rows, .out = out, .from = job->from };
    if (job->held != NULL) {
        rc = compare_load(&own, w, low, high, err);
        r->held = &own;
    }
    if (rc == TM_OK)
        rc = tm_relation_open(&r->shown, job->shown->spec, w->shown, low, high, err);
    if (rc == TM_OK)
        rc = compare_fields(out, r->shown, err);
    if (rc == TM_OK)
        rc = compare_shown(r, err);
    if (rc == TM_OK && job->held != NULL)
        rc = compare_missing(out, &own, err);
    if (rc == TM_OK) {
        job->done[n] = out;
        out = NULL;
    }
done:
    if (r != NULL)
        tm_relation_close(r->shown);
    free(r);
    tm_compare_close(out);
    tm_rows_free(&own);
    return rc;
}

static void *compare_work(void *self)
{
    struct compare_worker *w = self;
    size_t n;
    while (w->rc == TM_OK && (n = atomic_fetch_add(&w->job->next, 1)) < w->job->ranges_count)
        w->rc = compare_range(w, n, &w->err);
    return NULL;
}

/* ---- one snapshot for all ---- */

static void compare_leave(struct compare_worker *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (all[i].held != NULL)
            tm_warehouse_end(all[i].held);
        if (all[i].shown != NULL)
            tm_warehouse_end(all[i].shown);
    }
}

/* Every thread's transactions, begun between two commits of others; *out false: one came between.
 */
static enum tm_code compare_enter(struct compare_worker *all, size_t count,
                                  struct tm_warehouse *watch[2], bool *out, struct tm_err *err)
{
    int64_t before[2] = { 0 }, now[2] = { 0 };
    enum tm_code rc = TM_OK;
    for (int i = 0; rc == TM_OK && i < 2; i++)
        if (watch[i] != NULL)
            rc = tm_warehouse_version(watch[i], &before[i], err);
    for (size_t i = 0; rc == TM_OK && i < count; i++) {
        if (all[i].held != NULL)
            rc = tm_warehouse_begin(all[i].held, err);
        if (rc == TM_OK)
            rc = tm_warehouse_begin(all[i].shown, err);
    }
    for (int i = 0; rc == TM_OK && i < 2; i++)
        if (watch[i] != NULL)
            rc = tm_warehouse_version(watch[i], &now[i], err);
    *out = rc == TM_OK && before[0] == now[0] && before[1] == now[1];
    if (!*out)
        compare_leave(all, count);
    return rc;
}

static enum tm_code compare_snapshot(struct compare_worker *all, size_t *count,
                                     struct tm_warehouse *watch[2], struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool one = false;
    for (int i = 0; (rc == TM_OK || rc == TM_E_AGAIN) && !one && i < COMPARE_SNAPSHOT_TRIES; i++)
        rc = compare_enter(all, *count, watch, &one, err);
    if (rc == TM_OK && !one) { /* somebody commits all the time: one thread is one snapshot */
        *count = 1;
        watch[0] = watch[1] = NULL;
        rc = compare_enter(all, 1, watch, &one, err);
    }
    if (rc == TM_E_AGAIN)
        rc = tm_fail_retry(err, TM_E_IO, "%s is locked by another process", all[0].shown->path);
    return rc;
}

/* ---- all of it ---- */

static enum tm_code compare_threads(struct compare_worker *all, size_t count, struct tm_err *err)
{
    size_t started = 0;
    for (size_t i = 1; i < count; i++, started++)
        if (pthread_create(&all[i].thread, NULL, compare_work, &all[i]) != 0)
            break; /* fewer will do */
    compare_work(&all[0]);
    for (size_t i = 1; i <= started; i++)
        pthread_join(all[i].thread, NULL);
    for (size_t i = 0; i < count; i++)
        if (all[i].rc != TM_OK && all[i].rc != TM_E_AGAIN) {
            *err = all[i].err;
            return all[i].rc;
        } else if (all[i].rc == TM_E_AGAIN) {
            return tm_fail_retry(err, TM_E_IO, "%s is locked by another process",
                                 all[i].shown->path);
        }
    return TM_OK;
}

static enum tm_code compare_gather(struct tm_compare **out, struct compare_job *job,
                                   struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 1; rc == TM_OK && i < job->ranges_count; i++)
        rc = compare_add(job->done[0], job->done[i], err);
    if (rc == TM_OK && job->held == NULL)
        rc = compare_missing(job->done[0], job->rows, err);
    if (rc != TM_OK)
        return rc;
    *out = job->done[0];
    (*out)->ranges = job->ranges_count;
    job->done[0] = NULL;
    return TM_OK;
}

static enum tm_code compare_run(struct tm_compare **out, struct compare_job *job,
                                struct tm_err *err)
{
    size_t count = job->how->threads > 0 ? job->how->threads : 1;
    struct compare_worker all[TM_COMPARE_THREADS_MAX] = { { 0 } };
    struct tm_warehouse *watch[2] = { NULL, NULL }, *watched[2];
    enum tm_code rc = TM_OK;
    count = count > TM_COMPARE_THREADS_MAX ? TM_COMPARE_THREADS_MAX : count;
    for (size_t i = 0; rc == TM_OK && i < count; i++) {
        all[i].job = job;
        rc = tm_warehouse_open(&all[i].shown, job->shown->path, job->how->steps_max, err);
        if (rc == TM_OK && job->held != NULL)
            rc = tm_warehouse_open(&all[i].held, job->held->path, job->how->steps_max, err);
    }
    if (rc == TM_OK && count > 1)
        rc = tm_warehouse_open(&watch[0], job->shown->path, 0, err);
    if (rc == TM_OK && count > 1 && job->held != NULL)
        rc = tm_warehouse_open(&watch[1], job->held->path, 0, err);
    memcpy(watched, watch, sizeof watched);
    if (rc == TM_OK && (rc = compare_snapshot(all, &count, watched, err)) == TM_OK) {
        rc = tm_relation_cut(job->ranges, &job->ranges_count,
                             count > 1 ? count * COMPARE_RANGES_A_THREAD : 1, job->shown->spec,
                             all[0].shown, err);
        count = job->ranges_count < count ? job->ranges_count : count;
        if (rc == TM_OK)
            rc = compare_threads(all, count, err);
        if (rc == TM_OK)
            rc = compare_gather(out, job, err);
        if (rc == TM_OK)
            (*out)->threads = count;
    }
    for (size_t i = 0; i < TM_COMPARE_THREADS_MAX; i++) {
        tm_warehouse_close(all[i].shown); /* and with it its transaction */
        tm_warehouse_close(all[i].held);
    }
    tm_warehouse_close(watch[0]);
    tm_warehouse_close(watch[1]);
    for (size_t i = 0; i < COMPARE_RANGES_MAX; i++)
        tm_compare_close(job->done[i]);
    return rc;
}

static enum tm_code compare_start(struct tm_compare **out, const struct compare_job *start,
                                  struct tm_err *err)
{
    struct compare_job *job = malloc(sizeof *job);
    if (job == NULL)
        return tm_fail(err, TM_E_NOMEM, "comparing");
    *job = *start;
    enum tm_code rc = compare_run(out, job, err);
    free(job);
    return rc;
}

enum tm_code tm_compare_rows(struct tm_compare **out, struct tm_rows *held,
                             const struct tm_compare_side *shown, const struct tm_compare_how *how,
                             struct tm_err *err)
{
    const struct compare_job job = { .rows = held, .shown = shown, .how = how };
    enum tm_code rc = tm_rows_index(held, err);
    for (size_t i = 0; i < held->count; i++)
        held->flags[i] &= (uint8_t)~TM_COMPARE_SEEN;
    return rc == TM_OK ? compare_start(out, &job, err) : rc;
}

/* Which field of the held relation each of the shown one's is. */
static enum tm_code compare_map(int from[TM_SHOWN_COLUMNS_MAX], const struct tm_compare_side *held,
                                const struct tm_compare_side *shown, int steps_max, bool *out_plain,
                                struct tm_err *err)
{
    struct tm_warehouse *a = NULL, *b = NULL;
    struct tm_relation *x = NULL, *y = NULL;
    enum tm_code rc = tm_warehouse_open(&a, held->path, steps_max, err);
    if (rc == TM_OK)
        rc = tm_warehouse_open(&b, shown->path, steps_max, err);
    if (rc == TM_OK)
        rc = tm_relation_open(&x, held->spec, a, NULL, NULL, err);
    if (rc == TM_OK)
        rc = tm_relation_open(&y, shown->spec, b, NULL, NULL, err);
    *out_plain = rc == TM_OK && x->fields_count == y->fields_count;
    for (size_t i = 0; rc == TM_OK && i < y->fields_count; i++) {
        from[i] = -1;
        for (size_t k = 0; k < x->fields_count; k++)
            if (strcasecmp(x->fields[k], y->fields[i]) == 0)
                from[i] = (int)k;
        *out_plain = *out_plain && from[i] == (int)i;
    }
    tm_relation_close(x);
    tm_relation_close(y);
    tm_warehouse_close(a);
    tm_warehouse_close(b);
    return rc;
}

enum tm_code tm_compare_relations(struct tm_compare **out, const struct tm_compare_side *held,
                                  const struct tm_compare_side *shown,
                                  const struct tm_compare_how *how, struct tm_err *err)
{
    int from[TM_SHOWN_COLUMNS_MAX];
    bool plain = false;
    struct compare_job job = { .held = held, .shown = shown, .how = how };
    enum tm_code rc = compare_map(from, held, shown, how->steps_max, &plain, err);
    job.from = plain ? NULL : from;
    return rc == TM_OK ? compare_start(out, &job, err) : rc;
}
