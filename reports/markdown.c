/* markdown: the report for a terminal, a merge request or a chat. */
#include "reports/report.h"
#include "reports/words.h"
#include <stdio.h>
#include <string.h>

#define MD_IDS_MAX 5

/* Text inside a table or a line: no markup, no line end of its own. */
static void md_text(struct tm_buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("|*_`<>[]\\", *text) != NULL)
            tm_buf_addc(b, '\\');
        tm_buf_addc(b, *text == '\n' || *text == '\r' ? ' ' : *text);
    }
}

static void md_line(void *data, const char *sentence)
{
    tm_buf_addz(data, "- ");
    md_text(data, sentence);
    tm_buf_addz(data, "\n");
}

struct md_column {
    const char *head, *path;
    const char *(*form)(char *, double);
    double scale;
};

static void md_table(struct tm_buf *b, const json_t *report, const struct md_column *columns,
                     size_t count)
{
    const json_t *p;
    size_t i, k;
    char word[WORD_BYTES];
    tm_buf_addz(b, "\n| pipeline |");
    for (k = 0; k < count; k++)
        tm_buf_addf(b, " %s |", columns[k].head);
    tm_buf_addz(b, "\n|---|");
    for (k = 0; k < count; k++)
        tm_buf_addz(b, "--:|");
    tm_buf_addz(b, "\n");
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        tm_buf_addz(b, "| ");
        md_text(b, tm_word_text(p, "name", "?"));
        tm_buf_addz(b, " |");
        for (k = 0; k < count; k++)
            tm_buf_addf(b, " %s |",
                        tm_word_at(word, p, columns[k].path, columns[k].form, columns[k].scale));
        tm_buf_addz(b, "\n");
    }
}

static void md_self_test(struct tm_buf *b, const json_t *t)
{
    double expected = 0, measured = 0;
    bool ok = json_is_true(json_object_get(t, "ok")), nothing = tm_word_untested(t);
    tm_word_number(t, "expected", &expected);
    tm_word_number(t, "measured", &measured);
    tm_buf_addz(b, nothing ? "- nothing to test: " : ok ? "- holds: " : "- **broken**: ");
    md_text(b, tm_word_text(t, "name", "?"));
    if (*tm_word_self_test(t) != '\0')
        tm_buf_addf(b, ": %s", tm_word_self_test(t));
    if (!nothing)
        tm_buf_addf(b, " (expected %.6g, measured %.6g)", expected, measured);
    tm_buf_addc(b, '\n');
}

/* Those that hold are counted, and folded; whatever is broken stands open. */
static void md_self_tests(struct tm_buf *b, const json_t *report)
{
    const json_t *tests = json_object_get(report, "self_tests"), *t;
    size_t i, held = 0, untested = 0, all = json_array_size(tests);
    if (all == 0)
        return;
    json_array_foreach(tests, i, t)
    {
        untested += tm_word_untested(t);
        held += !tm_word_untested(t) && json_is_true(json_object_get(t, "ok"));
    }
    tm_buf_addf(b, "\n## Is the measuring right?\n\n%zu of %zu self-tests hold", held,
                all - untested);
    if (untested > 0)
        tm_buf_addf(b, "; %zu found nothing to test", untested);
    tm_buf_addz(b, held + untested < all ? ".\n\n" : ".\n");
    json_array_foreach(tests, i, t) if (!tm_word_untested(t) &&
                                        !json_is_true(json_object_get(t, "ok"))) md_self_test(b, t);
    if (held + untested == 0)
        return;
    tm_buf_addz(b, "\n<details><summary>Each of them</summary>\n\n");
    json_array_foreach(tests, i, t) if (tm_word_untested(t) ||
                                        json_is_true(json_object_get(t, "ok"))) md_self_test(b, t);
    tm_buf_addz(b, "\n</details>\n");
}

