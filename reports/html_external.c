/* html_external: pipelines that are not ours: how often their command was started and failed, how
 * they were looked at, and what cannot be measured of them. */
#include "reports/html_inner.h"
#include "reports/words.h"
#include <string.h>

static void external_row(struct tm_buf *b, const json_t *p, size_t index)
{
    static const char *const counts[] = { "runs.started", "runs.failed", "runs.killed",
                                          "runs.skipped" };
    const json_t *list = json_object_get(p, "not_measured");
    char word[WORD_BYTES];
    tm_buf_addz(b, "<tr>");
    tm_html_name(b, p, index);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        tm_buf_addf(b, "<td>%s</td>", tm_word_at(word, p, counts[i], tm_word_count, 1));
    tm_buf_addf(b, "<td>%s</td>", tm_word_at(word, p, "runs.took_s.p50", tm_word_span, 1));
    tm_buf_addf(b, "<td>%s</td>", tm_word_at(word, p, "runs.took_s.max", tm_word_span, 1));
    tm_buf_addf(b, "<td>%s</td>", tm_word_at(word, p, "looks.looks", tm_word_count, 1));
    tm_buf_addf(b, "<td>%s</td><td class=\"words\"><ul>",
                tm_word_at(word, p, "looks.failed", tm_word_count, 1));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        tm_buf_addz(b, "<li>");
        tm_html_text(b, text != NULL ? text : "");
        tm_buf_addz(b, "</li>");
    }
    tm_buf_addz(b, "</ul></td></tr>\n");
}

void tm_html_external(struct tm_buf *b, const json_t *report)
{
    const json_t *p;
    size_t i, shown = 0;
    json_array_foreach(tm_html_pipelines(report), i, p)
    {
        if (!json_is_array(json_object_get(p, "not_measured")))
            continue;
        if (shown++ == 0) {
            tm_buf_addz(b,
                        "<h2>Pipelines of somebody else</h2>\n<p class=\"note\">What is known of "
                        "them is when their command was started and ended, what the org counted "
                        "for their user, and what their queries return.</p>\n");
            tm_html_table(b, "<thead><tr><th>pipeline</th><th>starts</th><th>failed</th>"
                             "<th>killed</th><th>passed over</th><th>took, p50</th><th>max</th>"
                             "<th>looks at it</th><th>queries failed</th>"
                             "<th class=\"words\">not measured</th></tr></thead>\n");
        }
        external_row(b, p, i);
    }
    if (shown > 0)
        tm_html_table_end(b);
}
