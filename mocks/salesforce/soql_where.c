#include "mocks/salesforce/soql_impl.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WHERE_DAY_MS 86400000LL
/* SQLite takes patterns of 50,000 bytes */
_Static_assert(4 * TM_SOQL_STRING_CHARACTERS_MAX <= 50000, "a LIKE pattern that SQLite refuses");

/* ---- values ---- */

static enum tm_code where_bind(struct soql_planner *p, struct tm_buf *sql,
                               struct tm_org_value value)
{
    struct tm_soql_plan *plan = p->plan;
    if (plan->binds_count == plan->binds_cap) {
        size_t cap = plan->binds_cap == 0 ? 16 : plan->binds_cap * 2;
        struct tm_org_value *grown = realloc(plan->binds, cap * sizeof *grown);
        if (grown == NULL)
            return tm_fail(p->err, TM_E_NOMEM, "a query's values");
        plan->binds = grown;
        plan->binds_cap = cap;
    }
    plan->binds[plan->binds_count++] = value;
    tm_buf_addc(sql, '?');
    return TM_OK;
}

/* Binds a copy of a text. */
static enum tm_code where_bind_text(struct soql_planner *p, struct tm_buf *sql, const char *text,
                                    size_t bytes)
{
    struct tm_soql_plan *plan = p->plan;
    if (plan->texts_count == plan->texts_cap) {
        size_t cap = plan->texts_cap == 0 ? 16 : plan->texts_cap * 2;
        char **grown = realloc(plan->texts, cap * sizeof *grown);
        if (grown == NULL)
            return tm_fail(p->err, TM_E_NOMEM, "a query's values");
        plan->texts = grown;
        plan->texts_cap = cap;
    }
    char *copy = strndup(text, bytes);
    if (copy == NULL)
        return tm_fail(p->err, TM_E_NOMEM, "a query's values");
    plan->texts[plan->texts_count++] = copy;
    return where_bind(p, sql, (struct tm_org_value){ .kind = TM_ORG_TEXT, .text = copy });
}

static const char *where_type(const struct soql_field *f)
{
    if (f->function > TM_SOQL_MAX || f->kind == TM_FIELD_INT)
        return f->kind == TM_FIELD_DATE ? "date" : "int";
    return strcmp(f->field->type, "datetime") == 0 ? "dateTime" : f->field->type;
}

static enum tm_code where_wrong_type(struct soql_planner *p, const struct soql_field *f, size_t at)
{
    bool quoted = f->kind == TM_FIELD_TEXT || f->kind == TM_FIELD_ID;
    return tm_soql_complain(p->error, p->err, "INVALID_FIELD", p->q->text, at,
                            "value of filter criterion for field '%s' must be of type %s and "
                            "should %sbe enclosed in quotes",
                            f->field->name, quoted ? "string" : where_type(f),
                            quoted ? "" : "not ");
}

static enum tm_code where_id(struct soql_planner *p, struct tm_buf *sql, const struct soql_field *f,
                             const struct tm_soql_literal *l)
{
    char id[TM_ID_BYTES];
    if (tm_id18(id, l->text, NULL) != TM_OK)
        return tm_soql_complain(p->error, p->err, "INVALID_QUERY_FILTER_OPERATOR", p->q->text,
                                l->at, "invalid ID field: %.60s (%s)", l->text, f->field->name);
    return where_bind_text(p, sql, id, TM_ID_BYTES - 1);
}

