/* unit_batch: the polling baseline against a small org: what each setting shows, loses and
 * survives. */
#include "support_batch.h"
#include "base/sql.h"
#include "batch/plan.h"
#include "batch/store.h"
#include "mocks/salesforce/soql.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define WITH_WORLD(w, rows)                                                                        \
    struct poll_world w;                                                                           \
    poll_world_open(&w, rows)

/* The station starts and has loaded the org for the first time. */
static void load(struct poll_world *w)
{
    poll_start(w);
    assert_int_equal(poll_settle(w), TM_OK);
}

static int64_t things(struct poll_world *w, const char *where)
{
    char sql[300];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM Thing WHERE %s", where);
    return poll_int(w, sql);
}

static int64_t rows(struct poll_world *w)
{
    return poll_int(w, "SELECT count(*) FROM Thing");
}

static int64_t polls(struct poll_world *w, const char *where)
{
    char sql[300];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM _polls WHERE %s", where);
    return poll_int(w, sql);
}

static void put_many(struct poll_world *w, int rows, const char *name)
{
    for (int i = 1; i <= rows; i++)
        poll_put(w, i, name, i);
}

/* After `pass` data calls the org refuses the next `count`. */
static void refuse(struct poll_world *w, int pass, int count, int status, const char *code)
{
    w->org.fail_after = pass;
    w->org.fail_count = count;
    w->org.fail_status = status;
    w->org.fail_code = code;
}

/* The poll of this minute begins, and the process dies once `rows` rows of it have been loaded. */
static void crash_in_poll(struct poll_world *w, int64_t minutes, int rows)
{
    w->now.org_ms = POLL_ORIGIN_MS + minutes * POLL_MINUTE_MS;
    while (poll_int(w, "SELECT count(*) FROM _load_Thing") < rows)
        poll_step(w);
    poll_crash(w);
}

static void first_load_copies_the_org_and_notes_the_poll(void **state)
{
    (void)state;
    WITH_WORLD(w, 25);
    w.org.page_rows = 10;
    load(&w);
    assert_int_equal(things(&w, "_dirty = 0 AND Name = 'first' AND IsDeleted = 0"), 25);
    assert_int_equal(poll_int(&w, "SELECT count(DISTINCT _seq) FROM Thing"), 25);
    assert_int_equal(poll_int(&w, "SELECT max(SystemModstamp) FROM Thing"), POLL_ORIGIN_MS - 1000);
    assert_int_equal(poll_int(&w, "SELECT Amount * 10 FROM Thing WHERE Id LIKE '006000000000007%'"),
                     75);
    assert_int_equal(polls(&w,
                           "mode = 'initial' AND rows = 25 AND seq_first = 1"
                           " AND seq_last = 25 AND calls >= 4 AND bytes > 1000 AND skipped = 0"),
                     1);
    assert_int_equal(poll_int(&w, "SELECT count(*) FROM Thing_dirty"), 0);
    assert_int_equal(poll_int(&w, "SELECT count(*) FROM Thing_removed"), 0);
    assert_true(tm_batch_loaded(w.batch));
    poll_world_close(&w);
}

static void polls_start_on_the_grid_and_not_before(void **state)
{
    (void)state;
    WITH_WORLD(w, 3);
    load(&w);
    poll_put(&w, 2, "second", 30);
    assert_int_equal(poll_at(&w, 9), TM_OK);
    assert_int_equal(things(&w, "Name = 'second'"), 0);
    assert_int_equal(poll_at(&w, 10), TM_OK);
    assert_int_equal(things(&w, "Name = 'second'"), 1);
    assert_int_equal(poll_int(&w, "SELECT grid_org_ms FROM _polls WHERE mode = 'incremental'"),
                     POLL_ORIGIN_MS + 10 * POLL_MINUTE_MS);
    poll_world_close(&w);
}

static void only_rows_that_differ_get_a_new_seq(void **state)
{
    (void)state;
    WITH_WORLD(w, 10);
    w.settings.overlap_ms = 3600000; /* reads all ten again */
    load(&w);
    poll_put(&w, 4, "second", 30);
    poll_at(&w, 10);
    assert_int_equal(poll_int(&w, "SELECT rows FROM _polls WHERE mode = 'incremental'"), 10);
    assert_int_equal(things(&w, "_seq > 10"), 1);
    assert_int_equal(
        poll_int(&w, "SELECT seq_last - seq_first FROM _polls WHERE mode = 'incremental'"), 0);
    poll_at(&w, 20);
    assert_int_equal(polls(&w, "seq_last = seq_first - 1"), 1);
    poll_world_close(&w);
}

