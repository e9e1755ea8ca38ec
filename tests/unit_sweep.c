/* unit_sweep: what a sweep says of points whose costs are known in closed form, and that its page
 * is whole and safe. */
#include "reports/sweep.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct tm_sweep_setting settings[] = {
    { "s-view", "streaming", 0, 10 },     { "p60", "polling", 60, 40 },
    { "p600", "polling", 600, 4 },        { "p6000", "polling", 6000, 0.4 },
    { "f600", "</script>full", 600, -1 },
};
#define COUNT (sizeof settings / sizeof settings[0])

/* Polling that does just what theory says, two objects, a call each; streaming as given. */
static json_t *report(double stream_calls)
{
    json_t *pipelines = json_array();
    for (size_t i = 0; i < COUNT; i++) {
        double t = settings[i].interval_s;
        json_array_append_new(pipelines,
                              json_pack("{s:s, s:{s:f, s:f, s:i}, s:{s:f}, s:{s:f, s:f, s:f}}",
                                        "name", settings[i].pipeline, "freshness_s", "p50",
                                        t > 0 ? t / 2 + 5 : 2.5, "p99", t > 0 ? 0.99 * t + 5 : 3.0,
                                        "never", 0, "lost_history", "share", 0.1, "cost",
                                        "api_calls", t > 0 ? 2 * 2 * 3600 / t : stream_calls,
                                        "bytes_in", 10.0, "bytes_out", t > 0 ? 1e6 / t : 1e9));
    }
    return json_pack("{s:s, s:i, s:s, s:{s:i, s:i}, s:o}", "scenario", "made-up", "seed", 7,
                     "verdict", "pass", "clock", "index_lag_ms", 5000, "publish_delay_ms", 2000,
                     "pipelines", pipelines);
}

static json_t *swept(double stream_calls)
{
    json_t *sweep = NULL, *r = report(stream_calls);
    struct tm_err err;
    tm_err_clear(&err);
    if (tm_sweep(&sweep, r, settings, COUNT, 2, 2, &err) != TM_OK)
        fail_msg("%s", err.msg);
    json_decref(r);
    return sweep;
}

static double number(const json_t *object, const char *key)
{
    assert_true(json_is_number(json_object_get(object, key)));
    return json_number_value(json_object_get(object, key));
}

static void costs_are_a_days_and_theory_stands_beside_what_was_measured(void **state)
{
    (void)state;
    json_t *sweep = swept(100);
    const json_t *p = json_array_get(json_object_get(sweep, "points"), 1);
    assert_true(fabs(number(p, "calls") - 2 * 1440) <
                1e-6); /* two objects, every minute of a day */
    assert_true(fabs(number(json_object_get(p, "floor"), "calls") - 2880) < 1e-6);
    assert_true(fabs(number(p, "cpu_s") - 480) < 1e-6);
    assert_true(fabs(number(p, "p50_s") - number(json_object_get(p, "floor"), "p50_s")) < 1e-6);
    p = json_array_get(json_object_get(sweep, "points"), 0);
    assert_true(fabs(number(json_object_get(p, "floor"), "p50_s") - 2) < 1e-6);
    assert_true(json_is_null(
        json_object_get(json_array_get(json_object_get(sweep, "points"), 4), "cpu_s")));
    json_decref(sweep);
}

/* 4 h / T calls in two hours: as many as streaming's 4 at T = 3,600 s. */
static void break_even_is_where_the_lines_meet(void **state)
{
    (void)state;
    json_t *sweep = swept(4);
    const json_t *even = json_array_get(json_object_get(sweep, "break_even"), 0);
    assert_true(fabs(number(json_object_get(even, "calls"), "interval_s") - 3600) < 1);
    assert_true(fabs(number(json_object_get(even, "cpu_s"), "interval_s") - 240) < 1);
    /* never as fresh: said, not made up by going on beyond the points */
    const json_t *fresh = json_object_get(even, "p50_s");
    assert_true(json_is_null(json_object_get(fresh, "interval_s")));
    assert_non_null(strstr(json_string_value(json_object_get(fresh, "otherwise")), "above"));
    const json_t *bytes = json_object_get(even, "bytes");
    assert_non_null(strstr(json_string_value(json_object_get(bytes, "otherwise")), "below"));
    json_decref(sweep);
}

static void words_and_page_hold_every_point_and_no_stray_markup(void **state)
{
    struct tm_buf words, html;
    struct tm_err err;
    (void)state;
    tm_err_clear(&err);
    json_t *sweep = swept(4);
    tm_buf_init(&words, 1u << 20);
    tm_buf_init(&html, 4u << 20);
    tm_sweep_words(&words, sweep);
    assert_non_null(strstr(tm_buf_text(&words), "at an interval of 60 min"));
    assert_int_equal(tm_sweep_html(&html, sweep, &err), TM_OK);
    assert_non_null(strstr(tm_buf_text(&html), "uPlot"));
    assert_null(strstr(tm_buf_text(&html), "{{"));
    assert_null(strstr(tm_buf_text(&html), "</script>full"));
    assert_non_null(strstr(tm_buf_text(&html), "&lt;/script&gt;full"));
    tm_buf_free(&words);
    tm_buf_free(&html);
    json_decref(sweep);
}

static void a_report_without_one_of_the_pipelines_is_refused(void **state)
{
    static const struct tm_sweep_setting other[] = { { "nobody", "x", 60, -1 } };
    json_t *sweep = NULL, *r = report(1);
    struct tm_err err;
    (void)state;
    tm_err_clear(&err);
    assert_int_equal(tm_sweep(&sweep, r, other, 1, 2, 2, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "nobody"));
    json_decref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs_are_a_days_and_theory_stands_beside_what_was_measured),
        cmocka_unit_test(break_even_is_where_the_lines_meet),
        cmocka_unit_test(words_and_page_hold_every_point_and_no_stray_markup),
        cmocka_unit_test(a_report_without_one_of_the_pipelines_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
