#include "mocks/salesforce/record_impl.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- looking up ---- */

static bool record_looks_up(const struct tm_field *f)
{
    return f->kind != TM_FIELD_COMPOUND && (json_is_true(json_object_get(f->json, "externalId")) ||
                                            json_is_true(json_object_get(f->json, "idLookup")) ||
                                            json_is_true(json_object_get(f->json, "unique")));
}

static enum tm_code record_select(struct tm_org *org, const struct tm_describe *d,
                                  const struct tm_field *f, const struct tm_org_value *value,
                                  size_t count_max, json_t *ids, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    struct tm_buf sql;
    bool row = true, exact = f->kind != TM_FIELD_TEXT ||
                             json_is_true(json_object_get(f->json, "caseSensitive"));
    char table[120];
    snprintf(table, sizeof table, "cur_%.80s", d->object);
    tm_buf_init(&sql, 1024);
    tm_buf_addz(&sql, "SELECT \"Id\" FROM ");
    tm_sql_ident(&sql, table);
    tm_buf_addz(&sql, " WHERE ");
    tm_sql_ident(&sql, f->name);
    tm_buf_addf(&sql, "=?%s AND \"IsDeleted\"=0 ORDER BY \"Id\" LIMIT %zu",
                exact ? "" : " COLLATE NOCASE", count_max);
    enum tm_code rc = tm_buf_check(&sql, "a lookup", err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s, tm_org_db(org), tm_buf_text(&sql), err);
    if (rc == TM_OK)
        org_value_bind(s, 1, value);
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row)
        json_array_append_new(ids, json_string((const char *)sqlite3_column_text(s, 0)));
    tm_sql_finalize(s);
    tm_buf_free(&sql);
    return rc;
}

