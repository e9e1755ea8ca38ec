/* unit_report: a report told as a page, as text and as JUnit: complete, self-contained, and safe
 * against names. */
#include "reports/report.h"
#include "base/sql.h"
#include <expat.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "reports/words.h"

static char dir[64];

static int folder(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/unit_report.%ld", (long)getpid());
    return mkdir(dir, 0700);
}

static int no_folder(void **state)
{
    (void)state;
    const char *const names[] = { "report.json", "report.html",  "report.md",
                                  "junit.xml",   "bencher.json", "benchmark.json",
                                  "run.db",      "run.db-wal",   "run.db-shm" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    return rmdir(dir);
}

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static char *get(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char *text = calloc(1, 4u << 20);
    size_t n = fread(text, 1, (4u << 20) - 1, f);
    fclose(f);
    assert_true(n > 0);
    return text;
}

static json_t *pipeline(const char *name, const char *kind, double p50, int never, int phantom)
{
    return json_pack(
        "{s:s, s:s, s:{s:f,s:f,s:f,s:f}, s:{s:f,s:f,s:f,s:f,s:f}, s:{s:i,s:f,s:f,s:f,s:f,s:f,s:i},"
        " s:{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}, s:{s:i,s:f}, s:{s:[s,s],s:[s]}, "
        "s:{s:i,s:i,s:i,s:f,s:i,s:f}}",
        "name", name, "kind", kind, "wait_s", "p50", p50, "p90", p50 * 2, "p99", p50 * 3, "max",
        p50 * 4, "work_ms", "p50", 17.0, "p90", 20.0, "p99", 30.0, "p99_9", 40.0, "max", 50.0,
        "freshness_s", "count", 5000, "p50", p50, "p90", p50 * 2, "p99", p50 * 3, "p99_9",
        p50 * 3.5, "max", p50 * 4, "never", never, "drift", "final_rows", phantom, "peak_rows",
        4321, "row_seconds", 7200, "missing", 0, "phantom", phantom, "stale", 0, "mixed", 0,
        "wrong", 0, "dirty", 0, "lost_history", "states", 120, "share", 0.024, "coverage",
        "compared", "Name", "Amount", "left_out", "SystemModstamp", "cost", "api_calls", 321,
        "events", 0, "bytes", 123456, "cpu_s", 1.5, "rss_peak_bytes", 10000000, "query_ms", 2.5);
}

static json_t *sample(const char *hostile)
{
    return json_pack(
        "{s:s, s:s, s:i, s:s, s:[s,s], s:{s:i,s:s,s:i}, s:{s:i,s:f}, "
        "s:[{s:s,s:b,s:f,s:f},{s:s,s:b,s:f,s:f}],"
        " s:[o,o,o]}",
        "tidemark", "1", "scenario", "day", "seed", 7, "verdict", "fail", "reasons",
        "batch-naive: 85 deleted rows are still shown", hostile, "environment", "cpus", 2, "kafka",
        "embedded", "compress", 360, "offered", "changes", 5000, "per_second", 20.5, "self_tests",
        "name", "poll visibility equals its closed form", "ok", 1, "expected", 1.5, "measured", 1.5,
        "name", "latency integral", "ok", 0, "expected", 2.0, "measured", 3.0, "pipelines",
        pipeline("stream-view", "stream", 0.021, 0, 0),
        pipeline("batch-naive", "batch", 7200, 85, 85), pipeline(hostile, "batch", 150, 1, 0));
}

static void render(json_t *report)
{
    struct tm_err err = { .code = TM_OK };
    char *text = json_dumps(report, JSON_INDENT(1));
    put("report.json", text);
    free(text);
    json_decref(report);
    if (tm_report_render(dir, &err) != TM_OK)
        fail_msg("%s %s", err.ctx, err.msg);
}

static enum tm_code render_text(const char *text, struct tm_err *err)
{
    *err = (struct tm_err){ .code = TM_OK };
    put("report.json", text);
    return tm_report_render(dir, err);
}

static void trend_tools_get_one_value_a_figure_in_their_own_forms(void **state)
{
    (void)state;
    render(sample("other"));
    char *bencher = get("bencher.json"), *action = get("benchmark.json");
    json_t *b = json_loads(bencher, 0, NULL), *a = json_loads(action, 0, NULL), *one, *metric;
    const char *name, *measure;
    size_t i, values = 0;
    assert_int_equal(json_object_size(b), 3);
    json_t *naive = json_object_get(b, "day/batch-naive");
    assert_true(
        json_number_value(json_object_get(json_object_get(naive, "never-shown"), "value")) == 85);
    json_object_foreach(b, name, one) json_object_foreach(one, measure, metric)
    {
        values++;
        assert_true(strlen(measure) <= 64 &&
                    strspn(measure, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(measure));
        assert_true(json_is_number(json_object_get(metric, "value")));
    }
    assert_int_equal(json_array_size(a), values);
    json_array_foreach(a, i, one)
    {
        assert_true(json_is_string(json_object_get(one, "name")));
        assert_true(json_is_string(json_object_get(one, "unit")));
        assert_true(json_is_number(json_object_get(one, "value")));
    }
    json_decref(a);
    json_decref(b);
    free(bencher);
    free(action);
}

/* A quarter of a day: everything counts four times. */
static void a_days_cost_stands_among_the_findings_with_its_share_of_what_is_granted(void **state)
{
    (void)state;
    json_t *report = sample("other");
    json_t *p = json_array_get(json_object_get(report, "pipelines"), 0);
    json_object_set_new(report, "clock",
                        json_pack("{s:i, s:i, s:i}", "start_ms", 0, "end_ms", 6 * 3600 * 1000,
                                  "index_lag_ms", 5000));
    json_object_set_new(p, "objects", json_pack("[s,s,s]", "Account", "Opportunity", "User"));
    json_object_set_new(json_object_get(p, "cost"), "events", json_integer(5000));
    render(report);
    char *html = get("report.html"), *text = get("report.md");
    const char *told = strstr(html, "1,284 API calls (1.3 % of the 100,000");
    assert_non_null(told);
    assert_non_null(strstr(text, "20,000 delivered events (40 % of Unlimited"));
    assert_non_null(strstr(html, "864 calls at least"));
    assert_true(told < strstr(html, "<table>"));
    free(html);
    free(text);
    render(sample("other")); /* no clock, no sentence */
    html = get("report.html");
    assert_null(strstr(html, "A whole day at this rate"));
    free(html);
}

static json_t *open_amount(double off, double shown)
{
    return json_pack(
        "{s:s, s:[s,s], s:[i,i], s:[[f,f],[f,f]], s:[[f,f],[f,f]], s:f, s:f, s:f, s:s, "
        "s:f, s:f, s:f}",
        "object", "Opportunity", "stages", "Prospecting", "Qualification", "org_ms", 0, 60000,
        "org", 100.0, 200.0, 150.4, 200.0, "shown", 100.0, 200.0, shown, 200.0, "org_peak",
        32100000.0, "peak_error", 450000.0, "peak_error_share", 0.014, "peak_stage", "Prospecting",
        "peak_stage_error", 440000.0, "off_share", off, "final_error", 0.0);
}

static void the_open_pipeline_is_told_in_a_sentence_a_table_and_a_chart(void **state)
{
    (void)state;
    json_t *report = sample("other");
    json_object_set_new(json_array_get(json_object_get(report, "pipelines"), 0), "open_amount",
                        open_amount(0.05, 150.4));
    json_object_set_new(json_array_get(json_object_get(report, "pipelines"), 1), "open_amount",
                        open_amount(0.75, 100));
    render(report);
    char *html = get("report.html"), *text = get("report.md");
    static const char told[] =
        "Of the open pipeline (amount by stage, at most 32.1 million), stream-view showed some "
        "stage wrong by more than 1 % for 5 % of the time, the total by at most 450 thousand "
        "(1.4 %); batch-naive showed some stage wrong by more than 1 % for 75 % of the time";
    assert_non_null(strstr(html, told));
    assert_non_null(strstr(text, told));
    assert_non_null(strstr(html, "<td class=\"words\">Prospecting</td><td>440 thousand</td>"));
    assert_non_null(strstr(html, "id=\"amount\""));
    /* by stage, by point; whoever shows none is null */
    assert_non_null(strstr(html, "\"amount\":{\"x\":[0,60],\"stages\":[\"Prospecting\","
                                 "\"Qualification\"],\"org\":[[100,150],[200,200]],\"y\":"
                                 "[[[100,150],[200,200]],[[100,100],[200,200]],null]}"));
    free(html);
    free(text);
    render(sample("other"));
    html = get("report.html");
    assert_null(strstr(html, "id=\"amount\""));
    assert_null(strstr(html, "open pipeline"));
    free(html);
}

static void page_shows_the_verdict_and_its_reason_before_everything_else(void **state)
{
    (void)state;
    render(sample("other"));
    char *html = get("report.html");
    const char *verdict = strstr(html, "Failed."),
               *reason = strstr(html, "85 deleted rows are still shown");
    assert_non_null(verdict);
    assert_true(verdict < reason && reason < strstr(html, "<table>"));
    free(html);
}

static void page_and_text_name_every_pipeline_and_its_figures(void **state)
{
    (void)state;
    render(sample("other"));
    char *html = get("report.html"), *md = get("report.md");
    const char *const words[] = { "stream-view", "batch-naive", "other", "4,321", "2 h", "21 ms" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        assert_non_null(strstr(html, words[i]));
        assert_non_null(strstr(md, words[i]));
    }
    assert_non_null(strstr(html, "latency integral"));
    assert_non_null(strstr(html, "SystemModstamp"));
    assert_non_null(strstr(html, "embedded"));
    assert_non_null(strstr(md, "**broken**: latency integral"));
    free(html);
    free(md);
}

/* Nothing is loaded from anywhere: no attribute, style or script of the page names
 * another place. */
static void page_is_self_contained(void **state)
{
    (void)state;
    render(sample("other"));
    char *html = get("report.html");
    const char *const loads[] = { "src=",    "href=",          "url(http", "@import",
                                  "fetch(",  "XMLHttpRequest", "import(",  "<link",
                                  "<iframe", "sendBeacon",     "WebSocket" };
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++)
        if (strstr(html, loads[i]) != NULL)
            fail_msg("the page has %s", loads[i]);
    assert_non_null(strstr(html, "default-src 'none'"));
    assert_non_null(strstr(html, "var uPlot="));
    assert_null(strstr(html, "{{"));
    free(html);
}

static void hostile_names_are_shown_and_do_nothing(void **state)
{
    (void)state;
    render(sample("</script><img onerror=alert(1)>\"'&| `x`"));
    char *html = get("report.html"), *md = get("report.md");
    assert_null(strstr(html, "<img"));
    assert_null(strstr(html, "</script><"));
    assert_non_null(strstr(html, "&lt;/script&gt;&lt;img onerror=alert(1)&gt;&quot;&#39;&amp;"));
    assert_non_null(strstr(html, "\\u003c/script\\u003e"));
    assert_non_null(strstr(md, "\\</script\\>\\<img"));
    assert_non_null(strstr(md, "&\\| \\`x\\`"));
    free(html);
    free(md);
}

static void data_of_the_charts_is_json_and_has_a_curve_for_each_pipeline(void **state)
{
    (void)state;
    render(sample("</script>"));
    char *html = get("report.html");
    char *from = strstr(html, "id=\"data\">") + 10, *to = strstr(from, "</script>");
    json_t *data = json_loadb(from, (size_t)(to - from), 0, NULL);
    assert_non_null(data);
    json_t *x = json_object_get(json_object_get(data, "freshness"), "x"),
           *y = json_object_get(json_object_get(data, "freshness"), "y");
    assert_int_equal(json_array_size(json_object_get(data, "pipelines")), 3);
    assert_int_equal(json_array_size(y), 3);
    assert_true(json_array_size(x) > 100);
    for (size_t i = 0; i < 3; i++) {
        double last = 0;
        assert_int_equal(json_array_size(json_array_get(y, i)), json_array_size(x));
        for (size_t k = 0; k < json_array_size(x); k++) {
            const json_t *v = json_array_get(json_array_get(y, i), k);
            if (json_is_null(v))
                continue;
            assert_true(json_number_value(v) >= last);
            last = json_number_value(v);
        }
        assert_true(i == 1 ? last < 99 : last > 99.9); /* 85 of 5,085 were never shown */
    }
    json_decref(data);
    free(html);
}

struct junit_seen {
    int cases, failures, errors;
    char first[200];
};

static void XMLCALL junit_start(void *data, const XML_Char *name, const XML_Char **atts)
{
    struct junit_seen *s = data;
    s->cases += strcmp(name, "testcase") == 0;
    s->failures += strcmp(name, "failure") == 0;
    s->errors += strcmp(name, "error") == 0;
    for (; strcmp(name, "failure") == 0 && s->first[0] == '\0' && *atts != NULL; atts += 2)
        snprintf(s->first, sizeof s->first, "%s", atts[1]);
}

static void junit_is_well_formed_and_counts_what_failed(void **state)
{
    (void)state;
    struct junit_seen seen = { 0 };
    render(sample("<&>\"\x01\n]]>"));
    char *xml = get("junit.xml");
    XML_Parser p = XML_ParserCreate(NULL);
    XML_SetUserData(p, &seen);
    XML_SetStartElementHandler(p, junit_start);
    if (XML_Parse(p, xml, (int)strlen(xml), 1) != XML_STATUS_OK)
        fail_msg("junit.xml: %s", XML_ErrorString(XML_GetErrorCode(p)));
    XML_ParserFree(p);
    assert_int_equal(seen.cases, 1 + 2 + 3);
    assert_true(seen.failures >= 2 &&
                seen.errors == 1); /* the run and batch-naive; the broken self-test */
    assert_string_equal(seen.first, "batch-naive: 85 deleted rows are still shown");
    free(xml);
}

static void incomplete_reports_are_refused_with_the_missing_key(void **state)
{
    (void)state;
    struct tm_err err;
    assert_int_equal(render_text("{", &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "report.json"));
    assert_int_equal(render_text("{\"tidemark\":\"1\",\"reasons\":[],\"pipelines\":[]}", &err),
                     TM_E_ARG);
    assert_non_null(strstr(err.msg, "\"verdict\""));
    assert_int_equal(
        render_text("{\"tidemark\":\"2\",\"verdict\":\"pass\",\"reasons\":[],\"pipelines\":[]}",
                    &err),
        TM_E_ARG);
    assert_non_null(strstr(err.msg, "format \"2\""));
    assert_int_equal(
        render_text("{\"tidemark\":\"1\",\"verdict\":\"maybe\",\"reasons\":[],\"pipelines\":[]}",
                    &err),
        TM_E_ARG);
    assert_int_equal(render_text("{\"tidemark\":\"1\",\"verdict\":\"pass\",\"reasons\":[],"
                                 "\"pipelines\":[{\"name\":\"x\","
                                 "\"kind\":\"batch\",\"drift\":{}}]}",
                                 &err),
                     TM_E_ARG);
    assert_non_null(strstr(err.msg, "pipelines[0] (x) lacks \"freshness_s\""));
    err = (struct tm_err){ .code = TM_OK };
    assert_int_equal(tm_report_render("/nonexistent/run", &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "/nonexistent/run/report.json"));
}

static void figures_that_were_not_measured_are_dashes_not_zeros(void **state)
{
    (void)state;
    struct tm_err err;
    assert_int_equal(
        render_text("{\"tidemark\":\"1\",\"scenario\":\"x\",\"verdict\":\"pass\",\"reasons\":[],"
                    "\"pipelines\":[{\"name\":"
                    "\"p\",\"kind\":\"stream\",\"freshness_s\":{\"p50\":null},\"drift\":{}}]}",
                    &err),
        TM_OK);
    char *md = get("report.md");
    assert_non_null(strstr(md, "| p | – | – |"));
    assert_non_null(strstr(md, "# Passed: tidemark x"));
    free(md);
}

static void deletes_that_were_missed_are_named(void **state)
{
    (void)state;
    json_t *report = sample("other"),
           *naive = json_array_get(json_object_get(report, "pipelines"), 1);
    json_object_set_new(naive, "phantoms",
                        json_pack("{s:i, s:[{s:s,s:s,s:I}]}", "count", 85, "examples", "object",
                                  "Opportunity", "id", "006000000000017AAA", "deleted_org_ms",
                                  (json_int_t)1772441000000));
    json_object_set_new(naive, "examples",
                        json_pack("[{s:s,s:s,s:s,s:s,s:[{s:s,s:s,s:n}]}]", "object", "Account",
                                  "id", "001000000000003AAA", "class", "stale", "first_change",
                                  "UPDATE", "fields", "field", "Name", "expected", "new <name>",
                                  "shown"));
    render(report);
    char *html = get("report.html"), *md = get("report.md");
    assert_non_null(strstr(html, "batch-naive missed 85 deletes"));
    assert_non_null(strstr(html, "006000000000017AAA"));
    assert_non_null(strstr(html, "new &lt;name&gt;"));
    assert_non_null(strstr(md, "missed 85 deletes: Opportunity 006000000000017AAA"));
    assert_non_null(strstr(md, "stale Account 001000000000003AAA, field Name, since its UPDATE"));
    free(html);
    free(md);
}

/* Every pipeline of the sample: one phantom with an example, transactions not measured. */
static json_t *with_anomalies(void)
{
    json_t *report = sample("other"), *p;
    size_t i;
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        json_object_set_new(
            p, "anomalies",
            json_pack("{s:{s:i,s:s,s:{s:s,s:s,s:i,s:s,s:s}},s:{s:n,s:s,s:n}}", "phantom", "count",
                      i == 1 ? 1234 : 0, "when", "end", "example", "object", "Account", "id",
                      "001000000000009AAA", "pos", 5, "at", "2026-03-02T09:00:00.000Z", "change",
                      "DELETE", "torn_transaction", "count", "when", "during", "example"));
        json_object_set_new(p, "t_visibility", json_pack("[[f,f],[f,f]]", 1.0, 0.25, 60.0, 0.99));
        json_object_set_new(p, "read_weighted",
                            json_pack("{s:f,s:f}", "age_s", 2.0, "stale", 0.12));
        json_object_set_new(p, "audits",
                            json_pack("{s:i,s:f,s:i,s:i,s:i}", "count", 4, "interval_s", 20.0,
                                      "rows", 500, "left_out", 1, "differing", 0));
    }
    return report;
}

