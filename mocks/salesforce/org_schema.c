#include "mocks/salesforce/org_impl.h"
#include "base/config.h"
#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SCHEMA_SQL_BYTES_MAX (1u << 20)
#define SCHEMA_GROUPS_MAX 64

struct org_object *org_find(const struct tm_org *org, const char *object)
{
    for (size_t i = 0; object != NULL && i < org->objects_count; i++)
        if (strcasecmp(org->objects[i].describe->object, object) == 0)
            return (struct org_object *)&org->objects[i];
    return NULL;
}

int org_column_index(const struct org_object *o, const char *name)
{
    const struct tm_field *f = tm_describe_field(o->describe, name);
    return f != NULL ? o->of_field[f - o->describe->fields] : -1;
}

void org_object_close(struct org_object *o)
{
    sqlite3_stmt *all[] = { o->select,    o->insert,    o->update,    o->remove,   o->touch,
                            o->lagged[0], o->lagged[1], o->lagged[2], o->lagged[3] };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tm_sql_finalize(all[i]);
    tm_describe_close(o->describe);
    tm_describe_close(o->shown);
    free(o->columns);
    free(o->of_field);
    *o = (struct org_object){ 0 };
}

/* ---- tables ---- */
const char *org_schema_affinity(const struct tm_field *f)
{
    switch (f->kind) {
    case TM_FIELD_BOOLEAN:
    case TM_FIELD_INT:
    case TM_FIELD_DATETIME: return "INTEGER";
    case TM_FIELD_NUMBER: return "REAL";
    default: return "TEXT";
    }
}

/* A formula as SQLite writes it: fields quoted, "text" -> 'text', & -> ||. Fields must be stored
 * columns. */
static enum tm_code schema_formula(struct tm_buf *out, const struct tm_describe *d,
                                   const struct tm_field *f, struct tm_err *err)
{
    const char *p = json_string_value(json_object_get(f->json, "calculatedFormula"));
    if (p == NULL)
        return tm_fail(err, TM_E_ARG, "describe of %s: formula field %s has no calculatedFormula",
                       d->object, f->name);
    while (*p) {
        size_t n = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.");
        if (*p == '"') {
            const char *end = strchr(p + 1, '"');
            char text[256];
            if (end == NULL || end - p > 250)
                return tm_fail(err, TM_E_ARG, "describe of %s: formula of %s: text not closed",
                               d->object, f->name);
            snprintf(text, sizeof text, "%.*s", (int)(end - p - 1), p + 1);
            tm_sql_literal(out, text);
            p = end + 1;
        } else if (n > 0 && (*p < '0' || *p > '9')) {
            char name[128];
            snprintf(name, sizeof name, "%.*s", (int)(n < 127 ? n : 127), p);
            const struct tm_field *other = tm_describe_field(d, name);
            if (other == NULL || other->calculated || other->kind == TM_FIELD_COMPOUND)
                return tm_fail(err, TM_E_ARG,
                               "describe of %s: formula of %s: %s is not a stored field", d->object,
                               f->name, name);
            tm_sql_ident(out, other->name);
            p += n;
        } else if (n > 0) {
            tm_buf_add(out, p, n);
            p += n;
        } else if (strchr(" +-*/()=<>&", *p) != NULL) {
            tm_buf_addz(out, *p == '&' ? "||" : (char[2]){ *p, 0 });
            p++;
        } else
            return tm_fail(err, TM_E_ARG, "describe of %s: formula of %s: '%c' is not understood",
                           d->object, f->name, *p);
    }
    return TM_OK;
}

/* A person's Name is text to SOQL: its parts with blanks between. */
static void schema_person_name(struct tm_buf *out, const struct tm_describe *d,
                               const struct tm_field *name)
{
    bool first = true;
    static const char *const order[] = { "FirstName", "MiddleName", "LastName", "Suffix" };
    tm_buf_addz(out, "trim(");
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const struct tm_field *part = tm_describe_field(d, order[i]);
        if (part == NULL || part->compound != name->name)
            continue;
        tm_buf_addz(out, first ? "" : "||");
        tm_buf_addz(out, "coalesce(");
        tm_sql_ident(out, part->name);
        tm_buf_addz(out, "||' ','')");
        first = false;
    }
    tm_buf_addz(out, first ? "'')" : ")");
}

/* The column of one field as CREATE TABLE and ADD COLUMN want it; nothing for compounds that are
 * not a person's Name. */
