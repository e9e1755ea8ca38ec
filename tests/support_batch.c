#include "support_batch.h"
#include "base/text.h"
#include "base/sql.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tm_http_call {
    int status;
    char *body;
};

void poll_id(char out[19], int id)
{
    char id15[16];
    snprintf(id15, sizeof id15, "006%012d", id);
    assert_int_equal(tm_id18(out, id15, NULL), TM_OK);
}

static json_t *org_field(const char *name, const char *type, bool calculated)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:b, s:b}", "name", name, "label", name,
                     "type", type, "length", 255, "precision", 18, "scale", 2, "nillable", 1,
                     "calculated", (int)calculated);
}

static json_t *org_describe(const struct poll_org *o)
{
    json_t *fields = json_array();
    json_array_append_new(fields, org_field("Id", "id", false));
    json_array_append_new(fields, org_field("IsDeleted", "boolean", false));
    if (!o->no_name || o->describe_lags)
        json_array_append_new(fields, org_field("Name", "string", false));
    json_array_append_new(fields, org_field("Amount", "currency", false));
    json_array_append_new(fields, org_field("Total", "currency", true));
    json_array_append_new(fields, org_field("SystemModstamp", "datetime", false));
    if (o->extra)
        json_array_append_new(fields, org_field("Extra__c", "string", false));
    return json_pack("{s:s, s:s, s:s, s:o}", "name", "Thing", "label", "Thing", "keyPrefix", "006",
                     "fields", fields);
}

/* SOQL is SQL here once its times are text and `query` looks at a view without deleted rows. */
static void org_sql(struct tm_buf *out, const char *soql, bool all)
{
    for (const char *p = soql; *p != '\0';) {
        if (strncmp(p, "FROM Thing", 10) == 0) {
            tm_buf_addf(out, "FROM %s", all ? "Thing" : "Living");
            p += 10;
        } else if (strncmp(p, "20", 2) == 0 && strlen(p) >= 24 && p[4] == '-' && p[10] == 'T' &&
                   p[23] == 'Z') {
            tm_buf_addf(out, "'%.24s'", p);
            p += 24;
        } else {
            tm_buf_addc(out, *p++);
        }
    }
}

static json_t *org_record(sqlite3_stmt *q)
{
    json_t *r = json_pack("{s:{s:s}}", "attributes", "type", "Thing");
    for (int i = 0; i < sqlite3_column_count(q); i++) {
        const char *name = sqlite3_column_name(q, i);
        json_t *v;
        if (sqlite3_column_type(q, i) == SQLITE_NULL)
            v = json_null();
        else if (strcmp(name, "IsDeleted") == 0)
            v = json_boolean(sqlite3_column_int(q, i));
        else if (sqlite3_column_type(q, i) == SQLITE_TEXT)
            v = json_string((const char *)sqlite3_column_text(q, i));
        else
            v = json_real(sqlite3_column_double(q, i));
        json_object_set_new(r, name, v);
    }
    return r;
}

static json_t *org_page(struct poll_org *o, json_t *all, json_int_t total)
{
    json_t *page = json_array(), *rest = json_array();
    for (size_t i = 0; i < json_array_size(all); i++)
        json_array_append(i < (size_t)o->page_rows ? page : rest, json_array_get(all, i));
    json_decref(all);
    bool done = json_array_size(rest) == 0;
    json_t *answer =
        json_pack("{s:I, s:b, s:o}", "totalSize", total, "done", (int)done, "records", page);
    if (done) {
        json_decref(rest);
        return answer;
    }
    int slot = 0;
    while (o->results[slot] != NULL)
        assert_true(++slot < POLL_RESULTS_MAX);
    o->results[slot] = rest;
    json_object_set_new(answer, "nextRecordsUrl",
                        json_sprintf("/services/data/v59.0/query/01g-%d", slot));
    return answer;
}

