#include "event/avro_node.h"
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void schema_node_free(struct avro_node *n)
{
    for (size_t i = 0; i < n->children_count; i++)
        schema_node_free(&n->children[i]);
    free(n->children);
    free(n->name);
    free(n->lead);
}

void tm_avro_schema_close(struct tm_avro_schema *s)
{
    if (s == NULL || --s->users > 0)
        return;
    if (s->root != NULL)
        schema_node_free(s->root);
    free(s->root);
    if (s->record.iface != NULL)
        avro_value_decref(&s->record);
    if (s->class != NULL)
        avro_value_iface_decref(s->class);
    if (s->schema != NULL)
        avro_schema_decref(s->schema);
    if (s->reader != NULL)
        avro_reader_free(s->reader);
    if (s->writer != NULL)
        avro_writer_free(s->writer);
    if (s->lent != NULL)
        tm_buf_free(s->lent);
    free(s->lent);
    free(s->fields);
    free(s->text);
    free(s);
}

static const char *schema_name(const struct avro_node *n)
{
    return n->name ? n->name : "item";
}

static enum tm_code schema_primitive(struct avro_node *n, const char *word, const char *logical,
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
                   schema_name(n), word);
}

static enum tm_code schema_type(struct avro_node *n, const json_t *type, int depth,
                                struct tm_err *err);

static enum tm_code schema_record(struct avro_node *n, const json_t *type, int depth,
                                  struct tm_err *err)
{
    const json_t *fields = json_object_get(type, "fields");
    size_t count = json_array_size(fields);
    if (count == 0 || count > AVRO_FIELDS_MAX)
        return tm_fail(err, TM_E_PROTO, "record %s has %zu fields; 1 to %d are possible",
                       schema_name(n), count, AVRO_FIELDS_MAX);
    n->type = TM_AVRO_RECORD;
    n->children = calloc(count, sizeof *n->children);
    if (n->children == NULL)
        return tm_fail(err, TM_E_NOMEM, "schema of %zu fields", count);
    for (size_t i = 0; i < count; i++) {
        const json_t *field = json_array_get(fields, i);
        const char *name = json_string_value(json_object_get(field, "name"));
        struct avro_node *child = &n->children[n->children_count++];
        if (name == NULL || *name == '\0')
            return tm_fail(err, TM_E_PROTO, "field %zu of record %s has no name", i,
                           schema_name(n));
        for (size_t k = 0; k < i; k++)
            if (strcmp(n->children[k].name, name) == 0)
                return tm_fail(err, TM_E_PROTO, "record %s has the field %.60s twice",
                               schema_name(n), name);
        if ((child->name = strdup(name)) == NULL)
            return tm_fail(err, TM_E_NOMEM, "schema field name");
        enum tm_code rc = schema_type(child, json_object_get(field, "type"), depth, err);
        if (rc != TM_OK)
            return rc;
    }
    return TM_OK;
}

static enum tm_code schema_array(struct avro_node *n, const json_t *type, int depth,
                                 struct tm_err *err)
{
    n->type = TM_AVRO_ARRAY;
    if ((n->children = calloc(1, sizeof *n->children)) == NULL)
        return tm_fail(err, TM_E_NOMEM, "schema of an array");
    n->children_count = 1;
    return schema_type(&n->children[0], json_object_get(type, "items"), depth, err);
}

static enum tm_code schema_union(struct avro_node *n, const json_t *type, int depth,
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
                       schema_name(n));
    n->nullable = true;
    n->null_branch = (uint8_t)null_branch;
    const json_t *other = json_array_get(type, (size_t)(1 - null_branch));
    if (json_is_array(other))
        return tm_fail(err, TM_E_PROTO, "field %s is a union inside a union", schema_name(n));
    return schema_type(n, other, depth, err);
}

static enum tm_code schema_type(struct avro_node *n, const json_t *type, int depth,
                                struct tm_err *err)
{
    if (depth >= AVRO_DEPTH_MAX)
        return tm_fail(err, TM_E_LIMIT, "schema is nested deeper than %d at field %s",
                       AVRO_DEPTH_MAX, schema_name(n));
    if (json_is_string(type))
        return schema_primitive(n, json_string_value(type), NULL, err);
    if (json_is_array(type))
        return schema_union(n, type, depth + 1, err);
    const json_t *inner = json_object_get(type, "type");
    const char *word = json_string_value(inner);
    if (word == NULL)
        return inner != NULL ? schema_type(n, inner, depth + 1, err)
                             : tm_fail(err, TM_E_PROTO, "field %s has no type", schema_name(n));
    if (strcmp(word, "record") == 0)
        return schema_record(n, type, depth + 1, err);
    if (strcmp(word, "array") == 0)
        return schema_array(n, type, depth + 1, err);
    return schema_primitive(n, word, json_string_value(json_object_get(type, "logicalType")), err);
}

static enum tm_code schema_fields(struct tm_avro_schema *s, struct tm_err *err)
{
    s->fields = calloc(s->root->children_count, sizeof *s->fields);
    if (s->fields == NULL)
        return tm_fail(err, TM_E_NOMEM, "schema fields");
    for (size_t i = 0; i < s->root->children_count; i++) {
        const struct avro_node *n = &s->root->children[i];
        s->fields[i] =
            (struct tm_avro_field){ .name = n->name, .type = n->type, .nullable = n->nullable };
    }
    return TM_OK;
}

/* ---- libavro's side of it. Its own JSON reader is not asked: it loses memory on what it refuses,
 * and names of records, which it must have, do not travel. ---- */

