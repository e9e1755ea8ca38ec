#include "mocks/salesforce/platform_event.h"
#include "mocks/salesforce/org_impl.h"
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PLATFORM_EVENT_BODY_BYTES_MAX (1u << 20) /* an event has at most 1 MB */

struct platform_event {
    struct tm_describe *describe;
    char schema_id[24];
    int64_t retention_ms;
};
struct tm_platform_events {
    struct tm_org *org;
    struct tm_stream *stream;
    struct platform_event list[TM_PLATFORM_EVENTS_MAX];
    size_t count;
    struct tm_buf body;
};

/* ---- definitions ---- */

static enum tm_code event_load(struct tm_platform_events *p, const char *path, struct tm_err *err)
{
    struct platform_event *e = &p->list[p->count];
    if (p->count == TM_PLATFORM_EVENTS_MAX)
        return tm_fail(err, TM_E_LIMIT, "%s: more than %d platform events", path,
                       TM_PLATFORM_EVENTS_MAX);
    enum tm_code rc = tm_describe_load(&e->describe, path, err);
    if (rc != TM_OK)
        return rc;
    const struct tm_describe *d = e->describe;
    const char *volume = json_string_value(json_object_get(d->json, "tidemarkVolume"));
    size_t n = strlen(d->object);
    if (n < 4 || n > 80 || strcmp(d->object + n - 3, "__e") != 0 || d->key_prefix == NULL ||
        strlen(d->key_prefix) != 3 || tm_platform_event(p, d->object) != NULL) {
        rc = tm_fail(err, TM_E_ARG,
                     "%s: a platform event has a name of its own that ends in __e, and a keyPrefix "
                     "of three characters",
                     path);
        tm_describe_close(e->describe);
        *e = (struct platform_event){ 0 };
        return rc;
    }
    org_schema_id_make(e->schema_id, d->json);
    e->retention_ms =
        (volume != NULL && strcmp(volume, "standard") == 0 ? 1 : 3) * TM_STREAM_DAY_MS;
    p->count++;
    return TM_OK;
}

static int event_by_name(const void *a, const void *b)
{
    return strcmp(((const struct platform_event *)a)->describe->object,
                  ((const struct platform_event *)b)->describe->object);
}

static enum tm_code event_folder(struct tm_platform_events *p, struct tm_err *err)
{
    const char *objects = tm_org_settings(p->org)->objects_dir;
    char folder[3072], path[4096];
    enum tm_code rc = TM_OK;
    snprintf(folder, sizeof folder, "%.3000s/events", objects != NULL ? objects : ".");
    DIR *d = objects != NULL ? opendir(folder) : NULL;
    if (d == NULL)
        return TM_OK;
    for (struct dirent *e; rc == TM_OK && (e = readdir(d)) != NULL;) {
        size_t n = strlen(e->d_name);
        if (n < 6 || e->d_name[0] == '.' || strcmp(e->d_name + n - 5, ".json") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        rc = event_load(p, path, err);
    }
    closedir(d);
    qsort(p->list, p->count, sizeof *p->list, event_by_name);
    return rc;
}

static const struct platform_event *event_find(const struct tm_platform_events *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcasecmp(p->list[i].describe->object, name) == 0)
            return &p->list[i];
    return NULL;
}

const struct tm_describe *tm_platform_event(const struct tm_platform_events *p, const char *name)
{
    const struct platform_event *e = event_find(p, name);
    return e != NULL ? e->describe : NULL;
}

const struct tm_describe *tm_platform_event_at(const struct tm_platform_events *p, size_t index)
{
    return index < p->count ? p->list[index].describe : NULL;
}

const char *tm_platform_event_schema_id(const struct tm_platform_events *p, const char *name)
{
    const struct platform_event *e = event_find(p, name);
    return e != NULL ? e->schema_id : "";
}

int64_t tm_platform_event_retention_ms(const struct tm_platform_events *p, const char *name)
{
    const struct platform_event *e = event_find(p, name);
    return e != NULL ? e->retention_ms : 0;
}

enum tm_code tm_platform_events_open(struct tm_platform_events **out, struct tm_org *org,
                                     struct tm_stream *stream, struct tm_err *err)
{
    struct tm_platform_events *p = calloc(1, sizeof *p);
    if (p == NULL)
        return tm_fail(err, TM_E_NOMEM, "platform events");
    p->org = org;
    p->stream = stream;
    tm_buf_init(&p->body, PLATFORM_EVENT_BODY_BYTES_MAX);
    enum tm_code rc = event_folder(p, err);
    if (rc == TM_OK)
        *out = p;
    else
        tm_platform_events_close(p);
    return rc;
}

void tm_platform_events_close(struct tm_platform_events *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->count; i++)
        tm_describe_close(p->list[i].describe);
    tm_buf_free(&p->body);
    free(p);
}

/* ---- publishing ---- */

static bool event_system(const char *field)
{
    static const char *const kept[] = { "ReplayId", "CreatedDate", "CreatedById", "EventUuid",
                                        "Id" };
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (strcasecmp(kept[i], field) == 0)
            return true;
    return false;
}

