/* matcher: which version a shown row stands for, and when each became visible (M1-M5 of
 * check/match.h). */
#include "check/selftest.h"
#include "tests/support_history.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define ROW(name, stage, amount)                                                                   \
    "{\"Name\":\"" name "\",\"Stage\":\"" stage "\",\"Amount\":" amount ",\"Private\":0}"
#define MS INT64_C(1000000)

static void start(struct history_stand *s, const char *name)
{
    history_stand_open(s, name);
    history_commit(s->org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_show(s, 1, 0, -100, "a", "new", 1, 0, history_stamp(-1), 0);
}

static void an_update_is_visible_at_the_first_read_that_returns_it(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "update");
    int64_t pos = history_commit(s.org, 1, "UPDATE", "", 10, "{\"Amount\":2}");
    history_show(&s, 1, 10, 25, "a", "new", 2, 0, history_stamp(10), 0);
    history_match(&s);
    const struct tm_sample *m = history_sample(&s, pos);
    assert_int_equal(m->flags, TM_SAMPLE_OF | TM_SAMPLE_SEEN | TM_SAMPLE_EXACT);
    assert_int_equal(m->work_ns, 25 * MS);
    assert_int_equal(m->lo_ns, history_wall_ns(10) + 24 * MS);
    assert_int_equal(m->wait_us, 0);
    /* work is not stretched by compress */
    assert_int_equal(m->visible_us, (history_org_ms(10) + 25) * 1000);
    assert_int_equal(history_differing(&s), 0);
    history_stand_close(&s);
}

static void publish_delay_is_waited_and_the_rest_is_work(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "delay");
    s.timing.delay_ms = 2000; /* 2 ms of wall */
    int64_t pos = history_commit(s.org, 1, "UPDATE", "", 10, "{\"Amount\":2}");
    history_show(&s, 1, 10, 25, "a", "new", 2, 0, history_stamp(10), 0);
    history_match(&s);
    assert_int_equal(history_sample(&s, pos)->wait_us, 2000000);
    assert_int_equal(history_sample(&s, pos)->work_ns, 23 * MS);
    assert_int_equal(history_sample(&s, pos)->visible_us, (history_org_ms(10) + 2023) * 1000);
    history_stand_close(&s);
}

static void what_has_no_event_waits_for_a_copy_in_org_time(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "silent");
    s.timing.delay_ms = 2000;
    int64_t pos = history_commit(s.org, 1, "HARD_DELETE", NULL, 10, "{}");
    /* ten minutes of the org later, by a copy */
    history_hide(&s, 1, 20, 5);
    history_match(&s);
    const struct tm_sample *m = history_sample(&s, pos);
    assert_true((m->flags & TM_SAMPLE_COPY) != 0);
    assert_int_equal(m->visible_us, tm_timing_org_us(&s.timing, m->hi_ns));
    /* not the wall time a compressed run took for it */
    assert_true(m->wait_us >= 10 * HISTORY_MINUTE_MS * 1000);
    assert_int_equal(m->work_ns, 0);
    history_stand_close(&s);
}

static void a_purge_of_a_deleted_record_needs_no_copy(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "purge");
    int64_t gone = history_commit(s.org, 1, "DELETE", "", 10, "{}");
    int64_t purged = history_commit(s.org, 1, "HARD_DELETE", NULL, 10.0 + 0.02 / 60, "{}");
    history_hide(&s, 1, 11, 5);
    history_match(&s);
    const struct tm_sample *m = history_sample(&s, purged);
    assert_int_equal(m->flags & TM_SAMPLE_COPY, 0);
    assert_int_equal(m->visible_us, history_sample(&s, gone)->visible_us);
    assert_int_equal(history_sample(&s, gone)->flags & TM_SAMPLE_COPY, 0);
    history_stand_close(&s);
}

