/* bulk_store: written rows on disk. A chunk is one SQLite row: key = run << 24 | chunk. The file is
 * nobody's but this process's, and goes with it: no journal, nothing is waited for. Made by the
 * first row: most orgs never have a job. */
#include "mocks/salesforce/bulk_impl.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STORE_CHUNKS_MAX (1LL << 24) /* of one run */
#define STORE_DROP_CHUNKS 64         /* removed in one step */

struct bulk_store {
    sqlite3 *db;     /* NULL = no row yet */
    char path[4096]; /* "" = a temporary file of SQLite's own */
    sqlite3_stmt *put, *get, *drop;
    int64_t *dropped; /* runs */
    size_t dropped_count;
};

static void store_shut(struct bulk_store *s)
{
    tm_sql_finalize(s->put);
    tm_sql_finalize(s->get);
    tm_sql_finalize(s->drop);
    tm_sql_close(s->db);
    s->put = s->get = s->drop = NULL;
    s->db = NULL;
}

static enum tm_code store_ready(struct bulk_store *s, struct tm_err *err)
{
    if (s->db != NULL)
        return TM_OK;
    enum tm_code rc = tm_sql_open(&s->db, s->path, TM_SQL_CREATE, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(s->db,
                         "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
                         "CREATE TABLE chunk(key INTEGER PRIMARY KEY, ends BLOB, body BLOB)",
                         err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s->put, s->db, "INSERT OR REPLACE INTO chunk VALUES(?,?,?)", err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s->get, s->db, "SELECT ends, body FROM chunk WHERE key=?", err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s->drop, s->db,
                            "DELETE FROM chunk WHERE key IN (SELECT key FROM chunk WHERE key>=?1 "
                            "AND key<?2 LIMIT ?3)",
                            err);
    if (rc != TM_OK)
        store_shut(s); /* whole, or not at all */
    return rc;
}

enum tm_code bulk_store_open(struct bulk_store **out, const char *org_path, struct tm_err *err)
{
    struct bulk_store *s = calloc(1, sizeof *s);
    if (s == NULL)
        return tm_fail(err, TM_E_NOMEM, "results of Bulk jobs");
    if (org_path != NULL && *org_path != '\0')
        snprintf(s->path, sizeof s->path, "%s-bulk", org_path);
    if (s->path[0] != '\0')
        unlink(s->path); /* of a life that was cut short */
    *out = s;
    return TM_OK;
}

void bulk_store_close(struct bulk_store *s)
{
    if (s == NULL)
        return;
    store_shut(s);
    if (s->path[0] != '\0')
        unlink(s->path);
    free(s->dropped);
    free(s);
}

enum tm_code bulk_store_put(struct bulk_store *s, int64_t run, int64_t chunk,
                            const struct tm_buf *text, const uint32_t *ends, size_t ends_count,
                            struct tm_err *err)
{
    assert(chunk < STORE_CHUNKS_MAX && ends_count > 0 && ends_count <= BULK_CHUNK_ROWS);
    assert(ends[ends_count - 1] == text->bytes);
    enum tm_code rc = store_ready(s, err);
    if (rc != TM_OK)
        return rc;
    sqlite3_bind_int64(s->put, 1, run << 24 | chunk);
    sqlite3_bind_blob(s->put, 2, ends, (int)(ends_count * sizeof *ends), SQLITE_STATIC);
    sqlite3_bind_blob(s->put, 3, tm_buf_text(text), (int)text->bytes, SQLITE_STATIC);
    return tm_sql_run(s->put, err);
}

enum tm_code bulk_store_get(struct bulk_store *s, int64_t run, int64_t chunk, size_t row,
                            size_t row_end, struct tm_buf *out, struct tm_err *err)
{
    uint32_t ends[BULK_CHUNK_ROWS];
    bool there = false;
    enum tm_code rc = store_ready(s, err);
    if (rc != TM_OK)
        return rc;
    sqlite3_bind_int64(s->get, 1, run << 24 | chunk);
    rc = tm_sql_step(s->get, &there, err);
    if (rc == TM_OK && !there)
        rc = tm_fail(err, TM_E_IO, "results of a Bulk job: chunk %lld is not there",
                     (long long)chunk);
    if (rc == TM_OK) {
        const char *body = sqlite3_column_blob(s->get, 1);
        size_t bytes = (size_t)sqlite3_column_bytes(s->get, 0);
        assert(bytes <= sizeof ends && row < row_end && row_end <= bytes / sizeof *ends);
        memcpy(ends, sqlite3_column_blob(s->get, 0), bytes);
        size_t from = row == 0 ? 0 : ends[row - 1];
        tm_buf_add(out, body + from, ends[row_end - 1] - from);
        rc = tm_buf_check(out, "a page of Bulk results", err);
    }
    sqlite3_reset(s->get);
    return rc;
}

void bulk_store_drop(struct bulk_store *s, int64_t run)
{
    int64_t *grown = realloc(s->dropped, (s->dropped_count + 1) * sizeof *grown);
    if (grown == NULL)
        return; /* its rows stay until the end: space, no harm */
    s->dropped = grown;
    s->dropped[s->dropped_count++] = run;
}

bool bulk_store_step(struct bulk_store *s)
{
    if (s->db == NULL)
        s->dropped_count = 0;
    if (s->dropped_count == 0)
        return false;
    int64_t run = s->dropped[s->dropped_count - 1];
    sqlite3_bind_int64(s->drop, 1, run << 24);
    sqlite3_bind_int64(s->drop, 2, (run + 1) << 24);
    sqlite3_bind_int64(s->drop, 3, STORE_DROP_CHUNKS);
    if (tm_sql_run(s->drop, NULL) != TM_OK || sqlite3_changes(s->db) < STORE_DROP_CHUNKS)
        s->dropped_count--;
    return s->dropped_count > 0;
}
