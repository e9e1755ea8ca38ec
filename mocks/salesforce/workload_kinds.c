#include "mocks/salesforce/workload_impl.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KINDS_CHILDREN_MAX                                                                         \
    30 /* accounts with more opportunities are neither deleted nor merged away */
#define KINDS_TRIES_MAX 12

static const char origin_robot[] = "com/salesforce/api/rest/60.0;client=tide";
static const char origin_bulk[] = "com/salesforce/api/bulk/60.0;client=tide";

/* Most writes are the integration user's, the rest people's. */
static enum tm_code kinds_commit(struct wl_maker *m, const struct tm_org_txn *when, bool robot,
                                 struct tm_err *err)
{
    struct tm_org_txn txn = *when;
    char user[TM_ID_BYTES];
    struct wl_object *users = wl_object(m, "User");
    int64_t at = robot || users == NULL || tm_rng_chance(&m->rng, 0.6)
                     ? -1
                     : wl_pick(m, users, false, WL_LIVE, 0);
    if (at >= 0) {
        wl_id(m, user, users, (size_t)at);
        txn.user = user;
    }
    if (txn.origin == NULL)
        txn.origin = at >= 0 ? "" : origin_robot;
    return wl_commit(m, &txn, err);
}

static bool kinds_taken(const struct wl_maker *m, const struct wl_object *o, int64_t index)
{
    char id[TM_ID_BYTES];
    wl_id(m, id, o, (size_t)index);
    for (size_t i = 0; i < m->changes_count; i++)
        if (strcmp(m->changes[i].id, id) == 0)
            return true;
    return false;
}

/* One more record that the transaction does not touch yet. */
static int64_t kinds_pick(struct wl_maker *m, struct wl_object *o, bool hot, unsigned want,
                          unsigned not_want)
{
    for (int tries = 0; tries < KINDS_TRIES_MAX; tries++) {
        int64_t at = wl_pick(m, o, hot && tries < 2, want, not_want);
        if (at < 0 || !kinds_taken(m, o, at))
            return at;
    }
    return -1;
}

static size_t kinds_field_count(struct wl_maker *m)
{
    size_t count = 1;
    while (count < 8 && tm_rng_chance(&m->rng, 0.6))
        count++;
    return count;
}

static enum tm_code kinds_create(struct wl_maker *m, struct wl_object *o,
                                 enum tm_org_announce announce, struct tm_err *err)
{
    enum tm_code rc = wl_change(m, TM_ORG_CREATE, announce, o, -1, err);
    return rc == TM_OK ? wl_create_sets(m, o, err) : rc;
}

static enum tm_code kinds_update(struct wl_maker *m, struct wl_object *o, bool hot,
                                 enum tm_org_announce announce, struct tm_err *err)
{
    int64_t at = kinds_pick(m, o, hot, WL_LIVE, 0);
    if (at < 0)
        return TM_OK;
    enum tm_code rc = wl_change(m, TM_ORG_UPDATE, announce, o, at, err);
    return rc == TM_OK ? wl_update_sets(m, o, at, kinds_field_count(m), err) : rc;
}

/* ---- children ---- */
struct kinds_children {
    char ids[KINDS_CHILDREN_MAX][TM_ID_BYTES];
    char object[88];
    size_t count;
    bool more;
};

static void kinds_child(void *data, const char *object, const char *id)
{
    struct kinds_children *c = data;
    if (c->count == KINDS_CHILDREN_MAX) {
        c->more = true;
        return;
    }
    snprintf(c->object, sizeof c->object, "%s", object);
    snprintf(c->ids[c->count++], TM_ID_BYTES, "%s", id);
}

/* A live record with few enough children; the children in *out. */
static int64_t kinds_pick_parent(struct wl_maker *m, struct wl_object *o,
                                 struct kinds_children *out, struct tm_err *err)
{
    char id[TM_ID_BYTES];
    for (int tries = 0; tries < KINDS_TRIES_MAX; tries++) {
        int64_t at = kinds_pick(m, o, false, WL_LIVE, 0);
        if (at < 0)
            return -1;
        *out = (struct kinds_children){ .count = 0 };
        wl_id(m, id, o, (size_t)at);
        if (tm_org_cascade(m->org, o->name, id, false, kinds_child, out, err) != TM_OK)
            return -1;
        if (!out->more)
            return at;
    }
    return -1;
}

