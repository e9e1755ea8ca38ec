/* cometd_filter: filtered subscriptions: conditions in a channel's query string, of which any one
 * lets an event through. Facts: Streaming API guide, "Filtered Subscriptions" (read 2026-11). Other
 * channels than PushTopics take no filter: a query string there says nothing. */
#include "mocks/salesforce/cometd_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILTER_TEXT_BYTES 256

struct filter_condition {
    char field[FILTER_TEXT_BYTES], value[FILTER_TEXT_BYTES];
};

static void filter_decode(char out[FILTER_TEXT_BYTES], const char *text, size_t bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < bytes && n + 1 < FILTER_TEXT_BYTES; i++) {
        char hex[3] = { 0 };
        if (text[i] == '%' && i + 2 < bytes) {
            memcpy(hex, text + i + 1, 2);
            out[n++] = (char)strtol(hex, NULL, 16);
            i += 2;
        } else {
            out[n++] = text[i] == '+' ? ' ' : text[i];
        }
    }
    out[n] = '\0';
    if (n >= 2 && out[0] == '\'' && out[n - 1] == '\'') { /* ?Name='Tide' */
        memmove(out, out + 1, n - 2);
        out[n - 2] = '\0';
    }
}

/* The next condition of a query string; false when there is none left. */
static bool filter_next(const char **at, struct filter_condition *out)
{
    if (*at == NULL || **at == '\0')
        return false;
    size_t bytes = strcspn(*at, "&"), name = strcspn(*at, "=");
    name = name < bytes ? name : bytes;
    filter_decode(out->field, *at, name);
    filter_decode(out->value, *at + name + (name < bytes), bytes - name - (name < bytes));
    *at += bytes + ((*at)[bytes] == '&');
    return true;
}

static const char *filter_of(const char *subscription)
{
    const char *at = strncmp(subscription, "/topic/", 7) == 0 ? strchr(subscription, '?') : NULL;
    return at != NULL ? at + 1 : NULL;
}

bool bayeux_filter_valid(const struct tm_feed *feed, const char *subscription)
{
    const char *at = filter_of(subscription);
    struct filter_condition c;
    while (filter_next(&at, &c))
        if (!tm_pushtopics_selects(feed->streaming->pushtopics, feed->channel + 7, c.field))
            return false;
    return true;
}

static bool filter_holds(const json_t *sobject, const struct filter_condition *c)
{
    const char *key;
    json_t *value;
    char text[64];
    json_object_foreach((json_t *)sobject, key, value)
    {
        if (strcasecmp(key, c->field) != 0)
            continue;
        if (json_is_string(value))
            return strcmp(json_string_value(value), c->value) == 0;
        if (json_is_boolean(value))
            return strcasecmp(json_is_true(value) ? "true" : "false", c->value) == 0;
        if (json_is_null(value))
            return c->value[0] == '\0' || strcasecmp(c->value, "null") == 0;
        snprintf(text, sizeof text, "%.15g", json_number_value(value));
        return strcmp(text, c->value) == 0 || json_number_value(value) == strtod(c->value, NULL);
    }
    return false;
}

bool bayeux_filter_passes(const char *subscription, const struct tm_org_event *event)
{
    const char *at = filter_of(subscription);
    struct filter_condition c;
    bool any = false;
    if (at == NULL || *at == '\0')
        return true;
    json_t *data = json_loadb(event->body, event->body_bytes, 0, NULL);
    while (!any && filter_next(&at, &c))
        any = filter_holds(json_object_get(data, "sobject"), &c);
    json_decref(data);
    return any;
}
