#include "check/planted.h"
#include <stdlib.h>

static enum tm_code planted_times(struct tm_planted *p, sqlite3 *db, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    enum tm_code rc = tm_sql_prepare(
        &s, db,
        "SELECT what='late_rows',org_ms,until_ms FROM fault WHERE what='late_rows' OR "
        "(what='held_transactions' AND until_ms>org_ms) ORDER BY until_ms",
        err);
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row) {
        bool endless = sqlite3_column_type(s, 2) == SQLITE_NULL;
        if (sqlite3_column_int(s, 0) != 0)
            p->late[p->late_count++] =
                (struct tm_planted_time){ sqlite3_column_int64(s, 1),
                                          endless ? INT64_MAX : sqlite3_column_int64(s, 2) };
        else
            p->held[p->held_count++] = sqlite3_column_int64(s, 2);
    }
    tm_sql_finalize(s);
    return rc;
}

enum tm_code tm_planted_read(struct tm_planted *out, sqlite3 *db, struct tm_err *err)
{
    int64_t there = 0, rows = 0;
    *out = (struct tm_planted){ 0 };
    enum tm_code rc = tm_sql_int64(
        &there, db, "SELECT count(*) FROM sqlite_master WHERE type='table' AND name='fault'", err);
    if (rc != TM_OK || there == 0)
        return rc;
    rc = tm_sql_int64(&rows, db,
                      "SELECT count(*) FROM fault WHERE what IN ('late_rows','held_transactions')",
                      err);
    if (rc == TM_OK && rows > TM_PLANTED_MAX)
        rc = tm_fail(err, TM_E_LIMIT, "more than %d planted times", TM_PLANTED_MAX);
    if (rc != TM_OK)
        return rc;
    out->late = calloc((size_t)rows + 1, sizeof *out->late);
    out->held = calloc((size_t)rows + 1, sizeof *out->held);
    if (out->late == NULL || out->held == NULL)
        return tm_fail(err, TM_E_NOMEM, "%lld planted times", (long long)rows);
    return planted_times(out, db, err);
}

void tm_planted_free(struct tm_planted *p)
{
    free(p->late);
    free(p->held);
    *p = (struct tm_planted){ 0 };
}

static int planted_order(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

bool tm_planted_strikes(const struct tm_planted *p, int64_t org_ms, int64_t intended_ms,
                        int64_t index_lag_ms)
{
    for (size_t i = 0; i < p->late_count; i++)
        if (org_ms + index_lag_ms >= p->late[i].from_ms && org_ms < p->late[i].until_ms)
            return true;
    return p->held_count > 0 &&
           bsearch(&intended_ms, p->held, p->held_count, sizeof *p->held, planted_order) != NULL;
}
