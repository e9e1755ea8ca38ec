/* help_export: the texts of help.c as a manual page and as completion for bash. */
#include "run/help.h"
#include <ctype.h>
#include <string.h>

#define EXPORT_FLAGS_MAX 64 /* of one command */

/* ---- man(7) ---- */

/* Text as roff takes it: no line begins with a control character, a dash is a dash. */
static void man_text(FILE *out, const char *text)
{
    bool first = true;
    for (; *text != '\0'; text++) {
        if (first && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
        first = *text == '\n';
    }
}

/* As it stands in --help: columns and all. */
static void man_verbatim(FILE *out, const char *text)
{
    fputs(".nf\n", out);
    man_text(out, text);
    fputs("\n.fi\n", out);
}

void tm_help_man(FILE *out)
{
    const struct tm_help *help;
    fputs(
        ".TH TIDEMARK 1\n.SH NAME\ntidemark \\- how stale, and how wrong, is the warehouse copy of "
        "Salesforce\n.SH SYNOPSIS\n",
        out);
    for (size_t i = 0; (help = tm_help_at(i)) != NULL; i++) {
        fprintf(out, "%s.B tidemark %s\n", i > 0 ? ".br\n" : "", help->command);
        man_text(out, help->synopsis);
        fputc('\n', out);
    }
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; (help = tm_help_at(i)) != NULL; i++) {
        fprintf(out, ".SS %s\n", help->command);
        man_text(out, help->summary);
        fputs("\n.PP\n", out);
        man_verbatim(out, help->text);
        fputs(".PP\nExample:\n", out);
        man_verbatim(out, help->example);
    }
    fputs(".SH ENVIRONMENT\nFlags of most commands are also read from TIDEMARK_<NAME>, dashes "
          "turned into underscores.\n.SH EXIT STATUS\n",
          out);
    man_verbatim(out, "0   pass\n1   fail\n2   inconclusive\n64  usage or configuration\n"
                      "70  our own fault");
}

/* ---- bash ---- */

static bool bash_given(const char *const *flags, const size_t *bytes, size_t count,
                       const char *flag, size_t n)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] == n && memcmp(flags[i], flag, n) == 0)
            return true;
    return false;
}

/* Every --flag that begins a line of the text, or follows one there ("--username --password"). */
static void bash_flags(FILE *out, const char *text)
{
    const char *flags[EXPORT_FLAGS_MAX];
    size_t bytes[EXPORT_FLAGS_MAX], count = 0;
    for (const char *at = strstr(text, "--"); at != NULL; at = strstr(at + 2, "--")) {
        size_t n = 2;
        while (islower((unsigned char)at[n]) || at[n] == '-')
            n++;
        bool flag = n > 2 && at > text && at[-1] == ' ' && strchr(" \n", at[n]) != NULL;
        if (!flag || count == EXPORT_FLAGS_MAX || bash_given(flags, bytes, count, at, n))
            continue;
        fprintf(out, "%.*s ", (int)n, at);
        flags[count] = at;
        bytes[count++] = n;
    }
    fputs("--help", out);
}

void tm_help_bash(FILE *out)
{
    const struct tm_help *help;
    fputs("# completion of tidemark for bash: source <(tidemark help --bash)\n_tidemark() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} flags=\n    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        COMPREPLY=($(compgen -W \"help",
          out);
    for (size_t i = 0; (help = tm_help_at(i)) != NULL; i++)
        fprintf(out, " %s", help->command);
    fputs("\" -- \"$word\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n", out);
    for (size_t i = 0; (help = tm_help_at(i)) != NULL; i++) {
        fprintf(out, "    %s) flags=\"", help->command);
        bash_flags(out, help->text);
        fputs("\" ;;\n", out);
    }
    fputs("    help) flags=\"--man --bash", out);
    for (size_t i = 0; (help = tm_help_at(i)) != NULL; i++)
        fprintf(out, " %s", help->command);
    fputs("\" ;;\n    esac\n"
          "    case $word in\n    -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$word\")) ;;\n"
          "    *) [ \"${COMP_WORDS[1]}\" != help ] || COMPREPLY=($(compgen -W \"$flags\" -- "
          "\"$word\")) ;;\n    esac\n}\ncomplete -o default -F _tidemark tidemark\n",
          out);
}