/* Writes "?" and binds the literal in canonical form, if its type fits the value's. */
static enum tm_code where_literal(struct soql_planner *p, struct tm_buf *sql,
                                  const struct soql_field *f, const struct tm_soql_literal *l)
{
    struct tm_org_value text = { .kind = TM_ORG_TEXT, .text = l->text };
    char time[TM_TIME_BYTES];
    switch (f->kind) {
    case TM_FIELD_TEXT:
        if (l->kind == TM_SOQL_STRING)
            return where_bind(p, sql, text);
        break;
    case TM_FIELD_ID:
        if (l->kind == TM_SOQL_STRING)
            return where_id(p, sql, f, l);
        break;
    case TM_FIELD_BOOLEAN:
        if (l->kind == TM_SOQL_BOOLEAN)
            return where_bind(p, sql, (struct tm_org_value){ .kind = TM_ORG_INT, .i = l->boolean });
        break;
    case TM_FIELD_INT:
    case TM_FIELD_NUMBER:
        if (l->kind == TM_SOQL_NUMBER)
            return where_bind(
                p, sql, (struct tm_org_value){ .kind = TM_ORG_REAL, .d = strtod(l->text, NULL) });
        break;
    case TM_FIELD_DATE:
        if (l->kind == TM_SOQL_DATE)
            return where_bind(p, sql, text);
        break;
    case TM_FIELD_DATETIME:
        if (l->kind == TM_SOQL_DATETIME)
            return where_bind(p, sql,
                              (struct tm_org_value){ .kind = TM_ORG_INT, .i = l->datetime_ms });
        break;
    case TM_FIELD_TIME:
        if (l->kind == TM_SOQL_TIME && tm_time_of_day(time, l->text, NULL) == TM_OK)
            return where_bind_text(p, sql, time, strlen(time)); /* as records hold it */
        break;
    case TM_FIELD_COMPOUND: break;
    }
    return where_wrong_type(p, f, l->at);
}

static bool where_is_null(const struct soql_field *f, const struct tm_soql_literal *l)
{
    return l->kind == TM_SOQL_NULL ||
           (f->kind == TM_FIELD_TEXT && l->kind == TM_SOQL_STRING && *l->text == '\0');
}

/* ---- relative dates ---- */

static enum tm_code where_day(struct soql_planner *p, struct tm_buf *sql,
                              const struct soql_field *f, int32_t day)
{
    char text[TM_TIME_BYTES];
    if (f->kind == TM_FIELD_DATETIME)
        return where_bind(p, sql,
                          (struct tm_org_value){ .kind = TM_ORG_INT, .i = day * WHERE_DAY_MS });
    tm_date_text(text, day);
    return where_bind_text(p, sql, text, strlen(text));
}

/* A literal of several days: before it is before its first, after it behind its last. */
static enum tm_code where_relative(struct soql_planner *p, struct tm_buf *sql,
                                   const struct soql_field *f, enum tm_soql_op op,
                                   const struct tm_soql_literal *l)
{
    int32_t first, past;
    bool from_first = op == TM_SOQL_LT || op == TM_SOQL_GE;
    if (f->kind != TM_FIELD_DATE && f->kind != TM_FIELD_DATETIME)
        return where_wrong_type(p, f, l->at);
    if (!tm_soql_days(&l->relative, p->now_org_ms, &first, &past))
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->q->text, l->at,
                                "%s: out of the years 1700 to 4000", l->text);
    enum tm_code rc = TM_OK;
    tm_buf_addc(sql, '(');
    if (op == TM_SOQL_EQ || op == TM_SOQL_NE) {
        if (op == TM_SOQL_NE) {
            soql_plan_value(p, sql, f);
            tm_buf_addz(sql, " IS NULL OR ");
        }
        soql_plan_value(p, sql, f);
        tm_buf_addz(sql, op == TM_SOQL_EQ ? " >= " : " < ");
        rc = where_day(p, sql, f, first);
        tm_buf_addz(sql, op == TM_SOQL_EQ ? " AND " : " OR ");
    }
    soql_plan_value(p, sql, f);
    tm_buf_addz(sql, op == TM_SOQL_EQ || op == TM_SOQL_LT || op == TM_SOQL_LE ? " < " : " >= ");
    if (rc == TM_OK)
        rc = where_day(p, sql, f, from_first ? first : past);
    tm_buf_addc(sql, ')');
    return rc;
}

/* ---- lists ---- */

