/* `tidemark sink` and `tidemark view` as their users meet them: what they refuse and with which
 * words, and the article's config over the embedded broker and registry. */
#include "base/sql.h"
#include "support_command.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define WORDS(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define PLACES "--brokers 127.0.0.1:1 --registry http://127.0.0.1:1"
static char folder[256];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_write_file(folder, "sink.json",
                       "{\"topics\": \"sfdc.cdc.thing_raw\", \"sanitize.topics\": true}");
    tm_test_write_file(folder, "typo.json", "{\"topics\": \"t\", \"auto.create.table\": true}");
    tm_test_write_file(folder, "format.json",
                       "{\"topics\": \"t\", \"input.data.format\": \"JSON_SR\"}");
    tm_test_write_file(folder, "broken.json", "{\"topics\": ");
    tm_test_write_file(folder, "map.json", "{\"topics\": \"t\", \"topic2TableMap\": \"u:v\"}");
    tm_test_write_file(folder, "Thing.sql",
                       "CREATE VIEW Thing AS SELECT 1 AS Id, 0 AS _dirty; CREATE TABLE x(y);");
    tm_test_write_file(folder, "plain.json", "{\"topics\": \"sfdc.cdc.thing_raw\"}");
    tm_test_write_file(folder, "line.json",
                       "{\"topics\": \"sfdc.cdc.orderlineitem_raw\", \"sanitize.topics\": true}");
    tm_test_write_file(folder, "none.json",
                       "{\"topics\": \"sfdc.cdc.nothing_raw\", \"sanitize.topics\": true}");
    tm_test_write_file(folder, "OrderLineItem.sql",
                       "CREATE VIEW OrderLineItem AS SELECT 1 AS Id, 0 AS _dirty");
    tm_test_write_file(folder, "Nothing.sql",
                       "-- to be written\nCREATE VIEW Something AS SELECT 1");
    tm_test_write_file(folder, "view.json", "{\"objects\": [\"Thing\"], \"raise.no_base\": true}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tm_test_folder_remove(folder);
    return 0;
}

static void a_config_is_refused_with_file_key_and_what_to_do(void **state)
{
    (void)state;
    tm_test_refused(64, WORDS("typo.json", "auto.create.table", "auto.create.tables"), 20,
                    "tidemark sink %s/typo.json " PLACES " --warehouse %s/raw.db", folder, folder);
    tm_test_refused(64, WORDS("format.json", "input.data.format", "AVRO"), 20,
                    "tidemark sink %s/format.json " PLACES " --warehouse %s/raw.db", folder,
                    folder);
    tm_test_refused(64, WORDS("broken.json"), 20,
                    "tidemark sink %s/broken.json " PLACES " --warehouse %s/raw.db", folder,
                    folder);
    tm_test_refused(64, WORDS("map.json", "topic2TableMap", "u:v"), 20,
                    "tidemark sink %s/map.json " PLACES " --warehouse %s/raw.db", folder, folder);
    tm_test_refused(64, WORDS("CONFIG.json"), 20, "tidemark sink");
    tm_test_refused(
        64, WORDS("--brokers", "--registry", "--warehouse"), 20,
        "TIDEMARK_BROKERS= TIDEMARK_REGISTRY= TIDEMARK_WAREHOUSE= tidemark sink %s/sink.json",
        folder);
}

static void a_warehouse_that_cannot_be_written_is_named(void **state)
{
    struct tm_test_output o;
    (void)state;
    o = tm_test_command(20, "tidemark sink %s/sink.json " PLACES " --warehouse %s/none/raw.db",
                        folder, folder);
    assert_int_not_equal(o.code, 0);
    assert_non_null(strstr(o.err, "none/raw.db"));
    tm_test_output_free(&o);
}

static void view_sql_that_does_more_than_views_is_refused_before_anything_runs(void **state)
{
    (void)state;
    tm_test_refused(64, WORDS("--views", "CREATE VIEW"), 20,
                    "tidemark sink %s/sink.json " PLACES " --warehouse %s/raw.db --views %s",
                    folder, folder, folder);
    tm_test_refused(64, WORDS("nowhere/Thing.sql"), 20,
                    "tidemark sink %s/sink.json " PLACES
                    " --warehouse %s/raw.db --views %s/nowhere",
                    folder, folder, folder);
}