static void what_went_wrong_is_a_table_of_names_with_the_smallest_example_of_each(void **state)
{
    (void)state;
    render(with_anomalies());
    char *html = get("report.html"), *md = get("report.md");
    const char *matrix = strstr(html, "<h2>What went wrong, by name</h2>");
    assert_non_null(matrix);
    assert_non_null(strstr(matrix,
                           "<td>phantom</td><td class=\"zero\">0</td>"
                           "<td class=\"bad\"><a href=\"#example-1-phantom\">1,234</a></td><td "
                           "class=\"zero\">0</td>"));
    assert_non_null(strstr(matrix, "<td>torn transaction</td><td class=\"zero\">–</td>"));
    assert_non_null(strstr(matrix, "001000000000009AAA"));
    assert_non_null(strstr(md, "| phantom | 0 | 1,234 | 0 |"));
    assert_null(strstr(md, "| torn transaction |"));
    assert_non_null(strstr(md, "Not measured in this run: torn transaction"));
    assert_non_null(strstr(html, "<td>25 %</td>"));
    assert_non_null(strstr(html, "<td>12 %</td>"));
    assert_non_null(strstr(html, "every 20 s"));
    assert_non_null(strstr(html, "12 reads, 1,500 rows, 0 of them not as followed"));
    free(html);
    free(md);
    render(sample("other")); /* an older report has none of it */
    html = get("report.html");
    assert_null(strstr(html, "What went wrong, by name"));
    assert_null(strstr(html, "t-visibility"));
    free(html);
}

