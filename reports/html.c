/* html: the report as one page that needs nothing but itself. Tables are made here; the charts are
 * drawn by the page. */
#include "base/text.h"
#include "reports/html_inner.h"
#include "reports/page.h"
#include "reports/report.h"
#include "reports/words.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef const char *html_form(char *, double);

void tm_html_text(struct tm_buf *b, const char *text)
{
    for (; *text != '\0'; text++)
        switch (*text) {
        case '&': tm_buf_addz(b, "&amp;"); break;
        case '<': tm_buf_addz(b, "&lt;"); break;
        case '>': tm_buf_addz(b, "&gt;"); break;
        case '"': tm_buf_addz(b, "&quot;"); break;
        case '\'': tm_buf_addz(b, "&#39;"); break;
        default: tm_buf_addc(b, *text);
        }
}

void tm_html_json(struct tm_buf *b, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9));
    for (const char *at = text; at != NULL && *at != '\0'; at++)
        if (*at == '<' || *at == '>' || *at == '&') /* in strings only */
            tm_buf_addf(b, "\\u%04x", (unsigned)*at);
        else
            tm_buf_addc(b, *at);
    free(text);
}

const json_t *tm_html_pipelines(const json_t *report)
{
    return json_object_get(report, "pipelines");
}

void tm_html_name(struct tm_buf *b, const json_t *p, size_t index)
{
    tm_buf_addf(b, "<td><span class=\"swatch\" data-pipeline=\"%zu\"></span>", index);
    tm_html_text(b, tm_word_text(p, "name", "?"));
    tm_buf_addz(b, "<span class=\"kind\">");
    tm_html_text(b, tm_word_text(p, "kind", ""));
    tm_buf_addz(b, "</span>");
    if (strcmp(tm_word_text(p, "verdict", ""), "fail") == 0)
        tm_buf_addz(b, " <span class=\"bad\" title=\"failed against its promises\">✗</span>");
    else if (strcmp(tm_word_text(p, "verdict", ""), "pass") == 0)
        tm_buf_addz(b, " <span class=\"good\" title=\"kept its promises\">✓</span>");
    tm_buf_addz(b, "</td>");
}

static void html_cell(struct tm_buf *b, const json_t *p, const char *path, html_form *form,
                      double scale, const char *class)
{
    char word[WORD_BYTES];
    tm_buf_addf(b, "<td class=\"%s\">%s</td>", class, tm_word_at(word, p, path, form, scale));
}

/* A count that should be nought: red when it is not. */
static void html_flaw(struct tm_buf *b, const json_t *p, const char *path, const char *class)
{
    double v = 0;
    char word[WORD_BYTES], all[60];
    bool there = tm_word_number(p, path, &v);
    snprintf(all, sizeof all, "%s %s", class, !there || v == 0 ? "zero" : "bad");
    tm_buf_addf(b, "<td class=\"%s\">%s</td>", all, there ? tm_word_count(word, v) : "–");
}

/* One cell of a pipeline's row. form NULL: a count that should be nought. */
struct html_column {
    const char *path;
    html_form *form;
    double scale;
    const char *class;
};

static void html_cells(struct tm_buf *b, const json_t *p, const struct html_column *columns,
                       size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (columns[i].form == NULL)
            html_flaw(b, p, columns[i].path, columns[i].class);
        else
            html_cell(b, p, columns[i].path, columns[i].form, columns[i].scale, columns[i].class);
}

#define HTML_COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A table of which every pipeline has a row of the same cells. */
static void html_rows(struct tm_buf *b, const json_t *report, const struct html_column *columns,
                      size_t count)
{
    const json_t *p;
    size_t i;
    json_array_foreach(tm_html_pipelines(report), i, p)
    {
        tm_buf_addz(b, "<tr>");
        tm_html_name(b, p, i);
        html_cells(b, p, columns, count);
        tm_buf_addz(b, "</tr>\n");
    }
}

/* ---- top ---- */

static void html_finding(void *data, const char *sentence)
{
    tm_buf_addz(data, "<li>");
    tm_html_text(data, sentence);
    tm_buf_addz(data, "</li>\n");
}

