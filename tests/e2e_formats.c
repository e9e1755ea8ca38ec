/* e2e_formats: one run, told in seven forms with one set of figures: report.json beside the tables
 * of report.md and report.html, the page's curves, junit.xml, Bencher's and github-action-benchmark's
 * JSON, and what run.db's samples come to when counted here. */
#include "reports/words.h"
#include "support_command.h"
#include "support_run.h"
#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define LIMIT_S 120
#define CELLS_MAX 20
#define CELL_BYTES 160
#define SAY_BYTES 200

static char folder[80];
static json_t *report;

/* A figure: where report.json has it, its form, and its column behind the name in a table. */
struct figure {
    const char *path;
    const char *(*form)(char *, double);
    double scale;
    int column;
};
struct table {
    const char *heading;
    struct figure figures[CELLS_MAX];
};

/* Behind the pipeline's name; the same figures in other columns of the page. */
static const struct table in_markdown[] = {
    { "## Time from commit to readable",
      { { "freshness_s.p50", tm_word_span, 1, 0 },
        { "freshness_s.p90", tm_word_span, 1, 1 },
        { "freshness_s.p99", tm_word_span, 1, 2 },
        { "freshness_s.max", tm_word_span, 1, 3 },
        { "wait_s.p50", tm_word_span, 1, 4 },
        { "work_ms.p50", tm_word_span, .001, 5 },
        { "work_ms.p99", tm_word_span, .001, 6 },
        { "freshness_s.never", tm_word_count, 1, 7 } } },
    { "## Rows that differ",
      { { "drift.peak_rows", tm_word_count, 1, 0 },
        { "drift.final_rows", tm_word_count, 1, 1 },
        { "drift.missing", tm_word_count, 1, 2 },
        { "drift.phantom", tm_word_count, 1, 3 },
        { "drift.stale", tm_word_count, 1, 4 },
        { "drift.mixed", tm_word_count, 1, 5 },
        { "drift.wrong", tm_word_count, 1, 6 },
        { "drift.dirty", tm_word_count, 1, 7 },
        { "lost_history.states", tm_word_count, 1, 8 },
        { "lost_history.share", tm_word_share, 1, 9 },
        { "lost_history.unkept_share", tm_word_share, 1, 10 } } },
    { "## Cost",
      { { "cost.api_calls", tm_word_count, 1, 0 },
        { "cost.events", tm_word_count, 1, 1 },
        { "cost.bytes", tm_word_bytes, 1, 2 },
        { "cost.kafka_bytes", tm_word_bytes, 1, 3 } } },
};
static const struct table in_page[] = {
    { "<h2>How long until a change could be read",
      { { "freshness_s.p50", tm_word_span, 1, 0 },
        { "freshness_s.p90", tm_word_span, 1, 1 },
        { "freshness_s.p99", tm_word_span, 1, 2 },
        { "freshness_s.max", tm_word_span, 1, 3 },
        { "wait_s.p50", tm_word_span, 1, 4 },
        { "wait_s.p99", tm_word_span, 1, 5 },
        { "work_ms.p50", tm_word_span, .001, 6 },
        { "work_ms.p99", tm_word_span, .001, 7 },
        { "work_ms.p99_9", tm_word_span, .001, 8 },
        { "work_ms.max", tm_word_span, .001, 9 },
        { "freshness_s.never", tm_word_count, 1, 10 } } },
    { "<h2>Rows that differ",
      { { "drift.peak_rows", tm_word_count, 1, 0 },
        { "drift.final_rows", tm_word_count, 1, 1 },
        { "drift.missing", tm_word_count, 1, 3 },
        { "drift.phantom", tm_word_count, 1, 4 },
        { "drift.stale", tm_word_count, 1, 5 },
        { "drift.mixed", tm_word_count, 1, 6 },
        { "drift.wrong", tm_word_count, 1, 7 },
        { "drift.dirty", tm_word_count, 1, 8 },
        { "lost_history.states", tm_word_count, 1, 9 },
        { "lost_history.share", tm_word_share, 1, 10 },
        { "lost_history.unkept_share", tm_word_share, 1, 11 } } },
    { "<h2>What it cost",
      { { "cost.api_calls", tm_word_count, 1, 0 },
        { "cost.events", tm_word_count, 1, 1 },
        { "cost.bytes", tm_word_bytes, 1, 2 },
        { "cost.kafka_bytes", tm_word_bytes, 1, 3 },
        { "cost.polls", tm_word_count, 1, 4 } } },
};

