#include "run/check_parts.h"
#include "base/config.h"
#include "base/log.h"
#include "base/sql.h"
#include "check/merge.h"
#include "check/part.h"
#include "reports/report.h"
#include "run/clock_ask.h"
#include "run/supervise.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PARTS_ASK_NS                                                                               \
    (2 * TM_NS_PER_S) /* half of it at TM_CLOCK_DRIFT_PPM is 0.5 ms more of bound */
#define PARTS_EXCHANGES 8
#define PARTS_FIRST_MS 5000
#define PARTS_AGAIN_MS 500       /* nothing is looked at meanwhile */
#define PARTS_CLOCKS_MAX 2000000 /* six weeks */
#define PARTS_BOUND_MS 50
#define PARTS_BOUND_MS_MAX 3600000

/* ---- one part ---- */

struct part_follow {
    const struct tm_check_parts *given;
    struct tm_http *http;
    struct tm_clock_answer first;
    struct tm_clock_seen *clocks;
    size_t clocks_count, clocks_cap;
    bool lost; /* the org did not answer the last time */
};

static enum tm_code part_compare(struct part_follow *f, int timeout_ms, struct tm_err *err)
{
    struct tm_clock_answer now;
    enum tm_code rc = tm_clock_ask(&now, f->http, f->given->flags->salesforce_url, PARTS_EXCHANGES,
                                   timeout_ms, err);
    if (rc != TM_OK)
        return rc;
    if (f->clocks_count == 0)
        f->first = now;
    if (strcmp(now.org_id, f->first.org_id) != 0 || strcmp(now.boot_id, f->first.boot_id) != 0)
        return tm_fail(err, TM_E_MISMATCH, "%s is another org by now, or its host was booted anew",
                       f->given->flags->salesforce_url);
    if (f->clocks_count == f->clocks_cap) {
        size_t cap = f->clocks_cap == 0 ? 1024 : 2 * f->clocks_cap;
        struct tm_clock_seen *more =
            cap <= PARTS_CLOCKS_MAX ? realloc(f->clocks, cap * sizeof *more) : NULL;
        if (more == NULL)
            return tm_fail(err, TM_E_LIMIT, "%zu comparisons of clocks are the most", cap / 2);
        f->clocks = more;
        f->clocks_cap = cap;
    }
    f->clocks[f->clocks_count++] = (struct tm_clock_seen){ tm_clock_monotonic_ns(), now.offset };
    return TM_OK;
}

/* An org that is away for a while widens the bound of that time, no more. */
static void part_compare_again(void *self)
{
    struct part_follow *f = self;
    struct tm_err err = { .code = TM_OK };
    char text[700];
    bool lost = part_compare(f, PARTS_AGAIN_MS, &err) != TM_OK;
    if (lost != f->lost)
        tm_log(lost ? TM_LOG_WARN : TM_LOG_INFO, "clocks: %s",
               lost ? tm_err_text(&err, text, sizeof text) : "the org answers again");
    f->lost = lost;
}

/* A witness begins anew: what an earlier one left in the folder was another part. */
static enum tm_code part_journal(char path[TM_PATH_MAX], const char *folder, struct tm_err *err)
{
    static const char *const suffixes[] = { "-wal", "-shm", "" };
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, TM_PATH_MAX, "%.900s/" TM_PART_JOURNAL "%s", folder, suffixes[i]);
        if (unlink(path) != 0 && errno != ENOENT)
            return tm_fail(err, TM_E_IO, "cannot replace %s: %s", path, strerror(errno));
    }
    return TM_OK;
}

static enum tm_code part_plan(struct tm_plan **out, const struct tm_check_parts *given,
                              struct tm_err *err)
{
    const struct tm_station_flags *flags = given->flags;
    char journal[TM_PATH_MAX];
    json_t *objects = json_array();
    enum tm_code rc = part_journal(journal, given->part, err);
    json_array_append_new(objects, json_string(flags->config_path));
    for (size_t i = 0; i < flags->rest_count; i++)
        json_array_append_new(objects, json_string(flags->rest[i]));
    json_t *plan =
        json_pack("{s:s, s:s, s:s, s:s, s:[{s:s, s:s, s:i, s:s, s:o}]}", "org", "", "run_db", "",
                  "out", "", "journal", journal, "pipelines", "name", "part", "kind", "stream",
                  "option", 2, "database", flags->warehouse, "objects", objects);
    if (rc == TM_OK)
        rc = plan != NULL ? tm_plan_from_json(out, plan, "--part", err)
                          : tm_fail(err, TM_E_ARG, "--part: what is given is no UTF-8");
    json_decref(plan);
    return rc;
}

