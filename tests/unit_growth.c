/* unit_growth: crossovers of costs known in closed form, and a page that is whole. */
#include "reports/growth.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT 4
/* Option 1 reads in 10 us an event; option 2 in 10 ms, and keeps an event in 10 us. */
static void costs(struct tm_growth_point out[COUNT])
{
    int64_t events = 100;
    for (size_t i = 0; i < COUNT; i++, events *= 10)
        out[i] = (struct tm_growth_point){
            events, { (double)events * 1e-5, 0.01 }, 1e-5, { events * 700, 5000 }
        };
}

static json_t *grown(const struct tm_growth_point *points)
{
    json_t *growth = NULL;
    struct tm_err err;
    tm_err_clear(&err);
    if (tm_growth(&growth, points, COUNT, 20, 25, &err) != TM_OK)
        fail_msg("%s", err.msg);
    return growth;
}

static const json_t *crossing(const json_t *growth, size_t i)
{
    return json_array_get(json_object_get(growth, "crossover"), i);
}

static void options_cross_where_their_costs_are_equal(void **state)
{
    (void)state;
    struct tm_growth_point points[COUNT];
    costs(points);
    points[0].read_s[1] = points[1].read_s[1] = points[2].read_s[1] = points[3].read_s[1] = 0.05;
    json_t *growth = grown(points);
    /* alone: n * 10 us = 50 ms; once in 1,000: n * 10 us = 60 ms; once in 10,000: 150 ms */
    const double want[] = { 5000, 6000, 15000 };
    for (size_t i = 0; i < 3; i++) {
        double at = json_number_value(json_object_get(crossing(growth, i), "events"));
        assert_true(fabs(at / want[i] - 1) < 1e-9);
    }
    json_decref(growth);
}

static void nothing_is_said_beyond_the_sizes_but_who_is_ahead(void **state)
{
    (void)state;
    struct tm_growth_point points[COUNT];
    costs(points);
    for (size_t i = 0; i < COUNT; i++)
        points[i].read_s[1] = 1e-6;
    json_t *growth = grown(points);
    const json_t *alone = crossing(growth, 0), *rare = crossing(growth, 4);
    assert_true(json_is_null(json_object_get(alone, "events")));
    assert_string_equal(json_string_value(json_object_get(alone, "ahead_at_the_end")), "option 2");
    assert_true(json_is_null(json_object_get(rare, "events")));
    assert_string_equal(json_string_value(json_object_get(rare, "ahead_at_the_end")), "option 1");
    json_decref(growth);
}

static void keeping_pays_by_what_a_read_saves(void **state)
{
    (void)state;
    struct tm_growth_point points[COUNT];
    costs(points);
    json_t *growth = grown(points);
    const json_t *rows = json_object_get(growth, "points");
    assert_true(json_is_null(json_object_get(json_array_get(rows, 0), "pays_every_events")));
    double pays = json_number_value(json_object_get(json_array_get(rows, 3), "pays_every_events"));
    assert_true(fabs(pays - 99000) < 1e-3); /* (1 s - 10 ms) / 10 us */
    json_decref(growth);
}

static void the_page_and_the_words_tell_the_same_findings(void **state)
{
    (void)state;
    static const char finding[] =
        "Read once in 10,000 events, the options cross at a history of 11,000 events";
    struct tm_growth_point points[COUNT];
    struct tm_buf words, page;
    struct tm_err err;
    tm_err_clear(&err);
    costs(points);
    json_t *growth = grown(points);
    tm_buf_init(&words, 1u << 20);
    tm_buf_init(&page, 4u << 20);
    tm_growth_words(&words, growth);
    assert_int_equal(tm_growth_html(&page, growth, &err), TM_OK);
    assert_non_null(strstr(tm_buf_text(&words), finding));
    assert_non_null(strstr(tm_buf_text(&page), finding));
    assert_non_null(strstr(tm_buf_text(&page), "id=\"growth\""));
    assert_non_null(strstr(tm_buf_text(&page), "uPlot"));
    assert_null(strstr(tm_buf_text(&page), "{{"));
    tm_buf_free(&words);
    tm_buf_free(&page);
    json_decref(growth);
}

static void sizes_that_do_not_grow_and_costs_of_nothing_are_refused(void **state)
{
    (void)state;
    struct tm_growth_point points[COUNT];
    struct tm_err err;
    json_t *growth;
    costs(points);
    tm_err_clear(&err);
    assert_int_equal(tm_growth(&growth, points, 0, 20, 25, &err), TM_E_ARG);
    points[2].events = points[1].events;
    tm_err_clear(&err);
    assert_int_equal(tm_growth(&growth, points, COUNT, 20, 25, &err), TM_E_ARG);
    costs(points);
    points[3].bytes[1] = 0;
    tm_err_clear(&err);
    assert_int_equal(tm_growth(&growth, points, COUNT, 20, 25, &err), TM_E_ARG);
    costs(points);
    points[3].read_s[1] = 0;
    tm_err_clear(&err);
    assert_int_equal(tm_growth(&growth, points, COUNT, 20, 25, &err), TM_E_ARG);
    assert_null(growth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_cross_where_their_costs_are_equal),
        cmocka_unit_test(nothing_is_said_beyond_the_sizes_but_who_is_ahead),
        cmocka_unit_test(keeping_pays_by_what_a_read_saves),
        cmocka_unit_test(the_page_and_the_words_tell_the_same_findings),
        cmocka_unit_test(sizes_that_do_not_grow_and_costs_of_nothing_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
