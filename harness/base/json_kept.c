#include "base/json_kept.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct kept_text {
    char *text; /* NULL = free */
    size_t bytes, flags;
    json_t *json;
};
static struct kept_text kept[TM_JSON_KEPT_MAX];
static size_t kept_next; /* to be replaced */
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;

static json_t *kept_find(const char *text, size_t bytes, size_t flags)
{
    json_t *found = NULL;
    pthread_mutex_lock(&kept_lock);
    for (size_t i = 0; i < TM_JSON_KEPT_MAX && found == NULL; i++)
        if (kept[i].text != NULL && kept[i].bytes == bytes && kept[i].flags == flags &&
            memcmp(kept[i].text, text, bytes) == 0)
            found = json_incref(kept[i].json);
    pthread_mutex_unlock(&kept_lock);
    return found;
}

static void kept_put(const char *text, size_t bytes, size_t flags, json_t *json)
{
    char *copy = malloc(bytes);
    if (copy == NULL)
        return;
    memcpy(copy, text, bytes);
    pthread_mutex_lock(&kept_lock);
    struct kept_text *at = &kept[kept_next], old = *at;
    kept_next = (kept_next + 1) % TM_JSON_KEPT_MAX;
    *at = (struct kept_text){ copy, bytes, flags, json_incref(json) };
    pthread_mutex_unlock(&kept_lock);
    free(old.text);
    json_decref(old.json);
}

json_t *tm_json_kept(const char *text, size_t bytes, size_t flags, json_error_t *error)
{
    bool may = bytes >= TM_JSON_KEPT_BYTES_MIN && bytes <= TM_JSON_KEPT_BYTES_MAX;
    json_t *json = may ? kept_find(text, bytes, flags) : NULL;
    if (json != NULL)
        return json;
    json = json_loadb(text, bytes, flags, error);
    if (json != NULL && may)
        kept_put(text, bytes, flags, json);
    return json;
}
