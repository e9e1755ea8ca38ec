#include "mocks/registry/store.h"
#include "base/sql.h"
#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct tm_registry_store {
    struct tm_mock_registry *registry; /* borrowed */
    sqlite3 *db;
    sqlite3_stmt *insert;
    struct tm_err broken;
};

static enum tm_code store_keep(struct tm_registry_store *s, const struct tm_mock_request *r,
                               struct tm_err *err)
{
    json_t *query = json_object();
    for (size_t i = 0; i < r->query.count; i++)
        json_object_set_new(query, r->query.items[i].name, json_string(r->query.items[i].value));
    char *text = json_dumps(query, JSON_COMPACT);
    json_decref(query);
    if (text == NULL)
        return tm_fail(err, TM_E_NOMEM, "keeping a registration");
    sqlite3_bind_text(s->insert, 1, r->method, -1, SQLITE_STATIC);
    sqlite3_bind_text(s->insert, 2, r->path, -1, SQLITE_STATIC);
    sqlite3_bind_text(s->insert, 3, text, -1, SQLITE_STATIC);
    sqlite3_bind_text(s->insert, 4, r->body, (int)r->body_bytes, SQLITE_STATIC);
    enum tm_code rc = tm_sql_run(s->insert, err);
    sqlite3_clear_bindings(s->insert);
    free(text);
    if (rc == TM_E_AGAIN)
        return tm_fail(err, TM_E_IO, "another process has the registry's file open");
    return rc == TM_OK ? TM_OK : tm_at(err, "keeping a registration");
}

static void store_request(void *self, const struct tm_mock_request *request,
                          struct tm_mock_response *out)
{
    struct tm_registry_store *s = self;
    uint64_t before = tm_mock_registry_changes(s->registry);
    tm_mock_registry_request(s->registry, request, out);
    if (tm_mock_registry_changes(s->registry) == before)
        return;
    if (s->broken.code == TM_OK && store_keep(s, request, &s->broken) == TM_OK)
        return;
    tm_mock_response_reset(out);
    tm_mock_answer(out, 500, "application/json",
                   "{\"error_code\":50001,\"message\":\"the registration cannot be kept\"}");
}

/* One kept request, made again. */
static enum tm_code store_repeat(struct tm_registry_store *s, sqlite3_stmt *row, struct tm_err *err)
{
    struct tm_mock_request request;
    struct tm_mock_response answer;
    const char *name, *path = (const char *)sqlite3_column_text(row, 2);
    json_t *query = json_loads((const char *)sqlite3_column_text(row, 3), 0, NULL), *value;
    uint64_t before = tm_mock_registry_changes(s->registry);
    enum tm_code rc = tm_mock_request_init(&request, (const char *)sqlite3_column_text(row, 1), "/",
                                           sqlite3_column_text(row, 4),
                                           (size_t)sqlite3_column_bytes(row, 4), err);
    tm_mock_response_init(&answer);
    if (rc == TM_OK) {
        char *copy = strdup(path);
        free(request.path);
        request.path = copy;
        if (copy == NULL)
            rc = tm_fail(err, TM_E_NOMEM, "registry");
    }
    json_object_foreach(query, name, value) if (rc == TM_OK && json_is_string(value)) rc =
        tm_mock_pairs_add(&request.query, name, json_string_value(value), err);
    if (rc == TM_OK) {
        tm_mock_registry_request(s->registry, &request, &answer);
        if (tm_mock_registry_changes(s->registry) == before)
            rc = tm_fail(err, TM_E_PROTO,
                         "request %" PRId64 " (%.20s %.80s) changes nothing when it is made again: "
                         "kept by another version? Begin with a new file",
                         (int64_t)sqlite3_column_int64(row, 0), request.method, request.path);
    }
    tm_mock_response_free(&answer);
    tm_mock_request_free(&request);
    json_decref(query);
    return rc;
}

static enum tm_code store_repeat_all(struct tm_registry_store *s, struct tm_err *err)
{
    sqlite3_stmt *rows = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_prepare(
        &rows, s->db, "SELECT n, method, path, query, body FROM registry_request ORDER BY n", err);
    while (rc == TM_OK && (rc = tm_sql_step(rows, &row, err)) == TM_OK && row)
        rc = store_repeat(s, rows, err);
    tm_sql_finalize(rows);
    return rc;
}

enum tm_code tm_registry_store_open(struct tm_registry_store **out,
                                    struct tm_mock_registry *registry, const char *path,
                                    struct tm_err *err)
{
    struct tm_registry_store *s = calloc(1, sizeof *s);
    if (s == NULL)
        return tm_fail(err, TM_E_NOMEM, "registry");
    assert(tm_mock_registry_changes(registry) == 0);
    s->registry = registry;
    enum tm_code rc = tm_sql_open(&s->db, path, TM_SQL_CREATE, err);
    if (rc == TM_OK)
        rc = tm_sql_own(s->db, "registry_request", err);
    if (rc == TM_OK)
        rc =
            tm_sql_exec(s->db,
                        "PRAGMA synchronous=FULL;"
                        "CREATE TABLE IF NOT EXISTS registry_request(n INTEGER PRIMARY KEY,"
                        "method TEXT NOT NULL, path TEXT NOT NULL, query TEXT NOT NULL, body TEXT)",
                        err);
    if (rc == TM_OK)
        rc = store_repeat_all(s, err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s->insert, s->db,
                            "INSERT INTO registry_request(method, path, query, body) "
                            "VALUES(?1,?2,?3,?4)",
                            err);
    if (rc == TM_E_AGAIN)
        rc = tm_fail(err, TM_E_IO, "another process has it open");
    if (rc == TM_OK)
        *out = s;
    else
        tm_registry_store_close(s);
    return rc == TM_OK ? TM_OK : tm_at(err, "registry's file %.150s", path);
}

void tm_registry_store_close(struct tm_registry_store *s)
{
    if (s == NULL)
        return;
    tm_sql_finalize(s->insert);
    tm_sql_close(s->db);
    free(s);
}

struct tm_mock_handler tm_registry_store_handler(struct tm_registry_store *s)
{
    return (struct tm_mock_handler){ .self = s, .request = store_request };
}

enum tm_code tm_registry_store_broken(const struct tm_registry_store *s, struct tm_err *err)
{
    if (s->broken.code != TM_OK)
        *err = s->broken;
    return s->broken.code;
}
