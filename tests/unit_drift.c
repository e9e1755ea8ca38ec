/* The running hash of a set of rows, and equality at every commit. */
#include "support_history.h"
#include "base/rng.h"
#include "check/drift.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROWS 40

static struct tm_drift *drift(size_t rows)
{
    struct tm_drift *d = NULL;
    struct tm_err err = { 0 };
    assert_int_equal(tm_drift_open(&d, rows, &err), TM_OK);
    return d;
}

static void two_sets_are_equal_in_whatever_order_they_came_to_be(void **state)
{
    struct tm_drift *d = drift(3);
    (void)state;
    assert_true(tm_drift_equal(d));
    tm_drift_truth(d, 0, 7);
    tm_drift_truth(d, 1, 8);
    tm_drift_truth(d, 2, 9);
    tm_drift_shown(d, 2, 5);
    tm_drift_shown(d, 1, 8);
    assert_false(tm_drift_equal(d));
    tm_drift_shown(d, 2, 9);
    assert_false(tm_drift_equal(d));
    assert_int_equal(d->differing, 1);
    assert_int_equal(d->first, 0);
    tm_drift_shown(d, 0, 7);
    assert_true(tm_drift_equal(d));
    assert_int_equal(d->first, TM_DRIFT_NONE);
    tm_drift_close(d);
}

static void two_rows_that_hold_each_others_values_are_not_equal(void **state)
{
    struct tm_drift *d = drift(2);
    (void)state;
    tm_drift_truth(d, 0, 7);
    tm_drift_truth(d, 1, 8);
    tm_drift_shown(d, 0, 8);
    tm_drift_shown(d, 1, 7);
    assert_false(tm_drift_equal(d));
    assert_int_equal(d->differing, 2);
    tm_drift_close(d);
}

static void a_row_more_is_no_equality(void **state)
{
    struct tm_drift *d = drift(2);
    (void)state;
    tm_drift_truth(d, 0, 7);
    tm_drift_shown(d, 0, 7);
    tm_drift_shown(d, 1, 9);
    assert_false(tm_drift_equal(d));
    tm_drift_shown(d, 1, TM_DRIFT_ABSENT);
    assert_true(tm_drift_equal(d));
    tm_drift_close(d);
}

/* Against the plain way: compare all rows after every change, and walk the list. */
static void after_every_random_change_list_and_hashes_say_what_a_full_comparison_says(void **state)
{
    uint64_t truth[ROWS] = { 0 }, shown[ROWS] = { 0 };
    struct tm_drift *d = drift(ROWS);
    struct tm_rng rng;
    size_t equal = 0;
    (void)state;
    tm_rng_init(&rng, 5);
    for (int i = 0; i < 200000; i++) {
        uint32_t row = (uint32_t)(tm_rng_unit(&rng) * ROWS);
        uint64_t hash = (uint64_t)(tm_rng_unit(&rng) * 2);
        bool catch_up = tm_rng_unit(&rng) < 0.9; /* so that sets are equal now and then */
        if (catch_up && d->differing > 0) {
            row = d->first;
            tm_drift_shown(d, row, shown[row] = truth[row]);
        } else {
            tm_drift_truth(d, row, truth[row] = hash);
        }
        size_t differing = 0, listed = 0;
        for (size_t r = 0; r < ROWS; r++)
            differing += truth[r] != shown[r];
        for (uint32_t r = d->first; r != TM_DRIFT_NONE; r = d->rows[r].next, listed++)
            assert_true(truth[r] != shown[r]);
        assert_int_equal(d->differing, differing);
        assert_int_equal(listed, differing);
        assert_int_equal(tm_drift_equal(d), differing == 0);
        equal += differing == 0;
    }
    assert_true(equal > 1000 && equal < 199000);
    tm_drift_close(d);
}

#define FIELDS(stage) "{\"Name\":\"a\",\"Stage\":\"" stage "\",\"Amount\":1,\"Private\":0}"

static void replay(struct history_stand *s, struct tm_drift_run *out)
{
    struct tm_err err = { 0 };
    history_match(s);
    assert_int_equal(tm_drift_replay(out, s->truth, s->shown, s->match, &s->timing, &err), TM_OK);
    assert_int_equal(out->agreed, out->asked);
}

static void before_each_commit_it_is_known_how_many_rows_differ(void **state)
{
    struct history_stand s;
    struct tm_drift_run d;
    (void)state;
    history_stand_open(&s, "commits");
    history_commit(s.org, 1, "CREATE", NULL, -1, FIELDS("a"));
    history_show(&s, 1, 0, 0, "a", "a", 1, 0, history_stamp(-1), 0);
    history_commit(s.org, 1, "UPDATE", "", 5, "{\"Stage\":\"b\"}");
    history_commit(s.org, 2, "CREATE", "", 10, FIELDS("n")); /* 1 is still to come */
    history_show(&s, 1, 12, 0, "a", "b", 1, 0, history_stamp(5), 0);
    history_show(&s, 2, 13, 0, "a", "n", 1, 0, history_stamp(10), 0);
    history_commit(s.org, 2, "DELETE", "", 20, "{}"); /* all is shown */
    replay(&s, &d);
    assert_int_equal(d.commits_count, 3);
    assert_int_equal(d.commits[0].differing, 0);
    assert_int_equal(d.commits[1].differing, 1);
    assert_int_equal(d.commits[2].differing, 0);
    assert_int_equal(d.equal, 2);
    assert_int_equal(d.peak_rows, 1);
    assert_int_equal(d.peak, 2);
    assert_int_equal(d.final_differing, 1); /* the delete was never shown */
    /* from the delete at 20 to the end at 60; from 5 to 13 is shorter. A minute is 60 ms. */
    assert_int_equal(d.unequal_ns_max, 40 * 60 * INT64_C(1000000));
    tm_drift_run_free(&d);
    history_stand_close(&s);
}

