/* `tidemark gap` and `tidemark reconcile` as a user starts them: over the embedded broker and
 * registry, and with what users get wrong. */
#include "base/http.h"
#include "event/contract.h"
#include "tests/support_command.h"
#include "tests/support_event.h"
#include "topic/registry.h"
#include "topic/topic.h"
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define RAW "sfdc.cdc.opportunity_raw"
#define ALERTS "alerts.sfdc.opportunity_gap_events"
#define PATIENCE_NS (60 * TM_NS_PER_S)

static struct tm_topic *kafka_open(const char *brokers, const char *group, const char *topic)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_topic *t = NULL;
    struct tm_kafka_options o = { .brokers = brokers,
                                  .group = group,
                                  .topics = &topic,
                                  .topics_count = group != NULL,
                                  .embedded = true };
    if (tm_topic_kafka_open(&t, &o, &err) != TM_OK)
        fail_msg("%s", err.msg);
    return t;
}

static void wait_for(struct tm_topic *t)
{
    struct pollfd fd = { t->ops->event_fd(t), POLLIN, 0 };
    poll(&fd, 1, 20);
}

/* One GAP_UPDATE of Opportunity, encoded and produced as the source does it. */
static void put_gap_event(const char *brokers, const char *registry_url)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_http *http = NULL;
    struct tm_registry *registry = NULL;
    struct tm_avro_schema *schema = NULL;
    struct tm_buf text, bytes;
    struct tm_value values[64] = { { .kind = TM_V_NULL } };
    const struct tm_avro_field *fields;
    int32_t id = 0;
    enum tm_code rc;
    struct tm_describe *d = support_describe("Opportunity");
    tm_buf_init(&text, 1 << 16);
    tm_buf_init(&bytes, 1 << 16);
    assert_int_equal(tm_contract_schema_raw(&text, d, &err), TM_OK);
    assert_int_equal(tm_avro_schema_parse(&schema, tm_buf_text(&text), text.bytes, &err), TM_OK);
    assert_int_equal(tm_http_curl_open(&http, "test/1", NULL, &err), TM_OK);
    assert_int_equal(tm_registry_open(&registry, http, registry_url, &err), TM_OK);
    do {
        struct tm_now now = tm_clock_now(NULL);
        rc = tm_registry_register(registry, &now, &id, RAW "-value", tm_buf_text(&text), &err);
        if (rc == TM_E_AGAIN)
            (void)tm_http_curl_wait(http, NULL, 0, 20 * TM_NS_PER_MS, &err);
    } while (rc == TM_E_AGAIN);
    if (rc != TM_OK)
        fail_msg("%s", err.msg);
    size_t count = tm_avro_schema_fields(schema, &fields);
    for (size_t i = 0; i < count; i++) {
        const char *n = fields[i].name;
        if (strcmp(n, "Id") == 0)
            values[i] = tm_value_of_text("0061x00000AAAAAAA5");
        else if (strcmp(n, "ReplayId") == 0)
            values[i] = tm_value_of_text("77");
        else if (strcmp(n, "ChangeEventHeader") == 0)
            values[i] = tm_value_of_json(
                "{\"entityName\":\"Opportunity\",\"recordIds\":[\"0061x00000AAAAAAA5\"],"
                "\"changeType\":\"GAP_UPDATE\",\"changedFields\":[]}");
        else if (strcmp(n, "_DiffFields") == 0)
            values[i] = tm_value_of_json("[]");
        else if (strcmp(n, "_epoch") == 0)
            values[i] = tm_value_of_int(0);
    }
    if (tm_avro_encode(schema, id, &bytes, values, count, &err) != TM_OK)
        fail_msg("%s", err.msg);
    struct tm_topic *t = kafka_open(brokers, NULL, NULL);
    while ((rc = t->ops->produce(t, RAW, -1, "0061x00000AAAAAAA5", 18, bytes.data, bytes.bytes,
                                 &err)) == TM_E_AGAIN)
        wait_for(t);
    while (rc == TM_OK && (rc = t->ops->flush(t, &err)) == TM_E_AGAIN) {
        wait_for(t);
        rc = TM_OK;
    }
    if (rc != TM_OK)
        fail_msg("%s", err.msg);
    t->ops->close(t);
    tm_registry_close(registry);
    http->ops->close(http);
    tm_avro_schema_close(schema);
    tm_describe_close(d);
    tm_buf_free(&text);
    tm_buf_free(&bytes);
}

