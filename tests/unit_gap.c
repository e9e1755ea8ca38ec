#include "base/sql.h"
#include "event/contract.h"
#include "gap/gap.h"
#include "tests/support_command.h"
#include "tests/support_event.h"
#include "tests/support_stand.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define RAW "sfdc.cdc.opportunity_raw"
#define ALERTS "alerts.sfdc.opportunity_gap_events"
#define A "0061x00000AAAAAAA5"
#define B "0061x00000BBBBBAA5"
#define OVERFLOW_ID "000000000000000AAA"

static struct stand stand;
static struct tm_gap *gap;
static struct tm_topic *topic;
static int event_epoch = 2;
static char raw_schema[1 << 16], folder[256], aside[300];

static void gap_up(void)
{
    struct tm_err err = { .code = TM_OK };
    const char *topics[] = { RAW };
    struct tm_kafka_options o = { .group = "tidemark-gap", .topics = topics, .topics_count = 1 };
    static char object[] = "Opportunity", raw[] = RAW, alerts[] = ALERTS;
    struct tm_gap_settings s = { .name = "gap",
                                 .group = "tidemark-gap",
                                 .objects = { object },
                                 .topics = { raw },
                                 .alerts = { alerts },
                                 .objects_count = 1 };
    assert_int_equal(tm_topic_mem_open(&topic, stand.broker, &o, &err), TM_OK);
    if (tm_gap_open(&gap, &s, topic, stand.registry, aside, &err) != TM_OK)
        fail_msg("%s", err.msg);
}

static void gap_down(void)
{
    tm_gap_close(gap);
    topic->ops->close(topic);
}

static int set_up(void **state)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_buf text;
    (void)state;
    stand_open(&stand);
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    snprintf(aside, sizeof aside, "%s/aside.db", folder);
    assert_int_equal(tm_mem_topic_create(stand.broker, RAW, 3, &err), TM_OK);
    assert_int_equal(tm_mem_topic_create(stand.broker, ALERTS, 3, &err), TM_OK);
    struct tm_describe *d = support_describe("Opportunity");
    tm_buf_init(&text, sizeof raw_schema - 1);
    assert_int_equal(tm_contract_schema_raw(&text, d, &err), TM_OK);
    strcpy(raw_schema, tm_buf_text(&text));
    tm_buf_free(&text);
    tm_describe_close(d);
    gap_up();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gap_down();
    stand_close(&stand);
    tm_test_folder_remove(folder);
    return 0;
}

/* Steps until nothing moves any more. */
static enum tm_code run(struct tm_err *err)
{
    int idle = 0;
    tm_err_clear(err);
    for (int i = 0; i < 10000 && idle < 20; i++) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        enum tm_code rc = tm_gap_step(gap, &stand.now, &wake, err);
        if (rc != TM_OK && rc != TM_E_AGAIN)
            return rc;
        idle = rc == TM_OK ? 0 : idle + 1;
        stand.now.wall_ns += 10 * TM_NS_PER_MS;
        if (wake.wall_ns != TM_NEVER && wake.wall_ns > stand.now.wall_ns)
            stand.now.wall_ns = wake.wall_ns;
    }
    return TM_OK;
}

static void event(const char *id, const char *ids, const char *type, const char *diff, int replay,
                  int partition)
{
    json_t *header =
        json_pack("{s:s, s:o, s:s, s:[], s:I}", "entityName", "Opportunity", "recordIds",
                  json_loads(ids, 0, NULL), "changeType", type, "changedFields", "commitTimestamp",
                  (json_int_t)1772438400000 + replay);
    char number[20];
    snprintf(number, sizeof number, "%d", replay);
    stand_put(&stand, RAW, partition, id, raw_schema,
              json_pack("{s:s, s:s, s:o, s:s, s:o, s:i}", "Id", id, "ReplayId", number,
                        "ChangeEventHeader", header, "_ObjectType", "Opportunity", "_DiffFields",
                        json_loads(diff, 0, NULL), "_epoch", event_epoch));
}

static const char *text_of(const json_t *records, size_t i, const char *name)
{
    return json_string_value(json_object_get(json_array_get(records, i), name));
}

static void every_kind_that_asks_for_a_read_is_alerted_and_nothing_else(void **state)
{
    struct tm_err err;
    (void)state;
    event(A, "[\"" A "\"]", "UPDATE", "[]", 1, 0);
    event(A, "[\"" A "\"]", "CREATE", "[]", 2, 0);
    event(A, "[\"" A "\"]", "GAP_UPDATE", "[]", 3, 0);
    event(A, "[\"" A "\"]", "gap_Delete", "[]", 4, 0);
    event(B, "[\"" B "\"]", "UPDATE", "[\"Description\"]", 5, 0);
    event(A, "[\"" A "\"]", "GAP_UNDELETE", "[]", 6, 0);
    event(A, "[\"" A "\"]", "GAP_CREATE", "[]", 7, 0);
    assert_int_equal(run(&err), TM_OK);
    json_t *all = stand_all(&stand, ALERTS);
    assert_int_equal(json_array_size(all), 5);
    int seen[8] = { 0 };
    for (size_t i = 0; i < 5; i++) {
        int replay = atoi(text_of(all, i, "ReplayId"));
        seen[replay]++;
        assert_string_equal(text_of(all, i, "_kind"), replay == 5 ? "diff" : "gap");
        assert_string_equal(text_of(all, i, "Id"), replay == 5 ? B : A);
        assert_string_equal(text_of(all, i, "_key"), replay == 5 ? B : A);
        assert_int_equal(json_integer_value(json_object_get(json_array_get(all, i), "_epoch")), 2);
        assert_non_null(json_object_get(
            json_object_get(json_array_get(all, i), "ChangeEventHeader"), "commitTimestamp"));
    }
    for (int replay = 3; replay <= 7; replay++)
        assert_int_equal(seen[replay], 1);
    json_decref(all);
    assert_int_equal(tm_mem_committed(stand.broker, "tidemark-gap", RAW, 0), 7);
}

