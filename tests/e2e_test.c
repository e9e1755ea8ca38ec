/* tidemark test, the program: whole runs of the committed cases, somebody's views and programs,
 * wrong usage, and what the example views of fixtures/views do. */
#include "tests/support_command.h"
#include <expat.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define CASE "explicit_null_clears_the_field"
#define LIMIT_S 120

static void says(const char *text, const char *wanted)
{
    if (strstr(text, wanted) == NULL)
        fail_msg("\"%s\" is not in:\n%s", wanted, text);
}

/* ---- results ---- */

static void passing_case_is_one_line_and_exit_0(void **state)
{
    (void)state;
    struct tm_test_output o = tm_test_command(LIMIT_S, "tidemark test " CASE);
    assert_int_equal(o.code, 0);
    says(o.out, "ok    " CASE " ");
    says(o.out, "option 1 ");
    says(o.out, "option 2 ");
    says(o.out, "\n1 cases: 1 ok, 0 failed, 0 skipped; ");
    tm_test_output_free(&o);
}

/* A copy of CASE whose expected value is another: nothing shows it. Caller removes. */
static void broken_case(char dir[256])
{
    char command[1200];
    snprintf(dir, 256, "%s", tm_test_folder());
    snprintf(command, sizeof command,
             "cp fixtures/cases/" CASE "/* %s/ && "
             "sed -i 's/\"NextStep\": null/\"NextStep\": \"call <them>\"/' %s/expected.jsonl",
             dir, dir);
    assert_int_equal(system(command), 0);
}

static void failing_case_tells_what_differs_the_rules_and_the_story(void **state)
{
    (void)state;
    char dir[256];
    broken_case(dir);
    struct tm_test_output o = tm_test_command(LIMIT_S, "tidemark test %s", dir);
    assert_int_equal(o.code, 1);
    says(o.out, "FAIL  ");
    says(o.out, "option 1: Opportunity 006000000000001AAA NextStep: expected \"call <them>\", "
                "shown null");
    says(o.out, "option 2: Opportunity 006000000000001AAA NextStep: ");
    says(o.out, "rules: R5; bugs: 1");
    says(o.out, "| A user empties the next step.");
    says(o.out, "failing cases by rule (harness/view/README.md): R5 1 of 1\nread first: ");
    tm_test_output_free(&o);
    tm_test_folder_remove(dir);
}

static void junit_and_json_tell_the_same_to_machines(void **state)
{
    (void)state;
    char dir[256], path[300], text[8192] = "";
    broken_case(dir);
    snprintf(path, sizeof path, "%s/junit.xml", dir);
    struct tm_test_output o =
        tm_test_command(LIMIT_S, "tidemark test %s " CASE " --json --junit=%s", dir, path);
    assert_int_equal(o.code, 1);
    json_t *all = json_loads(o.out, 0, NULL);
    assert_non_null(all);
    assert_int_equal(json_integer_value(json_object_get(all, "cases")), 2);
    assert_int_equal(json_integer_value(json_object_get(all, "failed")), 1);
    const json_t *result = json_array_get(json_object_get(all, "results"), 0),
                 *finding = json_array_get(json_object_get(result, "findings"), 0);
    assert_true(json_is_false(json_object_get(result, "ok")));
    assert_string_equal(json_string_value(json_object_get(finding, "field")), "NextStep");
    assert_true(json_is_null(json_object_get(finding, "shown")));
    json_decref(all);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, sizeof text - 1, f) > 0);
    fclose(f);
    says(text, "tests=\"2\" failures=\"1\"");
    says(text, "<failure message=\"rules: R5\">");
    says(text, "expected &quot;call &lt;them&gt;&quot;, shown null");
    says(text, "name=\"" CASE "\"");
    tm_test_output_free(&o);
    unlink(path);
    tm_test_folder_remove(dir);
}

/* What the JUnit schema of common CI servers knows of elements, their parents and attributes. */
static const struct {
    const char *parent, *name, *attributes;
} junit_knows[] = {
    { "", "testsuite", " name tests failures errors skipped time " },
    { "testsuite", "testcase", " classname name time " },
    { "testcase", "failure", " message " },
    { "testcase", "skipped", " message " },
};
struct junit {
    const char *inside[8];
    int depth, counted[4];
    char text[8192];
};

