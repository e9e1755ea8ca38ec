#include "mocks/salesforce/org_impl.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_PURGE_MAX 500    /* records one purge takes out of the bin */
#define READ_LAG_STEP_MS 1000 /* org time: steps of the lagged copies closer than this wait */

/* ---- the org as it was V ago: a copy rolled forward from history ---- */
static enum tm_code read_store(struct org_object *o, sqlite3_stmt *s,
                               const struct tm_org_value *values, int64_t version, const char *id,
                               int64_t rowid, struct tm_err *err)
{
    int at = 1;
    sqlite3_bind_int64(s, at++, version);
    if (rowid == 0)
        sqlite3_bind_text(s, at++, id, -1, SQLITE_STATIC);
    for (size_t i = 0; i < o->columns_count; i++)
        org_value_bind(s, at++, &values[i]);
    if (rowid != 0)
        sqlite3_bind_int64(s, at, rowid);
    return tm_sql_run(s, err);
}

/* One history entry on the lagged copy. Fields the describe no longer names are skipped. */
static enum tm_code read_apply(struct tm_org *org, struct org_object *o, const char *id,
                               int64_t version, const char *change, const char *fields,
                               struct tm_err *err)
{
    int64_t rowid = 0;
    bool row = false, full = strcmp(change, "CREATE") == 0 || strcmp(change, "UNDELETE") == 0;
    sqlite3_bind_text(o->lagged[0], 1, id, -1, SQLITE_STATIC);
    enum tm_code rc = tm_sql_step(o->lagged[0], &row, err);
    json_t *json = rc == TM_OK ? json_loadb(fields, strlen(fields), 0, NULL) : NULL, *value;
    if (rc == TM_OK && json == NULL)
        rc = tm_fail(err, TM_E_IO, "history of %s %s, version %" PRId64 ": fields are not JSON",
                     o->describe->object, id, version);
    if (rc == TM_OK && row)
        rowid = sqlite3_column_int64(o->lagged[0], 0);
    for (size_t i = 0; rc == TM_OK && i < o->columns_count; i++) {
        value = json_object_get(json, o->columns[i].name);
        if (value != NULL || full || !row)
            org_value_of_history(&org->values[i], o->columns[i].field, value);
        else
            org_value_read(&org->values[i], o->lagged[0], (int)i + 2);
    }
    if (rc == TM_OK && strcmp(change, "HARD_DELETE") == 0) {
        sqlite3_bind_int64(o->lagged[3], 1, rowid);
        rc = tm_sql_run(o->lagged[3], err);
    } else if (rc == TM_OK)
        rc = read_store(o, o->lagged[row ? 2 : 1], org->values, version, id, rowid, err);
    sqlite3_reset(o->lagged[0]);
    json_decref(json);
    return rc;
}

/* Applies at most changes_max entries; *out_all: the copies are as the org was at until_ms. */
static enum tm_code read_roll(struct tm_org *org, int64_t until_ms, int64_t changes_max,
                              bool *out_all, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    int64_t done = 0;
    enum tm_code rc = tm_sql_prepare(&s, org->db,
                                     "SELECT pos,object,id,version,change,fields,org_ms FROM "
                                     "history WHERE pos>? ORDER BY pos",
                                     err);
    if (rc == TM_OK)
        sqlite3_bind_int64(s, 1, org->lag_pos);
    *out_all = false;
    while (rc == TM_OK && done++ < changes_max) {
        rc = tm_sql_step(s, &row, err);
        *out_all = rc == TM_OK && (!row || sqlite3_column_int64(s, 6) > until_ms);
        if (rc != TM_OK || *out_all)
            break;
        struct org_object *o = org_find(org, (const char *)sqlite3_column_text(s, 1));
        if (o != NULL)
            rc = read_apply(org, o, (const char *)sqlite3_column_text(s, 2),
                            sqlite3_column_int64(s, 3), (const char *)sqlite3_column_text(s, 4),
                            (const char *)sqlite3_column_text(s, 5), err);
        if (rc == TM_OK)
            org->lag_pos = sqlite3_column_int64(s, 0);
    }
    tm_sql_finalize(s);
    return rc;
}

