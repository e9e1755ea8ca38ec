/* One rule for every station that speaks to Kafka: kafka.properties of its config, or
 * --kafka-properties, names a file; what stands there reaches its client, and a mistake is told
 * with file and line before anything is done. */
#include "support_command.h"
#include "mocks/kafka/embedded.h"
#include "topic/properties.h"
#include "topic/topic.h"
#include <arpa/inet.h>
#include <jansson.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define TEXTS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define ENVIRONMENT                                                                                \
    "TIDEMARK_SALESFORCE_URL=http://127.0.0.1:1 TIDEMARK_SALESFORCE_USERNAME=u "                   \
    "TIDEMARK_SALESFORCE_PASSWORD=p TIDEMARK_SALESFORCE_TOKEN=t "                                  \
    "TIDEMARK_SALESFORCE_CLIENT_ID=i TIDEMARK_SALESFORCE_CLIENT_SECRET=s "
static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    return 0;
}
static int remove_folder(void **state)
{
    (void)state;
    tm_test_folder_remove(folder);
    return 0;
}

static const struct {
    const char *command, *config;
} stations[] = {
    { "source", "source-account" }, { "gap", "gap" },   { "reconcile", "reconcile" },
    { "sink", "sink-bigquery" },    { "view", "view" },
};
#define STATIONS (sizeof stations / sizeof stations[0])

/* folder/STATION.json: the station's fixture with kafka.properties = folder/NAME. */
static void config_with(const char *config, const char *name)
{
    char path[160], file[160];
    json_error_t error;
    snprintf(path, sizeof path, "fixtures/connectors/%s.json", config);
    json_t *json = json_load_file(path, 0, &error), *inner = json_object_get(json, "config");
    assert_non_null(json);
    snprintf(file, sizeof file, "%s/%s", folder, name);
    json_object_set_new(inner != NULL ? inner : json, "kafka.properties", json_string(file));
    snprintf(path, sizeof path, "%s/%s.json", folder, config);
    assert_int_equal(json_dump_file(json, path, 0), 0);
    json_decref(json);
}

/* The station is refused with these texts; `where` = its config, and what flags there are. */
static void refused(size_t at, int code, const char *const *texts, const char *where)
{
    tm_test_refused(code, texts, 60,
                    ENVIRONMENT
                    "tidemark %s %s --state %s/state --warehouse %s/%s.db --objects "
                    "fixtures/objects --brokers 127.0.0.1:1 --registry http://127.0.0.1:1",
                    stations[at].command, where, folder, folder, stations[at].command);
}

static void an_unknown_property_stops_every_station_with_file_and_line(void **state)
{
    char where[256];
    (void)state;
    tm_test_write_file(folder, "typo.properties",
                       "# sign-in\n\nsecurity.protocol=plaintext\nsasl.usrname=me\n");
    for (size_t i = 0; i < STATIONS; i++) {
        config_with(stations[i].config, "typo.properties");
        snprintf(where, sizeof where, "%s/%s.json", folder, stations[i].config);
        refused(i, 64,
                TEXTS("kafka.properties", "typo.properties:4",
                      "No such configuration property: \"sasl.usrname\""),
                where);
        snprintf(where, sizeof where,
                 "fixtures/connectors/%s.json --kafka-properties %s/typo.properties",
                 stations[i].config, folder);
        refused(i, 64, TEXTS("--kafka-properties", "typo.properties:4", "sasl.usrname"), where);
    }
}

/* The first byte that somebody sends to the listener; -1 = nobody within 20 s. */
static int first_byte(int listener)
{
    unsigned char byte = 0;
    struct pollfd wait = { listener, POLLIN, 0 };
    int peer = poll(&wait, 1, 20000) == 1 ? accept(listener, NULL, NULL) : -1;
    wait.fd = peer;
    bool got = peer >= 0 && poll(&wait, 1, 20000) == 1 && read(peer, &byte, 1) == 1;
    if (peer >= 0)
        close(peer);
    return got ? byte : -1;
}

/* Only a client that was told of TLS begins with a TLS handshake. */
static void what_the_file_says_reaches_the_client_of_every_station(void **state)
{
    (void)state;
    tm_test_write_file(folder, "tls.properties", " security.protocol = ssl \r\n");
    for (size_t i = 0; i < STATIONS; i++) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t bytes = sizeof address;
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&address, bytes), 0);
        assert_int_equal(listen(listener, 8), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
        config_with(stations[i].config, "tls.properties");
        struct tm_test_server station = tm_test_server_start(
            "echo up; " ENVIRONMENT
            "tidemark %s %s/%s.json --state %s/state --warehouse %s/%s.db --objects "
            "fixtures/objects --brokers 127.0.0.1:%d --registry http://127.0.0.1:1 2>/dev/null",
            stations[i].command, folder, stations[i].config, folder, folder, stations[i].command,
            ntohs(address.sin_port));
        int byte = first_byte(listener);
        close(listener);
        kill(station.pid, SIGKILL);
        tm_test_server_stop(&station);
        if (byte != 0x16)
            fail_msg("%s: first byte %d, 22 (a TLS handshake) expected", stations[i].command, byte);
    }
}

