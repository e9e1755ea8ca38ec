#include "mocks/salesforce/soql.h"
#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SOQL_CONTEXT_BYTES 60 /* of the query shown either side of an error */

enum soql_token_kind {
    SOQL_END,
    SOQL_WORD,
    SOQL_LITERAL /* number, date, time */,
    SOQL_STRING,
    SOQL_SIGN
};
struct soql_token {
    enum soql_token_kind kind;
    size_t at, bytes;
};
struct soql_parser {
    struct tm_soql *q;
    const char *text;
    size_t at; /* next byte to scan */
    struct soql_token now;
    size_t nodes_cap, children_cap, literals_cap, items_cap, words_cap;
    size_t depth;
    struct tm_soql_error *error;
    struct tm_err *err;
};

enum tm_code tm_soql_complain(struct tm_soql_error *error, struct tm_err *err, const char *code,
                              const char *text, size_t at, const char *fmt, ...)
{
    char why[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    size_t line = 1, line_at = 0, from = at, to = at;
    for (size_t i = 0; i < at && text[i]; i++)
        if (text[i] == '\n') {
            line++;
            line_at = i + 1;
        }
    while (from > line_at && at - from < SOQL_CONTEXT_BYTES)
        from--;
    while (text[to] && text[to] != '\n' && to - at < SOQL_CONTEXT_BYTES)
        to++;
    snprintf(error->code, sizeof error->code, "%s", code);
    snprintf(error->message, sizeof error->message, "\n%.*s\n%*s^\nERROR at Row:%zu:Column:%zu\n%s",
             (int)(to - from), text + from, (int)(at - from), "", line, at - line_at + 1, why);
    return tm_fail(err, TM_E_ARG, "%s: %s", code, why);
}

static bool soql_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static enum tm_code soql_unexpected(struct soql_parser *p)
{
    if (p->now.kind == SOQL_END)
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text, p->now.at,
                                "unexpected token: <EOF>");
    return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text, p->now.at,
                            "unexpected token: '%.*s'",
                            (int)(p->now.bytes < 60 ? p->now.bytes : 60), p->text + p->now.at);
}

/* Scans the next token; a string is only delimited here, unescaped by soql_string. */
static enum tm_code soql_next(struct soql_parser *p)
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

static bool soql_is(const struct soql_parser *p, const char *word)
{
    return p->now.kind == SOQL_WORD && p->now.bytes == strlen(word) &&
           strncasecmp(p->text + p->now.at, word, p->now.bytes) == 0;
}

static bool soql_sign(const struct soql_parser *p, const char *sign)
{
    return p->now.kind == SOQL_SIGN && p->now.bytes == strlen(sign) &&
           strncmp(p->text + p->now.at, sign, p->now.bytes) == 0;
}

static enum tm_code soql_want(struct soql_parser *p, const char *word)
{
    return soql_is(p, word) || soql_sign(p, word) ? soql_next(p) : soql_unexpected(p);
}

/* Words cannot outgrow the query: names are copied once with a terminator, strings shrink. */
static char *soql_keep(struct soql_parser *p, const char *from, size_t bytes)
{
    assert(p->q->words_bytes + bytes + 1 <= p->words_cap);
    char *to = p->q->words + p->q->words_bytes;
    memcpy(to, from, bytes);
    to[bytes] = '\0';
    p->q->words_bytes += bytes + 1;
    return to;
}

