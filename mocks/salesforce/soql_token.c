#include "mocks/salesforce/soql_impl.h"
#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SOQL_CONTEXT_BYTES 60 /* of the query shown either side of an error */

enum tm_code tm_soql_complain(struct tm_soql_error *error, struct tm_err *err, const char *code,
                              const char *text, size_t at, const char *fmt, ...)
{
    char why[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    tm_text_cut(why);
    size_t line = 1, line_at = 0, from = at, to = at;
    for (size_t i = 0; i < at && text[i]; i++)
        if (text[i] == '\n') {
            line++;
            line_at = i + 1;
        }
    while (from > line_at && at - from < SOQL_CONTEXT_BYTES)
        from--;
    while (from < at && ((unsigned char)text[from] & 0xc0) == 0x80) /* inside a letter */
        from++;
    while (text[to] && text[to] != '\n' && to - at < SOQL_CONTEXT_BYTES)
        to++;
    snprintf(error->code, sizeof error->code, "%s", code);
    snprintf(error->message, sizeof error->message, "\n%.*s\n%*s^\nERROR at Row:%zu:Column:%zu\n%s",
             (int)(to - from), text + from, (int)(at - from), "", line, at - line_at + 1, why);
    tm_text_cut(error->message);
    return tm_fail(err, TM_E_ARG, "%s: %s", code, why);
}

static bool soql_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

enum tm_code soql_unexpected(struct soql_parser *p)
{
    if (p->now.kind == SOQL_END)
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text, p->now.at,
                                "unexpected token: <EOF>");
    return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text, p->now.at,
                            "unexpected token: '%.*s'",
                            (int)(p->now.bytes < 60 ? p->now.bytes : 60), p->text + p->now.at);
}

enum tm_code soql_next(struct soql_parser *p)
{
    const char *t = p->text;
    while (isspace((unsigned char)t[p->at]))
        p->at++;
    size_t from = p->at, i = from;
    enum soql_token_kind kind = SOQL_SIGN;
    bool number_sign =
        (t[i] == '+' || t[i] == '-') && (isdigit((unsigned char)t[i + 1]) || t[i + 1] == '.');
    if (t[i] == '\0') {
        kind = SOQL_END;
    } else if (isalpha((unsigned char)t[i]) || t[i] == '_') {
        kind = SOQL_WORD;
        while (soql_name_char(t[i]))
            i++;
    } else if (isdigit((unsigned char)t[i]) || number_sign ||
               (t[i] == '.' && isdigit((unsigned char)t[i + 1]))) {
        kind = SOQL_LITERAL;
        for (i++; soql_name_char(t[i]) || t[i] == ':' || t[i] == '.' || t[i] == '-' || t[i] == '+';
             i++)
            ;
    } else if (t[i] == '\'') {
        kind = SOQL_STRING;
        for (i++; t[i] != '\'' && t[i] != '\0'; i++)
            if (t[i] == '\\' && t[i + 1] != '\0')
                i++;
        if (t[i] == '\0')
            return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", t, from,
                                    "unclosed string literal");
        i++;
    } else {
        bool two = ((t[i] == '<' || t[i] == '>' || t[i] == '!') && t[i + 1] == '=') ||
                   (t[i] == '<' && t[i + 1] == '>');
        i += two ? 2 : 1;
    }
    p->now = (struct soql_token){ kind, from, i - from };
    p->at = i;
    return TM_OK;
}

bool soql_is(const struct soql_parser *p, const char *word)
{
    return p->now.kind == SOQL_WORD && p->now.bytes == strlen(word) &&
           strncasecmp(p->text + p->now.at, word, p->now.bytes) == 0;
}

bool soql_sign(const struct soql_parser *p, const char *sign)
{
    return p->now.kind == SOQL_SIGN && p->now.bytes == strlen(sign) &&
           strncmp(p->text + p->now.at, sign, p->now.bytes) == 0;
}

enum tm_code soql_want(struct soql_parser *p, const char *word)
{
    return soql_is(p, word) || soql_sign(p, word) ? soql_next(p) : soql_unexpected(p);
}

/* Words cannot outgrow the query: names are copied once with a terminator, strings shrink. */
char *soql_keep(struct soql_parser *p, const char *from, size_t bytes)
{
    assert(p->q->words_bytes + bytes + 1 <= p->words_cap);
    char *to = p->q->words + p->q->words_bytes;
    memcpy(to, from, bytes);
    to[bytes] = '\0';
    p->q->words_bytes += bytes + 1;
    return to;
}

enum tm_code soql_grow(struct soql_parser *p, void **array, size_t count, size_t *cap,
                       size_t item_bytes, size_t max, const char *what)
{
    if (count < *cap)
        return TM_OK;
    if (count >= max)
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text, p->now.at,
                                "more than %zu %s", max, what);
    size_t more = *cap == 0 ? 16 : *cap * 2;
    void *grown = realloc(*array, more * item_bytes);
    if (grown == NULL)
        return tm_fail(p->err, TM_E_NOMEM, "a query's %s", what);
    *array = grown;
    *cap = more;
    return TM_OK;
}