static void html_verdict(struct tm_buf *b, const json_t *report)
{
    const json_t *reasons = json_object_get(report, "reasons"), *reason;
    size_t i;
    tm_buf_addz(b, "<h1><b>tidemark</b> · ");
    tm_html_text(b, tm_word_text(report, "scenario", "a run"));
    const json_t *seed = json_object_get(report, "seed");
    if (json_is_integer(seed))
        tm_buf_addf(b, " · seed %lld", (long long)json_integer_value(seed));
    tm_buf_addf(
        b,
        "</h1>\n<section class=\"verdict %s\">\n<p class=\"say\"><span class=\"word\">%s.</span> ",
        json_is_false(json_object_get(report, "harness_ok")) ? "fail"
                                                             : tm_word_text(report, "verdict", ""),
        tm_word_verdict(report));
    const char *first = json_string_value(json_array_get(reasons, 0));
    tm_html_text(b, first != NULL ? first : "Every promise the pipelines made was kept.");
    tm_buf_addz(b, "</p>\n");
    if (json_array_size(reasons) > 1) {
        tm_buf_addz(b, "<ul>\n");
        json_array_foreach(reasons, i, reason) if (i > 0 && json_is_string(reason))
            html_finding(b, json_string_value(reason));
        tm_buf_addz(b, "</ul>\n");
    }
    tm_buf_addz(b, "</section>\n<ul class=\"findings\">\n");
    tm_word_findings(report, html_finding, b);
    tm_buf_addz(b, "</ul>\n");
}

/* ---- tables ---- */

void tm_html_table(struct tm_buf *b, const char *head)
{
    tm_buf_addf(b, "<div class=\"scroll\"><table>\n%s", head);
    if (strstr(head, "</thead>") != NULL) /* else the caller goes on with the head */
        tm_buf_addz(b, "<tbody>\n");
}
void tm_html_table_end(struct tm_buf *b)
{
    tm_buf_addz(b, "</tbody></table></div>\n");
}

static void html_latency(struct tm_buf *b, const json_t *report)
{
    static const struct html_column columns[] = {
        { "freshness_s.p50", tm_word_span, 1, "first" }, { "freshness_s.p90", tm_word_span, 1, "" },
        { "freshness_s.p99", tm_word_span, 1, "" },      { "freshness_s.max", tm_word_span, 1, "" },
        { "wait_s.p50", tm_word_span, 1, "first" },      { "wait_s.p99", tm_word_span, 1, "" },
        { "work_ms.p50", tm_word_span, 0.001, "first" }, { "work_ms.p99", tm_word_span, 0.001, "" },
        { "work_ms.p99_9", tm_word_span, 0.001, "" },    { "work_ms.max", tm_word_span, 0.001, "" },
        { "freshness_s.never", NULL, 1, "first" },
    };
    tm_buf_addz(b, "<h2>How long until a change could be read</h2>\n<p>From the commit in "
                   "Salesforce to the first query of the "
                   "snapshot that returned it. <b>Wait</b> is org time spent until somebody looked "
                   "(a schedule, or a publish delay); "
                   "<b>work</b> is wall time the pipeline itself took, not stretched. \"Never\": "
                   "so many were not shown at all "
                   "that this share is not reached; max is of those that were.</p>\n");
    tm_html_table(b, "<thead><tr><th rowspan=\"2\">pipeline</th><th class=\"group\" "
                     "colspan=\"4\">freshness = wait + work</th>"
                     "<th class=\"group\" colspan=\"2\">wait (org time)</th><th class=\"group\" "
                     "colspan=\"4\">work (wall time)</th>"
                     "<th class=\"group\" rowspan=\"2\">never<br>shown</th></tr><tr><th "
                     "class=\"first\">p50</th><th>p90</th><th>p99</th>"
                     "<th>max</th><th class=\"first\">p50</th><th>p99</th><th "
                     "class=\"first\">p50</th><th>p99</th><th>p99.9</th>"
                     "<th>max</th></tr></thead>\n");
    html_rows(b, report, columns, HTML_COUNT(columns));
    tm_html_table_end(b);
}

