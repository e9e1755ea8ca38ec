/* bulk_run: one query from its text to written rows. */
#include "base/text.h"
#include "mocks/salesforce/bulk_impl.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what Bulk cannot do ---- */

static enum tm_code run_refuse(struct tm_soql_error *error, const char *code, const char *message)
{
    snprintf(error->code, sizeof error->code, "%s", code);
    snprintf(error->message, sizeof error->message, "%s", message);
    return TM_E_ARG;
}

/* Texts: salesforce-wire.md 5.1; OpenFn/adaptors#395; xjsender/haoide#137. */
static enum tm_code run_allowed(const struct bulk_job *job, const struct tm_soql *q,
                                const struct tm_soql_plan *plan, struct tm_soql_error *error)
{
    const char *code = job->api == 2 ? "API_ERROR" : "FUNCTIONALITY_NOT_ENABLED";
    if (plan->count_only || plan->grouped)
        return run_refuse(error, code,
                          job->api == 2 ? "Aggregate Relationships not supported in Bulk V2 "
                                          "Query with CSV content type"
                                        : "Aggregate Relationships not supported in Bulk Query");
    for (size_t i = 0; i < q->items_count; i++) {
        if (q->items[i].kind != TM_SOQL_PATH)
            return run_refuse(error, code,
                              "Implementation restriction: FIELDS() and queries of child "
                              "records are not supported in Bulk Query");
    }
    if (q->offset > 0)
        return run_refuse(error, code,
                          "Implementation restriction: OFFSET is not supported in Bulk Query");
    for (size_t i = 0; i < plan->columns_count; i++)
        if (plan->columns[i].shape == TM_SOQL_COMPOUND)
            return run_refuse(error, code, "Selecting compound data not supported in Bulk Query");
    if (job->api == 1 && job->object[0] != '\0' && strcmp(job->object, plan->object) != 0)
        return run_refuse(error, "INVALID_TYPE", "the query is about another object than the job");
    return TM_OK;
}

enum tm_code bulk_run_check(struct tm_bulk *b, const struct bulk_job *job, const char *soql,
                            int64_t now_org_ms, struct tm_soql **out, struct tm_soql_error *error,
                            struct tm_err *err)
{
    struct tm_soql *q = NULL;
    struct tm_soql_plan plan = { 0 };
    const char *relation = "";
    enum tm_code rc = tm_soql_parse(&q, soql, error, err);
    if (rc == TM_OK && tm_org_describe(b->org, q->object) != NULL)
        rc = tm_org_relation(b->org, q->object, false, 0, &relation, err);
    if (rc == TM_OK)
        rc = tm_soql_plan(&plan, b->org, q, job->all, relation, now_org_ms, error, err);
    if (rc == TM_OK)
        rc = run_allowed(job, q, &plan, error);
    tm_soql_plan_free(&plan);
    if (rc == TM_OK)
        *out = q;
    else
        tm_soql_close(q);
    return rc;
}

/* ---- the ends of a run ---- */

static void run_wait(struct tm_bulk *b, struct bulk_run *run)
{
    run->before = b->queue_last;
    if (b->queue_last != NULL)
        b->queue_last->behind = run;
    else
        b->queue_first = run;
    b->queue_last = run;
    b->queued_count++;
}

static void run_leave(struct tm_bulk *b, struct bulk_run *run)
{
    *(run->before != NULL ? &run->before->behind : &b->queue_first) = run->behind;
    *(run->behind != NULL ? &run->behind->before : &b->queue_last) = run->before;
    run->before = run->behind = NULL;
    b->queued_count--;
}

static void run_rest(struct tm_bulk *b, struct bulk_run *run)
{
    size_t i = 0;
    tm_soql_result_close(run->result);
    tm_soql_close(run->query);
    free(run->cells);
    run->result = NULL;
    run->query = NULL;
    run->cells = NULL;
    while (i < b->running_count && b->running[i] != run)
        i++;
    if (i < b->running_count) {
        memmove(&b->running[i], &b->running[i + 1],
                (b->running_count - i - 1) * sizeof b->running[0]);
        b->running_count--;
    }
    if (run->state == BULK_QUEUED)
        run_leave(b, run);
}

static void run_end(struct tm_bulk *b, struct bulk_run *run, enum bulk_state state,
                    const struct tm_now *now)
{
    run_rest(b, run);
    run->state = state;
    run->changed_ms = run->job->changed_ms = now->org_ms;
    run->ended_ns = now->wall_ns;
    bulk_ingest_end(b, run);
    if (state != BULK_DONE)
        bulk_store_drop(b->store, run->number);
}

static void run_fail(struct tm_bulk *b, struct bulk_run *run, enum tm_code rc,
                     const struct tm_soql_error *error, const struct tm_err *err,
                     const struct tm_now *now)
{
    char text[700];
    if (rc == TM_E_ARG && error != NULL)
        snprintf(run->why, sizeof run->why, "%s: %s", error->code, error->message);
    else if (rc == TM_E_AGAIN)
        snprintf(run->why, sizeof run->why, "SERVER_UNAVAILABLE: the org is busy, try again");
    else
        snprintf(run->why, sizeof run->why, "UNKNOWN_EXCEPTION: %s",
                 tm_err_text(err, text, sizeof text));
    tm_text_cut(run->why);
    if (run->job->op == BULK_QUERY) /* records that were written stay so */
        run->rows = 0;
    run_end(b, run, BULK_FAILED, now);
}

