#include "mocks/salesforce/bulk_impl.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BULK_HOUR_MS 3600000LL
#define BULK_CHUNK_BYTES_MAX (64u << 20) /* 250 rows of the longest texts an org holds */

enum tm_code tm_bulk_open(struct tm_bulk **out, struct tm_org *org, struct tm_oauth *oauth,
                          const struct tm_bulk_settings *settings, struct tm_err *err)
{
    const char *path = sqlite3_db_filename(tm_org_db(org), "main");
    struct tm_bulk *b = calloc(1, sizeof *b);
    if (b == NULL)
        return tm_fail(err, TM_E_NOMEM, "Bulk jobs");
    b->org = org;
    b->oauth = oauth;
    b->settings = *settings;
    b->token_last = TM_BULK_TOKEN;
    tm_buf_init(&b->text, BULK_CHUNK_BYTES_MAX);
    enum tm_code rc = bulk_store_open(&b->store, path, err);
    if (rc != TM_OK) {
        tm_bulk_close(b);
        return rc;
    }
    *out = b;
    return TM_OK;
}

void tm_bulk_close(struct tm_bulk *b)
{
    if (b == NULL)
        return;
    bulk_pages_close(b);
    while (b->jobs != NULL)
        bulk_job_remove(b, b->jobs);
    bulk_store_close(b->store);
    tm_buf_free(&b->text);
    free(b);
}

/* ---- jobs ---- */

void bulk_id(struct tm_bulk *b, char out[TM_ID_BYTES], const char *prefix)
{
    char id15[16];
    memcpy(id15, prefix, 3);
    tm_oauth_random(b->oauth, id15 + 3, 13);
    if (tm_id18(out, id15, NULL) != TM_OK)
        assert(0 && "a job has an id");
}

void bulk_job_remove(struct tm_bulk *b, struct bulk_job *job)
{
    struct bulk_job **at = &b->jobs;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    b->jobs_count--;
    for (size_t i = 0; i < job->runs_count; i++)
        bulk_run_free(b, job->runs[i]);
    free(job->runs);
    bulk_hold(b, &job->held_bytes, 0);
    tm_buf_free(&job->upload);
    json_decref(job->columns);
    json_decref(job->fields);
    free(job);
}

static bool bulk_job_ended(const struct bulk_job *job)
{
    for (size_t i = 0; i < job->runs_count; i++)
        if (job->runs[i]->state == BULK_QUEUED || job->runs[i]->state == BULK_RUNNING)
            return false;
    return job->api == 2 || job->state != BULK_OPEN;
}

void bulk_hold(struct tm_bulk *b, size_t *held, size_t bytes)
{
    assert(b->held_bytes >= *held);
    b->held_bytes = b->held_bytes - *held + bytes;
    *held = bytes;
}

/* What the job holds in memory. */
static size_t bulk_job_held(const struct bulk_job *job)
{
    size_t bytes = job->held_bytes;
    for (size_t i = 0; i < job->runs_count; i++)
        bytes += job->runs[i]->held_bytes;
    return bytes;
}

/* An open 1.0 job that nobody comes back to. */
static bool bulk_job_idle(const struct bulk_job *job, int64_t now_org_ms)
{
    for (size_t i = 0; i < job->runs_count; i++)
        if (job->runs[i]->state == BULK_QUEUED || job->runs[i]->state == BULK_RUNNING)
            return false;
    return now_org_ms - job->changed_ms > BULK_IDLE_MS;
}

bool bulk_room(struct tm_bulk *b, size_t bytes, int64_t now_org_ms)
{
    size_t most =
        b->settings.held_bytes_max != 0 ? b->settings.held_bytes_max : BULK_HELD_BYTES_MAX;
    while (bytes <= most && b->held_bytes > most - bytes) {
        struct bulk_job *oldest = NULL;
        for (struct bulk_job *job = b->jobs; job != NULL; job = job->next)
            if ((bulk_job_ended(job) || bulk_job_idle(job, now_org_ms)) && bulk_job_held(job) > 0)
                oldest = job;
        if (oldest == NULL)
            return false;
        bulk_job_remove(b, oldest);
    }
    return bytes <= most;
}

/* Jobs are kept for seven days of org time; the oldest ended one goes earlier when there are too
 * many. */
static void bulk_expire(struct tm_bulk *b, int64_t now_org_ms)
{
    struct bulk_job *oldest = NULL, *next;
    for (struct bulk_job *job = b->jobs; job != NULL; job = next) {
        next = job->next;
        if (now_org_ms - job->made_ms > BULK_KEPT_MS)
            bulk_job_remove(b, job);
        else if (bulk_job_ended(job))
            oldest = job;
    }
    if (b->jobs_count >= BULK_JOBS_MAX && oldest != NULL)
        bulk_job_remove(b, oldest);
}

struct bulk_job *bulk_job_make(struct tm_bulk *b, int api, const struct tm_now *now)
{
    bulk_expire(b, now->org_ms);
    struct bulk_job *job = b->jobs_count < BULK_JOBS_MAX ? calloc(1, sizeof *job) : NULL;
    if (job == NULL)
        return NULL;
    job->api = api;
    job->made_ms = job->changed_ms = now->org_ms;
    tm_buf_init(&job->upload, BULK_UPLOAD_BYTES_MAX);
    job->form = (struct bulk_form){ .format = BULK_CSV, .delimiter = ',' };
    bulk_id(b, job->id, "750");
    job->next = b->jobs;
    b->jobs = job;
    b->jobs_count++;
    return job;
}

struct bulk_job *bulk_job_find(struct tm_bulk *b, int api, const char *id, const struct tm_now *now)
{
    char id18[TM_ID_BYTES];
    if (tm_id18(id18, id, NULL) != TM_OK)
        return NULL;
    for (struct bulk_job *job = b->jobs; job != NULL; job = job->next)
        if (job->api == api && strcmp(job->id, id18) == 0)
            return now->org_ms - job->made_ms > BULK_KEPT_MS ? NULL : job;
    return NULL;
}

/* ---- the allowance of a day ---- */

void bulk_use(struct tm_bulk *b, int64_t now_org_ms, int64_t jobs, int64_t batches)
{
    int64_t hour = now_org_ms / BULK_HOUR_MS;
    size_t at = (size_t)(hour % BULK_HOURS);
    if (b->used[at].hour != hour) {
        b->used[at].hour = hour;
        b->used[at].jobs = b->used[at].batches = 0;
    }
    b->used[at].jobs += jobs;
    b->used[at].batches += batches;
}

void tm_bulk_usage_day(const struct tm_bulk *b, int64_t now_org_ms, int64_t *out_jobs,
                       int64_t *out_batches)
{
    int64_t hour = now_org_ms / BULK_HOUR_MS;
    *out_jobs = *out_batches = 0;
    for (size_t i = 0; i < BULK_HOURS; i++)
        if (b->used[i].hour > hour - 24 && b->used[i].hour <= hour) {
            *out_jobs += b->used[i].jobs;
            *out_batches += b->used[i].batches;
        }
}

/* ---- steps ---- */

void tm_bulk_step(struct tm_bulk *b, const struct tm_now *now, struct tm_wake *wake)
{
    bool more = false;
    if (b->running_count > 0)
        bulk_run_slice(b, b->running[0], now);
    if (b->queued_count > 0 && b->running_count < BULK_RUNNING_MAX)
        bulk_run_begin(b, b->queue_first, now);
    more = bulk_store_step(b->store) || b->running_count > 0 || b->queued_count > 0;
    if (more)
        wake->wall_ns = now->wall_ns;
}
