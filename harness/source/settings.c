/* settings: the connector's config keys (facts/connectors.md 1.1), checked and turned into what the
 * station needs. */
#include "source/source.h"
#include "salesforce/sign_in.h"
#include "event/contract.h"
#include "base/text.h"
#include "topic/properties.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct tm_key source_keys[] = {
    { "kafka.topic", TM_KEY_TEXT, TM_KEY_REQUIRED, NULL, 0, 0, NULL,
      "topic, may hold ${_ObjectType} and ${_EventType}" },
    { "kafka.topic.lowercase", TM_KEY_BOOL, 0, "true", 0, 0, NULL, "lower-case the topic's name" },
    { "salesforce.cdc.name", TM_KEY_TEXT, 0, NULL, 0, 0, NULL,
      "OpportunityChangeEvent, Deal__ChangeEvent" },
    { "salesforce.cdc.channel", TM_KEY_TEXT, 0, NULL, 0, 0, NULL, "the same key's newer name" },
    { "salesforce.push.topic.name", TM_KEY_TEXT, 0, NULL, 0, 0, NULL,
      "a PushTopic instead of change events" },
    { "salesforce.object", TM_KEY_TEXT, 0, NULL, 0, 0, NULL, "the PushTopic's object" },
    { "salesforce.push.topic.create", TM_KEY_BOOL, 0, "true", 0, 0, NULL,
      "make the PushTopic when it is not there" },
    { "salesforce.push.topic.notify.create", TM_KEY_BOOL, 0, "true", 0, 0, NULL,
      "of a PushTopic made here: tell of creates" },
    { "salesforce.push.topic.notify.update", TM_KEY_BOOL, 0, "true", 0, 0, NULL, "… updates" },
    { "salesforce.push.topic.notify.delete", TM_KEY_BOOL, 0, "true", 0, 0, NULL, "… deletes" },
    { "salesforce.push.topic.notify.undelete", TM_KEY_BOOL, 0, "true", 0, 0, NULL, "… undeletes" },
    { "salesforce.platform.event.name", TM_KEY_TEXT, 0, NULL, 0, 0, NULL,
      "a platform event (X__e) instead of change events" },
    { "salesforce.channel.entities", TM_KEY_LIST, 0, NULL, 0, 0, NULL,
      "of multi-entity channels, which are refused here" },
    { "salesforce.initial.start", TM_KEY_TEXT, 0, "latest", 0, 0, "latest|all",
      "where to begin without a checkpoint" },
    { "invalid.replay.id.behaviour", TM_KEY_TEXT, 0, "all", 0, 0, "all|latest|fail",
      "when the replay line broke (R15)" },
    { "convert.changed.fields", TM_KEY_BOOL, 0, "false", 0, 0, NULL,
      "changedFields in the topic's column names" },
    TM_SF_KEYS,
    { "connection.timeout", TM_KEY_INT, 0, "30000", 5000, 600000, NULL,
      "ms; accepted, the client's own limits hold" },
    { "connection.max.message.size", TM_KEY_INT, 0, "1048576", 1024, 1 << 30, NULL,
      "bytes one poll may bring" },
    { "request.max.retries.time.ms", TM_KEY_INT, 0, "900000", 1, INT32_MAX, NULL,
      "how long a call is tried" },
    { "salesforce.auth.retries.time.ms", TM_KEY_INT, 0, "30000", 1, INT32_MAX, NULL,
      "how long sign-in is tried" },
    { "output.data.format", TM_KEY_TEXT, 0, "AVRO", 0, 0, NULL, "AVRO" },
    { "tasks.max", TM_KEY_INT, 0, "1", 0, 0, NULL, "1: the connector's own hard limit" },
    { "tidemark.pipeline", TM_KEY_TEXT, 0, "source", 0, 0, NULL,
      "name in User-Agent, for the org's accounts" },
    { "tidemark.merged.events", TM_KEY_TEXT, 0, "explode", 0, 0, "explode|keep",
      "a record per id, or the connector's one" },
    { "tidemark.audit.interval.ms", TM_KEY_INT, 0, "0", 0, INT64_MAX, NULL,
      "org time between asked whole copies; 0 = never" },
    { "tidemark.calls.per.second", TM_KEY_INT, 0, "0", 0, 100000, NULL,
      "rate limit on REST calls; 0 = none" },
    { "tidemark.reading.groups", TM_KEY_LIST, 0, NULL, 0, 0, NULL,
      "groups that read the topics (embedded broker: pausing)" },
    TM_PROPERTIES_ENTRY,
    { "tidemark.offsets.topic", TM_KEY_TEXT, 0, TM_TOPIC_OFFSETS, 0, 0, NULL,
      "checkpoints by object; another one for every org and topic on the same brokers" },
    TM_TOPICS_ENTRIES,
    TM_PROPERTIES_CLOUD_ENTRIES,
    TM_KEY_ACCEPTED("name"),
    TM_KEY_ACCEPTED("http.proxy"),
    TM_KEY_ACCEPTED("http.proxy.auth.scheme"),
    TM_KEY_ACCEPTED("http.proxy.user"),
    TM_KEY_ACCEPTED_SECRET("http.proxy.password"),
    TM_KEY_ACCEPTED("curl.logging"),
    TM_KEY_ACCEPTED("exactly.once.support"),
    TM_KEY_ACCEPTED("transaction.boundary"),
    TM_KEY_ACCEPTED("key.converter"),
    TM_KEY_ACCEPTED("value.converter"),
    TM_KEY_ACCEPTED("value.converter.schema.registry.url"),
    TM_KEY_ACCEPTED("errors.tolerance"),
    TM_KEY_ACCEPTED("confluent.topic.bootstrap.servers"),
    TM_KEY_ACCEPTED("confluent.topic.replication.factor"),
    TM_KEY_ACCEPTED_SECRET("confluent.license"),
    TM_KEY_ACCEPTED("schema.context.name"),
};

