/* bulk_load: Bulk API 2.0 ingest jobs, /services/data/vNN.0/jobs/ingest: a job is made, its CSV is
 * put under …/batches in one piece, and it runs once it is told that the upload is complete. */
#include "mocks/salesforce/bulk_impl.h"
#include "mocks/salesforce/rest.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LOAD_LIST_MAX 1000

static const char *load_state(const struct bulk_job *job, const struct tm_now *now)
{
    if (job->state == BULK_JOB_ABORTED)
        return "Aborted";
    if (job->runs_count == 0)
        return "Open";
    switch (bulk_run_state(job->runs[0], now)) {
    case BULK_QUEUED: return "UploadComplete";
    case BULK_RUNNING: return "InProgress";
    case BULK_DONE: return "JobComplete";
    case BULK_ABORTED: return "Aborted";
    default: return "Failed";
    }
}

static json_t *load_info(const struct tm_bulk *b, const struct bulk_job *job,
                         const struct tm_now *now)
{
    const struct bulk_run *run = job->runs_count > 0 ? job->runs[0] : NULL;
    char made[TM_TIME_BYTES], changed[TM_TIME_BYTES];
    int64_t took_ms =
        run != NULL && run->ended_ns > 0 ? (run->ended_ns - run->made_ns) / TM_NS_PER_MS : 0;
    json_t *info = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:f,s:s,s:s,s:s,s:I,s:I,s:i,s:I,s:i,s:i}", "id",
        job->id, "operation", bulk_op_word(job->op), "object", job->object, "createdById",
        tm_org_user_id(b->org), "createdDate", tm_time_rest(made, job->made_ms), "systemModstamp",
        tm_time_rest(changed, job->changed_ms), "state", load_state(job, now), "concurrencyMode",
        "Parallel", "contentType", "CSV", "apiVersion", strtod(job->version, NULL), "lineEnding",
        job->form.crlf ? "CRLF" : "LF", "columnDelimiter", bulk_delimiter_word(job->form.delimiter),
        "jobType", "V2Ingest", "numberRecordsProcessed", (json_int_t)(run != NULL ? run->rows : 0),
        "numberRecordsFailed", (json_int_t)(run != NULL ? run->failed : 0), "retries", 0,
        "totalProcessingTime", (json_int_t)took_ms, "apiActiveProcessingTime", 0,
        "apexProcessingTime", 0);
    json_object_set_new(
        info, "contentUrl",
        json_sprintf("services/data/v%s/jobs/ingest/%s/batches", job->version, job->id));
    if (job->key[0] != '\0')
        json_object_set_new(info, "externalIdFieldName", json_string(job->key));
    if (run != NULL && run->state == BULK_FAILED)
        json_object_set_new(info, "errorMessage", json_string(run->why));
    return info;
}

/* NULL = fine, else what is wrong. */
static const char *load_options(const struct tm_bulk *b, struct bulk_job *job, const json_t *body)
{
    const char *op = json_string_value(json_object_get(body, "operation"));
    const char *object = json_string_value(json_object_get(body, "object"));
    const char *type = json_string_value(json_object_get(body, "contentType"));
    const char *key = json_string_value(json_object_get(body, "externalIdFieldName"));
    const struct tm_describe *d = object != NULL ? tm_org_describe(b->org, object) : NULL;
    job->op = op != NULL ? bulk_op_of(op) : BULK_QUERY;
    if (job->op == BULK_QUERY)
        return "operation must be insert, update, upsert or delete";
    if (d == NULL)
        return "object must be one that the Bulk API supports";
    if (type != NULL && strcasecmp(type, "CSV") != 0)
        return "contentType must be CSV";
    if ((job->op == BULK_UPSERT) != (key != NULL))
        return "externalIdFieldName goes with upsert, and upsert with it";
    if (key != NULL && tm_describe_field(d, key) == NULL)
        return "externalIdFieldName is no field of the object";
    snprintf(job->object, sizeof job->object, "%s", d->object);
    snprintf(job->key, sizeof job->key, "%s", key != NULL ? tm_describe_field(d, key)->name : "");
    return bulk_form_of(&job->form, body);
}

