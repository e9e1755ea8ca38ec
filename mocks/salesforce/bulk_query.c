/* bulk_query: Bulk API 2.0, /services/data/vNN.0/jobs/query. A locator is the base64 of the row a
 * page begins at, as long as its job is there: "MTAwMDA" = 10000. */
#include "mocks/salesforce/bulk_impl.h"
#include "mocks/salesforce/rest.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUERY_LIST_MAX 1000   /* jobs in one list; Bulk API guide, Get Information About All */
#define QUERY_LINKS_MAX 5     /* URIs of one resultPages answer */
#define QUERY_LINK_ROWS 50000 /* rows behind each of them */
#define QUERY_LOCATOR_BYTES 24

static void query_not_found(struct tm_mock_response *out)
{
    tm_rest_error(out, 404, "NOT_FOUND", "The requested resource does not exist");
}

/* ---- locators ---- */

static const char query_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void query_locator(char out[QUERY_LOCATOR_BYTES], int64_t row)
{
    char text[21];
    size_t n = 0, bytes = (size_t)snprintf(text, sizeof text, "%" PRId64, row);
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < bytes; i++) {
        bits = (bits << 8 | (unsigned char)text[i]) & 0xffff;
        for (have += 8; have >= 6; have -= 6)
            out[n++] = query_digits[bits >> (have - 6) & 63];
    }
    if (have > 0)
        out[n++] = query_digits[bits << (6 - have) & 63];
    out[n] = '\0';
}

/* The row, or -1 when it is no locator of ours. */
static int64_t query_row(const char *locator)
{
    char text[21], again[QUERY_LOCATOR_BYTES], *end = NULL;
    size_t n = 0;
    unsigned bits = 0, have = 0;
    if (*locator == '\0' || strlen(locator) >= QUERY_LOCATOR_BYTES)
        return -1;
    for (const char *p = locator; *p != '\0'; p++) {
        const char *digit = strchr(query_digits, *p);
        if (digit == NULL)
            return -1;
        bits = (bits << 6 | (unsigned)(digit - query_digits)) & 0xffff;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        if (n == sizeof text - 1)
            return -1;
        text[n++] = (char)(bits >> have & 0xff);
    }
    text[n] = '\0';
    int64_t row = text[0] >= '1' && text[0] <= '9' ? strtoll(text, &end, 10) : -1;
    if (row < 0 || *end != '\0')
        return -1;
    query_locator(again, row);
    return strcmp(again, locator) == 0 ? row : -1;
}

/* ---- what is told of a job ---- */

static const struct query_delimiter {
    const char *word;
    char is;
} query_delimiters[] = { { "COMMA", ',' }, { "BACKQUOTE", '`' }, { "CARET", '^' },
                         { "PIPE", '|' },  { "SEMICOLON", ';' }, { "TAB", '\t' } };
#define QUERY_DELIMITERS (sizeof query_delimiters / sizeof query_delimiters[0])

const char *bulk_delimiter_word(char delimiter)
{
    size_t i = 0;
    while (i + 1 < QUERY_DELIMITERS && query_delimiters[i].is != delimiter)
        i++;
    return query_delimiters[i].word;
}

static const char *query_state(const struct bulk_run *run, const struct tm_now *now)
{
    switch (bulk_run_state(run, now)) {
    case BULK_QUEUED: return "UploadComplete";
    case BULK_RUNNING: return "InProgress";
    case BULK_DONE: return "JobComplete";
    case BULK_ABORTED: return "Aborted";
    default: return "Failed";
    }
}