static enum tm_code where_members(struct soql_planner *p, struct tm_buf *sql,
                                  const struct tm_soql_node *n, const struct soql_field *f)
{
    bool first = true;
    enum tm_code rc = TM_OK;
    soql_plan_value(p, sql, f);
    tm_buf_addf(sql, "%s IN (", f->kind == TM_FIELD_TEXT ? " COLLATE NOCASE" : "");
    for (size_t i = 0; i < n->count && rc == TM_OK; i++) {
        const struct tm_soql_literal *l = &p->q->literals[n->first + i];
        if (where_is_null(f, l) || l->kind == TM_SOQL_RELATIVE)
            continue;
        if (!first)
            tm_buf_addc(sql, ',');
        first = false;
        rc = where_literal(p, sql, f, l);
    }
    tm_buf_addc(sql, ')');
    for (size_t i = 0; i < n->count && rc == TM_OK; i++) {
        const struct tm_soql_literal *l = &p->q->literals[n->first + i];
        if (l->kind != TM_SOQL_RELATIVE)
            continue;
        tm_buf_addz(sql, " OR ");
        rc = where_relative(p, sql, f, TM_SOQL_EQ, l);
    }
    return rc;
}

static enum tm_code where_in(struct soql_planner *p, struct tm_buf *sql,
                             const struct tm_soql_node *n, const struct soql_field *f)
{
    bool negative = n->op == TM_SOQL_NOT_IN, has_null = false;
    for (size_t i = 0; i < n->count; i++)
        has_null |= where_is_null(f, &p->q->literals[n->first + i]);
    soql_plan_value(p, sql, f);
    tm_buf_addz(sql, has_null == negative ? " IS NOT NULL" : " IS NULL");
    tm_buf_addz(sql, has_null == negative ? " AND " : " OR ");
    tm_buf_addz(sql, negative ? "NOT (" : "(");
    enum tm_code rc = where_members(p, sql, n, f);
    tm_buf_addc(sql, ')');
    return rc;
}

/* One string of INCLUDES: all of its parts, between semicolons, are chosen. */
static enum tm_code where_includes_all(struct soql_planner *p, struct tm_buf *sql,
                                       const struct soql_field *f, const char *text)
{
    enum tm_code rc = TM_OK;
    for (const char *part = text; rc == TM_OK; part++) {
        size_t bytes = strcspn(part, ";");
        tm_buf_addf(sql, "%sinstr(lower(';'||", part == text ? "" : " AND ");
        soql_plan_value(p, sql, f);
        tm_buf_addz(sql, "||';'),lower(';'||");
        rc = where_bind_text(p, sql, part, bytes);
        tm_buf_addz(sql, "||';'))>0");
        part += bytes;
        if (*part == '\0')
            break;
    }
    return rc;
}

static enum tm_code where_includes(struct soql_planner *p, struct tm_buf *sql,
                                   const struct tm_soql_node *n, const struct soql_field *f)
{
    enum tm_code rc = TM_OK;
    if (n->op == TM_SOQL_EXCLUDES) {
        soql_plan_value(p, sql, f);
        tm_buf_addz(sql, " IS NULL OR NOT ");
    }
    tm_buf_addc(sql, '(');
    for (size_t i = 0; i < n->count && rc == TM_OK; i++) {
        tm_buf_addz(sql, i > 0 ? " OR (" : "(");
        rc = where_includes_all(p, sql, f, p->q->literals[n->first + i].text);
        tm_buf_addc(sql, ')');
    }
    tm_buf_addc(sql, ')');
    return rc;
}

/* ---- semi-joins ---- */

static const char *where_points_to(const struct soql_field *f)
{
    return strcmp(f->field->type, "id") == 0 ? f->object->object : f->field->reference_to;
}

static enum tm_code where_semijoin_fits(struct soql_planner *p, const struct tm_soql_node *n,
                                        const struct soql_field *outer,
                                        const struct soql_field *inner)
{
    const struct tm_soql_path *selected = &n->in->items[0].path;
    const char *to = where_points_to(outer), *from = where_points_to(inner);
    if (outer->kind != TM_FIELD_ID || outer->function != TM_SOQL_PLAIN)
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->q->text, n->path.at,
                                "The left operand field in the where expression for outer query "
                                "should be an id field, cannot use: '%s'",
                                outer->field->name);
    if (inner->kind != TM_FIELD_ID || to == NULL || from == NULL || strcasecmp(to, from) != 0)
        return tm_soql_complain(p->error, p->err, "INVALID_FIELD", p->q->text, selected->at,
                                "The selected field '%s' in the subquery and the left operand "
                                "field in the where expression in the outer query '%s' should "
                                "point to the same object type",
                                inner->field->name, outer->field->name);
    return TM_OK;
}

