/* A real broker that speaks TLS only and wants a user, by PLAIN or by SCRAM: a whole run goes
 * through it with the properties of --kafka-properties, and who comes with other ones is told what
 * is wrong. */
#include "support_command.h"
#include "support_real.h"
#include "support_run.h"
#include "topic/topic.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
static char folder[64];
static struct tm_test_broker broker;

static void client(const char *name, const char *mechanism, const char *user, const char *password,
                   const char *ca)
{
    char text[600];
    snprintf(text, sizeof text,
             "security.protocol=SASL_SSL\nsasl.mechanism=%s\nsasl.username=%s\n"
             "sasl.password=%s\nssl.ca.location=%s/%s\n",
             mechanism, user, password, folder, ca);
    tm_test_write_file(folder, name, text);
}

static void shell(const char *fmt, const char *one, const char *two)
{
    char command[900];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(command, sizeof command, fmt, one, two);
#pragma GCC diagnostic pop
    assert_int_equal(system(command), 0);
}

/* A self-signed certificate for 127.0.0.1, and another that nobody trusts. */
static void certificates(void)
{
    static const char *const names[] = { "server", "other" };
    for (int i = 0; i < 2; i++) {
        shell("keytool -genkeypair -alias broker -keyalg EC -validity 2 -dname CN=127.0.0.1 -ext "
              "SAN=IP:127.0.0.1 -storetype PKCS12 -storepass secret -keystore %s/%s.p12 2>&1 | "
              "grep -i exception; test $? -eq 1",
              folder, names[i]);
        shell("cd %1$s && keytool -exportcert -rfc -alias broker -storepass secret -keystore "
              "%2$s.p12 >%2$s.pem 2>/dev/null",
              folder, names[i]);
    }
}

static int setup(void **state)
{
    static char server_path[100], client_path[100];
    char text[2000];
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_broker_new(&broker, folder);
    certificates();
    snprintf(
        text, sizeof text,
        "listeners=SASL_SSL://127.0.0.1:%1$d,CONTROLLER://127.0.0.1:%2$d\n"
        "advertised.listeners=SASL_SSL://127.0.0.1:%1$d\n"
        "listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT\n"
        "inter.broker.listener.name=SASL_SSL\n"
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512\nsasl.mechanism.inter.broker.protocol=PLAIN\n"
        "listener.name.sasl_ssl.plain.sasl.jaas.config="
        "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"admin\" "
        "password=\"tide\" user_admin=\"tide\" user_guest=\"guest\";\n"
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config="
        "org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
        "ssl.keystore.type=PKCS12\nssl.keystore.location=%3$s/server.p12\n"
        "ssl.keystore.password=secret\nssl.key.password=secret\n"
        "ssl.truststore.type=PKCS12\nssl.truststore.location=%3$s/server.p12\n"
        "ssl.truststore.password=secret\n"
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
        "super.users=User:admin;User:ANONYMOUS\n",
        broker.port, broker.port + 1, folder);
    tm_test_write_file(folder, "server.properties", text);
    client("admin.properties", "PLAIN", "admin", "${env:TIDEMARK_TEST_TIDE}", "server.pem");
    client("wrong.properties", "PLAIN", "admin", "ebb-and-flow", "server.pem");
    client("guest.properties", "PLAIN", "guest", "guest", "server.pem");
    client("other.properties", "PLAIN", "admin", "${env:TIDEMARK_TEST_TIDE}", "other.pem");
    client("scram.properties", "SCRAM-SHA-512", "moon", "${env:TIDEMARK_TEST_TIDE}", "server.pem");
    client("unscram.properties", "SCRAM-SHA-512", "moon", "sun", "server.pem");
    setenv("TIDEMARK_TEST_TIDE", "tide", 1);
    setenv("BROKER_SCRAM", "SCRAM-SHA-512=[name=moon,password=tide]", 1);
    snprintf(server_path, sizeof server_path, "%s/server.properties", folder);
    snprintf(client_path, sizeof client_path, "%s/admin.properties", folder);
    broker.properties = server_path;
    broker.client = client_path;
    tm_test_broker_start(&broker);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tm_test_broker_kill(&broker);
    if (getenv("TIDEMARK_KEEP") == NULL)
        tm_test_folder_remove(folder);
    return 0;
}

