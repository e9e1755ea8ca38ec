/* How far a run is, in words: shares, pace and what is left, of instants that the test makes up. */
#include "run/progress.h"
#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ORIGIN_MS 1772438400000 /* 2026-03-02T08:00:00Z */
#define HOUR_MS 3600000LL
#define S TM_NS_PER_S
#define BEGAN_NS (100 * S)

/* 12 hours of org time, a fixed start, 10,000 changes to make */
static struct tm_progress day(void)
{
    struct tm_progress p;
    tm_progress_init(&p, ORIGIN_MS, ORIGIN_MS + 12 * HOUR_MS, 10000, BEGAN_NS);
    return p;
}

static void line_is(const struct tm_progress *p, const char *phase, int64_t at_s, double org_hours,
                    int64_t changes, double bound_s, const char *expected)
{
    char out[TM_PROGRESS_BYTES];
    tm_progress_line(out, p, phase, BEGAN_NS + at_s * S, ORIGIN_MS + (int64_t)(org_hours * 3600e3),
                     changes, bound_s);
    assert_string_equal(out, expected);
}

static void a_quarter_of_the_hours_leaves_three_times_what_it_took(void **state)
{
    struct tm_progress p = day();
    (void)state;
    tm_progress_look(&p, BEGAN_NS + 30 * S, 2400);
    assert_true(tm_progress_left_s(&p, BEGAN_NS + 30 * S, ORIGIN_MS + 3 * HOUR_MS, 2400) == 90);
    line_is(&p, "working", 30, 3, 2400, -1,
            "working: org time 2026-03-02 11:00:00, 25.0 % done, about 1 min 30 s left, 2400 "
            "changes so far, 80.0 changes/s");
}

static void nothing_is_claimed_before_there_is_a_pace(void **state)
{
    struct tm_progress p = day();
    (void)state;
    tm_progress_look(&p, BEGAN_NS, 0);
    tm_progress_look(&p, BEGAN_NS + 4 * S, 500); /* less than a window */
    line_is(&p, "working", 0, 0, 0, -1,
            "working: org time 2026-03-02 08:00:00, 0.0 % done, 0 changes so far");
    line_is(&p, "working", -1, 0, -1, -1,
            "working: org time 2026-03-02 08:00:00, 0.0 % done, 0 changes so far");
}

static void the_pace_is_of_the_last_window_and_not_of_the_whole_run(void **state)
{
    struct tm_progress p = day();
    (void)state;
    tm_progress_look(&p, BEGAN_NS + 10 * S, 1000);
    assert_true(p.per_s == 100);
    tm_progress_look(&p, BEGAN_NS + 12 * S, 1900); /* too soon: the old one stands */
    assert_true(p.per_s == 100);
    tm_progress_look(&p, BEGAN_NS + 20 * S, -1); /* the org was busy */
    assert_true(p.per_s == 100);
    tm_progress_look(&p, BEGAN_NS + 20 * S, 1050);
    assert_true(p.per_s == 5);
}

static void a_late_generator_is_judged_by_the_changes_it_still_owes(void **state)
{
    struct tm_progress p = day();
    (void)state;
    tm_progress_look(&p, BEGAN_NS + 100 * S, 5000);
    line_is(&p, "working", 120, 12.5, 5000, -1,
            "working: org time 2026-03-02 20:30:00, 100.0 % done, about 1 min 40 s left, 5000 "
            "changes so far, 50.0 changes/s");
    line_is(&p, "working", 100, 12, 5000, -1, /* the same, at the last instant */
            "working: org time 2026-03-02 20:00:00, 100.0 % done, about 1 min 40 s left, 5000 "
            "changes so far, 50.0 changes/s");
    line_is(&p, "working", 100, 11.99, 5000, -1, /* about a tenth of a second: not told */
            "working: org time 2026-03-02 19:59:24, 99.9 % done, 5000 changes so far, 50.0 "
            "changes/s");
    line_is(&p, "workload done", 220, 13, 10007, -1,
            "workload done: org time 2026-03-02 21:00:00, 100.0 % done, 10007 changes so far, "
            "50.0 changes/s");
}

static void a_drain_says_its_bound_and_hours_are_hours(void **state)
{
    struct tm_progress p = day();
    (void)state;
    line_is(&p, "draining", 200, 12.5, 10000, 7500,
            "draining: org time 2026-03-02 20:30:00, at most 2 h 5 min left, 10000 changes so far");
    line_is(&p, "draining", 200, 12.5, 10000, 0.2,
            "draining: org time 2026-03-02 20:30:00, at most 0 s left, 10000 changes so far");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quarter_of_the_hours_leaves_three_times_what_it_took),
        cmocka_unit_test(nothing_is_claimed_before_there_is_a_pace),
        cmocka_unit_test(the_pace_is_of_the_last_window_and_not_of_the_whole_run),
        cmocka_unit_test(a_late_generator_is_judged_by_the_changes_it_still_owes),
        cmocka_unit_test(a_drain_says_its_bound_and_hours_are_hours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
