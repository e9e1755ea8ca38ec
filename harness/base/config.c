#include "base/config.h"
#include "base/buf.h"
#include "base/text.h"
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define CONFIG_VALUE_BYTES_MAX (256u << 10) /* one expanded value */
#define CONFIG_LIST_ITEMS_MAX 1000          /* items of one list */
#define CONFIG_KEYS_MAX 256                 /* known keys of one config */

struct config_value {
    bool given;
    char *text;     /* TEXT and LIST: expanded */
    int64_t number; /* INT, BOOL */
    char **items;   /* LIST */
    size_t items_count;
    json_t *json; /* JSON */
};
struct tm_config {
    const struct tm_key *keys; /* borrowed */
    size_t keys_count;
    struct config_value *values;
    char *name;
};

static char *config_dup(const char *text, size_t bytes)
{
    char *copy = malloc(bytes + 1);
    if (copy != NULL) {
        memcpy(copy, text, bytes);
        copy[bytes] = '\0';
    }
    return copy;
}

/* ---- files ---- */

enum tm_code tm_json_load(json_t **out, const char *path, struct tm_err *err)
{
    json_error_t e;
    struct stat st;
    if (stat(path, &st) != 0)
        return tm_fail(err, TM_E_ARG, "cannot read %s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return tm_fail(err, TM_E_ARG, "cannot read %s: it is a folder", path);
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
    if (json != NULL) {
        *out = json;
        return TM_OK;
    }
    if (json_error_code(&e) == json_error_out_of_memory)
        return tm_fail(err, TM_E_NOMEM, "%s: out of memory", path);
    if (e.line < 0)
        return tm_fail(err, TM_E_ARG, "cannot read %s: %s", path, strerror(errno));
    char *near = strstr(e.text, " near "); /* the text that follows may be a secret */
    if (near != NULL)
        *near = '\0';
    return tm_fail(err, TM_E_ARG, "%s:%d:%d: not valid JSON: %s", path, e.line, e.column, e.text);
}

static enum tm_code config_read_file(struct tm_buf *out, const char *path, struct tm_err *err)
{
    char chunk[4096];
    size_t n;
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return tm_fail(err, TM_E_ARG, "${file:%s}: %s", path, strerror(errno));
    size_t before = out->bytes;
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0 && out->failed == TM_OK)
        tm_buf_add(out, chunk, n);
    bool bad = ferror(f) != 0;
    fclose(f);
    if (bad)
        return tm_fail(err, TM_E_ARG, "${file:%s}: cannot be read", path);
    while (out->bytes > before &&
           (out->data[out->bytes - 1] == '\n' || out->data[out->bytes - 1] == '\r'))
        out->data[--out->bytes] = '\0'; /* editors end files with a newline; secrets have none */
    return TM_OK;
}

/* `what` is the inside of ${…}: replaced when it is env: or file:, copied as it is otherwise (topic
 * templates). */
static enum tm_code config_replace(struct tm_buf *out, const char *what, struct tm_err *err)
{
    if (strncmp(what, "env:", 4) == 0) {
        const char *value = getenv(what + 4);
        if (value == NULL)
            return tm_fail(err, TM_E_ARG, "environment variable %s is not set", what + 4);
        tm_buf_addz(out, value);
        return TM_OK;
    }
    if (strncmp(what, "file:", 5) == 0)
        return config_read_file(out, what + 5, err);
    tm_buf_addf(out, "${%s}", what);
    return TM_OK;
}

enum tm_code tm_config_expand(char **out, const char *text, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    struct tm_buf b;
    tm_buf_init(&b, CONFIG_VALUE_BYTES_MAX);
    while (*text != '\0' && rc == TM_OK) {
        const char *open = strstr(text, "${"), *end = open != NULL ? strchr(open, '}') : NULL;
        if (end == NULL) {
            tm_buf_addz(&b, text);
            break;
        }
        tm_buf_add(&b, text, (size_t)(open - text));
        char *what = config_dup(open + 2, (size_t)(end - open - 2));
        rc = what == NULL ? tm_fail(err, TM_E_NOMEM, "expanding a value")
                          : config_replace(&b, what, err);
        free(what);
        text = end + 1;
    }
    if (rc == TM_OK)
        rc = tm_buf_check(&b, "value after expansion", err);
    if (rc == TM_OK && (*out = config_dup(tm_buf_text(&b), b.bytes)) == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "expanding a value");
    tm_buf_free(&b);
    return rc;
}