static void html_changes(struct tm_buf *b, const json_t *report)
{
    const json_t *p;
    json_t *one;
    const char *change;
    char word[WORD_BYTES];
    size_t i;
    if (!json_is_object(
            json_object_get(json_array_get(tm_html_pipelines(report), 0), "freshness_by_change")))
        return;
    tm_buf_addz(b, "<details><summary>By kind of change</summary>\n");
    tm_html_table(b, "<thead><tr><th>pipeline</th><th "
                     "class=\"words\">change</th><th>count</th><th>p50</th><th>p99</th><th>max</th>"
                     "<th>never shown</th></tr></thead>\n");
    json_array_foreach(tm_html_pipelines(report), i, p)
        json_object_foreach(json_object_get(p, "freshness_by_change"), change, one)
    {
        tm_buf_addz(b, "<tr>");
        tm_html_name(b, p, i);
        tm_buf_addz(b, "<td class=\"words\">");
        tm_html_text(b, change);
        tm_buf_addf(b, "</td><td>%s</td>", tm_word_at(word, one, "count", tm_word_count, 1));
        html_cell(b, one, "p50", tm_word_span, 1, "");
        html_cell(b, one, "p99", tm_word_span, 1, "");
        html_cell(b, one, "max", tm_word_span, 1, "");
        html_flaw(b, one, "never", "");
        tm_buf_addz(b, "</tr>\n");
    }
    tm_html_table_end(b);
    tm_buf_addz(b, "</details>\n");
}

static void html_freshness_chart(struct tm_buf *b)
{
    tm_buf_addz(
        b,
        "<h2>Freshness of all pipelines</h2>\n<p class=\"note\">Share of all changes that could be "
        "read within a time; the "
        "time axis is logarithmic. A line that stops below 100 % never showed the rest. Solid: "
        "streaming; dashed: polling. "
        "<span class=\"screen\">Touch a name in the legend to hide its line.</span></p>\n<div class=\"chart\" id=\"freshness\">"
        "<p class=\"note\">This chart needs JavaScript; the table above has its "
        "numbers.</p></div>\n");
}

static void html_classes(struct tm_buf *b, const json_t *report)
{
    const json_t *p;
    size_t i;
    if (!json_is_object(json_object_get(json_array_get(tm_html_pipelines(report), 0), "curve")))
        return;
    tm_buf_addz(b, "<h3>By class, one pipeline at a time</h3>\n<p class=\"note\"><label>Pipeline: "
                   "<select id=\"of\">");
    json_array_foreach(tm_html_pipelines(report), i, p)
    {
        tm_buf_addf(b, "<option value=\"%zu\">", i);
        tm_html_text(b, tm_word_text(p, "name", "?"));
        tm_buf_addz(b, "</option>");
    }
    tm_buf_addz(b, "</select></label> Rows on average in each of the spans drawn. Upright lines: "
                   "schema changes (green) and planted or outside "
                   "faults (red).</p>\n<div class=\"chart\" id=\"classes\"><p class=\"note\">This "
                   "chart needs JavaScript; the table above has its numbers at the end.</p></div>\n"
                   "<ul class=\"note\" id=\"marks\"></ul>\n");
}