static void an_overrun_skips_grid_points_and_counts_them(void **state)
{
    (void)state;
    WITH_WORLD(w, 3);
    load(&w);
    w.now.org_ms = POLL_ORIGIN_MS + 10 * POLL_MINUTE_MS;
    for (int i = 0; i < 4; i++)
        assert_int_equal(poll_step(&w), TM_OK); /* the poll of minute 10 is under way … */
    w.now.org_ms = POLL_ORIGIN_MS + 35 * POLL_MINUTE_MS; /* … and ends after minutes 20 and 30 */
    poll_settle(&w);
    assert_int_equal(polls(&w, "mode = 'incremental'"), 1);
    poll_at(&w, 40);
    assert_int_equal(poll_int(&w, "SELECT skipped FROM _polls WHERE grid_org_ms = 1772440800000"),
                     2);
    assert_int_equal(tm_batch_counts(w.batch)->grid_skipped, 2);
    poll_world_close(&w);
}

/* Runs a poll whose pages hold two rows, over five rows of one second; how many of them arrive. */
static int64_t tied_rows_seen(enum tm_batch_paging paging, bool inclusive, uint64_t *out_failed,
                              char *notes)
{
    WITH_WORLD(w, 1);
    w.settings.paging = paging;
    w.settings.inclusive = inclusive;
    load(&w);
    w.settings.page_rows = 2;
    poll_put(&w, 10, "tie", 59);
    for (int i = 11; i <= 15; i++)
        poll_put(&w, i, "tie", 60);
    poll_put(&w, 16, "tie", 61);
    assert_int_equal(poll_at(&w, 10), TM_OK);
    int64_t seen = things(&w, "Name = 'tie'");
    *out_failed = tm_batch_counts(w.batch)->polls_failed;
    strcpy(notes, w.notes);
    poll_world_close(&w);
    return seen;
}

static void keyset_pages_lose_no_row_of_one_second(void **state)
{
    (void)state;
    uint64_t failed;
    char notes[4000];
    assert_int_equal(tied_rows_seen(TM_BATCH_KEYSET, true, &failed, notes), 7);
    assert_int_equal(failed, 0);
}

static void stamp_pages_with_greater_than_lose_rows_of_one_second(void **state)
{
    (void)state;
    uint64_t failed;
    char notes[4000];
    assert_true(tied_rows_seen(TM_BATCH_STAMP, false, &failed, notes) < 7);
    assert_int_equal(failed, 0); /* and nobody is told: that is the defect of such scripts */
}

static void stamp_pages_with_greater_or_equal_tell_that_they_are_stuck(void **state)
{
    (void)state;
    uint64_t failed;
    char notes[4000];
    assert_int_equal(tied_rows_seen(TM_BATCH_STAMP, true, &failed, notes), 0);
    assert_int_equal(failed, 1);
    assert_non_null(strstr(notes, "shares one SystemModstamp"));
}

static void a_crash_in_the_middle_of_a_poll_goes_on_at_its_page(void **state)
{
    (void)state;
    WITH_WORLD(w, 400);
    w.settings.paging = TM_BATCH_KEYSET;
    w.settings.page_rows = 50;
    w.settings.deletes = TM_BATCH_REMOVE;
    w.settings.query_all = true;
    poll_start(&w);
    while (poll_int(&w, "SELECT count(*) FROM sqlite_master WHERE name = '_load_Thing'") == 0 ||
           poll_int(&w, "SELECT count(*) FROM _load_Thing") < 200)
        assert_int_equal(poll_step(&w), TM_OK);
    assert_int_equal(rows(&w), 0); /* nothing half-visible */
    poll_crash(&w);
    unsigned calls = w.org.calls;
    load(&w);
    assert_int_equal(rows(&w), 400);
    assert_true(w.org.calls - calls <=
                1 + 4 + 1); /* a describe, the four pages left, and the empty last one */
    assert_int_equal(poll_int(&w, "SELECT rows FROM _polls"), 400);
    poll_world_close(&w);
}

