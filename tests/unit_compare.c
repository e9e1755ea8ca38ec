/* unit_compare: what must not change is gated exactly, what a machine takes by its noise; what
 * cannot be compared is refused; and the answers are as honest as they say. */
#include "tests/support_compare.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define JOBS 60 /* of each kind here; bench_compare makes 200 */
#define REPEATS 16

static json_t *compare(json_t *base, json_t *new, struct tm_err *err)
{
    const json_t *bases[] = { base }, *news[] = { new };
    json_t *result = NULL;
    tm_err_clear(err);
    tm_compare(&result, (struct tm_compare_side){ bases, 1 }, (struct tm_compare_side){ news, 1 },
               (struct tm_compare_side){ NULL, 0 }, false, err);
    json_decref(base);
    json_decref(new);
    return result;
}

static void verdict_is(json_t *result, const char *verdict, const char *reason)
{
    struct tm_buf words;
    assert_non_null(result);
    assert_string_equal(json_string_value(json_object_get(result, "verdict")), verdict);
    tm_buf_init(&words, 1u << 16);
    tm_compare_words(&words, result);
    if (strstr(tm_buf_text(&words), reason) == NULL)
        fail_msg("\"%s\" is not in:\n%s", reason, tm_buf_text(&words));
    tm_buf_free(&words);
    json_decref(result);
}

static void runs_of_the_virtual_clock_pass_only_when_every_counter_is_as_it_was(void **state)
{
    static const struct {
        const char *pipeline, *section, *key, *reason;
    } changes[] = {
        { "stream-view", "drift", "final_rows",
          "stream-view: rows differing at the end: 77, not 0" },
        { "batch-best", "lost_history", "states", "committed states never shown: 77, not 12" },
        { "batch-best", "cost", "api_calls", "batch-best: API calls: 77, not 321" },
        { "stream-view", "freshness_s", "p99", "freshness p99, s: 77, not 3.5" },
        { "batch-best", "work_ms", "p50", "work p50, ms: 77, not 200" },
    };
    struct tm_err err;
    (void)state;
    verdict_is(compare(compare_report(true), compare_report(true), &err), "pass", "virtual clock");
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        json_t *new = compare_report(true);
        compare_set(new, changes[i].pipeline, changes[i].section, changes[i].key, 77);
        verdict_is(compare(compare_report(true), new, &err), "fail", changes[i].reason);
    }
}

static void what_only_a_real_clock_can_tell_is_no_counter_of_the_virtual_one(void **state)
{
    struct tm_err err;
    json_t *new = compare_report(true);
    (void)state;
    compare_set(new, "stream-view", "cost", "cpu_s", 400);
    verdict_is(compare(compare_report(true), new, &err), "pass", "virtual clock");
}

static void in_real_time_a_broken_promise_of_streaming_fails_and_a_batch_may_move(void **state)
{
    struct tm_err err;
    json_t *new = compare_report(false);
    (void)state;
    compare_set(new, "stream-view", "drift", "final_rows", 2);
    verdict_is(compare(compare_report(false), new, &err), "fail", "rows differing at the end: 2");
    new = compare_report(false);
    compare_set(new, "batch-best", "lost_history", "states", 13);
    verdict_is(compare(compare_report(false), new, &err), "inconclusive",
               "repetitions on each side");
}

static void a_counter_that_is_gone_is_a_change(void **state)
{
    struct tm_err err;
    json_t *new = compare_report(true);
    (void)state;
    json_object_del(json_array_get(json_object_get(new, "pipelines"), 0), "lost_history");
    verdict_is(compare(compare_report(true), new, &err), "fail", "gone, not 12 as before");
}

static void a_run_that_is_itself_inconclusive_makes_no_pass(void **state)
{
    struct tm_err err;
    json_t *new = compare_report(true);
    (void)state;
    json_object_set_new(new, "verdict", json_string("inconclusive"));
    json_object_set_new(new, "reasons", json_pack("[s]", "the broker died"));
    verdict_is(compare(compare_report(true), new, &err), "inconclusive", "the broker died");
    new = compare_report(true);
    json_object_set_new(new, "harness_ok", json_false());
    verdict_is(compare(compare_report(true), new, &err), "inconclusive", "contradicting itself");
}

static void refused(json_t *new, const char *words)
{
    struct tm_err err;
    assert_null(compare(compare_report(false), new, &err));
    assert_int_equal(err.code, TM_E_ARG);
    if (strstr(err.msg, words) == NULL)
        fail_msg("\"%s\" is not in: %s", words, err.msg);
}

