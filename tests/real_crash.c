/* A run on a real broker while things die: the broker, killed in the middle of what is being
 * written and started again on its folder; the registry; every station at a moment chosen by a
 * printed seed; and one that stands still for longer than its group waits. Each time nothing is
 * lost, no row is there twice, the snapshots end equal, and the report says what happened when. */
#include "base/rng.h"
#include "support_command.h"
#include "support_real.h"
#include "support_run.h"
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define STATIONS 6          /* and the org, with its users in the middle of their work */
#define STANDSTILL_MS 20000 /* the session's time-out is 15 s */
static char folder[64], scenario[128];
static struct tm_test_broker broker;
static struct tm_test_registry registry;

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_run_tiny(folder, scenario);
    tm_test_broker_new(&broker, folder);
    tm_test_registry_new(&registry, folder);
    tm_test_broker_start(&broker);
    tm_test_registry_start(&registry);
    setenv("TIDEMARK_BROKERS", broker.address, 1);
    setenv("TIDEMARK_REGISTRY", registry.url, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tm_test_broker_kill(&broker);
    tm_test_registry_kill(&registry);
    if (getenv("TIDEMARK_KEEP") == NULL)
        tm_test_folder_remove(folder);
    return 0;
}

static json_int_t at(const json_t *object, const char *group, const char *key)
{
    const json_t *n = json_object_get(json_object_get(object, group), key);
    if (!json_is_integer(n))
        fail_msg("the report lacks %s.%s", group, key);
    return json_integer_value(n);
}

/* Both ways of rebuilding end equal and clean; the caller owns the report. */
static json_t *ends_equal(struct tm_test_run *run)
{
    int code = tm_test_run_wait(run);
    json_t *report = tm_test_run_report(run), *p;
    char *said = tm_test_run_said(run);
    size_t i, streams = 0;
    if (code == 70 || json_is_true(json_object_get(report, "partial")))
        fail_msg("exit %d:\n%s", code, said);
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        const char *name = json_string_value(json_object_get(p, "name"));
        json_int_t rows = at(p, "drift", "final_rows"), dirty = at(p, "drift", "dirty"),
                   never = at(p, "freshness_s", "never");
        json_int_t twice = json_integer_value(json_object_get(
            json_object_get(json_object_get(p, "anomalies"), "duplicate"), "count"));
        streams += strcmp(json_string_value(json_object_get(p, "kind")), "stream") == 0;
        if (rows != 0 || dirty != 0 || never != 0 || twice != 0)
            fail_msg("%s: %lld rows differ, %lld dirty, %lld never shown, %lld twice:\n%s", name,
                     (long long)rows, (long long)dirty, (long long)never, (long long)twice, said);
    }
    assert_int_equal(streams, 2);
    free(said);
    return report;
}

static void a_run_outlives_its_broker_and_its_registry_killed_and_started_again(void **state)
{
    (void)state;
    struct tm_test_run run = tm_test_run_start_with(scenario, "--reset-topics");
    tm_test_run_wait_changes(&run, 300);
    tm_test_broker_kill(&broker);
    tm_test_broker_start(&broker);
    tm_test_run_wait_changes(&run, 800);
    tm_test_registry_kill(&registry);
    tm_test_registry_start(&registry);
    json_t *report = ends_equal(&run);
    const json_t *gone = tm_test_run_fault(report, "broker 127.0.0.1:", "gone");
    assert_true(json_number_value(json_object_get(gone, "lasted_s")) > 0.1);
    tm_test_run_recovered(gone);
    /* while it starts again the last change may have been made: nothing newer is to be shown then
     */
    gone = tm_test_run_fault(report, "registry 127.0.0.1:", "gone");
    assert_true(json_number_value(json_object_get(gone, "lasted_s")) > 0.1);
    json_decref(report);
    tm_test_run_forget(&run);
}

static void stations_killed_at_random_and_one_that_stands_still_lose_nothing(void **state)
{
    static const char *const stations[] = { "source", "gap", "reconcile", "sink", "view", "serve" };
    char killed[STATIONS][64];
    struct tm_rng rng;
    const char *given = getenv("TIDEMARK_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    int moment = 100;
    (void)state;
    print_message("TIDEMARK_SEED=%" PRIu64 "\n", seed);
    tm_rng_init(&rng, seed);
    struct tm_test_run run = tm_test_run_start_with(scenario, "--reset-topics");
    tm_test_run_wait_changes(&run, moment);
    tm_test_run_tell_org(&run, "faults", "{\"expire_tokens\": {}}");
    for (size_t i = 0; i < STATIONS; i++) {
        moment += 20 + (int)tm_rng_below(&rng, 130);
        tm_test_run_wait_changes(&run, moment);
        tm_test_run_kill(&run, stations[i], i + 1 < STATIONS ? killed[i] : NULL);
    }
    pid_t reconcile = tm_test_run_child(&run, "reconcile");
    assert_true(reconcile > 0);
    assert_int_equal(kill(reconcile, SIGSTOP), 0);
    tm_test_pause(STANDSTILL_MS);
    assert_int_equal(kill(reconcile, SIGCONT), 0);
    json_t *report = ends_equal(&run), *fault;
    size_t i, kills = 0, stops = 0;
    json_array_foreach(json_object_get(report, "faults"), i, fault)
    {
        bool stopped = json_integer_value(json_object_get(fault, "signal")) == SIGSTOP;
        kills += json_integer_value(json_object_get(fault, "signal")) == SIGKILL;
        stops += stopped;
        if (stopped)
            assert_true(json_number_value(json_object_get(fault, "lasted_s")) > 19);
    }
    tm_test_run_recovered(tm_test_run_fault(report, "org", "expire_tokens"));
    assert_int_equal(kills, STATIONS);
    assert_int_equal(stops, 1);
    json_decref(report);
    tm_test_run_forget(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_outlives_its_broker_and_its_registry_killed_and_started_again),
        cmocka_unit_test(stations_killed_at_random_and_one_that_stands_still_lose_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