static avro_schema_t schema_library(const struct avro_node *n, struct tm_err *err);

static bool schema_library_fill(avro_schema_t record, const struct avro_node *n, struct tm_err *err)
{
    for (size_t i = 0; i < n->children_count; i++) {
        avro_schema_t child = schema_library(&n->children[i], err);
        int failed =
            child == NULL || avro_schema_record_field_append(record, n->children[i].name, child);
        if (child != NULL)
            avro_schema_decref(child);
        if (failed) {
            tm_fail(err, TM_E_PROTO, "field %s: %s", n->children[i].name, avro_strerror());
            return false;
        }
    }
    return true;
}

static avro_schema_t schema_library_type(const struct avro_node *n, struct tm_err *err)
{
    avro_schema_t made = NULL, item;
    switch (n->type) {
    case TM_AVRO_STRING: return avro_schema_string();
    case TM_AVRO_BOOLEAN: return avro_schema_boolean();
    case TM_AVRO_INT:
    case TM_AVRO_DATE: return avro_schema_int();
    case TM_AVRO_LONG:
    case TM_AVRO_TIMESTAMP: return avro_schema_long();
    case TM_AVRO_DOUBLE: return avro_schema_double();
    case TM_AVRO_ARRAY:
        if ((item = schema_library(&n->children[0], err)) != NULL) {
            made = avro_schema_array(item);
            avro_schema_decref(item);
        }
        return made;
    case TM_AVRO_RECORD:
        made = avro_schema_record("record", NULL);
        if (made != NULL && !schema_library_fill(made, n, err)) {
            avro_schema_decref(made);
            made = NULL;
        }
        return made;
    }
    assert(0 && "a type of enum tm_avro_type");
    return NULL;
}

/* NULL: refused, or no memory. */
static avro_schema_t schema_library(const struct avro_node *n, struct tm_err *err)
{
    avro_schema_t type = schema_library_type(n, err), both, null;
    if (type == NULL || !n->nullable)
        return type;
    both = avro_schema_union();
    null = avro_schema_null();
    if (both != NULL && (avro_schema_union_append(both, n->null_branch == 0 ? null : type) != 0 ||
                         avro_schema_union_append(both, n->null_branch == 0 ? type : null) != 0)) {
        avro_schema_decref(both);
        both = NULL;
    }
    avro_schema_decref(null);
    avro_schema_decref(type);
    return both;
}

static enum tm_code schema_open_library(struct tm_avro_schema *s, struct tm_err *err)
{
    if ((s->schema = schema_library(s->root, err)) == NULL) {
        tm_fail(err, TM_E_NOMEM, "schema: %s", avro_strerror()); /* the first refusal stays */
        return err != NULL ? err->code : TM_E_PROTO;
    }
    s->class = avro_generic_class_from_schema(s->schema);
    s->writer = avro_writer_memory("", 0);
    if (s->class == NULL || s->writer == NULL || avro_generic_value_new(s->class, &s->record) != 0)
        return tm_fail(err, TM_E_NOMEM, "schema: %s", avro_strerror());
    return tm_avro_reading_bind(s, err);
}

/* ---- schemas that are kept ---- */

static _Thread_local struct {
    bool on;
    struct tm_avro_schema *all[TM_AVRO_KEPT_MAX];
    size_t next; /* to be replaced */
} schemas;

/* At exit, of the thread that ends the program: libavro holds part of a record by a pointer into
 * it, which a search for leaks does not take for one. */
static void schemas_give_back(void)
{
    for (size_t i = 0; i < TM_AVRO_KEPT_MAX; i++) {
        tm_avro_schema_close(schemas.all[i]);
        schemas.all[i] = NULL;
    }
}

void tm_avro_schemas_keep(void)
{
    if (!schemas.on)
        atexit(schemas_give_back);
    schemas.on = true;
}

static struct tm_avro_schema *schema_kept_find(const char *json, size_t json_bytes)
{
    for (size_t i = 0; schemas.on && i < TM_AVRO_KEPT_MAX; i++) {
        struct tm_avro_schema *s = schemas.all[i];
        if (s == NULL || strlen(s->text) != json_bytes || memcmp(s->text, json, json_bytes) != 0)
            continue;
        s->users++;
        return s;
    }
    return NULL;
}

static void schema_keep(struct tm_avro_schema *s)
{
    if (!schemas.on)
        return;
    tm_avro_schema_close(schemas.all[schemas.next]);
    schemas.all[schemas.next] = s;
    schemas.next = (schemas.next + 1) % TM_AVRO_KEPT_MAX;
    s->users++;
}

static struct tm_avro_schema *schema_alloc(void)
{
    struct tm_avro_schema *s = calloc(1, sizeof *s);
    if (s != NULL)
        s->users = 1;
    return s;
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
    if ((*out = schema_kept_find(json, json_bytes)) != NULL)
        return TM_OK;
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
    if ((s = schema_alloc()) == NULL || (s->text = strndup(json, json_bytes)) == NULL ||
        (s->root = calloc(1, sizeof *s->root)) == NULL) {
        rc = tm_fail(err, TM_E_NOMEM, "schema of %zu bytes", json_bytes);
        goto done;
    }
    if ((rc = schema_record(s->root, root, 0, err)) != TM_OK ||
        (rc = schema_fields(s, err)) != TM_OK || (rc = schema_open_library(s, err)) != TM_OK)
        goto done;
    schema_keep(s);
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
    return s->root->children_count;
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