static void overflow_and_conversion_go_to_every_partition(void **state)
{
    struct tm_err err;
    (void)state;
    for (int p = 0; p < 3; p++) /* as they come: in every raw partition */
        event(OVERFLOW_ID, "[\"" OVERFLOW_ID "\"]", "GAP_OVERFLOW", "[]", 7, p);
    assert_int_equal(run(&err), TM_OK);
    event("001*", "[\"001*\"]", "UPDATE", "[]", 8, 1);
    assert_int_equal(run(&err), TM_OK);
    for (int32_t p = 0; p < 3; p++) {
        json_t *first = stand_get(&stand, ALERTS, p, 0), *second = stand_get(&stand, ALERTS, p, 1);
        assert_string_equal(json_string_value(json_object_get(first, "_kind")), "overflow");
        assert_string_equal(json_string_value(json_object_get(first, "_key")), "Opportunity");
        assert_string_equal(json_string_value(json_object_get(second, "_kind")), "conversion");
        assert_null(stand_get(&stand, ALERTS, p, 2));
        json_decref(first);
        json_decref(second);
    }
}

/* Every partition brings it, but another is another: of a later event, or of a later epoch. */
static void each_overflow_is_told_once_also_where_two_epochs_number_alike(void **state)
{
    struct tm_err err;
    (void)state;
    for (int replay = 7; replay <= 8; replay++)
        for (event_epoch = 2; event_epoch <= 3; event_epoch++)
            for (int p = 0; p < 3; p++)
                event(OVERFLOW_ID, "[\"" OVERFLOW_ID "\"]", "GAP_OVERFLOW", "[]", replay, p);
    event_epoch = 2;
    assert_int_equal(run(&err), TM_OK);
    for (int32_t p = 0; p < 3; p++)
        assert_int_equal(tm_mem_high(stand.broker, ALERTS, p), 4);
}

static void a_merged_gap_alerts_each_id_once_in_both_forms(void **state)
{
    struct tm_err err;
    (void)state;
    event(A, "[\"" A "\",\"" B "\"]", "GAP_UPDATE", "[]", 1,
          0); /* exploded: a record for A and one for B */
    event(B, "[\"" A "\",\"" B "\"]", "GAP_UPDATE", "[]", 1, 1);
    event(A, "[\"" A "\",\"" B "\"]", "GAP_UPDATE", "[]", 2, 0); /* kept: one record */
    assert_int_equal(run(&err), TM_OK);
    json_t *all = stand_all(&stand, ALERTS);
    int count[2][3] = { { 0 } };
    for (size_t i = 0; i < json_array_size(all); i++)
        count[strcmp(text_of(all, i, "Id"), B) == 0][atoi(text_of(all, i, "ReplayId"))]++;
    assert_int_equal(json_array_size(all), 4);
    assert_true(count[0][1] == 1 && count[1][1] == 1 && count[0][2] == 1 && count[1][2] == 1);
    json_decref(all);
}

static void an_undecodable_record_is_kept_aside_and_the_rest_goes_on(void **state)
{
    struct tm_err err;
    int64_t count = 0;
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    (void)state;
    stand_put_raw(&stand, RAW, 0, "k", "no frame", 8);
    stand_put_raw(&stand, RAW, 0, "k", "\0\0\0\0\143xyz", 8); /* schema 99 is nobody's */
    event(A, "[\"" A "\"]", "GAP_CREATE", "[]", 3, 0);
    assert_int_equal(run(&err), TM_OK);
    assert_int_equal(tm_gap_aside_count(gap), 2);
    json_t *all = stand_all(&stand, ALERTS);
    assert_int_equal(json_array_size(all), 1);
    json_decref(all);
    assert_int_equal(tm_mem_committed(stand.broker, "tidemark-gap", RAW, 0), 3);
    assert_int_equal(tm_sql_open(&db, aside, TM_SQL_READ, &err), TM_OK);
    assert_int_equal(tm_sql_int64(&count, db, "SELECT count(*) FROM aside", &err), TM_OK);
    assert_int_equal(count, 2);
    assert_int_equal(
        tm_sql_prepare(&stmt, db, "SELECT key, value, topic, partition FROM aside WHERE offset = 0",
                       &err),
        TM_OK);
    assert_int_equal(tm_sql_step(stmt, &row, &err), TM_OK);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "aw==");
    assert_string_equal((const char *)sqlite3_column_text(stmt, 1), "bm8gZnJhbWU=");
    assert_string_equal((const char *)sqlite3_column_text(stmt, 2), RAW);
    tm_sql_close(db);
}

