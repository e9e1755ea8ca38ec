#include "mocks/salesforce/stream.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum stream_question {
    STREAM_PUT,
    STREAM_LAST,
    STREAM_PUBLISHED,
    STREAM_AFTER,
    STREAM_COUNT,
    STREAM_QUESTIONS
};
static const char *const stream_sql[STREAM_QUESTIONS] = {
    "INSERT INTO stream VALUES(?,?,?,?,?)",
    "SELECT replay_id,publish_ms FROM stream WHERE channel=? ORDER BY replay_id DESC LIMIT 1",
    "SELECT replay_id FROM stream WHERE channel=? AND publish_ms<=? ORDER BY publish_ms DESC, "
    "replay_id DESC LIMIT 1",
    "SELECT replay_id,publish_ms,body,event FROM stream WHERE channel=? AND replay_id>? ORDER BY "
    "replay_id",
    "SELECT count(*) FROM stream WHERE channel>? AND channel<? AND publish_ms>? AND publish_ms<=?"
};
static const char stream_tables[] =
    "CREATE TABLE IF NOT EXISTS stream(channel TEXT NOT NULL, replay_id INTEGER NOT NULL, "
    "publish_ms INTEGER NOT NULL, body TEXT NOT NULL, event TEXT NOT NULL, "
    "PRIMARY KEY(channel, replay_id)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS stream_time ON stream(channel, publish_ms, replay_id)";

struct tm_stream {
    struct tm_org *org;
    sqlite3_stmt *ask[STREAM_QUESTIONS];
};

enum tm_code tm_stream_open(struct tm_stream **out, struct tm_org *org, struct tm_err *err)
{
    struct tm_stream *s = calloc(1, sizeof *s);
    if (s == NULL)
        return tm_fail(err, TM_E_NOMEM, "streams");
    s->org = org;
    enum tm_code rc = tm_sql_exec(tm_org_db(org), stream_tables, err);
    for (int i = 0; i < STREAM_QUESTIONS && rc == TM_OK; i++)
        rc = tm_sql_prepare(&s->ask[i], tm_org_db(org), stream_sql[i], err);
    if (rc == TM_OK)
        *out = s;
    else
        tm_stream_close(s);
    return rc;
}

void tm_stream_close(struct tm_stream *s)
{
    if (s == NULL)
        return;
    for (int i = 0; i < STREAM_QUESTIONS; i++)
        tm_sql_finalize(s->ask[i]);
    free(s);
}

/* One row of a question with a channel and perhaps a number; false when there is none. The caller
 * resets the statement. */
static enum tm_code stream_row(struct tm_stream *s, enum stream_question question,
                               const char *channel, int64_t number, bool *out_row,
                               struct tm_err *err)
{
    sqlite3_bind_text(s->ask[question], 1, channel, -1, SQLITE_TRANSIENT);
    if (question != STREAM_LAST)
        sqlite3_bind_int64(s->ask[question], 2, number);
    return tm_sql_step(s->ask[question], out_row, err);
}