static enum tm_code where_semijoin(struct soql_planner *p, struct tm_buf *sql,
                                   const struct tm_soql_node *n, const struct soql_field *f)
{
    static const char *const names[TM_SOQL_SEMIJOINS_MAX] = { "sa", "sb" };
    struct soql_planner in = { .plan = p->plan,
                               .org = p->org,
                               .q = n->in,
                               .self = names[p->semijoins++],
                               .error = p->error,
                               .err = p->err,
                               .deleted_too = p->deleted_too,
                               .now_org_ms = p->now_org_ms };
    struct soql_field selected;
    char table[160];
    enum tm_code rc = soql_plan_open(&in);
    if (rc == TM_OK)
        rc = soql_plan_field(&in, &n->in->items[0].path, &selected);
    if (rc == TM_OK)
        rc = where_semijoin_fits(p, n, f, &selected);
    if (rc == TM_OK && n->in->has_where)
        rc = soql_plan_where(&in, n->in->where, &in.where);
    if (rc == TM_OK) {
        snprintf(table, sizeof table, "cur_%s", in.object->object);
        if (n->op == TM_SOQL_NOT_IN) { /* a null in the list would make every NOT IN unknown */
            soql_plan_value(p, sql, f);
            tm_buf_addz(sql, " IS NULL OR ");
        }
        soql_plan_value(p, sql, f);
        tm_buf_addz(sql, n->op == TM_SOQL_NOT_IN ? " NOT IN (SELECT coalesce(" : " IN (SELECT (");
        soql_plan_value(&in, sql, &selected);
        tm_buf_addz(sql, n->op == TM_SOQL_NOT_IN ? ",'')" : ")");
        soql_plan_from(&in, table, sql);
        tm_buf_addc(sql, ')');
    }
    soql_plan_close(&in);
    return rc;
}

/* ---- conditions ---- */

static enum tm_code where_operator_fits(struct soql_planner *p, const struct tm_soql_node *n,
                                        const struct soql_field *f)
{
    bool order =
        n->op == TM_SOQL_LT || n->op == TM_SOQL_LE || n->op == TM_SOQL_GT || n->op == TM_SOQL_GE;
    bool multi = strcmp(f->field->type, "multipicklist") == 0 && f->function == TM_SOQL_PLAIN;
    if (soql_nested(f->field) || (!tm_soql_aggregate(f->function) &&
                                  json_is_false(json_object_get(f->field->json, "filterable"))))
        return tm_soql_complain(p->error, p->err, "INVALID_FIELD", p->q->text, n->path.at,
                                "field '%s' can not be filtered in a query call", f->field->name);
    if ((n->op == TM_SOQL_LIKE && f->kind != TM_FIELD_TEXT) ||
        (order && f->kind == TM_FIELD_BOOLEAN) ||
        ((n->op == TM_SOQL_INCLUDES || n->op == TM_SOQL_EXCLUDES) && !multi))
        return tm_soql_complain(p->error, p->err, "INVALID_QUERY_FILTER_OPERATOR", p->q->text,
                                n->path.at, "invalid operator on %s field", f->field->type);
    if (tm_soql_aggregate(f->function) && !p->having)
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->q->text, n->path.at,
                                "an aggregate stands in HAVING, not in WHERE");
    return p->having ? soql_plan_grouped(p, &n->path, f) : TM_OK;
}