enum tm_code org_schema_column(struct tm_buf *out, const struct tm_describe *d,
                               const struct tm_field *f, bool *out_any, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    *out_any = false;
    if (strcasecmp(f->name, "Id") == 0 ||
        (f->kind == TM_FIELD_COMPOUND && strcmp(f->type, "string") != 0))
        return TM_OK;
    *out_any = true;
    tm_sql_ident(out, f->name);
    tm_buf_addf(out, " %s", f->kind == TM_FIELD_COMPOUND ? "TEXT" : org_schema_affinity(f));
    if (!f->calculated && f->kind != TM_FIELD_COMPOUND)
        return TM_OK;
    tm_buf_addz(out, " GENERATED ALWAYS AS (");
    if (f->kind == TM_FIELD_COMPOUND)
        schema_person_name(out, d, f);
    else {
        if (f->kind == TM_FIELD_NUMBER)
            tm_buf_addz(out, "round(");
        rc = schema_formula(out, d, f, err);
        if (f->kind == TM_FIELD_NUMBER)
            tm_buf_addf(out, ",%d)", f->scale);
    }
    tm_buf_addz(out, ") VIRTUAL");
    return rc;
}

/* What records are looked up by: the record they hang on, external ids. */
static enum tm_code schema_lookup_indexes(struct tm_org *org, const struct org_object *o,
                                          struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < o->columns_count && rc == TM_OK; i++) {
        const struct tm_field *f = o->columns[i].field;
        if (o->columns[i].reference)
            rc =
                tm_sql_execf(org->db, err, "CREATE INDEX IF NOT EXISTS \"%s_%s\" ON \"%s\"(\"%s\")",
                             o->cur, f->name, o->cur, f->name);
        else if (o->columns[i].unique) /* upper and lower case are one where SOQL compares */
            rc = tm_sql_execf(org->db, err,
                              "CREATE INDEX IF NOT EXISTS \"%s_%s\" ON \"%s\"(\"%s\"%s) WHERE "
                              "\"%s\" IS NOT NULL",
                              o->cur, f->name, o->cur, f->name,
                              f->kind == TM_FIELD_TEXT ? " COLLATE NOCASE" : "", f->name);
    }
    return rc;
}

enum tm_code org_table_create(struct tm_org *org, const struct org_object *o, const char *table,
                              bool temporary, struct tm_err *err)
{
    struct tm_buf sql;
    enum tm_code rc = TM_OK;
    tm_buf_init(&sql, SCHEMA_SQL_BYTES_MAX);
    tm_buf_addf(&sql, "CREATE %sTABLE IF NOT EXISTS ", temporary ? "TEMP " : "");
    tm_sql_ident(&sql, table);
    tm_buf_addz(&sql, "(_row INTEGER PRIMARY KEY,_version INTEGER NOT NULL,\"Id\" TEXT NOT NULL "
                      "UNIQUE");
    for (size_t i = 0; i < o->describe->fields_count && rc == TM_OK; i++) {
        struct tm_buf column;
        bool any;
        tm_buf_init(&column, SCHEMA_SQL_BYTES_MAX);
        rc = org_schema_column(&column, o->describe, &o->describe->fields[i], &any, err);
        if (any)
            tm_buf_addf(&sql, ",%s", tm_buf_text(&column));
        tm_buf_free(&column);
    }
    tm_buf_addz(&sql, ")");
    if (rc == TM_OK)
        rc = tm_buf_check(&sql, "table of an object", err);
    if (rc == TM_OK)
        rc = tm_sql_exec(org->db, tm_buf_text(&sql), err);
    if (rc == TM_OK && o->stamp >= 0)
        rc = tm_sql_execf(org->db, err,
                          "CREATE INDEX IF NOT EXISTS %s\"%s_stamp\" ON "
                          "\"%s\"(\"SystemModstamp\",\"Id\")",
                          temporary ? "temp." : "", table, table);
    if (rc == TM_OK && !temporary)
        rc = schema_lookup_indexes(org, o, err);
    tm_buf_free(&sql);
    return rc;
}

/* select: rowid, version, columns of an Id. insert: version, Id, columns. update: version, columns,
 * rowid. remove: rowid. */