static void html_drift(struct tm_buf *b, const json_t *report)
{
    static const struct html_column classes[] = {
        { "drift.missing", NULL, 1, "first" },
        { "drift.phantom", NULL, 1, "" },
        { "drift.stale", NULL, 1, "" },
        { "drift.mixed", NULL, 1, "" },
        { "drift.wrong", NULL, 1, "" },
        { "drift.dirty", NULL, 1, "" },
        { "lost_history.states", tm_word_count, 1, "first" },
        { "lost_history.share", tm_word_share, 1, "" },
        { "lost_history.unkept_share", tm_word_share, 1, "" },
    };
    const json_t *p;
    size_t i, unmeasured = 0;
    tm_buf_addz(b, "<h2>Rows that differ from Salesforce, over the org's day</h2>\n<p "
                   "class=\"note\">Each row of each snapshot, compared "
                   "with the org at the same instant; the scale grows like a logarithm above ten "
                   "rows.</p>\n<div class=\"chart\" "
                   "id=\"drift\"><p class=\"note\">This chart needs JavaScript; the table below "
                   "has its numbers.</p></div>\n");
    tm_html_table(b,
                  "<thead><tr><th rowspan=\"2\">pipeline</th><th class=\"group\" "
                  "colspan=\"2\">rows wrong</th><th class=\"group\" "
                  "rowspan=\"2\">wrong rows<br>× time</th><th class=\"group\" colspan=\"6\">at the "
                  "end</th><th class=\"group\" "
                  "colspan=\"3\">lost history</th></tr><tr><th "
                  "class=\"first\">peak</th><th>end</th><th class=\"first\">missing</th>"
                  "<th>phantom</th><th>stale</th><th>mixed</th><th>wrong</th><th>dirty</th><th "
                  "class=\"first\">states</th>"
                  "<th>share</th><th>not kept</th></tr></thead>\n");
    json_array_foreach(tm_html_pipelines(report), i, p)
    {
        double row_s;
        char word[WORD_BYTES];
        unmeasured +=
            json_is_false(json_object_get(json_object_get(p, "lost_history"), "measured"));
        tm_buf_addz(b, "<tr>");
        tm_html_name(b, p, i);
        html_cell(b, p, "drift.peak_rows", tm_word_count, 1, "first");
        html_flaw(b, p, "drift.final_rows", "");
        if (tm_word_number(p, "drift.row_seconds", &row_s))
            tm_buf_addf(b, "<td class=\"first\">%s row-h</td>",
                        row_s < 36000 && row_s > 0
                            ? (snprintf(word, sizeof word, "%.2g", row_s / 3600), word)
                            : tm_word_count(word, row_s / 3600));
        else
            tm_buf_addz(b, "<td class=\"first\">–</td>");
        html_cells(b, p, classes, HTML_COUNT(classes));
        tm_buf_addz(b, "</tr>\n");
    }
    tm_html_table_end(b);
    tm_buf_addz(
        b, "<p class=\"note\">Missing: no row yet. Phantom: deleted in Salesforce, still shown. "
           "Stale: one older whole version. "
           "Mixed: true fields of no single version. Wrong: a value never held. Dirty: rows the "
           "pipeline itself flags as doubtful. Lost history: committed states no snapshot ever "
           "showed; not kept: those that no table it keeps can give back.");
    if (unmeasured > 0)
        tm_buf_addz(b, " – there: not measured, running org time faster than real time would "
                       "distort it.");
    tm_buf_addz(b, "</p>\n");
}

/* ---- what differs at the end ---- */

#define HTML_VALUE_BYTES_MAX 80

static void html_value(struct tm_buf *b, const json_t *v)
{
    char *text = json_is_string(v) ? strdup(json_string_value(v))
                 : v == NULL       ? NULL
                                   : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    tm_buf_addz(b, "<td class=\"words\">");
    if (text == NULL) {
        tm_buf_addz(b, "–");
    } else {
        size_t n = strlen(text), cut = n > HTML_VALUE_BYTES_MAX ? HTML_VALUE_BYTES_MAX : n;
        while (cut > 0 && cut < n && ((unsigned char)text[cut] & 0xC0) == 0x80)
            cut--; /* not in the middle of a character */
        text[cut] = '\0';
        tm_html_text(b, text);
        tm_buf_addz(b, cut < n ? "…" : "");
    }
    tm_buf_addz(b, "</td>");
    free(text);
}

static void html_difference(struct tm_buf *b, const json_t *one)
{
    const json_t *field = json_array_get(json_object_get(one, "fields"), 0);
    char when[TM_TIME_BYTES];
    double ms;
    tm_buf_addz(b, "<tr><td>");
    tm_html_text(b, tm_word_text(one, "object", "?"));
    tm_buf_addz(b, " <code>");
    tm_html_text(b, tm_word_text(one, "id", "?"));
    tm_buf_addz(b, "</code></td>");
    html_value(b, json_object_get(one, "class"));
    tm_buf_addz(b, "<td class=\"words\">");
    tm_html_text(b, tm_word_text(one, "first_change", ""));
    if (tm_word_number(one, "first_org_ms", &ms))
        tm_buf_addf(b, " %.8s", tm_time_z(when, (int64_t)ms) + 11);
    tm_buf_addz(b, "</td>");
    html_value(b, json_object_get(field, "field"));
    html_value(b, json_object_get(field, "expected"));
    html_value(b, json_object_get(field, "shown"));
    tm_buf_addz(b, "<td class=\"words\">");
    tm_html_text(b, tm_word_cause(tm_word_text(one, "cause", "")));
    tm_buf_addz(b, "</td></tr>\n");
}

