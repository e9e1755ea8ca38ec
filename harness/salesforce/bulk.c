#include "salesforce/bulk.h"
#include "base/csv.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BULK_SOQL_BYTES_MAX (100u << 10)
#define BULK_ASK_NS_FIRST (50 * TM_NS_PER_MS)
#define BULK_ASK_NS_MAX (5 * TM_NS_PER_S)
#define BULK_TORN_MAX 3 /* times one page may come cut short */
#define BULK_COLUMNS_MAX 2000

enum bulk_phase { BULK_MAKE, BULK_ASK, BULK_PAGE, BULK_DELETE, BULK_OVER };
struct tm_sf_bulk {
    struct tm_sf_session *s;
    const struct tm_describe *describe;
    char *request; /* JSON of the creation */
    int page_rows;
    enum bulk_phase step;
    struct tm_sf_bulk_place place;
    struct tm_sf_call *call;
    struct tm_http_reply reply; /* of a page */
    int64_t ask_ns, ask_delay_ns, made_ns, first_sent_ns;
    unsigned calls, torn;
    uint64_t pages;
    bool lost, waits; /* the last step had nothing to hand out */
    char error[64];
};

static char *bulk_request(const char *soql, bool all)
{
    json_t *json =
        json_pack("{s:s,s:s,s:s,s:s,s:s}", "operation", all ? "queryAll" : "query", "query", soql,
                  "contentType", "CSV", "columnDelimiter", "COMMA", "lineEnding", "LF");
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

enum tm_code tm_sf_bulk_open(struct tm_sf_bulk **out, struct tm_sf_session *s, const char *soql,
                             bool all, int page_rows, const struct tm_describe *describe,
                             const struct tm_sf_bulk_place *from, struct tm_err *err)
{
    if (page_rows < 1 || page_rows > TM_SF_BULK_PAGE_ROWS_MAX)
        return tm_fail(err, TM_E_ARG, "a page of a Bulk job holds 1 to %d rows, not %d",
                       TM_SF_BULK_PAGE_ROWS_MAX, page_rows);
    if (strlen(soql) > BULK_SOQL_BYTES_MAX)
        return tm_fail(err, TM_E_LIMIT, "SOQL of %zu characters is too long: %.60s…", strlen(soql),
                       soql);
    struct tm_sf_bulk *b = calloc(1, sizeof *b);
    if (b == NULL || (b->request = bulk_request(soql, all)) == NULL) {
        free(b);
        return tm_fail(err, TM_E_NOMEM, "a Bulk read");
    }
    b->s = s;
    b->describe = describe;
    b->page_rows = page_rows;
    b->ask_delay_ns = BULK_ASK_NS_FIRST;
    tm_http_reply_init(&b->reply);
    if (from != NULL && from->job[0] != '\0') {
        b->place = *from;
        b->step = BULK_ASK;
    }
    *out = b;
    return TM_OK;
}

void tm_sf_bulk_close(struct tm_sf_bulk *b)
{
    if (b == NULL)
        return;
    tm_sf_call_close(b->call);
    tm_http_reply_free(&b->reply);
    free(b->request);
    free(b);
}

const struct tm_sf_bulk_place *tm_sf_bulk_place(const struct tm_sf_bulk *b)
{
    return &b->place;
}
int64_t tm_sf_bulk_next_at(const struct tm_sf_bulk *b)
{
    return b->waits && b->call == NULL ? b->ask_ns : TM_NEVER;
}
int64_t tm_sf_bulk_first_sent_ns(const struct tm_sf_bulk *b)
{
    return b->first_sent_ns;
}
const char *tm_sf_bulk_error(const struct tm_sf_bulk *b)
{
    return b->error;
}
bool tm_sf_bulk_lost(const struct tm_sf_bulk *b)
{
    return b->lost;
}
unsigned tm_sf_bulk_calls(const struct tm_sf_bulk *b)
{
    return b->calls + (b->call != NULL ? tm_sf_call_attempts(b->call) : 0);
}

/* ---- rows ---- */

/* As the REST API would have told it. TM_E_PROTO: no value of that type. */
static enum tm_code bulk_value(json_t **out, const struct tm_field *field,
                               const struct tm_csv_field *csv, struct tm_err *err)
{
    enum tm_field_kind kind = field != NULL ? field->kind : TM_FIELD_TEXT;
    char *end = NULL;
    *out = NULL;
    if (csv->bytes == 0)
        *out = json_null();
    else if (kind == TM_FIELD_BOOLEAN && strcmp(csv->text, "true") == 0)
        *out = json_true();
    else if (kind == TM_FIELD_BOOLEAN && strcmp(csv->text, "false") == 0)
        *out = json_false();
    else if (kind == TM_FIELD_INT)
        *out = json_integer(strtoll(csv->text, &end, 10));
    else if (kind == TM_FIELD_NUMBER)
        *out = json_real(strtod(csv->text, &end));
    else if (kind != TM_FIELD_BOOLEAN)
        *out = json_stringn(csv->text, csv->bytes);
    if (*out == NULL || (end != NULL && *end != '\0')) {
        json_decref(*out);
        return tm_fail(err, TM_E_PROTO, "Bulk result: %s is no %s: \"%.40s\"",
                       field != NULL ? field->name : "a value",
                       field != NULL ? field->type : "text", csv->text);
    }
    return TM_OK;
}

struct bulk_columns {
    const char *names[BULK_COLUMNS_MAX]; /* point into the page's body */
    const struct tm_field *fields[BULK_COLUMNS_MAX];
    struct tm_csv_field row[BULK_COLUMNS_MAX];
    size_t count;
};

static enum tm_code bulk_header(struct tm_sf_bulk *b, struct bulk_columns *c, struct tm_csv *csv,
                                struct tm_err *err)
{
    enum tm_code rc = tm_csv_record(csv, c->row, BULK_COLUMNS_MAX, &c->count, err);
    if (rc != TM_OK)
        return rc;
    if (c->count == 0)
        return tm_fail(err, TM_E_PROTO, "Bulk result: there is no header");
    for (size_t i = 0; i < c->count; i++) {
        c->names[i] = c->row[i].text;
        c->fields[i] = tm_describe_field(b->describe, c->names[i]);
    }
    return TM_OK;
}

static enum tm_code bulk_row(const struct bulk_columns *c, size_t count, json_t *rows,
                             struct tm_err *err)
{
    json_t *row = json_object(), *value;
    enum tm_code rc = TM_OK;
    if (count != c->count)
        rc = tm_fail(err, TM_E_PROTO, "Bulk result: a row of %zu values below %zu columns", count,
                     c->count);
    for (size_t i = 0; i < c->count && rc == TM_OK; i++) {
        rc = bulk_value(&value, c->fields[i], &c->row[i], err);
        if (rc == TM_OK &&
            json_object_set_new(row, c->fields[i] != NULL ? c->fields[i]->name : c->names[i],
                                value) != 0)
            rc = tm_fail(err, TM_E_PROTO, "Bulk result: a column without a usable name");
    }
    if (rc == TM_OK && json_array_append(rows, row) != 0)
        rc = tm_fail(err, TM_E_NOMEM, "rows of a Bulk result");
    json_decref(row);
    return rc;
}

static enum tm_code bulk_rows(struct tm_sf_bulk *b, json_t **out, struct tm_err *err)
{
    struct bulk_columns *c = malloc(sizeof *c);
    json_t *rows = json_array();
    struct tm_csv csv;
    size_t count = 1;
    if (c == NULL || rows == NULL || b->reply.body.data == NULL) {
        bool empty = c != NULL && rows != NULL;
        free(c);
        json_decref(rows);
        return empty ? tm_fail(err, TM_E_PROTO, "Bulk result: there is no header")
                     : tm_fail(err, TM_E_NOMEM, "rows of a Bulk result");
    }
    tm_csv_init(&csv, b->reply.body.data, b->reply.body.bytes, ',');
    enum tm_code rc = bulk_header(b, c, &csv, err);
    while (rc == TM_OK && count > 0) {
        rc = tm_csv_record(&csv, c->row, BULK_COLUMNS_MAX, &count, err);
        if (rc == TM_OK && count > 0)
            rc = bulk_row(c, count, rows, err);
    }
    free(c);
    if (rc == TM_OK)
        *out = rows;
    else
        json_decref(rows);
    return rc;
}

/* ---- the steps ---- */

static enum tm_code bulk_call(struct tm_sf_bulk *b, const char *method, const char *path,
                              const char *body, struct tm_err *err)
{
    return b->call != NULL ? TM_OK : tm_sf_call_start(&b->call, b->s, method, path, body, err);
}

/* One exchange; when it is over its costs and its error are noted. */
static enum tm_code bulk_poll(struct tm_sf_bulk *b, const struct tm_now *now, json_t **out,
                              struct tm_err *err)
{
    enum tm_code rc = tm_sf_call_poll(b->call, now, out, err);
    if (rc == TM_E_AGAIN)
        return rc;
    b->calls += tm_sf_call_attempts(b->call);
    if (b->step == BULK_MAKE)
        b->first_sent_ns = tm_sf_call_first_sent_ns(b->call);
    snprintf(b->error, sizeof b->error, "%s", rc == TM_OK ? "" : tm_sf_call_error(b->call));
    b->lost = rc != TM_OK && b->step != BULK_MAKE &&
              (tm_sf_call_status(b->call) == 404 || strcmp(b->error, "INVALID_LOCATOR") == 0);
    tm_sf_call_close(b->call);
    b->call = NULL;
    return rc;
}

static enum tm_code bulk_make(struct tm_sf_bulk *b, const struct tm_now *now, struct tm_err *err)
{
    json_t *answer = NULL;
    enum tm_code rc = bulk_call(b, "POST", "/services/data/v*/jobs/query", b->request, err);
    if (rc == TM_OK)
        rc = bulk_poll(b, now, &answer, err);
    if (rc == TM_OK) {
        const char *id = json_string_value(json_object_get(answer, "id"));
        if (id == NULL || tm_id18(b->place.job, id, NULL) != TM_OK)
            rc = tm_fail(err, TM_E_PROTO, "Bulk job: the answer has no usable id");
        b->step = rc == TM_OK ? BULK_ASK : b->step;
    }
    json_decref(answer);
    return rc;
}

static enum tm_code bulk_wait(struct tm_sf_bulk *b, const struct tm_now *now, struct tm_err *err)
{
    if (b->made_ns == 0)
        b->made_ns = now->wall_ns;
    if (now->wall_ns - b->made_ns > TM_SF_BULK_WAIT_NS_MAX)
        return tm_fail_retry(err, TM_E_IO, "Bulk job %s has not ended in %lld s", b->place.job,
                             (long long)(TM_SF_BULK_WAIT_NS_MAX / TM_NS_PER_S));
    b->ask_ns = now->wall_ns + b->ask_delay_ns;
    b->ask_delay_ns *= 2;
    if (b->ask_delay_ns > BULK_ASK_NS_MAX)
        b->ask_delay_ns = BULK_ASK_NS_MAX;
    b->step = BULK_ASK;
    return TM_E_AGAIN;
}

static enum tm_code bulk_state(struct tm_sf_bulk *b, const struct tm_now *now, const json_t *answer,
                               struct tm_err *err)
{
    const char *state = json_string_value(json_object_get(answer, "state"));
    const char *why = json_string_value(json_object_get(answer, "errorMessage"));
    if (state == NULL)
        return tm_fail(err, TM_E_PROTO, "Bulk job %s: the answer has no state", b->place.job);
    if (strcmp(state, "Failed") == 0 || strcmp(state, "Aborted") == 0) {
        if (why != NULL && strncmp(why, "INVALID_FIELD", 13) == 0)
            snprintf(b->error, sizeof b->error, "INVALID_FIELD");
        return tm_fail_retry(err, TM_E_PROTO, "Bulk job %s: %s: %.90s", b->place.job, state,
                             why != NULL ? why : "no reason is told");
    }
    if (strcmp(state, "JobComplete") != 0)
        return bulk_wait(b, now, err);
    b->step = BULK_PAGE;
    return TM_OK;
}

static enum tm_code bulk_ask(struct tm_sf_bulk *b, const struct tm_now *now, struct tm_err *err)
{
    char path[120];
    json_t *answer = NULL;
    if (b->call == NULL && now->wall_ns < b->ask_ns)
        return TM_E_AGAIN;
    snprintf(path, sizeof path, "/services/data/v*/jobs/query/%s", b->place.job);
    enum tm_code rc = bulk_call(b, "GET", path, NULL, err);
    if (rc == TM_OK)
        rc = bulk_poll(b, now, &answer, err);
    if (rc == TM_OK)
        rc = bulk_state(b, now, answer, err);
    json_decref(answer);
    return rc;
}

/* A page cut short is asked for again; one that is so each time is a failure that may pass. */
static enum tm_code bulk_torn(struct tm_sf_bulk *b, const struct tm_err *why, struct tm_err *err)
{
    if (why->code == TM_E_NOMEM)
        return tm_fail(err, TM_E_NOMEM, "%s", why->msg);
    return ++b->torn < BULK_TORN_MAX
               ? TM_E_AGAIN
               : tm_fail_retry(err, TM_E_PROTO, "Bulk job %s: a page came wrong %u times: %.90s",
                               b->place.job, b->torn, why->msg);
}

static enum tm_code bulk_take(struct tm_sf_bulk *b, json_t **out_records, struct tm_err *err)
{
    char locator[TM_SF_LOCATOR_BYTES + 1], number[32];
    struct tm_err why = { .code = TM_OK };
    json_t *rows = NULL;
    if (!tm_http_reply_header(&b->reply, "Sforce-Locator", locator, sizeof locator) ||
        strlen(locator) >= TM_SF_LOCATOR_BYTES || *locator == '\0' ||
        strpbrk(locator, "&?#/% \t") != NULL)
        return tm_fail(err, TM_E_PROTO, "Bulk job %s: a page without a usable Sforce-Locator",
                       b->place.job);
    enum tm_code rc = bulk_rows(b, &rows, &why);
    if (rc == TM_OK &&
        tm_http_reply_header(&b->reply, "Sforce-NumberOfRecords", number, sizeof number) &&
        (size_t)strtoull(number, NULL, 10) != json_array_size(rows))
        rc = tm_fail(&why, TM_E_PROTO, "%zu rows, not %s", json_array_size(rows), number);
    if (rc != TM_OK) {
        json_decref(rows);
        return bulk_torn(b, &why, err);
    }
    bool last = strcmp(locator, "null") == 0;
    if (!last && (strcmp(locator, b->place.locator) == 0 || ++b->pages > TM_SF_BULK_PAGES_MAX)) {
        json_decref(rows);
        return tm_fail(err, TM_E_PROTO, "Bulk job %s: its pages do not come to an end",
                       b->place.job);
    }
    b->torn = 0;
    b->step = last ? BULK_DELETE : BULK_PAGE;
    if (!last)
        snprintf(b->place.locator, sizeof b->place.locator, "%.63s", locator);
    *out_records = rows;
    return TM_OK;
}

static enum tm_code bulk_page(struct tm_sf_bulk *b, const struct tm_now *now, json_t **out_records,
                              struct tm_err *err)
{
    char path[240];
    json_t *nothing = NULL;
    bool first = b->place.locator[0] == '\0';
    snprintf(path, sizeof path, "/services/data/v*/jobs/query/%s/results?maxRecords=%d%s%s",
             b->place.job, b->page_rows, first ? "" : "&locator=", b->place.locator);
    bool fresh = b->call == NULL;
    enum tm_code rc = bulk_call(b, "GET", path, NULL, err);
    if (rc == TM_OK && fresh)
        tm_sf_call_set_raw(b->call, &b->reply);
    if (rc == TM_OK)
        rc = bulk_poll(b, now, &nothing, err);
    json_decref(nothing);
    if (rc != TM_OK)
        return rc;
    rc = b->reply.status == 204 ? bulk_wait(b, now, err) : bulk_take(b, out_records, err);
    tm_http_reply_free(&b->reply);
    tm_http_reply_init(&b->reply);
    return rc;
}

/* Good manners, tried once: what becomes of it changes nothing. */
static enum tm_code bulk_delete(struct tm_sf_bulk *b, const struct tm_now *now, struct tm_err *err)
{
    char path[120];
    json_t *nothing = NULL;
    struct tm_err why = { .code = TM_OK };
    snprintf(path, sizeof path, "/services/data/v*/jobs/query/%s", b->place.job);
    enum tm_code rc = bulk_call(b, "DELETE", path, NULL, err);
    if (rc != TM_OK)
        return rc;
    rc = tm_sf_call_poll(b->call, now, &nothing, &why);
    json_decref(nothing);
    if (rc == TM_E_AGAIN && tm_sf_call_attempts(b->call) < 2 && tm_sf_call_status(b->call) == 0)
        return rc;
    b->calls += tm_sf_call_attempts(b->call);
    tm_sf_call_close(b->call);
    b->call = NULL;
    b->step = BULK_OVER;
    return TM_OK;
}

static enum tm_code bulk_step(struct tm_sf_bulk *b, const struct tm_now *now, json_t **out_records,
                              bool *out_done, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    switch (b->step) {
    case BULK_MAKE: rc = bulk_make(b, now, err); return rc == TM_OK ? TM_E_AGAIN : rc;
    case BULK_ASK: rc = bulk_ask(b, now, err); return rc == TM_OK ? TM_E_AGAIN : rc;
    case BULK_PAGE: return bulk_page(b, now, out_records, err);
    case BULK_DELETE: rc = bulk_delete(b, now, err); break;
    case BULK_OVER: break;
    }
    if (rc != TM_OK)
        return rc;
    *out_done = true;
    *out_records = json_array();
    return *out_records != NULL ? TM_OK : tm_fail(err, TM_E_NOMEM, "a Bulk read");
}

enum tm_code tm_sf_bulk_next(struct tm_sf_bulk *b, const struct tm_now *now, json_t **out_records,
                             bool *out_done, struct tm_err *err)
{
    *out_done = false;
    enum tm_code rc = bulk_step(b, now, out_records, out_done, err);
    b->waits = rc == TM_E_AGAIN;
    return rc;
}
