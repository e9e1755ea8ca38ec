#include "mocks/salesforce/soql.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SOQL_SQL_BYTES_MAX (8u << 20)

struct soql_relation {
    const struct tm_field *by;
    const struct tm_describe *to;
    bool selected;
    int number;
};
struct soql_planner {
    struct tm_soql_plan *plan;
    struct tm_org *org;
    const struct tm_soql *q;
    const struct tm_describe *object;
    struct soql_relation relations[TM_SOQL_RELATIONS_MAX];
    size_t relations_count;
    struct tm_buf select, where;
    size_t columns_cap;
    struct tm_soql_error *error;
    struct tm_err *err;
};
struct soql_field {
    const struct tm_field *field;
    const struct tm_describe *object;
    int relation;
};

static bool plan_nested(
    const struct tm_field *f) /* an address or location: an object in JSON, no column of its own */
{
    return f->kind == TM_FIELD_COMPOUND &&
           (strcmp(f->type, "address") == 0 || strcmp(f->type, "location") == 0);
}

static enum tm_field_kind plan_kind(const struct tm_field *f)
{
    return f->kind == TM_FIELD_COMPOUND ? TM_FIELD_TEXT : f->kind; /* Name of a person is text */
}

/* ---- names ---- */

static enum tm_code plan_no_column(struct soql_planner *p, const struct tm_soql_path *path,
                                   const char *object)
{
    return tm_soql_complain(p->error, p->err, "INVALID_FIELD", p->q->text, path->at,
                            "No such column '%.80s' on entity '%s'. If you are attempting to use a "
                            "custom field, be sure to "
                            "append the '__c' after the custom field name. Please reference your "
                            "WSDL or the describe call "
                            "for the appropriate names.",
                            path->field, object);
}

/* The reference field behind a relationship name: Owner -> OwnerId, Parent__r -> Parent__c. */
static const struct tm_field *plan_reference(const struct tm_describe *d, const char *name)
{
    size_t bytes = strlen(name);
    for (size_t i = 0; i < d->fields_count; i++) {
        const struct tm_field *f = &d->fields[i];
        const char *told = json_string_value(json_object_get(f->json, "relationshipName"));
        size_t own = strlen(f->name);
        if (strcmp(f->type, "reference") != 0)
            continue;
        if (told != NULL ? strcasecmp(told, name) == 0
                         : own == bytes + 2 && strcasecmp(f->name + bytes, "Id") == 0 &&
                               strncasecmp(f->name, name, bytes) == 0)
            return f;
        if (told == NULL && own == bytes && bytes > 3 && strcasecmp(name + bytes - 3, "__r") == 0 &&
            strncasecmp(f->name, name, bytes - 1) == 0)
            return f;
    }
    return NULL;
}

static enum tm_code plan_relation(struct soql_planner *p, const struct tm_soql_path *path, int *out)
{
    const struct tm_field *by = plan_reference(p->object, path->relation);
    const struct tm_describe *to =
        by != NULL && by->reference_to != NULL ? tm_org_describe(p->org, by->reference_to) : NULL;
    if (to == NULL)
        return tm_soql_complain(
            p->error, p->err, "INVALID_FIELD", p->q->text, path->at,
            "Didn't understand relationship '%.80s' in field path. If you are attempting to use a "
            "custom "
            "relationship, be sure to append the '__r' after the custom relationship name. Please "
            "reference your WSDL or the describe call for the appropriate names.",
            path->relation);
    for (size_t i = 0; i < p->relations_count; i++)
        if (p->relations[i].by == by) {
            *out = (int)i;
            return TM_OK;
        }
    if (p->relations_count == TM_SOQL_RELATIONS_MAX)
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->q->text, path->at,
                                "more than %d relationships", TM_SOQL_RELATIONS_MAX);
    *out = (int)p->relations_count;
    p->relations[p->relations_count++] = (struct soql_relation){ .by = by, .to = to };
    return TM_OK;
}

static enum tm_code plan_field(struct soql_planner *p, const struct tm_soql_path *path,
                               struct soql_field *out)
{
    *out = (struct soql_field){ .object = p->object, .relation = -1 };
    bool own = path->relation == NULL || strcasecmp(path->relation, p->q->object) == 0 ||
               (p->q->alias != NULL && strcasecmp(path->relation, p->q->alias) == 0);
    if (!own) {
        enum tm_code rc = plan_relation(p, path, &out->relation);
        if (rc != TM_OK)
            return rc;
        out->object = p->relations[out->relation].to;
    }
    out->field = tm_describe_field(out->object, path->field);
    return out->field != NULL ? TM_OK : plan_no_column(p, path, out->object->object);
}

