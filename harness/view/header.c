#include "view/header.h"
#include <string.h>

bool tm_view_header_next(struct tm_scan *array, const char **out, size_t *out_bytes)
{
    size_t plain;
    if (array->p == NULL)
        return false;
    tm_scan_take(array, ',');
    return tm_scan_peek(array) == '"' && tm_scan_string(array, out, out_bytes, &plain);
}

static bool header_is(const char *key, size_t key_bytes, const char *name)
{
    return strlen(name) == key_bytes && memcmp(key, name, key_bytes) == 0;
}

static bool header_member(struct tm_view_header *out, struct tm_scan *s, const char *key,
                          size_t key_bytes)
{
    if (header_is(key, key_bytes, "changeType") && tm_scan_peek(s) == '"') {
        const char *word;
        size_t bytes, plain;
        if (!tm_scan_string(s, &word, &bytes, &plain))
            return false;
        for (size_t i = 0; i < bytes && i + 1 < sizeof out->type; i++)
            out->type[i] = (char)(word[i] >= 'a' && word[i] <= 'z' ? word[i] - 32 : word[i]);
        return true;
    }
    struct tm_scan *array = header_is(key, key_bytes, "recordIds")       ? &out->ids
                            : header_is(key, key_bytes, "changedFields") ? &out->changed
                                                                         : NULL;
    if (array != NULL && tm_scan_peek(s) == '[') {
        *array = *s;
        tm_scan_take(array, '[');
    }
    if (header_is(key, key_bytes, "commitTimestamp")) {
        struct tm_scan number = *s;
        tm_scan_int(&number, &out->commit_ms);
    }
    return tm_scan_skip(s, 0);
}

enum tm_code tm_view_header_read(struct tm_view_header *out, const char *text, size_t bytes,
                                 struct tm_err *err)
{
    struct tm_scan s = { text, text + bytes };
    memset(out, 0, sizeof *out);
    if (!tm_scan_take(&s, '{'))
        return tm_fail(err, TM_E_PROTO, "a ChangeEventHeader is not a JSON object: %.60s", text);
    while (tm_scan_peek(&s) == '"') {
        const char *key;
        size_t key_bytes, plain;
        if (!tm_scan_string(&s, &key, &key_bytes, &plain) || !tm_scan_take(&s, ':') ||
            !header_member(out, &s, key, key_bytes))
            return tm_fail(err, TM_E_PROTO, "a ChangeEventHeader is broken JSON: %.60s", text);
        tm_scan_take(&s, ',');
    }
    if (!tm_scan_take(&s, '}'))
        return tm_fail(err, TM_E_PROTO, "a ChangeEventHeader is broken JSON: %.60s", text);
    return TM_OK;
}
