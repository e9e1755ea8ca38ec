/* bulk_words: a jobInfo, in JSON or XML, as a flat list of members; and the PK chunking header. */
#include "mocks/salesforce/bulk_impl.h"
#include "mocks/salesforce/xml.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORDS_CHUNK_PRESET 100000 /* rows; Bulk API guide, PK Chunking Header */
#define WORDS_CHUNK_MAX 250000

const char *bulk_words_get(const struct bulk_words *w, const char *name)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->items[i].name, name) == 0)
            return w->items[i].value;
    return NULL;
}

static enum tm_code words_add(struct bulk_words *w, const char *name, const char *value,
                              struct tm_err *err)
{
    if (w->count == BULK_WORDS_MAX || strlen(name) >= sizeof w->items[0].name ||
        strlen(value) >= sizeof w->items[0].value)
        return tm_fail(err, TM_E_ARG, "the jobInfo has too many, or too long, members");
    snprintf(w->items[w->count].name, sizeof w->items[0].name, "%s", name);
    snprintf(w->items[w->count++].value, sizeof w->items[0].value, "%s", value);
    return TM_OK;
}

enum tm_code bulk_words_json(struct bulk_words *out, const char *text, size_t bytes,
                             struct tm_err *err)
{
    json_error_t wrong;
    json_t *json = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &wrong), *value;
    const char *key;
    enum tm_code rc = TM_OK;
    *out = (struct bulk_words){ .count = 0 };
    if (!json_is_object(json))
        rc = tm_fail(err, TM_E_ARG, "the body must be a JSON object: %.100s",
                     json == NULL ? wrong.text : "it is something else");
    json_object_foreach(json, key, value)
    {
        char number[32] = "";
        if (json_is_number(value))
            snprintf(number, sizeof number, "%.1f", json_number_value(value));
        if (rc == TM_OK && json_is_null(value))
            continue;
        if (rc == TM_OK && !json_is_string(value) && !json_is_number(value))
            rc = tm_fail(err, TM_E_ARG, "%.40s must be a text", key);
        if (rc == TM_OK)
            rc =
                words_add(out, key, json_is_number(value) ? number : json_string_value(value), err);
    }
    json_decref(json);
    return rc;
}

enum tm_code bulk_words_xml(struct bulk_words *out, const char *text, size_t bytes,
                            struct tm_err *err)
{
    struct tm_err why = { 0 };
    struct tm_xml *xml = NULL;
    *out = (struct bulk_words){ .count = 0 };
    enum tm_code rc = tm_xml_parse(&xml, text, bytes, &why);
    if (rc == TM_E_PROTO)
        return tm_fail(err, TM_E_ARG, "not XML: %.100s", why.msg);
    if (rc != TM_OK)
        return tm_fail(err, rc, "%s", why.msg);
    const struct tm_xml_node *root = tm_xml_root(xml);
    if (strcmp(root->name, "jobInfo") != 0)
        rc = tm_fail(err, TM_E_ARG, "the root element must be jobInfo");
    for (const struct tm_xml_node *at = root->child; at != NULL && rc == TM_OK; at = at->next)
        rc = at->child != NULL ? tm_fail(err, TM_E_ARG, "a jobInfo has no members inside members")
                               : words_add(out, at->name, at->text, err);
    tm_xml_close(xml);
    return rc;
}

/* ---- Sforce-Enable-PKChunking ---- */

static enum tm_code words_chunk_member(const char *name, const char *value, int64_t *out_rows,
                                       char from[TM_ID_BYTES], char parent[96], struct tm_err *err)
{
    char *end = NULL;
    if (strcasecmp(name, "chunkSize") == 0) {
        *out_rows = strtoll(value, &end, 10);
        if (end == value || *end != '\0' || *out_rows < 1 || *out_rows > WORDS_CHUNK_MAX)
            return tm_fail(err, TM_E_ARG, "PK chunking: chunkSize must be 1 to %d, not %.20s",
                           WORDS_CHUNK_MAX, value);
    } else if (strcasecmp(name, "startRow") == 0) {
        if (tm_id18(from, value, NULL) != TM_OK)
            return tm_fail(err, TM_E_ARG, "PK chunking: startRow %.20s is not an id", value);
    } else if (strcasecmp(name, "parent") == 0) {
        if (*value == '\0' || strlen(value) >= 96)
            return tm_fail(err, TM_E_ARG, "PK chunking: parent must be an object");
        strcpy(parent, value);
    } else {
        return tm_fail(err, TM_E_ARG,
                       "PK chunking: \"%.20s\" is unknown: chunkSize, startRow, parent", name);
    }
    return TM_OK;
}

/* Without blanks at either end. */
static char *words_trim(char *text)
{
    text += strspn(text, " \t");
    size_t bytes = strlen(text);
    while (bytes > 0 && (text[bytes - 1] == ' ' || text[bytes - 1] == '\t'))
        text[--bytes] = '\0';
    return text;
}

enum tm_code bulk_words_chunking(const char *text, int64_t *out_rows, char from[TM_ID_BYTES],
                                 char parent[96], struct tm_err *err)
{
    char copy[512], *save = NULL;
    enum tm_code rc = TM_OK;
    bool on = false, off = false;
    *out_rows = WORDS_CHUNK_PRESET;
    from[0] = parent[0] = '\0';
    if (strlen(text) >= sizeof copy)
        return tm_fail(err, TM_E_ARG, "PK chunking: the header is too long");
    snprintf(copy, sizeof copy, "%s", text);
    for (char *part = strtok_r(copy, ";", &save); part != NULL && rc == TM_OK;
         part = strtok_r(NULL, ";", &save)) {
        char *name = words_trim(part), *equals = strchr(name, '=');
        if (*name == '\0')
            continue;
        if (equals != NULL) {
            *equals = '\0';
            on = true;
            rc = words_chunk_member(words_trim(name), words_trim(equals + 1), out_rows, from,
                                    parent, err);
        } else if (strcasecmp(name, "true") == 0) {
            on = true;
        } else if (strcasecmp(name, "false") == 0) {
            off = true;
        } else {
            rc = tm_fail(err, TM_E_ARG,
                         "PK chunking: \"%.20s\" is unknown: true, false, chunkSize=…", name);
        }
    }
    if (off || !on)
        *out_rows = 0;
    return rc;
}
