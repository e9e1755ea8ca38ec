#include "mocks/salesforce/streaming.h"
#include "mocks/salesforce/control.h"
#include "mocks/salesforce/rest.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- opening and closing ---- */

static enum tm_code streaming_seen(void *self, const struct tm_org_seen *seen, struct tm_err *err)
{
    return tm_pushtopics_seen(((struct tm_streaming *)self)->pushtopics, seen, err);
}

/* The org closes, or this does. */
static void streaming_leave(void *self)
{
    struct tm_streaming *s = self;
    tm_custom_channels_close(s->channels);
    tm_platform_events_close(s->events);
    tm_pushtopics_close(s->pushtopics);
    tm_stream_close(s->stream);
    *s = (struct tm_streaming){ 0 };
}

enum tm_code tm_streaming_open(struct tm_streaming **out, struct tm_org *org, struct tm_err *err)
{
    struct tm_streaming *s = calloc(1, sizeof *s);
    if (s == NULL)
        return tm_fail(err, TM_E_NOMEM, "streaming");
    s->org = org;
    enum tm_code rc = tm_stream_open(&s->stream, org, err);
    if (rc == TM_OK)
        rc = tm_pushtopics_open(&s->pushtopics, org, s->stream, err);
    if (rc == TM_OK)
        rc = tm_platform_events_open(&s->events, org, s->stream, err);
    if (rc == TM_OK)
        rc = tm_custom_channels_open(&s->channels, org, err);
    if (rc != TM_OK) {
        tm_streaming_close(s);
        return rc;
    }
    if (tm_org_describe(org, "PushTopic") != NULL)
        tm_org_watch(org, streaming_seen, s);
    tm_org_on_close(org, streaming_leave, s);
    *out = s;
    return TM_OK;
}

void tm_streaming_close(struct tm_streaming *s)
{
    if (s != NULL && s->org != NULL) {
        tm_org_watch(s->org, NULL, NULL);
        tm_org_on_close(s->org, NULL, NULL);
        streaming_leave(s);
    }
    free(s);
}

/* ---- platform events by REST ---- */

static void streaming_refused(struct tm_streaming *s, struct tm_mock_response *out, enum tm_code rc,
                              const struct tm_err *err)
{
    if (rc != TM_E_ARG)
        tm_rest_broken(out, rc, err);
    else
        tm_rest_error(out, strcmp(tm_org_error_code(s->org), "NOT_FOUND") == 0 ? 404 : 400,
                      tm_org_error_code(s->org), err->msg);
}

static void streaming_post_event(struct tm_streaming *s, const struct tm_mock_request *r,
                                 const char *name, struct tm_mock_response *out)
{
    struct tm_platform_event_result done;
    struct tm_err err;
    json_t *fields = r->body != NULL ? json_loadb(r->body, r->body_bytes, 0, NULL) : NULL;
    tm_err_clear(&err);
    if (!json_is_object(fields)) {
        json_decref(fields);
        tm_rest_error(out, 400, "JSON_PARSER_ERROR", "the body must be a JSON object of fields");
        return;
    }
    enum tm_code rc =
        tm_platform_event_publish(s->events, name, fields, NULL, r->now.org_ms, &done, &err);
    if (rc == TM_OK)
        tm_rest_json(out, 201,
                     json_pack("{s:s,s:b,s:[{s:s,s:s,s:[]}]}", "id", done.id, "success", 1,
                               "errors", "statusCode", "OPERATION_ENQUEUED", "message", done.uuid,
                               "fields"));
    else
        streaming_refused(s, out, rc, &err);
    json_decref(fields);
}

/* The Avro type of a field, as the event bus writes it. */
static const char *streaming_avro(const struct tm_field *f)
{
    switch (f->kind) {
    case TM_FIELD_BOOLEAN: return "boolean";
    case TM_FIELD_INT: return "int";
    case TM_FIELD_NUMBER: return "double";
    case TM_FIELD_DATE:
    case TM_FIELD_DATETIME:
    case TM_FIELD_TIME: return "long";
    default: return "string";
    }
}

