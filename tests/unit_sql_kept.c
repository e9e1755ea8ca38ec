/* Statements that a connection keeps once they are done with (base/sql_kept.h). */
#include "base/sql.h"
#include "base/sql_kept.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct tm_err err;

static sqlite3 *opened(void)
{
    sqlite3 *db = NULL;
    tm_err_clear(&err);
    assert_int_equal(tm_sql_open(&db, ":memory:", TM_SQL_CREATE, &err), TM_OK);
    assert_int_equal(tm_sql_exec(db, "CREATE TABLE t(a, b)", &err), TM_OK);
    assert_int_equal(tm_sql_exec(db, "INSERT INTO t VALUES(1, 'one'), (2, 'two')", &err), TM_OK);
    return db;
}

static sqlite3_stmt *prepared(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    assert_int_equal(tm_sql_prepare(&s, db, sql, &err), TM_OK);
    return s;
}

static void a_statement_that_is_done_with_is_handed_out_again_without_its_row_and_bindings(
    void **state)
{
    static const char sql[] = "SELECT b FROM t WHERE a = ?1";
    sqlite3 *db = opened();
    bool row = false;
    (void)state;
    sqlite3_stmt *first = prepared(db, sql), *beside = prepared(db, sql);
    assert_ptr_not_equal(first, beside); /* what is in use is nobody else's */
    sqlite3_bind_int(first, 1, 2);
    assert_int_equal(tm_sql_step(first, &row, &err), TM_OK);
    assert_true(row);
    tm_sql_finalize(first);
    sqlite3_stmt *again = prepared(db, sql);
    assert_ptr_equal(again, first);
    assert_false(sqlite3_stmt_busy(again));
    assert_int_equal(tm_sql_step(again, &row, &err), TM_OK);
    assert_false(row); /* a = NULL: the 2 is gone */
    tm_sql_finalize(again);
    tm_sql_finalize(beside);
    tm_sql_finalize(NULL);
    tm_sql_close(db);
}

static void a_kept_statement_does_not_hold_a_transaction_open(void **state)
{
    sqlite3 *db = opened();
    bool row = false;
    (void)state;
    sqlite3_stmt *s = prepared(db, "SELECT a FROM t");
    assert_int_equal(tm_sql_step(s, &row, &err), TM_OK);
    tm_sql_finalize(s);
    assert_int_equal(tm_sql_exec(db, "DROP TABLE t", &err), TM_OK); /* locked, if one were open */
    tm_sql_close(db);
}

static void a_kept_statement_sees_the_schema_as_it_is_when_it_runs(void **state)
{
    sqlite3 *db = opened();
    bool row = false;
    (void)state;
    tm_sql_finalize(prepared(db, "INSERT INTO t SELECT 3, 'three'"));
    tm_sql_finalize(prepared(db, "SELECT * FROM t"));
    tm_sql_finalize(prepared(db, "SELECT count(*) FROM pragma_table_info('t')"));
    assert_int_equal(tm_sql_exec(db, "ALTER TABLE t ADD COLUMN c DEFAULT 'new'", &err), TM_OK);
    sqlite3_stmt *s = prepared(db, "SELECT * FROM t");
    assert_int_equal(sqlite3_column_count(s), 3); /* before it is stepped */
    tm_sql_finalize(s);
    s = prepared(db, "SELECT count(*) FROM pragma_table_info('t')");
    assert_int_equal(tm_sql_step(s, &row, &err), TM_OK);
    assert_int_equal(sqlite3_column_int(s, 0), 3);
    tm_sql_finalize(s);
    assert_int_equal(tm_sql_exec(db, "DROP TABLE t", &err), TM_OK);
    s = prepared(db, "INSERT INTO t SELECT 3, 'three'");
    assert_int_equal(tm_sql_run(s, &err), TM_E_IO); /* no such table */
    tm_sql_finalize(s);
    tm_sql_close(db);
}

static void a_new_connection_has_none_of_those_of_the_one_before(void **state)
{
    sqlite3 *db = opened();
    (void)state;
    tm_sql_finalize(prepared(db, "SELECT a FROM t"));
    tm_sql_close(db);
    db = opened();
    assert_null(tm_sql_kept_take(db, "SELECT a FROM t"));
    tm_sql_close(db);
}

static void no_more_are_kept_than_the_limit_and_the_oldest_goes(void **state)
{
    sqlite3 *db = opened();
    char sql[64];
    int there = 0;
    (void)state;
    for (int i = 0; i <= TM_SQL_KEPT_MAX; i++) {
        snprintf(sql, sizeof sql, "SELECT %d FROM t WHERE a = a", i);
        tm_sql_finalize(prepared(db, sql));
    }
    for (sqlite3_stmt *s = NULL; (s = sqlite3_next_stmt(db, s)) != NULL;)
        there += strstr(sqlite3_sql(s), "a = a") != NULL;
    assert_int_equal(there, TM_SQL_KEPT_MAX);
    assert_null(tm_sql_kept_take(db, "SELECT 0 FROM t WHERE a = a"));
    sqlite3_stmt *last = tm_sql_kept_take(db, sql);
    assert_non_null(last);
    sqlite3_finalize(last);
    tm_sql_close(db);
}

static void a_short_statement_that_fails_says_why_and_runs_once(void **state)
{
    sqlite3 *db = opened();
    (void)state;
    for (int i = 0; i < 2; i++) {
        tm_err_clear(&err);
        assert_int_equal(tm_sql_exec(db, "COMMIT", &err), TM_E_IO);
        assert_non_null(strstr(err.msg, "no transaction is active"));
        assert_int_equal(tm_sql_exec(db, "BEGIN IMMEDIATE", &err), TM_OK);
        assert_int_equal(tm_sql_exec(db, "INSERT INTO t VALUES(9,9)", &err), TM_OK);
        assert_int_equal(tm_sql_exec(db, "COMMIT", &err), TM_OK);
    }
    int64_t nines = 0;
    assert_int_equal(tm_sql_int64(&nines, db, "SELECT count(*) FROM t WHERE a=9", &err), TM_OK);
    assert_int_equal(nines, 2);
    tm_sql_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_statement_that_is_done_with_is_handed_out_again_without_its_row_and_bindings),
        cmocka_unit_test(a_kept_statement_does_not_hold_a_transaction_open),
        cmocka_unit_test(a_kept_statement_sees_the_schema_as_it_is_when_it_runs),
        cmocka_unit_test(a_new_connection_has_none_of_those_of_the_one_before),
        cmocka_unit_test(no_more_are_kept_than_the_limit_and_the_oldest_goes),
        cmocka_unit_test(a_short_statement_that_fails_says_why_and_runs_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