static bool kinds_has_children(const struct wl_object *o)
{
    const json_t *relations = json_object_get(o->describe->json, "childRelationships");
    for (size_t i = 0; i < json_array_size(relations); i++)
        if (json_is_true(json_object_get(json_array_get(relations, i), "cascadeDelete")))
            return true;
    return false;
}

static struct wl_object *kinds_leaf(struct wl_maker *m) /* deletable, and nothing hangs on it */
{
    struct wl_object *best = NULL;
    for (size_t i = 0; i < m->objects_count; i++)
        if (m->objects[i].deletable && !kinds_has_children(&m->objects[i]) &&
            (best == NULL || m->objects[i].share > best->share))
            best = &m->objects[i];
    return best;
}

/* ---- the kinds ---- */
static enum tm_code kinds_delete(struct wl_maker *m, enum tm_org_announce announce,
                                 struct tm_err *err)
{
    struct wl_object *o = wl_pick_object(m, true);
    struct kinds_children children = { .count = 0 };
    enum tm_code rc = TM_OK;
    if (announce == TM_ORG_GAP || (kinds_has_children(o) && tm_rng_chance(&m->rng, 0.8)))
        o = kinds_leaf(m) != NULL ? kinds_leaf(m) : o;
    int64_t at = kinds_pick_parent(m, o, &children, err);
    if (at < 0)
        return err != NULL ? err->code : TM_OK;
    for (size_t i = 0; i < children.count && rc == TM_OK; i++) {
        struct wl_object *child = wl_object(m, children.object);
        rc = wl_change(m, TM_ORG_DELETE, announce, child, wl_number(m, children.ids[i]) - 1, err);
    }
    return rc == TM_OK ? wl_change(m, TM_ORG_DELETE, announce, o, at, err) : rc;
}

/* The account an opportunity hangs on must be back before it; out: its index to bring back too, -1
 * none, -2 it is gone. */
static enum tm_code kinds_parent_back(struct wl_maker *m, const struct wl_object *o, size_t index,
                                      int64_t *out, struct tm_err *err)
{
    struct wl_object *account = wl_object(m, "Account");
    char id[TM_ID_BYTES], sql[200];
    sqlite3_stmt *s = NULL;
    bool row = false;
    *out = -1;
    if (account == NULL || tm_describe_field(o->describe, "AccountId") == NULL)
        return TM_OK;
    wl_id(m, id, o, index);
    snprintf(sql, sizeof sql, "SELECT \"AccountId\" FROM \"cur_%s\" WHERE \"Id\"='%s'", o->name,
             id);
    enum tm_code rc = tm_sql_prepare(&s, tm_org_db(m->org), sql, err);
    if (rc == TM_OK)
        rc = tm_sql_step(s, &row, err);
    const char *parent = rc == TM_OK && row ? (const char *)sqlite3_column_text(s, 0) : NULL;
    if (parent != NULL) {
        int64_t n = wl_number(m, parent);
        bool known = n >= 1 && (size_t)n <= account->count;
        *out = known && account->state[n - 1] & WL_LIVE  ? -1
               : known && account->state[n - 1] & WL_BIN ? n - 1
                                                         : -2;
    }
    tm_sql_finalize(s);
    return rc;
}

static enum tm_code kinds_undelete(struct wl_maker *m, enum tm_org_announce announce,
                                   struct tm_err *err)
{
    struct wl_object *leaf = kinds_leaf(m);
    for (int tries = 0; tries < KINDS_TRIES_MAX; tries++) {
        struct wl_object *o = tries < KINDS_TRIES_MAX / 2 ? wl_pick_object(m, true) : leaf;
        int64_t at = o != NULL ? wl_pick(m, o, false, WL_BIN, 0) : -1, parent = -1;
        if (at < 0)
            continue;
        enum tm_code rc = kinds_parent_back(m, o, (size_t)at, &parent, err);
        if (rc == TM_OK && parent == -2)
            continue;
        if (rc == TM_OK && parent >= 0)
            rc = wl_change(m, TM_ORG_UNDELETE, announce, wl_object(m, "Account"), parent, err);
        return rc == TM_OK ? wl_change(m, TM_ORG_UNDELETE, announce, o, at, err) : rc;
    }
    return TM_OK;
}

