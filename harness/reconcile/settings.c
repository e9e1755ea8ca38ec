#include "event/contract.h"
#include "reconcile/reconcile.h"
#include "salesforce/sign_in.h"
#include "topic/properties.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MS_MAX (INT64_MAX / TM_NS_PER_MS)
#define DAY_MS 86400000LL

static const struct tm_key recon_keys[] = {
    { "objects", TM_KEY_LIST, 0, NULL, 0, 0, NULL, "Salesforce objects" },
    { "topics", TM_KEY_LIST, 0, NULL, 0, 0, NULL,
      "alerts topics; their objects are read from their names" },
    { "group.id", TM_KEY_TEXT, 0, "tidemark-reconcile", 0, 0, NULL, "consumer group" },
    { "alerts.topic", TM_KEY_TEXT, 0, "alerts.sfdc.${object}_gap_events", 0, 0, NULL,
      "where asks come from" },
    { "recon.topic", TM_KEY_TEXT, 0, "sfdc.recon.${object}", 0, 0, NULL, "where answers go" },
    { "reading.groups", TM_KEY_LIST, 0, NULL, 0, 0, NULL,
      "groups that read the answers (embedded broker: pausing)" },
    TM_PROPERTIES_ENTRY,
    TM_TOPICS_ENTRIES,
    { "window.size.ms", TM_KEY_INT, 0, "5000", 1, DAY_MS, NULL,
      "event time of one window, and its longest wall time" },
    { "window.idle.ms", TM_KEY_INT, 0, "500", 0, DAY_MS, NULL,
      "a window closes after so long without an alert" },
    { "window.ids.max", TM_KEY_INT, 0, "2000", 1, TM_RECON_IDS_MAX, NULL, "ids of one window" },
    { "user.sees.all.data", TM_KEY_BOOL, 0, "true", 0, 0, NULL,
      "an id that is not returned is gone, not hidden" },
    { "overflow.read", TM_KEY_TEXT, 0, "whole", 0, 0, "whole|range",
      "how an overflow is repaired" },
    { "transaction.longest.ms", TM_KEY_INT, 0, "600000", 0, DAY_MS, NULL,
      "org time a range read begins before the commit" },
    { "index.lag.ms", TM_KEY_INT, 0, "0", 0, DAY_MS, NULL, "org time a range read may be behind" },
    { "bulk.rows.min", TM_KEY_INT, 0, "10000", 0, TM_READ_ROWS_MAX, NULL,
      "a whole or range read of so many rows goes by a Bulk job; 0 = never" },
    { "bulk.page.rows", TM_KEY_INT, 0, "10000", 1, TM_SF_BULK_PAGE_ROWS_MAX, NULL,
      "rows of a page of a Bulk job" },
    { "retries.max", TM_KEY_INT, 0, "5", 1, 1000, NULL, "attempts of one read" },
    { "retry.backoff.ms", TM_KEY_INT, 0, "1000", 1, DAY_MS, NULL,
      "wall time before the second attempt; doubles" },
    { "retry.backoff.max.ms", TM_KEY_INT, 0, "60000", 1, DAY_MS, NULL,
      "longest wall time between attempts" },
    { "requests.per.second", TM_KEY_INT, 0, "0", 0, 100000, NULL,
      "rate limit over all calls; 0 = none" },
    TM_SF_KEYS,
    { "request.max.retries.time.ms", TM_KEY_INT, 0, "30000", 1, MS_MAX, NULL,
      "wall time to retry a call" },
    { "salesforce.auth.retries.time.ms", TM_KEY_INT, 0, "30000", 1, MS_MAX, NULL,
      "wall time to retry sign-in" },
    TM_PROPERTIES_CLOUD_ENTRIES,
    TM_PROPERTIES_BETWEEN_ENTRIES,
};

static enum tm_code recon_add(struct tm_recon_settings *out, const struct tm_config *c,
                              const char *object, const char *alerts, struct tm_err *err)
{
    size_t i = out->objects_count;
    for (size_t k = 0; k < i; k++)
        if (strcasecmp(out->objects[k], object) == 0)
            return TM_OK;
    if (i == TM_RECON_OBJECTS_MAX)
        return tm_fail(err, TM_E_ARG, "more than %d objects", TM_RECON_OBJECTS_MAX);
    if (*object == '\0' || strlen(object) > 100)
        return tm_fail(err, TM_E_ARG, "objects: \"%.40s\" is no object name", object);
    out->objects[i] = strdup(object);
    out->alerts[i] =
        alerts != NULL ? strdup(alerts) : tm_topic_name(tm_config_text(c, "alerts.topic"), object);
    out->recon[i] = tm_topic_name(tm_config_text(c, "recon.topic"), object);
    out->objects_count++;
    if (out->objects[i] == NULL || out->alerts[i] == NULL || out->recon[i] == NULL)
        return tm_fail(err, TM_E_NOMEM, "reconcile settings");
    return TM_OK;
}