static void junit_begins(void *self, const char *name, const char **attributes)
{
    struct junit *j = self;
    for (size_t k = 0; k < sizeof junit_knows / sizeof junit_knows[0]; k++) {
        if (strcmp(junit_knows[k].name, name) != 0 ||
            strcmp(junit_knows[k].parent, j->depth > 0 ? j->inside[j->depth - 1] : "") != 0)
            continue;
        for (; *attributes != NULL; attributes += 2) {
            char word[40];
            snprintf(word, sizeof word, " %s ", attributes[0]);
            says(junit_knows[k].attributes, word);
        }
        j->counted[k]++;
        j->inside[j->depth++] = junit_knows[k].name;
        return;
    }
    fail_msg("<%s> does not belong there", name);
}

static void junit_ends(void *self, const char *name)
{
    (void)name;
    ((struct junit *)self)->depth--;
}

static void junit_says(void *self, const char *text, int bytes)
{
    struct junit *j = self;
    size_t n = strlen(j->text);
    if (n + (size_t)bytes < sizeof j->text)
        snprintf(j->text + n, sizeof j->text - n, "%.*s", bytes, text);
}

static void junit_is_well_formed_and_says_what_its_schema_knows(void **state)
{
    (void)state;
    char dir[256], path[300], text[16384];
    struct junit j = { .depth = 0 };
    broken_case(dir);
    snprintf(path, sizeof path, "%s/junit.xml", dir);
    struct tm_test_output o = tm_test_command(
        LIMIT_S,
        "tidemark test %s " CASE
        " wildcard_id_is_not_a_record field_added_later_is_null_until_it_is_set --views "
        "fixtures/views/wrong-latest-row --junit %s",
        dir, path);
    assert_int_equal(o.code, 1);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t bytes = fread(text, 1, sizeof text, f);
    fclose(f);
    assert_in_range(bytes, 1, sizeof text - 1);
    XML_Parser xml = XML_ParserCreate(NULL);
    assert_non_null(xml);
    XML_SetUserData(xml, &j);
    XML_SetElementHandler(xml, junit_begins, junit_ends);
    XML_SetCharacterDataHandler(xml, junit_says);
    if (XML_Parse(xml, text, (int)bytes, 1) != XML_STATUS_OK)
        fail_msg("line %lu: %s\n%s", XML_GetCurrentLineNumber(xml),
                 XML_ErrorString(XML_GetErrorCode(xml)), text);
    XML_ParserFree(xml);
    assert_int_equal(j.counted[0], 1);
    assert_int_equal(j.counted[1], 4);
    assert_int_equal(j.counted[2], 3);
    assert_int_equal(j.counted[3], 1);
    says(j.text, "expected \"call <them>\"");
    tm_test_output_free(&o);
    unlink(path);
    tm_test_folder_remove(dir);
}

static void wrong_usage_is_exit_64_and_says_what_to_do(void **state)
{
    (void)state;
    tm_test_refused(64, (const char *[]){ "unknown flag --view", "--views", NULL }, LIMIT_S,
                    "tidemark test --view x");
    tm_test_refused(64, (const char *[]){ "did you mean " CASE, NULL }, LIMIT_S,
                    "tidemark test explicit_null_clears_the_fields");
    tm_test_refused(64, (const char *[]){ "give one of them", NULL }, LIMIT_S,
                    "tidemark test --views fixtures/views/right-window --exec cat");
    tm_test_refused(64, (const char *[]){ "/no/such", "no such folder", NULL }, LIMIT_S,
                    "tidemark test --views /no/such");
    tm_test_refused(64, (const char *[]){ "put <Object>.sql there", NULL }, LIMIT_S,
                    "tidemark test --views fixtures/cases");
    tm_test_refused(64, (const char *[]){ "wants a value", NULL }, LIMIT_S, "tidemark test --exec");
    tm_test_refused(64, (const char *[]){ "--exec is empty", NULL }, LIMIT_S,
                    "tidemark test --exec ' '");
    tm_test_refused(64, (const char *[]){ "--exec is empty", NULL }, LIMIT_S,
                    "tidemark simulate --seeds 1..1 --exec ' '");
    tm_test_refused(64, (const char *[]){ "--limit \"soon\"", NULL }, LIMIT_S,
                    "tidemark test --limit soon");
}

/* ---- views ---- */