/* Makes the copies; when nothing is younger than until_ms they start as what is current. */
static enum tm_code read_copies(struct tm_org *org, int64_t until_ms, struct tm_err *err)
{
    bool current = org->ms_last <= until_ms;
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < org->objects_count && rc == TM_OK; i++) {
        struct org_object *o = &org->objects[i];
        struct tm_buf names;
        for (int k = 0; k < 4; k++) {
            tm_sql_finalize(o->lagged[k]);
            o->lagged[k] = NULL;
        }
        rc = tm_sql_execf(org->db, err, "DROP TABLE IF EXISTS temp.\"%s\"", o->lag);
        if (rc == TM_OK)
            rc = org_table_create(org, o, o->lag, true, err);
        if (rc == TM_OK)
            rc = org_statements(org, o, o->lag, o->lagged, err);
        tm_buf_init(&names, 1u << 20);
        tm_buf_addz(&names, "_row,_version,\"Id\"");
        for (size_t k = 0; k < o->columns_count; k++) {
            tm_buf_addc(&names, ',');
            tm_sql_ident(&names, o->columns[k].name);
        }
        if (rc == TM_OK && current)
            rc = tm_sql_execf(org->db, err, "INSERT INTO temp.\"%s\"(%s) SELECT %s FROM \"%s\"",
                              o->lag, tm_buf_text(&names), tm_buf_text(&names), o->cur);
        tm_buf_free(&names);
    }
    if (rc == TM_OK)
        org->lag_pos = current ? org->pos_last : 0;
    return rc;
}

/* The copies towards what the org was at until_ms, all of the way or changes_max entries of it. */
static enum tm_code read_forward(struct tm_org *org, int64_t until_ms, int64_t changes_max,
                                 struct tm_err *err)
{
    bool all = false;
    org_changes(org);
    enum tm_code rc = tm_sql_exec(org->db, "SAVEPOINT lag", err);
    if (rc == TM_OK && org->lag_pos < 0)
        rc = read_copies(org, until_ms, err);
    if (rc == TM_OK)
        rc = read_roll(org, until_ms, changes_max, &all, err);
    if (rc == TM_OK) {
        if (all)
            org->lag_ms = until_ms;
        return tm_sql_exec(org->db, "RELEASE lag", err);
    }
    tm_sql_exec(org->db, "ROLLBACK TO lag; RELEASE lag", NULL);
    org->lag_pos = -1;
    return rc;
}

enum tm_code tm_org_lag_step(struct tm_org *org, int64_t now_org_ms, int64_t changes_max,
                             struct tm_err *err)
{
    int64_t until_ms = now_org_ms - org->settings.index_lag_ms;
    if (org->settings.index_lag_ms <= 0 || org->lag_pos == org->pos_last ||
        (org->lag_pos >= 0 && until_ms - org->lag_ms < READ_LAG_STEP_MS))
        return TM_OK;
    return read_forward(org, until_ms, changes_max, err);
}

enum tm_code tm_org_relation(struct tm_org *org, const char *object, bool range_read,
                             int64_t now_org_ms, const char **out_name, struct tm_err *err)
{
    struct org_object *o = org_find(org, object);
    if (o == NULL)
        return org_refuse(org, "INVALID_TYPE", "", err, "sObject type '%s' is not supported",
                          object);
    *out_name = o->cur;
    if (!range_read || org->settings.index_lag_ms <= 0)
        return TM_OK;
    int64_t until_ms = now_org_ms - org->settings.index_lag_ms;
    *out_name = o->lag;
    if (org->lag_pos == org->pos_last || (org->lag_pos >= 0 && until_ms == org->lag_ms))
        return TM_OK;
    return read_forward(org, until_ms, INT64_MAX, err);
}

