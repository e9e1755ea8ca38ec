#include "mocks/salesforce/custom_channel.h"
#include "mocks/salesforce/org_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct custom_channel {
    char name[96];
    char *objects; /* ",Account,Opportunity," */
    json_t *definition;
};
struct tm_custom_channels {
    struct tm_org *org;
    struct custom_channel list[TM_CUSTOM_CHANNELS_MAX];
    size_t count;
};

static struct custom_channel *custom_find(const struct tm_custom_channels *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->list[i].name, name) == 0)
            return (struct custom_channel *)&c->list[i];
    return NULL;
}

const char *tm_custom_channel_objects(const struct tm_custom_channels *c, const char *name)
{
    const struct custom_channel *channel = custom_find(c, name);
    return channel != NULL ? channel->objects : NULL;
}

json_t *tm_custom_channels_list(const struct tm_custom_channels *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->count; i++)
        json_array_append(list, c->list[i].definition);
    return list;
}

/* ---- definitions ---- */

static void custom_free(struct custom_channel *channel)
{
    free(channel->objects);
    json_decref(channel->definition);
    *channel = (struct custom_channel){ 0 };
}

static const char *custom_object(const json_t *member)
{
    return json_string_value(json_is_object(member) ? json_object_get(member, "object") : member);
}

static enum tm_code custom_check_member(const struct tm_custom_channels *c, const char *name,
                                        const json_t *member, struct tm_err *err)
{
    const char *object = custom_object(member), *key;
    const struct tm_describe *d = object != NULL ? tm_org_describe(c->org, object) : NULL;
    const json_t *enriched = json_object_get(member, "enriched");
    size_t i;
    json_t *field, *value;
    if (d == NULL || !tm_org_announced(c->org, object) || strcmp(d->object, object) != 0)
        return tm_fail(err, TM_E_ARG, "channel %s: %.60s is no object with change events", name,
                       object != NULL ? object : "a member without \"object\"");
    if (json_is_object(member))
        json_object_foreach((json_t *)member, key, value) if (
            strcmp(key, "object") != 0 &&
            strcmp(key, "enriched") !=
                0) return tm_fail(err, TM_E_ARG,
                                  "channel %s: a member has \"object\" and \"enriched\", not %.40s",
                                  name, key);
    if (enriched != NULL &&
        (!json_is_array(enriched) || json_array_size(enriched) > TM_ENRICHED_FIELDS_MAX))
        return tm_fail(err, TM_E_ARG, "channel %s: \"enriched\" is a list of at most %d fields",
                       name, TM_ENRICHED_FIELDS_MAX);
    json_array_foreach(enriched, i, field)
    {
        const char *word = json_string_value(field);
        const struct tm_field *f = word != NULL ? tm_describe_field(d, word) : NULL;
        if (f == NULL || f->kind == TM_FIELD_COMPOUND || f->compound != NULL)
            return tm_fail(err, TM_E_ARG, "channel %s: %s cannot be enriched with %.60s", name,
                           object, word != NULL ? word : "what is not a name");
    }
    return TM_OK;
}

static enum tm_code custom_check(const struct tm_custom_channels *c, const json_t *definition,
                                 struct tm_err *err)
{
    const char *name = json_string_value(json_object_get(definition, "name"));
    const json_t *members = json_object_get(definition, "members"), *member;
    size_t n = name != NULL ? strlen(name) : 0, i;
    if (n < 6 || n > 80 || strcmp(name + n - 5, "__chn") != 0 ||
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != n)
        return tm_fail(err, TM_E_ARG,
                       "a channel needs a \"name\" of letters, digits and _ that ends in __chn");
    if (!json_is_array(members) || json_array_size(members) > TM_CUSTOM_MEMBERS_MAX ||
        json_object_size(definition) != 2)
        return tm_fail(err, TM_E_ARG,
                       "channel %s: it has \"name\" and \"members\", a list of objects", name);
    enum tm_code rc = TM_OK;
    json_array_foreach(members, i, member) if (rc == TM_OK) rc =
        custom_check_member(c, name, member, err);
    if (rc == TM_OK && json_array_size(members) > 0 && custom_find(c, name) == NULL &&
        c->count == TM_CUSTOM_CHANNELS_MAX)
        rc = tm_fail(err, TM_E_LIMIT, "more than %d custom channels", TM_CUSTOM_CHANNELS_MAX);
    return rc;
}

