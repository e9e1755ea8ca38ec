/* A simulated run as a script: what was drawn from a seed can be given, and says the same; a
 * failing one is shrunk, and told. */
#include "base/log.h"
#include "simulate/case.h"
#include "simulate/story.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEEDS_MAX 60
#define EVENTS_MAX 5
#define CHOICES_MAX 5
#define RUNS_MAX 300

static char scratch[TM_SIM_PATH_BYTES];

static void run(struct tm_sim_result *out, struct tm_sim_script *script)
{
    struct tm_err err = { .code = TM_OK };
    char text[700];
    const struct tm_sim_options options = { .dir = scratch };
    memset(out, 0, sizeof *out);
    if (tm_simulate_script(out, script, &options, &err) != TM_OK)
        fail_msg("%s", tm_err_text(&err, text, sizeof text));
}

static void copy(struct tm_sim_script *out, const struct tm_sim_script *from)
{
    struct tm_err err = { .code = TM_OK };
    assert_int_equal(tm_sim_script_copy(out, from, &err), TM_OK);
}

static void a_script_that_was_drawn_and_then_given_is_the_same_run_byte_for_byte(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct tm_sim_script drawn, given;
        struct tm_sim_result a, b;
        tm_sim_script_draw(&drawn, seed);
        run(&a, &drawn);
        copy(&given, &drawn);
        run(&b, &given);
        assert_memory_equal(&a, &b, sizeof a);
        tm_sim_script_free(&drawn);
        tm_sim_script_free(&given);
    }
}

static void a_script_without_any_decision_has_no_fault_and_is_still_a_run(void **state)
{
    uint64_t commits = 0; /* none where it is no longer fair: what only audits find */
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct tm_sim_script drawn, given;
        struct tm_sim_result r;
        tm_sim_script_draw(&drawn, seed);
        run(&r, &drawn);
        drawn.choices.count = 0;
        copy(&given, &drawn);
        run(&r, &given);
        assert_int_equal(r.faults, 0);
        assert_int_equal(r.crashes, 0);
        commits += r.commits;
        tm_sim_script_free(&drawn);
        tm_sim_script_free(&given);
    }
    assert_true(commits > 0);
}

static void a_script_that_lost_events_leaves_out_what_no_longer_fits(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct tm_sim_script drawn, given;
        struct tm_sim_result all, some;
        tm_sim_script_draw(&drawn, seed);
        run(&all, &drawn);
        copy(&given, &drawn);
        for (size_t i = 0; i < given.events_count; i++)
            tm_sim_script_drop_event(&given, i); /* every second one */
        run(&some, &given);
        assert_true(some.commits < all.commits);
        tm_sim_script_free(&drawn);
        tm_sim_script_free(&given);
    }
}

static void decisions_taken_out_in_one_place_leave_those_of_the_others(void **state)
{
    static const struct tm_sim_choice list[] = { { TM_SIM_AT_LOOK, 0, 1 },
                                                 { TM_SIM_AT_LOOK, 3, 1 },
                                                 { TM_SIM_AT_CALM, 0, 4 },
                                                 { TM_SIM_AT_CALM, 2, 5 },
                                                 { TM_SIM_AT_PICK, 1, 6 } };
    struct tm_sim_choices c;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    assert_int_equal(tm_sim_choices_give(&c, list, 5, &err), TM_OK);
    c.count = 3; /* without those about looks */
    memmove(c.list, c.list + 2, c.count * sizeof *c.list);
    for (int again = 0; again < 2; again++) {
        tm_sim_choices_rewind(&c);
        assert_false(tm_sim_chance(&c, TM_SIM_AT_LOOK, 0.5));
        assert_int_equal(tm_sim_between(&c, TM_SIM_AT_CALM, 0, 9), 4);
        assert_int_equal(tm_sim_between(&c, TM_SIM_AT_CALM, 0, 9), 0);
        assert_int_equal(tm_sim_between(&c, TM_SIM_AT_CALM, 0, 9), 5);
        assert_int_equal(tm_sim_between(&c, TM_SIM_AT_PICK, 0, 9), 0);
        assert_int_equal(tm_sim_between(&c, TM_SIM_AT_PICK, 0, 9), 6);
    }
    tm_sim_choices_free(&c);
}

/* Its history was not over: what was still to come is part of it. */
static void a_run_that_ended_with_a_finding_is_the_same_when_it_is_given(void **state)
{
    const struct tm_sim_options options = { .dir = scratch,
                                            .planted_from = "max(CASE WHEN (",
                                            .planted_to = "min(CASE WHEN (" };
    struct tm_err err = { .code = TM_OK };
    size_t cut = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 14; seed++) {
        struct tm_sim_script drawn, given;
        struct tm_sim_result a, b;
        memset(&a, 0, sizeof a);
        memset(&b, 0, sizeof b);
        tm_sim_script_draw(&drawn, seed);
        assert_int_equal(tm_simulate_script(&a, &drawn, &options, &err), TM_OK);
        copy(&given, &drawn);
        assert_int_equal(tm_simulate_script(&b, &given, &options, &err), TM_OK);
        assert_memory_equal(&a, &b, sizeof a);
        const struct tm_sim_event *last = &drawn.events[drawn.events_count - 1];
        cut += last->kind == TM_SIM_TXN && last->changes_count == 0;
        tm_sim_script_free(&drawn);
        tm_sim_script_free(&given);
    }
    assert_true(cut > 0);
}