static enum tm_code kinds_hard_delete(struct wl_maker *m, bool from_bin, struct tm_err *err)
{
    struct wl_object *o = kinds_leaf(m);
    int64_t at = o == NULL ? -1 : from_bin ? kinds_pick(m, o, false, WL_BIN, 0) : -1;
    if (at < 0 && o != NULL)
        at = kinds_pick(m, o, false, WL_LIVE, 0);
    return at >= 0 ? wl_change(m, TM_ORG_HARD_DELETE, TM_ORG_NORMAL, o, at, err) : TM_OK;
}

static enum tm_code kinds_nulls(struct wl_maker *m, struct tm_err *err)
{
    struct wl_object *o = wl_pick_object(m, false);
    int64_t at = kinds_pick(m, o, true, WL_LIVE, 0);
    struct tm_buf sql;
    sqlite3_stmt *s = NULL;
    char id[TM_ID_BYTES];
    bool row = false;
    size_t full[TM_ORG_FIELDS_MAX], full_count = 0, want = 1 + (size_t)tm_rng_below(&m->rng, 3);
    if (at < 0)
        return TM_OK;
    tm_buf_init(&sql, 1u << 18);
    wl_id(m, id, o, (size_t)at);
    tm_buf_addz(&sql, "SELECT 0");
    for (size_t i = 0; i < o->fields_count; i++) {
        tm_buf_addz(&sql, ",");
        tm_sql_ident(&sql, o->fields[i]->name);
        tm_buf_addz(&sql, " IS NOT NULL");
    }
    tm_buf_addf(&sql, " FROM \"cur_%s\" WHERE \"Id\"='%s'", o->name, id);
    enum tm_code rc = tm_sql_prepare(&s, tm_org_db(m->org), tm_buf_text(&sql), err);
    if (rc == TM_OK)
        rc = tm_sql_step(s, &row, err);
    for (size_t i = 0; rc == TM_OK && row && i < o->fields_count; i++)
        if (o->fields[i]->nillable && sqlite3_column_int(s, (int)i + 1) != 0)
            full[full_count++] = i;
    tm_sql_finalize(s);
    tm_buf_free(&sql);
    if (rc != TM_OK || full_count == 0)
        return rc;
    rc = wl_change(m, TM_ORG_UPDATE, TM_ORG_NORMAL, o, at, err);
    for (size_t i = 0; i < want && full_count > 0 && rc == TM_OK; i++) {
        size_t k = (size_t)tm_rng_below(&m->rng, full_count);
        struct tm_org_value null = { TM_ORG_NULL, 0, 0, NULL };
        rc = wl_set(m, o->fields[full[k]], &null, err);
        full[k] = full[--full_count];
    }
    return rc;
}

static enum tm_code kinds_set_id(struct wl_maker *m, const struct wl_object *o, const char *field,
                                 const char *id, struct tm_err *err)
{
    const struct tm_field *f = tm_describe_field(o->describe, field);
    struct tm_org_value v = { TM_ORG_TEXT, 0, 0, id };
    return f != NULL ? wl_set(m, f, &v, err) : TM_OK;
}

/* A new account with its first opportunities, or changes here and there that belong together. */
static enum tm_code kinds_transaction(struct wl_maker *m, size_t size, struct tm_err *err)
{
    struct wl_object *account = wl_object(m, "Account"), *opportunity = wl_object(m, "Opportunity");
    enum tm_code rc = TM_OK;
    if (account != NULL && opportunity != NULL && tm_rng_chance(&m->rng, 0.3)) {
        char id[TM_ID_BYTES];
        tm_org_id_of(m->org, id, account->describe->key_prefix,
                     tm_org_ids_given(m->org, "Account") + 1);
        rc = kinds_create(m, account, TM_ORG_NORMAL, err);
        for (size_t i = 1; i < size && rc == TM_OK; i++) {
            rc = kinds_create(m, opportunity, TM_ORG_NORMAL, err);
            if (rc == TM_OK) /* the last set of a field counts */
                rc = kinds_set_id(m, opportunity, "AccountId", id, err);
        }
        return rc;
    }
    for (size_t i = 0; i < size && rc == TM_OK; i++)
        rc = kinds_update(m, wl_pick_object(m, false), i == 0, TM_ORG_NORMAL, err);
    return rc;
}