static enum tm_code custom_take(struct tm_custom_channels *c, const json_t *definition,
                                struct tm_err *err)
{
    const char *name = json_string_value(json_object_get(definition, "name"));
    const json_t *members = json_object_get(definition, "members"), *member;
    struct custom_channel *channel = custom_find(c, name);
    struct tm_buf objects;
    size_t i;
    if (json_array_size(members) == 0) {
        if (channel != NULL) {
            custom_free(channel);
            *channel = c->list[--c->count];
        }
        return TM_OK;
    }
    tm_buf_init(&objects, 100 * TM_CUSTOM_MEMBERS_MAX);
    json_array_foreach(members, i, member) tm_buf_addf(&objects, ",%s", custom_object(member));
    tm_buf_addc(&objects, ',');
    json_t *copy = json_deep_copy(definition);
    if (tm_buf_check(&objects, "a channel", err) != TM_OK || copy == NULL) {
        tm_buf_free(&objects);
        json_decref(copy);
        return tm_fail(err, TM_E_NOMEM, "channel %s", name);
    }
    if (channel == NULL)
        channel = &c->list[c->count++];
    else
        custom_free(channel);
    *channel = (struct custom_channel){ .objects = objects.data, .definition = copy };
    snprintf(channel->name, sizeof channel->name, "%s", name);
    return TM_OK;
}

static enum tm_code custom_store(struct tm_custom_channels *c, const json_t *definition,
                                 struct tm_err *err)
{
    bool gone = json_array_size(json_object_get(definition, "members")) == 0;
    char *text = json_dumps(definition, JSON_COMPACT);
    sqlite3_stmt *s = NULL;
    enum tm_code rc = text != NULL ? TM_OK : tm_fail(err, TM_E_NOMEM, "a channel");
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s, tm_org_db(c->org),
                            gone ? "DELETE FROM custom_channel WHERE name=?1"
                                 : "INSERT OR REPLACE INTO custom_channel VALUES(?1,?2)",
                            err);
    if (rc == TM_OK) {
        sqlite3_bind_text(s, 1, json_string_value(json_object_get(definition, "name")), -1,
                          SQLITE_STATIC);
        if (!gone)
            sqlite3_bind_text(s, 2, text, -1, SQLITE_STATIC);
        rc = tm_sql_run(s, err);
    }
    tm_sql_finalize(s);
    free(text);
    return rc;
}

enum tm_code tm_custom_channel_set(struct tm_custom_channels *c, const json_t *definition,
                                   struct tm_err *err)
{
    enum tm_code rc = custom_check(c, definition, err);
    if (rc == TM_OK)
        rc = custom_store(c, definition, err);
    return rc == TM_OK ? custom_take(c, definition, err) : rc;
}

/* Those of before; one whose objects are not served this time waits in the file. */
static enum tm_code custom_load(struct tm_custom_channels *c, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    enum tm_code rc = tm_sql_exec(tm_org_db(c->org),
                                  "CREATE TABLE IF NOT EXISTS custom_channel(name TEXT PRIMARY "
                                  "KEY, definition TEXT NOT NULL) WITHOUT ROWID",
                                  err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s, tm_org_db(c->org),
                            "SELECT definition FROM custom_channel ORDER BY name", err);
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row) {
        json_t *definition = json_loads((const char *)sqlite3_column_text(s, 0), 0, NULL);
        if (custom_check(c, definition, NULL) == TM_OK)
            rc = custom_take(c, definition, err);
        json_decref(definition);
    }
    tm_sql_finalize(s);
    return rc;
}

enum tm_code tm_custom_channels_open(struct tm_custom_channels **out, struct tm_org *org,
                                     struct tm_err *err)
{
    struct tm_custom_channels *c = calloc(1, sizeof *c);
    if (c == NULL)
        return tm_fail(err, TM_E_NOMEM, "custom channels");
    c->org = org;
    enum tm_code rc = custom_load(c, err);
    if (rc == TM_OK)
        *out = c;
    else
        tm_custom_channels_close(c);
    return rc;
}

void tm_custom_channels_close(struct tm_custom_channels *c)
{
    if (c == NULL)
        return;
    while (c->count > 0)
        custom_free(&c->list[--c->count]);
    free(c);
}

/* ---- enrichment ---- */

static const json_t *custom_enriched(const struct tm_custom_channels *c, const char *name,
                                     const char *object)
{
    const struct custom_channel *channel = custom_find(c, name);
    const json_t *members =
        channel != NULL ? json_object_get(channel->definition, "members") : NULL;
    const json_t *member;
    size_t i;
    json_array_foreach(members, i, member) if (json_is_object(member) &&
                                               strcmp(custom_object(member), object) ==
                                                   0) return json_object_get(member, "enriched");
    return NULL;
}

