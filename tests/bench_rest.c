/* bench_rest: the mock org with a million records (TIDEMARK_BENCH_RECORDS: another number): how
 * fast it is written and opened, what memory it takes, what REST gives of it through the one
 * handler its server calls: all fields page by page, a range, single records, writes. No socket.
 * Prints what the machine did; asserts nothing. */
#include "mocks/salesforce/routes.h"
#include "tests/support_org.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH 2000
#define SINGLES 2000
#define DATA "/services/data/v59.0"

struct bench {
    struct org_fixture f;
    struct tm_salesforce *salesforce;
    struct tm_mock_handler handler;
    struct tm_now now;
    char authorization[200];
    double worst_ms; /* the longest single call: what everybody else waits */
    long total;      /* of the last query */
};

static double wall_s(void)
{
    return (double)tm_clock_monotonic_ns() / 1e9;
}

/* Of this process, in MB: "VmRSS" now, "VmHWM" at most. */
static long memory_mb(const char *what)
{
    char line[128];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, what, strlen(what)) == 0)
            kb = strtol(line + strlen(what) + 1, NULL, 10);
    if (f != NULL)
        fclose(f);
    return kb / 1024;
}

static void stop(const char *what, const struct tm_err *err)
{
    fprintf(stderr, "bench_rest: %s: %s\n", what, err != NULL ? err->msg : "");
    exit(70);
}

/* The whole answer's bytes; *next: where the next page is, "" = nowhere. */
static size_t ask(struct bench *b, const char *method, const char *target, const char *body,
                  int status, char next[200])
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    if (tm_mock_request_init(&r, method, target, body, body != NULL ? strlen(body) : 0, NULL) !=
            TM_OK ||
        tm_mock_pairs_add(&r.headers, "Authorization", b->authorization, NULL) != TM_OK)
        stop(target, NULL);
    r.now = b->now;
    tm_mock_response_init(&out);
    for (bool begun = false; out.outcome == TM_MOCK_HOLD || !begun; begun = true) {
        uint64_t token = out.token;
        double t = wall_s();
        tm_mock_response_reset(&out);
        if (begun)
            b->handler.resume(b->handler.self, &r, token, &out);
        else
            b->handler.request(b->handler.self, &r, &out);
        t = (wall_s() - t) * 1e3;
        b->worst_ms = t > b->worst_ms ? t : b->worst_ms;
    }
    if (out.status != status) {
        fprintf(stderr, "bench_rest: %s %s: %d %.300s\n", method, target, out.status,
                tm_buf_text(&out.body));
        exit(70);
    }
    char head[400];
    snprintf(head, sizeof head, "%.399s", tm_buf_text(&out.body));
    const char *more = strstr(head, "\"nextRecordsUrl\":\""),
               *token = strstr(head, "\"access_token\":\""),
               *total = strstr(head, "\"totalSize\":");
    b->total = total != NULL ? strtol(total + 12, NULL, 10) : 0;
    snprintf(next, 200, "%.*s", more != NULL ? (int)strcspn(more + 18, "\"") : 0,
             more != NULL ? more + 18 : "");
    if (token != NULL)
        snprintf(b->authorization, sizeof b->authorization, "Bearer %.*s",
                 (int)strcspn(token + 16, "\""), token + 16);
    size_t bytes = out.body.bytes;
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
    return bytes;
}

static void sign_in(struct bench *b)
{
    struct tm_salesforce_settings settings = { .oauth = { .seeded = true, .seed = 1 } };
    struct tm_err err = { 0 };
    char next[200];
    if (tm_salesforce_open(&b->salesforce, b->f.org, &settings, &err) != TM_OK)
        stop("mock", &err);
    b->handler = tm_salesforce_handler(b->salesforce);
    ask(b, "POST", "/services/oauth2/token",
        "grant_type=client_credentials&client_id=tidemark-consumer-key&client_secret="
        "tidemark-consumer-secret",
        200, next);
}

/* Opportunities of a plain kind, BATCH a transaction, a second apart. */
static void populate(struct bench *b, long records)
{
    struct tm_org_change *changes = calloc(BATCH, sizeof *changes);
    struct tm_org_set(*sets)[8] = calloc(BATCH, sizeof *sets);
    char(*names)[48] = calloc(BATCH, sizeof *names);
    struct tm_err err = { 0 };
    if (changes == NULL || sets == NULL || names == NULL)
        stop("memory", NULL);
    for (long done = 0; done < records; done += BATCH) {
        long count = records - done < BATCH ? records - done : BATCH;
        for (long i = 0; i < count; i++) {
            long n = done + i;
            snprintf(names[i], sizeof names[i], "opportunity %ld of a million", n);
            struct tm_org_set one[] = { { "Name", org_text(names[i]) },
                                        { "StageName", org_text("Prospecting") },
                                        { "CloseDate", org_text("2026-06-30") },
                                        { "Amount", org_real((double)(n % 100000) + 0.5) },
                                        { "Probability", org_real((double)(n % 100)) },
                                        { "NextStep", org_text(names[i]) },
                                        { "TrackingNumber__c", org_text(names[i] + 12) } };
            memcpy(sets[i], one, sizeof one);
            changes[i] = (struct tm_org_change){
                .kind = TM_ORG_CREATE, .object = "Opportunity", .sets = sets[i], .sets_count = 7
            };
        }
        struct tm_org_txn txn = { .changes = changes,
                                  .changes_count = (size_t)count,
                                  .org_ms = ORG_ORIGIN_MS + done / BATCH * 1000,
                                  .before_origin = true };
        if (tm_org_commit(b->f.org, &txn, &err) != TM_OK)
            stop("commit", &err);
    }
    free(changes);
    free(sets);
    free(names);
}