static void every_cause_names_its_station_its_rule_and_the_evidence(void **state)
{
    (void)state;
    json_t *report = sample("other");
    json_t *p = json_array_get(json_object_get(report, "pipelines"), 0);
    json_object_set_new(
        p, "causes",
        json_pack("[{s:s,s:s,s:s,s:b,s:i,s:{s:s,s:s,s:i,s:s}},{s:s,s:n,s:n,s:b,s:i,s:{s:s,s:s,s:n,"
                  "s:s}}]",
                  "cause", "not_asked", "station", "gap", "rule", "R8", "known", 1, "rows", 12,
                  "example", "object", "Account", "id", "001000000000009AAA", "pos", 5, "because",
                  "came as <GAP_UPDATE>", "cause", "not_known", "station", "rule", "known", 0,
                  "rows", 1, "example", "object", "Account", "id", "001000000000008AAA", "pos",
                  "because", "evidence missing"));
    render(report);
    char *html = get("report.html"), *md = get("report.md");
    const char *table = strstr(html, "<h2>Why they differ</h2>");
    assert_non_null(table);
    assert_non_null(strstr(table, "<td>12</td><td class=\"words\">a gap nobody asked about</td><td "
                                  "class=\"words\">gap</td><td class=\"words\">R8</td>"));
    assert_non_null(strstr(table, "came as &lt;GAP_UPDATE&gt;"));
    assert_non_null(strstr(table, "<td class=\"words\">not known</td>"));
    assert_non_null(strstr(table, "<code>tidemark why "));
    assert_non_null(
        strstr(md, "| 12 | a gap nobody asked about | gap | R8 | Account "
                   "001000000000009AAA: came as \\<GAP\\_UPDATE\\> Told by: tidemark why "));
    assert_non_null(strstr(md, " Account/001000000000009AAA |"));
    assert_non_null(strstr(md, "| 1 | not known: evidence missing | not known | – |"));
    free(html);
    free(md);
}