/* Views written for one test, run on CASE. */
static struct tm_test_output views_of(const char *sql)
{
    char dir[256];
    snprintf(dir, sizeof dir, "%s", tm_test_folder());
    tm_test_write_file(dir, "Opportunity.sql", sql);
    struct tm_test_output o = tm_test_command(LIMIT_S, "tidemark test " CASE " --views %s", dir);
    tm_test_folder_remove(dir);
    return o;
}

static void views_refused(const char *sql, const char *wanted)
{
    struct tm_test_output o = views_of(sql);
    if (o.code != 64 || strstr(o.err, wanted) == NULL)
        fail_msg("%s: exit %d, not 64 with \"%s\": %s%s", sql, o.code, wanted, o.out, o.err);
    tm_test_output_free(&o);
}

static void views_may_make_views_and_read_and_nothing_else(void **state)
{
    (void)state;
    views_refused("CREATE VIEW Opportunity AS SELECT Id, Amont FROM sfdc_cdc_opportunity_raw;",
                  "no such column: Amont");
    views_refused("CREATE VIEW Opportunity AS SELEC 1;", "Opportunity.sql");
    views_refused("CREATE VIEW Deal AS SELECT 1 AS Id;", "defines no view \"Opportunity\"");
    views_refused("CREATE TABLE Opportunity(Id);", "may only DROP VIEW and CREATE VIEW");
    views_refused("DELETE FROM sfdc_cdc_opportunity_raw;", "may only DROP VIEW and CREATE VIEW");
    views_refused("ATTACH ':memory:' AS x;", "may only DROP VIEW and CREATE VIEW");
    views_refused("PRAGMA writable_schema=1;", "may only DROP VIEW and CREATE VIEW");
    views_refused("CREATE VIEW Opportunity AS SELECT load_extension('x') AS Id;", "load_extension");
    views_refused("CREATE VIEW Opportunity AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
                  "i+1 FROM n) SELECT max(i) AS Id FROM n;",
                  "Opportunity.sql: stopped on case " CASE);
    views_refused("CREATE VIEW Opportunity AS SELECT Id, 0 AS _dirty FROM no_such_table;",
                  "Opportunity.sql: case " CASE ": no such table");
    views_refused("CREATE VIEW Opportunity AS SELECT abs(-9223372036854775808) AS Id;",
                  "Opportunity.sql: case " CASE ": integer overflow");
}

static void a_folder_in_place_of_a_views_file_is_told(void **state)
{
    char dir[256], command[400];
    (void)state;
    snprintf(dir, sizeof dir, "%s", tm_test_folder());
    snprintf(command, sizeof command, "mkdir %s/Opportunity.sql", dir);
    assert_int_equal(system(command), 0);
    tm_test_refused(64, (const char *[]){ "Opportunity.sql: Is a directory", NULL }, LIMIT_S,
                    "tidemark test " CASE " --views %s", dir);
    tm_test_folder_remove(dir);
}

static void view_that_shows_something_else_is_a_failing_case(void **state)
{
    (void)state;
    struct tm_test_output o =
        views_of("CREATE VIEW Opportunity AS SELECT Id, Name, NextStep, 0 AS _dirty FROM "
                 "sfdc_cdc_opportunity_raw;");
    assert_int_equal(o.code, 1);
    says(o.out, "views: Opportunity 006000000000001AAA: shown in more than one row");
    tm_test_output_free(&o);
}

static void right_views_pass_every_case_that_fixed_sql_can(void **state)
{
    (void)state;
    static const char *const right[] = { "right-window", "right-max-position" };
    for (size_t i = 0; i < 2; i++) {
        struct tm_test_output o =
            tm_test_command(LIMIT_S, "tidemark test --views fixtures/views/%s", right[i]);
        if (o.code != 0)
            fail_msg("%s: exit %d\n%s%s", right[i], o.code, o.out, o.err);
        says(o.out, " 0 failed, 8 skipped;");
        says(o.out, "skip  retyped_field_shows_the_value_of_its_new_column: its tables gain "
                    "columns that SQL written before cannot name");
        tm_test_output_free(&o);
    }
}

