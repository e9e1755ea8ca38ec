/* unit_help: the manual page and the completion say what --help says, of every command; bash itself
 * completes from the one. */
#include "run/help.h"
#include "tests/support_folder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char *exported(void (*print)(FILE *out), const char *name)
{
    FILE *f = fopen(folder_path(name), "w+");
    char *text = calloc(1, 1u << 18);
    assert_non_null(f);
    print(f);
    rewind(f);
    assert_true(fread(text, 1, (1u << 18) - 1, f) > 0);
    fclose(f);
    return text;
}

static void every_command_has_a_summary_a_text_and_an_example_of_its_own(void **state)
{
    const struct tm_help *help;
    size_t i;
    (void)state;
    for (i = 0; (help = tm_help_at(i)) != NULL; i++) {
        char begin[40];
        snprintf(begin, sizeof begin, "tidemark %s", help->command);
        assert_true(strlen(help->summary) > 10 && strlen(help->text) > 40);
        assert_int_equal(strncmp(help->example, begin, strlen(begin)), 0);
        assert_ptr_equal(tm_help_of(help->command), help);
    }
    assert_true(i >= 17);
    assert_null(tm_help_of("nobody"));
}

static void the_manual_page_holds_every_line_of_every_command(void **state)
{
    const struct tm_help *help;
    char *man = exported(tm_help_man, "tidemark.1");
    (void)state;
    for (size_t i = 0; (help = tm_help_at(i)) != NULL; i++) {
        char heading[60];
        snprintf(heading, sizeof heading, "\n.SS %s\n", help->command);
        const char *own = strstr(man, heading);
        assert_non_null(own);
        for (const char *at = strstr(help->text, "\n  --"); at != NULL;
             at = strstr(at + 5, "\n  --")) {
            char flag[80];
            size_t n = strcspn(at + 5, " \n");
            snprintf(flag, sizeof flag, "\n  \\-\\-%.*s", (int)strcspn(at + 5, " -\n"), at + 5);
            if (n == 0 || strstr(own, flag) == NULL)
                fail_msg("%s lacks %s", help->command, flag);
        }
    }
    for (const char *line = man; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (*line == '.') /* nothing but what is meant is a request */
            assert_true(strncmp(line, ".TH", 3) == 0 || strncmp(line, ".S", 2) == 0 ||
                        strncmp(line, ".B ", 3) == 0 || strncmp(line, ".br", 3) == 0 ||
                        strncmp(line, ".PP", 3) == 0 || strncmp(line, ".nf", 3) == 0 ||
                        strncmp(line, ".fi", 3) == 0);
    }
    free(man);
}

/* What bash offers for a line whose last word is being written. */
static void offers(const char *words, const char *expected)
{
    char command[900], answer[1200] = "";
    snprintf(command, sizeof command,
             "bash -c 'source %s; COMP_WORDS=(%s); [ \"${COMP_WORDS[-1]}\" != _ ] || "
             "COMP_WORDS[-1]=; COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tidemark; "
             "echo \"${COMPREPLY[*]}\"'",
             folder_path("tidemark.bash"), words);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    if (fgets(answer, sizeof answer, p) == NULL)
        fail_msg("bash gave no answer to: %s", command);
    assert_int_equal(pclose(p), 0);
    answer[strcspn(answer, "\n")] = '\0';
    assert_string_equal(answer, expected);
}

static void bash_completes_commands_and_the_flags_of_each(void **state)
{
    (void)state;
    if (system("command -v bash >/dev/null 2>&1") != 0)
        skip();
    free(exported(tm_help_bash, "tidemark.bash"));
    offers("tidemark comp", "compare");
    offers("tidemark s", "serve source sink simulate sweep");
    offers("tidemark compare --", "--control --exact --json --help");
    offers("tidemark compare BASE NEW --ex", "--exact");
    offers("tidemark simulate --se", "--seeds --seed");
    offers("tidemark serve --pass", "--password --password-token");
    offers("tidemark run fix", ""); /* bash's own completion of files */
    offers("tidemark help sw", "sweep");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_a_summary_a_text_and_an_example_of_its_own),
        cmocka_unit_test(the_manual_page_holds_every_line_of_every_command),
        cmocka_unit_test(bash_completes_commands_and_the_flags_of_each),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
