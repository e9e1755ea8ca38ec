#include "sink/offsets.h"
#include "sink/sink.h"
#include <assert.h>
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
    o->items[o->count] = (struct tm_sink_partition){ name, partition, -1, -1, false, false };
    return o->last_hit = o->count++;
}

/* ?2, ?3: the warehouse's numbers of this life. */
static void offsets_life(const struct tm_sink_offsets *o, sqlite3_stmt *stmt)
{
    sqlite3_bind_int(stmt, 2, o->base);
    sqlite3_bind_int(stmt, 3, o->base + TM_SINK_LIFE_PARTITIONS - 1);
}

enum tm_code tm_sink_offsets_open(struct tm_sink_offsets *o, sqlite3 *db, int life,
                                  struct tm_err *err)
{
    assert(life >= 0 && life < TM_SINK_LIVES_MAX);
    o->base = life * TM_SINK_LIFE_PARTITIONS;
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_exec(
        db,
        "CREATE TABLE IF NOT EXISTS _offsets(topic TEXT NOT NULL,partition INTEGER NOT NULL,"
        "next_offset INTEGER NOT NULL,cluster_id TEXT NOT NULL,PRIMARY KEY(topic,partition))"
        " WITHOUT ROWID",
        err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&stmt, db,
                            "SELECT topic,partition,next_offset FROM _offsets WHERE partition "
                            "BETWEEN ?2 AND ?3",
                            err);
    if (rc == TM_OK)
        offsets_life(o, stmt);
    while (rc == TM_OK && (rc = tm_sql_step(stmt, &row, err)) == TM_OK && row) {
        size_t i = tm_sink_offsets_find(o, (const char *)sqlite3_column_text(stmt, 0),
                                        sqlite3_column_int(stmt, 1) - o->base);
        if (i == SIZE_MAX)
            rc =
                tm_fail(err, TM_E_LIMIT, "_offsets has more than %d partitions, or memory is short",
                        TM_SINK_PARTITIONS_MAX);
        else
            o->items[i].next = o->items[i].stored = sqlite3_column_int64(stmt, 2);
    }
    tm_sql_finalize(stmt);
    return rc;
}

void tm_sink_offsets_close(struct tm_sink_offsets *o)
{
    for (size_t i = 0; i < o->count; i++)
        free(o->items[i].topic);
    free(o->items);
    memset(o, 0, sizeof *o);
}

enum tm_code tm_sink_offsets_check(const struct tm_sink_offsets *o, sqlite3 *db,
                                   const char *cluster_id, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_prepare(
        &stmt, db,
        "SELECT cluster_id FROM _offsets WHERE cluster_id<>?1 AND partition BETWEEN ?2 AND ?3 "
        "LIMIT 1",
        err);
    if (rc == TM_OK) {
        offsets_life(o, stmt);
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
    tm_sql_finalize(stmt);
    return rc;
}

static enum tm_code offsets_same(sqlite3_stmt *stmt, const struct tm_sink_partition *p,
                                 int32_t base, struct tm_err *err)
{
    bool row = false;
    sqlite3_bind_text(stmt, 1, p->topic, -1, SQLITE_STATIC);
    sqlite3_bind_int(stmt, 2, base + p->partition);
    enum tm_code rc = tm_sql_step(stmt, &row, err);
    int64_t there = rc == TM_OK && row ? sqlite3_column_int64(stmt, 0) : -1;
    sqlite3_reset(stmt);
    if (rc == TM_OK && there != p->stored)
        rc = tm_fail(err, TM_E_MISMATCH,
                     "offset of %s/%d is no longer %" PRId64
                     " as this sink left it: another process "
                     "writes the same warehouse; one sink a file",
                     p->topic, (int)p->partition, p->stored);
    return rc;
}

enum tm_code tm_sink_offsets_compare(const struct tm_sink_offsets *o, sqlite3 *db,
                                     const char *cluster_id, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    enum tm_code rc = tm_sink_offsets_check(o, db, cluster_id, err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(
            &stmt, db, "SELECT next_offset FROM _offsets WHERE topic=?1 AND partition=?2", err);
    for (size_t i = 0; i < o->count && rc == TM_OK; i++)
        if (o->items[i].moving)
            rc = offsets_same(stmt, &o->items[i], o->base, err);
    tm_sql_finalize(stmt);
    return rc;
}

enum tm_code tm_sink_offsets_save(struct tm_sink_offsets *o, sqlite3 *db, const char *cluster_id,
                                  struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    enum tm_code rc = tm_sql_prepare(
        &stmt, db,
        "INSERT OR REPLACE INTO _offsets(topic,partition,next_offset,cluster_id) VALUES(?1,?2,?3,"
        "?4)",
        err);
    for (size_t i = 0; i < o->count && rc == TM_OK; i++) {
        const struct tm_sink_partition *p = &o->items[i];
        if (p->next == p->stored)
            continue;
        assert(p->moving);
        sqlite3_bind_text(stmt, 1, p->topic, -1, SQLITE_STATIC);
        sqlite3_bind_int(stmt, 2, o->base + p->partition);
        sqlite3_bind_int64(stmt, 3, p->next);
        sqlite3_bind_text(stmt, 4, cluster_id, -1, SQLITE_STATIC);
        rc = tm_sql_run(stmt, err);
    }
    tm_sql_finalize(stmt);
    return rc;
}

void tm_sink_offsets_saved(struct tm_sink_offsets *o)
{
    for (size_t i = 0; i < o->count; i++) {
        o->items[i].stored = o->items[i].next;
        o->items[i].moving = false;
    }
}

void tm_sink_offsets_undo(struct tm_sink_offsets *o)
{
    for (size_t i = 0; i < o->count; i++)
        o->items[i].next = o->items[i].stored;
}

enum tm_code tm_sink_assigned_open(sqlite3 *db, struct tm_err *err)
{
    return tm_sql_exec(db,
                       "CREATE TABLE IF NOT EXISTS _assigned(\"table\" TEXT NOT NULL,partition "
                       "INTEGER NOT NULL,PRIMARY KEY(\"table\",partition)) WITHOUT ROWID",
                       err);
}

static enum tm_code assigned_rows(const struct tm_sink_offsets *o, sqlite3 *db,
                                  const char *(*name)(const void *self, const char *topic),
                                  const void *self, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    enum tm_code rc = tm_sql_exec(db, "DELETE FROM _assigned", err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&stmt, db, "INSERT OR IGNORE INTO _assigned VALUES(?1,?2)", err);
    for (size_t i = 0; i < o->count && rc == TM_OK; i++) {
        if (!o->items[i].held)
            continue;
        sqlite3_bind_text(stmt, 1, name(self, o->items[i].topic), -1, SQLITE_STATIC);
        sqlite3_bind_int(stmt, 2, o->base + o->items[i].partition);
        rc = tm_sql_run(stmt, err);
    }
    tm_sql_finalize(stmt);
    return rc;
}

enum tm_code tm_sink_assigned_save(const struct tm_sink_offsets *o, sqlite3 *db,
                                   const char *(*name)(const void *self, const char *topic),
                                   const void *self, struct tm_err *err)
{
    enum tm_code rc = tm_sql_exec(db, "BEGIN IMMEDIATE", err);
    if (rc == TM_OK)
        rc = assigned_rows(o, db, name, self, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(db, "COMMIT", err);
    if (rc != TM_OK && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}