static enum tm_code part_given(const struct tm_check_parts *given, struct tm_err *err)
{
    const struct tm_station_flags *flags = given->flags;
    if (flags->config_path == NULL || flags->warehouse == NULL || given->raw == NULL)
        return tm_fail(err, TM_E_ARG,
                       "--part DIR wants --warehouse view.db, --raw raw.db, --salesforce-url URL, "
                       "and the objects it holds, for example Account Opportunity");
    if (given->org != NULL)
        return tm_fail(err, TM_E_ARG, "--org belongs to --merge: a part is judged there");
    if (mkdir(given->part, 0777) != 0 && errno != EEXIST)
        return tm_fail(err, TM_E_ARG, "--part %s: %s", given->part, strerror(errno));
    return TM_OK;
}

static enum tm_code part_leave(struct part_follow *f, struct tm_check *c, struct tm_err *err)
{
    char path[TM_PATH_MAX], host[256] = "";
    if (gethostname(host, sizeof host - 1) != 0)
        return tm_fail(err, TM_E_IO, "the host's name: %s", strerror(errno));
    snprintf(path, sizeof path, "%.900s/" TM_PART_FILE, f->given->part);
    const struct tm_part_facts facts = { .path = path,
                                         .raw = f->given->raw,
                                         .host = host,
                                         .org_id = f->first.org_id,
                                         .org_boot_id = f->first.boot_id,
                                         .clocks = f->clocks,
                                         .clocks_count = f->clocks_count };
    enum tm_code rc = tm_part_write(c, &facts, err);
    if (rc == TM_OK)
        printf("%s\n", path);
    return rc;
}

int tm_check_part(const struct tm_check_parts *given)
{
    struct tm_err err = { .code = TM_OK };
    struct part_follow f = { .given = given };
    struct tm_check *c = NULL;
    struct tm_plan *plan = NULL;
    const struct tm_check_ports ports = { .wall_ns = tm_clock_monotonic_ns };
    const struct tm_follow_also also = { part_compare_again, &f, PARTS_ASK_NS };
    tm_log_init("check", TM_LOG_INFO);
    enum tm_code rc = part_given(given, &err);
    if (rc == TM_OK)
        rc = tm_http_curl_open(&f.http, "tidemark-clock/1", given->flags->ca_path, &err);
    if (rc == TM_OK)
        rc = part_compare(&f, PARTS_FIRST_MS, &err);
    if (rc == TM_OK)
        rc = part_plan(&plan, given, &err);
    if (rc == TM_OK)
        rc = tm_check_on(&c, plan, &ports, &err);
    if (rc == TM_OK)
        rc = tm_check_follow(c, &also, &err);
    if (rc == TM_OK)
        rc = tm_check_last(c, &err);
    if (rc == TM_OK) {
        part_compare_again(&f);
        rc = part_leave(&f, c, &err);
    }
    tm_check_close(c);
    if (f.http != NULL)
        f.http->ops->close(f.http);
    free(f.clocks);
    return rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("check", &err);
}

/* ---- all of them ---- */

static enum tm_code merge_bound(int64_t *out_ns, const char *text, struct tm_err *err)
{
    char *end = NULL;
    double ms = text != NULL ? strtod(text, &end) : PARTS_BOUND_MS;
    if (text != NULL && (end == text || *end != '\0' || !(ms > 0 && ms <= PARTS_BOUND_MS_MAX)))
        return tm_fail(err, TM_E_ARG,
                       "--clock-bound-ms must be a number of ms above 0 and at most %d, not "
                       "\"%.40s\"",
                       PARTS_BOUND_MS_MAX, text);
    *out_ns = (int64_t)(ms * TM_NS_PER_MS);
    return TM_OK;
}

