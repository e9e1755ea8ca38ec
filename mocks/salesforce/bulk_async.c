/* bulk_async: Bulk API 1.0, /services/async/NN.0/job. What is said of a job is in the format of the
 * request (Content-Type), what is said of a batch in the format of the job: JSON for JSON jobs,
 * else XML, whatever Content-Type a GET carries. */
#include "base/text.h"
#include "mocks/salesforce/bulk_impl.h"
#include "mocks/salesforce/xml.h"
#include "mocks/salesforce/rest.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ASYNC_PARTS_MAX 8

struct async_call {
    struct tm_bulk *b;
    const struct tm_mock_request *r;
    struct tm_mock_response *out;
    bool json; /* the answer is */
    char path[512], version[8];
    char *parts[ASYNC_PARTS_MAX]; /* behind the version: job, 750…, batch, … */
    size_t parts_count;
};

/* ---- answers ---- */

static void async_element(struct tm_buf *out, const char *name, const json_t *value);

/* Members as elements, lists as repeated ones. */
static void async_elements(struct tm_buf *out, const json_t *object)
{
    const char *key;
    json_t *value, *item;
    size_t i;
    json_object_foreach((json_t *)object, key, value)
    {
        if (json_is_array(value)) {
            json_array_foreach(value, i, item) async_element(out, key, item);
        } else {
            async_element(out, key, value);
        }
    }
}

