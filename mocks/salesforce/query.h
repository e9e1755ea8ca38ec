/* query: query and queryAll page by page. in: SOQL or a locator; out: pages as REST or SOAP
 * writes them. Rows are
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
/* How the pages of one API are written; outlives them. */
struct tm_soql_result;
struct tm_query_form {
    const char *type; /* Content-Type */
    /* locator "" = it is the last page */
    void (*head)(const struct tm_query_form *f, struct tm_buf *out, const char *version,
                 const char *locator, int64_t total);
    void (*rows)(const struct tm_query_form *f, struct tm_buf *out, const struct tm_soql_result *r,
                 size_t row, size_t rows, const char *version);
    const char *between; /* two rows */
    void (*tail)(const struct tm_query_form *f, struct tm_buf *out, int64_t total);
    void (*refuse)(const struct tm_query_form *f, struct tm_mock_response *out, int status,
                   const char *code, const char *message);
    const char *operation; /* the form's own */
    bool enterprise;       /* the form's own */
};
extern const struct tm_query_form tm_query_json; /* REST's */
struct tm_query_ask {
    const struct tm_query_form *form;
    const char *version; /* "59.0" */
    const char *text;    /* the query, or the locator of the next page; NULL = not given */
    bool all;            /* queryAll */
    size_t page_rows;    /* asked for; 0 = not said */
};
/* The first page. Holds (until the next step) when the page needs more slices. */
void tm_query_start(struct tm_query *q, const struct tm_now *now, const struct tm_query_ask *ask,
                    struct tm_mock_response *out);
/* The next page. */
void tm_query_more(struct tm_query *q, const struct tm_now *now, const struct tm_query_ask *ask,
                   struct tm_mock_response *out);
void tm_query_resume(struct tm_query *q, uint64_t token, struct tm_mock_response *out);
void tm_query_finished(struct tm_query *q, uint64_t token); /* answered or its peer is gone */
size_t tm_query_locators(const struct tm_query *q);
#endif
