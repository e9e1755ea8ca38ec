/* Somebody's own views and programs on random histories: right ones pass, wrong ones are found,
 * shrunk, and written as a case that only they fail. */
#include "base/log.h"
#include "run/simulate_own.h"
#include "simulate/case_run.h"
#include "simulate/story.h"
#include "tests/support_command.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OBJECTS "fixtures/objects"
static char scratch[TM_SIM_PATH_BYTES];

static void begin(struct tm_simulate_own *own, struct tm_sim_options *options)
{
    struct tm_err err = { .code = TM_OK };
    char text[700];
    *options = (struct tm_sim_options){ .dir = scratch };
    if (tm_simulate_own_open(own, &err) != TM_OK)
        fail_msg("%s", tm_err_text(&err, text, sizeof text));
    tm_simulate_own_options(own, options);
}

static void run(struct tm_sim_result *out, struct tm_sim_script *script,
                const struct tm_sim_options *options)
{
    struct tm_err err = { .code = TM_OK };
    char text[700];
    if (tm_simulate_script(out, script, options, &err) != TM_OK)
        fail_msg("%s", tm_err_text(&err, text, sizeof text));
}

static void right_views_follow_random_histories(void **state)
{
    static const char *const right[] = { "fixtures/views/right-window",
                                         "fixtures/views/right-max-position" };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tm_simulate_own own = { .views_dir = right[i] };
        struct tm_sim_options options;
        begin(&own, &options);
        for (uint64_t seed = 1 + i * 6; seed <= 6 + i * 6; seed++) {
            struct tm_sim_script script;
            struct tm_sim_result r;
            tm_sim_script_draw(&script, seed);
            run(&r, &script, &options);
            if (r.finding.found)
                fail_msg("%s, seed %d: %s", right[i], (int)seed, r.finding.text);
            tm_sim_script_free(&script);
        }
        tm_simulate_own_close(&own);
    }
}

static void discard(const char *folder)
{
    static const char *const files[] = { "rows.jsonl", "expected.jsonl", "README.md" };
    char file[TM_SIM_PATH_BYTES + 64];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(file, sizeof file, "%s/%s", folder, files[i]);
        unlink(file);
    }
    rmdir(folder);
}

/* The case is theirs to fail: the shipped views are right in it. */
static void case_is_theirs_to_fail(const char *folder, const char *views)
{
    const struct tm_case_options options = { OBJECTS, views };
    struct tm_err err = { .code = TM_OK };
    struct tm_case c;
    json_t *shown = NULL, *findings = json_array();
    const char *skipped = NULL;
    assert_int_equal(tm_case_load(&c, folder, &err), TM_OK);
    assert_int_equal(tm_case_by_sql(&shown, &skipped, &c, &options, &err), TM_OK);
    assert_null(skipped);
    assert_int_equal(tm_case_compare(findings, &c, shown, &err), TM_OK);
    assert_true(json_array_size(findings) > 0);
    json_decref(shown);
    json_array_clear(findings);
    assert_int_equal(tm_case_by_views(&shown, &c, &options, &err), TM_OK);
    assert_int_equal(tm_case_compare(findings, &c, shown, &err), TM_OK);
    assert_int_equal(json_array_size(findings), 0);
    json_decref(shown);
    json_decref(findings);
    tm_case_free(&c);
}

