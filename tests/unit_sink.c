/* The sink over an in-memory broker: what becomes of records, schemas, offsets, and of everything
 * that goes wrong. */
#include "support_sink.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define VALUES(...)                                                                                \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static int setup(void **state)
{
    static struct ss_world w;
    ss_open(&w);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    ss_close(*state);
    return 0;
}

static void start_ok(struct ss_world *w)
{
    struct tm_err err = { .code = TM_OK };
    enum tm_code rc = ss_start(w, &err);
    if (rc != TM_OK)
        fail_msg("%s", err.msg);
}

/* Starts the sink and lets it write what is there. */
static void run(struct ss_world *w)
{
    start_ok(w);
    ss_run_ok(w);
}

/* One record of partition 0 of the usual topic, under schema `id`. */
static void put(struct ss_world *w, int id, const char *const *values)
{
    ss_produce(w, "a.b", 0, id, values);
}

/* Produces one more and lets the sink write it. */
static void write_one(struct ss_world *w, int id, const char *const *values)
{
    put(w, id, values);
    ss_run_ok(w);
}

/* A sink that has written one record of the fields given (schema 1). */
static void run_with_one(struct ss_world *w, const char *fields, const char *const *values)
{
    ss_schema(w, 1, fields);
    put(w, 1, values);
    run(w);
}