static void offsets_wait_for_the_acknowledgement_of_the_alerts(void **state)
{
    struct tm_err err;
    (void)state;
    tm_mem_hold_acks(stand.broker, true);
    event(A, "[\"" A "\"]", "GAP_UPDATE", "[]", 3, 0);
    assert_int_equal(run(&err), TM_OK);
    assert_int_equal(tm_mem_committed(stand.broker, "tidemark-gap", RAW, 0), -1);
    /* A crash here: the next life alerts again, and commits only then. */
    gap_down();
    tm_mem_hold_acks(stand.broker, false);
    gap_up();
    assert_int_equal(run(&err), TM_OK);
    json_t *all = stand_all(&stand, ALERTS);
    assert_int_equal(json_array_size(all), 2);
    json_decref(all);
    assert_int_equal(tm_mem_committed(stand.broker, "tidemark-gap", RAW, 0), 1);
}

static void a_refused_alert_is_produced_again(void **state)
{
    struct tm_err err;
    (void)state;
    event(A, "[\"" A "\"]", "GAP_UPDATE", "[]", 3, 0);
    tm_mem_refuse(stand.broker, 2);
    assert_int_equal(run(&err), TM_OK);
    json_t *all = stand_all(&stand, ALERTS);
    assert_int_equal(json_array_size(all), 1);
    json_decref(all);
    assert_int_equal(tm_gap_counts(gap)->batches_retried, 2);
    event(A, "[\"" A "\"]", "GAP_UPDATE", "[]", 4, 0);
    tm_mem_refuse(stand.broker, 100);
    assert_int_equal(run(&err), TM_E_IO); /* for good: the process ends, nothing is committed */
    assert_int_equal(tm_mem_committed(stand.broker, "tidemark-gap", RAW, 0), 1);
    tm_mem_refuse(stand.broker, 0);
}

static void settings_name_what_is_wrong(void **state)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_gap_settings s;
    struct tm_config *c = NULL;
    char path[400];
    (void)state;
    snprintf(path, sizeof path, "%s/gap.json", folder);
    tm_test_write_file(
        folder, "gap.json",
        "{\"name\":\"g\",\"config\":{\"topics\":\"sfdc.cdc.user_raw, sfdc.cdc.account_raw\","
        "\"objects\":[\"User\"],\"reading.groups\":\"a,b\"}}");
    assert_int_equal(tm_gap_settings_load(&s, &c, path, &err), TM_OK);
    assert_int_equal(s.objects_count, 2);
    assert_string_equal(s.topics[1], "sfdc.cdc.account_raw");
    assert_string_equal(s.alerts[0], "alerts.sfdc.user_gap_events");
    assert_int_equal(s.readers_count, 2);
    tm_gap_settings_free(&s);
    tm_config_close(c);
    c = NULL;
    tm_test_write_file(folder, "gap.json", "{\"name\":\"g\",\"config\":{\"topcis\":\"x\"}}");
    assert_int_equal(tm_gap_settings_load(&s, &c, path, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "topics"));
    tm_err_clear(&err);
    tm_test_write_file(folder, "gap.json", "{\"topics\":\"a.b\",\"input.data.format\":\"JSON\"}");
    assert_int_equal(tm_gap_settings_load(&s, &c, path, &err), TM_E_ARG);
    assert_non_null(strstr(err.ctx, "input.data.format"));
    tm_err_clear(&err);
    /* as a config of the cloud holds them */
    tm_test_write_file(folder, "gap.json",
                       "{\"topics\":\"sfdc.cdc.user_raw\",\"kafka.service.account.id\":\"sa-1\","
                       "\"kafka.auth.mode\":\"SERVICE_ACCOUNT\",\"kafka.region\":\"eu\"}");
    assert_int_equal(tm_gap_settings_load(&s, &c, path, &err), TM_OK);
    tm_gap_settings_free(&s);
    tm_config_close(c);
    c = NULL;
    tm_test_write_file(folder, "gap.json", "{\"name\":\"g\",\"config\":{}}");
    assert_int_equal(tm_gap_settings_load(&s, &c, path, &err), TM_E_ARG);
    tm_gap_settings_free(&s);
    tm_config_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind_that_asks_for_a_read_is_alerted_and_nothing_else,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            each_overflow_is_told_once_also_where_two_epochs_number_alike, set_up, tear_down),
        cmocka_unit_test_setup_teardown(overflow_and_conversion_go_to_every_partition, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_merged_gap_alerts_each_id_once_in_both_forms, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_undecodable_record_is_kept_aside_and_the_rest_goes_on,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(offsets_wait_for_the_acknowledgement_of_the_alerts, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_refused_alert_is_produced_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(settings_name_what_is_wrong, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