static void wrong_views_fail_the_cases_they_should(void **state)
{
    (void)state;
    static const struct {
        const char *set, *fails, *passes;
    } wrong[] = {
        { "wrong-latest-row",
          "field_that_changed_fields_does_not_name_keeps_its_value "
          "gap_update_keeps_the_values_and_flags_the_row each_field_takes_its_own_newest_value",
          "create_sets_every_field_though_changed_fields_is_empty delete_removes_the_record" },
        { "wrong-nulls-ignored",
          "explicit_null_clears_the_field undelete_clears_what_its_image_does_not_carry "
          "merged_update_kept_as_one_row_changes_all_its_records",
          "field_that_changed_fields_does_not_name_keeps_its_value delete_removes_the_record" },
        { "wrong-deletes-filtered-first",
          "delete_removes_the_record delete_10_removes_what_create_9_made "
          "gap_delete_removes_at_once",
          "explicit_null_clears_the_field undelete_after_delete_restores_every_field" },
        { "wrong-replay-id-as-text",
          "replay_id_1000_is_newer_than_999 undelete_100_stands_above_delete_99 "
          "replay_id_999_that_arrives_after_1000_does_not_win",
          "explicit_null_clears_the_field events_of_one_commit_time_are_ordered_by_replay_id" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct tm_test_output o = tm_test_command(
            LIMIT_S, "tidemark test --views fixtures/views/%s %s", wrong[i].set, wrong[i].fails);
        if (o.code != 1 || strstr(o.out, "3 cases: 0 ok, 3 failed") == NULL)
            fail_msg("%s should fail %s:\n%s%s", wrong[i].set, wrong[i].fails, o.out, o.err);
        tm_test_output_free(&o);
        o = tm_test_command(LIMIT_S, "tidemark test --views fixtures/views/%s %s", wrong[i].set,
                            wrong[i].passes);
        if (o.code != 0)
            fail_msg("%s should pass %s:\n%s%s", wrong[i].set, wrong[i].passes, o.out, o.err);
        tm_test_output_free(&o);
    }
}

/* ---- programs ---- */

/* `program` on CASE, in a shell. */
static struct tm_test_output exec_of(const char *program, const char *flags)
{
    return tm_test_command(LIMIT_S, "tidemark test " CASE " %s --exec '%s'", flags, program);
}

static void exec_fails(const char *program, const char *flags, const char *wanted)
{
    struct tm_test_output o = exec_of(program, flags);
    if (o.code != 1 || strstr(o.out, wanted) == NULL)
        fail_msg("%s: exit %d, not 1 with \"%s\": %s%s", program, o.code, wanted, o.out, o.err);
    tm_test_output_free(&o);
}

static void program_gets_every_row_and_then_end_of_file(void **state)
{
    (void)state;
    char dir[256], path[300], text[8192] = "";
    snprintf(dir, sizeof dir, "%s", tm_test_folder());
    snprintf(path, sizeof path, "%s/rows", dir);
    struct tm_test_output o = tm_test_command(
        LIMIT_S,
        "tidemark test " CASE " --exec 'cat >%s; cat fixtures/cases/" CASE "/expected.jsonl'",
        path);
    assert_int_equal(o.code, 0);
    says(o.out, "exec ");
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, sizeof text - 1, f) > 0);
    fclose(f);
    json_t *first = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
    const json_t *row = json_object_get(first, "row");
    assert_string_equal(json_string_value(json_object_get(first, "table")),
                        "sfdc_cdc_opportunity_raw");
    assert_string_equal(json_string_value(json_object_get(row, "ReplayId")), "10");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(row, "ChangeEventHeader"), "changeType")),
        "CREATE");
    assert_true(json_is_array(json_object_get(row, "_DiffFields")));
    json_decref(first);
    tm_test_output_free(&o);
    unlink(path);
    tm_test_folder_remove(dir);
}

/* The simplest rebuilding there is, in awk: right for one create and one update of one field. */
static void small_script_in_awk_is_put_through_a_case(void **state)
{
    (void)state;
    static const char script[] =
        "awk \"{ match(\\$0, /\\\"NextStep\\\":[^,}]*/); s = substr(\\$0, RSTART, RLENGTH) } "
        "END { print \\\"{\\\\\\\"object\\\\\\\":\\\\\\\"Opportunity\\\\\\\",\\\\\\\"row\\\\\\\":"
        "{\\\\\\\"Id\\\\\\\":\\\\\\\"006000000000001AAA\\\\\\\",\\\\\\\"Name\\\\\\\":"
        "\\\\\\\"Cleared\\\\\\\",\\\" s \\\"}}\\\" }\"";
    struct tm_test_output o = exec_of(script, "");
    if (o.code != 0)
        fail_msg("exit %d\n%s%s", o.code, o.out, o.err);
    tm_test_output_free(&o);
}

