/* The committed cases: every one gives its expected rows by both shipped options, the table in
 * fixtures/cases/README.md says what the folders say, and a comparison notices what it should. */
#include "simulate/case_run.h"
#include "tests/support_command.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define CASES "fixtures/cases"
#define NAMES_MAX 1000
#define RULES 16
static char *names[NAMES_MAX];
static size_t names_count;
static const struct tm_case_options options = { "fixtures/objects", NULL };

static int order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int folders(void **state)
{
    (void)state;
    DIR *dir = opendir(CASES);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.' && strchr(e->d_name, '.') == NULL) {
            assert_true(names_count < NAMES_MAX);
            names[names_count] = strdup(e->d_name);
            assert_non_null(names[names_count]);
            names_count++;
        }
    closedir(dir);
    qsort(names, names_count, sizeof *names, order);
    return 0;
}

static int folders_end(void **state)
{
    (void)state;
    while (names_count > 0)
        free(names[--names_count]);
    return 0;
}

static void ok(enum tm_code rc, const struct tm_err *err)
{
    char text[700];
    if (rc != TM_OK)
        fail_msg("%s: %s", tm_code_name(rc), tm_err_text(err, text, sizeof text));
}

static void load(struct tm_case *c, const char *name)
{
    char path[TM_CASE_PATH_BYTES];
    struct tm_err err = { .code = TM_OK };
    snprintf(path, sizeof path, CASES "/%s", name);
    ok(tm_case_load(c, path, &err), &err);
}

/* ---- the cases ---- */

static size_t run(const struct tm_case *c, int option)
{
    struct tm_err err = { .code = TM_OK };
    json_t *shown = NULL, *findings = json_array(), *finding;
    size_t at;
    ok(option == 1 ? tm_case_by_views(&shown, c, &options, &err)
                   : tm_case_by_state(&shown, c, &options, &err),
       &err);
    ok(tm_case_compare(findings, c, shown, &err), &err);
    json_array_foreach(findings, at, finding)
    {
        print_error("%s: option %d: %s\n", c->name, option,
                    json_string_value(json_object_get(finding, "text")));
    }
    size_t count = json_array_size(findings);
    json_decref(findings);
    json_decref(shown);
    return count;
}

static void every_case_gives_its_expected_rows_by_both_options(void **state)
{
    (void)state;
    size_t failed = 0;
    assert_true(names_count >= 100);
    for (size_t i = 0; i < names_count; i++) {
        struct tm_case c;
        load(&c, names[i]);
        failed += run(&c, 1) + run(&c, 2);
        tm_case_free(&c);
    }
    assert_int_equal(failed, 0);
}

static void every_case_is_small_and_has_a_story(void **state)
{
    (void)state;
    for (size_t i = 0; i < names_count; i++) {
        struct tm_case c;
        size_t rows, lines = 1;
        load(&c, names[i]);
        rows = json_array_size(c.rows);
        for (const char *p = c.story; *p != '\0'; p++)
            lines += *p == '\n';
        if (rows < 1 || rows > 8 || lines > 6 || strlen(c.story) < 60)
            fail_msg("%s: %zu rows, %zu lines of story", c.name, rows, lines);
        tm_case_free(&c);
    }
}

/* ---- the table ---- */

/* Is `name` an item of the list "a, b, c" that ends at `end`? */
static bool listed(const char *list, const char *end, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = list; p < end; p += strcspn(p, ", |\n"), p += strspn(p, ", "))
        if (strncmp(p, name, n) == 0 && strchr(", |\n", p[n]) != NULL)
            return true;
        else if (*p == '|' || *p == '\n')
            break;
    return false;
}

static size_t items(const char *list, const char *end)
{
    size_t count = 1;
    for (const char *p = list; p < end; p++)
        count += *p == ',';
    return count;
}