static void plan_name(struct tm_buf *sql, int relation, const char *column)
{
    if (relation < 0)
        tm_buf_addz(sql, "t.");
    else
        tm_buf_addf(sql, "r%d.", relation);
    tm_sql_ident(sql, column);
}

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

static int plan_sql_column(struct soql_planner *p, int relation, const char *name)
{
    if (p->plan->sql_columns > 0)
        tm_buf_addc(&p->select, ',');
    plan_name(&p->select, relation, name);
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
        snprintf(key, sizeof key, "%s", part->part);
        key[0] = (char)(key[0] >= 'A' && key[0] <= 'Z' ? key[0] + 32 : key[0]);
        rc = plan_column(
            p,
            (struct tm_soql_column){ .shape = TM_SOQL_VALUE,
                                     .kind = part->kind,
                                     .relation = f->relation,
                                     .sql_column = plan_sql_column(p, f->relation, part->name) },
            key);
        if (rc == TM_OK)
            p->plan->columns[index].parts++;
    }
    return rc;
}

static enum tm_code plan_select_field(struct soql_planner *p, const struct soql_field *f)
{
    if (f->relation >= 0 && !p->relations[f->relation].selected) {
        struct soql_relation *relation = &p->relations[f->relation];
        const char *told =
            json_string_value(json_object_get(relation->by->json, "relationshipName"));
        char name[128];
        if (told != NULL)
            snprintf(name, sizeof name, "%s", told);
        else
            snprintf(name, sizeof name, "%.*s", (int)strlen(relation->by->name) - 2,
                     relation->by->name);
        struct tm_soql_column related = { .shape = TM_SOQL_RELATED,
                                          .relation = f->relation,
                                          .object = strdup(relation->to->object) };
        related.sql_column = plan_sql_column(p, f->relation, "Id");
        relation->selected = true;
        if (related.object == NULL)
            return tm_fail(p->err, TM_E_NOMEM, "a query's columns");
        enum tm_code rc = plan_column(p, related, name);
        if (rc != TM_OK) {
            free(related.object);
            return rc;
        }
    }
    if (plan_nested(f->field))
        return plan_compound(p, f);
    return plan_column(
        p,
        (struct tm_soql_column){ .shape = TM_SOQL_VALUE,
                                 .kind = plan_kind(f->field),
                                 .relation = f->relation,
                                 .sql_column = plan_sql_column(p, f->relation, f->field->name) },
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
        struct soql_field f = { &p->object->fields[i], p->object, -1 };
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
        enum tm_code rc = plan_field(p, &item->path, &other);
        if (rc != TM_OK)
            return rc;
        if (other.field == field->field && other.relation == field->relation)
            return tm_soql_complain(p->error, p->err, "INVALID_FIELD", p->q->text,
                                    p->q->items[index].path.at, "duplicate field selected: %s",
                                    field->field->name);
    }
    return TM_OK;
}

static enum tm_code plan_select(struct soql_planner *p)
{
    enum tm_code rc = TM_OK;
    plan_sql_column(p, -1, "Id");
    for (size_t i = 0; i < p->q->items_count && rc == TM_OK; i++) {
        const struct tm_soql_item *item = &p->q->items[i];
        struct soql_field field;
        if (item->kind == TM_SOQL_COUNT) {
            p->plan->count_only = true;
        } else if (item->kind != TM_SOQL_PATH) {
            rc = plan_fields_word(p, item);
        } else {
            rc = plan_field(p, &item->path, &field);
            if (rc == TM_OK)
                rc = plan_twice(p, i, &field);
            if (rc == TM_OK)
                rc = plan_select_field(p, &field);
        }
    }
    return rc;
}

/* ---- conditions ---- */

static enum tm_code plan_wrong_type(struct soql_planner *p, const struct tm_field *f, size_t at)
{
    bool quoted = plan_kind(f) == TM_FIELD_TEXT || f->kind == TM_FIELD_ID;
    return tm_soql_complain(p->error, p->err, "INVALID_FIELD", p->q->text, at,
                            "value of filter criterion for field '%s' must be of type %s and "
                            "should %sbe enclosed in quotes",
                            f->name,
                            strcmp(f->type, "datetime") == 0 ? "dateTime"
                            : quoted                         ? "string"
                                                             : f->type,
                            quoted ? "" : "not ");
}

static enum tm_code plan_bind(struct soql_planner *p, struct tm_org_value value)
{
    assert(p->plan->binds_count < p->q->literals_count);
    p->plan->binds[p->plan->binds_count++] = value;
    tm_buf_addc(&p->where, '?');
    return TM_OK;
}

