#include "base/json.h"
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define JSON_DEPTH_MAX 64
#define JSON_DIGITS_MAX 18      /* of an integer: what surely fits */
#define JSON_NUMBER_BYTES 64    /* of a real number's text */
#define JSON_UNESCAPED_MAX 4096 /* of a string with escapes in it */

struct json_reader { /* every function below answers NULL, or false, for "let jansson have it" */
    const char *p, *end;
};

static json_t *json_value(struct json_reader *r, int depth);

static void json_blank(struct json_reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
        r->p++;
}

static bool json_take(struct json_reader *r, char c)
{
    json_blank(r);
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

/* The bytes of a string up to its closing quote. *out_plain: no escape in it; *out_ascii: no byte
 * above 127. */
static bool json_span(struct json_reader *r, const char **out, size_t *out_bytes, bool *out_plain,
                      bool *out_ascii)
{
    unsigned char all = 0;
    *out_plain = true;
    for (*out = r->p; r->p < r->end && *r->p != '"'; r->p++) {
        unsigned char c = (unsigned char)*r->p;
        if (c < 0x20)
            return false;
        all |= c;
        if (c == '\\') {
            *out_plain = false;
            if (++r->p == r->end)
                return false;
        }
    }
    *out_bytes = (size_t)(r->p - *out);
    *out_ascii = all < 0x80;
    return r->p < r->end && *r->p++ == '"';
}

static bool json_hex4(const char *p, unsigned *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            return false;
        *out = *out << 4 | digit;
    }
    return true;
}

/* \uXXXX, but for surrogates and NUL. */
static bool json_unescape_u(char **to, const char *p, const char *end)
{
    unsigned u;
    if (end - p < 4 || !json_hex4(p, &u) || u == 0 || (u >= 0xd800 && u < 0xe000))
        return false;
    if (u >= 0x800)
        *(*to)++ = (char)(0xe0 | u >> 12);
    if (u >= 0x80)
        *(*to)++ = (char)(u >= 0x800 ? 0x80 | (u >> 6 & 0x3f) : 0xc0 | u >> 6);
    *(*to)++ = (char)(u >= 0x80 ? 0x80 | (u & 0x3f) : u);
    return true;
}

static json_t *json_unescaped(const char *raw, size_t raw_bytes)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char text[JSON_UNESCAPED_MAX], *at = text;
    const char *end = raw + raw_bytes, *simple;
    if (raw_bytes > sizeof text)
        return NULL;
    for (const char *p = raw; p < end; p++) {
        if (*p != '\\')
            *at++ = *p;
        else if (*++p == 'u') {
            if (!json_unescape_u(&at, p + 1, end))
                return NULL;
            p += 4;
        } else if ((simple = memchr(from, *p, sizeof from - 1)) != NULL)
            *at++ = to[simple - from];
        else
            return NULL;
    }
    return json_stringn(text, (size_t)(at - text)); /* checks its UTF-8 */
}

static json_t *json_text(struct json_reader *r)
{
    const char *raw;
    size_t bytes;
    bool plain, ascii;
    if (!json_span(r, &raw, &bytes, &plain, &ascii))
        return NULL;
    if (!plain)
        return json_unescaped(raw, bytes);
    return ascii ? json_stringn_nocheck(raw, bytes) : json_stringn(raw, bytes);
}

static json_t *json_real_number(struct json_reader *r, const char *begin)
{
    char text[JSON_NUMBER_BYTES], *end;
    bool digits = true;
    if (r->p < r->end && *r->p == '.') {
        digits = ++r->p < r->end && *r->p >= '0' && *r->p <= '9';
        while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
            r->p++;
    }
    if (!digits || (r->p < r->end && (*r->p == 'e' || *r->p == 'E'))) /* rare: jansson's */
        return NULL;
    size_t bytes = (size_t)(r->p - begin);
    if (bytes >= sizeof text)
        return NULL;
    memcpy(text, begin, bytes);
    text[bytes] = '\0';
    double d = strtod(text, &end);
    return *end == '\0' ? json_real(d) : NULL; /* a locale with another decimal point: jansson's */
}

static json_t *json_number(struct json_reader *r)
{
    const char *begin = r->p;
    uint64_t i = 0; /* takes one digit more than is read */
    bool minus = *r->p == '-';
    r->p += minus;
    const char *digits = r->p;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9' && r->p - digits <= JSON_DIGITS_MAX)
        i = i * 10 + (uint64_t)(*r->p++ - '0');
    size_t count = (size_t)(r->p - digits);
    if (count == 0 || count > JSON_DIGITS_MAX || (count > 1 && *digits == '0'))
        return NULL;
    if (r->p < r->end && (*r->p == '.' || *r->p == 'e' || *r->p == 'E'))
        return json_real_number(r, begin);
    return json_integer(minus ? -(int64_t)i : (int64_t)i);
}

static json_t *json_word(struct json_reader *r)
{
    static const struct {
        const char *word;
        size_t bytes;
    } words[] = { { "null", 4 }, { "true", 4 }, { "false", 5 } };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if ((size_t)(r->end - r->p) >= words[i].bytes &&
            memcmp(r->p, words[i].word, words[i].bytes) == 0) {
            r->p += words[i].bytes;
            return i == 0 ? json_null() : json_boolean(i == 1);
        }
    return NULL;
}

static bool json_members(struct json_reader *r, json_t *object, int depth)
{
    if (json_take(r, '}'))
        return true;
    do {
        const char *key;
        size_t bytes;
        bool plain, ascii;
        if (!json_take(r, '"') || !json_span(r, &key, &bytes, &plain, &ascii) || !plain || !ascii ||
            !json_take(r, ':'))
            return false;
        json_t *value = json_value(r, depth);
        if (value == NULL || json_object_setn_new_nocheck(object, key, bytes, value) != 0)
            return false;
    } while (json_take(r, ','));
    return json_take(r, '}');
}

static bool json_items(struct json_reader *r, json_t *array, int depth)
{
    if (json_take(r, ']'))
        return true;
    do {
        json_t *value = json_value(r, depth);
        if (value == NULL || json_array_append_new(array, value) != 0)
            return false;
    } while (json_take(r, ','));
    return json_take(r, ']');
}

static json_t *json_value(struct json_reader *r, int depth)
{
    json_blank(r);
    if (r->p == r->end || depth == 0)
        return NULL;
    bool object = *r->p == '{';
    if (*r->p == '"') {
        r->p++;
        return json_text(r);
    }
    if (!object && *r->p != '[')
        return *r->p == '-' || (*r->p >= '0' && *r->p <= '9') ? json_number(r) : json_word(r);
    r->p++;
    json_t *out = object ? json_object() : json_array();
    if (out != NULL && (object ? json_members : json_items)(r, out, depth - 1))
        return out;
    json_decref(out);
    return NULL;
}

json_t *tm_json_parse(const char *text, size_t bytes)
{
    struct json_reader r = { text, text != NULL ? text + bytes : NULL };
    json_blank(&r);
    json_t *out = NULL;
    if (r.p < r.end && (*r.p == '{' || *r.p == '['))
        out = json_value(&r, JSON_DEPTH_MAX);
    json_blank(&r);
    if (out != NULL && r.p == r.end)
        return out;
    json_decref(out);
    return json_loadb(text, bytes, 0, NULL);
}
