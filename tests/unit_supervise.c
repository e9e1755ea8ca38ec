/* The supervisor over real processes. This program is its own child: what the children do is in
 * `act`. */
#include "run/supervise.h"
#include "support_command.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define WAIT_MS 10000 /* bound of every wait: far more than it takes */

/* ---- what the children do ---- */

static int act_work(void)
{
    volatile double sum = 0;
    char *memory = malloc(32u << 20);
    memset(memory, 7, 32u << 20);
    for (clock_t end = clock() + CLOCKS_PER_SEC / 10; clock() < end;)
        sum += memory[(size_t)sum % 100];
    free(memory);
    return 0;
}

static int act_supervise(const char *folder)
{
    struct tm_children all = { .count = 0 };
    struct tm_child *child;
    struct tm_err err = { 0 };
    char line[64];
    const char *argv[] = { "deaf", NULL };
    snprintf(all.dir, sizeof all.dir, "%s", folder);
    if (tm_child_start(&all, &child, "deaf", false, argv, &err) != TM_OK ||
        tm_child_first_line(&all, child, WAIT_MS, line, sizeof line, &err) != TM_OK)
        return 1;
    printf("%d\n", (int)child->pid);
    fflush(stdout);
    for (;;)
        pause();
}

static int act(int argc, char **argv)
{
    const char *what = argv[1];
    if (strcmp(what, "say") == 0) {
        printf("%s\nsecond line\n", argc > 2 ? argv[2] : "");
        fflush(stdout);
    } else if (strcmp(what, "fail") == 0) {
        fprintf(stderr, "first words\nthe disk is full\n\n");
        return 64;
    } else if (strcmp(what, "hint") == 0) {
        fprintf(stderr, "tidemark x: no broker\n  this may pass\n");
        return 2;
    } else if (strcmp(what, "serve") == 0) { /* --port N */
        printf("http://127.0.0.1:%s\n", strcmp(argv[3], "0") == 0 ? "4711" : argv[3]);
        fflush(stdout);
    } else if (strcmp(what, "crash") == 0) {
        raise(SIGKILL);
    } else if (strcmp(what, "work") == 0) {
        return act_work();
    } else if (strcmp(what, "supervise") == 0) {
        return act_supervise(argv[2]);
    } else if (strcmp(what, "deaf") == 0) {
        signal(SIGTERM, SIG_IGN);
        printf("deaf\n");
        fflush(stdout);
    }
    for (;;)
        pause();
}

/* ---- tests ---- */

static int open_children(void **state)
{
    struct tm_children *all = calloc(1, sizeof *all);
    char path[128];
    snprintf(all->dir, sizeof all->dir, "%s", tm_test_folder());
    snprintf(path, sizeof path, "mkdir %.100s/log", all->dir);
    assert_int_equal(system(path), 0);
    *state = all;
    return 0;
}

static int close_children(void **state)
{
    struct tm_children *all = *state;
    tm_children_stop(all, 1);
    tm_test_folder_remove(all->dir);
    free(all);
    return 0;
}

static struct tm_child *start(struct tm_children *all, bool restartable, const char *what,
                              const char *more)
{
    struct tm_child *child;
    const char *argv[] = { what, more, NULL };
    assert_int_equal(tm_child_start(all, &child, what, restartable, argv, NULL), TM_OK);
    return child;
}

/* Watches until something ended in error; false when nothing did within the bound. */
static bool watch_until_error(struct tm_children *all, struct tm_err *err)
{
    for (int waited_ms = 0; waited_ms < WAIT_MS; waited_ms += 5) {
        if (tm_children_watch(all, err) != TM_OK)
            return true;
        tm_test_pause(5);
    }
    return false;
}

static bool gone(pid_t pid)
{
    for (int waited_ms = 0; waited_ms < WAIT_MS; waited_ms += 5) {
        char path[64], state = 0;
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        FILE *f = fopen(path, "r");
        if (f == NULL)
            return true;
        if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
            state = 'X';
        fclose(f);
        if (state == 'Z' || state == 'X')
            return true; /* dead; whoever adopted it has not looked yet */
        tm_test_pause(5);
    }
    return false;
}

