/* bulk: the Bulk APIs of the org: 2.0 query and ingest jobs under /services/data/vNN.0/jobs, 1.0
 * jobs and batches under /services/async/NN.0. in: requests, the instant, steps; out: job and batch
 * states, result files; records written as REST writes them. Pure towards time: instants are handed
 * in.
 *
 * A query's rows are those of the moment its job (1.0: its batch) began, which is when it was made
 * unless BULK_RUNNING_MAX others are under way. They are copied and written as CSV, JSON or XML a
 * slice a step, so that a long job keeps nobody from committing, and kept in a file beside org.db
 * (a temporary one where the org has none), not in memory. Jobs end with the process: a client that
 * asks again after a restart is told that there is no such job, as after the seven days of org time
 * for which jobs are kept.
 *
 *   1.0  Queued ─begin─► InProgress ─last row─► Completed      2.0  UploadComplete, InProgress,
 *           └─ wrong query ──► Failed                               JobComplete, Failed, Aborted
 *        PK chunking: the batch itself NotProcessed, and one batch a chunk of ids
 *
 * Facts: salesforce-wire.md 5.1, 5.2, 8; Bulk API guide: "Get Results for a Query Job" (locator,
 * maxRecords, 204, 409), "Get Parallel Results" (resultPages), "Errors" (read 2026-11). */
#ifndef TM_MOCKS_SALESFORCE_BULK_H
#define TM_MOCKS_SALESFORCE_BULK_H
#include "mocks/http/message.h"
#include "mocks/salesforce/oauth.h"
#include "mocks/salesforce/org.h"

#define TM_BULK_TOKEN (UINT64_C(3) << 61) /* tokens of result pages under way begin here */
#define TM_BULK_JOBS_PER_DAY 10000        /* 2.0 query jobs; salesforce-wire.md 8 */
#define TM_BULK_BATCHES_PER_DAY 15000     /* 1.0 */

struct tm_bulk_settings {
    int64_t job_ns; /* wall time that a job or batch takes at least; 0 = none */
    size_t
        held_bytes_max; /* of uploads, records to write and their results, together; 0 = 512 MiB */
    size_t pages_bytes_max; /* of answers with results that are being put together; 0 = 512 MiB */
};
struct tm_bulk;
enum tm_code tm_bulk_open(struct tm_bulk **out, struct tm_org *org, struct tm_oauth *oauth,
                          const struct tm_bulk_settings *settings, struct tm_err *err);
void tm_bulk_close(struct tm_bulk *b); /* NULL-safe; removes the file */
/* 2.0: parts are what stands behind the version: {"jobs", "query", …}. The token was checked. */
void tm_bulk2_request(struct tm_bulk *b, const struct tm_mock_request *r, const char *version,
                      char *const *parts, size_t parts_count, struct tm_mock_response *out);
/* 1.0: everything under /services/async, sign-in, quota and usage included. */
void tm_bulk1_request(struct tm_bulk *b, const struct tm_mock_request *r,
                      struct tm_mock_response *out);
void tm_bulk_resume(struct tm_bulk *b, const struct tm_mock_request *r, uint64_t token,
                    struct tm_mock_response *out);
void tm_bulk_finished(struct tm_bulk *b, uint64_t token);
/* One slice of the oldest query under way; *wake says when there is more. Never fails: what cannot
 * be read fails its job. */
void tm_bulk_step(struct tm_bulk *b, const struct tm_now *now, struct tm_wake *wake);
/* For /limits: 2.0 query jobs and 1.0 batches made in the last 24 h of org time (whole hours). */
void tm_bulk_usage_day(const struct tm_bulk *b, int64_t now_org_ms, int64_t *out_jobs,
                       int64_t *out_batches);
#endif