static char *get(const char *name)
{
    char path[128];
    size_t n, cap = 16u << 20;
    snprintf(path, sizeof path, "%s/run/%s", folder, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char *text = calloc(1, cap);
    assert_non_null(text);
    n = fread(text, 1, cap - 1, f);
    fclose(f);
    assert_true(n > 0 && n < cap - 1);
    return text;
}

static int stand(void **state)
{
    char scenario[128], path[128];
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    tm_test_run_tiny(folder, scenario);
    json_t *tiny = json_load_file(scenario, 0, NULL),
           *all = json_load_file("fixtures/scenarios/short.json", 0, NULL);
    json_array_append(json_object_get(tiny, "pipelines"),
                      json_array_get(json_object_get(all, "pipelines"), 1)); /* batch-naive */
    assert_int_equal(json_dump_file(tiny, scenario, 0), 0);
    json_decref(tiny);
    json_decref(all);
    struct tm_test_output o =
        tm_test_command(LIMIT_S, "tidemark simulate %s --out %s/run", scenario, folder);
    if (o.code != 0)
        fprintf(stderr, "%s%s", o.out, o.err);
    tm_test_output_free(&o);
    snprintf(path, sizeof path, "%s/run/report.json", folder);
    report = json_load_file(path, 0, NULL);
    return report == NULL ? -1 : 0;
}

static int no_stand(void **state)
{
    (void)state;
    json_decref(report);
    tm_test_folder_remove(folder);
    return 0;
}

/* The cells of a row, without tags. */
static size_t row_cells(const char *row, const char *end, bool page,
                        char cells[CELLS_MAX][CELL_BYTES])
{
    size_t count = 0, n = 0;
    bool tag = false, in = false;
    for (const char *at = row; at < end; at++) {
        if (page ? strncmp(at, "<td", 3) == 0 : *at == '|') {
            assert_true(count < CELLS_MAX);
            in = true;
            n = 0;
            cells[count++][0] = '\0';
        }
        if (page ? *at == '<' : *at == '|')
            tag = true;
        if (!tag && in && n + 1 < CELL_BYTES) {
            cells[count - 1][n++] = *at;
            cells[count - 1][n] = '\0';
        }
        if (page ? *at == '>' : *at == '|')
            tag = false;
    }
    return count;
}

static void trimmed(char *text)
{
    size_t n = strlen(text), lead = strspn(text, " ");
    while (n > lead && text[n - 1] == ' ')
        text[--n] = '\0';
    memmove(text, text + lead, n - lead + 1);
}

/* What the table must say of a figure of report.json. */
static const char *said(char out[WORD_BYTES], const json_t *p, const struct figure *f)
{
    double never = 0;
    tm_word_number(p, "freshness_s.never", &never);
    tm_word_at(out, p, f->path, f->form, f->scale);
    if (never > 0 && strncmp(f->path, "freshness_s.p", 13) == 0 && strcmp(out, "–") == 0)
        snprintf(out, WORD_BYTES, "never");
    return out;
}

static void tables_agree(const char *file, const struct table *tables, size_t count, bool page)
{
    char *text = get(file);
    const json_t *p;
    size_t i, compared = 0;
    for (size_t t = 0; t < count; t++) {
        const char *table = strstr(text, tables[t].heading);
        assert_non_null(table);
        json_array_foreach(json_object_get(report, "pipelines"), i, p)
        {
            char key[CELL_BYTES], cells[CELLS_MAX][CELL_BYTES], want[WORD_BYTES];
            snprintf(key, sizeof key, page ? "</span>%s<span" : "\n| %s |",
                     tm_word_text(p, "name", "?"));
            const char *row = strstr(table, key);
            assert_non_null(row);
            const char *end = strchr(row + 1, '\n');
            size_t n = row_cells(row + (page ? 0 : 3), end, page, cells);
            for (const struct figure *f = tables[t].figures; f->path != NULL; f++) {
                assert_true((size_t)f->column < n);
                trimmed(cells[f->column]);
                if (strcmp(cells[f->column], said(want, p, f)) != 0)
                    fail_msg("%s, %s, %s: \"%s\", and report.json has \"%s\"", file,
                             tm_word_text(p, "name", "?"), f->path, cells[f->column], want);
                compared++;
            }
        }
    }
    assert_true(compared >= 2 * 20);
    free(text);
}

static void tables_of_text_and_page_have_the_figures_of_report_json(void **state)
{
    (void)state;
    tables_agree("report.md", in_markdown, sizeof in_markdown / sizeof in_markdown[0], false);
    tables_agree("report.html", in_page, sizeof in_page / sizeof in_page[0], true);
}

/* The page's curves: percent of changes by age at grid points; a percentile lies where its curve
 * crosses. */
static double curve_at_most(const json_t *x, const json_t *y, double percent)
{
    const json_t *v;
    size_t i;
    json_array_foreach(y, i, v) if (json_number_value(v) >= percent) return json_number_value(
        json_array_get(x, i));
    return INFINITY;
}

static void curves_of_the_page_cross_where_the_tables_percentiles_are(void **state)
{
    (void)state;
    char *page = get("report.html");
    const char *at = strstr(page, "id=\"data\">");
    assert_non_null(at);
    json_t *data = json_loads(at + strlen("id=\"data\">"), JSON_DISABLE_EOF_CHECK, NULL);
    const json_t *fresh = json_object_get(data, "freshness"), *p, *v;
    size_t i, k;
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        double p50 = 0, peak = 0, highest = 0;
        const json_t *y = json_array_get(json_object_get(fresh, "y"), i);
        assert_string_equal(
            tm_word_text(p, "name", "?"),
            tm_word_text(json_array_get(json_object_get(data, "pipelines"), i), "name", "!"));
        assert_true(tm_word_number(p, "freshness_s.p50", &p50));
        double crosses = curve_at_most(json_object_get(fresh, "x"), y, 50);
        if (!(crosses >= p50 && crosses <= p50 * 1.07)) /* points lie 6 % apart */
            fail_msg("%s: p50 is %g s, its curve reaches 50 %% at %g s",
                     tm_word_text(p, "name", "?"), p50, crosses);
        assert_true(tm_word_number(p, "drift.peak_rows", &peak));
        json_array_foreach(
            json_array_get(json_object_get(json_object_get(data, "drift"), "y"), i), k, v) highest =
            fmax(highest, json_number_value(v));
        assert_true(fabs(highest - peak) < .5);
    }
    json_decref(data);
    free(page);
}

