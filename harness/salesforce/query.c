#include "salesforce/query.h"
#include "base/text.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tm_sf_query {
    struct tm_sf_session *s;
    struct tm_sf_call *call; /* page under way, or NULL */
    char *path;              /* of the next page; NULL after the last */
    char options[64];        /* Sforce-Query-Options header, or "" */
    int64_t total, first_sent_ns;
    unsigned calls;
    char error[64];
};

enum tm_code tm_sf_query_open(struct tm_sf_query **out, struct tm_sf_session *s, const char *soql,
                              bool all, int page_rows, struct tm_err *err)
{
    struct tm_buf path;
    enum tm_code rc = TM_OK;
    if (page_rows != 0 && (page_rows < 200 || page_rows > 2000))
        return tm_fail(err, TM_E_ARG, "a page of a query holds 200 to 2000 rows, not %d",
                       page_rows);
    tm_buf_init(&path, TM_SOQL_GET_BYTES_MAX);
    tm_buf_addz(&path, all ? "/services/data/v*/queryAll?q=" : "/services/data/v*/query?q=");
    tm_buf_add_urlencoded(&path, soql);
    struct tm_sf_query *q = calloc(1, sizeof *q);
    if (path.failed == TM_E_LIMIT)
        rc = tm_fail(
            err, TM_E_LIMIT,
            "SOQL of %zu characters does not fit into a request of %d bytes; split it: %.60s…",
            strlen(soql), TM_SOQL_GET_BYTES_MAX, soql);
    else if (q == NULL || path.failed != TM_OK)
        rc = tm_fail(err, TM_E_NOMEM, "query");
    if (rc == TM_OK) {
        q->s = s;
        q->path = path.data; /* handed over */
        q->total = -1;
        if (page_rows != 0)
            snprintf(q->options, sizeof q->options, "Sforce-Query-Options: batchSize=%d",
                     page_rows);
        *out = q;
        return TM_OK;
    }
    tm_buf_free(&path);
    free(q);
    return rc;
}

void tm_sf_query_close(struct tm_sf_query *q)
{
    if (q == NULL)
        return;
    tm_sf_call_close(q->call);
    free(q->path);
    free(q);
}

int64_t tm_sf_query_total(const struct tm_sf_query *q)
{
    return q->total;
}
const char *tm_sf_query_error(const struct tm_sf_query *q)
{
    return q->error;
}

int64_t tm_sf_query_first_sent_ns(const struct tm_sf_query *q)
{
    return q->first_sent_ns != 0 || q->call == NULL ? q->first_sent_ns
                                                    : tm_sf_call_first_sent_ns(q->call);
}

unsigned tm_sf_query_calls(const struct tm_sf_query *q)
{
    return q->calls + (q->call != NULL ? tm_sf_call_attempts(q->call) : 0);
}

/* nextRecordsUrl is used as it came (facts 3); some servers answer it with scheme and host. */
static enum tm_code query_follow(struct tm_sf_query *q, const json_t *page, struct tm_err *err)
{
    const json_t *done = json_object_get(page, "done");
    const char *next = json_string_value(json_object_get(page, "nextRecordsUrl"));
    free(q->path);
    q->path = NULL;
    if (!json_is_boolean(done))
        return tm_fail(err, TM_E_PROTO, "query: the answer does not say whether it is \"done\"");
    if (json_is_true(done))
        return TM_OK;
    if (next != NULL && strncmp(next, "http", 4) == 0 && strstr(next, "/services/") != NULL)
        next = strstr(next, "/services/");
    if (next == NULL || *next != '/')
        return tm_fail(err, TM_E_PROTO, "query: not done, but the answer has no nextRecordsUrl");
    if (!tm_sf_fits_line(next))
        return tm_fail(err, TM_E_PROTO, "query: nextRecordsUrl has blanks or control characters");
    q->path = strdup(next);
    return q->path != NULL ? TM_OK : tm_fail(err, TM_E_NOMEM, "query");
}

static enum tm_code query_page(struct tm_sf_query *q, json_t *page, json_t **out_records,
                               bool *out_done, struct tm_err *err)
{
    json_t *records = json_object_get(page, "records");
    const json_t *total = json_object_get(page, "totalSize");
    if (!json_is_array(records))
        return tm_fail(err, TM_E_PROTO, "query: the answer has no list of \"records\"");
    if (json_is_integer(total))
        q->total = json_integer_value(total);
    enum tm_code rc = query_follow(q, page, err);
    if (rc != TM_OK)
        return rc;
    *out_records = json_incref(records);
    *out_done = q->path == NULL;
    return TM_OK;
}

