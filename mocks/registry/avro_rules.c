#include "mocks/registry/avro_rules.h"
#include <ctype.h>
#include <string.h>

#define RULES_DEPTH_MAX                                                                            \
    64 /* deeper than this both schemas are recursive: what was compared so far decides */
#define RULES_NAMED_MAX 256

/* Named types of one schema by unqualified name: the resolution rules compare those. */
struct named {
    const char *names[RULES_NAMED_MAX];
    const json_t *types[RULES_NAMED_MAX];
    size_t count;
};

static const char *rules_tail(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL ? dot + 1 : name;
}

static bool rules_no(struct tm_buf *why, const char *text, const char *name)
{
    if (why->bytes == 0)
        tm_buf_addf(why, "%s%s%s", text, name != NULL ? ": " : "", name != NULL ? name : "");
    return false;
}

/* Names the field the reason was found in. */
static bool rules_in_field(struct tm_buf *why, const char *field)
{
    tm_buf_addf(why, " (field %s)", field);
    return false;
}

static bool rules_primitive(const char *word)
{
    static const char *const words[] = { "null",  "boolean", "int",   "long",
                                         "float", "double",  "bytes", "string" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

static const json_t *rules_find(const struct named *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->names[i], rules_tail(name)) == 0)
            return n->types[i];
    return NULL;
}

/* The word of a type ("record", "int", …), following references; *out is where its parts stand.
 * NULL for a union. */
static const char *rules_word(const struct named *n, const json_t *type, const json_t **out)
{
    for (int hops = 0; hops < 8; hops++) {
        *out = type;
        if (json_is_string(type)) {
            const char *word = json_string_value(type);
            if (rules_primitive(word))
                return word;
            if ((type = rules_find(n, word)) == NULL)
                return word;
            continue;
        }
        if (!json_is_object(type))
            return NULL;
        const json_t *inner = json_object_get(type, "type");
        const char *word = json_string_value(inner);
        if (word != NULL &&
            (rules_primitive(word) || strcmp(word, "record") == 0 || strcmp(word, "enum") == 0 ||
             strcmp(word, "array") == 0 || strcmp(word, "map") == 0 || strcmp(word, "fixed") == 0))
            return word;
        type = inner;
    }
    return NULL;
}

/* ---- is it a schema ---- */

static bool rules_name(const json_t *type, struct named *n, struct tm_buf *why)
{
    const char *name = json_string_value(json_object_get(type, "name"));
    if (name == NULL || *rules_tail(name) == '\0')
        return rules_no(why, "a named type without a name", NULL);
    for (const char *p = rules_tail(name); *p != '\0'; p++)
        if (!(isalpha((unsigned char)*p) || *p == '_' ||
              (p > rules_tail(name) && isdigit((unsigned char)*p))))
            return rules_no(why, "illegal name", name);
    if (rules_find(n, name) != NULL)
        return rules_no(why, "type is defined twice", name);
    if (n->count == RULES_NAMED_MAX)
        return rules_no(why, "too many named types", NULL);
    n->names[n->count] = rules_tail(name);
    n->types[n->count++] = type;
    return true;
}

static bool rules_valid(const json_t *type, struct named *n, int depth, struct tm_buf *why);

static bool rules_valid_record(const json_t *type, struct named *n, int depth, struct tm_buf *why)
{
    const json_t *fields = json_object_get(type, "fields"), *field;
    size_t i;
    if (!json_is_array(fields))
        return rules_no(why, "a record without fields",
                        json_string_value(json_object_get(type, "name")));
    json_array_foreach(fields, i, field)
    {
        const char *name = json_string_value(json_object_get(field, "name"));
        if (name == NULL)
            return rules_no(why, "a field without a name", NULL);
        for (size_t k = 0; k < i; k++)
            if (strcmp(json_string_value(json_object_get(json_array_get(fields, k), "name")),
                       name) == 0)
                return rules_no(why, "duplicate field", name);
        if (!rules_valid(json_object_get(field, "type"), n, depth + 1, why))
            return rules_in_field(why, name);
    }
    return true;
}