static void a_crash_in_an_incremental_poll_keeps_its_grid_point(void **state)
{
    (void)state;
    WITH_WORLD(w, 5);
    w.settings.paging = TM_BATCH_KEYSET;
    w.settings.page_rows = 10;
    load(&w);
    put_many(&w, 60, "second");
    crash_in_poll(&w, 10, 30);
    load(&w);
    assert_int_equal(things(&w, "Name = 'second'"), 60);
    assert_int_equal(polls(&w, "mode = 'incremental' AND rows = 60 AND grid_org_ms ="
                               " 1772439000000"),
                     1);
    poll_at(&w, 20);
    assert_int_equal(poll_int(&w, "SELECT skipped FROM _polls ORDER BY poll DESC LIMIT 1"), 0);
    poll_world_close(&w);
}

static void a_crash_in_a_nightly_reload_reloads_again(void **state)
{
    (void)state;
    WITH_WORLD(w, 30);
    w.org.page_rows = 10;
    w.settings.full_at_ms = 8 * 3600000 + 5 * POLL_MINUTE_MS;
    w.settings.checkpoint = TM_BATCH_POLL;
    load(&w);
    poll_purge(&w, 2, 30, false);
    crash_in_poll(&w, 10, 20);
    load(&w);
    assert_int_equal(polls(&w, "mode = 'full' AND rows = 29"), 1);
    assert_int_equal(rows(&w), 29);
    poll_world_close(&w);
}

static void polls_leave_the_schema_alone_so_that_readers_keep_their_statements(void **state)
{
    (void)state;
    WITH_WORLD(w, 3);
    w.settings.query_all = true;
    w.settings.deletes = TM_BATCH_FLAG;
    load(&w);
    int64_t version = poll_int(&w, "PRAGMA schema_version");
    poll_put(&w, 2, "second", 30);
    poll_at(&w, 10);
    poll_at(&w, 20);
    assert_int_equal(poll_int(&w, "PRAGMA schema_version"), version);
    assert_int_equal(things(&w, "Name = 'second'"), 1);
    poll_world_close(&w);
}

static void a_full_reload_is_never_half_visible_to_another_reader(void **state)
{
    (void)state;
    WITH_WORLD(w, 300);
    w.settings.mode = TM_BATCH_FULL;
    w.settings.paging = TM_BATCH_KEYSET;
    w.settings.page_rows = 40;
    load(&w);
    for (int i = 1; i <= 300; i += 2)
        poll_put(&w, i, "second", 10);
    for (int i = 2; i <= 100; i += 2)
        poll_purge(&w, i, 10, false);
    w.now.org_ms = POLL_ORIGIN_MS + 10 * POLL_MINUTE_MS;
    int changes = 0;
    int64_t last = 300 * 1000;
    for (int i = 0; i < 200; i++) {
        assert_true(poll_step(&w) == TM_OK || i > 10);
        int64_t seen = poll_int(&w, "SELECT count(*) * 1000 + sum(Name = 'second') FROM Thing");
        changes += seen != last;
        last = seen;
    }
    assert_int_equal(last, 250 * 1000 + 150);
    assert_int_equal(changes, 1);
    assert_int_equal(poll_int(&w, "SELECT count(*) FROM Thing_removed"), 50);
    assert_int_equal(
        poll_int(&w, "SELECT seq_last - seq_first + 1 FROM _polls WHERE mode = 'full'"), 200);
    poll_world_close(&w);
}

static void query_never_shows_that_a_row_was_deleted(void **state)
{
    (void)state;
    WITH_WORLD(w, 3);
    w.settings.inclusive = false;
    load(&w);
    poll_delete(&w, 2, 30);
    poll_at(&w, 10);
    assert_int_equal(rows(&w), 3);
    poll_world_close(&w);
}

static void query_all_removes_deleted_rows_and_brings_undeleted_ones_back(void **state)
{
    (void)state;
    WITH_WORLD(w, 3);
    w.settings.query_all = true;
    w.settings.deletes = TM_BATCH_REMOVE;
    load(&w);
    poll_delete(&w, 2, 30);
    poll_at(&w, 10);
    assert_int_equal(rows(&w), 2);
    assert_int_equal(poll_int(&w, "SELECT _seq FROM Thing_removed"), 4);
    poll_put(&w, 2, "back", 700);
    poll_at(&w, 20);
    assert_int_equal(poll_int(&w, "SELECT _seq FROM Thing WHERE Name = 'back'"), 5);
    assert_int_equal(poll_int(&w, "SELECT count(*) FROM Thing_removed"), 0);
    poll_world_close(&w);
}

