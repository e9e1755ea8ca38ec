#include "mocks/salesforce/rest_impl.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define REST_UPDATED_DAYS 30 /* how far back getUpdated goes */

/* start and end of a replication call, cut to whole seconds; false: the error is written. */
static bool rest_window(struct rest_call *c, int days_max, int64_t *out_start_ms,
                        int64_t *out_end_ms)
{
    const char *start = tm_mock_query(c->request, "start"), *end = tm_mock_query(c->request, "end");
    const char *wrong = NULL;
    if (start == NULL || end == NULL)
        wrong = "start and end are required: ISO 8601 times, their '+' escaped as %2B";
    else if (tm_time_parse(out_start_ms, start, NULL) != TM_OK ||
             tm_time_parse(out_end_ms, end, NULL) != TM_OK)
        wrong = "start and end must be ISO 8601 times with a time zone, their '+' escaped as %2B";
    if (wrong != NULL) {
        tm_rest_error(c->out, 400, "MALFORMED_QUERY", wrong);
        return false;
    }
    *out_start_ms -= *out_start_ms % 1000;
    *out_end_ms -= *out_end_ms % 1000;
    if (*out_start_ms >= *out_end_ms)
        wrong = "startDate must be before endDate";
    else if (*out_start_ms < c->request->now.org_ms - days_max * REST_DAY_MS)
        wrong = "startDate is further back than the replication log reaches";
    if (wrong != NULL)
        tm_rest_error(c->out, 400, "INVALID_REPLICATION_DATE", wrong);
    return wrong == NULL;
}

struct rest_deleted {
    struct tm_buf *body;
    size_t count;
};

static void rest_deleted_row(void *data, const char *id, int64_t deleted_ms)
{
    struct rest_deleted *d = data;
    char when[TM_TIME_BYTES];
    tm_time_rest(when, deleted_ms - deleted_ms % 1000);
    tm_buf_addf(d->body, "%s{\"id\":\"%s\",\"deletedDate\":\"%s\"}", d->count++ > 0 ? "," : "", id,
                when);
}

void rest_deleted(struct rest_call *c, const char *object)
{
    int64_t start_ms, end_ms, now_ms = c->request->now.org_ms;
    int64_t seen_ms = now_ms - tm_org_settings(c->rest->org)->index_lag_ms;
    char covered[TM_TIME_BYTES], earliest[TM_TIME_BYTES];
    struct rest_deleted rows = { &c->out->body, 0 };
    struct tm_err err = { 0 };
    c->kind = "deleted";
    if (!rest_window(c, (int)(TM_ORG_RECYCLE_MS / REST_DAY_MS), &start_ms, &end_ms))
        return;
    tm_buf_addz(&c->out->body, "{\"deletedRecords\":[");
    enum tm_code rc = tm_org_deleted(c->rest->org, object, start_ms, end_ms, now_ms,
                                     rest_deleted_row, &rows, &err);
    if (rc != TM_OK || rows.count > TM_REST_DELETED_IDS_MAX) {
        tm_buf_reset(&c->out->body);
        if (rc != TM_OK)
            tm_rest_broken(c->out, rc, &err);
        else
            tm_rest_error(c->out, 400, "EXCEEDED_ID_LIMIT",
                          "more than 600000 records: ask for a shorter time");
        return;
    }
    if (end_ms > seen_ms)
        end_ms = seen_ms - seen_ms % 1000;
    tm_time_rest(covered, end_ms < start_ms ? start_ms : end_ms);
    tm_time_rest(earliest, tm_org_deletes_from_ms(c->rest->org, now_ms));
    tm_buf_addf(&c->out->body, "],\"earliestDateAvailable\":\"%s\",\"latestDateCovered\":\"%s\"}",
                earliest, covered);
    tm_mock_answer(c->out, 200, "application/json;charset=UTF-8", "");
}

void rest_updated(struct rest_call *c, const struct tm_describe *d)
{
    int64_t start_ms, end_ms,
        seen_ms = c->request->now.org_ms - tm_org_settings(c->rest->org)->index_lag_ms;
    char from[TM_TIME_BYTES], to[TM_TIME_BYTES], text[256];
    c->kind = "updated";
    if (!rest_window(c, REST_UPDATED_DAYS, &start_ms, &end_ms))
        return;
    snprintf(text, sizeof text,
             "SELECT Id FROM %.80s WHERE SystemModstamp >= %s AND SystemModstamp < %s", d->object,
             tm_time_z(from, start_ms), tm_time_z(to, end_ms));
    struct tm_soql_result *result = rest_soql(c, text);
    if (result == NULL)
        return;
    size_t rows = tm_soql_result_rows(result);
    if (rows > TM_REST_DELETED_IDS_MAX) {
        tm_soql_result_close(result);
        tm_rest_error(c->out, 400, "EXCEEDED_ID_LIMIT",
                      "more than 600000 records: ask for a shorter time");
        return;
    }
    tm_buf_addz(&c->out->body, "{\"ids\":[");
    for (size_t i = 0; i < rows; i++) {
        const struct tm_soql_plan *plan = tm_soql_result_plan(result);
        struct tm_soql_cell cells[2];
        assert(plan->sql_columns == 2); /* the hidden Id and the one asked for */
        tm_soql_result_row(result, i, cells);
        tm_buf_addf(&c->out->body, "%s\"%.*s\"", i > 0 ? "," : "", (int)cells[0].bytes,
                    cells[0].text);
    }
    tm_soql_result_close(result);
    if (end_ms > seen_ms)
        end_ms = seen_ms - seen_ms % 1000;
    tm_time_rest(to, end_ms < start_ms ? start_ms : end_ms);
    tm_buf_addf(&c->out->body, "],\"latestDateCovered\":\"%s\"}", to);
    tm_mock_answer(c->out, 200, "application/json;charset=UTF-8", "");
}
