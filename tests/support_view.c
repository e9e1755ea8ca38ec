#include "support_view.h"
#include "view/sql.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void sv_ok(enum tm_code rc, const struct tm_err *err)
{
    char text[700];
    if (rc != TM_OK)
        fail_msg("%s: %s", tm_code_name(rc), tm_err_text(err, text, sizeof text));
}

void sv_sql(sqlite3 *db, const char *sql)
{
    struct tm_err err = { .code = TM_OK };
    sv_ok(tm_sql_exec(db, sql, &err), &err);
}

static void sv_view_open(struct sv_world *w)
{
    static const char *const objects[] = { "Thing" };
    const struct tm_view_settings settings = { .raw_path = w->raw_path,
                                               .objects = objects,
                                               .objects_count = 1,
                                               .poll_ns = TM_NS_PER_MS,
                                               .rows_max = w->rows_max };
    struct tm_err err = { .code = TM_OK };
    sv_ok(tm_sql_open(&w->db, w->view_path, TM_SQL_CREATE, &err), &err);
    sv_sql(w->db, "PRAGMA synchronous=OFF");
    sv_ok(tm_view_open(&w->view, &settings, &(struct tm_view_ports){ .db = w->db }, &err), &err);
}

void sv_open(struct sv_world *w)
{
    struct tm_err err = { .code = TM_OK };
    memset(w, 0, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "%s/sv_XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->raw_path, sizeof w->raw_path, "%s/raw.db", w->dir);
    snprintf(w->view_path, sizeof w->view_path, "%s/view.db", w->dir);
    sv_ok(tm_sql_open(&w->raw, w->raw_path, TM_SQL_CREATE, &err), &err);
    sv_sql(w->raw,
           "PRAGMA synchronous=OFF;"
           "CREATE TABLE sfdc_cdc_thing_raw(Id TEXT,ReplayId TEXT,ChangeEventHeader TEXT,A TEXT,B "
           "TEXT,LastName TEXT,"
           "_ObjectType TEXT,_EventType TEXT,_DiffFields TEXT,_epoch INTEGER,_topic "
           "TEXT,_partition INTEGER,_offset INTEGER,"
           "_written_ns INTEGER,UNIQUE(_topic,_partition,_offset));"
           "CREATE TABLE alerts_sfdc_thing_gap_events(Id TEXT,ReplayId TEXT,ChangeEventHeader "
           "TEXT,_kind TEXT,_reason TEXT,"
           "_epoch INTEGER,_topic TEXT,_partition INTEGER,_offset INTEGER,_written_ns INTEGER);"
           "CREATE TABLE sfdc_recon_thing(Id TEXT,_kind TEXT,_g INTEGER,_epoch INTEGER,_read_id "
           "TEXT,_read_seq INTEGER,"
           "_read_kind TEXT,_count INTEGER,_partitions INTEGER,A TEXT,B TEXT,LastName TEXT,_topic "
           "TEXT,_partition INTEGER,"
           "_offset INTEGER,_written_ns INTEGER);");
    sv_views(w);
    sv_view_open(w);
}

static void sv_view_close(struct sv_world *w)
{
    tm_view_close(w->view);
    tm_sql_close(w->db);
    w->view = NULL;
    w->db = NULL;
}

void sv_restart(struct sv_world *w)
{
    sv_view_close(w);
    sv_view_open(w);
}

void sv_close(struct sv_world *w)
{
    static const char *const files[] = { "raw.db",  "raw.db-wal",  "raw.db-shm",
                                         "view.db", "view.db-wal", "view.db-shm" };
    char path[160];
    sv_view_close(w);
    tm_sql_close(w->raw);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", w->dir, files[i]);
        unlink(path);
    }
    rmdir(w->dir);
}

static void sv_run(sqlite3 *db, const char *sql, const char *const *texts, size_t count)
{
    sqlite3_stmt *stmt = NULL;
    struct tm_err err = { .code = TM_OK };
    sv_ok(tm_sql_prepare(&stmt, db, sql, &err), &err);
    for (size_t i = 0; i < count; i++)
        sqlite3_bind_text(stmt, (int)i + 1, texts[i], -1, SQLITE_STATIC);
    sv_ok(tm_sql_run(stmt, &err), &err);
    sqlite3_finalize(stmt);
}

static const char *sv_number(char out[24], int64_t n)
{
    snprintf(out, 24, "%lld", (long long)n);
    return out;
}

/* B, or the column it has since it was retyped. */
static void sv_insert(struct sv_world *w, const char *head, bool retyped, const char *tail,
                      const char *const *texts, size_t count)
{
    char sql[512];
    snprintf(sql, sizeof sql, "%s,%s%s", head, retyped ? "B__double" : "B", tail);
    sv_run(w->raw, sql, texts, count);
}

