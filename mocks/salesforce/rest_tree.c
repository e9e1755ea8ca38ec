/* rest_tree: composite/tree/X: records with the records that hang on them, created together or not
 * at all. Facts: REST API Developer Guide, "sObject Tree", read 2026-11-30: up to 200 records, 5
 * levels and 5 objects; every record has a referenceId of its own; results only of those that are
 * wrong when one is. Assumed here: each level of the tree is a transaction of its own to
 * subscribers, in one of the org's. */
#include "mocks/salesforce/rest_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TREE_LEVELS_MAX 5
#define TREE_OBJECTS_MAX 5

struct tree_node {
    json_t *fields;
    const char *reference; /* lent by the body; "" = none was given */
    const struct tm_describe *object;
    const char *parent_field; /* that holds nodes[parent]'s Id; NULL on level 0 */
    size_t parent, level;
};
struct tree {
    struct rest_call *call;
    struct tree_node nodes[REST_RECORDS_MAX];
    struct tm_record records[REST_RECORDS_MAX]; /* the same order: parents before children */
    size_t count, levels;
    const char *why; /* what is wrong with the request as a whole; NULL */
};

static const char *tree_text(const json_t *record, const char *key)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(record, "attributes"), key));
    return text != NULL ? text : "";
}

/* The relationship of this name: its object and the field that holds the parent's Id. */
static const struct tm_describe *tree_relation(struct tree *t, const struct tm_describe *d,
                                               const char *name, const char **out_field)
{
    size_t i;
    json_t *relation;
    json_array_foreach(json_object_get(d->json, "childRelationships"), i, relation)
    {
        const char *known = json_string_value(json_object_get(relation, "relationshipName"));
        const char *child = json_string_value(json_object_get(relation, "childSObject"));
        *out_field = json_string_value(json_object_get(relation, "field"));
        if (known != NULL && child != NULL && *out_field != NULL && strcasecmp(known, name) == 0)
            return tm_org_describe(t->call->rest->org, child);
    }
    return NULL;
}

static void tree_take(struct tree *t, const json_t *record, const struct tm_describe *object,
                      const char *parent_field, size_t parent, size_t level);

/* {"records": […]} under the name of a relationship. */
static void tree_children(struct tree *t, size_t at, const char *name, const json_t *list)
{
    const char *field = NULL;
    const struct tm_describe *child = tree_relation(t, t->nodes[at].object, name, &field);
    size_t i;
    json_t *record;
    if (child == NULL) {
        tm_record_refuse(&t->records[at], "INVALID_FIELD", name,
                         "No such relation '%.80s' on sobject of type %s", name,
                         t->nodes[at].object->object);
        return;
    }
    json_array_foreach(list, i, record)
        tree_take(t, record, child, field, at, t->nodes[at].level + 1);
}

static void tree_take(struct tree *t, const json_t *record, const struct tm_describe *object,
                      const char *parent_field, size_t parent, size_t level)
{
    const char *key;
    json_t *value;
    if (t->count == REST_RECORDS_MAX)
        t->why = "A request holds at most 200 records";
    if (level == TREE_LEVELS_MAX)
        t->why = "Records are nested at most five levels deep";
    if (t->why != NULL)
        return;
    size_t at = t->count++;
    struct tree_node *n = &t->nodes[at];
    struct tm_record *r = &t->records[at];
    *n = (struct tree_node){ json_object(), tree_text(record, "referenceId"),
                             object,        parent_field,
                             parent,        level };
    *r = (struct tm_record){ .kind = TM_ORG_CREATE, .object = object->object, .fields = n->fields };
    t->levels = level + 1 > t->levels ? level + 1 : t->levels;
    if (strcasecmp(tree_text(record, "type"), object->object) != 0)
        tm_record_refuse(r, "INVALID_INPUT", "", "attributes.type must be %s here", object->object);
    for (size_t i = 0; i < at; i++)
        if (strcmp(t->nodes[i].reference, n->reference) == 0)
            tm_record_refuse(r, "INVALID_INPUT", "",
                             "Duplicate ReferenceId provided in the request.");
    if (*n->reference == '\0')
        tm_record_refuse(r, "INVALID_INPUT", "",
                         "Include a reference ID for each record in the "
                         "request.");
    json_object_foreach((json_t *)(uintptr_t)record, key, value)
    {
        const json_t *list = json_object_get(value, "records");
        if (json_is_array(list))
            tree_children(t, at, key, list);
        else if (strcmp(key, "attributes") != 0)
            json_object_set(n->fields, key, value);
    }
}

