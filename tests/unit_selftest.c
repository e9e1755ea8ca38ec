/* self-tests of the witness: they hold on figures that are right, and catch one that is wrong. */
#include "base/trace.h"
#include "check/breakdown.h"
#include "check/cause.h"
#include "check/selftest.h"
#include "tests/support_history.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define MS INT64_C(1000000)
#define ROW(name, stage, amount)                                                                   \
    "{\"Name\":\"" name "\",\"Stage\":\"" stage "\",\"Amount\":" amount ",\"Private\":0}"

struct batch {
    struct history_stand s;
    struct tm_poll polls[6];
    struct tm_plan_pipeline p;
    struct tm_poll_test test;
};

/* Polls each ten minutes, each done 20 ms (20 org seconds) after its grid point. Five updates, the
 * last two in one interval. */
static void batch_open(struct batch *b, const char *name)
{
    static const double at[] = { 3, 14, 27, 33, 36 };
    history_stand_open(&b->s, name);
    history_commit(b->s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_show(&b->s, 1, 0, -100, "a", "new", 1, 0, history_stamp(-1), 0);
    for (int i = 0; i < 5; i++) {
        char fields[40];
        snprintf(fields, sizeof fields, "{\"Amount\":%d}", i + 2);
        history_commit(b->s.org, 1, "UPDATE", "", at[i], fields);
    }
    for (int i = 0; i < 6; i++)
        b->polls[i] = (struct tm_poll){ .grid_ms = history_org_ms(10 * (i + 1)),
                                        .started_org_ms = history_org_ms(10 * (i + 1)),
                                        .started_ns = history_wall_ns(10 * (i + 1)),
                                        .finished_ns = history_wall_ns(10 * (i + 1)) + 20 * MS,
                                        .seq_first = i + 2,
                                        .seq_last = i + 2,
                                        .object = b->s.object,
                                        .mode = "incremental" };
    b->polls[4].seq_first = b->polls[5].seq_first = 100; /* nothing to carry */
    b->polls[4].seq_last = b->polls[5].seq_last = 99;
    b->s.timing.kind = TM_PIPELINE_BATCH;
    b->s.timing.polls = b->polls;
    b->s.timing.polls_count = 6;
    b->p = (struct tm_plan_pipeline){ .name = "batch",
                                      .kind = TM_PIPELINE_BATCH,
                                      .interval_ms = 10 * HISTORY_MINUTE_MS,
                                      .carries = 1u << TM_TRUTH_CREATE | 1u << TM_TRUTH_UPDATE };
}

static void batch_shows(struct batch *b, double minutes, double late_ms, double amount,
                        double stamp)
{
    history_show(&b->s, 1, minutes, late_ms, "a", "new", amount, 0, history_stamp(stamp), 0);
}

static void batch_test(struct batch *b)
{
    struct tm_err err = { 0 };
    history_match(&b->s);
    assert_int_equal(
        tm_selftest_polls(&b->test, b->s.truth, b->s.match, &b->s.timing, &b->p, 0, &err), TM_OK);
}

static void every_change_keeps_the_closed_form_of_polling(void **state)
{
    (void)state;
    struct batch b;
    batch_open(&b, "closed");
    batch_shows(&b, 10, 21, 2, 3);
    batch_shows(&b, 20, 21, 3, 14);
    batch_shows(&b, 30, 21, 4, 27);
    batch_shows(&b, 40, 21, 6, 36);
    batch_test(&b);
    assert_int_equal(b.test.tested, 5);
    assert_int_equal(b.test.held, 5);
    assert_int_equal(b.test.lost_tested, 5);
    assert_int_equal(b.test.lost_expected, 1);
    assert_int_equal(b.test.lost_measured, 1);
    assert_int_equal(b.test.lost_wrong, 0);
    struct tm_area a;
    struct tm_err err = { 0 };
    assert_int_equal(tm_selftest_area(&a, b.s.truth, b.s.match, &b.s.timing, &err), TM_OK);
    assert_int_equal(a.expected_us, a.measured_us);
    assert_true(a.expected_us > 0);
    history_stand_close(&b.s);
}

static void a_row_deleted_twice_between_two_polls_has_no_closed_form(void **state)
{
    (void)state;
    struct batch b;
    batch_open(&b, "twice");
    b.p.carries |= 1u << TM_TRUTH_DELETE | 1u << TM_TRUTH_UNDELETE;
    history_commit(b.s.org, 1, "DELETE", "", 42, "{}");
    history_commit(b.s.org, 1, "UNDELETE", "", 44, ROW("a", "new", "6"));
    history_commit(b.s.org, 1, "DELETE", "", 46, "{}");
    batch_shows(&b, 10, 21, 2, 3);
    batch_shows(&b, 20, 21, 3, 14);
    batch_shows(&b, 30, 21, 4, 27);
    batch_shows(&b, 40, 21, 6, 36);
    b.polls[4].seq_first = b.polls[4].seq_last = 6;
    history_hide(&b.s, 1, 50, 21);
    batch_test(&b);
    assert_int_equal(b.test.tested, 5);
    assert_int_equal(b.test.held, 5);
    assert_int_equal(b.test.lost_wrong, 0);
    assert_int_equal(b.test.excluded[TM_POLL_COINCIDENT], 3); /* which of the two is not told apart */
    assert_int_equal(b.test.excluded[TM_POLL_UNSEEN], 0);
    history_stand_close(&b.s);
}

static void a_change_shown_a_poll_late_is_caught(void **state)
{
    (void)state;
    struct batch b;
    batch_open(&b, "late");
    batch_shows(&b, 10, 21, 2, 3);
    b.polls[1].seq_first = 200; /* the poll at 20 carries nothing, so 14 comes at 30 */
    b.polls[1].seq_last = 199;
    b.polls[2].seq_first = b.polls[2].seq_last = 3;
    b.polls[3].seq_first = b.polls[3].seq_last = 4;
    struct tm_poll idle = b.polls[1]; /* polls are sorted by _seq */
    memmove(&b.polls[1], &b.polls[2], 4 * sizeof b.polls[0]);
    b.polls[5] = idle;
    batch_shows(&b, 30, 21, 4, 27);
    batch_shows(&b, 40, 21, 6, 36);
    batch_test(&b);
    assert_int_equal(b.test.tested - b.test.held, 1);
    assert_int_equal(b.s.truth->versions[b.test.first_wrong].org_ms, history_org_ms(14));
    history_stand_close(&b.s);
}

static void a_state_claimed_shown_that_was_not_is_caught(void **state)
{
    (void)state;
    struct batch b;
    batch_open(&b, "claimed");
    batch_shows(&b, 10, 21, 2, 3);
    batch_shows(&b, 20, 21, 3, 14);
    batch_shows(&b, 30, 21, 4, 27);
    batch_shows(&b, 40, 21, 6, 36);
    batch_test(&b);
    b.s.match->samples[4].flags |=
        TM_SAMPLE_EXACT; /* the version of minute 33, superseded in its interval */
    struct tm_err err = { 0 };
    assert_int_equal(tm_selftest_polls(&b.test, b.s.truth, b.s.match, &b.s.timing, &b.p, 0, &err),
                     TM_OK);
    assert_int_equal(b.test.lost_wrong, 1);
    history_stand_close(&b.s);
}

/* Two changes within a second, the second of a field that is compared no more: what the poll shows
 * is the state of both, and neither was lost. */
static void a_state_is_not_lost_under_a_change_that_is_not_compared(void **state)
{
    (void)state;
    struct batch b;
    batch_open(&b, "removed");
    history_commit(b.s.org, 1, "UPDATE", "", 36.004, "{\"Sunset__c\":\"gone by now\"}");
    batch_shows(&b, 10, 21, 2, 3);
    batch_shows(&b, 20, 21, 3, 14);
    batch_shows(&b, 30, 21, 4, 27);
    batch_shows(&b, 40, 21, 6, 36);
    batch_test(&b);
    assert_int_equal(b.test.held, b.test.tested);
    assert_int_equal(b.test.lost_wrong, 0);
    assert_int_equal(b.test.lost_expected, 1); /* the one of minute 33 */
    history_stand_close(&b.s);
}

static void what_has_no_closed_form_is_left_out_and_counted(void **state)
{
    (void)state;
    struct batch b;
    batch_open(&b, "left");
    /* while the poll of 40 runs */
    history_commit(b.s.org, 1, "UPDATE", "", 40.1, "{\"Amount\":9}");
    /* not carried by this preset */
    history_commit(b.s.org, 1, "DELETE", "", 45, "{}");
    batch_shows(&b, 10, 21, 2, 3);
    batch_shows(&b, 20, 21, 3, 14);
    batch_shows(&b, 30, 21, 4, 27);
    batch_shows(&b, 40, 21, 9, 40.1);
    batch_test(&b);
    /* and the two that it changed again */
    assert_int_equal(b.test.excluded[TM_POLL_RUNNING], 3);
    assert_int_equal(b.test.excluded[TM_POLL_NOT_CARRIED], 1);
    assert_int_equal(b.test.held, b.test.tested);
    history_stand_close(&b.s);
}

static void skipped_grid_points_are_left_out(void **state)
{
    (void)state;
    struct batch b;
    batch_open(&b, "skipped");
    b.s.timing.polls_count = 3; /* the polls of 40 and later never happened */
    batch_shows(&b, 10, 21, 2, 3);
    batch_shows(&b, 20, 21, 3, 14);
    batch_shows(&b, 30, 21, 4, 27);
    batch_shows(&b, 55, 0, 6, 36);
    batch_test(&b);
    assert_int_equal(b.test.excluded[TM_POLL_SKIPPED], 2);
    assert_int_equal(b.test.held, 3);
    history_stand_close(&b.s);
}

static void a_poll_off_the_grid_is_caught(void **state)
{
    (void)state;
    struct batch b;
    batch_open(&b, "offgrid");
    b.polls[2].grid_ms += 1000;
    batch_test(&b);
    assert_int_equal(b.test.off_grid, 1);
    history_stand_close(&b.s);
}

static void a_sample_that_is_wrong_breaks_the_area(void **state)
{
    (void)state;
    struct batch b;
    batch_open(&b, "area");
    batch_shows(&b, 10, 21, 2, 3);
    batch_shows(&b, 40, 21, 6, 36);
    history_match(&b.s);
    struct tm_area a;
    struct tm_err err = { 0 };
    assert_int_equal(tm_selftest_area(&a, b.s.truth, b.s.match, &b.s.timing, &err), TM_OK);
    assert_int_equal(a.expected_us, a.measured_us);
    b.s.match->samples[1].visible_us += 1;
    assert_int_equal(tm_selftest_area(&a, b.s.truth, b.s.match, &b.s.timing, &err), TM_OK);
    assert_int_equal(a.first_wrong, 0);
    assert_int_not_equal(a.expected_us, a.measured_us);
    history_stand_close(&b.s);
}

static void the_breakdown_adds_up_and_leaves_out_what_lacks_marks(void **state)
{
    (void)state;
    struct history_stand s;
    struct tm_trace *trace = NULL;
    struct tm_marks *marks = NULL;
    struct tm_breakdown b;
    struct tm_err err = { 0 };
    history_stand_open(&s, "breakdown");
    s.timing.delay_ms = 3000; /* 3 ms of wall */
    history_commit(s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_show(&s, 1, 0, -100, "a", "new", 1, 0, history_stamp(-1), 0);
    int64_t marked = history_commit(s.org, 1, "UPDATE", "", 10, "{\"Amount\":2}");
    history_commit(s.org, 1, "UPDATE", "", 20, "{\"Amount\":3}");
    history_show(&s, 1, 10, 25, "a", "new", 2, 0, history_stamp(10), 0);
    history_show(&s, 1, 20, 25, "a", "new", 3, 0, history_stamp(20), 0);
    const char *path = history_path("a.trace");
    assert_int_equal(tm_trace_open(&trace, path, &err), TM_OK);
    static const enum tm_trace_kind kinds[] = { TM_TRACE_RECEIVED, TM_TRACE_PRODUCED,
                                                TM_TRACE_FETCHED, TM_TRACE_WRITTEN };
    for (int i = 0; i < 4; i++) {
        tm_trace_add(trace, kinds[i], "Opportunity", marked,
                     history_wall_ns(10) + (5 + 4 * i) * MS);
        /* delivered again */
        tm_trace_add(trace, kinds[i], "Opportunity", marked, history_wall_ns(10) + 900 * MS);
    }
    tm_trace_close(trace);
    history_match(&s);
    assert_int_equal(tm_marks_load(&marks, &path, 1, &err), TM_OK);
    assert_int_equal(tm_breakdown_make(&b, s.truth, s.match, &s.timing, marks, &err), TM_OK);
    assert_int_equal(b.counted, 1);
    assert_int_equal(b.left_out, 1);
    assert_true(fabs(b.sum_ms - 25) < 1e-6);
    assert_true(fabs(b.expected_ms - b.sum_ms) < 1e-6);
    assert_true(fabs(b.segments[TM_SEGMENT_PUBLISHED].values[0] - 3) < 1e-6);
    assert_true(fabs(b.segments[TM_SEGMENT_IN_KAFKA].values[0] - 4) < 1e-6);
    tm_breakdown_free(&b);
    tm_marks_close(marks);
    history_stand_close(&s);
}

static const char *cause_of(struct batch *b, int n)
{
    char id[19];
    history_id(id, n);
    static struct tm_cause cause;
    struct tm_difference d = { .record = tm_truth_record(b->s.truth, 0, id),
                               .row = TM_SHOWN_NONE,
                               .version = TM_TRUTH_NONE,
                               .code = 1 + 2 * TM_ROW_MISSING };
    struct tm_cause_stand stand = { .truth = b->s.truth,
                                    .m = b->s.match,
                                    .shown = b->s.shown,
                                    .timing = &b->s.timing,
                                    .plan = &b->p };
    tm_cause_of(&cause, &stand, &d);
    assert_int_equal(cause.known, strcmp(cause.word, "not_known") != 0);
    return cause.word;
}

/* The poll at 40 looks until 20 s after; `>` behind record 2's stamp never returns record 3. */
static void a_row_lost_in_the_second_of_a_polls_newest_row_is_told_from_other_causes(void **state)
{
    (void)state;
    struct batch b;
    batch_open(&b, "causes");
    history_commit(b.s.org, 2, "CREATE", "", 40 + 1.2 / 60, ROW("b", "new", "20"));
    history_commit(b.s.org, 3, "CREATE", "", 40 + 1.9 / 60, ROW("c", "new", "30"));
    history_commit(b.s.org, 4, "CREATE", "", 40 + 2.9 / 60, ROW("d", "new", "40"));
    history_commit(b.s.org, 5, "CREATE", "", 45 + 1.2 / 60, ROW("e", "new", "50"));
    history_commit(b.s.org, 6, "CREATE", "", 45 + 1.9 / 60, ROW("f", "new", "60"));
    history_commit(b.s.org, 1, "DELETE", "", 46, "{}");
    batch_test(&b);
    assert_string_equal(cause_of(&b, 3), "same_second");
    assert_string_equal(cause_of(&b, 2), "not_known"); /* the older of the two */
    assert_string_equal(cause_of(&b, 4), "not_known"); /* alone in its second */
    assert_string_equal(cause_of(&b, 1), "delete_not_carried");
    b.s.timing.polls_count = 4; /* up to the one at 40 */
    assert_string_equal(cause_of(&b, 5), "after_last_poll");
    b.s.timing.polls_count = 5; /* the one at 50 looks, but only for deletes */
    strcpy(b.polls[4].mode, "deleted");
    assert_string_equal(cause_of(&b, 5), "after_last_poll");
    history_stand_close(&b.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_change_keeps_the_closed_form_of_polling),
        cmocka_unit_test(a_row_deleted_twice_between_two_polls_has_no_closed_form),
        cmocka_unit_test(a_change_shown_a_poll_late_is_caught),
        cmocka_unit_test(a_state_claimed_shown_that_was_not_is_caught),
        cmocka_unit_test(a_state_is_not_lost_under_a_change_that_is_not_compared),
        cmocka_unit_test(what_has_no_closed_form_is_left_out_and_counted),
        cmocka_unit_test(skipped_grid_points_are_left_out),
        cmocka_unit_test(a_poll_off_the_grid_is_caught),
        cmocka_unit_test(a_sample_that_is_wrong_breaks_the_area),
        cmocka_unit_test(the_breakdown_adds_up_and_leaves_out_what_lacks_marks),
        cmocka_unit_test(a_row_lost_in_the_second_of_a_polls_newest_row_is_told_from_other_causes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
