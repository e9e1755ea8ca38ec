/* bulk: SOQL reads by a Bulk API 2.0 query job. in: SOQL, the object's describe; out: records as
 * JSON, as query.h gives them (null for an empty value, numbers and booleans by type, times as
 * text), one page a step. Never waits: the job is asked for its state with a growing back-off.
 *
 *   MAKE ─► ASK ⇄ (back-off) ─► PAGE ─► … ─► DELETE ─► OVER
 *                                ▲ a page cut short, or not there yet: again
 *
 * A read can be taken up where it stopped, by job id and locator: rows are those of the job. A page
 * is never handed out twice within one read. Rows come in no order. After the last page the job is
 * deleted, once; one that is not asked for any more is left to the org, which keeps it for seven
 * days. Facts: salesforce-wire.md 5.1. */
#ifndef TM_SALESFORCE_BULK_H
#define TM_SALESFORCE_BULK_H
#include "base/text.h"
#include "salesforce/session.h"

#define TM_SF_BULK_PAGE_ROWS_MAX 50000
#define TM_SF_BULK_PAGES_MAX 1000000
#define TM_SF_LOCATOR_BYTES 64
#define TM_SF_BULK_WAIT_NS_MAX (2 * 3600 * TM_NS_PER_S) /* for a job to end */

struct tm_sf_bulk_place {
    char job[TM_ID_BYTES];             /* "" = not made yet */
    char locator[TM_SF_LOCATOR_BYTES]; /* of the next page; "" = the first */
};
struct tm_sf_bulk;
/* all = queryAll. page_rows: maxRecords, 1 to TM_SF_BULK_PAGE_ROWS_MAX. describe is borrowed for
 * the read's life. from: a read to go on with; NULL = a new job. */
enum tm_code tm_sf_bulk_open(struct tm_sf_bulk **out, struct tm_sf_session *s, const char *soql,
                             bool all, int page_rows, const struct tm_describe *describe,
                             const struct tm_sf_bulk_place *from, struct tm_err *err);
/* TM_OK: *out_records is the next page's array (caller owns); *out_done comes with an empty one,
 * after the last page. TM_E_AGAIN: under way. */
enum tm_code tm_sf_bulk_next(struct tm_sf_bulk *b, const struct tm_now *now, json_t **out_records,
                             bool *out_done, struct tm_err *err);
/* Where a later read goes on, once the pages handed out so far are durable. */
const struct tm_sf_bulk_place *tm_sf_bulk_place(const struct tm_sf_bulk *b);
/* wall ns at which it wants to be asked again, after TM_E_AGAIN; TM_NEVER = when the exchange under
 * way has moved */
int64_t tm_sf_bulk_next_at(const struct tm_sf_bulk *b);
/* wall ns the creation first left; 0 when this read went on with a job */
int64_t tm_sf_bulk_first_sent_ns(const struct tm_sf_bulk *b);
/* errorCode of the failure, "" */
const char *tm_sf_bulk_error(const struct tm_sf_bulk *b);
/* The job, or the place in it, is not known to the org (any more): only a new one will do. */
bool tm_sf_bulk_lost(const struct tm_sf_bulk *b);
unsigned tm_sf_bulk_calls(const struct tm_sf_bulk *b);
void tm_sf_bulk_close(struct tm_sf_bulk *b); /* NULL-safe */
#endif