static bool tree_refused(const struct tree *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->records[i].code[0] != '\0')
            return true;
    return false;
}

static void tree_objects(struct tree *t)
{
    const struct tm_describe *seen[TREE_OBJECTS_MAX + 1];
    size_t count = 0;
    for (size_t i = 0; i < t->count && count <= TREE_OBJECTS_MAX; i++) {
        size_t k = 0;
        while (k < count && seen[k] != t->nodes[i].object)
            k++;
        if (k == count)
            seen[count++] = t->nodes[i].object;
    }
    if (count > TREE_OBJECTS_MAX)
        t->why = "A request holds records of at most five objects";
}

/* One level: the parents have their Ids. */
static enum tm_code tree_level(struct tree *t, size_t level, struct tm_err *err)
{
    char origin[128];
    struct tm_record_who who = { &t->call->request->now, NULL,
                                 rest_origin(t->call, origin, sizeof origin) };
    struct tm_record *records = calloc(t->count, sizeof *records);
    size_t count = 0;
    enum tm_code rc = TM_OK;
    if (records == NULL)
        return tm_fail(err, TM_E_NOMEM, "%zu records", t->count);
    for (size_t i = 0; i < t->count; i++) {
        const struct tree_node *n = &t->nodes[i];
        if (n->level != level)
            continue;
        if (n->parent_field != NULL)
            json_object_set_new(n->fields, n->parent_field, json_string(t->records[n->parent].id));
        records[count++] = t->records[i];
    }
    rc = tm_record_write(t->call->rest->org, records, count, true, &who, err);
    for (size_t i = 0, k = 0; i < t->count; i++)
        if (t->nodes[i].level == level)
            t->records[i] = records[k++];
    free(records);
    return rc;
}

static enum tm_code tree_write(struct tree *t, struct tm_err *err)
{
    struct tm_org *org = t->call->rest->org;
    enum tm_code rc = tm_org_begin(org, err);
    if (rc != TM_OK)
        return rc;
    for (size_t level = 0; level < t->levels && rc == TM_OK && !tree_refused(t); level++)
        rc = tree_level(t, level, err);
    if (rc != TM_OK)
        return rc; /* the org has rolled back */
    return tree_refused(t) ? tm_org_cancel(org, err) : tm_org_end(org, err);
}

static void tree_answer(struct tree *t)
{
    bool refused = tree_refused(t);
    json_t *results = json_array();
    for (size_t i = 0; i < t->count; i++) {
        const struct tm_record *r = &t->records[i];
        bool back = strcmp(r->code, "ALL_OR_NONE_OPERATION_ROLLED_BACK") == 0;
        if (!refused)
            json_array_append_new(
                results, json_pack("{s:s,s:s}", "referenceId", t->nodes[i].reference, "id", r->id));
        else if (r->code[0] != '\0' && !back)
            json_array_append_new(results,
                                  json_pack("{s:s,s:o}", "referenceId", t->nodes[i].reference,
                                            "errors", rest_reasons(r, "statusCode")));
    }
    tm_rest_json(t->call->out, refused ? 400 : 201,
                 json_pack("{s:b,s:o}", "hasErrors", refused, "results", results));
}

void rest_tree(struct rest_call *c, const struct tm_describe *d)
{
    json_t *body = rest_body(c), *list = json_object_get(body, "records"), *record;
    struct tree *t = calloc(1, sizeof *t);
    struct tm_err err = { 0 };
    size_t i;
    enum tm_code rc = TM_OK;
    c->kind = "write";
    if (body == NULL)
        goto done;
    if (t == NULL) {
        tm_rest_error(c->out, 503, "SERVER_UNAVAILABLE", "out of memory");
        goto done;
    }
    t->call = c;
    json_array_foreach(list, i, record) tree_take(t, record, d, NULL, 0, 0);
    tree_objects(t);
    if (t->count == 0)
        t->why = "no records: a call takes 1 to 200";
    if (t->why == NULL && !tree_refused(t))
        rc = tree_write(t, &err);
    if (t->why != NULL)
        tm_rest_error(c->out, 400, "INVALID_INPUT", t->why);
    else if (rc != TM_OK)
        tm_rest_broken(c->out, rc, &err);
    else
        tree_answer(t);
done:
    for (i = 0; t != NULL && i < t->count; i++)
        json_decref(t->nodes[i].fields);
    free(t);
    json_decref(body);
}