static void trend_tools_get_the_figures_of_report_json_unrounded(void **state)
{
    static const char *const figures[][2] = {
        { "freshness_s.p50", "freshness-p50" },     { "freshness_s.p99", "freshness-p99" },
        { "freshness_s.never", "never-shown" },     { "work_ms.p50", "work-p50" },
        { "work_ms.p99", "work-p99" },              { "drift.final_rows", "rows-wrong-at-the-end" },
        { "drift.peak_rows", "rows-wrong-peak" },   { "drift.row_seconds", "rows-wrong-seconds" },
        { "lost_history.states", "lost-states" },   { "cost.api_calls", "api-calls" },
        { "cost.bytes", "bytes" },
    };
    (void)state;
    char *bencher = get("bencher.json"), *action = get("benchmark.json"), name[SAY_BYTES];
    json_t *by_name = json_loads(bencher, 0, NULL), *list = json_loads(action, 0, NULL), *one;
    const json_t *p;
    size_t i, k;
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        snprintf(name, sizeof name, "%s/%s", tm_word_text(report, "scenario", "?"),
                 tm_word_text(p, "name", "?"));
        for (size_t f = 0; f < sizeof figures / sizeof figures[0]; f++) {
            double want = NAN, got = NAN, flat = NAN;
            char path[SAY_BYTES], full[2 * SAY_BYTES];
            tm_word_number(p, figures[f][0], &want);
            snprintf(path, sizeof path, "%s.value", figures[f][1]);
            tm_word_number(json_object_get(by_name, name), path, &got);
            snprintf(full, sizeof full, "%s/%s", name, figures[f][1]);
            json_array_foreach(list, k, one) if (strcmp(tm_word_text(one, "name", ""), full) == 0)
                tm_word_number(one, "value", &flat);
            /* "never" is no number: such a figure is left out of both */
            if (isnan(want) ? !isnan(got) || !isnan(flat)
                            : !(fabs(got - want) <= 1e-9 * fabs(want)) || got != flat)
                fail_msg("%s: report.json %.15g, Bencher %.15g, benchmark %.15g", full, want, got,
                         flat);
        }
    }
    json_decref(by_name);
    json_decref(list);
    free(bencher);
    free(action);
}