static enum tm_code where_plain(struct soql_planner *p, struct tm_buf *sql,
                                const struct tm_soql_node *n, const struct soql_field *f)
{
    static const char *const signs[] = {
        " = ", " IS NOT ", " < ", " <= ", " > ", " >= ", " LIKE "
    };
    const struct tm_soql_literal *l = &p->q->literals[n->first];
    assert(n->op <= TM_SOQL_LIKE);
    if (where_is_null(f, l) && (n->op == TM_SOQL_EQ || n->op == TM_SOQL_NE)) {
        soql_plan_value(p, sql, f);
        tm_buf_addz(sql, n->op == TM_SOQL_EQ ? " IS NULL" : " IS NOT NULL");
        return TM_OK;
    }
    if (l->kind == TM_SOQL_NULL) {
        tm_buf_addc(sql, '0'); /* null is never less, greater or like anything */
        return TM_OK;
    }
    if (l->kind == TM_SOQL_RELATIVE)
        return where_relative(p, sql, f, n->op, l);
    soql_plan_value(p, sql, f);
    tm_buf_addz(sql, signs[n->op]);
    enum tm_code rc = where_literal(p, sql, f, l);
    if (n->op == TM_SOQL_LIKE)
        tm_buf_addz(sql, " ESCAPE '\\'");
    else if (f->kind == TM_FIELD_TEXT)
        tm_buf_addz(sql, " COLLATE NOCASE");
    return rc;
}

static enum tm_code where_compare(struct soql_planner *p, struct tm_buf *sql,
                                  const struct tm_soql_node *n, bool negated)
{
    struct soql_field f;
    enum tm_code rc = soql_plan_field(p, &n->path, &f);
    if (rc == TM_OK)
        rc = where_operator_fits(p, n, &f);
    if (rc != TM_OK)
        return rc;
    tm_buf_addc(sql, '(');
    if (n->in != NULL)
        rc = where_semijoin(p, sql, n, &f);
    else if (n->op == TM_SOQL_IN || n->op == TM_SOQL_NOT_IN)
        rc = where_in(p, sql, n, &f);
    else if (n->op == TM_SOQL_INCLUDES || n->op == TM_SOQL_EXCLUDES)
        rc = where_includes(p, sql, n, &f);
    else
        rc = where_plain(p, sql, n, &f);
    tm_buf_addz(sql, negated ? ") IS TRUE" : ")");
    return rc;
}

enum where_place { WHERE_TOP, WHERE_UNDER, WHERE_NEGATED };

static enum tm_code where_node(struct soql_planner *p, struct tm_buf *sql, size_t index,
                               enum where_place place);

/* A chain as a balanced tree: SQLite bounds the depth of an expression, and chains can be thousands
 * long. */
static enum tm_code where_chain(struct soql_planner *p, struct tm_buf *sql,
                                const struct tm_soql_node *n, size_t first, size_t count,
                                enum where_place place)
{
    if (count == 1)
        return where_node(p, sql, p->q->children[n->first + first], place);
    tm_buf_addc(sql, '(');
    enum tm_code rc = where_chain(p, sql, n, first, count / 2, place);
    tm_buf_addz(sql, n->op == TM_SOQL_AND ? " AND " : " OR ");
    if (rc == TM_OK)
        rc = where_chain(p, sql, n, first + count / 2, count - count / 2, place);
    tm_buf_addc(sql, ')');
    return rc;
}

static enum tm_code where_node(struct soql_planner *p, struct tm_buf *sql, size_t index,
                               enum where_place place)
{
    const struct tm_soql_node *n = &p->q->nodes[index];
    bool root = index == p->q->where;
    if (n->op == TM_SOQL_AND || n->op == TM_SOQL_OR)
        return where_chain(p, sql, n, 0, n->count,
                           place == WHERE_TOP && !(root && n->op == TM_SOQL_AND) ? WHERE_UNDER
                                                                                 : place);
    if (n->in != NULL && place != WHERE_TOP)
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->q->text, n->path.at,
                                "Semi join sub-selects are only allowed at the top level WHERE "
                                "expressions and not in nested WHERE expressions.");
    if (n->op != TM_SOQL_NOT)
        return where_compare(p, sql, n, place == WHERE_NEGATED);
    tm_buf_addz(sql, "(NOT (");
    enum tm_code rc = where_node(p, sql, p->q->children[n->first], WHERE_NEGATED);
    tm_buf_addz(sql, "))");
    return rc;
}

enum tm_code soql_plan_where(struct soql_planner *p, size_t index, struct tm_buf *sql)
{
    return where_node(p, sql, index, p->having ? WHERE_UNDER : WHERE_TOP);
}