static void a_self_test_of_nothing_is_neither_good_nor_bad(void **state)
{
    (void)state;
    json_t *report = sample("other"), *tests = json_array();
    json_array_append_new(tests, json_pack("{s:s,s:n,s:b,s:f,s:f}", "name", "lost states", "ok",
                                           "exercised", 0, "expected", 0.0, "measured", 0.0));
    json_object_set_new(report, "self_tests", tests);
    render(report);
    char *html = get("report.html"), *md = get("report.md"), *xml = get("junit.xml");
    assert_non_null(strstr(html, "nothing to test"));
    assert_null(strstr(html, ">holds<"));
    assert_null(strstr(html, ">broken<"));
    assert_non_null(strstr(md, "- nothing to test: lost states\n"));
    assert_non_null(strstr(xml, "skipped=\"1\""));
    assert_non_null(strstr(xml, "<skipped message=\"nothing to test\"/>"));
    free(html);
    free(md);
    free(xml);
}

static void text_counts_what_holds_and_shows_what_is_broken_before_it(void **state)
{
    (void)state;
    json_t *report = sample("other"), *tests = json_array();
    json_array_append_new(tests, json_pack("{s:s,s:b,s:f,s:f}", "name", "x: area", "ok", 1,
                                           "expected", 1.0, "measured", 1.0));
    json_array_append_new(tests, json_pack("{s:s,s:b,s:f,s:f}", "name", "x: legs", "ok", 0,
                                           "expected", 1.0, "measured", 2.0));
    json_object_set_new(report, "self_tests", tests);
    render(report);
    char *md = get("report.md");
    const char *count = strstr(md, "1 of 2 self-tests hold.\n"),
               *broken = strstr(md, "- **broken**: x: legs (expected 1, measured 2)\n"),
               *fold = strstr(md, "<details><summary>Each of them</summary>"),
               *holds = strstr(md, "- holds: x: area");
    assert_true(count != NULL && broken > count && fold > broken && holds > fold);
    free(md);
}

