/* fuzz_soql: hostile text into the SOQL parser. What parses must be whole: every index inside its
 * array, every word ended. clang: -fsanitize=fuzzer with -DTM_LIBFUZZER; otherwise a program that
 * replays files, or a small corpus of its own. */
#include "mocks/salesforce/soql.h"
#include <stdint.h>
#include "tests/support_fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_NOW_MS 1772438400000LL

static void fuzz_demand(bool ok)
{
    if (!ok)
        abort();
}

static void fuzz_query(const struct tm_soql *q);

static void fuzz_node(const struct tm_soql *q, size_t index, size_t depth)
{
    fuzz_demand(index < q->nodes_count && depth <= TM_SOQL_DEPTH_MAX * 3);
    const struct tm_soql_node *n = &q->nodes[index];
    if (n->op == TM_SOQL_AND || n->op == TM_SOQL_OR || n->op == TM_SOQL_NOT) {
        fuzz_demand(n->first + n->count <= q->children_count && n->count > 0);
        for (size_t i = 0; i < n->count; i++) {
            fuzz_demand(q->children[n->first + i] < index);
            fuzz_node(q, q->children[n->first + i], depth + 1);
        }
        return;
    }
    fuzz_demand(n->first + n->count <= q->literals_count && (n->count > 0) != (n->in != NULL) &&
                strlen(n->path.field) > 0 && n->path.levels <= TM_SOQL_LEVELS_MAX);
    if (n->in != NULL)
        fuzz_query(n->in);
    for (size_t i = 0; i < n->count; i++) {
        const struct tm_soql_literal *l = &q->literals[n->first + i];
        if (l->kind != TM_SOQL_NULL && l->kind != TM_SOQL_BOOLEAN)
            fuzz_demand(l->text >= q->words &&
                        l->text + strlen(l->text) < q->words + q->words_bytes);
        int32_t first, past;
        if (l->kind == TM_SOQL_RELATIVE && tm_soql_days(&l->relative, FUZZ_NOW_MS, &first, &past))
            fuzz_demand(first < past || l->relative.first == l->relative.past);
    }
}

static void fuzz_word(const struct tm_soql *q, const char *word)
{
    fuzz_demand(word == NULL || (word >= q->words && word[0] != '\0' &&
                                 word + strlen(word) < q->words + q->words_bytes));
}

static void fuzz_path(const struct tm_soql *q, const struct tm_soql_path *path)
{
    fuzz_demand(path->levels <= TM_SOQL_LEVELS_MAX && path->field != NULL &&
                path->at < strlen(q->text));
    fuzz_word(q, path->field);
    for (size_t i = 0; i < path->levels; i++)
        fuzz_word(q, path->relations[i]);
}

