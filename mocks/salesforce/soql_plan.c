#include "mocks/salesforce/soql_impl.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the select list ---- */

static enum tm_code plan_column(struct soql_planner *p, struct tm_soql_column column,
                                const char *key)
{
    struct tm_soql_plan *plan = p->plan;
    struct tm_buf text;
    if (plan->columns_count == p->columns_cap) {
        size_t cap = p->columns_cap == 0 ? 32 : p->columns_cap * 2;
        struct tm_soql_column *grown = realloc(plan->columns, cap * sizeof *grown);
        if (grown == NULL)
            return tm_fail(p->err, TM_E_NOMEM, "a query's columns");
        plan->columns = grown;
        p->columns_cap = cap;
    }
    tm_buf_init(&text, 1024);
    tm_buf_add_json_string(&text, key, strlen(key));
    tm_buf_addc(&text, ':');
    if (text.failed != TM_OK) {
        tm_buf_free(&text);
        return tm_fail(p->err, TM_E_NOMEM, "a query's columns");
    }
    column.key = text.data;
    plan->columns[plan->columns_count++] = column;
    return TM_OK;
}

static int plan_sql_column(struct soql_planner *p, const struct soql_field *f)
{
    if (p->plan->sql_columns > 0)
        tm_buf_addc(&p->select, ',');
    soql_plan_value(p, &p->select, f);
    return p->plan->sql_columns++;
}

static int plan_sql_id(struct soql_planner *p, int relation)
{
    if (p->plan->sql_columns > 0)
        tm_buf_addc(&p->select, ',');
    soql_plan_name(p, &p->select, relation, "Id");
    return p->plan->sql_columns++;
}

static enum tm_code plan_compound(struct soql_planner *p, const struct soql_field *f)
{
    const struct tm_describe *d = f->object;
    struct tm_soql_column whole = { .shape = TM_SOQL_COMPOUND, .relation = f->relation };
    size_t index = p->plan->columns_count;
    enum tm_code rc = plan_column(p, whole, f->field->name);
    for (size_t i = 0; i < d->fields_count && rc == TM_OK; i++) {
        const struct tm_field *part = &d->fields[i];
        char key[128];
        if (part->compound == NULL || strcmp(part->compound, f->field->name) != 0)
            continue;
        struct soql_field own = { part, d, f->relation, TM_SOQL_PLAIN, part->kind };
        snprintf(key, sizeof key, "%s", part->part);
        key[0] = (char)(key[0] >= 'A' && key[0] <= 'Z' ? key[0] + 32 : key[0]);
        rc = plan_column(p,
                         (struct tm_soql_column){ .shape = TM_SOQL_VALUE,
                                                  .kind = part->kind,
                                                  .relation = f->relation,
                                                  .sql_column = plan_sql_column(p, &own) },
                         key);
        if (rc == TM_OK)
            p->plan->columns[index].parts++;
    }
    return rc;
}

/* The related record a column is in, and those it is reached by, once each. */
static enum tm_code plan_related(struct soql_planner *p, int index)
{
    struct soql_relation *relation = &p->relations[index];
    char name[128];
    enum tm_code rc = relation->parent >= 0 ? plan_related(p, relation->parent) : TM_OK;
    if (rc != TM_OK || relation->selected)
        return rc;
    const char *told = json_string_value(json_object_get(relation->by->json, "relationshipName"));
    if (told != NULL)
        snprintf(name, sizeof name, "%s", told);
    else
        snprintf(name, sizeof name, "%.*s", (int)strlen(relation->by->name) - 2,
                 relation->by->name);
    struct tm_soql_column related = { .shape = TM_SOQL_RELATED,
                                      .relation = index,
                                      .parent = relation->parent,
                                      .object = strdup(relation->to->object) };
    related.sql_column = plan_sql_id(p, index);
    relation->selected = true;
    if (related.object == NULL)
        return tm_fail(p->err, TM_E_NOMEM, "a query's columns");
    rc = plan_column(p, related, name);
    if (rc != TM_OK)
        free(related.object);
    return rc;
}

static enum tm_code plan_select_field(struct soql_planner *p, const struct soql_field *f)
{
    enum tm_code rc = f->relation >= 0 ? plan_related(p, f->relation) : TM_OK;
    if (rc != TM_OK)
        return rc;
    if (soql_nested(f->field))
        return plan_compound(p, f);
    return plan_column(p,
                       (struct tm_soql_column){ .shape = TM_SOQL_VALUE,
                                                .kind = f->kind,
                                                .relation = f->relation,
                                                .sql_column = plan_sql_column(p, f) },
                       f->field->name);
}

