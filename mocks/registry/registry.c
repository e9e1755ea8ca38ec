#include "mocks/registry/registry.h"
#include "base/json_kept.h"
#include "mocks/registry/avro_rules.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MEDIA_TYPE "application/vnd.schemaregistry.v1+json"
#define PARTS_MAX 6 /* of a path */

enum level {
    LEVEL_UNSET,
    NONE,
    BACKWARD,
    BACKWARD_TRANSITIVE,
    FORWARD,
    FORWARD_TRANSITIVE,
    FULL,
    FULL_TRANSITIVE
};
static const char *const level_names[] = { "",         "NONE",
                                           "BACKWARD", "BACKWARD_TRANSITIVE",
                                           "FORWARD",  "FORWARD_TRANSITIVE",
                                           "FULL",     "FULL_TRANSITIVE" };
#define LEVELS (sizeof level_names / sizeof level_names[0])

struct schema {
    char *text;
    json_t *json;
}; /* its id is its place + 1 */
struct subject {
    char *name;
    int versions[TM_MOCK_VERSIONS_MAX];
    size_t versions_count; /* schema ids; version is the place + 1 */
    bool deleted;          /* softly: lookups by id go on */
    size_t deleted_before; /* versions below are gone for good */
    enum level level;
};
struct tm_mock_registry {
    struct schema *schemas;
    size_t schemas_count;
    struct subject **subjects;
    size_t subjects_count;
    enum level level;
    bool read_only;
    uint64_t refused, changes;
};
struct call { /* one request being answered */
    struct tm_mock_registry *r;
    const struct tm_mock_request *request;
    struct tm_mock_response *out;
    char *parts[PARTS_MAX];
    size_t parts_count;
};

enum tm_code tm_mock_registry_open(struct tm_mock_registry **out, struct tm_err *err)
{
    struct tm_mock_registry *r = calloc(1, sizeof *r);
    *out = r;
    if (r == NULL)
        return tm_fail(err, TM_E_NOMEM, "schema registry");
    r->level = BACKWARD;
    return TM_OK;
}

void tm_mock_registry_read_only(struct tm_mock_registry *r, bool read_only)
{
    r->read_only = read_only;
}
void tm_mock_registry_lenient(struct tm_mock_registry *r)
{
    r->level = NONE;
    for (size_t i = 0; i < r->subjects_count; i++)
        r->subjects[i]->level = LEVEL_UNSET;
}
uint64_t tm_mock_registry_refused(const struct tm_mock_registry *r)
{
    return r->refused;
}

uint64_t tm_mock_registry_changes(const struct tm_mock_registry *r)
{
    return r->changes;
}

void tm_mock_registry_close(struct tm_mock_registry *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->schemas_count; i++) {
        free(r->schemas[i].text);
        json_decref(r->schemas[i].json);
    }
    for (size_t i = 0; i < r->subjects_count; i++) {
        free(r->subjects[i]->name);
        free(r->subjects[i]);
    }
    free(r->schemas);
    free(r->subjects);
    free(r);
}

static void registry_json(struct call *c, int status, json_t *body)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    tm_mock_answer(c->out, text != NULL ? status : 500, MEDIA_TYPE, text != NULL ? text : "{}");
    free(text);
    json_decref(body);
}

static void registry_error(struct call *c, int code, const char *message, const char *detail)
{
    int status = code > 999 ? code / 100 : code;
    char text[512];
    snprintf(text, sizeof text, "%s%.300s", message, detail);
    registry_json(c, status, json_pack("{s:i, s:s}", "error_code", code, "message", text));
}

static struct subject *registry_subject(const struct tm_mock_registry *r, const char *name,
                                        bool deleted_too)
{
    for (size_t i = 0; i < r->subjects_count; i++)
        if (strcmp(r->subjects[i]->name, name) == 0)
            return !r->subjects[i]->deleted || deleted_too ? r->subjects[i] : NULL;
    return NULL;
}

static struct subject *registry_subject_add(struct call *c, const char *name)
{
    struct tm_mock_registry *r = c->r;
    struct subject *s = registry_subject(r, name, true);
    if (s != NULL || r->subjects_count == TM_MOCK_SUBJECTS_MAX)
        return s;
    struct subject **grown =
        realloc(r->subjects, (r->subjects_count + 1) * sizeof(struct subject *));
    if (grown != NULL)
        r->subjects = grown;
    if (grown == NULL || (s = calloc(1, sizeof *s)) == NULL || (s->name = strdup(name)) == NULL) {
        free(s);
        return NULL;
    }
    r->changes++;
    return r->subjects[r->subjects_count++] = s;
}