/* measures.json becomes report.json, with what is known of the parts. */
static enum tm_code merge_report(const char *out, json_t *parts, json_t **report,
                                 struct tm_err *err)
{
    char path[TM_PATH_MAX];
    json_t *one;
    double bound_ms = 0;
    size_t i;
    snprintf(path, sizeof path, "%.900s/measures.json", out);
    if (tm_json_load(report, path, err) != TM_OK)
        return err->code;
    json_array_foreach(parts, i, one)
    {
        double ms = json_number_value(json_object_get(one, "clock_bound_ms"));
        bound_ms = ms > bound_ms ? ms : bound_ms;
    }
    json_object_set(*report, "parts", parts);
    json_array_foreach(json_object_get(*report, "pipelines"), i, one)
        json_object_set_new(one, "clock_bound_ms", json_real(bound_ms));
    snprintf(path, sizeof path, "%.900s/report.json", out);
    if (json_dump_file(*report, path, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) != 0)
        return tm_fail(err, TM_E_IO, "cannot write %s: %s", path, strerror(errno));
    return tm_report_render(out, err);
}

static void merge_print(const json_t *report, const char *out, bool json)
{
    const json_t *reason;
    size_t i;
    if (json) {
        json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
        putchar('\n');
        return;
    }
    json_array_foreach(json_object_get(report, "reasons"), i, reason)
        printf("%s\n", json_string_value(reason));
    printf("verdict: %s\nreport: %s/report.html\n",
           json_string_value(json_object_get(report, "verdict")), out);
}

static enum tm_code merge_folders(const struct tm_check_parts *given, const char **folders,
                                  size_t *count, struct tm_err *err)
{
    const struct tm_station_flags *flags = given->flags;
    if (flags->config_path == NULL || given->org == NULL || given->out == NULL)
        return tm_fail(err, TM_E_ARG,
                       "--merge wants --org org.db, --out DIR, and the folders that `tidemark "
                       "check --part` left");
    if (flags->rest_count + 1 > TM_MERGE_PARTS_MAX)
        return tm_fail(err, TM_E_ARG, "--merge: at most %d folders", TM_MERGE_PARTS_MAX);
    folders[(*count)++] = flags->config_path;
    for (size_t i = 0; i < flags->rest_count; i++)
        folders[(*count)++] = flags->rest[i];
    char part[TM_PATH_MAX];
    for (size_t i = 0; i < *count; i++) {
        snprintf(part, sizeof part, "%.900s/" TM_PART_FILE, folders[i]);
        if (access(part, R_OK) != 0)
            return tm_fail(err, TM_E_ARG,
                           "cannot read %.300s: %s; give the folders that `tidemark check --part` "
                           "left",
                           part, strerror(errno));
    }
    if (mkdir(given->out, 0777) != 0 && errno != EEXIST)
        return tm_fail(err, TM_E_ARG, "--out %s: %s", given->out, strerror(errno));
    char run_db[TM_PATH_MAX], copy[TM_PATH_MAX];
    snprintf(run_db, sizeof run_db, "%.900s/run.db", given->out);
    snprintf(copy, sizeof copy, "%.900s/" TM_MERGE_COPY, given->out);
    if (access(run_db, F_OK) == 0 && access(copy, F_OK) != 0)
        return tm_fail(err, TM_E_ARG,
                       "--out %s holds a run: give an empty folder, or one that was "
                       "merged into before",
                       given->out);
    return TM_OK;
}

int tm_check_merge(const struct tm_check_parts *given)
{
    const char *folders[TM_MERGE_PARTS_MAX];
    struct tm_merge_args args = { .org = given->org,
                                  .out = given->out,
                                  .folders = folders,
                                  .wall_ns = tm_clock_monotonic_ns,
                                  .cpus = (int)sysconf(_SC_NPROCESSORS_ONLN) };
    struct tm_err err = { .code = TM_OK };
    json_t *parts = NULL, *report = NULL;
    int exit_code = TM_EXIT_OURS;
    enum tm_code rc = merge_folders(given, folders, &args.folders_count, &err);
    if (rc == TM_OK)
        rc = merge_bound(&args.bound_ns_max, given->bound, &err);
    if (rc == TM_OK)
        rc = tm_merge_parts(&args, &parts, &exit_code, &err);
    if (rc == TM_OK)
        rc = merge_report(given->out, parts, &report, &err);
    if (rc == TM_OK)
        merge_print(report, given->out, given->flags->json);
    json_decref(parts);
    json_decref(report);
    return rc == TM_OK ? exit_code : tm_command_fail("check", &err);
}