/* ---- one value ---- */

static const char *config_type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "text";
    case JSON_INTEGER: return "a whole number";
    case JSON_REAL: return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE: return "true or false";
    default: return "null";
    }
}

static enum tm_code config_mistyped(const struct tm_key *key, const json_t *v, const char *want,
                                    struct tm_err *err)
{
    if (json_is_string(v) && !(key->flags & TM_KEY_SECRET))
        return tm_fail(err, TM_E_ARG, "must be %s, not \"%.60s\"", want, json_string_value(v));
    return tm_fail(err, TM_E_ARG, "must be %s, not %s", want, config_type_name(v));
}

/* A scalar as text, expanded; caller frees. */
static enum tm_code config_scalar(char **out, const struct tm_key *key, const json_t *v,
                                  const char *want, struct tm_err *err)
{
    char number[64];
    if (json_is_string(v))
        return tm_config_expand(out, json_string_value(v), err);
    if (json_is_integer(v))
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v))
        snprintf(number, sizeof number, "%.17g", json_real_value(v));
    else if (json_is_boolean(v))
        snprintf(number, sizeof number, "%s", json_is_true(v) ? "true" : "false");
    else
        return config_mistyped(key, v, want, err);
    *out = config_dup(number, strlen(number));
    return *out != NULL ? TM_OK : tm_fail(err, TM_E_NOMEM, "config value");
}

/* Takes the list's own spelling of the word, so that stations can compare plainly. */
static enum tm_code config_word(char *text, const struct tm_key *key, const json_t *v,
                                struct tm_err *err)
{
    size_t bytes = strlen(text);
    for (const char *p = key->values; *p != '\0';) {
        size_t n = strcspn(p, "|");
        if (n == bytes && strncasecmp(p, text, n) == 0) {
            memcpy(text, p, n);
            return TM_OK;
        }
        p += n + (p[n] == '|');
    }
    char want[160];
    snprintf(want, sizeof want, "one of %s", key->values);
    return config_mistyped(key, v, want, err);
}

static enum tm_code config_take_text(struct config_value *out, const struct tm_key *key,
                                     const json_t *v, struct tm_err *err)
{
    enum tm_code rc = config_scalar(&out->text, key, v, "text", err);
    if (rc == TM_OK && (key->flags & TM_KEY_REQUIRED) && out->text[0] == '\0')
        rc = tm_fail(err, TM_E_ARG, "is empty");
    if (rc == TM_OK && key->values != NULL)
        rc = config_word(out->text, key, v, err);
    return rc;
}

static enum tm_code config_take_int(struct config_value *out, const struct tm_key *key,
                                    const json_t *v, struct tm_err *err)
{
    char *text = NULL, *end = NULL;
    enum tm_code rc = config_scalar(&text, key, v, "a whole number", err);
    if (rc != TM_OK)
        return rc;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0' || isspace((unsigned char)*text))
        rc = config_mistyped(key, v, "a whole number", err);
    else if (errno == ERANGE)
        rc = tm_fail(err, TM_E_ARG, "is too large for a 64-bit number");
    else if (key->first < key->last && (n < key->first || n > key->last))
        rc = tm_fail(err, TM_E_ARG, "must be from %lld to %lld, not %lld", (long long)key->first,
                     (long long)key->last, n);
    out->number = n;
    free(text);
    return rc;
}

static enum tm_code config_take_bool(struct config_value *out, const struct tm_key *key,
                                     const json_t *v, struct tm_err *err)
{
    char *text = NULL;
    enum tm_code rc = config_scalar(&text, key, v, "true or false", err);
    if (rc != TM_OK)
        return rc;
    out->number = strcasecmp(text, "true") == 0;
    if (!out->number && strcasecmp(text, "false") != 0)
        rc = config_mistyped(key, v, "true or false", err);
    free(text);
    return rc;
}

