#include "gap/gap.h"
#include "event/contract.h"
#include "topic/properties.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct tm_key gap_keys[] = {
    { "objects", TM_KEY_LIST, 0, NULL, 0, 0, NULL, "Salesforce objects" },
    { "topics", TM_KEY_LIST, 0, NULL, 0, 0, NULL,
      "raw topics; their objects are read from their names" },
    { "group.id", TM_KEY_TEXT, 0, "tidemark-gap", 0, 0, NULL, "consumer group" },
    { "alerts.topic", TM_KEY_TEXT, 0, "alerts.sfdc.${object}_gap_events", 0, 0, NULL,
      "where alerts go" },
    { "reading.groups", TM_KEY_LIST, 0, NULL, 0, 0, NULL,
      "groups that read the alerts (embedded broker: pausing)" },
    TM_PROPERTIES_ENTRY,
    TM_TOPICS_ENTRIES,
    TM_PROPERTIES_CLOUD_ENTRIES,
    TM_PROPERTIES_BETWEEN_ENTRIES,
};

static enum tm_code gap_add(struct tm_gap_settings *out, const char *object, const char *topic,
                            const char *alerts, struct tm_err *err)
{
    char name[TM_TOPIC_NAME_MAX];
    size_t i = out->objects_count;
    for (size_t k = 0; k < i; k++)
        if (strcasecmp(out->objects[k], object) == 0)
            return TM_OK;
    if (i == TM_GAP_OBJECTS_MAX)
        return tm_fail(err, TM_E_ARG, "more than %d objects", TM_GAP_OBJECTS_MAX);
    if (*object == '\0' || strlen(object) > 100)
        return tm_fail(err, TM_E_ARG, "objects: \"%.40s\" is no object name", object);
    if (topic == NULL) {
        tm_contract_topic_raw(name, object);
        topic = name;
    }
    out->objects[i] = strdup(object);
    out->topics[i] = strdup(topic);
    out->alerts[i] = tm_topic_name(alerts, object);
    out->objects_count++;
    if (out->objects[i] == NULL || out->topics[i] == NULL || out->alerts[i] == NULL)
        return tm_fail(err, TM_E_NOMEM, "gap settings");
    return TM_OK;
}

static enum tm_code gap_fill(struct tm_gap_settings *out, const struct tm_config *config,
                             struct tm_err *err)
{
    const char *const *items;
    const char *alerts = tm_config_text(config, "alerts.topic");
    enum tm_code rc = TM_OK;
    size_t count = tm_config_list(config, "objects", &items);
    for (size_t i = 0; rc == TM_OK && i < count; i++)
        rc = gap_add(out, items[i], NULL, alerts, err);
    count = tm_config_list(config, "topics", &items);
    for (size_t i = 0; rc == TM_OK && i < count; i++) {
        /* sfdc.cdc.<object>_raw: the object's own spelling does not matter to an alert */
        const char *from = strrchr(items[i], '.');
        char object[128] = "";
        size_t bytes = from != NULL ? strlen(from + 1) : 0;
        if (bytes <= 4 || bytes - 4 >= sizeof object || strcmp(from + 1 + bytes - 4, "_raw") != 0)
            return tm_fail(
                err, TM_E_ARG,
                "topics: \"%.80s\" does not end in .<object>_raw; name the object in \"objects\"",
                items[i]);
        memcpy(object, from + 1, bytes - 4);
        rc = gap_add(out, object, items[i], alerts, err);
    }
    if (rc == TM_OK && out->objects_count == 0)
        rc = tm_fail(err, TM_E_ARG, "nothing to read: give \"objects\" or \"topics\"");
    if (rc == TM_OK && out->objects_count > 1 && strstr(alerts, "${object}") == NULL)
        rc = tm_fail(err, TM_E_ARG,
                     "alerts.topic \"%.80s\" lacks ${object}, and there are %zu objects", alerts,
                     out->objects_count);
    out->name = tm_config_name(config);
    out->group = tm_config_text(config, "group.id");
    out->readers_count = tm_config_list(config, "reading.groups", &out->readers);
    return rc;
}

enum tm_code tm_gap_settings_load(struct tm_gap_settings *out, struct tm_config **out_config,
                                  const char *path, struct tm_err *err)
{
    struct tm_config *config = NULL;
    memset(out, 0, sizeof *out);
    enum tm_code rc =
        tm_config_load(&config, path, gap_keys, sizeof gap_keys / sizeof gap_keys[0], err);
    if (rc != TM_OK)
        return rc;
    *out_config = config;
    rc = gap_fill(out, config, err);
    return rc == TM_OK ? TM_OK : tm_at(err, "%s", path);
}

void tm_gap_settings_free(struct tm_gap_settings *s)
{
    for (size_t i = 0; i < s->objects_count; i++) {
        free(s->objects[i]);
        free(s->topics[i]);
        free(s->alerts[i]);
    }
    memset(s, 0, sizeof *s);
}