static json_t *org_query(struct poll_org *o, const char *soql, bool all, int *status)
{
    struct tm_buf sql;
    sqlite3_stmt *q = NULL;
    json_t *rows = json_array();
    tm_buf_init(&sql, 1u << 20);
    snprintf(o->last_soql, sizeof o->last_soql, "%s", soql);
    org_sql(&sql, soql, all);
    if ((o->no_name && strstr(soql, ",Name") != NULL) ||
        (!o->extra && strstr(soql, ",Extra__c") != NULL) ||
        sqlite3_prepare_v2(o->db, tm_buf_text(&sql), -1, &q, NULL) != SQLITE_OK) {
        json_decref(rows);
        tm_buf_free(&sql);
        *status = 400;
        return json_pack("[{s:s, s:s}]", "message", "No such column", "errorCode", "INVALID_FIELD");
    }
    while (sqlite3_step(q) == SQLITE_ROW)
        json_array_append_new(rows, org_record(q));
    sqlite3_finalize(q);
    tm_buf_free(&sql);
    return org_page(o, rows, (json_int_t)json_array_size(rows));
}

static void org_decode(char *out, size_t bytes, const char *text)
{
    size_t n = 0;
    unsigned x;
    for (; *text != '\0' && *text != '&' && n + 1 < bytes; n++) {
        if (*text == '%' && sscanf(text + 1, "%2x", &x) == 1) {
            out[n] = (char)x;
            text += 3;
        } else {
            out[n] = *text == '+' ? ' ' : *text;
            text++;
        }
    }
    out[n] = '\0';
}

static json_t *org_answer(struct poll_org *o, const char *url, int *status)
{
    char soql[4000], now[TM_TIME_BYTES];
    const char *p;
    if (strstr(url, "/services/oauth2/token") != NULL)
        return json_pack("{s:s, s:s}", "access_token", "T", "instance_url", "http://org.test");
    if (strcmp(url, "http://org.test/services/data") == 0 ||
        strcmp(url, "http://org.test/services/data/") == 0)
        return json_pack("[{s:s}]", "version", "59.0");
    o->calls++;
    if (o->fail_after >= 0 && o->fail_count > 0 && o->fail_after-- == 0) {
        o->fail_after = 0;
        o->fail_count--;
        *status = o->fail_status;
        return json_pack("[{s:s, s:s}]", "message", "planted", "errorCode", o->fail_code);
    }
    if (strstr(url, "/describe") != NULL) {
        o->describes++;
        return org_describe(o);
    }
    if (strstr(url, "/deleted/") != NULL) {
        org_decode(o->last_deleted, sizeof o->last_deleted, url);
        return json_pack("{s:O, s:s, s:s}", "deletedRecords", o->deleted, "earliestDateAvailable",
                         "2026-02-20T00:00:00.000+0000", "latestDateCovered",
                         tm_time_rest(now, o->now_ms));
    }
    if ((p = strstr(url, "/query/01g-")) != NULL) {
        int slot = atoi(p + 11);
        json_t *rest = o->results[slot];
        o->results[slot] = NULL;
        return org_page(o, rest, 0);
    }
    p = strstr(url, "?q=");
    assert_non_null(p);
    org_decode(soql, sizeof soql, p + 3);
    return org_query(o, soql, strstr(url, "/queryAll") != NULL, status);
}

static enum tm_code fake_start(struct tm_http *http, struct tm_http_call **out,
                               const struct tm_http_request *request, struct tm_err *err)
{
    (void)err;
    struct tm_http_call *c = calloc(1, sizeof *c);
    c->status = 200;
    json_t *answer = org_answer((struct poll_org *)http, request->url, &c->status);
    c->body = json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(answer);
    http->counts.calls++;
    http->counts.bytes_in += strlen(c->body);
    *out = c;
    return TM_OK;
}

