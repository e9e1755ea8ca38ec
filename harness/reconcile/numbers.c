#include "reconcile/numbers.h"
#include "base/sql.h"
#include <stdlib.h>

struct tm_numbers {
    sqlite3 *db;
    int64_t next, last;
}; /* next..last are reserved; none when next > last */

enum tm_code tm_numbers_open(struct tm_numbers **out, const char *path, struct tm_err *err)
{
    struct tm_numbers *n = calloc(1, sizeof *n);
    if (n == NULL)
        return tm_fail(err, TM_E_NOMEM, "read numbers");
    n->next = 1;
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

enum tm_code tm_numbers_next(struct tm_numbers *n, int64_t *out, struct tm_err *err)
{
    if (n->next > n->last) {
        int64_t reserved = 0;
        sqlite3_stmt *stmt = NULL;
        bool row = false;
        enum tm_code rc = tm_sql_prepare(
            &stmt, n->db, "UPDATE reads SET reserved = reserved + ?1 RETURNING reserved", err);
        if (rc != TM_OK)
            return rc;
        sqlite3_bind_int64(stmt, 1, TM_NUMBERS_BLOCK);
        rc = tm_sql_step(stmt, &row, err);
        if (rc == TM_OK && row) {
            reserved = sqlite3_column_int64(stmt, 0);
            rc = tm_sql_step(stmt, &row, err); /* to its end: that is when it commits */
        }
        sqlite3_finalize(stmt);
        if (rc != TM_OK)
            return rc;
        n->last = reserved;
        n->next = reserved - TM_NUMBERS_BLOCK + 1;
    }
    *out = n->next++;
    return TM_OK;
}
