/* cmd_report: `tidemark report RUN`: renders the report of a run's folder again.
 * `tidemark report --history DB RUN…`: adds runs to a history, draws and tells its trends. */
#include "reports/history.h"
#include "reports/report.h"
#include "run/baseline.h"
#include "run/command.h"
#include "run/supervise.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_HISTORY_MAX (16u << 20) /* bytes of the page */

/* What a run is called: its folder, or, of a folder of runs, its number there. */
static void report_label(char out[200], const char *where, size_t number, size_t count)
{
    size_t n = strlen(where);
    while (n > 1 && where[n - 1] == '/')
        n--;
    const char *begin = where + n;
    while (begin > where && begin[-1] != '/')
        begin--;
    snprintf(out, 200, count > 1 ? "%.*s %zu" : "%.*s", (int)(n - (size_t)(begin - where)), begin,
             number + 1);
}

static enum tm_code report_collect(sqlite3 *db, const char *where, size_t *added,
                                   struct tm_err *err)
{
    struct tm_baseline runs = { .count = 0 };
    enum tm_code rc = tm_baseline_load(&runs, where, err);
    for (size_t i = 0; rc == TM_OK && i < runs.count; i++) {
        char label[200];
        bool new = false;
        report_label(label, where, i, runs.count);
        rc = tm_report_check(runs.runs[i], label, err);
        if (rc == TM_OK)
            rc = tm_history_add(db, runs.runs[i], label, &new, err);
        *added += new;
    }
    tm_baseline_free(&runs);
    return rc;
}

static enum tm_code report_page(const char *db_path, const json_t *trends, struct tm_buf *html,
                                char path[TM_PATH_MAX], struct tm_err *err)
{
    size_t n = strlen(db_path);
    if (n > 3 && strcmp(db_path + n - 3, ".db") == 0)
        n -= 3;
    if (n + 6 > TM_PATH_MAX)
        return tm_fail(err, TM_E_ARG, "--history: the path is too long");
    snprintf(path, TM_PATH_MAX, "%.*s.html", (int)n, db_path);
    if (tm_history_html(html, trends, err) != TM_OK)
        return err->code;
    FILE *f = fopen(path, "w");
    bool ok = f != NULL && fwrite(tm_buf_text(html), 1, html->bytes, f) == html->bytes;
    if (f != NULL)
        ok = fclose(f) == 0 && ok;
    return ok ? TM_OK : tm_fail(err, TM_E_IO, "cannot write %s: %s", path, strerror(errno));
}

static enum tm_code report_history(const char *db_path, const struct tm_station_flags *flags,
                                   struct tm_err *err)
{
    sqlite3 *db = NULL;
    json_t *trends = NULL;
    struct tm_buf html, words;
    char path[TM_PATH_MAX];
    size_t added = 0;
    tm_buf_init(&html, REPORT_HISTORY_MAX);
    tm_buf_init(&words, REPORT_HISTORY_MAX);
    enum tm_code rc = tm_history_open(&db, db_path, err);
    if (rc == TM_OK && flags->config_path != NULL)
        rc = report_collect(db, flags->config_path, &added, err);
    for (size_t i = 0; rc == TM_OK && i < flags->rest_count; i++)
        rc = report_collect(db, flags->rest[i], &added, err);
    if (rc == TM_OK)
        rc = tm_history_trends(&trends, db, err);
    if (rc == TM_OK)
        rc = report_page(db_path, trends, &html, path, err);
    if (rc == TM_OK && flags->json) {
        json_dumpf(trends, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
        putchar('\n');
    } else if (rc == TM_OK) {
        tm_history_words(&words, trends);
        printf("%zu runs added\n%s%s\n", added, tm_buf_text(&words), path);
    }
    json_decref(trends);
    tm_buf_free(&html);
    tm_buf_free(&words);
    tm_sql_close(db);
    return rc;
}

int tm_cmd_report(int argc, char **argv)
{
    static const char *const extra[] = { "history", "...", NULL };
    const char *given[1] = { NULL };
    struct tm_err err = { .code = TM_OK };
    struct tm_station_flags flags;
    enum tm_code rc = tm_flags_parse(&flags, argc, argv, extra, given, &err);
    if (rc == TM_OK && flags.config_path == NULL && given[0] == NULL)
        rc = tm_fail(&err, TM_E_ARG, "no run given; usage: tidemark report reports/out/RUN");
    if (rc == TM_OK && given[0] == NULL && flags.rest_count > 0)
        rc = tm_fail(&err, TM_E_ARG, "unexpected argument \"%.80s\" after \"%.80s\"", flags.rest[0],
                     flags.config_path);
    if (rc == TM_OK && given[0] == NULL && flags.json)
        rc = tm_fail(&err, TM_E_ARG,
                     "--json goes with --history; what a program reads of one run is "
                     "%.200s/report.json",
                     flags.config_path);
    if (rc == TM_OK)
        rc = given[0] != NULL ? report_history(given[0], &flags, &err)
                              : tm_report_render(flags.config_path, &err);
    if (rc != TM_OK)
        return tm_command_fail("report", &err);
    if (given[0] == NULL)
        printf("%s/report.html\n", flags.config_path);
    return TM_EXIT_PASS;
}
