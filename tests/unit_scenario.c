/* unit_scenario: scenario files are read, filled in and refused with the key that is wrong. */
#include "mocks/salesforce/scenario.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static enum tm_code parse(struct tm_scenario **out, const char *json, struct tm_err *err)
{
    json_t *j = json_loads(json, 0, NULL);
    assert_non_null(j);
    *err = (struct tm_err){ 0 };
    enum tm_code rc = tm_scenario_parse(out, j, "fixtures/x.json", err);
    json_decref(j);
    return rc;
}

static void empty_scenario_gets_presets(void **state)
{
    (void)state;
    struct tm_scenario *s = NULL;
    struct tm_err err;
    assert_int_equal(parse(&s, "{}", &err), TM_OK);
    assert_string_equal(s->name, "x");
    assert_int_equal(s->seed, 1);
    assert_int_equal(s->workload.records, 20000);
    assert_int_equal(s->publish_delay_ms, 0);
    assert_null(s->objects);
    assert_int_equal(json_array_size(s->pipelines), 0);
    for (int i = 0; i < TM_WL_KINDS; i++)
        assert_true(s->workload.kinds[i]);
    tm_scenario_close(s);
}

static void all_keys_are_taken_over(void **state)
{
    (void)state;
    struct tm_scenario *s = NULL;
    struct tm_err err;
    if (parse(&s,
              "{\"seed\":9,\"hours\":2.5,\"compress\":60,\"publish_delay\":{\"assumed\":\"1500ms\"}"
              ",\"index_lag\":3,"
              "\"edition\":\"Enterprise\",\"objects\":[\"Account\",\"User\"],\"workload\":{"
              "\"changes\":10,"
              "\"records\":30,\"zipf\":0.8,\"shape\":\"flat\",\"burst\":{\"at\":0.1,\"share\":0.2,"
              "\"minutes\":4},"
              "\"kinds\":{\"update\":3,\"merge\":\"once\",\"delete\":0}},\"pipelines\":[{\"b\":1}],"
              "\"slo\":{\"c\":2}}",
              &err) != TM_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(s->publish_delay_ms, 1500);
    assert_int_equal(s->index_lag_ms, 3000);
    assert_int_equal(s->events_per_day, 25000);
    assert_int_equal(s->api_calls_per_day, 100000);
    assert_string_equal(s->objects[1], "User");
    assert_null(s->objects[2]);
    assert_true(s->workload.kinds[TM_WL_UPDATE] && s->workload.kinds[TM_WL_MERGE] &&
                !s->workload.kinds[TM_WL_DELETE]);
    assert_true(s->workload.weight[TM_WL_UPDATE] == 3 && s->workload.weight[TM_WL_MERGE] == 0);
    assert_true(s->workload.burst_minutes == 4);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(s->pipelines, 0), "b")), 1);
    assert_int_equal(json_integer_value(json_object_get(s->slo, "c")), 2);
    tm_scenario_close(s);
}

static void mistakes_name_the_file_the_key_and_what_to_write(void **state)
{
    (void)state;
    static const struct {
        const char *json, *says;
    } wrong[] = {
        { "{\"hors\":1}", "did you mean \"hours\"" },
        { "{\"workload\":{\"change\":1}}", "did you mean \"changes\"" },
        { "{\"workload\":{\"kinds\":{\"updat\":1}}}", "did you mean \"update\"" },
        { "{\"workload\":{\"kinds\":{\"overflow\":2}}}", "once" },
        { "{\"workload\":{\"kinds\":{\"update\":-1}}}", "weight" },
        { "{\"workload\":{\"burst\":{\"when\":1}}}", "burst" },
        { "{\"workload\":{\"shape\":\"round\"}}", "business_day or flat" },
        { "{\"compress\":0}", "compress" },
        { "{\"compress\":1.5}", "whole number" },
        { "{\"hours\":\"12\"}", "hours" },
        { "{\"publish_delay\":\"2 fortnights\"}", "publish_delay" },
        { "{\"publish_delay\":{\"guessed\":\"2s\"}}", "guessed" },
        { "{\"edition\":\"gold\"}", "enterprise" },
        { "{\"objects\":[]}", "objects" },
        { "{\"pipelines\":{\"a\":1}}", "pipelines" },
        { "[]", "JSON object" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct tm_scenario *s = NULL;
        struct tm_err err;
        char text[700];
        if (parse(&s, wrong[i].json, &err) != TM_E_ARG)
            fail_msg("%s is taken", wrong[i].json);
        tm_err_text(&err, text, sizeof text);
        if (strstr(text, wrong[i].says) == NULL || strstr(text, "fixtures/x.json") == NULL)
            fail_msg("%s: %s", wrong[i].json, text);
    }
}

static void shipped_scenarios_are_right(void **state)
{
    (void)state;
    struct tm_err err = { 0 };
    struct tm_scenario *s = NULL;
    if (tm_scenario_load(&s, "fixtures/scenarios/day.json", &err) != TM_OK)
        fail_msg("%s", err.msg);
    assert_true(s->workload.changes >= 50000 && s->workload.records == 20000 &&
                s->compress == 360 && s->hours == 12);
    for (int k = 0; k < TM_WL_KINDS; k++)
        assert_true(s->workload.kinds[k]);
    tm_scenario_close(s);
    if (tm_scenario_load(&s, "fixtures/scenarios/short.json", &err) != TM_OK)
        fail_msg("%s", err.msg);
    assert_true(s->hours * 3600 / (double)s->compress <= 20);
    for (int k = 0; k < TM_WL_KINDS; k++)
        assert_true(s->workload.kinds[k]);
    tm_scenario_close(s);
}

static void missing_file_is_named(void **state)
{
    (void)state;
    struct tm_err err = { 0 };
    struct tm_scenario *s = NULL;
    assert_int_not_equal(tm_scenario_load(&s, "fixtures/scenarios/nowhere.json", &err), TM_OK);
    assert_non_null(strstr(err.msg, "nowhere.json"));
}

static void a_scenario_names_its_wrong_fault(void **state)
{
    struct tm_scenario *s = NULL;
    struct tm_err err = { 0 };
    json_t *json = json_loads("{\"faults\":{\"late_row\":{\"lag\":\"1m\"}}}", 0, NULL);
    (void)state;
    assert_int_equal(tm_scenario_parse(&s, json, "x.json", &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "x.json: faults"));
    assert_non_null(strstr(err.msg, "did you mean \"late_rows\""));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scenario_names_its_wrong_fault),
        cmocka_unit_test(empty_scenario_gets_presets),
        cmocka_unit_test(all_keys_are_taken_over),
        cmocka_unit_test(mistakes_name_the_file_the_key_and_what_to_write),
        cmocka_unit_test(shipped_scenarios_are_right),
        cmocka_unit_test(missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
