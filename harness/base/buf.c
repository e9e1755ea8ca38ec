#include "base/buf.h"
#include "base/text.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tm_buf_init(struct tm_buf *b, size_t max)
{
    assert(max > 0);
    *b = (struct tm_buf){ .max = max };
}

void tm_buf_free(struct tm_buf *b)
{
    free(b->data);
    *b = (struct tm_buf){ .max = b->max };
}

void tm_buf_reset(struct tm_buf *b)
{
    b->bytes = 0;
    b->failed = TM_OK;
    if (b->data != NULL)
        b->data[0] = '\0';
}

static bool buf_room(struct tm_buf *b, size_t more)
{
    assert(b->max > 0 && b->bytes <= b->max);
    if (b->failed != TM_OK)
        return false;
    if (more > b->max - b->bytes) {
        b->failed = TM_E_LIMIT;
        return false;
    }
    size_t need = b->bytes + more + 1;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap *= 2;
    char *data = realloc(b->data, cap);
    if (data == NULL) {
        b->failed = TM_E_NOMEM;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void tm_buf_add(struct tm_buf *b, const void *data, size_t bytes)
{
    if (!buf_room(b, bytes))
        return;
    if (bytes > 0)
        memcpy(b->data + b->bytes, data, bytes);
    b->bytes += bytes;
    b->data[b->bytes] = '\0';
}

char *tm_buf_extend(struct tm_buf *b, size_t bytes)
{
    if (!buf_room(b, bytes))
        return NULL;
    char *room = b->data + b->bytes;
    b->bytes += bytes;
    b->data[b->bytes] = '\0';
    return room;
}

void tm_buf_addz(struct tm_buf *b, const char *text)
{
    tm_buf_add(b, text, strlen(text));
}
void tm_buf_addc(struct tm_buf *b, char c)
{
    tm_buf_add(b, &c, 1);
}

void tm_buf_add_int(struct tm_buf *b, int64_t i)
{
    char text[24], *at = text + sizeof text;
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    do
        *--at = (char)('0' + u % 10);
    while ((u /= 10) > 0);
    if (i < 0)
        *--at = '-';
    tm_buf_add(b, at, (size_t)(text + sizeof text - at));
}

void tm_buf_addf(struct tm_buf *b, const char *fmt, ...)
{
    char small[256];
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    if ((size_t)n < sizeof small) {
        tm_buf_add(b, small, (size_t)n);
    } else if (buf_room(b, (size_t)n)) {
        vsnprintf(b->data + b->bytes, (size_t)n + 1, fmt, again);
        b->bytes += (size_t)n;
    }
    va_end(again);
}

void tm_buf_add_urlencoded(struct tm_buf *b, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (strchr(plain, *p) != NULL)
            tm_buf_addc(b, (char)*p);
        else
            tm_buf_addf(b, "%%%02X", *p);
    }
}

void tm_buf_add_json_string(struct tm_buf *b, const char *text, size_t bytes)
{
    size_t from = 0;
    tm_buf_addc(b, '"');
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        size_t whole = c >= 0x80 ? tm_utf8_bytes((const unsigned char *)text + i, bytes - i)
                                 : (size_t)(c >= 0x20 && c != '"' && c != '\\');
        if (whole > 0) {
            i += whole - 1;
            continue;
        }
        tm_buf_add(b, text + from, i - from);
        from = i + 1;
        if (c == '"' || c == '\\') {
            tm_buf_addc(b, '\\');
            tm_buf_addc(b, (char)c);
        } else if (c == '\n') {
            tm_buf_add(b, "\\n", 2);
        } else if (c >= 0x80) {
            tm_buf_addz(b, "\\ufffd");
        } else {
            tm_buf_addf(b, "\\u%04x", c);
        }
    }
    tm_buf_add(b, text + from, bytes - from);
    tm_buf_addc(b, '"');
}

const char *tm_buf_text(const struct tm_buf *b)
{
    return b->data ? b->data : "";
}

enum tm_code tm_buf_check(const struct tm_buf *b, const char *what, struct tm_err *err)
{
    if (b->failed == TM_E_LIMIT)
        return tm_fail(err, TM_E_LIMIT, "%s: more than %zu bytes", what, b->max);
    if (b->failed == TM_E_NOMEM)
        return tm_fail(err, TM_E_NOMEM, "%s: out of memory after %zu bytes", what, b->bytes);
    return TM_OK;
}
