#include "reports/html_inner.h"
#include "reports/words.h"
#include <time.h>

static void faults_when(struct tm_buf *b, const json_t *fault)
{
    time_t s = (time_t)(json_integer_value(json_object_get(fault, "org_ms")) / 1000);
    struct tm tm;
    char text[32];
    gmtime_r(&s, &tm);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
    tm_buf_addz(b, text);
}

void tm_html_faults(struct tm_buf *b, const json_t *report)
{
    const json_t *list = json_object_get(report, "faults"), *fault, *p;
    size_t i, k;
    if (json_array_size(list) == 0)
        return;
    tm_buf_addz(b, "<h2>What befell the run</h2>\n<p>Processes that were killed or stopped from "
                   "outside, brokers and registries that were gone, what was planted in the org: "
                   "how many changes were under way to a pipeline then, how long after "
                   "that it showed a change that was committed later (wall time), and how many "
                   "committed until then it never showed. While the whole run stood still, org "
                   "time did as well, and no other figure counts that time.</p>\n");
    tm_html_table(b, "<thead><tr><th>process</th><th>what</th><th>org time</th><th>lasted</th>"
                     "<th class=\"words\">shown again</th></tr></thead>\n");
    json_array_foreach((json_t *)(uintptr_t)list, i, fault)
    {
        const json_t *lasted = json_object_get(fault, "lasted_s");
        tm_buf_addz(b, "<tr><td>");
        tm_html_text(b, json_string_value(json_object_get(fault, "process")));
        tm_buf_addz(b, "</td><td>");
        tm_html_text(b, tm_word_fault(tm_word_text(fault, "fault", "?")));
        if (json_is_true(json_object_get(fault, "resumed")))
            tm_buf_addz(b, ", resumed; the org's clock stood still");
        if (json_is_true(json_object_get(fault, "topics_lost")))
            tm_buf_addf(b, "; the embedded broker's topics were lost, %lld events came again",
                        (long long)json_integer_value(json_object_get(fault, "events_again")));
        tm_buf_addz(b, "</td><td>");
        faults_when(b, fault);
        tm_buf_addz(b, "</td><td>");
        if (json_is_number(lasted))
            tm_buf_addf(b, "%.1f s", json_number_value(lasted));
        else
            tm_buf_addz(b, "not over");
        tm_buf_addz(b, "</td><td class=\"words\">");
        json_array_foreach(json_object_get(fault, "pipelines"), k, p)
        {
            const json_t *again = json_object_get(p, "shown_again_s");
            tm_buf_addz(b, k > 0 ? "; " : "");
            tm_html_text(b, json_string_value(json_object_get(p, "name")));
            if (json_is_number(again))
                tm_buf_addf(b, " after %.1f s", json_number_value(again));
            else
                tm_buf_addz(b, " never");
            tm_buf_addf(b, " (%lld under way, %lld never shown)",
                        (long long)json_integer_value(json_object_get(p, "under_way")),
                        (long long)json_integer_value(json_object_get(p, "never_shown")));
        }
        tm_buf_addz(b, "</td></tr>\n");
    }
    tm_html_table_end(b);
    struct tm_buf missed;
    tm_buf_init(&missed, TM_REPORT_BYTES_MAX);
    if (tm_word_faults_missed(&missed, report)) {
        tm_buf_addz(b, "<p class=\"note\">Not listed: ");
        tm_html_text(b, tm_buf_text(&missed));
        tm_buf_addz(b, ".</p>\n");
    }
    tm_buf_free(&missed);
}