static void a_version_jumped_over_is_superseded_and_its_state_lost(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "jump");
    int64_t first = history_commit(s.org, 1, "UPDATE", "", 10, "{\"Amount\":2}");
    int64_t second = history_commit(s.org, 1, "UPDATE", "", 11, "{\"Stage\":\"won\"}");
    history_show(&s, 1, 11, 5, "a", "won", 2, 0, history_stamp(11), 0);
    history_match(&s);
    assert_int_equal(history_sample(&s, first)->flags, TM_SAMPLE_OF | TM_SAMPLE_SEEN);
    assert_int_equal(history_sample(&s, second)->flags,
                     TM_SAMPLE_OF | TM_SAMPLE_SEEN | TM_SAMPLE_EXACT);
    assert_int_equal(history_sample(&s, first)->work_ns, 65 * MS);
    history_stand_close(&s);
}

static void a_change_never_shown_is_censored(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "never");
    int64_t pos = history_commit(s.org, 1, "UPDATE", "", 10, "{\"Amount\":2}");
    history_match(&s);
    assert_int_equal(history_sample(&s, pos)->flags, TM_SAMPLE_OF);
    assert_true(history_sample(&s, pos)->hi_ns == INT64_MAX);
    assert_int_equal(s.match->behind_us, 50 * HISTORY_MINUTE_MS * 1000);
    history_stand_close(&s);
}

static void a_delete_is_visible_when_the_id_is_no_longer_returned(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "delete");
    int64_t pos = history_commit(s.org, 1, "DELETE", "", 10, "{}");
    history_hide(&s, 1, 10, 7);
    history_match(&s);
    assert_int_equal(history_sample(&s, pos)->work_ns, 7 * MS);
    assert_int_equal(history_differing(&s), 0);
    history_stand_close(&s);
}

static void a_delete_passed_over_by_an_undelete_is_superseded(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "back");
    int64_t gone = history_commit(s.org, 1, "DELETE", "", 10, "{}");
    int64_t back = history_commit(s.org, 1, "UNDELETE", "", 20, ROW("a", "new", "1"));
    history_show(&s, 1, 20, 9, "a", "new", 1, 0, history_stamp(20), 0);
    history_match(&s);
    assert_int_equal(history_sample(&s, gone)->flags, TM_SAMPLE_OF | TM_SAMPLE_SEEN);
    assert_int_equal(history_sample(&s, back)->flags,
                     TM_SAMPLE_OF | TM_SAMPLE_SEEN | TM_SAMPLE_EXACT);
    history_stand_close(&s);
}

/* A, B, A, B within one second, so that no stamp tells them apart. */
static void return_to(struct history_stand *s, int64_t pos[3], const char *name)
{
    start(s, name);
    history_commit(s->org, 1, "UPDATE", "", 10, "{\"Amount\":2}");
    history_show(s, 1, 10, 0.05, "a", "new", 2, 0, history_stamp(10), 0);
    pos[0] = history_commit(s->org, 1, "UPDATE", "", 10 + 0.2 / 60, "{\"Amount\":3}");
    pos[1] = history_commit(s->org, 1, "UPDATE", "", 10 + 0.4 / 60, "{\"Amount\":2}");
    pos[2] = history_commit(s->org, 1, "UPDATE", "", 10 + 0.6 / 60, "{\"Amount\":3}");
}

static void a_state_that_returns_is_told_from_the_first_by_the_looks_that_follow(void **state)
{
    (void)state;
    struct history_stand s;
    int64_t pos[3];
    return_to(&s, pos, "returns");
    history_show(&s, 1, 10, 25, "a", "new", 3, 0, history_stamp(10), 0);
    history_show(&s, 1, 10, 26, "a", "new", 2, 0, history_stamp(10), 0);
    history_show(&s, 1, 10, 27, "a", "new", 3, 0, history_stamp(10), 0);
    history_match(&s);
    for (int i = 0; i < 3; i++) { /* else the row would have gone back */
        const struct tm_sample *m = history_sample(&s, pos[i]);
        assert_int_equal(m->flags, TM_SAMPLE_OF | TM_SAMPLE_SEEN | TM_SAMPLE_EXACT);
        assert_int_equal(m->lo_ns, history_wall_ns(10) + (24 + i) * MS);
        assert_int_equal(m->hi_ns, history_wall_ns(10) + (25 + i) * MS);
    }
    assert_int_equal(s.match->time_travels, 0);
    assert_int_equal(history_differing(&s), 0);
    history_stand_close(&s);
}

