/* soql_value: what a path of a query means: names looked up in the describes in force, functions of
 * fields, and both as SQL. */
#include "mocks/salesforce/soql_impl.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool soql_nested(const struct tm_field *f)
{
    return f->kind == TM_FIELD_COMPOUND &&
           (strcmp(f->type, "address") == 0 || strcmp(f->type, "location") == 0);
}

enum tm_field_kind soql_kind(const struct tm_field *f)
{
    return f->kind == TM_FIELD_COMPOUND ? TM_FIELD_TEXT : f->kind;
}

/* ---- names ---- */

static enum tm_code value_no_column(struct soql_planner *p, const struct tm_soql_path *path,
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
static const struct tm_field *value_reference(const struct tm_describe *d, const char *name)
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

static enum tm_code value_relation(struct soql_planner *p, const struct tm_soql_path *path,
                                   const char *name, const struct tm_describe *from, int parent,
                                   int *out)
{
    const struct tm_field *by = value_reference(from, name);
    const struct tm_describe *to =
        by != NULL && by->reference_to != NULL ? tm_org_describe(p->org, by->reference_to) : NULL;
    if (to == NULL)
        return tm_soql_complain(
            p->error, p->err, "INVALID_FIELD", p->q->text, path->at,
            "Didn't understand relationship '%.80s' in field path. If you are attempting to use a "
            "custom "
            "relationship, be sure to append the '__r' after the custom relationship name. Please "
            "reference your WSDL or the describe call for the appropriate names.",
            name);
    for (size_t i = 0; i < p->relations_count; i++)
        if (p->relations[i].by == by && p->relations[i].parent == parent) {
            *out = (int)i;
            return TM_OK;
        }
    if (p->relations_count == TM_SOQL_RELATIONS_MAX)
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->q->text, path->at,
                                "more than %d relationships", TM_SOQL_RELATIONS_MAX);
    *out = (int)p->relations_count;
    p->relations[p->relations_count++] =
        (struct soql_relation){ .by = by, .to = to, .parent = parent };
    return TM_OK;
}

/* What a function makes of its field, if it takes such a field at all. */
static enum tm_code value_function(struct soql_planner *p, const struct tm_soql_path *path,
                                   struct soql_field *f)
{
    const struct tm_field *field = f->field;
    enum tm_field_kind kind = soql_kind(field);
    enum tm_soql_function function = path->function;
    bool fits = !soql_nested(field);
    f->function = function;
    f->kind = kind;
    if (function == TM_SOQL_COUNT_OF || function == TM_SOQL_COUNT_DISTINCT) {
        f->kind = TM_FIELD_INT;
    } else if (function == TM_SOQL_SUM || function == TM_SOQL_AVG) {
        fits &= kind == TM_FIELD_NUMBER || kind == TM_FIELD_INT;
        if (function == TM_SOQL_AVG)
            f->kind = TM_FIELD_NUMBER;
    } else if (function == TM_SOQL_MIN || function == TM_SOQL_MAX) {
        fits &= kind != TM_FIELD_BOOLEAN && strcmp(field->type, "multipicklist") != 0;
    } else if (function == TM_SOQL_TO_LABEL) {
        fits &= json_array_size(json_object_get(field->json, "picklistValues")) > 0;
    } else if (function >= TM_SOQL_CALENDAR_MONTH) {
        bool time = function == TM_SOQL_DAY_ONLY || function == TM_SOQL_HOUR_IN_DAY;
        fits &= kind == TM_FIELD_DATETIME || (kind == TM_FIELD_DATE && !time);
        f->kind = function == TM_SOQL_DAY_ONLY ? TM_FIELD_DATE : TM_FIELD_INT;
    }
    if (fits || function == TM_SOQL_PLAIN)
        return TM_OK;
    return tm_soql_complain(
        p->error, p->err, "INVALID_FIELD", p->q->text, path->at,
        tm_soql_aggregate(function) ? "field %s does not support aggregate operator %.20s"
                                    : "field %s, of type %.20s, does not support this function",
        field->name, tm_soql_aggregate(function) ? p->q->text + path->at : field->type);
}