static void text_has_a_row_for_what_went_wrong_and_a_line_for_what_did_not(void **state)
{
    (void)state;
    json_t *report = with_anomalies(), *p;
    size_t i;
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
        json_object_set_new(json_object_get(p, "anomalies"), "duplicate",
                            json_pack("{s:i,s:s,s:n}", "count", 0, "when", "end", "example"));
    render(report);
    char *md = get("report.md");
    assert_non_null(strstr(md, "| phantom | 0 | 1,234 | 0 |"));
    assert_null(strstr(md, "| duplicate |"));
    assert_non_null(strstr(md, "In no pipeline: duplicate.\n"));
    free(md);
}

static void text_names_five_missed_deletes_and_says_where_the_rest_is(void **state)
{
    (void)state;
    json_t *report = sample("other"), *list = json_array(),
           *naive = json_array_get(json_object_get(report, "pipelines"), 1);
    for (int i = 0; i < 8; i++)
        json_array_append_new(list, json_pack("{s:s,s:o}", "object", "Opportunity", "id",
                                              json_sprintf("00600000000000%dAAA", i)));
    json_object_set_new(naive, "phantoms", json_pack("{s:i,s:o}", "count", 8, "examples", list));
    json_object_set_new(naive, "examples",
                        json_pack("[{s:s,s:s,s:s}]", "object", "Opportunity", "id",
                                  "006000000000000AAA", "class", "phantom"));
    render(report);
    char *md = get("report.md");
    assert_non_null(strstr(md, "006000000000004AAA … (all in run.db"));
    assert_null(strstr(md, "006000000000005AAA"));
    free(md);
}

