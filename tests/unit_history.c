/* unit_history: runs are kept once; what moved is marked, and noise is not. */
#include "reports/changes.h"
#include "reports/history.h"
#include "tests/support_compare.h"
#include "tests/support_folder.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Noise of `width` around levels that change at `at` (0: nowhere), with a wild value now and then.
 */
static void series(struct tm_rng *rng, double *out, size_t count, size_t at, double ratio,
                   double width)
{
    for (size_t i = 0; i < count; i++) {
        double normal = 0;
        for (int k = 0; k < 12; k++)
            normal += tm_rng_unit(rng) - 0.5;
        out[i] = 100 * exp(width * normal * (tm_rng_chance(rng, 0.05) ? 8 : 1)) *
                 (at > 0 && i >= at ? ratio : 1);
    }
}

static void a_step_is_found_where_it_is_and_twice_when_there_are_two(void **state)
{
    double values[60];
    size_t found[TM_CHANGES_MAX];
    struct tm_rng rng;
    (void)state;
    tm_rng_init(&rng, 5);
    series(&rng, values, 60, 40, 1.2, 0.03);
    assert_int_equal(tm_changes(found, values, 60, false), 1);
    assert_true(found[0] >= 39 && found[0] <= 41);
    for (size_t i = 15; i < 60; i++)
        values[i] *= 1.3;
    assert_int_equal(tm_changes(found, values, 60, false), 2);
    assert_true(found[0] >= 14 && found[0] <= 16 && found[1] >= 39 && found[1] <= 41);
}

static void series_of_one_program_have_no_change_though_single_values_are_wild(void **state)
{
    double values[80];
    size_t found[TM_CHANGES_MAX], alarms = 0;
    struct tm_rng rng;
    (void)state;
    tm_rng_init(&rng, 6);
    for (size_t i = 0; i < 400; i++) {
        size_t count = 10 + (size_t)tm_rng_below(&rng, 71);
        series(&rng, values, count, 0, 1, 0.05);
        alarms += tm_changes(found, values, count, false);
    }
    assert_int_equal(alarms, 0);
}

static void without_noise_every_other_value_is_a_change(void **state)
{
    const double values[] = { 3, 3, 3, 4, 4, 3 };
    size_t found[TM_CHANGES_MAX];
    (void)state;
    assert_int_equal(tm_changes(found, values, 6, true), 2);
    assert_true(found[0] == 3 && found[1] == 5);
    assert_int_equal(tm_changes(found, values, 6, false), 0); /* too few to tell from noise */
    assert_int_equal(tm_changes(found, values, 0, false), 0);
    assert_int_equal(tm_changes(found, values, 1, true), 0);
}

static sqlite3 *history(const char *name)
{
    sqlite3 *db = NULL;
    struct tm_err err;
    tm_err_clear(&err);
    if (tm_history_open(&db, folder_path(name), &err) != TM_OK)
        fail_msg("%s", err.msg);
    return db;
}

static bool added(sqlite3 *db, json_t *report, const char *label)
{
    struct tm_err err;
    bool new = false;
    tm_err_clear(&err);
    if (tm_history_add(db, report, label, &new, &err) != TM_OK)
        fail_msg("%s", err.msg);
    json_decref(report);
    return new;
}

static void a_run_is_kept_once_also_when_the_file_is_opened_again(void **state)
{
    (void)state;
    sqlite3 *db = history("once.db");
    assert_true(added(db, compare_report(true), "first"));
    assert_false(added(db, compare_report(true), "again"));
    tm_sql_close(db);
    db = history("once.db");
    assert_false(added(db, compare_report(true), "once more"));
    json_t *other = compare_report(true);
    compare_set(other, "batch-best", "cost", "api_calls", 400);
    assert_true(added(db, other, "second"));
    tm_sql_close(db);
}

static void somebody_elses_database_is_refused(void **state)
{
    sqlite3 *db = NULL;
    struct tm_err err;
    (void)state;
    tm_err_clear(&err);
    assert_int_equal(tm_sql_open(&db, folder_path("other.db"), TM_SQL_CREATE, &err), TM_OK);
    assert_int_equal(tm_sql_exec(db, "CREATE TABLE people(name)", &err), TM_OK);
    tm_sql_close(db);
    assert_int_equal(tm_history_open(&db, folder_path("other.db"), &err), TM_E_ARG);
    tm_sql_close(db);
}

static void trends_name_what_moved_and_when_and_the_page_is_whole(void **state)
{
    sqlite3 *db = history("moved.db");
    struct tm_err err;
    struct tm_buf words, html;
    json_t *trends = NULL;
    (void)state;
    for (int i = 0; i < 24; i++) {
        json_t *run = compare_report(false);
        char label[40];
        snprintf(label, sizeof label, "<night-%02d>", i);
        compare_set(run, "stream-view", "cost", "cpu_s", (i < 14 ? 4.0 : 5.2) + 0.01 * (i % 3));
        compare_set(run, "batch-best", "cost", "cpu_s", 2.0 + 0.01 * ((i * 7) % 5));
        assert_true(added(db, run, label));
    }
    json_t *exact = compare_report(true);
    compare_set(exact, "batch-best", "cost", "api_calls", 330);
    assert_true(added(db, compare_report(true), "v1"));
    assert_true(added(db, exact, "v2"));
    tm_err_clear(&err);
    assert_int_equal(tm_history_trends(&trends, db, &err), TM_OK);
    tm_sql_close(db);
    assert_int_equal(json_array_size(json_object_get(trends, "groups")), 2);
    tm_buf_init(&words, 1u << 20);
    tm_buf_init(&html, 4u << 20);
    tm_history_words(&words, trends);
    const char *text = tm_buf_text(&words);
    assert_non_null(strstr(text, "stream-view cpu from 4.01 to 5.21 s since <night-14> (+30 %)"));
    assert_non_null(strstr(text, "batch-best api-calls from 321 to 330 calls since v2"));
    assert_null(strstr(text, "batch-best cpu"));
    assert_int_equal(tm_history_html(&html, trends, &err), TM_OK);
    assert_null(strstr(tm_buf_text(&html), "<night"));
    assert_null(strstr(tm_buf_text(&html), "{{"));
    tm_buf_free(&words);
    tm_buf_free(&html);
    json_decref(trends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_is_found_where_it_is_and_twice_when_there_are_two),
        cmocka_unit_test(series_of_one_program_have_no_change_though_single_values_are_wild),
        cmocka_unit_test(without_noise_every_other_value_is_a_change),
        cmocka_unit_test(a_run_is_kept_once_also_when_the_file_is_opened_again),
        cmocka_unit_test(somebody_elses_database_is_refused),
        cmocka_unit_test(trends_name_what_moved_and_when_and_the_page_is_whole),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
