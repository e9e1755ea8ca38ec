/* main: `tidemark COMMAND …`: finds the command, prints usage. */
#include "run/command.h"
#include "base/text.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    tm_command_main *main;
    const char *help;
} commands[] = {
    { "run", tm_cmd_run,
      "[SCENARIO] [--out DIR] [--seed N]    compare streaming with batch on one history" },
    { "serve", tm_cmd_serve, "[--port N] [--org FILE]             the mock Salesforce, alone" },
    { "kafka", tm_cmd_kafka, "[--topics a:6,b:6]                  the embedded broker, alone" },
    { "registry", tm_cmd_registry,
      "[--port N]                          the embedded schema registry, alone" },
    { "source", tm_cmd_source,
      "CONFIG.json                         Salesforce change events to Kafka" },
    { "gap", tm_cmd_gap, "CONFIG.json                         gap events to the alerts topic" },
    { "reconcile", tm_cmd_reconcile,
      "CONFIG.json                         alerts to whole records, by SOQL" },
    { "sink", tm_cmd_sink, "CONFIG.json                         topics to append-only tables" },
    { "view", tm_cmd_view,
      "CONFIG.json                         raw tables to kept snapshots (option 2)" },
    { "batch", tm_cmd_batch, "CONFIG.json                         the polling baseline" },
    { "check", tm_cmd_check, "--org org.db --warehouse W.db       verdict on a warehouse" },
    { "simulate", tm_cmd_simulate,
      "--seeds A..B                        random histories and faults, virtual time" },
    { "test", tm_cmd_test,
      "[CASE] [--views DIR | --exec CMD]   small histories with a known right answer" },
    { "report", tm_cmd_report, "RUN                                 render a run's report again" },
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void main_usage(FILE *out)
{
    fprintf(out, "usage: tidemark COMMAND [ARGUMENTS]\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
    fprintf(out, "\nExit codes: 0 pass, 1 fail, 2 inconclusive, 64 usage or configuration, 70 our "
                 "own fault.\n");
}

int main(int argc, char **argv)
{
    const char *names[COMMANDS];
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        main_usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? TM_EXIT_USAGE : TM_EXIT_PASS;
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        names[i] = commands[i].name;
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].main(argc - 1, argv + 1);
    }
    const char *near = tm_nearest(argv[1], names, COMMANDS);
    fprintf(stderr, "tidemark: there is no command \"%s\"%s%s%s; `tidemark help` lists them\n",
            argv[1], near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    return TM_EXIT_USAGE;
}
