/* figures: a report's numbers from a history small enough to count by hand. Every expected value
 * here is worked out in the comment beside it, never taken from a run. */
#include "check/results.h"
#include "tests/support_history.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define ROW "{\"Name\":\"a\",\"Stage\":\"new\",\"Amount\":1,\"Private\":0}"
#define MS INT64_C(1000000)

struct figures_stand {
    struct history_stand s;
    struct tm_plan_pipeline p;
    json_t *out;
};

static void stand_open(struct figures_stand *f, const char *name, enum tm_pipeline_kind kind)
{
    memset(f, 0, sizeof *f);
    history_stand_open(&f->s, name);
    f->s.timing.kind = kind;
    f->p = (struct tm_plan_pipeline){ .name = name,
                                      .kind = kind,
                                      .carries = 1u << TM_TRUTH_CREATE | 1u << TM_TRUTH_UPDATE };
    history_commit(f->s.org, 1, "CREATE", NULL, -1, ROW);
    history_show(&f->s, 1, 0, -100, "a", "new", 1, 0, history_stamp(-1), 0);
}

static void stand_show(struct figures_stand *f, double minutes, double late_ms, double amount,
                       double stamp, unsigned flags)
{
    history_show(&f->s, 1, minutes, late_ms, "a", "new", amount, 0, history_stamp(stamp), flags);
}

static void stand_update(struct figures_stand *f, double minutes, int amount)
{
    char fields[40];
    snprintf(fields, sizeof fields, "{\"Amount\":%d}", amount);
    history_commit(f->s.org, 1, "UPDATE", "", minutes, fields);
}

static void stand_make(struct figures_stand *f)
{
    struct tm_err err = { 0 };
    struct tm_curve *curve = NULL;
    struct tm_reader reader = { 0 };
    history_match(&f->s);
    struct tm_check check = { .truth = f->s.truth };
    struct tm_results results = { .check = &check };
    f->out = json_object();
    assert_int_equal(tm_curve_make(&curve, f->s.match, &f->s.timing, &err), TM_OK);
    assert_int_equal(
        tm_figures_json(f->out, &results, &f->p, f->s.match, &f->s.timing, curve, &reader, &err),
        TM_OK);
    free(curve);
}

static void stand_close(struct figures_stand *f)
{
    json_decref(f->out);
    history_stand_close(&f->s);
}

static const json_t *figure(const struct figures_stand *f, const char *group, const char *key)
{
    const json_t *found = json_object_get(json_object_get(f->out, group), key);
    if (found == NULL)
        fail_msg("no figure %s.%s", group, key);
    return found;
}

/* NAN: null, not reached. */
static void is(const struct figures_stand *f, const char *group, const char *key, double expected)
{
    const json_t *found = figure(f, group, key);
    if (isnan(expected) ? !json_is_null(found)
                        : !json_is_number(found) || fabs(json_number_value(found) - expected) >
                                                        1e-10 * fabs(expected) + 2e-6)
        fail_msg("%s.%s is %g, not %g", group, key, json_number_value(found), expected);
}

/* An hour of two records, one quiet; looks in org time. The busy one changes at 10, 12 and 40; a
 * look at 20 shows the second, flagged in doubt from then on; the third is never shown. */
static void hour(struct figures_stand *f, const char *name)
{
    stand_open(f, name, TM_PIPELINE_EXTERNAL);
    f->p.runs = "started here"; /* so that lost states count */
    history_commit(f->s.org, 2, "CREATE", NULL, -1, ROW);
    history_show(&f->s, 2, 0, -100, "a", "new", 1, 0, history_stamp(-1), 0);
    stand_update(f, 10, 2);
    stand_update(f, 12, 3);
    stand_update(f, 40, 4);
    stand_show(f, 20, 0, 3, 12, TM_SHOWN_DIRTY);
    stand_make(f);
}