static enum tm_code soql_grow(struct soql_parser *p, void **array, size_t count, size_t *cap,
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

static enum tm_code soql_name(struct soql_parser *p, const char **out)
{
    if (p->now.kind != SOQL_WORD)
        return soql_unexpected(p);
    *out = soql_keep(p, p->text + p->now.at, p->now.bytes);
    return soql_next(p);
}

static enum tm_code soql_path(struct soql_parser *p, struct tm_soql_path *out)
{
    *out = (struct tm_soql_path){ .at = p->now.at };
    enum tm_code rc = soql_name(p, &out->field);
    if (rc != TM_OK || !soql_sign(p, "."))
        return rc;
    out->relation = out->field;
    rc = soql_next(p);
    if (rc == TM_OK)
        rc = soql_name(p, &out->field);
    if (rc == TM_OK && soql_sign(p, "."))
        return tm_soql_complain(
            p->error, p->err, "MALFORMED_QUERY", p->text, out->at,
            "only one level of relationship is served here (Owner.Name, not Account.Owner.Name)");
    return rc;
}

/* ---- literals ---- */

static int soql_hex4(const char *t)
{
    int n = 0;
    for (int i = 0; i < 4; i++) {
        if (!isxdigit((unsigned char)t[i]))
            return -1;
        n = n * 16 +
            (isdigit((unsigned char)t[i]) ? t[i] - '0' : tolower((unsigned char)t[i]) - 'a' + 10);
    }
    return n;
}

static size_t soql_utf8(char *to, int c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    to[0] = (char)(0xe0 | c >> 12);
    to[1] = (char)(0x80 | (c >> 6 & 0x3f));
    to[2] = (char)(0x80 | (c & 0x3f));
    return 3;
}

/* One escape at t (behind the backslash): its bytes to `to`, how many were read to *used; 0 written
 * = unknown escape. */
static size_t soql_escape(const char *t, char *to, size_t *used)
{
    static const char from[] = "nNrRtTbBfF\"'\\", into[] = "\n\n\r\r\t\t\b\b\f\f\"'\\";
    const char *found = *t != '\0' ? strchr(from, *t) : NULL;
    *used = 1;
    if (found != NULL) {
        *to = into[found - from];
        return 1;
    }
    if (*t == '%' || *t == '_') { /* only LIKE means something else by it, so it is kept */
        to[0] = '\\';
        to[1] = *t;
        return 2;
    }
    int c = (*t == 'u' || *t == 'U') ? soql_hex4(t + 1) : -1;
    if (c <= 0 || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *used = 5;
    return soql_utf8(to, c);
}

static enum tm_code soql_string(struct soql_parser *p, const char **out)
{
    const char *t = p->text;
    size_t end = p->now.at + p->now.bytes - 1;
    char *to = soql_keep(p, t + p->now.at + 1, p->now.bytes - 2), *write = to;
    for (size_t i = p->now.at + 1; i < end; i++) {
        if (t[i] != '\\') {
            *write++ = t[i];
            continue;
        }
        size_t used, wrote = soql_escape(t + i + 1, write, &used);
        if (wrote == 0)
            return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", t, i,
                                    "illegal escape sequence in a string");
        write += wrote;
        i += used;
    }
    *write = '\0';
    *out = to;
    return TM_OK;
}

static bool soql_time_of_day(const char *text)
{
    char whole[TM_TIME_BYTES + 16];
    int64_t ms;
    snprintf(whole, sizeof whole, "1970-01-01T%.30s", text);
    return tm_time_parse(&ms, whole, NULL) == TM_OK;
}

static enum tm_code soql_number_or_time(struct soql_parser *p, struct tm_soql_literal *out)
{
    char *end;
    int32_t days;
    out->text = soql_keep(p, p->text + p->now.at, p->now.bytes);
    strtod(out->text, &end);
    if (*end == '\0' && strpbrk(out->text, "xXpPnN") == NULL)
        out->kind = TM_SOQL_NUMBER;
    else if (tm_time_parse(&out->datetime_ms, out->text, NULL) == TM_OK)
        out->kind = TM_SOQL_DATETIME;
    else if (tm_date_parse(&days, out->text, NULL) == TM_OK)
        out->kind = TM_SOQL_DATE;
    else if (soql_time_of_day(out->text))
        out->kind = TM_SOQL_TIME;
    else
        return soql_unexpected(p);
    return TM_OK;
}

static enum tm_code soql_literal(struct soql_parser *p)
{
    struct tm_soql *q = p->q;
    struct tm_soql_literal literal = { .at = p->now.at };
    enum tm_code rc = soql_grow(p, (void **)&q->literals, q->literals_count, &p->literals_cap,
                                sizeof literal, TM_SOQL_LITERALS_MAX, "values");
    if (rc != TM_OK)
        return rc;
    if (soql_is(p, "null")) {
        literal.kind = TM_SOQL_NULL;
    } else if (soql_is(p, "true") || soql_is(p, "false")) {
        literal.kind = TM_SOQL_BOOLEAN;
        literal.boolean = soql_is(p, "true");
    } else if (p->now.kind == SOQL_STRING) {
        literal.kind = TM_SOQL_STRING;
        rc = soql_string(p, &literal.text);
    } else if (p->now.kind == SOQL_LITERAL) {
        rc = soql_number_or_time(p, &literal);
    } else {
        rc = soql_unexpected(p);
    }
    if (rc != TM_OK)
        return rc;
    q->literals[q->literals_count++] = literal;
    return soql_next(p);
}

/* ---- conditions ---- */

static enum tm_code soql_node(struct soql_parser *p, struct tm_soql_node node, size_t *out)
{
    struct tm_soql *q = p->q;
    enum tm_code rc = soql_grow(p, (void **)&q->nodes, q->nodes_count, &p->nodes_cap, sizeof node,
                                TM_SOQL_NODES_MAX, "conditions");
    if (rc == TM_OK) {
        *out = q->nodes_count;
        q->nodes[q->nodes_count++] = node;
    }
    return rc;
}

static enum tm_code soql_operator(struct soql_parser *p, enum tm_soql_op *out)
{
    static const struct {
        const char *sign;
        enum tm_soql_op op;
    } signs[] = {
        { "=", TM_SOQL_EQ },  { "!=", TM_SOQL_NE },     { "<>", TM_SOQL_NE },
        { "<", TM_SOQL_LT },  { "<=", TM_SOQL_LE },     { ">", TM_SOQL_GT },
        { ">=", TM_SOQL_GE }, { "like", TM_SOQL_LIKE }, { "in", TM_SOQL_IN },
    };
    if (soql_is(p, "not")) {
        enum tm_code rc = soql_next(p);
        if (rc != TM_OK)
            return rc;
        *out = TM_SOQL_NOT_IN;
        return soql_want(p, "in");
    }
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (soql_sign(p, signs[i].sign) || soql_is(p, signs[i].sign)) {
            *out = signs[i].op;
            return soql_next(p);
        }
    return soql_unexpected(p);
}

static enum tm_code soql_comparison(struct soql_parser *p, size_t *out)
{
    struct tm_soql_node node = { 0 };
    enum tm_code rc = soql_path(p, &node.path);
    if (rc == TM_OK)
        rc = soql_operator(p, &node.op);
    if (rc != TM_OK)
        return rc;
    bool list = node.op == TM_SOQL_IN || node.op == TM_SOQL_NOT_IN;
    node.first = p->q->literals_count;
    if (list)
        rc = soql_want(p, "(");
    if (rc == TM_OK)
        rc = soql_literal(p);
    while (rc == TM_OK && list && soql_sign(p, ",")) {
        rc = soql_next(p);
        if (rc == TM_OK)
            rc = soql_literal(p);
    }
    if (rc == TM_OK && list)
        rc = soql_want(p, ")");
    node.count = p->q->literals_count - node.first;
    return rc == TM_OK ? soql_node(p, node, out) : rc;
}

static enum tm_code soql_condition(struct soql_parser *p, size_t *out);

static enum tm_code soql_unary(struct soql_parser *p, size_t *out)
{
    enum tm_code rc;
    if (!soql_is(p, "not") && !soql_sign(p, "("))
        return soql_comparison(p, out);
    if (++p->depth > TM_SOQL_DEPTH_MAX)
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text, p->now.at,
                                "conditions nested more than %d deep", TM_SOQL_DEPTH_MAX);
    if (soql_is(p, "not")) {
        size_t child = 0;
        struct tm_soql_node node = { .op = TM_SOQL_NOT, .count = 1 };
        rc = soql_next(p);
        if (rc == TM_OK)
            rc = soql_unary(p, &child);
        if (rc == TM_OK)
            rc = soql_grow(p, (void **)&p->q->children, p->q->children_count, &p->children_cap,
                           sizeof child, TM_SOQL_NODES_MAX, "conditions");
        if (rc == TM_OK) {
            node.first = p->q->children_count;
            p->q->children[p->q->children_count++] = child;
            rc = soql_node(p, node, out);
        }
    } else {
        rc = soql_next(p);
        if (rc == TM_OK)
            rc = soql_condition(p, out);
        if (rc == TM_OK)
            rc = soql_want(p, ")");
    }
    p->depth--;
    return rc;
}

