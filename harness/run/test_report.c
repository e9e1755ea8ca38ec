#include "run/test_report.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_BYTES_MAX (64u << 20)
#define REPORT_NAME_WIDTH 62
#define REPORT_FINDINGS_SHOWN 12
#define REPORT_RULES 17 /* R1 … R16 */

static const char *report_text(const json_t *of, const char *key)
{
    const char *text = json_string_value(json_object_get(of, key));
    return text != NULL ? text : "";
}

/* ---- for people ---- */

static void report_story(FILE *out, const char *story)
{
    while (*story != '\0') {
        size_t n = strcspn(story, "\n");
        if (n > 0)
            fprintf(out, "      | %.*s\n", (int)n, story);
        story += n + (story[n] == '\n');
    }
}

static void report_ms(FILE *out, const json_t *result)
{
    const char *by;
    json_t *ms;
    json_object_foreach(json_object_get(result, "ms"), by, ms)
    {
        fprintf(out, "  %s %.1f ms", by, json_real_value(ms));
    }
    fputc('\n', out);
}

void tm_test_print_case(FILE *out, const json_t *result)
{
    const json_t *findings = json_object_get(result, "findings");
    const char *skipped = json_string_value(json_object_get(result, "skipped"));
    bool ok = json_is_true(json_object_get(result, "ok"));
    size_t at;
    json_t *finding;
    if (skipped != NULL) {
        fprintf(out, "skip  %s: %s\n", report_text(result, "name"), skipped);
        return;
    }
    fprintf(out, "%s  %-*s", ok ? "ok  " : "FAIL", REPORT_NAME_WIDTH, report_text(result, "name"));
    report_ms(out, result);
    if (ok)
        return;
    json_array_foreach((json_t *)findings, at, finding)
    {
        if (at < REPORT_FINDINGS_SHOWN)
            fprintf(out, "      %s: %s\n", report_text(finding, "by"),
                    report_text(finding, "text"));
    }
    if (json_array_size(findings) > REPORT_FINDINGS_SHOWN)
        fprintf(out, "      and %zu more\n", json_array_size(findings) - REPORT_FINDINGS_SHOWN);
    fprintf(out, "      rules: %s; bugs: %s\n", report_text(result, "rules"),
            report_text(result, "bugs"));
    report_story(out, report_text(result, "story"));
}

/* Numbers behind an R in "R6, R10". */
static void report_rules(const char *text, size_t count[REPORT_RULES])
{
    for (const char *p = strchr(text, 'R'); p != NULL; p = strchr(p + 1, 'R')) {
        long n = strtol(p + 1, NULL, 10);
        if (n > 0 && n < REPORT_RULES)
            count[n]++;
    }
}

/* Rules by the share of their cases that fail, highest first; the case to read first. */
static void report_broken(FILE *out, const json_t *results)
{
    size_t at, broken[REPORT_RULES] = { 0 }, all[REPORT_RULES] = { 0 };
    const json_t *smallest = NULL;
    json_t *result;
    json_array_foreach((json_t *)results, at, result)
    {
        if (json_is_string(json_object_get(result, "skipped")))
            continue;
        report_rules(report_text(result, "rules"), all);
        if (json_is_true(json_object_get(result, "ok")))
            continue;
        report_rules(report_text(result, "rules"), broken);
        if (smallest == NULL || json_integer_value(json_object_get(result, "rows")) <
                                    json_integer_value(json_object_get(smallest, "rows")))
            smallest = result;
    }
    fprintf(out, "failing cases by rule (harness/view/README.md):");
    for (const char *before = " ";; before = ", ") {
        size_t most = 0;
        for (size_t n = 1; n < REPORT_RULES; n++)
            if (broken[n] > 0 && (most == 0 || broken[n] * all[most] > broken[most] * all[n]))
                most = n;
        if (most == 0)
            break;
        fprintf(out, "%sR%zu %zu of %zu", before, most, broken[most], all[most]);
        broken[most] = 0;
    }
    fprintf(out, "\nread first: %s (%lld rows)\n", report_text(smallest, "path"),
            (long long)json_integer_value(json_object_get(smallest, "rows")));
}