static void async_element(struct tm_buf *out, const char *name, const json_t *value)
{
    tm_buf_addf(out, "<%s>", name);
    if (json_is_string(value))
        tm_xml_escape(out, json_string_value(value), json_string_length(value));
    else if (json_is_integer(value))
        tm_buf_addf(out, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        tm_buf_addf(out, "%.1f", json_real_value(value));
    else if (json_is_object(value))
        async_elements(out, value);
    tm_buf_addf(out, "</%s>", name);
}

/* Takes the reference. */
static void async_answer(struct async_call *c, int status, const char *root, json_t *json)
{
    if (c->json) {
        char *text = json_dumps(json, JSON_COMPACT);
        tm_mock_answer(c->out, text != NULL ? status : 500, "application/json",
                       text != NULL ? text : "{}");
        free(text);
    } else {
        tm_mock_answer(c->out, status, "application/xml",
                       "<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
        tm_buf_addf(&c->out->body, "<%s xmlns=\"%s\">", root, BULK_NAMESPACE);
        async_elements(&c->out->body, json);
        tm_buf_addf(&c->out->body, "</%s>", root);
    }
    json_decref(json);
}

void bulk_async_error(struct tm_mock_response *out, bool json, int status, const char *code,
                      const char *message)
{
    struct async_call c = { .out = out, .json = json };
    char whole[700];
    snprintf(whole, sizeof whole, "%s", message);
    tm_text_cut(whole);
    tm_buf_reset(&out->headers);
    tm_buf_reset(&out->body);
    async_answer(&c, status, "error",
                 json_pack("{s:s,s:s}", "exceptionCode", code, "exceptionMessage", whole));
}

static void async_refuse(struct async_call *c, int status, const char *code, const char *message)
{
    bulk_async_error(c->out, c->json, status, code, message);
}

static void async_broken(struct async_call *c, const struct tm_err *err)
{
    char text[700];
    async_refuse(c, 500, "Unknown", tm_err_text(err, text, sizeof text));
}

/* ---- what is told ---- */

static const char *async_batch_state(const struct bulk_run *run, const struct tm_now *now)
{
    switch (bulk_run_state(run, now)) {
    case BULK_QUEUED: return "Queued";
    case BULK_RUNNING: return "InProgress";
    case BULK_DONE: return "Completed";
    case BULK_FAILED: return "Failed";
    default: return "NotProcessed";
    }
}

static int64_t async_took_ms(const struct bulk_run *run, const struct tm_now *now)
{
    if (bulk_run_state(run, now) != BULK_DONE)
        return 0;
    int64_t ended_ns = run->ended_ns > run->ready_ns ? run->ended_ns : run->ready_ns;
    return (ended_ns - run->made_ns) / TM_NS_PER_MS;
}

static const char *async_time(const struct async_call *c, char out[TM_TIME_BYTES], int64_t ms)
{
    return c->json ? tm_time_rest(out, ms) : tm_time_z(out, ms);
}

static json_t *async_batch_info(const struct async_call *c, const struct bulk_run *run)
{
    char made[TM_TIME_BYTES], changed[TM_TIME_BYTES];
    int64_t rows = bulk_run_state(run, &c->r->now) == BULK_DONE ? run->rows : 0;
    json_t *info = json_pack("{s:s,s:s,s:s}", "id", run->id, "jobId", run->job->id, "state",
                             async_batch_state(run, &c->r->now));
    if (run->why[0] != '\0')
        json_object_set_new(info, "stateMessage", json_string(run->why));
    json_object_set_new(info, "createdDate", json_string(async_time(c, made, run->made_ms)));
    json_object_set_new(info, "systemModstamp",
                        json_string(async_time(c, changed, run->changed_ms)));
    json_object_set_new(info, "numberRecordsProcessed", json_integer(rows));
    json_object_set_new(info, "numberRecordsFailed", json_integer(run->failed));
    json_object_set_new(info, "totalProcessingTime", json_integer(async_took_ms(run, &c->r->now)));
    json_object_set_new(info, "apiActiveProcessingTime", json_integer(0));
    json_object_set_new(info, "apexProcessingTime", json_integer(0));
    return info;
}

static json_t *async_job_info(const struct async_call *c, const struct bulk_job *job)
{
    static const char *const states[] = { "Open", "Closed", "Aborted" };
    static const char *const formats[] = { "CSV", "JSON", "XML" };
    char made[TM_TIME_BYTES], changed[TM_TIME_BYTES];
    int64_t counts[BULK_NOT_PROCESSED + 1] = { 0 }, rows = 0, failed = 0, took_ms = 0;
    for (size_t i = 0; i < job->runs_count; i++) {
        enum bulk_state state = bulk_run_state(job->runs[i], &c->r->now);
        counts[state]++;
        rows += state == BULK_DONE ? job->runs[i]->rows : 0;
        failed += job->runs[i]->failed;
        took_ms += async_took_ms(job->runs[i], &c->r->now);
    }
    return json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:f,s:I,s:I,s:i,s:i}",
        "id", job->id, "operation", job->all ? "queryAll" : bulk_op_word(job->op), "object",
        job->object, "createdById", tm_org_user_id(c->b->org), "createdDate",
        async_time(c, made, job->made_ms), "systemModstamp",
        async_time(c, changed, job->changed_ms), "state", states[job->state], "concurrencyMode",
        "Parallel", "contentType", formats[job->form.format], "numberBatchesQueued",
        (json_int_t)counts[BULK_QUEUED], "numberBatchesInProgress",
        (json_int_t)counts[BULK_RUNNING], "numberBatchesCompleted", (json_int_t)counts[BULK_DONE],
        "numberBatchesFailed", (json_int_t)counts[BULK_FAILED], "numberBatchesTotal",
        (json_int_t)job->runs_count, "numberRecordsProcessed", (json_int_t)rows, "numberRetries", 0,
        "apiVersion", strtod(job->version, NULL), "numberRecordsFailed", (json_int_t)failed,
        "totalProcessingTime", (json_int_t)took_ms, "apiActiveProcessingTime", 0,
        "apexProcessingTime", 0);
}

/* ---- a new job ---- */

static bool async_words(struct async_call *c, struct bulk_words *out)
{
    struct tm_err err = { 0 };
    const char *body = c->r->body != NULL ? c->r->body : "";
    enum tm_code rc = c->json ? bulk_words_json(out, body, c->r->body_bytes, &err)
                              : bulk_words_xml(out, body, c->r->body_bytes, &err);
    if (rc != TM_OK)
        async_refuse(c, 400, c->json ? "ClientInputError" : "InvalidXML", err.msg);
    return rc == TM_OK;
}

