/* bench_org: changes per second the org commits, in groups as the workload does and one by one.
 * Asserts are on. */
#include "tests/support_org.h"
#include "mocks/salesforce/bulk.h"
#include "mocks/salesforce/query.h"
#include "mocks/salesforce/workload.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double wall_s(void)
{
    return (double)tm_clock_monotonic_ns() / 1e9;
}

static void stop(const char *what, const struct tm_err *err)
{
    fprintf(stderr, "bench_org: %s: %s\n", what, err->msg);
    exit(70);
}

/* One request until it is answered; the longest of the calls it took is what others wait. */
static json_t *bench_ask(struct tm_query *q, const char *target, const char *locator, double *worst)
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    struct tm_err err = { 0 };
    if (tm_mock_request_init(&r, "GET", target, NULL, 0, &err) != TM_OK)
        stop("request", &err);
    tm_mock_response_init(&out);
    for (bool begun = false; out.outcome == TM_MOCK_HOLD || !begun; begun = true) {
        uint64_t token = out.token;
        double t = wall_s();
        tm_mock_response_reset(&out);
        if (begun)
            tm_query_resume(q, token, &out);
        else if (locator != NULL)
            tm_query_more(q, &r.now,
                          &(struct tm_query_ask){
                              .form = &tm_query_json, .version = "59.0", .text = locator },
                          &out);
        else
            tm_query_start(q, &r.now,
                           &(struct tm_query_ask){ .form = &tm_query_json,
                                                   .version = "59.0",
                                                   .text = tm_mock_query(&r, "q") },
                           &out);
        *worst = wall_s() - t > *worst ? wall_s() - t : *worst;
    }
    json_t *json = json_loads(tm_buf_text(&out.body), 0, NULL);
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
    return json;
}

static void bench_whole_read(struct tm_org *org)
{
    static const char soql[] = "/q?q=SELECT+FIELDS(STANDARD)+FROM+Opportunity";
    struct tm_oauth_settings settings = { .seeded = true, .seed = 1 };
    struct tm_query *q = NULL;
    struct tm_oauth *oauth = NULL;
    struct tm_err err = { 0 };
    double worst = 0, t = wall_s();
    size_t rows = 0;
    if (tm_oauth_open(&oauth, &settings, &err) != TM_OK ||
        tm_query_open(&q, org, oauth, &err) != TM_OK)
        stop("query", &err);
    json_t *page = bench_ask(q, soql, NULL, &worst);
    while (page != NULL) {
        const char *next = json_string_value(json_object_get(page, "nextRecordsUrl"));
        json_t *more = NULL;
        rows += json_array_size(json_object_get(page, "records"));
        if (next != NULL)
            more = bench_ask(q, "/more", strrchr(next, '/') + 1, &worst);
        json_decref(page);
        page = more;
    }
    printf("org: a whole read of %zu records in %.0f ms, longest call %.1f ms\n", rows,
           (wall_s() - t) * 1e3, worst * 1e3);
    tm_query_close(q);
    tm_oauth_close(oauth);
}

/* One Bulk request until it is answered; the caller frees `out`. */
static void bench_bulk_ask(struct tm_bulk *b, const char *method, const char *target,
                           const char *body, char *const *parts, size_t parts_count,
                           struct tm_mock_response *out, double *worst)
{
    struct tm_mock_request r;
    struct tm_err err = { 0 };
    if (tm_mock_request_init(&r, method, target, body, body != NULL ? strlen(body) : 0, &err) !=
        TM_OK)
        stop("request", &err);
    tm_mock_response_init(out);
    for (bool begun = false; out->outcome == TM_MOCK_HOLD || !begun; begun = true) {
        uint64_t token = out->token;
        double t = wall_s();
        tm_mock_response_reset(out);
        if (begun)
            tm_bulk_resume(b, &r, token, out);
        else
            tm_bulk2_request(b, &r, "59.0", parts, parts_count, out);
        *worst = wall_s() - t > *worst ? wall_s() - t : *worst;
    }
    tm_mock_request_free(&r);
}

