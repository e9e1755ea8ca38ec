/* org_schema_change: fields that come, go and change their type while the org runs. Opening objects
 * and their tables is org_schema.c. */
#include "mocks/salesforce/org_impl.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SCHEMA_SQL_BYTES_MAX (1u << 20)

void org_schema_fill(json_t *f)
{
    static const char preset[] = "{\"length\":0,\"precision\":0,\"scale\":0,\"nillable\":true,"
                                 "\"createable\":true,\"updateable\":true,"
                                 "\"filterable\":true,\"sortable\":true,\"groupable\":false,"
                                 "\"calculated\":false,\"externalId\":false,"
                                 "\"idLookup\":false,\"unique\":false,\"caseSensitive\":false,"
                                 "\"referenceTo\":[],\"relationshipName\":null,"
                                 "\"compoundFieldName\":null,\"picklistValues\":[],"
                                 "\"defaultedOnCreate\":false,\"soapType\":\"xsd:string\"}";
    json_t *defaults = json_loads(preset, 0, NULL);
    const char *name = json_string_value(json_object_get(f, "name"));
    size_t n = strlen(name);
    json_object_set_new(defaults, "label", json_string(name));
    json_object_set_new(defaults, "custom",
                        json_boolean(n > 3 && strcmp(name + n - 3, "__c") == 0));
    json_object_update_missing(f, defaults);
    json_decref(defaults);
}

static enum tm_code schema_replace(struct tm_org *org, struct org_object *o, json_t *describe,
                                   struct tm_err *err)
{
    struct org_object fresh = { 0 };
    sqlite3_stmt *statements[4] = { NULL };
    enum tm_code rc = org_schema_attach(&fresh, describe, err);
    if (rc == TM_OK)
        rc = org_statements(org, &fresh, fresh.cur, statements, err);
    if (rc == TM_OK)
        rc = org_schema_describe_store(org, fresh.describe->object, org->pos_last + 1, describe,
                                       err);
    fresh.select = statements[0];
    fresh.insert = statements[1];
    fresh.update = statements[2];
    fresh.remove = statements[3];
    if (rc == TM_OK && org->lag_pos >= 0)
        rc = org_statements(org, &fresh, fresh.lag, fresh.lagged, err);
    if (rc != TM_OK) {
        org_object_close(&fresh);
        return rc;
    }
    fresh.ids_given = o->ids_given;
    fresh.replay_last = o->replay_last;
    org_object_close(o);
    *o = fresh;
    org->schema_version++;
    return TM_OK;
}

static enum tm_code schema_column_add(struct tm_org *org, struct org_object *o,
                                      const struct tm_describe *d, const struct tm_field *f,
                                      bool *out_there, struct tm_err *err)
{
    struct tm_buf sql, column;
    bool any = false, there = false;
    sqlite3_stmt *s = NULL;
    tm_buf_init(&sql, SCHEMA_SQL_BYTES_MAX);
    tm_buf_init(&column, SCHEMA_SQL_BYTES_MAX);
    enum tm_code rc = org_schema_column(&column, d, f, &any, err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s, org->db,
                            "SELECT upper(type) FROM pragma_table_xinfo(?) WHERE name=? COLLATE "
                            "NOCASE",
                            err);
    if (rc == TM_OK) {
        sqlite3_bind_text(s, 1, o->cur, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 2, f->name, -1, SQLITE_STATIC);
        rc = tm_sql_step(s, &there, err);
    }
    if (rc == TM_OK && there &&
        strcmp((const char *)sqlite3_column_text(s, 0), org_schema_affinity(f)) != 0)
        rc = tm_fail(err, TM_E_ARG,
                     "%s.%s was there before with another kind of value: choose another name",
                     d->object, f->name);
    tm_sql_finalize(s);
    if (rc == TM_OK && any && !there) {
        tm_buf_addf(&sql, "ALTER TABLE \"%s\" ADD COLUMN %s", o->cur, tm_buf_text(&column));
        rc = tm_sql_exec(org->db, tm_buf_text(&sql), err);
        if (rc == TM_OK && org->lag_pos >= 0)
            rc = tm_sql_execf(org->db, err, "ALTER TABLE temp.\"%s\" ADD COLUMN %s", o->lag,
                              tm_buf_text(&column));
    }
    tm_buf_free(&sql);
    tm_buf_free(&column);
    *out_there = there;
    return rc;
}