static void md_phantoms(struct tm_buf *b, const json_t *p)
{
    const json_t *list = json_object_get(json_object_get(p, "phantoms"), "examples"), *one;
    char word[WORD_BYTES];
    size_t i;
    if (json_array_size(list) == 0)
        return;
    tm_buf_addz(b, "- ");
    md_text(b, tm_word_text(p, "name", "?"));
    tm_buf_addf(b, " missed %s deletes:", tm_word_at(word, p, "phantoms.count", tm_word_count, 1));
    json_array_foreach(list, i, one)
    {
        if (i == MD_IDS_MAX)
            break;
        tm_buf_addz(b, i > 0 ? ", " : " ");
        md_text(b, tm_word_text(one, "object", "?"));
        tm_buf_addz(b, " ");
        md_text(b, tm_word_text(one, "id", "?"));
    }
    tm_buf_addz(b,
                json_array_size(list) > MD_IDS_MAX ? " … (all in run.db, final\\_diff)\n" : "\n");
}

static void md_differences(struct tm_buf *b, const json_t *report)
{
    const json_t *p, *one;
    size_t i, k, shown = 0;
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        const json_t *examples = json_object_get(p, "examples");
        if (json_array_size(examples) > 0 && shown++ == 0)
            tm_buf_addz(b, "\n## Rows that are wrong at the end (the first of each pipeline)\n\n");
        md_phantoms(b, p);
        json_array_foreach(examples, k, one)
        {
            const char *field =
                tm_word_text(json_array_get(json_object_get(one, "fields"), 0), "field", "");
            if (strcmp(tm_word_text(one, "class", ""), "phantom") == 0)
                continue;
            tm_buf_addz(b, "- ");
            md_text(b, tm_word_text(p, "name", "?"));
            tm_buf_addf(b, ": %s ", tm_word_text(one, "class", "differs"));
            md_text(b, tm_word_text(one, "object", "?"));
            tm_buf_addz(b, " ");
            md_text(b, tm_word_text(one, "id", "?"));
            tm_buf_addz(b, *field != '\0' ? ", field " : "");
            md_text(b, field);
            tm_buf_addf(b, ", since its %s", tm_word_text(one, "first_change", "creation"));
            const char *cause = tm_word_text(one, "cause", "");
            tm_buf_addz(b, *cause != '\0' ? ", cause: " : "");
            md_text(b, cause);
            tm_buf_addc(b, '\n');
        }
    }
}

static void md_causes(struct tm_buf *b, const json_t *report)
{
    const json_t *p, *one;
    size_t i, k, shown = 0;
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
        json_array_foreach(json_object_get(p, "causes"), k, one)
    {
        struct tm_buf why;
        char word[WORD_BYTES];
        if (shown++ == 0)
            tm_buf_addz(b, "\n## Why they differ\n\n| pipeline | rows | cause | station | rule | "
                           "the first of them |\n|---|--:|---|---|---|---|\n");
        tm_buf_addz(b, "| ");
        md_text(b, tm_word_text(p, "name", "?"));
        tm_buf_addf(b, " | %s | ", tm_word_at(word, one, "rows", tm_word_count, 1));
        md_text(b, tm_word_cause(tm_word_text(one, "cause", "?")));
        tm_buf_addz(b, " | ");
        md_text(b, tm_word_text(one, "station", "not known"));
        tm_buf_addz(b, " | ");
        md_text(b, tm_word_text(one, "rule", "–"));
        tm_buf_addz(b, " | ");
        md_text(b, tm_word_text(one, "example.object", ""));
        tm_buf_addc(b, ' ');
        md_text(b, tm_word_text(one, "example.id", ""));
        tm_buf_addz(b, ": ");
        md_text(b, tm_word_text(one, "example.because", ""));
        tm_buf_init(&why, 4096);
        tm_word_why(&why, report, json_object_get(one, "example"));
        tm_buf_addz(b, why.bytes > 0 ? " Told by: " : "");
        md_text(b, tm_buf_text(&why));
        tm_buf_free(&why);
        tm_buf_addz(b, " |\n");
    }
}

