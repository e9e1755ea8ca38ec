/* The bug zoo: a few planted bugs are found, and neither a patch that does not apply nor a bug that
 * nobody sees passes for a killed one. `make zoo` runs all of them. */
#include "support_command.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

struct zoo {
    int code;
    char out[8192];
};

/* In a folder of its own under the build tree that holds this program's tidemark. */
static struct zoo zoo(const char *settings)
{
    struct zoo z = { .code = -1 };
    char line[600], build[256];
    snprintf(build, sizeof build, "%s", tm_test_binary());
    char *slash = strrchr(build, '/');
    assert_non_null(slash);
    *slash = '\0';
    snprintf(line, sizeof line, "env ONLY= ZOO_NAME=test %s sh tests/zoo/run.sh %s 2>&1", settings,
             build);
    FILE *f = popen(line, "r");
    assert_non_null(f);
    z.out[fread(z.out, 1, sizeof z.out - 1, f)] = '\0';
    int status = pclose(f);
    if (WIFEXITED(status))
        z.code = WEXITSTATUS(status);
    return z;
}

static void a_slice_of_the_zoo_is_found(void **state)
{
    (void)state;
    struct zoo o = zoo("ONLY=02,17,33 HONEST_SEEDS=5");
    if (o.code != 0 || strstr(o.out, "3 killed, 0 survived, 0 broken") == NULL)
        fail_msg("exit %d: %s", o.code, o.out);
}

static void a_patch_that_does_not_apply_is_an_error(void **state)
{
    (void)state;
    char folder[64], settings[200];
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_write_file(folder, "99-torn.patch",
                       "Bug: no such line\nKiller: simulate\n\n--- a/harness/gap/gap.c\n+++ "
                       "b/harness/gap/gap.c\n@@ -1,2 +1,2 @@\n-no such line\n+another\n no such "
                       "neighbour\n");
    snprintf(settings, sizeof settings, "PATCHES=%s HONEST_SEEDS=1", folder);
    struct zoo o = zoo(settings);
    assert_int_equal(o.code, 2);
    assert_non_null(strstr(o.out, "no longer applies"));
    tm_test_folder_remove(folder);
}

/* A change that is no bug: the zoo must say that nobody saw it. */
static void a_bug_that_nobody_sees_is_told(void **state)
{
    (void)state;
    char folder[64], settings[200];
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_write_file(folder, "98-harmless.patch",
                       "Bug: none\nKiller: simulate\n\n--- a/harness/gap/gap.c\n+++ "
                       "b/harness/gap/gap.c\n@@ -1,2 +1,3 @@\n #include \"gap/gap.h\"\n+/* . */\n "
                       "#include \"base/text.h\"\n");
    snprintf(settings, sizeof settings, "PATCHES=%s HONEST_SEEDS=1 SEEDS=3", folder);
    struct zoo o = zoo(settings);
    assert_int_equal(o.code, 1);
    assert_non_null(strstr(o.out, "SURVIVED"));
    tm_test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slice_of_the_zoo_is_found),
        cmocka_unit_test(a_patch_that_does_not_apply_is_an_error),
        cmocka_unit_test(a_bug_that_nobody_sees_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
