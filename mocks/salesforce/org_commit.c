#include "mocks/salesforce/org_commit.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COMMIT_NUMBER_FIRST 286001238094LL
#define COMMIT_TWICE_CHECK_MAX                                                                     \
    256 /* larger transactions come from the workload, which names a record once */

static const char *const kind_words[] = { "CREATE", "UPDATE", "DELETE", "UNDELETE", "HARD_DELETE" };

struct commit_undo { /* what a refused transaction puts back */
    int64_t pos, ms, replay, events, txns, ids[TM_ORG_OBJECTS_MAX], replays[TM_ORG_OBJECTS_MAX];
};

static void commit_remember(const struct tm_org *org, struct commit_undo *u)
{
    *u = (struct commit_undo){
        org->pos_last, org->ms_last, org->replay_last, org->events_count, org->txn_count,
        { 0 },         { 0 }
    };
    for (size_t i = 0; i < org->objects_count; i++) {
        u->ids[i] = org->objects[i].ids_given;
        u->replays[i] = org->objects[i].replay_last;
    }
}

static void commit_restore(struct tm_org *org, const struct commit_undo *u)
{
    org->pos_last = u->pos;
    org->ms_last = u->ms;
    org->replay_last = u->replay;
    org->events_count = u->events;
    org->txn_count = u->txns;
    for (size_t i = 0; i < org->objects_count; i++) {
        org->objects[i].ids_given = u->ids[i];
        org->objects[i].replay_last = u->replays[i];
    }
}

/* ---- history ---- */
static void commit_history_fields(struct tm_org *org, const struct org_object *o,
                                  enum tm_org_kind kind)
{
    bool first = true, full = kind == TM_ORG_CREATE || kind == TM_ORG_UNDELETE;
    tm_buf_reset(&org->fields);
    tm_buf_reset(&org->names);
    tm_buf_addc(&org->fields, '{');
    tm_buf_addc(&org->names, '[');
    for (size_t i = 0; i < o->columns_count && kind != TM_ORG_HARD_DELETE; i++) {
        const struct org_column *column = &o->columns[i];
        bool moved = full ? org->values[i].kind != TM_ORG_NULL
                          : !org_value_equal(&org->values[i], &org->before[i]) ||
                                (kind == TM_ORG_UPDATE && org->mark[i]);
        if (kind == TM_ORG_UPDATE && (int)i == o->stamp)
            moved = true;
        if (!moved)
            continue;
        tm_buf_addz(&org->fields, first ? "\"" : ",\"");
        tm_buf_addz(&org->fields, column->name);
        tm_buf_addz(&org->fields, "\":");
        org_render_canonical(&org->fields, column->field, &org->values[i]);
        first = false;
        if (kind == TM_ORG_UPDATE && column->in_events) {
            tm_buf_addz(&org->names, org->names.bytes > 1 ? ",\"" : "\"");
            tm_buf_addz(&org->names, column->name);
            tm_buf_addc(&org->names, '"');
        }
    }
    tm_buf_addc(&org->fields, '}');
    tm_buf_addc(&org->names, ']');
}

static enum tm_code commit_history(struct org_commit *c, struct org_object *o,
                                   const struct tm_org_change *change, int64_t version,
                                   const char *event, int64_t replay_id, struct tm_err *err)
{
    struct tm_org *org = c->org;
    const struct tm_org_txn *t = c->txn;
    commit_history_fields(org, o, change->kind);
    if (tm_buf_check(&org->fields, "history entry", err) != TM_OK)
        return TM_E_LIMIT;
    sqlite3_stmt *s = org->history;
    sqlite3_bind_int64(s, 1, org->pos_last);
    sqlite3_bind_text(s, 2, o->describe->object, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 3, change->id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 4, version);
    sqlite3_bind_text(s, 5, c->key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 6, c->seq);
    sqlite3_bind_int64(s, 7, c->org_ms);
    sqlite3_bind_int64(s, 8, t->intended_ms != 0 ? t->intended_ms : c->org_ms);
    if (t->intended_ns != 0)
        sqlite3_bind_int64(s, 9, t->intended_ns);
    else
        sqlite3_bind_null(s, 9);
    if (t->actual_ns != 0)
        sqlite3_bind_int64(s, 10, t->actual_ns);
    else
        sqlite3_bind_null(s, 10);
    sqlite3_bind_text(s, 11, kind_words[change->kind], -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 12, event, -1, SQLITE_STATIC);
    if (event != NULL)
        sqlite3_bind_int64(s, 13, replay_id);
    else
        sqlite3_bind_null(s, 13);
    sqlite3_bind_text(s, 14, org->names.data, (int)org->names.bytes, SQLITE_STATIC);
    sqlite3_bind_text(s, 15, org->fields.data, (int)org->fields.bytes, SQLITE_STATIC);
    return tm_sql_run(s, err);
}