/* Pipelines of somebody else: their starts, and what cannot be measured of them. */
static void md_external(struct tm_buf *b, const json_t *report)
{
    const json_t *p, *one;
    size_t i, k, shown = 0;
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        char started[WORD_BYTES], failed[WORD_BYTES], killed[WORD_BYTES], skipped[WORD_BYTES];
        const json_t *list = json_object_get(p, "not_measured");
        if (!json_is_array(list))
            continue;
        tm_buf_addz(b, shown++ == 0 ? "\n## Pipelines of somebody else\n\n" : "\n");
        md_text(b, tm_word_text(p, "name", "?"));
        tm_buf_addf(b,
                    ": %s starts, %s failed, %s of them killed over the limit, %s instants passed "
                    "over. Not measured:\n\n",
                    tm_word_at(started, p, "runs.started", tm_word_count, 1),
                    tm_word_at(failed, p, "runs.failed", tm_word_count, 1),
                    tm_word_at(killed, p, "runs.killed", tm_word_count, 1),
                    tm_word_at(skipped, p, "runs.skipped", tm_word_count, 1));
        json_array_foreach(list, k, one)
        {
            tm_buf_addz(b, "- ");
            md_text(b, json_is_string(one) ? json_string_value(one) : "");
            tm_buf_addc(b, '\n');
        }
    }
}

/* Measured and found nowhere, or measured nowhere: a name in a line; else a row of the table. */
enum md_anomaly { MD_FOUND, MD_NOWHERE, MD_UNMEASURED };

static enum md_anomaly md_anomaly_is(const json_t *report, const char *name)
{
    const json_t *p;
    enum md_anomaly is = MD_UNMEASURED;
    char path[80];
    double count;
    size_t i;
    snprintf(path, sizeof path, "anomalies.%s.count", name);
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        if (!tm_word_number(p, path, &count))
            continue;
        if (count != 0)
            return MD_FOUND;
        is = MD_NOWHERE;
    }
    return is;
}

static void md_anomaly_names(struct tm_buf *b, const json_t *report, const json_t *names,
                             enum md_anomaly which, const char *says)
{
    const char *name;
    json_t *one;
    size_t shown = 0;
    json_object_foreach((json_t *)(uintptr_t)names, name, one)
    {
        if (md_anomaly_is(report, name) != which)
            continue;
        tm_buf_addf(b, "%s%s", shown++ == 0 ? says : ", ", tm_word_anomaly(name));
    }
    if (shown > 0)
        tm_buf_addz(b, ".\n");
}

static void md_anomaly_row(struct tm_buf *b, const json_t *report, const char *name)
{
    const json_t *p;
    char word[WORD_BYTES], path[80];
    size_t i;
    snprintf(path, sizeof path, "anomalies.%s.count", name);
    tm_buf_addf(b, "| %s |", tm_word_anomaly(name));
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
        tm_buf_addf(b, " %s |", tm_word_at(word, p, path, tm_word_count, 1));
    tm_buf_addc(b, '\n');
}

static void md_anomalies_head(struct tm_buf *b, const json_t *report)
{
    const json_t *p;
    size_t i;
    tm_buf_addz(b, "| anomaly |");
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        tm_buf_addc(b, ' ');
        md_text(b, tm_word_text(p, "name", "?"));
        tm_buf_addz(b, " |");
    }
    tm_buf_addz(b, "\n|---|");
    json_array_foreach(json_object_get(report, "pipelines"), i, p) tm_buf_addz(b, "--:|");
    tm_buf_addc(b, '\n');
}