enum tm_code tm_record_find(struct tm_org *org, const char *object, const char *field,
                            const json_t *value, size_t count_max, json_t **out, struct tm_err *err)
{
    const struct tm_describe *d = tm_org_describe(org, object);
    const struct tm_field *f = d != NULL ? tm_describe_field(d, field) : NULL;
    struct tm_record r = { .object = object };
    struct tm_org_value v;
    char text[TM_TIME_BYTES], id18[TM_ID_BYTES];
    if (f == NULL || !record_looks_up(f))
        return org_refuse(org, "NOT_FOUND", field, err,
                          "Provided external ID field does not exist or is not accessible: %.80s",
                          field);
    *out = json_array();
    if (*out == NULL)
        return tm_fail(err, TM_E_NOMEM, "ids");
    if (!record_value(&r, f, value, text, &v) || v.kind == TM_ORG_NULL)
        return TM_OK; /* nothing has such a value */
    if (f->kind == TM_FIELD_ID) {
        if (tm_id18(id18, v.text, NULL) != TM_OK)
            return TM_OK;
        v.text = id18;
    }
    enum tm_code rc = record_select(org, d, f, &v, count_max, *out, err);
    if (rc != TM_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return rc;
}

/* ---- one transaction ---- */

struct record_call {
    struct tm_org *org;
    struct tm_record *records;
    size_t count;
    struct record_sets *sets;      /* [count] */
    struct tm_org_change *changes; /* [TM_RECORD_CHANGES_MAX] when something is deleted */
    size_t *of;                    /* [changes] the record a change belongs to */
    size_t changes_count, changes_cap, at;
    size_t
        from; /* records before it are written: what is too much for one transaction is several */
    bool all_or_none, full;
};

static bool record_there(const struct record_call *c, const char *id)
{
    for (size_t i = 0; i < c->changes_count; i++)
        if (strcmp(c->changes[i].id, id) == 0)
            return true;
    return false;
}

static void record_change(struct record_call *c, struct tm_org_change change, const char *id)
{
    if (c->changes_count == c->changes_cap) {
        c->full = true;
        return;
    }
    c->changes[c->changes_count] = change;
    snprintf(c->changes[c->changes_count].id, TM_ID_BYTES, "%s", id);
    c->of[c->changes_count++] = c->at;
}

/* Many changes may hang on one record: its children share its fate. */
static bool record_takes_along(enum tm_org_kind kind)
{
    return kind >= TM_ORG_DELETE;
}

static void record_child(void *data, const char *object, const char *id)
{
    struct record_call *c = data;
    enum tm_org_kind kind = c->records[c->at].kind;
    const struct tm_describe *d = tm_org_describe(c->org, object);
    if (!record_there(c, id))
        record_change(c, (struct tm_org_change){ .kind = kind, .object = d->object }, id);
}

static enum tm_org_state record_state_wanted(enum tm_org_kind kind)
{
    return kind == TM_ORG_UNDELETE || kind == TM_ORG_HARD_DELETE ? TM_ORG_IN_BIN : TM_ORG_LIVE;
}

/* What one good record asks of the org. A record that an earlier delete takes along is not deleted
 * twice. c->full: no place for all of it, and nothing of it was taken. */
static enum tm_code record_changes(struct record_call *c, struct tm_err *err)
{
    struct tm_record *r = &c->records[c->at];
    const struct tm_describe *d = tm_org_describe(c->org, r->object);
    struct tm_org_change change = { .kind = r->kind,
                                    .object = d->object,
                                    .sets = c->sets[c->at].sets,
                                    .sets_count = c->sets[c->at].count };
    enum tm_org_state state = TM_ORG_ABSENT;
    enum tm_code rc = TM_OK;
    size_t before = c->changes_count;
    if (r->kind != TM_ORG_CREATE && record_there(c, r->id)) {
        if (!record_takes_along(r->kind))
            tm_record_refuse(r, "DUPLICATE_VALUE", "", "Duplicate id in list: %s", r->id);
        return TM_OK;
    }
    if (record_takes_along(r->kind) &&
        c->from > 0) { /* an earlier transaction may have taken it along */
        rc = tm_org_record_state(c->org, d->object, r->id, &state, err);
        if (rc != TM_OK || state != record_state_wanted(r->kind))
            return rc;
    }
    if (record_takes_along(r->kind))
        rc = tm_org_cascade(c->org, d->object, r->id, r->kind != TM_ORG_DELETE, record_child, c,
                            err);
    record_change(c, change, r->kind == TM_ORG_CREATE ? "" : r->id);
    if (c->full)
        c->changes_count = before;
    return rc;
}

/* The changes of the records from c->from on, c->at then being the first that is left to the next
 * transaction. A record that is too much for one of its own is refused. */
static enum tm_code record_gather(struct record_call *c, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    c->changes_count = 0;
    for (c->at = c->from; c->at < c->count && rc == TM_OK; c->at++) {
        c->full = false;
        if (c->records[c->at].code[0] == '\0')
            rc = record_changes(c, err);
        if (rc != TM_OK || !c->full)
            continue;
        if (c->changes_count > 0 && !c->all_or_none)
            return TM_OK;
        tm_record_refuse(&c->records[c->at], "DELETE_FAILED", "", "more than %d records go along",
                         TM_RECORD_CHANGES_MAX);
    }
    return rc;
}

/* org.db is locked after a part of the call is written: the rest says so, as a caller that tried
 * all of it again would find the part done. */
static void record_locked(struct record_call *c)
{
    for (size_t i = c->from; i < c->count; i++)
        if (c->records[i].code[0] == '\0')
            tm_record_refuse(&c->records[i], "UNABLE_TO_LOCK_ROW", "",
                             "unable to obtain exclusive access to this record");
}

static bool record_any_refused(const struct record_call *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->records[i].code[0] != '\0')
            return true;
    return false;
}

/* Commits what is not refused. A refusal by the org marks its record; *out_again: with that one
 * left out, another try is due. */
static enum tm_code record_commit(struct record_call *c, const struct tm_record_who *who,
                                  bool *out_again, struct tm_err *err)
{
    struct tm_err why = { 0 };
    enum tm_code rc = TM_OK;
    *out_again = false;
    rc = record_gather(c, err);
    if (rc != TM_OK || c->changes_count == 0 || (c->all_or_none && record_any_refused(c)))
        return rc;
    struct tm_org_txn txn = { .changes = c->changes,
                              .changes_count = c->changes_count,
                              .org_ms = who->now->org_ms,
                              .intended_ns = who->now->wall_ns,
                              .actual_ns = who->now->wall_ns,
                              .user = who->user,
                              .origin = who->origin };
    rc = tm_org_commit(c->org, &txn, &why);
    if (rc == TM_E_ARG) { /* the first change without a position is the one that was refused */
        size_t bad = 0;
        while (bad + 1 < c->changes_count && c->changes[bad].out_pos != 0)
            bad++;
        tm_record_refuse(&c->records[c->of[bad]], c->org->error_code, c->org->error_field, "%s",
                         why.msg);
        *out_again = true;
        return TM_OK;
    }
    if (rc == TM_E_AGAIN && c->from > 0) {
        record_locked(c);
        return TM_OK;
    }
    if (rc != TM_OK && err != NULL)
        *err = why;
    *out_again = rc == TM_OK && c->at < c->count;
    c->from = c->at;
    for (size_t i = 0; i < c->changes_count && rc == TM_OK; i++)
        if (c->changes[i].kind == TM_ORG_CREATE)
            memcpy(c->records[c->of[i]].id, c->changes[i].id, TM_ID_BYTES);
    return rc;
}

