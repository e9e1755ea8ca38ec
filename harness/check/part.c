#include "check/part.h"
#include "base/text.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PART_NAME_BYTES 160

struct part_work {
    const struct tm_check *c;
    const struct tm_part_facts *facts;
    const struct tm_check_target *target;
    sqlite3 *db; /* part.db; raw.db is attached as "raw", view.db as "view" */
};

static enum tm_code part_file(struct part_work *w, struct tm_err *err)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    char side[600];
    for (size_t i = 0; i < 3; i++) {
        snprintf(side, sizeof side, "%.580s%s", w->facts->path, suffixes[i]);
        if (unlink(side) != 0 && errno != ENOENT)
            return tm_fail(err, TM_E_IO, "cannot replace %s: %s", side, strerror(errno));
    }
    if (access(w->facts->raw, R_OK) != 0)
        return tm_fail(err, TM_E_ARG, "--raw %s: %s", w->facts->raw, strerror(errno));
    enum tm_code rc = tm_sql_open(&w->db, w->facts->path, TM_SQL_CREATE, err);
    if (rc == TM_OK) /* one file, that can be carried elsewhere */
        rc = tm_sql_exec(w->db, "PRAGMA journal_mode=DELETE", err);
    if (rc == TM_OK)
        rc = tm_sql_execf(w->db, err, "ATTACH %Q AS raw", w->facts->raw);
    if (rc == TM_OK && access(w->target->reader->path, F_OK) == 0) /* attaching would make it */
        rc = tm_sql_execf(w->db, err, "ATTACH %Q AS view", w->target->reader->path);
    if (rc == TM_OK)
        rc = tm_sql_exec(w->db, "BEGIN;" TM_PART_SCHEMA, err);
    return rc;
}

/* ---- meta ---- */

static enum tm_code part_number(struct part_work *w, const char *key, int64_t value,
                                struct tm_err *err)
{
    return tm_sql_execf(w->db, err, "INSERT INTO meta VALUES(%Q,%lld)", key, (long long)value);
}

static enum tm_code part_text(struct part_work *w, const char *key, const char *value,
                              struct tm_err *err)
{
    return tm_sql_execf(w->db, err, "INSERT INTO meta VALUES(%Q,%Q)", key, value);
}

static enum tm_code part_meta(struct part_work *w, struct tm_err *err)
{
    static const struct tm_audit none;
    const struct tm_full_read *f = &w->target->final;
    const struct tm_audit *a = w->target->audit != NULL ? w->target->audit : &none;
    const struct tm_reader *r = w->target->reader;
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = { { "format", TM_PART_FORMAT },
                    { "stop_ns", w->c->stop_ns },
                    { "probes", (int64_t)r->probes },
                    { "reads", (int64_t)r->reads },
                    { "busy", (int64_t)r->busy },
                    { "final_ok", f->ok },
                    { "final_rows", (int64_t)f->rows },
                    { "final_changed", (int64_t)f->changed },
                    { "final_begun_ns", f->begun_ns },
                    { "duplicates",
                      (int64_t)(f->duplicates > a->total.duplicates ? f->duplicates
                                                                    : a->total.duplicates) },
                    { "audit_count", (int64_t)a->total_count },
                    { "audit_rows", (int64_t)a->total.rows },
                    { "audit_left_out", (int64_t)a->total.left_out },
                    { "audit_differing", (int64_t)a->total.differing } };
    const struct {
        const char *key, *value;
    } texts[] = { { "host", w->facts->host },
                  { "warehouse", r->path },
                  { "raw", w->facts->raw },
                  { "org_id", w->facts->org_id },
                  { "org_boot_id", w->facts->org_boot_id },
                  { "final_example", f->example },
                  { "duplicate", f->duplicates > 0 ? f->duplicate : a->total.duplicate },
                  { "audit_example", a->total.example } };
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < sizeof numbers / sizeof numbers[0]; i++)
        rc = part_number(w, numbers[i].key, numbers[i].value, err);
    for (size_t i = 0; rc == TM_OK && i < sizeof texts / sizeof texts[0]; i++)
        rc = part_text(w, texts[i].key, texts[i].value, err);
    for (size_t i = 0; rc == TM_OK && i < w->facts->clocks_count; i++)
        rc = tm_sql_execf(w->db, err, "INSERT OR REPLACE INTO clock VALUES(%lld,%lld,%lld)",
                          (long long)w->facts->clocks[i].at_ns,
                          (long long)w->facts->clocks[i].offset.offset_ns,
                          (long long)w->facts->clocks[i].offset.bound_ns);
    return rc;
}

