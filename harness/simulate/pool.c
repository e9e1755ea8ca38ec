#include "simulate/pool.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define POOL_MAX 40 /* connections that one world has open, and the orgs at rest */
#define POOL_PATH_BYTES 320
#define POOL_SQL_BYTES_MAX 512
#define POOL_ORG ":memory:"
static const char pool_reads[] =
    "/reconcile-reads.db"; /* its one table is made when it is opened */

struct pool_one {
    sqlite3 *db; /* NULL = free */
    char path[POOL_PATH_BYTES];
    enum tm_sql_mode mode;
    size_t objects; /* of an org: whose tables it has; else 0 */
    bool lent;
    bool lasts;     /* is emptied, not closed, when a world ends */
    int64_t schema; /* version that it started with; 0 = not known yet */
};
static _Thread_local struct {
    struct pool_one all[POOL_MAX];
    char dir[POOL_PATH_BYTES];
    size_t objects;
    bool org_next, closing;
} pool;

static void pool_close(struct pool_one *one)
{
    tm_sql_close_really(one->db);
    memset(one, 0, sizeof *one);
}

static bool pool_in_dir(const char *path)
{
    size_t bytes = strlen(pool.dir);
    return strncmp(path, pool.dir, bytes) == 0 && path[bytes] == '/' &&
           strlen(path) < POOL_PATH_BYTES;
}

static struct pool_one *pool_at_rest(const char *path, enum tm_sql_mode mode, size_t objects)
{
    for (size_t i = 0; i < POOL_MAX; i++) {
        struct pool_one *one = &pool.all[i];
        if (one->db != NULL && !one->lent && one->mode == mode && one->objects == objects &&
            strcmp(one->path, path) == 0)
            return one;
    }
    return NULL;
}

static struct pool_one *pool_room(void)
{
    for (size_t i = 0; i < POOL_MAX; i++)
        if (pool.all[i].db == NULL)
            return &pool.all[i];
    return NULL;
}

/* One more of a database, kept here once it is closed; where there is no room, it is not. */
static enum tm_code pool_new(struct pool_one **out, sqlite3 **out_db, const char *path,
                             enum tm_sql_mode mode, size_t objects, struct tm_err *err)
{
    enum tm_code rc = tm_sql_open_really(out_db, path, mode, err);
    *out = rc == TM_OK ? pool_room() : NULL;
    if (*out == NULL)
        return rc;
    **out = (struct pool_one){ .db = *out_db, .mode = mode, .objects = objects };
    (*out)->lasts =
        objects > 0 || (mode != TM_SQL_READ && strcmp(path + strlen(pool.dir), pool_reads) == 0);
    snprintf((*out)->path, sizeof(*out)->path, "%s", path);
    return TM_OK;
}

static enum tm_code pool_open(sqlite3 **out, const char *path, enum tm_sql_mode mode,
                              struct tm_err *err)
{
    bool org = pool.org_next && strcmp(path, POOL_ORG) == 0;
    size_t objects = org ? pool.objects : 0;
    struct pool_one *one;
    if (!org && !pool_in_dir(path))
        return tm_sql_open_really(out, path, mode, err);
    pool.org_next = pool.org_next && !org;
    one = pool_at_rest(path, mode, objects);
    enum tm_code rc = one == NULL ? pool_new(&one, out, path, mode, objects, err) : TM_OK;
    if (rc == TM_OK && one != NULL) {
        one->lent = true;
        *out = one->db;
    }
    return rc;
}

static bool pool_has_temporary(sqlite3 *db)
{
    int64_t any = 1;
    return tm_sql_int64(&any, db, "SELECT EXISTS (SELECT 1 FROM sqlite_temp_schema)", NULL) !=
               TM_OK ||
           any != 0;
}

