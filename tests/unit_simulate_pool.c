/* The pool of connections (simulate/pool.h): what ran before a world decides nothing in it. */
#include "base/log.h"
#include "simulate/pool.h"
#include "simulate/simulate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS 24 /* among them some whose history changes fields, or has two objects */

static sqlite3 *opened(const char *path, enum tm_sql_mode mode)
{
    struct tm_err err = { .code = TM_OK };
    sqlite3 *db = NULL;
    assert_int_equal(tm_sql_open(&db, path, mode, &err), TM_OK);
    return db;
}

static void done(sqlite3 *db, const char *sql)
{
    struct tm_err err = { .code = TM_OK };
    enum tm_code rc = tm_sql_exec(db, sql, &err);
    if (rc != TM_OK)
        print_message("%s: %s\n", sql, err.msg);
    assert_int_equal(rc, TM_OK);
}

static int64_t number(sqlite3 *db, const char *sql)
{
    struct tm_err err = { .code = TM_OK };
    int64_t out = -1;
    assert_int_equal(tm_sql_int64(&out, db, sql, &err), TM_OK);
    return out;
}

/* ---- histories ---- */

static uint64_t digest(const char *dir, uint64_t seed)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_sim_options options = { .dir = dir };
    struct tm_sim_result r;
    assert_int_equal(tm_simulate(&r, seed, &options, &err), TM_OK);
    assert_false(r.finding.found);
    return r.digest;
}

static void a_seed_alone_after_others_and_in_reverse_order_is_the_same_run(void **state)
{
    char dir[TM_SIM_PATH_BYTES];
    struct tm_err err = { .code = TM_OK };
    uint64_t alone[SEEDS];
    (void)state;
    for (uint64_t i = 0; i < SEEDS; i++) { /* a folder of its own: nothing is at rest for it */
        assert_int_equal(tm_sim_scratch_make(dir, &err), TM_OK);
        alone[i] = digest(dir, i + 1);
        tm_sim_scratch_remove(dir);
    }
    assert_int_equal(tm_sim_scratch_make(dir, &err), TM_OK);
    for (uint64_t i = 0; i < SEEDS; i++)
        assert_int_equal(digest(dir, i + 1), alone[i]);
    for (uint64_t i = SEEDS; i-- > 0;)
        assert_int_equal(digest(dir, i + 1), alone[i]);
    tm_sim_scratch_remove(dir);
}

/* ---- the pool itself ---- */

/* What a named database in memory is opened by. */
static sqlite3_vfs *usual;

static void begin(size_t objects)
{
    usual = sqlite3_vfs_find(NULL);
    sqlite3_vfs_register(sqlite3_vfs_find("memdb"), 1);
    tm_sim_pool_begin("/pool", objects);
}

static void end(void)
{
    tm_sim_pool_closing();
    tm_sim_pool_end();
    sqlite3_vfs_register(usual, 1);
}

