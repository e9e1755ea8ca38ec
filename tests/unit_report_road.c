/* unit_report_road: the page's legs of the road and reads of the snapshot, in words and as data. */
#include "reports/html_inner.h"
#include "reports/words.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static json_t *report_of(const char *one, const char *two)
{
    json_t *a = json_loads(one, JSON_DECODE_ANY, NULL), *b = json_loads(two, JSON_DECODE_ANY, NULL);
    assert_non_null(a);
    assert_non_null(b);
    return json_pack("{s:[{s:s, s:s, s:i, s:o}, {s:s, s:s, s:i, s:o}], s:{s:s}}", "pipelines",
                     "name", "stream-view", "kind", "stream", "option", 2, "query_by_history", b,
                     "name", "stream-sql", "kind", "stream", "option", 1, "query_by_history", a,
                     "environment", "clock", "real");
}

static void expect_words(json_t *report, const char *want)
{
    char line[700];
    assert_true(tm_word_query(line, sizeof line, report));
    assert_string_equal(line, want);
    json_decref(report);
}

static void a_read_is_told_at_the_shortest_and_the_longest_history_of_both_options(void **state)
{
    (void)state;
    expect_words(
        report_of("{\"rows\": [1000, 5000], \"ms\": [20, 400]}",
                  "{\"rows\": [1000, 5000], \"ms\": [4, 10]}"),
        "Computed when asked (option 1), the snapshot took 20 ms at the first look and 400 ms at "
        "the last; kept upstream (option 2), it took 4 ms at the first look and 10 ms at the "
        "last, while the raw tables grew from 1,000 rows to 5,000. At the last, option 2 was 40 "
        "times faster.");
}

static void a_history_that_hardly_grew_says_that_it_tells_nothing(void **state)
{
    (void)state;
    char line[700];
    json_t *report = report_of("{\"rows\": [1000, 1300], \"ms\": [20, 21]}", "null");
    assert_true(tm_word_query(line, sizeof line, report));
    assert_non_null(strstr(line, "1.3 times only: too short a history"));
    assert_non_null(strstr(line, "make growth"));
    json_decref(report);
}

static void without_a_timed_read_the_reason_is_told(void **state)
{
    (void)state;
    char line[700];
    json_t *report = report_of("null", "null");
    assert_true(tm_word_query(line, sizeof line, report));
    assert_non_null(strstr(line, "No look at the whole snapshot was timed."));
    json_object_set_new(json_object_get(report, "environment"), "clock", json_string("virtual"));
    assert_true(tm_word_query(line, sizeof line, report));
    assert_non_null(strstr(line, "Under the virtual clock no query has a duration"));
    json_decref(report);
    report = json_pack("{s:[{s:s, s:s}]}", "pipelines", "name", "x", "kind", "batch");
    assert_false(tm_word_query(line, sizeof line, report)); /* nobody asked */
    json_decref(report);
}

static json_t *data_of(const json_t *report)
{
    struct tm_curves none = { 0 };
    struct tm_buf b;
    tm_buf_init(&b, 1u << 20);
    tm_html_data(&b, report, &none);
    json_t *data = json_loads(tm_buf_text(&b), 0, NULL);
    assert_non_null(data);
    tm_buf_free(&b);
    return data;
}

static void what_the_charts_draw_is_what_the_report_holds(void **state)
{
    (void)state;
    json_t *report = report_of("{\"rows\": [1000, 5000], \"ms\": [20, 400]}", "null");
    json_t *pipelines = json_object_get(report, "pipelines");
    json_object_set_new(
        json_array_get(pipelines, 0), "legs_by_rank",
        json_loads(
            "{\"legs\": [\"published\", \"visible\"], \"changes\": 9, \"bands\": [{\"from\": "
            "0.0, \"to\": 0.95, \"changes\": 8, \"total_ms\": 3.0, \"ms\": [1.0, 2.0]}, "
            "{\"from\": 0.999, \"to\": 1.0, \"changes\": 1, \"total_ms\": 7.0, \"ms\": "
            "[3.0, 4.0]}]}",
            0, NULL));
    json_t *data = data_of(report);
    json_t *want = json_loads(
        "{\"legs\": [{\"legs\": [\"org → bus (assumed)\", \"raw tables → reader\"], \"bands\": "
        "[\"p0–p95\", \"p99.9–max\"], \"ms\": [[1.0, 3.0], [2.0, 4.0]], \"changes\": [8, 1]}, "
        "null], \"query\": [null, [[1000, 0.02], [5000, 0.4]]]}",
        0, NULL);
    assert_non_null(want);
    assert_true(json_equal(json_object_get(data, "legs"), json_object_get(want, "legs")));
    assert_true(json_equal(json_object_get(data, "query"), json_object_get(want, "query")));
    json_decref(want);
    json_decref(data);
    json_decref(report);
}

static void the_page_has_a_place_for_what_it_draws_and_none_for_what_nobody_measured(void **state)
{
    (void)state;
    json_t *report = report_of("null", "null");
    struct tm_buf b;
    tm_buf_init(&b, 1u << 20);
    tm_html_road(&b, report);
    assert_int_equal(b.bytes, 0);
    json_object_set_new(json_array_get(json_object_get(report, "pipelines"), 1), "legs_by_rank",
                        json_pack("{s:[s], s:i, s:[{s:f, s:f, s:i, s:f, s:[f]}]}", "legs",
                                  "visible", "changes", 1, "bands", "from", 0.0, "to", 1.0,
                                  "changes", 1, "total_ms", 2.0, "ms", 2.0));
    tm_html_road(&b, report);
    assert_non_null(strstr(tm_buf_text(&b), "id=\"legs\""));
    assert_non_null(strstr(tm_buf_text(&b), "<option value=\"1\">stream-sql"));
    assert_null(strstr(tm_buf_text(&b), "<option value=\"0\">"));
    tm_html_query(&b, report);
    assert_non_null(strstr(tm_buf_text(&b), "id=\"query\""));
    tm_buf_free(&b);
    json_decref(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_is_told_at_the_shortest_and_the_longest_history_of_both_options),
        cmocka_unit_test(a_history_that_hardly_grew_says_that_it_tells_nothing),
        cmocka_unit_test(without_a_timed_read_the_reason_is_told),
        cmocka_unit_test(what_the_charts_draw_is_what_the_report_holds),
        cmocka_unit_test(the_page_has_a_place_for_what_it_draws_and_none_for_what_nobody_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
