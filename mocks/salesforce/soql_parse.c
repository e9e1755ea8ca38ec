#include "mocks/salesforce/soql_impl.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

static bool soql_clause(const struct soql_parser *p)
{
    static const char *const words[] = { "from",  "using", "where",  "with", "group", "having",
                                         "order", "limit", "offset", "for",  "all",   "update" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (soql_is(p, words[i]))
            return true;
    return false;
}

static enum tm_code soql_refuse(struct soql_parser *p, const char *why)
{
    return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text, p->now.at, "%s", why);
}

static enum tm_code soql_item_value(struct soql_parser *p, struct tm_soql_item *item)
{
    enum tm_code rc = soql_value(p, &item->path);
    if (rc != TM_OK)
        return rc;
    if (soql_sign(p, "(")) { /* soql_value leaves these two to the select list */
        if (strcasecmp(item->path.field, "fields") == 0)
            return soql_fields_word(p, item);
        item->kind = TM_SOQL_COUNT;
        rc = soql_next(p);
        if (rc == TM_OK)
            rc = soql_want(p, ")");
    }
    if (rc == TM_OK && p->now.kind == SOQL_WORD && !soql_clause(p))
        rc = soql_name(p, &item->alias);
    return rc;
}

static enum tm_code soql_children(struct soql_parser *p, struct tm_soql_item *item);

