/* What the checker learns of planted faults: from a table it did not write. */
#include "check/planted.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static sqlite3 *table(const char *rows)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    if (rows != NULL)
        assert_int_equal(tm_sql_execf(db, NULL,
                                      "CREATE TABLE fault(n INTEGER PRIMARY KEY, what TEXT, org_ms "
                                      "INTEGER, until_ms INTEGER); %s",
                                      rows),
                         TM_OK);
    return db;
}

static bool strikes(const char *rows, int64_t org_ms, int64_t intended_ms, int64_t lag_ms)
{
    struct tm_planted p;
    sqlite3 *db = table(rows);
    assert_int_equal(tm_planted_read(&p, db, NULL), TM_OK);
    bool struck = tm_planted_strikes(&p, org_ms, intended_ms, lag_ms);
    tm_planted_free(&p);
    tm_sql_close(db);
    return struck;
}

static void a_file_without_the_table_has_no_faults(void **state)
{
    (void)state;
    assert_false(strikes(NULL, 5, 5, 0));
    assert_false(strikes("", 5, 5, 0));
}

static void rows_are_late_from_V_before_the_time_begins_until_it_ends(void **state)
{
    static const char rows[] =
        "INSERT INTO fault(what,org_ms,until_ms) VALUES('late_rows',100,200)";
    (void)state;
    assert_false(strikes(rows, 89, 89, 10));
    assert_true(strikes(rows, 90, 90, 10)); /* not visible yet when the index stops */
    assert_true(strikes(rows, 199, 199, 10));
    assert_false(strikes(rows, 200, 200, 10));
}

static void late_rows_without_an_end_have_none(void **state)
{
    (void)state;
    assert_true(strikes("INSERT INTO fault(what,org_ms,until_ms) VALUES('late_rows',100,NULL)",
                        INT64_MAX / 2, 0, 0));
}

static void a_held_commit_is_known_by_its_intended_instant(void **state)
{
    static const char rows[] =
        "INSERT INTO fault(what,org_ms,until_ms) VALUES('held_transactions',10,900),"
        "('held_transactions',20,400),('held_transactions',30,700),('slow',1,500)";
    (void)state;
    assert_true(strikes(rows, 405, 400, 0));
    assert_true(strikes(rows, 700, 700, 0));
    assert_true(strikes(rows, 900, 900, 0));
    assert_false(strikes(rows, 400, 401, 0));
    assert_false(strikes(rows, 500, 500, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_without_the_table_has_no_faults),
        cmocka_unit_test(rows_are_late_from_V_before_the_time_begins_until_it_ends),
        cmocka_unit_test(late_rows_without_an_end_have_none),
        cmocka_unit_test(a_held_commit_is_known_by_its_intended_instant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
