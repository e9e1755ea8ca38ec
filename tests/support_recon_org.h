/* support_recon_org: an org of one object, Opportunity, as far as a reconciler asks for it:
 * sign-in, describe, query, queryAll, getDeleted. What a test sets in `recon_org` is what it
 * answers; what it was asked is counted there. */
#ifndef TM_TESTS_SUPPORT_RECON_ORG_H
#define TM_TESTS_SUPPORT_RECON_ORG_H
#include "base/buf.h"
#include "base/text.h"
#include <stdbool.h>
#include <stddef.h>

#define RECON_ORG_ROWS_MAX 1200
struct recon_org {
    char ids[RECON_ORG_ROWS_MAX][TM_ID_BYTES];
    bool gone[RECON_ORG_ROWS_MAX],
        deleted[RECON_ORG_ROWS_MAX]; /* hard deleted or hidden; in the recycle bin */
    bool logged[RECON_ORG_ROWS_MAX]; /* getDeleted lists it */
    int rows, page, queries, describes, query_all, fail_queries, fail_status;
    int deleted_calls, deleted_status; /* getDeleted: how often; 0 = 200 */
    const char *covered, *earliest;
    size_t url_bytes_max;
    char last_query[32768], last_deleted[512];
};
extern struct recon_org recon_org;
/* The answer of struct stand. */
int recon_org_answer(void *self, const char *method, const char *url, const char *body,
                     struct tm_buf *reply);
#endif