static void html_differences_of(struct tm_buf *b, const json_t *p)
{
    const json_t *list = json_object_get(p, "examples"), *one;
    char word[WORD_BYTES];
    size_t i;
    tm_buf_addz(b, "<details><summary>");
    tm_html_text(b, tm_word_text(p, "name", "?"));
    tm_buf_addf(b, ": %s differ, %zu of them here</summary>\n",
                tm_word_at(word, p, "drift.final_rows", tm_word_count, 1), json_array_size(list));
    tm_html_table(
        b,
        "<thead><tr><th>record</th><th class=\"words\">class</th><th class=\"words\">since</th><th "
        "class=\"words\">field"
        "</th><th class=\"words\">in Salesforce</th><th class=\"words\">shown</th><th "
        "class=\"words\">cause</th></tr></thead>\n");
    json_array_foreach(list, i, one) html_difference(b, one);
    tm_html_table_end(b);
    tm_buf_addz(b, "</details>\n");
}

/* Deletes no poll could see: their ids, for the pipelines that still show them. */
static void html_phantoms(struct tm_buf *b, const json_t *p)
{
    const json_t *list = json_object_get(json_object_get(p, "phantoms"), "examples"), *one;
    char word[WORD_BYTES], when[TM_TIME_BYTES];
    double ms;
    size_t i;
    if (json_array_size(list) == 0)
        return;
    tm_buf_addz(b, "<details><summary>");
    tm_html_text(b, tm_word_text(p, "name", "?"));
    tm_buf_addf(b, " missed %s deletes</summary>\n<p class=\"note\">",
                tm_word_at(word, p, "phantoms.count", tm_word_count, 1));
    json_array_foreach(list, i, one)
    {
        tm_buf_addz(b, i > 0 ? ", <code>" : "<code>");
        tm_html_text(b, tm_word_text(one, "id", "?"));
        tm_buf_addz(b, "</code> (");
        tm_html_text(b, tm_word_text(one, "object", "?"));
        if (tm_word_number(one, "deleted_org_ms", &ms))
            tm_buf_addf(b, ", %.8s", tm_time_z(when, (int64_t)ms) + 11);
        tm_buf_addz(b, ")");
    }
    tm_buf_addz(b, ".</p></details>\n");
}

static void html_differences(struct tm_buf *b, const json_t *report)
{
    const json_t *p;
    size_t i, shown = 0;
    json_array_foreach(tm_html_pipelines(report), i, p)
    {
        if (json_array_size(json_object_get(p, "examples")) == 0)
            continue;
        if (shown++ == 0)
            tm_buf_addz(b, "<h2>Which rows are wrong at the end</h2>\n<p class=\"note\">The commit "
                           "named is the first one the snapshot "
                           "does not show (org time, UTC). All of them are in <code>run.db</code>, "
                           "table <code>final_diff</code>.</p>\n");
        html_differences_of(b, p);
        html_phantoms(b, p);
    }
}

/* ---- cost, coverage, self-tests, environment ---- */

static void html_processes(struct tm_buf *b, const json_t *report)
{
    const json_t *p;
    size_t i;
    char word[WORD_BYTES];
    if (json_array_size(json_object_get(report, "processes")) == 0)
        return;
    tm_buf_addz(b, "<details><summary>By process</summary>\n");
    tm_html_table(b, "<thead><tr><th>process</th><th>CPU</th><th>peak memory</th>"
                     "<th>at first</th><th>at the end</th><th>growth a million changes</th>"
                     "<th>restarts</th></tr></thead>\n");
    json_array_foreach(json_object_get(report, "processes"), i, p)
    {
        tm_buf_addz(b, "<tr><td>");
        tm_html_text(b, tm_word_text(p, "name", "?"));
        tm_buf_addf(b, "</td><td>%s</td>", tm_word_at(word, p, "cpu_s", tm_word_span, 1));
        static const char *const memory[] = { "rss_peak_bytes", "memory.first_bytes",
                                              "memory.last_bytes", "memory.per_million_bytes" };
        for (size_t m = 0; m < sizeof memory / sizeof memory[0]; m++)
            tm_buf_addf(b, "<td>%s</td>", tm_word_at(word, p, memory[m], tm_word_bytes, 1));
        tm_buf_addf(b, "<td>%s</td></tr>\n", tm_word_at(word, p, "restarts", tm_word_count, 1));
    }
    tm_html_table_end(b);
    tm_buf_addz(
        b, "<p>Memory is what is resident, looked at every 5 s (<code>usage.csv</code>); growth "
           "is taken over the second half of the changes. The witness keeps the org's whole "
           "history and all that was shown, and grows with them.</p></details>\n");
}