enum tm_code org_statements(struct tm_org *org, const struct org_object *o, const char *table,
                            sqlite3_stmt *out[4], struct tm_err *err)
{
    struct tm_buf names, sets, asks, name, sql;
    struct tm_buf *all[] = { &names, &sets, &asks, &name, &sql };
    enum tm_code rc;
    for (size_t i = 0; i < 5; i++)
        tm_buf_init(all[i], SCHEMA_SQL_BYTES_MAX);
    tm_sql_ident(&name, table);
    for (size_t i = 0; i < o->columns_count; i++) {
        tm_buf_addc(&names, ',');
        tm_sql_ident(&names, o->columns[i].name);
        tm_buf_addc(&sets, ',');
        tm_sql_ident(&sets, o->columns[i].name);
        tm_buf_addz(&sets, "=?");
        tm_buf_addz(&asks, ",?");
    }
    const char *t = tm_buf_text(&name), *n = tm_buf_text(&names);
    static const char *const shape[4] = { "select", "insert", "update", "remove" };
    rc = TM_OK;
    for (size_t i = 0; i < 4 && rc == TM_OK; i++) {
        tm_buf_reset(&sql);
        if (i == 0)
            tm_buf_addf(&sql, "SELECT _row,_version%s FROM %s WHERE \"Id\"=?", n, t);
        else if (i == 1)
            tm_buf_addf(&sql, "INSERT INTO %s(_version,\"Id\"%s) VALUES(?,?%s)", t, n,
                        tm_buf_text(&asks));
        else if (i == 2)
            tm_buf_addf(&sql, "UPDATE %s SET _version=?%s WHERE _row=?", t, tm_buf_text(&sets));
        else
            tm_buf_addf(&sql, "DELETE FROM %s WHERE _row=?", t);
        rc = tm_buf_check(&sql, shape[i], err);
        tm_sql_finalize(out[i]);
        out[i] = NULL;
        if (rc == TM_OK)
            rc = tm_sql_prepare(&out[i], org->db, tm_buf_text(&sql), err);
    }
    for (size_t i = 0; i < 5; i++)
        tm_buf_free(all[i]);
    return rc;
}

/* version, columns without an index, rowid: SQLite writes an index anew for every column that a
 * statement sets, changed or not. SystemModstamp always changes. */
enum tm_code org_statement_touch(struct tm_org *org, struct org_object *o, struct tm_err *err)
{
    struct tm_buf sql;
    if (o->touch != NULL)
        return TM_OK;
    tm_buf_init(&sql, SCHEMA_SQL_BYTES_MAX);
    tm_buf_addz(&sql, "UPDATE ");
    tm_sql_ident(&sql, o->cur);
    tm_buf_addz(&sql, " SET _version=?");
    for (size_t i = 0; i < o->columns_count; i++)
        if (!o->columns[i].reference && !o->columns[i].unique) {
            tm_buf_addc(&sql, ',');
            tm_sql_ident(&sql, o->columns[i].name);
            tm_buf_addz(&sql, "=?");
        }
    tm_buf_addz(&sql, " WHERE _row=?");
    enum tm_code rc = tm_buf_check(&sql, "an update", err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&o->touch, org->db, tm_buf_text(&sql), err);
    tm_buf_free(&sql);
    return rc;
}

/* ---- objects ---- */
void org_schema_id_make(char out[24], const json_t *describe)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
                                  "_";
    char *text = json_dumps(describe, JSON_COMPACT | JSON_SORT_KEYS);
    size_t bytes = text != NULL ? strlen(text) : 0;
    uint64_t h[2] = { tm_hash64(text, bytes, 1), tm_hash64(text, bytes, 2) };
    for (int i = 0; i < 22; i++)
        out[i] = letters[h[i / 11] >> (6 * (i % 11)) & 63];
    out[22] = 0;
    free(text);
}

/* The schema of events is the org's: that a field is hidden from one user is no part of it. */
static enum tm_code schema_id_of(struct org_object *o, struct tm_err *err)
{
    size_t i;
    json_t *field;
    if (o->shown == NULL) {
        org_schema_id_make(o->schema_id, o->describe->json);
        return TM_OK;
    }
    json_t *bare = json_deep_copy(o->describe->json);
    if (bare == NULL)
        return tm_fail(err, TM_E_NOMEM, "describe of %s", o->describe->object);
    json_array_foreach(json_object_get(bare, "fields"), i, field) json_object_del(field, "hidden");
    org_schema_id_make(o->schema_id, bare);
    json_decref(bare);
    return TM_OK;
}