static void change_warehouse(struct ss_world *w, const char *sql)
{
    assert_int_equal(sqlite3_exec(w->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static int64_t rows(struct ss_world *w)
{
    return ss_int(w, "SELECT count(*) FROM \"a.b\"");
}

static void expect_text(struct ss_world *w, const char *sql, const char *text)
{
    char got[256];
    ss_text(w, got, sizeof got, sql);
    assert_string_equal(got, text);
}

static void expect_failure(struct ss_world *w, enum tm_code code, const char *words)
{
    struct tm_err err = { .code = TM_OK };
    char text[700];
    assert_int_equal(ss_run(w, &err), code);
    tm_err_text(&err, text, sizeof text);
    if (strstr(text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", text, words);
}

static void records_become_rows_with_canonical_values(void **state)
{
    struct ss_world *w = *state;
    w->settings.sanitize_topics = true;
    ss_schema(w, 1,
              "Id:string,Name:string,Closed:boolean,Amount:double,Count:int,Day:date,At:timestamp,"
              "Tags:array,Head:record");
    ss_produce(w, "a.b", 0, 1,
               VALUES("001", "Ann", "true", "12.5", "7", "2026-03-02", "1772438400000",
                      "[\"x\",\"y\"]", "{\"x\":\"\"}"));
    ss_produce(w, "a.b", 1, 1, VALUES("002", "", "false", "-", "-", "-", "-", "-", "-"));
    run(w);
    expect_text(
        w,
        "SELECT Id||'|'||Name||'|'||Closed||'|'||Amount||'|'||Count||'|'||Day||'|'||At||'|'||Tags"
        "||Head FROM a_b WHERE Id='001'",
        "001|Ann|1|12.5|7|2026-03-02|1772438400000|[\"x\",\"y\"]{\"x\":\"\"}");
    expect_text(
        w,
        "SELECT "
        "typeof(Name)||typeof(Amount)||typeof(Tags)||typeof(Head)||Closed||_topic||_partition||"
        "_offset"
        " FROM a_b WHERE Id='002'",
        "nullnullnullnull0a.b10");
    expect_text(
        w, "SELECT typeof(Closed)||typeof(Amount)||typeof(Day)||typeof(At) FROM a_b WHERE Id='001'",
        "integerrealtextinteger");
}

static void a_record_of_many_megabytes_is_a_row_like_any_other(void **state)
{
    struct ss_world *w = *state;
    size_t bytes = 5u << 20;
    char *large = malloc(bytes + 1);
    assert_non_null(large);
    memset(large, 'x', bytes);
    large[bytes] = '\0';
    run_with_one(w, "Id:string,Description:string", VALUES("1", large));
    assert_int_equal(ss_int(w, "SELECT length(Description) FROM \"a.b\""), (int64_t)bytes);
    free(large);
}

static void a_restart_neither_loses_nor_doubles_a_row(void **state)
{
    struct ss_world *w = *state;
    ss_schema(w, 1, "Id:string");
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 50; i++)
            ss_produce(w, "a.b", i % 2, 1, VALUES("x"));
        run(w);
        assert_int_equal(rows(w), (round + 1) * 50);
        assert_int_equal(ss_int(w, "SELECT sum(next_offset) FROM _offsets"), (round + 1) * 50);
        assert_int_equal(tm_mem_committed(w->broker, "sink", "a.b", 0), (round + 1) * 25);
        ss_stop(w);
    }
}

static void the_warehouse_decides_where_to_start_not_the_group(void **state)
{
    struct ss_world *w = *state;
    run_with_one(w, "Id:string", VALUES("x"));
    ss_stop(w);
    /* a new warehouse, while the group has committed offset 1 */
    remove(w->path);
    run(w);
    assert_int_equal(rows(w), 1);
}

static void two_topics_with_equal_offsets_in_one_table_keep_all_rows(void **state)
{
    struct ss_world *w = *state;
    w->settings.sanitize_topics = true; /* a.b and a_b are one table then */
    ss_schema(w, 1, "Id:string");
    for (int i = 0; i < 10; i++) {
        put(w, 1, VALUES("dot"));
        ss_produce(w, "a_b", 0, 1, VALUES("line"));
    }
    run(w);
    assert_int_equal(ss_int(w, "SELECT count(*) FROM a_b WHERE Id='dot' AND _topic='a.b'"), 10);
    assert_int_equal(ss_int(w, "SELECT count(*) FROM a_b WHERE Id='line' AND _topic='a_b'"), 10);
}

static void unionization_adds_what_is_new_and_keeps_what_is_gone(void **state)
{
    struct ss_world *w = *state;
    ss_schema(w, 1, "Id:string,Old:string");
    ss_schema(w, 2, "Id:string,New:string");
    put(w, 1, VALUES("1", "o"));
    run(w);
    put(w, 2, VALUES("2", "n"));
    write_one(w, 1, VALUES("3", "p"));
    assert_int_equal(
        ss_int(w, "SELECT count(*) FROM \"a.b\" WHERE (Id='2' AND New='n' AND Old IS NULL)"
                  " OR (Id='3' AND Old='p' AND New IS NULL)"),
        2);
}

static void without_unionization_a_dropped_column_blocks_the_next_schema_update(void **state)
{
    struct ss_world *w = *state;
    w->settings.rules.unionization = false;
    ss_schema(w, 1, "Id:string,Old:string");
    ss_schema(w, 2, "Id:string");
    ss_schema(w, 3, "Id:string,New:string");
    put(w, 1, VALUES("1", "o"));
    run(w);
    write_one(w, 2, VALUES("2")); /* nothing new: the insert goes through */
    put(w, 3, VALUES("3", "n"));
    expect_failure(w, TM_E_ARG, "allow.schema.unionization");
    assert_int_equal(rows(w), 2);
    assert_int_equal(ss_int(w, "SELECT next_offset FROM _offsets"), 2);
}

/* Foo is not Foo__c, though a retyped Foo would be called Foo__string. */
static void without_unionization_a_dropped_column_is_missed_behind_one_that_begins_like_it(
    void **state)
{
    struct ss_world *w = *state;
    w->settings.rules.unionization = false;
    ss_schema(w, 1, "Id:string,Foo:string,Foo__c:string");
    ss_schema(w, 2, "Id:string,Foo:string,New:string");
    ss_schema(w, 3, "Id:string,Foo:double,Foo__c:string");
    ss_schema(w, 4, "Id:string,Foo:string,Foo__c:string,New:string");
    put(w, 1, VALUES("1", "f", "c"));
    run(w);
    write_one(w, 3, VALUES("2", "2.5", "c"));
    write_one(w, 4, VALUES("3", "f", "c", "n")); /* stands for Foo__double too */
    assert_int_equal(rows(w), 3);
    ss_close(w);
    ss_open(w);
    w->settings.rules.unionization = false;
    ss_schema(w, 1, "Id:string,Foo:string,Foo__c:string");
    ss_schema(w, 2, "Id:string,Foo:string,New:string");
    put(w, 1, VALUES("1", "f", "c"));
    run(w);
    put(w, 2, VALUES("2", "f", "n"));
    expect_failure(w, TM_E_ARG, "lacks \"Foo__c\"");
}

static void names_that_differ_by_case_are_one_column_with_the_first_spelling(void **state)
{
    struct ss_world *w = *state;
    ss_schema(w, 1, "Id:string,Name:string");
    ss_schema(w, 2, "Id:string,NAME:string,more:string");
    put(w, 1, VALUES("1", "one"));
    put(w, 2, VALUES("2", "two", "m"));
    run(w);
    expect_text(w, "SELECT group_concat(Name) FROM \"a.b\"", "one,two");
    expect_text(
        w,
        "SELECT group_concat(name) FROM pragma_table_info('a.b') WHERE name NOT LIKE '\\_%' "
        "ESCAPE '\\'",
        "Id,Name,more");
}

static void two_fields_of_one_record_that_differ_by_case_are_refused(void **state)
{
    struct ss_world *w = *state;
    ss_schema(w, 1, "Id:string,Name:string,NAME:string");
    put(w, 1, VALUES("1", "one", "two"));
    start_ok(w);
    expect_failure(w, TM_E_ARG, "\"NAME\"");
}

static void without_unionization_the_last_record_of_a_batch_proposes_the_schema(void **state)
{
    struct ss_world *w = *state;
    w->settings.rules.unionization = false;
    ss_schema(w, 1, "Id:string");
    ss_schema(w, 2, "Id:string,A:string");
    ss_schema(w, 3, "Id:string,A:string,B:string");
    put(w, 1, VALUES("1"));
    put(w, 2, VALUES("2", "a"));
    put(w, 3, VALUES("3", "a", "b"));
    run(w);
    assert_int_equal(rows(w), 3);
    ss_produce(w, "a.b", 1, 2, VALUES("4", "a"));
    ss_schema(w, 4, "Id:string,A:string,B:string,C:string");
    ss_produce(w, "a.b", 1, 4, VALUES("5", "a", "b", "c"));
    /* the last: it lacks B and cannot propose */
    ss_produce(w, "a.b", 1, 2, VALUES("6", "a"));
    expect_failure(w, TM_E_ARG, "lacks \"B\"");
}

static void a_retyped_field_gets_a_column_of_its_own_and_no_row_is_lost(void **state)
{
    struct ss_world *w = *state;
    ss_schema(w, 1, "Id:string,Size__c:double");
    ss_schema(w, 2, "Id:string,Size__c:string");
    put(w, 1, VALUES("1", "2.5"));
    put(w, 2, VALUES("2", "large"));
    put(w, 1, VALUES("3", "3.5"));
    run(w);
    ss_stop(w);
    /* read back from the file, the types are known still */
    start_ok(w);
    write_one(w, 2, VALUES("4", "small"));
    assert_int_equal(
        ss_int(w,
               "SELECT count(*) FROM \"a.b\" WHERE (Id IN ('1','3') AND typeof(Size__c)='real' AND"
               " Size__c__string IS NULL) OR (Id='2' AND Size__c__string='large')"
               " OR (Id='4' AND Size__c__string='small' AND Size__c IS NULL)"),
        4);
    assert_int_equal(ss_int(w, "SELECT count(*) FROM pragma_table_info('a.b')"), 7);
}

static void tables_and_columns_are_only_made_when_the_config_allows(void **state)
{
    struct ss_world *w = *state;
    w->settings.rules.create_tables = false;
    ss_schema(w, 1, "Id:string");
    ss_schema(w, 2, "Id:string,More:string");
    put(w, 1, VALUES("1"));
    start_ok(w);
    expect_failure(w, TM_E_ARG, "auto.create.tables");
    ss_stop(w);
    w->settings.rules.create_tables = true;
    w->settings.rules.update_schemas = false;
    run(w);
    put(w, 2, VALUES("2", "m"));
    expect_failure(w, TM_E_ARG, "\"More\"");
    assert_int_equal(rows(w), 1);
}

static void an_undecodable_record_is_kept_aside_and_the_rest_goes_on(void **state)
{
    struct ss_world *w = *state;
    const unsigned char truncated[] = { 0, 0, 0, 0, 1, 2, 60, 'x' };
    ss_schema(w, 1, "Id:string");
    put(w, 1, VALUES("1"));
    ss_produce_bytes(w, "a.b", 0, "{\"json\":1}", 10); /* not framed */
    ss_produce_bytes(w, "a.b", 0,
                     "\0\0\0\0\x0e"
                     "abc",
                     8); /* unknown schema 14 */
    ss_produce_bytes(w, "a.b", 0, truncated, sizeof truncated);
    put(w, 1, VALUES("2"));
    run(w);
    assert_int_equal(rows(w), 2);
    assert_int_equal(ss_int(w, "SELECT count(*) FROM _undecodable WHERE topic='a.b' AND "
                               "partition=0 AND \"offset\" IN (1,2,3)"
                               " AND key=CAST('key' AS BLOB) AND length(value)>0"),
                     3);
    expect_text(w, "SELECT error FROM _undecodable WHERE \"offset\"=2", "no schema 14");
    assert_int_equal(tm_sink_counted(w->sink)->undecodable, 3);
    assert_int_equal(ss_int(w, "SELECT next_offset FROM _offsets"), 5);
}

static void a_tombstone_moves_the_offset_and_makes_no_row(void **state)
{
    struct ss_world *w = *state;
    ss_schema(w, 1, "Id:string");
    put(w, 1, VALUES("1"));
    ss_produce_bytes(w, "a.b", 0, NULL, 0);
    run(w);
    assert_int_equal(rows(w), 1);
    assert_int_equal(ss_int(w, "SELECT next_offset FROM _offsets"), 2);
    assert_int_equal(tm_sink_counted(w->sink)->tombstones, 1);
}

static void offsets_of_another_cluster_are_refused(void **state)
{
    struct ss_world *w = *state;
    run_with_one(w, "Id:string", VALUES("1"));
    change_warehouse(w, "UPDATE _offsets SET cluster_id='somewhere else'");
    ss_stop(w);
    start_ok(w);
    expect_failure(w, TM_E_MISMATCH, "somewhere else");
}

static void a_second_writer_of_the_file_is_found_out_and_doubles_nothing(void **state)
{
    struct ss_world *w = *state;
    run_with_one(w, "Id:string", VALUES("1"));
    put(w, 1, VALUES("2"));
    /* what this sink is about to write is there already */
    change_warehouse(w,
                     "INSERT INTO \"a.b\" SELECT _topic,_partition,1,_written_ns,'2' FROM \"a.b\";"
                     "UPDATE _offsets SET next_offset=2");
    expect_failure(w, TM_E_MISMATCH, "another process");
    assert_int_equal(rows(w), 2);
}

static void a_partition_begun_by_another_process_is_found_out(void **state)
{
    struct ss_world *w = *state;
    ss_schema(w, 1, "Id:string");
    run(w);
    change_warehouse(w, "INSERT INTO _offsets(topic,partition,next_offset,cluster_id) "
                        "VALUES('a_b',1,5,'somewhere else')");
    put(w, 1, VALUES("1"));
    expect_failure(w, TM_E_MISMATCH, "somewhere else");
    assert_int_equal(ss_int(w, "SELECT count(*) FROM sqlite_master WHERE name='a.b'"), 0);
}

static void evicted_records_are_loss_and_stop_the_sink(void **state)
{
    struct ss_world *w = *state;
    struct tm_err err = { .code = TM_OK };
    ss_schema(w, 1, "Id:string");
    for (int i = 0; i < 3; i++)
        put(w, 1, VALUES("1"));
    tm_mem_evict(w->broker, "a.b", 0, 2);
    start_ok(w);
    assert_int_equal(ss_run(w, &err), TM_E_GAP);
}

/* What stood for some seconds is what the process has: in a rebalance partitions come one by one.
 */
static void a_shared_sink_says_which_partitions_the_group_gave_it(void **state)
{
    struct ss_world *w = *state;
    struct tm_err err = { .code = TM_OK };
    struct tm_topic *other = NULL;
    struct tm_record records[4];
    size_t count = 0;
    ss_schema(w, 1, "Id:string");
    w->settings.shared = true;
    put(w, 1, VALUES("1"));
    run(w);
    assert_int_equal(ss_int(w, "SELECT count(*) FROM _assigned"), 0);
    w->wall_ns += 6 * TM_NS_PER_S;
    ss_run_ok(w);
    assert_int_equal(ss_int(w, "SELECT count(*) FROM _assigned"), 4);
    assert_int_equal(ss_int(w, "SELECT count(*) FROM _assigned WHERE \"table\"='a.b'"), 2);
    assert_int_equal(
        tm_topic_mem_open(&other, w->broker,
                          &(struct tm_kafka_options){ .client_id = "other",
                                                      .group = "sink",
                                                      .topics = w->settings.topics,
                                                      .topics_count = w->settings.topics_count },
                          &err),
        TM_OK);
    for (int i = 0; i < 4; i++) {
        (void)other->ops->fetch(other, records, 4, &count, &err);
        ss_run_ok(w);
    }
    assert_int_equal(ss_int(w, "SELECT count(*) FROM _assigned"), 4); /* not yet */
    w->wall_ns += 6 * TM_NS_PER_S;
    ss_run_ok(w);
    int64_t left = ss_int(w, "SELECT count(*) FROM _assigned");
    assert_true(left > 0 && left < 4);
    other->ops->close(other);
}

static void views_are_made_at_the_start_and_whenever_columns_change(void **state)
{
    struct ss_world *w = *state;
    ss_schema(w, 1, "Id:string");
    ss_schema(w, 2, "Id:string,More:string");
    run(w);
    assert_int_equal(ss_int(w, "SELECT times FROM made"), 1);
    write_one(w, 1, VALUES("1"));
    write_one(w, 1, VALUES("2"));
    assert_int_equal(ss_int(w, "SELECT times FROM made"), 2);
    write_one(w, 2, VALUES("3", "m"));
    assert_int_equal(ss_int(w, "SELECT times FROM made"), 3);
}

static void view_sql_can_make_and_drop_views_and_nothing_else(void **state)
{
    static const char *const refused[] = { "DROP TABLE IF EXISTS \"a.b\"",
                                           "DELETE FROM \"a.b\"",
                                           "CREATE TABLE x(y)",
                                           "COMMIT",
                                           "ATTACH 'x' AS y",
                                           "PRAGMA user_version=7",
                                           "PRAGMA writable_schema=1",
                                           "VACUUM INTO 'x'",
                                           "CREATE TEMP VIEW v AS SELECT 1",
                                           ("CREATE TRIGGER t INSTEAD OF INSERT ON made BEGIN "
                                            "SELECT 1; END"),
                                           "ALTER TABLE \"a.b\" RENAME TO x",
                                           "CREATE INDEX i ON \"a.b\"(Id)",
                                           "SELECT load_extension('x')",
                                           "UPDATE _offsets SET next_offset=0" };
    struct ss_world *w = *state;
    struct tm_err err = { .code = TM_OK };
    run_with_one(w, "Id:string", VALUES("1"));
    assert_int_equal(
        tm_sink_views_run(
            w->db, "CREATE VIEW v AS SELECT json_extract(Id,'$') x FROM \"a.b\"; DROP VIEW v;",
            &err),
        TM_OK);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        tm_err_clear(&err);
        assert_int_equal(tm_sink_views_run(w->db, refused[i], &err), TM_E_ARG);
        assert_non_null(strstr(err.msg, "may only DROP VIEW and CREATE VIEW"));
    }
    assert_int_equal(rows(w), 1);
}

static void view_sql_that_runs_for_ever_is_stopped(void **state)
{
    struct ss_world *w = *state;
    struct tm_err err = { .code = TM_OK };
    run(w);
    assert_int_equal(tm_sink_views_run(w->db,
                                       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM "
                                       "n) SELECT count(*) FROM n",
                                       &err),
                     TM_E_ARG);
    assert_non_null(strstr(err.msg, "steps"));
    tm_err_clear(&err);
    /* and the connection is as before */
    assert_int_equal(tm_sql_exec(w->db, "CREATE TABLE after_it(x); DROP TABLE after_it", &err),
                     TM_OK);
}

static void a_schema_that_is_still_being_asked_for_holds_the_batch_together(void **state)
{
    struct ss_world *w = *state;
    ss_schema(w, 1, "Id:string");
    ss_schema(w, 2, "Id:string,More:string");
    put(w, 1, VALUES("1"));
    put(w, 2, VALUES("2", "m"));
    w->schema_again = 3;
    run(w);
    assert_int_equal(rows(w), 2);
    assert_int_equal(tm_sink_counted(w->sink)->transactions, 1);
}

static void a_busy_warehouse_is_tried_again(void **state)
{
    struct ss_world *w = *state;
    struct tm_err err = { .code = TM_OK };
    sqlite3 *other = NULL;
    ss_schema(w, 1, "Id:string");
    run(w);
    assert_int_equal(tm_sql_open(&other, w->path, TM_SQL_WRITE, &err), TM_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    write_one(w, 1, VALUES("1"));
    assert_int_equal(tm_sink_counted(w->sink)->rows, 0);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    tm_sql_close(other);
    ss_run_ok(w);
    assert_int_equal(rows(w), 1);
}

static void several_consumers_of_one_group_write_every_record_once(void **state)
{
    struct ss_world *w = *state;
    w->tasks = 3;
    ss_schema(w, 1, "Id:string");
    start_ok(w);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 40; i++)
            ss_produce(w, i % 3 == 0 ? "a_b" : "a.b", i % 2, 1, VALUES("x"));
        ss_run_ok(w);
    }
    assert_int_equal(ss_int(w, "SELECT (SELECT count(*) FROM \"a.b\")+(SELECT count(*) FROM a_b)"),
                     160);
    assert_int_equal(ss_int(w, "SELECT sum(next_offset) FROM _offsets"), 160);
}

static void a_field_with_a_name_of_the_sinks_own_is_refused(void **state)
{
    struct ss_world *w = *state;
    ss_schema(w, 1, "Id:string,_Offset:string");
    put(w, 1, VALUES("1", "2"));
    start_ok(w);
    expect_failure(w, TM_E_ARG, "_Offset");
}

static void raw_rows_leave_fetched_and_written_marks(void **state)
{
    struct ss_world *w = *state;
    struct tm_err err = { .code = TM_OK };
    struct tm_trace_mark marks[4];
    char path[160];
    snprintf(path, sizeof path, "%s/trace", w->dir);
    assert_int_equal(tm_trace_open(&w->trace, path, &err), TM_OK);
    ss_schema(w, 1, "Id:string,ReplayId:string,_ObjectType:string");
    ss_schema(w, 2, "Id:string,ReplayId:string");
    put(w, 1, VALUES("1", "4711", "OpportunityChangeEvent"));
    ss_produce(w, "a_b", 0, 2, VALUES("1", "4712")); /* an alert: no raw topic, no mark */
    run(w);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(marks, sizeof marks[0], 4, f), 2);
    fclose(f);
    assert_int_equal(marks[0].kind, TM_TRACE_FETCHED);
    assert_int_equal(marks[1].kind, TM_TRACE_WRITTEN);
    assert_int_equal(marks[1].key, 4711);
    assert_int_equal(marks[1].object_hash, tm_trace_object_hash("Opportunity"));
    assert_true(marks[1].wall_ns > marks[0].wall_ns);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(records_become_rows_with_canonical_values),
        WORLD(a_record_of_many_megabytes_is_a_row_like_any_other),
        WORLD(a_restart_neither_loses_nor_doubles_a_row),
        WORLD(the_warehouse_decides_where_to_start_not_the_group),
        WORLD(two_topics_with_equal_offsets_in_one_table_keep_all_rows),
        WORLD(unionization_adds_what_is_new_and_keeps_what_is_gone),
        WORLD(without_unionization_a_dropped_column_blocks_the_next_schema_update),
        WORLD(without_unionization_a_dropped_column_is_missed_behind_one_that_begins_like_it),
        WORLD(names_that_differ_by_case_are_one_column_with_the_first_spelling),
        WORLD(two_fields_of_one_record_that_differ_by_case_are_refused),
        WORLD(without_unionization_the_last_record_of_a_batch_proposes_the_schema),
        WORLD(a_retyped_field_gets_a_column_of_its_own_and_no_row_is_lost),
        WORLD(tables_and_columns_are_only_made_when_the_config_allows),
        WORLD(an_undecodable_record_is_kept_aside_and_the_rest_goes_on),
        WORLD(a_tombstone_moves_the_offset_and_makes_no_row),
        WORLD(offsets_of_another_cluster_are_refused),
        WORLD(a_second_writer_of_the_file_is_found_out_and_doubles_nothing),
        WORLD(a_partition_begun_by_another_process_is_found_out),
        WORLD(evicted_records_are_loss_and_stop_the_sink),
        WORLD(a_shared_sink_says_which_partitions_the_group_gave_it),
        WORLD(views_are_made_at_the_start_and_whenever_columns_change),
        WORLD(view_sql_can_make_and_drop_views_and_nothing_else),
        WORLD(view_sql_that_runs_for_ever_is_stopped),
        WORLD(a_schema_that_is_still_being_asked_for_holds_the_batch_together),
        WORLD(a_busy_warehouse_is_tried_again),
        WORLD(several_consumers_of_one_group_write_every_record_once),
        WORLD(a_field_with_a_name_of_the_sinks_own_is_refused),
        WORLD(raw_rows_leave_fetched_and_written_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