static enum level registry_level(const struct tm_mock_registry *r, const struct subject *s)
{
    return s != NULL && s->level != LEVEL_UNSET ? s->level : r->level;
}

static int registry_id(const struct tm_mock_registry *r, const json_t *schema)
{
    for (size_t i = 0; i < r->schemas_count; i++)
        if (json_equal(r->schemas[i].json, (json_t *)schema))
            return (int)i + 1;
    return 0;
}

static int registry_version(const struct subject *s, int id)
{
    for (size_t i = s->deleted_before; i < s->versions_count; i++)
        if (s->versions[i] == id)
            return (int)i + 1;
    return 0;
}

static bool registry_pair(enum level level, const json_t *new_schema, const json_t *old,
                          struct tm_buf *why)
{
    if (level >= FORWARD && !tm_mock_avro_can_read(old, new_schema, why))
        return false;
    return level == FORWARD || level == FORWARD_TRANSITIVE ||
           tm_mock_avro_can_read(new_schema, old, why);
}

static bool registry_compatible(const struct tm_mock_registry *r, const struct subject *s,
                                const json_t *new_schema, size_t from, size_t to,
                                struct tm_buf *why)
{
    enum level level = registry_level(r, s);
    bool all =
        level == BACKWARD_TRANSITIVE || level == FORWARD_TRANSITIVE || level == FULL_TRANSITIVE;
    if (s == NULL || level == NONE || to == from)
        return true;
    for (size_t i = to; i > from; i--) {
        if (!registry_pair(level, new_schema, r->schemas[s->versions[i - 1] - 1].json, why))
            return false;
        if (!all)
            break;
    }
    return true;
}

/* The schema of the body, parsed and checked; answers the error itself and returns NULL. */
static json_t *registry_body(struct call *c, const char **out_text)
{
    struct tm_buf why;
    json_t *body = tm_json_kept(c->request->body != NULL ? c->request->body : "",
                                c->request->body_bytes, 0, NULL);
    const char *type = json_string_value(json_object_get(body, "schemaType"));
    const json_t *text = json_object_get(body, "schema");
    json_t *schema = NULL;
    tm_buf_init(&why, 4096);
    if (!json_is_string(text)) {
        registry_error(c, 422, "The body is not an object with the key \"schema\"", "");
    } else if (type != NULL && strcasecmp(type, "AVRO") != 0) {
        registry_error(c, 42201, "Invalid schema: this registry knows AVRO only, not ", type);
    } else {
        schema =
            tm_json_kept(json_string_value(text), json_string_length(text), JSON_DECODE_ANY, NULL);
        if (schema == NULL || !tm_mock_avro_valid(schema, &why)) {
            registry_error(c, 42201,
                           "Invalid schema: ", schema == NULL ? "not JSON" : tm_buf_text(&why));
            json_decref(schema);
            schema = NULL;
        }
    }
    if (schema != NULL) {
        *out_text = strdup(json_string_value(text));
        if (*out_text == NULL) {
            registry_error(c, 50001, "out of memory", "");
            json_decref(schema);
            schema = NULL;
        }
    }
    tm_buf_free(&why);
    json_decref(body);
    return schema;
}

static int registry_keep(struct tm_mock_registry *r, json_t *schema, const char *text)
{
    if (r->schemas_count == TM_MOCK_SCHEMAS_MAX)
        return 0;
    struct schema *grown = realloc(r->schemas, (r->schemas_count + 1) * sizeof *grown);
    char *copy = strdup(text);
    if (grown != NULL)
        r->schemas = grown;
    if (grown == NULL || copy == NULL) {
        free(copy);
        return 0;
    }
    r->schemas[r->schemas_count] = (struct schema){ copy, json_incref(schema) };
    r->changes++;
    return (int)++r->schemas_count;
}