static enum tm_code soql_item(struct soql_parser *p)
{
    struct tm_soql *q = p->q;
    struct tm_soql_item item = { .kind = TM_SOQL_PATH };
    enum tm_code rc = soql_grow(p, (void **)&q->items, q->items_count, &p->items_cap, sizeof item,
                                TM_SOQL_ITEMS_MAX, "selected fields");
    if (rc == TM_OK && soql_sign(p, "(")) {
        item.kind = TM_SOQL_CHILDREN;
        rc = soql_children(p, &item);
        if (rc == TM_OK)
            q->items[q->items_count++] = item;
        return rc;
    }
    if (rc == TM_OK && soql_is(p, "typeof"))
        return soql_refuse(p, "TYPEOF is not served by this mock: no reference of this org is "
                              "polymorphic");
    if (rc == TM_OK)
        rc = soql_item_value(p, &item);
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

/* Nobody shares records with anybody here: a scope is all records, or one's own. */
static enum tm_code soql_scope(struct soql_parser *p)
{
    enum tm_code rc = soql_next(p);
    if (rc == TM_OK)
        rc = soql_want(p, "scope");
    if (rc != TM_OK)
        return rc;
    p->q->mine = soql_is(p, "mine");
    if (!p->q->mine && !soql_is(p, "everything"))
        return soql_refuse(p, "of USING SCOPE, this mock serves everything and mine");
    return soql_next(p);
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
    if (rc == TM_OK && soql_is(p, "using"))
        rc = soql_scope(p);
    return rc;
}

static enum tm_code soql_with(struct soql_parser *p)
{
    enum tm_code rc = soql_next(p);
    if (rc != TM_OK)
        return rc;
    if (!soql_is(p, "security_enforced") && !soql_is(p, "user_mode") && !soql_is(p, "system_mode"))
        return soql_refuse(p, "of WITH, this mock serves SECURITY_ENFORCED, USER_MODE and "
                              "SYSTEM_MODE, which change nothing: its user may see everything");
    return soql_next(p);
}

static enum tm_code soql_group(struct soql_parser *p)
{
    enum tm_code rc = soql_next(p);
    if (rc == TM_OK)
        rc = soql_want(p, "by");
    if (rc == TM_OK && (soql_is(p, "rollup") || soql_is(p, "cube")))
        return soql_refuse(p, "GROUP BY ROLLUP and GROUP BY CUBE are not served by this mock");
    for (bool more = true; rc == TM_OK && more; more = rc == TM_OK && soql_sign(p, ",")) {
        if (p->q->groups_count > 0)
            rc = soql_next(p);
        if (rc == TM_OK && p->q->groups_count == TM_SOQL_KEYS_MAX)
            return soql_refuse(p, "too many fields to group by");
        if (rc == TM_OK)
            rc = soql_value(p, &p->q->groups[p->q->groups_count]);
        if (rc == TM_OK)
            p->q->groups_count++;
    }
    if (rc == TM_OK && soql_is(p, "having")) {
        p->q->has_having = true;
        rc = soql_next(p);
        if (rc == TM_OK)
            rc = soql_condition(p, &p->q->having);
    }
    return rc;
}

static enum tm_code soql_key(struct soql_parser *p)
{
    struct tm_soql_key key = { 0 };
    if (p->q->keys_count == TM_SOQL_KEYS_MAX)
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text, p->now.at,
                                "more than %d fields to order by", TM_SOQL_KEYS_MAX);
    enum tm_code rc = soql_value(p, &key.path);
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

/* FOR VIEW, FOR REFERENCE: would move LastViewedDate, which no object of this org has. */
static enum tm_code soql_for(struct soql_parser *p)
{
    enum tm_code rc = TM_OK;
    while (rc == TM_OK && soql_is(p, "for")) {
        rc = soql_next(p);
        if (rc == TM_OK && soql_is(p, "update"))
            return soql_refuse(p, "FOR UPDATE not allowed in this context");
        if (rc == TM_OK && !soql_is(p, "view") && !soql_is(p, "reference"))
            return soql_unexpected(p);
        if (rc == TM_OK)
            rc = soql_next(p);
    }
    if (rc == TM_OK && soql_is(p, "all"))
        return soql_refuse(p, "ALL ROWS not allowed in this context");
    if (rc == TM_OK && soql_is(p, "update")) { /* UPDATE TRACKING, VIEWSTAT: of articles */
        rc = soql_next(p);
        if (rc == TM_OK && !soql_is(p, "tracking") && !soql_is(p, "viewstat"))
            return soql_unexpected(p);
        if (rc == TM_OK)
            rc = soql_next(p);
    }
    return rc;
}

/* Everything behind the object, in the one order there is. */
static enum tm_code soql_clauses(struct soql_parser *p)
{
    enum tm_code rc = TM_OK;
    if (soql_is(p, "where")) {
        p->q->has_where = true;
        rc = soql_next(p);
        if (rc == TM_OK)
            rc = soql_condition(p, &p->q->where);
    }
    if (rc == TM_OK && soql_is(p, "with"))
        rc = soql_with(p);
    if (rc == TM_OK && soql_is(p, "group"))
        rc = soql_group(p);
    if (rc == TM_OK && soql_is(p, "order"))
        rc = soql_order(p);
    if (rc == TM_OK && soql_is(p, "limit"))
        rc = soql_whole_number(p, &p->q->limit);
    if (rc == TM_OK && soql_is(p, "offset"))
        rc = soql_whole_number(p, &p->q->offset);
    if (rc == TM_OK)
        rc = soql_for(p);
    if (rc == TM_OK && p->q->offset > TM_SOQL_OFFSET_MAX)
        rc = tm_soql_complain(p->error, p->err, "NUMBER_OUTSIDE_VALID_RANGE", p->text, p->now.at,
                              "Maximum SOQL offset allowed is %d", TM_SOQL_OFFSET_MAX);
    return rc;
}

bool tm_soql_grouped(const struct tm_soql *q)
{
    for (size_t i = 0; i < q->items_count; i++)
        if (q->items[i].kind == TM_SOQL_PATH && tm_soql_aggregate(q->items[i].path.function))
            return true;
    return q->groups_count > 0;
}

/* What can be said of the whole without knowing the org. */
static enum tm_code soql_sense(struct soql_parser *p)
{
    const struct tm_soql *q = p->q;
    bool grouped = tm_soql_grouped(q);
    for (size_t i = 0; i < q->items_count; i++) {
        const struct tm_soql_item *item = &q->items[i];
        if (!grouped && item->alias != NULL)
            return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text, item->path.at,
                                    "only aggregate expressions use field aliasing");
        if (grouped && item->kind != TM_SOQL_PATH)
            return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text, item->path.at,
                                    "count() and FIELDS() cannot be grouped");
    }
    if (grouped && q->groups_count == 0 && (q->limit >= 0 || q->keys_count > 0))
        return tm_soql_complain(p->error, p->err, "MALFORMED_QUERY", p->text, 0,
                                "Non-grouped query that uses overall aggregate functions cannot "
                                "also use %s",
                                q->limit >= 0 ? "LIMIT" : "ORDER BY");
    return TM_OK;
}

static enum tm_code soql_query(struct soql_parser *p)
{
    enum tm_code rc = soql_select(p);
    if (rc == TM_OK)
        rc = soql_from(p);
    if (rc == TM_OK)
        rc = soql_clauses(p);
    return rc == TM_OK ? soql_sense(p) : rc;
}