static void a_run_checks_the_file_before_it_starts_anything(void **state)
{
    char run[96];
    (void)state;
    tm_test_write_file(folder, "bad.properties", "security.protocol=quick\n");
    tm_test_refused(64,
                    TEXTS("--kafka-properties", "bad.properties:1",
                          "Invalid value \"quick\" for configuration property"),
                    30,
                    "tidemark run fixtures/scenarios/short.json --out %s/run --kafka-properties "
                    "%s/bad.properties",
                    folder, folder);
    snprintf(run, sizeof run, "%s/run", folder);
    assert_int_not_equal(access(run, F_OK), 0);
}

static enum tm_code load(struct tm_properties *out, const char *text, struct tm_err *err)
{
    char path[96];
    tm_test_write_file(folder, "x.properties", text);
    snprintf(path, sizeof path, "%s/x.properties", folder);
    tm_err_clear(err);
    return tm_properties_load(out, path, err);
}

static void bad(const char *text, const char *words)
{
    struct tm_properties p;
    struct tm_err err;
    char said[700];
    assert_int_equal(load(&p, text, &err), TM_E_ARG);
    tm_err_text(&err, said, sizeof said);
    if (strstr(said, words) == NULL || strstr(said, "x.properties") == NULL)
        fail_msg("\"%s\" expected: %s", words, said);
    assert_null(strstr(said, "s3cret"));
    assert_null(p.items);
    assert_int_equal(p.count, 0);
}

static void each_mistake_is_told_with_its_line_and_never_a_secret(void **state)
{
    struct tm_properties p;
    struct tm_err err;
    (void)state;
    bad("client.rack=a\nsasl.password s3cret\n", "x.properties:2: is not name=value");
    bad("=s3cret\n", ":1: is not name=value");
    bad("sasl.password=${env:TIDEMARK_NO_SUCH}\n", ":1: environment variable TIDEMARK_NO_SUCH");
    bad("\n\nenable.auto.commit=true\n", ":3: enable.auto.commit cannot be set here");
    bad("bootstrap.servers=a:1\n", "--brokers");
    bad("group.id=mine\n", "group.id");
    bad("tidemark.reach.ms=soon\n", ":1: tidemark.reach.ms: want 1 to 3600000 milliseconds");
    bad("security.protocol=ssl\nssl.ca.location=/no/such/ca.pem\n", "ssl.ca.location");
    bad("sasl.jaas.config=x\n", "JAAS");
    tm_err_clear(&err);
    assert_int_equal(tm_properties_load(&p, folder, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, folder));
    tm_err_clear(&err);
    assert_int_equal(tm_properties_load(&p, "/no/such/file", &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "/no/such/file: No such file or directory"));
}

static void a_good_file_is_taken_whole_and_the_broker_reached_with_it(void **state)
{
    struct tm_properties p;
    struct tm_err err;
    struct tm_embedded *broker = NULL;
    struct tm_topic *t = NULL;
    enum tm_code rc;
    (void)state;
    setenv("TIDEMARK_TEST_RACK", "left", 1);
    assert_int_equal(load(&p,
                          "! as Java writes it\nsecurity.protocol=PLAINTEXT\r\n"
                          "\tclient.rack = ${env:TIDEMARK_TEST_RACK}=side\n#x\nlinger.ms=0",
                          &err),
                     TM_OK);
    assert_int_equal(p.count, 3);
    assert_string_equal(p.items[0], "security.protocol=PLAINTEXT");
    assert_string_equal(p.items[1], "client.rack=left=side");
    assert_string_equal(p.items[2], "linger.ms=0");
    assert_int_equal(tm_embedded_open(&broker, &err), TM_OK);
    assert_int_equal(tm_embedded_topic(broker, "t", 1, &err), TM_OK);
    const struct tm_kafka_options options = { .brokers = tm_embedded_bootstrap(broker),
                                              .properties = (const char *const *)p.items,
                                              .properties_count = p.count,
                                              .embedded = true };
    assert_int_equal(tm_topic_kafka_open(&t, &options, &err), TM_OK);
    tm_properties_free(&p); /* the client has its own copy */
    while ((rc = t->ops->produce(t, "t", -1, "k", 1, "v", 1, &err)) == TM_E_AGAIN)
        poll(&(struct pollfd){ t->ops->event_fd(t), POLLIN, 0 }, 1, 100);
    assert_int_equal(rc, TM_OK);
    while ((rc = t->ops->flush(t, &err)) == TM_E_AGAIN)
        poll(&(struct pollfd){ t->ops->event_fd(t), POLLIN, 0 }, 1, 100);
    assert_int_equal(rc, TM_OK);
    t->ops->close(t);
    tm_embedded_close(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_is_told_with_its_line_and_never_a_secret),
        cmocka_unit_test(a_good_file_is_taken_whole_and_the_broker_reached_with_it),
        cmocka_unit_test(an_unknown_property_stops_every_station_with_file_and_line),
        cmocka_unit_test(what_the_file_says_reaches_the_client_of_every_station),
        cmocka_unit_test(a_run_checks_the_file_before_it_starts_anything),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