static void view_sql_must_make_the_relation_it_is_named_after(void **state)
{
    (void)state;
    tm_test_refused(64, WORDS("--views", "Nothing.sql", "CREATE VIEW"), 20,
                    "tidemark sink %s/none.json " PLACES " --warehouse %s/raw.db --views %s",
                    folder, folder, folder);
}

static bool told(const char *config, const char *more, const char *word)
{
    struct tm_test_output o = tm_test_command(
        20, "timeout -s TERM 1 tidemark sink %s/%s " PLACES " --warehouse %s/told.db %s%s", folder,
        config, folder, more, *more != '\0' ? folder : "");
    assert_int_equal(o.code, 124); /* it starts, and waits for its broker */
    bool found = strstr(o.err, word) != NULL;
    tm_test_output_free(&o);
    return found;
}

/* Topics are in lower case, objects are not; SQL and Salesforce do not care. */
static void view_sql_is_found_whatever_the_case_of_its_name(void **state)
{
    (void)state;
    assert_false(told("line.json", "--views ", "error"));
}

static void a_relation_that_would_stay_empty_is_told(void **state)
{
    (void)state;
    assert_true(told("plain.json", "", "sanitize.topics"));
    assert_false(told("sink.json", "", "sanitize.topics"));
}

static void the_view_wants_a_file_of_its_own_and_ports_to_ask(void **state)
{
    (void)state;
    tm_test_refused(64, WORDS("--warehouse"), 20, "TIDEMARK_WAREHOUSE= tidemark view %s/view.json",
                    folder);
    tm_test_refused(64, WORDS("one file"), 20,
                    "tidemark view %s/view.json --raw %s/raw.db --warehouse %s/raw.db", folder,
                    folder, folder);
    tm_test_refused(64, WORDS("raise.no_base", "--objects"), 20,
                    "TIDEMARK_OBJECTS= tidemark view %s/view.json " PLACES
                    " --warehouse %s/view.db",
                    folder, folder);
}

static int64_t number(const char *name, const char *sql)
{
    char path[320];
    struct tm_err err = { .code = TM_OK };
    sqlite3 *db = NULL;
    int64_t n = -1;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (tm_sql_open(&db, path, TM_SQL_READ, &err) != TM_OK ||
        tm_sql_int64(&n, db, sql, &err) != TM_OK)
        n = -1;
    tm_sql_close(db);
    return n;
}

static void the_article_config_starts_over_embedded_parts_and_views_are_there(void **state)
{
    (void)state;
    struct tm_test_server kafka = tm_test_server_start(
        "tidemark kafka --topics "
        "sfdc.cdc.user_raw:2,sfdc.cdc.opportunity_raw:2,sfdc.cdc.account_raw:2,"
        "alerts.sfdc.user_gap_events:2,alerts.sfdc.opportunity_gap_events:2,alerts.sfdc.account_"
        "gap_events:2,"
        "sfdc.recon.user:2,sfdc.recon.opportunity:2,sfdc.recon.account:2");
    struct tm_test_server registry = tm_test_server_start("tidemark registry --port 0");
    struct tm_test_output o = tm_test_command(
        20,
        "timeout -s TERM 8 tidemark sink fixtures/connectors/sink-bigquery.json "
        "--embedded --brokers %s --registry %s --warehouse %s/article.db --stats %s/stats.json",
        kafka.line, registry.line, folder, folder);
    /* stopped by timeout's TERM, after which it closed cleanly */
    assert_int_equal(o.code, 124);
    assert_non_null(strstr(o.err, "0 undecodable"));
    assert_int_equal(number("article.db", "SELECT count(*) FROM Opportunity"), 0);
    assert_int_equal(
        number("article.db", "SELECT count(*) FROM User_dirty WHERE Id='*' AND kind='copy'"), 1);
    tm_test_output_free(&o);
    tm_test_server_stop(&registry);
    tm_test_server_stop(&kafka);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_config_is_refused_with_file_key_and_what_to_do),
        cmocka_unit_test(a_warehouse_that_cannot_be_written_is_named),
        cmocka_unit_test(view_sql_that_does_more_than_views_is_refused_before_anything_runs),
        cmocka_unit_test(view_sql_must_make_the_relation_it_is_named_after),
        cmocka_unit_test(view_sql_is_found_whatever_the_case_of_its_name),
        cmocka_unit_test(a_relation_that_would_stay_empty_is_told),
        cmocka_unit_test(the_view_wants_a_file_of_its_own_and_ports_to_ask),
        cmocka_unit_test(the_article_config_starts_over_embedded_parts_and_views_are_there),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
