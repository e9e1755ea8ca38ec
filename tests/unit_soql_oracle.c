/* SOQL conditions against a second opinion: random conditions are asked of the engine, and decided
 * row by row here over the records as JSON. Text without case, null never less, greater or like
 * anything, != and NOT IN true of null, NOT turns what is not true into true. */
#include "base/rng.h"
#include "mocks/salesforce/soql.h"
#include "tests/support_org.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <cmocka.h>

#define ROWS 60
#define ROUNDS 3000
#define DAY_MS 86400000LL
#define NOW_MS (ORG_ORIGIN_MS + 3600000) /* 2026-03-02T09:00:00Z, a Monday */
#define TODAY_DAYS ((int32_t)(NOW_MS / DAY_MS))

enum op { EQ, NE, LT, LE, GT, GE, LIKE, IN, NOT_IN, INCLUDES, EXCLUDES, OPS };
static const char *const op_words[] = { "=",    "!=", "<",      "<=",       ">",       ">=",
                                        "LIKE", "IN", "NOT IN", "INCLUDES", "EXCLUDES" };
static const struct shape {
    const char *path;
    enum { TEXT, NUMBER, BOOLEAN, DATE, DATETIME, MULTI } kind;
} shapes[] = { { "Name", TEXT },
               { "Industry", TEXT },
               { "Parent.Name", TEXT },
               { "AnnualRevenue", NUMBER },
               { "NumberOfEmployees", NUMBER },
               { "Active__c", BOOLEAN },
               { "ContractEnd__c", DATE },
               { "LastAudit__c", DATETIME },
               { "Parent.ContractEnd__c", DATE },
               { "Regions__c", MULTI },
               { "RevenuePerHead__c", NUMBER } };
static const char *const texts[] = { "Tide", "tide", "Ebb", "EBB 50%", "a_b", "Harbour", "sea" };
static const char *const patterns[] = { "t%", "%b%", "a\\_b", "a_b", "%50\\%", "____", "%" };
static const char *const regions[] = { "Americas", "EMEA", "APAC" };

struct world {
    struct org_fixture f;
    struct tm_rng rng;
    json_t *rows;
};

static size_t pick(struct world *w, size_t count)
{
    return (size_t)tm_rng_below(&w->rng, count);
}

/* ---- the records ---- */

static void make_row(struct world *w, char ids[][TM_ID_BYTES], size_t i)
{
    char end[TM_TIME_BYTES], many[64];
    struct tm_org_set sets[12] = { { "Name", org_text(texts[pick(w, 7)]) } };
    size_t n = 1;
    tm_date_text(end, TODAY_DAYS - 40 + (int32_t)pick(w, 80));
    snprintf(many, sizeof many, "%s;%s", regions[pick(w, 2)], regions[2]);
    if (pick(w, 3) > 0)
        sets[n++] = (struct tm_org_set){ "Industry", org_text(texts[pick(w, 7)]) };
    if (pick(w, 3) > 0)
        sets[n++] = (struct tm_org_set){ "AnnualRevenue", org_real((double)pick(w, 5)) };
    if (pick(w, 3) > 0)
        sets[n++] = (struct tm_org_set){ "NumberOfEmployees", org_int((int64_t)pick(w, 4)) };
    if (pick(w, 2) > 0)
        sets[n++] = (struct tm_org_set){ "Active__c", org_int(1) };
    if (pick(w, 3) > 0)
        sets[n++] = (struct tm_org_set){ "ContractEnd__c", org_text(end) };
    if (pick(w, 3) > 0)
        sets[n++] = (struct tm_org_set){
            "LastAudit__c", org_int(NOW_MS - 40 * DAY_MS + (int64_t)pick(w, 80 * 24) * 3600000)
        };
    if (pick(w, 3) > 0)
        sets[n++] = (struct tm_org_set){ "Regions__c", org_text(pick(w, 2) ? many : regions[0]) };
    if (i > 0 && pick(w, 3) > 0)
        sets[n++] = (struct tm_org_set){ "ParentId", org_text(ids[pick(w, i)]) };
    ids[i][0] = '\0';
    assert_int_equal(org_one(w->f.org, TM_ORG_CREATE, TM_ORG_NORMAL, "Account", ids[i], sets,
                             ORG_ORIGIN_MS + 1000),
                     TM_OK);
}

