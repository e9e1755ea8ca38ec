#include "run/baseline.h"
#include "base/config.h"
#include "reports/report.h"
#include "run/command.h"
#include "run/supervise.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BASELINE_WORDS_MAX (1u << 20)

static enum tm_code baseline_file(struct tm_baseline *b, const char *path, struct tm_err *err)
{
    if (b->count == TM_COMPARE_RUNS_MAX)
        return tm_fail(err, TM_E_ARG, "more than %d runs on one side, with %.200s",
                       TM_COMPARE_RUNS_MAX, path);
    json_t *report = NULL;
    enum tm_code rc = tm_json_load(&report, path, err);
    if (rc == TM_OK)
        rc = tm_report_check(report, path, err);
    if (rc == TM_OK)
        b->runs[b->count++] = json_incref(report);
    json_decref(report);
    return rc;
}

static bool baseline_has(char path[TM_PATH_MAX], const char *dir, const char *name)
{
    int n =
        snprintf(path, TM_PATH_MAX, "%s%s%s/report.json", dir, name[0] != '\0' ? "/" : "", name);
    return n > 0 && n < TM_PATH_MAX && access(path, R_OK) == 0;
}

/* A run's own folder, or one with run folders in it. */
static enum tm_code baseline_folder(struct tm_baseline *b, const char *dir, struct tm_err *err)
{
    char path[TM_PATH_MAX];
    struct dirent **names = NULL;
    size_t before = b->count;
    if (baseline_has(path, dir, ""))
        return baseline_file(b, path, err);
    int count = scandir(dir, &names, NULL, alphasort);
    enum tm_code rc =
        count >= 0 ? TM_OK : tm_fail(err, TM_E_ARG, "%.300s: %s", dir, strerror(errno));
    for (int i = 0; i < count; i++) {
        if (rc == TM_OK && names[i]->d_name[0] != '.' && baseline_has(path, dir, names[i]->d_name))
            rc = baseline_file(b, path, err);
        free(names[i]);
    }
    free(names);
    if (rc == TM_OK && b->count == before)
        rc = tm_fail(err, TM_E_ARG,
                     "%.300s has no report.json, nor have the folders in it; give the folder of a "
                     "run that ended",
                     dir);
    return rc;
}

enum tm_code tm_baseline_load(struct tm_baseline *out, const char *where, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    struct stat st;
    char path[TM_PATH_MAX];
    for (const char *at = where; rc == TM_OK; at++) {
        size_t n = strcspn(at, ",");
        if (n == 0 || n >= sizeof path)
            return tm_fail(err, TM_E_ARG, "no run between the commas of \"%.200s\"", where);
        snprintf(path, sizeof path, "%.*s", (int)n, at);
        if (stat(path, &st) != 0)
            rc = tm_fail(err, TM_E_ARG, "%.300s: %s", path, strerror(errno));
        else
            rc = S_ISDIR(st.st_mode) ? baseline_folder(out, path, err)
                                     : baseline_file(out, path, err);
        at += n;
        if (*at == '\0')
            break;
    }
    return rc;
}

void tm_baseline_free(struct tm_baseline *b)
{
    for (size_t i = 0; i < b->count; i++)
        json_decref(b->runs[i]);
    b->count = 0;
}

static struct tm_compare_side baseline_side(const struct tm_baseline *b)
{
    if (b == NULL)
        return (struct tm_compare_side){ NULL, 0 };
    return (struct tm_compare_side){ (const json_t *const *)b->runs, b->count };
}

enum tm_code tm_baseline_judge(int *out_exit, const struct tm_baseline *base,
                               const struct tm_baseline *new, const struct tm_baseline *control,
                               bool exact, bool json, struct tm_err *err)
{
    json_t *result = NULL;
    struct tm_buf words;
    if (tm_compare(&result, baseline_side(base), baseline_side(new), baseline_side(control), exact,
                   err) != TM_OK)
        return err->code;
    const char *verdict = json_string_value(json_object_get(result, "verdict"));
    *out_exit = strcmp(verdict, "pass") == 0   ? TM_EXIT_PASS
                : strcmp(verdict, "fail") == 0 ? TM_EXIT_FAIL
                                               : TM_EXIT_INCONCLUSIVE;
    tm_buf_init(&words, BASELINE_WORDS_MAX);
    if (json) {
        json_dumpf(result, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
        putchar('\n');
    } else {
        tm_compare_words(&words, result);
        fputs(tm_buf_text(&words), stdout);
    }
    enum tm_code rc = tm_buf_check(&words, "the comparison", err);
    tm_buf_free(&words);
    json_decref(result);
    return rc;
}