static enum tm_code plan_id(struct soql_planner *p, const struct tm_field *f,
                            const struct tm_soql_literal *l)
{
    char *id = p->plan->ids[p->plan->ids_count];
    if (tm_id18(id, l->text, NULL) != TM_OK)
        return tm_soql_complain(p->error, p->err, "INVALID_QUERY_FILTER_OPERATOR", p->q->text,
                                l->at, "invalid ID field: %.60s (%s)", l->text, f->name);
    p->plan->ids_count++;
    return plan_bind(p, (struct tm_org_value){ .kind = TM_ORG_TEXT, .text = id });
}

/* Writes "?" and binds the literal in canonical form, if its type fits the field's. */
static enum tm_code plan_literal(struct soql_planner *p, const struct tm_field *f,
                                 const struct tm_soql_literal *l)
{
    switch (plan_kind(f)) {
    case TM_FIELD_TEXT:
        if (l->kind == TM_SOQL_STRING)
            return plan_bind(p, (struct tm_org_value){ .kind = TM_ORG_TEXT, .text = l->text });
        break;
    case TM_FIELD_ID:
        if (l->kind == TM_SOQL_STRING)
            return plan_id(p, f, l);
        break;
    case TM_FIELD_BOOLEAN:
        if (l->kind == TM_SOQL_BOOLEAN)
            return plan_bind(p, (struct tm_org_value){ .kind = TM_ORG_INT, .i = l->boolean });
        break;
    case TM_FIELD_INT:
    case TM_FIELD_NUMBER:
        if (l->kind == TM_SOQL_NUMBER)
            return plan_bind(
                p, (struct tm_org_value){ .kind = TM_ORG_REAL, .d = strtod(l->text, NULL) });
        break;
    case TM_FIELD_DATE:
        if (l->kind == TM_SOQL_DATE)
            return plan_bind(p, (struct tm_org_value){ .kind = TM_ORG_TEXT, .text = l->text });
        break;
    case TM_FIELD_DATETIME:
        if (l->kind == TM_SOQL_DATETIME)
            return plan_bind(p, (struct tm_org_value){ .kind = TM_ORG_INT, .i = l->datetime_ms });
        break;
    case TM_FIELD_TIME:
        if (l->kind == TM_SOQL_TIME)
            return plan_bind(p, (struct tm_org_value){ .kind = TM_ORG_TEXT, .text = l->text });
        break;
    case TM_FIELD_COMPOUND: break;
    }
    return plan_wrong_type(p, f, l->at);
}

static bool plan_is_null(const struct tm_field *f, const struct tm_soql_literal *l)
{
    return l->kind == TM_SOQL_NULL ||
           (plan_kind(f) == TM_FIELD_TEXT && l->kind == TM_SOQL_STRING && *l->text == '\0');
}

static enum tm_code plan_in(struct soql_planner *p, const struct tm_soql_node *n,
                            const struct soql_field *f)
{
    const char *collate = plan_kind(f->field) == TM_FIELD_TEXT ? " COLLATE NOCASE" : "";
    bool negative = n->op == TM_SOQL_NOT_IN, has_null = false, first = true;
    for (size_t i = 0; i < n->count; i++)
        has_null |= plan_is_null(f->field, &p->q->literals[n->first + i]);
    tm_buf_addc(&p->where, '(');
    plan_name(&p->where, f->relation, f->field->name);
    tm_buf_addz(&p->where, has_null == negative ? " IS NOT NULL" : " IS NULL");
    tm_buf_addz(&p->where, has_null == negative ? " AND " : " OR ");
    plan_name(&p->where, f->relation, f->field->name);
    tm_buf_addf(&p->where, "%s %sIN (", collate, negative ? "NOT " : "");
    for (size_t i = 0; i < n->count; i++) {
        const struct tm_soql_literal *l = &p->q->literals[n->first + i];
        if (plan_is_null(f->field, l))
            continue;
        if (!first)
            tm_buf_addc(&p->where, ',');
        first = false;
        enum tm_code rc = plan_literal(p, f->field, l);
        if (rc != TM_OK)
            return rc;
    }
    tm_buf_addz(&p->where, "))");
    return TM_OK;
}