void tm_test_print_totals(FILE *out, const json_t *results, const struct tm_test_totals *totals)
{
    fprintf(out, "%zu cases: %zu ok, %zu failed, %zu skipped; %.0f ms\n", totals->cases,
            totals->cases - totals->failed - totals->skipped, totals->failed, totals->skipped,
            totals->ms);
    if (totals->failed > 0)
        report_broken(out, results);
}

/* ---- for machines ---- */

static void report_xml(struct tm_buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<': tm_buf_addz(b, "&lt;"); break;
        case '>': tm_buf_addz(b, "&gt;"); break;
        case '&': tm_buf_addz(b, "&amp;"); break;
        case '"': tm_buf_addz(b, "&quot;"); break;
        case '\n': tm_buf_addz(b, "&#10;"); break;
        default:
            if ((unsigned char)*text >= 32)
                tm_buf_addc(b, *text);
        }
    }
}

static double report_seconds(const json_t *result)
{
    const char *by;
    json_t *ms;
    double sum = 0;
    json_object_foreach(json_object_get(result, "ms"), by, ms)
    {
        sum += json_real_value(ms);
    }
    return sum / 1000;
}

static void report_junit_case(struct tm_buf *b, const json_t *result)
{
    const char *skipped = json_string_value(json_object_get(result, "skipped"));
    size_t at;
    json_t *finding;
    tm_buf_addz(b, "  <testcase classname=\"tidemark.test\" name=\"");
    report_xml(b, report_text(result, "name"));
    tm_buf_addf(b, "\" time=\"%.4f\">", report_seconds(result));
    if (skipped != NULL) {
        tm_buf_addz(b, "<skipped message=\"");
        report_xml(b, skipped);
        tm_buf_addz(b, "\"/>");
    } else if (!json_is_true(json_object_get(result, "ok"))) {
        tm_buf_addz(b, "<failure message=\"");
        report_xml(b, "rules: ");
        report_xml(b, report_text(result, "rules"));
        tm_buf_addz(b, "\">");
        json_array_foreach(json_object_get(result, "findings"), at, finding)
        {
            report_xml(b, report_text(finding, "by"));
            report_xml(b, ": ");
            report_xml(b, report_text(finding, "text"));
            tm_buf_addc(b, '\n');
        }
        report_xml(b, report_text(result, "story"));
        tm_buf_addz(b, "</failure>");
    }
    tm_buf_addz(b, "</testcase>\n");
}

enum tm_code tm_test_junit(const char *path, const json_t *results,
                           const struct tm_test_totals *totals, struct tm_err *err)
{
    struct tm_buf b;
    size_t at;
    json_t *result;
    tm_buf_init(&b, REPORT_BYTES_MAX);
    tm_buf_addf(&b,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"tidemark test\" "
                "tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\" time=\"%.3f\">\n",
                totals->cases, totals->failed, totals->skipped, totals->ms / 1000);
    json_array_foreach((json_t *)results, at, result)
    {
        report_junit_case(&b, result);
    }
    tm_buf_addz(&b, "</testsuite>\n");
    enum tm_code rc = tm_buf_check(&b, "JUnit", err);
    FILE *f = rc == TM_OK ? fopen(path, "w") : NULL;
    if (rc == TM_OK && f == NULL)
        rc = tm_fail(err, TM_E_ARG, "--junit %s: %s", path, strerror(errno));
    bool ok = f == NULL || fwrite(b.data, 1, b.bytes, f) == b.bytes;
    if (f != NULL)
        ok = fclose(f) == 0 && ok;
    if (!ok)
        rc = tm_fail(err, TM_E_IO, "--junit: cannot write %s", path);
    tm_buf_free(&b);
    return rc;
}

void tm_test_json(FILE *out, json_t *results, const struct tm_test_totals *totals)
{
    json_t *all = json_pack("{s:I, s:I, s:I, s:f, s:O}", "cases", (json_int_t)totals->cases,
                            "failed", (json_int_t)totals->failed, "skipped",
                            (json_int_t)totals->skipped, "ms", totals->ms, "results", results);
    json_dumpf(all, out, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    fputc('\n', out);
    json_decref(all);
}