/* ---- current state ---- */
/* Of the columns with an index none is new: the statement that leaves them alone will do. */
static bool commit_touches(const struct tm_org *org, const struct org_object *o)
{
    for (size_t i = 0; i < o->columns_count; i++)
        if ((o->columns[i].reference || o->columns[i].unique) &&
            !org_value_equal(&org->values[i], &org->before[i]))
            return false;
    return true;
}

static enum tm_code commit_store(struct tm_org *org, struct org_object *o, int64_t version,
                                 const char *id, int64_t rowid, struct tm_err *err)
{
    const struct tm_org_value *values = org->values;
    bool touch = rowid != 0 && commit_touches(org, o);
    if (touch && org_statement_touch(org, o, err) != TM_OK)
        return TM_E_IO;
    sqlite3_stmt *s = touch ? o->touch : rowid == 0 ? o->insert : o->update;
    int at = 1;
    sqlite3_bind_int64(s, at++, version);
    if (rowid == 0)
        sqlite3_bind_text(s, at++, id, -1, SQLITE_STATIC);
    for (size_t i = 0; i < o->columns_count; i++)
        if (!touch || (!o->columns[i].reference && !o->columns[i].unique))
            org_value_bind(s, at++, &values[i]);
    if (rowid != 0)
        sqlite3_bind_int64(s, at, rowid);
    return tm_sql_run(s, err);
}

static enum tm_code commit_bin(struct org_commit *c, const struct org_object *o, const char *id,
                               bool in, struct tm_err *err)
{
    sqlite3_stmt *s = in ? c->org->bin_add : c->org->bin_drop;
    sqlite3_bind_text(s, 1, o->describe->object, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, id, -1, SQLITE_STATIC);
    if (in)
        sqlite3_bind_int64(s, 3, c->stamp_ms);
    return tm_sql_run(s, err);
}

static bool commit_is_system(const struct org_object *o, int i)
{
    return i == o->deleted || i == o->created || i == o->created_by || i == o->modified ||
           i == o->modified_by || i == o->stamp || i == o->master;
}

static struct tm_org_value commit_int(int64_t i)
{
    return (struct tm_org_value){ TM_ORG_INT, i, 0, NULL };
}
static struct tm_org_value commit_text(const char *t)
{
    return (struct tm_org_value){ TM_ORG_TEXT, 0, 0, t };
}

/* The sets of a change over org->values, checked; marks what really moves. */
static enum tm_code commit_sets(struct org_commit *c, struct org_object *o,
                                const struct tm_org_change *change, struct tm_err *err)
{
    struct tm_org *org = c->org;
    for (size_t i = 0; i < change->sets_count; i++) {
        const struct tm_org_set *set = &change->sets[i];
        struct tm_org_value value;
        int at = org_column_index(o, set->field);
        if (at < 0)
            return org_refuse(org, "INVALID_FIELD", set->field, err,
                              "No such column '%s' on sobject of type %s", set->field,
                              o->describe->object);
        if (commit_is_system(o, at) && !(at == o->master && change->kind == TM_ORG_DELETE))
            return org_refuse(org, "INVALID_FIELD_FOR_INSERT_UPDATE", set->field, err,
                              "Unable to create/update fields: %s. The org keeps it itself",
                              set->field);
        enum tm_code rc = org_value_check(org, &value, &o->columns[at], &set->value, err);
        if (rc != TM_OK)
            return rc;
        if (value.kind == TM_ORG_NULL && o->columns[at].field->kind == TM_FIELD_BOOLEAN)
            value = commit_int(0); /* booleans are never null (facts, section 7) */
        else if (value.kind == TM_ORG_NULL && !o->columns[at].field->nillable)
            return org_refuse(org, "REQUIRED_FIELD_MISSING", set->field, err,
                              "Required fields are missing: [%s]", set->field);
        if (!org_value_equal(&value, &org->before[at])) {
            org->values[at] = value;
            org->mark[at] = o->columns[at].in_events;
        }
    }
    return TM_OK;
}

/* What a field that a create does not name begins with: its describe's defaultValue; booleans are
 * never null. */
