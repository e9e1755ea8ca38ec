/* Option 1 as SQL text: tables that are not there yet, retyped columns, names that want quoting,
 * and that a reader needs nothing but the database file. */
#include "view/sql.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define HEADER(type, changed)                                                                      \
    "'{\"recordIds\":[\"a\"],\"changeType\":\"" type "\",\"changedFields\":" changed "}'"

static sqlite3 *fresh(const char *sql)
{
    struct tm_err err = { .code = TM_OK };
    sqlite3 *db = NULL;
    assert_int_equal(tm_sql_open(&db, ":memory:", TM_SQL_CREATE, &err), TM_OK);
    if (tm_sql_exec(db, sql, &err) != TM_OK)
        fail_msg("%s", err.msg);
    return db;
}

static void install(sqlite3 *db, const char *object)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_buf b;
    tm_buf_init(&b, TM_VIEW_SQL_BYTES_MAX);
    if (tm_view_sql_for(db, object, &b, &err) != TM_OK ||
        tm_sql_exec(db, tm_buf_text(&b), &err) != TM_OK)
        fail_msg("%s", err.msg);
    tm_buf_free(&b);
}

static void expect(sqlite3 *db, const char *sql, const char *expected)
{
    struct tm_err err = { .code = TM_OK };
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    if (tm_sql_prepare(&stmt, db, sql, &err) != TM_OK || tm_sql_step(stmt, &row, &err) != TM_OK)
        fail_msg("%s", err.msg);
    const char *text = row ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    assert_string_equal(text != NULL ? text : "-", expected);
    sqlite3_finalize(stmt);
}

static void relations_are_there_before_the_first_row(void **state)
{
    sqlite3 *db = fresh("SELECT 1");
    (void)state;
    install(db, "Thing");
    expect(db, "SELECT count(*) FROM Thing WHERE Id IS NOT NULL AND _dirty IN (0,1)", "0");
    expect(db, "SELECT Id||kind||position FROM Thing_dirty", "*copy0");
    tm_sql_close(db);
}

/* A record that strayed onto a topic makes a table of columns that belong elsewhere. */
static void a_table_of_foreign_columns_is_as_good_as_none(void **state)
{
    sqlite3 *db = fresh("CREATE TABLE alerts_sfdc_thing_gap_events(_topic,_partition,_offset,Name);"
                        "CREATE TABLE sfdc_recon_thing(_topic,_partition,_offset,Id,Name)");
    (void)state;
    install(db, "Thing");
    expect(db, "SELECT count(*) FROM Thing WHERE Id IS NOT NULL AND _dirty IN (0,1)", "0");
    expect(db, "SELECT Id||kind||position FROM Thing_dirty", "*copy0");
    tm_sql_close(db);
}

static void answers_alone_make_a_snapshot(void **state)
{
    sqlite3 *db = fresh(
        "CREATE TABLE "
        "sfdc_recon_thing(Id,_kind,_g,_epoch,_read_id,_read_seq,_read_kind,_count,_partitions,"
        "_partition,Name TEXT);"
        "INSERT INTO sfdc_recon_thing VALUES('a','image','0',1,'w',1,'whole',NULL,NULL,0,'n'),"
        "(NULL,'end','0',1,'w',1,'whole',1,1,0,NULL)");
    (void)state;
    install(db, "Thing");
    expect(db, "SELECT Id||Name||_dirty FROM Thing", "an0");
    expect(db, "SELECT count(*) FROM Thing_dirty", "0");
    tm_sql_close(db);
}

static void a_table_of_another_connector_may_lack_epoch_and_diffs(void **state)
{
    sqlite3 *db = fresh(
        "CREATE TABLE sfdc_cdc_thing_raw(Id TEXT,ReplayId TEXT,ChangeEventHeader TEXT,Name TEXT);"
        "INSERT INTO sfdc_cdc_thing_raw VALUES('a','9'," HEADER(
            "CREATE", "[]") ",'old'),"
                            "('a','10'," HEADER("UPDATE", "[\"Name\"]") ",'new')");
    (void)state;
    install(db, "Thing");
    expect(db, "SELECT Name FROM Thing", "new");
    tm_sql_close(db);
}