/* The members of one AND or OR chain end up side by side in `children`, whatever they nest
 * themselves. */
static enum tm_code soql_chain(struct soql_parser *p, enum tm_soql_op op, size_t first, size_t *out)
{
    const char *word = op == TM_SOQL_AND ? "and" : "or";
    size_t *members = NULL, count = 0, cap = 0, next = first;
    enum tm_code rc = TM_OK;
    for (;;) {
        rc = soql_grow(p, (void **)&members, count, &cap, sizeof *members, TM_SOQL_NODES_MAX,
                       "conditions");
        if (rc != TM_OK)
            goto done;
        members[count++] = next;
        if (!soql_is(p, word))
            break;
        rc = soql_next(p);
        if (rc == TM_OK)
            rc = soql_unary(p, &next);
        if (rc != TM_OK)
            goto done;
    }
    struct tm_soql_node node = { .op = op, .first = p->q->children_count, .count = count };
    for (size_t i = 0; i < count && rc == TM_OK; i++) {
        rc = soql_grow(p, (void **)&p->q->children, p->q->children_count, &p->children_cap,
                       sizeof *members, TM_SOQL_NODES_MAX, "conditions");
        if (rc == TM_OK)
            p->q->children[p->q->children_count++] = members[i];
    }
    if (rc == TM_OK)
        rc = soql_node(p, node, out);
done:
    free(members);
    return rc;
}