/* One look at B, and then C: B was the first or the second. */
static void a_state_that_returns_before_it_is_shown_has_a_lower_and_an_upper_bound(void **state)
{
    (void)state;
    struct history_stand s;
    int64_t pos[3];
    return_to(&s, pos, "bounds");
    int64_t last = history_commit(s.org, 1, "UPDATE", "", 20, "{\"Amount\":4}");
    history_show(&s, 1, 10, 25, "a", "new", 3, 0, history_stamp(10), 0);
    history_show(&s, 1, 20, 25, "a", "new", 4, 0, history_stamp(20), 0);
    history_match(&s);
    const struct tm_sample *m[3];
    for (int i = 0; i < 3; i++) {
        m[i] = history_sample(&s, pos[i]);
        assert_int_equal(m[i]->flags & (TM_SAMPLE_SEEN | TM_SAMPLE_COINCIDENT | TM_SAMPLE_EXACT),
                         TM_SAMPLE_SEEN | TM_SAMPLE_EXACT);
        assert_int_equal((m[i]->flags & TM_SAMPLE_AMBIGUOUS) != 0, 1);
    }
    /* as if the look at B was of the last: A again was on display when it was committed */
    assert_int_equal(m[0]->lo_ns, history_wall_ns(10 + 0.4 / 60));
    assert_int_equal(m[1]->lo_ns, history_wall_ns(10 + 0.4 / 60));
    assert_int_equal(m[2]->lo_ns, history_wall_ns(10) + 24 * MS);
    /* as if it was of the first */
    assert_int_equal(m[0]->hi_ns, history_wall_ns(10) + 25 * MS);
    assert_int_equal(m[1]->hi_ns, history_wall_ns(20) + 25 * MS);
    assert_int_equal(m[2]->hi_ns, history_wall_ns(20) + 25 * MS);
    assert_int_equal(history_sample(&s, last)->hi_ns, history_wall_ns(20) + 25 * MS);
    assert_int_equal(s.match->ambiguous_reads, 1);
    history_stand_close(&s);
}

static void a_state_that_returns_and_stays_was_shown_when_the_display_became_so(void **state)
{
    (void)state;
    struct history_stand s;
    int64_t pos[3];
    return_to(&s, pos, "stays");
    history_show(&s, 1, 10, 25, "a", "new", 3, 0, history_stamp(10), 0);
    history_match(&s);
    for (int i = 0; i < 3; i++) {
        assert_int_not_equal(history_sample(&s, pos[i])->flags & TM_SAMPLE_SEEN, 0);
        assert_int_equal(history_sample(&s, pos[i])->hi_ns, history_wall_ns(10) + 25 * MS);
    }
    assert_int_equal(history_differing(&s), 0);
    history_stand_close(&s);
}

static void a_create_and_delete_between_reads_are_coincident_at_the_delete(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "flash");
    int64_t born = history_commit(s.org, 2, "CREATE", "", 10, ROW("b", "new", "1"));
    int64_t gone = history_commit(s.org, 2, "DELETE", "", 12, "{}");
    history_match(&s);
    assert_int_equal(history_sample(&s, born)->flags,
                     TM_SAMPLE_OF | TM_SAMPLE_SEEN | TM_SAMPLE_COINCIDENT);
    assert_int_equal(history_sample(&s, gone)->flags,
                     TM_SAMPLE_OF | TM_SAMPLE_SEEN | TM_SAMPLE_COINCIDENT | TM_SAMPLE_EXACT);
    assert_int_equal(history_sample(&s, born)->visible_us, history_org_ms(12) * 1000);
    assert_int_equal(s.match->behind_us, 2 * HISTORY_MINUTE_MS * 1000);
    history_stand_close(&s);
}

/* The generator is late: restored and deleted again while the first delete is on display, by a
 * plan whose instants lie before that display on the org's clock. */
