/* main: `tidemark COMMAND …`: finds the command. */
#include "run/command.h"
#include "base/text.h"
#include "run/help.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    tm_command_main *main;
} commands[] = {
    { "run", tm_cmd_run },
    { "serve", tm_cmd_serve },
    { "kafka", tm_cmd_kafka },
    { "registry", tm_cmd_registry },
    { "source", tm_cmd_source },
    { "gap", tm_cmd_gap },
    { "reconcile", tm_cmd_reconcile },
    { "sink", tm_cmd_sink },
    { "view", tm_cmd_view },
    { "batch", tm_cmd_batch },
    { "external", tm_cmd_external },
    { "check", tm_cmd_check },
    { "simulate", tm_cmd_simulate },
    { "test", tm_cmd_test },
    { "report", tm_cmd_report },
    { "clock", tm_cmd_clock },
    { "why", tm_cmd_why },
    { "compare", tm_cmd_compare },
    { "sweep", tm_cmd_sweep },
};
#define COMMANDS (sizeof commands / sizeof commands[0])

/* What was printed is the result: where it could not be written whole, there is none. */
static int main_written(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "tidemark: what was printed could not be written: %s\n",
            errno != 0 ? strerror(errno) : "the output is closed");
    return code == TM_EXIT_PASS ? TM_EXIT_INCONCLUSIVE : code;
}

/* `tidemark help COMMAND | --man | --bash`. */
static int main_help(const char *what)
{
    const struct tm_help *help = tm_help_of(what);
    if (strcmp(what, "--man") == 0)
        tm_help_man(stdout);
    else if (strcmp(what, "--bash") == 0)
        tm_help_bash(stdout);
    else if (help != NULL)
        tm_help_command(stdout, help);
    else {
        fprintf(stderr,
                "tidemark: help \"%s\": there is no such command; `tidemark help` lists "
                "them\n",
                what);
        return TM_EXIT_USAGE;
    }
    return main_written(TM_EXIT_PASS);
}

int main(int argc, char **argv)
{
    const char *names[COMMANDS];
    if (argc == 3 && strcmp(argv[1], "help") == 0)
        return main_help(argv[2]);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        tm_help_commands(argc < 2 ? stderr : stdout);
        return main_written(argc < 2 ? TM_EXIT_USAGE : TM_EXIT_PASS);
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        names[i] = commands[i].name;
        if (strcmp(argv[1], commands[i].name) == 0)
            return main_written(commands[i].main(argc - 1, argv + 1));
    }
    const char *near = tm_nearest(argv[1], names, COMMANDS);
    fprintf(stderr, "tidemark: there is no command \"%s\"%s%s%s; `tidemark help` lists them\n",
            argv[1], near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    return TM_EXIT_USAGE;
}