static const char *async_ingest_options(struct bulk_job *job, const struct bulk_words *w,
                                        const struct tm_describe *d, char message[200])
{
    const char *key = bulk_words_get(w, "externalIdFieldName");
    const struct tm_field *field = key != NULL ? tm_describe_field(d, key) : NULL;
    if (job->op != BULK_QUERY && job->form.format == BULK_XML) {
        snprintf(message, 200, "records are taken as CSV or JSON, not as XML");
        return "FeatureNotEnabled";
    }
    if ((job->op == BULK_UPSERT) != (field != NULL)) {
        snprintf(message, 200, "upsert takes an externalIdFieldName of %s, other operations none",
                 d->object);
        return "InvalidJob";
    }
    snprintf(job->key, sizeof job->key, "%s", field != NULL ? field->name : "");
    return NULL;
}

/* NULL = fine, else the error's code; its message in `message`. */
static const char *async_options(struct async_call *c, struct bulk_job *job,
                                 const struct bulk_words *w, char message[200])
{
    const char *operation = bulk_words_get(w, "operation"), *object = bulk_words_get(w, "object");
    const char *type = bulk_words_get(w, "contentType");
    const char *chunking = tm_mock_header(c->r, "Sforce-Enable-PKChunking");
    const struct tm_describe *d = object != NULL ? tm_org_describe(c->b->org, object) : NULL;
    struct tm_err err = { 0 };
    if (operation != NULL && strcasecmp(operation, "hardDelete") == 0) {
        snprintf(message, 200, "hardDelete needs a permission that nobody has in this org");
        return "FeatureNotEnabled";
    }
    job->op = operation != NULL ? bulk_op_of(operation) : BULK_QUERY;
    job->all = operation != NULL && strcasecmp(operation, "queryAll") == 0;
    if (operation == NULL ||
        (job->op == BULK_QUERY && !job->all && strcasecmp(operation, "query") != 0)) {
        snprintf(message, 200,
                 "operation must be query, queryAll, insert, update, upsert or delete");
        return "InvalidJob";
    }
    if (d == NULL) {
        snprintf(message, 200, "Entity '%.80s' is not supported by the Bulk API.",
                 object != NULL ? object : "");
        return "InvalidEntity";
    }
    job->form.format = type == NULL || strcasecmp(type, "XML") == 0 ? BULK_XML
                       : strcasecmp(type, "JSON") == 0              ? BULK_JSON
                                                                    : BULK_CSV;
    if (job->form.format == BULK_CSV && strcasecmp(type, "CSV") != 0) {
        snprintf(message, 200, "contentType must be CSV, XML or JSON, not %.40s", type);
        return "InvalidJob";
    }
    snprintf(job->object, sizeof job->object, "%s", d->object);
    snprintf(job->version, sizeof job->version, "%s", c->version);
    job->form.version = job->version;
    const char *wrong = async_ingest_options(job, w, d, message);
    if (wrong != NULL)
        return wrong;
    if (chunking != NULL &&
        bulk_words_chunking(chunking, &job->pk_rows, job->pk_from, job->pk_parent, &err) != TM_OK) {
        snprintf(message, 200, "%.199s", err.msg);
        return "InvalidJob";
    }
    return NULL;
}

static void async_job_create(struct async_call *c)
{
    struct bulk_words words;
    char message[200];
    if (!async_words(c, &words))
        return;
    struct bulk_job *job = bulk_job_make(c->b, 1, &c->r->now);
    if (job == NULL) {
        async_refuse(c, 503, "ExceededQuota", "too many jobs are open");
        return;
    }
    const char *wrong = async_options(c, job, &words, message);
    if (wrong != NULL) {
        tm_text_cut(message); /* words of the request in it may have been cut inside a letter */
        bulk_job_remove(c->b, job);
        async_refuse(c, 400, wrong, message);
        return;
    }
    async_answer(c, 201, "jobInfo", async_job_info(c, job));
}