static void polls_that_look_longer_than_they_are_are_told(void **state)
{
    (void)state;
    json_t *report = sample("other"),
           *naive = json_array_get(json_object_get(report, "pipelines"), 1);
    json_object_set_new(report, "clock", json_pack("{s:i}", "compress", 360));
    json_object_set_new(json_object_get(naive, "freshness_s"), "during_poll",
                        json_pack("{s:i,s:f,s:f}", "changes", 44, "p50", 8000.0, "p99", 9000.0));
    render(report);
    char *md = get("report.md");
    assert_non_null(strstr(md, "Without them: batch-naive (44 such) p50"));
    const char *once = strstr(md, "Polling looks a little fresher than it would be");
    assert_non_null(once);
    assert_null(strstr(once + 1, "Polling looks")); /* one sentence for all pipelines */
    assert_null(strstr(md, "never, not never"));
    free(md);
}

static json_t *chart(const char *html, const char *name, const char *axis)
{
    const char *from = strstr(html, "id=\"data\">") + 10, *to = strstr(from, "</script>");
    json_t *data = json_loadb(from, (size_t)(to - from), 0, NULL);
    json_t *found = json_incref(json_object_get(json_object_get(data, name), axis));
    json_decref(data);
    return found;
}

static void curves_come_from_every_sample_of_run_db(void **state)
{
    (void)state;
    char path[128];
    sqlite3 *db = NULL;
    struct tm_err err = { .code = TM_OK };
    snprintf(path, sizeof path, "%s/run.db", dir);
    assert_int_equal(tm_sql_open(&db, path, TM_SQL_CREATE, &err), TM_OK);
    assert_int_equal(
        tm_sql_exec(db,
                    "CREATE TABLE sample(pipeline TEXT, pos INTEGER, freshness_ms REAL);"
                    "CREATE TABLE curve(pipeline TEXT, org_ms INTEGER, class TEXT, flagged "
                    "INTEGER, rows REAL);"
                    "INSERT INTO sample VALUES('stream-view', 1, 10), ('stream-view', 2, 20), "
                    "('batch-naive', 1, 1000), ('batch-naive', 2, NULL);"
                    "INSERT INTO curve VALUES('batch-naive', 1000000, 'differing_max', 0, 3), "
                    "('batch-naive', 1000001, 'differing_max', 0, 7),"
                    "('batch-naive', 2000000, 'differing_max', 0, 0), ('batch-naive', 1500000, "
                    "'stale', 0, 99)",
                    &err),
        TM_OK);
    tm_sql_close(db);
    render(sample("other"));
    unlink(path);
    char *html = get("report.html");
    json_t *x = chart(html, "freshness", "x"), *y = chart(html, "freshness", "y"),
           *rows = chart(html, "drift", "y");
    double half_at = 0, naive_most = 0, peak = 0;
    for (size_t i = 0; i < json_array_size(x); i++) {
        double stream = json_number_value(json_array_get(json_array_get(y, 0), i));
        double naive = json_number_value(json_array_get(json_array_get(y, 1), i));
        if (stream >= 50 && half_at == 0)
            half_at = json_number_value(json_array_get(x, i));
        naive_most = naive > naive_most ? naive : naive_most;
    }
    for (size_t i = 0; i < json_array_size(json_array_get(rows, 1)); i++) {
        double v = json_number_value(json_array_get(json_array_get(rows, 1), i));
        peak = v > peak ? v : peak;
    }
    assert_true(half_at >= 0.01 && half_at < 0.011);
    assert_true(naive_most > 49.9 && naive_most < 50.1); /* the other half was never shown */
    assert_true(peak == 7);
    json_decref(x);
    json_decref(y);
    json_decref(rows);
    free(html);
}