static enum tm_code plan_fields_word(struct soql_planner *p, const struct tm_soql_item *item)
{
    enum tm_code rc = TM_OK;
    if (item->kind != TM_SOQL_FIELDS_STANDARD &&
        (p->q->limit < 0 || p->q->limit > TM_SOQL_FIELDS_ROWS_MAX))
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->q->text, item->path.at,
                                "The SOQL FIELDS function must have a LIMIT of at most %d",
                                TM_SOQL_FIELDS_ROWS_MAX);
    for (size_t i = 0; i < p->object->fields_count && rc == TM_OK; i++) {
        struct soql_field f = { &p->object->fields[i], p->object, -1, TM_SOQL_PLAIN,
                                soql_kind(&p->object->fields[i]) };
        if (item->kind == TM_SOQL_FIELDS_ALL ||
            f.field->custom == (item->kind == TM_SOQL_FIELDS_CUSTOM))
            rc = plan_select_field(p, &f);
    }
    return rc;
}

static enum tm_code plan_twice(struct soql_planner *p, size_t index, const struct soql_field *field)
{
    for (size_t i = 0; i < index; i++) {
        struct soql_field other = { 0 };
        const struct tm_soql_item *item = &p->q->items[i];
        if (item->kind != TM_SOQL_PATH || strcasecmp(item->path.field, field->field->name) != 0)
            continue;
        enum tm_code rc = soql_plan_field(p, &item->path, &other);
        if (rc != TM_OK)
            return rc;
        if (other.field == field->field && other.relation == field->relation)
            return tm_soql_complain(p->error, p->err, "INVALID_FIELD", p->q->text,
                                    p->q->items[index].path.at, "duplicate field selected: %s",
                                    field->field->name);
    }
    return TM_OK;
}

static bool plan_same(const struct soql_field *a, const struct soql_field *b)
{
    return a->field == b->field && a->relation == b->relation && a->function == b->function;
}

/* Whether a value stands in GROUP BY. Names there were found good before. */
static bool plan_is_group(struct soql_planner *p, const struct soql_field *f)
{
    for (size_t i = 0; i < p->q->groups_count; i++) {
        struct soql_field group;
        if (soql_plan_field(p, &p->q->groups[i], &group) == TM_OK && plan_same(&group, f))
            return true;
    }
    return false;
}

enum tm_code soql_plan_grouped(struct soql_planner *p, const struct tm_soql_path *path,
                               const struct soql_field *f)
{
    bool group = plan_is_group(p, f);
    if (tm_soql_aggregate(f->function) || group)
        return TM_OK;
    snprintf(p->error->code, sizeof p->error->code, "MALFORMED_QUERY");
    snprintf(p->error->message, sizeof p->error->message,
             "Field must be grouped or aggregated: %.80s", path->field);
    return tm_fail(p->err, TM_E_ARG, "%s", p->error->message);
}

/* One column of an AggregateResult: by its alias, its field's name, or expr0, expr1 … */
static enum tm_code plan_select_group(struct soql_planner *p, const struct tm_soql_item *item,
                                      const struct soql_field *f)
{
    char key[128];
    enum tm_code rc = soql_plan_grouped(p, &item->path, f);
    if (rc != TM_OK)
        return rc;
    if (item->alias != NULL)
        snprintf(key, sizeof key, "%.100s", item->alias);
    else if (f->function == TM_SOQL_PLAIN)
        snprintf(key, sizeof key, "%.100s", f->field->name);
    else
        snprintf(key, sizeof key, "expr%d", p->expressions++);
    for (size_t i = 0; i < p->plan->columns_count; i++)
        if (strncasecmp(p->plan->columns[i].key + 1, key, strlen(key)) == 0 &&
            p->plan->columns[i].key[strlen(key) + 1] == '"')
            return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->q->text, item->path.at,
                                    "duplicate alias: %s", key);
    return plan_column(p,
                       (struct tm_soql_column){ .shape = TM_SOQL_VALUE,
                                                .kind = f->kind,
                                                .relation = -1,
                                                .sql_column = plan_sql_column(p, f) },
                       key);
}

static enum tm_code plan_children(struct soql_planner *p, const struct tm_soql_item *item);