/* Opportunities move to the winner, the loser goes, the winner keeps the better values. */
static enum tm_code kinds_merge(struct wl_maker *m, struct tm_err *err)
{
    struct wl_object *o = wl_object(m, "Account");
    struct kinds_children children = { .count = 0 };
    char winner_id[TM_ID_BYTES];
    int64_t loser = o != NULL ? kinds_pick_parent(m, o, &children, err) : -1;
    int64_t winner = loser >= 0 ? kinds_pick(m, o, true, WL_LIVE, 0) : -1;
    enum tm_code rc = TM_OK;
    if (winner < 0 || winner == loser)
        return err != NULL ? err->code : TM_OK;
    wl_id(m, winner_id, o, (size_t)winner);
    for (size_t i = 0; i < children.count && rc == TM_OK; i++) {
        struct wl_object *child = wl_object(m, children.object);
        rc = wl_change(m, TM_ORG_UPDATE, TM_ORG_NORMAL, child, wl_number(m, children.ids[i]) - 1,
                       err);
        if (rc == TM_OK)
            rc = kinds_set_id(m, child, "AccountId", winner_id, err);
    }
    if (rc == TM_OK)
        rc = wl_change(m, TM_ORG_DELETE, TM_ORG_NORMAL, o, loser, err);
    if (rc == TM_OK)
        rc = kinds_set_id(m, o, "MasterRecordId", winner_id, err);
    if (rc == TM_OK)
        rc = wl_change(m, TM_ORG_UPDATE, TM_ORG_NORMAL, o, winner, err);
    return rc == TM_OK ? wl_update_sets(m, o, winner, 1 + (size_t)tm_rng_below(&m->rng, 3), err)
                       : rc;
}

/* The same change to several records: one event. Sometimes a delete. */
static enum tm_code kinds_merged_event(struct wl_maker *m, size_t size, struct tm_err *err)
{
    struct wl_object *leaf = kinds_leaf(m);
    bool gone = leaf != NULL && tm_rng_chance(&m->rng, 0.15);
    struct wl_object *o = gone ? leaf : wl_pick_object(m, false);
    const struct tm_field *f =
        o->unique_count > 0 ? o->unique[tm_rng_below(&m->rng, o->unique_count)] : NULL;
    enum tm_code rc = TM_OK;
    size = gone && size > 5 ? 5 : size;
    for (size_t i = 0; i < size && rc == TM_OK && (gone || f != NULL); i++) {
        int64_t at = kinds_pick(m, o, false, WL_LIVE | WL_ROBOT, 0);
        if (at < 0)
            break;
        rc = wl_change(m, gone ? TM_ORG_DELETE : TM_ORG_UPDATE, TM_ORG_MERGED, o, at, err);
        if (rc != TM_OK || gone)
            continue;
        if (m->sets_count == 0) {
            rc = wl_set_fresh(m, o, f, err);
            continue;
        }
        struct tm_org_value v = m->sets[0].value;
        if (v.kind == TM_ORG_TEXT) { /* texts may move while one is added: from a copy */
            char text[1024];
            snprintf(text, sizeof text, "%s", m->texts.data + m->text_at[0]);
            v.text = text;
            rc = wl_set(m, f, &v, err);
        } else
            rc = wl_set(m, f, &v, err);
    }
    return rc;
}

/* An import: new records, and some that are there already, of one object. */
static enum tm_code kinds_burst(struct wl_maker *m, size_t size, struct tm_err *err)
{
    struct wl_object *o = wl_pick_object(m, false);
    enum tm_code rc = TM_OK;
    if (strcmp(o->name, "User") == 0 && m->objects_count > 1)
        o = &m->objects[0];
    for (size_t i = 0; i < size && rc == TM_OK; i++)
        rc = tm_rng_chance(&m->rng, 0.7) ? kinds_create(m, o, TM_ORG_NORMAL, err)
                                         : kinds_update(m, o, false, TM_ORG_NORMAL, err);
    return rc;
}

