#include "mocks/salesforce/control.h"
#include "mocks/salesforce/org_impl.h"
#include "base/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONTROL_CHANGES_MAX 10000 /* of one request */
#define CONTROL_HISTORY_MAX 2000

struct control_request { /* changes with their values, while one request is served */
    struct tm_org_change *changes;
    size_t changes_count, changes_cap;
    struct tm_org_set **sets;        /* [changes_count], one list each */
    char (**scratch)[TM_TIME_BYTES]; /* [changes_count], texts of dates */
};

static enum tm_code control_open(struct control_request *q, size_t cap, struct tm_err *err)
{
    q->changes = calloc(cap, sizeof *q->changes);
    q->sets = calloc(cap, sizeof *q->sets);
    q->scratch = calloc(cap, sizeof *q->scratch);
    q->changes_cap = cap;
    return q->changes != NULL && q->sets != NULL && q->scratch != NULL
               ? TM_OK
               : tm_fail(err, TM_E_NOMEM, "%zu changes", cap);
}

static void control_close(struct control_request *q)
{
    for (size_t i = 0; i < q->changes_count; i++) {
        free(q->sets[i]);
        free(q->scratch[i]);
    }
    free(q->changes);
    free(q->sets);
    free(q->scratch);
}

/* Fields as REST writes them -> sets of the change. */
static enum tm_code control_fields(struct tm_org *org, struct control_request *q, size_t at,
                                   const json_t *fields, struct tm_err *err)
{
    struct tm_org_change *c = &q->changes[at];
    const struct tm_describe *d = tm_org_describe(org, c->object);
    size_t count = json_object_size(fields);
    const char *key;
    json_t *value;
    if (d == NULL)
        return org_refuse(org, "INVALID_TYPE", "", err, "sObject type '%s' is not supported",
                          c->object);
    q->sets[at] = calloc(count + 1, sizeof *q->sets[at]);
    q->scratch[at] = calloc(count + 1, sizeof *q->scratch[at]);
    if (q->sets[at] == NULL || q->scratch[at] == NULL)
        return tm_fail(err, TM_E_NOMEM, "%zu values", count);
    json_object_foreach((json_t *)fields, key, value)
    {
        struct tm_err why = { 0 };
        const struct tm_field *f = tm_describe_field(d, key);
        if (f == NULL || f->kind == TM_FIELD_COMPOUND || f->calculated)
            return org_refuse(org, f == NULL ? "INVALID_FIELD" : "INVALID_FIELD_FOR_INSERT_UPDATE",
                              key, err,
                              f == NULL ? "No such column '%s' on sobject of type %s"
                                        : "Unable to create/update fields: %s (%s)",
                              key, d->object);
        if (tm_org_value_of_json(&q->sets[at][c->sets_count].value, q->scratch[at][c->sets_count],
                                 f, value, &why) != TM_OK)
            return org_refuse(org, "INVALID_FIELD", key, err, "%s: %s", f->name, why.msg);
        q->sets[at][c->sets_count++].field = f->name;
    }
    c->sets = q->sets[at];
    return TM_OK;
}

static int control_word(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; word != NULL && i < count; i++)
        if (strcasecmp(word, words[i]) == 0)
            return (int)i;
    return -1;
}

enum tm_code tm_control_known(struct tm_org *org, const json_t *request, const char *const *known,
                              size_t known_count, struct tm_err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)request, key, value)
    {
        size_t i = 0;
        while (i < known_count && strcmp(known[i], key) != 0)
            i++;
        if (i < known_count)
            continue;
        const char *near = tm_nearest(key, known, known_count);
        return org_refuse(org, "INVALID_PARAMETER", "", err, "unknown key \"%.40s\"%s%s%s", key,
                          near != NULL ? ": did you mean \"" : "", near != NULL ? near : "",
                          near != NULL ? "\"?" : "");
    }
    return TM_OK;
}

