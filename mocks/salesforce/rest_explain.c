/* rest_explain: query/?explain=SOQL: what the query would cost. The shape is Salesforce's (REST API
 * Developer Guide, "Query Performance Feedback", read 2026-11-30); the numbers are the org's own:
 * cardinalities are counted, not estimated, and a query leads by an index when a condition that all
 * rows must meet names a field with one. */
#include "mocks/salesforce/rest_impl.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define EXPLAIN_SCAN_COST 1.0 /* an index that leaves nothing out costs as much */

/* Fields that Salesforce keeps an index of, beside external ids and references. */
static bool explain_indexed(const struct tm_describe *d, const char *name)
{
    static const char *const names[] = { "Id",          "Name",           "OwnerId",
                                         "CreatedDate", "SystemModstamp", "RecordTypeId" };
    const struct tm_field *f = tm_describe_field(d, name);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return f != NULL &&
           (json_is_true(json_object_get(f->json, "externalId")) ||
            json_is_true(json_object_get(f->json, "unique")) || strcmp(f->type, "reference") == 0);
}

/* The indexed field of a condition that every row must meet; NULL when there is none. */
static const char *explain_lead(const struct tm_soql *q, const struct tm_describe *d, size_t index)
{
    const struct tm_soql_node *n = &q->nodes[index];
    const char *found = NULL;
    if (n->op == TM_SOQL_AND) {
        for (size_t i = 0; i < n->count && found == NULL; i++)
            found = explain_lead(q, d, q->children[n->first + i]);
        return found;
    }
    bool leads = n->op != TM_SOQL_OR && n->op != TM_SOQL_NOT && n->op != TM_SOQL_NE &&
                 n->op != TM_SOQL_NOT_IN && n->op != TM_SOQL_LIKE && n->op != TM_SOQL_EXCLUDES &&
                 n->path.levels == 0 && n->path.function == TM_SOQL_PLAIN;
    return leads && explain_indexed(d, n->path.field) ? tm_describe_field(d, n->path.field)->name
                                                      : NULL;
}

/* Rows the query's conditions leave, or all of its object. */
static enum tm_code explain_count(struct rest_call *c, const struct tm_soql *q, bool all,
                                  int64_t *out, struct tm_soql_error *error, struct tm_err *err)
{
    struct tm_soql_item count = { .kind = TM_SOQL_COUNT };
    struct tm_soql plain = *q;
    struct tm_soql_result *result = NULL;
    plain.items = &count;
    plain.items_count = 1;
    plain.groups_count = plain.keys_count = 0;
    plain.limit = -1;
    plain.offset = 0;
    plain.has_having = false;
    plain.has_where = q->has_where && !all;
    enum tm_code rc =
        tm_soql_run(&result, c->rest->org, &plain, false, c->request->now.org_ms, error, err);
    if (rc == TM_OK)
        *out = tm_soql_result_total(result);
    tm_soql_result_close(result);
    return rc;
}

static json_t *explain_plan(const char *object, const char *lead, int64_t rows, int64_t all)
{
    json_t *fields = json_array(), *notes = json_array();
    double share = all > 0 ? (double)rows / (double)all : 0;
    if (lead != NULL)
        json_array_append_new(fields, json_string(lead));
    else
        json_array_append_new(notes,
                              json_pack("{s:s,s:[s],s:s}", "description",
                                        "Not considering filter for optimization because unindexed",
                                        "fields", "IsDeleted", "tableEnumOrId", object));
    return json_pack("{s:I,s:o,s:s,s:o,s:f,s:I,s:s}", "cardinality", (json_int_t)rows, "fields",
                     fields, "leadingOperationType", lead != NULL ? "Index" : "TableScan", "notes",
                     notes, "relativeCost", lead != NULL ? share : EXPLAIN_SCAN_COST + share,
                     "sobjectCardinality", (json_int_t)all, "sobjectType", object);
}

void rest_explain(struct rest_call *c, const char *text)
{
    struct tm_soql_error error = { 0 };
    struct tm_err err = { 0 };
    struct tm_soql *q = NULL;
    struct tm_soql_result *first = NULL;
    int64_t rows = 0, all = 0;
    enum tm_code rc = tm_soql_parse(&q, text, &error, &err);
    if (rc == TM_OK) /* what cannot be run cannot be explained */
        rc = tm_soql_begin(&first, c->rest->org, q, false, c->request->now.org_ms, 1, &error, &err);
    tm_soql_result_close(first);
    if (rc == TM_OK)
        rc = explain_count(c, q, false, &rows, &error, &err);
    if (rc == TM_OK)
        rc = explain_count(c, q, true, &all, &error, &err);
    if (rc == TM_E_ARG)
        tm_rest_error(c->out, 400, error.code, error.message);
    else if (rc != TM_OK)
        tm_rest_broken(c->out, rc, &err);
    if (rc == TM_OK) {
        const struct tm_describe *d = tm_org_describe(c->rest->org, q->object);
        const char *lead = q->has_where ? explain_lead(q, d, q->where) : NULL;
        json_t *plans = json_array();
        json_array_append_new(plans, explain_plan(d->object, lead, rows, all));
        if (lead != NULL) /* the way not taken */
            json_array_append_new(plans, explain_plan(d->object, NULL, rows, all));
        tm_rest_json(c->out, 200, json_pack("{s:o,s:s}", "plans", plans, "sourceQuery", text));
    }
    tm_soql_close(q);
}
