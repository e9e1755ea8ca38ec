/* The sink when SQLite's file fails under it: the n-th write, sync, truncation, read or lock
 * answers "disk full", "I/O error" or "busy", for n = 1, 2, 3 … until a whole run fails nothing.
 * After each round the file is sound, holds no half batch, and a sink started again on it ends with
 * every record exactly once. */
#include "base/log.h"
#include "support_sink.h"
#include "support_vfs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROUNDS_MAX 2000

static void fill(struct ss_world *w)
{
    ss_schema(w, 1, "Id:string");
    ss_schema(w, 2, "Id:string,More:string");
    for (int i = 0; i < 8; i++)
        ss_produce(w, "a.b", i % 2, 1, (const char *const[]){ "one" });
    for (int i = 0; i < 4; i++)
        ss_produce(w, "a_b", i % 2, 2, (const char *const[]){ "two", "m" });
    ss_produce_bytes(w, "a.b", 0, "junk", 4);
}

/* What comes while the sink runs: columns of a table that is there already. */
static void fill_more(struct ss_world *w)
{
    for (int i = 0; i < 2; i++)
        ss_produce(w, "a.b", i, 2, (const char *const[]){ "one", "late" });
}

/* Whole batches or none: what the offsets say is what the tables hold. */
static void sound(struct ss_world *w)
{
    char text[64];
    ss_text(w, text, sizeof text, "PRAGMA integrity_check");
    assert_string_equal(text, "ok");
    int64_t rows = 0;
    for (int t = 0; t < 2; t++) {
        if (ss_int(w, t == 0 ? "SELECT count(*) FROM sqlite_master WHERE name='a.b'"
                             : "SELECT count(*) FROM sqlite_master WHERE name='a_b'") > 0)
            rows += ss_int(w, t == 0 ? "SELECT count(*) FROM \"a.b\"" : "SELECT count(*) FROM a_b");
    }
    rows += ss_int(w, "SELECT count(*) FROM _undecodable");
    assert_int_equal(ss_int(w, "SELECT coalesce(sum(next_offset),0) FROM _offsets"), rows);
}

static void every_record_once(struct ss_world *w)
{
    sound(w);
    assert_int_equal(ss_int(w, "SELECT count(*) FROM \"a.b\""), 10);
    assert_int_equal(ss_int(w, "SELECT count(*) FROM \"a.b\" WHERE More='late'"), 2);
    assert_int_equal(ss_int(w, "SELECT count(*) FROM a_b WHERE More='m'"), 4);
    assert_int_equal(ss_int(w, "SELECT count(*) FROM _undecodable"), 1);
}

/* One run with the fault at call `n`; true when something failed. */
static bool one_round(enum sv_fault kind, int n, int times, int code)
{
    struct ss_world w;
    struct tm_err err = { .code = TM_OK };
    ss_open(&w);
    fill(&w);
    support_vfs_arm(kind, n, times, code, NULL);
    enum tm_code rc = ss_start(&w, &err);
    if (rc == TM_OK)
        rc = ss_run(&w, &err);
    fill_more(&w);
    if (rc == TM_OK)
        rc = ss_run(&w, &err);
    bool hit = support_vfs_disarm();
    /* a fault may also hit where SQLite can do without */
    if (hit && rc != TM_OK) {
        assert_true(rc == TM_E_IO || rc == TM_E_NOMEM || strstr(err.msg, "cannot open") != NULL);
        assert_non_null(strstr(err.msg, "raw.db"));
    } else {
        assert_int_equal(rc, TM_OK);
    }
    ss_stop(&w);
    tm_err_clear(&err);
    assert_int_equal(ss_start(&w, &err), TM_OK);
    sound(&w);
    ss_run_ok(&w);
    every_record_once(&w);
    ss_close(&w);
    return hit;
}