/* Closed or Aborted. */
static void async_job_state(struct async_call *c, struct bulk_job *job)
{
    struct bulk_words words;
    if (!async_words(c, &words))
        return;
    const char *state = bulk_words_get(&words, "state");
    bool aborted = state != NULL && strcasecmp(state, "Aborted") == 0;
    if (!aborted && (state == NULL || strcasecmp(state, "Closed") != 0)) {
        async_refuse(c, 400, "InvalidJobState", "state must be Closed or Aborted");
        return;
    }
    if (job->state == BULK_JOB_ABORTED || (job->state == BULK_CLOSED && !aborted)) {
        async_refuse(c, 400, "InvalidJobState", "the job is not open any more");
        return;
    }
    job->state = aborted ? BULK_JOB_ABORTED : BULK_CLOSED;
    job->changed_ms = c->r->now.org_ms;
    for (size_t i = 0; aborted && i < job->runs_count; i++)
        bulk_run_abort(c->b, job->runs[i], &c->r->now);
    async_answer(c, 200, "jobInfo", async_job_info(c, job));
}

/* ---- batches ---- */

/* Where the word WHERE begins, outside of quotes; the end of the text when there is none. */
static size_t async_where(const char *soql)
{
    bool quoted = false;
    size_t i = 0;
    for (; soql[i] != '\0'; i++) {
        if (quoted && soql[i] == '\\' && soql[i + 1] != '\0')
            i++;
        else if (soql[i] == '\'')
            quoted = !quoted;
        else if (!quoted && i > 0 && strncasecmp(soql + i, "WHERE", 5) == 0 &&
                 strchr(" \t\r\n)", soql[i - 1]) != NULL && soql[i + 5] != '\0' &&
                 strchr(" \t\r\n(", soql[i + 5]) != NULL)
            return i;
    }
    return i;
}

/* The first id of the chunk behind the one that begins at `from`; "" = there is none. */
static enum tm_code async_boundary(struct async_call *c, const struct bulk_job *job,
                                   const char *from, char out[TM_ID_BYTES], struct tm_err *err)
{
    const char *relation = NULL;
    struct tm_buf sql;
    sqlite3_stmt *s = NULL;
    bool row = false;
    out[0] = '\0';
    enum tm_code rc =
        tm_org_relation(c->b->org, job->object, false, c->r->now.org_ms, &relation, err);
    if (rc != TM_OK)
        return rc;
    tm_buf_init(&sql, 1024);
    tm_buf_addz(&sql, "SELECT Id FROM ");
    tm_sql_ident(&sql, relation);
    tm_buf_addz(&sql, " WHERE Id>=? ORDER BY Id LIMIT 1 OFFSET ?");
    rc = tm_sql_prepare(&s, tm_org_db(c->b->org), tm_buf_text(&sql), err);
    tm_buf_free(&sql);
    if (rc == TM_OK) {
        sqlite3_bind_text(s, 1, from, -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 2, job->pk_rows);
        rc = tm_sql_step(s, &row, err);
    }
    if (rc == TM_OK && row)
        snprintf(out, TM_ID_BYTES, "%s", (const char *)sqlite3_column_text(s, 0));
    tm_sql_finalize(s);
    return rc;
}

/* The query restricted to ids [from, until); until "" = all behind. */
static enum tm_code async_chunk_soql(struct tm_buf *out, const char *soql, const char *from,
                                     const char *until, struct tm_err *err)
{
    size_t where = async_where(soql);
    tm_buf_init(out, TM_SOQL_BYTES_MAX + 256);
    tm_buf_add(out, soql, where);
    tm_buf_addf(out, " WHERE Id >= '%s'", from);
    if (*until != '\0')
        tm_buf_addf(out, " AND Id < '%s'", until);
    if (soql[where] != '\0') {
        tm_buf_addz(out, " AND (");
        tm_buf_addz(out, soql + where + strlen("WHERE"));
        tm_buf_addc(out, ')');
    }
    return tm_buf_check(out, "a chunk's query", err);
}