static void pool_give(sqlite3 *db)
{
    struct pool_one *one = NULL, *instead;
    for (size_t i = 0; i < POOL_MAX && one == NULL; i++)
        if (pool.all[i].db == db)
            one = &pool.all[i];
    if (one == NULL) {
        tm_sql_close_really(db);
        return;
    }
    assert(one->lent);
    one->lent = false;
    if (pool.closing && !one->lasts) {
        pool_close(one);
        return;
    }
    tm_sql_leave(db);
    if (!pool_has_temporary(db))
        return;
    /* What is in memory goes with its last connection: another one first. */
    sqlite3 *other = NULL;
    if (one->objects == 0)
        (void)pool_new(&instead, &other, one->path, one->mode, 0, NULL);
    pool_close(one);
}

void tm_sim_pool_begin(const char *dir, size_t objects)
{
    static const struct tm_sql_lender lender = { pool_open, pool_give };
    assert(objects > 0 && strlen(dir) + sizeof pool_reads < POOL_PATH_BYTES);
    if (strcmp(dir, pool.dir) != 0)
        for (size_t i = 0; i < POOL_MAX; i++)
            if (pool.all[i].db != NULL)
                pool_close(&pool.all[i]);
    snprintf(pool.dir, sizeof pool.dir, "%s", dir);
    pool.objects = objects;
    pool.org_next = pool.closing = false;
    tm_sql_lend(&lender);
}

void tm_sim_pool_org(void)
{
    pool.org_next = true;
}

static enum tm_code pool_schema(int64_t *out, sqlite3 *db, struct tm_err *err)
{
    return tm_sql_int64(out, db, "PRAGMA schema_version", err);
}

enum tm_code tm_sim_pool_settled(sqlite3 *org, struct tm_err *err)
{
    int64_t schema = 0;
    enum tm_code rc = pool_schema(&schema, org, err);
    for (size_t i = 0; i < POOL_MAX && rc == TM_OK; i++)
        if (pool.all[i].db == org) {
            assert(pool.all[i].schema == 0 || pool.all[i].schema == schema);
            pool.all[i].schema = schema;
        }
    return rc;
}

/* ---- a world's end ---- */

static enum tm_code pool_delete(sqlite3 *db, const char *table)
{
    sqlite3_stmt *s = NULL;
    struct tm_buf sql;
    tm_buf_init(&sql, POOL_SQL_BYTES_MAX);
    tm_buf_addz(&sql, "DELETE FROM ");
    tm_sql_ident(&sql, table);
    enum tm_code rc = tm_buf_check(&sql, "a table's name", NULL);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s, db, tm_buf_text(&sql), NULL);
    if (rc == TM_OK)
        rc = tm_sql_run(s, NULL);
    tm_sql_finalize(s);
    tm_buf_free(&sql);
    return rc;
}

static enum tm_code pool_delete_all(sqlite3 *db)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    enum tm_code rc =
        tm_sql_prepare(&s, db, "SELECT name FROM sqlite_schema WHERE type='table'", NULL);
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, NULL)) == TM_OK && row)
        rc = pool_delete(db, (const char *)sqlite3_column_text(s, 0));
    tm_sql_finalize(s);
    return rc;
}

/* False: it could not be emptied, or its tables are others now. */
static bool pool_emptied(struct pool_one *one)
{
    int64_t schema = 0;
    enum tm_code rc = pool_schema(&schema, one->db, NULL);
    if (one->schema == 0)
        one->schema = one->objects == 0 ? schema : -1;
    if (rc != TM_OK || schema != one->schema)
        return false;
    rc = tm_sql_exec(one->db, "BEGIN IMMEDIATE", NULL);
    if (rc == TM_OK)
        rc = pool_delete_all(one->db);
    return rc == TM_OK && tm_sql_exec(one->db, "COMMIT", NULL) == TM_OK;
}

void tm_sim_pool_closing(void)
{
    pool.closing = true;
}

void tm_sim_pool_end(void)
{
    tm_sql_lend(NULL);
    for (size_t i = 0; i < POOL_MAX; i++) {
        struct pool_one *one = &pool.all[i];
        if (one->db == NULL)
            continue;
        assert(!one->lent);
        if (!one->lasts || !pool_emptied(one))
            pool_close(one);
    }
}