static struct tm_org_value commit_preset(const struct tm_field *f,
                                         const struct tm_org_change *change)
{
    const json_t *preset = json_object_get(f->json, "defaultValue");
    bool named = false;
    for (size_t i = 0; i < change->sets_count && !named; i++)
        named = strcasecmp(change->sets[i].field, f->name) == 0;
    if (f->kind == TM_FIELD_BOOLEAN)
        return commit_int(!named && json_is_true(preset));
    if (f->kind == TM_FIELD_TEXT && !named && json_is_string(preset))
        return commit_text(json_string_value(preset));
    return (struct tm_org_value){ TM_ORG_NULL, 0, 0, NULL };
}

static enum tm_code commit_create(struct org_commit *c, struct org_object *o,
                                  struct tm_org_change *change, struct tm_err *err)
{
    struct tm_org *org = c->org;
    char id[TM_ID_BYTES];
    memset(org->before, 0, o->columns_count * sizeof *org->before);
    memset(org->values, 0, o->columns_count * sizeof *org->values);
    enum tm_code rc = commit_sets(c, o, change, err);
    if (rc != TM_OK)
        return rc;
    org->values[o->deleted] = commit_int(0);
    org->values[o->created] = org->values[o->modified] = org->values[o->stamp] =
        commit_int(c->stamp_ms);
    org->values[o->created_by] = org->values[o->modified_by] = commit_text(c->user);
    if (o->owner >= 0 && org->values[o->owner].kind == TM_ORG_NULL)
        org->values[o->owner] = commit_text(c->user);
    for (size_t i = 0; i < o->columns_count; i++) {
        const struct tm_field *f = o->columns[i].field;
        if (org->values[i].kind == TM_ORG_NULL)
            org->values[i] = commit_preset(f, change);
        if (org->values[i].kind == TM_ORG_NULL && !f->nillable)
            return org_refuse(org, "REQUIRED_FIELD_MISSING", f->name, err,
                              "Required fields are missing: [%s]", f->name);
        org->mark[i] = org->values[i].kind != TM_ORG_NULL && o->columns[i].in_events;
    }
    if (change->id[0] == 0)
        org_id_make(change->id, o->describe->key_prefix, org->settings.seed, o->ids_given + 1);
    else if (tm_id18(id, change->id, NULL) != TM_OK || strncmp(id, o->describe->key_prefix, 3) != 0)
        return org_refuse(org, "MALFORMED_ID", "Id", err, "%s is not an id of %s", change->id,
                          o->describe->object);
    else {
        bool there;
        memcpy(change->id, id, sizeof id);
        sqlite3_bind_text(o->select, 1, id, -1, SQLITE_STATIC);
        if ((rc = tm_sql_step(o->select, &there, err)) != TM_OK)
            return rc;
        if (there)
            return org_refuse(org, "DUPLICATE_VALUE", "Id", err, "%s is there already", id);
    }
    o->ids_given++;
    return commit_store(org, o, 1, change->id, 0, err);
}

/* Reads the record into org->before and org->values; the select stays open until the caller resets
 * it. */
static enum tm_code commit_read(struct org_commit *c, struct org_object *o,
                                struct tm_org_change *change, int64_t *out_rowid,
                                int64_t *out_version, struct tm_err *err)
{
    struct tm_org *org = c->org;
    bool row;
    char id[TM_ID_BYTES];
    if (tm_id18(id, change->id, NULL) != TM_OK)
        return org_refuse(org, "MALFORMED_ID", "Id", err, "%.20s is not an id", change->id);
    memcpy(change->id, id, sizeof id);
    if (org_locked(org, id))
        return org_refuse(org, "UNABLE_TO_LOCK_ROW", "", err,
                          "unable to obtain exclusive access to this record or 1 records: %s", id);
    sqlite3_bind_text(o->select, 1, change->id, -1, SQLITE_STATIC);
    enum tm_code rc = tm_sql_step(o->select, &row, err);
    if (rc != TM_OK)
        return rc;
    if (!row)
        return org_refuse(org, "NOT_FOUND", "Id", err,
                          "Provided external ID field does not exist or is not accessible: %s",
                          change->id);
    *out_rowid = sqlite3_column_int64(o->select, 0);
    *out_version = sqlite3_column_int64(o->select, 1);
    for (size_t i = 0; i < o->columns_count; i++)
        org_value_read(&org->before[i], o->select, (int)i + 2);
    memcpy(org->values, org->before, o->columns_count * sizeof *org->values);
    return TM_OK;
}