/* short_form: as the answer to the creation has it. */
static json_t *query_info(const struct tm_bulk *b, const struct bulk_job *job,
                          const struct tm_now *now, bool short_form)
{
    const struct bulk_run *run = job->runs[0];
    char made[TM_TIME_BYTES], changed[TM_TIME_BYTES];
    json_t *info =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:f,s:s,s:s}", "id", job->id, "operation",
                  job->all ? "queryAll" : "query", "object", job->object, "createdById",
                  tm_org_user_id(b->org), "createdDate", tm_time_rest(made, job->made_ms),
                  "systemModstamp", tm_time_rest(changed, job->changed_ms), "state",
                  short_form ? "UploadComplete" : query_state(run, now), "concurrencyMode",
                  "Parallel", "contentType", "CSV", "apiVersion", strtod(job->version, NULL),
                  "lineEnding", job->form.crlf ? "CRLF" : "LF", "columnDelimiter",
                  bulk_delimiter_word(job->form.delimiter));
    if (short_form || info == NULL)
        return info;
    enum bulk_state state = bulk_run_state(run, now);
    bool ended = state != BULK_QUEUED && state != BULK_RUNNING;
    int64_t ended_ns = run->ended_ns > run->ready_ns ? run->ended_ns : run->ready_ns;
    json_object_set_new(info, "jobType", json_string("V2Query"));
    json_object_set_new(info, "retries", json_integer(0));
    json_object_set_new(info, "totalProcessingTime",
                        json_integer(ended ? (ended_ns - run->made_ns) / TM_NS_PER_MS : 0));
    json_object_set_new(info, "numberRecordsProcessed", json_integer(run->rows));
    json_object_set_new(info, "isPkChunkingSupported", json_true());
    if (run->state == BULK_FAILED)
        json_object_set_new(info, "errorMessage", json_string(run->why));
    return info;
}

/* ---- a new job ---- */

static bool query_word(const json_t *body, const char *name, const char *preset, const char **out)
{
    const json_t *value = json_object_get(body, name);
    *out = value != NULL ? json_string_value(value) : preset;
    return *out != NULL;
}

const char *bulk_form_of(struct bulk_form *out, const json_t *body)
{
    const char *delimiter, *ending;
    size_t i = 0;
    if (!query_word(body, "lineEnding", "LF", &ending) ||
        (strcasecmp(ending, "LF") != 0 && strcasecmp(ending, "CRLF") != 0))
        return "lineEnding must be LF or CRLF";
    if (!query_word(body, "columnDelimiter", "COMMA", &delimiter))
        return "columnDelimiter must be a text";
    while (i < QUERY_DELIMITERS && strcasecmp(query_delimiters[i].word, delimiter) != 0)
        i++;
    if (i == QUERY_DELIMITERS)
        return "columnDelimiter must be BACKQUOTE, CARET, COMMA, PIPE, SEMICOLON or TAB";
    *out = (struct bulk_form){ .format = BULK_CSV,
                               .delimiter = query_delimiters[i].is,
                               .crlf = strcasecmp(ending, "CRLF") == 0 };
    return NULL;
}

/* NULL = fine, else what is wrong. */
static const char *query_options(struct bulk_job *job, const json_t *body)
{
    const char *operation, *type;
    if (!query_word(body, "operation", NULL, &operation) ||
        (strcasecmp(operation, "query") != 0 && strcasecmp(operation, "queryAll") != 0))
        return "operation must be query or queryAll";
    if (!query_word(body, "contentType", "CSV", &type) || strcasecmp(type, "CSV") != 0)
        return "contentType must be CSV";
    job->all = strcasecmp(operation, "queryAll") == 0;
    return bulk_form_of(&job->form, body);
}

static const char *query_unknown(const json_t *body)
{
    static const char *const known[] = { "operation",  "query",           "contentType",
                                         "lineEnding", "columnDelimiter", "concurrencyMode" };
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)body, key, value)
    {
        size_t i = 0;
        while (i < sizeof known / sizeof known[0] && strcmp(known[i], key) != 0)
            i++;
        if (i == sizeof known / sizeof known[0])
            return key;
    }
    return NULL;
}

static void query_make(struct tm_bulk *b, const struct tm_mock_request *r, struct bulk_job *job,
                       const char *soql, struct tm_mock_response *out)
{
    struct tm_soql_error error = { 0 };
    struct tm_err err = { 0 };
    struct tm_soql *query = NULL;
    struct bulk_run *run = NULL;
    enum tm_code rc = bulk_run_check(b, job, soql, r->now.org_ms, &query, &error, &err);
    if (rc == TM_OK) {
        snprintf(job->object, sizeof job->object, "%s",
                 tm_org_describe(b->org, query->object)->object);
        rc = bulk_run_make(b, job, soql, query, &r->now, &run, &err);
    }
    if (rc == TM_OK) {
        bulk_use(b, r->now.org_ms, 1, 0);
        tm_rest_json(out, 200, query_info(b, job, &r->now, true));
        return;
    }
    bulk_job_remove(b, job);
    if (rc == TM_E_ARG)
        tm_rest_error(out, 400, error.code, error.message);
    else
        tm_rest_broken(out, rc, &err);
}