static void an_hours_freshness_is_the_one_counted_by_hand(void **state)
{
    struct figures_stand f;
    (void)state;
    hour(&f, "fresh");
    is(&f, "freshness_s", "count", 3);
    is(&f, "freshness_s", "never", 1);
    is(&f, "freshness_s", "superseded", 1); /* that of 10 was only seen through that of 12 */
    is(&f, "freshness_s", "negative", 0);
    is(&f, "freshness_s", "p50", 600); /* second of 480, 600, and one that waited 1200 */
    is(&f, "freshness_s", "p90", NAN);
    is(&f, "freshness_s", "max", 600);
    is(&f, "freshness_s", "mean", 540);
    is(&f, "freshness_low_s", "p50", 600);
    const json_t *change = figure(&f, "freshness_by_change", "UPDATE");
    assert_int_equal(json_integer_value(json_object_get(change, "count")), 3);
    assert_int_equal(json_integer_value(json_object_get(change, "never")), 1);
    size_t i, met = 0;
    const json_t *point;
    json_array_foreach(json_object_get(f.out, "t_visibility"), i, point)
    {
        double at = json_number_value(json_array_get(point, 0)),
               share = json_number_value(json_array_get(point, 1));
        met += at >= 300;
        assert_true(fabs(share - (at < 480 ? 0 : 2.0 / 3)) < 1e-9);
    }
    assert_true(met > 2);
    is(&f, "lost_history", "states", 2); /* of 10, jumped over, and of 40 */
    is(&f, "lost_history", "share", 2.0 / 3);
    stand_close(&f);
}

static void an_hours_drift_and_the_worth_of_its_flag_are_those_counted_by_hand(void **state)
{
    struct figures_stand f;
    (void)state;
    hour(&f, "drift");
    is(&f, "drift", "final_rows", 1);
    is(&f, "drift", "stale", 1);
    is(&f, "drift", "equal", 1);
    is(&f, "drift", "dirty", 1);
    is(&f, "drift", "peak_rows", 1);
    is(&f, "drift", "peak_at_ms", (double)history_org_ms(10));
    is(&f, "drift", "row_seconds", (10 + 20) * 60); /* 10 to 20, 40 to 60 */
    const json_t *by = figure(&f, "drift", "row_seconds_by_class");
    assert_true(fabs(json_number_value(json_object_get(by, "stale")) - 1800) < 1e-6);
    assert_true(fabs(json_number_value(json_object_get(by, "mixed"))) < 1e-9);
    const json_t *flag = figure(&f, "drift", "flag");
    /* flagged from 20 to 60, of which 40 to 60 differs; 10 to 20 differs without */
    assert_true(fabs(json_number_value(json_object_get(flag, "precision")) - 20.0 / 40) < 1e-9);
    assert_true(fabs(json_number_value(json_object_get(flag, "recall")) - 20.0 / 30) < 1e-9);
    stand_close(&f);
}

static void an_hours_age_and_versions_behind_are_those_counted_by_hand(void **state)
{
    struct figures_stand f;
    (void)state;
    hour(&f, "age");
    is(&f, "age_s", "mean",
       (10 * 10 + 20 * 20) / 2.0 / 120 * 60); /* of two records, an hour each */
    is(&f, "age_s", "max", 20 * 60);
    is(&f, "behind", "mean", (10 + 8 + 20) / 120.0);
    const json_t *share = figure(&f, "behind", "share");
    assert_true(fabs(json_number_value(json_object_get(share, "0")) - 90 / 120.0) < 1e-9);
    assert_true(fabs(json_number_value(json_object_get(share, "1")) - 22 / 120.0) < 1e-9);
    assert_true(fabs(json_number_value(json_object_get(share, "2")) - 8 / 120.0) < 1e-9);
    /* by the changes of a record: the quiet one is never asked for */
    is(&f, "read_weighted", "age_s", (10 * 10 + 20 * 20) / 2.0 / 60 * 60);
    is(&f, "read_weighted", "stale", 30 / 60.0);
    stand_close(&f);
}

/* Shown 5.178 s after its commit; the other had waited 2 s of org time and 1798 / 1000 of work. */
static void a_stream_has_waited_for_what_it_never_saw_as_long_as_for_what_it_saw(void **state)
{
    struct figures_stand f;
    (void)state;
    stand_open(&f, "waited", TM_PIPELINE_STREAM);
    f.s.timing.delay_ms = 2000;
    history_commit(f.s.org, 2, "CREATE", NULL, -1, ROW);
    history_show(&f.s, 2, 0, -100, "a", "new", 1, 0, history_stamp(-1), 0);
    stand_update(&f, 5, 2);
    history_commit(f.s.org, 2, "UPDATE", "", 30, "{\"Amount\":2}");
    stand_show(&f, 58, 0, 2, 5, 0);
    stand_make(&f);
    is(&f, "freshness_s", "never", 1);
    is(&f, "freshness_s", "max", 5.178);
    is(&f, "freshness_s", "p50", 5.178);
    is(&f, "freshness_s", "p90", 5.178); /* 3.798 is shorter: it says nothing of what is beyond */
    stand_close(&f);
}

