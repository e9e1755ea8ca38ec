/* bench_compare: how honest `tidemark compare` is: of 200 jobs of one and the same program, how
 * many fail and how many are inconclusive; of 200 with a planted slow-down, how many fail. Jobs are
 * drawn (seeded) from what real repetitions measured, tests/noise_runs.json. Exit 1 where it does
 * not hold what it promises: at most 1 % and 10 %, at least 90 %. */
#include "tests/support_compare.h"
#include <stdio.h>

#define JOBS 200
#define PROMISED_REPEATS 12

int main(void)
{
    static const size_t repeats[] = { 8, PROMISED_REPEATS, 16 };
    struct compare_noise noise;
    struct tm_rng rng;
    bool held = true;
    compare_noise_open(&noise);
    printf("compare: %d jobs of each kind, drawn from %zu measured runs of %zu figures\n", JOBS,
           noise.runs, noise.figures);
    printf("  repetitions   same: fail  inconclusive   10 %% slower: fail   20 %% slower: fail\n");
    for (size_t r = 0; r < sizeof repeats / sizeof repeats[0]; r++) {
        size_t failed = 0, unsure = 0, tenth = 0, fifth = 0;
        tm_rng_init(&rng, repeats[r]);
        for (size_t i = 0; i < JOBS; i++) {
            char same = compare_noise_job(&noise, &rng, repeats[r], 1);
            failed += same == 'f';
            unsure += same == 'i';
            tenth += compare_noise_job(&noise, &rng, repeats[r], 1.1) == 'f';
            fifth += compare_noise_job(&noise, &rng, repeats[r], 1.2) == 'f';
        }
        printf("  %8zu        %6.1f %%       %6.1f %%            %6.1f %%             %6.1f %%\n",
               repeats[r], 100.0 * (double)failed / JOBS, 100.0 * (double)unsure / JOBS,
               100.0 * (double)tenth / JOBS, 100.0 * (double)fifth / JOBS);
        if (repeats[r] >= PROMISED_REPEATS)
            held = held && failed * 100 <= JOBS && unsure * 10 <= JOBS && fifth * 10 >= JOBS * 9;
    }
    compare_noise_close(&noise);
    return held ? 0 : 1;
}
