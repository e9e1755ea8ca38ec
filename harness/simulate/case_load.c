#include "simulate/case.h"
#include "base/text.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define LOAD_FILE_BYTES_MAX (8u << 20)
static const char load_raw_before[] = "sfdc_cdc_", load_raw_after[] = "_raw",
                  load_alerts_before[] = "alerts_sfdc_", load_alerts_after[] = "_gap_events",
                  load_recon_before[] = "sfdc_recon_";

/* ---- files ---- */

static enum tm_code load_file(struct tm_buf *out, const char *dir, const char *name,
                              struct tm_err *err)
{
    char path[TM_CASE_PATH_BYTES + 32], piece[8192];
    size_t n;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return tm_fail(err, TM_E_ARG,
                       "%s: %s; a case is a folder with rows.jsonl, expected.jsonl and README.md",
                       path, strerror(errno));
    tm_buf_init(out, LOAD_FILE_BYTES_MAX);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        tm_buf_add(out, piece, n);
    fclose(f);
    return tm_buf_check(out, path, err);
}

/* ---- lines ---- */

static enum tm_code load_line(json_t *out, const char *line, size_t bytes, const char *of,
                              const char *where, int number, struct tm_err *err)
{
    bool table = strcmp(of, "table") == 0;
    json_error_t why;
    json_t *row, *value = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, &why);
    if (value == NULL)
        return tm_fail(err, TM_E_ARG,
                       "%s:%d: %.120s at column %d; a line is one JSON object {\"%s\": …, "
                       "\"row\": {…}}",
                       where, number, why.text, why.column, of);
    const char *name = json_string_value(json_object_get(value, of)), *key;
    json_t *member;
    row = json_object_get(value, "row");
    enum tm_code rc = TM_OK;
    if (name == NULL || name[0] == '\0')
        rc = tm_fail(err, TM_E_ARG, "%s:%d: \"%s\" must name a %s", where, number, of,
                     table ? "raw table, as sfdc_cdc_opportunity_raw" : "relation, as Opportunity");
    else if (!json_is_object(row) && (table || row != NULL))
        rc = tm_fail(err, TM_E_ARG, "%s:%d: \"row\" must be an object of columns and values", where,
                     number);
    else if (!table && row != NULL && !json_is_string(json_object_get(row, "Id")))
        rc = tm_fail(err, TM_E_ARG, "%s:%d: \"row\" has no text \"Id\", the record it shows", where,
                     number);
    json_object_foreach(value, key, member)
    {
        if (rc == TM_OK && strcmp(key, of) != 0 && strcmp(key, "row") != 0)
            rc = tm_fail(err, TM_E_ARG,
                         "%s:%d: unknown key \"%.60s\"; there are \"%s\" and "
                         "\"row\"",
                         where, number, key, of);
    }
    if (rc == TM_OK && json_array_append(out, value) != 0)
        rc = tm_fail(err, TM_E_NOMEM, "%s:%d", where, number);
    json_decref(value);
    return rc;
}

enum tm_code tm_case_lines(json_t *out, const char *text, size_t bytes, const char *of,
                           const char *where, struct tm_err *err)
{
    const char *end = text + bytes;
    enum tm_code rc = TM_OK;
    for (int number = 1; text < end && rc == TM_OK; number++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t n = (size_t)((stop != NULL ? stop : end) - text), blank = 0;
        while (blank < n && isspace((unsigned char)text[blank]))
            blank++;
        if (number > TM_CASE_ROWS_MAX)
            return tm_fail(err, TM_E_ARG, "%s: more than %d lines", where, TM_CASE_ROWS_MAX);
        if (blank < n)
            rc = load_line(out, text, n, of, where, number, err);
        text += n + 1;
    }
    return rc;
}

static enum tm_code load_lines(json_t **out, const char *dir, const char *name, const char *of,
                               struct tm_err *err)
{
    char where[TM_CASE_PATH_BYTES + 32];
    struct tm_buf text = { .data = NULL };
    snprintf(where, sizeof where, "%s/%s", dir, name);
    *out = json_array();
    enum tm_code rc = load_file(&text, dir, name, err);
    if (rc == TM_OK)
        rc = tm_case_lines(*out, tm_buf_text(&text), text.bytes, of, where, err);
    tm_buf_free(&text);
    return rc;
}