static void query_create(struct tm_bulk *b, const struct tm_mock_request *r, const char *version,
                         struct tm_mock_response *out)
{
    json_error_t wrong;
    json_t *body = r->body != NULL ? json_loadb(r->body, r->body_bytes, 0, &wrong) : NULL;
    const char *soql = json_string_value(json_object_get(body, "query")), *why = NULL;
    const char *unknown = query_unknown(body);
    char message[160];
    int64_t jobs, batches;
    struct bulk_job *job = NULL;
    tm_bulk_usage_day(b, r->now.org_ms, &jobs, &batches);
    if (!json_is_object(body)) {
        tm_rest_error(out, 400, "JSON_PARSER_ERROR", "the body must be a JSON object");
    } else if (unknown != NULL) {
        snprintf(message, sizeof message, "Unrecognized field \"%.80s\"", unknown);
        tm_rest_error(out, 400, "JSON_PARSER_ERROR", message);
    } else if (soql == NULL) {
        tm_rest_error(out, 400, "API_ERROR",
                      "query is missing: {\"operation\": \"query\", "
                      "\"query\": \"SELECT …\"}");
    } else if (jobs >= TM_BULK_JOBS_PER_DAY) {
        tm_rest_error(out, 400, "LIMIT_EXCEEDED", "DailyBulkV2QueryJobs Limit exceeded.");
    } else if ((job = bulk_job_make(b, 2, &r->now)) == NULL) {
        tm_rest_error(out, 503, "SERVER_UNAVAILABLE", "too many jobs are open");
    } else if ((why = query_options(job, body)) != NULL) {
        bulk_job_remove(b, job);
        tm_rest_error(out, 400, "API_ERROR", why);
    } else {
        snprintf(job->version, sizeof job->version, "%s", version);
        query_make(b, r, job, soql, out);
    }
    json_decref(body);
}

/* ---- the list ---- */

static void query_list(struct tm_bulk *b, const struct tm_mock_request *r, const char *version,
                       struct tm_mock_response *out)
{
    const char *locator = tm_mock_query(r, "queryLocator"), *type = tm_mock_query(r, "jobType");
    int64_t skip = locator != NULL ? query_row(locator) : 0, at = 0;
    json_t *records = json_array();
    char next[QUERY_LOCATOR_BYTES] = "";
    if (skip < 0 || (type != NULL && strcasecmp(type, "V2Query") != 0 &&
                     strcasecmp(type, "Classic") != 0 && strcasecmp(type, "V2Ingest") != 0)) {
        json_decref(records);
        tm_rest_error(out, 400, "API_ERROR", skip < 0 ? "invalid queryLocator" : "invalid jobType");
        return;
    }
    for (const struct bulk_job *job = b->jobs; job != NULL; job = job->next) {
        if (job->api != 2 || r->now.org_ms - job->made_ms > BULK_KEPT_MS ||
            (type != NULL && strcasecmp(type, "V2Query") != 0) || at++ < skip)
            continue;
        if (json_array_size(records) == QUERY_LIST_MAX) {
            query_locator(next, at - 1);
            break;
        }
        json_t *info = query_info(b, job, &r->now, false);
        json_object_set_new(info, "jobType", json_string("V2Query"));
        json_array_append_new(records, info);
    }
    json_t *list =
        json_pack("{s:b,s:o,s:n}", "done", next[0] == '\0', "records", records, "nextRecordsUrl");
    if (next[0] != '\0')
        json_object_set_new(
            list, "nextRecordsUrl",
            json_sprintf("/services/data/v%s/jobs/query?queryLocator=%s", version, next));
    tm_rest_json(out, 200, list);
}

/* ---- results ---- */

/* "1".."…" of a parameter; preset when absent; -1 when it is no such number. */
static int64_t query_count(const struct tm_mock_request *r, const char *name, int64_t preset)
{
    const char *text = tm_mock_query(r, name);
    char *end = NULL;
    long long n = text != NULL ? strtoll(text, &end, 10) : preset;
    return text != NULL && (end == text || *end != '\0' || n < 1) ? -1 : n;
}

