#include "view/shape.h"
#include "base/text.h"
#include "event/contract.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const shape_types[] = { "__string",    "__boolean", "__int",
                                           "__long",      "__double",  "__date",
                                           "__timestamp", "__record",  "__array" };
static const char *const shape_name_parts[] = { "FirstName", "LastName",   "MiddleName",
                                                "Suffix",    "Salutation", "InformalName" };
static const char *const shape_address_parts[] = { "Street",         "City",       "StateCode",
                                                   "State",          "PostalCode", "CountryCode",
                                                   "Country",        "Latitude",   "Longitude",
                                                   "GeocodeAccuracy" };
static const char *const shape_places[] = { "_topic", "_partition", "_offset", "_written_ns" };
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static bool shape_system(const char *name)
{
    return name[0] == '_' || strcasecmp(name, "ReplayId") == 0 ||
           strcasecmp(name, "ChangeEventHeader") == 0 || strcasecmp(name, "Id") == 0;
}

static bool shape_ends(const char *text, const char *suffix)
{
    size_t n = strlen(text), s = strlen(suffix);
    return n >= s && strcasecmp(text + n - s, suffix) == 0;
}

/* Bytes of "<Field>" when name is "<Field>__<type>"; 0 when it is not. */
static size_t shape_base_bytes(const char *name)
{
    for (size_t i = 0; i < COUNT(shape_types); i++)
        if (shape_ends(name, shape_types[i]) && strlen(name) > strlen(shape_types[i]))
            return strlen(name) - strlen(shape_types[i]);
    return 0;
}

static struct tm_view_column *shape_column(struct tm_view_shape *s, const char *name, size_t bytes)
{
    for (size_t i = 0; i < s->columns_count; i++)
        if (strncasecmp(s->columns[i].name, name, bytes) == 0 && s->columns[i].name[bytes] == '\0')
            return &s->columns[i];
    return NULL;
}

static bool shape_keep(char **list, size_t list_cap, const char *text)
{
    for (size_t i = 0; i < list_cap; i++) {
        if (list[i] != NULL)
            continue;
        list[i] = strdup(text);
        return list[i] != NULL;
    }
    return false;
}

/* R5: the compound spelling of a part's column, as describe_part of base/describe.c takes
 * it apart. */
static bool shape_spell(struct tm_view_column *c)
{
    char text[TM_VIEW_NAME_MAX * 2];
    size_t n = strlen(c->name);
    if (!shape_keep(c->spellings, TM_VIEW_SPELLINGS_MAX, c->name))
        return false;
    for (size_t i = 0; i < COUNT(shape_name_parts); i++)
        if (strcasecmp(c->name, shape_name_parts[i]) == 0) {
            snprintf(text, sizeof text, "Name.%s", c->name);
            return shape_keep(c->spellings, TM_VIEW_SPELLINGS_MAX, text);
        }
    for (size_t i = 0; i < COUNT(shape_address_parts); i++) {
        const char *part = shape_address_parts[i];
        char custom[32];
        size_t p = strlen(part);
        snprintf(custom, sizeof custom, "__%s__s", part);
        /* Site__Latitude__s: Site__c.Latitude */
        if (shape_ends(c->name, custom)) {
            snprintf(text, sizeof text, "%.*s__c.%s", (int)(n - strlen(custom)), c->name, part);
            return shape_keep(c->spellings, TM_VIEW_SPELLINGS_MAX, text);
        }
        /* BillingStreet: BillingAddress.Street */
        if (shape_ends(c->name, part) && strchr(c->name, '_') == NULL) {
            snprintf(text, sizeof text, "%.*sAddress.%s", (int)(n - p), c->name, part);
            return shape_keep(c->spellings, TM_VIEW_SPELLINGS_MAX, text);
        }
    }
    return true;
}

static enum tm_code shape_add(struct tm_view_shape *s, const char *name, struct tm_err *err)
{
    if (s->columns_count == TM_VIEW_COLUMNS_MAX)
        return tm_fail(err, TM_E_LIMIT, "%s has more than %d columns", s->object,
                       TM_VIEW_COLUMNS_MAX);
    struct tm_view_column *all = realloc(s->columns, (s->columns_count + 1) * sizeof *all);
    if (all == NULL)
        return tm_fail(err, TM_E_NOMEM, "columns of %s", s->object);
    s->columns = all;
    struct tm_view_column *c = &all[s->columns_count++];
    memset(c, 0, sizeof *c);
    c->name = strdup(name);
    if (c->name == NULL || !shape_spell(c))
        return tm_fail(err, TM_E_NOMEM, "columns of %s", s->object);
    return TM_OK;
}