static void a_retyped_field_is_one_column_of_the_relation(void **state)
{
    sqlite3 *db = fresh(
        "CREATE TABLE sfdc_cdc_thing_raw(Id TEXT,ReplayId TEXT,ChangeEventHeader TEXT,Size__c REAL,"
        "Size__c__string TEXT);"
        "INSERT INTO sfdc_cdc_thing_raw VALUES('a','9'," HEADER("CREATE", "[]") ",2.5,NULL)");
    (void)state;
    install(db, "Thing");
    expect(db, "SELECT Size__c FROM Thing", "2.5");
    expect(db, "SELECT group_concat(name) FROM pragma_table_info('Thing')", "Id,Size__c,_dirty");
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO sfdc_cdc_thing_raw VALUES('a','10'," HEADER(
                                      "UPDATE", "[\"Size__c\"]") ",NULL,'large')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    expect(db, "SELECT Size__c FROM Thing", "large");
    tm_sql_close(db);
}

static void compound_parts_are_found_under_the_names_events_give_them(void **state)
{
    sqlite3 *db = fresh(
        "CREATE TABLE sfdc_cdc_thing_raw(Id TEXT,ReplayId TEXT,ChangeEventHeader "
        "TEXT,BillingStreet TEXT,"
        "City TEXT,LastName TEXT,Site__Latitude__s REAL);"
        "INSERT INTO sfdc_cdc_thing_raw VALUES('a','1'," HEADER(
            "CREATE", "[]") ",'s','c','l',1.5),"
                            "('a','2'," HEADER(
                                "UPDATE",
                                "[\"BillingAddress.Street\",\"Address.City\",\"Name.LastName\","
                                "\"Site__c.Latitude\"]") ",'S','C','L',2.5)");
    (void)state;
    install(db, "Thing");
    expect(db, "SELECT BillingStreet||City||LastName||Site__Latitude__s FROM Thing", "SCL2.5");
    tm_sql_close(db);
}

static void a_name_that_wants_quoting_is_quoted(void **state)
{
    sqlite3 *db = fresh("CREATE TABLE sfdc_cdc_thing_raw(Id TEXT,ReplayId TEXT,ChangeEventHeader "
                        "TEXT,\"Or\"\"der\" TEXT,"
                        "\"it's\" TEXT);"
                        "INSERT INTO sfdc_cdc_thing_raw VALUES('a','1'," HEADER(
                            "UPDATE", "[\"Or\\\"der\"]") ",'x','y')");
    (void)state;
    install(db, "Thing");
    expect(db, "SELECT \"Or\"\"der\"||ifnull(\"it's\",'-') FROM Thing", "x-");
    expect(db, "SELECT _unknown FROM Thing_dirty WHERE Id='a'", "[\"it's\"]");
    tm_sql_close(db);
}

/* Salesforce allows 800 fields; the limit is TM_VIEW_COLUMNS_MAX. */
static void an_object_of_very_many_fields_is_read_like_any_other(void **state)
{
    struct tm_buf b;
    (void)state;
    tm_buf_init(&b, 1u << 20);
    tm_buf_addz(&b, "CREATE TABLE sfdc_cdc_thing_raw(Id TEXT,ReplayId TEXT,ChangeEventHeader TEXT");
    for (int i = 0; i < TM_VIEW_COLUMNS_MAX; i++)
        tm_buf_addf(&b, ",F%d TEXT", i);
    tm_buf_addz(&b, ");INSERT INTO sfdc_cdc_thing_raw(Id,ReplayId,ChangeEventHeader,F7) VALUES"
                    "('a','1'," HEADER("UPDATE", "[\"F7\"]") ",'seven')");
    sqlite3 *db = fresh(tm_buf_text(&b));
    install(db, "Thing");
    expect(db, "SELECT F7||_dirty FROM Thing", "seven1");
    expect(db, "SELECT json_array_length(_unknown) FROM Thing_dirty WHERE Id='a'", "1499");
    tm_buf_free(&b);
    tm_sql_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relations_are_there_before_the_first_row),
        cmocka_unit_test(a_table_of_foreign_columns_is_as_good_as_none),
        cmocka_unit_test(answers_alone_make_a_snapshot),
        cmocka_unit_test(a_table_of_another_connector_may_lack_epoch_and_diffs),
        cmocka_unit_test(a_retyped_field_is_one_column_of_the_relation),
        cmocka_unit_test(compound_parts_are_found_under_the_names_events_give_them),
        cmocka_unit_test(an_object_of_very_many_fields_is_read_like_any_other),
        cmocka_unit_test(a_name_that_wants_quoting_is_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
