/* The main job on a short scenario, as a user runs it: one process tree, real protocols, one
 * verdict. What it must show: streaming ends equal and clean, a full reload ends equal, the naive
 * script keeps its phantoms and the report names the deletes it missed, and the harness agrees with
 * itself. */
#include "support_command.h"
#include "support_recount.h"
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char run_folder[64];
static json_t *run_report;
static int run_code = -1;
static char *run_stdout;

static int run_once(void **state)
{
    (void)state;
    char path[128];
    json_error_t error;
    snprintf(run_folder, sizeof run_folder, "%s", tm_test_folder());
    struct tm_test_output o =
        tm_test_command(400, "tidemark run fixtures/scenarios/short.json --out %s/run", run_folder);
    run_code = o.code;
    run_stdout = strdup(o.out);
    snprintf(path, sizeof path, "%s/run/report.json", run_folder);
    run_report = json_load_file(path, 0, &error);
    if (run_report == NULL)
        print_error("exit %d\n%s\n%s\n", o.code, o.err, o.out);
    else if (o.code != 0)
        print_error("exit %d\n%s\n", o.code, o.out);
    tm_test_output_free(&o);
    return run_report == NULL ? -1 : 0;
}

static int run_forget(void **state)
{
    (void)state;
    json_decref(run_report);
    free(run_stdout);
    if (getenv("TIDEMARK_KEEP") == NULL)
        tm_test_folder_remove(run_folder);
    return 0;
}

static json_t *pipeline_of(const char *name)
{
    json_t *p;
    size_t i;
    json_array_foreach(json_object_get(run_report, "pipelines"), i,
                       p) if (strcmp(json_string_value(json_object_get(p, "name")), name) ==
                              0) return p;
    fail_msg("the report has no pipeline %s", name);
    return NULL;
}

static json_int_t number_of(const char *pipeline, const char *group, const char *key)
{
    json_t *value = json_object_get(json_object_get(pipeline_of(pipeline), group), key);
    if (!json_is_number(value))
        fail_msg("%s.%s.%s is not a number", pipeline, group, key);
    return (json_int_t)json_number_value(value);
}

static bool file_says(const char *name, const char *text)
{
    char line[256];
    snprintf(line, sizeof line, "grep -qF '%s' %s/run/%s", text, run_folder, name);
    return system(line) == 0;
}

static void the_run_passes_and_prints_where_its_report_is(void **state)
{
    (void)state;
    char path[128];
    assert_int_equal(run_code, 0);
    assert_string_equal(json_string_value(json_object_get(run_report, "verdict")), "pass");
    snprintf(path, sizeof path, "report: %s/run/report.html", run_folder);
    assert_non_null(strstr(run_stdout, path));
}

static void the_report_says_which_broker_and_registry_served(void **state)
{
    const json_t *e = json_object_get(run_report, "environment");
    const char *brokers = getenv("TIDEMARK_BROKERS"), *registry = getenv("TIDEMARK_REGISTRY");
    const char *broker = json_string_value(json_object_get(e, "broker"));
    const char *schemas = json_string_value(json_object_get(e, "schema_registry"));
    (void)state;
    assert_non_null(broker);
    assert_non_null(schemas);
    assert_non_null(strstr(broker, brokers != NULL ? brokers : "embedded in librdkafka"));
    assert_non_null(strstr(schemas, registry != NULL ? registry : "embedded"));
    if (getenv("TIDEMARK_BROKERS_NAME") != NULL)
        assert_non_null(strstr(broker, getenv("TIDEMARK_BROKERS_NAME")));
}

static void every_promised_file_is_left(void **state)
{
    static const char *const names[] = { "report.html", "report.md", "report.json", "junit.xml",
                                         "run.db",      "org.db",    "raw.db",      "view.db" };
    char path[128];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/run/%s", run_folder, names[i]);
        if (access(path, R_OK) != 0)
            fail_msg("%s is missing", path);
    }
}

static void streaming_ends_with_no_differing_row_and_no_dirt_in_both_options(void **state)
{
    static const char *const names[] = { "stream-view", "stream-sql" };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(number_of(names[i], "drift", "final_rows"), 0);
        assert_int_equal(number_of(names[i], "drift", "dirty"), 0);
        assert_int_equal(number_of(names[i], "freshness_s", "never"), 0);
        assert_true(number_of(names[i], "freshness_s", "count") > 1000);
    }
}

static void the_best_poller_ends_equal_after_its_full_reload(void **state)
{
    (void)state;
    assert_int_equal(number_of("batch-full", "drift", "final_rows"), 0);
}

static void the_naive_script_keeps_phantoms_and_the_report_names_them(void **state)
{
    (void)state;
    assert_true(number_of("batch-naive", "drift", "phantom") > 0);
    json_t *missed = json_object_get(pipeline_of("batch-naive"), "phantoms");
    json_t *first = json_array_get(json_object_get(missed, "examples"), 0);
    assert_int_equal(json_integer_value(json_object_get(missed, "count")),
                     number_of("batch-naive", "drift", "phantom"));
    const char *id = json_string_value(json_object_get(first, "id"));
    assert_int_equal(strlen(id), 18);
    assert_non_null(json_string_value(json_object_get(first, "deleted")));
    assert_true(file_says("report.md", id) && file_says("report.html", id));
}

