#include "event/avro_node.h"
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void avro_node_free(struct avro_node *n)
{
    for (size_t i = 0; i < n->children_count; i++)
        avro_node_free(&n->children[i]);
    free(n->children);
    free(n->name);
}

void tm_avro_schema_close(struct tm_avro_schema *s)
{
    if (s == NULL)
        return;
    avro_node_free(&s->root);
    free(s->fields);
    free(s->text);
    free(s);
}

static const char *avro_name(const struct avro_node *n)
{
    return n->name ? n->name : "item";
}

static enum tm_code avro_primitive(struct avro_node *n, const char *word, const char *logical,
                                   struct tm_err *err)
{
    static const struct {
        const char *word, *logical;
        enum tm_avro_type type;
    } known[] = {
        { "int", "date", TM_AVRO_DATE },    { "long", "timestamp-millis", TM_AVRO_TIMESTAMP },
        { "string", NULL, TM_AVRO_STRING }, { "boolean", NULL, TM_AVRO_BOOLEAN },
        { "int", NULL, TM_AVRO_INT },       { "long", NULL, TM_AVRO_LONG },
        { "double", NULL, TM_AVRO_DOUBLE },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(word, known[i].word) != 0)
            continue;
        if (known[i].logical == NULL ||
            (logical != NULL && strcmp(logical, known[i].logical) == 0)) {
            n->type = known[i].type;
            return TM_OK;
        }
    }
    return tm_fail(err, TM_E_PROTO,
                   "field %s has the type \"%.60s\", which is not one that topics here use",
                   avro_name(n), word);
}

static enum tm_code avro_type(struct avro_node *n, const json_t *type, int depth,
                              struct tm_err *err);

static enum tm_code avro_record(struct avro_node *n, const json_t *type, int depth,
                                struct tm_err *err)
{
    const json_t *fields = json_object_get(type, "fields");
    size_t count = json_array_size(fields);
    if (count == 0 || count > AVRO_FIELDS_MAX)
        return tm_fail(err, TM_E_PROTO, "record %s has %zu fields; 1 to %d are possible",
                       avro_name(n), count, AVRO_FIELDS_MAX);
    n->type = TM_AVRO_RECORD;
    n->children = calloc(count, sizeof *n->children);
    if (n->children == NULL)
        return tm_fail(err, TM_E_NOMEM, "schema of %zu fields", count);
    for (size_t i = 0; i < count; i++) {
        const json_t *field = json_array_get(fields, i);
        const char *name = json_string_value(json_object_get(field, "name"));
        struct avro_node *child = &n->children[n->children_count++];
        if (name == NULL || *name == '\0')
            return tm_fail(err, TM_E_PROTO, "field %zu of record %s has no name", i, avro_name(n));
        for (size_t k = 0; k < i; k++)
            if (strcmp(n->children[k].name, name) == 0)
                return tm_fail(err, TM_E_PROTO, "record %s has the field %.60s twice", avro_name(n),
                               name);
        if ((child->name = strdup(name)) == NULL)
            return tm_fail(err, TM_E_NOMEM, "schema field name");
        enum tm_code rc = avro_type(child, json_object_get(field, "type"), depth, err);
        if (rc != TM_OK)
            return rc;
    }
    return TM_OK;
}

static enum tm_code avro_array(struct avro_node *n, const json_t *type, int depth,
                               struct tm_err *err)
{
    n->type = TM_AVRO_ARRAY;
    if ((n->children = calloc(1, sizeof *n->children)) == NULL)
        return tm_fail(err, TM_E_NOMEM, "schema of an array");
    n->children_count = 1;
    return avro_type(&n->children[0], json_object_get(type, "items"), depth, err);
}

static enum tm_code avro_union(struct avro_node *n, const json_t *type, int depth,
                               struct tm_err *err)
{
    int null_branch = -1;
    for (size_t i = 0; i < json_array_size(type); i++) {
        const char *word = json_string_value(json_array_get(type, i));
        if (word != NULL && strcmp(word, "null") == 0)
            null_branch = (int)i;
    }
    if (json_array_size(type) != 2 || null_branch < 0 || n->nullable)
        return tm_fail(err, TM_E_PROTO, "field %s is a union other than of null and one type",
                       avro_name(n));
    n->nullable = true;
    n->null_branch = (uint8_t)null_branch;
    const json_t *other = json_array_get(type, (size_t)(1 - null_branch));
    if (json_is_array(other))
        return tm_fail(err, TM_E_PROTO, "field %s is a union inside a union", avro_name(n));
    return avro_type(n, other, depth, err);
}