/* The update is seen after 50 minutes; the delete had waited for 40. */
static void what_a_preset_never_carries_is_waited_for_in_vain(void **state)
{
    (void)state;
    for (int carried = 0; carried < 2; carried++) {
        struct figures_stand f;
        stand_open(&f, carried ? "carried" : "vain", TM_PIPELINE_EXTERNAL);
        f.p.kind = TM_PIPELINE_BATCH;
        f.p.carries |= carried ? 1u << TM_TRUTH_DELETE : 0u;
        history_commit(f.s.org, 2, "CREATE", NULL, -1, ROW);
        history_show(&f.s, 2, 0, -100, "a", "new", 1, 0, history_stamp(-1), 0);
        stand_update(&f, 5, 2);
        history_commit(f.s.org, 2, "DELETE", "", 20, "{}");
        stand_show(&f, 55, 0, 2, 5, 0);
        stand_make(&f);
        is(&f, "freshness_s", "p50", 3000);
        is(&f, "freshness_s", "p90", carried ? 3000 : NAN);
        stand_close(&f);
    }
}

static void a_change_shown_before_its_stamp_stays_negative(void **state)
{
    struct figures_stand f;
    (void)state;
    stand_open(&f, "negative", TM_PIPELINE_STREAM);
    stand_update(&f, 10, 2);
    stand_show(&f, 10, -5, 2, 10, 0);
    stand_make(&f);
    is(&f, "freshness_s", "negative", 1);
    is(&f, "freshness_s", "p50", -0.005);
    is(&f, "freshness_s", "mean", -0.005);
    stand_close(&f);
}

/* ---- two bounds ---- */

/* A, B, A, B within a second, one look at B after 25 ms, and C at 20, shown after 25 ms. */
static void of_a_stream_the_lower_bound_is_the_work_up_to_the_earlier_look(void **state)
{
    struct figures_stand f;
    (void)state;
    stand_open(&f, "stream", TM_PIPELINE_STREAM);
    stand_update(&f, 10, 2);
    stand_show(&f, 10, 0.05, 2, 10, 0);
    stand_update(&f, 10 + 0.2 / 60, 3);
    stand_update(&f, 10 + 0.4 / 60, 2);
    stand_update(&f, 10 + 0.6 / 60, 3);
    stand_update(&f, 20, 4);
    stand_show(&f, 10, 25, 3, 10, 0);
    stand_show(&f, 20, 25, 4, 20, 0);
    stand_make(&f);
    is(&f, "freshness_s", "ambiguous", 3);
    /* A after 0.05 ms, C after 25; the first B after 24.8 or, A being there again, 0.2; the second
     * A with C, 624.6 after it, or at once; the last B with C, 624.4, or ahead of the look, 23.4 */
    is(&f, "freshness_s", "mean", (0.05 + 25 + 24.8 + 624.6 + 624.4) / 5 / 1000);
    is(&f, "freshness_low_s", "mean", (0.05 + 25 + 0.2 + 0 + 23.4) / 5 / 1000);
    stand_close(&f);
}

/* Deleted at 12, restored at 14, deleted at 17, restored at 35. The look after 20 finds no row,
 * after the first delete or the second, that after 40 the row. */
static void twice_gone(struct figures_stand *f, double late_ms)
{
    f->p.carries |= 1u << TM_TRUTH_DELETE | 1u << TM_TRUTH_UNDELETE;
    history_commit(f->s.org, 1, "DELETE", "", 12, "{}");
    history_commit(f->s.org, 1, "UNDELETE", "", 14, "{}");
    history_commit(f->s.org, 1, "DELETE", "", 17, "{}");
    history_commit(f->s.org, 1, "UNDELETE", "", 35, "{}");
    history_hide(&f->s, 1, 20, late_ms);
    stand_show(f, 40, late_ms, 1, 35, 0);
    stand_make(f);
    is(f, "freshness_s", "ambiguous", 2);
}

