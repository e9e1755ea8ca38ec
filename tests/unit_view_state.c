/* Option 2 as a station: what a reader of _seq sees, columns that come later, another raw.db, and
 * asks for a read. */
#include "event/contract.h"
#include "mocks/kafka/topic_mem.h"
#include "support_event.h"
#include "support_fake_http.h"
#include "support_view.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define E(...) sv_event(&w, &(struct sv_event){ __VA_ARGS__ })
#define VALUES(a, b, c) .values = { a, b, c }

static int64_t number(sqlite3 *db, const char *sql)
{
    struct tm_err err = { .code = TM_OK };
    int64_t n = 0;
    if (tm_sql_int64(&n, db, sql, &err) != TM_OK)
        fail_msg("%s", err.msg);
    return n;
}

static void a_reader_of_what_is_beyond_its_seq_sees_every_change_and_removal(void **state)
{
    struct sv_world w;
    (void)state;
    sv_open(&w);
    sv_copied(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    E(.replay_id = 2, .type = "CREATE", .own = "b", VALUES("1", "1", "1"));
    sv_catch_up(&w);
    int64_t seq = number(w.db, "SELECT max(_seq) FROM Thing");
    assert_true(seq > 0);
    /* a redelivery is no change */
    E(.replay_id = 2, .type = "CREATE", .own = "b", VALUES("1", "1", "1"));
    sv_catch_up(&w);
    assert_int_equal(number(w.db, "SELECT max(_seq) FROM Thing"), seq);
    /* only _dirty moves */
    E(.replay_id = 3, .type = "GAP_UPDATE", .own = "a");
    E(.replay_id = 4, .type = "DELETE", .own = "b");
    sv_catch_up(&w);
    assert_int_equal(
        number(w.db, "SELECT count(*) FROM Thing WHERE Id='a' AND _dirty=1 AND _seq>(SELECT 0)"),
        1);
    assert_true(number(w.db, "SELECT _seq FROM Thing WHERE Id='a'") > seq);
    assert_true(number(w.db, "SELECT _seq FROM Thing_removed WHERE Id='b'") > seq);
    E(.replay_id = 5, .type = "UNDELETE", .own = "b", VALUES("2", "2", "2"));
    sv_catch_up(&w);
    assert_int_equal(number(w.db, "SELECT count(*) FROM Thing_removed"), 0);
    assert_true(number(w.db, "SELECT _seq FROM Thing WHERE Id='b'") >
                number(w.db, "SELECT _seq FROM Thing WHERE Id='a'"));
    sv_close(&w);
}

static void columns_that_come_later_widen_the_relation_and_what_partial_rows_lack(void **state)
{
    struct sv_world w;
    (void)state;
    sv_open(&w);
    E(.replay_id = 1, .type = "UPDATE", .own = "a", .changed = "[\"A\"]", VALUES("1", NULL, NULL));
    sv_catch_up(&w);
    sv_sql(w.raw, "ALTER TABLE sfdc_cdc_thing_raw ADD COLUMN New__c TEXT");
    sv_catch_up(&w);
    assert_int_equal(
        number(w.db,
               "SELECT _unknown='[\"B\",\"LastName\",\"New__c\"]' FROM Thing_dirty WHERE Id='a'"),
        1);
    sv_sql(w.raw, "INSERT INTO sfdc_cdc_thing_raw(Id,ReplayId,ChangeEventHeader,New__c,_epoch) "
                  "VALUES('a','2',"
                  "'{\"recordIds\":[\"a\"],\"changeType\":\"UPDATE\",\"changedFields\":[\"New__c\"]"
                  "}','n',1)");
    sv_catch_up(&w);
    assert_int_equal(number(w.db, "SELECT New__c='n' AND A='1' FROM Thing WHERE Id='a'"), 1);
    sv_restart(&w);
    sv_catch_up(&w);
    assert_int_equal(number(w.db, "SELECT New__c='n' AND A='1' FROM Thing WHERE Id='a'"), 1);
    sv_close(&w);
}

/* Another process adds a column, and a row with it, between two statements of the view's. */
static struct sv_world *racing;
static int race_now(unsigned what, void *self, void *stmt, void *sql)
{
    struct sv_world *w = racing;
    (void)what, (void)self, (void)stmt;
    if (w == NULL || strcmp(sql, "BEGIN") != 0)
        return 0;
    racing = NULL;
    sv_sql(w->raw, "BEGIN; ALTER TABLE sfdc_cdc_thing_raw ADD COLUMN New__c TEXT;"
                   "INSERT INTO sfdc_cdc_thing_raw(Id,ReplayId,ChangeEventHeader,New__c,_epoch) "
                   "VALUES('a','3','{\"recordIds\":[\"a\"],\"changeType\":\"UPDATE\","
                   "\"changedFields\":[\"New__c\"]}','n',1); COMMIT");
    return 0;
}

static int race_open(sqlite3 *db)
{
    return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, race_now, NULL);
}