/* ---- objects ---- */

/* The object part of a raw table's name; false when it is none. */
static bool load_object_of(char *out, size_t out_bytes, const char *table)
{
    const char *const parts[][2] = { { load_raw_before, load_raw_after },
                                     { load_alerts_before, load_alerts_after },
                                     { load_recon_before, "" } };
    size_t n = strlen(table);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t before = strlen(parts[i][0]), after = strlen(parts[i][1]);
        if (n <= before + after || n - before - after >= out_bytes ||
            strncasecmp(table, parts[i][0], before) != 0 ||
            strcasecmp(table + n - after, parts[i][1]) != 0)
            continue;
        snprintf(out, out_bytes, "%.*s", (int)(n - before - after), table + before);
        return true;
    }
    return false;
}

/* As expected.jsonl spells it; else with a capital. */
static void load_spelling(char *object, const json_t *expected)
{
    size_t at;
    json_t *line;
    object[0] = (char)toupper((unsigned char)object[0]);
    json_array_foreach(expected, at, line)
    {
        const char *name = json_string_value(json_object_get(line, "object"));
        if (strcasecmp(name, object) == 0)
            memcpy(object, name, strlen(object));
    }
}

static bool load_known(const struct tm_case *c, const char *object)
{
    size_t n = strlen(object), dirty = strlen("_dirty");
    for (size_t i = 0; i < c->objects_count; i++) {
        size_t k = strlen(c->objects[i]);
        if (strncasecmp(c->objects[i], object, k) == 0 &&
            (n == k || (n == k + dirty && strcmp(object + k, "_dirty") == 0)))
            return true;
    }
    return false;
}

enum tm_code tm_case_objects(struct tm_case *c, struct tm_err *err)
{
    size_t at;
    json_t *line;
    c->objects_count = 0;
    json_array_foreach(c->rows, at, line)
    {
        char object[TM_CASE_NAME_BYTES];
        const char *table = json_string_value(json_object_get(line, "table"));
        if (!load_object_of(object, sizeof object, table))
            return tm_fail(err, TM_E_ARG,
                           "%s/rows.jsonl: row %zu: \"%.80s\" is no raw table; they are "
                           "sfdc_cdc_<object>_raw, alerts_sfdc_<object>_gap_events and "
                           "sfdc_recon_<object>",
                           c->path, at + 1, table);
        load_spelling(object, c->expected);
        if (load_known(c, object))
            continue;
        if (c->objects_count == TM_CASE_OBJECTS_MAX)
            return tm_fail(err, TM_E_ARG, "%s/rows.jsonl: more than %d objects", c->path,
                           TM_CASE_OBJECTS_MAX);
        memcpy(c->objects[c->objects_count++], object, sizeof object);
    }
    json_array_foreach(c->expected, at, line)
    {
        const char *name = json_string_value(json_object_get(line, "object"));
        if (!load_known(c, name))
            return tm_fail(err, TM_E_ARG,
                           "%s/expected.jsonl: row %zu: object \"%.80s\" has no raw row in "
                           "rows.jsonl",
                           c->path, at + 1, name);
    }
    return TM_OK;
}

/* ---- the story ---- */

static void load_cited(char *out, size_t out_bytes, const char *line, size_t bytes)
{
    while (bytes > 0 && (*line == ' ' || *line == ':')) {
        line++;
        bytes--;
    }
    snprintf(out, out_bytes, "%.*s", (int)bytes, line);
}