static enum tm_code recon_objects(struct tm_recon_settings *out, const struct tm_config *c,
                                  struct tm_err *err)
{
    static const char tail[] = "_gap_events";
    const char *const *items;
    enum tm_code rc = TM_OK;
    size_t count = tm_config_list(c, "objects", &items);
    for (size_t i = 0; rc == TM_OK && i < count; i++)
        rc = recon_add(out, c, items[i], NULL, err);
    count = tm_config_list(c, "topics", &items);
    for (size_t i = 0; rc == TM_OK && i < count; i++) {
        const char *from = strrchr(items[i], '.');
        char object[128] = "";
        size_t bytes = from != NULL ? strlen(from + 1) : 0, cut = strlen(tail);
        if (bytes <= cut || bytes - cut >= sizeof object ||
            strcmp(from + 1 + bytes - cut, tail) != 0)
            return tm_fail(
                err, TM_E_ARG,
                "topics: \"%.80s\" does not end in .<object>_gap_events; name the object in "
                "\"objects\"",
                items[i]);
        memcpy(object, from + 1, bytes - cut);
        rc = recon_add(out, c, object, items[i], err);
    }
    if (rc == TM_OK && out->objects_count == 0)
        rc = tm_fail(err, TM_E_ARG, "nothing to read: give \"objects\" or \"topics\"");
    static const char *const templates[] = { "alerts.topic", "recon.topic" };
    for (size_t i = 0; rc == TM_OK && i < 2; i++)
        if (out->objects_count > 1 && strstr(tm_config_text(c, templates[i]), "${object}") == NULL)
            rc = tm_fail(err, TM_E_ARG, "%s \"%.80s\" lacks ${object}, and there are %zu objects",
                         templates[i], tm_config_text(c, templates[i]), out->objects_count);
    return rc;
}

static void recon_salesforce(struct tm_sf_settings *out, const struct tm_config *c, const char *url)
{
    *out = (struct tm_sf_settings){
        .calls_per_second_max = (double)tm_config_int(c, "requests.per.second"),
        .seed = tm_hash64(tm_config_name(c), strlen(tm_config_name(c)), 1),
    };
    tm_sf_settings_read(out, c, url);
}

enum tm_code tm_recon_settings_load(struct tm_recon_settings *out, struct tm_config **out_config,
                                    const char *path, const char *salesforce_url,
                                    struct tm_err *err)
{
    struct tm_config *c = NULL;
    memset(out, 0, sizeof *out);
    enum tm_code rc =
        tm_config_load(&c, path, recon_keys, sizeof recon_keys / sizeof recon_keys[0], err);
    if (rc != TM_OK)
        return rc;
    *out_config = c;
    out->name = tm_config_name(c);
    out->group = tm_config_text(c, "group.id");
    out->readers_count = tm_config_list(c, "reading.groups", &out->readers);
    out->window_ms = tm_config_int(c, "window.size.ms");
    out->idle_ns = tm_config_int(c, "window.idle.ms") * TM_NS_PER_MS;
    out->ids_max = tm_config_int(c, "window.ids.max");
    out->sees_all = tm_config_bool(c, "user.sees.all.data");
    out->overflow_range = strcasecmp(tm_config_text(c, "overflow.read"), "range") == 0;
    out->longest_ms = tm_config_int(c, "transaction.longest.ms");
    out->lag_ms = tm_config_int(c, "index.lag.ms");
    out->bulk_rows_min = tm_config_int(c, "bulk.rows.min");
    out->bulk_page_rows = (int)tm_config_int(c, "bulk.page.rows");
    out->attempts_max = tm_config_int(c, "retries.max");
    out->backoff_ns = tm_config_int(c, "retry.backoff.ms") * TM_NS_PER_MS;
    out->backoff_ns_max = tm_config_int(c, "retry.backoff.max.ms") * TM_NS_PER_MS;
    recon_salesforce(&out->salesforce, c, salesforce_url);
    rc = recon_objects(out, c, err);
    return rc == TM_OK ? TM_OK : tm_at(err, "%s", path);
}

void tm_recon_settings_free(struct tm_recon_settings *s)
{
    for (size_t i = 0; i < s->objects_count; i++) {
        free(s->objects[i]);
        free(s->alerts[i]);
        free(s->recon[i]);
    }
    memset(s, 0, sizeof *s);
}