/* A query within a query: of the same text, with memory of its own. */
static enum tm_code soql_inner(struct soql_parser *p, struct tm_soql **out)
{
    struct tm_soql *q = calloc(1, sizeof *q);
    struct soql_parser inner = *p;
    inner.q = q;
    inner.nodes_cap = inner.children_cap = inner.literals_cap = inner.items_cap = 0;
    inner.words_cap = strlen(p->text) * 2 + 2;
    if (q == NULL || (q->words = malloc(inner.words_cap)) == NULL) {
        free(q);
        return tm_fail(p->err, TM_E_NOMEM, "a query within a query");
    }
    q->limit = -1;
    q->within = true;
    q->text = p->q->text;
    enum tm_code rc = soql_query(&inner);
    if (rc != TM_OK) {
        tm_soql_close(q);
        return rc;
    }
    p->at = inner.at;
    p->now = inner.now;
    *out = q;
    return TM_OK;
}

enum tm_code soql_within(struct soql_parser *p, const struct tm_soql **out)
{
    struct soql_parser before = *p;
    struct tm_soql *q = NULL;
    if (p->q->within)
        return soql_refuse(p, "Nesting of semi join sub-selects is not supported");
    if (p->q->semijoins == TM_SOQL_SEMIJOINS_MAX)
        return tm_soql_complain(p->error, p->err, "EXCEEDED_MAX_SEMIJOIN_SUBSELECTS", p->text,
                                p->now.at, "Maximum 2 semi join sub-selects are allowed");
    p->q->semijoins++;
    enum tm_code rc = soql_inner(p, &q);
    if (rc == TM_OK && (q->items_count != 1 || q->items[0].kind != TM_SOQL_PATH ||
                        q->items[0].path.function != TM_SOQL_PLAIN || q->groups_count > 0 ||
                        q->keys_count > 0 || q->limit >= 0 || q->offset > 0)) {
        tm_soql_close(q);
        return soql_refuse(&before, "a semi join sub-select has one field and no GROUP BY, ORDER "
                                    "BY, LIMIT or OFFSET");
    }
    *out = q;
    return rc;
}

static enum tm_code soql_children(struct soql_parser *p, struct tm_soql_item *item)
{
    struct soql_parser before = *p;
    struct tm_soql *q = NULL;
    bool plain = true;
    item->path.at = p->now.at;
    if (p->q->within)
        return soql_refuse(p, "a query of child records has none within it");
    enum tm_code rc = soql_next(p);
    if (rc == TM_OK && !soql_is(p, "select"))
        return soql_unexpected(p);
    if (rc == TM_OK)
        rc = soql_inner(p, &q);
    if (rc != TM_OK)
        return rc;
    for (size_t i = 0; i < q->items_count; i++)
        plain &= q->items[i].kind == TM_SOQL_PATH;
    plain &= !tm_soql_grouped(q);
    if (!plain || !soql_sign(p, ")")) {
        tm_soql_close(q);
        return plain ? soql_unexpected(p)
                     : soql_refuse(&before, "a query of child records selects fields only");
    }
    rc = soql_next(p);
    if (rc == TM_OK)
        item->in = q;
    else
        tm_soql_close(q);
    return rc;
}

size_t soql_characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80; /* the rest of a letter */
    return count;
}

enum tm_code tm_soql_parse(struct tm_soql **out, const char *text, struct tm_soql_error *error,
                           struct tm_err *err)
{
    size_t bytes = strlen(text);
    if (soql_characters(text) > TM_SOQL_CHARACTERS_MAX) {
        snprintf(error->code, sizeof error->code, "MALFORMED_QUERY");
        snprintf(error->message, sizeof error->message,
                 "SOQL statements can not be longer than %u characters", TM_SOQL_CHARACTERS_MAX);
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
    rc = soql_next(&p);
    if (rc == TM_OK)
        rc = soql_query(&p);
    if (rc == TM_OK && p.now.kind != SOQL_END)
        rc = soql_unexpected(&p);
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
    for (size_t i = 0; i < q->nodes_count; i++)
        tm_soql_close((struct tm_soql *)q->nodes[i].in);
    for (size_t i = 0; i < q->items_count; i++)
        tm_soql_close((struct tm_soql *)q->items[i].in);
    if (!q->within)
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
        bool own = path->levels == 0 ||
                   (path->levels == 1 &&
                    (strcasecmp(path->relations[0], q->object) == 0 ||
                     (q->alias != NULL && strcasecmp(path->relations[0], q->alias) == 0)));
        for (size_t k = 0; k < 3 && path->field != NULL && own; k++)
            if (strcasecmp(path->field, stamps[k]) == 0)
                return true;
    }
    return false;
}
