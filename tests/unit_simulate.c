/* The simulated driver itself: a slice of seeds, determinism, and that planted mistakes are
 * noticed. */
#include "simulate/simulate.h"
#include "base/log.h"
#include "base/sql.h"
#include "simulate/witness.h"
#include "tests/support_command.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SEEDS_SLICE 150
#define SEEDS_WRONG_MAX 60
static char scratch[TM_SIM_PATH_BYTES];

static void run(struct tm_sim_result *out, uint64_t seed, const char *from, const char *to)
{
    struct tm_err err = { .code = TM_OK };
    char text[700];
    const struct tm_sim_options options = { .dir = scratch,
                                            .planted_from = from,
                                            .planted_to = to };
    if (tm_simulate(out, seed, &options, &err) != TM_OK)
        fail_msg("%s", tm_err_text(&err, text, sizeof text));
}

static void a_slice_of_seeds_breaks_no_rule(void **state)
{
    struct tm_sim_result r;
    uint64_t crashes = 0, faults = 0, commits = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS_SLICE; seed++) {
        run(&r, seed, NULL, NULL);
        if (r.finding.found)
            fail_msg("seed %" PRIu64 ": %s: %s", seed, r.finding.rule, r.finding.text);
        crashes += r.crashes;
        faults += r.faults;
        commits += r.commits;
    }
    assert_true(crashes > SEEDS_SLICE);
    assert_true(faults > 2 * SEEDS_SLICE);
    assert_true(commits > 5 * SEEDS_SLICE);
}

/* A kind that never happens is a hole: it ends with the first seed by which all have. */
static void every_kind_of_event_and_of_fault_happens_soon(void **state)
{
    struct tm_sim_stats runs = { .count = { 0 } };
    size_t missing = TM_SIM_STATS;
    (void)state;
    for (uint64_t seed = 1; seed <= TM_SIM_STAT_SEEDS && missing > 0; seed++) {
        struct tm_sim_result r;
        run(&r, seed, NULL, NULL);
        tm_sim_stats_add(&runs, &r.stats);
        missing = 0;
        for (size_t i = 0; i < TM_SIM_STATS; i++)
            missing += runs.count[i] == 0;
    }
    for (size_t i = 0; i < TM_SIM_STATS; i++)
        if (runs.count[i] == 0)
            fail_msg("never in %d seeds: %s", TM_SIM_STAT_SEEDS,
                     tm_sim_stat_name((enum tm_sim_stat)i));
}

static void the_same_seed_gives_the_same_run_byte_for_byte(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct tm_sim_result a, b;
        memset(&a, 0, sizeof a);
        memset(&b, 0, sizeof b);
        run(&a, seed, NULL, NULL);
        run(&b, seed, NULL, NULL);
        assert_memory_equal(&a, &b, sizeof a);
    }
}

/* What is kept between seeds (reader.h) must not be seen in them. */
static void a_seed_gives_the_same_run_whatever_ran_before_it(void **state)
{
    (void)state;
    struct tm_test_output row = tm_test_command(60, "tidemark simulate --seeds 1..12 --verbose");
    struct tm_test_output alone = tm_test_command(60, "tidemark simulate --seeds 12 --verbose");
    const char *last = strstr(row.out, "seed 12: ");
    assert_non_null(last);
    assert_int_equal(strncmp(last, alone.out, strcspn(alone.out, "\n")), 0);
    tm_test_output_free(&row);
    tm_test_output_free(&alone);
}

/* Steps, records, looks and what is found: all of it, with a right and with a wrong view. */
static void views_that_are_installed_and_views_that_are_kept_give_the_same_run(void **state)
{
    static const char *const plant[2][2] = { { NULL, NULL },
                                             { "e.t='UPDATE' AND (", "e.t='update' AND (" } };
    struct tm_err err = { .code = TM_OK };
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        const char *const *p = plant[seed % 2];
        struct tm_sim_result kept, installed;
        const struct tm_sim_options options = { .dir = scratch,
                                                .planted_from = p[0],
                                                .planted_to = p[1],
                                                .look_always = true,
                                                .views_installed = true };
        struct tm_sim_options other = options;
        other.views_installed = false;
        memset(&kept, 0, sizeof kept);
        memset(&installed, 0, sizeof installed);
        assert_int_equal(tm_simulate(&installed, seed, &options, &err), TM_OK);
        assert_int_equal(tm_simulate(&kept, seed, &other, &err), TM_OK);
        assert_memory_equal(&kept, &installed, sizeof kept);
    }
}

/* A view that SQLite refuses ends the sink, whoever would have read it. */
static void a_view_that_is_not_sql_ends_the_sink(void **state)
{
    struct tm_sim_result r;
    (void)state;
    run(&r, 1, "WITH\nx AS", "WITHER\nx AS");
    assert_true(r.finding.found);
    assert_string_equal(r.finding.rule, "end");
    assert_non_null(strstr(r.finding.text, "syntax error"));
}