static void load_create(struct tm_bulk *b, const struct tm_mock_request *r, const char *version,
                        struct tm_mock_response *out)
{
    json_t *body = r->body != NULL ? json_loadb(r->body, r->body_bytes, 0, NULL) : NULL;
    struct bulk_job *job = json_is_object(body) ? bulk_job_make(b, 3, &r->now) : NULL;
    const char *wrong = job != NULL ? load_options(b, job, body) : NULL;
    if (!json_is_object(body)) {
        tm_rest_error(out, 400, "JSON_PARSER_ERROR", "the body must be a JSON object");
    } else if (job == NULL) {
        tm_rest_error(out, 503, "SERVER_UNAVAILABLE", "too many jobs are open");
    } else if (wrong != NULL) {
        bulk_job_remove(b, job);
        tm_rest_error(out, 400, "API_ERROR", wrong);
    } else {
        snprintf(job->version, sizeof job->version, "%s", version);
        tm_rest_json(out, 200, load_info(b, job, &r->now));
    }
    json_decref(body);
}

static void load_upload(struct tm_bulk *b, struct bulk_job *job, const struct tm_mock_request *r,
                        struct tm_mock_response *out)
{
    if (job->state != BULK_OPEN || job->upload.bytes > 0) {
        tm_rest_error(out, 400, "INVALIDJOBSTATE", "the job takes data once, while it is open");
        return;
    }
    if (!bulk_room(b, r->body_bytes, r->now.org_ms)) {
        tm_rest_error(out, 503, "SERVER_UNAVAILABLE",
                      "jobs that have not ended hold too much data: complete or abort them");
        return;
    }
    tm_buf_add(&job->upload, r->body != NULL ? r->body : "", r->body_bytes);
    bulk_hold(b, &job->held_bytes, job->upload.cap);
    if (job->upload.failed != TM_OK)
        tm_rest_error(out, 413, "API_ERROR", "the data is too large for one job");
    else
        tm_mock_answer(out, 201, NULL, "");
}

static void load_drop(struct tm_bulk *b, struct bulk_job *job)
{
    tm_buf_free(&job->upload);
    bulk_hold(b, &job->held_bytes, 0);
}

static void load_start(struct tm_bulk *b, struct bulk_job *job, const struct tm_now *now,
                       struct tm_err *err, struct tm_mock_response *out)
{
    json_t *data = NULL;
    size_t data_bytes = 0;
    struct bulk_run *run = NULL;
    enum tm_code rc = bulk_ingest_read(b, job, tm_buf_text(&job->upload), job->upload.bytes, now,
                                       &data, &data_bytes, err);
    load_drop(b, job);
    job->state = BULK_CLOSED;
    if (rc == TM_OK)
        rc = bulk_run_make_ingest(b, job, data, data_bytes, now, &run, err);
    else if (rc == TM_E_PROTO || rc == TM_E_LIMIT)
        rc = bulk_run_make_ended(b, job, "", BULK_FAILED, err->msg, now, &run, NULL);
    if (rc == TM_OK)
        tm_rest_json(out, 200, load_info(b, job, now));
    else
        tm_rest_broken(out, rc, err);
}

static void load_patch(struct tm_bulk *b, struct bulk_job *job, const struct tm_mock_request *r,
                       struct tm_mock_response *out)
{
    json_t *body = r->body != NULL ? json_loadb(r->body, r->body_bytes, 0, NULL) : NULL;
    const char *state = json_string_value(json_object_get(body, "state"));
    bool start = state != NULL && strcasecmp(state, "UploadComplete") == 0;
    bool abort = state != NULL && strcasecmp(state, "Aborted") == 0;
    struct tm_err err = { .code = TM_OK };
    json_decref(body);
    if (!start && !abort) {
        tm_rest_error(out, 400, "API_ERROR", "state must be UploadComplete or Aborted");
    } else if (job->state == BULK_JOB_ABORTED || (start && job->state != BULK_OPEN) ||
               (job->runs_count > 0 && bulk_run_state(job->runs[0], &r->now) >= BULK_DONE)) {
        tm_rest_error(out, 400, "INVALIDJOBSTATE", "the job is past that state");
    } else if (start) {
        load_start(b, job, &r->now, &err, out);
    } else {
        job->state = BULK_JOB_ABORTED;
        load_drop(b, job);
        for (size_t i = 0; i < job->runs_count; i++)
            bulk_run_abort(b, job->runs[i], &r->now);
        tm_rest_json(out, 200, load_info(b, job, &r->now));
    }
}