static void a_crash_leaves_what_was_committed_and_nothing_else(void **state)
{
    (void)state;
    begin(1);
    sqlite3_stmt *left = NULL;
    sqlite3 *db = opened("/pool/raw.db", TM_SQL_CREATE);
    done(db, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    done(db, "BEGIN; INSERT INTO t VALUES(2); CREATE TABLE u(a)");
    assert_int_equal(tm_sql_prepare(&left, db, "SELECT a FROM t", NULL), TM_OK);
    assert_int_equal(sqlite3_step(left), SQLITE_ROW);
    tm_sql_close(db);
    db = opened("/pool/raw.db", TM_SQL_CREATE);
    assert_int_equal(sqlite3_get_autocommit(db), 1);
    assert_int_equal(number(db, "SELECT sum(a) FROM t"), 1);
    assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema"), 1);
    done(db, "CREATE TEMP TABLE v(a)");
    tm_sql_close(db);
    db = opened("/pool/raw.db", TM_SQL_CREATE);
    assert_int_equal(number(db, "SELECT count(*) FROM sqlite_temp_schema"), 0);
    assert_int_equal(number(db, "SELECT sum(a) FROM t"), 1);
    tm_sql_close(db);
    end();
}

static void a_reader_is_never_handed_a_writers_connection(void **state)
{
    (void)state;
    begin(1);
    sqlite3 *writer = opened("/pool/raw.db", TM_SQL_CREATE);
    done(writer, "CREATE TABLE t(a)");
    tm_sql_close(writer);
    sqlite3 *reader = opened("/pool/raw.db", TM_SQL_READ);
    assert_ptr_not_equal(reader, writer);
    assert_int_equal(tm_sql_exec(reader, "INSERT INTO t VALUES(1)", NULL), TM_E_IO);
    tm_sql_close(reader);
    end();
}

static void a_world_begins_without_the_databases_of_the_one_before(void **state)
{
    (void)state;
    begin(1);
    sqlite3 *db = opened("/pool/raw.db", TM_SQL_CREATE);
    done(db, "CREATE TABLE t(a)");
    tm_sql_close(db);
    end();
    begin(1);
    db = opened("/pool/raw.db", TM_SQL_CREATE);
    assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema"), 0);
    tm_sql_close(db);
    end();
}

static sqlite3 *org(size_t objects)
{
    begin(objects);
    tm_sim_pool_org();
    return opened(":memory:", TM_SQL_CREATE);
}

static void left(sqlite3 *db)
{
    tm_sql_close(db);
    end();
}

static void an_org_is_emptied_and_handed_out_to_worlds_of_as_many_objects(void **state)
{
    (void)state;
    sqlite3 *first = org(1);
    done(first, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
    assert_int_equal(tm_sim_pool_settled(first, NULL), TM_OK);
    done(first, "INSERT INTO t(b) VALUES(7),(8)");
    left(first);
    sqlite3 *other = org(2);
    assert_ptr_not_equal(other, first);
    assert_int_equal(number(other, "SELECT count(*) FROM sqlite_schema"), 0);
    left(other);
    sqlite3 *again = org(1);
    assert_ptr_equal(again, first);
    done(again, "INSERT INTO t(b) VALUES(9)");
    assert_int_equal(number(again, "SELECT a*10+b FROM t"), 19);
    left(again);
}

static void an_org_whose_tables_changed_or_with_temporary_ones_is_not_handed_out(void **state)
{
    (void)state;
    static const char *const changes[] = { "ALTER TABLE t ADD COLUMN c",
                                           "CREATE TEMP TABLE lag(a)" };
    for (size_t i = 0; i < 2; i++) {
        sqlite3 *db = org(1);
        done(db, "CREATE TABLE IF NOT EXISTS t(a)");
        assert_int_equal(tm_sim_pool_settled(db, NULL), TM_OK);
        done(db, changes[i]);
        left(db);
        db = org(1);
        assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema"), 0);
        left(db);
    }
}

static void other_databases_in_memory_are_not_the_pools(void **state)
{
    (void)state;
    begin(1);
    tm_sim_pool_org();
    sqlite3 *db = opened(":memory:", TM_SQL_CREATE), *own = opened(":memory:", TM_SQL_CREATE);
    done(own, "CREATE TABLE mine(a)");
    tm_sql_close(own);
    sqlite3 *next = opened(":memory:", TM_SQL_CREATE);
    assert_int_equal(number(next, "SELECT count(*) FROM sqlite_schema"), 0);
    tm_sql_close(next);
    left(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_leaves_what_was_committed_and_nothing_else),
        cmocka_unit_test(a_reader_is_never_handed_a_writers_connection),
        cmocka_unit_test(a_world_begins_without_the_databases_of_the_one_before),
        cmocka_unit_test(an_org_is_emptied_and_handed_out_to_worlds_of_as_many_objects),
        cmocka_unit_test(an_org_whose_tables_changed_or_with_temporary_ones_is_not_handed_out),
        cmocka_unit_test(other_databases_in_memory_are_not_the_pools),
        cmocka_unit_test(a_seed_alone_after_others_and_in_reverse_order_is_the_same_run),
    };
    tm_log_init("unit_simulate_pool", TM_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
