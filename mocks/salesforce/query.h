/* query: query and queryAll page by page. in: SOQL or a locator; out: pages of JSON. Rows are
 * copied and rendered a slice a call, so that no long result keeps the org from committing on time.
 * A locator's rows are those of the moment the query was made. Pure towards time. Facts:
 * salesforce-wire.md 3 (query) and Appendix C (the locator's path wins over a repeated q). */
#ifndef TM_MOCKS_SALESFORCE_QUERY_H
#define TM_MOCKS_SALESFORCE_QUERY_H
#include "mocks/http/message.h"
#include "mocks/salesforce/oauth.h"
#include "mocks/salesforce/org.h"

/* locators a user has at a time: the longest unused one goes */
#define TM_QUERY_OPEN_MAX 10
#define TM_QUERY_IDLE_NS (15 * 60 * TM_NS_PER_S) /* wall clock */
#define TM_QUERY_PAGE_PRESET 2000
#define TM_QUERY_PAGE_MIN 200
#define TM_QUERY_SLICE_ROWS 250            /* rendered in one call */
#define TM_QUERY_COPY_ROWS 500             /* copied in one call */
#define TM_QUERY_TOKEN (UINT64_C(1) << 62) /* tokens of pages under way begin here */

struct tm_query;
enum tm_code tm_query_open(struct tm_query **out, struct tm_org *org, struct tm_oauth *oauth,
                           struct tm_err *err);
/* A page holds so many rows, whatever was asked for: an org makes pages of wide rows shorter. 0 =
 * as asked. */
void tm_query_page_max(struct tm_query *q, size_t rows);
void tm_query_close(struct tm_query *q);
/* GET …/query?q=… (all = queryAll). version "59.0". Holds (until the next step) when the page needs
 * more slices. */
void tm_query_start(struct tm_query *q, const struct tm_mock_request *r, const char *version,
                    bool all, struct tm_mock_response *out);
/* GET …/query/LOCATOR: the next page. */
void tm_query_more(struct tm_query *q, const struct tm_mock_request *r, const char *version,
                   const char *locator, struct tm_mock_response *out);
void tm_query_resume(struct tm_query *q, uint64_t token, struct tm_mock_response *out);
void tm_query_finished(struct tm_query *q, uint64_t token); /* answered or its peer is gone */
size_t tm_query_locators(const struct tm_query *q);
#endif