/* ---- what raw.db says of partitions ---- */

/* The rows themselves, for what a difference looks like: hashes cannot be read back. */
static enum tm_code part_copy(struct part_work *w, size_t n, struct tm_err *err)
{
    const struct tm_reader_object *o = &w->target->reader->objects[n];
    return o->found ? tm_sql_execf(w->db, err, "CREATE TABLE shown_%d AS SELECT * FROM view.\"%w\"",
                                   (int)n, o->name)
                    : TM_OK;
}

static const char *const part_tables[] = { "sfdc_cdc_%s_raw", "alerts_sfdc_%s_gap_events",
                                           "sfdc_recon_%s" };
enum { PART_RAW, PART_ALERTS, PART_RECON, PART_TABLES };

static void part_table(char out[PART_NAME_BYTES], const char *object, int table)
{
    char lower[80];
    tm_name_lower(lower, sizeof lower, object);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(out, PART_NAME_BYTES, part_tables[table], lower);
#pragma GCC diagnostic pop
}

static enum tm_code part_there(struct part_work *w, const char *table, bool *out,
                               struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    enum tm_code rc = tm_sql_prepare(
        &q, w->db, "SELECT 1 FROM raw.sqlite_master WHERE type='table' AND name=?1", err);
    *out = false;
    if (rc == TM_OK) {
        sqlite3_bind_text(q, 1, table, -1, SQLITE_STATIC);
        rc = tm_sql_step(q, out, err);
    }
    tm_sql_finalize(q);
    return rc;
}

/* Which partitions each record lies in. */
static enum tm_code part_places(struct part_work *w, size_t object, const char *table,
                                struct tm_err *err)
{
    return tm_sql_execf(w->db, err,
                        "INSERT INTO temp.place SELECT %d, Id, min(_partition), max(_partition) "
                        "FROM raw.\"%w\" WHERE length(Id)=18 GROUP BY Id",
                        (int)object, table);
}

static enum tm_code part_object(struct part_work *w, size_t n, struct tm_err *err)
{
    const struct tm_reader_object *o = &w->target->reader->objects[n];
    char table[PART_NAME_BYTES];
    bool there = false;
    enum tm_code rc = tm_sql_execf(w->db, err, "INSERT INTO relation VALUES(%d,%Q,%d,%d,%lld,NULL)",
                                   (int)n, o->name, (int)o->found, (int)o->starred,
                                   (long long)w->target->final.query_ns[n]);
    if (rc == TM_OK)
        rc = part_copy(w, n, err);
    for (int t = 0; rc == TM_OK && t < PART_TABLES; t++) {
        part_table(table, o->name, t);
        rc = part_there(w, table, &there, err);
        if (rc == TM_OK && there && t != PART_ALERTS)
            rc = part_places(w, n, table, err);
        if (rc == TM_OK && there && t == PART_RECON)
            rc = tm_sql_execf(w->db, err,
                              "UPDATE relation SET partitions=(SELECT max(_partitions) FROM "
                              "raw.\"%w\" WHERE _kind='end') WHERE object=%d",
                              table, (int)n);
    }
    return rc;
}

