/* `tidemark batch` and `tidemark report` as a user has them: against the mock org on loopback, and
 * with input that is wrong. */
#include "tests/support_command.h"
#include "base/sql.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 20

static char folder[200];
static struct tm_test_server server;

static int world_open(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_write_file(folder, "small.json",
                       "{\"hours\":0.05,\"compress\":60,\"workload\":{\"changes\":60,\"records\":"
                       "60,\"shape\":\"flat\",\"kinds\":{\"update\":1,\"create\":1}}}");
    tm_test_write_file(
        folder, "lead.json",
        "{\"salesforce.username\":\"integration@tidemark.example\","
        "\"salesforce.password\":\"tidemark\",\"salesforce.password.token\":\"TOKEN\","
        "\"salesforce.consumer.key\":\"tidemark-consumer-key\","
        "\"salesforce.consumer.secret\":\"tidemark-consumer-secret\","
        "\"objects\":\"Account,Lead\",\"interval.ms\":1000}");
    server =
        tm_test_server_start("tidemark serve --port 0 --quiet --scenario %s/small.json", folder);
    setenv("TIDEMARK_SALESFORCE_URL", server.line, 1);
    setenv("TIDEMARK_SALESFORCE_USERNAME", "integration@tidemark.example", 1);
    setenv("TIDEMARK_SALESFORCE_PASSWORD", "tidemark", 1);
    setenv("TIDEMARK_SALESFORCE_TOKEN", "TOKEN", 1);
    setenv("TIDEMARK_SALESFORCE_CLIENT_ID", "tidemark-consumer-key", 1);
    setenv("TIDEMARK_SALESFORCE_CLIENT_SECRET", "tidemark-consumer-secret", 1);
    return 0;
}

static int world_close(void **state)
{
    (void)state;
    tm_test_server_stop(&server);
    tm_test_folder_remove(folder);
    return 0;
}

#define REFUSED(code, text, ...)                                                                   \
    do {                                                                                           \
        const char *const texts[] = { text, NULL };                                                \
        tm_test_refused(code, texts, SECONDS_MAX, __VA_ARGS__);                                    \
    } while (0)

static void a_preset_loads_the_org_and_ends_cleanly_when_told_to(void **state)
{
    (void)state;
    struct tm_err err = { .code = TM_OK };
    char path[240];
    sqlite3 *db = NULL;
    int64_t rows = 0, loads = 0;
    /* SIGTERM after the first load: the exit is a clean one */
    struct tm_test_output o = tm_test_command(
        SECONDS_MAX,
        "tidemark batch fixtures/batch/best.json --warehouse %s/best.db 2>%s/best.log & P=$!; "
        "until grep -q 'first load of User' %s/best.log; do kill -0 $P || exit 9; sleep 0.1; done; "
        "kill $P; wait $P",
        folder, folder, folder);
    assert_int_equal(o.code, 0);
    tm_test_output_free(&o);
    snprintf(path, sizeof path, "%s/best.db", folder);
    assert_int_equal(tm_sql_open(&db, path, TM_SQL_WRITE, &err), TM_OK);
    assert_int_equal(tm_sql_int64(&rows, db,
                                  "SELECT (SELECT count(*) FROM Account) + (SELECT count(*) FROM "
                                  "Opportunity) + (SELECT count(*) FROM User)",
                                  &err),
                     TM_OK);
    assert_int_equal(
        tm_sql_int64(&loads, db, "SELECT count(*) FROM _polls WHERE mode = 'initial'", &err),
        TM_OK);
    assert_true(rows >= 60);
    assert_int_equal(loads, 3);
    tm_sql_close(db);
}

static void a_wrong_password_ends_with_usage_and_the_words_of_the_server(void **state)
{
    (void)state;
    REFUSED(
        64, "refused",
        "TIDEMARK_SALESFORCE_PASSWORD=wrong; export TIDEMARK_SALESFORCE_PASSWORD; tidemark batch "
        "fixtures/batch/naive.json --warehouse %s/w.db",
        folder);
}

static void an_unknown_object_is_named(void **state)
{
    (void)state;
    REFUSED(64, "\"Lead\"", "tidemark batch %s/lead.json --warehouse %s/l.db", folder, folder);
}

static void missing_arguments_and_unwritable_places_are_told(void **state)
{
    (void)state;
    REFUSED(64, "no preset given", "tidemark batch");
    REFUSED(64, "--warehouse", "tidemark batch fixtures/batch/best.json");
    REFUSED(64, "/nope.json", "tidemark batch /nope.json --warehouse %s/x.db", folder);
    REFUSED(64, "/nope/x.db", "tidemark batch fixtures/batch/best.json --warehouse /nope/x.db");
    REFUSED(64, "did you mean --warehouse",
            "tidemark batch fixtures/batch/best.json --warehose x.db");
}

static void a_database_of_something_else_is_not_written_into(void **state)
{
    char path[300];
    sqlite3 *db = NULL;
    (void)state;
    snprintf(path, sizeof path, "%s/theirs.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE Account(mine)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    REFUSED(64, "theirs.db is a database of something else",
            "tidemark batch fixtures/batch/best.json --warehouse %s", path);
}

static void report_of_a_run_that_is_not_there_is_refused(void **state)
{
    (void)state;
    REFUSED(64, "no run given", "tidemark report");
    REFUSED(64, "report.json", "tidemark report %s", folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_preset_loads_the_org_and_ends_cleanly_when_told_to),
        cmocka_unit_test(a_wrong_password_ends_with_usage_and_the_words_of_the_server),
        cmocka_unit_test(an_unknown_object_is_named),
        cmocka_unit_test(missing_arguments_and_unwritable_places_are_told),
        cmocka_unit_test(a_database_of_something_else_is_not_written_into),
        cmocka_unit_test(report_of_a_run_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, world_open, world_close);
}
