/* cmd_test: `tidemark test [CASE…] [--views DIR | --exec CMD]`: puts cases, small histories with a
 * known right answer, through both shipped options, or through somebody's own views or program. One
 * line a case; what differs and the story when one fails. Exit 0, 1 when a case failed, 64 for
 * wrong usage, a case file that cannot be read, or SQL that cannot run. */
#include "base/log.h"
#include "base/text.h"
#include "run/command.h"
#include "run/help.h"
#include "run/test_exec.h"
#include "run/test_report.h"
#include "simulate/case_run.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEST_CASES_MAX 5000
#define TEST_DIR "fixtures/cases"
#define TEST_LIMIT_S 10
#define TEST_STOPS_MAX 3 /* cases in a row that the time limit ended */

struct test_args {
    const char *views_dir, *exec, *junit, *objects_dir;
    int limit_s;
    bool json;
};
struct test {
    struct test_args args;
    char **paths;
    size_t paths_count, paths_cap;
    json_t *results;
    struct tm_test_totals totals;
    int stops;
};

/* ---- which cases ---- */

static enum tm_code test_add(struct test *t, const char *path, struct tm_err *err)
{
    if (t->paths_count == t->paths_cap) {
        size_t cap = t->paths_cap == 0 ? 256 : t->paths_cap * 2;
        char **all = cap <= TEST_CASES_MAX * 2 ? realloc(t->paths, cap * sizeof *all) : NULL;
        if (all == NULL)
            return tm_fail(err, TM_E_LIMIT, "more than %d cases", TEST_CASES_MAX);
        t->paths = all;
        t->paths_cap = cap;
    }
    t->paths[t->paths_count] = strdup(path);
    if (t->paths[t->paths_count] == NULL)
        return tm_fail(err, TM_E_NOMEM, "case %s", path);
    t->paths_count++;
    return TM_OK;
}

static bool test_is_case(const char *path)
{
    char rows[TM_CASE_PATH_BYTES + 32];
    snprintf(rows, sizeof rows, "%s/rows.jsonl", path);
    return access(rows, F_OK) == 0;
}

static int test_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A folder of cases: every folder in it is one, so that a broken one is told, not passed over. */
static enum tm_code test_folder(struct test *t, const char *path, struct tm_err *err)
{
    DIR *dir = opendir(path);
    enum tm_code rc = TM_OK;
    size_t first = t->paths_count;
    if (dir == NULL)
        return tm_fail(err, TM_E_ARG,
                       "%s: no such folder; `tidemark test` looks in " TEST_DIR
                       " below the current folder, or names a case or a folder of cases",
                       path);
    for (struct dirent *e; rc == TM_OK && (e = readdir(dir)) != NULL;) {
        char inside[TM_CASE_PATH_BYTES];
        int n = snprintf(inside, sizeof inside, "%s/%s", path, e->d_name);
        if (e->d_name[0] == '.' || e->d_type == DT_REG)
            continue;
        rc = n < (int)sizeof inside ? test_add(t, inside, err)
                                    : tm_fail(err, TM_E_ARG, "the path %s… is too long", path);
    }
    closedir(dir);
    if (rc == TM_OK && t->paths_count == first)
        rc = tm_fail(err, TM_E_ARG, "%s: no cases; a case is a folder with rows.jsonl", path);
    qsort(t->paths + first, t->paths_count - first, sizeof *t->paths, test_order);
    return rc;
}

static enum tm_code test_unknown(const char *name, struct tm_err *err)
{
    struct test all = { .paths = NULL };
    struct tm_err ignored = { .code = TM_OK };
    const char **names = NULL, *near = NULL;
    if (test_folder(&all, TEST_DIR, &ignored) == TM_OK)
        names = calloc(all.paths_count, sizeof *names);
    for (size_t i = 0; names != NULL && i < all.paths_count; i++)
        names[i] = strrchr(all.paths[i], '/') + 1;
    if (names != NULL)
        near = tm_nearest(name, names, all.paths_count);
    enum tm_code rc =
        tm_fail(err, TM_E_ARG, "there is no case \"%.100s\"%s%s; cases are folders of " TEST_DIR,
                name, near != NULL ? "; did you mean " : "", near != NULL ? near : "");
    free(names);
    for (size_t i = 0; i < all.paths_count; i++)
        free(all.paths[i]);
    free(all.paths);
    return rc;
}

static enum tm_code test_named(struct test *t, const char *name, struct tm_err *err)
{
    char inside[TM_CASE_PATH_BYTES];
    if (test_is_case(name))
        return test_add(t, name, err);
    if (access(name, F_OK) == 0)
        return test_folder(t, name, err);
    int n = snprintf(inside, sizeof inside, TEST_DIR "/%s", name);
    if (n < (int)sizeof inside && access(inside, F_OK) == 0)
        return test_add(t, inside, err);
    return test_unknown(name, err);
}