static enum tm_code schema_columns(struct org_object *o, struct tm_err *err)
{
    const struct tm_describe *d = o->describe;
    const char *groups[SCHEMA_GROUPS_MAX];
    int groups_count = 0;
    o->columns = calloc(d->fields_count, sizeof *o->columns);
    o->of_field = calloc(d->fields_count, sizeof *o->of_field);
    if (o->columns == NULL || o->of_field == NULL)
        return tm_fail(err, TM_E_NOMEM, "columns of %s", d->object);
    o->columns_count = 0;
    for (size_t i = 0; i < d->fields_count; i++) {
        const struct tm_field *f = &d->fields[i];
        o->of_field[i] = -1;
        if (f->kind == TM_FIELD_COMPOUND || f->calculated || strcasecmp(f->name, "Id") == 0)
            continue;
        struct org_column *c = &o->columns[o->columns_count];
        *c = (struct org_column){ .name = f->name,
                                  .field = f,
                                  .in_events = tm_field_in_events(f) && !f->hidden,
                                  .group = -1 };
        c->reference = f->kind == TM_FIELD_ID &&
                       (strcmp(f->name, "AccountId") == 0 || strcmp(f->name, "ParentId") == 0);
        c->unique = json_is_true(json_object_get(f->json, "externalId")) ||
                    json_is_true(json_object_get(f->json, "idLookup")) ||
                    json_is_true(json_object_get(f->json, "unique"));
        for (int g = 0; f->compound != NULL && g <= groups_count && c->group < 0; g++) {
            if (g == SCHEMA_GROUPS_MAX)
                return tm_fail(err, TM_E_LIMIT, "%s: more than %d compound fields", d->object,
                               SCHEMA_GROUPS_MAX);
            if (g == groups_count)
                groups[groups_count++] = f->compound;
            if (strcmp(groups[g], f->compound) == 0)
                c->group = g;
        }
        o->of_field[i] = (int)o->columns_count++;
    }
    return TM_OK;
}

static enum tm_code schema_system(struct org_object *o, struct tm_err *err)
{
    const struct {
        const char *name;
        int *at;
        bool must;
    } system[] = {
        { "IsDeleted", &o->deleted, true },
        { "CreatedDate", &o->created, true },
        { "CreatedById", &o->created_by, true },
        { "LastModifiedDate", &o->modified, true },
        { "LastModifiedById", &o->modified_by, true },
        { "SystemModstamp", &o->stamp, true },
        { "MasterRecordId", &o->master, false },
        { "OwnerId", &o->owner, false },
    };
    for (size_t i = 0; i < sizeof system / sizeof *system; i++) {
        *system[i].at = org_column_index(o, system[i].name);
        if (*system[i].at < 0 && system[i].must)
            return tm_fail(err, TM_E_ARG,
                           "describe of %s: no field %s, which every object of the org needs",
                           o->describe->object, system[i].name);
    }
    if (o->describe->key_prefix == NULL || strlen(o->describe->key_prefix) != 3)
        return tm_fail(err, TM_E_ARG, "describe of %s: keyPrefix must be three characters",
                       o->describe->object);
    return TM_OK;
}

/* Letters, digits and underscores, at most 80: what Salesforce allows, and nothing SQL could
 * misread. */
static bool schema_plain(const char *name)
{
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    return n > 0 && n <= 80 && name[n] == 0;
}

/* Fills columns and statements of an object from its describe; the table must fit or be made. */
enum tm_code org_schema_attach(struct org_object *o, json_t *describe, struct tm_err *err)
{
    enum tm_code rc = tm_describe_parse(&o->describe, describe, err);
    if (rc != TM_OK)
        return rc;
    if (o->describe->fields_count > TM_ORG_FIELDS_MAX)
        return tm_fail(err, TM_E_LIMIT, "%s: more than %d fields", o->describe->object,
                       TM_ORG_FIELDS_MAX);
    if (!schema_plain(o->describe->object))
        return tm_fail(err, TM_E_ARG, "\"%.40s\" is not a name of an object", o->describe->object);
    for (size_t i = 0; i < o->describe->fields_count; i++)
        if (!schema_plain(o->describe->fields[i].name))
            return tm_fail(err, TM_E_ARG, "describe of %s: \"%.40s\" is not a name of a field",
                           o->describe->object, o->describe->fields[i].name);
    if ((rc = org_access_shown(&o->shown, o->describe, err)) != TM_OK)
        return rc;
    if ((rc = schema_id_of(o, err)) != TM_OK)
        return rc;
    snprintf(o->cur, sizeof o->cur, "cur_%.80s", o->describe->object);
    snprintf(o->lag, sizeof o->lag, "lag_%.80s", o->describe->object);
    o->announced = !json_is_false(json_object_get(describe, "triggerable"));
    rc = schema_columns(o, err);
    if (rc == TM_OK)
        rc = schema_system(o, err);
    return rc;
}