/* successfulResults, failedResults: what was told; unprocessedrecords: what an abort, or a failure,
 * left unwritten, as it came. */
static void load_results(const struct bulk_job *job, const char *what,
                         const struct tm_mock_request *r, struct tm_mock_response *out)
{
    const struct bulk_run *run = job->runs_count > 0 ? job->runs[0] : NULL;
    bool good = strcmp(what, "successfulResults") == 0, bad = strcmp(what, "failedResults") == 0;
    if (!good && !bad && strcmp(what, "unprocessedrecords") != 0) {
        tm_rest_error(out, 404, "NOT_FOUND", "The requested resource does not exist");
    } else if (run == NULL || bulk_run_state(run, &r->now) < BULK_DONE) {
        tm_rest_error(out, 400, "INVALIDJOBSTATE", "the job has not ended");
    } else {
        tm_mock_answer(out, 200, "text/csv",
                       good  ? tm_buf_text(&run->told[0])
                       : bad ? tm_buf_text(&run->told[1])
                             : "");
        if (!good && !bad)
            bulk_ingest_left(run, &out->body);
        else if (out->body.bytes == 0)
            bulk_ingest_head(&out->body, job, good);
    }
}

static void load_list(struct tm_bulk *b, const struct tm_mock_request *r,
                      struct tm_mock_response *out)
{
    json_t *records = json_array();
    for (const struct bulk_job *job = b->jobs; job != NULL; job = job->next)
        if (job->api == 3 && r->now.org_ms - job->made_ms <= BULK_KEPT_MS &&
            json_array_size(records) < LOAD_LIST_MAX)
            json_array_append_new(records, load_info(b, job, &r->now));
    tm_rest_json(out, 200,
                 json_pack("{s:b,s:o,s:n}", "done", 1, "records", records, "nextRecordsUrl"));
}

static void load_job(struct tm_bulk *b, struct bulk_job *job, const struct tm_mock_request *r,
                     struct tm_mock_response *out)
{
    bool ended = job->state == BULK_JOB_ABORTED ||
                 (job->runs_count > 0 && bulk_run_state(job->runs[0], &r->now) >= BULK_DONE);
    if (strcmp(r->method, "GET") == 0) {
        tm_rest_json(out, 200, load_info(b, job, &r->now));
    } else if (strcmp(r->method, "PATCH") == 0) {
        load_patch(b, job, r, out);
    } else if (strcmp(r->method, "DELETE") != 0) {
        tm_rest_error(out, 405, "METHOD_NOT_ALLOWED", "Allowed are GET,PATCH,DELETE");
    } else if (!ended) {
        tm_rest_error(out, 400, "INVALIDJOBSTATE", "only a job that has ended can be deleted");
    } else {
        bulk_job_remove(b, job);
        tm_mock_answer(out, 204, NULL, "");
    }
}

void bulk_load_request(struct tm_bulk *b, const struct tm_mock_request *r, const char *version,
                       char *const *parts, size_t parts_count, struct tm_mock_response *out)
{
    struct bulk_job *job = parts_count > 2 ? bulk_job_find(b, 3, parts[2], &r->now) : NULL;
    bool get = strcmp(r->method, "GET") == 0;
    if (parts_count == 2 && strcmp(r->method, "POST") == 0)
        load_create(b, r, version, out);
    else if (parts_count == 2 && get)
        load_list(b, r, out);
    else if (parts_count == 2)
        tm_rest_error(out, 405, "METHOD_NOT_ALLOWED", "Allowed are GET,POST");
    else if (job == NULL)
        tm_rest_error(out, 404, "NOT_FOUND", "The requested resource does not exist");
    else if (parts_count == 3)
        load_job(b, job, r, out);
    else if (strcmp(parts[3], "batches") == 0 && strcmp(r->method, "PUT") == 0)
        load_upload(b, job, r, out);
    else if (get)
        load_results(job, parts[3], r, out);
    else
        tm_rest_error(out, 405, "METHOD_NOT_ALLOWED", "Allowed are GET, and PUT of batches");
}