/* ---- arguments ---- */

static enum tm_code test_number(int *out, const char *text, struct tm_err *err)
{
    char *end = NULL;
    long n = strtol(text, &end, 10);
    if (*end != '\0' || end == text || n < 1 || n > 3600)
        return tm_fail(err, TM_E_ARG, "--limit \"%.40s\" is not a number of seconds from 1 to 3600",
                       text);
    *out = (int)n;
    return TM_OK;
}

static enum tm_code test_flag(struct test *t, int argc, char **argv, int *at, struct tm_err *err)
{
    static const char *const names[] = { "--views", "--exec",    "--junit",
                                         "--limit", "--objects", "--json" };
    const char *limit = NULL;
    const char **const values[] = { &t->args.views_dir, &t->args.exec, &t->args.junit, &limit,
                                    &t->args.objects_dir };
    const char *arg = argv[*at];
    if (strcmp(arg, "--json") == 0) {
        t->args.json = true;
        return TM_OK;
    }
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        size_t n = strlen(names[i]);
        if (strncmp(arg, names[i], n) != 0 || (arg[n] != '\0' && arg[n] != '='))
            continue;
        if (arg[n] == '\0' && *at + 1 == argc)
            return tm_fail(err, TM_E_ARG, "flag %s wants a value", names[i]);
        *values[i] = arg[n] == '=' ? arg + n + 1 : argv[++*at];
        return limit != NULL ? test_number(&t->args.limit_s, limit, err) : TM_OK;
    }
    const char *near = tm_nearest(arg, names, sizeof names / sizeof names[0]);
    return tm_fail(err, TM_E_ARG, "unknown flag %.60s%s%s", arg,
                   near != NULL ? "; did you mean " : "; --help lists them",
                   near != NULL ? near : "");
}

static enum tm_code test_arguments(struct test *t, int argc, char **argv, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool named = false;
    t->args.objects_dir = "fixtures/objects";
    t->args.limit_s = TEST_LIMIT_S;
    for (int i = 1; i < argc && rc == TM_OK; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            tm_help_command(stdout, tm_help_of("test"));
            exit(TM_EXIT_PASS);
        }
        named |= argv[i][0] != '-';
        rc = argv[i][0] == '-' ? test_flag(t, argc, argv, &i, err) : test_named(t, argv[i], err);
    }
    if (rc == TM_OK && t->args.views_dir != NULL && t->args.exec != NULL)
        rc = tm_fail(err, TM_E_ARG, "--views and --exec are two ways; give one of them");
    if (rc == TM_OK && t->args.exec != NULL)
        rc = tm_test_exec_check(t->args.exec, err);
    if (rc == TM_OK && t->args.views_dir != NULL && access(t->args.views_dir, R_OK | X_OK) != 0)
        rc = tm_fail(err, TM_E_ARG, "--views %s: no such folder", t->args.views_dir);
    if (rc == TM_OK && !named)
        rc = test_folder(t, TEST_DIR, err);
    return rc;
}

/* ---- running ---- */

static enum tm_code test_compare(json_t *findings, const struct tm_case *c, const char *by,
                                 const json_t *shown, struct tm_err *err)
{
    size_t at;
    json_t *finding, *found = json_array();
    enum tm_code rc = tm_case_compare(found, c, shown, err);
    json_array_foreach(found, at, finding)
    {
        json_object_set_new(finding, "by", json_string(by));
        json_array_append(findings, finding);
    }
    json_decref(found);
    return rc;
}

/* What the program itself did wrong is the case's finding, and the next case is tried. */
static enum tm_code test_program(struct test *t, json_t **out, json_t *findings,
                                 const struct tm_case *c, struct tm_err *err)
{
    const struct tm_test_exec how = { t->args.exec, t->args.limit_s };
    struct tm_err why;
    char text[700];
    tm_err_clear(&why);
    enum tm_code rc = tm_test_exec(out, c, &how, &why);
    bool stopped = rc == TM_E_PROTO && strstr(why.msg, "--limit") != NULL;
    t->stops = stopped ? t->stops + 1 : 0;
    if (rc == TM_E_PROTO && t->stops < TEST_STOPS_MAX) {
        json_array_append_new(findings, json_pack("{s:s, s:s}", "by", "exec", "text",
                                                  tm_err_text(&why, text, sizeof text)));
        return TM_OK;
    }
    if (rc != TM_OK)
        return tm_fail(err, rc == TM_E_PROTO ? TM_E_ARG : rc, "case %s: %s", c->name,
                       tm_err_text(&why, text, sizeof text));
    return TM_OK;
}

