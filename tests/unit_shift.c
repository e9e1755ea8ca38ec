/* unit_shift: the statistics of a comparison against what is known of them: published tables,
 * closed forms, brute force, and their promised error rates. */
#include "reports/shift.h"
#include "base/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static struct tm_shift_side side(const double *values, size_t count)
{
    return (struct tm_shift_side){ values, count };
}

/* Every arrangement of n + m ranks, counted one by one. */
static double tail_by_hand(unsigned n, unsigned m, unsigned u)
{
    unsigned all = 0, low = 0;
    for (unsigned bits = 0; bits < 1u << (n + m); bits++) {
        unsigned above = 0, new = 0, pairs = 0;
        for (unsigned i = 0; i < n + m; i++)
            if (bits >> i & 1) {
                new ++;
                pairs += above;
            } else {
                above++;
            }
        if (new != m)
            continue;
        all++;
        low += pairs <= u;
    }
    return (double)low / all;
}

static void the_null_distribution_is_that_of_counting_every_arrangement(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 6; n++)
        for (unsigned m = 1; m <= 6; m++)
            for (unsigned u = 0; u <= n * m / 2; u++)
                assert_true(fabs(tm_shift_tail(n, m, u) - tail_by_hand(n, m, u)) < 1e-12);
    /* Mann and Whitney's own table, n = m = 8: P(U <= 13) = .025, to three places */
    assert_true(fabs(tm_shift_tail(8, 8, 13) - 0.025) < 0.0005);
    assert_true(fabs(tm_shift_tail(32, 32, 512) - 0.5) < 0.01);
}

static void repetitions_wanted_are_those_whose_best_case_is_rare_enough(void **state)
{
    (void)state;
    assert_int_equal(tm_shift_repeats(0.05), 3);   /* 1 of 20 */
    assert_int_equal(tm_shift_repeats(0.01), 5);   /* 1 of 252; 4: 1 of 70 */
    assert_int_equal(tm_shift_repeats(0.0005), 7); /* 1 of 3432 */
}

static void the_estimate_is_the_middle_of_all_pairwise_ratios(void **state)
{
    const double base[] = { 1, 2, 4 }, new[] = { 2, 4, 8 };
    struct tm_shift s;
    (void)state;
    tm_shift_estimate(&s, side(base, 3), side(new, 3), 0.05, 0.05);
    assert_true(fabs(s.ratio - 2) < 1e-12); /* 1/2 1 1 2 2 2 4 4 8 */
    assert_true(fabs(s.at_least - 0.5) < 1e-12);
    assert_true(fabs(s.at_most - 8) < 1e-12);
    tm_shift_estimate(&s, side(base, 3), side(new, 3), 0.01, 0.01);
    assert_true(s.at_least <= 0 &&
                isinf(s.at_most)); /* three and three say nothing at one percent */
}

static void one_wild_repetition_does_not_move_the_answer(void **state)
{
    const double base[] = { 100, 101, 99, 100.5, 99.5, 100.2, 99.8, 100.1 };
    double new[8];
    struct tm_shift calm, wild;
    (void)state;
    for (size_t i = 0; i < 8; i++)
        new[i] = base[i] * 1.2;
    tm_shift_estimate(&calm, side(base, 8), side(new, 8), 0.001, 0.05);
    new[3] *= 50;
    tm_shift_estimate(&wild, side(base, 8), side(new, 8), 0.001, 0.05);
    assert_true(tm_shift_grew(&calm, 0.1) && tm_shift_grew(&wild, 0.1));
    assert_true(fabs(wild.ratio / calm.ratio - 1) < 0.01);
}

static void what_is_too_small_to_matter_never_grew(void **state)
{
    double base[12], new[12];
    struct tm_shift s;
    (void)state;
    for (size_t i = 0; i < 12; i++) {
        base[i] = 100 + 0.01 * (double)i;
        new[i] = base[i] * 1.05;
    }
    tm_shift_estimate(&s, side(base, 12), side(new, 12), 0.0001, 0.05);
    assert_true(s.at_least > 1.04); /* beyond doubt */
    assert_false(tm_shift_grew(&s, 0.10));
    assert_true(tm_shift_grew(&s, 0.04));
}