static void the_first_line_of_a_child_is_returned_whole(void **state)
{
    struct tm_children *all = *state;
    char line[64];
    struct tm_child *child = start(all, false, "say", "127.0.0.1:4711");
    assert_int_equal(tm_child_first_line(all, child, WAIT_MS, line, sizeof line, NULL), TM_OK);
    assert_string_equal(line, "127.0.0.1:4711");
    assert_string_equal(child->name, "say");
}

static void a_child_that_ends_early_is_told_with_its_last_words(void **state)
{
    struct tm_children *all = *state;
    struct tm_err err = { 0 };
    char line[64];
    struct tm_child *child = start(all, false, "fail", NULL);
    assert_int_equal(tm_child_first_line(all, child, WAIT_MS, line, sizeof line, &err), TM_E_ARG);
    assert_string_equal(err.msg, "fail ended with exit code 64: the disk is full");
}

static void last_words_are_the_error_not_the_hint_after_it(void **state)
{
    struct tm_children *all = *state;
    struct tm_err err = { 0 };
    start(all, false, "hint", NULL);
    assert_true(watch_until_error(all, &err));
    assert_string_equal(err.msg, "hint ended with exit code 2: tidemark x: no broker");
}

static void a_silent_child_is_given_up_after_its_time(void **state)
{
    struct tm_children *all = *state;
    struct tm_err err = { 0 };
    char line[64];
    struct tm_child *child = start(all, false, "silent", NULL);
    assert_int_equal(tm_child_first_line(all, child, 20, line, sizeof line, &err), TM_E_IO);
    assert_non_null(strstr(err.msg, "silent did not come up"));
}

static void a_crash_is_started_again_until_it_is_too_often(void **state)
{
    struct tm_children *all = *state;
    struct tm_err err = { 0 };
    struct tm_child *child = start(all, true, "crash", NULL);
    assert_true(watch_until_error(all, &err));
    assert_int_equal(child->restarts, TM_CHILD_RESTARTS_MAX);
    assert_int_equal(err.code, TM_E_IO);
    assert_non_null(strstr(err.msg, "crash was killed by signal 9"));
}

static void a_server_that_crashed_comes_back_on_the_address_it_had(void **state)
{
    struct tm_children *all = *state;
    const char *argv[] = { "serve", "--port", "0", NULL };
    struct tm_err err = { 0 };
    struct tm_child *child;
    char line[64];
    assert_int_equal(tm_child_start(all, &child, "serve", false, argv, &err), TM_OK);
    assert_int_equal(tm_child_first_line(all, child, WAIT_MS, line, sizeof line, &err), TM_OK);
    assert_int_equal(tm_child_restart_on(child, "http://127.0.0.1", &err), TM_E_PROTO);
    assert_false(child->restartable);
    tm_err_clear(&err);
    assert_int_equal(tm_child_restart_on(child, line, &err), TM_OK);
    assert_string_equal(child->argv[3], "4711");
    assert_int_equal(kill(child->pid, SIGKILL), 0);
    for (int ms = 0; ms < WAIT_MS && child->restarts == 0; ms += 5, tm_test_pause(5))
        assert_int_equal(tm_children_watch(all, &err), TM_OK);
    assert_int_equal(child->restarts, 1);
    static const char both[] = "http://127.0.0.1:4711\nhttp://127.0.0.1:4711\n";
    char said[128] = "";
    for (int ms = 0; ms < WAIT_MS && strlen(said) < strlen(both); ms += 5, tm_test_pause(5)) {
        FILE *f = fopen(child->out_path, "r");
        assert_non_null(f);
        said[fread(said, 1, sizeof said - 1, f)] = '\0';
        fclose(f);
    }
    assert_string_equal(said, both);
}

static void a_crash_of_what_may_not_start_again_ends_the_run_at_once(void **state)
{
    struct tm_children *all = *state;
    struct tm_err err = { 0 };
    struct tm_child *child = start(all, false, "crash", NULL);
    assert_true(watch_until_error(all, &err));
    assert_int_equal(child->restarts, 0);
    assert_int_equal(child->exit_code, 128 + SIGKILL);
}

static void an_exit_on_its_own_is_an_error_even_of_a_restartable_child(void **state)
{
    struct tm_children *all = *state;
    struct tm_err err = { 0 };
    struct tm_child *child = start(all, true, "work", NULL);
    assert_true(watch_until_error(all, &err));
    assert_string_equal(err.msg, "work ended with exit code 0: (it left no message)");
    assert_true(child->cpu_s >= 0.05); /* it worked for 0.1 s of CPU time */
    assert_true(child->rss_peak_bytes > 32 << 20);
}