static void commit_touch(struct org_commit *c, struct org_object *o,
                         const struct tm_org_change *change)
{
    struct tm_org *org = c->org;
    struct tm_org_value user = commit_text(c->user);
    /* Who wrote the row first had its lock: one that was written before waited for it. */
    int64_t stamp_ms = org->before[o->stamp].i > c->stamp_ms ? c->second_ms : c->stamp_ms;
    org->values[o->stamp] = commit_int(stamp_ms);
    if (change->announce == TM_ORG_CONVERSION)
        return; /* a mass system job: SystemModstamp only (facts, section 4) */
    org->values[o->modified] = commit_int(stamp_ms);
    org->mark[o->modified] = 1;
    if (!org_value_equal(&org->before[o->modified_by], &user)) {
        org->values[o->modified_by] = user;
        org->mark[o->modified_by] = 1;
    }
}

/* UPDATE, DELETE, UNDELETE, HARD_DELETE of a record that is there. */
static enum tm_code commit_alter(struct org_commit *c, struct org_object *o,
                                 struct tm_org_change *change, int64_t rowid, int64_t version,
                                 bool live, struct tm_err *err)
{
    struct tm_org *org = c->org;
    enum tm_org_kind kind = change->kind;
    enum tm_code rc = TM_OK;
    if (kind == TM_ORG_UNDELETE && live)
        return org_refuse(org, "UNDELETE_FAILED", "Id", err, "Entity is not in the recycle bin: %s",
                          change->id);
    if (!live && (kind == TM_ORG_UPDATE || kind == TM_ORG_DELETE))
        return org_refuse(org, "ENTITY_IS_DELETED", "Id", err, "entity is deleted: %s", change->id);
    if (kind == TM_ORG_HARD_DELETE) {
        sqlite3_bind_int64(o->remove, 1, rowid);
        rc = tm_sql_run(o->remove, err);
        return rc == TM_OK && live ? commit_bin(c, o, change->id, true, err) : rc;
    }
    rc = commit_sets(c, o, change, err);
    if (rc != TM_OK)
        return rc;
    commit_touch(c, o, change);
    if (kind != TM_ORG_UPDATE) {
        org->values[o->deleted] = commit_int(kind == TM_ORG_DELETE);
        if (kind == TM_ORG_UNDELETE && o->master >= 0)
            org->values[o->master] = (struct tm_org_value){ TM_ORG_NULL, 0, 0, NULL };
        rc = commit_bin(c, o, change->id, kind == TM_ORG_DELETE, err);
    }
    for (size_t i = 0; i < o->columns_count && kind == TM_ORG_UNDELETE; i++)
        org->mark[i] = org->values[i].kind != TM_ORG_NULL && o->columns[i].in_events;
    return rc == TM_OK ? commit_store(org, o, version, change->id, rowid, err) : rc;
}

static enum tm_code commit_change(struct org_commit *c, struct tm_org_change *change,
                                  struct tm_err *err)
{
    struct tm_org *org = c->org;
    struct org_object *o = org_find(org, change->object);
    int64_t rowid = 0, version = 0, replay_id = 0;
    const char *event = NULL;
    bool live = true;
    enum tm_code rc = TM_OK;
    if (o == NULL)
        return org_refuse(org, "INVALID_TYPE", "", err, "sObject type '%s' is not supported",
                          change->object);
    if (change->announce == TM_ORG_CONVERSION && change->kind != TM_ORG_UPDATE)
        return org_refuse(org, "INVALID_OPERATION", "", err, "a conversion can only be an update");
    memset(org->mark, 0, o->columns_count);
    tm_buf_reset(&org->arena);
    if (change->kind == TM_ORG_CREATE)
        rc = commit_create(c, o, change, err);
    else if ((rc = commit_read(c, o, change, &rowid, &version, err)) == TM_OK) {
        live = org->before[o->deleted].i == 0;
        rc = commit_alter(c, o, change, rowid, version + 1, live, err);
    }
    if (rc == TM_OK) {
        change->out_pos = ++org->pos_last;
        c->seq++;
        rc = org_commit_announce(c, o, change, live, &event, &replay_id, err);
    }
    if (rc == TM_OK)
        rc = commit_history(c, o, change, version + 1, event, replay_id, err);
    if (rc == TM_OK && org->watcher != NULL && !c->txn->before_origin)
        rc = org->watcher(org->watcher_self,
                          &(struct tm_org_seen){ o->describe->object, change->id, change->kind,
                                                 change->announce, live, c->org_ms },
                          err);
    sqlite3_reset(o->select);
    return rc;
}