/* True: there are results, of a version that may have them. Else the answer is written. */
static bool query_ready(const struct bulk_job *job, const struct tm_mock_request *r,
                        const char *version, struct tm_mock_response *out)
{
    if (strcmp(job->version, version) != 0) {
        tm_rest_error(out, 409, "API_ERROR",
                      "results are read with the API version the job was made with");
        return false;
    }
    switch (bulk_run_state(job->runs[0], &r->now)) {
    case BULK_DONE: return true;
    case BULK_QUEUED:
    case BULK_RUNNING: tm_mock_answer(out, 204, NULL, ""); return false;
    default:
        tm_rest_error(out, 400, "INVALIDJOBSTATE",
                      "the job has no results: it was aborted, or it failed");
        return false;
    }
}

/* Where the page that begins at `row` ends: so many rows, but never beyond its file. */
static int64_t query_page_end(const struct bulk_run *run, int64_t row, int64_t rows)
{
    int64_t end = rows < run->rows - row ? row + rows : run->rows;
    for (size_t i = 0; i < run->files; i++)
        if (run->file_from[i] > row && run->file_from[i] < end)
            end = run->file_from[i];
    return end;
}

static void query_results(struct tm_bulk *b, const struct bulk_job *job,
                          const struct tm_mock_request *r, const char *version,
                          struct tm_mock_response *out)
{
    const char *locator = tm_mock_query(r, "locator");
    struct bulk_run *run = job->runs[0];
    int64_t rows = query_count(r, "maxRecords", INT64_MAX), row = 0;
    char text[QUERY_LOCATOR_BYTES];
    if (!query_ready(job, r, version, out))
        return;
    if (locator != NULL && *locator != '\0')
        row = query_row(locator);
    if (rows < 0 || row < 0 || row > run->rows || (row == run->rows && row > 0)) {
        tm_rest_error(out, 400, rows < 0 ? "API_ERROR" : "INVALID_LOCATOR",
                      rows < 0 ? "maxRecords must be a number above 0"
                               : "the locator is not one of this job");
        return;
    }
    int64_t end = query_page_end(run, row, rows);
    tm_mock_answer(out, 200, "text/csv", "");
    snprintf(text, sizeof text, "%" PRId64, end - row);
    tm_mock_response_header(out, "Sforce-NumberOfRecords", text);
    query_locator(text, end);
    tm_mock_response_header(out, "Sforce-Locator", end < run->rows ? text : "null");
    bulk_page_answer(b, run, row, end, out);
}

/* resultPages: up to five places to read from at the same time. */
static void query_links(const struct bulk_job *job, const struct tm_mock_request *r,
                        const char *version, struct tm_mock_response *out)
{
    const char *locator = tm_mock_query(r, "locator");
    const struct bulk_run *run = job->runs[0];
    int64_t row = locator != NULL ? query_row(locator) : 0, end = 0;
    char text[QUERY_LOCATOR_BYTES];
    if (!query_ready(job, r, version, out))
        return;
    if (row < 0 || row > run->rows) {
        tm_rest_error(out, 400, "INVALID_LOCATOR", "the locator is not one of this job");
        return;
    }
    json_t *pages = json_array();
    for (int i = 0; i < QUERY_LINKS_MAX && (row < run->rows || row == 0); i++, row = end) {
        end = query_page_end(run, row, QUERY_LINK_ROWS);
        query_locator(text, row);
        json_array_append_new(
            pages,
            json_pack("{s:o}", "resultUrl",
                      json_sprintf("/services/data/v%s/jobs/query/%s/results?%s%s%s"
                                   "maxRecords=%" PRId64,
                                   version, job->id, row > 0 ? "locator=" : "", row > 0 ? text : "",
                                   row > 0 ? "&" : "", end > row ? end - row : 1)));
        if (end == run->rows)
            break;
    }
    query_locator(text, end);
    json_t *answer = json_pack("{s:o,s:b,s:n}", "resultPages", pages, "done", end >= run->rows,
                               "nextRecordsUrl");
    if (end < run->rows)
        json_object_set_new(answer, "nextRecordsUrl",
                            json_sprintf("/services/data/v%s/jobs/query/%s/resultPages?locator=%s",
                                         version, job->id, text));
    tm_rest_json(out, 200, answer);
}

