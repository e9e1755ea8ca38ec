/* query: SOQL reads page by page. in: SOQL; out: records as JSON, one page a step. A read that
 * fails in the middle starts over only when its caller says so (a page is never handed out twice
 * within one read). Facts: salesforce-wire.md 3 (query, queryAll, nextRecordsUrl, getDeleted), 8
 * (limits). */
#ifndef TM_SALESFORCE_QUERY_H
#define TM_SALESFORCE_QUERY_H
#include "salesforce/session.h"

/* URI limit 16,384 bytes, headers and host leave this for the query */
#define TM_SOQL_GET_BYTES_MAX 14000
struct tm_sf_query;
/* all = queryAll (deleted rows too). page_rows 0 = server's default (2,000), else 200..2000 as
 * Sforce-Query-Options. */
enum tm_code tm_sf_query_open(struct tm_sf_query **out, struct tm_sf_session *s, const char *soql,
                              bool all, int page_rows, struct tm_err *err);
/* TM_OK: *out_records is the next page's array (caller owns), *out_done says it was the last.
 * TM_E_AGAIN: under way. */
enum tm_code tm_sf_query_next(struct tm_sf_query *q, const struct tm_now *now, json_t **out_records,
                              bool *out_done, struct tm_err *err);
/* totalSize, -1 before the first page */
int64_t tm_sf_query_total(const struct tm_sf_query *q);
/* wall ns the first request left; R9's "read began" */
int64_t tm_sf_query_first_sent_ns(const struct tm_sf_query *q);
/* errorCode of the failure, "" */
const char *tm_sf_query_error(const struct tm_sf_query *q);
/* HTTP exchanges it took, retries included */
unsigned tm_sf_query_calls(const struct tm_sf_query *q);
void tm_sf_query_close(struct tm_sf_query *q);

/* getDeleted for [start_ms, end_ms) in org time, seconds truncated. out: deletedRecords array,
 * latestDateCovered. */
struct tm_sf_deleted {
    json_t *records;
    int64_t latest_covered_ms, earliest_available_ms;
};
struct tm_sf_call;
enum tm_code tm_sf_deleted_start(struct tm_sf_call **out, struct tm_sf_session *s,
                                 const char *object, int64_t start_ms, int64_t end_ms,
                                 struct tm_err *err);
enum tm_code tm_sf_deleted_poll(struct tm_sf_call *c, const struct tm_now *now,
                                struct tm_sf_deleted *out, struct tm_err *err);
#endif
