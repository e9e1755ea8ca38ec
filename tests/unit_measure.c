/* Percentiles with changes that were never seen, against a second method; and the pipeline whose
 * delay is known. */
#include "support_history.h"
#include "base/rng.h"
#include "check/allocation.h"
#include "check/control.h"
#include "check/measure.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define SAMPLES_MAX 60

static void is(double measured, double expected)
{
    if (fabs(measured - expected) > 1e-9)
        fail_msg("%.12g, should be %.12g", measured, expected);
}

static void see(struct tm_series *s, double value)
{
    struct tm_err err = { 0 };
    assert_int_equal(tm_series_add(s, value, &err), TM_OK);
}

static void miss(struct tm_series *s, double wait)
{
    struct tm_err err = { 0 };
    assert_int_equal(tm_series_censor(s, wait, &err), TM_OK);
}

/* The textbook's leukaemia patients: 21 with 9 relapses (Freireich and others 1963), whose survival
 * is 0.857 after 6 weeks, 0.690 after 13, 0.448 after 23. */
static void the_estimate_of_kaplan_and_meier_is_the_textbooks(void **state)
{
    static const double seen[] = { 6, 6, 6, 7, 10, 13, 16, 22, 23 },
                        waits[] = { 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35 };
    struct tm_series s = { 0 };
    double value;
    (void)state;
    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++)
        see(&s, seen[i]);
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++)
        miss(&s, waits[i]);
    assert_true(fabs(1 - tm_series_share(&s, 6) - 0.857142857) < 1e-6);
    assert_true(fabs(1 - tm_series_share(&s, 13) - 0.690196) < 1e-6);
    assert_true(fabs(1 - tm_series_share(&s, 23) - 0.448179) < 1e-5);
    assert_true(tm_series_at(&s, 0.5, &value));
    is(value, 23); /* 0.538 survive 22 weeks */
    assert_false(tm_series_at(&s, 0.56, &value));
    tm_series_free(&s);
}

/* Second method (Efron 1967): whoever is censored hands its weight in equal parts to all that wait
 * longer. */
struct one {
    double at;
    bool seen;
};
static int one_order(const void *a, const void *b)
{
    const struct one *x = a, *y = b;
    if (fabs(x->at - y->at) > 0)
        return x->at < y->at ? -1 : 1;
    return (int)y->seen - (int)x->seen;
}

static double redistributed(const struct one *all, size_t count, double value)
{
    double weight[SAMPLES_MAX], share = 0;
    for (size_t i = 0; i < count; i++)
        weight[i] = 1.0 / (double)count;
    for (size_t i = 0; i < count; i++) {
        if (all[i].seen && all[i].at <= value)
            share += weight[i];
        for (size_t k = i + 1; !all[i].seen && k < count; k++)
            weight[k] += weight[i] / (double)(count - i - 1);
    }
    return share;
}

static void random_samples_agree_with_the_redistribution_of_weights(void **state)
{
    struct tm_rng rng;
    (void)state;
    tm_rng_init(&rng, 11);
    for (int round = 0; round < 2000; round++) {
        struct one all[SAMPLES_MAX];
        struct tm_series s = { 0 };
        size_t count = 1 + (size_t)(tm_rng_unit(&rng) * (SAMPLES_MAX - 1));
        for (size_t i = 0; i < count; i++) {
            all[i] = (struct one){ floor(tm_rng_unit(&rng) * 20), tm_rng_unit(&rng) < 0.6 };
            if (all[i].seen)
                see(&s, all[i].at);
            else
                miss(&s, all[i].at);
        }
        qsort(all, count, sizeof all[0], one_order);
        for (int at = -1; at <= 20; at++)
            is(tm_series_share(&s, at), redistributed(all, count, at));
        for (int percent = 1; percent <= 99; percent += 7) {
            double value, share = percent / 100.0;
            bool reached = redistributed(all, count, 20) >= share - 1e-9;
            assert_int_equal(tm_series_at(&s, share, &value), reached);
            if (reached) {
                assert_true(redistributed(all, count, value) >= share - 1e-9);
                assert_true(redistributed(all, count, value - 0.5) < share);
            }
        }
        tm_series_free(&s);
    }
}

static void a_change_committed_just_before_the_end_says_little_of_the_others(void **state)
{
    struct tm_series s = { 0 };
    double value;
    (void)state;
    for (int i = 1; i <= 99; i++)
        see(&s, i);
    miss(&s, 0.5); /* had waited half a second: it need not be worse than the rest */
    assert_true(tm_series_at(&s, 1, &value));
    is(value, 99);
    tm_series_free(&s);
}

static void what_can_never_be_shown_stays_longer_than_any(void **state)
{
    struct tm_series s = { 0 };
    double value;
    (void)state;
    for (int i = 1; i <= 99; i++)
        see(&s, i);
    miss(&s, INFINITY);
    is(tm_series_share(&s, 1e9), 0.99);
    assert_true(tm_series_at(&s, 0.99, &value));
    is(value, 99);
    assert_false(tm_series_at(&s, 0.999, &value));
    tm_series_free(&s);
}

static void t_visibility_is_the_share_seen_by_each_age(void **state)
{
    struct tm_series s = { 0 };
    json_t *list, *one;
    size_t i;
    (void)state;
    see(&s, -0.5); /* shown before its stamp: counted at age nought */
    see(&s, 0.1);
    see(&s, 10);
    miss(&s, INFINITY);
    list = tm_series_visibility(&s);
    json_array_foreach(list, i, one)
    {
        double at = json_number_value(json_array_get(one, 0));
        is(json_number_value(json_array_get(one, 1)), at < 0.1 ? 0.25 : at < 10 ? 0.5 : 0.75);
    }
    assert_true(i > 20);
    json_decref(list);
    tm_series_free(&s);
}