static void runs_of_different_experiments_are_refused_with_what_differs(void **state)
{
    (void)state;
    json_t *new = compare_report(false);
    json_object_set_new(new, "seed", json_integer(8));
    refused(new, "the seed is 7 in one, 8 in another");
    new = compare_report(false);
    json_object_set_new(new, "scenario", json_string("day"));
    refused(new, "the scenario is made-up in one, day in another");
    refused(compare_report(true), "the clock is nothing in one, virtual in another");
    new = compare_report(false);
    json_object_set_new(new, "tidemark", json_string("2"));
    refused(new, "format");
    new = compare_report(false);
    json_array_remove(json_object_get(new, "pipelines"), 1);
    refused(new, "pipeline \"batch-best\" is in one of them only");
}

static void thresholds_of_the_scenario_are_heeded_and_checked(void **state)
{
    struct tm_compare_rules rules;
    struct tm_err err;
    json_t *good = json_pack("{s:f, s:f}", "effect_min", 0.3, "effect_seen", 0.5);
    json_t *bad = json_pack("{s:f}", "efect_min", 0.3), *wide = json_pack("{s:f}", "alpha", 0.9);
    (void)state;
    tm_err_clear(&err);
    assert_int_equal(tm_compare_rules_read(&rules, NULL, &err), TM_OK);
    assert_true(rules.effect_min < 0.11 && rules.effect_seen > 0.19 && rules.alpha < 0.0021);
    assert_int_equal(tm_compare_rules_read(&rules, good, &err), TM_OK);
    assert_true(rules.effect_min > 0.29 && rules.effect_seen > 0.49);
    assert_int_equal(tm_compare_rules_read(&rules, bad, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "efect_min"));
    tm_err_clear(&err);
    assert_int_equal(tm_compare_rules_read(&rules, wide, &err), TM_E_ARG);
    json_decref(good);
    json_decref(bad);
    json_decref(wide);
}

/* The control is the same program: what makes it move makes the job unfit to judge anything. */
static void a_control_that_moves_makes_the_figure_inconclusive_though_it_grew(void **state)
{
    json_t *runs[3][8], *result = NULL;
    struct tm_compare_side sides[3];
    struct tm_err err;
    (void)state;
    tm_err_clear(&err);
    for (size_t s = 0; s < 3; s++) {
        for (size_t i = 0; i < 8; i++) {
            runs[s][i] = compare_report(false);
            compare_set(runs[s][i], "stream-view", "cost", "cpu_s",
                        (4 + 0.01 * (double)i) * (s == 0 ? 1 : 1.5));
        }
        sides[s] = (struct tm_compare_side){ (const json_t *const *)runs[s], 8 };
    }
    assert_int_equal(tm_compare(&result, sides[0], sides[1], sides[0], false, &err), TM_OK);
    verdict_is(result, "fail", "stream-view: CPU grew by 50 %");
    assert_int_equal(tm_compare(&result, sides[0], sides[1], sides[2], false, &err), TM_OK);
    verdict_is(result, "inconclusive", "the control, the same program, moved by +50 % itself");
    for (size_t s = 0; s < 3; s++)
        for (size_t i = 0; i < 8; i++)
            json_decref(runs[s][i]);
}

static void the_same_program_hardly_ever_fails_and_a_fifth_slower_one_does(void **state)
{
    struct compare_noise noise;
    struct tm_rng rng;
    size_t same_failed = 0, same_unsure = 0, slow_failed = 0;
    (void)state;
    compare_noise_open(&noise);
    tm_rng_init(&rng, 200);
    for (size_t i = 0; i < JOBS; i++) {
        char same = compare_noise_job(&noise, &rng, REPEATS, 1);
        same_failed += same == 'f';
        same_unsure += same == 'i';
        slow_failed += compare_noise_job(&noise, &rng, REPEATS, 1.2) == 'f';
    }
    compare_noise_close(&noise);
    print_message("of %d jobs of the same program %zu fail, %zu are inconclusive; a fifth slower, "
                  "%zu fail\n",
                  JOBS, same_failed, same_unsure, slow_failed);
    assert_true(same_failed * 100 <= JOBS);
    assert_true(same_unsure * 10 <= JOBS);
    assert_true(slow_failed * 10 >= JOBS * 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_of_the_virtual_clock_pass_only_when_every_counter_is_as_it_was),
        cmocka_unit_test(what_only_a_real_clock_can_tell_is_no_counter_of_the_virtual_one),
        cmocka_unit_test(in_real_time_a_broken_promise_of_streaming_fails_and_a_batch_may_move),
        cmocka_unit_test(a_counter_that_is_gone_is_a_change),
        cmocka_unit_test(a_run_that_is_itself_inconclusive_makes_no_pass),
        cmocka_unit_test(runs_of_different_experiments_are_refused_with_what_differs),
        cmocka_unit_test(thresholds_of_the_scenario_are_heeded_and_checked),
        cmocka_unit_test(a_control_that_moves_makes_the_figure_inconclusive_though_it_grew),
        cmocka_unit_test(the_same_program_hardly_ever_fails_and_a_fifth_slower_one_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