static enum tm_code shape_hold(struct tm_view_shape *s, struct tm_view_column *c, const char *name,
                               enum tm_view_table table, struct tm_err *err)
{
    size_t i = 0;
    while (i < TM_VIEW_TYPES_MAX && c->types[i] != NULL && strcasecmp(c->types[i], name) != 0)
        i++;
    if (i == TM_VIEW_TYPES_MAX)
        return tm_fail(err, TM_E_LIMIT, "%s.%s has more than %d types", s->object, c->name,
                       TM_VIEW_TYPES_MAX);
    if (c->types[i] == NULL && (c->types[i] = strdup(name)) == NULL)
        return tm_fail(err, TM_E_NOMEM, "columns of %s", s->object);
    c->in[table][i] = true;
    return TM_OK;
}

static bool shape_place(const char *name)
{
    bool place = false;
    for (size_t i = 0; i < COUNT(shape_places); i++)
        place |= strcasecmp(name, shape_places[i]) == 0;
    return place;
}

struct shape_names {
    char **list;
    size_t count;
};

static void shape_names_free(struct shape_names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->list[i]);
    free(n->list);
}

static enum tm_code shape_names_read(struct shape_names *out, sqlite3 *db, const char *table,
                                     struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_columns(&stmt, db, table, err);
    while (rc == TM_OK && (rc = tm_sql_step(stmt, &row, err)) == TM_OK && row) {
        char **list = realloc(out->list, (out->count + 1) * sizeof *list);
        if (list != NULL)
            out->list = list;
        char *name = strdup((const char *)sqlite3_column_text(stmt, TM_SQL_COLUMN_NAME));
        if (list == NULL || name == NULL) {
            free(name);
            rc = tm_fail(err, TM_E_NOMEM, "columns of %s", table);
            break;
        }
        out->list[out->count++] = name;
    }
    tm_sql_finalize(stmt);
    return rc;
}

/* Without these a table is not one of ours yet: a record that belongs elsewhere made it. */
static bool shape_is_ours(const struct shape_names *columns, enum tm_view_table table)
{
    static const char *const needed[][9] = {
        [TM_VIEW_RAW] = { "Id", "ReplayId", "ChangeEventHeader", NULL },
        [TM_VIEW_ALERTS] = { "Id", "ReplayId", "_kind", NULL },
        [TM_VIEW_RECON] = { "Id", "_kind", "_g", "_read_id", "_read_seq", "_read_kind", "_count",
                            "_partitions", NULL }
    };
    bool ours = true;
    for (size_t i = 0; needed[table][i] != NULL; i++) {
        bool there = false;
        for (size_t k = 0; k < columns->count; k++)
            there |= strcasecmp(columns->list[k], needed[table][i]) == 0;
        ours &= there;
    }
    return ours;
}

/* The relation's columns of one table; pass 0 finds names, so that in pass 1 a retyped one finds
 * its field wherever it stands. */
static enum tm_code shape_field(struct tm_view_shape *s, enum tm_view_table table, const char *name,
                                int pass, struct tm_err *err)
{
    size_t base = shape_base_bytes(name);
    struct tm_view_column *of = base > 0 ? shape_column(s, name, base) : NULL;
    struct tm_view_column *self = shape_column(s, name, strlen(name));
    enum tm_code rc = TM_OK;
    if (pass == 0)
        return base == 0 && self == NULL ? shape_add(s, name, err) : TM_OK;
    if (of == NULL && self == NULL) {
        rc = shape_add(s, name, err);
        self = rc == TM_OK ? &s->columns[s->columns_count - 1] : NULL;
    }
    return rc == TM_OK ? shape_hold(s, of != NULL ? of : self, name, table, err) : rc;
}

static enum tm_code shape_table(struct tm_view_shape *s, sqlite3 *db, enum tm_view_table table,
                                struct tm_err *err)
{
    struct shape_names names = { .count = 0 };
    size_t places = 0;
    enum tm_code rc = shape_names_read(&names, db, s->tables[table], err);
    if (rc != TM_OK || !shape_is_ours(&names, table))
        goto done;
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names.list[i];
        s->there[table] = true;
        s->has_epoch[table] |= strcasecmp(name, "_epoch") == 0;
        s->has_diff |= table == TM_VIEW_RAW && strcasecmp(name, "_DiffFields") == 0;
        places += shape_place(name);
    }
    s->has_place[table] = places == COUNT(shape_places);
    for (int pass = 0; pass < 2 && table != TM_VIEW_ALERTS; pass++)
        for (size_t i = 0; i < names.count && rc == TM_OK; i++)
            if (!shape_system(names.list[i]))
                rc = shape_field(s, table, names.list[i], pass, err);
done:
    shape_names_free(&names);
    return rc;
}

static void shape_name(char out[TM_VIEW_NAME_MAX], void (*topic)(char *, const char *),
                       const char *object)
{
    char name[TM_TOPIC_NAME_MAX];
    topic(name, object);
    tm_name_sanitize(out, TM_VIEW_NAME_MAX, name);
}