/* One chunk's batch. TM_E_ARG: no chunk can be cut out of this query. */
static enum tm_code async_chunk(struct async_call *c, struct bulk_job *job, const char *soql,
                                const char *from, const char *until, struct tm_err *err)
{
    struct tm_soql_error error = { 0 };
    struct tm_soql *query = NULL;
    struct bulk_run *run = NULL;
    struct tm_buf text;
    int64_t now_ms = c->r->now.org_ms;
    enum tm_code rc = async_chunk_soql(&text, soql, from, until, err);
    if (rc == TM_OK)
        rc = bulk_run_check(c->b, job, tm_buf_text(&text), now_ms, &query, &error, err);
    if (rc == TM_OK)
        rc = bulk_run_make(c->b, job, tm_buf_text(&text), query, &c->r->now, &run, err);
    if (rc == TM_OK)
        bulk_use(c->b, now_ms, 0, 1);
    tm_buf_free(&text);
    return rc;
}

/* The first ids of the chunks, from pk_from on, into ids[BULK_BATCHES_MAX]. TM_E_LIMIT: more than
 * the job, or the day, may still have. */
static enum tm_code async_cut(struct async_call *c, const struct bulk_job *job,
                              char (*ids)[TM_ID_BYTES], size_t *out_count, struct tm_err *err)
{
    const struct tm_describe *d = tm_org_describe(c->b->org, job->object);
    char next[TM_ID_BYTES], first[16];
    int64_t jobs, batches;
    size_t count = 0, most = BULK_BATCHES_MAX - job->runs_count - 1; /* the first is not run */
    tm_bulk_usage_day(c->b, c->r->now.org_ms, &jobs, &batches);
    snprintf(first, sizeof first, "%.3s000000000000", d->key_prefix);
    enum tm_code rc = tm_id18(next, job->pk_from[0] != '\0' ? job->pk_from : first, err);
    while (rc == TM_OK && next[0] != '\0') {
        if (count == most)
            return tm_fail(err, TM_E_LIMIT,
                           "the query makes more chunks than the %d batches a job may have: take a "
                           "larger chunkSize",
                           BULK_BATCHES_MAX);
        if (batches + 1 + (int64_t)count >= TM_BULK_BATCHES_PER_DAY)
            return tm_fail(err, TM_E_LIMIT, "ApiBatchItems Limit exceeded.");
        memcpy(ids[count++], next, sizeof next);
        rc = async_boundary(c, job, ids[count - 1], next, err);
    }
    *out_count = count;
    return rc;
}

/* One batch a chunk of the object's ids; the first batch itself is not run. Nothing is queued
 * unless all chunks may be. */
static enum tm_code async_chunks(struct async_call *c, struct bulk_job *job, const char *soql,
                                 struct bulk_run **out, struct tm_err *err)
{
    char(*ids)[TM_ID_BYTES] = calloc(BULK_BATCHES_MAX, sizeof *ids);
    size_t count = 0;
    enum tm_code rc = ids != NULL ? async_cut(c, job, ids, &count, err)
                                  : tm_fail(err, TM_E_NOMEM, "chunks of a query");
    if (rc == TM_OK)
        rc = bulk_run_make_ended(c->b, job, soql, BULK_NOT_PROCESSED, "", &c->r->now, out, err);
    for (size_t i = 0; i < count && rc == TM_OK; i++)
        rc = async_chunk(c, job, soql, ids[i], i + 1 < count ? ids[i + 1] : "", err);
    free(ids);
    if (rc != TM_E_ARG)
        return rc;
    (*out)->state = BULK_FAILED;
    snprintf((*out)->why, sizeof(*out)->why,
             "InvalidBatch : Failed to process query: MALFORMED_QUERY: PK chunking takes queries "
             "with no clause behind WHERE");
    return TM_OK;
}