static void junit_counts_the_self_tests_and_pipelines_and_fails_those_that_failed(void **state)
{
    (void)state;
    char *xml = get("junit.xml"), head[SAY_BYTES];
    const json_t *t;
    size_t i, tests = json_array_size(json_object_get(report, "self_tests")), broken = 0;
    json_array_foreach(json_object_get(report, "self_tests"), i, t) broken +=
        !json_is_true(json_object_get(t, "ok"));
    assert_int_equal(broken, 0);
    assert_string_equal(tm_word_text(report, "verdict", ""), "pass");
    tests += 1 + json_array_size(json_object_get(report, "pipelines"));
    snprintf(head, sizeof head, "tests=\"%zu\" failures=\"0\" errors=\"0\"", tests);
    assert_non_null(strstr(xml, head));
    free(xml);
}

static double asked(sqlite3 *db, const char *sql, const char *pipeline)
{
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    sqlite3_bind_text(stmt, 1, pipeline, -1, SQLITE_STATIC);
    double v = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_double(stmt, 0) : NAN;
    sqlite3_finalize(stmt);
    return v;
}

/* Nearest rank, of a pipeline that half of all changes reached. */
#define MEDIAN                                                                                     \
    "SELECT freshness_ms / 1000 FROM sample WHERE pipeline = ?1 ORDER BY censored, freshness_ms "  \
    "LIMIT 1 OFFSET (SELECT (COUNT(*) - 1) / 2 FROM sample WHERE pipeline = ?1)"

static void samples_of_run_db_come_to_the_figures_of_report_json(void **state)
{
    static const struct {
        const char *path, *sql;
        double within; /* of itself */
    } figures[] = {
        { "freshness_s.count", "SELECT COUNT(*) FROM sample WHERE pipeline = ?", 0 },
        { "freshness_s.unseen", "SELECT SUM(censored) FROM sample WHERE pipeline = ?", 0 },
        { "freshness_s.p50", MEDIAN, 1e-6 },
        { "freshness_s.max",
          "SELECT MAX(freshness_ms) / 1000 FROM sample WHERE pipeline = ? AND NOT censored", 1e-6 },
        { "drift.final_rows", "SELECT COUNT(*) FROM final_diff WHERE pipeline = ?", 0 },
        { "drift.phantom",
          "SELECT COUNT(*) FROM final_diff WHERE pipeline = ? AND class = 'phantom'", 0 },
        { "drift.peak_rows",
          "SELECT MAX(rows) FROM curve WHERE pipeline = ? AND class = 'differing_max'", 0 },
        { "at_commits.peak_rows", "SELECT MAX(differing) FROM at_commit WHERE pipeline = ?", 0 },
        { "anomalies.phantom.count",
          "SELECT count FROM anomaly WHERE pipeline = ? AND anomaly = 'phantom'", 0 },
    };
    char path[128];
    sqlite3 *db = NULL;
    const json_t *p;
    size_t i;
    (void)state;
    snprintf(path, sizeof path, "%s/run/run.db", folder);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    json_array_foreach(json_object_get(report, "pipelines"), i, p) for (size_t f = 0;
                                                                        f < sizeof figures /
                                                                                sizeof figures[0];
                                                                        f++)
    {
        const char *name = tm_word_text(p, "name", "?");
        double want = NAN, got = asked(db, figures[f].sql, name);
        assert_true(tm_word_number(p, figures[f].path, &want));
        if (isnan(got) && want == 0)
            continue; /* no row: none */
        if (!(fabs(got - want) <= figures[f].within * fabs(want)))
            fail_msg("%s, %s: report.json %.15g, run.db %.15g", name, figures[f].path, want, got);
    }
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_of_text_and_page_have_the_figures_of_report_json),
        cmocka_unit_test(curves_of_the_page_cross_where_the_tables_percentiles_are),
        cmocka_unit_test(trend_tools_get_the_figures_of_report_json_unrounded),
        cmocka_unit_test(junit_counts_the_self_tests_and_pipelines_and_fails_those_that_failed),
        cmocka_unit_test(samples_of_run_db_come_to_the_figures_of_report_json),
    };
    return cmocka_run_group_tests(tests, stand, no_stand);
}
