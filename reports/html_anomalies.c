/* html_anomalies: two tables of the page: pipeline by anomaly, and t-visibility. */
#include "reports/html_inner.h"
#include "reports/words.h"
#include <math.h>
#include <string.h>

static const json_t *anomalies_of(const json_t *p)
{
    return json_object_get(p, "anomalies");
}

/* One cell: the count, red where it is not nought, and leading to its example; a dash where it was
 * not measured. */
static void anomalies_cell(struct tm_buf *b, const json_t *one, size_t pipeline, const char *name)
{
    char word[WORD_BYTES];
    double count = 0;
    bool measured = tm_word_number(one, "count", &count);
    const char *text = measured ? tm_word_count(word, count) : "–";
    tm_buf_addf(b, "<td class=\"%s\">", measured && count > 0 ? "bad" : "zero");
    if (measured && count > 0 && json_is_object(json_object_get(one, "example")))
        tm_buf_addf(b, "<a href=\"#example-%zu-%s\">%s</a></td>", pipeline, name, text);
    else
        tm_buf_addf(b, "%s</td>", text);
}

static void anomalies_example(struct tm_buf *b, const json_t *report, const json_t *p,
                              size_t pipeline, const char *name, const json_t *example)
{
    tm_buf_addf(b, "<li id=\"example-%zu-%s\"><b>", pipeline, name);
    tm_html_text(b, tm_word_anomaly(name));
    tm_buf_addz(b, "</b>, ");
    tm_html_text(b, tm_word_text(p, "name", "?"));
    tm_buf_addz(b, ": ");
    tm_html_text(b, tm_word_text(example, "object", ""));
    tm_buf_addz(b, " <code>");
    tm_html_text(b, tm_word_text(example, "id", "?"));
    tm_buf_addz(b, "</code>");
    if (json_is_string(json_object_get(example, "field"))) {
        tm_buf_addz(b, ", field ");
        tm_html_text(b, tm_word_text(example, "field", ""));
    }
    if (json_is_string(json_object_get(example, "change"))) {
        tm_buf_addz(b, ", its ");
        tm_html_text(b, tm_word_text(example, "change", ""));
        tm_buf_addz(b, " of ");
        tm_html_text(b, tm_word_text(example, "at", ""));
    }
    tm_html_why(b, report, example);
    tm_buf_addz(b, "</li>\n");
}

static void anomalies_examples(struct tm_buf *b, const json_t *report)
{
    const json_t *p, *one;
    const char *name;
    size_t i;
    tm_buf_addz(b, "<details><summary>The smallest example of each</summary><ul>\n");
    json_array_foreach(tm_html_pipelines(report), i, p)
        json_object_foreach((json_t *)(uintptr_t)anomalies_of(p), name, one)
    {
        const json_t *example = json_object_get(one, "example");
        if (json_is_object(example))
            anomalies_example(b, report, p, i, name, example);
    }
    tm_buf_addz(b, "</ul></details>\n");
}

void tm_html_anomalies(struct tm_buf *b, const json_t *report)
{
    const json_t *first = anomalies_of(json_array_get(tm_html_pipelines(report), 0)), *p, *one;
    const char *name;
    size_t i;
    if (!json_is_object(first))
        return;
    tm_buf_addz(b, "<h2>What went wrong, by name</h2>\n");
    tm_html_table(b, "<thead><tr><th>anomaly</th>");
    json_array_foreach(tm_html_pipelines(report), i, p)
    {
        tm_buf_addz(b, "<th>");
        tm_html_text(b, tm_word_text(p, "name", "?"));
        tm_buf_addz(b, "</th>");
    }
    tm_buf_addz(b, "<th class=\"words\">meaning</th></tr></thead><tbody>\n");
    json_object_foreach((json_t *)(uintptr_t)first, name, one)
    {
        tm_buf_addz(b, "<tr><td>");
        tm_html_text(b, tm_word_anomaly(name));
        tm_buf_addz(b, "</td>");
        json_array_foreach(tm_html_pipelines(report), i, p)
            anomalies_cell(b, json_object_get(anomalies_of(p), name), i, name);
        tm_buf_addz(b, "<td class=\"words\">");
        tm_html_text(b, tm_word_anomaly_means(name));
        tm_buf_addz(b, "</td></tr>\n");
    }
    tm_html_table_end(b);
    tm_buf_addz(b, "<p class=\"note\">– : not measured, running org time faster than real time "
                   "would distort it. A number leads to its smallest example.</p>\n");
    anomalies_examples(b, report);
}