static enum tm_code kinds_overflow(struct wl_maker *m, size_t size, struct tm_err *err)
{
    struct wl_object *o = kinds_leaf(m) != NULL ? kinds_leaf(m) : &m->objects[0];
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < size && rc == TM_OK; i++)
        rc = kinds_update(m, o, false, i < size / 10 ? TM_ORG_NORMAL : TM_ORG_OVERFLOW, err);
    return rc;
}

static struct wl_object *kinds_long_object(struct wl_maker *m)
{
    struct wl_object *best = NULL;
    for (size_t i = 0; i < m->objects_count; i++)
        if (m->objects[i].long_text != NULL && (best == NULL || m->objects[i].share > best->share))
            best = &m->objects[i];
    return best;
}

static enum tm_code kinds_diff(struct wl_maker *m, const struct tm_org_txn *when,
                               struct tm_err *err)
{
    struct wl_object *o = kinds_long_object(m);
    char id[TM_ID_BYTES], sql[300];
    sqlite3_stmt *s = NULL;
    bool row = false;
    enum tm_code rc = TM_OK;
    int64_t at = o != NULL ? wl_pick(m, o, false, WL_LIVE | WL_LONG, 0) : -1;
    if (o != NULL && at < 0 &&
        (at = wl_pick(m, o, false, WL_LIVE, 0)) >= 0) { /* first there must be a long text */
        rc = wl_change(m, TM_ORG_UPDATE, TM_ORG_NORMAL, o, at, err);
        if (rc == TM_OK)
            rc = wl_set_long(m, o->long_text, NULL, err);
        if (rc == TM_OK)
            rc = kinds_commit(m, when, true, err);
    }
    if (rc != TM_OK || at < 0)
        return rc;
    wl_id(m, id, o, (size_t)at);
    snprintf(sql, sizeof sql, "SELECT \"%s\" FROM \"cur_%s\" WHERE \"Id\"='%s'", o->long_text->name,
             o->name, id);
    rc = tm_sql_prepare(&s, tm_org_db(m->org), sql, err);
    if (rc == TM_OK)
        rc = tm_sql_step(s, &row, err);
    if (rc == TM_OK && row && sqlite3_column_type(s, 0) == SQLITE_TEXT) {
        rc = wl_change(m, TM_ORG_UPDATE, TM_ORG_DIFF, o, at, err);
        if (rc == TM_OK)
            rc = wl_set_long(m, o->long_text, (const char *)sqlite3_column_text(s, 0), err);
    }
    tm_sql_finalize(s);
    return rc;
}

static struct wl_object *kinds_with_field(struct wl_maker *m, const char *field)
{
    for (size_t i = 0; i < m->objects_count; i++) {
        const struct tm_field *f = tm_describe_field(m->objects[i].describe, field);
        if (f != NULL && f->custom && f->kind == TM_FIELD_TEXT)
            return &m->objects[i];
    }
    return NULL;
}

static enum tm_code kinds_conversion_seed(struct wl_maker *m, struct wl_object *o,
                                          const struct tm_org_txn *when, struct tm_err *err)
{
    int64_t at = wl_pick(m, o, false, WL_LIVE, 0);
    if (at < 0)
        return TM_OK;
    enum tm_code rc = wl_change(m, TM_ORG_UPDATE, TM_ORG_NORMAL, o, at, err);
    if (rc == TM_OK)
        rc = wl_set_fresh(m, o, tm_describe_field(o->describe, WL_CONVERSION_FIELD), err);
    return rc == TM_OK ? kinds_commit(m, when, true, err) : rc;
}