static void flagged_deletes_stay_in_a_column_and_leave_the_relation(void **state)
{
    (void)state;
    const char *const columns[] = { "_fivetran_deleted", "IsDeleted" };
    for (size_t i = 0; i < 2; i++) {
        char sql[200];
        WITH_WORLD(w, 3);
        w.settings.query_all = true;
        w.settings.deletes = TM_BATCH_FLAG;
        w.settings.flag_column = columns[i];
        load(&w);
        poll_delete(&w, 2, 30);
        poll_at(&w, 10);
        assert_int_equal(rows(&w), 2);
        assert_int_equal(poll_int(&w, "SELECT count(*) FROM Thing_removed"), 1);
        sqlite3_snprintf(sizeof sql, sql, "SELECT count(*) FROM _all_Thing WHERE %s = 1",
                         columns[i]);
        assert_int_equal(poll_int(&w, sql), 1);
        poll_put(&w, 2, "back", 700);
        poll_at(&w, 20);
        assert_int_equal(rows(&w), 3);
        assert_int_equal(poll_int(&w, "SELECT count(*) FROM Thing_removed"), 0);
        poll_world_close(&w);
    }
}

static void a_file_begun_with_other_deletes_is_refused_and_left_as_it_is(void **state)
{
    (void)state;
    static const struct {
        enum tm_batch_deletes deletes;
        const char *column, *told;
    } others[] = { { TM_BATCH_REMOVE, "_deleted", "say deleted rows gone" },
                   { TM_BATCH_FLAG, "_gone2", "say deletes=flag in _gone2" } };
    WITH_WORLD(w, 3);
    w.settings.query_all = true;
    w.settings.deletes = TM_BATCH_FLAG;
    load(&w);
    poll_crash(&w);
    for (size_t i = 0; i < 2; i++) {
        struct tm_store *store = NULL;
        struct tm_batch_settings other = w.settings;
        other.deletes = others[i].deletes;
        other.flag_column = others[i].column;
        struct tm_err err = { .code = TM_OK };
        assert_int_equal(tm_store_open(&store, w.path, &other, &err), TM_E_MISMATCH);
        assert_non_null(strstr(err.msg, w.path));
        assert_non_null(strstr(err.msg, "deletes=flag in _deleted"));
        assert_non_null(strstr(err.msg, others[i].told));
    }
    poll_start(&w);
    poll_delete(&w, 2, 30);
    poll_at(&w, 10);
    assert_int_equal(rows(&w), 2);
    poll_world_close(&w);
}

static void get_deleted_finds_hard_deletes_and_verifies_each(void **state)
{
    (void)state;
    WITH_WORLD(w, 5);
    w.settings.query_all = true;
    w.settings.deletes = TM_BATCH_REMOVE;
    w.settings.get_deleted = true;
    w.settings.paging = TM_BATCH_KEYSET;
    load(&w);
    poll_purge(&w, 2, 30, true);
    poll_purge(&w, 4, 31, true);
    poll_put(&w, 4, "back", 31); /* undeleted in the second it was deleted in */
    poll_at(&w, 10);
    assert_int_equal(rows(&w), 4);
    assert_int_equal(things(&w, "Name = 'back'"), 1);
    assert_int_equal(polls(&w, "mode = 'deleted' AND seq_last "
                               "= seq_first AND calls = 2"),
                     1);
    poll_world_close(&w);
}

static void a_nightly_reload_happens_once_a_day(void **state)
{
    (void)state;
    WITH_WORLD(w, 5);
    w.settings.full_at_ms = 8 * 3600000 + 25 * POLL_MINUTE_MS; /* 08:25 */
    load(&w);
    poll_purge(&w, 2, 30, false);
    poll_at(&w, 10);
    poll_at(&w, 20);
    assert_int_equal(rows(&w), 5);
    poll_at(&w, 30);
    assert_int_equal(rows(&w), 4);
    poll_at(&w, 40);
    assert_int_equal(polls(&w, "mode = 'full' AND grid_org_ms = 1772440200000"), 1);
    assert_int_equal(polls(&w, "mode = 'full'"), 1);
    poll_world_close(&w);
}

