#include "reconcile/numbers.h"
#include "base/sql.h"
#include "base/text.h"
#include <stdlib.h>
#include <string.h>

struct tm_numbers {
    sqlite3 *db;
    int64_t next, last; /* ticks next..last are reserved; none when next > last */
    int64_t member;
};

enum tm_code tm_numbers_open(struct tm_numbers **out, const char *path, const char *life,
                             struct tm_err *err)
{
    struct tm_numbers *n = calloc(1, sizeof *n);
    if (n == NULL)
        return tm_fail(err, TM_E_NOMEM, "read numbers");
    n->next = 1;
    n->member = (int64_t)(tm_hash64(life, strlen(life), 1) % TM_NUMBERS_MEMBERS);
    enum tm_code rc = tm_sql_open(&n->db, path, TM_SQL_CREATE, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(n->db,
                         "PRAGMA synchronous=FULL;"
                         "CREATE TABLE IF NOT EXISTS reads(one INTEGER PRIMARY KEY CHECK(one = 1), "
                         "reserved INTEGER NOT NULL);"
                         "INSERT OR IGNORE INTO reads VALUES(1, 0)",
                         err);
    if (rc == TM_E_AGAIN)
        rc = tm_fail_retry(err, TM_E_IO, "%s is in use by another process", path);
    if (rc != TM_OK) {
        tm_numbers_close(n);
        return rc;
    }
    *out = n;
    return TM_OK;
}

void tm_numbers_close(struct tm_numbers *n)
{
    if (n == NULL)
        return;
    tm_sql_close(n->db);
    free(n);
}

/* The file is never behind what was used: the first tick of the block is beyond it, and not before
 * `tick`. */
static enum tm_code numbers_reserve(struct tm_numbers *n, int64_t tick, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    int64_t reserved = 0;
    enum tm_code rc = tm_sql_prepare(
        &stmt, n->db, "UPDATE reads SET reserved = max(reserved, ?1 - 1) + ?2 RETURNING reserved",
        err);
    if (rc != TM_OK)
        return rc;
    sqlite3_bind_int64(stmt, 1, tick);
    sqlite3_bind_int64(stmt, 2, TM_NUMBERS_BLOCK_TICKS);
    rc = tm_sql_step(stmt, &row, err);
    if (rc == TM_OK && row) {
        reserved = sqlite3_column_int64(stmt, 0);
        rc = tm_sql_step(stmt, &row, err); /* to its end: that is when it commits */
    }
    tm_sql_finalize(stmt);
    if (rc != TM_OK)
        return rc;
    n->last = reserved;
    n->next = reserved - TM_NUMBERS_BLOCK_TICKS + 1;
    return TM_OK;
}

enum tm_code tm_numbers_next(struct tm_numbers *n, int64_t real_ns, int64_t *out,
                             struct tm_err *err)
{
    int64_t tick = real_ns / TM_NUMBERS_TICK_NS;
    if (tick < n->next)
        tick = n->next;
    if (tick > n->last) {
        enum tm_code rc = numbers_reserve(n, tick, err);
        if (rc != TM_OK)
            return rc;
        tick = n->next;
    }
    n->next = tick + 1;
    *out = tick * TM_NUMBERS_MEMBERS + n->member;
    return TM_OK;
}