static void registry_register(struct call *c)
{
    const char *text = NULL;
    json_t *schema = registry_body(c, &text);
    struct tm_buf why;
    if (schema == NULL)
        return;
    tm_buf_init(&why, 4096);
    int id = registry_id(c->r, schema);
    struct subject *s = registry_subject(c->r, c->parts[1], true);
    if (s != NULL && !s->deleted && id != 0 && registry_version(s, id) != 0) {
        registry_json(c, 200, json_pack("{s:i}", "id", id));
        goto done;
    }
    if (c->r->read_only) {
        c->r->refused++;
        registry_error(c, 42205, "Subject is in read-only mode: ", c->parts[1]);
        goto done;
    }
    if (s != NULL &&
        !registry_compatible(c->r, s, schema, s->deleted_before, s->versions_count, &why)) {
        c->r->refused++;
        registry_error(
            c, 409,
            "Schema being registered is incompatible with an earlier schema for this subject: ",
            tm_buf_text(&why));
        goto done;
    }
    s = registry_subject_add(c, c->parts[1]);
    if (id == 0)
        id = registry_keep(c->r, schema, text);
    if (s == NULL || id == 0 || s->versions_count == TM_MOCK_VERSIONS_MAX) {
        registry_error(c, 50001, "the registry is full", "");
        goto done;
    }
    s->versions[s->versions_count++] = id;
    s->deleted = false;
    c->r->changes++;
    registry_json(c, 200, json_pack("{s:i}", "id", id));
done:
    tm_buf_free(&why);
    free((char *)text);
    json_decref(schema);
}

static void registry_lookup(struct call *c)
{
    const char *text = NULL;
    json_t *schema = registry_body(c, &text);
    if (schema == NULL)
        return;
    const struct subject *s = registry_subject(c->r, c->parts[1], false);
    int id = registry_id(c->r, schema),
        version = s != NULL && id != 0 ? registry_version(s, id) : 0;
    if (s == NULL)
        registry_error(c, 40401, "Subject not found: ", c->parts[1]);
    else if (version == 0)
        registry_error(c, 40403, "Schema not found", "");
    else
        registry_json(c, 200,
                      json_pack("{s:s, s:i, s:i, s:s}", "subject", s->name, "id", id, "version",
                                version, "schema", c->r->schemas[id - 1].text));
    free((char *)text);
    json_decref(schema);
}

/* Version `word` ("3", "latest") of a subject; answers the error itself and returns 0. */
static size_t registry_version_word(struct call *c, const struct subject *s, const char *word)
{
    char *end;
    long version = strtol(word, &end, 10);
    if (s == NULL) {
        registry_error(c, 40401, "Subject not found: ", c->parts[c->parts_count > 1 ? 1 : 0]);
        return 0;
    }
    if (strcmp(word, "latest") == 0 || strcmp(word, "-1") == 0)
        return s->versions_count;
    if (*end != '\0' || version < 1) {
        registry_error(c, 42202, "The specified version is not a valid version id: ", word);
        return 0;
    }
    if ((size_t)version > s->versions_count || (size_t)version <= s->deleted_before) {
        registry_error(c, 40402, "Version not found: ", word);
        return 0;
    }
    return (size_t)version;
}

static void registry_get_version(struct call *c)
{
    const struct subject *s = registry_subject(c->r, c->parts[1], false);
    size_t version = registry_version_word(c, s, c->parts[3]);
    if (version == 0)
        return;
    const char *text = c->r->schemas[s->versions[version - 1] - 1].text;
    if (c->parts_count == 5)
        tm_mock_answer(c->out, 200, MEDIA_TYPE, text);
    else
        registry_json(c, 200,
                      json_pack("{s:s, s:i, s:i, s:s}", "subject", s->name, "version", (int)version,
                                "id", s->versions[version - 1], "schema", text));
}

static json_t *registry_versions(const struct subject *s)
{
    json_t *list = json_array();
    for (size_t i = s->deleted_before; i < s->versions_count; i++)
        json_array_append_new(list, json_integer((json_int_t)i + 1));
    return list;
}