enum tm_code tm_view_shape_read(struct tm_view_shape *out, sqlite3 *db, const char *object,
                                struct tm_err *err)
{
    memset(out, 0, sizeof *out);
    if (strlen(object) >= TM_VIEW_NAME_MAX - 40)
        return tm_fail(err, TM_E_ARG, "object name \"%.60s…\" is too long", object);
    snprintf(out->object, sizeof out->object, "%s", object);
    shape_name(out->tables[TM_VIEW_RAW], tm_contract_topic_raw, object);
    shape_name(out->tables[TM_VIEW_ALERTS], tm_contract_topic_alerts, object);
    shape_name(out->tables[TM_VIEW_RECON], tm_contract_topic_recon, object);
    int64_t shared = 0;
    enum tm_code known =
        tm_sql_int64(&shared, db, "SELECT count(*) FROM sqlite_master WHERE name='_assigned'", err);
    if (known != TM_OK)
        return known;
    out->shared = shared > 0;
    for (int t = 0; t < TM_VIEW_TABLES; t++) {
        enum tm_code rc = shape_table(out, db, (enum tm_view_table)t, err);
        if (rc != TM_OK) {
            tm_view_shape_free(out);
            return rc;
        }
    }
    return TM_OK;
}

static void shape_assigned(const struct tm_view_shape *shape, struct tm_buf *out, const char *what)
{
    tm_buf_addf(out, "(SELECT %s FROM _assigned WHERE \"table\"=", what);
    tm_sql_literal(out, shape->tables[TM_VIEW_RECON]);
    tm_buf_addc(out, ')');
}

void tm_view_shape_ours(const struct tm_view_shape *shape, struct tm_buf *out, const char *column)
{
    if (!shape->shared)
        return;
    tm_buf_addf(out, " AND (%s IN ", column);
    shape_assigned(shape, out, "partition");
    tm_buf_addz(out, " OR NOT EXISTS ");
    shape_assigned(shape, out, "1");
    tm_buf_addc(out, ')');
}

void tm_view_shape_needed(const struct tm_view_shape *shape, struct tm_buf *out, const char *parts)
{
    if (!shape->shared) {
        tm_buf_addz(out, parts);
        return;
    }
    tm_buf_addz(out, "coalesce(nullif(");
    shape_assigned(shape, out, "count(*)");
    tm_buf_addf(out, ",0),%s)", parts);
}

void tm_view_shape_free(struct tm_view_shape *shape)
{
    for (size_t i = 0; i < shape->columns_count; i++) {
        struct tm_view_column *c = &shape->columns[i];
        free(c->name);
        for (size_t k = 0; k < TM_VIEW_SPELLINGS_MAX; k++)
            free(c->spellings[k]);
        for (size_t k = 0; k < TM_VIEW_TYPES_MAX; k++)
            free(c->types[k]);
    }
    free(shape->columns);
    shape->columns = NULL;
    shape->columns_count = 0;
}

void tm_view_shape_value(const struct tm_view_shape *shape, struct tm_buf *out,
                         enum tm_view_table table, const char *alias, size_t column)
{
    const struct tm_view_column *c = &shape->columns[column];
    size_t held = 0;
    assert(column < shape->columns_count);
    for (size_t i = 0; i < TM_VIEW_TYPES_MAX && c->types[i] != NULL; i++)
        held += c->in[table][i];
    if (held == 0) {
        tm_buf_addz(out, "NULL");
        return;
    }
    if (held > 1)
        tm_buf_addz(out, "coalesce(");
    for (size_t i = 0, written = 0; i < TM_VIEW_TYPES_MAX && c->types[i] != NULL; i++) {
        if (!c->in[table][i])
            continue;
        if (written++ > 0)
            tm_buf_addc(out, ',');
        tm_buf_addf(out, "%s.", alias);
        tm_sql_ident(out, c->types[i]);
    }
    if (held > 1)
        tm_buf_addc(out, ')');
}

void tm_view_shape_epoch(const struct tm_view_shape *shape, struct tm_buf *out,
                         enum tm_view_table table, const char *alias)
{
    if (shape->has_epoch[table])
        tm_buf_addf(out, "coalesce(%s._epoch,0)", alias);
    else
        tm_buf_addz(out, "0");
}

void tm_view_shape_place(const struct tm_view_shape *shape, struct tm_buf *out,
                         enum tm_view_table table, const char *alias)
{
    if (shape->has_place[table])
        tm_buf_addf(out,
                    "printf('%%s/%%d:%%d@%%d',%s._topic,%s._partition,%s._offset,%s._written_ns)",
                    alias, alias, alias, alias);
    else
        tm_buf_addz(out, "''");
}

int tm_view_shape_find(const struct tm_view_shape *shape, const char *name, size_t name_bytes)
{
    for (size_t i = 0; i < shape->columns_count; i++)
        for (size_t k = 0; k < TM_VIEW_SPELLINGS_MAX && shape->columns[i].spellings[k] != NULL;
             k++) {
            const char *s = shape->columns[i].spellings[k];
            if (strncasecmp(s, name, name_bytes) == 0 && s[name_bytes] == '\0')
                return (int)i;
        }
    return -1;
}