static void example_program_in_python_passes_cases_of_every_kind(void **state)
{
    (void)state;
    static const char program[] =
        "python3 fixtures/views/right-in-python/rebuild.py fixtures/objects";
    if (system("python3 -c 'import json' >/dev/null 2>&1") != 0)
        skip();
    struct tm_test_output o = tm_test_command(
        LIMIT_S,
        "tidemark test part_of_a_geolocation_maps_to_its_column replay_id_1000_is_newer_than_999 "
        "both_forms_of_one_merged_event_are_one_event gap_over_a_gap_needs_the_later_answer "
        "whole_read_removes_what_it_did_not_return retyped_field_shows_the_value_of_its_new_column "
        "update_of_an_unknown_record_is_a_flagged_partial_row diff_text_in_the_column_is_not_shown "
        "--exec '%s'",
        program);
    if (o.code != 0)
        fail_msg("exit %d\n%s%s", o.code, o.out, o.err);
    says(o.out, "8 cases: 8 ok, 0 failed");
    tm_test_output_free(&o);
}

static void program_that_fails_is_told_with_what_it_said(void **state)
{
    (void)state;
    exec_fails("echo no database >&2; exit 3", "", "it ended with exit code 3: no database");
    exec_fails("kill -9 $$", "", "it was ended by signal 9");
    exec_fails("cat >/dev/null", "", "Opportunity 006000000000001AAA: missing");
    exec_fails("sleep 30", "--limit 1", "it was stopped after 1 s (--limit)");
    exec_fails("cat >/dev/null; echo \"{\\\"object\\\":\\\"Opportunities\\\",\\\"row\\\":"
               "{\\\"Id\\\":\\\"x\\\"}}\"",
               "", "Opportunities x: shown, but no raw row is about such an object");
}

/* What it prints is kept in memory. */
static void program_that_never_stops_printing_is_stopped(void **state)
{
    (void)state;
    exec_fails("yes", "", "it was stopped: it printed more than 67108864 bytes");
    exec_fails("yes >&2", "", "it was stopped: it printed more than 67108864 bytes");
}

static void output_that_cannot_be_read_is_told_by_its_line(void **state)
{
    (void)state;
    exec_fails("echo; echo snapshot follows", "", "its output:2: ");
    exec_fails("echo \"{\\\"object\\\":\\\"Opportunity\\\",\\\"row\\\":{}}\"", "",
               "its output:1: \"row\" has no text \"Id\"");
    exec_fails("printf \"{\\\"object\\\":\"", "", "ends in the middle of a line");
}

static void missing_program_and_one_that_never_ends_stop_the_run(void **state)
{
    (void)state;
    tm_test_refused(64, (const char *[]){ "--exec: cannot be run", "no-such-program", NULL },
                    LIMIT_S, "tidemark test --exec no-such-program");
    tm_test_refused(64, (const char *[]){ "stopped after 1 s", NULL }, LIMIT_S,
                    "tidemark test --limit 1 --exec 'sleep 30'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passing_case_is_one_line_and_exit_0),
        cmocka_unit_test(failing_case_tells_what_differs_the_rules_and_the_story),
        cmocka_unit_test(junit_and_json_tell_the_same_to_machines),
        cmocka_unit_test(junit_is_well_formed_and_says_what_its_schema_knows),
        cmocka_unit_test(wrong_usage_is_exit_64_and_says_what_to_do),
        cmocka_unit_test(views_may_make_views_and_read_and_nothing_else),
        cmocka_unit_test(a_folder_in_place_of_a_views_file_is_told),
        cmocka_unit_test(view_that_shows_something_else_is_a_failing_case),
        cmocka_unit_test(right_views_pass_every_case_that_fixed_sql_can),
        cmocka_unit_test(wrong_views_fail_the_cases_they_should),
        cmocka_unit_test(program_gets_every_row_and_then_end_of_file),
        cmocka_unit_test(small_script_in_awk_is_put_through_a_case),
        cmocka_unit_test(example_program_in_python_passes_cases_of_every_kind),
        cmocka_unit_test(program_that_fails_is_told_with_what_it_said),
        cmocka_unit_test(program_that_never_stops_printing_is_stopped),
        cmocka_unit_test(output_that_cannot_be_read_is_told_by_its_line),
        cmocka_unit_test(missing_program_and_one_that_never_ends_stop_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
