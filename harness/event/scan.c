#include "event/scan.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

char tm_scan_peek(struct tm_scan *s)
{
    assert(s->p <= s->end);
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
        s->p++;
    return s->p < s->end ? *s->p : '\0';
}

bool tm_scan_take(struct tm_scan *s, char c)
{
    if (tm_scan_peek(s) != c || s->p == s->end)
        return false;
    s->p++;
    return true;
}

bool tm_scan_word(struct tm_scan *s, const char *word)
{
    size_t bytes = strlen(word);
    tm_scan_peek(s);
    if ((size_t)(s->end - s->p) < bytes || memcmp(s->p, word, bytes) != 0)
        return false;
    s->p += bytes;
    return true;
}

static int scan_hex4(const char *p, const char *end)
{
    int value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Code point of a \u escape at p (behind the 'u'); *used counts characters behind it. Lone
 * surrogates become U+FFFD. */
static int32_t scan_escape(const char *p, const char *end, size_t *used)
{
    int high = scan_hex4(p, end);
    *used = 4;
    if (high < 0)
        return -1;
    if (high < 0xD800 || high > 0xDFFF)
        return high;
    if (high < 0xDC00 && end - p >= 10 && p[4] == '\\' && p[5] == 'u') {
        int low = scan_hex4(p + 6, end);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *used = 10;
            return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return 0xFFFD;
}

static size_t scan_utf8(char out[4], int32_t c)
{
    uint32_t u = (uint32_t)c;
    if (u < 0x80) {
        out[0] = (char)u;
        return 1;
    }
    if (u < 0x800) {
        out[0] = (char)(0xC0 | u >> 6);
        out[1] = (char)(0x80 | (u & 0x3F));
        return 2;
    }
    if (u < 0x10000) {
        out[0] = (char)(0xE0 | u >> 12);
        out[1] = (char)(0x80 | (u >> 6 & 0x3F));
        out[2] = (char)(0x80 | (u & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | u >> 18);
    out[1] = (char)(0x80 | (u >> 12 & 0x3F));
    out[2] = (char)(0x80 | (u >> 6 & 0x3F));
    out[3] = (char)(0x80 | (u & 0x3F));
    return 4;
}

/* One escape at p (behind the backslash): its UTF-8 bytes, and how many characters it took. 0 = not
 * an escape. */
static size_t scan_one(const char *p, const char *end, char out[4], size_t *bytes)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (p == end)
        return 0;
    if (*p == 'u') {
        size_t used;
        int32_t c = scan_escape(p + 1, end, &used);
        if (c < 0)
            return 0;
        *bytes = scan_utf8(out, c);
        return used + 1;
    }
    const char *at = *p == '\0' ? NULL : strchr(from, *p);
    if (at == NULL)
        return 0;
    out[0] = to[at - from];
    *bytes = 1;
    return 1;
}

bool tm_scan_string(struct tm_scan *s, const char **out, size_t *out_bytes, size_t *out_plain)
{
    if (!tm_scan_take(s, '"'))
        return false;
    const char *from = s->p;
    size_t plain = 0;
    while (s->p < s->end && *s->p != '"') {
        char utf8[4];
        size_t bytes = 1, used = 0;
        if (*s->p == '\\' && (used = scan_one(s->p + 1, s->end, utf8, &bytes)) == 0)
            return false;
        s->p += 1 + used;
        plain += bytes;
    }
    if (s->p >= s->end)
        return false;
    *out = from;
    *out_bytes = (size_t)(s->p - from);
    *out_plain = plain;
    s->p++;
    return true;
}

void tm_scan_unescape(struct tm_buf *out, const char *raw, size_t raw_bytes)
{
    const char *p = raw, *end = raw + raw_bytes;
    while (p < end) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        tm_buf_add(out, p, (size_t)((slash ? slash : end) - p));
        if (slash == NULL)
            return;
        char utf8[4];
        size_t bytes = 0, used = scan_one(slash + 1, end, utf8, &bytes);
        assert(used > 0); /* tm_scan_string accepted it */
        tm_buf_add(out, utf8, bytes);
        p = slash + 1 + used;
    }
}

static bool scan_number(struct tm_scan *s, char *out, size_t out_bytes)
{
    size_t n = 0;
    tm_scan_peek(s);
    while (s->p < s->end && (strchr("+-.eE", *s->p) != NULL || (*s->p >= '0' && *s->p <= '9')) &&
           *s->p != '\0') {
        if (n + 1 >= out_bytes)
            return false;
        out[n++] = *s->p++;
    }
    out[n] = '\0';
    return n > 0;
}

bool tm_scan_int(struct tm_scan *s, int64_t *out)
{
    bool minus;
    uint64_t value = 0, max = INT64_MAX;
    tm_scan_peek(s);
    minus = s->p < s->end && *s->p == '-';
    const char *p = s->p + (minus ? 1 : 0), *from = p;
    for (; p < s->end && *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (value > (max + minus - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (p == from || (p < s->end && (*p == '.' || *p == 'e' || *p == 'E')))
        return false;
    *out = minus ? (int64_t)(0 - value) : (int64_t)value;
    s->p = p;
    return true;
}

bool tm_scan_double(struct tm_scan *s, double *out)
{
    char text[64], *rest;
    if (!scan_number(s, text, sizeof text))
        return false;
    *out = strtod(text, &rest);
    return *rest == '\0';
}

static bool scan_skip_members(struct tm_scan *s, bool object, int depth)
{
    const char *raw;
    size_t bytes, plain;
    char close = object ? '}' : ']';
    s->p++;
    if (tm_scan_take(s, close))
        return true;
    for (;;) {
        if (object && (!tm_scan_string(s, &raw, &bytes, &plain) || !tm_scan_take(s, ':')))
            return false;
        if (!tm_scan_skip(s, depth + 1))
            return false;
        if (tm_scan_take(s, close))
            return true;
        if (!tm_scan_take(s, ','))
            return false;
    }
}

bool tm_scan_skip(struct tm_scan *s, int depth)
{
    const char *raw;
    size_t bytes, plain;
    double number;
    if (depth >= TM_SCAN_DEPTH_MAX)
        return false;
    switch (tm_scan_peek(s)) {
    case '"': return tm_scan_string(s, &raw, &bytes, &plain);
    case '{': return scan_skip_members(s, true, depth);
    case '[': return scan_skip_members(s, false, depth);
    case 't': return tm_scan_word(s, "true");
    case 'f': return tm_scan_word(s, "false");
    case 'n': return tm_scan_word(s, "null");
    default: return tm_scan_double(s, &number);
    }
}