/* `carries`: of the row that the poll brought, by _seq. */
static struct tm_poll poll_at(const struct figures_stand *f, double minutes, int64_t carries)
{
    return (struct tm_poll){ .grid_ms = history_org_ms(minutes),
                             .started_org_ms = history_org_ms(minutes),
                             .started_ns = history_wall_ns(minutes),
                             .finished_ns = history_wall_ns(minutes) + 20 * MS,
                             .seq_first = carries,
                             .seq_last = carries,
                             .object = f->s.object,
                             .mode = "incremental" };
}

/* Polls each twenty minutes, each done after 20 ms of work. */
static void of_a_polled_copy_the_lower_bound_is_the_earlier_poll_in_org_time(void **state)
{
    struct figures_stand f;
    (void)state;
    stand_open(&f, "polled", TM_PIPELINE_BATCH);
    struct tm_poll polls[2] = { poll_at(&f, 20, 2), poll_at(&f, 40, 3) };
    f.s.timing.polls = polls;
    f.s.timing.polls_count = 2;
    twice_gone(&f, 20);
    /* of 12 at 20; of 14 and 17 at 40; of 35 at 40 */
    is(&f, "freshness_s", "p50", 8 * 60 + 0.020);
    is(&f, "freshness_s", "max", 26 * 60 + 0.020);
    is(&f, "freshness_s", "mean", (8 + 26 + 23 + 5) * 60 / 4.0 + 0.020);
    /* of 14 and 17 at 20 too, and as early as the look before, 1 ms */
    is(&f, "freshness_low_s", "p50", 5 * 60 + 0.020);
    is(&f, "freshness_low_s", "max", 8 * 60 + 0.020);
    is(&f, "freshness_low_s", "mean", (8 + 6 + 3 + 5) * 60 / 4.0 + (2 * 0.020 + 2 * 0.019) / 4);
    stand_close(&f);
}

/* Nobody knows which poll brought what 20 shows: then it is the look, on the org's clock. */
static void another_objects_poll_bounds_nothing(void **state)
{
    struct figures_stand f;
    (void)state;
    stand_open(&f, "another", TM_PIPELINE_BATCH);
    struct tm_poll polls[2] = { poll_at(&f, 18, 2), poll_at(&f, 40, 3) };
    polls[0].object--;
    f.s.timing.polls = polls;
    f.s.timing.polls_count = 2;
    twice_gone(&f, 0);
    /* 12 waited for no poll: 8 minutes of work, unstretched; the look before is 1 ms, so 1 s */
    is(&f, "freshness_low_s", "mean", (8 * 0.060 + (6 + 3) * 60 - 2 * 1 + 5 * 60) / 4.0);
    stand_close(&f);
}

/* The same of a copy that nobody starts here: the look itself, on the org's clock; a look is 1 ms,
 * a second of org time, wide. */
static void of_a_copy_that_runs_by_itself_the_lower_bound_is_the_earlier_look(void **state)
{
    struct figures_stand f;
    (void)state;
    stand_open(&f, "itself", TM_PIPELINE_EXTERNAL);
    twice_gone(&f, 0);
    is(&f, "freshness_s", "mean", (8 + 26 + 23 + 5) * 60 / 4.0);
    is(&f, "freshness_low_s", "mean", (8 + 6 + 3 + 5) * 60 / 4.0 - 2 * 1 / 4.0);
    stand_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hours_freshness_is_the_one_counted_by_hand),
        cmocka_unit_test(an_hours_drift_and_the_worth_of_its_flag_are_those_counted_by_hand),
        cmocka_unit_test(an_hours_age_and_versions_behind_are_those_counted_by_hand),
        cmocka_unit_test(a_stream_has_waited_for_what_it_never_saw_as_long_as_for_what_it_saw),
        cmocka_unit_test(what_a_preset_never_carries_is_waited_for_in_vain),
        cmocka_unit_test(a_change_shown_before_its_stamp_stays_negative),
        cmocka_unit_test(of_a_stream_the_lower_bound_is_the_work_up_to_the_earlier_look),
        cmocka_unit_test(of_a_polled_copy_the_lower_bound_is_the_earlier_poll_in_org_time),
        cmocka_unit_test(another_objects_poll_bounds_nothing),
        cmocka_unit_test(of_a_copy_that_runs_by_itself_the_lower_bound_is_the_earlier_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