void sv_event(struct sv_world *w, const struct sv_event *e)
{
    char header[1024], own_ids[80], n[3][24];
    snprintf(own_ids, sizeof own_ids, "[\"%s\"]", e->own);
    snprintf(
        header, sizeof header,
        "{\"entityName\":\"Thing\",\"recordIds\":%s,\"changeType\":\"%s\",\"changedFields\":%s,"
        "\"commitTimestamp\":1700000000000}",
        e->ids != NULL ? e->ids : own_ids, e->type, e->changed != NULL ? e->changed : "[]");
    const char *texts[] = { e->own,
                            sv_number(n[0], e->replay_id),
                            header,
                            e->values[0],
                            e->values[1],
                            e->values[2],
                            e->diff != NULL ? e->diff : "[]",
                            sv_number(n[1], e->epoch > 0 ? e->epoch : 1),
                            sv_number(n[2], ++w->offset) };
    sv_insert(w, "INSERT INTO sfdc_cdc_thing_raw(Id,ReplayId,ChangeEventHeader,A", e->retyped,
              ",LastName,_DiffFields,_epoch,_offset,_topic,_partition,_written_ns)"
              " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,'t',0,?9)",
              texts, sizeof texts / sizeof texts[0]);
}

void sv_alert(struct sv_world *w, int64_t epoch, int64_t replay_id, const char *id,
              const char *kind)
{
    char n[3][24];
    const char *texts[] = { id, sv_number(n[0], replay_id), kind, sv_number(n[1], epoch),
                            sv_number(n[2], ++w->offset) };
    sv_run(w->raw,
           "INSERT INTO alerts_sfdc_thing_gap_events VALUES(?1,?2,'{}',?3,'',?4,'a',0,?5,?5)",
           texts, sizeof texts / sizeof texts[0]);
}

void sv_answer(struct sv_world *w, const struct sv_answer *a)
{
    char n[7][24];
    const char *texts[] = { a->id,
                            a->kind,
                            sv_number(n[0], a->g),
                            sv_number(n[1], a->epoch > 0 ? a->epoch : 1),
                            a->read_id,
                            sv_number(n[2], a->seq),
                            a->read_kind != NULL ? a->read_kind : "ids",
                            sv_number(n[3], a->count),
                            sv_number(n[4], a->partitions),
                            a->values[0],
                            a->values[1],
                            a->values[2],
                            sv_number(n[5], a->partition),
                            sv_number(n[6], ++w->offset) };
    sv_insert(
        w,
        "INSERT INTO sfdc_recon_thing(Id,_kind,_g,_epoch,_read_id,_read_seq,_read_kind,_count,"
        "_partitions,A",
        a->retyped,
        ",LastName,_partition,_offset,_topic,_written_ns)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,'r',?14)",
        texts, sizeof texts / sizeof texts[0]);
}

void sv_copied(struct sv_world *w)
{
    sv_answer(w, &(struct sv_answer){
                     .read_id = "copy", .read_kind = "whole", .kind = "end", .partitions = 1 });
}

void sv_views(struct sv_world *w)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_buf sql;
    tm_buf_init(&sql, TM_VIEW_SQL_BYTES_MAX);
    sv_ok(tm_view_sql_for(w->raw, "Thing", &sql, &err), &err);
    sv_sql(w->raw, tm_buf_text(&sql));
    tm_buf_free(&sql);
}

void sv_retype(struct sv_world *w)
{
    if (w->retyped)
        return;
    w->retyped = true;
    sv_sql(w->raw, "ALTER TABLE sfdc_cdc_thing_raw ADD COLUMN B__double;"
                   "ALTER TABLE sfdc_recon_thing ADD COLUMN B__double");
    sv_views(w);
}

void sv_catch_up(struct sv_world *w)
{
    struct tm_err err = { .code = TM_OK };
    for (int steps = 0; steps < 100000; steps++) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        w->wall_ns += TM_NS_PER_MS;
        enum tm_code rc = tm_view_step(w->view, &(struct tm_now){ 0, w->wall_ns }, &wake, &err);
        if (rc == TM_E_AGAIN && wake.wall_ns > w->wall_ns)
            return;
        if (rc != TM_E_AGAIN)
            sv_ok(rc, &err);
    }
    fail_msg("option 2 never catches up");
}

static void sv_query(sqlite3 *db, struct tm_buf *out, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    struct tm_err err = { .code = TM_OK };
    bool row = false;
    sv_ok(tm_sql_prepare(&stmt, db, sql, &err), &err);
    for (;;) {
        sv_ok(tm_sql_step(stmt, &row, &err), &err);
        if (!row)
            break;
        tm_buf_addf(out, "%s\n", (const char *)sqlite3_column_text(stmt, 0));
    }
    sqlite3_finalize(stmt);
}

char *sv_dump(sqlite3 *db)
{
    struct tm_buf b;
    tm_buf_init(&b, 1u << 22);
    sv_query(db, &b,
             "SELECT Id||' '||ifnull(A,'-')||' '||ifnull(B,'-')||' '||ifnull(LastName,'-')||' "
             "'||_dirty FROM Thing"
             " ORDER BY Id");
    sv_query(db, &b,
             "SELECT '~'||Id||' '||kind||' '||position||' '||_epoch||' '||ifnull(_unknown,'-') "
             "FROM Thing_dirty"
             " ORDER BY Id,kind");
    char *text = strdup(tm_buf_text(&b));
    tm_buf_free(&b);
    assert_non_null(text);
    return text;
}

void sv_expect(struct sv_world *w, const char *expected)
{
    char *one = sv_dump(w->raw), *two;
    assert_string_equal(one, expected);
    sv_catch_up(w);
    two = sv_dump(w->db);
    assert_string_equal(two, expected);
    free(one);
    free(two);
}