/* What a removed field held is gone in the org: it comes back empty, which the history tells. */
static enum tm_code schema_empty(struct tm_org *org, const struct org_object *o, const char *field,
                                 const struct tm_now *now, struct tm_err *err)
{
    char key[40], wall[24] = "NULL";
    int64_t org_ms = now != NULL && now->org_ms > org->ms_last ? now->org_ms : org->ms_last;
    org_txn_key(org, key);
    if (now != NULL)
        snprintf(wall, sizeof wall, "%" PRId64, now->wall_ns);
    enum tm_code rc = tm_sql_execf(
        org->db, err,
        "INSERT INTO history(pos,object,id,version,txn,seq,org_ms,intended_ms,intended_ns,"
        "actual_ns,change,changed,fields) SELECT %lld+row_number() OVER (ORDER BY _row),%Q,Id,"
        "_version+1,%Q,row_number() OVER (ORDER BY _row),%lld,%lld,%s,%s,'UPDATE',json_array(%Q),"
        "json_object(%Q,NULL) FROM \"%w\" WHERE IsDeleted=0 AND \"%w\" IS NOT NULL",
        (long long)org->pos_last, o->describe->object, key, (long long)org_ms, (long long)org_ms,
        wall, wall, field, field, o->cur, field);
    if (rc == TM_OK) {
        org->pos_last += sqlite3_changes64(org->db);
        org->ms_last = org_ms;
        rc = tm_sql_execf(org->db, err,
                          "UPDATE \"%w\" SET _version=_version+(IsDeleted=0),\"%w\"=NULL WHERE "
                          "\"%w\" IS NOT NULL",
                          o->cur, field, field);
    }
    return rc;
}

static enum tm_code schema_savepoint(struct tm_org *org, enum tm_code rc, struct tm_err *err)
{
    if (rc == TM_OK)
        return tm_sql_exec(org->db, "RELEASE schema", err);
    tm_sql_exec(org->db, "ROLLBACK TO schema; RELEASE schema", NULL);
    return rc;
}

static enum tm_code schema_begin(struct tm_org *org, struct tm_err *err)
{
    org_changes(org);
    return tm_sql_exec(org->db, "SAVEPOINT schema", err);
}

enum tm_code org_schema_replace(struct tm_org *org, struct org_object *o, json_t *describe,
                                struct tm_err *err)
{
    enum tm_code rc = schema_begin(org, err);
    if (rc != TM_OK)
        return rc;
    return schema_savepoint(org, schema_replace(org, o, describe, err), err);
}

enum tm_code tm_org_field_add(struct tm_org *org, const char *object, json_t *field,
                              const struct tm_now *now, struct tm_err *err)
{
    const int64_t pos = org->pos_last, ms = org->ms_last, txns = org->txn_count;
    bool there = false;
    struct org_object *o = org_find(org, object);
    const char *name = json_string_value(json_object_get(field, "name"));
    if (o == NULL)
        return org_refuse(org, "INVALID_TYPE", "", err, "sObject type '%s' is not supported",
                          object);
    if (name == NULL || json_string_value(json_object_get(field, "type")) == NULL)
        return org_refuse(org, "INVALID_FIELD", "", err, "a field needs \"name\" and \"type\"");
    if (tm_describe_field(o->describe, name) != NULL)
        return org_refuse(org, "DUPLICATE_DEVELOPER_NAME", name, err, "%s has a field %s already",
                          o->describe->object, name);
    json_t *describe = json_deep_copy(o->describe->json), *copy = json_deep_copy(field);
    struct tm_describe *d = NULL;
    enum tm_code rc =
        describe != NULL && copy != NULL ? TM_OK : tm_fail(err, TM_E_NOMEM, "field %s", name);
    if (rc == TM_OK) {
        org_schema_fill(copy);
        json_array_append(json_object_get(describe, "fields"), copy);
        rc = tm_describe_parse(&d, describe, err);
    }
    if (rc == TM_OK)
        rc = schema_begin(org, err);
    if (rc == TM_OK) {
        rc = schema_column_add(org, o, d, tm_describe_field(d, name), &there, err);
        if (there)
            org->lag_pos = -1; /* the lagging copy may have no such column: it is made anew */
        if (rc == TM_OK)
            rc = schema_replace(org, o, describe, err);
        if (rc == TM_OK && there)
            rc = schema_empty(org, o, tm_describe_field(d, name)->name, now, err);
        rc = schema_savepoint(org, rc, err);
        if (rc != TM_OK) {
            org->pos_last = pos;
            org->ms_last = ms;
            org->txn_count = txns;
        }
    }
    tm_describe_close(d);
    json_decref(copy);
    json_decref(describe);
    return rc;
}

enum tm_code tm_org_field_remove(struct tm_org *org, const char *object, const char *field,
                                 struct tm_err *err)
{
    struct org_object *o = org_find(org, object);
    if (o == NULL)
        return org_refuse(org, "INVALID_TYPE", "", err, "sObject type '%s' is not supported",
                          object);
    const struct tm_field *f = tm_describe_field(o->describe, field);
    if (f == NULL)
        return org_refuse(org, "INVALID_FIELD", field, err, "No such column '%s' on entity '%s'",
                          field, o->describe->object);
    if (!f->custom || f->compound != NULL || f->kind == TM_FIELD_COMPOUND)
        return org_refuse(org, "INVALID_FIELD", field, err,
                          "%s.%s cannot be removed: only custom fields on their own can",
                          o->describe->object, f->name);
    for (size_t i = 0; i < o->describe->fields_count; i++) {
        const char *formula = json_string_value(json_object_get(o->describe->fields[i].json, "calcu"
                                                                                             "lated"
                                                                                             "Formu"
                                                                                             "la"));
        if (formula != NULL && strcasestr(formula, f->name) != NULL)
            return org_refuse(org, "INVALID_FIELD", field, err,
                              "%s.%s cannot be removed: the formula %s uses it",
                              o->describe->object, f->name, o->describe->fields[i].name);
    }
    json_t *describe = json_deep_copy(o->describe->json);
    if (describe == NULL)
        return tm_fail(err, TM_E_NOMEM, "field %s", field);
    json_t *fields = json_object_get(describe, "fields");
    json_array_remove(fields, (size_t)(f - o->describe->fields));
    enum tm_code rc = org_schema_replace(org, o, describe, err);
    json_decref(describe);
    return rc;
}

