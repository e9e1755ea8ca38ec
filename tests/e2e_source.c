/* The source as its user runs it: real processes, the mock org, the embedded broker and registry.
 * It is killed with -9 in the middle of the stream and started again: every event of the org must
 * be in the topic, for every record id it names. */
#include "base/sql.h"
#include "topic/registry.h"
#include "topic/topic.h"
#include "tests/support_command.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RAW "sfdc.cdc.opportunity_raw"
#define LIMIT_NS (60 * TM_NS_PER_S)

struct stand {
    char folder[200];
    struct tm_test_server org, registry, broker;
    sqlite3 *db;
    struct tm_http *http;
    struct tm_registry *schemas;
    struct tm_topic *reader;
    json_t *seen; /* "replay id/record id" -> how often */
    bool joined;  /* the reader has its partitions: the marker came back */
    struct tm_err err;
};

static void must(struct stand *s, enum tm_code rc)
{
    char text[700];
    if (rc != TM_OK)
        fail_msg("%s", tm_err_text(&s->err, text, sizeof text));
}

static void stand_files(struct stand *s)
{
    tm_test_write_file(
        s->folder, "scenario.json",
        "{\"seed\":3,\"hours\":0.9,\"compress\":360,\"publish_delay\":{\"assumed\":\"1s\"},"
        "\"edition\":\"none\","
        "\"objects\":[\"Account\",\"Opportunity\",\"User\"],\"workload\":{\"changes\":1200,"
        "\"records\":500,"
        "\"kinds\":{\"create\":8,\"update\":66,\"delete\":4,\"undelete\":2,\"merged_event\":2,"
        "\"transaction\":4,"
        "\"gap_update\":1,\"overflow\":\"once\",\"conversion\":\"once\",\"field_add\":\"once\","
        "\"field_remove\":\"once\"}}}");
    tm_test_write_file(
        s->folder, "source.json",
        "{\"name\":\"s\",\"connector.class\":\"SalesforceCdcSource\",\"kafka.topic\":\"sfdc.cdc."
        "opportunity_raw\","
        "\"salesforce.instance\":\"http://"
        "replaced.by.flag\",\"salesforce.username\":\"integration@tidemark.example\","
        "\"salesforce.password\":\"tidemark\",\"salesforce.password.token\":\"TOKEN\","
        "\"salesforce.consumer.key\":\"tidemark-consumer-key\","
        "\"salesforce.consumer.secret\":\"tidemark-consumer-secret\","
        "\"salesforce.cdc.name\":\"OpportunityChangeEvent\",\"salesforce.initial.start\":\"all\","
        "\"output.data.format\":\"AVRO\",\"tasks.max\":\"1\"}");
}

static int64_t from_beginning(void *self, const char *topic, int32_t partition)
{
    (void)self;
    (void)topic;
    (void)partition;
    return TM_OFFSET_BEGINNING;
}

static void stand_open(struct stand *s)
{
    static const char *const topics[] = { RAW };
    memset(s, 0, sizeof *s);
    snprintf(s->folder, sizeof s->folder, "%s", tm_test_folder());
    stand_files(s);
    s->seen = json_object();
    s->registry = tm_test_server_start("tidemark registry");
    s->broker = tm_test_server_start("tidemark kafka --topics " RAW
                                     ":4,alerts.sfdc.opportunity_gap_events:4,tidemark.offsets:4");
    must(s, tm_http_curl_open(&s->http, "tidemark-test/1", NULL, &s->err));
    must(s, tm_registry_open(&s->schemas, s->http, s->registry.line, &s->err));
    struct tm_kafka_options options = { .brokers = s->broker.line,
                                        .client_id = "test",
                                        .group = "test",
                                        .topics = topics,
                                        .topics_count = 1,
                                        .owner = { .start = from_beginning },
                                        .embedded = true };
    must(s, tm_topic_kafka_open(&s->reader, &options, &s->err));
}

static void stand_close(struct stand *s)
{
    char path[300];
    s->reader->ops->close(s->reader);
    tm_registry_close(s->schemas);
    s->http->ops->close(s->http);
    tm_sql_close(s->db);
    assert_int_equal(tm_test_server_stop(&s->org), 0);
    assert_int_equal(tm_test_server_stop(&s->broker), 0);
    assert_int_equal(tm_test_server_stop(&s->registry), 0);
    json_decref(s->seen);
    snprintf(path, sizeof path, "%s", s->folder);
    tm_test_folder_remove(path);
}