static enum tm_code load_story(struct tm_case *c, struct tm_err *err)
{
    struct tm_buf text = { .data = NULL }, story;
    tm_buf_init(&story, LOAD_FILE_BYTES_MAX);
    enum tm_code rc = load_file(&text, c->path, "README.md", err);
    const char *p = tm_buf_text(&text);
    while (rc == TM_OK && *p != '\0') {
        size_t n = strcspn(p, "\n");
        if (strncmp(p, "Rules:", 6) == 0)
            load_cited(c->rules, sizeof c->rules, p + 6, n - 6);
        else if (strncmp(p, "Bugs:", 5) == 0)
            load_cited(c->bugs, sizeof c->bugs, p + 5, n - 5);
        else
            tm_buf_add(&story, p, n + (p[n] == '\n'));
        p += n + (p[n] == '\n');
    }
    while (story.bytes > 0 && isspace((unsigned char)story.data[story.bytes - 1]))
        story.data[--story.bytes] = '\0';
    if (rc == TM_OK && (story.bytes == 0 || c->rules[0] == '\0'))
        rc = tm_fail(err, TM_E_ARG,
                     "%s/README.md: wants the story, and a line such as \"Rules: R6, R10\"",
                     c->path);
    if (rc == TM_OK && (c->story = strdup(tm_buf_text(&story))) == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "%s/README.md", c->path);
    tm_buf_free(&text);
    tm_buf_free(&story);
    return rc;
}

enum tm_code tm_case_load(struct tm_case *out, const char *path, struct tm_err *err)
{
    memset(out, 0, sizeof *out);
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    if (n >= sizeof out->path)
        return tm_fail(err, TM_E_ARG, "the path %.100s… is too long", path);
    memcpy(out->path, path, n);
    const char *slash = strrchr(out->path, '/');
    snprintf(out->name, sizeof out->name, "%.*s", (int)sizeof out->name - 1,
             slash != NULL ? slash + 1 : out->path);
    enum tm_code rc = load_lines(&out->rows, out->path, "rows.jsonl", "table", err);
    if (rc == TM_OK && json_array_size(out->rows) == 0)
        rc = tm_fail(err, TM_E_ARG, "%s/rows.jsonl: no rows; a case needs at least one", out->path);
    if (rc == TM_OK)
        rc = load_lines(&out->expected, out->path, "expected.jsonl", "object", err);
    if (rc == TM_OK)
        rc = load_story(out, err);
    if (rc == TM_OK)
        rc = tm_case_objects(out, err);
    if (rc != TM_OK)
        tm_case_free(out);
    return rc;
}

void tm_case_free(struct tm_case *c)
{
    json_decref(c->rows);
    json_decref(c->expected);
    free(c->story);
    memset(c, 0, sizeof *c);
}

/* ---- writing ---- */

static enum tm_code load_write_lines(const char *dir, const char *name, const json_t *lines,
                                     struct tm_err *err)
{
    char path[TM_CASE_PATH_BYTES + 32];
    size_t at;
    json_t *line;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    if (f == NULL)
        return tm_fail(err, TM_E_IO, "%s: %s", path, strerror(errno));
    bool ok = true;
    json_array_foreach(lines, at, line)
    {
        ok = ok && json_dumpf(line, f, JSON_REAL_PRECISION(15)) == 0 && fputc('\n', f) != EOF;
    }
    ok = fclose(f) == 0 && ok;
    return ok ? TM_OK : tm_fail(err, TM_E_IO, "cannot write %s", path);
}

enum tm_code tm_case_write(const struct tm_case *c, struct tm_err *err)
{
    char path[TM_CASE_PATH_BYTES + 32];
    if (mkdir(c->path, 0777) != 0 && errno != EEXIST)
        return tm_fail(err, TM_E_IO, "cannot make %s: %s", c->path, strerror(errno));
    enum tm_code rc = load_write_lines(c->path, "rows.jsonl", c->rows, err);
    if (rc == TM_OK)
        rc = load_write_lines(c->path, "expected.jsonl", c->expected, err);
    if (rc != TM_OK)
        return rc;
    snprintf(path, sizeof path, "%s/README.md", c->path);
    FILE *f = fopen(path, "w");
    if (f == NULL)
        return tm_fail(err, TM_E_IO, "%s: %s", path, strerror(errno));
    bool ok = fprintf(f, "%s\n\nRules: %s\nBugs: %s\n", c->story, c->rules,
                      c->bugs[0] != '\0' ? c->bugs : "none") > 0;
    ok = fclose(f) == 0 && ok;
    return ok ? TM_OK : tm_fail(err, TM_E_IO, "cannot write %s", path);
}
