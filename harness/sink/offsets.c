#include "sink/offsets.h"
#include "sink/sink.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

size_t tm_sink_offsets_find(struct tm_sink_offsets *o, const char *topic, int32_t partition)
{
    if (o->last_hit < o->count && o->items[o->last_hit].partition == partition &&
        strcmp(o->items[o->last_hit].topic, topic) == 0)
        return o->last_hit;
    for (size_t i = 0; i < o->count; i++)
        if (o->items[i].partition == partition && strcmp(o->items[i].topic, topic) == 0)
            return o->last_hit = i;
    if (o->count == TM_SINK_PARTITIONS_MAX)
        return SIZE_MAX;
    if (o->count == o->cap) {
        size_t cap = o->cap == 0 ? 64 : o->cap * 2;
        struct tm_sink_partition *items = realloc(o->items, cap * sizeof *items);
        if (items == NULL)
            return SIZE_MAX;
        o->items = items;
        o->cap = cap;
    }
    char *name = strdup(topic);
    if (name == NULL)
        return SIZE_MAX;
    o->items[o->count] = (struct tm_sink_partition){ name, partition, -1, -1 };
    return o->last_hit = o->count++;
}

enum tm_code tm_sink_offsets_open(struct tm_sink_offsets *o, sqlite3 *db, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_exec(
        db,
        "CREATE TABLE IF NOT EXISTS _offsets(topic TEXT NOT NULL,partition INTEGER NOT NULL,"
        "next_offset INTEGER NOT NULL,cluster_id TEXT NOT NULL,PRIMARY KEY(topic,partition))"
        " WITHOUT ROWID",
        err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&stmt, db, "SELECT topic,partition,next_offset FROM _offsets", err);
    while (rc == TM_OK && (rc = tm_sql_step(stmt, &row, err)) == TM_OK && row) {
        size_t i = tm_sink_offsets_find(o, (const char *)sqlite3_column_text(stmt, 0),
                                        sqlite3_column_int(stmt, 1));
        if (i == SIZE_MAX)
            rc =
                tm_fail(err, TM_E_LIMIT, "_offsets has more than %d partitions, or memory is short",
                        TM_SINK_PARTITIONS_MAX);
        else
            o->items[i].next = o->items[i].stored = sqlite3_column_int64(stmt, 2);
    }
    sqlite3_finalize(stmt);
    return rc;
}

void tm_sink_offsets_close(struct tm_sink_offsets *o)
{
    for (size_t i = 0; i < o->count; i++)
        free(o->items[i].topic);
    free(o->items);
    memset(o, 0, sizeof *o);
}

enum tm_code tm_sink_offsets_check(sqlite3 *db, const char *cluster_id, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_prepare(
        &stmt, db, "SELECT cluster_id FROM _offsets WHERE cluster_id<>?1 LIMIT 1", err);
    if (rc == TM_OK) {
        sqlite3_bind_text(stmt, 1, cluster_id, -1, SQLITE_STATIC);
        rc = tm_sql_step(stmt, &row, err);
    }
    if (rc == TM_OK && row)
        rc = tm_fail(
            err, TM_E_MISMATCH,
            "%s was filled from Kafka cluster \"%s\", this one is \"%s\": its offsets mean nothing "
            "here; give the sink another --warehouse",
            sqlite3_db_filename(db, "main"), (const char *)sqlite3_column_text(stmt, 0),
            cluster_id);
    sqlite3_finalize(stmt);
    return rc;
}

static enum tm_code offsets_put(sqlite3_stmt *stmt, const struct tm_sink_partition *p,
                                const char *cluster_id, struct tm_err *err)
{
    sqlite3_bind_text(stmt, 1, p->topic, -1, SQLITE_STATIC);
    sqlite3_bind_int(stmt, 2, p->partition);
    sqlite3_bind_int64(stmt, 3, p->next);
    sqlite3_bind_text(stmt, 4, cluster_id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 5, p->stored);
    enum tm_code rc = tm_sql_run(stmt, err);
    if (rc == TM_OK && sqlite3_changes(sqlite3_db_handle(stmt)) != 1)
        rc = tm_fail(err, TM_E_MISMATCH,
                     "offset of %s/%d is no longer %" PRId64
                     " as this sink left it: another process "
                     "writes the same warehouse; one sink a file",
                     p->topic, (int)p->partition, p->stored);
    return rc;
}

enum tm_code tm_sink_offsets_save(struct tm_sink_offsets *o, sqlite3 *db, const char *cluster_id,
                                  struct tm_err *err)
{
    /* Compare and set: no row changes when another process was faster. */
    static const char *const sql[] = {
        "INSERT OR IGNORE INTO _offsets(topic,partition,next_offset,cluster_id) SELECT ?1,?2,?3,?4 "
        "WHERE ?5<0",
        "UPDATE _offsets SET next_offset=?3,cluster_id=?4 WHERE topic=?1 AND partition=?2 AND "
        "next_offset=?5"
    };
    sqlite3_stmt *stmts[2] = { NULL, NULL };
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < o->count && rc == TM_OK; i++) {
        const struct tm_sink_partition *p = &o->items[i];
        int which = p->stored >= 0;
        if (p->next == p->stored)
            continue;
        if (stmts[which] == NULL)
            rc = tm_sql_prepare(&stmts[which], db, sql[which], err);
        if (rc == TM_OK)
            rc = offsets_put(stmts[which], p, cluster_id, err);
    }
    sqlite3_finalize(stmts[0]);
    sqlite3_finalize(stmts[1]);
    return rc;
}

void tm_sink_offsets_saved(struct tm_sink_offsets *o)
{
    for (size_t i = 0; i < o->count; i++)
        o->items[i].stored = o->items[i].next;
}

void tm_sink_offsets_undo(struct tm_sink_offsets *o)
{
    for (size_t i = 0; i < o->count; i++)
        o->items[i].next = o->items[i].stored;
}
