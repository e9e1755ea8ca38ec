#include "mocks/salesforce/soql_impl.h"
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SOQL_UNITS_DIGITS_MAX 5 /* of the n of LAST_N_DAYS:n */

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

static enum tm_code soql_number_or_time(struct soql_parser *p, struct tm_soql_literal *out)
{
    char *end;
    int32_t days;
    char time[TM_TIME_BYTES];
    out->text = soql_keep(p, p->text + p->now.at, p->now.bytes);
    strtod(out->text, &end);
    if (*end == '\0' && strpbrk(out->text, "xXpPnN") == NULL)
        out->kind = TM_SOQL_NUMBER;
    else if (tm_time_parse(&out->datetime_ms, out->text, NULL) == TM_OK)
        out->kind = TM_SOQL_DATETIME;
    else if (tm_date_parse(&days, out->text, NULL) == TM_OK)
        out->kind = TM_SOQL_DATE;
    else if (tm_time_of_day(time, out->text, NULL) == TM_OK)
        out->kind = TM_SOQL_TIME;
    else
        return soql_unexpected(p);
    return TM_OK;
}

/* TODAY, LAST_N_WEEKS:4. The word is the present token. */
static enum tm_code soql_relative(struct soql_parser *p, struct tm_soql_literal *out)
{
    const struct soql_date_word *word = soql_date_word(p->text + p->now.at, p->now.bytes);
    int32_t n = 0;
    if (p->now.kind != SOQL_WORD || word == NULL)
        return soql_unexpected(p);
    out->kind = TM_SOQL_RELATIVE;
    out->text = soql_keep(p, p->text + p->now.at, p->now.bytes);
    enum tm_code rc = TM_OK;
    if (soql_date_counted(word)) {
        rc = soql_next(p);
        if (rc == TM_OK && !soql_sign(p, ":"))
            return soql_unexpected(p);
        if (rc == TM_OK)
            rc = soql_next(p);
        if (rc != TM_OK)
            return rc;
        if (p->now.kind != SOQL_LITERAL || p->now.bytes > SOQL_UNITS_DIGITS_MAX)
            return soql_unexpected(p);
        for (size_t i = 0; i < p->now.bytes; i++) {
            if (!isdigit((unsigned char)p->text[p->now.at + i]))
                return soql_unexpected(p);
            n = n * 10 + (p->text[p->now.at + i] - '0');
        }
    }
    out->relative = soql_date_relative(word, n);
    return rc;
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
        if (rc == TM_OK && soql_characters(literal.text) > TM_SOQL_STRING_CHARACTERS_MAX)
            rc = tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text, literal.at,
                                  "a string of a condition is longer than %d characters",
                                  TM_SOQL_STRING_CHARACTERS_MAX);
    } else if (p->now.kind == SOQL_LITERAL) {
        rc = soql_number_or_time(p, &literal);
    } else {
        rc = soql_relative(p, &literal);
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
        { "=", TM_SOQL_EQ },
        { "!=", TM_SOQL_NE },
        { "<>", TM_SOQL_NE },
        { "<", TM_SOQL_LT },
        { "<=", TM_SOQL_LE },
        { ">", TM_SOQL_GT },
        { ">=", TM_SOQL_GE },
        { "like", TM_SOQL_LIKE },
        { "in", TM_SOQL_IN },
        { "includes", TM_SOQL_INCLUDES },
        { "excludes", TM_SOQL_EXCLUDES },
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

static enum tm_code soql_list(struct soql_parser *p, const struct tm_soql_node *node)
{
    enum tm_code rc = soql_literal(p);
    while (rc == TM_OK && soql_sign(p, ",")) {
        rc = soql_next(p);
        if (rc == TM_OK)
            rc = soql_literal(p);
    }
    for (size_t i = node->first; rc == TM_OK && i < p->q->literals_count; i++)
        if ((node->op == TM_SOQL_INCLUDES || node->op == TM_SOQL_EXCLUDES) &&
            p->q->literals[i].kind != TM_SOQL_STRING)
            return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text,
                                    p->q->literals[i].at,
                                    "INCLUDES and EXCLUDES take strings in quotes");
    return rc;
}

static enum tm_code soql_comparison(struct soql_parser *p, size_t *out)
{
    struct tm_soql_node node = { 0 };
    enum tm_code rc = soql_value(p, &node.path);
    if (rc == TM_OK)
        rc = soql_operator(p, &node.op);
    if (rc != TM_OK)
        return rc;
    bool list = node.op >= TM_SOQL_IN && node.op <= TM_SOQL_EXCLUDES;
    bool in = node.op == TM_SOQL_IN || node.op == TM_SOQL_NOT_IN;
    node.first = p->q->literals_count;
    if (list)
        rc = soql_want(p, "(");
    if (rc == TM_OK && in && soql_is(p, "select"))
        rc = soql_within(p, &node.in);
    else if (rc == TM_OK)
        rc = list ? soql_list(p, &node) : soql_literal(p);
    if (rc == TM_OK && list)
        rc = soql_want(p, ")");
    node.count = p->q->literals_count - node.first;
    if (rc == TM_OK)
        rc = soql_node(p, node, out);
    if (rc != TM_OK)
        tm_soql_close((struct tm_soql *)node.in);
    return rc;
}

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

enum tm_code soql_condition(struct soql_parser *p, size_t *out)
{
    enum tm_code rc = soql_unary(p, out);
    if (rc == TM_OK && (soql_is(p, "and") || soql_is(p, "or")))
        rc = soql_chain(p, soql_is(p, "and") ? TM_SOQL_AND : TM_SOQL_OR, *out, out);
    return rc;
}