void bulk_run_abort(struct tm_bulk *b, struct bulk_run *run, const struct tm_now *now)
{
    if (bulk_run_state(run, now) != BULK_QUEUED && bulk_run_state(run, now) != BULK_RUNNING)
        return;
    bulk_pages_forget(b, run);
    if (run->job->op == BULK_QUERY)
        run->rows = 0;
    run_end(b, run, BULK_ABORTED, now);
}

void bulk_run_free(struct tm_bulk *b, struct bulk_run *run)
{
    if (run == NULL)
        return;
    bulk_pages_forget(b, run);
    run_rest(b, run);
    bulk_store_drop(b->store, run->number);
    bulk_ingest_free(b, run);
    free(run->head);
    free(run->soql);
    free(run);
}

enum bulk_state bulk_run_state(const struct bulk_run *run, const struct tm_now *now)
{
    return run->state == BULK_DONE && now->wall_ns < run->ready_ns ? BULK_RUNNING : run->state;
}

int64_t bulk_run_file_end(const struct bulk_run *run, size_t file)
{
    return file + 1 < run->files ? run->file_from[file + 1] : run->rows;
}

/* ---- rows into the store ---- */

/* The next chunk goes into the file that has room, or into a new one. */
static enum tm_code run_file(struct tm_bulk *b, struct bulk_run *run, struct tm_err *err)
{
    if (run->files > 0 && run->file_bytes + b->text.bytes <= BULK_FILE_BYTES_MAX) {
        run->file_bytes += b->text.bytes;
        return TM_OK;
    }
    if (run->files == BULK_FILES_MAX)
        return tm_fail(err, TM_E_LIMIT, "the results do not fit into %d files of %u bytes",
                       BULK_FILES_MAX, BULK_FILE_BYTES_MAX);
    run->file_from[run->files] = run->rows;
    bulk_id(b, run->file_id[run->files++], "752");
    run->file_bytes = b->text.bytes;
    return TM_OK;
}

/* Copied rows [row, row + rows) as the run's next chunk. */
static enum tm_code run_chunk(struct tm_bulk *b, struct bulk_run *run, size_t row, size_t rows,
                              struct tm_err *err)
{
    const struct tm_soql_plan *plan = tm_soql_result_plan(run->result);
    tm_buf_reset(&b->text);
    for (size_t i = 0; i < rows; i++) {
        tm_soql_result_row(run->result, row + i, run->cells);
        bulk_rows_add(&b->text, &run->job->form, plan, run->cells);
        b->ends[i] = (uint32_t)b->text.bytes;
    }
    enum tm_code rc = tm_buf_check(&b->text, "rows of a Bulk result", err);
    if (rc == TM_OK)
        rc = run_file(b, run, err);
    if (rc == TM_OK)
        rc = bulk_store_put(b->store, run->number, run->rows / BULK_CHUNK_ROWS, &b->text, b->ends,
                            rows, err);
    if (rc == TM_OK)
        run->rows += (int64_t)rows;
    return rc;
}

/* Whole chunks of what was copied; the rest of a chunk only once nothing comes behind it. */
static enum tm_code run_write(struct tm_bulk *b, struct bulk_run *run, struct tm_err *err)
{
    size_t rows = tm_soql_result_rows(run->result), row = 0;
    enum tm_code rc = TM_OK;
    assert(rows % BULK_CHUNK_ROWS == 0 || tm_soql_result_whole(run->result));
    for (; rc == TM_OK && row < rows; row += BULK_CHUNK_ROWS)
        rc = run_chunk(b, run, row, rows - row < BULK_CHUNK_ROWS ? rows - row : BULK_CHUNK_ROWS,
                       err);
    tm_soql_result_forget(run->result);
    return rc;
}

static enum tm_code run_head(struct bulk_run *run, struct tm_err *err)
{
    const struct tm_soql_plan *plan = tm_soql_result_plan(run->result);
    struct tm_buf head;
    tm_buf_init(&head, 1u << 20);
    bulk_rows_head(&head, &run->job->form, plan);
    run->cells = calloc((size_t)plan->sql_columns, sizeof *run->cells);
    run->head = strdup(tm_buf_text(&head));
    tm_buf_free(&head);
    return run->cells != NULL && run->head != NULL ? TM_OK
                                                   : tm_fail(err, TM_E_NOMEM, "a Bulk query");
}

/* Rows that came are written; the last ones end the run. */
static void run_came(struct tm_bulk *b, struct bulk_run *run, enum tm_code rc,
                     const struct tm_now *now, struct tm_err *err)
{
    if (rc == TM_OK)
        rc = run_write(b, run, err);
    if (rc == TM_OK && tm_soql_result_whole(run->result))
        run_end(b, run, BULK_DONE, now);
    else if (rc != TM_OK)
        run_fail(b, run, rc, NULL, err, now);
}

