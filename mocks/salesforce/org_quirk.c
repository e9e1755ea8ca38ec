#include "mocks/salesforce/org_quirk.h"
#include "mocks/salesforce/faults.h"
#include "mocks/salesforce/org_impl.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define QUIRK_WAITING_MAX 1024 /* entries of the log while org.db is locked; later ones are lost   \
                                */
#define QUIRK_PURGE_MAX 1000000

/* ---- how the org behaves for a time ---- */

enum tm_code tm_org_quirks_set(struct tm_org *org, const struct tm_org_quirks *quirks,
                               int64_t now_org_ms, struct tm_err *err)
{
    const char *name;
    int64_t before_ms = org->settings.index_lag_ms, lag_ms = org->index_lag_own_ms;
    enum tm_code rc = TM_OK;
    if (quirks->index_lag_ms > lag_ms)
        lag_ms = quirks->index_lag_ms;
    org->quirks = *quirks;
    if (lag_ms == before_ms)
        return TM_OK;
    if (lag_ms > before_ms && org->objects_count > 0) { /* what is visible now stays so */
        org->settings.index_lag_ms = before_ms > 0 ? before_ms : 1;
        rc = tm_org_relation(org, org->objects[0].describe->object, true,
                             before_ms > 0 ? now_org_ms : now_org_ms + 1, &name, err);
    }
    org->settings.index_lag_ms = lag_ms;
    if (lag_ms == 0)
        org->lag_pos = -1; /* no copies any more; the next ones are made afresh */
    return rc;
}

static bool quirk_concerns(const struct tm_org_quirk *q, const struct tm_org_change *c)
{
    return q->probability > 0 && (q->object[0] == '\0' || strcasecmp(q->object, c->object) == 0);
}

static bool quirk_happens(const struct tm_org *org, enum tm_org_announce how,
                          const struct tm_org_change *c, uint64_t number)
{
    const struct tm_org_quirk *q = &org->quirks.announce[how];
    return quirk_concerns(q, c) &&
           tm_fault_chance(q->probability, org->settings.seed, (uint64_t)how + 1000, number);
}

void org_quirk_announce(struct tm_org *org, struct tm_org_txn *txn)
{
    uint64_t first = (uint64_t)org->pos_last + 1, number = (uint64_t)org->txn_count;
    for (size_t i = 0; i < txn->changes_count && !txn->before_origin; i++) {
        struct tm_org_change *c = &txn->changes[i];
        if (c->announce != TM_ORG_NORMAL)
            continue;
        if (quirk_happens(org, TM_ORG_OVERFLOW, c, number))
            c->announce = TM_ORG_OVERFLOW;
        else if (quirk_happens(org, TM_ORG_SILENT, c, first + i))
            c->announce = TM_ORG_SILENT;
        else if (quirk_happens(org, TM_ORG_GAP, c, first + i))
            c->announce = TM_ORG_GAP;
        else if (txn->changes_count > 1 && quirk_happens(org, TM_ORG_MERGED, c, number))
            c->announce = TM_ORG_MERGED;
        else if (c->kind == TM_ORG_UPDATE && quirk_happens(org, TM_ORG_DIFF, c, first + i))
            c->announce = TM_ORG_DIFF;
    }
}

/* ---- what happens to it at an instant ---- */

static enum tm_code quirk_meta(struct tm_org *org, const char *key, int64_t value,
                               struct tm_err *err)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    return tm_org_meta_set(org, key, text, err);
}

static enum tm_code quirk_number(struct tm_org *org, const char *key, int64_t *out,
                                 struct tm_err *err)
{
    char text[24];
    enum tm_code rc = tm_org_meta_get(org, key, text, sizeof text, err);
    *out = strtoll(text, NULL, 10);
    return rc;
}

enum tm_code org_quirks_load(struct tm_org *org, struct tm_err *err)
{
    org->index_lag_own_ms = org->settings.index_lag_ms;
    enum tm_code rc = quirk_number(org, "forgotten", &org->forgotten, err);
    return rc == TM_OK ? quirk_number(org, "delete_log_from_ms", &org->delete_log_from_ms, err)
                       : rc;
}

int64_t tm_org_deletes_from_ms(const struct tm_org *org, int64_t now_org_ms)
{
    int64_t oldest_ms = now_org_ms - TM_ORG_RECYCLE_MS;
    return org->delete_log_from_ms > oldest_ms ? org->delete_log_from_ms : oldest_ms;
}

enum tm_code tm_org_purge_delete_log(struct tm_org *org, int64_t now_org_ms, struct tm_err *err)
{
    enum tm_code rc = quirk_meta(org, "delete_log_from_ms", now_org_ms, err);
    if (rc == TM_OK)
        org->delete_log_from_ms = now_org_ms;
    return rc;
}

