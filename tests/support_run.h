/* support_run: `tidemark run` in the background, to be disturbed while it works. in: a scenario;
 * out: its words, its processes, its report. */
#ifndef TM_TESTS_SUPPORT_RUN_H
#define TM_TESTS_SUPPORT_RUN_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TM_TEST_RUN_CHILDREN_MAX 64
struct tm_test_run {
    char folder[64]; /* of the test; the run's own is folder/run */
    char log[96];    /* stdout and stderr together */
    pid_t pid;
    /* as tm_test_run_look saw them; [0, children_count) is valid */
    pid_t children[TM_TEST_RUN_CHILDREN_MAX];
    size_t children_count;
};
struct tm_test_run tm_test_run_start(const char *scenario);
/* With one flag more; NULL = none. */
struct tm_test_run tm_test_run_start_with(const char *scenario, const char *flag);
/* `tidemark run --resume` of the same folder; its process and its words are those of `run` then. */
void tm_test_run_resume(struct tm_test_run *run);
/* short.json with a few records and the streaming pipeline alone: it is up in seconds. Into
 * folder/scenarios/, with the fixtures it names beside it. */
void tm_test_run_tiny(const char *folder, char out[128]);
/* What it said so far; the caller frees. */
char *tm_test_run_said(const struct tm_test_run *run);
/* Until it said so; the test fails when it ends before. */
void tm_test_run_wait_for(struct tm_test_run *run, const char *words);
/* Until so many changes are committed; the test fails when it ends before. */
void tm_test_run_wait_changes(struct tm_test_run *run, int count);
/* Its exit code; 124 when it did not end in time and had to be told. */
int tm_test_run_wait(struct tm_test_run *run);
/* The process of the run whose command is `command`; -1 = none. */
pid_t tm_test_run_child(const struct tm_test_run *run, const char *command);
/* By kill -9; out = the name the run gave the process, of a station, which is what its --state
 * folder is called ("source-2"); NULL = not asked. */
void tm_test_run_kill(const struct tm_test_run *run, const char *command, char out[64]);
/* Remembers its processes; and whether all that were remembered are gone, within a bound. */
void tm_test_run_look(struct tm_test_run *run);
/* POST /tidemark/v1/PATH of the run's org, which is up. */
void tm_test_run_tell_org(const struct tm_test_run *run, const char *path, const char *body);
/* The entry of the report's "faults" that says so; the test fails where there is none, and where it
 * says that some streaming pipeline lost something. */
const json_t *tm_test_run_fault(const json_t *report, const char *process, const char *fault);
/* Every streaming pipeline showed something newer. */
void tm_test_run_recovered(const json_t *fault);
bool tm_test_run_all_gone(const struct tm_test_run *run);
/* report.json; the test fails when there is none. The caller owns it. */
json_t *tm_test_run_report(const struct tm_test_run *run);
/* folder/run/NAME is there */
bool tm_test_run_left(const struct tm_test_run *run, const char *name);
/* Removes its folder, unless TIDEMARK_KEEP is set. */
void tm_test_run_forget(struct tm_test_run *run);
#endif
