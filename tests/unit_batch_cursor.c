/* unit_batch_cursor: where a poll begins, and what a nightly reload takes away: changes that a
 * careless cursor would step over. */
#include "support_batch.h"
#include "batch/plan.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* A row that commits while a poll runs is stamped before the poll's end, and seen by the next. */
static void a_change_while_a_poll_runs_comes_with_the_next(void **state)
{
    struct poll_world w;
    (void)state;
    poll_world_open(&w, 3);
    w.settings.advance = TM_BATCH_POLL_START;
    poll_start(&w);
    poll_settle(&w);
    poll_put(&w, 1, "early", 300);
    assert_int_equal(poll_at(&w, 10), TM_OK);
    poll_put(&w, 2, "second", 601);
    assert_int_equal(poll_at(&w, 20), TM_OK);
    assert_int_equal(poll_int(&w, "SELECT count(*) FROM Thing WHERE Name IN ('early','second')"),
                     2);
    poll_world_close(&w);
}

/* A mass system job moves SystemModstamp only; only a cursor on that one sees it. */
static void every_range_is_over_the_stamp_that_system_jobs_move_too(void **state)
{
    struct poll_world w;
    (void)state;
    poll_world_open(&w, 3);
    poll_start(&w);
    poll_settle(&w);
    assert_int_equal(poll_at(&w, 10), TM_OK);
    assert_non_null(strstr(w.org.last_soql, "SystemModstamp >"));
    assert_null(strstr(w.org.last_soql, "LastModifiedDate >"));
    poll_world_close(&w);
}

/* Purged from the recycle bin before any poll, and in no getDeleted: only a reload can tell. */
static void a_nightly_reload_takes_away_what_was_purged_unseen(void **state)
{
    struct poll_world w;
    (void)state;
    poll_world_open(&w, 3);
    w.settings.full_at_ms = 12 * 3600000LL;
    poll_start(&w);
    poll_settle(&w);
    poll_purge(&w, 2, 100, false);
    assert_int_equal(poll_at(&w, 10), TM_OK);
    assert_int_equal(poll_int(&w, "SELECT count(*) FROM Thing"), 3);
    assert_int_equal(poll_at(&w, 24 * 60), TM_OK);
    assert_int_equal(poll_int(&w, "SELECT count(*) FROM Thing"), 2);
    poll_world_close(&w);
}

static void with_deletes(struct poll_world *w)
{
    poll_world_open(w, 5);
    w->settings.query_all = true;
    w->settings.deletes = TM_BATCH_REMOVE;
    w->settings.get_deleted = true;
    w->settings.paging = TM_BATCH_KEYSET;
    w->settings.overlap_ms = 120000;
    poll_start(w);
    poll_settle(w);
}

/* Stamps are whole seconds: equal ones do not say which was first, and a query is asked anyway. */
static void a_record_changed_and_purged_in_one_second_is_found_gone(void **state)
{
    struct poll_world w;
    (void)state;
    with_deletes(&w);
    poll_put(&w, 2, "late", 30);
    assert_int_equal(poll_at(&w, 10), TM_OK);
    assert_int_equal(poll_int(&w, "SELECT count(*) FROM Thing WHERE Name = 'late'"), 1);
    poll_purge(&w, 2, 30, true);
    assert_int_equal(poll_at(&w, 20), TM_OK);
    assert_int_equal(poll_int(&w, "SELECT count(*) FROM Thing"), 4);
    poll_world_close(&w);
}

/* What the last list of deletes covered, less the overlap: neither later nor earlier. */
static void lists_of_deletes_follow_on_each_other_with_the_overlap(void **state)
{
    struct poll_world w;
    char begins[TM_TIME_BYTES + 8], from[TM_TIME_BYTES];
    (void)state;
    with_deletes(&w);
    assert_int_equal(poll_at(&w, 10), TM_OK);
    assert_int_equal(poll_at(&w, 20), TM_OK);
    snprintf(begins, sizeof begins, "start=%.16s",
             tm_time_z(from, POLL_ORIGIN_MS + 8 * POLL_MINUTE_MS));
    if (strstr(w.org.last_deleted, begins) == NULL)
        fail_msg("%s does not begin at %s", w.org.last_deleted, begins);
    poll_world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_while_a_poll_runs_comes_with_the_next),
        cmocka_unit_test(every_range_is_over_the_stamp_that_system_jobs_move_too),
        cmocka_unit_test(a_nightly_reload_takes_away_what_was_purged_unseen),
        cmocka_unit_test(a_record_changed_and_purged_in_one_second_is_found_gone),
        cmocka_unit_test(lists_of_deletes_follow_on_each_other_with_the_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