static enum tm_code control_change(struct tm_org *org, struct control_request *q, size_t at,
                                   const json_t *json, struct tm_err *err)
{
    static const char *const kinds[] = { "create", "update", "delete", "undelete", "hard_delete" };
    static const char *const ways[] = { "normal", "merged",     "gap",   "overflow",
                                        "diff",   "conversion", "silent" };
    static const char *const known[] = { "change", "object", "id", "fields", "announce" };
    const json_t *way = json_object_get(json, "announce"), *id = json_object_get(json, "id");
    const json_t *fields = json_object_get(json, "fields");
    const char *object = json_string_value(json_object_get(json, "object"));
    int kind = control_word(json_string_value(json_object_get(json, "change")), kinds, 5);
    int announce = way == NULL ? TM_ORG_NORMAL : control_word(json_string_value(way), ways, 7);
    if (tm_control_known(org, json, known, 5, err) != TM_OK)
        return tm_at(err, "changes[%zu]", at);
    if (!json_is_object(json) || kind < 0)
        return org_refuse(org, "JSON_PARSER_ERROR", "", err,
                          "changes[%zu]: \"change\" must be create, update, delete, undelete or "
                          "hard_delete",
                          at);
    if (announce < 0)
        return org_refuse(org, "JSON_PARSER_ERROR", "", err,
                          "changes[%zu]: \"announce\" must be normal, merged, gap, overflow, "
                          "diff, conversion or silent",
                          at);
    if (object == NULL || (id != NULL && !json_is_string(id)) ||
        (id == NULL && kind != TM_ORG_CREATE) || (fields != NULL && !json_is_object(fields)))
        return org_refuse(org, "JSON_PARSER_ERROR", "", err,
                          "changes[%zu]: needs \"object\" and, unless it is a create, \"id\"; "
                          "\"fields\" is an object",
                          at);
    struct tm_org_change *c = &q->changes[q->changes_count++];
    *c = (struct tm_org_change){ .kind = (enum tm_org_kind)kind,
                                 .announce = (enum tm_org_announce)announce,
                                 .object = object };
    snprintf(c->id, sizeof c->id, "%s", id != NULL ? json_string_value(id) : "");
    return control_fields(org, q, at, fields, err);
}

static enum tm_code control_commit_all(struct tm_org *org, struct control_request *q,
                                       const struct tm_now *now, int64_t written_ms,
                                       const char *user, const char *origin, struct tm_err *err)
{
    struct tm_org_txn txn = { .changes = q->changes,
                              .changes_count = q->changes_count,
                              .org_ms = now->org_ms,
                              .written_ms = written_ms,
                              .intended_ns = now->wall_ns,
                              .actual_ns = now->wall_ns,
                              .user = user,
                              .origin = origin };
    return tm_org_commit(org, &txn, err);
}

/* The changes of a request, checked as far as they can be before they are made. */
static enum tm_code control_read(struct tm_org *org, struct control_request *q,
                                 const json_t *request, struct tm_err *err)
{
    static const char *const known[] = { "changes", "user", "origin", "hold" };
    const json_t *list = json_object_get(request, "changes");
    size_t count = json_array_size(list);
    if (tm_control_known(org, request, known, 4, err) != TM_OK)
        return TM_E_ARG;
    if (!json_is_array(list) || count == 0 || count > CONTROL_CHANGES_MAX)
        return org_refuse(org, "JSON_PARSER_ERROR", "", err,
                          "\"changes\" must be a list of 1 to %d changes", CONTROL_CHANGES_MAX);
    enum tm_code rc = control_open(q, count, err);
    for (size_t i = 0; i < count && rc == TM_OK; i++)
        rc = control_change(org, q, i, json_array_get(list, i), err);
    return rc;
}

enum tm_code tm_control_check(struct tm_org *org, const json_t *request, struct tm_err *err)
{
    struct control_request q = { 0 };
    enum tm_code rc = control_read(org, &q, request, err);
    control_close(&q);
    return rc;
}

enum tm_code tm_control_commit(struct tm_org *org, const json_t *request, const struct tm_now *now,
                               int64_t written_ms, json_t **out, struct tm_err *err)
{
    struct control_request q = { 0 };
    enum tm_code rc = control_read(org, &q, request, err);
    if (rc == TM_OK)
        rc = control_commit_all(org, &q, now, written_ms,
                                json_string_value(json_object_get(request, "user")),
                                json_string_value(json_object_get(request, "origin")), err);
    if (rc == TM_OK) {
        json_t *pos = json_array(), *ids = json_array();
        for (size_t i = 0; i < q.changes_count; i++) {
            json_array_append_new(pos, json_integer(q.changes[i].out_pos));
            json_array_append_new(ids, json_string(q.changes[i].id));
        }
        *out = json_pack("{s:o,s:o,s:I}", "pos", pos, "ids", ids, "replay_last",
                         (json_int_t)tm_org_replay_last(org, NULL));
        if (*out == NULL)
            rc = tm_fail(err, TM_E_NOMEM, "answer of a commit");
    }
    control_close(&q);
    return rc;
}

