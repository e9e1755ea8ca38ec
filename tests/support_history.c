#include "tests/support_history.h"
#include "base/org_db.h"
#include "base/text.h"
#include "check/vhash.h"
#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char history_dir[] = "/tmp/tidemark-history-XXXXXX";
static int64_t history_origin_wall_ns = HISTORY_WALL_NS;
static int history_compress = HISTORY_COMPRESS;

static const char history_describe[] =
    "{\"name\":\"Opportunity\",\"keyPrefix\":\"006\",\"label\":\"Opportunity\",\"fields\":["
    "{\"name\":\"Id\",\"type\":\"id\"},{\"name\":\"IsDeleted\",\"type\":\"boolean\"},{\"name\":"
    "\"Name\",\"type\":\"string\"},"
    "{\"name\":\"Stage\",\"type\":\"picklist\"},{\"name\":\"Amount\",\"type\":\"currency\","
    "\"scale\":2,\"precision\":18},"
    "{\"name\":\"Private\",\"type\":\"boolean\"},{\"name\":\"LastModifiedDate\",\"type\":"
    "\"datetime\"},"
    "{\"name\":\"SystemModstamp\",\"type\":\"datetime\"},{\"name\":\"Expected\",\"type\":"
    "\"currency\",\"calculated\":true},"
    "{\"name\":\"Place\",\"type\":\"address\"}%s]}";

static void history_clean(void)
{
    char command[200];
    snprintf(command, sizeof command, "rm -rf '%s'", history_dir);
    if (system(command) != 0)
        fprintf(stderr, "%s stays behind\n", history_dir);
}

const char *history_folder(void)
{
    static int made;
    if (!made) {
        char *folder = mkdtemp(history_dir);
        assert(folder != NULL);
        atexit(history_clean);
        made = 1;
    }
    return history_dir;
}

const char *history_path(const char *name)
{
    static char paths[64][200];
    static int count;
    char *path = paths[count++ % 64];
    snprintf(path, 200, "%s/%s", history_folder(), name);
    return path;
}

int64_t history_org_ms(double minutes)
{
    return HISTORY_ORIGIN_MS + (int64_t)(minutes * HISTORY_MINUTE_MS);
}

int64_t history_wall_ns(double minutes)
{
    return history_origin_wall_ns + (int64_t)(minutes * HISTORY_MINUTE_MS * 1e6) / history_compress;
}

int64_t history_stamp(double minutes)
{
    return history_org_ms(minutes) / 1000 * 1000;
}

void history_id(char out[19], int n)
{
    char short_id[32];
    snprintf(short_id, sizeof short_id, "006000000000%03u", (unsigned)n % 1000);
    enum tm_code rc = tm_id18(out, short_id, NULL);
    assert(rc == TM_OK);
}

void history_exec(sqlite3 *db, const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, why);
        abort();
    }
}

static sqlite3 *history_open(const char *path)
{
    sqlite3 *db;
    unlink(path);
    int rc = sqlite3_open(path, &db);
    assert(rc == SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    history_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF");
    return db;
}

static void history_describe_add(sqlite3 *org, int64_t from_pos, const char *more)
{
    char text[3000];
    snprintf(text, sizeof text, history_describe, more);
    char *sql = sqlite3_mprintf("INSERT INTO describe VALUES('Opportunity', %lld, %Q)",
                                (long long)from_pos, text);
    history_exec(org, sql);
    sqlite3_free(sql);
}

sqlite3 *history_org(const char *path, int compress, int64_t origin_wall_ns)
{
    sqlite3 *org = history_open(path);
    history_compress = compress;
    history_origin_wall_ns = origin_wall_ns;
    history_exec(org, TM_ORG_DB_SCHEMA);
    char *sql = sqlite3_mprintf(
        "INSERT INTO meta VALUES('format','1'),('compress','%d'),('org_origin_ms','%lld'),"
        "('wall_origin_ns','%lld'),('workload_done','1')",
        compress, (long long)HISTORY_ORIGIN_MS, (long long)origin_wall_ns);
    history_exec(org, sql);
    sqlite3_free(sql);
    history_describe_add(org, 1, "");
    return org;
}

void history_add_field(sqlite3 *org)
{
    history_describe_add(org, 1000000,
                         ",{\"name\":\"Extra__c\",\"type\":\"string\",\"custom\":true}");
}

static int64_t history_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    assert(rc == SQLITE_OK);
    rc = sqlite3_step(stmt);
    assert(rc == SQLITE_ROW);
    int64_t number = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return number;
}

