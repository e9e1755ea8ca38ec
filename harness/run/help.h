/* help: the texts of --help. in: a command's name; out: what it does, the flags it heeds, an
 * example. A flag that a command's text does not name is none of its flags: the parser asks. */
#ifndef TM_RUN_HELP_H
#define TM_RUN_HELP_H
#include <stdbool.h>
#include <stdio.h>

struct tm_help {
    const char *command, *synopsis, *summary;
    const char *text, *example; /* NULL: the command prints its own */
};
const struct tm_help *tm_help_of(const char *command); /* NULL = none, or its own */
/* Whether the text lists --flag (without the dashes). */
bool tm_help_names(const struct tm_help *help, const char *flag);
void tm_help_command(FILE *out, const struct tm_help *help);
void tm_help_commands(FILE *out); /* all of them, for `tidemark --help` */
#endif