static json_t *streaming_schema(const struct tm_describe *d, const char *id)
{
    json_t *fields = json_pack("[{s:s,s:s,s:s},{s:s,s:s,s:s}]", "name", "CreatedDate", "type",
                               "long", "doc", "CreatedDate:DateTime", "name", "CreatedById", "type",
                               "string", "doc", "CreatedBy:EntityId");
    for (size_t i = 0; i < d->fields_count; i++)
        if (d->fields[i].custom)
            json_array_append_new(fields,
                                  json_pack("{s:s,s:[s,s],s:n}", "name", d->fields[i].name, "type",
                                            "null", streaming_avro(&d->fields[i]), "default"));
    return json_pack("{s:s,s:s,s:s,s:o,s:s}", "name", d->object, "namespace", "com.sforce.eventbus",
                     "type", "record", "fields", fields, "uuid", id);
}

static void streaming_event_object(struct tm_streaming *s, const struct tm_mock_request *r,
                                   const struct tm_describe *d, const char *what,
                                   struct tm_mock_response *out)
{
    if (what == NULL && strcmp(r->method, "POST") == 0)
        streaming_post_event(s, r, d->object, out);
    else if (strcmp(r->method, "GET") != 0)
        tm_rest_error(out, 405, "METHOD_NOT_ALLOWED",
                      "platform events are published by POST and described by GET; they are not "
                      "records");
    else if (what == NULL)
        tm_rest_json(out, 200, json_pack("{s:O,s:[]}", "objectDescribe", d->json, "recentItems"));
    else if (strcmp(what, "describe") == 0)
        tm_rest_json(out, 200, json_incref(d->json));
    else if (strcmp(what, "eventSchema") == 0)
        tm_rest_json(out, 200,
                     streaming_schema(d, tm_platform_event_schema_id(s->events, d->object)));
    else
        tm_rest_error(out, 404, "NOT_FOUND", "The requested resource does not exist");
}

static bool streaming_schema_of(struct tm_streaming *s, const char *id,
                                struct tm_mock_response *out)
{
    const struct tm_describe *d;
    for (size_t i = 0; (d = tm_platform_event_at(s->events, i)) != NULL; i++)
        if (strcmp(tm_platform_event_schema_id(s->events, d->object), id) == 0) {
            tm_rest_json(out, 200, streaming_schema(d, id));
            return true;
        }
    return false;
}

/* ---- generic streaming ---- */

/* The name of a StreamingChannel, "" when there is no such record. */
static enum tm_code streaming_channel_name(struct tm_streaming *s, const char *where,
                                           const char *value, char out[96], struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    char sql[160];
    bool row = false;
    *out = '\0';
    if (tm_org_describe(s->org, "StreamingChannel") == NULL)
        return TM_OK;
    snprintf(sql, sizeof sql,
             "SELECT \"Name\" FROM \"cur_StreamingChannel\" WHERE \"IsDeleted\"=0 AND \"%s\"=?",
             where);
    enum tm_code rc = tm_sql_prepare(&stmt, tm_org_db(s->org), sql, err);
    if (rc == TM_OK) {
        sqlite3_bind_text(stmt, 1, value, -1, SQLITE_STATIC);
        rc = tm_sql_step(stmt, &row, err);
    }
    if (rc == TM_OK && row && sqlite3_column_text(stmt, 0) != NULL)
        snprintf(out, 96, "%s", (const char *)sqlite3_column_text(stmt, 0));
    tm_sql_finalize(stmt);
    return rc;
}

bool tm_streaming_generic(struct tm_streaming *s, const char *channel)
{
    char name[96];
    return strncmp(channel, "/u/", 3) == 0 &&
           streaming_channel_name(s, "Name", channel, name, NULL) == TM_OK && *name != '\0';
}

static bool streaming_online(const struct tm_streaming *s, const char *channel)
{
    return s->follows != NULL && s->follows(s->follows_self, channel);
}

/* One pushed payload, and what is told of it: how many users it went to, -1 = all who listen. There
 * is one user; who is named and is not that one gets nothing. */