/* A query that is wrong is accepted and fails. */
static enum tm_code async_batch_make(struct async_call *c, struct bulk_job *job, const char *soql,
                                     struct bulk_run **out, struct tm_err *err)
{
    struct tm_soql_error error = { 0 };
    struct tm_soql *query = NULL;
    char why[sizeof error.code + sizeof error.message + 64];
    struct tm_err cause = { 0 };
    enum tm_code rc = bulk_run_check(c->b, job, soql, c->r->now.org_ms, &query, &error, &cause);
    if (rc == TM_OK && job->pk_rows == 0)
        return bulk_run_make(c->b, job, soql, query, &c->r->now, out, err);
    tm_soql_close(query);
    if (rc == TM_OK)
        return async_chunks(c, job, soql, out, err);
    if (rc != TM_E_ARG)
        return tm_fail(err, rc == TM_E_AGAIN ? TM_E_IO : rc, "%s", cause.msg);
    snprintf(why, sizeof why, "InvalidBatch : Failed to process query: %s: %s", error.code,
             error.message);
    return bulk_run_make_ended(c->b, job, soql, BULK_FAILED, why, &c->r->now, out, err);
}

/* Data that is no data is accepted and fails, too. */
static enum tm_code async_batch_load(struct async_call *c, struct bulk_job *job,
                                     struct bulk_run **out, struct tm_err *err)
{
    json_t *data = NULL;
    size_t data_bytes = 0;
    char why[300];
    struct tm_err cause = { 0 };
    enum tm_code rc = bulk_ingest_read(c->b, job, c->r->body != NULL ? c->r->body : "",
                                       c->r->body_bytes, &c->r->now, &data, &data_bytes, &cause);
    if (rc == TM_OK)
        return bulk_run_make_ingest(c->b, job, data, data_bytes, &c->r->now, out, err);
    if (rc == TM_E_LIMIT)
        return tm_fail(err, rc, "%s", cause.msg);
    snprintf(why, sizeof why, "InvalidBatch : Failed to parse the data: %.200s", cause.msg);
    return bulk_run_make_ended(c->b, job, "", BULK_FAILED, why, &c->r->now, out, err);
}

static void async_batch_create(struct async_call *c, struct bulk_job *job)
{
    const char *soql = c->r->body != NULL ? c->r->body : "";
    struct bulk_run *run = NULL;
    struct tm_err err = { 0 };
    int64_t jobs, batches;
    tm_bulk_usage_day(c->b, c->r->now.org_ms, &jobs, &batches);
    c->json = job->form.format == BULK_JSON;
    if (job->state != BULK_OPEN) {
        async_refuse(c, 400, "InvalidJobState", "the job is not open");
        return;
    }
    if (job->op == BULK_QUERY &&
        (strlen(soql) != c->r->body_bytes || c->r->body_bytes > TM_SOQL_BYTES_MAX)) {
        async_refuse(c, 400, "ClientInputError", "the body must be the text of one query");
        return;
    }
    if (batches >= TM_BULK_BATCHES_PER_DAY || job->runs_count >= BULK_BATCHES_MAX) {
        async_refuse(c, 400, "ExceededQuota", "ApiBatchItems Limit exceeded.");
        return;
    }
    enum tm_code rc = job->op == BULK_QUERY ? async_batch_make(c, job, soql, &run, &err)
                                            : async_batch_load(c, job, &run, &err);
    if (rc == TM_E_LIMIT) {
        async_refuse(c, 400, "ExceededQuota", err.msg);
        return;
    }
    if (rc != TM_OK) {
        async_broken(c, &err);
        return;
    }
    bulk_use(c->b, c->r->now.org_ms, 0, 1);
    async_answer(c, 201, "batchInfo", async_batch_info(c, run));
}