static void wrong_views_are_found_and_shrunk_to_a_case_that_only_they_fail(void **state)
{
    static const struct {
        const char *views;
        uint64_t seed_first, seed_last; /* among them one fails, and the first one that does needs
                                           the rule (order as text breaks R4 and R7 as well) */
        size_t events_max;
        const char *rule;
    } wrong[] = {
        { "fixtures/views/wrong-latest-row", 1, 5, 5, "R14" },
        { "fixtures/views/wrong-nulls-ignored", 1, 5, 5, "R14" },
        { "fixtures/views/wrong-deletes-filtered-first", 1, 60, 5, "R7" },
        { "fixtures/views/wrong-replay-id-as-text", 3, 60, 5, "R6" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct tm_simulate_own own = { .views_dir = wrong[i].views };
        struct tm_sim_options options;
        struct tm_sim_script script;
        struct tm_sim_result r;
        struct tm_sim_shrunk s = { .runs = 0 };
        struct tm_err err = { .code = TM_OK };
        char folder[TM_SIM_PATH_BYTES + 16];
        snprintf(folder, sizeof folder, "%s/case", scratch);
        begin(&own, &options);
        for (uint64_t seed = wrong[i].seed_first;
             seed == wrong[i].seed_first || (!r.finding.found && seed <= wrong[i].seed_last);
             seed++) {
            if (seed > wrong[i].seed_first)
                tm_sim_script_free(&script);
            tm_sim_script_draw(&script, seed);
            run(&r, &script, &options);
        }
        if (!r.finding.found)
            fail_msg("%s: nothing found in %d seeds", wrong[i].views, (int)wrong[i].seed_last);
        assert_string_equal(r.finding.where, "views");
        assert_int_equal(tm_sim_shrink(&s, &script, &r, &options, &err), TM_OK);
        assert_in_range(s.script.events_count, 1, wrong[i].events_max);
        assert_int_equal(tm_sim_story_write(&s, folder, &err), TM_OK);
        assert_non_null(strstr(s.rules, wrong[i].rule));
        case_is_theirs_to_fail(folder, wrong[i].views);
        discard(folder);
        tm_sim_script_free(&s.script);
        tm_sim_script_free(&script);
        tm_simulate_own_close(&own);
    }
}

static void a_program_is_found_wrong_by_what_it_shows_or_by_how_it_ends(void **state)
{
    static const char *const programs[][2] = { { "cat >/dev/null", "missing" },
                                               { "exit 3", "exit code 3" } };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tm_simulate_own own = { .exec = { .command = programs[i][0] } };
        struct tm_sim_options options;
        struct tm_sim_script script;
        struct tm_sim_result r;
        begin(&own, &options);
        tm_sim_script_draw(&script, 1);
        run(&r, &script, &options);
        assert_true(r.finding.found);
        assert_non_null(strstr(r.finding.text, programs[i][1]));
        tm_sim_script_free(&script);
        tm_simulate_own_close(&own);
    }
}

static void the_command_refuses_what_cannot_be_asked(void **state)
{
    static const char *const both[] = { "--views and --exec", NULL };
    static const char *const nowhere[] = { "nowhere", "<Object>.sql", NULL };
    static const char *const undescribed[] = { "fixtures/cases/", "--objects", NULL };
    static const char *const alone[] = { "--objects goes with", NULL };
    (void)state;
    tm_test_refused(64, both, 10, "tidemark simulate --seeds 1..2 --views x --exec y");
    tm_test_refused(64, nowhere, 10, "tidemark simulate --seeds 1..2 --views nowhere");
    tm_test_refused(64, undescribed, 10,
                    "tidemark simulate --seeds 1..2 --views fixtures/views/right-window "
                    "--objects fixtures/cases");
    tm_test_refused(64, alone, 10, "tidemark simulate --seeds 1..2 --objects fixtures/objects");
}

static int scratch_make(void **state)
{
    struct tm_err err = { .code = TM_OK };
    (void)state;
    tm_log_init("simulate", TM_LOG_ERROR);
    return tm_sim_scratch_make(scratch, &err) == TM_OK ? 0 : -1;
}

static int scratch_remove(void **state)
{
    (void)state;
    tm_sim_scratch_remove(scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_views_follow_random_histories),
        cmocka_unit_test(wrong_views_are_found_and_shrunk_to_a_case_that_only_they_fail),
        cmocka_unit_test(a_program_is_found_wrong_by_what_it_shows_or_by_how_it_ends),
        cmocka_unit_test(the_command_refuses_what_cannot_be_asked),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
