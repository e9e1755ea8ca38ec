#include "check/results.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int polls_load_order(const void *a, const void *b)
{
    const struct tm_poll *x = a, *y = b;
    if (x->object != y->object)
        return x->object - y->object;
    return (x->seq_last > y->seq_last) - (x->seq_last < y->seq_last);
}

static void polls_row(struct tm_poll *p, sqlite3_stmt *stmt, int object)
{
    const char *mode = (const char *)sqlite3_column_text(stmt, 1);
    *p = (struct tm_poll){ .object = object,
                           .grid_ms = sqlite3_column_type(stmt, 2) == SQLITE_NULL
                                          ? INT64_MIN
                                          : sqlite3_column_int64(stmt, 2),
                           .skipped = sqlite3_column_int64(stmt, 3),
                           .started_org_ms = sqlite3_column_int64(stmt, 4),
                           .started_ns = sqlite3_column_int64(stmt, 5),
                           .finished_ns = sqlite3_column_int64(stmt, 6),
                           .seq_first = sqlite3_column_int64(stmt, 7),
                           .seq_last = sqlite3_column_int64(stmt, 8),
                           .calls = sqlite3_column_int64(stmt, 9),
                           .rows = sqlite3_column_int64(stmt, 10),
                           .bytes = sqlite3_column_int64(stmt, 11) };
    snprintf(p->mode, sizeof p->mode, "%s", mode == NULL ? "" : mode);
    if (strcmp(p->mode, "initial") == 0)
        p->grid_ms = INT64_MIN;
}

enum tm_code tm_polls_load(struct tm_poll **out, size_t *out_count, struct tm_reader *reader,
                           struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    size_t cap = 0, count = 0;
    struct tm_poll *polls = NULL;
    *out = NULL;
    *out_count = 0;
    if (reader->db == NULL)
        return TM_OK;
    enum tm_code rc = tm_sql_prepare(
        &stmt, reader->db,
        "SELECT object, mode, grid_org_ms, skipped, started_org_ms, started_ns,"
        " finished_ns, seq_first, seq_last, calls, rows, bytes FROM _polls ORDER BY poll",
        err);
    while (rc == TM_OK && (rc = tm_sql_step(stmt, &row, err)) == TM_OK && row) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0);
        for (size_t i = 0; name != NULL && i < reader->objects_count; i++) {
            if (sqlite3_stricmp(reader->objects[i].name, name) != 0)
                continue;
            if (count == cap) {
                cap = cap == 0 ? 256 : cap * 2;
                void *grown = realloc(polls, cap * sizeof *polls);
                if (grown == NULL) {
                    rc = tm_fail(err, TM_E_NOMEM, "%zu polls", cap);
                    break;
                }
                polls = grown;
            }
            polls_row(&polls[count++], stmt, reader->objects[i].shown);
        }
    }
    tm_sql_finalize(stmt);
    if (rc != TM_OK) {
        free(polls);
        return tm_at(err, "%s: _polls", reader->path);
    }
    if (count > 0)
        qsort(polls, count, sizeof *polls, polls_load_order);
    *out = polls;
    *out_count = count;
    return TM_OK;
}

static bool cost_is_mine(const struct tm_plan_pipeline *p, const char *client)
{
    for (size_t i = 0; i < p->clients_count; i++) {
        size_t bytes = strlen(p->clients[i]);
        if (strncmp(p->clients[i], client, bytes) == 0 &&
            (client[bytes] == '\0' || client[bytes] == '/'))
            return true;
    }
    return false;
}

static int64_t cost_file_bytes(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

enum tm_code tm_cost_json(json_t **out, struct tm_truth *truth, const struct tm_plan_pipeline *p,
                          const struct tm_poll *polls, size_t polls_count, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    int64_t calls = 0, events = 0, bytes_in = 0, bytes_out = 0, skipped = 0;
    json_t *kinds = json_object();
    char wal[600];
    enum tm_code rc =
        tm_sql_prepare(&stmt, truth->db,
                       "SELECT client, kind, calls, bytes_in, bytes_out, events FROM usage", err);
    while (rc == TM_OK && (rc = tm_sql_step(stmt, &row, err)) == TM_OK && row) {
        const char *client = (const char *)sqlite3_column_text(stmt, 0);
        const char *kind = (const char *)sqlite3_column_text(stmt, 1);
        if (client == NULL || kind == NULL || !cost_is_mine(p, client))
            continue;
        json_int_t before = json_integer_value(json_object_get(kinds, kind));
        json_object_set_new(kinds, kind, json_integer(before + sqlite3_column_int64(stmt, 2)));
        /* neither counts as an API request */
        if (strcmp(kind, "cometd") != 0 && strcmp(kind, "login") != 0)
            calls += sqlite3_column_int64(stmt, 2);
        bytes_in += sqlite3_column_int64(stmt, 3);
        bytes_out += sqlite3_column_int64(stmt, 4);
        events += sqlite3_column_int64(stmt, 5);
    }
    tm_sql_finalize(stmt);
    for (size_t i = 0; i < polls_count; i++)
        skipped += polls[i].skipped;
    snprintf(wal, sizeof wal, "%.590s-wal", p->database);
    *out = json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:n, s:n, s:f}", "api_calls",
                     (json_int_t)calls, "events", (json_int_t)events, "bytes",
                     (json_int_t)(bytes_in + bytes_out), "bytes_in", (json_int_t)bytes_in,
                     "bytes_out", (json_int_t)bytes_out, "calls_by_kind", kinds, "warehouse_bytes",
                     (json_int_t)(cost_file_bytes(p->database) + cost_file_bytes(wal)), "polls",
                     (json_int_t)polls_count, "skipped_polls", (json_int_t)skipped, "cpu_s",
                     "rss_peak_bytes", "query_ms", 0.0);
    return rc;
}
