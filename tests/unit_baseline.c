/* unit_baseline: runs are found where people keep them, and what is not there is named. */
#include "run/baseline.h"
#include "run/command.h"
#include "tests/support_folder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

static void put(const char *dir, int number)
{
    char name[100];
    if (dir[0] != '\0')
        mkdir(folder_path(dir), 0700);
    snprintf(name, sizeof name, "%s%sreport.json", dir, dir[0] != '\0' ? "/" : "");
    FILE *f = fopen(folder_path(name), "w");
    assert_non_null(f);
    fprintf(f,
            "{\"tidemark\": \"1\", \"verdict\": \"pass\", \"reasons\": [], \"pipelines\": [], "
            "\"number\": %d}",
            number);
    fclose(f);
}

static void numbers_are(const char *where, const char *numbers)
{
    struct tm_baseline b = { .count = 0 };
    struct tm_err err;
    char found[100] = "";
    tm_err_clear(&err);
    if (tm_baseline_load(&b, where, &err) != TM_OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < b.count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%d",
                 (int)json_integer_value(json_object_get(b.runs[i], "number")));
    assert_string_equal(found, numbers);
    tm_baseline_free(&b);
}

static void a_run_its_report_a_folder_of_runs_and_a_list_are_all_found_in_order(void **state)
{
    char one[300], list[900];
    (void)state;
    put("b2", 2);
    put("b1", 1);
    put("b3", 3);
    mkdir(folder_path("empty"), 0700);
    snprintf(one, sizeof one, "%s", folder_path("b3"));
    numbers_are(one, "3");
    snprintf(one, sizeof one, "%s", folder_path("b2/report.json"));
    numbers_are(one, "2");
    numbers_are(folder_name(), "123");
    snprintf(list, sizeof list, "%s,%s/b1", one, folder_name());
    numbers_are(list, "21");
}

static void refused(const char *where, const char *words)
{
    struct tm_baseline b = { .count = 0 };
    struct tm_err err;
    tm_err_clear(&err);
    assert_int_equal(tm_baseline_load(&b, where, &err), TM_E_ARG);
    if (strstr(err.msg, words) == NULL)
        fail_msg("\"%s\" is not in: %s", words, err.msg);
    tm_baseline_free(&b);
}

static void what_is_no_run_is_refused_by_name(void **state)
{
    char path[300];
    (void)state;
    refused("/nowhere/at/all", "/nowhere/at/all: No such file");
    refused("", "no run between the commas");
    refused("a,,b", "");
    snprintf(path, sizeof path, "%s", folder_path("empty"));
    refused(path, "has no report.json, nor have the folders in it");
}

/* argv is the caller's: its first word must outlive the collecting of the others. */
static void arguments_after_the_first_are_kept_in_order_between_flags(void **state)
{
    static const char *const extra[] = { "control", "exact!", "...", NULL };
    const char *given[2];
    char *argv[] = { "compare", "one", "--exact", "two", "--control", "c", "three" };
    struct tm_station_flags flags;
    struct tm_err err;
    (void)state;
    tm_err_clear(&err);
    assert_int_equal(tm_flags_parse(&flags, 7, argv, extra, given, &err), TM_OK);
    assert_string_equal(flags.config_path, "one");
    assert_int_equal(flags.rest_count, 2);
    assert_string_equal(flags.rest[0], "two");
    assert_string_equal(flags.rest[1], "three");
    assert_string_equal(given[0], "c");
    assert_non_null(given[1]);
    assert_string_equal(argv[0], "compare");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_its_report_a_folder_of_runs_and_a_list_are_all_found_in_order),
        cmocka_unit_test(what_is_no_run_is_refused_by_name),
        cmocka_unit_test(arguments_after_the_first_are_kept_in_order_between_flags),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