static enum tm_code avro_type(struct avro_node *n, const json_t *type, int depth,
                              struct tm_err *err)
{
    if (depth >= AVRO_DEPTH_MAX)
        return tm_fail(err, TM_E_LIMIT, "schema is nested deeper than %d at field %s",
                       AVRO_DEPTH_MAX, avro_name(n));
    if (json_is_string(type))
        return avro_primitive(n, json_string_value(type), NULL, err);
    if (json_is_array(type))
        return avro_union(n, type, depth + 1, err);
    const json_t *inner = json_object_get(type, "type");
    const char *word = json_string_value(inner);
    if (word == NULL)
        return inner != NULL ? avro_type(n, inner, depth + 1, err)
                             : tm_fail(err, TM_E_PROTO, "field %s has no type", avro_name(n));
    if (strcmp(word, "record") == 0)
        return avro_record(n, type, depth + 1, err);
    if (strcmp(word, "array") == 0)
        return avro_array(n, type, depth + 1, err);
    return avro_primitive(n, word, json_string_value(json_object_get(type, "logicalType")), err);
}

static enum tm_code avro_fields(struct tm_avro_schema *s, struct tm_err *err)
{
    s->fields = calloc(s->root.children_count, sizeof *s->fields);
    if (s->fields == NULL)
        return tm_fail(err, TM_E_NOMEM, "schema fields");
    for (size_t i = 0; i < s->root.children_count; i++) {
        const struct avro_node *n = &s->root.children[i];
        s->fields[i] =
            (struct tm_avro_field){ .name = n->name, .type = n->type, .nullable = n->nullable };
    }
    return TM_OK;
}

enum tm_code tm_avro_schema_parse(struct tm_avro_schema **out, const char *json, size_t json_bytes,
                                  struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    json_error_t where;
    json_t *root = NULL;
    struct tm_avro_schema *s = NULL;
    *out = NULL;
    if (json_bytes > AVRO_SCHEMA_BYTES_MAX)
        return tm_fail(err, TM_E_LIMIT, "schema of %zu bytes; at most %u are read", json_bytes,
                       AVRO_SCHEMA_BYTES_MAX);
    root = json_loadb(json, json_bytes, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL) {
        rc = tm_fail(err, TM_E_PROTO, "schema is not JSON: %s at byte %d", where.text,
                     where.position);
        goto done;
    }
    const char *word = json_string_value(json_object_get(root, "type"));
    if (word == NULL || strcmp(word, "record") != 0) {
        rc = tm_fail(err, TM_E_PROTO, "schema is not a record");
        goto done;
    }
    if ((s = calloc(1, sizeof *s)) == NULL || (s->text = strndup(json, json_bytes)) == NULL) {
        rc = tm_fail(err, TM_E_NOMEM, "schema of %zu bytes", json_bytes);
        goto done;
    }
    if ((rc = avro_record(&s->root, root, 0, err)) != TM_OK || (rc = avro_fields(s, err)) != TM_OK)
        goto done;
    *out = s;
    s = NULL;
done:
    json_decref(root);
    tm_avro_schema_close(s);
    return rc;
}

const char *tm_avro_schema_text(const struct tm_avro_schema *s)
{
    return s->text;
}

size_t tm_avro_schema_fields(const struct tm_avro_schema *s, const struct tm_avro_field **out)
{
    *out = s->fields;
    return s->root.children_count;
}

enum tm_code tm_avro_frame_id(int32_t *out_id, const void *bytes, size_t bytes_count,
                              struct tm_err *err)
{
    const uint8_t *p = bytes;
    if (bytes_count < TM_AVRO_FRAME_BYTES)
        return tm_fail(err, TM_E_PROTO, "value of %zu bytes is too short for registry framing",
                       bytes_count);
    if (p[0] != 0)
        return tm_fail(err, TM_E_PROTO,
                       "value begins with byte 0x%02x, not with registry framing (0x00)", p[0]);
    uint32_t id = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
    if (id > INT32_MAX)
        return tm_fail(err, TM_E_PROTO, "schema id %u is out of range", id);
    *out_id = (int32_t)id;
    return TM_OK;
}