/* ---- who watches ---- */
void tm_org_watch(struct tm_org *org, tm_org_watcher *watcher, void *self)
{
    org->watcher = watcher;
    org->watcher_self = self;
}

void tm_org_on_close(struct tm_org *org, void (*leave)(void *self), void *self)
{
    org->leave = leave;
    org->leave_self = self;
}

void tm_org_reader_on(struct tm_org *org, struct tm_org_reader *reader)
{
    assert(reader->at == NULL);
    reader->next = org->readers;
    reader->at = &org->readers;
    if (org->readers != NULL)
        org->readers->at = &reader->next;
    org->readers = reader;
}

void tm_org_reader_off(struct tm_org_reader *reader)
{
    if (reader->at == NULL)
        return;
    *reader->at = reader->next;
    if (reader->next != NULL)
        reader->next->at = reader->at;
    reader->at = NULL;
}

void org_changes(struct tm_org *org)
{
    while (org->readers != NULL) {
        struct tm_org_reader *reader = org->readers;
        tm_org_reader_off(reader);
        reader->before_change(reader);
    }
}

bool tm_org_seen_changed(const struct tm_org *org, const struct tm_org_seen *seen,
                         const char *field)
{
    const struct org_object *o = org_find(org, seen->object);
    int at = o != NULL ? org_column_index(o, field) : -1;
    return at >= 0 && !org_value_equal(&org->values[at], &org->before[at]);
}

/* ---- transactions ---- */
static enum tm_code commit_open(struct tm_org *org, struct tm_err *err)
{
    org_changes(org);
    if (!sqlite3_get_autocommit(org->db)) /* what was gathered stands open */
        return TM_OK;
    return tm_sql_exec(org->db, "BEGIN IMMEDIATE", err);
}

static enum tm_code commit_write(struct tm_org *org, struct tm_err *err)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, org->txn_count);
    enum tm_code rc = tm_org_meta_set(org, "txn_count", text, err);
    return rc == TM_OK ? tm_sql_exec(org->db, "COMMIT", err) : rc;
}

/* The batch, or the whole SQLite transaction, is lost; memory follows. A busy file in the middle
 * cannot happen after BEGIN IMMEDIATE. */
static enum tm_code commit_abort(struct tm_org *org, enum tm_code rc, struct tm_err *err)
{
    bool batch = org->batch;
    tm_sql_exec(org->db, batch && org->gathers ? "ROLLBACK TO batch; RELEASE batch" : "ROLLBACK",
                NULL);
    org->batch = false;
    org->pending.open = false;
    for (size_t i = 0; i < org->objects_count; i++)
        org->objects[i].overflow_replay = org->objects[i].conversion_replay = 0;
    enum tm_code reload = org_counters_load(org, rc == TM_E_AGAIN ? err : NULL);
    if (batch) /* of those gathered before it, the file does not know yet */
        org->txn_count = org->txns_before;
    return rc == TM_E_AGAIN && reload != TM_OK ? reload : rc;
}

void tm_org_gather(struct tm_org *org)
{
    org->gathers = true;
}

enum tm_code tm_org_settle(struct tm_org *org, struct tm_err *err)
{
    if (!org->gathers || org->batch || sqlite3_get_autocommit(org->db))
        return TM_OK;
    enum tm_code rc = commit_write(org, err);
    return rc == TM_OK ? rc : commit_abort(org, rc, err);
}

enum tm_code tm_org_begin(struct tm_org *org, struct tm_err *err)
{
    assert(!org->batch);
    enum tm_code rc = commit_open(org, err);
    if (rc == TM_OK && org->gathers) /* one that is cancelled takes nothing along */
        rc = tm_sql_exec(org->db, "SAVEPOINT batch", err);
    org->txns_before = org->txn_count;
    org->batch = rc == TM_OK;
    return rc;
}

enum tm_code tm_org_end(struct tm_org *org, struct tm_err *err)
{
    assert(org->batch);
    enum tm_code rc =
        org->gathers ? tm_sql_exec(org->db, "RELEASE batch", err) : commit_write(org, err);
    if (rc != TM_OK)
        return commit_abort(org, rc, err);
    org->batch = false;
    return TM_OK;
}

enum tm_code tm_org_cancel(struct tm_org *org, struct tm_err *err)
{
    assert(org->batch);
    enum tm_code rc = commit_abort(org, TM_E_AGAIN, err); /* says AGAIN when all went back */
    return rc == TM_E_AGAIN ? TM_OK : rc;
}

