/* html_road: where a change's time goes on the streaming road, and what one read of the snapshot
 * takes as the history grows. The charts are the page's; tables and words are made here. */
#include "reports/html_inner.h"
#include "reports/words.h"

#define ROAD_LINE_BYTES 700

static bool road_has_legs(const json_t *p)
{
    return json_array_size(json_object_get(json_object_get(p, "legs_by_rank"), "bands")) > 0;
}

static void road_choice(struct tm_buf *b, const json_t *report)
{
    const json_t *p;
    size_t i;
    tm_buf_addz(b, "<p class=\"note\"><label>Pipeline: <select id=\"road\">");
    json_array_foreach(tm_html_pipelines(report), i, p)
    {
        if (!road_has_legs(p))
            continue;
        tm_buf_addf(b, "<option value=\"%zu\">", i);
        tm_html_text(b, tm_word_text(p, "name", "?"));
        tm_buf_addz(b, "</option>");
    }
    tm_buf_addz(b, "</select></label></p>\n");
}

static void road_legs(struct tm_buf *b, const json_t *p, size_t index)
{
    static const char *const shares[] = { "p50", "p90", "p99", "p99_9", "max", "mean" };
    const char *name;
    json_t *leg;
    char word[WORD_BYTES];
    json_object_foreach(json_object_get(p, "breakdown"), name, leg)
    {
        tm_buf_addz(b, "<tr>");
        tm_html_name(b, p, index);
        tm_buf_addz(b, "<td class=\"words\">");
        tm_html_text(b, tm_word_leg(name));
        tm_buf_addz(b, "</td>");
        for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++)
            tm_buf_addf(b, "<td>%s</td>", tm_word_at(word, leg, shares[i], tm_word_span, 0.001));
        tm_buf_addz(b, "</tr>\n");
    }
}

void tm_html_road(struct tm_buf *b, const json_t *report)
{
    const json_t *p;
    size_t i, shown = 0;
    json_array_foreach(tm_html_pipelines(report), i, p) shown += road_has_legs(p);
    if (shown == 0)
        return;
    tm_buf_addz(b, "<h2>Where the time goes</h2>\n<p class=\"note\">All changes in order, the "
                   "fastest tenth first, the slowest thousandth last; of each group, the mean "
                   "wall time on every leg from the intended commit to the first read that showed "
                   "it. The legs of a column add up to its whole. <span class=\"screen\">Touch a "
                   "leg in the legend to leave it out.</span> Changes that came by a repair instead of an event of their own "
                   "are not among them.</p>\n");
    road_choice(b, report);
    tm_buf_addz(b, "<div class=\"chart\" id=\"legs\"><p class=\"note\">This chart needs "
                   "JavaScript; the table below has its numbers.</p></div>\n<details><summary>"
                   "Each leg by itself</summary>\n");
    tm_html_table(b, "<thead><tr><th>pipeline</th><th class=\"words\">leg</th><th>p50</th>"
                     "<th>p90</th><th>p99</th><th>p99.9</th><th>max</th><th>mean</th></tr>"
                     "</thead>\n");
    json_array_foreach(tm_html_pipelines(report), i, p) if (road_has_legs(p)) road_legs(b, p, i);
    tm_html_table_end(b);
    tm_buf_addz(b, "</details>\n");
}

void tm_html_query(struct tm_buf *b, const json_t *report)
{
    char line[ROAD_LINE_BYTES];
    if (!tm_word_query(line, sizeof line, report))
        return;
    tm_buf_addz(b, "<h2>Computed when asked, or kept upstream?</h2>\n<p>");
    tm_html_text(b, line);
    tm_buf_addz(b, "</p>\n<div class=\"chart\" id=\"query\"><p class=\"note\">This run left no "
                   "look at the whole snapshot to draw.</p></div>\n");
}