static bool rules_valid_union(const json_t *type, struct named *n, int depth, struct tm_buf *why)
{
    const json_t *branch;
    size_t i;
    if (json_array_size(type) == 0)
        return rules_no(why, "an empty union", NULL);
    json_array_foreach(type, i, branch)
    {
        if (json_is_array(branch))
            return rules_no(why, "a union inside a union", NULL);
        for (size_t k = 0; k < i; k++)
            if (json_is_string(branch) && json_equal((json_t *)branch, json_array_get(type, k)))
                return rules_no(why, "a union with one type twice", json_string_value(branch));
        if (!rules_valid(branch, n, depth + 1, why))
            return false;
    }
    return true;
}

static bool rules_valid(const json_t *type, struct named *n, int depth, struct tm_buf *why)
{
    if (depth > RULES_DEPTH_MAX)
        return rules_no(why, "nested too deep", NULL);
    if (json_is_array(type))
        return rules_valid_union(type, n, depth, why);
    if (json_is_string(type)) {
        const char *word = json_string_value(type);
        return rules_primitive(word) || rules_find(n, word) != NULL ||
               rules_no(why, "no such type", word);
    }
    if (!json_is_object(type))
        return rules_no(why, "a type is neither text, object nor list", NULL);
    const json_t *inner = json_object_get(type, "type");
    const char *word = json_string_value(inner);
    if (word == NULL)
        return rules_valid(inner, n, depth + 1, why);
    if (strcmp(word, "array") == 0)
        return rules_valid(json_object_get(type, "items"), n, depth + 1, why);
    if (strcmp(word, "map") == 0)
        return rules_valid(json_object_get(type, "values"), n, depth + 1, why);
    if (strcmp(word, "record") == 0)
        return rules_name(type, n, why) && rules_valid_record(type, n, depth, why);
    if (strcmp(word, "enum") == 0)
        return rules_name(type, n, why) && (json_array_size(json_object_get(type, "symbols")) > 0 ||
                                            rules_no(why, "an enum without symbols", NULL));
    if (strcmp(word, "fixed") == 0)
        return rules_name(type, n, why) && (json_is_integer(json_object_get(type, "size")) ||
                                            rules_no(why, "a fixed without a size", NULL));
    return rules_valid(inner, n, depth + 1, why);
}

bool tm_mock_avro_valid(const json_t *schema, struct tm_buf *why)
{
    struct named n = { .count = 0 };
    return rules_valid(schema, &n, 0, why);
}

/* ---- can one read the other ---- */

struct pair {
    struct named reader, writer;
    struct tm_buf *why;
};

static bool rules_read(struct pair *p, const json_t *reader, const json_t *writer, int depth);

static const json_t *rules_field(const json_t *record, const json_t *like)
{
    const json_t *field, *alias;
    size_t i, k;
    const char *name = json_string_value(json_object_get(like, "name"));
    json_array_foreach(json_object_get(record, "fields"), i, field)
    {
        const char *other = json_string_value(json_object_get(field, "name"));
        if (strcmp(other, name) == 0)
            return field;
        json_array_foreach(json_object_get(like, "aliases"), k,
                           alias) if (json_is_string(alias) &&
                                      strcmp(other, json_string_value(alias)) == 0) return field;
    }
    return NULL;
}

static bool rules_same_name(const json_t *a, const json_t *b)
{
    return strcmp(rules_tail(json_string_value(json_object_get(a, "name"))),
                  rules_tail(json_string_value(json_object_get(b, "name")))) == 0;
}