static json_t *ask_rows(struct world *w, const char *text)
{
    struct tm_soql *q = NULL;
    struct tm_soql_result *r = NULL;
    struct tm_soql_error error = { 0 };
    struct tm_buf body;
    enum tm_code rc = tm_soql_parse(&q, text, &error, NULL);
    if (rc == TM_OK)
        rc = tm_soql_run(&r, w->f.org, q, false, NOW_MS, &error, NULL);
    if (rc != TM_OK)
        fail_msg("%s: %s: %s", text, error.code, error.message);
    tm_buf_init(&body, 4u << 20);
    tm_buf_addc(&body, '[');
    tm_soql_render(r, 0, tm_soql_result_rows(r), "59.0", &body);
    tm_buf_addc(&body, ']');
    json_t *rows = json_loads(tm_buf_text(&body), 0, NULL);
    assert_non_null(rows);
    tm_buf_free(&body);
    tm_soql_result_close(r);
    tm_soql_close(q);
    return rows;
}

static int world_open(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    static char ids[ROWS][TM_ID_BYTES];
    org_fixture_open(&w->f);
    tm_rng_init(&w->rng, 20261130);
    for (size_t i = 0; i < ROWS; i++)
        make_row(w, ids, i);
    w->rows = ask_rows(w, "SELECT Id, Name, Industry, AnnualRevenue, NumberOfEmployees, Active__c, "
                          "ContractEnd__c, LastAudit__c, Regions__c, RevenuePerHead__c, "
                          "Parent.Name, Parent.ContractEnd__c FROM Account");
    *state = w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;
    json_decref(w->rows);
    org_fixture_close(&w->f);
    free(w);
    return 0;
}

/* ---- the second opinion ---- */

struct value {
    bool null;
    double number; /* NUMBER, BOOLEAN; DATE: days; DATETIME: ms */
    char text[64];
};
struct leaf {
    const struct shape *shape;
    enum op op;
    struct value values[3]; /* one, or the list */
    size_t count;
    int32_t first, past; /* of a relative date: days; past 0 = not relative */
};

static struct value row_value(const json_t *row, const struct shape *s)
{
    struct value v = { .null = true };
    const char *dot = strchr(s->path, '.');
    const json_t *json =
        json_object_get(dot ? json_object_get(row, "Parent") : row, dot ? dot + 1 : s->path);
    int32_t days;
    int64_t ms;
    if (json == NULL || json_is_null(json))
        return v;
    v.null = false;
    if (json_is_string(json))
        snprintf(v.text, sizeof v.text, "%s", json_string_value(json));
    if (s->kind == NUMBER)
        v.number = json_number_value(json);
    if (s->kind == BOOLEAN)
        v.number = json_is_true(json);
    if (s->kind == DATE) {
        assert_int_equal(tm_date_parse(&days, v.text, NULL), TM_OK);
        v.number = days;
    }
    if (s->kind == DATETIME) {
        assert_int_equal(tm_time_parse(&ms, v.text, NULL), TM_OK);
        v.number = (double)ms;
    }
    return v;
}

static bool like(const char *text, const char *pattern)
{
    if (*pattern == '\0')
        return *text == '\0';
    if (*pattern == '%')
        return like(text, pattern + 1) || (*text != '\0' && like(text + 1, pattern));
    if (*pattern == '_')
        return *text != '\0' && like(text + 1, pattern + 1);
    if (*pattern == '\\')
        pattern++;
    return *text != '\0' && strncasecmp(text, pattern, 1) == 0 && like(text + 1, pattern + 1);
}

static bool has_part(const char *list, const char *part)
{
    size_t bytes = strlen(part);
    for (const char *at = list; at != NULL; at = strchr(at, ';') ? strchr(at, ';') + 1 : NULL)
        if (strncasecmp(at, part, bytes) == 0 && (at[bytes] == ';' || at[bytes] == '\0'))
            return true;
    return false;
}