/* What no commit has brought to whole numbers that fit: records in the recycle bin. The lagging
 * copy is made anew: one made while the field had decimals would make reals of whole numbers. */
static enum tm_code schema_narrow(struct tm_org *org, const struct org_object *o, const char *field,
                                  struct tm_err *err)
{
    org->lag_pos = -1;
    return tm_sql_execf(org->db, err,
                        "UPDATE \"%w\" SET \"%w\"=CASE WHEN abs(\"%w\")<2147483648 THEN "
                        "CAST(\"%w\" AS INTEGER) END WHERE typeof(\"%w\")='real'",
                        o->cur, field, field, field, field);
}

static bool schema_number(const struct tm_field *f)
{
    return f->kind == TM_FIELD_INT || f->kind == TM_FIELD_NUMBER;
}

/* Text and numbers: the column is made anew, empty. Only where no formula or index hangs on it. */
static enum tm_code schema_other_kind(struct tm_org *org, struct org_object *o,
                                      const struct tm_describe *d, const struct tm_field *after,
                                      const struct tm_now *now, struct tm_err *err)
{
    bool there = false;
    enum tm_code rc = schema_empty(org, o, after->name, now, err);
    if (rc == TM_OK)
        rc = tm_sql_execf(org->db, err, "ALTER TABLE \"%w\" DROP COLUMN \"%w\"", o->cur,
                          after->name);
    org->lag_pos = -1; /* the lagging copy has a column of the old kind: it is made anew */
    return rc == TM_OK ? schema_column_add(org, o, d, after, &there, err) : rc;
}

/* Can values of one become values of the other? */
static bool schema_converts(const struct tm_field *from, const struct tm_field *to)
{
    return to->kind == from->kind || (schema_number(to) && schema_number(from)) ||
           (to->nillable && ((schema_number(to) && from->kind == TM_FIELD_TEXT) ||
                             (to->kind == TM_FIELD_TEXT && schema_number(from))));
}

enum tm_code tm_org_field_retype(struct tm_org *org, const char *object, const char *field,
                                 json_t *patch, const struct tm_now *now, struct tm_err *err)
{
    const int64_t pos = org->pos_last, ms = org->ms_last, txns = org->txn_count;
    struct org_object *o = org_find(org, object);
    if (o == NULL)
        return org_refuse(org, "INVALID_TYPE", "", err, "sObject type '%s' is not supported",
                          object);
    const struct tm_field *f = tm_describe_field(o->describe, field);
    if (f == NULL)
        return org_refuse(org, "INVALID_FIELD", field, err, "No such column '%s' on entity '%s'",
                          field, o->describe->object);
    json_t *describe = json_deep_copy(o->describe->json), *name = json_object_get(patch, "name");
    struct tm_describe *d = NULL;
    if (describe == NULL)
        return tm_fail(err, TM_E_NOMEM, "field %s", field);
    if (name == NULL)
        json_object_update(
            json_array_get(json_object_get(describe, "fields"), (size_t)(f - o->describe->fields)),
            patch);
    enum tm_code rc = tm_describe_parse(&d, describe, err);
    const struct tm_field *after = rc == TM_OK ? tm_describe_field(d, f->name) : NULL;
    if (rc == TM_OK && (name != NULL || !f->custom || f->calculated || after->calculated ||
                        !schema_converts(f, after)))
        rc = org_refuse(org, "INVALID_FIELD", field, err,
                        "%s.%s: only a custom field can be retyped, to a type of the same kind "
                        "of value, to another kind of number, or between text and numbers",
                        o->describe->object, f->name);
    if (rc == TM_OK)
        rc = schema_begin(org, err);
    if (rc == TM_OK) {
        if (f->kind == TM_FIELD_NUMBER && after->kind == TM_FIELD_INT)
            rc = schema_narrow(org, o, after->name, err);
        else if (schema_number(f) != schema_number(after))
            rc = schema_other_kind(org, o, d, after, now, err);
        if (rc == TM_OK)
            rc = schema_replace(org, o, describe, err);
        rc = schema_savepoint(org, rc, err);
        if (rc != TM_OK) {
            org->pos_last = pos;
            org->ms_last = ms;
            org->txn_count = txns;
        }
    }
    tm_describe_close(d);
    json_decref(describe);
    return rc;
}