static void slices_read_from_the_start_date_and_nothing_older(void **state)
{
    (void)state;
    WITH_WORLD(w, 3);
    w.settings.slice_ms = 30 * TM_BATCH_DAY_MS;
    w.settings.start_ms = POLL_ORIGIN_MS - 100 * TM_BATCH_DAY_MS;
    w.settings.checkpoint = TM_BATCH_SLICE;
    poll_put(&w, 100, "old", -101 * 86400);
    poll_put(&w, 101, "edge", -70 * 86400);
    poll_put(&w, 102, "edge", -70 * 86400 - 1);
    load(&w);
    assert_int_equal(rows(&w), 5);
    assert_int_equal(things(&w, "Name = 'old'"), 0);
    assert_int_equal(poll_int(&w, "SELECT calls FROM _polls"),
                     1 + 1 + 4); /* sign-in, describe, four slices */
    poll_world_close(&w);
}

static void a_new_field_becomes_a_column_and_a_removed_one_stays(void **state)
{
    (void)state;
    WITH_WORLD(w, 3);
    load(&w);
    w.org.extra = true;
    sqlite3_exec(w.org.db,
                 "UPDATE Thing SET Extra__c = 'new', SystemModstamp = '2026-03-02T08:01:00.000Z'",
                 0, 0, 0);
    poll_at(&w, 10);
    assert_int_equal(things(&w, "Extra__c = 'new'"), 3);
    w.org.no_name = true;
    sqlite3_exec(w.org.db,
                 "UPDATE Thing SET Amount = 7, SystemModstamp = '2026-03-02T08:11:00.000Z'", 0, 0,
                 0);
    poll_at(&w, 20);
    assert_int_equal(things(&w, "Amount = 7 AND Name = 'first'"), 3);
    assert_int_equal(tm_batch_counts(w.batch)->polls_failed, 0);
    poll_world_close(&w);
}

static void a_field_removed_between_describe_and_query_costs_one_more_describe(void **state)
{
    (void)state;
    WITH_WORLD(w, 3);
    w.settings.describe_each_poll = false;
    load(&w);
    w.org.no_name = true;
    sqlite3_exec(w.org.db,
                 "UPDATE Thing SET Amount = 7, SystemModstamp = '2026-03-02T08:01:00.000Z'", 0, 0,
                 0);
    poll_at(&w, 10);
    assert_int_equal(things(&w, "Amount = 7"), 3);
    assert_int_equal(w.org.describes, 2);
    w.org.no_name = false;
    poll_world_close(&w);
}

static void a_query_that_never_fits_the_describe_fails_the_poll_only(void **state)
{
    (void)state;
    WITH_WORLD(w, 3);
    load(&w);
    w.org.no_name = w.org.describe_lags = true;
    assert_int_equal(poll_at(&w, 10), TM_OK);
    assert_int_equal(tm_batch_counts(w.batch)->polls_failed, 1);
    assert_non_null(strstr(w.notes, "INVALID_FIELD"));
    poll_world_close(&w);
}

static void a_failed_poll_leaves_everything_as_it_was_and_is_told(void **state)
{
    (void)state;
    WITH_WORLD(w, 30);
    w.settings.mode = TM_BATCH_FULL;
    w.org.page_rows = 10;
    load(&w);
    for (int i = 1; i <= 30; i++)
        poll_put(&w, i, "second", 10);
    w.org.fail_after = 3;    /* describe and two pages pass */
    w.org.fail_count = 1000; /* one would be got over */
    w.org.fail_status = 400;
    w.org.fail_code = "INVALID_QUERY_LOCATOR";
    assert_int_equal(poll_at(&w, 10), TM_OK);
    assert_int_equal(things(&w, "Name = 'first' AND _seq <= 30"), 30);
    assert_int_equal(poll_int(&w, "SELECT count(*) FROM _polls"), 1);
    assert_int_equal(
        poll_int(&w, "SELECT count(*) FROM _failures WHERE why LIKE '%INVALID_QUERY_LOCATOR%'"), 1);
    assert_non_null(strstr(w.notes, "what was there stays"));
    w.org.fail_after = -1;
    assert_int_equal(poll_at(&w, 20), TM_OK);
    assert_int_equal(things(&w, "Name = 'second'"), 30);
    assert_int_equal(poll_int(&w, "SELECT max(skipped) FROM _polls"), 0);
    poll_world_close(&w);
}