int64_t history_commit(sqlite3 *org, int n, const char *change, const char *event, double minutes,
                       const char *fields)
{
    char id[19], sql[200];
    int64_t pos = history_number(org, "SELECT coalesce(max(pos), 0) + 1 FROM history");
    int64_t org_ms = history_org_ms(minutes);
    sqlite3_stmt *stmt;
    json_t *all = json_loads(fields, 0, NULL);
    assert(all != NULL);
    history_id(id, n);
    json_object_set_new(all, "SystemModstamp", json_integer(history_stamp(minutes)));
    json_object_set_new(all, "LastModifiedDate", json_integer(history_stamp(minutes)));
    char *text = json_dumps(all, JSON_COMPACT);
    snprintf(sql, sizeof sql, "SELECT count(*) + 1 FROM history WHERE id = '%s'", id);
    int64_t version = history_number(org, sql);
    int rc = sqlite3_prepare_v2(
        org, "INSERT INTO history VALUES(?1,'Opportunity',?2,?3,?4,1,?5,?5,?6,?6,?7,?8,?1,'[]',?9)",
        -1, &stmt, NULL);
    assert(rc == SQLITE_OK);
    sqlite3_bind_int64(stmt, 1, pos);
    sqlite3_bind_text(stmt, 2, id, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(stmt, 3, version);
    snprintf(sql, sizeof sql, "txn-%lld", (long long)pos);
    sqlite3_bind_text(stmt, 4, sql, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(stmt, 5, org_ms);
    if (minutes >= 0)
        sqlite3_bind_int64(stmt, 6, history_wall_ns(minutes));
    sqlite3_bind_text(stmt, 7, change, -1, SQLITE_TRANSIENT);
    if (event != NULL)
        sqlite3_bind_text(stmt, 8, *event == '\0' ? change : event, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(stmt, 9, text, -1, SQLITE_TRANSIENT);
    rc = sqlite3_step(stmt);
    assert(rc == SQLITE_DONE);
    sqlite3_finalize(stmt);
    free(text);
    json_decref(all);
    return pos;
}

sqlite3 *history_warehouse(const char *path)
{
    sqlite3 *w = history_open(path);
    history_exec(
        w, "CREATE TABLE Opportunity(Id TEXT PRIMARY KEY, Name TEXT, Stage TEXT, Amount REAL, "
           "Private INTEGER,"
           " LastModifiedDate INTEGER, _dirty INTEGER, _seq INTEGER); CREATE INDEX o_seq ON "
           "Opportunity(_seq);"
           "CREATE TABLE Opportunity_removed(Id TEXT PRIMARY KEY, _seq INTEGER);"
           "CREATE TABLE Opportunity_dirty(Id TEXT, position INTEGER, kind TEXT, _unknown TEXT);"
           "CREATE TABLE _polls(poll INTEGER PRIMARY KEY, object TEXT, mode TEXT, grid_org_ms, "
           "skipped INTEGER,"
           " started_org_ms, started_ns, finished_ns, seq_first, seq_last, calls, rows, bytes);"
           "CREATE TABLE _last(seq INTEGER); INSERT INTO _last VALUES(0);");
    return w;
}

int64_t history_seq(sqlite3 *w)
{
    return history_number(w, "SELECT seq FROM _last");
}

static void history_run(sqlite3 *w, char *sql)
{
    history_exec(w, sql);
    sqlite3_free(sql);
}

void history_put(sqlite3 *w, int n, const char *name, const char *stage, double amount, int private,
                 int64_t stamp, int dirty)
{
    char id[19];
    history_id(id, n);
    history_run(
        w,
        sqlite3_mprintf(
            "BEGIN; UPDATE _last SET seq = seq + 1; DELETE FROM Opportunity_removed WHERE Id = %Q;"
            "INSERT OR REPLACE INTO Opportunity SELECT %Q, %Q, %Q, %.17g, %d, %lld, %d, seq FROM "
            "_last;"
            "COMMIT",
            id, id, name, stage, amount, private, (long long)stamp, dirty));
}

void history_remove(sqlite3 *w, int n)
{
    char id[19];
    history_id(id, n);
    history_run(w,
                sqlite3_mprintf(
                    "BEGIN; UPDATE _last SET seq = seq + 1; DELETE FROM Opportunity WHERE Id = %Q;"
                    "INSERT OR REPLACE INTO Opportunity_removed SELECT %Q, seq FROM _last; COMMIT",
                    id, id));
}

void history_poll(sqlite3 *w, const char *mode, double grid_minutes, double finished_minutes,
                  int64_t seq_first, int64_t skipped)
{
    history_run(w, sqlite3_mprintf("INSERT INTO _polls VALUES(NULL, 'Opportunity', %Q, %lld, %lld, "
                                   "%lld, %lld, %lld, %lld, "
                                   "(SELECT seq FROM _last), 1, 1, 100)",
                                   mode, (long long)history_org_ms(grid_minutes),
                                   (long long)skipped, (long long)history_org_ms(grid_minutes),
                                   (long long)history_wall_ns(grid_minutes),
                                   (long long)history_wall_ns(finished_minutes),
                                   (long long)seq_first));
}

void history_stand_open(struct history_stand *s, const char *name)
{
    char path[220];
    struct tm_err err = { 0 };
    uint32_t column;
    static const char *const columns[] = { "Name", "Stage", "Amount", "Private",
                                           "LastModifiedDate" };
    *s = (struct history_stand){ 0 };
    snprintf(path, sizeof path, "%s/%s.org.db", history_folder(), name);
    s->org = history_org(path, HISTORY_COMPRESS, HISTORY_WALL_NS);
    enum tm_code rc = tm_truth_open(&s->truth, path, &err);
    assert(rc == TM_OK);
    rc = tm_shown_open(&s->shown, &err);
    assert(rc == TM_OK);
    rc = tm_shown_object(s->shown, "Opportunity", &s->object, &err);
    for (size_t i = 0; rc == TM_OK && i < 5; i++)
        rc = tm_shown_column(s->shown, s->object, columns[i], &column, &err);
    assert(rc == TM_OK);
    s->timing = (struct tm_timing){ .kind = TM_PIPELINE_STREAM,
                                    .compress = HISTORY_COMPRESS,
                                    .org_origin_ms = HISTORY_ORIGIN_MS,
                                    .wall_origin_ns = HISTORY_WALL_NS,
                                    .start_us = HISTORY_ORIGIN_MS * 1000,
                                    .end_us = history_org_ms(60) * 1000 };
}

void history_stand_close(struct history_stand *s)
{
    tm_match_close(s->match);
    tm_shown_close(s->shown);
    tm_truth_close(s->truth);
    sqlite3_close(s->org);
}

static void history_set(struct history_stand *s, int n, double minutes, double late_ms,
                        unsigned flags, const uint64_t *values)
{
    char id[19];
    uint32_t row;
    struct tm_err err = { 0 };
    int64_t at_ns = history_wall_ns(minutes) + (int64_t)(late_ms * 1e6);
    history_id(id, n);
    enum tm_code rc = tm_shown_row(s->shown, s->object, id, &row, &err);
    assert(rc == TM_OK);
    s->shown->reads++;
    rc = tm_shown_set(s->shown, row, flags, values, values == NULL ? 0 : 5, at_ns - 1000000, at_ns,
                      (int64_t)s->shown->obs_count + 1, NULL, &err);
    assert(rc == TM_OK);
}

static uint64_t history_text(const char *text)
{
    return text == NULL ? TM_VHASH_NULL : tm_vhash_text(text, strlen(text));
}

void history_show(struct history_stand *s, int n, double minutes, double late_ms, const char *name,
                  const char *stage, double amount, int private, int64_t stamp, unsigned flags)
{
    uint64_t values[5] = { history_text(name), history_text(stage), tm_vhash_real(amount),
                           tm_vhash_int(private), tm_vhash_int(stamp) };
    history_set(s, n, minutes, late_ms, flags | TM_SHOWN_PRESENT, values);
}

void history_hide(struct history_stand *s, int n, double minutes, double late_ms)
{
    history_set(s, n, minutes, late_ms, 0, NULL);
}

void history_match(struct history_stand *s)
{
    struct tm_err err = { 0 };
    size_t rows = 1;
    char text[700];
    const char *objects[] = { "Opportunity" };
    enum tm_code rc = TM_OK;
    while (rc == TM_OK && rows > 0)
        rc = tm_truth_tail(s->truth, 7, &rows, &err);
    tm_match_close(s->match);
    s->match = NULL;
    if (rc == TM_OK)
        rc = tm_match_make(&s->match, s->truth, s->shown, &s->timing, objects, 1, &err);
    if (rc != TM_OK) {
        fprintf(stderr, "%s\n", tm_err_text(&err, text, sizeof text));
        abort();
    }
}

const struct tm_sample *history_sample(const struct history_stand *s, int64_t pos)
{
    return &s->match->samples[pos - 1];
}

uint64_t history_final(const struct history_stand *s, enum tm_row_class class, int flagged)
{
    return s->match->final[1u + 2u * (unsigned)class + (unsigned)flagged];
}

uint64_t history_differing(const struct history_stand *s)
{
    uint64_t rows = 0;
    for (int class = TM_ROW_MISSING; class < TM_ROW_CLASSES; class ++)
        rows += history_final(s, (enum tm_row_class) class, 0) +
                history_final(s, (enum tm_row_class) class, 1);
    return rows;
}
