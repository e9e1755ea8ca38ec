/* test_exec: puts a case through a program of somebody's own. in: raw rows as JSON lines on its
 * stdin, then end of file; out: what it printed, one {"object", "row"} a line. The program runs
 * under /bin/sh in a process group of its own, which is ended with it. */
#ifndef TM_RUN_TEST_EXEC_H
#define TM_RUN_TEST_EXEC_H
#include "simulate/case.h"

#define TM_TEST_OUTPUT_BYTES_MAX (64u << 20)
struct tm_test_exec {
    const char *command;
    int limit_s;
};
/* TM_E_ARG where it is no command at all. */
enum tm_code tm_test_exec_check(const char *command, struct tm_err *err);
/* TM_E_ARG: there is no such program, nothing can be tested. TM_E_PROTO: this case's program
 * failed: exit code and what it said on stderr, the line that cannot be read, too much output, or
 * the time limit. */
enum tm_code tm_test_exec(json_t **out, const struct tm_case *c, const struct tm_test_exec *how,
                          struct tm_err *err);
#endif
