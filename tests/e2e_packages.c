/* .ci/packages, what `make run` and `make test` ask first: on machines made of stubs, which have
 * some programs and some libraries and no others. */
#include "tests/support_command.h"
#include "tests/support_folder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char said[4096];

static void program(const char *name, const char *script)
{
    char path[300], text[600];
    snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
    snprintf(path, sizeof path, "%s", folder_path(name));
    tm_test_write_file(folder_name(), name, text);
    assert_int_equal(chmod(path, 0755), 0);
}

/* A machine with compiler, make and curl, and all libraries but `lacking`. */
static void machine(const char *lacking)
{
    char script[300], command[300];
    snprintf(command, sizeof command, "rm -f %s/*", folder_name());
    assert_int_equal(system(command), 0);
    program("cc", "exit 0");
    program("make", "exit 0");
    program("curl", "exit 0");
    program("jq", "exit 0");
    program("sqlite3", "exit 0");
    snprintf(script, sizeof script, "[ \"$2\" != \"%s\" ]", lacking);
    program("pkg-config", script);
    program("id", "echo 1000");
}

/* The script's exit code; what it said is in `said`. No terminal is there to ask for a password. */
static int packages(const char *environment, const char *argument)
{
    char command[600];
    snprintf(command, sizeof command,
             "/usr/bin/env -i PATH=%s %s /bin/sh .ci/packages %s </dev/null 2>&1", folder_name(),
             environment, argument);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    said[fread(said, 1, sizeof said - 1, p)] = '\0';
    int status = pclose(p);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void nothing_is_said_where_all_is_there(void **state)
{
    (void)state;
    machine("");
    assert_int_equal(packages("", ""), 0);
    assert_string_equal(said, "");
    program("clang", "exit 0"); /* a machine with clang alone, and words behind it */
    assert_int_equal(packages("CC='clang -m64'", ""), 0);
    assert_string_equal(said, "");
}

static void run_does_not_want_what_only_tests_need(void **state)
{
    (void)state;
    machine("cmocka");
    assert_int_equal(packages("", "run"), 0);
    assert_string_equal(said, "");
    assert_int_equal(packages("", ""), 64);
    assert_non_null(strstr(said, "cmocka (Debian: libcmocka-dev)"));
    assert_null(strstr(said, "jansson"));
    assert_non_null(strstr(said, "no apt-get"));
}

static void only_real_kafka_wants_java_and_mvn(void **state)
{
    (void)state;
    machine("cmocka");
    assert_int_equal(packages("", "kafka"), 64);
    assert_non_null(strstr(said, "java-17-or-newer (Debian: default-jre-headless)"));
    assert_non_null(strstr(said, "mvn (Debian: maven)"));
    assert_null(strstr(said, "cmocka"));
    program("java", "exit 0");
    program("mvn", "exit 0");
    assert_int_equal(packages("", "kafka"), 0);
    assert_string_equal(said, "");
}

static void a_compiler_that_is_not_there_is_named(void **state)
{
    (void)state;
    machine("");
    assert_int_equal(packages("CC=icc", ""), 64);
    assert_non_null(strstr(said, "CC is \"icc\""));
}

static void without_a_terminal_sudo_is_not_asked_for_a_password(void **state)
{
    (void)state;
    machine("jansson");
    program("apt-get", "echo must not run; exit 1");
    assert_int_equal(packages("", ""), 64);
    assert_non_null(strstr(said, "there is no sudo"));
    assert_non_null(strstr(said, "apt-get install libjansson-dev"));
    program("sudo", "[ \"$1\" = -n ] && exit 1; echo password:; exit 1");
    assert_int_equal(packages("", ""), 64);
    assert_non_null(strstr(said, "sudo wants a password"));
    assert_null(strstr(said, "must not run"));
}

static void a_refusing_apt_get_ends_with_what_is_missing(void **state)
{
    (void)state;
    machine("jansson");
    program("id", "echo 0");
    program("apt-get", "echo apt says no >&2; exit 100");
    assert_int_equal(packages("", ""), 64);
    assert_non_null(strstr(said, "apt says no"));
    assert_non_null(strstr(said, "jansson (Debian: libjansson-dev)"));
}

/* A machine on which apt-get installs: what it was asked for is said, and is there afterwards. */
static void apt_get_installs(const char *programs)
{
    char script[900];
    program("id", "echo 0");
    program("env", "shift; exec \"$@\"");
    snprintf(script, sizeof script,
             "[ \"$1\" = update ] && exit 0\necho \"asked: $*\" >&2\n"
             "for p in %s; do echo '#!/bin/sh' >%s/$p; /bin/chmod 755 %s/$p; done",
             programs, folder_name(), folder_name());
    program("apt-get", script);
}

static void real_clients_are_installed_for_where_they_are_asked_for_alone(void **state)
{
    (void)state;
    machine("cmocka");
    apt_get_installs("python3 node npm javac mvn");
    assert_int_equal(packages("", "run"), 0);
    assert_string_equal(said, "");
    assert_int_equal(packages("", "clients"), 0);
    assert_non_null(strstr(said, "--no-install-recommends python3-venv nodejs ca-certificates npm "
                                 "default-jdk-headless maven\n"));
    assert_int_equal(packages("", "clients"), 0);
    assert_string_equal(said, ""); /* all is there now */
}

static void a_python_without_venv_lacks_venv_alone(void **state)
{
    (void)state;
    machine("");
    program("node", "exit 0");
    program("npm", "exit 0");
    program("python3", "exit 1");
    assert_int_equal(packages("", "clients"), 64);
    assert_non_null(strstr(said, "(Debian: python3-venv)"));
    assert_null(strstr(said, "nodejs"));
}

static void ci_asks_for_what_clients_need_before_it_runs_them(void **state)
{
    (void)state;
    char command[400];
    machine("");
    program("dirname", "echo .ci");
    program("sh", "echo \"sh $*\"");
    program("make", "echo \"make $*\"");
    snprintf(command, sizeof command, "/usr/bin/env -i PATH=%s /bin/sh .ci/run 2>&1",
             folder_name());
    FILE *p = popen(command, "r");
    assert_non_null(p);
    said[fread(said, 1, sizeof said - 1, p)] = '\0';
    assert_int_equal(pclose(p), 0);
    assert_non_null(strstr(said, "sh .ci/packages clients\nmake test-clients\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_said_where_all_is_there),
        cmocka_unit_test(run_does_not_want_what_only_tests_need),
        cmocka_unit_test(only_real_kafka_wants_java_and_mvn),
        cmocka_unit_test(a_compiler_that_is_not_there_is_named),
        cmocka_unit_test(without_a_terminal_sudo_is_not_asked_for_a_password),
        cmocka_unit_test(a_refusing_apt_get_ends_with_what_is_missing),
        cmocka_unit_test(real_clients_are_installed_for_where_they_are_asked_for_alone),
        cmocka_unit_test(a_python_without_venv_lacks_venv_alone),
        cmocka_unit_test(ci_asks_for_what_clients_need_before_it_runs_them),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