/* ---- one job ---- */

static void query_patch(struct tm_bulk *b, struct bulk_job *job, const struct tm_mock_request *r,
                        struct tm_mock_response *out)
{
    json_t *body = r->body != NULL ? json_loadb(r->body, r->body_bytes, 0, NULL) : NULL;
    const char *state = json_string_value(json_object_get(body, "state"));
    enum bulk_state is = bulk_run_state(job->runs[0], &r->now);
    bool wanted = state != NULL && json_object_size(body) == 1 && strcasecmp(state, "Aborted") == 0;
    json_decref(body);
    if (!wanted) {
        tm_rest_error(out, 400, "API_ERROR", "the body must be {\"state\": \"Aborted\"}");
    } else if (is != BULK_QUEUED && is != BULK_RUNNING) {
        tm_rest_error(out, 400, "INVALIDJOBSTATE", "the job has ended, it cannot be aborted");
    } else {
        bulk_run_abort(b, job->runs[0], &r->now);
        tm_rest_json(out, 200, query_info(b, job, &r->now, false));
    }
}

static void query_delete(struct tm_bulk *b, struct bulk_job *job, const struct tm_mock_request *r,
                         struct tm_mock_response *out)
{
    enum bulk_state is = bulk_run_state(job->runs[0], &r->now);
    if (is == BULK_QUEUED || is == BULK_RUNNING) {
        tm_rest_error(out, 400, "INVALIDJOBSTATE",
                      "only a job that is complete, aborted or failed can be deleted");
        return;
    }
    bulk_job_remove(b, job);
    tm_mock_answer(out, 204, NULL, "");
}

static void query_method(const struct tm_mock_request *r, const char *allowed,
                         struct tm_mock_response *out)
{
    char message[160];
    snprintf(message, sizeof message, "HTTP Method '%.20s' not allowed. Allowed are %s", r->method,
             allowed);
    tm_rest_error(out, 405, "METHOD_NOT_ALLOWED", message);
}

static void query_job(struct tm_bulk *b, const struct tm_mock_request *r, struct bulk_job *job,
                      struct tm_mock_response *out)
{
    if (strcmp(r->method, "GET") == 0)
        tm_rest_json(out, 200, query_info(b, job, &r->now, false));
    else if (strcmp(r->method, "PATCH") == 0)
        query_patch(b, job, r, out);
    else if (strcmp(r->method, "DELETE") == 0)
        query_delete(b, job, r, out);
    else
        query_method(r, "GET,PATCH,DELETE", out);
}

void tm_bulk2_request(struct tm_bulk *b, const struct tm_mock_request *r, const char *version,
                      char *const *parts, size_t parts_count, struct tm_mock_response *out)
{
    bool get = strcmp(r->method, "GET") == 0;
    if (parts_count >= 2 && parts_count <= 4 && strcmp(parts[1], "ingest") == 0) {
        bulk_load_request(b, r, version, parts, parts_count, out);
        return;
    }
    if (parts_count < 2 || parts_count > 4 || strcmp(parts[1], "query") != 0) {
        query_not_found(out);
        return;
    }
    if (parts_count == 2) {
        if (strcmp(r->method, "POST") == 0)
            query_create(b, r, version, out);
        else if (get)
            query_list(b, r, version, out);
        else
            query_method(r, "GET,POST", out);
        return;
    }
    struct bulk_job *job = bulk_job_find(b, 2, parts[2], &r->now);
    if (job == NULL)
        query_not_found(out);
    else if (parts_count == 3)
        query_job(b, r, job, out);
    else if (strcmp(parts[3], "results") == 0 && get)
        query_results(b, job, r, version, out);
    else if (strcmp(parts[3], "resultPages") == 0 && get)
        query_links(job, r, version, out);
    else if (strcmp(parts[3], "results") == 0 || strcmp(parts[3], "resultPages") == 0)
        query_method(r, "GET", out);
    else
        query_not_found(out);
}
