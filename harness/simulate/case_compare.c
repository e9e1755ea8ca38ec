#include "simulate/case.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COMPARE_TEXT_BYTES_MAX 4000
#define COMPARE_CLOSE 1e-9

/* SQL does not tell the cases of a column's name apart. */
static json_t *compare_get(const json_t *row, const char *name)
{
    const char *key;
    json_t *value, *exact = json_object_get(row, name);
    if (exact != NULL)
        return exact;
    json_object_foreach((json_t *)row, key, value)
    {
        if (strcasecmp(key, name) == 0)
            return value;
    }
    return NULL;
}

static const char *compare_id(const json_t *line)
{
    const char *id = json_string_value(compare_get(json_object_get(line, "row"), "Id"));
    return id != NULL ? id : "";
}

/* A boolean is 0 or 1, a number is a number, whole or not. */
static bool compare_number(double *out, const json_t *value)
{
    *out = json_is_true(value) ? 1 : json_is_false(value) ? 0 : json_number_value(value);
    return json_is_boolean(value) || json_is_number(value);
}

static bool compare_equal(const json_t *a, const json_t *b)
{
    double x, y;
    if (json_is_integer(a) && json_is_integer(b))
        return json_integer_value(a) == json_integer_value(b);
    if (compare_number(&x, a) && compare_number(&y, b))
        return fabs(x - y) <= COMPARE_CLOSE * fmax(1, fabs(x));
    return json_equal(a, b);
}

static void compare_value(struct tm_buf *out, const json_t *value)
{
    char *text = value != NULL
                     ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15))
                     : NULL;
    tm_buf_addf(out, "%.200s", text != NULL ? text : "nothing");
    free(text);
}

struct compare {
    json_t *findings;
    const struct tm_case *of;
    const json_t *shown;
};

/* field NULL: the whole row. */
static enum tm_code compare_found(struct compare *c, const char *object, const char *id,
                                  const char *field, const json_t *expected, const json_t *shown,
                                  const char *what, struct tm_err *err)
{
    struct tm_buf text;
    tm_buf_init(&text, COMPARE_TEXT_BYTES_MAX);
    tm_buf_addf(&text, "%s %s", object, id);
    if (field != NULL)
        tm_buf_addf(&text, " %s", field);
    tm_buf_addz(&text, ": ");
    if (what != NULL) {
        tm_buf_addz(&text, what);
    } else {
        tm_buf_addz(&text, "expected ");
        compare_value(&text, expected);
        tm_buf_addz(&text, ", shown ");
        compare_value(&text, shown);
    }
    json_t *finding =
        json_pack("{s:s, s:s, s:s, s:s?, s:O?, s:O?}", "text", tm_buf_text(&text), "object", object,
                  "id", id, "field", field, "expected", expected, "shown", shown);
    tm_buf_free(&text);
    if (finding == NULL || json_array_append_new(c->findings, finding) != 0)
        return tm_fail(err, TM_E_NOMEM, "a finding");
    return TM_OK;
}

static bool compare_of(const json_t *line, const char *object)
{
    const char *name = json_string_value(json_object_get(line, "object"));
    return name != NULL && strcasecmp(name, object) == 0;
}

/* Lines of `object` about `id`; the first, and how many. */
static const json_t *compare_find(const json_t *lines, const char *object, const char *id,
                                  size_t *out_count)
{
    const json_t *found = NULL;
    size_t at;
    json_t *line;
    *out_count = 0;
    json_array_foreach((json_t *)lines, at, line)
    {
        if (!compare_of(line, object) || json_object_get(line, "row") == NULL ||
            strcmp(compare_id(line), id) != 0)
            continue;
        found = found != NULL ? found : line;
        (*out_count)++;
    }
    return found;
}

static enum tm_code compare_row(struct compare *c, const char *object, const json_t *expected,
                                const json_t *shown, struct tm_err *err)
{
    const char *field, *id = compare_id(expected);
    json_t *value;
    json_object_foreach(json_object_get(expected, "row"), field, value)
    {
        const json_t *is = compare_get(json_object_get(shown, "row"), field);
        enum tm_code rc = TM_OK;
        if (is == NULL && strcmp(field, "_dirty") == 0) {
            if (!compare_equal(value, json_false())) /* no flag: nothing is in doubt */
                rc = compare_found(c, object, id, field, value, NULL,
                                   "expected 1, but the relation has no _dirty column", err);
        } else if (is == NULL) {
            rc = compare_found(c, object, id, field, value, NULL, "the relation has no such column",
                               err);
        } else if (!compare_equal(value, is)) {
            rc = compare_found(c, object, id, field, value, is, NULL, err);
        }
        if (rc != TM_OK)
            return rc;
    }
    return TM_OK;
}