static void what_rides_on_a_display_is_not_visible_before_it(void **state)
{
    (void)state;
    struct history_stand s;
    struct tm_area area;
    struct tm_err err = { .code = TM_OK };
    char sql[200];
    start(&s, "rides");
    history_commit(s.org, 2, "CREATE", "", 10, ROW("b", "new", "1"));
    history_show(&s, 2, 10, 25, "b", "new", 1, 0, history_stamp(10), 0);
    int64_t gone = history_commit(s.org, 2, "DELETE", "", 12, "{}");
    int64_t back = history_commit(s.org, 2, "UNDELETE", "", 12.0005, ROW("b", "new", "1"));
    int64_t again = history_commit(s.org, 2, "DELETE", "", 12.001, "{}");
    snprintf(sql, sizeof sql,
             "UPDATE history SET actual_ns=%" PRId64 "+1000000*(pos-%" PRId64 ") WHERE pos>=%" PRId64,
             history_wall_ns(15), back, back);
    history_exec(s.org, sql);
    history_hide(&s, 2, 14, 0);
    history_match(&s);
    int64_t visible_us = history_sample(&s, gone)->visible_us;
    assert_true(visible_us > history_org_ms(12.001) * 1000);
    assert_int_equal(history_sample(&s, back)->visible_us, visible_us);
    assert_int_equal(history_sample(&s, again)->visible_us, visible_us);
    assert_int_not_equal(history_sample(&s, again)->flags & TM_SAMPLE_COINCIDENT, 0);
    assert_int_equal(tm_selftest_area(&area, s.truth, s.match, &s.timing, &err), TM_OK);
    assert_int_equal(area.expected_us, area.measured_us);
    assert_int_equal(area.first_wrong, TM_TRUTH_NONE);
    assert_int_equal(area.unordered, 0);
    history_stand_close(&s);
}

static void equal_states_give_a_lower_and_an_upper_bound(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "twice");
    /* within one second, so that not even LastModifiedDate tells the first from the third */
    int64_t on = history_commit(s.org, 1, "UPDATE", "", 10.0 + 0.1 / 60, "{\"Private\":1}");
    int64_t off = history_commit(s.org, 1, "UPDATE", "", 10.0 + 0.2 / 60, "{\"Private\":0}");
    int64_t again = history_commit(s.org, 1, "UPDATE", "", 10.0 + 0.3 / 60, "{\"Private\":1}");
    history_show(&s, 1, 10, 5, "a", "new", 1, 1, history_stamp(10), 0);
    history_show(&s, 1, 20, 5, "a", "new", 1, 1, history_stamp(10), TM_SHOWN_DIRTY);
    history_match(&s);
    assert_true(s.match->ambiguous_reads > 0);
    assert_int_equal(history_sample(&s, on)->hi_ns, history_wall_ns(10) + 5 * MS);
    assert_int_equal(history_sample(&s, again)->lo_ns, history_wall_ns(10) + 4 * MS);
    (void)off;
    assert_int_equal(history_differing(&s), 0);
    history_stand_close(&s);
}

static void an_update_of_two_fields_is_shown_only_with_both(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "both");
    int64_t pos = history_commit(s.org, 1, "UPDATE", "", 10, "{\"Amount\":2,\"Stage\":\"won\"}");
    history_show(&s, 1, 10, 5, "a", "won", 1, 0, history_stamp(10), 0);
    history_show(&s, 1, 10, 15, "a", "won", 2, 0, history_stamp(10), 0);
    history_match(&s);
    assert_int_equal(history_sample(&s, pos)->work_ns, 15 * MS);
    history_stand_close(&s);
}