/* ---- single records, deletes ---- */
enum tm_code tm_org_record_state(struct tm_org *org, const char *object, const char *id18,
                                 enum tm_org_state *out, struct tm_err *err)
{
    struct org_object *o = org_find(org, object);
    bool row = false;
    *out = TM_ORG_ABSENT;
    if (o == NULL)
        return org_refuse(org, "INVALID_TYPE", "", err, "sObject type '%s' is not supported",
                          object);
    sqlite3_bind_text(o->select, 1, id18, -1, SQLITE_STATIC);
    enum tm_code rc = tm_sql_step(o->select, &row, err);
    if (rc == TM_OK && row)
        *out = sqlite3_column_int64(o->select, o->deleted + 2) != 0 ? TM_ORG_IN_BIN : TM_ORG_LIVE;
    sqlite3_reset(o->select);
    return rc;
}

enum tm_code tm_org_deleted(struct tm_org *org, const char *object, int64_t start_ms,
                            int64_t end_ms, int64_t now_org_ms, tm_org_deleted_row *out, void *data,
                            struct tm_err *err)
{
    struct org_object *o = org_find(org, object);
    sqlite3_stmt *s = NULL;
    bool row = true;
    int64_t oldest_ms = tm_org_deletes_from_ms(org, now_org_ms),
            seen_ms = now_org_ms - org->settings.index_lag_ms;
    if (o == NULL)
        return org_refuse(org, "INVALID_TYPE", "", err, "sObject type '%s' is not supported",
                          object);
    enum tm_code rc = tm_sql_prepare(&s, org->db,
                                     "SELECT id,deleted_ms FROM bin WHERE object=? AND "
                                     "deleted_ms>=? AND "
                                     "deleted_ms<? AND deleted_ms<=? ORDER BY deleted_ms,id",
                                     err);
    if (rc == TM_OK) {
        sqlite3_bind_text(s, 1, o->describe->object, -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 2, start_ms > oldest_ms ? start_ms : oldest_ms);
        sqlite3_bind_int64(s, 3, end_ms);
        sqlite3_bind_int64(s, 4, seen_ms);
    }
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row)
        out(data, (const char *)sqlite3_column_text(s, 0), sqlite3_column_int64(s, 1));
    tm_sql_finalize(s);
    return rc;
}

static enum tm_code read_expired(struct tm_org *org, int64_t before_ms,
                                 struct tm_org_change *changes, size_t *out_count,
                                 struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    *out_count = 0;
    enum tm_code rc = tm_sql_prepare(&s, org->db,
                                     "SELECT object,id FROM bin WHERE deleted_ms<? ORDER BY "
                                     "deleted_ms,id LIMIT ?",
                                     err);
    if (rc == TM_OK) {
        sqlite3_bind_int64(s, 1, before_ms);
        sqlite3_bind_int64(s, 2, READ_PURGE_MAX);
    }
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row) {
        struct org_object *o = org_find(org, (const char *)sqlite3_column_text(s, 0));
        if (o == NULL)
            continue;
        struct tm_org_change *c = &changes[(*out_count)++];
        *c = (struct tm_org_change){ .kind = TM_ORG_HARD_DELETE, .object = o->describe->object };
        snprintf(c->id, sizeof c->id, "%s", (const char *)sqlite3_column_text(s, 1));
    }
    tm_sql_finalize(s);
    return rc;
}

enum tm_code tm_org_purge(struct tm_org *org, const struct tm_now *now, struct tm_err *err)
{
    size_t count = 0;
    struct tm_org_change *changes = calloc(READ_PURGE_MAX, sizeof *changes);
    if (changes == NULL)
        return tm_fail(err, TM_E_NOMEM, "purge");
    enum tm_code rc = read_expired(org, now->org_ms - TM_ORG_RECYCLE_MS, changes, &count, err);
    if (rc == TM_OK && count > 0)
        rc = tm_org_begin(org, err);
    for (size_t i = 0; i < count && rc == TM_OK; i++) {
        enum tm_org_state state;
        struct tm_org_txn txn = { .changes = &changes[i],
                                  .changes_count = 1,
                                  .org_ms = now->org_ms,
                                  .intended_ns = now->wall_ns,
                                  .actual_ns = now->wall_ns };
        rc = tm_org_record_state(org, changes[i].object, changes[i].id, &state, err);
        if (rc == TM_OK && state == TM_ORG_IN_BIN)
            rc = tm_org_commit(org, &txn, err);
        if (rc == TM_OK) {
            sqlite3_bind_text(org->bin_drop, 1, changes[i].object, -1, SQLITE_STATIC);
            sqlite3_bind_text(org->bin_drop, 2, changes[i].id, -1, SQLITE_STATIC);
            rc = tm_sql_run(org->bin_drop, err);
        }
    }
    if (rc == TM_OK && count > 0)
        rc = tm_org_end(org, err);
    free(changes);
    return rc;
}