const struct tm_key *tm_source_keys(size_t *out_count)
{
    *out_count = sizeof source_keys / sizeof source_keys[0];
    return source_keys;
}

/* The channel of a PushTopic or platform event. */
static enum tm_code settings_push(struct tm_source_settings *out, const struct tm_config *config,
                                  const char *topic, const char *event, struct tm_err *err)
{
    static const char *const notify[] = { "salesforce.push.topic.notify.create",
                                          "salesforce.push.topic.notify.update",
                                          "salesforce.push.topic.notify.delete",
                                          "salesforce.push.topic.notify.undelete" };
    const char *file = tm_config_name(config),
               *object = topic != NULL ? tm_config_text(config, "salesforce.object") : event;
    size_t n = event != NULL ? strlen(event) : 0;
    if (tm_config_text(config, "salesforce.cdc.name") != NULL ||
        tm_config_text(config, "salesforce.cdc.channel") != NULL ||
        (topic != NULL && event != NULL))
        return tm_fail(err, TM_E_ARG,
                       "config %s: give one of salesforce.cdc.name, salesforce.push.topic.name and "
                       "salesforce.platform.event.name: a connector reads one channel",
                       file);
    if (topic != NULL && object == NULL)
        return tm_fail(err, TM_E_ARG,
                       "config %s: salesforce.object is missing; name the object of the PushTopic",
                       file);
    if (topic != NULL && (*topic == '\0' || strlen(topic) > 25 || strpbrk(topic, "/?* ") != NULL))
        return tm_fail(
            err, TM_E_ARG,
            "config %s: salesforce.push.topic.name \"%.40s\" is no PushTopic's name (1 to "
            "25 characters)",
            file, topic);
    if (event != NULL && (n < 4 || n > 80 || strcmp(event + n - 3, "__e") != 0))
        return tm_fail(err, TM_E_ARG,
                       "config %s: salesforce.platform.event.name \"%.60s\" does not end in __e",
                       file, event);
    if (strstr(out->topic_template, "${_EventType}") != NULL)
        return tm_fail(
            err, TM_E_ARG,
            "config %s: kafka.topic holds ${_EventType}, which only change events can be "
            "parted by here",
            file);
    out->kind = topic != NULL ? TM_SOURCE_PUSH_TOPIC : TM_SOURCE_PLATFORM_EVENT;
    snprintf(out->object, sizeof out->object, "%s", object);
    snprintf(out->object_type, sizeof out->object_type, "%s", object);
    snprintf(out->channel, sizeof out->channel, "/%s/%s", topic != NULL ? "topic" : "event",
             topic != NULL ? topic : event);
    snprintf(out->name, sizeof out->name, "%s-%s", topic != NULL ? "topic" : "event",
             topic != NULL ? topic : event);
    out->push_topic_create = tm_config_bool(config, "salesforce.push.topic.create");
    for (size_t i = 0; i < 4; i++)
        out->push_topic_notify[i] = tm_config_bool(config, notify[i]);
    return TM_OK;
}