static void a_copy_that_ends_equal_ends_with_nothing_to_tell(void **state)
{
    struct history_stand s;
    struct tm_drift_run d;
    (void)state;
    history_stand_open(&s, "equal");
    history_commit(s.org, 1, "CREATE", NULL, -1, FIELDS("a"));
    history_show(&s, 1, 0, 0, "a", "a", 1, 0, history_stamp(-1), 0);
    history_commit(s.org, 1, "UPDATE", "", 5, "{\"Stage\":\"b\"}");
    history_show(&s, 1, 7, 0, "a", "b", 1, 0, history_stamp(5), 0);
    replay(&s, &d);
    assert_int_equal(d.final_differing, 0);
    assert_int_equal(d.unequal_ns_max, 2 * 60 * INT64_C(1000000));
    tm_drift_run_free(&d);
    /* the self-test can fail: a reader's hash that is not what matching saw */
    struct tm_err err = { 0 };
    s.match->obs_hash[1] ^= 1;
    assert_int_equal(tm_drift_replay(&d, s.truth, s.shown, s.match, &s.timing, &err), TM_OK);
    assert_int_equal(d.final_differing, 1);
    assert_int_not_equal(d.final_differing, s.match->differences_count);
    tm_drift_run_free(&d);
    history_stand_close(&s);
}

static void an_id_the_org_never_had_is_a_row_that_differs(void **state)
{
    struct history_stand s;
    struct tm_drift_run d;
    (void)state;
    history_stand_open(&s, "stranger");
    history_commit(s.org, 1, "CREATE", NULL, -1, FIELDS("a"));
    history_show(&s, 1, 0, 0, "a", "a", 1, 0, history_stamp(-1), 0);
    history_show(&s, 9, 3, 0, "x", "x", 1, 0, history_stamp(1), 0);
    replay(&s, &d);
    assert_int_equal(d.final_differing, 1);
    assert_int_equal(d.final_differing, s.match->differences_count);
    tm_drift_run_free(&d);
    history_stand_close(&s);
}

static void a_row_with_fields_never_received_differs_even_if_its_values_agree(void **state)
{
    struct history_stand s;
    struct tm_drift_run d;
    (void)state;
    history_stand_open(&s, "partial");
    history_commit(s.org, 1, "CREATE", NULL, -1, FIELDS("a"));
    history_show(&s, 1, 0, 0, "a", "a", 1, 0, history_stamp(-1), TM_SHOWN_DIRTY | TM_SHOWN_PARTIAL);
    replay(&s, &d);
    assert_int_equal(d.final_differing, 1);
    assert_int_equal(d.final_differing, s.match->differences_count);
    tm_drift_run_free(&d);
    history_stand_close(&s);
}

static void what_is_read_at_the_instant_of_its_commit_was_not_there_before_it(void **state)
{
    struct history_stand s;
    struct tm_drift_run d;
    (void)state;
    history_stand_open(&s, "instant");
    history_commit(s.org, 1, "CREATE", NULL, -1, FIELDS("a"));
    history_show(&s, 1, 0, 0, "a", "a", 1, 0, history_stamp(-1), 0);
    history_commit(s.org, 1, "UPDATE", "", 5, "{\"Stage\":\"b\"}");
    history_show(&s, 1, 5, 0, "a", "b", 1, 0, history_stamp(5), 0);
    replay(&s, &d);
    assert_int_equal(d.commits_count, 1);
    assert_int_equal(d.commits[0].differing, 0);
    assert_int_equal(d.equal, 1);
    assert_int_equal(d.unequal_ns_max, 0);
    tm_drift_run_free(&d);
    history_stand_close(&s);
}

static void of_equal_peaks_the_first_is_named(void **state)
{
    struct history_stand s;
    struct tm_drift_run d;
    (void)state;
    history_stand_open(&s, "peaks");
    history_commit(s.org, 1, "CREATE", NULL, -1, FIELDS("a"));
    history_show(&s, 1, 0, 0, "a", "a", 1, 0, history_stamp(-1), 0);
    history_commit(s.org, 1, "UPDATE", "", 5, "{\"Stage\":\"b\"}");
    history_commit(s.org, 1, "UPDATE", "", 6, "{\"Stage\":\"c\"}");
    history_commit(s.org, 1, "UPDATE", "", 7, "{\"Stage\":\"d\"}");
    replay(&s, &d);
    assert_int_equal(d.peak_rows, 1);
    assert_int_equal(d.peak, 2); /* before the second update the first is to come */
    tm_drift_run_free(&d);
    history_stand_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_sets_are_equal_in_whatever_order_they_came_to_be),
        cmocka_unit_test(two_rows_that_hold_each_others_values_are_not_equal),
        cmocka_unit_test(a_row_more_is_no_equality),
        cmocka_unit_test(after_every_random_change_list_and_hashes_say_what_a_full_comparison_says),
        cmocka_unit_test(before_each_commit_it_is_known_how_many_rows_differ),
        cmocka_unit_test(a_copy_that_ends_equal_ends_with_nothing_to_tell),
        cmocka_unit_test(an_id_the_org_never_had_is_a_row_that_differs),
        cmocka_unit_test(a_row_with_fields_never_received_differs_even_if_its_values_agree),
        cmocka_unit_test(what_is_read_at_the_instant_of_its_commit_was_not_there_before_it),
        cmocka_unit_test(of_equal_peaks_the_first_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