enum tm_code tm_stream_count(struct tm_stream *s, const char *kind, int64_t span_ms,
                             int64_t now_org_ms, int64_t *out, struct tm_err *err)
{
    sqlite3_stmt *ask = s->ask[STREAM_COUNT];
    int64_t upto_ms = now_org_ms + tm_org_settings(s->org)->publish_delay_ms;
    char first[40], past[40];
    bool row = false;
    snprintf(first, sizeof first, "/%s/", kind);
    snprintf(past, sizeof past, "/%s0", kind); /* '0' is the byte after '/' */
    sqlite3_bind_text(ask, 1, first, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(ask, 2, past, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(ask, 3, upto_ms - span_ms);
    sqlite3_bind_int64(ask, 4, upto_ms);
    enum tm_code rc = tm_sql_step(ask, &row, err);
    *out = rc == TM_OK && row ? sqlite3_column_int64(ask, 0) : 0;
    sqlite3_reset(ask);
    return rc;
}

/* ---- publishing ---- */

static int64_t stream_next_id(const struct tm_stream *s, const char *channel, int64_t last)
{
    uint64_t h = tm_hash64(channel, strlen(channel),
                           tm_org_settings(s->org)->seed ^ (uint64_t)last * 0x9e3779b9u);
    return last + 1 + (int64_t)(h % 8 == 0 ? h / 8 % 5 : 0);
}

static enum tm_code stream_insert(struct tm_stream *s, const char *channel, int64_t commit_ms,
                                  const char *body, const char *event, int64_t *out_replay_id,
                                  struct tm_err *err)
{
    int64_t publish_ms = commit_ms + tm_org_settings(s->org)->publish_delay_ms, last = 0;
    sqlite3_stmt *put = s->ask[STREAM_PUT];
    bool row = false;
    enum tm_code rc = stream_row(s, STREAM_LAST, channel, 0, &row, err);
    if (rc == TM_OK && row) {
        last = sqlite3_column_int64(s->ask[STREAM_LAST], 0);
        if (sqlite3_column_int64(s->ask[STREAM_LAST], 1) > publish_ms)
            publish_ms = sqlite3_column_int64(s->ask[STREAM_LAST], 1); /* ids and times agree */
    }
    sqlite3_reset(s->ask[STREAM_LAST]);
    if (rc != TM_OK)
        return rc;
    *out_replay_id = stream_next_id(s, channel, last);
    sqlite3_bind_text(put, 1, channel, -1, SQLITE_STATIC);
    sqlite3_bind_int64(put, 2, *out_replay_id);
    sqlite3_bind_int64(put, 3, publish_ms);
    sqlite3_bind_text(put, 4, body, -1, SQLITE_STATIC);
    sqlite3_bind_text(put, 5, event, -1, SQLITE_STATIC);
    rc = tm_sql_run(put, err);
    sqlite3_clear_bindings(put);
    return rc;
}

enum tm_code tm_stream_put(struct tm_stream *s, const char *channel, int64_t commit_ms,
                           const char *body, const char *event, int64_t *out_replay_id,
                           struct tm_err *err)
{
    sqlite3 *db = tm_org_db(s->org);
    bool own = sqlite3_get_autocommit(db) != 0;
    enum tm_code rc = own ? tm_sql_exec(db, "BEGIN IMMEDIATE", err) : TM_OK;
    if (rc != TM_OK)
        return rc;
    rc = stream_insert(s, channel, commit_ms, body, event, out_replay_id, err);
    if (rc == TM_OK && own)
        rc = tm_sql_exec(db, "COMMIT", err);
    if (rc != TM_OK && own)
        tm_sql_exec(db, "ROLLBACK", NULL);
    return rc;
}

/* ---- reading ---- */

int64_t tm_stream_last(struct tm_stream *s, const char *channel)
{
    bool row = false;
    int64_t last = 0;
    if (stream_row(s, STREAM_LAST, channel, 0, &row, NULL) == TM_OK && row)
        last = sqlite3_column_int64(s->ask[STREAM_LAST], 0);
    sqlite3_reset(s->ask[STREAM_LAST]);
    return last;
}

enum tm_code tm_stream_tip(struct tm_stream *s, const char *channel, int64_t now_org_ms,
                           int64_t *out, struct tm_err *err)
{
    bool row = false;
    enum tm_code rc = stream_row(s, STREAM_PUBLISHED, channel, now_org_ms, &row, err);
    *out = rc == TM_OK && row ? sqlite3_column_int64(s->ask[STREAM_PUBLISHED], 0) : 0;
    sqlite3_reset(s->ask[STREAM_PUBLISHED]);
    return rc;
}

enum tm_code tm_stream_oldest(struct tm_stream *s, const char *channel, int64_t retention_ms,
                              int64_t now_org_ms, int64_t *out, struct tm_err *err)
{
    return tm_stream_tip(s, channel, now_org_ms - retention_ms, out, err);
}

enum tm_code tm_stream_events(struct tm_stream *s, const char *channel, int64_t retention_ms,
                              int64_t replay_after, int64_t now_org_ms, size_t count_max,
                              tm_org_event_row *out, void *data, struct tm_err *err)
{
    sqlite3_stmt *after = s->ask[STREAM_AFTER];
    int64_t oldest = 0;
    bool row = true;
    enum tm_code rc = tm_stream_oldest(s, channel, retention_ms, now_org_ms, &oldest, err);
    if (rc == TM_OK && replay_after < oldest)
        return tm_fail(err, TM_E_GAP, "events of %s after replay id %lld are no longer retained",
                       channel, (long long)replay_after);
    for (size_t count = 0; rc == TM_OK && count < count_max; count++) {
        rc = count == 0 ? stream_row(s, STREAM_AFTER, channel, replay_after, &row, err)
                        : tm_sql_step(after, &row, err);
        if (rc != TM_OK || !row)
            break;
        struct tm_org_event e = { .replay_id = sqlite3_column_int64(after, 0),
                                  .publish_ms = sqlite3_column_int64(after, 1),
                                  .object = "",
                                  .body = (const char *)sqlite3_column_text(after, 2),
                                  .body_bytes = (size_t)sqlite3_column_bytes(after, 2),
                                  .event = (const char *)sqlite3_column_text(after, 3) };
        if (e.publish_ms > now_org_ms || !out(data, &e))
            break;
    }
    sqlite3_reset(after);
    return rc;
}

enum tm_code tm_stream_next_ms(struct tm_stream *s, const char *channel, int64_t replay_after,
                               int64_t *out, struct tm_err *err)
{
    bool row = false;
    enum tm_code rc = stream_row(s, STREAM_AFTER, channel, replay_after, &row, err);
    *out = rc == TM_OK && row ? sqlite3_column_int64(s->ask[STREAM_AFTER], 1) : TM_NEVER;
    sqlite3_reset(s->ask[STREAM_AFTER]);
    return rc;
}

/* ---- planted faults ---- */

/* Older than anything is kept; ids and times go on to agree. */
#define STREAM_PAST_MS (30 * TM_STREAM_DAY_MS)

enum tm_code tm_stream_forget(struct tm_stream *s, int64_t now_org_ms, struct tm_err *err)
{
    return tm_sql_execf(tm_org_db(s->org), err,
                        "UPDATE stream SET publish_ms=publish_ms-%lld WHERE publish_ms<=%lld",
                        (long long)STREAM_PAST_MS, (long long)now_org_ms);
}

enum tm_code tm_stream_reset(struct tm_stream *s, struct tm_err *err)
{
    return tm_sql_exec(tm_org_db(s->org), "DELETE FROM stream", err);
}
