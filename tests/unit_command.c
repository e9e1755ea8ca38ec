/* command: flags with their environment, the real driver's waiting, signals, counters written
 * atomically. */
#include "run/command.h"
#include "tests/support_folder.h"
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- flags ---- */

static const char *const extras[] = { "port", "--seed", "once!", NULL };

static enum tm_code parse(struct tm_station_flags *flags, const char **out, struct tm_err *err,
                          const char *line)
{
    static char words[512];
    char *argv[32] = { (char *)(uintptr_t) "sink" };
    int argc = 1;
    snprintf(words, sizeof words, "%s", line);
    for (char *save = NULL, *w = strtok_r(words, " ", &save); w != NULL;
         w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    tm_err_clear(err);
    return tm_flags_parse(flags, argc, argv, extras, out, err);
}

static void flags_take_both_spellings_switches_and_the_config(void **state)
{
    struct tm_station_flags flags;
    const char *out[3];
    struct tm_err err;
    (void)state;
    assert_int_equal(parse(&flags, out, &err,
                           "--brokers h:1,h:2 sink.json --clock=/c --embedded --port 80 --once"),
                     TM_OK);
    assert_string_equal(flags.brokers, "h:1,h:2");
    assert_string_equal(flags.config_path, "sink.json");
    assert_string_equal(flags.clock_path, "/c");
    assert_true(flags.embedded);
    assert_false(flags.json);
    assert_null(flags.registry);
    assert_string_equal(out[0], "80");
    assert_null(out[1]);
    assert_string_equal(out[2], "1");
}

static void flags_come_from_the_environment_and_the_command_line_wins(void **state)
{
    struct tm_station_flags flags;
    const char *out[3];
    struct tm_err err;
    (void)state;
    setenv("TIDEMARK_BROKERS", "env:1", 1);
    setenv("TIDEMARK_SALESFORCE_URL", "http://env", 1);
    setenv("TIDEMARK_EMBEDDED", "1", 1);
    setenv("TIDEMARK_REGISTRY", "", 1);
    assert_int_equal(parse(&flags, out, &err, "--brokers line:1"), TM_OK);
    assert_string_equal(flags.brokers, "line:1");
    assert_string_equal(flags.salesforce_url, "http://env");
    assert_true(flags.embedded);
    assert_null(flags.registry);
    assert_int_equal(parse(&flags, out, &err, "--embedded=0"), TM_OK);
    assert_false(flags.embedded);
    assert_int_equal(parse(&flags, out, &err, "--salesforce-url http://line"), TM_OK);
    /* so that configs that name it see the flag */
    assert_string_equal(getenv("TIDEMARK_SALESFORCE_URL"), "http://line");
    unsetenv("TIDEMARK_BROKERS");
    unsetenv("TIDEMARK_SALESFORCE_URL");
    unsetenv("TIDEMARK_EMBEDDED");
    unsetenv("TIDEMARK_REGISTRY");
}

static void wrong_flags_are_usage_errors_with_the_nearest_name(void **state)
{
    static const struct {
        const char *line, *says;
    } want[] = {
        { "--broker h:1", "did you mean --brokers?" },
        { "--prot 1", "did you mean --port?" },
        { "--entirelydifferent", "unknown flag --entirelydifferent" },
        { "--brokers", "--brokers wants a value" },
        { "--brokers --json", "--brokers wants a value" },
        { "--brokers=", "--brokers wants a value" },
        { "a.json b.json", "unexpected argument \"b.json\"" },
        { "-x", "unknown flag -x" },
        { "--json", "sink has no --json" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        struct tm_station_flags flags;
        const char *out[3];
        struct tm_err err;
        assert_int_equal(parse(&flags, out, &err, want[i].line), TM_E_ARG);
        if (strstr(err.msg, want[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.msg, want[i].says);
    }
}

/* ---- the driver ---- */

struct station {
    int steps, seconds, oks; /* so many TM_OK first, then TM_E_AGAIN */
    int fail_at;             /* step that fails, 0 = none */
    struct tm_wake ask;      /* what it asks for after each step */
    bool relative;           /* ask.wall_ns counts from now */
    struct tm_now first, last;
};

static enum tm_code station_step(void *self, const struct tm_now *now, struct tm_wake *wake,
                                 struct tm_err *err)
{
    struct station *s = self;
    assert_true(wake->org_ms == TM_NEVER && wake->wall_ns == TM_NEVER);
    if (s->steps++ == 0)
        s->first = *now;
    assert_true(now->wall_ns >= s->last.wall_ns && now->org_ms >= s->last.org_ms);
    s->last = *now;
    if (s->steps == s->fail_at)
        return tm_fail(err, TM_E_GAP, "step %d", s->steps);
    if (s->steps <= s->oks)
        return TM_OK;
    *wake = s->ask;
    if (s->relative)
        wake->wall_ns += now->wall_ns;
    return TM_E_AGAIN;
}

static void station_second(void *self)
{
    ((struct station *)self)->seconds++;
}

static void driver_steps_at_once_while_there_is_work_and_hands_errors_up(void **state)
{
    struct station s = { .oks = 1000, .fail_at = 900, .ask = { TM_NEVER, TM_NEVER } };
    struct tm_driven driven = { .step = station_step, .self = &s };
    struct tm_err err = { .code = TM_OK };
    (void)state;
    assert_int_equal(tm_drive(&driven, &err), TM_E_GAP);
    assert_string_equal(err.msg, "step 900");
    assert_int_equal(s.steps, 900);
}

static void driver_wakes_by_wall_time_with_and_without_http(void **state)
{
    struct tm_http *http = NULL;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    assert_int_equal(tm_http_curl_open(&http, "tidemark-test/1", NULL, &err), TM_OK);
    for (int i = 0; i < 2; i++) {
        struct station s = { .fail_at = 4,
                             .ask = { TM_NEVER, 5 * TM_NS_PER_MS },
                             .relative = true };
        struct tm_driven driven = { .step = station_step,
                                    .self = &s,
                                    .http = i == 0 ? NULL : http };
        tm_err_clear(&err);
        assert_int_equal(tm_drive(&driven, &err), TM_E_GAP);
        assert_true(s.last.wall_ns - s.first.wall_ns >= 15 * TM_NS_PER_MS);
    }
    http->ops->close(http);
}

static void driver_wakes_for_a_descriptor(void **state)
{
    struct station s = { .fail_at = 3, .ask = { TM_NEVER, TM_NEVER } };
    struct tm_err err = { .code = TM_OK };
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    struct tm_driven driven = { .step = station_step, .self = &s, .fds = fds, .fds_count = 1 };
    assert_int_equal(tm_drive(&driven, &err), TM_E_GAP);
    close(fds[0]);
    close(fds[1]);
}

static void driver_looks_again_while_org_time_stands_still_and_wakes_by_it_once_it_runs(
    void **state)
{
    struct tm_clock_file *clock = NULL;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    assert_int_equal(tm_clock_file_create(&clock, folder_path("clock"), 1000000, 1000, &err),
                     TM_OK);
    struct station s = { .fail_at = 4, .ask = { 1000000 + 50, TM_NEVER } };
    struct tm_driven driven = { .step = station_step, .self = &s, .clock = clock };
    /* would never end if it waited for org time */
    assert_int_equal(tm_drive(&driven, &err), TM_E_GAP);
    assert_int_equal(s.last.org_ms, 1000000);
    tm_clock_file_start(clock, tm_clock_monotonic_ns());
    struct station t = { .fail_at = 2,
                         .ask = { 1000000 + 20000, TM_NEVER } }; /* 20 ms of wall time */
    driven.self = &t;
    tm_err_clear(&err);
    assert_int_equal(tm_drive(&driven, &err), TM_E_GAP);
    assert_true(t.last.org_ms >= 1000000 + 20000);
    tm_clock_file_close(clock);
}

static void driver_without_a_clock_file_takes_org_time_from_the_real_clock(void **state)
{
    struct station s = { .fail_at = 2, .ask = { 0, TM_NEVER } };
    struct tm_driven driven = { .step = station_step, .self = &s };
    struct tm_err err = { .code = TM_OK };
    (void)state;
    s.ask.org_ms = tm_clock_realtime_ns() / TM_NS_PER_MS + 30;
    assert_int_equal(tm_drive(&driven, &err), TM_E_GAP);
    assert_true(s.last.org_ms >= s.ask.org_ms - 1);
}

static void terminated_driver_ends_cleanly_even_in_the_middle_of_a_wait(void **state)
{
    static const int signals[] = { SIGTERM, SIGINT };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        int ready[2], status = -1;
        char byte;
        assert_int_equal(pipe(ready), 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct station s = { .oks = 1, .ask = { TM_NEVER, TM_NEVER } };
            struct station probe = { .fail_at = 1 };
            struct tm_driven first = { .step = station_step, .self = &probe };
            struct tm_driven driven = { .step = station_step,
                                        .self = &s,
                                        .on_second = station_second };
            struct tm_err err = { .code = TM_OK };
            tm_drive(&first, &err); /* signals are caught from here on */
            if (write(ready[1], "x", 1) != 1)
                _exit(3);
            tm_err_clear(&err);
            _exit(tm_drive(&driven, &err) == TM_OK && err.code == TM_OK ? 0 : 1);
        }
        assert_true(pid > 0);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        assert_int_equal(kill(pid, signals[i]), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        close(ready[0]);
        close(ready[1]);
    }
}

static void once_a_second_means_while_waiting_too(void **state)
{
    struct station s = { .fail_at = 3, .ask = { TM_NEVER, TM_NEVER } };
    struct tm_driven driven = { .step = station_step, .self = &s, .on_second = station_second };
    struct tm_err err = { .code = TM_OK };
    (void)state;
    /* three steps, two of them only for the second */
    assert_int_equal(tm_drive(&driven, &err), TM_E_GAP);
    assert_int_equal(s.seconds, 2);
}

/* ---- counters and failing ---- */

static void stats_are_whole_json_and_replace_the_old_file(void **state)
{
    struct tm_http *http = NULL;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    assert_int_equal(tm_http_curl_open(&http, "tidemark-test/1", NULL, &err), TM_OK);
    http->counts =
        (struct tm_http_counts){ .calls = 7, .failed = 1, .bytes_out = 10, .bytes_in = 20 };
    struct tm_topic a = { .counts = { .produced = 3, .fetched = 4 } },
                    b = { .counts = { .produced = 5 } };
    struct tm_topic *topics[] = { &a, NULL, &b };
    for (int i = 0; i < 2; i++) {
        tm_stats_write(folder_path("stats.json"), "sink \"1\"", http, topics, 3);
        json_t *json = json_load_file(folder_path("stats.json"), 0, NULL);
        assert_non_null(json);
        assert_string_equal(json_string_value(json_object_get(json, "station")), "sink \"1\"");
        assert_int_equal(json_integer_value(json_object_get(json, "http_calls")), 7);
        assert_int_equal(json_integer_value(json_object_get(json, "http_bytes_in")), 20);
        assert_int_equal(json_integer_value(json_object_get(json, "produced")), 8);
        assert_int_equal(json_integer_value(json_object_get(json, "fetched")), 4);
        assert_true(json_integer_value(json_object_get(json, "rss_peak_bytes")) > 0);
        json_decref(json);
    }
    tm_stats_write(folder_path("bare.json"), "view", NULL, NULL, 0);
    json_t *json = json_load_file(folder_path("bare.json"), 0, NULL);
    assert_null(json_object_get(json, "http_calls"));
    assert_null(json_object_get(json, "produced"));
    json_decref(json);
    tm_stats_write(NULL, "off", NULL, NULL, 0);
    http->ops->close(http);
}

static void failing_prints_the_context_and_returns_the_exit_code(void **state)
{
    struct tm_err err = { .code = TM_OK };
    char line[400] = "";
    int saved = dup(STDERR_FILENO);
    (void)state;
    tm_fail(&err, TM_E_ARG, "unknown key");
    tm_at(&err, "sink.json");
    fflush(stderr);
    assert_non_null(freopen(folder_path("stderr"), "w", stderr));
    int code = tm_command_fail("sink", &err);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    FILE *f = fopen(folder_path("stderr"), "r");
    assert_non_null(fgets(line, sizeof line, f));
    fclose(f);
    assert_int_equal(code, 64);
    assert_string_equal(line, "tidemark sink: sink.json: unknown key\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_take_both_spellings_switches_and_the_config),
        cmocka_unit_test(flags_come_from_the_environment_and_the_command_line_wins),
        cmocka_unit_test(wrong_flags_are_usage_errors_with_the_nearest_name),
        cmocka_unit_test(driver_steps_at_once_while_there_is_work_and_hands_errors_up),
        cmocka_unit_test(driver_wakes_by_wall_time_with_and_without_http),
        cmocka_unit_test(driver_wakes_for_a_descriptor),
        cmocka_unit_test(
            driver_looks_again_while_org_time_stands_still_and_wakes_by_it_once_it_runs),
        cmocka_unit_test(driver_without_a_clock_file_takes_org_time_from_the_real_clock),
        cmocka_unit_test(terminated_driver_ends_cleanly_even_in_the_middle_of_a_wait),
        cmocka_unit_test(once_a_second_means_while_waiting_too),
        cmocka_unit_test(stats_are_whole_json_and_replace_the_old_file),
        cmocka_unit_test(failing_prints_the_context_and_returns_the_exit_code),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
