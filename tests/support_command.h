/* support_command: runs the built program as its user would. in: arguments, environment; out: exit
 * code, stdout, stderr. */
#ifndef TM_TESTS_SUPPORT_COMMAND_H
#define TM_TESTS_SUPPORT_COMMAND_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TM_TEST_OUTPUT_MAX (1 << 20)
struct tm_test_output {
    int code;
    char *out, *err;
}; /* owned; code 128 + signal when killed, 124 on time-out */
/* Runs `tidemark arguments…` through the shell ("VAR=x … tidemark source x.json"); `tidemark` is
 * the built program. */
struct tm_test_output tm_test_command(int timeout_s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void tm_test_output_free(struct tm_test_output *o);
/* Fails the test, showing stderr, unless the exit code is `code` and stderr holds every one of the
 * texts (NULL ends). */
void tm_test_refused(int code, const char *const *texts, int timeout_s, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A server in the background: its first stdout line is its address. Ended by tm_test_server_stop or
 * with the test. */
struct tm_test_server {
    pid_t pid;
    char line[512];
    char log_path[256];
};
struct tm_test_server tm_test_server_start(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
int tm_test_server_stop(struct tm_test_server *s); /* its exit code */
/* Between two looks at something that another process does; never instead of a look. */
void tm_test_pause(int ms);
const char *tm_test_binary(void);
/* A fresh folder under $TMPDIR, removed by tm_test_folder_remove. Static storage: copy what you
 * keep. */
const char *tm_test_folder(void);
void tm_test_folder_remove(const char *path);
void tm_test_write_file(const char *folder, const char *name, const char *text);
#endif
