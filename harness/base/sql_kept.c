#include "base/sql_kept.h"
#include "base/text.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_BUCKETS 64
#define KEPT_HASHED_BYTES 48 /* of a text, and its length; texts are compared whole */

struct kept {
    struct kept *next; /* in its bucket */
    sqlite3 *db;
    size_t count;
    uint64_t hashes[TM_SQL_KEPT_MAX]; /* [count], oldest first */
    sqlite3_stmt *stmts[TM_SQL_KEPT_MAX];
};
static struct kept *kept_all[KEPT_BUCKETS];
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER; /* of the buckets */

static struct kept **kept_bucket(const sqlite3 *db)
{
    return &kept_all[((uintptr_t)db >> 6) % KEPT_BUCKETS];
}

/* With `out`, it is no longer in the list. */
static struct kept *kept_find(const sqlite3 *db, bool out)
{
    pthread_mutex_lock(&kept_lock);
    struct kept **at = kept_bucket(db);
    while (*at != NULL && (*at)->db != db)
        at = &(*at)->next;
    struct kept *k = *at;
    if (k != NULL && out)
        *at = k->next;
    pthread_mutex_unlock(&kept_lock);
    return k;
}

void tm_sql_kept_open(sqlite3 *db)
{
    struct kept *k = calloc(1, sizeof *k);
    if (k == NULL)
        return;
    k->db = db;
    pthread_mutex_lock(&kept_lock);
    k->next = *kept_bucket(db);
    *kept_bucket(db) = k;
    pthread_mutex_unlock(&kept_lock);
}

void tm_sql_kept_close(sqlite3 *db)
{
    struct kept *k = kept_find(db, true);
    for (size_t i = 0; k != NULL && i < k->count; i++)
        sqlite3_finalize(k->stmts[i]);
    free(k);
}

static uint64_t kept_hash(const char *text)
{
    size_t bytes = strlen(text);
    return tm_hash64(text, bytes < KEPT_HASHED_BYTES ? bytes : KEPT_HASHED_BYTES, bytes);
}

static void kept_drop(struct kept *k, size_t at)
{
    assert(at < k->count);
    k->count--;
    memmove(&k->hashes[at], &k->hashes[at + 1], (k->count - at) * sizeof k->hashes[0]);
    memmove(&k->stmts[at], &k->stmts[at + 1], (k->count - at) * sizeof(sqlite3_stmt *));
}

sqlite3_stmt *tm_sql_kept_take(sqlite3 *db, const char *text)
{
    struct kept *k = kept_find(db, false);
    uint64_t hash = k != NULL && k->count > 0 ? kept_hash(text) : 0;
    for (size_t i = k != NULL ? k->count : 0; i-- > 0;) {
        sqlite3_stmt *stmt = k->stmts[i];
        if (k->hashes[i] != hash || strcmp(sqlite3_sql(stmt), text) != 0)
            continue;
        kept_drop(k, i);
        return stmt;
    }
    return NULL;
}

/* The columns of a star are known when it is compiled: whoever asks for them before the first step
 * would be told the old ones. */
static bool kept_may(const char *text)
{
    return text != NULL && strstr(text, "SELECT *") == NULL;
}

bool tm_sql_kept_give(sqlite3_stmt *stmt)
{
    struct kept *k = stmt != NULL ? kept_find(sqlite3_db_handle(stmt), false) : NULL;
    const char *text = k != NULL ? sqlite3_sql(stmt) : NULL;
    if (!kept_may(text))
        return false;
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    if (k->count == TM_SQL_KEPT_MAX) {
        sqlite3_finalize(k->stmts[0]);
        kept_drop(k, 0);
    }
    k->hashes[k->count] = kept_hash(text);
    k->stmts[k->count++] = stmt;
    return true;
}

bool tm_sql_kept_has(const sqlite3_stmt *stmt)
{
    struct kept *k = kept_find(sqlite3_db_handle((sqlite3_stmt *)stmt), false);
    for (size_t i = 0; k != NULL && i < k->count; i++)
        if (k->stmts[i] == stmt)
            return true;
    return false;
}