/* Ids of what lies in the bin, the log's own order. The caller frees *out. */
static enum tm_code quirk_bin(struct tm_org *org, int64_t before_ms, struct tm_org_change **out,
                              size_t *out_count, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    size_t cap = 0;
    enum tm_code rc = tm_sql_prepare(
        &s, org->db, "SELECT object,id FROM bin WHERE deleted_ms<=? ORDER BY deleted_ms,id LIMIT ?",
        err);
    if (rc == TM_OK) {
        sqlite3_bind_int64(s, 1, before_ms);
        sqlite3_bind_int64(s, 2, QUIRK_PURGE_MAX);
    }
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row) {
        struct org_object *o = org_find(org, (const char *)sqlite3_column_text(s, 0));
        enum tm_org_state state = TM_ORG_ABSENT;
        const char *id = (const char *)sqlite3_column_text(s, 1);
        if (o == NULL)
            continue;
        rc = tm_org_record_state(org, o->describe->object, id, &state, err);
        if (rc != TM_OK || state != TM_ORG_IN_BIN)
            continue;
        if (*out_count == cap) {
            cap = cap * 2 + 64;
            struct tm_org_change *grown = realloc(*out, cap * sizeof *grown);
            if (grown == NULL) {
                rc = tm_fail(err, TM_E_NOMEM, "%zu records of the bin", cap);
                break;
            }
            *out = grown;
        }
        struct tm_org_change *c = &(*out)[(*out_count)++];
        *c = (struct tm_org_change){ .kind = TM_ORG_HARD_DELETE, .object = o->describe->object };
        snprintf(c->id, sizeof c->id, "%s", id);
    }
    tm_sql_finalize(s);
    return rc;
}

enum tm_code tm_org_purge_bin(struct tm_org *org, const struct tm_now *now, int64_t older_ms,
                              int64_t *out_count, struct tm_err *err)
{
    struct tm_org_change *changes = NULL;
    size_t count = 0;
    enum tm_code rc = quirk_bin(org, now->org_ms - older_ms, &changes, &count, err);
    if (rc == TM_OK && count > 0)
        rc = tm_org_begin(org, err);
    for (size_t i = 0; i < count && rc == TM_OK; i++) {
        struct tm_org_txn txn = { .changes = &changes[i],
                                  .changes_count = 1,
                                  .org_ms = now->org_ms,
                                  .intended_ns = now->wall_ns,
                                  .actual_ns = now->wall_ns };
        struct tm_err mine = { 0 };
        rc = tm_org_commit(org, &txn, &mine);
        if (rc == TM_E_ARG) /* an open transaction has it */
            rc = TM_OK;
        else if (rc != TM_OK && err != NULL)
            *err = mine;
    }
    if (rc == TM_OK && count > 0)
        rc = tm_org_end(org, err);
    *out_count = (int64_t)count;
    free(changes);
    return rc;
}

/* ---- rows of open transactions ---- */

bool org_locked(const struct tm_org *org, const char *id18)
{
    for (size_t i = 0; i < org->locks_count; i++)
        if (strcmp(org->locks[i].id, id18) == 0)
            return true;
    return false;
}

enum tm_code tm_org_lock(struct tm_org *org, int64_t holder, const char *id, struct tm_err *err)
{
    struct org_lock lock = { .holder = holder };
    if (tm_id18(lock.id, id, NULL) != TM_OK)
        return org_refuse(org, "MALFORMED_ID", "Id", err, "%.20s is not an id", id);
    if (org_locked(org, lock.id))
        return org_refuse(org, "UNABLE_TO_LOCK_ROW", "", err,
                          "unable to obtain exclusive access to this record or 1 records: %s",
                          lock.id);
    if (org->locks_count == TM_ORG_LOCKED_MAX)
        return tm_fail(err, TM_E_LIMIT, "more than %d rows in open transactions",
                       TM_ORG_LOCKED_MAX);
    if (org->locks_count == org->locks_cap) {
        size_t cap = org->locks_cap * 2 + 16;
        struct org_lock *grown = realloc(org->locks, cap * sizeof *grown);
        if (grown == NULL)
            return tm_fail(err, TM_E_NOMEM, "%zu locks", cap);
        org->locks = grown;
        org->locks_cap = cap;
    }
    org->locks[org->locks_count++] = lock;
    return TM_OK;
}

void tm_org_unlock(struct tm_org *org, int64_t holder)
{
    size_t kept = 0;
    for (size_t i = 0; i < org->locks_count; i++)
        if (org->locks[i].holder != holder)
            org->locks[kept++] = org->locks[i];
    org->locks_count = kept;
}

/* ---- the log ---- */