void bulk_run_over(struct tm_bulk *b, struct bulk_run *run, enum tm_code rc,
                   const struct tm_err *err, bool done, const struct tm_now *now)
{
    if (rc != TM_OK)
        run_fail(b, run, rc, NULL, err, now);
    else if (done)
        run_end(b, run, BULK_DONE, now);
}

void bulk_run_slice(struct tm_bulk *b, struct bulk_run *run, const struct tm_now *now)
{
    if (run->data != NULL) {
        bulk_ingest_slice(b, run, now);
        return;
    }
    struct tm_err err = { 0 };
    enum tm_code rc = tm_soql_copy(run->result, BULK_SLICE_CHUNKS * BULK_CHUNK_ROWS, &err);
    run_came(b, run, rc, now, &err);
}

/* Fixes what the query sees, and takes the first rows. */
void bulk_run_begin(struct tm_bulk *b, struct bulk_run *run, const struct tm_now *now)
{
    struct tm_soql_error error = { 0 };
    struct tm_err err = { 0 };
    assert(run->state == BULK_QUEUED && b->running_count < BULK_RUNNING_MAX);
    run_leave(b, run);
    run->state = BULK_RUNNING;
    b->running[b->running_count++] = run;
    if (run->data != NULL) {
        bulk_ingest_slice(b, run, now);
        return;
    }
    enum tm_code rc = tm_soql_begin(&run->result, b->org, run->query, run->job->all, now->org_ms,
                                    BULK_SLICE_CHUNKS * BULK_CHUNK_ROWS, &error, &err);
    tm_soql_close(run->query);
    run->query = NULL;
    if (rc == TM_OK)
        rc = run_head(run, &err);
    if (rc == TM_E_ARG)
        run_fail(b, run, rc, &error, &err, now);
    else
        run_came(b, run, rc, now, &err);
}

/* ---- making ---- */

static enum tm_code run_join(struct tm_bulk *b, struct bulk_job *job, const char *soql,
                             const struct tm_now *now, struct bulk_run **out, struct tm_err *err)
{
    struct bulk_run *run = calloc(1, sizeof *run);
    struct bulk_run **grown = realloc(job->runs, (job->runs_count + 1) * sizeof *grown);
    if (grown != NULL)
        job->runs = grown;
    if (run != NULL)
        *run = (struct bulk_run){ .job = job,
                                  .number = ++b->run_last,
                                  .soql = strdup(soql),
                                  .made_ms = now->org_ms,
                                  .changed_ms = now->org_ms,
                                  .made_ns = now->wall_ns,
                                  .ready_ns = now->wall_ns + b->settings.job_ns };
    if (run == NULL || grown == NULL || run->soql == NULL) {
        free(run != NULL ? run->soql : NULL);
        free(run);
        return tm_fail(err, TM_E_NOMEM, "a Bulk query");
    }
    if (job->api != 1)
        memcpy(run->id, job->id, sizeof run->id);
    else
        bulk_id(b, run->id, "751");
    job->runs[job->runs_count++] = run;
    job->changed_ms = now->org_ms;
    *out = run;
    return TM_OK;
}

enum tm_code bulk_run_make(struct tm_bulk *b, struct bulk_job *job, const char *soql,
                           struct tm_soql *query, const struct tm_now *now, struct bulk_run **out,
                           struct tm_err *err)
{
    enum tm_code rc = run_join(b, job, soql, now, out, err);
    if (rc != TM_OK) {
        tm_soql_close(query);
        return rc;
    }
    (*out)->query = query;
    run_wait(b, *out);
    if (b->running_count < BULK_RUNNING_MAX && b->queued_count == 1)
        bulk_run_begin(b, *out, now);
    return TM_OK;
}

enum tm_code bulk_run_make_ingest(struct tm_bulk *b, struct bulk_job *job, json_t *data,
                                  size_t data_bytes, const struct tm_now *now,
                                  struct bulk_run **out, struct tm_err *err)
{
    enum tm_code rc = run_join(b, job, "", now, out, err);
    if (rc != TM_OK) {
        json_decref(data);
        return rc;
    }
    bulk_ingest_open(b, *out, data, data_bytes);
    run_wait(b, *out);
    if (b->running_count < BULK_RUNNING_MAX && b->queued_count == 1)
        bulk_run_begin(b, *out, now);
    return TM_OK;
}

enum tm_code bulk_run_make_ended(struct tm_bulk *b, struct bulk_job *job, const char *soql,
                                 enum bulk_state state, const char *why, const struct tm_now *now,
                                 struct bulk_run **out, struct tm_err *err)
{
    enum tm_code rc = run_join(b, job, soql, now, out, err);
    if (rc == TM_OK) {
        (*out)->state = state;
        (*out)->ended_ns = now->wall_ns;
        snprintf((*out)->why, sizeof(*out)->why, "%s", why);
        tm_text_cut((*out)->why); /* parts of it may have been cut inside a letter */
    }
    return rc;
}
