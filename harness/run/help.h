/* help: the texts of --help. in: a command's name; out: what it does, the flags it heeds, an
 * example. A flag that a command's text does not name is none of its flags: the parser asks. */
#ifndef TM_RUN_HELP_H
#define TM_RUN_HELP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct tm_help {
    const char *command, *synopsis, *summary;
    const char *text, *example;
};
const struct tm_help *tm_help_of(const char *command); /* NULL = none */
const struct tm_help *tm_help_at(size_t index);        /* NULL = no more */
/* Whether the text lists --flag (without the dashes). */
bool tm_help_names(const struct tm_help *help, const char *flag);
void tm_help_command(FILE *out, const struct tm_help *help);
void tm_help_commands(FILE *out); /* all of them, for `tidemark --help` */
/* help_export.c: made of the same texts, so that they cannot say anything else: a manual page
 * (man(7)), and completion of commands, flags and files for bash. */
void tm_help_man(FILE *out);
void tm_help_bash(FILE *out);
#endif
