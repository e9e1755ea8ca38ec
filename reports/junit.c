/* junit: the verdict for a CI server: one test case a self-test and a pipeline, and one for the
 * run. */
#include "reports/report.h"
#include "reports/words.h"
#include <stdio.h>
#include <string.h>

/* XML text; control characters XML 1.0 cannot carry become '?'. */
static void junit_text(struct tm_buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        switch (c) {
        case '&': tm_buf_addz(b, "&amp;"); break;
        case '<': tm_buf_addz(b, "&lt;"); break;
        case '>': tm_buf_addz(b, "&gt;"); break;
        case '"': tm_buf_addz(b, "&quot;"); break;
        case '\n':
        case '\r':
        case '\t': tm_buf_addf(b, "&#%u;", c); break;
        default: tm_buf_addc(b, c < 0x20 ? '?' : (char)c);
        }
    }
}

static void junit_case(struct tm_buf *b, const char *class, const char *name)
{
    tm_buf_addf(b, "  <testcase classname=\"tidemark.%s\" name=\"", class);
    junit_text(b, name);
    tm_buf_addz(b, "\"");
}

static void junit_failed(struct tm_buf *b, const char *element, const char *message)
{
    tm_buf_addf(b, ">\n    <%s message=\"", element);
    junit_text(b, message);
    tm_buf_addf(b, "\"/>\n  </testcase>\n");
}

/* A reason that begins with the pipeline's name is its failure. */
static const char *junit_reason(const json_t *report, const json_t *pipeline)
{
    const char *name = tm_word_text(pipeline, "name", "?");
    const json_t *reason, *own = json_object_get(pipeline, "reasons");
    size_t i;
    if (json_is_string(json_array_get(own, 0)))
        return json_string_value(json_array_get(own, 0));
    json_array_foreach(json_object_get(report, "reasons"), i, reason)
    {
        const char *text = json_string_value(reason);
        if (text != NULL && strncmp(text, name, strlen(name)) == 0 &&
            strchr(":, ", text[strlen(name)]) != NULL)
            return text;
    }
    return NULL;
}

struct junit_counts {
    size_t tests, failures, errors, skipped;
};

static void junit_cases(struct tm_buf *b, const json_t *report, struct junit_counts *n)
{
    const json_t *t;
    const char *verdict = tm_word_text(report, "verdict", ""),
               *why = json_string_value(json_array_get(json_object_get(report, "reasons"), 0));
    size_t i;
    bool failed = strcmp(verdict, "fail") == 0;
    junit_case(b, "run", tm_word_text(report, "scenario", "run"));
    n->tests++;
    if (failed) {
        n->failures++;
        junit_failed(b, "failure", why != NULL ? why : "failed");
    } else if (strcmp(verdict, "inconclusive") == 0) {
        n->errors++;
        junit_failed(b, "error", why != NULL ? why : "inconclusive");
    } else {
        tm_buf_addz(b, "/>\n");
    }
    json_array_foreach(json_object_get(report, "self_tests"), i, t)
    {
        char what[160];
        double expected = 0, measured = 0;
        junit_case(b, "self_test", tm_word_text(t, "name", "?"));
        n->tests++;
        if (tm_word_untested(t)) {
            n->skipped++;
            junit_failed(b, "skipped", "nothing to test");
            continue;
        }
        if (json_is_true(json_object_get(t, "ok"))) {
            tm_buf_addz(b, "/>\n");
            continue;
        }
        tm_word_number(t, "expected", &expected);
        tm_word_number(t, "measured", &measured);
        snprintf(what, sizeof what, "expected %.8g, measured %.8g: the harness is wrong", expected,
                 measured);
        n->errors++;
        junit_failed(b, "error", what);
    }
    json_array_foreach(json_object_get(report, "pipelines"), i, t)
    {
        const char *own = tm_word_text(t, "verdict", ""), *reason = NULL;
        if (strcmp(own, "fail") == 0 || (*own == '\0' && failed))
            reason = junit_reason(report, t);
        if (reason == NULL && strcmp(own, "fail") == 0)
            reason = "failed against its promises";
        junit_case(b, "pipeline", tm_word_text(t, "name", "?"));
        n->tests++;
        if (reason == NULL) {
            tm_buf_addz(b, "/>\n");
            continue;
        }
        n->failures++;
        junit_failed(b, "failure", reason);
    }
}

enum tm_code tm_report_junit(struct tm_buf *out, const json_t *report, struct tm_err *err)
{
    struct junit_counts n = { 0 };
    struct tm_buf cases;
    tm_buf_init(&cases, TM_REPORT_BYTES_MAX);
    junit_cases(&cases, report, &n);
    tm_buf_addf(out,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"tidemark\" "
                "tests=\"%zu\" failures=\"%zu\" "
                "errors=\"%zu\" skipped=\"%zu\">\n",
                n.tests, n.failures, n.errors, n.skipped);
    tm_buf_add(out, tm_buf_text(&cases), cases.bytes);
    tm_buf_addz(out, "</testsuite>\n");
    enum tm_code rc = tm_buf_check(&cases, "junit.xml", err);
    tm_buf_free(&cases);
    return rc == TM_OK ? tm_buf_check(out, "junit.xml", err) : rc;
}