/* The share by `seconds`; -1 where the report has no such age. */
static double visibility_at(const json_t *p, double seconds)
{
    const json_t *point;
    size_t i;
    json_array_foreach(json_object_get(p, "t_visibility"), i, point)
    {
        if (fabs(json_number_value(json_array_get(point, 0)) - seconds) < 1e-9)
            return json_number_value(json_array_get(point, 1));
    }
    return -1;
}

void tm_html_visibility(struct tm_buf *b, const json_t *report)
{
    static const double ages[] = { 1, 2, 5, 10, 60, 300, 1800, 3600, 14400, 28800 };
    const json_t *p;
    size_t i;
    if (!json_is_array(
            json_object_get(json_array_get(tm_html_pipelines(report), 0), "t_visibility")))
        return;
    tm_buf_addz(b, "<h2>Chance that a change can be read so long after its commit "
                   "(t-visibility)</h2>\n<div class=\"chart\" id=\"visibility\"><p "
                   "class=\"note\">This chart needs JavaScript; the table below has its "
                   "numbers.</p></div>\n<details><summary>As numbers</summary>\n");
    tm_html_table(b, "<thead><tr><th>pipeline</th>");
    for (i = 0; i < sizeof ages / sizeof ages[0]; i++) {
        char word[WORD_BYTES];
        tm_buf_addf(b, "<th>%s</th>", tm_word_span(word, ages[i]));
    }
    tm_buf_addz(b, "<th>a read meets an old row</th></tr></thead><tbody>\n");
    json_array_foreach(tm_html_pipelines(report), i, p)
    {
        char word[WORD_BYTES];
        tm_buf_addz(b, "<tr>");
        tm_html_name(b, p, i);
        for (size_t k = 0; k < sizeof ages / sizeof ages[0]; k++) {
            double share = visibility_at(p, ages[k]);
            tm_buf_addf(b, "<td>%s</td>", share < 0 ? "–" : tm_word_share(word, share));
        }
        tm_buf_addf(b, "<td>%s</td></tr>\n",
                    tm_word_at(word, p, "read_weighted.stale", tm_word_share, 1));
    }
    tm_html_table_end(b);
    tm_buf_addz(b, "<p class=\"note\">Changes not seen by the end count as waiting, those a preset "
                   "never carries as waiting for ever (Kaplan-Meier). The last column: share of "
                   "reads that meet a row behind the org, of a reader who asks for a record as "
                   "often as it is changed (assumed).</p></details>\n");
}

void tm_html_audits(struct tm_buf *b, const json_t *report)
{
    double reads = 0, rows = 0, differing = 0, interval_s = 0;
    char words[4][WORD_BYTES];
    const json_t *p;
    size_t i;
    json_array_foreach(tm_html_pipelines(report), i, p)
    {
        double one[3] = { 0 };
        tm_word_number(p, "audits.interval_s", &interval_s);
        reads += tm_word_number(p, "audits.count", &one[0]) ? one[0] : 0;
        rows += tm_word_number(p, "audits.rows", &one[1]) ? one[1] : 0;
        differing += tm_word_number(p, "audits.differing", &one[2]) ? one[2] : 0;
    }
    if (reads <= 0)
        return;
    tm_buf_addf(
        b,
        "<p class=\"note\">The curves come from following what is new. To keep that honest, "
        "whole relations were read every %s meanwhile, each in one transaction: %s reads, %s "
        "rows, %s of them not as followed.</p>\n",
        tm_word_span(words[0], interval_s), tm_word_count(words[1], reads),
        tm_word_count(words[2], rows), tm_word_count(words[3], differing));
}