/* A Bulk job over all Opportunities: from its making to the last byte of its CSV. */
static void bench_bulk(struct tm_org *org)
{
    static char jobs[] = "jobs", query[] = "query", results[] = "results";
    static const struct tm_bulk_settings bulk = { 0 };
    const struct tm_oauth_settings settings = { .seeded = true, .seed = 1 };
    struct tm_bulk *b = NULL;
    struct tm_oauth *oauth = NULL;
    struct tm_err err = { 0 };
    struct tm_mock_response out;
    struct tm_buf body;
    double worst = 0, t = wall_s();
    if (tm_oauth_open(&oauth, &settings, &err) != TM_OK ||
        tm_bulk_open(&b, org, oauth, &bulk, &err) != TM_OK)
        stop("bulk", &err);
    const struct tm_describe *d = tm_org_describe(org, "Opportunity");
    tm_buf_init(&body, 1u << 16);
    tm_buf_addz(&body, "{\"operation\":\"query\",\"query\":\"SELECT Id");
    for (size_t i = 0; i < d->fields_count; i++)
        if (d->fields[i].kind != TM_FIELD_COMPOUND && strcmp(d->fields[i].name, "Id") != 0)
            tm_buf_addf(&body, ",%s", d->fields[i].name);
    tm_buf_addz(&body, " FROM Opportunity\"}");
    bench_bulk_ask(b, "POST", "/", tm_buf_text(&body), (char *[]){ jobs, query }, 2, &out, &worst);
    json_t *made = json_loads(tm_buf_text(&out.body), 0, NULL);
    char *id = strdup(json_string_value(json_object_get(made, "id")));
    json_decref(made);
    tm_mock_response_free(&out);
    for (struct tm_wake wake = { TM_NEVER, 0 }; wake.wall_ns != TM_NEVER;) {
        double step = wall_s();
        wake.wall_ns = TM_NEVER;
        tm_bulk_step(b, &(struct tm_now){ 0 }, &wake);
        worst = wall_s() - step > worst ? wall_s() - step : worst;
    }
    double copied = wall_s() - t;
    bench_bulk_ask(b, "GET", "/", NULL, (char *[]){ jobs, query, id, results }, 4, &out, &worst);
    const char *rows = strstr(tm_buf_text(&out.headers), "Sforce-NumberOfRecords: ");
    double count = rows != NULL ? strtod(rows + strlen("Sforce-NumberOfRecords: "), NULL) : 0;
    printf("org: a Bulk job of %.0f records and %zu bytes of CSV: %.0f rows/s, copied in %.0f ms, "
           "read in %.0f ms, longest call %.1f ms\n",
           count, out.body.bytes, count / (wall_s() - t), copied * 1e3,
           (wall_s() - t - copied) * 1e3, worst * 1e3);
    tm_mock_response_free(&out);
    free(id);
    tm_buf_free(&body);
    tm_bulk_close(b);
    tm_oauth_close(oauth);
}

int main(void)
{
    struct org_fixture f;
    struct tm_err err = { 0 };
    struct tm_scenario *s = NULL;
    struct tm_workload *w = NULL;
    org_fixture_open(&f);
    if (tm_scenario_load(&s, "fixtures/scenarios/day.json", &err) != TM_OK)
        stop("scenario", &err);
    double t = wall_s(), c = cpu_s();
    if (tm_workload_populate(f.org, s, &err) != TM_OK ||
        tm_workload_open(&w, f.org, s, &err) != TM_OK)
        stop("population", &err);
    printf("org: %lld records written in %.2f s, %.2f s of CPU\n",
           (long long)tm_org_pos_last(f.org), wall_s() - t, cpu_s() - c);
    struct tm_now now = { s->origin_ms + (int64_t)(s->hours * 3600e3),
                          1 }; /* all of the day is due: batches are full */
    double worst = 0;
    t = wall_s(), c = cpu_s();
    while (!tm_workload_done(w)) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        double began = wall_s();
        if (tm_workload_step(w, &now, &wake, &err) != TM_OK)
            stop("workload", &err);
        worst = wall_s() - began > worst ? wall_s() - began : worst;
    }
    double changes = (double)tm_workload_counts(w)->changes, wall = wall_s() - t, cpu = cpu_s() - c;
    printf("org: %.0f changes of a mixed day in groups of up to %d: %.0f/s, %.1f us of CPU each, "
           "longest step %.1f ms\n",
           changes, TM_WORKLOAD_BATCH_MAX, changes / wall, cpu / changes * 1e6, worst * 1e3);
    bench_whole_read(f.org);
    bench_bulk(f.org);
    char id[TM_ID_BYTES], name[32];
    org_make_account(f.org, id, "bench", now.org_ms);
    t = wall_s(), c = cpu_s();
    for (int i = 0; i < 5000; i++) {
        struct tm_org_set sets[] = { { "Phone", org_text(name) }, { NULL, org_null() } };
        snprintf(name, sizeof name, "+1 %d", i);
        if (org_one(f.org, TM_ORG_UPDATE, TM_ORG_NORMAL, "Account", id, sets, now.org_ms) != TM_OK)
            return 70;
    }
    printf("org: 5000 single commits: %.0f/s, %.1f us of CPU each\n", 5000 / (wall_s() - t),
           (cpu_s() - c) / 5000 * 1e6);
    printf("org: org.db holds %lld bytes, %lld events of %lld bytes on average\n",
           (long long)org_ask_int(f.org, "SELECT page_count*page_size FROM "
                                         "pragma_page_count,pragma_page_size"),
           (long long)org_ask_int(f.org, "SELECT count(*) FROM event"),
           (long long)org_ask_int(f.org, "SELECT avg(length(body)) FROM event"));
    tm_workload_close(w);
    tm_scenario_close(s);
    org_fixture_close(&f);
    return 0;
}