static void a_whole_run_goes_over_tls_and_sign_in(void **state)
{
    char scenario[128], path[128];
    (void)state;
    tm_test_run_tiny(folder, scenario);
    snprintf(path, sizeof path, "%s/admin.properties", folder);
    setenv("TIDEMARK_BROKERS", broker.address, 1);
    setenv("TIDEMARK_KAFKA_PROPERTIES", path, 1);
    struct tm_test_run run = tm_test_run_start(scenario);
    int code = tm_test_run_wait(&run);
    unsetenv("TIDEMARK_KAFKA_PROPERTIES");
    json_t *report = tm_test_run_report(&run), *p;
    size_t i;
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        const json_t *drift = json_object_get(p, "drift");
        if (json_integer_value(json_object_get(drift, "final_rows")) != 0 ||
            json_integer_value(json_object_get(drift, "dirty")) != 0)
            fail_msg("exit %d, not equal at the end:\n%s", code, tm_test_run_said(&run));
    }
    assert_non_null(
        strstr(json_string_value(json_object_get(json_object_get(report, "environment"), "broker")),
               broker.address));
    json_decref(report);
    tm_test_run_forget(&run);
}

static void refused(int code, const char *properties, const char *const *words)
{
    tm_test_refused(code, words, 60, "tidemark kafka --wait 8 --brokers %s %s%s%s%s",
                    broker.address, properties != NULL ? "--kafka-properties " : "",
                    properties != NULL ? folder : "", properties != NULL ? "/" : "",
                    properties != NULL ? properties : "");
}

static void who_comes_with_other_properties_is_told_what_is_wrong(void **state)
{
    (void)state;
    refused(64, "wrong.properties", WORDS("sign-in", broker.address));
    refused(64, "other.properties", WORDS("certificate", broker.address));
    refused(2, NULL, WORDS(broker.address));
}

/* The client library of a distribution may be too old for the broker's SCRAM: then it is named. */
static void scram_signs_in_or_the_library_that_cannot_is_named(void **state)
{
    const char *version = getenv("KAFKA_VERSION");
    int major = 0, minor = 0, patch = 0;
    (void)state;
    sscanf(tm_topic_kafka_client(), "%d.%d.%d", &major, &minor, &patch);
    bool old = major * 10000 + minor * 100 + patch < 20601;
    refused(64, "unscram.properties", WORDS("sign-in", broker.address));
    if (old && version != NULL && atoi(version) >= 4) {
        refused(64, "scram.properties",
                WORDS("SCRAM", "librdkafka 2.6.1", tm_topic_kafka_client()));
        return;
    }
    struct tm_test_output o =
        tm_test_command(60, "tidemark kafka --wait 8 --brokers %s --kafka-properties %s/%s",
                        broker.address, folder, "scram.properties");
    if (o.code != 0 || strstr(o.out, "cluster ") == NULL)
        fail_msg("exit %d: %s", o.code, o.out);
    tm_test_output_free(&o);
}

static void a_user_without_rights_is_told_which(void **state)
{
    char config[200];
    (void)state;
    snprintf(config, sizeof config, "{\"topics\": \"tide.nowhere\"}");
    tm_test_write_file(folder, "sink.json", config);
    tm_test_refused(64, WORDS("may not create topic tide.nowhere", "READ"), 60,
                    "tidemark sink %s/sink.json --warehouse %s/raw.db --brokers %s "
                    "--kafka-properties %s/guest.properties",
                    folder, folder, broker.address, folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_run_goes_over_tls_and_sign_in),
        cmocka_unit_test(who_comes_with_other_properties_is_told_what_is_wrong),
        cmocka_unit_test(scram_signs_in_or_the_library_that_cannot_is_named),
        cmocka_unit_test(a_user_without_rights_is_told_which),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