static enum tm_code fake_poll(struct tm_http *http, struct tm_http_call *call,
                              struct tm_http_reply *reply, struct tm_err *err)
{
    (void)http;
    (void)err;
    reply->status = call->status;
    tm_buf_addz(&reply->headers,
                "Content-Type: application/json\r\nSforce-Limit-Info: api-usage=90/100\r\n");
    tm_buf_addz(&reply->body, call->body);
    free(call->body);
    free(call);
    return TM_OK;
}

static void fake_cancel(struct tm_http *http, struct tm_http_call *call)
{
    (void)http;
    if (call != NULL)
        free(call->body);
    free(call);
}

static void fake_close(struct tm_http *http)
{
    (void)http;
}
static const struct tm_http_ops fake_ops = { fake_start, fake_poll, fake_cancel, fake_close };

/* ---- the world ---- */

static void org_exec(struct poll_org *o, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *sql = sqlite3_vmprintf(fmt, ap);
    va_end(ap);
    char *why = NULL;
    if (sqlite3_exec(o->db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    sqlite3_free(sql);
}

static const char *org_stamp(char out[TM_TIME_BYTES], int64_t stamp_s)
{
    return tm_time_z(out, POLL_ORIGIN_MS + stamp_s * 1000);
}

void poll_put(struct poll_world *w, int id, const char *name, int64_t stamp_s)
{
    char id18[19], stamp[TM_TIME_BYTES];
    poll_id(id18, id);
    org_exec(&w->org,
             "INSERT INTO Thing(Id, IsDeleted, Name, Amount, Total, SystemModstamp) "
             "VALUES(%Q,0,%Q,%d.5,1,%Q)"
             " ON CONFLICT(Id) DO UPDATE SET Name=excluded.Name, IsDeleted=0, "
             "SystemModstamp=excluded.SystemModstamp",
             id18, name, id, org_stamp(stamp, stamp_s));
}

void poll_delete(struct poll_world *w, int id, int64_t stamp_s)
{
    char id18[19], stamp[TM_TIME_BYTES];
    poll_id(id18, id);
    org_exec(&w->org, "UPDATE Thing SET IsDeleted=1, SystemModstamp=%Q WHERE Id=%Q",
             org_stamp(stamp, stamp_s), id18);
}

void poll_purge(struct poll_world *w, int id, int64_t deleted_s, bool told)
{
    char id18[19], when[TM_TIME_BYTES];
    poll_id(id18, id);
    org_exec(&w->org, "DELETE FROM Thing WHERE Id=%Q", id18);
    if (told)
        json_array_append_new(w->org.deleted,
                              json_pack("{s:s, s:s}", "id", id18, "deletedDate",
                                        tm_time_rest(when, POLL_ORIGIN_MS + deleted_s * 1000)));
}

void poll_world_open(struct poll_world *w, int rows)
{
    memset(w, 0, sizeof *w);
    w->org.http.ops = &fake_ops;
    w->org.page_rows = 2000;
    w->org.fail_after = -1;
    w->org.deleted = json_array();
    assert_int_equal(sqlite3_open(":memory:", &w->org.db), SQLITE_OK);
    org_exec(
        &w->org,
        "CREATE TABLE Thing(Id TEXT PRIMARY KEY, IsDeleted INT, Name TEXT, Amount REAL, Total REAL,"
        " SystemModstamp TEXT, Extra__c TEXT);"
        "CREATE VIEW Living AS SELECT * FROM Thing WHERE IsDeleted = 0; BEGIN");
    for (int i = 1; i <= rows; i++)
        poll_put(w, i, "first", i - rows - 1);
    org_exec(&w->org, "COMMIT");
    w->objects[0] = "Thing";
    w->settings =
        (struct tm_batch_settings){ .name = "batch-test",
                                    .objects = w->objects,
                                    .objects_count = 1,
                                    .interval_ms = 10 * POLL_MINUTE_MS,
                                    .inclusive = true,
                                    .start_ms = INT64_MIN,
                                    .full_at_ms = -1,
                                    .flag_column = "_deleted",
                                    .describe_each_poll = true,
                                    .formulas = true,
                                    .salesforce = { .instance = "http://org.test",
                                                    .username = "u",
                                                    .password = "p",
                                                    .password_token = "t",
                                                    .consumer_key = "k",
                                                    .consumer_secret = "s",
                                                    .api_version = "59.0",
                                                    .request_retry_ns_max = 5 * TM_NS_PER_S,
                                                    .auth_retry_ns_max = 5 * TM_NS_PER_S,
                                                    .seed = 1 } };
    snprintf(w->path, sizeof w->path, "/tmp/unit_batch.%ld.db", (long)getpid());
    unlink(w->path);
    w->now = (struct tm_now){ .org_ms = POLL_ORIGIN_MS, .wall_ns = TM_NS_PER_S };
}

static void poll_note(void *data, const char *text)
{
    struct poll_world *w = data;
    size_t n = strlen(w->notes);
    snprintf(w->notes + n, sizeof w->notes - n, "%s\n", text);
}

void poll_start(struct poll_world *w)
{
    assert_int_equal(
        tm_sf_session_open(&w->session, &w->org.http, &w->settings.salesforce, &w->err), TM_OK);
    if (tm_batch_open(&w->batch, &w->settings, w->session, &w->org.http, w->path, poll_note, w,
                      &w->err) != TM_OK)
        fail_msg("%s %s", w->err.ctx, w->err.msg);
    if (w->reader == NULL)
        assert_int_equal(tm_sql_open(&w->reader, w->path, TM_SQL_READ, &w->err), TM_OK);
}

void poll_crash(struct poll_world *w)
{
    tm_batch_close(w->batch);
    tm_sf_session_close(w->session);
    w->batch = NULL;
    w->session = NULL;
}

void poll_world_close(struct poll_world *w)
{
    char side[80];
    poll_crash(w);
    tm_sql_close(w->reader);
    sqlite3_close(w->org.db);
    json_decref(w->org.deleted);
    for (size_t i = 0; i < POLL_RESULTS_MAX; i++)
        json_decref(w->org.results[i]);
    unlink(w->path);
    snprintf(side, sizeof side, "%s-wal", w->path);
    unlink(side);
    snprintf(side, sizeof side, "%s-shm", w->path);
    unlink(side);
}

enum tm_code poll_step(struct poll_world *w)
{
    struct tm_wake wake = { TM_NEVER, TM_NEVER };
    w->org.now_ms = w->now.org_ms;
    enum tm_code rc = tm_batch_step(w->batch, &w->now, &wake, &w->err);
    w->now.wall_ns += TM_NS_PER_MS;
    if (rc == TM_E_AGAIN && wake.org_ms == TM_NEVER && wake.wall_ns != TM_NEVER &&
        wake.wall_ns > w->now.wall_ns)
        w->now.wall_ns = wake.wall_ns;
    return rc == TM_E_AGAIN && wake.org_ms == TM_NEVER ? TM_OK : rc;
}

enum tm_code poll_settle(struct poll_world *w)
{
    for (int i = 0; i < 200000; i++) {
        enum tm_code rc = poll_step(w);
        if (rc == TM_E_AGAIN)
            return TM_OK;
        if (rc != TM_OK)
            return rc;
    }
    fail_msg("the station does not come to rest");
    return TM_E_LIMIT;
}

enum tm_code poll_at(struct poll_world *w, int64_t minutes)
{
    w->now.org_ms = POLL_ORIGIN_MS + minutes * POLL_MINUTE_MS;
    return poll_settle(w);
}

int64_t poll_int(struct poll_world *w, const char *sql)
{
    int64_t n = -1;
    struct tm_err err = { .code = TM_OK };
    if (tm_sql_int64(&n, w->reader, sql, &err) != TM_OK)
        fail_msg("%s: %s", sql, err.msg);
    return n;
}