static void a_percentile_that_falls_on_a_change_never_shown_says_never(void **state)
{
    (void)state;
    json_t *report = sample("other"),
           *naive = json_array_get(json_object_get(report, "pipelines"), 1);
    json_object_set_new(json_object_get(naive, "freshness_s"), "p99", json_null());
    render(report);
    char *md = get("report.md");
    assert_non_null(strstr(md, "| batch-naive | 2 h | 4 h | never |"));
    free(md);
}

static void a_harness_that_contradicts_itself_is_the_headline(void **state)
{
    (void)state;
    json_t *report = sample("other");
    json_object_set_new(report, "verdict", json_string("inconclusive"));
    json_object_set_new(report, "harness_ok", json_false());
    json_object_set_new(report, "clock",
                        json_pack("{s:i, s:i}", "publish_delay_ms", 2000, "index_lag_ms", 5000));
    render(report);
    char *html = get("report.html"), *md = get("report.md");
    assert_non_null(strstr(
        html,
        "verdict fail\">\n<p class=\"say\"><span class=\"word\">The harness contradicts itself."));
    assert_non_null(strstr(md, "an event is published 2 s after its commit"));
    assert_non_null(strstr(md, "batch-naive ends with 85 rows that Salesforce no longer has"));
    free(html);
    free(md);
}

