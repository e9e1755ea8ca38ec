/* runs: what an external pipeline's command did, start by start. in: the file that whoever starts
 * it writes (run/cmd_external.c), one JSON object a line: {"grid_org_ms": null of the first one,
 * before the clock, "org_ms": when it really began, "started_ns", "finished_ns", "exit_code": 128 +
 * signal where one ended it, "killed": over its limit, "skipped": instants passed over while one
 * ran, "said": its last words}; out: starts as polls of no one object, and a summary. Reads the
 * file only. */
#ifndef TM_CHECK_RUNS_H
#define TM_CHECK_RUNS_H
#include "check/match.h"

#define TM_RUNS_MAX 1000000
struct tm_runs {
    struct tm_poll *polls; /* in order; owned by whoever called load */
    size_t count;
    uint64_t failed, killed, skipped; /* failed: exit code not 0, killed ones too */
    json_t *json; /* {"started", "failed", "killed", "skipped", "took_s": {"p50", "max", …},
                     "failures": [{"at", "exit_code", "killed", "said"}, at most 10]} */
};
/* No file: nothing was started, and json says so. */
enum tm_code tm_runs_load(struct tm_runs *out, const char *path, struct tm_err *err);
void tm_runs_free(struct tm_runs *r);
#endif
