/* The plan of a run: every mistake in a scenario is found before anything starts, and named with
 * its file and key. */
#include "base/sql.h"
#include "run/run.h"
#include "support_command.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define SIGN_IN                                                                                    \
    "\"salesforce.username\":\"u\",\"salesforce.password\":\"p\",\"salesforce.consumer.key\":"     \
    "\"k\","                                                                                       \
    "\"salesforce.consumer.secret\":\"s\""
static const char stream[] =
    "{\"name\":\"stream\",\"kind\":\"stream\",\"sources\":[\"source.json\",\"users.json\"],\"gap\":"
    "\"gap.json\","
    "\"reconcile\":\"reconcile.json\",\"sink\":\"sink.json\",\"view\":\"view.json\"%s}";
static const char bare[] = "{\"name\":\"stream\",\"kind\":\"stream\"%s}";
static const char batch[] = "{\"name\":\"hourly\",\"kind\":\"batch\",\"config\":\"batch.json\"%s}";

struct planned {
    char folder[64];
    struct tm_run run;
    struct tm_err err;
};

static void write_source(const char *path, const char *name, const char *topic, const char *object)
{
    char text[600];
    snprintf(
        text, sizeof text,
        "{\"config\":{\"tidemark.pipeline\":\"src\",\"tidemark.audit.interval.ms\":\"60000\","
        "\"kafka.topic\":\"sfdc.cdc.%s_raw\",\"salesforce.cdc.name\":\"%sChangeEvent\"," SIGN_IN
        "}}",
        topic, object);
    tm_test_write_file(path, name, text);
}

/* folder/scenarios/s.json beside folder/objects, with the configs that the pipelines above name. */
static int open_folder(void **state)
{
    static const char batch_config[] =
        "{\"name\":\"hourly\",\"interval.ms\":3600000,\"carries\":\"CREATE,UPDATE\","
        "\"objects\":\"Account,User\"," SIGN_IN "}";
    struct planned *p = calloc(1, sizeof *p);
    char path[128];
    snprintf(p->folder, sizeof p->folder, "%s", tm_test_folder());
    snprintf(path, sizeof path, "%s/objects", p->folder);
    assert_int_equal(mkdir(path, 0755), 0);
    tm_test_write_file(path, "User.json", "{}");
    tm_test_write_file(path, "Account.json", "{}");
    snprintf(path, sizeof path, "%s/scenarios", p->folder);
    assert_int_equal(mkdir(path, 0755), 0);
    tm_test_write_file(path, "batch.json", batch_config);
    write_source(path, "source.json", "account", "Account");
    write_source(path, "users.json", "user", "User");
    tm_test_write_file(path, "gap.json", "{\"objects\":\"Account,User\"}");
    tm_test_write_file(path, "reconcile.json",
                       "{\"name\":\"rec\",\"objects\":\"Account,User\"," SIGN_IN "}");
    tm_test_write_file(path, "sink.json",
                       "{\"topics\":\"sfdc.cdc.account_raw, sfdc.cdc.user_raw\"}");
    tm_test_write_file(path, "view.json", "{\"objects\":\"User,Account\"}");
    *state = p;
    return 0;
}

static void forget(struct planned *p)
{
    json_decref(p->run.scenario);
    json_decref(p->run.events);
    for (size_t i = 0; i < p->run.pipelines_count; i++) {
        json_decref(p->run.pipelines[i].carries);
        json_decref(p->run.pipelines[i].clients);
    }
    free(p->run.pipelines);
    memset(&p->run, 0, sizeof p->run);
    tm_err_clear(&p->err);
}

static int close_folder(void **state)
{
    struct planned *p = *state;
    forget(p);
    tm_test_folder_remove(p->folder);
    free(p);
    return 0;
}

/* Plans a scenario with this text; the error as text (static). */
static const char *plan(struct planned *p, const char *scenario)
{
    static char text[800];
    char path[128];
    forget(p);
    snprintf(path, sizeof path, "%s/scenarios", p->folder);
    tm_test_write_file(path, "s.json", scenario);
    snprintf(p->run.scenario_path, sizeof p->run.scenario_path, "%s/scenarios/s.json", p->folder);
    snprintf(p->run.dir, sizeof p->run.dir, "%s/out", p->folder);
    p->run.seed = -1;
    enum tm_code rc = tm_run_plan(&p->run, &p->err);
    assert_int_equal(rc, p->err.code);
    return tm_err_text(&p->err, text, sizeof text);
}