static void words_have_units_people_use(void **state)
{
    (void)state;
    char w[WORD_BYTES];
    assert_string_equal(tm_word_span(w, 0), "0 s");
    assert_string_equal(tm_word_span(w, 0.00042), "420 µs");
    assert_string_equal(tm_word_span(w, 0.0042), "4.2 ms");
    assert_string_equal(tm_word_span(w, 0.25), "250 ms");
    assert_string_equal(tm_word_span(w, -0.25), "-250 ms");
    assert_string_equal(tm_word_span(w, 150), "2.5 min");
    assert_string_equal(tm_word_span(w, 14400), "4 h");
    assert_string_equal(tm_word_count(w, 1234567), "1,234,567");
    assert_string_equal(tm_word_count(w, -999), "-999");
    assert_string_equal(tm_word_bytes(w, 1400000), "1.4 MB");
    assert_string_equal(tm_word_share(w, 0.124), "12.4 %");
    assert_string_equal(tm_word_share(w, 0.00001), "< 0.01 %");
}

static void a_pipeline_of_somebody_else_says_what_is_not_measured(void **state)
{
    (void)state;
    json_t *report = sample("other");
    json_t *p = json_array_get(json_object_get(report, "pipelines"), 0);
    render(sample("other"));
    char *html = get("report.html");
    assert_null(strstr(html, "Pipelines of somebody else"));
    free(html);
    json_object_set_new(
        p, "runs",
        json_pack("{s:i, s:i, s:i, s:i}", "started", 21, "failed", 3, "killed", 1, "skipped", 4));
    json_object_set_new(p, "not_measured", json_pack("[s]", "Its <stations>: unseen."));
    render(report);
    html = get("report.html");
    char *text = get("report.md");
    assert_non_null(strstr(html, "Its &lt;stations&gt;: unseen."));
    assert_non_null(strstr(text, "21 starts, 3 failed, 1 of them killed"));
    assert_non_null(strstr(text, "## Pipelines of somebody else"));
    free(html);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trend_tools_get_one_value_a_figure_in_their_own_forms),
        cmocka_unit_test(a_days_cost_stands_among_the_findings_with_its_share_of_what_is_granted),
        cmocka_unit_test(the_open_pipeline_is_told_in_a_sentence_a_table_and_a_chart),
        cmocka_unit_test(page_shows_the_verdict_and_its_reason_before_everything_else),
        cmocka_unit_test(page_and_text_name_every_pipeline_and_its_figures),
        cmocka_unit_test(page_is_self_contained),
        cmocka_unit_test(hostile_names_are_shown_and_do_nothing),
        cmocka_unit_test(data_of_the_charts_is_json_and_has_a_curve_for_each_pipeline),
        cmocka_unit_test(junit_is_well_formed_and_counts_what_failed),
        cmocka_unit_test(incomplete_reports_are_refused_with_the_missing_key),
        cmocka_unit_test(figures_that_were_not_measured_are_dashes_not_zeros),
        cmocka_unit_test(deletes_that_were_missed_are_named),
        cmocka_unit_test(a_self_test_of_nothing_is_neither_good_nor_bad),
        cmocka_unit_test(text_counts_what_holds_and_shows_what_is_broken_before_it),
        cmocka_unit_test(text_has_a_row_for_what_went_wrong_and_a_line_for_what_did_not),
        cmocka_unit_test(text_names_five_missed_deletes_and_says_where_the_rest_is),
        cmocka_unit_test(polls_that_look_longer_than_they_are_are_told),
        cmocka_unit_test(curves_come_from_every_sample_of_run_db),
        cmocka_unit_test(a_percentile_that_falls_on_a_change_never_shown_says_never),
        cmocka_unit_test(a_harness_that_contradicts_itself_is_the_headline),
        cmocka_unit_test(what_went_wrong_is_a_table_of_names_with_the_smallest_example_of_each),
        cmocka_unit_test(every_cause_names_its_station_its_rule_and_the_evidence),
        cmocka_unit_test(a_pipeline_of_somebody_else_says_what_is_not_measured),
        cmocka_unit_test(words_have_units_people_use),
    };
    return cmocka_run_group_tests(tests, folder, no_folder);
}