static enum tm_code quirk_write(struct tm_org *org, const json_t *entry, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    static const char *const texts[] = { "what", "request", "client", "detail" };
    static const char *const numbers[] = { "rule", "org_ms", "wall_ns", "until_ms" };
    enum tm_code rc = tm_sql_prepare(&s, org->db,
                                     "INSERT INTO fault(rule,org_ms,wall_ns,until_ms,what,request,"
                                     "client,detail) VALUES(?,?,?,nullif(?,0),?,?,?,?)",
                                     err);
    for (int i = 0; i < 4 && rc == TM_OK; i++) {
        sqlite3_bind_int64(s, i + 1, json_integer_value(json_object_get(entry, numbers[i])));
        sqlite3_bind_text(s, i + 5, json_string_value(json_object_get(entry, texts[i])), -1,
                          SQLITE_STATIC);
    }
    if (rc == TM_OK)
        rc = tm_sql_run(s, err);
    tm_sql_finalize(s);
    return rc;
}

static enum tm_code quirk_flush(struct tm_org *org, struct tm_err *err)
{
    while (json_array_size(org->faults_waiting) > 0) {
        struct tm_err mine = { 0 };
        enum tm_code rc = quirk_write(org, json_array_get(org->faults_waiting, 0), &mine);
        if (rc == TM_E_AGAIN) /* locked by a reader's checkpoint: with the next entry */
            return TM_OK;
        if (rc != TM_OK && err != NULL)
            *err = mine;
        if (rc != TM_OK)
            return rc;
        json_array_remove(org->faults_waiting, 0);
    }
    return TM_OK;
}

enum tm_code tm_org_fault_add(struct tm_org *org, const struct tm_org_fault *f, struct tm_err *err)
{
    struct tm_buf text; /* what a client sent need not be UTF-8 */
    const char *texts[] = { f->request, f->client, f->detail };
    const char *names[] = { "request", "client", "detail" };
    json_t *entry = json_pack("{s:I,s:s,s:I,s:I,s:I}", "rule", (json_int_t)f->rule, "what", f->what,
                              "org_ms", (json_int_t)f->org_ms, "wall_ns", (json_int_t)f->wall_ns,
                              "until_ms", (json_int_t)f->until_ms);
    tm_buf_init(&text, 1u << 16);
    for (int i = 0; i < 3; i++) {
        tm_buf_reset(&text);
        tm_buf_add_json_string(&text, texts[i], strlen(texts[i]));
        json_object_set_new(entry, names[i], json_loads(tm_buf_text(&text), JSON_DECODE_ANY, NULL));
    }
    tm_buf_free(&text);
    if (org->faults_waiting == NULL)
        org->faults_waiting = json_array();
    if (json_array_size(org->faults_waiting) >= QUIRK_WAITING_MAX ||
        json_array_append_new(org->faults_waiting, entry) != 0)
        return tm_fail(err, TM_E_LIMIT, "the log of faults could not be written for too long");
    return quirk_flush(org, err);
}

static json_t *quirk_entry(sqlite3_stmt *s)
{
    static const char *const names[] = { "n",    "rule",    "org_ms", "wall_ns", "until_ms",
                                         "what", "request", "client", "detail" };
    char when[TM_TIME_BYTES];
    json_t *e = json_object();
    for (int i = 0; i < 9; i++) {
        const char *text = i >= 5 ? (const char *)sqlite3_column_text(s, i) : NULL;
        json_object_set_new(e, names[i],
                            sqlite3_column_type(s, i) == SQLITE_NULL ? json_null()
                            : i >= 5                                 ? json_string(text)
                                     : json_integer(sqlite3_column_int64(s, i)));
    }
    json_object_set_new(e, "org_time", json_string(tm_time_z(when, sqlite3_column_int64(s, 2))));
    return e;
}

enum tm_code tm_org_faults(struct tm_org *org, int64_t after, int64_t limit, json_t **out,
                           struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    json_t *list = json_array();
    enum tm_code rc = quirk_flush(org, err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s, org->db,
                            "SELECT n,rule,org_ms,wall_ns,until_ms,what,request,client,detail FROM "
                            "fault WHERE n>? ORDER BY n LIMIT ?",
                            err);
    if (rc == TM_OK) {
        sqlite3_bind_int64(s, 1, after);
        sqlite3_bind_int64(s, 2, limit);
    }
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row)
        json_array_append_new(list, quirk_entry(s));
    tm_sql_finalize(s);
    if (rc == TM_OK)
        *out = list;
    else
        json_decref(list);
    return rc;
}

enum tm_code tm_org_fault_rules(struct tm_org *org, tm_org_fault_rule *out, void *data,
                                struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    enum tm_code rc = tm_sql_prepare(
        &s, org->db, "SELECT rule,count(*),max(org_ms) FROM fault GROUP BY rule ORDER BY rule",
        err);
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row)
        out(data, sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1),
            sqlite3_column_int64(s, 2));
    tm_sql_finalize(s);
    return rc;
}
