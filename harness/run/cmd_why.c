/* cmd_why: `tidemark why RUN Object/Id[.Field] [TIME]`: the story of one cell of a finished run. */
#include "run/command.h"
#include "base/text.h"
#include "check/why.h"
#include "run/help.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct why_flags {
    const char *pipeline, *last;
    bool json, help;
};

static enum tm_code why_word(struct tm_why_args *args, const char *word, struct tm_err *err)
{
    const char **places[] = { &args->run, &args->target, &args->at };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (*places[i] == NULL) {
            *places[i] = word;
            return TM_OK;
        }
    return tm_fail(err, TM_E_ARG,
                   "\"%.40s\" is one word too many; usage: tidemark why RUN "
                   "Object/Id[.Field] [TIME]",
                   word);
}

static enum tm_code why_flag(struct why_flags *f, int argc, char **argv, int *at,
                             struct tm_err *err)
{
    static const char *const known[] = { "--pipeline", "--last", "--json", "--help" };
    const char *word = argv[(*at)++], *equals = strchr(word, '=');
    size_t bytes = equals == NULL ? strlen(word) : (size_t)(equals - word), i = 0;
    while (i < 4 && (strlen(known[i]) != bytes || strncmp(known[i], word, bytes) != 0))
        i++;
    if (i == 4 && strcmp(word, "-h") == 0)
        i = 3;
    if (i == 4) {
        const char *near = tm_nearest(word, known, 4);
        return tm_fail(err, TM_E_ARG, "unknown flag %.40s%s%s", word,
                       near != NULL ? "; did you mean " : "; see tidemark why --help",
                       near != NULL ? near : "");
    }
    if (i >= 2) {
        *(i == 2 ? &f->json : &f->help) = true;
        return TM_OK;
    }
    const char *value = equals != NULL ? equals + 1 : *at < argc ? argv[(*at)++] : NULL;
    if (value == NULL || *value == '\0')
        return tm_fail(err, TM_E_ARG, "flag %s wants a value", known[i]);
    *(i == 0 ? &f->pipeline : &f->last) = value;
    return TM_OK;
}

static enum tm_code why_arguments(struct tm_why_args *args, struct why_flags *f, int argc,
                                  char **argv, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (int i = 1; rc == TM_OK && i < argc;)
        rc = argv[i][0] == '-' ? why_flag(f, argc, argv, &i, err) : why_word(args, argv[i++], err);
    if (rc != TM_OK || f->help)
        return rc;
    if (args->run == NULL || args->target == NULL)
        return tm_fail(err, TM_E_ARG,
                       "%s; usage: tidemark why RUN Object/Id[.Field] [TIME], as in\n"
                       "  tidemark why reports/out/first Opportunity/006000000000001AAA.StageName "
                       "14:05",
                       args->run == NULL ? "no run given" : "which record?");
    args->pipeline = f->pipeline;
    if (f->last != NULL) {
        char *end = NULL;
        long last = strtol(f->last, &end, 10);
        if (*end != '\0' || last < 1 || last > TM_WHY_LAST_MAX)
            return tm_fail(err, TM_E_ARG, "--last %.20s is not a number from 1 to %d", f->last,
                           TM_WHY_LAST_MAX);
        args->last = (int)last;
    }
    return TM_OK;
}

int tm_cmd_why(int argc, char **argv)
{
    struct tm_why_args args = { 0 };
    struct why_flags flags = { 0 };
    struct tm_err err = { 0 };
    json_t *story = NULL;
    enum tm_code rc = why_arguments(&args, &flags, argc, argv, &err);
    if (rc == TM_OK && flags.help) {
        tm_help_command(stdout, tm_help_of("why"));
        return TM_EXIT_PASS;
    }
    if (rc == TM_OK)
        rc = tm_why(&story, &args, &err);
    if (rc != TM_OK)
        return tm_command_fail("why", &err);
    if (flags.json) {
        json_dumpf(story, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
        putchar('\n');
    } else {
        tm_why_print(stdout, story);
    }
    json_decref(story);
    return TM_EXIT_PASS;
}