/* OpportunityChangeEvent -> Opportunity, Deal__ChangeEvent -> Deal__c. */
static enum tm_code settings_object(struct tm_source_settings *out, const struct tm_config *config,
                                    struct tm_err *err)
{
    static const char tail[] = "ChangeEvent";
    const char *file = tm_config_name(config),
               *name = tm_config_text(config, "salesforce.cdc.name");
    const char *channel = tm_config_text(config, "salesforce.cdc.channel"),
               *word = channel != NULL ? channel : name;
    const char *push = tm_config_text(config, "salesforce.push.topic.name"),
               *event = tm_config_text(config, "salesforce.platform.event.name");
    if (push != NULL || event != NULL)
        return settings_push(out, config, push, event, err);
    if (word == NULL)
        return tm_fail(
            err, TM_E_ARG,
            "config %s: salesforce.cdc.name (newer: salesforce.cdc.channel) is missing; give "
            "OpportunityChangeEvent or the like",
            file);
    if (name != NULL && channel != NULL && strcmp(name, channel) != 0)
        return tm_fail(err, TM_E_ARG,
                       "config %s: salesforce.cdc.name is %.60s and salesforce.cdc.channel is "
                       "%.60s; they are one "
                       "key's two names: give one",
                       file, name, channel);
    size_t n = strlen(word), t = strlen(tail);
    if (strcmp(word, "ChangeEvents") == 0 || (n > 5 && strcmp(word + n - 5, "__chn") == 0))
        return tm_fail(
            err, TM_E_ARG,
            "config %s: channel %.60s carries several objects; give one connector per object, as "
            "OpportunityChangeEvent",
            file, word);
    if (n <= t || strcmp(word + n - t, tail) != 0 || n >= sizeof out->object - 3)
        return tm_fail(err, TM_E_ARG,
                       "config %s: salesforce.cdc.name \"%.60s\" does not end in ChangeEvent", file,
                       word);
    bool custom = n > t + 2 && strncmp(word + n - t - 2, "__", 2) == 0;
    snprintf(out->object, sizeof out->object, "%.*s%s", (int)(n - t), word, custom ? "c" : "");
    snprintf(out->channel, sizeof out->channel, "/data/%s", word);
    snprintf(out->name, sizeof out->name, "%s", out->object);
    snprintf(out->object_type, sizeof out->object_type, "%s", word);
    return TM_OK;
}

static enum tm_code settings_session(struct tm_source_settings *out, const struct tm_config *config,
                                     const char *salesforce_url, struct tm_err *err)
{
    const char *file = tm_config_name(config);
    struct tm_sf_settings *s = &out->session;
    tm_sf_settings_read(s, config, salesforce_url);
    s->calls_per_second_max = (double)tm_config_int(config, "tidemark.calls.per.second");
    s->seed = tm_hash64(out->object, strlen(out->object), 1);
    return tm_sf_settings_check(s, err) == TM_OK ? TM_OK : tm_at(err, "config %s", file);
}