static enum tm_code config_add_item(struct config_value *out, const char *text, size_t bytes,
                                    struct tm_err *err)
{
    while (bytes > 0 && isspace((unsigned char)*text))
        text++, bytes--;
    while (bytes > 0 && isspace((unsigned char)text[bytes - 1]))
        bytes--;
    if (bytes == 0)
        return TM_OK;
    if (out->items_count == CONFIG_LIST_ITEMS_MAX)
        return tm_fail(err, TM_E_LIMIT, "has more than %d items", CONFIG_LIST_ITEMS_MAX);
    char **items = realloc(out->items, (out->items_count + 1) * sizeof *items);
    char *item = config_dup(text, bytes);
    if (items != NULL)
        out->items = items;
    if (items == NULL || item == NULL) {
        free(item);
        return tm_fail(err, TM_E_NOMEM, "config list");
    }
    out->items[out->items_count++] = item;
    return TM_OK;
}

static enum tm_code config_split(struct config_value *out, const char *text, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    while (rc == TM_OK) {
        size_t n = strcspn(text, ",");
        rc = config_add_item(out, text, n, err);
        if (text[n] == '\0')
            break;
        text += n + 1;
    }
    return rc;
}

static enum tm_code config_take_list(struct config_value *out, const struct tm_key *key,
                                     const json_t *v, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    static const char want[] = "a list (text with commas, or an array of texts)";
    if (!json_is_array(v)) {
        rc = config_scalar(&out->text, key, v, want, err);
        if (rc == TM_OK)
            rc = config_split(out, out->text, err);
    }
    size_t i;
    json_t *item;
    json_array_foreach(v, i, item)
    {
        char *text = NULL;
        if (rc == TM_OK)
            rc = config_scalar(&text, key, item, want, err);
        if (rc == TM_OK)
            rc = config_add_item(out, text, strlen(text), err);
        free(text);
    }
    if (rc == TM_OK && (key->flags & TM_KEY_REQUIRED) && out->items_count == 0)
        rc = tm_fail(err, TM_E_ARG, "is empty");
    return rc;
}

/* A deep copy in which every text is expanded. */
static enum tm_code config_copy_json(json_t **out, const json_t *v, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    json_t *copy = NULL, *inner;
    if (json_is_string(v)) {
        char *text = NULL;
        rc = tm_config_expand(&text, json_string_value(v), err);
        if (rc == TM_OK && (copy = json_string(text)) == NULL)
            rc = tm_fail(err, TM_E_ARG, "is not UTF-8 text after expansion");
        free(text);
    } else if (json_is_object(v)) {
        const char *name;
        json_t *member;
        copy = json_object();
        json_object_foreach((json_t *)(uintptr_t)v, name,
                            member) if (rc == TM_OK &&
                                        (rc = config_copy_json(&inner, member, err)) == TM_OK &&
                                        json_object_set_new(copy, name, inner) != 0) rc =
            tm_fail(err, TM_E_NOMEM, "config value");
    } else if (json_is_array(v)) {
        size_t i;
        json_t *item;
        copy = json_array();
        json_array_foreach(v, i, item) if (rc == TM_OK &&
                                           (rc = config_copy_json(&inner, item, err)) == TM_OK &&
                                           json_array_append_new(copy, inner) != 0) rc =
            tm_fail(err, TM_E_NOMEM, "config value");
    } else {
        copy = json_deep_copy(v);
    }
    if (rc == TM_OK && copy == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "config value");
    if (rc != TM_OK)
        json_decref(copy);
    else
        *out = copy;
    return rc;
}

static enum tm_code config_take_json(struct config_value *out, const json_t *v, struct tm_err *err)
{
    const char *text = json_string_value(v);
    if (text == NULL || (text[0] != '{' && text[0] != '['))
        return config_copy_json(&out->json, v, err);
    json_error_t e; /* Kafka Connect knows only texts: JSON inside a text */
    json_t *parsed = json_loads(text, JSON_REJECT_DUPLICATES, &e);
    if (parsed == NULL)
        return tm_fail(err, TM_E_ARG, "is not valid JSON at line %d, column %d", e.line, e.column);
    enum tm_code rc = config_copy_json(&out->json, parsed, err);
    json_decref(parsed);
    return rc;
}