/* ---- the known delay ---- */

#define FIELDS(stage) "{\"Name\":\"a\",\"Stage\":\"" stage "\",\"Amount\":1,\"Private\":0}"

static void control(struct history_stand *s, struct tm_control *out)
{
    static const char *const objects[] = { "Opportunity" };
    struct tm_err err = { 0 };
    history_match(s);
    assert_int_equal(tm_control_test(out, s->truth, &s->timing, objects, 1, &err), TM_OK);
}

static void every_kind_of_change_is_measured_at_the_known_delay(void **state)
{
    struct history_stand s;
    struct tm_control c;
    (void)state;
    history_stand_open(&s, "control");
    history_commit(s.org, 1, "CREATE", NULL, -1, FIELDS("old"));
    history_commit(s.org, 2, "CREATE", "", 1, FIELDS("new"));
    history_commit(s.org, 1, "UPDATE", "", 2, "{\"Stage\":\"new\"}");
    history_commit(s.org, 1, "DELETE", "", 3, "{}");
    history_commit(s.org, 1, "UNDELETE", "", 4, FIELDS("new"));
    history_commit(s.org, 2, "HARD_DELETE", NULL, 5, "{}");
    history_commit(s.org, 2, "HARD_DELETE", NULL, 6, "{}"); /* the state of the one before */
    control(&s, &c);
    assert_true(c.ok);
    assert_int_equal(c.tested, 5);
    assert_int_equal(c.held, 5);
    assert_int_equal(c.left_out, 1);
    assert_true(c.before <= 0);
    is(c.at, 1);
    /* three seconds of wall each, not stretched */
    assert_true(c.area_expected_us >= 5 * TM_CONTROL_DELAY_NS / 1000);
    history_stand_close(&s);
}

static void a_value_that_comes_back_within_the_delay_is_no_false_alarm(void **state)
{
    struct history_stand s;
    struct tm_control c;
    (void)state;
    history_stand_open(&s, "back");
    history_commit(s.org, 1, "CREATE", NULL, -1, FIELDS("a"));
    for (int i = 0; i < 10; i++) /* a minute is 60 ms of wall: all within the delay */
        history_commit(s.org, 1, "UPDATE", "", 1 + i,
                       i % 2 == 0 ? "{\"Stage\":\"b\"}" : "{\"Stage\":\"a\"}");
    control(&s, &c);
    assert_true(c.ok);
    assert_int_equal(c.tested, 10);
    assert_int_equal(c.held, 10);
    history_stand_close(&s);
}

/* No stamp tells the states apart: each return seems to be on display when it is committed. */
static void a_state_that_comes_back_while_it_is_still_shown_is_no_false_alarm(void **state)
{
    struct history_stand s;
    struct tm_control c;
    (void)state;
    history_stand_open(&s, "again");
    history_commit(s.org, 1, "CREATE", NULL, -1, FIELDS("a"));
    for (int i = 0; i < 7; i++)
        history_commit(s.org, 1, "UPDATE", "", 1 + i,
                       i % 2 == 0 ? "{\"Stage\":\"b\"}" : "{\"Stage\":\"a\"}");
    history_exec(s.org, "UPDATE history SET fields = json_remove(fields, '$.LastModifiedDate') "
                        "WHERE pos > 1");
    control(&s, &c);
    assert_true(c.ok);
    assert_int_equal(c.tested, 7);
    assert_int_equal(c.held, 7);
    history_stand_close(&s);
}

static void a_run_is_taken_as_a_day_against_what_each_edition_allows(void **state)
{
    (void)state;
    json_t *day = tm_allocation_json(500, 5000, 12);
    is(json_number_value(json_object_get(day, "api_calls")), 1000);
    is(json_number_value(json_object_get(day, "events")), 10000);
    const json_t *api = json_object_get(day, "api_share"),
                 *events = json_object_get(day, "events_share");
    is(json_number_value(json_object_get(api, "enterprise")), 0.01);
    is(json_number_value(json_object_get(events, "developer")), 1);
    is(json_number_value(json_object_get(events, "enterprise")), 0.4);
    is(json_number_value(json_object_get(events, "unlimited")), 0.2);
    json_decref(day);
}

static void a_history_without_a_workload_tests_nothing(void **state)
{
    struct history_stand s;
    struct tm_control c;
    (void)state;
    history_stand_open(&s, "quiet");
    history_commit(s.org, 1, "CREATE", NULL, -1, FIELDS("a"));
    control(&s, &c);
    assert_true(c.ok);
    assert_int_equal(c.tested, 0);
    history_stand_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_estimate_of_kaplan_and_meier_is_the_textbooks),
        cmocka_unit_test(random_samples_agree_with_the_redistribution_of_weights),
        cmocka_unit_test(a_change_committed_just_before_the_end_says_little_of_the_others),
        cmocka_unit_test(what_can_never_be_shown_stays_longer_than_any),
        cmocka_unit_test(t_visibility_is_the_share_seen_by_each_age),
        cmocka_unit_test(every_kind_of_change_is_measured_at_the_known_delay),
        cmocka_unit_test(a_value_that_comes_back_within_the_delay_is_no_false_alarm),
        cmocka_unit_test(a_state_that_comes_back_while_it_is_still_shown_is_no_false_alarm),
        cmocka_unit_test(a_run_is_taken_as_a_day_against_what_each_edition_allows),
        cmocka_unit_test(a_history_without_a_workload_tests_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