enum tm_code org_object_open(struct tm_org *org, json_t *describe, struct tm_err *err)
{
    if (org->objects_count == TM_ORG_OBJECTS_MAX)
        return tm_fail(err, TM_E_LIMIT, "more than %d objects", TM_ORG_OBJECTS_MAX);
    struct org_object *o = &org->objects[org->objects_count];
    *o = (struct org_object){ 0 };
    enum tm_code rc = org_schema_attach(o, describe, err);
    if (rc == TM_OK)
        rc = org_table_create(org, o, o->cur, false, err);
    sqlite3_stmt *statements[4] = { NULL };
    if (rc == TM_OK)
        rc = org_statements(org, o, o->cur, statements, err);
    o->select = statements[0];
    o->insert = statements[1];
    o->update = statements[2];
    o->remove = statements[3];
    if (rc != TM_OK) {
        org_object_close(o);
        return rc;
    }
    org->objects_count++;
    org->schema_version++;
    return TM_OK;
}

enum tm_code org_schema_describe_store(struct tm_org *org, const char *object, int64_t from_pos,
                                       const json_t *describe, struct tm_err *err)
{
    char *text = json_dumps(describe, JSON_COMPACT);
    if (text == NULL)
        return tm_fail(err, TM_E_NOMEM, "describe of %s", object);
    sqlite3_stmt *s = NULL;
    enum tm_code rc =
        tm_sql_prepare(&s, org->db, "INSERT OR REPLACE INTO describe VALUES(?,?,?)", err);
    if (rc == TM_OK) {
        sqlite3_bind_text(s, 1, object, -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 2, from_pos);
        sqlite3_bind_text(s, 3, text, -1, SQLITE_STATIC);
        rc = tm_sql_run(s, err);
    }
    tm_sql_finalize(s);
    free(text);
    return rc;
}

static bool schema_setup(const char *object)
{
    json_t *describe;
    bool found = false;
    for (size_t i = 0; !found && (describe = org_setup_describe(i)) != NULL; i++) {
        found = strcasecmp(json_string_value(json_object_get(describe, "name")), object) == 0;
        json_decref(describe);
    }
    return found;
}

static bool schema_wanted(const struct tm_org *org, const char *object)
{
    const char *const *names = org->settings.objects;
    if (names == NULL)
        return true;
    if (org->settings.setup_objects && schema_setup(object))
        return true;
    for (; *names != NULL; names++)
        if (strcasecmp(*names, object) == 0)
            return true;
    return false;
}

static int schema_by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* An object that org.db does not know yet. */
static enum tm_code schema_new(struct tm_org *org, const char *name, json_t *describe,
                               struct tm_err *err)
{
    if (org_find(org, name) != NULL)
        return TM_OK;
    enum tm_code rc = org_object_open(org, describe, err);
    if (rc == TM_OK)
        rc = org_schema_describe_store(org, name, org->pos_last == 0 ? 0 : org->pos_last + 1,
                                       describe, err);
    return rc;
}

/* Reads one describe file and takes the object in, unless org.db knows it already. */
static enum tm_code schema_file(struct tm_org *org, const char *dir, const char *file,
                                struct tm_err *err)
{
    char path[4096];
    json_t *json = NULL;
    snprintf(path, sizeof path, "%s/%s", dir, file);
    enum tm_code rc = tm_json_load(&json, path, err);
    const char *name = json_string_value(json_object_get(json, "name"));
    if (rc == TM_OK && name == NULL)
        rc = tm_fail(err, TM_E_ARG, "%s: no \"name\": not the describe of an object", path);
    if (rc == TM_OK && schema_wanted(org, name)) {
        rc = schema_new(org, name, json, err);
        if (rc != TM_OK && rc != TM_E_AGAIN)
            tm_at(err, "%s", path);
    }
    json_decref(json);
    return rc;
}