static void every_self_test_holds(void **state)
{
    json_t *test;
    size_t i;
    (void)state;
    json_t *tests = json_object_get(run_report, "self_tests");
    static const char *const names[] = { "area",        "set_hash",  "audit",
                                         "poll_time",   "predicted", "breakdown",
                                         "known_delay", "full_read", "lost_states" };
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        bool found = false;
        json_array_foreach(tests, i, test) found |=
            strcmp(json_string_value(json_object_get(test, "test")), names[n]) == 0;
        if (!found)
            fail_msg("no self-test %s", names[n]);
    }
    json_array_foreach(tests, i, test)
    {
        if (!json_is_true(json_object_get(test, "ok")))
            fail_msg("self-test does not hold: %s",
                     json_string_value(json_object_get(test, "name")));
    }
}

static void streaming_is_fresher_than_the_best_poller_at_every_percentile(void **state)
{
    static const char *const percentiles[] = { "p50", "p90", "p99" };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        json_t *stream = json_object_get(json_object_get(pipeline_of("stream-view"), "freshness_s"),
                                         percentiles[i]);
        json_t *best = json_object_get(json_object_get(pipeline_of("batch-best"), "freshness_s"),
                                       percentiles[i]);
        assert_true(json_number_value(stream) < json_number_value(best));
    }
}

/* Both options' whole reads, timed while the history grew. */
static void a_read_of_the_snapshot_is_timed_at_several_lengths_of_the_history(void **state)
{
    static const char *const names[] = { "stream-view", "stream-sql" };
    json_t *row;
    size_t i;
    (void)state;
    for (size_t n = 0; n < 2; n++) {
        json_t *query = json_object_get(pipeline_of(names[n]), "query_by_history");
        json_t *rows = json_object_get(query, "rows"), *ms = json_object_get(query, "ms");
        json_int_t before = 0;
        assert_true(json_array_size(rows) >= 3);
        assert_int_equal(json_array_size(rows), json_array_size(ms));
        json_array_foreach(rows, i, row)
        {
            assert_true(json_integer_value(row) >= before);
            before = json_integer_value(row);
            assert_true(json_number_value(json_array_get(ms, i)) > 0);
        }
        assert_true(before > json_integer_value(json_array_get(rows, 0)));
    }
    assert_true(file_says("report.html", "while the raw tables grew from"));
}

/* Of every band the legs add up to the whole, and all bands to the mean of all changes. */
static void the_legs_of_the_road_by_rank_add_up_to_those_of_all_changes(void **state)
{
    (void)state;
    json_t *legs = json_object_get(pipeline_of("stream-view"), "legs_by_rank"), *band, *ms, *leg;
    double by_rank = 0, by_leg = 0, changes = json_number_value(json_object_get(legs, "changes"));
    const char *name;
    size_t i, k;
    assert_true(changes > 1000);
    json_array_foreach(json_object_get(legs, "bands"), i, band)
        json_array_foreach(json_object_get(band, "ms"), k, ms) by_rank +=
        json_number_value(ms) * json_number_value(json_object_get(band, "changes")) / changes;
    json_object_foreach(json_object_get(pipeline_of("stream-view"), "breakdown"), name, leg)
        by_leg += json_number_value(json_object_get(leg, "mean"));
    assert_true(by_leg > 0 && fabs(by_rank / by_leg - 1) < 1e-6);
}

/* The figures by plain SQL over the org and the warehouses, without a line of the checker. */
static void a_second_count_of_the_figures_agrees_with_the_report(void **state)
{
    char folder[80], why[256] = "";
    struct tm_test_recount r;
    (void)state;
    snprintf(folder, sizeof folder, "%s/run", run_folder);
    tm_test_recount(&r, folder, run_report);
    assert_true(r.count >= 50);
    if (tm_test_recount_differ(&r, run_report, why, sizeof why) != 0)
        fail_msg("%s", why);
}

/* One figure at a time is made wrong in a copy of the report: just that one is found. */
static void the_second_count_finds_every_figure_that_is_made_wrong(void **state)
{
    char folder[80], why[256], name[128];
    struct tm_test_recount r;
    (void)state;
    snprintf(folder, sizeof folder, "%s/run", run_folder);
    tm_test_recount(&r, folder, run_report);
    for (size_t i = 0; i < r.count; i++) {
        const struct tm_test_figure *f = &r.figures[i];
        json_t *wrong = json_deep_copy(run_report);
        json_t *group = tm_test_recount_group(wrong, f);
        assert_non_null(group);
        json_object_set_new(group, f->key, json_real(f->hi < 0 ? 1 : f->hi + 1));
        snprintf(name, sizeof name, "%s.%s.%s is ", f->pipeline, f->group, f->key);
        assert_int_equal(tm_test_recount_differ(&r, wrong, why, sizeof why), 1);
        assert_int_equal(strncmp(why, name, strlen(name)), 0);
        json_decref(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_run_passes_and_prints_where_its_report_is),
        cmocka_unit_test(the_report_says_which_broker_and_registry_served),
        cmocka_unit_test(every_promised_file_is_left),
        cmocka_unit_test(streaming_ends_with_no_differing_row_and_no_dirt_in_both_options),
        cmocka_unit_test(the_best_poller_ends_equal_after_its_full_reload),
        cmocka_unit_test(the_naive_script_keeps_phantoms_and_the_report_names_them),
        cmocka_unit_test(every_self_test_holds),
        cmocka_unit_test(streaming_is_fresher_than_the_best_poller_at_every_percentile),
        cmocka_unit_test(a_read_of_the_snapshot_is_timed_at_several_lengths_of_the_history),
        cmocka_unit_test(the_legs_of_the_road_by_rank_add_up_to_those_of_all_changes),
        cmocka_unit_test(a_second_count_of_the_figures_agrees_with_the_report),
        cmocka_unit_test(the_second_count_finds_every_figure_that_is_made_wrong),
    };
    return cmocka_run_group_tests(tests, run_once, run_forget);
}
