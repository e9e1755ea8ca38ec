/* html_causes: why rows differ at the end, by cause; and the changes that took longest. */
#include "reports/html_inner.h"
#include "reports/words.h"
#include <string.h>

void tm_html_why(struct tm_buf *b, const json_t *report, const json_t *example)
{
    struct tm_buf text;
    tm_buf_init(&text, 4096);
    tm_word_why(&text, report, example);
    if (text.bytes > 0) {
        tm_buf_addz(b, "<br><code>");
        tm_html_text(b, tm_buf_text(&text));
        tm_buf_addz(b, "</code>");
    }
    tm_buf_free(&text);
}

static void causes_row(struct tm_buf *b, const json_t *report, const json_t *p, size_t index,
                       const json_t *one)
{
    char word[WORD_BYTES];
    const json_t *example = json_object_get(one, "example");
    tm_buf_addz(b, "<tr>");
    tm_html_name(b, p, index);
    tm_buf_addf(b, "<td>%s</td><td class=\"words\">",
                tm_word_at(word, one, "rows", tm_word_count, 1));
    tm_html_text(b, tm_word_cause(tm_word_text(one, "cause", "?")));
    tm_buf_addz(b, "</td><td class=\"words\">");
    tm_html_text(b, tm_word_text(one, "station", "not known"));
    tm_buf_addz(b, "</td><td class=\"words\">");
    tm_html_text(b, tm_word_text(one, "rule", "–"));
    tm_buf_addz(b, "</td><td class=\"words\">");
    tm_html_text(b, tm_word_text(example, "object", ""));
    tm_buf_addz(b, " <code>");
    tm_html_text(b, tm_word_text(example, "id", ""));
    tm_buf_addz(b, "</code>: ");
    tm_html_text(b, tm_word_text(example, "because", ""));
    tm_html_why(b, report, example);
    tm_buf_addz(b, "</td></tr>\n");
}

static void slowest_row(struct tm_buf *b, const json_t *report, const json_t *p, size_t index,
                        const json_t *one)
{
    char word[WORD_BYTES];
    tm_buf_addz(b, "<tr>");
    tm_html_name(b, p, index);
    tm_buf_addf(b, "<td>%s</td><td class=\"words\">",
                tm_word_at(word, one, "freshness_s", tm_word_span, 1));
    tm_html_text(b, tm_word_text(one, "change", ""));
    tm_buf_addz(b, " of ");
    tm_html_text(b, tm_word_text(one, "object", ""));
    tm_buf_addz(b, " <code>");
    tm_html_text(b, tm_word_text(one, "id", ""));
    tm_buf_addz(b, "</code>: ");
    tm_html_text(b, tm_word_text(one, "because", ""));
    if (*tm_word_text(one, "rule", "") != '\0') {
        tm_buf_addz(b, " (");
        tm_html_text(b, tm_word_text(one, "rule", ""));
        tm_buf_addz(b, ")");
    }
    tm_html_why(b, report, one);
    tm_buf_addz(b, "</td></tr>\n");
}

void tm_html_slowest(struct tm_buf *b, const json_t *report)
{
    const json_t *p, *one;
    size_t i, k, shown = 0;
    json_array_foreach(tm_html_pipelines(report), i, p)
        json_array_foreach(json_object_get(p, "slowest"), k, one)
    {
        if (shown++ == 0) {
            tm_buf_addz(b, "<details><summary>The changes that took longest</summary>\n");
            tm_html_table(b, "<thead><tr><th>pipeline</th><th>freshness</th><th "
                             "class=\"words\">change, and what it waited "
                             "for</th></tr></thead>\n");
        }
        slowest_row(b, report, p, i, one);
    }
    if (shown == 0)
        return;
    tm_html_table_end(b);
    tm_buf_addz(b, "</details>\n");
}

void tm_html_causes(struct tm_buf *b, const json_t *report)
{
    const json_t *p, *one;
    size_t i, k, shown = 0;
    json_array_foreach(tm_html_pipelines(report), i, p)
        json_array_foreach(json_object_get(p, "causes"), k, one)
    {
        if (shown++ == 0) {
            tm_buf_addz(b,
                        "<h2>Why they differ</h2>\n<p class=\"note\">Every differing row has its "
                        "cause: the station that lost it, and the rule (R1 to R16, "
                        "harness/view/README.md) or the limit of polling behind it, from the "
                        "org's log, the raw tables, the traces and the polls. Where the evidence "
                        "does not tell, the station is not guessed. All of them are in "
                        "<code>run.db</code>, table <code>cause</code>.</p>\n");
            tm_html_table(b, "<thead><tr><th>pipeline</th><th>rows</th><th "
                             "class=\"words\">cause</th><th class=\"words\">station</th><th "
                             "class=\"words\">rule</th><th class=\"words\">the first of "
                             "them</th></tr></thead>\n");
        }
        causes_row(b, report, p, i, one);
    }
    if (shown > 0)
        tm_html_table_end(b);
}