static enum tm_code config_take(struct config_value *out, const struct tm_key *key, const json_t *v,
                                struct tm_err *err)
{
    if (key->flags & TM_KEY_IGNORED) /* has no effect here: neither checked nor expanded */
        return TM_OK;
    switch (key->type) {
    case TM_KEY_TEXT: return config_take_text(out, key, v, err);
    case TM_KEY_INT: return config_take_int(out, key, v, err);
    case TM_KEY_BOOL: return config_take_bool(out, key, v, err);
    case TM_KEY_LIST: return config_take_list(out, key, v, err);
    case TM_KEY_JSON: return config_take_json(out, v, err);
    }
    assert(false && "a type of enum tm_key_type");
    return TM_OK;
}

/* ---- the whole ---- */

static size_t config_find(const struct tm_key *keys, size_t keys_count, const char *name)
{
    for (size_t i = 0; i < keys_count; i++)
        if (strcmp(keys[i].name, name) == 0)
            return i;
    return keys_count;
}

static enum tm_code config_unknown(const char *name, const struct tm_key *keys, size_t keys_count,
                                   struct tm_err *err)
{
    const char *names[CONFIG_KEYS_MAX + 1];
    for (size_t i = 0; i < keys_count; i++)
        names[i] = keys[i].name;
    names[keys_count] = "name";
    const char *near = tm_nearest(name, names, keys_count + 1);
    if (near != NULL)
        return tm_fail(err, TM_E_ARG, "unknown key \"%.80s\"; did you mean \"%s\"?", name, near);
    return tm_fail(err, TM_E_ARG, "unknown key \"%.80s\"", name);
}

static enum tm_code config_fill(struct tm_config *c, const json_t *object, struct tm_err *err)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)object, name, v)
    {
        size_t i = config_find(c->keys, c->keys_count, name);
        if (i == c->keys_count) {
            if (strcmp(name, "name") == 0)
                continue;
            return config_unknown(name, c->keys, c->keys_count, err);
        }
        if (json_is_null(v)) /* as Kafka Connect has it: null is not given */
            continue;
        c->values[i].given = true;
        enum tm_code rc = config_take(&c->values[i], &c->keys[i], v, err);
        if (rc != TM_OK)
            return tm_at(err, "key \"%s\"", name);
    }
    return TM_OK;
}

static enum tm_code config_presets(struct tm_config *c, struct tm_err *err)
{
    for (size_t i = 0; i < c->keys_count; i++) {
        const struct tm_key *key = &c->keys[i];
        if (c->values[i].given)
            continue;
        if (key->flags & TM_KEY_REQUIRED)
            return tm_fail(err, TM_E_ARG, "key \"%s\" is missing%s%s%s", key->name,
                           key->help ? " (" : "", key->help ? key->help : "", key->help ? ")" : "");
        if (key->preset == NULL)
            continue;
        json_t *v = json_string(key->preset);
        enum tm_code rc = v == NULL ? tm_fail(err, TM_E_NOMEM, "config")
                                    : config_take(&c->values[i], key, v, err);
        json_decref(v);
        if (rc != TM_OK)
            return tm_at(err, "preset of key \"%s\"", key->name);
    }
    return TM_OK;
}

/* Kafka Connect's REST form {"name": …, "config": {…}}; `tasks` and `type` stand in what it
 * answers. */
static enum tm_code config_unwrap(const json_t **object, const struct tm_key *keys,
                                  size_t keys_count, struct tm_err *err)
{
    static const char *const outer[] = { "name", "config", "tasks", "type" };
    const json_t *inner = json_object_get(*object, "config");
    const char *name;
    json_t *v;
    if (!json_is_object(inner) || config_find(keys, keys_count, "config") < keys_count)
        return TM_OK;
    json_object_foreach((json_t *)(uintptr_t)*object, name, v)
    {
        bool known = false;
        for (size_t i = 0; i < sizeof outer / sizeof outer[0]; i++)
            known = known || strcmp(name, outer[i]) == 0;
        if (!known)
            return tm_fail(err, TM_E_ARG, "key \"%.80s\" stands beside \"config\"; move it inside",
                           name);
    }
    *object = inner;
    return TM_OK;
}