static enum tm_code plan_select(struct soql_planner *p)
{
    enum tm_code rc = TM_OK;
    p->plan->grouped = tm_soql_grouped(p->q);
    if (!p->plan->grouped)
        plan_sql_id(p, -1);
    for (size_t i = 0; i < p->q->items_count && rc == TM_OK; i++) {
        const struct tm_soql_item *item = &p->q->items[i];
        struct soql_field field;
        if (item->kind == TM_SOQL_COUNT) {
            p->plan->count_only = true;
        } else if (item->kind == TM_SOQL_CHILDREN) {
            rc = plan_children(p, item);
        } else if (item->kind != TM_SOQL_PATH) {
            rc = plan_fields_word(p, item);
        } else if ((rc = soql_plan_field(p, &item->path, &field)) != TM_OK) {
            break;
        } else if (p->plan->grouped) {
            rc = plan_select_group(p, item, &field);
        } else {
            rc = plan_twice(p, i, &field);
            if (rc == TM_OK)
                rc = plan_select_field(p, &field);
        }
    }
    return rc;
}

/* ---- GROUP BY, HAVING, ORDER BY ---- */

static enum tm_code plan_group(struct soql_planner *p)
{
    for (size_t i = 0; i < p->q->groups_count; i++) {
        const struct tm_soql_path *path = &p->q->groups[i];
        struct soql_field f;
        enum tm_code rc = soql_plan_field(p, path, &f);
        if (rc != TM_OK)
            return rc;
        if (tm_soql_aggregate(f.function))
            return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->q->text, path->at,
                                    "Grouped field should not be aggregated: %s", f.field->name);
        if (soql_nested(f.field) || (f.function == TM_SOQL_PLAIN &&
                                     json_is_false(json_object_get(f.field->json, "groupable"))))
            return tm_soql_complain(p->error, p->err, "INVALID_FIELD", p->q->text, path->at,
                                    "field '%s' can not be grouped in a query call", f.field->name);
        tm_buf_addz(&p->tail, i == 0 ? " GROUP BY " : ", ");
        soql_plan_value(p, &p->tail, &f);
        if (f.kind == TM_FIELD_TEXT)
            tm_buf_addz(&p->tail, " COLLATE NOCASE");
    }
    return TM_OK;
}

static enum tm_code plan_having(struct soql_planner *p)
{
    tm_buf_addz(&p->tail, " HAVING ");
    p->having = true;
    enum tm_code rc = soql_plan_where(p, p->q->having, &p->tail);
    p->having = false;
    return rc;
}

static enum tm_code plan_order(struct soql_planner *p)
{
    for (size_t i = 0; i < p->q->keys_count; i++) {
        const struct tm_soql_key *key = &p->q->keys[i];
        struct soql_field f;
        enum tm_code rc = soql_plan_field(p, &key->path, &f);
        if (rc == TM_OK && p->plan->grouped)
            rc = soql_plan_grouped(p, &key->path, &f);
        if (rc != TM_OK)
            return rc;
        if (soql_nested(f.field) || (!tm_soql_aggregate(f.function) &&
                                     json_is_false(json_object_get(f.field->json, "sortable"))))
            return tm_soql_complain(p->error, p->err, "INVALID_FIELD", p->q->text, key->path.at,
                                    "field '%s' can not be sorted in a query call", f.field->name);
        if (tm_soql_aggregate(f.function) && !p->plan->grouped)
            return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->q->text, key->path.at,
                                    "only a grouped query is ordered by an aggregate");
        tm_buf_addz(&p->tail, i == 0 ? " ORDER BY " : ", ");
        soql_plan_value(p, &p->tail, &f);
        tm_buf_addf(&p->tail, "%s %s NULLS %s", f.kind == TM_FIELD_TEXT ? " COLLATE NOCASE" : "",
                    key->descending ? "DESC" : "ASC", key->nulls_last ? "LAST" : "FIRST");
    }
    return TM_OK;
}

/* ---- the whole ---- */

static void plan_join(const struct soql_planner *p, struct tm_buf *sql)
{
    for (size_t i = 0; i < p->relations_count; i++) {
        char table[160];
        snprintf(table, sizeof table, "cur_%s", p->relations[i].to->object);
        tm_buf_addz(sql, " LEFT JOIN ");
        tm_sql_ident(sql, table);
        tm_buf_addf(sql, " AS %s%zu ON %s%zu.\"Id\" = ", p->self, i, p->self, i);
        soql_plan_name(p, sql, p->relations[i].parent, p->relations[i].by->name);
    }
}