static char *table_text(void)
{
    FILE *f = fopen(CASES "/README.md", "r");
    char *text = calloc(1, 1u << 20);
    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, (1u << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

/* Does the case cite `key` ("R6", "33") in its README? */
static bool cites(const char *cited, const char *key)
{
    return listed(cited, cited + strlen(cited), key);
}

static size_t row_agrees(const char *key, const char *list, const char *end, bool rule)
{
    size_t found = 0;
    for (size_t i = 0; i < names_count; i++) {
        struct tm_case c;
        load(&c, names[i]);
        bool cited = cites(rule ? c.rules : c.bugs, key), in = listed(list, end, c.name);
        if (cited != in)
            fail_msg("%s: its README %s %s, the table in " CASES "/README.md %s", c.name,
                     cited ? "cites" : "does not cite", key, in ? "lists it" : "does not");
        found += cited;
        tm_case_free(&c);
    }
    assert_int_equal(found, items(list, end)); /* nor does it name a case that is not there */
    return found;
}

static void table_says_what_the_folders_say_and_every_rule_is_cited_twice(void **state)
{
    (void)state;
    char *text = table_text(), key[16];
    size_t rules = 0, bugs = 0;
    for (const char *p = text; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n') {
        const char *end = p + strcspn(p, "\n"), *list;
        if (sscanf(p, "| %15[R0-9] |", key) != 1 || strlen(key) == 0)
            continue;
        bool rule = key[0] == 'R';
        list = strchr(p + 2, '|') + 1;
        if (!rule)
            list = strchr(list, '|') + 1;
        list += *list == ' ';
        size_t found = row_agrees(key, list, end, rule);
        if (rule && found < 2)
            fail_msg("%s is cited by %zu cases; at least two are wanted", key, found);
        rules += rule;
        bugs += !rule;
    }
    assert_int_equal(rules, RULES);
    assert_true(bugs > 50);
    free(text);
}

/* Every bug that is planted has its row in the table, or its name in the list below it of those
 * that no raw row tells. */
static void every_bug_of_the_zoo_has_a_case_or_a_reason(void **state)
{
    DIR *d = opendir("tests/zoo");
    char *text = table_text();
    size_t bugs = 0;
    (void)state;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char row[32], *end;
        const char *dash = strchr(e->d_name, '-'), *tail = strstr(e->d_name, ".patch");
        long number = strtol(e->d_name, &end, 10);
        /* beyond 100: no entry of the catalogue */
        if (end == e->d_name || number > 100 || dash == NULL || tail == NULL)
            continue;
        snprintf(row, sizeof row, "\n| %ld |", number);
        bugs++;
        if (strstr(text, row) != NULL)
            continue;
        snprintf(row, sizeof row, " %ld %.*s", number,
                 (int)(tail - dash - 1 < 20 ? tail - dash - 1 : 20), dash + 1);
        if (strstr(text, row) == NULL)
            fail_msg("%s: neither a case nor a reason why there is none", e->d_name);
    }
    closedir(d);
    free(text);
    assert_true(bugs > 70);
}

static void every_citation_of_a_case_has_its_row_in_the_table(void **state)
{
    (void)state;
    char *text = table_text();
    for (size_t i = 0; i < names_count; i++) {
        struct tm_case c;
        load(&c, names[i]);
        const char *const lists[] = { c.rules, c.bugs };
        for (size_t k = 0; k < 2; k++)
            for (const char *p = lists[k]; *p != '\0' && strcmp(p, "none") != 0;
                 p += strcspn(p, ","), p += strspn(p, ", ")) {
                char row[32];
                snprintf(row, sizeof row, "\n| %.*s |", (int)strcspn(p, ","), p);
                if (strstr(text, row) == NULL)
                    fail_msg("%s cites %.8s, which has no row in " CASES "/README.md", c.name, p);
            }
        tm_case_free(&c);
    }
    free(text);
}

/* ---- comparing ---- */

static json_t *lines(const char *text, const char *of)
{
    struct tm_err err = { .code = TM_OK };
    json_t *out = json_array();
    ok(tm_case_lines(out, text, strlen(text), of, "test", &err), &err);
    return out;
}

/* Findings of `shown` against `expected`, their texts one a line. Caller frees. */
static char *compared(const char *expected, const char *shown_text)
{
    struct tm_case c = { .name = "made", .path = "made", .story = NULL };
    struct tm_err err = { .code = TM_OK };
    json_t *shown = lines(shown_text, "object"), *findings = json_array(), *finding;
    struct tm_buf text;
    size_t at;
    tm_buf_init(&text, 1u << 20);
    c.rows = lines("{\"table\":\"sfdc_cdc_deal_raw\",\"row\":{}}", "table");
    c.expected = lines(expected, "object");
    ok(tm_case_objects(&c, &err), &err);
    ok(tm_case_compare(findings, &c, shown, &err), &err);
    json_array_foreach(findings, at, finding)
    {
        tm_buf_addf(&text, "%s\n", json_string_value(json_object_get(finding, "text")));
    }
    char *out = strdup(tm_buf_text(&text));
    tm_buf_free(&text);
    json_decref(findings);
    json_decref(shown);
    tm_case_free(&c);
    return out;
}

static void expect(const char *expected, const char *shown, const char *findings)
{
    char *text = compared(expected, shown);
    assert_string_equal(text, findings);
    free(text);
}

static void columns_that_are_not_expected_are_not_compared(void **state)
{
    (void)state;
    expect("{\"object\":\"Deal\",\"row\":{\"Id\":\"a\",\"Amount\":2}}\n",
           "{\"object\":\"deal\",\"row\":{\"Id\":\"a\",\"amount\":2.0,\"Other\":\"x\"}}\n", "");
}

static void null_and_absent_and_other_values_are_told_apart(void **state)
{
    (void)state;
    const char *expected = "{\"object\":\"Deal\",\"row\":{\"Id\":\"a\",\"B\":null}}\n";
    expect(expected, "{\"object\":\"Deal\",\"row\":{\"Id\":\"a\",\"B\":null}}\n", "");
    expect(expected, "{\"object\":\"Deal\",\"row\":{\"Id\":\"a\",\"B\":\"\"}}\n",
           "Deal a B: expected null, shown \"\"\n");
    expect(expected, "{\"object\":\"Deal\",\"row\":{\"Id\":\"a\"}}\n",
           "Deal a B: the relation has no such column\n");
    expect("{\"object\":\"Deal\",\"row\":{\"Id\":\"a\",\"B\":9007199254740993}}\n",
           "{\"object\":\"Deal\",\"row\":{\"Id\":\"a\",\"B\":9007199254740992}}\n",
           "Deal a B: expected 9007199254740993, shown 9007199254740992\n");
    expect("{\"object\":\"Deal\",\"row\":{\"Id\":\"a\",\"B\":true}}\n",
           "{\"object\":\"Deal\",\"row\":{\"Id\":\"a\",\"B\":1}}\n", "");
    expect("{\"object\":\"Deal\",\"row\":{\"Id\":\"a\",\"B\":\"1\"}}\n",
           "{\"object\":\"Deal\",\"row\":{\"Id\":\"a\",\"B\":1}}\n",
           "Deal a B: expected \"1\", shown 1\n");
}

static void missing_foreign_and_doubled_rows_are_found(void **state)
{
    (void)state;
    expect("{\"object\":\"Deal\",\"row\":{\"Id\":\"a\"}}\n", "", "Deal a: missing\n");
    expect("", "{\"object\":\"Deal\",\"row\":{\"Id\":\"a\"}}\n",
           "Deal a: shown, but there is no such record\n");
    expect("{\"object\":\"Deal\",\"row\":{\"Id\":\"a\"}}\n",
           "{\"object\":\"Deal\",\"row\":{\"Id\":\"a\"}}\n"
           "{\"object\":\"Deal\",\"row\":{\"Id\":\"a\"}}\n",
           "Deal a: shown in more than one row\n");
    expect("{\"object\":\"Deal\",\"row\":{\"Id\":\"aB\"}}\n",
           "{\"object\":\"Deal\",\"row\":{\"Id\":\"ab\"}}\n",
           "Deal aB: missing\nDeal ab: shown, but there is no such record\n");
}

static void relation_without_a_flag_counts_as_clean(void **state)
{
    (void)state;
    expect("{\"object\":\"Deal\",\"row\":{\"Id\":\"a\",\"_dirty\":0}}\n",
           "{\"object\":\"Deal\",\"row\":{\"Id\":\"a\"}}\n", "");
    expect("{\"object\":\"Deal\",\"row\":{\"Id\":\"a\",\"_dirty\":1}}\n",
           "{\"object\":\"Deal\",\"row\":{\"Id\":\"a\"}}\n",
           "Deal a _dirty: expected 1, but the relation has no _dirty column\n");
}

static void doubt_is_compared_whole_where_it_is_named_and_shown(void **state)
{
    (void)state;
    const char *one = "{\"object\":\"Deal_dirty\",\"row\":{\"Id\":\"a\",\"kind\":\"gap\"}}\n";
    const char *two = "{\"object\":\"Deal_dirty\",\"row\":{\"Id\":\"a\",\"kind\":\"gap\"}}\n"
                      "{\"object\":\"Deal_dirty\",\"row\":{\"Id\":\"a\",\"kind\":\"diff\"}}\n";
    expect(one, one, "");
    expect(two, two, "");
    expect(one, "", ""); /* no such relation */
    expect("", one, ""); /* not named */
    expect(one, "{\"object\":\"Deal_dirty\"}\n",
           "Deal_dirty a: expected the row {\"Id\":\"a\",\"kind\":\"gap\"}, which is not shown\n");
    expect(one, two, "Deal_dirty a: shown, but not expected: {\"Id\":\"a\",\"kind\":\"diff\"}\n");
    expect("{\"object\":\"Deal_dirty\"}\n", one,
           "Deal_dirty a: shown, but not expected: {\"Id\":\"a\",\"kind\":\"gap\"}\n");
}

/* ---- reading ---- */

static void refused(const char *rows, const char *expected, const char *readme, const char *says)
{
    char dir[256], text[700];
    struct tm_case c;
    struct tm_err err = { .code = TM_OK };
    snprintf(dir, sizeof dir, "%s", tm_test_folder());
    tm_test_write_file(dir, "rows.jsonl", rows);
    tm_test_write_file(dir, "expected.jsonl", expected);
    tm_test_write_file(dir, "README.md", readme);
    assert_int_equal(tm_case_load(&c, dir, &err), TM_E_ARG);
    tm_err_text(&err, text, sizeof text);
    if (strstr(text, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", text, says);
    tm_test_folder_remove(dir);
}

static void unreadable_case_is_told_by_file_and_line(void **state)
{
    (void)state;
    const char *row = "{\"table\":\"sfdc_cdc_deal_raw\",\"row\":{\"Id\":\"a\"}}\n",
               *story = "A story.\n\nRules: R1\n", *shown = "{\"object\":\"Deal\",\"row\":{}}\n";
    refused("{\"table\":\"sfdc_cdc_deal_raw\",\"row\":{}\n", "", story, "rows.jsonl:1: ");
    refused("\n{\"row\":{}}\n", "", story, "rows.jsonl:2: \"table\" must name a raw table");
    refused("{\"table\":\"deals\",\"row\":{}}\n", "", story, "\"deals\" is no raw table");
    refused("{\"table\":\"sfdc_cdc_deal_raw\",\"rows\":{}}\n", "", story, "\"row\" must be");
    refused("", "", story, "rows.jsonl: no rows");
    refused(row, shown, story, "expected.jsonl:1: \"row\" has no text \"Id\"");
    refused(row, "{\"object\":\"Offer\",\"row\":{\"Id\":\"a\"}}\n", story,
            "\"Offer\" has no raw row");
    refused(row, "", "A story without rules.\n", "README.md: wants the story, and a line");
}

static void case_written_and_read_again_is_the_same(void **state)
{
    (void)state;
    struct tm_case c, again;
    struct tm_err err = { .code = TM_OK };
    char dir[256];
    load(&c, "explicit_null_clears_the_field");
    snprintf(dir, sizeof dir, "%s", tm_test_folder());
    snprintf(c.path, sizeof c.path, "%s", dir);
    ok(tm_case_write(&c, &err), &err);
    ok(tm_case_load(&again, dir, &err), &err);
    assert_true(json_equal(c.rows, again.rows));
    assert_true(json_equal(c.expected, again.expected));
    assert_string_equal(c.story, again.story);
    assert_string_equal(c.rules, again.rules);
    assert_string_equal(c.bugs, again.bugs);
    tm_case_free(&c);
    tm_case_free(&again);
    tm_test_folder_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_gives_its_expected_rows_by_both_options),
        cmocka_unit_test(every_case_is_small_and_has_a_story),
        cmocka_unit_test(table_says_what_the_folders_say_and_every_rule_is_cited_twice),
        cmocka_unit_test(every_citation_of_a_case_has_its_row_in_the_table),
        cmocka_unit_test(every_bug_of_the_zoo_has_a_case_or_a_reason),
        cmocka_unit_test(columns_that_are_not_expected_are_not_compared),
        cmocka_unit_test(null_and_absent_and_other_values_are_told_apart),
        cmocka_unit_test(missing_foreign_and_doubled_rows_are_found),
        cmocka_unit_test(relation_without_a_flag_counts_as_clean),
        cmocka_unit_test(doubt_is_compared_whole_where_it_is_named_and_shown),
        cmocka_unit_test(unreadable_case_is_told_by_file_and_line),
        cmocka_unit_test(case_written_and_read_again_is_the_same),
    };
    return cmocka_run_group_tests(tests, folders, folders_end);
}