static void fuzz_query(const struct tm_soql *q)
{
    fuzz_demand(q->items_count > 0 && q->words_bytes <= strlen(q->text) * 2 + 2);
    fuzz_demand(q->groups_count <= TM_SOQL_KEYS_MAX && q->keys_count <= TM_SOQL_KEYS_MAX);
    fuzz_demand(q->semijoins <= TM_SOQL_SEMIJOINS_MAX && !(q->within && q->semijoins > 0));
    for (size_t i = 0; i < q->items_count; i++) {
        if (q->items[i].kind == TM_SOQL_PATH)
            fuzz_path(q, &q->items[i].path);
        fuzz_word(q, q->items[i].alias);
        fuzz_demand((q->items[i].kind == TM_SOQL_CHILDREN) == (q->items[i].in != NULL) &&
                    !(q->within && q->items[i].in != NULL));
        if (q->items[i].in != NULL)
            fuzz_query(q->items[i].in);
    }
    for (size_t i = 0; i < q->groups_count; i++)
        fuzz_path(q, &q->groups[i]);
    for (size_t i = 0; i < q->keys_count; i++)
        fuzz_path(q, &q->keys[i].path);
    if (q->has_where)
        fuzz_node(q, q->where, 0);
    if (q->has_having)
        fuzz_node(q, q->having, 0);
    tm_soql_range_read(q);
    tm_soql_grouped(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct tm_soql *q = NULL;
    struct tm_soql_error error = { 0 };
    char *text = malloc(bytes + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    if (tm_soql_parse(&q, text, &error, NULL) == TM_OK) {
        fuzz_query(q);
        tm_soql_close(q);
    } else {
        fuzz_demand(q == NULL && error.code[0] != '\0' && error.message[0] != '\0');
    }
    free(text);
    return 0;
}

#ifndef TM_LIBFUZZER
static void fuzz_text(const char *text)
{
    for (size_t bytes = 0; bytes <= strlen(text); bytes++) /* every prefix, too */
        LLVMFuzzerTestOneInput((const uint8_t *)text, bytes);
}

static void fuzz_deep(void)
{
    static char deep[TM_SOQL_BYTES_MAX + 100];
    char *at = deep + sprintf(deep, "SELECT Id FROM A WHERE ");
    memset(at, '(', 50000);
    LLVMFuzzerTestOneInput((const uint8_t *)deep, strlen(deep));
    for (size_t i = 0; i < 20000; i++)
        memcpy(at + i * 4, "NOT ", 4);
    LLVMFuzzerTestOneInput((const uint8_t *)deep, strlen(deep));
    for (size_t i = 0; i < 9000; i++)
        memcpy(at + i * 8, "a=1 AND ", 8);
    LLVMFuzzerTestOneInput((const uint8_t *)deep, strlen(deep));
}

int main(int argc, char **argv)
{
    static const char *const corpus[] = {
        "SELECT Id,Name, Owner.Name FROM Opportunity o WHERE (a = 'x\\'y\\u00e9' OR b != null) AND "
        "NOT c IN (1,-2.5e3,.5)"
        " ORDER BY a DESC NULLS LAST, b LIMIT 10 OFFSET 5",
        "select fields(all) from X where d >= 2021-01-01T00:00:00.123456+00:00 and e<2021-01-01 "
        "and t=10:15:30.000Z limit 200",
        "SELECT count() FROM X WHERE n LIKE 'a\\%b%' AND f not in (null, true,false)",
        "SELECT Industry i, COUNT(Id), MAX(a.Owner.Quota__c) m, CALENDAR_YEAR(convertTimezone("
        "CreatedDate)) FROM Account a USING SCOPE mine WHERE d = LAST_N_DAYS:30 AND e IN (TODAY, "
        "null) WITH USER_MODE GROUP BY Industry, CALENDAR_YEAR(CreatedDate) HAVING COUNT(Id) > 1 "
        "ORDER BY COUNT(Id) DESC LIMIT 5 FOR VIEW",
        "SELECT Id FROM A WHERE Id IN (SELECT AId FROM B WHERE c INCLUDES ('x;y','z')) AND Id NOT "
        "IN (SELECT BId FROM C)",
        "SELECT Id FROM A WHERE Id IN (SELECT AId FROM B WHERE Id IN (SELECT x FROM C))",
        "SELECT toLabel(a), (SELECT Id FROM B) FROM A ALL ROWS",
        "SELECT a, (SELECT b, c.d FROM Bs x WHERE e IN (1,2) ORDER BY f LIMIT 3), (SELECT g FROM "
        "Hs) "
        "FROM A WHERE i = TODAY",
        "SELECT '",
        "SELECT (SELECT Id FROM Bs)' FROM A", /* once leaked the children's query */
        "SELECT a FROM b WHERE c = '\\",
        "SELECT a FROM b WHERE c = '\\ud800'",
        "\xff\xfe(((((",
    };
    for (size_t i = 0; argc < 2 && i < sizeof corpus / sizeof corpus[0]; i++)
        fuzz_text(corpus[i]);
    if (argc < 2)
        fuzz_deep();
    return fuzz_files(argc, argv);
}
#endif