enum tm_code tm_source_topic(char out[TM_TOPIC_NAME_MAX], const struct tm_source_settings *settings,
                             const char *event_type, struct tm_err *err)
{
    struct tm_buf b;
    bool waits = false;
    tm_buf_init(&b, TM_TOPIC_NAME_MAX - 1);
    for (const char *p = settings->topic_template; *p != '\0';) {
        const char *end = strncmp(p, "${", 2) == 0 ? strchr(p, '}') : NULL;
        if (end == NULL) {
            tm_buf_addc(&b, *p++);
        } else if (strncmp(p, "${_ObjectType}", 14) == 0) {
            tm_buf_addz(&b, settings->object_type);
            p = end + 1;
        } else if (strncmp(p, "${_EventType}", 13) == 0) {
            waits = waits || event_type == NULL;
            tm_buf_addz(&b, event_type != NULL ? event_type : "");
            p = end + 1;
        } else {
            tm_buf_free(&b);
            return tm_fail(
                err, TM_E_ARG,
                "kafka.topic holds %.*s; ${_ObjectType} and ${_EventType} are what topics can be "
                "named by here",
                (int)(end - p + 1), p);
        }
    }
    enum tm_code rc = tm_buf_check(&b, "kafka.topic", err);
    const char *text = tm_buf_text(&b);
    if (rc == TM_OK &&
        (*text == '\0' ||
         strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
             strlen(text)))
        rc = tm_fail(err, TM_E_ARG,
                     "kafka.topic \"%.80s\" is not a topic name (letters, digits, . _ -)", text);
    if (rc == TM_OK && settings->topic_lowercase)
        tm_name_lower(out, TM_TOPIC_NAME_MAX, waits ? "" : text);
    else if (rc == TM_OK)
        snprintf(out, TM_TOPIC_NAME_MAX, "%s", waits ? "" : text);
    tm_buf_free(&b);
    return rc;
}

enum tm_code tm_source_settings_read(struct tm_source_settings *out, const struct tm_config *config,
                                     const char *salesforce_url, struct tm_err *err)
{
    const char *file = tm_config_name(config),
               *format = tm_config_text(config, "output.data.format");
    const char *invalid = tm_config_text(config, "invalid.replay.id.behaviour");
    char topic[TM_TOPIC_NAME_MAX];
    *out = (struct tm_source_settings){ .topic_template = tm_config_text(config, "kafka.topic") };
    out->pipeline = tm_config_text(config, "tidemark.pipeline");
    out->offsets_topic = tm_config_text(config, "tidemark.offsets.topic");
    out->topic_lowercase = tm_config_bool(config, "kafka.topic.lowercase");
    out->start_all = strcasecmp(tm_config_text(config, "salesforce.initial.start"), "all") == 0;
    out->convert_changed_fields = tm_config_bool(config, "convert.changed.fields");
    out->keep_merged = strcasecmp(tm_config_text(config, "tidemark.merged.events"), "keep") == 0;
    out->invalid_replay = strcasecmp(invalid, "all") == 0      ? TM_SOURCE_ALL
                          : strcasecmp(invalid, "latest") == 0 ? TM_SOURCE_LATEST
                                                               : TM_SOURCE_FAIL;
    out->message_bytes_max = (size_t)tm_config_int(config, "connection.max.message.size");
    out->audit_ms = tm_config_int(config, "tidemark.audit.interval.ms");
    out->reading_groups_count =
        tm_config_list(config, "tidemark.reading.groups", &out->reading_groups);
    if (strcasecmp(format, "AVRO") != 0)
        return tm_fail(err, TM_E_ARG, "config %s: output.data.format %.40s is not built; use AVRO",
                       file, format);
    if (tm_config_int(config, "tasks.max") != 1)
        return tm_fail(err, TM_E_ARG,
                       "config %s: tasks.max must be 1: one subscription cannot be shared", file);
    enum tm_code rc = settings_object(out, config, err);
    if (rc == TM_OK)
        rc = settings_session(out, config, salesforce_url, err);
    if (rc == TM_OK && tm_source_topic(topic, out, NULL, err) != TM_OK)
        rc = tm_at(err, "config %s", file);
    return rc;
}