/* ---- events ---- */
/* Statements are asked for at every long poll: prepared once, lent, and given back. */
static enum tm_code read_lend(struct tm_org *org, sqlite3_stmt **kept, sqlite3_stmt **out,
                              const char *sql, struct tm_err *err)
{
    *out = *kept;
    *kept = NULL;
    return *out != NULL ? TM_OK : tm_sql_prepare(out, org->db, sql, err);
}

static void read_back(sqlite3_stmt **kept, sqlite3_stmt *stmt)
{
    sqlite3_reset(stmt);
    if (*kept == NULL)
        *kept = stmt;
    else
        tm_sql_finalize(stmt);
}

/* Last replay id published at or before ms, 0 = none. Publishing times grow with replay ids, so
 * halves are enough; and time goes on, so that the last answer is where to begin. */
static enum tm_code read_published(struct tm_org *org, struct org_published *known, int64_t ms,
                                   int64_t *out, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    int64_t low = ms >= known->ms ? known->id : 0;        /* published by then (or 0) */
    int64_t high = org->replay_last, next_ms = INT64_MIN; /* beyond high: not */
    *out = low;
    if (org->replay_last == 0 || (ms >= known->ms && ms < known->next_ms))
        return TM_OK;
    if (org->ms_last + org->settings.publish_delay_ms <= ms) {
        *out = org->replay_last;
        return TM_OK;
    }
    enum tm_code rc = read_lend(
        org, &org->beyond, &s,
        "SELECT replay_id,publish_ms FROM event WHERE replay_id>? ORDER BY replay_id LIMIT 1", err);
    while (rc == TM_OK && low < high) {
        bool row = false;
        int64_t middle = low + (high - low) / 2; /* the first event beyond middle decides */
        sqlite3_bind_int64(s, 1, middle);
        rc = tm_sql_step(s, &row, err);
        if (rc == TM_OK && row && sqlite3_column_int64(s, 1) <= ms)
            low = *out = sqlite3_column_int64(s, 0);
        else {
            high = middle;
            next_ms = row ? sqlite3_column_int64(s, 1) : INT64_MIN;
        }
        sqlite3_reset(s);
    }
    read_back(&org->beyond, s);
    if (rc == TM_OK)
        *known = (struct org_published){ ms, *out, next_ms };
    return rc;
}

enum tm_code tm_org_replay_tip(struct tm_org *org, int64_t now_org_ms, int64_t *out,
                               struct tm_err *err)
{
    return read_published(org, &org->published[0], now_org_ms, out, err);
}

enum tm_code tm_org_replay_oldest(struct tm_org *org, int64_t now_org_ms, int64_t *out,
                                  struct tm_err *err)
{
    enum tm_code rc =
        read_published(org, &org->published[1], now_org_ms - TM_ORG_RETENTION_MS, out, err);
    *out = *out > org->forgotten ? *out : org->forgotten;
    return rc;
}

enum tm_code tm_org_forget(struct tm_org *org, int64_t now_org_ms, struct tm_err *err)
{
    char text[24];
    enum tm_code rc = tm_org_replay_tip(org, now_org_ms, &org->forgotten, err);
    snprintf(text, sizeof text, "%" PRId64, org->forgotten);
    return rc == TM_OK ? tm_org_meta_set(org, "forgotten", text, err) : rc;
}