/* Anomaly by pipeline. */
static void md_anomalies(struct tm_buf *b, const json_t *report)
{
    const json_t *names =
        json_object_get(json_array_get(json_object_get(report, "pipelines"), 0), "anomalies");
    const char *name;
    json_t *one;
    size_t shown = 0;
    if (!json_is_object(names))
        return;
    tm_buf_addz(b, "\n## What went wrong, by name\n\n");
    json_object_foreach((json_t *)(uintptr_t)names, name, one)
    {
        if (md_anomaly_is(report, name) != MD_FOUND)
            continue;
        if (shown++ == 0)
            md_anomalies_head(b, report);
        md_anomaly_row(b, report, name);
    }
    tm_buf_addz(b, shown > 0 ? "\n" : "");
    md_anomaly_names(b, report, names, MD_NOWHERE, "In no pipeline: ");
    md_anomaly_names(b, report, names, MD_UNMEASURED, "Not measured in this run: ");
}

static void md_faults(struct tm_buf *b, const json_t *report)
{
    const json_t *list = json_object_get(report, "faults"), *fault, *p;
    size_t i, k;
    if (json_array_size(list) > 0)
        tm_buf_addz(b, "\n## What befell the run\n\n");
    json_array_foreach(list, i, fault)
    {
        const json_t *lasted = json_object_get(fault, "lasted_s");
        tm_buf_addz(b, "- ");
        md_text(b, tm_word_text(fault, "process", "?"));
        tm_buf_addf(b, " was %s", tm_word_fault(tm_word_text(fault, "fault", "?")));
        bool resumed = json_is_true(json_object_get(fault, "resumed"));
        if (resumed)
            tm_buf_addf(b, ", and resumed %.1f s later; the org's clock stood still",
                        json_number_value(lasted));
        if (json_is_true(json_object_get(fault, "topics_lost")))
            tm_buf_addf(b, ", the embedded broker's topics were lost, %lld events came again",
                        (long long)json_integer_value(json_object_get(fault, "events_again")));
        if (json_is_number(lasted) && !resumed)
            tm_buf_addf(b, " for %.1f s", json_number_value(lasted));
        tm_buf_addz(b, "; a later change was shown:");
        json_array_foreach(json_object_get(fault, "pipelines"), k, p)
        {
            const json_t *again = json_object_get(p, "shown_again_s");
            tm_buf_addz(b, k > 0 ? ", by " : " by ");
            md_text(b, tm_word_text(p, "name", "?"));
            if (json_is_number(again))
                tm_buf_addf(b, " after %.1f s", json_number_value(again));
            else
                tm_buf_addz(b, " never");
            tm_buf_addf(b, " (%lld under way, %lld never shown)",
                        (long long)json_integer_value(json_object_get(p, "under_way")),
                        (long long)json_integer_value(json_object_get(p, "never_shown")));
        }
        tm_buf_addc(b, '\n');
    }
    struct tm_buf missed;
    tm_buf_init(&missed, TM_REPORT_BYTES_MAX);
    if (tm_word_faults_missed(&missed, report)) {
        tm_buf_addz(b, "- Not listed: ");
        md_text(b, tm_buf_text(&missed));
        tm_buf_addz(b, "\n");
    }
    tm_buf_free(&missed);
}

static void md_parts(struct tm_buf *b, const json_t *report)
{
    const json_t *list = json_object_get(report, "parts"), *part;
    size_t i;
    if (json_array_size(list) == 0)
        return;
    tm_buf_addz(b, "\n## Hosts\n\n");
    tm_word_parts(b, report);
    tm_buf_addz(b, "\n\n| folder | host | records | partitions | left out: whole elsewhere | the "
                   "org's clock, ahead of its own |\n|---|---|--:|---|---|---|\n");
    json_array_foreach(list, i, part)
    {
        struct tm_part_words words;
        char count[WORD_BYTES];
        tm_word_part(&words, part);
        tm_buf_addz(b, "| ");
        md_text(b, tm_word_text(part, "folder", "?"));
        tm_buf_addz(b, " | ");
        md_text(b, tm_word_text(part, "host", "?"));
        tm_buf_addf(b, " | %s | ", tm_word_at(count, part, "records", tm_word_count, 1));
        md_text(b, tm_buf_text(&words.partitions));
        tm_buf_addz(b, " | ");
        md_text(b, tm_buf_text(&words.left_out));
        tm_buf_addf(b, " | %s |\n", tm_buf_text(&words.clock));
        tm_word_part_free(&words);
    }
}

