#include "mocks/salesforce/org_impl.h"
#include "base/org_db.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define ORG_ARENA_BYTES                                                                            \
    65536 /* ids brought to 18 characters in one change: TM_ORG_FIELDS_MAX of them */
static_assert(TM_ORG_FIELDS_MAX * TM_ID_BYTES < ORG_ARENA_BYTES, "the arena must not move while a "
                                                                 "change is written");

/* What the org keeps beside the witness's tables. bin: the delete log, hard-deleted records
 * included. No fsync: a killed mock loses nothing, and a run does not outlive the machine's boot; a
 * commit would wait for the disk, up to 0.1 s where other processes write too. */
static const char org_tables[] = "CREATE INDEX IF NOT EXISTS event_object ON event(object, "
                                 "replay_id);"
                                 "CREATE TABLE IF NOT EXISTS bin(object TEXT, id TEXT, deleted_ms "
                                 "INTEGER NOT NULL, PRIMARY KEY(object, id)) WITHOUT ROWID;"
                                 "CREATE INDEX IF NOT EXISTS bin_time ON bin(object, deleted_ms);"
                                 "CREATE TABLE IF NOT EXISTS usage_hour(hour INTEGER PRIMARY KEY, "
                                 "calls INTEGER NOT NULL, events INTEGER NOT NULL);"
                                 "PRAGMA wal_autocheckpoint=4000; PRAGMA synchronous=OFF";

void org_id_make(char out[TM_ID_BYTES], const char *prefix, uint64_t seed, int64_t number)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char id[16];
    uint64_t home = tm_hash64("instance", 8, seed), n = (uint64_t)number;
    memcpy(id, prefix, 3);
    id[3] = digits[home % 62];
    id[4] = digits[home / 62 % 62];
    for (int i = 14; i >= 5; i--, n /= 62)
        id[i] = digits[n % 62];
    id[15] = 0;
    enum tm_code rc = tm_id18(out, id, NULL);
    assert(rc == TM_OK);
    (void)rc;
}

void tm_org_id_of(const struct tm_org *org, char out[TM_ID_BYTES], const char *prefix,
                  int64_t number)
{
    org_id_make(out, prefix, org->settings.seed, number);
}

int64_t tm_org_ids_given(const struct tm_org *org, const char *object)
{
    const struct org_object *o = org_find(org, object);
    return o != NULL ? o->ids_given : 0;
}

enum tm_code org_counters_load(struct tm_org *org, struct tm_err *err)
{
    char text[32];
    enum tm_code rc = tm_sql_int64(&org->pos_last, org->db, "SELECT max(pos) FROM history", err);
    if (rc == TM_OK)
        rc = tm_sql_int64(&org->ms_last, org->db,
                          "SELECT org_ms FROM history ORDER BY pos DESC LIMIT 1", err);
    if (rc == TM_OK)
        rc = tm_sql_int64(&org->replay_last, org->db, "SELECT max(replay_id) FROM event", err);
    if (rc == TM_OK)
        rc = tm_sql_int64(&org->events_count, org->db, "SELECT count(*) FROM event", err);
    if (rc == TM_OK)
        rc = tm_org_meta_get(org, "txn_count", text, sizeof text, err);
    if (rc != TM_OK)
        return rc;
    org->txn_count = strtoll(text, NULL, 10);
    if ((rc = tm_org_meta_get(org, "replay_floor", text, sizeof text, err)) != TM_OK)
        return rc;
    int64_t floor = strtoll(text, NULL, 10); /* tm_org_replay_restart */
    org->replay_last = org->replay_last > floor ? org->replay_last : floor;
    for (size_t i = 0; i < org->objects_count && rc == TM_OK; i++) {
        struct org_object *o = &org->objects[i];
        char sql[256];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM history WHERE object='%.80s' AND version=1",
                 o->describe->object);
        rc = tm_sql_int64(&o->ids_given, org->db, sql, err);
        snprintf(sql, sizeof sql, "SELECT max(replay_id) FROM event WHERE object='%.80s'",
                 o->describe->object);
        if (rc == TM_OK)
            rc = tm_sql_int64(&o->replay_last, org->db, sql, err);
        o->replay_last = o->replay_last > floor ? o->replay_last : floor;
    }
    return rc;
}

enum tm_code tm_org_meta_set(struct tm_org *org, const char *key, const char *value,
                             struct tm_err *err)
{
    sqlite3_bind_text(org->meta, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(org->meta, 2, value, -1, SQLITE_STATIC);
    return tm_sql_run(org->meta, err);
}

enum tm_code tm_org_meta_get(struct tm_org *org, const char *key, char *out, size_t out_bytes,
                             struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    *out = 0;
    enum tm_code rc = tm_sql_prepare(&s, org->db, "SELECT value FROM meta WHERE key=?", err);
    if (rc == TM_OK) {
        sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
        rc = tm_sql_step(s, &row, err);
    }
    if (rc == TM_OK && row)
        snprintf(out, out_bytes, "%s",
                 sqlite3_column_text(s, 0) ? (const char *)sqlite3_column_text(s, 0) : "");
    tm_sql_finalize(s);
    return rc;
}

static enum tm_code org_meta_number(struct tm_org *org, const char *key, int64_t value,
                                    struct tm_err *err)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    return tm_org_meta_set(org, key, text, err);
}