static void a_later_change_is_shown_though_an_older_one_is_missing(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "holes");
    int64_t lost = history_commit(s.org, 1, "UPDATE", "GAP_UPDATE", 10, "{\"Amount\":2}");
    int64_t next = history_commit(s.org, 1, "UPDATE", "", 20, "{\"Stage\":\"won\"}");
    history_show(&s, 1, 20, 5, "a", "won", 1, 0, history_stamp(20), TM_SHOWN_DIRTY);
    history_show(&s, 1, 30, 5, "a", "won", 2, 0, history_stamp(20), 0);
    history_match(&s);
    assert_int_equal(history_sample(&s, next)->work_ns, 5 * MS);
    assert_int_equal(history_sample(&s, lost)->hi_ns, history_wall_ns(30) + 5 * MS);
    assert_true((history_sample(&s, lost)->flags & TM_SAMPLE_EXACT) == 0);
    history_stand_close(&s);
}

static void a_batch_waits_for_its_grid_point_and_works_from_there(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "batch");
    struct tm_poll poll = { .grid_ms = history_org_ms(30),
                            .started_org_ms = history_org_ms(30),
                            .started_ns = history_wall_ns(30),
                            .finished_ns = history_wall_ns(30) + 40 * MS,
                            .seq_first = 2,
                            .seq_last = 5,
                            .object = s.object,
                            .mode = "incremental" };
    s.timing.kind = TM_PIPELINE_BATCH;
    s.timing.polls = &poll;
    s.timing.polls_count = 1;
    int64_t pos = history_commit(s.org, 1, "UPDATE", "", 10, "{\"Amount\":2}");
    history_show(&s, 1, 30, 41, "a", "new", 2, 0, history_stamp(10), 0);
    history_match(&s);
    assert_int_equal(history_sample(&s, pos)->wait_us, 20 * HISTORY_MINUTE_MS * 1000);
    assert_int_equal(history_sample(&s, pos)->work_ns, 41 * MS);
    assert_int_equal(history_sample(&s, pos)->poll, 0);
    assert_int_equal(s.match->behind_us, 20 * HISTORY_MINUTE_MS * 1000 + 41000);
    history_stand_close(&s);
}

static void going_back_in_time_is_counted(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "travel");
    history_commit(s.org, 1, "UPDATE", "", 10, "{\"Amount\":2}");
    history_show(&s, 1, 10, 5, "a", "new", 2, 0, history_stamp(10), 0);
    history_show(&s, 1, 20, 5, "a", "new", 1, 0, history_stamp(-1), 0);
    history_match(&s);
    assert_int_equal(s.match->time_travels, 1);
    assert_int_equal(history_final(&s, TM_ROW_STALE, 0), 1);
    history_stand_close(&s);
}

static void a_row_a_poll_brings_after_its_delete_is_shown_and_the_delete_is_not(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "after");
    struct tm_poll poll = { .grid_ms = history_org_ms(30),
                            .started_org_ms = history_org_ms(30),
                            .started_ns = history_wall_ns(30),
                            .finished_ns = history_wall_ns(30) + 40 * MS,
                            .seq_first = 2,
                            .seq_last = 5,
                            .object = s.object,
                            .mode = "incremental" };
    s.timing.kind = TM_PIPELINE_BATCH;
    s.timing.polls = &poll;
    s.timing.polls_count = 1;
    int64_t born = history_commit(s.org, 2, "CREATE", "", 29, ROW("b", "new", "2"));
    /* while the poll runs, on an index that lags */
    int64_t gone = history_commit(s.org, 2, "DELETE", "", 30.3, "{}");
    history_show(&s, 2, 30, 41, "b", "new", 2, 0, history_stamp(29), 0);
    history_match(&s);
    assert_int_equal(history_sample(&s, born)->flags,
                     TM_SAMPLE_OF | TM_SAMPLE_SEEN | TM_SAMPLE_EXACT);
    assert_int_equal(history_sample(&s, born)->work_ns, 41 * MS);
    assert_int_equal(history_sample(&s, gone)->flags, TM_SAMPLE_OF);
    assert_int_equal(s.match->time_travels, 0);
    assert_int_equal(history_final(&s, TM_ROW_PHANTOM, 0), 1);
    history_stand_close(&s);
}

/* One record of two changes: 10 to 20 two are not shown, the older 10 minutes old at the end; from
 * 30 to the end of the window at 60 the third, never shown. Looks cost nothing (an external
 * pipeline: org time of the look). In minutes. */