void soql_plan_from(struct soql_planner *p, const char *relation, struct tm_buf *sql)
{
    const char *join = " WHERE ";
    tm_buf_addz(sql, " FROM ");
    tm_sql_ident(sql, relation);
    tm_buf_addf(sql, " AS %s", p->self);
    plan_join(p, sql);
    if (p->hangs_by != NULL) {
        tm_buf_addf(sql, "%s%s.", join, p->self);
        tm_sql_ident(sql, p->hangs_by);
        tm_buf_addz(sql, " = ?");
        join = " AND ";
    }
    if (!p->deleted_too && tm_describe_field(p->object, "IsDeleted") != NULL) {
        tm_buf_addf(sql, "%s%s.\"IsDeleted\" = 0", join, p->self);
        join = " AND ";
    }
    if (p->q->mine) {
        tm_buf_addf(sql, "%s%s.\"OwnerId\" = ", join, p->self);
        tm_sql_literal(sql, tm_org_user_id(p->org));
        join = " AND ";
    }
    if (p->q->has_where) {
        tm_buf_addz(sql, join);
        tm_buf_add(sql, p->where.data, p->where.bytes);
    }
    if (p->where.failed != TM_OK)
        sql->failed = p->where.failed;
}

static void plan_write(struct soql_planner *p, const char *relation)
{
    struct tm_buf *sql = &p->plan->sql;
    int64_t limit = p->q->limit;
    tm_buf_addz(sql, p->plan->count_only ? "SELECT count(*) FROM (SELECT 1" : "SELECT ");
    if (!p->plan->count_only)
        tm_buf_add(sql, p->select.data, p->select.bytes);
    soql_plan_from(p, relation, sql);
    tm_buf_add(sql, p->tail.data, p->tail.bytes);
    if (p->plan->grouped && (limit < 0 || limit > TM_SOQL_GROUPS_MAX))
        limit = TM_SOQL_GROUPS_MAX + 1; /* one more than may be shown */
    if (limit >= 0 || p->q->offset > 0)
        tm_buf_addf(sql, " LIMIT %lld OFFSET %lld", (long long)limit, (long long)p->q->offset);
    if (p->plan->count_only)
        tm_buf_addc(sql, ')');
}

enum tm_code soql_plan_open(struct soql_planner *p)
{
    if (p->object == NULL)
        p->object = tm_org_describe(p->org, p->q->object);
    if (p->object == NULL)
        return tm_soql_complain(p->error, p->err, "INVALID_TYPE", p->q->text, p->q->object_at,
                                "sObject type '%.80s' is not supported. If you are attempting to "
                                "use a custom object, be sure "
                                "to append the '__c' after the entity name. Please reference your "
                                "WSDL or the describe call "
                                "for the appropriate names.",
                                p->q->object);
    if (p->q->mine && tm_describe_field(p->object, "OwnerId") == NULL)
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->q->text, p->q->object_at,
                                "%s has no owner: USING SCOPE mine means nothing",
                                p->object->object);
    tm_buf_init(&p->select, SOQL_SQL_BYTES_MAX);
    tm_buf_init(&p->where, SOQL_SQL_BYTES_MAX);
    tm_buf_init(&p->tail, SOQL_SQL_BYTES_MAX);
    return TM_OK;
}

void soql_plan_close(struct soql_planner *p)
{
    tm_buf_free(&p->select);
    tm_buf_free(&p->where);
    tm_buf_free(&p->tail);
}

static enum tm_code plan_all(struct soql_planner *p, const char *relation)
{
    struct tm_soql_plan *out = p->plan;
    *out = (struct tm_soql_plan){ 0 };
    tm_buf_init(&out->sql, SOQL_SQL_BYTES_MAX);
    enum tm_code rc = soql_plan_open(p);
    if (rc == TM_OK && (out->object = strdup(p->object->object)) == NULL)
        rc = tm_fail(p->err, TM_E_NOMEM, "a query's plan");
    if (rc == TM_OK)
        rc = plan_group(p);
    if (rc == TM_OK)
        rc = plan_select(p);
    if (rc == TM_OK && p->q->has_where)
        rc = soql_plan_where(p, p->q->where, &p->where);
    if (rc == TM_OK && p->q->has_having) /* its values are bound behind those of WHERE */
        rc = plan_having(p);
    if (rc == TM_OK)
        rc = plan_order(p);
    if (rc == TM_OK) {
        plan_write(p, relation);
        rc = tm_buf_check(&p->tail, "a query's groups", p->err);
    }
    if (rc == TM_OK)
        rc = tm_buf_check(&p->select, "a query's columns", p->err);
    if (rc == TM_OK)
        rc = tm_buf_check(&out->sql, "a query's SQL", p->err);
    soql_plan_close(p);
    if (rc != TM_OK)
        tm_soql_plan_free(out);
    return rc;
}

