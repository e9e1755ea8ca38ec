/* Option 2 when a file fails under it: the n-th write, read or lock of view.db or raw.db answers
 * "disk full", "I/O error" or "busy", for n = 1, 2, 3 … until a whole run fails nothing. A failure
 * is a crash: the station is opened again on what is durable. Busy is no failure: it goes on by
 * itself. After each round both options show the same. */
#include "base/log.h"
#include "support_vfs.h"
#include "support_view.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROUNDS_MAX 4000
#define STEPS_MAX 400
#define IDLE_STEPS 6 /* busy looks idle for one */
#define E(...) sv_event(w, &(struct sv_event){ __VA_ARGS__ })
#define ANSWER(...) sv_answer(w, &(struct sv_answer){ __VA_ARGS__ })
#define VALUES(a, b, c) .values = { a, b, c }

static void first_rows(struct sv_world *w)
{
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    E(.replay_id = 2, .type = "UPDATE", .own = "b", .changed = "[\"A\"]", VALUES("2", NULL, NULL));
    E(.replay_id = 3, .type = "GAP_UPDATE", .own = "a");
    ANSWER(.kind = "image", .g = 2, .seq = 1, .read_id = "w", .read_kind = "whole", .id = "c",
           VALUES("9", "9", "9"));
    ANSWER(.kind = "end", .g = 2, .seq = 1, .read_id = "w", .read_kind = "whole", .count = 1,
           .partitions = 1);
}

/* What comes while the station runs, with a column that was not there. */
static void more_rows(struct sv_world *w)
{
    sv_sql(w->raw, "ALTER TABLE sfdc_cdc_thing_raw ADD COLUMN Late__c TEXT");
    E(.replay_id = 4, .type = "UPDATE", .own = "a", .changed = "[\"B\"]", VALUES(NULL, "4", NULL));
    E(.replay_id = 5, .type = "DELETE", .own = "c");
    E(.replay_id = 6, .type = "GAP_OVERFLOW", .own = "000000000000000AAA");
}

static enum tm_code drive(struct sv_world *w, struct tm_err *err)
{
    for (int idle = 0, step = 0; idle < IDLE_STEPS && step < STEPS_MAX; step++) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        w->wall_ns += 10 * TM_NS_PER_MS;
        enum tm_code rc = tm_view_step(w->view, &(struct tm_now){ 0, w->wall_ns }, &wake, err);
        if (rc != TM_OK && rc != TM_E_AGAIN)
            return rc;
        idle = rc == TM_OK ? 0 : idle + 1;
    }
    return TM_OK;
}

static void both_show_the_same(struct sv_world *w)
{
    char *one = sv_dump(w->raw), *two;
    struct tm_err err = { .code = TM_OK };
    if (drive(w, &err) != TM_OK)
        fail_msg("%s", err.msg);
    two = sv_dump(w->db);
    assert_string_equal(one, two);
    free(one);
    free(two);
}

static bool one_round(enum sv_fault kind, int n, int times, int code, const char *only)
{
    struct sv_world w;
    struct tm_err err = { .code = TM_OK };
    sv_open(&w);
    first_rows(&w);
    support_vfs_arm(kind, n, times, code, only);
    enum tm_code rc = drive(&w, &err);
    if (rc == TM_OK) {
        support_vfs_pause(true); /* the other process has no faults */
        more_rows(&w);
        support_vfs_pause(false);
        rc = drive(&w, &err);
    }
    bool hit = support_vfs_disarm();
    if (rc != TM_OK) {
        assert_true(hit && code != SQLITE_BUSY);
        assert_true(rc == TM_E_IO || rc == TM_E_NOMEM);
        assert_non_null(strstr(err.msg, ".db"));
        sv_restart(&w);
    }
    both_show_the_same(&w);
    sv_close(&w);
    return hit;
}

static void rounds(enum sv_fault kind, int times, int code, const char *only)
{
    int n = 0;
    while (n < ROUNDS_MAX && one_round(kind, n, times, code, only))
        n++;
    print_message("%d calls failed in turn\n", n);
    assert_true(n > 0 && n < ROUNDS_MAX);
}

static void a_disk_that_is_full_for_a_moment_changes_nothing_in_the_end(void **state)
{
    (void)state;
    rounds(SV_FAULT_WRITE, 1, SQLITE_FULL, "view.db");
}

static void a_disk_that_stays_full_changes_nothing_in_the_end(void **state)
{
    (void)state;
    rounds(SV_FAULT_WRITE, SUPPORT_VFS_EVER, SQLITE_FULL, "view.db");
}

static void an_io_error_at_any_write_changes_nothing_in_the_end(void **state)
{
    (void)state;
    rounds(SV_FAULT_WRITE, 1, SQLITE_IOERR_WRITE, "view.db");
}

static void an_io_error_at_any_read_of_the_raw_tables_changes_nothing_in_the_end(void **state)
{
    (void)state;
    rounds(SV_FAULT_READ, 1, SQLITE_IOERR_READ, "raw.db");
}

static void a_lock_of_view_db_that_is_held_for_a_moment_is_waited_for(void **state)
{
    (void)state;
    for (int times = 1; times <= 4; times++)
        rounds(SV_FAULT_LOCK, times, SQLITE_BUSY, "view.db");
}

static void a_lock_of_raw_db_that_is_held_for_a_moment_is_waited_for(void **state)
{
    (void)state;
    for (int times = 1; times <= 4; times++)
        rounds(SV_FAULT_LOCK, times, SQLITE_BUSY, "raw.db");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_that_is_full_for_a_moment_changes_nothing_in_the_end),
        cmocka_unit_test(a_disk_that_stays_full_changes_nothing_in_the_end),
        cmocka_unit_test(an_io_error_at_any_write_changes_nothing_in_the_end),
        cmocka_unit_test(an_io_error_at_any_read_of_the_raw_tables_changes_nothing_in_the_end),
        cmocka_unit_test(a_lock_of_view_db_that_is_held_for_a_moment_is_waited_for),
        cmocka_unit_test(a_lock_of_raw_db_that_is_held_for_a_moment_is_waited_for),
    };
    tm_log_init("fault_view", TM_LOG_ERROR);
    return cmocka_run_group_tests(tests, support_vfs_install, support_vfs_remove);
}