/* Text becomes a picklist; what was in it is lost, and one event says so for the whole object. */
static enum tm_code kinds_conversion(struct wl_maker *m, const struct tm_org_txn *when,
                                     struct tm_err *err)
{
    struct wl_object *o = kinds_with_field(m, WL_CONVERSION_FIELD);
    char sql[300];
    sqlite3_stmt *s = NULL;
    bool row = true;
    assert(o != NULL); /* wl_possible */
    enum tm_code rc = kinds_conversion_seed(m, o, when, err);
    json_t *patch = json_loads("{\"type\":\"picklist\",\"length\":255,\"picklistValues\":[{"
                               "\"active\":true,\"defaultValue\":false,"
                               "\"label\":\"Old\",\"validFor\":null,\"value\":\"Old\"},{\"active\":"
                               "true,\"defaultValue\":false,"
                               "\"label\":\"New\",\"validFor\":null,\"value\":\"New\"}]}",
                               0, NULL);
    if (rc == TM_OK)
        rc = tm_org_field_retype(m->org, o->name, WL_CONVERSION_FIELD, patch, NULL, err);
    json_decref(patch);
    if (rc == TM_OK)
        rc = wl_fields(m, err);
    snprintf(sql, sizeof sql,
             "SELECT \"Id\" FROM \"cur_%s\" WHERE \"" WL_CONVERSION_FIELD "\" IS NOT NULL AND "
             "\"IsDeleted\"=0 "
             "ORDER BY _row LIMIT %d",
             o->name, WL_CHANGES_MAX);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s, tm_org_db(m->org), sql, err);
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row) {
        struct tm_org_value null = { TM_ORG_NULL, 0, 0, NULL };
        rc = wl_change(m, TM_ORG_UPDATE, TM_ORG_CONVERSION, o,
                       wl_number(m, (const char *)sqlite3_column_text(s, 0)) - 1, err);
        if (rc == TM_OK)
            rc = wl_set(m, tm_describe_field(o->describe, WL_CONVERSION_FIELD), &null, err);
    }
    tm_sql_finalize(s);
    return rc;
}

static enum tm_code kinds_field_add(struct wl_maker *m, struct tm_err *err)
{
    struct wl_object *o = kinds_leaf(m) != NULL ? kinds_leaf(m) : &m->objects[0];
    json_t *field =
        json_pack("{s:s,s:s,s:s,s:i,s:i,s:b}", "name", WL_ADDED_FIELD, "label", "Tide Level",
                  "type", "double", "precision", 18, "scale", 2, "custom", 1);
    enum tm_code rc = field != NULL ? tm_org_field_add(m->org, o->name, field, NULL, err)
                                    : tm_fail(err, TM_E_NOMEM, "field");
    json_decref(field);
    if (rc == TM_OK)
        rc = wl_fields(m, err);
    for (int i = 0; i < 3 && rc == TM_OK; i++) {
        int64_t at = kinds_pick(m, o, false, WL_LIVE, 0);
        if (at < 0)
            break;
        rc = wl_change(m, TM_ORG_UPDATE, TM_ORG_NORMAL, o, at, err);
        if (rc == TM_OK)
            rc = wl_set_fresh(m, o, tm_describe_field(o->describe, WL_ADDED_FIELD), err);
    }
    return rc;
}

static enum tm_code kinds_field_remove(struct wl_maker *m, struct tm_err *err)
{
    struct wl_object *o = kinds_with_field(m, WL_REMOVED_FIELD);
    assert(o != NULL); /* wl_possible */
    enum tm_code rc = tm_org_field_remove(m->org, o->name, WL_REMOVED_FIELD, err);
    return rc == TM_OK ? wl_fields(m, err) : rc;
}

enum tm_code wl_possible(struct wl_maker *m, enum tm_workload_kind kind, struct tm_err *err)
{
    const char *missing = NULL;
    struct wl_object *added = kinds_leaf(m) != NULL ? kinds_leaf(m) : &m->objects[0];
    switch (kind) {
    case TM_WL_DELETE:
    case TM_WL_UNDELETE:
    case TM_WL_HARD_DELETE:
    case TM_WL_GAP_DELETE:
    case TM_WL_GAP_UNDELETE:
        missing =
            kinds_leaf(m) == NULL ? "an object that can be deleted and has no children" : NULL;
        break;
    case TM_WL_MERGE:
        missing = wl_object(m, "Account") == NULL ? "the object Account" : NULL;
        break;
    case TM_WL_DIFF:
        missing = kinds_long_object(m) == NULL ? "a text area longer than 4,000 characters" : NULL;
        break;
    case TM_WL_CONVERSION:
        missing = kinds_with_field(m, WL_CONVERSION_FIELD) == NULL ? "a text "
                                                                     "field " WL_CONVERSION_FIELD
                                                                   : NULL;
        break;
    case TM_WL_FIELD_REMOVE:
        missing =
            kinds_with_field(m, WL_REMOVED_FIELD) == NULL ? "a text field " WL_REMOVED_FIELD : NULL;
        break;
    case TM_WL_FIELD_ADD:
        missing = tm_describe_field(added->describe, WL_ADDED_FIELD) != NULL
                      ? "an object that has no " WL_ADDED_FIELD " yet"
                      : NULL;
        break;
    default: break;
    }
    return missing == NULL ? TM_OK
                           : tm_fail(err, TM_E_ARG,
                                     "workload: kind \"%s\" needs %s: add it to the objects or "
                                     "take the kind "
                                     "out of the scenario",
                                     tm_workload_kind_name(kind), missing);
}

