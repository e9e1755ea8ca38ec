/* why_print: a story as text, for a terminal. */
#include "check/why.h"
#include "base/text.h"
#include <stdlib.h>
#include <string.h>

#define PRINT_VALUE_BYTES 60
#define PRINT_FIELDS_MAX 4
#define PRINT_LOOKS_MAX 12

static const char *print_text(const json_t *o, const char *key, const char *missing)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text == NULL ? missing : text;
}

static json_int_t print_int(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static const char *print_value(char out[PRINT_VALUE_BYTES + 8], const json_t *value)
{
    char *text = json_dumps(value == NULL ? json_null() : value,
                            JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    snprintf(out, PRINT_VALUE_BYTES + 8, "%.*s%s", PRINT_VALUE_BYTES, text == NULL ? "?" : text,
             text != NULL && strlen(text) > PRINT_VALUE_BYTES ? "…" : "");
    free(text);
    tm_text_cut(out);
    return out;
}

/* "08:00:10.824    10.824 s  ": the org's clock, and wall seconds since it started; blank where it
 * is not known. */
static void print_when(FILE *out, const json_t *o)
{
    char at[TM_TIME_BYTES];
    const json_t *wall = json_object_get(o, "wall_s");
    if (!json_is_integer(json_object_get(o, "org_ms")))
        fprintf(out, "    %12s %12s  ", "", "");
    else if (!json_is_number(wall)) /* before the clock started: another day, mostly */
        fprintf(out, "    %.10s %14s  ", tm_time_z(at, print_int(o, "org_ms")), "");
    else
        fprintf(out, "    %.12s %10.3f s  ", tm_time_z(at, print_int(o, "org_ms")) + 11,
                json_number_value(wall));
}

static void print_fields(FILE *out, const json_t *fields, bool named)
{
    char before[PRINT_VALUE_BYTES + 8], after[PRINT_VALUE_BYTES + 8];
    const json_t *f;
    size_t i, count = json_array_size(fields);
    json_array_foreach(fields, i, f)
    {
        if (i == PRINT_FIELDS_MAX) {
            fprintf(out, ", and %zu more fields", count - i);
            break;
        }
        fprintf(out, "%s", i > 0 ? ", " : "; ");
        if (named)
            fprintf(out, "%s ", print_text(f, "field", "?"));
        fprintf(out, "%s → %s", print_value(before, json_object_get(f, "before")),
                print_value(after, json_object_get(f, "after")));
    }
    fprintf(out, "\n");
}

static void print_org(FILE *out, const json_t *story)
{
    const json_t *org = json_object_get(story, "org"), *commit;
    const json_t *held = json_object_get(org, "held_at");
    char value[PRINT_VALUE_BYTES + 8];
    bool cell = json_is_string(json_object_get(story, "field"));
    size_t i;
    fprintf(out, "\nthe org: %lld versions of the record\n", (long long)print_int(org, "versions"));
    json_array_foreach(json_object_get(org, "commits"), i, commit)
    {
        print_when(out, commit);
        fprintf(out, "position %lld: %s", (long long)print_int(commit, "pos"),
                print_text(commit, "change", "?"));
        print_fields(out, json_object_get(commit, "fields"), !cell);
    }
    fprintf(out, "    %s it held ",
            json_is_integer(json_object_get(story, "at_ms")) ? "at that time" : "at the end");
    if (!json_is_true(json_object_get(held, "there")))
        fprintf(out, "no such record\n");
    else if (cell)
        fprintf(out, "%s (version of position %lld)\n",
                print_value(value, json_object_get(held, "value")),
                (long long)print_int(held, "pos"));
    else
        fprintf(out, "the version of position %lld\n", (long long)print_int(held, "pos"));
}

static void print_look(FILE *out, const json_t *look, bool cell)
{
    const char *shows = print_text(look, "shows", "?");
    char value[PRINT_VALUE_BYTES + 8];
    if (strcmp(shows, "gone") == 0)
        fprintf(out, "no row");
    else if (cell)
        fprintf(out, "%s", print_value(value, json_object_get(look, "value")));
    else
        fprintf(out, "a row");
    if (strcmp(shows, "whole") == 0)
        fprintf(out, ", the version of position %lld", (long long)print_int(look, "pos"));
    else if (strcmp(shows, "mixed") == 0)
        fprintf(out, ", in a row of no single version");
    else if (strcmp(shows, "wrong") == 0)
        fprintf(out, ", in a row with a value never held");
    else if (strcmp(shows, "partial") == 0)
        fprintf(out, ", in a row that was never whole");
    fprintf(out, "%s\n",
            json_is_true(json_object_get(look, "dirty")) ? ", flagged as in doubt" : "");
}

static void print_looks(FILE *out, const json_t *pipeline, bool cell)
{
    const json_t *seen = json_object_get(pipeline, "seen"), *look;
    size_t i, count = json_array_size(seen);
    fprintf(out, "  what a reader was shown\n");
    if (count == 0)
        fprintf(out, "    %-27s no look showed anything new of it\n", "");
    json_array_foreach(seen, i, look)
    {
        if (i + PRINT_LOOKS_MAX < count)
            continue;
        print_when(out, look);
        print_look(out, look, cell);
    }
    if (count > PRINT_LOOKS_MAX)
        fprintf(out, "    (the last %d of %zu looks)\n", PRINT_LOOKS_MAX, count);
}

/* Does what was shown last say the same as the org? */
static void print_verdict(FILE *out, const json_t *story, const json_t *pipeline)
{
    const json_t *at = json_object_get(pipeline, "at"), *cause = json_object_get(pipeline, "cause");
    bool cell = json_is_string(json_object_get(story, "field"));
    const char *when =
        json_is_integer(json_object_get(story, "at_ms")) ? "at that time" : "at the end";
    if (!json_is_object(at)) {
        fprintf(out, "  %s: as when the run began\n", when);
    } else {
        bool equal = json_is_true(json_object_get(pipeline, "equal_at"));
        fprintf(out, "  %s: %s, ", when, equal ? "as the org held it" : "NOT as the org held it");
        print_look(out, at, cell);
    }
    if (json_is_object(cause))
        fprintf(out, "  at the end the row is %s. Cause: %s (station: %s, rule: %s). %s\n",
                print_text(cause, "class", "?"), print_text(cause, "cause", "?"),
                print_text(cause, "station", "not known"), print_text(cause, "rule", "none"),
                print_text(cause, "because", ""));
}

static void print_pipeline(FILE *out, const json_t *story, const json_t *pipeline)
{
    const json_t *commit, *step;
    size_t i, k;
    const char *kind = print_text(pipeline, "kind", "?");
    bool cell = json_is_string(json_object_get(story, "field"));
    fprintf(out, "\n%s (%s", print_text(pipeline, "name", "?"), kind);
    if (strcmp(kind, "stream") == 0)
        fprintf(out, ", option %lld)\n", (long long)print_int(pipeline, "option"));
    else if (strcmp(kind, "batch") == 0)
        fprintf(out, ", every %g s of org time)\n",
                json_number_value(json_object_get(pipeline, "interval_s")));
    else
        fprintf(out, ")\n");
    json_array_foreach(json_object_get(pipeline, "commits"), i, commit)
    {
        fprintf(out, "  position %lld, %s\n", (long long)print_int(commit, "pos"),
                print_text(commit, "change", "?"));
        json_array_foreach(json_object_get(commit, "steps"), k, step)
        {
            print_when(out, step);
            fprintf(out, "%s: %s\n", print_text(step, "station", "?"),
                    print_text(step, "what", ""));
        }
    }
    print_looks(out, pipeline, cell);
    print_verdict(out, story, pipeline);
}

void tm_why_print(FILE *out, const json_t *story)
{
    char at[TM_TIME_BYTES];
    const json_t *pipeline;
    size_t i;
    const char *field = print_text(story, "field", NULL);
    json_int_t compress = print_int(story, "compress");
    fprintf(out, "%s %s%s%s", print_text(story, "object", "?"), print_text(story, "id", "?"),
            field != NULL ? ", field " : ", the whole row", field != NULL ? field : "");
    if (json_is_integer(json_object_get(story, "at_ms")))
        fprintf(out, ", at %s", tm_time_z(at, print_int(story, "at_ms")));
    fprintf(out, "\nTimes: the org's clock (UTC), then wall seconds since it started");
    if (compress > 1)
        fprintf(out, "; it ran %lld times as fast", (long long)compress);
    fprintf(out, ".\n");
    print_org(out, story);
    json_array_foreach(json_object_get(story, "pipelines"), i, pipeline)
        print_pipeline(out, story, pipeline);
}