static int compare(const struct shape *s, const struct value *a, const struct value *b)
{
    if (s->kind == TEXT)
        return strcasecmp(a->text, b->text);
    return a->number < b->number ? -1 : a->number > b->number;
}

static bool leaf_relative(const struct leaf *l, const struct value *v)
{
    double unit = l->shape->kind == DATETIME ? (double)DAY_MS : 1;
    double first = l->first * unit, past = l->past * unit;
    if (v->null)
        return l->op == NE;
    switch (l->op) {
    case EQ: return v->number >= first && v->number < past;
    case NE: return v->number < first || v->number >= past;
    case LT: return v->number < first;
    case LE: return v->number < past;
    case GT: return v->number >= past;
    default: return v->number >= first;
    }
}

static bool leaf_holds(const struct leaf *l, const json_t *row)
{
    struct value v = row_value(row, l->shape);
    bool found = false;
    if (l->past != 0)
        return leaf_relative(l, &v);
    for (size_t i = 0; i < l->count; i++) {
        const struct value *x = &l->values[i];
        if (l->op == INCLUDES || l->op == EXCLUDES)
            found |= !v.null && has_part(v.text, x->text);
        else
            found |= v.null || x->null ? v.null && x->null : compare(l->shape, &v, x) == 0;
    }
    if (l->op == EQ || l->op == IN || l->op == INCLUDES)
        return found;
    if (l->op == NE || l->op == NOT_IN || l->op == EXCLUDES)
        return !found;
    if (v.null || l->values[0].null)
        return false;
    if (l->op == LIKE)
        return like(v.text, l->values[0].text);
    int c = compare(l->shape, &v, &l->values[0]);
    return l->op == LT ? c < 0 : l->op == LE ? c <= 0 : l->op == GT ? c > 0 : c >= 0;
}

/* ---- random conditions ---- */

/* A relative date, and its days by another reckoning than the engine's. */
static void leaf_make_relative(struct world *w, struct leaf *l, struct tm_buf *text)
{
    int32_t n = (int32_t)pick(w, 30);
    switch (pick(w, 5)) {
    case 0: l->first = TODAY_DAYS, l->past = TODAY_DAYS + 1, tm_buf_addz(text, "TODAY"); break;
    case 1:
        l->first = TODAY_DAYS - n, l->past = TODAY_DAYS + 1;
        tm_buf_addf(text, "LAST_N_DAYS:%d", n);
        break;
    case 2: /* 2026-03-02 is a Monday */
        l->first = TODAY_DAYS - 8, l->past = TODAY_DAYS - 1;
        tm_buf_addz(text, "LAST_WEEK");
        break;
    case 3:
        l->first = TODAY_DAYS - 1, l->past = TODAY_DAYS + 30;
        tm_buf_addz(text, "THIS_MONTH");
        break;
    default:
        l->first = TODAY_DAYS - 60, l->past = TODAY_DAYS + 30;
        tm_buf_addz(text, "this_quarter");
    }
}

static void leaf_make_value(struct world *w, const struct leaf *l, struct value *v,
                            struct tm_buf *text)
{
    char when[TM_TIME_BYTES];
    v->null = (l->op == EQ || l->op == NE || l->op >= IN) && l->op < INCLUDES && pick(w, 6) == 0;
    if (v->null) {
        tm_buf_addz(text, "null");
        return;
    }
    switch (l->shape->kind) {
    case TEXT:
    case MULTI:
        snprintf(v->text, sizeof v->text, "%s",
                 l->shape->kind == MULTI ? regions[pick(w, 3)]
                 : l->op == LIKE         ? patterns[pick(w, 7)]
                                         : texts[pick(w, 7)]);
        tm_buf_addf(text, "'%s'", v->text);
        break;
    case NUMBER:
        v->number = (double)pick(w, 5);
        tm_buf_addf(text, "%.1f", v->number);
        break;
    case BOOLEAN:
        v->number = (double)pick(w, 2);
        tm_buf_addz(text, v->number != 0 ? "TRUE" : "false");
        break;
    case DATE:
        v->number = TODAY_DAYS - 40 + (int32_t)pick(w, 80);
        tm_buf_addz(text, tm_date_text(when, (int32_t)v->number));
        break;
    case DATETIME:
        v->number = (double)(NOW_MS - 40 * DAY_MS + (int64_t)pick(w, 80 * 24) * 3600000);
        tm_buf_addz(text, tm_time_z(when, (int64_t)v->number));
        break;
    }
}

