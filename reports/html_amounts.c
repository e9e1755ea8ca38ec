/* html_amounts: what a manager would have read off each copy: a chart and a row a pipeline. */
#include "reports/html_inner.h"
#include "reports/words.h"

static bool amounts_any(const json_t *report)
{
    const json_t *p;
    size_t i;
    json_array_foreach(tm_html_pipelines(report), i, p)
    {
        if (json_is_object(json_object_get(p, "open_amount")))
            return true;
    }
    return false;
}

static void amounts_row(struct tm_buf *b, const json_t *p, size_t i)
{
    char w[6][WORD_BYTES];
    tm_buf_addz(b, "<tr>");
    tm_html_name(b, p, i);
    tm_buf_addf(b, "<td>%s</td><td>%s</td><td class=\"words\">",
                tm_word_at(w[0], p, "open_amount.peak_error", tm_word_amount, 1),
                tm_word_at(w[1], p, "open_amount.peak_error_share", tm_word_share, 1));
    tm_html_text(b, tm_word_text(p, "open_amount.peak_stage", "–"));
    tm_buf_addf(b, "</td><td>%s</td><td>%s</td><td>%s</td></tr>\n",
                tm_word_at(w[2], p, "open_amount.peak_stage_error", tm_word_amount, 1),
                tm_word_at(w[3], p, "open_amount.off_share", tm_word_share, 1),
                tm_word_at(w[4], p, "open_amount.final_error", tm_word_amount, 1));
}

void tm_html_amounts(struct tm_buf *b, const json_t *report)
{
    const json_t *p;
    size_t i;
    if (!amounts_any(report))
        return;
    tm_buf_addz(
        b, "<h2>The open pipeline, as each copy showed it</h2>\n<p class=\"note\">Sum of Amount of "
           "the opportunities that are not closed, over the org's day. The thick grey line is "
           "the org. <label>Stage: <select id=\"stage\"><option value=\"-1\">all open "
           "stages</option></select></label></p>\n<div class=\"chart\" id=\"amount\"><p "
           "class=\"note\">This chart needs JavaScript; the table below has its "
           "numbers.</p></div>\n");
    tm_html_table(b, "<thead><tr><th rowspan=\"2\">pipeline</th><th class=\"group\" "
                     "colspan=\"2\">total off by at most</th><th class=\"group\" "
                     "colspan=\"2\">stage off the most</th><th class=\"group\" "
                     "rowspan=\"2\">some stage off by<br>more than 1 %, of the time</th><th "
                     "class=\"group\" rowspan=\"2\">off at the<br>end</th></tr><tr><th "
                     "class=\"first\">amount</th><th>share</th><th "
                     "class=\"first\">stage</th><th>amount</th></tr></thead><tbody>\n");
    json_array_foreach(tm_html_pipelines(report), i, p) amounts_row(b, p, i);
    tm_html_table_end(b);
}
