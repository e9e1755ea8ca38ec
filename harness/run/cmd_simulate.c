/* cmd_simulate: `tidemark simulate --seeds A..B`: random histories and faults on the whole
 * streaming road under a virtual clock. One line per failing seed, then a summary; exit 1 when a
 * seed failed. */
#include "base/log.h"
#include "run/command.h"
#include "run/day.h"
#include "simulate/simulate.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum tm_code simulate_seeds(uint64_t *out_first, uint64_t *out_last, const char *text,
                                   struct tm_err *err)
{
    char *end = NULL;
    bool digit = text[0] >= '0' && text[0] <= '9';
    errno = 0;
    *out_first = *out_last = strtoull(text, &end, 10);
    if (digit && strncmp(end, "..", 2) == 0 && end[2] >= '0' && end[2] <= '9')
        *out_last = strtoull(end + 2, &end, 10);
    if (!digit || *end != '\0' || errno != 0 || *out_first > *out_last || *out_last == UINT64_MAX)
        return tm_fail(err, TM_E_ARG,
                       "--seeds \"%.60s\" is not A..B with A not above B, as in --seeds 1..1000",
                       text);
    return TM_OK;
}

static enum tm_code simulate_arguments(int argc, char **argv, const char **out_seeds,
                                       bool *out_fail_fast, struct tm_err *err)
{
    static const char *const known[] = { "--seeds", "--fail-fast", "--help" };
    *out_seeds = NULL;
    *out_fail_fast = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            printf("usage: tidemark simulate --seeds A..B [--fail-fast]\n\nRuns the streaming road "
                   "on random "
                   "histories and faults under a "
                   "virtual clock, one per seed.\nPrints a line for each seed that breaks a rule, "
                   "and a summary;\nwith --fail-fast the first such seed is the last.\n");
            tm_day_help();
            exit(TM_EXIT_PASS);
        }
        if (strncmp(argv[i], "--seeds=", 8) == 0) {
            *out_seeds = argv[i] + 8;
        } else if (strcmp(argv[i], "--seeds") == 0) {
            if (++i == argc)
                return tm_fail(err, TM_E_ARG, "flag --seeds wants a value, as in --seeds 1..1000");
            *out_seeds = argv[i];
        } else if (strcmp(argv[i], "--fail-fast") == 0) {
            *out_fail_fast = true;
        } else if (argv[i][0] == '-') {
            const char *near = tm_nearest(argv[i], known, 3);
            return tm_fail(err, TM_E_ARG, "unknown flag %.60s%s%s", argv[i],
                           near != NULL ? "; did you mean "
                                        : "; there are only --seeds A..B and --fail-fast",
                           near != NULL ? near : "");
        } else {
            return tm_fail(err, TM_E_ARG,
                           "\"%.60s\": with --seeds simulate takes no scenario; usage: tidemark "
                           "simulate --seeds A..B",
                           argv[i]);
        }
    }
    if (*out_seeds == NULL)
        return tm_fail(err, TM_E_ARG, "which seeds? usage: tidemark simulate --seeds A..B");
    return TM_OK;
}

static enum tm_code simulate_run(uint64_t first, uint64_t last, bool fail_fast, const char *dir,
                                 uint64_t *out_failed, struct tm_err *err)
{
    const struct tm_sim_options options = { .dir = dir };
    struct tm_sim_result total = { .seed = 0 };
    int64_t began_ns = tm_clock_monotonic_ns();
    for (uint64_t seed = first; seed <= last; seed++) {
        struct tm_sim_result r;
        enum tm_code rc = tm_simulate(&r, seed, &options, err);
        if (rc != TM_OK)
            return rc;
        total.steps += r.steps;
        total.commits += r.commits;
        total.records += r.records;
        total.crashes += r.crashes;
        total.faults += r.faults;
        total.digest = tm_hash64(&r.digest, sizeof r.digest, total.digest);
        if (!r.finding.found)
            continue;
        (*out_failed)++;
        printf("seed %" PRIu64 ": %s: %s\n", seed, r.finding.rule, r.finding.text);
        fflush(stdout);
        if (fail_fast)
            last = seed;
    }
    double seconds = (double)(tm_clock_monotonic_ns() - began_ns) / (double)TM_NS_PER_S,
           seeds = (double)(last - first) + 1;
    printf("%" PRIu64 " seeds, %" PRIu64 " failed; %" PRIu64 " steps, %" PRIu64
           " transactions, %" PRIu64 " records, %" PRIu64 " faults, %" PRIu64
           " crashes; digest %016" PRIx64 "\n",
           last - first + 1, *out_failed, total.steps, total.commits, total.records, total.faults,
           total.crashes, total.digest);
    tm_log(TM_LOG_ERROR, "%.1f s, %.1f seeds a second", seconds, seconds > 0 ? seeds / seconds : 0);
    return TM_OK;
}

int tm_cmd_simulate(int argc, char **argv)
{
    struct tm_err err;
    const char *seeds = NULL;
    char dir[TM_SIM_PATH_BYTES];
    uint64_t first = 0, last = 0, failed = 0;
    bool fail_fast = false;
    if (tm_day_wanted(argc, argv))
        return tm_day_main(argc, argv);
    tm_log_init("simulate", TM_LOG_ERROR);
    tm_err_clear(&err);
    enum tm_code rc = simulate_arguments(argc, argv, &seeds, &fail_fast, &err);
    if (rc == TM_OK)
        rc = simulate_seeds(&first, &last, seeds, &err);
    if (rc == TM_OK)
        rc = tm_sim_scratch_make(dir, &err);
    if (rc == TM_OK) {
        rc = simulate_run(first, last, fail_fast, dir, &failed, &err);
        tm_sim_scratch_remove(dir);
    }
    if (rc != TM_OK)
        return tm_command_fail("simulate", &err);
    return failed > 0 ? TM_EXIT_FAIL : TM_EXIT_PASS;
}