static void async_batches(struct async_call *c, const struct bulk_job *job)
{
    json_t *list = json_array();
    for (size_t i = 0; i < job->runs_count; i++)
        json_array_append_new(list, async_batch_info(c, job->runs[i]));
    async_answer(c, 200, "batchInfoList", json_pack("{s:o}", "batchInfo", list));
}

/* ---- results ---- */

static const char *async_type(const struct bulk_job *job)
{
    return job->form.format == BULK_CSV    ? "text/csv"
           : job->form.format == BULK_JSON ? "application/json"
                                           : "application/xml";
}

static void async_result_list(struct async_call *c, const struct bulk_run *run)
{
    json_t *list = json_array();
    for (size_t i = 0; i < run->files; i++)
        json_array_append_new(list, json_string(run->file_id[i]));
    if (c->json)
        async_answer(c, 200, "", list);
    else
        async_answer(c, 200, "result-list", json_pack("{s:o}", "result", list));
}

/* What became of each record of an ingest batch, in the order of its data. */
static void async_told(struct async_call *c, const struct bulk_run *run, bool there)
{
    if (!there) {
        async_refuse(c, 400, "InvalidUrl", "there is no such resource");
        return;
    }
    tm_mock_answer(c->out, 200, async_type(run->job),
                   c->json ? "[" : "\"Id\",\"Success\",\"Created\",\"Error\"\n");
    tm_buf_add(&c->out->body, tm_buf_text(&run->told[0]), run->told[0].bytes);
    if (c->json)
        tm_buf_addc(&c->out->body, ']');
}

static void async_result(struct async_call *c, struct bulk_run *run)
{
    char id[TM_ID_BYTES];
    const char *result = c->parts_count == 6 ? c->parts[5] : NULL;
    size_t i = 0;
    if (bulk_run_state(run, &c->r->now) != BULK_DONE) {
        async_refuse(c, 400, "InvalidBatch", "the batch is not completed");
        return;
    }
    if (run->job->op != BULK_QUERY) {
        async_told(c, run, result == NULL);
        return;
    }
    if (result == NULL) {
        async_result_list(c, run);
        return;
    }
    while (i < run->files &&
           (tm_id18(id, result, NULL) != TM_OK || strcmp(run->file_id[i], id) != 0))
        i++;
    if (i == run->files) {
        async_refuse(c, 400, "InvalidBatch", "the batch has no such result");
        return;
    }
    tm_mock_answer(c->out, 200, async_type(run->job), "");
    bulk_page_answer(c->b, run, run->file_from[i], bulk_run_file_end(run, i), c->out);
}

static void async_batch(struct async_call *c, struct bulk_job *job)
{
    char id[TM_ID_BYTES];
    struct bulk_run *run = NULL;
    const char *what = c->parts_count > 4 ? c->parts[4] : "";
    for (size_t i = 0; i < job->runs_count && tm_id18(id, c->parts[3], NULL) == TM_OK; i++)
        if (strcmp(job->runs[i]->id, id) == 0)
            run = job->runs[i];
    if (run == NULL)
        async_refuse(c, 400, "InvalidBatch", "the job has no such batch");
    else if (c->parts_count == 4)
        async_answer(c, 200, "batchInfo", async_batch_info(c, run));
    else if (strcmp(what, "result") == 0)
        async_result(c, run);
    else if (strcmp(what, "request") == 0 && c->parts_count == 5 && job->op == BULK_QUERY)
        tm_mock_answer(c->out, 200, "text/plain;charset=UTF-8", run->soql);
    else
        async_refuse(c, 400, "InvalidUrl", "there is no such resource");
}

/* ---- routes ---- */