static void registry_delete(struct call *c)
{
    const char *permanent = tm_mock_query(c->request, "permanent");
    bool hard = permanent != NULL && strcasecmp(permanent, "true") == 0;
    struct subject *s = registry_subject(c->r, c->parts[1], hard);
    if (s == NULL || (hard && s->deleted && s->deleted_before == s->versions_count)) {
        registry_error(c, 40401, "Subject not found: ", c->parts[1]);
    } else if (hard && !s->deleted) {
        registry_error(c, 40405, "Subject must be deleted softly before it is deleted for good: ",
                       c->parts[1]);
    } else {
        registry_json(c, 200, registry_versions(s));
        s->deleted = true;
        c->r->changes++;
        if (hard) {
            s->deleted_before = s->versions_count;
            s->level = LEVEL_UNSET;
        }
    }
}

static void registry_subjects(struct call *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->r->subjects_count; i++)
        if (!c->r->subjects[i]->deleted && c->r->subjects[i]->versions_count > 0)
            json_array_append_new(list, json_string(c->r->subjects[i]->name));
    registry_json(c, 200, list);
}

static void registry_by_id(struct call *c)
{
    char *end;
    long id = strtol(c->parts[2], &end, 10);
    if (*end != '\0' || id < 1 || (size_t)id > c->r->schemas_count) {
        registry_error(c, 40403, "Schema not found: id ", c->parts[2]);
        return;
    }
    if (c->parts_count == 3) {
        registry_json(c, 200, json_pack("{s:s}", "schema", c->r->schemas[id - 1].text));
    } else if (strcmp(c->parts[3], "schema") == 0) {
        tm_mock_answer(c->out, 200, MEDIA_TYPE, c->r->schemas[id - 1].text);
    } else {
        json_t *list = json_array();
        for (size_t i = 0; i < c->r->subjects_count; i++) {
            int version =
                c->r->subjects[i]->deleted ? 0 : registry_version(c->r->subjects[i], (int)id);
            if (version != 0)
                json_array_append_new(list, json_pack("{s:s, s:i}", "subject",
                                                      c->r->subjects[i]->name, "version", version));
        }
        registry_json(c, 200, list);
    }
}

static void registry_config_get(struct call *c)
{
    const struct subject *s =
        c->parts_count == 2 ? registry_subject(c->r, c->parts[1], true) : NULL;
    const char *global = tm_mock_query(c->request, "defaultToGlobal");
    if (c->parts_count == 2 && (s == NULL || s->level == LEVEL_UNSET) &&
        (global == NULL || strcasecmp(global, "true") != 0)) {
        registry_error(c, 40408, "Subject does not have subject-level compatibility configured: ",
                       c->parts[1]);
        return;
    }
    registry_json(c, 200,
                  json_pack("{s:s}", "compatibilityLevel", level_names[registry_level(c->r, s)]));
}

static void registry_config_put(struct call *c)
{
    json_t *body = json_loadb(c->request->body != NULL ? c->request->body : "",
                              c->request->body_bytes, 0, NULL);
    const char *word = json_string_value(json_object_get(body, "compatibility"));
    enum level level = LEVEL_UNSET;
    for (size_t i = 1; word != NULL && i < LEVELS; i++)
        if (strcasecmp(word, level_names[i]) == 0)
            level = (enum level)i;
    struct subject *s =
        level != LEVEL_UNSET && c->parts_count == 2 ? registry_subject_add(c, c->parts[1]) : NULL;
    if (level == LEVEL_UNSET) {
        registry_error(
            c, 42203,
            "Invalid compatibility level. Valid values are NONE, BACKWARD, FORWARD, FULL and the "
            "_TRANSITIVE ones",
            "");
    } else if (c->parts_count == 2 && s == NULL) {
        registry_error(c, 50001, "the registry is full", "");
    } else {
        *(s != NULL ? &s->level : &c->r->level) = level;
        c->r->changes++;
        registry_json(c, 200, json_pack("{s:s}", "compatibility", level_names[level]));
    }
    json_decref(body);
}