static enum tm_code compare_relation(struct compare *c, const char *object, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    size_t at, count;
    json_t *line;
    json_array_foreach(c->of->expected, at, line)
    {
        if (rc != TM_OK || !compare_of(line, object) || json_object_get(line, "row") == NULL)
            continue;
        const json_t *shown = compare_find(c->shown, object, compare_id(line), &count);
        if (shown == NULL)
            rc = compare_found(c, object, compare_id(line), NULL, json_object_get(line, "row"),
                               NULL, "missing", err);
        else
            rc = compare_row(c, object, line, shown, err);
        if (rc == TM_OK && count > 1)
            rc = compare_found(c, object, compare_id(line), NULL, NULL, NULL,
                               "shown in more than one row", err);
    }
    json_array_foreach((json_t *)c->shown, at, line)
    {
        if (rc != TM_OK || !compare_of(line, object) || json_object_get(line, "row") == NULL)
            continue;
        if (compare_find(c->of->expected, object, compare_id(line), &count) == NULL)
            rc =
                compare_found(c, object, compare_id(line), NULL, NULL, json_object_get(line, "row"),
                              "shown, but there is no such record", err);
    }
    return rc;
}

/* Does a row of X_dirty have all that is expected of it? */
static bool compare_covers(const json_t *shown, const json_t *expected)
{
    const char *field;
    json_t *value;
    json_object_foreach(json_object_get(expected, "row"), field, value)
    {
        const json_t *is = compare_get(json_object_get(shown, "row"), field);
        if (is == NULL || !compare_equal(value, is))
            return false;
    }
    return true;
}

/* X_dirty may list a record more than once: each expected row takes one shown row. */
static enum tm_code compare_doubt(struct compare *c, const char *object, struct tm_err *err)
{
    size_t n = json_array_size(c->shown), at, i;
    enum tm_code rc = TM_OK;
    json_t *line, *shown;
    bool *taken = calloc(n + 1, sizeof *taken);
    struct tm_buf text;
    if (taken == NULL)
        return tm_fail(err, TM_E_NOMEM, "%zu rows of %s", n, object);
    tm_buf_init(&text, COMPARE_TEXT_BYTES_MAX);
    json_array_foreach(c->of->expected, at, line)
    {
        bool found = json_object_get(line, "row") == NULL || !compare_of(line, object);
        json_array_foreach((json_t *)c->shown, i, shown)
        {
            if (found || taken[i] || !compare_of(shown, object) ||
                json_object_get(shown, "row") == NULL || !compare_covers(shown, line))
                continue;
            found = taken[i] = true;
        }
        if (found || rc != TM_OK)
            continue;
        tm_buf_reset(&text);
        tm_buf_addz(&text, "expected the row ");
        compare_value(&text, json_object_get(line, "row"));
        tm_buf_addz(&text, ", which is not shown");
        rc = compare_found(c, object, compare_id(line), NULL, json_object_get(line, "row"), NULL,
                           tm_buf_text(&text), err);
    }
    json_array_foreach((json_t *)c->shown, i, shown)
    {
        if (rc != TM_OK || taken[i] || !compare_of(shown, object) ||
            json_object_get(shown, "row") == NULL)
            continue;
        tm_buf_reset(&text);
        tm_buf_addz(&text, "shown, but not expected: ");
        compare_value(&text, json_object_get(shown, "row"));
        rc = compare_found(c, object, compare_id(shown), NULL, NULL, json_object_get(shown, "row"),
                           tm_buf_text(&text), err);
    }
    tm_buf_free(&text);
    free(taken);
    return rc;
}

/* Rows of what no raw row was about: a name that nobody asked for, misspelt perhaps. */
static enum tm_code compare_strangers(struct compare *c, struct tm_err *err)
{
    size_t at;
    json_t *line;
    enum tm_code rc = TM_OK;
    json_array_foreach((json_t *)c->shown, at, line)
    {
        const char *object = json_string_value(json_object_get(line, "object"));
        bool known = json_object_get(line, "row") == NULL;
        for (size_t i = 0; i < c->of->objects_count && !known; i++) {
            char doubt[TM_CASE_NAME_BYTES + 8];
            snprintf(doubt, sizeof doubt, "%s_dirty", c->of->objects[i]);
            known = compare_of(line, c->of->objects[i]) || compare_of(line, doubt);
        }
        if (rc == TM_OK && !known)
            rc =
                compare_found(c, object, compare_id(line), NULL, NULL, json_object_get(line, "row"),
                              "shown, but no raw row is about such an object", err);
    }
    return rc;
}

enum tm_code tm_case_compare(json_t *findings, const struct tm_case *of, const json_t *shown,
                             struct tm_err *err)
{
    struct compare c = { findings, of, shown };
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < of->objects_count && rc == TM_OK; i++) {
        char doubt[TM_CASE_NAME_BYTES + 8];
        bool named = false, speaks = false;
        size_t at;
        json_t *line;
        snprintf(doubt, sizeof doubt, "%s_dirty", of->objects[i]);
        rc = compare_relation(&c, of->objects[i], err);
        json_array_foreach(of->expected, at, line)
        {
            named |= compare_of(line, doubt);
        }
        json_array_foreach((json_t *)shown, at, line)
        {
            speaks |= compare_of(line, doubt);
        }
        if (rc == TM_OK && named && speaks)
            rc = compare_doubt(&c, doubt, err);
    }
    return rc == TM_OK ? compare_strangers(&c, err) : rc;
}
