/* config: a connector config (Kafka Connect JSON, flat or {name, config}) or any JSON config with a
 * known key list. in: a file or text, the list of known keys; out: values, checked. Unknown keys
 * are errors that suggest the nearest known key. `${env:NAME}` and `${file:PATH}` are replaced in
 * string values, any other ${…} stays (topic templates). Errors name the file and the key. Texts
 * with `values` come out in the spelling of that list. JSON null = not given. The key list is
 * borrowed for the life of the config. Values of keys marked secret are never part of an error or a
 * log line. */
#ifndef TM_BASE_CONFIG_H
#define TM_BASE_CONFIG_H
#include "base/err.h"
#include <jansson.h>
#include <stdint.h>

enum tm_key_type {
    TM_KEY_TEXT,
    TM_KEY_INT,
    TM_KEY_BOOL,
    TM_KEY_LIST /* comma separated text or JSON array */,
    TM_KEY_JSON
};
enum {
    TM_KEY_REQUIRED = 1,
    TM_KEY_SECRET = 2,
    TM_KEY_IGNORED = 4 /* accepted, has no effect here, documented */
};
struct tm_key {
    const char *name;
    enum tm_key_type type;
    unsigned flags;
    const char *preset;  /* default as text, or NULL */
    int64_t first, last; /* TM_KEY_INT range when first < last */
    const char *values;  /* TM_KEY_TEXT: "a|b|c", case-insensitive; NULL = any */
    const char *help;    /* one line for --help and the docs */
};
/* Entries of a key list: what other programs' configs hold and has no effect here. */
#define TM_KEY_ACCEPTED(key)                                                                       \
    {                                                                                              \
        key, TM_KEY_TEXT, TM_KEY_IGNORED, NULL, 0, 0, NULL, "accepted, no meaning here"            \
    }
#define TM_KEY_ACCEPTED_SECRET(key)                                                                \
    {                                                                                              \
        key, TM_KEY_TEXT, TM_KEY_IGNORED | TM_KEY_SECRET, NULL, 0, 0, NULL,                        \
            "accepted, no meaning here"                                                            \
    }
struct tm_config; /* parsed; strings are owned by it */
enum tm_code tm_config_load(struct tm_config **out, const char *path, const struct tm_key *keys,
                            size_t keys_count, struct tm_err *err);
/* As load, from a JSON object already read; `where` names it in errors. */
enum tm_code tm_config_from_json(struct tm_config **out, const json_t *object, const char *where,
                                 const struct tm_key *keys, size_t keys_count, struct tm_err *err);
void tm_config_close(struct tm_config *config);
/* "name", or the file's stem */
const char *tm_config_name(const struct tm_config *config);
/* given by the user, not a preset */
bool tm_config_has(const struct tm_config *config, const char *key);
/* Asking for a key that is not in the key list is our own mistake (assert). Text is NULL when
 * unset. */
const char *tm_config_text(const struct tm_config *config, const char *key);
int64_t tm_config_int(const struct tm_config *config, const char *key);
bool tm_config_bool(const struct tm_config *config, const char *key);
size_t tm_config_list(const struct tm_config *config, const char *key,
                      const char *const **out_items);
const json_t *tm_config_json(const struct tm_config *config, const char *key);
/* A JSON file with a clear error: file, line, column. Caller owns the result. */
enum tm_code tm_json_load(json_t **out, const char *path, struct tm_err *err);
/* `${env:…}`/`${file:…}` replaced; caller frees *out. TM_E_ARG names the missing variable or file,
 * never a value. */
enum tm_code tm_config_expand(char **out, const char *text, struct tm_err *err);
#endif
