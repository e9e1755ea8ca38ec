/* A simulated run as a script: what was drawn from a seed can be given, and says the same. */
#include "base/log.h"
#include "simulate/simulate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

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
        assert_true(r.commits > 0);
        tm_sim_script_free(&drawn);
        tm_sim_script_free(&given);
    }
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
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