enum tm_code tm_soql_plan(struct tm_soql_plan *out, struct tm_org *org, const struct tm_soql *q,
                          bool deleted_too, const char *relation, int64_t now_org_ms,
                          struct tm_soql_error *error, struct tm_err *err)
{
    struct soql_planner p = { .plan = out,
                              .org = org,
                              .q = q,
                              .self = "t",
                              .error = error,
                              .err = err,
                              .deleted_too = deleted_too,
                              .now_org_ms = now_org_ms };
    return plan_all(&p, relation);
}

/* ---- child records ---- */

/* The child relationship of the object that has this name; NULL: none, or to an object not here. */
static const struct tm_describe *plan_child(const struct soql_planner *p, const char *name,
                                            const char **out_name, const char **out_field)
{
    size_t i;
    json_t *r;
    json_array_foreach(json_object_get(p->object->json, "childRelationships"), i, r)
    {
        *out_name = json_string_value(json_object_get(r, "relationshipName"));
        *out_field = json_string_value(json_object_get(r, "field"));
        if (*out_name != NULL && *out_field != NULL && strcasecmp(*out_name, name) == 0)
            return tm_org_describe(p->org, json_string_value(json_object_get(r, "childSObject")));
    }
    return NULL;
}

static enum tm_code plan_children(struct soql_planner *p, const struct tm_soql_item *item)
{
    struct tm_soql_plan *plan = p->plan;
    const char *name = NULL, *field = NULL;
    const struct tm_describe *d = plan_child(p, item->in->object, &name, &field);
    char table[120], key[120];
    if (d == NULL || tm_describe_field(d, field) == NULL)
        return tm_soql_complain(p->error, p->err, "INVALID_TYPE", p->q->text, item->in->object_at,
                                "Didn't understand relationship '%.80s' in FROM part of query "
                                "call. If you are attempting to use a custom relationship, be sure "
                                "to append the '__r' after the custom relationship name. Please "
                                "reference your WSDL or the describe call for the appropriate "
                                "names.",
                                item->in->object);
    if (plan->children_count == TM_SOQL_CHILDREN_MAX)
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->q->text, item->path.at,
                                "more than %d queries of child records", TM_SOQL_CHILDREN_MAX);
    if (plan->children == NULL &&
        (plan->children = calloc(TM_SOQL_CHILDREN_MAX, sizeof *plan->children)) == NULL)
        return tm_fail(p->err, TM_E_NOMEM, "a query's children");
    struct tm_soql_children *c = &plan->children[plan->children_count];
    struct soql_planner in = { .plan = &c->plan,
                               .org = p->org,
                               .q = item->in,
                               .object = d,
                               .hangs_by = field,
                               .self = "t",
                               .error = p->error,
                               .err = p->err,
                               .deleted_too = p->deleted_too,
                               .now_org_ms = p->now_org_ms };
    snprintf(table, sizeof table, "cur_%.80s", d->object);
    snprintf(key, sizeof key, "\"%.80s\":", name);
    enum tm_code rc = plan_all(&in, table);
    if (rc != TM_OK)
        return rc;
    plan->children_count++;
    c->key = strdup(key);
    return c->key != NULL ? TM_OK : tm_fail(p->err, TM_E_NOMEM, "a query's children");
}

void tm_soql_plan_free(struct tm_soql_plan *p)
{
    for (size_t i = 0; i < p->children_count; i++) {
        free(p->children[i].key);
        tm_soql_plan_free(&p->children[i].plan);
    }
    free(p->children);
    for (size_t i = 0; i < p->columns_count; i++) {
        free(p->columns[i].key);
        free(p->columns[i].object);
    }
    free(p->columns);
    for (size_t i = 0; i < p->texts_count; i++)
        free(p->texts[i]);
    free(p->texts);
    free(p->binds);
    free(p->object);
    if (p->sql.max > 0)
        tm_buf_free(&p->sql);
    *p = (struct tm_soql_plan){ 0 };
}