static const char *pipelines(const char *first, const char *first_more, const char *second,
                             const char *second_more)
{
    static char text[4000];
    int n = snprintf(text, sizeof text, "{\"compress\":360,\"pipelines\":[");
    n += snprintf(text + n, sizeof text - (size_t)n, first, first_more);
    if (second != NULL) {
        n += snprintf(text + n, sizeof text - (size_t)n, ",");
        n += snprintf(text + n, sizeof text - (size_t)n, second, second_more);
    }
    snprintf(text + n, sizeof text - (size_t)n, "]}");
    return text;
}

static void refused(struct planned *p, const char *scenario, const char *a, const char *b)
{
    const char *text = plan(p, scenario);
    if (p->err.code != TM_E_ARG || strstr(text, a) == NULL || strstr(text, b) == NULL)
        fail_msg("wanted %s and %s in: (%d) %s", a, b, (int)p->err.code, text);
}

static bool is_there(const struct planned *p, const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", p->folder, name);
    return access(path, F_OK) == 0;
}

static void a_good_scenario_becomes_a_plan(void **state)
{
    struct planned *p = *state;
    const char *text = plan(p, pipelines(stream, "", batch, ",\"slo\":{\"unseen\":3}"));
    if (p->err.code != TM_OK)
        fail_msg("%s", text);
    const struct tm_run *run = &p->run;
    assert_int_equal(run->seed, 1);
    assert_int_equal(run->compress, 360);
    assert_int_equal(run->objects_count, 2);
    assert_string_equal(run->objects[0], "Account");
    assert_string_equal(run->objects[1], "User");
    assert_int_equal(run->pipelines_count, 2);
    assert_int_equal(run->pipelines[0].kind, TM_RUN_STREAM);
    assert_int_equal(run->pipelines[0].interval_ms, 60000); /* its scheduled copies */
    assert_int_equal(json_array_size(run->pipelines[0].clients), 3);
    assert_string_equal(json_string_value(json_array_get(run->pipelines[0].clients, 0)),
                        "tidemark-rec/1");
    assert_string_equal(json_string_value(json_array_get(run->pipelines[0].clients, 1)),
                        "tidemark-src/1");
    assert_int_equal(run->pipelines[1].interval_ms, 3600000);
    assert_int_equal(json_array_size(run->pipelines[1].carries), 2);
    assert_int_equal(json_integer_value(json_object_get(run->pipelines[1].slo, "unseen")), 3);
    assert_true(is_there(p, "out/log"));
    assert_true(is_there(p, "out/config"));
}

static void the_seed_of_the_command_line_wins(void **state)
{
    struct planned *p = *state;
    plan(p, pipelines(batch, "", NULL, NULL));
    assert_int_equal(p->err.code, TM_OK);
    forget(p);
    snprintf(p->run.scenario_path, sizeof p->run.scenario_path, "%s/scenarios/s.json", p->folder);
    snprintf(p->run.dir, sizeof p->run.dir, "%s/other", p->folder);
    p->run.seed = 99;
    assert_int_equal(tm_run_plan(&p->run, &p->err), TM_OK);
    assert_int_equal(p->run.seed, 99);
}

static void set_changes_keys_of_a_copy_and_leaves_the_file_alone(void **state)
{
    struct planned *p = *state;
    const char *text =
        plan(p, pipelines(batch, ",\"set\":{\"interval.ms\":7200000}", stream,
                          ",\"set\":{\"source\":{\"tidemark.audit.interval.ms\":120000}}"));
    if (p->err.code != TM_OK)
        fail_msg("%s", text);
    assert_int_equal(p->run.pipelines[0].interval_ms, 7200000);
    assert_int_equal(p->run.pipelines[1].interval_ms, 120000);
    assert_non_null(strstr(p->run.pipelines[0].config, "/out/config/hourly.json"));
    assert_non_null(strstr(p->run.pipelines[1].sources[0], "/out/config/source-1.json"));
    char path[200];
    snprintf(path, sizeof path, "%s/scenarios/batch.json", p->folder);
    json_t *original = json_load_file(path, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(original, "interval.ms")), 3600000);
    json_decref(original);
}