static void leaf_make(struct world *w, struct leaf *l, struct tm_buf *text)
{
    *l = (struct leaf){ .shape = &shapes[pick(w, sizeof shapes / sizeof shapes[0])] };
    do
        l->op = (enum op)pick(w, OPS);
    while ((l->op == LIKE && l->shape->kind != TEXT) ||
           (l->shape->kind == MULTI) != (l->op == INCLUDES || l->op == EXCLUDES) ||
           (l->shape->kind == BOOLEAN && l->op >= LT && l->op <= GE));
    tm_buf_addf(text, "%s %s ", l->shape->path, op_words[l->op]);
    if ((l->shape->kind == DATE || l->shape->kind == DATETIME) && l->op <= GE && pick(w, 2)) {
        leaf_make_relative(w, l, text);
        return;
    }
    l->count = l->op >= IN ? 1 + pick(w, 3) : 1;
    tm_buf_addz(text, l->op >= IN ? "(" : "");
    for (size_t i = 0; i < l->count; i++) {
        tm_buf_addz(text, i > 0 ? ", " : "");
        leaf_make_value(w, l, &l->values[i], text);
    }
    tm_buf_addz(text, l->op >= IN ? ")" : "");
}

/* Writes one condition and, for every row, whether it holds. */
static void condition(struct world *w, struct tm_buf *text, bool holds[ROWS], int depth)
{
    size_t how = depth == 0 ? 0 : pick(w, 4);
    if (how == 0) {
        struct leaf l;
        leaf_make(w, &l, text);
        for (size_t i = 0; i < ROWS; i++)
            holds[i] = leaf_holds(&l, json_array_get(w->rows, i));
        return;
    }
    if (how == 1) {
        tm_buf_addz(text, "NOT (");
        condition(w, text, holds, depth - 1);
        tm_buf_addc(text, ')');
        for (size_t i = 0; i < ROWS; i++)
            holds[i] = !holds[i];
        return;
    }
    size_t members = 2 + pick(w, 2);
    for (size_t m = 0; m < members; m++) {
        bool more[ROWS];
        tm_buf_addz(text, m == 0 ? "(" : how == 2 ? " AND (" : " OR (");
        condition(w, text, more, depth - 1);
        tm_buf_addc(text, ')');
        for (size_t i = 0; i < ROWS; i++)
            holds[i] = m == 0 ? more[i] : how == 2 ? holds[i] && more[i] : holds[i] || more[i];
    }
}

static void random_conditions_agree_with_a_second_opinion(void **state)
{
    struct world *w = *state;
    struct tm_buf text;
    size_t matched = 0;
    tm_buf_init(&text, 1u << 20);
    for (int round = 0; round < ROUNDS; round++) {
        bool holds[ROWS] = { false };
        size_t expected = 0;
        tm_buf_reset(&text);
        tm_buf_addz(&text, "SELECT Id FROM Account WHERE ");
        condition(w, &text, holds, 3);
        json_t *got = ask_rows(w, tm_buf_text(&text)), *row;
        size_t i, k;
        for (i = 0; i < ROWS; i++) {
            const char *id = json_string_value(json_object_get(json_array_get(w->rows, i), "Id"));
            bool there = false;
            json_array_foreach(got, k, row) there |=
                strcmp(json_string_value(json_object_get(row, "Id")), id) == 0;
            expected += holds[i];
            if (there != holds[i]) {
                char *record = json_dumps(json_array_get(w->rows, i), 0);
                fail_msg("%s\nof %s: %s", tm_buf_text(&text), record, there ? "found" : "missed");
            }
        }
        assert_int_equal(json_array_size(got), expected);
        matched += expected;
        json_decref(got);
    }
    tm_buf_free(&text);
    assert_in_range(matched, ROUNDS * ROWS / 10, ROUNDS * ROWS * 9 / 10);
}