enum tm_code tm_report_markdown(struct tm_buf *out, const json_t *report, struct tm_err *err)
{
    static const struct md_column latency[] = { { "p50", "freshness_s.p50", tm_word_span, 1 },
                                                { "p90", "freshness_s.p90", tm_word_span, 1 },
                                                { "p99", "freshness_s.p99", tm_word_span, 1 },
                                                { "max", "freshness_s.max", tm_word_span, 1 },
                                                { "wait p50", "wait_s.p50", tm_word_span, 1 },
                                                { "work p50", "work_ms.p50", tm_word_span, 0.001 },
                                                { "work p99", "work_ms.p99", tm_word_span, 0.001 },
                                                { "never shown", "freshness_s.never", tm_word_count,
                                                  1 } };
    static const struct md_column drift[] = {
        { "peak", "drift.peak_rows", tm_word_count, 1 },
        { "end", "drift.final_rows", tm_word_count, 1 },
        { "missing", "drift.missing", tm_word_count, 1 },
        { "phantom", "drift.phantom", tm_word_count, 1 },
        { "stale", "drift.stale", tm_word_count, 1 },
        { "mixed", "drift.mixed", tm_word_count, 1 },
        { "wrong", "drift.wrong", tm_word_count, 1 },
        { "dirty", "drift.dirty", tm_word_count, 1 },
        { "lost states", "lost_history.states", tm_word_count, 1 },
        { "share", "lost_history.share", tm_word_share, 1 },
        { "not kept", "lost_history.unkept_share", tm_word_share, 1 }
    };
    static const struct md_column cost[] = {
        { "API calls", "cost.api_calls", tm_word_count, 1 },
        { "events", "cost.events", tm_word_count, 1 },
        { "bytes", "cost.bytes", tm_word_bytes, 1 },
        { "Kafka", "cost.kafka_bytes", tm_word_bytes, 1 },
        { "CPU", "cost.cpu_s", tm_word_span, 1 },
        { "peak memory", "cost.rss_peak_bytes", tm_word_bytes, 1 },
        { "warehouse", "cost.warehouse_bytes", tm_word_bytes, 1 },
        { "snapshot query", "cost.query_ms", tm_word_span, 0.001 }
    };
    const json_t *reasons = json_object_get(report, "reasons"), *reason;
    size_t i;
    tm_buf_addz(out, "# ");
    tm_buf_addf(out, "%s: tidemark ", tm_word_verdict(report));
    md_text(out, tm_word_text(report, "scenario", ""));
    tm_buf_addz(out, "\n\n");
    if (json_array_size(reasons) == 0)
        tm_buf_addz(out, "Every promise the pipelines made was kept.\n");
    json_array_foreach(reasons, i, reason) if (json_is_string(reason))
        md_line(out, json_string_value(reason));
    tm_buf_addz(out, "\n## Findings\n\n");
    tm_word_findings(report, md_line, out);
    tm_buf_addz(out, "\n## Time from commit to readable (wait: org time; work: wall time)\n");
    md_table(out, report, latency, sizeof latency / sizeof latency[0]);
    tm_buf_addz(out, "\n## Rows that differ from Salesforce\n");
    md_table(out, report, drift, sizeof drift / sizeof drift[0]);
    md_anomalies(out, report);
    md_faults(out, report);
    md_parts(out, report);
    md_differences(out, report);
    md_causes(out, report);
    md_external(out, report);
    tm_buf_addz(out, "\n## Cost\n");
    md_table(out, report, cost, sizeof cost / sizeof cost[0]);
    md_self_tests(out, report);
    return tm_buf_check(out, "report.md", err);
}
