#include "topic/inbox.h"
#include "base/log.h"
#include "base/sql.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define INBOX_TEXT_BYTES_MAX (64u << 20)

struct tm_inbox {
    struct tm_topic *topic;
    struct tm_registry *registry;
    char *aside_path;
    sqlite3 *aside;
    struct tm_record records[TM_TOPIC_FETCH_MAX];
    size_t records_count, taken;
    struct tm_row row;
    struct tm_buf key, value; /* base64 of what goes aside */
    char reason[320];         /* of the record at `taken` that waits to be put aside; "" = none */
    uint64_t aside_count;
};

enum tm_code tm_inbox_open(struct tm_inbox **out, struct tm_topic *topic,
                           struct tm_registry *registry, const char *aside_path, struct tm_err *err)
{
    struct tm_inbox *in = calloc(1, sizeof *in);
    if (in == NULL || (in->aside_path = strdup(aside_path)) == NULL) {
        free(in);
        return tm_fail(err, TM_E_NOMEM, "inbox: %zu bytes", sizeof *in);
    }
    in->topic = topic;
    in->registry = registry;
    tm_row_init(&in->row);
    tm_buf_init(&in->key, INBOX_TEXT_BYTES_MAX);
    tm_buf_init(&in->value, INBOX_TEXT_BYTES_MAX);
    *out = in;
    return TM_OK;
}

void tm_inbox_close(struct tm_inbox *in)
{
    if (in == NULL)
        return;
    tm_sql_close(in->aside);
    tm_row_free(&in->row);
    tm_buf_free(&in->key);
    tm_buf_free(&in->value);
    free(in->aside_path);
    free(in);
}

enum tm_code tm_inbox_fetch(struct tm_inbox *in, struct tm_err *err)
{
    assert(in->taken == in->records_count);
    in->taken = in->records_count = 0;
    return in->topic->ops->fetch(in->topic, in->records, TM_TOPIC_FETCH_MAX, &in->records_count,
                                 err);
}

void tm_inbox_rewind(struct tm_inbox *in)
{
    in->taken = 0;
    in->reason[0] = '\0';
}

uint64_t tm_inbox_aside_count(const struct tm_inbox *in)
{
    return in->aside_count;
}

/* ---- what cannot be decoded ---- */

static void inbox_base64(struct tm_buf *out, const void *data, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = data;
    tm_buf_reset(out);
    for (size_t i = 0; i < bytes; i += 3) {
        size_t left = bytes - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                     (left > 2 ? p[i + 2] : 0U);
        char four[4] = { digits[v >> 18], digits[v >> 12 & 63],
                         left > 1 ? digits[v >> 6 & 63] : '=', left > 2 ? digits[v & 63] : '=' };
        tm_buf_add(out, four, 4);
    }
}

static enum tm_code inbox_put_aside(struct tm_inbox *in, const struct tm_record *r,
                                    struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    sqlite3_stmt *stmt = NULL;
    if (in->aside == NULL) {
        rc = tm_sql_open(&in->aside, in->aside_path, TM_SQL_CREATE, err);
        if (rc == TM_OK)
            rc = tm_sql_exec(
                in->aside,
                "CREATE TABLE IF NOT EXISTS aside(topic TEXT, partition INTEGER, offset INTEGER,"
                " reason TEXT, key TEXT, value TEXT, PRIMARY KEY(topic, partition, offset))",
                err);
    }
    if (rc == TM_OK)
        rc = tm_sql_prepare(&stmt, in->aside,
                            "INSERT OR IGNORE INTO aside VALUES(?1,?2,?3,?4,?5,?6)", err);
    if (rc != TM_OK)
        return rc;
    inbox_base64(&in->key, r->key, r->key_bytes);
    inbox_base64(&in->value, r->value, r->value_bytes);
    sqlite3_bind_text(stmt, 1, r->topic, -1, SQLITE_STATIC);
    sqlite3_bind_int(stmt, 2, r->partition);
    sqlite3_bind_int64(stmt, 3, r->offset);
    sqlite3_bind_text(stmt, 4, in->reason, -1, SQLITE_STATIC);
    if (r->key != NULL)
        sqlite3_bind_text(stmt, 5, tm_buf_text(&in->key), -1, SQLITE_STATIC);
    if (r->value != NULL)
        sqlite3_bind_text(stmt, 6, tm_buf_text(&in->value), -1, SQLITE_STATIC);
    rc = tm_sql_run(stmt, err);
    tm_sql_finalize(stmt);
    if (rc != TM_OK)
        return rc;
    in->aside_count +=
        (uint64_t)sqlite3_changes(in->aside); /* none when it was there from an earlier run */
    tm_log(TM_LOG_WARN, "topic %s partition %" PRId32 " offset %" PRId64 " kept aside in %s: %s",
           r->topic, r->partition, r->offset, in->aside_path, in->reason);
    in->reason[0] = '\0';
    in->taken++;
    return TM_OK;
}