static void different_seeds_give_different_runs(void **state)
{
    struct tm_sim_result a, b;
    (void)state;
    run(&a, 1, NULL, NULL);
    run(&b, 2, NULL, NULL);
    assert_true(a.digest != b.digest);
}

/* Option 1's own SQL with one thing wrong in it. */
static void noticed(const char *from, const char *to)
{
    for (uint64_t seed = 1; seed <= SEEDS_WRONG_MAX; seed++) {
        struct tm_sim_result r;
        run(&r, seed, from, to);
        if (!r.finding.found)
            continue;
        /* a rule of what is shown or flagged; not that a station ended, or never comes to rest */
        assert_true(r.finding.rule[0] == 'R' || strcmp(r.finding.rule, "agree") == 0);
        assert_non_null(strstr(r.finding.text, "option "));
        return;
    }
    fail_msg("%d seeds did not notice: %s", SEEDS_WRONG_MAX, to);
}

static void a_view_in_which_the_first_update_of_a_field_wins_is_noticed(void **state)
{
    (void)state;
    noticed("max(CASE WHEN (", "min(CASE WHEN (");
}

static void a_view_that_ignores_updates_is_noticed(void **state)
{
    (void)state;
    noticed("e.t='UPDATE' AND (", "e.t='update' AND (");
}

static void a_view_that_keeps_what_a_read_found_removed_is_noticed(void **state)
{
    (void)state;
    noticed("WHERE k IN ('image','removed')", "WHERE k IN ('image')");
}

static void a_view_that_keeps_what_a_whole_read_did_not_find_is_noticed(void **state)
{
    (void)state;
    noticed("WHERE r.whole AND n.id IS NULL", "WHERE 0");
}

/* At rest nothing is dirty, so only looks in flight can tell. */
static void a_view_that_does_not_flag_gaps_is_noticed(void **state)
{
    (void)state;
    noticed("SELECT id,'gap' AS kind,\"key\" FROM e WHERE t NOT IN",
            "SELECT id,'gap' AS kind,\"key\" FROM e WHERE 0 AND t NOT IN");
}

/* Where audits run as well: what they would mend is seen before. */
static void what_is_told_is_judged_before_a_whole_read_mends_it(void **state)
{
    uint64_t told = 0, seeds = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct tm_sim_result r;
        run(&r, seed, NULL, NULL);
        told += r.told;
        seeds += r.told > 0;
    }
    assert_true(seeds > 10 && told > seeds);
}

/* ---- the checker of real runs beside every simulated one ---- */

static void every_seed_is_judged_at_every_commit_by_the_checker_too(void **state)
{
    uint64_t commits = 0, equal = 0;
    struct tm_sim_result r;
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        run(&r, seed, NULL, NULL);
        commits += r.at_commits;
        equal += r.at_commits_equal;
    }
    assert_true(commits > 50);
    assert_true(equal > 0 && equal < commits);
}

struct wrong_copy {
    const char *sql; /* of the state table of the first object */
    struct tm_sim_finding found;
};

/* Changes the copy behind the reader's back, and asks the witness. */
static enum tm_code change_copy(void *self, struct tm_sim_world *w, struct tm_sim_result *r,
                                struct tm_err *err)
{
    struct wrong_copy *wrong = self;
    struct tm_sim_witness witness = { .commits = 0 };
    sqlite3 *db = NULL;
    (void)r;
    enum tm_code rc = tm_sim_witness_look(&witness, w, err);
    if (rc == TM_OK)
        rc = tm_sql_open(&db, w->view_path, TM_SQL_WRITE, err);
    if (rc == TM_OK)
        rc = tm_sql_execf(db, err, wrong->sql, w->objects[0], w->objects[0]);
    if (rc == TM_OK)
        rc = tm_sim_witness_judge(&witness, w, &wrong->found, err);
    tm_sql_close(db);
    tm_sim_witness_close(&witness);
    return rc;
}

static void change(struct wrong_copy *wrong, const char *sql)
{
    struct tm_sim_result r;
    struct tm_err err = { .code = TM_OK };
    char text[700];
    *wrong = (struct wrong_copy){ .sql = sql };
    const struct tm_sim_options options = { .dir = scratch,
                                            .at_end = change_copy,
                                            .at_end_self = wrong };
    if (tm_simulate(&r, 5, &options, &err) != TM_OK)
        fail_msg("%s", tm_err_text(&err, text, sizeof text));
    assert_false(r.finding.found);
}

static void a_row_that_changes_without_its_seq_is_noticed(void **state)
{
    struct wrong_copy wrong;
    (void)state;
    change(&wrong,
           "UPDATE \"_state_%w\" SET _dirty = 1 - _dirty WHERE _shown = 1 AND _row = (SELECT "
           "min(_row) FROM \"_state_%w\" WHERE _shown = 1)");
    assert_true(wrong.found.found);
    assert_string_equal(wrong.found.rule, "_seq");
}