enum tm_code tm_org_replay_restart(struct tm_org *org, int64_t first, struct tm_err *err)
{
    char text[32];
    assert(first > 0 && !org->batch);
    snprintf(text, sizeof text, "%" PRId64, first - 1);
    enum tm_code rc = tm_sql_exec(org->db, "DELETE FROM event", err);
    if (rc == TM_OK)
        rc = tm_org_meta_set(org, "replay_floor", text, err);
    if (rc == TM_OK)
        rc = tm_org_meta_set(org, "forgotten", text, err);
    if (rc != TM_OK)
        return rc;
    org->events_count = 0;
    org->forgotten = org->replay_last = first - 1;
    for (size_t i = 0; i < org->objects_count; i++)
        org->objects[i].replay_last = first - 1;
    for (size_t i = 0; i < 2; i++)
        org->published[i] = (struct org_published){ INT64_MIN, first - 1, INT64_MIN };
    return TM_OK;
}

enum tm_code tm_org_replay_valid(struct tm_org *org, int64_t replay_id, int64_t now_org_ms,
                                 bool *out, struct tm_err *err)
{
    int64_t tip = 0, oldest = 0;
    *out = false;
    enum tm_code rc = tm_org_replay_tip(org, now_org_ms, &tip, err);
    if (rc == TM_OK)
        rc = tm_org_replay_oldest(org, now_org_ms, &oldest, err);
    if (rc == TM_OK)
        *out = replay_id >= oldest && replay_id <= tip;
    return rc;
}

enum read_which { READ_ALL, READ_ONE, READ_LISTED };
static enum read_which read_which(const char *object)
{
    return object == NULL ? READ_ALL : *object == ',' ? READ_LISTED : READ_ONE;
}

static bool read_listed(const char *list, const char *object)
{
    char name[128];
    snprintf(name, sizeof name, ",%.100s,", object);
    return strstr(list, name) != NULL;
}

int64_t tm_org_replay_last(const struct tm_org *org, const char *object)
{
    int64_t last = 0;
    if (read_which(object) == READ_LISTED) {
        for (size_t i = 0; i < org->objects_count; i++)
            if (read_listed(object, org->objects[i].describe->object) &&
                org->objects[i].replay_last > last)
                last = org->objects[i].replay_last;
        return last;
    }
    const struct org_object *o = object != NULL ? org_find(org, object) : NULL;
    return object == NULL ? org->replay_last : o != NULL ? o->replay_last : 0;
}

static enum tm_code read_events_after(struct tm_org *org, const char *object, int64_t after,
                                      sqlite3_stmt **out, struct tm_err *err)
{
    static const char *const sql[] = {
        "SELECT replay_id,object,publish_ms,body FROM event WHERE replay_id>? ORDER BY replay_id",
        "SELECT replay_id,object,publish_ms,body FROM event WHERE replay_id>? AND object=? "
        "ORDER BY replay_id",
        "SELECT replay_id,object,publish_ms,body FROM event WHERE replay_id>? AND "
        "instr(?,','||object||',')>0 ORDER BY replay_id"
    };
    enum read_which which = read_which(object);
    enum tm_code rc = read_lend(org, &org->events[which], out, sql[which], err);
    if (rc == TM_OK) {
        sqlite3_bind_int64(*out, 1, after);
        if (object != NULL)
            sqlite3_bind_text(*out, 2, object, -1, SQLITE_TRANSIENT);
    }
    return rc;
}

/* Whether an event of the object (NULL = any) between two replay ids, the last one included, ever
 * was. */
static enum tm_code read_lost(struct tm_org *org, const char *object, int64_t after, int64_t last,
                              bool *out, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    *out = false;
    enum tm_code rc = read_events_after(org, object, after, &s, err);
    bool row = false;
    if (rc == TM_OK)
        rc = tm_sql_step(s, &row, err);
    *out = rc == TM_OK && row && sqlite3_column_int64(s, 0) <= last;
    read_back(&org->events[read_which(object)], s);
    return rc;
}