static void a_passing_error_is_retried_within_the_poll(void **state)
{
    (void)state;
    WITH_WORLD(w, 5);
    refuse(&w, 1, 2, 503, "SERVER_UNAVAILABLE");
    load(&w);
    assert_int_equal(rows(&w), 5);
    assert_int_equal(tm_batch_counts(w.batch)->polls_failed, 0);
    poll_world_close(&w);
}

static void lose_locators(struct poll_world *w, int after, int count)
{
    refuse(w, after, count, 400, "INVALID_QUERY_LOCATOR");
}

static void a_lost_locator_makes_a_whole_read_begin_again(void **state)
{
    (void)state;
    WITH_WORLD(w, 400);
    w.org.page_rows = 50;
    lose_locators(&w, 4, 1); /* describe, query and two pages pass */
    load(&w);
    assert_int_equal(rows(&w), 400);
    assert_int_equal(poll_int(&w, "SELECT rows FROM _polls"), 400);
    assert_int_equal(poll_int(&w, "SELECT calls FROM _polls"),
                     1 + 1 + 4 + 8); /* sign-in, describe; the read that was lost, the whole one */
    assert_non_null(strstr(w.notes, "no longer knows the query locator of Thing after 150 rows: "
                                    "reading it again"));
    poll_world_close(&w);
}

static void a_lost_locator_in_a_range_goes_on_at_its_page(void **state)
{
    (void)state;
    WITH_WORLD(w, 5);
    w.org.page_rows = 50;
    w.settings.inclusive = false; /* what shares a stamp with the last row is not lost either */
    load(&w);
    for (int i = 1; i <= 200; i++)
        poll_put(&w, i, "second", 1 + i / 70);
    lose_locators(&w, 4, 1);
    poll_at(&w, 10);
    assert_int_equal(things(&w, "Name = 'second'"), 200);
    assert_non_null(strstr(w.notes, "going on from its last page"));
    assert_non_null(strstr(w.org.last_soql, ">= 2026-03-02T08:00:03.000Z"));
    assert_int_equal(poll_int(&w, "SELECT count(*) FROM _failures"), 0);
    poll_world_close(&w);
}

static void locators_lost_again_and_again_fail_the_poll_only(void **state)
{
    (void)state;
    WITH_WORLD(w, 120);
    w.org.page_rows = 50;
    w.settings.checkpoint = TM_BATCH_POLL;
    load(&w);
    put_many(&w, 120, "second");
    w.settings.checkpoint = TM_BATCH_POLL;
    lose_locators(&w, 2, 1000);
    poll_at(&w, 10);
    assert_int_equal(things(&w, "Name = 'second'"), 0);
    assert_int_equal(poll_int(&w, "SELECT count(*) FROM _failures WHERE why LIKE "
                                  "'%INVALID_QUERY_LOCATOR%'"),
                     1);
    w.org.fail_after = -1;
    poll_at(&w, 20);
    assert_int_equal(things(&w, "Name = 'second'"), 120);
    poll_world_close(&w);
}

static void a_nightly_reload_that_failed_is_still_due_after_a_restart(void **state)
{
    (void)state;
    WITH_WORLD(w, 30);
    w.settings.full_at_ms = 8 * 3600000 + 5 * POLL_MINUTE_MS;
    load(&w);
    poll_purge(&w, 2, 30, false);
    refuse(&w, 1, 1000, 500, "UNKNOWN_EXCEPTION");
    poll_at(&w, 10);
    assert_int_equal(poll_int(&w, "SELECT count(*) FROM _failures WHERE mode = 'full'"), 1);
    assert_int_equal(rows(&w), 30);
    poll_crash(&w);
    w.org.fail_after = -1;
    poll_start(&w);
    poll_at(&w, 20);
    assert_int_equal(rows(&w), 29);
    assert_int_equal(polls(&w, "mode = 'full'"), 1);
    poll_at(&w, 30);
    assert_int_equal(polls(&w, "mode = 'full'"), 1);
    poll_world_close(&w);
}

