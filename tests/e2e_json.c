/* e2e_json: every command is asked with --json. Those that print for a machine answer with JSON
 * alone on stdout, and say so in their help; all others refuse the flag. */
#include "support_command.h"
#include "support_run.h"
#include <jansson.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define LIMIT_S 120
#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Every command that prints for a machine, and how it is called: each %s is the folder. */
struct call {
    const char *command, *arguments;
    const char *key; /* of the object it prints */
    bool serves;     /* until it is told to end */
};
static const struct call calls[] = {
    { "run", "%s/scenarios/tiny.json --out %s/real", "pipelines", false },
    { "simulate", "%s/scenarios/tiny.json --out %s/other", "pipelines", false },
    { "simulate", "--seeds 1..3 --out %s/seeds", "seeds", false },
    { "check", "--org %s/day/org.db --warehouse %s/day/view.db --relations %s/map.json", "objects",
      false },
    { "test", "undelete_after_delete_restores_every_field", "cases", false },
    { "report", "--history %s/history.db %s/day", "groups", false },
    { "why", "%s/day $(cat %s/record)", "pipelines", false },
    { "compare", "%s/day %s/day --exact", "verdict", false },
    { "sweep", "--intervals 10m --modes incremental --out %s/sweep", "points", false },
    { "clock", "--salesforce-url $(cat %s/url)", "offset_ns", false },
    { "kafka", "--wait 10 --brokers $(cat %s/brokers)", "cluster", false },
    { "serve", "--port 0", "consumer_secret", true },
    { "kafka", "", "bootstrap", true },
    { "registry", "--port 0", "url", true },
};
#define CALLS (sizeof calls / sizeof calls[0])

static char folder[80];
static struct tm_test_server org, broker;

static void filled(char out[400], const char *arguments)
{
    size_t n = 0;
    for (; *arguments != '\0'; arguments++)
        if (strncmp(arguments, "%s", 2) == 0) {
            n += (size_t)snprintf(out + n, 400 - n, "%s", folder);
            arguments++;
        } else if (n + 1 < 400) {
            out[n++] = *arguments;
        }
    out[n] = '\0';
}

/* The first record that the day's org changed. */
static void pick_a_record(void)
{
    char path[120], text[200] = "";
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    snprintf(path, sizeof path, "%s/day/run.db", folder);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT object||'/'||id FROM change LIMIT 1", -1, &stmt, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    snprintf(text, sizeof text, "%s", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    tm_test_write_file(folder, "record", text);
}

static int stand(void **state)
{
    char scenario[128];
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_run_tiny(folder, scenario);
    struct tm_test_output o =
        tm_test_command(LIMIT_S, "tidemark simulate %s --out %s/day", scenario, folder);
    tm_test_output_free(&o);
    pick_a_record();
    org = tm_test_server_start("tidemark serve --port 0 --quiet");
    broker = tm_test_server_start("tidemark kafka");
    tm_test_write_file(folder, "url", org.line);
    tm_test_write_file(folder, "brokers", broker.line);
    tm_test_write_file(folder, "map.json",
                       "{\"Account\": {\"query\": \"SELECT Id, Name FROM Account\"}}");
    return 0;
}

static int no_stand(void **state)
{
    (void)state;
    tm_test_server_stop(&org);
    tm_test_server_stop(&broker);
    tm_test_folder_remove(folder);
    return 0;
}

/* JSON and nothing else; the caller owns it. */
static json_t *only_json(const struct call *c, const char *text)
{
    json_error_t error;
    json_t *said = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (said == NULL)
        fail_msg("%s %s --json prints no JSON: %s in %.300s", c->command, c->arguments, error.text,
                 text);
    if (json_object_get(said, c->key) == NULL)
        fail_msg("%s %s --json: no \"%s\" in %.300s", c->command, c->arguments, c->key, text);
    return said;
}

static void what_is_printed_for_a_machine_is_json_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < CALLS; i++) {
        const struct call *c = &calls[i];
        char arguments[400];
        filled(arguments, c->arguments);
        if (c->serves) {
            struct tm_test_server s =
                tm_test_server_start("tidemark %s --json %s", c->command, arguments);
            json_decref(only_json(c, s.line));
            tm_test_server_stop(&s);
            continue;
        }
        struct tm_test_output o =
            tm_test_command(LIMIT_S, "tidemark %s --json %s", c->command, arguments);
        if (o.code != 0 && o.code != 1)
            fail_msg("%s %s: exit %d: %s", c->command, arguments, o.code, o.err);
        json_decref(only_json(c, o.out));
        tm_test_output_free(&o);
    }
}

static bool printed_for_a_machine(const char *command)
{
    for (size_t i = 0; i < CALLS; i++)
        if (strcmp(calls[i].command, command) == 0)
            return true;
    return false;
}

/* The commands are those that `tidemark help` lists, so that none is forgotten. */
static void every_command_tells_in_its_help_whether_it_has_json_and_else_refuses_it(void **state)
{
    struct tm_test_output list = tm_test_command(LIMIT_S, "tidemark help");
    char *rest = list.out, *line;
    size_t with = 0, without = 0;
    (void)state;
    while ((line = strtok_r(rest, "\n", &rest)) != NULL) {
        char command[40];
        if (strncmp(line, "  ", 2) != 0 || sscanf(line, "  %39s", command) != 1)
            continue;
        struct tm_test_output help = tm_test_command(LIMIT_S, "tidemark %s --help", command);
        assert_int_equal(help.code, 0);
        bool told = strstr(help.out, "  --json ") != NULL;
        if (told != printed_for_a_machine(command))
            fail_msg("%s: its help %s --json", command, told ? "names" : "does not name");
        if (!told)
            tm_test_refused(64, WORDS(command, "has no --json"), LIMIT_S, "tidemark %s --json",
                            command);
        with += told;
        without += !told;
        tm_test_output_free(&help);
    }
    assert_int_equal(with, 12);
    assert_true(without >= 7); /* the stations */
    tm_test_output_free(&list);
}

static void json_where_a_call_prints_nothing_for_a_machine_is_refused(void **state)
{
    (void)state;
    tm_test_refused(64, WORDS("--json goes with --history", "/day/report.json"), LIMIT_S,
                    "tidemark report %s/day --json", folder);
    tm_test_refused(64, WORDS("--json", "did you mean"), LIMIT_S, "tidemark clock --jsn");
    tm_test_refused(64, WORDS("either"), LIMIT_S, "tidemark serve --json --quiet");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_for_a_machine_is_json_and_nothing_else),
        cmocka_unit_test(every_command_tells_in_its_help_whether_it_has_json_and_else_refuses_it),
        cmocka_unit_test(json_where_a_call_prints_nothing_for_a_machine_is_refused),
    };
    return cmocka_run_group_tests(tests, stand, no_stand);
}