enum tm_code tm_org_events(struct tm_org *org, const char *object, int64_t replay_after,
                           int64_t now_org_ms, size_t count_max, tm_org_event_row *out, void *data,
                           struct tm_err *err)
{
    const struct org_object *o = read_which(object) == READ_ONE ? org_find(org, object) : NULL;
    sqlite3_stmt *s = NULL;
    bool row = true;
    size_t count = 0;
    int64_t oldest = 0;
    if (read_which(object) == READ_ONE && o == NULL)
        return org_refuse(org, "INVALID_TYPE", "", err, "sObject type '%s' is not supported",
                          object);
    if (replay_after >= tm_org_replay_last(org, object))
        return TM_OK;
    const char *name = o != NULL ? o->describe->object : object;
    bool lost = false;
    enum tm_code rc = tm_org_replay_oldest(org, now_org_ms, &oldest, err);
    if (rc == TM_OK && replay_after < oldest)
        rc = read_lost(org, name, replay_after, oldest, &lost, err);
    if (lost)
        return tm_fail(err, TM_E_GAP, "events after replay id %lld are no longer retained",
                       (long long)replay_after);
    if (rc == TM_OK)
        rc = read_events_after(org, name, replay_after, &s, err);
    while (rc == TM_OK && count < count_max && (rc = tm_sql_step(s, &row, err)) == TM_OK && row) {
        struct tm_org_event e = { .replay_id = sqlite3_column_int64(s, 0),
                                  .publish_ms = sqlite3_column_int64(s, 2),
                                  .object = (const char *)sqlite3_column_text(s, 1),
                                  .body = (const char *)sqlite3_column_text(s, 3),
                                  .body_bytes = (size_t)sqlite3_column_bytes(s, 3) };
        if (e.publish_ms > now_org_ms || !out(data, &e))
            break;
        count++;
    }
    read_back(&org->events[read_which(name)], s);
    return rc;
}

enum tm_code tm_org_next_publish_ms(struct tm_org *org, const char *object, int64_t replay_after,
                                    int64_t *out, struct tm_err *err)
{
    const struct org_object *o = read_which(object) == READ_ONE ? org_find(org, object) : NULL;
    const char *name = o != NULL ? o->describe->object : object;
    sqlite3_stmt *s = NULL;
    bool row = false;
    *out = TM_NEVER;
    if (replay_after >= tm_org_replay_last(org, object))
        return TM_OK;
    enum tm_code rc = read_events_after(org, name, replay_after, &s, err);
    if (rc == TM_OK)
        rc = tm_sql_step(s, &row, err);
    if (rc == TM_OK && row)
        *out = sqlite3_column_int64(s, 2);
    read_back(&org->events[read_which(name)], s);
    return rc;
}

/* ---- usage ---- */
static struct org_hour *read_hour(struct tm_org *org, int64_t hour)
{
    struct org_hour *h = &org->hours[(size_t)(hour % ORG_HOURS)];
    if (h->hour != hour)
        *h = (struct org_hour){ .hour = hour };
    return h;
}

void tm_org_usage_add(struct tm_org *org, const char *client, const char *kind,
                      const struct tm_org_usage *more, int64_t now_org_ms)
{
    size_t i = 0;
    while (i < org->usage_count &&
           (strcmp(org->usage[i].client, client) != 0 || strcmp(org->usage[i].kind, kind) != 0))
        i++;
    if (i == ORG_USAGE_MAX) { /* a flood of names: counted together rather than lost */
        i = ORG_USAGE_MAX - 1;
        snprintf(org->usage[i].client, sizeof org->usage[i].client, "(others)");
    } else if (i == org->usage_count) {
        snprintf(org->usage[i].client, sizeof org->usage[i].client, "%s", client);
        snprintf(org->usage[i].kind, sizeof org->usage[i].kind, "%s", kind);
        org->usage[i].more = (struct tm_org_usage){ 0 };
        org->usage_count++;
    }
    struct tm_org_usage *sum = &org->usage[i].more;
    sum->calls += more->calls;
    sum->bytes_in += more->bytes_in;
    sum->bytes_out += more->bytes_out;
    sum->events += more->events;
    struct org_hour *h = read_hour(org, now_org_ms / 3600000);
    if (strcmp(kind, "cometd") != 0 &&
        strcmp(kind, "login") != 0) { /* neither counts against API calls */
        h->calls += more->calls;
        h->calls_new += more->calls;
    }
    h->events += more->events;
    h->events_new += more->events;
}