static void a_polling_interval_must_last_half_a_second(void **state)
{
    struct planned *p = *state;
    refused(p,
            "{\"compress\":100000,\"pipelines\":[{\"name\":\"hourly\",\"kind\":\"batch\","
            "\"config\":\"batch.json\"}]}",
            "compress", "at most 7200");
    plan(p, "{\"compress\":7200,\"pipelines\":[{\"name\":\"hourly\",\"kind\":\"batch\",\"config\":"
            "\"batch.json\"}]}");
    assert_int_equal(p->err.code, TM_OK);
}

static void every_mistake_of_a_pipeline_names_file_and_key(void **state)
{
    struct planned *p = *state;
    refused(p, "{\"pipelines\":[]}", "s.json", "\"pipelines\" must list");
    refused(p, "{}", "s.json", "\"pipelines\" must list");
    refused(p, "{\"pipelines\":[7]}", "s.json", "\"name\"");
    refused(p, "{\"pipelines\":[{\"name\":\"a b\",\"kind\":\"batch\"}]}", "s.json",
            "without blanks");
    refused(p, "{\"pipelines\":[{\"name\":\"a\",\"kind\":\"stram\"}]}", "\"a\"",
            "\"kind\" must be");
    refused(p, "{\"pipelines\":[{\"name\":\"a\",\"kind\":\"batch\"}]}", "\"a\"",
            "\"config\" must be the path");
    refused(p, "{\"pipelines\":[{\"name\":\"a\",\"kind\":\"batch\",\"config\":\"none.json\"}]}",
            "\"config\"", "none.json");
    refused(p, pipelines(batch, ",\"confg\":1", NULL, NULL), "\"confg\"", "\"config\"");
    refused(p, pipelines(batch, "", batch, ""), "two pipelines are named", "hourly");
    refused(p, pipelines(stream, "", "{\"name\":\"b\",\"kind\":\"stream\"%s}", ""), "\"stream\"",
            "second");
    refused(p, pipelines(bare, ",\"sources\":[]", NULL, NULL), "s.json", "\"sources\" must list");
    refused(p, pipelines(bare, ",\"sources\":[3]", NULL, NULL), "s.json",
            "\"sources\" must be paths");
    refused(p, pipelines(bare, ",\"sources\":[\"none.json\"]", NULL, NULL), "sources", "none.json");
    refused(p, pipelines(bare, ",\"sources\":[\"source.json\"],\"gap\":3", NULL, NULL), "\"gap\"",
            "must be the path");
    refused(p, pipelines(batch, ",\"set\":[]", NULL, NULL), "s.json", "\"set\" must be an object");
    refused(p, pipelines(batch, ",\"set\":{\"intervall.ms\":1}", NULL, NULL), "intervall.ms",
            "interval.ms");
    refused(p, pipelines(stream, ",\"set\":{\"sorce\":{}}", NULL, NULL), "\"sorce\"", "\"source\"");
}

static void a_promise_nobody_keeps_is_refused(void **state)
{
    struct planned *p = *state;
    refused(p, pipelines(batch, ",\"slo\":{\"unsen\":1}", NULL, NULL), "\"unsen\"", "\"unseen\"");
    refused(p, pipelines(batch, ",\"slo\":{\"unseen\":-1}", NULL, NULL), "\"hourly\"",
            "\"unseen\" must be");
    refused(p, pipelines(batch, ",\"slo\":{\"dirty\":\"0\"}", NULL, NULL), "\"hourly\"",
            "\"dirty\" must be");
    refused(p, pipelines(batch, ",\"slo\":3", NULL, NULL), "\"hourly\"", "object of limits");
    refused(p, "{\"slo\":{\"achievd\":1}}", "s.json", "\"achieved\"");
    refused(p, "{\"faults\":{\"crash\":\"sink\"}}", "s.json: faults", "\"crash\"");
}

static void after_a_mistake_the_same_folder_serves_the_next_try(void **state)
{
    struct planned *p = *state;
    refused(p, pipelines(batch, ",\"set\":{\"interval.ms\":3600000}", batch, ",\"confg\":1"),
            "s.json", "hourly");
    assert_false(is_there(p, "out"));
    plan(p, pipelines(batch, "", NULL, NULL));
    assert_int_equal(p->err.code, TM_OK);
}

