/* fetch: the pages of one query of a poll, by REST or by a Bulk job as the preset says. in: SOQL;
 * out: records page by page. Never waits. Owner: whoever opened it; describe and session are
 * borrowed. */
#ifndef TM_BATCH_FETCH_H
#define TM_BATCH_FETCH_H
#include "batch/batch.h"
#include "salesforce/bulk.h"

#define TM_BATCH_BULK_PAGE_ROWS 10000 /* when the preset does not say */

struct tm_fetch;
/* from: a Bulk job to go on with; its job "" = a new one. By REST it means nothing. */
enum tm_code tm_fetch_open(struct tm_fetch **out, struct tm_sf_session *session,
                           const struct tm_batch_settings *settings,
                           const struct tm_describe *describe, const char *soql, bool limited,
                           const struct tm_sf_bulk_place *from, struct tm_err *err);
/* As tm_sf_query_next; by Bulk the last page may be an empty one. */
enum tm_code tm_fetch_next(struct tm_fetch *f, const struct tm_now *now, json_t **out_records,
                           bool *out_done, struct tm_err *err);
/* By Bulk: where a later fetch goes on; NULL by REST. */
const struct tm_sf_bulk_place *tm_fetch_place(const struct tm_fetch *f);
const char *tm_fetch_error(const struct tm_fetch *f); /* errorCode of the failure, "" */
/* The org no longer knows the locator, or the job. */
bool tm_fetch_lost(const struct tm_fetch *f);
int64_t tm_fetch_next_at(const struct tm_fetch *f); /* wall ns, besides the session's */
void tm_fetch_close(struct tm_fetch *f);            /* NULL-safe */
#endif