/* The object whose topic this is, or -1. */
static int part_object_of(const struct part_work *w, const char *topic)
{
    char sanitized[PART_NAME_BYTES], table[PART_NAME_BYTES];
    tm_name_sanitize(sanitized, sizeof sanitized, topic);
    for (size_t n = 0; n < w->target->reader->objects_count; n++)
        for (int t = 0; t < PART_TABLES; t++) {
            part_table(table, w->target->reader->objects[n].name, t);
            if (strcmp(sanitized, table) == 0)
                return (int)n;
        }
    return -1;
}

/* A sink that shares its topics says what it was given last. */
static enum tm_code part_assigned(struct part_work *w, struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool there = false, row = false;
    enum tm_code rc = part_there(w, "_assigned", &there, err);
    if (rc != TM_OK || !there)
        return rc;
    rc = tm_sql_exec(w->db, "UPDATE offset SET assigned=0", err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&q, w->db, "SELECT DISTINCT topic FROM offset", err);
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        const char *topic = (const char *)sqlite3_column_text(q, 0);
        char table[PART_NAME_BYTES];
        tm_name_sanitize(table, sizeof table, topic);
        rc = tm_sql_execf(w->db, err,
                          "UPDATE offset SET assigned=1 WHERE topic=%Q AND partition IN (SELECT "
                          "partition FROM raw._assigned WHERE \"table\"=%Q)",
                          topic, table);
    }
    tm_sql_finalize(q);
    return rc;
}

static enum tm_code part_offsets(struct part_work *w, struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool there = false, row = false;
    enum tm_code rc = part_there(w, "_offsets", &there, err);
    if (rc == TM_OK && !there)
        return tm_fail(err, TM_E_ARG, "--raw %s: no table _offsets: not the file of a sink",
                       w->facts->raw);
    if (rc == TM_OK)
        rc = tm_sql_exec(w->db,
                         "INSERT INTO meta SELECT 'cluster_id', coalesce(max(cluster_id),'') FROM "
                         "raw._offsets",
                         err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&q, w->db, "SELECT topic,partition,next_offset FROM raw._offsets", err);
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        const char *topic = (const char *)sqlite3_column_text(q, 0);
        int object = part_object_of(w, topic);
        rc = tm_sql_execf(w->db, err,
                          object < 0 ? "INSERT INTO offset VALUES(%Q,%d,%lld,NULL,NULL)"
                                     : "INSERT INTO offset VALUES(%Q,%d,%lld,%d,NULL)",
                          topic, sqlite3_column_int(q, 1), (long long)sqlite3_column_int64(q, 2),
                          object);
    }
    tm_sql_finalize(q);
    return rc == TM_OK ? part_assigned(w, err) : rc;
}

static enum tm_code part_partitions(struct part_work *w, struct tm_err *err)
{
    enum tm_code rc = tm_sql_exec(
        w->db, "CREATE TEMP TABLE place(object INTEGER, id TEXT, least INTEGER, most INTEGER)",
        err);
    if (rc == TM_OK)
        rc = part_offsets(w, err);
    for (size_t n = 0; rc == TM_OK && n < w->target->reader->objects_count; n++)
        rc = part_object(w, n, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(w->db,
                         "INSERT INTO main.place SELECT object, id, CASE WHEN min(least)=max(most) "
                         "THEN min(least) ELSE -1 END FROM temp.place GROUP BY object, id",
                         err);
    return rc;
}

enum tm_code tm_part_write(const struct tm_check *c, const struct tm_part_facts *facts,
                           struct tm_err *err)
{
    struct part_work w = { .c = c, .facts = facts, .target = &c->targets[0] };
    assert(c->plan->pipelines_count == 1 && c->journal != NULL && facts->clocks_count > 0);
    enum tm_code rc = part_file(&w, err);
    if (rc == TM_OK)
        rc = part_meta(&w, err);
    if (rc == TM_OK)
        rc = part_partitions(&w, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(w.db, "COMMIT", err);
    tm_sql_close(w.db);
    return rc == TM_OK ? TM_OK : tm_at(err, "%s", facts->path);
}
