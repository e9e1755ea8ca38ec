#include "check/tolerance.h"
#include "check/vhash.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE_SCALE_MAX 18

static const char *tolerance_wanted(enum tm_field_kind kind)
{
    switch (kind) {
    case TM_FIELD_DATETIME: return "a time such as \"1s\"";
    case TM_FIELD_INT:
    case TM_FIELD_NUMBER: return "a number, {\"scale\": 2} or \"empty\"";
    case TM_FIELD_TEXT: return "\"trim\", \"empty\" or both in a list";
    case TM_FIELD_BOOLEAN:
    case TM_FIELD_DATE:
    case TM_FIELD_ID:
    case TM_FIELD_TIME:
    case TM_FIELD_COMPOUND: break;
    }
    return "\"empty\"";
}

static const char *tolerance_kind(enum tm_field_kind kind)
{
    static const char *const words[] = { "text", "id",   "checkbox", "whole number", "number",
                                         "date", "time", "time",     "compound" };
    return kind == TM_FIELD_DATETIME ? "datetime" : words[kind];
}

static enum tm_code tolerance_bad(const char *where, const char *field, enum tm_field_kind kind,
                                  struct tm_err *err)
{
    return tm_fail(err, TM_E_ARG, "%s: the tolerance of %s, a %s, must be %s", where, field,
                   tolerance_kind(kind), tolerance_wanted(kind));
}

/* "1s" -> ms; false: no time */
static bool tolerance_time(double *out_ms, const char *text)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = { { "ms", 1 }, { "s", 1e3 }, { "m", 6e4 }, { "h", 3.6e6 }, { "d", 8.64e7 } };
    char *end;
    double number = strtod(text, &end);
    for (size_t i = 0; end != text && i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].unit) == 0 && number > 0 && isfinite(number)) {
            *out_ms = number * units[i].ms;
            return true;
        }
    return false;
}

static bool tolerance_one(struct tm_tolerance *out, const json_t *json, enum tm_field_kind kind)
{
    bool number = kind == TM_FIELD_NUMBER || kind == TM_FIELD_INT;
    const char *word = json_string_value(json);
    const json_t *scale = json_object_get(json, "scale");
    if (number && json_is_number(json) && json_number_value(json) > 0) {
        out->near = json_number_value(json);
        return true;
    }
    if (number && json_object_size(json) == 1 && json_is_integer(scale) &&
        json_integer_value(scale) >= 0 && json_integer_value(scale) <= TOLERANCE_SCALE_MAX) {
        out->near = pow(10, -(double)json_integer_value(scale));
        out->cut = true;
        return true;
    }
    if (word != NULL && strcmp(word, "empty") == 0 && kind != TM_FIELD_DATETIME) {
        out->empty = true;
        return true;
    }
    if (word != NULL && strcmp(word, "trim") == 0 && kind == TM_FIELD_TEXT) {
        out->trim = true;
        return true;
    }
    return word != NULL && kind == TM_FIELD_DATETIME && tolerance_time(&out->near, word);
}

enum tm_code tm_tolerance_parse(struct tm_tolerance *out, const json_t *json,
                                enum tm_field_kind kind, const char *where, const char *field,
                                struct tm_err *err)
{
    const json_t *one;
    size_t i;
    *out = (struct tm_tolerance){ 0 };
    if (!json_is_array(json))
        return tolerance_one(out, json, kind) ? TM_OK : tolerance_bad(where, field, kind, err);
    if (json_array_size(json) == 0)
        return tolerance_bad(where, field, kind, err);
    json_array_foreach(json, i, one)
    {
        if (!tolerance_one(out, one, kind))
            return tolerance_bad(where, field, kind, err);
    }
    return TM_OK;
}

bool tm_tolerance_none(const struct tm_tolerance *t)
{
    return !(t->near > 0) && !t->trim && !t->empty;
}

uint64_t tm_tolerance_value(const struct tm_tolerance *t, uint64_t hash)
{
    return t->empty && hash == tm_vhash_int(0) ? TM_VHASH_NULL : hash;
}

uint64_t tm_tolerance_text(const struct tm_tolerance *t, const char *text, size_t bytes)
{
    static const char blanks[] = " \t\r\n";
    size_t first = 0, end = bytes;
    if (!t->trim && !t->empty)
        return tm_vhash_text(text, bytes);
    while (first < end && strchr(blanks, text[first]) != NULL && text[first] != '\0')
        first++;
    while (end > first && strchr(blanks, text[end - 1]) != NULL && text[end - 1] != '\0')
        end--;
    if (t->trim || (t->empty && first == end))
        return tm_vhash_text(text + first, end - first);
    return tm_vhash_text(text, bytes);
}

uint64_t tm_tolerance_json(const struct tm_tolerance *t, const json_t *value)
{
    if (json_is_string(value))
        return tm_tolerance_text(t, json_string_value(value), json_string_length(value));
    return tm_tolerance_value(t, tm_vhash_json(value));
}

bool tm_tolerance_same(const struct tm_tolerance *t, uint64_t a, uint64_t b)
{
    double x, y;
    if (a == b)
        return true;
    if (!(t->near > 0) || !tm_vhash_number(&x, a) || !tm_vhash_number(&y, b))
        return false;
    /* of decimal fractions in binary: a hair more or less is no difference */
    double off = fabs(x - y), hair = 1e-9 * t->near + 4e-16 * fmax(fabs(x), fabs(y));
    return t->cut ? off < t->near - hair : off <= t->near + hair;
}
