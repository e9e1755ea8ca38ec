#include "base/csv.h"
#include <assert.h>
#include <string.h>

void tm_csv_init(struct tm_csv *c, char *text, size_t bytes, char delimiter)
{
    assert(text[bytes] == '\0');
    *c = (struct tm_csv){ .at = text, .end = text + bytes, .delimiter = delimiter };
}

static bool csv_ends(const struct tm_csv *c, const char *p)
{
    return p == c->end || *p == c->delimiter || *p == '\n' || (*p == '\r' && p[1] == '\n');
}

/* Behind the opening quote. Doubled quotes become one, the rest moves up. */
static enum tm_code csv_quoted(struct tm_csv *c, struct tm_csv_field *out, struct tm_err *err)
{
    char *from = c->at, *to = c->at;
    out->text = c->at;
    for (;;) {
        char *quote = memchr(from, '"', (size_t)(c->end - from));
        if (quote == NULL)
            return tm_fail(err, TM_E_PROTO, "CSV: a quoted value does not end");
        memmove(to, from, (size_t)(quote - from));
        to += quote - from;
        from = quote + 1;
        if (*from != '"')
            break;
        *to++ = '"';
        from++;
    }
    out->bytes = (size_t)(to - out->text);
    c->at = from;
    if (!csv_ends(c, from))
        return tm_fail(err, TM_E_PROTO, "CSV: text behind the quote that ends a value");
    assert(to < from); /* at the closing quote, or before it */
    *to = '\0';
    return TM_OK;
}

static void csv_bare(struct tm_csv *c, struct tm_csv_field *out)
{
    char *p = c->at;
    while (!csv_ends(c, p))
        p++;
    *out = (struct tm_csv_field){ c->at, (size_t)(p - c->at) };
    c->at = p;
}

enum tm_code tm_csv_record(struct tm_csv *c, struct tm_csv_field *fields, size_t fields_cap,
                           size_t *out_count, struct tm_err *err)
{
    size_t count = 0;
    *out_count = 0;
    for (bool more = c->at < c->end; more; count++) {
        enum tm_code rc = TM_OK;
        if (count == fields_cap)
            return tm_fail(err, TM_E_LIMIT, "CSV: a record of more than %zu fields", fields_cap);
        if (*c->at == '"') {
            c->at++;
            rc = csv_quoted(c, &fields[count], err);
        } else {
            csv_bare(c, &fields[count]);
        }
        if (rc == TM_OK && memchr(fields[count].text, '\0', fields[count].bytes) != NULL)
            rc = tm_fail(err, TM_E_PROTO, "CSV: a NUL in a value");
        if (rc != TM_OK)
            return rc;
        more = c->at < c->end && *c->at == c->delimiter;
        if (!more && c->at < c->end && *c->at == '\r')
            *c->at++ = '\0';
        if (c->at < c->end)
            *c->at++ = '\0'; /* the delimiter or line end: also ends a bare field */
    }
    *out_count = count;
    return TM_OK;
}