static void a_row_that_goes_without_a_word_is_noticed(void **state)
{
    struct wrong_copy wrong;
    (void)state;
    change(&wrong, "DELETE FROM \"_state_%w\" WHERE _shown = 1");
    assert_true(wrong.found.found);
    assert_string_equal(wrong.found.rule, "_seq");
}

static void a_copy_that_is_left_alone_is_found_right(void **state)
{
    struct wrong_copy wrong;
    (void)state;
    change(&wrong, "SELECT 1 FROM \"_state_%w\"");
    assert_false(wrong.found.found);
}

static void commands_refuse_what_they_do_not_know(void **state)
{
    static const char *const no_seeds[] = { "which seeds?", NULL };
    static const char *const bad_seeds[] = { "--seeds \"7..3\"", "A..B", NULL };
    static const char *const bad_flag[] = { "unknown flag --seed", "--seeds", NULL };
    static const char *const bad_word[] = { "day.json", "takes no scenario", NULL };
    (void)state;
    tm_test_refused(64, no_seeds, 10, "tidemark simulate");
    tm_test_refused(64, bad_seeds, 10, "tidemark simulate --seeds 7..3");
    tm_test_refused(64, bad_flag, 10, "tidemark simulate --seed 1..2");
    tm_test_refused(64, bad_word, 10, "tidemark simulate day.json --seeds 1..2");
}

/* Line by line, digests and all; also when several processes share the seeds. */
static void two_runs_of_the_command_print_the_same(void **state)
{
    (void)state;
    struct tm_test_output a = tm_test_command(60, "tidemark simulate --seeds 1..5 --verbose");
    struct tm_test_output b =
        tm_test_command(60, "tidemark simulate --seeds 1..5 --verbose --jobs 3");
    assert_int_equal(a.code, 0);
    assert_string_equal(a.out, b.out);
    assert_non_null(strstr(a.out, "seed 5: passed; "));
    assert_non_null(strstr(a.out, "5 seeds, 0 failed"));
    tm_test_output_free(&a);
    tm_test_output_free(&b);
}

/* As $TMPDIR may be. A database that is known by a relative path would be a file. */
static void a_scratch_folder_in_a_relative_folder_is_known_by_its_whole_path(void **state)
{
    struct tm_err err = { .code = TM_OK };
    char made[TM_SIM_PATH_BYTES], base[64], before[512], here[512];
    struct tm_sim_result r, known;
    (void)state;
    run(&known, 1, NULL, NULL);
    snprintf(base, sizeof base, "%s", tm_test_folder());
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(base), 0);
    assert_non_null(getcwd(here, sizeof here));
    enum tm_code rc = tm_sim_scratch_make_in(made, ".", &err);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(rc, TM_OK);
    assert_int_equal(strncmp(made, here, strlen(here)), 0);
    assert_int_equal(tm_simulate(&r, 1, &(struct tm_sim_options){ .dir = made }, &err), TM_OK);
    assert_int_equal(r.digest, known.digest);
    tm_sim_scratch_remove(made);
    assert_int_equal(rmdir(base), 0); /* nothing was left in it */
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
        cmocka_unit_test(a_slice_of_seeds_breaks_no_rule),
        cmocka_unit_test(every_kind_of_event_and_of_fault_happens_soon),
        cmocka_unit_test(the_same_seed_gives_the_same_run_byte_for_byte),
        cmocka_unit_test(a_seed_gives_the_same_run_whatever_ran_before_it),
        cmocka_unit_test(views_that_are_installed_and_views_that_are_kept_give_the_same_run),
        cmocka_unit_test(a_view_that_is_not_sql_ends_the_sink),
        cmocka_unit_test(different_seeds_give_different_runs),
        cmocka_unit_test(a_view_in_which_the_first_update_of_a_field_wins_is_noticed),
        cmocka_unit_test(a_view_that_ignores_updates_is_noticed),
        cmocka_unit_test(a_view_that_keeps_what_a_read_found_removed_is_noticed),
        cmocka_unit_test(a_view_that_keeps_what_a_whole_read_did_not_find_is_noticed),
        cmocka_unit_test(a_view_that_does_not_flag_gaps_is_noticed),
        cmocka_unit_test(what_is_told_is_judged_before_a_whole_read_mends_it),
        cmocka_unit_test(every_seed_is_judged_at_every_commit_by_the_checker_too),
        cmocka_unit_test(a_row_that_changes_without_its_seq_is_noticed),
        cmocka_unit_test(a_row_that_goes_without_a_word_is_noticed),
        cmocka_unit_test(a_copy_that_is_left_alone_is_found_right),
        cmocka_unit_test(commands_refuse_what_they_do_not_know),
        cmocka_unit_test(two_runs_of_the_command_print_the_same),
        cmocka_unit_test(a_scratch_folder_in_a_relative_folder_is_known_by_its_whole_path),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
