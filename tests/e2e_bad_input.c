/* Wrong input, from a user's side: each is refused with a message that says what and where, and the
 * right exit code. */
#include "support_command.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define CREDENTIALS                                                                                \
    "TIDEMARK_SALESFORCE_URL=http://127.0.0.1:1 "                                                  \
    "TIDEMARK_SALESFORCE_USERNAME=integration@tidemark.example "                                   \
    "TIDEMARK_SALESFORCE_PASSWORD=tidemark "                                                       \
    "TIDEMARK_SALESFORCE_TOKEN=TOKEN TIDEMARK_SALESFORCE_CLIENT_ID=tidemark-consumer-key "         \
    "TIDEMARK_SALESFORCE_CLIENT_SECRET=tidemark-consumer-secret "
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
#define TEXTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void left_nothing(const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (access(path, F_OK) == 0)
        fail_msg("%s was left behind", path);
}

static void an_unknown_command_is_answered_with_the_nearest(void **state)
{
    (void)state;
    tm_test_refused(64, TEXTS("recncile", "reconcile"), 10, "tidemark recncile x.json");
}
/* The parser asserts that the text names every flag the command has of its own. */
static void every_command_explains_itself_with_an_example(void **state)
{
    static const char *const commands[] = { "run",   "serve",  "kafka",     "registry", "source",
                                            "gap",   "sink",   "reconcile", "view",     "batch",
                                            "check", "report", "simulate",  "test",     "why",
                                            "sweep", "compare" };
    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct tm_test_output o = tm_test_command(10, "tidemark %s --help", commands[i]);
        if (o.code != 0 || strstr(o.out, "\nExample: tidemark ") == NULL)
            fail_msg("%s --help: exit %d\n%s%s", commands[i], o.code, o.out, o.err);
        tm_test_output_free(&o);
    }
}
static void comparisons_sweeps_and_histories_refuse_what_they_cannot_use(void **state)
{
    (void)state;
    tm_test_refused(64, TEXTS("two sides are compared"), 10, "tidemark compare one");
    tm_test_refused(64, TEXTS("BASE", "/nowhere", "No such file"), 10,
                    "tidemark compare /nowhere /nowhere");
    tm_test_refused(64, TEXTS("--baseline", "/nowhere"), 10,
                    "tidemark run fixtures/scenarios/short.json --baseline /nowhere --out %s/never",
                    folder);
    tm_test_refused(64, TEXTS("--intervals", "5x"), 10, "tidemark sweep --intervals 5x");
    tm_test_refused(64, TEXTS("--modes", "fast"), 10, "tidemark sweep --modes fast");
    tm_test_write_file(folder, "object.json", "{\"nme\": \"no report\"}");
    tm_test_refused(64, TEXTS("--baseline", "object.json", "lacks \"tidemark\""), 10,
                    "tidemark run fixtures/scenarios/short.json --baseline %s/object.json --out "
                    "%s/never",
                    folder, folder);
    tm_test_refused(64, TEXTS("Account.json", "unknown key"), 10,
                    "tidemark sweep fixtures/objects/Account.json");
    tm_test_refused(64, TEXTS("object.json", "unknown key \"nme\""), 10,
                    "tidemark sweep %s/object.json", folder);
    tm_test_refused(64, TEXTS("/nowhere/part.db", "tidemark check --part"), 10,
                    "tidemark check --merge /nowhere --org x.db --out %s/merged", folder);
    left_nothing("merged");
    tm_test_refused(64, TEXTS("unexpected argument \"b\""), 10, "tidemark report a b");
    tm_test_refused(64, TEXTS("frobnicate"), 10, "tidemark help frobnicate");
}
static void a_missing_scenario_is_named(void **state)
{
    (void)state;
    tm_test_refused(64, TEXTS("nosuch.json"), 10, "tidemark run nosuch.json --out %s/run", folder);
}
static void malformed_json_is_named_with_its_line(void **state)
{
    (void)state;
    tm_test_write_file(folder, "bad.json", "{\n \"seed\": 1,\n \"hours\": }\n");
    tm_test_refused(64, TEXTS("bad.json:3:"), 10, "tidemark run %s/bad.json --out %s/run", folder,
                    folder);
}
static void an_unknown_scenario_key_is_answered_with_the_nearest(void **state)
{
    (void)state;
    tm_test_write_file(folder, "key.json", "{\"seed\": 1, \"compres\": 10}");
    tm_test_refused(64, TEXTS("key.json", "compres", "compress"), 10,
                    "tidemark run %s/key.json --out %s/run", folder, folder);
}
static void an_output_folder_that_cannot_be_written_is_named(void **state)
{
    (void)state;
    tm_test_refused(64, TEXTS("/proc/nowhere", "--out"), 20,
                    "tidemark run fixtures/scenarios/short.json --out /proc/nowhere");
}
static void an_unknown_flag_is_answered_with_the_nearest(void **state)
{
    (void)state;
    tm_test_refused(64, TEXTS("--sed", "--seed"), 10, "tidemark run --sed 4");
}
static void a_missing_credential_variable_is_named(void **state)
{
    (void)state;
    tm_test_refused(
        64, TEXTS("TIDEMARK_SALESFORCE_USERNAME"), 10,
        "env -u TIDEMARK_SALESFORCE_USERNAME TIDEMARK_SALESFORCE_URL=http://127.0.0.1:1 tidemark "
        "source fixtures/connectors/source-opportunity.json "
        "--brokers 127.0.0.1:1 --registry http://127.0.0.1:1");
}
static void an_unknown_connector_key_is_answered_with_the_nearest(void **state)
{
    (void)state;
    tm_test_write_file(folder, "source.json",
                       "{\"name\": \"x\", \"salesforce.cdc.nane\": \"OpportunityChangeEvent\"}");
    tm_test_refused(
        64, TEXTS("source.json", "salesforce.cdc.nane", "salesforce.cdc.name"), 10,
        CREDENTIALS
        "tidemark source %s/source.json --brokers 127.0.0.1:1 --registry http://127.0.0.1:1",
        folder);
}
static void an_unreachable_broker_is_named(void **state)
{
    (void)state;
    tm_test_refused(2, TEXTS("127.0.0.1:1"), 60,
                    CREDENTIALS
                    "tidemark sink fixtures/connectors/sink-bigquery.json --brokers 127.0.0.1:1 "
                    "--registry http://127.0.0.1:1 --warehouse %s/raw.db",
                    folder);
}
/* A run finds out before it starts anything, and leaves no folder. */
static void a_broker_or_registry_that_does_not_answer_is_named_by_its_flag(void **state)
{
    (void)state;
    struct tm_test_server org = tm_test_server_start("tidemark serve --port 0 --quiet");
    char line[128];
    tm_test_refused(64, TEXTS("--brokers", "127.0.0.1:1", "is it running"), 30,
                    "tidemark run fixtures/scenarios/short.json --out %s/run --brokers 127.0.0.1:1",
                    folder);
    tm_test_refused(64, TEXTS("--registry", "127.0.0.1:1", "is it running?"), 30,
                    "tidemark run fixtures/scenarios/short.json --out %s/run --registry "
                    "http://u:s3cret@127.0.0.1:1",
                    folder);
    tm_test_refused(64, TEXTS("--registry", "answers 4", "address of a schema registry"), 30,
                    "tidemark run fixtures/scenarios/short.json --out %s/run --registry %s", folder,
                    org.line);
    tm_test_refused(64, TEXTS("--registry", "ftp://x"), 30,
                    "tidemark run fixtures/scenarios/short.json --out %s/run --registry ftp://x",
                    folder);
    snprintf(line, sizeof line, "%s/run", folder);
    assert_int_not_equal(access(line, F_OK), 0);
    assert_int_equal(tm_test_server_stop(&org), 0);
}
static void a_wrong_password_is_told_in_the_servers_words_and_never_printed(void **state)
{
    (void)state;
    struct tm_test_server org =
        tm_test_server_start("tidemark serve --port 0 --quiet --org %s/org.db", folder);
    struct tm_test_server kafka =
        tm_test_server_start("tidemark kafka --topics tidemark.offsets:1");
    struct tm_test_server registry = tm_test_server_start("tidemark registry --port 0");
    struct tm_test_output o =
        tm_test_command(60,
                        CREDENTIALS "TIDEMARK_SALESFORCE_PASSWORD=wr0ngSecret tidemark source "
                                    "fixtures/connectors/source-opportunity.json --embedded "
                                    "--brokers %s --registry %s --salesforce-url %s --state %s/s",
                        kafka.line, registry.line, org.line, folder);
    tm_test_server_stop(&org);
    tm_test_server_stop(&kafka);
    tm_test_server_stop(&registry);
    assert_int_equal(o.code, 64);
    assert_non_null(strstr(o.err, "invalid_grant"));
    assert_null(strstr(o.err, "wr0ngSecret"));
    tm_test_output_free(&o);
}
static void output_that_cannot_be_written_is_no_success(void **state)
{
    static const char *const commands[] = { "--help", "run --help", "help" };
    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct tm_test_output o = tm_test_command(10, "( tidemark %s >/dev/full )", commands[i]);
        if (o.code != 2)
            fail_msg("%s: exit %d, 2 expected", commands[i], o.code);
        tm_test_output_free(&o);
    }
    tm_test_refused(2, TEXTS("No space left on device"), 10, "( tidemark help >/dev/full )");
}
static void a_view_says_for_which_file_it_waits(void **state)
{
    (void)state;
    tm_test_write_file(folder, "view.json", "{\"objects\": \"Account\"}");
    tm_test_refused(
        0, TEXTS("waiting for the sink to make", "/nosuch.db"), 20,
        "timeout --preserve-status 1 tidemark view %s/view.json --warehouse %s/view.db --raw "
        "%s/nosuch.db",
        folder, folder, folder);
}
static void a_port_in_use_is_named(void **state)
{
    (void)state;
    struct tm_test_server registry = tm_test_server_start("tidemark registry --port 0");
    const char *port = strrchr(registry.line, ':') + 1;
    tm_test_refused(64, TEXTS(port, "in use"), 20, "tidemark registry --port %s", port);
    tm_test_refused(64, TEXTS(port, "in use"), 60,
                    "tidemark serve --port %s --quiet --org %s/port.db", port, folder);
    assert_int_equal(tm_test_server_stop(&registry), 0);
}
/* Each command that keeps a database: another kind of file in its place is the user's mistake. */
static void an_org_that_cannot_be_made_leaves_no_file_behind(void **state)
{
    (void)state;
    tm_test_refused(64, TEXTS("/nowhere", "objects folder"), 10,
                    "tidemark serve --quiet --port 0 --objects /nowhere --org %s/half.db", folder);
    left_nothing("half.db");
    left_nothing("half.db-wal");
}
static void a_file_that_is_no_database_is_named_and_left_as_it_is(void **state)
{
    static const char garbage[] = "minutes of the harbour board, not a database of any kind\n";
    static const char *const commands[] = {
        "serve --quiet --port 0 --org",
        "batch fixtures/batch/best.json --warehouse",
        "sink fixtures/connectors/sink-bigquery.json --brokers 127.0.0.1:1 --registry "
        "http://127.0.0.1:1 --warehouse",
        "view fixtures/connectors/view.json --brokers 127.0.0.1:1 --registry http://127.0.0.1:1 "
        "--objects fixtures/objects --warehouse",
    };
    char line[200], text[sizeof garbage] = "";
    (void)state;
    tm_test_write_file(folder, "garbage.db", garbage);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        tm_test_refused(64, TEXTS("garbage.db is not a SQLite database", "name another file"), 30,
                        CREDENTIALS "tidemark %s %s/garbage.db", commands[i], folder);
    snprintf(line, sizeof line, "%s/garbage.db", folder);
    FILE *f = fopen(line, "r");
    assert_non_null(f);
    assert_int_equal(fread(text, 1, sizeof text - 1, f), sizeof garbage - 1);
    fclose(f);
    assert_string_equal(text, garbage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_command_is_answered_with_the_nearest),
        cmocka_unit_test(every_command_explains_itself_with_an_example),
        cmocka_unit_test(comparisons_sweeps_and_histories_refuse_what_they_cannot_use),
        cmocka_unit_test(a_missing_scenario_is_named),
        cmocka_unit_test(malformed_json_is_named_with_its_line),
        cmocka_unit_test(an_unknown_scenario_key_is_answered_with_the_nearest),
        cmocka_unit_test(an_output_folder_that_cannot_be_written_is_named),
        cmocka_unit_test(an_unknown_flag_is_answered_with_the_nearest),
        cmocka_unit_test(a_missing_credential_variable_is_named),
        cmocka_unit_test(an_unknown_connector_key_is_answered_with_the_nearest),
        cmocka_unit_test(an_unreachable_broker_is_named),
        cmocka_unit_test(a_broker_or_registry_that_does_not_answer_is_named_by_its_flag),
        cmocka_unit_test(a_wrong_password_is_told_in_the_servers_words_and_never_printed),
        cmocka_unit_test(output_that_cannot_be_written_is_no_success),
        cmocka_unit_test(a_view_says_for_which_file_it_waits),
        cmocka_unit_test(a_port_in_use_is_named),
        cmocka_unit_test(an_org_that_cannot_be_made_leaves_no_file_behind),
        cmocka_unit_test(a_file_that_is_no_database_is_named_and_left_as_it_is),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