static void equal_values_are_no_growth(void **state)
{
    const double base[] = { 5, 5, 5, 5, 5, 5, 5, 5 };
    struct tm_shift s;
    (void)state;
    tm_shift_estimate(&s, side(base, 8), side(base, 8), 0.01, 0.01);
    assert_true(fabs(s.ratio - 1) < 1e-12);
    assert_false(s.at_least > 1);
}

/* Noise as wide as asked for, with a tail: one value in ten is five times as wild. */
static void draw(struct tm_rng *rng, double *out, size_t count, double width, double ratio)
{
    for (size_t i = 0; i < count; i++) {
        double normal = 0;
        for (int k = 0; k < 12; k++)
            normal += tm_rng_unit(rng) - 0.5;
        out[i] = ratio * exp(normal * width * (tm_rng_chance(rng, 0.1) ? 5 : 1));
    }
}

static double share_grown(double width, double ratio, double alpha, size_t rounds)
{
    double base[8], new[8];
    size_t grown = 0;
    struct tm_rng rng;
    tm_rng_init(&rng, 7);
    for (size_t i = 0; i < rounds; i++) {
        struct tm_shift s;
        draw(&rng, base, 8, width, 1);
        draw(&rng, new, 8, width, ratio);
        tm_shift_estimate(&s, side(base, 8), side(new, 8), alpha, 0.05);
        grown += tm_shift_grew(&s, 0);
    }
    return (double)grown / (double)rounds;
}

static void chance_grows_as_often_as_the_level_says(void **state)
{
    (void)state;
    double share = share_grown(0.05, 1, 0.05, 20000);
    /* exact: the largest P(U <= u) up to .05 at 8 and 8 is .0415 */
    assert_true(share > 0.037 && share < 0.046);
    assert_true(share_grown(0.05, 1, 0.001, 20000) < 0.002);
}

static void what_is_said_to_be_seen_is_seen_nine_times_in_ten(void **state)
{
    double base[16], new[16];
    struct tm_rng rng;
    (void)state;
    tm_rng_init(&rng, 11);
    size_t seen = 0, rounds = 400;
    for (size_t i = 0; i < rounds; i++) {
        struct tm_shift s;
        draw(&rng, base, 16, 0.04, 1);
        draw(&rng, new, 16, 0.04, 1);
        double smallest = tm_shift_seen(side(base, 16), side(new, 16), 0.001, 0.05, 3);
        draw(&rng, base, 16, 0.04, 1);
        draw(&rng, new, 16, 0.04, smallest);
        tm_shift_estimate(&s, side(base, 16), side(new, 16), 0.001, 0.05);
        seen += tm_shift_grew(&s, 0.05);
    }
    assert_true((double)seen / (double)rounds > 0.80);
    assert_true((double)seen / (double)rounds < 0.99);
    assert_true(isinf(tm_shift_seen(side(base, 2), side(new, 2), 0.001, 0.05, 3)));
    assert_true(isinf(tm_shift_seen(side(base, 1), side(new, 1), 0.5, 0.05, 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_null_distribution_is_that_of_counting_every_arrangement),
        cmocka_unit_test(repetitions_wanted_are_those_whose_best_case_is_rare_enough),
        cmocka_unit_test(the_estimate_is_the_middle_of_all_pairwise_ratios),
        cmocka_unit_test(one_wild_repetition_does_not_move_the_answer),
        cmocka_unit_test(what_is_too_small_to_matter_never_grew),
        cmocka_unit_test(equal_values_are_no_growth),
        cmocka_unit_test(chance_grows_as_often_as_the_level_says),
        cmocka_unit_test(what_is_said_to_be_seen_is_seen_nine_times_in_ten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
