#include "batch/fetch.h"
#include <stdlib.h>
#include <string.h>

struct tm_fetch {
    struct tm_sf_query *query;
    struct tm_sf_bulk *bulk; /* one of the two */
};

enum tm_code tm_fetch_open(struct tm_fetch **out, struct tm_sf_session *session,
                           const struct tm_batch_settings *settings,
                           const struct tm_describe *describe, const char *soql, bool limited,
                           const struct tm_sf_bulk_place *from, struct tm_err *err)
{
    struct tm_fetch *f = calloc(1, sizeof *f);
    if (f == NULL)
        return tm_fail(err, TM_E_NOMEM, "batch: a query");
    int rows = settings->page_rows;
    enum tm_code rc =
        settings->bulk
            ? tm_sf_bulk_open(&f->bulk, session, soql, settings->query_all,
                              rows > 0 ? rows : TM_BATCH_BULK_PAGE_ROWS, describe, from, err)
            : tm_sf_query_open(&f->query, session, soql, settings->query_all, limited ? 0 : rows,
                               err);
    if (rc == TM_OK)
        *out = f;
    else
        free(f);
    return rc;
}

enum tm_code tm_fetch_next(struct tm_fetch *f, const struct tm_now *now, json_t **out_records,
                           bool *out_done, struct tm_err *err)
{
    return f->bulk != NULL ? tm_sf_bulk_next(f->bulk, now, out_records, out_done, err)
                           : tm_sf_query_next(f->query, now, out_records, out_done, err);
}

const struct tm_sf_bulk_place *tm_fetch_place(const struct tm_fetch *f)
{
    return f->bulk != NULL ? tm_sf_bulk_place(f->bulk) : NULL;
}

const char *tm_fetch_error(const struct tm_fetch *f)
{
    return f->bulk != NULL ? tm_sf_bulk_error(f->bulk) : tm_sf_query_error(f->query);
}

bool tm_fetch_lost(const struct tm_fetch *f)
{
    return f->bulk != NULL ? tm_sf_bulk_lost(f->bulk)
                           : strcmp(tm_sf_query_error(f->query), "INVALID_QUERY_LOCATOR") == 0;
}

int64_t tm_fetch_next_at(const struct tm_fetch *f)
{
    return f->bulk != NULL ? tm_sf_bulk_next_at(f->bulk) : TM_NEVER;
}

void tm_fetch_close(struct tm_fetch *f)
{
    if (f == NULL)
        return;
    tm_sf_query_close(f->query);
    tm_sf_bulk_close(f->bulk);
    free(f);
}
