#include "reports/history.h"
#include "base/text.h"
#include "reports/changes.h"
#include "reports/html_inner.h"
#include "reports/page.h"
#include "reports/report.h"
#include "reports/words.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum tm_code tm_history_open(sqlite3 **out, const char *path, struct tm_err *err)
{
    enum tm_code rc = tm_sql_open(out, path, TM_SQL_CREATE, err);
    if (rc == TM_OK)
        rc = tm_sql_own(*out, "figure", err);
    if (rc == TM_OK)
        rc = tm_sql_exec(*out,
                         "CREATE TABLE IF NOT EXISTS run(run INTEGER PRIMARY KEY, digest TEXT "
                         "UNIQUE, label TEXT, grp TEXT, clock TEXT, verdict TEXT);"
                         "CREATE TABLE IF NOT EXISTS figure(run INTEGER, pipeline TEXT, figure "
                         "TEXT, unit TEXT, value REAL, PRIMARY KEY(run, pipeline, figure)) "
                         "WITHOUT ROWID",
                         err);
    return rc;
}

static enum tm_code history_figures(sqlite3 *db, int64_t run, const json_t *report,
                                    struct tm_err *err)
{
    sqlite3_stmt *put = NULL;
    const json_t *p;
    const struct tm_trend *t;
    size_t i;
    double v;
    enum tm_code rc =
        tm_sql_prepare(&put, db, "INSERT OR REPLACE INTO figure VALUES(?1,?2,?3,?4,?5)", err);
    json_array_foreach(json_object_get(report, "pipelines"), i,
                       p) for (size_t k = 0; rc == TM_OK && (t = tm_trend_at(k)) != NULL; k++)
    {
        if (!tm_word_number(p, t->path, &v) || !isfinite(v))
            continue;
        sqlite3_bind_int64(put, 1, run);
        sqlite3_bind_text(put, 2, tm_word_text(p, "name", "?"), -1, SQLITE_TRANSIENT);
        sqlite3_bind_text(put, 3, t->measure, -1, SQLITE_STATIC);
        sqlite3_bind_text(put, 4, t->unit, -1, SQLITE_STATIC);
        sqlite3_bind_double(put, 5, v);
        rc = tm_sql_run(put, err);
    }
    sqlite3_finalize(put);
    return rc;
}

static void history_group(char out[200], const json_t *report, const char *clock)
{
    double seed = 0;
    tm_word_number(report, "seed", &seed);
    snprintf(out, 200, "%.80s, seed %.0f, %.20s clock", tm_word_text(report, "scenario", "run"),
             seed, clock);
}

enum tm_code tm_history_add(sqlite3 *db, const json_t *report, const char *label, bool *out_new,
                            struct tm_err *err)
{
    char *text = json_dumps(report, JSON_COMPACT | JSON_SORT_KEYS), digest[20], group[200];
    const char *clock = tm_word_text(report, "environment.clock", "real");
    sqlite3_stmt *put = NULL;
    *out_new = false;
    if (text == NULL)
        return tm_fail(err, TM_E_NOMEM, "the history's copy of %.80s", label);
    snprintf(digest, sizeof digest, "%016" PRIx64, tm_hash64(text, strlen(text), 0));
    free(text);
    history_group(group, report, clock);
    enum tm_code rc = tm_sql_exec(db, "BEGIN IMMEDIATE", err);
    if (rc != TM_OK)
        return rc;
    rc = tm_sql_prepare(&put, db,
                        "INSERT OR IGNORE INTO run(digest, label, grp, clock, verdict) "
                        "VALUES(?1,?2,?3,?4,?5)",
                        err);
    if (rc == TM_OK) {
        sqlite3_bind_text(put, 1, digest, -1, SQLITE_STATIC);
        sqlite3_bind_text(put, 2, label, -1, SQLITE_STATIC);
        sqlite3_bind_text(put, 3, group, -1, SQLITE_STATIC);
        sqlite3_bind_text(put, 4, clock, -1, SQLITE_STATIC);
        sqlite3_bind_text(put, 5, tm_word_text(report, "verdict", ""), -1, SQLITE_STATIC);
        rc = tm_sql_run(put, err);
    }
    sqlite3_finalize(put);
    *out_new = rc == TM_OK && sqlite3_changes(db) > 0;
    if (*out_new)
        rc = history_figures(db, sqlite3_last_insert_rowid(db), report, err);
    enum tm_code ended = tm_sql_exec(db, rc == TM_OK ? "COMMIT" : "ROLLBACK", err);
    return rc == TM_OK ? ended : rc;
}

/* ---- trends ---- */