/* "/services/async/59.0/job/750…" -> version, parts. */
static bool async_split(struct async_call *c)
{
    char *save = NULL, *part, *end = NULL;
    if (strlen(c->r->path) >= sizeof c->path)
        return false;
    snprintf(c->path, sizeof c->path, "%s", c->r->path + strlen("/services/async"));
    part = strtok_r(c->path, "/", &save);
    long version = part != NULL ? strtol(part, &end, 10) : 0;
    if (version < TM_REST_VERSION_FIRST || version > TM_REST_VERSION_LAST || strcmp(end, ".0") != 0)
        return false;
    snprintf(c->version, sizeof c->version, "%ld.0", version);
    while ((part = strtok_r(NULL, "/", &save)) != NULL) {
        if (c->parts_count == ASYNC_PARTS_MAX)
            return false;
        c->parts[c->parts_count++] = part;
    }
    return c->parts_count > 0 && c->parts_count <= 6 && strcmp(c->parts[0], "job") == 0;
}

static void async_job(struct async_call *c, bool post)
{
    struct bulk_job *job = bulk_job_find(c->b, 1, c->parts[1], &c->r->now);
    if (job == NULL) {
        async_refuse(c, 400, "InvalidJob", "Unable to find that job");
        return;
    }
    if (c->parts_count == 2) {
        if (post)
            async_job_state(c, job);
        else
            async_answer(c, 200, "jobInfo", async_job_info(c, job));
        return;
    }
    if (strcmp(c->parts[2], "batch") != 0 || (post && c->parts_count > 3)) {
        async_refuse(c, 400, "InvalidUrl", "there is no such resource");
        return;
    }
    if (post) {
        async_batch_create(c, job);
        return;
    }
    c->json = job->form.format == BULK_JSON;
    if (c->parts_count == 3)
        async_batches(c, job);
    else
        async_batch(c, job);
}

static bool async_says_json(const struct tm_mock_request *r)
{
    const char *type = tm_mock_header(r, "Content-Type"), *accept = tm_mock_header(r, "Accept");
    if (type != NULL && *type != '\0')
        return strcasestr(type, "json") != NULL;
    return accept != NULL && strcasestr(accept, "json") != NULL;
}

void bulk_async_count(struct tm_bulk *b, const struct tm_mock_request *r,
                      const struct tm_mock_response *out)
{
    char client[TM_OAUTH_CLIENT_BYTES];
    struct tm_org_usage more = { .calls = 1,
                                 .bytes_in = (int64_t)r->body_bytes,
                                 .bytes_out = (int64_t)out->body.bytes };
    if (out->outcome == TM_MOCK_ANSWER)
        tm_org_usage_add(b->org, tm_oauth_client(b->oauth, r, client), "bulk", &more,
                         r->now.org_ms);
}

void tm_bulk1_request(struct tm_bulk *b, const struct tm_mock_request *r,
                      struct tm_mock_response *out)
{
    struct async_call c = { .b = b, .r = r, .out = out, .json = async_says_json(r) };
    int64_t calls, events, most = tm_org_settings(b->org)->api_calls_per_day;
    bool post = strcmp(r->method, "POST") == 0;
    tm_org_usage_day(b->org, r->now.org_ms, &calls, &events);
    if (tm_oauth_check(b->oauth, r) != TM_OAUTH_GOOD) {
        async_refuse(&c, 400, "InvalidSessionId", "Invalid session id");
        return;
    }
    if (most > 0 && calls >= most) {
        async_refuse(&c, 400, "ExceededQuota", "TotalRequests Limit exceeded.");
        return;
    }
    if (!async_split(&c))
        async_refuse(&c, 400, "InvalidUrl", "there is no such resource");
    else if (!post && strcmp(r->method, "GET") != 0)
        async_refuse(&c, 405, "InvalidOperation", "the method must be GET or POST");
    else if (c.parts_count > 1)
        async_job(&c, post);
    else if (post)
        async_job_create(&c);
    else
        async_refuse(&c, 405, "InvalidOperation", "jobs are not listed, they are made: POST");
    bulk_async_count(b, r, out);
}