static void registry_compatibility(struct call *c)
{
    const char *text = NULL, *verbose = tm_mock_query(c->request, "verbose");
    const struct subject *s = registry_subject(c->r, c->parts[2], false);
    size_t version = 0;
    struct tm_buf why;
    if (c->parts_count == 5) {
        if (s == NULL)
            registry_error(c, 40401, "Subject not found: ", c->parts[2]);
        else
            version = registry_version_word(c, s, c->parts[4]);
        if (version == 0)
            return;
    }
    json_t *schema = registry_body(c, &text);
    if (schema == NULL)
        return;
    tm_buf_init(&why, 4096);
    bool ok = s == NULL ||
              registry_compatible(c->r, s, schema, version != 0 ? version - 1 : s->deleted_before,
                                  version != 0 ? version : s->versions_count, &why);
    json_t *body = json_pack("{s:b}", "is_compatible", ok);
    if (verbose != NULL && strcasecmp(verbose, "true") == 0)
        json_object_set_new(body, "messages",
                            ok ? json_array() : json_pack("[s]", tm_buf_text(&why)));
    registry_json(c, 200, body);
    tm_buf_free(&why);
    json_decref(schema);
    free((char *)text);
}

static const struct {
    const char *method;
    size_t parts;
    const char *words[PARTS_MAX]; /* NULL: any */
    void (*answer)(struct call *c);
} routes[] = {
    { "GET", 1, { "subjects" }, registry_subjects },
    { "POST", 2, { "subjects", NULL }, registry_lookup },
    { "DELETE", 2, { "subjects", NULL }, registry_delete },
    { "POST", 3, { "subjects", NULL, "versions" }, registry_register },
    { "GET", 4, { "subjects", NULL, "versions", NULL }, registry_get_version },
    { "GET", 5, { "subjects", NULL, "versions", NULL, "schema" }, registry_get_version },
    { "GET", 3, { "schemas", "ids", NULL }, registry_by_id },
    { "GET", 4, { "schemas", "ids", NULL, "versions" }, registry_by_id },
    { "GET", 4, { "schemas", "ids", NULL, "schema" }, registry_by_id },
    { "GET", 1, { "config" }, registry_config_get },
    { "GET", 2, { "config", NULL }, registry_config_get },
    { "PUT", 1, { "config" }, registry_config_put },
    { "PUT", 2, { "config", NULL }, registry_config_put },
    { "POST", 4, { "compatibility", "subjects", NULL, "versions" }, registry_compatibility },
    { "POST", 5, { "compatibility", "subjects", NULL, "versions", NULL }, registry_compatibility },
};

static void registry_route(struct call *c)
{
    bool path_known = false;
    if (c->parts_count == 0) {
        tm_mock_answer(c->out, 200, MEDIA_TYPE, "{}");
        return;
    }
    if (strcmp(c->request->method, "GET") == 0 && c->parts_count == 3 &&
        strcmp(c->parts[0], "subjects") == 0 && strcmp(c->parts[2], "versions") == 0) {
        const struct subject *s = registry_subject(c->r, c->parts[1], false);
        if (s == NULL)
            registry_error(c, 40401, "Subject not found: ", c->parts[1]);
        else
            registry_json(c, 200, registry_versions(s));
        return;
    }
    if (c->parts_count == 2 && strcmp(c->parts[0], "schemas") == 0 &&
        strcmp(c->parts[1], "types") == 0) {
        tm_mock_answer(c->out, 200, MEDIA_TYPE, "[\"AVRO\"]");
        return;
    }
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        bool fits = routes[i].parts == c->parts_count;
        for (size_t k = 0; fits && k < c->parts_count; k++)
            fits = routes[i].words[k] == NULL || strcmp(routes[i].words[k], c->parts[k]) == 0;
        if (fits && strcmp(routes[i].method, c->request->method) == 0) {
            routes[i].answer(c);
            return;
        }
        path_known = path_known || fits;
    }
    registry_error(c, path_known ? 405 : 404,
                   path_known ? "HTTP 405 Method Not Allowed" : "HTTP 404 Not Found", "");
}

void tm_mock_registry_request(void *self, const struct tm_mock_request *request,
                              struct tm_mock_response *out)
{
    struct call c = { .r = self, .request = request, .out = out };
    char *path = strdup(request->path), *rest = path, *part;
    if (path == NULL) {
        registry_error(&c, 50001, "out of memory", "");
        return;
    }
    while ((part = strsep(&rest, "/")) != NULL && c.parts_count < PARTS_MAX)
        if (*part != '\0')
            c.parts[c.parts_count++] = part;
    registry_route(&c);
    free(path);
}

struct tm_mock_handler tm_mock_registry_handler(struct tm_mock_registry *r)
{
    assert(r != NULL);
    return (struct tm_mock_handler){ .self = r, .request = tm_mock_registry_request };
}