/* ---- groups ---- */

struct group {
    const char *key; /* NULL: the records without an industry */
    int64_t count, revenues;
    double revenue, employees_max;
    bool employees;
    const char *names[ROWS];
    int64_t names_count;
};

static void group_take(struct group *g, const json_t *row)
{
    const json_t *revenue = json_object_get(row, "AnnualRevenue"),
                 *employees = json_object_get(row, "NumberOfEmployees");
    const char *name = json_string_value(json_object_get(row, "Name"));
    int64_t i = 0;
    g->count++;
    g->revenues += json_is_number(revenue);
    g->revenue += json_number_value(revenue);
    if (json_is_number(employees) &&
        (!g->employees || json_number_value(employees) > g->employees_max))
        g->employees_max = json_number_value(employees);
    g->employees |= json_is_number(employees);
    while (i < g->names_count && strcasecmp(g->names[i], name) != 0)
        i++;
    if (i == g->names_count)
        g->names[g->names_count++] = name;
}

static void group_expect(const char *text, const struct group *g, const json_t *got)
{
    const json_t *sum = json_object_get(got, "s"), *max = json_object_get(got, "m");
    bool good = json_integer_value(json_object_get(got, "n")) == g->count &&
                json_integer_value(json_object_get(got, "r")) == g->revenues &&
                json_integer_value(json_object_get(got, "d")) == g->names_count &&
                (g->revenues > 0 ? json_number_value(sum) == g->revenue : json_is_null(sum)) &&
                (g->employees ? json_number_value(max) == g->employees_max : json_is_null(max));
    if (!good) {
        char *row = json_dumps(got, 0);
        fail_msg("%s\n%s", text, row);
    }
}

static struct group *group_of(struct group *groups, size_t *count, const char *key)
{
    size_t i = 0;
    while (i < *count && (key == NULL ? groups[i].key != NULL
                                      : groups[i].key == NULL || strcasecmp(groups[i].key, key)))
        i++;
    if (i == *count)
        groups[(*count)++] = (struct group){ .key = key };
    return &groups[i];
}

static void random_groups_agree_with_a_second_opinion(void **state)
{
    struct world *w = *state;
    struct tm_buf text;
    size_t all = 0;
    tm_buf_init(&text, 1u << 20);
    for (int round = 0; round < ROUNDS / 10; round++) {
        static struct group groups[ROWS];
        bool holds[ROWS] = { false };
        size_t count = 0, kept = 0, i;
        int64_t more_than = (int64_t)pick(w, 3);
        tm_buf_reset(&text);
        tm_buf_addz(&text, "SELECT Industry, COUNT(Id) n, COUNT(AnnualRevenue) r, "
                           "SUM(AnnualRevenue) s, MAX(NumberOfEmployees) m, COUNT_DISTINCT(Name) d "
                           "FROM Account WHERE ");
        condition(w, &text, holds, 2);
        tm_buf_addf(&text, " GROUP BY Industry HAVING COUNT(Id) > %d", (int)more_than);
        for (i = 0; i < ROWS; i++) {
            const json_t *row = json_array_get(w->rows, i);
            if (holds[i])
                group_take(
                    group_of(groups, &count, json_string_value(json_object_get(row, "Industry"))),
                    row);
        }
        for (i = 0; i < count; i++)
            kept += groups[i].count > more_than;
        json_t *got = ask_rows(w, tm_buf_text(&text)), *row;
        assert_int_equal(json_array_size(got), kept);
        json_array_foreach(got, i, row)
        {
            size_t before = count;
            struct group *g =
                group_of(groups, &count, json_string_value(json_object_get(row, "Industry")));
            assert_int_equal(count, before);
            group_expect(tm_buf_text(&text), g, row);
        }
        all += kept;
        json_decref(got);
    }
    tm_buf_free(&text);
    assert_true(all > ROUNDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_conditions_agree_with_a_second_opinion, world_open,
                                        world_close),
        cmocka_unit_test_setup_teardown(random_groups_agree_with_a_second_opinion, world_open,
                                        world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