/* Every field that is named must be the event's, and may be written. */
static enum tm_code event_names(struct tm_platform_events *p, const struct tm_describe *d,
                                const json_t *fields, struct tm_err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)fields, key, value)
    {
        const struct tm_field *f = tm_describe_field(d, key);
        if (strcmp(key, "attributes") == 0)
            continue;
        if (f == NULL)
            return tm_org_refuse(p->org, "INVALID_FIELD", key, err,
                                 "No such column '%.60s' on sobject of type %s", key, d->object);
        if (event_system(key))
            return tm_org_refuse(p->org, "INVALID_FIELD_FOR_INSERT_UPDATE", key, err,
                                 "Unable to create/update fields: %.60s. Please check the security "
                                 "settings of this field",
                                 key);
    }
    return TM_OK;
}

static const json_t *event_value(const json_t *fields, const char *name)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)fields, key, value) if (strcasecmp(key, name) == 0) return value;
    return NULL;
}

static enum tm_code event_field(struct tm_platform_events *p, const struct tm_field *f,
                                const json_t *fields, struct tm_err *err)
{
    char scratch[TM_TIME_BYTES];
    struct tm_org_value given, value;
    const struct org_column column = { .name = f->name, .field = f };
    const json_t *json = event_value(fields, f->name),
                 *preset = json_object_get(f->json, "defaultValue");
    enum tm_code rc = tm_org_value_of_json(&given, scratch, f, json != NULL ? json : preset, err);
    if (rc != TM_OK)
        return tm_org_refuse(p->org, "JSON_PARSER_ERROR", f->name, err, "%.60s is not a %.20s",
                             f->name, f->type);
    if ((rc = org_value_check(p->org, &value, &column, &given, err)) != TM_OK)
        return rc;
    if (value.kind == TM_ORG_NULL && f->kind == TM_FIELD_BOOLEAN)
        value = (struct tm_org_value){ TM_ORG_INT, 0, 0, NULL };
    if (value.kind == TM_ORG_NULL && !f->nillable)
        return tm_org_refuse(p->org, "REQUIRED_FIELD_MISSING", f->name, err,
                             "Required fields are missing: [%.60s]", f->name);
    tm_buf_addf(&p->body, ",\"%s\":", f->name);
    org_render_wire(&p->body, f, &value);
    return TM_OK;
}

static void event_uuid(const struct tm_platform_events *p, const char *channel, char out[])
{
    uint64_t seed = tm_org_settings(p->org)->seed, n = (uint64_t)tm_stream_last(p->stream, channel);
    uint64_t a = tm_hash64(channel, strlen(channel), seed ^ (n * 2 + 1)),
             b = tm_hash64(channel, strlen(channel), ~seed ^ (n * 2 + 1));
    snprintf(out, TM_UUID_BYTES, "%08x-%04x-4%03x-%04x-%012" PRIx64, (unsigned)(a & 0xffffffffu),
             (unsigned)(a >> 32 & 0xffff), (unsigned)(a >> 48 & 0xfff),
             (unsigned)(b & 0x3fff) | 0x8000u, b >> 16);
}

enum tm_code tm_platform_event_publish(struct tm_platform_events *p, const char *name,
                                       const json_t *fields, const char *user, int64_t now_org_ms,
                                       struct tm_platform_event_result *out, struct tm_err *err)
{
    const struct platform_event *e = event_find(p, name);
    char channel[96], event[80], time[TM_TIME_BYTES];
    if (e == NULL)
        return tm_org_refuse(p->org, "NOT_FOUND", "", err, "there is no platform event %.80s",
                             name);
    const struct tm_describe *d = e->describe;
    enum tm_code rc = event_names(p, d, fields, err);
    tm_buf_reset(&p->body);
    tm_buf_addf(
        &p->body, "{\"schema\":\"%s\",\"payload\":{\"CreatedDate\":\"%s\",\"CreatedById\":\"%s\"",
        e->schema_id, tm_time_z(time, now_org_ms), user != NULL ? user : tm_org_user_id(p->org));
    for (size_t i = 0; i < d->fields_count && rc == TM_OK; i++)
        if (!event_system(d->fields[i].name))
            rc = event_field(p, &d->fields[i], fields, err);
    tm_buf_addz(&p->body, "}}");
    if (rc == TM_OK && tm_buf_check(&p->body, "a platform event", err) != TM_OK)
        rc = tm_org_refuse(p->org, "LIMIT_EXCEEDED", "", err, "the event is larger than 1 MB");
    if (rc != TM_OK)
        return rc;
    snprintf(channel, sizeof channel, "/event/%s", d->object);
    event_uuid(p, channel, out->uuid);
    snprintf(event, sizeof event, "\"EventUuid\":\"%s\",", out->uuid);
    rc = tm_stream_put(p->stream, channel, now_org_ms, tm_buf_text(&p->body), event,
                       &out->replay_id, err);
    tm_org_id_of(p->org, out->id, d->key_prefix, rc == TM_OK ? out->replay_id : 0);
    return rc;
}