static void a_column_that_comes_while_a_step_begins_keeps_its_first_value(void **state)
{
    struct sv_world w;
    (void)state;
    sv_open(&w);
    sqlite3_auto_extension((void (*)(void))race_open);
    sv_restart(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    sv_catch_up(&w);
    sqlite3_cancel_auto_extension((void (*)(void))race_open);
    E(.replay_id = 2, .type = "UPDATE", .own = "a", .changed = "[\"A\"]", VALUES("2", NULL, NULL));
    racing = &w;
    sv_catch_up(&w);
    assert_null(racing);
    assert_int_equal(number(w.db, "SELECT New__c='n' AND A='2' FROM Thing WHERE Id='a'"), 1);
    sv_close(&w);
}

static enum tm_code steps(struct sv_world *w, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (int i = 0; i < 10 && (rc == TM_OK || rc == TM_E_AGAIN); i++) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        rc = tm_view_step(w->view, &(struct tm_now){ 0, i }, &wake, err);
    }
    return rc;
}

static void another_raw_database_under_the_same_name_is_refused(void **state)
{
    struct sv_world w;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    sv_open(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    sv_catch_up(&w);
    sv_sql(w.raw, "DELETE FROM sfdc_cdc_thing_raw");
    sv_restart(&w);
    assert_int_equal(steps(&w, &err), TM_E_MISMATCH);
    sv_close(&w);
}

/* As many rows as before, in another order: what was read of them is not what is there. */
static void a_raw_database_filled_anew_is_refused_however_many_rows_it_has(void **state)
{
    struct sv_world w;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    sv_open(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    sv_catch_up(&w);
    sv_sql(w.raw, "DELETE FROM sfdc_cdc_thing_raw");
    E(.replay_id = 7, .type = "CREATE", .own = "b", VALUES("7", "7", "7"));
    E(.replay_id = 8, .type = "CREATE", .own = "c", VALUES("8", "8", "8"));
    sv_restart(&w);
    assert_int_equal(steps(&w, &err), TM_E_MISMATCH);
    assert_non_null(strstr(err.msg, "raw.db"));
    assert_non_null(strstr(err.msg, "view.db"));
    sv_close(&w);
}

static void a_second_view_of_one_file_is_found_out(void **state)
{
    struct sv_world w;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    sv_open(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    sv_catch_up(&w);
    sqlite3 *db = w.db;
    struct tm_view *first = w.view;
    w.db = NULL;
    w.view = NULL;
    sv_restart(&w); /* another process on the same file */
    E(.replay_id = 2, .type = "CREATE", .own = "b", VALUES("2", "2", "2"));
    sv_catch_up(&w);
    struct tm_view *second = w.view;
    w.view = first;
    assert_int_equal(steps(&w, &err), TM_E_MISMATCH);
    assert_non_null(strstr(err.msg, "another process"));
    tm_view_close(first);
    tm_sql_close(db);
    w.view = second;
    sv_close(&w);
}

static void a_file_of_another_format_is_refused(void **state)
{
    struct tm_err err = { .code = TM_OK };
    sqlite3 *db = NULL;
    (void)state;
    assert_int_equal(tm_sql_open(&db, ":memory:", TM_SQL_CREATE, &err), TM_OK);
    assert_int_equal(tm_view_store_create(db, &err), TM_OK);
    assert_int_equal(tm_view_store_create(db, &err), TM_OK);
    sv_sql(db, "UPDATE _view SET value='0' WHERE key='format'");
    assert_int_equal(tm_view_store_create(db, &err), TM_E_MISMATCH);
    assert_non_null(strstr(err.msg, "format"));
    tm_sql_close(db);
}

static void some_other_database_is_not_written_into(void **state)
{
    struct tm_err err = { .code = TM_OK };
    sqlite3 *db = NULL;
    (void)state;
    assert_int_equal(tm_sql_open(&db, ":memory:", TM_SQL_CREATE, &err), TM_OK);
    sv_sql(db, "CREATE TABLE mine(x)");
    assert_int_equal(tm_view_store_create(db, &err), TM_E_MISMATCH);
    tm_sql_close(db);
}

/* ---- asks ---- */

struct asking {
    struct sv_world w;
    struct tm_mem_broker *broker;
    struct tm_topic *topic;
    struct fake_http http;
    struct tm_registry *registry;
    struct tm_describe *describe;
};
#define ALERTS "alerts.sfdc.thing_gap_events"
static const struct fake_line asking_lines[] = {
    { .expect = "POST /subjects/" ALERTS "-value/versions", .status = 200, .body = "{\"id\":7}" },
};

static void asking_view(struct asking *a)
{
    static const char *const objects[] = { "Thing" };
    struct tm_err err = { .code = TM_OK };
    const struct tm_view_settings settings = { .raw_path = a->w.raw_path,
                                               .objects = objects,
                                               .objects_count = 1,
                                               .raise_no_base = true,
                                               .poll_ns = TM_NS_PER_MS };
    const struct tm_view_ports ports = { .db = a->w.db,
                                         .topic = a->topic,
                                         .registry = a->registry,
                                         .describes =
                                             (const struct tm_describe *const *)&a->describe };
    tm_view_close(a->w.view);
    a->w.view = NULL;
    if (tm_view_open(&a->w.view, &settings, &ports, &err) != TM_OK)
        fail_msg("%s", err.msg);
}

static void asking_open(struct asking *a)
{
    struct tm_err err = { .code = TM_OK };
    memset(a, 0, sizeof *a);
    sv_open(&a->w);
    a->describe = support_describe("Thing");
    assert_int_equal(tm_mem_broker_open(&a->broker, &err), TM_OK);
    assert_int_equal(tm_mem_topic_create(a->broker, ALERTS, 1, &err), TM_OK);
    assert_int_equal(tm_topic_mem_open(&a->topic, a->broker,
                                       &(struct tm_kafka_options){ .client_id = "v" }, &err),
                     TM_OK);
    FAKE_HTTP(&a->http, asking_lines);
    assert_int_equal(tm_registry_open(&a->registry, &a->http.base, "http://registry", &err), TM_OK);
    asking_view(a);
}

static void asking_close(struct asking *a)
{
    tm_view_close(a->w.view);
    a->w.view = NULL;
    tm_registry_close(a->registry);
    a->topic->ops->close(a->topic);
    tm_mem_broker_close(a->broker);
    tm_describe_close(a->describe);
    sv_close(&a->w);
}

static void asking_run(struct asking *a)
{
    for (int i = 0; i < 400; i++) {
        struct tm_err err = { .code = TM_OK };
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        a->w.wall_ns += TM_NS_PER_MS;
        a->http.now_ns = a->w.wall_ns;
        enum tm_code rc = tm_view_step(a->w.view, &(struct tm_now){ 0, a->w.wall_ns }, &wake, &err);
        if (rc != TM_OK && rc != TM_E_AGAIN)
            fail_msg("%s", err.msg);
    }
}

/* Id, ReplayId, _kind of the alert at `offset`. */
static void expect_alert(struct asking *a, int64_t offset, const char *id, const char *replay_id)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_record r;
    struct tm_row row;
    struct tm_buf text;
    struct tm_avro_schema *schema = NULL;
    tm_buf_init(&text, 1u << 20);
    tm_row_init(&row);
    assert_true(tm_mem_record(a->broker, ALERTS, 0, offset, &r));
    assert_int_equal(tm_contract_schema_alerts(&text, a->describe, &err), TM_OK);
    assert_int_equal(tm_avro_schema_parse(&schema, tm_buf_text(&text), text.bytes, &err), TM_OK);
    assert_int_equal(tm_avro_decode(schema, &row, r.value, r.value_bytes, &err), TM_OK);
    assert_string_equal(tm_value_text(tm_row_get(&row, "Id")), id);
    assert_string_equal(tm_value_text(tm_row_get(&row, "ReplayId")), replay_id);
    assert_string_equal(tm_value_text(tm_row_get(&row, "_kind")), "no_base");
    assert_int_equal(tm_row_get(&row, "_epoch")->as.i, 1);
    assert_non_null(strstr(tm_value_text(tm_row_get(&row, "ChangeEventHeader")), "1700000000000"));
    assert_memory_equal(r.key, id, strlen(id));
    tm_avro_schema_close(schema);
    tm_row_free(&row);
    tm_buf_free(&text);
}

static void a_record_without_its_base_is_asked_for_once_and_not_before_the_first_copy(void **state)
{
    struct asking a;
    (void)state;
    asking_open(&a);
    sv_event(&a.w, &(struct sv_event){ .replay_id = 5,
                                       .type = "UPDATE",
                                       .own = "a",
                                       .changed = "[\"A\"]",
                                       VALUES("5", NULL, NULL) });
    asking_run(&a);
    assert_int_equal(tm_mem_high(a.broker, ALERTS, 0), 0); /* R14 */
    sv_copied(&a.w);
    asking_run(&a);
    assert_int_equal(tm_mem_high(a.broker, ALERTS, 0), 1);
    expect_alert(&a, 0, "a", "5");
    sv_event(&a.w, &(struct sv_event){ .replay_id = 6,
                                       .type = "UPDATE",
                                       .own = "a",
                                       .changed = "[\"A\"]",
                                       VALUES("6", NULL, NULL) });
    asking_run(&a);
    /* a restart remembers what was asked */
    asking_view(&a);
    asking_run(&a);
    assert_int_equal(tm_mem_high(a.broker, ALERTS, 0), 1);
    sv_answer(&a.w, &(struct sv_answer){
                        .kind = "removed", .g = 5, .seq = 1, .read_id = "r", .id = "a" });
    /* the update at 6 lacks its base again */
    asking_run(&a);
    assert_int_equal(tm_mem_high(a.broker, ALERTS, 0), 2);
    expect_alert(&a, 1, "a", "6");
    sv_answer(
        &a.w,
        &(struct sv_answer){
            .kind = "image", .g = 6, .seq = 2, .read_id = "s", .id = "a", VALUES("6", "6", "6") });
    asking_run(&a);
    assert_int_equal(tm_mem_high(a.broker, ALERTS, 0), 2);
    assert_int_equal(number(a.w.db, "SELECT count(*) FROM Thing_dirty"), 0);
    fake_http_done(&a.http);
    asking_close(&a);
}

static void a_crash_before_the_acknowledgement_repeats_the_ask(void **state)
{
    struct asking a;
    (void)state;
    asking_open(&a);
    sv_copied(&a.w);
    sv_event(&a.w, &(struct sv_event){ .replay_id = 5,
                                       .type = "UPDATE",
                                       .own = "a",
                                       .changed = "[\"A\"]",
                                       VALUES("5", NULL, NULL) });
    tm_mem_hold_acks(a.broker, true);
    asking_run(&a);
    assert_int_equal(tm_mem_high(a.broker, ALERTS, 0), 1); /* sent, not acknowledged */
    asking_view(&a);
    tm_mem_hold_acks(a.broker, false);
    asking_run(&a);
    assert_int_equal(tm_mem_high(a.broker, ALERTS, 0), 2);
    expect_alert(&a, 1, "a", "5");
    asking_run(&a);
    assert_int_equal(tm_mem_high(a.broker, ALERTS, 0), 2);
    asking_close(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_of_what_is_beyond_its_seq_sees_every_change_and_removal),
        cmocka_unit_test(columns_that_come_later_widen_the_relation_and_what_partial_rows_lack),
        cmocka_unit_test(a_column_that_comes_while_a_step_begins_keeps_its_first_value),
        cmocka_unit_test(another_raw_database_under_the_same_name_is_refused),
        cmocka_unit_test(a_raw_database_filled_anew_is_refused_however_many_rows_it_has),
        cmocka_unit_test(a_second_view_of_one_file_is_found_out),
        cmocka_unit_test(a_file_of_another_format_is_refused),
        cmocka_unit_test(some_other_database_is_not_written_into),
        cmocka_unit_test(a_record_without_its_base_is_asked_for_once_and_not_before_the_first_copy),
        cmocka_unit_test(a_crash_before_the_acknowledgement_repeats_the_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