static void a_poll_that_fell_due_while_the_station_was_down_starts_at_once(void **state)
{
    (void)state;
    WITH_WORLD(w, 5);
    load(&w);
    poll_put(&w, 1, "second", 60);
    poll_crash(&w);
    w.now.org_ms = POLL_ORIGIN_MS + 37 * POLL_MINUTE_MS;
    load(&w);
    assert_int_equal(things(&w, "Name = 'second'"), 1);
    assert_int_equal(poll_int(&w, "SELECT max(grid_org_ms) FROM _polls"),
                     POLL_ORIGIN_MS + 30 * POLL_MINUTE_MS);
    assert_int_equal(poll_int(&w, "SELECT skipped FROM _polls ORDER BY poll DESC LIMIT 1"), 2);
    poll_world_close(&w);
}

static void an_exhausted_quota_is_told_with_its_numbers(void **state)
{
    (void)state;
    WITH_WORLD(w, 5);
    load(&w);
    refuse(&w, 0, 1000, 403, "REQUEST_LIMIT_EXCEEDED");
    assert_int_equal(poll_at(&w, 10), TM_OK);
    assert_non_null(strstr(w.notes, "API quota is used up (90 of 100 calls"));
    assert_int_equal(tm_batch_counts(w.batch)->polls_failed, 1);
    poll_world_close(&w);
}

static void a_first_load_of_an_unknown_object_ends_the_station(void **state)
{
    (void)state;
    WITH_WORLD(w, 1);
    refuse(&w, 0, 1, 404, "NOT_FOUND");
    poll_start(&w);
    assert_int_equal(poll_settle(&w), TM_E_ARG);
    assert_non_null(strstr(w.err.msg, "no object \"Thing\""));
    poll_world_close(&w);
}

static void a_cursor_that_is_the_poll_start_loses_what_was_stamped_before_it_but_seen_later(
    void **state)
{
    (void)state;
    for (int overlap = 0; overlap < 2; overlap++) {
        WITH_WORLD(w, 1);
        w.settings.advance = TM_BATCH_POLL_START;
        w.settings.overlap_ms = overlap * 5 * POLL_MINUTE_MS;
        load(&w);
        poll_at(&w, 10);
        poll_put(&w, 7, "late",
                 9 * 60); /* stamped at minute 9, committed after the poll of minute 10 */
        poll_at(&w, 20);
        assert_int_equal(things(&w, "Name = 'late'"), overlap);
        poll_world_close(&w);
    }
}

static void formulas_are_left_out_when_the_preset_says_so(void **state)
{
    (void)state;
    WITH_WORLD(w, 2);
    w.settings.formulas = false;
    load(&w);
    assert_int_equal(
        poll_int(&w, "SELECT count(*) FROM pragma_table_info('Thing') WHERE name = 'Total'"), 0);
    assert_null(strstr(w.org.last_soql, "Total"));
    poll_world_close(&w);
}

static void grid_points_are_multiples_of_the_interval_also_before_1970(void **state)
{
    (void)state;
    assert_int_equal(tm_plan_grid_floor(100, 250), 200);
    assert_int_equal(tm_plan_grid_floor(100, 200), 200);
    assert_int_equal(tm_plan_grid_floor(100, -1), -100);
    assert_int_equal(tm_plan_grid_after(100, 200), 300);
    assert_true(tm_plan_full_due(50, 10, 60));
    assert_false(tm_plan_full_due(50, 50, 60));
    assert_false(tm_plan_full_due(-1, 0, 1000000000));
}

/* What the planner writes is what the mock's own grammar reads, in every mode and at
 * every place. */
