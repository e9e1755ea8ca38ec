#include "base/err.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void tm_err_clear(struct tm_err *err)
{
    assert(err != NULL);
    *err = (struct tm_err){ .code = TM_OK };
}

static enum tm_code err_record(struct tm_err *err, enum tm_code code, bool retriable,
                               const char *fmt, va_list ap)
{
    assert(code != TM_OK && code != TM_E_AGAIN);
    if (err == NULL || err->code != TM_OK)
        return code;
    err->code = code;
    err->retriable = retriable;
    err->ctx[0] = '\0';
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    return code;
}

enum tm_code(tm_fail)(struct tm_err *err, enum tm_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    code = err_record(err, code, false, fmt, ap);
    va_end(ap);
    return code;
}

enum tm_code(tm_fail_retry)(struct tm_err *err, enum tm_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    code = err_record(err, code, true, fmt, ap);
    va_end(ap);
    return code;
}

enum tm_code tm_at(struct tm_err *err, const char *fmt, ...)
{
    char outer[sizeof err->ctx], joined[2 * sizeof err->ctx + 4];
    va_list ap;
    assert(err != NULL && err->code != TM_OK);
    va_start(ap, fmt);
    vsnprintf(outer, sizeof outer, fmt, ap);
    va_end(ap);
    snprintf(joined, sizeof joined, err->ctx[0] ? "%s: %s" : "%s", outer, err->ctx);
    joined[sizeof err->ctx - 1] = '\0';
    memcpy(err->ctx, joined, sizeof err->ctx);
    return err->code;
}

const char *tm_err_text(const struct tm_err *err, char *out, size_t out_bytes)
{
    assert(out_bytes > 0);
    snprintf(out, out_bytes, err->ctx[0] ? "%s: %s" : "%s%s", err->ctx, err->msg);
    return out;
}

const char *tm_code_name(enum tm_code code)
{
    static const char *const names[] = { "ok",  "again",    "argument", "out of memory", "limit",
                                         "i/o", "protocol", "gap",      "mismatch" };
    assert((size_t)code < sizeof names / sizeof names[0]);
    return names[code];
}

int tm_err_exit(const struct tm_err *err)
{
    switch (err->code) {
    case TM_OK:
    case TM_E_AGAIN: return 0;
    case TM_E_ARG:
    case TM_E_MISMATCH: return 64;
    case TM_E_NOMEM:
    case TM_E_LIMIT: return 70;
    default: return 2; /* the world failed us: nothing is proven either way */
    }
}