static void rounds(enum sv_fault kind, int times, int code)
{
    int n = 0;
    while (n < ROUNDS_MAX && one_round(kind, n, times, code))
        n++;
    /* faults were met, and then none was left to meet */
    print_message("%d calls failed in turn\n", n);
    assert_true(n > 0 && n < ROUNDS_MAX);
}

static void a_disk_that_is_full_for_a_moment_loses_and_doubles_nothing(void **state)
{
    (void)state;
    rounds(SV_FAULT_WRITE, 1, SQLITE_FULL);
}

static void a_disk_that_stays_full_loses_and_doubles_nothing(void **state)
{
    (void)state;
    rounds(SV_FAULT_WRITE, SUPPORT_VFS_EVER, SQLITE_FULL);
}

static void an_io_error_at_any_write_loses_and_doubles_nothing(void **state)
{
    (void)state;
    rounds(SV_FAULT_WRITE, 1, SQLITE_IOERR_WRITE);
}

static void an_io_error_at_any_read_loses_and_doubles_nothing(void **state)
{
    (void)state;
    rounds(SV_FAULT_READ, 1, SQLITE_IOERR_READ);
}

/* The same sink, stepped again after its transaction failed: what it remembers of offsets and of
 * columns is what the file has. */
static void the_sink_that_failed_goes_on_from_where_the_file_is(void **state)
{
    int n = 0, failed = 0;
    bool hit = true;
    (void)state;
    for (; n < ROUNDS_MAX && hit; n++) {
        struct ss_world w;
        struct tm_err err = { .code = TM_OK };
        enum tm_code rc;
        ss_open(&w);
        fill(&w);
        assert_int_equal(ss_start(&w, &err), TM_OK);
        support_vfs_arm(SV_FAULT_WRITE, n, 1, SQLITE_FULL, NULL);
        for (int part = 0; part < 2; part++) {
            while ((rc = ss_run(&w, &err)) != TM_OK && failed++ < ROUNDS_MAX)
                tm_err_clear(&err);
            assert_int_equal(rc, TM_OK);
            if (part == 0)
                fill_more(&w);
        }
        hit = support_vfs_disarm();
        every_record_once(&w);
        ss_close(&w);
    }
    assert_true(failed > 0 && n < ROUNDS_MAX);
}

/* Busy is no failure: the same sink goes on by itself. */
static void busy_rounds(int times)
{
    int n = 0;
    bool hit = true;
    for (; n < ROUNDS_MAX && hit; n++) {
        struct ss_world w;
        struct tm_err err = { .code = TM_OK };
        ss_open(&w);
        fill(&w);
        assert_int_equal(ss_start(&w, &err), TM_OK);
        support_vfs_arm(SV_FAULT_LOCK, n, times, SQLITE_BUSY, NULL);
        ss_run_ok(&w);
        fill_more(&w);
        ss_run_ok(&w);
        hit = support_vfs_disarm();
        every_record_once(&w);
        ss_close(&w);
    }
    print_message("%d calls failed in turn\n", n - 1);
    assert_true(n > 1 && n < ROUNDS_MAX);
}

static void a_lock_that_is_held_for_a_moment_is_waited_for(void **state)
{
    (void)state;
    for (int times = 1; times <= 4; times++)
        busy_rounds(times);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_that_is_full_for_a_moment_loses_and_doubles_nothing),
        cmocka_unit_test(a_disk_that_stays_full_loses_and_doubles_nothing),
        cmocka_unit_test(an_io_error_at_any_write_loses_and_doubles_nothing),
        cmocka_unit_test(an_io_error_at_any_read_loses_and_doubles_nothing),
        cmocka_unit_test(the_sink_that_failed_goes_on_from_where_the_file_is),
        cmocka_unit_test(a_lock_that_is_held_for_a_moment_is_waited_for),
    };
    tm_log_init("fault_sink", TM_LOG_ERROR);
    return cmocka_run_group_tests(tests, support_vfs_install, support_vfs_remove);
}