static enum tm_code soql_condition(struct soql_parser *p, size_t *out)
{
    enum tm_code rc = soql_unary(p, out);
    if (rc == TM_OK && (soql_is(p, "and") || soql_is(p, "or")))
        rc = soql_chain(p, soql_is(p, "and") ? TM_SOQL_AND : TM_SOQL_OR, *out, out);
    return rc;
}

/* ---- clauses ---- */

static enum tm_code soql_fields_word(struct soql_parser *p, struct tm_soql_item *item)
{
    enum tm_code rc = soql_want(p, "(");
    if (rc != TM_OK)
        return rc;
    if (soql_is(p, "all"))
        item->kind = TM_SOQL_FIELDS_ALL;
    else if (soql_is(p, "standard"))
        item->kind = TM_SOQL_FIELDS_STANDARD;
    else if (soql_is(p, "custom"))
        item->kind = TM_SOQL_FIELDS_CUSTOM;
    else
        return soql_unexpected(p);
    rc = soql_next(p);
    return rc == TM_OK ? soql_want(p, ")") : rc;
}

static enum tm_code soql_item(struct soql_parser *p)
{
    struct tm_soql *q = p->q;
    struct tm_soql_item item = { .kind = TM_SOQL_PATH };
    enum tm_code rc = soql_grow(p, (void **)&q->items, q->items_count, &p->items_cap, sizeof item,
                                TM_SOQL_ITEMS_MAX, "selected fields");
    if (rc == TM_OK)
        rc = soql_path(p, &item.path);
    if (rc != TM_OK)
        return rc;
    if (soql_sign(p, "(")) {
        if (item.path.relation == NULL && strcasecmp(item.path.field, "count") == 0) {
            item.kind = TM_SOQL_COUNT;
            rc = soql_next(p);
            if (rc == TM_OK)
                rc = soql_want(p, ")");
        } else if (item.path.relation == NULL && strcasecmp(item.path.field, "fields") == 0) {
            rc = soql_fields_word(p, &item);
        } else {
            rc = soql_unexpected(p);
        }
    }
    if (rc == TM_OK)
        q->items[q->items_count++] = item;
    return rc;
}

static enum tm_code soql_select(struct soql_parser *p)
{
    enum tm_code rc = soql_want(p, "select");
    if (rc == TM_OK)
        rc = soql_item(p);
    while (rc == TM_OK && soql_sign(p, ",")) {
        rc = soql_next(p);
        if (rc == TM_OK)
            rc = soql_item(p);
    }
    for (size_t i = 0; rc == TM_OK && i < p->q->items_count; i++)
        if (p->q->items[i].kind == TM_SOQL_COUNT && p->q->items_count > 1)
            return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text,
                                    p->q->items[i].path.at,
                                    "count() stands alone in a select list");
    return rc;
}

static bool soql_clause(const struct soql_parser *p)
{
    return soql_is(p, "where") || soql_is(p, "order") || soql_is(p, "limit") ||
           soql_is(p, "offset");
}

static enum tm_code soql_from(struct soql_parser *p)
{
    enum tm_code rc = soql_want(p, "from");
    p->q->object_at = p->now.at;
    if (rc == TM_OK)
        rc = soql_name(p, &p->q->object);
    if (rc == TM_OK && soql_is(p, "as")) {
        rc = soql_next(p);
        if (rc == TM_OK && soql_clause(p))
            return soql_unexpected(p);
    }
    if (rc == TM_OK && p->now.kind == SOQL_WORD && !soql_clause(p))
        rc = soql_name(p, &p->q->alias);
    return rc;
}

static enum tm_code soql_key(struct soql_parser *p)
{
    struct tm_soql_key key = { 0 };
    if (p->q->keys_count == TM_SOQL_KEYS_MAX)
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text, p->now.at,
                                "more than %d fields to order by", TM_SOQL_KEYS_MAX);
    enum tm_code rc = soql_path(p, &key.path);
    if (rc == TM_OK && (soql_is(p, "asc") || soql_is(p, "desc"))) {
        key.descending = soql_is(p, "desc");
        rc = soql_next(p);
    }
    if (rc == TM_OK && soql_is(p, "nulls")) {
        rc = soql_next(p);
        if (rc == TM_OK && !soql_is(p, "first") && !soql_is(p, "last"))
            return soql_unexpected(p);
        key.nulls_last = soql_is(p, "last");
        if (rc == TM_OK)
            rc = soql_next(p);
    }
    p->q->keys[p->q->keys_count++] = key;
    return rc;
}