static void age_is_of_the_oldest_change_not_shown_and_weighs_by_record_or_by_change(void **state)
{
    const double minute_us = (double)HISTORY_MINUTE_MS * 1000;
    const double square = minute_us * minute_us;
    struct history_stand s;
    (void)state;
    start(&s, "age");
    s.timing.kind = TM_PIPELINE_EXTERNAL;
    history_commit(s.org, 2, "CREATE", NULL, -1, ROW("quiet", "new", "1"));
    history_show(&s, 2, 0, -100, "quiet", "new", 1, 0, history_stamp(-1), 0);
    history_commit(s.org, 1, "UPDATE", "", 10, "{\"Amount\":2}");
    history_commit(s.org, 1, "UPDATE", "", 12, "{\"Amount\":3}");
    history_commit(s.org, 1, "UPDATE", "", 30, "{\"Amount\":4}");
    history_show(&s, 1, 20, 0, "a", "new", 3, 0, history_stamp(12), 0);
    history_match(&s);
    const struct tm_match *m = s.match;
    assert_true(m->age_us2 > 499.999 * square && m->age_us2 < 500.001 * square); /* 50 + 450 */
    assert_int_equal(m->age_max_us, 30 * HISTORY_MINUTE_MS * 1000);
    assert_int_equal(m->record_us, 120 * HISTORY_MINUTE_MS * 1000);
    assert_int_equal(m->behind_us, (10 + 8 + 30) * HISTORY_MINUTE_MS * 1000);
    assert_int_equal(m->behind_time_us[0], (60 + 20) * HISTORY_MINUTE_MS * 1000);
    assert_int_equal(m->behind_time_us[1], (2 + 30) * HISTORY_MINUTE_MS * 1000);
    assert_int_equal(m->behind_time_us[2], 8 * HISTORY_MINUTE_MS * 1000);
    /* by change: three of the busy record, none of the quiet one */
    assert_true(m->read_age_us2 > 1499.99 * square && m->read_age_us2 < 1500.01 * square);
    assert_true(m->read_stale_us > 119.999 * minute_us && m->read_stale_us < 120.001 * minute_us);
    assert_true(m->read_us > 179.999 * minute_us && m->read_us < 180.001 * minute_us);
    history_stand_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_is_visible_at_the_first_read_that_returns_it),
        cmocka_unit_test(publish_delay_is_waited_and_the_rest_is_work),
        cmocka_unit_test(what_has_no_event_waits_for_a_copy_in_org_time),
        cmocka_unit_test(a_purge_of_a_deleted_record_needs_no_copy),
        cmocka_unit_test(a_version_jumped_over_is_superseded_and_its_state_lost),
        cmocka_unit_test(a_change_never_shown_is_censored),
        cmocka_unit_test(a_delete_is_visible_when_the_id_is_no_longer_returned),
        cmocka_unit_test(a_delete_passed_over_by_an_undelete_is_superseded),
        cmocka_unit_test(a_state_that_returns_is_told_from_the_first_by_the_looks_that_follow),
        cmocka_unit_test(a_state_that_returns_before_it_is_shown_has_a_lower_and_an_upper_bound),
        cmocka_unit_test(a_state_that_returns_and_stays_was_shown_when_the_display_became_so),
        cmocka_unit_test(a_create_and_delete_between_reads_are_coincident_at_the_delete),
        cmocka_unit_test(what_rides_on_a_display_is_not_visible_before_it),
        cmocka_unit_test(equal_states_give_a_lower_and_an_upper_bound),
        cmocka_unit_test(an_update_of_two_fields_is_shown_only_with_both),
        cmocka_unit_test(a_later_change_is_shown_though_an_older_one_is_missing),
        cmocka_unit_test(a_batch_waits_for_its_grid_point_and_works_from_there),
        cmocka_unit_test(going_back_in_time_is_counted),
        cmocka_unit_test(a_row_a_poll_brings_after_its_delete_is_shown_and_the_delete_is_not),
        cmocka_unit_test(age_is_of_the_oldest_change_not_shown_and_weighs_by_record_or_by_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
