#include "reports/html_inner.h"
#include "reports/words.h"

static void parts_cell(struct tm_buf *b, const char *text)
{
    tm_buf_addz(b, "<td>");
    tm_html_text(b, text);
    tm_buf_addz(b, "</td>");
}

void tm_html_parts(struct tm_buf *b, const json_t *report)
{
    const json_t *list = json_object_get(report, "parts"), *part;
    struct tm_buf all;
    size_t i;
    if (json_array_size(list) == 0)
        return;
    tm_buf_init(&all, TM_REPORT_BYTES_MAX);
    tm_word_parts(&all, report);
    tm_buf_addz(b, "<h2>Hosts</h2>\n<p>");
    tm_html_text(b, tm_buf_text(&all));
    tm_buf_addz(b, "</p>\n");
    tm_buf_free(&all);
    tm_html_table(b, "<thead><tr><th>folder</th><th>host</th><th>records</th><th>partitions</th>"
                     "<th>left out: whole elsewhere</th><th>the org's clock, ahead of its own</th>"
                     "</tr></thead>\n");
    json_array_foreach((json_t *)(uintptr_t)list, i, part)
    {
        struct tm_part_words words;
        char count[WORD_BYTES];
        tm_word_part(&words, part);
        tm_buf_addz(b, "<tr>");
        parts_cell(b, tm_word_text(part, "folder", "?"));
        parts_cell(b, tm_word_text(part, "host", "?"));
        parts_cell(b, tm_word_at(count, part, "records", tm_word_count, 1));
        parts_cell(b, tm_buf_text(&words.partitions));
        parts_cell(b, tm_buf_text(&words.left_out));
        parts_cell(b, tm_buf_text(&words.clock));
        tm_buf_addz(b, "</tr>\n");
        tm_word_part_free(&words);
    }
    tm_html_table_end(b);
}
