/* bench_simulate: what the second driver does on one core (pinned to the first one): random small
 * histories, honest build, all faults and rules, and what such a history is on average; then, with
 * TIDEMARK_DAY in the environment, for it takes minutes, a day in exact org time, 864,000 changes,
 * and where its CPU seconds go. The program as its users start it (TIDEMARK_BIN). "a CPU second"
 * does not depend on who else is at work here; wall time does. Prints what the machine did; asserts
 * nothing but that both pass. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BENCH_SEEDS 600
#define BENCH_LINE_BYTES 512

/* Runs it and prints the lines of both streams that hold one of the words. */
static void bench_run(const char *what, const char *arguments, const char *const *words)
{
    const char *bin = getenv("TIDEMARK_BIN");
    char command[BENCH_LINE_BYTES], line[BENCH_LINE_BYTES];
    snprintf(command, sizeof command, "taskset -c 0 %s simulate %s 2>&1",
             bin != NULL ? bin : "build/release/tidemark", arguments);
    printf("%s\n", what);
    fflush(stdout);
    FILE *from = popen(command, "r");
    if (from == NULL)
        exit(70);
    while (fgets(line, sizeof line, from) != NULL)
        for (size_t i = 0; words[i] != NULL; i++)
            if (strstr(line, words[i]) != NULL) {
                printf("  %s", line);
                break;
            }
    int status = pclose(from);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "bench_simulate: %s: exit %d\n", command,
                WIFEXITED(status) ? WEXITSTATUS(status) : 128);
        exit(70);
    }
}

int main(void)
{
    static const char *const seeds[] = { "a CPU second", NULL }, *const day[] = {
        " s  ", "of org time; at most", "verdict", NULL
    };
    char dir[] = "/tmp/bench-simulate-XXXXXX", arguments[BENCH_LINE_BYTES];
    if (mkdtemp(dir) == NULL)
        return 70;
    snprintf(arguments, sizeof arguments, "--seeds 1..%d", BENCH_SEEDS);
    bench_run("simulate: random histories, one core", arguments, seeds);
    snprintf(arguments, sizeof arguments, "fixtures/scenarios/day24.json --out %s/day", dir);
    if (getenv("TIDEMARK_DAY") != NULL)
        bench_run("simulate: a day in exact org time, one core", arguments, day);
    else
        printf("simulate: a day in exact org time takes minutes: TIDEMARK_DAY=1 make bench\n");
    snprintf(arguments, sizeof arguments, "rm -rf %s", dir);
    return system(arguments) == 0 ? 0 : 70;
}