static void the_folder_of_an_earlier_run_is_not_touched(void **state)
{
    struct planned *p = *state;
    plan(p, pipelines(batch, ",\"set\":{\"interval.ms\":7200000}", NULL, NULL));
    assert_int_equal(p->err.code, TM_OK);
    refused(p, pipelines(batch, "", NULL, NULL), "/out is no empty folder", "an earlier run");
    assert_true(is_there(p, "out/config/hourly.json"));
}

static void a_folder_that_cannot_be_is_refused(void **state)
{
    struct planned *p = *state;
    plan(p, pipelines(batch, "", NULL, NULL));
    forget(p);
    snprintf(p->run.scenario_path, sizeof p->run.scenario_path, "%s/scenarios/s.json", p->folder);
    snprintf(p->run.dir, sizeof p->run.dir, "%s/scenarios/s.json/x", p->folder);
    assert_int_equal(tm_run_plan(&p->run, &p->err), TM_E_ARG);
    assert_non_null(strstr(p->err.msg, "--out"));
    forget(p);
    snprintf(p->run.scenario_path, sizeof p->run.scenario_path, "%s/scenarios/s.json", p->folder);
    memset(p->run.dir, 'x', TM_RUN_DIR_MAX + 1);
    assert_int_equal(tm_run_plan(&p->run, &p->err), TM_E_ARG);
    assert_non_null(strstr(p->err.msg, "longer than 700 bytes"));
}

/* Replaces one of the configs by this text and plans both pipelines. */
static void refused_with(struct planned *p, const char *name, const char *text, const char *a,
                         const char *b)
{
    char path[128];
    snprintf(path, sizeof path, "%s/scenarios", p->folder);
    tm_test_write_file(path, name, text);
    refused(p, pipelines(stream, "", batch, ""), a, b);
    assert_false(is_there(p, "out"));
}