enum tm_code tm_sf_query_next(struct tm_sf_query *q, const struct tm_now *now, json_t **out_records,
                              bool *out_done, struct tm_err *err)
{
    json_t *page = NULL;
    enum tm_code rc = TM_OK;
    if (q->path == NULL) { /* asked again after the last page: still the end */
        *out_done = true;
        *out_records = json_array();
        return *out_records != NULL ? TM_OK : tm_fail(err, TM_E_NOMEM, "query");
    }
    if (q->call == NULL) {
        rc = tm_sf_call_start(&q->call, q->s, "GET", q->path, NULL, err);
        if (rc != TM_OK)
            return rc;
        if (q->options[0] != '\0')
            tm_sf_call_set_header(q->call, q->options);
    }
    rc = tm_sf_call_poll(q->call, now, &page, err);
    if (rc == TM_E_AGAIN)
        return rc;
    if (q->first_sent_ns == 0)
        q->first_sent_ns = tm_sf_call_first_sent_ns(q->call);
    q->calls += tm_sf_call_attempts(q->call);
    snprintf(q->error, sizeof q->error, "%s", rc == TM_OK ? "" : tm_sf_call_error(q->call));
    tm_sf_call_close(q->call);
    q->call = NULL;
    if (rc == TM_OK)
        rc = query_page(q, page, out_records, out_done, err);
    json_decref(page);
    return rc;
}

/* ---- getDeleted ---- */

/* Salesforce cuts seconds off; so do we, so that both mean the same window. */
static int64_t query_minute(int64_t ms)
{
    return ms - ((ms % 60000) + 60000) % 60000;
}

static void query_add_time(struct tm_buf *out, int64_t ms)
{
    char text[TM_TIME_BYTES];
    tm_time_z(text, ms);
    memcpy(text + 19, "+00:00", 7); /* over ".000Z" */
    tm_buf_add_urlencoded(out, text);
}

enum tm_code tm_sf_deleted_start(struct tm_sf_call **out, struct tm_sf_session *s,
                                 const char *object, int64_t start_ms, int64_t end_ms,
                                 struct tm_err *err)
{
    struct tm_buf path;
    start_ms = query_minute(start_ms);
    end_ms = query_minute(end_ms);
    if (end_ms < start_ms)
        return tm_fail(err, TM_E_ARG, "getDeleted of %.60s: the window ends before it starts",
                       object);
    /* the server wants start < end; asking for more is harmless */
    if (end_ms == start_ms)
        start_ms -= 60000;
    tm_buf_init(&path, 1024);
    tm_buf_addf(&path, "/services/data/v*/sobjects/%s/deleted/?start=", object);
    query_add_time(&path, start_ms);
    tm_buf_addz(&path, "&end=");
    query_add_time(&path, end_ms);
    enum tm_code rc = tm_buf_check(&path, "getDeleted", err);
    if (rc == TM_OK)
        rc = tm_sf_call_start(out, s, "GET", tm_buf_text(&path), NULL, err);
    tm_buf_free(&path);
    return rc;
}

enum tm_code tm_sf_deleted_poll(struct tm_sf_call *c, const struct tm_now *now,
                                struct tm_sf_deleted *out, struct tm_err *err)
{
    json_t *json = NULL;
    enum tm_code rc = tm_sf_call_poll(c, now, &json, err);
    if (rc != TM_OK)
        return rc;
    json_t *records = json_object_get(json, "deletedRecords");
    const char *covered = json_string_value(json_object_get(json, "latestDateCovered"));
    const char *earliest = json_string_value(json_object_get(json, "earliestDateAvailable"));
    *out = (struct tm_sf_deleted){ .records = NULL };
    if (!json_is_array(records) || covered == NULL)
        rc = tm_fail(err, TM_E_PROTO,
                     "getDeleted: the answer lacks deletedRecords or latestDateCovered");
    else if (tm_time_parse(&out->latest_covered_ms, covered, err) != TM_OK ||
             (earliest != NULL &&
              tm_time_parse(&out->earliest_available_ms, earliest, err) != TM_OK))
        rc = tm_at(err, "getDeleted");
    else
        out->records = json_incref(records);
    json_decref(json);
    return rc;
}