static void html_cost(struct tm_buf *b, const json_t *report)
{
    static const struct html_column columns[] = {
        { "cost.api_calls", tm_word_count, 1, "" },
        { "cost.events", tm_word_count, 1, "" },
        { "cost.bytes", tm_word_bytes, 1, "" },
        { "cost.kafka_bytes", tm_word_bytes, 1, "" },
        { "cost.polls", tm_word_count, 1, "" },
        { "cost.skipped_polls", tm_word_count, 1, "" },
        { "cost.cpu_s", tm_word_span, 1, "" },
        { "cost.rss_peak_bytes", tm_word_bytes, 1, "" },
        { "cost.warehouse_bytes", tm_word_bytes, 1, "" },
        { "cost.query_ms", tm_word_span, 0.001, "" },
    };
    tm_buf_addz(
        b, "<h2>What it cost</h2>\n<p class=\"note\">CPU and memory are summed over a "
           "pipeline's processes; the streaming pipelines share source, gap, reconcile and "
           "sink, which are counted in each. Bytes: to and from Salesforce. Kafka: keys and values "
           "produced and fetched. Snapshot query: reading the whole snapshot "
           "once.</p>\n");
    tm_html_table(
        b,
        "<thead><tr><th>pipeline</th><th>API "
        "calls</th><th>events</th><th>bytes</th><th>Kafka</th><th>polls</th><th>skipped</th>"
        "<th>CPU</th><th>peak memory</th><th>warehouse</th><th>snapshot query</th></tr></thead>\n");
    html_rows(b, report, columns, HTML_COUNT(columns));
    tm_html_table_end(b);
    tm_html_allocations(b, report);
    html_processes(b, report);
}

static void html_columns(struct tm_buf *b, const json_t *list)
{
    const json_t *c;
    size_t i;
    json_array_foreach(list, i, c)
    {
        if (i > 0)
            tm_buf_addz(b, ", ");
        tm_buf_addz(b, "<code>");
        if (json_is_string(c)) {
            tm_html_text(b, json_string_value(c));
        } else {
            tm_html_text(b, tm_word_text(c, "column", tm_word_text(c, "name", "?")));
            if (*tm_word_text(c, "why", tm_word_text(c, "reason", "")) != '\0') {
                tm_buf_addz(b, "</code> (");
                tm_html_text(b, tm_word_text(c, "why", tm_word_text(c, "reason", "")));
                tm_buf_addz(b, ")<code>");
            }
        }
        tm_buf_addz(b, "</code>");
    }
}

static void html_coverage(struct tm_buf *b, const json_t *report)
{
    const json_t *p;
    size_t i;
    tm_buf_addz(b, "<h2>What was compared</h2>\n");
    json_array_foreach(tm_html_pipelines(report), i, p)
    {
        const json_t *compared = json_object_get(json_object_get(p, "coverage"), "compared");
        const json_t *left = json_object_get(json_object_get(p, "coverage"), "left_out");
        tm_buf_addz(b, "<details class=\"names\"><summary>");
        tm_html_text(b, tm_word_text(p, "name", "?"));
        tm_buf_addf(b,
                    ": %zu columns compared, %zu left out</summary>\n<p class=\"note\">Compared: ",
                    json_array_size(compared), json_array_size(left));
        html_columns(b, compared);
        tm_buf_addz(b, "</p><p class=\"note\">Left out: ");
        html_columns(b, left);
        tm_buf_addz(b, "</p></details>\n");
    }
}

static void html_number(struct tm_buf *b, const json_t *v)
{
    if (json_is_integer(v))
        tm_buf_addf(b, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v))
        tm_buf_addf(b, fabs(json_real_value(v)) < 1e6 ? "%.6g" : "%.0f", json_real_value(v));
    else if (json_is_string(v))
        tm_html_text(b, json_string_value(v));
    else
        tm_buf_addz(b, json_is_true(v) ? "yes" : json_is_false(v) ? "no" : "–");
}