static enum tm_code plan_operator_fits(struct soql_planner *p, const struct tm_soql_node *n,
                                       const struct tm_field *f)
{
    enum tm_field_kind kind = plan_kind(f);
    bool order =
        n->op == TM_SOQL_LT || n->op == TM_SOQL_LE || n->op == TM_SOQL_GT || n->op == TM_SOQL_GE;
    if (plan_nested(f))
        return tm_soql_complain(p->error, p->err, "INVALID_FIELD", p->q->text, n->path.at,
                                "field '%s' can not be filtered in a query call", f->name);
    if ((n->op == TM_SOQL_LIKE && kind != TM_FIELD_TEXT) || (order && kind == TM_FIELD_BOOLEAN))
        return tm_soql_complain(p->error, p->err, "INVALID_QUERY_FILTER_OPERATOR", p->q->text,
                                n->path.at, "invalid operator on %s field", f->type);
    return TM_OK;
}

static enum tm_code plan_compare(struct soql_planner *p, const struct tm_soql_node *n, bool negated)
{
    static const char *const signs[] = {
        " = ", " IS NOT ", " < ", " <= ", " > ", " >= ", " LIKE "
    };
    const struct tm_soql_literal *l = &p->q->literals[n->first];
    struct soql_field f;
    enum tm_code rc = plan_field(p, &n->path, &f);
    if (rc == TM_OK)
        rc = plan_operator_fits(p, n, f.field);
    if (rc != TM_OK)
        return rc;
    tm_buf_addc(&p->where, '(');
    if (n->op == TM_SOQL_IN || n->op == TM_SOQL_NOT_IN) {
        rc = plan_in(p, n, &f);
    } else if (plan_is_null(f.field, l) && (n->op == TM_SOQL_EQ || n->op == TM_SOQL_NE)) {
        plan_name(&p->where, f.relation, f.field->name);
        tm_buf_addz(&p->where, n->op == TM_SOQL_EQ ? " IS NULL" : " IS NOT NULL");
    } else if (l->kind == TM_SOQL_NULL) {
        tm_buf_addc(&p->where, '0'); /* null is never less, greater or like anything */
    } else {
        assert(n->op <= TM_SOQL_LIKE);
        plan_name(&p->where, f.relation, f.field->name);
        tm_buf_addz(&p->where, signs[n->op]);
        rc = plan_literal(p, f.field, l);
        if (n->op == TM_SOQL_LIKE)
            tm_buf_addz(&p->where, " ESCAPE '\\'");
        else if (plan_kind(f.field) == TM_FIELD_TEXT)
            tm_buf_addz(&p->where, " COLLATE NOCASE");
    }
    tm_buf_addz(&p->where, negated ? ") IS TRUE" : ")");
    return rc;
}

static enum tm_code plan_node(struct soql_planner *p, size_t index, bool negated);

/* A chain as a balanced tree: SQLite bounds the depth of an expression, and chains can be thousands
 * long. */
static enum tm_code plan_chain(struct soql_planner *p, const struct tm_soql_node *n, size_t first,
                               size_t count, bool negated)
{
    if (count == 1)
        return plan_node(p, p->q->children[n->first + first], negated);
    tm_buf_addc(&p->where, '(');
    enum tm_code rc = plan_chain(p, n, first, count / 2, negated);
    tm_buf_addz(&p->where, n->op == TM_SOQL_AND ? " AND " : " OR ");
    if (rc == TM_OK)
        rc = plan_chain(p, n, first + count / 2, count - count / 2, negated);
    tm_buf_addc(&p->where, ')');
    return rc;
}

static enum tm_code plan_node(struct soql_planner *p, size_t index, bool negated)
{
    const struct tm_soql_node *n = &p->q->nodes[index];
    if (n->op == TM_SOQL_AND || n->op == TM_SOQL_OR)
        return plan_chain(p, n, 0, n->count, negated);
    if (n->op != TM_SOQL_NOT)
        return plan_compare(p, n, negated);
    tm_buf_addz(&p->where, "(NOT (");
    enum tm_code rc = plan_node(p, p->q->children[n->first], true);
    tm_buf_addz(&p->where, "))");
    return rc;
}

static enum tm_code plan_order(struct soql_planner *p)
{
    for (size_t i = 0; i < p->q->keys_count; i++) {
        const struct tm_soql_key *key = &p->q->keys[i];
        struct soql_field f;
        enum tm_code rc = plan_field(p, &key->path, &f);
        if (rc != TM_OK)
            return rc;
        if (plan_nested(f.field))
            return tm_soql_complain(p->error, p->err, "INVALID_FIELD", p->q->text, key->path.at,
                                    "field '%s' can not be sorted in a query call", f.field->name);
        tm_buf_addz(&p->where, i == 0 ? " ORDER BY " : ", ");
        plan_name(&p->where, f.relation, f.field->name);
        tm_buf_addf(&p->where, "%s %s NULLS %s",
                    plan_kind(f.field) == TM_FIELD_TEXT ? " COLLATE NOCASE" : "",
                    key->descending ? "DESC" : "ASC", key->nulls_last ? "LAST" : "FIRST");
    }
    return TM_OK;
}