enum test_way { TEST_BY_VIEWS, TEST_BY_STATE, TEST_BY_SQL, TEST_BY_EXEC };
static const char *const test_ways[] = { "option 1", "option 2", "views", "exec" };

static enum tm_code test_way(struct test *t, enum test_way way, const struct tm_case *c,
                             json_t *result, struct tm_err *err)
{
    const struct tm_case_options options = { t->args.objects_dir, t->args.views_dir };
    json_t *shown = NULL, *findings = json_object_get(result, "findings");
    const char *skipped = NULL;
    int64_t began_ns = tm_clock_monotonic_ns();
    enum tm_code rc = way == TEST_BY_VIEWS   ? tm_case_by_views(&shown, c, &options, err)
                      : way == TEST_BY_STATE ? tm_case_by_state(&shown, c, &options, err)
                      : way == TEST_BY_SQL   ? tm_case_by_sql(&shown, &skipped, c, &options, err)
                                             : test_program(t, &shown, findings, c, err);
    double ms = (double)(tm_clock_monotonic_ns() - began_ns) / (double)TM_NS_PER_MS;
    if (rc == TM_OK && skipped != NULL)
        json_object_set_new(result, "skipped", json_string(skipped));
    else
        json_object_set_new(json_object_get(result, "ms"), test_ways[way], json_real(ms));
    if (rc == TM_OK && shown != NULL)
        rc = test_compare(findings, c, test_ways[way], shown, err);
    t->totals.ms += ms;
    json_decref(shown);
    return rc;
}

static enum tm_code test_case(struct test *t, const char *path, struct tm_err *err)
{
    struct tm_case c;
    enum tm_code rc = tm_case_load(&c, path, err);
    if (rc != TM_OK)
        return rc;
    json_t *result =
        json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:b, s:n, s:{}, s:[]}", "name", c.name, "path",
                  c.path, "rows", (json_int_t)json_array_size(c.rows), "rules", c.rules, "bugs",
                  c.bugs, "story", c.story, "ok", 1, "skipped", "ms", "findings");
    if (result == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "case %s", c.name);
    if (rc == TM_OK && t->args.views_dir != NULL) {
        rc = test_way(t, TEST_BY_SQL, &c, result, err);
    } else if (rc == TM_OK && t->args.exec != NULL) {
        rc = test_way(t, TEST_BY_EXEC, &c, result, err);
    } else if (rc == TM_OK) {
        rc = test_way(t, TEST_BY_VIEWS, &c, result, err);
        if (rc == TM_OK)
            rc = test_way(t, TEST_BY_STATE, &c, result, err);
    }
    bool ok = json_array_size(json_object_get(result, "findings")) == 0;
    if (rc == TM_OK) {
        json_object_set_new(result, "ok", json_boolean(ok));
        t->totals.cases++;
        t->totals.failed += !ok;
        t->totals.skipped += json_is_string(json_object_get(result, "skipped"));
        json_array_append(t->results, result);
        if (!t->args.json)
            tm_test_print_case(stdout, result);
    }
    json_decref(result);
    tm_case_free(&c);
    return rc;
}

static enum tm_code test_run(struct test *t, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    t->results = json_array();
    for (size_t i = 0; i < t->paths_count && rc == TM_OK; i++)
        rc = test_case(t, t->paths[i], err);
    if (rc == TM_OK && t->totals.skipped == t->totals.cases)
        rc = tm_fail(err, TM_E_ARG,
                     "--views %s: no case could be run: put <Object>.sql there, as Opportunity.sql",
                     t->args.views_dir);
    if (rc == TM_OK && t->args.junit != NULL)
        rc = tm_test_junit(t->args.junit, t->results, &t->totals, err);
    if (rc == TM_OK && t->args.json)
        tm_test_json(stdout, t->results, &t->totals);
    else if (rc == TM_OK)
        tm_test_print_totals(stdout, t->results, &t->totals);
    return rc;
}

int tm_cmd_test(int argc, char **argv)
{
    struct test t = { .paths = NULL };
    struct tm_err err;
    tm_log_init("test", TM_LOG_ERROR);
    tm_err_clear(&err);
    enum tm_code rc = test_arguments(&t, argc, argv, &err);
    if (rc == TM_OK)
        rc = test_run(&t, &err);
    int code = rc != TM_OK           ? tm_command_fail("test", &err)
               : t.totals.failed > 0 ? TM_EXIT_FAIL
                                     : TM_EXIT_PASS;
    json_decref(t.results);
    for (size_t i = 0; i < t.paths_count; i++)
        free(t.paths[i]);
    free(t.paths);
    return code;
}