static void bench_pages(struct bench *b, const char *what, const char *target)
{
    char next[200], at[300];
    double t = wall_s(), first = 0;
    size_t bytes = 0, pages = 0;
    b->worst_ms = 0;
    snprintf(at, sizeof at, "%s", target);
    for (; at[0] != '\0'; pages++) {
        bytes += ask(b, "GET", at, NULL, 200, next);
        if (pages == 0)
            first = wall_s() - t;
        snprintf(at, sizeof at, "%s", next);
    }
    t = wall_s() - t;
    printf(
        "rest: %s: %ld rows in %zu pages of %.0f MB in %.2f s: %.0f rows/s, the first page after "
        "%.2f s, longest call %.1f ms\n",
        what, b->total, pages, (double)bytes / 1e6, t, (double)b->total / t, first, b->worst_ms);
}

static void bench_singles(struct bench *b, long records)
{
    char id[TM_ID_BYTES], target[200], body[100], next[200];
    double t = wall_s();
    for (int i = 0; i < SINGLES; i++) {
        tm_org_id_of(b->f.org, id, "006", (i * 7919L) % records + 1);
        snprintf(target, sizeof target, DATA "/sobjects/Opportunity/%s", id);
        ask(b, "GET", target, NULL, 200, next);
    }
    printf("rest: %.0f single records a second", SINGLES / (wall_s() - t));
    t = wall_s();
    for (int i = 0; i < SINGLES; i++) {
        tm_org_id_of(b->f.org, id, "006", (i * 7919L) % records + 1);
        snprintf(target, sizeof target, DATA "/sobjects/Opportunity/%s", id);
        snprintf(body, sizeof body, "{\"NextStep\":\"call %d\"}", i);
        ask(b, "PATCH", target, body, 204, next);
    }
    printf(", %.0f PATCHes, each a commit with its event", SINGLES / (wall_s() - t));
    t = wall_s();
    for (int i = 0; i < SINGLES; i++) {
        long n = (i * 104729L) % records;
        snprintf(target, sizeof target,
                 DATA "/sobjects/Opportunity/TrackingNumber__c/%ld%%20of%%20a%%20million", n);
        ask(b, "GET", target, NULL, 200, next);
    }
    printf(", %.0f by external id\n", SINGLES / (wall_s() - t));
}

int main(void)
{
    static struct bench b;
    const char *told = getenv("TIDEMARK_BENCH_RECORDS");
    long records = told != NULL ? strtol(told, NULL, 10) : 1000000;
    char next[200];
    org_fixture_open(&b.f);
    double t = wall_s();
    populate(&b, records);
    printf("rest: %ld records written in %.1f s, %.0f a second, %ld MB of memory\n", records,
           wall_s() - t, (double)records / (wall_s() - t), memory_mb("VmRSS"));
    t = wall_s();
    org_fixture_reopen(&b.f);
    b.now = (struct tm_now){ ORG_ORIGIN_MS + records / BATCH * 1000 + 60000, TM_NS_PER_S };
    sign_in(&b);
    printf("rest: opened again in %.2f s, %ld MB of memory, org.db of %" PRId64 " MB\n",
           wall_s() - t, memory_mb("VmRSS"),
           org_ask_int(b.f.org, "SELECT page_count*page_size/1000000 FROM pragma_page_count,"
                                "pragma_page_size"));
    bench_singles(&b, records);
    bench_pages(&b, "a minute of SystemModstamp",
                DATA "/query?q=SELECT+FIELDS(STANDARD)+FROM+Opportunity+WHERE+SystemModstamp+%3E=+"
                     "2026-03-02T08:00:00Z+AND+SystemModstamp+%3C+2026-03-02T08:01:00Z");
    t = wall_s();
    ask(&b, "GET", DATA "/query?q=SELECT+StageName,COUNT(Id)+FROM+Opportunity+GROUP+BY+StageName",
        NULL, 200, next);
    printf("rest: all grouped by stage in %.2f s\n", wall_s() - t);
    bench_pages(&b, "every record, its standard fields, 2,000 a page",
                DATA "/query?q=SELECT+FIELDS(STANDARD)+FROM+Opportunity");
    printf("rest: at most %ld MB of memory\n", memory_mb("VmHWM"));
    tm_salesforce_close(b.salesforce);
    org_fixture_close(&b.f);
    return 0;
}