/* Before anything else of the file is looked at: another format may have other tables. */
static enum tm_code org_format(struct tm_org *org, struct tm_err *err)
{
    char format[16] = "";
    int64_t there = 0;
    enum tm_code rc = tm_sql_own(org->db, "meta", err);
    if (rc == TM_OK)
        rc = tm_sql_int64(&there, org->db, "SELECT count(*) FROM sqlite_master WHERE name='meta'",
                          err);
    if (rc == TM_OK && there > 0)
        rc = tm_org_meta_get(org, "format", format, sizeof format, err);
    if (rc == TM_OK && *format && strcmp(format, "1") != 0)
        return tm_fail(err, TM_E_MISMATCH,
                       "%s has format %s, this program knows 1: use the program that made it, or "
                       "another file",
                       org->settings.path, format);
    return rc;
}

/* A file made before keeps its seed; the seed must fit, the rest of meta is brought up to
 * date. */
static enum tm_code org_meta_open(struct tm_org *org, const char *boot_id, struct tm_err *err)
{
    const struct tm_org_settings *s = &org->settings;
    char seed[32], want[32];
    enum tm_code rc = tm_org_meta_get(org, "seed", seed, sizeof seed, err);
    if (rc != TM_OK)
        return rc;
    snprintf(want, sizeof want, "%" PRIu64, s->seed);
    if (*seed && strcmp(seed, want) != 0)
        return tm_fail(err, TM_E_MISMATCH,
                       "%s was made with seed %s, not %s: use that seed or remove the file",
                       s->path, seed, want);
    const struct {
        const char *key, *text;
        int64_t number;
    } all[] = {
        { "format", "1", 0 },
        { "seed", want, 0 },
        { "org_id", org->id, 0 },
        { "boot_id", boot_id, 0 },
        { "edition", s->edition, 0 },
        { "scenario", s->scenario, 0 },
        { "compress", NULL, s->compress },
        { "org_origin_ms", NULL, s->origin_ms },
        { "publish_delay_ms", NULL, s->publish_delay_ms },
        { "index_lag_ms", NULL, s->index_lag_ms },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all && rc == TM_OK; i++) {
        if (all[i].text != NULL)
            rc = tm_org_meta_set(org, all[i].key, all[i].text, err);
        else if (i >= 6)
            rc = org_meta_number(org, all[i].key, all[i].number, err);
    }
    return rc;
}