static enum tm_code streaming_push_one(struct tm_streaming *s, const char *channel,
                                       const json_t *event, int64_t now_org_ms, json_t *results,
                                       struct tm_err *err)
{
    const json_t *payload = json_object_get(event, "payload"),
                 *users = json_object_get(event, "userIds"), *user;
    char time[TM_TIME_BYTES], more[64];
    struct tm_buf body;
    bool all = json_array_size(users) == 0, ours = all, online = streaming_online(s, channel);
    size_t i;
    int64_t replay_id;
    if (!json_is_string(payload) || json_string_length(payload) > TM_PUSH_PAYLOAD_BYTES_MAX)
        return tm_org_refuse(s->org, "INVALID_FIELD", "payload", err,
                             "payload must be a text of at most %d characters",
                             TM_PUSH_PAYLOAD_BYTES_MAX);
    json_t *status = json_object();
    json_array_foreach(users, i, user)
    {
        bool him = json_is_string(user) &&
                   strncmp(json_string_value(user), tm_org_user_id(s->org), 15) == 0;
        ours = ours || him;
        if (json_is_string(user))
            json_object_set_new(status, json_string_value(user), json_boolean(him && online));
    }
    json_array_append_new(results, json_pack("{s:i,s:o}", "fanoutCount",
                                             !online || !ours ? 0
                                             : all            ? -1
                                                              : 1,
                                             "userOnlineStatus", status));
    if (!ours)
        return TM_OK;
    tm_buf_init(&body, 8 * TM_PUSH_PAYLOAD_BYTES_MAX);
    tm_buf_addz(&body, "{\"payload\":");
    tm_buf_add_json_string(&body, json_string_value(payload), json_string_length(payload));
    tm_buf_addc(&body, '}');
    snprintf(more, sizeof more, "\"createdDate\":\"%s\",", tm_time_z(time, now_org_ms));
    enum tm_code rc = tm_buf_check(&body, "a payload", err);
    if (rc == TM_OK)
        rc = tm_stream_put(s->stream, channel, now_org_ms, tm_buf_text(&body), more, &replay_id,
                           err);
    tm_buf_free(&body);
    return rc;
}

static void streaming_push(struct tm_streaming *s, const struct tm_mock_request *r,
                           const char *channel, struct tm_mock_response *out)
{
    json_t *body = r->body != NULL ? json_loadb(r->body, r->body_bytes, 0, NULL) : NULL;
    const json_t *events = json_object_get(body, "pushEvents"), *event;
    json_t *answer = json_array();
    struct tm_err err;
    enum tm_code rc = TM_OK;
    size_t i;
    tm_err_clear(&err);
    if (!json_is_array(events) || json_array_size(events) > TM_PUSH_EVENTS_MAX)
        rc = tm_org_refuse(s->org, "INVALID_FIELD", "pushEvents", &err,
                           "pushEvents must be a list of at most %d events", TM_PUSH_EVENTS_MAX);
    json_array_foreach(events, i, event) if (rc == TM_OK) rc =
        streaming_push_one(s, channel, event, r->now.org_ms, answer, &err);
    json_decref(body);
    if (rc == TM_OK) {
        tm_rest_json(out, 200, answer);
        return;
    }
    json_decref(answer);
    streaming_refused(s, out, rc, &err);
}

static void streaming_generic(struct tm_streaming *s, const struct tm_mock_request *r,
                              const char *id, struct tm_mock_response *out)
{
    char name[96], id18[TM_ID_BYTES];
    struct tm_err err;
    tm_err_clear(&err);
    enum tm_code rc = tm_id18(id18, id, &err) == TM_OK
                          ? streaming_channel_name(s, "Id", id18, name, &err)
                          : TM_E_ARG;
    if (rc != TM_OK && rc != TM_E_ARG)
        tm_rest_broken(out, rc, &err);
    else if (rc != TM_OK || *name == '\0')
        tm_rest_error(out, 404, "NOT_FOUND", "The requested resource does not exist");
    else if (strcmp(r->method, "POST") == 0)
        streaming_push(s, r, name, out);
    else if (strcmp(r->method, "GET") == 0)
        tm_rest_json(out, 200,
                     streaming_online(s, name)
                         ? json_pack("{s:[s],s:s}", "OnlineUserIds", tm_org_user_id(s->org),
                                     "ChannelName", name)
                         : json_pack("{s:[],s:s}", "OnlineUserIds", "ChannelName", name));
    else
        tm_rest_error(out, 405, "METHOD_NOT_ALLOWED",
                      "HTTP Method not allowed. Allowed are GET, "
                      "POST");
}

/* ---- which request is whose ---- */