/* ---- schema ---- */
enum tm_code tm_control_schema(struct tm_org *org, const json_t *request, const struct tm_now *now,
                               json_t **out, struct tm_err *err)
{
    const char *object = json_string_value(json_object_get(request, "object"));
    json_t *add = json_object_get(request, "add"), *removed = json_object_get(request, "remove");
    if (object == NULL || (json_is_object(add) ? 1 : 0) + (json_is_string(removed) ? 1 : 0) != 1 ||
        json_object_size(request) != 2)
        return org_refuse(org, "JSON_PARSER_ERROR", "", err,
                          "schema: {\"object\": …, \"add\": {field}} or {\"object\": …, "
                          "\"remove\": \"Field__c\"}");
    enum tm_code rc = add != NULL
                          ? tm_org_field_add(org, object, add, now, err)
                          : tm_org_field_remove(org, object, json_string_value(removed), err);
    if (rc == TM_OK) {
        *out = json_pack("{s:s,s:s,s:I}", "object", tm_org_describe(org, object)->object, "schema",
                         tm_org_schema_id(org, object), "from_pos",
                         (json_int_t)tm_org_pos_last(org) + 1);
        if (*out == NULL)
            rc = tm_fail(err, TM_E_NOMEM, "answer of a schema change");
    }
    return rc;
}

/* ---- history ---- */
enum tm_code tm_control_number(struct tm_org *org, int64_t *out, const json_t *request,
                               const char *key, int64_t first, int64_t last, struct tm_err *err)
{
    const json_t *v = json_object_get(request, key);
    const char *text = json_string_value(v);
    char *end = NULL;
    if (v == NULL)
        return TM_OK;
    int64_t n = text != NULL ? strtoll(text, &end, 10) : json_integer_value(v);
    if ((text != NULL ? *text == 0 || *end != 0 : !json_is_integer(v)) || n < first || n > last)
        return org_refuse(org, "INVALID_PARAMETER", "", err,
                          "%s must be a whole number from %lld to %lld", key, (long long)first,
                          (long long)last);
    *out = n;
    return TM_OK;
}

static json_t *control_entry(sqlite3_stmt *s)
{
    static const char *const texts[] = { "object", "id", "txn", "change", "event" };
    static const char *const numbers[] = { "pos",       "version", "seq",
                                           "replay_id", "org_ms",  "intended_ms" };
    json_t *e = json_object();
    for (int i = 0; i < 5; i++) {
        const char *t = (const char *)sqlite3_column_text(s, i);
        json_object_set_new(e, texts[i], t != NULL ? json_string(t) : json_null());
    }
    for (int i = 0; i < 6; i++)
        json_object_set_new(e, numbers[i],
                            sqlite3_column_type(s, 5 + i) == SQLITE_NULL
                                ? json_null()
                                : json_integer(sqlite3_column_int64(s, 5 + i)));
    json_object_set_new(e, "changed",
                        json_loads((const char *)sqlite3_column_text(s, 11), 0, NULL));
    json_object_set_new(e, "fields", json_loads((const char *)sqlite3_column_text(s, 12), 0, NULL));
    return e;
}

enum tm_code tm_control_history(struct tm_org *org, const json_t *request, json_t **out,
                                struct tm_err *err)
{
    static const char *const known[] = { "object", "id", "after_pos", "limit" };
    const char *object = json_string_value(json_object_get(request, "object"));
    const char *id = json_string_value(json_object_get(request, "id"));
    int64_t after = 0, limit = 200;
    char id18[TM_ID_BYTES] = "";
    sqlite3_stmt *s = NULL;
    json_t *entries = json_array();
    bool row = true;
    enum tm_code rc = tm_control_known(org, request, known, 4, err);
    if (rc == TM_OK)
        rc = tm_control_number(org, &after, request, "after_pos", 0, INT64_MAX, err);
    if (rc == TM_OK)
        rc = tm_control_number(org, &limit, request, "limit", 1, CONTROL_HISTORY_MAX, err);
    if (rc == TM_OK && object != NULL && tm_org_describe(org, object) == NULL)
        rc = org_refuse(org, "INVALID_TYPE", "", err, "sObject type '%.80s' is not supported",
                        object);
    if (rc == TM_OK && id != NULL && tm_id18(id18, id, NULL) != TM_OK)
        rc = org_refuse(org, "MALFORMED_ID", "Id", err, "%.20s is not an id", id);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s, org->db,
                            "SELECT "
                            "object,id,txn,change,event,pos,version,seq,replay_id,org_ms,intended_"
                            "ms,changed,"
                            "fields FROM history WHERE pos>?1 AND (?2 IS NULL OR object=?2) AND "
                            "(?3='' OR id=?3) "
                            "ORDER BY pos LIMIT ?4",
                            err);
    if (rc == TM_OK) {
        sqlite3_bind_int64(s, 1, after);
        sqlite3_bind_text(s, 2, object != NULL ? tm_org_describe(org, object)->object : NULL, -1,
                          SQLITE_TRANSIENT);
        sqlite3_bind_text(s, 3, id18, -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 4, limit);
    }
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row)
        json_array_append_new(entries, control_entry(s));
    tm_sql_finalize(s);
    if (rc == TM_OK)
        *out = json_pack("{s:O,s:I}", "entries", entries, "pos_last", (json_int_t)org->pos_last);
    json_decref(entries);
    return rc;
}