enum tm_code soql_name(struct soql_parser *p, const char **out)
{
    if (p->now.kind != SOQL_WORD)
        return soql_unexpected(p);
    *out = soql_keep(p, p->text + p->now.at, p->now.bytes);
    return soql_next(p);
}

/* ---- values ---- */

static const struct {
    const char *name;
    enum tm_soql_function function;
} soql_functions[] = {
    { "toLabel", TM_SOQL_TO_LABEL },
    { "COUNT", TM_SOQL_COUNT_OF },
    { "COUNT_DISTINCT", TM_SOQL_COUNT_DISTINCT },
    { "SUM", TM_SOQL_SUM },
    { "AVG", TM_SOQL_AVG },
    { "MIN", TM_SOQL_MIN },
    { "MAX", TM_SOQL_MAX },
    { "CALENDAR_MONTH", TM_SOQL_CALENDAR_MONTH },
    { "CALENDAR_QUARTER", TM_SOQL_CALENDAR_QUARTER },
    { "CALENDAR_YEAR", TM_SOQL_CALENDAR_YEAR },
    { "DAY_IN_MONTH", TM_SOQL_DAY_IN_MONTH },
    { "DAY_IN_WEEK", TM_SOQL_DAY_IN_WEEK },
    { "DAY_IN_YEAR", TM_SOQL_DAY_IN_YEAR },
    { "DAY_ONLY", TM_SOQL_DAY_ONLY },
    { "FISCAL_MONTH", TM_SOQL_FISCAL_MONTH },
    { "FISCAL_QUARTER", TM_SOQL_FISCAL_QUARTER },
    { "FISCAL_YEAR", TM_SOQL_FISCAL_YEAR },
    { "HOUR_IN_DAY", TM_SOQL_HOUR_IN_DAY },
    { "WEEK_IN_MONTH", TM_SOQL_WEEK_IN_MONTH },
    { "WEEK_IN_YEAR", TM_SOQL_WEEK_IN_YEAR },
};

static enum tm_code soql_path(struct soql_parser *p, struct tm_soql_path *out)
{
    *out = (struct tm_soql_path){ .at = p->now.at };
    enum tm_code rc = soql_name(p, &out->field);
    while (rc == TM_OK && soql_sign(p, ".")) {
        if (out->levels == TM_SOQL_LEVELS_MAX)
            return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text, out->at,
                                    "a field path has at most five relationships");
        out->relations[out->levels++] = out->field;
        rc = soql_next(p);
        if (rc == TM_OK)
            rc = soql_name(p, &out->field);
    }
    return rc;
}

/* What stands in the brackets of a function; a time zone is the org's own, UTC, and changes
 * nothing. */
static enum tm_code soql_argument(struct soql_parser *p, struct tm_soql_path *out)
{
    size_t at = out->at;
    enum tm_soql_function function = out->function;
    enum tm_code rc = soql_path(p, out);
    if (rc == TM_OK && soql_sign(p, "(")) {
        if (function < TM_SOQL_CALENDAR_MONTH || out->levels > 0 ||
            strcasecmp(out->field, "convertTimezone") != 0)
            return soql_unexpected(p);
        rc = soql_next(p);
        if (rc == TM_OK)
            rc = soql_path(p, out);
        if (rc == TM_OK)
            rc = soql_want(p, ")");
    }
    out->function = function;
    out->at = at;
    return rc == TM_OK ? soql_want(p, ")") : rc;
}

enum tm_code soql_value(struct soql_parser *p, struct tm_soql_path *out)
{
    static const char *const refused[] = { "FORMAT",          "convertCurrency", "DISTANCE",
                                           "convertTimezone", "GROUPING",        "GEOLOCATION" };
    enum tm_code rc = soql_path(p, out);
    size_t i = 0;
    if (rc != TM_OK || !soql_sign(p, "(") || out->levels > 0 ||
        strcasecmp(out->field, "fields") == 0)
        return rc;
    for (i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (strcasecmp(refused[i], out->field) == 0)
            return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text, out->at,
                                    "the function %s is not served by this mock", refused[i]);
    for (i = 0; i < sizeof soql_functions / sizeof soql_functions[0]; i++)
        if (strcasecmp(soql_functions[i].name, out->field) == 0)
            break;
    if (i == sizeof soql_functions / sizeof soql_functions[0])
        return soql_unexpected(p);
    out->function = soql_functions[i].function;
    struct soql_parser before = *p;
    rc = soql_next(p);
    if (rc == TM_OK && out->function == TM_SOQL_COUNT_OF && soql_sign(p, ")")) {
        *p = before;
        out->function = TM_SOQL_PLAIN;
        return TM_OK;
    }
    return rc == TM_OK ? soql_argument(p, out) : rc;
}