/* Option 1's own SQL with one thing wrong in it. */
static void shrunk(struct tm_sim_shrunk *out, const char *from, const char *to)
{
    const struct tm_sim_options options = { .dir = scratch,
                                            .planted_from = from,
                                            .planted_to = to };
    struct tm_err err = { .code = TM_OK };
    char text[700];
    for (uint64_t seed = 1; seed <= SEEDS_MAX; seed++) {
        struct tm_sim_script script;
        struct tm_sim_result r;
        tm_sim_script_draw(&script, seed);
        if (tm_simulate_script(&r, &script, &options, &err) != TM_OK)
            fail_msg("%s", tm_err_text(&err, text, sizeof text));
        if (r.finding.found)
            assert_int_equal(tm_sim_shrink(out, &script, &r, &options, &err), TM_OK);
        tm_sim_script_free(&script);
        if (r.finding.found)
            return;
    }
    fail_msg("%d seeds did not notice: %s", SEEDS_MAX, to);
}

static void planted_bugs_shrink_to_five_events_and_decisions_at_most(void **state)
{
    static const char *const planted[][2] = {
        { "max(CASE WHEN (", "min(CASE WHEN (" },
        { "WHERE t IN ('CREATE','UNDELETE','DELETE','GAP_DELETE')",
          "WHERE t IN ('CREATE','UNDELETE','GAP_DELETE')" },
        { "t IN ('CREATE','UNDELETE') AS \"full\"", "t IN ('CREATE') AS \"full\"" },
        { "SELECT id,'gap' AS kind,\"key\" FROM e WHERE t NOT IN",
          "SELECT id,'gap' AS kind,\"key\" FROM e WHERE 0 AND t NOT IN" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof planted / sizeof planted[0]; i++) {
        struct tm_sim_shrunk s;
        struct tm_sim_result honest;
        shrunk(&s, planted[i][0], planted[i][1]);
        assert_in_range(s.script.events_count, 1, EVENTS_MAX);
        assert_in_range(s.script.choices.count, 0, CHOICES_MAX);
        assert_in_range(s.runs, 1, RUNS_MAX);
        assert_true(s.result.finding.found);
        struct tm_sim_script again;
        copy(&again, &s.script);
        run(&honest, &again);
        assert_false(honest.finding.found);
        tm_sim_script_free(&again);
        tm_sim_script_free(&s.script);
    }
}

static void a_shrunk_run_is_told_as_a_case_that_can_be_read_back(void **state)
{
    struct tm_sim_shrunk s;
    struct tm_case c;
    struct tm_err err = { .code = TM_OK };
    char folder[TM_SIM_PATH_BYTES + 16], file[TM_SIM_PATH_BYTES + 64];
    (void)state;
    snprintf(folder, sizeof folder, "%s/case", scratch);
    shrunk(&s, "e.t='UPDATE' AND (", "e.t='update' AND (");
    assert_int_equal(tm_sim_story_write(&s, folder, &err), TM_OK);
    memset(&c, 0, sizeof c);
    assert_int_equal(tm_case_load(&c, folder, &err), TM_OK);
    assert_true(json_array_size(c.rows) > 0);
    assert_true(json_array_size(c.expected) > 0);
    assert_non_null(strstr(c.rules, "R5"));
    assert_non_null(strstr(c.story, "## What the org did"));
    assert_non_null(strstr(c.story, "is updated: "));
    assert_non_null(strstr(c.story, s.result.finding.field));
    tm_case_free(&c);
    tm_sim_script_free(&s.script);
    static const char *const files[] = { "rows.jsonl", "expected.jsonl", "README.md" };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(file, sizeof file, "%s/%s", folder, files[i]);
        unlink(file);
    }
    rmdir(folder);
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
        cmocka_unit_test(a_script_that_was_drawn_and_then_given_is_the_same_run_byte_for_byte),
        cmocka_unit_test(a_script_without_any_decision_has_no_fault_and_is_still_a_run),
        cmocka_unit_test(a_script_that_lost_events_leaves_out_what_no_longer_fits),
        cmocka_unit_test(decisions_taken_out_in_one_place_leave_those_of_the_others),
        cmocka_unit_test(a_run_that_ended_with_a_finding_is_the_same_when_it_is_given),
        cmocka_unit_test(planted_bugs_shrink_to_five_events_and_decisions_at_most),
        cmocka_unit_test(a_shrunk_run_is_told_as_a_case_that_can_be_read_back),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