/* Undeletes need something in the bin: a delete of its own first where it is empty. */
static enum tm_code kinds_fill_bin(struct wl_maker *m, const struct tm_org_txn *when,
                                   struct tm_err *err)
{
    struct wl_object *leaf = kinds_leaf(m);
    if (leaf == NULL || leaf->bin > 0)
        return TM_OK;
    int64_t at = wl_pick(m, leaf, false, WL_LIVE, 0);
    if (at < 0)
        return TM_OK;
    enum tm_code rc = wl_change(m, TM_ORG_DELETE, TM_ORG_NORMAL, leaf, at, err);
    return rc == TM_OK ? kinds_commit(m, when, false, err) : rc;
}

enum tm_code wl_run(struct wl_maker *m, const struct wl_step *step, const struct tm_org_txn *when,
                    bool *out_happened, struct tm_err *err)
{
    struct tm_org_txn txn = *when;
    bool robot = false;
    enum tm_code rc = TM_OK;
    switch ((enum tm_workload_kind)step->kind) {
    case TM_WL_CREATE: rc = kinds_create(m, wl_pick_object(m, false), TM_ORG_NORMAL, err); break;
    case TM_WL_UPDATE:
        rc = kinds_update(m, wl_pick_object(m, false), true, TM_ORG_NORMAL, err);
        break;
    case TM_WL_NULLS: rc = kinds_nulls(m, err); break;
    case TM_WL_DELETE: rc = kinds_delete(m, TM_ORG_NORMAL, err); break;
    case TM_WL_UNDELETE:
    case TM_WL_GAP_UNDELETE:
        rc = kinds_fill_bin(m, when, err);
        if (rc == TM_OK)
            rc = kinds_undelete(m, step->kind == TM_WL_UNDELETE ? TM_ORG_NORMAL : TM_ORG_GAP, err);
        break;
    case TM_WL_HARD_DELETE:
        rc = kinds_hard_delete(m, step->size == 0 && tm_rng_chance(&m->rng, 0.5), err);
        break;
    case TM_WL_TRANSACTION: rc = kinds_transaction(m, step->size, err); break;
    case TM_WL_MERGE: rc = kinds_merge(m, err); break;
    case TM_WL_MERGED_EVENT:
        rc = kinds_merged_event(m, step->size, err);
        robot = true;
        break;
    case TM_WL_BURST:
        rc = kinds_burst(m, step->size, err);
        robot = true;
        txn.origin = origin_bulk;
        break;
    case TM_WL_GAP_CREATE: rc = kinds_create(m, wl_pick_object(m, false), TM_ORG_GAP, err); break;
    case TM_WL_GAP_UPDATE:
        rc = kinds_update(m, wl_pick_object(m, false), true, TM_ORG_GAP, err);
        break;
    case TM_WL_GAP_DELETE: rc = kinds_delete(m, TM_ORG_GAP, err); break;
    case TM_WL_OVERFLOW:
        rc = kinds_overflow(m, step->size, err);
        robot = true;
        break;
    case TM_WL_DIFF: rc = kinds_diff(m, when, err); break;
    case TM_WL_CONVERSION:
        rc = kinds_conversion(m, when, err);
        robot = true;
        break;
    case TM_WL_FIELD_ADD: rc = kinds_field_add(m, err); break;
    case TM_WL_FIELD_REMOVE: rc = kinds_field_remove(m, err); break;
    case TM_WL_KINDS: assert(false); break;
    }
    *out_happened = m->changes_count > 0 || step->kind == TM_WL_FIELD_REMOVE;
    return rc == TM_OK ? kinds_commit(m, &txn, robot, err) : rc;
}
