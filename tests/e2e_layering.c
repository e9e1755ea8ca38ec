/* The include and purity rules: the tree keeps them, and the check catches a planted violation of
 * each. */
#include "support_command.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>

static int layering_of(const char *folder)
{
    char line[256];
    snprintf(line, sizeof line, "sh tests/layering.sh %s >/dev/null 2>&1", folder);
    int status = system(line);
    return WEXITSTATUS(status);
}

static void planted(const char *file, const char *code, int expected)
{
    char folder[64], line[512];
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    snprintf(line, sizeof line,
             "mkdir -p %s/reports && cp -r harness mocks %s/ && cd %s/harness && mkdir -p gap "
             "check view sink",
             folder, folder, folder);
    assert_int_equal(system(line), 0);
    tm_test_write_file(folder, file, code);
    int got = layering_of(folder);
    tm_test_folder_remove(folder);
    assert_int_equal(got, expected);
}

static void the_tree_keeps_its_layers(void **state)
{
    (void)state;
    assert_int_equal(layering_of("."), 0);
}
static void a_harmless_new_file_is_accepted(void **state)
{
    (void)state;
    planted("harness/gap/planted.c", "#include \"base/err.h\"\n", 0);
}
static void a_station_that_includes_another_station_is_refused(void **state)
{
    (void)state;
    planted("harness/gap/planted.c", "#include \"sink/sink.h\"\n", 1);
}
static void a_witness_that_includes_streaming_code_is_refused(void **state)
{
    (void)state;
    planted("harness/check/planted.c", "#include \"event/change.h\"\n", 1);
}
static void a_mock_that_includes_the_client_it_serves_is_refused(void **state)
{
    (void)state;
    planted("mocks/salesforce/planted.c", "#include \"salesforce/session.h\"\n", 1);
}
static void base_that_looks_upward_is_refused(void **state)
{
    (void)state;
    planted("harness/base/planted.c", "#include \"topic/topic.h\"\n", 1);
}
static void a_station_that_asks_for_the_time_is_refused(void **state)
{
    (void)state;
    planted(
        "harness/view/planted.c",
        "#include <time.h>\nlong planted(void);\nlong planted(void)\n{\n    return time (0);\n}\n",
        1);
}
static void a_mock_that_draws_without_a_seed_is_refused(void **state)
{
    (void)state;
    planted(
        "mocks/salesforce/planted.c",
        "#include <stdlib.h>\nint planted(void);\nint planted(void)\n{\n    return rand();\n}\n",
        1);
    planted("mocks/registry/planted.c", "const char *planted = \"SELECT random()\";\n", 1);
}
static void a_simulation_that_asks_for_the_time_is_refused_but_may_speak_of_it(void **state)
{
    (void)state;
    planted("harness/simulate/planted.c", "const char *planted = \"takes time (some)\";\n", 0);
    planted("harness/simulate/planted.c",
            "#include \"base/clock.h\"\nlong planted(void);\nlong planted(void)\n{\n    return "
            "(long)tm_clock_monotonic_ns();\n}\n",
            1);
}
/* Of all that a simulation runs, in one tree: each is named. */
static void every_folder_of_a_simulation_is_watched_for_the_clock(void **state)
{
    static const char *const dirs[] = { "harness/base",       "harness/event",  "harness/topic",
                                        "harness/salesforce", "harness/source", "harness/gap",
                                        "harness/reconcile",  "harness/sink",   "harness/view",
                                        "harness/batch",      "harness/check",  "harness/simulate",
                                        "mocks/salesforce",   "mocks/kafka",    "mocks/registry",
                                        "mocks/http" };
    static char said[65536];
    char folder[64], line[300], file[80];
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    snprintf(line, sizeof line, "mkdir -p %s/reports && cp -r harness mocks %s/", folder, folder);
    assert_int_equal(system(line), 0);
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        snprintf(file, sizeof file, "%s/planted.c", dirs[i]);
        tm_test_write_file(folder, file, "long planted(void)\n{\n    return rand() + 1;\n}\n");
    }
    snprintf(line, sizeof line, "sh tests/layering.sh %s 2>&1", folder);
    FILE *f = popen(line, "r");
    assert_non_null(f);
    said[fread(said, 1, sizeof said - 1, f)] = '\0';
    assert_int_not_equal(pclose(f), 0);
    tm_test_folder_remove(folder);
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        snprintf(file, sizeof file, "%s/planted.c", dirs[i]);
        if (strstr(said, file) == NULL)
            fail_msg("%s is not named: %s", file, said);
    }
}
static void a_simulation_that_looks_upward_is_refused(void **state)
{
    (void)state;
    planted("harness/simulate/planted.c", "#include \"run/run.h\"\n", 1);
}
static void a_mock_that_includes_a_station_is_refused(void **state)
{
    (void)state;
    planted("mocks/kafka/planted.c", "#include \"sink/sink.h\"\n", 1);
}
static void a_vendor_header_outside_its_adapter_is_refused(void **state)
{
    (void)state;
    planted("harness/sink/planted.c", "#include <librdkafka/rdkafka.h>\n", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tree_keeps_its_layers),
        cmocka_unit_test(a_harmless_new_file_is_accepted),
        cmocka_unit_test(a_station_that_includes_another_station_is_refused),
        cmocka_unit_test(a_witness_that_includes_streaming_code_is_refused),
        cmocka_unit_test(a_mock_that_includes_the_client_it_serves_is_refused),
        cmocka_unit_test(base_that_looks_upward_is_refused),
        cmocka_unit_test(a_station_that_asks_for_the_time_is_refused),
        cmocka_unit_test(a_mock_that_draws_without_a_seed_is_refused),
        cmocka_unit_test(a_simulation_that_asks_for_the_time_is_refused_but_may_speak_of_it),
        cmocka_unit_test(every_folder_of_a_simulation_is_watched_for_the_clock),
        cmocka_unit_test(a_simulation_that_looks_upward_is_refused),
        cmocka_unit_test(a_mock_that_includes_a_station_is_refused),
        cmocka_unit_test(a_vendor_header_outside_its_adapter_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