/* ---- the whole ---- */

static void plan_join(struct soql_planner *p)
{
    struct tm_buf *sql = &p->plan->sql;
    for (size_t i = 0; i < p->relations_count; i++) {
        char table[160];
        snprintf(table, sizeof table, "cur_%s", p->relations[i].to->object);
        tm_buf_addz(sql, " LEFT JOIN ");
        tm_sql_ident(sql, table);
        tm_buf_addf(sql, " AS r%zu ON r%zu.\"Id\" = ", i, i);
        plan_name(sql, -1, p->relations[i].by->name);
    }
}

static void plan_write(struct soql_planner *p, const char *relation, bool deleted_too)
{
    struct tm_buf *sql = &p->plan->sql;
    bool hide = !deleted_too && tm_describe_field(p->object, "IsDeleted") != NULL;
    tm_buf_addz(sql, p->plan->count_only ? "SELECT count(*) FROM (SELECT 1 FROM " : "SELECT ");
    if (!p->plan->count_only) {
        tm_buf_add(sql, p->select.data, p->select.bytes);
        tm_buf_addz(sql, " FROM ");
    }
    tm_sql_ident(sql, relation);
    tm_buf_addz(sql, " AS t");
    plan_join(p);
    if (hide)
        tm_buf_addz(sql, " WHERE t.\"IsDeleted\" = 0");
    if (p->q->has_where)
        tm_buf_addz(sql, hide ? " AND " : " WHERE ");
    tm_buf_add(sql, p->where.data, p->where.bytes);
    if (p->q->limit >= 0 || p->q->offset > 0)
        tm_buf_addf(sql, " LIMIT %lld OFFSET %lld", (long long)p->q->limit,
                    (long long)p->q->offset);
    if (p->plan->count_only)
        tm_buf_addc(sql, ')');
}

static enum tm_code plan_object(struct soql_planner *p)
{
    p->object = tm_org_describe(p->org, p->q->object);
    if (p->object == NULL)
        return tm_soql_complain(p->error, p->err, "INVALID_TYPE", p->q->text, p->q->object_at,
                                "sObject type '%.80s' is not supported. If you are attempting to "
                                "use a custom object, be sure "
                                "to append the '__c' after the entity name. Please reference your "
                                "WSDL or the describe call "
                                "for the appropriate names.",
                                p->q->object);
    p->plan->object = strdup(p->object->object);
    p->plan->binds = calloc(p->q->literals_count + 1, sizeof *p->plan->binds);
    p->plan->ids = calloc(p->q->literals_count + 1, sizeof *p->plan->ids);
    if (p->plan->object == NULL || p->plan->binds == NULL || p->plan->ids == NULL)
        return tm_fail(p->err, TM_E_NOMEM, "a query's plan");
    return TM_OK;
}

enum tm_code tm_soql_plan(struct tm_soql_plan *out, struct tm_org *org, const struct tm_soql *q,
                          bool deleted_too, const char *relation, struct tm_soql_error *error,
                          struct tm_err *err)
{
    struct soql_planner p = { .plan = out, .org = org, .q = q, .error = error, .err = err };
    *out = (struct tm_soql_plan){ 0 };
    tm_buf_init(&out->sql, SOQL_SQL_BYTES_MAX);
    tm_buf_init(&p.select, SOQL_SQL_BYTES_MAX);
    tm_buf_init(&p.where, SOQL_SQL_BYTES_MAX);
    enum tm_code rc = plan_object(&p);
    if (rc == TM_OK)
        rc = plan_select(&p);
    if (rc == TM_OK && q->has_where)
        rc = plan_node(&p, q->where, false);
    if (rc == TM_OK)
        rc = plan_order(&p);
    if (rc == TM_OK) {
        plan_write(&p, relation, deleted_too);
        rc = tm_buf_check(&p.where, "a query's conditions", err);
    }
    if (rc == TM_OK)
        rc = tm_buf_check(&out->sql, "a query's SQL", err);
    tm_buf_free(&p.select);
    tm_buf_free(&p.where);
    if (rc != TM_OK)
        tm_soql_plan_free(out);
    return rc;
}

void tm_soql_plan_free(struct tm_soql_plan *p)
{
    for (size_t i = 0; i < p->columns_count; i++) {
        free(p->columns[i].key);
        free(p->columns[i].object);
    }
    free(p->columns);
    free(p->binds);
    free(p->ids);
    free(p->object);
    if (p->sql.max > 0)
        tm_buf_free(&p->sql);
    *p = (struct tm_soql_plan){ 0 };
}