static void html_self_tests(struct tm_buf *b, const json_t *report)
{
    const json_t *t;
    size_t i;
    if (json_array_size(json_object_get(report, "self_tests")) == 0)
        return;
    tm_buf_addz(b, "<h2>Is the measuring right?</h2>\n<p class=\"note\">Closed forms the run must "
                   "reproduce; where one does not hold, "
                   "the harness is wrong, whatever the pipelines did.</p>\n");
    tm_html_table(
        b,
        "<thead><tr><th>self-test</th><th></th><th>expected</th><th>measured</th></tr></thead>\n");
    json_array_foreach(json_object_get(report, "self_tests"), i, t)
    {
        bool ok = json_is_true(json_object_get(t, "ok")), nothing = tm_word_untested(t);
        tm_buf_addz(b, "<tr><td class=\"words\">");
        tm_html_text(b, tm_word_text(t, "name", "?"));
        if (*tm_word_self_test(t) != '\0')
            tm_buf_addf(b, ": %s", tm_word_self_test(t));
        if (*tm_word_text(t, "note", "") != '\0') {
            tm_buf_addz(b, "<br><span class=\"note\">");
            tm_html_text(b, tm_word_text(t, "note", ""));
            tm_buf_addz(b, "</span>");
        }
        tm_buf_addf(b, "</td><td class=\"%s\">%s</td><td>",
                    nothing ? "words"
                    : ok    ? "good"
                            : "bad",
                    nothing ? "nothing to test"
                    : ok    ? "holds"
                            : "broken");
        html_number(b, json_object_get(t, "expected"));
        tm_buf_addz(b, "</td><td>");
        html_number(b, json_object_get(t, "measured"));
        tm_buf_addz(b, "</td></tr>\n");
    }
    tm_html_table_end(b);
}

static void html_list(struct tm_buf *b, const json_t *object)
{
    const char *key;
    json_t *v;
    tm_buf_addz(b, "<dl>\n");
    json_object_foreach((json_t *)object, key, v)
    {
        if (json_is_object(v) || json_is_array(v))
            continue;
        tm_buf_addz(b, "<dt>");
        for (const char *c = key; *c != '\0'; c++) {
            char one[2] = { *c == '_' ? ' ' : *c, '\0' };
            tm_html_text(b, one);
        }
        tm_buf_addz(b, "</dt><dd>");
        html_number(b, v);
        tm_buf_addz(b, "</dd>\n");
    }
    tm_buf_addz(b, "</dl>\n");
}

static void html_foot(struct tm_buf *b, const json_t *report)
{
    tm_buf_addz(b, "<footer>\n<h2>Load and environment</h2>\n");
    html_list(b, json_object_get(report, "offered"));
    html_list(b, json_object_get(report, "clock"));
    html_list(b, json_object_get(report, "environment"));
    tm_buf_addz(b, "<p>Every sample is in <code>run.db</code>; the numbers above are in "
                   "<code>report.json</code>. Charts: uPlot 1.6.32, "
                   "© Leon Sorokin, MIT licence.</p>\n</footer>\n");
}

/* ---- the page ---- */

static void html_body(struct tm_buf *b, const json_t *report)
{
    html_verdict(b, report);
    tm_html_amounts(b, report);
    html_latency(b, report);
    html_changes(b, report);
    tm_html_slowest(b, report);
    html_freshness_chart(b);
    html_drift(b, report);
    html_classes(b, report);
    tm_html_audits(b, report);
    tm_html_staleness(b, report);
    tm_html_visibility(b, report);
    tm_html_anomalies(b, report);
    tm_html_faults(b, report);
    tm_html_parts(b, report);
    html_differences(b, report);
    tm_html_causes(b, report);
    tm_html_external(b, report);
    tm_html_road(b, report);
    tm_html_query(b, report);
    html_cost(b, report);
    html_coverage(b, report);
    html_self_tests(b, report);
    html_foot(b, report);
}

struct html_page {
    const json_t *report;
    const struct tm_curves *curves;
};

static bool html_mark(struct tm_buf *out, const char *mark, const void *self)
{
    const struct html_page *p = self;
    if (strcmp(mark, "TITLE") == 0) {
        tm_buf_addf(out, "%s: tidemark ", tm_word_verdict(p->report));
        tm_html_text(out, tm_word_text(p->report, "scenario", ""));
    } else if (strcmp(mark, "DATA") == 0) {
        tm_html_data(out, p->report, p->curves);
    } else if (strcmp(mark, "BODY") == 0) {
        html_body(out, p->report);
    } else {
        return false;
    }
    return true;
}

enum tm_code tm_report_html(struct tm_buf *out, const json_t *report,
                            const struct tm_curves *curves, struct tm_err *err)
{
    const struct html_page page = { report, curves };
    enum tm_code rc = tm_page_fill(out, tm_page_template, "page template", html_mark, &page, err);
    return rc != TM_OK ? rc : tm_buf_check(out, "report.html", err);
}