/* Entry by entry back from the one the event tells of, until one knows the field. Its fields as
 * JSON; NULL: it never had a value. */
static json_t *custom_entry(struct tm_custom_channels *c, const char *object, const char *field,
                            const char *id, int64_t replay_id)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    json_t *entry = NULL;
    enum tm_code rc =
        tm_sql_prepare(&s, tm_org_db(c->org),
                       "SELECT change, fields FROM history WHERE object=?1 AND id=?2 AND version<="
                       "(SELECT max(version) FROM history WHERE object=?1 AND id=?2 AND "
                       "replay_id=?3) ORDER BY version DESC",
                       NULL);
    if (rc == TM_OK) {
        sqlite3_bind_text(s, 1, object, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 2, id, -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 3, replay_id);
    }
    while (rc == TM_OK && entry == NULL && (rc = tm_sql_step(s, &row, NULL)) == TM_OK && row) {
        const char *change = (const char *)sqlite3_column_text(s, 0);
        entry = json_loads((const char *)sqlite3_column_text(s, 1), 0, NULL);
        if (json_object_get(entry, field) == NULL && strcmp(change, "CREATE") != 0 &&
            strcmp(change, "UNDELETE") != 0) {
            json_decref(entry);
            entry = NULL;
        }
    }
    tm_sql_finalize(s);
    return entry;
}

/* The field's value at the event's commit, as events spell it; NULL when it was empty. */
static json_t *custom_value(struct tm_custom_channels *c, const struct tm_describe *d,
                            const struct tm_field *f, const char *id, int64_t replay_id)
{
    json_t *entry = custom_entry(c, d->object, f->name, id, replay_id), *value = NULL;
    struct tm_buf text;
    struct tm_org_value found;
    org_value_of_history(&found, f, json_object_get(entry, f->name));
    tm_buf_init(&text, ORG_BODY_BYTES_MAX);
    if (found.kind != TM_ORG_NULL) {
        org_render_wire(&text, f, &found);
        value = json_loadb(tm_buf_text(&text), text.bytes, JSON_DECODE_ANY, NULL);
    }
    tm_buf_free(&text);
    json_decref(entry);
    return value;
}

/* The event of one record, with the fields it is enriched with. False: `row` stopped. */
static bool custom_one(struct tm_custom_channels *c, const struct tm_org_event *event,
                       const json_t *data, const json_t *id, const json_t *fields,
                       tm_org_event_row *row, void *self)
{
    const struct tm_describe *d = tm_org_describe(c->org, event->object);
    json_t *copy = json_deep_copy(data), *payload = json_object_get(copy, "payload"), *field;
    size_t i;
    struct tm_org_event one = *event;
    json_object_set_new(json_object_get(payload, "ChangeEventHeader"), "recordIds",
                        json_pack("[O]", id));
    json_array_foreach(fields, i, field)
    {
        const struct tm_field *f = tm_describe_field(d, json_string_value(field));
        if (f == NULL || json_object_get(payload, f->name) != NULL)
            continue;
        json_t *value = custom_value(c, d, f, json_string_value(id), event->replay_id);
        if (value != NULL)
            json_object_set_new(payload, f->name, value);
    }
    char *text = json_dumps(copy, JSON_COMPACT);
    one.body = text != NULL ? text : event->body;
    one.body_bytes = strlen(one.body);
    bool more = row(self, &one);
    free(text);
    json_decref(copy);
    return more;
}

bool tm_custom_channel_event(struct tm_custom_channels *c, const char *name,
                             const struct tm_org_event *event, tm_org_event_row *row, void *self)
{
    const json_t *fields = custom_enriched(c, name, event->object);
    json_t *data =
        json_array_size(fields) > 0 ? json_loadb(event->body, event->body_bytes, 0, NULL) : NULL;
    const json_t *header = json_object_get(json_object_get(data, "payload"), "ChangeEventHeader");
    const char *change = json_string_value(json_object_get(header, "changeType"));
    const json_t *ids = json_object_get(header, "recordIds"), *id;
    size_t i;
    bool more = true;
    if (change == NULL || (strcmp(change, "UPDATE") != 0 && strcmp(change, "DELETE") != 0))
        more = row(self, event);
    else
        json_array_foreach(ids, i, id) if (more) more =
            custom_one(c, event, data, id, fields, row, self);
    json_decref(data);
    return more;
}