static bool rules_read_record(struct pair *p, const json_t *reader, const json_t *writer, int depth)
{
    const json_t *field;
    size_t i;
    if (!rules_same_name(reader, writer))
        return rules_no(p->why, "the record has another name",
                        json_string_value(json_object_get(reader, "name")));
    json_array_foreach(json_object_get(reader, "fields"), i, field)
    {
        const char *name = json_string_value(json_object_get(field, "name"));
        const json_t *old = rules_field(writer, field);
        if (old == NULL) {
            if (json_object_get(field, "default") == NULL)
                return rules_no(p->why, "READER_FIELD_MISSING_DEFAULT_VALUE", name);
        } else if (!rules_read(p, json_object_get(field, "type"), json_object_get(old, "type"),
                               depth + 1)) {
            return rules_in_field(p->why, name);
        }
    }
    return true;
}

static bool rules_read_enum(struct pair *p, const json_t *reader, const json_t *writer)
{
    const json_t *symbol, *mine;
    size_t i, k;
    if (!rules_same_name(reader, writer))
        return rules_no(p->why, "the enum has another name",
                        json_string_value(json_object_get(reader, "name")));
    if (json_object_get(reader, "default") != NULL)
        return true;
    json_array_foreach(json_object_get(writer, "symbols"), i, symbol)
    {
        bool found = false;
        json_array_foreach(json_object_get(reader, "symbols"), k, mine) found =
            found || json_equal((json_t *)mine, (json_t *)symbol);
        if (!found)
            return rules_no(p->why, "MISSING_ENUM_SYMBOLS", json_string_value(symbol));
    }
    return true;
}

static bool rules_promotes(const char *from, const char *to)
{
    static const char *const allowed[][2] = { { "int", "long" },     { "int", "float" },
                                              { "int", "double" },   { "long", "float" },
                                              { "long", "double" },  { "float", "double" },
                                              { "string", "bytes" }, { "bytes", "string" } };
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (strcmp(from, allowed[i][0]) == 0 && strcmp(to, allowed[i][1]) == 0)
            return true;
    return false;
}

static bool rules_read(struct pair *p, const json_t *reader, const json_t *writer, int depth)
{
    const json_t *branch, *r, *w;
    size_t i;
    if (depth > RULES_DEPTH_MAX)
        return true;
    if (json_is_array(writer)) {
        json_array_foreach(writer, i,
                           branch) if (!rules_read(p, reader, branch, depth + 1)) return false;
        return true;
    }
    if (json_is_array(reader)) {
        struct tm_buf unused;
        bool any = false;
        tm_buf_init(&unused, 4096);
        struct pair quiet = { p->reader, p->writer, &unused };
        json_array_foreach(reader, i, branch) any =
            any || rules_read(&quiet, branch, writer, depth + 1);
        tm_buf_free(&unused);
        return any || rules_no(p->why, "MISSING_UNION_BRANCH", json_string_value(writer));
    }
    const char *to = rules_word(&p->reader, reader, &r), *from = rules_word(&p->writer, writer, &w);
    if (to == NULL || from == NULL)
        return rules_no(p->why, "TYPE_MISMATCH", NULL);
    if (strcmp(to, from) != 0)
        return rules_promotes(from, to) || rules_no(p->why, "TYPE_MISMATCH", from);
    if (strcmp(to, "record") == 0)
        return rules_read_record(p, r, w, depth);
    if (strcmp(to, "enum") == 0)
        return rules_read_enum(p, r, w);
    if (strcmp(to, "array") == 0)
        return rules_read(p, json_object_get(r, "items"), json_object_get(w, "items"), depth + 1);
    if (strcmp(to, "map") == 0)
        return rules_read(p, json_object_get(r, "values"), json_object_get(w, "values"), depth + 1);
    if (strcmp(to, "fixed") == 0)
        return (rules_same_name(r, w) &&
                json_equal(json_object_get(r, "size"), json_object_get(w, "size"))) ||
               rules_no(p->why, "FIXED_SIZE_MISMATCH", NULL);
    return true;
}

bool tm_mock_avro_can_read(const json_t *reader, const json_t *writer, struct tm_buf *why)
{
    struct pair p = { .why = why };
    return rules_valid(reader, &p.reader, 0, why) && rules_valid(writer, &p.writer, 0, why) &&
           rules_read(&p, reader, writer, 0);
}
