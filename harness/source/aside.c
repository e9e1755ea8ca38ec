#include "source/aside.h"
#include "base/sql.h"
#include <stdlib.h>
#include <string.h>

struct tm_aside {
    char *path;
    sqlite3 *db;
};

enum tm_code tm_aside_open(struct tm_aside **out, const char *path, struct tm_err *err)
{
    struct tm_aside *a = calloc(1, sizeof *a);
    if (a == NULL || (a->path = strdup(path)) == NULL) {
        free(a);
        return tm_fail(err, TM_E_NOMEM, "events kept aside");
    }
    *out = a;
    return TM_OK;
}

void tm_aside_close(struct tm_aside *a)
{
    if (a == NULL)
        return;
    tm_sql_close(a->db);
    free(a->path);
    free(a);
}

const char *tm_aside_path(const struct tm_aside *a)
{
    return a->path;
}

static enum tm_code aside_ready(struct tm_aside *a, struct tm_err *err)
{
    if (a->db != NULL)
        return TM_OK;
    enum tm_code rc = tm_sql_open(&a->db, a->path, TM_SQL_CREATE, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(a->db,
                         "PRAGMA synchronous=FULL;"
                         "CREATE TABLE IF NOT EXISTS aside(channel TEXT, replay_id INTEGER, event "
                         "TEXT, reason TEXT,"
                         " PRIMARY KEY(channel, replay_id, event))",
                         err);
    if (rc != TM_OK) {
        tm_sql_close(a->db);
        a->db = NULL;
    }
    return rc;
}

enum tm_code tm_aside_put(struct tm_aside *a, const char *channel, const json_t *delivery,
                          const char *reason, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    enum tm_code rc = aside_ready(a, err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&stmt, a->db, "INSERT OR IGNORE INTO aside VALUES(?1,?2,?3,?4)", err);
    if (rc != TM_OK)
        return rc;
    char *event = json_dumps(delivery, JSON_COMPACT | JSON_ENCODE_ANY);
    if (event == NULL) {
        tm_sql_finalize(stmt);
        return tm_fail(err, TM_E_NOMEM, "events kept aside");
    }
    sqlite3_bind_text(stmt, 1, channel, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, tm_aside_replay_id(delivery));
    sqlite3_bind_text(stmt, 3, event, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 4, reason, -1, SQLITE_STATIC);
    rc = tm_sql_run(stmt, err);
    tm_sql_finalize(stmt);
    free(event);
    return rc;
}

int64_t tm_aside_replay_id(const json_t *delivery)
{
    const json_t *data = json_object_get(delivery, "data");
    const json_t *replay = json_object_get(json_object_get(data, "event"), "replayId");
    return json_is_integer(replay) && json_integer_value(replay) >= 0 ? json_integer_value(replay)
                                                                      : -1;
}

const json_t *tm_aside_ids(const json_t *delivery)
{
    const json_t *payload = json_object_get(json_object_get(delivery, "data"), "payload");
    const json_t *ids = json_object_get(json_object_get(payload, "ChangeEventHeader"), "recordIds");
    char id18[TM_ID_BYTES];
    size_t count = json_array_size(ids);
    if (count == 0 || count > TM_ASIDE_IDS_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        /* 000…: overflow (R3) */
        if (id == NULL || strncmp(id, "000", 3) == 0 || tm_id18(id18, id, NULL) != TM_OK)
            return NULL;
    }
    return ids;
}
