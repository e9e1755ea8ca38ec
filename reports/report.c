#include "reports/report.h"
#include "base/config.h"
#include "reports/words.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REPORT_PATH_BYTES 4096

static enum tm_code report_path(char out[REPORT_PATH_BYTES], const char *dir, const char *name,
                                struct tm_err *err)
{
    int n = snprintf(out, REPORT_PATH_BYTES, "%s/%s", dir, name);
    if (n < 0 || n >= REPORT_PATH_BYTES)
        return tm_fail(err, TM_E_ARG, "the path of run folder %.60s… is too long", dir);
    return TM_OK;
}

/* Whole or not at all: written beside, then renamed. */
static enum tm_code report_write(const char *dir, const char *name, const struct tm_buf *b,
                                 struct tm_err *err)
{
    char path[REPORT_PATH_BYTES], part[REPORT_PATH_BYTES + 8];
    enum tm_code rc = report_path(path, dir, name, err);
    if (rc != TM_OK || (rc = tm_buf_check(b, name, err)) != TM_OK)
        return rc;
    snprintf(part, sizeof part, "%s.part", path);
    FILE *f = fopen(part, "w");
    bool ok = f != NULL && fwrite(tm_buf_text(b), 1, b->bytes, f) == b->bytes;
    if (f != NULL)
        ok = fclose(f) == 0 && ok;
    if (!ok || rename(part, path) != 0) {
        int cause = errno;
        unlink(part);
        return tm_fail(err, TM_E_IO, "cannot write %s: %s", path, strerror(cause));
    }
    return TM_OK;
}

static enum tm_code report_need(const json_t *object, const char *key, json_type type,
                                const char *what, const char *where, struct tm_err *err)
{
    const json_t *v = json_object_get(object, key);
    if (v == NULL)
        return tm_fail(err, TM_E_ARG, "%s: %s lacks \"%s\": is the run complete?", where, what,
                       key);
    if (json_typeof(v) != type)
        return tm_fail(err, TM_E_ARG, "%s: \"%s\" of %s has the wrong type", where, key, what);
    return TM_OK;
}

static enum tm_code report_check_pipeline(const json_t *p, size_t index, const char *where,
                                          struct tm_err *err)
{
    char what[120];
    snprintf(what, sizeof what, "pipelines[%zu] (%.60s)", index,
             tm_word_text(p, "name", "no name"));
    if (!json_is_object(p))
        return tm_fail(err, TM_E_ARG, "%s: pipelines[%zu] is not an object", where, index);
    enum tm_code rc = report_need(p, "name", JSON_STRING, what, where, err);
    if (rc == TM_OK)
        rc = report_need(p, "kind", JSON_STRING, what, where, err);
    if (rc == TM_OK)
        rc = report_need(p, "freshness_s", JSON_OBJECT, what, where, err);
    if (rc == TM_OK)
        rc = report_need(p, "drift", JSON_OBJECT, what, where, err);
    return rc;
}

enum tm_code tm_report_check(const json_t *report, const char *where, struct tm_err *err)
{
    const json_t *p;
    size_t i;
    if (!json_is_object(report))
        return tm_fail(err, TM_E_ARG, "%s is not a JSON object", where);
    enum tm_code rc = report_need(report, "tidemark", JSON_STRING, "the report", where, err);
    if (rc == TM_OK)
        rc = report_need(report, "verdict", JSON_STRING, "the report", where, err);
    if (rc == TM_OK)
        rc = report_need(report, "reasons", JSON_ARRAY, "the report", where, err);
    if (rc == TM_OK)
        rc = report_need(report, "pipelines", JSON_ARRAY, "the report", where, err);
    if (rc != TM_OK)
        return rc;
    const char *v = tm_word_text(report, "verdict", ""),
               *format = tm_word_text(report, "tidemark", "");
    if (strcmp(format, "1") != 0)
        return tm_fail(err, TM_E_ARG, "%s is of format \"%.20s\"; this program reads format \"1\"",
                       where, format);
    if (strcmp(v, "pass") != 0 && strcmp(v, "fail") != 0 && strcmp(v, "inconclusive") != 0)
        return tm_fail(err, TM_E_ARG, "%s: verdict is \"%.40s\", not pass, fail or inconclusive",
                       where, v);
    if (json_array_size(json_object_get(report, "pipelines")) > TM_REPORT_PIPELINES_MAX)
        return tm_fail(err, TM_E_LIMIT, "%s: more than %d pipelines", where,
                       TM_REPORT_PIPELINES_MAX);
    json_array_foreach(json_object_get(report, "pipelines"), i,
                       p) if ((rc = report_check_pipeline(p, i, where, err)) != TM_OK) break;
    return rc;
}

enum tm_code tm_report_render(const char *run_dir, struct tm_err *err)
{
    char path[REPORT_PATH_BYTES], run_db[REPORT_PATH_BYTES];
    struct tm_curves curves = { .freshness_count = 0 };
    static const struct {
        const char *name;
        enum tm_code (*make)(struct tm_buf *out, const json_t *report, struct tm_err *err);
    } others[] = { { "junit.xml", tm_report_junit },
                   { "report.md", tm_report_markdown },
                   { "bencher.json", tm_report_bencher },
                   { "benchmark.json", tm_report_benchmark_action } };
    struct tm_buf html, other;
    json_t *report = NULL;
    tm_buf_init(&html, TM_REPORT_BYTES_MAX);
    tm_buf_init(&other, TM_REPORT_BYTES_MAX);
    enum tm_code rc = report_path(path, run_dir, "report.json", err);
    if (rc == TM_OK)
        rc = report_path(run_db, run_dir, "run.db", err);
    if (rc != TM_OK)
        goto done;
    if (access(path, R_OK) != 0) {
        rc = tm_fail(err, TM_E_ARG, "cannot read %s: %s; give the folder of a run that ended", path,
                     strerror(errno));
        goto done;
    }
    if ((rc = tm_json_load(&report, path, err)) != TM_OK ||
        (rc = tm_report_check(report, path, err)) != TM_OK)
        goto done;
    /* for the commands it quotes */
    json_object_set_new(report, "run", json_string(run_dir));
    rc = tm_report_curves(&curves, report, access(run_db, R_OK) == 0 ? run_db : NULL, err);
    if (rc == TM_OK)
        rc = tm_report_html(&html, report, &curves, err);
    for (size_t i = 0; rc == TM_OK && i < sizeof others / sizeof others[0]; i++) {
        tm_buf_reset(&other);
        rc = others[i].make(&other, report, err);
        if (rc == TM_OK)
            rc = report_write(run_dir, others[i].name, &other, err);
    }
    if (rc == TM_OK)
        rc = report_write(run_dir, "report.html", &html, err);
done:
    json_decref(report);
    tm_report_curves_free(&curves);
    tm_buf_free(&html);
    tm_buf_free(&other);
    return rc;
}