static enum tm_code schema_folder(struct tm_org *org, const char *dir, struct tm_err *err)
{
    char *names[TM_ORG_OBJECTS_MAX * 2];
    size_t count = 0;
    enum tm_code rc = TM_OK;
    DIR *d = opendir(dir);
    if (d == NULL)
        return tm_fail(err, TM_E_ARG,
                       "cannot read the objects folder %s (describe files, one *.json an object)",
                       dir);
    for (struct dirent *e; rc == TM_OK && (e = readdir(d)) != NULL;) {
        size_t n = strlen(e->d_name);
        if (n < 6 || e->d_name[0] == '.' || strcmp(e->d_name + n - 5, ".json") != 0)
            continue;
        if (count == sizeof names / sizeof *names)
            rc = tm_fail(err, TM_E_LIMIT, "%s: more than %zu describe files", dir, count);
        else if ((names[count] = strdup(e->d_name)) == NULL)
            rc = tm_fail(err, TM_E_NOMEM, "%s", dir);
        else
            count++;
    }
    closedir(d);
    qsort(names, count, sizeof *names, schema_by_name);
    for (size_t i = 0; i < count; i++) {
        if (rc == TM_OK)
            rc = schema_file(org, dir, names[i], err);
        free(names[i]);
    }
    return rc;
}

static enum tm_code schema_stored(struct tm_org *org, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    enum tm_code rc = tm_sql_prepare(&s, org->db,
                                     "SELECT json FROM describe d WHERE from_pos=(SELECT "
                                     "max(from_pos) FROM describe WHERE object=d.object) ORDER BY "
                                     "object",
                                     err);
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row) {
        json_t *json = json_loads((const char *)sqlite3_column_text(s, 0), 0, NULL);
        if (json == NULL)
            rc = tm_fail(err, TM_E_IO, "%s: table describe holds what is not JSON",
                         org->settings.path);
        else if (schema_wanted(org, json_string_value(json_object_get(json, "name"))))
            rc = org_object_open(org, json, err);
        json_decref(json);
    }
    tm_sql_finalize(s);
    return rc;
}

enum tm_code org_schema_load(struct tm_org *org, struct tm_err *err)
{
    enum tm_code rc = schema_stored(org, err);
    if (rc == TM_OK && org->settings.objects_dir != NULL)
        rc = schema_folder(org, org->settings.objects_dir, err);
    json_t *setup;
    for (size_t i = 0;
         rc == TM_OK && org->settings.setup_objects && (setup = org_setup_describe(i)) != NULL;
         i++) {
        rc = schema_new(org, json_string_value(json_object_get(setup, "name")), setup, err);
        json_decref(setup);
    }
    for (const char *const *n = org->settings.objects; rc == TM_OK && n != NULL && *n != NULL; n++)
        if (org_find(org, *n) == NULL)
            rc = tm_fail(err, TM_E_ARG, "unknown object %s: there is no describe of it in %s", *n,
                         org->settings.objects_dir != NULL ? org->settings.objects_dir : "org.db");
    if (rc == TM_OK && org->objects_count == 0)
        rc = tm_fail(err, TM_E_ARG, "no describe file (*.json) in %s", org->settings.objects_dir);
    return rc;
}

size_t tm_org_objects(const struct tm_org *org)
{
    return org->objects_count;
}

const char *tm_org_object_name(const struct tm_org *org, size_t index)
{
    return index < org->objects_count ? org->objects[index].describe->object : NULL;
}

const struct tm_describe *tm_org_describe(const struct tm_org *org, const char *object)
{
    const struct org_object *o = org_find(org, object);
    return o == NULL ? NULL : o->shown != NULL ? o->shown : o->describe;
}

const struct tm_describe *tm_org_describe_whole(const struct tm_org *org, const char *object)
{
    const struct org_object *o = org_find(org, object);
    return o != NULL ? o->describe : NULL;
}

const struct tm_describe *tm_org_describe_by_prefix(const struct tm_org *org, const char *id)
{
    for (size_t i = 0; i < org->objects_count; i++)
        if (strncmp(org->objects[i].describe->key_prefix, id, 3) == 0)
            return org->objects[i].describe;
    return NULL;
}

bool tm_org_announced(const struct tm_org *org, const char *object)
{
    const struct org_object *o = org_find(org, object);
    return o != NULL && o->announced;
}

uint64_t tm_org_schema_version(const struct tm_org *org)
{
    return org->schema_version;
}

const char *tm_org_schema_id(const struct tm_org *org, const char *object)
{
    const struct org_object *o = org_find(org, object);
    return o != NULL ? o->schema_id : "";
}