static void record_roll_back(struct record_call *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->records[i].code[0] == '\0')
            tm_record_refuse(&c->records[i], "ALL_OR_NONE_OPERATION_ROLLED_BACK", "",
                             "Record rolled back because not all records were valid and the "
                             "request was using AllOrNone header");
}

/* The record a change or a delete is about must be there. */
static enum tm_code record_target(struct tm_org *org, struct tm_record *r, struct tm_err *err)
{
    const struct tm_describe *d = tm_org_describe(org, r->object);
    static const char *const flags[] = { "createable", "updateable", "deletable", "undeletable",
                                         "deletable" };
    static const char *const words[] = { "create", "update", "delete", "undelete",
                                         "emptying from the recycle bin" };
    enum tm_org_state state = TM_ORG_ABSENT;
    char id18[TM_ID_BYTES];
    if (d == NULL) {
        tm_record_refuse(r, "INVALID_TYPE", "", "sObject type '%.80s' is not supported.",
                         r->object);
        return TM_OK;
    }
    if (json_is_false(json_object_get(d->json, flags[r->kind])))
        tm_record_refuse(r, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "",
                         "entity type %s does not support %s", d->object, words[r->kind]);
    if (r->kind == TM_ORG_CREATE || r->code[0] != '\0')
        return TM_OK;
    if (tm_id18(id18, r->id, NULL) != TM_OK || strncmp(id18, d->key_prefix, 3) != 0) {
        tm_record_refuse(r, "MALFORMED_ID", "Id", "malformed id %.40s", r->id);
        return TM_OK;
    }
    memcpy(r->id, id18, sizeof id18);
    enum tm_code rc = tm_org_record_state(org, d->object, r->id, &state, err);
    if (rc == TM_OK && record_state_wanted(r->kind) == TM_ORG_IN_BIN && state != TM_ORG_IN_BIN)
        tm_record_refuse(r, r->kind == TM_ORG_UNDELETE ? "UNDELETE_FAILED" : "INVALID_ID_FIELD", "",
                         "Entity is not in the recycle bin");
    else if (rc == TM_OK && state == record_state_wanted(r->kind))
        return TM_OK;
    else if (rc == TM_OK && state == TM_ORG_ABSENT)
        tm_record_refuse(r, "INVALID_CROSS_REFERENCE_KEY", "", "invalid cross reference id");
    else if (rc == TM_OK && state == TM_ORG_IN_BIN)
        tm_record_refuse(r, "ENTITY_IS_DELETED", "", "entity is deleted");
    return rc;
}

enum tm_code tm_record_write(struct tm_org *org, struct tm_record *records, size_t count,
                             bool all_or_none, const struct tm_record_who *who, struct tm_err *err)
{
    struct record_call c = {
        .org = org, .records = records, .count = count, .all_or_none = all_or_none
    };
    enum tm_code rc = TM_OK;
    bool again = true;
    c.changes_cap = count;
    for (size_t i = 0; i < count; i++)
        if (record_takes_along(records[i].kind))
            c.changes_cap = TM_RECORD_CHANGES_MAX;
    assert(count > 0 && count <= TM_RECORD_CHANGES_MAX);
    c.sets = calloc(count, sizeof *c.sets);
    c.changes = calloc(c.changes_cap, sizeof *c.changes);
    c.of = calloc(c.changes_cap, sizeof *c.of);
    if (c.sets == NULL || c.changes == NULL || c.of == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "%zu records", count);
    for (size_t i = 0; i < count && rc == TM_OK; i++) {
        if (records[i].code[0] == '\0') /* a caller may have refused one already */
            rc = record_target(org, &records[i], err);
        if (rc == TM_OK && records[i].code[0] == '\0')
            rc = record_check(org, &records[i], &c.sets[i], err);
        if (rc == TM_OK && records[i].code[0] == '\0')
            record_unique_among(org, records, c.sets, i);
    }
    while (rc == TM_OK && again && !(all_or_none && record_any_refused(&c)))
        rc = record_commit(&c, who, &again, err);
    if (rc == TM_OK && all_or_none && record_any_refused(&c))
        record_roll_back(&c);
    for (size_t i = 0; i < count && c.sets != NULL; i++)
        record_sets_free(&c.sets[i]);
    free(c.sets);
    free(c.changes);
    free(c.of);
    return rc;
}