static double history_middle(const double *values, size_t first, size_t end)
{
    double sorted[TM_CHANGES_VALUES_MAX];
    size_t count = 0;
    for (size_t i = first; i < end; i++) {
        size_t k = count++;
        for (; k > 0 && sorted[k - 1] > values[i]; k--)
            sorted[k] = sorted[k - 1];
        sorted[k] = values[i];
    }
    return count % 2 == 1 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

/* at[]: which run of the group each value is of. */
static json_t *history_series(const char *pipeline, const double *values, const size_t *at,
                              size_t count, size_t runs, bool exact)
{
    size_t changed[TM_CHANGES_MAX];
    size_t found = tm_changes(changed, values, count, exact);
    json_t *all = json_array(), *changes = json_array();
    for (size_t i = 0, k = 0; i < runs; i++)
        json_array_append_new(all, k < count && at[k] == i ? json_real(values[k++]) : json_null());
    for (size_t i = 0; i < found; i++) {
        size_t before = i > 0 ? changed[i - 1] : 0, end = i + 1 < found ? changed[i + 1] : count;
        json_array_append_new(changes,
                              json_pack("{s:I, s:f, s:f}", "at", (json_int_t)at[changed[i]],
                                        "before", history_middle(values, before, changed[i]),
                                        "after", history_middle(values, changed[i], end)));
    }
    return json_pack("{s:s, s:o, s:o}", "pipeline", pipeline, "values", all, "changes", changes);
}

/* One pipeline's figure over the runs of a group; nothing where it has no value. */
static enum tm_code history_line(json_t *list, sqlite3 *db, const char *group, const char *pipeline,
                                 const char *measure, size_t runs, bool exact, struct tm_err *err)
{
    static const char sql[] =
        "SELECT n, value FROM (SELECT run, row_number() OVER (ORDER BY run) - 1 AS n FROM (SELECT "
        "run FROM run WHERE grp = ?1 ORDER BY run DESC LIMIT ?4)) JOIN figure USING (run) WHERE "
        "pipeline = ?2 AND figure = ?3 ORDER BY n";
    double values[TM_HISTORY_RUNS_MAX];
    size_t at[TM_HISTORY_RUNS_MAX], count = 0;
    sqlite3_stmt *q = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_prepare(&q, db, sql, err);
    if (rc == TM_OK) {
        sqlite3_bind_text(q, 1, group, -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 2, pipeline, -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 3, measure, -1, SQLITE_STATIC);
        sqlite3_bind_int(q, 4, TM_HISTORY_RUNS_MAX);
    }
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row &&
           count < TM_HISTORY_RUNS_MAX) {
        at[count] = (size_t)sqlite3_column_int64(q, 0);
        values[count++] = sqlite3_column_double(q, 1);
    }
    sqlite3_finalize(q);
    if (rc == TM_OK && count > 0)
        json_array_append_new(list, history_series(pipeline, values, at, count, runs, exact));
    return rc;
}

/* A column of texts, in order. */
static enum tm_code history_texts(json_t *out, sqlite3 *db, const char *sql, const char *group,
                                  struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_prepare(&q, db, sql, err);
    if (rc == TM_OK && group != NULL) {
        sqlite3_bind_text(q, 1, group, -1, SQLITE_STATIC);
        sqlite3_bind_int(q, 2, TM_HISTORY_RUNS_MAX);
    }
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row)
        json_array_append_new(out, json_string((const char *)sqlite3_column_text(q, 0)));
    sqlite3_finalize(q);
    return rc;
}

static enum tm_code history_of_group(json_t *groups, sqlite3 *db, const char *group,
                                     struct tm_err *err)
{
    json_t *labels = json_array(), *pipelines = json_array(), *figures = json_array(), *name;
    const struct tm_trend *t;
    size_t i;
    bool exact = strstr(group, "virtual clock") != NULL;
    enum tm_code rc = history_texts(labels, db,
                                    "SELECT label FROM (SELECT run, label FROM run WHERE grp = ?1 "
                                    "ORDER BY run DESC LIMIT ?2) ORDER BY run",
                                    group, err);
    if (rc == TM_OK)
        rc = history_texts(pipelines, db,
                           "SELECT DISTINCT pipeline FROM figure JOIN run USING (run) WHERE grp = "
                           "?1 ORDER BY pipeline LIMIT ?2",
                           group, err);
    for (size_t k = 0; rc == TM_OK && (t = tm_trend_at(k)) != NULL; k++) {
        json_t *series = json_array();
        json_array_foreach(pipelines, i, name) if (rc == TM_OK) rc =
            history_line(series, db, group, json_string_value(name), t->measure,
                         json_array_size(labels), exact, err);
        if (json_array_size(series) > 0)
            json_array_append_new(figures, json_pack("{s:s, s:s, s:O}", "name", t->measure, "unit",
                                                     t->unit, "series", series));
        json_decref(series);
    }
    json_decref(pipelines);
    json_array_append_new(
        groups, json_pack("{s:s, s:o, s:o}", "name", group, "labels", labels, "figures", figures));
    return rc;
}