static void inbox_reason(struct tm_inbox *in, const char *text)
{
    size_t bytes = strlen(text);
    if (bytes >= sizeof in->reason)
        bytes = sizeof in->reason - 1;
    memcpy(in->reason, bytes > 0 ? text : "?", bytes > 0 ? bytes : 1);
    in->reason[bytes > 0 ? bytes : 1] = '\0';
}

/* TM_OK: decoded, or `reason` says why not. Only the world's own failures (registry away, memory)
 * are errors. */
static enum tm_code inbox_decode(struct tm_inbox *in, const struct tm_now *now,
                                 const struct tm_record *r, struct tm_err *err)
{
    const struct tm_avro_schema *schema = NULL;
    struct tm_err bad = { .code = TM_OK };
    int32_t id = 0;
    enum tm_code rc;
    if (r->value == NULL)
        rc = tm_fail(&bad, TM_E_PROTO, "the record has no value");
    else
        rc = tm_avro_frame_id(&id, r->value, r->value_bytes, &bad);
    if (rc == TM_OK)
        rc = tm_registry_schema(in->registry, now, &schema, id, &bad);
    if (rc == TM_OK)
        rc = tm_avro_decode(schema, &in->row, r->value, r->value_bytes, &bad);
    if (rc == TM_OK || rc == TM_E_AGAIN)
        return rc;
    if (rc == TM_E_PROTO || rc == TM_E_ARG || rc == TM_E_LIMIT) {
        inbox_reason(in, bad.msg);
        return TM_OK;
    }
    if (err != NULL && err->code == TM_OK)
        *err = bad;
    return rc;
}

enum tm_code tm_inbox_take(struct tm_inbox *in, const struct tm_now *now,
                           const struct tm_record **out_record, const struct tm_row **out_row,
                           struct tm_err *err)
{
    *out_record = NULL;
    while (in->taken < in->records_count) {
        const struct tm_record *r = &in->records[in->taken];
        enum tm_code rc = in->reason[0] == '\0' ? inbox_decode(in, now, r, err) : TM_OK;
        if (rc == TM_OK && in->reason[0] != '\0') {
            if ((rc = inbox_put_aside(in, r, err)) == TM_OK)
                continue;
        }
        if (rc != TM_OK)
            return rc;
        in->taken++;
        *out_record = r;
        *out_row = &in->row;
        return TM_OK;
    }
    return TM_OK;
}

enum tm_code tm_inbox_refuse(struct tm_inbox *in, const char *reason, struct tm_err *err)
{
    assert(in->taken > 0);
    in->taken--; /* the record just taken; put_aside passes it again */
    inbox_reason(in, reason);
    enum tm_code rc = inbox_put_aside(in, &in->records[in->taken], err);
    return rc == TM_E_AGAIN ? TM_OK : rc; /* busy: the next take does it */
}

enum tm_code tm_inbox_commit(struct tm_inbox *in, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < in->records_count; i++) {
        const struct tm_record *r = &in->records[i],
                               *next = i + 1 < in->records_count ? r + 1 : NULL;
        if (next == NULL || next->partition != r->partition || strcmp(next->topic, r->topic) != 0)
            rc = in->topic->ops->commit(in->topic, r->topic, r->partition, r->offset + 1, err);
    }
    return rc;
}