static pid_t source_start(const struct stand *s)
{
    char config[300];
    snprintf(config, sizeof config, "%s/source.json", s->folder);
    pid_t pid = fork();
    if (pid == 0) {
        execl(tm_test_binary(), "tidemark", "source", config, "--embedded", "--brokers",
              s->broker.line, "--registry", s->registry.line, "--salesforce-url", s->org.line,
              (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

static void stand_take(struct stand *s, const struct tm_record *record)
{
    const struct tm_avro_schema *schema;
    struct tm_row row;
    int32_t id;
    char key[64];
    if (record->value_bytes == 1) {
        s->joined = true;
        return;
    }
    tm_row_init(&row);
    must(s, tm_avro_frame_id(&id, record->value, record->value_bytes, &s->err));
    for (;;) {
        struct tm_now now = { 0, tm_clock_monotonic_ns() };
        enum tm_code rc = tm_registry_schema(s->schemas, &now, &schema, id, &s->err);
        if (rc == TM_OK)
            break;
        assert_int_equal(rc, TM_E_AGAIN);
        must(s, tm_http_curl_wait(s->http, NULL, 0, 10 * TM_NS_PER_MS, &s->err));
    }
    must(s, tm_avro_decode(schema, &row, record->value, record->value_bytes, &s->err));
    snprintf(key, sizeof key, "%s/%s", tm_value_text(tm_row_get(&row, "ReplayId")),
             tm_value_text(tm_row_get(&row, "Id")));
    json_object_set_new(s->seen, key,
                        json_integer(json_integer_value(json_object_get(s->seen, key)) + 1));
    tm_row_free(&row);
}

/* One look at the topic, waiting for news no longer than 50 ms. */
static void stand_look(struct stand *s)
{
    static struct tm_record records[TM_TOPIC_FETCH_MAX];
    size_t count = 0;
    int fd = s->reader->ops->event_fd(s->reader);
    enum tm_code rc =
        s->reader->ops->fetch(s->reader, records, TM_TOPIC_FETCH_MAX, &count, &s->err);
    if (rc == TM_E_AGAIN)
        must(s, tm_http_curl_wait(s->http, &fd, 1, 50 * TM_NS_PER_MS, &s->err));
    else
        must(s, rc);
    for (size_t i = 0; i < count; i++)
        stand_take(s, &records[i]);
}

static int64_t stand_ask(struct stand *s, const char *sql)
{
    int64_t n = 0;
    char path[300];
    snprintf(path, sizeof path, "%s/org.db", s->folder);
    if (s->db == NULL)
        must(s, tm_sql_open(&s->db, path, TM_SQL_READ, &s->err));
    enum tm_code rc = tm_sql_int64(&n, s->db, sql, &s->err);
    return rc == TM_OK ? n : 0; /* busy: asked again */
}

/* How many (event, id) of the org are not in the topic yet. */
static size_t stand_missing(struct stand *s)
{
    sqlite3_stmt *stmt;
    size_t missing = 0;
    bool row;
    must(s, tm_sql_prepare(&stmt, s->db,
                           "SELECT replay_id, json_extract(body, "
                           "'$.payload.ChangeEventHeader.recordIds') FROM event "
                           "WHERE object = 'Opportunity'",
                           &s->err));
    while (tm_sql_step(stmt, &row, &s->err) == TM_OK && row) {
        json_t *ids = json_loads((const char *)sqlite3_column_text(stmt, 1), 0, NULL), *id;
        size_t i;
        assert_true(json_array_size(ids) > 0);
        json_array_foreach(ids, i, id)
        {
            char key[64];
            snprintf(key, sizeof key, "%" PRId64 "/%s", (int64_t)sqlite3_column_int64(stmt, 0),
                     json_string_value(id));
            missing += json_object_get(s->seen, key) == NULL;
        }
        json_decref(ids);
    }
    sqlite3_finalize(stmt);
    return missing;
}

static void a_source_killed_in_the_middle_loses_no_event(void **state)
{
    (void)state;
    static struct stand s;
    int status;
    stand_open(&s);
    int64_t limit_ns = tm_clock_monotonic_ns() + LIMIT_NS;
    enum tm_code marked;
    while ((marked = s.reader->ops->produce(s.reader, RAW, 0, "m", 1, "m", 1, &s.err)) ==
           TM_E_AGAIN)
        stand_look(&s);
    must(&s, marked);
    while (!s.joined && tm_clock_monotonic_ns() < limit_ns)
        stand_look(&s);
    s.org = tm_test_server_start(
        "tidemark serve --quiet --org %s/org.db --scenario %s/scenario.json", s.folder, s.folder);
    pid_t source = source_start(&s);
    while (json_object_size(s.seen) < 50 && tm_clock_monotonic_ns() < limit_ns)
        stand_look(&s);
    assert_true(json_object_size(s.seen) >= 50);
    kill(source, SIGKILL);
    waitpid(source, &status, 0);
    assert_true(WIFSIGNALED(status));
    source = source_start(&s);
    size_t missing = 1;
    while (missing > 0 && tm_clock_monotonic_ns() < limit_ns) {
        stand_look(&s);
        if (stand_ask(&s, "SELECT value = '1' FROM meta WHERE key = 'workload_done'") == 1)
            missing = stand_missing(&s);
    }
    assert_int_equal(missing, 0);
    assert_true(json_object_size(s.seen) > 200);
    assert_int_equal(waitpid(source, &status, WNOHANG), 0); /* still running, not crashed */
    kill(source, SIGTERM);
    waitpid(source, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    stand_close(&s);
}

static void a_wrong_password_is_told_and_ends_with_64(void **state)
{
    (void)state;
    static const char *const words[] = { "invalid_grant", NULL };
    struct tm_test_server org = tm_test_server_start("tidemark serve --quiet"),
                          registry = tm_test_server_start("tidemark registry");
    struct tm_test_server broker =
        tm_test_server_start("tidemark kafka --topics " RAW ":1,tidemark.offsets:1");
    tm_test_refused(
        64, words, 30,
        "TIDEMARK_SALESFORCE_URL=%s TIDEMARK_SALESFORCE_USERNAME=integration@tidemark.example "
        "TIDEMARK_SALESFORCE_PASSWORD=wrong TIDEMARK_SALESFORCE_TOKEN=TOKEN "
        "TIDEMARK_SALESFORCE_CLIENT_ID=tidemark-consumer-key "
        "TIDEMARK_SALESFORCE_CLIENT_SECRET=tidemark-consumer-secret tidemark source "
        "fixtures/connectors/source-opportunity.json --embedded --brokers %s --registry %s",
        org.line, broker.line, registry.line);
    tm_test_server_stop(&org);
    tm_test_server_stop(&registry);
    tm_test_server_stop(&broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_killed_in_the_middle_loses_no_event),
        cmocka_unit_test(a_wrong_password_is_told_and_ends_with_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