static enum tm_code read_usage_write(struct tm_org *org, struct tm_err *err)
{
    sqlite3_stmt *s = NULL, *hour = NULL;
    enum tm_code rc = tm_sql_prepare(&s, org->db,
                                     "INSERT INTO usage VALUES(?,?,?,?,?,?) ON CONFLICT DO UPDATE "
                                     "SET "
                                     "calls=calls+excluded.calls,bytes_in=bytes_in+excluded.bytes_"
                                     "in,bytes_out=bytes_out+excluded.bytes_out,"
                                     "events=events+excluded.events",
                                     err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&hour, org->db,
                            "INSERT INTO usage_hour VALUES(?,?,?) ON CONFLICT DO UPDATE SET "
                            "calls=calls+excluded.calls,events=events+excluded.events",
                            err);
    for (size_t i = 0; i < org->usage_count && rc == TM_OK; i++) {
        const struct org_usage *u = &org->usage[i];
        const int64_t numbers[] = { u->more.calls, u->more.bytes_in, u->more.bytes_out,
                                    u->more.events };
        sqlite3_bind_text(s, 1, u->client, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 2, u->kind, -1, SQLITE_STATIC);
        for (int k = 0; k < 4; k++)
            sqlite3_bind_int64(s, k + 3, numbers[k]);
        rc = tm_sql_run(s, err);
    }
    for (size_t i = 0; i < ORG_HOURS && rc == TM_OK; i++) {
        const struct org_hour *h = &org->hours[i];
        if (h->calls_new == 0 && h->events_new == 0)
            continue;
        sqlite3_bind_int64(hour, 1, h->hour);
        sqlite3_bind_int64(hour, 2, h->calls_new);
        sqlite3_bind_int64(hour, 3, h->events_new);
        rc = tm_sql_run(hour, err);
    }
    tm_sql_finalize(s);
    tm_sql_finalize(hour);
    return rc;
}

enum tm_code tm_org_usage_flush(struct tm_org *org, struct tm_err *err)
{
    if (org->usage_count == 0)
        return TM_OK;
    enum tm_code rc = tm_org_settle(org, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(org->db, "BEGIN IMMEDIATE", err);
    if (rc != TM_OK)
        return rc;
    rc = read_usage_write(org, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(org->db, "COMMIT", err);
    if (rc != TM_OK) {
        tm_sql_exec(org->db, "ROLLBACK", NULL);
        return rc;
    }
    org->usage_count = 0;
    for (size_t i = 0; i < ORG_HOURS; i++)
        org->hours[i].calls_new = org->hours[i].events_new = 0;
    return TM_OK;
}

enum tm_code org_usage_load(struct tm_org *org, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    enum tm_code rc = tm_sql_prepare(&s, org->db,
                                     "SELECT hour,calls,events FROM (SELECT * FROM usage_hour "
                                     "ORDER BY hour DESC "
                                     "LIMIT 32) ORDER BY hour",
                                     err);
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row) {
        struct org_hour *h = read_hour(org, sqlite3_column_int64(s, 0));
        h->calls = sqlite3_column_int64(s, 1);
        h->events = sqlite3_column_int64(s, 2);
    }
    tm_sql_finalize(s);
    return rc;
}

void tm_org_usage_day(const struct tm_org *org, int64_t now_org_ms, int64_t *out_calls,
                      int64_t *out_events)
{
    int64_t hour = now_org_ms / 3600000;
    *out_calls = *out_events = 0;
    for (size_t i = 0; i < ORG_HOURS; i++)
        if (org->hours[i].hour > hour - 24 && org->hours[i].hour <= hour) {
            *out_calls += org->hours[i].calls;
            *out_events += org->hours[i].events;
        }
}