enum tm_code tm_history_trends(json_t **out, sqlite3 *db, struct tm_err *err)
{
    json_t *names = json_array(), *groups = json_array(), *name;
    size_t i;
    *out = NULL;
    enum tm_code rc = history_texts(
        names, db, "SELECT grp FROM run GROUP BY grp ORDER BY max(run) DESC", NULL, err);
    json_array_foreach(names, i, name) if (rc == TM_OK) rc =
        history_of_group(groups, db, json_string_value(name), err);
    json_decref(names);
    if (rc == TM_OK)
        *out = json_pack("{s:s, s:s, s:o}", "tidemark", "1", "kind", "history", "groups", groups);
    else
        json_decref(groups);
    return rc;
}

/* ---- words and page ---- */

/* Each change of each series, with its names. */
static void history_each(const json_t *trends,
                         void (*each)(struct tm_buf *out, const json_t *group, const json_t *figure,
                                      const json_t *series, const json_t *change),
                         struct tm_buf *out)
{
    const json_t *group, *figure, *series, *change;
    size_t i, k, n, m;
    json_array_foreach(json_object_get(trends, "groups"), i, group)
        json_array_foreach(json_object_get(group, "figures"), k, figure)
            json_array_foreach(json_object_get(figure, "series"), n, series)
                json_array_foreach(json_object_get(series, "changes"), m, change)
                    each(out, group, figure, series, change);
}

static void history_sentence(char out[500], const json_t *group, const json_t *figure,
                             const json_t *series, const json_t *change)
{
    double before = json_number_value(json_object_get(change, "before")),
           after = json_number_value(json_object_get(change, "after"));
    const char *label = json_string_value(
        json_array_get(json_object_get(group, "labels"),
                       (size_t)json_integer_value(json_object_get(change, "at"))));
    int n = snprintf(out, 500, "%.100s: %.40s %.40s from %.4g to %.4g %.20s since %.100s",
                     tm_word_text(group, "name", "?"), tm_word_text(series, "pipeline", "?"),
                     tm_word_text(figure, "name", "?"), before, after,
                     tm_word_text(figure, "unit", ""), label != NULL ? label : "?");
    if (before > 0)
        snprintf(out + n, 500 - (size_t)n, " (%+.0f %%)", 100 * (after / before - 1));
}

static void history_word(struct tm_buf *out, const json_t *group, const json_t *figure,
                         const json_t *series, const json_t *change)
{
    char text[500];
    history_sentence(text, group, figure, series, change);
    tm_buf_addf(out, "moved: %s\n", text);
}

static void history_item(struct tm_buf *out, const json_t *group, const json_t *figure,
                         const json_t *series, const json_t *change)
{
    char text[500];
    history_sentence(text, group, figure, series, change);
    tm_buf_addz(out, "<li>");
    tm_html_text(out, text);
    tm_buf_addz(out, "</li>\n");
}

void tm_history_words(struct tm_buf *out, const json_t *trends)
{
    const json_t *group;
    size_t i;
    json_array_foreach(json_object_get(trends, "groups"), i, group)
        tm_buf_addf(out, "%s: %zu runs\n", tm_word_text(group, "name", "?"),
                    json_array_size(json_object_get(group, "labels")));
    history_each(trends, history_word, out);
}

static void history_body(struct tm_buf *b, const json_t *trends)
{
    size_t before;
    tm_buf_addz(b, "<h1><b>tidemark</b> · history</h1>\n<h2>What moved</h2>\n<ul "
                   "class=\"findings\">\n");
    before = b->bytes;
    history_each(trends, history_item, b);
    if (b->bytes == before)
        tm_buf_addz(b, "<li>Nothing: no figure left its level.</li>\n");
    tm_buf_addz(
        b, "</ul>\n<p class=\"note\">A change is marked where the ranks of the two sides differ "
           "more than in all but two of ten thousand random orders (five runs a side at least); "
           "under the virtual clock wherever a value changed. Drag to zoom, double-click to zoom "
           "out, touch a name to hide its line.</p>\n<div id=\"charts\"><p class=\"note\">The "
           "charts need JavaScript.</p></div>\n");
}

static bool history_mark(struct tm_buf *out, const char *mark, const void *trends)
{
    if (strcmp(mark, "DATA") == 0)
        tm_html_json(out, trends);
    else if (strcmp(mark, "BODY") == 0)
        history_body(out, trends);
    else
        return false;
    return true;
}

enum tm_code tm_history_html(struct tm_buf *out, const json_t *trends, struct tm_err *err)
{
    enum tm_code rc =
        tm_page_fill(out, tm_page_history, "history's page", history_mark, trends, err);
    return rc != TM_OK ? rc : tm_buf_check(out, "history.html", err);
}