static enum tm_code soql_order(struct soql_parser *p)
{
    enum tm_code rc = soql_next(p);
    if (rc == TM_OK)
        rc = soql_want(p, "by");
    if (rc == TM_OK)
        rc = soql_key(p);
    while (rc == TM_OK && soql_sign(p, ",")) {
        rc = soql_next(p);
        if (rc == TM_OK)
            rc = soql_key(p);
    }
    return rc;
}

static enum tm_code soql_whole_number(struct soql_parser *p, int64_t *out)
{
    int64_t n = 0;
    enum tm_code rc = soql_next(p);
    if (rc != TM_OK)
        return rc;
    if (p->now.kind != SOQL_LITERAL || p->now.bytes > 10)
        return soql_unexpected(p);
    for (size_t i = 0; i < p->now.bytes; i++) {
        char c = p->text[p->now.at + i];
        if (c < '0' || c > '9')
            return soql_unexpected(p);
        n = n * 10 + (c - '0');
    }
    *out = n;
    return soql_next(p);
}

static enum tm_code soql_query(struct soql_parser *p)
{
    enum tm_code rc = soql_next(p);
    if (rc == TM_OK)
        rc = soql_select(p);
    if (rc == TM_OK)
        rc = soql_from(p);
    if (rc == TM_OK && soql_is(p, "where")) {
        p->q->has_where = true;
        rc = soql_next(p);
        if (rc == TM_OK)
            rc = soql_condition(p, &p->q->where);
    }
    if (rc == TM_OK && soql_is(p, "order"))
        rc = soql_order(p);
    if (rc == TM_OK && soql_is(p, "limit"))
        rc = soql_whole_number(p, &p->q->limit);
    if (rc == TM_OK && soql_is(p, "offset"))
        rc = soql_whole_number(p, &p->q->offset);
    if (rc == TM_OK && p->now.kind != SOQL_END)
        rc = soql_unexpected(p);
    if (rc == TM_OK && p->q->offset > TM_SOQL_OFFSET_MAX)
        rc = tm_soql_complain(p->error, p->err, "NUMBER_OUTSIDE_VALID_RANGE", p->text, p->now.at,
                              "Maximum SOQL offset allowed is %d", TM_SOQL_OFFSET_MAX);
    return rc;
}

enum tm_code tm_soql_parse(struct tm_soql **out, const char *text, struct tm_soql_error *error,
                           struct tm_err *err)
{
    size_t bytes = strlen(text);
    if (bytes > TM_SOQL_BYTES_MAX) {
        snprintf(error->code, sizeof error->code, "QUERY_TOO_COMPLICATED");
        snprintf(error->message, sizeof error->message, "the query is longer than %u characters",
                 TM_SOQL_BYTES_MAX);
        return tm_fail(err, TM_E_ARG, "%s", error->message);
    }
    struct tm_soql *q = calloc(1, sizeof *q);
    struct soql_parser p = { .q = q, .error = error, .err = err, .words_cap = bytes * 2 + 2 };
    enum tm_code rc = TM_OK;
    if (q == NULL || (q->text = strdup(text)) == NULL || (q->words = malloc(p.words_cap)) == NULL) {
        rc = tm_fail(err, TM_E_NOMEM, "a query of %zu bytes", bytes);
        goto done;
    }
    q->limit = -1;
    p.text = q->text;
    rc = soql_query(&p);
    if (rc != TM_OK)
        goto done;
    *out = q;
    q = NULL;
done:
    tm_soql_close(q);
    return rc;
}

void tm_soql_close(struct tm_soql *q)
{
    if (q == NULL)
        return;
    free(q->text);
    free(q->words);
    free(q->items);
    free(q->nodes);
    free(q->children);
    free(q->literals);
    free(q);
}

bool tm_soql_range_read(const struct tm_soql *q)
{
    static const char *const stamps[] = { "SystemModstamp", "LastModifiedDate", "CreatedDate" };
    for (size_t i = 0; i < q->nodes_count; i++) {
        const struct tm_soql_path *path = &q->nodes[i].path;
        bool own = path->relation == NULL || strcasecmp(path->relation, q->object) == 0 ||
                   (q->alias != NULL && strcasecmp(path->relation, q->alias) == 0);
        for (size_t k = 0; k < 3 && path->field != NULL && own; k++)
            if (strcasecmp(path->field, stamps[k]) == 0)
                return true;
    }
    return false;
}