static enum tm_code config_set_name(struct tm_config *c, const json_t *outer, const json_t *inner,
                                    const char *where, struct tm_err *err)
{
    const json_t *v = json_object_get(outer, "name");
    if (v == NULL)
        v = json_object_get(inner, "name");
    if (v != NULL && !json_is_string(v))
        return tm_fail(err, TM_E_ARG, "key \"name\": must be text, not %s", config_type_name(v));
    if (v != NULL) {
        c->name = config_dup(json_string_value(v), json_string_length(v));
    } else {
        const char *stem = strrchr(where, '/') != NULL ? strrchr(where, '/') + 1 : where;
        const char *dot = strrchr(stem, '.');
        c->name = config_dup(stem, dot != NULL && dot > stem ? (size_t)(dot - stem) : strlen(stem));
    }
    return c->name != NULL ? TM_OK : tm_fail(err, TM_E_NOMEM, "config name");
}

enum tm_code tm_config_from_json(struct tm_config **out, const json_t *object, const char *where,
                                 const struct tm_key *keys, size_t keys_count, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    struct tm_config *c = NULL;
    const json_t *inner = object;
    assert(keys_count <= CONFIG_KEYS_MAX);
    if (!json_is_object(object)) {
        rc = tm_fail(err, TM_E_ARG, "must be a JSON object, not %s", config_type_name(object));
        goto done;
    }
    c = calloc(1, sizeof *c);
    if (c != NULL)
        *c =
            (struct tm_config){ keys, keys_count, calloc(keys_count + 1, sizeof *c->values), NULL };
    if (c == NULL || c->values == NULL) {
        rc = tm_fail(err, TM_E_NOMEM, "config");
        goto done;
    }
    rc = config_unwrap(&inner, keys, keys_count, err);
    if (rc == TM_OK)
        rc = config_set_name(c, object, inner, where, err);
    if (rc == TM_OK)
        rc = config_fill(c, inner, err);
    if (rc == TM_OK)
        rc = config_presets(c, err);
    if (rc != TM_OK)
        goto done;
    *out = c;
    c = NULL;
done:
    tm_config_close(c);
    if (rc != TM_OK && err != NULL)
        tm_at(err, "%s", where);
    return rc;
}

enum tm_code tm_config_load(struct tm_config **out, const char *path, const struct tm_key *keys,
                            size_t keys_count, struct tm_err *err)
{
    json_t *json = NULL;
    enum tm_code rc = tm_json_load(&json, path, err);
    if (rc == TM_OK)
        rc = tm_config_from_json(out, json, path, keys, keys_count, err);
    json_decref(json);
    return rc;
}

void tm_config_close(struct tm_config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; config->values != NULL && i < config->keys_count; i++) {
        struct config_value *v = &config->values[i];
        for (size_t k = 0; k < v->items_count; k++)
            free(v->items[k]);
        free(v->items);
        free(v->text);
        json_decref(v->json);
    }
    free(config->values);
    free(config->name);
    free(config);
}

/* ---- asking ---- */

static const struct config_value *config_get(const struct tm_config *c, const char *key, int type)
{
    size_t i = config_find(c->keys, c->keys_count, key);
    assert(i < c->keys_count);
    assert(type < 0 || (int)c->keys[i].type == type);
    (void)type;
    return &c->values[i];
}

const char *tm_config_name(const struct tm_config *config)
{
    return config->name;
}
bool tm_config_has(const struct tm_config *config, const char *key)
{
    return config_get(config, key, -1)->given;
}

const char *tm_config_text(const struct tm_config *config, const char *key)
{
    return config_get(config, key, TM_KEY_TEXT)->text;
}

int64_t tm_config_int(const struct tm_config *config, const char *key)
{
    return config_get(config, key, TM_KEY_INT)->number;
}

bool tm_config_bool(const struct tm_config *config, const char *key)
{
    return config_get(config, key, TM_KEY_BOOL)->number != 0;
}

size_t tm_config_list(const struct tm_config *config, const char *key,
                      const char *const **out_items)
{
    const struct config_value *v = config_get(config, key, TM_KEY_LIST);
    *out_items = (const char *const *)v->items;
    return v->items_count;
}

const json_t *tm_config_json(const struct tm_config *config, const char *key)
{
    return config_get(config, key, TM_KEY_JSON)->json;
}
