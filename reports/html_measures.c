/* html_measures: tables of measures beside the main ones: staleness and how well doubt is flagged;
 * what share of Salesforce's daily allocations a pipeline would take. */
#include "reports/html_inner.h"
#include "reports/words.h"
#include <stdio.h>

struct measures_column {
    const char *head, *path;
    const char *(*form)(char *, double);
    double scale;
};

static const char *measures_plain(char out[WORD_BYTES], double value)
{
    snprintf(out, WORD_BYTES, "%.3g", value);
    return out;
}

static void measures_table(struct tm_buf *b, const json_t *report,
                           const struct measures_column *columns, size_t count)
{
    const json_t *p;
    size_t i, k;
    char word[WORD_BYTES];
    tm_html_table(b, "<thead><tr><th>pipeline</th>");
    for (k = 0; k < count; k++)
        tm_buf_addf(b, "<th>%s</th>", columns[k].head);
    tm_buf_addz(b, "</tr></thead><tbody>\n");
    json_array_foreach(tm_html_pipelines(report), i, p)
    {
        tm_buf_addz(b, "<tr>");
        tm_html_name(b, p, i);
        for (k = 0; k < count; k++)
            tm_buf_addf(b, "<td>%s</td>",
                        tm_word_at(word, p, columns[k].path, columns[k].form, columns[k].scale));
        tm_buf_addz(b, "</tr>\n");
    }
    tm_html_table_end(b);
}

void tm_html_staleness(struct tm_buf *b, const json_t *report)
{
    static const struct measures_column columns[] = {
        { "mean age", "age_s.mean", tm_word_span, 1 },
        { "oldest", "age_s.max", tm_word_span, 1 },
        { "age a read meets", "read_weighted.age_s", tm_word_span, 1 },
        { "mean versions behind", "behind.mean", measures_plain, 1 },
        { "flag precision", "drift.flag.precision", tm_word_share, 1 },
        { "flag recall", "drift.flag.recall", tm_word_share, 1 },
        { "superseded", "freshness_s.superseded", tm_word_count, 1 },
        { "ambiguous", "freshness_s.ambiguous", tm_word_count, 1 },
        { "p99 at least", "freshness_low_s.p99", tm_word_span, 1 },
        { "negative", "freshness_s.negative", tm_word_count, 1 },
        { "torn transactions", "torn.transactions", tm_word_count, 1 },
        { "torn for", "torn.seconds", tm_word_span, 1 },
        { "reader's own width p99", "reader_ms.p99", tm_word_span, 0.001 },
    };
    if (!json_is_object(json_object_get(json_array_get(tm_html_pipelines(report), 0), "age_s")))
        return;
    tm_buf_addz(
        b, "<details><summary>Age, versions behind, and how well doubt is flagged</summary>\n");
    measures_table(b, report, columns, sizeof columns / sizeof columns[0]);
    tm_buf_addz(
        b,
        "<p class=\"note\">Age (org time): now − commit of the oldest change not yet shown, over "
        "all "
        "records and time; as a read meets it: of a reader who asks for a record as often as it is "
        "changed (assumed). Flag precision: of the time rows were flagged as doubtful, the share "
        "in "
        "which they did differ; recall: of the time rows differed, the share in which they were "
        "flagged (rows merely on their way cannot be). Superseded: shown only through a later "
        "version. Ambiguous: two versions fit what was shown; counted by the later look, with the "
        "earlier one p99 is at least what stands beside it. Negative: shown before the stamp of "
        "their commit. Torn (wall time; – where org time runs faster): some records of a "
        "transaction "
        "shown before the others.</p></details>\n");
}

void tm_html_allocations(struct tm_buf *b, const json_t *report)
{
    static const struct measures_column columns[] = {
        { "API calls a day", "cost.daily.api_calls", tm_word_count, 1 },
        { "of Developer's", "cost.daily.api_share.developer", tm_word_share, 1 },
        { "of Enterprise's", "cost.daily.api_share.enterprise", tm_word_share, 1 },
        { "of Unlimited's", "cost.daily.api_share.unlimited", tm_word_share, 1 },
        { "events a day", "cost.daily.events", tm_word_count, 1 },
        { "of Developer's", "cost.daily.events_share.developer", tm_word_share, 1 },
        { "of Enterprise's", "cost.daily.events_share.enterprise", tm_word_share, 1 },
        { "of Unlimited's", "cost.daily.events_share.unlimited", tm_word_share, 1 },
    };
    const json_t *first = json_array_get(tm_html_pipelines(report), 0);
    if (!json_is_object(json_object_get(json_object_get(first, "cost"), "daily")))
        return;
    tm_buf_addz(b, "<details><summary>Share of Salesforce's daily allocations</summary>\n");
    measures_table(b, report, columns, sizeof columns / sizeof columns[0]);
    tm_buf_addz(
        b, "<p class=\"note\">What the run used in its org hours, as if they went on for 24, of "
           "what each edition allows in 24 hours: API calls 15,000, 100,000 and 100,000 (more "
           "with licences), events delivered 10,000, 25,000 and 50,000.</p></details>\n");
}