bool tm_streaming_rest(struct tm_streaming *s, const struct tm_mock_request *r, char *const *parts,
                       size_t parts_count, struct tm_mock_response *out)
{
    if (parts_count == 3 && strcmp(parts[0], "event") == 0 && strcmp(parts[1], "eventSchema") == 0)
        return streaming_schema_of(s, parts[2], out);
    if (parts_count < 2 || strcmp(parts[0], "sobjects") != 0)
        return false;
    const struct tm_describe *d = tm_platform_event(s->events, parts[1]);
    if (d != NULL && parts_count <= 3) {
        streaming_event_object(s, r, d, parts_count == 3 ? parts[2] : NULL, out);
        return true;
    }
    if (parts_count == 4 && strcasecmp(parts[1], "StreamingChannel") == 0 &&
        strcmp(parts[3], "push") == 0) {
        streaming_generic(s, r, parts[2], out);
        return true;
    }
    return false;
}

/* ---- the control API ---- */

enum tm_code tm_streaming_channels(struct tm_streaming *s, const json_t *request, json_t **out,
                                   struct tm_err *err)
{
    enum tm_code rc = request != NULL ? tm_custom_channel_set(s->channels, request, err) : TM_OK;
    if (rc == TM_OK)
        *out = json_pack("{s:o}", "channels", tm_custom_channels_list(s->channels));
    return rc;
}

enum tm_code tm_streaming_publish(struct tm_streaming *s, const json_t *request,
                                  const struct tm_now *now, json_t **out, struct tm_err *err)
{
    const char *object = json_string_value(json_object_get(request, "object"));
    const json_t *fields = json_object_get(request, "fields");
    struct tm_platform_event_result done;
    if (object == NULL || !json_is_object(fields) || json_object_size(request) != 2)
        return tm_fail(err, TM_E_ARG, "events: {\"object\":\"X__e\",\"fields\":{…}} is needed");
    enum tm_code rc =
        tm_platform_event_publish(s->events, object, fields, NULL, now->org_ms, &done, err);
    if (rc == TM_OK)
        *out = json_pack("{s:s,s:s,s:I}", "id", done.id, "uuid", done.uuid, "replay_id",
                         (json_int_t)done.replay_id);
    return rc;
}

/* ---- a scenario's ---- */

static enum tm_code streaming_setup_topic(struct tm_streaming *s, json_t *topic, int64_t org_ms,
                                          struct tm_err *err)
{
    const char *name = json_string_value(json_object_get(topic, "Name"));
    struct tm_now now = { org_ms, 0 };
    if (name == NULL)
        return tm_fail(err, TM_E_ARG, "streaming: a push topic needs \"Name\" and \"Query\"");
    if (tm_pushtopics_has(s->pushtopics, name))
        return TM_OK;
    json_t *fields = json_deep_copy(topic);
    if (json_object_get(fields, "ApiVersion") == NULL)
        json_object_set_new(fields, "ApiVersion", json_real(59.0));
    json_t *answer = NULL, *commit = json_pack("{s:[{s:s,s:s,s:o}]}", "changes", "change", "create",
                                               "object", "PushTopic", "fields", fields);
    enum tm_code rc = tm_control_commit(s->org, commit, &now, 0, &answer, err);
    json_decref(commit);
    json_decref(answer);
    return rc == TM_OK ? rc : tm_at(err, "streaming: push topic %.40s", name);
}

enum tm_code tm_streaming_setup(struct tm_streaming *s, const json_t *setup, int64_t org_ms,
                                struct tm_err *err)
{
    const json_t *topics = json_object_get(setup, "push_topics"),
                 *channels = json_object_get(setup, "channels");
    const char *key;
    json_t *value;
    size_t i;
    enum tm_code rc = TM_OK;
    json_object_foreach((json_t *)setup, key, value) if (
        strcmp(key, "push_topics") != 0 &&
        strcmp(key, "channels") !=
            0) return tm_fail(err, TM_E_ARG,
                              "streaming: it has \"push_topics\" and \"channels\", not \"%.40s\"",
                              key);
    json_array_foreach(topics, i, value) if (rc == TM_OK) rc =
        streaming_setup_topic(s, value, org_ms, err);
    json_array_foreach(channels, i, value) if (rc == TM_OK) rc =
        tm_custom_channel_set(s->channels, value, err);
    return rc;
}