static void a_mistake_in_a_station_config_is_found_before_anything_starts(void **state)
{
    static const struct {
        const char *file, *text, *says;
    } wrong[] = {
        { "source.json", "{\"kafka.topik\":\"t\"}",
          "\"kafka.topik\"; did you mean \"kafka.topic\"" },
        { "gap.json", "{\"objets\":\"Account\"}", "\"objets\"; did you mean \"objects\"" },
        { "reconcile.json", "{\"window.size\":5}", "did you mean \"window.size.ms\"" },
        { "sink.json", "{\"topics\":\"t\",\"task.max\":1}", "did you mean \"tasks.max\"" },
        { "view.json", "{\"objects\":\"User\",\"raise.nobase\":1}", "\"raise.no_base\"" },
        { "batch.json", "{\"interval\":5}", "did you mean \"interval.ms\"" },
        { "view.json", "{\"objects\":", "not valid JSON" },
        { "sink.json", "{\"topics\":\"t\",\"tasks.max\":0}", "\"tasks.max\": must be from 1" },
        { "gap.json", "{\"objects\":\"${env:TIDEMARK_NO_SUCH_THING}\"}",
          "variable TIDEMARK_NO_SUCH_THING is not set" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        close_folder(state);
        open_folder(state);
        refused_with(*state, wrong[i].file, wrong[i].text, wrong[i].file, wrong[i].says);
        assert_non_null(strstr(plan(*state, pipelines(stream, "", batch, "")),
                               i == 5 ? "pipelines \"hourly\"" : "pipelines \"stream\""));
    }
}

static void an_object_that_a_station_does_not_know_is_found_before_anything_starts(void **state)
{
    static const struct {
        const char *file, *text, *says;
    } wrong[] = {
        { "gap.json", "{\"objects\":\"Account\"}", "leaves out User" },
        { "reconcile.json", "{\"objects\":\"Account\"," SIGN_IN "}", "leaves out User" },
        { "sink.json", "{\"topics\":\"sfdc.cdc.user_raw\"}", "leaves out sfdc.cdc.account_raw" },
        { "view.json", "{\"objects\":\"Account\"}", "leaves out User" },
        { "view.json", "{\"objects\":\"Acount,User\"}",
          "has no object Acount; did you mean Account?" },
        { "batch.json",
          "{\"interval.ms\":3600000,\"carries\":\"CREATE\",\"objects\":\"Account,Lead\"," SIGN_IN
          "}",
          "has no object Lead" },
        { "users.json",
          "{\"kafka.topic\":\"t\",\"salesforce.cdc.name\":\"LeadChangeEvent\"," SIGN_IN "}",
          "has no object Lead" },
        { "users.json",
          "{\"kafka.topic\":\"t\",\"salesforce.cdc.name\":\"AccountChangeEvent\"," SIGN_IN "}",
          "reads Account, as one before it does" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        close_folder(state);
        open_folder(state);
        refused_with(*state, wrong[i].file, wrong[i].text, "s.json", wrong[i].says);
    }
    refused(*state, "{\"objects\":[\"Acount\"]}", "objects/Acount.json", "did you mean Account?");
}

static json_t *report_of(const char *raw_path)
{
    struct tm_err err = { .code = TM_OK };
    json_t *report = json_pack("{s:s, s:[]}", "verdict", "pass", "reasons");
    assert_int_equal(tm_run_undecodable(report, raw_path, &err), TM_OK);
    return report;
}

static void a_run_with_undecodable_records_says_so_and_does_not_pass(void **state)
{
    struct planned *p = *state;
    struct tm_err err = { .code = TM_OK };
    char path[128];
    sqlite3 *raw = NULL;
    snprintf(path, sizeof path, "%s/raw.db", p->folder);
    json_t *report = report_of(path); /* no streaming pipeline: no such file */
    assert_int_equal(json_integer_value(json_object_get(report, "undecodable_records")), 0);
    assert_string_equal(json_string_value(json_object_get(report, "verdict")), "pass");
    json_decref(report);
    assert_int_equal(tm_sql_open(&raw, path, TM_SQL_CREATE, &err), TM_OK);
    assert_int_equal(
        tm_sql_exec(raw, "CREATE TABLE _undecodable(x); INSERT INTO _undecodable VALUES(1)", &err),
        TM_OK);
    tm_sql_close(raw);
    report = report_of(path);
    assert_int_equal(json_integer_value(json_object_get(report, "undecodable_records")), 1);
    assert_string_equal(json_string_value(json_object_get(report, "verdict")), "fail");
    assert_non_null(strstr(json_string_value(json_array_get(json_object_get(report, "reasons"), 0)),
                           "_undecodable"));
    json_decref(report);
}

static void a_run_that_did_not_drain_names_who_and_does_not_pass(void **state)
{
    static const char *const verdicts[][2] = { { "pass", "inconclusive" },
                                               { "inconclusive", "inconclusive" },
                                               { "fail", "fail" } };
    (void)state;
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        json_t *report = json_pack("{s:s, s:[]}", "verdict", verdicts[i][0], "reasons");
        const json_t *reasons = json_object_get(report, "reasons");
        tm_run_undrained(report, "");
        assert_int_equal(json_array_size(reasons), 0);
        assert_string_equal(json_string_value(json_object_get(report, "verdict")), verdicts[i][0]);
        tm_run_undrained(report, "batch-naive, batch-best");
        assert_string_equal(json_string_value(json_object_get(report, "verdict")), verdicts[i][1]);
        assert_non_null(
            strstr(json_string_value(json_array_get(reasons, 0)), "batch-naive, batch-best"));
        json_decref(report);
    }
}

#define PLAN_TEST(f) cmocka_unit_test_setup_teardown(f, open_folder, close_folder)
int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAN_TEST(a_good_scenario_becomes_a_plan),
        PLAN_TEST(the_seed_of_the_command_line_wins),
        PLAN_TEST(set_changes_keys_of_a_copy_and_leaves_the_file_alone),
        PLAN_TEST(a_polling_interval_must_last_half_a_second),
        PLAN_TEST(every_mistake_of_a_pipeline_names_file_and_key),
        PLAN_TEST(a_promise_nobody_keeps_is_refused),
        PLAN_TEST(after_a_mistake_the_same_folder_serves_the_next_try),
        PLAN_TEST(the_folder_of_an_earlier_run_is_not_touched),
        PLAN_TEST(a_run_with_undecodable_records_says_so_and_does_not_pass),
        PLAN_TEST(a_run_that_did_not_drain_names_who_and_does_not_pass),
        PLAN_TEST(a_folder_that_cannot_be_is_refused),
        PLAN_TEST(a_mistake_in_a_station_config_is_found_before_anything_starts),
        PLAN_TEST(an_object_that_a_station_does_not_know_is_found_before_anything_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