static void stop_asks_first_and_kills_the_deaf(void **state)
{
    struct tm_children *all = *state;
    struct tm_err err = { 0 };
    char line[64];
    struct tm_child *deaf = start(all, true, "deaf", NULL),
                    *polite = start(all, true, "polite", NULL);
    assert_int_equal(tm_child_first_line(all, deaf, WAIT_MS, line, sizeof line, NULL), TM_OK);
    assert_int_equal(tm_child_stop(all, polite, WAIT_MS), 128 + SIGTERM);
    assert_int_equal(tm_child_stop(all, deaf, 20), 128 + SIGKILL);
    assert_int_equal(tm_child_stop(all, deaf, 20), 128 + SIGKILL); /* again: nothing to do */
    /* what was stopped is not restarted */
    assert_int_equal(tm_children_watch(all, &err), TM_OK);
    assert_int_equal(polite->restarts + deaf->restarts, 0);
}

static volatile sig_atomic_t swallowed;
static void swallow(int number)
{
    swallowed = number;
}

static void a_request_to_end_is_heard_from_the_first_moment(void **state)
{
    struct tm_children *all = *state;
    struct sigaction action = { .sa_handler = swallow }, before;
    /* as the supervisor has one: a fresh child must not inherit it */
    sigaction(SIGTERM, &action, &before);
    for (int i = 0; i < 40; i++)
        assert_int_equal(tm_child_stop(all, start(all, false, "polite", NULL), WAIT_MS),
                         128 + SIGTERM);
    sigaction(SIGTERM, &before, NULL);
    assert_int_equal(swallowed, 0);
}

static void children_carry_the_name_of_the_program(void **state)
{
    struct tm_children *all = *state;
    char path[64], name[64] = "", line[64];
    struct tm_child *child = start(all, false, "deaf", NULL);
    assert_int_equal(tm_child_first_line(all, child, WAIT_MS, line, sizeof line, NULL), TM_OK);
    snprintf(path, sizeof path, "/proc/%d/comm", (int)child->pid);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(name, sizeof name, f));
    fclose(f);
    assert_string_equal(name, "unit_supervise\n");
}

static void no_child_outlives_a_killed_supervisor(void **state)
{
    struct tm_children *all = *state;
    char line[64], folder[128];
    struct tm_child *supervisor = start(all, false, "supervise", all->dir);
    assert_int_equal(tm_child_first_line(all, supervisor, WAIT_MS, line, sizeof line, NULL), TM_OK);
    pid_t grandchild = (pid_t)strtol(line, NULL, 10);
    assert_true(grandchild > 1);
    snprintf(folder, sizeof folder, "/proc/%d", (int)grandchild);
    assert_int_equal(access(folder, F_OK), 0);
    assert_int_equal(kill(supervisor->pid, SIGKILL), 0);
    assert_true(gone(grandchild)); /* although it ignores polite requests */
}

#define CHILD_TEST(f) cmocka_unit_test_setup_teardown(f, open_children, close_children)
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CHILD_TEST(the_first_line_of_a_child_is_returned_whole),
        CHILD_TEST(a_child_that_ends_early_is_told_with_its_last_words),
        CHILD_TEST(last_words_are_the_error_not_the_hint_after_it),
        CHILD_TEST(a_silent_child_is_given_up_after_its_time),
        CHILD_TEST(a_crash_is_started_again_until_it_is_too_often),
        CHILD_TEST(a_server_that_crashed_comes_back_on_the_address_it_had),
        CHILD_TEST(a_crash_of_what_may_not_start_again_ends_the_run_at_once),
        CHILD_TEST(an_exit_on_its_own_is_an_error_even_of_a_restartable_child),
        CHILD_TEST(stop_asks_first_and_kills_the_deaf),
        CHILD_TEST(a_request_to_end_is_heard_from_the_first_moment),
        CHILD_TEST(children_carry_the_name_of_the_program),
        CHILD_TEST(no_child_outlives_a_killed_supervisor),
    };
    if (argc > 1)
        return act(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