static void every_query_a_preset_can_send_is_soql(void **state)
{
    (void)state;
    json_t *json = json_pack("{s:s, s:[{s:s,s:s},{s:s,s:s},{s:s,s:s}]}", "name", "Opportunity",
                             "fields", "name", "Id", "type", "id", "name", "Name", "type", "string",
                             "name", "SystemModstamp", "type", "datetime");
    struct tm_describe *d = NULL;
    struct tm_err err = { .code = TM_OK };
    assert_int_equal(tm_describe_parse(&d, json, &err), TM_OK);
    for (int i = 0; i < 3 * 2 * 2 * 2 * 2; i++) {
        struct tm_batch_settings s = { .paging = (enum tm_batch_paging)(i % 3),
                                       .inclusive = i / 3 % 2,
                                       .page_rows = 500,
                                       .formulas = true };
        struct tm_range range = { .whole = i / 6 % 2,
                                  .from_ms = POLL_ORIGIN_MS,
                                  .from_inclusive = s.inclusive,
                                  .until_ms = i / 12 % 2 ? POLL_ORIGIN_MS + 1000 : TM_NEVER };
        struct tm_place place = { .any = i / 24 % 2, .stamp_ms = POLL_ORIGIN_MS };
        struct tm_soql *q = NULL;
        struct tm_soql_error why = { "", "" };
        struct tm_buf soql;
        poll_id(place.id, 7);
        tm_buf_init(&soql, 100000);
        assert_int_equal(tm_plan_soql(&soql, &s, d, &range, &place, &err), TM_OK);
        if (tm_soql_parse(&q, tm_buf_text(&soql), &why, &err) != TM_OK)
            fail_msg("%s: %s", tm_buf_text(&soql), why.message);
        assert_int_equal(q->items_count, 3);
        assert_int_equal(tm_soql_range_read(q), !range.whole);
        assert_int_equal(q->limit, tm_plan_pages_by_limit(&s, &range) ? 500 : -1);
        tm_soql_close(q);
        tm_buf_free(&soql);
    }
    tm_describe_close(d);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_load_copies_the_org_and_notes_the_poll),
        cmocka_unit_test(polls_start_on_the_grid_and_not_before),
        cmocka_unit_test(only_rows_that_differ_get_a_new_seq),
        cmocka_unit_test(an_overrun_skips_grid_points_and_counts_them),
        cmocka_unit_test(keyset_pages_lose_no_row_of_one_second),
        cmocka_unit_test(stamp_pages_with_greater_than_lose_rows_of_one_second),
        cmocka_unit_test(stamp_pages_with_greater_or_equal_tell_that_they_are_stuck),
        cmocka_unit_test(a_crash_in_the_middle_of_a_poll_goes_on_at_its_page),
        cmocka_unit_test(a_crash_in_an_incremental_poll_keeps_its_grid_point),
        cmocka_unit_test(a_crash_in_a_nightly_reload_reloads_again),
        cmocka_unit_test(polls_leave_the_schema_alone_so_that_readers_keep_their_statements),
        cmocka_unit_test(a_full_reload_is_never_half_visible_to_another_reader),
        cmocka_unit_test(query_never_shows_that_a_row_was_deleted),
        cmocka_unit_test(query_all_removes_deleted_rows_and_brings_undeleted_ones_back),
        cmocka_unit_test(flagged_deletes_stay_in_a_column_and_leave_the_relation),
        cmocka_unit_test(a_file_begun_with_other_deletes_is_refused_and_left_as_it_is),
        cmocka_unit_test(get_deleted_finds_hard_deletes_and_verifies_each),
        cmocka_unit_test(a_nightly_reload_happens_once_a_day),
        cmocka_unit_test(slices_read_from_the_start_date_and_nothing_older),
        cmocka_unit_test(a_new_field_becomes_a_column_and_a_removed_one_stays),
        cmocka_unit_test(a_field_removed_between_describe_and_query_costs_one_more_describe),
        cmocka_unit_test(a_query_that_never_fits_the_describe_fails_the_poll_only),
        cmocka_unit_test(a_failed_poll_leaves_everything_as_it_was_and_is_told),
        cmocka_unit_test(a_passing_error_is_retried_within_the_poll),
        cmocka_unit_test(a_lost_locator_makes_a_whole_read_begin_again),
        cmocka_unit_test(a_lost_locator_in_a_range_goes_on_at_its_page),
        cmocka_unit_test(locators_lost_again_and_again_fail_the_poll_only),
        cmocka_unit_test(a_nightly_reload_that_failed_is_still_due_after_a_restart),
        cmocka_unit_test(a_poll_that_fell_due_while_the_station_was_down_starts_at_once),
        cmocka_unit_test(an_exhausted_quota_is_told_with_its_numbers),
        cmocka_unit_test(a_first_load_of_an_unknown_object_ends_the_station),
        cmocka_unit_test(
            a_cursor_that_is_the_poll_start_loses_what_was_stamped_before_it_but_seen_later),
        cmocka_unit_test(formulas_are_left_out_when_the_preset_says_so),
        cmocka_unit_test(every_query_a_preset_can_send_is_soql),
        cmocka_unit_test(grid_points_are_multiples_of_the_interval_also_before_1970),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