static enum tm_code org_prepare(struct tm_org *org, struct tm_err *err)
{
    const struct {
        sqlite3_stmt **out;
        const char *sql;
    } all[] = {
        { &org->history, "INSERT INTO "
                         "history(pos,object,id,version,txn,seq,org_ms,intended_ms,intended_ns,"
                         "actual_ns,change,"
                         "event,replay_id,changed,fields) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)" },
        { &org->event, "INSERT INTO event(replay_id,object,change,pos,publish_ms,body) "
                       "VALUES(?,?,?,?,?,?)" },
        { &org->meta, "INSERT INTO meta VALUES(?,?) ON CONFLICT(key) DO UPDATE SET "
                      "value=excluded.value" },
        { &org->bin_add, "INSERT OR REPLACE INTO bin VALUES(?,?,?)" },
        { &org->bin_drop, "DELETE FROM bin WHERE object=? AND id=?" },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (tm_sql_prepare(all[i].out, org->db, all[i].sql, err) != TM_OK)
            return err != NULL ? err->code : TM_E_IO;
    return TM_OK;
}

static enum tm_code org_memory(struct tm_org *org, const struct tm_org_settings *s,
                               struct tm_err *err)
{
    const char *texts[4] = { s->path, s->objects_dir, s->edition, s->scenario };
    struct tm_buf *all[] = { &org->fields,          &org->changed,    &org->body,
                             &org->names,           &org->arena,      &org->pending.fields,
                             &org->pending.changed, &org->pending.ids };
    char *zeros = calloc(1, ORG_ARENA_BYTES);
    for (int i = 0; i < 4; i++)
        org->texts[i] = texts[i] != NULL ? strdup(texts[i]) : strdup("");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tm_buf_init(all[i], ORG_BODY_BYTES_MAX);
    org->mark = calloc(TM_ORG_FIELDS_MAX, 1);
    org->values = calloc(TM_ORG_FIELDS_MAX, sizeof *org->values);
    org->before = calloc(TM_ORG_FIELDS_MAX, sizeof *org->before);
    org->usage = calloc(ORG_USAGE_MAX, sizeof *org->usage);
    if (zeros != NULL)
        tm_buf_add(&org->arena, zeros, ORG_ARENA_BYTES);
    free(zeros);
    tm_buf_reset(&org->arena);
    if (org->arena.cap < ORG_ARENA_BYTES || org->mark == NULL || org->values == NULL ||
        org->before == NULL || org->usage == NULL || !org->texts[0] || !org->texts[1] ||
        !org->texts[2] || !org->texts[3])
        return tm_fail(err, TM_E_NOMEM, "org %s", s->path);
    org->settings = *s;
    org->settings.path = org->texts[0];
    org->settings.objects_dir = s->objects_dir != NULL ? org->texts[1] : NULL;
    org->settings.edition = org->texts[2];
    org->settings.scenario = org->texts[3];
    org->settings.boot_id = NULL;
    return TM_OK;
}

/* One writing process a file: counters and current values are kept in memory too. The descriptor is
 * opened before SQLite's and closed after it, since closing any descriptor of a file ends the POSIX
 * locks SQLite has on it. */
static enum tm_code org_lock(struct tm_org *org, struct tm_err *err)
{
    const char *path = org->settings.path;
    if (strcmp(path, ":memory:") == 0)
        return TM_OK;
    org->lock_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    org->made_file = org->lock_fd >= 0;
    if (org->lock_fd < 0 && errno == EEXIST)
        org->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (org->lock_fd < 0)
        return tm_fail(err, TM_E_ARG, "cannot write the org's file %s: %s", path, strerror(errno));
    if (flock(org->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return TM_OK;
    return tm_fail(err, TM_E_ARG,
                   "%s is in use by another tidemark serve: stop it, or take another file", path);
}

enum tm_code tm_org_open(struct tm_org **out, const struct tm_org_settings *settings,
                         struct tm_err *err)
{
    struct tm_org *org = calloc(1, sizeof *org);
    if (org == NULL)
        return tm_fail(err, TM_E_NOMEM, "org");
    org->lag_pos = -1;
    org->lock_fd = -1;
    enum tm_code rc = org_memory(org, settings, err);
    org_id_make(org->id, "00D", settings->seed, 1);
    org_id_make(org->user_id, "005", settings->seed, 1);
    if (rc == TM_OK)
        rc = org_lock(org, err);
    if (rc == TM_OK)
        rc = tm_sql_open(&org->db, settings->path, TM_SQL_CREATE, err);
    if (rc == TM_OK)
        rc = org_format(org, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(org->db, TM_ORG_DB_SCHEMA, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(org->db, org_tables, err);
    if (rc == TM_OK)
        rc = org_prepare(org, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(org->db, "BEGIN IMMEDIATE", err);
    if (rc == TM_OK)
        rc = org_meta_open(org, settings->boot_id, err);
    if (rc == TM_OK)
        rc = tm_sql_int64(&org->pos_last, org->db, "SELECT max(pos) FROM history", err);
    if (rc == TM_OK)
        rc = org_schema_load(org, err);
    if (rc == TM_OK)
        rc = org_counters_load(org, err);
    if (rc == TM_OK)
        rc = org_usage_load(org, err);
    if (rc == TM_OK)
        rc = org_quirks_load(org, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(org->db, "COMMIT", err);
    org->settings.objects = NULL;
    if (rc == TM_E_AGAIN)
        rc = tm_fail_retry(err, TM_E_IO, "%s is locked by another process", settings->path);
    if (rc != TM_OK) {
        bool made_file = org->made_file;
        org->usage_count = 0;
        tm_org_close(org);
        if (made_file) /* nothing half-made is left, which the next start would take for an org */
            unlink(settings->path);
        return rc;
    }
    *out = org;
    return TM_OK;
}

void tm_org_close(struct tm_org *org)
{
    if (org == NULL)
        return;
    if (org->leave != NULL)
        org->leave(org->leave_self);
    if (org->batch)
        tm_sql_exec(org->db, "ROLLBACK", NULL);
    org->batch = false;
    if (org->gathers)
        tm_org_settle(org, NULL);
    if (org->usage_count > 0)
        tm_org_usage_flush(org, NULL);
    for (size_t i = 0; i < org->objects_count; i++)
        org_object_close(&org->objects[i]);
    struct tm_buf *all[] = { &org->fields,          &org->changed,    &org->body,
                             &org->names,           &org->arena,      &org->pending.fields,
                             &org->pending.changed, &org->pending.ids };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tm_buf_free(all[i]);
    for (int i = 0; i < 4; i++)
        free(org->texts[i]);
    free(org->mark);
    free(org->values);
    free(org->before);
    free(org->usage);
    free(org->locks);
    json_decref(org->faults_waiting);
    tm_sql_close(org->db);
    if (org->lock_fd >= 0)
        close(org->lock_fd);
    free(org);
}

const char *tm_org_id(const struct tm_org *org)
{
    return org->id;
}
const char *tm_org_user_id(const struct tm_org *org)
{
    return org->user_id;
}
const struct tm_org_settings *tm_org_settings(const struct tm_org *org)
{
    return &org->settings;
}
int64_t tm_org_pos_last(const struct tm_org *org)
{
    return org->pos_last;
}
int64_t tm_org_ms_last(const struct tm_org *org)
{
    return org->ms_last;
}
sqlite3 *tm_org_db(struct tm_org *org)
{
    return org->db;
}