static void a_gap_event_becomes_an_alert_and_sigterm_ends_the_station(void **state)
{
    static struct tm_record records[16];
    struct tm_err err = { .code = TM_OK };
    char folder[256];
    size_t count = 0;
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_write_file(folder, "gap.json",
                       "{\"name\":\"gap\",\"config\":{\"objects\":\"Opportunity\"}}");
    struct tm_test_server kafka =
        tm_test_server_start("tidemark kafka --topics " RAW ":3," ALERTS ":3");
    struct tm_test_server registry = tm_test_server_start("tidemark registry --port 0");
    put_gap_event(kafka.line, registry.line);
    struct tm_test_output o =
        tm_test_command(60,
                        "timeout -s TERM 6 tidemark gap %s/gap.json --embedded --brokers %s "
                        "--registry %s --state %s/state",
                        folder, kafka.line, registry.line, folder);
    if (strstr(o.err, "1 records, 1 alerts") == NULL)
        fail_msg("exit %d: %s", o.code, o.err);
    tm_test_output_free(&o);
    struct tm_topic *reader = kafka_open(kafka.line, "test", ALERTS);
    int64_t until = tm_clock_monotonic_ns() + PATIENCE_NS;
    while (count == 0 && tm_clock_monotonic_ns() < until) {
        enum tm_code rc = reader->ops->fetch(reader, records, 16, &count, &err);
        if (rc != TM_OK && rc != TM_E_AGAIN)
            fail_msg("%s", err.msg);
        if (count == 0)
            wait_for(reader);
    }
    assert_int_equal(count, 1);
    assert_int_equal(records[0].key_bytes, 18);
    assert_int_equal(records[0].partition, tm_topic_partition("0061x00000AAAAAAA5", 18, 3));
    reader->ops->close(reader);
    tm_test_server_stop(&registry);
    tm_test_server_stop(&kafka);
    tm_test_folder_remove(folder);
}

static void what_users_get_wrong_is_named(void **state)
{
    char folder[256], gap[400];
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_write_file(folder, "soon.properties", "tidemark.reach.ms=1000\n");
    snprintf(gap, sizeof gap,
             "{\"name\":\"gap\",\"config\":{\"objects\":\"Opportunity\","
             "\"kafka.properties\":\"%s/soon.properties\"}}",
             folder);
    tm_test_write_file(folder, "gap.json", gap);
    tm_test_write_file(folder, "typo.json",
                       "{\"name\":\"gap\",\"config\":{\"objcets\":\"Opportunity\"}}");
    tm_test_write_file(folder, "broken.json", "{\"name\":\"gap\",");
    tm_test_refused(64, (const char *const[]){ "CONFIG.json", NULL }, 20, "tidemark gap");
    tm_test_refused(64, (const char *const[]){ "objcets", "objects", NULL }, 20,
                    "tidemark gap %s/typo.json --registry http://127.0.0.1:1", folder);
    tm_test_refused(64, (const char *const[]){ "broken.json", NULL }, 20,
                    "tidemark gap %s/broken.json --registry http://127.0.0.1:1", folder);
    tm_test_refused(64, (const char *const[]){ "--brokers", NULL }, 20,
                    "TIDEMARK_BROKERS= tidemark gap %s/gap.json --registry http://127.0.0.1:1",
                    folder);
    tm_test_refused(2, (const char *const[]){ "127.0.0.1:1", "--brokers", NULL }, 30,
                    "tidemark gap %s/gap.json --registry http://127.0.0.1:1 --brokers 127.0.0.1:1",
                    folder);
    tm_test_refused(
        64, (const char *const[]){ "salesforce.consumer.key", NULL }, 20,
        "tidemark reconcile %s/gap.json --registry http://127.0.0.1:1 --brokers 127.0.0.1:1",
        folder);
    tm_test_refused(64, (const char *const[]){ "a:x", NULL }, 20, "tidemark kafka --topics a:x");
    tm_test_folder_remove(folder);
}

static void a_wrong_password_is_told_before_the_first_ask(void **state)
{
    char folder[256];
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_write_file(
        folder, "r.json",
        "{\"name\":\"r\",\"config\":{\"objects\":\"Opportunity\",\"salesforce.username\":"
        "\"integration@tidemark.example\",\"salesforce.password\":\"wrong\",\"salesforce.consumer."
        "key\":"
        "\"tidemark-consumer-key\",\"salesforce.consumer.secret\":\"tidemark-consumer-secret\"}}");
    struct tm_test_server kafka =
        tm_test_server_start("tidemark kafka --topics " ALERTS ":3,sfdc.recon.opportunity:3");
    struct tm_test_server org = tm_test_server_start("tidemark serve --quiet");
    tm_test_refused(64, (const char *const[]){ "salesforce.username", NULL }, 30,
                    "tidemark reconcile %s/r.json --embedded --brokers %s --registry "
                    "http://127.0.0.1:1 --state %s "
                    "--salesforce-url %s",
                    folder, kafka.line, folder, org.line);
    tm_test_server_stop(&org);
    tm_test_server_stop(&kafka);
    tm_test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gap_event_becomes_an_alert_and_sigterm_ends_the_station),
        cmocka_unit_test(what_users_get_wrong_is_named),
        cmocka_unit_test(a_wrong_password_is_told_before_the_first_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