enum tm_code soql_plan_field(struct soql_planner *p, const struct tm_soql_path *path,
                             struct soql_field *out)
{
    size_t level = 0;
    *out = (struct soql_field){ .object = p->object, .relation = -1 };
    if (path->levels > 0 &&
        (strcasecmp(path->relations[0], p->q->object) == 0 ||
         (p->q->alias != NULL && strcasecmp(path->relations[0], p->q->alias) == 0)))
        level = 1;
    for (; level < path->levels; level++) {
        enum tm_code rc = value_relation(p, path, path->relations[level], out->object,
                                         out->relation, &out->relation);
        if (rc != TM_OK)
            return rc;
        out->object = p->relations[out->relation].to;
    }
    out->field = tm_describe_field(out->object, path->field);
    return out->field != NULL ? value_function(p, path, out)
                              : value_no_column(p, path, out->object->object);
}

void soql_plan_name(const struct soql_planner *p, struct tm_buf *sql, int relation,
                    const char *column)
{
    tm_buf_addz(sql, p->self);
    if (relation >= 0)
        tm_buf_addf(sql, "%d", relation);
    tm_buf_addc(sql, '.');
    tm_sql_ident(sql, column);
}

/* ---- functions ---- */

/* The label of a picklist value; of a value no longer in the list, the value. */
static void value_label(struct tm_buf *sql, const struct tm_field *f, const char *column)
{
    size_t i, labels = 0;
    json_t *v;
    json_array_foreach(json_object_get(f->json, "picklistValues"), i, v)
    {
        const char *value = json_string_value(json_object_get(v, "value"));
        const char *label = json_string_value(json_object_get(v, "label"));
        if (value == NULL || label == NULL || strcmp(value, label) == 0)
            continue;
        if (labels++ == 0)
            tm_buf_addf(sql, "CASE %s", column);
        tm_buf_addz(sql, " WHEN ");
        tm_sql_literal(sql, value);
        tm_buf_addz(sql, " THEN ");
        tm_sql_literal(sql, label);
    }
    if (labels > 0)
        tm_buf_addf(sql, " ELSE %s END", column);
    else
        tm_buf_addz(sql, column);
}

/* A part of a date: what strftime gives, and what is made of it. Weeks are counted from the first
 * day of the month or year (SOQL Reference, "Date Functions"). */
static void value_date_part(struct tm_buf *sql, const struct soql_field *f, const char *column)
{
    static const struct {
        const char *part, *before, *after;
    } parts[] = {
        { "%m", "", "" },       { "%m", "(", "+2)/3" }, { "%Y", "", "" }, { "%d", "", "" },
        { "%w", "", "+1" },     { "%j", "", "" },       { NULL, "", "" }, { "%m", "", "" },
        { "%m", "(", "+2)/3" }, { "%Y", "", "" },       { "%H", "", "" }, { "%d", "(", "+6)/7" },
        { "%j", "(", "+6)/7" },
    };
    bool datetime = f->field->kind == TM_FIELD_DATETIME;
    size_t i = (size_t)(f->function - TM_SOQL_CALENDAR_MONTH);
    assert(i < sizeof parts / sizeof parts[0]);
    if (parts[i].part == NULL)
        tm_buf_addf(sql, "date(%s/1000.0,'unixepoch')", column);
    else
        tm_buf_addf(sql, "(%sCAST(strftime('%s',%s%s) AS INTEGER)%s)", parts[i].before,
                    parts[i].part, column, datetime ? "/1000.0,'unixepoch'" : "", parts[i].after);
}

void soql_plan_value(const struct soql_planner *p, struct tm_buf *sql, const struct soql_field *f)
{
    static const char *const calls[] = {
        "count(", "count(DISTINCT ", "sum(", "avg(", "min(", "max("
    };
    struct tm_buf column;
    if (f->function == TM_SOQL_PLAIN) {
        soql_plan_name(p, sql, f->relation, f->field->name);
        return;
    }
    tm_buf_init(&column, 1024);
    soql_plan_name(p, &column, f->relation, f->field->name);
    if (tm_soql_aggregate(f->function))
        tm_buf_addf(sql, "%s%s%s)", calls[f->function - TM_SOQL_COUNT_OF], tm_buf_text(&column),
                    soql_kind(f->field) == TM_FIELD_TEXT ? " COLLATE NOCASE" : "");
    else if (f->function == TM_SOQL_TO_LABEL)
        value_label(sql, f->field, tm_buf_text(&column));
    else
        value_date_part(sql, f, tm_buf_text(&column));
    if (column.failed != TM_OK)
        sql->failed = column.failed;
    tm_buf_free(&column);
}