void org_txn_key(struct tm_org *org, char out[40])
{
    org->txn_count++;
    uint64_t n = (uint64_t)org->txn_count, a = tm_hash64(&n, sizeof n, org->settings.seed ^ 0x5a),
             b = tm_hash64(&n, sizeof n, org->settings.seed ^ 0xa5);
    snprintf(out, 40, "%08x-%04x-%04x-%04x-%012" PRIx64, (unsigned)(n & 0xffffffffu),
             (unsigned)(a & 0xffff), (unsigned)(a >> 16 & 0xffff), (unsigned)(a >> 32 & 0xffff),
             b & (UINT64_MAX >> 16));
}

static enum tm_code commit_prepare(struct org_commit *c, struct tm_err *err)
{
    struct tm_org *org = c->org;
    const struct tm_org_txn *t = c->txn;
    if (t->changes_count == 0 || t->changes_count > TM_ORG_CHANGES_MAX)
        return org_refuse(org, "LIMIT_EXCEEDED", "", err,
                          "a transaction has 1 to %d changes, not %zu", TM_ORG_CHANGES_MAX,
                          t->changes_count);
    for (size_t i = 0; i < t->changes_count && t->changes_count <= COMMIT_TWICE_CHECK_MAX; i++)
        for (size_t k = 0; k < i && t->changes[i].id[0] != 0; k++)
            if (memcmp(t->changes[i].id, t->changes[k].id, 15) == 0)
                return org_refuse(org, "DUPLICATE_VALUE", "Id", err,
                                  "%s stands twice in one transaction", t->changes[i].id);
    const char *user = t->user != NULL ? t->user : org->user_id;
    if (tm_id18(c->user, user, NULL) != TM_OK)
        return org_refuse(org, "MALFORMED_ID", "", err, "%.20s is not the id of a user", user);
    c->org_ms = t->org_ms > org->ms_last ? t->org_ms : org->ms_last;
    int64_t step_ms = org->quirks.millisecond_stamps ? 1 : 1000;
    int64_t written_ms =
        t->written_ms != 0 && t->written_ms < c->org_ms ? t->written_ms : c->org_ms;
    c->second_ms = c->org_ms - c->org_ms % step_ms;
    c->stamp_ms = written_ms - written_ms % step_ms;
    org->ms_last = c->org_ms;
    org_txn_key(org, c->key);
    c->number = COMMIT_NUMBER_FIRST + org->txn_count * 3;
    return TM_OK;
}

enum tm_code tm_org_commit(struct tm_org *org, struct tm_org_txn *txn, struct tm_err *err)
{
    struct org_commit c = { .org = org, .txn = txn };
    struct commit_undo undo;
    bool own = !org->batch, guarded = txn->changes_count > 1 || org->watcher != NULL;
    commit_remember(org, &undo);
    enum tm_code rc = commit_prepare(&c, err);
    if (rc != TM_OK || (own && (rc = commit_open(org, err)) != TM_OK)) {
        commit_restore(org, &undo);
        return rc;
    }
    org_quirk_announce(org, txn);
    /* A refused first change has written nothing, unless a watcher refused it; several need a place
     * to go back to. */
    if (guarded)
        rc = tm_sql_exec(org->db, "SAVEPOINT txn", err);
    for (size_t i = 0; i < txn->changes_count && rc == TM_OK; i++) {
        if (org->pending.open && txn->changes[i].announce != TM_ORG_MERGED)
            rc = org_commit_flush_merged(&c, err);
        if (rc == TM_OK)
            rc = commit_change(&c, &txn->changes[i], err);
    }
    if (rc == TM_OK)
        rc = org_commit_shared_events(&c, err);
    if (rc == TM_E_ARG) {
        org->pending.open = false;
        for (size_t i = 0; i < org->objects_count; i++)
            org->objects[i].overflow_replay = org->objects[i].conversion_replay = 0;
        commit_restore(org, &undo);
        if (guarded)
            tm_sql_exec(org->db, "ROLLBACK TO txn; RELEASE txn", NULL);
        if (own && !org->gathers)
            tm_sql_exec(org->db, "ROLLBACK", NULL);
        return rc;
    }
    if (rc == TM_OK && guarded)
        rc = tm_sql_exec(org->db, "RELEASE txn", err);
    if (rc == TM_OK && own && !org->gathers)
        rc = commit_write(org, err);
    return rc == TM_OK ? rc : commit_abort(org, rc, err);
}
